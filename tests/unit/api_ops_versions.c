/* UpdateSecret, UpdateSecretVersionStage and RestoreSecret, and what the audit of the operations
 * beside them found, over a state machine in memory. Sources: AWS_BEHAVIOUR 2.2-2.4, 3.1, 3.4, 3.5,
 * 3.8, 4.4 and 5. */
#include "tests/unit/api_ops_bench.h"

#include <stdlib.h>

#define STAGE(name, label, rest)                                                                   \
    "{\"SecretId\":\"" name "\",\"VersionStage\":\"" label "\"" rest "}"
#define FROM(n) ",\"RemoveFromVersionId\":\"" TOKEN(n) "\""
#define TO(n)   ",\"MoveToVersionId\":\"" TOKEN(n) "\""
#define KEY(id) ",\"KmsKeyId\":\"" id "\""
#define CANNOT_ENCRYPT                                                                             \
    "Secrets Manager can't encrypt the protected secret text using the provided KMS key."
#define CANNOT_DECRYPT                                                                             \
    "Secrets Manager can't decrypt the protected secret text using the provided KMS key."

/* A key of the account behind `alias`, made at first, in this state from now on. */
static void put_key(struct bench *bench, const char *alias, Redoubt__KeyState key_state) {
    struct view *view = view_new(bench->engine);
    struct txn *txn = txn_new(bench->engine);
    Redoubt__Key *key = NULL;
    char *id = NULL;

    assert_int_equal(view_alias(view, BENCH_ACCOUNT, alias, &id), OK);
    if (id == NULL) {
        assert_int_equal(
            vault_new_key(bench->keyring, &bench->world, BENCH_ACCOUNT, &key, &bench->err), OK);
        txn_put_alias(txn, BENCH_ACCOUNT, alias, key->id);
    } else {
        assert_int_equal(view_key(view, BENCH_ACCOUNT, id, &key), OK);
    }
    key->has_state = true;
    key->state = key_state;
    txn_put_key(txn, BENCH_ACCOUNT, key);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    view_free(view);
    redoubt__key__free_unpacked(key, NULL);
    free(id);
}

static void enable(struct bench *bench, const char *alias) {
    put_key(bench, alias, REDOUBT__KEY_STATE__KEY_ENABLED);
}

static void disable(struct bench *bench, const char *alias) {
    put_key(bench, alias, REDOUBT__KEY_STATE__KEY_DISABLED);
}

static void expect_described(struct bench *bench, const char *name, const char *member,
                             const char *expected) {
    json_t *reply = bench_ok(bench, "DescribeSecret", with_arn(ID("%s"), name));

    assert_member(reply, member, expected);
    json_decref(reply);
}

static double changed_date(struct bench *bench, const char *name) {
    json_t *reply = bench_ok(bench, "DescribeSecret", with_arn(ID("%s"), name));
    double date = number_of(reply, "LastChangedDate");

    json_decref(reply);
    return date;
}

static void expect_text(struct bench *bench, const char *body, const char *expected) {
    json_t *reply = bench_ok(bench, "GetSecretValue", body);

    assert_string_equal(text_of(reply, "SecretString"), expected);
    json_decref(reply);
}

/* A version as RotateSecret begins it. */
static void add_empty_version(struct bench *bench, const char *name, const char *id) {
    Redoubt__Secret *secret = bench_secret(bench, name);
    Redoubt__Version *version = calloc(1, sizeof(*version));

    assert_non_null(version);
    redoubt__version__init(version);
    version->id = strdup(id);
    version->has_created_ms = true;
    version->created_ms = bench->now_ms;
    version->stages = calloc(1, sizeof(char *));
    version->stages[version->n_stages++] = strdup("AWSPENDING");
    secret->versions = realloc(secret->versions, (secret->n_versions + 1) * sizeof(void *));
    secret->versions[secret->n_versions++] = version;
    bench_put_secret(bench, secret);
}

