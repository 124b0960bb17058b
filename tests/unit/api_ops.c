/* CreateSecret, PutSecretValue, GetSecretValue and DescribeSecret: success, refusals and presence
 * rules, over a state machine in memory. Sources: AWS_BEHAVIOUR 2.4 and 3. */
#include "tests/unit/api_ops_bench.h"

#include "api/op_document.h"
#include "cluster/command.pb-c.h"
#include "model/secret_id.h"

#include <stdlib.h>

/* --- CreateSecret -------------------------------------------------------------------------- */

static void create_with_a_value(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("prod/db", 1, VALUE("hunter2")));
    const char *arn = text_of(created, "ARN");
    json_t *got;

    assert_members(created, "ARN Name VersionId");
    assert_memory_equal(arn,
                        "arn:aws:secretsmanager:" BENCH_REGION ":" BENCH_ACCOUNT ":secret:prod/db-",
                        strlen(arn) - LIMIT_ARN_SUFFIX);
    assert_string_equal(text_of(created, "VersionId"), TOKEN(1));

    got = bench_ok(bench, "GetSecretValue", ID("prod/db"));
    assert_members(got, "ARN Name VersionId SecretString VersionStages CreatedDate");
    assert_string_equal(text_of(got, "ARN"), arn);
    assert_string_equal(text_of(got, "SecretString"), "hunter2");
    assert_member(got, "VersionStages", "[\"AWSCURRENT\"]");
    assert_true(number_of(got, "CreatedDate") == 1700000000.123);
    json_decref(got);
    json_decref(created);
}

static void create_without_a_value(void **state) {
    struct bench *bench = *state;
    json_t *reply = bench_ok(bench, "CreateSecret", CREATE("empty", 1, ""));

    assert_members(reply, "ARN Name");
    json_decref(reply);
    assert_int_equal(bench->preludes, 0);
    reply = bench_ok(bench, "DescribeSecret", ID("empty"));
    assert_members(reply, "ARN Name LastChangedDate CreatedDate");
    json_decref(reply);
    bench_refused(bench, "GetSecretValue", ID("empty"), ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for staging label: "
                  "AWSCURRENT");
    assert_int_equal(bench->touches, 0);
}

static void create_binary(void **state) {
    struct bench *bench = *state;
    json_t *got;

    bench_do(bench, "CreateSecret", CREATE("blob", 1, ",\"SecretBinary\":\"AP8BAA==\""));
    got = bench_ok(bench, "GetSecretValue", ID("blob"));
    assert_members(got, "ARN Name VersionId SecretBinary VersionStages CreatedDate");
    assert_string_equal(text_of(got, "SecretBinary"), "AP8BAA==");
    json_decref(got);
}

static void create_makes_the_default_key_once(void **state) {
    struct bench *bench = *state;

    bench_do(bench, "CreateSecret", CREATE("one", 1, VALUE("a")));
    assert_int_equal(bench->preludes, 1);
    bench_do(bench, "CreateSecret", CREATE("two", 1, VALUE("b")));
    assert_int_equal(bench->preludes, 1);
}

static void create_again(void **state) {
    struct bench *bench = *state;
    json_t *first = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    json_t *again = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));

    /* Recognised by its content, although the second try drew another suffix. */
    assert_true(json_equal(first, again));
    bench_refused(
        bench, "CreateSecret", CREATE("s", 1, VALUE("w")), ERR_RESOURCE_EXISTS,
        with_arn("You can't use ClientRequestToken " TOKEN(
                     1) " because that value is already in use for a version of secret %s.",
                 text_of(first, "ARN")));
    /* Equal bytes of the other kind are other content. */
    bench_refused(bench, "CreateSecret", CREATE("s", 1, ",\"SecretBinary\":\"dg==\""),
                  ERR_RESOURCE_EXISTS, bench->err.message);
    bench_refused(bench, "CreateSecret", CREATE("s", 2, VALUE("v")), ERR_RESOURCE_EXISTS,
                  "The operation failed because the secret s already exists.");
    json_decref(first);
    json_decref(again);
}

