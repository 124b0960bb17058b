/* The receiving side between regions: checks a batch, seals its values under this region's keys,
 * makes it one command, and words the answer.
 *
 * Called by the peer door on an HTTP worker. The region of the peer's certificate may only speak
 * for secrets whose primary it is, and may only ask for what PROTOCOL.md says. */
#ifndef REPLICATION_INBOUND_H
#define REPLICATION_INBOUND_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/world.h"
#include "cluster/node.h"
#include "crypto/keyring.h"
#include "storage/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbound_context {
    const char *region; /* own */
    struct engine *engine;
    struct keyring *keyring;
    const struct world *world;
};

/* Make a proposal of a batch. *ret_prelude: the proposal only creates a key that is missing;
 * propose it, then call again with the same bytes. *ret owned by the caller. ERR_MALFORMED,
 * ERR_ACCESS_DENIED (the certificate's region is not the sender named), ERR_SEALED. */
MUSTCHECK enum errc inbound_prepare(const struct inbound_context *context, const char *peer_region,
                                    const uint8_t *data, size_t len, struct proposal **ret,
                                    bool *ret_prelude, struct err *err);
/* The answer to the sender, from the result of the batch's proposal. Appends. */
MUSTCHECK enum errc inbound_answer(const struct inbound_context *context,
                                   const Redoubt__Result *result, struct buf *out);

#endif
