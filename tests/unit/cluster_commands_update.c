/* SECRET_UPDATE, STAGE_UPDATE and SECRET_RESTORE on one region's secrets: what changes, what is
 * refused, values under a new key, and the pruning that others can ask about. AWS_BEHAVIOUR 3.4,
 * 3.5, 3.8 and 5. */
#include "tests/unit/cluster_commands.h"

#include "cluster/commands/secret_ops.h"

#define ARN_A "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AAAAAA"
#define REPLICA                                                                                    \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
#define SCHEDULED                                                                                  \
    "You can't perform this operation on the secret because it was marked for deletion."
#define NOT_FOUND "Secrets Manager can't find the specified secret."
#define IN_USE                                                                                     \
    "You can't use ClientRequestToken t1 because that value is already in use for a version of "   \
    "secret " ARN_A "."

static int setup(void **state) {
    struct machine *m = malloc(sizeof(*m));
    struct call call = {.name = "a", .suffix = "AAAAAA", .token = "t1", .text = "v1"};

    machine_init(m, EAST);
    expect_ok(do_create(m, &call));
    m->now_ms += 10;
    *state = m;
    return 0;
}

static int teardown(void **state) {
    machine_fini(*state);
    free(*state);
    return 0;
}

static void put_record(struct machine *m, const Redoubt__Secret *secret) {
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m->txns[i], ACCOUNT, secret);
    }
}

/* The secret becomes a replica of WEST's: the state, not the way there. */
static void make_replica(struct machine *m) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;
    char region[] = WEST;

    origin.region = region;
    origin.has_generation = true;
    origin.generation = 7;
    origin.has_revision = true;
    origin.revision = 1;
    secret->replica_of = &origin;
    put_record(m, secret);
    secret->replica_of = NULL;
    redoubt__secret__free_unpacked(secret, NULL);
}

static void schedule(struct machine *m) {
    expect_ok(do_delete(m, &(struct call){.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS}));
}

/* A version as a rotation begins it. */
static void add_empty_version(struct machine *m, const char *id, const char *label) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    Redoubt__Version *version = version_add(secret, id, m->now_ms);

    version->stages = calloc(1, sizeof(char *));
    version->stages[version->n_stages++] = strdup(label);
    put_record(m, secret);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* Labels of a version, in order, joined by ','. */
static void expect_labels(const struct machine *m, const char *id, const char *expected) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    const Redoubt__Version *version = version_find(secret, id);
    char found[512] = "";

    assert_non_null(version);
    for (size_t i = 0; i < version->n_stages; i++) {
        size_t len = strlen(found);
        (void)snprintf(found + len, sizeof(found) - len, "%s%s", i > 0 ? "," : "",
                       version->stages[i]);
    }
    assert_string_equal(found, expected);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* ---- Update ---- */

/* "Description only: description replaced", "Only SecretId: succeeds, no new version" (3.4 [rec]).
 */
