/* The index is kept in step: every change of a secret or of its links moves the rows that it
 * changes, and no others. */
#include "storage/index.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "storage/record_cache.h"
#include "storage/txn_inner.h"

#include <stdlib.h>
#include <string.h>

void index_put(const struct index_sink *sink, const struct key *key, const void *value,
               size_t len) {
    if (sink->batch != NULL) {
        rocksdb_writebatch_wi_put_cf(sink->batch, sink->family, (const char *)key->data, key->len,
                                     value, len);
        record_cache_change(sink->known, FAMILY_INDEX, key, value, len);
    } else {
        rocksdb_writebatch_put_cf(sink->plain, sink->family, (const char *)key->data, key->len,
                                  value, len);
    }
}

static struct index_sink txn_sink(struct txn *txn) {
    return (struct index_sink){
        .batch = txn->batch,
        .known = txn->known,
        .terms = &txn->terms,
        .family = txn->engine->families[FAMILY_INDEX],
    };
}

static void txn_drop(struct txn *txn, const struct key *key) {
    rocksdb_writebatch_wi_delete_cf(txn->batch, txn->engine->families[FAMILY_INDEX],
                                    (const char *)key->data, key->len);
    record_cache_change(txn->known, FAMILY_INDEX, key, NULL, 0);
}

/* For rows that are put once and never replaced before they go. The two of them vanish as soon as
 * they meet, so that a secret that changes all the time leaves no trail of dead rows that a list
 * would have to step over. */
static void txn_drop_single(struct txn *txn, const struct key *key) {
    rocksdb_writebatch_wi_singledelete_cf(txn->batch, txn->engine->families[FAMILY_INDEX],
                                          (const char *)key->data, key->len);
    record_cache_change(txn->known, FAMILY_INDEX, key, NULL, 0);
}

/* ---- reading ---- */

enum errc index_find(const struct view *view, const char *account, uint64_t seq,
                     struct index_secret *ret, bool *ret_found) {
    struct held held = {.data = NULL};
    struct key key;
    enum errc code;

    if (!index_key_secret(&key, account, seq)) {
        *ret_found = false;
        return OK;
    }
    code = view_hold(view, FAMILY_INDEX, &key, &held);
    if (code == OK && held.data != NULL && !index_secret_decode(held.data, held.len, ret)) {
        code = ERR_CORRUPT;
    }
    if (code == OK) {
        *ret_found = held.data != NULL;
    }
    view_release(&held);
    return view_outcome(view, code, "reading the index");
}

/* A small number; 0 where there is none. */
static uint64_t read_u64(struct txn *txn, const struct key *key, bool *ret_found) {
    struct held held = {.data = NULL};
    uint64_t value = 0;

    if (view_hold(&txn->view, FAMILY_INDEX, key, &held) != OK ||
        (held.data != NULL && held.len != sizeof(value))) {
        storage_die("reading the index", ERR_CORRUPT, "");
    }
    *ret_found = held.data != NULL;
    if (held.data != NULL) {
        value = get_le64(held.data);
    }
    view_release(&held);
    return value;
}

static bool has_links(struct txn *txn, const char *account, const char *name) {
    struct key prefix;
    bool has = false;

    CHECK(key_link_prefix(&prefix, account, name));
    if (scan_any(&txn->view, &prefix, &has) != OK) {
        storage_die("reading the state", ERR_IO, "");
    }
    return has;
}

/* ---- writing ---- */

static void put_u64(const struct index_sink *sink, const struct key *key, uint64_t value) {
    uint8_t bytes[8];

    put_le64(bytes, value);
    index_put(sink, key, bytes, sizeof(bytes));
}

static void put_secret_row(const struct index_sink *sink, const char *account, uint64_t seq,
                           const struct index_secret *row, struct buf *scratch) {
    struct key key;

    CHECK(index_key_secret(&key, account, seq));
    buf_reset(scratch);
    index_secret_encode(row, scratch);
    if (scratch->failed) {
        storage_die("packing a row of the index", ERR_NO_MEMORY, "");
    }
    index_put(sink, &key, scratch->data, scratch->len);
}

static void key_here(struct key *out, const char *account, uint64_t seq) {
    CHECK(index_key_term(out, account, INDEX_FIELD_PRIMARY_HERE, "", 0, seq));
}

