/* The one RocksDB database of a node: column families, options, opening and closing.
 *
 * Families: `default` (format record), `log` (Raft entries), `meta` (term, vote, snapshot
 * metadata), `state` (the state machine), `index` (derived from the state, for lists). One
 * write-ahead log for all of them: an unsynced state write becomes durable with the next synced log
 * write. Any thread. */
#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include "base/errc.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct engine_options {
    const char *path;     /* folder, made with 0700 when missing */
    bool in_memory;       /* RocksDB's memory environment: tests and the simulation */
    uint64_t cache_bytes; /* 0: a default */
    /* Called before the index is built anew, which takes minutes for hundreds of thousands of
       secrets (the first start of a new release); may be NULL. */
    void (*on_index_build)(void *arg);
    void *on_index_build_arg;
};

/* Returns owned. ERR_LEVEL: written by a newer release (read version too high); ERR_CORRUPT,
 * ERR_IO. */
MUSTCHECK enum errc engine_open(const struct engine_options *options, struct engine **ret,
                                struct err *err);
/* Flushes nothing that is not already durable in the write-ahead log. Takes NULL too. */
void engine_close(struct engine *engine);
/* An on-disk copy by hard links at `path`, which must not exist. Consistent across families. Slow:
 * not on the Raft thread. */
MUSTCHECK enum errc engine_checkpoint(struct engine *engine, const char *path, struct err *err);

/* How the store is doing; all bytes over all families. */
struct engine_metrics {
    bool is_stopped;        /* takes no writes until it has compacted */
    uint64_t delayed_rate;  /* bytes a second that writes are slowed down to; 0: they are not */
    uint64_t pending_bytes; /* that compactions have yet to rewrite, estimated */
    uint64_t compactions;   /* that run */
    uint64_t flushes;
    uint64_t level0_files; /* of the family that has most */
    uint64_t live_bytes;   /* tables of the present state */
    uint64_t table_bytes;  /* all tables on disk */
    uint64_t memtable_bytes;
    uint64_t cache_bytes; /* blocks in memory */
    uint64_t reader_bytes;
    uint64_t errors; /* of flushes and compactions, since it was opened */
    uint64_t views;
};
/* Some 20 us, more with many tables. Any thread. */
void engine_metrics(const struct engine *engine, struct engine_metrics *ret);

#endif
