/* The client for calls to other regions against a small TLS server: what it brings back, whom it
 * refuses to believe, and that every call ends exactly once. */
#include "cluster/peer_client.h"

#include "base/limits.h"
#include "base/world.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
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
static char paths[8][128]; /* ca, ca key, east, key, west, key, other ca, key */
enum { CA, CA_KEY, EAST, EAST_KEY, WEST, WEST_KEY, OTHER, OTHER_KEY };

static int make_certificates(void **state) {
    static const char *const names[] = {"ca.pem",   "ca.key",   "east.pem",  "east.key",
                                        "west.pem", "west.key", "other.pem", "other.key"};
    struct err err;

    tls_global_init();
    (void)snprintf(folder, sizeof(folder), "/tmp/peer_client_XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
    }
    assert_int_equal(tls_ca_create(paths[CA], paths[CA_KEY], &err), OK);
    assert_int_equal(tls_ca_create(paths[OTHER], paths[OTHER_KEY], &err), OK);
    assert_int_equal(
        tls_cert_create(paths[CA], paths[CA_KEY], "us-east-1", paths[EAST], paths[EAST_KEY], &err),
        OK);
    assert_int_equal(
        tls_cert_create(paths[CA], paths[CA_KEY], "us-west-2", paths[WEST], paths[WEST_KEY], &err),
        OK);
    return 0;
}

static int remove_certificates(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        (void)unlink(paths[i]);
    }
    (void)rmdir(folder);
    return 0;
}

/* ---- The server: us-west-2, a thread a connection, the path says what to do ---- */

enum { CONNECTIONS_MAX = 1200 };

struct server {
    SSL_CTX *context;
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
    struct buf body;
};

static bool read_request(SSL *ssl, struct request *request) {
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
    assert_non_null(strstr(request->head, "Content-Type: application/x-test\r\n"));
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

static bool send_all(SSL *ssl, const void *data, size_t len) {
    return len == 0 || SSL_write(ssl, data, (int)len) == (int)len;
}

static bool send_head(SSL *ssl, int status, const char *fields, size_t body_len) {
    char head[512];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status,
                       fields, body_len);

    return send_all(ssl, head, (size_t)len);
}

static bool send_endless_chunks(SSL *ssl) {
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[6 + 65536 + 2];

    memcpy(chunk, "10000\r", 6);
    chunk[6] = '\n';
    memset(chunk + 7, 'x', 65536);
    if (!send_all(ssl, head, sizeof(head) - 1)) {
        return false;
    }
    for (int i = 0; i < 1024; i++) {
        if (!send_all(ssl, chunk, 7 + 65536) || !send_all(ssl, "\r\n", 2)) {
            return false;
        }
    }
    return false;
}

static bool send_endless_head(SSL *ssl) {
    static const char field[] = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";

    if (!send_all(ssl, "HTTP/1.1 200 OK\r\n", 17)) {
        return false;
    }
    for (int i = 0; i < 10000; i++) {
        if (!send_all(ssl, field, sizeof(field) - 1)) {
            return false;
        }
    }
    return false;
}

static bool answer(struct server *server, SSL *ssl, const struct request *request) {
    const char *path = request->path;

    (void)atomic_fetch_add(&server->n_requests, 1);
    if (strcmp(path, "/echo") == 0) {
        return send_head(ssl, 200, "", request->body.len) &&
               send_all(ssl, request->body.data, request->body.len);
    }
    if (strcmp(path, "/refuse") == 0) {
        return send_head(ssl, 403, "", 2) && send_all(ssl, "no", 2);
    }
    if (strcmp(path, "/elsewhere") == 0) {
        return send_head(ssl, 302, "Location: https://us-west-2.redoubt/echo\r\n", 0);
    }
    if (strcmp(path, "/declared") == 0) {
        return send_head(ssl, 200, "", (size_t)LIMIT_PEER_BODY + 1);
    }
    if (strcmp(path, "/endless") == 0) {
        return send_endless_chunks(ssl);
    }
    if (strcmp(path, "/head") == 0) {
        return send_endless_head(ssl);
    }
    if (strcmp(path, "/garbage") == 0) {
        (void)send_all(ssl, "I am not HTTP at all\r\n\r\n", 24);
        return false;
    }
    if (strcmp(path, "/slow") == 0) {
        while (!atomic_load(&server->stopping)) {
            (void)usleep(5000);
        }
    }
    return false;
}

