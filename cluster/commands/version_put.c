#include "cluster/commands/version_put.h"

#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

bool version_put_is_answered(const struct apply_context *context, const char *account,
                             const Redoubt__Secret *secret, const Redoubt__NewValue *value,
                             Redoubt__Result *result) {
    const Redoubt__Version *version = version_find(secret, value->version_id);

    if (version == NULL || !version->has_kind) {
        return false;
    }
    if (version_holds(version, value)) {
        result_set_secret(result, secret);
        text_set(&result->version_id, version->id);
        result_set_stages(result, (const char *const *)version->stages, version->n_stages);
    } else {
        refuse_token_in_use(result, context->region, account, secret, version->id);
    }
    return true;
}

bool version_put(struct txn *txn, const struct version_put *put, Redoubt__Secret *secret,
                 Redoubt__Result *result) {
    bool is_first = !secret_has_value(secret);
    Redoubt__Version *version = version_find(secret, put->value->version_id);
    struct stages stages;
    struct quotas quotas;
    struct err err;

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
    if (!versions_prune(txn, put->account, secret, put->now_ms, (size_t)quotas.versions_kept)) {
        refuse(result, ERR_LIMIT_EXCEEDED,
               "You can't create more than %d versions of a secret within 24 hours.",
               LIMIT_VERSIONS);
        return false;
    }
    txn_put_value(txn, put->account, secret->name, put->value->version_id, put->value->sealed);
    return true;
}
