/* How staging labels move: the recorded table of AWS_BEHAVIOUR 3.5, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/stages.h"

#include <stdio.h>
#include <string.h>

/* A picture of a table: "v1[AWSPREVIOUS] v2[AWSCURRENT,x]". Versions and labels without spaces. */
struct picture {
    char text[512];
    struct stages stages;
};

static void picture_parse(struct picture *picture, const char *text) {
    char *save_version = NULL;

    (void)snprintf(picture->text, sizeof(picture->text), "%s", text);
    picture->stages.n = 0;
    for (char *word = strtok_r(picture->text, " ", &save_version); word != NULL;
         word = strtok_r(NULL, " ", &save_version)) {
        char *open = strchr(word, '[');
        char *save_label = NULL;
        *open = '\0';
        open[strlen(open + 1)] = '\0';
        for (char *label = strtok_r(open + 1, ",", &save_label); label != NULL;
             label = strtok_r(NULL, ",", &save_label)) {
            stages_attach(&picture->stages, label, word);
        }
    }
}

/* Equal as sets of (label, version). */
static void assert_same(const struct stages *got, const struct stages *want) {
    assert_int_equal(got->n, want->n);
    for (size_t i = 0; i < want->n; i++) {
        const char *version = stages_find(got, want->items[i].label);
        assert_non_null(version);
        assert_string_equal(version, want->items[i].version);
    }
}

struct row {
    const char *start;
    const char *version;
    const char *labels; /* "" for none */
    const char *end;
};

#define C "AWSCURRENT"
#define P "AWSPREVIOUS"
#define N "AWSPENDING"

static const struct row put_rows[] = {
    /* Recorded. */
    {"v1[" C "]", "v2", "", "v1[" P "] v2[" C "]"},
    {"v1[" P "] v2[" C "]", "v3", "", "v2[" P "] v3[" C "]"},
    {"v1[" C "]", "v2", N, "v1[" C "] v2[" N "]"},
    {"v1[" P "] v2[" C "," N "]", "v3", "", "v2[" P "] v3[" C "]"},
    {"v1[" P "] v2[" C "," N "]", "v3", N, "v1[" P "] v2[" C "] v3[" N "]"},
    {"v1[" C "]", "v2", N ",AWSSOMETHING,PUT1", "v1[" C "] v2[" N ",AWSSOMETHING,PUT1]"},
    {"v1[" P "] v2[" C "," N ",AWSSOMETHING,PUT1]", "v3", N ",PUT2",
     "v1[" P "] v2[" C ",AWSSOMETHING,PUT1] v3[" N ",PUT2]"},
    {"v1[" C "]", "v2", C ",PUT0", "v1[" P "] v2[" C ",PUT0]"},
    {"v1[" C "] v2[one,two,three]", "v3", "one,two,three,four", "v1[" C "] v3[one,two,three,four]"},
    {"v1[" C "] v2[one,two,three]", "v3", "one,two,four", "v1[" C "] v2[three] v3[one,two,four]"},
    /* Documented. */
    {"v1[" C ",mine]", "v2", "", "v1[" P ",mine] v2[" C "]"},
    {"v1[" C "] v2[" N "]", "v3", "", "v1[" P "] v3[" C "]"},
    {"v1[" C "] v2[" N "]", "v3", C "," N, "v1[" P "] v3[" C "," N "]"},
    /* Filling a version that a rotation made. */
    {"v1[" C "] v2[" N "]", "v2", "", "v1[" P "] v2[" C "," N "]"},
    {"v1[" C "] v2[" N "]", "v2", N, "v1[" C "] v2[" N "]"},
    /* No change of place, no shadow. */
    {"v1[" P "] v2[" C "]", "v2", C, "v1[" P "] v2[" C "]"},
    /* A label that is asked for wins over the shadow. */
    {"v1[" P "] v2[" C "]", "v3", C "," P, "v3[" C "," P "]"},
    {"v1[" C "]", "v2", "twice,twice", "v1[" C "] v2[twice]"},
};

