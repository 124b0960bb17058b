#include "api/literal.h"

#include "api/json_text.h"
#include "base/limits.h"

#include <string.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    unsigned depth;
    struct buf *out;
};

static bool read_value(struct reader *reader);

static void skip_blanks(struct reader *reader) {
    while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4) != NULL) {
        reader->at++;
    }
}

/* The byte that comes next; 0 at the end. */
static uint8_t peek(const struct reader *reader) {
    return reader->at < reader->end ? *reader->at : 0;
}

static bool take(struct reader *reader, uint8_t byte) {
    skip_blanks(reader);
    if (peek(reader) != byte) {
        return false;
    }
    reader->at++;
    return true;
}

/* --- strings --- */

static bool take_hex(struct reader *reader, unsigned digits, uint32_t *ret) {
    *ret = 0;
    for (unsigned i = 0; i < digits; i++) {
        uint8_t c = peek(reader);
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)c - '0';
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint32_t)(c | 0x20) - 'a' + 10;
        } else {
            return false;
        }
        *ret = *ret << 4 | digit;
        reader->at++;
    }
    return true;
}

static void append_utf8(struct buf *text, uint32_t point) {
    if (point < 0x80) {
        buf_append_u8(text, (uint8_t)point);
        return;
    }
    if (point < 0x800) {
        buf_append_u8(text, (uint8_t)(0xC0 | point >> 6));
    } else {
        if (point < 0x10000) {
            buf_append_u8(text, (uint8_t)(0xE0 | point >> 12));
        } else {
            buf_append_u8(text, (uint8_t)(0xF0 | point >> 18));
            buf_append_u8(text, (uint8_t)(0x80 | (point >> 12 & 0x3F)));
        }
        buf_append_u8(text, (uint8_t)(0x80 | (point >> 6 & 0x3F)));
    }
    buf_append_u8(text, (uint8_t)(0x80 | (point & 0x3F)));
}

/* Behind "\u": JSON writes what is beyond the basic plane as a pair. */
static bool take_unit(struct reader *reader, uint32_t *ret) {
    uint32_t low;

    if (!take_hex(reader, 4, ret)) {
        return false;
    }
    if (*ret >= 0xD800 && *ret < 0xDC00) {
        if (reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u') {
            return false;
        }
        reader->at += 2;
        if (!take_hex(reader, 4, &low) || low < 0xDC00 || low > 0xDFFF) {
            return false;
        }
        *ret = 0x10000 + ((*ret - 0xD800) << 10) + (low - 0xDC00);
        return true;
    }
    return *ret < 0xDC00 || *ret > 0xDFFF;
}

/* Behind a backslash. */
static bool take_escape(struct reader *reader, struct buf *text) {
    static const char names[] = "\\'\"/nrtbf";
    static const char bytes[] = "\\'\"/\n\r\t\b\f";
    uint8_t c = peek(reader);
    const char *name = c != 0 ? strchr(names, c) : NULL;
    uint32_t point = 0;
    bool good;

    reader->at++;
    if (name != NULL) {
        buf_append_u8(text, (uint8_t)bytes[name - names]);
        return true;
    }
    if (c == 'x') {
        good = take_hex(reader, 2, &point);
    } else if (c == 'u') {
        good = take_unit(reader, &point);
    } else {
        good = c == 'U' && take_hex(reader, 8, &point) && point <= 0x10FFFF &&
               (point < 0xD800 || point > 0xDFFF);
    }
    if (good) {
        append_utf8(text, point);
    }
    return good;
}

static bool take_characters(struct reader *reader, uint8_t quote, struct buf *text) {
    while (reader->at < reader->end) {
        uint8_t c = *reader->at++;
        if (c == quote) {
            return true;
        }
        if (c < 0x20) {
            return false;
        }
        if (c != '\\') {
            buf_append_u8(text, c);
        } else if (reader->at == reader->end || !take_escape(reader, text)) {
            return false;
        }
    }
    return false;
}

static bool read_string(struct reader *reader) {
    uint8_t quote = peek(reader);
    struct buf text;
    bool good;

    if (quote != '\'' && quote != '"') {
        return false;
    }
    reader->at++;
    buf_init(&text, LIMIT_HTTP_BODY);
    good = take_characters(reader, quote, &text) && json_text_characters(text.data, text.len) >= 0;
    if (text.failed) {
        reader->out->failed = true;
    }
    if (good) {
        json_text_string(reader->out, text.data, text.len);
    }
    buf_fini(&text);
    return good;
}

/* --- the rest --- */

static bool read_integer(struct reader *reader) {
    const uint8_t *from = reader->at;
    size_t digits = 0;

    if (peek(reader) == '-') {
        reader->at++;
    }
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        reader->at++;
        digits++;
    }
    if (digits == 0 || digits > 18 || (digits > 1 && reader->at[-(ptrdiff_t)digits] == '0')) {
        return false;
    }
    buf_append(reader->out, from, (size_t)(reader->at - from));
    return true;
}

static bool read_word(struct reader *reader) {
    static const struct {
        const char *word;
        const char *json;
    } words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                 {"true", "true"}, {"false", "false"}, {"null", "null"}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(reader->end - reader->at) >= len &&
            memcmp(reader->at, words[i].word, len) == 0) {
            reader->at += len;
            buf_append_str(reader->out, words[i].json);
            return true;
        }
    }
    return false;
}

/* What stands between the brackets, and the closing one. */
static bool read_items(struct reader *reader, bool has_keys) {
    uint8_t close = has_keys ? '}' : ']';

    for (bool first = true; !take(reader, close); first = false) {
        if (!first) {
            if (!take(reader, ',')) {
                return false;
            }
            buf_append_u8(reader->out, ',');
            skip_blanks(reader);
        }
        if (has_keys) {
            if (!read_string(reader) || !take(reader, ':')) {
                return false;
            }
            buf_append_u8(reader->out, ':');
        }
        if (!read_value(reader)) {
            return false;
        }
    }
    buf_append_u8(reader->out, close);
    return true;
}

static bool read_group(struct reader *reader, bool has_keys) {
    bool good;

    if (!take(reader, has_keys ? '{' : '[') || reader->depth == LIMIT_JSON_DEPTH) {
        return false;
    }
    reader->depth++;
    buf_append_u8(reader->out, has_keys ? '{' : '[');
    good = read_items(reader, has_keys);
    reader->depth--;
    return good;
}

static bool read_value(struct reader *reader) {
    uint8_t c;

    skip_blanks(reader);
    c = peek(reader);
    if (c == '{' || c == '[') {
        return read_group(reader, c == '{');
    }
    if (c == '\'' || c == '"') {
        return read_string(reader);
    }
    return c == '-' || (c >= '0' && c <= '9') ? read_integer(reader) : read_word(reader);
}

bool literal_to_json(const uint8_t *text, size_t len, struct buf *out) {
    struct reader reader = {.at = text, .end = text + len, .out = out};

    if (len == 0 || !read_group(&reader, true)) {
        return false;
    }
    skip_blanks(&reader);
    return reader.at == reader.end;
}
