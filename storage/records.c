#include "storage/records.h"

#include "base/bytes.h"
#include "storage/record.pb-c.h"

/* NULL for the kinds whose payload is plain bytes. */
static const ProtobufCMessageDescriptor *record_descriptor(enum record_kind kind) {
    switch (kind) {
    case RECORD_SECRET:
        return &redoubt__secret__descriptor;
    case RECORD_VALUE:
        return &redoubt__sealed__descriptor;
    case RECORD_LINK:
        return &redoubt__link__descriptor;
    case RECORD_OUTBOX:
        return &redoubt__outbox__descriptor;
    case RECORD_GRAVE:
        return &redoubt__grave__descriptor;
    case RECORD_KEY:
        return &redoubt__key__descriptor;
    case RECORD_REGION:
        return &redoubt__region__descriptor;
    case RECORD_JOIN_TOKENS:
        return &redoubt__join_tokens__descriptor;
    case RECORD_ORDER:
    case RECORD_ALIAS:
    case RECORD_APPLIED:
        break;
    }
    return NULL;
}

static void record_head(struct buf *out, enum record_kind kind) {
    buf_append_u8(out, RECORD_VERSION);
    buf_append_u8(out, (uint8_t)kind);
    /* The lowest level whose readers understand the payload, not the writer's own. */
    buf_append_le16(out, 1);
}

void record_pack(struct buf *out, enum record_kind kind, const ProtobufCMessage *message) {
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *room;

    CHECK(message->descriptor == record_descriptor(kind));
    record_head(out, kind);
    if (len == 0) {
        return;
    }
    room = buf_reserve(out, len);
    if (room != NULL) {
        CHECK(protobuf_c_message_pack(message, room) == len);
        out->len += len;
    }
}

void record_pack_bytes(struct buf *out, enum record_kind kind, const void *payload, size_t len) {
    CHECK(record_descriptor(kind) == NULL);
    record_head(out, kind);
    buf_append(out, payload, len);
}

static enum errc record_open(enum record_kind kind, const uint8_t *data, size_t len) {
    if (len < RECORD_HEAD || data[0] == 0) {
        return ERR_CORRUPT;
    }
    if (data[0] > RECORD_VERSION) {
        return ERR_LEVEL;
    }
    if (data[1] != (uint8_t)kind) {
        return ERR_CORRUPT;
    }
    return get_le16(data + 2) > RECORD_LEVEL ? ERR_LEVEL : OK;
}

enum errc record_unpack(enum record_kind kind, const uint8_t *data, size_t len,
                        ProtobufCMessage **ret) {
    const ProtobufCMessageDescriptor *descriptor = record_descriptor(kind);
    ProtobufCMessage *message;
    enum errc code = record_open(kind, data, len);

    CHECK(descriptor != NULL);
    if (code != OK) {
        return code;
    }
    message = protobuf_c_message_unpack(descriptor, NULL, len - RECORD_HEAD, data + RECORD_HEAD);
    if (message == NULL) {
        return ERR_CORRUPT;
    }
    *ret = message;
    return OK;
}

enum errc record_unpack_bytes(enum record_kind kind, const uint8_t *data, size_t len,
                              const uint8_t **ret_payload, size_t *ret_len) {
    enum errc code = record_open(kind, data, len);

    CHECK(record_descriptor(kind) == NULL);
    if (code != OK) {
        return code;
    }
    *ret_payload = data + RECORD_HEAD;
    *ret_len = len - RECORD_HEAD;
    return OK;
}
