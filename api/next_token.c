#include "api/next_token.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/digest.h"

#include <string.h>

/* version (1), zero (1), position (8, big endian), HMAC-SHA-256 (32): a multiple of three bytes, so
 * that base64 needs no padding. */
enum {
    TOKEN_VERSION = 1,
    TOKEN_HEAD = 10,
    TOKEN_SIZE = TOKEN_HEAD + DIGEST_SIZE,
    TOKEN_CHARS = TOKEN_SIZE / 3 * 4,
};

_Static_assert(TOKEN_SIZE % 3 == 0, "a token needs no padding");
_Static_assert(TOKEN_CHARS + 1 == NEXT_TOKEN_TEXT, "the text fits its buffer");

/* Every piece but the last ends with its NUL, so that no two scopes give the same bytes. */
static void token_mac(const struct keyring *keyring, const struct next_token_scope *scope,
                      const uint8_t head[TOKEN_HEAD], uint8_t out[DIGEST_SIZE]) {
    const struct digest_piece pieces[] = {
        {head, TOKEN_HEAD},
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
                     uint64_t position, char out[NEXT_TOKEN_TEXT]) {
    uint8_t token[TOKEN_SIZE] = {TOKEN_VERSION};
    struct buf text;

    put_be64(token + 2, position);
    token_mac(keyring, scope, token, token + TOKEN_HEAD);
    buf_init(&text, TOKEN_CHARS);
    base64_encode(&text, token, sizeof(token));
    CHECK(!text.failed && text.len == TOKEN_CHARS);
    for (size_t i = 0; i < TOKEN_CHARS; i++) {
        out[i] = swap_char((char)text.data[i], "+/", "-_");
    }
    out[TOKEN_CHARS] = '\0';
    buf_fini(&text);
}

enum errc next_token_open(const struct keyring *keyring, const struct next_token_scope *scope,
                          const char *text, uint64_t *ret_position, struct err *err) {
    uint8_t token[TOKEN_SIZE];
    uint8_t mac[DIGEST_SIZE];
    char standard[TOKEN_CHARS];
    size_t len;

    if (strlen(text) != TOKEN_CHARS || strpbrk(text, "+/=") != NULL) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    for (size_t i = 0; i < TOKEN_CHARS; i++) {
        standard[i] = swap_char(text[i], "-_", "+/");
    }
    if (!base64_decode(standard, TOKEN_CHARS, token, &len) || len != TOKEN_SIZE) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    token_mac(keyring, scope, token, mac);
    if (!digest_equal(mac, token + TOKEN_HEAD, DIGEST_SIZE) || token[0] != TOKEN_VERSION) {
        return err_default(err, ERR_INVALID_NEXT_TOKEN);
    }
    *ret_position = get_be64(token + 2);
    return OK;
}
