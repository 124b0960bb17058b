/* TagResource and UntagResource, and CreateSecret's tags. AWS_BEHAVIOUR 3.9, 2.3, 3.0, 4.4. */
#include "tests/unit/api_ops_bench.h"

#define KEY_CHARACTERS                                                                             \
    "Invalid tag key. Must be a valid tag key containing letters, digits, white space, or any of " \
    "the following: _.:/=+-@"
#define VALUE_CHARACTERS                                                                           \
    "Invalid tag value. Must be a valid tag value containing letters, digits, white space, or "    \
    "any of the following: _.:/=+-@"
#define SYSTEM(key)     "You can't modify system tags. Tag key: '" key "'."
#define TAG(key, value) "{\"Key\":\"" key "\",\"Value\":\"" value "\"}"
#define SET(list)       ID_("s", "\"Tags\":[" list "]")
#define UNSET(list)     ID_("s", "\"TagKeys\":[" list "]")

static void create(struct bench *bench) {
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
}

static void expect_tags(struct bench *bench, const char *expected) {
    json_t *described = bench_ok(bench, "DescribeSecret", ID("s"));

    assert_member(described, "Tags", expected);
    json_decref(described);
}

static double changed(struct bench *bench) {
    json_t *described = bench_ok(bench, "DescribeSecret", ID("s"));
    double date = number_of(described, "LastChangedDate");

    json_decref(described);
    return date;
}

/* 3.9 rows 1 to 3 and the last two. */
static void tags_come_and_go(void **state) {
    struct bench *bench = *state;
    json_t *reply;
    double before;

    create(bench);
    expect_tags(bench, NULL);
    before = changed(bench);
    bench->now_ms += 5000;
    reply = bench_ok(bench, "TagResource", SET(TAG("b", "1") "," TAG("a", "2")));
    assert_int_equal(json_object_size(reply), 0); /* returns nothing */
    json_decref(reply);
    assert_true(changed(bench) == before + 5);
    bench_do(bench, "TagResource", SET(TAG("c", "3") ",{\"Key\":\"b\"}," TAG("B", "x")));
    expect_tags(bench, "[" TAG("b", "") "," TAG("a", "2") "," TAG("c", "3") "," TAG("B", "x") "]");
    bench->now_ms += 5000;
    reply = bench_ok(bench, "UntagResource", UNSET("\"a\",\"absent\""));
    assert_int_equal(json_object_size(reply), 0);
    json_decref(reply);
    assert_true(changed(bench) == before + 10);
    expect_tags(bench, "[" TAG("b", "") "," TAG("c", "3") "," TAG("B", "x") "]");
    bench_do(bench, "UntagResource", UNSET("\"b\",\"B\",\"c\",\"c\""));
    expect_tags(bench, "[]");
    bench->now_ms += 5000;
    bench_do(bench, "UntagResource", UNSET("\"b\""));
    bench_do(bench, "UntagResource", UNSET(""));
    bench_do(bench, "TagResource", SET(""));
    assert_true(changed(bench) == before + 10);
}

/* 3.1: Tags are omitted for a secret that never had one. */
static void nothing_is_shown_where_nothing_was(void **state) {
    struct bench *bench = *state;

    create(bench);
    bench_do(bench, "TagResource", SET(""));
    bench_do(bench, "UntagResource", UNSET("\"a\""));
    expect_tags(bench, NULL);
}

/* 3.9: in any case, for both; and in CreateSecret. */
static void system_tags_are_refused(void **state) {
    struct bench *bench = *state;

    create(bench);
    bench_refused(bench, "TagResource",
                  SET(TAG("a", "b") "," TAG("aws:cloudformation:stack-name", "x")),
                  ERR_INVALID_PARAMETER, SYSTEM("aws:cloudformation:stack-name"));
    bench_refused(bench, "TagResource", SET(TAG("AWS:x", "x")), ERR_INVALID_PARAMETER,
                  SYSTEM("AWS:x"));
    bench_refused(bench, "UntagResource", UNSET("\"a\",\"Aws:x\""), ERR_INVALID_PARAMETER,
                  SYSTEM("Aws:x"));
    bench_refused(bench, "CreateSecret", CREATE("t", 2, ",\"Tags\":[" TAG("aWS:x", "") "]"),
                  ERR_INVALID_PARAMETER, SYSTEM("aWS:x"));
    bench_do(bench, "TagResource", SET(TAG("awsome", "aws:x")));
    expect_tags(bench, "[" TAG("awsome", "aws:x") "]");
}

