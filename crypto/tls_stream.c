/* A TLS session without a socket, of tls.h. OpenSSL reads straight from the bytes that it is handed
 * and writes straight into the buffer that goes to the socket. */
#include "base/check.h"
#include "crypto/tls_internal.h"
#include "crypto/tls_pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* What one write becomes at most: a record's head, type and tag for each 16 KiB, and for the
       pieces that a handshake or an alert adds. */
    OUT_MAX = TLS_STREAM_WRITE_MAX + 64 * 1024,
    /* A key seals so many writes and then is replaced: far below the 2^24.5 records of RFC 8446,
       5.5, as a write is of at most 17 records. */
    WRITES_PER_KEY = 1 << 20,
    HOST_MAX = TLS_NODE_TEXT + 1 + LIMIT_REGION_NAME + 16
};

struct tls_stream {
    SSL *ssl;          /* owned */
    const uint8_t *in; /* borrowed, see tls_stream_receive */
    size_t in_len;
    struct buf out;
    uint32_t writes; /* under this key */
};

/* --- the BIO: OpenSSL's view of the stream's two buffers --- */

static int bio_read(BIO *bio, char *out, size_t size, size_t *ret_len) {
    struct tls_stream *stream = BIO_get_data(bio);
    size_t len = stream->in_len < size ? stream->in_len : size;

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, stream->in, len);
    stream->in += len;
    stream->in_len -= len;
    *ret_len = len;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *ret_len) {
    struct tls_stream *stream = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buf_append(&stream->out, data, len);
    if (stream->out.failed) {
        return 0;
    }
    *ret_len = len;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *arg) {
    (void)bio, (void)number, (void)arg;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void bio_method_init(void) {
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "redoubt stream");
    CHECK(bio_method != NULL && BIO_meth_set_read_ex(bio_method, bio_read) == 1 &&
          BIO_meth_set_write_ex(bio_method, bio_write) == 1 &&
          BIO_meth_set_ctrl(bio_method, bio_control) == 1);
}

