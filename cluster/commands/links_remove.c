/* LINKS_REMOVE: regions leave the replication status at once; a tombstone stays in the outbox until
 * the replica's deletion is acknowledged. AWS_BEHAVIOUR 4.2, DESIGN 7. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/secret_id.h"

static bool remove_is_valid(const Redoubt__LinksRemove *remove) {
    if (!ref_is_valid(remove->ref) || remove->n_regions == 0 ||
        !time_is_valid(remove->has_now_ms, remove->now_ms)) {
        return false;
    }
    for (size_t i = 0; i < remove->n_regions; i++) {
        if (!text_is_within(remove->regions[i], 1, LIMIT_REGION_NAME) ||
            !region_name_is_valid(remove->regions[i])) {
            return false;
        }
    }
    return true;
}

static void link_bury(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                      const Redoubt__Link *link) {
    AUTO(outbox_release)
    Redoubt__Outbox *present = state_outbox(txn, link->region, account, secret);
    Redoubt__Outbox entry = REDOUBT__OUTBOX__INIT;

    txn_delete_link(txn, account, secret->name, link->region);
    if (present != NULL && present->kind == REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED) {
        return; /* the link waited behind the notice: nothing of it was ever shipped */
    }
    entry.has_kind = true;
    entry.kind = REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE;
    entry.has_generation = true;
    entry.generation = link->generation;
    txn_put_outbox(txn, link->region, account, secret->name, secret->suffix, &entry);
}

void links_remove_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__LinksRemove *remove = (const Redoubt__LinksRemove *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const char *account;

    if (!remove_is_valid(remove)) {
        refuse_malformed(result);
        return;
    }
    if (remove->n_regions > LIMIT_REPLICAS) {
        refuse_too_many_regions(result);
        return;
    }
    secret = secret_find_writable(txn, remove->ref, result);
    if (secret == NULL) {
        return;
    }
    account = remove->ref->account;
    for (size_t i = 0; i < remove->n_regions; i++) {
        AUTO(link_release)
        Redoubt__Link *link = state_link(txn, account, secret->name, remove->regions[i]);
        if (link != NULL) {
            link_bury(txn, account, secret, link);
        }
    }
    result_set_secret(result, secret);
    result_set_links(txn, account, secret, result);
}