/* --- UpdateSecret ---------------------------------------------------------------------------- */

/* 3.4: "Only SecretId (plus SDK-filled token)" [rec]; no date moves, because nothing does. */
static void update_with_nothing(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    json_t *reply;

    bench->now_ms += 1000;
    reply = bench_ok(bench, "UpdateSecret", PUT("s", 2, ""));
    assert_members(reply, "ARN Name");
    assert_string_equal(text_of(reply, "ARN"), text_of(created, "ARN"));
    assert_string_equal(text_of(reply, "Name"), "s");
    json_decref(reply);
    json_decref(created);
    expect_described(bench, "s", "VersionIdsToStages", "{\"" TOKEN(1) "\":[\"AWSCURRENT\"]}");
    assert_true(changed_date(bench, "s") == 1700000000.123);
}

/* 3.4: "Description only", "Description \"\"", "Value-less secret, Description only" [rec]. */
static void update_the_description(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, ",\"Description\":\"old\""));
    bench->now_ms += 1000;
    reply = bench_ok(bench, "UpdateSecret", PUT("s", 2, ",\"Description\":\"new\""));
    assert_members(reply, "ARN Name");
    json_decref(reply);
    expect_described(bench, "s", "Description", "\"new\"");
    assert_true(changed_date(bench, "s") == 1700000001.123);
    bench_do(bench, "UpdateSecret", PUT("s", 3, ""));
    expect_described(bench, "s", "Description", "\"new\"");
    bench_do(bench, "UpdateSecret", PUT("s", 4, ",\"Description\":\"\""));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply, "ARN Name LastChangedDate CreatedDate");
    json_decref(reply);
}

/* 3.4: "Value (with or without Description)" [rec]: string, binary, string; and 3.1 the date. */
static void update_the_value(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench->now_ms += 1000;
    reply =
        bench_ok(bench, "UpdateSecret", PUT("s", 2, VALUE("two") ",\"Description\":\"second\""));
    assert_members(reply, "ARN Name VersionId");
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(2));
    json_decref(reply);
    expect_described(bench, "s", "VersionIdsToStages",
                     "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSCURRENT\"]}");
    expect_described(bench, "s", "Description", "\"second\"");
    expect_text(bench, ID("s"), "two");
    assert_true(changed_date(bench, "s") == 1700000001.123);
    bench_do(bench, "UpdateSecret", PUT("s", 3, ",\"SecretBinary\":\"AAE=\""));
    reply = bench_ok(bench, "GetSecretValue", ID("s"));
    assert_member(reply, "SecretBinary", "\"AAE=\"");
    assert_member(reply, "SecretString", NULL);
    json_decref(reply);
    bench->now_ms += 1000;
    /* "New token, same value: LastChangedDate moves" [rec]. */
    bench_do(bench, "UpdateSecret", PUT("s", 4, ",\"SecretBinary\":\"AAE=\""));
    assert_true(changed_date(bench, "s") == 1700000002.123);
    expect_described(bench, "s", "VersionIdsToStages",
                     "{\"" TOKEN(3) "\":[\"AWSPREVIOUS\"],\"" TOKEN(4) "\":[\"AWSCURRENT\"]}");
}

