/* AWS Signature Version 4, header form and query form: parse, canonicalise, verify. Pure: time
 * comes in, nothing is looked up.
 *
 * Source: AWS_BEHAVIOUR 1.6 (errors and their texts, order), 1.8 (canonicalisation), 1.9
 * (vectors), 1.10 (query form). */
#ifndef CRYPTO_SIGV4_H
#define CRYPTO_SIGV4_H

#include "base/errc.h"
#include "base/wipe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sigv4_header {
    const char *name; /* as sent, any case */
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* A request as the door read it. Everything is borrowed. */
struct sigv4_request {
    const char *method;
    const char *path; /* raw, without the query */
    size_t path_len;
    const char *query; /* raw, without '?'; may be empty */
    size_t query_len;
    const struct sigv4_header *headers;
    size_t n_headers;
    const uint8_t *body;
    size_t body_len;
};

enum {
    SIGV4_KEY_ID_MAX = 128,
    SIGV4_SCOPE_MAX = 128,
    SIGV4_SIGNED_HEADERS_MAX = 2047,
    SIGV4_TOKEN_MAX = 4096
};

/* What the request says of itself before anything is believed. */
struct sigv4_claim {
    bool query_form;
    char access_key_id[SIGV4_KEY_ID_MAX + 1];
    char date[9]; /* of the scope: yyyymmdd */
    char region[SIGV4_SCOPE_MAX + 1];
    char service[SIGV4_SCOPE_MAX + 1];
    char terminator[SIGV4_SCOPE_MAX + 1];
    char timestamp[17]; /* YYYYMMDDTHHMMSSZ */
    int64_t timestamp_ms;
    int64_t expires_s;          /* query form, 15 minutes when absent; -1 in header form */
    const char *signed_headers; /* header form: borrowed from the request; NULL in query form */
    size_t signed_headers_len;  /* of either */
    char signed_headers_text[SIGV4_SIGNED_HEADERS_MAX + 1]; /* query form: percent-decoded */
    uint8_t signature[32];
    const char *security_token; /* borrowed, NULL when absent; query form: still percent-encoded */
    size_t security_token_len;
};

/* Read the claim: from the Authorization header where there is one, else from the query. Every part
 * has its cap, may come once, and in any order; unknown parts of the header are refused.
 * ERR_MISSING_AUTHENTICATION, ERR_INCOMPLETE_SIGNATURE with AWS's sentences; ERR_INVALID_SIGNATURE
 * for a signature that is not 64 lower-case hex digits; ERR_UNRECOGNIZED_CLIENT for a security
 * token that is repeated or longer than any. */
MUSTCHECK enum errc sigv4_parse(const struct sigv4_request *request, struct sigv4_claim *ret,
                                struct err *err);

/* Scope and clock, for a claim that was parsed: service, terminator, date against timestamp, the
 * window of 15 minutes or the expiry of the query form. The region is the caller's matter (requests
 * for other regions are forwarded). */
MUSTCHECK enum errc sigv4_check_scope(const struct sigv4_claim *claim, const char *service,
                                      int64_t now_ms, struct err *err);

/* HMAC chain of the secret key; 32 bytes, cacheable per (secret, date, region, service). */
void sigv4_signing_key(const struct secret *secret_key, const char *date, const char *region,
                       const char *service, uint8_t out[32]);

/* Recompute and compare in constant time. `host` and, when sent, `x-amz-target` must be among the
 * signed headers; X-Amz-Content-SHA256 (a header, in query form also a parameter) must be the
 * body's hash, or UNSIGNED-PAYLOAD. A session's token may be signed or not: whoever checks it
 * compares it with the one that he has. In header form the whole query is signed, in query form all
 * but X-Amz-Signature. Equal to the signature, and so to be treated as equal by whoever reads the
 * request: doubled slashes and dot segments of the path, the order of query parameters of different
 * names, percent-encoding of unreserved characters, runs of blanks in header values. A '+' in the
 * query is a plus sign. ERR_INVALID_SIGNATURE, ERR_NO_MEMORY. */
MUSTCHECK enum errc sigv4_verify(const struct sigv4_request *request,
                                 const struct sigv4_claim *claim, const uint8_t signing_key[32],
                                 struct err *err);

/* For clients of our own (load generator, tests): the value of the Authorization header. `claim`
 * needs access_key_id, date, region, service, timestamp and signed_headers. Writes a NUL-terminated
 * text; false if it does not fit. */
MUSTCHECK bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_claim *claim,
                          const uint8_t signing_key[32], char *out, size_t out_size);

#endif
