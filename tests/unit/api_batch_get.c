/* BatchGetSecretValue: what is read, what becomes an entry of Errors, and the note that it was
 * read. Sources: AWS_BEHAVIOUR 2.3, 2.4, 3.3, 3.10 and 3.13. */
#include "tests/unit/api_ops_bench.h"

#define BATCH "BatchGetSecretValue"
#define NO_VALUE                                                                                   \
    "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
#define NAMES(values)        "{\"Filters\":[{\"Key\":\"name\",\"Values\":[" values "]}]}"
#define NAMES_(values, rest) "{\"Filters\":[{\"Key\":\"name\",\"Values\":[" values "]}]," rest "}"

/* "name=value ", a binary one as base64. One buffer. */
static const char *values_of(const json_t *reply) {
    static char text[1024];
    const json_t *list = json_object_get(reply, "SecretValues");
    size_t len = 0;

    assert_true(json_is_array(list));
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        bool binary = json_object_get(entry, "SecretBinary") != NULL;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s=%s ", text_of(entry, "Name"),
                                text_of(entry, binary ? "SecretBinary" : "SecretString"));
        assert_true(len < sizeof(text));
    }
    return text;
}

static void expect_values(struct bench *bench, const char *body, const char *expected) {
    json_t *reply = bench_ok(bench, BATCH, body);

    assert_string_equal(values_of(reply), expected);
    assert_member(reply, "Errors", "[]");
    json_decref(reply);
}

static void expect_failure(const json_t *reply, size_t at, const char *secret_id, const char *code,
                           const char *message) {
    json_t *entry = json_array_get(json_object_get(reply, "Errors"), at);

    assert_members(entry, "SecretId ErrorCode Message");
    assert_string_equal(text_of(entry, "SecretId"), secret_id);
    assert_string_equal(text_of(entry, "ErrorCode"), code);
    assert_string_equal(text_of(entry, "Message"), message);
}

/* 3.13: in the order of the request, always AWSCURRENT; entries as GetSecretValue's reply. */
static void in_the_order_of_the_request(void **state) {
    struct bench *bench = *state;
    json_t *reply;
    json_t *single;
    char body[2048];

    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("old")));
    bench_do(bench, "CreateSecret", CREATE("b", 2, ",\"SecretBinary\":\"AP8=\""));
    bench_do(bench, "CreateSecret", CREATE("c", 3, VALUE("three")));
    bench_do(bench, "PutSecretValue", PUT("a", 4, VALUE("one")));
    bench_do(bench, "PutSecretValue", PUT("a", 5, VALUE("not yet") ",\"VersionStages\":[\"x\"]"));
    reply = bench_ok(bench, BATCH, "{\"SecretIdList\":[\"c\",\"a\",\"b\",\"c\"]}");
    assert_members(reply, "SecretValues Errors");
    assert_string_equal(values_of(reply), "c=three a=one b=AP8= c=three ");
    assert_member(reply, "Errors", "[]");
    single = bench_ok(bench, "GetSecretValue", ID("a"));
    assert_true(json_equal(json_array_get(json_object_get(reply, "SecretValues"), 1), single));
    assert_members(json_array_get(json_object_get(reply, "SecretValues"), 1),
                   "ARN Name VersionId SecretString VersionStages CreatedDate");
    /* An ARN, with and without its random part. */
    (void)snprintf(body, sizeof(body), "{\"SecretIdList\":[\"%s\",\"%.*s\"]}",
                   text_of(single, "ARN"), (int)strlen(text_of(single, "ARN")) - 7,
                   text_of(single, "ARN"));
    expect_values(bench, body, "a=one a=one ");
    json_decref(reply);
    json_decref(single);
}

/* 3.13: what fails stands in Errors under the id as it was given, with the code and the sentence of
 * a single GetSecretValue; the others are read all the same. */
