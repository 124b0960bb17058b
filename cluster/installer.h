/* Fetches a snapshot from another node, file by file, and makes it this node's next store.
 *
 * Works on a thread of its own with calls through the peer client (POST /v1/snapshot, see
 * api/peer_door), LIMIT_SNAPSHOT_CHUNK bytes at a time, so memory is constant. Any failure (the
 * node is away, the checkpoint is gone, a digest does not match) is tried again; after it was told
 * to fetch another snapshot it goes over to that one. It resumes what an earlier process has left.
 */
#ifndef CLUSTER_INSTALLER_H
#define CLUSTER_INSTALLER_H

#include "base/errc.h"
#include "cluster/core.h"
#include "cluster/peer_client.h"

#include <stdbool.h>
#include <stdint.h>

struct installer;

struct installer_options {
    const char *data; /* copied */
    struct peer_client *peers;
    const struct world *world;
    /* All files are here and whole: the house must be closed, the store finished with the last vote
     * and switched (storage/checkpoint.h), and opened again. Installer's thread. */
    void (*ready_cb)(void *arg);
    void *arg;
};

MUSTCHECK enum errc installer_new(const struct installer_options *options, struct installer **ret,
                                  struct err *err);
/* Stops the thread, frees. Takes NULL too. */
void installer_free(struct installer *installer);

/* Begin; replaces what runs. Copies. Any thread. */
MUSTCHECK enum errc installer_fetch(struct installer *installer,
                                    const struct core_snapshot *snapshot);
/* After ready_cb: what was fetched, for incoming_finish. Borrowed until installer_free. */
const struct core_snapshot *installer_fetched(const struct installer *installer,
                                              const char **ret_id);

struct installer_status {
    bool is_running;
    uint64_t bytes;
    uint64_t bytes_total;
    uint64_t index;
    char error[256]; /* of the last failed attempt; "" when none */
};
void installer_status(const struct installer *installer, struct installer_status *ret);

#endif
