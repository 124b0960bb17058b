#include "storage/txn.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/limits.h"
#include "storage/index.h"
#include "storage/record_cache.h"
#include "storage/txn_inner.h"

struct txn *txn_new(struct engine *engine) {
    struct txn *txn = calloc(1, sizeof(*txn));

    if (txn == NULL) {
        storage_die("beginning a transaction", ERR_NO_MEMORY, "");
    }
    txn->engine = engine;
    /* 1: of several changes of a key the last one counts, as merged iteration needs. */
    txn->batch = rocksdb_writebatch_wi_create(0, 1);
    txn->known = record_cache_new(LIMIT_RECORD_CACHE);
    if (txn->known == NULL) {
        storage_die("beginning a transaction", ERR_NO_MEMORY, "");
    }
    txn->view = (struct view){
        .engine = engine, .options = engine->read, .batch = txn->batch, .known = txn->known};
    buf_init(&txn->record, LIMIT_RECORD);
    buf_init(&txn->terms, LIMIT_INDEX_BATCH);
    index_rows_init(&txn->before);
    index_rows_init(&txn->after);
    atomic_fetch_add(&engine->views, 1);
    return txn;
}

static void dirty_clear(struct txn *txn) {
    for (size_t i = 0; i < txn->n_dirty; i++) {
        free(txn->dirty[i]);
    }
    txn->n_dirty = 0;
}

void txn_free(struct txn *txn) {
    if (txn == NULL) {
        return;
    }
    dirty_clear(txn);
    free(txn->dirty);
    buf_fini(&txn->record);
    buf_fini(&txn->terms);
    index_rows_fini(&txn->before);
    index_rows_fini(&txn->after);
    rocksdb_writebatch_wi_destroy(txn->batch);
    record_cache_free(txn->known);
    atomic_fetch_sub(&txn->engine->views, 1);
    free(txn);
}

const struct view *txn_view(struct txn *txn) {
    return &txn->view;
}

static void txn_delete(struct txn *txn, const struct key *key) {
    rocksdb_writebatch_wi_delete_cf(txn->batch, txn->engine->families[FAMILY_STATE],
                                    (const char *)key->data, key->len);
    record_cache_change(txn->known, FAMILY_STATE, key, NULL, 0);
}

/* What lies in txn->record goes behind the key. */
static void txn_put_packed(struct txn *txn, const struct key *key) {
    if (txn->record.failed) {
        storage_die("packing a record", ERR_NO_MEMORY, "");
    }
    rocksdb_writebatch_wi_put_cf(txn->batch, txn->engine->families[FAMILY_STATE],
                                 (const char *)key->data, key->len, (const char *)txn->record.data,
                                 txn->record.len);
    record_cache_change(txn->known, FAMILY_STATE, key, txn->record.data, txn->record.len);
}

static void txn_put(struct txn *txn, const struct key *key, enum record_kind kind,
                    const ProtobufCMessage *message) {
    buf_reset(&txn->record);
    record_pack(&txn->record, kind, message);
    txn_put_packed(txn, key);
}

static void txn_put_bytes(struct txn *txn, const struct key *key, enum record_kind kind,
                          const void *payload, size_t len) {
    buf_reset(&txn->record);
    record_pack_bytes(&txn->record, kind, payload, len);
    txn_put_packed(txn, key);
}

static bool txn_has(struct txn *txn, const struct key *key) {
    struct held held;
    bool has;

    if (view_hold(&txn->view, FAMILY_STATE, key, &held) != OK) {
        storage_die("reading the state", ERR_IO, ""); /* view_hold has not returned then */
    }
    has = held.data != NULL;
    view_release(&held);
    return has;
}

/* What the transaction holds, as one write. */
static void txn_write(struct txn *txn) {
    char *message = NULL;
    struct err err;

    if (txn->terms.len == 0) {
        rocksdb_write_writebatch_wi(txn->engine->db, txn->engine->write, txn->batch, &message);
    } else {
        size_t len;
        const char *data = rocksdb_writebatch_wi_data(txn->batch, &len);
        rocksdb_writebatch_t *batch = rocksdb_writebatch_create_from(data, len);
        index_flush_terms(txn, batch);
        rocksdb_write(txn->engine->db, txn->engine->write, batch, &message);
        rocksdb_writebatch_destroy(batch);
    }
    if (message != NULL) {
        enum errc code = rocks_result(message, "cannot write the state", &err);
        storage_die("committing a transaction", code, err.message);
    }
}

