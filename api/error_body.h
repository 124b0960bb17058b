/* Errors as the wire shows them: which code a client may see, and its JSON body (AWS_BEHAVIOUR
 * 1.4). Pure. */
#ifndef API_ERROR_BODY_H
#define API_ERROR_BODY_H

#include "base/buf.h"
#include "base/errc.h"

/* What a client is told of `code`: codes of inside the house become InternalServiceError, a lost
 * leadership ServiceUnavailable (which a missing quorum and a full disk are already), everything
 * else stays. */
enum errc error_public(enum errc code);

/* {"__type":"X","Message":"..."}, the key in lower case for what is not modelled, no message where
 * there is none. `code` is a public one. Appends (look at out->failed). */
void error_body_write(struct buf *out, enum errc code, const char *message);

#endif
