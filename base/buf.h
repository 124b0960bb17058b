/* A growing byte buffer that is born with its cap and wipes what it leaves behind.
 *
 * An append that would pass the cap, or finds no memory, sets `failed` and changes nothing; later
 * appends are no-ops. So a writer appends freely and looks once, at the end. Not thread-safe. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;
    size_t room; /* allocated */
    size_t cap;  /* never more than this */
    bool failed;
};

void buf_init(struct buf *buf, size_t cap);
/* Wipes, frees, leaves it empty with its cap. */
void buf_fini(struct buf *buf);
/* Forget the content (wiped), keep the memory, clear `failed`. */
void buf_reset(struct buf *buf);
void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_u8(struct buf *buf, uint8_t value);
void buf_append_le16(struct buf *buf, uint16_t value);
void buf_append_le32(struct buf *buf, uint32_t value);
void buf_append_le64(struct buf *buf, uint64_t value);
void buf_append_be64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes, to be filled by the caller, who then adds to `len`; NULL (and failed)
 * if there is none. */
MUSTCHECK uint8_t *buf_reserve(struct buf *buf, size_t len);
/* Hand the memory over: *ret_data is owned by the caller (wipe_free), the buffer is empty. NULL for
 * an empty buffer. */
void buf_take(struct buf *buf, uint8_t **ret_data, size_t *ret_len);

#endif
