/* `redoubt fault`: nodes of a running `redoubt dev` are killed, started, paused and resumed, and
 * listed. dev does it itself, so that it does not start again what was killed on purpose.
 *
 * dev listens on the socket FAULT_SOCKET in its data folder (0600; the other side must be of the
 * same user, or root). A connection carries one line, "VERB TARGET\n" or "list\n", and the answer:
 * "ok" or "no", a blank and a sentence, a line end; then for `list` a line a node, "NODE STATE PID
 * HOST:PORT". A target is REGION or REGION/NODE, nodes counted from 0; a region is all its nodes.
 */
#ifndef SERVER_FAULT_H
#define SERVER_FAULT_H

#include "base/errc.h"

#include <stddef.h>

#define FAULT_SOCKET "dev.sock"
enum { FAULT_LINE = 256 };

/* The socket of the dev that runs on `folder`, connected; -1, with a reason: none runs there, or it
 * is another user's. */
int fault_connect(const char *folder, struct err *err);
/* A listening one, made anew; -1 with a reason. The caller is the only dev of the folder. */
int fault_listen(const char *folder, struct err *err);

/* The subcommand: prints what was done. `target` is NULL for "list". Returns the exit status. */
int fault_run(const char *verb, const char *target, const char *folder);

#endif
