/* ListSecrets: pages, what is on them, orders and filters. Sources: AWS_BEHAVIOUR 2.3, 2.4, 3.1,
 * 3.10 and 4.5. */
#include "tests/unit/api_ops_bench.h"

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
    char body[2048];

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

/* ---- Orders ---- */

/* Five secrets of which every order is another. */
static void create_in_disorder(struct bench *bench) {
    static const char *const names[] = {"c", "a", "E", "b", "d"};
    static const char *const changed[] = {"d", "b", "c", "E", "a"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        create(bench, names[i], VALUE("v"));
    }
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        char body[256];
        bench->now_ms += 1000;
        (void)snprintf(
            body, sizeof(body),
            "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(2) "\"" VALUE("w") "}",
            changed[i]);
        bench_do(bench, "PutSecretValue", body);
    }
    bench_do(bench, "GetSecretValue", ID("b"));
    bench_do(bench, "GetSecretValue", ID("c"));
    bench->now_ms += BENCH_DAY_MS;
    bench_do(bench, "GetSecretValue", ID("a"));
}

/* The names in pages of `size`, each with a blank behind it. One buffer. */
static const char *names_in_pages(struct bench *bench, const char *members, int size) {
    static char names[4096];
    char rest[1024];
    char body[sizeof(rest) + 2];
    size_t len = 0;
    json_t *page;

    (void)snprintf(rest, sizeof(rest), ",\"MaxResults\":%d%s%s", size,
                   members[0] == '\0' ? "" : ",", members);
    (void)snprintf(body, sizeof(body), "{%s}", rest + 1);
    page = bench_ok(bench, "ListSecrets", body);
    for (;;) {
        assert_true(json_array_size(json_object_get(page, "SecretList")) <= (size_t)size);
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s", names_of(page));
        assert_true(len < sizeof(names));
        if (json_object_get(page, "NextToken") == NULL) {
            break;
        }
        page = next_page(bench, page, rest);
    }
    json_decref(page);
    return names;
}

/* 3.10: SortBy and SortOrder; created-date and asc unless told otherwise. A secret that was never
 * read stands before the first day. */
static void orders(void **state) {
    struct bench *bench = *state;
    static const struct {
        const char *members;
        const char *names;
    } rows[] = {
        {"", "c a E b d "},
        {"\"SortOrder\":\"asc\"", "c a E b d "},
        {"\"SortOrder\":\"desc\"", "d b E a c "},
        {"\"SortBy\":\"created-date\"", "c a E b d "},
        {"\"SortBy\":\"name\"", "E a b c d "},
        {"\"SortBy\":\"name\",\"SortOrder\":\"desc\"", "d c b a E "},
        {"\"SortBy\":\"last-changed-date\"", "d b c E a "},
        {"\"SortBy\":\"last-changed-date\",\"SortOrder\":\"desc\"", "a E c b d "},
        {"\"SortBy\":\"last-accessed-date\"", "E d c b a "},
        {"\"SortBy\":\"last-accessed-date\",\"SortOrder\":\"desc\"", "a b c d E "},
    };

    create_in_disorder(bench);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int size = 1; size <= 6; size++) {
            assert_string_equal(names_in_pages(bench, rows[i].members, size), rows[i].names);
        }
    }
}

/* ---- Filters ---- */

#define FILTERS(list)   "\"Filters\":[" list "]"
#define FILTER(key, of) "{\"Key\":\"" key "\",\"Values\":[" of "]}"

struct filter_row {
    const char *members;
    const char *names;
};

static void expect_rows(struct bench *bench, const struct filter_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (int size = 1; size <= 3; size++) {
            const char *found = names_in_pages(bench, rows[i].members, size);
            if (strcmp(found, rows[i].names) != 0) {
                fail_msg("%s: %s", rows[i].members, found);
            }
        }
    }
}

