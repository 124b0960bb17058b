/* RotateSecret, CancelRotateSecret and what the other operations show of a rotation: success,
 * refusals, presence rules, over a state machine in memory. Sources: AWS_BEHAVIOUR 2.4, 3.1, 3.14,
 * 4.4, 4.6. */
#include "tests/unit/api_ops_bench.h"

#define FUNCTION      "arn:aws:lambda:eu-central-1:123456789012:function:rotate"
#define ROLE          "arn:aws:iam::123456789012:role/rotate"
#define WITH_FUNCTION ",\"RotationLambdaARN\":\"" FUNCTION "\""
#define DAYS(n)       ",\"RotationRules\":{\"AutomaticallyAfterDays\":" #n "}"
#define LATER         ",\"RotateImmediately\":false"
#define PENDING       ",\"VersionStages\":[\"AWSPENDING\"]"
#define MOVE(label, from, to)                                                                      \
    "{\"SecretId\":\"s\",\"VersionStage\":\"" label                                                \
    "\",\"RemoveFromVersionId\":\"" TOKEN(from) "\",\"MoveToVersionId\":\"" TOKEN(to) "\"}"
#define REMOVE(label, from)                                                                        \
    "{\"SecretId\":\"s\",\"VersionStage\":\"" label                                                \
    "\",\"RemoveFromVersionId\":\"" TOKEN(from) "\"}"

#define NO_FUNCTION "No Lambda rotation function ARN is associated with this secret."
#define CANNOT_INVOKE                                                                              \
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function "       \
    "policy grants access to the principal secretsmanager.amazonaws.com."
#define CANNOT_ASSUME                                                                              \
    "Secrets Manager cannot assume the specified role. Ensure that the role's trust policy "       \
    "grants access to the principal secretsmanager.amazonaws.com."
#define NOT_COMPLETE "A previous rotation isn't complete. That rotation will be reattempted."
#define BOTH_RULES   "You cannot specify both rotation frequency and schedule expression together."
#define NOT_CONFIGURED                                                                             \
    "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN "    \
    "configured and you didn't include such an ARN as a parameter in this call."

static struct bench *with_secret(void **state) {
    struct bench *bench = *state;

    bench->functions = "http://127.0.0.1:9001";
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    return bench;
}

static void rotated(struct bench *bench, const char *body, const char *version_id) {
    json_t *reply = bench_ok(bench, "RotateSecret", body);

    assert_members(reply, version_id != NULL ? "ARN Name VersionId" : "ARN Name");
    assert_string_equal(text_of(reply, "Name"), "s");
    if (version_id != NULL) {
        assert_string_equal(text_of(reply, "VersionId"), version_id);
    }
    json_decref(reply);
}

/* The members of Describe that speak of rotation, as JSON; NULL: absent. */
static void described(struct bench *bench, const char *enabled, const char *function,
                      const char *rules, const char *last, const char *next) {
    json_t *reply = bench_ok(bench, "DescribeSecret", ID("s"));
    json_t *list = bench_ok(bench, "ListSecrets", "{}");
    const json_t *listed = json_array_get(json_object_get(list, "SecretList"), 0);

    for (int i = 0; i < 2; i++) {
        const json_t *shown = i == 0 ? reply : listed;
        assert_member(shown, "RotationEnabled", enabled);
        assert_member(shown, "RotationLambdaARN", function);
        assert_member(shown, "RotationRules", rules);
        assert_member(shown, "LastRotatedDate", last);
        assert_member(shown, "NextRotationDate", next);
    }
    json_decref(list);
    json_decref(reply);
}

static void labels(struct bench *bench, const char *expected) {
    json_t *reply = bench_ok(bench, "DescribeSecret", ID("s"));

    assert_member(reply, "VersionIdsToStages", expected);
    json_decref(reply);
}

/* --- RotateSecret --------------------------------------------------------------------------- */

/* 3.1: none of the members before rotation was configured. */
static void nothing_is_shown_before(void **state) {
    struct bench *bench = with_secret(state);
    json_t *reply = bench_ok(bench, "DescribeSecret", ID("s"));

    assert_members(reply, "ARN Name LastChangedDate VersionIdsToStages CreatedDate");
    json_decref(reply);
}

