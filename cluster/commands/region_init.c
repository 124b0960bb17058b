/* REGION_INIT: names the region, once, and says at which level it begins. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/secret_id.h"

#include <string.h>

void region_init_apply(struct txn *txn, const struct apply_context *context,
                       const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__RegionInit *init = (const Redoubt__RegionInit *)command;
    AUTO(region_release) Redoubt__Region *present = NULL;
    Redoubt__Region record = REDOUBT__REGION__INIT;

    if (!text_is_within(init->name, 1, LIMIT_REGION_NAME) || !region_name_is_valid(init->name) ||
        (init->has_level && !level_is_valid(init->has_level, init->level))) {
        refuse_malformed(result);
        return;
    }
    present = state_region(txn);
    if (present == NULL) {
        record.name = init->name;
        record.has_level = init->has_level;
        record.level = init->level;
        txn_put_region(txn, &record);
    } else if (strcmp(present->name, init->name) != 0) {
        refuse(result, ERR_INVALID_REQUEST, "This region is already named %s.", present->name);
    }
}