static enum errc put(struct stages *stages, const char *version, const char *labels, bool is_first,
                     char *room, size_t size, struct err *err) {
    const char *list[2 * LIMIT_STAGES_PER_SECRET];
    size_t n = 0;
    char *save = NULL;

    (void)snprintf(room, size, "%s", labels);
    for (char *label = strtok_r(room, ",", &save); label != NULL;
         label = strtok_r(NULL, ",", &save)) {
        list[n++] = label;
    }
    return stages_put(stages, version, list, n, is_first, LIMIT_STAGES_PER_SECRET, err);
}

static void test_put_table(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(put_rows); i++) {
        const struct row *row = &put_rows[i];
        struct picture start;
        struct picture end;
        char room[512];
        struct err err;

        picture_parse(&start, row->start);
        picture_parse(&end, row->end);
        assert_int_equal(
            put(&start.stages, row->version, row->labels, false, room, sizeof(room), &err), OK);
        assert_same(&start.stages, &end.stages);
    }
}

/* UpdateSecretVersionStage. `end` NULL: refused with `refusal`. */
struct update_row {
    const char *start;
    const char *label;
    const char *remove_from;
    const char *move_to;
    const char *end;
    const char *refusal;
};

#define EMPTY(label, at)                                                                           \
    "The parameter RemoveFromVersionId can't be empty. Staging label " label                       \
    " is currently attached to version " at                                                        \
    ", so you must explicitly reference that version in RemoveFromVersionId."
#define ELSEWHERE(label)                                                                           \
    "When you move staging label " label                                                           \
    ", if you specify RemoveFromVersionId, it must be set to the version that currently has the "  \
    "staging label " label "."

static const struct update_row update_rows[] = {
    /* 3.5, the recorded transitions by U [rec]. */
    {"v1[" C "] v2[" N "]", C, "v1", "v2", "v1[" P "] v2[" C "," N "]", NULL},
    {"v1[" P "] v2[" C "] v3[" N "]", C, "v2", "v3", "v2[" P "] v3[" C "," N "]", NULL},
    {"v1[" C "] v2[" N ",AWSSOMETHING,PUT1]", C, "v1", "v2",
     "v1[" P "] v2[" C "," N ",AWSSOMETHING,PUT1]", NULL},
    {"v1[" P "] v2[" C ",AWSSOMETHING,PUT1] v3[" N ",PUT2]", C, "v2", "v3",
     "v2[" P ",AWSSOMETHING,PUT1] v3[" C "," N ",PUT2]", NULL},
    {"v2[" P ",PUT0] v3[" C ",PUT1] v4[" N ",PUT2]", C, "v3", "v4",
     "v2[PUT0] v3[" P ",PUT1] v4[" C "," N ",PUT2]", NULL},
    /* 3.5, the table of parameters, row by row. */
    {"v1[" C "]", "x", NULL, "v1", "v1[" C ",x]", NULL},
    {"v1[" C "] v2[x]", "x", "v2", "v1", "v1[" C ",x]", NULL},
    {"v1[" C "] v2[x]", "x", NULL, "v1", NULL, EMPTY("x", "v2")},
    {"v1[" C "] v2[x]", C, NULL, "v2", NULL, EMPTY(C, "v1")},
    {"v1[" C "] v2[x]", "x", "v1", "v2", NULL, ELSEWHERE("x")},
    {"v1[" C "] v2[x]", C, "v2", "v2", NULL, ELSEWHERE(C)},
    {"v1[" C "] v2[x]", "x", "v2", NULL, "v1[" C "]", NULL},
    {"v1[" C "] v2[" P "]", P, "v2", NULL, "v1[" C "]", NULL},
    {"v1[" C "] v2[" N "]", N, "v2", NULL, "v1[" C "]", NULL},
    {"v1[" C "]", C, "v1", NULL, NULL,
     "You can only move staging label AWSCURRENT to a different secret version. It can’t be "
     "completely removed."},
    {"v1[" C "] v2[x]", "y", "v2", NULL, NULL, "Version stage y not found in version v2"},
    {"v1[" C "] v2[x]", "y", "v2", "v1", NULL, "Version stage y not found in version v2"},
    {"v1[" C "] v2[x]", "x", "v1", NULL, NULL, "Version stage x not found in version v1"},
    {"v1[" C "] v2[x]", "x", NULL, "v2", "v1[" C "] v2[x]", NULL},
    {"v1[" C "] v2[x]", C, NULL, "v1", "v1[" C "] v2[x]", NULL},
    {"v1[" C "] v2[x]", "x", "v2", "v2", "v1[" C "] v2[x]", NULL},
    /* Neither version: unrecorded. */
    {"v1[" C "] v2[x]", "x", NULL, NULL, NULL, EMPTY("x", "v2")},
    {"v1[" C "] v2[x]", "y", NULL, NULL, NULL,
     "You must provide either RemoveFromVersionId or MoveToVersionId."},
    /* "Removing a custom label has no influence on AWSPREVIOUS" [rec]. */
    {"v1[" P "] v2[" C ",x]", "x", "v2", NULL, "v1[" P "] v2[" C "]", NULL},
    /* AWSPREVIOUS may be moved by hand; back to the version before. */
    {"v1[] v2[" P "] v3[" C "]", P, "v2", "v1", "v1[" P "] v3[" C "]", NULL},
    {"v1[" P "] v2[" C "]", C, "v2", "v1", "v1[" C "] v2[" P "]", NULL},
    /* AWSPENDING of a third version stays (C-6): only a write ends a rotation. */
    {"v1[" P "] v2[" C "] v3[" N "]", C, "v2", "v1", "v1[" C "] v2[" P "] v3[" N "]", NULL},
};

