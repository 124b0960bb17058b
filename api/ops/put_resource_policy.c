/* PutResourcePolicy: attach a resource policy to a secret, in place of the one that is there.
 *
 * The document is judged first, also where there is no such secret; then the secret's state; then
 * what the policy would do to it. The text is kept as it was given. */
#include "api/op_policy.h"
#include "api/op_support.h"
#include "model/policy_reach.h"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    OP_POLICY(X)                                                                                   \
    X(BOOL, block_public, "BlockPublicPolicy", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(put_resource_policy_in, IN)
#define SHAPE_SELF struct put_resource_policy_in
DEFINE_SHAPE(put_resource_policy_in, IN)
#undef SHAPE_SELF

static enum errc prepare_check(struct op_context *context, const struct put_resource_policy_in *in,
                               const struct policy *policy, const Redoubt__Secret *secret) {
    const char *arn = op_arn(context, secret->name, secret->suffix);

    if (arn == NULL) {
        return op_no_memory(context);
    }
    if (in->block_public.value && policy_is_public(policy)) {
        return err_default(context->err, ERR_PUBLIC_POLICY);
    }
    if (op_policy_locks_out(context, policy, arn)) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "You can't attach a resource-based policy that prevents you from changing "
                       "the policy in the future.");
    }
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct put_resource_policy_in *in = in_any;
    const struct policy *policy = NULL;
    const Redoubt__Secret *secret = NULL;
    Redoubt__PolicySet *set;
    enum policy_fault fault = op_policy_read(context, in->policy, &policy);
    enum errc rc;

    if (fault != POLICY_SOUND) {
        return op_policy_fail(context, fault);
    }
    rc = op_find_secret(context, in->secret_id, &secret);
    if (rc == OK) {
        rc = op_check_writable(context, secret);
    }
    if (rc == OK) {
        rc = prepare_check(context, in, policy, secret);
    }
    if (rc != OK) {
        return rc;
    }
    set = arena_alloc(context->arena, sizeof(*set));
    if (set == NULL) {
        return op_no_memory(context);
    }
    redoubt__policy_set__init(set);
    set->ref = op_ref(context, secret->name, secret->suffix);
    set->policy = arena_strdup(context->arena, in->policy);
    set->has_now_ms = true;
    set->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_POLICY_SET, .message = &set->base};
    return OK;
}

const struct op op_put_resource_policy = {
    .name = "PutResourcePolicy",
    .iam_action = "secretsmanager:PutResourcePolicy",
    .summary = "Attach a resource policy to a secret",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &put_resource_policy_in_shape,
    .out = &op_secret_out_shape,
    .errors = ERRS(ERR_MALFORMED_POLICY_DOCUMENT, ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE, ERR_INVALID_REQUEST, ERR_PUBLIC_POLICY),
    .prepare = prepare,
    .reply = op_secret_reply,
};
