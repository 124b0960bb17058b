/* TLS: contexts for the doors, and the small certificate authority of a deployment.
 *
 * Between regions and between nodes: TLS 1.3 only, both sides show a certificate of the
 * deployment's own authority, whose name is "<region>.redoubt" (DNS, in the subject alternative
 * names), with "<node, 16 hex digits>.<region>.redoubt" beside it when it is a node's. One with two
 * regions or nodes, or a node of another region, names nothing. EC P-256 keys. OpenSSL's types stay
 * opaque (struct ssl_st). */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;
struct tls_context;

/* Before any other use of OpenSSL: its memory is wiped when it is given back. */
void tls_global_init(void);

struct tls_files {
    const char *ca_path; /* NULL: no client certificate is asked for */
    const char *cert_path;
    const char *key_path;
};

/* A server side. With a ca_path the client must show a certificate of it (TLS 1.3); without,
 * TLS 1.2 and up for the API. Returns owned. */
MUSTCHECK enum errc tls_server_new(const struct tls_files *files, struct tls_context **ret,
                                   struct err *err);
/* The same, but a client may also show none (tls_peer_is_anonymous); one that it shows must be
 * good.
 */
MUSTCHECK enum errc tls_server_new_open(const struct tls_files *files, struct tls_context **ret,
                                        struct err *err);
void tls_context_free(struct tls_context *context);
/* Reads the files of a server side anew: sessions that tls_accept makes from now on have them,
 * those before go on. On an error nothing has changed. From one thread, while others accept. */
MUSTCHECK enum errc tls_reload(struct tls_context *context, const struct tls_files *files,
                               struct err *err);
/* A session for an accepted connection; NULL without memory. Owned by the caller, or by the
 * bufferevent it is given to. */
struct ssl_st *tls_accept(struct tls_context *context);
/* The region in the peer's verified certificate; false when there is none. */
MUSTCHECK bool tls_peer_region(const struct ssl_st *session, char *out, size_t out_size);
/* The node in it; 0 when it names none. */
uint64_t tls_peer_node(const struct ssl_st *session);

/* The client showed no certificate at all. */
bool tls_peer_is_anonymous(const struct ssl_st *session);

/* Region and node that a certificate file names (node 0: none). */
struct tls_name {
    char region[LIMIT_REGION_NAME + 1];
    uint64_t node;
};
/* ERR_INVALID_PARAMETER: it names no region. ERR_IO, ERR_CRYPTO. */
MUSTCHECK enum errc tls_cert_name(const char *cert_path, struct tls_name *ret, struct err *err);

/* --- a TLS 1.3 session without a socket: bytes in, bytes out. For the transport between nodes.
 * One thread at a time. --- */
struct tls_stream;
/* The most plaintext that is written between two tls_stream_send. */
enum { TLS_STREAM_WRITE_MAX = 256 * 1024 };
/* For both roles; each shows its certificate and demands one of the authority. Returns owned; the
 * context may be freed before its streams. */
MUSTCHECK enum errc tls_node_context_new(const struct tls_files *files, struct tls_context **ret,
                                         struct err *err);
/* What the context's own certificate names; false when it names no region. */
MUSTCHECK bool tls_context_name(const struct tls_context *context, struct tls_name *ret);
/* NULL without memory. A client accepts only the server whose certificate names `region` and
 * `node`, and has its first bytes to send at once. Return owned. */
struct tls_stream *tls_stream_accept(struct tls_context *context);
struct tls_stream *tls_stream_connect(struct tls_context *context, const char *region,
                                      uint64_t node);
void tls_stream_free(struct tls_stream *stream);
/* Ciphertext from the socket. Borrowed until tls_stream_read has said that there is nothing now,
 * which has to come before the next one. ERR_CRYPTO: the stream is broken, with a reason in *err;
 * what is left to send is an alert for the other side. */
MUSTCHECK enum errc tls_stream_receive(struct tls_stream *stream, const uint8_t *data, size_t len,
                                       struct err *err);
/* Plaintext that arrived, up to `size` bytes; *ret_len 0: nothing now. ERR_CRYPTO; ERR_UNAVAILABLE:
 * the other side closed. */
MUSTCHECK enum errc tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t size,
                                    size_t *ret_len, struct err *err);
/* Encrypts all of it (after the handshake only). */
MUSTCHECK enum errc tls_stream_write(struct tls_stream *stream, const uint8_t *data, size_t len,
                                     struct err *err);
/* Ciphertext for the socket, appended to `out` (an empty one gets the stream's memory for its own).
 * ERR_NO_MEMORY, also when it does not fit: the stream is broken. */
MUSTCHECK enum errc tls_stream_send(struct tls_stream *stream, struct buf *out);
bool tls_stream_is_open(const struct tls_stream *stream); /* the handshake is done and verified */
/* The other side's region and node, once open. False when its certificate names no region. */
MUSTCHECK bool tls_stream_peer(const struct tls_stream *stream, struct tls_name *ret);

/* A new authority: certificate and private key (0600), ten years. Never overwrites. */
MUSTCHECK enum errc tls_ca_create(const char *cert_path, const char *key_path, struct err *err);
/* A certificate, server and client use, signed by the authority; names "<region>.redoubt",
 * localhost, and with a `node` (0: none) its name too. */
MUSTCHECK enum errc tls_cert_create(const char *ca_cert_path, const char *ca_key_path,
                                    const char *region, uint64_t node, const char *cert_path,
                                    const char *key_path, struct err *err);
/* The same in two parts, when the authority's key is elsewhere: a key (0600) and a request (PEM)
 * here, the certificate (PEM) there; both are appended. The names are the signer's to decide:
 * nothing but the public key is taken from the request. ERR_MALFORMED: it is none, not signed with
 * its own key, or the key is not EC P-256. */
MUSTCHECK enum errc tls_request_create(const char *key_path, struct buf *ret_request,
                                       struct err *err);
MUSTCHECK enum errc tls_request_sign(const char *ca_cert_path, const char *ca_key_path,
                                     const uint8_t *request, size_t len, const char *region,
                                     uint64_t node, struct buf *ret_cert, struct err *err);
/* When a certificate ends, seconds since 1970. */
MUSTCHECK enum errc tls_cert_expiry(const char *cert_path, int64_t *ret, struct err *err);
/* Of the certificates in these bytes of a stranger, the one with this fingerprint (64 hex digits),
 * alone, as a new file: whatever else is there is trusted by nobody. ERR_ACCESS_DENIED: none has
 * it. ERR_INVALID_PARAMETER: no fingerprint. Never overwrites. */
MUSTCHECK enum errc tls_authority_keep(const uint8_t *pem, size_t len, const char *fingerprint,
                                       const char *cert_path, struct err *err);
/* SHA-256 fingerprint of a certificate file as 64 hex digits. */
MUSTCHECK enum errc tls_fingerprint(const char *cert_path, char out[65], struct err *err);

#endif
