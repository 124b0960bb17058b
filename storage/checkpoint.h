/* Checkpoints of a node's store: made, described, checked, and turned into the store of another
 * node.
 *
 * A checkpoint is a folder of hard links to RocksDB's files, which never change. Its manifest names
 * every file with size and SHA-256 and is what travels in Raft's InstallSnapshot; the files travel
 * by the side. Not on the Raft thread: all of this reads or writes whole files, in constant memory.
 *
 * Folders below a node's data folder (names are fixed here, one place):
 *   store/                the live database
 *   checkpoints/ID/       made here, for others to fetch; ID is 16 hex digits of random
 *   incoming/ID/          being fetched; files are whole when their name has no ".part"
 *   incoming/ready        a store that is complete and waits for the switch
 *   incoming/aside        one that was, half removed
 *   replaced/             the store of before a switch, until it is removed */
#ifndef STORAGE_CHECKPOINT_H
#define STORAGE_CHECKPOINT_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/limits.h"
#include "base/world.h"
#include "storage/engine.h"
#include "storage/log_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHECKPOINT_ID = 17,       /* with the zero */
    CHECKPOINT_FILE = 64,     /* a file's name, with the zero */
    CHECKPOINT_FILES = 16384, /* names of a manifest stay within LIMIT_MANIFEST */
    CHECKPOINT_DIGEST = 32,
};

struct checkpoint_file {
    char name[CHECKPOINT_FILE];
    uint64_t size;
    uint8_t digest[CHECKPOINT_DIGEST]; /* SHA-256 */
};

struct checkpoint_manifest {
    char id[CHECKPOINT_ID];
    uint64_t node;                 /* that holds it */
    uint64_t applied;              /* the state's applied index in it */
    size_t n_files;                /* never 0 */
    struct checkpoint_file *files; /* owned; in order of name (strcmp) */
};

/* Makes checkpoints/ID with all that `engine` holds now but the entries of the log, reads its
 * applied index and every file's digest (of tables that the last checkpoint had too: remembers it).
 * Writing goes on meanwhile. Older checkpoints stay; nothing is left of one that failed. An engine
 * in memory has none. Returns owned (checkpoint_manifest_free). */
MUSTCHECK enum errc checkpoint_make(struct engine *engine, const char *data,
                                    const struct world *world, uint64_t node,
                                    struct checkpoint_manifest **ret, struct err *err);
void checkpoint_manifest_free(struct checkpoint_manifest *manifest);
/* Removes checkpoints/ID, or all but `except` when id is NULL (except may be NULL), also one that
 * is being made. */
MUSTCHECK enum errc checkpoint_remove(const char *data, const char *id, const char *except,
                                      struct err *err);

/* Bytes for InstallSnapshot, versioned, with a checksum; decoding checks everything (names are
 * plain file names, no two equal, bounds). ERR_MALFORMED, ERR_NO_MEMORY, ERR_INVALID_PARAMETER when
 * over LIMIT_MANIFEST. */
MUSTCHECK enum errc checkpoint_manifest_encode(const struct checkpoint_manifest *manifest,
                                               struct buf *out);
MUSTCHECK enum errc checkpoint_manifest_decode(const uint8_t *data, size_t len,
                                               struct checkpoint_manifest **ret);

/* Serving: up to `len` bytes (at most LIMIT_SNAPSHOT_CHUNK) of a file of checkpoints/ID from
 * `offset` on, appended to `out`; fewer at the end of the file. ERR_RESOURCE_NOT_FOUND: no such
 * checkpoint or file; ERR_INVALID_PARAMETER: names or numbers that none can have. Any thread. */
MUSTCHECK enum errc checkpoint_read(const char *data, const char *id, const char *file,
                                    uint64_t offset, size_t len, struct buf *out, struct err *err);
/* When a file of a checkpoint was last read in this process, monotonic (world_system), 0: never.
 * A checkpoint stays for LIMIT_SNAPSHOT_HOLD_MS after that. Any thread. */
uint64_t checkpoint_read_ms(void);

/* What a node asks for: the body of POST /v1/snapshot. Answered with the bytes. */
struct checkpoint_request {
    char id[CHECKPOINT_ID];
    char file[CHECKPOINT_FILE];
    uint64_t offset;
    uint32_t len; /* 1 to LIMIT_SNAPSHOT_CHUNK */
};
/* Appends (look at out->failed). */
void checkpoint_request_encode(const struct checkpoint_request *request, struct buf *out);
MUSTCHECK enum errc checkpoint_request_decode(const uint8_t *data, size_t len,
                                              struct checkpoint_request *ret);

/* Receiving, in incoming/ID. What is there of an earlier attempt is kept when it fits the manifest
 * (whole files by size and digest, partial ones by length) and other attempts are removed.
 * ERR_DISK_FULL: what is missing does not fit. The manifest is one that was decoded; copied. */
struct incoming;
MUSTCHECK enum errc incoming_open(const char *data, const struct checkpoint_manifest *manifest,
                                  struct incoming **ret, struct err *err);
/* What to fetch next; false when all files are whole. *ret_file is borrowed. */
bool incoming_next(const struct incoming *incoming, const char **ret_file, uint64_t *ret_offset,
                   size_t *ret_len);
/* The bytes that were asked for, or the first of them. A file that is complete is synced and its
 * digest checked: ERR_CORRUPT throws it away, to be fetched again. After any other error only
 * incoming_close may follow. */
MUSTCHECK enum errc incoming_write(struct incoming *incoming, const uint8_t *data, size_t len,
                                   struct err *err);
uint64_t incoming_bytes(const struct incoming *incoming);
uint64_t incoming_bytes_total(const struct incoming *incoming);
void incoming_close(struct incoming *incoming);

/* All files are there: make it this node's store and leave it as incoming/ready. Empties the log,
 * writes term and vote and the snapshot's metadata, checks that its applied index is
 * snapshot->index (ERR_CORRUPT), syncs. The manifest is left out: what it names lies on another
 * node, and this one shall offer its own. On failure incoming_open looks again at what is there. */
MUSTCHECK enum errc incoming_finish(const char *data, const char *id, uint64_t term,
                                    uint64_t voted_for, const struct log_snapshot *snapshot,
                                    struct err *err);
/* With the engine closed: when incoming/ready exists it becomes store/ and the old one is removed.
 * A term and vote that the old store was given since then go with it. A ready that is damaged, or
 * that the old store's state has overtaken, is removed instead. Safe to be interrupted at any point
 * and called again; called at every start, before the engine is opened. *ret_switched. */
MUSTCHECK enum errc store_switch(const char *data, bool *ret_switched, struct err *err);
/* Removes all that was fetched, also a store that waits for its switch; a switch that was cut off
 * is ended with the old store if the new one is not in its place. For a node that gives up its
 * data. */
MUSTCHECK enum errc store_forget_fetched(const char *data, struct err *err);

#endif
