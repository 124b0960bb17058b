/* UpdateSecret: description, key and type of a secret, and a new version where a value is given.
 *
 * Without a value there is no version, whatever token the caller's SDK has sent. A new key without
 * a value: the versions that are in use are opened and sealed again under it here; one that does
 * not open stays as it is, without an error. A new key with a value is for that value and later
 * ones. */
#include "api/op_support.h"
#include "model/stages.h"
#include "storage/vault.h"

#include <string.h>

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IR, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)          \
    X(STR, description, "Description", F_NONE, 0, LIMIT_DESCRIPTION, NULL)                         \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, LIMIT_KMS_KEY_ID, NULL)                              \
    OP_VALUE(X)                                                                                    \
    X(STR, type, "Type", F_NONE, 0, LIMIT_TYPE, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(update_secret_in, IN)
DECLARE_SHAPE_STRUCT(update_secret_out, OUT)
#define SHAPE_SELF struct update_secret_in
DEFINE_SHAPE(update_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct update_secret_out
DEFINE_SHAPE(update_secret_out, OUT)
#undef SHAPE_SELF

/* --- Values under a new key ------------------------------------------------------------------ */

enum { DIGEST = 32, RESEALS_MAX = 3 };

static bool is_in_use(const Redoubt__Version *version) {
    for (size_t i = 0; i < version->n_stages; i++) {
        const char *stage = version->stages[i];

        if (strcmp(stage, STAGE_CURRENT) == 0 || strcmp(stage, STAGE_PENDING) == 0 ||
            strcmp(stage, STAGE_PREVIOUS) == 0) {
            return true;
        }
    }
    return false;
}

/* The version's value in clear. ERR_DECRYPTION_FAILURE: it does not open, or is not there; that is
 * no failure of the call, so nothing is said about it. */
static enum errc reseal_open(struct op_context *context, const struct vault_place *place,
                             struct secret *ret) {
    Redoubt__Sealed *sealed = NULL;
    enum errc rc =
        view_value(context->view, place->account, place->name, place->version_id, &sealed);

    if (rc == OK) {
        rc = sealed == NULL ? ERR_DECRYPTION_FAILURE
                            : vault_open(context->keyring, context->view, place, sealed, ret, NULL);
    }
    redoubt__sealed__free_unpacked(sealed, NULL);
    return rc == OK || rc == ERR_DECRYPTION_FAILURE ? rc : err_default(context->err, rc);
}

static void sealed_free(void *sealed) {
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* The version sealed under `key_id`, behind the others of the command. Nothing for one that does
 * not open. */
static enum errc reseal_version(struct op_context *context, const struct vault_place *place,
                                Redoubt__ValueKind kind, const char *key_id,
                                Redoubt__SecretUpdate *update) {
    Redoubt__Reseal *reseal = arena_alloc(context->arena, sizeof(*reseal));
    uint8_t *digest = arena_alloc(context->arena, DIGEST);
    Redoubt__Sealed *sealed = NULL;
    struct secret value = {.data = NULL};
    enum errc rc = reseal_open(context, place, &value);

    if (rc == OK && (reseal == NULL || digest == NULL)) {
        rc = op_no_memory(context);
    }
    if (rc == OK) {
        rc = vault_seal(context->keyring, context->view, place, key_id, kind, &value, &sealed,
                        digest, context->err);
    }
    secret_fini(&value);
    if (rc != OK) {
        return rc == ERR_DECRYPTION_FAILURE ? OK : rc;
    }
    if (!arena_at_end(context->arena, sealed_free, sealed)) {
        return op_no_memory(context);
    }
    redoubt__reseal__init(reseal);
    reseal->version_id = arena_strdup(context->arena, place->version_id);
    reseal->sealed = sealed;
    reseal->has_digest = true;
    reseal->digest = (ProtobufCBinaryData){.len = DIGEST, .data = digest};
    update->reseals[update->n_reseals++] = reseal;
    return OK;
}

static enum errc reseal_versions(struct op_context *context, const Redoubt__Secret *secret,
                                 const char *key_id, Redoubt__SecretUpdate *update) {
    update->reseals = arena_alloc(context->arena, RESEALS_MAX * sizeof(Redoubt__Reseal *));
    if (update->reseals == NULL) {
        return op_no_memory(context);
    }
    for (size_t i = 0; i < secret->n_versions && update->n_reseals < RESEALS_MAX; i++) {
        const Redoubt__Version *version = secret->versions[i];
        const struct vault_place place = {
            .region = context->region,
            .account = context->identity->account,
            .name = secret->name,
            .suffix = secret->suffix,
            .version_id = version->id,
        };
        enum errc rc = OK;

        if (version->has_kind && is_in_use(version) &&
            (version->key_id == NULL || strcmp(version->key_id, key_id) != 0)) {
            rc = reseal_version(context, &place, version->kind, key_id, update);
        }
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

/* --- The command ------------------------------------------------------------------------------ */

/* A replica takes a key and nothing else; the rest is for its primary's region. */
static enum errc prepare_check_state(struct op_context *context, const struct update_secret_in *in,
                                     const Redoubt__Secret *secret) {
    bool is_key_alone = in->kms_key_id != NULL && in->description == NULL && in->type == NULL &&
                        in->string == NULL && in->binary == NULL;

    if (secret->replica_of != NULL && is_key_alone) {
        return OK;
    }
    return op_check_writable(context, secret);
}

/* Everything but the value and the keys. */
static enum errc prepare_command(struct op_context *context, const struct update_secret_in *in,
                                 const Redoubt__Secret *secret, Redoubt__SecretUpdate **ret) {
    struct arena *arena = context->arena;
    Redoubt__SecretUpdate *update = arena_alloc(arena, sizeof(*update));

    if (update == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_update__init(update);
    update->ref = op_ref(context, secret->name, secret->suffix);
    if (in->description != NULL) {
        update->description = arena_strdup(arena, in->description);
    }
    if (in->kms_key_id != NULL) {
        const char *kms_key_id = op_kms_key_id(in->kms_key_id);

        update->kms_key_id = arena_strdup(arena, kms_key_id != NULL ? kms_key_id : "");
    }
    if (in->type != NULL) {
        update->type = arena_strdup(arena, in->type);
    }
    update->has_now_ms = true;
    update->now_ms = context->now_ms;
    update->quotas = op_quotas(context);
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = update;
    return OK;
}

/* The value under the key that the secret has from now on; or, with a new key alone, what there is
 * under it. */
static enum errc prepare_values(struct op_context *context, const struct update_secret_in *in,
                                const Redoubt__Secret *secret, struct op_value value,
                                const char *key_id, Redoubt__SecretUpdate *update) {
    enum errc rc;

    if (value.bytes != NULL) {
        return op_seal(context, update->ref, in->token, key_id, value, &update->value);
    }
    rc = op_check_key(context, update->ref, key_id);
    return rc == OK ? reseal_versions(context, secret, key_id, update) : rc;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct update_secret_in *in = in_any;
    const Redoubt__Secret *secret = NULL;
    Redoubt__SecretUpdate *update = NULL;
    struct op_value value;
    const char *key_id = NULL;
    enum errc rc = op_check_token(context, in->token);

    if (rc == OK) {
        rc = op_value_pick(context, in->string, in->binary, &value);
    }
    if (rc == OK) {
        rc = op_find_secret(context, in->secret_id, &secret);
    }
    if (rc == OK) {
        rc = prepare_check_state(context, in, secret);
    }
    if (rc == OK) {
        rc = prepare_command(context, in, secret, &update);
    }
    if (rc != OK) {
        return rc;
    }
    if (value.bytes != NULL || update->kms_key_id != NULL) {
        const char *kms_key_id =
            update->kms_key_id != NULL ? update->kms_key_id : secret->kms_key_id;

        rc = op_resolve_key(context, kms_key_id, &key_id, ret);
        if (rc != OK || key_id == NULL) {
            return rc;
        }
        rc = prepare_values(context, in, secret, value, key_id, update);
        if (rc != OK) {
            return rc;
        }
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_UPDATE, .message = &update->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct update_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    if (result->version_id != NULL) {
        out->version_id = arena_strdup(context->arena, result->version_id);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_update_secret = {
    .name = "UpdateSecret",
    .iam_action = "secretsmanager:UpdateSecret",
    .summary = "Description, key or type of a secret, or a new version",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &update_secret_in_shape,
    .out = &update_secret_out_shape,
    .errors =
        ERRS(ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST, ERR_LIMIT_EXCEEDED, ERR_ENCRYPTION_FAILURE,
             ERR_RESOURCE_EXISTS, ERR_RESOURCE_NOT_FOUND, ERR_MALFORMED_POLICY_DOCUMENT,
             ERR_INTERNAL_SERVICE, ERR_PRECONDITION_NOT_MET, ERR_DECRYPTION_FAILURE),
    .prepare = prepare,
    .reply = reply,
};
