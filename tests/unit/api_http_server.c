/* The HTTP door over real sockets and threads: the life of connections and exchanges, the deadlines
 * and bounds, and how it stops. */
#include "api/http_server.h"

#include "base/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_MAX = 256 * 1024,
    BIG = 64 * 1024 * 1024,
    HELD_MAX = 64,
    RESPONSE_MAX = 512 * 1024,
};

static int64_t now_ms(void) {
    return (int64_t)world_mono_ms(world_system());
}

static void sleep_ms(unsigned ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* --- the server's side --- */

/* Exchanges that their handler keeps, until the test answers them. */
static struct {
    pthread_mutex_t lock;
    struct exchange *exchanges[HELD_MAX];
    size_t count;
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hold(struct exchange *exchange) {
    CHECK(pthread_mutex_lock(&held.lock) == 0);
    CHECK(held.count < HELD_MAX);
    held.exchanges[held.count++] = exchange;
    CHECK(pthread_mutex_unlock(&held.lock) == 0);
}

/* The oldest held exchange, when there are `count`; waits for it. */
static struct exchange *take_held(size_t count) {
    struct exchange *exchange = NULL;
    int64_t until = now_ms() + 5000;

    while (exchange == NULL) {
        assert_true(now_ms() < until);
        CHECK(pthread_mutex_lock(&held.lock) == 0);
        if (held.count >= count) {
            exchange = held.exchanges[0];
            held.count--;
            memmove(&held.exchanges[0], &held.exchanges[1], held.count * sizeof(held.exchanges[0]));
        }
        CHECK(pthread_mutex_unlock(&held.lock) == 0);
        sleep_ms(exchange == NULL ? 2 : 0);
    }
    return exchange;
}

static void reply_text(struct exchange *exchange, int status, const char *text) {
    const struct http_response response = {.status = status,
                                           .content_type = "text/plain",
                                           .body = (const uint8_t *)text,
                                           .body_len = strlen(text)};
    exchange_reply(exchange, &response);
}

/* What a test has done on a worker's thread. */
struct errand {
    struct worker_task task;
    struct exchange *exchange;
    const char *text; /* NULL: only look */
    bool connected;
    sem_t done;
};

static void errand_run(struct worker_task *task) {
    struct errand *errand = CONTAINER_OF(task, struct errand, task);
    errand->connected = exchange_is_connected(errand->exchange);
    if (errand->text != NULL) {
        reply_text(errand->exchange, 200, errand->text);
    }
    CHECK(sem_post(&errand->done) == 0);
}

/* Returns whether the client was there. */
static bool run_errand(struct exchange *exchange, const char *text) {
    struct errand errand = {.task.run = errand_run, .exchange = exchange, .text = text};

    CHECK(sem_init(&errand.done, 0, 0) == 0);
    worker_post(exchange_worker(exchange), &errand.task);
    while (sem_wait(&errand.done) != 0) {
    }
    CHECK(sem_destroy(&errand.done) == 0);
    return errand.connected;
}

/* An answer that another thread finds. */
struct later {
    struct worker_task task;
    struct exchange *exchange;
    struct worker *worker;
};

static void later_run(struct worker_task *task) {
    struct later *later = CONTAINER_OF(task, struct later, task);
    const struct http_request *request = exchange_request(later->exchange);
    const struct http_response response = {
        .status = 200, .body = request->body.data, .body_len = request->body.len};
    exchange_reply(later->exchange, &response);
    free(later);
}

static void *later_thread(void *arg) {
    struct later *later = arg;
    sleep_ms(2);
    worker_post(later->worker, &later->task);
    return NULL;
}

static void handle_later(struct exchange *exchange) {
    struct later *later = calloc(1, sizeof(*later));
    pthread_attr_t detached;
    pthread_t thread;

    CHECK(later != NULL);
    later->task.run = later_run;
    later->exchange = exchange;
    later->worker = exchange_worker(exchange);
    CHECK(pthread_attr_init(&detached) == 0);
    CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_create(&thread, &detached, later_thread, later) == 0);
    CHECK(pthread_attr_destroy(&detached) == 0);
}

static void timer_reply(void *arg) {
    reply_text(arg, 200, "timer");
}

static void timer_wrong(void *arg) {
    CHECK(false); /* it was cancelled */
}

static void handle_timer(struct exchange *exchange) {
    struct worker *worker = exchange_worker(exchange);
    struct worker_timer *wrong = worker_timer_start(worker, 1, timer_wrong, exchange);

    CHECK(wrong != NULL);
    CHECK(worker_timer_start(worker, 10, timer_reply, exchange) != NULL);
    worker_timer_cancel(wrong);
    worker_timer_cancel(NULL);
}

static void reply_big(struct exchange *exchange) {
    uint8_t *data = calloc(1, BIG);
    const struct http_response response = {.status = 200, .body = data, .body_len = BIG};

    CHECK(data != NULL);
    exchange_reply(exchange, &response);
    free(data);
}

static bool target_is(const struct http_request *request, const char *target) {
    return request->path_len == strlen(target) &&
           memcmp(request->target, target, request->path_len) == 0;
}

static void handle(struct exchange *exchange, void *arg) {
    const struct http_request *request = exchange_request(exchange);
    const struct http_response closing = {.status = 200, .close = true};
    const struct http_response empty = {.status = 204, .headers = "x-a: b\r\nx-c: d\r\n"};
    const struct http_response echo = {
        .status = 200, .body = request->body.data, .body_len = request->body.len};

    if (target_is(request, "/echo")) {
        exchange_reply(exchange, &echo);
    } else if (target_is(request, "/later")) {
        handle_later(exchange);
    } else if (target_is(request, "/timer")) {
        handle_timer(exchange);
    } else if (target_is(request, "/hold")) {
        hold(exchange);
    } else if (target_is(request, "/big")) {
        reply_big(exchange);
    } else if (target_is(request, "/close")) {
        exchange_reply(exchange, &closing);
    } else if (target_is(request, "/empty")) {
        exchange_reply(exchange, &empty);
    } else if (target_is(request, "/raw")) {
        exchange_reply_raw(exchange, request->body.data, request->body.len);
    } else if (target_is(request, "/remote")) {
        CHECK(exchange_peer_region(exchange)[0] == '\0');
        reply_text(exchange, 200, exchange_remote(exchange));
    } else {
        reply_text(exchange, 200, "hello");
    }
}

static struct http_server *serve(unsigned workers, const struct http_timeouts *timeouts,
                                 unsigned connections_max, unsigned *ret_port) {
    struct http_server *server = NULL;
    struct err err = {.message = ""};
    struct listener_options options = {.address = "127.0.0.1:0",
                                       .body_max = BODY_MAX,
                                       .handler = handle,
                                       .connections_max = connections_max};

    if (timeouts != NULL) {
        options.timeouts = *timeouts;
    }
    assert_int_equal(http_server_new(workers, &server, &err), OK);
    if (http_server_listen(server, &options, &err) != OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(http_server_start(server, &err), OK);
    *ret_port = http_server_port(server, 0);
    assert_in_range(*ret_port, 1, 65535);
    return server;
}

/* --- the client's side --- */

static int dial(unsigned port) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 8};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        fail_msg("connect: %s", strerror(errno));
    }
    return fd;
}

