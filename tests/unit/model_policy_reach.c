/* How far a policy reaches: broad access (AWS_BEHAVIOUR 3.12 and 8.4) and what a caller can never
 * do; and the patterns beneath. The tables say what we mean; a random walk holds policy_is_public
 * to an evaluation of requests by strangers that is written down apart from it.
 *
 * REDOUBT_SEED=n walks from elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/policy_pattern.h"
#include "model/policy_principal.h"
#include "model/policy_reach.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARN              "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf"
#define ROOT             "arn:aws:iam::111122223333:root"
#define PUT              "secretsmanager:PutResourcePolicy"

#define STATEMENTS(list) "{\"Version\":\"2012-10-17\",\"Statement\":[" list "]}"
#define ALL              "\"Action\":\"secretsmanager:*\",\"Resource\":\"*\""
#define ALLOW_ALL        "{\"Effect\":\"Allow\",\"Principal\":\"*\"," ALL "}"
#define ALLOW_BUT(rest)  STATEMENTS(ALLOW_ALL ",{\"Effect\":\"Deny\"," rest "}")
#define DENY(rest)       STATEMENTS("{\"Effect\":\"Deny\"," rest "}")

static struct policy *parse(const char *document) {
    struct policy *policy = NULL;

    if (policy_parse(document, strlen(document), &policy) != POLICY_SOUND) {
        fail_msg("refused: %s", document);
    }
    return policy;
}

struct row {
    const char *document;
    bool expected;
};

static void check_public(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct policy *policy = parse(rows[i].document);
        if (policy_is_public(policy) != rows[i].expected) {
            fail_msg("%s: is %spublic", rows[i].document, rows[i].expected ? "not " : "");
        }
        policy_free(policy);
    }
}

static void test_principals_of_public_policies(void **state) {
    static const struct row rows[] = {
        {STATEMENTS(ALLOW_ALL), true},
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"}," ALL "}"), true},
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":[\"111122223333\",\"*\"]}," ALL
                    "}"),
         true},
        {STATEMENTS("{\"Effect\":\"Allow\",\"NotPrincipal\":{\"AWS\":\"111122223333\"}," ALL "}"),
         true},
        {STATEMENTS("{\"Effect\":\"Allow\",\"NotPrincipal\":\"*\"," ALL "}"), false},
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"}," ALL "}"),
         false},
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"rds.amazonaws.com\"}," ALL
                    "}"),
         false},
        {STATEMENTS("{\"Effect\":\"Deny\",\"Principal\":\"*\"," ALL "}"), false},
        /* A star that is no principal. */
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" ROOT
                    "\"},\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":"
                    "{\"aws:userid\":\"*\"}}}"),
         false},
        /* One statement in many, one action, one resource. */
        {STATEMENTS("{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":"
                    "\"secretsmanager:DeleteSecret\",\"Resource\":\"*\"},"
                    "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
                    "\"secretsmanager:DescribeSecret\",\"Resource\":\"" ARN "\"}"),
         true},
        /* Allows everybody nothing. */
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":[],\"Resource\":\"*\"}"),
         false},
        {STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":{},\"Action\":\"*\",\"Resource\":\"*\"}"),
         false},
    };
    check_public(rows, ARRAY_LEN(rows));
}

