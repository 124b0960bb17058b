/* Handshakes in memory: who is let in at the doors, and what the certificates say. */
#include "base/bytes.h"
#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Two deployments, "a" with two regions and "b" with one of the same name. */
enum place { A_CA, A_EAST, A_WEST, B_CA, B_EAST, EXTRA, PLACES };
static char folder[64];
static char certs[PLACES][128], keys[PLACES][128];

static void assert_made(enum errc errc, const struct err *err) {
    if (errc != OK) {
        fail_msg("%s", err->message);
    }
}

static int setup(void **state) {
    static const char *const names[PLACES] = {"a-ca", "a-east", "a-west", "b-ca", "b-east", "x"};
    struct err err;

    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < PLACES; i++) {
        (void)snprintf(certs[i], sizeof(certs[i]), "%s/%s.crt", folder, names[i]);
        (void)snprintf(keys[i], sizeof(keys[i]), "%s/%s.key", folder, names[i]);
    }
    assert_made(tls_ca_create(certs[A_CA], keys[A_CA], &err), &err);
    assert_made(tls_ca_create(certs[B_CA], keys[B_CA], &err), &err);
    assert_made(
        tls_cert_create(certs[A_CA], keys[A_CA], "us-east-1", 0, certs[A_EAST], keys[A_EAST], &err),
        &err);
    assert_made(
        tls_cert_create(certs[A_CA], keys[A_CA], "us-west-2", 0, certs[A_WEST], keys[A_WEST], &err),
        &err);
    assert_made(
        tls_cert_create(certs[B_CA], keys[B_CA], "us-east-1", 0, certs[B_EAST], keys[B_EAST], &err),
        &err);
    return 0;
}

static int teardown(void **state) {
    for (size_t i = 0; i < PLACES; i++) {
        (void)unlink(certs[i]);
        (void)unlink(keys[i]);
    }
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

struct client {
    enum place ca;
    int cert; /* a place, or -1 for none */
    const char *server_name;
    int max_version; /* 0: any */
    time_t at;       /* 0: now */
};

struct outcome {
    bool client_done, server_done;
    int version;
    char client_region[64]; /* as the server sees it */
    char server_region[64];
    uint64_t client_node, server_node;
};

static SSL *client_session(SSL_CTX *ctx, const struct client *client) {
    SSL *ssl;

    assert_int_equal(SSL_CTX_load_verify_file(ctx, certs[client->ca]), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (client->cert >= 0) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, certs[client->cert]), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, keys[client->cert], SSL_FILETYPE_PEM), 1);
    }
    if (client->max_version != 0) {
        SSL_CTX_set_security_level(ctx, 0); /* so that it offers what is old, too */
        assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(ctx, client->max_version), 1);
    }
    ssl = SSL_new(ctx);
    assert_non_null(ssl);
    assert_int_equal(SSL_set1_host(ssl, client->server_name), 1);
    if (client->at != 0) {
        X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), client->at);
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

/* The client writes a byte and reads one, as TLS 1.3 tells it only then that it was refused. */
static struct outcome handshake(struct tls_context *server, const struct client *client) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *c = client_session(ctx, client), *s = tls_accept(server);
    struct outcome out = {.client_done = false};
    BIO *c_bio, *s_bio;
    char byte = 'x';

    assert_non_null(s);
    assert_int_equal(BIO_new_bio_pair(&c_bio, 0, &s_bio, 0), 1);
    SSL_set_bio(c, c_bio, c_bio);
    SSL_set_bio(s, s_bio, s_bio);
    for (int i = 0; i < 20; i++) {
        if (!SSL_is_init_finished(c)) {
            (void)SSL_do_handshake(c);
        }
        if (!SSL_is_init_finished(s)) {
            (void)SSL_do_handshake(s);
        }
        ERR_clear_error();
    }
    out.server_done = SSL_is_init_finished(s) && SSL_write(s, &byte, 1) == 1;
    out.client_done = SSL_is_init_finished(c) && SSL_read(c, &byte, 1) == 1;
    out.version = SSL_version(s);
    if (!tls_peer_region(s, out.client_region, sizeof(out.client_region))) {
        (void)snprintf(out.client_region, sizeof(out.client_region), "none");
    }
    if (!tls_peer_region(c, out.server_region, sizeof(out.server_region))) {
        (void)snprintf(out.server_region, sizeof(out.server_region), "none");
    }
    out.client_node = tls_peer_node(s);
    out.server_node = tls_peer_node(c);
    assert_int_equal(ERR_peek_error(), 0); /* what is ours leaves no error behind */
    SSL_free(c);
    SSL_free(s);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return out;
}

