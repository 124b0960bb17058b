/* Members without room to write: what they still take, and what the leader knows of them. See
 * core.h. */
#include "cluster/core_internal.h"

void core_set_room(struct core *core, bool has_room) {
    core->lacks_room = !has_room;
}

/* What remains of the message is one that the leader could have sent: it begins where our log ends
 * at the latest, and libraft commits no further than a message goes. The answer names no entry that
 * was left out, so the leader counts none of them, and sends them again: it has learnt nothing that
 * it could go on with, and does so with its next heartbeat, no sooner.
 *
 * Entries that we have others in place of are taken: else we would keep what is nobody's, and never
 * get to the end of a new leader's log. */
unsigned core_count_without_room(const struct core *core, const struct raft_append_entries *append,
                                 struct core_bytes entries) {
    uint64_t room = core_log_last(&core->log);
    unsigned n = 0;
    while (n < append->n_entries) {
        struct core_entry entry = core_message_next_entry(&entries);
        if (append->prev_log_index + n + 1 > room && entry.type == CORE_COMMAND) {
            break;
        }
        n++;
    }
    return n;
}

void core_note_room(struct core *core, uint64_t id,
                    const struct raft_append_entries_result *result) {
    struct core_peer *peer = core_peer(core, id);
    if (peer != NULL && core->role == CORE_LEADER && result->term == core->term) {
        peer->lacks_room = result->capacity == CORE_CAPACITY_NONE;
    }
}

bool core_peer_lacks_room(const struct core *core, uint64_t id) {
    const struct core_peer *peer = core_peer_find(core, id);
    return core->role == CORE_LEADER && peer != NULL && peer->lacks_room;
}

/* A voter that is not heard of is no help, but that is for the quorum to notice, unless another
 * lacks room. */
bool core_majority_lacks_room(const struct core *core) {
    const struct raft_configuration *configuration = &core->raft.configuration;
    unsigned lacking = 0;
    unsigned able = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        bool is_self = server->id == core->raft.id;
        if (server->role != RAFT_VOTER || !core_is_live(core, server->id)) {
            continue;
        }
        bool lacks = is_self ? core->lacks_room : core_peer_lacks_room(core, server->id);
        lacking += lacks;
        able += !lacks;
    }
    return lacking > 0 && able <= core_configuration_voters(configuration) / 2;
}
