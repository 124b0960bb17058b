/* ROTATION_SET: the configuration of a secret's rotation, and the beginning of one: an empty
 * version under AWSPENDING, which the rotation function fills. AWS_BEHAVIOUR 3.14.1. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool set_is_valid(const Redoubt__RotationSet *set) {
    return ref_is_valid(set->ref) && text_is_within(set->token, 1, LIMIT_TOKEN) &&
           (set->function_arn == NULL ||
            text_is_within(set->function_arn, 1, LIMIT_FUNCTION_ARN)) &&
           (set->external_role_arn == NULL ||
            text_is_within(set->external_role_arn, 1, LIMIT_ROLE_ARN)) &&
           external_metadata_is_valid(set->external_metadata, set->n_external_metadata) &&
           (set->rules == NULL || rotation_rules_are_valid(set->rules)) &&
           time_is_valid(set->has_now_ms, set->now_ms);
}

static bool runner_is_missing(const Redoubt__RotationSet *set, const Redoubt__Secret *secret,
                              Redoubt__Result *result) {
    const Redoubt__Rotation *rotation = secret->rotation;

    if (secret->type != NULL) {
        if (set->external_role_arn == NULL &&
            (rotation == NULL || rotation->external_role_arn == NULL)) {
            refuse(result, ERR_INVALID_REQUEST,
                   "No rotation role ARN is associated with this secret.");
            return true;
        }
        return false;
    }
    if (set->function_arn == NULL && (rotation == NULL || rotation->function_arn == NULL)) {
        refuse(result, ERR_INVALID_REQUEST,
               "No Lambda rotation function ARN is associated with this secret.");
        return true;
    }
    return false;
}

/* A rotation has begun and is not complete. The repetition of the call that began it finds what it
 * asked for. True with the answer in `result`. */
static bool answer_unfinished(const Redoubt__Secret *secret, const char *token,
                              Redoubt__Result *result) {
    const Redoubt__Version *unfinished = rotation_unfinished(secret);

    if (unfinished == NULL) {
        return false;
    }
    if (token != NULL && secret->rotation != NULL && secret->rotation->enabled &&
        strcmp(unfinished->id, token) == 0) {
        result_set_secret(result, secret);
        text_set(&result->version_id, unfinished->id);
    } else {
        refuse(result, ERR_INVALID_REQUEST,
               "A previous rotation isn't complete. That rotation will be reattempted.");
    }
    return true;
}

/* The token is an older version's. That of the current one is fine: nothing is left to rotate. */
static bool token_is_taken(const struct apply_context *context, const Redoubt__RotationSet *set,
                           const Redoubt__Secret *secret, Redoubt__Result *result) {
    const Redoubt__Version *version = version_find(secret, set->token);

    if (version == NULL || version_carries(version, STAGE_CURRENT)) {
        return false;
    }
    /* ResourceExistsException, which other operations give, is none of this operation's errors. */
    refuse_token_in_use(result, context->region, set->ref->account, secret, set->token);
    result->code = ERR_INVALID_REQUEST;
    return true;
}

static void take_metadata(Redoubt__Rotation *rotation, const Redoubt__RotationSet *set) {
    rotation_clear_metadata(rotation);
    rotation->external_metadata =
        must_calloc(set->n_external_metadata, sizeof(*rotation->external_metadata));
    for (size_t i = 0; i < set->n_external_metadata; i++) {
        rotation->external_metadata[i] = message_copy(&set->external_metadata[i]->base);
    }
    rotation->n_external_metadata = set->n_external_metadata;
}

static void take_rules(Redoubt__Rotation *rotation, const Redoubt__Rotation *rules) {
    rotation->has_automatically_after_days = rules->has_automatically_after_days;
    rotation->automatically_after_days = rules->automatically_after_days;
    text_set(&rotation->schedule_expression, rules->schedule_expression);
    text_set(&rotation->duration, rules->duration);
}

/* What the call says; what it does not say stays. */
static void configure(const Redoubt__RotationSet *set, Redoubt__Secret *secret) {
    Redoubt__Rotation *rotation = secret->rotation;

    if (rotation == NULL) {
        rotation = must_calloc(1, sizeof(*rotation));
        redoubt__rotation__init(rotation);
        secret->rotation = rotation;
    }
    if (set->function_arn != NULL) {
        text_set(&rotation->function_arn, set->function_arn);
    }
    if (set->external_role_arn != NULL) {
        text_set(&rotation->external_role_arn, set->external_role_arn);
    }
    if (set->n_external_metadata > 0) {
        take_metadata(rotation, set);
    }
    if (set->rules != NULL) {
        take_rules(rotation, set->rules);
    }
    if (set->rules != NULL || !rotation->enabled) {
        rotation_start_counting(rotation, set->now_ms);
    }
}

/* The empty version. False: a quota refuses. */
static bool begin(struct txn *txn, const Redoubt__RotationSet *set, Redoubt__Secret *secret,
                  Redoubt__Result *result) {
    struct stages stages;
    struct quotas quotas;

    quotas_read(set->quotas, &quotas);
    (void)version_add(secret, set->token, set->now_ms);
    labels_load(secret, &stages);
    if (stages_find(&stages, STAGE_PENDING) == NULL && stages.n >= (size_t)quotas.labels) {
        refuse(result, ERR_INVALID_REQUEST,
               "You can't rotate this secret because it has the quota of %d staging labels "
               "attached to its versions. Remove one of them.",
               (int)quotas.labels);
        return false;
    }
    stages_attach(&stages, STAGE_PENDING, set->token);
    labels_store(secret, &stages);
    if (!versions_prune(txn, set->ref->account, secret, set->now_ms,
                        (size_t)quotas.versions_kept)) {
        refuse(result, ERR_INVALID_REQUEST,
               "You can't create more than %d versions of a secret within 24 hours.",
               LIMIT_VERSIONS);
        return false;
    }
    return true;
}

void rotation_set_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__RotationSet *set = (const Redoubt__RotationSet *)command;
    bool immediately = !set->has_immediately || set->immediately;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (!set_is_valid(set)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, set->ref, result);
    if (secret == NULL || runner_is_missing(set, secret, result) ||
        answer_unfinished(secret, immediately ? set->token : NULL, result) ||
        (immediately && token_is_taken(context, set, secret, result))) {
        return;
    }
    configure(set, secret);
    if (immediately && version_find(secret, set->token) == NULL &&
        !begin(txn, set, secret, result)) {
        return;
    }
    secret_put_changed(txn, set->ref->account, secret, set->now_ms);
    result_set_secret(result, secret);
    if (immediately) {
        text_set(&result->version_id, set->token);
    }
}
