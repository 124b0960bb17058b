/* What gives a node's empty store its beginning, or a broken group a new one. Offline: the engine
 * is open, and no node runs on it.
 *
 * A store that was given none is refused by node_start: a voter that lost its disk and came back
 * empty could otherwise vote away what it had acknowledged. */
#ifndef CLUSTER_BOOTSTRAP_H
#define CLUSTER_BOOTSTRAP_H

#include "base/errc.h"
#include "cluster/core.h"
#include "storage/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first entry of a new group, term 1: a configuration with these voters, the same on each of
 * its first nodes. May be said again until the node has lived. ERR_INVALID_PARAMETER: the store is
 * not empty, or the list is not sound. */
MUSTCHECK enum errc node_bootstrap(struct engine *engine, const struct core_server *voters,
                                   size_t n, struct err *err);
/* Empty, and it may stay so until a leader sends it the log: the group knows it as a spare. */
MUSTCHECK enum errc node_await_join(struct engine *engine, struct err *err);
/* A beginning was given, or a former life is there. */
MUSTCHECK enum errc node_has_beginning(struct engine *engine, bool *ret, struct err *err);
/* Appends a configuration with `id` as the only voter, in a new term: at its next start the node
 * commits all that its log holds and leads alone. What other nodes acknowledged without this one is
 * lost, and they must never start again with their old stores. */
MUSTCHECK enum errc node_force_single(struct engine *engine, uint64_t id, const char *address,
                                      struct err *err);

#endif
