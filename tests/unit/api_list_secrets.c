/* ListSecrets and its NextToken: pages, what is on them, and tokens that are not ours. Sources:
 * AWS_BEHAVIOUR 3.1 and 3.10. */
#include "tests/unit/api_ops_bench.h"

#include "api/next_token.h"

#include <stdlib.h>

static void create(struct bench *bench, const char *name, const char *rest) {
    char body[4096];

    assert_true((size_t)snprintf(body, sizeof(body),
                                 "{\"Name\":\"%s\",\"ClientRequestToken\":\"" TOKEN(1) "\"%s}",
                                 name, rest) < sizeof(body));
    bench_do(bench, "CreateSecret", body);
}

static void schedule(struct bench *bench, const char *name) {
    char body[256];

    (void)snprintf(body, sizeof(body), "{\"SecretId\":\"%s\"}", name);
    bench_do(bench, "DeleteSecret", body);
}

/* The names on the page, each with a blank behind it. One buffer. */
static const char *names_of(const json_t *page) {
    static char names[4096];
    const json_t *list = json_object_get(page, "SecretList");
    size_t len = 0;

    assert_true(json_is_array(list));
    names[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s ",
                                text_of(json_array_get(list, i), "Name"));
        assert_true(len < sizeof(names));
    }
    return names;
}

/* The page that goes on behind `page`, which is taken. */
static json_t *next_page(struct bench *bench, json_t *page, const char *rest) {
    char body[512];

    (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\"%s}", text_of(page, "NextToken"),
                   rest);
    json_decref(page);
    return bench_ok(bench, "ListSecrets", body);
}

static void an_empty_account(void **state) {
    struct bench *bench = *state;
    json_t *page = bench_ok(bench, "ListSecrets", "{}");

    assert_members(page, "SecretList");
    assert_member(page, "SecretList", "[]");
    json_decref(page);
}

static void entries_follow_the_presence_rules(void **state) {
    struct bench *bench = *state;
    json_t *page;
    json_t *list;

    create(bench, "plain", "");
    create(bench, "full",
           ",\"SecretString\":\"v\",\"Description\":\"d\",\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"}"
           "],\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]");
    create(bench, "replica", ",\"SecretString\":\"v\"");
    bench_make_replica(bench, "replica");
    bench_set_link(bench, "full", "us-east-1", 1, NULL);
    bench_do(bench, "GetSecretValue", "{\"SecretId\":\"full\"}");
    page = bench_ok(bench, "ListSecrets", "{}");
    list = json_object_get(page, "SecretList");
    assert_int_equal(json_array_size(list), 3);
    assert_members(json_array_get(list, 0), "ARN Name LastChangedDate CreatedDate");
    assert_members(json_array_get(list, 1),
                   "ARN Name Description LastChangedDate LastAccessedDate Tags "
                   "SecretVersionsToStages CreatedDate PrimaryRegion");
    assert_member(json_array_get(list, 1), "PrimaryRegion", "\"" BENCH_REGION "\"");
    assert_member(json_array_get(list, 1), "SecretVersionsToStages",
                  "{\"" TOKEN(1) "\":[\"AWSCURRENT\"]}");
    assert_member(json_array_get(list, 2), "PrimaryRegion", "\"us-east-1\"");
    assert_true(number_of(json_array_get(list, 1), "CreatedDate") == 1700000000.123);
    json_decref(page);
}

static void pages_in_order_of_creation(void **state) {
    struct bench *bench = *state;
    json_t *page;

    create(bench, "c", "");
    create(bench, "a", "");
    create(bench, "e", "");
    create(bench, "b", "");
    create(bench, "d", "");
    page = bench_ok(bench, "ListSecrets", "{\"MaxResults\":2,\"SortOrder\":\"asc\"}");
    assert_string_equal(names_of(page), "c a ");
    page = next_page(bench, page, ",\"MaxResults\":1");
    assert_string_equal(names_of(page), "e ");
    create(bench, "f", "");
    page = next_page(bench, page, ",\"SortBy\":\"created-date\",\"Filters\":[]");
    assert_string_equal(names_of(page), "b d f ");
    assert_members(page, "SecretList");
    json_decref(page);
    /* A full page with nothing behind it has no token. */
    page = bench_ok(bench, "ListSecrets", "{\"MaxResults\":6}");
    assert_members(page, "SecretList");
    json_decref(page);
}

