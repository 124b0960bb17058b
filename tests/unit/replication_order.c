/* What must hold although batches overtake each other and answers come late: a name that is used
 * again, a replica's key that is changed; and that one bad secret stays its own affair. */
#include "tests/unit/replication_regions.h"

#define NAME "app/db"
#define OLD  "AAAAAA"
#define NEW  "BBBBBB"
#define V1   "11111111-1111-4111-8111-111111111111"
#define V2   "22222222-2222-4222-8222-222222222222"

static struct region east;
static struct region west;

static int setup(void **state) {
    region_init(&east, EAST);
    region_init(&west, WEST);
    return 0;
}

static int teardown(void **state) {
    region_fini(&east);
    region_fini(&west);
    return 0;
}

static void create(const char *name, const char *suffix, const char *text) {
    expect_ok(region_create(
        &east, &(struct call){
                   .name = name, .suffix = suffix, .token = V1, .text = text, .targets = {WEST}}));
}

/* The batch arrives, and its answer is in the items. */
static void answer_to(struct outgoing *out) {
    struct buf answer;
    struct err err;

    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(region_receive(&west, EAST, out->body.data, out->body.len, &answer), OK);
    assert_int_equal(outgoing_take_answer(&out->sent, WEST, answer.data, answer.len, &err), OK);
    buf_fini(&answer);
}

static bool is_in_flight(void *arg, const struct outbox_key *key) {
    const struct outgoing *out = arg;

    for (size_t i = 0; i < out->sent.n; i++) {
        if (strcmp(out->sent.items[i].key.name, key->name) == 0 &&
            strcmp(out->sent.items[i].key.suffix, key->suffix) == 0) {
            return true;
        }
    }
    return false;
}

/* Another batch while `first` is under way. */
static struct outgoing build_beside(struct outgoing *first) {
    const struct outgoing_request request = {.skip = is_in_flight, .arg = first};
    struct outgoing_cursor cursor = {.is_set = false};

    return region_build_with(&east, WEST, request, &cursor);
}

static void expect_kind(const char *suffix, int kind) {
    Redoubt__Outbox *entry = machine_outbox(&east.m, WEST, NAME, suffix);

    if (kind == 0) {
        assert_null(entry);
    } else {
        assert_non_null(entry);
        assert_int_equal(entry->kind, kind);
    }
    redoubt__outbox__free_unpacked(entry, NULL);
}

/* Removed, deleted and created again under the same name, replicated again: the new secret does not
 * fail on the old one's replica, which is about to go. */
static void test_a_name_that_is_used_again(void **state) {
    const struct call drop = {.name = NAME, .targets = {WEST}, .force = true};
    struct outgoing tombstone;
    struct outgoing beside;

    create(NAME, OLD, "old");
    (void)region_exchange(&east, &west);
    expect_ok(do_remove(&east.m, &drop));
    expect_ok(do_delete(&east.m, &drop));
    tombstone = region_build(&east, WEST);
    assert_int_equal(tombstone.sent.n, 1);

    create(NAME, NEW, "new");
    beside = build_beside(&tombstone); /* it could overtake */
    assert_int_equal(beside.sent.n + beside.decided.n, 0);
    assert_true(beside.is_exhausted);
    outgoing_fini(&beside);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_PROGRESS);

    answer_to(&tombstone);
    region_record(&east, WEST, &tombstone.sent);
    outgoing_fini(&tombstone);
    expect_kind(OLD, 0);
    expect_kind(NEW, REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    assert_int_equal(region_exchange(&east, &west), 1);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_SYNC);
    expect_opens(&west, NAME, NEW, V1, "new");
}

static void count_dirty(void *arg, const char *region) {
    if (strcmp(region, WEST) == 0) {
        ++*(int *)arg;
    }
}

/* What waited is put into the outbox again in the command that ends the wait: it wakes the shipper.
 * A link that is in sync is left alone. */
