/* The log writer: the one thread that syncs. It commits one batch at a time while the Raft thread
 * builds the next, so that everything that arrives during a sync shares the following one (group
 * commit), and order is kept by construction.
 *
 * A write that fails ends the process at once with a message: nothing that it held was acknowledged
 * (invariant 1). All functions but the thread's own belong to the Raft thread. */
#ifndef CLUSTER_LOG_WRITER_H
#define CLUSTER_LOG_WRITER_H

#include "base/errc.h"
#include "storage/log_store.h"

#include <stdbool.h>
#include <stdint.h>

struct log_writer;

MUSTCHECK enum errc log_writer_start(struct engine *engine, struct log_writer **ret,
                                     struct err *err);
/* Commits what was handed over, joins the thread, frees. What was only opened is dropped. Takes
 * NULL too. */
void log_writer_stop(struct log_writer *writer);

/* The batch that is being built; append to it, then log_writer_submit. Borrowed. */
struct log_batch *log_writer_open(struct log_writer *writer);
/* The open batch now holds everything up to `write_id` (0: unchanged), and a snapshot's metadata if
 * `snapshot`. */
void log_writer_submit(struct log_writer *writer, uint64_t write_id, bool snapshot);

struct log_written {
    uint64_t write_id; /* 0: the batch held no entries */
    bool snapshot;
};

/* Becomes readable when a batch is durable. */
int log_writer_fd(const struct log_writer *writer);
/* What became durable since the last call; false if nothing. Hands the next batch over. */
MUSTCHECK bool log_writer_collect(struct log_writer *writer, struct log_written *ret);
/* Write term and vote and wait for it, after any batch in flight. */
void log_writer_vote(struct log_writer *writer, uint64_t term, uint64_t voted_for);

#endif
