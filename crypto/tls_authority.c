/* Taking over an authority's certificate that came from a stranger, of tls.h. */
#include "base/bytes.h"
#include "crypto/key_file.h"
#include "crypto/tls_internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <limits.h>
#include <string.h>

enum { CERTIFICATES_MAX = 16 };

static void free_bio(BIO **bio) {
    (void)BIO_free(*bio);
}

static void free_cert(X509 **cert) {
    X509_free(*cert);
}

/* Owned; NULL: none has it. */
static X509 *find(BIO *in, const uint8_t wanted[32]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    for (int i = 0; i < CERTIFICATES_MAX; i++) {
        X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (cert == NULL) {
            break;
        }
        if (X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == 32 &&
            memcmp(digest, wanted, len) == 0) {
            return cert;
        }
        X509_free(cert);
    }
    ERR_clear_error();
    return NULL;
}

enum errc tls_authority_keep(const uint8_t *pem, size_t len, const char *fingerprint,
                             const char *cert_path, struct err *err) {
    AUTO(free_bio) BIO *in = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    AUTO(free_bio) BIO *out = BIO_new(BIO_s_mem());
    AUTO(free_cert) X509 *cert = NULL;
    uint8_t wanted[32];
    char *text = NULL;
    long text_len;

    if (!hex_decode(fingerprint, strlen(fingerprint), wanted, sizeof(wanted))) {
        return err_set(err, ERR_INVALID_PARAMETER, "a fingerprint has 64 hexadecimal digits");
    }
    if (in == NULL || out == NULL) {
        ERR_clear_error();
        return err_default(err, ERR_NO_MEMORY);
    }
    cert = find(in, wanted);
    if (cert == NULL) {
        return err_set(err, ERR_ACCESS_DENIED,
                       "the other side does not have the authority with "
                       "this fingerprint");
    }
    if (PEM_write_bio_X509(out, cert) != 1) {
        ERR_clear_error();
        return err_default(err, ERR_NO_MEMORY);
    }
    text_len = BIO_get_mem_data(out, &text);
    return key_file_create(cert_path, KEY_FILE_PUBLIC, text, (size_t)text_len, err);
}