static void test_the_end_of_a_wait_wakes_the_shipper(void **state) {
    const struct call drop = {.name = NAME, .targets = {WEST}, .force = true};
    struct apply_context context = {.region = EAST};
    struct outgoing tombstone;
    Redoubt__OutcomeBatch *outcome;
    Redoubt__Result *result = NULL;
    struct buf bytes;
    size_t used;
    int n_dirty = 0;

    create(NAME, OLD, "old");
    (void)region_exchange(&east, &west);
    expect_ok(do_remove(&east.m, &drop));
    expect_ok(do_delete(&east.m, &drop));
    create(NAME, NEW, "new");
    tombstone = region_build(&east, WEST);
    assert_int_equal(tombstone.sent.n, 1);
    answer_to(&tombstone);
    outcome = outgoing_outcome(&tombstone.sent, WEST, east.m.now_ms);
    buf_init(&bytes, LIMIT_COMMAND);
    command_encode(&bytes, COMMAND_OUTCOME_BATCH, &outcome->base);
    context.seq = ++east.m.index << 16;
    assert_int_equal(command_apply(east.m.txns[0], &context, bytes.data, bytes.len, &used, &result),
                     OK);
    txn_each_dirty_region(east.m.txns[0], count_dirty, &n_dirty);
    assert_int_equal(n_dirty, 1);
    txn_commit(east.m.txns[0], east.m.index);
    command_result_free(result);

    (void)region_exchange(&east, &west);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_SYNC);
    result = machine_apply_bytes(&east.m, bytes.data, bytes.len); /* the same answer, late */
    command_result_free(result);
    expect_kind(NEW, 0);
    buf_fini(&bytes);
    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    outgoing_fini(&tombstone);
}

/* The other region promoted the old secret and its notice ends the tombstone: no answer needed. */
static void test_a_notice_ends_the_wait_too(void **state) {
    const struct call drop = {.name = NAME, .targets = {WEST}, .force = true};

    create(NAME, OLD, "old");
    (void)region_exchange(&east, &west);
    expect_ok(do_promote(&west.m, &(struct call){.name = NAME}));
    expect_ok(do_remove(&east.m, &drop));
    expect_ok(do_delete(&east.m, &drop));
    create(NAME, NEW, "new");
    (void)region_exchange(&west, &east);
    expect_kind(OLD, 0);
    assert_int_equal(region_exchange(&east, &west), 1);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_FAILED); /* the name is taken */
    expect_opens(&west, NAME, OLD, V1, "old");
}

/* Our own notice about a promoted secret goes before a forced link of a newer one: the old primary
 * must first forget its link, or the name stays taken there. */
static void test_a_notice_goes_before_a_new_secret(void **state) {
    struct outgoing notice;
    struct outgoing_cursor cursor = {.is_set = false};

    create(NAME, OLD, "old");
    (void)region_exchange(&east, &west);
    expect_ok(do_promote(&west.m, &(struct call){.name = NAME}));
    expect_ok(do_delete(&west.m, &(struct call){.name = NAME, .force = true}));
    expect_ok(region_create(&west, &(struct call){.name = NAME,
                                                  .suffix = NEW,
                                                  .token = V1,
                                                  .text = "new",
                                                  .targets = {EAST},
                                                  .force = true}));
    notice = region_build_with(&west, EAST, (struct outgoing_request){.skip = NULL}, &cursor);
    assert_int_equal(notice.sent.n, 1);
    assert_int_equal(notice.sent.items[0].key.kind, REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED);
    outgoing_fini(&notice);
    (void)region_exchange(&west, &east);
    (void)region_exchange(&west, &east);
    assert_int_equal(region_link_status(&west, NAME, EAST), LINK_IN_SYNC);
    expect_opens(&east, NAME, NEW, V1, "new");
}

