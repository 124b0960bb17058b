#include "api/op_policy.h"

#include "api/op_support.h"
#include "model/policy_principal.h"
#include "model/policy_reach.h"

#include <string.h>

static void policy_hook(void *policy) {
    policy_free(policy);
}

enum policy_fault op_policy_read(struct op_context *context, const char *text,
                                 const struct policy **ret) {
    struct policy *policy = NULL;
    enum policy_fault fault = policy_parse(text, strlen(text), &policy);

    if (fault != POLICY_SOUND) {
        return fault;
    }
    if (!arena_at_end(context->arena, policy_hook, policy)) {
        return POLICY_NO_MEMORY;
    }
    *ret = policy;
    return POLICY_SOUND;
}

enum errc op_policy_fail(struct op_context *context, enum policy_fault fault) {
    if (fault == POLICY_NO_MEMORY) {
        return op_no_memory(context);
    }
    return err_set(context->err, ERR_MALFORMED_POLICY_DOCUMENT, "%s", policy_fault_sentence(fault));
}

bool op_policy_locks_out(const struct op_context *context, const struct policy *policy,
                         const char *arn) {
    struct policy_principal caller;

    return policy_principal_read(context->identity->arn, &caller) &&
           policy_denies_always(policy, &caller, "secretsmanager:PutResourcePolicy", arn);
}
