/* The disk of one simulated node: the real store of storage/ in RocksDB's memory environment, with
 * a memory of what a loss of power would leave.
 *
 * RocksDB's memory environment cannot forget what was not synced. What it would have to forget is
 * known, though: with one write-ahead log for everything, a crash leaves a prefix of the writes, at
 * least all up to the last sync, and a record that is torn does not match its checksum and ends the
 * prefix. So every write batch that the store hands to RocksDB is also noted here, in order (the
 * program is linked with --wrap for the few functions of RocksDB's C interface that write); a crash
 * throws the database away and a start makes a new one from what the former had at its start and
 * the batches that survive, and then opens that as production opens a folder: recovery of the
 * write-ahead log, format record, index, the log's span. Not modelled: damage of what was synced
 * (tests/unit/storage_crash.c does that on files) and compaction (nothing here ever fills a
 * buffer). One thread. */
#ifndef TESTS_SIM_REGION_DISK_H
#define TESTS_SIM_REGION_DISK_H

#include "base/errc.h"
#include "storage/engine.h"
#include "storage/log_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of a store as one write batch. */
struct disk_image {
    uint8_t *data; /* owned; NULL: an empty one */
    size_t len;
};
void disk_image_fini(struct disk_image *image);

struct disk;

/* Returns owned. Nothing is on it. */
struct disk *disk_new(void);
void disk_free(struct disk *disk);

/* Opens the store; borrowed until a crash or an install. */
struct engine *disk_start(struct disk *disk);
/* Writes so far, and up to where a sync was asked for. */
uint64_t disk_written(const struct disk *disk);
uint64_t disk_flushed(const struct disk *disk);
/* The sync that was asked for up to there is over. */
void disk_synced(struct disk *disk, uint64_t up_to);
uint64_t disk_durable(const struct disk *disk);
/* Closes the store. Of what was written since the start, `survives` writes do: at least
 * disk_durable. Views, transactions and batches must be gone. */
void disk_crash(struct disk *disk, uint64_t survives);

/* All that the store holds now, synced or not, as a checkpoint takes it. */
struct disk_image disk_checkpoint(struct disk *disk);
/* Closes the store and puts another node's checkpoint in its place, as storage/checkpoint does: an
 * empty log, this node's term and vote, the snapshot's metadata; synced. disk_start opens it. */
void disk_install(struct disk *disk, const struct disk_image *image, uint64_t term,
                  uint64_t voted_for, const struct log_snapshot *snapshot);

#endif
