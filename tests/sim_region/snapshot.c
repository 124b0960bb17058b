/* Snapshots of a simulated node: a shorter log without one, checkpoints for followers that need
 * one, and the installation of another node's. */
#include "region.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MANIFEST = 25, MANIFEST_END = 0x51, FETCHES_MOST = 40 };

/* ---- own ones ---- */

/* Writes the metadata of what the core has prepared; the log gets shorter with it. */
static bool begin(struct region *region, struct node *node, uint64_t index, unsigned trailing) {
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;

    if (node->snapshot_runs || node->install.index != 0 ||
        core_snapshot_prepare(node->core, index, trailing, &snapshot, &keep_from) != OK) {
        return false;
    }
    const struct log_snapshot row = {
        .index = snapshot.index,
        .term = snapshot.term,
        .configuration_index = snapshot.configuration_index,
        .configuration = snapshot.configuration.data,
        .configuration_len = snapshot.configuration.len,
        .manifest = node->manifest,
        .manifest_len = node->manifest_len,
    };
    log_batch_snapshot(writer_open(node), &row, keep_from);
    node->snapshot_runs = true;
    node->snapshot_index = snapshot.index;
    trace_note(&region->trace, region->now_us, node->id, "snapshot %" PRIu64 " keep %" PRIu64,
               snapshot.index, keep_from);
    writer_submit(region, node, 0, true);
    return true;
}

/* Without a checkpoint: the state is in the write-ahead log before these metadata are. */
void snapshot_shorten(struct region *region, struct node *node) {
    uint64_t applied = core_applied_index(node->core);
    uint64_t index = 0;

    if (node->snapshot_runs || applied < node->next_shorten) {
        return;
    }
    if (applied > node->snapshot_index + 1 && dice_chance(&region->dice, 300)) {
        index = dice_roll(&region->dice, node->snapshot_index + 1, applied);
    }
    node->manifest_len = 0;
    if (begin(region, node, index,
              (unsigned)dice_roll(&region->dice, 0,
                                  region->max_inflight + region->max_inflight / 2))) {
        region->counts.shortened++;
        node->next_shorten = applied + dice_roll(&region->dice, 20, 120);
    }
}

static void checkpoint_later(struct region *region, struct node *node, uint64_t id) {
    queue_push(&region->queue,
               (struct event){.time_us = region->now_us + dice_roll(&region->dice, MS, 100 * MS),
                              .kind = EVENT_CHECKPOINT,
                              .node = node->id,
                              .epoch = node->epoch,
                              .id = id});
}

void snapshot_wanted(struct region *region, struct node *node) {
    if (!node->checkpoint_is_due) {
        node->checkpoint_is_due = true;
        checkpoint_later(region, node, 0);
    }
}

static const struct checkpoint *find_checkpoint(const struct node *source, uint64_t id) {
    for (unsigned i = 0; i < NODE_CHECKPOINTS; i++) {
        if (source->checkpoints[i].id == id) {
            return &source->checkpoints[i];
        }
    }
    return NULL;
}

/* A copy of the store as it is. By the time that it is made and written about, the state is
 * further.
 */
static void make_checkpoint(struct region *region, struct node *node) {
    struct checkpoint *checkpoint = &node->checkpoints[node->next_checkpoint];

    node->next_checkpoint = (node->next_checkpoint + 1) % NODE_CHECKPOINTS;
    disk_image_fini(&checkpoint->image);
    *checkpoint = (struct checkpoint){.id = ++region->next_name,
                                      .applied = fsm_applied(node->fsm),
                                      .image = disk_checkpoint(node->disk)};
    region->counts.checkpoints++;
    checkpoint_later(region, node, checkpoint->id);
}

/* Makes one, and in a second turn writes its metadata. When those of another are just being
 * written, or this one has grown too old, it begins again: a follower waits for it. */
void snapshot_checkpoint(struct region *region, struct node *node, uint64_t id) {
    const struct checkpoint *checkpoint = id == 0 ? NULL : find_checkpoint(node, id);

    if (checkpoint == NULL) {
        make_checkpoint(region, node);
        return;
    }
    if (!node->snapshot_runs) {
        put_le64(node->manifest, id);
        put_le64(node->manifest + 8, node->id);
        put_le64(node->manifest + 16, checkpoint->applied);
        node->manifest[MANIFEST - 1] = MANIFEST_END;
        node->manifest_len = MANIFEST;
    }
    if (begin(region, node, checkpoint->applied, 2 * region->max_inflight)) {
        node->checkpoint_is_due = false;
    } else if (core_role(node->core) == CORE_LEADER) {
        checkpoint_later(region, node, 0);
    } else {
        node->checkpoint_is_due = false;
    }
}

