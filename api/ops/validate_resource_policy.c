/* ValidateResourcePolicy: what PutResourcePolicy would say to a policy, and whether it is public.
 *
 * What is no JSON is refused; everything else is an answer, with the checks that failed. The secret
 * is optional (C-26 of AWS_BEHAVIOUR); without one, the policy is looked at as of any secret. */
#include "api/op_policy.h"
#include "api/op_support.h"
#include "model/policy_reach.h"

#define IN(X)                                                                                      \
    X(STR, secret_id, "SecretId", F_SECRET_ID, 1, LIMIT_SECRET_ID, NULL)                           \
    OP_POLICY(X)

#define FINDING(X)                                                                                 \
    X(STR, check, "CheckName", F_NONE, 0, SHAPE_NO_MAX, NULL)                                      \
    X(STR, message, "ErrorMessage", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(validate_resource_policy_in, IN)
DECLARE_SHAPE_STRUCT(finding, FINDING)
#define SHAPE_SELF struct validate_resource_policy_in
DEFINE_SHAPE(validate_resource_policy_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct finding
DEFINE_SHAPE(finding, FINDING)
#undef SHAPE_SELF

#define OUT(X)                                                                                     \
    X(BOOL, passed, "PolicyValidationPassed", F_NONE, 0, SHAPE_NO_MAX, NULL)                       \
    X(LIST, findings, "ValidationErrors", F_NONE, 0, SHAPE_NO_MAX, &finding_shape)

DECLARE_SHAPE_STRUCT(validate_resource_policy_out, OUT)
#define SHAPE_SELF struct validate_resource_policy_out
DEFINE_SHAPE(validate_resource_policy_out, OUT)
#undef SHAPE_SELF

enum { FINDINGS_MAX = 3 };

static void add(struct shape_list *findings, const char *check, const char *message) {
    CHECK(findings->n < FINDINGS_MAX);
    ((struct finding *)findings->items)[findings->n++] =
        (struct finding){.check = check, .message = message};
}

/* *ret: the secret's ARN, NULL without a SecretId. */
static enum errc find(struct op_context *context, const char *secret_id, const char **ret) {
    const Redoubt__Secret *secret = NULL;
    enum errc rc;

    if (secret_id == NULL) {
        return OK;
    }
    rc = op_find_secret(context, secret_id, &secret);
    if (rc != OK) {
        return rc;
    }
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    *ret = op_arn(context, secret->name, secret->suffix);
    return *ret == NULL ? op_no_memory(context) : OK;
}

static enum errc validate(struct op_context *context, const void *in_any, void *out_any) {
    const struct validate_resource_policy_in *in = in_any;
    struct validate_resource_policy_out *out = out_any;
    const struct policy *policy = NULL;
    const char *arn = NULL;
    enum policy_fault fault = op_policy_read(context, in->policy, &policy);
    enum errc rc;

    if (fault == POLICY_NOT_JSON || fault == POLICY_NO_MEMORY) {
        return op_policy_fail(context, fault);
    }
    rc = find(context, in->secret_id, &arn);
    if (rc != OK) {
        return rc;
    }
    out->findings.present = true;
    out->findings.items = arena_alloc(context->arena, FINDINGS_MAX * sizeof(struct finding));
    if (out->findings.items == NULL) {
        return op_no_memory(context);
    }
    if (policy == NULL) {
        add(&out->findings, "PolicySyntaxCheck", policy_fault_sentence(fault));
    } else {
        if (policy_is_public(policy)) {
            add(&out->findings, "BroadAccessCheck",
                "This resource policy grants broad access to your secret.");
        }
        if (op_policy_locks_out(context, policy, arn)) {
            add(&out->findings, "CallerLockoutCheck",
                "This resource policy prevents you from changing the policy in the future.");
        }
    }
    out->passed = (struct opt_bool){.present = true, .value = out->findings.n == 0};
    return OK;
}

const struct op op_validate_resource_policy = {
    .name = "ValidateResourcePolicy",
    .iam_action = "secretsmanager:ValidateResourcePolicy",
    .iam_also = "secretsmanager:PutResourcePolicy",
    .summary = "Check a resource policy without attaching it",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &validate_resource_policy_in_shape,
    .out = &validate_resource_policy_out_shape,
    .errors = ERRS(ERR_MALFORMED_POLICY_DOCUMENT, ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE, ERR_INVALID_REQUEST),
    .read = validate,
};
