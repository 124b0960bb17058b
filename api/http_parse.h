/* The HTTP/1.1 request parser: pure, incremental, and strict where laxity smuggles. No libevent
 * here; fuzzed.
 *
 * Refused: bare LF, folded headers, white space before the colon, a NUL or control character in a
 * header, two Content-Lengths, Content-Length with Transfer-Encoding, any transfer coding but a
 * lone "chunked", HTTP/1.1 without exactly one Host, absolute and authority targets, any version
 * but 1.0 and 1.1, heads over LIMIT_HTTP_HEAD, more than LIMIT_HTTP_HEADERS headers, bodies over
 * the given limit, chunk extensions and trailers over LIMIT_HTTP_CHUNK_EXTRA. One empty line before
 * a request is skipped (RFC 9112, 2.2); trailers are checked and dropped.
 *
 * The outcome depends on the bytes alone, never on how they were cut into pieces. */
#ifndef API_HTTP_PARSE_H
#define API_HTTP_PARSE_H

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/sigv4.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A complete request. Views point into `head` (owned) and `body` (owned). */
struct http_request {
    struct buf head; /* raw bytes up to and including the empty line */
    struct buf body; /* de-chunked */
    char method[8];
    const char *target; /* raw path with query */
    size_t target_len;
    size_t path_len; /* of target, before '?' */
    bool keep_alive;
    bool expect_continue;
    struct sigv4_header headers[LIMIT_HTTP_HEADERS];
    size_t n_headers;
};

struct http_parser; /* state of one connection's current request */

enum http_parse_status {
    HTTP_MORE,         /* all bytes were used, more are needed */
    HTTP_HEAD_DONE,    /* the head is complete (request filled but for the body) and a body follows;
                          call    again with the rest */
    HTTP_REQUEST_DONE, /* the request is complete; take it with http_parser_take */
    HTTP_BAD,          /* answer `status` and close */
};

/* Returns owned; NULL without memory. `body_max` in bytes. */
struct http_parser *http_parser_new(size_t body_max);
void http_parser_free(struct http_parser *parser);
/* Another limit; before the first byte. */
void http_parser_set_body_max(struct http_parser *parser, size_t body_max);
/* Feed bytes; *ret_used says how many were taken (the rest belongs to what follows). */
enum http_parse_status http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t len,
                                        size_t *ret_used);
/* After HTTP_BAD: the HTTP status to answer (400, 413, 414, 417, 431, 501, 503 without memory, 505)
 * and why, static. */
int http_parser_error(const struct http_parser *parser, const char **ret_reason);
/* True when no byte of a next request was seen. */
bool http_parser_is_idle(const struct http_parser *parser);
/* From HTTP_HEAD_DONE until it is taken. Borrowed. */
const struct http_request *http_parser_request(const struct http_parser *parser);
/* Memory that the body of the request takes so far. */
size_t http_parser_body_size(const struct http_parser *parser);
/* Forget what was read; nothing may be fed any more. */
void http_parser_drop(struct http_parser *parser);
/* After HTTP_REQUEST_DONE: move the request out (owned by the caller, http_request_fini); the
 * parser is ready for the next. */
void http_parser_take(struct http_parser *parser, struct http_request *ret);
void http_request_fini(struct http_request *request);

/* The value of the first header of that name (any case), NULL if absent; *ret_len its length. */
const char *http_header(const struct http_request *request, const char *name, size_t *ret_len);

#endif
