/* The names in certificates, of tls.h: which region, and which node of it. */
#include "base/bytes.h"
#include "crypto/tls_internal.h"
#include "crypto/tls_pem.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <string.h>
#include <time.h>

/* The node's digits and the dot behind them. */
enum { NODE_PREFIX = TLS_NODE_TEXT + 1 };

/* Names of ours in a certificate, as views. */
struct names {
    const char *region;
    size_t region_len;
    const char *node_region;
    size_t node_region_len;
    uint64_t node;
    unsigned n_regions, n_nodes;
};

/* "<16 lower-case digits>." at the front, and not node 0. */
static bool node_in(const char *text, size_t len, uint64_t *ret) {
    uint8_t bytes[TLS_NODE_TEXT / 2];

    if (len <= NODE_PREFIX || text[TLS_NODE_TEXT] != '.' ||
        !hex_decode(text, TLS_NODE_TEXT, bytes, sizeof(bytes))) {
        return false;
    }
    for (size_t i = 0; i < TLS_NODE_TEXT; i++) {
        if (text[i] >= 'A' && text[i] <= 'F') {
            return false;
        }
    }
    *ret = get_be64(bytes);
    return *ret != 0;
}

static void look_at(const GENERAL_NAME *name, struct names *names) {
    static const char suffix[] = TLS_REGION_SUFFIX;
    const size_t suffix_len = sizeof(suffix) - 1;
    const char *text;
    size_t len;
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (type != GEN_DNS || value == NULL || ASN1_STRING_length(value) <= (int)suffix_len) {
        return;
    }
    text = (const char *)ASN1_STRING_get0_data(value);
    len = (size_t)ASN1_STRING_length(value) - suffix_len;
    if (memcmp(text + len, suffix, suffix_len) != 0) {
        return;
    }
    if (node_in(text, len, &names->node)) {
        names->node_region = text + NODE_PREFIX;
        names->node_region_len = len - NODE_PREFIX;
        names->n_nodes++;
    } else {
        names->region = text;
        names->region_len = len;
        names->n_regions++;
    }
}

/* A certificate of two regions would let one speak for the other, and so with nodes. */
static bool are_good(const struct names *names) {
    if (names->n_regions != 1 || names->region_len > LIMIT_REGION_NAME ||
        !tls_region_is_valid(names->region, names->region_len)) {
        return false;
    }
    return names->n_nodes == 0 ||
           (names->n_nodes == 1 && names->node_region_len == names->region_len &&
            memcmp(names->node_region, names->region, names->region_len) == 0);
}

bool tls_name_of(const X509 *cert, struct tls_name *ret) {
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct names names = {.n_nodes = 0};
    bool good;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        look_at(sk_GENERAL_NAME_value(all, i), &names);
    }
    good = are_good(&names);
    if (good) {
        memcpy(ret->region, names.region, names.region_len);
        ret->region[names.region_len] = '\0';
        ret->node = names.n_nodes == 1 ? names.node : 0;
    }
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    return good;
}

/* The names in the session's certificate, if it was verified. */
static bool peer_name(const struct ssl_st *session, struct tls_name *ret) {
    const X509 *cert = SSL_get0_peer_certificate(session);

    /* Without a certificate, and without having looked at one, the result is "good" too. */
    return cert != NULL && (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) != 0 &&
           SSL_get_verify_result(session) == X509_V_OK && tls_name_of(cert, ret);
}

bool tls_peer_region(const struct ssl_st *session, char *out, size_t out_size) {
    struct tls_name name;
    size_t size;

    if (!peer_name(session, &name)) {
        return false;
    }
    size = strlen(name.region) + 1;
    if (size > out_size) {
        return false;
    }
    memcpy(out, name.region, size);
    return true;
}

uint64_t tls_peer_node(const struct ssl_st *session) {
    struct tls_name name;

    return peer_name(session, &name) ? name.node : 0;
}

bool tls_peer_is_anonymous(const struct ssl_st *session) {
    return SSL_get0_peer_certificate(session) == NULL;
}

static void free_cert(X509 **cert) {
    X509_free(*cert);
}

enum errc tls_cert_name(const char *cert_path, struct tls_name *ret, struct err *err) {
    AUTO(free_cert) X509 *cert = NULL;
    enum errc errc = tls_pem_read_cert(cert_path, &cert, err);

    if (errc == OK && !tls_name_of(cert, ret)) {
        errc =
            err_set(err, ERR_INVALID_PARAMETER, "%s: the certificate names no region", cert_path);
    }
    return errc;
}

enum errc tls_cert_expiry(const char *cert_path, int64_t *ret, struct err *err) {
    AUTO(free_cert) X509 *cert = NULL;
    struct tm end;
    enum errc errc = tls_pem_read_cert(cert_path, &cert, err);

    if (errc != OK) {
        return errc;
    }
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1) {
        return tls_pem_failed(err, "no end of", cert_path);
    }
    *ret = timegm(&end);
    return OK;
}

enum errc tls_fingerprint(const char *cert_path, char out[65], struct err *err) {
    AUTO(free_cert) X509 *cert = NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    enum errc errc = tls_pem_read_cert(cert_path, &cert, err);

    if (errc != OK) {
        return errc;
    }
    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 || len != 32) {
        return tls_pem_failed(err, "no fingerprint of", cert_path);
    }
    hex_encode(digest, len, out);
    return OK;
}
