/* Shapes: every kind of member in and out, every sentence of the validation, what is never echoed,
 * and what is no JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/shape.h"
#include "base/limits.h"

static bool is_region(const char *text) {
    return strcmp(text, "eu-west-1") == 0;
}

static const char *const orders[] = {"asc", "desc", NULL};
static const struct str_rule order_rule = {.values = orders};
static const struct str_rule region_rule = {.matches = is_region, .pattern = "^([a-z]+-)+\\d+$"};
static const struct str_rule stage_rule = {.min = 1, .max = 256};
static const struct str_rule regions_rule = {
    .matches = is_region, .pattern = "^([a-z]+-)+\\d+$", .min = 1, .max = 128};

#define TAG(X)                                                                                     \
    X(STR, key, "Key", F_REQ, 1, 128, NULL)                                                        \
    X(STR, value, "Value", F_NONE, 0, 256, NULL)
DECLARE_SHAPE_STRUCT(tag, TAG)
#define SHAPE_SELF struct tag
DEFINE_SHAPE(tag, TAG)
#undef SHAPE_SELF

static bool is_digits(const char *text) {
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}
static const struct str_rule ticket_rule = {.matches = is_digits, .pattern = "^[0-9]+$"};

#define RICH(X)                                                                                    \
    X(STR, id, "SecretId", F_SECRET_ID, 1, 2048, NULL)                                             \
    X(STR, name, "Name", F_NAME, 1, 512, NULL)                                                     \
    X(STR, description, "Description", F_NONE, 0, 2048, NULL)                                      \
    X(STR, order, "SortOrder", F_NONE, 0, SHAPE_NO_MAX, &order_rule)                               \
    X(STR, region, "Region", F_NONE, 1, 128, &region_rule)                                         \
    X(TOKEN, token, "ClientRequestToken", F_NONE, 32, 64, NULL)                                    \
    X(SECRET, string, "SecretString", F_NONE, 1, LIMIT_VALUE, NULL)                                \
    X(SECRET, ticket, "Ticket", F_NONE, 4, 8, &ticket_rule)                                        \
    X(BLOB, binary, "SecretBinary", F_NONE, 1, LIMIT_VALUE, NULL)                                  \
    X(BOOL, force, "Force", F_NONE, 0, 0, NULL)                                                    \
    X(INT, length, "PasswordLength", F_NONE, 1, 4096, NULL)                                        \
    X(STRS, stages, "VersionStages", F_NONE, 1, 20, &stage_rule)                                   \
    X(STRS, regions, "RemoveReplicaRegions", F_NONE, 1, SHAPE_NO_MAX, &regions_rule)               \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &tag_shape)                                     \
    X(LIST, few, "Filters", F_NONE, 1, 2, &tag_shape)
DECLARE_SHAPE_STRUCT(rich, RICH)
#define SHAPE_SELF struct rich
DEFINE_SHAPE(rich, RICH)
#undef SHAPE_SELF

#define NEED(X)                                                                                    \
    X(STR, id, "SecretId", F_REQ | F_SECRET_ID, 1, 2048, NULL)                                     \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IR, 32, 64, NULL)                                \
    X(LIST, tags, "Tags", F_REQ, 0, SHAPE_NO_MAX, &tag_shape)
DECLARE_SHAPE_STRUCT(need, NEED)
#define SHAPE_SELF struct need
DEFINE_SHAPE(need, NEED)
#undef SHAPE_SELF

#define ROTATE(X) X(TOKEN, token, "ClientRequestToken", F_TOKEN_IP, 32, 64, NULL)
DECLARE_SHAPE_STRUCT(rotate, ROTATE)
#define SHAPE_SELF struct rotate
DEFINE_SHAPE(rotate, ROTATE)
#undef SHAPE_SELF

#define REPLY(X)                                                                                   \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(TOKEN, token, "Token", F_NONE, 0, SHAPE_NO_MAX, NULL)                                        \
    X(SECRET, string, "SecretString", F_NONE, 0, SHAPE_NO_MAX, NULL)                               \
    X(BLOB, binary, "SecretBinary", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(BOOL, enabled, "RotationEnabled", F_NONE, 0, 0, NULL)                                        \
    X(INT, days, "Days", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STRS, stages, "VersionStages", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &tag_shape)                                     \
    X(STAGES, versions, "VersionIdsToStages", F_NONE, 0, SHAPE_NO_MAX, NULL)
DECLARE_SHAPE_STRUCT(reply, REPLY)
#define SHAPE_SELF struct reply
DEFINE_SHAPE(reply, REPLY)
#undef SHAPE_SELF

#define QUOTED(X)                                                                                  \
    X(SECRET, string, "SecretString", F_VALUE_QUOTA, 1, LIMIT_VALUE, NULL)                         \
    X(BLOB, binary, "SecretBinary", F_VALUE_QUOTA, 1, LIMIT_VALUE, NULL)                           \
    X(STR, policy, "ResourcePolicy", F_POLICY_QUOTA, 1, LIMIT_POLICY, NULL)
DECLARE_SHAPE_STRUCT(quoted, QUOTED)
#define SHAPE_SELF struct quoted
DEFINE_SHAPE(quoted, QUOTED)
#undef SHAPE_SELF

/* One decoding with what it needs. */
struct fixture {
    struct arena arena;
    struct rich rich;
    struct err err;
    enum errc code;
};