static void failures_by_name(void **state) {
    struct bench *bench = *state;
    static const char *const ids[] = {
        "none",
        "gone",
        "empty",
        "In valid",
        "arn:aws:secretsmanager:us-east-1:" BENCH_ACCOUNT ":secret:a-AbCdEf",
        "arn:aws:secretsmanager:" BENCH_REGION ":" BENCH_ACCOUNT ":secret:a-AbCdEf",
    };
    json_t *reply;
    json_t *list = json_array();
    json_t *body = json_object();
    char *text;

    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("one")));
    bench_do(bench, "CreateSecret", CREATE("gone", 2, VALUE("two")));
    bench_do(bench, "DeleteSecret", ID("gone"));
    bench_do(bench, "CreateSecret", CREATE("empty", 3, ""));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        (void)json_array_append_new(list, json_string(ids[i]));
    }
    (void)json_array_append_new(list, json_string("a"));
    (void)json_object_set_new(body, "SecretIdList", list);
    text = json_dumps(body, 0);
    reply = bench_ok(bench, BATCH, text);
    assert_string_equal(values_of(reply), "a=one ");
    assert_int_equal(json_array_size(json_object_get(reply, "Errors")), ARRAY_LEN(ids));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        json_t *ignored = NULL;
        enum errc code = bench_call(bench, "GetSecretValue", with_arn(ID("%s"), ids[i]), &ignored);
        assert_int_not_equal(code, OK);
        expect_failure(reply, i, ids[i], errc_name(code), bench->err.message);
    }
    expect_failure(reply, 0, "none", "ResourceNotFoundException", NOT_FOUND);
    expect_failure(reply, 1, "gone", "InvalidRequestException", MARKED);
    expect_failure(reply, 2, "empty", "ResourceNotFoundException", NO_VALUE);
    json_decref(reply);
    json_decref(body);
    free(text);
}

/* 3.13: each secret is a matter of GetSecretValue's permission. */
static void another_accounts_secret(void **state) {
    struct bench *bench = *state;
    static const char arn[] =
        "arn:aws:secretsmanager:" BENCH_REGION ":999999999999:secret:theirs-AbCdEf";
    json_t *reply = bench_ok(bench, BATCH, with_arn("{\"SecretIdList\":[\"%s\"]}", arn));

    assert_member(reply, "SecretValues", "[]");
    expect_failure(reply, 0, arn, "AccessDeniedException",
                   "User: arn:aws:iam::" BENCH_ACCOUNT ":root is not authorized to perform: "
                   "secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:" BENCH_REGION
                   ":999999999999:secret:theirs-AbCdEf because no resource-based policy allows the "
                   "secretsmanager:GetSecretValue action");
    json_decref(reply);
}

/* 3.3: a key that cannot be used. */
static void a_disabled_key(void **state) {
    struct bench *bench = *state;
    Redoubt__Key *key = NULL;
    struct txn *txn = txn_new(bench->engine);
    json_t *reply;

    assert_int_equal(vault_new_key(bench->keyring, &bench->world, BENCH_ACCOUNT, &key, &bench->err),
                     OK);
    txn_put_key(txn, BENCH_ACCOUNT, key);
    txn_put_alias(txn, BENCH_ACCOUNT, "alias/custom", key->id);
    txn_commit(txn, ++bench->index);
    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("v") ",\"KmsKeyId\":\"alias/custom\""));
    bench_do(bench, "CreateSecret", CREATE("b", 2, VALUE("w")));
    key->state = REDOUBT__KEY_STATE__KEY_DISABLED;
    txn_put_key(txn, BENCH_ACCOUNT, key);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    redoubt__key__free_unpacked(key, NULL);
    reply = bench_ok(bench, BATCH, "{\"SecretIdList\":[\"a\",\"b\"]}");
    assert_string_equal(values_of(reply), "b=w ");
    expect_failure(reply, 0, "a", "DecryptionFailure",
                   "Secrets Manager can't decrypt the protected secret text using the provided "
                   "KMS key.");
    json_decref(reply);
}

/* What is not the caller's to mend fails the call: it can be repeated. */
static void a_damaged_store(void **state) {
    struct bench *bench = *state;
    struct txn *txn;
    json_t *reply = NULL;

    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("v")));
    bench_do(bench, "CreateSecret", CREATE("b", 2, VALUE("w")));
    txn = txn_new(bench->engine);
    txn_delete_value(txn, BENCH_ACCOUNT, "b", TOKEN(2));
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    assert_int_equal(bench_call(bench, BATCH, "{\"SecretIdList\":[\"a\",\"b\"]}", &reply),
                     ERR_CORRUPT);
    assert_int_equal(bench->touches, 0);
}

/* 3.13: found by filters: the scheduled ones are not listed, those without a value are Errors under
 * their ARN. */