/* The token rules of 3.4 and C-9: same content is idempotent. The whole repetition is ignored. */
static void update_again(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    json_t *first = bench_ok(bench, "UpdateSecret", PUT("s", 2, VALUE("two")));
    json_t *again;

    bench_do(bench, "UpdateSecret", PUT("s", 3, ",\"Description\":\"later\""));
    bench->now_ms += 1000;
    again =
        bench_ok(bench, "UpdateSecret", PUT("s", 2, VALUE("two") ",\"Description\":\"earlier\""));
    assert_true(json_equal(first, again));
    json_decref(again);
    expect_described(bench, "s", "Description", "\"later\"");
    assert_true(changed_date(bench, "s") == 1700000000.123);
    bench_refused(
        bench, "UpdateSecret", PUT("s", 2, VALUE("other")), ERR_RESOURCE_EXISTS,
        with_arn("You can't use ClientRequestToken " TOKEN(
                     2) " because that value is already in use for a version of secret %s.",
                 text_of(created, "ARN")));
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ",\"SecretBinary\":\"dHdv\""),
                  ERR_RESOURCE_EXISTS, bench->err.message);
    /* The token of the version that is AWSPREVIOUS: no label moves. */
    bench_do(bench, "UpdateSecret", PUT("s", 1, VALUE("one")));
    expect_text(bench, ID("s"), "two");
    json_decref(first);
    json_decref(created);
}

static void update_refuses(void **state) {
    struct bench *bench = *state;

    bench_refused(bench, "UpdateSecret", PUT("s", 1, ""), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    /* 0.3 rule 4: the token is mandatory on the wire, with or without a value [rec]. */
    bench_refused(bench, "UpdateSecret", ID_("s", "\"Description\":\"d\""), ERR_INVALID_REQUEST,
                  NO_TOKEN);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("v") ",\"SecretBinary\":\"dg==\""),
                  ERR_INVALID_PARAMETER, BOTH);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("")), ERR_VALIDATION,
                  "1 validation error detected: Value at 'secretString' failed to satisfy "
                  "constraint: Member must have length greater than or equal to 1");
    bench_refused(bench, "UpdateSecret",
                  "{\"SecretId\":\"s\",\"ClientRequestToken\":\"short\",\"Description\":\"d\"}",
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'short' at 'clientRequestToken' failed to "
                  "satisfy constraint: Member must have length greater than or equal to 32");
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ",\"Description\":\"d\""), ERR_INVALID_REQUEST,
                  MARKED);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ""), ERR_INVALID_REQUEST, MARKED);
    /* The state of the secret is told before what is wrong with the key. */
    bench_refused(bench, "UpdateSecret", PUT("s", 2, KEY("alias/none")), ERR_INVALID_REQUEST,
                  MARKED);
}

/* 2.3: Type is at most 256 characters; 2.6: Create and Update take it, Describe shows it. */
static void the_type_of_a_secret(void **state) {
    struct bench *bench = *state;
    char type[LIMIT_TYPE + 2];
    char body[512];

    bench_do(bench, "CreateSecret", CREATE("s", 1, ",\"Type\":\"Partner\""));
    expect_described(bench, "s", "Type", "\"Partner\"");
    bench_do(bench, "UpdateSecret", PUT("s", 2, ",\"Type\":\"Other\""));
    expect_described(bench, "s", "Type", "\"Other\"");
    bench_do(bench, "UpdateSecret", PUT("s", 3, ",\"Description\":\"d\""));
    expect_described(bench, "s", "Type", "\"Other\"");
    bench_do(bench, "UpdateSecret", PUT("s", 4, ",\"Type\":\"\""));
    expect_described(bench, "s", "Type", NULL);
    memset(type, 't', sizeof(type) - 1);
    type[sizeof(type) - 1] = '\0';
    (void)snprintf(body, sizeof(body), PUT("s", 5, ",\"Type\":\"%s\""), type);
    bench_refused(bench, "UpdateSecret", body, ERR_VALIDATION,
                  with_arn("1 validation error detected: Value '%s' at 'type' failed to satisfy "
                           "constraint: Member must have length less than or equal to 256",
                           type));
    bench_do(bench, "CreateSecret", CREATE("e", 1, ",\"Type\":\"\""));
    expect_described(bench, "e", "Type", NULL);
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* Section 5: KmsKeyId as the caller wrote it; "" and the default alias, in any form, are the
 * default key, which Describe does not show. */
static void update_the_key(void **state) {
    struct bench *bench = *state;
    static const char *const defaults[] = {"", "alias/aws/secretsmanager",
                                           "arn:aws:kms:" BENCH_REGION ":" BENCH_ACCOUNT
                                           ":alias/aws/secretsmanager"};
    json_t *reply;

    enable(bench, "alias/custom");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        bench->now_ms += 1000;
        reply = bench_ok(bench, "UpdateSecret", PUT("s", 2, KEY("alias/custom")));
        assert_members(reply, "ARN Name");
        json_decref(reply);
        assert_true(changed_date(bench, "s") == (double)bench->now_ms / 1000);
        expect_described(bench, "s", "KmsKeyId", "\"alias/custom\"");
        expect_text(bench, ID("s"), "v");
        bench_do(bench, "UpdateSecret", with_arn(PUT("s", 2, KEY("%s")), defaults[i]));
        expect_described(bench, "s", "KmsKeyId", NULL);
        expect_text(bench, ID("s"), "v");
    }
    expect_described(bench, "s", "VersionIdsToStages", "{\"" TOKEN(1) "\":[\"AWSCURRENT\"]}");
    /* Nothing but the key changed: an update without one leaves it. */
    bench_do(bench, "UpdateSecret", PUT("s", 2, KEY("alias/custom")));
    bench_do(bench, "UpdateSecret", PUT("s", 2, ",\"Description\":\"d\""));
    expect_described(bench, "s", "KmsKeyId", "\"alias/custom\"");
}