static void create_where_one_is_scheduled_or_was(void **state) {
    struct bench *bench = *state;
    json_t *first = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    json_t *second;

    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "CreateSecret", CREATE("s", 2, VALUE("v")), ERR_INVALID_REQUEST,
                  "You can't create this secret because a secret with this name is already "
                  "scheduled for deletion.");
    bench_do(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    second = bench_ok(bench, "CreateSecret", CREATE("s", 2, VALUE("v")));
    assert_string_not_equal(text_of(first, "ARN"), text_of(second, "ARN"));
    json_decref(first);
    json_decref(second);
}

static void create_refuses_names_and_values(void **state) {
    struct bench *bench = *state;
    static const char bad_name[] = "Invalid name. Must be a valid name containing alphanumeric "
                                   "characters, or any of the following: -/_+=.@!";

    bench_refused(bench, "CreateSecret", CREATE("Inv Name", 1, VALUE("v")), ERR_VALIDATION,
                  bad_name);
    bench_refused(bench, "CreateSecret", CREATE("rds!db", 1, VALUE("v")), ERR_VALIDATION, bad_name);
    bench_refused(bench, "CreateSecret", CREATE("s", 1, VALUE("v") ",\"SecretBinary\":\"dg==\""),
                  ERR_INVALID_PARAMETER, BOTH);
    bench_refused(bench, "CreateSecret", "{\"Name\":\"s\"}", ERR_INVALID_REQUEST, NO_TOKEN);
    bench_refused(bench, "CreateSecret", CREATE("s", 1, VALUE("")), ERR_VALIDATION,
                  "1 validation error detected: Value at 'secretString' failed to satisfy "
                  "constraint: Member must have length greater than or equal to 1");
    bench_refused(bench, "CreateSecret",
                  "{\"Name\":\"s\",\"ClientRequestToken\":\"äääääääääääääääääääääääääääääääää\"}",
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'äääääääääääääääääääääääääääääääää' at "
                  "'clientRequestToken' failed to satisfy constraint: Member must have length less "
                  "than or equal to 64");
}

static void create_refuses_tags(void **state) {
    struct bench *bench = *state;
    char body[4096];
    size_t len =
        (size_t)snprintf(body, sizeof(body), "%s",
                         "{\"Name\":\"s\",\"ClientRequestToken\":\"" TOKEN(1) "\",\"Tags\":[");

    for (int i = 0; i <= LIMIT_TAGS; i++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len,
                                "%s{\"Key\":\"k%d\",\"Value\":\"\"}", i == 0 ? "" : ",", i);
    }
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    bench_refused(bench, "CreateSecret", body, ERR_INVALID_PARAMETER,
                  "A secret can't have more than 50 tags.");
    bench_refused(bench, "CreateSecret",
                  CREATE("s", 1, ",\"Tags\":[{\"Key\":\"aws:x\",\"Value\":\"y\"}]"),
                  ERR_INVALID_PARAMETER, "You can't modify system tags. Tag key: 'aws:x'.");
    bench_refused(bench, "CreateSecret",
                  CREATE("s", 1, ",\"Tags\":[{\"Key\":\"a\"},{\"Key\":\"b\"},{\"Key\":\"a\"}]"),
                  ERR_INVALID_PARAMETER,
                  "You can't use the same tag key more than once. Tag key: 'a'.");
    bench_refused(bench, "CreateSecret", CREATE("s", 1, ",\"Tags\":[{\"Value\":\"y\"}]"),
                  ERR_INVALID_PARAMETER, "A tag must have a key.");
}

