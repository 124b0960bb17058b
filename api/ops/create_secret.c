/* CreateSecret: a new secret and, where they are given, its first version and its replicas.
 *
 * Prepare resolves the suffix, the key and the ciphertext; whether the name is free, and whether
 * this is the repetition of an earlier call, is decided when the command is applied. */
#include "api/op_support.h"

#define IN(X)                                                                                      \
    X(STR, name, "Name", F_REQ | F_NAME, 1, LIMIT_NAME, NULL)                                      \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IR, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)          \
    X(STR, description, "Description", F_NONE, 0, LIMIT_DESCRIPTION, NULL)                         \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, LIMIT_KMS_KEY_ID, NULL)                              \
    OP_VALUE(X)                                                                                    \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &op_tag_shape)                                  \
    X(LIST, regions, "AddReplicaRegions", F_NONE, 1, SHAPE_NO_MAX, &op_replica_region_shape)       \
    X(BOOL, force, "ForceOverwriteReplicaSecret", F_NONE, 0, SHAPE_NO_MAX, NULL)                   \
    X(STR, type, "Type", F_NONE, 0, LIMIT_TYPE, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(LIST, replication, "ReplicationStatus", F_NONE, 0, SHAPE_NO_MAX, &op_replication_status_shape)

DECLARE_SHAPE_STRUCT(create_secret_in, IN)
DECLARE_SHAPE_STRUCT(create_secret_out, OUT)
#define SHAPE_SELF struct create_secret_in
DEFINE_SHAPE(create_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct create_secret_out
DEFINE_SHAPE(create_secret_out, OUT)
#undef SHAPE_SELF

static Redoubt__SecretRef *prepare_ref(struct op_context *context, const char *name) {
    unsigned char random[32];
    char suffix[LIMIT_ARN_SUFFIX + 1];

    world_random(context->world, random, sizeof(random));
    secret_suffix(random, suffix);
    return op_ref(context, name, suffix);
}

/* Everything but the value. */
static enum errc prepare_command(struct op_context *context, const struct create_secret_in *in,
                                 Redoubt__SecretCreate **ret) {
    struct arena *arena = context->arena;
    const char *kms_key_id = op_kms_key_id(in->kms_key_id);
    Redoubt__SecretCreate *create = arena_alloc(arena, sizeof(*create));
    enum errc rc;

    if (create == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_create__init(create);
    rc = op_tags_in(context, &in->tags, &create->tags, &create->n_tags);
    if (rc != OK) {
        return rc;
    }
    rc = op_targets_in(context, &in->regions, &create->targets, &create->n_targets);
    if (rc != OK) {
        return rc;
    }
    create->ref = prepare_ref(context, in->name);
    create->token = arena_strdup(arena, in->token);
    if (in->description != NULL && in->description[0] != '\0') {
        create->description = arena_strdup(arena, in->description);
    }
    if (in->type != NULL && in->type[0] != '\0') {
        create->type = arena_strdup(arena, in->type);
    }
    if (kms_key_id != NULL) {
        create->kms_key_id = arena_strdup(arena, kms_key_id);
    }
    create->has_force_overwrite = true;
    create->force_overwrite = in->force.value;
    create->has_now_ms = true;
    create->now_ms = context->now_ms;
    create->quotas = op_quotas(context);
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = create;
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct create_secret_in *in = in_any;
    Redoubt__SecretCreate *create = NULL;
    struct op_value value;
    const char *key_id = NULL;
    enum errc rc = op_check_token(context, in->token);

    if (rc == OK) {
        rc = op_value_pick(context, in->string, in->binary, &value);
    }
    if (rc == OK) {
        rc = op_check_readable(context, in->name);
    }
    if (rc != OK) {
        return rc;
    }
    rc = prepare_command(context, in, &create);
    if (rc != OK) {
        return rc;
    }
    /* A key that was named is looked at in any case; the default one is only needed for a value. */
    if (value.bytes != NULL || create->kms_key_id != NULL) {
        rc = op_resolve_key(context, create->kms_key_id, &key_id, ret);
        if (rc != OK || key_id == NULL) {
            return rc;
        }
        rc = value.bytes != NULL
                 ? op_seal(context, create->ref, in->token, key_id, value, &create->value)
                 : op_check_key(context, create->ref, key_id);
        if (rc != OK) {
            return rc;
        }
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_CREATE, .message = &create->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in_any,
                       const Redoubt__Result *result, void *out_any) {
    const struct create_secret_in *in = in_any;
    struct create_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    if (result->version_id != NULL) {
        out->version_id = arena_strdup(context->arena, result->version_id);
    }
    if (in->regions.n > 0) {
        out->replication = op_link_results_out(context, result);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_create_secret = {
    .name = "CreateSecret",
    .iam_action = "secretsmanager:CreateSecret",
    .summary = "A new secret, optionally with its first version and with replicas",
    .class = OP_WRITE,
    .resource = RESOURCE_NAME,
    .in = &create_secret_in_shape,
    .out = &create_secret_out_shape,
    .errors =
        ERRS(ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST, ERR_LIMIT_EXCEEDED, ERR_ENCRYPTION_FAILURE,
             ERR_RESOURCE_EXISTS, ERR_RESOURCE_NOT_FOUND, ERR_MALFORMED_POLICY_DOCUMENT,
             ERR_INTERNAL_SERVICE, ERR_PRECONDITION_NOT_MET, ERR_DECRYPTION_FAILURE),
    .prepare = prepare,
    .reply = reply,
};
