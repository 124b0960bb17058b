/* RestoreSecret: take back a scheduled deletion. A secret that is not scheduled stays as it is, and
 * the call succeeds. */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(restore_secret_in, IN)
DECLARE_SHAPE_STRUCT(restore_secret_out, OUT)
#define SHAPE_SELF struct restore_secret_in
DEFINE_SHAPE(restore_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct restore_secret_out
DEFINE_SHAPE(restore_secret_out, OUT)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct restore_secret_in *in = in_any;
    Redoubt__SecretRestore *restore;
    struct secret_id id;
    enum errc rc = op_secret_id(context, in->secret_id, &id);

    if (rc != OK) {
        return rc;
    }
    restore = arena_alloc(context->arena, sizeof(*restore));
    if (restore == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_restore__init(restore);
    restore->ref = op_ref(context, id.name, id.suffix);
    restore->has_now_ms = true;
    restore->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_RESTORE, .message = &restore->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct restore_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_restore_secret = {
    .name = "RestoreSecret",
    .iam_action = "secretsmanager:RestoreSecret",
    .summary = "Take back a scheduled deletion",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &restore_secret_in_shape,
    .out = &restore_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
