/* Which secret a SecretId means: the recorded rows of AWS_BEHAVIOUR 2.2 and 3.0, and every form of
 * every name of random sets that are made to be mistaken for each other (names that end in a hyphen
 * and six characters, with and without a secret of the shorter name). Through DescribeSecret and
 * GetSecretValue.
 *
 * Seeds are fixed; REDOUBT_SEED=n begins elsewhere, REDOUBT_SEEDS=n runs so many. The last seed
 * printed is the one that fails. */
#include "tests/unit/api_ops_bench.h"

#include <stdlib.h>

enum { NAMES_MAX = 24, NAME_TEXT = 64, ARN_TEXT = 256, SUFFIX = 6, SEEDS = 40 };

#define ARN_HEAD "arn:aws:secretsmanager:" BENCH_REGION ":" BENCH_ACCOUNT ":secret:"

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

struct named {
    char name[NAME_TEXT];
    char arn[ARN_TEXT]; /* complete */
};

/* A secret whose value is its name. */
static struct named create(struct bench *bench, const char *name) {
    struct named named;
    char body[512];
    json_t *reply;

    (void)snprintf(
        body, sizeof(body),
        "{\"Name\":\"%s\",\"ClientRequestToken\":\"" TOKEN(1) "\",\"SecretString\":\"%s\"}", name,
        name);
    reply = bench_ok(bench, "CreateSecret", body);
    (void)snprintf(named.name, sizeof(named.name), "%s", name);
    (void)snprintf(named.arn, sizeof(named.arn), "%s", text_of(reply, "ARN"));
    json_decref(reply);
    return named;
}

static const char *suffix_of(const struct named *named) {
    return named->arn + strlen(named->arn) - SUFFIX;
}

/* `id` names this secret; NULL: none. */
static void expect_means(struct bench *bench, const char *id, const struct named *expected) {
    static const char *const operations[] = {"DescribeSecret", "GetSecretValue"};

    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        char body[512];
        json_t *reply;
        (void)snprintf(body, sizeof(body), ID("%s"), id);
        if (expected == NULL) {
            bench_refused(bench, operations[i], body, ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
            continue;
        }
        reply = bench_ok(bench, operations[i], body);
        assert_string_equal(text_of(reply, "Name"), expected->name);
        assert_string_equal(text_of(reply, "ARN"), expected->arn);
        if (i == 1) {
            assert_string_equal(text_of(reply, "SecretString"), expected->name);
        }
        json_decref(reply);
    }
}

/* --- Recorded --------------------------------------------------------------------------------- */

/* 2.2: recorded good names, the ones that look like an ARN's tail too. */
static void recorded_names_are_good(void **state) {
    struct bench *bench = *state;
    static const char *const names[] = {"Valid/_+=.@-Name", "Valid/_+=.@-Name-a1b2",
                                        "Valid/_+=.@-Name-a1b2c3-", "Valid/_+=.@-Name-a1b2c3"};
    struct named made[ARRAY_LEN(names)];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        made[i] = create(bench, names[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        expect_means(bench, names[i], &made[i]);
        expect_means(bench, made[i].arn, &made[i]);
    }
}

/* 3.0 row 3: "ARN without the -XXXXXX tail resolves if exactly one secret matches". */
static void a_partial_arn_resolves(void **state) {
    struct bench *bench = *state;
    struct named named = create(bench, "app/db");
    struct named longer = create(bench, "app/db-1");

    expect_means(bench, ARN_HEAD "app/db", &named);
    expect_means(bench, ARN_HEAD "app/db-1", &longer);
    expect_means(bench, ARN_HEAD "app", NULL);
    expect_means(bench, ARN_HEAD "app/d", NULL);
}

/* 3.0 row 4: of a name that ends in a dash and six characters it does not: they are taken for the
 * random part. Whether there is a secret of the shorter name makes no difference. */
static void a_partial_arn_that_looks_complete(void **state) {
    struct bench *bench = *state;
    struct named longer = create(bench, "app/db-a1b2c3");
    struct named shorter;

    expect_means(bench, ARN_HEAD "app/db-a1b2c3", NULL);
    expect_means(bench, longer.arn, &longer);
    expect_means(bench, "app/db-a1b2c3", &longer);
    shorter = create(bench, "app/db");
    expect_means(bench, ARN_HEAD "app/db-a1b2c3", NULL);
    expect_means(bench, longer.arn, &longer);
    expect_means(bench, ARN_HEAD "app/db", &shorter);
}

/* 3.0: a name with a suffix is a name; names differ in case; a secret made anew has another ARN; an
 * ARN of another region or account is not here. */
static void other_forms(void **state) {
    struct bench *bench = *state;
    struct named named = create(bench, "app/db");
    struct named again;
    char id[ARN_TEXT];

    (void)snprintf(id, sizeof(id), "app/db-%s", suffix_of(&named));
    expect_means(bench, id, NULL);
    expect_means(bench, "App/db", NULL);
    expect_means(bench, "arn:aws:secretsmanager:us-east-1:" BENCH_ACCOUNT ":secret:app/db", NULL);
    expect_means(bench, "arn:aws:secretsmanager:" BENCH_REGION ":210987654321:secret:app/db", NULL);
    bench_do(bench, "DeleteSecret", ID_("app/db", "\"ForceDeleteWithoutRecovery\":true"));
    expect_means(bench, named.arn, NULL);
    again = create(bench, "app/db");
    assert_string_not_equal(again.arn, named.arn);
    expect_means(bench, named.arn, NULL);
    expect_means(bench, again.arn, &again);
}

/* A partial ARN may be the complete ARN of the shorter name: then it is that. */
static void a_tail_that_is_the_suffix(void **state) {
    struct bench *bench = *state;
    struct named shorter = create(bench, "app/db");
    char name[NAME_TEXT];
    struct named longer;

    (void)snprintf(name, sizeof(name), "app/db-%s", suffix_of(&shorter));
    longer = create(bench, name);
    expect_means(bench, shorter.arn, &shorter); /* which reads like the longer one's partial ARN */
    expect_means(bench, name, &longer);
    expect_means(bench, longer.arn, &longer);
}

/* --- Random -------------------------------------------------------------------------------------
 */

struct set {
    struct bench *bench;
    struct named items[NAMES_MAX];
    size_t n;
    uint64_t rng;
};

static int below(struct set *set, int n) {
    uint64_t z = (set->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

static const struct named *find(const struct set *set, const char *name) {
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->items[i].name, name) == 0) {
            return &set->items[i];
        }
    }
    return NULL;
}

