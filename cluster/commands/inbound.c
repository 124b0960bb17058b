#include "cluster/commands/inbound.h"

#include "cluster/commands/graves.h"
#include "cluster/commands/links.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/seq.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool origin_is(const Redoubt__Origin *origin, const char *region) {
    return origin != NULL && strcmp(origin->region, region) == 0;
}

bool secret_is_replica_of_item(const Redoubt__Secret *secret, const struct inbound *in,
                               const Redoubt__InboundItem *item) {
    return secret != NULL && origin_is(secret->replica_of, in->from) &&
           strcmp(secret->suffix, item->suffix) == 0;
}

bool secret_is_promoted_from_item(const Redoubt__Secret *secret, const struct inbound *in,
                                  const Redoubt__InboundItem *item) {
    return secret != NULL && origin_is(secret->promoted_from, in->from) &&
           strcmp(secret->suffix, item->suffix) == 0;
}

static bool texts_are_equal(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool replica_keeps_own_key(const Redoubt__Secret *replica, const char *link_kms_key_id) {
    return replica->has_own_kms_key && replica->own_kms_key &&
           texts_are_equal(kms_key_or_default(replica->link_kms_key_id),
                           kms_key_or_default(link_kms_key_id));
}

static const Redoubt__NewValue *value_of(const Redoubt__InboundItem *item, const char *id) {
    for (size_t i = 0; i < item->n_values; i++) {
        if (strcmp(item->values[i]->version_id, id) == 0) {
            return item->values[i];
        }
    }
    return NULL;
}

/* The record is whole, and every value belongs to a version that it lists with that kind, each to
 * one of its own: of two, one's digest would stand beside the other's ciphertext. */
static bool upsert_is_valid(const Redoubt__InboundItem *item) {
    const Redoubt__Secret *secret = item->secret;

    if (!item->has_revision || item->revision > INT64_MAX || !shipped_secret_is_valid(secret) ||
        item->n_values > secret->n_versions ||
        (secret->name != NULL && strcmp(secret->name, item->name) != 0) ||
        (secret->suffix != NULL && strcmp(secret->suffix, item->suffix) != 0)) {
        return false;
    }
    for (size_t i = 0; i < item->n_values; i++) {
        const Redoubt__NewValue *value = item->values[i];
        const Redoubt__Version *version;
        if (!new_value_is_valid(value)) {
            return false;
        }
        version = version_find(secret, value->version_id);
        if (version == NULL || !version->has_kind || version->kind != value->kind ||
            value_of(item, value->version_id) != value) {
            return false;
        }
    }
    return true;
}

/* The version's value is stored here, under the replica that is being brought up to date. */
static const Redoubt__Version *stored_version(const Redoubt__Secret *base,
                                              const Redoubt__Version *shipped) {
    const Redoubt__Version *version = base == NULL ? NULL : version_find(base, shipped->id);

    return version != NULL && version->has_kind && version->kind == shipped->kind ? version : NULL;
}

static bool values_are_missing(const Redoubt__InboundItem *item, const Redoubt__Secret *base) {
    for (size_t i = 0; i < item->secret->n_versions; i++) {
        const Redoubt__Version *version = item->secret->versions[i];
        if (version->has_kind && value_of(item, version->id) == NULL &&
            stored_version(base, version) == NULL) {
            return true;
        }
    }
    return false;
}

/* The keys that open the value are those that opened it here before. */
static void copy_keys(Redoubt__Version *version, const Redoubt__Version *mine) {
    version_set_keys(version, NULL);
    text_set(&version->key_id, mine->key_id);
    if (mine->n_other_key_ids > 0) {
        version->other_key_ids =
            must_calloc(mine->n_other_key_ids, sizeof(*version->other_key_ids));
        for (size_t i = 0; i < mine->n_other_key_ids; i++) {
            version->other_key_ids[version->n_other_key_ids++] = text_dup(mine->other_key_ids[i]);
        }
    }
}

/* What this region knows better than the sender: digest, keys and last read of a version. */
static void localize_version(Redoubt__Version *version, const Redoubt__NewValue *value,
                             const Redoubt__Secret *base) {
    static const ProtobufCBinaryData none = {0, NULL};
    const Redoubt__Version *mine = base == NULL ? NULL : version_find(base, version->id);

    if (value != NULL) {
        version_set_value(version, value, version->revision);
    } else if (version->has_kind && mine != NULL) {
        version->has_digest = mine->has_digest;
        bytes_set(&version->digest, &mine->digest);
        copy_keys(version, mine);
    } else {
        version->has_digest = false;
        bytes_set(&version->digest, &none);
        version_set_keys(version, NULL);
    }
    version->has_last_accessed_day = mine != NULL && mine->has_last_accessed_day;
    version->last_accessed_day = mine != NULL ? mine->last_accessed_day : 0;
}

static void set_origin(Redoubt__Secret *secret, const char *region, uint64_t generation,
                       uint64_t revision) {
    Redoubt__Origin *origin = must_calloc(1, sizeof(*origin));

    redoubt__origin__init(origin);
    text_set(&origin->region, region);
    origin->has_generation = true;
    origin->generation = generation;
    origin->has_revision = true;
    origin->revision = revision;
    redoubt__origin__free_unpacked(secret->replica_of, NULL);
    secret->replica_of = origin;
    redoubt__origin__free_unpacked(secret->promoted_from, NULL);
    secret->promoted_from = NULL;
}

/* The link's key, or the one that this region chose since. */
static void localize_key(Redoubt__Secret *secret, const Redoubt__Secret *base) {
    bool is_own = base != NULL && replica_keeps_own_key(base, secret->kms_key_id);

    text_set(&secret->link_kms_key_id, is_own ? base->link_kms_key_id : NULL);
    text_set(&secret->kms_key_id, is_own ? base->kms_key_id : secret->kms_key_id);
    secret->has_own_kms_key = is_own;
    secret->own_kms_key = is_own;
}

/* The replica's record: the sender's, with what belongs to this region. `base` is the replica that
 * was here, or NULL. */
static Redoubt__Secret *replica_record(const struct inbound *in, const Redoubt__InboundItem *item,
                                       const Redoubt__Secret *base, size_t place) {
    Redoubt__Secret *secret = message_copy(&item->secret->base);

    text_set(&secret->name, item->name);
    text_set(&secret->suffix, item->suffix);
    localize_key(secret, base);
    set_origin(secret, in->from, item->generation, item->revision);
    secret->has_revision = true;
    secret->revision = item->revision;
    secret->has_created_seq = true;
    secret->created_seq = base != NULL ? base->created_seq : created_seq_of(in->context, place);
    secret->has_last_accessed_day = base != NULL && base->has_last_accessed_day;
    secret->last_accessed_day = base != NULL ? base->last_accessed_day : 0;
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Version *version = secret->versions[i];
        localize_version(version, value_of(item, version->id), base);
    }
    return secret;
}