/* 3.10, the recorded description rows and what they say of names; results in order of creation. */
static void filters_on_descriptions_and_names(void **state) {
    struct bench *bench = *state;
    static const struct filter_row rows[] = {
        {FILTERS(FILTER("description", "\"a\"")), "testing1/one /testing1/two testing2/three "},
        {FILTERS(FILTER("description", "\"a secret\"")), "testing1/one /testing1/two "},
        {FILTERS(FILTER("description", "\"!a\"")), "testing2/four "},
        {FILTERS(FILTER("description", "\"!c\"")),
         "testing1/one /testing1/two testing2/three testing2/four "},
        {FILTERS(FILTER("description", "\"a\"") "," FILTER("name", "\"secret\"")), ""},
        {FILTERS(FILTER("description", "\"a\"") "," FILTER("name", "\"an\"")), ""},
        {FILTERS(FILTER("name", "\"/\"")), "/testing1/two "},
        {FILTERS(FILTER("name", "\"!/\"")), "testing1/one testing2/three testing2/four bare "},
        {FILTERS(FILTER("name", "\"testing1 one\"")), ""},
        {FILTERS(FILTER("name", "\"testing1\",\"bare\"")), "testing1/one bare "},
        {FILTERS(FILTER("name", "\"testing\"") "," FILTER("name", "\"testing2\"")),
         "testing2/three testing2/four "},
        {FILTERS(FILTER("name", "\"\"")),
         "testing1/one /testing1/two testing2/three testing2/four bare "},
        {FILTERS(FILTER("all", "\"th testing2\"")), "testing2/three "},
        {FILTERS(FILTER("all", "\"secret\"")), "testing1/one /testing1/two "},
        {FILTERS(FILTER("all", "\"+\"")), ""},
        {FILTERS(FILTER("all", "\"+\",\"bare\"")), "bare "},
        {FILTERS(FILTER("owning-service", "\"rds\"")), ""},
        {FILTERS(FILTER("owning-service", "\"!rds\"")),
         "testing1/one /testing1/two testing2/three testing2/four bare "},
        {FILTERS(FILTER("name", "\"testing\"")) ",\"SortBy\":\"name\",\"SortOrder\":\"desc\"",
         "testing2/three testing2/four testing1/one "},
    };

    create(bench, "testing1/one", ",\"Description\":\"a secret\"");
    create(bench, "/testing1/two", ",\"Description\":\"an secret\"");
    create(bench, "testing2/three", ",\"Description\":\"asecret\"");
    create(bench, "testing2/four", ",\"Description\":\"thesecret\"");
    create(bench, "bare", "");
    expect_rows(bench, rows, ARRAY_LEN(rows));
}

static void filters_on_tags(void **state) {
    struct bench *bench = *state;
    static const struct filter_row rows[] = {
        {FILTERS(FILTER("tag-key", "\"te\"")), "a b "},
        {FILTERS(FILTER("tag-key", "\"Te\"")), ""},
        {FILTERS(FILTER("tag-key", "\"team\"") "," FILTER("tag-value", "\"blue\"")), "a "},
        {FILTERS(FILTER("tag-value", "\"\"")), "a b "},
        {FILTERS(FILTER("tag-key", "\"!env\"")), "b c "},
        {FILTERS(FILTER("all", "\"blue\"")), "a "},
        {FILTERS(FILTER("all", "\"blue\"")) ",\"IncludePlannedDeletion\":true", "a d "},
    };

    create(
        bench, "a",
        ",\"Tags\":[{\"Key\":\"env\",\"Value\":\"prod\"},{\"Key\":\"team\",\"Value\":\"blue\"}]");
    create(bench, "b", ",\"Tags\":[{\"Key\":\"team\",\"Value\":\"red\"}]");
    create(bench, "c", "");
    create(bench, "d", ",\"Description\":\"not Blue\"");
    schedule(bench, "d");
    expect_rows(bench, rows, ARRAY_LEN(rows));
}