static struct tls_context *door(int ca, enum place own) {
    const struct tls_files files = {ca >= 0 ? certs[ca] : NULL, certs[own], keys[own]};
    struct tls_context *context = NULL;
    struct err err;

    assert_made(tls_server_new(&files, &context, &err), &err);
    return context;
}

static void test_peers_of_one_deployment(void **state) {
    struct tls_context *server = door(A_CA, A_EAST);
    struct client client = {A_CA, A_WEST, "us-east-1.redoubt", 0, 0};
    struct outcome out = handshake(server, &client);

    assert_true(out.client_done && out.server_done);
    assert_int_equal(out.version, TLS1_3_VERSION);
    assert_string_equal(out.client_region, "us-west-2");
    assert_string_equal(out.server_region, "us-east-1");
    assert_int_equal(out.client_node | out.server_node, 0); /* these name none */
    client.server_name = "localhost";
    out = handshake(server, &client);
    assert_true(out.client_done && out.server_done);
    client.cert = A_EAST; /* nodes of one region */
    out = handshake(server, &client);
    assert_string_equal(out.client_region, "us-east-1");
    tls_context_free(server);
}

static void test_peers_that_are_refused(void **state) {
    static const struct client strangers[] = {
        {A_CA, B_EAST, "us-east-1.redoubt", 0, 0},              /* another authority */
        {A_CA, -1, "us-east-1.redoubt", 0, 0},                  /* no certificate */
        {A_CA, A_WEST, "us-east-1.redoubt", TLS1_2_VERSION, 0}, /* an old version */
    };
    struct tls_context *server = door(A_CA, A_EAST);

    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        struct outcome out = handshake(server, &strangers[i]);
        assert_false(out.server_done);
        assert_false(out.client_done);
        assert_string_equal(out.client_region, "none");
    }
    tls_context_free(server);
}

static void test_the_client_checks_the_server(void **state) {
    struct tls_context *a = door(A_CA, A_EAST), *b = door(A_CA, B_EAST);
    const struct client wrong_name = {A_CA, A_WEST, "us-west-2.redoubt", 0, 0};
    const struct client wrong_authority = {A_CA, A_WEST, "us-east-1.redoubt", 0, 0};
    struct outcome out = handshake(a, &wrong_name);

    assert_false(out.client_done || out.server_done);
    assert_string_equal(out.server_region, "none");
    out = handshake(b, &wrong_authority);
    assert_false(out.client_done || out.server_done);
    assert_string_equal(out.server_region, "none");
    tls_context_free(a);
    tls_context_free(b);
}

static void test_the_api_door(void **state) {
    struct tls_context *server = door(-1, A_EAST);
    struct client client = {A_CA, -1, "us-east-1.redoubt", 0, 0};
    struct outcome out = handshake(server, &client);

    assert_true(out.client_done && out.server_done);
    assert_int_equal(out.version, TLS1_3_VERSION);
    assert_string_equal(out.client_region, "none");
    client.max_version = TLS1_2_VERSION;
    out = handshake(server, &client);
    assert_true(out.client_done && out.server_done);
    assert_int_equal(out.version, TLS1_2_VERSION);
    client.max_version = TLS1_1_VERSION;
    out = handshake(server, &client);
    assert_false(out.client_done || out.server_done);
    /* A certificate that nobody asked for makes nobody a region. */
    client.max_version = 0;
    client.cert = A_WEST;
    out = handshake(server, &client);
    assert_true(out.client_done && out.server_done);
    assert_string_equal(out.client_region, "none");
    tls_context_free(server);
}