static void test_conditions_that_bound(void **state) {
    static const char *const bounded[] = {
        "{\"StringEquals\":{\"aws:PrincipalOrgID\":\"o-abcdef\"}}",
        "{\"StringEquals\":{\"AWS:principalorgid\":[\"o-abcdef\",\"o-ghijkl\"]}}",
        "{\"StringEquals\":{\"aws:PrincipalAccount\":111122223333}}",
        "{\"StringEqualsIgnoreCase\":{\"aws:SourceVpce\":\"vpce-1\"}}",
        "{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::111122223333:role/*\"}}",
        "{\"ArnEquals\":{\"aws:PrincipalArn\":\"arn:*:iam::111122223333:*\"}}",
        "{\"StringLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::111122223333:*\"}}",
        "{\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:s3:::my-bucket\"}}",
        "{\"StringLike\":{\"aws:userid\":\"AROAEXAMPLE:*\"}}",
        "{\"ForAnyValue:StringLike\":{\"aws:PrincipalOrgPaths\":\"o-abcdef/r-1/*\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":[\"203.0.113.0/24\",\"10.0.0.0/8\",\"2001:db8::/32\"]}}",
        "{\"StringEquals\":{\"aws:PrincipalAccount\":\"${aws:ResourceAccount}\"}}",
        "{\"StringEquals\":{\"aws:PrincipalOrgID\":\"${aws:ResourceOrgID}\"}}",
        /* All conditions must hold, so one is enough. */
        "{\"StringEquals\":{\"aws:SourceVpc\":\"vpc-1\"},\"Bool\":{\"aws:SecureTransport\":true}}",
        /* Matches nobody. */
        "{\"StringEquals\":{\"aws:SourceVpc\":[]}}",
        "{\"StringEquals\":{\"aws:SourceVpc\":\"*\"}}",
    };
    static const char *const vast[] = {
        "{}",
        "{\"Bool\":{\"aws:SecureTransport\":true}}",
        "{\"StringEquals\":{\"aws:username\":\"alice\"}}",
        "{\"StringEquals\":{\"aws:PrincipalTag/team\":\"a\"}}",
        "{\"StringEquals\":{\"aws:ResourceAccount\":\"111122223333\"}}",
        "{\"Null\":{\"aws:PrincipalOrgID\":false}}",
        "{\"StringLike\":{\"aws:PrincipalOrgID\":\"o-*\"}}",
        "{\"StringLike\":{\"aws:PrincipalAccount\":\"11112222333?\"}}",
        ("{\"StringEquals\":{\"aws:PrincipalAccount\":[\"111122223333\","
         "\"${aws:PrincipalAccount}\"]}}"),
        "{\"StringLike\":{\"aws:SourceVpc\":[\"vpc-1\",\"*\"]}}",
        "{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::*:role/Admin\"}}",
        "{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::11112222333*:role/Admin\"}}",
        "{\"ArnLike\":{\"aws:PrincipalArn\":\"*\"}}",
        /* Without fields, a star may reach into what looks like the account. */
        "{\"StringLike\":{\"aws:PrincipalArn\":\"arn:*:iam::111122223333:role/x\"}}",
        "{\"StringLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::111122223333*\"}}",
        "{\"StringLike\":{\"aws:userid\":\"*:session\"}}",
        "{\"ForAnyValue:StringLike\":{\"aws:PrincipalOrgPaths\":\"o-*/r-1/*\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":[\"0.0.0.0/1\",\"128.0.0.0/1\"]}}",
        "{\"IpAddress\":{\"aws:SourceIp\":[\"203.0.113.0/24\",\"::/0\"]}}",
        /* Holds where the key is absent, or for all but some. */
        "{\"StringEqualsIfExists\":{\"aws:PrincipalOrgID\":\"o-abcdef\"}}",
        "{\"ForAllValues:StringEquals\":{\"aws:PrincipalOrgID\":\"o-abcdef\"}}",
        "{\"StringNotEquals\":{\"aws:PrincipalAccount\":\"111122223333\"}}",
        "{\"NotIpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}",
        "{\"ArnNotLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::111122223333:*\"}}",
    };
    char document[1024];

    for (size_t i = 0; i < ARRAY_LEN(bounded) + ARRAY_LEN(vast); i++) {
        const bool is_vast = i >= ARRAY_LEN(bounded);
        const struct row row = {document, is_vast};
        (void)snprintf(
            document, sizeof(document),
            STATEMENTS("{\"Effect\":\"Allow\",\"Principal\":\"*\"," ALL ",\"Condition\":%s}"),
            is_vast ? vast[i - ARRAY_LEN(bounded)] : bounded[i]);
        check_public(&row, 1);
    }
}

static void test_what_a_deny_takes_back(void **state) {
    static const struct row rows[] = {
        {ALLOW_BUT("\"Principal\":\"*\"," ALL
                   ",\"Condition\":{\"StringNotEquals\":{\"aws:PrincipalOrgID\":\"o-abcdef\"}}"),
         false},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL ",\"Condition\":{\"StringNotEqualsIfExists\":"
                   "{\"aws:SourceVpce\":[\"vpce-1\",\"vpce-2\"]}}"),
         false},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL
                   ",\"Condition\":{\"NotIpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"},"
                   "\"StringNotEquals\":{\"aws:PrincipalAccount\":\"111122223333\"}}"),
         false},
        {ALLOW_BUT("\"NotPrincipal\":{\"AWS\":\"111122223333\"},\"Action\":\"*\",\"Resource\":"
                   "\"*\""),
         false},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL), false},
        /* Spares too many. */
        {ALLOW_BUT("\"NotPrincipal\":\"*\"," ALL), true},
        {ALLOW_BUT("\"Principal\":{\"AWS\":\"444455556666\"}," ALL), true},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL
                   ",\"Condition\":{\"StringNotLike\":{\"aws:PrincipalOrgID\":\"o-*\"}}"),
         true},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL ",\"Condition\":{\"StringNotEquals\":"
                   "{\"aws:PrincipalOrgID\":\"o-abcdef\"},\"Bool\":{\"aws:SecureTransport\":"
                   "false}}"),
         true},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL ",\"Condition\":{\"ForAnyValue:StringNotEquals\":"
                   "{\"aws:PrincipalOrgID\":\"o-abcdef\"}}"),
         true},
        {ALLOW_BUT("\"Principal\":\"*\"," ALL
                   ",\"Condition\":{\"StringEquals\":{\"aws:PrincipalOrgID\":\"o-abcdef\"}}"),
         true},
        /* Is not about all that is allowed. */
        {ALLOW_BUT("\"Principal\":\"*\",\"Action\":\"secretsmanager:Get*\",\"Resource\":\"*\""),
         true},
        {ALLOW_BUT("\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"" ARN "\""), true},
        {ALLOW_BUT("\"Principal\":\"*\",\"NotAction\":\"secretsmanager:Put*\",\"Resource\":\"*\""),
         true},
        {STATEMENTS(
             "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
             "[\"secretsmanager:GetSecretValue\",\"SECRETSMANAGER:Get*\"],\"Resource\":\"" ARN
             "\"},{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":"
             "\"secretsmanager:get*\",\"Resource\":"
             "\"arn:aws:secretsmanager:us-east-1:111122223333:secret:app/*\"}"),
         false},
    };
    check_public(rows, ARRAY_LEN(rows));
}

