/* Is an item of another region's batch what PROTOCOL.md allows? Every length, character and
 * reference, before anything is stored or sealed. Pure. */
#ifndef REPLICATION_INBOUND_CHECK_H
#define REPLICATION_INBOUND_CHECK_H

#include "replication/batch.pb-c.h"

#include <stdbool.h>

/* Account, name and suffix can name a secret. */
bool inbound_item_is_named(const Redoubt__WireItem *item);
/* All of it. An item that is not named is not valid. */
bool inbound_item_is_valid(const Redoubt__WireItem *item);

#endif
