/* Parameters as text: the Query form of requests (AWS_BEHAVIOUR 1.11) and what botocore makes of
 * nested values in a presigned URL (1.10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/literal.h"
#include "api/query.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/world.h"

#define TAG(X)                                                                                     \
    X(STR, key, "Key", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, value, "Value", F_NONE, 0, SHAPE_NO_MAX, NULL)                                          \
    X(STRS, values, "Values", F_NONE, 0, SHAPE_NO_MAX, NULL)
#define RULES(X)                                                                                   \
    X(INT, days, "AutomaticallyAfterDays", F_NONE, 0, SHAPE_NO_MAX, NULL)                          \
    X(STR, duration, "Duration", F_NONE, 0, SHAPE_NO_MAX, NULL)
#define PARAMETERS(X)                                                                              \
    X(STR, id, "SecretId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                          \
    X(SECRET, value, "SecretString", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(BLOB, binary, "SecretBinary", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(INT, days, "RecoveryWindowInDays", F_NONE, 0, SHAPE_NO_MAX, NULL)                            \
    X(BOOL, force, "Force", F_NONE, 0, 0, NULL)                                                    \
    X(STRS, keys, "TagKeys", F_NONE, 0, SHAPE_NO_MAX, NULL)                                        \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &tag_shape)                                     \
    X(STRUCT, rules, "RotationRules", F_NONE, 0, SHAPE_NO_MAX, &rules_shape)

DECLARE_SHAPE_STRUCT(tag, TAG)
#define SHAPE_SELF struct tag
DEFINE_SHAPE(tag, TAG)
#undef SHAPE_SELF
DECLARE_SHAPE_STRUCT(rules, RULES)
#define SHAPE_SELF struct rules
DEFINE_SHAPE(rules, RULES)
#undef SHAPE_SELF
DECLARE_SHAPE_STRUCT(parameters, PARAMETERS)
#define SHAPE_SELF struct parameters
DEFINE_SHAPE(parameters, PARAMETERS)
#undef SHAPE_SELF

static struct arena arena;
static struct buf out;
static struct err err;

static int setup(void **state) {
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&out, LIMIT_REPLY_BODY);
    return 0;
}

static int teardown(void **state) {
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

static struct query_text query(const char *text) {
    return (struct query_text){.text = text, .len = strlen(text)};
}

static struct query_text form(const char *text) {
    return (struct query_text){.text = text, .len = strlen(text), .is_form = true};
}

static enum errc convert(const struct query_text *texts, size_t n) {
    err.code = OK;
    buf_reset(&out);
    return query_to_json(&parameters_shape, texts, n, &arena, &out, &err);
}

static void gives(struct query_text text, const char *json) {
    if (convert(&text, 1) != OK) {
        fail_msg("%s: %s", text.text, err.message);
    }
    assert_false(out.failed);
    buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, json);
}

static void refuses(const char *text, const char *sentence) {
    const struct query_text texts[] = {query(text)};

    assert_int_equal(convert(texts, 1), ERR_SERIALIZATION);
    assert_int_equal(err.code, ERR_SERIALIZATION);
    assert_string_equal(err.message, sentence);
}

static void test_single_values(void **state) {
    gives(query(""), "{}");
    gives(query("&&=&X-Amz-Date=1&Secretid=x"), "{}");
    gives(query("SecretId=a%2Fb+c%20d"), "{\"SecretId\":\"a/b+c d\"}");
    gives(form("SecretId=a%2Fb+c%20d%2B"), "{\"SecretId\":\"a/b c d+\"}");
    gives(query("SecretId"), "{\"SecretId\":\"\"}");
    gives(query("SecretId=a=b"), "{\"SecretId\":\"a=b\"}");
    gives(query("SecretString=%22%5C%00%c3%A4"), "{\"SecretString\":\"\\\"\\\\\\u0000\xC3\xA4\"}");
    gives(query("SecretBinary=Zm9v%2B%2F8%3D"), "{\"SecretBinary\":\"Zm9v+/8=\"}");
    /* The signature knows no difference between these, so there is none. */
    gives(query("%53ecret%49d=x"), "{\"SecretId\":\"x\"}");
}

static void test_numbers_and_booleans(void **state) {
    gives(query("RecoveryWindowInDays=7&Force=true"),
          "{\"RecoveryWindowInDays\":7,\"Force\":true}");
    gives(query("RecoveryWindowInDays=-7&Force=false"),
          "{\"RecoveryWindowInDays\":-7,\"Force\":false}");
    gives(query("Force=True"), "{\"Force\":true}"); /* botocore: Python's str() */
    gives(query("Force=False"), "{\"Force\":false}");
    /* What is neither stays a text, for the decoder to refuse. */
    gives(query("RecoveryWindowInDays=07&Force=TRUE"),
          "{\"RecoveryWindowInDays\":\"07\",\"Force\":\"TRUE\"}");
    gives(query("RecoveryWindowInDays=9999999999999999999&Force="),
          "{\"RecoveryWindowInDays\":\"9999999999999999999\",\"Force\":\"\"}");
    gives(query("RecoveryWindowInDays=-"), "{\"RecoveryWindowInDays\":\"-\"}");
}

