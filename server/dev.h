/* `redoubt dev`: whole regions on one machine, each node its own `redoubt server` process with its
 * own data folder, log and TLS identity. It writes their configurations, gives new regions their
 * beginning, supervises the processes, fails them on request (server/fault.h), and tells the user
 * how to reach them; it serves nothing itself.
 *
 * Below the data folder:
 *   ca.crt, ca.key, credentials     of the deployment
 *   env, lock, dev.sock             of the running dev
 *   <region>/root.key               shared by the region's nodes
 *   <region>/nodes                  how many it was made with: written once all have their
 * beginning <region>/redoubt.conf, node.crt, node.key, data/         of a region of one node
 *   <region>/<n>/redoubt.conf, node.crt, node.key, data/     of node n (from 0) of several
 * A region keeps the number of nodes that it was made with: a store that is lost later is not made
 * anew here, since the others would count on what it held.
 *
 * Ports: node j of region i (both from 0) has its API at port + 10 i + j, and its other doors at
 * fixed offsets above. A process that ends by itself is started again after DEV_RESTART_MS, doubled
 * while it keeps ending early. One dev at a time runs on a data folder. */
#ifndef SERVER_DEV_H
#define SERVER_DEV_H

#include <stdbool.h>

enum {
    DEV_PEER_OFFSET = 1000,
    DEV_RAFT_OFFSET = 2000,
    DEV_METRICS_OFFSET = 3000,
    DEV_PORT_MAX = 62000, /* what is above it has room for all of the above */
    DEV_RESTART_MS = 2000,
    DEV_REGIONS_MAX = 16,
    DEV_NODES_MAX = 5,
    DEV_THROTTLE_MAX = 1000,
};

struct dev_options {
    const char *regions; /* comma-separated */
    const char *data;
    const char *account;
    const char *bind;            /* address that everything binds to */
    const char *lambda_endpoint; /* NULL: none */
    unsigned port;
    unsigned nodes;            /* a region: 1, 3 or 5; 0: as many as it has, 1 for a new one */
    unsigned throttle_percent; /* of the service's request rates; 0: any rate */
    bool only_prepare;         /* write files, start nothing */
};

/* Runs until SIGTERM or SIGINT, which the caller must have blocked. Returns the exit status. */
int dev_run(const struct dev_options *options);

#endif
