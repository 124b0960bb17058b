/* Every verdict at the receiver, and what the sender makes of it. */
#include "tests/unit/cluster_commands_regions.h"

static void test_name_taken(void **state) {
    struct regions *r = *state;
    static const char message[] =
        "Replication failed: Secret name a already exists in region eu-west-1.";

    create(&r->west, "WWWWWW", "west");
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(NAME_TAKEN));
    expect_link(&r->east, WEST, LINK_FAILED, message);
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    expect_stored(&r->west, "a", "t1", "west");

    /* A write is judged anew, as is a retry. */
    put(&r->east, "t2", "v2");
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    assert_int_equal(exchange(&r->east, &r->west), V(NAME_TAKEN));
    expect_link(&r->east, WEST, LINK_FAILED, message);
    expect_ok(do_delete(&r->west, &drop));
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
}

static void test_scheduled_secret_takes_the_name(void **state) {
    struct regions *r = *state;
    struct call gone = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};

    create(&r->west, "WWWWWW", "west");
    expect_ok(do_delete(&r->west, &gone));
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(NAME_TAKEN));
    expect_ok(do_add(&r->east, &force_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_role(&r->west, "AAAAAA", REPLICA_OF_EAST);
}

static void test_force_replaces_whole(void **state) {
    struct regions *r = *state;
    struct call more = {.name = "a", .token = "t9", .text = "west9"};
    Redoubt__Secret *secret;
    Redoubt__Link *link;

    create(&r->west, "WWWWWW", "west");
    expect_ok(do_put(&r->west, &more));
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &force_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    secret = machine_secret(&r->west, "a");
    assert_string_equal(secret->suffix, "AAAAAA");
    assert_int_equal(secret->n_versions, 1);
    redoubt__secret__free_unpacked(secret, NULL);
    assert_false(machine_has_value(&r->west, "a", "t9"));
    expect_stored(&r->west, "a", "t1", "v1");
    link = machine_link(&r->east, "a", WEST);
    assert_false(link->force); /* spent */
    redoubt__link__free_unpacked(link, NULL);
}

static void test_force_spares_a_secret_with_replicas(void **state) {
    struct regions *r = *state;
    struct call south = {.name = "a", .targets = {SOUTH}};

    create(&r->west, "WWWWWW", "west");
    expect_ok(do_add(&r->west, &south));
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &force_west));
    assert_int_equal(exchange(&r->east, &r->west), V(NAME_TAKEN));
    expect_role(&r->west, "WWWWWW", STANDALONE);
}

/* The user says force while an attempt without it is on its way. */
static void test_force_is_not_failed_by_an_older_answer(void **state) {
    struct regions *r = *state;
    struct shipment first;
    Redoubt__OutcomeBatch *answer;

    create(&r->west, "WWWWWW", "west");
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    answer = deliver(&r->west, &first);
    expect_ok(do_add(&r->east, &force_west));
    settle(&r->east, answer);
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    settle(&r->east, answer); /* again, late */
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
}

static void test_other_primary(void **state) {
    struct regions *r = *state;
    struct call south = {.name = "a", .targets = {SOUTH}, .force = true};

    create(&r->west, "WWWWWW", "west");
    expect_ok(do_add(&r->west, &south));
    assert_int_equal(exchange(&r->west, &r->south), V(APPLIED));
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &south));
    assert_int_equal(exchange(&r->east, &r->south), V(OTHER_PRIMARY));
    expect_link(&r->east, SOUTH, LINK_FAILED,
                "Replication failed: Secret name a in region ap-south-1 is a replica of a secret "
                "in another region.");
    expect_role(&r->south, "WWWWWW", REPLICA_OF_WEST);
}

