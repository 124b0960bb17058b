/* Snapshots, our own and received ones, as the log knows them. See core.h. */
#include "cluster/core_internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* An InstallSnapshot that got no answer is sent again after so many election timeouts. It carries a
 * manifest only, so that repeating it is cheap, and a lost one delays the follower. */
enum { INSTALL_TIMEOUT_ELECTIONS = 2 };

static void bytes_free(struct core_bytes *bytes) {
    free((void *)(uintptr_t)bytes->data); /* const for those who borrow it */
    *bytes = (struct core_bytes){0};
}

static enum errc bytes_copy(struct core_bytes from, struct core_bytes *ret) {
    uint8_t *data = NULL;
    if (from.len > 0) {
        data = malloc(from.len);
        if (data == NULL) {
            return ERR_NO_MEMORY;
        }
        memcpy(data, from.data, from.len);
    }
    *ret = (struct core_bytes){data, from.len};
    return OK;
}

void core_snapshot_clear(struct core_snapshot *snapshot) {
    bytes_free(&snapshot->configuration);
    bytes_free(&snapshot->manifest);
    *snapshot = (struct core_snapshot){0};
}

enum errc core_snapshot_copy(const struct core_snapshot *from, struct core_snapshot *ret) {
    struct core_snapshot copy = *from;
    copy.manifest = (struct core_bytes){0};
    enum errc rc = bytes_copy(from->configuration, &copy.configuration);
    if (rc != OK) {
        return rc;
    }
    rc = bytes_copy(from->manifest, &copy.manifest);
    if (rc != OK) {
        bytes_free(&copy.configuration);
        return rc;
    }
    *ret = copy;
    return OK;
}

bool core_is_installing(const struct core *core) {
    return core->installing.index != 0;
}

static enum errc install_begin(struct core *core, const struct raft_snapshot_metadata *metadata,
                               const struct raft_buffer *chunk) {
    struct raft_buffer configuration;
    enum errc rc = core_configuration_to_buffer(&metadata->configuration, &configuration);
    if (rc != OK) {
        return rc;
    }
    rc = core_snapshot_copy(
        &(struct core_snapshot){.index = metadata->index,
                                .term = metadata->term,
                                .configuration_index = metadata->configuration_index,
                                .configuration = {configuration.base, configuration.len},
                                .manifest = {chunk->base, chunk->len}},
        &core->installing);
    raft_free(configuration.base);
    return rc;
}

enum errc core_snapshot_install(struct core *core, struct raft_snapshot_metadata *metadata,
                                struct raft_buffer *chunk) {
    CHECK(!core_is_installing(core) && core->prepared.index == 0);
    enum errc rc = OK;
    if (metadata->index <= core->applied) {
        rc = ERR_CORRUPT; /* it would take the state back: a broken peer. Fatal */
    } else {
        rc = install_begin(core, metadata, chunk);
    }
    raft_configuration_close(&metadata->configuration);
    raft_free(chunk->base);
    if (rc != OK) {
        return rc;
    }
    core_log_reset(&core->log, core->installing.index + 1);
    core->uncommitted = 0;
    core->persisted = 0;
    /* Writes in flight end up on disk before the switch and vanish with it. */
    core_writes_cut(&core->writes, 1);
    return core_push(
        core, &(struct core_effect){.kind = CORE_EFFECT_INSTALL, .snapshot = core->installing});
}

enum errc core_installed(struct core *core, uint64_t now_ms) {
    CHECK(core_is_installing(core));
    core_begin(core, now_ms);
    struct raft_event event = {
        .type = RAFT_PERSISTED_SNAPSHOT,
        .persisted_snapshot = {
            .metadata = {.index = core->installing.index,
                         .term = core->installing.term,
                         .configuration_index = core->installing.configuration_index},
            .last = true}};
    /* libraft takes the configuration. */
    enum errc rc = core_configuration_decode(core->installing.configuration,
                                             &event.persisted_snapshot.metadata.configuration);
    if (rc == OK) {
        rc = core_members_set(&core->members, core->installing.configuration_index,
                              core->installing.configuration);
    }
    if (rc != OK) {
        return rc;
    }
    core_snapshot_clear(&core->snapshot);
    core->snapshot = core->installing;
    core->installing = (struct core_snapshot){0};
    core->persisted = core->snapshot.index;
    core->applied = core->snapshot.index;
    core->fed = core->snapshot.index;
    if (core->commit < core->snapshot.index) {
        core->commit = core->snapshot.index;
    }
    rc = core_push(core, &(struct core_effect){.kind = CORE_EFFECT_CONFIGURATION,
                                               .first = core->snapshot.configuration_index,
                                               .configuration = core->snapshot.configuration});
    if (rc == OK) {
        rc = core_step(core, &event);
    }
    return rc == OK ? core_end(core) : rc;
}

/* The first index that stays when a snapshot at `index` is taken. libraft keeps its own list of
 * terms in step by the same rule: nothing goes unless it holds that many entries. */
static uint64_t keep_from(const struct core *core, uint64_t index, unsigned trailing) {
    if (index <= trailing || index - trailing < core->log.first || index == core->snapshot.index) {
        return core->log.first; /* the last: libraft has this snapshot, and takes it only once */
    }
    return index - trailing + 1;
}

