#include "sim_queue.h"

#include "base/check.h"

#include <stdlib.h>

enum { FIRST_ROOM = 1024, WARM_UP = 8 };

static uint64_t next_random(struct sim_random *random) {
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void sim_random_init(struct sim_random *random, uint64_t seed) {
    random->state = seed;
    for (int i = 0; i < WARM_UP; i++) {
        (void)next_random(random);
    }
}

uint64_t sim_random_range(struct sim_random *random, uint64_t low, uint64_t high) {
    return low + next_random(random) % (high - low + 1);
}

bool sim_random_chance(struct sim_random *random, unsigned percent) {
    return sim_random_range(random, 0, 99) < percent;
}

void sim_queue_init(struct sim_queue *queue) {
    *queue = (struct sim_queue){0};
}

void sim_queue_fini(struct sim_queue *queue) {
    for (size_t i = 0; i < queue->count; i++) {
        free(queue->heap[i].bytes);
    }
    free(queue->heap);
    sim_queue_init(queue);
}

static bool is_before(const struct sim_event *a, const struct sim_event *b) {
    return a->time_ms < b->time_ms || (a->time_ms == b->time_ms && a->order < b->order);
}

static void swap(struct sim_event *a, struct sim_event *b) {
    struct sim_event held = *a;
    *a = *b;
    *b = held;
}

void sim_queue_push(struct sim_queue *queue, struct sim_event event) {
    if (queue->count == queue->room) {
        queue->room = queue->room == 0 ? (size_t)FIRST_ROOM : queue->room * 2;
        queue->heap = reallocarray(queue->heap, queue->room, sizeof queue->heap[0]);
        CHECK(queue->heap != NULL);
    }
    event.order = queue->next_order++;
    size_t at = queue->count++;
    queue->heap[at] = event;
    while (at > 0 && is_before(&queue->heap[at], &queue->heap[(at - 1) / 2])) {
        swap(&queue->heap[at], &queue->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool sim_queue_pop(struct sim_queue *queue, struct sim_event *ret) {
    if (queue->count == 0) {
        return false;
    }
    *ret = queue->heap[0];
    queue->heap[0] = queue->heap[--queue->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue->count; child++) {
            if (is_before(&queue->heap[child], &queue->heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return true;
        }
        swap(&queue->heap[at], &queue->heap[least]);
        at = least;
    }
}
