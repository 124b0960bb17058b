/* The door for other regions' nodes: the pieces of peer_handle (api/request.h) that tests look at.
 */
#ifndef API_PEER_DOOR_H
#define API_PEER_DOOR_H

#include "api/http_parse.h"
#include "api/request.h"
#include "base/errc.h"

/* Not the leader, and nothing happened: whoever asked may look for it again. */
enum { PEER_MISDIRECTED = 421 };

/* A whole HTTP request from bytes, with nothing before or behind it. *ret is owned
 * (http_request_fini). ERR_MALFORMED. */
MUSTCHECK enum errc peer_door_parse(const uint8_t *data, size_t len, struct http_request *ret);
/* The HTTP status that tells another node of an error. */
int peer_door_status(enum errc code);
/* A node of this region asks; else of another one. */
bool peer_door_is_own(const struct exchange *exchange, const struct service *service);
/* The region that is called so, of those that the configuration lists; NULL: none. Borrowed from
 * the service. */
const char *peer_door_region(const struct service *service, const char *name, size_t len);

#endif
