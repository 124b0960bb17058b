#include "api/json_text.h"

#include "base/wipe.h"
#include "model/json_guard.h"

#include <stdio.h>
#include <string.h>

enum { PARSER_STACK = 4096 };

/* The parser words its complaint on its stack, with the token that it stumbled over: perhaps a
 * value. The frames below its caller are overwritten. */
static void __attribute__((noinline)) wipe_dead_stack(void) {
    char room[PARSER_STACK];
    wipe(room, sizeof(room));
}

enum errc json_text_parse(const uint8_t *text, size_t len, json_t **ret, struct err *err) {
    json_error_t error;
    json_t *json;

    json_guard_setup();
    if (!json_is_modest(text, len)) {
        return err_set(err, ERR_SERIALIZATION, "The request body is nested too deeply or too long");
    }
    if (len == 0) {
        json = json_object();
        if (json == NULL) {
            return err_default(err, ERR_NO_MEMORY);
        }
        *ret = json;
        return OK;
    }
    json = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json == NULL) {
        const int line = error.line, column = error.column;
        bool is_out_of_memory = json_error_code(&error) == json_error_out_of_memory;
        /* error.text quotes the body: it must not go further. */
        wipe(&error, sizeof(error));
        wipe_dead_stack();
        return is_out_of_memory
                   ? err_default(err, ERR_NO_MEMORY)
                   : err_set(err, ERR_SERIALIZATION,
                             "The request body is not a valid JSON object (line %d, column %d)",
                             line, column);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, ERR_SERIALIZATION, "Start of list found where not expected.");
    }
    *ret = json;
    return OK;
}

/* Bytes of the well-formed UTF-8 sequence that `data` begins with (Unicode, table 3-7); 0 if there
 * is none. */
static size_t utf8_sequence(const uint8_t *data, size_t len) {
    uint8_t lead = data[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t n;

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    n = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0) {
        low = 0xA0;
    } else if (lead == 0xED) {
        high = 0x9F;
    } else if (lead == 0xF0) {
        low = 0x90;
    } else if (lead == 0xF4) {
        high = 0x8F;
    }
    if (n > len || data[1] < low || data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((data[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static void write_escape(struct buf *out, uint8_t c) {
    char text[8];

    switch (c) {
    case '"':
        buf_append_str(out, "\\\"");
        break;
    case '\\':
        buf_append_str(out, "\\\\");
        break;
    case '\n':
        buf_append_str(out, "\\n");
        break;
    case '\r':
        buf_append_str(out, "\\r");
        break;
    case '\t':
        buf_append_str(out, "\\t");
        break;
    default:
        (void)snprintf(text, sizeof(text), "\\u%04x", c);
        buf_append_str(out, text);
        wipe(text, sizeof(text));
        break;
    }
}

void json_text_string(struct buf *out, const void *data, size_t len) {
    const uint8_t *bytes = data;
    size_t from = 0; /* of the run that goes out as it is */
    size_t i = 0;

    buf_append_u8(out, '"');
    while (i < len) {
        uint8_t c = bytes[i];
        size_t n = utf8_sequence(bytes + i, len - i);
        if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) {
            i += n;
            continue;
        }
        buf_append(out, bytes + from, i - from);
        if (n == 0) {
            buf_append_str(out, "\xEF\xBF\xBD");
        } else {
            write_escape(out, c);
        }
        i++;
        from = i;
    }
    if (len > from) {
        buf_append(out, bytes + from, len - from);
    }
    buf_append_u8(out, '"');
}

int64_t json_text_characters(const void *data, size_t len) {
    const uint8_t *bytes = data;
    int64_t count = 0;

    for (size_t i = 0; i < len; count++) {
        size_t n = utf8_sequence(bytes + i, len - i);
        if (n == 0) {
            return -1;
        }
        i += n;
    }
    return count;
}

size_t json_text_cut(const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);

    if (len <= max) {
        return len;
    }
    len = max;
    while (len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80) {
        len--;
    }
    return len;
}
