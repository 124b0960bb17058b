/* The filter language: every row of the tables of AWS_BEHAVIOUR 3.10, what the rows leave open, and
 * random filters on random secrets against a second, slower reading of the rules.
 *
 * REDOUBT_SEED=n begins elsewhere; the last seed printed is the one that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 4, VALUES_MAX = 4, FILTERS_MAX = 4, TEXT_MAX = 40 };

/* A secret of a test; a tag is a key and a value. */
struct sample {
    const char *name;
    const char *description;
    const char *region;
    const char *service;
    const char *tags[2 * TAGS_MAX];
};

static bool matches(const struct sample *sample, const struct filter *filters, size_t n) {
    const char *keys[TAGS_MAX];
    const char *values[TAGS_MAX];
    struct filter_subject subject = {
        .name = sample->name,
        .description = sample->description,
        .primary_region = sample->region,
        .owning_service = sample->service,
        .tag_keys = keys,
        .tag_values = values,
    };

    while (subject.n_tags < TAGS_MAX && sample->tags[2 * subject.n_tags] != NULL) {
        keys[subject.n_tags] = sample->tags[2 * subject.n_tags];
        values[subject.n_tags] = sample->tags[2 * subject.n_tags + 1];
        subject.n_tags++;
    }
    return filters_match(filters, n, &subject);
}

/* Which of the samples the one filter with these values (ended by NULL) finds, as "0 2 3 ". */
static void expect(const struct sample *samples, size_t n, enum filter_key key,
                   const char *const values[VALUES_MAX], const char *expected) {
    struct filter filter = {.key = key, .values = values};
    char found[256] = "";
    size_t len = 0;

    while (filter.n_values < VALUES_MAX && values[filter.n_values] != NULL) {
        filter.n_values++;
    }
    for (size_t i = 0; i < n; i++) {
        if (matches(&samples[i], &filter, 1)) {
            len += (size_t)snprintf(found + len, sizeof(found) - len, "%zu ", i);
        }
    }
    if (strcmp(found, expected) != 0) {
        fail_msg("%s finds %sinstead of %s", values[0], found, expected);
    }
}

#define EXPECT(samples, key, expected, ...)                                                        \
    expect((samples), ARRAY_LEN(samples), (key), (const char *const[VALUES_MAX]){__VA_ARGS__},     \
           (expected))

/* 3.10, the recorded description examples. */
static void test_descriptions(void **state) {
    static const struct sample samples[] = {
        {.name = "testing1/one", .description = "a secret"},
        {.name = "/testing1/two", .description = "an secret"},
        {.name = "testing2/three", .description = "asecret"},
        {.name = "testing2/four", .description = "thesecret"},
    };
    static const struct sample words[] = {
        {.name = "1", .description = "one two"},
        {.name = "2", .description = "one and two"},
        {.name = "3", .description = "one"},
        {.name = "4", .description = "two"},
    };
    static const char *const a[] = {"a"};
    static const char *const an[] = {"an"};
    static const char *const secret[] = {"secret"};
    const struct filter with_name[] = {{FILTER_DESCRIPTION, a, 1}, {FILTER_NAME, secret, 1}};
    const struct filter with_an[] = {{FILTER_DESCRIPTION, a, 1}, {FILTER_NAME, an, 1}};

    EXPECT(samples, FILTER_DESCRIPTION, "0 1 2 ", "a");
    EXPECT(samples, FILTER_DESCRIPTION, "0 1 2 ", "A");
    EXPECT(samples, FILTER_DESCRIPTION, "0 1 ", "a secret");
    EXPECT(samples, FILTER_DESCRIPTION, "3 ", "!a");
    EXPECT(samples, FILTER_DESCRIPTION, "0 1 2 3 ", "!c");
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        assert_false(matches(&samples[i], with_name, 2));
        assert_false(matches(&samples[i], with_an, 2));
    }
    EXPECT(words, FILTER_DESCRIPTION, "0 1 ", "one two");
    EXPECT(words, FILTER_DESCRIPTION, "0 1 ", "o t");
    EXPECT(words, FILTER_DESCRIPTION, "0 1 3 ", "t");
}