static void by_filters(void **state) {
    struct bench *bench = *state;
    json_t *reply;
    json_t *described;

    bench_do(bench, "CreateSecret", CREATE("p/b", 1, VALUE("1")));
    bench_do(bench, "CreateSecret", CREATE("p/gone", 2, VALUE("2")));
    bench_do(bench, "CreateSecret", CREATE("p/empty", 3, ""));
    bench_do(bench, "CreateSecret", CREATE("q", 4, VALUE("4")));
    bench_do(bench, "CreateSecret", CREATE("p/a", 5, VALUE("5") ",\"Description\":\"five\""));
    bench_do(bench, "CreateSecret", CREATE("r", 6, VALUE("6")));
    bench_make_replica(bench, "r");
    bench_do(bench, "DeleteSecret", ID("p/gone"));
    reply = bench_ok(bench, BATCH, NAMES("\"p/\""));
    described = bench_ok(bench, "DescribeSecret", ID("p/empty"));
    assert_string_equal(values_of(reply), "p/b=1 p/a=5 ");
    assert_members(reply, "SecretValues Errors");
    assert_int_equal(json_array_size(json_object_get(reply, "Errors")), 1);
    expect_failure(reply, 0, text_of(described, "ARN"), "ResourceNotFoundException", NO_VALUE);
    json_decref(described);
    json_decref(reply);
    expect_values(bench, NAMES("\"!p\""), "q=4 r=6 ");
    expect_values(bench, NAMES("\"none\""), "");
    expect_values(bench,
                  "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"p\"]},"
                  "{\"Key\":\"description\",\"Values\":[\"five\"]}]}",
                  "p/a=5 ");
    expect_values(bench, "{\"SecretIdList\":[\"q\"],\"Filters\":[]}", "q=4 ");
}

static void pages_of_filters(void **state) {
    struct bench *bench = *state;
    char body[2048];
    json_t *reply;
    size_t seen = 0;
    unsigned pages = 1;

    for (int i = 0; i < 45; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"Name\":\"s%02d\",\"ClientRequestToken\":\"" TOKEN(1) "\"" VALUE("v") "}",
                       i);
        bench_do(bench, "CreateSecret", body);
    }
    reply = bench_ok(bench, BATCH, NAMES("\"s\""));
    for (;;) {
        const json_t *list = json_object_get(reply, "SecretValues");
        for (size_t i = 0; i < json_array_size(list); i++) {
            (void)snprintf(body, sizeof(body), "s%02zu", seen++);
            assert_string_equal(text_of(json_array_get(list, i), "Name"), body);
        }
        if (json_object_get(reply, "NextToken") == NULL) {
            break;
        }
        assert_members(reply, "SecretValues NextToken Errors");
        /* 20 unless told otherwise, then 7 each. */
        assert_int_equal(json_array_size(list), pages == 1 ? LIMIT_BATCH_GET : 7);
        (void)snprintf(body, sizeof(body), NAMES_("\"s\"", "\"MaxResults\":7,\"NextToken\":\"%s\""),
                       text_of(reply, "NextToken"));
        json_decref(reply);
        reply = bench_ok(bench, BATCH, body);
        pages++;
    }
    json_decref(reply);
    assert_int_equal(seen, 45);
    assert_int_equal(pages, 5);
    /* A page, a command: as many touches as there were pages. */
    assert_int_equal(bench->touches, 5);
}

/* 3.3: the day, of the secret and of the version; one command for all. */
static void reads_are_noted_together(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("1")));
    bench_do(bench, "CreateSecret", CREATE("b", 2, VALUE("2")));
    bench_do(bench, "CreateSecret", CREATE("c", 3, ""));
    bench_do(bench, BATCH, "{\"SecretIdList\":[\"c\"]}");
    assert_int_equal(bench->touches, 0);
    bench_do(bench, BATCH, "{\"SecretIdList\":[\"a\",\"b\",\"c\",\"none\",\"a\"]}");
    assert_int_equal(bench->touches, 1);
    bench_do(bench, BATCH, "{\"SecretIdList\":[\"a\",\"b\"]}");
    assert_int_equal(bench->touches, 1);
    bench_do(bench, "GetSecretValue", ID("a"));
    assert_int_equal(bench->touches, 1);
    for (const char *const *name = (const char *const[]){"a", "b", NULL}; *name != NULL; name++) {
        reply = bench_ok(bench, "DescribeSecret", with_arn(ID("%s"), *name));
        assert_member(reply, "LastAccessedDate", "1699920000.000");
        json_decref(reply);
        reply = bench_ok(bench, "ListSecretVersionIds", with_arn(ID("%s"), *name));
        assert_member(json_array_get(json_object_get(reply, "Versions"), 0), "LastAccessedDate",
                      "1699920000.000");
        json_decref(reply);
    }
    reply = bench_ok(bench, "DescribeSecret", ID("c"));
    assert_member(reply, "LastAccessedDate", NULL);
    json_decref(reply);
}

