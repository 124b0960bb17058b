/* The life of a link: a replica follows its primary, regions are added, asked again, and removed.
 */
#include "tests/unit/cluster_commands_regions.h"

/* ---- The happy way ---- */

static void test_replica_follows_its_primary(void **state) {
    struct regions *r = *state;
    Redoubt__Secret *secret;

    replicate(r);
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
    expect_stored(&r->west, "a", "t1", "v1");

    put(&r->east, "t2", "v2");
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
    expect_stored(&r->west, "a", "t2", "v2");
    secret = machine_secret(&r->west, "a");
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->replica_of->revision, 2);
    assert_int_equal(secret->n_versions, 2);
    assert_string_equal(secret->versions[0]->stages[0], "AWSPREVIOUS");
    assert_int_equal(secret->versions[0]->digest.len, 8); /* kept, though not shipped again */
    assert_string_equal(secret->versions[0]->key_id, "key-1");
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_replica_is_read_only(void **state) {
    struct regions *r = *state;
    struct call call = {.name = "a", .token = "t2", .text = "v2"};

    replicate(r);
    expect_refusal(do_put(&r->west, &call), ERR_INVALID_PARAMETER, REPLICA);
    expect_refusal(do_add(&r->west, &to_east), ERR_INVALID_PARAMETER, REPLICA);
    expect_refusal(do_remove(&r->west, &to_east), ERR_INVALID_PARAMETER, REPLICA);
    expect_refusal(do_delete(&r->west, &drop), ERR_INVALID_PARAMETER, REPLICA);
}

static void test_reads_are_told_apart_by_region(void **state) {
    struct regions *r = *state;
    struct call read = {.name = "a", .token = "t1"};
    Redoubt__Secret *secret;
    Redoubt__Link *link;

    replicate(r);
    expect_ok(do_touch(&r->east, &read, 900));
    expect_ok(do_touch(&r->west, &read, 500));
    put(&r->east, "t2", "v2");
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    secret = machine_secret(&r->west, "a");
    assert_int_equal(secret->last_accessed_day, 500);
    assert_int_equal(secret->versions[0]->last_accessed_day, 500);
    assert_false(secret->versions[1]->has_last_accessed_day);
    redoubt__secret__free_unpacked(secret, NULL);
    link = machine_link(&r->east, "a", WEST);
    assert_int_equal(link->replica_last_accessed_day, 500);
    redoubt__link__free_unpacked(link, NULL);
}

static void test_order_of_creation_stays(void **state) {
    struct regions *r = *state;
    Redoubt__Secret *secret;
    uint64_t created;

    replicate(r);
    secret = machine_secret(&r->west, "a");
    created = secret->created_seq;
    assert_true(created > 0);
    redoubt__secret__free_unpacked(secret, NULL);
    put(&r->east, "t2", "v2");
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    secret = machine_secret(&r->west, "a");
    assert_int_equal(secret->created_seq, created);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_one_batch_makes_many_in_order(void **state) {
    struct regions *r = *state;
    uint64_t last = 0;

    for (int i = 0; i < 5; i++) {
        char name[16];
        struct call call = {.name = name, .suffix = "AAAAAA", .token = "t1", .targets = {WEST}};
        (void)snprintf(name, sizeof(name), "s%d", i);
        call.text = name;
        expect_ok(do_create(&r->east, &call));
    }
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    for (int i = 0; i < 5; i++) {
        char name[16];
        Redoubt__Secret *secret;
        (void)snprintf(name, sizeof(name), "s%d", i);
        secret = machine_secret(&r->west, name);
        assert_true(secret->created_seq > last);
        last = secret->created_seq;
        redoubt__secret__free_unpacked(secret, NULL);
    }
}

static void test_pruned_versions_go_from_the_replica(void **state) {
    struct regions *r = *state;
    Redoubt__Secret *secret;

    replicate(r);
    for (int i = 0; i < LIMIT_VERSIONS_KEPT; i++) {
        char token[16];
        (void)snprintf(token, sizeof(token), "n%d", i);
        put(&r->east, token, token);
    }
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    assert_true(machine_has_value(&r->west, "a", "t1"));
    r->east.now_ms += KIT_DAY_MS;
    put(&r->east, "new", "new");
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    assert_false(machine_has_value(&r->west, "a", "t1"));
    secret = machine_secret(&r->west, "a");
    assert_int_equal(secret->n_versions, LIMIT_VERSIONS_KEPT);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* ---- Links ---- */

static void test_add_refusals(void **state) {
    struct regions *r = *state;
    struct call call = {.name = "a", .targets = {EAST}};
    struct call gone = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};

    expect_refusal(do_add(&r->east, &to_west), ERR_RESOURCE_NOT_FOUND,
                   "Secrets Manager can't find the specified secret.");
    create(&r->east, "AAAAAA", "v1");
    expect_refusal(do_add(&r->east, &call), ERR_INVALID_PARAMETER, "Invalid replica region.");
    call.targets[0] = WEST;
    call.targets[1] = WEST;
    expect_refusal(do_add(&r->east, &call), ERR_INVALID_PARAMETER,
                   "You can't specify the replica region eu-west-1 more than once.");
    expect_ok(do_delete(&r->east, &gone));
    expect_refusal(do_add(&r->east, &to_west), ERR_INVALID_REQUEST,
                   "You can't perform this operation on the secret because it was marked for "
                   "deletion.");
    expect_refusal(do_remove(&r->east, &to_west), ERR_INVALID_REQUEST, NULL);
}

static void test_add_tells_all_links_and_keeps_what_is(void **state) {
    struct regions *r = *state;
    struct call call = {.name = "a", .targets = {WEST, SOUTH}, .kms_key_id = "alias/k"};
    Redoubt__Link *before;
    Redoubt__Link *after;
    Redoubt__Result *result;

    replicate(r);
    before = machine_link(&r->east, "a", WEST);
    call.kms_key_id = NULL;
    result = do_add(&r->east, &call);
    assert_int_equal(result->n_links, 2);
    assert_string_equal(result->links[0]->region, SOUTH);
    assert_int_equal(result->links[0]->status, LINK_IN_PROGRESS);
    assert_int_equal(result->links[1]->status, LINK_IN_SYNC);
    assert_string_equal(result->links[1]->message, "Replication succeeded");
    command_result_free(result);
    after = machine_link(&r->east, "a", WEST);
    assert_int_equal(after->generation, before->generation);
    assert_int_equal(after->acked_revision, 1);
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    assert_int_equal(exchange(&r->east, &r->west), V(STALE)); /* which is as good */
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    redoubt__link__free_unpacked(before, NULL);
    redoubt__link__free_unpacked(after, NULL);
}

static void test_too_many_links(void **state) {
    static char names[LIMIT_REPLICAS][24];
    struct regions *r = *state;
    struct call call = {.name = "a"};
    uint64_t before;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    for (int i = 0; i < LIMIT_REPLICAS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "xx-%d", i);
        call.targets[i] = names[i];
    }
    before = machine_hash(&r->east);
    expect_refusal(do_add(&r->east, &call), ERR_LIMIT_EXCEEDED,
                   "A secret can be replicated to at most 32 regions.");
    expect_refusal(do_remove(&r->east, &(struct call){.name = "b", .targets = {WEST}}),
                   ERR_RESOURCE_NOT_FOUND, NULL);
    assert_int_equal(machine_hash(&r->east), before);
    call.targets[LIMIT_REPLICAS - 1] = WEST; /* one that is linked already: fits */
    expect_ok(do_add(&r->east, &call));
}

