/* Promotion: standalone at once, told to the old primary, and never undone by what comes late. */
#include "tests/unit/cluster_commands_regions.h"

static void promote(struct machine *m) {
    expect_ok(do_promote(m, &only_name));
}

static void test_promote_refusals(void **state) {
    struct regions *r = *state;
    struct call other = {.name = "a", .suffix = "BBBBBB"};
    static const char message[] = "Operation permitted only on a replica secret. Call must be made "
                                  "in the replica's region.";

    expect_refusal(do_promote(&r->west, &only_name), ERR_RESOURCE_NOT_FOUND, NULL);
    replicate(r);
    expect_refusal(do_promote(&r->east, &only_name), ERR_INVALID_PARAMETER, message);
    expect_refusal(do_promote(&r->west, &other), ERR_RESOURCE_NOT_FOUND, NULL);
    other.suffix = "AAAAAA";
    expect_ok(do_promote(&r->west, &other));
    expect_refusal(do_promote(&r->west, &other), ERR_INVALID_PARAMETER, message);
    expect_ok(do_delete(&r->west, &(struct call){.name = "a", .deletion_ms = r->west.now_ms + 1}));
    expect_refusal(do_promote(&r->west, &other), ERR_INVALID_REQUEST,
                   "You can't perform this operation on the secret because it was marked for "
                   "deletion."); /* 4.4 */
}

static void test_promotion_is_told_to_the_old_primary(void **state) {
    struct regions *r = *state;
    Redoubt__Secret *secret;

    replicate(r);
    r->west.now_ms += 77;
    promote(&r->west);
    expect_role(&r->west, "AAAAAA", STANDALONE);
    secret = machine_secret(&r->west, "a");
    assert_string_equal(secret->promoted_from->region, EAST);
    assert_int_equal(secret->changed_ms, KIT_NOW + 77);
    redoubt__secret__free_unpacked(secret, NULL);
    put(&r->west, "w2", "west");
    expect_outbox(&r->west, EAST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED);
    put(&r->east, "t2", "v2"); /* dirty, and unaware */
    assert_int_equal(exchange(&r->west, &r->east), V(APPLIED));
    expect_no_link(&r->east, WEST);
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_outbox(&r->west, EAST, "AAAAAA", 0);
}