static void test_update_of_metadata(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .suffix = "AAAAAA", .description = "about", .type = "partner"};
    Redoubt__Result *result = do_update(m, &call);
    Redoubt__Secret *secret;
    uint64_t before;

    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    assert_null(result->version_id);
    command_result_free(result);
    secret = machine_secret(m, "a");
    assert_string_equal(secret->description, "about");
    assert_string_equal(secret->type, "partner");
    assert_int_equal(secret->n_versions, 1);
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->changed_ms, KIT_NOW + 10);
    redoubt__secret__free_unpacked(secret, NULL);

    before = machine_hash(m);
    m->now_ms += 10;
    expect_ok(do_update(m, &(struct call){.name = "a"}));
    assert_int_equal(machine_hash(m), before); /* nothing was modified, the date neither */

    expect_ok(do_update(m, &(struct call){.name = "a", .description = "", .type = ""}));
    secret = machine_secret(m, "a");
    assert_null(secret->description);
    assert_null(secret->type);
    assert_int_equal(secret->changed_ms, KIT_NOW + 20);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_update_of_the_value(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .token = "t2", .text = "v2", .description = "about"};
    Redoubt__Result *result = do_update(m, &call);
    Redoubt__Secret *secret;

    assert_int_equal(result->code, OK);
    assert_string_equal(result->version_id, "t2");
    command_result_free(result);
    expect_labels(m, "t1", "AWSPREVIOUS");
    expect_labels(m, "t2", "AWSCURRENT");
    expect_stored(m, "a", "t2", "v2");
    secret = machine_secret(m, "a");
    assert_string_equal(secret->description, "about");
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->versions[1]->revision, 2);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* The token rules of 3.4 [rec]; what repeats is ignored whole, its description too. */
static void test_update_again(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .token = "t1", .text = "v1", .description = "again"};
    uint64_t before = machine_hash(m);
    Redoubt__Result *result = do_update(m, &call);

    assert_int_equal(result->code, OK);
    assert_string_equal(result->version_id, "t1");
    command_result_free(result);
    call.text = "other";
    expect_refusal(do_update(m, &call), ERR_RESOURCE_EXISTS, IN_USE);
    call.text = NULL;
    call.bytes = "v1";
    expect_refusal(do_update(m, &call), ERR_RESOURCE_EXISTS, IN_USE);
    assert_int_equal(machine_hash(m), before);
}

/* 3.4: the value-less version that a rotation made is filled, under any of the calls. */
static void test_update_fills_a_version_without_value(void **state) {
    struct machine *m = *state;

    add_empty_version(m, "t2", "AWSPENDING");
    expect_ok(do_update(m, &(struct call){.name = "a", .token = "t2", .text = "v2"}));
    expect_labels(m, "t2", "AWSPENDING,AWSCURRENT");
    expect_labels(m, "t1", "AWSPREVIOUS");
}

/* 3.4: an update ends a rotation that runs, as a put does [guide]. */
static void test_update_takes_pending_off(void **state) {
    struct machine *m = *state;

    add_empty_version(m, "t2", "AWSPENDING");
    expect_ok(do_update(m, &(struct call){.name = "a", .token = "t3", .text = "v3"}));
    expect_labels(m, "t2", "");
    expect_labels(m, "t3", "AWSCURRENT");
}

static void test_update_refusals(void **state) {
    struct machine *m = *state;
    static char long_text[4 * LIMIT_DESCRIPTION + 2];
    struct call call = {.name = "a", .suffix = "BBBBBB", .description = "x"};
    uint64_t before;

    expect_refusal(do_update(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    call.suffix = NULL;
    memset(long_text, 'x', sizeof(long_text) - 1);
    call.description = long_text;
    expect_refusal(do_update(m, &call), ERR_MALFORMED, NULL);
    call = (struct call){.name = "a", .reseal = "t1", .reseal_text = "v1", .reseal_key = "key-2"};
    expect_refusal(do_update(m, &call), ERR_MALFORMED, NULL); /* without a key */
    schedule(m);
    before = machine_hash(m);
    call = (struct call){.name = "a", .token = "t1", .text = "v1"};
    expect_refusal(do_update(m, &call), ERR_INVALID_REQUEST, SCHEDULED);
    expect_refusal(do_update(m, &(struct call){.name = "a"}), ERR_INVALID_REQUEST, SCHEDULED);
    assert_int_equal(machine_hash(m), before);
}

/* ---- Quotas ---- */

static void test_quotas_of_the_command_decide(void **state) {
    struct machine *m = *state;
    Redoubt__Quotas quotas = REDOUBT__QUOTAS__INIT;
    struct call put = {.name = "a", .token = "t2", .text = "v2", .quotas = &quotas};
    struct call stage = {.name = "a", .stage = "y", .to = "t1", .quotas = &quotas};
    struct call update = {.name = "a", .token = "t3", .text = "v3", .quotas = &quotas};
    static const char over[] = "The request failed because it would exceed the quota of 2 staging "
                               "labels attached to the versions of a secret.";

    quotas.has_labels = true;
    quotas.labels = 2;
    put.labels[0] = "x";
    expect_ok(do_put(m, &put));
    expect_refusal(do_stage(m, &stage), ERR_LIMIT_EXCEEDED, over);
    expect_refusal(do_update(m, &update), ERR_LIMIT_EXCEEDED, over);
    quotas.labels = 3;
    expect_ok(do_update(m, &update));
    quotas.labels = 4;
    expect_ok(do_stage(m, &stage));
    quotas.labels = 2; /* lowered: what is there may move */
    stage.from = "t1";
    stage.to = "t3";
    expect_ok(do_stage(m, &stage));
    expect_labels(m, "t3", "AWSCURRENT,y");
}

static void test_kept_versions_are_the_commands(void **state) {
    struct machine *m = *state;
    Redoubt__Quotas quotas = REDOUBT__QUOTAS__INIT;
    struct call call = {.name = "a", .quotas = &quotas};
    Redoubt__Secret *secret;
    char token[16];

    quotas.has_versions_kept = true;
    quotas.versions_kept = 5;
    for (int i = 2; i <= 8; i++) {
        (void)snprintf(token, sizeof(token), "t%d", i);
        call.token = call.text = token;
        expect_ok(do_update(m, &call));
    }
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, 8);
    /* 3.5: nothing before a day has passed; then what is above the quota. */
    assert_false(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS - 11, 5));
    assert_true(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS - 10, 5));
    assert_true(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS, 7));
    assert_false(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS, 8));
    redoubt__secret__free_unpacked(secret, NULL);
    m->now_ms += KIT_DAY_MS;
    call.token = call.text = "t9";
    expect_ok(do_update(m, &call));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, 5);
    assert_string_equal(secret->versions[0]->id, "t5");
    assert_false(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS, 5));
    assert_true(versions_are_prunable(secret, m->now_ms + KIT_DAY_MS, 4));
    redoubt__secret__free_unpacked(secret, NULL);
}