static BIO *bio_new(struct tls_stream *stream) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    CHECK(pthread_once(&once, bio_method_init) == 0);
    bio = BIO_new(bio_method);
    if (bio != NULL) {
        BIO_set_data(bio, stream);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* --- life --- */

static struct tls_stream *stream_new(struct tls_context *context) {
    struct tls_stream *stream = calloc(1, sizeof(*stream));
    BIO *bio;

    if (stream == NULL) {
        return NULL;
    }
    buf_init(&stream->out, OUT_MAX);
    stream->ssl = SSL_new(context->ctx);
    bio = bio_new(stream);
    if (stream->ssl == NULL || bio == NULL) {
        (void)BIO_free(bio);
        tls_stream_free(stream);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(stream->ssl, bio, bio);
    return stream;
}

struct tls_stream *tls_stream_accept(struct tls_context *context) {
    struct tls_stream *stream = stream_new(context);

    if (stream != NULL) {
        SSL_set_accept_state(stream->ssl);
    }
    return stream;
}

struct tls_stream *tls_stream_connect(struct tls_context *context, const char *region,
                                      uint64_t node) {
    struct tls_stream *stream = stream_new(context);
    char host[HOST_MAX];

    if (stream == NULL) {
        return NULL;
    }
    (void)snprintf(host, sizeof(host), "%016" PRIx64 ".%s" TLS_REGION_SUFFIX, node, region);
    SSL_set_connect_state(stream->ssl);
    SSL_set_hostflags(stream->ssl,
                      X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* The first step of a client only says hello, and waits. */
    if (SSL_set1_host(stream->ssl, host) != 1 || SSL_do_handshake(stream->ssl) == 1 ||
        stream->out.len == 0 || stream->out.failed) {
        tls_stream_free(stream);
        stream = NULL;
    }
    ERR_clear_error();
    return stream;
}

void tls_stream_free(struct tls_stream *stream) {
    if (stream != NULL) {
        SSL_free(stream->ssl);
        buf_fini(&stream->out);
        free(stream);
    }
}

/* --- bytes --- */

/* What a step of OpenSSL that did not succeed means; OK: it waits for bytes. */
static enum errc judge(struct tls_stream *stream, int ret, struct err *err) {
    int error = SSL_get_error(stream->ssl, ret);
    long verdict = SSL_get_verify_result(stream->ssl);
    const char *reason = NULL;

    if (error == SSL_ERROR_WANT_READ) {
        return OK;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        return err_set(err, ERR_UNAVAILABLE, "the other side closed the stream");
    }
    if (stream->out.failed) {
        return err_set(err, ERR_CRYPTO, "TLS: out of memory");
    }
    reason = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                  : ERR_reason_error_string(ERR_peek_last_error());
    (void)err_set(err, ERR_CRYPTO, "TLS: %s", reason != NULL ? reason : "failed");
    ERR_clear_error();
    return ERR_CRYPTO;
}

enum errc tls_stream_receive(struct tls_stream *stream, const uint8_t *data, size_t len,
                             struct err *err) {
    int ret;

    CHECK(stream->in_len == 0); /* the former bytes were read to their end */
    stream->in = data;
    stream->in_len = len;
    if (SSL_is_init_finished(stream->ssl)) {
        return OK;
    }
    ERR_clear_error();
    ret = SSL_do_handshake(stream->ssl);
    return ret == 1 ? OK : judge(stream, ret, err);
}

enum errc tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t size, size_t *ret_len,
                          struct err *err) {
    size_t len = 0;
    int ret;
    enum errc errc;

    ERR_clear_error();
    ret = SSL_read_ex(stream->ssl, out, size, &len);
    errc = ret == 1 ? OK : judge(stream, ret, err);
    if (errc == OK) {
        *ret_len = ret == 1 ? len : 0;
    }
    return errc;
}

enum errc tls_stream_write(struct tls_stream *stream, const uint8_t *data, size_t len,
                           struct err *err) {
    size_t written = 0;
    int ret;

    CHECK(SSL_is_init_finished(stream->ssl) && len <= TLS_STREAM_WRITE_MAX);
    if (len == 0) {
        return OK;
    }
    ERR_clear_error();
    if (++stream->writes == WRITES_PER_KEY) {
        stream->writes = 0;
        if (SSL_key_update(stream->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
            return judge(stream, 0, err);
        }
    }
    ret = SSL_write_ex(stream->ssl, data, len, &written);
    if (ret == 1) {
        CHECK(written == len);
        return OK;
    }
    /* The BIO takes all or fails, so there is nothing to wait for. */
    return judge(stream, ret, err) == OK ? err_set(err, ERR_CRYPTO, "TLS: cannot write")
                                         : ERR_CRYPTO;
}

enum errc tls_stream_send(struct tls_stream *stream, struct buf *out) {
    struct buf own = stream->out;

    if (own.failed) {
        return ERR_NO_MEMORY;
    }
    if (own.len == 0) {
        return OK;
    }
    if (out->len == 0 && !out->failed && own.room <= out->cap && out->room <= own.cap) {
        stream->out.data = out->data;
        stream->out.room = out->room;
        out->data = own.data;
        out->room = own.room;
        out->len = own.len;
    } else {
        buf_append(out, own.data, own.len);
    }
    stream->out.len = 0; /* ciphertext: nothing to wipe */
    return out->failed ? ERR_NO_MEMORY : OK;
}

bool tls_stream_is_open(const struct tls_stream *stream) {
    return SSL_is_init_finished(stream->ssl) && SSL_get0_peer_certificate(stream->ssl) != NULL &&
           SSL_get_verify_result(stream->ssl) == X509_V_OK;
}

bool tls_stream_peer(const struct tls_stream *stream, struct tls_name *ret) {
    return tls_stream_is_open(stream) && tls_name_of(SSL_get0_peer_certificate(stream->ssl), ret);
}