static void *serve_connection(void *arg) {
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
    if (SSL_accept(ssl) == 1) {
        while (!atomic_load(&server->stopping) && read_request(ssl, request) &&
               answer(server, ssl, request)) {
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

static void *serve(void *arg) {
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

static struct server *server_start(const char *cert, const char *key, int version_max) {
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    assert_non_null(server);
    server->context = SSL_CTX_new(TLS_server_method());
    assert_non_null(server->context);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(server->context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(server->context, key, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_load_verify_locations(server->context, paths[CA], NULL), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server->context, version_max), 1);
    SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 512), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

static void server_stop(struct server *server) {
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

/* ---- The client side of the tests ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_done;
};

static struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER};

static void done(struct peer_call *call) {
    unsigned *times = call->arg;

    (void)pthread_mutex_lock(&waiter.lock);
    (*times)++;
    waiter.n_done++;
    (void)pthread_cond_broadcast(&waiter.changed);
    (void)pthread_mutex_unlock(&waiter.lock);
}

static void wait_for(unsigned n) {
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    (void)pthread_mutex_lock(&waiter.lock);
    while (waiter.n_done < n) {
        assert_int_equal(pthread_cond_timedwait(&waiter.changed, &waiter.lock, &until), 0);
    }
    (void)pthread_mutex_unlock(&waiter.lock);
}

static struct peer_client *client_new(const char *ca, unsigned port) {
    char address[32];
    const struct peer peers[] = {{.region = "us-west-2", .address = address}};
    const struct peer_client_options options = {
        .tls = {.ca_path = ca, .cert_path = paths[EAST], .key_path = paths[EAST_KEY]},
        .peers = peers,
        .n_peers = 1,
    };
    struct peer_client *client = NULL;
    struct err err;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    waiter.n_done = 0;
    assert_int_equal(peer_client_new(&options, &client, &err), OK);
    return client;
}

static struct peer_client *client_start(const char *ca, unsigned port) {
    struct peer_client *client = client_new(ca, port);
    struct err err;

    assert_int_equal(peer_client_start(client, &err), OK);
    return client;
}

static struct peer_call *call_new(const char *path, unsigned *times) {
    struct peer_call *call = peer_call_new();

    assert_non_null(call);
    *times = 0;
    call->region = "us-west-2";
    call->path = path;
    call->content_type = "application/x-test";
    call->done_cb = done;
    call->arg = times;
    return call;
}

/* Make one call and wait for it. Owned. */
static struct peer_call *call_once(struct peer_client *client, const char *path, const char *body,
                                   unsigned timeout_ms) {
    unsigned before = waiter.n_done;
    unsigned times;
    struct peer_call *call = call_new(path, &times);

    buf_append_str(&call->body, body);
    call->timeout_ms = timeout_ms;
    assert_int_equal(peer_client_call(client, call), OK);
    wait_for(before + 1);
    assert_int_equal(times, 1);
    call->arg = NULL;
    return call;
}

static void assert_unreachable(struct peer_client *client, const char *path, const char *reason) {
    struct peer_call *call = call_once(client, path, "x", 20000);

    assert_int_equal(call->code, ERR_REGION_UNREACHABLE);
    assert_int_equal(call->response.len, 0);
    assert_true(call->error[0] != '\0');
    if (reason != NULL && strstr(call->error, reason) == NULL) {
        fail_msg("%s: unexpected error: %s", path, call->error);
    }
    peer_call_free(call);
}

/* ---- Tests ---- */

static void test_answers(void **state) {
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    struct peer_call *call = call_once(client, "/echo", "hello", 0);

    assert_int_equal(call->code, OK);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->response.len, 5);
    assert_memory_equal(call->response.data, "hello", 5);
    assert_null(call->body.data);
    peer_call_free(call);

    call = call_once(client, "/echo", "", 0);
    assert_int_equal(call->code, OK);
    assert_int_equal(call->response.len, 0);
    peer_call_free(call);

    call = call_once(client, "/refuse", "x", 0);
    assert_int_equal(call->code, OK);
    assert_int_equal(call->status, 403);
    assert_memory_equal(call->response.data, "no", 2);
    peer_call_free(call);

    /* An answer like any other; nobody follows it. */
    call = call_once(client, "/elsewhere", "x", 0);
    assert_int_equal(call->code, OK);
    assert_int_equal(call->status, 302);
    peer_call_free(call);

    assert_int_equal(atomic_load(&server->n_connections), 1);
    assert_int_equal(atomic_load(&server->n_requests), 4);
    peer_client_stop(client);
    server_stop(server);
}

static void test_large_body(void **state) {
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    uint8_t *bytes = malloc(3 * 1024 * 1024);
    size_t len = 3 * 1024 * 1024;
    unsigned times;
    struct peer_call *call = call_new("/echo", &times);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    buf_append(&call->body, bytes, len);
    assert_int_equal(peer_client_call(client, call), OK);
    wait_for(1);
    assert_int_equal(call->code, OK);
    assert_int_equal(call->response.len, len);
    assert_memory_equal(call->response.data, bytes, len);
    peer_call_free(call);
    free(bytes);
    peer_client_stop(client);
    server_stop(server);
}

static void test_whom_it_does_not_believe(void **state) {
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[OTHER], server->port);

    assert_unreachable(client, "/echo", "certificate");
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);

    /* A certificate of our authority, but another region's. It names localhost too. */
    server = server_start(paths[EAST], paths[EAST_KEY], TLS1_3_VERSION);
    client = client_start(paths[CA], server->port);
    assert_unreachable(client, "/echo", "us-west-2.redoubt");
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);

    server = server_start(paths[WEST], paths[WEST_KEY], TLS1_2_VERSION);
    client = client_start(paths[CA], server->port);
    assert_unreachable(client, "/echo", NULL);
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);
}