static void key_due(struct key *out, const char *account, const char *name, enum due_kind kind,
                    int64_t due_ms) {
    const struct due due = {.kind = kind, .due_ms = due_ms, .account = account, .name = name};

    CHECK(index_key_due(out, &due));
}

/* As memcmp, a beginning before what goes on. */
static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len ? 1 : 0;
}

/* One deferred change: u8 is it a put, u16 length of the key, u32 length of the value, key, value.
 */
enum {
    TERM_HEAD = 7,
    TERMS_KEPT = 4 * 1024 * 1024, /* memory that stays with a transaction for the next entry */
};

static void defer_term(struct buf *terms, bool is_put, const uint8_t *bytes, size_t key_len,
                       size_t value_len) {
    buf_append_u8(terms, is_put ? 1 : 0);
    buf_append_le16(terms, (uint16_t)key_len);
    buf_append_le32(terms, (uint32_t)value_len);
    buf_append(terms, bytes, key_len + value_len);
    if (terms->failed) {
        storage_die("indexing a secret", ERR_NO_MEMORY, "");
    }
}

static void put_term(const struct index_sink *sink, const struct index_rows *rows, size_t i) {
    const struct index_row *row = &rows->items[i];
    const char *bytes = (const char *)rows->bytes.data + row->at;

    if (sink->plain != NULL) {
        rocksdb_writebatch_put_cf(sink->plain, sink->family, bytes, row->key_len,
                                  bytes + row->key_len, row->value_len);
    } else {
        defer_term(sink->terms, true, rows->bytes.data + row->at, row->key_len, row->value_len);
    }
}

static void drop_term(struct txn *txn, const struct index_rows *rows, size_t i) {
    const struct index_row *row = &rows->items[i];

    defer_term(&txn->terms, false, rows->bytes.data + row->at, row->key_len, 0);
}

/* Changes of one key stay in their order. */
static int deferred_compare(const void *a, const void *b) {
    const uint8_t *left = *(const uint8_t *const *)a;
    const uint8_t *right = *(const uint8_t *const *)b;
    int order =
        compare_bytes(left + TERM_HEAD, get_le16(left + 1), right + TERM_HEAD, get_le16(right + 1));

    return order != 0 ? order : left < right ? -1 : left > right ? 1 : 0;
}

void index_flush_terms(struct txn *txn, rocksdb_writebatch_t *batch) {
    rocksdb_column_family_handle_t *family = txn->engine->families[FAMILY_INDEX];
    const uint8_t *end = txn->terms.data + txn->terms.len;
    const uint8_t **changes = NULL;
    size_t n = 0;

    for (const uint8_t *at = txn->terms.data; at < end;) {
        at += TERM_HEAD + get_le16(at + 1) + get_le32(at + 3);
        n++;
    }
    changes = reallocarray(NULL, n, sizeof(*changes));
    if (changes == NULL) {
        storage_die("indexing a secret", ERR_NO_MEMORY, "");
    }
    n = 0;
    for (const uint8_t *at = txn->terms.data; at < end;) {
        changes[n++] = at;
        at += TERM_HEAD + get_le16(at + 1) + get_le32(at + 3);
    }
    /* In order, the memory that holds new rows is walked once, not once a row. */
    qsort(changes, n, sizeof(*changes), deferred_compare);
    for (size_t i = 0; i < n; i++) {
        size_t key_len = get_le16(changes[i] + 1);
        const char *key = (const char *)changes[i] + TERM_HEAD;
        if (changes[i][0] == 1) {
            rocksdb_writebatch_put_cf(batch, family, key, key_len, key + key_len,
                                      get_le32(changes[i] + 3));
        } else {
            rocksdb_writebatch_delete_cf(batch, family, key, key_len);
        }
    }
    free(changes);
    buf_reset(&txn->terms);
    if (txn->terms.room > TERMS_KEPT) {
        buf_fini(&txn->terms);
    }
}

