/* What crosses regions, by scenario: what a batch holds and leaves out, how it is received, what
 * each verdict makes of the link. */
#include "tests/unit/replication_regions.h"

#define NAME   "app/db"
#define SUFFIX "AbCdEf"
#define V1     "11111111-1111-4111-8111-111111111111"
#define V2     "22222222-2222-4222-8222-222222222222"
#define V3     "33333333-3333-4333-8333-333333333333"

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

static Redoubt__WireBatch *decode(const struct outgoing *out) {
    Redoubt__WireBatch *batch = redoubt__wire_batch__unpack(NULL, out->body.len, out->body.data);

    assert_non_null(batch);
    assert_string_equal(batch->from_region, EAST);
    assert_string_equal(batch->to_region, WEST);
    assert_int_equal(batch->level, WIRE_LEVEL);
    assert_int_equal(batch->n_items, out->sent.n);
    return batch;
}

static void create_replicated(const char *name, const char *text) {
    expect_ok(region_create(
        &east, &(struct call){
                   .name = name, .suffix = SUFFIX, .token = V1, .text = text, .targets = {WEST}}));
}

static void expect_status(const char *name, int status, const char *message) {
    Redoubt__Link *link = machine_link(&east.m, name, WEST);

    assert_int_equal(region_link_status(&east, name, WEST), status);
    if (message != NULL) {
        assert_non_null(link);
        assert_string_equal(link->failure_message, message);
    }
    redoubt__link__free_unpacked(link, NULL);
}

/* ---- The way of one secret ---- */

static void test_sync_under_the_replicas_own_key(void **state) {
    Redoubt__Sealed *here = NULL;
    Redoubt__Sealed *there = NULL;
    Redoubt__Secret *replica;

    create_replicated(NAME, "first");
    expect_status(NAME, LINK_IN_PROGRESS, NULL);
    assert_int_equal(region_exchange(&east, &west), 1);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    assert_int_equal(region_exchange(&east, &west), 0);
    expect_opens(&east, NAME, SUFFIX, V1, "first");
    expect_opens(&west, NAME, SUFFIX, V1, "first");

    assert_int_equal(view_value(machine_view(&east.m), ACCOUNT, NAME, V1, &here), OK);
    assert_int_equal(view_value(machine_view(&west.m), ACCOUNT, NAME, V1, &there), OK);
    assert_string_not_equal(here->key_id, there->key_id);
    assert_memory_not_equal(here->ciphertext.data, there->ciphertext.data, here->ciphertext.len);
    replica = machine_secret(&west.m, NAME);
    assert_string_equal(replica->replica_of->region, EAST);
    assert_string_equal(replica->versions[0]->key_id, there->key_id);
    assert_int_equal(replica->versions[0]->digest.len, 32);
    redoubt__secret__free_unpacked(replica, NULL);
    redoubt__sealed__free_unpacked(here, NULL);
    redoubt__sealed__free_unpacked(there, NULL);
}

/* A ciphertext opens at its own place only: neither in the other region nor as another version. */
static void test_moved_ciphertext_does_not_open(void **state) {
    const struct vault_place there = {WEST, ACCOUNT, NAME, SUFFIX, V1};
    const struct vault_place other = {EAST, ACCOUNT, NAME, SUFFIX, V2};
    Redoubt__Sealed *sealed = NULL;
    struct secret value;
    struct err err;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    assert_int_equal(view_value(machine_view(&east.m), ACCOUNT, NAME, V1, &sealed), OK);
    assert_int_equal(vault_open(west.keyring, machine_view(&west.m), &there, sealed, &value, &err),
                     ERR_DECRYPTION_FAILURE);
    assert_int_equal(vault_open(east.keyring, machine_view(&east.m), &other, sealed, &value, &err),
                     ERR_DECRYPTION_FAILURE);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

static void test_only_what_is_missing_is_sent(void **state) {
    struct outgoing out;
    Redoubt__WireBatch *batch;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    expect_ok(region_put(
        &east, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V2, .text = "second"}));
    out = region_build(&east, WEST);
    batch = decode(&out);
    assert_int_equal(batch->items[0]->secret->n_versions, 2);
    assert_int_equal(batch->items[0]->n_values, 1);
    assert_string_equal(batch->items[0]->values[0]->version_id, V2);
    assert_int_equal(batch->items[0]->values[0]->plaintext.len, 6);
    redoubt__wire_batch__free_unpacked(batch, NULL);
    outgoing_fini(&out);
    (void)region_exchange(&east, &west);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
    expect_opens(&west, NAME, SUFFIX, V2, "second");
    expect_status(NAME, LINK_IN_SYNC, NULL);
}

