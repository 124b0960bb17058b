/* One batch to another region: built from one picture of the state, and what is to be recorded when
 * its answer has come.
 *
 * Depends on the view, the keys and its arguments alone; no clock, no network, no thread: the
 * shipper and the tests run the same code. Values are opened here and leave in the batch's body
 * only. */
#ifndef REPLICATION_OUTGOING_H
#define REPLICATION_OUTGOING_H

#include "base/buf.h"
#include "base/errc.h"
#include "cluster/command.pb-c.h"
#include "crypto/keyring.h"
#include "storage/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One outbox entry on its way. */
struct outgoing_item {
    struct outbox_key key;
    uint64_t generation;
    uint64_t revision; /* of the state sent; 0 for a tombstone or a notice */
    /* The peer's verdict, or ours. */
    uint32_t verdict; /* Redoubt__Verdict; 0: none yet */
    uint64_t have_generation;
    uint64_t have_revision;
    int64_t last_accessed_day;
    bool has_last_accessed_day;
    /* For the owner of the batch. */
    struct outgoing_item *next;
    bool again;
};

struct outgoing_list {
    struct outgoing_item *items; /* owned */
    size_t n;
};

/* Where a scan of a region's outbox stands. All zero: before the first entry. */
struct outgoing_cursor {
    struct outbox_key key; /* the last entry looked at */
    bool is_set;
};

struct outgoing_request {
    const char *region;      /* own */
    const char *to;          /* the peer */
    bool to_is_known;        /* false: upserts get VERDICT_UNKNOWN_REGION, nothing is sent */
    const struct view *view; /* all borrowed during the call */
    struct keyring *keyring;
    /* Entries that are on their way already. May be NULL. */
    bool (*skip)(void *arg, const struct outbox_key *key);
    void *arg;
    size_t items_max;  /* 0: LIMIT_BATCH_ITEMS */
    size_t bytes_soft; /* 0: LIMIT_BATCH_BYTES */
    size_t bytes_max;  /* 0: LIMIT_PEER_BODY */
};

struct outgoing {
    struct buf body;              /* an encoded WireBatch of `sent`, in order; empty when none */
    struct outgoing_list sent;    /* wait for the peer's verdicts */
    struct outgoing_list decided; /* not sent: the verdict is in the item */
    bool is_exhausted;            /* nothing lies behind the cursor */
};

/* Continue the scan at `cursor` and move it. Entries whose link is gone or another's are passed
 * over: the command that did it cleans up. *ret is owned: outgoing_fini. On an error (storage,
 * memory, sealed) cursor and *ret are as before. */
MUSTCHECK enum errc outgoing_build(const struct outgoing_request *request,
                                   struct outgoing_cursor *cursor, struct outgoing *ret,
                                   struct err *err);
void outgoing_fini(struct outgoing *outgoing);
void outgoing_list_fini(struct outgoing_list *list);

/* Put the peer's answer (an encoded WireVerdicts) into the items. ERR_MALFORMED: it is none, not
 * `to`'s, or does not match the items; nothing is changed. */
MUSTCHECK enum errc outgoing_take_answer(struct outgoing_list *list, const char *to,
                                         const uint8_t *data, size_t len, struct err *err);

/* The command that records the verdicts of all items. Returns owned
 * (redoubt__outcome_batch__free_unpacked with NULL); NULL without memory. */
Redoubt__OutcomeBatch *outgoing_outcome(const struct outgoing_list *list, const char *to,
                                        int64_t now_ms);

#endif