/* 3.14.1 [rec]; the whole life that a rotation function leads with it (3.14.3). */
static void a_rotation(void **state) {
    struct bench *bench = with_secret(state);
    json_t *reply;

    bench->now_ms += 1000;
    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(1)), TOKEN(2));
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSCURRENT\"],\"" TOKEN(2) "\":[\"AWSPENDING\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", NULL,
              "1700092799.000"); /* 15 November 2023, 23:59:59 */
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply, "ARN Name RotationEnabled RotationLambdaARN RotationRules "
                          "LastChangedDate NextRotationDate VersionIdsToStages CreatedDate");
    assert_true(number_of(reply, "LastChangedDate") == 1700000001.123);
    json_decref(reply);

    /* createSecret: the version is there, its value is not [rec]. */
    bench_refused(bench, "GetSecretValue",
                  ID_("s", "\"VersionId\":\"" TOKEN(2) "\",\"VersionStage\":\"AWSPENDING\""),
                  ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for VersionId: " TOKEN(2));
    bench_refused(
        bench, "GetSecretValue", ID_("s", "\"VersionStage\":\"AWSPENDING\""),
        ERR_RESOURCE_NOT_FOUND,
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING");
    /* 3.4: the token of a version without a value fills it, whatever the value. */
    reply = bench_ok(bench, "PutSecretValue", PUT("s", 2, VALUE("two") PENDING));
    assert_string_equal(text_of(reply, "VersionId"), TOKEN(2));
    assert_member(reply, "VersionStages", "[\"AWSPENDING\"]");
    json_decref(reply);
    reply = bench_ok(bench, "GetSecretValue",
                     ID_("s", "\"VersionId\":\"" TOKEN(2) "\",\"VersionStage\":\"AWSPENDING\""));
    assert_string_equal(text_of(reply, "SecretString"), "two");
    json_decref(reply);
    /* Now it has one: the same again is fine, another is not. */
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two") PENDING));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    bench_refused(
        bench, "PutSecretValue", PUT("s", 2, VALUE("three") PENDING), ERR_RESOURCE_EXISTS,
        with_arn("You can't use ClientRequestToken " TOKEN(
                     2) " because that value is already in use for a version of secret %s.",
                 text_of(reply, "ARN")));
    json_decref(reply);
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSCURRENT\"],\"" TOKEN(2) "\":[\"AWSPENDING\"]}");
    reply = bench_ok(bench, "GetSecretValue", ID("s"));
    assert_string_equal(text_of(reply, "SecretString"), "one");
    json_decref(reply);
}

/* 3.14.2 [rec] and 3.14.3: the whole of a rotation as the published functions do it, twice. */
static void two_rotations(void **state) {
    struct bench *bench = with_secret(state);

    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(1)), TOKEN(2));
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("two") PENDING));
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", NULL,
              "1700092799.000");
    /* finishSecret. C-6: AWSPENDING stays until the function takes it away. */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "UpdateSecretVersionStage", MOVE("AWSCURRENT", 1, 2));
    labels(bench,
           "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSPENDING\",\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", "1700086400.123",
              "1700179199.000");
    bench->now_ms += 1000;
    bench_do(bench, "UpdateSecretVersionStage", REMOVE("AWSPENDING", 2));
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", "1700086400.123",
              "1700179199.000");
    /* Without parameters; the first version is deprecated and disappears. */
    rotated(bench, PUT("s", 3, ""), TOKEN(3));
    bench_do(bench, "PutSecretValue", PUT("s", 3, VALUE("three") PENDING));
    bench_do(bench, "UpdateSecretVersionStage", MOVE("AWSCURRENT", 2, 3));
    bench_do(bench, "UpdateSecretVersionStage", REMOVE("AWSPENDING", 3));
    labels(bench, "{\"" TOKEN(2) "\":[\"AWSPREVIOUS\"],\"" TOKEN(3) "\":[\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", "1700086401.123",
              "1700179199.000");
    /* Back by hand: counts for the schedule, and is no rotation. */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "UpdateSecretVersionStage", MOVE("AWSCURRENT", 3, 2));
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":1}", "1700086401.123",
              "1700265599.000");
}

