/* The request parser: a table of good and bad requests, each fed whole, byte by byte, and cut at
 * every place, always with the same outcome. */
#include "api/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1000, INPUT_MAX = 64 * 1024 };

#define H "Host: h\r\n"

struct parse_case {
    const char *input;
    size_t len; /* 0: a string without NUL */
    /* For each request "METHOD target [path length] (headers) keep|close [expect] body", ended by
     * ';'; then "more", "idle" or the status of the refusal. */
    const char *outcome;
};

/* A piece of text that grows; tests only. */
struct text {
    char *data;
    size_t len;
};

static void text_add(struct text *text, const char *more, size_t len) {
    text->data = realloc(text->data, text->len + len + 1);
    assert_non_null(text->data);
    if (len > 0) {
        memcpy(text->data + text->len, more, len);
    }
    text->len += len;
    text->data[text->len] = '\0';
}

static void text_add_str(struct text *text, const char *more) {
    text_add(text, more, strlen(more));
}

static void text_repeat(struct text *text, const char *more, size_t times) {
    for (size_t i = 0; i < times; i++) {
        text_add_str(text, more);
    }
}

static void describe(struct text *out, struct http_parser *parser) {
    struct http_request request;
    char number[32];

    http_parser_take(parser, &request);
    text_add_str(out, request.method);
    text_add_str(out, " ");
    text_add(out, request.target, request.target_len);
    (void)snprintf(number, sizeof(number), " [%zu] (", request.path_len);
    text_add_str(out, number);
    for (size_t i = 0; i < request.n_headers; i++) {
        const struct sigv4_header *header = &request.headers[i];
        text_add_str(out, i > 0 ? "," : "");
        text_add(out, header->name, header->name_len);
        text_add_str(out, "=");
        text_add(out, header->value, header->value_len);
    }
    text_add_str(out, request.keep_alive ? ") keep " : ") close ");
    text_add_str(out, request.expect_continue ? "expect " : "");
    text_add(out, (const char *)request.body.data, request.body.len);
    text_add_str(out, ";");
    assert_memory_equal(request.head.data + request.head.len - 4, "\r\n\r\n", 4);
    http_request_fini(&request);
}

static bool feed(struct http_parser *parser, const char *data, size_t len, struct text *out) {
    size_t at = 0;

    while (at < len) {
        size_t used = SIZE_MAX;
        enum http_parse_status status =
            http_parser_feed(parser, (const uint8_t *)data + at, len - at, &used);
        assert_true(used <= len - at);
        at += used;
        if (status == HTTP_MORE) {
            assert_int_equal(at, len);
        } else if (status == HTTP_HEAD_DONE) {
            assert_int_equal(http_parser_request(parser)->body.len, 0);
        } else if (status == HTTP_REQUEST_DONE) {
            describe(out, parser);
        } else {
            const char *reason = NULL;
            char number[16];
            (void)snprintf(number, sizeof(number), "%d", http_parser_error(parser, &reason));
            assert_true(strlen(reason) > 0);
            text_add_str(out, number);
            return false;
        }
    }
    return true;
}

/* `first` bytes, then pieces of `piece`. The caller frees. */
static char *outcome_of(const char *input, size_t len, size_t first, size_t piece) {
    struct http_parser *parser = http_parser_new(BODY_MAX);
    struct text out = {0};
    bool good;
    size_t at = first;

    assert_non_null(parser);
    assert_true(http_parser_is_idle(parser));
    text_add_str(&out, "");
    good = feed(parser, input, first, &out);
    while (good && at < len) {
        size_t take = len - at < piece ? len - at : piece;
        good = feed(parser, input + at, take, &out);
        at += take;
    }
    if (good) {
        text_add_str(&out, http_parser_is_idle(parser) ? "idle" : "more");
    }
    http_parser_free(parser);
    return out.data;
}

static void check_cut(const char *input, size_t len, size_t first, size_t piece,
                      const char *expected) {
    char *outcome = outcome_of(input, len, first, piece);

    if (strcmp(outcome, expected) != 0) {
        fail_msg("cut at %zu, then %zu: %.60s...\n  gives    %.200s\n  expected %.200s", first,
                 piece, input, outcome, expected);
    }
    free(outcome);
}

