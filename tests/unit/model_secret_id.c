/* Names, ARNs, and which of them a SecretId means: the tables of AWS_BEHAVIOUR 2.2 and 3.0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/secret_id.h"

#include <stdio.h>
#include <string.h>

#define ARN "arn:aws:secretsmanager:us-east-1:123456789012:secret:"

static void test_names_are_names(void **state) {
    static const char *const good[] = {
        "a",
        "Valid/_+=.@-Name",
        "Valid/_+=.@-Name-a1b2",
        "Valid/_+=.@-Name-a1b2c3-",
        "Valid/_+=.@-Name-a1b2c3",
        "/lead//ing",
        "rds!cluster-1",
        "arn",
    };
    struct secret_id id;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(secret_id_parse(good[i], &id, &err), OK);
        assert_false(id.is_arn);
        assert_string_equal(id.name, good[i]); /* never split: a name + suffix is only a name */
        assert_string_equal(id.suffix, "");
        assert_string_equal(id.region, "");
        assert_string_equal(id.account, "");
    }
}

static void test_bad_ids(void **state) {
    static const char *const bad[] = {
        "",
        "Inv Name",
        " Inv Name",
        " Inv*Name? ",
        " Inv *?!]Name\\-",
        "na:me",
        "n\303\244me",
        "arn:",
        "arn:aws",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret",
        "arn:aws:secretsmanager:us-east-1:123456789012:other:name-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:12345678901:secret:name-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:1234567890123:secret:name-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:12345678901x:secret:name-AbCdEf",
        "arn:aws:secretsmanager:useast:123456789012:secret:name-AbCdEf",
        "arn:aws:secretsmanager::123456789012:secret:name-AbCdEf",
        "arn::secretsmanager:us-east-1:123456789012:secret:name-AbCdEf",
        "arn:AWS:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf",
        "arn:aws:kms:us-east-1:123456789012:secret:name-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:na me-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf:AWSCURRENT",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf\n",
    };
    struct secret_id id = {.is_arn = true, .name = "untouched"};
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(secret_id_parse(bad[i], &id, &err), ERR_VALIDATION);
        assert_string_equal(err.message,
                            "Invalid name. Must be a valid name containing alphanumeric "
                            "characters, or any of the following: -/_+=.@!");
        assert_string_equal(id.name, "untouched");
    }
}

static void test_arns(void **state) {
    static const struct {
        const char *text, *name, *suffix;
    } rows[] = {
        {ARN "name-AbCdEf", "name", "AbCdEf"},
        {ARN "name", "name", ""},
        {ARN "name-AbCdE", "name-AbCdE", ""},
        {ARN "name-AbCdEf1", "name-AbCdEf1", ""},
        {ARN "name-AbC_Ef", "name-AbC_Ef", ""},
        {ARN "name_AbCdEf", "name_AbCdEf", ""},
        {ARN "name-a1b2c3-AbCdEf", "name-a1b2c3", "AbCdEf"},
        /* The recorded trap: a name that ends like a suffix cannot be named by a partial ARN. */
        {ARN "name-a1b2c3", "name", "a1b2c3"},
        {ARN "-AbCdEf", "-AbCdEf", ""},
        {ARN "x-AbCdEf", "x", "AbCdEf"},
        {ARN "a/b/c-AbCdEf", "a/b/c", "AbCdEf"},
        {ARN "rds!x-AbCdEf", "rds!x", "AbCdEf"},
    };
    struct secret_id id;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(secret_id_parse(rows[i].text, &id, &err), OK);
        assert_true(id.is_arn);
        assert_string_equal(id.partition, "aws");
        assert_string_equal(id.region, "us-east-1");
        assert_string_equal(id.account, "123456789012");
        assert_string_equal(id.name, rows[i].name);
        assert_string_equal(id.suffix, rows[i].suffix);
    }
}

static void test_other_partition(void **state) {
    struct secret_id id;
    struct err err;

    assert_int_equal(
        secret_id_parse("arn:aws-us-gov:secretsmanager:us-gov-west-1:000000000001:secret:n-000000",
                        &id, &err),
        OK);
    assert_string_equal(id.partition, "aws-us-gov");
    assert_string_equal(id.region, "us-gov-west-1");
    assert_string_equal(id.account, "000000000001");
    assert_int_equal(secret_id_parse("arn:aws-01234567890123456789012345678:secretsmanager:"
                                     "us-east-1:123456789012:secret:n",
                                     &id, &err),
                     ERR_VALIDATION);
}

