/* Bytes that wait for a socket: a list of blocks, so that a queue grows and shrinks without moving
 * what is in it. Blocks come from a pool that the queues of a transport share; it keeps those that
 * were needed lately, as fresh memory costs more than what is done with it.
 * Internal to the transport; one thread. */
#ifndef CLUSTER_TRANSPORT_QUEUE_H
#define CLUSTER_TRANSPORT_QUEUE_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUEUE_BLOCK = 64 * 1024, /* bytes in one: a whole number of TLS records */
    QUEUE_SPARE = 16         /* blocks that a pool keeps in any case */
};

struct queue_block;

struct queue_pool {
    struct queue_block *spare; /* owned */
    size_t n_spare;
    size_t least_spare; /* since the last queue_pool_trim: so many were not needed */
};

struct queue {
    struct queue_block *first, *last; /* owned */
    size_t at;                        /* bytes of the first block that are gone */
    size_t len;                       /* bytes that wait */
};

/* From time to time: gives back what was not needed since the last call. */
void queue_pool_trim(struct queue_pool *pool);
void queue_pool_fini(struct queue_pool *pool);

/* Both pieces, one behind the other. Copies. False without memory: nothing was appended. */
MUSTCHECK bool queue_append(struct queue *queue, struct queue_pool *pool, const void *head,
                            size_t head_len, const void *body, size_t body_len);
/* The bytes in front, as many as lie together; borrowed until the queue changes. */
const uint8_t *queue_front(const struct queue *queue, size_t *ret_len);
/* Takes off so many of them, at most what queue_front has told. */
void queue_drop(struct queue *queue, struct queue_pool *pool, size_t len);
void queue_clear(struct queue *queue, struct queue_pool *pool);

#endif