static void test_old_primary_learns_when_it_ships(void **state) {
    struct regions *r = *state;
    struct shipment notice;

    replicate(r);
    promote(&r->west);
    put(&r->east, "t2", "v2");
    expect_ok(do_add(&r->east, &force_west)); /* a retry of the link that it thinks it has */
    assert_int_equal(exchange(&r->east, &r->west), V(PROMOTED));
    expect_no_link(&r->east, WEST);
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_stored(&r->west, "a", "t1", "v1");
    assert_false(machine_has_value(&r->west, "a", "t2"));

    /* A new link is asked for; the late notice does not end that one. */
    notice = ship(&r->west, EAST);
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(redeliver(&r->east, &notice), V(APPLIED));
    assert_int_equal(exchange(&r->east, &r->west), V(NAME_TAKEN));
    expect_role(&r->west, "AAAAAA", STANDALONE);
    expect_ok(do_add(&r->east, &force_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
    shipment_free(&notice);
}

static void test_remove_leaves_a_promoted_secret(void **state) {
    struct regions *r = *state;

    replicate(r);
    promote(&r->west);
    expect_ok(do_remove(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(PROMOTED));
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_role(&r->west, "AAAAAA", STANDALONE);
}

static void test_deleted_promoted_secret_stays_deleted(void **state) {
    struct regions *r = *state;

    replicate(r);
    promote(&r->west);
    expect_ok(do_delete(&r->west, &drop));
    put(&r->east, "t2", "v2");
    assert_int_equal(exchange(&r->east, &r->west), V(PROMOTED));
    expect_role(&r->west, "", GONE);
    expect_no_link(&r->east, WEST);
}

/* A new secret of the name is nothing that a late forced batch may take. */
static void test_late_force_finds_a_grave(void **state) {
    struct regions *r = *state;
    struct shipment late;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &force_west));
    late = ship(&r->east, WEST);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    promote(&r->west);
    assert_int_equal(redeliver(&r->west, &late), V(PROMOTED));
    expect_ok(do_delete(&r->west, &drop));
    create(&r->west, "WWWWWW", "west");
    assert_int_equal(redeliver(&r->west, &late), V(PROMOTED));
    expect_role(&r->west, "WWWWWW", STANDALONE);
    shipment_free(&late);
}

/* The promoted secret takes its old primary as a replica: the notice goes first. */
static void test_failback(void **state) {
    struct regions *r = *state;

    replicate(r);
    promote(&r->west);
    put(&r->west, "w2", "west");
    expect_ok(do_add(&r->west, &force_east));
    expect_outbox(&r->west, EAST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED);
    put(&r->west, "w3", "west3");
    expect_outbox(&r->west, EAST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED);
    assert_int_equal(exchange(&r->west, &r->east), V(APPLIED));
    expect_no_link(&r->east, WEST);
    expect_outbox(&r->west, EAST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    assert_int_equal(exchange(&r->west, &r->east), V(APPLIED));
    expect_role(&r->east, "AAAAAA", REPLICA_OF_WEST);
    expect_stored(&r->east, "a", "w3", "west3");
    expect_link(&r->west, EAST, LINK_IN_SYNC, "Replication succeeded");

    /* And back again. */
    promote(&r->east);
    expect_ok(do_add(&r->east, &force_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
}

static void test_link_behind_a_notice_can_be_removed(void **state) {
    struct regions *r = *state;

    replicate(r);
    promote(&r->west);
    expect_ok(do_add(&r->west, &force_east));
    expect_ok(do_remove(&r->west, &to_east));
    expect_outbox(&r->west, EAST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED);
    assert_int_equal(exchange(&r->west, &r->east), V(APPLIED));
    expect_outbox(&r->west, EAST, "AAAAAA", 0);
    expect_role(&r->east, "AAAAAA", STANDALONE);
}

/* Two primaries' graves of one ARN do not wipe each other out. */
static void test_graves_of_two_regions(void **state) {
    struct regions *r = *state;
    struct call south = {.name = "a", .targets = {SOUTH}};
    struct shipment from_east;
    struct shipment from_west;

    replicate(r);
    expect_ok(do_add(&r->east, &south));
    from_east = ship(&r->east, SOUTH);
    assert_int_equal(redeliver(&r->south, &from_east), V(APPLIED));
    promote(&r->south);
    expect_ok(do_delete(&r->south, &drop));

    promote(&r->west);
    expect_ok(do_add(&r->west, &south));
    from_west = ship(&r->west, SOUTH);
    assert_int_equal(exchange(&r->west, &r->south), V(APPLIED));
    expect_role(&r->south, "AAAAAA", REPLICA_OF_WEST);
    expect_ok(do_remove(&r->west, &south));
    assert_int_equal(exchange(&r->west, &r->south), V(APPLIED));

    assert_int_equal(redeliver(&r->south, &from_east), V(PROMOTED));
    assert_int_equal(redeliver(&r->south, &from_west), V(STALE));
    expect_role(&r->south, "", GONE);
    shipment_free(&from_east);
    shipment_free(&from_west);
}

/* More regions than a deployment has: the record of graves stays bounded, the newest count. */
static void test_graves_are_bounded(void **state) {
    struct regions *r = *state;
    Redoubt__Grave *grave = NULL;
    char region[24];

    for (int i = 0; i < LIMIT_PEERS + 10; i++) {
        Redoubt__InboundBatch batch = REDOUBT__INBOUND_BATCH__INIT;
        Redoubt__InboundItem item = REDOUBT__INBOUND_ITEM__INIT;
        Redoubt__InboundItem *items = &item;
        char account[] = ACCOUNT;
        char name[] = "a";
        char suffix[] = "AAAAAA";
        (void)snprintf(region, sizeof(region), "xx-%d", i);
        batch.from_region = region;
        batch.items = &items;
        batch.n_items = 1;
        batch.has_now_ms = true;
        item.has_kind = true;
        item.kind = REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE;
        item.account = account;
        item.name = name;
        item.suffix = suffix;
        item.has_generation = true;
        item.generation = 5;
        expect_ok(machine_apply(&r->west, COMMAND_INBOUND_BATCH, &batch.base));
        item.generation = 4; /* never lowers */
        expect_ok(machine_apply(&r->west, COMMAND_INBOUND_BATCH, &batch.base));
    }
    assert_int_equal(view_grave(machine_view(&r->west), ACCOUNT, "a", "AAAAAA", &grave), OK);
    assert_int_equal(grave->n_others, LIMIT_PEERS);
    assert_string_equal(grave->others[LIMIT_PEERS - 1]->region, region);
    assert_int_equal(grave->others[LIMIT_PEERS - 1]->generation, 5);
    redoubt__grave__free_unpacked(grave, NULL);
}

/* A promoted secret that was overwritten by force leaves its grave too. */
static void test_overwritten_promoted_secret_stays_dead(void **state) {
    struct regions *r = *state;
    struct call south = {.name = "a", .targets = {SOUTH}, .force = true};
    struct shipment from_east;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &south));
    from_east = ship(&r->east, SOUTH);
    assert_int_equal(redeliver(&r->south, &from_east), V(APPLIED));
    promote(&r->south);
    create(&r->west, "WWWWWW", "west");
    expect_ok(do_add(&r->west, &south));
    assert_int_equal(exchange(&r->west, &r->south), V(APPLIED));
    expect_ok(do_remove(&r->west, &south));
    assert_int_equal(exchange(&r->west, &r->south), V(APPLIED));
    assert_int_equal(redeliver(&r->south, &from_east), V(PROMOTED));
    expect_role(&r->south, "", GONE);
    shipment_free(&from_east);
}

static void test_outcomes_for_what_is_no_more(void **state) {
    struct regions *r = *state;
    struct shipment first;
    Redoubt__OutcomeBatch *answer;
    uint64_t hash;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    answer = deliver(&r->west, &first);
    expect_ok(do_remove(&r->east, &to_west));
    hash = machine_hash(&r->east);
    settle(&r->east, answer); /* no link */
    assert_int_equal(machine_hash(&r->east), hash);
    expect_ok(do_add(&r->east, &to_west));
    hash = machine_hash(&r->east);
    settle(&r->east, answer); /* another generation */
    assert_int_equal(machine_hash(&r->east), hash);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_promote_refusals),
        T(test_promotion_is_told_to_the_old_primary),
        T(test_old_primary_learns_when_it_ships),
        T(test_remove_leaves_a_promoted_secret),
        T(test_deleted_promoted_secret_stays_deleted),
        T(test_late_force_finds_a_grave),
        T(test_failback),
        T(test_link_behind_a_notice_can_be_removed),
        T(test_graves_of_two_regions),
        T(test_graves_are_bounded),
        T(test_overwritten_promoted_secret_stays_dead),
        T(test_outcomes_for_what_is_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
