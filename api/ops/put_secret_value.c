/* PutSecretValue: a new version of a secret, with AWSCURRENT or exactly the labels asked for.
 *
 * Prepare seals the value for the secret as it stands, and the command names that secret with its
 * suffix: one that was deleted and made anew in between is not written to. */
#include "api/op_support.h"

#include <string.h>

enum { ROTATION_TOKEN_MIN = 36, ROTATION_TOKEN_MAX = 256 };

static bool rotation_token_matches(const char *text) {
    static const char alphabet[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

    return text[0] != '\0' && text[strspn(text, alphabet)] == '\0';
}

static const struct str_rule rotation_token_rule = {.matches = rotation_token_matches,
                                                    .pattern = "^[a-zA-Z0-9\\-]+$"};

/* RotationToken comes with rotations by a function in another account; it is looked at and not
 * used. */
#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IR, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)          \
    OP_VALUE(X)                                                                                    \
    X(STRS, stages, "VersionStages", F_NONE, 1, LIMIT_STAGES_PER_SECRET, &op_stage_rule)           \
    X(SECRET, rotation_token, "RotationToken", F_NONE, ROTATION_TOKEN_MIN, ROTATION_TOKEN_MAX,     \
      &rotation_token_rule)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STRS, stages, "VersionStages", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(put_secret_value_in, IN)
DECLARE_SHAPE_STRUCT(put_secret_value_out, OUT)
#define SHAPE_SELF struct put_secret_value_in
DEFINE_SHAPE(put_secret_value_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct put_secret_value_out
DEFINE_SHAPE(put_secret_value_out, OUT)
#undef SHAPE_SELF

static enum errc prepare_value(struct op_context *context, const struct put_secret_value_in *in,
                               struct op_value *ret) {
    enum errc rc = op_check_token(context, in->token);

    if (rc == OK) {
        rc = op_value_pick(context, in->string, in->binary, ret);
    }
    if (rc == OK && ret->bytes == NULL) {
        return err_set(context->err, ERR_INVALID_REQUEST,
                       "You must provide either SecretString or SecretBinary.");
    }
    return rc;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct put_secret_value_in *in = in_any;
    Redoubt__SecretPut *put = arena_alloc(context->arena, sizeof(*put));
    const Redoubt__Secret *secret = NULL;
    struct op_value value;
    const char *key_id = NULL;
    enum errc rc = prepare_value(context, in, &value);

    if (rc != OK) {
        return rc;
    }
    rc = op_find_secret(context, in->secret_id, &secret);
    if (rc == OK) {
        rc = op_check_writable(context, secret);
    }
    if (rc != OK) {
        return rc;
    }
    rc = op_resolve_key(context, secret->kms_key_id, &key_id, ret);
    if (rc != OK || key_id == NULL) {
        return rc;
    }
    if (put == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_put__init(put);
    put->ref = op_ref(context, secret->name, secret->suffix);
    put->stages = op_strings_in(context, &in->stages);
    put->n_stages = in->stages.n;
    put->has_now_ms = true;
    put->now_ms = context->now_ms;
    put->quotas = op_quotas(context);
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    rc = op_seal(context, put->ref, in->token, key_id, value, &put->value);
    if (rc != OK) {
        return rc;
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_PUT, .message = &put->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct put_secret_value_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    out->version_id = arena_strdup(context->arena, result->version_id);
    out->stages = op_strings_out(context, result->stages, result->n_stages);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_put_secret_value = {
    .name = "PutSecretValue",
    .iam_action = "secretsmanager:PutSecretValue",
    .summary = "A new version of a secret",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &put_secret_value_in_shape,
    .out = &put_secret_value_out_shape,
    .errors = ERRS(ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST, ERR_LIMIT_EXCEEDED,
                   ERR_ENCRYPTION_FAILURE, ERR_RESOURCE_EXISTS, ERR_RESOURCE_NOT_FOUND,
                   ERR_INTERNAL_SERVICE, ERR_DECRYPTION_FAILURE),
    .prepare = prepare,
    .reply = reply,
};
