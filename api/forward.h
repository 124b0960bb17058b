/* Bytes for the way to the leader or to another region: a request as it came, framed so that the
 * other side reads the same request. Pure. The steps FORWARD and AWAIT_PEER are in the same file.
 */
#ifndef API_FORWARD_H
#define API_FORWARD_H

#include "api/http_parse.h"
#include "base/buf.h"

/* The raw head, untouched (it is signed), and the body; a body that came in chunks goes out as one
 * chunk. Appends (look at out->failed). */
void forward_write(struct buf *out, const struct http_request *request);

#endif
