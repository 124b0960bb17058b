/* Signed requests in memory that a test may change, and the whole way of a request through
 * sigv4.h, for the tests of it. Functions are inline so that a test may leave some unused. */
#ifndef TESTS_CRYPTO_SIGV4_SAMPLE_H
#define TESTS_CRYPTO_SIGV4_SAMPLE_H

#include "base/bytes.h"
#include "base/check.h"
#include "base/world.h"
#include "crypto/digest.h"
#include "crypto/sigv4.h"
#include "crypto/sigv4_canonical.h"
#include "crypto/sigv4_query.h"
#include "crypto/sigv4_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HEADERS_MAX = 12, VALUE_SIZE = 3000 };

/* A request in memory that a test may change. */
struct sample {
    char method[16];
    char path[256];
    char query[4096];
    char names[HEADERS_MAX][64];
    char values[HEADERS_MAX][VALUE_SIZE];
    size_t n_headers;
    uint8_t body[256];
    size_t body_len;
    struct sigv4_header views[HEADERS_MAX];
};

static const char KEY[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
static const char BODY[] = "{\"SecretId\": \"MyTestSecret\"}";
static const char HOST[] = "secretsmanager.us-east-1.amazonaws.com";
static const char STAMP[] = "20260115T123045Z";
static const char MISMATCH[] =
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details.";

#define SCOPE         "20260115/us-east-1/secretsmanager/aws4_request"
#define CREDENTIAL    "Credential=AKIDEXAMPLE/" SCOPE
#define SIGNATURE     "072f43d5f6c83b680791db6c861b78a796e06c296363d05c3df204efd9c3b32a"
#define NAMES         "SignedHeaders=content-type;host;x-amz-date;x-amz-target"
#define AUTHORIZATION SIGV4_ALGORITHM " " CREDENTIAL ", " NAMES ", Signature=" SIGNATURE

/* Numbers that a seed replays (xorshift). */
static uint64_t draws;

static inline uint64_t draw(void) {
    draws ^= draws << 13;
    draws ^= draws >> 7;
    draws ^= draws << 17;
    return draws;
}

static inline void seed_draws(void) {
    world_random(world_system(), &draws, sizeof(draws));
    draws |= 1;
    print_message("seed %" PRIu64 "\n", draws);
}

static inline int64_t now_ms(void) {
    int64_t ms;

    assert_true(sigv4_time_parse_basic(STAMP, 16, &ms));
    return ms;
}

static inline void set(char *out, size_t size, const char *text) {
    size_t len = strlen(text);

    assert_true(len < size);
    memcpy(out, text, len + 1);
}

static inline void add_header(struct sample *s, const char *name, const char *value) {
    assert_true(s->n_headers < HEADERS_MAX);
    set(s->names[s->n_headers], sizeof(s->names[0]), name);
    set(s->values[s->n_headers], sizeof(s->values[0]), value);
    s->n_headers++;
}

static inline char *value_of(struct sample *s, const char *name) {
    for (size_t i = 0; i < s->n_headers; i++) {
        if (strcasecmp(s->names[i], name) == 0) {
            return s->values[i];
        }
    }
    fail_msg("no header %s", name);
    return NULL;
}

static inline void drop_header(struct sample *s, const char *name) {
    for (size_t i = 0; i < s->n_headers; i++) {
        if (strcasecmp(s->names[i], name) == 0) {
            s->n_headers--;
            memmove(s->names[i], s->names[i + 1], (s->n_headers - i) * sizeof(s->names[0]));
            memmove(s->values[i], s->values[i + 1], (s->n_headers - i) * sizeof(s->values[0]));
            return;
        }
    }
}

static inline void set_value(struct sample *s, const char *name, const char *value) {
    set(value_of(s, name), VALUE_SIZE, value);
}

static inline struct sigv4_request view(struct sample *s) {
    for (size_t i = 0; i < s->n_headers; i++) {
        s->views[i] = (struct sigv4_header){s->names[i], strlen(s->names[i]), s->values[i],
                                            strlen(s->values[i])};
    }
    return (struct sigv4_request){.method = s->method,
                                  .path = s->path,
                                  .path_len = strlen(s->path),
                                  .query = s->query,
                                  .query_len = strlen(s->query),
                                  .headers = s->views,
                                  .n_headers = s->n_headers,
                                  .body = s->body,
                                  .body_len = s->body_len};
}

static inline void signing_key(const char *date, const char *region, const char *service,
                               uint8_t out[32]) {
    struct secret secret;

    assert_true(secret_init_copy(&secret, KEY, strlen(KEY)));
    sigv4_signing_key(&secret, date, region, service, out);
    secret_fini(&secret);
}

/* The whole way of a request, as the server goes it. */
static inline enum errc authenticate_at(struct sample *s, int64_t at_ms, struct err *err) {
    struct sigv4_request request = view(s);
    struct sigv4_claim claim;
    uint8_t key[32];
    enum errc errc = sigv4_parse(&request, &claim, err);

    if (errc != OK) {
        return errc;
    }
    if (strcmp(claim.access_key_id, "AKIDEXAMPLE") != 0) {
        return err_default(err, ERR_UNRECOGNIZED_CLIENT);
    }
    errc = sigv4_check_scope(&claim, "secretsmanager", at_ms, err);
    if (errc != OK) {
        return errc;
    }
    signing_key(claim.date, claim.region, claim.service, key);
    return sigv4_verify(&request, &claim, key, err);
}

static inline enum errc authenticate(struct sample *s, struct err *err) {
    return authenticate_at(s, now_ms(), err);
}

static inline void assert_accepted(struct sample *s) {
    struct err err;

    if (authenticate(s, &err) != OK) {
        fail_msg("refused: %s", err.message);
    }
}

static inline void assert_refused(struct sample *s, enum errc code, const char *sentence) {
    struct err err;

    assert_int_equal(authenticate(s, &err), code);
    assert_int_equal(err.code, code);
    assert_string_equal(err.message, sentence);
}

static inline void assert_mismatch(struct sample *s) {
    assert_refused(s, ERR_INVALID_SIGNATURE, MISMATCH);
}

static inline void empty_sample(struct sample *s, const char *method, const char *path,
                                const char *query) {
    memset(s, 0, sizeof(*s));
    set(s->method, sizeof(s->method), method);
    set(s->path, sizeof(s->path), path);
    set(s->query, sizeof(s->query), query);
}

static inline void set_body(struct sample *s, const void *body, size_t len) {
    memcpy(s->body, body, len);
    s->body_len = len;
}

/* The three vectors of AWS_BEHAVIOUR 1.9. */
static inline void header_sample(struct sample *s) {
    empty_sample(s, "POST", "/", "");
    add_header(s, "Host", HOST);
    add_header(s, "X-Amz-Target", "secretsmanager.GetSecretValue");
    add_header(s, "Content-Type", "application/x-amz-json-1.1");
    add_header(s, "User-Agent", "Botocore/1.29");
    add_header(s, "X-Amz-Date", STAMP);
    add_header(s, "Authorization", AUTHORIZATION);
    set_body(s, BODY, strlen(BODY));
}

static inline void token_sample(struct sample *s) {
    header_sample(s);
    add_header(s, "X-Amz-Security-Token", "SESSIONTOKENEXAMPLE");
    set_value(s, "Authorization",
              SIGV4_ALGORITHM
              " " CREDENTIAL ", SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
              "x-amz-target, "
              "Signature=5386b1e7b85491d465d50c3651977556534c39c3202f9b95f9380b0a9ac970c7");
}

#define QUERY_HEAD                                                                                 \
    "SecretId=MyTestSecret&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F"       \
    "20260115%2Fus-east-1%2Fsecretsmanager%2Faws4_request&X-Amz-Date=20260115T123045Z&"            \
    "X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target"
#define QUERY_SIGNATURE "1286631618adcbb35d57cea22d3350f76aa784388241325326603468c303a7c0"

static inline void query_sample(struct sample *s) {
    empty_sample(s, "POST", "/", QUERY_HEAD "&X-Amz-Signature=" QUERY_SIGNATURE);
    add_header(s, "Host", HOST);
    add_header(s, "Content-Type", "application/x-amz-json-1.1");
    add_header(s, "X-Amz-Target", "secretsmanager.GetSecretValue");
}

/* Sign a sample with our own signer; it has every header but Authorization. */
static inline void sign(struct sample *s, const char *signed_headers) {
    struct sigv4_claim claim = {.access_key_id = "AKIDEXAMPLE",
                                .date = "20260115",
                                .region = "us-east-1",
                                .service = "secretsmanager",
                                .signed_headers = signed_headers,
                                .signed_headers_len = strlen(signed_headers)};
    struct sigv4_request request;
    char authorization[1024];
    uint8_t key[32];

    drop_header(s, "Authorization");
    memcpy(claim.timestamp, STAMP, sizeof(claim.timestamp));
    request = view(s);
    signing_key("20260115", "us-east-1", "secretsmanager", key);
    assert_true(sigv4_sign(&request, &claim, key, authorization, sizeof(authorization)));
    add_header(s, "Authorization", authorization);
}

#endif