static struct fixture fx;

static void decode_bytes(const void *body, size_t len) {
    arena_fini(&fx.arena);
    memset(&fx, 0, sizeof(fx));
    arena_init(&fx.arena, LIMIT_REQUEST_ARENA);
    fx.code = shape_decode(&rich_shape, body, len, &quotas_default, &fx.arena, &fx.rich, &fx.err);
}

static void decode(const char *body) {
    decode_bytes(body, strlen(body));
}

static int teardown(void **state) {
    arena_fini(&fx.arena);
    return 0;
}

static void refused(const char *body, enum errc code, const char *message) {
    decode(body);
    assert_int_equal(fx.code, code);
    assert_int_equal(fx.err.code, code);
    assert_string_equal(fx.err.message, message);
}

static void violates(const char *body, const char *violation) {
    char message[ERR_MESSAGE_MAX];

    (void)snprintf(message, sizeof(message), "1 validation error detected: %s", violation);
    refused(body, ERR_VALIDATION, message);
}

/* `fmt` with its %s replaced by `times` times `fill`, in fresh memory that the caller frees. */
static char *make(const char *fmt, const char *fill, size_t times) {
    const char *at = strstr(fmt, "%s");
    size_t unit = strlen(fill);
    size_t before;
    char *out = calloc(1, strlen(fmt) + unit * times + 1);

    assert_non_null(at);
    assert_non_null(out);
    before = (size_t)(at - fmt);
    memcpy(out, fmt, before);
    for (size_t i = 0; i < times; i++) {
        memcpy(out + before + i * unit, fill, unit);
    }
    memcpy(out + before + unit * times, at + 2, strlen(at + 2));
    return out;
}

static void test_every_kind(void **state) {
    decode("{\"SecretId\":\"a/b\",\"Name\":\"n\",\"Description\":\"\\u00e4\\n\","
           "\"SortOrder\":\"desc\",\"Region\":\"eu-west-1\","
           "\"ClientRequestToken\":\"0123456789abcdef0123456789abcdef\","
           "\"SecretString\":\"s\\u0000t\",\"SecretBinary\":\"Zm9vAGJhcg==\",\"Force\":true,"
           "\"PasswordLength\":4096,\"VersionStages\":[\"A\",\"B\"],"
           "\"RemoveReplicaRegions\":[\"eu-west-1\"],"
           "\"Tags\":[{\"Key\":\"k\",\"Value\":\"\"},{\"Key\":\"l\"}],\"Unknown\":{\"x\":[1]}}");
    assert_int_equal(fx.code, OK);
    assert_string_equal(fx.rich.id, "a/b");
    assert_string_equal(fx.rich.name, "n");
    assert_string_equal(fx.rich.description, "\xC3\xA4\n");
    assert_string_equal(fx.rich.order, "desc");
    assert_string_equal(fx.rich.region, "eu-west-1");
    assert_string_equal(fx.rich.token, "0123456789abcdef0123456789abcdef");
    assert_int_equal(fx.rich.string->len, 3);
    assert_memory_equal(fx.rich.string->data, "s\0t", 3);
    assert_int_equal(fx.rich.binary->len, 7);
    assert_memory_equal(fx.rich.binary->data, "foo\0bar", 7);
    assert_true(fx.rich.force.present && fx.rich.force.value);
    assert_true(fx.rich.length.present);
    assert_int_equal(fx.rich.length.value, 4096);
    assert_true(fx.rich.stages.present);
    assert_int_equal(fx.rich.stages.n, 2);
    assert_string_equal(fx.rich.stages.items[1], "B");
    assert_int_equal(fx.rich.regions.n, 1);
    assert_int_equal(fx.rich.tags.n, 2);
    assert_string_equal(((const struct tag *)fx.rich.tags.items)[0].value, "");
    assert_string_equal(((const struct tag *)fx.rich.tags.items)[1].key, "l");
    assert_null(((const struct tag *)fx.rich.tags.items)[1].value);
    assert_false(fx.rich.few.present);
    assert_string_equal(shape_text(&rich_shape, &fx.rich, F_NAME), "n");
    assert_string_equal(shape_text(&rich_shape, &fx.rich, F_SECRET_ID | F_NAME), "a/b");
    assert_null(shape_text(&tag_shape, fx.rich.tags.items, F_NAME));
}