static void send_bytes(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            fail_msg("send: %s", strerror(errno));
        }
        data += n;
        len -= (size_t)n;
    }
}

static void send_text(int fd, const char *text) {
    send_bytes(fd, text, strlen(text));
}

static void send_get(int fd, const char *target) {
    char request[256];
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    send_text(fd, request);
}

static void send_post(int fd, const char *target, const char *body) {
    char request[4096];
    int len = snprintf(request, sizeof(request),
                       "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", target,
                       strlen(body), body);
    assert_true(len > 0 && (size_t)len < sizeof(request));
    send_text(fd, request);
}

struct answer {
    int status;
    bool close;
    char head[4096];
    char *body; /* owned */
    size_t body_len;
};

static void read_bytes(int fd, char *out, size_t len) {
    while (len > 0) {
        ssize_t n = recv(fd, out, len, 0);
        if (n <= 0) {
            fail_msg("recv: %s", n == 0 ? "end" : strerror(errno));
        }
        out += n;
        len -= (size_t)n;
    }
}

/* One response; `head_only` for those to HEAD. The caller frees the body. */
static struct answer read_answer(int fd, bool head_only) {
    struct answer answer = {0};
    size_t at = 0;
    const char *length;

    while (at < 4 || memcmp(answer.head + at - 4, "\r\n\r\n", 4) != 0) {
        assert_true(at + 1 < sizeof(answer.head));
        read_bytes(fd, answer.head + at, 1);
        at++;
    }
    assert_memory_equal(answer.head, "HTTP/1.1 ", 9);
    answer.status = (int)strtol(answer.head + 9, NULL, 10);
    answer.close = strstr(answer.head, "\r\nConnection: close\r\n") != NULL;
    assert_true(answer.close || strstr(answer.head, "\r\nConnection: keep-alive\r\n") != NULL ||
                answer.status == 100);
    length = strstr(answer.head, "\r\nContent-Length: ");
    if (length != NULL && !head_only) {
        answer.body_len = strtoul(length + 18, NULL, 10);
    }
    answer.body = calloc(1, answer.body_len + 1);
    assert_non_null(answer.body);
    read_bytes(fd, answer.body, answer.body_len);
    return answer;
}

