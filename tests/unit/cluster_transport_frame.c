/* The bytes on a stream between nodes: their layout, for ever, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cluster/transport_frame.h"

static struct frame_hello sample(void) {
    struct frame_hello hello = {.version_min = 1,
                                .version_max = 2,
                                .level_min = 3,
                                .level_max = 0x0405,
                                .node = 0x1112131415161718,
                                .target = 0x2122232425262728,
                                .region = "eu-1",
                                .address = "a:1,b:2"};
    return hello;
}

/* Releases of different ages talk to each other: these bytes must not change. */
static void test_a_hello_in_bytes(void **state) {
    static const char expected[] = ("2e00000001000000" /* 46 bytes, hello */
                                    "524442544e4f4445" /* RDBTNODE */
                                    "010002000300"
                                    "0504"
                                    "1817161514131211"
                                    "2827262524232221"
                                    "04"
                                    "65752d31" /* eu-1 */
                                    "0700"
                                    "613a312c623a32");
    const struct frame_hello hello = sample();
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];
    char text[2 * sizeof(frame) + 1];
    size_t len = frame_hello_encode(&hello, frame);

    hex_encode(frame, len, text);
    assert_string_equal(text, expected);
    frame_header_encode(FRAME_MESSAGE, 0x010203, frame);
    hex_encode(frame, FRAME_HEADER, text);
    assert_string_equal(text, "0302010002000000");
}

static void assert_same(const struct frame_hello *a, const struct frame_hello *b) {
    assert_int_equal(a->version_min, b->version_min);
    assert_int_equal(a->version_max, b->version_max);
    assert_int_equal(a->level_min, b->level_min);
    assert_int_equal(a->level_max, b->level_max);
    assert_int_equal(a->node, b->node);
    assert_int_equal(a->target, b->target);
    assert_string_equal(a->region, b->region);
    assert_string_equal(a->address, b->address);
}

static void test_a_hello_comes_back(void **state) {
    struct frame_hello hello = sample(), back;
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX] = {0};
    size_t len = frame_hello_encode(&hello, frame), size = 0;
    const uint8_t *payload = frame + FRAME_HEADER;

    for (size_t part = 0; part < len; part++) {
        assert_int_equal(frame_look(frame, part, FRAME_HELLO, &size), OK);
        assert_int_equal(size, part < FRAME_HEADER ? FRAME_HEADER : len);
    }
    assert_int_equal(frame_hello_decode((struct core_bytes){payload, len - FRAME_HEADER}, &back),
                     OK);
    assert_same(&hello, &back);
    /* Every part of it is too short; what a later release adds is passed over. */
    for (size_t part = 0; part < len - FRAME_HEADER; part++) {
        assert_int_equal(frame_hello_decode((struct core_bytes){payload, part}, &back),
                         ERR_MALFORMED);
    }
    assert_int_equal(frame_hello_decode((struct core_bytes){payload, FRAME_HELLO_MAX}, &back), OK);
    assert_same(&hello, &back);
    assert_int_equal(frame_hello_decode((struct core_bytes){payload, FRAME_HELLO_MAX + 1}, &back),
                     ERR_MALFORMED);
    /* The longest texts, and none. */
    memset(hello.region, 'r', LIMIT_REGION_NAME);
    memset(hello.address, 'a', LIMIT_ADDRESS);
    len = frame_hello_encode(&hello, frame);
    assert_true(len <= sizeof(frame));
    assert_int_equal(frame_hello_decode((struct core_bytes){payload, len - FRAME_HEADER}, &back),
                     OK);
    assert_same(&hello, &back);
    hello.address[0] = '\0';
    len = frame_hello_encode(&hello, frame);
    assert_int_equal(frame_hello_decode((struct core_bytes){payload, len - FRAME_HEADER}, &back),
                     OK);
    assert_same(&hello, &back);
}

static void no_version(struct frame_hello *hello) {
    hello->version_min = 0;
}
static void versions_reversed(struct frame_hello *hello) {
    hello->version_min = 3;
}
static void levels_reversed(struct frame_hello *hello) {
    hello->level_min = 0x0406;
}
static void no_node(struct frame_hello *hello) {
    hello->node = 0;
}
static void no_target(struct frame_hello *hello) {
    hello->target = 0;
}
static void no_region(struct frame_hello *hello) {
    hello->region[0] = '\0';
}
static void region_of_two_lines(struct frame_hello *hello) {
    hello->region[1] = '\n';
}
static void address_with_a_space(struct frame_hello *hello) {
    hello->address[1] = ' ';
}
static void address_beyond_ascii(struct frame_hello *hello) {
    hello->address[1] = (char)0xe9;
}

static void test_hellos_that_are_none(void **state) {
    static void (*const spoils[])(struct frame_hello * hello) = {
        no_version,          versions_reversed, levels_reversed,     no_node,
        no_target,           no_region,         region_of_two_lines, address_with_a_space,
        address_beyond_ascii};
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];
    struct frame_hello hello, back = {.node = 77};
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        hello = sample();
        spoils[i](&hello);
        len = frame_hello_encode(&hello, frame);
        if (frame_hello_decode((struct core_bytes){frame + FRAME_HEADER, len - FRAME_HEADER},
                               &back) != ERR_MALFORMED) {
            fail_msg("fault %zu passed", i);
        }
    }
    hello = sample();
    for (size_t i = 0; i < 8; i++) {
        len = frame_hello_encode(&hello, frame);
        frame[FRAME_HEADER + i] ^= 1; /* of the magic */
        assert_int_equal(frame_hello_decode(
                             (struct core_bytes){frame + FRAME_HEADER, len - FRAME_HEADER}, &back),
                         ERR_MALFORMED);
    }
    assert_int_equal(back.node, 77); /* untouched */
}

static void test_headers(void **state) {
    uint8_t header[FRAME_HEADER];
    size_t size = 0;

    frame_header_encode(FRAME_MESSAGE, CORE_MESSAGE_MAX, header);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_MESSAGE, &size), OK);
    assert_int_equal(size, FRAME_MAX);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_HELLO, &size), ERR_MALFORMED);
    frame_header_encode(FRAME_MESSAGE, (size_t)CORE_MESSAGE_MAX + 1, header);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_MESSAGE, &size), ERR_MALFORMED);
    frame_header_encode(FRAME_MESSAGE, 0, header);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_MESSAGE, &size), ERR_MALFORMED);
    frame_header_encode(FRAME_HELLO, FRAME_HELLO_MAX, header);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_HELLO, &size), OK);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_MESSAGE, &size), ERR_MALFORMED);
    frame_header_encode(FRAME_HELLO, FRAME_HELLO_MAX + 1, header);
    assert_int_equal(frame_look(header, sizeof(header), FRAME_HELLO, &size), ERR_MALFORMED);
    for (size_t i = 5; i < FRAME_HEADER; i++) {
        frame_header_encode(FRAME_MESSAGE, 1, header);
        header[i] = 1;
        assert_int_equal(frame_look(header, sizeof(header), FRAME_MESSAGE, &size), ERR_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_in_bytes),
        cmocka_unit_test(test_a_hello_comes_back),
        cmocka_unit_test(test_hellos_that_are_none),
        cmocka_unit_test(test_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
