/* The sending side between regions: reads the outbox, ships the current state of dirty secrets,
 * records what was answered.
 *
 * Runs on the peer client's thread as its ticker, in the leader only. It keeps no state that
 * matters: after any crash the outbox says what is left to do. See PROTOCOL.md. */
#ifndef REPLICATION_SHIPPER_H
#define REPLICATION_SHIPPER_H

#include "base/errc.h"
#include "base/world.h"
#include "cluster/node.h"
#include "cluster/peer_client.h"
#include "crypto/keyring.h"
#include "storage/engine.h"

struct shipper;

struct shipper_options {
    const char *region;    /* own; copied */
    struct engine *engine; /* all borrowed for the shipper's life */
    struct keyring *keyring;
    struct node **node; /* *node is NULL until the node runs; then it stays until the last tick */
    struct peer_client *client;
    const struct world *world;
};

/* Returns owned; registers itself as the client's ticker. */
struct shipper *shipper_new(const struct shipper_options *options);
/* After peer_client_stop. Waits for proposals that the node still has, so the node must be stopped
 * before this or still run. Takes NULL too. */
void shipper_free(struct shipper *shipper);
/* The outbox towards `region` (NULL: any) has new entries. `arg` is the shipper. Any thread; for
 * node_options.dirty_cb. */
void shipper_dirty(void *arg, const char *region);

#endif
