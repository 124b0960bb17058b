/* NextToken: what it carries, and that nothing but what was handed out for the very list is taken.
 * Sources: AWS_BEHAVIOUR 1.12, 2.3 and 3.10 (only valid with the same filters). */
#include "tests/unit/api_ops_bench.h"

#include "api/next_token.h"

static const char sentence[] = "The NextToken value is invalid.";
static const struct next_token_scope scope = {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, "q"};

static void expect_refused(const struct bench *bench, const struct next_token_scope *of,
                           const char *text) {
    struct list_position position;
    struct err err;

    assert_int_equal(next_token_open(bench->keyring, of, text, &position, &err),
                     ERR_INVALID_NEXT_TOKEN);
    assert_string_equal(err.message, sentence);
}

static void positions_come_back(void **state) {
    struct bench *bench = *state;
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_";
    struct list_position in = {.is_set = true, .when = INT64_MIN, .seq = UINT64_MAX};
    struct list_position out;
    char text[NEXT_TOKEN_TEXT];

    for (size_t len = 0; len <= LIMIT_NAME; len++) {
        next_token_seal(bench->keyring, &scope, &in, text);
        assert_int_equal(strspn(text, alphabet), strlen(text));
        assert_true(strlen(text) <= LIMIT_NEXT_TOKEN);
        assert_int_equal(next_token_open(bench->keyring, &scope, text, &out, NULL), OK);
        assert_true(out.is_set && out.when == in.when && out.seq == in.seq);
        assert_string_equal(out.name, in.name);
        in.when = (int64_t)len * 1000003;
        in.seq -= 1;
        in.name[len < LIMIT_NAME ? len : 0] = (char)('a' + len % 26);
    }
}

static void every_character_counts(void **state) {
    struct bench *bench = *state;
    const struct list_position at = {.is_set = true, .seq = 7, .name = "a/name"};
    char good[NEXT_TOKEN_TEXT];
    char bad[NEXT_TOKEN_TEXT + 8];
    size_t len;

    next_token_seal(bench->keyring, &scope, &at, good);
    len = strlen(good);
    for (size_t i = 0; i < len; i++) {
        memcpy(bad, good, len + 1);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        expect_refused(bench, &scope, bad);
        memcpy(bad, good, len + 1);
        bad[i] = '\0'; /* cut */
        expect_refused(bench, &scope, bad);
        memcpy(bad, good, len + 1);
        bad[i] = "+/=%~"[i % 5];
        expect_refused(bench, &scope, bad);
    }
    (void)snprintf(bad, sizeof(bad), "%sAAAA", good);
    expect_refused(bench, &scope, bad);
    expect_refused(bench, &scope, "x");
    expect_refused(bench, &scope, "");
}

/* As long as a client may send one. */
static void long_rubbish(void **state) {
    struct bench *bench = *state;
    char text[LIMIT_NEXT_TOKEN + 1];

    for (size_t len = 1; len <= LIMIT_NEXT_TOKEN; len = len * 2 + 1) {
        memset(text, 'A', len);
        text[len] = '\0';
        expect_refused(bench, &scope, text);
    }
    memset(text, 'A', LIMIT_NEXT_TOKEN);
    text[LIMIT_NEXT_TOKEN] = '\0';
    expect_refused(bench, &scope, text);
}

static void another_scope(void **state) {
    struct bench *bench = *state;
    const struct next_token_scope others[] = {
        {"ListSecretVersionIds", BENCH_ACCOUNT, BENCH_REGION, "q"},
        {"ListSecrets", "999999999999", BENCH_REGION, "q"},
        {"ListSecrets", BENCH_ACCOUNT, "us-east-1", "q"},
        {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, "r"},
        {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, ""},
        {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, "qq"},
        /* The same characters, divided otherwise. */
        {"ListSecrets" BENCH_ACCOUNT, "", BENCH_REGION, "q"},
        {"ListSecrets", BENCH_ACCOUNT BENCH_REGION, "", "q"},
        {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION "q", ""},
    };
    const struct list_position at = {.is_set = true, .seq = 7};
    char text[NEXT_TOKEN_TEXT];

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        next_token_seal(bench->keyring, &others[i], &at, text);
        expect_refused(bench, &scope, text);
    }
}

static void another_regions_key(void **state) {
    struct bench *bench = *state;
    static const uint8_t root[KEYRING_KEY] = {9};
    struct keyring *other = keyring_new(root, BENCH_REGION, &bench->world);
    const struct list_position at = {.is_set = true, .seq = 7};
    char text[NEXT_TOKEN_TEXT];

    next_token_seal(other, &scope, &at, text);
    expect_refused(bench, &scope, text);
    keyring_free(other);
}

/* ---- Through the operations ---- */

static char token[NEXT_TOKEN_TEXT];

/* The token of the first page of this query. */
static void token_of(struct bench *bench, const char *operation, const char *members) {
    char body[1024];
    json_t *page;

    (void)snprintf(body, sizeof(body), "{\"MaxResults\":1,%s}", members);
    page = bench_ok(bench, operation, body);
    (void)snprintf(token, sizeof(token), "%s", text_of(page, "NextToken"));
    json_decref(page);
}

