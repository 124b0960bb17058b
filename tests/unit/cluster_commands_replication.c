/* The commands between regions: state machines that ship to each other by hand, every verdict at
 * the receiver and what the sender makes of it. */
#define KIT_TWINS                                                                                  \
    1 /* three regions a test; cluster_commands_random.c compares twins of the same                \
       */
#include "tests/unit/cluster_commands.h"

#include "model/replication_status.h"

#define V(name) REDOUBT__VERDICT__VERDICT_##name
#define REPLICA                                                                                    \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."

struct regions {
    struct machine east;
    struct machine west;
    struct machine south;
};

static int setup(void **state) {
    struct regions *r = malloc(sizeof(*r));

    machine_init(&r->east, EAST);
    machine_init(&r->west, WEST);
    machine_init(&r->south, SOUTH);
    r->west.index = 1000; /* so that numbers of two regions do not agree by chance */
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct regions *r = *state;

    machine_fini(&r->east);
    machine_fini(&r->west);
    machine_fini(&r->south);
    free(r);
    return 0;
}

static const struct call to_west = {.name = "a", .targets = {WEST}};
static const struct call to_east = {.name = "a", .targets = {EAST}};
static const struct call force_west = {.name = "a", .targets = {WEST}, .force = true};
static const struct call force_east = {.name = "a", .targets = {EAST}, .force = true};
static const struct call drop = {.name = "a", .force = true};
static const struct call only_name = {.name = "a"};

static void create(struct machine *m, const char *suffix, const char *text) {
    struct call call = {.name = "a", .suffix = suffix, .token = "t1", .text = text};
    expect_ok(do_create(m, &call));
}

static void put(struct machine *m, const char *token, const char *text) {
    struct call call = {.name = "a", .token = token, .text = text};
    expect_ok(do_put(m, &call));
}

/* EAST has a primary "a" whose replica in WEST is in sync. */
static void replicate(struct regions *r) {
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
}

static void expect_link(struct machine *m, const char *region, enum link_status status,
                        const char *message) {
    struct call call = {.name = "a", .targets = {"xx-1"}};
    Redoubt__Result *result = do_remove(m, &call); /* of no replica: tells the statuses */
    bool found = false;

    assert_int_equal(result->code, OK);
    for (size_t i = 0; i < result->n_links; i++) {
        if (strcmp(result->links[i]->region, region) == 0) {
            found = true;
            assert_int_equal(result->links[i]->status, status);
            if (message == NULL) {
                assert_null(result->links[i]->message);
            } else {
                assert_string_equal(result->links[i]->message, message);
            }
        }
    }
    assert_true(found);
    command_result_free(result);
}

static void expect_no_link(const struct machine *m, const char *region) {
    assert_null(machine_link(m, "a", region));
}

/* 0: there must be none. */
static void expect_outbox(const struct machine *m, const char *region, const char *suffix,
                          int kind) {
    Redoubt__Outbox *entry = machine_outbox(m, region, "a", suffix);

    if (kind == 0) {
        assert_null(entry);
    } else {
        assert_non_null(entry);
        assert_int_equal(entry->kind, kind);
    }
    redoubt__outbox__free_unpacked(entry, NULL);
}

enum role { GONE, STANDALONE, REPLICA_OF_EAST, REPLICA_OF_WEST };

static void expect_role(const struct machine *m, const char *suffix, enum role role) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    if (role == GONE) {
        assert_null(secret);
        return;
    }
    assert_non_null(secret);
    assert_string_equal(secret->suffix, suffix);
    if (role == STANDALONE) {
        assert_null(secret->replica_of);
    } else {
        assert_non_null(secret->replica_of);
        assert_string_equal(secret->replica_of->region, role == REPLICA_OF_EAST ? EAST : WEST);
        assert_null(secret->promoted_from);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

/* Deliver one stored batch again and tell the first verdict. */
static int redeliver(struct machine *to, const struct shipment *shipment) {
    Redoubt__OutcomeBatch *outcome = deliver(to, shipment);
    int verdict = (int)outcome->items[0]->verdict->verdict;

    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    return verdict;
}

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

/* ---- Verdicts at the receiver and what the sender makes of them ---- */

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
    assert_int_equal(machine_hash(&r->west), hash);

    /* A batch that names this very region, or none, is no batch. */
    shipment = ship(&r->east, WEST);
    free(shipment.batch->from_region);
    shipment.batch->from_region = strdup(WEST);
    expect_refusal(machine_apply(&r->west, COMMAND_INBOUND_BATCH, &shipment.batch->base),
                   ERR_MALFORMED, NULL);
    shipment_free(&shipment);
}

/* ---- Promotion ---- */

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
        T(test_sentences_of_the_other_failures),
        T(test_late_success_after_a_failure),
        T(test_a_replica_that_knows_more_is_no_success),
        T(test_refused_items),
        T(test_promote_refusals),
        T(test_promotion_is_told_to_the_old_primary),
        T(test_old_primary_learns_when_it_ships),
        T(test_remove_leaves_a_promoted_secret),
        T(test_deleted_promoted_secret_stays_deleted),
        T(test_late_force_finds_a_grave),
        T(test_failback),
        T(test_link_behind_a_notice_can_be_removed),
        T(test_graves_of_two_regions),
        T(test_overwritten_promoted_secret_stays_dead),
        T(test_outcomes_for_what_is_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
