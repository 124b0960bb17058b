/* Virtual time: events ordered by when they happen, and dice that a seed repeats exactly.
 *
 * Two events of the same microsecond come out in the order in which they went in. One thread. */
#ifndef TESTS_SIM_REGION_QUEUE_H
#define TESTS_SIM_REGION_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

void dice_init(struct dice *dice, uint64_t seed);
uint64_t dice_next(struct dice *dice);
/* Uniform in [low, high]. */
uint64_t dice_roll(struct dice *dice, uint64_t low, uint64_t high);
/* True so many times of a thousand. */
bool dice_chance(struct dice *dice, unsigned per_mille);

enum event_kind {
    EVENT_MESSAGE,    /* of Raft, arrives at `node` */
    EVENT_WAKE,       /* the timer of `node` */
    EVENT_LOG_WRITE,  /* the writer of `node` writes the batch that it was handed */
    EVENT_LOG_SYNCED, /* and that is on disk */
    EVENT_GATHER,     /* `node` proposes what waits */
    EVENT_CHECKPOINT, /* `node` makes a checkpoint */
    EVENT_FETCH,      /* `node` has, or has not, got the checkpoint that it installs */
    EVENT_RESTART,    /* `node` comes back */
    EVENT_REQUEST,    /* attempt `id` arrives at `node` */
    EVENT_REPLY,      /* the answer to attempt `id` arrives at its client */
    EVENT_CLIENT,     /* client `id` does something, or has waited long enough */
    EVENT_FAULT,      /* something happens to somebody */
};

struct event {
    uint64_t time_us;
    uint64_t order; /* set by the queue */
    enum event_kind kind;
    unsigned node;
    unsigned from;  /* MESSAGE, REQUEST: 0 for a client */
    uint64_t epoch; /* of the node's life, of the stream, or of the client's wait: stale ones are
                       ignored */
    uint64_t id;    /* REQUEST, REPLY, CLIENT */
    uint8_t *bytes; /* MESSAGE: owned */
    size_t len;
};

struct queue {
    struct event *heap;
    size_t count;
    size_t room;
    uint64_t next_order;
};

void queue_fini(struct queue *queue); /* frees what is queued, too */
/* Takes event.bytes. */
void queue_push(struct queue *queue, struct event event);
/* False when empty. The caller owns ret->bytes. */
bool queue_pop(struct queue *queue, struct event *ret);

#endif