static void test_lengths(void **state) {
    char text[LIMIT_SECRET_ID + 2];
    struct secret_id id;
    struct err err;

    memset(text, 'a', sizeof(text));
    text[LIMIT_SECRET_ID] = '\0';
    assert_int_equal(secret_id_parse(text, &id, &err), OK);
    assert_int_equal(strlen(id.name), LIMIT_SECRET_ID);
    text[LIMIT_SECRET_ID] = 'a';
    text[LIMIT_SECRET_ID + 1] = '\0';
    assert_int_equal(secret_id_parse(text, &id, &err), ERR_VALIDATION);
}

static void test_name_is_valid(void **state) {
    char name[LIMIT_NAME + 2];

    assert_true(secret_name_is_valid("Valid/_+=.@-Name-a1b2c3"));
    assert_true(secret_name_is_valid("0"));
    assert_false(secret_name_is_valid(""));
    assert_false(secret_name_is_valid("with space"));
    assert_false(secret_name_is_valid("managed!name"));
    assert_false(secret_name_is_valid("co:lon"));
    memset(name, 'n', sizeof(name));
    name[LIMIT_NAME] = '\0';
    assert_true(secret_name_is_valid(name));
    name[LIMIT_NAME] = 'n';
    name[LIMIT_NAME + 1] = '\0';
    assert_false(secret_name_is_valid(name));
}

static void test_arn_round_trip(void **state) {
    char arn[ARN_MAX];
    struct secret_id id;
    struct err err;

    secret_arn(arn, sizeof(arn), "eu-west-3", "210987654321", "app/db", "Xy12zZ");
    assert_string_equal(arn, "arn:aws:secretsmanager:eu-west-3:210987654321:secret:app/db-Xy12zZ");
    assert_int_equal(secret_id_parse(arn, &id, &err), OK);
    assert_string_equal(id.name, "app/db");
    assert_string_equal(id.suffix, "Xy12zZ");
}

static void test_regions(void **state) {
    static const char *const good[] = {"us-east-1", "a-0", "us-gov-west-12", "eu-west-1"};
    static const char *const bad[] = {"",           "us",         "us-",       "-1",
                                      "us-east",    "us--1",      "US-east-1", "us-east-1a",
                                      "us-east-1-", "us1-east-1", "1",         "us-east-1 "};
    char name[LIMIT_REGION_NAME + 2];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(region_name_is_valid(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(region_name_is_valid(bad[i]));
    }
    memset(name, '1', sizeof(name));
    memcpy(name, "a-", 2);
    name[LIMIT_REGION_NAME] = '\0';
    assert_true(region_name_is_valid(name));
    name[LIMIT_REGION_NAME] = '1';
    name[LIMIT_REGION_NAME + 1] = '\0';
    assert_false(region_name_is_valid(name));
    assert_true(region_name_matches(name));
}

static void test_suffix(void **state) {
    unsigned char random[32] = {0, 25, 26, 51, 52, 61};
    unsigned char high[32];
    char suffix[LIMIT_ARN_SUFFIX + 1];

    secret_suffix(random, suffix);
    assert_string_equal(suffix, "AZaz09");
    /* 248 to 255 are passed over: they would make eight letters likelier than the rest. */
    memset(high, 255, sizeof(high));
    high[3] = 247;
    for (unsigned i = 0; i < 5; i++) {
        high[10 + i] = (unsigned char)(62 + i);
    }
    secret_suffix(high, suffix);
    assert_string_equal(suffix, "9ABCDE");
    memset(high, 255, sizeof(high));
    secret_suffix(high, suffix);
    assert_int_equal(strlen(suffix), LIMIT_ARN_SUFFIX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_names),
        cmocka_unit_test(test_bad_ids),
        cmocka_unit_test(test_arns),
        cmocka_unit_test(test_other_partition),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_name_is_valid),
        cmocka_unit_test(test_arn_round_trip),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