static void create_with_replicas(void **state) {
    struct bench *bench = *state;
    static const char body[] =
        CREATE("s", 1,
               VALUE("v") ",\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"},"
                          "{\"Region\":\"eu-west-1\",\"KmsKeyId\":\"alias/there\"}]");
    static const char status[] =
        "[{\"Region\":\"eu-west-1\",\"KmsKeyId\":\"alias/there\",\"Status\":\"InProgress\"},"
        "{\"Region\":\"us-east-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\",\"Status\":"
        "\"InProgress\"}]";
    json_t *reply = bench_ok(bench, "CreateSecret", body);

    assert_members(reply, "ARN Name VersionId ReplicationStatus");
    assert_member(reply, "ReplicationStatus", status);
    json_decref(reply);
    reply = bench_ok(bench, "CreateSecret", body);
    assert_member(reply, "ReplicationStatus", status);
    json_decref(reply);
}

static void replica_regions_are_checked(void **state) {
    struct bench *bench = *state;
    static const char *const bad[] = {
        "[{\"Region\":\"" BENCH_REGION "\"}]", "[{\"Region\":\"ap-east-1\"}]",
        "[{\"Region\":\"us-east-1\"},{\"Region\":\"" BENCH_REGION "\"}]", "[{}]"};

    bench_do(bench, "CreateSecret", CREATE("there", 1, VALUE("v")));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bench_refused(bench, "CreateSecret",
                      with_arn(CREATE("s", 1, ",\"AddReplicaRegions\":%s"), bad[i]),
                      ERR_INVALID_PARAMETER, BAD_REGION);
        bench_refused(bench, "ReplicateSecretToRegions",
                      with_arn(ID_("there", "\"AddReplicaRegions\":%s"), bad[i]),
                      ERR_INVALID_PARAMETER, BAD_REGION);
    }
    bench_refused(bench, "CreateSecret",
                  CREATE("s", 1,
                         ",\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"},{\"Region\":"
                         "\"us-east-1\"}]"),
                  ERR_INVALID_PARAMETER,
                  "You can't specify the replica region us-east-1 more than once.");
    bench_refused(
        bench, "CreateSecret", CREATE("s", 1, ",\"AddReplicaRegions\":[{\"Region\":\"Mars\"}]"),
        ERR_VALIDATION,
        "1 validation error detected: Value 'Mars' at 'addReplicaRegions.1.member.region' "
        "failed to satisfy constraint: Member must satisfy regular expression pattern: "
        "^([a-z]+-)+\\d+$");
    bench_refused(bench, "DescribeSecret", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
}

/* --- keys ---------------------------------------------------------------------------------- */

/* A key under alias/custom in this state. */
static void put_key(struct bench *bench, Redoubt__KeyState key_state, Redoubt__Key **key) {
    struct txn *txn = txn_new(bench->engine);

    if (*key == NULL) {
        assert_int_equal(
            vault_new_key(bench->keyring, &bench->world, BENCH_ACCOUNT, key, &bench->err), OK);
    }
    (*key)->has_state = true;
    (*key)->state = key_state;
    txn_put_key(txn, BENCH_ACCOUNT, *key);
    txn_put_alias(txn, BENCH_ACCOUNT, "alias/custom", (*key)->id);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
}

static void keys_are_named_and_shown(void **state) {
    struct bench *bench = *state;
    Redoubt__Key *key = NULL;
    json_t *reply;

    bench_refused(bench, "CreateSecret", CREATE("s", 1, ",\"KmsKeyId\":\"alias/custom\""),
                  ERR_INVALID_PARAMETER, BAD_KEY);
    put_key(bench, REDOUBT__KEY_STATE__KEY_ENABLED, &key);
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v") ",\"KmsKeyId\":\"alias/custom\""));
    assert_int_equal(bench->preludes, 0);
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "KmsKeyId", "\"alias/custom\"");
    json_decref(reply);
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("w")));

    bench_do(bench, "CreateSecret", CREATE("d", 1, ",\"KmsKeyId\":\"alias/aws/secretsmanager\""));
    bench_do(bench, "CreateSecret",
             CREATE("e", 1,
                    ",\"KmsKeyId\":\"arn:aws:kms:" BENCH_REGION ":" BENCH_ACCOUNT
                    ":alias/aws/secretsmanager\""));
    bench_do(bench, "CreateSecret", CREATE("f", 1, ",\"KmsKeyId\":\"\""));
    for (const char *const *name = (const char *const[]){"d", "e", "f", NULL}; *name != NULL;
         name++) {
        reply = bench_ok(bench, "DescribeSecret", with_arn(ID("%s"), *name));
        assert_member(reply, "KmsKeyId", NULL);
        json_decref(reply);
    }
    redoubt__key__free_unpacked(key, NULL);
}

