/* What the leader's jobs propose: the end of a recovery window, and the pruning of old versions.
 * Both carry their preconditions, so that what happened meanwhile wins. */
#include "tests/unit/cluster_commands_regions.h"

enum { WINDOW_DAYS = 7 };

static int64_t window_end(void) {
    return KIT_NOW + WINDOW_DAYS * KIT_DAY_MS;
}

static struct call purge_of(const char *suffix) {
    return (struct call){.name = "a", .suffix = suffix, .deletion_ms = window_end()};
}

/* EAST's "a" is scheduled for deletion at the end of the window. */
static void schedule(struct machine *m) {
    struct call call = {.name = "a", .deletion_ms = window_end()};
    expect_ok(do_delete(m, &call));
}

/* The command is no error, says that nothing was done, and did nothing. */
static void expect_nothing(struct machine *m, Redoubt__Result *(*apply)(struct machine *m)) {
    uint64_t before = machine_hash(m);
    Redoubt__Result *result = apply(m);

    assert_int_equal(result->code, OK);
    assert_null(result->name);
    command_result_free(result);
    assert_int_equal(machine_hash(m), before);
}

static void expect_done(Redoubt__Result *result) {
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    command_result_free(result);
}

static Redoubt__Result *purge_a(struct machine *m) {
    struct call call = purge_of("AAAAAA");
    return do_purge(m, &call);
}

static Redoubt__Result *purge_b(struct machine *m) {
    struct call call = purge_of("BBBBBB");
    return do_purge(m, &call);
}

/* 3.8: at the end of the window the secret is removed; the name stays blocked until then. */
static void test_purge_frees_the_name(void **state) {
    struct machine *m = &((struct regions *)*state)->east;
    struct call again = {.name = "a", .suffix = "BBBBBB", .token = "t1", .text = "new"};

    create(m, "AAAAAA", "v1");
    put(m, "t2", "v2");
    schedule(m);
    m->now_ms = window_end() - 1;
    expect_nothing(m, purge_a);
    expect_refusal(do_create(m, &again), ERR_INVALID_REQUEST,
                   "You can't create this secret because a secret with this name is already "
                   "scheduled for deletion.");
    m->now_ms = window_end();
    expect_done(purge_a(m));
    assert_null(machine_secret(m, "a"));
    assert_false(machine_has_value(m, "a", "t1"));
    assert_false(machine_has_value(m, "a", "t2"));
    expect_nothing(m, purge_a);
    expect_ok(do_create(m, &again));
    expect_role(m, "BBBBBB", STANDALONE);
}

static void test_purge_needs_its_schedule(void **state) {
    struct machine *m = &((struct regions *)*state)->east;
    struct call later = {.name = "a", .deletion_ms = window_end() + 1};

    create(m, "AAAAAA", "v1");
    m->now_ms = window_end();
    expect_nothing(m, purge_a); /* not scheduled, or restored */
    expect_ok(do_delete(m, &later));
    m->now_ms = window_end() + KIT_DAY_MS;
    expect_nothing(m, purge_a); /* scheduled for another moment */
    expect_nothing(m, purge_b); /* another secret had the name */
    expect_ok(do_delete(m, &drop));
    expect_nothing(m, purge_a); /* gone already */
}

static void test_purge_leaves_replicas(void **state) {
    struct regions *r = *state;

    replicate(r);
    r->west.now_ms = window_end();
    expect_nothing(&r->west, purge_a);
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
}

/* As a forced deletion does: what the old primary still sends must not bring it back. */
static void test_purge_of_a_promoted_secret_leaves_a_grave(void **state) {
    struct regions *r = *state;
    struct shipment late;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &force_west));
    late = ship(&r->east, WEST);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_ok(do_promote(&r->west, &only_name));
    schedule(&r->west);
    r->west.now_ms = window_end();
    expect_done(purge_a(&r->west));
    expect_role(&r->west, "", GONE);
    assert_int_equal(redeliver(&r->west, &late), V(PROMOTED));
    expect_role(&r->west, "", GONE);
    shipment_free(&late);
}

static void test_malformed(void **state) {
    struct machine *m = &((struct regions *)*state)->east;
    struct call no_suffix = {.name = "a", .deletion_ms = window_end()};
    struct call bad_time = {.name = "a", .suffix = "AAAAAA", .deletion_ms = -1};

    create(m, "AAAAAA", "v1");
    schedule(m);
    m->now_ms = window_end();
    expect_refusal(do_purge(m, &no_suffix), ERR_MALFORMED, NULL);
    expect_refusal(do_purge(m, &bad_time), ERR_MALFORMED, NULL);
    expect_refusal(do_prune(m, &no_suffix, 0), ERR_MALFORMED, NULL);
    m->now_ms = -1;
    expect_refusal(purge_a(m), ERR_MALFORMED, NULL);
    expect_role(m, "AAAAAA", STANDALONE);
}

/* ---- Pruning ---- */

