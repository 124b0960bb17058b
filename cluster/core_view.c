/* What the core shows of itself; nothing here changes anything. See core.h. */
#include "cluster/core_internal.h"

enum core_role core_role(const struct core *core) {
    return core->role;
}

uint64_t core_term(const struct core *core) {
    return core->term;
}

uint64_t core_leader_id(const struct core *core) {
    return core->leader_id;
}

uint64_t core_commit_index(const struct core *core) {
    return core->commit;
}

uint64_t core_told_index(const struct core *core) {
    return core->told > core->commit ? core->told : core->commit;
}

uint64_t core_applied_index(const struct core *core) {
    return core->applied;
}

uint64_t core_first_index(const struct core *core) {
    return core->log.first;
}

uint64_t core_last_index(const struct core *core) {
    return core_log_last(&core->log);
}

uint64_t core_log_bytes(const struct core *core) {
    return core->log.bytes;
}

bool core_is_current_leader(const struct core *core) {
    return core->role == CORE_LEADER && core_term_at(core, core->applied) == core->term;
}

bool core_is_only_voter(const struct core *core) {
    return core_configuration_is_lone_voter(&core->raft.configuration, core->raft.id);
}

uint64_t core_uncommitted_bytes(const struct core *core) {
    return core->uncommitted;
}

unsigned core_log_newest(const struct core *core, unsigned most, uint64_t bytes) {
    unsigned n = 0;
    uint64_t sum = 0;
    for (uint64_t index = core_log_last(&core->log); n < most && index >= core->log.first;
         index--) {
        sum += core_log_get(&core->log, index)->len;
        if (sum > bytes) {
            break;
        }
        n++;
    }
    return n;
}

unsigned core_members_count(const struct core *core) {
    return core->raft.configuration.n;
}

void core_member_at(const struct core *core, unsigned place, struct core_member *ret) {
    CHECK(place < core->raft.configuration.n);
    const struct raft_server *server = &core->raft.configuration.servers[place];
    *ret = (struct core_member){.id = server->id,
                                .address = server->address,
                                .role = server->role == RAFT_VOTER ? CORE_VOTER : CORE_SPARE};
    if (server->id == core->raft.id) {
        ret->match = core->persisted;
        ret->heard_ms = core->now_ms;
        ret->lacks_room = core->lacks_room;
        return;
    }
    const struct core_peer *peer = core_peer_find(core, server->id);
    raft_index match = 0;
    if (core->role == CORE_LEADER && raft_match_index(&core->raft, server->id, &match) == 0) {
        ret->match = match;
    }
    if (peer != NULL) {
        ret->heard_ms = peer->heard_ms;
        ret->lacks_room = core_peer_lacks_room(core, server->id);
        ret->is_installing =
            core->role == CORE_LEADER && peer->snapshot > match && core_is_live(core, server->id);
    }
}

bool core_is_voter(const struct core *core) {
    const struct raft_server *self =
        core_configuration_find(&core->raft.configuration, core->raft.id);
    return self != NULL && self->role == RAFT_VOTER;
}

bool core_change_is_running(const struct core *core) {
    return core->raft.configuration_uncommitted_index != 0 || core->promotee != 0;
}