static void check(const char *input, size_t len, const char *expected) {
    /* Long inputs are repetitive: not every cut. */
    size_t step = len / 400 + 1;

    check_cut(input, len, len, 1, expected);
    check_cut(input, len, 0, 1, expected);
    check_cut(input, len, 0, 7, expected);
    for (size_t first = 1; first < len; first += step) {
        check_cut(input, len, first, INPUT_MAX, expected);
    }
}

static void check_table(const struct parse_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t len = cases[i].len != 0 ? cases[i].len : strlen(cases[i].input);
        check(cases[i].input, len, cases[i].outcome);
    }
}

static void test_good(void **state) {
    static const struct parse_case cases[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", 0, "GET / [1] (Host=h) keep ;idle"},
        {"GET /a?b=c%20d HTTP/1.1\r\n" H "\r\n", 0, "GET /a?b=c%20d [2] (Host=h) keep ;idle"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 0,
         "POST / [1] (Host=h,Content-Length=5) keep hello;idle"},
        {"POST / HTTP/1.1\r\n" H "content-LENGTH:005\r\n\r\nhello", 0,
         "POST / [1] (Host=h,content-LENGTH=005) keep hello;idle"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0,
         "POST / [1] (Host=h,Content-Length=0) keep ;idle"},
        {"POST / HTTP/1.1\r\n" H "\r\n", 0, "POST / [1] (Host=h) keep ;idle"},
        {"OPTIONS / HTTP/1.1\r\n" H "\r\n", 0, "OPTIONS / [1] (Host=h) keep ;idle"},
        {"get / HTTP/1.1\r\n" H "\r\n", 0, "get / [1] (Host=h) keep ;idle"},
        /* values: blanks at the ends go, inside they stay; empty; the upper half */
        {"GET / HTTP/1.1\r\nHost:\t h \t\r\nX: a \t b\r\nY:\r\nZ:\xc3\xa4\r\n\r\n", 0,
         "GET / [1] (Host=h,X=a \t b,Y=,Z=\xc3\xa4) keep ;idle"},
        {"GET / HTTP/1.1\r\nHost: [::1]:7400\r\n\r\n", 0, "GET / [1] (Host=[::1]:7400) keep ;idle"},
        /* the connection */
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 0,
         "GET / [1] (Host=h,Connection=close) close ;idle"},
        {"GET / HTTP/1.1\r\n" H "Connection: x , CLOSE\r\n\r\n", 0,
         "GET / [1] (Host=h,Connection=x , CLOSE) close ;idle"},
        {"GET / HTTP/1.1\r\n" H "Connection: keep-alive\r\nConnection: close\r\n\r\n", 0,
         "GET / [1] (Host=h,Connection=keep-alive,Connection=close) close ;idle"},
        {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", 0,
         "GET / [1] (Host=h,Connection=closed) keep ;idle"},
        {"GET / HTTP/1.0\r\n\r\n", 0, "GET / [1] () close ;idle"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0,
         "GET / [1] (Connection=Keep-Alive) keep ;idle"},
        /* the expectation */
        {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0,
         "POST / [1] (Host=h,Expect=100-Continue,Content-Length=1) keep expect x;idle"},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 0,
         "POST / [1] (Expect=100-continue,Content-Length=1) close x;idle"},
        /* one empty line before a request, also between two */
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, "GET / [1] (Host=h) keep ;idle"},
        {"\r\n", 0, "idle"},
        /* pipelined */
        {"GET /1 HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET /3 "
         "HTTP/1.1\r\n" H "\r\n\r\nGET /4",
         0,
         "GET /1 [2] (Host=h) keep ;POST /2 [2] (Host=h,Content-Length=2) keep ab;GET /3 [2] "
         "(Host=h) keep ;more"},
        {"GET / HTTP/1.1\r\n" H, 0, "more"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhell", 0, "more"},
    };
    check_table(cases, ARRAY_LEN(cases));
}

