/* Linearizable reads. See core.h.
 *
 * libraft has none, so here is the usual way. A leader may be deposed and not know. It takes note
 * of its commit index, asks the voters whether they still are in its term, and once a majority has
 * said so, it knows that nobody else led when it took note: a newer leader would have needed the
 * vote, and with it the term, of one of them. Whoever has applied that index has all that was
 * acknowledged before the round began. Others ask the leader for such an index.
 *
 * A round serves all that waited when it began, however many; what comes later waits for the next.
 * A leader that was stopped between the two gets no answer, or one that was true when it asked,
 * which is after the read was asked for. */
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

#include <string.h>

/* The ids of two lives of a node must not meet: the answer to an ask of the former would be taken
 * for one of this. A life has so many. */
enum { ID_BITS = 29 };

void core_reads_init(struct core *core, uint32_t seed) {
    core->reads.last_id = (uint64_t)seed << ID_BITS;
    core->reads.covered = core->reads.last_id;
    core->reads.answered = core->reads.last_id;
}

static bool is_waiting(const struct core_reads *reads) {
    return reads->last_id > reads->covered && reads->n_ready < CORE_READY_MAX;
}

/* What was under way holds in the term it was asked in, with the leader it was asked of. The reads
 * themselves stay, and are asked anew. */
static void reset_when_changed(struct core *core) {
    struct core_reads *reads = &core->reads;
    if (reads->role == core->role && reads->term == core->term &&
        reads->leader_id == core->leader_id) {
        return;
    }
    reads->role = core->role;
    reads->term = core->term;
    reads->leader_id = core->leader_id;
    reads->round_runs = false;
    reads->asked = 0;
    reads->n_ready = 0;
    reads->covered = reads->answered;
    for (size_t i = 0; i < ARRAY_LEN(core->peers); i++) {
        core->peers[i].pong = 0;
        core->peers[i].ask = 0;
        core->peers[i].served = 0;
    }
}

static enum errc send(struct core *core, uint64_t peer, const struct core_read_message *message) {
    uint8_t *bytes = NULL;
    struct core_effect effect = {.kind = CORE_EFFECT_SEND, .peer = peer};
    enum errc rc = core_message_encode_read(message, &bytes, &effect.message.len);
    if (rc != OK) {
        return rc;
    }
    effect.message.data = bytes;
    return effects_push(&core->effects, &effect, bytes);
}

static void make_ready(struct core_reads *reads, uint64_t id, uint64_t index) {
    if (id > reads->covered) {
        CHECK(reads->n_ready < CORE_READY_MAX); /* or nothing would have been asked */
        reads->ready[reads->n_ready++] = (struct core_ready){.id = id, .index = index};
        reads->covered = id;
    }
}

/* ---- the leader ---- */

/* To every voter that has not answered. */
static enum errc send_pings(struct core *core) {
    const struct raft_configuration *configuration = &core->raft.configuration;
    const struct core_read_message ping = {
        .type = CORE_PING, .term = core->term, .number = core->reads.round};
    enum errc rc = OK;
    core->reads.sent_ms = core->now_ms;
    for (unsigned i = 0; i < configuration->n && rc == OK; i++) {
        const struct raft_server *server = &configuration->servers[i];
        const struct core_peer *peer = core_peer(core, server->id);
        if (server->role == RAFT_VOTER && server->id != core->raft.id &&
            peer->pong != core->reads.round) {
            rc = send(core, server->id, &ping);
        }
    }
    return rc;
}

static bool is_confirmed(struct core *core) {
    const struct raft_configuration *configuration = &core->raft.configuration;
    unsigned confirmed = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        confirmed +=
            server->role == RAFT_VOTER &&
            (server->id == core->raft.id || core_peer(core, server->id)->pong == core->reads.round);
    }
    return confirmed > core_configuration_voters(configuration) / 2;
}

static bool peers_wait(const struct core *core) {
    for (size_t i = 0; i < ARRAY_LEN(core->peers); i++) {
        if (core->peers[i].ask != 0) {
            return true;
        }
    }
    return false;
}

static enum errc round_begin(struct core *core) {
    struct core_reads *reads = &core->reads;
    reads->round_runs = true;
    reads->round++;
    reads->round_index = core->commit;
    reads->round_covers = is_waiting(reads) ? reads->last_id : 0;
    for (size_t i = 0; i < ARRAY_LEN(core->peers); i++) {
        core->peers[i].served = core->peers[i].ask;
        core->peers[i].ask = 0;
    }
    return send_pings(core);
}

static enum errc round_end(struct core *core) {
    struct core_reads *reads = &core->reads;
    enum errc rc = OK;
    reads->round_runs = false;
    make_ready(reads, reads->round_covers, reads->round_index);
    for (size_t i = 0; i < ARRAY_LEN(core->peers) && rc == OK; i++) {
        struct core_peer *peer = &core->peers[i];
        if (peer->served != 0 &&
            core_configuration_find(&core->raft.configuration, peer->id) != NULL) {
            rc = send(core, peer->id,
                      &(struct core_read_message){.type = CORE_READ_INDEX,
                                                  .term = core->term,
                                                  .number = peer->served,
                                                  .index = reads->round_index});
        }
        peer->served = 0;
    }
    return rc;
}

