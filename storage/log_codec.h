/* The bytes of log entries and of the log's metadata, each with its checksum (FORMAT.md). Pure. */
#ifndef STORAGE_LOG_CODEC_H
#define STORAGE_LOG_CODEC_H

#include "base/buf.h"
#include "storage/log_store.h"

enum {
    LOG_ENTRY_HEAD = 16,
    LOG_KEY = 8,
    LOG_VOTE_SIZE = 24,
    LOG_COMMITS_SIZE = 16,
    LOG_ORIGIN_SIZE = 16
};

/* The head of a stored entry; its data follow as they are. */
void log_entry_head(uint64_t index, const struct log_entry *entry, uint8_t out[LOG_ENTRY_HEAD]);
/* Borrows from `data`. ERR_CORRUPT: the checksum, which covers the index, does not match;
 * ERR_LEVEL: a later version. */
MUSTCHECK enum errc log_entry_decode(uint64_t index, const uint8_t *data, size_t len,
                                     struct log_entry *ret);

void log_vote_encode(uint64_t term, uint64_t voted_for, uint8_t out[LOG_VOTE_SIZE]);
MUSTCHECK enum errc log_vote_decode(const uint8_t *data, size_t len, uint64_t *ret_term,
                                    uint64_t *ret_voted_for);

/* Appends (look at out->failed). */
void log_snapshot_encode(struct buf *out, const struct log_snapshot *snapshot);
/* Borrows from `data`. */
MUSTCHECK enum errc log_snapshot_decode(const uint8_t *data, size_t len, struct log_snapshot *ret);

void log_commits_encode(uint64_t commits, uint8_t out[LOG_COMMITS_SIZE]);
MUSTCHECK enum errc log_commits_decode(const uint8_t *data, size_t len, uint64_t *ret);

void log_origin_encode(uint64_t origin, uint8_t out[LOG_ORIGIN_SIZE]);
MUSTCHECK enum errc log_origin_decode(const uint8_t *data, size_t len, uint64_t *ret);

#endif
