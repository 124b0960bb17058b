/* Certificates of a deployment and a small TLS server for the tests of what calls other regions: a
 * thread a connection, requests read whole, each answered by the test's function.
 *
 * Included by the programs that need it. */
#ifndef TESTS_UNIT_PEER_SERVER_H
#define TESTS_UNIT_PEER_SERVER_H

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/tls.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* ---- Certificates ---- */

static char folder[64];
static char paths[12][128]; /* certificates and keys; NODE_ are nodes 0x11 and 0x12 of us-east-1 */
enum { CA, CA_KEY, EAST, EAST_KEY, WEST, WEST_KEY, OTHER, OTHER_KEY };
enum { NODE_ONE = 8, NODE_ONE_KEY, NODE_TWO, NODE_TWO_KEY };

static inline int make_certificates(void **state) {
    static const char *const names[] = {"ca.pem",   "ca.key",   "east.pem",  "east.key",
                                        "west.pem", "west.key", "other.pem", "other.key",
                                        "one.pem",  "one.key",  "two.pem",   "two.key"};
    struct err err;

    tls_global_init();
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt_peers_XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
    }
    assert_int_equal(tls_ca_create(paths[CA], paths[CA_KEY], &err), OK);
    assert_int_equal(tls_ca_create(paths[OTHER], paths[OTHER_KEY], &err), OK);
    assert_int_equal(tls_cert_create(paths[CA], paths[CA_KEY], "us-east-1", 0, paths[EAST],
                                     paths[EAST_KEY], &err),
                     OK);
    assert_int_equal(tls_cert_create(paths[CA], paths[CA_KEY], "us-west-2", 0, paths[WEST],
                                     paths[WEST_KEY], &err),
                     OK);
    assert_int_equal(tls_cert_create(paths[CA], paths[CA_KEY], "us-east-1", 0x11, paths[NODE_ONE],
                                     paths[NODE_ONE_KEY], &err),
                     OK);
    assert_int_equal(tls_cert_create(paths[CA], paths[CA_KEY], "us-east-1", 0x12, paths[NODE_TWO],
                                     paths[NODE_TWO_KEY], &err),
                     OK);
    return 0;
}

static inline int remove_certificates(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)unlink(paths[i]);
    }
    (void)rmdir(folder);
    return 0;
}

/* ---- The server ---- */

enum { CONNECTIONS_MAX = 1200 };

struct server;
struct request;

/* Sends the answer; false closes the connection. Many threads. */
typedef bool answer_fn(struct server *server, SSL *ssl, const struct request *request);

struct server {
    SSL_CTX *context;
    answer_fn *answer;
    void *arg; /* of the test */
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int n_connections;
    atomic_int n_open;
    atomic_int n_open_max;
    atomic_int n_requests;
    pthread_t connection_threads[CONNECTIONS_MAX];
};

struct connection {
    struct server *server;
    int fd;
};

struct request {
    char head[LIMIT_HTTP_HEAD];
    char path[64];
    char region[LIMIT_REGION_NAME + 1]; /* of the certificate */
    struct buf body;
};

static inline bool read_request(SSL *ssl, struct request *request) {
    size_t len = 0;
    char *end;
    const char *field;
    unsigned long body_len;

    request->head[0] = '\0';
    while ((end = strstr(request->head, "\r\n\r\n")) == NULL) {
        int got = SSL_read(ssl, request->head + len, 1);
        if (got <= 0 || len + 2 >= sizeof(request->head)) {
            return false;
        }
        request->head[++len] = '\0';
    }
    assert_int_equal(strncmp(request->head, "POST /", 6), 0);
    assert_null(strstr(request->head, "Expect:"));
    (void)snprintf(request->path, sizeof(request->path), "%.*s",
                   (int)strcspn(request->head + 5, " "), request->head + 5);
    field = strstr(request->head, "Content-Length: ");
    assert_non_null(field);
    body_len = strtoul(field + 16, NULL, 10);
    buf_reset(&request->body);
    while (request->body.len < body_len) {
        uint8_t chunk[16384];
        size_t left = body_len - request->body.len;
        int got = SSL_read(ssl, chunk, (int)(left < sizeof(chunk) ? left : sizeof(chunk)));
        if (got <= 0) {
            return false;
        }
        buf_append(&request->body, chunk, (size_t)got);
    }
    return true;
}

static inline bool send_all(SSL *ssl, const void *data, size_t len) {
    return len == 0 || SSL_write(ssl, data, (int)len) == (int)len;
}

static inline bool send_head(SSL *ssl, int status, const char *fields, size_t body_len) {
    char head[512];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status,
                       fields, body_len);

    return send_all(ssl, head, (size_t)len);
}

static inline bool server_count_and_answer(struct server *server, SSL *ssl,
                                           const struct request *request) {
    (void)atomic_fetch_add(&server->n_requests, 1);
    return server->answer(server, ssl, request);
}

static inline void *serve_connection(void *arg) {
    struct connection *connection = arg;
    struct server *server = connection->server;
    struct request *request = calloc(1, sizeof(*request));
    SSL *ssl = SSL_new(server->context);
    int open = atomic_fetch_add(&server->n_open, 1) + 1;
    int most = atomic_load(&server->n_open_max);

    while (open > most && !atomic_compare_exchange_weak(&server->n_open_max, &most, open)) {
    }
    assert_non_null(request);
    assert_non_null(ssl);
    buf_init(&request->body, LIMIT_PEER_BODY);
    (void)SSL_set_fd(ssl, connection->fd);
    if (SSL_accept(ssl) == 1 && tls_peer_region(ssl, request->region, sizeof(request->region))) {
        while (!atomic_load(&server->stopping) && read_request(ssl, request) &&
               server_count_and_answer(server, ssl, request)) {
        }
    }
    SSL_free(ssl);
    ERR_clear_error();
    (void)close(connection->fd);
    buf_fini(&request->body);
    free(request);
    free(connection);
    (void)atomic_fetch_sub(&server->n_open, 1);
    return NULL;
}

static inline void *serve(void *arg) {
    struct server *server = arg;

    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        struct connection *connection;
        int at;
        if (fd < 0) {
            return NULL;
        }
        /* What a test leaves open must not hold its server for ever. */
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 3},
                         sizeof(struct timeval));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 3},
                         sizeof(struct timeval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        at = atomic_fetch_add(&server->n_connections, 1);
        assert_true(at < CONNECTIONS_MAX);
        connection = calloc(1, sizeof(*connection));
        assert_non_null(connection);
        connection->server = server;
        connection->fd = fd;
        assert_int_equal(
            pthread_create(&server->connection_threads[at], NULL, serve_connection, connection), 0);
    }
}

/* On `port` of the loopback, 0: any. */
static inline struct server *server_start(const char *cert, const char *key, int version_max,
                                          unsigned port, answer_fn *answer, void *arg) {
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    assert_non_null(server);
    server->answer = answer;
    server->arg = arg;
    server->context = SSL_CTX_new(TLS_server_method());
    assert_non_null(server->context);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(server->context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(server->context, key, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_load_verify_locations(server->context, paths[CA], NULL), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server->context, version_max), 1);
    SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 512), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

static inline void server_stop(struct server *server) {
    atomic_store(&server->stopping, true);
    (void)shutdown(server->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->fd);
    for (int i = 0; i < atomic_load(&server->n_connections); i++) {
        assert_int_equal(pthread_join(server->connection_threads[i], NULL), 0);
    }
    SSL_CTX_free(server->context);
    free(server);
}

#endif
