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
    bool is_stale;          /* of a state that may be old; the next two say how old */
    uint64_t applied;       /* log index */
    uint64_t age_ms;        /* UINT64_MAX: not known */
    const uint8_t *body;    /* JSON */
    size_t body_len;
};

/* Answers the exchange. Borrows the response. `raw`: as the body of a 200, a whole HTTP response.
 */
void response_send(struct exchange *exchange, bool raw, const struct world *world,
                   const struct response *response);
/* A whole HTTP/1.1 response, with a Date; appended (look at out->failed). */
void response_write(struct buf *out, int64_t now_ms, const struct response *response);
/* The same of a whole response in bytes, which another node has made. */
void response_send_raw(struct exchange *exchange, const uint8_t *data, size_t len);
/* A short plain text, for the peer door and for when memory is out. */
void response_send_text(struct exchange *exchange, int status, const char *text);

#endif
