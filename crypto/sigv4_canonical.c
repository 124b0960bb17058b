#include "crypto/sigv4_canonical.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/sigv4_query.h"

#include <string.h>
#include <strings.h>

enum { DECLARED_MAX = 128 }; /* a hash is 64, UNSIGNED-PAYLOAD shorter */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

void sigv4_trim(const char **text, size_t *len) {
    while (*len > 0 && is_blank((*text)[0])) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*text)[*len - 1])) {
        (*len)--;
    }
}

static bool header_is(const struct sigv4_header *header, const char *name, size_t name_len) {
    return header->name_len == name_len && strncasecmp(header->name, name, name_len) == 0;
}

size_t sigv4_header_find(const struct sigv4_request *request, const char *name, size_t name_len,
                         const struct sigv4_header **ret) {
    size_t found = 0;

    *ret = NULL;
    for (size_t i = 0; i < request->n_headers; i++) {
        if (header_is(&request->headers[i], name, name_len)) {
            if (found++ == 0) {
                *ret = &request->headers[i];
            }
        }
    }
    return found;
}

/* Remove the last segment, and the '/' before it, of what stands in `out` since `start`. */
static void drop_segment(struct buf *out, size_t start) {
    while (out->len > start && out->data[--out->len] != '/') {
    }
}

/* Dot segments and doubled slashes go; what is left is encoded once more, also its '%': services
 * other than S3 sign the encoded path encoded again. */
static bool append_path(const char *path, size_t len, struct buf *out) {
    size_t start = out->len;

    if (len == 0) {
        buf_append_u8(out, '/');
        return true;
    }
    if (path[0] != '/') {
        return false;
    }
    for (size_t at = 0; at < len && !out->failed;) {
        size_t end = ++at; /* behind the '/' */
        while (end < len && path[end] != '/') {
            end++;
        }
        if (end - at == 2 && path[at] == '.' && path[at + 1] == '.') {
            drop_segment(out, start);
        } else if (end > at && !(end - at == 1 && path[at] == '.')) {
            buf_append_u8(out, '/');
            for (size_t i = at; i < end; i++) {
                query_encode_byte(out, (uint8_t)path[i]);
            }
        }
        at = end;
    }
    if (path[len - 1] == '/' || out->len == start) {
        buf_append_u8(out, '/');
    }
    return true;
}

/* Runs of blanks become one space, those at the ends nothing. False for a character that could end
 * the line: the text would then stand for more than one request. */
static bool append_value(const char *value, size_t len, struct buf *out) {
    sigv4_trim(&value, &len);
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\n' || value[i] == '\r' || value[i] == '\0') {
            return false;
        }
        if (!is_blank(value[i])) {
            buf_append_u8(out, (uint8_t)value[i]);
        } else if (!is_blank(value[i + 1])) { /* the last one is no blank */
            buf_append_u8(out, ' ');
        }
    }
    return true;
}

/* One line: the name, and the values of all headers of that name. False if there is none, or a
 * bad one. */
static bool append_header(const struct sigv4_request *request, const char *name, size_t name_len,
                          struct buf *out) {
    char before = ':';

    buf_append(out, name, name_len);
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct sigv4_header *header = &request->headers[i];
        if (header_is(header, name, name_len)) {
            buf_append_u8(out, (uint8_t)before);
            if (!append_value(header->value, header->value_len, out)) {
                return false;
            }
            before = ',';
        }
    }
    buf_append_u8(out, '\n');
    return before == ',';
}

/* Characters of a header name, without upper case. */
static bool name_is_canonical(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL))) {
            return false;
        }
    }
    return len > 0;
}

static bool comes_after(const char *name, size_t len, const char *previous, size_t previous_len) {
    size_t common = len < previous_len ? len : previous_len;
    int order = memcmp(name, previous, common);

    return order > 0 || (order == 0 && len > previous_len);
}

static bool name_is(const char *name, size_t len, const char *expected) {
    return len == strlen(expected) && memcmp(name, expected, len) == 0;
}

