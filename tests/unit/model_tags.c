/* What tags may be called and say. AWS_BEHAVIOUR 3.9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/tags.h"

static void test_reserved(void **state) {
    assert_true(tag_key_is_reserved("aws:cloudformation:stack-name"));
    assert_true(tag_key_is_reserved("AWS:x"));
    assert_true(tag_key_is_reserved("aws:"));
    assert_false(tag_key_is_reserved("aws"));
    assert_false(tag_key_is_reserved("awsx:"));
    assert_false(tag_key_is_reserved(" aws:x"));
    assert_false(tag_key_is_reserved(""));
}

static void test_characters(void **state) {
    static const char *const good[] = {
        "",
        "Team 7",
        "_.:/=+-@",
        "caf\xC3\xA9",
        "\xC2\xA0",                         /* no-break space */
        "\xD0\x9A\xD0\xBB\xD1\x8E\xD1\x87", /* Cyrillic */
        "\xE9\x8D\xB5\xE3\x81\x8B\xE3\x81\x8E \xE0\xA4\x95\xE0\xA4\xBF",
        "\xF0\x90\x90\x80\xF0\x9D\x9F\x99", /* beyond the first plane */
    };
    static const char *const bad[] = {
        "a,b",          "a;b",          "a*",           "a?",           "#a",
        "\"a\"",        "a\\",          "<a>",          "100%",         "a!",
        "a\tb",         "a\nb",         "\x7F",         "\xC2\x85",     "\xC2\xA7",
        "\xE2\x82\xAC", "\xE2\x86\x92", "\xE2\x80\x94", "\xEE\x80\x80", "\xF0\x9F\x98\x80",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!tag_text_is_valid(good[i])) {
            fail_msg("\"%s\" is refused", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (tag_text_is_valid(bad[i])) {
            fail_msg("\"%s\" is accepted", bad[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