static void test_absent(void **state) {
    static const char nulls[] =
        "{\"SecretId\":null,\"Force\":null,\"PasswordLength\":null,\"SecretString\":null,"
        "\"SecretBinary\":null,\"Tags\":null,\"VersionStages\":null,\"ClientRequestToken\":null}";
    static const char *const bodies[] = {"", "{}", " {}\n", nulls};
    const struct rich nothing = {.id = NULL};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        decode(bodies[i]);
        assert_int_equal(fx.code, OK);
        assert_memory_equal(&fx.rich, &nothing, sizeof(nothing));
        assert_null(shape_text(&rich_shape, &fx.rich, F_NAME));
    }
}

static void test_integers(void **state) {
    decode("{\"PasswordLength\":7.0}");
    assert_int_equal(fx.code, OK);
    assert_int_equal(fx.rich.length.value, 7);
    decode("{\"PasswordLength\":1e3}");
    assert_int_equal(fx.rich.length.value, 1000);
    violates("{\"PasswordLength\":5555}", "Value '5555' at 'passwordLength' failed to satisfy "
                                          "constraint: Member must have value less than or equal "
                                          "to 4096");
    violates("{\"PasswordLength\":0}", "Value '0' at 'passwordLength' failed to satisfy "
                                       "constraint: Member must have value greater than or equal "
                                       "to 1");
    violates("{\"PasswordLength\":-9223372036854775808}",
             "Value '-9223372036854775808' at 'passwordLength' failed to satisfy constraint: "
             "Member must have value greater than or equal to 1");
    refused("{\"PasswordLength\":7.5}", ERR_SERIALIZATION,
            "DECIMAL_VALUE cannot be converted to Integer");
    refused("{\"PasswordLength\":1e19}", ERR_SERIALIZATION,
            "DECIMAL_VALUE cannot be converted to Integer");
    decode("{\"PasswordLength\":9223372036854775808}");
    assert_int_equal(fx.code, ERR_SERIALIZATION);
}