/* 4.5: what PrimaryRegion shows is what the filter looks at. */
static void filters_on_the_primary_region(void **state) {
    struct bench *bench = *state;
    static const struct filter_row rows[] = {
        {FILTERS(FILTER("primary-region", "\"us-east-1\"")), "replica "},
        {FILTERS(FILTER("primary-region", "\"us\"")), "replica "},
        {FILTERS(FILTER("primary-region", "\"eu\"")), "primary "},
        {FILTERS(FILTER("primary-region", "\"" BENCH_REGION "\"")), "primary "},
        {FILTERS(FILTER("primary-region", "\"eu\",\"us\"")), "primary replica "},
        {FILTERS(FILTER("primary-region", "\"eu-west-1\"")), ""},
        {FILTERS(FILTER("primary-region", "\"!us-east-1\"")), "primary alone "},
        {FILTERS(FILTER("primary-region", "\"!us\"") "," FILTER("name", "\"p\"")), "primary "},
    };

    create(bench, "primary", VALUE("v") ",\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]");
    create(bench, "replica", VALUE("v"));
    bench_make_replica(bench, "replica");
    create(bench, "alone", "");
    expect_rows(bench, rows, ARRAY_LEN(rows));
}

/* 2.1, 2.3 and 2.4. */
static void bad_members(void **state) {
    struct bench *bench = *state;
    static const char eleven[] =
        "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"1\",\"2\",\"3\",\"4\","
        "\"5\",\"6\",\"7\",\"8\",\"9\",\"0\",\"1\"]}]}";
    char body[1024];
    char longest[LIMIT_FILTER_VALUE + 2];

    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Values\":[\"x\"]}]}",
                  ERR_INVALID_PARAMETER, "Invalid filter key");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"name\"}]}", ERR_INVALID_PARAMETER,
                  "Invalid filter values for key: name");
    bench_refused(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"invalid\",\"Values\":[\"x\"]}]}",
                  ERR_VALIDATION,
                  "1 validation error detected: Value 'invalid' at 'filters.1.member.key' failed "
                  "to satisfy constraint: Member must satisfy enum value set: [all, name, tag-key, "
                  "description, tag-value, primary-region, owning-service]");
    bench_refused(bench, "ListSecrets", "{\"SortBy\":\"size\"}", ERR_VALIDATION,
                  "1 validation error detected: Value 'size' at 'sortBy' failed to satisfy "
                  "constraint: Member must satisfy enum value set: [created-date, "
                  "last-accessed-date, last-changed-date, name]");
    bench_refused(bench, "ListSecrets", "{\"SortOrder\":\"up\"}", ERR_VALIDATION,
                  "1 validation error detected: Value 'up' at 'sortOrder' failed to satisfy "
                  "constraint: Member must satisfy enum value set: [asc, desc]");
    bench_refused(bench, "ListSecrets", "{\"MaxResults\":0}", ERR_VALIDATION,
                  "1 validation error detected: Value '0' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value greater than or equal to 1");
    bench_refused(bench, "ListSecrets", "{\"MaxResults\":101}", ERR_VALIDATION,
                  "1 validation error detected: Value '101' at 'maxResults' failed to satisfy "
                  "constraint: Member must have value less than or equal to 100");
    for (size_t i = 0; i < 3; i++) {
        static const char *const bodies[] = {
            eleven,
            "{\"Filters\":[{\"Key\":\"name\",\"Values\":[]}]}",
            "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"a*\"]}]}",
        };
        json_t *reply = NULL;
        assert_int_equal(bench_call(bench, "ListSecrets", bodies[i], &reply), ERR_VALIDATION);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (int over = 1; over >= 0; over--) {
        json_t *reply = NULL;
        (void)snprintf(body, sizeof(body), "{\"Filters\":[{\"Key\":\"all\",\"Values\":[\"%s\"]}]}",
                       longest + 1 - over);
        assert_int_equal(bench_call(bench, "ListSecrets", body, &reply),
                         over ? ERR_VALIDATION : OK);
        json_decref(reply);
    }
    /* C-23: '!' inside. */
    bench_do(bench, "ListSecrets", "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"rds!db\"]}]}");
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(an_empty_account),
        BENCH_TEST(entries_follow_the_presence_rules),
        BENCH_TEST(pages_in_order_of_creation),
        BENCH_TEST(scheduled_ones_only_when_asked_for),
        BENCH_TEST(large_entries),
        BENCH_TEST(many_that_are_not_shown),
        BENCH_TEST(orders),
        BENCH_TEST(filters_on_descriptions_and_names),
        BENCH_TEST(filters_on_tags),
        BENCH_TEST(filters_on_the_primary_region),
        BENCH_TEST(bad_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