/* 1.11: lists as AWS Query has them. */
static void test_members(void **state) {
    gives(query("TagKeys.member.1=a&TagKeys.member.2=b"), "{\"TagKeys\":[\"a\",\"b\"]}");
    gives(query("TagKeys.member.2=b&TagKeys.member.10=c&TagKeys.member.1=a"),
          "{\"TagKeys\":[\"a\",\"b\",\"c\"]}");
    gives(query("Tags.member.2.Value=w&Tags.member.1.Key=k&Tags.member.2.Key=l&Tags.member.1."
                "Value=v&Tags.member.1.Other=x"),
          "{\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"},{\"Key\":\"l\",\"Value\":\"w\"}]}");
    gives(query("Tags.member.1.Values.member.2=b&Tags.member.1.Values.member.1=a&Tags.member.1.Key="
                "k"),
          "{\"Tags\":[{\"Key\":\"k\",\"Values\":[\"a\",\"b\"]}]}");
    gives(
        query("RotationRules.AutomaticallyAfterDays=7&RotationRules.Duration=2h&RotationRulesX=1"),
        "{\"RotationRules\":{\"AutomaticallyAfterDays\":7,\"Duration\":\"2h\"}}");
    gives(query("TagKeys=&Tags=&RotationRules="),
          "{\"TagKeys\":[],\"Tags\":[],\"RotationRules\":{}}");
    gives(query("Tags.member.1.Unknown=x"), "{\"Tags\":[{}]}");
    gives(query("Tags.member.1=&Tags.member.2.Key=k"), "{\"Tags\":[{},{\"Key\":\"k\"}]}");
}

/* An index says the order; nothing is made for those that are left out. */
static void test_sparse_and_huge_indices(void **state) {
    size_t before;

    gives(query("TagKeys.member.1024=z&TagKeys.member.7=a"), "{\"TagKeys\":[\"a\",\"z\"]}");
    before = arena.used;
    gives(query("Tags.member.1024.Key=k"), "{\"Tags\":[{\"Key\":\"k\"}]}");
    assert_true(arena.used - before < 64 * 1024);
    for (size_t i = 0; i < 8; i++) {
        static const char *const indices[] = {"0",          "01",  "1025", "18446744073709551617",
                                              "4294967297", "one", "-1",   ""};
        char text[64];
        (void)snprintf(text, sizeof(text), "TagKeys.member.%s=x", indices[i]);
        refuses(text, "The elements of TagKeys are named TagKeys.member.1 to TagKeys.member.1024");
    }
    refuses("TagKeys.1=x",
            "The elements of TagKeys are named TagKeys.member.1 to TagKeys.member.1024");
    refuses("Tags.member=x", "The elements of Tags are named Tags.member.1 to Tags.member.1024");
}

static void test_wrong_forms(void **state) {
    static const char structure[] = "Start of structure or map found where not expected.";

    refuses("SecretId=%", "A parameter of the request is not well encoded");
    refuses("SecretId=%4", "A parameter of the request is not well encoded");
    refuses("x=%zz", "A parameter of the request is not well encoded");
    refuses("SecretId=%ff", "The parameter SecretId is not well encoded");
    refuses("TagKeys=a&TagKeys=%ff", "The parameter TagKeys is not well encoded");
    refuses("SecretId=a&SecretId=a", "The parameter SecretId is given more than once");
    refuses("SecretId=a&%53ecretId=a", "The parameter SecretId is given more than once");
    refuses("Tags.member.1.Key=a&Tags.member.1.Key=a", "The parameter Key is given more than once");
    refuses("TagKeys.member.1=a&TagKeys.member.1=b",
            "The parameter TagKeys is given more than once");
    refuses("TagKeys=a&TagKeys.member.1=b", "The parameter TagKeys is given more than once");
    refuses("RotationRules={}&RotationRules.Duration=1h",
            "The parameter RotationRules is given more than once");
    refuses("Tags.member.1={}&Tags.member.1.Key=a", "The parameter Tags is given more than once");
    refuses("SecretId.x=a", structure);
    refuses("TagKeys.member.1.Key=a", structure);
    refuses("RotationRules.Duration.Hours=a", structure);
    refuses("Tags=a", "The parameter Tags is not a structure that can be read");
    refuses("Tags.member.1=a", "The parameter Tags is not a structure that can be read");
    refuses("RotationRules=7", "The parameter RotationRules is not a structure that can be read");
}