/* 3.14.1: how an unfinished rotation is cleared. */
static void clearing_an_unfinished_rotation(void **state) {
    struct bench *bench = with_secret(state);

    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(30)), TOKEN(2));
    bench_refused(bench, "RotateSecret", PUT("s", 3, ""), ERR_INVALID_REQUEST, NOT_COMPLETE);
    bench_do(bench, "UpdateSecretVersionStage", REMOVE("AWSPENDING", 2));
    rotated(bench, PUT("s", 3, ""), TOKEN(3));
    bench_do(bench, "PutSecretValue", PUT("s", 3, VALUE("three") PENDING));
    bench_refused(bench, "RotateSecret", PUT("s", 4, ""), ERR_INVALID_REQUEST, NOT_COMPLETE);
    /* Another value abandons it, by UpdateSecret too (3.4); the date is counted from it. */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "UpdateSecret", PUT("s", 4, VALUE("four")));
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(4) "\":[\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}", NULL,
              "1702684799.000");
    rotated(bench, PUT("s", 5, ""), TOKEN(5));
    /* A change that brings no value changes nothing about it. */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "UpdateSecret", PUT("s", 6, ",\"Description\":\"d\""));
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}", NULL,
              "1702684799.000");
    bench_refused(bench, "RotateSecret", PUT("s", 6, ""), ERR_INVALID_REQUEST, NOT_COMPLETE);
}

/* A function that makes its version current when it fills it: complete (3.14.2). */
static void a_rotation_is_complete(void **state) {
    struct bench *bench = with_secret(state);

    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(30)), TOKEN(2));
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "PutSecretValue",
             PUT("s", 2, VALUE("two") ",\"VersionStages\":[\"AWSCURRENT\"]"));
    labels(bench,
           "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSPENDING\",\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}",
              "1700086400.123", "1702684799.000");
    /* C-6: that is no obstacle to the next one. */
    rotated(bench, PUT("s", 3, ""), TOKEN(3));
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(2) "\":[\"AWSCURRENT\"],\"" TOKEN(
                      3) "\":[\"AWSPENDING\"]}");
    /* 3.4: a value by hand abandons it; 3.14.5: and moves the next date, not the last one. */
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "PutSecretValue", PUT("s", 4, VALUE("four")));
    labels(bench, "{\"" TOKEN(2) "\":[\"AWSPREVIOUS\"],\"" TOKEN(4) "\":[\"AWSCURRENT\"]}");
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}",
              "1700086400.123", "1702771199.000");
    rotated(bench, PUT("s", 5, ""), TOKEN(5));
}

/* 3.7: an expression comes back with its duration, and computed days beside it. */
static void expressions_are_shown(void **state) {
    struct bench *bench = with_secret(state);

    rotated(bench,
            PUT("s", 2,
                WITH_FUNCTION LATER ",\"RotationRules\":{\"ScheduleExpression\":\"cron(0 8 1 * ? "
                                    "*)\",\"Duration\":\"2h\"}"),
            NULL);
    described(bench, "true", "\"" FUNCTION "\"",
              "{\"AutomaticallyAfterDays\":17,\"Duration\":\"2h\",\"ScheduleExpression\":\"cron(0 "
              "8 1 * ? *)\"}",
              NULL, "1701424799.000"); /* 1 December, 09:59:59 */
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSCURRENT\"]}");
    /* Switching back must not send both (2.4), and leaves nothing of the expression. */
    rotated(bench, PUT("s", 2, LATER DAYS(10)), NULL);
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":10}", NULL,
              "1700870399.000");
    rotated(bench,
            PUT("s", 2, LATER ",\"RotationRules\":{\"ScheduleExpression\":\"rate(12 hours)\"}"),
            NULL);
    described(bench, "true", "\"" FUNCTION "\"",
              "{\"AutomaticallyAfterDays\":1,\"ScheduleExpression\":\"rate(12 hours)\"}", NULL,
              "1700009999.000"); /* 15 November, 00:59:59 */
    /* Rules that say nothing are none. */
    rotated(bench, PUT("s", 2, LATER ",\"RotationRules\":{}"), NULL);
    described(bench, "true", "\"" FUNCTION "\"",
              "{\"AutomaticallyAfterDays\":1,\"ScheduleExpression\":\"rate(12 hours)\"}", NULL,
              "1700009999.000");
}

