/* RotateSecret: configure a secret's rotation, and begin one unless it is to wait.
 *
 * Prepare answers what needs no state of one moment: the rules, and whether anything could be
 * invoked. The rest is decided when the command is applied. */
#include "api/op_support.h"
#include "model/function_arn.h"
#include "model/schedule.h"

#include <string.h>

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IP, LIMIT_TOKEN_MIN, LIMIT_TOKEN, NULL)          \
    X(STR, function_arn, "RotationLambdaARN", F_NONE, 0, LIMIT_FUNCTION_ARN, NULL)                 \
    X(STRUCT, rules, "RotationRules", F_NONE, 0, SHAPE_NO_MAX, &op_rotation_rules_shape)           \
    X(LIST, metadata, "ExternalSecretRotationMetadata", F_NONE, 0, SHAPE_NO_MAX,                   \
      &op_external_metadata_shape)                                                                 \
    X(STR, role_arn, "ExternalSecretRotationRoleArn", F_NONE, ROLE_ARN_MIN, LIMIT_ROLE_ARN, NULL)  \
    X(BOOL, immediately, "RotateImmediately", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)

enum { ROLE_ARN_MIN = 20 };

DECLARE_SHAPE_STRUCT(rotate_secret_in, IN)
DECLARE_SHAPE_STRUCT(rotate_secret_out, OUT)
#define SHAPE_SELF struct rotate_secret_in
DEFINE_SHAPE(rotate_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct rotate_secret_out
DEFINE_SHAPE(rotate_secret_out, OUT)
#undef SHAPE_SELF

/* What the call says of function or role; NULL: nothing, so that the stored one counts. */
static const char *given(const char *text) {
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* --- What is wrong whatever the secret --- */

static enum errc prepare_rules(struct op_context *context, const struct op_rotation_rules *in,
                               Redoubt__Rotation **ret) {
    struct arena *arena = context->arena;
    struct schedule_rules rules;
    struct schedule schedule;
    Redoubt__Rotation *out;
    enum errc rc;

    *ret = NULL;
    if (in == NULL || (!in->days.present && in->expression == NULL && in->duration == NULL)) {
        return OK;
    }
    rules = (struct schedule_rules){.days = in->days.present ? in->days.value : 0,
                                    .expression = in->expression,
                                    .duration = in->duration};
    rc = schedule_parse(&rules, &schedule, context->err);
    if (rc != OK) {
        return rc;
    }
    out = arena_alloc(arena, sizeof(*out));
    if (out == NULL) {
        return op_no_memory(context);
    }
    redoubt__rotation__init(out);
    out->has_automatically_after_days = in->days.present;
    out->automatically_after_days = rules.days;
    out->schedule_expression = in->expression != NULL ? arena_strdup(arena, in->expression) : NULL;
    out->duration = in->duration != NULL ? arena_strdup(arena, in->duration) : NULL;
    *ret = out;
    return arena->failed ? op_no_memory(context) : OK;
}

static enum errc check_metadata(struct op_context *context, const struct shape_list *metadata) {
    const struct op_external_metadata *items = metadata->items;

    if (metadata->n > LIMIT_EXTERNAL_ITEMS) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "You can't specify more than %d items in ExternalSecretRotationMetadata.",
                       LIMIT_EXTERNAL_ITEMS);
    }
    for (size_t i = 0; i < metadata->n; i++) {
        if (items[i].key == NULL || items[i].value == NULL) {
            return err_set(context->err, ERR_INVALID_PARAMETER,
                           "An item of ExternalSecretRotationMetadata must have a key and a "
                           "value.");
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(items[k].key, items[i].key) == 0) {
                return err_set(context->err, ERR_INVALID_PARAMETER,
                               "You can't use the same key more than once in "
                               "ExternalSecretRotationMetadata.");
            }
        }
    }
    return OK;
}

/* --- What is wrong with this secret --- */

static enum errc check_writable(struct op_context *context, const Redoubt__Secret *secret) {
    if (secret->replica_of != NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER, OP_SENTENCE_REPLICA);
    }
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    return OK;
}

/* Nothing can be invoked without an endpoint for functions; with one, whatever is well formed. That
 * there is nothing to invoke at all is said when the command is applied. */
