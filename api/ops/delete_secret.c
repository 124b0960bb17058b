/* DeleteSecret: schedule a deletion, or delete at once.
 *
 * The parameters are judged first, also where there is no such secret. */
#include "api/op_support.h"

enum { WINDOW_DAYS_MIN = 7, WINDOW_DAYS_MAX = 30, WINDOW_DAYS_DEFAULT = 30 };

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(INT, window_days, "RecoveryWindowInDays", F_NONE, INT64_MIN, SHAPE_NO_MAX, NULL)             \
    X(BOOL, force, "ForceDeleteWithoutRecovery", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(TIME, deletion, "DeletionDate", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(delete_secret_in, IN)
DECLARE_SHAPE_STRUCT(delete_secret_out, OUT)
#define SHAPE_SELF struct delete_secret_in
DEFINE_SHAPE(delete_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct delete_secret_out
DEFINE_SHAPE(delete_secret_out, OUT)
#undef SHAPE_SELF

static enum errc prepare_check(struct op_context *context, const struct delete_secret_in *in) {
    int64_t days = in->window_days.value;

    if (!in->window_days.present) {
        return OK;
    }
    if (days < WINDOW_DAYS_MIN || days > WINDOW_DAYS_MAX) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
    }
    if (in->force.value) {
        return err_set(
            context->err, ERR_INVALID_PARAMETER,
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
    }
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct delete_secret_in *in = in_any;
    int64_t days = in->window_days.present ? in->window_days.value : WINDOW_DAYS_DEFAULT;
    unsigned char random[32];
    char suffix[LIMIT_ARN_SUFFIX + 1];
    struct secret_id id;
    Redoubt__SecretDelete *message;
    enum errc rc = prepare_check(context, in);

    if (rc == OK) {
        rc = op_secret_id(context, in->secret_id, &id);
    }
    if (rc != OK) {
        return rc;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_delete__init(message);
    world_random(context->world, random, sizeof(random));
    secret_suffix(random, suffix);
    message->ref = op_ref(context, id.name, id.suffix);
    message->has_force = true;
    message->force = in->force.value;
    message->has_deletion_ms = true;
    message->deletion_ms = context->now_ms + (in->force.value ? 0 : days * OP_DAY_MS);
    message->has_now_ms = true;
    message->now_ms = context->now_ms;
    message->invented_suffix = arena_strdup(context->arena, suffix);
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_DELETE, .message = &message->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct delete_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    out->deletion = op_time(result->has_deletion_ms, result->deletion_ms);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_delete_secret = {
    .name = "DeleteSecret",
    .iam_action = "secretsmanager:DeleteSecret",
    .summary = "Schedule the deletion of a secret, or delete it at once",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &delete_secret_in_shape,
    .out = &delete_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
