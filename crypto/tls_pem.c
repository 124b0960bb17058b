#include "crypto/tls_pem.h"

#include "crypto/key_file.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <unistd.h>

enum { PEM_MAX = 256 * 1024, DNS_LABEL_MAX = 63 };

bool tls_region_is_valid(const char *region, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = region[i];
        bool is_inner = i > 0 && i + 1 < len;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && is_inner))) {
            return false;
        }
    }
    return len > 0 && len <= DNS_LABEL_MAX;
}

enum errc tls_pem_failed(struct err *err, const char *what, const char *path) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    (void)err_set(err, ERR_CRYPTO, "%s %s%s%s", what, path, reason ? ": " : "",
                  reason ? reason : "");
    ERR_clear_error();
    return ERR_CRYPTO;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg) {
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

/* A BIO over a file's content, which must outlive it. */
static enum errc open_pem(const char *path, enum key_file_kind kind, struct secret *ret_text,
                          BIO **ret, struct err *err) {
    struct secret text = {NULL, 0};
    BIO *bio;
    enum errc errc = key_file_read(path, kind, PEM_MAX, &text, err);

    if (errc != OK) {
        return errc;
    }
    bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (bio == NULL) {
        ERR_clear_error();
        secret_fini(&text);
        return err_default(err, ERR_NO_MEMORY);
    }
    *ret_text = text;
    *ret = bio;
    return OK;
}

enum errc tls_pem_read_key(const char *path, EVP_PKEY **ret, struct err *err) {
    struct secret text;
    BIO *bio;
    EVP_PKEY *key;
    enum errc errc = open_pem(path, KEY_FILE_PRIVATE, &text, &bio, err);

    if (errc != OK) {
        return errc;
    }
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (key == NULL) {
        errc = tls_pem_failed(err, "no private key in", path);
    } else {
        *ret = key;
    }
    (void)BIO_free(bio);
    secret_fini(&text);
    return errc;
}

enum errc tls_pem_read_cert(const char *path, X509 **ret, struct err *err) {
    struct secret text;
    BIO *bio;
    X509 *cert;
    enum errc errc = open_pem(path, KEY_FILE_PUBLIC, &text, &bio, err);

    if (errc != OK) {
        return errc;
    }
    cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    if (cert == NULL) {
        errc = tls_pem_failed(err, "no certificate in", path);
    } else {
        *ret = cert;
    }
    (void)BIO_free(bio);
    secret_fini(&text);
    return errc;
}

static enum errc write_bio(const char *path, enum key_file_kind kind, BIO *bio, struct err *err) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);

    return len <= 0 ? tls_pem_failed(err, "cannot encode", path)
                    : key_file_create(path, kind, data, (size_t)len, err);
}

enum errc tls_pem_write_key(const char *key_path, EVP_PKEY *key, struct err *err) {
    BIO *bio = BIO_new(BIO_s_secmem());
    enum errc errc;

    if (bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        errc = tls_pem_failed(err, "cannot encode", key_path);
    } else {
        errc = write_bio(key_path, KEY_FILE_PRIVATE, bio, err);
    }
    (void)BIO_free(bio);
    return errc;
}

enum errc tls_pem_write_pair(const char *cert_path, X509 *cert, const char *key_path, EVP_PKEY *key,
                             struct err *err) {
    BIO *bio = BIO_new(BIO_s_mem());
    enum errc errc;

    if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1) {
        errc = tls_pem_failed(err, "cannot encode", cert_path);
        goto out;
    }
    errc = tls_pem_write_key(key_path, key, err);
    if (errc != OK) {
        goto out;
    }
    errc = write_bio(cert_path, KEY_FILE_PUBLIC, bio, err);
    if (errc != OK) {
        (void)unlink(key_path); /* ours: it was created just now */
    }
out:
    (void)BIO_free(bio);
    return errc;
}
