/* What the files behind view.h and txn.h share: a view's parts, one read, one bounded scan.
 *
 * Not for other folders. */
#ifndef STORAGE_VIEW_INNER_H
#define STORAGE_VIEW_INNER_H

#include "storage/engine_inner.h"
#include "storage/keys.h"
#include "storage/records.h"
#include "storage/view.h"

struct record_cache;

struct view {
    struct engine *engine;
    const rocksdb_snapshot_t *snapshot; /* NULL over a transaction: nobody else writes the state */
    rocksdb_readoptions_t *options;
    rocksdb_writebatch_wi_t *batch; /* the transaction's changes; NULL over the database */
    struct record_cache *known;     /* the transaction's, as batch */
};

/* Apply must not fail, and what is wrong with the store will be wrong at the next try too. */
__attribute__((noreturn, cold)) void storage_die(const char *doing, enum errc code,
                                                 const char *detail);

/* The bytes behind a key, as long as they are held; over a transaction nothing is put meanwhile. */
struct held {
    const uint8_t *data; /* NULL: there is nothing */
    size_t len;
    rocksdb_pinnableslice_t *pin;
    char *copy;
};

MUSTCHECK enum errc view_hold(const struct view *view, enum family family, const struct key *key,
                              struct held *ret);
void view_release(struct held *held);

/* A record of the state, of the kind, *ret NULL where there is none. */
MUSTCHECK enum errc view_record(const struct view *view, const struct key *key,
                                enum record_kind kind, ProtobufCMessage **ret);
/* What a getter says: over a transaction a failure does not come back. The first takes RocksDB's
 * message. */
enum errc view_failed(const struct view *view, char *message);
enum errc view_outcome(const struct view *view, enum errc code, const char *doing);

/* The keys that begin with a prefix, in order or from behind. Lives on the stack of the scanning
 * function, or in memory that stays: its own holds the bound that RocksDB borrows, so it must not
 * move. */
struct scan {
    const struct view *view;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *it;
    bool descending;
    struct key prefix;
    struct key end;
};

/* From the first key of the state at or behind `from` (NULL: the prefix itself). */
void scan_begin(struct scan *scan, const struct view *view, const struct key *prefix,
                const struct key *from);
/* The same over any family and in both directions: descending, from the last key at or before
 * `from` (NULL: from the last one). */
void scan_begin_in(struct scan *scan, const struct view *view, enum family family,
                   const struct key *prefix, const struct key *from, bool descending);
/* Borrowed until the next step. False at the end, and on an error that scan_end returns. */
MUSTCHECK bool scan_get(struct scan *scan, const uint8_t **ret_key, size_t *ret_key_len);
const uint8_t *scan_value(struct scan *scan, size_t *ret_len);
void scan_next(struct scan *scan);
void scan_seek(struct scan *scan, const struct key *to);
MUSTCHECK enum errc scan_end(struct scan *scan);
/* Is there a key of the state that begins with the prefix? */
MUSTCHECK enum errc scan_any(const struct view *view, const struct key *prefix, bool *ret);

#endif
