/* Changes of the membership, one at a time. See core.h.
 *
 * A server joins as a spare, is brought up to date by the leader, and votes only then: a voter
 * without the log would make the group slower to commit, or stop it. */
#include "cluster/core_internal.h"

#include "base/limits.h"

static struct core_peer *claim_slot(struct core *core, uint64_t id) {
    struct core_peer *free_slot = NULL;
    for (size_t i = 0; i < ARRAY_LEN(core->peers); i++) {
        struct core_peer *peer = &core->peers[i];
        if (peer->id == id) {
            return peer;
        }
        if (free_slot == NULL &&
            core_configuration_find(&core->raft.configuration, peer->id) == NULL) {
            free_slot = peer; /* of nobody, or of one that is no member any more */
        }
    }
    CHECK(free_slot != NULL); /* there are as many slots as there may be members */
    *free_slot = (struct core_peer){.id = id};
    return free_slot;
}

const struct core_peer *core_peer_find(const struct core *core, uint64_t id) {
    for (size_t i = 0; i < ARRAY_LEN(core->peers) && id != 0; i++) {
        if (core->peers[i].id == id) {
            return &core->peers[i];
        }
    }
    return NULL;
}

struct core_peer *core_peer(struct core *core, uint64_t id) {
    bool is_other =
        id != core->raft.id && core_configuration_find(&core->raft.configuration, id) != NULL;
    return is_other ? claim_slot(core, id) : NULL;
}

bool core_is_live(const struct core *core, uint64_t id) {
    if (id == core->raft.id) {
        return true;
    }
    const struct core_peer *peer = core_peer_find(core, id);
    return peer != NULL && peer->heard_ms != 0 &&
           core->now_ms - peer->heard_ms < core->election_timeout_ms;
}

/* Submit the configuration alone: among other entries, a refusal would leave a phantom entry in
 * libraft's log. */
static enum errc submit_configuration(struct core *core,
                                      const struct raft_configuration *configuration,
                                      bool is_advancing) {
    struct raft_buffer buffer;
    enum errc rc = core_configuration_to_buffer(configuration, &buffer);
    if (rc != OK) {
        return rc;
    }
    struct raft_entry entry = {.term = raft_current_term(&core->raft),
                               .type = RAFT_CHANGE,
                               .buf = buffer,
                               .batch = buffer.base};
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    rc = is_advancing ? core_step_only(core, &event) : core_step(core, &event);
    raft_free(buffer.base);
    return rc;
}

/* The current configuration with one server's role and, when it is given, address set, without it
 * when role is negative, with it when it was not there. Places stay: libraft counts by them. *ret
 * is owned by the caller. */
static enum errc configuration_with(const struct core *core, uint64_t id, int role,
                                    const char *address, struct raft_configuration *ret) {
    const struct raft_configuration *current = &core->raft.configuration;
    struct raft_configuration changed;
    raft_configuration_init(&changed);
    bool is_new = core_configuration_find(current, id) == NULL;
    int rv = 0;
    for (unsigned i = 0; i < current->n && rv == 0; i++) {
        const struct raft_server *server = &current->servers[i];
        if (server->id != id) {
            rv = raft_configuration_add(&changed, server->id, server->address, server->role);
        } else if (role >= 0) {
            rv = raft_configuration_add(&changed, server->id,
                                        address != NULL ? address : server->address, role);
        }
    }
    if (is_new && rv == 0) {
        rv = raft_configuration_add(&changed, id, address, role);
    }
    if (rv != 0) {
        raft_configuration_close(&changed);
        return rv == RAFT_NOMEM ? ERR_NO_MEMORY : ERR_INVALID_PARAMETER;
    }
    *ret = changed;
    return OK;
}

static enum errc change_configuration(struct core *core, uint64_t id, int role, const char *address,
                                      bool is_advancing) {
    struct raft_configuration configuration;
    enum errc rc = configuration_with(core, id, role, address, &configuration);
    if (rc != OK) {
        return rc;
    }
    rc = submit_configuration(core, &configuration, is_advancing);
    raft_configuration_close(&configuration);
    return rc;
}

/* Another change is under way, or the leader has not committed anything yet: until then two leaders
 * may each have changed a different server, and their majorities need not meet. */
bool core_is_changing(const struct core *core) {
    return core->raft.configuration_uncommitted_index != 0 || core->promotee != 0 ||
           core_term_at(core, core->commit) != raft_current_term(&core->raft);
}

