#include "cluster/commands/links.h"

#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/replication_status.h"
#include "model/secret_id.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

static bool target_is_valid(const Redoubt__ReplicaTarget *target) {
    return text_is_within(target->region, 1, LIMIT_REGION_NAME) &&
           region_name_is_valid(target->region) &&
           text_is_at_most(target->kms_key_id, LIMIT_KMS_KEY_ID);
}

void refuse_too_many_regions(Redoubt__Result *result) {
    refuse(result, ERR_LIMIT_EXCEEDED, "A secret can be replicated to at most %d regions.",
           LIMIT_REPLICAS);
}

bool targets_are_refused(const struct apply_context *context,
                         Redoubt__ReplicaTarget *const *targets, size_t n,
                         Redoubt__Result *result) {
    if (n > LIMIT_REPLICAS) {
        refuse_too_many_regions(result);
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (!target_is_valid(targets[i])) {
            refuse_malformed(result);
            return true;
        }
        if (strcmp(targets[i]->region, context->region) == 0) {
            refuse(result, ERR_INVALID_PARAMETER, "Invalid replica region.");
            return true;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(targets[i]->region, targets[k]->region) == 0) {
                refuse(result, ERR_INVALID_PARAMETER,
                       "You can't specify the replica region %s more than once.",
                       targets[i]->region);
                return true;
            }
        }
    }
    return false;
}

void link_enqueue(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                  const Redoubt__Link *link) {
    AUTO(outbox_release)
    Redoubt__Outbox *present = state_outbox(txn, link->region, account, secret);
    Redoubt__Outbox entry = REDOUBT__OUTBOX__INIT;

    if (present != NULL && present->kind == REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED) {
        return;
    }
    entry.has_kind = true;
    entry.kind = REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT;
    entry.has_generation = true;
    entry.generation = link->generation;
    txn_put_outbox(txn, link->region, account, secret->name, secret->suffix, &entry);
}

void link_put_dirty(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                    Redoubt__Link *link) {
    link->has_failure = false;
    link->failure = 0;
    text_set(&link->failure_message, NULL);
    txn_put_link(txn, account, secret->name, link);
    link_enqueue(txn, account, secret, link);
}

void link_create(struct txn *txn, const struct apply_context *context, const char *account,
                 const Redoubt__Secret *secret, const Redoubt__ReplicaTarget *target, size_t place,
                 bool force) {
    Redoubt__Link *link = must_calloc(1, sizeof(*link));

    redoubt__link__init(link);
    text_set(&link->region, target->region);
    link->has_generation = true;
    link->generation = context->seq << LINK_PLACE_BITS | place;
    text_set(&link->kms_key_id, kms_key_or_default(target->kms_key_id));
    link->has_force = force;
    link->force = force;
    link->has_acked_revision = true;
    link->acked_revision = 0;
    link_put_dirty(txn, account, secret, link);
    redoubt__link__free_unpacked(link, NULL);
}

void outbox_settle(struct txn *txn, const char *region, const char *account, const char *name,
                   const char *suffix, Redoubt__OutboxKind kind, uint64_t generation) {
    AUTO(outbox_release)
    Redoubt__Outbox *entry = state_outbox_of(txn, region, account, name, suffix);

    if (entry != NULL && entry->kind == kind && entry->generation == generation) {
        txn_delete_outbox(txn, region, account, name, suffix);
    }
}

void outbox_end(struct txn *txn, const char *region, const char *account, const char *name,
                const char *suffix) {
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    AUTO(link_release) Redoubt__Link *link = NULL;

    txn_delete_outbox(txn, region, account, name, suffix);
    secret = state_secret(txn, account, name);
    link = secret == NULL ? NULL : state_link(txn, account, name, region);
    if (link != NULL &&
        link_status(link->failure, link->acked_revision, secret->revision) == LINK_IN_PROGRESS) {
        link_enqueue(txn, account, secret, link);
    }
}

bool secret_has_links(struct txn *txn, const char *account, const char *name) {
    struct view_links links = state_links(txn, account, name);
    bool has = links.n > 0;

    view_links_free(&links);
    return has;
}

void secret_put_changed(struct txn *txn, const char *account, Redoubt__Secret *secret,
                        int64_t now_ms) {
    struct view_links links = {.n = 0};

    if (txn_has_links(txn, account, secret)) {
        links = state_links(txn, account, secret->name);
    }
    secret->has_revision = true;
    secret->revision++;
    secret->has_changed_ms = true;
    secret->changed_ms = now_ms;
    txn_put_secret(txn, account, secret);
    for (size_t i = 0; i < links.n; i++) {
        link_put_dirty(txn, account, secret, links.items[i]);
    }
    view_links_free(&links);
}

static Redoubt__LinkStatus *status_of(const Redoubt__Secret *secret, const Redoubt__Link *link) {
    Redoubt__LinkStatus *status = must_calloc(1, sizeof(*status));
    enum link_status state = link_status(link->failure, link->acked_revision, secret->revision);

    redoubt__link_status__init(status);
    text_set(&status->region, link->region);
    text_set(&status->kms_key_id,
             link->kms_key_id != NULL ? link->kms_key_id : VAULT_DEFAULT_ALIAS);
    status->has_status = true;
    status->status = (uint32_t)state;
    switch (state) {
    case LINK_IN_PROGRESS:
        break;
    case LINK_IN_SYNC:
        text_set(&status->message, "Replication succeeded");
        break;
    case LINK_FAILED:
        text_set(&status->message, link->failure_message);
        break;
    }
    status->has_last_accessed_day = link->has_replica_last_accessed_day;
    status->last_accessed_day = link->replica_last_accessed_day;
    return status;
}

void result_set_links(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                      Redoubt__Result *result) {
    struct view_links links = state_links(txn, account, secret->name);

    CHECK(result->links == NULL);
    if (links.n > 0) {
        result->links = must_calloc(links.n, sizeof(*result->links));
        for (size_t i = 0; i < links.n; i++) {
            result->links[i] = status_of(secret, links.items[i]);
        }
        result->n_links = links.n;
    }
    view_links_free(&links);
}
