/* The envelope of commands: what goes in comes out, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "cluster/envelope.h"

static void test_several_commands_come_back(void **state) {
    struct buf buf;
    buf_init(&buf, 1024);
    envelope_append(&buf, 7, 1, (const uint8_t *)"first", 5);
    envelope_append(&buf, 8, 2, NULL, 0);
    envelope_append(&buf, 65535, 65535, (const uint8_t *)"third", 5);
    assert_false(buf.failed);
    assert_int_equal(buf.len, 3 * ENVELOPE_SIZE + 10);

    const uint8_t *at = buf.data;
    size_t left = buf.len;
    struct envelope command;
    size_t used = 0;
    assert_int_equal(envelope_next(at, left, &command, &used), OK);
    assert_int_equal(command.type, 7);
    assert_int_equal(command.level_required, 1);
    assert_int_equal(command.payload_len, 5);
    assert_memory_equal(command.payload, "first", 5);
    at += used;
    left -= used;
    assert_int_equal(envelope_next(at, left, &command, &used), OK);
    assert_int_equal(command.type, 8);
    assert_int_equal(command.payload_len, 0);
    at += used;
    left -= used;
    assert_int_equal(envelope_next(at, left, &command, &used), OK);
    assert_int_equal(command.type, 65535);
    assert_int_equal(command.level_required, 65535);
    assert_memory_equal(command.payload, "third", 5);
    assert_int_equal(used, left);
    assert_int_equal(envelope_next(at + used, 0, &command, &used), ERR_CORRUPT);
    buf_fini(&buf);
}

/* The drawing in the header is on disk for ever. */
static void test_layout(void **state) {
    struct buf buf;
    buf_init(&buf, 64);
    envelope_append(&buf, 0x0102, 0x0304, (const uint8_t *)"xy", 2);
    static const uint8_t head[] = {0x52, 0x44, 1, 0, 0x02, 0x01, 0x04, 0x03, 2, 0, 0, 0};
    assert_int_equal(buf.len, ENVELOPE_SIZE + 2);
    assert_memory_equal(buf.data, head, sizeof head);
    assert_int_equal(get_le32(buf.data + 12), crc32c(crc32c(0, head, sizeof head), "xy", 2));
    buf_fini(&buf);
}

static void test_damage_is_seen(void **state) {
    struct buf buf;
    buf_init(&buf, 128);
    envelope_append(&buf, 3, 1, (const uint8_t *)"some payload", 12);
    struct envelope command = {.type = 99};
    size_t used = 77;
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(envelope_next(buf.data, len, &command, &used), ERR_CORRUPT);
    }
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        buf.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(envelope_next(buf.data, buf.len, &command, &used), ERR_CORRUPT);
        buf.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(command.type, 99); /* outputs are set on success only */
    assert_int_equal(used, 77);
    buf_fini(&buf);
}

/* With a good checksum, too: another version, a flag, a length beyond any command. */
static void test_unknown_kinds_are_refused(void **state) {
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0x53}, {2, 0}, {2, 2}, {3, 1}, {3, 0x80}, {11, 0xff}};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct buf buf;
        buf_init(&buf, 64);
        envelope_append(&buf, 3, 1, (const uint8_t *)"p", 1);
        buf.data[changes[i].at] = changes[i].value;
        put_le32(buf.data + 12, crc32c(crc32c(0, buf.data, 12), "p", 1));
        struct envelope command;
        size_t used;
        assert_int_equal(envelope_next(buf.data, buf.len, &command, &used), ERR_CORRUPT);
        buf_fini(&buf);
    }
}

static void test_a_full_buffer_takes_no_part(void **state) {
    struct buf buf;
    buf_init(&buf, 2 * ENVELOPE_SIZE + 3);
    envelope_append(&buf, 1, 1, (const uint8_t *)"abc", 3);
    size_t before = buf.len;
    envelope_append(&buf, 1, 1, (const uint8_t *)"d", 1);
    assert_true(buf.failed);
    assert_int_equal(buf.len, before);
    buf_fini(&buf);

    uint8_t byte = 0;
    buf_init(&buf, SIZE_MAX / 2);
    envelope_append(&buf, 1, 1, &byte, (size_t)LIMIT_COMMAND + 1);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_commands_come_back),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_damage_is_seen),
        cmocka_unit_test(test_unknown_kinds_are_refused),
        cmocka_unit_test(test_a_full_buffer_takes_no_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