static void test_what_is_denied_always(void **state) {
    static const struct row rows[] = {
        {DENY("\"Principal\":\"*\"," ALL), true},
        {DENY("\"Principal\":{\"AWS\":\"111122223333\"},\"Action\":\"*\",\"Resource\":\"*\""),
         true},
        {DENY("\"Principal\":{\"AWS\":\"" ROOT
              "\"},\"Action\":\"secretsmanager:put*\",\"Resource\":"
              "\"" ARN "\""),
         true},
        {DENY("\"Principal\":\"*\",\"Action\":\"" PUT "\",\"Resource\":"
              "\"arn:aws:secretsmanager:*:*:secret:app/db-??????\""),
         true},
        {DENY("\"NotPrincipal\":{\"AWS\":\"arn:aws:iam::111122223333:role/x\"}," ALL), true},
        {DENY("\"Principal\":\"*\",\"NotAction\":\"secretsmanager:Get*\",\"Resource\":\"*\""),
         true},
        {DENY("\"Principal\":\"*\",\"Action\":\"*\",\"NotResource\":"
              "\"arn:aws:secretsmanager:us-east-1:111122223333:secret:other-??????\""),
         true},
        {STATEMENTS(ALLOW_ALL), false},
        {DENY("\"Principal\":{\"AWS\":\"444455556666\"}," ALL), false},
        {DENY("\"NotPrincipal\":{\"AWS\":\"111122223333\"}," ALL), false},
        {DENY(
             "\"Principal\":\"*\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"*\""),
         false},
        {DENY("\"Principal\":\"*\",\"NotAction\":\"" PUT "\",\"Resource\":\"*\""), false},
        {DENY("\"Principal\":\"*\",\"Action\":\"*\",\"NotResource\":\"*\""), false},
        {DENY("\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":"
              "\"arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db2-??????\""),
         false},
        /* Only sometimes, or not for certain. */
        {DENY("\"Principal\":\"*\"," ALL ",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":"
              "false}}"),
         false},
        {DENY("\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":"
              "\"arn:aws:secretsmanager:us-east-1:111122223333:secret:${aws:username}*\""),
         false},
        {DENY("\"Principal\":\"*\",\"Action\":\"*\",\"NotResource\":"
              "\"arn:aws:secretsmanager:us-east-1:111122223333:secret:${aws:username}*\""),
         false},
    };
    struct policy_principal root;
    struct policy *policy;

    assert_true(policy_principal_read(ROOT, &root));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        policy = parse(rows[i].document);
        if (policy_denies_always(policy, &root, PUT, ARN) != rows[i].expected) {
            fail_msg("%s: denies %s", rows[i].document, rows[i].expected ? "not always" : "always");
        }
        policy_free(policy);
    }
    /* To whichever secret. */
    policy = parse(DENY("\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":[\"" ARN "\",\"*\"]"));
    assert_true(policy_denies_always(policy, &root, PUT, NULL));
    policy_free(policy);
    policy = parse(DENY("\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"" ARN "\""));
    assert_false(policy_denies_always(policy, &root, PUT, NULL));
    policy_free(policy);
    policy = parse(DENY("\"Principal\":\"*\",\"Action\":\"*\",\"NotResource\":\"" ARN "\""));
    assert_false(policy_denies_always(policy, &root, PUT, NULL));
    policy_free(policy);
}

