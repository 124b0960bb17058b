/* GetRandomPassword as an operation: members, defaults, refusals (AWS_BEHAVIOUR 3.11). What is
 * random about it is in model_password.c. */
#include "tests/unit/api_ops_bench.h"

#include <ctype.h>

static json_t *password(struct bench *bench, const char *body, size_t length) {
    json_t *reply = bench_ok(bench, "GetRandomPassword", body);

    assert_members(reply, "RandomPassword");
    assert_int_equal(strlen(text_of(reply, "RandomPassword")), length);
    return reply;
}

static void usual(void **state) {
    struct bench *bench = *state;
    json_t *one = password(bench, "", 32); /* no body at all: nothing is required */
    json_t *two = password(bench, "{}", 32);
    bool upper = false;
    bool lower = false;
    bool digit = false;
    bool punct = false;

    assert_string_not_equal(text_of(one, "RandomPassword"), text_of(two, "RandomPassword"));
    for (const char *c = text_of(one, "RandomPassword"); *c != '\0'; c++) {
        upper = upper || isupper(*c);
        lower = lower || islower(*c);
        digit = digit || isdigit(*c);
        punct = punct || ispunct(*c);
        assert_int_not_equal(*c, ' ');
    }
    assert_true(upper && lower && digit && punct);
    json_decref(one);
    json_decref(two);
    /* A read that touches nothing. */
    assert_int_equal(bench->touches, 0);
    assert_int_equal(bench->preludes, 0);
}

static void members(void **state) {
    struct bench *bench = *state;
    json_t *reply = password(
        bench,
        "{\"PasswordLength\":4096,\"ExcludeNumbers\":true,\"ExcludePunctuation\":true,"
        "\"ExcludeUppercase\":true,\"IncludeSpace\":true,\"ExcludeCharacters\":\"aeiouäöü€\"}",
        4096);
    const char *text = text_of(reply, "RandomPassword");

    assert_int_equal(strspn(text, "bcdfghjklmnpqrstvwxyz "), 4096);
    assert_non_null(strchr(text, ' '));
    json_decref(reply);
    reply = password(bench,
                     "{\"PasswordLength\":1,\"RequireEachIncludedType\":false,"
                     "\"ExcludeLowercase\":true,\"ExcludeUppercase\":true,"
                     "\"ExcludePunctuation\":true}",
                     1);
    assert_true(isdigit(text_of(reply, "RandomPassword")[0]));
    json_decref(reply);
    /* What JSON must escape comes through. */
    reply = password(bench,
                     "{\"PasswordLength\":1000,\"ExcludeLowercase\":true,\"ExcludeUppercase\":true,"
                     "\"ExcludeNumbers\":true}",
                     1000);
    assert_non_null(strchr(text_of(reply, "RandomPassword"), '"'));
    assert_non_null(strchr(text_of(reply, "RandomPassword"), '\\'));
    json_decref(reply);
}

static void refusals(void **state) {
    struct bench *bench = *state;
    char body[LIMIT_PASSWORD + 64] = "{\"ExcludeCharacters\":\"";

    bench_refused(bench, "GetRandomPassword", "{\"PasswordLength\":0}", ERR_VALIDATION,
                  "1 validation error detected: Value '0' at 'passwordLength' failed to satisfy "
                  "constraint: Member must have value greater than or equal to 1");
    bench_refused(bench, "GetRandomPassword", "{\"PasswordLength\":5555}", ERR_VALIDATION,
                  "1 validation error detected: Value '5555' at 'passwordLength' failed to satisfy "
                  "constraint: Member must have value less than or equal to 4096");
    bench_refused(bench, "GetRandomPassword", "{\"PasswordLength\":3}", ERR_INVALID_PARAMETER,
                  "Password length is too short based on the required types.");
    bench_refused(bench, "GetRandomPassword", "{\"ExcludeCharacters\":\"0123456789\"}",
                  ERR_INVALID_PARAMETER, "All characters of the desired type have been excluded");
    bench_refused(bench, "GetRandomPassword",
                  "{\"ExcludeNumbers\":true,\"ExcludePunctuation\":true,\"ExcludeUppercase\":true,"
                  "\"ExcludeLowercase\":true}",
                  ERR_INVALID_PARAMETER, "All characters have been excluded from selection");
    memset(body + strlen(body), 'x', LIMIT_PASSWORD);
    (void)snprintf(body + strlen(body), sizeof(body) - strlen(body), "\"}");
    json_decref(password(bench, body, 32));
    (void)snprintf(body + strlen(body) - 2, 4, "x\"}");
    assert_int_equal(bench_call(bench, "GetRandomPassword", body, NULL), ERR_VALIDATION);
}

/* Sensitive: the table says so, by which logs and errors know. Any resource (3.11). */
static void declared(void **state) {
    const struct op *op = bench_op("GetRandomPassword");

    assert_int_equal(op->out->n_fields, 1);
    assert_int_equal(op->out->fields[0].kind, FIELD_SECRET);
    assert_int_equal(op->class, OP_READ);
    assert_int_equal(op->resource, RESOURCE_ANY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usual, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(members, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(refusals, bench_setup, bench_teardown),
        cmocka_unit_test(declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