/* 3.5: labelled versions are never pruned, whatever their age and number. */
static void test_labelled_versions_are_not_prunable(void **state) {
    struct machine *m = *state;
    Redoubt__Secret *secret;

    expect_ok(do_update(m, &(struct call){.name = "a", .token = "t2", .text = "v2"}));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, 2);
    assert_false(versions_are_prunable(secret, m->now_ms + 100 * KIT_DAY_MS, 0));
    redoubt__secret__free_unpacked(secret, NULL);
    expect_ok(do_update(m, &(struct call){.name = "a", .token = "t3", .text = "v3"}));
    secret = machine_secret(m, "a");
    assert_true(versions_are_prunable(secret, m->now_ms + 100 * KIT_DAY_MS, 0));
    redoubt__secret__free_unpacked(secret, NULL);
}

/* ---- Values under a new key ---- */

/* The version says `keys` (the first is the present one), and its ciphertexts are under these. */
static void expect_keys(const struct machine *m, const char *id, const char *const keys[]) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    const Redoubt__Version *version = version_find(secret, id);
    Redoubt__Sealed *sealed = NULL;
    size_t n = 0;

    assert_int_equal(view_value(machine_view(m), ACCOUNT, "a", id, &sealed), OK);
    assert_string_equal(version->key_id, keys[0]);
    assert_string_equal(sealed->key_id, keys[0]);
    while (keys[n + 1] != NULL) {
        n++;
    }
    assert_int_equal(version->n_other_key_ids, n);
    assert_int_equal(sealed->n_others, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(version->other_key_ids[i], keys[i + 1]);
        assert_string_equal(sealed->others[i]->key_id, keys[i + 1]);
        assert_int_equal(sealed->others[i]->n_others, 0);
    }
    redoubt__sealed__free_unpacked(sealed, NULL);
    redoubt__secret__free_unpacked(secret, NULL);
}

static struct call with_key(const char *key, const char *key_id) {
    return (struct call){
        .name = "a", .key = key, .reseal = "t1", .reseal_text = "v1", .reseal_key = key_id};
}

