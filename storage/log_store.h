/* The Raft log, the term and the vote, and the snapshot's metadata, on RocksDB.
 *
 * Writes are synced and come from one thread, the log writer, in order. Reads happen at start only.
 */
#ifndef STORAGE_LOG_STORE_H
#define STORAGE_LOG_STORE_H

#include "base/errc.h"
#include "storage/engine.h"

#include <stddef.h>
#include <stdint.h>

struct log_entry {
    uint64_t term;
    uint8_t type; /* enum core_entry_type, opaque here */
    const uint8_t *data;
    size_t len;
};

struct log_snapshot {
    uint64_t index; /* 0: none */
    uint64_t term;
    uint64_t configuration_index;
    const uint8_t *configuration;
    size_t configuration_len;
    const uint8_t *manifest;
    size_t manifest_len;
};

/* How a store got its beginning, when it was given one: never two. On disk: for ever. */
enum log_origin {
    LOG_ORIGIN_NONE = 0,  /* an empty store, or one of before this was kept */
    LOG_ORIGIN_FIRST = 1, /* a first member of a new group */
    LOG_ORIGIN_JOIN = 2,  /* empty until a leader sends the log */
    LOG_ORIGIN_ALONE = 3, /* it was made the only voter of what was left of its group */
};

/* A batch of changes that becomes durable at once. Batches may overlap in time: one is built while
 * the one before is committed by another thread. They are built by one thread, one after another,
 * and committed in the order in which they were built; one with content is dropped only when no
 * later one has any. */
struct log_batch;
struct log_batch *log_batch_new(struct engine *engine);
void log_batch_free(struct log_batch *batch);
void log_batch_vote(struct log_batch *batch, uint64_t term, uint64_t voted_for);
void log_batch_origin(struct log_batch *batch, enum log_origin origin);
/* Delete everything from `first` on, then store the entries there. Borrows (copied). */
void log_batch_append(struct log_batch *batch, uint64_t first, const struct log_entry *entries,
                      size_t n);
/* The snapshot's metadata, and the deletion of every entry before `keep_from`. */
void log_batch_snapshot(struct log_batch *batch, const struct log_snapshot *snapshot,
                        uint64_t keep_from);
/* Writes with sync; the batch is empty afterwards and can be used again. An error means the process
 * must stop (invariant 1). */
MUSTCHECK enum errc log_batch_commit(struct log_batch *batch, struct err *err);

/* Everything at start. Returned memory is owned by *ret; log_image_free. Each entry carries a
 * checksum that is verified here: ERR_CORRUPT names the index. */
struct log_image {
    uint64_t term;
    uint64_t voted_for;
    struct log_snapshot snapshot;
    uint64_t first_index;
    struct log_entry *entries;
    size_t n_entries;
};
MUSTCHECK enum errc log_store_load(struct engine *engine, struct log_image **ret, struct err *err);
void log_image_free(struct log_image *image);
/* The row of log_batch_origin, without reading the log. A number of a later release comes back as
 * it is. */
MUSTCHECK enum errc log_store_origin(struct engine *engine, enum log_origin *ret, struct err *err);
/* Term and vote alone; 0 and 0 on a store without a life. */
MUSTCHECK enum errc log_store_vote(struct engine *engine, uint64_t *ret_term,
                                   uint64_t *ret_voted_for, struct err *err);

#endif
