/* SECRET_PUT: a new version with its labels, or the answer to a repetition. AWS_BEHAVIOUR 3.4, 3.5.
 */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool put_is_valid(const Redoubt__SecretPut *put) {
    return ref_is_valid(put->ref) && new_value_is_valid(put->value) &&
           labels_are_valid(put->stages, put->n_stages) &&
           time_is_valid(put->has_now_ms, put->now_ms);
}

/* The token has a value already. True when that ends the call. */
static bool answer_existing(const struct apply_context *context, const Redoubt__SecretPut *put,
                            const Redoubt__Secret *secret, Redoubt__Result *result) {
    const Redoubt__Version *version = version_find(secret, put->value->version_id);

    if (version == NULL || !version->has_kind) {
        return false;
    }
    if (version_holds(version, put->value)) {
        result_set_secret(result, secret);
        text_set(&result->version_id, version->id);
        result_set_stages(result, (const char *const *)version->stages, version->n_stages);
    } else {
        refuse_token_in_use(result, context->region, put->ref->account, secret, version->id);
    }
    return true;
}

/* The labels that this call attaches, each once, in the order of the call. */
static size_t labels_of_call(const Redoubt__SecretPut *put, bool is_first,
                             const char *ret[LIMIT_STAGES_MOST + 1]) {
    size_t n = 0;

    for (size_t i = 0; i <= put->n_stages; i++) {
        const char *label;
        bool seen = false;
        if (i < put->n_stages) {
            label = put->stages[i];
        } else if (put->n_stages == 0 || is_first) {
            label = STAGE_CURRENT;
        } else {
            break;
        }
        for (size_t k = 0; k < n; k++) {
            seen = seen || strcmp(ret[k], label) == 0;
        }
        if (!seen) {
            ret[n++] = label;
        }
    }
    return n;
}

/* The version in the record with its labels; false when a quota refuses. Only the record in memory
 * changes, and values of pruned versions once nothing refuses any more. */
static bool put_version(struct txn *txn, const Redoubt__SecretPut *put, Redoubt__Secret *secret,
                        Redoubt__Result *result) {
    const char *labels[LIMIT_STAGES_MOST + 1];
    bool is_first = !secret_has_value(secret);
    Redoubt__Version *version = version_find(secret, put->value->version_id);
    struct stages stages;
    struct quotas quotas;
    struct err err;
    size_t n_labels;

    quotas_read(put->quotas, &quotas);
    if (version == NULL) {
        version = version_add(secret, put->value->version_id, put->now_ms);
    }
    version_set_value(version, put->value, secret->revision + 1);
    labels_load(secret, &stages);
    if (stages_put(&stages, version->id, (const char *const *)put->stages, put->n_stages, is_first,
                   (size_t)quotas.labels, &err) != OK) {
        refuse(result, err.code, "%s", err.message);
        return false;
    }
    labels_store(secret, &stages);
    rotation_note_current(secret, version->id, put->now_ms);
    if (!versions_prune(txn, put->ref->account, secret, put->now_ms,
                        (size_t)quotas.versions_kept)) {
        refuse(result, ERR_LIMIT_EXCEEDED,
               "You can't create more than %d versions of a secret within 24 hours.",
               LIMIT_VERSIONS);
        return false;
    }
    n_labels = labels_of_call(put, is_first, labels);
    result_set_stages(result, labels, n_labels);
    return true;
}

void secret_put_apply(struct txn *txn, const struct apply_context *context,
                      const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretPut *put = (const Redoubt__SecretPut *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const char *account;

    if (!put_is_valid(put)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, put->ref, result);
    if (secret == NULL || answer_existing(context, put, secret, result) ||
        !put_version(txn, put, secret, result)) {
        return;
    }
    account = put->ref->account;
    txn_put_value(txn, account, secret->name, put->value->version_id, put->value->sealed);
    secret_put_changed(txn, account, secret, put->now_ms);
    result_set_secret(result, secret);
    text_set(&result->version_id, put->value->version_id);
}
