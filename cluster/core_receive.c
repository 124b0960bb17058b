/* Messages of the peers: checked against what this node knows, cut into the steps that libraft
 * handles well, or dropped. See core.h. */
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

#include <stdlib.h>
#include <string.h>

/* Two leaders in one term cannot be, and libraft would overwrite its own state for the second. */
static bool claims_our_leadership(const struct core *core, uint64_t term) {
    return core->role == CORE_LEADER && term == raft_current_term(&core->raft);
}

/* What the bytes alone cannot show to be wrong. Nothing here can happen in a group of sound nodes;
 * libraft only asserts it. */
static bool is_plausible(struct core *core, const struct core_message *message) {
    const struct raft_message *raft = &message->raft;
    switch (raft->type) {
    case RAFT_APPEND_ENTRIES:
        return !claims_our_leadership(core, raft->append_entries.term);
    case RAFT_INSTALL_SNAPSHOT: {
        const struct raft_install_snapshot *install = &raft->install_snapshot;
        uint64_t term = core_term_at(core, install->last_index);
        bool contradicts = install->last_index <= core->applied && term != 0 &&
                           term != install->last_term &&
                           install->term >= raft_current_term(&core->raft);
        return !claims_our_leadership(core, install->term) && !contradicts;
    }
    case RAFT_APPEND_ENTRIES_RESULT:
        /* It can only refuse what we sent. */
        return core->role != CORE_LEADER ||
               raft->append_entries_result.term != raft_current_term(&core->raft) ||
               raft->append_entries_result.rejected <= raft_last_index(&core->raft);
    case RAFT_REQUEST_VOTE:
    case RAFT_REQUEST_VOTE_RESULT:
    case RAFT_TIMEOUT_NOW:
        return true;
    }
    return false;
}

/* Messages that are sound and come at a bad time. Losing one is always allowed: the leader sends
 * again. */
static bool is_untimely(struct core *core, const struct raft_message *raft) {
    bool is_current = true;
    switch (raft->type) {
    case RAFT_INSTALL_SNAPSHOT:
        /* While one is installed, libraft would keep the next one's memory for ever. While we take
         * our own, the two would race for the same place on disk. Without room it waits. An old
         * leader still gets its answer: it must learn the new term. */
        is_current = raft->install_snapshot.term >= raft_current_term(&core->raft);
        return is_current &&
               (core_is_installing(core) || core->prepared.index != 0 || core->lacks_room);
    case RAFT_TIMEOUT_NOW:
        /* A candidate must have no write in flight: libraft has no answer to one that completes.
         * And a lone voter takes leadership from nobody. */
        return core_is_installing(core) || core->persisted < core_log_last(&core->log) ||
               core_is_only_voter(core);
    case RAFT_APPEND_ENTRIES:
    case RAFT_APPEND_ENTRIES_RESULT:
    case RAFT_REQUEST_VOTE:
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        /* For a candidate's ears. libraft would look whether it asked for a pre-vote in memory that
         * means something else by now, and by what lies there could take a late pre-vote's term for
         * the sender's own. */
        return raft_state(&core->raft) != RAFT_CANDIDATE;
    }
    return false;
}

static enum errc receive_plain(struct core *core, struct raft_message *raft) {
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = raft};
    return core_step(core, &event);
}

static struct raft_server *find_self(struct core *core) {
    for (unsigned i = 0; i < core->raft.configuration.n; i++) {
        if (core->raft.configuration.servers[i].id == core->raft.id) {
            return &core->raft.configuration.servers[i];
        }
    }
    return NULL;
}

/* libraft's follower keeps a leader, and refuses all others, until its own election timeout has
 * passed, which is up to twice the shortest one. The promise to a leader is for the shortest only:
 * after so long a silence, whoever asks for a vote is asking in time. */
static void forget_overdue_leader(struct core *core) {
    if (raft_state(&core->raft) == RAFT_FOLLOWER && !core_is_installing(core) &&
        core->now_ms >= core->raft.election_timer_start + core->election_timeout_ms) {
        core_forget_leader(core);
    }
}

/* Whether a vote counts is for the candidate's configuration to say: ours may lack the entry that
 * makes us a voter, and without our vote nobody could ever lead and bring it. (One voter promotes a
 * spare and crashes before the spare has heard: the new majority is both of them.) libraft refuses
 * a member that does not vote by its own configuration, so for this one step it does. Each node
 * still votes once a term, for a log at least as new as its own. */
static enum errc receive_vote_request(struct core *core, struct raft_message *raft) {
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = raft};
    struct raft_server *self = find_self(core);
    forget_overdue_leader(core);
    if (self == NULL || self->role == RAFT_VOTER) {
        return core_step(core, &event);
    }
    int role = self->role;
    self->role = RAFT_VOTER;
    enum errc rc = core_step_only(core, &event);
    self->role = role; /* a vote leaves the configuration alone */
    return rc == OK ? core_advance(core) : rc;
}

static enum errc receive_install(struct core *core, const struct core_message *message) {
    struct raft_message raft = message->raft;
    struct raft_install_snapshot *install = &raft.install_snapshot;
    enum errc rc = core_configuration_decode(message->configuration, &install->conf);
    if (rc != OK) {
        return rc == ERR_MALFORMED ? ERR_CORRUPT : rc; /* it was checked by the decoder */
    }
    /* Configuration and data are libraft's from here on: it frees them, or hands them back in its
     * update. */
    install->data.len = message->manifest.len;
    install->data.base = raft_malloc(install->data.len > 0 ? install->data.len : 1);
    if (install->data.base == NULL) {
        raft_configuration_close(&install->conf);
        return ERR_NO_MEMORY;
    }
    if (install->data.len > 0) {
        memcpy(install->data.base, message->manifest.data, install->data.len);
    }
    return receive_plain(core, &raft);
}