static void test_life_of_certificates(void **state) {
    const time_t day = 24 * 3600;
    struct tls_context *server = door(A_CA, A_EAST);
    struct client client = {A_CA, A_WEST, "us-east-1.redoubt", 0, 0};

    client.at = time(NULL) - 50 * 60;
    assert_true(handshake(server, &client).client_done);
    client.at = time(NULL) - 70 * 60;
    assert_false(handshake(server, &client).client_done);
    client.at = time(NULL) + 729 * day;
    assert_true(handshake(server, &client).client_done);
    client.at = time(NULL) + 731 * day;
    assert_false(handshake(server, &client).client_done);
    tls_context_free(server);
}

static X509 *read_cert(const char *path) {
    FILE *file = fopen(path, "r");
    X509 *cert;

    assert_non_null(file);
    cert = PEM_read_X509(file, NULL, NULL, NULL);
    assert_non_null(cert);
    (void)fclose(file);
    return cert;
}

static EVP_PKEY *read_key(const char *path) {
    FILE *file = fopen(path, "r");
    EVP_PKEY *key;

    assert_non_null(file);
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    assert_non_null(key);
    (void)fclose(file);
    return key;
}

/* A certificate that the authority of "a" would not have made, at EXTRA with the key of A_WEST. */
static void make_extra(const char *names, const char *uses) {
    X509 *cert = read_cert(certs[A_WEST]), *ca = read_cert(certs[A_CA]);
    EVP_PKEY *key = read_key(keys[A_WEST]), *ca_key = read_key(keys[A_CA]);
    const int nids[] = {NID_subject_alt_name, NID_ext_key_usage};
    const char *const values[] = {names, uses};
    FILE *file;

    for (size_t i = 0; i < ARRAY_LEN(nids); i++) {
        X509_EXTENSION *made;
        int at = X509_get_ext_by_NID(cert, nids[i], -1);
        assert_true(at >= 0);
        X509_EXTENSION_free(X509_delete_ext(cert, at));
        if (values[i] != NULL) {
            made = X509V3_EXT_conf_nid(NULL, NULL, nids[i], values[i]);
            assert_non_null(made);
            assert_int_equal(X509_add_ext(cert, made, -1), 1);
            X509_EXTENSION_free(made);
        }
    }
    assert_true(X509_sign(cert, ca_key, EVP_sha256()) > 0);
    file = fopen(certs[EXTRA], "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    (void)fclose(file);
    (void)unlink(keys[EXTRA]);
    file = fopen(keys[EXTRA], "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
}

static void test_names_that_are_no_region(void **state) {
    static const char *const none[] = {
        "DNS:us-east-1.redoubt,DNS:us-west-2.redoubt", /* two */
        "DNS:localhost",
        "DNS:.redoubt",
        "DNS:us.east.redoubt",
        "DNS:US-EAST-1.redoubt",
        "DNS:-east.redoubt",
        "DNS:*.redoubt",
        "DNS:us-east-1.redoubt.example",
        "email:us-east-1.redoubt",
        /* A node needs its region, beside it and in its own name; and there is one at most. */
        "DNS:0123456789abcdef.us-east-1.redoubt",
        "DNS:us-west-2.redoubt,DNS:0123456789abcdef.us-east-1.redoubt",
        ("DNS:us-east-1.redoubt,DNS:0123456789abcdef.us-east-1.redoubt,"
         "DNS:0123456789abcdee.us-east-1.redoubt"),
        "DNS:us-east-1.redoubt,DNS:0000000000000000.us-east-1.redoubt",
        "DNS:us-east-1.redoubt,DNS:0123456789ABCDEF.us-east-1.redoubt",
        "DNS:us-east-1.redoubt,DNS:0123456789abcde.us-east-1.redoubt",
        "DNS:us-east-1.redoubt,DNS:0123456789abcdef..redoubt",
        NULL,
    };
    const char both_uses[] = "serverAuth,clientAuth";
    struct tls_context *server = door(A_CA, A_EAST);
    const struct client client = {A_CA, EXTRA, "us-east-1.redoubt", 0, 0};
    struct outcome out;

    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        make_extra(none[i], both_uses);
        out = handshake(server, &client);
        assert_true(out.server_done);
        assert_string_equal(out.client_region, "none");
        assert_int_equal(out.client_node, 0);
    }
    make_extra("DNS:0123456789abcdef.us-east-1.redoubt,DNS:us-east-1.redoubt", both_uses);
    out = handshake(server, &client);
    assert_string_equal(out.client_region, "us-east-1");
    assert_int_equal(out.client_node, 0x0123456789abcdef);
    make_extra("DNS:other.example,DNS:ap-south-1.redoubt", both_uses);
    out = handshake(server, &client);
    assert_string_equal(out.client_region, "ap-south-1");
    make_extra("DNS:us-east-1.redoubt", "serverAuth"); /* not for clients */
    out = handshake(server, &client);
    assert_false(out.server_done);
    assert_string_equal(out.client_region, "none");
    tls_context_free(server);
    assert_int_equal(unlink(certs[EXTRA]) | unlink(keys[EXTRA]), 0);
}

static void test_region_needs_room(void **state) {
    struct tls_context *server = door(A_CA, A_EAST);
    SSL *fresh = tls_accept(server);
    char out[64] = "untouched";

    assert_false(tls_peer_region(fresh, out, sizeof(out))); /* before any handshake */
    assert_int_equal(tls_peer_node(fresh), 0);
    assert_string_equal(out, "untouched");
    SSL_free(fresh);
    tls_context_free(server);
}

static void test_what_the_certificates_say(void **state) {
    X509 *ca = read_cert(certs[A_CA]), *cert = read_cert(certs[A_WEST]);

    assert_int_equal(X509_get_version(ca), 2);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_get_pathlen(ca), 0);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_check_ca(cert), 0);
    assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
    assert_int_equal(X509_check_host(cert, "us-west-2.redoubt", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "us-east-1.redoubt", 0, 0, NULL), 0);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), 256);
    assert_int_equal(X509_check_issued(ca, cert), X509_V_OK);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(ca), X509_get0_serialNumber(cert)),
                         0);
    X509_free(ca);
    X509_free(cert);
}