void snapshot_written(struct region *region, struct node *node) {
    node->snapshot_runs = false;
    must(core_snapshot_taken(node->core, node_mono_ms(region, node),
                             (struct core_bytes){node->manifest, node->manifest_len}),
         "snapshot taken");
    node_settle(region, node);
}

/* ---- another node's ---- */

static struct core_bytes bytes_copy(struct core_bytes from) {
    uint8_t *data = malloc(from.len + 1);
    CHECK(data != NULL);
    if (from.len > 0) {
        memcpy(data, from.data, from.len);
    }
    return (struct core_bytes){data, from.len};
}

void snapshot_forget(struct node *node) {
    free((void *)(uintptr_t)node->install.configuration.data);
    free((void *)(uintptr_t)node->install.manifest.data);
    node->install = (struct core_snapshot){0};
}

static void try_later(struct region *region, struct node *node) {
    queue_push(&region->queue,
               (struct event){.time_us = region->now_us + dice_roll(&region->dice, MS, 200 * MS),
                              .kind = EVENT_FETCH,
                              .node = node->id,
                              .epoch = node->epoch});
}

void snapshot_install(struct region *region, struct node *node, const struct core_snapshot *from) {
    const uint8_t *manifest = from->manifest.data;

    if (from->manifest.len != MANIFEST || manifest[MANIFEST - 1] != MANIFEST_END ||
        get_le64(manifest + 16) != from->index) {
        region_fail("node %u is to install %" PRIu64 " of a manifest that is not its", node->id,
                    from->index);
    }
    trace_note(&region->trace, region->now_us, node->id, "install %" PRIu64, from->index);
    snapshot_forget(node);
    node->install = *from;
    node->install.configuration = bytes_copy(from->configuration);
    node->install.manifest = bytes_copy(from->manifest);
    node->fetches = 0;
    try_later(region, node);
}

/* As the server does it, the house is closed and opened again on the other store, and the core
 * begins anew from it; the core's own way, that goes on living, is taken too. */
static void switch_store(struct region *region, struct node *node,
                         const struct checkpoint *checkpoint) {
    const struct log_snapshot row = {
        .index = node->install.index,
        .term = node->install.term,
        .configuration_index = node->install.configuration_index,
        .configuration = node->install.configuration.data,
        .configuration_len = node->install.configuration.len,
        .manifest = node->install.manifest.data,
        .manifest_len = node->install.manifest.len,
    };
    bool goes_on = dice_chance(&region->dice, 300);

    if (checkpoint->applied != node->install.index) {
        region_fail("node %u is to install %" PRIu64 " of a checkpoint at %" PRIu64, node->id,
                    node->install.index, checkpoint->applied);
    }
    region->counts.installs++;
    node->snapshot_runs = false;
    node->snapshot_index = row.index;
    node->next_shorten = row.index + dice_roll(&region->dice, 20, 120);
    writer_reset(&node->writer);
    fsm_close(node->fsm);
    node->fsm = NULL;
    disk_install(node->disk, &checkpoint->image, node->term, node->voted_for, &row);
    snapshot_forget(node);
    if (goes_on) {
        node_open(region, node);
        must(core_installed(node->core, node_mono_ms(region, node)), "installed");
        node_settle(region, node);
    } else {
        node_close(node);
        node_start(region, node);
    }
}

void snapshot_fetch(struct region *region, struct node *node) {
    const struct node *source;
    const struct checkpoint *checkpoint;

    if (node->install.index == 0) {
        return;
    }
    source = &region->nodes[get_le64(node->install.manifest.data + 8)];
    checkpoint = find_checkpoint(source, get_le64(node->install.manifest.data));
    if (checkpoint != NULL && source->is_up && stream_is_open(region, node->id, source->id) &&
        region->now_us >= source->paused_until_us) {
        switch_store(region, node, checkpoint);
    } else if (++node->fetches < FETCHES_MOST) {
        try_later(region, node);
    } else {
        /* It is gone for good: begin again from what is on the disk, and be told of another. */
        trace_note(&region->trace, region->now_us, node->id, "install given up");
        node->is_dying = true;
    }
}
