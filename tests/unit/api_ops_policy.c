/* Put-, Get-, Delete- and ValidateResourcePolicy. AWS_BEHAVIOUR 3.12, 3.0, 4.4, C-5, C-22, C-26. */
#include "tests/unit/api_ops_bench.h"

#define SYNTAX    "This resource policy contains a syntax error."
#define PRINCIPAL "This resource policy contains an unsupported principal."
#define SERVICE   "This resource policy contains an invalid service principal."
#define PUBLIC    "You can't attach a resource-based policy that allows broad access to the secret."
#define LOCKED                                                                                     \
    "You can't attach a resource-based policy that prevents you from changing the policy in the "  \
    "future."
#define SYNTAX_ERROR "{\"CheckName\":\"PolicySyntaxCheck\",\"ErrorMessage\":\"" SYNTAX "\"}"
#define BROAD_ERROR                                                                                \
    "{\"CheckName\":\"BroadAccessCheck\",\"ErrorMessage\":\"This resource policy grants broad "    \
    "access to your secret.\"}"
#define LOCKOUT_ERROR                                                                              \
    "{\"CheckName\":\"CallerLockoutCheck\",\"ErrorMessage\":\"This resource policy prevents you "  \
    "from changing the policy in the future.\"}"

/* In the clients' single quotes; body() turns them. */
#define STATEMENT(rest) "{'Version':'2012-10-17','Statement':[{" rest "}]}"
#define FINE                                                                                       \
    STATEMENT("'Sid':'EnableAllPermissions','Effect':'Allow','Principal':{'AWS':"                  \
              "'arn:aws:iam::123456789012:role/app'},'Action':'secretsmanager:GetSecretValue',"    \
              "'Resource':'*'")
#define BROAD                                                                                      \
    STATEMENT("'Effect':'Allow','Principal':'*','Action':'secretsmanager:GetSecretValue',"         \
              "'Resource':'*'")
#define DENY_ALL                                                                                   \
    STATEMENT("'Effect':'Deny','Principal':'*','Action':'secretsmanager:*','Resource':'*'")

/* The policy, in single quotes, as a JSON string among other members. A buffer of its own. */
static const char *body(const char *members, const char *policy) {
    static char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text), "{%s\"ResourcePolicy\":\"", members);

    for (; *policy != '\0'; policy++) {
        if (*policy == '\'') {
            text[len++] = '\\';
            text[len++] = '"';
        } else {
            text[len++] = *policy;
        }
        assert_true(len + 8 < sizeof(text));
    }
    memcpy(text + len, "\"}", 3);
    return text;
}

static const char *of_s(const char *policy) {
    return body("\"SecretId\":\"s\",", policy);
}

static void create(struct bench *bench) {
    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
}

static void expect_policy(struct bench *bench, const char *policy) {
    json_t *got = bench_ok(bench, "GetResourcePolicy", ID("s"));

    if (policy == NULL) {
        assert_members(got, "ARN Name");
    } else {
        char text[4096];
        size_t n = 0;
        for (; policy[n] != '\0'; n++) {
            text[n] = policy[n] == '\'' ? '"' : policy[n];
        }
        text[n] = '\0';
        assert_members(got, "ARN Name ResourcePolicy");
        assert_string_equal(text_of(got, "ResourcePolicy"), text);
    }
    json_decref(got);
}

/* 3.12, first table. */
static void policies_come_and_go(void **state) {
    struct bench *bench = *state;
    static const char spaced[] = "  {  'Statement' :{'Effect':'Allow','Action':'*','Resource':'*', "
                                 "'Principal':{'AWS':'123456789012'}} }";
    json_t *described;
    json_t *reply;
    json_t *again;

    create(bench);
    expect_policy(bench, NULL);
    bench->now_ms += 1000;
    reply = bench_ok(bench, "PutResourcePolicy", of_s(FINE));
    assert_members(reply, "ARN Name");
    assert_string_equal(text_of(reply, "Name"), "s");
    expect_policy(bench, FINE);
    described = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_true(number_of(described, "LastChangedDate") == number_of(described, "CreatedDate") + 1);
    assert_string_equal(text_of(described, "ARN"), text_of(reply, "ARN"));
    json_decref(described);
    /* Replaced as a whole, and given back as it came. */
    bench_do(bench, "PutResourcePolicy", of_s(spaced));
    expect_policy(bench, spaced);
    again = bench_ok(bench, "DeleteResourcePolicy",
                     with_arn("{\"SecretId\":\"%s\"}", text_of(reply, "ARN")));
    assert_true(json_equal(reply, again));
    json_decref(again);
    expect_policy(bench, NULL);
    bench_do(bench, "DeleteResourcePolicy", ID("s"));
    json_decref(reply);
}

