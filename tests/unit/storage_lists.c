/* Lists by hand: every field, every length of a prefix, links, and the bounds of what is looked at.
 * What random work finds is in storage_index.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage_index.h"

#include <stdio.h>

static struct engine *engine;
static struct txn *txn;
static uint64_t applied;

static int setup(void **state) {
    Redoubt__Region region = REDOUBT__REGION__INIT;

    engine = scratch_open(NULL);
    txn = txn_new(engine);
    region.name = (char *)(uintptr_t)HERE;
    txn_put_region(txn, &region);
    return 0;
}

static int teardown(void **state) {
    txn_free(txn);
    engine_close(engine);
    return 0;
}

static void put(uint64_t seq, const char *name, const char *description, const char *tag_key,
                const char *tag_value) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag = REDOUBT__TAG__INIT;
    Redoubt__Tag *tags[] = {&tag};

    secret.name = (char *)(uintptr_t)name;
    secret.description = (char *)(uintptr_t)description;
    tag.key = (char *)(uintptr_t)tag_key;
    tag.value = (char *)(uintptr_t)tag_value;
    secret.tags = tags;
    secret.n_tags = tag_key != NULL ? 1 : 0;
    secret.has_created_seq = 1;
    secret.created_seq = seq;
    txn_put_secret(txn, index_accounts[0], &secret);
}

struct names {
    char text[8192];
    size_t len;
};

static bool add_name(void *arg, const Redoubt__Secret *secret) {
    struct names *names = arg;

    names->len += (size_t)snprintf(names->text + names->len, sizeof(names->text) - names->len,
                                   "%s%s", names->len > 0 ? " " : "", secret->name);
    assert_true(names->len < sizeof(names->text));
    return true;
}

/* Exactly these, in every order: with so few there is no excuse for a superset. */
static void assert_term(enum list_field field, const char *prefix, const char *expected) {
    const struct list_term term = {.field = field, .prefix = prefix};
    const struct list_terms terms = {.terms = &term, .n = 1};
    const struct list_clause clause = {.any = &terms, .n = 1};
    const struct list_position start = {.is_set = false};
    struct view *view;

    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = &clause, .n_clauses = 1};
        struct names names = {.len = 0};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, add_name, &names), OK);
        assert_string_equal(names.text, expected);
    }
    view_free(view);
}

static void test_every_field(void **state) {
    put(1, "a/one", "first secret", "team", "core");
    put(2, "b/two", "Second", "Team", "coreless");
    put(3, "c/three", NULL, NULL, NULL);
    assert_term(LIST_NAME, "a", "a/one");
    assert_term(LIST_NAME, "a/one", "a/one");
    assert_term(LIST_NAME, "a/one/", "");
    assert_term(LIST_NAME, "A", "");
    assert_term(LIST_TAG_KEY, "t", "a/one");
    assert_term(LIST_TAG_KEY, "Team", "b/two");
    assert_term(LIST_TAG_VALUE, "core", "a/one b/two");
    assert_term(LIST_TAG_VALUE, "corel", "b/two");
    assert_term(LIST_WORD, "s", "a/one b/two");
    assert_term(LIST_WORD, "second", "b/two");
    assert_term(LIST_WORD, "team", "a/one b/two");
    assert_term(LIST_WORD, "thr", "c/three");
    assert_term(LIST_WORD, "hree", "");
    assert_term(LIST_PRIMARY_REGION, "eu", "");
}

/* Grams of every kind, and every length between two of them. */
static void test_every_length(void **state) {
    char name[LIMIT_NAME + 1];
    char other[LIMIT_NAME + 1];
    char value[257];

    for (size_t i = 0; i < LIMIT_NAME; i++) {
        name[i] = (char)('a' + i % 26);
    }
    name[LIMIT_NAME] = '\0';
    memcpy(value, name, 256);
    value[256] = '\0';
    put(1, name, NULL, value + 128, value);
    assert_int_equal(gram_floor(INDEX_FIELD_NAME, LIMIT_NAME), LIMIT_NAME);
    for (size_t len = 1; len <= LIMIT_NAME; len++) {
        memcpy(other, name, len);
        other[len] = '\0';
        assert_term(LIST_NAME, other, name);
        for (int field = INDEX_FIELD_NAME; field <= INDEX_FIELD_WORD; field++) {
            size_t gram = gram_floor((enum index_field)field, len);
            assert_in_range(gram, 1, len);
            assert_true(gram + gram_rest((enum index_field)field, gram) >= len);
        }
        if (len <= 256) {
            assert_term(LIST_TAG_VALUE, other, name);
        }
        other[len - 1] = '!';
        assert_term(LIST_NAME, other, "");
        assert_term(LIST_TAG_VALUE, other, "");
    }
}

