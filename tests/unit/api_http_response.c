/* Heads of responses: the date, our own heads, and what is made of another node's response. */
#include "api/http_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void check_text(struct buf *buf, const char *expected) {
    assert_false(buf->failed);
    buf_append_u8(buf, 0);
    assert_string_equal((const char *)buf->data, expected);
    buf_fini(buf);
}

static void test_date(void **state) {
    static const struct {
        int64_t unix_s;
        const char *line;
    } cases[] = {
        {0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {784111777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
        {951782399, "Date: Mon, 28 Feb 2000 23:59:59 GMT\r\n"},
        {951782400, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n"},
        {4102444799, "Date: Thu, 31 Dec 2099 23:59:59 GMT\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[HTTP_DATE_LINE];
        http_date_line(cases[i].unix_s, line);
        assert_string_equal(line, cases[i].line);
    }
}

static void test_head(void **state) {
    const struct http_response full = {.status = 400,
                                       .content_type = "application/json",
                                       .headers = "x-a: b\r\nx-c: d\r\n",
                                       .body_len = 1234567890};
    const struct http_response bare = {.status = 200};
    const struct http_response none = {.status = 204};
    struct buf out;

    buf_init(&out, 1000);
    http_response_head(&out, &full, "Date: now\r\n", false);
    check_text(&out, "HTTP/1.1 400 Bad Request\r\nDate: now\r\nContent-Type: application/json\r\n"
                     "Content-Length: 1234567890\r\nConnection: keep-alive\r\nx-a: b\r\nx-c: "
                     "d\r\n\r\n");
    http_response_head(&out, &bare, "Date: now\r\n", true);
    check_text(&out, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: close\r\n"
                     "\r\n");
    http_response_head(&out, &none, "Date: now\r\n", false);
    check_text(&out, "HTTP/1.1 204 No Content\r\nDate: now\r\nConnection: keep-alive\r\n\r\n");
    assert_true(http_response_has_body(200, "GET"));
    assert_true(http_response_has_body(500, "POST"));
    assert_false(http_response_has_body(200, "HEAD"));
    assert_false(http_response_has_body(204, "GET"));
    assert_false(http_response_has_body(304, "GET"));
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void test_raw_taken(void **state) {
    static const struct {
        const char *input;
        const char *method;
        const char *head;
        const char *body;
        bool sound;
    } cases[] = {
        {OK_LINE "Content-Length: 4\r\nX: y\r\n\r\nbody", "POST",
         OK_LINE "Content-Length: 4\r\nX: y\r\n", "body", true},
        {"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", "GET",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", "", true},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET",
         "HTTP/1.1 200\r\nContent-Length: 0\r\n", "", true},
        /* headers of one connection */
        {OK_LINE "Connection: close\r\nKEEP-alive: 5\r\nUpgrade: h2c\r\nTrailer: x\r\n"
                 "Content-Length: 1\r\n\r\nb",
         "GET", OK_LINE "Content-Length: 1\r\n", "b", true},
        /* a length that does not fit, or none */
        {OK_LINE "Content-Length: 5\r\n\r\nbody", "GET", OK_LINE "Content-Length: 5\r\n", "body",
         false},
        {OK_LINE "Content-Length: 3\r\n\r\nbody", "GET", OK_LINE "Content-Length: 3\r\n", "body",
         false},
        {OK_LINE "\r\nbody", "GET", OK_LINE, "body", false},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET",
         OK_LINE "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", false},
        /* no body belongs there */
        {OK_LINE "Content-Length: 4\r\n\r\n", "HEAD", OK_LINE "Content-Length: 4\r\n", "", true},
        {OK_LINE "Content-Length: 4\r\n\r\nbody", "HEAD", OK_LINE "Content-Length: 4\r\n", "",
         true},
        {"HTTP/1.1 204 No Content\r\n\r\nbody", "GET", "HTTP/1.1 204 No Content\r\n", "", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_raw_response raw;
        struct buf out;
        buf_init(&out, 1000);
        assert_true(http_raw_begin(&out, (const uint8_t *)cases[i].input, strlen(cases[i].input),
                                   cases[i].method, &raw));
        check_text(&out, cases[i].head);
        assert_int_equal(raw.body_len, strlen(cases[i].body));
        if (raw.body_len > 0) {
            assert_memory_equal(raw.body, cases[i].body, raw.body_len);
        }
        assert_int_equal(raw.sound, cases[i].sound);
    }
}

static void test_raw_refused(void **state) {
    static const char *const inputs[] = {
        "",
        "\r\n\r\n",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n",
        "HTTP/1.1 200 OK\r\nX: y\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        OK_LINE "X : y\r\n\r\n",
        OK_LINE " X: y\r\n\r\n",
        OK_LINE "X\r\n\r\n",
        OK_LINE "X: a\rb\r\n\r\n",
        OK_LINE "Content-Length: x\r\n\r\n",
        OK_LINE "Content-Length: -1\r\n\r\n",
        OK_LINE "Content-Length: 9999999999999999999\r\n\r\n",
        OK_LINE "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        OK_LINE "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        struct http_raw_response raw;
        struct buf out;
        buf_init(&out, 1000);
        if (http_raw_begin(&out, (const uint8_t *)inputs[i], strlen(inputs[i]), "GET", &raw)) {
            fail_msg("taken: %s", inputs[i]);
        }
        buf_fini(&out);
    }
}

/* A head over the cap is refused, not cut. */
static void test_raw_too_long(void **state) {
    static const char input[] = OK_LINE "Content-Length: 0\r\n\r\n";
    struct http_raw_response raw;
    struct buf out;

    buf_init(&out, 20);
    assert_false(http_raw_begin(&out, (const uint8_t *)input, strlen(input), "GET", &raw));
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),         cmocka_unit_test(test_head),
        cmocka_unit_test(test_raw_taken),    cmocka_unit_test(test_raw_refused),
        cmocka_unit_test(test_raw_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
