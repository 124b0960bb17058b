/* Shortening the log, and checkpoints for followers that are too far behind for it.
 *
 * The state is durable through the write-ahead log that it shares with the Raft log, so that for
 * this node a snapshot is its metadata and a shorter log. A checkpoint of files is made only when a
 * follower needs one, on a thread of libuv's pool while the group goes on; its index is the one
 * that the files turn out to hold. */
#include "cluster/node_internal.h"

#include "base/log.h"
#include "base/metrics.h"

#include <stdio.h>
#include <string.h>

/* Entries behind the snapshot are for followers that lag. */
static unsigned trailing_of(const struct node *node) {
    if (core_members_count(node->core) <= 1) {
        return 0;
    }
    return core_log_newest(node->core, node->snapshot_trailing, LIMIT_LOG_TRAILING_BYTES);
}

/* A follower that fetches a snapshot needs the log from there on when it has it. */
static bool is_fetched(const struct node *node) {
    const struct node_checkpoint *checkpoint = &node->checkpoint;
    uint64_t used_ms = checkpoint->made_ms;

    if (checkpoint->is_running || checkpoint->is_wanted) {
        return true;
    }
    if (checkpoint->id[0] == '\0') {
        return false;
    }
    if (checkpoint_read_ms() > used_ms) {
        used_ms = checkpoint_read_ms();
    }
    return node_now(node) < used_ms + LIMIT_SNAPSHOT_HOLD_MS;
}

static bool is_due(const struct node *node, unsigned trailing) {
    uint64_t entries = core_last_index(node->core) + 1 - core_first_index(node->core);
    uint64_t stretch = is_fetched(node) ? LIMIT_LOG_STRETCH : 1;

    /* Entries that must stay behind do not count, else every entry after the first snapshot would
     * be a reason for the next. */
    return !node->snapshot_runs && !node->checkpoint.is_running &&
           core_applied_index(node->core) > node->snapshot_index + trailing &&
           (entries >= node->snapshot_entries * stretch + trailing ||
            core_log_bytes(node->core) >= node->snapshot_bytes * stretch);
}

/* Writes the metadata of a snapshot at `index` (0: what is applied); they name the checkpoint when
 * `manifest` is not empty. */
static enum errc write_metadata(struct node *node, uint64_t index, unsigned trailing,
                                struct core_bytes manifest) {
    struct core_snapshot snapshot;
    struct log_snapshot row;
    uint64_t keep_from;
    enum errc code = core_snapshot_prepare(node->core, index, trailing, &snapshot, &keep_from);

    if (code != OK) {
        return code;
    }
    row = (struct log_snapshot){
        .index = snapshot.index,
        .term = snapshot.term,
        .configuration_index = snapshot.configuration_index,
        .configuration = snapshot.configuration.data,
        .configuration_len = snapshot.configuration.len,
        .manifest = manifest.data,
        .manifest_len = manifest.len,
    };
    log_batch_snapshot(log_writer_open(node->writer), &row, keep_from);
    if (manifest.len == 0 && node->checkpoint.id[0] != '\0') {
        node->checkpoint.id[0] = '\0'; /* nobody is sent to it any more */
        node->checkpoint.is_removal = true;
    }
    node->snapshot_runs = true;
    node->snapshot_index = snapshot.index;
    log_writer_submit(node->writer, 0, true);
    return OK;
}

/* ---- checkpoints ---- */

static void make_checkpoint(uv_work_t *work) {
    struct node *node = work->data;
    struct node_checkpoint *checkpoint = &node->checkpoint;

    checkpoint->code = checkpoint_make(node->options.engine, node->data, node->options.world,
                                       node->options.id, &checkpoint->manifest, &checkpoint->err);
    if (checkpoint->code == OK) {
        buf_reset(&checkpoint->bytes);
        checkpoint->code = checkpoint_manifest_encode(checkpoint->manifest, &checkpoint->bytes);
    }
}

/* The files hold a state that the log knows: give it to the core. A refusal (the log was cut short
 * of it, an install runs) is tried again with a new checkpoint when a follower still asks. */