static void expect_answer(int fd, int status, const char *body) {
    struct answer answer = read_answer(fd, false);

    assert_int_equal(answer.status, status);
    if (body != NULL) {
        assert_string_equal(answer.body, body);
    }
    free(answer.body);
}

/* The server has closed: nothing more comes. A reset counts too if `or_reset`. */
static void expect_end(int fd, bool or_reset) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    if (n != 0 && !(or_reset && n < 0 && (errno == ECONNRESET || errno == EPIPE))) {
        fail_msg("expected the end, got %zd (%s)", n, n < 0 ? strerror(errno) : "data");
    }
    (void)close(fd);
}

/* --- tests --- */

static void test_keep_alive(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    int fd = dial(port);
    struct answer answer;

    for (int i = 0; i < 50; i++) {
        send_get(fd, "/");
        expect_answer(fd, 200, "hello");
        send_post(fd, "/echo", "some bytes");
        expect_answer(fd, 200, "some bytes");
    }
    send_get(fd, "/");
    answer = read_answer(fd, false);
    assert_false(answer.close);
    assert_non_null(strstr(answer.head, "\r\nDate: "));
    assert_non_null(strstr(answer.head, " GMT\r\n"));
    assert_non_null(strstr(answer.head, "\r\nContent-Type: text/plain\r\n"));
    free(answer.body);

    send_get(fd, "/empty");
    answer = read_answer(fd, false);
    assert_int_equal(answer.status, 204);
    assert_null(strstr(answer.head, "Content-Length"));
    assert_non_null(strstr(answer.head, "\r\nx-a: b\r\nx-c: d\r\n"));
    free(answer.body);

    send_text(fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    answer = read_answer(fd, true);
    assert_non_null(strstr(answer.head, "\r\nContent-Length: 5\r\n"));
    free(answer.body);

    send_text(fd, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    answer = read_answer(fd, false);
    assert_true(answer.close);
    free(answer.body);
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

static void test_http_1_0(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);

    send_text(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_answer(fd, 200, "hello");
    send_text(fd, "GET / HTTP/1.0\r\n\r\n");
    expect_answer(fd, 200, "hello");
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

/* The handler wants the connection closed; what the client pipelined is dropped, the answer not. */
static void test_server_closes(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);
    struct answer answer;

    for (int i = 0; i < 100; i++) {
        send_get(fd, "/close");
    }
    answer = read_answer(fd, false);
    assert_true(answer.close);
    free(answer.body);
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

static void test_pipelining(void **state) {
    static const char *const targets[] = {"/echo", "/later", "/echo", "/echo"};
    enum { COUNT = 200 };
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    int fd = dial(port);
    char *all = calloc(COUNT, 128);
    size_t len = 0;

    assert_non_null(all);
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(all + len, 128,
                                "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d",
                                targets[i % 4], i);
    }
    send_bytes(fd, all, len);
    for (int i = 0; i < COUNT; i++) {
        char expected[16];
        (void)snprintf(expected, sizeof(expected), "%04d", i);
        expect_answer(fd, 200, expected);
    }
    /* Once more in odd pieces. */
    for (size_t at = 0; at < len; at += 97) {
        send_bytes(fd, all + at, len - at < 97 ? len - at : 97);
    }
    for (int i = 0; i < COUNT; i++) {
        expect_answer(fd, 200, NULL);
    }
    free(all);
    (void)close(fd);
    http_server_stop(server, 1000);
}

/* While an exchange is under way a client cannot make us store what it sends. */
static void test_pipelining_is_bounded(void **state) {
    enum { KERNEL_MAX = 24 * 1024 * 1024 }; /* both sockets' buffers, generously */
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);
    char *junk = calloc(1, 65536);
    size_t sent = 0;
    int64_t until;

    assert_non_null(junk);
    send_get(fd, "/hold");
    until = now_ms() + 500;
    while (now_ms() < until) {
        ssize_t n = send(fd, junk, 65536, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < KERNEL_MAX);
        sleep_ms(n > 0 ? 0 : 5);
    }
    assert_true(sent > LIMIT_HTTP_HEAD);
    (void)run_errand(take_held(1), "done");
    expect_answer(fd, 200, "done");
    expect_answer(fd, 414, NULL); /* the junk */
    (void)close(fd);
    free(junk);
    http_server_stop(server, 1000);
}

static void test_other_threads_and_timers(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    int fd = dial(port);

    for (int i = 0; i < 20; i++) {
        send_post(fd, "/later", "from afar");
        expect_answer(fd, 200, "from afar");
        send_get(fd, "/timer");
        expect_answer(fd, 200, "timer");
    }
    send_get(fd, "/hold");
    assert_true(run_errand(take_held(1), "held"));
    expect_answer(fd, 200, "held");
    send_get(fd, "/remote");
    {
        struct sockaddr_in self;
        socklen_t len = sizeof(self);
        char expected[64];
        assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &len), 0);
        (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(self.sin_port));
        expect_answer(fd, 200, expected);
    }
    (void)close(fd);
    http_server_stop(server, 1000);
}

