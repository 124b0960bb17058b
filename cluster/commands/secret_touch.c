/* SECRET_TOUCH: the day of the last read, on the secret and on the version that was read. Local to
 * the region, so no revision; never moves back; a secret that is gone meanwhile is no error. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

/* True when the day moved. */
static bool raise_day(protobuf_c_boolean *has, int64_t *day, int64_t to) {
    if (*has && *day >= to) {
        return false;
    }
    *has = true;
    *day = to;
    return true;
}

void secret_touch_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretTouch *touch = (const Redoubt__SecretTouch *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    Redoubt__Version *version;
    bool changed;

    if (!ref_is_valid(touch->ref) || !day_is_valid(touch->has_day, touch->day) ||
        !text_is_at_most(touch->version_id, LIMIT_TOKEN)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, touch->ref);
    if (secret == NULL) {
        return;
    }
    changed = raise_day(&secret->has_last_accessed_day, &secret->last_accessed_day, touch->day);
    version = touch->version_id == NULL ? NULL : version_find(secret, touch->version_id);
    if (version != NULL &&
        raise_day(&version->has_last_accessed_day, &version->last_accessed_day, touch->day)) {
        changed = true;
    }
    if (changed) {
        txn_put_secret(txn, touch->ref->account, secret);
    }
}