/* The default key that nobody needed yet is made for it. */
static void update_makes_the_default_key(void **state) {
    struct bench *bench = *state;

    bench_do(bench, "CreateSecret", CREATE("s", 1, ""));
    assert_int_equal(bench->preludes, 0);
    bench_do(bench, "UpdateSecret", PUT("s", 2, KEY("")));
    assert_int_equal(bench->preludes, 1);
    bench_do(bench, "UpdateSecret", PUT("s", 2, VALUE("v")));
    assert_int_equal(bench->preludes, 1);
    expect_text(bench, ID("s"), "v");
}

/* Section 5: unresolvable → InvalidParameterException; disabled → EncryptionFailure, also when no
 * value is given; nothing changes then. */
static void unusable_keys_are_refused(void **state) {
    struct bench *bench = *state;

    disable(bench, "alias/off");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    bench_refused(bench, "UpdateSecret", PUT("s", 2, KEY("alias/none")), ERR_INVALID_PARAMETER,
                  BAD_KEY);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("w") KEY("off")), ERR_INVALID_PARAMETER,
                  BAD_KEY); /* the bare name of an alias [rep] */
    bench_refused(bench, "UpdateSecret",
                  PUT("s", 2, ",\"Description\":\"d\",\"KmsKeyId\":\"alias/off\""),
                  ERR_ENCRYPTION_FAILURE, CANNOT_ENCRYPT);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("w") KEY("alias/off")),
                  ERR_ENCRYPTION_FAILURE, CANNOT_ENCRYPT);
    put_key(bench, "alias/off", REDOUBT__KEY_STATE__KEY_PENDING_DELETION);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, KEY("alias/off")), ERR_ENCRYPTION_FAILURE,
                  CANNOT_ENCRYPT);
    /* The same look at the key when a secret is created, with a value or without. */
    bench_refused(bench, "CreateSecret", CREATE("t", 1, KEY("alias/off")), ERR_ENCRYPTION_FAILURE,
                  CANNOT_ENCRYPT);
    bench_refused(bench, "CreateSecret", CREATE("t", 1, VALUE("v") KEY("alias/off")),
                  ERR_ENCRYPTION_FAILURE, CANNOT_ENCRYPT);
    bench_refused(bench, "DescribeSecret", ID("t"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    expect_described(bench, "s", "KmsKeyId", NULL);
    expect_described(bench, "s", "Description", NULL);
    expect_text(bench, ID("s"), "v");
}

/* Section 5: AWSCURRENT, AWSPENDING and AWSPREVIOUS are sealed under the new key too; either key
 * opens them. A version with another label stays on the old key, one without a label too. */
static void a_new_key_for_what_is_in_use(void **state) {
    struct bench *bench = *state;

    enable(bench, "alias/old");
    enable(bench, "alias/new");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one") KEY("alias/old")));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two") ",\"VersionStages\":[\"mine\"]"));
    bench_do(bench, "PutSecretValue", PUT("s", 3, VALUE("three")));
    bench_do(bench, "PutSecretValue", PUT("s", 4, VALUE("four")));
    bench_do(bench, "PutSecretValue",
             PUT("s", 5, VALUE("five") ",\"VersionStages\":[\"AWSPENDING\"]"));
    bench_do(bench, "UpdateSecret", PUT("s", 6, KEY("alias/new")));
    for (int round = 0; round < 2; round++) {
        const char *off = round == 0 ? "alias/old" : "alias/new";
        disable(bench, off);
        expect_text(bench, ID("s"), "four");
        expect_text(bench, ID_("s", "\"VersionStage\":\"AWSPREVIOUS\""), "three");
        expect_text(bench, ID_("s", "\"VersionStage\":\"AWSPENDING\""), "five");
        if (round == 0) {
            bench_refused(bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"mine\""),
                          ERR_DECRYPTION_FAILURE, CANNOT_DECRYPT);
            bench_refused(bench, "GetSecretValue", ID_("s", "\"VersionId\":\"" TOKEN(1) "\""),
                          ERR_DECRYPTION_FAILURE, CANNOT_DECRYPT);
        }
        enable(bench, off);
    }
    /* "Version created later: only the new key". */
    bench_do(bench, "PutSecretValue", PUT("s", 7, VALUE("seven")));
    disable(bench, "alias/new");
    bench_refused(bench, "GetSecretValue", ID("s"), ERR_DECRYPTION_FAILURE, CANNOT_DECRYPT);
    expect_text(bench, ID_("s", "\"VersionStage\":\"AWSPREVIOUS\""), "four");
}