static void test_client_leaves(void **state) {
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);

    for (int i = 0; i < 4; i++) {
        int fd = dial(port);
        struct exchange *exchange;
        int64_t until = now_ms() + 5000;

        send_get(fd, "/hold");
        exchange = take_held(1);
        assert_true(run_errand(exchange, NULL));
        if (i % 2 == 0) {
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        }
        (void)close(fd);
        while (run_errand(exchange, NULL)) {
            assert_true(now_ms() < until);
            sleep_ms(2);
        }
        assert_false(run_errand(exchange, "nobody hears"));
    }
    http_server_stop(server, 1000);
}

/* A client that has finished sending still gets all its answers. */
static void test_half_close(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);

    send_post(fd, "/later", "1");
    send_post(fd, "/echo", "2");
    send_post(fd, "/later", "3");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_answer(fd, 200, "1");
    expect_answer(fd, 200, "2");
    expect_answer(fd, 200, "3");
    expect_end(fd, false);

    fd = dial(port); /* in the middle of a request: nothing to answer */
    send_text(fd, "GET / HTTP");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

static void test_expect_continue(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);

    for (int i = 0; i < 3; i++) {
        send_text(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
                      "Expect: 100-continue\r\n\r\n");
        expect_answer(fd, 100, NULL);
        send_text(fd, "body");
        expect_answer(fd, 200, "body");
    }
    /* It did not wait: no go-ahead. */
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
                  "Expect: 100-continue\r\n\r\nbody");
    expect_answer(fd, 200, "body");
    /* The refusal comes instead of the go-ahead. */
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n"
                  "Expect: 100-continue\r\n\r\n");
    expect_answer(fd, 413, NULL);
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

/* A refused client that goes on sending still reads why. */
static void test_refusal_is_heard(void **state) {
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1500000\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"GET / HTTP/3.0\r\n\r\n", 505},
    };
    enum { MORE = 1500000 };
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    char *body = calloc(1, MORE);

    assert_non_null(body);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = dial(port);
        struct answer answer;
        send_text(fd, cases[i].head);
        send_bytes(fd, body, MORE);
        answer = read_answer(fd, false);
        assert_int_equal(answer.status, cases[i].status);
        assert_true(answer.close);
        free(answer.body);
        expect_end(fd, false);
    }
    free(body);
    http_server_stop(server, 3000);
}

