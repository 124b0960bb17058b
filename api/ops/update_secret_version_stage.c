/* UpdateSecretVersionStage: a staging label goes to another version of the secret, or goes.
 *
 * Everything is decided by the state, when the command is applied (model/stages.h). */
#include "api/op_support.h"

#include <string.h>

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(STR, stage, "VersionStage", F_REQ, 1, LIMIT_STAGE, NULL)                                     \
    X(STR, remove_from, "RemoveFromVersionId", F_NONE, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)         \
    X(STR, move_to, "MoveToVersionId", F_NONE, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(update_secret_version_stage_in, IN)
DECLARE_SHAPE_STRUCT(update_secret_version_stage_out, OUT)
#define SHAPE_SELF struct update_secret_version_stage_in
DEFINE_SHAPE(update_secret_version_stage_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct update_secret_version_stage_out
DEFINE_SHAPE(update_secret_version_stage_out, OUT)
#undef SHAPE_SELF

/* An id is of at most LIMIT_TOKEN bytes (op_check_token): one that has as many characters and more
 * bytes is no version's. */
static enum errc prepare_check_id(struct op_context *context, const char *id) {
    if (id != NULL && strlen(id) > LIMIT_TOKEN) {
        return err_set(context->err, ERR_INVALID_PARAMETER, "Not a valid version: %s", id);
    }
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct update_secret_version_stage_in *in = in_any;
    struct arena *arena = context->arena;
    const Redoubt__Secret *secret = NULL;
    Redoubt__StageUpdate *update;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc == OK) {
        rc = op_check_writable(context, secret);
    }
    if (rc == OK) {
        rc = prepare_check_id(context, in->remove_from);
    }
    if (rc == OK) {
        rc = prepare_check_id(context, in->move_to);
    }
    if (rc != OK) {
        return rc;
    }
    update = arena_alloc(arena, sizeof(*update));
    if (update == NULL) {
        return op_no_memory(context);
    }
    redoubt__stage_update__init(update);
    update->ref = op_ref(context, secret->name, secret->suffix);
    update->stage = arena_strdup(arena, in->stage);
    update->remove_from = in->remove_from != NULL ? arena_strdup(arena, in->remove_from) : NULL;
    update->move_to = in->move_to != NULL ? arena_strdup(arena, in->move_to) : NULL;
    update->has_now_ms = true;
    update->now_ms = context->now_ms;
    update->quotas = op_quotas(context);
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_STAGE_UPDATE, .message = &update->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct update_secret_version_stage_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_update_secret_version_stage = {
    .name = "UpdateSecretVersionStage",
    .iam_action = "secretsmanager:UpdateSecretVersionStage",
    .summary = "Move a staging label to another version, or remove it",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &update_secret_version_stage_in_shape,
    .out = &update_secret_version_stage_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_LIMIT_EXCEEDED, ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