#define C "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static void test_chunked(void **state) {
    static const char done[] = "POST / [1] (Host=h,Transfer-Encoding=chunked) keep ";
    static const struct {
        const char *body;
        const char *outcome; /* a body if it begins with '=' */
    } cases[] = {
        {"0\r\n\r\n", "="},
        {"5\r\nhello\r\n0\r\n\r\n", "=hello"},
        {"5\r\nhello\r\n00000006\r\n world\r\n000\r\n\r\n", "=hello world"},
        {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "=01234567890123456789"},
        {"5;a=b\r\nhello\r\n0;x\r\n\r\n", "=hello"},
        {"5;a=\"b c\";d\r\nhello\r\n0\r\n\r\n", "=hello"},
        {"1\r\nx\r\n0\r\nTrailer: dropped\r\nOther:\r\n\r\n", "=x"},
        {"1\r\n\n\r\n0\r\n\r\n", "=\n"},
        {"3E8\r\n", "more"}, /* BODY_MAX */
        {"1\r\nx\r\n0\r\n", "more"},
        {"1\r\nx\r\n0\r\n\r", "more"},
        /* sizes */
        {"3E9\r\n", "413"},
        {"2\r\nab\r\n3E7\r\n", "413"},
        {"ffffffff\r\n", "413"},
        {"100000000\r\n", "400"},
        {"000000005\r\n", "400"},
        {"\r\n", "400"},
        {";a\r\n", "400"},
        {"-1\r\n", "400"},
        {"+1\r\n", "400"},
        {"0x1\r\n", "400"},
        {" 1\r\n", "400"},
        {"1 \r\n", "400"},
        {"1 ;a\r\n", "400"},
        {"1\t\r\n", "400"},
        {"g\r\n", "400"},
        /* line ends */
        {"1\n", "400"},
        {"1\rx", "400"},
        {"1;a\n", "400"},
        {"1;a\rb\r\n", "400"},
        {"1;\x01\r\n", "400"},
        {"1\r\nxy", "400"},
        {"1\r\nx\n", "400"},
        {"1\r\nx\ry", "400"},
        {"1\r\nx1\r\n", "400"},
        {"0\r\n\n", "400"},
        {"0\n\r\n", "400"},
        /* trailers */
        {"0\r\nx\r\n\r\n", "400"},
        {"0\r\n: x\r\n\r\n", "400"},
        {"0\r\n x: y\r\n\r\n", "400"},
        {"0\r\nx : y\r\n\r\n", "400"},
        {"0\r\nx: y\n\r\n", "400"},
        {"0\r\nx: y\rz\r\n\r\n", "400"},
        {"0\r\nx: \x7f\r\n\r\n", "400"},
        {"0\r\nGET / HTTP/1.1\r\n\r\n", "400"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text input = {0};
        struct text outcome = {0};
        text_add_str(&input, C);
        text_add_str(&input, cases[i].body);
        if (cases[i].outcome[0] == '=') {
            text_add_str(&outcome, done);
            text_add_str(&outcome, cases[i].outcome + 1);
            text_add_str(&outcome, ";idle");
        } else {
            text_add_str(&outcome, cases[i].outcome);
        }
        check(input.data, input.len, outcome.data);
        free(input.data);
        free(outcome.data);
    }
}

#define WITH_LEN(s) s, sizeof(s) - 1

