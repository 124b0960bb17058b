/* What the files of tls.h share. Internal to crypto/. Any thread. */
#ifndef CRYPTO_TLS_INTERNAL_H
#define CRYPTO_TLS_INTERNAL_H

#include "crypto/tls.h"

#include <openssl/ssl.h>

#include <pthread.h>

struct tls_context {
    pthread_mutex_t lock; /* of `ctx` where tls_reload may put another in its place */
    SSL_CTX *ctx;         /* owned */
};

/* Hexadecimal digits of a node in a certificate's name. */
enum { TLS_NODE_TEXT = 16 };

/* What the certificate names; false when it names no region, two of them, or a node of another one.
 */
MUSTCHECK bool tls_name_of(const X509 *cert, struct tls_name *ret);

#endif
