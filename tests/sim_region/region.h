/* One simulated region: nodes, the network between them, clients, an auditor. Everything that
 * happens follows from the seed. One thread. */
#ifndef TESTS_SIM_REGION_REGION_H
#define TESTS_SIM_REGION_REGION_H

#include "audit.h"
#include "base/check.h"
#include "client.h"
#include "node.h"
#include "queue.h"
#include "trace.h"

#include <stdbool.h>
#include <stdint.h>

enum { MS = 1000 }; /* microseconds */

/* What a node sends to another: one ordered stream. */
struct stream {
    uint64_t last_us;       /* the latest delivery that is scheduled */
    uint64_t epoch;         /* rises when it breaks; what was under way is lost */
    bool is_cut;            /* nothing arrives */
    uint64_t slow_us;       /* added to every delivery ... */
    uint64_t slow_until_us; /* ... until then */
};

struct counts {
    uint64_t crashes, elections, writes, reads, stale_reads, unknown, retries, refused, messages,
        lost, shortened, checkpoints, installs, changes, promotions, transfers, faults, torn, full;
};

struct region {
    uint64_t seed;
    uint64_t now_us;
    struct dice dice;
    struct queue queue;
    struct trace trace;
    struct audit audit;
    struct node nodes[REGION_NODES + 1];                       /* [0] is unused */
    struct stream streams[REGION_NODES + 1][REGION_NODES + 1]; /* [from][to] */
    struct client clients[REGION_CLIENTS];
    struct attempts attempts;
    uint64_t floor;     /* the highest index that an answered client has seen */
    uint64_t next_name; /* for tokens, values and checkpoints */
    unsigned voters;    /* at the start; changes of the membership leave as many */
    unsigned max_inflight;
    unsigned loss_per_mille;
    bool is_calm;   /* healing: no random harm any more */
    bool is_staged; /* and none while a certain course of things is played */
    struct deed_quotas quotas;
    struct counts counts;
};

/* The run that goes on: whoever fails prints it. */
extern struct region *running;
/* Prints the sentence, how to repeat, the last events, the nodes, and exits. */
__attribute__((noreturn)) void region_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Fails unless OK. */
void must(enum errc code, const char *what);

void region_init(struct region *region, uint64_t seed);
void region_fini(struct region *region);
/* One event; false when there is none before `end_us`. */
bool region_step(struct region *region, uint64_t end_us);
/* The leader of the highest term, NULL for none. */
struct node *region_leader(struct region *region);

/* Through the stream from one node to another, with all that can happen on it. Copies. */
void stream_send(struct region *region, unsigned from, unsigned to, struct core_bytes message);
/* Can a call from one node get an answer of the other? */
bool stream_is_open(const struct region *region, unsigned from, unsigned to);
void stream_break(struct region *region, unsigned from, unsigned to);

/* fault.c */
void fault_happen(struct region *region);
/* A course of things that chance hardly finds: a leader alone with what it still appends, while the
 * others go on without it and lose, again and again, what they had not synced. */
void fault_pause(struct region *region);
void fault_isolate_leader(struct region *region);
void fault_restart_followers(struct region *region);
void fault_heal(struct region *region);
void fault_schedule(struct region *region);

#endif