static void test_what_goes_wrong(void **state) {
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    uint64_t before_ms;
    struct peer_call *call;

    assert_unreachable(client, "/declared", "over the limit");
    assert_unreachable(client, "/endless", "over the limit");
    assert_unreachable(client, "/head", "over the limit");
    assert_unreachable(client, "/garbage", NULL);
    assert_unreachable(client, "/drop", NULL);

    before_ms = world_mono_ms(world_system());
    call = call_once(client, "/slow", "x", 100);
    assert_int_equal(call->code, ERR_REGION_UNREACHABLE);
    assert_true(world_mono_ms(world_system()) - before_ms < 2000);
    peer_call_free(call);

    /* It goes on. */
    call = call_once(client, "/echo", "still here", 0);
    assert_int_equal(call->code, OK);
    peer_call_free(call);
    peer_client_stop(client);
    server_stop(server);
}

static void test_refused_connection(void **state) {
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    unsigned port = server->port;
    struct peer_client *client;

    server_stop(server);
    client = client_start(paths[CA], port);
    assert_unreachable(client, "/echo", NULL);
    peer_client_stop(client);
}

/* True when the call brought its body back; owned. */
static bool take_echo(struct peer_call *call, unsigned number) {
    char expected[32];
    int len = snprintf(expected, sizeof(expected), "call %u", number);
    bool is_there = call->code == OK;

    if (is_there) {
        assert_int_equal(call->response.len, len);
        assert_memory_equal(call->response.data, expected, (size_t)len);
    } else {
        assert_int_equal(call->code, ERR_REGION_UNREACHABLE);
    }
    peer_call_free(call);
    return is_there;
}

static void test_many_at_once(void **state) {
    enum { N = 200, ROUNDS = 8 };
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    static struct peer_call *calls[N];
    static unsigned times[N];
    static bool is_there[N];
    unsigned n_sent = 0;
    unsigned n_there = 0;

    /* On a busy machine so many handshakes at once may take longer than a connection is given; such
       calls are made again, over the connections that stand by then. */
    for (int round = 0; round < ROUNDS && n_there < N; round++) {
        for (unsigned i = 0; i < N; i++) {
            if (!is_there[i]) {
                calls[i] = call_new("/echo", &times[i]);
                buf_printf(&calls[i]->body, "call %u", i);
                assert_int_equal(peer_client_call(client, calls[i]), OK);
                n_sent++;
            }
        }
        wait_for(n_sent);
        for (unsigned i = 0; i < N; i++) {
            if (!is_there[i]) {
                assert_int_equal(times[i], 1);
                is_there[i] = take_echo(calls[i], i);
                n_there += is_there[i] ? 1 : 0;
            }
        }
    }
    assert_int_equal(n_there, N);
    if (n_sent == N) {
        /* A connection that was given up may be open for a moment on this side. */
        assert_in_range(atomic_load(&server->n_open_max), 1, LIMIT_PEER_CONNECTIONS + 4);
    }
    peer_client_stop(client);
    server_stop(server);
}

static void test_stop_ends_every_call(void **state) {
    enum { N = 40 };
    struct server *server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    static struct peer_call *calls[N];
    static unsigned times[N];

    for (unsigned i = 0; i < N; i++) {
        calls[i] = call_new("/slow", &times[i]);
        buf_append_str(&calls[i]->body, "wait");
        assert_int_equal(peer_client_call(client, calls[i]), OK);
    }
    for (int i = 0; atomic_load(&server->n_requests) < 2; i++) {
        assert_true(i < 10000);
        (void)usleep(1000);
    }
    peer_client_stop(client);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(times[i], 1);
        assert_int_equal(calls[i]->code, ERR_REGION_UNREACHABLE);
        assert_null(calls[i]->body.data);
        peer_call_free(calls[i]);
    }
    server_stop(server);
}

