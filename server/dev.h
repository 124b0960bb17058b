/* `redoubt dev`: whole regions on one machine, each its own `redoubt server` process with its own
 * data folder, root key, log and TLS identity. It writes their configurations, supervises the
 * processes, and tells the user how to reach them; it serves nothing itself.
 *
 * Below the data folder: ca.crt, ca.key, credentials, env, lock, and a folder a region with
 * redoubt.conf, root.key, node.crt, node.key, data/. Region i (from 0) has its API at port + 10 i,
 * its peer door DEV_PEER_OFFSET and its metrics DEV_METRICS_OFFSET above. A process that ends by
 * itself is started again after DEV_RESTART_MS, doubled while it keeps ending early. One dev at a
 * time runs on a data folder. */
#ifndef SERVER_DEV_H
#define SERVER_DEV_H

#include <stdbool.h>

enum {
    DEV_PEER_OFFSET = 1000,
    DEV_METRICS_OFFSET = 3000,
    DEV_PORT_MAX = 62000, /* what is above it has room for all of the above */
    DEV_RESTART_MS = 2000,
    DEV_REGIONS_MAX = 16,
    DEV_THROTTLE_MAX = 1000,
};

struct dev_options {
    const char *regions; /* comma-separated */
    const char *data;
    const char *account;
    const char *bind;            /* address that everything binds to */
    const char *lambda_endpoint; /* NULL: none */
    unsigned port;
    unsigned throttle_percent; /* of the service's request rates; 0: any rate */
    bool only_prepare;         /* write files, start nothing */
};

/* Runs until SIGTERM or SIGINT, which the caller must have blocked. Returns the exit status. */
int dev_run(const struct dev_options *options);

#endif
