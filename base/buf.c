#include "base/buf.h"

#include "base/bytes.h"
#include "base/wipe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t cap) {
    *buf = (struct buf){.cap = cap};
}

void buf_fini(struct buf *buf) {
    wipe_free(buf->data);
    buf_init(buf, buf->cap);
}

void buf_reset(struct buf *buf) {
    wipe(buf->data, buf->len);
    buf->len = 0;
    buf->failed = false;
}

uint8_t *buf_reserve(struct buf *buf, size_t len) {
    size_t room;
    uint8_t *data;

    if (buf->failed || len > buf->cap - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if (buf->len + len > buf->room) {
        room = buf->room < 64 ? 128 : buf->room * 2;
        if (room < buf->len + len) {
            room = buf->len + len;
        }
        if (room > buf->cap) {
            room = buf->cap;
        }
        data = wipe_realloc(buf->data, room);
        if (data == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->room = room;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len) {
    uint8_t *at;

    if (len == 0) {
        return;
    }
    at = buf_reserve(buf, len);
    if (at != NULL) {
        memcpy(at, data, len);
        buf->len += len;
    }
}

void buf_append_str(struct buf *buf, const char *text) {
    buf_append(buf, text, strlen(text));
}

void buf_append_u8(struct buf *buf, uint8_t value) {
    buf_append(buf, &value, sizeof(value));
}

void buf_append_le16(struct buf *buf, uint16_t value) {
    uint8_t bytes[2];
    put_le16(bytes, value);
    buf_append(buf, bytes, sizeof(bytes));
}

void buf_append_le32(struct buf *buf, uint32_t value) {
    uint8_t bytes[4];
    put_le32(bytes, value);
    buf_append(buf, bytes, sizeof(bytes));
}

void buf_append_le64(struct buf *buf, uint64_t value) {
    uint8_t bytes[8];
    put_le64(bytes, value);
    buf_append(buf, bytes, sizeof(bytes));
}

void buf_append_be64(struct buf *buf, uint64_t value) {
    uint8_t bytes[8];
    put_be64(bytes, value);
    buf_append(buf, bytes, sizeof(bytes));
}

void buf_printf(struct buf *buf, const char *fmt, ...) {
    va_list args;
    int len;
    uint8_t *at;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(len >= 0);
    at = buf_reserve(buf, (size_t)len + 1);
    if (at == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf((char *)at, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
}

void buf_take(struct buf *buf, uint8_t **ret_data, size_t *ret_len) {
    *ret_data = buf->data;
    *ret_len = buf->len;
    buf_init(buf, buf->cap);
}
