/* The door for other regions' nodes: the pieces of peer_handle (api/request.h) that tests look at.
 */
#ifndef API_PEER_DOOR_H
#define API_PEER_DOOR_H

#include "api/http_parse.h"
#include "base/errc.h"

/* A whole HTTP request from bytes, with nothing before or behind it. *ret is owned
 * (http_request_fini). ERR_MALFORMED. */
MUSTCHECK enum errc peer_door_parse(const uint8_t *data, size_t len, struct http_request *ret);
/* The HTTP status that tells another region's node of an error. */
int peer_door_status(enum errc code);

#endif
