/* The HTTP door against clients that are slow, many, greedy or senseless. */
#include "http_rig.h"

#include <sys/resource.h>

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
    int small = 65536;
    int fd = dial(port);

    assert_non_null(sink);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    send_get(fd, "/big");
    assert_int_equal(recv(fd, sink, 1, MSG_PEEK), 1); /* it has begun */
    sleep_ms(1500);
    while ((n = recv(fd, sink, 65536, 0)) > 0) {
        got += (size_t)n;
    }
    assert_true(got > 0 && got < BIG);
    (void)close(fd);
    http_server_stop(server, 1000);

    /* A client that reads gets all of it. */
    server = serve(1, NULL, 0, &port);
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

/* Whoever wins the race for a connection, the workers get equally many. */
static void test_workers_share(void **state) {
    enum { COUNT = 12, WORKERS = 3 };
    unsigned port = 0;
    struct http_server *server = serve(WORKERS, NULL, 0, &port);
    struct exchange *exchanges[COUNT];
    int fds[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        fds[i] = dial(port);
        send_get(fds[i], "/hold");
        exchanges[i] = take_held(1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t same = 0;
        for (size_t j = 0; j < COUNT; j++) {
            same += exchange_worker(exchanges[i]) == exchange_worker(exchanges[j]);
        }
        assert_int_equal(same, COUNT / WORKERS);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(run_errand(exchanges[i], "held"));
        expect_answer(fds[i], 200, "held");
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

enum { LOAD = 200 * 1024 };

/* The head and all but the last byte of a body. */
static int begin_upload(unsigned port, const char *target) {
    static char body[LOAD];
    char head[256];
    int fd = dial(port);

    (void)snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
                   target, LOAD);
    send_text(fd, head);
    memset(body, 'x', sizeof(body));
    send_bytes(fd, body, LOAD - 1);
    return fd;
}

/* All that clients make a worker keep is bounded, not only what one of them does. */
static void test_bodies_are_bounded(void **state) {
    unsigned port = 0;
    struct http_server *server =
        serve_options(1, (struct listener_options){.bodies_max = LOAD * 2}, &port);
    int first = begin_upload(port, "/hold");
    int second;

    sleep_ms(300); /* it is there */
    second = begin_upload(port, "/echo");
    expect_answer(second, 503, NULL);
    expect_end(second, true);
    send_text(first, "x");
    {
        struct exchange *exchange = take_held(1);
        /* It counts as long as its handler has it. */
        second = begin_upload(port, "/echo");
        expect_answer(second, 503, NULL);
        expect_end(second, true);
        /* What has no body is served. */
        second = dial(port);
        send_get(second, "/");
        expect_answer(second, 200, "hello");
        (void)close(second);
        (void)run_errand(exchange, "done");
    }
    expect_answer(first, 200, "done");
    /* Its room is free again, also the room of those who leave in the middle. */
    for (int i = 0; i < 5; i++) {
        struct answer answer;
        (void)close(begin_upload(port, "/echo"));
        sleep_ms(50);
        second = begin_upload(port, "/echo");
        send_text(second, "x");
        answer = read_answer(second, false);
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body_len, LOAD);
        free(answer.body);
        (void)close(second);
        sleep_ms(50);
    }
    (void)close(first);
    http_server_stop(server, 1000);
}

/* Out of descriptors: accepting pauses and goes on, nobody spins, nobody is lost. */
static void test_no_descriptors(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(2, NULL, 0, &port);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 8};
    struct rlimit before;
    struct rlimit tight;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    send_get(fd, "/");
    sleep_ms(250);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_answer(fd, 200, "hello");
    (void)close(fd);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelining_is_bounded),
        cmocka_unit_test(test_refusal_is_heard),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_write_deadline),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_workers_share),
        cmocka_unit_test(test_connection_cap),
        cmocka_unit_test(test_bodies_are_bounded),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_garbage),
    };

    /* As the program does. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
