/* POST /v1/snapshot of the peer door: a piece of a checkpoint's file, for a node of this region
 * that installs it. */
#ifndef API_SNAPSHOT_DOOR_H
#define API_SNAPSHOT_DOOR_H

#include "api/request.h"

/* The body is a struct checkpoint_request; 200 with the bytes (fewer at the end of the file), 404
 * when there is no such checkpoint or file, 400, 503. Reads at most LIMIT_SNAPSHOT_CHUNK bytes on
 * the worker's thread. */
void snapshot_handle(struct exchange *exchange, const struct service *service);

#endif