void txn_commit(struct txn *txn, uint64_t applied_index) {
    uint8_t index[8];
    struct key key;

    put_le64(index, applied_index);
    key_applied(&key);
    buf_reset(&txn->record);
    record_pack_bytes(&txn->record, RECORD_APPLIED, index, sizeof(index));
    txn_put_packed(txn, &key);
    CRASHPOINT(STATE_BEFORE_WRITE);
    txn_write(txn);
    CRASHPOINT(STATE_WRITTEN);
    rocksdb_writebatch_wi_clear(txn->batch);
    dirty_clear(txn);
}

/* What the state has under this name goes from the lists: it is there under another number. */
static void drop_former(struct txn *txn, const char *account, const char *name) {
    Redoubt__Secret *former = NULL;
    struct key key;

    if (view_secret(&txn->view, account, name, &former) != OK) {
        storage_die("reading the state", ERR_IO, "");
    }
    if (former == NULL) {
        return;
    }
    index_delete_secret(txn, account, former);
    CHECK(key_order(&key, account, former->created_seq));
    txn_delete(txn, &key);
    redoubt__secret__free_unpacked(former, NULL);
}

void txn_put_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret) {
    struct index_secret row;
    struct key key;
    struct key order;
    bool found = false;

    CHECK(secret->has_created_seq);
    CHECK(key_secret(&key, account, secret->name));
    CHECK(key_order(&order, account, secret->created_seq));
    /* The common case, a change of a secret that is there, costs one small read. */
    CHECK(index_find(&txn->view, account, secret->created_seq, &row, &found) == OK);
    /* A row of another secret is a bug of whoever gave the number. */
    CHECK(!found || strcmp(row.name, secret->name) == 0);
    if (!found) {
        drop_former(txn, account, secret->name);
        txn_put_bytes(txn, &order, RECORD_ORDER, secret->name, strlen(secret->name));
    }
    index_put_secret(txn, account, secret, found ? &row : NULL);
    txn_put(txn, &key, RECORD_SECRET, &secret->base);
}

/* Two passes: a key is not deleted under the iterator that stands on it. */
static void txn_delete_prefix(struct txn *txn, const struct key *prefix) {
    struct key *keys = NULL;
    size_t n = 0;
    size_t room = 0;
    struct scan scan;
    const uint8_t *found;
    size_t len;

    scan_begin(&scan, &txn->view, prefix, NULL);
    for (; scan_get(&scan, &found, &len); scan_next(&scan)) {
        CHECK(len <= KEY_MAX);
        if (n == room) {
            room = room ? room * 2 : 8;
            keys = reallocarray(keys, room, sizeof(*keys));
            if (keys == NULL) {
                storage_die("deleting a secret", ERR_NO_MEMORY, "");
            }
        }
        keys[n].len = len;
        memcpy(keys[n++].data, found, len);
    }
    if (scan_end(&scan) != OK) {
        storage_die("reading the state", ERR_IO, "");
    }
    for (size_t i = 0; i < n; i++) {
        txn_delete(txn, &keys[i]);
    }
    free(keys);
}

void txn_delete_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret) {
    struct key key;

    CHECK(secret->has_created_seq);
    drop_former(txn, account, secret->name);
    CHECK(key_secret(&key, account, secret->name));
    txn_delete(txn, &key);
    CHECK(key_order(&key, account, secret->created_seq));
    txn_delete(txn, &key);
    CHECK(key_value_prefix(&key, account, secret->name));
    txn_delete_prefix(txn, &key);
}

void txn_put_value(struct txn *txn, const char *account, const char *name, const char *version_id,
                   const Redoubt__Sealed *sealed) {
    struct key key;

    CHECK(key_value(&key, account, name, version_id));
    txn_put(txn, &key, RECORD_VALUE, &sealed->base);
}

void txn_delete_value(struct txn *txn, const char *account, const char *name,
                      const char *version_id) {
    struct key key;

    CHECK(key_value(&key, account, name, version_id));
    txn_delete(txn, &key);
}

bool txn_has_links(struct txn *txn, const char *account, const Redoubt__Secret *secret) {
    struct index_secret row;
    bool found = false;

    CHECK(index_find(&txn->view, account, secret->created_seq, &row, &found) == OK);
    CHECK(found);
    return row.has_links;
}

