/* The cache against a plain table, through random reads and writes: what it says is true, whatever
 * it has forgotten; what was only written it does not know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/index_keys.h"
#include "storage/record_cache.h"
#include "storage_index.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 300, STEPS = 200000, VALUE_MAX = 700, BYTES_MAX = 64 * 1024 };

struct row {
    bool is_there;
    size_t len;
    uint8_t value[VALUE_MAX];
};

static struct row table[2][KEYS];
static bool was_read[2][KEYS];

static enum family family_at(size_t i) {
    return i == 0 ? FAMILY_STATE : FAMILY_INDEX;
}

static char space_of(size_t family) {
    return family == 0 ? (char)KEY_SPACE_SECRET : (char)INDEX_SPACE_SECRET;
}

/* Lengths around the eight bytes that are hashed at once, and keys that begin with each other. */
static void key_at(struct key *key, size_t family, size_t i) {
    memset(key, 0, sizeof(*key));
    key->len = 1 + i % 23;
    memset(key->data, space_of(family), key->len);
    key->len +=
        (size_t)snprintf((char *)key->data + key->len, sizeof(key->data) - key->len, "%zu", i);
}

static void change(struct record_cache *cache, struct rng *rng, size_t family, size_t i) {
    struct row *row = &table[family][i];
    struct key key;

    key_at(&key, family, i);
    row->is_there = rng_below(rng, 4) != 0;
    row->len = row->is_there ? (size_t)rng_below(rng, VALUE_MAX) : 0;
    memset(row->value, (int)rng_below(rng, 256), row->len);
    record_cache_change(cache, family_at(family), &key, row->is_there ? row->value : NULL,
                        row->len);
}

static unsigned hits;

static void look(struct record_cache *cache, size_t family, size_t i) {
    const struct row *row = &table[family][i];
    const uint8_t *data = NULL;
    size_t len = 0;
    struct key key;

    key_at(&key, family, i);
    if (!record_cache_find(cache, family_at(family), &key, &data, &len)) {
        record_cache_add(cache, family_at(family), &key, row->is_there ? row->value : NULL,
                         row->len);
        was_read[family][i] = true;
        return;
    }
    hits++;
    assert_true(was_read[family][i]);
    assert_int_equal(data != NULL, row->is_there);
    assert_int_equal(len, row->len);
    if (data != NULL) {
        assert_memory_equal(data, row->value, len);
    }
}

static void test_says_the_truth(void **state) {
    struct rng rng = {.state = seed_of(20261124)};
    struct record_cache *cache = record_cache_new(BYTES_MAX);

    assert_non_null(cache);
    for (size_t step = 0; step < STEPS; step++) {
        size_t family = (size_t)rng_below(&rng, 2);
        size_t i = (size_t)rng_below(&rng, KEYS);
        if (rng_below(&rng, 2) == 0) {
            look(cache, family, i);
        } else {
            change(cache, &rng, family, i);
        }
    }
    assert_in_range(hits, STEPS / 20, STEPS); /* some were forgotten, some were not */
    record_cache_free(cache);
}

static void test_the_longest_unused_goes_first(void **state) {
    static const uint8_t value[1000];
    struct record_cache *cache = record_cache_new(BYTES_MAX);
    const uint8_t *data = NULL;
    size_t len = 0;
    struct key key;

    assert_non_null(cache);
    for (size_t i = 0; i < KEYS; i++) {
        key_at(&key, 0, 0);
        if (i > 0) {
            assert_true(record_cache_find(cache, FAMILY_STATE, &key, &data, &len));
        }
        key_at(&key, 0, i);
        record_cache_add(cache, FAMILY_STATE, &key, value, sizeof(value));
    }
    key_at(&key, 0, 1);
    assert_false(record_cache_find(cache, FAMILY_STATE, &key, &data, &len));
    key_at(&key, 0, KEYS - 1);
    assert_true(record_cache_find(cache, FAMILY_STATE, &key, &data, &len));
    assert_false(record_cache_find(cache, FAMILY_INDEX, &key, &data, &len));
    record_cache_free(cache);
}

static void test_values_are_not_kept(void **state) {
    struct record_cache *cache = record_cache_new(BYTES_MAX);
    const uint8_t *data = NULL;
    size_t len = 0;
    struct key key = {.len = 2, .data = {KEY_SPACE_VALUE, 'x'}};

    assert_non_null(cache);
    record_cache_add(cache, FAMILY_STATE, &key, "value", 5);
    record_cache_add(cache, FAMILY_STATE, &key, "value", 5);
    assert_false(record_cache_find(cache, FAMILY_STATE, &key, &data, &len));
    record_cache_free(cache);
}

static void test_what_is_too_large_is_forgotten(void **state) {
    static const uint8_t value[256 * 1024];
    struct record_cache *cache = record_cache_new(16U * 1024 * 1024);
    const uint8_t *data = NULL;
    size_t len = 0;
    struct key key;

    assert_non_null(cache);
    key_at(&key, 0, 1);
    record_cache_add(cache, FAMILY_STATE, &key, value, 10);
    record_cache_change(cache, FAMILY_STATE, &key, value, sizeof(value));
    assert_false(record_cache_find(cache, FAMILY_STATE, &key, &data, &len));
    record_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_the_truth),
        cmocka_unit_test(test_the_longest_unused_goes_first),
        cmocka_unit_test(test_values_are_not_kept),
        cmocka_unit_test(test_what_is_too_large_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
