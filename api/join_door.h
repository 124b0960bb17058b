/* The leader's part of a node's joining: rows of errands (api/errand.h), for admin_door.c. */
#ifndef API_JOIN_DOOR_H
#define API_JOIN_DOOR_H

#include "api/errand.h"

#define JOIN_PATH   "/v1/join"
#define REJOIN_PATH "/v1/rejoin"

void join_run(struct errand *errand);
void rejoin_run(struct errand *errand);

/* NULL: no such row. */
const struct errand_row *errand_row_find(const char *method, const char *path, size_t path_len);
/* Reads the body and begins. `id` not 0: it is asked for this node, whatever the body says. */
void errand_take(struct exchange *exchange, const struct service *service,
                 const struct errand_row *row, const struct buf *body, uint64_t id,
                 bool is_forwarded);

#endif
