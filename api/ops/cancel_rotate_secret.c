/* CancelRotateSecret: no rotation any more, until the next RotateSecret. What was configured stays,
 * and so does the label AWSPENDING of a rotation that had begun; the reply names its version. */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(cancel_rotate_secret_in, IN)
DECLARE_SHAPE_STRUCT(cancel_rotate_secret_out, OUT)
#define SHAPE_SELF struct cancel_rotate_secret_in
DEFINE_SHAPE(cancel_rotate_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct cancel_rotate_secret_out
DEFINE_SHAPE(cancel_rotate_secret_out, OUT)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct cancel_rotate_secret_in *in = in_any;
    Redoubt__RotationCancel *message;
    struct secret_id id;
    enum errc rc = op_secret_id(context, in->secret_id, &id);

    if (rc != OK) {
        return rc;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__rotation_cancel__init(message);
    message->ref = op_ref(context, id.name, id.suffix);
    message->has_now_ms = true;
    message->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_ROTATION_CANCEL, .message = &message->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct cancel_rotate_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    if (result->version_id != NULL) {
        out->version_id = arena_strdup(context->arena, result->version_id);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_cancel_rotate_secret = {
    .name = "CancelRotateSecret",
    .iam_action = "secretsmanager:CancelRotateSecret",
    .summary = "Turn rotation off",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &cancel_rotate_secret_in_shape,
    .out = &cancel_rotate_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INTERNAL_SERVICE,
                   ERR_INVALID_REQUEST),
    .prepare = prepare,
    .reply = reply,
};
