/* The form of every API response: its headers, and its two ways out (an HTTP response of ours, or
 * the same as bytes inside the answer to a region that forwarded the request). */
#ifndef API_RESPONSE_H
#define API_RESPONSE_H

#include "api/http_server.h"
#include "base/buf.h"
#include "base/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct response {
    int status;
    const char *request_id; /* x-amzn-RequestId */
    const char *error_type; /* x-amzn-ErrorType; NULL: a success */
    bool has_applied;       /* x-redoubt-applied-index goes out */
    uint64_t applied;
    const uint8_t *body; /* JSON */
    size_t body_len;
};

/* Answers the exchange. Borrows the response. `raw`: as the body of a 200, a whole HTTP response.
 */
void response_send(struct exchange *exchange, bool raw, const struct world *world,
                   const struct response *response);
/* A whole HTTP/1.1 response, with a Date; appended (look at out->failed). */
void response_write(struct buf *out, int64_t now_ms, const struct response *response);
/* A short plain text, for the peer door and for when memory is out. */
void response_send_text(struct exchange *exchange, int status, const char *text);

#endif