static void test_what_stays_at_home(void **state) {
    struct outgoing out;
    Redoubt__WireBatch *batch;
    const Redoubt__Secret *secret;

    create_replicated(NAME, "first");
    expect_ok(
        do_touch(&east.m, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V1}, 20000));
    out = region_build(&east, WEST);
    batch = decode(&out);
    secret = batch->items[0]->secret;
    assert_string_equal(secret->name, NAME);
    assert_null(secret->kms_key_id);
    assert_false(secret->has_last_accessed_day);
    assert_false(secret->has_created_seq);
    assert_null(secret->replica_of);
    assert_null(secret->promoted_from);
    assert_false(secret->versions[0]->has_digest);
    assert_null(secret->versions[0]->key_id);
    assert_false(secret->versions[0]->has_last_accessed_day);
    assert_true(secret->versions[0]->n_stages == 1);
    redoubt__wire_batch__free_unpacked(batch, NULL);
    outgoing_fini(&out);
}

static void set_tags(const char *key, const char *value) {
    Redoubt__TagsSet *set = malloc(sizeof(*set));

    redoubt__tags_set__init(set);
    set->ref = kit_ref(&(struct call){.name = NAME});
    set->tags = calloc(1, sizeof(*set->tags));
    set->tags[0] = malloc(sizeof(**set->tags));
    redoubt__tag__init(set->tags[0]);
    set->tags[0]->key = strdup(key);
    set->tags[0]->value = strdup(value);
    set->n_tags = 1;
    set->has_now_ms = true;
    set->now_ms = east.m.now_ms;
    expect_ok(kit_apply_owned(&east.m, COMMAND_TAGS_SET, &set->base));
}

static void set_policy(const char *policy) {
    Redoubt__PolicySet *set = malloc(sizeof(*set));

    redoubt__policy_set__init(set);
    set->ref = kit_ref(&(struct call){.name = NAME});
    set->policy = policy == NULL ? NULL : strdup(policy);
    set->has_now_ms = true;
    set->now_ms = east.m.now_ms;
    expect_ok(kit_apply_owned(&east.m, COMMAND_POLICY_SET, &set->base));
}

/* AWS_BEHAVIOUR 4.1: tags and the resource policy go along, as they are, without any value; and go
 * away again. */
static void test_tags_and_policy(void **state) {
    static const char policy[] = "{ \"Id\": \"caf\xC3\xA9\" }";
    Redoubt__Secret *replica;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    set_tags("team", "red");
    set_policy(policy);
    assert_int_equal(region_exchange(&east, &west), 1);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    replica = machine_secret(&west.m, NAME);
    assert_int_equal(replica->n_tags, 1);
    assert_string_equal(replica->tags[0]->key, "team");
    assert_string_equal(replica->tags[0]->value, "red");
    assert_true(replica->tags_were_set);
    assert_string_equal(replica->policy, policy);
    redoubt__secret__free_unpacked(replica, NULL);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
    set_policy(NULL);
    assert_int_equal(region_exchange(&east, &west), 1);
    replica = machine_secret(&west.m, NAME);
    assert_null(replica->policy);
    redoubt__secret__free_unpacked(replica, NULL);
}

static void test_lost_values_are_sent_again(void **state) {
    Redoubt__Secret *replica;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    /* The replica is gone without a word, as after a restore of something older. */
    replica = machine_secret(&west.m, NAME);
    txn_delete_secret(west.m.txns[0], ACCOUNT, replica);
    txn_commit(west.m.txns[0], ++west.m.index);
    redoubt__secret__free_unpacked(replica, NULL);
    expect_ok(region_put(
        &east, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V2, .text = "second"}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_PROGRESS, NULL);
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
    expect_opens(&west, NAME, SUFFIX, V2, "second");
}

