/* GetResourcePolicy: a secret's resource policy, as it was put.
 *
 * Works on a replica, too (C-22 of AWS_BEHAVIOUR). */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

#define OUT(X)                                                                                     \
    OP_SECRET_OUT(X)                                                                               \
    X(STR, policy, "ResourcePolicy", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(get_resource_policy_in, IN)
DECLARE_SHAPE_STRUCT(get_resource_policy_out, OUT)
#define SHAPE_SELF struct get_resource_policy_in
DEFINE_SHAPE(get_resource_policy_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct get_resource_policy_out
DEFINE_SHAPE(get_resource_policy_out, OUT)
#undef SHAPE_SELF

static enum errc get(struct op_context *context, const void *in_any, void *out_any) {
    const struct get_resource_policy_in *in = in_any;
    struct get_resource_policy_out *out = out_any;
    const Redoubt__Secret *secret = NULL;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    out->arn = op_arn(context, secret->name, secret->suffix);
    out->name = arena_strdup(context->arena, secret->name);
    if (secret->policy != NULL) {
        out->policy = arena_strdup(context->arena, secret->policy);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_get_resource_policy = {
    .name = "GetResourcePolicy",
    .iam_action = "secretsmanager:GetResourcePolicy",
    .summary = "A secret's resource policy",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &get_resource_policy_in_shape,
    .out = &get_resource_policy_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INTERNAL_SERVICE, ERR_INVALID_REQUEST,
                   ERR_INVALID_PARAMETER),
    .read = get,
};