/* What a partial ARN of this name means, by the two recorded rows: the secret, unless the name's
 * end reads like a suffix; then it is somebody's complete ARN, or nobody's. */
static const struct named *meant_by_partial(const struct set *set, const char *name) {
    size_t len = strlen(name);
    char arn[ARN_TEXT];

    if (len <= SUFFIX + 1 || name[len - SUFFIX - 1] != '-' ||
        strspn(name + len - SUFFIX, alnum) != SUFFIX) {
        return find(set, name);
    }
    (void)snprintf(arn, sizeof(arn), ARN_HEAD "%s", name);
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->items[i].arn, arn) == 0) {
            return &set->items[i];
        }
    }
    return NULL;
}

/* A name that is easily mistaken for one that is there, or for its ARN. */
static void make_name(struct set *set, char ret[NAME_TEXT]) {
    static const char *const stems[] = {"a", "app/db", "X", "-", "/", "app/db-", "a_b"};
    static const char *const tails[] = {"-a1b2c3",  "-A1B2C3",  "-a1b2c",  "-a1b2c3d", "-a1b2c_",
                                        "-a1b2c3-", "--a1b2c3", "/a1b2c3", "",         "-aaaaaa"};
    bool extends = set->n > 0 && below(set, 2) == 0;
    const struct named *there = extends ? &set->items[below(set, (int)set->n)] : NULL;
    const char *stem = extends && strlen(there->name) < NAME_TEXT - 24
                           ? there->name
                           : stems[below(set, (int)ARRAY_LEN(stems))];

    if (extends && below(set, 4) == 0) {
        (void)snprintf(ret, NAME_TEXT, "%s-%s", stem, suffix_of(there));
    } else {
        (void)snprintf(ret, NAME_TEXT, "%s%s", stem, tails[below(set, (int)ARRAY_LEN(tails))]);
    }
}

static void expect_all_forms(struct set *set) {
    for (size_t i = 0; i < set->n; i++) {
        const struct named *named = &set->items[i];
        const struct named *other = &set->items[below(set, (int)set->n)];
        char id[ARN_TEXT];

        expect_means(set->bench, named->name, named);
        expect_means(set->bench, named->arn, named);
        (void)snprintf(id, sizeof(id), ARN_HEAD "%s", named->name);
        expect_means(set->bench, id, meant_by_partial(set, named->name));
        (void)snprintf(id, sizeof(id), "%s-%s", named->name, suffix_of(named));
        expect_means(set->bench, id, find(set, id));
        if (other != named) {
            char tail[NAME_TEXT + SUFFIX + 2];
            (void)snprintf(tail, sizeof(tail), "%s-%s", named->name, suffix_of(other));
            (void)snprintf(id, sizeof(id), ARN_HEAD "%s", tail);
            expect_means(set->bench, id, meant_by_partial(set, tail));
        }
    }
}

static void run(uint64_t seed) {
    struct set *set = calloc(1, sizeof(*set));
    void *state = NULL;
    size_t partial = 0;

    assert_non_null(set);
    print_message("seed %llu: ", (unsigned long long)seed);
    assert_int_equal(bench_setup(&state), 0);
    set->bench = state;
    set->rng = seed;
    for (int tries = 0; tries < NAMES_MAX; tries++) {
        char name[NAME_TEXT];
        make_name(set, name);
        if (find(set, name) == NULL) {
            set->items[set->n] = create(set->bench, name);
            set->n++;
        }
    }
    expect_all_forms(set);
    for (size_t i = 0; i < set->n; i++) {
        partial += meant_by_partial(set, set->items[i].name) == &set->items[i] ? 1 : 0;
    }
    print_message("%zu names, %zu by a partial ARN\n", set->n, partial);
    assert_true(partial > 0 && partial < set->n);
    assert_int_equal(bench_teardown(&state), 0);
    free(set);
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void random_sets(void **state) {
    uint64_t first = number_from("REDOUBT_SEED", 1);
    uint64_t count = number_from("REDOUBT_SEEDS", SEEDS);

    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed);
    }
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(recorded_names_are_good),           BENCH_TEST(a_partial_arn_resolves),
        BENCH_TEST(a_partial_arn_that_looks_complete), BENCH_TEST(other_forms),
        BENCH_TEST(a_tail_that_is_the_suffix),         cmocka_unit_test(random_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
