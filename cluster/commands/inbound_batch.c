/* INBOUND_BATCH: what another region shipped, item by item, with one verdict each. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/graves.h"
#include "cluster/commands/inbound.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/secret_id.h"

#include <string.h>

static bool batch_is_valid(const struct apply_context *context,
                           const Redoubt__InboundBatch *batch) {
    return text_is_within(batch->from_region, 1, LIMIT_REGION_NAME) &&
           region_name_is_valid(batch->from_region) &&
           strcmp(batch->from_region, context->region) != 0 &&
           batch->n_items <= LIMIT_BATCH_ITEMS && time_is_valid(batch->has_now_ms, batch->now_ms);
}

static bool item_is_valid(const Redoubt__InboundItem *item) {
    return item->has_kind && account_is_valid(item->account) &&
           text_is_within(item->name, 1, LIMIT_NAME) && suffix_is_valid(item->suffix) &&
           item->has_generation;
}

/* The link was removed over there. A grave stays also where nothing was, for the UPSERT that comes
 * late. A promoted secret lives on. */
static Redoubt__Verdict apply_remove(const struct inbound *in, const Redoubt__InboundItem *item) {
    AUTO(secret_release)
    Redoubt__Secret *local = state_secret(in->txn, item->account, item->name);

    if (secret_is_replica_of_item(local, in, item)) {
        if (local->replica_of->generation > item->generation) {
            return REDOUBT__VERDICT__VERDICT_STALE;
        }
        txn_delete_secret(in->txn, item->account, local);
    }
    grave_raise(in->txn, item->account, item->name, item->suffix, in->from, item->generation, false,
                in->now_ms);
    return secret_is_promoted_from_item(local, in, item) ? REDOUBT__VERDICT__VERDICT_PROMOTED
                                                         : REDOUBT__VERDICT__VERDICT_APPLIED;
}

/* Our replica over there was promoted: its link and whatever was due to it are over. */
static Redoubt__Verdict apply_promoted(const struct inbound *in, const Redoubt__InboundItem *item) {
    AUTO(link_release)
    Redoubt__Link *link = NULL;
    AUTO(outbox_release)
    Redoubt__Outbox *entry =
        state_outbox_of(in->txn, in->from, item->account, item->name, item->suffix);
    AUTO(secret_release)
    Redoubt__Secret *local = state_secret(in->txn, item->account, item->name);

    if (local != NULL && strcmp(local->suffix, item->suffix) == 0) {
        link = state_link(in->txn, item->account, item->name, in->from);
    }
    if (link != NULL && link->generation <= item->generation) {
        txn_delete_link(in->txn, item->account, item->name, in->from);
    }
    /* An entry that is a notice of our own speaks of a link of theirs. */
    if (entry != NULL && entry->kind != REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED &&
        entry->generation <= item->generation) {
        outbox_end(in->txn, in->from, item->account, item->name, item->suffix);
    }
    return REDOUBT__VERDICT__VERDICT_APPLIED;
}

static Redoubt__Verdict judge(const struct inbound *in, const Redoubt__InboundItem *item,
                              size_t place) {
    if (item->has_verdict) {
        return item->verdict;
    }
    if (!item_is_valid(item)) {
        return REDOUBT__VERDICT__VERDICT_REFUSED;
    }
    if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT) {
        return inbound_upsert(in, item, place);
    }
    if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE) {
        return apply_remove(in, item);
    }
    if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED) {
        return apply_promoted(in, item);
    }
    return REDOUBT__VERDICT__VERDICT_REFUSED; /* a kind of a newer release */
}

/* The verdict, with what the sender's replica here is now. */
static Redoubt__ItemVerdict *verdict_new(const struct inbound *in, const Redoubt__InboundItem *item,
                                         Redoubt__Verdict verdict) {
    Redoubt__ItemVerdict *answer = must_calloc(1, sizeof(*answer));
    AUTO(secret_release) Redoubt__Secret *local = NULL;

    redoubt__item_verdict__init(answer);
    answer->has_verdict = true;
    answer->verdict = verdict;
    if (!item_is_valid(item)) {
        return answer;
    }
    local = state_secret(in->txn, item->account, item->name);
    if (secret_is_replica_of_item(local, in, item)) {
        answer->has_have_generation = true;
        answer->have_generation = local->replica_of->generation;
        answer->has_have_revision = true;
        answer->have_revision = local->replica_of->revision;
        answer->has_last_accessed_day = local->has_last_accessed_day;
        answer->last_accessed_day = local->last_accessed_day;
    }
    return answer;
}

void inbound_batch_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__InboundBatch *batch = (const Redoubt__InboundBatch *)command;
    struct inbound in = {.txn = txn, .context = context, .from = batch->from_region};

    if (!batch_is_valid(context, batch)) {
        refuse_malformed(result);
        return;
    }
    if (batch->n_items == 0) {
        return;
    }
    in.now_ms = batch->now_ms;
    result->verdicts = must_calloc(batch->n_items, sizeof(*result->verdicts));
    for (size_t i = 0; i < batch->n_items; i++) {
        const Redoubt__InboundItem *item = batch->items[i];
        result->verdicts[i] = verdict_new(&in, item, judge(&in, item, i));
        result->n_verdicts++;
    }
}
