/* Query strings as signatures see them: parameters, percent-decoding, the canonical form. Pure.
 *
 * Internal to crypto/. A '+' is a plus sign, as RFC 3986 has it, and stays one (%2B). */
#ifndef CRYPTO_SIGV4_QUERY_H
#define CRYPTO_SIGV4_QUERY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Views into the raw query. */
struct query_param {
    const char *key;
    size_t key_len;
    const char *value; /* empty when there is no '=' */
    size_t value_len;
};

/* The parameter at *at, which moves behind it; false at the end. Start with *at = 0. */
MUSTCHECK bool query_next(const char *query, size_t len, size_t *at, struct query_param *ret);
/* Undo percent-encoding into `out`, NUL-terminated. False for a '%' without two hex digits, or when
 * it does not fit. */
MUSTCHECK bool query_decode(const char *raw, size_t len, char *out, size_t out_size,
                            size_t *ret_len);
/* The decoded key is `name`. */
bool query_key_is(const struct query_param *param, const char *name);
/* Append the parameters, encoded anew, sorted by key, then value, without those named `left_out`
 * (may be NULL). False for bad percent-encoding or more than LIMIT_QUERY_PARAMS parameters; look at
 * out->failed too. */
MUSTCHECK bool query_canonical(const char *query, size_t len, const char *left_out,
                               struct buf *out);

/* Append a byte: unreserved characters as they are, others as %XX. */
void query_encode_byte(struct buf *out, uint8_t byte);

#endif