/* Sends a byte every few milliseconds until the server answers; the answer must come in time. */
static void check_trickle(unsigned port, const char *start, int status) {
    int fd = dial(port);
    int64_t begin = now_ms();
    char byte;

    send_text(fd, start);
    while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        assert_true(now_ms() - begin < 3000);
        (void)send(fd, "a", 1, MSG_NOSIGNAL);
        sleep_ms(10);
    }
    assert_true(now_ms() - begin >= 250);
    expect_answer(fd, status, NULL);
    expect_end(fd, true);
}

static void test_deadlines(void **state) {
    const struct http_timeouts timeouts = {
        .head_ms = 300, .body_ms = 300, .idle_ms = 300, .write_ms = 300};
    unsigned port = 0;
    struct http_server *server = serve(2, &timeouts, 0, &port);
    int64_t begin;
    int fd;

    check_trickle(port, "G", 408);
    check_trickle(port, "GET / HTTP/1.1\r\nX: ", 408);
    check_trickle(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", 408);

    /* Idle: before the first request, and after one. Nothing is said. */
    begin = now_ms();
    expect_end(dial(port), false);
    assert_in_range(now_ms() - begin, 250, 3000);
    fd = dial(port);
    sleep_ms(150);
    send_get(fd, "/");
    expect_answer(fd, 200, "hello");
    begin = now_ms();
    expect_end(fd, false);
    assert_in_range(now_ms() - begin, 250, 3000);

    /* A handler takes its time: no deadline of ours. */
    fd = dial(port);
    send_get(fd, "/hold");
    sleep_ms(700);
    assert_true(run_errand(take_held(1), "late"));
    expect_answer(fd, 200, "late");
    (void)close(fd);
    http_server_stop(server, 1000);
}

static void test_write_deadline(void **state) {
    const struct http_timeouts timeouts = {.write_ms = 300};
    unsigned port = 0;
    struct http_server *server = serve(1, &timeouts, 0, &port);
    char *sink = malloc(65536);
    size_t got = 0;
    ssize_t n;
    int fd = dial(port);

    assert_non_null(sink);
    send_get(fd, "/big");
    assert_int_equal(recv(fd, sink, 1, MSG_PEEK), 1); /* it has begun */
    sleep_ms(800);
    while ((n = recv(fd, sink, 65536, 0)) > 0) {
        got += (size_t)n;
    }
    assert_true(got > 0 && got < BIG);
    (void)close(fd);

    /* A client that reads gets all of it. */
    fd = dial(port);
    send_get(fd, "/big");
    {
        struct answer answer = read_answer(fd, false);
        assert_int_equal(answer.body_len, BIG);
        free(answer.body);
    }
    send_get(fd, "/");
    expect_answer(fd, 200, "hello");
    (void)close(fd);
    free(sink);
    http_server_stop(server, 1000);
}

static void test_many_connections(void **state) {
    enum { COUNT = 1000 };
    static int fds[COUNT];
    struct rlimit files;
    unsigned port = 0;
    struct http_server *server;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * COUNT + 100) {
        files.rlim_cur = files.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    }
    server = serve(2, NULL, 0, &port);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(port);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            send_get(fds[i], "/");
        }
        for (int i = 0; i < COUNT; i++) {
            expect_answer(fds[i], 200, "hello");
        }
    }
    for (int i = 0; i < COUNT; i += 2) {
        (void)close(fds[i]);
    }
    for (int i = 1; i < COUNT; i += 2) {
        send_get(fds[i], "/");
        expect_answer(fds[i], 200, "hello");
        (void)close(fds[i]);
    }
    http_server_stop(server, 1000);
}