/* 20 values of the most bytes that a value may have, each of them 6 in JSON. */
static void the_largest_reply(void **state) {
    struct bench *bench = *state;
    struct buf body;
    char *value = malloc((size_t)6 * LIMIT_VALUE + 1);
    json_t *reply;

    assert_non_null(value);
    for (size_t i = 0; i < LIMIT_VALUE; i++) {
        memcpy(value + 6 * i, "\\u0001", 6);
    }
    value[(size_t)6 * LIMIT_VALUE] = '\0';
    for (int i = 0; i < LIMIT_BATCH_GET; i++) {
        buf_init(&body, LIMIT_HTTP_BODY);
        buf_printf(&body, "{\"Name\":\"s%d\",\"ClientRequestToken\":\"" TOKEN(1) "\"", i);
        buf_append_str(&body, ",\"SecretString\":\"");
        buf_append_str(&body, value);
        buf_append_str(&body, "\"}");
        buf_append_u8(&body, 0);
        assert_false(body.failed);
        bench_do(bench, "CreateSecret", (const char *)body.data);
        buf_fini(&body);
    }
    free(value);
    reply = bench_ok(bench, BATCH, NAMES("\"s\""));
    assert_int_equal(json_array_size(json_object_get(reply, "SecretValues")), LIMIT_BATCH_GET);
    assert_member(reply, "NextToken", NULL);
    for (size_t i = 0; i < LIMIT_BATCH_GET; i++) {
        const json_t *entry = json_array_get(json_object_get(reply, "SecretValues"), i);
        assert_int_equal(json_string_length(json_object_get(entry, "SecretString")), LIMIT_VALUE);
    }
    json_decref(reply);
}

/* 2.3, 2.4. */
static void bad_members(void **state) {
    struct bench *bench = *state;
    static const char both[] = "Either 'SecretIdList' or 'Filters' must be provided, but not both.";
    static const char without[] = "'Filters' not specified. 'Filters' must also be specified when "
                                  "'MaxResults' is provided.";
    static const struct {
        const char *body;
        enum errc code;
        const char *sentence;
    } rows[] = {
        {"{}", ERR_INVALID_PARAMETER, both},
        {"{\"Filters\":[]}", ERR_INVALID_PARAMETER, both},
        {"{\"SecretIdList\":[\"a\"],\"Filters\":[{\"Key\":\"all\",\"Values\":[\"a\"]}]}",
         ERR_INVALID_PARAMETER, both},
        {"{\"SecretIdList\":[\"a\"],\"MaxResults\":2}", ERR_INVALID_PARAMETER, without},
        {"{\"MaxResults\":2}", ERR_INVALID_PARAMETER, without},
        {"{\"SecretIdList\":[\"a\"],\"NextToken\":\"x\"}", ERR_INVALID_PARAMETER,
         "'Filters' not specified. 'Filters' must also be specified when 'NextToken' is provided."},
        {NAMES_("\"a\"", "\"NextToken\":\"x\""), ERR_INVALID_NEXT_TOKEN,
         "The NextToken value is invalid."},
        {"{\"Filters\":[{\"Values\":[\"x\"]}]}", ERR_INVALID_PARAMETER, "Invalid filter key"},
        {"{\"Filters\":[{\"Key\":\"name\"}]}", ERR_INVALID_PARAMETER,
         "Invalid filter values for key: name"},
        {NAMES_("\"a\"", "\"MaxResults\":0"), ERR_VALIDATION,
         "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: "
         "Member must have value greater than or equal to 1"},
        {NAMES_("\"a\"", "\"MaxResults\":21"), ERR_VALIDATION,
         "1 validation error detected: Value '21' at 'maxResults' failed to satisfy constraint: "
         "Member must have value less than or equal to 20"},
        {"{\"SecretIdList\":[]}", ERR_VALIDATION,
         "1 validation error detected: Value '[]' at 'secretIdList' failed to satisfy constraint: "
         "Member must have length greater than or equal to 1"},
    };
    static const char many[] = "{\"SecretIdList\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
                               "\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\","
                               "\"18\",\"19\",\"20\",\"21\"]}";
    json_t *reply = NULL;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_refused(bench, BATCH, rows[i].body, rows[i].code, rows[i].sentence);
    }
    assert_int_equal(bench_call(bench, BATCH, many, &reply), ERR_VALIDATION);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(in_the_order_of_the_request),
        BENCH_TEST(failures_by_name),
        BENCH_TEST(another_accounts_secret),
        BENCH_TEST(a_disabled_key),
        BENCH_TEST(a_damaged_store),
        BENCH_TEST(by_filters),
        BENCH_TEST(pages_of_filters),
        BENCH_TEST(reads_are_noted_together),
        BENCH_TEST(the_largest_reply),
        BENCH_TEST(bad_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
