/* The life of one API request, as a table of steps and one loop; and the doors that start it.
 *
 *   ROUTE -> AUTHENTICATE -> THROTTLE -> DECODE -> AUTHORIZE -> BARRIER -> RUN ------------> REPLY
 *                |                                                  \-> PREPARE (1) ----------^
 *                \-> FORWARD -> AWAIT_PEER --------------------------------------------------^
 *   (1) PREPARE -> AWAIT_COMMIT -> WORD -> REPLY; after a prelude AWAIT_COMMIT -> PREPARE again
 *
 * One function answers, once. A request that waits cannot be cancelled; its client may go away, its
 * deadline may pass: it is answered then and freed when the thing it waits for comes back. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/http_server.h"
#include "api/op.h"
#include "api/throttle.h"
#include "cluster/node.h"
#include "cluster/peer_client.h"

/* What all requests of a node share. Borrowed by every request. */
struct service {
    const char *region;
    const char *data; /* the data folder; NULL: no checkpoints are served */
    const struct world *world;
    struct engine *engine;
    struct node *node;
    struct keyring *keyring;
    struct credentials *credentials;
    struct peer_client *peers;
    const char *const *peer_names;
    size_t n_peers;
    bool forward;                /* requests of other regions: forward, or refuse */
    const struct quotas *quotas; /* NULL: the service's own */
    struct throttle *throttle;   /* NULL: requests come at any rate */
    const char *functions;       /* endpoint of rotation functions; NULL: none */
};

/* exchange_handler_fn of the API listener; arg is a struct service. Also answers
 * what api/health.h has, without details. */
void api_handle(struct exchange *exchange, void *service);
/* exchange_handler_fn of the peer listener: POST /v1/forward (a whole request as raw HTTP; answered
 * with a whole response), POST /v1/replicate, POST /v1/snapshot. */
void peer_handle(struct exchange *exchange, void *service);

#endif