/* Texts that share a gram, in one secret: each of them is found, and nothing between them. */
static void test_shared_grams(void **state) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag[4];
    Redoubt__Tag *tags[4];
    static const char *const values[4] = {"a value of 16 by", "a value of 16 bytes",
                                          "a value of 16 bypassed", "a value of 16 byt"};

    for (size_t i = 0; i < 4; i++) {
        redoubt__tag__init(&tag[i]);
        tag[i].key = (char *)(uintptr_t) "k";
        tag[i].value = (char *)(uintptr_t)values[i];
        tags[i] = &tag[i];
    }
    secret.name = (char *)(uintptr_t) "s";
    secret.tags = tags;
    secret.n_tags = 4;
    secret.has_created_seq = 1;
    secret.created_seq = 1;
    txn_put_secret(txn, index_accounts[0], &secret);
    assert_term(LIST_TAG_VALUE, "a value of 16 by", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byt", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byte", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 bypas", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 bypassed", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byx", "");
    assert_term(LIST_TAG_VALUE, "a value of 16 bytf", "");
    assert_index_is_true(engine);
}

/* primary-region: replicas by where they come from; primaries with replicas are here (3.10). */
static void test_primary_region_follows_links(void **state) {
    Redoubt__Link link = REDOUBT__LINK__INIT;
    Redoubt__Secret replica = REDOUBT__SECRET__INIT;
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;

    put(1, "a", NULL, NULL, NULL);
    put(2, "b", NULL, NULL, NULL);
    link.region = (char *)(uintptr_t) "us-east-1";
    txn_put_link(txn, index_accounts[0], "a", &link);
    assert_term(LIST_PRIMARY_REGION, HERE, "a");
    link.region = (char *)(uintptr_t) "us-east-2";
    txn_put_link(txn, index_accounts[0], "a", &link);
    txn_delete_link(txn, index_accounts[0], "a", "us-east-1");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "a");
    assert_term(LIST_PRIMARY_REGION, "us", "");
    txn_delete_link(txn, index_accounts[0], "a", "us-east-2");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    /* A link may be there before its secret, and outlive it. */
    txn_put_link(txn, index_accounts[0], "c", &link);
    put(3, "c", NULL, NULL, NULL);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "c");
    replica.name = (char *)(uintptr_t) "c";
    replica.has_created_seq = 1;
    replica.created_seq = 3;
    txn_delete_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    origin.region = (char *)(uintptr_t) "us-west-2";
    replica.replica_of = &origin;
    replica.created_seq = 4;
    txn_put_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "us-west", "c");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    replica.replica_of = NULL; /* promoted, with a link of its own */
    txn_put_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "c");
    assert_term(LIST_PRIMARY_REGION, "us-west", "");
    assert_index_is_true(engine);
}

static void assert_clauses(const struct list_clause *clauses, size_t n, const char *expected) {
    const struct list_position start = {.is_set = false};
    struct view *view;

    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = clauses, .n_clauses = n};
        struct names names = {.len = 0};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, add_name, &names), OK);
        assert_string_equal(names.text, expected);
    }
    view_free(view);
}

/* What says nothing is left out; a clause that nothing can satisfy leaves nothing. */
static void test_empty_clauses(void **state) {
    const struct list_term nothing = {.field = LIST_NAME, .prefix = ""};
    const struct list_term a = {.field = LIST_NAME, .prefix = "a"};
    const struct list_terms any[] = {{.terms = &nothing, .n = 1}, {.terms = &a, .n = 1}};
    const struct list_terms no_terms = {.n = 0};
    const struct list_clause all[] = {{.any = any, .n = 2}, {.any = &no_terms, .n = 1}};
    const struct list_clause both[] = {{.any = any, .n = 2}, {.any = &any[1], .n = 1}};
    const struct list_clause none = {.n = 0};

    put(1, "a", NULL, NULL, NULL);
    put(2, "b", NULL, NULL, NULL);
    assert_clauses(all, 2, "a b");
    assert_clauses(both, 2, "a");
    assert_clauses(&none, 1, "");
}

/* More terms than are looked at: some are left out, and no secret is. */
static void test_more_terms_than_iterators(void **state) {
    static struct list_term terms[10][10];
    static struct list_terms any[10][10];
    struct list_clause clauses[10];

    for (size_t i = 0; i < 10; i++) {
        for (size_t k = 0; k < 10; k++) {
            terms[i][k] = (struct list_term){.field = k % 2 == 0 ? LIST_WORD : LIST_PRIMARY_REGION,
                                             .prefix = k % 2 == 0 ? "alpha" : "nowhere"};
            any[i][k] = (struct list_terms){.terms = terms[i], .n = i % 2 == 0 ? 1 : k + 1};
        }
        clauses[i] = (struct list_clause){.any = any[i], .n = 10};
        any[i][9] = (struct list_terms){.terms = terms[i], .n = 1};
    }
    put(1, "alpha", NULL, NULL, NULL);
    put(2, "Beta", NULL, NULL, NULL);
    assert_clauses(clauses, 1, "alpha");
    assert_clauses(clauses, 10, "alpha");
}

