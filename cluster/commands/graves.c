#include "cluster/commands/graves.h"

#include "base/check.h"
#include "base/limits.h"
#include "cluster/commands/state.h"

#include <string.h>

/* The grave that `region` has in the record, or NULL. */
static Redoubt__Grave *grave_by(Redoubt__Grave *record, const char *region) {
    if (strcmp(record->region, region) == 0) {
        return record;
    }
    for (size_t i = 0; i < record->n_others; i++) {
        if (strcmp(record->others[i]->region, region) == 0) {
            return record->others[i];
        }
    }
    return NULL;
}

enum grave_verdict grave_judge(struct txn *txn, const char *account, const char *name,
                               const char *suffix, const char *region, uint64_t generation) {
    AUTO(grave_release) Redoubt__Grave *record = state_grave(txn, account, name, suffix);
    const Redoubt__Grave *grave = record == NULL ? NULL : grave_by(record, region);

    if (grave == NULL || grave->generation < generation) {
        return GRAVE_NONE;
    }
    return grave->promoted ? GRAVE_PROMOTED : GRAVE_DEAD;
}

static void grave_set(Redoubt__Grave *grave, uint64_t generation, bool promoted, int64_t now_ms) {
    grave->has_generation = true;
    grave->generation = generation;
    grave->has_promoted = true;
    grave->promoted = promoted;
    grave->has_buried_ms = true;
    grave->buried_ms = now_ms;
}

static Redoubt__Grave *grave_new(const char *region) {
    Redoubt__Grave *grave = must_calloc(1, sizeof(*grave));

    redoubt__grave__init(grave);
    text_set(&grave->region, region);
    return grave;
}

/* A place for one more region. A deployment has LIMIT_PEERS regions at most; above that the record
 * came from elsewhere, and its oldest grave makes room. */
static Redoubt__Grave *grave_add(Redoubt__Grave *record, const char *region) {
    if (record->n_others == LIMIT_PEERS) {
        redoubt__grave__free_unpacked(record->others[0], NULL);
        memmove(&record->others[0], &record->others[1],
                (record->n_others - 1) * sizeof(*record->others));
        record->n_others--;
    }
    record->others = must_realloc(record->others, record->n_others + 1, sizeof(*record->others));
    record->others[record->n_others] = grave_new(region);
    return record->others[record->n_others++];
}

void grave_raise(struct txn *txn, const char *account, const char *name, const char *suffix,
                 const char *region, uint64_t generation, bool promoted, int64_t now_ms) {
    AUTO(grave_release) Redoubt__Grave *record = state_grave(txn, account, name, suffix);
    Redoubt__Grave *grave;

    if (record == NULL) {
        record = grave_new(region);
        grave = record;
    } else {
        grave = grave_by(record, region);
        if (grave == NULL) {
            grave = grave_add(record, region);
        } else if (grave->generation > generation) {
            return;
        } else if (grave->generation == generation) {
            promoted = promoted || grave->promoted;
        }
    }
    grave_set(grave, generation, promoted, now_ms);
    txn_put_grave(txn, account, name, suffix, record);
}

void secret_bury(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                 int64_t now_ms) {
    const Redoubt__Origin *origin = secret->promoted_from;

    if (origin != NULL) {
        grave_raise(txn, account, secret->name, secret->suffix, origin->region, origin->generation,
                    true, now_ms);
    }
    txn_delete_secret(txn, account, secret);
}