static void test_wrong_types(void **state) {
    static const struct {
        const char *body;
        const char *message;
    } cases[] = {
        {"{\"SecretId\":5}", "NUMBER_VALUE cannot be converted to String"},
        {"{\"SecretId\":5.5}", "DECIMAL_VALUE cannot be converted to String"},
        {"{\"SecretId\":true}", "TRUE_VALUE cannot be converted to String"},
        {"{\"SecretId\":{}}", "Start of structure or map found where not expected."},
        {"{\"SecretId\":[]}", "Start of list found where not expected."},
        {"{\"ClientRequestToken\":false}", "FALSE_VALUE cannot be converted to String"},
        {"{\"SecretString\":1}", "NUMBER_VALUE cannot be converted to String"},
        {"{\"SecretString\":{\"a\":\"b\"}}", "Start of structure or map found where not expected."},
        {"{\"SecretBinary\":1}", "NUMBER_VALUE cannot be converted to Blob"},
        {"{\"SecretBinary\":\"hunter2!\"}", "STRING_VALUE cannot be converted to Blob"},
        {"{\"SecretBinary\":\"Zm9v\\n\"}", "STRING_VALUE cannot be converted to Blob"},
        {"{\"Force\":\"true\"}", "STRING_VALUE cannot be converted to Boolean"},
        {"{\"Force\":1}", "NUMBER_VALUE cannot be converted to Boolean"},
        {"{\"PasswordLength\":\"7\"}", "STRING_VALUE cannot be converted to Integer"},
        {"{\"PasswordLength\":[7]}", "Start of list found where not expected."},
        {"{\"VersionStages\":\"A\"}", "Expected list or null"},
        {"{\"VersionStages\":{}}", "Start of structure or map found where not expected."},
        {"{\"VersionStages\":[1]}", "NUMBER_VALUE cannot be converted to String"},
        {"{\"Tags\":7}", "Expected list or null"},
        {"{\"Tags\":[7]}", "Expected structure or null"},
        {"{\"Tags\":[[]]}", "Start of list found where not expected."},
        {"{\"Tags\":[{\"Key\":7}]}", "NUMBER_VALUE cannot be converted to String"},
        {"[]", "Start of list found where not expected."},
        {"{\"Name\":\"a\\u0000b\"}", "A string holds a NUL character"},
        {"{\"Tags\":[{\"Key\":\"\\u0000\"}]}", "A string holds a NUL character"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        refused(cases[i].body, ERR_SERIALIZATION, cases[i].message);
    }
}

/* The parser's own words quote the body: none of them may show. */
static void test_no_json(void **state) {
    static const char *const bodies[] = {
        "{",
        "null",
        "\"hunter2\"",
        "7",
        " ",
        "{\"SecretString\":hunter2}",
        "{\"SecretString\":\"hunter2\"",
        "{\"SecretString\":\"hunter2\"} x",
        "{\"SecretString\":\"hunter2\",}",
        "{\"SecretString\":\"hunter2\",\"SecretString\":\"hunter2\"}",
        "{\"Tags\":[{\"Key\":\"hunter2\",\"Key\":\"hunter2\"}]}",
        "{\"SecretString\":\"hunter2\xff\"}",
        "{\"SecretString\":\"hunter2\xc0\x80\"}",
        "{\"SecretString\":\"hunter2\xed\xa0\x80\"}",
        "{\"SecretString\":\"hunter2\\ud800\"}",
        "{\"SecretString\":\"hunter2\\x\"}",
        "{\"SecretString\":\"hunter2\n\"}",
        "{\"hunter2\\u0000\":1}",
        "{'SecretString':'hunter2'}",
        "{\"PasswordLength\":NaN}",
        "{\"PasswordLength\":1e999}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        decode(bodies[i]);
        assert_int_equal(fx.code, ERR_SERIALIZATION);
        assert_null(strstr(fx.err.message, "hunter2"));
        assert_non_null(strstr(fx.err.message, "not a valid JSON object (line "));
    }
    decode_bytes("{\"Name\":\"a\0b\"}", 14);
    assert_int_equal(fx.code, ERR_SERIALIZATION);
    decode_bytes("{}\0", 3);
    assert_int_equal(fx.code, ERR_SERIALIZATION);
}

static void test_depth_and_size(void **state) {
    char *open = make("{\"Unknown\":%s", "[", LIMIT_JSON_DEPTH - 1);
    char *close = make("%s}", "]", LIMIT_JSON_DEPTH - 1);
    char *wide = make("{\"Unknown\":[0%s]}", ",0", LIMIT_JSON_VALUES);
    char *deep;

    decode(open); /* deep enough, but never closed */
    assert_non_null(strstr(fx.err.message, "not a valid JSON object"));
    deep = make("%s", open, 1);
    deep = realloc(deep, strlen(open) + strlen(close) + 1);
    assert_non_null(deep);
    memcpy(deep + strlen(open), close, strlen(close) + 1);
    decode(deep);
    assert_int_equal(fx.code, OK);
    free(deep);
    deep = make("{\"Unknown\":%s", "[", LIMIT_JSON_DEPTH);
    refused(deep, ERR_SERIALIZATION, "The request body is nested too deeply or too long");
    refused(wide, ERR_SERIALIZATION, "The request body is nested too deeply or too long");
    /* Brackets in strings are no depth. */
    free(deep);
    deep = make("{\"Description\":\"\\\"%s\"}", "[", 100);
    decode(deep);
    assert_int_equal(fx.code, OK);
    free(deep);
    free(wide);
    free(open);
    free(close);
}

static void test_lengths(void **state) {
    char *long_name = make("{\"Name\":\"%s\"}", "x", 513);
    char *long_text = make("{\"Description\":\"%s\"}", "\xC3\xA4", 2049);
    char *fits = make("{\"Description\":\"%s\"}", "\xF0\x9F\x98\x80", 2048);
    char *message;

    violates("{\"Name\":\"\"}", "Value '' at 'name' failed to satisfy constraint: Member must have "
                                "length greater than or equal to 1");
    violates("{\"ClientRequestToken\":\"short\"}",
             "Value 'short' at 'clientRequestToken' failed to satisfy constraint: Member must have "
             "length greater than or equal to 32");
    message = make("Value '%s...' at 'name' failed to satisfy constraint: Member must have length "
                   "less than or equal to 512",
                   "x", LIMIT_ECHO);
    violates(long_name, message);
    free(message);
    /* Cut between characters, never within one. */
    message = make("Value '%s...' at 'description' failed to satisfy constraint: Member must have "
                   "length less than or equal to 2048",
                   "\xC3\xA4", LIMIT_ECHO / 2);
    violates(long_text, message);
    free(message);
    decode(fits); /* bounds are in characters */
    assert_int_equal(fx.code, OK);
    free(long_name);
    free(long_text);
    free(fits);
}

static void test_secrets_are_not_echoed(void **state) {
    char *long_string = make("{\"SecretString\":\"%s\"}", "hunter2_", LIMIT_VALUE / 8 + 1);
    char *wide = make("{\"SecretString\":\"%s\"}", "\xC3\xA4", LIMIT_VALUE / 2 + 1);
    char *full = make("{\"SecretString\":\"%s\"}", "\xC3\xA4", LIMIT_VALUE / 2);
    char *blob = make("{\"SecretBinary\":\"%s\"}", "AAAA", LIMIT_VALUE / 3 + 1);
    char *full_blob = make("{\"SecretBinary\":\"%sAA==\"}", "AAAA", LIMIT_VALUE / 3);
    static const char too_long[] = "Value at 'secretString' failed to satisfy constraint: Member "
                                   "must have length less than or equal to 65536";

    violates(long_string, too_long);
    violates(wide, too_long); /* bytes count, C-19 */
    decode(full);
    assert_int_equal(fx.code, OK);
    assert_int_equal(fx.rich.string->len, LIMIT_VALUE);
    violates("{\"SecretString\":\"\"}", "Value at 'secretString' failed to satisfy constraint: "
                                        "Member must have length greater than or equal to 1");
    violates("{\"Ticket\":\"12x4\"}",
             "Value at 'ticket' failed to satisfy constraint: Member must satisfy regular "
             "expression pattern: ^[0-9]+$");
    violates("{\"Ticket\":\"1234\\u00005\"}",
             "Value at 'ticket' failed to satisfy constraint: Member must satisfy regular "
             "expression pattern: ^[0-9]+$");
    decode("{\"Ticket\":\"12345678\"}");
    assert_int_equal(fx.code, OK);
    decode("{\"Ticket\":\"x\"}"); /* all that is wrong with it, nothing of it */
    assert_string_equal(
        fx.err.message,
        "2 validation errors detected: Value at 'ticket' failed to satisfy constraint: Member must "
        "have length greater than or equal to 4; Value at 'ticket' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^[0-9]+$");
    violates("{\"SecretBinary\":\"\"}", "Value at 'secretBinary' failed to satisfy constraint: "
                                        "Member must have length greater than or equal to 1");
    violates(blob, "Value at 'secretBinary' failed to satisfy constraint: Member must have length "
                   "less than or equal to 65536");
    decode(full_blob);
    assert_int_equal(fx.code, OK);
    assert_int_equal(fx.rich.binary->len, LIMIT_VALUE);
    free(long_string);
    free(wide);
    free(full);
    free(blob);
    free(full_blob);
}

/* 6: bounds that an operator may raise; the sentence tells the one in force. NULL: it is within. */
static void expect_within(const struct quotas *quotas, const char *body, const char *violation) {
    struct arena arena;
    struct quoted quoted = {0};
    struct err err = {.code = OK};
    char message[ERR_MESSAGE_MAX];
    enum errc code;

    arena_init(&arena, LIMIT_REQUEST_ARENA);
    code = shape_decode(&quoted_shape, (const uint8_t *)body, strlen(body), quotas, &arena, &quoted,
                        &err);
    if (violation == NULL) {
        assert_int_equal(code, OK);
    } else {
        (void)snprintf(message, sizeof(message), "1 validation error detected: Value at '%s",
                       violation);
        assert_int_equal(code, ERR_VALIDATION);
        assert_string_equal(err.message, message);
    }
    arena_fini(&arena);
}

static void test_bounds_from_quotas(void **state) {
    const struct quotas raised = {.value_bytes = 100000, .policy_characters = 30000};
    char *usual = make("{\"SecretString\":\"%s\"}", "x", LIMIT_VALUE);
    char *over = make("{\"SecretString\":\"%s\"}", "x", LIMIT_VALUE + 1);
    char *full = make("{\"SecretString\":\"%s\"}", "x", 100000);
    char *wide = make("{\"SecretString\":\"%s\"}", "\xC3\xA4", 50001);
    char *blob = make("{\"SecretBinary\":\"%s\"}", "AAAA", 100000 / 3 + 1);

    expect_within(&quotas_default, usual, NULL);
    expect_within(&quotas_default, over,
                  "secretString' failed to satisfy constraint: Member must have length less than "
                  "or equal to 65536");
    expect_within(&raised, full, NULL);
    expect_within(&raised, wide,
                  "secretString' failed to satisfy constraint: Member must have length less than "
                  "or equal to 100000");
    expect_within(&raised, blob,
                  "secretBinary' failed to satisfy constraint: Member must have length less than "
                  "or equal to 100000");
    expect_within(&quotas_most, full, NULL);
    free(usual);
    free(over);
    free(full);
    free(wide);
    free(blob);
}

static void test_policy_bound_counts_characters(void **state) {
    const struct quotas raised = {.value_bytes = 100000, .policy_characters = 30000};
    char *usual = make("{\"ResourcePolicy\":\"%s\"}", "\xC3\xA4", LIMIT_POLICY);
    char *full = make("{\"ResourcePolicy\":\"%s\"}", "\xC3\xA4", 30000);
    struct arena arena;
    struct quoted quoted = {0};
    struct err err = {.code = OK};

    expect_within(&quotas_default, usual, NULL);
    expect_within(&raised, full, NULL);
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    assert_int_equal(shape_decode(&quoted_shape, (const uint8_t *)full, strlen(full),
                                  &quotas_default, &arena, &quoted, &err),
                     ERR_VALIDATION);
    assert_non_null(strstr(err.message, "' at 'resourcePolicy' failed to satisfy constraint: "
                                        "Member must have length less than or equal to 20480"));
    arena_fini(&arena);
    free(usual);
    free(full);
}

static void test_rules(void **state) {
    violates("{\"SortOrder\":\"up\"}", "Value 'up' at 'sortOrder' failed to satisfy constraint: "
                                       "Member must satisfy enum value set: [asc, desc]");
    violates("{\"Region\":\"x\"}", "Value 'x' at 'region' failed to satisfy constraint: Member "
                                   "must satisfy regular expression pattern: ^([a-z]+-)+\\d+$");
    refused("{\"Region\":\"\"}", ERR_VALIDATION,
            "2 validation errors detected: Value '' at 'region' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1; Value '' at 'region' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: "
            "^([a-z]+-)+\\d+$");
}

static void test_lists(void **state) {
    char *many = make("{\"Tags\":[%s{\"Key\":\"k\"}]}", "{\"Key\":\"k\"},", LIMIT_LIST_ELEMENTS);
    char *bound =
        make("{\"Tags\":[%s{\"Key\":\"k\"}]}", "{\"Key\":\"k\"},", LIMIT_LIST_ELEMENTS - 1);

    violates("{\"VersionStages\":[]}", "Value '[]' at 'versionStages' failed to satisfy "
                                       "constraint: Member must have length greater than or equal "
                                       "to 1");
    violates("{\"VersionStages\":[\"A\",\"\"]}",
             "Value '[A, ]' at 'versionStages' failed to satisfy constraint: Member must satisfy "
             "constraint: [Member must have length less than or equal to 256, Member must have "
             "length greater than or equal to 1]");
    violates(
        "{\"RemoveReplicaRegions\":[\"eu-west-1\",\"y\"]}",
        "Value '[eu-west-1, y]' at 'removeReplicaRegions' failed to satisfy constraint: Member "
        "must satisfy constraint: [Member must have length less than or equal to 128, Member "
        "must have length greater than or equal to 1, Member must satisfy regular expression "
        "pattern: ^([a-z]+-)+\\d+$]");
    violates("{\"VersionStages\":[\"A\",null]}",
             "Value null at 'versionStages.2.member' failed to satisfy constraint: Member must not "
             "be null");
    violates("{\"Filters\":[]}",
             "Value '[]' at 'filters' failed to satisfy constraint: Member must "
             "have length greater than or equal to 1");
    violates("{\"Filters\":[{},{},{}]}", "Value at 'filters' failed to satisfy constraint: Member "
                                         "must have length less than or equal to 2");
    violates("{\"Tags\":[{\"Key\":\"k\"},{\"Key\":\"\"}]}",
             "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have "
             "length greater than or equal to 1");
    violates("{\"Tags\":[{\"Value\":\"v\"}]}", "Value null at 'tags.1.member.key' failed to "
                                               "satisfy constraint: Member must not be null");
    violates("{\"Tags\":[null]}", "Value null at 'tags.1.member' failed to satisfy constraint: "
                                  "Member must not be null");
    violates(many, "Value at 'tags' failed to satisfy constraint: Member must have length less "
                   "than or equal to 1024");
    decode(bound);
    assert_int_equal(fx.code, OK);
    assert_int_equal(fx.rich.tags.n, LIMIT_LIST_ELEMENTS);
    decode("{\"Tags\":[]}");
    assert_int_equal(fx.code, OK);
    assert_true(fx.rich.tags.present);
    assert_int_equal(fx.rich.tags.n, 0);
    free(many);
    free(bound);
}

static void test_several_violations(void **state) {
    char *many = make("{\"Name\":\"\",\"Tags\":[%s{\"Key\":\"\"}]}", "{\"Key\":\"\"},", 99);

    refused("{\"Name\":\"\",\"PasswordLength\":0,\"SecretString\":\"\"}", ERR_VALIDATION,
            "3 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member "
            "must have length greater than or equal to 1; Value at 'secretString' failed to "
            "satisfy constraint: Member must have length greater than or equal to 1; Value '0' at "
            "'passwordLength' failed to satisfy constraint: Member must have value greater than or "
            "equal to 1");
    /* All are counted, those that fit are told, none by half. */
    decode(many);
    assert_int_equal(fx.code, ERR_VALIDATION);
    assert_non_null(strstr(fx.err.message, "101 validation errors detected: Value '' at 'name'"));
    assert_true(strlen(fx.err.message) < ERR_MESSAGE_MAX - 1);
    assert_string_equal(fx.err.message + strlen(fx.err.message) - 33,
                        "length greater than or equal to 1");
    free(many);
}

static void test_the_longest_echo(void **state) {
    char *list = make("{\"VersionStages\":[%s\"\"]}", "\"0123456789\",", 300);
    char *one = make("{\"VersionStages\":[\"%s\"]}", "x", 3000);

    decode(list);
    assert_int_equal(fx.code, ERR_VALIDATION);
    assert_non_null(
        strstr(fx.err.message, "2 validation errors detected: Value '[0123456789, 012"));
    decode(one);
    assert_int_equal(fx.code, ERR_VALIDATION);
    assert_non_null(strstr(fx.err.message, "xxx...]' at 'versionStages'"));
    free(list);
    free(one);
}

/* Names come after violations, tokens after names. */
static void test_order_of_checks(void **state) {
    static const char bad_name[] = "Invalid name. Must be a valid name containing alphanumeric "
                                   "characters, or any of the following: -/_+=.@!";
    static const char no_token[] = "You must provide a ClientRequestToken value. We recommend a "
                                   "UUID-type value.";
    struct need need = {.id = NULL};
    struct rotate rotate = {.token = NULL};
    struct err err = {.code = OK};
    struct arena arena;
    static const struct {
        const char *body;
        enum errc code;
        const char *message;
    } cases[] = {
        {"{}", ERR_VALIDATION,
         "2 validation errors detected: Value null at 'secretId' failed to satisfy constraint: "
         "Member must not be null; Value null at 'tags' failed to satisfy constraint: Member must "
         "not be null"},
        {"{\"SecretId\":\"Inv Name\"}", ERR_VALIDATION,
         "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member "
         "must not be null"},
        {"{\"SecretId\":\"Inv Name\",\"Tags\":[]}", ERR_VALIDATION, bad_name},
        {"{\"SecretId\":\"Name\",\"Tags\":[]}", ERR_INVALID_REQUEST, no_token},
        {"{\"SecretId\":\"Name\",\"Tags\":[],\"ClientRequestToken\":null}", ERR_INVALID_REQUEST,
         no_token},
        {"{\"SecretId\":\"Name\",\"Tags\":[],\"ClientRequestToken\":\"\"}", ERR_VALIDATION,
         "1 validation error detected: Value '' at 'clientRequestToken' failed to satisfy "
         "constraint: Member must have length greater than or equal to 32"},
    };

    arena_init(&arena, LIMIT_REQUEST_ARENA);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        need = (struct need){.id = NULL};
        assert_int_equal(shape_decode(&need_shape, (const uint8_t *)cases[i].body,
                                      strlen(cases[i].body), &quotas_default, &arena, &need, &err),
                         cases[i].code);
        assert_string_equal(err.message, cases[i].message);
    }
    assert_int_equal(shape_decode(&rotate_shape, NULL, 0, &quotas_default, &arena, &rotate, &err),
                     ERR_INVALID_PARAMETER);
    assert_string_equal(err.message, no_token);
    arena_fini(&arena);
    refused("{\"SecretId\":\" Inv*Name? \"}", ERR_VALIDATION, bad_name);
    refused("{\"Name\":\"Inv Name\"}", ERR_VALIDATION, bad_name);
    refused("{\"Name\":\"arn:aws:x\"}", ERR_VALIDATION, bad_name);
    decode("{\"SecretId\":\"arn:aws:secretsmanager:us-east-1:123456789012:secret:n-AbCdEf\","
           "\"Name\":\"Valid/_+=.@-Name-a1b2c3\"}");
    assert_int_equal(fx.code, OK);
}