void index_add(const struct index_sink *sink, const char *account, uint64_t seq,
               const struct index_secret *row, const struct index_rows *terms,
               struct buf *scratch) {
    struct key key;

    put_secret_row(sink, account, seq, row, scratch);
    CHECK(index_key_name(&key, account, row->name));
    put_u64(sink, &key, seq);
    CHECK(index_key_when(&key, INDEX_SPACE_CHANGED, account, row->changed_ms, seq));
    index_put(sink, &key, "", 0);
    CHECK(index_key_when(&key, INDEX_SPACE_ACCESSED, account, row->accessed_day, seq));
    index_put(sink, &key, "", 0);
    if (row->has_purge) {
        key_due(&key, account, row->name, DUE_PURGE, row->purge_ms);
        index_put(sink, &key, "", 0);
    }
    if (row->has_prune) {
        key_due(&key, account, row->name, DUE_PRUNE, row->prune_ms);
        index_put(sink, &key, "", 0);
    }
    if (row->is_primary_here) {
        key_here(&key, account, seq);
        index_put(sink, &key, "", 0);
    }
    for (size_t i = 0; i < terms->n; i++) {
        put_term(sink, terms, i);
    }
}

static void add_to_count(struct txn *txn, const char *account, bool is_one_more) {
    const struct index_sink sink = txn_sink(txn);
    struct key key;
    bool found;
    uint64_t n;

    CHECK(index_key_count(&key, account));
    n = read_u64(txn, &key, &found);
    CHECK(is_one_more || n > 0);
    n = is_one_more ? n + 1 : n - 1;
    if (n > 0) {
        put_u64(&sink, &key, n);
    } else {
        txn_drop(txn, &key);
    }
}

/* One due row of a kind, where it was and where it is now. */
static void move_due(struct txn *txn, const char *account, const char *name, enum due_kind kind,
                     const int64_t *from, const int64_t *to) {
    const struct index_sink sink = txn_sink(txn);
    struct key key;

    if (from != NULL && to != NULL && *from == *to) {
        return;
    }
    if (from != NULL) {
        key_due(&key, account, name, kind, *from);
        txn_drop(txn, &key);
    }
    if (to != NULL) {
        key_due(&key, account, name, kind, *to);
        index_put(&sink, &key, "", 0);
    }
}

static void move_when(struct txn *txn, enum index_space space, const char *account, uint64_t seq,
                      int64_t from, int64_t to) {
    const struct index_sink sink = txn_sink(txn);
    struct key key;

    if (from == to) {
        return;
    }
    CHECK(index_key_when(&key, space, account, from, seq));
    txn_drop_single(txn, &key);
    CHECK(index_key_when(&key, space, account, to, seq));
    index_put(&sink, &key, "", 0);
}

static void move_here(struct txn *txn, const char *account, uint64_t seq, bool from, bool to) {
    const struct index_sink sink = txn_sink(txn);
    struct key key;

    if (from == to) {
        return;
    }
    key_here(&key, account, seq);
    if (to) {
        index_put(&sink, &key, "", 0);
    } else {
        txn_drop(txn, &key);
    }
}

/* From the rows in txn->before to those in txn->after, both in order. */
static void move_terms(struct txn *txn) {
    const struct index_sink sink = txn_sink(txn);
    const struct index_rows *before = &txn->before;
    const struct index_rows *after = &txn->after;
    size_t i = 0;
    size_t k = 0;

    while (i < before->n || k < after->n) {
        const struct index_row *old = &before->items[i];
        const struct index_row *new = &after->items[k];
        int order = i == before->n ? 1 : k == after->n ? -1 : 0;
        if (order == 0) {
            order = compare_bytes(before->bytes.data + old->at, old->key_len,
                                  after->bytes.data + new->at, new->key_len);
        }
        if (order < 0) {
            drop_term(txn, before, i++);
        } else if (order > 0) {
            put_term(&sink, after, k++);
        } else {
            if (old->value_len != new->value_len ||
                memcmp(before->bytes.data + old->at, after->bytes.data + new->at,
                       old->key_len + old->value_len) != 0) {
                put_term(&sink, after, k);
            }
            i++;
            k++;
        }
    }
}

static void make_terms(struct index_rows *rows, const char *account,
                       const Redoubt__Secret *secret) {
    index_rows_make(rows, account, secret);
    if (rows->failed) {
        storage_die("indexing a secret", ERR_NO_MEMORY, "");
    }
}

static Redoubt__Secret *stored_secret(struct txn *txn, const char *account, const char *name) {
    Redoubt__Secret *secret = NULL;

    if (view_secret(&txn->view, account, name, &secret) != OK) {
        storage_die("reading the state", ERR_IO, "");
    }
    return secret;
}

