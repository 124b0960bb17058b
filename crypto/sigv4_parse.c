/* The reading half of sigv4.h: what a request says of its own signature. */
#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/sigv4.h"
#include "crypto/sigv4_canonical.h"
#include "crypto/sigv4_query.h"
#include "crypto/sigv4_time.h"

#include <stdio.h>
#include <string.h>

enum {
    CREDENTIAL_MAX = SIGV4_KEY_ID_MAX + 4 * (SIGV4_SCOPE_MAX + 1),
    EXPIRES_MAX_S = 7 * 24 * 3600,
    EXPIRES_DEFAULT_S = 15 * 60,
    ECHO_MAX = 512 /* of what a client sent, in an error sentence */
};

struct text {
    const char *at; /* NULL: absent */
    size_t len;
};

/* A copy that is fit for an error sentence: cut, and without anything but printable ASCII. */
static const char *echo(struct text text, char out[ECHO_MAX + 1]) {
    size_t len = text.len < ECHO_MAX ? text.len : ECHO_MAX;

    for (size_t i = 0; i < len; i++) {
        out[i] = text.at[i] >= 0x20 && text.at[i] < 0x7f ? text.at[i] : '?';
    }
    out[len] = '\0';
    return out;
}

static bool text_is(struct text text, const char *expected) {
    return text.len == strlen(expected) && memcmp(text.at, expected, text.len) == 0;
}

static bool is_graphic(struct text text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* The text up to `separator`, which *rest moves behind; all of it, and an absent rest, when there
 * is no separator. */
static struct text cut(struct text *rest, char separator) {
    struct text piece = *rest;
    const char *end = rest->len == 0 ? NULL : memchr(rest->at, separator, rest->len);

    if (end == NULL) {
        *rest = (struct text){NULL, 0};
        return piece;
    }
    piece.len = (size_t)(end - piece.at);
    rest->at = end + 1;
    rest->len -= piece.len + 1;
    return piece;
}

static bool copy_element(struct text element, char *out, size_t out_size) {
    if (element.at == NULL || element.len == 0 || element.len >= out_size) {
        return false;
    }
    memcpy(out, element.at, element.len);
    out[element.len] = '\0';
    return true;
}

/* keyid/date/region/service/term */
static enum errc parse_credential(struct text credential, struct sigv4_claim *claim,
                                  struct err *err) {
    struct text rest = credential;
    char shown[ECHO_MAX + 1];
    size_t slashes = 0;

    for (size_t i = 0; i < credential.len; i++) {
        slashes += credential.at[i] == '/';
    }
    if (slashes != 4) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Credential must have exactly 5 slash-delimited elements, e.g. "
                       "keyid/date/region/service/term, got '%s'",
                       echo(credential, shown));
    }
    if (!is_graphic(credential) ||
        !copy_element(cut(&rest, '/'), claim->access_key_id, sizeof(claim->access_key_id)) ||
        !copy_element(cut(&rest, '/'), claim->date, sizeof(claim->date)) ||
        !copy_element(cut(&rest, '/'), claim->region, sizeof(claim->region)) ||
        !copy_element(cut(&rest, '/'), claim->service, sizeof(claim->service)) ||
        !copy_element(cut(&rest, '/'), claim->terminator, sizeof(claim->terminator))) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Credential has an element that is empty, too long, or has characters "
                       "that it may not have, got '%s'",
                       echo(credential, shown));
    }
    return OK;
}

static enum errc parse_date(struct text date, bool http_too, struct sigv4_claim *claim,
                            struct err *err) {
    char shown[ECHO_MAX + 1];

    if (!sigv4_time_parse_basic(date.at, date.len, &claim->timestamp_ms) &&
        !(http_too && sigv4_time_parse_http(date.at, date.len, &claim->timestamp_ms))) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Date must be in ISO-8601 'basic format'. Got '%s'. See "
                       "http://en.wikipedia.org/wiki/ISO_8601",
                       echo(date, shown));
    }
    sigv4_time_format(claim->timestamp_ms, claim->timestamp);
    return OK;
}

/* One text for each signature: lower case only. What does not look like a signature cannot be the
 * right one. */
static enum errc parse_signature(struct text signature, struct sigv4_claim *claim,
                                 struct err *err) {
    for (size_t i = 0; i < signature.len; i++) {
        if (signature.at[i] >= 'A' && signature.at[i] <= 'F') {
            return err_default(err, ERR_INVALID_SIGNATURE);
        }
    }
    if (!hex_decode(signature.at, signature.len, claim->signature, sizeof(claim->signature))) {
        return err_default(err, ERR_INVALID_SIGNATURE);
    }
    return OK;
}