static void a_disabled_key_opens_and_seals_nothing(void **state) {
    struct bench *bench = *state;
    Redoubt__Key *key = NULL;
    json_t *reply = NULL;

    put_key(bench, REDOUBT__KEY_STATE__KEY_ENABLED, &key);
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v") ",\"KmsKeyId\":\"alias/custom\""));
    put_key(bench, REDOUBT__KEY_STATE__KEY_DISABLED, &key);
    assert_int_equal(bench_call(bench, "GetSecretValue", ID("s"), &reply), ERR_DECRYPTION_FAILURE);
    assert_int_equal(bench_call(bench, "PutSecretValue", PUT("s", 2, VALUE("w")), &reply),
                     ERR_ENCRYPTION_FAILURE);
    put_key(bench, REDOUBT__KEY_STATE__KEY_ENABLED, &key);
    bench_do(bench, "GetSecretValue", ID("s"));
    redoubt__key__free_unpacked(key, NULL);
}

/* --- PutSecretValue -------------------------------------------------------------------------- */

static void put_moves_labels(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    reply = bench_ok(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    assert_members(reply, "ARN Name VersionId VersionStages");
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(2));
    assert_member(reply, "VersionStages", "[\"AWSCURRENT\"]");
    json_decref(reply);

    reply = bench_ok(bench, "PutSecretValue",
                     PUT("s", 3, ",\"SecretBinary\":\"AA==\",\"VersionStages\":[\"b\",\"a\"]"));
    assert_member(reply, "VersionStages", "[\"b\",\"a\"]");
    json_decref(reply);

    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "VersionIdsToStages",
                  "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSCURRENT\"],\"" TOKEN(
                      3) "\":[\"b\",\"a\"]}");
    json_decref(reply);
}

static void put_first_value(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, ""));
    reply =
        bench_ok(bench, "PutSecretValue", PUT("s", 2, VALUE("v") ",\"VersionStages\":[\"mine\"]"));
    json_decref(reply);
    assert_int_equal(bench->preludes, 1);
    reply = bench_ok(bench, "GetSecretValue", ID("s"));
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(2));
    json_decref(reply);
}

static void put_again(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    json_t *reply;

    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    reply = bench_ok(bench, "PutSecretValue", PUT("s", 1, VALUE("one")));
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(1));
    json_decref(reply);
    reply = bench_ok(bench, "GetSecretValue", ID("s"));
    assert_string_equal(text_of(reply, "SecretString"), "two"); /* labels did not move */
    json_decref(reply);
    bench_refused(
        bench, "PutSecretValue", PUT("s", 2, VALUE("three")), ERR_RESOURCE_EXISTS,
        with_arn("You can't use ClientRequestToken " TOKEN(
                     2) " because that value is already in use for a version of secret %s.",
                 text_of(created, "ARN")));
    json_decref(created);
}

