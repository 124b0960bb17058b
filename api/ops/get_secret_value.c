/* GetSecretValue: the value of one version, by id, by label, or the current one.
 *
 * The plaintext lives in the request's arena only and is wiped with it. The first read of a day
 * leaves a command behind the reply, which notes the day. */
#include "api/op_support.h"
#include "api/secret_value.h"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(STR, version_id, "VersionId", F_NONE, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)                    \
    X(STR, stage, "VersionStage", F_NONE, 1, LIMIT_STAGE, NULL)

DECLARE_SHAPE_STRUCT(get_secret_value_in, IN)
#define SHAPE_SELF struct get_secret_value_in
DEFINE_SHAPE(get_secret_value_in, IN)
#undef SHAPE_SELF

static enum errc touch(struct op_context *context, const Redoubt__Secret *secret,
                       const Redoubt__Version *version) {
    Redoubt__SecretTouch *message = NULL;
    enum errc rc = secret_value_touch(context, secret, version, &message);

    if (rc == OK && message != NULL) {
        context->after_type = COMMAND_SECRET_TOUCH;
        context->after = &message->base;
    }
    return rc;
}

static enum errc read_value(struct op_context *context, const void *in_any, void *out) {
    const struct get_secret_value_in *in = in_any;
    const Redoubt__Secret *secret = NULL;
    const Redoubt__Version *version = NULL;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    rc = secret_value_find(context, secret, in->version_id, in->stage, &version);
    if (rc != OK) {
        return rc;
    }
    rc = secret_value_read(context, secret, version, out);
    if (rc != OK) {
        return rc;
    }
    return touch(context, secret, version);
}

const struct op op_get_secret_value = {
    .name = "GetSecretValue",
    .iam_action = "secretsmanager:GetSecretValue",
    .summary = "The value of one version of a secret",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &get_secret_value_in_shape,
    .out = &secret_value_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_DECRYPTION_FAILURE, ERR_INTERNAL_SERVICE),
    .read = read_value,
};
