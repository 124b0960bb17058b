/* Fixed-width integers as bytes, hexadecimal text, and the CRC-32C that guards every envelope.
 * Pure. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void put_le16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v) {
    put_le16(p, (uint16_t)v);
    put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v) {
    put_le32(p, (uint32_t)v);
    put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline void put_be64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (56 - 8 * i));
    }
}
static inline uint16_t get_le16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p) {
    return (uint32_t)get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}
static inline uint64_t get_le64(const uint8_t *p) {
    return (uint64_t)get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}
static inline uint64_t get_be64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* Lower-case hex of `len` bytes and a NUL: 2 * len + 1 bytes at `out`. */
void hex_encode(const uint8_t *data, size_t len, char *out);
/* Exactly `len` bytes from 2 * len hex digits of either case; false on any other character. */
MUSTCHECK bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

/* CRC-32C (Castagnoli). `crc` is 0 for the first piece, the previous result for the next. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