/* 2.1, 2.4, 3.14.1: what is wrong whatever the secret. It is told before that there is none. */
static void requests_are_refused(void **state) {
    struct bench *bench = *state;
    static char much[LIMIT_FUNCTION_ARN + 256];

    bench_refused(bench, "RotateSecret", ID("none"), ERR_INVALID_PARAMETER, NO_TOKEN);
    bench_refused(bench, "RotateSecret", PUT("none", 1, DAYS(0)), ERR_VALIDATION,
                  "1 validation error detected: Value '0' at "
                  "'rotationRules.automaticallyAfterDays' failed to satisfy constraint: Member "
                  "must have value greater than or equal to 1");
    bench_refused(bench, "RotateSecret", PUT("none", 1, DAYS(1001)), ERR_VALIDATION,
                  "1 validation error detected: Value '1001' at "
                  "'rotationRules.automaticallyAfterDays' failed to satisfy constraint: Member "
                  "must have value less than or equal to 1000");
    bench_refused(bench, "RotateSecret",
                  PUT("none", 1, ",\"RotationRules\":{\"ScheduleExpression\":\"rate(1_day)\"}"),
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'rate(1_day)' at "
                  "'rotationRules.scheduleExpression' failed to satisfy constraint: Member must "
                  "satisfy regular expression pattern: [0-9A-Za-z\\(\\)#\\?\\*\\-\\/, ]+");
    bench_refused(
        bench, "RotateSecret",
        PUT("none", 1, ",\"RotationRules\":{\"AutomaticallyAfterDays\":3,\"Duration\":\"3d\"}"),
        ERR_VALIDATION,
        "1 validation error detected: Value '3d' at 'rotationRules.duration' failed to "
        "satisfy constraint: Member must satisfy regular expression pattern: [0-9]+h");
    bench_refused(bench, "RotateSecret",
                  PUT("none", 1, ",\"ExternalSecretRotationRoleArn\":\"arn:aws:iam\""),
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'arn:aws:iam' at "
                  "'externalSecretRotationRoleArn' failed to satisfy constraint: Member must have "
                  "length greater than or equal to 20");
    bench_refused(bench, "RotateSecret",
                  PUT("none", 1,
                      ",\"RotationRules\":{\"AutomaticallyAfterDays\":3,\"ScheduleExpression\":"
                      "\"rate(3 days)\"}"),
                  ERR_INVALID_PARAMETER, BOTH_RULES);
    bench_refused(bench, "RotateSecret", PUT("none", 1, ",\"RotationRules\":{\"Duration\":\"3h\"}"),
                  ERR_INVALID_PARAMETER,
                  "You must specify either a rotation frequency or a schedule expression.");
    bench_refused(bench, "RotateSecret",
                  PUT("none", 1, ",\"RotationRules\":{\"ScheduleExpression\":\"rate(1 hour)\"}"),
                  ERR_INVALID_PARAMETER,
                  "Invalid schedule expression: rate(1 hour). You can rotate a secret as often as "
                  "every four hours.");
    bench_refused(
        bench, "RotateSecret",
        PUT("none", 1, ",\"RotationRules\":{\"AutomaticallyAfterDays\":3,\"Duration\":\"25h\"}"),
        ERR_INVALID_PARAMETER,
        "Invalid rotation window duration: 25h. The length of the rotation window must be "
        "from 1h to 24h.");
    bench_refused(bench, "RotateSecret", PUT("none", 1, WITH_FUNCTION), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    bench_refused(bench, "RotateSecret", PUT("no ne", 1, WITH_FUNCTION), ERR_VALIDATION,
                  "Invalid name. Must be a valid name containing alphanumeric characters, or any "
                  "of the following: -/_+=.@!");
    (void)snprintf(
        much, sizeof(much), "%s",
        "{\"SecretId\":\"none\",\"ClientRequestToken\":\"" TOKEN(1) "\",\"RotationLambdaARN\":\"");
    memset(much + strlen(much), 'f', LIMIT_FUNCTION_ARN + 1);
    memcpy(much + strlen(much), "\"}", 3);
    assert_int_equal(bench_call(bench, "RotateSecret", much, NULL), ERR_VALIDATION);
    assert_non_null(strstr(bench->err.message,
                           "at 'rotationLambdaARN' failed to satisfy constraint: Member must have "
                           "length less than or equal to 2048"));
}

/* 3.14.1 [rec]: no function now and none stored; nothing changes. */
static void without_a_function(void **state) {
    struct bench *bench = with_secret(state);

    bench_refused(bench, "RotateSecret", PUT("s", 2, DAYS(1)), ERR_INVALID_REQUEST, NO_FUNCTION);
    bench_refused(bench, "RotateSecret", PUT("s", 2, ",\"RotationLambdaARN\":\"\""),
                  ERR_INVALID_REQUEST, NO_FUNCTION);
    /* Also where nothing could be invoked. */
    bench->functions = NULL;
    bench_refused(bench, "RotateSecret", PUT("s", 2, ""), ERR_INVALID_REQUEST, NO_FUNCTION);
    described(bench, NULL, NULL, NULL, NULL, NULL);
}

/* 3.14.1 [rec]: not invokable; afterwards the secret has no rotation configuration. */
static void a_function_that_cannot_be_invoked(void **state) {
    struct bench *bench = with_secret(state);

    bench_refused(bench, "RotateSecret",
                  PUT("s", 2, ",\"RotationLambdaARN\":\"not a function\"" DAYS(1)),
                  ERR_ACCESS_DENIED, CANNOT_INVOKE);
    bench->functions = NULL;
    bench_refused(bench, "RotateSecret", PUT("s", 2, WITH_FUNCTION DAYS(1)), ERR_ACCESS_DENIED,
                  CANNOT_INVOKE);
    bench_refused(bench, "RotateSecret", PUT("s", 2, WITH_FUNCTION LATER), ERR_ACCESS_DENIED,
                  CANNOT_INVOKE);
    described(bench, NULL, NULL, NULL, NULL, NULL);
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSCURRENT\"]}");
    /* A stored one neither, once the endpoint is gone. */
    bench->functions = "http://127.0.0.1:9001";
    rotated(bench, PUT("s", 2, ",\"RotationLambdaARN\":\"rotate:live\"" LATER), NULL);
    described(bench, "true", "\"rotate:live\"", NULL, NULL, NULL);
    bench->functions = NULL;
    bench_refused(bench, "RotateSecret", PUT("s", 2, ""), ERR_ACCESS_DENIED, CANNOT_INVOKE);
}

