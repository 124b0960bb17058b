/* SHA-256, HMAC-SHA-256, HKDF, constant-time comparison, base64: thin doors to OpenSSL. Algorithms
 * are fetched once. Any thread. Failures of OpenSSL itself (no memory) abort: there is no sensible
 * answer without a digest. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32 };

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SIZE]);
/* SHA-256 of what comes in pieces. Returns owned; aborts without memory. */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_add(struct digest_stream *stream, const void *data, size_t len);
/* The digest of all that was added, and the stream is as new. */
void digest_stream_end(struct digest_stream *stream, uint8_t out[DIGEST_SIZE]);
void digest_stream_free(struct digest_stream *stream);
void digest_hmac(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t out[DIGEST_SIZE]);
/* HMAC over several pieces, end to end. */
struct digest_piece {
    const void *data;
    size_t len;
};
void digest_hmac_pieces(const void *key, size_t key_len, const struct digest_piece *pieces,
                        size_t n, uint8_t out[DIGEST_SIZE]);
/* HKDF-SHA-256 without salt; `info` says what the key is for. */
void digest_hkdf(const void *key, size_t key_len, const char *info, uint8_t out[DIGEST_SIZE]);
MUSTCHECK bool digest_equal(const void *a, const void *b, size_t len);

/* Standard alphabet with padding. Appends (look at out->failed). */
void base64_encode(struct buf *out, const void *data, size_t len);
/* Strict: no white space, right padding, no bits left over. Writes at most len / 4 * 3 bytes to
 * `out`; false otherwise. */
MUSTCHECK bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *ret_len);

#endif