/* --- random --- */

/* Marsaglia's xorshift: the same walk for the same seed everywhere. */
static size_t roll(uint64_t *seed, size_t sides) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (size_t)(*seed % sides);
}

static uint64_t first_seed(void) {
    const char *text = getenv("REDOUBT_SEED");
    uint64_t seed = text == NULL ? 20240311 : strtoull(text, NULL, 10);

    print_message("seed %llu\n", (unsigned long long)seed);
    return seed == 0 ? 1 : seed;
}

#define PICK(seed, list) (list)[roll(&(seed), ARRAY_LEN(list))]

/* A stranger's request: what it says of itself is what no policy of the vocabulary below speaks of;
 * keys may be absent. */
struct stranger {
    const char *key;
    const char *value;
};

static const struct stranger stranger_says[] = {
    {"aws:principalaccount", "999999999999"},
    {"aws:principalorgid", "o-zzzzzz"},
    {"aws:principalarn", "arn:aws:iam::999999999999:role/Admin"},
    {"aws:sourcevpc", "vpc-zzz"},
    {"aws:sourceip", "198.51.100.7"},
    {"aws:securetransport", "true"},
};

static bool value_matches(const struct policy_condition *condition, size_t i, const char *said) {
    const struct policy_value *value = &condition->values[i];
    uint8_t bytes[4];

    switch ((int)condition->op) {
    case OPERATOR_STRING_EQUALS:
    case OPERATOR_STRING_NOT_EQUALS:
        return strcmp(value->text, said) == 0 || strstr(value->text, "${aws:Principal") != NULL;
    case OPERATOR_STRING_LIKE:
    case OPERATOR_STRING_NOT_LIKE:
    case OPERATOR_ARN_LIKE:
    case OPERATOR_ARN_NOT_LIKE:
        return policy_pattern_matches(value->text, said, false) ||
               strstr(value->text, "${aws:Principal") != NULL;
    case OPERATOR_IP_ADDRESS:
    case OPERATOR_NOT_IP_ADDRESS: {
        uint32_t address = 0;
        uint32_t block = 0;
        assert_int_equal(inet_pton(AF_INET, said, bytes), 1);
        for (int k = 0; k < 4; k++) {
            address = address << 8 | bytes[k];
            block = block << 8 | value->block.bytes[k];
        }
        return value->block.prefix == 0 || (address ^ block) >> (32 - value->block.prefix) == 0;
    }
    case OPERATOR_BOOL:
        return strcmp(said, value->truth ? "true" : "false") == 0;
    default:
        fail_msg("the vocabulary has no operator %d", (int)condition->op);
        return false;
    }
}

