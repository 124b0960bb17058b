/* SECRET_RESTORE: a scheduled deletion is taken back. AWS_BEHAVIOUR 3.8.
 *
 * Scheduling was no replicated change (a secret with replicas cannot be deleted), so neither is
 * this. A secret that is not scheduled stays as it is. */
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

void secret_restore_apply(struct txn *txn, const struct apply_context *context,
                          const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretRestore *restore = (const Redoubt__SecretRestore *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (!ref_is_valid(restore->ref) || !time_is_valid(restore->has_now_ms, restore->now_ms)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, restore->ref);
    if (secret == NULL) {
        refuse_default(result, ERR_RESOURCE_NOT_FOUND);
        return;
    }
    if (secret->replica_of != NULL) {
        refuse_replica(result);
        return;
    }
    if (secret->has_deletion_ms) {
        secret->has_deletion_ms = false;
        secret->deletion_ms = 0;
        txn_put_secret(txn, restore->ref->account, secret);
    }
    result_set_secret(result, secret);
}