static void test_other_arn(void **state) {
    struct regions *r = *state;
    struct shipment late;

    replicate(r);
    expect_ok(do_remove(&r->east, &to_west));
    expect_ok(do_delete(&r->east, &drop));
    create(&r->east, "BBBBBB", "new");
    expect_ok(do_add(&r->east, &force_west));
    late = ship(&r->east, WEST); /* the tombstone of the former one goes first ... */
    assert_int_equal(late.batch->n_items, 2);
    assert_int_equal(late.batch->items[0]->kind, REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE);
    {
        /* ... unless it gets lost. */
        Redoubt__InboundItem *lost = late.batch->items[0];
        Redoubt__OutcomeItem *lost_outcome = late.outcome->items[0];
        Redoubt__OutcomeBatch *answer;
        late.batch->items[0] = late.batch->items[1];
        late.batch->n_items = 1;
        late.outcome->items[0] = late.outcome->items[1];
        late.outcome->n_items = 1;
        answer = deliver(&r->west, &late);
        assert_int_equal(answer->items[0]->verdict->verdict, V(OTHER_ARN));
        settle(&r->east, answer);
        redoubt__outcome_batch__free_unpacked(answer, NULL);
        redoubt__inbound_item__free_unpacked(lost, NULL);
        redoubt__outcome_item__free_unpacked(lost_outcome, NULL);
    }
    shipment_free(&late);
    expect_link(&r->east, WEST, LINK_FAILED,
                "Replication failed: Secret name a is currently replicated to eu-west-1 with a "
                "different arn");
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED)); /* the tombstone, again */
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_role(&r->west, "BBBBBB", REPLICA_OF_EAST);
}

static void test_duplicates_and_reordering(void **state) {
    struct regions *r = *state;
    struct shipment first;
    struct shipment second;
    Redoubt__OutcomeBatch *answer;
    uint64_t hash;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    put(&r->east, "t2", "v2");
    second = ship(&r->east, WEST);
    assert_int_equal(redeliver(&r->west, &second), V(APPLIED));
    hash = machine_hash(&r->west);
    answer = deliver(&r->west, &first);
    assert_int_equal(answer->items[0]->verdict->verdict, V(STALE));
    assert_int_equal(answer->items[0]->verdict->have_revision, 2);
    assert_int_equal(redeliver(&r->west, &second), V(STALE));
    assert_int_equal(machine_hash(&r->west), hash);
    settle(&r->east, answer); /* even the stale answer says that all is there */
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
    shipment_free(&second);
}

static void test_write_under_way_keeps_the_link_due(void **state) {
    struct regions *r = *state;
    struct shipment first;
    Redoubt__OutcomeBatch *answer;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    answer = deliver(&r->west, &first);
    put(&r->east, "t2", "v2");
    settle(&r->east, answer);
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
    first = ship(&r->east, WEST);
    assert_int_equal(first.batch->items[0]->n_values, 1); /* only what is missing */
    shipment_free(&first);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    expect_link(&r->east, WEST, LINK_IN_SYNC, "Replication succeeded");
}

static void test_need_values(void **state) {
    struct regions *r = *state;
    struct shipment shipment;
    Redoubt__OutcomeBatch *answer;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    shipment = ship(&r->east, WEST);
    redoubt__new_value__free_unpacked(shipment.batch->items[0]->values[0], NULL);
    shipment.batch->items[0]->n_values = 0;
    answer = deliver(&r->west, &shipment);
    assert_int_equal(answer->items[0]->verdict->verdict, V(NEED_VALUES));
    expect_role(&r->west, "", GONE);
    settle(&r->east, answer);
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&shipment);
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
}

/* Force with a value missing takes nothing away yet. */
static void test_force_waits_for_the_values(void **state) {
    struct regions *r = *state;
    struct shipment shipment;

    create(&r->west, "WWWWWW", "west");
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &force_west));
    shipment = ship(&r->east, WEST);
    redoubt__new_value__free_unpacked(shipment.batch->items[0]->values[0], NULL);
    shipment.batch->items[0]->n_values = 0;
    assert_int_equal(redeliver(&r->west, &shipment), V(NEED_VALUES));
    expect_role(&r->west, "WWWWWW", STANDALONE);
    expect_stored(&r->west, "a", "t1", "west");
    shipment_free(&shipment);
}

static void test_late_need_is_outdated(void **state) {
    struct regions *r = *state;
    struct shipment first;
    Redoubt__OutcomeBatch *answer;
    uint64_t hash;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    first.batch->items[0]->has_verdict = true;
    first.batch->items[0]->verdict = V(NEED_VALUES);
    answer = deliver(&r->west, &first);
    put(&r->east, "t2", "v2");
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
    hash = machine_hash(&r->east);
    settle(&r->east, answer);
    assert_int_equal(machine_hash(&r->east), hash);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
}