/* Whether the voters that are heard of are a majority once `id` votes, or does not any more. */
static bool keeps_quorum(const struct core *core, uint64_t id, bool votes, bool is_taken_for_live) {
    const struct raft_configuration *configuration = &core->raft.configuration;
    unsigned voters = 0;
    unsigned live = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        bool is_it = server->id == id;
        if (is_it ? !votes : server->role != RAFT_VOTER) {
            continue;
        }
        voters++;
        live += (is_it && is_taken_for_live) || core_is_live(core, server->id);
    }
    return live > voters / 2;
}

/* libraft validates nothing here. */
static enum errc start_promotion(struct core *core, const struct raft_server *server) {
    if (server == NULL || server->role == RAFT_VOTER) {
        return ERR_INVALID_PARAMETER;
    }
    /* That it lives, it shows by catching up. */
    if (!keeps_quorum(core, server->id, true, true)) {
        return ERR_NO_QUORUM;
    }
    /* With nothing to catch up, libraft would wait for progress that does not come. */
    raft_index match = 0;
    if (raft_match_index(&core->raft, server->id, &match) == 0 && match > 0 &&
        match == core_log_last(&core->log)) {
        return change_configuration(core, server->id, RAFT_VOTER, NULL, false);
    }
    struct raft_event event = {.type = RAFT_CATCH_UP, .catch_up.server_id = server->id};
    core->promotee = server->id;
    return core_step(core, &event);
}

static enum errc change(struct core *core, enum core_change change, uint64_t id,
                        const char *address) {
    const struct raft_server *server = core_configuration_find(&core->raft.configuration, id);
    /* A leader never takes its own vote: it would have to count a majority without itself, and of
     * two voters the last could go. Leadership is handed over first. */
    bool is_self = id == core->raft.id;
    switch (change) {
    case CORE_ADD_SPARE:
        if (server != NULL || !core_address_is_valid(address) ||
            core->raft.configuration.n >= LIMIT_PEERS) {
            return ERR_INVALID_PARAMETER;
        }
        return change_configuration(core, id, RAFT_STANDBY, address, false);
    case CORE_PROMOTE:
        return start_promotion(core, server);
    case CORE_DEMOTE:
        if (server == NULL || is_self || server->role != RAFT_VOTER) {
            return ERR_INVALID_PARAMETER;
        }
        if (!keeps_quorum(core, id, false, false)) {
            return ERR_NO_QUORUM;
        }
        return change_configuration(core, id, RAFT_STANDBY, NULL, false);
    case CORE_REMOVE:
        if (server == NULL || is_self) {
            return ERR_INVALID_PARAMETER;
        }
        if (!keeps_quorum(core, id, false, false)) {
            return ERR_NO_QUORUM;
        }
        return change_configuration(core, id, -1, NULL, false);
    case CORE_READDRESS: /* one entry, also for this node; nobody's vote changes */
        if (server == NULL || !core_address_is_valid(address)) {
            return ERR_INVALID_PARAMETER;
        }
        return change_configuration(core, id, server->role, address, false);
    }
    return ERR_INVALID_PARAMETER;
}

enum errc core_change(struct core *core, uint64_t now_ms, enum core_change kind, uint64_t id,
                      const char *address) {
    CHECK(core->is_started);
    if (core->role != CORE_LEADER) {
        return ERR_NOT_LEADER;
    }
    if (id == 0) {
        return ERR_INVALID_PARAMETER;
    }
    if (core_is_changing(core) || core_is_transferring(core)) {
        return ERR_BUSY;
    }
    core_begin(core, now_ms);
    enum errc rc = change(core, kind, id, address);
    if (rc != OK) {
        return rc;
    }
    return core_end(core);
}

/* Called after every step: the catch-up has no event of its own. When it failed the server simply
 * stays what it was, and may be promoted again. */
enum errc core_promotion_advance(struct core *core) {
    if (core->promotee == 0) {
        return OK;
    }
    int status = RAFT_CATCH_UP_NONE;
    if (core->role == CORE_LEADER && raft_catch_up(&core->raft, core->promotee, &status) == 0 &&
        status == RAFT_CATCH_UP_RUNNING) {
        return OK;
    }
    uint64_t id = core->promotee;
    core->promotee = 0;
    if (core->role != CORE_LEADER || status != RAFT_CATCH_UP_FINISHED ||
        !keeps_quorum(core, id, true, false)) {
        return OK;
    }
    enum errc rc = change_configuration(core, id, RAFT_VOTER, NULL, true);
    return rc == ERR_BUSY || rc == ERR_NOT_LEADER ? OK : rc;
}
