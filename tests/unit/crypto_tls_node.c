/* Certificates of nodes, requests for them, and TLS sessions that run in memory. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/wipe.h"
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REGION "us-east-1"

enum place { CA, NODE_A, NODE_B, ANONYMOUS, OTHER_CA, OTHER, EXTRA, PLACES };
enum { REQUEST_MAX = 64 * 1024, PIPE_MAX = 64 * 1024 * 1024 };
static const uint64_t a_id = 0x0123456789abcdef, b_id = 0xfedcba9876543210;
static char folder[64];
static char certs[PLACES][128], keys[PLACES][128];

static void assert_made(enum errc errc, const struct err *err) {
    if (errc != OK) {
        fail_msg("%s", err->message);
    }
}

static void make(enum place ca, enum place place, uint64_t node) {
    struct err err;

    assert_made(tls_cert_create(certs[ca], keys[ca], REGION, node, certs[place], keys[place], &err),
                &err);
}

static int setup(void **state) {
    struct err err;

    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < PLACES; i++) {
        (void)snprintf(certs[i], sizeof(certs[i]), "%s/%d.crt", folder, i);
        (void)snprintf(keys[i], sizeof(keys[i]), "%s/%d.key", folder, i);
    }
    assert_made(tls_ca_create(certs[CA], keys[CA], &err), &err);
    assert_made(tls_ca_create(certs[OTHER_CA], keys[OTHER_CA], &err), &err);
    make(CA, NODE_A, a_id);
    make(CA, NODE_B, b_id);
    make(CA, ANONYMOUS, 0);
    make(OTHER_CA, OTHER, b_id);
    return 0;
}

static int teardown(void **state) {
    for (int i = 0; i < PLACES; i++) {
        (void)unlink(certs[i]);
        (void)unlink(keys[i]);
    }
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

/* ---- What certificates say ---- */

