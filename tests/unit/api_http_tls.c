/* The HTTP door over TLS: the peers' listener that wants to know the region of a certificate, the
 * API's that does not, and clients that speak something else. */
#include "http_rig.h"

#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

/* A deployment's authority, a certificate of a region, and the two server sides. */
static struct {
    char folder[64];
    char ca_cert[96];
    char ca_key[96];
    char cert[96];
    char key[96];
    struct tls_context *peers;
    struct tls_context *open;
    struct tls_context *api;
} pki;

static int setup(void **state) {
    struct err err = {.message = ""};
    struct tls_files files;

    tls_global_init();
    (void)snprintf(pki.folder, sizeof(pki.folder), "/tmp/redoubt-tls-XXXXXX");
    assert_non_null(mkdtemp(pki.folder));
    (void)snprintf(pki.ca_cert, sizeof(pki.ca_cert), "%s/ca.pem", pki.folder);
    (void)snprintf(pki.ca_key, sizeof(pki.ca_key), "%s/ca.key", pki.folder);
    (void)snprintf(pki.cert, sizeof(pki.cert), "%s/node.pem", pki.folder);
    (void)snprintf(pki.key, sizeof(pki.key), "%s/node.key", pki.folder);
    if (tls_ca_create(pki.ca_cert, pki.ca_key, &err) != OK ||
        tls_cert_create(pki.ca_cert, pki.ca_key, "eu-west-1", 0, pki.cert, pki.key, &err) != OK) {
        fail_msg("%s", err.message);
    }
    files = (struct tls_files){.ca_path = pki.ca_cert, .cert_path = pki.cert, .key_path = pki.key};
    assert_int_equal(tls_server_new(&files, &pki.peers, &err), OK);
    assert_int_equal(tls_server_new_open(&files, &pki.open, &err), OK);
    files.ca_path = NULL;
    assert_int_equal(tls_server_new(&files, &pki.api, &err), OK);
    return 0;
}

static int teardown(void **state) {
    tls_context_free(pki.peers);
    tls_context_free(pki.open);
    tls_context_free(pki.api);
    (void)unlink(pki.ca_cert);
    (void)unlink(pki.ca_key);
    (void)unlink(pki.cert);
    (void)unlink(pki.key);
    (void)rmdir(pki.folder);
    return 0;
}

static void handle_tls(struct exchange *exchange, void *arg) {
    if (target_is(exchange_request(exchange), "/region")) {
        reply_text(exchange, 200, exchange_peer_region(exchange));
    } else {
        handle(exchange, arg);
    }
}

