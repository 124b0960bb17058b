/* Questions about a port from outside. Each blocks for up to PROBE_MS, besides the time that a name
 * takes to resolve. */
#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum { PROBE_MS = 500 };

/* Does a node's API answer GET /health with 200? */
bool probe_health(const char *host, unsigned port);
/* What it says there of its part in the group, whether it serves or not: "leader", "follower", …
 * False without an answer. */
bool probe_role(const char *host, unsigned port, char *out, size_t size);

/* Could a server listen on `host`:`port` now? `host` is an address of this machine. */
bool probe_port_is_free(const char *host, unsigned port);

#endif