/* 3.10: a whole name's beginning, with case. */
static void test_names(void **state) {
    static const struct sample samples[] = {
        {.name = "testing1/one"},
        {.name = "/testing1/two"},
        {.name = "Testing2"},
    };

    EXPECT(samples, FILTER_NAME, "1 ", "/");        /* [rec] */
    EXPECT(samples, FILTER_NAME, "0 2 ", "!/");     /* [rec] */
    EXPECT(samples, FILTER_NAME, "", "testing1 o"); /* [rec] */
    EXPECT(samples, FILTER_NAME, "0 ", "testing1");
    EXPECT(samples, FILTER_NAME, "0 ", "testing1/one");
    EXPECT(samples, FILTER_NAME, "", "testing1/one/");
    EXPECT(samples, FILTER_NAME, "", "esting");
    EXPECT(samples, FILTER_NAME, "2 ", "T");
    EXPECT(samples, FILTER_NAME, "0 1 2 ", "");
    EXPECT(samples, FILTER_NAME, "", "!");
}

/* 3.10, the recorded "all" examples; tokenisation by itself is tests/unit/model_words.c's. */
static void test_all_words(void **state) {
    static const struct sample samples[] = {
        {.name = "SecretOnex1x2x3"},
        {.name = "SecretTwox1x2x3", .description = "DescTwo"},
        {.name = "SecretFTagx1x2x3", .tags = {"foo", "v"}},
        {.name = "SecretFValuex1x2x3", .tags = {"k", "foo"}},
        {.name = "Thirdsecretx1x2x3"},
    };
    static const struct sample companies[] = {
        {.name = "uat/COMPANY/x1x2x3"},
        {.name = "uat/COMPANYthings/x1x2x3"},
    };

    EXPECT(samples, FILTER_ALL, "0 1 2 3 ", "Secret");
    EXPECT(samples, FILTER_ALL, "0 1 2 3 ", "secret");
    EXPECT(samples, FILTER_ALL, "0 1 2 3 ", "sec");
    EXPECT(samples, FILTER_ALL, "0 ", "SecretOne");
    EXPECT(samples, FILTER_ALL, "", "ret");
    EXPECT(samples, FILTER_ALL, "", "SomeSecret");
    EXPECT(samples, FILTER_ALL, "2 3 ", "foo");
    EXPECT(samples, FILTER_ALL, "1 ", "d");
    EXPECT(samples, FILTER_ALL, "1 ", "d t");
    EXPECT(samples, FILTER_ALL, "1 2 4 ", "t");
    EXPECT(companies, FILTER_ALL, "0 ", "company");
    EXPECT(companies, FILTER_ALL, "", "things");
    EXPECT(companies, FILTER_ALL, "", "N");
    EXPECT(companies, FILTER_ALL, "", "pany");
    EXPECT(companies, FILTER_ALL, "1 ", "Ythings");
}

static void test_all_separators(void **state) {
    static const struct sample samples[] = {
        {.name = "prod/AppBeta/x1x2x3"}, {.name = "prod_AppBeta_x1x2x3"},
        {.name = "prod+AppBeta+x1x2x3"}, {.name = "prod=AppBeta=x1x2x3"},
        {.name = "prod.AppBeta.x1x2x3"}, {.name = "prod@AppBeta@x1x2x3"},
        {.name = "prod-AppBeta-x1x2x3"},
    };

    EXPECT(samples, FILTER_ALL, "0 1 2 3 4 5 6 ", "AppBeta");
    EXPECT(samples, FILTER_ALL, "0 1 2 3 4 5 6 ", "Beta");
    EXPECT(samples, FILTER_ALL, "0 1 2 3 4 5 6 ", "x1x2x3");
    EXPECT(samples, FILTER_ALL, "0 1 2 3 4 5 6 ", "AppBeta", "prod"); /* [rec] */
    EXPECT(samples, FILTER_ALL, "", "+");
}

/* 3.10: all words of a value in one and the same text. */
static void test_all_in_one_text(void **state) {
    static const struct sample samples[] = {
        {.name = "alpha", .description = "beta", .tags = {"gamma", "delta"}},
        {.name = "n", .description = "beta gamma"},
        {.name = "n", .tags = {"x", "y", "alpha beta", "z"}},
    };

    EXPECT(samples, FILTER_ALL, "2 ", "beta alpha");
    EXPECT(samples, FILTER_ALL, "1 ", "gamma beta");
    EXPECT(samples, FILTER_ALL, "", "gamma delta");
    EXPECT(samples, FILTER_ALL, "0 1 ", "gamma");
    EXPECT(samples, FILTER_ALL, "2 ", "!gamma");
}

