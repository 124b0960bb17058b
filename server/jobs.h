/* What the service does by itself when its time has come: it removes secrets at the end of their
 * recovery window, and versions that grew old.
 *
 * A thread looks every interval for what is due by the wall clock, in the leader only, and proposes
 * a command for each, LIMIT_JOBS_BATCH at a time. The commands carry their preconditions: what the
 * thread saw may be old, and two leaders do no harm. What cannot be done (yet) waits for the next
 * look. Nothing is kept that matters. */
#ifndef SERVER_JOBS_H
#define SERVER_JOBS_H

#include "base/errc.h"
#include "base/quotas.h"
#include "base/world.h"
#include "cluster/node.h"
#include "storage/engine.h"

struct jobs;

struct jobs_options {
    struct engine *engine; /* all borrowed for the jobs' life */
    struct node *node;
    const struct world *world;
    const struct quotas *quotas;
    unsigned interval_ms;
};

/* Without its thread. Returns owned; NULL without memory. */
struct jobs *jobs_new(const struct jobs_options *options);
void jobs_start(struct jobs *jobs);
/* Look now. Any thread. */
void jobs_wake(struct jobs *jobs);
/* Nothing is proposed any more. Does not wait; takes NULL too. Any thread. */
void jobs_stop(struct jobs *jobs);
/* After jobs_stop and node_stop, which answers what is under way. Takes NULL too. */
void jobs_free(struct jobs *jobs);

/* One look, on the caller's thread: what the thread does again and again. Only without the thread.
 * Returns when what it proposed is decided. */
struct jobs_report {
    unsigned purged; /* secrets */
    unsigned pruned; /* secrets that lost versions */
    unsigned failed; /* commands that were not decided: what they are about is still due */
};
void jobs_look(struct jobs *jobs, struct jobs_report *ret);

#endif