static void states_refuse(void **state) {
    struct bench *bench = with_secret(state);
    json_t *reply = bench_ok(bench, "DescribeSecret", ID("s"));

    rotated(bench, PUT("s", 2, WITH_FUNCTION), TOKEN(2));
    bench_refused(bench, "RotateSecret", PUT("s", 3, ""), ERR_INVALID_REQUEST, NOT_COMPLETE);
    rotated(bench, PUT("s", 2, WITH_FUNCTION), TOKEN(2)); /* the same again */
    bench_do(bench, "PutSecretValue", PUT("s", 4, VALUE("four")));
    bench_refused(
        bench, "RotateSecret", PUT("s", 1, ""), ERR_INVALID_REQUEST,
        with_arn("You can't use ClientRequestToken " TOKEN(
                     1) " because that value is already in use for a version of secret %s.",
                 text_of(reply, "ARN")));
    rotated(bench, PUT("s", 4, ""), TOKEN(4)); /* of the current version */
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSPREVIOUS\"],\"" TOKEN(4) "\":[\"AWSCURRENT\"]}");
    json_decref(reply);

    /* 3.0; before that nothing could be invoked. */
    bench->functions = NULL;
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "RotateSecret", PUT("s", 5, WITH_FUNCTION), ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "CancelRotateSecret", ID("s"), ERR_INVALID_REQUEST, MARKED);
    /* Describe works, and says what it said. */
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "RotationEnabled", "true");
    json_decref(reply);
}

/* 4.4: the text of every write on a replica. 4.6: after promotion, to be set up anew. */
static void replicas_refuse(void **state) {
    struct bench *bench = with_secret(state);

    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(30)), TOKEN(2));
    bench_make_replica(bench, "s");
    bench->functions = NULL;
    bench_refused(bench, "RotateSecret", PUT("s", 3, WITH_FUNCTION), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
    bench_refused(bench, "CancelRotateSecret", ID("s"), ERR_INVALID_PARAMETER, ON_REPLICA);
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}", NULL,
              "1702598399.000");
    bench->functions = "http://127.0.0.1:9001";
    bench_do(bench, "StopReplicationToReplica", ID("s"));
    described(bench, "false", NULL, "{\"AutomaticallyAfterDays\":30}", NULL, NULL);
    bench_do(bench, "PutSecretValue", PUT("s", 4, VALUE("four")));
    bench_refused(bench, "RotateSecret", PUT("s", 3, ""), ERR_INVALID_REQUEST, NO_FUNCTION);
    rotated(bench, PUT("s", 3, ",\"RotationLambdaARN\":\"here\""), TOKEN(3));
    described(bench, "true", "\"here\"", "{\"AutomaticallyAfterDays\":30}", NULL, "1702598399.000");
}