static void put_refuses(void **state) {
    struct bench *bench = *state;

    bench_refused(bench, "PutSecretValue", PUT("s", 1, VALUE("v")), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_refused(bench, "PutSecretValue", PUT("s", 1, ""), ERR_INVALID_REQUEST,
                  "You must provide either SecretString or SecretBinary.");
    bench_refused(bench, "PutSecretValue", PUT("s", 1, VALUE("v") ",\"SecretBinary\":\"AA==\""),
                  ERR_INVALID_PARAMETER, BOTH);
    bench_refused(bench, "PutSecretValue", ID_("s", "\"SecretString\":\"v\""), ERR_INVALID_REQUEST,
                  NO_TOKEN);
    bench_refused(bench, "PutSecretValue",
                  PUT("s", 1,
                      VALUE("v") ",\"RotationToken\":"
                                 "\"0123456789012345678901234567890123456789!\""),
                  ERR_VALIDATION,
                  "1 validation error detected: Value at 'rotationToken' failed to satisfy "
                  "constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9\\-]+$");
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    bench_do(
        bench, "PutSecretValue",
        PUT("s", 2, VALUE("w") ",\"RotationToken\":\"0123456789012345678901234567890123456789\""));
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "PutSecretValue", PUT("s", 3, VALUE("v")), ERR_INVALID_REQUEST, MARKED);
    bench_do(bench, "CreateSecret", CREATE("r", 1, VALUE("v")));
    bench_make_replica(bench, "r");
    bench_refused(bench, "PutSecretValue", PUT("r", 2, VALUE("v")), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
}

/* Between prepare and apply the secret is deleted and made anew: the value was sealed for another.
 */
static void put_misses_a_secret_made_anew(void **state) {
    struct bench *bench = *state;
    const struct op *op = bench_op("PutSecretValue");
    static const char body[] = PUT("s", 2, VALUE("late"));
    struct op_command command = {0};
    Redoubt__Result *result;
    struct arena arena;
    json_t *reply;
    void *in;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("old")));
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    in = arena_alloc(&arena, op->in->size);
    assert_non_null(in);
    assert_int_equal(shape_decode(op->in, (const uint8_t *)body, strlen(body), &bench->quotas,
                                  &arena, in, &bench->err),
                     OK);
    assert_int_equal(bench_prepare(bench, op, &arena, in, &command), OK);
    assert_int_equal(command.type, COMMAND_SECRET_PUT);
    bench_do(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    bench_do(bench, "CreateSecret", CREATE("s", 3, VALUE("new")));
    result = bench_apply(bench, command.type, command.message);
    assert_int_equal(result->code, ERR_RESOURCE_NOT_FOUND);
    command_result_free(result);
    arena_fini(&arena);
    reply = bench_ok(bench, "GetSecretValue", ID("s"));
    assert_string_equal(text_of(reply, "SecretString"), "new");
    json_decref(reply);
}

/* --- GetSecretValue -------------------------------------------------------------------------- */

static void get_by_version_and_stage(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    bench_do(bench, "PutSecretValue", PUT("s", 3, VALUE("three")));

    reply = bench_ok(bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"AWSPREVIOUS\""));
    assert_string_equal(text_of(reply, "SecretString"), "two");
    json_decref(reply);
    reply = bench_ok(bench, "GetSecretValue",
                     ID_("s", "\"VersionId\":\"" TOKEN(2) "\",\"VersionStage\":\"AWSPREVIOUS\""));
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(2));
    json_decref(reply);
    reply = bench_ok(bench, "GetSecretValue", ID_("s", "\"VersionId\":\"" TOKEN(1) "\""));
    assert_string_equal(text_of(reply, "SecretString"), "one");
    assert_member(reply, "VersionStages", NULL); /* deprecated: no label, no member */
    json_decref(reply);

    bench_refused(bench, "GetSecretValue",
                  ID_("s", "\"VersionId\":\"" TOKEN(2) "\",\"VersionStage\":\"AWSCURRENT\""),
                  ERR_INVALID_REQUEST,
                  "You provided a VersionStage that is not associated to the provided VersionId.");
    bench_refused(bench, "GetSecretValue", ID_("s", "\"VersionId\":\"" TOKEN(9) "\""),
                  ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for VersionId: " TOKEN(9));
    bench_refused(bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"none\""),
                  ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for staging label: none");
}