static void expect_key_behind(const char *version_id, const char *alias) {
    Redoubt__Sealed *sealed = NULL;
    char *key_id = NULL;
    struct err err;

    assert_int_equal(vault_resolve_key(machine_view(&west.m), ACCOUNT, alias, &key_id, &err), OK);
    assert_int_equal(view_value(machine_view(&west.m), ACCOUNT, NAME, version_id, &sealed), OK);
    assert_string_equal(sealed->key_id, key_id);
    redoubt__sealed__free_unpacked(sealed, NULL);
    free(key_id);
}

/* The answer to a state that was sealed under the former key comes after the change of the key: it
 * must not pass for the new sealing, for the former key may be about to go. */
static void test_a_late_answer_does_not_stand_for_another_key(void **state) {
    struct outgoing late;

    region_make_key(&west, "alias/first");
    region_make_key(&west, "alias/second");
    expect_ok(region_create(&east, &(struct call){.name = NAME,
                                                  .suffix = OLD,
                                                  .token = V1,
                                                  .text = "one",
                                                  .targets = {WEST},
                                                  .kms_key_id = "alias/first"}));
    late = region_build(&east, WEST);
    answer_to(&late);
    expect_key_behind(V1, "alias/first");
    expect_ok(do_add(
        &east.m, &(struct call){.name = NAME, .targets = {WEST}, .kms_key_id = "alias/second"}));
    region_record(&east, WEST, &late.sent);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_PROGRESS);
    assert_int_equal(region_exchange(&east, &west), 1);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_SYNC);
    expect_key_behind(V1, "alias/second");

    /* Later writes are acknowledged as ever, and send what is new alone. */
    expect_ok(
        region_put(&east, &(struct call){.name = NAME, .suffix = OLD, .token = V2, .text = "two"}));
    region_record(&east, WEST, &late.sent);
    outgoing_fini(&late);
    (void)region_exchange(&east, &west);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_SYNC);
    expect_key_behind(V2, "alias/second");
}

/* A value that is not where its version says is damage of one secret: the others go on. */
static void test_a_missing_value_fails_its_own_secret(void **state) {
    create(NAME, OLD, "lost");
    create("zz", OLD, "fine");
    txn_delete_value(east.m.txns[0], ACCOUNT, NAME, V1);
    txn_commit(east.m.txns[0], ++east.m.index);
    (void)region_exchange(&east, &west);
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_FAILED);
    assert_int_equal(region_link_status(&east, "zz", WEST), LINK_IN_SYNC);
}

/* A value whose version has no revision would never be sent on by this region, once promoted, and
 * asked for again without end: it is not taken. */
static void test_a_value_has_a_revision(void **state) {
    struct outgoing out;
    Redoubt__WireBatch *batch;
    Redoubt__WireVerdicts *verdicts;
    uint8_t bytes[4096];
    size_t len;
    struct buf answer;

    create(NAME, OLD, "x");
    out = region_build(&east, WEST);
    batch = redoubt__wire_batch__unpack(NULL, out.body.len, out.body.data);
    assert_non_null(batch);
    batch->items[0]->secret->versions[0]->has_revision = false;
    len = redoubt__wire_batch__get_packed_size(batch);
    assert_true(len <= sizeof(bytes));
    (void)redoubt__wire_batch__pack(batch, bytes);
    redoubt__wire_batch__free_unpacked(batch, NULL);
    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(region_receive(&west, EAST, bytes, len, &answer), OK);
    verdicts = redoubt__wire_verdicts__unpack(NULL, answer.len, answer.data);
    assert_int_equal(verdicts->verdicts[0]->verdict, REDOUBT__VERDICT__VERDICT_REFUSED);
    redoubt__wire_verdicts__free_unpacked(verdicts, NULL);
    buf_fini(&answer);
    outgoing_fini(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_that_is_used_again),
        TEST(test_the_end_of_a_wait_wakes_the_shipper),
        TEST(test_a_notice_ends_the_wait_too),
        TEST(test_a_notice_goes_before_a_new_secret),
        TEST(test_a_late_answer_does_not_stand_for_another_key),
        TEST(test_a_missing_value_fails_its_own_secret),
        TEST(test_a_value_has_a_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