static void scheduled_ones_only_when_asked_for(void **state) {
    struct bench *bench = *state;
    json_t *page;

    create(bench, "a", "");
    create(bench, "b", "");
    create(bench, "c", "");
    schedule(bench, "b");
    schedule(bench, "c");
    page = bench_ok(bench, "ListSecrets", "{\"MaxResults\":1,\"IncludePlannedDeletion\":false}");
    assert_string_equal(names_of(page), "a ");
    assert_members(page, "SecretList"); /* what is behind is not shown: no empty page follows */
    json_decref(page);
    page = bench_ok(bench, "ListSecrets", "{\"IncludePlannedDeletion\":true}");
    assert_string_equal(names_of(page), "a b c ");
    assert_members(json_array_get(json_object_get(page, "SecretList"), 1),
                   "ARN Name LastChangedDate DeletedDate CreatedDate");
    json_decref(page);
}

static void tokens_that_are_not_ours(void **state) {
    struct bench *bench = *state;
    static const char sentence[] = "The NextToken value is invalid.";
    const struct next_token_scope scopes[] = {
        {"ListSecrets", "999999999999", BENCH_REGION, "order=created,asc;deleted=hidden"},
        {"ListSecrets", BENCH_ACCOUNT, "us-east-1", "order=created,asc;deleted=hidden"},
        {"ListSecretVersionIds", BENCH_ACCOUNT, BENCH_REGION, "order=created,asc;deleted=hidden"},
        {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, ""},
    };
    char good[NEXT_TOKEN_TEXT];
    char body[256];
    char token[NEXT_TOKEN_TEXT];
    json_t *page;

    create(bench, "a", "");
    create(bench, "b", "");
    page = bench_ok(bench, "ListSecrets", "{\"MaxResults\":1}");
    (void)snprintf(good, sizeof(good), "%s", text_of(page, "NextToken"));
    json_decref(page);
    assert_int_equal(strlen(good), NEXT_TOKEN_TEXT - 1);
    /* Every character counts. */
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        memcpy(token, good, sizeof(token));
        token[i] = token[i] == 'A' ? 'B' : 'A';
        (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\"}", token);
        bench_refused(bench, "ListSecrets", body, ERR_INVALID_NEXT_TOKEN, sentence);
    }
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        next_token_seal(bench->keyring, &scopes[i], 1, token);
        (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\"}", token);
        bench_refused(bench, "ListSecrets", body, ERR_INVALID_NEXT_TOKEN, sentence);
    }
    (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\",\"IncludePlannedDeletion\":true}",
                   good);
    bench_refused(bench, "ListSecrets", body, ERR_INVALID_NEXT_TOKEN, sentence);
    bench_refused(bench, "ListSecrets", "{\"NextToken\":\"x\"}", ERR_INVALID_NEXT_TOKEN, sentence);
    (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%sAAAA\"}", good);
    bench_refused(bench, "ListSecrets", body, ERR_INVALID_NEXT_TOKEN, sentence);
    (void)snprintf(body, sizeof(body), "{\"NextToken\":\"%s\"}", good);
    bench_do(bench, "ListSecrets", body);
}

static void another_regions_key_opens_no_token(void **state) {
    struct bench *bench = *state;
    static const uint8_t root[KEYRING_KEY] = {9};
    struct keyring *other = keyring_new(root, BENCH_REGION, &bench->world);
    const struct next_token_scope scope = {"ListSecrets", BENCH_ACCOUNT, BENCH_REGION, "q"};
    char token[NEXT_TOKEN_TEXT];
    uint64_t position = 0;

    next_token_seal(other, &scope, UINT64_MAX - 1, token);
    assert_int_equal(next_token_open(other, &scope, token, &position, NULL), OK);
    assert_true(position == UINT64_MAX - 1);
    assert_int_equal(next_token_open(bench->keyring, &scope, token, &position, NULL),
                     ERR_INVALID_NEXT_TOKEN);
    keyring_free(other);
}