static enum errc check_function(struct op_context *context, const struct rotate_secret_in *in,
                                const Redoubt__Secret *secret) {
    const Redoubt__Rotation *rotation = secret->rotation;
    const char *function = given(in->function_arn);

    if (in->role_arn != NULL || in->metadata.n > 0) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "You can't specify ExternalSecretRotationRoleArn or "
                       "ExternalSecretRotationMetadata for a secret that isn't a managed external "
                       "secret.");
    }
    if (function == NULL && rotation != NULL) {
        function = rotation->function_arn;
    }
    if (function != NULL && (context->functions == NULL || !function_arn_is_valid(function))) {
        return err_set(context->err, ERR_ACCESS_DENIED,
                       "Secrets Manager cannot invoke the specified Lambda function. Ensure that "
                       "the function policy grants access to the principal "
                       "secretsmanager.amazonaws.com.");
    }
    return OK;
}

/* A managed external secret is rotated with a role instead of a function. */
static enum errc check_role(struct op_context *context, const struct rotate_secret_in *in,
                            const Redoubt__Secret *secret) {
    const Redoubt__Rotation *rotation = secret->rotation;
    const char *role = in->role_arn;

    if (given(in->function_arn) != NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "You can't specify a Lambda rotation function for a managed external "
                       "secret.");
    }
    if (role == NULL && rotation != NULL) {
        role = rotation->external_role_arn;
    }
    if (role != NULL && (context->functions == NULL || !role_arn_is_valid(role))) {
        return err_set(context->err, ERR_ACCESS_DENIED,
                       "Secrets Manager cannot assume the specified role. Ensure that the role's "
                       "trust policy grants access to the principal "
                       "secretsmanager.amazonaws.com.");
    }
    return OK;
}

/* --- The command --- */

static Redoubt__Tag **metadata_in(struct arena *arena, const struct shape_list *metadata) {
    const struct op_external_metadata *items = metadata->items;
    Redoubt__Tag **out = arena_alloc(arena, metadata->n * sizeof(*out));

    for (size_t i = 0; out != NULL && i < metadata->n; i++) {
        out[i] = arena_alloc(arena, sizeof(*out[i]));
        if (out[i] == NULL) {
            return NULL;
        }
        redoubt__tag__init(out[i]);
        out[i]->key = arena_strdup(arena, items[i].key);
        out[i]->value = arena_strdup(arena, items[i].value);
    }
    return out;
}

static enum errc prepare_command(struct op_context *context, const struct rotate_secret_in *in,
                                 const Redoubt__Secret *secret, Redoubt__Rotation *rules,
                                 struct op_command *ret) {
    struct arena *arena = context->arena;
    const char *function = given(in->function_arn);
    Redoubt__RotationSet *set = arena_alloc(arena, sizeof(*set));

    if (set == NULL) {
        return op_no_memory(context);
    }
    redoubt__rotation_set__init(set);
    set->ref = op_ref(context, secret->name, secret->suffix);
    set->token = arena_strdup(arena, in->token);
    set->function_arn = function != NULL ? arena_strdup(arena, function) : NULL;
    set->rules = rules;
    set->has_immediately = true;
    set->immediately = !in->immediately.present || in->immediately.value;
    set->external_role_arn = in->role_arn != NULL ? arena_strdup(arena, in->role_arn) : NULL;
    set->external_metadata = metadata_in(arena, &in->metadata);
    set->n_external_metadata = in->metadata.n;
    set->has_now_ms = true;
    set->now_ms = context->now_ms;
    set->quotas = op_quotas(context);
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_ROTATION_SET, .message = &set->base};
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct rotate_secret_in *in = in_any;
    const Redoubt__Secret *secret = NULL;
    Redoubt__Rotation *rules = NULL;
    enum errc rc = op_check_token(context, in->token);

    if (rc == OK) {
        rc = prepare_rules(context, in->rules, &rules);
    }
    if (rc == OK) {
        rc = check_metadata(context, &in->metadata);
    }
    if (rc == OK) {
        rc = op_find_secret(context, in->secret_id, &secret);
    }
    if (rc == OK) {
        rc = check_writable(context, secret);
    }
    if (rc == OK) {
        rc = secret->type != NULL ? check_role(context, in, secret)
                                  : check_function(context, in, secret);
    }
    return rc == OK ? prepare_command(context, in, secret, rules, ret) : rc;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct rotate_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    if (result->version_id != NULL) {
        out->version_id = arena_strdup(context->arena, result->version_id);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_rotate_secret = {
    .name = "RotateSecret",
    .iam_action = "secretsmanager:RotateSecret",
    .summary = "Configure rotation and begin one",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &rotate_secret_in_shape,
    .out = &rotate_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INTERNAL_SERVICE,
                   ERR_INVALID_REQUEST),
    .prepare = prepare,
    .reply = reply,
};
