/* Resource policies, their grammar: what is accepted, what is refused with which sentence, and what
 * is compiled out of it. AWS_BEHAVIOUR 8.4 and 3.12. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/policy.h"
#include "model/policy_condition.h"
#include "model/policy_principal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A statement of one's own, and the rest of a good one. */
#define WHO             "\"Principal\":{\"AWS\":\"111122223333\"}"
#define WHAT            "\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\""
#define WHERE           "\"Resource\":\"*\""
#define DOCUMENT(inner) "{\"Version\":\"2012-10-17\",\"Statement\":[{" inner "}]}"
#define OLD(inner)      "{\"Statement\":{" inner "}}"
#define ACTION(action)  DOCUMENT("\"Effect\":\"Deny\"," WHO "," WHERE "," action)
#define RESOURCE(text)  DOCUMENT(WHAT "," WHO "," text)
#define PRINCIPAL(text) DOCUMENT(WHAT "," WHERE "," text)
#define AWS(text)       PRINCIPAL("\"Principal\":{\"AWS\":" text "}")
#define SERVICE(text)   PRINCIPAL("\"Principal\":{\"Service\":" text "}")
#define CONDITION(text) DOCUMENT(WHAT "," WHO "," WHERE ",\"Condition\":" text)
#define SID(text)       DOCUMENT(WHAT "," WHO "," WHERE ",\"Sid\":" text)

struct row {
    const char *document;
    enum policy_fault fault;
};

static enum policy_fault fault_of(const char *document) {
    struct policy *policy = NULL;
    enum policy_fault fault = policy_parse(document, strlen(document), &policy);

    assert_int_equal(fault == POLICY_SOUND, policy != NULL);
    policy_free(policy);
    return fault;
}

static void check(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        enum policy_fault fault = fault_of(rows[i].document);
        if (fault != rows[i].fault) {
            fail_msg("%s: fault %d instead of %d", rows[i].document, (int)fault,
                     (int)rows[i].fault);
        }
    }
}

static struct policy *parse(const char *document) {
    struct policy *policy = NULL;

    if (policy_parse(document, strlen(document), &policy) != POLICY_SOUND) {
        fail_msg("refused: %s", document);
    }
    return policy;
}

static void test_document(void **state) {
    static const struct row rows[] = {
        {DOCUMENT(WHAT "," WHO "," WHERE), POLICY_SOUND},
        {OLD(WHAT "," WHO "," WHERE), POLICY_SOUND},
        {"{\"Version\":\"2008-10-17\",\"Id\":\"my policy\",\"Statement\":{" WHAT "," WHO "," WHERE
         "}}",
         POLICY_SOUND},
        {" \n\t{\"Statement\":{" WHAT "," WHO "," WHERE "}} ", POLICY_SOUND},
        {"{\"Version\":\"2012-10-18\",\"Statement\":{" WHAT "," WHO "," WHERE "}}", POLICY_SYNTAX},
        {"{\"Version\":2012,\"Statement\":{" WHAT "," WHO "," WHERE "}}", POLICY_SYNTAX},
        {"{\"Id\":1,\"Statement\":{" WHAT "," WHO "," WHERE "}}", POLICY_SYNTAX},
        {"{\"id\":\"x\",\"Statement\":{" WHAT "," WHO "," WHERE "}}", POLICY_SYNTAX},
        {"{\"Statement\":{" WHAT "," WHO "," WHERE "},\"Comment\":\"\"}", POLICY_SYNTAX},
        {"{\"Version\":\"2012-10-17\"}", POLICY_SYNTAX},
        {"{\"Version\":\"2012-10-17\",\"Statement\":[]}", POLICY_SYNTAX},
        {"{\"Version\":\"2012-10-17\",\"Statement\":\"*\"}", POLICY_SYNTAX},
        {"{\"Version\":\"2012-10-17\",\"Statement\":[\"*\"]}", POLICY_SYNTAX},
        {"{\"Version\":\"2012-10-17\",\"Statement\":null}", POLICY_SYNTAX},
        {"{}", POLICY_SYNTAX},
        {"[]", POLICY_SYNTAX},
        {"\"text\"", POLICY_SYNTAX},
        {"null", POLICY_SYNTAX},
        {"", POLICY_NOT_JSON},
        {"not json", POLICY_NOT_JSON},
        {"{\"Statement\":{" WHAT "," WHO "," WHERE "}", POLICY_NOT_JSON},
        {"{\"Statement\":{" WHAT "," WHO "," WHERE "}} x", POLICY_NOT_JSON},
        {"{\"Statement\":{" WHAT "," WHO "," WHERE ",}}", POLICY_NOT_JSON},
        /* Members twice, on any level. */
        {"{\"Statement\":{" WHAT "," WHO "," WHERE "},\"Statement\":[]}", POLICY_SYNTAX},
        {OLD(WHAT "," WHO "," WHERE ",\"Effect\":\"Deny\""), POLICY_SYNTAX},
        {CONDITION("{\"Bool\":{\"a:b\":true,\"a:b\":false}}"), POLICY_SYNTAX},
    };
    check(rows, ARRAY_LEN(rows));
}

