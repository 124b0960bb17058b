/* What the node's own files share: the Raft thread's state and the turn of its loop.
 *
 * node.c starts, stops and turns; node_proposals.c takes commands to the log, node_tickets.c
 * answers questions, node_snapshot.c shortens the log and makes checkpoints, node_members.c keeps
 * the streams pointed at the membership, node_changes.c changes it, node_status.c publishes the
 * picture that other threads see. Raft thread, but for what says otherwise. */
#ifndef CLUSTER_NODE_INTERNAL_H
#define CLUSTER_NODE_INTERNAL_H

#include "base/limits.h"
#include "cluster/core.h"
#include "cluster/fsm.h"
#include "cluster/log_writer.h"
#include "cluster/node.h"
#include "cluster/transport.h"
#include "storage/checkpoint.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* The proposals that share one log entry, until it is applied or its leader is lost. */
struct pending {
    struct pending *next;
    uint64_t index;
    unsigned count;
    struct proposal **proposals; /* by place */
};

/* Letters in order, with both ends at hand. */
struct letter_list {
    struct letter *first;
    struct letter **last;
};

/* What is known of a member besides the configuration, and of a stranger: a node of the region that
 * dialled this one and is in no configuration known here. A node that joins, or was away while the
 * membership changed, must be able to answer a leader that it does not know yet. */
struct node_peer {
    uint64_t id;
    bool is_stranger;
    char address[LIMIT_ADDRESS + 1]; /* as its last hello told; "" before */
    uint16_t level_min, level_max;   /* 0: not told yet */
    uint64_t caught_up_ms;           /* spare: since when it keeps up; 0: it does not */
};

/* Group commit. Clients whose writes were just answered tend to write again at once, and an entry
 * costs much the same with one command as with fifty: so the next one waits a little for as many as
 * took part in the last, or waited when it was done. */
struct node_linger {
    uv_poll_t poll;
    int fd; /* a timer */
    bool is_on;
    unsigned awaited;      /* commands */
    uint64_t submitted_us; /* the last entry */
};

/* The change that runs; NULL in `request`: none. */
struct node_change_state {
    struct node_change *request;
    struct letter_list waiting;
    uint64_t deadline_ms;
    bool is_begun;
    uint16_t level; /* RAISE_LEVEL: to this one; 0: not known yet */
};

/* Which levels the releases know that the members run. Of those that never told: nothing. */
struct node_levels {
    uint16_t lowest, highest;
    uint64_t lowest_id;
    uint64_t silent_id; /* one that did not tell, or is not heard now; 0: all are */
};

/* A checkpoint on its way. */
struct node_checkpoint {
    uv_work_t work;
    bool is_running; /* the work is with libuv's pool */
    bool is_wanted;  /* a follower waits for one */
    bool is_removal; /* the work removes old ones */
    enum errc code;
    struct err err;
    struct checkpoint_manifest
        *manifest;          /* owned; of the work, then of the metadata being written */
    struct buf bytes;       /* the manifest, encoded, until the metadata are durable */
    char id[CHECKPOINT_ID]; /* the one on disk; "" none */
    uint64_t made_ms;
};

struct node {
    struct node_options options; /* its strings are the ones below */
    char region[LIMIT_REGION_NAME + 1];
    char data[4096];
    char address[LIMIT_ADDRESS + 1];
    unsigned election_ms;
    uint64_t snapshot_entries;
    uint64_t snapshot_bytes;
    unsigned snapshot_trailing;

    /* Shared. */
    struct mailbox *proposals;
    struct mailbox *tickets_box;
    struct mailbox *changes_box;
    atomic_size_t queued_bytes;
    atomic_bool ready; /* alone, leading, current: reads need no ticket */
    atomic_bool leader;
    atomic_uint_fast64_t leader_id; /* 0: none is known */
    atomic_bool stopping;
    atomic_bool reload;
    atomic_bool disk_full;
    atomic_uint_fast64_t current_ms; /* when the state was last known to be current; 0: never */
    pthread_mutex_t status_lock;
    struct node_status status;

