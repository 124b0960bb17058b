/* SECRET_CREATE: a new secret, its first version and its links; or the answer to a repetition.
 * AWS_BEHAVIOUR 3.2. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/seq.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <inttypes.h>
#include <string.h>

/* The first version's id is the call's token; a call without a value has the token alone. */
static bool token_is_valid(const Redoubt__SecretCreate *create) {
    return text_is_within(create->token, 1, LIMIT_TOKEN) &&
           (create->value == NULL || (new_value_is_valid(create->value) &&
                                      strcmp(create->value->version_id, create->token) == 0));
}

static bool create_is_valid(const Redoubt__SecretCreate *create) {
    return ref_is_valid(create->ref) && create->ref->suffix != NULL && token_is_valid(create) &&
           text_is_at_most(create->description, 4 * LIMIT_DESCRIPTION) &&
           text_is_at_most(create->kms_key_id, LIMIT_KMS_KEY_ID) &&
           text_is_at_most(create->type, 4 * LIMIT_TYPE) &&
           tags_are_valid(create->tags, create->n_tags) &&
           time_is_valid(create->has_now_ms, create->now_ms);
}

/* The name is taken: by an earlier try of this same call, or for good. */
static void answer_existing(struct txn *txn, const struct apply_context *context,
                            const Redoubt__SecretCreate *create, const Redoubt__Secret *secret,
                            Redoubt__Result *result) {
    const char *account = create->ref->account;
    const Redoubt__Version *version;

    if (secret->has_deletion_ms) {
        refuse(result, ERR_INVALID_REQUEST,
               "You can't create this secret because a secret with this name is already scheduled "
               "for deletion.");
        return;
    }
    /* A replica was not made by a call in this region, whatever tokens its versions carry. */
    version = secret->replica_of != NULL ? NULL : version_find(secret, create->token);
    if (version == NULL) {
        refuse(result, ERR_RESOURCE_EXISTS,
               "The operation failed because the secret %s already exists.", secret->name);
    } else if (create->value == NULL || !version_holds(version, create->value)) {
        refuse_token_in_use(result, context->region, account, secret, create->token);
    } else {
        result_set_secret(result, secret);
        text_set(&result->version_id, version->id);
        result_set_links(txn, account, secret, result);
    }
}

static void add_tags(Redoubt__Secret *secret, Redoubt__Tag *const *tags, size_t n) {
    if (n == 0) {
        return;
    }
    secret->tags = must_calloc(n, sizeof(*secret->tags));
    for (size_t i = 0; i < n; i++) {
        secret->tags[i] = message_copy(&tags[i]->base);
    }
    secret->n_tags = n;
    secret->has_tags_were_set = true;
    secret->tags_were_set = true;
}

static Redoubt__Secret *secret_new(const struct apply_context *context,
                                   const Redoubt__SecretCreate *create) {
    Redoubt__Secret *secret = must_calloc(1, sizeof(*secret));

    redoubt__secret__init(secret);
    text_set(&secret->name, create->ref->name);
    text_set(&secret->suffix, create->ref->suffix);
    if (create->description != NULL && create->description[0] != '\0') {
        text_set(&secret->description, create->description);
    }
    text_set(&secret->kms_key_id, kms_key_or_default(create->kms_key_id));
    if (create->type != NULL && create->type[0] != '\0') {
        text_set(&secret->type, create->type);
    }
    add_tags(secret, create->tags, create->n_tags);
    secret->has_created_ms = true;
    secret->created_ms = create->now_ms;
    secret->has_changed_ms = true;
    secret->changed_ms = create->now_ms;
    secret->has_revision = true;
    secret->revision = 1;
    secret->has_created_seq = true;
    secret->created_seq = created_seq_of(context, 0);
    return secret;
}

/* Replicas that arrive count too, but nothing refuses them: only here there is somebody to tell. */
static bool quota_refuses(struct txn *txn, const Redoubt__SecretCreate *create,
                          Redoubt__Result *result) {
    struct quotas quotas;

    quotas_read(create->quotas, &quotas);
    if (state_secret_count(txn, create->ref->account) < (uint64_t)quotas.secrets) {
        return false;
    }
    refuse(result, ERR_LIMIT_EXCEEDED,
           "The request failed because it would exceed the quota of %" PRId64
           " secrets for this account in this Region.",
           quotas.secrets);
    return true;
}

void secret_create_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretCreate *create = (const Redoubt__SecretCreate *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const char *account;

    if (!create_is_valid(create)) {
        refuse_malformed(result);
        return;
    }
    if (targets_are_refused(context, create->targets, create->n_targets, result)) {
        return;
    }
    account = create->ref->account;
    secret = state_secret(txn, account, create->ref->name);
    if (secret != NULL) {
        answer_existing(txn, context, create, secret, result);
        return;
    }
    if (quota_refuses(txn, create, result)) {
        return;
    }
    secret = secret_new(context, create);
    if (create->value != NULL) {
        Redoubt__Version *version = version_add(secret, create->value->version_id, create->now_ms);
        struct stages stages = {.n = 0};
        version_set_value(version, create->value, secret->revision);
        stages_attach(&stages, STAGE_CURRENT, version->id);
        labels_store(secret, &stages);
        txn_put_value(txn, account, secret->name, version->id, create->value->sealed);
        text_set(&result->version_id, version->id);
    }
    txn_put_secret(txn, account, secret);
    for (size_t i = 0; i < create->n_targets; i++) {
        link_create(txn, context, account, secret, create->targets[i], i,
                    create->has_force_overwrite && create->force_overwrite);
    }
    result_set_secret(result, secret);
    result_set_links(txn, account, secret, result);
}