static void test_connection_cap(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 3, &port);
    int64_t until = now_ms() + 5000;
    int fds[3];
    int status = 0;

    for (int i = 0; i < 3; i++) {
        fds[i] = dial(port);
        send_get(fds[i], "/");
        expect_answer(fds[i], 200, "hello");
    }
    for (int i = 0; i < 3; i++) {
        int fd = dial(port);
        expect_answer(fd, 503, "");
        expect_end(fd, false);
    }
    (void)close(fds[0]);
    while (status != 200) { /* the place becomes free when the server sees the end */
        int fd = dial(port);
        char answer[12];
        assert_true(now_ms() < until);
        (void)send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, MSG_NOSIGNAL);
        if (recv(fd, answer, sizeof(answer), MSG_WAITALL) == (ssize_t)sizeof(answer)) {
            status = memcmp(answer, "HTTP/1.1 200", 12) == 0 ? 200 : 503;
        }
        (void)close(fd);
    }
    send_get(fds[1], "/"); /* the others were not disturbed */
    expect_answer(fds[1], 200, "hello");
    (void)close(fds[1]);
    (void)close(fds[2]);
    http_server_stop(server, 1000);
}

static void test_garbage(void **state) {
    unsigned seed = (unsigned)now_ms();
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    int fd;

    print_message("seed %u\n", seed);
    for (int i = 0; i < 300; i++) {
        char junk[2000];
        size_t len = (size_t)rand_r(&seed) % sizeof(junk);
        static const char start[] =
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (size_t j = 0; j < len; j++) {
            junk[j] = (char)rand_r(&seed);
        }
        if (i % 3 == 0 && len > sizeof(start)) {
            memcpy(junk, start, sizeof(start) - 1);
        }
        fd = dial(port);
        (void)send(fd, junk, len, MSG_NOSIGNAL);
        if (i % 2 == 0) {
            (void)shutdown(fd, SHUT_WR);
            while (recv(fd, junk, sizeof(junk), 0) > 0) {
            }
        }
        (void)close(fd);
    }
    fd = dial(port);
    send_get(fd, "/");
    expect_answer(fd, 200, "hello");
    (void)close(fd);
    http_server_stop(server, 1000);
}

static void test_raw_reply(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);
    struct answer answer;

    /* Sound: the other side's Connection header is its own matter. */
    send_post(fd, "/raw",
              "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nx-a: b\r\nContent-Length: 4\r\n"
              "\r\nbody");
    answer = read_answer(fd, false);
    assert_int_equal(answer.status, 400);
    assert_false(answer.close);
    assert_non_null(strstr(answer.head, "\r\nx-a: b\r\n"));
    assert_string_equal(answer.body, "body");
    free(answer.body);
    /* No response at all. */
    send_post(fd, "/raw", "nonsense");
    expect_answer(fd, 502, NULL);
    /* A body that is shorter than promised: the client sees the cut. */
    send_post(fd, "/raw", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody");
    {
        char tail[256] = "";
        ssize_t n = recv(fd, tail, sizeof(tail) - 1, MSG_WAITALL);
        assert_true(n > 0);
        assert_non_null(strstr(tail, "\r\nConnection: close\r\n"));
        assert_memory_equal(tail + n - 8, "\r\n\r\nbody", 8);
    }
    expect_end(fd, false);
    http_server_stop(server, 1000);
}

struct stopping {
    struct http_server *server;
    unsigned grace_ms;
    int64_t took_ms;
};

static void *stop_thread(void *arg) {
    struct stopping *stopping = arg;
    int64_t begin = now_ms();
    http_server_stop(stopping->server, stopping->grace_ms);
    stopping->took_ms = now_ms() - begin;
    return NULL;
}

