/* How the HTTP door stops: what is idle goes, what is under way is answered until the grace is
 * over. */
#include "http_rig.h"

#include <stdatomic.h>

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

struct waiting {
    struct worker_task task;
    struct worker *worker;
    atomic_bool is_set, ran;
};

static void waiting_run(void *arg) {
    struct waiting *waiting = arg;
    atomic_store(&waiting->ran, true);
}

static void waiting_set(struct worker_task *task) {
    struct waiting *waiting = CONTAINER_OF(task, struct waiting, task);
    atomic_store(&waiting->is_set,
                 worker_timer_start(waiting->worker, 3600 * 1000, waiting_run, waiting) != NULL);
}

/* What waits for its time may own memory: it runs when there is no more time. */
static void test_timers_run_at_the_end(void **state) {
    unsigned port = 0;
    struct http_server *server = serve(1, NULL, 0, &port);
    int fd = dial(port);
    struct exchange *exchange;
    struct waiting waiting = {.task.run = waiting_set};

    send_get(fd, "/hold");
    exchange = take_held(1);
    waiting.worker = exchange_worker(exchange);
    worker_post(waiting.worker, &waiting.task);
    assert_true(run_errand(exchange, "answered"));
    expect_answer(fd, 200, "answered");
    assert_true(atomic_load(&waiting.is_set));
    assert_false(atomic_load(&waiting.ran));
    (void)close(fd);
    http_server_stop(server, 1000);
    assert_true(atomic_load(&waiting.ran));
}

static void test_stop_before_start(void **state) {
    struct http_server *server = NULL;
    struct err err;

    assert_int_equal(http_server_new(0, &server, &err), OK);
    http_server_stop(server, 1000);
    http_server_stop(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_while_busy),   cmocka_unit_test(test_stop_grace_over),
        cmocka_unit_test(test_drain_then_post),   cmocka_unit_test(test_timers_run_at_the_end),
        cmocka_unit_test(test_stop_before_start),
    };

    /* As the program does. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