/* A verdict that the door reached before proposing is passed on. */
static void outcome_of(struct regions *r, Redoubt__Verdict verdict) {
    struct shipment shipment = ship(&r->east, WEST);
    Redoubt__OutcomeBatch *answer;

    assert_int_equal(shipment.batch->n_items, 1);
    shipment.batch->items[0]->has_verdict = true;
    shipment.batch->items[0]->verdict = verdict;
    answer = deliver(&r->west, &shipment);
    assert_int_equal(answer->items[0]->verdict->verdict, verdict);
    settle(&r->east, answer);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&shipment);
}

static void test_sentences_of_the_other_failures(void **state) {
    static const struct {
        Redoubt__Verdict verdict;
        const char *message;
    } rows[] = {
        {V(KEY_UNUSABLE),
         "Replication failed: Region eu-west-1 can't use the KMS key of the replica."},
        {V(UNKNOWN_REGION), "Replication failed: Region eu-west-1 is not part of this deployment."},
        {V(REFUSED), "Replication failed: Region eu-west-1 refused the secret."},
        {V(TOO_LARGE), "Replication failed: Region eu-west-1 can't be sent a secret with this much "
                       "version data."},
    };
    struct regions *r = *state;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        outcome_of(r, rows[i].verdict);
        expect_link(&r->east, WEST, LINK_FAILED, rows[i].message);
        expect_outbox(&r->east, WEST, "AAAAAA", 0);
        expect_role(&r->west, "", GONE);
        expect_ok(do_add(&r->east, &to_west));
        expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    }
}

/* The answer to an older state comes after a failure: the newer state is due again. */
static void test_late_success_after_a_failure(void **state) {
    struct regions *r = *state;
    struct shipment first;
    Redoubt__OutcomeBatch *answer;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    first = ship(&r->east, WEST);
    answer = deliver(&r->west, &first);
    put(&r->east, "t2", "v2");
    outcome_of(r, V(KEY_UNUSABLE));
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
    settle(&r->east, answer);
    expect_link(&r->east, WEST, LINK_IN_PROGRESS, NULL);
    expect_outbox(&r->east, WEST, "AAAAAA", REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&first);
}

/* The replica was in sync and its region says otherwise when it is asked again. */
static void test_a_retry_is_believed(void **state) {
    struct regions *r = *state;

    replicate(r);
    expect_ok(do_add(&r->east, &to_west));
    outcome_of(r, V(NAME_TAKEN));
    expect_link(&r->east, WEST, LINK_FAILED,
                "Replication failed: Secret name a already exists in region eu-west-1.");
    expect_outbox(&r->east, WEST, "AAAAAA", 0);
}

/* The primary's region went back in time: the replica knows more than it may. */
static void test_a_replica_that_knows_more_is_no_success(void **state) {
    struct regions *r = *state;
    struct shipment shipment;
    Redoubt__OutcomeBatch *answer;

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    shipment = ship(&r->east, WEST);
    shipment.batch->items[0]->generation += 1000;
    (void)redeliver(&r->west, &shipment);
    shipment.batch->items[0]->generation -= 1000;
    answer = deliver(&r->west, &shipment);
    assert_int_equal(answer->items[0]->verdict->verdict, V(STALE));
    settle(&r->east, answer);
    expect_link(&r->east, WEST, LINK_FAILED,
                "Replication failed: Region eu-west-1 has deleted the replica or has a newer one.");
    redoubt__outcome_batch__free_unpacked(answer, NULL);
    shipment_free(&shipment);
}

static void drop_first_id(Redoubt__Secret *secret) {
    free(secret->versions[0]->id);
    secret->versions[0]->id = NULL;
}

static void same_id_twice(Redoubt__Secret *secret) {
    free(secret->versions[1]->id);
    secret->versions[1]->id = strdup(secret->versions[0]->id);
}

static void same_label_twice(Redoubt__Secret *secret) {
    free(secret->versions[1]->stages[0]);
    secret->versions[1]->stages[0] = strdup(secret->versions[0]->stages[0]);
}

