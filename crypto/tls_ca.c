/* The certificate-making half of tls.h: the authority of a deployment and what it signs. */
#include "base/limits.h"
#include "base/world.h"
#include "crypto/tls.h"
#include "crypto/tls_pem.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DAY_S = 24 * 3600,
    CA_LIFE_S = 10 * 365 * DAY_S,
    CERT_LIFE_S = 2 * 365 * DAY_S,
    BACKDATED_S = 3600, /* a machine whose clock is behind can use it at once */
    SERIAL_BYTES = 20,  /* the most that RFC 5280 allows */
    REQUEST_MAX = 16 * 1024,
    /* Three names of at most 63 + 17 + 8 characters, and "DNS:" before each. */
    NAMES_MAX = 512
};

#define CURVE      "P-256"
#define CURVE_NAME "prime256v1" /* the same, as OpenSSL tells it of a key */

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

static void free_request(X509_REQ **request) {
    X509_REQ_free(*request);
}

static void free_bio(BIO **bio) {
    (void)BIO_free(*bio);
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
    AUTO(free_key) EVP_PKEY *key = EVP_EC_gen(CURVE);

    if (cert == NULL || key == NULL ||
        !describe(cert, cert, "Redoubt deployment authority", CA_LIFE_S, key, extensions,
                  ARRAY_LEN(extensions)) ||
        X509_sign(cert, key, EVP_sha256()) == 0) {
        return making_failed(err);
    }
    return tls_pem_write_pair(cert_path, cert, key_path, key, err);
}

/* A certificate of the authority for a key. NULL when it cannot be made. Returns owned. */
static X509 *certify(X509 *ca, EVP_PKEY *ca_key, const char *region, uint64_t node, EVP_PKEY *key) {
    char names[NAMES_MAX];
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth,clientAuth"},
        {NID_subject_alt_name, names},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
    };
    X509 *cert = X509_new();
    int len = snprintf(names, sizeof(names), "DNS:%s" TLS_REGION_SUFFIX ",DNS:localhost", region);

    CHECK(len > 0 && (size_t)len < sizeof(names));
    if (node != 0) {
        size_t room = sizeof(names) - (size_t)len;
        int more =
            snprintf(names + len, room, ",DNS:%016" PRIx64 ".%s" TLS_REGION_SUFFIX, node, region);
        CHECK(more > 0 && (size_t)more < room);
    }
    /* The common name holds 64 characters at most, and nothing of ours reads it. */
    if (cert == NULL ||
        !describe(cert, ca, region, CERT_LIFE_S, key, extensions, ARRAY_LEN(extensions)) ||
        X509_sign(cert, ca_key, EVP_sha256()) == 0) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

/* The authority, for a certificate of this region. Returns owned; what it found so far also when it
 * fails. */
static enum errc open_authority(const char *cert_path, const char *key_path, const char *region,
                                X509 **ret_ca, EVP_PKEY **ret_key, struct err *err) {
    enum errc errc;

    /* The name goes into OpenSSL's configuration language: nothing but letters, digits, hyphens. */
    if (!tls_region_is_valid(region, strlen(region))) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "A region of a certificate is 1 to 63 lower-case letters, digits and inner "
                       "hyphens.");
    }
    errc = tls_pem_read_cert(cert_path, ret_ca, err);
    if (errc == OK) {
        errc = tls_pem_read_key(key_path, ret_key, err);
    }
    if (errc != OK) {
        return errc;
    }
    if (X509_check_ca(*ret_ca) == 0) {
        return tls_pem_failed(err, "no authority in", cert_path);
    }
    if (X509_check_private_key(*ret_ca, *ret_key) != 1) {
        return tls_pem_failed(err, "the private key does not belong to", cert_path);
    }
    return OK;
}

enum errc tls_cert_create(const char *ca_cert_path, const char *ca_key_path, const char *region,
                          uint64_t node, const char *cert_path, const char *key_path,
                          struct err *err) {
    AUTO(free_cert) X509 *ca = NULL;
    AUTO(free_key) EVP_PKEY *ca_key = NULL;
    AUTO(free_cert) X509 *cert = NULL;
    AUTO(free_key) EVP_PKEY *key = NULL;
    enum errc errc = open_authority(ca_cert_path, ca_key_path, region, &ca, &ca_key, err);

    if (errc != OK) {
        return errc;
    }
    key = EVP_EC_gen(CURVE);
    cert = key != NULL ? certify(ca, ca_key, region, node, key) : NULL;
    if (cert == NULL) {
        return making_failed(err);
    }
    return tls_pem_write_pair(cert_path, cert, key_path, key, err);
}

/* Appends what a PEM writer left in the BIO. */
static bool take_text(BIO *bio, struct buf *out) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);

    if (len > 0) {
        buf_append(out, data, (size_t)len);
    }
    return len > 0 && !out->failed;
}

enum errc tls_request_create(const char *key_path, struct buf *ret_request, struct err *err) {
    AUTO(free_key) EVP_PKEY *key = EVP_EC_gen(CURVE);
    AUTO(free_request) X509_REQ *request = X509_REQ_new();
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    enum errc errc;

    if (key == NULL || request == NULL || bio == NULL ||
        X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) == 0 ||
        PEM_write_bio_X509_REQ(bio, request) != 1) {
        return making_failed(err);
    }
    errc = tls_pem_write_key(key_path, key, err);
    if (errc == OK && !take_text(bio, ret_request)) {
        (void)unlink(key_path); /* ours: it was created just now */
        errc = err_default(err, ERR_NO_MEMORY);
    }
    return errc;
}

/* Whose request it is, if it is one of ours and signed with its own key. Returns owned. */
static EVP_PKEY *key_of_request(const uint8_t *data, size_t len) {
    AUTO(free_bio) BIO *bio = len <= REQUEST_MAX ? BIO_new_mem_buf(data, (int)len) : NULL;
    AUTO(free_request)
    X509_REQ *request = bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request != NULL ? X509_REQ_get_pubkey(request) : NULL;
    char curve[32] = "";

    if (key == NULL || X509_REQ_verify(request, key) != 1 || EVP_PKEY_is_a(key, "EC") != 1 ||
        EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1 ||
        strcmp(curve, CURVE_NAME) != 0) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}

enum errc tls_request_sign(const char *ca_cert_path, const char *ca_key_path,
                           const uint8_t *request, size_t len, const char *region, uint64_t node,
                           struct buf *ret_cert, struct err *err) {
    AUTO(free_cert) X509 *ca = NULL;
    AUTO(free_key) EVP_PKEY *ca_key = NULL;
    AUTO(free_cert) X509 *cert = NULL;
    AUTO(free_key) EVP_PKEY *key = NULL;
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_mem());
    enum errc errc = open_authority(ca_cert_path, ca_key_path, region, &ca, &ca_key, err);

    if (errc != OK) {
        return errc;
    }
    key = key_of_request(request, len);
    if (key == NULL) {
        return err_set(err, ERR_MALFORMED, "This is no request for a certificate.");
    }
    cert = certify(ca, ca_key, region, node, key);
    if (cert == NULL || bio == NULL || PEM_write_bio_X509(bio, cert) != 1) {
        return making_failed(err);
    }
    return take_text(bio, ret_cert) ? OK : err_default(err, ERR_NO_MEMORY);
}