static void test_fingerprint(void **state) {
    X509 *cert = read_cert(certs[A_EAST]);
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    uint8_t digest[32];
    char expected[65], text[65];
    struct err err;

    assert_true(len > 0);
    digest_sha256(der, (size_t)len, digest);
    hex_encode(digest, sizeof(digest), expected);
    assert_int_equal(tls_fingerprint(certs[A_EAST], text, &err), OK);
    assert_string_equal(text, expected);
    assert_int_equal(tls_fingerprint(keys[A_EAST], text, &err), ERR_CRYPTO);
    assert_int_equal(tls_fingerprint(certs[EXTRA], text, &err), ERR_IO);
    OPENSSL_free(der);
    X509_free(cert);
}

static void test_files_are_made_once(void **state) {
    struct stat st;
    struct err err;
    char before[65], after[65];

    for (size_t i = 0; i < EXTRA; i++) {
        assert_int_equal(stat(keys[i], &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    assert_int_equal(tls_fingerprint(certs[A_CA], before, &err), OK);
    assert_int_equal(tls_ca_create(certs[A_CA], keys[A_CA], &err), ERR_RESOURCE_EXISTS);
    assert_int_equal(tls_ca_create(certs[EXTRA], keys[A_CA], &err), ERR_RESOURCE_EXISTS);
    assert_int_equal(tls_ca_create(certs[A_CA], keys[EXTRA], &err), ERR_RESOURCE_EXISTS);
    assert_int_equal(access(certs[EXTRA], F_OK), -1); /* no half of a pair stays */
    assert_int_equal(access(keys[EXTRA], F_OK), -1);
    assert_int_equal(tls_fingerprint(certs[A_CA], after, &err), OK);
    assert_string_equal(before, after);
    assert_int_equal(
        tls_cert_create(certs[A_CA], keys[A_CA], "eu-1", 0, certs[A_EAST], keys[EXTRA], &err),
        ERR_RESOURCE_EXISTS);
}

static void test_what_is_no_authority(void **state) {
    struct err err;

    assert_int_equal(
        tls_cert_create(certs[A_EAST], keys[A_EAST], "eu-1", 0, certs[EXTRA], keys[EXTRA], &err),
        ERR_CRYPTO);
    assert_int_equal(
        tls_cert_create(certs[A_CA], keys[B_CA], "eu-1", 0, certs[EXTRA], keys[EXTRA], &err),
        ERR_CRYPTO);
    assert_int_equal(
        tls_cert_create(certs[EXTRA], keys[A_CA], "eu-1", 0, certs[EXTRA], keys[EXTRA], &err),
        ERR_IO);
    assert_int_equal(access(keys[EXTRA], F_OK), -1);
}

static void test_region_names(void **state) {
    static const char *const bad[] = {
        "",
        "-a",
        "a-",
        "A",
        "a.b",
        "a,DNS:b",
        "a b",
        "a\nb",
        "*",
        "\xc3\xa9",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 64 */};
    static const char *const good[] = {
        "a", "eu-central-1", "0",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 */};
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(
            tls_cert_create(certs[A_CA], keys[A_CA], bad[i], 0, certs[EXTRA], keys[EXTRA], &err),
            ERR_INVALID_PARAMETER);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct tls_context *server = door(A_CA, A_EAST);
        const struct client client = {A_CA, EXTRA, "localhost", 0, 0};
        assert_made(
            tls_cert_create(certs[A_CA], keys[A_CA], good[i], 0, certs[EXTRA], keys[EXTRA], &err),
            &err);
        assert_string_equal(handshake(server, &client).client_region, good[i]);
        assert_int_equal(unlink(certs[EXTRA]) | unlink(keys[EXTRA]), 0);
        tls_context_free(server);
    }
}

static void assert_no_door(const char *ca, const char *cert, const char *key, enum errc expected) {
    const struct tls_files files = {ca, cert, key};
    struct tls_context *context = NULL;
    struct err err;

    assert_int_equal(tls_server_new(&files, &context, &err), expected);
    assert_int_equal(err.code, expected);
    assert_true(strlen(err.message) > 0);
    assert_null(context);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_doors_that_do_not_open(void **state) {
    EVP_PKEY *key = read_key(keys[A_EAST]);
    FILE *file;

    assert_no_door(NULL, certs[A_EAST], keys[EXTRA], ERR_IO);
    assert_no_door(NULL, certs[EXTRA], keys[A_EAST], ERR_CRYPTO);
    assert_no_door(NULL, certs[A_EAST], keys[A_WEST], ERR_CRYPTO);
    assert_no_door(NULL, certs[A_EAST], certs[A_EAST], ERR_IO); /* 0644 */
    assert_no_door(keys[A_CA], certs[A_EAST], keys[A_EAST], ERR_CRYPTO);
    assert_no_door(certs[EXTRA], certs[A_EAST], keys[A_EAST], ERR_CRYPTO);
    assert_int_equal(chmod(keys[A_EAST], 0640), 0);
    assert_no_door(NULL, certs[A_EAST], keys[A_EAST], ERR_IO);
    assert_int_equal(chmod(keys[A_EAST], 0600), 0);
    /* A key behind a passphrase is an error, not a question on the terminal. */
    file = fopen(keys[EXTRA], "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_256_cbc(),
                                          (const unsigned char *)"pass", 4, NULL, NULL),
                     1);
    (void)fclose(file);
    assert_no_door(NULL, certs[A_EAST], keys[EXTRA], ERR_CRYPTO);
    assert_int_equal(unlink(keys[EXTRA]), 0);
    EVP_PKEY_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers_of_one_deployment),
        cmocka_unit_test(test_peers_that_are_refused),
        cmocka_unit_test(test_the_client_checks_the_server),
        cmocka_unit_test(test_the_api_door),
        cmocka_unit_test(test_life_of_certificates),
        cmocka_unit_test(test_names_that_are_no_region),
        cmocka_unit_test(test_region_needs_room),
        cmocka_unit_test(test_what_the_certificates_say),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_files_are_made_once),
        cmocka_unit_test(test_what_is_no_authority),
        cmocka_unit_test(test_region_names),
        cmocka_unit_test(test_doors_that_do_not_open),
    };

    tls_global_init();
    tls_global_init(); /* a second time is nothing */
    return cmocka_run_group_tests(tests, setup, teardown);
}