static bool append_headers(const struct sigv4_request *request, const char *names, size_t names_len,
                           struct buf *out) {
    const char *previous = "";
    size_t previous_len = 0;
    bool host_is_signed = false, target_is_signed = false;
    const struct sigv4_header *target;

    for (size_t at = 0; at <= names_len;) {
        const char *name = names + at;
        const char *end = at < names_len ? memchr(name, ';', names_len - at) : NULL;
        size_t len = end ? (size_t)(end - name) : names_len - at;

        if (!name_is_canonical(name, len) || !comes_after(name, len, previous, previous_len) ||
            !append_header(request, name, len, out)) {
            return false;
        }
        host_is_signed = host_is_signed || name_is(name, len, "host");
        target_is_signed = target_is_signed || name_is(name, len, "x-amz-target");
        previous = name;
        previous_len = len;
        at += len + 1;
    }
    return host_is_signed &&
           (target_is_signed || sigv4_header_find(request, "x-amz-target", 12, &target) == 0);
}

/* The hash that the request declares of its body: in a header, or, in query form, where a presigner
 * puts the headers that it finds. False: twice, or badly encoded. */
static bool declared_hash(const struct sigv4_request *request, const struct sigv4_claim *claim,
                          char out[DECLARED_MAX], size_t *ret_len) {
    const struct sigv4_header *header;
    size_t n = sigv4_header_find(request, "x-amz-content-sha256", 20, &header);
    struct query_param param;
    size_t at = 0;

    *ret_len = 0;
    if (n == 1) {
        const char *value = header->value;
        size_t len = header->value_len;
        sigv4_trim(&value, &len);
        if (len == 0 || len >= DECLARED_MAX) {
            return false;
        }
        memcpy(out, value, len);
        *ret_len = len;
    }
    while (claim->query_form && query_next(request->query, request->query_len, &at, &param)) {
        if (!query_key_is(&param, "X-Amz-Content-Sha256") &&
            !query_key_is(&param, "x-amz-content-sha256")) {
            continue;
        }
        if (++n > 1 || !query_decode(param.value, param.value_len, out, DECLARED_MAX, ret_len) ||
            *ret_len == 0) {
            return false;
        }
    }
    return n <= 1;
}

static bool append_payload_hash(const struct sigv4_request *request,
                                const struct sigv4_claim *claim, struct buf *out) {
    static const char unsigned_payload[] = "UNSIGNED-PAYLOAD";
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    char declared[DECLARED_MAX];
    size_t len;

    if (!declared_hash(request, claim, declared, &len)) {
        return false;
    }
    if (name_is(declared, len, unsigned_payload)) {
        buf_append_str(out, unsigned_payload);
        return true;
    }
    digest_sha256(request->body, request->body_len, digest);
    hex_encode(digest, sizeof(digest), hex);
    if (len > 0 && !name_is(declared, len, hex)) {
        return false;
    }
    buf_append_str(out, hex);
    return true;
}

bool sigv4_canonical_request(const struct sigv4_request *request, const struct sigv4_claim *claim,
                             struct buf *out) {
    const char *names = claim->query_form ? claim->signed_headers_text : claim->signed_headers;
    size_t names_len = claim->signed_headers_len;
    /* In header form nothing is left out: there the signature is not in the query, and a parameter
     * of that name is as signed as any other. */
    const char *left_out = claim->query_form ? "X-Amz-Signature" : NULL;

    buf_append_str(out, request->method);
    buf_append_u8(out, '\n');
    if (!append_path(request->path, request->path_len, out)) {
        return false;
    }
    buf_append_u8(out, '\n');
    if (!query_canonical(request->query, request->query_len, left_out, out)) {
        return false;
    }
    buf_append_u8(out, '\n');
    if (!append_headers(request, names, names_len, out)) {
        return false;
    }
    buf_append_u8(out, '\n');
    buf_append(out, names, names_len);
    buf_append_u8(out, '\n');
    return append_payload_hash(request, claim, out);
}

void sigv4_signature(const struct sigv4_claim *claim, const char *terminator,
                     const uint8_t signing_key[32], const struct buf *canonical, uint8_t out[32]) {
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    const struct digest_piece pieces[] = {{SIGV4_ALGORITHM "\n", sizeof(SIGV4_ALGORITHM)},
                                          {claim->timestamp, strlen(claim->timestamp)},
                                          {"\n", 1},
                                          {claim->date, strlen(claim->date)},
                                          {"/", 1},
                                          {claim->region, strlen(claim->region)},
                                          {"/", 1},
                                          {claim->service, strlen(claim->service)},
                                          {"/", 1},
                                          {terminator, strlen(terminator)},
                                          {"\n", 1},
                                          {hex, sizeof(hex) - 1}};

    digest_sha256(canonical->data, canonical->len, digest);
    hex_encode(digest, sizeof(digest), hex);
    digest_hmac_pieces(signing_key, 32, pieces, ARRAY_LEN(pieces), out);
}