static Redoubt__Result *prune_a(struct machine *m) {
    static const struct call call = {.name = "a", .suffix = "AAAAAA"};
    return do_prune(m, &call, 0);
}

static Redoubt__Result *prune_a_to_120(struct machine *m) {
    static const struct call call = {.name = "a", .suffix = "AAAAAA"};
    return do_prune(m, &call, 120);
}

static Redoubt__Result *prune_b(struct machine *m) {
    static const struct call call = {.name = "a", .suffix = "BBBBBB"};
    return do_prune(m, &call, 0);
}

static void put_many(struct machine *m, int n) {
    for (int i = 0; i < n; i++) {
        char token[16];
        (void)snprintf(token, sizeof(token), "n%d", i);
        put(m, token, token);
    }
}

static void expect_versions(const struct machine *m, size_t n, const char *oldest) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    assert_int_equal(secret->n_versions, n);
    assert_string_equal(secret->versions[0]->id, oldest);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* 3.5, version retention: above 100, the oldest without labels; none younger than 24 hours. */
static void test_prune_waits_a_day(void **state) {
    struct machine *m = &((struct regions *)*state)->east;

    create(m, "AAAAAA", "v1");
    put_many(m, 110); /* t1, n0 .. n109 */
    expect_nothing(m, prune_a);
    m->now_ms += KIT_DAY_MS - 1;
    expect_nothing(m, prune_a);
    m->now_ms += 1;
    expect_nothing(m, prune_b);
    expect_done(prune_a(m));
    expect_versions(m, LIMIT_VERSIONS_KEPT, "n10");
    assert_false(machine_has_value(m, "a", "t1"));
    assert_false(machine_has_value(m, "a", "n9"));
    assert_true(machine_has_value(m, "a", "n10"));
    expect_nothing(m, prune_a);
}

/* It is no change of the user's; but a change for the replicas. */
static void test_prune_is_replicated(void **state) {
    struct regions *r = *state;
    Redoubt__Secret *before;
    Redoubt__Secret *after;

    replicate(r);
    put_many(&r->east, 110);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    before = machine_secret(&r->east, "a");
    r->east.now_ms += KIT_DAY_MS;
    expect_done(prune_a(&r->east));
    after = machine_secret(&r->east, "a");
    assert_int_equal(after->revision, before->revision + 1);
    assert_int_equal(after->changed_ms, before->changed_ms);
    redoubt__secret__free_unpacked(before, NULL);
    redoubt__secret__free_unpacked(after, NULL);
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);

    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
    expect_versions(&r->west, LIMIT_VERSIONS_KEPT, "n10");
    assert_false(machine_has_value(&r->west, "a", "t1"));
    assert_false(machine_has_value(&r->west, "a", "n9"));
    expect_stored(&r->west, "a", "n10", "n10");
    /* A replica is pruned by its primary alone. */
    r->west.now_ms += 10 * KIT_DAY_MS;
    expect_nothing(&r->west, prune_a);
}

static void test_prune_follows_the_quota(void **state) {
    struct machine *m = &((struct regions *)*state)->east;

    create(m, "AAAAAA", "v1");
    put_many(m, 125); /* 126 versions */
    m->now_ms += KIT_DAY_MS;
    expect_done(prune_a_to_120(m));
    expect_versions(m, 120, "n5");
    expect_nothing(m, prune_a_to_120);
    expect_done(prune_a(m));
    expect_versions(m, LIMIT_VERSIONS_KEPT, "n25");
}

static void test_prune_keeps_labels_and_scheduled_secrets(void **state) {
    struct machine *m = &((struct regions *)*state)->east;
    struct call kept = {.name = "a", .token = "kept", .text = "k", .labels = {"keep"}};

    create(m, "AAAAAA", "v1");
    expect_ok(do_put(m, &kept));
    put_many(m, 110); /* t1, kept, n0 .. n109 */
    m->now_ms += KIT_DAY_MS;
    schedule(m);
    expect_nothing(m, prune_a); /* it can be restored as it was */
    expect_ok(do_delete(m, &drop));

    m->now_ms = KIT_NOW;
    create(m, "AAAAAA", "v1");
    expect_ok(do_put(m, &kept));
    put_many(m, 110);
    m->now_ms += KIT_DAY_MS;
    expect_done(prune_a(m));
    expect_versions(m, LIMIT_VERSIONS_KEPT, "kept");
    expect_stored(m, "a", "kept", "k");
}