static void get_names_a_secret_in_every_form(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    const char *arn = text_of(created, "ARN");
    char other[256];

    bench_do(bench, "GetSecretValue", with_arn(ID("%s"), arn));
    (void)snprintf(other, sizeof(other), "%.*s", (int)(strlen(arn) - LIMIT_ARN_SUFFIX - 1), arn);
    bench_do(bench, "GetSecretValue", with_arn(ID("%s"), other)); /* without the suffix */
    secret_arn(other, sizeof(other), BENCH_REGION, BENCH_ACCOUNT, "s", "AAAAAA");
    bench_refused(bench, "GetSecretValue", with_arn(ID("%s"), other), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    secret_arn(other, sizeof(other), "us-east-1", BENCH_ACCOUNT, "s", arn + strlen(arn) - 6);
    bench_refused(bench, "GetSecretValue", with_arn(ID("%s"), other), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_refused(bench, "DeleteSecret", with_arn(ID("%s"), other), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    secret_arn(other, sizeof(other), BENCH_REGION, "999999999999", "s", arn + strlen(arn) - 6);
    bench_refused(bench, "GetSecretValue", with_arn(ID("%s"), other), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_refused(bench, "GetSecretValue", ID("S"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    json_decref(created);
}

static void no_secret_has_a_name_so_long(void **state) {
    struct bench *bench = *state;
    char name[LIMIT_NAME + 2];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    bench_refused(bench, "GetSecretValue", with_arn(ID("%s"), name), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_refused(bench, "DeleteSecret",
                  with_arn(ID_("%s", "\"ForceDeleteWithoutRecovery\":true"), name),
                  ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "StopReplicationToReplica", with_arn(ID("%s"), name),
                  ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
}

static void the_first_read_of_a_day_is_noted(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two")));
    bench_do(bench, "DescribeSecret", ID("s"));
    assert_int_equal(bench->touches, 0);
    bench_do(bench, "GetSecretValue", ID("s"));
    assert_int_equal(bench->touches, 1);
    bench_do(bench, "GetSecretValue", ID("s"));
    assert_int_equal(bench->touches, 1);
    bench_do(bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"AWSPREVIOUS\""));
    assert_int_equal(bench->touches, 2); /* the other version's first */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "GetSecretValue", ID("s"));
    assert_int_equal(bench->touches, 3);
    bench->now_ms -= BENCH_DAY_MS; /* a clock behind */
    bench_do(bench, "GetSecretValue", ID("s"));
    assert_int_equal(bench->touches, 3);
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "LastAccessedDate", "1700006400.000"); /* 15 November, 00:00 */
    assert_true(number_of(reply, "LastChangedDate") == 1700000000.123);
    json_decref(reply);
}

/* The sealed value of one secret in the place of another's: same account, version id and key. */
static void a_moved_ciphertext_does_not_open(void **state) {
    struct bench *bench = *state;
    struct view *view;
    struct txn *txn;
    Redoubt__Sealed *sealed = NULL;
    json_t *reply = NULL;

    bench_do(bench, "CreateSecret", CREATE("mine", 1, VALUE("mine")));
    bench_do(bench, "CreateSecret", CREATE("theirs", 1, VALUE("theirs")));
    view = view_new(bench->engine);
    assert_int_equal(view_value(view, BENCH_ACCOUNT, "theirs", TOKEN(1), &sealed), OK);
    assert_non_null(sealed);
    view_free(view);
    txn = txn_new(bench->engine);
    txn_put_value(txn, BENCH_ACCOUNT, "mine", TOKEN(1), sealed);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    redoubt__sealed__free_unpacked(sealed, NULL);
    assert_int_equal(bench_call(bench, "GetSecretValue", ID("mine"), &reply),
                     ERR_DECRYPTION_FAILURE);
    bench_do(bench, "GetSecretValue", ID("theirs"));
}

static void a_version_without_a_value(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *secret;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    bench_do(bench, "PutSecretValue",
             PUT("s", 2, VALUE("two") ",\"VersionStages\":[\"AWSPENDING\"]"));
    secret = bench_secret(bench, "s");
    secret->versions[1]->has_kind = false; /* as a rotation begins it */
    bench_put_secret(bench, secret);
    bench_refused(bench, "GetSecretValue",
                  ID_("s", "\"VersionId\":\"" TOKEN(2) "\",\"VersionStage\":\"AWSPENDING\""),
                  ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for VersionId: " TOKEN(2));
    bench_refused(
        bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"AWSPENDING\""),
        ERR_RESOURCE_NOT_FOUND,
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING");
}

/* --- DescribeSecret -------------------------------------------------------------------------- */

static void describe_shows_what_there_is(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *secret;
    json_t *reply;

    bench_do(bench, "CreateSecret",
             CREATE("s", 1,
                    VALUE("v") ",\"Description\":\"d\",\"Tags\":[{\"Key\":\"b\",\"Value\":"
                               "\"2\"},{\"Key\":\"a\"}]"));
    bench->now_ms += 1000;
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("w")));
    bench_do(bench, "GetSecretValue", ID("s"));
    bench_do(bench, "DeleteSecret", ID_("s", "\"RecoveryWindowInDays\":7"));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply, "ARN Name Description LastChangedDate LastAccessedDate DeletedDate Tags "
                          "VersionIdsToStages CreatedDate");
    assert_member(reply, "Tags",
                  "[{\"Key\":\"b\",\"Value\":\"2\"},{\"Key\":\"a\",\"Value\":\"\"}]");
    assert_true(number_of(reply, "CreatedDate") == 1700000000.123);
    assert_true(number_of(reply, "LastChangedDate") >= 1700000001.123);
    assert_true(number_of(reply, "DeletedDate") == 1700000001.123 + 7 * 86400);
    json_decref(reply);
    bench_refused(bench, "GetSecretValue", ID("s"), ERR_INVALID_REQUEST, MARKED);

    secret = bench_secret(bench, "s");
    for (size_t i = 0; i < secret->n_tags; i++) {
        redoubt__tag__free_unpacked(secret->tags[i], NULL);
    }
    secret->n_tags = 0; /* all untagged */
    bench_put_secret(bench, secret);
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "Tags", "[]");
    json_decref(reply);
    bench_refused(bench, "DescribeSecret", ID("none"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
}

/* --- the table ------------------------------------------------------------------------------- */

static void the_table_prints_itself(void **state) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    json_t *document;

    assert_non_null(out);
    assert_true(op_document_print(out));
    assert_int_equal(fclose(out), 0);
    document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(document, "operations")), op_table_len);
    json_decref(document);
    free(text);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(create_with_a_value),
        BENCH_TEST(create_without_a_value),
        BENCH_TEST(create_binary),
        BENCH_TEST(create_makes_the_default_key_once),
        BENCH_TEST(create_again),
        BENCH_TEST(create_where_one_is_scheduled_or_was),
        BENCH_TEST(create_refuses_names_and_values),
        BENCH_TEST(create_refuses_tags),
        BENCH_TEST(create_with_replicas),
        BENCH_TEST(replica_regions_are_checked),
        BENCH_TEST(keys_are_named_and_shown),
        BENCH_TEST(a_disabled_key_opens_and_seals_nothing),
        BENCH_TEST(put_moves_labels),
        BENCH_TEST(put_first_value),
        BENCH_TEST(put_again),
        BENCH_TEST(put_refuses),
        BENCH_TEST(put_misses_a_secret_made_anew),
        BENCH_TEST(get_by_version_and_stage),
        BENCH_TEST(get_names_a_secret_in_every_form),
        BENCH_TEST(no_secret_has_a_name_so_long),
        BENCH_TEST(the_first_read_of_a_day_is_noted),
        BENCH_TEST(a_moved_ciphertext_does_not_open),
        BENCH_TEST(a_version_without_a_value),
        BENCH_TEST(describe_shows_what_there_is),
        cmocka_unit_test(the_table_prints_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
