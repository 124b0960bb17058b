/* A member's address as the group's configuration holds it: where its two doors are.
 *
 *   "HOST:PORT,HOST:PORT"           door of the Raft transport, then the peer door (HTTP)
 *   "HOST:PORT,HOST:PORT,learner"   the same for one that the leader shall not promote by itself
 *
 * Hosts are names, IPv4 addresses or IPv6 addresses in brackets. A group of one that was made
 * before groups had several members has "self". Pure. */
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"

#include <stdbool.h>

struct member_address {
    char raft[LIMIT_ADDRESS + 1];
    char peer[LIMIT_ADDRESS + 1];
    bool is_learner;
};

/* ERR_MALFORMED for anything else, also "self". */
MUSTCHECK enum errc member_address_parse(const char *text, struct member_address *ret);
/* ERR_INVALID_PARAMETER: over LIMIT_ADDRESS, or a part that is no address. */
MUSTCHECK enum errc member_address_format(const struct member_address *address,
                                          char out[LIMIT_ADDRESS + 1]);
/* "HOST:PORT" split; brackets are taken off the host. False for anything else. */
MUSTCHECK bool member_door_split(const char *door, char host[LIMIT_ADDRESS + 1], char port[6]);

#endif
