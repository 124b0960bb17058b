/* The judgement of one shipped item, for INBOUND_BATCH: what another region says of a secret whose
 * primary it is. Everything is idempotent: a higher (generation, revision) wins, the rest is a
 * no-op that reports what is here. DESIGN 7. Raft thread. */
#ifndef CLUSTER_COMMANDS_INBOUND_H
#define CLUSTER_COMMANDS_INBOUND_H

#include "cluster/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbound {
    struct txn *txn;
    const struct apply_context *context;
    const char *from; /* the region that ships */
    int64_t now_ms;
};

/* An UPSERT whose key fields (account, name, suffix, generation) were checked; `place` is its place
 * in the batch. */
Redoubt__Verdict inbound_upsert(const struct inbound *in, const Redoubt__InboundItem *item,
                                size_t place);
/* The local secret has this suffix and is a replica of the sender's. */
bool secret_is_replica_of_item(const Redoubt__Secret *secret, const struct inbound *in,
                               const Redoubt__InboundItem *item);
/* The local secret has this suffix and was promoted from the sender's. */
bool secret_is_promoted_from_item(const Redoubt__Secret *secret, const struct inbound *in,
                                  const Redoubt__InboundItem *item);
/* A replica's key was chosen in this region, and its link asks for the same as it did then: the
 * region's choice holds. Pure. */
bool replica_keeps_own_key(const Redoubt__Secret *replica, const char *link_kms_key_id);

#endif