/* Query and form body of one request are one list of parameters. */
static void test_two_texts(void **state) {
    const struct query_text texts[] = {query("SecretId=a%20b&X-Amz-Date=1"),
                                       form("Force=true&TagKeys.member.1=x+y")};
    const struct query_text twice[] = {query("SecretId=a"), form("SecretId=a")};

    assert_int_equal(convert(texts, 2), OK);
    buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data,
                        "{\"SecretId\":\"a b\",\"Force\":true,\"TagKeys\":[\"x y\"]}");
    assert_int_equal(convert(twice, 2), ERR_SERIALIZATION);
}

static void test_too_many_parameters(void **state) {
    struct buf text;
    struct query_text one;

    buf_init(&text, LIMIT_HTTP_BODY);
    for (int i = 1; i <= LIMIT_FORM_PARAMS; i++) {
        buf_printf(&text, "%sTagKeys.member.%d=x", i == 1 ? "" : "&", i);
    }
    one = (struct query_text){.text = (const char *)text.data, .len = text.len, .is_form = true};
    assert_int_equal(convert(&one, 1), OK);
    buf_append_str(&text, "&a=b");
    one = (struct query_text){.text = (const char *)text.data, .len = text.len, .is_form = true};
    assert_int_equal(convert(&one, 1), ERR_SERIALIZATION);
    assert_string_equal(err.message, "The request has more than 1024 parameters");
    buf_fini(&text);
}

/* 1.10: what botocore makes of lists and structures. */
static void test_presigned_values(void **state) {
    gives(query("TagKeys=a&SecretId=x&TagKeys=b"),
          "{\"SecretId\":\"x\",\"TagKeys\":[\"a\",\"b\"]}");
    gives(query("TagKeys=b&TagKeys=a"), "{\"TagKeys\":[\"b\",\"a\"]}"); /* as they came */
    gives(
        query("Tags=%7B%27Key%27%3A%20%27k%27%2C%20%27Value%27%3A%20%27v%27%7D&Tags=%7B%27Key%27%3"
              "A%20%22it%27s%22%7D"),
        "{\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"},{\"Key\":\"it's\"}]}");
    gives(query("Tags={'Key': 'name', 'Values': ['a', 'b']}"),
          "{\"Tags\":[{\"Key\":\"name\",\"Values\":[\"a\",\"b\"]}]}");
    gives(query("RotationRules={'AutomaticallyAfterDays': 7}"),
          "{\"RotationRules\":{\"AutomaticallyAfterDays\":7}}");
}

static void literal(const char *text, const char *json) {
    buf_reset(&out);
    assert_true(literal_to_json((const uint8_t *)text, strlen(text), &out));
    buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, json);
}

static void test_literals(void **state) {
    literal("{}", "{}");
    literal(" { } ", "{}");
    literal("{'a': -1, \"b\": True, 'c': None, 'd': [], 'e': [1, 'x', {'f': False}]}",
            "{\"a\":-1,\"b\":true,\"c\":null,\"d\":[],\"e\":[1,\"x\",{\"f\":false}]}");
    literal("{\"a\":true,\"b\":false,\"c\":null}", "{\"a\":true,\"b\":false,\"c\":null}");
    /* Escapes of both languages. */
    literal("{'a': '\\'\\\"\\\\\\n\\t\\x07\\xe9\\u200b\\U0001f512'}",
            "{\"a\":\"'\\\"\\\\\\n\\t\\u0007\xC3\xA9\xE2\x80\x8B\xF0\x9F\x94\x92\"}");
    literal("{\"a\": \"\\/\\b\\f\\ud83d\\udd12\xC3\xA9\"}",
            "{\"a\":\"/\\u0008\\u000c\xF0\x9F\x94\x92\xC3\xA9\"}");
}

static void test_bad_literals(void **state) {
    static const char *const bad[] = {
        "",
        "{",
        "{'a'}",
        "{'a':}",
        "{'a': 1,}",
        "{,}",
        "{'a' 1}",
        "{a: 1}",
        "{1: 1}",
        "{'a': 1} x",
        "[]",
        "'a'",
        "1",
        "{'a': 01}",
        "{'a': 1.5}",
        "{'a': -}",
        "{'a': 1e5}",
        "{'a': 'b}",
        "{'a': 'b\"}",
        "{'a': '\\q'}",
        "{'a': '\\'",
        "{'a': '\\x'",
        "{'a': '\\x1g'}",
        "{'a': '\\ud800'}",
        "{'a': '\\udc00'}",
        "{'a': '\n'}",
        "{'a': nil}",
        "{'a': (1,)}",
        "{'a': b'x'}",
        "{'a': '\\ud800\\u0041'}",
        "{'a': '\\U00110000'}",
        "{'a': {}",
        "{'a': [}}",
        "{'a': 1234567890123456789}",
    };
    char deep[256] = "{'a':";
    size_t at = strlen(deep);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_reset(&out);
        if (literal_to_json((const uint8_t *)bad[i], strlen(bad[i]), &out)) {
            fail_msg("%s was read", bad[i]);
        }
    }
    memset(deep + at, '[', 64);
    memset(deep + at + 64, ']', 64);
    deep[at + 128] = '}';
    assert_false(literal_to_json((const uint8_t *)deep, at + 129, &out));
}

