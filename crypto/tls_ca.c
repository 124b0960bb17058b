/* The certificate-making half of tls.h: the authority of a deployment and what it signs. */
#include "base/bytes.h"
#include "base/limits.h"
#include "base/world.h"
#include "crypto/tls.h"
#include "crypto/tls_pem.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    DAY_S = 24 * 3600,
    CA_LIFE_S = 10 * 365 * DAY_S,
    CERT_LIFE_S = 2 * 365 * DAY_S,
    BACKDATED_S = 3600, /* a machine whose clock is behind can use it at once */
    SERIAL_BYTES = 20   /* the most that RFC 5280 allows */
};

struct extension {
    int nid;
    const char *value; /* in OpenSSL's configuration language */
};

static void free_cert(X509 **cert) {
    X509_free(*cert);
}

static void free_key(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}

static bool set_serial(X509 *cert) {
    uint8_t bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool good;

    world_random(world_system(), bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always of the same length */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool set_life(X509 *cert, int64_t life_s) {
    time_t now = (time_t)(world_wall_ms(world_system()) / 1000);

    return ASN1_TIME_set(X509_getm_notBefore(cert), now - BACKDATED_S) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), now + (time_t)life_s) != NULL;
}

static bool set_name(X509 *cert, const char *name) {
    X509_NAME *subject = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_ASC,
                                      (const uint8_t *)"Redoubt", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, (const uint8_t *)name,
                                      -1, -1, 0) == 1;
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct extension *extensions, size_t n) {
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        X509_EXTENSION *made =
            X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);
        bool good = made != NULL && X509_add_ext(cert, made, -1) == 1;
        X509_EXTENSION_free(made);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Everything but the signature. `issuer` is the certificate itself for the authority. */
static bool describe(X509 *cert, X509 *issuer, const char *name, int64_t life_s, EVP_PKEY *key,
                     const struct extension *extensions, size_t n_extensions) {
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           set_life(cert, life_s) && set_name(cert, name) && X509_set_pubkey(cert, key) == 1 &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           add_extensions(cert, issuer, extensions, n_extensions);
}

static enum errc making_failed(struct err *err) {
    ERR_clear_error();
    return err_set(err, ERR_CRYPTO, "The certificate could not be made.");
}

enum errc tls_ca_create(const char *cert_path, const char *key_path, struct err *err) {
    /* No authority below it: a stolen node cannot make regions. */
    static const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
    };
    AUTO(free_cert) X509 *cert = X509_new();
    AUTO(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");

    if (cert == NULL || key == NULL ||
        !describe(cert, cert, "Redoubt deployment authority", CA_LIFE_S, key, extensions,
                  ARRAY_LEN(extensions)) ||
        X509_sign(cert, key, EVP_sha256()) == 0) {
        return making_failed(err);
    }
    return tls_pem_write_pair(cert_path, cert, key_path, key, err);
}

static enum errc sign_region(X509 *ca, EVP_PKEY *ca_key, const char *region, const char *cert_path,
                             const char *key_path, struct err *err) {
    char names[2 * LIMIT_REGION_NAME];
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth,clientAuth"},
        {NID_subject_alt_name, names},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
    };
    AUTO(free_cert) X509 *cert = X509_new();
    AUTO(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");

    (void)snprintf(names, sizeof(names), "DNS:%s" TLS_REGION_SUFFIX ",DNS:localhost", region);
    /* The common name holds 64 characters at most, and nothing of ours reads it. */
    if (cert == NULL || key == NULL ||
        !describe(cert, ca, region, CERT_LIFE_S, key, extensions, ARRAY_LEN(extensions)) ||
        X509_sign(cert, ca_key, EVP_sha256()) == 0) {
        return making_failed(err);
    }
    return tls_pem_write_pair(cert_path, cert, key_path, key, err);
}

enum errc tls_cert_create(const char *ca_cert_path, const char *ca_key_path, const char *region,
                          uint64_t node, const char *cert_path, const char *key_path,
                          struct err *err) {
    AUTO(free_cert) X509 *ca = NULL;
    AUTO(free_key) EVP_PKEY *ca_key = NULL;
    enum errc errc;

    CHECK(node == 0);
    /* The name goes into OpenSSL's configuration language: nothing but letters, digits, hyphens. */
    if (!tls_region_is_valid(region, strlen(region))) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "A region of a certificate is 1 to 63 lower-case letters, digits and inner "
                       "hyphens.");
    }
    errc = tls_pem_read_cert(ca_cert_path, &ca, err);
    if (errc == OK) {
        errc = tls_pem_read_key(ca_key_path, &ca_key, err);
    }
    if (errc != OK) {
        return errc;
    }
    if (X509_check_ca(ca) == 0) {
        return tls_pem_failed(err, "no authority in", ca_cert_path);
    }
    if (X509_check_private_key(ca, ca_key) != 1) {
        return tls_pem_failed(err, "the private key does not belong to", ca_cert_path);
    }
    return sign_region(ca, ca_key, region, cert_path, key_path, err);
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