/* How many entries go into the next step. A configuration must be the first entry of its step: when
 * it stands behind others a follower records the index of the first of them for it, and may later
 * count the wrong majority. */
static unsigned count_step(struct core_bytes entries, unsigned left) {
    unsigned n = 0;
    while (n < left) {
        struct core_entry entry = core_message_next_entry(&entries);
        if (n > 0 && entry.type == CORE_CHANGE) {
            break;
        }
        n++;
    }
    return n;
}

/* `n` entries off the front of *entries, for libraft. It reads the data of configurations only and
 * keeps none: the log copies from the message's bytes. But it wants all entries to share one batch
 * that it may free, so it is given one that is empty. */
static enum errc take_entries(struct core_bytes *entries, unsigned n, struct raft_entry **ret) {
    struct raft_entry *taken = raft_calloc(n, sizeof taken[0]);
    void *batch = raft_malloc(1);
    if (taken == NULL || batch == NULL) {
        raft_free(taken);
        raft_free(batch);
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < n; i++) {
        struct core_entry entry = core_message_next_entry(entries);
        taken[i] =
            (struct raft_entry){.term = entry.term,
                                .type = (enum raft_entry_type)entry.type,
                                .buf = {.base = (void *)(uintptr_t)entry.data, .len = entry.len},
                                .batch = batch};
    }
    *ret = taken;
    return OK;
}

/* Entries below our log are in our snapshot: committed, and the same here. A message that comes so
 * late that it begins below would be appended by libraft at the end of the log; and one that begins
 * just before it, or that is only a heartbeat from below, be refused, because the term there is not
 * known any more. The leader would then take back what it knows that we have. */
static void skip_snapshotted(struct core *core, struct raft_append_entries *append,
                             struct core_bytes *entries) {
    while (append->prev_log_index < core->snapshot.index &&
           core_term_at(core, append->prev_log_index) == 0) {
        if (append->n_entries > 0) {
            append->prev_log_term = core_message_next_entry(entries).term;
            append->prev_log_index++;
            append->n_entries--;
        } else {
            append->prev_log_index = core->snapshot.index;
            append->prev_log_term = core->snapshot.term;
        }
    }
}

static enum errc receive_append(struct core *core, const struct core_message *message) {
    struct raft_message raft = message->raft;
    struct raft_append_entries *append = &raft.append_entries;
    struct core_bytes entries = message->entries;
    if (append->term >= raft_current_term(&core->raft)) {
        core->told = append->leader_commit > core->told ? append->leader_commit : core->told;
        skip_snapshotted(core, append, &entries);
    }
    unsigned left = append->n_entries;
    if (core->lacks_room) {
        left = core_count_without_room(core, append, entries);
    }
    if (core_is_installing(core)) {
        left = 0; /* libraft would not answer, and its leader take us for dead */
    }
    do {
        unsigned n = count_step(entries, left);
        struct raft_entry *step = NULL;
        enum errc rc = n > 0 ? take_entries(&entries, n, &step) : OK;
        if (rc != OK) {
            return rc;
        }
        append->entries = step;
        append->n_entries = n;
        uint64_t last_term = n > 0 ? step[n - 1].term : append->prev_log_term;
        rc = receive_plain(core, &raft);
        raft_free(step);
        if (rc != OK) {
            return rc;
        }
        append->prev_log_index += n;
        append->prev_log_term = last_term;
        left -= n;
    } while (left > 0);
    return OK;
}

static enum errc receive(struct core *core, struct core_message *message) {
    switch (message->raft.type) {
    case RAFT_APPEND_ENTRIES:
        return receive_append(core, message);
    case RAFT_INSTALL_SNAPSHOT:
        return receive_install(core, message);
    case RAFT_REQUEST_VOTE:
        return receive_vote_request(core, &message->raft);
    case RAFT_APPEND_ENTRIES_RESULT:
        core_note_room(core, message->raft.server_id, &message->raft.append_entries_result);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
    case RAFT_TIMEOUT_NOW:
        break;
    }
    return receive_plain(core, &message->raft);
}

static void note_heard(struct core *core, uint64_t id) {
    struct core_peer *peer = core_peer(core, id);
    if (peer != NULL) {
        peer->heard_ms = core->now_ms;
    }
}

enum errc core_receive(struct core *core, uint64_t now_ms, uint64_t peer,
                       struct core_bytes message) {
    CHECK(core->is_started);
    if (peer == 0 || peer == core->raft.id) {
        return ERR_MALFORMED;
    }
    struct core_message decoded;
    enum errc rc = core_message_decode(message, peer, &decoded);
    if (rc != OK) {
        return rc;
    }
    bool is_sound = decoded.is_read ? core_read_is_plausible(core, &decoded.read)
                                    : is_plausible(core, &decoded);
    if (!is_sound) {
        return ERR_MALFORMED;
    }
    core_begin(core, now_ms);
    note_heard(core, peer);
    if (decoded.is_read) {
        rc = core_read_receive(core, peer, &decoded.read);
    } else if (!is_untimely(core, &decoded.raft)) {
        rc = receive(core, &decoded);
    }
    return rc == OK ? core_end(core) : rc;
}
