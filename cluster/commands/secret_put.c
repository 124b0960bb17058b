/* SECRET_PUT: a new version with its labels, or the answer to a repetition. AWS_BEHAVIOUR 3.4, 3.5.
 */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "cluster/commands/version_put.h"

#include <string.h>

static bool put_is_valid(const Redoubt__SecretPut *put) {
    return ref_is_valid(put->ref) && new_value_is_valid(put->value) &&
           labels_are_valid(put->stages, put->n_stages) &&
           time_is_valid(put->has_now_ms, put->now_ms);
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

void secret_put_apply(struct txn *txn, const struct apply_context *context,
                      const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretPut *put = (const Redoubt__SecretPut *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const char *labels[LIMIT_STAGES_MOST + 1];
    struct version_put version;
    bool is_first;

    if (!put_is_valid(put)) {
        refuse_malformed(result);
        return;
    }
    version = (struct version_put){
        .account = put->ref->account,
        .value = put->value,
        .stages = put->stages,
        .n_stages = put->n_stages,
        .quotas = put->quotas,
        .now_ms = put->now_ms,
    };
    secret = secret_find_writable(txn, put->ref, result);
    if (secret == NULL ||
        version_put_is_answered(context, version.account, secret, put->value, result)) {
        return;
    }
    is_first = !secret_has_value(secret);
    if (!version_put(txn, &version, secret, result)) {
        return;
    }
    secret_put_changed(txn, version.account, secret, put->now_ms);
    result_set_secret(result, secret);
    text_set(&result->version_id, put->value->version_id);
    result_set_stages(result, labels, labels_of_call(put, is_first, labels));
}
