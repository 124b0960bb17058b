/* The state machine of a node: applies committed log entries to the store, all commands of a call
 * and the applied index in one write.
 *
 * Raft thread only. It never refuses and never fails: a refusal is a result, a failing store ends
 * the process, and what this release does not understand stops it before it could fork the state.
 */
#ifndef CLUSTER_FSM_H
#define CLUSTER_FSM_H

#include "base/errc.h"
#include "cluster/command.h"
#include "cluster/core.h"
#include "storage/engine.h"
#include "storage/view.h"

#include <stdbool.h>
#include <stdint.h>

struct fsm;

/* Returns owned; writes nothing. ERR_INVALID_PARAMETER: the state belongs to another region;
 * ERR_LEVEL: its level is none of command_levels. */
MUSTCHECK enum errc fsm_open(struct engine *engine, const char *region, struct fsm **ret,
                             struct err *err);
void fsm_close(struct fsm *fsm);

/* ERR_LEVEL: the state is of a region at a level that is none of command_levels. */
MUSTCHECK enum errc fsm_check_level(const struct view *view, struct err *err);

uint64_t fsm_applied(const struct fsm *fsm);
/* The region's first command was applied. */
bool fsm_has_region(const struct fsm *fsm);
/* Of the commands that may be proposed. */
unsigned fsm_level(const struct fsm *fsm);

struct fsm_callbacks {
    /* The result of the command at `place` (from 0) of the entry at `index`; takes it. Called after
     * everything was committed. */
    void (*result)(void *arg, uint64_t index, unsigned place, Redoubt__Result *result);
    /* The outbox towards `region` has new entries, which are committed. */
    void (*dirty)(void *arg, const char *region);
    void *arg;
};

/* Apply entries from index `first` = fsm_applied() + 1 on. */
void fsm_apply(struct fsm *fsm, uint64_t first, const struct core_entry *entries, size_t n,
               const struct fsm_callbacks *callbacks);

#endif