/* The configuration that held at `index`, which is committed. Borrowed. */
static void find_configuration(const struct core *core, uint64_t index, struct core_snapshot *ret) {
    if (index >= core->members.index) { /* the last one that was applied */
        ret->configuration_index = core->members.index;
        ret->configuration = (struct core_bytes){core->members.data, core->members.len};
        return;
    }
    for (; index > core->snapshot.index; index--) {
        const struct core_entry *entry = core_log_get(&core->log, index);
        if (entry->type == CORE_CHANGE) {
            ret->configuration_index = index;
            ret->configuration = (struct core_bytes){entry->data, entry->len};
            return;
        }
    }
    ret->configuration_index = core->snapshot.configuration_index;
    ret->configuration = core->snapshot.configuration;
}

/* A snapshot is new when it is further than the newest, or gives that the manifest that it lacks.
 */
static bool is_news(const struct core *core, uint64_t index) {
    return index > core->snapshot.index ||
           (index > 0 && index == core->snapshot.index && core->snapshot.manifest.len == 0);
}

enum errc core_snapshot_prepare(struct core *core, uint64_t index, unsigned trailing,
                                struct core_snapshot *ret, uint64_t *ret_keep_from) {
    CHECK(core->is_started && effects_are_taken(&core->effects));
    if (index > core->applied) {
        return ERR_INVALID_PARAMETER;
    }
    index = index == 0 ? core->applied : index;
    /* Not while another replaces log and state. And only when libraft has been told of every
     * configuration up to here: after a restart it learns again, and a snapshot ahead of its
     * knowledge would leave it with a configuration that it thinks uncommitted. */
    if (core_is_installing(core) || !is_news(core, index) || core->fed < index) {
        return ERR_BUSY;
    }
    /* With less behind the snapshot than may be in flight, followers would be sent snapshot after
     * snapshot. A lone member has none. */
    if (core->raft.configuration.n > 1 && trailing < core->max_inflight_entries) {
        trailing = core->max_inflight_entries;
    }
    struct core_snapshot found = {.index = index, .term = core_term_at(core, index)};
    find_configuration(core, index, &found);
    struct core_snapshot prepared;
    enum errc rc = core_snapshot_copy(&found, &prepared);
    if (rc != OK) {
        return rc;
    }
    core_snapshot_clear(&core->prepared);
    core->prepared = prepared;
    core->prepared_trailing = trailing;
    *ret = prepared;
    *ret_keep_from = keep_from(core, prepared.index, trailing);
    return OK;
}

unsigned core_install_timeout_ms(const struct core *core) {
    return INSTALL_TIMEOUT_ELECTIONS * core->election_timeout_ms;
}

void core_forget_peers(struct core *core) {
    core->snapshot_is_wanted = false;
    for (size_t i = 0; i < ARRAY_LEN(core->peers); i++) {
        core->peers[i].snapshot = 0;
        core->peers[i].lacks_room = false;
    }
}

enum errc core_snapshot_send(struct core *core, uint64_t id, bool *ret_is_held_back) {
    bool lacks_room = core_peer_lacks_room(core, id);
    *ret_is_held_back = core->snapshot.manifest.len == 0 || lacks_room;
    if (core->snapshot.index == 0 || lacks_room) {
        return OK; /* a peer that lies about its log; or would only drop what is made for it */
    }
    struct core_peer *peer = core_peer(core, id);
    if (peer != NULL) {
        peer->snapshot = core->snapshot.index;
    }
    if (!*ret_is_held_back || core->snapshot_is_wanted) {
        return OK;
    }
    core->snapshot_is_wanted = true;
    return core_push(core, &(struct core_effect){.kind = CORE_EFFECT_SNAPSHOT});
}

/* libraft thinks that the snapshot which was held back is on its way, and takes it for lost only
 * when that times out: to it, what a follower says about a newer one is stale. So at its next
 * timeout, a heartbeat from here, all are overdue. (Those that install theirs drop another.) */
static void hurry(struct core *core) {
    if (core->snapshot_is_wanted && core->snapshot.manifest.len > 0) {
        raft_set_install_snapshot_timeout(&core->raft, 0);
    }
    core->snapshot_is_wanted = false;
}

enum errc core_snapshot_taken(struct core *core, uint64_t now_ms, struct core_bytes manifest) {
    CHECK(core->prepared.index != 0 && !core_is_installing(core));
    if (manifest.len > LIMIT_MANIFEST) {
        return ERR_INVALID_PARAMETER;
    }
    core_begin(core, now_ms);
    uint64_t from = keep_from(core, core->prepared.index, core->prepared_trailing);
    struct raft_event event = {
        .type = RAFT_SNAPSHOT,
        .snapshot = {.metadata = {.index = core->prepared.index,
                                  .term = core->prepared.term,
                                  .configuration_index = core->prepared.configuration_index},
                     .trailing = core->prepared_trailing}};
    enum errc rc = bytes_copy(manifest, &core->prepared.manifest);
    if (rc == OK) { /* libraft takes the configuration */
        rc = core_configuration_decode(core->prepared.configuration,
                                       &event.snapshot.metadata.configuration);
    }
    if (rc != OK) {
        return rc;
    }
    bool is_known = core->prepared.index == core->snapshot.index;
    core_snapshot_clear(&core->snapshot);
    core->snapshot = core->prepared;
    core->prepared = (struct core_snapshot){0};
    if (is_known) {
        raft_configuration_close(&event.snapshot.metadata.configuration);
    } else {
        rc = core_step(core, &event);
        core_log_drop_before(&core->log, from);
    }
    hurry(core);
    return rc == OK ? core_end(core) : rc;
}