/* The first value may come by a rotation. */
static void a_secret_without_a_value(void **state) {
    struct bench *bench = *state;

    bench->functions = "http://127.0.0.1:9001";
    bench_do(bench, "CreateSecret", CREATE("s", 1, ""));
    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(30)), TOKEN(2));
    labels(bench, "{\"" TOKEN(2) "\":[\"AWSPENDING\"]}");
    bench_refused(bench, "GetSecretValue", ID("s"), ERR_RESOURCE_NOT_FOUND,
                  "Secrets Manager can't find the specified secret value for staging label: "
                  "AWSCURRENT");
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("first") PENDING));
    labels(bench, "{\"" TOKEN(2) "\":[\"AWSPENDING\",\"AWSCURRENT\"]}");
}

/* A deleted and recreated secret begins without rotation; by ARN and by partial ARN all works. */
static void by_arn(void **state) {
    struct bench *bench = with_secret(state);
    json_t *reply = bench_ok(bench, "DescribeSecret", ID("s"));
    const char *arn = text_of(reply, "ARN");
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(2) "\"" WITH_FUNCTION "}",
                   arn);
    rotated(bench, body, TOKEN(2));
    (void)snprintf(body, sizeof(body), "{\"SecretId\":\"%.*s\"}", (int)(strlen(arn) - 7), arn);
    bench_do(bench, "CancelRotateSecret", body);
    bench_do(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("one")));
    described(bench, NULL, NULL, NULL, NULL, NULL);
    bench_refused(bench, "CancelRotateSecret", ID_("x", "\"x\":1"), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
    (void)snprintf(body, sizeof(body),
                   "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(2) "\"" WITH_FUNCTION "}",
                   arn);
    bench_refused(bench, "RotateSecret", body, ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    json_decref(reply);
}

/* --- CancelRotateSecret ---------------------------------------------------------------------- */

static void cancelled(struct bench *bench, const char *version_id) {
    json_t *reply = bench_ok(bench, "CancelRotateSecret", ID("s"));

    assert_members(reply, version_id != NULL ? "ARN Name VersionId" : "ARN Name");
    if (version_id != NULL) {
        assert_string_equal(text_of(reply, "VersionId"), version_id);
    }
    json_decref(reply);
}

/* 3.14.1, 3.1: off, function and rules stay, NextRotationDate is omitted, AWSPENDING stays. */
static void cancel(void **state) {
    struct bench *bench = with_secret(state);

    bench_refused(bench, "CancelRotateSecret", ID("s"), ERR_INVALID_REQUEST, NOT_CONFIGURED);
    rotated(bench, PUT("s", 2, WITH_FUNCTION DAYS(30)), TOKEN(2));
    cancelled(bench, TOKEN(2));
    described(bench, "false", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}", NULL, NULL);
    labels(bench, "{\"" TOKEN(1) "\":[\"AWSCURRENT\"],\"" TOKEN(2) "\":[\"AWSPENDING\"]}");
    cancelled(bench, TOKEN(2));
    bench_refused(bench, "RotateSecret", PUT("s", 3, ""), ERR_INVALID_REQUEST, NOT_COMPLETE);
    bench_do(bench, "PutSecretValue", PUT("s", 4, VALUE("four")));
    cancelled(bench, NULL);
    /* Turned on again with what is stored. */
    rotated(bench, PUT("s", 5, ""), TOKEN(5));
    described(bench, "true", "\"" FUNCTION "\"", "{\"AutomaticallyAfterDays\":30}", NULL,
              "1702598399.000");
}

/* --- Managed external secrets ----------------------------------------------------------------- */

#define WITH_ROLE                                                                                  \
    ",\"ExternalSecretRotationRoleArn\":\"" ROLE                                                   \
    "\",\"ExternalSecretRotationMetadata\":[{\"Key\":\"apiVersion\",\"Value\":\"v65.0\"}]"

static void external_secrets(void **state) {
    struct bench *bench = with_secret(state);
    json_t *reply;

    bench_refused(bench, "RotateSecret", PUT("s", 2, WITH_ROLE), ERR_INVALID_PARAMETER,
                  "You can't specify ExternalSecretRotationRoleArn or "
                  "ExternalSecretRotationMetadata for a secret that isn't a managed external "
                  "secret.");
    bench_do(bench, "UpdateSecret", PUT("s", 9, ",\"Type\":\"SalesforceClientSecret\""));
    bench_refused(bench, "RotateSecret", PUT("s", 2, WITH_FUNCTION), ERR_INVALID_PARAMETER,
                  "You can't specify a Lambda rotation function for a managed external secret.");
    bench_refused(bench, "RotateSecret", PUT("s", 2, DAYS(30)), ERR_INVALID_REQUEST,
                  "No rotation role ARN is associated with this secret.");
    bench_refused(bench, "RotateSecret",
                  PUT("s", 2, ",\"ExternalSecretRotationRoleArn\":\"01234567890123456789\""),
                  ERR_ACCESS_DENIED, CANNOT_ASSUME);
    rotated(bench, PUT("s", 2, WITH_ROLE DAYS(30)), TOKEN(2));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply,
                   "ARN Name Type RotationEnabled RotationRules ExternalSecretRotationMetadata "
                   "ExternalSecretRotationRoleArn LastChangedDate NextRotationDate "
                   "VersionIdsToStages CreatedDate");
    assert_member(reply, "ExternalSecretRotationMetadata",
                  "[{\"Key\":\"apiVersion\",\"Value\":\"v65.0\"}]");
    assert_member(reply, "ExternalSecretRotationRoleArn", "\"" ROLE "\"");
    json_decref(reply);
    bench->functions = NULL;
    bench_refused(bench, "RotateSecret", PUT("s", 3, ""), ERR_ACCESS_DENIED, CANNOT_ASSUME);
    cancelled(bench, TOKEN(2));
}