static void insert_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret) {
    const struct index_sink sink = txn_sink(txn);
    struct index_secret row;

    index_secret_of(secret, has_links(txn, account, secret->name), &row);
    make_terms(&txn->after, account, secret);
    index_add(&sink, account, secret->created_seq, &row, &txn->after, &txn->record);
    add_to_count(txn, account, true);
}

static void move_due_rows(struct txn *txn, const char *account, const struct index_secret *from,
                          const struct index_secret *to) {
    move_due(txn, account, to->name, DUE_PURGE, from->has_purge ? &from->purge_ms : NULL,
             to->has_purge ? &to->purge_ms : NULL);
    move_due(txn, account, to->name, DUE_PRUNE, from->has_prune ? &from->prune_ms : NULL,
             to->has_prune ? &to->prune_ms : NULL);
}

static void update_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                          const struct index_secret *from) {
    const struct index_sink sink = txn_sink(txn);
    uint64_t seq = secret->created_seq;
    struct index_secret to;

    index_secret_of(secret, from->has_links, &to);
    if (memcmp(from->digest, to.digest, sizeof(to.digest)) != 0) {
        Redoubt__Secret *stored = stored_secret(txn, account, secret->name);
        CHECK(stored != NULL && stored->created_seq == seq);
        make_terms(&txn->before, account, stored);
        make_terms(&txn->after, account, secret);
        redoubt__secret__free_unpacked(stored, NULL);
        move_terms(txn);
    }
    move_when(txn, INDEX_SPACE_CHANGED, account, seq, from->changed_ms, to.changed_ms);
    move_when(txn, INDEX_SPACE_ACCESSED, account, seq, from->accessed_day, to.accessed_day);
    move_due_rows(txn, account, from, &to);
    move_here(txn, account, seq, from->is_primary_here, to.is_primary_here);
    put_secret_row(&sink, account, seq, &to, &txn->record);
}

void index_put_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                      const struct index_secret *former) {
    if (former != NULL) {
        update_secret(txn, account, secret, former);
    } else {
        insert_secret(txn, account, secret);
    }
}

void index_delete_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret) {
    static const struct index_secret nothing;
    uint64_t seq = secret->created_seq;
    struct index_secret row;
    struct index_secret gone;
    struct key key;
    bool found;

    CHECK(index_find(&txn->view, account, seq, &row, &found) == OK);
    if (!found) {
        return;
    }
    gone = nothing;
    memcpy(gone.name, row.name, sizeof(gone.name));
    make_terms(&txn->before, account, secret);
    for (size_t i = 0; i < txn->before.n; i++) {
        drop_term(txn, &txn->before, i);
    }
    CHECK(index_key_when(&key, INDEX_SPACE_CHANGED, account, row.changed_ms, seq));
    txn_drop_single(txn, &key);
    CHECK(index_key_when(&key, INDEX_SPACE_ACCESSED, account, row.accessed_day, seq));
    txn_drop_single(txn, &key);
    move_due_rows(txn, account, &row, &gone);
    move_here(txn, account, seq, row.is_primary_here, false);
    CHECK(index_key_name(&key, account, row.name));
    txn_drop(txn, &key);
    CHECK(index_key_secret(&key, account, seq));
    txn_drop(txn, &key);
    add_to_count(txn, account, false);
}

void index_links_changed(struct txn *txn, const char *account, const char *name) {
    const struct index_sink sink = txn_sink(txn);
    struct index_secret row;
    struct key key;
    bool found;
    bool has;
    bool was_here;
    uint64_t seq;
    Redoubt__Secret *secret;

    CHECK(index_key_name(&key, account, name));
    seq = read_u64(txn, &key, &found);
    if (found) {
        CHECK(index_find(&txn->view, account, seq, &row, &found) == OK);
    }
    has = has_links(txn, account, name);
    if (!found || row.has_links == has) {
        return;
    }
    secret = stored_secret(txn, account, name);
    CHECK(secret != NULL);
    was_here = row.is_primary_here;
    index_secret_set_links(&row, has, secret->replica_of != NULL);
    redoubt__secret__free_unpacked(secret, NULL);
    move_here(txn, account, seq, was_here, row.is_primary_here);
    put_secret_row(&sink, account, seq, &row, &txn->record);
}
