/* SECRET_PURGE: the end of a recovery window. AWS_BEHAVIOUR 3.8.
 *
 * The leader's job proposes it from what it saw; whatever happened to the secret meanwhile (it was
 * restored, scheduled anew, deleted, made again) wins, and then nothing is done. The result names
 * the secret when it is gone. */
#include "cluster/commands/apply.h"
#include "cluster/commands/graves.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

static bool purge_is_valid(const Redoubt__SecretPurge *purge) {
    return ref_is_valid(purge->ref) && purge->ref->suffix != NULL &&
           time_is_valid(purge->has_deletion_ms, purge->deletion_ms) &&
           time_is_valid(purge->has_now_ms, purge->now_ms);
}

static bool is_due(const Redoubt__SecretPurge *purge, const Redoubt__Secret *secret) {
    return secret->has_deletion_ms && secret->deletion_ms == purge->deletion_ms &&
           purge->now_ms >= secret->deletion_ms;
}

void secret_purge_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretPurge *purge = (const Redoubt__SecretPurge *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (!purge_is_valid(purge)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, purge->ref);
    /* Neither a replica nor a secret with links can be scheduled. */
    if (secret == NULL || !is_due(purge, secret) || secret->replica_of != NULL ||
        secret_has_links(txn, purge->ref->account, secret->name)) {
        return;
    }
    secret_bury(txn, purge->ref->account, secret, purge->now_ms);
    result_set_secret(result, secret);
}
