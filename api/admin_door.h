/* The administrator's door: HTTP over a unix socket (http_server, "unix:PATH"), for our own user
 * and root.
 *
 *   GET  /v1/status            this node and its group as it sees it
 *   GET  /v1/members           the same of the leader, where it can be asked
 *   POST /v1/members/promote   {"id"}                a spare becomes a voter
 *   POST /v1/members/remove    {"id"}
 *   POST /v1/members/transfer  {} or {"id"}          another node leads
 *   POST /v1/level/raise       {}                    commands of this release may be proposed
 *   POST /v1/tokens            {} or {"lifetime"}    a permission to join, shown once
 *
 * Any node takes all of it; what the leader has to do is done there. Errors are {"error", "reason"}
 * (api/admin_wire.h). */
#ifndef API_ADMIN_DOOR_H
#define API_ADMIN_DOOR_H

#include "api/request.h"

/* exchange_handler_fn of the administrator's listener; arg is a struct service. */
void admin_handle(struct exchange *exchange, void *service);

/* --- rows of the peer door --- */

/* POST /v1/admin, for nodes of this region: one of the requests above, whole, that another node was
 * asked; 421 when this one does not lead. */
void admin_forwarded_handle(struct exchange *exchange, const struct service *service);
/* GET /v1/ca, for anybody: the authority's certificate. */
void join_ca_handle(struct exchange *exchange, const struct service *service);
/* POST /v1/join, for whoever has a token: {"token", "id", "address", "request"}; answered with the
 * group, which has it as a spare now, and its certificate. */
void join_handle(struct exchange *exchange, const struct service *service);
/* POST /v1/rejoin, for a node that has lost its data: {"address"}; it becomes a spare again. */
void rejoin_handle(struct exchange *exchange, const struct service *service);

#endif