static void empty_label(Redoubt__Secret *secret) {
    secret->versions[0]->stages[0][0] = '\0';
}

static void no_time(Redoubt__Secret *secret) {
    secret->created_ms = INT64_MAX;
}

static void scheduled(Redoubt__Secret *secret) {
    secret->has_deletion_ms = true;
    secret->deletion_ms = KIT_NOW;
}

static void tag_without_key(Redoubt__Secret *secret) {
    Redoubt__Tag *tag = malloc(sizeof(*tag));

    redoubt__tag__init(tag);
    secret->tags = calloc(1, sizeof(Redoubt__Tag *));
    secret->tags[0] = tag;
    secret->n_tags = 1;
}

static void no_such_kind(Redoubt__Secret *secret) {
    secret->versions[0]->kind = (Redoubt__ValueKind)7;
}

/* Records that no primary makes. */
static void refuse_records(struct regions *r) {
    static void (*const damages[])(Redoubt__Secret *) = {
        drop_first_id, same_id_twice, same_label_twice, empty_label,
        no_time,       scheduled,     tag_without_key,  no_such_kind};

    put(&r->east, "t2", "v2");
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        struct shipment shipment = ship(&r->east, WEST);
        damages[i](shipment.batch->items[0]->secret);
        assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
        shipment_free(&shipment);
    }
}

/* A value given twice, and a version whose value has no revision. */
static void refuse_values(struct regions *r) {
    struct shipment shipment;

    put(&r->east, "t2", "v2");
    shipment = ship(&r->east, WEST);
    assert_int_equal(shipment.batch->items[0]->n_values, 2);
    free(shipment.batch->items[0]->values[1]->version_id);
    shipment.batch->items[0]->values[1]->version_id = strdup("t1"); /* twice */
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);

    shipment = ship(&r->east, WEST);
    shipment.batch->items[0]->secret->versions[0]->revision = 0;
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);
}

static void test_refused_items(void **state) {
    struct regions *r = *state;
    struct shipment shipment;
    uint64_t hash = machine_hash(&r->west);

    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));

    shipment = ship(&r->east, WEST);
    free(shipment.batch->items[0]->account);
    shipment.batch->items[0]->account = NULL;
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);

    shipment = ship(&r->east, WEST);
    shipment.batch->items[0]->kind = (Redoubt__OutboxKind)9;
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);

    shipment = ship(&r->east, WEST);
    memset(shipment.batch->items[0]->suffix, 'B', LIMIT_ARN_SUFFIX); /* not the record's */
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);

    shipment = ship(&r->east, WEST);
    shipment.batch->items[0]->values[0]->kind = REDOUBT__VALUE_KIND__VALUE_BINARY;
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);

    shipment = ship(&r->east, WEST);
    shipment.batch->items[0]->revision = UINT64_MAX;
    assert_int_equal(redeliver(&r->west, &shipment), V(REFUSED));
    shipment_free(&shipment);
    refuse_records(r);
    refuse_values(r);
    assert_int_equal(machine_hash(&r->west), hash);

    /* A batch that names this very region, or none, is no batch. */
    shipment = ship(&r->east, WEST);
    free(shipment.batch->from_region);
    shipment.batch->from_region = strdup(WEST);
    expect_refusal(machine_apply(&r->west, COMMAND_INBOUND_BATCH, &shipment.batch->base),
                   ERR_MALFORMED, NULL);
    shipment_free(&shipment);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_name_taken),
        T(test_scheduled_secret_takes_the_name),
        T(test_force_replaces_whole),
        T(test_force_spares_a_secret_with_replicas),
        T(test_force_is_not_failed_by_an_older_answer),
        T(test_other_primary),
        T(test_other_arn),
        T(test_duplicates_and_reordering),
        T(test_write_under_way_keeps_the_link_due),
        T(test_need_values),
        T(test_force_waits_for_the_values),
        T(test_late_need_is_outdated),
        T(test_sentences_of_the_other_failures),
        T(test_late_success_after_a_failure),
        T(test_a_retry_is_believed),
        T(test_a_replica_that_knows_more_is_no_success),
        T(test_refused_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