static void test_statement(void **state) {
    static const struct row rows[] = {
        {DOCUMENT("\"Effect\":\"allow\"," WHO "," WHERE ",\"Action\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT("\"Effect\":\"DENY\"," WHO "," WHERE ",\"Action\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT("\"Effect\":true," WHO "," WHERE ",\"Action\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT(WHO "," WHERE ",\"Action\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHERE), POLICY_SYNTAX}, /* required in a resource's policy */
        {DOCUMENT("\"Effect\":\"Allow\"," WHO "," WHERE), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO "," WHERE ",\"Comment\":\"\""), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO "," WHERE ",\"condition\":{}"), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO "," WHERE ",\"NotAction\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO "," WHERE ",\"NotResource\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT(WHAT "," WHO "," WHERE ",\"NotPrincipal\":\"*\""), POLICY_SYNTAX},
        {DOCUMENT("\"Effect\":\"Deny\",\"NotAction\":\"secretsmanager:Get*\",\"NotResource\":"
                  "\"arn:aws:secretsmanager:*:*:secret:x\",\"NotPrincipal\":{\"AWS\":"
                  "\"111122223333\"}"),
         POLICY_SOUND},
        {SID("\"Allow1\""), POLICY_SOUND},
        {SID("\"Allow the team\""), POLICY_SOUND},
        {SID("\"\""), POLICY_SOUND},
        {SID("\"a.b\""), POLICY_SYNTAX},
        {SID("\"caf\xC3\xA9\""), POLICY_SYNTAX},
        {SID("7"), POLICY_SYNTAX},
        {SID("null"), POLICY_SYNTAX},
        {"{\"Statement\":[{\"Sid\":\"a\"," WHAT "," WHO "," WHERE "},{\"Sid\":\"b\"," WHAT "," WHO
         "," WHERE "},{" WHAT "," WHO "," WHERE "},{" WHAT "," WHO "," WHERE "}]}",
         POLICY_SOUND},
        {"{\"Statement\":[{\"Sid\":\"a\"," WHAT "," WHO "," WHERE "},{\"Sid\":\"a\"," WHAT "," WHO
         "," WHERE "}]}",
         POLICY_SYNTAX},
    };
    check(rows, ARRAY_LEN(rows));
}

