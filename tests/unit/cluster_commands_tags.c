/* TAGS_SET, TAGS_REMOVE and POLICY_SET: what they make of a secret, what they refuse, and that they
 * are replicated changes. AWS_BEHAVIOUR 3.9, 3.12. */
#include "tests/unit/cluster_commands_metadata.h"

#define REPLICA                                                                                    \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
#define SCHEDULED                                                                                  \
    "You can't perform this operation on the secret because it was marked for deletion."
#define NOT_FOUND "Secrets Manager can't find the specified secret."

static int setup(void **state) {
    struct machine *m = malloc(sizeof(*m));

    machine_init(m, EAST);
    *state = m;
    return 0;
}

static int teardown(void **state) {
    machine_fini(*state);
    free(*state);
    return 0;
}

static void create_a(struct machine *m, const char *target) {
    struct call call = {
        .name = "a", .suffix = "AAAAAA", .token = "t1", .text = "v1", .targets = {target}};

    expect_ok(do_create(m, &call));
}

static const struct call on_a = {.name = "a"};

/* The tags in order, "key=value key=value"; and whether Describe shows them at all. */
static void expect_tags(const struct machine *m, const char *name, const char *expected,
                        bool were_set) {
    Redoubt__Secret *secret = machine_secret(m, name);
    char found[1024] = "";
    size_t len = 0;

    for (size_t i = 0; i < secret->n_tags; i++) {
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s=%s", i == 0 ? "" : " ",
                                secret->tags[i]->key, secret->tags[i]->value);
    }
    assert_string_equal(found, expected);
    assert_int_equal(secret->tags_were_set, were_set);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void expect_changed(const struct machine *m, uint64_t revision, int64_t changed_ms) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    assert_int_equal(secret->revision, revision);
    assert_int_equal(secret->changed_ms, changed_ms);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* 3.9 row 1: added or overwritten by key, case-sensitive; order of first insertion. */
static void test_tags_are_set_and_removed(void **state) {
    struct machine *m = *state;
    Redoubt__Result *result;

    create_a(m, NULL);
    m->now_ms++;
    result = do_tags(m, &on_a, TAGS("b=1", "a=2"), 0);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    command_result_free(result);
    expect_tags(m, "a", "b=1 a=2", true);
    expect_changed(m, 2, m->now_ms);
    m->now_ms++;
    expect_ok(do_tags(m, &on_a, TAGS("c=3", "b=", "B=4"), 0));
    expect_tags(m, "a", "b= a=2 c=3 B=4", true);
    expect_changed(m, 3, m->now_ms);
    expect_ok(do_untag(m, &on_a, TAGS("a", "absent", "a")));
    expect_tags(m, "a", "b= c=3 B=4", true);
    /* What was removed comes back at the end. */
    expect_ok(do_tags(m, &on_a, TAGS("a=5"), 0));
    expect_tags(m, "a", "b= c=3 B=4 a=5", true);
    expect_ok(do_untag(m, &on_a, TAGS("a", "b", "c", "B")));
    expect_tags(m, "a", "", true);
    expect_changed(m, 6, m->now_ms);
}

/* 3.9: no error, and no change that anybody could see. */
static void test_nothing_to_do_changes_nothing(void **state) {
    struct machine *m = *state;
    uint64_t before;

    create_a(m, WEST);
    before = machine_hash(m);
    m->now_ms++;
    expect_ok(do_untag(m, &on_a, TAGS("absent")));
    expect_ok(do_untag(m, &on_a, TAGS(NULL)));
    expect_ok(do_tags(m, &on_a, TAGS(NULL), 0));
    expect_ok(do_policy(m, &on_a, NULL));
    expect_tags(m, "a", "", false);
    assert_int_equal(machine_hash(m), before);
}