static void test_update_table(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(update_rows); i++) {
        const struct update_row *row = &update_rows[i];
        struct picture start;
        struct picture end;
        struct err err;
        enum errc code;

        picture_parse(&start, row->start);
        picture_parse(&end, row->end != NULL ? row->end : row->start);
        code = stages_update(&start.stages, row->label, row->remove_from, row->move_to,
                             LIMIT_STAGES_PER_SECRET, &err);
        if (row->end != NULL) {
            assert_int_equal(code, OK);
        } else {
            assert_int_equal(code, ERR_INVALID_PARAMETER);
            assert_string_equal(err.message, row->refusal);
        }
        assert_same(&start.stages, &end.stages);
    }
}

static void test_update_limit(void **state) {
    struct stages stages = {.n = 0};
    char names[LIMIT_STAGES_PER_SECRET][8];
    struct stages full;
    struct err err;

    stages_attach(&stages, C, "v1");
    for (size_t i = 0; i < LIMIT_STAGES_PER_SECRET - 1; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "l%zu", i);
        stages_attach(&stages, names[i], "v1");
    }
    full = stages;
    assert_int_equal(stages_update(&full, "more", NULL, "v2", LIMIT_STAGES_PER_SECRET, &err),
                     ERR_LIMIT_EXCEEDED);
    /* AWSPREVIOUS would be the twenty-first. */
    full = stages;
    assert_int_equal(stages_update(&full, C, "v1", "v2", LIMIT_STAGES_PER_SECRET, &err),
                     ERR_LIMIT_EXCEEDED);
    full = stages;
    assert_int_equal(stages_update(&full, C, "v1", "v2", LIMIT_STAGES_PER_SECRET + 1, &err), OK);
    /* Moving is fine, with a quota that was lowered too. */
    assert_int_equal(stages_update(&full, "l3", "v1", "v2", 3, &err), OK);
    assert_int_equal(full.n, LIMIT_STAGES_PER_SECRET + 1);
}

