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
#include "storage/log_store.h"
#include "storage/witness.h"

enum family { FAMILY_DEFAULT, FAMILY_LOG, FAMILY_META, FAMILY_STATE, FAMILY_INDEX, FAMILY_COUNT };

enum engine_use {
    ENGINE_LIVE,    /* a node's: engine_open */
    ENGINE_PREPARE, /* a folder that is made ready for a node: no table is rewritten behind our back
                     */
    ENGINE_READ,    /* nothing of the database is written */
};

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
    enum engine_use use;
    struct witness witness;
    uint64_t commits; /* of log batches; the log writer's */
    struct log_span log;
    atomic_long views; /* open views and transactions: none may outlive the engine */
};

/* OK for NULL; otherwise ERR_CORRUPT or ERR_IO, with what RocksDB says behind `doing`. Takes
 * `message`. */
enum errc rocks_result(char *message, const char *doing, struct err *err);

/* A database that is there and that nobody else has open, for one of the last two uses. The index
 * is not looked at; a witness is heeded when there is one, and never made. Little memory. Errors as
 * of engine_open. Returns owned (engine_close). */
MUSTCHECK enum errc engine_open_apart(const char *path, enum engine_use use, struct engine **ret,
                                      struct err *err);

/* The options of one family (the default family's carry the database's). Returns owned. `cache` is
 * shared by all. */
rocksdb_options_t *engine_family_options(enum family family, rocksdb_cache_t *cache);

/* A family's data are gone, at once; the family is there, empty. Nobody else may use it meanwhile.
 */
MUSTCHECK enum errc engine_empty_family(struct engine *engine, enum family family, struct err *err);
MUSTCHECK enum errc engine_family_is_empty(struct engine *engine, enum family family, bool *ret,
                                           struct err *err);

/* The state's applied index as of now. */
MUSTCHECK enum errc engine_applied(struct engine *engine, uint64_t *ret, struct err *err);

/* Part of opening (log_store.c): where the log stands, and that nothing that was synced is missing.
 */
MUSTCHECK enum errc log_store_open(struct engine *engine, struct err *err);

/* What a log says without its entries; zero where it says nothing. */
struct log_standing {
    uint64_t term;
    uint64_t voted_for;
    uint64_t snapshot_index;
};
MUSTCHECK enum errc log_store_standing(struct engine *engine, struct log_standing *ret,
                                       struct err *err);
/* The log of a store that another node filled becomes this node's: no entries, this term and vote,
 * and the snapshot that stands for what is gone. Synced. */
MUSTCHECK enum errc log_store_adopt(struct engine *engine, uint64_t term, uint64_t voted_for,
                                    const struct log_snapshot *snapshot, struct err *err);

#endif