/* 3.9 row 4: counted is what there would be. */
static void test_tags_are_bounded_together(void **state) {
    struct machine *m = *state;
    char texts[LIMIT_TAGS_MOST + 1][16];
    const char *pairs[LIMIT_TAGS_MOST + 2] = {NULL};
    uint64_t before;

    create_a(m, NULL);
    for (size_t i = 0; i <= LIMIT_TAGS_MOST; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "k%zu=v", i);
        pairs[i] = i < LIMIT_TAGS ? texts[i] : NULL;
    }
    expect_ok(do_tags(m, &on_a, pairs, 0));
    before = machine_hash(m);
    expect_refusal(do_tags(m, &on_a, TAGS("k0=w", "one=more"), 0), ERR_INVALID_PARAMETER,
                   "A secret can't have more than 50 tags.");
    assert_int_equal(machine_hash(m), before);
    expect_ok(do_tags(m, &on_a, TAGS("k0=w"), 0));
    /* A higher quota; and back under the lower one what is there can be changed, and no more. */
    expect_ok(do_tags(m, &on_a, TAGS("one=more"), 51));
    expect_ok(do_tags(m, &on_a, TAGS("one=less"), 0));
    expect_refusal(do_tags(m, &on_a, TAGS("two=more"), 0), ERR_INVALID_PARAMETER, NULL);
    for (size_t i = 0; i < LIMIT_TAGS_MOST; i++) {
        pairs[i] = texts[i];
    }
    expect_refusal(do_tags(m, &on_a, pairs, 100000), ERR_INVALID_PARAMETER,
                   "A secret can't have more than 200 tags.");
    expect_ok(do_untag(m, &on_a, TAGS("one")));
    expect_ok(do_tags(m, &on_a, pairs, 100000));
    pairs[LIMIT_TAGS_MOST] = texts[LIMIT_TAGS_MOST];
    expect_refusal(do_tags(m, &on_a, pairs, 100000), ERR_MALFORMED, NULL);
}

