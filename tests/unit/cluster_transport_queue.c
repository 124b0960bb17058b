/* The queue in front of a socket: bytes come out as they went in, and memory goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/world.h"
#include "cluster/transport_queue.h"

enum { STEPS = 5000, PIECE_MAX = 3 * QUEUE_BLOCK };

static uint8_t byte_at(size_t place) {
    return (uint8_t)(place * 31 + place / 251);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void append(struct queue *queue, struct queue_pool *pool, size_t *in, size_t head,
                   size_t body) {
    static uint8_t bytes[PIECE_MAX + 16];

    for (size_t i = 0; i < head + body; i++) {
        bytes[i] = byte_at(*in + i);
    }
    assert_true(queue_append(queue, pool, bytes, head, bytes + head, body));
    *in += head + body;
}

/* Takes off up to `most` of what lies in front. */
static void take(struct queue *queue, struct queue_pool *pool, size_t *out, size_t most) {
    size_t len = 0;
    const uint8_t *front = queue_front(queue, &len);

    len = len < most ? len : most;
    for (size_t i = 0; i < len; i++) {
        if (front[i] != byte_at(*out + i)) {
            fail_msg("byte %zu is another one", *out + i);
        }
    }
    queue_drop(queue, pool, len);
    *out += len;
}

static void test_random_pieces(void **state) {
    const char *given = getenv("REDOUBT_SEED");
    uint64_t seed =
        given != NULL ? strtoull(given, NULL, 0) : (uint64_t)world_wall_ms(world_system()) | 1;
    struct queue_pool pool = {.n_spare = 0};
    struct queue queues[2] = {{.len = 0}, {.len = 0}}; /* of one pool */
    size_t in[2] = {0, 0}, out[2] = {0, 0}, len;

    print_message("REDOUBT_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < STEPS; i++) {
        uint64_t dice = next_random(&seed);
        size_t which = dice & 1, size = (size_t)(dice >> 20) % ((dice & 6) != 0 ? 300 : PIECE_MAX);
        if ((dice >> 8) % 3 != 0 && in[which] - out[which] < 4 * 1024 * 1024) {
            append(&queues[which], &pool, &in[which], (size_t)(dice >> 12) % 9, size);
        } else {
            take(&queues[which], &pool, &out[which], (dice & 8) != 0 ? size : SIZE_MAX);
        }
        assert_int_equal(queues[which].len, in[which] - out[which]);
        if (dice % 1000 == 0) {
            queue_pool_trim(&pool);
        }
    }
    while (queues[0].len > 0) {
        take(&queues[0], &pool, &out[0], SIZE_MAX);
    }
    assert_int_equal(out[0], in[0]);
    assert_null(queue_front(&queues[0], &len));
    assert_int_equal(len, 0);
    queue_clear(&queues[0], &pool);
    queue_clear(&queues[1], &pool); /* with what waits in it */
    assert_int_equal(queues[1].len, 0);
    queue_pool_fini(&pool);
    assert_int_equal(pool.n_spare, 0);
}

static void test_spare_memory_goes_back(void **state) {
    struct queue_pool pool = {.n_spare = 0};
    struct queue queue = {.len = 0};
    size_t in = 0, out = 0;

    for (int i = 0; i < 40; i++) {
        append(&queue, &pool, &in, 0, PIECE_MAX);
    }
    while (queue.len > 0) {
        take(&queue, &pool, &out, SIZE_MAX);
    }
    assert_true(pool.n_spare >= 119);
    queue_pool_trim(&pool); /* all of it was needed just now */
    assert_true(pool.n_spare >= 119);
    append(&queue, &pool, &in, 0, PIECE_MAX);
    queue_pool_trim(&pool);
    assert_in_range(pool.n_spare, 1, QUEUE_SPARE);
    queue_clear(&queue, &pool);
    queue_pool_fini(&pool);
}

static void test_nothing_is_something(void **state) {
    struct queue_pool pool = {.n_spare = 0};
    struct queue queue = {.len = 0};
    size_t len = 1;

    assert_true(queue_append(&queue, &pool, NULL, 0, NULL, 0));
    assert_null(queue_front(&queue, &len));
    assert_int_equal(len, 0);
    queue_drop(&queue, &pool, 0);
    assert_true(queue_append(&queue, &pool, "ab", 2, NULL, 0));
    assert_memory_equal(queue_front(&queue, &len), "ab", 2);
    assert_int_equal(len, 2);
    queue_drop(&queue, &pool, 1);
    assert_memory_equal(queue_front(&queue, &len), "b", 1);
    queue_drop(&queue, &pool, 1);
    assert_null(queue_front(&queue, &len));
    queue_clear(&queue, &pool);
    queue_pool_fini(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_pieces),
        cmocka_unit_test(test_spare_memory_goes_back),
        cmocka_unit_test(test_nothing_is_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