/* 3.12: which sentence; the document is judged before the secret is looked for. */
static void documents_are_judged(void **state) {
    struct bench *bench = *state;
    static const struct {
        const char *policy;
        const char *sentence;
    } rows[] = {
        {"no json", SYNTAX},
        {"[]", SYNTAX},
        {"{'Version':'2012-10-17'}", SYNTAX},
        {STATEMENT("'Effect':'allow','Principal':'*','Action':'*','Resource':'*'"), SYNTAX},
        {STATEMENT("'Effect':'Allow','Action':'*','Resource':'*'"), SYNTAX},
        {STATEMENT("'Effect':'Allow','Principal':'*','Action':'s3:Get*','Resource':'*'"), SYNTAX},
        {STATEMENT("'Effect':'Allow','Principal':{'AWS':'nobody'},'Action':'*','Resource':'*'"),
         PRINCIPAL},
        {STATEMENT("'Effect':'Allow','Principal':{'Service':'nothing'},'Action':'*','Resource':"
                   "'*'"),
         SERVICE},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_refused(bench, "PutResourcePolicy", of_s(rows[i].policy),
                      ERR_MALFORMED_POLICY_DOCUMENT, rows[i].sentence);
    }
    create(bench);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_refused(bench, "PutResourcePolicy", of_s(rows[i].policy),
                      ERR_MALFORMED_POLICY_DOCUMENT, rows[i].sentence);
    }
    expect_policy(bench, NULL);
    bench_refused(bench, "PutResourcePolicy", ID("s"), ERR_VALIDATION,
                  "1 validation error detected: Value null at 'resourcePolicy' failed to satisfy "
                  "constraint: Member must not be null");
    bench_refused(bench, "PutResourcePolicy", of_s(""), ERR_VALIDATION,
                  "1 validation error detected: Value '' at 'resourcePolicy' failed to satisfy "
                  "constraint: Member must have length greater than or equal to 1");
}

/* C-5 [rec]: accepted unless BlockPublicPolicy is true. */
static void broad_access_is_blocked_on_request(void **state) {
    struct bench *bench = *state;

    create(bench);
    bench_refused(bench, "PutResourcePolicy",
                  body("\"SecretId\":\"s\",\"BlockPublicPolicy\":true,", BROAD), ERR_PUBLIC_POLICY,
                  PUBLIC);
    expect_policy(bench, NULL);
    bench_do(bench, "PutResourcePolicy",
             body("\"SecretId\":\"s\",\"BlockPublicPolicy\":false,", BROAD));
    expect_policy(bench, BROAD);
    bench_do(bench, "PutResourcePolicy", of_s(BROAD));
    bench_do(bench, "PutResourcePolicy",
             body("\"SecretId\":\"s\",\"BlockPublicPolicy\":true,", FINE));
    expect_policy(bench, FINE);
}

