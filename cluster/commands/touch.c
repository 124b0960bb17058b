#include "cluster/commands/touch.h"

#include "base/limits.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

bool touch_is_valid(const Redoubt__SecretTouch *touch) {
    return ref_is_valid(touch->ref) && day_is_valid(touch->has_day, touch->day) &&
           text_is_at_most(touch->version_id, LIMIT_TOKEN);
}

/* True when the day moved. */
static bool raise_day(protobuf_c_boolean *has, int64_t *day, int64_t to) {
    if (*has && *day >= to) {
        return false;
    }
    *has = true;
    *day = to;
    return true;
}

void touch_note(struct txn *txn, const Redoubt__SecretTouch *touch) {
    AUTO(secret_release) Redoubt__Secret *secret = secret_find(txn, touch->ref);
    Redoubt__Version *version;
    bool changed;

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
