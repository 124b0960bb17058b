/* One simulated node: the real driver, log store and state machine of a life of the process, and
 * what outlives it: the disk, the checkpoints, the clocks.
 *
 * It does with the core's effects what cluster/node.c does, in the same order, and with the same
 * writer: one batch is written and synced while the next one is built. A crash may come between any
 * two effects. One thread. */
#ifndef TESTS_SIM_REGION_NODE_H
#define TESTS_SIM_REGION_NODE_H

#include "cluster/core.h"
#include "cluster/fsm.h"
#include "disk.h"
#include "queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region;

enum {
    REGION_NODES = 5, /* ids 1 to 5 */
    ELECTION_MS = 200,
    HEARTBEAT_MS = 20,
    NODE_CHECKPOINTS = 3,
};

enum member_role { MEMBER_NONE, MEMBER_STANDBY, MEMBER_VOTER, MEMBER_SPARE };

/* The log writer: one batch in flight, one that is being built. */
enum writer_stage { WRITER_IDLE, WRITER_HANDED, WRITER_WRITTEN };
struct writer {
    struct log_batch *open; /* NULL: nothing is being built */
    uint64_t open_write_id; /* 0: no entries in it */
    bool open_is_snapshot;
    struct log_batch *in_flight;
    enum writer_stage stage;
    uint64_t write_id;
    bool is_snapshot;
    uint64_t flushed; /* of the disk, when the batch was written */
};

/* A command that waits to be proposed, and one that was. */
struct proposal {
    uint64_t attempt; /* 0: the node's own */
    uint64_t floor;
    struct deed deed;
};
struct pending {
    uint64_t index;
    unsigned place;
    uint64_t attempt;
    uint64_t hash;
};
struct reading {
    uint64_t id;
    uint64_t attempt;
};

struct checkpoint {
    uint64_t id; /* 0: none */
    uint64_t applied;
    struct disk_image image;
};

struct node {
    unsigned id;
    /* These outlive the process. */
    struct disk *disk;
    struct checkpoint checkpoints[NODE_CHECKPOINTS];
    unsigned next_checkpoint;
    uint64_t mono_base_ms;  /* its clock said this ... */
    uint64_t mono_since_us; /* ... then, and runs at `mono_rate` per mille */
    unsigned mono_rate;
    int64_t wall_offset_ms;
    uint64_t epoch; /* one life */
    char address[32];

    /* A life. */
    bool is_up;
    bool is_dying; /* it crashes before anything else happens to it */
    struct engine *engine;
    struct core *core;
    struct fsm *fsm;
    struct writer writer;
    uint64_t term; /* as written last */
    uint64_t voted_for;
    bool has_voted; /* in the turn that goes on */
    enum core_role role;
    uint64_t commit;
    uint64_t wake_number;
    uint64_t wake_ms;
    enum member_role members[REGION_NODES + 1]; /* of the newest committed configuration */
    uint64_t members_index;
    bool region_is_proposed;
    struct proposal *proposals; /* owned */
    size_t n_proposals;
    size_t proposals_room;
    bool gather_is_due;
    struct pending *pending; /* owned */
    size_t n_pending;
    size_t pending_room;
    struct reading *readings; /* owned */
    size_t n_readings;
    size_t readings_room;

    /* Snapshots: one at a time is written; a checkpoint is being made; one is being installed. */
    bool snapshot_runs;
    uint64_t snapshot_index;
    uint8_t manifest[32];
    size_t manifest_len;
    uint64_t next_shorten; /* applied index */
    bool checkpoint_is_due;
    struct core_snapshot install; /* index 0: none; configuration and manifest are owned */
    unsigned fetches;

    /* Trouble. */
    uint64_t paused_until_us;
    uint64_t slow_until_us;    /* its disk */
    uint64_t full_until_us;    /* likewise: no room */
    uint64_t room;             /* full: the last index that a command may have */
    uint64_t led_elsewhere_us; /* when it last tried to, being full */
};

uint64_t node_mono_ms(const struct region *region, const struct node *node);
int64_t node_wall_ms(const struct region *region, const struct node *node);
/* The clock goes on from here, by this much later or at this rate. */
void node_set_clock(struct region *region, struct node *node, uint64_t ahead_ms, unsigned rate);

void node_init(struct region *region, unsigned id);
void node_fini(struct node *node);
/* The first entry of a new group. */
void node_bootstrap(struct node *node, const uint8_t *configuration, size_t len);
void node_start(struct region *region, struct node *node);
/* Loss of power (what was not synced may be gone), or of the process alone. */
void node_crash(struct region *region, struct node *node, bool power);
/* An event of this node. Takes the event's bytes. */
void node_deliver(struct region *region, struct node *node, struct event *event);

/* Requests, by whoever they come. The answers go to client_answer. */
void node_propose(struct region *region, struct node *node, const struct proposal *proposal);
void node_read(struct region *region, struct node *node, uint64_t attempt);
void node_change(struct region *region, struct node *node, enum core_change change, unsigned id);
void node_transfer(struct region *region, struct node *node, unsigned target);
bool node_is_full(const struct region *region, const struct node *node);
/* After any of the core's events: its effects, and what follows from them. */
void node_settle(struct region *region, struct node *node);

/* writer.c */
void writer_reset(struct writer *writer);
struct log_batch *writer_open(struct node *node);
void writer_submit(struct region *region, struct node *node, uint64_t write_id, bool is_snapshot);
void writer_vote(struct node *node, uint64_t term, uint64_t voted_for);
void writer_write(struct region *region, struct node *node);
void writer_synced(struct region *region, struct node *node);

/* snapshot.c */
void snapshot_shorten(struct region *region, struct node *node);
void snapshot_wanted(struct region *region, struct node *node);
void snapshot_checkpoint(struct region *region, struct node *node, uint64_t id);
void snapshot_written(struct region *region, struct node *node);
void snapshot_install(struct region *region, struct node *node, const struct core_snapshot *from);
void snapshot_fetch(struct region *region, struct node *node);
void snapshot_forget(struct node *node);

/* node.c, for snapshot.c: the state machine and the core over the node's disk. */
void node_open(struct region *region, struct node *node);
void node_close(struct node *node);

#endif
