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

/* A batch of changes that becomes durable at once. Batches may overlap in time: one is built while
 * the one before is committed by another thread. They are built by one thread, one after another,
 * and committed in the order in which they were built; one with content is dropped only when no
 * later one has any. */
struct log_batch;
struct log_batch *log_batch_new(struct engine *engine);
void log_batch_free(struct log_batch *batch);
void log_batch_vote(struct log_batch *batch, uint64_t term, uint64_t voted_for);
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

#endif
