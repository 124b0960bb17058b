/* What the tests of the HTTP door share: a server with a handler for each kind of answer, and a
 * plain client that fails the test when something unexpected comes. */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

#include "api/http_server.h"

#include "base/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_MAX = 256 * 1024,
    BIG = 12 * 1024 * 1024, /* more than two sockets' buffers, when the client's is small */
    HELD_MAX = 64,
    RESPONSE_MAX = 512 * 1024,
};

static inline int64_t now_ms(void) {
    return (int64_t)world_mono_ms(world_system());
}

static inline void sleep_ms(unsigned ms) {
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

static inline void hold(struct exchange *exchange) {
    CHECK(pthread_mutex_lock(&held.lock) == 0);
    CHECK(held.count < HELD_MAX);
    held.exchanges[held.count++] = exchange;
    CHECK(pthread_mutex_unlock(&held.lock) == 0);
}

/* The oldest held exchange, when there are `count`; waits for it. */
static inline struct exchange *take_held(size_t count) {
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

static inline void reply_text(struct exchange *exchange, int status, const char *text) {
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

static inline void errand_run(struct worker_task *task) {
    struct errand *errand = CONTAINER_OF(task, struct errand, task);
    errand->connected = exchange_is_connected(errand->exchange);
    if (errand->text != NULL) {
        reply_text(errand->exchange, 200, errand->text);
    }
    CHECK(sem_post(&errand->done) == 0);
}

/* Returns whether the client was there. */
static inline bool run_errand(struct exchange *exchange, const char *text) {
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

static inline void later_run(struct worker_task *task) {
    struct later *later = CONTAINER_OF(task, struct later, task);
    const struct http_request *request = exchange_request(later->exchange);
    const struct http_response response = {
        .status = 200, .body = request->body.data, .body_len = request->body.len};
    exchange_reply(later->exchange, &response);
    free(later);
}

static inline void *later_thread(void *arg) {
    struct later *later = arg;
    sleep_ms(2);
    worker_post(later->worker, &later->task);
    return NULL;
}

static inline void handle_later(struct exchange *exchange) {
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

static inline void timer_reply(void *arg) {
    reply_text(arg, 200, "timer");
}

static inline void timer_wrong(void *arg) {
    CHECK(false); /* it was cancelled */
}

static inline void handle_timer(struct exchange *exchange) {
    struct worker *worker = exchange_worker(exchange);
    struct worker_timer *wrong = worker_timer_start(worker, 1, timer_wrong, exchange);

    CHECK(wrong != NULL);
    CHECK(worker_timer_start(worker, 10, timer_reply, exchange) != NULL);
    worker_timer_cancel(wrong);
    worker_timer_cancel(NULL);
}

static inline void reply_big(struct exchange *exchange) {
    uint8_t *data = calloc(1, BIG);
    const struct http_response response = {.status = 200, .body = data, .body_len = BIG};

    CHECK(data != NULL);
    exchange_reply(exchange, &response);
    free(data);
}

static inline bool target_is(const struct http_request *request, const char *target) {
    return request->path_len == strlen(target) &&
           memcmp(request->target, target, request->path_len) == 0;
}

static inline void handle(struct exchange *exchange, void *arg) {
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

/* Fills in what is the same for all tests. */
static inline struct http_server *serve_options(unsigned workers, struct listener_options options,
                                                unsigned *ret_port) {
    struct http_server *server = NULL;
    struct err err = {.message = ""};

    options.address = "127.0.0.1:0";
    options.body_max = BODY_MAX;
    options.handler = handle;
    assert_int_equal(http_server_new(workers, &server, &err), OK);
    if (http_server_listen(server, &options, &err) != OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(http_server_start(server, &err), OK);
    *ret_port = http_server_port(server, 0);
    assert_in_range(*ret_port, 1, 65535);
    return server;
}

static inline struct http_server *serve(unsigned workers, const struct http_timeouts *timeouts,
                                        unsigned connections_max, unsigned *ret_port) {
    struct listener_options options = {.connections_max = connections_max};

    if (timeouts != NULL) {
        options.timeouts = *timeouts;
    }
    return serve_options(workers, options, ret_port);
}

/* --- the client's side --- */

static inline int dial(unsigned port) {
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

static inline void send_bytes(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            fail_msg("send: %s", strerror(errno));
        }
        data += n;
        len -= (size_t)n;
    }
}

static inline void send_text(int fd, const char *text) {
    send_bytes(fd, text, strlen(text));
}

static inline void send_get(int fd, const char *target) {
    char request[256];
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    send_text(fd, request);
}

static inline void send_post(int fd, const char *target, const char *body) {
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

static inline void read_bytes(int fd, char *out, size_t len) {
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
static inline struct answer read_answer(int fd, bool head_only) {
    struct answer answer = {0};
    size_t at = 0;
    const char *length;

    /* The head and not a byte more, in few calls: look first, then take. */
    while (at < 4 || memcmp(answer.head + at - 4, "\r\n\r\n", 4) != 0) {
        ssize_t n = recv(fd, answer.head + at, sizeof(answer.head) - 1 - at, MSG_PEEK);
        const char *end;
        if (n <= 0) {
            fail_msg("recv: %s", n == 0 ? "end" : strerror(errno));
        }
        end = memmem(answer.head, at + (size_t)n, "\r\n\r\n", 4);
        n = end != NULL ? end + 4 - answer.head - (ssize_t)at : n;
        read_bytes(fd, answer.head + at, (size_t)n);
        at += (size_t)n;
    }
    answer.head[at] = '\0';
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

static inline void expect_answer(int fd, int status, const char *body) {
    struct answer answer = read_answer(fd, false);

    assert_int_equal(answer.status, status);
    if (body != NULL) {
        assert_string_equal(answer.body, body);
    }
    free(answer.body);
}

/* The server has closed: nothing more comes. A reset counts too if `or_reset`. */
static inline void expect_end(int fd, bool or_reset) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    if (n != 0 && !(or_reset && n < 0 && (errno == ECONNRESET || errno == EPIPE))) {
        fail_msg("expected the end, got %zd (%s)", n, n < 0 ? strerror(errno) : "data");
    }
    (void)close(fd);
}

#endif