/* AWS_BEHAVIOUR 8.4 for single-valued keys. */
static bool condition_holds(const struct policy_condition *condition, unsigned present) {
    const char *said = NULL;
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(stranger_says); i++) {
        if (strcmp(stranger_says[i].key, condition->key) == 0 && (present & 1U << i) != 0) {
            said = stranger_says[i].value;
        }
    }
    if (condition->op == OPERATOR_KEY_IS_NULL) {
        return condition->values[0].truth == (said == NULL);
    }
    if (said == NULL) {
        if (condition->if_exists || condition->quantifier == QUANTIFIER_ALL_VALUES) {
            return true;
        }
        return condition->quantifier == QUANTIFIER_NONE &&
               policy_operator_kinds[condition->op].negated;
    }
    for (size_t i = 0; i < condition->n_values; i++) {
        any = any || value_matches(condition, i, said);
    }
    return any != policy_operator_kinds[condition->op].negated;
}

static bool statement_applies(const struct policy_statement *statement, const char *action,
                              unsigned present) {
    bool named = false;
    bool acted = false;

    for (size_t i = 0; i < statement->n_principals; i++) {
        named = named || statement->principals[i].kind == PRINCIPAL_ANYBODY;
    }
    for (size_t i = 0; i < statement->actions.n; i++) {
        acted = acted || policy_pattern_matches(statement->actions.items[i], action, true);
    }
    if (named == statement->not_principal || acted == statement->not_action) {
        return false;
    }
    for (size_t i = 0; i < statement->n_conditions; i++) {
        if (!condition_holds(&statement->conditions[i], present)) {
            return false;
        }
    }
    return true;
}

/* Some stranger may do something: whatever he leaves unsaid. */
static bool lets_a_stranger_in(const struct policy *policy) {
    static const char *const actions[] = {"secretsmanager:GetSecretValue",
                                          "secretsmanager:PutSecretValue",
                                          "secretsmanager:DescribeSecret"};

    for (unsigned present = 0; present < 1U << ARRAY_LEN(stranger_says); present++) {
        for (size_t a = 0; a < ARRAY_LEN(actions); a++) {
            bool allowed = false;
            bool denied = false;
            for (size_t i = 0; i < policy->n_statements; i++) {
                const struct policy_statement *statement = &policy->statements[i];
                if (statement_applies(statement, actions[a], present)) {
                    allowed = allowed || statement->effect == POLICY_ALLOW;
                    denied = denied || statement->effect == POLICY_DENY;
                }
            }
            if (allowed && !denied) {
                return true;
            }
        }
    }
    return false;
}

struct text {
    char bytes[8192];
    size_t len;
};