struct counter {
    size_t n;
    size_t max;
    uint64_t last_seq;
};

static bool count_some(void *arg, const Redoubt__Secret *secret) {
    struct counter *counter = arg;

    counter->last_seq = secret->created_seq;
    return ++counter->n < counter->max;
}

/* Dense lists that never meet, looked at thirty times each: the walk shows where it is in the end,
 * instead of walking in silence. */
static void test_a_fruitless_walk_reports(void **state) {
    enum { N = 12000, TIMES = 30 };
    const struct list_term odd = {.field = LIST_TAG_VALUE, .prefix = "odd"};
    const struct list_term even = {.field = LIST_NAME, .prefix = "e"};
    struct list_terms any[2][TIMES];
    const struct list_clause clauses[] = {{.any = any[0], .n = TIMES}, {.any = any[1], .n = TIMES}};
    const struct list_position start = {.is_set = false};
    struct view *view;

    for (size_t i = 0; i < TIMES; i++) {
        any[0][i] = (struct list_terms){.terms = &odd, .n = 1};
        any[1][i] = (struct list_terms){.terms = &even, .n = 1};
    }
    for (uint64_t i = 1; i <= N; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%c%" PRIu64, i % 2 == 0 ? 'e' : 'o', i);
        put(i, name, NULL, "t", i % 2 == 0 ? "even" : "odd");
        if (i % 500 == 0) {
            txn_commit(txn, ++applied);
        }
    }
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        for (int descending = 0; descending < 2; descending++) {
            const struct list_query query = {.order = (enum list_order)order,
                                             .descending = descending != 0,
                                             .clauses = clauses,
                                             .n_clauses = 2};
            struct counter counter = {.max = SIZE_MAX};
            assert_int_equal(
                view_list(view, index_accounts[0], &query, &start, count_some, &counter), OK);
            assert_in_range(counter.n, 10, N / 2);
        }
    }
    view_free(view);
}

/* More candidates than are held in memory, in every order: none is left out. */
static void test_many_candidates(void **state) {
    enum { N = LIMIT_LIST_CANDIDATES + 500 };
    const struct list_term term = {.field = LIST_TAG_KEY, .prefix = "t"};
    const struct list_terms terms = {.terms = &term, .n = 1};
    const struct list_clause clause = {.any = &terms, .n = 1};
    const struct list_position start = {.is_set = false};
    struct view *view;

    for (uint64_t i = 1; i <= N; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "s%" PRIu64, i);
        put(i, name, NULL, "t", NULL);
        if (i % 500 == 0) {
            txn_commit(txn, ++applied);
        }
    }
    put(N + 1, "another", NULL, NULL, NULL);
    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = &clause, .n_clauses = 1};
        struct counter counter = {.max = SIZE_MAX};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, count_some, &counter),
                         OK);
        assert_int_equal(counter.n, N);
    }
    view_free(view);
}

/* Names that cannot be are in no list; asking is no error. */
static void test_accounts_that_cannot_be(void **state) {
    const struct list_query query = {.order = LIST_BY_NAME};
    const struct list_position start = {.is_set = false};
    struct counter counter = {.max = SIZE_MAX};
    struct view *view = view_new(engine);
    uint64_t count = 7;

    assert_int_equal(view_list(view, "nobody", &query, &start, count_some, &counter), OK);
    assert_int_equal(view_list(view, "1234567890123", &query, &start, count_some, &counter), OK);
    assert_int_equal(counter.n, 0);
    assert_int_equal(view_secret_count(view, "nobody", &count), OK);
    assert_int_equal(count, 0);
    view_free(view);
}

/* A row without its secret is damage, and is said. */
static void test_damage(void **state) {
    const struct list_query query = {.order = LIST_BY_CHANGED};
    const struct list_position start = {.is_set = false};
    struct counter counter = {.max = SIZE_MAX};
    struct view *view;
    struct key key;
    char *message = NULL;

    put(1, "a", NULL, NULL, NULL);
    txn_commit(txn, ++applied);
    assert_true(key_secret(&key, index_accounts[0], "a"));
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_STATE],
                      (const char *)key.data, key.len, &message);
    assert_null(message);
    view = view_new(engine);
    assert_int_equal(view_list(view, index_accounts[0], &query, &start, count_some, &counter),
                     ERR_CORRUPT);
    view_free(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_every_field),
        TEST(test_every_length),
        TEST(test_shared_grams),
        TEST(test_primary_region_follows_links),
        TEST(test_empty_clauses),
        TEST(test_more_terms_than_iterators),
        TEST(test_a_fruitless_walk_reports),
        TEST(test_many_candidates),
        TEST(test_accounts_that_cannot_be),
        TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
