/* The bytes on a stream between nodes (transport.h), inside TLS. Frames, little endian:
 *
 *   0 u32 length of the payload   4 u8 kind   5 u8[3] zero   8 payload
 *
 *   1 HELLO    u8[8] "RDBTNODE", u16 oldest and newest version of this protocol that the sender
 *              speaks, u16 level that others must know, u16 newest that it knows, u64 sender, u64
 *              whom it believes to talk to, u8 length, region, u16 length, address (member.h, may
 *              be empty); what follows was added by a later release and is passed over
 *   2 MESSAGE  1 to CORE_MESSAGE_MAX bytes of core_message.h
 *
 * A stream is spoken in the newest version of both. Each side's first frame is its hello and there
 * is no second one; the side that was dialled sends nothing else. Pure. */
#ifndef CLUSTER_TRANSPORT_FRAME_H
#define CLUSTER_TRANSPORT_FRAME_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"
#include "cluster/core_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_kind { FRAME_HELLO = 1, FRAME_MESSAGE = 2 };

enum {
    FRAME_VERSION = 1, /* the oldest and newest of this release */
    FRAME_HEADER = 8,
    FRAME_HELLO_MAX = 1024, /* with room for what comes */
    FRAME_MAX = FRAME_HEADER + CORE_MESSAGE_MAX
};

void frame_header_encode(enum frame_kind kind, size_t payload_len, uint8_t out[FRAME_HEADER]);

/* Looks at the bytes that have arrived. *ret_size: of the whole frame, header included; or
 * FRAME_HEADER while that is not whole. The frame is there when `len` is not less. ERR_MALFORMED:
 * no frame begins like this, or not one of the kind that is expected now. */
MUSTCHECK enum errc frame_look(const uint8_t *data, size_t len, enum frame_kind expected,
                               size_t *ret_size);

struct frame_hello {
    uint16_t version_min, version_max;
    uint16_t level_min, level_max;
    uint64_t node;   /* the sender */
    uint64_t target; /* whom it talks to */
    char region[LIMIT_REGION_NAME + 1];
    char address[LIMIT_ADDRESS + 1];
};

/* A whole frame; returns its size. */
size_t frame_hello_encode(const struct frame_hello *hello,
                          uint8_t out[FRAME_HEADER + FRAME_HELLO_MAX]);
/* The payload of one. ERR_MALFORMED. Both texts are printable ASCII without spaces. */
MUSTCHECK enum errc frame_hello_decode(struct core_bytes payload, struct frame_hello *ret);

#endif