static void add(struct text *text, const char *piece) {
    size_t len = strlen(piece);

    assert_true(text->len + len < sizeof(text->bytes));
    memcpy(text->bytes + text->len, piece, len + 1);
    text->len += len;
}

static void add_condition(struct text *text, uint64_t *seed) {
    static const char *const quantifiers[] = {"", "", "", "ForAllValues:", "ForAnyValue:"};
    static const char *const string_operators[] = {"StringEquals", "StringNotEquals", "StringLike",
                                                   "StringNotLike"};
    static const char *const arn_operators[] = {"ArnLike", "ArnNotLike"};
    static const char *const ip_operators[] = {"IpAddress", "NotIpAddress"};
    static const char *const suffixes[] = {"", "", "IfExists"};
    static const char *const strings[] = {"aws:PrincipalAccount\":[\"111122223333\"",
                                          "aws:PrincipalAccount\":[\"1*\",\"9*\"",
                                          "aws:PrincipalOrgID\":[\"o-abcdef\"",
                                          "aws:PrincipalOrgID\":[\"o-*\"",
                                          "aws:SourceVpc\":[\"vpc-1\"",
                                          "aws:SourceVpc\":[\"vpc-1\",\"vpc-?zz\"",
                                          "aws:PrincipalAccount\":[\"${aws:PrincipalAccount}\"",
                                          "aws:SourceVpc\":["};
    static const char *const arns[] = {
        "aws:PrincipalArn\":[\"arn:aws:iam::111122223333:role/*\"",
        "aws:PrincipalArn\":[\"arn:aws:iam::*:role/Admin\"",
        "aws:PrincipalArn\":[\"arn:*:iam::111122223333:*\"",
        "aws:PrincipalArn\":[\"arn:aws:iam::111122223333:root\",\"arn:aws:iam::9*:*\""};
    static const char *const blocks[] = {"aws:SourceIp\":[\"203.0.113.0/24\"",
                                         "aws:SourceIp\":[\"0.0.0.0/0\"",
                                         "aws:SourceIp\":[\"10.0.0.0/8\",\"128.0.0.0/1\""};
    static const char *const others[] = {
        "\"Bool\":{\"aws:SecureTransport\":[true", "\"Bool\":{\"aws:SecureTransport\":[false",
        "\"Null\":{\"aws:PrincipalOrgID\":[true", "\"Null\":{\"aws:PrincipalOrgID\":[false"};
    size_t kind = roll(seed, 4);

    if (kind == 3) {
        add(text, PICK(*seed, others));
    } else {
        add(text, "\"");
        add(text, PICK(*seed, quantifiers));
        add(text, kind == 0   ? PICK(*seed, string_operators)
                  : kind == 1 ? PICK(*seed, arn_operators)
                              : PICK(*seed, ip_operators));
        add(text, PICK(*seed, suffixes));
        add(text, "\":{\"");
        add(text, kind == 0   ? PICK(*seed, strings)
                  : kind == 1 ? PICK(*seed, arns)
                              : PICK(*seed, blocks));
    }
    add(text, "]}");
}

static void add_statement(struct text *text, uint64_t *seed) {
    static const char *const effects[] = {"Allow", "Allow", "Deny"};
    static const char *const principals[] = {"\"Principal\":\"*\"", "\"Principal\":\"*\"",
                                             "\"Principal\":{\"AWS\":\"111122223333\"}",
                                             "\"NotPrincipal\":{\"AWS\":\"111122223333\"}",
                                             "\"Principal\":{\"Service\":\"rds.amazonaws.com\"}"};
    static const char *const actions[] = {"\"Action\":\"*\"", "\"Action\":\"secretsmanager:*\"",
                                          "\"Action\":\"secretsmanager:Get*\"",
                                          ("\"Action\":[\"secretsmanager:GetSecretValue\","
                                           "\"secretsmanager:Put*\"]"),
                                          "\"NotAction\":\"secretsmanager:Get*\""};

    add(text, "{\"Effect\":\"");
    add(text, PICK(*seed, effects));
    add(text, "\",\"Resource\":\"*\",");
    add(text, PICK(*seed, principals));
    add(text, ",");
    add(text, PICK(*seed, actions));
    if (roll(seed, 3) > 0) {
        add(text, ",\"Condition\":{");
        add_condition(text, seed);
        add(text, "}");
    }
    add(text, "}");
}