static void external_metadata_is_checked(void **state) {
    struct bench *bench = *state;
    char body[4096];
    size_t len;

    bench_refused(bench, "RotateSecret",
                  PUT("s", 2, ",\"ExternalSecretRotationMetadata\":[{\"Key\":\"k\"}]"),
                  ERR_INVALID_PARAMETER,
                  "An item of ExternalSecretRotationMetadata must have a key and a value.");
    bench_refused(bench, "RotateSecret",
                  PUT("s", 2,
                      ",\"ExternalSecretRotationMetadata\":[{\"Key\":\"k\",\"Value\":\"1\"},"
                      "{\"Key\":\"k\",\"Value\":\"2\"}]"),
                  ERR_INVALID_PARAMETER,
                  "You can't use the same key more than once in ExternalSecretRotationMetadata.");
    bench_refused(
        bench, "RotateSecret",
        PUT("s", 2, ",\"ExternalSecretRotationMetadata\":[{\"Key\":\"\",\"Value\":\"1\"}]"),
        ERR_VALIDATION,
        "1 validation error detected: Value '' at "
        "'externalSecretRotationMetadata.1.member.key' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1");
    len = (size_t)snprintf(body, sizeof(body), "%s",
                           "{\"SecretId\":\"s\",\"ClientRequestToken\":\"" TOKEN(
                               1) "\",\"ExternalSecretRotationMetadata\":[");
    for (int i = 0; i <= LIMIT_EXTERNAL_ITEMS; i++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len,
                                "%s{\"Key\":\"k%d\",\"Value\":\"v\"}", i == 0 ? "" : ",", i);
    }
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    bench_refused(bench, "RotateSecret", body, ERR_INVALID_PARAMETER,
                  "You can't specify more than 50 items in ExternalSecretRotationMetadata.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_shown_before, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_rotation, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(two_rotations, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(clearing_an_unfinished_rotation, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_rotation_is_complete, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(expressions_are_shown, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(requests_are_refused, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(without_a_function, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_function_that_cannot_be_invoked, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(states_refuse, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(replicas_refuse, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_secret_without_a_value, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(by_arn, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(cancel, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(external_secrets, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(external_metadata_is_checked, bench_setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
