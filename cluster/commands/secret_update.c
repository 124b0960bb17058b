/* SECRET_UPDATE: description, key and type of a secret, and a new version where a value is given.
 * AWS_BEHAVIOUR 3.4 and 5.
 *
 * With a new key come values sealed anew: each is taken if the version still holds that value, and
 * what it was sealed under before stays beside it, so that either key opens it. A replica takes a
 * key, and nothing else. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "cluster/commands/version_put.h"

#include <stdlib.h>
#include <string.h>

/* Versions that can be sealed anew: those with AWSCURRENT, AWSPENDING and AWSPREVIOUS. And bytes of
 * a character. */
enum { RESEALS_MAX = 3, UTF8_MAX = 4 };

static bool update_is_valid(const Redoubt__SecretUpdate *update) {
    if (!ref_is_valid(update->ref) ||
        !text_is_at_most(update->description, UTF8_MAX * LIMIT_DESCRIPTION) ||
        !text_is_at_most(update->kms_key_id, LIMIT_KMS_KEY_ID) ||
        !text_is_at_most(update->type, UTF8_MAX * LIMIT_TYPE) ||
        (update->value != NULL && !new_value_is_valid(update->value)) ||
        update->n_reseals > RESEALS_MAX || !time_is_valid(update->has_now_ms, update->now_ms)) {
        return false;
    }
    for (size_t i = 0; i < update->n_reseals; i++) {
        if (!reseal_is_valid(update->reseals[i])) {
            return false;
        }
    }
    return update->n_reseals == 0 || update->kms_key_id != NULL;
}

/* ---- Values under a new key ---- */

/* `former` goes behind the ciphertexts that `sealed` keeps; not when it is under the same key, or
 * when there are enough. Takes `former`. */
static void keep_one(Redoubt__Sealed *sealed, Redoubt__Sealed *former) {
    if (strcmp(former->key_id, sealed->key_id) == 0 || sealed->n_others == LIMIT_FORMER_KEYS) {
        redoubt__sealed__free_unpacked(former, NULL);
    } else {
        sealed->others[sealed->n_others++] = former;
    }
}

/* What opened the value until now, newest first. Takes `former`. */
static void keep_former(Redoubt__Sealed *sealed, Redoubt__Sealed *former) {
    Redoubt__Sealed **others = former->others;
    size_t n = former->n_others;

    former->others = NULL;
    former->n_others = 0;
    sealed->others = must_calloc(LIMIT_FORMER_KEYS, sizeof(*sealed->others));
    keep_one(sealed, former);
    for (size_t i = 0; i < n; i++) {
        keep_one(sealed, others[i]);
    }
    free(others);
}

/* A version that is gone, or holds another value by now, stays as it is; so does one that is sealed
 * under this key already. */
static void reseal(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                   const Redoubt__Reseal *reseal) {
    Redoubt__Version *version = version_find(secret, reseal->version_id);
    AUTO(sealed_release) Redoubt__Sealed *sealed = NULL;
    Redoubt__Sealed *former;

    if (version == NULL || !version_has_digest(version, &reseal->digest)) {
        return;
    }
    former = state_value(txn, account, secret->name, version->id);
    if (former == NULL || strcmp(former->key_id, reseal->sealed->key_id) == 0) {
        redoubt__sealed__free_unpacked(former, NULL);
        return;
    }
    sealed = message_copy(&reseal->sealed->base);
    keep_former(sealed, former);
    version_set_keys(version, sealed);
    txn_put_value(txn, account, secret->name, version->id, sealed);
}

static void set_key(struct txn *txn, const Redoubt__SecretUpdate *update, Redoubt__Secret *secret) {
    text_set(&secret->kms_key_id, kms_key_or_default(update->kms_key_id));
    for (size_t i = 0; i < update->n_reseals; i++) {
        reseal(txn, update->ref->account, secret, update->reseals[i]);
    }
}

/* ---- The two kinds of secrets ---- */

/* The key is this region's affair: no revision, and what the link asks for is remembered, because a
 * link that asks for another is obeyed again. */
static void update_replica(struct txn *txn, const Redoubt__SecretUpdate *update,
                           Redoubt__Secret *secret, Redoubt__Result *result) {
    if (update->kms_key_id == NULL || update->value != NULL || update->description != NULL ||
        update->type != NULL) {
        refuse_replica(result);
        return;
    }
    if (!secret->own_kms_key) {
        text_set(&secret->link_kms_key_id, secret->kms_key_id);
        secret->has_own_kms_key = true;
        secret->own_kms_key = true;
    }
    set_key(txn, update, secret);
    txn_put_secret(txn, update->ref->account, secret);
    result_set_secret(result, secret);
}

/* A text that may be emptied. */
static void set_text(char **field, const char *text) {
    text_set(field, text[0] != '\0' ? text : NULL);
}

static void update_primary(struct txn *txn, const Redoubt__SecretUpdate *update,
                           Redoubt__Secret *secret, Redoubt__Result *result) {
    const char *account = update->ref->account;
    const struct version_put version = {
        .account = account,
        .value = update->value,
        .quotas = update->quotas,
        .now_ms = update->now_ms,
    };

    if (update->value != NULL) {
        if (!version_put(txn, &version, secret, result)) {
            return;
        }
        text_set(&result->version_id, update->value->version_id);
    }
    if (update->description != NULL) {
        set_text(&secret->description, update->description);
    }
    if (update->type != NULL) {
        set_text(&secret->type, update->type);
    }
    if (update->kms_key_id != NULL) {
        set_key(txn, update, secret);
    }
    if (update->value != NULL || update->description != NULL || update->type != NULL ||
        update->kms_key_id != NULL) {
        secret_put_changed(txn, account, secret, update->now_ms);
    }
    result_set_secret(result, secret);
}

void secret_update_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretUpdate *update = (const Redoubt__SecretUpdate *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (!update_is_valid(update)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, update->ref);
    if (secret == NULL) {
        refuse_default(result, ERR_RESOURCE_NOT_FOUND);
    } else if (secret->replica_of != NULL) {
        update_replica(txn, update, secret, result);
    } else if (secret->has_deletion_ms) {
        refuse_scheduled(result);
    } else if (update->value == NULL || !version_put_is_answered(context, update->ref->account,
                                                                 secret, update->value, result)) {
        update_primary(txn, update, secret, result);
    }
}
