/* SECRET_PROMOTE: a replica becomes a standalone secret at once, and remembers what it was; its old
 * primary is told. Works while the primary is dead. AWS_BEHAVIOUR 4.6, DESIGN 7. */
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

void secret_promote_apply(struct txn *txn, const struct apply_context *context,
                          const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretPromote *promote = (const Redoubt__SecretPromote *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    Redoubt__Outbox notice = REDOUBT__OUTBOX__INIT;

    if (!ref_is_valid(promote->ref) || !time_is_valid(promote->has_now_ms, promote->now_ms)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find(txn, promote->ref);
    if (secret == NULL) {
        refuse_default(result, ERR_RESOURCE_NOT_FOUND);
        return;
    }
    if (secret->replica_of == NULL && secret->has_deletion_ms) {
        refuse_scheduled(result); /* as every operation on such a secret says; a replica has none */
        return;
    }
    if (secret->replica_of == NULL) {
        refuse(result, ERR_INVALID_PARAMETER,
               "Operation permitted only on a replica secret. Call must be made in the replica's "
               "region.");
        return;
    }
    redoubt__origin__free_unpacked(secret->promoted_from, NULL);
    secret->promoted_from = secret->replica_of;
    secret->replica_of = NULL;
    secret->has_own_kms_key = false; /* there is no other's to obey any more */
    text_set(&secret->link_kms_key_id, NULL);
    rotation_leave_primary(secret);
    secret->has_changed_ms = true;
    secret->changed_ms = promote->now_ms;
    txn_put_secret(txn, promote->ref->account, secret);
    notice.has_kind = true;
    notice.kind = REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED;
    notice.has_generation = true;
    notice.generation = secret->promoted_from->generation;
    txn_put_outbox(txn, secret->promoted_from->region, promote->ref->account, secret->name,
                   secret->suffix, &notice);
    result_set_secret(result, secret);
}
