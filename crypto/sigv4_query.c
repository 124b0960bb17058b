#include "crypto/sigv4_query.h"

#include "base/bytes.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

bool query_next(const char *query, size_t len, size_t *at, struct query_param *ret) {
    const char *start, *end, *equals;
    size_t left;

    /* "a&" has two parameters, the second empty; "" has none. */
    if (len == 0 || *at > len) {
        return false;
    }
    start = query + *at;
    left = len - *at;
    end = left == 0 ? NULL : memchr(start, '&', left);
    if (end == NULL) {
        end = start + left;
    }
    *at = (size_t)(end - query) + 1;
    equals = start == end ? NULL : memchr(start, '=', (size_t)(end - start));
    ret->key = start;
    ret->key_len = (size_t)((equals ? equals : end) - start);
    ret->value = equals ? equals + 1 : end;
    ret->value_len = (size_t)(end - ret->value);
    return true;
}

/* The byte at raw[*at], decoded; *at moves behind it. */
static bool decode_byte(const char *raw, size_t len, size_t *at, uint8_t *ret) {
    if (raw[*at] != '%') {
        *ret = (uint8_t)raw[(*at)++];
        return true;
    }
    if (len - *at < 3 || !hex_decode(raw + *at + 1, 2, ret, 1)) {
        return false;
    }
    *at += 3;
    return true;
}

bool query_decode(const char *raw, size_t len, char *out, size_t out_size, size_t *ret_len) {
    size_t n = 0;

    for (size_t at = 0; at < len;) {
        uint8_t byte;
        if (n + 1 >= out_size || !decode_byte(raw, len, &at, &byte)) {
            return false;
        }
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    *ret_len = n;
    return true;
}

bool query_key_is(const struct query_param *param, const char *name) {
    size_t at = 0, i = 0;

    while (at < param->key_len) {
        uint8_t byte;
        if (name[i] == '\0' || !decode_byte(param->key, param->key_len, &at, &byte) ||
            byte != (uint8_t)name[i]) {
            return false;
        }
        i++;
    }
    return name[i] == '\0';
}

static bool is_unreserved(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void query_encode_byte(struct buf *out, uint8_t byte) {
    static const char digits[] = "0123456789ABCDEF";

    if (is_unreserved(byte)) {
        buf_append_u8(out, byte);
    } else {
        const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
        buf_append(out, escape, sizeof(escape));
    }
}

static bool encode_again(const char *raw, size_t len, struct buf *out) {
    for (size_t at = 0; at < len;) {
        uint8_t byte;
        if (!decode_byte(raw, len, &at, &byte)) {
            return false;
        }
        query_encode_byte(out, byte);
    }
    return true;
}

/* An encoded parameter in the scratch buffer. */
struct encoded {
    const uint8_t *text; /* of the scratch buffer once that is complete */
    size_t offset;
    size_t key_len, value_len; /* the value follows the key */
};

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common == 0 ? 0 : memcmp(a, b, common);

    return order != 0 ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int compare_encoded(const void *left, const void *right) {
    const struct encoded *a = left, *b = right;
    int order = compare_bytes(a->text, a->key_len, b->text, b->key_len);

    return order != 0 ? order
                      : compare_bytes(a->text + a->key_len, a->value_len, b->text + b->key_len,
                                      b->value_len);
}

static bool encode_params(const char *query, size_t len, const char *left_out, struct buf *scratch,
                          struct encoded params[LIMIT_QUERY_PARAMS], size_t *ret_n) {
    struct query_param param;
    size_t n = 0, at = 0;

    while (query_next(query, len, &at, &param)) {
        struct encoded *e = &params[n];
        if (left_out != NULL && query_key_is(&param, left_out)) {
            continue;
        }
        if (n == LIMIT_QUERY_PARAMS) {
            return false;
        }
        e->offset = scratch->len;
        if (!encode_again(param.key, param.key_len, scratch)) {
            return false;
        }
        e->key_len = scratch->len - e->offset;
        if (!encode_again(param.value, param.value_len, scratch)) {
            return false;
        }
        e->value_len = scratch->len - e->offset - e->key_len;
        n++;
    }
    *ret_n = n;
    return true;
}

bool query_canonical(const char *query, size_t len, const char *left_out, struct buf *out) {
    struct encoded params[LIMIT_QUERY_PARAMS];
    struct buf scratch;
    size_t n = 0;
    bool good;

    if (len == 0) {
        return true;
    }
    buf_init(&scratch, 3 * (size_t)LIMIT_HTTP_TARGET);
    good = encode_params(query, len, left_out, &scratch, params, &n);
    if (good && scratch.failed) {
        out->failed = true;
    } else if (good) {
        for (size_t i = 0; i < n; i++) {
            /* Without any byte there is no buffer to point into. */
            params[i].text =
                scratch.len == 0 ? (const uint8_t *)"" : scratch.data + params[i].offset;
        }
        qsort(params, n, sizeof(params[0]), compare_encoded);
        for (size_t i = 0; i < n; i++) {
            if (i > 0) {
                buf_append_u8(out, '&');
            }
            buf_append(out, params[i].text, params[i].key_len);
            buf_append_u8(out, '=');
            buf_append(out, params[i].text + params[i].key_len, params[i].value_len);
        }
    }
    buf_fini(&scratch);
    return good;
}