static void test_first_version(void **state) {
    static const struct row rows[] = {
        {"", "v1", "", "v1[" C "]"},
        {"", "v1", "mine", "v1[" C ",mine]"},
        {"", "v1", N, "v1[" C "," N "]"},
        {"v1[" N "]", "v2", "mine", "v2[" C ",mine]"},
        {"v1[" N "]", "v1", N, "v1[" C "," N "]"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct picture start;
        struct picture end;
        char room[512];
        struct err err;

        picture_parse(&start, rows[i].start);
        picture_parse(&end, rows[i].end);
        assert_int_equal(
            put(&start.stages, rows[i].version, rows[i].labels, true, room, sizeof(room), &err),
            OK);
        assert_same(&start.stages, &end.stages);
    }
}

static void test_attach_keeps_order(void **state) {
    struct stages stages = {.n = 0};

    stages_attach(&stages, "a", "v1");
    stages_attach(&stages, "b", "v1");
    stages_attach(&stages, "c", "v2");
    stages_attach(&stages, "a", "v1"); /* already there: stays first */
    assert_string_equal(stages.items[0].label, "a");
    stages_attach(&stages, "a", "v2"); /* moved: last */
    assert_int_equal(stages.n, 3);
    assert_string_equal(stages.items[0].label, "b");
    assert_string_equal(stages.items[2].label, "a");
    stages_detach(&stages, "c");
    stages_detach(&stages, "none");
    assert_int_equal(stages.n, 2);
    assert_null(stages_find(&stages, "c"));
    assert_string_equal(stages_find(&stages, "a"), "v2");
}

static void test_limit(void **state) {
    struct stages stages = {.n = 0};
    char names[LIMIT_STAGES_PER_SECRET][8];
    const char *one[] = {"one more"};
    const char *many[100];
    char texts[100][8];
    struct stages full;
    struct err err;

    stages_attach(&stages, STAGE_CURRENT, "v1");
    for (size_t i = 0; i < LIMIT_STAGES_PER_SECRET - 1; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "l%zu", i);
        stages_attach(&stages, names[i], "v1");
    }
    /* Twenty. Moving them is fine, one more is not. */
    const char *old[] = {names[0], names[1]};
    assert_int_equal(stages_put(&stages, "v2", old, 2, false, LIMIT_STAGES_PER_SECRET, &err), OK);
    full = stages;
    assert_int_equal(stages_put(&full, "v2", one, 1, false, LIMIT_STAGES_PER_SECRET, &err),
                     ERR_LIMIT_EXCEEDED);
    assert_non_null(strstr(err.message, "20"));
    /* The default put makes a shadow: the twenty-first. */
    full = stages;
    assert_int_equal(stages_put(&full, "v3", NULL, 0, false, LIMIT_STAGES_PER_SECRET, &err),
                     ERR_LIMIT_EXCEEDED);
    /* Any number of labels is refused without harm. */
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "m%zu", i);
        many[i] = texts[i];
    }
    full = stages;
    assert_int_equal(
        stages_put(&full, "v3", many, ARRAY_LEN(many), false, LIMIT_STAGES_PER_SECRET, &err),
        ERR_LIMIT_EXCEEDED);
}

/* Marsaglia's xorshift: the same walk for the same seed everywhere. */
static size_t roll(uint64_t *seed, size_t sides) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (size_t)(*seed % sides);
}

/* Whatever is written: one version is current, and every label is on one version. */
static void test_random_walk(void **state) {
    static const char *const versions[] = {"a", "b", "c", "d", "e"};
    static const char *const labels[] = {C, N, P, "x", "y", "z"};
    uint64_t seed = 20240229;

    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 200; round++) {
        struct stages stages = {.n = 0};
        for (int step = 0; step < 30; step++) {
            const char *version = versions[roll(&seed, ARRAY_LEN(versions))];
            const char *before = stages_find(&stages, C);
            const char *asked[3];
            size_t n = roll(&seed, 4);
            bool takes_current = n == 0 || before == NULL;
            struct err err;

            for (size_t i = 0; i < n; i++) {
                asked[i] = labels[roll(&seed, ARRAY_LEN(labels))];
                takes_current = takes_current || strcmp(asked[i], C) == 0;
            }
            assert_int_equal(stages_put(&stages, version, asked, n, before == NULL,
                                        LIMIT_STAGES_PER_SECRET, &err),
                             OK);
            assert_string_equal(stages_find(&stages, C), takes_current ? version : before);
            for (size_t i = 0; i < n; i++) {
                assert_string_equal(stages_find(&stages, asked[i]), version);
            }
            for (size_t i = 0; i < stages.n; i++) {
                for (size_t j = i + 1; j < stages.n; j++) {
                    assert_string_not_equal(stages.items[i].label, stages.items[j].label);
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_table),          cmocka_unit_test(test_first_version),
        cmocka_unit_test(test_update_table),       cmocka_unit_test(test_update_limit),
        cmocka_unit_test(test_attach_keeps_order), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