static enum errc go_on(struct bench *bench, const char *operation, const char *members) {
    char body[2048];
    json_t *page = NULL;
    enum errc code;

    (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\",%s}", token, members);
    code = bench_call(bench, operation, body, &page);
    json_decref(page);
    if (code != OK) {
        assert_string_equal(bench->err.message, sentence);
    }
    return code;
}

#define NAME_FILTER(values) "\"Filters\":[{\"Key\":\"name\",\"Values\":[" values "]}]"

/* MaxResults may change from page to page, nothing else; whatever stands for the default is it. */
static void the_whole_query_counts(void **state) {
    struct bench *bench = *state;
    static const struct {
        const char *operation;
        const char *members;
        bool fits;
    } rows[] = {
        {"ListSecrets", NAME_FILTER("\"a\",\"b\""), true},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"MaxResults\":50", true},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"SortOrder\":\"asc\"", true},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"SortBy\":\"created-date\"", true},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"IncludePlannedDeletion\":false", true},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"SortOrder\":\"desc\"", false},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"SortBy\":\"name\"", false},
        {"ListSecrets", NAME_FILTER("\"a\",\"b\"") ",\"IncludePlannedDeletion\":true", false},
        {"ListSecrets", NAME_FILTER("\"a\",\"!b\""), false},
        {"ListSecrets", NAME_FILTER("\"b\",\"a\""), false},
        {"ListSecrets", NAME_FILTER("\"a\""), false},
        {"ListSecrets", "\"Filters\":[]", false},
        {"ListSecrets", "\"Filters\":[{\"Key\":\"all\",\"Values\":[\"a\",\"b\"]}]", false},
        {"ListSecrets",
         "\"Filters\":[{\"Key\":\"name\",\"Values\":[\"a\"]},"
         "{\"Key\":\"name\",\"Values\":[\"b\"]}]",
         false},
        {"BatchGetSecretValue", NAME_FILTER("\"a\",\"b\""), false},
    };

    bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("v")));
    bench_do(bench, "CreateSecret", CREATE("b", 1, VALUE("v")));
    token_of(bench, "ListSecrets", NAME_FILTER("\"a\",\"b\""));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(go_on(bench, rows[i].operation, rows[i].members),
                         rows[i].fits ? OK : ERR_INVALID_NEXT_TOKEN);
    }
    token_of(bench, "BatchGetSecretValue", NAME_FILTER("\"a\",\"b\""));
    assert_int_equal(go_on(bench, "BatchGetSecretValue", NAME_FILTER("\"a\",\"b\"")), OK);
    assert_int_equal(go_on(bench, "ListSecrets", NAME_FILTER("\"a\",\"b\"")),
                     ERR_INVALID_NEXT_TOKEN);
    assert_int_equal(go_on(bench, "BatchGetSecretValue", NAME_FILTER("\"a\"")),
                     ERR_INVALID_NEXT_TOKEN);
}

/* Of one secret's versions: not of another's, and not of a later one of the same name. */
static void versions_of_the_secret(void **state) {
    struct bench *bench = *state;

    for (int i = 0; i < 2; i++) {
        bench_do(bench, "CreateSecret", CREATE("a", 1, VALUE("v")));
        bench_do(bench, "PutSecretValue", PUT("a", 2, VALUE("w")));
        if (i == 0) {
            bench_do(bench, "CreateSecret", CREATE("b", 1, VALUE("v")));
            bench_do(bench, "PutSecretValue", PUT("b", 2, VALUE("w")));
            token_of(bench, "ListSecretVersionIds", "\"SecretId\":\"a\"");
            assert_int_equal(go_on(bench, "ListSecretVersionIds", "\"SecretId\":\"a\""), OK);
            assert_int_equal(
                go_on(bench, "ListSecretVersionIds", "\"SecretId\":\"a\",\"MaxResults\":3"), OK);
            assert_int_equal(go_on(bench, "ListSecretVersionIds",
                                   "\"SecretId\":\"a\",\"IncludeDeprecated\":true"),
                             ERR_INVALID_NEXT_TOKEN);
            assert_int_equal(go_on(bench, "ListSecretVersionIds", "\"SecretId\":\"b\""),
                             ERR_INVALID_NEXT_TOKEN);
            bench_do(bench, "DeleteSecret", ID_("a", "\"ForceDeleteWithoutRecovery\":true"));
        }
    }
    assert_int_equal(go_on(bench, "ListSecretVersionIds", "\"SecretId\":\"a\""),
                     ERR_INVALID_NEXT_TOKEN);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(positions_come_back),    BENCH_TEST(every_character_counts),
        BENCH_TEST(long_rubbish),           BENCH_TEST(another_scope),
        BENCH_TEST(another_regions_key),    BENCH_TEST(the_whole_query_counts),
        BENCH_TEST(versions_of_the_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