static void test_actions_and_resources(void **state) {
    static const struct row rows[] = {
        {ACTION("\"Action\":\"*\""), POLICY_SOUND},
        {ACTION("\"Action\":\"secretsmanager:*\""), POLICY_SOUND},
        {ACTION("\"Action\":[\"SecretsManager:get?ecret*\",\"secretsmanager:PutSecretValue\"]"),
         POLICY_SOUND},
        {ACTION("\"Action\":[]"), POLICY_SOUND}, /* says nothing */
        {ACTION("\"Action\":\"s3:GetObject\""), POLICY_SYNTAX},
        {ACTION("\"Action\":[\"secretsmanager:*\",\"kms:Decrypt\"]"), POLICY_SYNTAX},
        {ACTION("\"Action\":\"GetSecretValue\""), POLICY_SYNTAX},
        {ACTION("\"Action\":\"secretsmanager:\""), POLICY_SYNTAX},
        {ACTION("\"Action\":\"secretsmanager:Get Secret\""), POLICY_SYNTAX},
        {ACTION("\"Action\":\"secretsmanager*\""), POLICY_SYNTAX},
        {ACTION("\"Action\":\"**\""), POLICY_SYNTAX},
        {ACTION("\"Action\":\"\""), POLICY_SYNTAX},
        {ACTION("\"Action\":7"), POLICY_SYNTAX},
        {ACTION("\"Action\":[[\"*\"]]"), POLICY_SYNTAX},
        {ACTION("\"Action\":{\"a\":\"*\"}"), POLICY_SYNTAX},
        {RESOURCE("\"Resource\":\"arn:aws:secretsmanager:us-east-1:111122223333:secret:a-??????\""),
         POLICY_SOUND},
        {RESOURCE("\"Resource\":[\"*\",\"arn:aws:secretsmanager:*:*:secret:*\"]"), POLICY_SOUND},
        {RESOURCE("\"Resource\":\"arn:aws:secretsmanager:us-east-1:111122223333:secret:"
                  "${aws:username}-*\""),
         POLICY_SOUND},
        {RESOURCE("\"Resource\":\"arn:aws:secretsmanager:us-east-1:111122223333:secret:${aws\""),
         POLICY_SYNTAX},
        {RESOURCE("\"Resource\":\"arn:aws:secretsmanager:us-east-1:111122223333:secret:${}\""),
         POLICY_SYNTAX},
        /* No variables in the old version. */
        {OLD(WHAT "," WHO
                  ",\"Resource\":\"arn:aws:secretsmanager:us-east-1:111122223333:secret:${aws\""),
         POLICY_SOUND},
        {RESOURCE("\"Resource\":\"my-secret\""), POLICY_SYNTAX},
        {RESOURCE("\"Resource\":\"arn:aws:secretsmanager:*\""), POLICY_SYNTAX},
        {RESOURCE("\"Resource\":\"*:*:*:*:*:*\""), POLICY_SYNTAX},
        {RESOURCE("\"Resource\":\"\""), POLICY_SYNTAX},
        {RESOURCE("\"Resource\":[true]"), POLICY_SYNTAX},
    };
    check(rows, ARRAY_LEN(rows));
}

