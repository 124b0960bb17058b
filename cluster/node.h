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
#include "base/limits.h"
#include "base/mailbox.h"
#include "base/world.h"
#include "cluster/command.h"
#include "cluster/installer.h"
#include "cluster/peer_client.h"
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
    /* The rest may be NULL for a group of one that stays alone (tests). */
    const char *data;            /* the data folder, for checkpoints; copied */
    const char *listen;          /* door of the transport, "host:port" */
    const char *address;         /* of this node as others reach it (member.h); copied */
    struct tls_files tls;        /* this node's identity, for the transport */
    struct peer_client *peers;   /* borrowed; told where the members are (peer_client_set_node) */
    struct installer *installer; /* borrowed */
    uint64_t disk_reserve;       /* bytes that must stay free in `data`, else no writes; 0: off */
    /* The outbox of a region changed, or this node became leader (region NULL): wakes the shipper.
     * Raft thread; must not block. */
    void (*dirty_cb)(void *arg, const char *region);
    void *dirty_arg;
};

/* Replays, starts the threads. The engine must have been given its first log entry by
 * node_bootstrap, or nothing by node_await_join (cluster/bootstrap.h), or hold a former life;
 * ERR_INVALID_PARAMETER with what to do for an empty one. Returns owned. */
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

/* OK when a read of the local state now is linearizable without asking anybody: this node is the
 * only voter, leads, and has applied an entry of its own term. ERR_UNAVAILABLE otherwise: use a
 * ticket. Any thread, cheap. */
MUSTCHECK enum errc node_read_barrier(const struct node *node);

/* A question to the group. */
enum ticket_kind {
    TICKET_READ,   /* may the local state be read? Answered OK when all that was acknowledged before
                      the question is applied here; a view made after the answer shows it */
    TICKET_LEADER, /* who leads? Answered OK at once when known, else when one is elected */
};
struct ticket {
    struct letter letter; /* the node's while it is pending */
    enum ticket_kind kind;
    uint64_t deadline_ms; /* monotonic: then it is answered ERR_UNAVAILABLE (ERR_NO_QUORUM where
                             this node hears of no majority) */
    /* Raft thread, exactly once after node_ask returned OK; only passes on. */
    void (*done_cb)(struct ticket *ticket);
    void *arg;
    uint64_t read_id; /* the node's */
    /* Filled before done_cb. */
    enum errc code;
    uint64_t leader; /* LEADER */
    bool is_self;    /* LEADER: this node leads and node_propose will be taken */
};
/* Takes the ticket when OK. ERR_BUSY, ERR_UNAVAILABLE (stopping): refused. Any thread. */
MUSTCHECK enum errc node_ask(struct node *node, struct ticket *ticket);

/* Membership and leadership, one at a time. */
enum node_change_kind { NODE_ADD, NODE_PROMOTE, NODE_REMOVE, NODE_TRANSFER, NODE_RAISE_LEVEL };
struct node_change {
    struct letter letter;
    enum node_change_kind kind;
    uint64_t id;                     /* TRANSFER: 0 for any */
    char address[LIMIT_ADDRESS + 1]; /* ADD */
    /* Raft thread, exactly once after node_change_ask returned OK: the change is committed (for
     * PROMOTE: it votes; for TRANSFER: another node leads), or refused with a reason. */
    void (*done_cb)(struct node_change *change);
    void *arg;
    enum errc code; /* ERR_NOT_LEADER: ask `leader` */
    uint64_t leader;
    char reason[256];
};
MUSTCHECK enum errc node_change_ask(struct node *node, struct node_change *change);

struct node_member {
    uint64_t id;
    char address[LIMIT_ADDRESS + 1];
    bool is_voter;
    bool is_self;
    bool is_leader;
    bool is_live; /* heard of within an election timeout (of the leader's view when it leads) */
    bool is_installing;
    bool is_disk_full;     /* of itself, and of others the leader's view */
    bool is_connected;     /* our stream to it */
    size_t queued_bytes;   /* that wait for it to take them */
    uint64_t dropped;      /* messages to it, since start */
    uint64_t match;        /* leader only, else 0 */
    uint64_t heard_ago_ms; /* UINT64_MAX: never */
    uint16_t level_max;    /* 0: not known */
};

struct node_status {
    const char *role; /* static: "leader", "follower", "candidate" */
    uint64_t id, leader;
    uint64_t term, commit, applied, first, last, log_bytes, snapshot;
    uint64_t age_ms; /* since this node last knew its state to be current (leader: confirmed by a
                        majority; follower: heard of the leader); UINT64_MAX: never */
    uint16_t level;  /* of commands that may be proposed */
    bool ready;      /* serves linearizable reads: a leader is known and was heard of */
    bool is_voter;
    bool is_disk_full; /* takes no writes */
    bool is_installing;
    uint64_t disk_free;    /* bytes; UINT64_MAX: not watched */
    uint64_t queued_bytes; /* of proposals */
    size_t n_members;
    struct node_member members[LIMIT_PEERS];
};
/* A recent picture. Any thread. */
void node_status(const struct node *node, struct node_status *ret);
bool node_is_leader(const struct node *node);
/* Its disk is full: it takes no writes, and as a follower does not keep up. Any thread, cheap. */
bool node_lacks_room(const struct node *node);
/* 0: none is known. Any thread, cheap. */
uint64_t node_leader(const struct node *node);
/* In the newest configuration that this node knows, voter or not. Any thread, cheap. */
bool node_has_member(const struct node *node, uint64_t id);
/* See node_status.age_ms. Any thread, cheap. */
uint64_t node_age_ms(const struct node *node);
/* Read certificates again (SIGHUP). Any thread; told in the log. */
void node_reload(struct node *node);

#endif