/* 6: as many labels and kept versions as the proposer's quotas say. */
static Redoubt__Result *put_with(struct machine *m, const char *token, const char *label,
                                 unsigned labels, unsigned kept) {
    struct call call = {.name = "a", .token = token, .text = token};
    Redoubt__SecretPut put = REDOUBT__SECRET_PUT__INIT;
    Redoubt__Quotas quotas = REDOUBT__QUOTAS__INIT;
    char text[32];
    char *stages[] = {text};
    Redoubt__Result *result;

    (void)snprintf(text, sizeof(text), "%s", label);
    quotas.has_labels = true;
    quotas.labels = labels;
    quotas.has_versions_kept = true;
    quotas.versions_kept = kept;
    put.ref = kit_ref(&call);
    put.value = kit_call_value(m, &call);
    put.stages = stages;
    put.n_stages = 1;
    put.has_now_ms = true;
    put.now_ms = m->now_ms;
    put.quotas = &quotas;
    result = machine_apply(m, COMMAND_SECRET_PUT, &put.base);
    redoubt__secret_ref__free_unpacked(put.ref, NULL);
    redoubt__new_value__free_unpacked(put.value, NULL);
    return result;
}

static void test_put_follows_the_quotas(void **state) {
    struct machine *m = &((struct regions *)*state)->east;

    create(m, "AAAAAA", "v1"); /* AWSCURRENT */
    for (unsigned i = 0; i < 99; i++) {
        char label[16];
        (void)snprintf(label, sizeof(label), "label%u", i);
        expect_ok(put_with(m, label, label, 100, 300));
    }
    expect_refusal(put_with(m, "more", "more", 100, 300), ERR_LIMIT_EXCEEDED,
                   "The request failed because it would exceed the quota of 100 staging labels "
                   "attached to the versions of a secret.");
    /* No command makes room for more than the records have. */
    expect_refusal(put_with(m, "more", "more", 1000, 300), ERR_LIMIT_EXCEEDED,
                   "The request failed because it would exceed the quota of 100 staging labels "
                   "attached to the versions of a secret.");
    /* A quota that was lowered refuses more labels, not the change of those that are there. */
    expect_refusal(put_with(m, "more", "more", 20, 300), ERR_LIMIT_EXCEEDED,
                   "The request failed because it would exceed the quota of 20 staging labels "
                   "attached to the versions of a secret.");
    expect_ok(put_with(m, "moved", "label0", 20, 300));

    m->now_ms += KIT_DAY_MS;
    for (unsigned i = 0; i < 50; i++) {
        char token[16];
        (void)snprintf(token, sizeof(token), "x%u", i);
        expect_ok(put_with(m, token, "label0", 100, 150));
    }
    /* 1 + 99 + 1 + 50, one too many; of the old ones only the first holder of label0 has none. */
    expect_versions(m, 150, "t1");
    assert_false(machine_has_value(m, "a", "label0"));
}

/* ---- The number of secrets ---- */

static Redoubt__Result *create_within(struct machine *m, const char *name, uint64_t secrets) {
    struct call call = {.name = name, .suffix = "CCCCCC", .token = "t1", .text = "v1"};
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;
    Redoubt__Quotas quotas = REDOUBT__QUOTAS__INIT;
    char token[] = "t1";
    Redoubt__Result *result;

    quotas.has_secrets = true;
    quotas.secrets = secrets;
    create.ref = kit_ref(&call);
    create.token = token;
    create.value = kit_call_value(m, &call);
    create.has_now_ms = true;
    create.now_ms = m->now_ms;
    create.quotas = &quotas;
    result = machine_apply(m, COMMAND_SECRET_CREATE, &create.base);
    redoubt__secret_ref__free_unpacked(create.ref, NULL);
    redoubt__new_value__free_unpacked(create.value, NULL);
    return result;
}

/* 6: secrets per Region and account. The name counts until its window has ended. */
static void test_quota_of_secrets(void **state) {
    static const char too_many[] = "The request failed because it would exceed the quota of 3 "
                                   "secrets for this account in this "
                                   "Region.";
    struct regions *r = *state;
    struct machine *m = &r->west;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    expect_ok(create_within(m, "b", 3));
    expect_ok(create_within(m, "c", 3));
    expect_ok(create_within(m, "d", 3));
    expect_refusal(create_within(m, "e", 3), ERR_LIMIT_EXCEEDED, too_many);
    expect_ok(create_within(m, "d", 3)); /* the repetition of a call that was answered */
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED)); /* a replica is never refused */
    expect_role(m, "AAAAAA", REPLICA_OF_EAST);
    expect_ok(create_within(m, "e", 5)); /* the replica counts */
    expect_refusal(create_within(m, "f", 5), ERR_LIMIT_EXCEEDED, NULL);
    expect_ok(do_delete(m, &(struct call){.name = "e", .deletion_ms = window_end()}));
    expect_refusal(create_within(m, "f", 5), ERR_LIMIT_EXCEEDED, NULL);
    expect_ok(do_delete(m, &(struct call){.name = "e", .force = true}));
    expect_ok(create_within(m, "f", 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_purge_frees_the_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purge_needs_its_schedule, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purge_leaves_replicas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purge_of_a_promoted_secret_leaves_a_grave, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prune_waits_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prune_is_replicated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prune_follows_the_quota, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prune_keeps_labels_and_scheduled_secrets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_put_follows_the_quotas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quota_of_secrets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