/* AWS_BEHAVIOUR 8.4, principal forms; 3.12, which sentence. */
static void test_principals(void **state) {
    static const struct row rows[] = {
        {PRINCIPAL("\"Principal\":\"*\""), POLICY_SOUND},
        {AWS("\"*\""), POLICY_SOUND},
        {AWS("\"111122223333\""), POLICY_SOUND},
        {AWS("\"arn:aws:iam::111122223333:root\""), POLICY_SOUND},
        {AWS("\"arn:aws:iam::111122223333:user/Alice\""), POLICY_SOUND},
        {AWS("\"arn:aws:iam::111122223333:user/team/a/Alice\""), POLICY_SOUND},
        {AWS("\"arn:aws:iam::111122223333:role/service-role/My_Role+=,.@-1\""), POLICY_SOUND},
        {AWS("\"arn:aws:sts::111122223333:assumed-role/Role/me@example.com\""), POLICY_SOUND},
        {AWS("\"arn:aws:sts::111122223333:federated-user/Bob\""), POLICY_SOUND},
        {AWS("[\"arn:aws:iam::111122223333:root\",\"444455556666\"]"), POLICY_SOUND},
        {AWS("[]"), POLICY_SOUND}, /* nobody */
        {PRINCIPAL("\"Principal\":{}"), POLICY_SOUND},
        {PRINCIPAL("\"Principal\":{\"AWS\":\"111122223333\",\"Service\":\"rds.amazonaws.com\"}"),
         POLICY_SOUND},
        {SERVICE("\"secretsmanager.amazonaws.com\""), POLICY_SOUND},
        {SERVICE("[\"logs.us-east-1.amazonaws.com\",\"x-1.amazonaws.com\"]"), POLICY_SOUND},
        /* Wildcards inside, other forms, what is no identity. */
        {AWS("\"arn:aws:iam::111122223333:*\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::*:root\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::111122223333:role/*\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::111122223333:role/te*m/x\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::111122223333:group/Admins\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::11112222333:root\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::111122223333:root/x\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam::111122223333:user/\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:iam:us-east-1:111122223333:user/Alice\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws-cn:iam::111122223333:user/Alice\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:sts::111122223333:assumed-role/Role\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:sts::111122223333:assumed-role/Role/*\""), POLICY_PRINCIPAL},
        {AWS("\"arn:aws:s3:::bucket\""), POLICY_PRINCIPAL},
        {AWS("\"1111222233334\""), POLICY_PRINCIPAL},
        {AWS("\"Alice\""), POLICY_PRINCIPAL},
        {AWS("\"AIDACKCEVSQ6C2EXAMPLE\""), POLICY_PRINCIPAL}, /* was deleted */
        {AWS("\"\""), POLICY_PRINCIPAL},
        {AWS("[\"*\",\"Alice\"]"), POLICY_PRINCIPAL},
        {PRINCIPAL("\"Principal\":{\"Federated\":\"cognito-identity.amazonaws.com\"}"),
         POLICY_PRINCIPAL},
        {PRINCIPAL("\"Principal\":{\"CanonicalUser\":\"79a59df900b949e55d96a1e698fbace\"}"),
         POLICY_PRINCIPAL},
        {SERVICE("\"*\""), POLICY_SERVICE},
        {SERVICE("\"rds\""), POLICY_SERVICE},
        {SERVICE("\".amazonaws.com\""), POLICY_SERVICE},
        {SERVICE("\"a..amazonaws.com\""), POLICY_SERVICE},
        {SERVICE("\"rds.amazonaws.com.\""), POLICY_SERVICE},
        {SERVICE("\"RDS.amazonaws.com\""), POLICY_SERVICE},
        {SERVICE("\"rds.example.com\""), POLICY_SERVICE},
        /* Not even that. */
        {PRINCIPAL("\"Principal\":\"111122223333\""), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":[\"*\"]"), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":{\"*\":\"*\"}"), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":{\"aws\":\"*\"}"), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":{\"AWS\":{}}"), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":{\"AWS\":111122223333}"), POLICY_SYNTAX},
        {PRINCIPAL("\"Principal\":null"), POLICY_SYNTAX},
    };
    check(rows, ARRAY_LEN(rows));
    assert_string_equal(policy_fault_sentence(POLICY_SYNTAX),
                        "This resource policy contains a syntax error.");
    assert_string_equal(policy_fault_sentence(POLICY_NOT_JSON),
                        "This resource policy contains a syntax error.");
    assert_string_equal(policy_fault_sentence(POLICY_PRINCIPAL),
                        "This resource policy contains an unsupported principal.");
    assert_string_equal(policy_fault_sentence(POLICY_SERVICE),
                        "This resource policy contains an invalid service principal.");
}