static void test_names_of_certificates(void **state) {
    struct tls_name name;
    struct err err;
    FILE *file = fopen(certs[NODE_A], "r");
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);

    (void)fclose(file);
    assert_int_equal(tls_cert_name(certs[NODE_A], &name, &err), OK);
    assert_string_equal(name.region, REGION);
    assert_int_equal(name.node, a_id);
    assert_int_equal(X509_check_host(cert, "0123456789abcdef.us-east-1.redoubt", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "us-east-1.redoubt", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    X509_free(cert);
    assert_int_equal(tls_cert_name(certs[ANONYMOUS], &name, &err), OK);
    assert_int_equal(name.node, 0);
    assert_int_equal(tls_cert_name(certs[CA], &name, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(tls_cert_name(keys[CA], &name, &err), ERR_CRYPTO);
    assert_int_equal(tls_cert_name(certs[EXTRA], &name, &err), ERR_IO);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_the_longest_names(void **state) {
    static const char region[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct tls_name name;
    struct err err;

    assert_int_equal(strlen(region), 63);
    assert_made(
        tls_cert_create(certs[CA], keys[CA], region, UINT64_MAX, certs[EXTRA], keys[EXTRA], &err),
        &err);
    assert_int_equal(tls_cert_name(certs[EXTRA], &name, &err), OK);
    assert_string_equal(name.region, region);
    assert_true(name.node == UINT64_MAX);
    assert_int_equal(unlink(certs[EXTRA]) | unlink(keys[EXTRA]), 0);
}

static void test_expiry(void **state) {
    const int64_t day = 24 * 3600, now = time(NULL);
    struct err err;
    int64_t end = 0;

    assert_int_equal(tls_cert_expiry(certs[NODE_A], &end, &err), OK);
    assert_in_range(end, now + 730 * day - 600, now + 730 * day + 1);
    assert_int_equal(tls_cert_expiry(certs[CA], &end, &err), OK);
    assert_in_range(end, now + 3650 * day - 600, now + 3650 * day + 1);
    assert_int_equal(tls_cert_expiry(certs[EXTRA], &end, &err), ERR_IO);
}

/* ---- Requests ---- */

static void write_file(const char *path, const struct buf *text) {
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
    assert_int_equal(fclose(file), 0);
}

static void test_a_request_becomes_a_certificate(void **state) {
    const struct tls_files files = {certs[CA], certs[EXTRA], keys[EXTRA]};
    struct tls_context *context = NULL;
    struct buf request, cert;
    struct tls_name name;
    struct stat st;
    struct err err;

    buf_init(&request, REQUEST_MAX);
    buf_init(&cert, REQUEST_MAX);
    assert_made(tls_request_create(keys[EXTRA], &request, &err), &err);
    assert_int_equal(stat(keys[EXTRA], &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_made(
        tls_request_sign(certs[CA], keys[CA], request.data, request.len, REGION, a_id, &cert, &err),
        &err);
    write_file(certs[EXTRA], &cert);
    assert_int_equal(tls_cert_name(certs[EXTRA], &name, &err), OK);
    assert_string_equal(name.region, REGION);
    assert_int_equal(name.node, a_id);
    /* Both belong together, and to the authority. */
    assert_made(tls_node_context_new(&files, &context, &err), &err);
    assert_true(tls_context_name(context, &name));
    assert_int_equal(name.node, a_id);
    tls_context_free(context);
    /* A key is never written over. */
    assert_int_equal(tls_request_create(keys[EXTRA], &request, &err), ERR_RESOURCE_EXISTS);
    /* Who signs decides on the names, and must be able to. */
    assert_int_equal(
        tls_request_sign(certs[CA], keys[CA], request.data, request.len, "a.b", a_id, &cert, &err),
        ERR_INVALID_PARAMETER);
    assert_int_equal(tls_request_sign(certs[CA], keys[OTHER_CA], request.data, request.len, REGION,
                                      a_id, &cert, &err),
                     ERR_CRYPTO);
    assert_int_equal(tls_request_sign(certs[NODE_A], keys[NODE_A], request.data, request.len,
                                      REGION, a_id, &cert, &err),
                     ERR_CRYPTO);
    buf_fini(&request);
    buf_fini(&cert);
    assert_int_equal(unlink(certs[EXTRA]) | unlink(keys[EXTRA]), 0);
}

static void assert_no_request(const void *data, size_t len) {
    struct buf cert;
    struct err err;

    buf_init(&cert, REQUEST_MAX);
    assert_int_equal(tls_request_sign(certs[CA], keys[CA], data, len, REGION, a_id, &cert, &err),
                     ERR_MALFORMED);
    assert_int_equal(cert.len, 0);
    assert_int_equal(ERR_peek_error(), 0);
    buf_fini(&cert);
}

/* A request with another name and this key, as text; returns its length. */
static size_t make_request(EVP_PKEY *key, EVP_PKEY *signer, char *out, size_t size) {
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    assert_int_equal(X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_commonName,
                                                MBSTRING_ASC, (const uint8_t *)"us-west-2.redoubt",
                                                -1, -1, 0),
                     1);
    assert_true(X509_REQ_sign(request, signer, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    len = BIO_get_mem_data(bio, &data);
    assert_in_range(len, 1, (long)size);
    memcpy(out, data, (size_t)len);
    (void)BIO_free(bio);
    X509_REQ_free(request);
    return (size_t)len;
}

static void test_requests_that_are_none(void **state) {
    static const char junk[] = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE "
                               "REQUEST-----\n";
    static char large[REQUEST_MAX];
    EVP_PKEY *good = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    EVP_PKEY *wide = EVP_EC_gen("P-384"), *rsa = EVP_RSA_gen(2048);
    char text[8192];
    struct buf cert;
    struct tls_name name;
    struct err err;
    size_t len;

    assert_no_request("", 0);
    assert_no_request(junk, sizeof(junk) - 1);
    len = make_request(good, other, text, sizeof(text)); /* it does not have the key */
    assert_no_request(text, len);
    len = make_request(wide, wide, text, sizeof(text));
    assert_no_request(text, len);
    len = make_request(rsa, rsa, text, sizeof(text));
    assert_no_request(text, len);
    len = make_request(good, good, text, sizeof(text));
    assert_no_request(text, len / 2);
    memset(large, '\n', sizeof(large));
    memcpy(large, text, len);
    assert_no_request(large, sizeof(large));
    /* Of a good one nothing but the key is taken. */
    buf_init(&cert, REQUEST_MAX);
    assert_made(tls_request_sign(certs[CA], keys[CA], (const uint8_t *)text, len, REGION, b_id,
                                 &cert, &err),
                &err);
    write_file(certs[EXTRA], &cert);
    assert_int_equal(tls_cert_name(certs[EXTRA], &name, &err), OK);
    assert_string_equal(name.region, REGION);
    assert_int_equal(name.node, b_id);
    buf_fini(&cert);
    assert_int_equal(unlink(certs[EXTRA]), 0);
    EVP_PKEY_free(good);
    EVP_PKEY_free(other);
    EVP_PKEY_free(wide);
    EVP_PKEY_free(rsa);
}

/* ---- Sessions ---- */

static struct tls_context *context_of(enum place ca, enum place place) {
    const struct tls_files files = {certs[ca], certs[place], keys[place]};
    struct tls_context *context = NULL;
    struct err err;

    assert_made(tls_node_context_new(&files, &context, &err), &err);
    return context;
}

struct pair {
    struct tls_stream *client, *server;
    enum errc client_code, server_code; /* the first that was not OK */
    struct err client_err, server_err;
    struct buf at_client, at_server; /* plaintext that arrived */
    size_t ciphertext;               /* bytes, both ways */
};

static void take_plain(struct tls_stream *stream, struct buf *out, enum errc *code,
                       struct err *err) {
    size_t len = 0;

    do {
        uint8_t *at = buf_reserve(out, 16384);
        assert_non_null(at);
        *code = tls_stream_read(stream, at, 16384, &len, err);
        len = *code == OK ? len : 0;
        out->len += len;
    } while (len > 0);
}

/* What one side has to send goes to the other in steps of `step` bytes. Returns how many. */
static size_t carry(struct tls_stream *from, struct tls_stream *to, size_t step, struct buf *out,
                    enum errc *code, struct err *err) {
    struct buf bytes;
    size_t len;

    buf_init(&bytes, PIPE_MAX);
    assert_int_equal(tls_stream_send(from, &bytes), OK);
    for (size_t at = 0; at < bytes.len && *code == OK; at += step) {
        size_t part = bytes.len - at < step ? bytes.len - at : step;
        *code = tls_stream_receive(to, bytes.data + at, part, err);
        if (*code == OK) {
            take_plain(to, out, code, err);
        }
    }
    len = bytes.len;
    buf_fini(&bytes);
    return len;
}

static void pump(struct pair *pair, size_t step) {
    size_t moved;

    do {
        moved = carry(pair->client, pair->server, step, &pair->at_server, &pair->server_code,
                      &pair->server_err);
        moved += carry(pair->server, pair->client, step, &pair->at_client, &pair->client_code,
                       &pair->client_err);
        pair->ciphertext += moved;
    } while (moved > 0);
    assert_int_equal(ERR_peek_error(), 0);
}

static struct pair pair_open(struct tls_context *client, struct tls_context *server,
                             const char *region, uint64_t node, size_t step) {
    struct pair pair = {.client = tls_stream_connect(client, region, node),
                        .server = tls_stream_accept(server)};

    assert_non_null(pair.client);
    assert_non_null(pair.server);
    assert_false(tls_stream_is_open(pair.client) || tls_stream_is_open(pair.server));
    buf_init(&pair.at_client, PIPE_MAX);
    buf_init(&pair.at_server, PIPE_MAX);
    pump(&pair, step);
    return pair;
}

static void pair_close(struct pair *pair) {
    tls_stream_free(pair->client);
    tls_stream_free(pair->server);
    buf_fini(&pair->at_client);
    buf_fini(&pair->at_server);
}

static void test_two_nodes_meet(void **state) {
    static const size_t steps[] = {1, 7, 100, SIZE_MAX};
    struct tls_name name;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct tls_context *a = context_of(CA, NODE_A), *b = context_of(CA, NODE_B);
        struct pair pair = pair_open(a, b, REGION, b_id, steps[i]);
        tls_context_free(a); /* streams keep what they need */
        tls_context_free(b);
        assert_int_equal(pair.client_code | pair.server_code, OK);
        assert_true(tls_stream_is_open(pair.client) && tls_stream_is_open(pair.server));
        assert_true(tls_stream_peer(pair.client, &name));
        assert_string_equal(name.region, REGION);
        assert_int_equal(name.node, b_id);
        assert_true(tls_stream_peer(pair.server, &name));
        assert_int_equal(name.node, a_id);
        for (size_t len = 0; len < 2000; len += 1 + len / 2) {
            uint8_t bytes[2000];
            memset(bytes, (int)len, sizeof(bytes));
            pair.at_client.len = pair.at_server.len = 0;
            assert_int_equal(tls_stream_write(pair.client, bytes, len, &err), OK);
            assert_int_equal(tls_stream_write(pair.server, bytes, len / 2, &err), OK);
            pump(&pair, steps[i]);
            assert_int_equal(pair.at_server.len, len);
            assert_int_equal(pair.at_client.len, len / 2);
            assert_true(len == 0 || memcmp(pair.at_server.data, bytes, len) == 0);
        }
        pair_close(&pair);
    }
}

static void test_much_at_once(void **state) {
    struct tls_context *a = context_of(CA, NODE_A), *b = context_of(CA, NODE_B);
    struct pair pair = pair_open(a, b, REGION, b_id, SIZE_MAX);
    uint8_t *bytes = malloc(TLS_STREAM_WRITE_MAX);
    struct buf out;
    struct err err;

    assert_non_null(bytes);
    for (size_t i = 0; i < TLS_STREAM_WRITE_MAX; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    /* The largest write, several times: into the buffer's memory, and behind what is there. */
    buf_init(&out, 2 * TLS_STREAM_WRITE_MAX);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tls_stream_write(pair.client, bytes, TLS_STREAM_WRITE_MAX, &err), OK);
        out.len = 0;
        assert_int_equal(tls_stream_send(pair.client, &out), OK);
        assert_int_equal(tls_stream_write(pair.client, bytes, 1000, &err), OK);
        assert_int_equal(tls_stream_send(pair.client, &out), OK);
        assert_int_equal(tls_stream_receive(pair.server, out.data, out.len, &err), OK);
        pair.at_server.len = 0;
        take_plain(pair.server, &pair.at_server, &pair.server_code, &pair.server_err);
        assert_int_equal(pair.server_code, OK);
        assert_int_equal(pair.at_server.len, TLS_STREAM_WRITE_MAX + 1000);
        assert_memory_equal(pair.at_server.data, bytes, TLS_STREAM_WRITE_MAX);
        assert_memory_equal(pair.at_server.data + TLS_STREAM_WRITE_MAX, bytes, 1000);
    }
    buf_fini(&out);
    free(bytes);
    pair_close(&pair);
    tls_context_free(a);
    tls_context_free(b);
}

/* A stream that lasts gets new keys, and nobody sees it. */
static void test_keys_are_replaced(void **state) {
    enum { WRITES = (1 << 20) + 1000, TOGETHER = 500 };
    struct tls_context *a = context_of(CA, NODE_A), *b = context_of(CA, NODE_B);
    struct pair pair = pair_open(a, b, REGION, b_id, SIZE_MAX);
    struct err err;
    uint8_t sent[TOGETHER];
    size_t total = 0, arrived = 0, before = pair.ciphertext;

    for (size_t i = 0; i < WRITES; i++) {
        uint8_t *byte = &sent[i % TOGETHER];
        *byte = (uint8_t)(i * 7);
        if (tls_stream_write(pair.client, byte, 1, &err) != OK) {
            fail_msg("%s", err.message);
        }
        total++;
        if (i % TOGETHER == TOGETHER - 1 || i == WRITES - 1) {
            pair.at_server.len = 0;
            pump(&pair, SIZE_MAX);
            assert_int_equal(pair.server_code, OK);
            assert_int_equal(pair.at_server.len, total - arrived);
            assert_memory_equal(pair.at_server.data, sent, pair.at_server.len);
            arrived = total;
        }
    }
    /* A byte, its record, and once the word of the change. */
    assert_in_range(pair.ciphertext - before, (size_t)WRITES * 23 + 1, (size_t)WRITES * 23 + 64);
    assert_int_equal(tls_stream_write(pair.server, (const uint8_t *)"and back", 8, &err), OK);
    pump(&pair, SIZE_MAX);
    assert_int_equal(pair.at_client.len, 8);
    pair_close(&pair);
    tls_context_free(a);
    tls_context_free(b);
}

static void assert_no_session(enum place client_ca, enum place client, enum place server_ca,
                              enum place server, const char *region, uint64_t node,
                              const char *words) {
    struct tls_context *c = context_of(client_ca, client), *s = context_of(server_ca, server);
    struct pair pair = pair_open(c, s, region, node, SIZE_MAX);
    struct tls_name name;

    assert_false(tls_stream_is_open(pair.server));
    assert_false(tls_stream_peer(pair.server, &name));
    assert_int_equal(pair.server_code, ERR_CRYPTO);
    assert_int_equal(pair.client_code, ERR_CRYPTO); /* each learns of it */
    if (strstr(pair.client_err.message, words) == NULL) {
        fail_msg("%s", pair.client_err.message);
    }
    pair_close(&pair);
    tls_context_free(c);
    tls_context_free(s);
}

static void test_sessions_that_do_not_open(void **state) {
    assert_no_session(CA, NODE_A, CA, NODE_B, REGION, a_id, "mismatch");
    assert_no_session(CA, NODE_A, CA, NODE_B, REGION, b_id + 1, "mismatch");
    assert_no_session(CA, NODE_A, CA, NODE_B, "us-west-2", b_id, "mismatch");
    assert_no_session(CA, NODE_A, CA, ANONYMOUS, REGION, b_id, "mismatch");
    assert_no_session(CA, NODE_A, OTHER_CA, OTHER, REGION, b_id, "certificate");
    assert_no_session(OTHER_CA, OTHER, CA, NODE_A, REGION, a_id, "certificate");
}

/* The client trusts the server; that one does not trust it. */
static void test_the_server_judges_too(void **state) {
    const struct tls_files files = {certs[CA], certs[OTHER], keys[OTHER]};
    struct tls_context *client = NULL, *server = context_of(CA, NODE_B);
    struct pair pair;
    struct err err;

    assert_made(tls_node_context_new(&files, &client, &err), &err);
    pair = pair_open(client, server, REGION, b_id, SIZE_MAX);
    assert_int_equal(pair.server_code, ERR_CRYPTO);
    assert_false(tls_stream_is_open(pair.server));
    assert_int_equal(pair.client_code, ERR_CRYPTO);
    pair_close(&pair);
    tls_context_free(client);
    tls_context_free(server);
}

static void test_bytes_that_are_no_tls(void **state) {
    static const char junk[] = "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n";
    struct tls_context *a = context_of(CA, NODE_A), *b = context_of(CA, NODE_B);
    struct tls_stream *stream = tls_stream_accept(a);
    struct pair pair = pair_open(a, b, REGION, b_id, SIZE_MAX);
    struct buf out;
    struct err err;
    uint8_t plain[100];
    size_t len = 0;

    assert_int_equal(tls_stream_receive(stream, (const uint8_t *)junk, sizeof(junk) - 1, &err),
                     ERR_CRYPTO);
    assert_true(strlen(err.message) > 0);
    tls_stream_free(stream);
    /* One changed byte of an open session ends it. */
    buf_init(&out, PIPE_MAX);
    assert_int_equal(tls_stream_write(pair.client, (const uint8_t *)"secret", 6, &err), OK);
    assert_int_equal(tls_stream_send(pair.client, &out), OK);
    out.data[out.len - 1] ^= 1;
    assert_int_equal(tls_stream_receive(pair.server, out.data, out.len, &err), OK);
    assert_int_equal(tls_stream_read(pair.server, plain, sizeof(plain), &len, &err), ERR_CRYPTO);
    assert_int_equal(len, 0);
    buf_fini(&out);
    pair_close(&pair);
    tls_context_free(a);
    tls_context_free(b);
}

static void test_contexts_that_cannot_be(void **state) {
    const struct tls_files files[] = {
        {certs[CA], certs[NODE_A], keys[NODE_B]},
        {keys[CA], certs[NODE_A], keys[NODE_A]},
        {certs[CA], certs[EXTRA], keys[NODE_A]},
    };
    struct tls_context *context = NULL;
    struct tls_name name;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_int_equal(tls_node_context_new(&files[i], &context, &err), ERR_CRYPTO);
        assert_null(context);
    }
    context = context_of(CA, ANONYMOUS);
    assert_true(tls_context_name(context, &name));
    assert_int_equal(name.node, 0);
    tls_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_certificates),
        cmocka_unit_test(test_the_longest_names),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_a_request_becomes_a_certificate),
        cmocka_unit_test(test_requests_that_are_none),
        cmocka_unit_test(test_two_nodes_meet),
        cmocka_unit_test(test_much_at_once),
        cmocka_unit_test(test_keys_are_replaced),
        cmocka_unit_test(test_sessions_that_do_not_open),
        cmocka_unit_test(test_the_server_judges_too),
        cmocka_unit_test(test_bytes_that_are_no_tls),
        cmocka_unit_test(test_contexts_that_cannot_be),
    };

    tls_global_init();
    return cmocka_run_group_tests(tests, setup, teardown);
}
