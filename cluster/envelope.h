/* The 16-byte envelope of every command, and how several commands share one log entry.
 *
 *   0 u16 magic  2 u8 envelope version  3 u8 flags  4 u16 command type  6 u16 level required
 *   8 u32 payload length  12 u32 crc32c of bytes 0-11 and the payload      all little endian
 *
 * A log entry of type CORE_COMMAND is one or more enveloped commands, end to end. Pure. */
#ifndef CLUSTER_ENVELOPE_H
#define CLUSTER_ENVELOPE_H

#include "base/buf.h"
#include "base/errc.h"

#include <stdint.h>

enum { ENVELOPE_SIZE = 16, ENVELOPE_MAGIC = 0x4452, ENVELOPE_VERSION = 1 };

struct envelope {
    uint16_t type;
    uint16_t level_required;
    const uint8_t *payload; /* borrowed from the bytes */
    size_t payload_len;
};

/* Append envelope and payload. Borrows. */
void envelope_append(struct buf *out, uint16_t type, uint16_t level_required,
                     const uint8_t *payload, size_t len);

/* Of bytes that envelope_next has accepted, or envelope_append has made. */
uint16_t envelope_type(const uint8_t *data);
uint16_t envelope_level(const uint8_t *data);

/* Read the first command of `data`; *ret_used is how many bytes it took. ERR_CORRUPT: wrong magic,
 * checksum, length or an unknown version. */
MUSTCHECK enum errc envelope_next(const uint8_t *data, size_t len, struct envelope *ret,
                                  size_t *ret_used);

#endif
