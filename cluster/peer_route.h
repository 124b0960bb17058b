/* Where calls of the peer client go: the addresses of each region, of which one after another is
 * tried, and that of each node of the own region. */
#ifndef CLUSTER_PEER_ROUTE_H
#define CLUSTER_PEER_ROUTE_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_region {
    char name[LIMIT_REGION_NAME + 1];
    size_t n;         /* addresses */
    char **addresses; /* owned, each owned */
    size_t current;   /* the one that took the last connection; the client's thread */
};

struct route_node {
    uint64_t id;
    char address[LIMIT_ADDRESS + 1];
};

struct routes {
    /* Constant once the client runs, but for `current`. */
    struct route_region regions[LIMIT_PEERS];
    size_t n_regions;
    char own_region[LIMIT_REGION_NAME + 1];
    /* Any thread, under the lock. */
    pthread_mutex_t lock;
    struct route_node nodes[LIMIT_PEERS];
    size_t n_nodes;
};

enum {
    ROUTE_NAME = 16 + 1 + LIMIT_REGION_NAME + 1, /* "<node>.<region>" */
    ROUTE_ADDRESS = LIMIT_ADDRESS + 1,
};

/* One way to the other side: the name that its certificate must have, without ".redoubt", and the
 * door. */
struct route {
    char name[ROUTE_NAME];
    char host[ROUTE_ADDRESS]; /* IPv6 in brackets */
    unsigned port;
};

MUSTCHECK enum errc routes_init(struct routes *routes, const char *own_region, struct err *err);
void routes_fini(struct routes *routes);
/* `addresses`: one or more "host:port" or "[v6]:port", separated by commas. */
MUSTCHECK enum errc routes_add_region(struct routes *routes, const char *region,
                                      const char *addresses, struct err *err);
bool routes_know(const struct routes *routes, const char *region);
/* NULL: unknown. */
struct route_region *routes_find_region(struct routes *routes, const char *region);
void routes_to_region(const struct route_region *region, size_t place, struct route *ret);

/* False: the table is full, or it is no address; nothing changed. NULL forgets the node. */
MUSTCHECK bool routes_set_node(struct routes *routes, uint64_t node, const char *address);
/* False: unknown. */
MUSTCHECK bool routes_to_node(struct routes *routes, uint64_t node, struct route *ret);

#endif