/* Values that the new record no longer has. */
static void drop_values(const struct inbound *in, const Redoubt__InboundItem *item,
                        const Redoubt__Secret *base) {
    for (size_t i = 0; i < base->n_versions; i++) {
        const Redoubt__Version *mine = base->versions[i];
        const Redoubt__Version *theirs = version_find(item->secret, mine->id);
        if (mine->has_kind && (theirs == NULL || !theirs->has_kind)) {
            txn_delete_value(in->txn, item->account, item->name, mine->id);
        }
    }
}

static Redoubt__Verdict apply_upsert(const struct inbound *in, const Redoubt__InboundItem *item,
                                     const Redoubt__Secret *base, size_t place) {
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (values_are_missing(item, base)) {
        return REDOUBT__VERDICT__VERDICT_NEED_VALUES;
    }
    secret = replica_record(in, item, base, place);
    if (base != NULL) {
        drop_values(in, item, base);
    }
    txn_put_secret(in->txn, item->account, secret);
    for (size_t i = 0; i < item->n_values; i++) {
        txn_put_value(in->txn, item->account, item->name, item->values[i]->version_id,
                      item->values[i]->sealed);
    }
    return REDOUBT__VERDICT__VERDICT_APPLIED;
}

/* A standalone secret has the name. Only force takes it away, and never from a secret that has
 * replicas of its own. */
static Redoubt__Verdict judge_standalone(const struct inbound *in, const Redoubt__InboundItem *item,
                                         const Redoubt__Secret *local, size_t place) {
    if (secret_is_promoted_from_item(local, in, item) &&
        local->promoted_from->generation >= item->generation) {
        return REDOUBT__VERDICT__VERDICT_PROMOTED;
    }
    if (!item->has_force || !item->force || secret_has_links(in->txn, item->account, item->name)) {
        return REDOUBT__VERDICT__VERDICT_NAME_TAKEN;
    }
    if (values_are_missing(item, NULL)) {
        return REDOUBT__VERDICT__VERDICT_NEED_VALUES;
    }
    secret_bury(in->txn, item->account, local, in->now_ms);
    return apply_upsert(in, item, NULL, place);
}

Redoubt__Verdict inbound_upsert(const struct inbound *in, const Redoubt__InboundItem *item,
                                size_t place) {
    AUTO(secret_release) Redoubt__Secret *local = NULL;
    const Redoubt__Origin *origin;

    if (!upsert_is_valid(item)) {
        return REDOUBT__VERDICT__VERDICT_REFUSED;
    }
    switch (
        grave_judge(in->txn, item->account, item->name, item->suffix, in->from, item->generation)) {
    case GRAVE_NONE:
        break;
    case GRAVE_DEAD:
        return REDOUBT__VERDICT__VERDICT_STALE;
    case GRAVE_PROMOTED:
        return REDOUBT__VERDICT__VERDICT_PROMOTED;
    }
    local = state_secret(in->txn, item->account, item->name);
    if (local == NULL) {
        return apply_upsert(in, item, NULL, place);
    }
    origin = local->replica_of;
    if (origin == NULL) {
        return judge_standalone(in, item, local, place);
    }
    if (!origin_is(origin, in->from)) {
        return REDOUBT__VERDICT__VERDICT_OTHER_PRIMARY;
    }
    if (strcmp(local->suffix, item->suffix) != 0) {
        return REDOUBT__VERDICT__VERDICT_OTHER_ARN;
    }
    if (item->generation < origin->generation ||
        (item->generation == origin->generation && item->revision <= origin->revision)) {
        return REDOUBT__VERDICT__VERDICT_STALE;
    }
    return apply_upsert(in, item, local, place);
}
