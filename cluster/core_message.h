/* The messages between the nodes of a group, as bytes.
 *
 * Every message starts with the format's version and its type. Decoding accepts exactly what
 * encoding can produce: bounds, ranges, flags and the relations between terms and indexes are
 * checked here, because libraft only asserts them. The sender is the one that the connection's
 * certificate names, never one that the bytes name. Pure.
 *
 *   0 u8 format (1)  1 u8 type  2 u8 libraft's version of the message  3 u8 flags; then, little
 *   endian:
 *   REQUEST_VOTE           u64 term, candidate, last index, last term; flags: disrupt, pre-vote
 *   REQUEST_VOTE_RESULT    u64 term, u16 features, u16 capacity; flags: granted, pre-vote
 *   APPEND_ENTRIES         u64 term, previous index, previous term, commit, u32 count, entries:
 *                          u64 term, u8 type, u32 length, data
 *   APPEND_ENTRIES_RESULT  u64 term, rejected, last index, u16 features, u16 capacity
 *   INSTALL_SNAPSHOT       u64 term, last index, last term, configuration index,
 *                          u32 length, configuration, u32 length, manifest
 *   TIMEOUT_NOW            u64 term, last index, last term
 *
 *   capacity: 0 (all that former releases say), or CORE_CAPACITY_NONE of a node without room
 *
 * and ours for reads (core_read.c), which libraft does not see; their byte 2 is 0:
 *   PING (7)               u64 term, number of the round: are you still in my term?
 *   PONG (8)               u64 term, number: I am
 *   READ_ASK (9)           u64 term, id: up to where must I have applied?
 *   READ_INDEX (10)        u64 term, id, index: up to here */
#ifndef CLUSTER_CORE_MESSAGE_H
#define CLUSTER_CORE_MESSAGE_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"
#include "cluster/core.h"
#include "cluster/core_configuration.h"
#include "cluster/core_log.h"

enum {
    CORE_MESSAGE_FORMAT = 1,
    CORE_CAPACITY_NONE = 1, /* on the wire: for ever. libraft carries it and looks at it only with
                               a threshold */
    /* One entry at its largest (a full group of commands and then the largest command), or
     * LIMIT_APPEND_BYTES of small ones with their headers. */
    CORE_MESSAGE_MAX = LIMIT_COMMAND + 8 * LIMIT_ENTRY_BYTES,
};

/* On the wire: for ever. Below are libraft's own, enum raft_message_type. */
enum core_read_type { CORE_PING = 7, CORE_PONG = 8, CORE_READ_ASK = 9, CORE_READ_INDEX = 10 };

struct core_read_message {
    enum core_read_type type;
    uint64_t term;
    uint64_t number; /* the leader's, of a round; or the asker's, of an ask. Never 0 */
    uint64_t index;  /* READ_INDEX */
};

/* A decoded message; everything is borrowed from the bytes. */
struct core_message {
    bool is_read; /* `read` is it, nothing else; else the rest */
    struct core_read_message read;
    struct raft_message raft;        /* without entries, conf and data */
    struct core_bytes entries;       /* APPEND_ENTRIES: n_entries of them, encoded and checked */
    struct core_bytes configuration; /* INSTALL_SNAPSHOT: checked */
    struct core_bytes manifest;      /* INSTALL_SNAPSHOT */
};

/* What an outgoing message takes from the sender besides libraft's own fields. */
struct core_message_source {
    uint64_t current_term;
    uint64_t persisted;  /* index up to which our log is on our disk */
    size_t append_bytes; /* of entries in one message; one entry may be larger. 0: as many as may be
                          */
    const struct core_log *log;
    const struct core_snapshot *snapshot;
};

/* ERR_MALFORMED: not a message that `peer` may send. */
MUSTCHECK enum errc core_message_decode(struct core_bytes bytes, uint64_t peer,
                                        struct core_message *ret);
/* Borrows. *ret is owned by the caller (wipe_free). ERR_NO_MEMORY. */
MUSTCHECK enum errc core_message_encode(const struct raft_message *message,
                                        const struct core_message_source *source, uint8_t **ret,
                                        size_t *ret_len);
/* *ret is owned by the caller (wipe_free). ERR_NO_MEMORY. */
MUSTCHECK enum errc core_message_encode_read(const struct core_read_message *message, uint8_t **ret,
                                             size_t *ret_len);
/* Take the next entry off `*entries`, which core_message_decode has checked. Its data is borrowed.
 */
struct core_entry core_message_next_entry(struct core_bytes *entries);

#endif
