/* GET /health: whether this node can serve now. Needs no credentials and says nothing secret. */
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "api/request.h"

#include <stdbool.h>

bool health_is_asked(const struct http_request *request);
/* 200 {"status":"ok",...} when this node serves linearizable reads, else 503
 * {"status":"starting",...}. Answers the exchange. Worker's thread. */
void health_answer(struct exchange *exchange, const struct service *service);
/* The body alone; appended. */
void health_write(struct buf *out, bool is_ready, const char *region, const char *role);

#endif
