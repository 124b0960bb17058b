/* The HTTP door over real sockets and threads: the life of connections and exchanges. */
#include "http_rig.h"

#include "base/local_socket.h"

#include <sys/stat.h>

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

/* The door for the administrator: a socket at a path, which goes with the server. */
static void test_local_door(void **state) {
    char folder[] = "/tmp/redoubt-door-XXXXXX";
    char address[96];
    const char *path = address + strlen("unix:");
    const struct listener_options options = {
        .address = address, .body_max = BODY_MAX, .handler = handle};
    struct http_server *server = NULL;
    struct err err = {.message = ""};
    struct stat st;
    int fd = -1;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(address, sizeof(address), "unix:%s/admin.sock", folder);
    assert_int_equal(http_server_new(2, &server, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), ERR_IO); /* taken */
    assert_int_equal(http_server_port(server, 0), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(http_server_start(server, &err), OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(local_socket_connect(path, 8000, &fd, &err), OK);
        send_get(fd, "/remote");
        expect_answer(fd, 200, "local");
        send_post(fd, "/later", "some bytes");
        expect_answer(fd, 200, "some bytes");
        (void)close(fd);
    }
    http_server_stop(server, 1000);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_other_threads_and_timers),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_raw_reply),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_local_door),
    };

    /* As the program does. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
