#include "cluster/transport_frame.h"

#include "base/bytes.h"

#include <string.h>

static const char magic[8] = {'R', 'D', 'B', 'T', 'N', 'O', 'D', 'E'};

enum {
    HELLO_VERSIONS = sizeof(magic),
    HELLO_LEVELS = HELLO_VERSIONS + 4,
    HELLO_NODE = HELLO_LEVELS + 4,
    HELLO_TARGET = HELLO_NODE + 8,
    HELLO_TEXTS = HELLO_TARGET + 8,
    HELLO_MOST = HELLO_TEXTS + 1 + LIMIT_REGION_NAME + 2 + LIMIT_ADDRESS
};
_Static_assert((int)HELLO_MOST <= (int)FRAME_HELLO_MAX, "a hello fits");
_Static_assert(LIMIT_REGION_NAME <= 255, "its length is a byte");

void frame_header_encode(enum frame_kind kind, size_t payload_len, uint8_t out[FRAME_HEADER]) {
    put_le32(out, (uint32_t)payload_len);
    put_le32(out + 4, (uint32_t)kind);
}

enum errc frame_look(const uint8_t *data, size_t len, enum frame_kind expected, size_t *ret_size) {
    const uint32_t most = expected == FRAME_HELLO ? FRAME_HELLO_MAX : CORE_MESSAGE_MAX;
    uint32_t payload_len;

    if (len < FRAME_HEADER) {
        *ret_size = FRAME_HEADER;
        return OK;
    }
    payload_len = get_le32(data);
    /* The kind, and the three bytes behind it that are zero. */
    if (get_le32(data + 4) != (uint32_t)expected || payload_len == 0 || payload_len > most) {
        return ERR_MALFORMED;
    }
    *ret_size = FRAME_HEADER + (size_t)payload_len;
    return OK;
}

size_t frame_hello_encode(const struct frame_hello *hello,
                          uint8_t out[FRAME_HEADER + FRAME_HELLO_MAX]) {
    uint8_t *payload = out + FRAME_HEADER;
    uint8_t *at = payload + HELLO_TEXTS;
    size_t region_len = strlen(hello->region), address_len = strlen(hello->address);

    memcpy(payload, magic, sizeof(magic));
    put_le16(payload + HELLO_VERSIONS, hello->version_min);
    put_le16(payload + HELLO_VERSIONS + 2, hello->version_max);
    put_le16(payload + HELLO_LEVELS, hello->level_min);
    put_le16(payload + HELLO_LEVELS + 2, hello->level_max);
    put_le64(payload + HELLO_NODE, hello->node);
    put_le64(payload + HELLO_TARGET, hello->target);
    *at++ = (uint8_t)region_len;
    memcpy(at, hello->region, region_len);
    at += region_len;
    put_le16(at, (uint16_t)address_len);
    at += 2;
    memcpy(at, hello->address, address_len);
    at += address_len;
    frame_header_encode(FRAME_HELLO, (size_t)(at - payload), out);
    return (size_t)(at - out);
}

/* Takes a text of `len` bytes off `*rest`. */
static bool take_text(struct core_bytes *rest, size_t len, size_t most, char *out) {
    if (len > most || len > rest->len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (rest->data[i] <= ' ' || rest->data[i] > '~') {
            return false;
        }
    }
    memcpy(out, rest->data, len);
    out[len] = '\0';
    rest->data += len;
    rest->len -= len;
    return true;
}

static bool take_texts(struct core_bytes rest, struct frame_hello *hello) {
    size_t len;

    if (rest.len < 1) {
        return false;
    }
    len = rest.data[0];
    rest = (struct core_bytes){rest.data + 1, rest.len - 1};
    if (!take_text(&rest, len, LIMIT_REGION_NAME, hello->region) || len == 0 || rest.len < 2) {
        return false;
    }
    len = get_le16(rest.data);
    rest = (struct core_bytes){rest.data + 2, rest.len - 2};
    return take_text(&rest, len, LIMIT_ADDRESS, hello->address);
}

enum errc frame_hello_decode(struct core_bytes payload, struct frame_hello *ret) {
    const uint8_t *data = payload.data;
    struct frame_hello hello;

    if (payload.len < HELLO_TEXTS || payload.len > FRAME_HELLO_MAX ||
        memcmp(data, magic, sizeof(magic)) != 0) {
        return ERR_MALFORMED;
    }
    hello.version_min = get_le16(data + HELLO_VERSIONS);
    hello.version_max = get_le16(data + HELLO_VERSIONS + 2);
    hello.level_min = get_le16(data + HELLO_LEVELS);
    hello.level_max = get_le16(data + HELLO_LEVELS + 2);
    hello.node = get_le64(data + HELLO_NODE);
    hello.target = get_le64(data + HELLO_TARGET);
    if (hello.version_min == 0 || hello.version_min > hello.version_max ||
        hello.level_min > hello.level_max || hello.node == 0 || hello.target == 0 ||
        !take_texts((struct core_bytes){data + HELLO_TEXTS, payload.len - HELLO_TEXTS}, &hello)) {
        return ERR_MALFORMED;
    }
    *ret = hello;
    return OK;
}
