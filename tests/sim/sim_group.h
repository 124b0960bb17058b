/* A group of simulated nodes: cluster/core, driven by its effects as production drives it, over a
 * virtual clock, disk and network.
 *
 * A node's write queue has latency and group commit; a crash keeps any prefix of what was in flight
 * and loses the rest. The network is lossy and can be cut in either direction, but keeps the order
 * of a connection. Everything follows from the seed. One thread. */
#ifndef TESTS_SIM_GROUP_H
#define TESTS_SIM_GROUP_H

#include "cluster/core.h"
#include "sim_check.h"
#include "sim_disk.h"
#include "sim_queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_NODES = 5, /* ids 1 to 5 */
    SIM_ELECTION_MS = 200,
    SIM_HEARTBEAT_MS = 40,
    SIM_PENDING_MAX = 4096,
    SIM_READS_MAX = 256, /* that wait at one node; the oldest gives up for the next */
    SIM_WRITE_BATCH = 6,
};

enum sim_write_kind { SIM_WRITE_ENTRIES, SIM_WRITE_SNAPSHOT, SIM_WRITE_INSTALL };

/* One operation in a node's write queue. */
struct sim_write {
    struct sim_write *next;
    enum sim_write_kind kind;
    uint64_t write_id; /* ENTRIES */
    uint64_t first;
    struct sim_blob *rows; /* owned, and each of them */
    size_t n_rows;
    struct core_snapshot snapshot; /* SNAPSHOT, INSTALL: its bytes are owned */
    uint64_t keep_from;            /* SNAPSHOT */
};

struct sim_writes {
    struct sim_write *first;
    struct sim_write **end;
};

/* A submitted entry that its client waits for. */
struct sim_pending {
    uint64_t index;
    uint64_t hash;
};

/* A read that its client waits for. */
struct sim_read {
    uint64_t id;
    uint64_t must; /* what it has to see */
    uint64_t asked_ms;
};

/* Roles by id, from the newest committed configuration that the node told of. */
enum sim_role { SIM_NO_MEMBER, SIM_STANDBY, SIM_VOTER, SIM_SPARE };

struct sim_node {
    unsigned id;
    bool is_up;
    uint64_t epoch; /* one life */
    struct core *core;
    struct sim_disk disk;
    struct sim_writes queue;
    struct sim_writes in_flight;
    struct sim_state state;
    struct sim_state durable_candidate; /* of the state when the write in flight began */
    struct sim_mirror mirror;
    enum sim_role members[SIM_NODES + 1];
    uint64_t members_index;
    uint64_t members_hash; /* of the configuration's bytes, addresses and all */
    struct sim_read reads[SIM_READS_MAX];
    size_t n_reads;
    struct sim_pending pending[SIM_PENDING_MAX];
    size_t n_pending;
    enum core_role role;
    bool snapshot_runs;
    bool checkpoint_runs; /* a follower needs one; the state as of its beginning: */
    struct sim_state checkpoint;
    uint64_t next_snapshot; /* applied index at which one is due */
    uint64_t wake_ms;
    uint64_t woken_ms;
    uint64_t paused_until_ms;
    uint64_t slow_until_ms;          /* its disk */
    uint64_t full_until_ms;          /* likewise: no room */
    uint64_t room;                   /* full: the last index that a command may have */
    uint64_t led_elsewhere_ms;       /* when it last tried to, being full */
    uint64_t commit_seen;            /* in this life */
    bool is_cut_from[SIM_NODES + 1]; /* what this node sends there is lost */
};

struct sim_counts {
    uint64_t elections, crashes, lost, snapshots, installs, installs_sent, adds, promotions,
        removals, readdresses, refused, garbage, outcome_unknown, reads, reads_answered, transfers,
        checkpoints, full, led_elsewhere;
};

struct sim_group {
    uint64_t seed;
    uint64_t now_ms;
    struct sim_random random;
    struct sim_queue queue;
    struct sim_check check;
    struct sim_node nodes[SIM_NODES + 1];           /* [0] is unused */
    uint64_t link_ms[SIM_NODES + 1][SIM_NODES + 1]; /* the last delivery on it */
    uint64_t next_command;
    unsigned loss_percent;
    unsigned max_inflight;
    unsigned voters; /* at the start; the group never has fewer */
    uint64_t last_election_ms;
    uint64_t next_address;
    unsigned handed_over; /* who led, and was told to hand over after the healing; 0: nobody */
    struct sim_counts counts;
};

/* Nodes 1 to `voters` hold the first configuration, the rest wait to be joined. All are started. */
void sim_group_init(struct sim_group *group, uint64_t seed, unsigned voters);
void sim_group_fini(struct sim_group *group);
/* Take one event; false when there is none. */
bool sim_group_deliver(struct sim_group *group, const struct sim_event *event);

void sim_node_crash(struct sim_group *group, struct sim_node *node);
void sim_node_start(struct sim_group *group, struct sim_node *node);
/* Up to `n` commands, as a client; nothing happens when it does not lead. */
void sim_node_submit(struct sim_group *group, struct sim_node *node, unsigned n);
/* A refusal for a good reason is counted, any other fails. */
void sim_node_change(struct sim_group *group, struct sim_node *node, enum core_change change,
                     unsigned id);
/* A read, as a client: checked when it is answered. */
void sim_node_read(struct sim_group *group, struct sim_node *node);
/* To anybody, or to `target`. False when it was refused, for a good reason. */
bool sim_node_transfer(struct sim_group *group, struct sim_node *node, unsigned target);
/* Its stream from `peer` broke. */
void sim_node_peer_lost(struct sim_group *group, struct sim_node *node, unsigned peer);
/* The leader of the highest term, NULL for none. */
struct sim_node *sim_group_leader(struct sim_group *group);
void sim_group_check_logs(struct sim_group *group);
void sim_group_print(struct sim_group *group);

#endif
