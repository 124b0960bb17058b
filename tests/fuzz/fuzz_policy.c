/* A resource policy that nobody has vouched for: whatever comes in is refused with a sentence, or
 * compiled into what the header promises; then it is reasoned about, with the same outcome each
 * time. */
#include "model/policy.h"
#include "model/policy_principal.h"
#include "model/policy_reach.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_principals(const struct policy_statement *statement) {
    for (size_t i = 0; i < statement->n_principals; i++) {
        const struct policy_principal *principal = &statement->principals[i];
        bool is_of_account =
            principal->kind != PRINCIPAL_ANYBODY && principal->kind != PRINCIPAL_SERVICE;

        CHECK(principal->text != NULL && principal->text[0] != '\0');
        CHECK(strspn(principal->account, "0123456789") ==
              (is_of_account ? (size_t)LIMIT_ACCOUNT : 0));
        CHECK(policy_principal_covers(principal, principal));
        CHECK((principal->kind == PRINCIPAL_ANYBODY) == (strchr(principal->text, '*') != NULL));
    }
}

static void check_conditions(const struct policy_statement *statement) {
    for (size_t i = 0; i < statement->n_conditions; i++) {
        const struct policy_condition *condition = &statement->conditions[i];

        CHECK(condition->op <= OPERATOR_KEY_IS_NULL);
        CHECK(strchr(condition->key, ':') != NULL);
        CHECK(strpbrk(condition->key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
        for (size_t k = 0; k < condition->n_values; k++) {
            const struct policy_value *value = &condition->values[k];
            CHECK(value->text != NULL);
            if (policy_operator_kinds[condition->op].type == VALUE_TYPE_ADDRESS) {
                CHECK(value->block.prefix <= (value->block.is_v6 ? 128 : 32));
            }
        }
    }
}

static void check(const struct policy *policy) {
    CHECK(policy->n_statements > 0);
    for (size_t i = 0; i < policy->n_statements; i++) {
        const struct policy_statement *statement = &policy->statements[i];

        CHECK(statement->effect == POLICY_ALLOW || statement->effect == POLICY_DENY);
        for (size_t k = 0; k < statement->actions.n; k++) {
            CHECK(statement->actions.items[k][0] != '\0');
        }
        for (size_t k = 0; k < statement->resources.n; k++) {
            const char *resource = statement->resources.items[k];
            CHECK(strcmp(resource, "*") == 0 || strncmp(resource, "arn:", 4) == 0);
        }
        check_principals(statement);
        check_conditions(statement);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char arn[] = "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf";
    struct policy *policy = NULL;
    struct policy *again = NULL;
    struct policy_principal root;
    enum policy_fault fault = policy_parse((const char *)data, size, &policy);

    CHECK(policy_parse((const char *)data, size, &again) == fault);
    CHECK(fault != POLICY_NO_MEMORY && (fault == POLICY_SOUND) == (policy != NULL));
    if (fault != POLICY_SOUND) {
        CHECK(policy_fault_sentence(fault)[0] != '\0');
        return 0;
    }
    check(policy);
    CHECK(policy_is_public(policy) == policy_is_public(again));
    CHECK(policy_principal_read("arn:aws:iam::111122223333:root", &root));
    /* What is denied of every secret is denied of this one. */
    CHECK(!policy_denies_always(policy, &root, "secretsmanager:PutResourcePolicy", NULL) ||
          policy_denies_always(again, &root, "secretsmanager:PutResourcePolicy", arn));
    policy_free(policy);
    policy_free(again);
    return 0;
}
