/* The life of one API request, as a table of steps and one loop; and the doors that start it.
 *
 *   ROUTE -> AUTHENTICATE -> THROTTLE -> DECODE -> AUTHORIZE -> BARRIER -> RUN ------------> REPLY
 *                |                                           (1)    \-> PREPARE (2) ----------^
 *                \-> FORWARD -> AWAIT_PEER --------------------------------------------------^
 *   (1) BARRIER -> AWAIT_READ -> RUN, unless this node can read without asking
 *   (2) PREPARE -> AWAIT_COMMIT -> WORD -> REPLY; after a prelude AWAIT_COMMIT -> PREPARE again.
 *       A refusal is an answer like a read: PREPARE -> AWAIT_READ -> PREPARE again, once.
 *       Not the leader: FIND_LEADER -> ASK_LEADER -> AWAIT_LEADER -> PREPARE, or FORWARD ->
 *       AWAIT_PEER -> REPLY. As long as nothing has happened yet: back to FIND_LEADER -> PAUSE ->
 *       ASK_LEADER.
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
    bool stale_reads;            /* unless the request says otherwise */
    struct touches *touches;     /* NULL: reads at a follower leave no dates */
    const struct quotas *quotas; /* NULL: the service's own */
    struct throttle *throttle;   /* NULL: requests come at any rate */
    const char *functions;       /* endpoint of rotation functions; NULL: none */
    const char *peer_ca;         /* path of the deployment's authority */
    const char *peer_ca_key;     /* of its key: this node may sign certificates; NULL: it may not */
};

/* exchange_handler_fn of the API listener; arg is a struct service. Also answers
 * what api/health.h has, without details. */
void api_handle(struct exchange *exchange, void *service);
/* exchange_handler_fn of the peer listener: see peer_door.c for its paths. */
void peer_handle(struct exchange *exchange, void *service);

#endif