/* 3.12: the caller, the root of the account, must be able to take it back. */
static void nobody_locks_himself_out(void **state) {
    struct bench *bench = *state;
    json_t *created;
    char policy[1024];

    created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    bench_refused(bench, "PutResourcePolicy", of_s(DENY_ALL), ERR_INVALID_PARAMETER, LOCKED);
    (void)snprintf(policy, sizeof(policy),
                   STATEMENT("'Effect':'Deny','Principal':{'AWS':'123456789012'},'Action':"
                             "'secretsmanager:Put*','Resource':'%s'"),
                   text_of(created, "ARN"));
    bench_refused(bench, "PutResourcePolicy", of_s(policy), ERR_INVALID_PARAMETER, LOCKED);
    expect_policy(bench, NULL);
    /* Another secret, another account, another action, or only sometimes. */
    bench_do(bench, "PutResourcePolicy",
             of_s(STATEMENT("'Effect':'Deny','Principal':'*','Action':'*','Resource':"
                            "'arn:aws:secretsmanager:*:*:secret:other-*'")));
    bench_do(bench, "PutResourcePolicy",
             of_s(STATEMENT("'Effect':'Deny','Principal':{'AWS':'999999999999'},'Action':'*',"
                            "'Resource':'*'")));
    bench_do(bench, "PutResourcePolicy",
             of_s(STATEMENT("'Effect':'Deny','Principal':'*','Action':"
                            "'secretsmanager:DeleteSecret','Resource':'*'")));
    bench_do(bench, "PutResourcePolicy",
             of_s(STATEMENT("'Effect':'Deny','Principal':'*','Action':'*','Resource':'*',"
                            "'Condition':{'Bool':{'aws:SecureTransport':'false'}}")));
    json_decref(created);
}

/* 3.0, 4.4, C-22. */
static void states_are_refused(void **state) {
    struct bench *bench = *state;

    bench_refused(bench, "PutResourcePolicy", of_s(FINE), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "GetResourcePolicy", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "DeleteResourcePolicy", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    create(bench);
    bench_do(bench, "PutResourcePolicy", of_s(FINE));
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "PutResourcePolicy", of_s(FINE), ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "GetResourcePolicy", ID("s"), ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "DeleteResourcePolicy", ID("s"), ERR_INVALID_REQUEST, MARKED);
    bench_do(bench, "RestoreSecret", ID("s"));
    expect_policy(bench, FINE);
    bench_make_replica(bench, "s");
    bench_refused(bench, "PutResourcePolicy", of_s(BROAD), ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "DeleteResourcePolicy", ID("s"), ERR_INVALID_PARAMETER, ON_REPLICA);
    expect_policy(bench, FINE);
}

/* 2.3, 6: characters, not bytes; and as many as the operator says. */
static void policies_are_bounded(void **state) {
    struct bench *bench = *state;
    static char policy[2 * LIMIT_POLICY + 64];
    static char text[2 * LIMIT_POLICY + 256];
    static const char head[] = "{\\\"Id\\\":\\\"";
    static const char tail[] =
        "\\\",\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":"
        "\\\"*\\\",\\\"Resource\\\":\\\"*\\\",\\\"Principal\\\":{\\\"AWS\\\":"
        "\\\"123456789012\\\"}}}";
    size_t frame = 0;
    size_t n = 0;
    json_t *got;

    for (const char *c = head; *c != '\0'; c++) {
        frame += *c != '\\' ? 1 : 0;
    }
    for (const char *c = tail; *c != '\0'; c++) {
        frame += *c != '\\' ? 1 : 0;
    }
    for (; n < LIMIT_POLICY - frame; n++) {
        memcpy(policy + 2 * n, "\xC3\xA9", 2);
    }
    create(bench);
    (void)snprintf(text, sizeof(text), "{\"SecretId\":\"s\",\"ResourcePolicy\":\"%s%s%s\"}", head,
                   policy, tail);
    bench_do(bench, "PutResourcePolicy", text);
    got = bench_ok(bench, "GetResourcePolicy", ID("s"));
    assert_int_equal(strlen(text_of(got, "ResourcePolicy")), frame + 2 * n);
    json_decref(got);
    memcpy(policy + 2 * n, "x", 2);
    (void)snprintf(text, sizeof(text), "{\"SecretId\":\"s\",\"ResourcePolicy\":\"%s%s%s\"}", head,
                   policy, tail);
    assert_int_equal(bench_call(bench, "PutResourcePolicy", text, &got), ERR_VALIDATION);
    assert_non_null(strstr(bench->err.message,
                           " at 'resourcePolicy' failed to satisfy constraint: Member must have "
                           "length less than or equal to 20480"));
    assert_int_equal(bench_call(bench, "ValidateResourcePolicy", text, &got), ERR_VALIDATION);
    bench->quotas.policy_characters = LIMIT_POLICY + 1;
    bench_do(bench, "PutResourcePolicy", text);
}

