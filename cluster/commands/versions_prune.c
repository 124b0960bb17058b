/* VERSIONS_PRUNE: old versions without labels go, above what is kept. AWS_BEHAVIOUR 3.5.
 *
 * A new version prunes too; this is for what grew old enough since. It is a change like any other,
 * so the replicas lose what the primary lost, and only where something was pruned. It is none of
 * the user's, so LastChangedDate stays. A secret that is scheduled for deletion is left alone: it
 * can be restored as it was. The result names the secret when something is gone. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

static bool prune_is_valid(const Redoubt__VersionsPrune *prune) {
    return ref_is_valid(prune->ref) && prune->ref->suffix != NULL &&
           time_is_valid(prune->has_now_ms, prune->now_ms);
}

void versions_prune_apply(struct txn *txn, const struct apply_context *context,
                          const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__VersionsPrune *prune = (const Redoubt__VersionsPrune *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    struct quotas quotas;
    size_t before;

    if (!prune_is_valid(prune)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, prune->ref);
    if (secret == NULL || secret->replica_of != NULL || secret->has_deletion_ms) {
        return;
    }
    quotas_read(prune->quotas, &quotas);
    before = secret->n_versions;
    if (versions_prune(txn, prune->ref->account, secret, prune->now_ms,
                       (size_t)quotas.versions_kept) &&
        secret->n_versions < before) {
        secret_put_changed(txn, prune->ref->account, secret, secret->changed_ms);
        result_set_secret(result, secret);
    }
}
