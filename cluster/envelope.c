#include "cluster/envelope.h"

#include "base/bytes.h"
#include "base/limits.h"

#include <string.h>

/* Offsets, see the drawing in the header. */
enum { AT_VERSION = 2, AT_FLAGS = 3, AT_TYPE = 4, AT_LEVEL = 6, AT_LENGTH = 8, AT_CRC = 12 };

static uint32_t checksum(const uint8_t *header, const uint8_t *payload, size_t len) {
    return crc32c(crc32c(0, header, AT_CRC), payload, len);
}

void envelope_append(struct buf *out, uint16_t type, uint16_t level_required,
                     const uint8_t *payload, size_t len) {
    if (len > LIMIT_COMMAND) {
        out->failed = true;
        return;
    }
    uint8_t *header = buf_reserve(out, ENVELOPE_SIZE + len);
    if (header == NULL) {
        return; /* the buffer says so */
    }
    put_le16(header, ENVELOPE_MAGIC);
    header[AT_VERSION] = ENVELOPE_VERSION;
    header[AT_FLAGS] = 0;
    put_le16(header + AT_TYPE, type);
    put_le16(header + AT_LEVEL, level_required);
    put_le32(header + AT_LENGTH, (uint32_t)len);
    put_le32(header + AT_CRC, checksum(header, payload, len));
    if (len > 0) {
        memcpy(header + ENVELOPE_SIZE, payload, len);
    }
    out->len += ENVELOPE_SIZE + len;
}

enum errc envelope_next(const uint8_t *data, size_t len, struct envelope *ret, size_t *ret_used) {
    if (len < ENVELOPE_SIZE || get_le16(data) != ENVELOPE_MAGIC ||
        data[AT_VERSION] != ENVELOPE_VERSION || data[AT_FLAGS] != 0) {
        return ERR_CORRUPT; /* a flag that we do not know may change what the payload means */
    }
    size_t payload_len = get_le32(data + AT_LENGTH);
    if (payload_len > LIMIT_COMMAND || payload_len > len - ENVELOPE_SIZE) {
        return ERR_CORRUPT;
    }
    if (get_le32(data + AT_CRC) != checksum(data, data + ENVELOPE_SIZE, payload_len)) {
        return ERR_CORRUPT;
    }
    ret->type = get_le16(data + AT_TYPE);
    ret->level_required = get_le16(data + AT_LEVEL);
    ret->payload = data + ENVELOPE_SIZE;
    ret->payload_len = payload_len;
    *ret_used = ENVELOPE_SIZE + payload_len;
    return OK;
}

uint16_t envelope_type(const uint8_t *data) {
    return get_le16(data + 4);
}

uint16_t envelope_level(const uint8_t *data) {
    return get_le16(data + 6);
}
