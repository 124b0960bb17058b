/* The client for calls to other regions against a small TLS server: what it brings back, whom it
 * refuses to believe, and that every call ends exactly once. */
#include "cluster/peer_client.h"

#include "base/limits.h"
#include "base/world.h"
#include "tests/unit/peer_server.h"

#include <signal.h>
#include <time.h>

/* ---- The server: us-west-2, the path says what to do ---- */

static bool send_endless_chunks(SSL *ssl) {
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[6 + 65536 + 2];

    memcpy(chunk, "10000\r", 6);
    chunk[6] = '\n';
    memset(chunk + 7, 'x', 65536);
    if (!send_all(ssl, head, sizeof(head) - 1)) {
        return false;
    }
    for (int i = 0; i < 2 * LIMIT_PEER_BODY / 65536; i++) {
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

    assert_non_null(strstr(request->head, "Content-Type: application/x-test\r\n"));
    assert_string_equal(request->region, "us-east-1");
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

static struct server *start(int cert, int key, int version_max) {
    return server_start(paths[cert], paths[key], version_max, 0, answer, NULL);
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
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[OTHER], server->port);

    assert_unreachable(client, "/echo", "certificate");
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);

    /* A certificate of our authority, but another region's. It names localhost too. */
    server = start(EAST, EAST_KEY, TLS1_3_VERSION);
    client = client_start(paths[CA], server->port);
    assert_unreachable(client, "/echo", "us-west-2.redoubt");
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);

    server = start(WEST, WEST_KEY, TLS1_2_VERSION);
    client = client_start(paths[CA], server->port);
    assert_unreachable(client, "/echo", NULL);
    peer_client_stop(client);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_stop(server);
}

static void test_what_goes_wrong(void **state) {
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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

/* A connection that breaks after the request went out: the outcome is unknown, and saying so is the
 * caller's business. Nothing is sent a second time behind its back. */
static void test_nothing_is_sent_twice(void **state) {
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    struct peer_call *call = call_once(client, "/echo", "keeps the connection", 0);

    assert_int_equal(call->code, OK);
    peer_call_free(call);
    assert_unreachable(client, "/drop", NULL);
    assert_int_equal(atomic_load(&server->n_requests), 2);
    peer_client_stop(client);
    server_stop(server);
}

static void test_refused_connection(void **state) {
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
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
    peer_client_close(client);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(times[i], 1);
        assert_int_equal(calls[i]->code, ERR_REGION_UNREACHABLE);
        assert_null(calls[i]->body.data);
        /* Whoever comes late is refused. */
        assert_int_equal(peer_client_call(client, calls[i]), ERR_UNAVAILABLE);
        assert_int_equal(times[i], 1);
        peer_call_free(calls[i]);
    }
    peer_client_stop(client);
    server_stop(server);
}

/* What was cancelled ends soon, and says whether the other side may have it. */
static void test_cancelled_calls(void **state) {
    enum { N = LIMIT_PEER_CONNECTIONS + 1 };
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    static struct peer_call *calls[N];
    static unsigned times[N];
    uint64_t begin_ms = world_mono_ms(world_system());
    struct peer_call *call;

    for (unsigned i = 0; i < N; i++) { /* the last one finds no connection */
        calls[i] = call_new("/slow", &times[i]);
        buf_append_str(&calls[i]->body, "wait");
        assert_int_equal(peer_client_call(client, calls[i]), OK);
    }
    for (int i = 0; atomic_load(&server->n_requests) < LIMIT_PEER_CONNECTIONS; i++) {
        assert_true(i < 30000);
        (void)usleep(1000);
    }
    peer_client_cancel(client, calls[N - 1]);
    wait_for(1);
    assert_int_equal(times[N - 1], 1);
    assert_int_equal(calls[N - 1]->code, ERR_REGION_UNREACHABLE);
    assert_true(calls[N - 1]->is_unsent);
    for (unsigned i = 0; i + 1 < N; i++) {
        peer_client_cancel(client, calls[i]);
    }
    wait_for(N);
    for (unsigned i = 0; i + 1 < N; i++) {
        assert_int_equal(times[i], 1);
        assert_int_equal(calls[i]->code, ERR_REGION_UNREACHABLE);
        assert_false(calls[i]->is_unsent);
    }
    assert_true(world_mono_ms(world_system()) - begin_ms < LIMIT_PEER_CALL_MS);
    for (unsigned i = 0; i < N; i++) {
        peer_call_free(calls[i]);
    }
    /* Their places are free. */
    call = call_once(client, "/echo", "goes on", 0);
    assert_int_equal(call->code, OK);
    peer_client_cancel(client, call); /* too late, and no harm */
    peer_call_free(call);
    peer_client_stop(client);
    server_stop(server);
}

/* A call that waits for a connection behind others that hang has its time, too. */
static void test_waiting_calls_end_in_time(void **state) {
    enum { N = 3 * LIMIT_PEER_CONNECTIONS, TIMEOUT_MS = 2500 };
    struct server *server = start(WEST, WEST_KEY, TLS1_3_VERSION);
    struct peer_client *client = client_start(paths[CA], server->port);
    static struct peer_call *calls[N];
    static unsigned times[N];
    unsigned before = waiter.n_done;
    uint64_t begin_ms = world_mono_ms(world_system());

    for (unsigned i = 0; i < N; i++) {
        calls[i] = call_new("/slow", &times[i]);
        calls[i]->timeout_ms = TIMEOUT_MS;
        buf_append_str(&calls[i]->body, "wait");
        assert_int_equal(peer_client_call(client, calls[i]), OK);
    }
    wait_for(before + N);
    assert_in_range(world_mono_ms(world_system()) - begin_ms, 0, 2 * TIMEOUT_MS - 500);
    peer_client_stop(client);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(times[i], 1);
        assert_int_equal(calls[i]->code, ERR_REGION_UNREACHABLE);
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

/* However many requests of clients wait for another region, the node's own calls go through. */
static void test_forwards_leave_room(void **state) {
    enum { OWN = LIMIT_PEER_CALLS - LIMIT_PEER_CALLS_FORWARDED };
    struct peer_client *client = client_new(paths[CA], 1);
    static struct peer_call *calls[LIMIT_PEER_CALLS];
    static unsigned times[LIMIT_PEER_CALLS];
    unsigned late_times = 0;
    struct peer_call *late = call_new("/echo", &late_times);

    assert_true(OWN >= LIMIT_BATCHES_IN_FLIGHT * LIMIT_SHIP_ROWS);
    for (unsigned i = 0; i < LIMIT_PEER_CALLS; i++) {
        calls[i] = call_new("/echo", &times[i]);
        calls[i]->is_forward = i < LIMIT_PEER_CALLS_FORWARDED;
        assert_int_equal(peer_client_call(client, calls[i]), OK);
        late->is_forward = true;
        if (i + 1 >= LIMIT_PEER_CALLS_FORWARDED) {
            assert_int_equal(peer_client_call(client, late), ERR_BUSY);
        }
    }
    peer_client_stop(client);
    for (unsigned i = 0; i < LIMIT_PEER_CALLS; i++) {
        assert_int_equal(times[i], 1);
        peer_call_free(calls[i]);
    }
    assert_int_equal(late_times, 0);
    peer_call_free(late);
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
        cmocka_unit_test(test_nothing_is_sent_twice),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_stop_ends_every_call),
        cmocka_unit_test(test_cancelled_calls),
        cmocka_unit_test(test_waiting_calls_end_in_time),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_forwards_leave_room),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ticker),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* of the test's own server */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
