/* Addresses of members: what is one, what is none, and that both ways agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cluster/member.h"

static void test_doors(void **state) {
    static const struct {
        const char *door, *host, *port;
    } good[] = {
        {"127.0.0.1:7600", "127.0.0.1", "7600"},
        {"node-1.east_2.example:65535", "node-1.east_2.example", "65535"},
        {"h:1", "h", "1"},
        {"[::1]:7600", "::1", "7600"},
        {"[2001:db8::a:1]:7600", "2001:db8::a:1", "7600"},
        {"[::ffff:10.0.0.1]:7600", "::ffff:10.0.0.1", "7600"},
        {"[fe80::1%eth0]:7600", "fe80::1%eth0", "7600"},
    };
    static const char *const bad[] = {
        "",          "h",         ":7600",           "h:",
        "h:0",       "h:65536",   "h:076",           "h:7 ",
        "h:-1",      "h:123456",  "::1:7600",        "[::1]",
        "[::1]7600", "[]:7600",   "[h]:7600",        "[127.0.0.1]:7600",
        "[::1:7600", "::1]:7600", "a b:7600",        "a/b:7600",
        "a@b:7600",  "-a:7600",   "[fe80::1%]:7600", "[fe80::1%a b]:7600",
        "h,h:7600",  "h\n:7600",  "\xc3\xa9:7600",
    };
    char host[LIMIT_ADDRESS + 1], port[6];
    char text[2 * LIMIT_ADDRESS];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(member_door_split(good[i].door, host, port));
        assert_string_equal(host, good[i].host);
        assert_string_equal(port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (member_door_split(bad[i], host, port)) {
            fail_msg("'%s' is no door", bad[i]);
        }
    }
    (void)snprintf(text, sizeof(text), "%0*d:1", LIMIT_ADDRESS, 0);
    assert_true(member_door_split(text, host, port));
    (void)snprintf(text, sizeof(text), "%0*d:1", LIMIT_ADDRESS + 1, 0);
    assert_false(member_door_split(text, host, port));
}

static void test_addresses(void **state) {
    static const char *const good[] = {
        "127.0.0.1:7600,127.0.0.1:7500",
        "[::1]:7600,[::1]:7500,learner",
        "a.example:1,b.example:2",
    };
    static const char *const bad[] = {
        "",
        "self",
        "a:1",
        "a:1,",
        ",a:1",
        "a:1,b:2,",
        "a:1,b:2,voter",
        "a:1,b:2,learner,learner",
        "a:1,learner",
        "a:1,,learner",
        "a:1,b:2,LEARNER",
        "a:1, b:2",
        "a:1,b:2,c:3",
        "a:1,b",
    };
    struct member_address address;
    char text[LIMIT_ADDRESS + 1];
    char large[3 * LIMIT_ADDRESS];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(member_address_parse(good[i], &address), OK);
        assert_int_equal(member_address_format(&address, text), OK);
        assert_string_equal(text, good[i]);
        assert_int_equal(address.is_learner, i == 1);
    }
    assert_string_equal(address.raft, "a.example:1");
    assert_string_equal(address.peer, "b.example:2");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (member_address_parse(bad[i], &address) != ERR_MALFORMED) {
            fail_msg("'%s' is no address", bad[i]);
        }
    }
    assert_string_equal(address.raft, "a.example:1"); /* untouched */
    /* At the limit, and one above. */
    (void)snprintf(large, sizeof(large), "a:1,%0*d:2", LIMIT_ADDRESS - 6, 0);
    assert_int_equal(strlen(large), LIMIT_ADDRESS);
    assert_int_equal(member_address_parse(large, &address), OK);
    assert_int_equal(member_address_format(&address, text), OK);
    assert_string_equal(text, large);
    address.is_learner = true;
    assert_int_equal(member_address_format(&address, text), ERR_INVALID_PARAMETER);
    (void)snprintf(large, sizeof(large), "a:1,%0*d:2", LIMIT_ADDRESS - 5, 0);
    assert_int_equal(member_address_parse(large, &address), ERR_MALFORMED);
    /* Nothing is written that cannot be read. */
    address = (struct member_address){.raft = "a:1", .peer = "b:2,learner"};
    assert_int_equal(member_address_format(&address, text), ERR_INVALID_PARAMETER);
    address = (struct member_address){.raft = "a:1", .peer = ""};
    assert_int_equal(member_address_format(&address, text), ERR_INVALID_PARAMETER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
