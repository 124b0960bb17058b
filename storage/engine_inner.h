/* What the files of this folder share: the open database and the door to RocksDB's errors.
 *
 * Not for other folders: this header brings RocksDB's own with it. */
#ifndef STORAGE_ENGINE_INNER_H
#define STORAGE_ENGINE_INNER_H

#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/engine.h"
#include "storage/witness.h"

enum family { FAMILY_DEFAULT, FAMILY_LOG, FAMILY_META, FAMILY_STATE, FAMILY_INDEX, FAMILY_COUNT };

/* The stretch of log entries once every batch that was built is committed. It belongs to the thread
 * that builds the batches. */
struct log_span {
    bool is_empty;
    uint64_t first;
    uint64_t last;
};

struct engine {
    rocksdb_t *db;
    rocksdb_env_t *env; /* of an in-memory database, else NULL */
    rocksdb_cache_t *cache;
    rocksdb_column_family_handle_t *families[FAMILY_COUNT];
    rocksdb_readoptions_t *read;   /* the latest state */
    rocksdb_writeoptions_t *write; /* into the write-ahead log, without sync */
    struct witness witness;
    uint64_t commits; /* of log batches; the log writer's */
    struct log_span log;
    atomic_long views; /* open views and transactions: none may outlive the engine */
};

/* OK for NULL; otherwise ERR_CORRUPT or ERR_IO, with what RocksDB says behind `doing`. Takes
 * `message`. */
enum errc rocks_result(char *message, const char *doing, struct err *err);

/* The options of one family (the default family's carry the database's). Returns owned. `cache` is
 * shared by all. */
rocksdb_options_t *engine_family_options(enum family family, rocksdb_cache_t *cache);

/* A family's data are gone, at once; the family is there, empty. Nobody else may use it meanwhile.
 */
MUSTCHECK enum errc engine_empty_family(struct engine *engine, enum family family, struct err *err);
MUSTCHECK enum errc engine_family_is_empty(struct engine *engine, enum family family, bool *ret,
                                           struct err *err);

/* Part of opening (log_store.c): where the log stands, and that nothing that was synced is missing.
 */
MUSTCHECK enum errc log_store_open(struct engine *engine, struct err *err);

#endif
