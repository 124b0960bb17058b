/* Fetches a snapshot from another node, file by file, and makes it this node's next store.
 *
 * Works on a thread of its own with calls through the peer client (POST /v1/snapshot, see
 * api/peer_door), LIMIT_SNAPSHOT_CHUNK bytes at a time, so memory is constant. Failures (the node
 * is away, a digest does not match, the disk is full) are tried again; after it was told to fetch
 * another snapshot it goes over to that one. It resumes what an earlier process has left.
 *
 * It gives a snapshot up when the node that holds it says that it is gone, sends no byte for
 * LIMIT_SNAPSHOT_STALL_MS, or sends wrong ones LIMIT_SNAPSHOT_DAMAGED times: a core that installs
 * takes no other snapshot, so it must begin anew from its disk to be offered one that exists. */
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
    /* The house must be closed, and opened again. In between: when installer_fetched is not NULL,
     * all files are here and whole, and the store is to be finished with the last vote and switched
     * to (storage/checkpoint.h); otherwise the snapshot was given up. Once for each
     * installer_fetch that was not replaced. Installer's thread. */
    void (*ready_cb)(void *arg);
    void *arg;
};

MUSTCHECK enum errc installer_new(const struct installer_options *options, struct installer **ret,
                                  struct err *err);
/* Stops the thread, frees; does not wait for a call that is under way. Takes NULL too. */
void installer_free(struct installer *installer);

/* Begin; replaces what runs. Copies. ERR_MALFORMED: no manifest of a checkpoint comes with it;
 * ERR_NO_MEMORY. Any thread. */
MUSTCHECK enum errc installer_fetch(struct installer *installer,
                                    const struct core_snapshot *snapshot);
/* After ready_cb: what was fetched, for incoming_finish; NULL when nothing was. Borrowed until
 * installer_free; nobody may call installer_fetch meanwhile. */
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