static enum errc check_token(struct text token, size_t times, struct sigv4_claim *claim,
                             struct err *err) {
    size_t max = claim->query_form ? 3 * (size_t)SIGV4_TOKEN_MAX : SIGV4_TOKEN_MAX;

    if (times > 1 || token.len > max) {
        return err_default(err, ERR_UNRECOGNIZED_CLIENT);
    }
    claim->security_token = token.at;
    claim->security_token_len = token.len;
    return OK;
}

/* What both forms have. */
struct parts {
    struct text credential, signed_headers, signature, date, token;
    size_t tokens;
    bool date_may_be_http;
};

static enum errc parse_parts(const struct parts *parts, struct sigv4_claim *claim,
                             struct err *err) {
    enum errc errc = parse_credential(parts->credential, claim, err);

    if (errc == OK) {
        errc = parse_date(parts->date, parts->date_may_be_http, claim, err);
    }
    if (errc == OK) {
        errc = parse_signature(parts->signature, claim, err);
    }
    if (errc == OK) {
        errc = check_token(parts->token, parts->tokens, claim, err);
    }
    return errc;
}

/* Header form. */

static struct text header_text(const struct sigv4_header *header) {
    struct text text = {NULL, 0};

    if (header != NULL) {
        text = (struct text){header->value, header->value_len};
        sigv4_trim(&text.at, &text.len);
    }
    return text;
}

static enum errc no_equal_sign(struct text fragment, struct text authorization, struct err *err) {
    uint8_t digest[DIGEST_SIZE];
    char shown[ECHO_MAX + 1];
    struct buf hash;

    digest_sha256(authorization.at, authorization.len, digest);
    buf_init(&hash, 64);
    base64_encode(&hash, digest, sizeof(digest));
    (void)err_set(err, ERR_INCOMPLETE_SIGNATURE,
                  "'%s': invalid key=value pair (missing equal-sign) in Authorization header "
                  "(hashed with SHA-256 and encoded with Base64): '%.*s'.",
                  echo(fragment, shown), (int)hash.len, (const char *)hash.data);
    buf_fini(&hash);
    return ERR_INCOMPLETE_SIGNATURE;
}

static enum errc put_part(struct text key, struct text value, struct parts *parts,
                          struct err *err) {
    struct text *slot = text_is(key, "Credential")      ? &parts->credential
                        : text_is(key, "SignedHeaders") ? &parts->signed_headers
                        : text_is(key, "Signature")     ? &parts->signature
                                                        : NULL;
    char shown[ECHO_MAX + 1];

    if (slot == NULL || slot->at != NULL) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "Authorization header has %s parameter '%s'.",
                       slot ? "more than one" : "an unknown", echo(key, shown));
    }
    *slot = value;
    return OK;
}

static enum errc split_authorization(struct text authorization, struct parts *parts,
                                     struct err *err) {
    struct text rest = authorization, algorithm;
    char shown[ECHO_MAX + 1];
    enum errc errc = OK;

    algorithm = cut(&rest, ' ');
    if (!text_is(algorithm, SIGV4_ALGORITHM)) {
        if (rest.at == NULL) {
            algorithm.len = 0; /* a lone word is no algorithm, and may be a password */
        }
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "Unsupported AWS 'algorithm': '%s'.",
                       echo(algorithm, shown));
    }
    while (errc == OK && rest.at != NULL) {
        struct text value = cut(&rest, ','), key;
        struct text fragment;

        sigv4_trim(&value.at, &value.len);
        fragment = value;
        key = cut(&value, '=');
        if (value.at == NULL) {
            return no_equal_sign(fragment, authorization, err);
        }
        errc = put_part(key, value, parts, err);
    }
    return errc;
}