/* Until it has committed something itself, a leader does not know what the ones before it have. */
static enum errc lead(struct core *core) {
    struct core_reads *reads = &core->reads;
    bool may_begin = core_term_at(core, core->commit) == core->term;
    enum errc rc = OK;
    if (reads->round_runs && core->now_ms >= reads->sent_ms + core->heartbeat_ms) {
        rc = send_pings(core);
    }
    while (rc == OK) {
        if (!reads->round_runs && may_begin && (is_waiting(reads) || peers_wait(core))) {
            rc = round_begin(core);
        }
        if (rc != OK || !reads->round_runs || !is_confirmed(core)) {
            break;
        }
        rc = round_end(core);
    }
    return rc;
}

/* ---- all others ---- */

/* One ask at a time: what comes while it is under way goes into the next. */
static enum errc follow(struct core *core) {
    struct core_reads *reads = &core->reads;
    if (core->leader_id == 0 || core_is_installing(core)) {
        return OK;
    }
    bool is_late = reads->asked != 0 && core->now_ms >= reads->sent_ms + core->heartbeat_ms;
    if (reads->asked == 0 && is_waiting(reads)) {
        reads->asked = reads->last_id;
    } else if (!is_late) {
        return OK;
    }
    reads->sent_ms = core->now_ms;
    return send(core, core->leader_id,
                &(struct core_read_message){
                    .type = CORE_READ_ASK, .term = core->term, .number = reads->asked});
}

/* ---- both ---- */

/* An index that holds for a read holds for all before it. */
static enum errc answer(struct core *core) {
    struct core_reads *reads = &core->reads;
    size_t n = reads->n_ready;
    while (n > 0 && reads->ready[n - 1].index > core->applied) {
        n--;
    }
    if (n == 0 || core_is_installing(core)) {
        return OK;
    }
    reads->answered = reads->ready[n - 1].id;
    reads->n_ready -= n;
    memmove(reads->ready, reads->ready + n, reads->n_ready * sizeof reads->ready[0]);
    return core_push(core,
                     &(struct core_effect){.kind = CORE_EFFECT_READ, .read_id = reads->answered});
}

enum errc core_reads_advance(struct core *core) {
    reset_when_changed(core);
    enum errc rc = answer(core); /* first: it makes room for the next */
    if (rc == OK) {
        rc = core->role == CORE_LEADER ? lead(core) : follow(core);
    }
    return rc == OK ? answer(core) : rc;
}

uint64_t core_reads_due_ms(const struct core *core) {
    const struct core_reads *reads = &core->reads;
    bool is_due = reads->round_runs || (reads->asked != 0 && !core_is_installing(core));
    return is_due ? reads->sent_ms + core->heartbeat_ms : UINT64_MAX;
}

enum errc core_read(struct core *core, uint64_t now_ms, uint64_t *ret_id) {
    CHECK(core->is_started);
    core_begin(core, now_ms);
    uint64_t id = ++core->reads.last_id;
    enum errc rc = core_end(core);
    if (rc == OK) {
        *ret_id = id;
    }
    return rc;
}

/* ---- messages ---- */

bool core_read_is_plausible(const struct core *core, const struct core_read_message *message) {
    bool is_ours = core->role == CORE_LEADER && message->term == core->term;
    switch (message->type) {
    case CORE_PING: /* two leaders in one term cannot be */
        return !is_ours;
    case CORE_PONG: /* nor the answer to what was not asked */
        return !is_ours || message->number <= core->reads.round;
    case CORE_READ_ASK:
    case CORE_READ_INDEX: /* one that nobody asked for may be to what a former life asked */
        return true;
    }
    return false;
}

static enum errc receive_ping(struct core *core, uint64_t peer,
                              const struct core_read_message *message) {
    if (core->role != CORE_FOLLOWER || core->leader_id != peer) {
        return OK;
    }
    return send(core, peer,
                &(struct core_read_message){
                    .type = CORE_PONG, .term = core->term, .number = message->number});
}

static void receive_ask(struct core *core, struct core_peer *peer,
                        const struct core_read_message *message) {
    /* Asked again what the round that runs will answer. */
    bool is_served = core->reads.round_runs && message->number == peer->served;
    if (core->role == CORE_LEADER && !is_served) {
        peer->ask = message->number;
    }
}

/* What is said in another term than ours is over, or has not begun here: to lose it is allowed, the
 * sender asks again. */
enum errc core_read_receive(struct core *core, uint64_t peer_id,
                            const struct core_read_message *message) {
    struct core_reads *reads = &core->reads;
    struct core_peer *peer = core_peer(core, peer_id);
    if (message->term != core->term) {
        return OK;
    }
    switch (message->type) {
    case CORE_PING:
        return receive_ping(core, peer_id, message);
    case CORE_PONG:
        if (peer != NULL && core->role == CORE_LEADER && message->number == reads->round) {
            peer->pong = message->number;
        }
        return OK;
    case CORE_READ_ASK:
        if (peer != NULL) {
            receive_ask(core, peer, message);
        }
        return OK;
    case CORE_READ_INDEX:
        if (core->role == CORE_FOLLOWER && peer_id == core->leader_id && reads->asked != 0 &&
            message->number == reads->asked) {
            make_ready(reads, reads->asked, message->index);
            reads->asked = 0;
        }
        return OK;
    }
    return OK;
}
