/* One node of a region's Raft group: the thread that owns the core, the log writer, and the state
 * machine.
 *
 * Any thread proposes; the answer comes after the command was committed, stored and applied here,
 * through the proposal's callback on the Raft thread, which only passes it on to a mailbox. Group
 * commit: proposals that wait together share one log entry and one sync. */
#ifndef CLUSTER_NODE_H
#define CLUSTER_NODE_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/mailbox.h"
#include "base/world.h"
#include "cluster/command.h"
#include "storage/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct node;

struct node_options {
    const char *region;    /* copied */
    uint64_t id;           /* of this node: random, generated once, kept; never 0 */
    struct engine *engine; /* borrowed for the node's life */
    const struct world *world;
    unsigned election_timeout_ms; /* 0: default */
    uint64_t snapshot_entries;    /* 0: LIMIT_LOG_ENTRIES */
    uint64_t snapshot_bytes;      /* 0: LIMIT_LOG_BYTES */
    uint64_t snapshot_trailing;   /* 0: LIMIT_LOG_TRAILING; a group of one keeps nothing behind */
    /* The outbox of a region changed, or this node became leader (region NULL): wakes the shipper.
     * Raft thread; must not block. */
    void (*dirty_cb)(void *arg, const char *region);
    void *dirty_arg;
};

/* Opens, bootstraps a group of one on an empty engine, replays, starts the threads. Returns owned.
 */
MUSTCHECK enum errc node_start(const struct node_options *options, struct node **ret,
                               struct err *err);
/* Refuses further proposals, answers those that wait, stops the threads. The other functions may
 * still be called until node_free: whoever got the last answers may want to propose again. Takes
 * NULL too, as node_free does. */
void node_stop(struct node *node);
/* After node_stop, when nobody calls any more. */
void node_free(struct node *node);

struct proposal {
    struct letter letter; /* the node's while it is pending */
    enum command_type type;
    struct buf command; /* enveloped; owned by the proposal */
    /* Raft thread, exactly once after node_propose returned OK. The proposal is the callee's again.
     */
    void (*done_cb)(struct proposal *proposal);
    void *arg;
    /* Filled before done_cb. */
    enum errc
        code; /* OK: `result` is there; ERR_NOT_LEADER: nothing happened; ERR_OUTCOME_UNKNOWN */
    Redoubt__Result *result; /* owned by the proposal; command_result_free */
    uint64_t index;          /* log index it was applied at */
};

/* A proposal with its command encoded; NULL without memory or over LIMIT_COMMAND. Returns owned. */
struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command);
void proposal_free(struct proposal *proposal);

/* Takes the proposal when it returns OK. ERR_BUSY: the queue is full; ERR_UNAVAILABLE: stopping.
 * Any thread. */
MUSTCHECK enum errc node_propose(struct node *node, struct proposal *proposal);

/* OK when a read of the local state now is linearizable: this node is the only voter, leads, and
 * has applied an entry of its own term. ERR_UNAVAILABLE otherwise. Any thread, cheap. (With several
 * voters this becomes a confirmed round; see LIBRAFT.md 19.) */
MUSTCHECK enum errc node_read_barrier(const struct node *node);

struct node_status {
    const char *role; /* static: "leader", "follower", "candidate" */
    uint64_t term, commit, applied, first, last, log_bytes, snapshot;
    bool ready;
};
/* A recent picture. Any thread. */
void node_status(const struct node *node, struct node_status *ret);
bool node_is_leader(const struct node *node);

#endif
