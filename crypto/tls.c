#include "crypto/tls.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/wipe.h"
#include "crypto/tls_pem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
    SSL_CTX *ctx; /* owned */
};

/* The allocator's signature carries the place of the call, for debugging. */
static void *allocate(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return wipe_malloc(size);
}

static void *reallocate(void *ptr, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return wipe_realloc(ptr, size);
}

static void release(void *ptr, const char *file, int line) {
    (void)file, (void)line;
    wipe_free(ptr);
}

static void init(void) {
    CHECK(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1);
    CHECK(OPENSSL_init_ssl(0, NULL) == 1);
}

void tls_global_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, init) == 0);
}

/* What holds for every door. Connections live long, so resumption would save little; without
 * tickets and a cache there is no ticket key to steal, and no session that outlives a revoked
 * certificate. */
static bool configure(SSL_CTX *ctx, bool with_peers) {
    /* For TLS 1.2 only; what TLS 1.3 has is all like it. */
    static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, with_peers ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers) == 1;
}

static enum errc load_own(SSL_CTX *ctx, const struct tls_files *files, struct err *err) {
    EVP_PKEY *key = NULL;
    enum errc errc = tls_pem_read_key(files->key_path, &key, err);

    if (errc != OK) {
        return errc;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert_path) != 1) {
        errc = tls_pem_failed(err, "no certificate in", files->cert_path);
    } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        errc = tls_pem_failed(err, "the private key does not belong to", files->cert_path);
    }
    EVP_PKEY_free(key);
    return errc;
}

static enum errc load_authority(SSL_CTX *ctx, const char *ca_path, struct err *err) {
    STACK_OF(X509_NAME) * names;

    if (SSL_CTX_load_verify_file(ctx, ca_path) != 1) {
        return tls_pem_failed(err, "no authority in", ca_path);
    }
    names = SSL_load_client_CA_file(ca_path);
    if (names == NULL) {
        return tls_pem_failed(err, "no authority in", ca_path);
    }
    SSL_CTX_set_client_CA_list(ctx, names); /* takes them */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return OK;
}

enum errc tls_server_new(const struct tls_files *files, struct tls_context **ret, struct err *err) {
    struct tls_context *context = calloc(1, sizeof(*context));
    enum errc errc = OK;

    if (context == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    context->ctx = SSL_CTX_new(TLS_server_method());
    if (context->ctx == NULL || !configure(context->ctx, files->ca_path != NULL)) {
        ERR_clear_error();
        errc = err_default(err, ERR_CRYPTO);
    }
    if (errc == OK) {
        errc = load_own(context->ctx, files, err);
    }
    if (errc == OK && files->ca_path != NULL) {
        errc = load_authority(context->ctx, files->ca_path, err);
    }
    if (errc == OK) {
        *ret = context;
    } else {
        tls_context_free(context);
    }
    return errc;
}

void tls_context_free(struct tls_context *context) {
    if (context != NULL) {
        SSL_CTX_free(context->ctx);
        free(context);
    }
}

struct ssl_st *tls_accept(struct tls_context *context) {
    SSL *session = SSL_new(context->ctx);

    if (session == NULL) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(session);
    return session;
}

/* The region in one name of the certificate, as a view; false for any other name. */
enum { NODE_DIGITS = 16 };

static bool region_in(const GENERAL_NAME *name, const char **ret, size_t *ret_len) {
    static const char suffix[] = TLS_REGION_SUFFIX;
    const size_t suffix_len = sizeof(suffix) - 1;
    const char *text;
    int type, len;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (type != GEN_DNS || value == NULL) {
        return false;
    }
    text = (const char *)ASN1_STRING_get0_data(value);
    len = ASN1_STRING_length(value);
    if (len < 0 || (size_t)len <= suffix_len ||
        memcmp(text + (size_t)len - suffix_len, suffix, suffix_len) != 0) {
        return false;
    }
    *ret = text;
    *ret_len = (size_t)len - suffix_len;
    return true;
}

/* The id in "<16 hex digits>.<region>.redoubt"; 0 for another name. */
static uint64_t node_in(const GENERAL_NAME *name) {
    const char *text;
    size_t len;
    uint64_t id = 0;

    if (!region_in(name, &text, &len) || len <= NODE_DIGITS || text[NODE_DIGITS] != '.') {
        return 0;
    }
    for (size_t i = 0; i < NODE_DIGITS; i++) {
        int digit = OPENSSL_hexchar2int((unsigned char)text[i]);
        if (digit < 0) {
            return 0;
        }
        id = id << 4 | (uint64_t)digit;
    }
    return id;
}

bool tls_peer_region(const struct ssl_st *session, char *out, size_t out_size) {
    X509 *cert = SSL_get0_peer_certificate(session);
    GENERAL_NAMES *names;
    const char *region = NULL;
    size_t region_len = 0, found = 0;
    bool good;

    /* Without a certificate, and without having looked at one, the result is "good" too. */
    if (cert == NULL || (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) == 0 ||
        SSL_get_verify_result(session) != X509_V_OK) {
        return false;
    }
    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        found += node_in(name) == 0 && region_in(name, &region, &region_len);
    }
    /* A certificate of two regions would let one speak for the other. */
    good = found == 1 && region_len < out_size && tls_region_is_valid(region, region_len);
    if (good) {
        memcpy(out, region, region_len);
        out[region_len] = '\0';
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return good;
}

uint64_t tls_peer_node(const struct ssl_st *session) {
    X509 *cert = SSL_get0_peer_certificate(session);
    GENERAL_NAMES *names;
    uint64_t id = 0;

    if (cert == NULL || (SSL_get_verify_mode(session) & SSL_VERIFY_PEER) == 0 ||
        SSL_get_verify_result(session) != X509_V_OK) {
        return 0;
    }
    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && id == 0; i++) {
        id = node_in(sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return id;
}