static void test_small_arena(void **state) {
    struct arena arena;
    struct rich rich = {.id = NULL};
    struct err err;
    static const char body[] = "{\"Tags\":[{\"Key\":\"k\"},{\"Key\":\"k\"},{\"Key\":\"k\"}],"
                               "\"SecretString\":\"value\",\"Description\":\"text\"}";

    for (size_t cap = 0; cap < 512; cap += 16) {
        enum errc code;
        arena_init(&arena, cap);
        rich = (struct rich){.id = NULL};
        code = shape_decode(&rich_shape, (const uint8_t *)body, sizeof(body) - 1, &quotas_default,
                            &arena, &rich, &err);
        assert_true(code == OK || code == ERR_NO_MEMORY);
        assert_true(cap > 0 || code == ERR_NO_MEMORY);
        arena_fini(&arena);
    }
}

static void encodes(const struct reply *reply, const char *wanted) {
    struct buf out;

    buf_init(&out, 65536);
    shape_encode(&reply_shape, reply, &out);
    assert_false(out.failed);
    buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, wanted);
    buf_fini(&out);
}

static void test_encode(void **state) {
    uint8_t text[] = "p\"w\\\n\x01\x7f\xC3\xA4";
    uint8_t bytes[] = "foo";
    struct secret string = {.data = text, .len = sizeof(text)};
    struct secret binary = {.data = bytes, .len = 3};
    struct secret empty = {.data = NULL};
    const char *labels[] = {"AWSCURRENT", "x"};
    struct tag tags[] = {{.key = "k", .value = "v"}, {.key = "l"}};
    struct stage_map_row rows[] = {
        {.version_id = "v1", .labels = {.present = true, .items = labels, .n = 2}},
        {.version_id = "v2", .labels = {.present = true}}};
    struct reply reply = {.arn = NULL};

    encodes(&reply, "{}");
    reply.arn = "arn:\xF0\x9F\x98\x80/\t\r\b\xff\xC3";
    reply.token = "";
    reply.string = &string;
    reply.binary = &binary;
    reply.enabled = (struct opt_bool){.present = true, .value = true};
    reply.days = (struct opt_int){.present = true, .value = -5};
    reply.created = (struct opt_int){.present = true, .value = 1523477145713};
    reply.stages = (struct str_list){.present = true, .items = labels, .n = 2};
    reply.tags = (struct shape_list){.present = true, .items = tags, .n = 2};
    reply.versions = (struct stage_map){.present = true, .rows = rows, .n = 2};
    encodes(&reply,
            "{\"ARN\":\"arn:\xF0\x9F\x98\x80/\\t\\r\\u0008\xEF\xBF\xBD\xEF\xBF\xBD\",\"Token\":"
            "\"\",\"SecretString\":\"p\\\"w\\\\\\n\\u0001\\u007f\xC3\xA4\\u0000\","
            "\"SecretBinary\":\"Zm9v\",\"RotationEnabled\":true,\"Days\":-5,"
            "\"CreatedDate\":1523477145.713,\"VersionStages\":[\"AWSCURRENT\",\"x\"],"
            "\"Tags\":[{\"Key\":\"k\",\"Value\":\"v\"},{\"Key\":\"l\"}],"
            "\"VersionIdsToStages\":{\"v1\":[\"AWSCURRENT\",\"x\"],\"v2\":[]}}");
    /* Present and empty is not absent. */
    reply = (struct reply){.stages = {.present = true},
                           .tags = {.present = true},
                           .versions = {.present = true},
                           .string = &empty,
                           .binary = &empty,
                           .enabled = {.present = true},
                           .created = {.present = true, .value = 1523404800000}};
    encodes(&reply, "{\"SecretString\":\"\",\"SecretBinary\":\"\",\"RotationEnabled\":false,"
                    "\"CreatedDate\":1523404800.000,\"VersionStages\":[],\"Tags\":[],"
                    "\"VersionIdsToStages\":{}}");
    reply = (struct reply){.created = {.present = true, .value = -1}};
    encodes(&reply, "{\"CreatedDate\":-0.001}");
    reply = (struct reply){.created = {.present = true, .value = 7}};
    encodes(&reply, "{\"CreatedDate\":0.007}");
}

static void test_encode_past_the_cap(void **state) {
    struct reply reply = {.arn = "0123456789"};
    struct buf out;

    buf_init(&out, 8);
    shape_encode(&reply_shape, &reply, &out);
    assert_true(out.failed);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_kind, teardown),
        cmocka_unit_test_teardown(test_absent, teardown),
        cmocka_unit_test_teardown(test_integers, teardown),
        cmocka_unit_test_teardown(test_wrong_types, teardown),
        cmocka_unit_test_teardown(test_no_json, teardown),
        cmocka_unit_test_teardown(test_depth_and_size, teardown),
        cmocka_unit_test_teardown(test_lengths, teardown),
        cmocka_unit_test_teardown(test_secrets_are_not_echoed, teardown),
        cmocka_unit_test(test_bounds_from_quotas),
        cmocka_unit_test(test_policy_bound_counts_characters),
        cmocka_unit_test_teardown(test_rules, teardown),
        cmocka_unit_test_teardown(test_lists, teardown),
        cmocka_unit_test_teardown(test_several_violations, teardown),
        cmocka_unit_test_teardown(test_the_longest_echo, teardown),
        cmocka_unit_test_teardown(test_order_of_checks, teardown),
        cmocka_unit_test(test_small_arena),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_encode_past_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
