#include "api/secret_value.h"

#include "api/op_support.h"
#include "model/stages.h"
#include "storage/vault.h"

#include <string.h>

#define SHAPE_SELF struct secret_value
static const struct field secret_value_fields[] = {SECRET_VALUE(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape secret_value_shape = {"SecretValueEntry", sizeof(struct secret_value),
                                         secret_value_fields, ARRAY_LEN(secret_value_fields)};

/* --- Which version -------------------------------------------------------------------------- */

static bool has_stage(const Redoubt__Version *version, const char *stage) {
    for (size_t i = 0; i < version->n_stages; i++) {
        if (strcmp(version->stages[i], stage) == 0) {
            return true;
        }
    }
    return false;
}

static enum errc find_by_id(struct op_context *context, const Redoubt__Secret *secret,
                            const char *version_id, const char *stage,
                            const Redoubt__Version **ret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];

        if (strcmp(version->id, version_id) != 0) {
            continue;
        }
        if (stage != NULL && !has_stage(version, stage)) {
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
                   version_id);
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

enum errc secret_value_find(struct op_context *context, const Redoubt__Secret *secret,
                            const char *version_id, const char *stage,
                            const Redoubt__Version **ret) {
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    if (version_id != NULL) {
        return find_by_id(context, secret, version_id, stage, ret);
    }
    return find_by_stage(context, secret, stage != NULL ? stage : STAGE_CURRENT, ret);
}

/* --- Its plaintext -------------------------------------------------------------------------- */

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

enum errc secret_value_read(struct op_context *context, const Redoubt__Secret *secret,
                            const Redoubt__Version *version, struct secret_value *ret) {
    struct secret *value = NULL;
    enum errc rc = open_value(context, secret, version, &value);

    if (rc != OK) {
        return rc;
    }
    *ret = (struct secret_value){
        .arn = op_arn(context, secret->name, secret->suffix),
        .name = arena_strdup(context->arena, secret->name),
        .version_id = arena_strdup(context->arena, version->id),
        .stages = op_strings_out(context, version->stages, version->n_stages),
        .created = op_time(version->has_created_ms, version->created_ms),
    };
    if (version->kind == REDOUBT__VALUE_KIND__VALUE_BINARY) {
        ret->binary = value;
    } else {
        ret->string = value;
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

/* --- The note that it was read -------------------------------------------------------------- */

/* A day that lies behind is raised; a clock that lags never takes one back. */
static bool is_before(protobuf_c_boolean present, int64_t day, int64_t today) {
    return !present || day < today;
}

enum errc secret_value_touch(struct op_context *context, const Redoubt__Secret *secret,
                             const Redoubt__Version *version, Redoubt__SecretTouch **ret) {
    int64_t today = context->now_ms / OP_DAY_MS;
    Redoubt__SecretTouch *touch;

    *ret = NULL;
    if (!is_before(secret->has_last_accessed_day, secret->last_accessed_day, today) &&
        !is_before(version->has_last_accessed_day, version->last_accessed_day, today)) {
        return OK;
    }
    touch = arena_alloc(context->arena, sizeof(*touch));
    if (touch == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_touch__init(touch);
    touch->ref = op_ref(context, secret->name, secret->suffix);
    touch->version_id = arena_strdup(context->arena, version->id);
    touch->has_day = true;
    touch->day = today;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = touch;
    return OK;
}