/* 5: either key opens it; KmsKeyIds lists both. */
static void test_reseal_keeps_what_opened_before(void **state) {
    struct machine *m = *state;
    struct call call = with_key("alias/two", "key-2");
    Redoubt__Secret *secret;

    expect_ok(do_update(m, &call));
    secret = machine_secret(m, "a");
    assert_string_equal(secret->kms_key_id, "alias/two");
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->changed_ms, KIT_NOW + 10);
    assert_int_equal(secret->versions[0]->revision, 1); /* no value that replicas lack */
    redoubt__secret__free_unpacked(secret, NULL);
    expect_keys(m, "t1", (const char *const[]){"key-2", "key-1", NULL});
    call = with_key("", "key-3");
    expect_ok(do_update(m, &call));
    expect_keys(m, "t1", (const char *const[]){"key-3", "key-2", "key-1", NULL});
    secret = machine_secret(m, "a");
    assert_null(secret->kms_key_id);
    redoubt__secret__free_unpacked(secret, NULL);
    /* Back to a former key: it is there once. */
    call = with_key("alias/two", "key-2");
    expect_ok(do_update(m, &call));
    expect_keys(m, "t1", (const char *const[]){"key-2", "key-3", "key-1", NULL});
    /* Under it already: nothing to do. */
    expect_ok(do_update(m, &call));
    expect_keys(m, "t1", (const char *const[]){"key-2", "key-3", "key-1", NULL});
    expect_stored(m, "a", "t1", "v1");
}

static void test_former_keys_are_bounded(void **state) {
    struct machine *m = *state;
    char id[16];

    for (int i = 2; i <= LIMIT_FORMER_KEYS + 4; i++) {
        struct call call = with_key("alias/any", id);
        (void)snprintf(id, sizeof(id), "key-%d", i);
        expect_ok(do_update(m, &call));
    }
    expect_keys(m, "t1", (const char *const[]){"key-8", "key-7", "key-6", "key-5", "key-4", NULL});
}

/* What was sealed while the state was another changes nothing. */
static void test_stale_reseals(void **state) {
    struct machine *m = *state;
    struct call call = with_key("alias/two", "key-2");
    Redoubt__Secret *secret;

    call.reseal = "t7"; /* pruned meanwhile */
    expect_ok(do_update(m, &call));
    call.reseal = "t1";
    call.reseal_text = "another"; /* pruned, and made anew with another value */
    expect_ok(do_update(m, &call));
    add_empty_version(m, "t2", "AWSPENDING");
    call.reseal = "t2";
    expect_ok(do_update(m, &call));
    expect_keys(m, "t1", (const char *const[]){"key-1", NULL});
    expect_stored(m, "a", "t1", "v1");
    secret = machine_secret(m, "a");
    assert_string_equal(secret->kms_key_id, "alias/two"); /* the key is the secret's all the same */
    assert_false(secret->versions[1]->has_kind);
    redoubt__secret__free_unpacked(secret, NULL);
    assert_false(machine_has_value(m, "a", "t2"));
    /* Two calls at once, both prepared before either was applied: both keys open it. */
    call = with_key("alias/three", "key-3");
    expect_ok(do_update(m, &call));
    call = with_key("alias/four", "key-4");
    expect_ok(do_update(m, &call));
    expect_keys(m, "t1", (const char *const[]){"key-4", "key-3", "key-1", NULL});
}

/* "Version created later: only the new key" (5 [guide]). */
static void test_later_versions_have_one_key(void **state) {
    struct machine *m = *state;
    struct call call = with_key("alias/two", "key-2");

    expect_ok(do_update(m, &call));
    expect_ok(do_put(m, &(struct call){.name = "a", .token = "t2", .text = "v2"}));
    expect_keys(m, "t2", (const char *const[]){"key-1", NULL}); /* of the kit's values */
    expect_keys(m, "t1", (const char *const[]){"key-2", "key-1", NULL});
}

/* ---- A replica ---- */

