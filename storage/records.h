/* The four bytes before every value of the state family, and the way in and out of it.
 *
 *   0 u8 record version   1 u8 kind   2 u16 level required (little endian)   4 payload
 *
 * The payload is a message of record.proto, or for three small kinds plain bytes. A record that
 * this release cannot understand is never guessed at. Pure, any thread. */
#ifndef STORAGE_RECORDS_H
#define STORAGE_RECORDS_H

#include "base/buf.h"
#include "base/errc.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_HEAD = 4,
    RECORD_VERSION = 1,
    RECORD_LEVEL = 1 /* the highest level this release understands */
};

/* On disk: for ever. */
enum record_kind {
    RECORD_SECRET = 1,
    RECORD_ORDER = 2, /* payload: the secret's name */
    RECORD_VALUE = 3,
    RECORD_LINK = 4,
    RECORD_OUTBOX = 5,
    RECORD_GRAVE = 6,
    RECORD_KEY = 7,
    RECORD_ALIAS = 8, /* payload: the key id */
    RECORD_REGION = 9,
    RECORD_APPLIED = 10, /* payload: u64, little endian */
    RECORD_JOIN_TOKENS = 11
};

/* Head and message, appended to `out` (look at out->failed). The message's type must be the
 * kind's. Borrows. */
void record_pack(struct buf *out, enum record_kind kind, const ProtobufCMessage *message);
void record_pack_bytes(struct buf *out, enum record_kind kind, const void *payload, size_t len);

/* *ret owned, to be freed with the type's free_unpacked function. ERR_CORRUPT: not a record of this
 * kind; ERR_LEVEL: of a newer release; ERR_NO_MEMORY. */
MUSTCHECK enum errc record_unpack(enum record_kind kind, const uint8_t *data, size_t len,
                                  ProtobufCMessage **ret);
/* *ret_payload is borrowed from `data`. */
MUSTCHECK enum errc record_unpack_bytes(enum record_kind kind, const uint8_t *data, size_t len,
                                        const uint8_t **ret_payload, size_t *ret_len);

#endif