static void expect_findings(struct bench *bench, const char *text, const char *findings) {
    json_t *reply = bench_ok(bench, "ValidateResourcePolicy", text);

    assert_members(reply, "PolicyValidationPassed ValidationErrors");
    assert_member(reply, "PolicyValidationPassed", strcmp(findings, "[]") == 0 ? "true" : "false");
    assert_member(reply, "ValidationErrors", findings);
    json_decref(reply);
}

/* 3.12, second table; C-26: the secret is an ordinary optional parameter. */
static void policies_are_validated(void **state) {
    struct bench *bench = *state;

    expect_findings(bench, body("", FINE), "[]");
    expect_findings(bench, body("", BROAD), "[" BROAD_ERROR "]");
    expect_findings(bench, body("", DENY_ALL), "[" LOCKOUT_ERROR "]");
    expect_findings(bench,
                    body("", "{'Statement':[{'Effect':'Allow','Principal':'*','Action':"
                             "'secretsmanager:GetSecretValue','Resource':'*'},{'Effect':'Deny',"
                             "'Principal':'*','NotAction':'secretsmanager:Get*','Resource':'*'}]}"),
                    "[" BROAD_ERROR "," LOCKOUT_ERROR "]");
    expect_findings(bench, body("", "{'Statement':[]}"), "[" SYNTAX_ERROR "]");
    expect_findings(
        bench,
        body("", STATEMENT("'Effect':'Allow','Principal':{'AWS':'x'},'Action':'*','Resource':'*'")),
        "[{\"CheckName\":\"PolicySyntaxCheck\",\"ErrorMessage\":\"" PRINCIPAL "\"}]");
    bench_refused(bench, "ValidateResourcePolicy", body("", "no json"),
                  ERR_MALFORMED_POLICY_DOCUMENT, SYNTAX);
    bench_refused(bench, "ValidateResourcePolicy", of_s(FINE), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "ValidateResourcePolicy", body("\"SecretId\":\"Inv Name\",", FINE),
                  ERR_VALIDATION,
                  "Invalid name. Must be a valid name containing alphanumeric characters, or any "
                  "of the following: -/_+=.@!");
    create(bench);
    expect_findings(bench, of_s(FINE), "[]");
    expect_findings(bench, of_s(BROAD), "[" BROAD_ERROR "]");
    /* Locks out of this secret only. */
    expect_findings(bench,
                    of_s(STATEMENT("'Effect':'Deny','Principal':'*','Action':'*','Resource':"
                                   "'arn:aws:secretsmanager:*:*:secret:s-*'")),
                    "[" LOCKOUT_ERROR "]");
    expect_findings(bench,
                    body("", STATEMENT("'Effect':'Deny','Principal':'*','Action':'*','Resource':"
                                       "'arn:aws:secretsmanager:*:*:secret:s-*'")),
                    "[]");
    expect_policy(bench, NULL); /* nothing was attached */
    /* 8.1: needs two actions. */
    assert_string_equal(bench_op("ValidateResourcePolicy")->iam_also,
                        "secretsmanager:PutResourcePolicy");
    bench_make_replica(bench, "s");
    expect_findings(bench, of_s(FINE), "[]");
}

static void a_scheduled_secret_is_not_validated_for(void **state) {
    struct bench *bench = *state;

    create(bench);
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "ValidateResourcePolicy", of_s(FINE), ERR_INVALID_REQUEST, MARKED);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(policies_come_and_go),
        TEST(documents_are_judged),
        TEST(broad_access_is_blocked_on_request),
        TEST(nobody_locks_himself_out),
        TEST(states_are_refused),
        TEST(policies_are_bounded),
        TEST(policies_are_validated),
        TEST(a_scheduled_secret_is_not_validated_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
