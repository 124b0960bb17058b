/* Questions of load balancers and supervisors. They need no credentials; on the API door they are
 * answered without a reason, since anybody may ask.
 *
 *   GET /livez    200: the process works; a restart would not help
 *   GET /readyz   200: linearizable requests are served here; else 503 and why
 *   GET /health   the same as JSON, with region and role */
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "api/request.h"

#include <stdbool.h>

/* GET of this path, whatever query follows it. */
bool health_path_is(const struct http_request *request, const char *path);
/* Answers the exchange if it asks one of these; false: it does not. Worker's thread. */
MUSTCHECK bool health_handle(struct exchange *exchange, const struct service *service,
                             bool is_detailed);
/* Why linearizable requests are not served; NULL: they are. Static. */
const char *health_reason(const struct node_status *status);
/* The body of /health alone; appended. */
void health_write(struct buf *out, bool is_ready, const char *region, const char *role);

#endif