static void test_removal(void **state) {
    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    expect_ok(do_remove(&east.m, &(struct call){.name = NAME, .targets = {WEST}}));
    assert_int_equal(region_link_status(&east, NAME, WEST), -1);
    assert_true(machine_has_value(&west.m, NAME, V1));
    assert_int_equal(region_exchange(&east, &west), 1);
    assert_null(machine_secret(&west.m, NAME));
    assert_int_equal(region_exchange(&east, &west), 0);

    /* Added again: another link, everything is sent. */
    expect_ok(do_add(&east.m, &(struct call){.name = NAME, .targets = {WEST}}));
    assert_int_equal(region_exchange(&east, &west), 1);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
}

static void test_promotion_and_its_notice(void **state) {
    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    expect_ok(do_promote(&west.m, &(struct call){.name = NAME}));
    expect_ok(region_put(
        &west, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V3, .text = "mine"}));
    assert_int_equal(region_link_status(&east, NAME, WEST), LINK_IN_SYNC);
    assert_int_equal(region_exchange(&west, &east), 1);
    assert_int_equal(region_link_status(&east, NAME, WEST), -1);
    assert_int_equal(region_exchange(&west, &east), 0);
    assert_int_equal(region_exchange(&east, &west), 0);
    expect_opens(&west, NAME, SUFFIX, V3, "mine");
}

/* The old primary hears of it by its own next batch when that comes first. */
static void test_promotion_met_by_a_write(void **state) {
    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    expect_ok(do_promote(&west.m, &(struct call){.name = NAME}));
    expect_ok(region_put(
        &east, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V2, .text = "late"}));
    (void)region_exchange(&east, &west);
    assert_int_equal(region_link_status(&east, NAME, WEST), -1);
    assert_false(machine_has_value(&west.m, NAME, V2));
}

