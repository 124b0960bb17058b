/* Encoding: replies as JSON, written straight into the buffer, so that a secret passes through no
 * other memory. */
#include "api/json_text.h"
#include "api/shape.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <string.h>

static void encode_text(struct buf *out, const char *text) {
    json_text_string(out, text, strlen(text));
}

static void encode_bool(struct buf *out, const struct opt_bool *value) {
    buf_append_str(out, value->value ? "true" : "false");
}

/* Seconds with exactly three decimals, whatever the sign. */
static void encode_time(struct buf *out, int64_t ms) {
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

    buf_printf(out, "%s%" PRIu64 ".%03u", ms < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
}

static void encode_blob(struct buf *out, const struct secret *secret) {
    buf_append_u8(out, '"');
    base64_encode(out, secret->data, secret->len);
    buf_append_u8(out, '"');
}

static void encode_strings(struct buf *out, const struct str_list *list) {
    buf_append_u8(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        encode_text(out, list->items[i]);
    }
    buf_append_u8(out, ']');
}

static void encode_list(struct buf *out, const struct shape *shape, const struct shape_list *list) {
    buf_append_u8(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        shape_encode(shape, (const char *)list->items + i * shape->size, out);
    }
    buf_append_u8(out, ']');
}

static void encode_stages(struct buf *out, const struct stage_map *map) {
    buf_append_u8(out, '{');
    for (size_t i = 0; i < map->n; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        encode_text(out, map->rows[i].version_id);
        buf_append_u8(out, ':');
        encode_strings(out, &map->rows[i].labels);
    }
    buf_append_u8(out, '}');
}

static bool field_is_present(const struct field *field, const void *at) {
    switch (field->kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
        return *(const char *const *)at != NULL;
    case FIELD_SECRET:
    case FIELD_BLOB:
        return *(struct secret *const *)at != NULL;
    case FIELD_BOOL:
        return ((const struct opt_bool *)at)->present;
    case FIELD_INT:
    case FIELD_TIME:
        return ((const struct opt_int *)at)->present;
    case FIELD_STRS:
        return ((const struct str_list *)at)->present;
    case FIELD_LIST:
        return ((const struct shape_list *)at)->present;
    case FIELD_STRUCT:
        return *(void *const *)at != NULL;
    case FIELD_STAGES:
        return ((const struct stage_map *)at)->present;
    }
    return false;
}

static void encode_value(struct buf *out, const struct field *field, const void *at) {
    const struct secret *secret;

    switch (field->kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
        encode_text(out, *(const char *const *)at);
        break;
    case FIELD_SECRET:
        secret = *(struct secret *const *)at;
        json_text_string(out, secret->data, secret->len);
        break;
    case FIELD_BLOB:
        encode_blob(out, *(struct secret *const *)at);
        break;
    case FIELD_BOOL:
        encode_bool(out, at);
        break;
    case FIELD_INT:
        buf_printf(out, "%" PRId64, ((const struct opt_int *)at)->value);
        break;
    case FIELD_TIME:
        encode_time(out, ((const struct opt_int *)at)->value);
        break;
    case FIELD_STRS:
        encode_strings(out, at);
        break;
    case FIELD_LIST:
        encode_list(out, field->extra, at);
        break;
    case FIELD_STRUCT:
        shape_encode(field->extra, *(void *const *)at, out);
        break;
    case FIELD_STAGES:
        encode_stages(out, at);
        break;
    }
}

void shape_encode(const struct shape *shape, const void *in, struct buf *out) {
    bool first = true;

    buf_append_u8(out, '{');
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        const void *at = (const char *)in + field->offset;
        if (!field_is_present(field, at)) {
            continue;
        }
        buf_append_str(out, first ? "\"" : ",\"");
        buf_append_str(out, field->wire); /* of our own tables: letters only */
        buf_append_str(out, "\":");
        encode_value(out, field, at);
        first = false;
    }
    buf_append_u8(out, '}');
}
