/* Words: every row of the tables of AWS_BEHAVIOUR 3.10 on descriptions and "all". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/words.h"

#include <stdio.h>
#include <string.h>

/* "one two three" */
static void assert_words(const char *text, const char *expected) {
    char got[4096] = "";
    size_t len = 0;
    size_t at = 0;
    struct word word;

    while (words_next(text, &at, &word)) {
        assert_in_range(word.len, 1, WORD_MAX);
        assert_int_equal(strlen(word.text), word.len);
        len +=
            (size_t)snprintf(got + len, sizeof(got) - len, "%s%s", len > 0 ? " " : "", word.text);
    }
    assert_int_equal(at, strlen(text));
    assert_false(words_next(text, &at, &word));
    assert_string_equal(got, expected);
}

static void test_cuts(void **state) {
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"", ""},
        {"   ", ""},
        {"/_+=.@-", ""},
        {"one", "one"},
        {" one  two\tthree\r\nfour ", "one two three four"},
        {"a/b_c+d=e.f@g-h", "a b c d e f g h"},
        {"--a--b--", "a b"},
        {"SecretOne", "secret one"},
        {"SecretFTag", "secret f tag"}, /* [rec] */
        {"SecretFValue", "secret f value"},
        {"Thirdsecret", "thirdsecret"},
        {"COMPANY", "company"},
        {"COMPANYthings", "compan ythings"}, /* [rec] */
        {"prod/AppBeta/x1Y2z3", "prod app beta x1y2z3"},
        {"fooBAR", "foo bar"},
        {"fooBARbaz", "foo ba rbaz"},
        {"aB", "a b"},
        {"Ab", "ab"},
        {"AB", "ab"},
        {"ABc", "a bc"},
        {"9Lives", "9 lives"},
        {"9LIVES", "9lives"},
        {"x9", "x9"},
        {"A", "a"},
        {"credsDatabase#892", "creds database # 892"}, /* [guide] */
        {"a, b;c", "a , b ; c"},
        {"##", "# #"},
        {"stra\xc3\x9f"
         "e Gr\xc3\xb6\xc3\x9f"
         "e",
         "stra\xc3\x9f"
         "e gr\xc3\xb6\xc3\x9f"
         "e"},
        {"\xc3\x89Tat", "\xc3\x89 tat"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_words(rows[i].text, rows[i].words);
    }
}

static void test_long_words(void **state) {
    char text[3 * WORD_MAX + 8];
    char cut[WORD_MAX + 1];

    memset(text, 'X', sizeof(text));
    text[WORD_MAX] = '\0';
    memset(cut, 'x', sizeof(cut));
    cut[WORD_MAX] = '\0';
    assert_words(text, cut);
    text[WORD_MAX] = 'X';
    text[3 * WORD_MAX] = '\0';
    assert_words(text, cut); /* the rest of the word is gone, not a second word */
    assert_true(words_match(cut, text));
    assert_true(words_match(text, cut));
    memcpy(text + 3 * WORD_MAX, " y", 3);
    assert_true(words_match(text, "Y"));
}

struct match {
    const char *text;
    const char *wanted;
    bool matches;
};

static void assert_matches(const struct match *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (words_match(rows[i].text, rows[i].wanted) != rows[i].matches) {
            fail_msg("\"%s\" in \"%s\"", rows[i].wanted, rows[i].text);
        }
    }
}

/* 3.10, recorded description examples. */
static void test_descriptions(void **state) {
    static const struct match rows[] = {
        {"a secret", "a", true},
        {"an secret", "a", true},
        {"asecret", "a", true},
        {"thesecret", "a", false},
        {"a secret", "a secret", true},
        {"an secret", "a secret", true},
        {"asecret", "a secret", false},
        {"thesecret", "a secret", false},
        {"a secret", "c", false},
        {"an secret", "c", false},
        {"asecret", "c", false},
        {"thesecret", "c", false},
        {"one two", "one two", true},
        {"one and two", "one two", true},
        {"one", "one two", false},
        {"two", "one two", false},
        {"one two", "o t", true},
        {"one and two", "o t", true},
        {"one and two", "t", true},
        {"two", "t", true},
        {"one", "t", false},
        {"A Secret", "a SEC", true}, /* not case-sensitive (C-4) */
    };

    assert_matches(rows, ARRAY_LEN(rows));
}