static void test_a_replica_takes_a_key_only(void **state) {
    struct machine *m = *state;
    struct call call = with_key("alias/mine", "key-2");
    uint64_t before;
    Redoubt__Secret *secret;

    make_replica(m);
    before = machine_hash(m);
    expect_refusal(do_update(m, &(struct call){.name = "a"}), ERR_INVALID_PARAMETER, REPLICA);
    call.description = "x";
    expect_refusal(do_update(m, &call), ERR_INVALID_PARAMETER, REPLICA);
    call = with_key("alias/mine", "key-2");
    call.type = "x";
    expect_refusal(do_update(m, &call), ERR_INVALID_PARAMETER, REPLICA);
    call = with_key("alias/mine", "key-2");
    call.token = "t1";
    call.text = "v1";
    expect_refusal(do_update(m, &call), ERR_INVALID_PARAMETER, REPLICA);
    assert_int_equal(machine_hash(m), before);

    call = with_key("alias/mine", "key-2");
    expect_ok(do_update(m, &call));
    secret = machine_secret(m, "a");
    assert_string_equal(secret->kms_key_id, "alias/mine");
    assert_true(secret->own_kms_key);
    assert_null(secret->link_kms_key_id);
    assert_int_equal(secret->revision, 1);
    assert_int_equal(secret->changed_ms, KIT_NOW);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_keys(m, "t1", (const char *const[]){"key-2", "key-1", NULL});
    expect_ok(do_promote(m, &(struct call){.name = "a"}));
    secret = machine_secret(m, "a");
    assert_string_equal(secret->kms_key_id, "alias/mine");
    assert_false(secret->has_own_kms_key);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* WEST's secret has its replica here. What is chosen here holds until its link asks for another. */
static void test_the_choice_of_a_replica_lasts(void **state) {
    struct machine *m = *state;
    struct machine west;
    struct call create = {.name = "r", .suffix = "RRRRRR", .token = "t1", .text = "v1"};
    struct call choose = {.name = "r", .key = "alias/mine"};
    struct call put = {.name = "r", .token = "t2", .text = "v2"};
    struct call add = {.name = "r", .targets = {EAST}, .kms_key_id = "alias/theirs"};
    Redoubt__Secret *secret;

    machine_init(&west, WEST);
    create.targets[0] = EAST;
    expect_ok(do_create(&west, &create));
    assert_int_equal(exchange(&west, m), REDOUBT__VERDICT__VERDICT_APPLIED);
    choose.reseal = "t1";
    choose.reseal_text = "v1";
    choose.reseal_key = "key-2";
    expect_ok(do_update(m, &choose));
    expect_ok(do_put(&west, &put));
    assert_int_equal(exchange(&west, m), REDOUBT__VERDICT__VERDICT_APPLIED);
    secret = machine_secret(m, "r");
    assert_string_equal(secret->kms_key_id, "alias/mine");
    assert_true(secret->own_kms_key);
    assert_int_equal(secret->n_versions, 2);
    assert_string_equal(secret->versions[0]->key_id, "key-2");
    assert_int_equal(secret->versions[0]->n_other_key_ids, 1);
    assert_string_equal(secret->versions[0]->other_key_ids[0], "key-1");
    redoubt__secret__free_unpacked(secret, NULL);
    expect_stored(m, "r", "t2", "v2");

    expect_ok(do_add(&west, &add));
    assert_int_equal(exchange(&west, m), REDOUBT__VERDICT__VERDICT_APPLIED);
    secret = machine_secret(m, "r");
    assert_string_equal(secret->kms_key_id, "alias/theirs");
    assert_false(secret->own_kms_key);
    assert_null(secret->link_kms_key_id);
    assert_int_equal(secret->versions[0]->n_other_key_ids, 0); /* sent again, sealed anew */
    redoubt__secret__free_unpacked(secret, NULL);
    machine_fini(&west);
}

/* ---- Labels ---- */

static void test_stage_moves_the_date(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .suffix = "AAAAAA", .stage = "x", .to = "t1"};
    Redoubt__Result *result = do_stage(m, &call);
    Redoubt__Secret *secret;
    uint64_t before;

    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    assert_null(result->version_id);
    assert_int_equal(result->n_stages, 0);
    command_result_free(result);
    secret = machine_secret(m, "a");
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->changed_ms, KIT_NOW + 10);
    redoubt__secret__free_unpacked(secret, NULL);
    before = machine_hash(m);
    m->now_ms += 10;
    expect_ok(do_stage(m, &call)); /* is there already */
    assert_int_equal(machine_hash(m), before);
    call.from = "t1";
    call.to = NULL;
    expect_ok(do_stage(m, &call));
    expect_labels(m, "t1", "AWSCURRENT");
}