/* Section 5: a version that cannot be opened with the old key stays as it is, without an error. */
static void what_does_not_open_stays(void **state) {
    struct bench *bench = *state;

    enable(bench, "alias/old");
    enable(bench, "alias/new");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one") KEY("alias/old")));
    disable(bench, "alias/old");
    bench_do(bench, "UpdateSecret", PUT("s", 2, KEY("alias/new")));
    expect_described(bench, "s", "KmsKeyId", "\"alias/new\"");
    bench_refused(bench, "GetSecretValue", ID("s"), ERR_DECRYPTION_FAILURE, CANNOT_DECRYPT);
    bench_do(bench, "PutSecretValue", PUT("s", 3, VALUE("three")));
    expect_text(bench, ID("s"), "three");
    enable(bench, "alias/old");
    expect_text(bench, ID_("s", "\"VersionId\":\"" TOKEN(1) "\""), "one");
    bench_do(bench, "UpdateSecret", PUT("s", 4, KEY("alias/new"))); /* now it does */
    disable(bench, "alias/old");
    expect_text(bench, ID_("s", "\"VersionStage\":\"AWSPREVIOUS\""), "one");
}

/* A new key with a value is for that value: section 5 speaks of re-encryption without one. And a
 * repetition is recognised by content, whatever key it was sealed under. */
static void a_new_key_with_a_value(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *secret;

    enable(bench, "alias/new");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(bench, "UpdateSecret", PUT("s", 2, VALUE("two") KEY("alias/new")));
    expect_described(bench, "s", "KmsKeyId", "\"alias/new\"");
    secret = bench_secret(bench, "s");
    assert_int_equal(secret->versions[0]->n_other_key_ids, 0);
    assert_string_not_equal(secret->versions[0]->key_id, secret->versions[1]->key_id);
    redoubt__secret__free_unpacked(secret, NULL);
    bench_do(bench, "UpdateSecret", PUT("s", 3, KEY("")));
    bench_do(bench, "UpdateSecret", PUT("s", 2, VALUE("two")));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    disable(bench, "alias/new");
    expect_text(bench, ID("s"), "two");
}

