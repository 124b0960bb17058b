/* The log writer of a simulated node: cluster/log_writer.c's order of things, on virtual time. */
#include "region.h"

void writer_reset(struct writer *writer) {
    log_batch_free(writer->open);
    log_batch_free(writer->in_flight);
    *writer = (struct writer){.stage = WRITER_IDLE};
}

struct log_batch *writer_open(struct node *node) {
    if (node->writer.open == NULL) {
        node->writer.open = log_batch_new(node->engine);
        CHECK(node->writer.open != NULL);
    }
    return node->writer.open;
}

static void hand_over(struct region *region, struct node *node) {
    struct writer *writer = &node->writer;

    if (writer->stage != WRITER_IDLE || writer->open == NULL) {
        return;
    }
    writer->in_flight = writer->open;
    writer->write_id = writer->open_write_id;
    writer->is_snapshot = writer->open_is_snapshot;
    writer->stage = WRITER_HANDED;
    writer->open = NULL;
    writer->open_write_id = 0;
    writer->open_is_snapshot = false;
    queue_push(&region->queue,
               (struct event){.time_us = region->now_us + dice_roll(&region->dice, 5, 300),
                              .kind = EVENT_LOG_WRITE,
                              .node = node->id,
                              .epoch = node->epoch});
}

void writer_submit(struct region *region, struct node *node, uint64_t write_id, bool is_snapshot) {
    if (write_id != 0) {
        node->writer.open_write_id = write_id;
    }
    node->writer.open_is_snapshot = node->writer.open_is_snapshot || is_snapshot;
    hand_over(region, node);
}

static void commit(struct log_batch *batch) {
    struct err err;

    if (log_batch_commit(batch, &err) != OK) {
        region_fail("the log cannot be written: %s", err.message);
    }
}

static void write_in_flight(struct node *node) {
    commit(node->writer.in_flight);
    node->writer.flushed = disk_flushed(node->disk);
    node->writer.stage = WRITER_WRITTEN;
}

/* The thread of Raft waits until the batch in flight is on disk and writes beside it: at once here.
 * That batch is reported when it would have been. */
void writer_vote(struct node *node, uint64_t term, uint64_t voted_for) {
    struct log_batch *batch = log_batch_new(node->engine);

    CHECK(batch != NULL);
    if (node->writer.stage == WRITER_HANDED) {
        write_in_flight(node);
    }
    log_batch_vote(batch, term, voted_for);
    commit(batch);
    log_batch_free(batch);
    disk_synced(node->disk, disk_flushed(node->disk));
    node->term = term;
    node->voted_for = voted_for;
}

void writer_write(struct region *region, struct node *node) {
    uint64_t latency_us = dice_roll(&region->dice, 100, 8 * MS);

    if (node->writer.stage == WRITER_HANDED) {
        write_in_flight(node);
    }
    if (region->now_us < node->slow_until_us) {
        latency_us += dice_roll(&region->dice, 20 * MS, 400 * MS);
    }
    queue_push(&region->queue, (struct event){.time_us = region->now_us + latency_us,
                                              .kind = EVENT_LOG_SYNCED,
                                              .node = node->id,
                                              .epoch = node->epoch});
}

void writer_synced(struct region *region, struct node *node) {
    struct writer *writer = &node->writer;
    uint64_t write_id = writer->write_id;
    bool is_snapshot = writer->is_snapshot;

    disk_synced(node->disk, writer->flushed);
    log_batch_free(writer->in_flight);
    writer->in_flight = NULL;
    writer->stage = WRITER_IDLE;
    if (write_id != 0) {
        must(core_written(node->core, node_mono_ms(region, node), write_id), "written");
        node_settle(region, node);
    }
    if (is_snapshot && !node->is_dying) {
        snapshot_written(region, node);
    }
    if (!node->is_dying) {
        hand_over(region, node);
    }
}
