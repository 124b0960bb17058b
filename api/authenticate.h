/* Whose request it is, and which region's: from the signature alone (AWS_BEHAVIOUR 1.6, in its
 * order). Nothing of the body is believed before this has said OK. Any thread. */
#ifndef API_AUTHENTICATE_H
#define API_AUTHENTICATE_H

#include "api/http_parse.h"
#include "base/errc.h"
#include "crypto/credentials.h"
#include "crypto/sigv4.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVICE_NAME "secretsmanager"

/* Which regions there are, and what to do about the others. Borrowed. */
struct region_rules {
    const char *own;
    const char *const *peers;
    size_t n_peers;
    bool forward;
};

/* The request as the signature sees it; views into `request`. */
void authenticate_view(const struct http_request *request, struct sigv4_request *ret);

/* *ret_forward: the request belongs to another region that we know and forward to. A region that is
 * neither gives ERR_INVALID_SIGNATURE. */
MUSTCHECK enum errc authenticate_region(const struct region_rules *rules,
                                        const struct sigv4_claim *claim, bool *ret_forward,
                                        struct err *err);

/* Scope, clock, key, session, signature. *ret is borrowed from `credentials`. */
MUSTCHECK enum errc authenticate_caller(struct credentials *credentials,
                                        const struct sigv4_request *request,
                                        const struct sigv4_claim *claim, int64_t now_ms,
                                        const struct identity **ret, struct err *err);

#endif