static void keys_and_values_are_checked(void **state) {
    struct bench *bench = *state;
    char body[2048];
    char text[300];

    create(bench);
    bench_refused(bench, "TagResource", SET(TAG("a*", "b")), ERR_INVALID_PARAMETER, KEY_CHARACTERS);
    bench_refused(bench, "TagResource", SET(TAG("a", "b;c")), ERR_INVALID_PARAMETER,
                  VALUE_CHARACTERS);
    bench_refused(bench, "TagResource", SET(TAG("a\\n", "b")), ERR_INVALID_PARAMETER,
                  KEY_CHARACTERS);
    bench_refused(bench, "CreateSecret", CREATE("t", 2, ",\"Tags\":[" TAG("a", "{}") "]"),
                  ERR_INVALID_PARAMETER, VALUE_CHARACTERS);
    bench_do(bench, "TagResource",
             SET(TAG("Gr\xC3\xB6\xC3\x9F"
                     "e /=+-@:._",
                     "7 x")));
    bench_refused(bench, "TagResource", SET(TAG("a", "1") "," TAG("b", "2") "," TAG("a", "1")),
                  ERR_INVALID_PARAMETER,
                  "You can't use the same tag key more than once. Tag key: 'a'.");
    bench_refused(bench, "TagResource", SET("{\"Value\":\"1\"}"), ERR_INVALID_PARAMETER,
                  "A tag must have a key.");
    /* 2.3: C-2, 128 and 256. */
    memset(text, 'x', sizeof(text));
    (void)snprintf(body, sizeof(body), SET("{\"Key\":\"%.128s\",\"Value\":\"%.256s\"}"), text,
                   text);
    bench_do(bench, "TagResource", body);
    (void)snprintf(body, sizeof(body), SET("{\"Key\":\"%.129s\",\"Value\":\"%.257s\"}"), text,
                   text);
    text[129] = '\0';
    (void)snprintf(body + 1024, 1024,
                   "2 validation errors detected: Value '%s' at 'tags.1.member.key' failed to "
                   "satisfy constraint: Member must have length less than or equal to 128; Value "
                   "'%s%.128s' at 'tags.1.member.value' failed to satisfy constraint: Member must "
                   "have length less than or equal to 256",
                   text, text, text);
    bench_refused(bench, "TagResource", body, ERR_VALIDATION, body + 1024);
    bench_refused(bench, "TagResource", SET(TAG("", "")), ERR_VALIDATION,
                  "1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy "
                  "constraint: Member must have length greater than or equal to 1");
    bench_refused(bench, "UntagResource", UNSET("\"a\",\"\""), ERR_VALIDATION,
                  "1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy "
                  "constraint: Member must satisfy constraint: [Member must have length less than "
                  "or equal to 128, Member must have length greater than or equal to 1]");
    bench_refused(bench, "TagResource", "{\"SecretId\":\"s\"}", ERR_VALIDATION,
                  "1 validation error detected: Value null at 'tags' failed to satisfy "
                  "constraint: Member must not be null");
    bench_refused(bench, "UntagResource", "{}", ERR_VALIDATION,
                  "2 validation errors detected: Value null at 'secretId' failed to satisfy "
                  "constraint: Member must not be null; Value null at 'tagKeys' failed to satisfy "
                  "constraint: Member must not be null");
}

/* Tags k<from> to k<to - 1>, as a TagResource of "s". One buffer. */
static const char *many(unsigned from, unsigned to) {
    static char body[16384];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"SecretId\":\"s\",\"Tags\":[");

    for (unsigned i = from; i < to; i++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s{\"Key\":\"k%u\"}",
                                i == from ? "" : ",", i);
    }
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    return body;
}

/* 3.9 row 4: of the secret, not of the call. */
static void there_are_at_most_fifty(void **state) {
    struct bench *bench = *state;
    static const char sentence[] = "A secret can't have more than 50 tags.";

    create(bench);
    bench_refused(bench, "TagResource", many(0, 51), ERR_INVALID_PARAMETER, sentence);
    bench_do(bench, "TagResource", many(0, 30));
    bench_refused(bench, "TagResource", many(20, 51), ERR_INVALID_PARAMETER, sentence);
    bench_do(bench, "TagResource", many(20, 50));
    bench_do(bench, "TagResource", many(0, 50));
    bench_refused(bench, "TagResource", many(50, 51), ERR_INVALID_PARAMETER, sentence);
    bench->quotas.tags = 60;
    bench_do(bench, "TagResource", many(50, 60));
    bench_refused(bench, "TagResource", many(60, 61), ERR_INVALID_PARAMETER,
                  "A secret can't have more than 60 tags.");
}

/* 3.0 [rec], 2.2 [rec], 4.4. */
static void states_are_refused(void **state) {
    struct bench *bench = *state;
    static const char bad_name[] = "Invalid name. Must be a valid name containing alphanumeric "
                                   "characters, or any of the following: -/_+=.@!";

    bench_refused(bench, "TagResource", SET(TAG("a", "b")), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "UntagResource", UNSET("\"a\""), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "TagResource", ID_("Inv Name", "\"Tags\":[]"), ERR_VALIDATION, bad_name);
    bench_refused(bench, "UntagResource", ID_(" Inv *?!]Name\\\\-", "\"TagKeys\":[]"),
                  ERR_VALIDATION, bad_name);
    create(bench);
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "TagResource", SET(TAG("a", "b")), ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "TagResource", SET(""), ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "UntagResource", UNSET("\"a\""), ERR_INVALID_REQUEST, MARKED);
    bench_do(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    create(bench);
    bench_make_replica(bench, "s");
    bench_refused(bench, "TagResource", SET(TAG("a", "b")), ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "UntagResource", UNSET("\"a\""), ERR_INVALID_PARAMETER, ON_REPLICA);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tags_come_and_go),        TEST(nothing_is_shown_where_nothing_was),
        TEST(system_tags_are_refused), TEST(keys_and_values_are_checked),
        TEST(there_are_at_most_fifty), TEST(states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
