#include "cluster/transport_queue.h"

#include "base/wipe.h"

#include <string.h>

struct queue_block {
    struct queue_block *next;
    size_t len;
    uint8_t data[QUEUE_BLOCK];
};

static struct queue_block *take_spare(struct queue_pool *pool) {
    struct queue_block *block = pool->spare;

    if (block != NULL) {
        pool->spare = block->next;
        pool->n_spare--;
        pool->least_spare = pool->n_spare < pool->least_spare ? pool->n_spare : pool->least_spare;
    }
    return block;
}

static struct queue_block *block_new(struct queue_pool *pool) {
    struct queue_block *block = take_spare(pool);

    if (block == NULL) {
        block = wipe_malloc(sizeof(*block));
    }
    if (block != NULL) {
        block->next = NULL;
        block->len = 0;
    }
    return block;
}

/* What passes here holds sealed values only: it is wiped when the memory goes. */
static void block_free(struct queue_pool *pool, struct queue_block *block) {
    block->next = pool->spare;
    pool->spare = block;
    pool->n_spare++;
}

void queue_pool_trim(struct queue_pool *pool) {
    size_t idle = pool->least_spare;

    while (idle > 0 && pool->n_spare > QUEUE_SPARE) {
        wipe_free(take_spare(pool));
        idle--;
    }
    pool->least_spare = pool->n_spare;
}

void queue_pool_fini(struct queue_pool *pool) {
    while (pool->spare != NULL) {
        wipe_free(take_spare(pool));
    }
}

/* Empty blocks behind the last one until `len` bytes fit; without memory none. */
static bool make_room(struct queue *queue, struct queue_pool *pool, size_t len) {
    size_t room = queue->last != NULL ? QUEUE_BLOCK - queue->last->len : 0;
    struct queue_block *made = NULL, *made_last = NULL;

    while (room < len) {
        struct queue_block *block = block_new(pool);
        if (block == NULL) {
            while (made != NULL) {
                block = made;
                made = made->next;
                block_free(pool, block);
            }
            return false;
        }
        if (made == NULL) {
            made = block;
        } else {
            made_last->next = block;
        }
        made_last = block;
        room += QUEUE_BLOCK;
    }
    /* `last` stays the one that is being filled. */
    if (queue->last == NULL) {
        queue->first = made;
        queue->last = made;
    } else {
        queue->last->next = made;
    }
    return true;
}

static void put(struct queue *queue, const uint8_t *data, size_t len) {
    while (len > 0) {
        struct queue_block *block = queue->last;
        size_t part = QUEUE_BLOCK - block->len;
        if (part == 0) {
            queue->last = block->next;
            continue;
        }
        part = part < len ? part : len;
        memcpy(block->data + block->len, data, part);
        block->len += part;
        data += part;
        len -= part;
        queue->len += part;
    }
}

bool queue_append(struct queue *queue, struct queue_pool *pool, const void *head, size_t head_len,
                  const void *body, size_t body_len) {
    if (head_len + body_len > 0 && !make_room(queue, pool, head_len + body_len)) {
        return false;
    }
    put(queue, head, head_len);
    put(queue, body, body_len);
    return true;
}

const uint8_t *queue_front(const struct queue *queue, size_t *ret_len) {
    if (queue->len == 0) {
        *ret_len = 0;
        return NULL;
    }
    *ret_len = queue->first->len - queue->at;
    return queue->first->data + queue->at;
}

void queue_drop(struct queue *queue, struct queue_pool *pool, size_t len) {
    if (len == 0) {
        return;
    }
    CHECK(queue->len >= len && queue->first->len - queue->at >= len);
    queue->at += len;
    queue->len -= len;
    if (queue->at == queue->first->len) {
        struct queue_block *block = queue->first;
        queue->first = block->next;
        queue->last = queue->last == block ? queue->first : queue->last;
        queue->at = 0;
        block_free(pool, block);
    }
}

void queue_clear(struct queue *queue, struct queue_pool *pool) {
    while (queue->first != NULL) {
        struct queue_block *block = queue->first;
        queue->first = block->next;
        block_free(pool, block);
    }
    *queue = (struct queue){NULL, NULL, 0, 0};
}
