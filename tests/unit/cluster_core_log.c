/* The cached tail of the log against a plain array, over a random course of appending, truncating
 * and dropping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/world.h"
#include "cluster/core_log.h"

enum { STEPS = 20000, MODEL_MAX = STEPS + 1, DATA_MAX = 40 };

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void compare(const struct core_log *log, const uint64_t *model, uint64_t first,
                    uint64_t last) {
    uint64_t bytes = 0;
    assert_int_equal(log->first, first);
    assert_int_equal(core_log_last(log), last);
    assert_null(core_log_get(log, first - 1));
    assert_null(core_log_get(log, last + 1));
    for (uint64_t i = first; i <= last; i++) {
        const struct core_entry *entry = core_log_get(log, i);
        assert_non_null(entry);
        assert_int_equal(entry->term, model[i]);
        assert_int_equal(entry->len, model[i] % DATA_MAX);
        for (size_t j = 0; j < entry->len; j++) {
            assert_int_equal(entry->data[j], (uint8_t)model[i]);
        }
        if (i > first) { /* one array, which an effect can point at */
            assert_ptr_equal(entry, core_log_get(log, i - 1) + 1);
        }
        bytes += entry->len;
    }
    assert_int_equal(log->bytes, bytes);
}

static void test_random_course(void **state) {
    static uint64_t model[MODEL_MAX + 1];
    uint64_t seed = 0;
    world_random(world_system(), &seed, sizeof seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct core_log log;
    core_log_init(&log);
    uint64_t first = 1;
    uint64_t last = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t dice = next_random(&seed) % 100;
        if (dice < 80) {
            uint8_t data[DATA_MAX];
            uint64_t value = next_random(&seed);
            memset(data, (int)(value & 0xff), sizeof data);
            struct core_entry entry = {value, CORE_COMMAND, data, value % DATA_MAX};
            assert_int_equal(core_log_append(&log, &entry), OK);
            model[++last] = value;
        } else if (dice < 90 && last >= first) {
            uint64_t from = last - next_random(&seed) % (last - first + 1) / 8;
            core_log_truncate(&log, from);
            last = from - 1;
        } else if (last >= first) {
            first += next_random(&seed) % (last - first + 2);
            core_log_drop_before(&log, first);
        }
        if (step % 97 == 0) {
            compare(&log, model, first, last);
        }
    }
    compare(&log, model, first, last);
    core_log_reset(&log, 1000000);
    assert_int_equal(core_log_last(&log), 999999);
    assert_int_equal(log.bytes, 0);
    core_log_fini(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_course)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
