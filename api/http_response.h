/* The bytes of a response's head: of our own, and of one that another node made.
 *
 * Pure. What leaves through here has exactly one framing, and the Connection header is ours. */
#ifndef API_HTTP_RESPONSE_H
#define API_HTTP_RESPONSE_H

#include "api/http_server.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "Date: ...CRLF" and a NUL. */
enum { HTTP_DATE_LINE = 40 };
void http_date_line(int64_t unix_s, char out[HTTP_DATE_LINE]);

/* Whether an answer of that status to that method carries a body. */
bool http_response_has_body(int status, const char *method);

/* Appends the head. `close` goes into the Connection header. */
void http_response_head(struct buf *out, const struct http_response *response,
                        const char *date_line, bool close);

struct http_raw_response {
    int status;
    const uint8_t *body; /* borrowed from the input; what may be sent of it */
    size_t body_len;
    bool sound; /* a Content-Length that fits: the connection may go on */
};

/* Reads a complete response, an answer to `method`, and appends its head to `out` without the
 * headers that belong to one connection and without the empty line: http_raw_end adds those. False
 * when the head is malformed or its framing contradicts itself: nothing of it may be sent. */
MUSTCHECK bool http_raw_begin(struct buf *out, const uint8_t *data, size_t len, const char *method,
                              struct http_raw_response *ret);
void http_raw_end(struct buf *out, bool close);

#endif
