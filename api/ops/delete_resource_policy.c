/* DeleteResourcePolicy: detach a secret's resource policy. Where there is none, nothing happens. */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

DECLARE_SHAPE_STRUCT(delete_resource_policy_in, IN)
#define SHAPE_SELF struct delete_resource_policy_in
DEFINE_SHAPE(delete_resource_policy_in, IN)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct delete_resource_policy_in *in = in_any;
    const Redoubt__Secret *secret = NULL;
    Redoubt__PolicySet *set;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    set = arena_alloc(context->arena, sizeof(*set));
    if (set == NULL) {
        return op_no_memory(context);
    }
    redoubt__policy_set__init(set);
    set->ref = op_ref(context, secret->name, secret->suffix);
    set->has_now_ms = true;
    set->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_POLICY_SET, .message = &set->base};
    return OK;
}

const struct op op_delete_resource_policy = {
    .name = "DeleteResourcePolicy",
    .iam_action = "secretsmanager:DeleteResourcePolicy",
    .summary = "Detach a secret's resource policy",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &delete_resource_policy_in_shape,
    .out = &op_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INTERNAL_SERVICE, ERR_INVALID_REQUEST,
                   ERR_INVALID_PARAMETER),
    .prepare = prepare,
    .reply = op_secret_reply,
};
