/* ListSecretVersionIds: which versions, their entries, and pages that changes in between do not
 * disturb. Sources: AWS_BEHAVIOUR 3.1 and 3.6. */
#include "tests/unit/api_ops_bench.h"

#define LIST "ListSecretVersionIds"

/* The last characters of the version ids on the page: TOKEN(n)'s n, each with its number of labels
 * behind it. One buffer. */
static const char *versions_of(const json_t *page) {
    static char text[4096];
    const json_t *list = json_object_get(page, "Versions");
    size_t len = 0;

    assert_true(json_is_array(list));
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *id = text_of(entry, "VersionId");
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s:%zu ", id + strlen(id) - 1,
                                json_array_size(json_object_get(entry, "VersionStages")));
        assert_true(len < sizeof(text));
    }
    return text;
}

static void expect_versions(struct bench *bench, const char *body, const char *expected) {
    json_t *page = bench_ok(bench, LIST, body);

    assert_string_equal(versions_of(page), expected);
    assert_member(page, "NextToken", NULL);
    json_decref(page);
}

static void put(struct bench *bench, const char *name, int n, const char *rest) {
    char body[1024];

    (void)snprintf(
        body, sizeof(body),
        "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN() "%d"
                                                                 "\""
                                                                 ",\"SecretString\":\"v%d\"%s}",
        name, n, n, rest);
    bench_do(bench, "PutSecretValue", body);
}

/* 3.1 and 3.6 [rec]: labelled ones, and the others when asked for, whose entries have no
 * VersionStages. */
static void labelled_or_all(void **state) {
    struct bench *bench = *state;
    json_t *page;
    const json_t *list;
    char arn[256];

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    bench->now_ms += 1000;
    put(bench, "s", 2, "");
    bench->now_ms += 1000;
    put(bench, "s", 3, "");
    bench_do(bench, "GetSecretValue", ID("s"));
    page = bench_ok(bench, LIST, ID("s"));
    assert_members(page, "Versions ARN Name");
    assert_string_equal(text_of(page, "Name"), "s");
    (void)snprintf(arn, sizeof(arn), "%s", text_of(page, "ARN"));
    assert_string_equal(versions_of(page), "2:1 3:1 ");
    list = json_object_get(page, "Versions");
    assert_members(json_array_get(list, 0), "VersionId VersionStages CreatedDate KmsKeyIds");
    assert_members(json_array_get(list, 1),
                   "VersionId VersionStages LastAccessedDate CreatedDate KmsKeyIds");
    assert_member(json_array_get(list, 0), "VersionStages", "[\"AWSPREVIOUS\"]");
    assert_member(json_array_get(list, 1), "VersionStages", "[\"AWSCURRENT\"]");
    assert_member(json_array_get(list, 1), "LastAccessedDate", "1699920000.000"); /* a day */
    assert_member(json_array_get(list, 1), "KmsKeyIds", "[\"DefaultEncryptionKey\"]");
    assert_true(number_of(json_array_get(list, 1), "CreatedDate") == 1700000002.123);
    json_decref(page);

    page = bench_ok(bench, LIST, ID_("s", "\"IncludeDeprecated\":true"));
    assert_string_equal(versions_of(page), "1:0 2:1 3:1 ");
    assert_members(json_array_get(json_object_get(page, "Versions"), 0),
                   "VersionId CreatedDate KmsKeyIds");
    json_decref(page);
    expect_versions(bench, ID_("s", "\"IncludeDeprecated\":false"), "2:1 3:1 ");
    expect_versions(bench, with_arn("{\"SecretId\":\"%s\"}", arn), "2:1 3:1 ");
}

/* 3.6: no value, no version; ARN and Name are there all the same. */
static void a_secret_without_versions(void **state) {
    struct bench *bench = *state;
    json_t *page;

    bench_do(bench, "CreateSecret", CREATE("s", 1, ""));
    page = bench_ok(bench, LIST, ID("s"));
    assert_members(page, "Versions ARN Name");
    assert_member(page, "Versions", "[]");
    json_decref(page);
}