static void test_bounds(void **state) {
    struct peer_client *client = client_new(paths[CA], 1);
    static struct peer_call *calls[LIMIT_PEER_CALLS + 1];
    static unsigned times[LIMIT_PEER_CALLS + 1];

    for (unsigned i = 0; i < LIMIT_PEER_CALLS; i++) {
        calls[i] = call_new("/echo", &times[i]);
        assert_int_equal(peer_client_call(client, calls[i]), OK);
    }
    calls[LIMIT_PEER_CALLS] = call_new("/echo", &times[LIMIT_PEER_CALLS]);
    assert_int_equal(peer_client_call(client, calls[LIMIT_PEER_CALLS]), ERR_BUSY);
    calls[LIMIT_PEER_CALLS]->region = "eu-west-1";
    assert_int_equal(peer_client_call(client, calls[LIMIT_PEER_CALLS]), ERR_INVALID_PARAMETER);
    assert_true(peer_client_knows(client, "us-west-2"));
    assert_false(peer_client_knows(client, "eu-west-1"));
    /* Never started: ends them all the same. */
    peer_client_stop(client);
    for (unsigned i = 0; i < LIMIT_PEER_CALLS; i++) {
        assert_int_equal(times[i], 1);
        assert_int_equal(calls[i]->code, ERR_REGION_UNREACHABLE);
        peer_call_free(calls[i]);
    }
    assert_int_equal(times[LIMIT_PEER_CALLS], 0);
    peer_call_free(calls[LIMIT_PEER_CALLS]);
}

static void test_addresses(void **state) {
    static const char *const bad[] = {
        "",          "host",     ":7500",     "host:",   "host:0", "host:65536",
        "host:75x0", "::1:7500", "[::1:7500", "host:+1", "host: 1"};
    struct peer peer = {.region = "us-west-2", .address = "[::1]:7500"};
    struct peer twice[] = {{"us-west-2", "a:1"}, {"us-west-2", "b:1"}};
    struct peer_client_options options = {
        .tls = {.ca_path = paths[CA], .cert_path = paths[EAST], .key_path = paths[EAST_KEY]},
        .peers = &peer,
        .n_peers = 1,
    };
    struct peer_client *client = NULL;
    struct err err;

    assert_int_equal(peer_client_new(&options, &client, &err), OK);
    peer_client_stop(client);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        peer.address = bad[i];
        if (peer_client_new(&options, &client, &err) != ERR_INVALID_PARAMETER) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    options.peers = twice;
    options.n_peers = 2;
    assert_int_equal(peer_client_new(&options, &client, &err), ERR_INVALID_PARAMETER);
}

static atomic_uint n_ticks;
static atomic_uint n_last_ticks;

static void count_tick(void *arg, unsigned *ret_wait_ms) {
    if (ret_wait_ms == NULL) {
        (void)atomic_fetch_add(&n_last_ticks, 1);
        return;
    }
    assert_int_equal(atomic_load(&n_last_ticks), 0);
    (void)atomic_fetch_add(&n_ticks, 1);
    *ret_wait_ms = atomic_load((atomic_uint *)arg);
}

static void wait_for_ticks(unsigned n) {
    uint64_t until_ms = world_mono_ms(world_system()) + 10000;

    while (atomic_load(&n_ticks) < n) {
        assert_true(world_mono_ms(world_system()) < until_ms);
        (void)usleep(500);
    }
}

static void test_ticker(void **state) {
    atomic_uint wait_ms = 60000;
    struct peer_client *client = client_new(paths[CA], 1);
    struct err err;

    peer_client_set_ticker(client, count_tick, &wait_ms);
    assert_int_equal(peer_client_start(client, &err), OK);
    wait_for_ticks(1);
    for (unsigned i = 0; i < 200; i++) {
        unsigned before = atomic_load(&n_ticks);
        peer_client_wake(client);
        wait_for_ticks(before + 1);
    }
    atomic_store(&wait_ms, 5);
    peer_client_wake(client);
    wait_for_ticks(atomic_load(&n_ticks) + 20);
    peer_client_stop(client);
    assert_int_equal(atomic_load(&n_last_ticks), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_whom_it_does_not_believe),
        cmocka_unit_test(test_what_goes_wrong),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_stop_ends_every_call),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ticker),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* of the test's own server */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