static enum errc check_parts(struct text authorization, const struct parts *parts,
                             struct err *err) {
    char shown[ECHO_MAX + 1];

    if (parts->credential.at == NULL || parts->signature.at == NULL ||
        parts->signed_headers.at == NULL || parts->date.at == NULL) {
        return err_set(
            err, ERR_INCOMPLETE_SIGNATURE, "%s%s%s%sAuthorization=%s",
            parts->credential.at ? "" : "Authorization header requires 'Credential' parameter. ",
            parts->signature.at ? "" : "Authorization header requires 'Signature' parameter. ",
            parts->signed_headers.at ? ""
                                     : "Authorization header requires 'SignedHeaders' parameter. ",
            parts->date.at ? ""
                           : "Authorization header requires existence of either a 'X-Amz-Date' or "
                             "a 'Date' header. ",
            echo(authorization, shown));
    }
    if (parts->credential.len > CREDENTIAL_MAX ||
        parts->signed_headers.len > SIGV4_SIGNED_HEADERS_MAX) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header has a parameter that is too long.");
    }
    return OK;
}

static enum errc parse_header_form(const struct sigv4_request *request, struct text authorization,
                                   struct sigv4_claim *claim, struct err *err) {
    const struct sigv4_header *date, *token;
    size_t dates = sigv4_header_find(request, "x-amz-date", 10, &date);
    struct parts parts = {.date_may_be_http = dates == 0};
    enum errc errc;

    if (dates == 0) {
        dates = sigv4_header_find(request, "date", 4, &date);
    }
    parts.date = header_text(date);
    parts.tokens = sigv4_header_find(request, "x-amz-security-token", 20, &token);
    parts.token = header_text(token);
    errc = split_authorization(authorization, &parts, err);
    if (errc == OK) {
        errc = check_parts(authorization, &parts, err);
    }
    if (errc == OK && dates > 1) {
        errc = err_set(err, ERR_INCOMPLETE_SIGNATURE, "The date of the request is repeated.");
    }
    if (errc == OK) {
        errc = parse_parts(&parts, claim, err);
    }
    claim->expires_s = -1;
    claim->signed_headers = parts.signed_headers.at;
    claim->signed_headers_len = parts.signed_headers.len;
    return errc;
}

/* Query form. */

enum query_part {
    PART_ALGORITHM,
    PART_CREDENTIAL,
    PART_SIGNED_HEADERS,
    PART_DATE,
    PART_EXPIRES,
    PART_TOKEN,
    PART_SIGNATURE,
    PARTS
};

static const char *const part_names[PARTS] = {
    [PART_ALGORITHM] = "X-Amz-Algorithm",
    [PART_CREDENTIAL] = "X-Amz-Credential",
    [PART_SIGNED_HEADERS] = "X-Amz-SignedHeaders",
    [PART_DATE] = "X-Amz-Date",
    [PART_EXPIRES] = "X-Amz-Expires",
    [PART_TOKEN] = "X-Amz-Security-Token",
    [PART_SIGNATURE] = "X-Amz-Signature",
};

/* The parts as they stand in the query. A part that is repeated leaves its name in *ret_repeated.
 */
static void find_parts(const struct sigv4_request *request, struct text parts[PARTS],
                       const char **ret_repeated) {
    struct query_param param;
    size_t at = 0;

    *ret_repeated = NULL;
    memset(parts, 0, PARTS * sizeof(parts[0]));
    while (query_next(request->query, request->query_len, &at, &param)) {
        for (size_t i = 0; i < PARTS; i++) {
            if (!query_key_is(&param, part_names[i])) {
                continue;
            }
            if (parts[i].at != NULL) {
                *ret_repeated = part_names[i];
            }
            parts[i] = (struct text){param.value, param.value_len};
        }
    }
}

static enum errc check_query_parts(const struct text parts[PARTS], const char *repeated,
                                   struct err *err) {
    static const enum query_part required[] = {PART_ALGORITHM, PART_CREDENTIAL, PART_SIGNED_HEADERS,
                                               PART_DATE};
    struct buf missing;
    enum errc errc = OK;

    if (repeated != NULL) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "AWS query-string parameter '%s' is repeated.", repeated);
    }
    buf_init(&missing, ECHO_MAX);
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        if (parts[required[i]].at == NULL) {
            buf_printf(&missing, "AWS query-string parameters must include '%s'. ",
                       part_names[required[i]]);
        }
    }
    if (missing.len > 0) {
        errc = err_set(err, ERR_INCOMPLETE_SIGNATURE, "%.*sRe-examine the query-string parameters.",
                       (int)missing.len, (const char *)missing.data);
    }
    buf_fini(&missing);
    return errc;
}

static enum errc parse_expires(struct text text, struct sigv4_claim *claim, struct err *err) {
    int64_t seconds = 0;