/* --- A replica -------------------------------------------------------------------------------- */

/* 4.1: a replica is read-only except for its encryption key; 4.4. */
static void a_replica_takes_a_key(void **state) {
    struct bench *bench = *state;

    enable(bench, "alias/mine");
    disable(bench, "alias/off");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v") KEY("alias/mine")));
    bench_make_replica(bench, "s");
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ""), ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ",\"Description\":\"d\""),
                  ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ",\"Description\":\"d\"" KEY("")),
                  ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("w") KEY("")), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, ",\"Type\":\"t\"" KEY("")),
                  ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, KEY("alias/none")), ERR_INVALID_PARAMETER,
                  BAD_KEY);
    bench_refused(bench, "UpdateSecret", PUT("s", 2, KEY("alias/off")), ERR_ENCRYPTION_FAILURE,
                  CANNOT_ENCRYPT);
    bench->now_ms += 1000;
    bench_do(bench, "UpdateSecret", PUT("s", 2, KEY("")));
    expect_described(bench, "s", "KmsKeyId", NULL);
    assert_true(changed_date(bench, "s") == 1700000000.123); /* the primary's */
    disable(bench, "alias/mine");
    expect_text(bench, ID("s"), "v");
    /* A write is refused for what the secret is, before its key is looked at. */
    disable(bench, "alias/aws/secretsmanager");
    bench_refused(bench, "PutSecretValue", PUT("s", 3, VALUE("w")), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", TO(1)), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
    bench_refused(bench, "RestoreSecret", ID("s"), ERR_INVALID_PARAMETER, ON_REPLICA);
}

static void a_put_on_a_scheduled_secret(void **state) {
    struct bench *bench = *state;

    enable(bench, "alias/mine");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v") KEY("alias/mine")));
    bench_do(bench, "DeleteSecret", ID("s"));
    disable(bench, "alias/mine");
    bench_refused(bench, "PutSecretValue", PUT("s", 2, VALUE("w")), ERR_INVALID_REQUEST, MARKED);
}

/* --- UpdateSecretVersionStage -------------------------------------------------------------------
 */

/* 3.5: the recorded sequence with custom labels, through the API; `{ARN, Name}` only [rec]. */
static void stages_move(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(
        bench, "PutSecretValue",
        PUT("s", 2, VALUE("two") ",\"VersionStages\":[\"AWSPENDING\",\"AWSSOMETHING\",\"PUT1\"]"));
    bench->now_ms += 1000;
    reply = bench_ok(bench, "UpdateSecretVersionStage", STAGE("s", "AWSCURRENT", FROM(1) TO(2)));
    assert_members(reply, "ARN Name");
    json_decref(reply);
    assert_true(changed_date(bench, "s") == 1700000001.123);
    expect_described(bench, "s", "VersionIdsToStages",
                     "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(
                         2) "\":[\"AWSPENDING\",\"AWSSOMETHING\",\"PUT1\",\"AWSCURRENT\"]}");
    bench_do(bench, "PutSecretValue",
             PUT("s", 3, VALUE("three") ",\"VersionStages\":[\"AWSPENDING\",\"PUT2\"]"));
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "AWSCURRENT", FROM(2) TO(3)));
    expect_described(bench, "s", "VersionIdsToStages",
                     "{\"" TOKEN(2) "\":[\"AWSSOMETHING\",\"PUT1\",\"AWSPREVIOUS\"],\"" TOKEN(
                         3) "\":[\"AWSPENDING\",\"PUT2\",\"AWSCURRENT\"]}");
    expect_text(bench, ID("s"), "three");
    /* A label goes; the version it was the last of is deprecated, and still read by its id. */
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "AWSPENDING", FROM(3)));
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "AWSSOMETHING", FROM(2)));
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "PUT1", FROM(2)));
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "AWSPREVIOUS", FROM(2)));
    expect_described(bench, "s", "VersionIdsToStages",
                     "{\"" TOKEN(3) "\":[\"PUT2\",\"AWSCURRENT\"]}");
    reply = bench_ok(bench, "GetSecretValue", ID_("s", "\"VersionId\":\"" TOKEN(2) "\""));
    assert_members(reply,
                   "ARN Name VersionId SecretString CreatedDate"); /* 3.1: no VersionStages */
    json_decref(reply);
}