/* 3.10: beginnings, with case. */
static void test_tags(void **state) {
    static const struct sample samples[] = {
        {.name = "0", .tags = {"env", "prod", "Team", "blue moon"}},
        {.name = "1", .tags = {"environment", "Prod"}},
        {.name = "2"},
        {.name = "3", .tags = {"prod", ""}},
    };

    EXPECT(samples, FILTER_TAG_KEY, "0 1 ", "env");
    EXPECT(samples, FILTER_TAG_KEY, "1 ", "envi");
    EXPECT(samples, FILTER_TAG_KEY, "", "team");
    EXPECT(samples, FILTER_TAG_KEY, "2 3 ", "!env");
    EXPECT(samples, FILTER_TAG_VALUE, "0 ", "prod");
    EXPECT(samples, FILTER_TAG_VALUE, "0 ", "blue m");
    EXPECT(samples, FILTER_TAG_VALUE, "", "moon");
    EXPECT(samples, FILTER_TAG_VALUE, "1 2 3 ", "!prod");
    EXPECT(samples, FILTER_TAG_VALUE, "0 1 3 ", "");
}

/* 3.10 and C-3. */
static void test_regions_and_services(void **state) {
    static const struct sample samples[] = {
        {.name = "0", .region = "us-east-1"},
        {.name = "1", .region = "us-west-2", .service = "rds"},
        {.name = "2", .service = "RedShift"},
    };

    EXPECT(samples, FILTER_PRIMARY_REGION, "0 1 ", "us-");
    EXPECT(samples, FILTER_PRIMARY_REGION, "0 ", "us-east-1");
    EXPECT(samples, FILTER_PRIMARY_REGION, "", "US-east-1");
    EXPECT(samples, FILTER_PRIMARY_REGION, "1 2 ", "!us-east-1");
    EXPECT(samples, FILTER_OWNING_SERVICE, "1 2 ", "R");
    EXPECT(samples, FILTER_OWNING_SERVICE, "2 ", "redsh");
    EXPECT(samples, FILTER_OWNING_SERVICE, "0 2 ", "!RDS");
}

/* 3.10: negated and plain values are alternatives like any others. */
static void test_negation_with_several_values(void **state) {
    static const struct sample samples[] = {
        {.name = "one", .description = "one"},
        {.name = "two", .description = "two"},
        {.name = "three", .description = "one two"},
        {.name = "four"},
    };

    EXPECT(samples, FILTER_NAME, "0 2 3 ", "one", "!two");
    EXPECT(samples, FILTER_NAME, "0 1 2 3 ", "!one", "!two");
    EXPECT(samples, FILTER_NAME, "0 1 2 ", "!four", "two");
    EXPECT(samples, FILTER_DESCRIPTION, "0 2 ", "one", "!two");
    /* Without a description nothing finds it: with "!a" the recordings saw described ones only. */
    EXPECT(samples, FILTER_DESCRIPTION, "0 1 2 ", "!none");
    EXPECT(samples, FILTER_DESCRIPTION, "0 1 ", "!o", "four", "!t");
}

/* ---- Random ---- */

/* The words of a text in small letters, each with a blank before and behind it, in a second way:
 * blanks are put in wherever a word ends. */
static void slow_words(const char *text, char out[4 * TEXT_MAX]) {
    size_t len = 0;

    out[len++] = ' ';
    for (size_t i = 0; text[i] != '\0'; i++) {
        bool capital = text[i] >= 'A' && text[i] <= 'Z';
        bool small_before = i > 0 && text[i - 1] >= 'a' && text[i - 1] <= 'z';
        bool small_behind = text[i + 1] >= 'a' && text[i + 1] <= 'z';
        bool mark = text[i] == ':' || text[i] == '!';

        if (strchr(" /_+=.@-", text[i]) != NULL) {
            out[len++] = ' ';
            continue;
        }
        if (mark || (capital && (small_before || small_behind))) {
            out[len++] = ' ';
        }
        out[len++] = capital ? (char)(text[i] | 0x20) : text[i];
        if (mark) {
            out[len++] = ' ';
        }
    }
    out[len++] = ' ';
    out[len] = '\0';
}

static bool slow_has_words(const char *text, const char *value) {
    char words[4 * TEXT_MAX];
    char wanted[4 * TEXT_MAX];
    bool any = false;

    if (text == NULL) {
        return false;
    }
    slow_words(text, words);
    slow_words(value, wanted);
    for (char *word = wanted; (word += strspn(word, " "))[0] != '\0'; word += strcspn(word, " ")) {
        char with_blank[4 * TEXT_MAX];

        any = true;
        (void)snprintf(with_blank, sizeof(with_blank), " %.*s", (int)strcspn(word, " "), word);
        if (strstr(words, with_blank) == NULL) {
            return false;
        }
    }
    return any;
}

static bool slow_begins(const char *text, const char *value) {
    return text != NULL && strstr(text, value) == text;
}

