/* The group's membership as bytes: checked before libraft sees them, and made from its structs.
 *
 * libraft's own decoder trusts its input (it counts and reads strings without looking at the end),
 * so no byte that came from a disk or a peer reaches it unchecked. Any thread. */
#ifndef CLUSTER_CORE_CONFIGURATION_H
#define CLUSTER_CORE_CONFIGURATION_H

#include "base/check.h"
#include "base/errc.h"
#include "cluster/core.h"

#include <raft.h>
#include <stdbool.h>

#if RAFT_VERSION_NUMBER < 2201
#error                                                                                             \
    "libraft 0.22.1 or later is needed: earlier ones have no raft_step, or lose acknowledged entries"
#endif

/* The bytes follow the format, name 1 to LIMIT_PEERS servers with distinct ids and addresses, and
 * at least one of them votes. */
bool core_configuration_is_valid(struct core_bytes bytes);
/* Check and decode; *ret is owned by the caller (raft_configuration_close). ERR_MALFORMED,
 * ERR_NO_MEMORY. */
MUSTCHECK enum errc core_configuration_decode(struct core_bytes bytes,
                                              struct raft_configuration *ret);
/* Borrows. *ret is owned by the caller (raft_free(ret->base)). ERR_NO_MEMORY. */
MUSTCHECK enum errc core_configuration_to_buffer(const struct raft_configuration *configuration,
                                                 struct raft_buffer *ret);
/* NULL when it is no member. Borrowed from the configuration. */
const struct raft_server *core_configuration_find(const struct raft_configuration *configuration,
                                                  uint64_t id);
unsigned core_configuration_voters(const struct raft_configuration *configuration);
/* `id` votes, and nobody else does. */
bool core_configuration_is_lone_voter(const struct raft_configuration *configuration, uint64_t id);
bool core_address_is_valid(const char *address);

#endif
