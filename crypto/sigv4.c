#include "crypto/sigv4.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "crypto/digest.h"
#include "crypto/sigv4_canonical.h"
#include "crypto/sigv4_time.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW_S = 15 * 60 };

static enum errc check_credential_scope(const struct sigv4_claim *claim, const char *service,
                                        struct err *err) {
    /* The blank at the end is the service's own. */
    if (strcmp(claim->service, service) != 0) {
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Credential should be scoped to correct service: '%s'. ", service);
    }
    if (strcmp(claim->terminator, SIGV4_TERMINATOR) != 0) {
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Credential should be scoped with a valid terminator: '%s', not '%s'.",
                       SIGV4_TERMINATOR, claim->terminator);
    }
    if (memcmp(claim->date, claim->timestamp, 8) != 0) {
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                       "date from HTTP: '%s' != '%.8s', from '%s'.",
                       claim->date, claim->timestamp, claim->timestamp);
    }
    return OK;
}

enum errc sigv4_check_scope(const struct sigv4_claim *claim, const char *service, int64_t now_ms,
                            struct err *err) {
    int64_t life_s = claim->query_form ? claim->expires_s : WINDOW_S;
    int64_t now_s = now_ms / 1000, at_s = claim->timestamp_ms / 1000;
    char now[SIGV4_TIMESTAMP], limit[SIGV4_TIMESTAMP];
    enum errc errc = check_credential_scope(claim, service, err);

    if (errc != OK) {
        return errc;
    }
    sigv4_time_format(now_s * 1000, now);
    if (at_s < now_s - life_s) {
        bool whole_minutes = life_s % 60 == 0;
        sigv4_time_format((now_s - life_s) * 1000, limit);
        return err_set(
            err, ERR_INVALID_SIGNATURE,
            "Signature expired: %s is now earlier than %s (%s - %lld %s)", claim->timestamp, limit,
            now, (long long)(whole_minutes ? life_s / 60 : life_s), whole_minutes ? "min." : "s.");
    }
    if (at_s > now_s + WINDOW_S) {
        sigv4_time_format((now_s + WINDOW_S) * 1000, limit);
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Signature not yet current: %s is still later than %s (%s + %d min.)",
                       claim->timestamp, limit, now, WINDOW_S / 60);
    }
    return OK;
}

void sigv4_signing_key(const struct secret *secret_key, const char *date, const char *region,
                       const char *service, uint8_t out[32]) {
    struct secret first;

    CHECK(secret_init(&first, 4 + secret_key->len));
    memcpy(first.data, "AWS4", 4);
    if (secret_key->len > 0) {
        memcpy(first.data + 4, secret_key->data, secret_key->len);
    }
    digest_hmac(first.data, first.len, date, strlen(date), out);
    secret_fini(&first);
    /* The key is read before the result is written. */
    digest_hmac(out, 32, region, strlen(region), out);
    digest_hmac(out, 32, service, strlen(service), out);
    digest_hmac(out, 32, SIGV4_TERMINATOR, sizeof(SIGV4_TERMINATOR) - 1, out);
}

enum errc sigv4_verify(const struct sigv4_request *request, const struct sigv4_claim *claim,
                       const uint8_t signing_key[32], struct err *err) {
    struct buf canonical;
    uint8_t expected[32];
    enum errc errc;

    buf_init(&canonical, SIGV4_CANONICAL_MAX);
    if (!sigv4_canonical_request(request, claim, &canonical)) {
        errc = err_default(err, ERR_INVALID_SIGNATURE);
    } else if (canonical.failed) {
        errc = err_default(err, ERR_NO_MEMORY);
    } else {
        sigv4_signature(claim, claim->terminator, signing_key, &canonical, expected);
        errc = digest_equal(expected, claim->signature, sizeof(expected))
                   ? OK
                   : err_default(err, ERR_INVALID_SIGNATURE);
        /* The right signature of a forged request would be worth having. */
        wipe(expected, sizeof(expected));
    }
    buf_fini(&canonical);
    return errc;
}

bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_claim *claim,
                const uint8_t signing_key[32], char *out, size_t out_size) {
    struct buf canonical;
    uint8_t signature[32];
    char hex[65];
    bool good;
    int len;

    CHECK(!claim->query_form);
    buf_init(&canonical, SIGV4_CANONICAL_MAX);
    good = sigv4_canonical_request(request, claim, &canonical) && !canonical.failed;
    if (good) {
        sigv4_signature(claim, SIGV4_TERMINATOR, signing_key, &canonical, signature);
        hex_encode(signature, sizeof(signature), hex);
        len = snprintf(out, out_size,
                       SIGV4_ALGORITHM " Credential=%s/%s/%s/%s/" SIGV4_TERMINATOR
                                       ", SignedHeaders=%.*s, "
                                       "Signature=%s",
                       claim->access_key_id, claim->date, claim->region, claim->service,
                       (int)claim->signed_headers_len, claim->signed_headers, hex);
        good = len >= 0 && (size_t)len < out_size;
    }
    buf_fini(&canonical);
    return good;
}