/* Another key must reach the values although the content stays. */
static void test_another_key_seals_again(void **state) {
    struct regions *r = *state;
    struct call call = {.name = "a", .targets = {WEST}, .kms_key_id = "alias/mine"};
    Redoubt__Secret *secret;
    struct shipment shipment;

    replicate(r);
    expect_ok(do_add(&r->east, &call));
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    shipment = ship(&r->east, WEST);
    assert_int_equal(shipment.batch->items[0]->n_values, 1);
    shipment_free(&shipment);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    secret = machine_secret(&r->west, "a");
    assert_string_equal(secret->kms_key_id, "alias/mine");
    redoubt__secret__free_unpacked(secret, NULL);
    secret = machine_secret(&r->east, "a");
    assert_null(secret->kms_key_id);
    assert_int_equal(secret->changed_ms, KIT_NOW);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
}

static void test_remove_deletes_the_replica(void **state) {
    struct regions *r = *state;
    struct shipment late;
    Redoubt__Result *result;

    replicate(r);
    put(&r->east, "t2", "v2");
    late = ship(&r->east, WEST);
    result = do_remove(&r->east, &to_west);
    assert_int_equal(result->code, OK);
    assert_int_equal(result->n_links, 0);
    command_result_free(result);
    expect_no_link(&r->east, WEST);
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_role(&r->west, "", GONE);
    assert_false(machine_has_value(&r->west, "a", "t1"));
    assert_int_equal(redeliver(&r->west, &late), V(STALE));
    expect_role(&r->west, "", GONE);
    shipment_free(&late);

    /* The secret can be replicated again: another link. */
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
    expect_stored(&r->west, "a", "t2", "v2");
}

static void test_remove_that_overtakes_the_first_upsert(void **state) {
    struct regions *r = *state;
    struct shipment late;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    late = ship(&r->east, WEST);
    expect_ok(do_remove(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    assert_int_equal(redeliver(&r->west, &late), V(STALE));
    expect_role(&r->west, "", GONE);
    shipment_free(&late);
}

static void test_old_tombstone_spares_a_newer_link(void **state) {
    struct regions *r = *state;
    struct shipment tombstone;

    replicate(r);
    expect_ok(do_remove(&r->east, &to_west));
    tombstone = ship(&r->east, WEST);
    expect_ok(do_add(&r->east, &to_west)); /* takes the tombstone's place in the outbox */
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    assert_int_equal(redeliver(&r->west, &tombstone), V(STALE));
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
    shipment_free(&tombstone);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_replica_follows_its_primary),
        T(test_replica_is_read_only),
        T(test_reads_are_told_apart_by_region),
        T(test_order_of_creation_stays),
        T(test_one_batch_makes_many_in_order),
        T(test_pruned_versions_go_from_the_replica),
        T(test_add_refusals),
        T(test_add_tells_all_links_and_keeps_what_is),
        T(test_too_many_links),
        T(test_another_key_seals_again),
        T(test_remove_deletes_the_replica),
        T(test_remove_that_overtakes_the_first_upsert),
        T(test_old_tombstone_spares_a_newer_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
