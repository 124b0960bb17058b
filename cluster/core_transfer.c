/* Handing leadership over. See core.h.
 *
 * libraft's own transfer lets the target run as soon as it has the log's end, but under load there
 * is always more, and most are given up. So nothing new is taken first, and only when the target
 * has it all, and all of it is applied and answered here, is it told to run. */
#include "cluster/core_internal.h"

bool core_is_transferring(const struct core *core) {
    return core->transfer.target != 0;
}

/* libraft would go on for an election timeout of its own. Whether the target still runs is no
 * matter: it wins only with all that is committed. */
static void give_up(struct core *core) {
    core->transfer = (struct core_transfer){0};
    if (raft_transferee(&core->raft) != 0) {
        core->raft.leader_state.transferee = 0;
        core->raft.leader_state.transferring = false;
    }
}

static bool is_drained(const struct core *core) {
    uint64_t last = core_log_last(&core->log);
    raft_index match = 0;
    return raft_match_index(&core->raft, core->transfer.target, &match) == 0 && match == last &&
           core->applied == last;
}

enum errc core_transfer_advance(struct core *core) {
    struct core_transfer *transfer = &core->transfer;
    if (transfer->target == 0) {
        return OK;
    }
    if (core->role != CORE_LEADER || core->term != transfer->term) {
        *transfer = (struct core_transfer){0}; /* done */
        return OK;
    }
    if (core->now_ms >= transfer->end_ms ||
        (transfer->is_told && raft_transferee(&core->raft) == 0)) {
        give_up(core);
        return OK;
    }
    if (transfer->is_told || !is_drained(core)) {
        return OK;
    }
    transfer->is_told = true;
    struct raft_event event = {.type = RAFT_TRANSFER, .transfer.server_id = transfer->target};
    return core_step(core, &event);
}

uint64_t core_transfer_due_ms(const struct core *core) {
    return core->transfer.target != 0 ? core->transfer.end_ms : UINT64_MAX;
}

static bool is_candidate(struct core *core, const struct raft_server *server) {
    return server->role == RAFT_VOTER && server->id != core->raft.id &&
           core_is_live(core, server->id);
}

/* The voter with room that is furthest, and of two that are, the one that was heard of last. */
static uint64_t find_best(struct core *core) {
    const struct raft_configuration *configuration = &core->raft.configuration;
    uint64_t best = 0;
    uint64_t best_match = 0;
    uint64_t best_heard_ms = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        raft_index match = 0;
        if (!is_candidate(core, server) || core_peer_lacks_room(core, server->id) ||
            raft_match_index(&core->raft, server->id, &match) != 0) {
            continue;
        }
        uint64_t heard_ms = core_peer(core, server->id)->heard_ms;
        if (best == 0 || match > best_match || (match == best_match && heard_ms > best_heard_ms)) {
            best = server->id;
            best_match = match;
            best_heard_ms = heard_ms;
        }
    }
    return best;
}

enum errc core_transfer(struct core *core, uint64_t now_ms, uint64_t target) {
    CHECK(core->is_started);
    if (core->role != CORE_LEADER) {
        return ERR_NOT_LEADER;
    }
    if (target != 0) {
        const struct raft_server *server =
            core_configuration_find(&core->raft.configuration, target);
        if (server == NULL || server->role != RAFT_VOTER || target == core->raft.id) {
            return ERR_INVALID_PARAMETER;
        }
    }
    if (core_is_transferring(core) || core_is_changing(core)) {
        return ERR_BUSY;
    }
    core_begin(core, now_ms);
    if (target == 0) {
        target = find_best(core);
    } else if (!core_is_live(core, target)) {
        target = 0;
    }
    if (target == 0) {
        return ERR_UNAVAILABLE;
    }
    core->transfer = (struct core_transfer){
        .target = target, .term = core->term, .end_ms = core->now_ms + core->election_timeout_ms};
    return core_end(core);
}
