/* The canonical request and the string to sign of Signature Version 4. Pure.
 *
 * Internal to crypto/. Two requests that differ in anything signed have different canonical
 * requests. */
#ifndef CRYPTO_SIGV4_CANONICAL_H
#define CRYPTO_SIGV4_CANONICAL_H

#include "base/buf.h"
#include "crypto/sigv4.h"

#include <stdbool.h>

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"

/* The largest canonical request: path and query encoded, and each signed header once. */
enum { SIGV4_CANONICAL_MAX = 64 * 1024 };

/* Append the canonical request; look at out->failed too. False when the request has none: the
 * signed headers are not sorted, unique, lower case, all there, and with `host` (and `x-amz-target`
 * where it is sent) among them; the declared payload hash is not the body's; a path without a
 * leading '/'; bad percent-encoding in the query. */
MUSTCHECK bool sigv4_canonical_request(const struct sigv4_request *request,
                                       const struct sigv4_claim *claim, struct buf *out);
/* The signature of a canonical request. */
void sigv4_signature(const struct sigv4_claim *claim, const char *terminator,
                     const uint8_t signing_key[32], const struct buf *canonical, uint8_t out[32]);

/* How often the header is there (any case); *ret is the first one, NULL if none. */
size_t sigv4_header_find(const struct sigv4_request *request, const char *name, size_t name_len,
                         const struct sigv4_header **ret);
/* Without the blanks and tabs around it. */
void sigv4_trim(const char **text, size_t *len);

#endif