static void made_checkpoint(uv_work_t *work, int status) {
    struct node *node = work->data;
    struct node_checkpoint *checkpoint = &node->checkpoint;
    struct core_bytes manifest;
    enum errc code = status == 0 ? checkpoint->code : ERR_UNAVAILABLE;

    checkpoint->is_running = false;
    if (code == OK && !node->is_closing) {
        (void)snprintf(checkpoint->id, sizeof(checkpoint->id), "%s", checkpoint->manifest->id);
        checkpoint->made_ms = node_now(node);
        manifest = (struct core_bytes){checkpoint->bytes.data, checkpoint->bytes.len};
        code = write_metadata(node, checkpoint->manifest->applied, trailing_of(node), manifest);
        metric_add(METRIC_CHECKPOINTS, 1);
        LOG_INFO("raft.checkpoint", F_STR("id", checkpoint->id),
                 F_U64("index", checkpoint->manifest->applied),
                 F_U64("files", checkpoint->manifest->n_files), F_STR("code", errc_name(code)));
    } else if (code != OK) {
        LOG_WARN("raft.checkpoint_failed", F_STR("error", checkpoint->err.message));
    }
    if (code != OK) {
        checkpoint->id[0] = '\0';
        checkpoint->is_removal = true;
        buf_reset(&checkpoint->bytes);
    }
    checkpoint_manifest_free(checkpoint->manifest);
    checkpoint->manifest = NULL;
}

static void remove_checkpoints(uv_work_t *work) {
    struct node *node = work->data;
    struct node_checkpoint *checkpoint = &node->checkpoint;

    checkpoint->code = checkpoint_remove(
        node->data, NULL, checkpoint->id[0] != '\0' ? checkpoint->id : NULL, &checkpoint->err);
}

static void removed_checkpoints(uv_work_t *work, int status) {
    struct node *node = work->data;

    node->checkpoint.is_running = false;
    if (status == 0 && node->checkpoint.code != OK) {
        LOG_WARN("raft.checkpoint_remove", F_STR("error", node->checkpoint.err.message));
    }
}

static void start_work(struct node *node, uv_work_cb work, uv_after_work_cb done) {
    node->checkpoint.is_running = true;
    node->checkpoint.work.data = node;
    CHECK(uv_queue_work(&node->loop, &node->checkpoint.work, work, done) == 0);
}

void node_checkpoint_want(struct node *node) {
    node->checkpoint.is_wanted = true;
}

void node_checkpoint_tick(struct node *node) {
    struct node_checkpoint *checkpoint = &node->checkpoint;

    if (checkpoint->is_running || node->snapshot_runs || node->is_closing ||
        node->data[0] == '\0') {
        return;
    }
    if (checkpoint->is_wanted) {
        checkpoint->is_wanted = false;
        if (core_role(node->core) == CORE_LEADER) {
            start_work(node, make_checkpoint, made_checkpoint);
        }
        return;
    }
    if (checkpoint->id[0] != '\0' && !is_fetched(node) &&
        core_applied_index(node->core) > node->snapshot_index) {
        /* A follower that comes later must not be sent to files that are gone: first a snapshot
         * that does not name them. */
        (void)write_metadata(node, 0, trailing_of(node), (struct core_bytes){.len = 0});
        return;
    }
    if (checkpoint->is_removal) {
        checkpoint->is_removal = false;
        start_work(node, remove_checkpoints, removed_checkpoints);
    }
}

/* ---- the log ---- */

void node_snapshot_look(struct node *node) {
    unsigned trailing = trailing_of(node);

    if (is_due(node, trailing)) {
        (void)write_metadata(node, 0, trailing, (struct core_bytes){.len = 0});
    }
}

void node_snapshot_written(struct node *node) {
    struct core_bytes manifest = {node->checkpoint.bytes.data, node->checkpoint.bytes.len};

    node->snapshot_runs = false;
    LOG_INFO("raft.snapshot", F_U64("index", node->snapshot_index),
             F_U64("manifest", manifest.len));
    node_turn(node, "snapshot taken", core_snapshot_taken(node->core, node_now(node), manifest));
    buf_reset(&node->checkpoint.bytes);
}