static void test_policy_is_kept_as_it_is_given(void **state) {
    static const char text[] = " { \"Statement\" :\n[ ] } ";
    struct machine *m = *state;
    Redoubt__Secret *secret;

    create_a(m, NULL);
    m->now_ms++;
    expect_ok(do_policy(m, &on_a, text));
    expect_changed(m, 2, m->now_ms);
    secret = machine_secret(m, "a");
    assert_string_equal(secret->policy, text);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_ok(do_policy(m, &on_a, "{}"));
    secret = machine_secret(m, "a");
    assert_string_equal(secret->policy, "{}");
    redoubt__secret__free_unpacked(secret, NULL);
    m->now_ms++;
    expect_ok(do_policy(m, &on_a, NULL));
    expect_changed(m, 4, m->now_ms);
    secret = machine_secret(m, "a");
    assert_null(secret->policy);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_bounds_of_the_state(void **state) {
    struct machine *m = *state;
    char *long_text = calloc(1, 4 * LIMIT_POLICY_MOST + 2);
    char key[4 * LIMIT_TAG_KEY + 2] = "";
    const char *many[KIT_LIST] = {key};
    uint64_t before;

    create_a(m, NULL);
    before = machine_hash(m);
    memset(long_text, 'x', 4 * LIMIT_POLICY_MOST + 1);
    expect_refusal(do_policy(m, &on_a, long_text), ERR_MALFORMED, NULL);
    expect_refusal(do_policy(m, &on_a, ""), ERR_MALFORMED, NULL);
    expect_refusal(do_tags(m, &on_a, TAGS("=v"), 0), ERR_MALFORMED, NULL);
    expect_refusal(do_untag(m, &on_a, many), ERR_MALFORMED, NULL);
    memset(key, 'k', sizeof(key) - 1);
    expect_refusal(do_untag(m, &on_a, many), ERR_MALFORMED, NULL);
    assert_int_equal(machine_hash(m), before);
    long_text[4 * LIMIT_POLICY_MOST] = '\0';
    expect_ok(do_policy(m, &on_a, long_text));
    free(long_text);
}

/* Every command, refused with `code` and this sentence, changes nothing. */
static void expect_all_refused(struct machine *m, const struct call *call, enum errc code,
                               const char *message) {
    uint64_t before = machine_hash(m);

    expect_refusal(do_tags(m, call, TAGS("a=b"), 0), code, message);
    expect_refusal(do_tags(m, call, TAGS(NULL), 0), code, message);
    expect_refusal(do_untag(m, call, TAGS("a")), code, message);
    expect_refusal(do_policy(m, call, "{}"), code, message);
    expect_refusal(do_policy(m, call, NULL), code, message);
    assert_int_equal(machine_hash(m), before);
}

/* 3.0, 4.4. */
static void test_refusals_of_state(void **state) {
    struct machine *m = *state;
    struct machine west;
    struct call other = {.name = "a", .suffix = "BBBBBB"};
    struct call scheduled = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};

    machine_init(&west, WEST);
    create_a(m, WEST);
    expect_all_refused(m, &(struct call){.name = "b"}, ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    expect_all_refused(m, &other, ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_all_refused(&west, &on_a, ERR_INVALID_PARAMETER, REPLICA);
    expect_ok(do_remove(m, &(struct call){.name = "a", .targets = {WEST}}));
    expect_ok(do_delete(m, &scheduled));
    expect_all_refused(m, &on_a, ERR_INVALID_REQUEST, SCHEDULED);
    machine_fini(&west);
}

/* 4.1: tags and policy reach the replica, and go there too. */
static void test_tags_and_policy_are_replicated(void **state) {
    struct machine *m = *state;
    struct machine west;
    Redoubt__Secret *replica;

    machine_init(&west, WEST);
    create_a(m, WEST);
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_ok(do_tags(m, &on_a, TAGS("x=1", "y=2"), 0));
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_tags(&west, "a", "x=1 y=2", true);
    expect_ok(do_policy(m, &on_a, "{ }"));
    expect_ok(do_untag(m, &on_a, TAGS("x", "y")));
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_tags(&west, "a", "", true);
    replica = machine_secret(&west, "a");
    assert_string_equal(replica->policy, "{ }");
    redoubt__secret__free_unpacked(replica, NULL);
    expect_ok(do_policy(m, &on_a, NULL));
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    replica = machine_secret(&west, "a");
    assert_null(replica->policy);
    redoubt__secret__free_unpacked(replica, NULL);
    assert_int_equal(exchange(m, &west), 0);
    /* A promoted secret keeps them. */
    expect_ok(do_policy(m, &on_a, "{ }"));
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_ok(do_promote(&west, &on_a));
    replica = machine_secret(&west, "a");
    assert_string_equal(replica->policy, "{ }");
    redoubt__secret__free_unpacked(replica, NULL);
    machine_fini(&west);
}

/* A policy that no region could have accepted does not get in. */
static void test_shipped_policies_are_bounded(void **state) {
    struct machine *m = *state;
    struct machine west;
    struct shipment shipment;
    Redoubt__OutcomeBatch *outcome;

    machine_init(&west, WEST);
    create_a(m, WEST);
    shipment = ship(m, WEST);
    shipment.batch->items[0]->secret->policy = calloc(1, 4 * LIMIT_POLICY_MOST + 2);
    memset(shipment.batch->items[0]->secret->policy, 'x', 4 * LIMIT_POLICY_MOST + 1);
    outcome = deliver(&west, &shipment);
    assert_int_equal(outcome->items[0]->verdict->verdict, REDOUBT__VERDICT__VERDICT_REFUSED);
    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    shipment_free(&shipment);
    machine_fini(&west);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_tags_are_set_and_removed),
        TEST(test_nothing_to_do_changes_nothing),
        TEST(test_tags_are_bounded_together),
        TEST(test_policy_is_kept_as_it_is_given),
        TEST(test_bounds_of_the_state),
        TEST(test_refusals_of_state),
        TEST(test_tags_and_policy_are_replicated),
        TEST(test_shipped_policies_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