    if (text.at == NULL) {
        claim->expires_s = EXPIRES_DEFAULT_S;
        return OK;
    }
    for (size_t i = 0; i < text.len && seconds <= EXPIRES_MAX_S; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return err_set(err, ERR_INCOMPLETE_SIGNATURE, "X-Amz-Expires should be a number");
        }
        seconds = seconds * 10 + (text.at[i] - '0');
    }
    if (seconds < 1 || seconds > EXPIRES_MAX_S) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "X-Amz-Expires must be between 1 and %d seconds", EXPIRES_MAX_S);
    }
    claim->expires_s = seconds;
    return OK;
}

/* A part that is decoded into a place of its own. */
struct slot {
    enum query_part part;
    char *out;
    size_t size;
    struct text *ret; /* absent when the part is */
};

static enum errc decode_parts(const struct text parts[PARTS], const struct slot *slots, size_t n,
                              struct err *err) {
    for (size_t i = 0; i < n; i++) {
        const struct slot *slot = &slots[i];
        struct text raw = parts[slot->part];

        *slot->ret = (struct text){NULL, 0};
        if (raw.at == NULL) {
            continue;
        }
        if (!query_decode(raw.at, raw.len, slot->out, slot->size, &slot->ret->len)) {
            return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                           "AWS query-string parameter '%s' is too long or not percent-encoded.",
                           part_names[slot->part]);
        }
        slot->ret->at = slot->out;
    }
    return OK;
}

static enum errc parse_query_form(const struct sigv4_request *request, struct sigv4_claim *claim,
                                  struct err *err) {
    char algorithm_text[64], credential_text[CREDENTIAL_MAX + 1], date_text[64], expires_text[64];
    char signature_text[128], shown[ECHO_MAX + 1];
    struct text raw[PARTS], algorithm, expires;
    struct parts parts = {.date_may_be_http = false};
    const struct slot slots[] = {
        {PART_ALGORITHM, algorithm_text, sizeof(algorithm_text), &algorithm},
        {PART_CREDENTIAL, credential_text, sizeof(credential_text), &parts.credential},
        {PART_SIGNED_HEADERS, claim->signed_headers_text, sizeof(claim->signed_headers_text),
         &parts.signed_headers},
        {PART_DATE, date_text, sizeof(date_text), &parts.date},
        {PART_EXPIRES, expires_text, sizeof(expires_text), &expires},
        {PART_SIGNATURE, signature_text, sizeof(signature_text), &parts.signature},
    };
    const char *repeated;
    enum errc errc;

    find_parts(request, raw, &repeated);
    errc = check_query_parts(raw, repeated, err);
    if (errc == OK) {
        errc = decode_parts(raw, slots, ARRAY_LEN(slots), err);
    }
    if (errc == OK && !text_is(algorithm, SIGV4_ALGORITHM)) {
        errc = err_set(err, ERR_INCOMPLETE_SIGNATURE, "Unsupported AWS 'algorithm': '%s'.",
                       echo(algorithm, shown));
    }
    if (errc == OK) {
        errc = parse_expires(expires, claim, err);
    }
    if (errc == OK) {
        parts.token = raw[PART_TOKEN];
        parts.tokens = raw[PART_TOKEN].at != NULL;
        claim->signed_headers_len = parts.signed_headers.len;
        errc = parse_parts(&parts, claim, err);
    }
    return errc;
}

static bool query_has_signature(const struct sigv4_request *request) {
    struct query_param param;
    size_t at = 0;

    while (query_next(request->query, request->query_len, &at, &param)) {
        if (query_key_is(&param, part_names[PART_SIGNATURE])) {
            return true;
        }
    }
    return false;
}

enum errc sigv4_parse(const struct sigv4_request *request, struct sigv4_claim *ret,
                      struct err *err) {
    const struct sigv4_header *header;
    size_t n = sigv4_header_find(request, "authorization", 13, &header);
    struct text authorization = header_text(header);
    struct sigv4_claim claim;
    enum errc errc;

    memset(&claim, 0, sizeof(claim));
    if (n > 1) {
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "The Authorization header is repeated.");
    }
    if (authorization.len > 0) {
        errc = parse_header_form(request, authorization, &claim, err);
    } else if (query_has_signature(request)) {
        claim.query_form = true;
        errc = parse_query_form(request, &claim, err);
    } else {
        errc = err_default(err, ERR_MISSING_AUTHENTICATION);
    }
    if (errc == OK) {
        *ret = claim;
    }
    return errc;
}
