/* SET_LEVEL: the level of commands that may be proposed rises. It never falls: the log, the state
 * and the snapshots hold what the level allowed. */
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

void set_level_apply(struct txn *txn, const struct apply_context *context,
                     const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SetLevel *set = (const Redoubt__SetLevel *)command;
    AUTO(region_release) Redoubt__Region *region = NULL;
    unsigned level;

    if (!level_is_valid(set->has_level, set->level)) {
        refuse_malformed(result);
        return;
    }
    region = state_region(txn);
    if (region == NULL) {
        refuse_malformed(result); /* nothing to raise: the region has not begun */
        return;
    }
    level = region->has_level ? region->level : VIEW_LEVEL_FIRST;
    if (set->level < level) {
        refuse(result, ERR_INVALID_REQUEST, "The region is at level %u already; it never falls.",
               level);
    } else if (set->level > level) {
        region->has_level = true;
        region->level = set->level;
        txn_put_region(txn, region);
    }
}