/* Whatever lets a stranger in is public. And it is not said of everything: some are found private,
 * and few of the public ones let no stranger in. */
static void test_strangers(void **state) {
    enum { ROUNDS = 20000 };
    uint64_t seed = first_seed();
    size_t n_private = 0;
    size_t too_careful = 0;

    for (size_t round = 0; round < ROUNDS; round++) {
        struct text text = {.len = 0};
        struct policy *policy;
        bool is_public;
        bool lets_in;

        add(&text, "{\"Version\":\"2012-10-17\",\"Statement\":[");
        for (size_t n = 1 + roll(&seed, 3); n > 0; n--) {
            add_statement(&text, &seed);
            add(&text, n > 1 ? "," : "]}");
        }
        policy = parse(text.bytes);
        is_public = policy_is_public(policy);
        lets_in = lets_a_stranger_in(policy);
        if (lets_in && !is_public) {
            fail_msg("round %zu: not public: %s", round, text.bytes);
        }
        n_private += is_public ? 0 : 1;
        too_careful += is_public && !lets_in ? 1 : 0;
        policy_free(policy);
    }
    print_message("%zu private, %zu public though no stranger gets in\n", n_private, too_careful);
    assert_true(n_private > ROUNDS / 4);
    assert_true(too_careful < ROUNDS / 10);
}

/* The plain definition. */
static bool matches_by_definition(const char *pattern, const char *text) {
    if (*pattern == '\0') {
        return *text == '\0';
    }
    if (*pattern == '*') {
        return matches_by_definition(pattern + 1, text) ||
               (*text != '\0' && matches_by_definition(pattern, text + 1));
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           matches_by_definition(pattern + 1, text + 1);
}

static void random_text(char *out, size_t most, const char *alphabet, uint64_t *seed) {
    size_t len = roll(seed, most + 1);

    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[roll(seed, strlen(alphabet))];
    }
    out[len] = '\0';
}

static void test_patterns(void **state) {
    uint64_t seed = first_seed();
    size_t matched = 0;
    size_t covered = 0;

    for (int round = 0; round < 200000; round++) {
        char pattern[8];
        char other[8];
        char text[10];
        bool matches;

        random_text(pattern, 6, "ab*?", &seed);
        random_text(other, 6, "ab*?", &seed);
        random_text(text, 8, "ab", &seed);
        matches = policy_pattern_matches(pattern, text, false);
        if (matches != matches_by_definition(pattern, text)) {
            fail_msg("\"%s\" against \"%s\"", pattern, text);
        }
        matched += matches ? 1 : 0;
        if (policy_pattern_covers(pattern, other, false)) {
            covered++;
            if (!matches && matches_by_definition(other, text)) {
                fail_msg("\"%s\" does not cover \"%s\": \"%s\"", pattern, other, text);
            }
        }
    }
    assert_true(matched > 1000 && covered > 1000);
    assert_true(policy_pattern_matches("Secret?Get", "sEcretsgEt", true));
    assert_false(policy_pattern_matches("Get", "get", false));
    assert_true(policy_pattern_matches("?-*-?", "\xC3\xA9--\xF0\x9F\x98\x80", false));
    assert_false(policy_pattern_matches("??", "\xC3\xA9", false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_principals_of_public_policies),
        cmocka_unit_test(test_conditions_that_bound),
        cmocka_unit_test(test_what_a_deny_takes_back),
        cmocka_unit_test(test_what_is_denied_always),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
