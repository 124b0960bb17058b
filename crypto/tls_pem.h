/* PEM files of certificates and private keys, and the names of regions in certificates.
 *
 * Internal to crypto/. OpenSSL's errors end here. Any thread. */
#ifndef CRYPTO_TLS_PEM_H
#define CRYPTO_TLS_PEM_H

#include "base/errc.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdbool.h>
#include <stddef.h>

#define TLS_REGION_SUFFIX ".redoubt"

/* A region's name that fits a DNS label: lower-case letters, digits and inner hyphens, at most 63
 * characters. */
MUSTCHECK bool tls_region_is_valid(const char *region, size_t len);

/* ERR_CRYPTO with "<what> <path>" and OpenSSL's reason. Empties OpenSSL's queue of errors. */
enum errc tls_pem_failed(struct err *err, const char *what, const char *path);

/* The private key in a file that nobody else can read, without a passphrase. Returns owned
 * (EVP_PKEY_free). */
MUSTCHECK enum errc tls_pem_read_key(const char *path, EVP_PKEY **ret, struct err *err);
/* The first certificate in a file. Returns owned (X509_free). */
MUSTCHECK enum errc tls_pem_read_cert(const char *path, X509 **ret, struct err *err);
/* A new file of mode 0600, see key_file_create. */
MUSTCHECK enum errc tls_pem_write_key(const char *key_path, EVP_PKEY *key, struct err *err);
/* New files, see key_file_create: both, or none. */
MUSTCHECK enum errc tls_pem_write_pair(const char *cert_path, X509 *cert, const char *key_path,
                                       EVP_PKEY *key, struct err *err);

#endif