    /* The Raft thread's. */
    pthread_t thread;
    uv_loop_t loop;
    uv_poll_t proposals_poll;
    uv_poll_t tickets_poll;
    uv_poll_t changes_poll;
    uv_poll_t written_poll;
    uv_timer_t wake_timer;
    uv_timer_t tick_timer;
    uv_timer_t lost_timer; /* runs in the next turn, for lost_peer */
    uint64_t lost_peer;
    struct transport *transport; /* NULL: a group of one that stays alone */
    struct core *core;
    struct fsm *fsm;
    struct log_writer *writer;
    struct pending *pending;
    struct pending **pending_last;
    struct letter_list waiting; /* proposals that the core does not take yet, */
    unsigned n_waiting;         /* how many, */
    size_t waiting_bytes;       /* and of what size */
    struct node_linger linger;
    struct letter_list reads; /* tickets */
    struct letter_list leaders;
    struct node_change_state change;
    struct node_checkpoint checkpoint;
    struct node_peer peers[2 * LIMIT_PEERS];
    size_t n_peers;
    uint64_t strangers_looked_ms;
    bool has_to_dial;
    uint64_t
        members_digest; /* of the member list that the streams and the peer client were given */
    enum core_role role;
    uint64_t seen_term, seen_leader; /* for the counters */
    uint64_t snapshot_index;
    bool snapshot_runs;
    bool region_proposed;
    bool in_turn;
    bool is_closing;
    uint64_t disk_looked_ms;
    uint64_t disk_free;
    uint64_t transfer_tried_ms;
};

/* node.c */
uint64_t node_now(const struct node *node);
/* Executes the effects of the event before and everything that follows from it. Ends the process
 * when `code` is not OK (LIBRAFT.md, contract 9). */
void node_turn(struct node *node, const char *event, enum errc code);
_Noreturn void node_die(const char *what, enum errc code);

static inline void letter_list_init(struct letter_list *list) {
    list->first = NULL;
    list->last = &list->first;
}
static inline void letter_list_push(struct letter_list *list, struct letter *letter) {
    letter->next = NULL;
    *list->last = letter;
    list->last = &letter->next;
}
static inline struct letter *letter_list_pop(struct letter_list *list) {
    struct letter *letter = list->first;
    if (letter != NULL) {
        list->first = letter->next;
        if (list->first == NULL) {
            list->last = &list->first;
        }
    }
    return letter;
}

/* node_proposals.c */
void node_proposals_open(struct node *node);
void node_proposals_take(struct node *node); /* from the mailbox */
/* Hands to the core what it takes now. */
void node_proposals_pump(struct node *node);
void node_proposals_result(struct node *node, uint64_t index, unsigned place,
                           Redoubt__Result *result);
/* The leadership is lost: what was appended may or may not be committed by the next leader. */
void node_proposals_lost(struct node *node);
/* Nothing is taken any more. */
void node_proposals_close(struct node *node);
void node_propose_region(struct node *node);

/* node_tickets.c */
void node_tickets_take(struct node *node);
void node_tickets_read(struct node *node, uint64_t read_id);
void node_tickets_look(struct node *node); /* a leader may be known now */
void node_tickets_expire(struct node *node, bool all);

/* node_snapshot.c */
void node_snapshot_look(struct node *node);
void node_snapshot_written(struct node *node);
void node_checkpoint_want(struct node *node);
void node_checkpoint_tick(struct node *node);

/* node_members.c */
void node_members_look(struct node *node); /* the configuration may have changed */
void node_members_hello(struct node *node, const struct transport_hello *hello);
void node_members_tick(struct node *node);
/* NULL when it is no member. */
struct node_peer *node_peer_find(struct node *node, uint64_t id);
bool node_member_find(const struct node *node, uint64_t id, struct core_member *ret);

/* node_changes.c */
void node_changes_take(struct node *node); /* from the mailbox */
/* Begins to hand the leadership over (0: to any); counted. As core_transfer. */
MUSTCHECK enum errc node_transfer(struct node *node, uint64_t target);
struct node_levels node_levels(struct node *node);
void node_changes_look(struct node *node); /* what runs may have come further */
void node_changes_close(struct node *node);

/* node_status.c */
const char *node_role_name(enum core_role role); /* static */
void node_status_publish(struct node *node, bool with_members);
void node_disk_look(struct node *node);
bool node_is_current(const struct node *node);

#endif