static void stages_refuse_to_move(void **state) {
    struct bench *bench = *state;

    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", TO(1)), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two") ",\"VersionStages\":[\"x\"]"));
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "AWSCURRENT", TO(2)),
                  ERR_INVALID_PARAMETER,
                  "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is "
                  "currently attached to version " TOKEN(
                      1) ", so you must explicitly reference that version in RemoveFromVersionId.");
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "AWSCURRENT", FROM(1)),
                  ERR_INVALID_PARAMETER,
                  "You can only move staging label AWSCURRENT to a different secret version. It "
                  "can\xe2\x80\x99"
                  "t be completely removed.");
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", FROM(1) TO(1)),
                  ERR_INVALID_PARAMETER,
                  "When you move staging label x, if you specify RemoveFromVersionId, it must be "
                  "set to the version that currently has the staging label x.");
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", FROM(1)),
                  ERR_INVALID_PARAMETER, "Version stage x not found in version " TOKEN(1));
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", FROM(2) TO(9)),
                  ERR_INVALID_PARAMETER, "Not a valid version: " TOKEN(9));
    /* 2.3 and 2.5. */
    bench_refused(bench, "UpdateSecretVersionStage", ID("s"), ERR_VALIDATION,
                  "1 validation error detected: Value null at 'versionStage' failed to satisfy "
                  "constraint: Member must not be null");
    bench_refused(bench, "UpdateSecretVersionStage",
                  STAGE("s", "x", ",\"MoveToVersionId\":\"short\""), ERR_VALIDATION,
                  "1 validation error detected: Value 'short' at 'moveToVersionId' failed to "
                  "satisfy constraint: Member must have length greater than or equal to 32");
    bench_refused(bench, "UpdateSecretVersionStage",
                  STAGE("s", "x", ",\"RemoveFromVersionId\":\"äääääääääääääääääääääääääääääääää\""),
                  ERR_INVALID_PARAMETER, "Not a valid version: äääääääääääääääääääääääääääääääää");
    add_empty_version(bench, "s", TOKEN(3));
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "AWSCURRENT", FROM(1) TO(3)),
                  ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for VersionId: " TOKEN(3));
    expect_text(bench, ID("s"), "one");
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "x", FROM(2) TO(1)),
                  ERR_INVALID_REQUEST, MARKED);
}

/* Section 6: at most 20 labels across all versions of a secret, and what the operator set. */
static void labels_have_a_quota(void **state) {
    struct bench *bench = *state;
    char body[256];

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    for (int i = 1; i < LIMIT_STAGES_PER_SECRET; i++) {
        (void)snprintf(body, sizeof(body), STAGE("s", "label-%d", TO(1)), i);
        bench_do(bench, "UpdateSecretVersionStage", body);
    }
    bench_refused(bench, "UpdateSecretVersionStage", STAGE("s", "more", TO(1)), ERR_LIMIT_EXCEEDED,
                  "The request failed because it would exceed the quota of 20 staging labels "
                  "attached to the versions of a secret.");
    bench_refused(bench, "UpdateSecret", PUT("s", 2, VALUE("two")), ERR_LIMIT_EXCEEDED,
                  bench->err.message); /* AWSPREVIOUS would be the twenty-first */
    bench->quotas.labels = 22;
    bench_do(bench, "UpdateSecretVersionStage", STAGE("s", "more", TO(1)));
    bench_do(bench, "UpdateSecret", PUT("s", 2, VALUE("two")));
}

