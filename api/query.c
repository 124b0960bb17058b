#include "api/query.h"

#include "api/json_text.h"
#include "base/bytes.h"
#include "base/limits.h"

#include <string.h>

struct pair {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* The pair at *at, which moves behind it; false at the end. */
static bool next_pair(const char *query, size_t len, size_t *at, struct pair *ret) {
    const char *from;
    const char *end;
    const char *equal;

    if (*at >= len) {
        return false;
    }
    from = query + *at;
    end = memchr(from, '&', len - *at);
    end = end != NULL ? end : query + len;
    equal = memchr(from, '=', (size_t)(end - from));
    ret->name = from;
    ret->name_len = (size_t)((equal != NULL ? equal : end) - from);
    ret->value = equal != NULL ? equal + 1 : end;
    ret->value_len = (size_t)(end - ret->value);
    *at = (size_t)(end - query) + 1;
    return true;
}

/* Appends; false for a bad escape. */
static bool percent_decode(const char *text, size_t len, struct buf *out) {
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == '%') {
            if (len - i < 3 || !hex_decode(text + i + 1, 2, &byte, 1)) {
                return false;
            }
            i += 2;
        }
        buf_append_u8(out, byte);
    }
    return !out->failed;
}

/* Names of parameters are plain letters; an encoded one would be another name to most, so it is
 * none to us. */
static bool pair_is_named(const struct pair *pair, const char *name) {
    return pair->name_len == strlen(name) && memcmp(pair->name, name, pair->name_len) == 0;
}

bool query_get(const char *query, size_t len, const char *name, char *out, size_t size) {
    struct pair pair;
    struct buf value;
    size_t at = 0;
    bool found = false;

    while (next_pair(query, len, &at, &pair)) {
        if (!pair_is_named(&pair, name)) {
            continue;
        }
        buf_init(&value, size - 1);
        if (percent_decode(pair.value, pair.value_len, &value) &&
            (value.len == 0 || memchr(value.data, 0, value.len) == NULL)) {
            if (value.len > 0) {
                memcpy(out, value.data, value.len);
            }
            out[value.len] = '\0';
            found = true;
        }
        buf_fini(&value);
        break;
    }
    return found;
}

static bool text_is_integer(const uint8_t *text, size_t len) {
    size_t i = len > 0 && text[0] == '-' ? 1 : 0;

    if (len - i == 0 || len - i > 18 || (text[i] == '0' && len - i > 1)) {
        return false;
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool text_is(const uint8_t *text, size_t len, const char *word) {
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* A number or a boolean goes bare where the member is one; all else is a string, and the decoder
 * says what is wrong with it. */
static void write_value(struct buf *out, enum field_kind kind, const struct buf *value) {
    bool bare = false;

    if (value->len > 0 && kind == FIELD_INT) {
        bare = text_is_integer(value->data, value->len);
    } else if (value->len > 0 && kind == FIELD_BOOL) {
        bare =
            text_is(value->data, value->len, "true") || text_is(value->data, value->len, "false");
    }
    if (bare) {
        buf_append(out, value->data, value->len);
    } else {
        json_text_string(out, value->data, value->len);
    }
}

/* All values of one member; writes nothing when there is none. */
static enum errc write_member(const struct field *field, const char *query, size_t len,
                              struct buf *out, bool *first, struct err *err) {
    struct pair pair;
    size_t at = 0;
    size_t n = 0;

    while (next_pair(query, len, &at, &pair)) {
        struct buf value;
        bool sound;
        if (!pair_is_named(&pair, field->wire)) {
            continue;
        }
        if (n > 0 && field->kind != FIELD_STRS) {
            return err_set(err, ERR_SERIALIZATION, "The parameter %s is given more than once",
                           field->wire);
        }
        if (n == 0) {
            buf_append_str(out, *first ? "" : ",");
            json_text_string(out, field->wire, strlen(field->wire));
            buf_append_str(out, field->kind == FIELD_STRS ? ":[" : ":");
        } else {
            buf_append_str(out, ",");
        }
        buf_init(&value, LIMIT_HTTP_TARGET);
        sound = percent_decode(pair.value, pair.value_len, &value) &&
                json_text_characters(value.data, value.len) >= 0;
        if (sound) {
            write_value(out, field->kind, &value);
        }
        buf_fini(&value);
        if (!sound) {
            return err_set(err, ERR_SERIALIZATION, "The parameter %s is not well encoded",
                           field->wire);
        }
        *first = false;
        n++;
    }
    if (n > 0 && field->kind == FIELD_STRS) {
        buf_append_str(out, "]");
    }
    return OK;
}

enum errc query_to_json(const struct shape *shape, const char *query, size_t len, struct buf *out,
                        struct err *err) {
    enum errc code = OK;
    bool first = true;

    buf_append_str(out, "{");
    for (size_t i = 0; i < shape->n_fields && code == OK; i++) {
        code = write_member(&shape->fields[i], query, len, out, &first, err);
    }
    buf_append_str(out, "}");
    return code;
}
