/* OUTCOME_BATCH: what another region answered to a batch, recorded at the sender, item by item.
 *
 * An outcome counts only for the link (or the outbox entry) that it was shipped for: generation
 * and, for entries, kind must still be the same. A failure counts only for the state that was
 * shipped: when the secret moved on meanwhile, the newer state will be judged. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/secret_id.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool batch_is_valid(const Redoubt__OutcomeBatch *batch) {
    return text_is_within(batch->region, 1, LIMIT_REGION_NAME) &&
           region_name_is_valid(batch->region) && batch->n_items <= LIMIT_BATCH_ITEMS &&
           time_is_valid(batch->has_now_ms, batch->now_ms);
}

static bool item_is_valid(const Redoubt__OutcomeItem *item) {
    return item->has_kind && account_is_valid(item->account) &&
           text_is_within(item->name, 1, LIMIT_NAME) && suffix_is_valid(item->suffix) &&
           item->has_generation && item->verdict != NULL && item->verdict->has_verdict;
}

/* One UPSERT's outcome, with the link that it is about. */
struct outcome {
    struct txn *txn;
    const char *region;
    const Redoubt__OutcomeItem *item;
    const Redoubt__Secret *secret;
    Redoubt__Link *link;
};

/* What goes out as StatusMessage for each verdict that is a failure. */
static void set_failure_message(const struct outcome *outcome, Redoubt__Verdict verdict) {
    const char *name = outcome->secret->name;
    char text[LIMIT_NAME + LIMIT_REGION_NAME + 256];
    const char *tail;

    if (verdict == REDOUBT__VERDICT__VERDICT_NAME_TAKEN) {
        (void)snprintf(text, sizeof(text),
                       "Replication failed: Secret name %s already exists in region %s.", name,
                       outcome->region);
    } else if (verdict == REDOUBT__VERDICT__VERDICT_OTHER_ARN) {
        (void)snprintf(text, sizeof(text),
                       "Replication failed: Secret name %s is currently replicated to %s with a "
                       "different arn",
                       name, outcome->region);
    } else if (verdict == REDOUBT__VERDICT__VERDICT_OTHER_PRIMARY) {
        (void)snprintf(text, sizeof(text),
                       "Replication failed: Secret name %s in region %s is a replica of a secret "
                       "in another region.",
                       name, outcome->region);
    } else {
        if (verdict == REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE) {
            tail = "can't use the KMS key of the replica.";
        } else if (verdict == REDOUBT__VERDICT__VERDICT_UNKNOWN_REGION) {
            tail = "is not part of this deployment.";
        } else if (verdict == REDOUBT__VERDICT__VERDICT_TOO_LARGE) {
            tail = "can't be sent a secret with this much version data.";
        } else if (verdict == REDOUBT__VERDICT__VERDICT_STALE) {
            tail = "has deleted the replica or has a newer one.";
        } else {
            tail = "refused the secret.";
        }
        (void)snprintf(text, sizeof(text), "Replication failed: Region %s %s", outcome->region,
                       tail);
    }
    text_set(&outcome->link->failure_message, text);
}

/* Nothing is due and the replica has acknowledged what was sent: the verdict is of an older try. */
static bool outcome_is_settled(const struct outcome *outcome) {
    const Redoubt__OutcomeItem *item = outcome->item;
    AUTO(outbox_release)
    Redoubt__Outbox *entry =
        state_outbox(outcome->txn, outcome->region, item->account, outcome->secret);

    return entry == NULL && outcome->link->acked_revision >= item->sent_revision;
}

static void record_failure(const struct outcome *outcome, Redoubt__Verdict verdict) {
    const Redoubt__OutcomeItem *item = outcome->item;
    Redoubt__Link *link = outcome->link;

    if (outcome->secret->revision > item->sent_revision || outcome_is_settled(outcome)) {
        return;
    }
    /* STALE is what the replica says of a state that it has; as a failure it is a refusal. */
    link->has_failure = true;
    link->failure = verdict == REDOUBT__VERDICT__VERDICT_STALE
                        ? (uint32_t)REDOUBT__VERDICT__VERDICT_REFUSED
                        : (uint32_t)verdict;
    set_failure_message(outcome, verdict);
    txn_put_link(outcome->txn, item->account, item->name, link);
    outbox_settle(outcome->txn, outcome->region, item->account, item->name, item->suffix,
                  REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT, link->generation);
}

static void record_day(Redoubt__Link *link, const Redoubt__ItemVerdict *verdict) {
    if (day_is_valid(verdict->has_last_accessed_day, verdict->last_accessed_day) &&
        (!link->has_replica_last_accessed_day ||
         link->replica_last_accessed_day < verdict->last_accessed_day)) {
        link->has_replica_last_accessed_day = true;
        link->replica_last_accessed_day = verdict->last_accessed_day;
    }
}

