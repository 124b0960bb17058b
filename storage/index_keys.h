/* The keys of the index family: hand-encoded, order-preserving (FORMAT.md, The index).
 *
 * Another layout is another INDEX_FORMAT, and every node builds its index anew. Numbers in keys are
 * big endian; times have their sign bit flipped, so that bytes order as numbers do. A builder
 * returns false for an account or a name that nothing can be stored under. Pure, any thread. */
#ifndef STORAGE_INDEX_KEYS_H
#define STORAGE_INDEX_KEYS_H

#include "storage/keys.h"

enum index_space {
    INDEX_SPACE_ACCESSED = 'a', /* account day seq */
    INDEX_SPACE_COUNT = 'c',    /* account */
    INDEX_SPACE_DUE = 'd',      /* due-ms kind account name */
    INDEX_SPACE_FORMAT = 'f',   /* one */
    INDEX_SPACE_CHANGED = 'h',  /* account changed-ms seq */
    INDEX_SPACE_NAME = 'n',     /* account name */
    INDEX_SPACE_SECRET = 's',   /* account seq */
    INDEX_SPACE_TERM = 't',     /* account field gram 0 seq */
};

/* What a gram is the beginning of. */
enum index_field {
    INDEX_FIELD_NAME = 1,
    INDEX_FIELD_TAG_KEY = 2,
    INDEX_FIELD_TAG_VALUE = 3,
    INDEX_FIELD_WORD = 4,
    INDEX_FIELD_PRIMARY_REGION = 5,
    INDEX_FIELD_PRIMARY_HERE = 6, /* without gram: a primary with links */
};

/* Grams: a text is found by its beginnings of these lengths: every one up to 16 (of words: 1, and
 * every second), every fourth up to 64, every sixteenth up to 512. What lies between is told apart
 * by the rows' values, at the cost of stepping over rows; words, of which there are many and short
 * ones, would be half of all rows more. */
enum { GRAM_DENSE = 16, GRAM_MIDDLE = 64, GRAM_MAX = 512 };

static inline size_t gram_next(enum index_field field, size_t len) {
    if (len < GRAM_DENSE) {
        return field != INDEX_FIELD_WORD || len < 2 ? len + 1 : len + 2;
    }
    return len < GRAM_MIDDLE ? len + 4 : len + 16;
}
/* The longest gram of a text of `len` bytes. */
static inline size_t gram_floor(enum index_field field, size_t len) {
    if (len <= GRAM_DENSE) {
        return field != INDEX_FIELD_WORD || len < 2 ? len : len - len % 2;
    }
    if (len <= GRAM_MIDDLE) {
        return len - len % 4;
    }
    return len >= GRAM_MAX ? GRAM_MAX : len - len % 16;
}
/* How many bytes a text has, at most, behind a gram and before the next longer one begins. */
static inline size_t gram_rest(enum index_field field, size_t len) {
    return len >= GRAM_MAX ? 0 : gram_next(field, len) - len - 1;
}

void index_key_format(struct key *out);
MUSTCHECK bool index_key_count(struct key *out, const char *account);
MUSTCHECK bool index_key_secret(struct key *out, const char *account, uint64_t seq);
MUSTCHECK bool index_key_name(struct key *out, const char *account, const char *name);
/* CHANGED or ACCESSED. */
MUSTCHECK bool index_key_when(struct key *out, enum index_space space, const char *account,
                              int64_t when, uint64_t seq);
MUSTCHECK bool index_key_due(struct key *out, const struct due *due);
MUSTCHECK bool index_key_term(struct key *out, const char *account, enum index_field field,
                              const char *gram, size_t gram_len, uint64_t seq);

/* What the keys of one list begin with. */
MUSTCHECK bool index_key_prefix(struct key *out, enum index_space space, const char *account);
MUSTCHECK bool index_key_name_prefix(struct key *out, const char *account, const char *prefix);
MUSTCHECK bool index_key_term_prefix(struct key *out, const char *account, enum index_field field,
                                     const char *gram, size_t gram_len);
void index_key_due_prefix(struct key *out);

/* The other way: the seq that a key ends in; false where there is no room for one. */
MUSTCHECK bool index_key_seq(const uint8_t *data, size_t len, uint64_t *ret);
/* `account` and `name` have room for LIMIT_ACCOUNT + 1 and LIMIT_NAME + 1 bytes. */
MUSTCHECK bool index_parse_due(const uint8_t *data, size_t len, struct due *ret, char *account,
                               char *name);

#endif
