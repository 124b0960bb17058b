/* TLS: contexts for the doors, and the small certificate authority of a deployment.
 *
 * Between regions: TLS 1.3 only, both sides show a certificate of the deployment's own authority,
 * whose name is
 * "<region>.redoubt" (DNS, in the subject alternative names). EC P-256 keys. OpenSSL's types stay
 * opaque (struct ssl_st). */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

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
void tls_context_free(struct tls_context *context);
/* A session for an accepted connection; NULL without memory. Owned by the caller, or by the
 * bufferevent it is given to. */
struct ssl_st *tls_accept(struct tls_context *context);
/* The region in the peer's verified certificate; false when there is none. */
MUSTCHECK bool tls_peer_region(const struct ssl_st *session, char *out, size_t out_size);

/* A new authority: certificate and private key (0600), ten years. Never overwrites. */
MUSTCHECK enum errc tls_ca_create(const char *cert_path, const char *key_path, struct err *err);
/* A certificate for a region's nodes, server and client use, signed by the authority; names
 * "<region>.redoubt" and localhost. */
MUSTCHECK enum errc tls_cert_create(const char *ca_cert_path, const char *ca_key_path,
                                    const char *region, const char *cert_path, const char *key_path,
                                    struct err *err);
/* SHA-256 fingerprint of a certificate file as 64 hex digits. */
MUSTCHECK enum errc tls_fingerprint(const char *cert_path, char out[65], struct err *err);

#endif