/* A page ends early when it is large, and nothing is lost or doubled. */
static void large_entries(void **state) {
    enum { SECRETS = 12 };
    struct bench *bench = *state;
    Redoubt__Secret *secret;
    size_t seen = 0;
    unsigned pages = 1;
    json_t *page;

    for (int i = 0; i < SECRETS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "large-%02d", i);
        create(bench, name, "");
        secret = bench_secret(bench, name);
        secret->description = malloc(100 * 1000 + 1);
        assert_non_null(secret->description);
        memset(secret->description, 'd', 100 * 1000);
        secret->description[100 * 1000] = '\0';
        bench_put_secret(bench, secret);
    }
    page = bench_ok(bench, "ListSecrets", "{}");
    for (;;) {
        const json_t *list = json_object_get(page, "SecretList");
        for (size_t i = 0; i < json_array_size(list); i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "large-%02zu", seen++);
            assert_string_equal(text_of(json_array_get(list, i), "Name"), name);
        }
        if (json_object_get(page, "NextToken") == NULL) {
            break;
        }
        page = next_page(bench, page, "");
        pages++;
    }
    json_decref(page);
    assert_int_equal(seen, SECRETS);
    assert_true(pages > 1);
}

static void many_that_are_not_shown(void **state) {
    struct bench *bench = *state;
    Redoubt__Secret *first;
    struct txn *txn;
    unsigned pages = 1;
    json_t *page;

    create(bench, "scheduled", "");
    schedule(bench, "scheduled");
    first = bench_secret(bench, "scheduled");
    txn = txn_new(bench->engine);
    for (unsigned i = 0; i < LIMIT_LIST_SCAN; i++) {
        char name[32];
        char *own = first->name;
        uint64_t seq = first->created_seq;
        (void)snprintf(name, sizeof(name), "scheduled-%05u", i);
        first->name = name;
        first->created_seq = seq + 1 + i;
        txn_put_secret(txn, BENCH_ACCOUNT, first);
        first->name = own;
        first->created_seq = seq;
    }
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    redoubt__secret__free_unpacked(first, NULL);
    create(bench, "last", "");
    page = bench_ok(bench, "ListSecrets", "{}");
    while (json_object_get(page, "NextToken") != NULL) {
        assert_member(page, "SecretList", "[]");
        page = next_page(bench, page, "");
        pages++;
    }
    assert_string_equal(names_of(page), "last ");
    json_decref(page);
    assert_int_equal(pages, 2);
}

static void what_is_not_done_says_so(void **state) {
    struct bench *bench = *state;

    bench_refused(bench, "ListSecrets", "{\"SortOrder\":\"desc\"}", ERR_NOT_IMPLEMENTED,
                  "ListSecrets does not implement SortOrder desc yet.");
    bench_refused(bench, "ListSecrets", "{\"SortBy\":\"name\"}", ERR_NOT_IMPLEMENTED,
                  "ListSecrets does not implement SortBy name yet.");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"!x\"]}]}",
                  ERR_NOT_IMPLEMENTED, "ListSecrets does not implement Filters yet.");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Values\":[\"x\"]}]}",
                  ERR_INVALID_PARAMETER, "Invalid filter key");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"name\"}]}", ERR_INVALID_PARAMETER,
                  "Invalid filter values for key: name");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"invalid\",\"Values\":[\"x\"]}]}",
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'invalid' at 'filters.1.member.key' failed "
                  "to satisfy constraint: Member must satisfy enum value set: [all, name, tag-key, "
                  "description, tag-value, primary-region, owning-service]");
    bench_refused(bench, "ListSecrets", "{\"MaxResults\":0}", ERR_VALIDATION,
                  "1 validation error detected: Value '0' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value greater than or equal to 1");
    bench_refused(bench, "ListSecrets", "{\"MaxResults\":101}", ERR_VALIDATION,
                  "1 validation error detected: Value '101' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value less than or equal to 100");
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(an_empty_account),
        BENCH_TEST(entries_follow_the_presence_rules),
        BENCH_TEST(pages_in_order_of_creation),
        BENCH_TEST(scheduled_ones_only_when_asked_for),
        BENCH_TEST(tokens_that_are_not_ours),
        BENCH_TEST(another_regions_key_opens_no_token),
        BENCH_TEST(large_entries),
        BENCH_TEST(many_that_are_not_shown),
        BENCH_TEST(what_is_not_done_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
