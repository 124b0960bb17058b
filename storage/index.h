/* The index family: what makes lists, counts and due work cost what they find, not what there is.
 *
 * It is derived from the state, local to the node, and no part of the state hash; it changes in the
 * same write as the state, and is built anew where it is missing, of another format, or was not
 * finished. What its rows are, FORMAT.md says. Not for other folders. */
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include "storage/engine_inner.h"
#include "storage/index_rows.h"
#include "storage/view_inner.h"

struct txn;

/* Of the rows and of what they are made from: keys, values, grams, the words of model/words.h, due
 * times. Any change of one of them is a new number. */
enum { INDEX_FORMAT = 1 };

/* Part of opening, the last: the index is there and of this format afterwards. Calls `on_build`
 * (may be NULL) before it begins to build one. */
MUSTCHECK enum errc index_open(struct engine *engine, void (*on_build)(void *arg), void *arg,
                               struct err *err);

/* Where rows go: into a transaction, or (while building) into a plain batch. */
struct index_sink {
    rocksdb_writebatch_wi_t *batch;
    struct record_cache *known;
    struct buf *terms;
    rocksdb_writebatch_t *plain;
    rocksdb_column_family_handle_t *family;
};
void index_put(const struct index_sink *sink, const struct key *key, const void *value, size_t len);

/* The rows of an account's secret that has none yet, its terms given; not the account's count. */
void index_add(const struct index_sink *sink, const char *account, uint64_t seq,
               const struct index_secret *row, const struct index_rows *terms, struct buf *scratch);

/* The row of a secret. *ret_found false: there is none. */
MUSTCHECK enum errc index_find(const struct view *view, const char *account, uint64_t seq,
                               struct index_secret *ret, bool *ret_found);

/* --- For transactions; all abort on a failure of the store. -------------------------------------
 */

/* Before the state's own change. `former` is the row that index_find found; NULL: the number is
 * new, and nothing else has the name. */
void index_put_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                      const struct index_secret *former);
/* Before the state's own change: `secret` is what the state holds. */
void index_delete_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret);
/* Behind the change: the secret of this name, if there is one, may have got its first link, or lost
 * its last. */
void index_links_changed(struct txn *txn, const char *account, const char *name);

/* A new secret has a hundred rows of terms and more. They are not in the transaction's batch, whose
 * own index would double what they cost; so a view over a transaction does not see them. This
 * appends them to what is about to be written, and forgets them. */
void index_flush_terms(struct txn *txn, rocksdb_writebatch_t *batch);

#endif