static bool slow_value(const struct sample *sample, enum filter_key key, const char *value) {
    bool found = key == FILTER_NAME             ? slow_begins(sample->name, value)
                 : key == FILTER_PRIMARY_REGION ? slow_begins(sample->region, value)
                 : key == FILTER_DESCRIPTION    ? slow_has_words(sample->description, value)
                 : key == FILTER_ALL            ? slow_has_words(sample->name, value) ||
                                           slow_has_words(sample->description, value)
                                     : false;

    for (size_t i = 0; i < 2 * TAGS_MAX && sample->tags[i] != NULL; i++) {
        found = found || (key == FILTER_ALL && slow_has_words(sample->tags[i], value)) ||
                (key == (i % 2 == 0 ? FILTER_TAG_KEY : FILTER_TAG_VALUE) &&
                 slow_begins(sample->tags[i], value));
    }
    return found;
}

static bool slow_matches(const struct sample *sample, const struct filter *filters, size_t n) {
    size_t satisfied = 0;

    for (size_t i = 0; i < n; i++) {
        bool any = false;
        for (size_t k = 0; k < filters[i].n_values; k++) {
            const char *value = filters[i].values[k];
            any |= value[0] == '!' ? !slow_value(sample, filters[i].key, value + 1)
                                   : slow_value(sample, filters[i].key, value);
        }
        satisfied += any && (filters[i].key != FILTER_DESCRIPTION || sample->description != NULL);
    }
    return satisfied == n;
}

static uint64_t random_state;

static size_t below(size_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 16) % n;
}

/* Few letters, so that something is found now and then. */
static const char *random_text(char out[TEXT_MAX], size_t longest, bool negated) {
    static const char alphabet[] = "aabbABAB1 /_:-!";
    size_t len = below(longest + 1);
    size_t at = 0;

    if (negated) {
        out[at++] = '!';
    }
    while (at < len) {
        out[at++] = alphabet[below(sizeof(alphabet) - 1)];
    }
    out[at] = '\0';
    return out;
}

struct random_case {
    struct sample sample;
    struct filter filters[FILTERS_MAX];
    size_t n;
    const char *values[FILTERS_MAX][VALUES_MAX];
    char texts[3 + 2 * TAGS_MAX + FILTERS_MAX * VALUES_MAX][TEXT_MAX];
};

static void random_case_make(struct random_case *made) {
    static const enum filter_key keys[] = {FILTER_ALL,       FILTER_NAME,
                                           FILTER_TAG_KEY,   FILTER_DESCRIPTION,
                                           FILTER_TAG_VALUE, FILTER_PRIMARY_REGION};
    size_t text = 0;

    *made = (struct random_case){.n = 1 + below(FILTERS_MAX / 2)};
    made->sample.name = random_text(made->texts[text++], 12, false);
    if (below(3) > 0) {
        made->sample.description = random_text(made->texts[text++], 30, false);
    }
    if (below(2) > 0) {
        made->sample.region = random_text(made->texts[text++], 3, false);
    }
    for (size_t i = 2 * below(TAGS_MAX); i > 0; i--) {
        made->sample.tags[i - 1] = random_text(made->texts[text++], 10, false);
    }
    for (size_t i = 0; i < made->n; i++) {
        made->filters[i] = (struct filter){.key = keys[below(ARRAY_LEN(keys))],
                                           .values = made->values[i],
                                           .n_values = 1 + below(VALUES_MAX)};
        for (size_t k = 0; k < made->filters[i].n_values; k++) {
            made->values[i][k] = random_text(made->texts[text++], 5, below(4) == 0);
        }
    }
}

static void test_random(void **state) {
    const char *text = getenv("REDOUBT_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    size_t found = 0;
    enum { CASES = 200000 };

    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed * 0x9e3779b97f4a7c15u | 1;
    for (size_t i = 0; i < CASES; i++) {
        static struct random_case made;
        bool expected;

        random_case_make(&made);
        expected = slow_matches(&made.sample, made.filters, made.n);
        found += expected;
        if (matches(&made.sample, made.filters, made.n) != expected) {
            fail_msg("case %zu: \"%s\" (\"%s\"), key %d, \"%s\": expected %d", i, made.sample.name,
                     made.sample.description != NULL ? made.sample.description : "",
                     (int)made.filters[0].key, made.values[0][0], expected);
        }
    }
    /* Neither always nor never. */
    assert_in_range(found, CASES / 10, CASES - CASES / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_all_words),
        cmocka_unit_test(test_all_separators),
        cmocka_unit_test(test_all_in_one_text),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_regions_and_services),
        cmocka_unit_test(test_negation_with_several_values),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