static void test_name_clash_and_force(void **state) {
    expect_ok(region_create(
        &west, &(struct call){.name = NAME, .suffix = "ZzZzZz", .token = V3, .text = "theirs"}));
    create_replicated(NAME, "ours");
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_FAILED,
                  "Replication failed: Secret name " NAME " already exists in region " WEST ".");
    assert_int_equal(region_exchange(&east, &west), 0);
    expect_opens(&west, NAME, "ZzZzZz", V3, "theirs");

    expect_ok(do_add(&east.m, &(struct call){.name = NAME, .targets = {WEST}, .force = true}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_opens(&west, NAME, SUFFIX, V1, "ours");
    assert_false(machine_has_value(&west.m, NAME, V3));
}

/* ---- Keys ---- */

static void set_default_key_state(struct region *r, Redoubt__KeyState key_state) {
    char *id = NULL;
    Redoubt__Key *key = NULL;

    assert_int_equal(view_alias(machine_view(&r->m), ACCOUNT, VAULT_DEFAULT_ALIAS, &id), OK);
    assert_int_equal(view_key(machine_view(&r->m), ACCOUNT, id, &key), OK);
    key->state = key_state;
    txn_put_key(r->m.txns[0], ACCOUNT, key);
    txn_commit(r->m.txns[0], ++r->m.index);
    redoubt__key__free_unpacked(key, NULL);
    free(id);
}

static void test_key_of_the_primary_unusable(void **state) {
    struct outgoing out;

    create_replicated(NAME, "first");
    set_default_key_state(&east, REDOUBT__KEY_STATE__KEY_DISABLED);
    out = region_build(&east, WEST);
    assert_int_equal(out.sent.n, 0);
    assert_int_equal(out.body.len, 0);
    assert_int_equal(out.decided.n, 1);
    assert_int_equal(out.decided.items[0].verdict, REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE);
    region_record(&east, WEST, &out.decided);
    outgoing_fini(&out);
    expect_status(NAME, LINK_FAILED, NULL);
    assert_int_equal(region_exchange(&east, &west), 0);

    set_default_key_state(&east, REDOUBT__KEY_STATE__KEY_ENABLED);
    expect_ok(do_add(&east.m, &(struct call){.name = NAME, .targets = {WEST}}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
}

static void test_key_of_the_replica(void **state) {
    Redoubt__Sealed *sealed = NULL;
    char *id = NULL;

    expect_ok(region_create(&east, &(struct call){.name = NAME,
                                                  .suffix = SUFFIX,
                                                  .token = V1,
                                                  .text = "first",
                                                  .targets = {WEST},
                                                  .kms_key_id = "alias/theirs"}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_FAILED, NULL);
    assert_null(machine_secret(&west.m, NAME));

    region_make_key(&west, "alias/theirs");
    expect_ok(do_add(
        &east.m, &(struct call){.name = NAME, .targets = {WEST}, .kms_key_id = "alias/theirs"}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    assert_int_equal(view_alias(machine_view(&west.m), ACCOUNT, "alias/theirs", &id), OK);
    assert_int_equal(view_value(machine_view(&west.m), ACCOUNT, NAME, V1, &sealed), OK);
    assert_string_equal(sealed->key_id, id);
    redoubt__sealed__free_unpacked(sealed, NULL);
    free(id);
}

static void test_disabled_key_of_the_replica(void **state) {
    region_make_key(&west, VAULT_DEFAULT_ALIAS);
    set_default_key_state(&west, REDOUBT__KEY_STATE__KEY_DISABLED);
    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_FAILED, NULL);
    assert_null(machine_secret(&west.m, NAME));
}

/* UpdateSecret with a new key, made for version V1 with this text, as the preparer does. */
static void update_key(struct region *r, const char *alias, const char *text) {
    const struct vault_place place = {r->m.region, ACCOUNT, NAME, SUFFIX, V1};
    struct call call = {.name = NAME, .suffix = SUFFIX};
    Redoubt__SecretUpdate *update = malloc(sizeof(*update));
    Redoubt__Reseal *reseal = malloc(sizeof(*reseal));
    struct secret plaintext;
    char *key_id = NULL;
    struct err err;

    redoubt__secret_update__init(update);
    redoubt__reseal__init(reseal);
    assert_int_equal(vault_resolve_key(machine_view(&r->m), ACCOUNT, alias, &key_id, &err), OK);
    assert_true(secret_init_copy(&plaintext, text, strlen(text)));
    reseal->version_id = strdup(V1);
    reseal->has_digest = true;
    reseal->digest = (ProtobufCBinaryData){.len = 32, .data = malloc(32)};
    assert_int_equal(vault_seal(r->keyring, machine_view(&r->m), &place, key_id,
                                REDOUBT__VALUE_KIND__VALUE_STRING, &plaintext, &reseal->sealed,
                                reseal->digest.data, &err),
                     OK);
    secret_fini(&plaintext);
    free(key_id);
    update->ref = kit_ref(&call);
    update->kms_key_id = strdup(alias);
    update->reseals = calloc(1, sizeof(*update->reseals));
    update->reseals[update->n_reseals++] = reseal;
    update->has_now_ms = true;
    update->now_ms = ++r->m.now_ms;
    expect_ok(kit_apply_owned(&r->m, COMMAND_SECRET_UPDATE, &update->base));
}

/* The version's present key is the one behind this alias, and it has so many former ones. */
static void expect_key(struct region *r, const char *version_id, const char *alias, size_t n) {
    Redoubt__Sealed *sealed = NULL;
    char *id = NULL;

    assert_int_equal(view_alias(machine_view(&r->m), ACCOUNT, alias, &id), OK);
    assert_int_equal(view_value(machine_view(&r->m), ACCOUNT, NAME, version_id, &sealed), OK);
    assert_string_equal(sealed->key_id, id);
    assert_int_equal(sealed->n_others, n);
    redoubt__sealed__free_unpacked(sealed, NULL);
    free(id);
}

/* A new key of the primary is its own affair: no value and no key travels, the date does. And what
 * opens under a former key only still reaches a new replica. */
static void test_new_key_of_the_primary(void **state) {
    struct outgoing out;
    Redoubt__WireBatch *batch;
    Redoubt__Secret *replica;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    region_make_key(&east, "alias/next");
    update_key(&east, "alias/next", "first");
    expect_key(&east, V1, "alias/next", 1);
    out = region_build(&east, WEST);
    batch = decode(&out);
    assert_int_equal(batch->items[0]->n_values, 0);
    assert_null(batch->items[0]->secret->kms_key_id);
    assert_null(batch->items[0]->secret->versions[0]->key_id);
    assert_int_equal(batch->items[0]->secret->versions[0]->n_other_key_ids, 0);
    redoubt__wire_batch__free_unpacked(batch, NULL);
    outgoing_fini(&out);
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    replica = machine_secret(&west.m, NAME);
    assert_null(replica->kms_key_id);
    assert_int_equal(replica->versions[0]->n_other_key_ids, 0);
    assert_int_equal(replica->changed_ms, east.m.now_ms);
    redoubt__secret__free_unpacked(replica, NULL);
    expect_key(&west, V1, VAULT_DEFAULT_ALIAS, 0);
    expect_opens(&west, NAME, SUFFIX, V1, "first");

    expect_ok(do_remove(&east.m, &(struct call){.name = NAME, .targets = {WEST}}));
    (void)region_exchange(&east, &west);
    update_key(&east, VAULT_DEFAULT_ALIAS, "first");
    set_default_key_state(&east, REDOUBT__KEY_STATE__KEY_DISABLED);
    expect_ok(do_add(&east.m, &(struct call){.name = NAME, .targets = {WEST}}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
}

/* A key that was chosen for the replica in its own region, until the link asks for another. */
static void test_own_key_of_the_replica(void **state) {
    Redoubt__Secret *replica;
    struct outgoing out;
    Redoubt__WireBatch *batch;

    create_replicated(NAME, "first");
    (void)region_exchange(&east, &west);
    region_make_key(&west, "alias/mine");
    update_key(&west, "alias/mine", "first");
    expect_key(&west, V1, "alias/mine", 1);
    expect_ok(region_put(
        &east, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V2, .text = "second"}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_key(&west, V1, "alias/mine", 1);
    expect_key(&west, V2, "alias/mine", 0);
    expect_opens(&west, NAME, SUFFIX, V1, "first");
    expect_opens(&west, NAME, SUFFIX, V2, "second");
    replica = machine_secret(&west.m, NAME);
    assert_string_equal(replica->kms_key_id, "alias/mine");
    redoubt__secret__free_unpacked(replica, NULL);

    region_make_key(&west, "alias/theirs");
    expect_ok(do_add(
        &east.m, &(struct call){.name = NAME, .targets = {WEST}, .kms_key_id = "alias/theirs"}));
    (void)region_exchange(&east, &west);
    expect_status(NAME, LINK_IN_SYNC, NULL);
    expect_key(&west, V1, "alias/theirs", 0);
    expect_key(&west, V2, "alias/theirs", 0);
    replica = machine_secret(&west.m, NAME);
    assert_string_equal(replica->kms_key_id, "alias/theirs");
    assert_int_equal(replica->versions[0]->n_other_key_ids, 0);
    redoubt__secret__free_unpacked(replica, NULL);

    /* Promoted, and replicated to a third region: what was local stays local. */
    update_key(&west, "alias/mine", "first");
    expect_ok(do_promote(&west.m, &(struct call){.name = NAME}));
    expect_ok(do_add(&west.m, &(struct call){.name = NAME, .targets = {SOUTH}}));
    out = region_build(&west, SOUTH);
    batch = redoubt__wire_batch__unpack(NULL, out.body.len, out.body.data);
    assert_non_null(batch);
    assert_int_equal(batch->n_items, 1);
    assert_false(batch->items[0]->secret->has_own_kms_key);
    assert_null(batch->items[0]->secret->link_kms_key_id);
    assert_int_equal(batch->items[0]->secret->versions[0]->n_other_key_ids, 0);
    redoubt__wire_batch__free_unpacked(batch, NULL);
    outgoing_fini(&out);
}

/* ---- The building of batches ---- */

static void create_many(unsigned n, size_t text_len) {
    char *text = calloc(1, text_len + 1);

    memset(text, 'x', text_len);
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "many/%03u", i);
        create_replicated(name, text);
    }
    free(text);
}

static void test_batches_are_bounded(void **state) {
    struct outgoing_cursor cursor = {.is_set = false};
    const struct outgoing_request four = {.items_max = 4};
    const struct outgoing_request small = {.bytes_soft = 2500};
    size_t n = 0;
    unsigned batches = 0;

    create_many(10, 1000);
    for (bool is_exhausted = false; !is_exhausted; batches++) {
        struct outgoing out = region_build_with(&east, WEST, four, &cursor);
        assert_true(out.sent.n <= 4);
        n += out.sent.n;
        is_exhausted = out.is_exhausted;
        outgoing_fini(&out);
    }
    assert_int_equal(n, 10);
    assert_int_equal(batches, 3);

    cursor.is_set = false;
    for (bool is_exhausted = false; !is_exhausted;) {
        struct outgoing out = region_build_with(&east, WEST, small, &cursor);
        assert_in_range(out.sent.n, 1, 2);
        assert_true(out.body.len <= 2500);
        n -= out.sent.n;
        is_exhausted = out.is_exhausted;
        outgoing_fini(&out);
    }
    assert_int_equal(n, 0);
}

/* The soft limit lets one large item through; the hard one does not. */
static void test_one_large_item(void **state) {
    struct outgoing_cursor cursor = {.is_set = false};
    const struct outgoing_request soft = {.bytes_soft = 100};
    const struct outgoing_request hard = {.bytes_max = 900};
    struct outgoing out;

    create_many(1, 1000);
    out = region_build_with(&east, WEST, soft, &cursor);
    assert_int_equal(out.sent.n, 1);
    assert_true(out.is_exhausted);
    outgoing_fini(&out);

    cursor.is_set = false;
    create_replicated(NAME, "small");
    out = region_build_with(&east, WEST, hard, &cursor);
    assert_int_equal(out.sent.n, 1);
    assert_string_equal(out.sent.items[0].key.name, NAME);
    assert_int_equal(out.decided.n + (out.is_exhausted ? 0 : 1), 1);
    outgoing_fini(&out);
    out = region_build_with(&east, WEST, hard, &cursor);
    assert_int_equal(out.sent.n, 0);
    assert_int_equal(out.decided.n, 1);
    assert_int_equal(out.decided.items[0].verdict, REDOUBT__VERDICT__VERDICT_TOO_LARGE);
    region_record(&east, WEST, &out.decided);
    outgoing_fini(&out);
    expect_status("many/000", LINK_FAILED, NULL);
}

static bool skip_odd(void *arg, const struct outbox_key *key) {
    return (key->name[strlen(key->name) - 1] - '0') % 2 == 1;
}

/* As many versions as a secret can have, each with the largest value that a quota allows: one
 * message carries them, and one command. */
static void test_the_largest_secret(void **state) {
    char *text = calloc(1, LIMIT_VALUE_MOST + 1);
    char token[16] = "v0";
    struct call call = {
        .name = "a", .suffix = SUFFIX, .token = token, .text = text, .targets = {WEST}};

    assert_non_null(text);
    memset(text, '0', LIMIT_VALUE_MOST);
    expect_ok(region_create(&east, &call));
    for (int i = 1; i < LIMIT_VERSIONS; i++) {
        (void)snprintf(token, sizeof(token), "v%d", i);
        memset(text, '0' + i % 10, LIMIT_VALUE_MOST);
        expect_ok(region_put(&east, &call));
    }
    assert_int_equal(region_exchange(&east, &west), 1);
    assert_int_equal(region_link_status(&east, "a", WEST), LINK_IN_SYNC);
    expect_opens(&west, "a", SUFFIX, token, text);
    memset(text, '0', LIMIT_VALUE_MOST);
    expect_opens(&west, "a", SUFFIX, "v0", text);
    free(text);
}

static void test_entries_in_flight_are_skipped(void **state) {
    struct outgoing_cursor cursor = {.is_set = false};
    struct outgoing out;

    create_many(6, 10);
    out = region_build_with(&east, WEST, (struct outgoing_request){.skip = skip_odd}, &cursor);
    assert_int_equal(out.sent.n, 3);
    for (size_t i = 0; i < out.sent.n; i++) {
        assert_false(skip_odd(NULL, &out.sent.items[i].key));
    }
    assert_true(out.is_exhausted);
    outgoing_fini(&out);
}

static void test_tombstones_go_first(void **state) {
    struct outgoing out;

    create_replicated("a", "x");
    create_replicated("z", "x");
    (void)region_exchange(&east, &west);
    expect_ok(
        region_put(&east, &(struct call){.name = "a", .suffix = SUFFIX, .token = V2, .text = "y"}));
    expect_ok(do_remove(&east.m, &(struct call){.name = "z", .targets = {WEST}}));
    out = region_build(&east, WEST);
    assert_int_equal(out.sent.n, 2);
    assert_string_equal(out.sent.items[0].key.name, "z");
    assert_int_equal(out.sent.items[0].revision, 0);
    outgoing_fini(&out);
}

static void test_unknown_region(void **state) {
    struct outgoing_cursor cursor = {.is_set = false};
    const struct outgoing_request request = {
        .region = EAST, .to = SOUTH, .view = machine_view(&east.m), .keyring = east.keyring};
    struct outgoing out;
    struct err err;

    expect_ok(region_create(
        &east, &(struct call){.name = NAME, .suffix = SUFFIX, .token = V1, .targets = {SOUTH}}));
    assert_int_equal(outgoing_build(&request, &cursor, &out, &err), OK);
    assert_int_equal(out.sent.n, 0);
    assert_int_equal(out.decided.n, 1);
    assert_int_equal(out.decided.items[0].verdict, REDOUBT__VERDICT__VERDICT_UNKNOWN_REGION);
    region_record(&east, SOUTH, &out.decided);
    outgoing_fini(&out);
    assert_int_equal(region_link_status(&east, NAME, SOUTH), LINK_FAILED);

    /* Its tombstone waits until somebody knows the region. */
    expect_ok(do_remove(&east.m, &(struct call){.name = NAME, .targets = {SOUTH}}));
    cursor.is_set = false;
    assert_int_equal(outgoing_build(&request, &cursor, &out, &err), OK);
    assert_int_equal(out.sent.n + out.decided.n, 0);
    outgoing_fini(&out);
}

static void expect_bad_answer(struct outgoing_list *list, Redoubt__WireVerdicts *answer) {
    uint8_t bytes[1024];
    size_t len = redoubt__wire_verdicts__get_packed_size(answer);
    struct err err;

    assert_true(len <= sizeof(bytes));
    (void)redoubt__wire_verdicts__pack(answer, bytes);
    assert_int_equal(outgoing_take_answer(list, WEST, bytes, len, &err), ERR_MALFORMED);
    assert_int_equal(list->items[0].verdict, 0);
}

static void test_answers_that_are_none(void **state) {
    Redoubt__WireVerdicts answer = REDOUBT__WIRE_VERDICTS__INIT;
    Redoubt__ItemVerdict verdict = REDOUBT__ITEM_VERDICT__INIT;
    Redoubt__ItemVerdict *verdicts[] = {&verdict, &verdict};
    struct outgoing out;
    struct err err;
    char name[] = WEST;
    char other[] = SOUTH;

    create_replicated(NAME, "first");
    out = region_build(&east, WEST);
    assert_int_equal(outgoing_take_answer(&out.sent, WEST, (const uint8_t *)"<html>", 6, &err),
                     ERR_MALFORMED);
    answer.region = name;
    answer.verdicts = verdicts;
    expect_bad_answer(&out.sent, &answer);
    answer.n_verdicts = 1;
    expect_bad_answer(&out.sent, &answer); /* no verdict in it */
    verdict.has_verdict = true;
    verdict.verdict = REDOUBT__VERDICT__VERDICT_APPLIED;
    answer.n_verdicts = 2;
    expect_bad_answer(&out.sent, &answer);
    answer.n_verdicts = 1;
    answer.region = other;
    expect_bad_answer(&out.sent, &answer);
    outgoing_fini(&out);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sync_under_the_replicas_own_key),
        TEST(test_moved_ciphertext_does_not_open),
        TEST(test_only_what_is_missing_is_sent),
        TEST(test_what_stays_at_home),
        TEST(test_tags_and_policy),
        TEST(test_lost_values_are_sent_again),
        TEST(test_removal),
        TEST(test_promotion_and_its_notice),
        TEST(test_promotion_met_by_a_write),
        TEST(test_name_clash_and_force),
        TEST(test_key_of_the_primary_unusable),
        TEST(test_key_of_the_replica),
        TEST(test_disabled_key_of_the_replica),
        TEST(test_new_key_of_the_primary),
        TEST(test_own_key_of_the_replica),
        TEST(test_batches_are_bounded),
        TEST(test_one_large_item),
        TEST(test_the_largest_secret),
        TEST(test_entries_in_flight_are_skipped),
        TEST(test_tombstones_go_first),
        TEST(test_unknown_region),
        TEST(test_answers_that_are_none),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
