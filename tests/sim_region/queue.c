#include "queue.h"

#include "base/check.h"

#include <stdlib.h>

enum { FIRST_ROOM = 1024, WARM_UP = 8 };

uint64_t dice_next(struct dice *dice) {
    uint64_t z = dice->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void dice_init(struct dice *dice, uint64_t seed) {
    dice->state = seed;
    for (int i = 0; i < WARM_UP; i++) {
        (void)dice_next(dice);
    }
}

uint64_t dice_roll(struct dice *dice, uint64_t low, uint64_t high) {
    return low + dice_next(dice) % (high - low + 1);
}

bool dice_chance(struct dice *dice, unsigned per_mille) {
    return dice_roll(dice, 0, 999) < per_mille;
}

void queue_fini(struct queue *queue) {
    for (size_t i = 0; i < queue->count; i++) {
        free(queue->heap[i].bytes);
    }
    free(queue->heap);
    *queue = (struct queue){0};
}

static bool is_before(const struct event *a, const struct event *b) {
    return a->time_us < b->time_us || (a->time_us == b->time_us && a->order < b->order);
}

static void swap(struct event *a, struct event *b) {
    struct event held = *a;
    *a = *b;
    *b = held;
}

void queue_push(struct queue *queue, struct event event) {
    if (queue->count == queue->room) {
        queue->room = queue->room == 0 ? (size_t)FIRST_ROOM : queue->room * 2;
        queue->heap = reallocarray(queue->heap, queue->room, sizeof(queue->heap[0]));
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

bool queue_pop(struct queue *queue, struct event *ret) {
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
