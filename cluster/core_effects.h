/* The effects of one event, in the order in which they must be executed.
 *
 * Guarantees that what an effect points at stays where it is until the list is cleared at the next
 * event: message bytes are owned by the list, entries are looked up in the log only when the effect
 * is taken (the log's array may move while an event is still at work). Raft thread. */
#ifndef CLUSTER_CORE_EFFECTS_H
#define CLUSTER_CORE_EFFECTS_H

#include "base/check.h"
#include "base/errc.h"
#include "cluster/core.h"
#include "cluster/core_log.h"

#include <stdbool.h>
#include <stddef.h>

struct effect_slot {
    struct core_effect effect;
    uint8_t *owned; /* the message's bytes (wipe_free) */
};

/* Public only so that it can be embedded. */
struct effects {
    struct effect_slot *slots;
    size_t room;
    size_t count;
    size_t next; /* slots before it were taken */
};

void effects_init(struct effects *effects);
void effects_fini(struct effects *effects);
/* Frees what the effects of the event before owned. All of them must have been taken: a lost one
 * would be a vote that was never written or a message never sent. */
void effects_begin(struct effects *effects);
/* Copies the struct; what it points at is borrowed, but for `owned`, which is taken (also on
 * failure). */
MUSTCHECK enum errc effects_push(struct effects *effects, const struct core_effect *effect,
                                 uint8_t *owned);
/* NULL at the end. Fills in the pointer to the entries of WRITE and APPLY. */
const struct core_effect *effects_take(struct effects *effects, const struct core_log *log);
bool effects_are_taken(const struct effects *effects);

#endif