/* 3.0: works on one that is scheduled for deletion; and on a replica. */
static void scheduled_ones_and_replicas(void **state) {
    struct bench *bench = *state;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    bench_do(bench, "DeleteSecret", ID("s"));
    expect_versions(bench, ID("s"), "1:1 ");
    bench_do(bench, "CreateSecret", CREATE("r", 2, VALUE("v2")));
    bench_make_replica(bench, "r");
    expect_versions(bench, ID("r"), "2:1 ");
}

/* 3.6: a version that a rotation began is there before it has a value; no key opens it. */
static void a_version_without_a_value(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *secret;
    json_t *page;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    put(bench, "s", 2, ",\"VersionStages\":[\"AWSPENDING\"]");
    secret = bench_secret(bench, "s");
    secret->versions[1]->has_kind = false;
    free(secret->versions[1]->key_id);
    secret->versions[1]->key_id = NULL;
    bench_put_secret(bench, secret);
    page = bench_ok(bench, LIST, ID("s"));
    assert_string_equal(versions_of(page), "1:1 2:1 ");
    assert_members(json_array_get(json_object_get(page, "Versions"), 1),
                   "VersionId VersionStages CreatedDate");
    json_decref(page);
}

/* 3.1 [rec], [doc]: "DefaultEncryptionKey", or all key ids that can open this version. */
static void keys_that_open_a_version(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *secret;
    Redoubt__Version *version;
    json_t *page;
    const json_t *list;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    put(bench, "s", 2, "");
    secret = bench_secret(bench, "s");
    version = secret->versions[0];
    version->other_key_ids = calloc(2, sizeof(char *));
    version->n_other_key_ids = 2;
    version->other_key_ids[0] = strdup("0c9a6b6e-2f5e-4e22-8e33-111111111111");
    version->other_key_ids[1] = version->key_id; /* the default one was its key before */
    version->key_id = strdup("0c9a6b6e-2f5e-4e22-8e33-222222222222");
    version = secret->versions[1];
    free(version->key_id);
    version->key_id = strdup("0c9a6b6e-2f5e-4e22-8e33-333333333333");
    bench_put_secret(bench, secret);
    page = bench_ok(bench, LIST, ID("s"));
    list = json_object_get(page, "Versions");
    assert_member(json_array_get(list, 0), "KmsKeyIds",
                  "[\"0c9a6b6e-2f5e-4e22-8e33-222222222222\","
                  "\"0c9a6b6e-2f5e-4e22-8e33-111111111111\",\"DefaultEncryptionKey\"]");
    assert_member(json_array_get(list, 1), "KmsKeyIds",
                  "[\"0c9a6b6e-2f5e-4e22-8e33-333333333333\"]");
    json_decref(page);
}

/* The same through UpdateSecret: labelled versions get the new key and keep the former one. */
static void keys_after_a_change_of_key(void **state) {
    struct bench *bench = *state;
    Redoubt__Key *key = NULL;
    struct txn *txn = txn_new(bench->engine);
    char ids[128];
    json_t *page;

    assert_int_equal(vault_new_key(bench->keyring, &bench->world, BENCH_ACCOUNT, &key, &bench->err),
                     OK);
    txn_put_key(txn, BENCH_ACCOUNT, key);
    txn_put_alias(txn, BENCH_ACCOUNT, "alias/custom", key->id);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    bench_do(bench, "UpdateSecret", PUT("s", 2, ",\"KmsKeyId\":\"alias/custom\""));
    (void)snprintf(ids, sizeof(ids), "[\"%s\",\"DefaultEncryptionKey\"]", key->id);
    page = bench_ok(bench, LIST, ID("s"));
    assert_string_equal(versions_of(page), "1:1 ");
    assert_member(json_array_get(json_object_get(page, "Versions"), 0), "KmsKeyIds", ids);
    json_decref(page);
    redoubt__key__free_unpacked(key, NULL);
}

