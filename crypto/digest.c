#include "crypto/digest.h"

#include "base/wipe.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Fetched once for the life of the process: a fetch takes locks and walks tables, and would cost
 * more than the digest of a short text. Never freed. `hmac` is a keyed template: copying it skips
 * the look-up of the digest that a new context would do. */
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
    static const uint8_t no_key[1] = {0};
    char name[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    CHECK(mac != NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256 != NULL);
    hmac = EVP_MAC_CTX_new(mac);
    CHECK(hmac != NULL && EVP_MAC_init(hmac, no_key, sizeof(no_key), params) == 1);
    EVP_MAC_free(mac); /* the template holds its own reference */
}

static void fetch_once(void) {
    CHECK(pthread_once(&fetched, fetch) == 0);
}

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SIZE]) {
    fetch_once();
    CHECK(EVP_Digest(data, len, out, NULL, sha256, NULL) == 1);
}

struct digest_stream {
    EVP_MD_CTX *ctx; /* owned */
};

struct digest_stream *digest_stream_new(void) {
    struct digest_stream *stream = malloc(sizeof(*stream));

    fetch_once();
    CHECK(stream != NULL);
    stream->ctx = EVP_MD_CTX_new();
    CHECK(stream->ctx != NULL && EVP_DigestInit_ex(stream->ctx, sha256, NULL) == 1);
    return stream;
}

void digest_stream_add(struct digest_stream *stream, const void *data, size_t len) {
    CHECK(EVP_DigestUpdate(stream->ctx, data, len) == 1);
}

void digest_stream_end(struct digest_stream *stream, uint8_t out[DIGEST_SIZE]) {
    CHECK(EVP_DigestFinal_ex(stream->ctx, out, NULL) == 1);
    CHECK(EVP_DigestInit_ex(stream->ctx, sha256, NULL) == 1);
}

void digest_stream_free(struct digest_stream *stream) {
    EVP_MD_CTX_free(stream->ctx);
    free(stream);
}

void digest_hmac_pieces(const void *key, size_t key_len, const struct digest_piece *pieces,
                        size_t n, uint8_t out[DIGEST_SIZE]) {
    EVP_MAC_CTX *ctx;
    size_t out_len = 0;

    fetch_once();
    ctx = EVP_MAC_CTX_dup(hmac);
    CHECK(ctx != NULL);
    /* A NULL key would mean "keep the one of the template". */
    CHECK(EVP_MAC_init(ctx, key_len == 0 ? (const uint8_t *)"" : key, key_len, NULL) == 1);
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].len > 0) {
            CHECK(EVP_MAC_update(ctx, pieces[i].data, pieces[i].len) == 1);
        }
    }
    CHECK(EVP_MAC_final(ctx, out, &out_len, DIGEST_SIZE) == 1 && out_len == DIGEST_SIZE);
    EVP_MAC_CTX_free(ctx);
}

void digest_hmac(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[DIGEST_SIZE]) {
    const struct digest_piece piece = {data, len};
    digest_hmac_pieces(key, key_len, &piece, 1, out);
}

/* RFC 5869 with one block of output. */
void digest_hkdf(const void *key, size_t key_len, const char *info, uint8_t out[DIGEST_SIZE]) {
    static const uint8_t no_salt[DIGEST_SIZE] = {0};
    const uint8_t block_number = 1;
    const struct digest_piece pieces[] = {{info, strlen(info)}, {&block_number, 1}};
    uint8_t extracted[DIGEST_SIZE];

    digest_hmac(no_salt, sizeof(no_salt), key, key_len, extracted);
    digest_hmac_pieces(extracted, sizeof(extracted), pieces, ARRAY_LEN(pieces), out);
    wipe(extracted, sizeof(extracted));
}

bool digest_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

/* Base64 is ours: OpenSSL's block decoder takes white space and counts the padding as data, and its
 * encoder writes one byte past the text. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *data, size_t len) {
    const uint8_t *from = data;
    size_t out_len;
    uint8_t *to;

    if (len == 0) {
        return;
    }
    if (len > SIZE_MAX / 4) { /* no buffer can hold it */
        out->failed = true;
        return;
    }
    out_len = (len + 2) / 3 * 4;
    to = buf_reserve(out, out_len);
    if (to == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)from[i] << 16;
        group |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)from[i + 2] : 0;
        *to++ = (uint8_t)alphabet[group >> 18];
        *to++ = (uint8_t)alphabet[group >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)alphabet[group >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)alphabet[group & 63] : '=';
    }
    out->len += out_len;
}

/* 0 to 63, or -1. */
static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last `pad` of which are padding, to 3 - pad bytes. */
static bool decode_group(const char *text, size_t pad, uint8_t *out) {
    uint32_t group = 0;

    for (size_t i = 0; i < 4 - pad; i++) {
        int value = value_of(text[i]);
        if (value < 0) {
            return false;
        }
        group |= (uint32_t)value << (18 - 6 * i);
    }
    /* One text for each content: bits that belong to no byte must be zero. */
    if ((group & ((1U << 8 * pad) - 1)) != 0) {
        return false;
    }
    for (size_t i = 0; i < 3 - pad; i++) {
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    }
    return true;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *ret_len) {
    size_t pad = 0;

    if (len % 4 != 0) {
        return false;
    }
    if (len > 0 && text[len - 1] == '=') {
        pad = text[len - 2] == '=' ? 2 : 1;
    }
    for (size_t i = 0; i < len; i += 4) {
        bool is_last = i + 4 == len;
        if (!decode_group(text + i, is_last ? pad : 0, out + i / 4 * 3)) {
            return false;
        }
    }
    *ret_len = len / 4 * 3 - pad;
    return true;
}