static void test_refused(void **state) {
    static const struct parse_case cases[] = {
        /* line ends */
        {"GET / HTTP/1.1\n" H "\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost: h\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\r\n" H "\r\n", 0, "400"},
        {"\n", 0, "400"},
        {"\r\n\r\n", 0, "400"},
        {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 0, "400"},
        /* headers */
        {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n\tb: c\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "X(: y\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "\xc3\xa4: y\r\n\r\n", 0, "400"},
        {WITH_LEN("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), "400"},
        {WITH_LEN("GET / HTTP/1.1\r\n" H "X\0: a\r\n\r\n"), "400"},
        {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 0, "400"},
        /* lengths and codings */
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\nx", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
         "400"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 0,
         "400"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 0, "501"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
         "chunked\r\n\r\n",
         0, "400"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         0, "400"},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n", 0, "413"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 0, "413"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999999999999\r\n\r\n", 0,
         "413"},
        /* hosts */
        {"GET / HTTP/1.1\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 0, "400"},
        {"GET / HTTP/1.0\r\n" H H "\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0, "400"},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, "400"},
        /* targets */
        {"GET http://h/ HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"CONNECT h:443 HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET a HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET /\x01 HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {WITH_LEN("GET /\0 HTTP/1.1\r\n" H "\r\n"), "400"},
        {"GET /a b HTTP/1.1\r\n" H "\r\n", 0, "400"},
        /* request lines and versions */
        {"GET  / HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET /  HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 0, "400"},
        {" GET / HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET\t/\tHTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"GET /\r\n\r\n", 0, "400"},
        {"GET\r\n\r\n", 0, "400"},
        {"G{T / HTTP/1.1\r\n" H "\r\n", 0, "400"},
        {"PROPFIND / HTTP/1.1\r\n" H "\r\n", 0, "501"},
        {"GET / HTTP/1.2\r\n" H "\r\n", 0, "505"},
        {"GET / HTTP/2.0\r\n" H "\r\n", 0, "505"},
        {"GET / HTTP/0.9\r\n" H "\r\n", 0, "505"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, "400"},
        {"GET / HTTP/11\r\n" H "\r\n", 0, "400"},
        {"GET / HTTP/1.10\r\n" H "\r\n", 0, "400"},
        {"GET / http/1.1\r\n" H "\r\n", 0, "400"},
        {"GET / HTTP/1.1x\r\n" H "\r\n", 0, "400"},
        /* expectations */
        {"POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\n", 0, "417"},
        /* a good one first */
        {"GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n\r\n", 0, "GET / [1] (Host=h) keep ;400"},
        /* TLS, and SSH, at a plain door */
        {WITH_LEN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"), "400"},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "400"},
    };
    check_table(cases, ARRAY_LEN(cases));
}

static void check_text(struct text *input, const char *outcome) {
    check(input->data, input->len, outcome);
    free(input->data);
    *input = (struct text){0};
}

static void test_target_limit(void **state) {
    struct text input = {0};
    char *outcome;

    text_add_str(&input, "GET /");
    text_repeat(&input, "a", LIMIT_HTTP_TARGET - 1);
    text_add_str(&input, " HTTP/1.1\r\n" H "\r\n");
    outcome = outcome_of(input.data, input.len, input.len, 1);
    assert_non_null(strstr(outcome, "keep ;idle"));
    check_text(&input, outcome);
    free(outcome);

    text_add_str(&input, "GET /");
    text_repeat(&input, "a", LIMIT_HTTP_TARGET);
    text_add_str(&input, " HTTP/1.1\r\n" H "\r\n");
    check_text(&input, "414");

    /* Without an end it is refused before the head's limit is reached. */
    text_add_str(&input, "GET /");
    text_repeat(&input, "a", LIMIT_HTTP_TARGET + 100);
    check_text(&input, "414");
}

static void test_head_limit(void **state) {
    struct text input = {0};
    char *outcome;
    size_t fill;

    text_add_str(&input, "GET / HTTP/1.1\r\n" H "X: ");
    fill = LIMIT_HTTP_HEAD - input.len - 4;
    text_repeat(&input, "a", fill);
    text_add_str(&input, "\r\n\r\n");
    assert_int_equal(input.len, LIMIT_HTTP_HEAD);
    outcome = outcome_of(input.data, input.len, input.len, 1);
    assert_non_null(strstr(outcome, "keep ;idle"));
    check_text(&input, outcome);
    free(outcome);

    text_add_str(&input, "GET / HTTP/1.1\r\n" H "X: ");
    text_repeat(&input, "a", fill + 1);
    text_add_str(&input, "\r\n\r\n");
    check_text(&input, "431");

    /* Exactly full and not complete: the next byte decides. */
    text_add_str(&input, "GET / HTTP/1.1\r\n" H "X: ");
    text_repeat(&input, "a", fill + 4);
    assert_int_equal(input.len, LIMIT_HTTP_HEAD);
    check(input.data, input.len, "more");
    text_add_str(&input, "a");
    check_text(&input, "431");
}

static void test_header_count(void **state) {
    struct text input = {0};
    char *outcome;

    text_add_str(&input, "GET / HTTP/1.1\r\n" H);
    text_repeat(&input, "X: y\r\n", LIMIT_HTTP_HEADERS - 1);
    text_add_str(&input, "\r\n");
    outcome = outcome_of(input.data, input.len, input.len, 1);
    assert_non_null(strstr(outcome, "keep ;idle"));
    check_text(&input, outcome);
    free(outcome);

    text_add_str(&input, "GET / HTTP/1.1\r\n" H);
    text_repeat(&input, "X: y\r\n", LIMIT_HTTP_HEADERS);
    text_add_str(&input, "\r\n");
    check_text(&input, "431");
}

static void test_chunk_extra_limit(void **state) {
    struct text input = {0};

    text_add_str(&input, C "1;");
    text_repeat(&input, "a", LIMIT_HTTP_CHUNK_EXTRA);
    text_add_str(&input, "\r\nx\r\n0\r\n");
    check(input.data, input.len, "more");
    text_add_str(&input, "\r\n");
    check_text(&input, "431"); /* the empty line counts as trailer: the limit was used up */

    text_add_str(&input, C "1;");
    text_repeat(&input, "a", LIMIT_HTTP_CHUNK_EXTRA + 1);
    check_text(&input, "431");

    /* The limit is one for the whole body, not for each chunk. */
    text_add_str(&input, C);
    text_repeat(&input, "1;0123456789012345\r\nx\r\n", LIMIT_HTTP_CHUNK_EXTRA / 16 + 1);
    check_text(&input, "431");

    text_add_str(&input, C "0\r\n");
    text_repeat(&input, "x: y\r\n", LIMIT_HTTP_CHUNK_EXTRA / 4 + 1);
    check_text(&input, "431");
}

static void test_body_limit(void **state) {
    struct text input = {0};
    char *outcome;

    text_add_str(&input, "POST / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n");
    text_repeat(&input, "b", BODY_MAX);
    outcome = outcome_of(input.data, input.len, input.len, 1);
    assert_non_null(strstr(outcome, "bbb;idle"));
    check_text(&input, outcome);
    free(outcome);
}

/* What Content-Length promises is not paid in advance. */
static void test_memory_follows_bytes(void **state) {
    static const char head[] = "POST / HTTP/1.1\r\n" H "Content-Length: 1000000000\r\n\r\nxyz";
    struct http_parser *parser = http_parser_new((size_t)2000 * 1000 * 1000);
    size_t used = 0;

    assert_non_null(parser);
    assert_int_equal(http_parser_feed(parser, (const uint8_t *)head, strlen(head), &used),
                     HTTP_HEAD_DONE);
    assert_int_equal(http_parser_feed(parser, (const uint8_t *)head + used, 3, &used), HTTP_MORE);
    assert_int_equal(http_parser_request(parser)->body.len, 3);
    assert_true(http_parser_request(parser)->body.room <= 16 * 1024);
    http_parser_free(parser);
}

static void test_header_lookup(void **state) {
    static const char input[] =
        "GET / HTTP/1.1\r\n" H "X-Amz-Target: first\r\nx-amz-target: second\r\nEmpty:\r\n\r\n";
    struct http_parser *parser = http_parser_new(BODY_MAX);
    struct http_request request;
    size_t used = 0;
    size_t len = 99;

    assert_non_null(parser);
    assert_int_equal(http_parser_feed(parser, (const uint8_t *)input, strlen(input), &used),
                     HTTP_REQUEST_DONE);
    http_parser_take(parser, &request);
    assert_memory_equal(http_header(&request, "x-AMZ-target", &len), "first", 5);
    assert_int_equal(len, 5);
    assert_non_null(http_header(&request, "empty", &len));
    assert_int_equal(len, 0);
    assert_null(http_header(&request, "x-amz-targe", &len));
    http_request_fini(&request);
    http_parser_free(parser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_target_limit),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_header_count),
        cmocka_unit_test(test_chunk_extra_limit),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_memory_follows_bytes),
        cmocka_unit_test(test_header_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
