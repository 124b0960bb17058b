#include "api/next_token.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/digest.h"

#include <string.h>

/* version (1), length of the name (2, little endian), when (8, big endian), seq (8, big endian),
 * HMAC-SHA-256 of all the rest (32), the name, zeros up to a multiple of three bytes, so that
 * base64 needs no padding. */
enum {
    TOKEN_VERSION = 2,
    TOKEN_NAME_LEN = 1,
    TOKEN_WHEN = 3,
    TOKEN_SEQ = 11,
    TOKEN_MAC = 19,
    TOKEN_NAME = TOKEN_MAC + DIGEST_SIZE,
    TOKEN_MAX = TOKEN_NAME + (LIMIT_NAME + 2) / 3 * 3,
    TOKEN_CHARS_MIN = TOKEN_NAME / 3 * 4,
    TOKEN_CHARS_MAX = TOKEN_MAX / 3 * 4,
};

_Static_assert(TOKEN_NAME % 3 == 0, "a token needs no padding");
_Static_assert(TOKEN_CHARS_MAX + 1 == (int)NEXT_TOKEN_TEXT, "the text fits its buffer");
_Static_assert(TOKEN_CHARS_MAX <= (int)LIMIT_NEXT_TOKEN, "a client can send it back");

static size_t token_size(size_t name_len) {
    return TOKEN_NAME + (name_len + 2) / 3 * 3;
}

/* Every piece but the last ends with its NUL, so that no two scopes give the same bytes. */
static void token_mac(const struct keyring *keyring, const struct next_token_scope *scope,
                      const uint8_t *token, size_t size, uint8_t out[DIGEST_SIZE]) {
    const struct digest_piece pieces[] = {
        {token, TOKEN_MAC},
        {token + TOKEN_NAME, size - TOKEN_NAME},
        {scope->operation, strlen(scope->operation) + 1},
        {scope->account, strlen(scope->account) + 1},
        {scope->region, strlen(scope->region) + 1},
        {scope->query, strlen(scope->query)},
    };
    uint8_t key[DIGEST_SIZE];

    keyring_token_key(keyring, key);
    digest_hmac_pieces(key, sizeof(key), pieces, ARRAY_LEN(pieces), out);
    wipe(key, sizeof(key));
}

/* The URL-safe alphabet: a token travels unescaped through shells and query strings. */
static char swap_char(char c, const char *from, const char *to) {
    for (size_t i = 0; from[i] != '\0'; i++) {
        if (c == from[i]) {
            return to[i];
        }
    }
    return c;
}

void next_token_seal(const struct keyring *keyring, const struct next_token_scope *scope,
                     const struct list_position *position, char out[NEXT_TOKEN_TEXT]) {
    uint8_t token[TOKEN_MAX] = {TOKEN_VERSION};
    size_t name_len = strlen(position->name);
    size_t size = token_size(name_len);
    struct buf text;

    CHECK(position->is_set && name_len <= LIMIT_NAME);
    put_le16(token + TOKEN_NAME_LEN, (uint16_t)name_len);
    put_be64(token + TOKEN_WHEN, (uint64_t)position->when);
    put_be64(token + TOKEN_SEQ, position->seq);
    memcpy(token + TOKEN_NAME, position->name, name_len);
    token_mac(keyring, scope, token, size, token + TOKEN_MAC);
    buf_init(&text, TOKEN_CHARS_MAX);
    base64_encode(&text, token, size);
    CHECK(!text.failed && text.len == size / 3 * 4);
    for (size_t i = 0; i < text.len; i++) {
        out[i] = swap_char((char)text.data[i], "+/", "-_");
    }
    out[text.len] = '\0';
    buf_fini(&text);
}

/* The bytes behind a text of the right form and length. */
static bool token_bytes(const char *text, uint8_t token[TOKEN_MAX], size_t *ret_size) {
    char standard[TOKEN_CHARS_MAX];
    size_t len = strnlen(text, TOKEN_CHARS_MAX + 1);

    if (len < TOKEN_CHARS_MIN || len > TOKEN_CHARS_MAX || len % 4 != 0 ||
        strpbrk(text, "+/=") != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        standard[i] = swap_char(text[i], "-_", "+/");
    }
    return base64_decode(standard, len, token, ret_size);
}

enum errc next_token_open(const struct keyring *keyring, const struct next_token_scope *scope,
                          const char *text, struct list_position *ret, struct err *err) {
    uint8_t token[TOKEN_MAX];
    uint8_t mac[DIGEST_SIZE];
    size_t size = 0;
    size_t name_len;

    if (!token_bytes(text, token, &size)) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    name_len = get_le16(token + TOKEN_NAME_LEN);
    if (name_len > LIMIT_NAME || size != token_size(name_len)) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    token_mac(keyring, scope, token, size, mac);
    if (!digest_equal(mac, token + TOKEN_MAC, DIGEST_SIZE) || token[0] != TOKEN_VERSION) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    *ret = (struct list_position){
        .is_set = true,
        .when = (int64_t)get_be64(token + TOKEN_WHEN),
        .seq = get_be64(token + TOKEN_SEQ),
    };
    memcpy(ret->name, token + TOKEN_NAME, name_len);
    return OK;
}
