/* A health check from outside: does a node's API answer GET /health with 200? Blocks for up to
 * PROBE_MS. */
#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

#include <stdbool.h>

enum { PROBE_MS = 500 };

bool probe_health(const char *host, unsigned port);

#endif
