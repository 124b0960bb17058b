#include "crypto/tls.h"

#include "base/check.h"
#include "base/wipe.h"
#include "crypto/tls_internal.h"
#include "crypto/tls_pem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <stdlib.h>

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

static enum errc context_new(const SSL_METHOD *method, const struct tls_files *files,
                             struct tls_context **ret, struct err *err) {
    struct tls_context *context = calloc(1, sizeof(*context));
    enum errc errc = OK;

    if (context == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    CHECK(pthread_mutex_init(&context->lock, NULL) == 0);
    context->ctx = SSL_CTX_new(method);
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

enum errc tls_server_new(const struct tls_files *files, struct tls_context **ret, struct err *err) {
    return context_new(TLS_server_method(), files, ret, err);
}

enum errc tls_server_new_open(const struct tls_files *files, struct tls_context **ret,
                              struct err *err) {
    struct tls_context *context = NULL;
    enum errc errc;

    CHECK(files->ca_path != NULL);
    errc = context_new(TLS_server_method(), files, &context, err);
    if (errc == OK) {
        SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
        *ret = context;
    }
    return errc;
}

enum errc tls_node_context_new(const struct tls_files *files, struct tls_context **ret,
                               struct err *err) {
    struct tls_context *context = NULL;
    enum errc errc;

    CHECK(files->ca_path != NULL);
    errc = context_new(TLS_method(), files, &context, err);
    if (errc == OK) {
        /* Few streams that are never idle for long: their buffers stay. */
        (void)SSL_CTX_clear_mode(context->ctx, SSL_MODE_RELEASE_BUFFERS);
        *ret = context;
    }
    return errc;
}

void tls_context_free(struct tls_context *context) {
    if (context != NULL) {
        SSL_CTX_free(context->ctx);
        CHECK(pthread_mutex_destroy(&context->lock) == 0);
        free(context);
    }
}

enum errc tls_reload(struct tls_context *context, const struct tls_files *files, struct err *err) {
    struct tls_context *fresh = NULL;
    enum errc errc = context_new(TLS_server_method(), files, &fresh, err);
    SSL_CTX *old;

    if (errc != OK) {
        return errc;
    }
    SSL_CTX_set_verify(fresh->ctx, SSL_CTX_get_verify_mode(context->ctx), NULL);
    CHECK(pthread_mutex_lock(&context->lock) == 0);
    old = context->ctx;
    context->ctx = fresh->ctx;
    CHECK(pthread_mutex_unlock(&context->lock) == 0);
    fresh->ctx = old; /* sessions keep what they need of it */
    tls_context_free(fresh);
    return OK;
}

struct ssl_st *tls_accept(struct tls_context *context) {
    SSL *session;

    CHECK(pthread_mutex_lock(&context->lock) == 0);
    session = SSL_new(context->ctx);
    CHECK(pthread_mutex_unlock(&context->lock) == 0);
    if (session == NULL) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(session);
    return session;
}

bool tls_context_name(const struct tls_context *context, struct tls_name *ret) {
    const X509 *cert = SSL_CTX_get0_certificate(context->ctx);

    return cert != NULL && tls_name_of(cert, ret);
}