static struct http_server *serve_open(struct tls_context *tls, bool need_peer_region,
                                      size_t anonymous_body_max, unsigned *ret_port) {
    const struct listener_options options = {.address = "127.0.0.1:0",
                                             .tls = tls,
                                             .body_max = BODY_MAX,
                                             .need_peer_region = need_peer_region,
                                             .anonymous_body_max = anonymous_body_max,
                                             .handler = handle_tls,
                                             .timeouts = {.head_ms = 500}};
    struct http_server *server = NULL;
    struct err err = {.message = ""};

    assert_int_equal(http_server_new(2, &server, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_equal(http_server_start(server, &err), OK);
    *ret_port = http_server_port(server, 0);
    return server;
}

static struct http_server *serve_tls(struct tls_context *tls, bool need_peer_region,
                                     unsigned *ret_port) {
    return serve_open(tls, need_peer_region, 0, ret_port);
}

struct client {
    SSL_CTX *context;
    SSL *session;
    int fd;
};

static struct client client_open(unsigned port, bool with_cert) {
    struct client client = {.context = SSL_CTX_new(TLS_client_method()), .fd = dial(port)};

    assert_non_null(client.context);
    assert_int_equal(SSL_CTX_load_verify_locations(client.context, pki.ca_cert, NULL), 1);
    SSL_CTX_set_verify(client.context, SSL_VERIFY_PEER, NULL);
    if (with_cert) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(client.context, pki.cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(client.context, pki.key, SSL_FILETYPE_PEM), 1);
    }
    client.session = SSL_new(client.context);
    assert_non_null(client.session);
    assert_int_equal(SSL_set1_host(client.session, "eu-west-1.redoubt"), 1);
    assert_int_equal(SSL_set_fd(client.session, client.fd), 1);
    return client;
}

static void client_close(struct client *client) {
    SSL_free(client->session);
    SSL_CTX_free(client->context);
    (void)close(client->fd);
    ERR_clear_error();
}

static void client_send(struct client *client, const char *data, size_t len) {
    assert_int_equal(SSL_write(client->session, data, (int)len), (int)len);
}

static void client_send_text(struct client *client, const char *text) {
    client_send(client, text, strlen(text));
}

/* Reads a response to its end; the caller frees the body. */
static char *client_read(struct client *client, int status) {
    char head[2048] = "";
    size_t at = 0;
    size_t body_len;
    size_t got = 0;
    const char *length;
    char *body;

    while (at < 4 || memcmp(head + at - 4, "\r\n\r\n", 4) != 0) {
        assert_true(at + 1 < sizeof(head));
        assert_int_equal(SSL_read(client->session, head + at, 1), 1);
        at++;
    }
    assert_int_equal(strtol(head + 9, NULL, 10), status);
    length = strstr(head, "\r\nContent-Length: ");
    assert_non_null(length);
    body_len = strtoul(length + 18, NULL, 10);
    body = calloc(1, body_len + 1);
    assert_non_null(body);
    while (got < body_len) {
        int n = SSL_read(client->session, body + got, (int)(body_len - got));
        assert_true(n > 0);
        got += (size_t)n;
    }
    return body;
}

static void client_expect(struct client *client, int status, const char *expected) {
    char *body = client_read(client, status);
    assert_string_equal(body, expected);
    free(body);
}

/* Whatever the client tries, nothing is answered. */
static void client_expect_nothing(struct client *client) {
    static const char request[] = "GET /region HTTP/1.1\r\nHost: h\r\n\r\n";
    char byte;

    if (SSL_connect(client->session) == 1) {
        (void)SSL_write(client->session, request, sizeof(request) - 1);
        assert_true(SSL_read(client->session, &byte, 1) <= 0);
        assert_int_not_equal(errno, EAGAIN); /* it was closed, we did not give up */
    }
    client_close(client);
}

static void test_peer_region(void **state) {
    static const char two[] = "GET /region HTTP/1.1\r\nHost: h\r\n\r\n"
                              "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
                              "GET /region HTTP/1.1\r\nHost: h\r\n\r\n";
    unsigned port = 0;
    struct http_server *server = serve_tls(pki.peers, true, &port);
    struct client client = client_open(port, true);

    assert_int_equal(SSL_connect(client.session), 1);
    assert_int_equal(SSL_version(client.session), TLS1_3_VERSION);
    for (int i = 0; i < 20; i++) {
        client_send_text(&client, two);
        client_expect(&client, 200, "eu-west-1");
        client_expect(&client, 200, "ab");
        client_expect(&client, 200, "eu-west-1");
    }
    client_close(&client);
    http_server_stop(server, 1000);
}

/* Bodies of many records, in both directions, also while an exchange keeps the door from reading.
 */
static void test_large_bodies(void **state) {
    enum { LEN = 200 * 1000 };
    unsigned port = 0;
    struct http_server *server = serve_tls(pki.api, false, &port);
    struct client client = client_open(port, false);
    char *body = malloc(LEN + 1);
    char head[128];

    assert_non_null(body);
    for (size_t i = 0; i < LEN; i++) {
        body[i] = (char)('a' + i % 23);
    }
    body[LEN] = '\0';
    assert_int_equal(SSL_connect(client.session), 1);
    for (int i = 0; i < 5; i++) {
        int len = snprintf(head, sizeof(head),
                           "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
                           i % 2 == 0 ? "echo" : "later", LEN);
        client_send_text(&client, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
        client_send(&client, head, (size_t)len);
        client_send(&client, body, LEN);
        client_expect(&client, 200, "x");
        client_expect(&client, 200, body);
    }
    client_send_text(&client, "GET /region HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client_expect(&client, 200, "");
    assert_true(SSL_read(client.session, head, 1) <= 0);
    client_close(&client);
    free(body);
    http_server_stop(server, 1000);
}

static void test_peer_without_region(void **state) {
    unsigned port = 0;
    struct http_server *server = serve_tls(pki.peers, true, &port);
    struct client client = client_open(port, false);

    client_expect_nothing(&client); /* the handshake asks for a certificate */
    http_server_stop(server, 1000);
    server = serve_tls(pki.api, true, &port);
    client = client_open(port, true);
    client_expect_nothing(&client); /* here nobody asks, so nobody is known */
    http_server_stop(server, 1000);
}

/* One request each, small, and few at a time; a peer at the same door has all of it. */
static void test_anonymous(void **state) {
    unsigned port = 0;
    struct http_server *server = serve_open(pki.open, true, 8, &port);
    struct client client = client_open(port, false);
    char byte;

    assert_int_equal(SSL_connect(client.session), 1);
    client_send_text(&client, "GET /region HTTP/1.1\r\nHost: h\r\n\r\n"
                              "GET /region HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(&client, 200, "");
    assert_true(SSL_read(client.session, &byte, 1) <= 0);
    client_close(&client);
    client = client_open(port, false);
    assert_int_equal(SSL_connect(client.session), 1);
    client_send_text(&client, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    free(client_read(&client, 413));
    client_close(&client);
    client = client_open(port, true);
    assert_int_equal(SSL_connect(client.session), 1);
    for (int i = 0; i < 3; i++) {
        client_send_text(&client,
                         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789"
                         "GET /region HTTP/1.1\r\nHost: h\r\n\r\n");
        client_expect(&client, 200, "123456789");
        client_expect(&client, 200, "eu-west-1");
    }
    client_close(&client);
    http_server_stop(server, 1000);
    /* A door that asks for a certificate and lets nobody in without one. */
    server = serve_tls(pki.open, true, &port);
    client = client_open(port, false);
    client_expect_nothing(&client);
    http_server_stop(server, 1000);
}

static void test_few_anonymous(void **state) {
    enum { MANY = 2 * LIMIT_HTTP_ANONYMOUS + 8 };
    static struct client clients[MANY];
    unsigned port = 0;
    struct http_server *server = serve_open(pki.open, true, 8, &port); /* of two workers */
    struct client peer;
    int64_t begin = now_ms();
    unsigned answered = 0;
    char byte;

    for (size_t i = 0; i < MANY; i++) {
        clients[i] = client_open(port, false);
        assert_int_equal(SSL_connect(clients[i].session), 1);
    }
    peer = client_open(port, true);
    assert_int_equal(SSL_connect(peer.session), 1);
    client_send_text(&peer, "GET /region HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(&peer, 200, "eu-west-1");
    client_close(&peer);
    /* Those that were let in say nothing, and are closed as soon as the others. */
    for (size_t i = 0; i < MANY; i++) {
        answered += SSL_read(clients[i].session, &byte, 1) > 0;
        client_close(&clients[i]);
    }
    assert_in_range(answered, 0, 2 * LIMIT_HTTP_ANONYMOUS); /* "too slow" is an answer */
    assert_in_range(now_ms() - begin, 0, 5000);
    http_server_stop(server, 1000);
}

static void test_not_tls(void **state) {
    unsigned port = 0;
    struct http_server *server = serve_tls(pki.peers, true, &port);
    int64_t begin = now_ms();
    int fd = dial(port);
    char byte;

    send_get(fd, "/region"); /* plain HTTP: an alert perhaps, then the end */
    while (recv(fd, &byte, 1, 0) > 0) {
    }
    assert_true(now_ms() - begin < 3000);
    (void)close(fd);
    begin = now_ms();
    expect_end(dial(port), true); /* silence: the deadline of the handshake */
    assert_in_range(now_ms() - begin, 400, 3000);
    http_server_stop(server, 1000);
}

static void test_client_leaves_tls(void **state) {
    unsigned port = 0;
    struct http_server *server = serve_tls(pki.api, false, &port);
    struct client client = client_open(port, false);
    int64_t until = now_ms() + 5000;
    struct exchange *exchange;

    assert_int_equal(SSL_connect(client.session), 1);
    client_send_text(&client, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    exchange = take_held(1);
    client_close(&client);
    while (run_errand(exchange, NULL)) {
        assert_true(now_ms() < until);
        sleep_ms(2);
    }
    assert_false(run_errand(exchange, "nobody hears"));
    client = client_open(port, false); /* and one whose handshake is under way at the stop */
    http_server_stop(server, 1000);
    client_close(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_region),         cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_peer_without_region), cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_client_leaves_tls),   cmocka_unit_test(test_anonymous),
        cmocka_unit_test(test_few_anonymous),
    };

    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return cmocka_run_group_tests(tests, setup, teardown);
}
