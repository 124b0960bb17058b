/* `redoubt server`: one node of one region, wired together from its configuration, until it is
 * asked to stop. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/config.h"

/* Runs until SIGTERM or SIGINT, which the caller must have blocked before it started any thread.
 * Returns the exit status. Logs why. */
int server_run(const struct config *config);

#endif
