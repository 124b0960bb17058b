/* The keys of the state family: hand-encoded, order-preserving, for ever (FORMAT.md).
 *
 * A builder returns false when a part does not fit its limit: nothing of that name can be stored.
 * Pure, any thread. */
#ifndef STORAGE_KEYS_H
#define STORAGE_KEYS_H

#include "base/check.h"
#include "base/limits.h"
#include "storage/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First byte of every key. A new layout gets a new letter; a letter is never used again. */
enum key_space {
    KEY_SPACE_ALIAS = 'a',   /* account alias */
    KEY_SPACE_GRAVE = 'g',   /* account name 0 suffix */
    KEY_SPACE_APPLIED = 'i', /* one */
    KEY_SPACE_KMS = 'k',     /* account key-id */
    KEY_SPACE_LINK = 'l',    /* account name 0 region */
    KEY_SPACE_ORDER = 'o',   /* account created-seq (u64, big endian) */
    KEY_SPACE_REGION = 'r',  /* one */
    KEY_SPACE_SECRET = 's',  /* account name */
    KEY_SPACE_TOKENS = 't',  /* one */
    KEY_SPACE_VALUE = 'v',   /* account name 0 version-id */
    KEY_SPACE_OUTBOX = 'x',  /* region 0 rank account name 0 suffix */
};

enum {
    /* The longest is an outbox key: 1 + region + 1 + 1 + account + name + 1 + suffix = 662. */
    KEY_MAX = 704
};

struct key {
    size_t len;
    uint8_t data[KEY_MAX];
};

MUSTCHECK bool key_secret(struct key *out, const char *account, const char *name);
MUSTCHECK bool key_order(struct key *out, const char *account, uint64_t created_seq);
MUSTCHECK bool key_value(struct key *out, const char *account, const char *name,
                         const char *version_id);
MUSTCHECK bool key_link(struct key *out, const char *account, const char *name, const char *region);
MUSTCHECK bool key_grave(struct key *out, const char *account, const char *name,
                         const char *suffix);
MUSTCHECK bool key_kms(struct key *out, const char *account, const char *key_id);
MUSTCHECK bool key_alias(struct key *out, const char *account, const char *alias);
MUSTCHECK bool key_outbox(struct key *out, const char *region, Redoubt__OutboxKind kind,
                          const char *account, const char *name, const char *suffix);
void key_region(struct key *out);
void key_join_tokens(struct key *out);
void key_applied(struct key *out);

/* What all keys of one kind and owner begin with. */
MUSTCHECK bool key_order_prefix(struct key *out, const char *account);
MUSTCHECK bool key_value_prefix(struct key *out, const char *account, const char *name);
MUSTCHECK bool key_link_prefix(struct key *out, const char *account, const char *name);
MUSTCHECK bool key_outbox_prefix(struct key *out, const char *region);
MUSTCHECK bool key_outbox_name_prefix(struct key *out, const char *region, Redoubt__OutboxKind kind,
                                      const char *account, const char *name);
void key_outbox_space(struct key *out);
/* The first key behind all that begin with `prefix`. */
void key_prefix_end(struct key *out, const struct key *prefix);
/* The first key behind all of this region's outbox. */
MUSTCHECK bool key_outbox_behind_region(struct key *out, const char *region);

/* The kinds in the order in which a region's entries are read: tombstones first. */
enum { KEY_OUTBOX_KINDS = 3 };
extern const Redoubt__OutboxKind key_outbox_order[KEY_OUTBOX_KINDS];

/* The other way. False for bytes that none of the builders makes. `region` has room for
 * LIMIT_REGION_NAME + 1 bytes. */
MUSTCHECK bool key_parse_outbox(const uint8_t *data, size_t len, char *region,
                                struct outbox_key *ret);
MUSTCHECK bool key_parse_order(const uint8_t *data, size_t len, uint64_t *ret_seq);

#endif
