/* LINKS_ADD: replicates a secret to regions, and tries again where that failed. AWS_BEHAVIOUR 4. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool add_is_valid(const Redoubt__LinksAdd *add) {
    return ref_is_valid(add->ref) && add->n_targets > 0 &&
           time_is_valid(add->has_now_ms, add->now_ms);
}

/* How many of the targets are no replica regions yet. */
static size_t count_new(struct txn *txn, const Redoubt__LinksAdd *add) {
    size_t n = 0;

    for (size_t i = 0; i < add->n_targets; i++) {
        AUTO(link_release)
        Redoubt__Link *link =
            state_link(txn, add->ref->account, add->ref->name, add->targets[i]->region);
        n += link == NULL ? 1 : 0;
    }
    return n;
}

static bool texts_are_equal(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A region that is linked already: try again. Generation and what was acknowledged stay. True when
 * what is asked of the link is not what it was. */
static bool link_retry(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                       Redoubt__Link *link, const Redoubt__ReplicaTarget *target, bool force) {
    const char *kms_key_id = kms_key_or_default(target->kms_key_id);
    bool changed = false;

    if (force && !link->force) {
        link->has_force = true;
        link->force = true;
        changed = true;
    }
    if (!texts_are_equal(link->kms_key_id, kms_key_id)) {
        text_set(&link->kms_key_id, kms_key_id);
        /* The shipper sends every value again, to be sealed anew, from the revision on that the
         * secret is about to get; what is still under way was sealed under the former key. */
        link->acked_revision = 0;
        link->has_reseal_revision = true;
        link->reseal_revision = secret->revision + 1;
        changed = true;
    }
    link_put_dirty(txn, account, secret, link);
    return changed;
}

/* True when the secret must count as changed: a link that is asked for something else (another key,
 * force) needs a new revision. The replica would call the same revision stale and not seal anew;
 * and a verdict on what was sent before, still under way, would be taken for the new attempt's. */
static bool add_links(struct txn *txn, const struct apply_context *context,
                      const Redoubt__LinksAdd *add, const Redoubt__Secret *secret) {
    const char *account = add->ref->account;
    bool force = add->has_force_overwrite && add->force_overwrite;
    bool changed = false;

    for (size_t i = 0; i < add->n_targets; i++) {
        const Redoubt__ReplicaTarget *target = add->targets[i];
        AUTO(link_release)
        Redoubt__Link *link = state_link(txn, account, secret->name, target->region);
        if (link == NULL) {
            link_create(txn, context, account, secret, target, i, force);
        } else if (link_retry(txn, account, secret, link, target, force)) {
            changed = true;
        }
    }
    return changed;
}

void links_add_apply(struct txn *txn, const struct apply_context *context,
                     const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__LinksAdd *add = (const Redoubt__LinksAdd *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    struct view_links links;
    const char *account;
    size_t n_links;

    if (!add_is_valid(add)) {
        refuse_malformed(result);
        return;
    }
    if (targets_are_refused(context, add->targets, add->n_targets, result)) {
        return;
    }
    secret = secret_find_writable(txn, add->ref, result);
    if (secret == NULL) {
        return;
    }
    account = add->ref->account;
    links = state_links(txn, account, secret->name);
    n_links = links.n;
    view_links_free(&links);
    if (n_links + count_new(txn, add) > LIMIT_REPLICAS) {
        refuse_too_many_regions(result);
        return;
    }
    if (add_links(txn, context, add, secret)) {
        secret_put_changed(txn, account, secret, secret->changed_ms);
    }
    result_set_secret(result, secret);
    result_set_links(txn, account, secret, result);
}
