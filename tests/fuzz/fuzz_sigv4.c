/* A raw request, split into a sigv4_request: reading it never breaks, it never verifies under a key
 * that nobody signed with, and what our own signer signs verifies, but for one flipped bit. */
#include "base/check.h"
#include "crypto/sigv4.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS_MAX = 64 };

static const int64_t NOW_MS = 1768480245000; /* of the corpus */
static const uint8_t KEY[32] = "a key that signed nothing at all";

/* Up to `separator`, which *at moves behind; to `end` without one. */
static size_t take(const char **at, const char *end, char separator, const char **ret) {
    const char *from = *at;
    const char *stop = from == end ? NULL : memchr(from, separator, (size_t)(end - from));

    *ret = from;
    *at = stop ? stop + 1 : end;
    return (size_t)((stop ? stop : end) - from);
}

/* METHOD SP path?query LF, header lines, an empty line, the body. */
static void split(const char *at, const char *end, char method[16], struct sigv4_header *headers,
                  struct sigv4_request *ret) {
    const char *word, *mark;
    size_t len = take(&at, end, ' ', &word);

    memset(ret, 0, sizeof(*ret));
    memset(method, 0, 16);
    memcpy(method, word, len < 15 ? len : 15);
    ret->method = method;
    len = take(&at, end, '\n', &word);
    mark = len == 0 ? NULL : memchr(word, '?', len);
    ret->path = word;
    ret->path_len = mark ? (size_t)(mark - word) : len;
    ret->query = mark ? mark + 1 : word + len;
    ret->query_len = mark ? len - ret->path_len - 1 : 0;
    ret->headers = headers;
    while (at < end && ret->n_headers < HEADERS_MAX) {
        const char *line, *line_end, *name;
        struct sigv4_header *header = &headers[ret->n_headers];

        len = take(&at, end, '\n', &line);
        if (len == 0) {
            break;
        }
        line_end = line + len;
        header->name_len = take(&line, line_end, ':', &name);
        header->name = name;
        header->value = line;
        header->value_len = (size_t)(line_end - line);
        ret->n_headers++;
    }
    ret->body = (const uint8_t *)at;
    ret->body_len = (size_t)(end - at);
}

static bool name_is_authorization(const struct sigv4_header *header) {
    static const char name[] = "authorization";

    for (size_t i = 0; i < header->name_len && i < sizeof(name) - 1; i++) {
        if ((header->name[i] | 0x20) != name[i]) {
            return false;
        }
    }
    return header->name_len == sizeof(name) - 1;
}

/* Sign what the request claims, put the result in place of its Authorization: it must verify. */
static void sign_and_verify(struct sigv4_request *request, struct sigv4_header *headers,
                            const struct sigv4_claim *claim) {
    static const char terminator[] = "aws4_request";
    char authorization[4096];
    struct sigv4_claim again;

    if (claim->query_form || strcmp(claim->terminator, terminator) != 0 ||
        !sigv4_sign(request, claim, KEY, authorization, sizeof(authorization))) {
        return;
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        if (name_is_authorization(&headers[i])) {
            headers[i].value = authorization;
            headers[i].value_len = strlen(authorization);
        }
    }
    CHECK(sigv4_parse(request, &again, NULL) == OK);
    /* Nobody signs the signature, but a request may claim that. */
    if (memmem(claim->signed_headers, claim->signed_headers_len, "authorization", 13) != NULL) {
        return;
    }
    CHECK(sigv4_verify(request, &again, KEY, NULL) == OK);
    again.signature[request->body_len % sizeof(again.signature)] ^= 1;
    CHECK(sigv4_verify(request, &again, KEY, NULL) == ERR_INVALID_SIGNATURE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sigv4_header headers[HEADERS_MAX];
    struct sigv4_request request;
    struct sigv4_claim claim;
    char method[16];
    struct err err;
    enum errc errc;

    split((const char *)data, (const char *)data + size, method, headers, &request);
    errc = sigv4_parse(&request, &claim, &err);
    if (errc != OK) {
        CHECK(errc == ERR_MISSING_AUTHENTICATION || errc == ERR_INCOMPLETE_SIGNATURE ||
              errc == ERR_INVALID_SIGNATURE || errc == ERR_UNRECOGNIZED_CLIENT);
        CHECK(err.code == errc && memchr(err.message, '\0', sizeof(err.message)) != NULL);
        for (const char *c = err.message; *c != '\0'; c++) {
            CHECK(*c >= 0x20 && *c < 0x7f); /* fit for a JSON text, whatever was sent */
        }
        return 0;
    }
    errc = sigv4_check_scope(&claim, "secretsmanager", NOW_MS, &err);
    CHECK(errc == OK || errc == ERR_INVALID_SIGNATURE);
    errc = sigv4_verify(&request, &claim, KEY, &err);
    CHECK(errc == ERR_INVALID_SIGNATURE || errc == ERR_NO_MEMORY);
    sign_and_verify(&request, headers, &claim);
    return 0;
}
