/* KEY_CREATE: a KMS key under an alias. Where the alias exists nothing changes, so that two nodes
 * that miss the same default key may both ask for it. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

enum { ALIAS_MAX = 256, KEY_ID_MAX = 64, WRAPPED_MAX = 1024 };

static bool key_is_valid(const Redoubt__Key *key) {
    return key != NULL && text_is_within(key->id, 1, KEY_ID_MAX) && key->has_state &&
           key->state >= REDOUBT__KEY_STATE__KEY_ENABLED &&
           key->state <= REDOUBT__KEY_STATE__KEY_PENDING_DELETION && key->n_versions == 1 &&
           key->versions[0]->has_number && key->versions[0]->has_wrapped &&
           key->versions[0]->wrapped.len > 0 && key->versions[0]->wrapped.len <= WRAPPED_MAX &&
           time_is_valid(key->has_created_ms, key->created_ms) &&
           text_is_at_most(key->description, LIMIT_DESCRIPTION);
}

void key_create_apply(struct txn *txn, const struct apply_context *context,
                      const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__KeyCreate *create = (const Redoubt__KeyCreate *)command;
    AUTO(text_release) char *present = NULL;
    AUTO(key_release) Redoubt__Key *same_id = NULL;

    if (!account_is_valid(create->account) || !text_is_within(create->alias, 1, ALIAS_MAX) ||
        !key_is_valid(create->key)) {
        refuse_malformed(result);
        return;
    }
    present = state_alias(txn, create->account, create->alias);
    if (present != NULL) {
        return;
    }
    /* Ids are random: a key of this id means a replayed or forged command, and writing it would
     * destroy what every value under the key needs. */
    same_id = state_key(txn, create->account, create->key->id);
    if (same_id != NULL) {
        refuse_default(result, ERR_RESOURCE_EXISTS);
        return;
    }
    txn_put_key(txn, create->account, create->key);
    txn_put_alias(txn, create->account, create->alias, create->key->id);
}