static void test_query_get(void **state) {
    const struct query_text text =
        query("Action=Get%53ecretValue&Empty=&No%6e=1&Nul=%00&Bad=%&Two=a&Tw%6F=a");
    char value[16] = "unchanged";

    assert_int_equal(query_get(&text, "Act", value, sizeof(value)), QUERY_ABSENT);
    assert_int_equal(query_get(&text, "action", value, sizeof(value)), QUERY_ABSENT);
    assert_int_equal(query_get(&text, "Nul", value, sizeof(value)), QUERY_BAD);
    assert_int_equal(query_get(&text, "Bad", value, sizeof(value)), QUERY_BAD);
    assert_int_equal(query_get(&text, "Action", value, 14), QUERY_BAD); /* needs 15 */
    assert_string_equal(value, "unchanged");
    assert_int_equal(query_get(&text, "Action", value, 15), QUERY_FOUND);
    assert_string_equal(value, "GetSecretValue");
    assert_int_equal(query_get(&text, "Non", value, sizeof(value)), QUERY_FOUND);
    assert_int_equal(query_get(&text, "Empty", value, sizeof(value)), QUERY_FOUND);
    assert_string_equal(value, "");
    assert_int_equal(query_get(&text, "Two", value, sizeof(value)), QUERY_BAD);
}

/* Whatever is in a text: it is refused or gives JSON that the decoder can read. */
static void test_random_texts(void **state) {
    static const char *const words[] = {"Tags",
                                        "TagKeys",
                                        "RotationRules",
                                        "SecretId",
                                        ".member.",
                                        ".Key",
                                        ".Values",
                                        "=",
                                        "&",
                                        "1",
                                        "2",
                                        "1024",
                                        "{'Key': 'k'}",
                                        "{",
                                        "}",
                                        "'",
                                        "%",
                                        "%27",
                                        "+",
                                        ".",
                                        "True",
                                        "\\x41",
                                        "[",
                                        "]",
                                        ",",
                                        ": ",
                                        "\xC3",
                                        "%ff",
                                        "a",
                                        "-"};
    const char *given = getenv("REDOUBT_SEED");
    uint64_t draw = 0;

    if (given != NULL) {
        draw = strtoull(given, NULL, 10);
    } else {
        world_random(world_system(), &draw, sizeof(draw));
    }
    draw |= 1;
    print_message("seed %" PRIu64 "\n", draw);
    for (int round = 0; round < 20000; round++) {
        char text[512] = "";
        size_t len = 0;
        size_t n;
        draw ^= draw << 13;
        draw ^= draw >> 7;
        draw ^= draw << 17;
        n = draw % 24;
        for (uint64_t bits = draw; n > 0; n--) {
            const char *word;
            bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407;
            word = words[(bits >> 33) % ARRAY_LEN(words)];
            memcpy(text + len, word, strlen(word));
            len += strlen(word);
        }
        {
            const struct query_text one = {.text = text, .len = len, .is_form = (draw & 64) != 0};
            enum errc code = convert(&one, 1);
            struct parameters *in = arena_alloc(&arena, sizeof(*in));
            assert_non_null(in);
            assert_true(code == OK || (code == ERR_SERIALIZATION && err.message[0] != '\0'));
            assert_false(out.failed);
            if (code == OK) {
                code = shape_decode(&parameters_shape, out.data, out.len, &quotas_default, &arena,
                                    in, &err);
                assert_true(code == OK || code == ERR_SERIALIZATION || code == ERR_VALIDATION);
            }
        }
        arena_fini(&arena);
        arena_init(&arena, LIMIT_REQUEST_ARENA);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_single_values),
        TEST(test_numbers_and_booleans),
        TEST(test_members),
        TEST(test_sparse_and_huge_indices),
        TEST(test_wrong_forms),
        TEST(test_two_texts),
        TEST(test_too_many_parameters),
        TEST(test_presigned_values),
        TEST(test_literals),
        TEST(test_bad_literals),
        TEST(test_query_get),
        TEST(test_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