/* The replica has `revision`. While that is not the latest, the link stays (or becomes) due. A
 * state from before the replica's key was changed does not count. */
static void record_success(const struct outcome *outcome, uint64_t revision) {
    const Redoubt__OutcomeItem *item = outcome->item;
    Redoubt__Link *link = outcome->link;

    link->has_acked_revision = true;
    if (link->acked_revision < revision && link->reseal_revision <= revision) {
        link->acked_revision = revision;
    }
    link->has_force = false;
    link->force = false;
    record_day(link, item->verdict);
    link_put_dirty(outcome->txn, item->account, outcome->secret, link);
    if (link->acked_revision == outcome->secret->revision) {
        outbox_settle(outcome->txn, outcome->region, item->account, item->name, item->suffix,
                      REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT, link->generation);
    }
}

/* APPLIED, or STALE: is the replica where we want it, or is there something that we do not know of?
 * Zero is nothing. A STALE of nothing means a deleted replica. */
static void record_have(const struct outcome *outcome, Redoubt__Verdict verdict) {
    const Redoubt__ItemVerdict *answer = outcome->item->verdict;
    bool is_applied = verdict == REDOUBT__VERDICT__VERDICT_APPLIED;
    uint64_t revision =
        answer->have_revision != 0 ? answer->have_revision : outcome->item->sent_revision;

    if ((answer->have_generation == outcome->link->generation ||
         (is_applied && answer->have_generation == 0)) &&
        revision <= outcome->secret->revision) {
        record_success(outcome, revision);
    } else {
        record_failure(outcome, REDOUBT__VERDICT__VERDICT_STALE);
    }
}

static void record_promoted(const struct outcome *outcome) {
    const Redoubt__OutcomeItem *item = outcome->item;

    txn_delete_link(outcome->txn, item->account, item->name, outcome->region);
    outbox_settle(outcome->txn, outcome->region, item->account, item->name, item->suffix,
                  REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT, outcome->link->generation);
}

/* A value that we thought was there is not: send all of them. */
static void record_need(const struct outcome *outcome) {
    Redoubt__Link *link = outcome->link;

    if (link->acked_revision > outcome->item->sent_revision) {
        return; /* outdated: something newer was applied since */
    }
    link->has_acked_revision = true;
    link->acked_revision = 0;
    link_put_dirty(outcome->txn, outcome->item->account, outcome->secret, link);
}

static void outcome_upsert(struct txn *txn, const char *region, const Redoubt__OutcomeItem *item) {
    AUTO(secret_release)
    Redoubt__Secret *secret = state_secret(txn, item->account, item->name);
    AUTO(link_release) Redoubt__Link *link = state_link(txn, item->account, item->name, region);
    struct outcome outcome = {
        .txn = txn, .region = region, .item = item, .secret = secret, .link = link};
    Redoubt__Verdict verdict = item->verdict->verdict;

    if (secret == NULL || link == NULL || strcmp(secret->suffix, item->suffix) != 0 ||
        link->generation != item->generation || !item->has_sent_revision) {
        return;
    }
    if (verdict == REDOUBT__VERDICT__VERDICT_APPLIED ||
        verdict == REDOUBT__VERDICT__VERDICT_STALE) {
        record_have(&outcome, verdict);
    } else if (verdict == REDOUBT__VERDICT__VERDICT_PROMOTED) {
        record_promoted(&outcome);
    } else if (verdict == REDOUBT__VERDICT__VERDICT_NEED_VALUES) {
        record_need(&outcome);
    } else {
        record_failure(&outcome, verdict);
    }
}

/* A tombstone or a notice was heard. */
static void outcome_entry(struct txn *txn, const char *region, const Redoubt__OutcomeItem *item) {
    Redoubt__Verdict verdict = item->verdict->verdict;
    AUTO(outbox_release)
    Redoubt__Outbox *entry = state_outbox_of(txn, region, item->account, item->name, item->suffix);

    if (entry == NULL || entry->kind != item->kind || entry->generation != item->generation ||
        (verdict != REDOUBT__VERDICT__VERDICT_APPLIED &&
         verdict != REDOUBT__VERDICT__VERDICT_PROMOTED &&
         verdict != REDOUBT__VERDICT__VERDICT_STALE)) {
        return;
    }
    outbox_end(txn, region, item->account, item->name, item->suffix);
}

void outcome_batch_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__OutcomeBatch *batch = (const Redoubt__OutcomeBatch *)command;

    if (!batch_is_valid(batch)) {
        refuse_malformed(result);
        return;
    }
    for (size_t i = 0; i < batch->n_items; i++) {
        const Redoubt__OutcomeItem *item = batch->items[i];
        if (!item_is_valid(item)) {
            continue;
        }
        if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT) {
            outcome_upsert(txn, batch->region, item);
        } else if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE ||
                   item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED) {
            outcome_entry(txn, batch->region, item);
        }
    }
}