/* --- RestoreSecret ------------------------------------------------------------------------------
 */

static void restore_brings_all_back(void **state) {
    struct bench *bench = *state;
    json_t *before;
    json_t *after;
    json_t *reply;

    bench_do(bench, "CreateSecret",
             CREATE("s", 1, VALUE("one") ",\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"}]"));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    before = bench_ok(bench, "DescribeSecret", ID("s"));
    bench->now_ms += 1000;
    bench_do(bench, "DeleteSecret", ID("s"));
    reply = bench_ok(bench, "RestoreSecret", ID("s"));
    assert_members(reply, "ARN Name");
    assert_string_equal(text_of(reply, "ARN"), text_of(before, "ARN"));
    json_decref(reply);
    after = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_true(json_equal(before, after)); /* no DeletedDate, everything intact */
    expect_text(bench, ID("s"), "two");
    bench_do(bench, "RestoreSecret",
             ID("s")); /* not scheduled: unrecorded, succeeds as moto does */
    reply = bench_ok(bench, "RestoreSecret", with_arn(ID("%s"), text_of(before, "ARN")));
    json_decref(reply);
    bench_refused(bench, "RestoreSecret", ID("none"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_do(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    bench_refused(bench, "RestoreSecret", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    json_decref(before);
    json_decref(after);
}

/* --- Names ---------------------------------------------------------------------------------------
 */

/* 2.2 [rec]: the same text for every operation, here for those that take a SecretId. */
static void bad_names_are_refused(void **state) {
    struct bench *bench = *state;
    static const char *const names[] = {"Inv Name", " Inv Name", " Inv*Name? ",
                                        " Inv *?!]Name\\\\-"};
    static const struct {
        const char *operation;
        const char *body; /* with one %s */
    } calls[] = {
        {"DeleteSecret", "{\"SecretId\":\"%s\"}"},
        {"DescribeSecret", "{\"SecretId\":\"%s\"}"},
        {"GetSecretValue", "{\"SecretId\":\"%s\"}"},
        {"RestoreSecret", "{\"SecretId\":\"%s\"}"},
        {"PutSecretValue",
         "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(1) "\",\"SecretString\":\"v\"}"},
        {"UpdateSecret", "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(1) "\"}"},
        {"UpdateSecretVersionStage",
         "{\"SecretId\":\"%s\",\"VersionStage\":\"x\",\"MoveToVersionId\":\"" TOKEN(1) "\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            bench_refused(bench, calls[i].operation, with_arn(calls[i].body, names[k]),
                          ERR_VALIDATION,
                          "Invalid name. Must be a valid name containing alphanumeric characters, "
                          "or any of the following: -/_+=.@!");
        }
    }
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(update_with_nothing),
        BENCH_TEST(update_the_description),
        BENCH_TEST(update_the_value),
        BENCH_TEST(update_again),
        BENCH_TEST(update_refuses),
        BENCH_TEST(the_type_of_a_secret),
        BENCH_TEST(update_the_key),
        BENCH_TEST(update_makes_the_default_key),
        BENCH_TEST(unusable_keys_are_refused),
        BENCH_TEST(a_new_key_for_what_is_in_use),
        BENCH_TEST(what_does_not_open_stays),
        BENCH_TEST(a_new_key_with_a_value),
        BENCH_TEST(a_replica_takes_a_key),
        BENCH_TEST(a_put_on_a_scheduled_secret),
        BENCH_TEST(stages_move),
        BENCH_TEST(stages_refuse_to_move),
        BENCH_TEST(labels_have_a_quota),
        BENCH_TEST(restore_brings_all_back),
        BENCH_TEST(bad_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
