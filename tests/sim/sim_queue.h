/* Virtual time: a queue of events ordered by when they happen, and a random source that a seed
 * repeats exactly.
 *
 * Two events of the same millisecond come out in the order in which they went in. One thread. */
#ifndef TESTS_SIM_QUEUE_H
#define TESTS_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

void sim_random_init(struct sim_random *random, uint64_t seed);
/* Uniform in [low, high]. */
uint64_t sim_random_range(struct sim_random *random, uint64_t low, uint64_t high);
/* True `percent` times of a hundred. */
bool sim_random_chance(struct sim_random *random, unsigned percent);

enum sim_event_kind {
    SIM_MESSAGE,    /* arrives at `node` */
    SIM_FLUSH,      /* the write in flight at `node` is on disk */
    SIM_WAKE,       /* the timer of `node` */
    SIM_RESTART,    /* `node` comes back */
    SIM_SUBMIT,     /* a client writes */
    SIM_READ,       /* a client reads, at `node` or, 0, anywhere */
    SIM_CHECKPOINT, /* the checkpoint that `node` makes is there */
    SIM_TRANSFER,   /* the leader is to hand over */
    SIM_FAULT,      /* something happens to somebody */
};

struct sim_event {
    uint64_t time_ms;
    uint64_t order; /* set by the queue */
    enum sim_event_kind kind;
    unsigned node;
    uint64_t epoch; /* of the node's life or the link's: stale events are ignored */
    unsigned from;  /* MESSAGE */
    uint8_t *bytes; /* MESSAGE: owned */
    size_t len;
};

struct sim_queue {
    struct sim_event *heap;
    size_t count;
    size_t room;
    uint64_t next_order;
};

void sim_queue_init(struct sim_queue *queue);
/* Frees what is queued, too. */
void sim_queue_fini(struct sim_queue *queue);
/* Takes event.bytes. */
void sim_queue_push(struct sim_queue *queue, struct sim_event event);
/* False when empty. The caller owns ret->bytes. */
bool sim_queue_pop(struct sim_queue *queue, struct sim_event *ret);

#endif