/* Idle connections go at once, what is under way is answered, new clients are refused. */
static void test_stop_while_busy(void **state) {
    unsigned port = 0;
    struct stopping stopping = {.server = serve(2, NULL, 0, &port), .grace_ms = 5000};
    int idle = dial(port);
    int busy = dial(port);
    int sending = dial(port);
    struct exchange *exchange;
    struct answer answer;
    pthread_t thread;

    send_get(idle, "/");
    expect_answer(idle, 200, "hello");
    send_get(busy, "/hold");
    send_text(sending, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo");
    exchange = take_held(1);
    sleep_ms(50);
    assert_int_equal(pthread_create(&thread, NULL, stop_thread, &stopping), 0);
    expect_end(idle, false);
    {
        const struct sockaddr_in address = {.sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)port),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sleep_ms(20);
        assert_true(fd >= 0);
        assert_int_not_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
        (void)close(fd);
    }
    send_text(sending, "dy");
    answer = read_answer(sending, false);
    assert_true(answer.close);
    assert_string_equal(answer.body, "body");
    free(answer.body);
    expect_end(sending, false);
    assert_true(run_errand(exchange, "in time"));
    answer = read_answer(busy, false);
    assert_true(answer.close);
    assert_string_equal(answer.body, "in time");
    free(answer.body);
    expect_end(busy, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(stopping.took_ms < 4000);
}

static void test_stop_grace_over(void **state) {
    unsigned port = 0;
    struct stopping stopping = {.server = serve(2, NULL, 0, &port), .grace_ms = 200};
    int busy = dial(port);
    int sending = dial(port);

    send_get(busy, "/hold");
    send_text(sending, "GET / HT");
    (void)take_held(1);
    sleep_ms(50);
    (void)stop_thread(&stopping);
    assert_in_range(stopping.took_ms, 150, 3000);
    expect_end(busy, true);
    expect_end(sending, true);
}

/* Between draining and stopping, what others still post is run. */
static void test_drain_then_post(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    int fd = dial(port);
    struct exchange *exchange;

    send_get(fd, "/hold");
    exchange = take_held(1);
    http_server_drain(server, 50);
    expect_end(fd, true);
    assert_false(run_errand(exchange, "too late"));
    http_server_stop(server, 1000);
}

static void test_stop_before_start(void **state) {
    struct http_server *server = NULL;
    struct err err;

    assert_int_equal(http_server_new(0, &server, &err), OK);
    http_server_stop(server, 1000);
    http_server_stop(NULL, 0);
}

static void test_addresses(void **state) {
    static const char *const bad[] = {"",        "127.0.0.1",      "127.0.0.1:", "127.0.0.1:x",
                                      "h:65536", "::1:80",         "[::1]",      "[::1:80",
                                      "h:80x",   "256.256.1.1:80", "h:-1",       "h: 80"};
    struct http_server *server = NULL;
    struct http_server *rival = NULL;
    struct err err = {.message = ""};
    struct listener_options options = {.handler = handle, .body_max = 1};
    char address[64];

    assert_int_equal(http_server_new(1, &server, &err), OK);
    assert_int_equal(http_server_new(1, &rival, &err), OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        options.address = bad[i];
        err.message[0] = '\0';
        assert_int_equal(http_server_listen(server, &options, &err), ERR_IO);
        assert_true(strlen(err.message) > 0);
    }
    options.address = "localhost:0";
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    options.address = ":0";
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    options.address = "127.0.0.1:0";
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_not_equal(http_server_port(server, 2), 0);

    /* Two servers never share a port, whoever owns them. */
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", http_server_port(server, 2));
    options.address = address;
    assert_int_equal(http_server_listen(rival, &options, &err), ERR_IO);
    assert_non_null(strstr(err.message, address));
    assert_non_null(strstr(err.message, "another process"));
    http_server_stop(server, 0);
    /* Free again at once. */
    assert_int_equal(http_server_listen(rival, &options, &err), OK);
    http_server_stop(rival, 0);
}

static void test_ipv6(void **state) {
    const struct sockaddr_in6 probe = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in6 address = probe;
    struct http_server *server = NULL;
    struct err err;
    const struct listener_options options = {
        .address = "[::1]:0", .handler = handle, .body_max = BODY_MAX};
    struct answer answer;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&probe, sizeof(probe)) != 0) {
        (void)close(fd);
        print_message("this machine has no IPv6\n");
        skip();
    }
    (void)close(fd);
    assert_int_equal(http_server_new(1, &server, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_equal(http_server_start(server, &err), OK);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin6_port = htons((uint16_t)http_server_port(server, 0));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    send_get(fd, "/remote");
    answer = read_answer(fd, false);
    assert_memory_equal(answer.body, "[::1]:", 6);
    free(answer.body);
    (void)close(fd);
    http_server_stop(server, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_is_bounded),
        cmocka_unit_test(test_other_threads_and_timers),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_refusal_is_heard),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_write_deadline),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_connection_cap),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_raw_reply),
        cmocka_unit_test(test_stop_while_busy),
        cmocka_unit_test(test_stop_grace_over),
        cmocka_unit_test(test_drain_then_post),
        cmocka_unit_test(test_stop_before_start),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ipv6),
    };

    /* As the program does. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
