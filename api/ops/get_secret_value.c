/* GetSecretValue: the value of one version, by id, by label, or the current one.
 *
 * The plaintext lives in the request's arena only and is wiped with it. The first read of a day
 * leaves a command behind the reply, which notes the day. */
#include "api/op_support.h"
#include "model/stages.h"
#include "storage/vault.h"

#include <string.h>

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(STR, version_id, "VersionId", F_NONE, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)                    \
    X(STR, stage, "VersionStage", F_NONE, 1, LIMIT_STAGE, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(BLOB, binary, "SecretBinary", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(SECRET, string, "SecretString", F_NONE, 0, SHAPE_NO_MAX, NULL)                               \
    X(STRS, stages, "VersionStages", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(get_secret_value_in, IN)
DECLARE_SHAPE_STRUCT(get_secret_value_out, OUT)
#define SHAPE_SELF struct get_secret_value_in
DEFINE_SHAPE(get_secret_value_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct get_secret_value_out
DEFINE_SHAPE(get_secret_value_out, OUT)
#undef SHAPE_SELF

static bool has_stage(const Redoubt__Version *version, const char *stage) {
    for (size_t i = 0; i < version->n_stages; i++) {
        if (strcmp(version->stages[i], stage) == 0) {
            return true;
        }
    }
    return false;
}

static enum errc find_by_id(struct op_context *context, const Redoubt__Secret *secret,
                            const struct get_secret_value_in *in, const Redoubt__Version **ret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];

        if (strcmp(version->id, in->version_id) != 0) {
            continue;
        }
        if (in->stage != NULL && !has_stage(version, in->stage)) {
            return err_set(context->err, ERR_INVALID_REQUEST,
                           "You provided a VersionStage that is not associated to the provided "
                           "VersionId.");
        }
        if (version->has_kind) {
            *ret = version;
            return OK;
        }
        break; /* begun by a rotation, without a value yet */
    }
    return err_set(context->err, ERR_RESOURCE_NOT_FOUND,
                   "Secrets Manager can't find the specified secret value for VersionId: %s",
                   in->version_id);
}

static enum errc find_by_stage(struct op_context *context, const Redoubt__Secret *secret,
                               const char *stage, const Redoubt__Version **ret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];

        if (version->has_kind && has_stage(version, stage)) {
            *ret = version;
            return OK;
        }
    }
    return err_set(context->err, ERR_RESOURCE_NOT_FOUND,
                   "Secrets Manager can't find the specified secret value for staging label: %s",
                   stage);
}

static enum errc find_version(struct op_context *context, const Redoubt__Secret *secret,
                              const struct get_secret_value_in *in, const Redoubt__Version **ret) {
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    if (in->version_id != NULL) {
        return find_by_id(context, secret, in, ret);
    }
    return find_by_stage(context, secret, in->stage != NULL ? in->stage : STAGE_CURRENT, ret);
}

static void secret_at_end(void *secret) {
    secret_fini(secret);
}

static enum errc open_value(struct op_context *context, const Redoubt__Secret *secret,
                            const Redoubt__Version *version, struct secret **ret) {
    const char *account = context->identity->account;
    const struct vault_place place = {
        .region = context->region,
        .account = account,
        .name = secret->name,
        .suffix = secret->suffix,
        .version_id = version->id,
    };
    struct secret *value = arena_alloc(context->arena, sizeof(*value));
    Redoubt__Sealed *sealed = NULL;
    enum errc rc;

    if (value == NULL || !arena_at_end(context->arena, secret_at_end, value)) {
        return op_no_memory(context);
    }
    rc = view_value(context->view, account, secret->name, version->id, &sealed);
    if (rc == OK && sealed == NULL) {
        rc = ERR_CORRUPT; /* the version says that it has one */
    }
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    rc = vault_open(context->keyring, context->view, &place, sealed, value, context->err);
    redoubt__sealed__free_unpacked(sealed, NULL);
    if (rc == OK) {
        *ret = value;
    }
    return rc;
}

/* A day that lies behind is raised; a clock that lags never takes one back. */
static bool is_before(protobuf_c_boolean present, int64_t day, int64_t today) {
    return !present || day < today;
}

static enum errc touch(struct op_context *context, const Redoubt__Secret *secret,
                       const Redoubt__Version *version) {
    int64_t today = context->now_ms / OP_DAY_MS;
    Redoubt__SecretTouch *message;

    if (!is_before(secret->has_last_accessed_day, secret->last_accessed_day, today) &&
        !is_before(version->has_last_accessed_day, version->last_accessed_day, today)) {
        return OK;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_touch__init(message);
    message->ref = op_ref(context, secret->name, secret->suffix);
    message->version_id = arena_strdup(context->arena, version->id);
    message->has_day = true;
    message->day = today;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    context->after_type = COMMAND_SECRET_TOUCH;
    context->after = &message->base;
    return OK;
}

static enum errc read_value(struct op_context *context, const void *in_any, void *out_any) {
    const struct get_secret_value_in *in = in_any;
    struct get_secret_value_out *out = out_any;
    const Redoubt__Secret *secret = NULL;
    const Redoubt__Version *version = NULL;
    struct secret *value = NULL;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    rc = find_version(context, secret, in, &version);
    if (rc != OK) {
        return rc;
    }
    rc = open_value(context, secret, version, &value);
    if (rc != OK) {
        return rc;
    }
    out->arn = op_arn(context, secret->name, secret->suffix);
    out->name = secret->name;
    out->version_id = version->id;
    if (version->kind == REDOUBT__VALUE_KIND__VALUE_BINARY) {
        out->binary = value;
    } else {
        out->string = value;
    }
    out->stages = op_strings_out(context, version->stages, version->n_stages);
    out->created = op_time(version->has_created_ms, version->created_ms);
    if (context->arena->failed) {
        return op_no_memory(context);
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
    .out = &get_secret_value_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_DECRYPTION_FAILURE, ERR_INTERNAL_SERVICE),
    .read = read_value,
};