void txn_put_link(struct txn *txn, const char *account, const char *name,
                  const Redoubt__Link *link) {
    struct key key;
    bool is_new;

    CHECK(key_link(&key, account, name, link->region));
    is_new = !txn_has(txn, &key);
    txn_put(txn, &key, RECORD_LINK, &link->base);
    if (is_new) {
        index_links_changed(txn, account, name);
    }
}

void txn_delete_link(struct txn *txn, const char *account, const char *name, const char *region) {
    struct key key;

    CHECK(key_link(&key, account, name, region));
    txn_delete(txn, &key);
    index_links_changed(txn, account, name);
}

static void dirty_add(struct txn *txn, const char *region) {
    for (size_t i = 0; i < txn->n_dirty; i++) {
        if (strcmp(txn->dirty[i], region) == 0) {
            return;
        }
    }
    if (txn->n_dirty == txn->dirty_room) {
        size_t room = txn->dirty_room ? txn->dirty_room * 2 : 8;
        char **dirty = reallocarray(txn->dirty, room, sizeof(*dirty));
        if (dirty == NULL) {
            storage_die("noting a dirty region", ERR_NO_MEMORY, "");
        }
        txn->dirty = dirty;
        txn->dirty_room = room;
    }
    txn->dirty[txn->n_dirty] = strdup(region);
    if (txn->dirty[txn->n_dirty] == NULL) {
        storage_die("noting a dirty region", ERR_NO_MEMORY, "");
    }
    txn->n_dirty++;
}

/* Entries of other kinds than `kept` (0: of all kinds). Looked for first: most of them are not
 * there, and a deletion of nothing is a tombstone in the way of every later scan. */
static void outbox_delete_others(struct txn *txn, const char *region, const char *account,
                                 const char *name, const char *suffix, int kept) {
    for (size_t i = 0; i < KEY_OUTBOX_KINDS; i++) {
        struct key key;
        CHECK(key_outbox(&key, region, key_outbox_order[i], account, name, suffix));
        if ((int)key_outbox_order[i] != kept && txn_has(txn, &key)) {
            txn_delete(txn, &key);
        }
    }
}

void txn_put_outbox(struct txn *txn, const char *region, const char *account, const char *name,
                    const char *suffix, const Redoubt__Outbox *entry) {
    struct key key;

    CHECK(entry->has_kind);
    CHECK(key_outbox(&key, region, entry->kind, account, name, suffix));
    outbox_delete_others(txn, region, account, name, suffix, (int)entry->kind);
    txn_put(txn, &key, RECORD_OUTBOX, &entry->base);
    dirty_add(txn, region);
}

void txn_delete_outbox(struct txn *txn, const char *region, const char *account, const char *name,
                       const char *suffix) {
    outbox_delete_others(txn, region, account, name, suffix, 0);
}

void txn_put_grave(struct txn *txn, const char *account, const char *name, const char *suffix,
                   const Redoubt__Grave *grave) {
    struct key key;

    CHECK(key_grave(&key, account, name, suffix));
    txn_put(txn, &key, RECORD_GRAVE, &grave->base);
}

void txn_put_key(struct txn *txn, const char *account, const Redoubt__Key *key_record) {
    struct key key;

    CHECK(key_kms(&key, account, key_record->id));
    txn_put(txn, &key, RECORD_KEY, &key_record->base);
}

void txn_put_alias(struct txn *txn, const char *account, const char *alias, const char *key_id) {
    struct key key;

    CHECK(key_alias(&key, account, alias));
    txn_put_bytes(txn, &key, RECORD_ALIAS, key_id, strlen(key_id));
}

void txn_put_region(struct txn *txn, const Redoubt__Region *region) {
    struct key key;

    key_region(&key);
    txn_put(txn, &key, RECORD_REGION, &region->base);
}

void txn_put_join_tokens(struct txn *txn, const Redoubt__JoinTokens *tokens) {
    struct key key;

    key_join_tokens(&key);
    txn_put(txn, &key, RECORD_JOIN_TOKENS, &tokens->base);
}

void txn_each_dirty_region(const struct txn *txn, void (*each)(void *arg, const char *region),
                           void *arg) {
    for (size_t i = 0; i < txn->n_dirty; i++) {
        each(arg, txn->dirty[i]);
    }
}