static void test_stage_refusals(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .suffix = "BBBBBB", .stage = "x", .to = "t1"};
    uint64_t before;

    expect_refusal(do_stage(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    call = (struct call){.name = "a", .to = "t1"};
    expect_refusal(do_stage(m, &call), ERR_MALFORMED, NULL);
    add_empty_version(m, "t2", "AWSPENDING");
    before = machine_hash(m);
    /* 3.5: unknown version ids. */
    call = (struct call){.name = "a", .stage = "x", .to = "t9"};
    expect_refusal(do_stage(m, &call), ERR_INVALID_PARAMETER, "Not a valid version: t9");
    call = (struct call){.name = "a", .stage = "AWSCURRENT", .from = "t9", .to = "t1"};
    expect_refusal(do_stage(m, &call), ERR_INVALID_PARAMETER, "Not a valid version: t9");
    /* A version without a value cannot be the current one. */
    call = (struct call){.name = "a", .stage = "AWSCURRENT", .from = "t1", .to = "t2"};
    expect_refusal(do_stage(m, &call), ERR_RESOURCE_NOT_FOUND,
                   "Secrets Manager can't find the specified secret value for VersionId: t2");
    call = (struct call){.name = "a", .stage = "AWSCURRENT", .from = "t1"};
    expect_refusal(do_stage(m, &call), ERR_INVALID_PARAMETER,
                   "You can only move staging label AWSCURRENT to a different secret version. It "
                   "can\xe2\x80\x99"
                   "t be completely removed.");
    assert_int_equal(machine_hash(m), before);
    call = (struct call){.name = "a", .stage = "x", .to = "t2"}; /* any other label can */
    expect_ok(do_stage(m, &call));
    schedule(m);
    expect_refusal(do_stage(m, &call), ERR_INVALID_REQUEST, SCHEDULED);
}

static void test_stage_on_a_replica(void **state) {
    struct call call = {.name = "a", .stage = "x", .to = "t1"};

    make_replica(*state);
    expect_refusal(do_stage(*state, &call), ERR_INVALID_PARAMETER, REPLICA);
}

/* ---- Restore ---- */

/* 3.8: everything is as it was before the deletion was scheduled. */
static void test_restore(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .suffix = "AAAAAA"};
    uint64_t before = machine_hash(m);
    Redoubt__Result *result;

    schedule(m);
    assert_int_not_equal(machine_hash(m), before);
    result = do_restore(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    command_result_free(result);
    assert_int_equal(machine_hash(m), before);
    expect_ok(do_restore(m, &call)); /* not scheduled: nothing happens */
    assert_int_equal(machine_hash(m), before);
    call.suffix = "BBBBBB";
    expect_refusal(do_restore(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    call.suffix = "";
    expect_refusal(do_restore(m, &call), ERR_MALFORMED, NULL);
}

static void test_restore_of_a_replica(void **state) {
    make_replica(*state);
    expect_refusal(do_restore(*state, &(struct call){.name = "a"}), ERR_INVALID_PARAMETER, REPLICA);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_update_of_metadata),
        T(test_update_of_the_value),
        T(test_update_again),
        T(test_update_fills_a_version_without_value),
        T(test_update_takes_pending_off),
        T(test_update_refusals),
        T(test_quotas_of_the_command_decide),
        T(test_kept_versions_are_the_commands),
        T(test_labelled_versions_are_not_prunable),
        T(test_reseal_keeps_what_opened_before),
        T(test_former_keys_are_bounded),
        T(test_stale_reseals),
        T(test_later_versions_have_one_key),
        T(test_a_replica_takes_a_key_only),
        T(test_the_choice_of_a_replica_lasts),
        T(test_stage_moves_the_date),
        T(test_stage_refusals),
        T(test_stage_on_a_replica),
        T(test_restore),
        T(test_restore_of_a_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