/* Takes the page. */
static json_t *next_page(struct bench *bench, json_t *page, const char *rest) {
    char body[2048];

    (void)snprintf(body, sizeof(body), "{\"SecretId\":\"s\",\"NextToken\":\"%s\"%s}",
                   text_of(page, "NextToken"), rest);
    json_decref(page);
    return bench_ok(bench, LIST, body);
}

/* Take a version out of the record, as pruning does. */
static void drop_version(struct bench *bench, size_t at) {
    Redoubt__Secret *secret = bench_secret(bench, "s");

    redoubt__version__free_unpacked(secret->versions[at], NULL);
    secret->n_versions--;
    memmove(secret->versions + at, secret->versions + at + 1,
            (secret->n_versions - at) * sizeof(*secret->versions));
    bench_put_secret(bench, secret);
}

static void pages_go_on_where_they_stood(void **state) {
    struct bench *bench = *state;
    json_t *page;

    bench_do(bench, "CreateSecret", CREATE("s", 0, VALUE("v0")));
    for (int i = 1; i < 6; i++) {
        bench->now_ms += i % 2; /* some in one millisecond */
        put(bench, "s", i, "");
    }
    page = bench_ok(bench, LIST, ID_("s", "\"IncludeDeprecated\":true,\"MaxResults\":3"));
    assert_members(page, "Versions NextToken ARN Name");
    assert_string_equal(versions_of(page), "0:0 1:0 2:0 ");
    /* What was shown last goes, something comes. */
    drop_version(bench, 2);
    drop_version(bench, 0);
    bench->now_ms += 1;
    put(bench, "s", 6, "");
    page = next_page(bench, page, ",\"IncludeDeprecated\":true,\"MaxResults\":2");
    assert_string_equal(versions_of(page), "3:0 4:0 ");
    page = next_page(bench, page, ",\"IncludeDeprecated\":true");
    assert_string_equal(versions_of(page), "5:1 6:1 ");
    assert_member(page, "NextToken", NULL);
    json_decref(page);
    /* A full page with nothing behind it has no token. */
    expect_versions(bench, ID_("s", "\"MaxResults\":2"), "5:1 6:1 ");
}

/* 2.3 and 2.5. */
static void bad_members(void **state) {
    struct bench *bench = *state;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v1")));
    bench_refused(bench, LIST, ID("none"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, LIST, ID_("s", "\"MaxResults\":0"), ERR_VALIDATION,
                  "1 validation error detected: Value '0' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value greater than or equal to 1");
    bench_refused(bench, LIST, ID_("s", "\"MaxResults\":101"), ERR_VALIDATION,
                  "1 validation error detected: Value '101' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value less than or equal to 100");
    bench_refused(bench, LIST, ID_("s", "\"NextToken\":\"\""), ERR_VALIDATION,
                  "1 validation error detected: Value '' at 'nextToken' failed to satisfy "
                  "constraint: Member must have length greater than or equal to 1");
    bench_refused(bench, LIST, ID_("s", "\"NextToken\":\"x\""), ERR_INVALID_NEXT_TOKEN,
                  "The NextToken value is invalid.");
    bench_refused(bench, LIST, ID("Inv Name"), ERR_VALIDATION,
                  "Invalid name. Must be a valid name containing alphanumeric characters, or any "
                  "of the following: -/_+=.@!");
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(labelled_or_all),
        BENCH_TEST(a_secret_without_versions),
        BENCH_TEST(scheduled_ones_and_replicas),
        BENCH_TEST(a_version_without_a_value),
        BENCH_TEST(keys_that_open_a_version),
        BENCH_TEST(keys_after_a_change_of_key),
        BENCH_TEST(pages_go_on_where_they_stood),
        BENCH_TEST(bad_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