static void test_conditions(void **state) {
    static const struct row rows[] = {
        {CONDITION("{}"), POLICY_SOUND},
        {CONDITION("{\"StringEquals\":{}}"), POLICY_SOUND},
        {CONDITION("{\"StringEquals\":{\"aws:SourceVpc\":[]}}"), POLICY_SOUND},
        {CONDITION("{\"ForAllValues:StringNotEqualsIfExists\":{\"aws:TagKeys\":[\"a\",\"b\"]}}"),
         POLICY_SOUND},
        {CONDITION("{\"Bool\":{\"aws:SecureTransport\":true}}"), POLICY_SOUND},
        {CONDITION("{\"Bool\":{\"aws:SecureTransport\":\"false\"}}"), POLICY_SOUND},
        {CONDITION("{\"Bool\":{\"aws:SecureTransport\":\"yes\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"Null\":{\"aws:TokenIssueTime\":\"true\"}}"), POLICY_SOUND},
        {CONDITION("{\"NullIfExists\":{\"aws:TokenIssueTime\":\"true\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":3600}}"), POLICY_SOUND},
        {CONDITION("{\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":[\"3600\",-1.5e3]}}"),
         POLICY_SOUND},
        {CONDITION("{\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":\"0x10\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":\"\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"NumericLessThan\":{\"aws:MultiFactorAuthAge\":99999999999999999999}}"),
         POLICY_SYNTAX},
        {CONDITION("{\"DateLessThan\":{\"aws:CurrentTime\":\"2030-01-01T00:00:00Z\"}}"),
         POLICY_SOUND},
        {CONDITION("{\"DateLessThan\":{\"aws:EpochTime\":1893456000}}"), POLICY_SOUND},
        {CONDITION("{\"DateLessThan\":{\"aws:CurrentTime\":\"tomorrow\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"IpAddress\":{\"aws:SourceIp\":[\"10.0.0.0/8\",\"2001:db8::/32\"]}}"),
         POLICY_SOUND},
        {CONDITION("{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/33\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"IpAddress\":{\"aws:SourceIp\":\"*\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"BinaryEquals\":{\"x:y\":\"AAEC\"}}"), POLICY_SOUND},
        {CONDITION("{\"BinaryEquals\":{\"x:y\":\"AAE\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::*:role/x\"}}"), POLICY_SOUND},
        {CONDITION("{\"StringLike\":{\"aws:userid\":\"${aws:userid}\"}}"), POLICY_SOUND},
        {CONDITION("{\"StringLike\":{\"aws:userid\":\"${aws:userid\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringMatches\":{\"aws:userid\":\"x\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"ForSomeValues:StringEquals\":{\"aws:userid\":\"x\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringMatches\":{}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":\"x\"}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":{\"userid\":\"x\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":{\":x\":\"x\"}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":{\"aws:userid\":null}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":{\"aws:userid\":{\"a\":\"b\"}}}"), POLICY_SYNTAX},
        {CONDITION("{\"StringEquals\":{\"aws:userid\":[[\"a\"]]}}"), POLICY_SYNTAX},
        {CONDITION("[]"), POLICY_SYNTAX},
        {CONDITION("null"), POLICY_SYNTAX},
    };
    check(rows, ARRAY_LEN(rows));
    for (size_t i = 0; i <= OPERATOR_KEY_IS_NULL; i++) {
        struct policy_condition condition;
        char name[64];
        (void)snprintf(name, sizeof(name), "ForAnyValue:%s", policy_operator_kinds[i].name);
        assert_true(policy_condition_read_operator(name, &condition));
        assert_int_equal(condition.op, i);
        assert_int_equal(condition.quantifier, QUANTIFIER_ANY_VALUE);
        assert_false(condition.if_exists);
    }
}

static int64_t date_of(const char *text) {
    struct policy_value value = {.text = text};

    return policy_condition_read_value(OPERATOR_DATE_EQUALS, true, &value) ? value.time_ms
                                                                           : INT64_MIN;
}

static void test_dates(void **state) {
    static const char *const bad[] = {"",
                                      "20",
                                      "2024-13",
                                      "2023-02-29",
                                      "2024-1-1",
                                      "2024-01-01T",
                                      "2024-01-01T10Z",
                                      "2024-01-01T10:00",
                                      "2024-01-01T24:00:00Z",
                                      "2024-01-01T10:00:00.Z",
                                      "2024-01-01T10:00:00+1:00",
                                      "2024-01-01 10:00:00Z",
                                      "2024-01-01T10:00:00Zx",
                                      "-1",
                                      "1234567890123"};

    assert_int_equal(date_of("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(date_of("1970"), 0);
    assert_int_equal(date_of("1969-12-31T23:59:59.999Z"), -1);
    assert_int_equal(date_of("2000-02-29T12:34:56Z"), 951827696000);
    assert_int_equal(date_of("2000-02-29T12:34:56.789123Z"), 951827696789);
    assert_int_equal(date_of("2024-03"), 1709251200000);
    assert_int_equal(date_of("2024-03-01T01:30:00+01:30"), 1709251200000);
    assert_int_equal(date_of("2024-02-29T22:00-02:00"), 1709251200000);
    assert_int_equal(date_of("1709251200"), 1709251200000);
    assert_int_equal(date_of("9999-12-31T23:59:59Z"), 253402300799000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (date_of(bad[i]) != INT64_MIN) {
            fail_msg("%s is a date", bad[i]);
        }
    }
}

static void test_what_is_compiled(void **state) {
    struct policy *policy = parse(
        "{\"Version\":\"2012-10-17\",\"Id\":\"p\",\"Statement\":[{\"Sid\":\"one\","
        "\"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":[\"444455556666\","
        "\"arn:aws:iam::111122223333:role/a/Admin\"],\"Service\":\"rds.amazonaws.com\"},"
        "\"Action\":[\"secretsmanager:Get*\",\"*\"],"
        "\"NotResource\":\"arn:aws:secretsmanager:*:*:secret:a-??????\","
        "\"Condition\":{\"NotIpAddress\":{\"AWS:SourceIP\":[\"203.0.113.77/24\",\"::1\"]},"
        "\"ForAnyValue:StringLikeIfExists\":{\"aws:TagKeys\":\"x*\",\"aws:ResourceTag/Team\":7},"
        "\"Null\":{\"aws:userid\":false}}},"
        "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"NotAction\":\"secretsmanager:DeleteSecret\","
        "\"Resource\":\"*\"}]}");
    const struct policy_statement *one = &policy->statements[0];
    const struct policy_statement *two = &policy->statements[1];

    assert_true(policy->has_variables);
    assert_string_equal(policy->id, "p");
    assert_int_equal(policy->n_statements, 2);
    assert_string_equal(one->sid, "one");
    assert_int_equal(one->effect, POLICY_DENY);
    assert_true(one->not_principal && !one->not_action && one->not_resource);
    assert_int_equal(one->n_principals, 3);
    assert_int_equal(one->principals[0].kind, PRINCIPAL_ACCOUNT);
    assert_string_equal(one->principals[0].account, "444455556666");
    assert_int_equal(one->principals[1].kind, PRINCIPAL_ROLE);
    assert_string_equal(one->principals[1].account, "111122223333");
    assert_int_equal(one->principals[2].kind, PRINCIPAL_SERVICE);
    assert_int_equal(one->actions.n, 2);
    assert_string_equal(one->actions.items[0], "secretsmanager:Get*");
    assert_string_equal(one->resources.items[0], "arn:aws:secretsmanager:*:*:secret:a-??????");
    assert_int_equal(one->n_conditions, 4);
    assert_int_equal(one->conditions[0].op, OPERATOR_NOT_IP_ADDRESS);
    assert_string_equal(one->conditions[0].key, "aws:sourceip");
    assert_int_equal(one->conditions[0].values[0].block.prefix, 24);
    assert_memory_equal(one->conditions[0].values[0].block.bytes, "\xCB\x00\x71\x00", 4);
    assert_true(one->conditions[0].values[1].block.is_v6);
    assert_int_equal(one->conditions[0].values[1].block.prefix, 128);
    assert_int_equal(one->conditions[1].op, OPERATOR_STRING_LIKE);
    assert_int_equal(one->conditions[1].quantifier, QUANTIFIER_ANY_VALUE);
    assert_true(one->conditions[1].if_exists);
    assert_string_equal(one->conditions[2].key, "aws:resourcetag/team");
    assert_string_equal(one->conditions[2].values[0].text, "7");
    assert_int_equal(one->conditions[3].op, OPERATOR_KEY_IS_NULL);
    assert_false(one->conditions[3].values[0].truth);
    assert_null(two->sid);
    assert_int_equal(two->principals[0].kind, PRINCIPAL_ANYBODY);
    assert_true(two->not_action);
    policy_free(policy);
    policy = parse(OLD(WHAT "," WHO "," WHERE));
    assert_false(policy->has_variables);
    policy_free(policy);
}

static bool covers(const char *principal, const char *caller) {
    struct policy_principal a;
    struct policy_principal b;

    assert_true(policy_principal_read(principal, &a));
    assert_true(policy_principal_read(caller, &b));
    return policy_principal_covers(&a, &b);
}

/* AWS_BEHAVIOUR 8.4, principal forms: who is meant. */
static void test_who_is_meant(void **state) {
    static const char root[] = "arn:aws:iam::111122223333:root";
    static const char user[] = "arn:aws:iam::111122223333:user/a/Alice";
    static const char role[] = "arn:aws:iam::111122223333:role/a/Admin";
    static const char session[] = "arn:aws:sts::111122223333:assumed-role/Admin/me";

    assert_true(covers("*", session));
    assert_true(covers("111122223333", root));
    assert_true(covers(root, user));
    assert_true(covers(root, session));
    assert_false(covers("444455556666", root));
    assert_true(covers(user, user));
    assert_false(covers(user, root));
    assert_false(covers(user, "arn:aws:iam::111122223333:user/a/alice"));
    assert_false(covers(user, "arn:aws:iam::111122223333:user/Alice"));
    assert_true(covers(role, session));
    assert_false(covers(role, "arn:aws:sts::444455556666:assumed-role/Admin/me"));
    assert_false(covers(role, "arn:aws:sts::111122223333:assumed-role/Admin2/me"));
    assert_false(covers(role, "arn:aws:sts::111122223333:assumed-role/a/Admin"));
    assert_true(covers(session, session));
    assert_false(covers(session, "arn:aws:sts::111122223333:assumed-role/Admin/you"));
    assert_false(covers(session, role));
}

/* A document as long as one can be, of the smallest pieces, fits; more and deeper ones are refused
 * before anything is built. */
static void test_bounds(void **state) {
    static const char head[] = "{\"Statement\":{" WHO "," WHERE ",\"Effect\":\"Allow\",\"Action\":"
                               "\"*\",\"Condition\":{\"StringEquals\":{\"a:b\":[";
    static const char tail[] = "]}}}}";
    const size_t most = LIMIT_POLICY_MOST - sizeof(tail) + 1;
    char *text = malloc(2 * LIMIT_POLICY_MOST);
    size_t len = strlen(head);
    struct policy *policy;

    assert_non_null(text);
    memcpy(text, head, len);
    while (len + 5 < most && len < strlen(head) + 4 * (LIMIT_JSON_VALUES - 100)) {
        memcpy(text + len, "\"x\",", 4);
        len += 4;
    }
    memcpy(text + len - 1, tail, sizeof(tail));
    policy = parse(text);
    assert_true(policy->statements[0].conditions[0].n_values > 16000);
    policy_free(policy);

    len = strlen(head);
    for (size_t i = 0; i < LIMIT_JSON_VALUES + 10; i++) {
        memcpy(text + len, "1,", 2);
        len += 2;
    }
    memcpy(text + len - 1, tail, sizeof(tail));
    assert_int_equal(fault_of(text), POLICY_SYNTAX);
    memset(text, '[', 2 * LIMIT_POLICY_MOST);
    policy = NULL;
    assert_int_equal(policy_parse(text, 2 * LIMIT_POLICY_MOST, &policy), POLICY_SYNTAX);
    assert_null(policy);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_statement),
        cmocka_unit_test(test_actions_and_resources),
        cmocka_unit_test(test_principals),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_what_is_compiled),
        cmocka_unit_test(test_who_is_meant),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
