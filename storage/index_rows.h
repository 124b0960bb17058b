/* What the index says about one secret: pure functions from the record to rows.
 *
 * Same record and same links, same rows: that is what makes an index that was kept in step and one
 * that was built anew equal, byte by byte. Any thread. */
#ifndef STORAGE_INDEX_ROWS_H
#define STORAGE_INDEX_ROWS_H

#include "base/buf.h"
#include "storage/index_keys.h"
#include "storage/record.pb-c.h"

enum { INDEX_DIGEST = 16 };

/* The row of a secret: what a change must know of the state before it, and what a list needs
 * without reading the record. On disk:
 *
 *   0 u8 flags   1 i64 changed   9 i64 day   17 i64 purge   25 i64 prune   33 digest   49 name */
struct index_secret {
    int64_t changed_ms;
    int64_t accessed_day; /* INT64_MIN: never */
    bool has_purge;
    int64_t purge_ms;
    bool has_prune;
    int64_t prune_ms;
    bool has_links;
    bool is_primary_here; /* has links and is no replica: names this region as its primary */
    uint8_t digest[INDEX_DIGEST]; /* over all that terms are made of */
    char name[LIMIT_NAME + 1];
};

/* Borrows nothing. */
void index_secret_of(const Redoubt__Secret *secret, bool has_links, struct index_secret *ret);
void index_secret_set_links(struct index_secret *row, bool has_links, bool is_replica);
/* Appends to `out` (look at out->failed). */
void index_secret_encode(const struct index_secret *row, struct buf *out);
MUSTCHECK bool index_secret_decode(const uint8_t *data, size_t len, struct index_secret *ret);

/* Rows of the terms, in order of their keys. A value holds what the secret's texts that share the
 * gram go on with up to the next longer gram: (u8 length, bytes) each, in order, none twice. */
struct index_row {
    size_t at; /* in `bytes`: the key, the value behind it */
    size_t key_len;
    size_t value_len;
};
struct index_rows {
    struct buf bytes;
    struct index_row *items; /* owned */
    size_t n;
    size_t room;
    bool failed; /* no memory: the rows are of no use */
};

void index_rows_init(struct index_rows *rows);
void index_rows_fini(struct index_rows *rows);
/* The terms of a secret; what `rows` held before is forgotten. */
void index_rows_make(struct index_rows *rows, const char *account, const Redoubt__Secret *secret);

/* Does one of the texts behind this row go on with `rest`, of at most gram_rest bytes? */
bool index_rest_matches(const uint8_t *value, size_t len, const char *rest, size_t rest_len);

#endif