/* 3.10, recorded "all" examples; the random six characters take every shape. */
static void test_all(void **state) {
    static const char *const suffixes[] = {"abc123", "ABC123", "aBcDeF", "123456",
                                           "AbCdEf", "x9Y8z7", "ZZZZZZ", "Zzzzzz"};
    static const struct match rows[] = {
        {"SecretOne%s", "Secret", true},
        {"SecretOne%s", "secret", true},
        {"SecretOne%s", "sec", true},
        {"SecretTwo%s", "Secret", true},
        {"SecretTwo%s", "secret", true},
        {"SecretTwo%s", "sec", true},
        {"SecretFTag%s", "Secret", true},
        {"SecretFTag%s", "secret", true},
        {"SecretFTag%s", "sec", true},
        {"SecretFValue%s", "Secret", true},
        {"SecretFValue%s", "secret", true},
        {"SecretFValue%s", "sec", true},
        {"SecretOne%s", "SecretOne", true},
        {"SecretTwo%s", "SecretOne", false},
        {"SecretFTag%s", "SecretOne", false},
        {"SecretFValue%s", "SecretOne", false},
        {"SecretOne%s", "ret", false},
        {"SecretTwo%s", "ret", false},
        {"SecretOne%s", "SomeSecret", false},
        {"Thirdsecret%s", "Secret", false},
        {"foo", "foo", true}, /* as a tag's value, as a tag's key */
        {"DescTwo", "d", true},
        {"DescTwo", "d t", true},
        {"SecretTwo%s", "t", true},
        {"Thirdsecret%s", "t", true},
        {"SecretFTag%s", "t", true},
        {"SecretFValue%s", "t", false},
        {"prod/AppBeta/%s", "+", false},
        {"prod+AppBeta+%s", "+", false},
        {"uat/COMPANY/%s", "company", true},
        {"uat/COMPANYthings/%s", "company", false},
        {"uat/COMPANYthings/%s", "things", false},
        {"uat/COMPANYthings/%s", "N", false},
        {"uat/COMPANYthings/%s", "pany", false},
        {"uat/COMPANYthings/%s", "Ythings", true},
        {"credsDatabase#892", "creds", true},
        {"credsDatabase#892", "Database", true},
        {"credsDatabase#892", "#", true},
        {"credsDatabase#892", "892", true},
        {"credsDatabase#892", "92", false},
    };

    for (size_t k = 0; k < ARRAY_LEN(suffixes); k++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            char text[128];
            struct match row = rows[i];
            size_t len = strcspn(row.text, "%");
            (void)snprintf(text, sizeof(text), "%.*s%s", (int)len, row.text,
                           row.text[len] == '%' ? suffixes[k] : "");
            row.text = text;
            assert_matches(&row, 1);
        }
    }
}

/* 3.10: `prod/AppBeta/<u>` and the same with every other separator [rec]. */
static void test_separators(void **state) {
    static const char separators[] = "/_+=.@-";
    static const char *const suffixes[] = {"abc123", "ABC123", "aBcDeF", "123456", "AbCdEf"};

    for (size_t i = 0; i < strlen(separators); i++) {
        for (size_t k = 0; k < ARRAY_LEN(suffixes); k++) {
            char text[64];
            (void)snprintf(text, sizeof(text), "prod%cAppBeta%c%s", separators[i], separators[i],
                           suffixes[k]);
            assert_true(words_match(text, "AppBeta"));
            assert_true(words_match(text, "Beta"));
            assert_true(words_match(text, suffixes[k]));
            assert_false(words_match(text, "eta"));
        }
    }
    assert_true(words_match("prod-AppBeta/x", "AppBeta")); /* two separators: no exception */
}

static void test_nothing_wanted(void **state) {
    assert_false(words_match("", ""));
    assert_false(words_match("one", ""));
    assert_false(words_match("one", " "));
    assert_false(words_match("one", "/ _"));
    assert_false(words_match("", "one"));
}

/* A search of more words than one pass looks for. */
static void test_many_words(void **state) {
    char text[4096] = "";
    char wanted[4096] = "";
    size_t text_len = 0;
    size_t wanted_len = 0;

    for (int i = 0; i < 200; i++) {
        text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len, "w%dx ", i);
        wanted_len +=
            (size_t)snprintf(wanted + wanted_len, sizeof(wanted) - wanted_len, "W%d ", 199 - i);
    }
    assert_true(words_match(text, wanted));
    (void)snprintf(wanted + wanted_len, sizeof(wanted) - wanted_len, "w200");
    assert_false(words_match(text, wanted));
    assert_false(words_match(text, "no W1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),         cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_descriptions), cmocka_unit_test(test_all),
        cmocka_unit_test(test_separators),   cmocka_unit_test(test_nothing_wanted),
        cmocka_unit_test(test_many_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
