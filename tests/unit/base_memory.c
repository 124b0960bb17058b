/* base/: buffers, arenas, wiped memory, bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/wipe.h"

static void test_buf_grows_to_its_cap(void **state) {
    struct buf buf;

    buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++) {
        buf_append_u8(&buf, (uint8_t)i);
    }
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)i);
    }
    buf_append_u8(&buf, 1);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 1000);
    buf_reset(&buf);
    assert_false(buf.failed);
    assert_int_equal(buf.len, 0);
    buf_append(&buf, "abc", 3);
    assert_memory_equal(buf.data, "abc", 3);
    buf_fini(&buf);
}

static void test_buf_after_a_failure_does_nothing(void **state) {
    struct buf buf;

    buf_init(&buf, 8);
    buf_append_str(&buf, "123456789");
    assert_true(buf.failed);
    buf_append_str(&buf, "1");
    assert_int_equal(buf.len, 0);
    assert_null(buf_reserve(&buf, 1));
    buf_fini(&buf);
}

static void test_buf_writes_integers_and_text(void **state) {
    struct buf buf;

    buf_init(&buf, 100);
    buf_append_le16(&buf, 0x0102);
    buf_append_le32(&buf, 0x03040506);
    buf_append_le64(&buf, 0x0708090a0b0c0d0eULL);
    buf_append_be64(&buf, 0x0102030405060708ULL);
    assert_memory_equal(buf.data,
                        "\x02\x01\x06\x05\x04\x03\x0e\x0d\x0c\x0b\x0a\x09\x08\x07"
                        "\x01\x02\x03\x04\x05\x06\x07\x08",
                        22);
    assert_int_equal(get_le16(buf.data), 0x0102);
    assert_int_equal(get_le32(buf.data + 2), 0x03040506);
    assert_true(get_le64(buf.data + 6) == 0x0708090a0b0c0d0eULL);
    assert_true(get_be64(buf.data + 14) == 0x0102030405060708ULL);
    buf_printf(&buf, "%d-%s", 7, "x");
    assert_int_equal(buf.len, 25);
    assert_memory_equal(buf.data + 22, "7-x", 3);
    buf_fini(&buf);
}

static void test_buf_take_hands_over(void **state) {
    struct buf buf;
    uint8_t *data;
    size_t len;

    buf_init(&buf, 10);
    buf_append_str(&buf, "mine");
    buf_take(&buf, &data, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "mine", 4);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 10);
    wipe_free(data);
    buf_fini(&buf);
}

static void count_up(void *arg) {
    int *count = arg;
    *count = *count * 10 + 1;
}

static void count_twice(void *arg) {
    int *count = arg;
    *count = *count * 10 + 2;
}

static void test_arena_gives_zeroed_memory_within_its_cap(void **state) {
    struct arena arena;
    int order = 0;

    arena_init(&arena, 10000);
    for (int i = 0; i < 50; i++) {
        unsigned char *bytes = arena_alloc(&arena, 100);
        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (int k = 0; k < 100; k++) {
            assert_int_equal(bytes[k], 0);
        }
        memset(bytes, 0xff, 100);
    }
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&arena, "%s/%d", "x", 12), "x/12");
    assert_true(arena_at_end(&arena, count_up, &order));
    assert_true(arena_at_end(&arena, count_twice, &order));
    assert_null(arena_alloc(&arena, 10000));
    assert_true(arena.failed);
    assert_null(arena_alloc(&arena, 1));
    assert_false(arena_at_end(&arena, count_up, &order)); /* runs at once */
    assert_int_equal(order, 1);
    arena_fini(&arena);
    assert_int_equal(order, 121); /* newest first */
    assert_non_null(arena_strdup(&arena, "again"));
    arena_fini(&arena);
}

static void test_arena_takes_no_overflow(void **state) {
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    assert_non_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_true(arena.failed);
    arena_fini(&arena);
}

static void test_wipe_realloc_keeps_and_moves(void **state) {
    char *text = wipe_strdup("a secret value");

    assert_non_null(text);
    text = wipe_realloc(text, 100000);
    assert_non_null(text);
    assert_string_equal(text, "a secret value");
    text = wipe_realloc(text, 15);
    assert_non_null(text);
    assert_string_equal(text, "a secret value");
    assert_null(wipe_realloc(text, 0));
    text = wipe_realloc(NULL, 3);
    assert_non_null(text);
    wipe_free(text);
    wipe_free(NULL);
}

static void test_wipe_overwrites(void **state) {
    char bytes[32];
    static const char zeros[sizeof(bytes)];

    memset(bytes, 'x', sizeof(bytes));
    wipe(bytes, sizeof(bytes));
    assert_memory_equal(bytes, zeros, sizeof(bytes));
    wipe(NULL, 0);
}

static void test_secret(void **state) {
    struct secret secret;

    assert_true(secret_init_copy(&secret, "s1\0x", 4));
    assert_int_equal(secret.len, 4);
    assert_memory_equal(secret.data, "s1\0x", 4);
    secret_fini(&secret);
    assert_null(secret.data);
    assert_int_equal(secret.len, 0);
    secret_fini(&secret);
    assert_true(secret_init(&secret, 0));
    secret_fini(&secret);
}

static void test_hex(void **state) {
    uint8_t raw[4];
    char text[9];

    hex_encode((const uint8_t *)"\x00\xff\x1a\xb2", 4, text);
    assert_string_equal(text, "00ff1ab2");
    assert_true(hex_decode("00FF1aB2", 8, raw, 4));
    assert_memory_equal(raw, "\x00\xff\x1a\xb2", 4);
    assert_false(hex_decode("00ff1ab", 7, raw, 4));
    assert_false(hex_decode("00ff1ag2", 8, raw, 4));
    assert_false(hex_decode("00ff1ab2 ", 9, raw, 4));
}

/* The check value of the Castagnoli polynomial, and of RFC 3720's 32 bytes. */
static void test_crc32c(void **state) {
    static const char digits[] = "123456789";
    uint8_t bytes[32];

    assert_true(crc32c(0, "123456789", 9) == 0xe3069283U);
    memset(bytes, 0, sizeof(bytes));
    assert_true(crc32c(0, bytes, sizeof(bytes)) == 0x8a9136aaU);
    memset(bytes, 0xff, sizeof(bytes));
    assert_true(crc32c(0, bytes, sizeof(bytes)) == 0x62a8ab43U);
    for (size_t cut = 0; cut <= 9; cut++) {
        assert_true(crc32c(crc32c(0, digits, cut), digits + cut, 9 - cut) == 0xe3069283U);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_grows_to_its_cap),
        cmocka_unit_test(test_buf_after_a_failure_does_nothing),
        cmocka_unit_test(test_buf_writes_integers_and_text),
        cmocka_unit_test(test_buf_take_hands_over),
        cmocka_unit_test(test_arena_gives_zeroed_memory_within_its_cap),
        cmocka_unit_test(test_arena_takes_no_overflow),
        cmocka_unit_test(test_wipe_realloc_keeps_and_moves),
        cmocka_unit_test(test_wipe_overwrites),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
