/* One call of a node that is no member yet to the peer door of one that is: HTTP over TLS, waited
 * for. For the tools of an operator, which have no peer client and no loop. */
#ifndef CLUSTER_JOIN_CLIENT_H
#define CLUSTER_JOIN_CLIENT_H

#include "base/buf.h"
#include "base/errc.h"
#include "crypto/tls.h"

enum { JOIN_ANSWER_MAX = 1024 * 1024 };

struct join_call {
    const char *address; /* "host:port" of a peer door */
    const char *region;  /* that its certificate must name */
    /* Files: the authority that the other side must have; and our own certificate, NULL: none.
       Without an authority (NULL) nothing is verified, and nothing may be sent or believed. */
    const char *ca_path, *cert_path, *key_path;
    const char *method;
    const char *path;
    const struct buf *body; /* NULL: none */
    unsigned timeout_ms;
    /* Filled. */
    int status;
    struct buf answer; /* owned: buf_fini, in any case */
};

/* OK: there is an answer, whatever its status. ERR_UNAVAILABLE: the other side could not be
 * reached, and knows nothing of this; ERR_ACCESS_DENIED: its certificate is not what it must be;
 * ERR_OUTCOME_UNKNOWN: it was lost on the way. Blocks. */
MUSTCHECK enum errc join_call_run(struct join_call *call, struct err *err);

#endif
