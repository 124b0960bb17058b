#include "sim_group.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/errc.h"
#include "base/wipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_MIN = 8, COMMAND_MAX = 80, SUBMIT_MAX = 8, GARBAGE_PERCENT = 2 };

static const uint64_t state_start = 7;

static void execute_effects(struct sim_group *group, struct sim_node *node);
static void checkpoint_begin(struct sim_group *group, struct sim_node *node);
static void maybe_snapshot(struct sim_group *group, struct sim_node *node);

/* ---- the write queue ---- */

static struct core_bytes bytes_copy(struct core_bytes from) {
    uint8_t *data = malloc(from.len + 1);
    CHECK(data != NULL);
    if (from.len > 0) {
        memcpy(data, from.data, from.len);
    }
    return (struct core_bytes){data, from.len};
}

static void write_free(struct sim_write *write) {
    for (size_t i = 0; i < write->n_rows; i++) {
        free(write->rows[i].data);
    }
    free(write->rows);
    free((void *)(uintptr_t)write->snapshot.configuration.data);
    free((void *)(uintptr_t)write->snapshot.manifest.data);
    free(write);
}

static void writes_init(struct sim_writes *writes) {
    writes->first = NULL;
    writes->end = &writes->first;
}

static void writes_fini(struct sim_writes *writes) {
    while (writes->first != NULL) {
        struct sim_write *write = writes->first;
        writes->first = write->next;
        write_free(write);
    }
    writes_init(writes);
}

/* Begin to write what is queued, unless a write is in flight. */
static void flush_begin(struct sim_group *group, struct sim_node *node) {
    if (node->in_flight.first != NULL || node->queue.first == NULL) {
        return;
    }
    uint64_t latency_ms = sim_random_range(&group->random, 1, 15);
    for (unsigned n = 0; n < SIM_WRITE_BATCH && node->queue.first != NULL; n++) {
        struct sim_write *write = node->queue.first;
        node->queue.first = write->next;
        write->next = NULL;
        *node->in_flight.end = write;
        node->in_flight.end = &write->next;
        if (write->kind == SIM_WRITE_INSTALL) {
            /* Files are fetched: for longer than anybody waits for a node that is dead. */
            bool is_large = sim_random_chance(&group->random, 20);
            latency_ms += sim_random_range(&group->random, 0, is_large ? 1500 : 300);
        }
    }
    if (node->queue.first == NULL) {
        writes_init(&node->queue);
    }
    if (group->now_ms < node->slow_until_ms) {
        latency_ms += sim_random_range(&group->random, 50, 400);
    }
    node->durable_candidate = node->state;
    sim_queue_push(&group->queue, (struct sim_event){.time_ms = group->now_ms + latency_ms,
                                                     .kind = SIM_FLUSH,
                                                     .node = node->id,
                                                     .epoch = node->epoch});
}

static struct sim_write *write_queue(struct sim_node *node, enum sim_write_kind kind) {
    struct sim_write *write = calloc(1, sizeof *write);
    CHECK(write != NULL);
    write->kind = kind;
    *node->queue.end = write;
    node->queue.end = &write->next;
    return write;
}

static void snapshot_copy(const struct core_snapshot *from, struct core_bytes manifest,
                          struct core_snapshot *to) {
    *to = *from;
    to->configuration = bytes_copy(from->configuration);
    to->manifest = bytes_copy(manifest);
}

static void write_to_disk(struct sim_node *node, const struct sim_write *write) {
    switch (write->kind) {
    case SIM_WRITE_ENTRIES:
        sim_disk_entries(&node->disk, write->first, write->rows, write->n_rows);
        break;
    case SIM_WRITE_SNAPSHOT:
        sim_disk_snapshot(&node->disk, &write->snapshot, write->keep_from);
        break;
    case SIM_WRITE_INSTALL:
        sim_disk_install(&node->disk, &write->snapshot);
        break;
    }
}

static void must(enum errc rc, const char *what) {
    if (rc != OK) {
        sim_fail("%s: %d", what, (int)rc);
    }
}

/* Tell the core of one write that is on disk. */
static void write_report(struct sim_group *group, struct sim_node *node, struct sim_write *write) {
    switch (write->kind) {
    case SIM_WRITE_ENTRIES:
        must(core_written(node->core, group->now_ms, write->write_id), "written");
        break;
    case SIM_WRITE_SNAPSHOT:
        node->snapshot_runs = false;
        group->counts.snapshots++;
        must(core_snapshot_taken(node->core, group->now_ms, write->snapshot.manifest),
             "snapshot taken");
        break;
    case SIM_WRITE_INSTALL:
        node->state = sim_manifest_decode(write->snapshot.manifest);
        node->next_snapshot = node->state.applied + sim_random_range(&group->random, 20, 80);
        must(core_installed(node->core, group->now_ms), "installed");
        break;
    }
    execute_effects(group, node);
}

static void flush_end(struct sim_group *group, struct sim_node *node) {
    struct sim_writes done = node->in_flight;
    writes_init(&node->in_flight);
    bool installs = false;
    for (struct sim_write *write = done.first; write != NULL; write = write->next) {
        write_to_disk(node, write);
        installs = installs || write->kind == SIM_WRITE_INSTALL;
    }
    if (!installs && node->durable_candidate.applied > 0) {
        sim_disk_state(&node->disk, node->durable_candidate); /* the sync took it along */
    }
    while (done.first != NULL) {
        struct sim_write *write = done.first;
        done.first = write->next;
        write_report(group, node, write);
        write_free(write);
    }
    maybe_snapshot(group, node);
    flush_begin(group, node);
}

/* ---- effects ---- */

static void effect_role(struct sim_group *group, struct sim_node *node,
                        const struct core_effect *effect) {
    if (effect->role == CORE_LEADER) {
        sim_check_leader(&group->check, node->id, effect->term);
        if (node->role != CORE_LEADER) {
            group->counts.elections++;
            group->last_election_ms = group->now_ms;
        }
    } else if (node->role == CORE_LEADER) {
        group->counts.outcome_unknown += node->n_pending;
        node->n_pending = 0;
    }
    node->role = effect->role;
}

static bool is_full(const struct sim_group *group, const struct sim_node *node) {
    return group->now_ms < node->full_until_ms;
}

/* As it is before an event; commands that were taken before stay. */
static void look_at_room(struct sim_group *group, struct sim_node *node) {
    node->room = is_full(group, node) ? core_last_index(node->core) : UINT64_MAX;
    core_set_room(node->core, !is_full(group, node));
}

static void check_room(const struct sim_node *node, const struct core_effect *effect) {
    for (size_t i = 0; i < effect->n_entries; i++) {
        if (effect->first + i > node->room && effect->entries[i].type == CORE_COMMAND) {
            sim_fail("node %u takes a command at %" PRIu64 ", and has no room", node->id,
                     effect->first + i);
        }
    }
}

static void effect_write(struct sim_node *node, const struct core_effect *effect) {
    check_room(node, effect);
    struct sim_write *write = write_queue(node, SIM_WRITE_ENTRIES);
    write->write_id = effect->write_id;
    write->first = effect->first;
    write->n_rows = effect->n_entries;
    write->rows = calloc(effect->n_entries, sizeof write->rows[0]);
    CHECK(write->rows != NULL);
    for (size_t i = 0; i < effect->n_entries; i++) {
        write->rows[i] = sim_row(&effect->entries[i]);
    }
    sim_mirror_write(&node->mirror, effect->first, effect->entries, effect->n_entries);
}

static void effect_install(struct sim_group *group, struct sim_node *node,
                           const struct core_effect *effect) {
    if (is_full(group, node)) {
        sim_fail("node %u installs a snapshot, and has no room", node->id);
    }
    struct sim_write *write = write_queue(node, SIM_WRITE_INSTALL);
    snapshot_copy(&effect->snapshot, effect->snapshot.manifest, &write->snapshot);
    sim_mirror_reset(&node->mirror, effect->snapshot.index + 1);
    group->counts.installs++;
}

static void acknowledge(struct sim_group *group, struct sim_node *node, uint64_t index,
                        uint64_t hash) {
    while (node->n_pending > 0 && node->pending[0].index <= index) {
        if (node->pending[0].index == index) {
            if (node->pending[0].hash != hash) {
                sim_fail("node %u acknowledges %" PRIu64 " for another entry", node->id, index);
            }
            sim_check_acknowledged(&group->check, index, hash);
        }
        node->n_pending--;
        memmove(node->pending, node->pending + 1, node->n_pending * sizeof node->pending[0]);
    }
}

static void effect_apply(struct sim_group *group, struct sim_node *node,
                         const struct core_effect *effect) {
    for (size_t i = 0; i < effect->n_entries; i++) {
        const struct core_entry *entry = &effect->entries[i];
        uint64_t index = effect->first + i;
        uint64_t hash = sim_entry_hash(entry);
        struct sim_blob row = sim_row(entry);
        const struct sim_blob *stored = sim_disk_row(&node->disk, index);
        if (stored == NULL || stored->len != row.len ||
            memcmp(stored->data, row.data, row.len) != 0) {
            sim_fail("node %u applies %" PRIu64 " which is not on its disk", node->id, index);
        }
        free(row.data);
        if (index != node->state.applied + 1) {
            sim_fail("node %u applies %" PRIu64 " after %" PRIu64, node->id, index,
                     node->state.applied);
        }
        node->state = (struct sim_state){index, sim_state_next(node->state.hash, hash)};
        sim_check_applied(&group->check, node->id, index, (struct sim_mark){entry->term, hash},
                          node->state.hash);
        acknowledge(group, node, index, hash);
    }
}

/* libraft's layout of a configuration; see cluster/core_configuration.c. */
static void effect_configuration(struct sim_node *node, const struct core_effect *effect) {
    static const enum sim_role roles[] = {SIM_STANDBY, SIM_VOTER, SIM_SPARE};
    const uint8_t *at = effect->configuration.data;
    uint64_t n = get_le64(at + 1);
    at += 9;
    memset(node->members, 0, sizeof node->members);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = get_le64(at);
        at += 8 + strlen((const char *)at + 8) + 1;
        node->members[id] = roles[*at++];
    }
    node->members_index = effect->first;
    node->members_hash = sim_entry_hash(
        &(struct core_entry){.data = effect->configuration.data, .len = effect->configuration.len});
}

static void effect_read(struct sim_group *group, struct sim_node *node, uint64_t id) {
    size_t n = 0;
    for (; n < node->n_reads && node->reads[n].id <= id; n++) {
        sim_check_read_end(&group->check, node->id, node->reads[n].must, node->state.applied);
        group->counts.reads_answered++;
    }
    node->n_reads -= n;
    memmove(node->reads, node->reads + n, node->n_reads * sizeof node->reads[0]);
}

static void effect_send(struct sim_group *group, struct sim_node *node,
                        const struct core_effect *effect) {
    unsigned to = (unsigned)effect->peer;
    enum { TYPE_AT = 1, INSTALL_SNAPSHOT = 5 };
    group->counts.installs_sent += effect->message.data[TYPE_AT] == INSTALL_SNAPSHOT;
    if (node->is_cut_from[to] || sim_random_chance(&group->random, group->loss_percent)) {
        group->counts.lost++;
        return;
    }
    uint64_t at = group->now_ms + sim_random_range(&group->random, 1, 30);
    if (at < group->link_ms[node->id][to]) {
        at = group->link_ms[node->id][to]; /* one connection keeps its order */
    }
    group->link_ms[node->id][to] = at;
    struct core_bytes bytes = bytes_copy(effect->message);
    sim_queue_push(&group->queue,
                   (struct sim_event){.time_ms = at,
                                      .kind = SIM_MESSAGE,
                                      .node = to,
                                      .from = node->id,
                                      /* A reconnect drops what the old connection still holds. */
                                      .epoch = node->epoch + group->nodes[to].epoch,
                                      .bytes = (uint8_t *)(uintptr_t)bytes.data,
                                      .len = bytes.len});
}

static void execute_effects(struct sim_group *group, struct sim_node *node) {
    uint64_t commit = core_commit_index(node->core);
    if (commit < node->commit_seen) {
        sim_fail("the commit index of node %u steps back to %" PRIu64, node->id, commit);
    }
    node->commit_seen = commit;
    const struct core_effect *effect = NULL;
    while ((effect = core_next_effect(node->core)) != NULL) {
        switch (effect->kind) {
        case CORE_EFFECT_VOTE:
            sim_disk_vote(&node->disk, effect->term, effect->voted_for);
            break;
        case CORE_EFFECT_ROLE:
            effect_role(group, node, effect);
            break;
        case CORE_EFFECT_WRITE:
            effect_write(node, effect);
            break;
        case CORE_EFFECT_INSTALL:
            effect_install(group, node, effect);
            break;
        case CORE_EFFECT_SEND:
            effect_send(group, node, effect);
            break;
        case CORE_EFFECT_APPLY:
            effect_apply(group, node, effect);
            break;
        case CORE_EFFECT_CONFIGURATION:
            effect_configuration(node, effect);
            break;
        case CORE_EFFECT_READ:
            effect_read(group, node, effect->read_id);
            break;
        case CORE_EFFECT_SNAPSHOT:
            checkpoint_begin(group, node);
            break;
        case CORE_EFFECT_WAKE:
            node->wake_ms = effect->wake_ms;
            sim_queue_push(&group->queue,
                           (struct sim_event){.time_ms = effect->wake_ms > group->now_ms
                                                             ? effect->wake_ms
                                                             : group->now_ms,
                                              .kind = SIM_WAKE,
                                              .node = node->id,
                                              .epoch = node->epoch});
            break;
        }
    }
}

/* A snapshot of the state as it was at `state`, with a manifest of it or without one. */
static bool snapshot_queue(struct sim_group *group, struct sim_node *node, struct sim_state state,
                           bool has_manifest) {
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;
    unsigned trailing = (unsigned)sim_random_range(&group->random, 0, 2 * group->max_inflight);
    if (node->snapshot_runs ||
        core_snapshot_prepare(node->core, state.applied, trailing, &snapshot, &keep_from) != OK) {
        return false;
    }
    if (snapshot.index != state.applied) {
        sim_fail("node %u has a snapshot at %" PRIu64 " and not at %" PRIu64, node->id,
                 snapshot.index, state.applied);
    }
    uint8_t manifest[SIM_MANIFEST];
    sim_manifest_encode(state, manifest);
    struct sim_write *write = write_queue(node, SIM_WRITE_SNAPSHOT);
    snapshot_copy(&snapshot, (struct core_bytes){manifest, has_manifest ? sizeof manifest : 0},
                  &write->snapshot);
    write->keep_from = keep_from;
    node->snapshot_runs = true;
    return true;
}

/* While files are written the state goes on. */
static void checkpoint_begin(struct sim_group *group, struct sim_node *node) {
    if (node->checkpoint_runs) {
        return; /* told again by another leadership of the same node */
    }
    node->checkpoint_runs = true;
    node->checkpoint = node->state;
    sim_queue_push(
        &group->queue,
        (struct sim_event){.time_ms = group->now_ms + sim_random_range(&group->random, 1, 250),
                           .kind = SIM_CHECKPOINT,
                           .node = node->id,
                           .epoch = node->epoch});
}

static void checkpoint_end(struct sim_group *group, struct sim_node *node) {
    node->checkpoint_runs = false;
    if (snapshot_queue(group, node, node->checkpoint, true)) {
        group->counts.checkpoints++;
    } else if (core_role(node->core) == CORE_LEADER) {
        checkpoint_begin(group, node); /* the log was shortened beyond it meanwhile */
    }
}

static void maybe_snapshot(struct sim_group *group, struct sim_node *node) {
    if (node->snapshot_runs || node->state.applied < node->next_snapshot) {
        return;
    }
    if (!snapshot_queue(group, node, node->state, sim_random_chance(&group->random, 30))) {
        return;
    }
    node->next_snapshot = node->state.applied + sim_random_range(&group->random, 20, 80);
}

/* ---- nodes ---- */

void sim_node_start(struct sim_group *group, struct sim_node *node) {
    char address[16];
    (void)snprintf(address, sizeof address, "n%u", node->id);
    node->is_up = true;
    node->epoch++;
    node->commit_seen = 0;
    node->role = CORE_FOLLOWER;
    node->core = core_new(
        &(struct core_options){.id = node->id,
                               .address = address,
                               .election_timeout_ms = SIM_ELECTION_MS,
                               .heartbeat_ms = SIM_HEARTBEAT_MS,
                               .max_inflight_entries = group->max_inflight,
                               .seed = (uint32_t)sim_random_range(&group->random, 0, UINT32_MAX)});
    CHECK(node->core != NULL);
    struct sim_image image;
    sim_disk_load(&node->disk, &image);
    node->state = image.state;
    if (node->state.applied == 0) {
        node->state.hash = state_start;
    }
    node->next_snapshot = node->state.applied + sim_random_range(&group->random, 20, 80);
    sim_mirror_reset(&node->mirror, image.persisted.first_index);
    sim_mirror_write(&node->mirror, image.persisted.first_index, image.persisted.entries,
                     image.persisted.n_entries);
    node->room = UINT64_MAX; /* there was, for this */
    must(core_start(node->core, group->now_ms, &image.persisted), "start");
    sim_image_fini(&image);
    execute_effects(group, node);
    flush_begin(group, node);
}

/* The state machine's writes are not synced: a crash keeps those that a sync took along, or more of
 * them, but never one without the log before it. */
static void crash_disk(struct sim_group *group, struct sim_node *node) {
    size_t n = 0;
    for (struct sim_write *write = node->in_flight.first; write != NULL; write = write->next) {
        n++;
    }
    size_t kept = sim_random_range(&group->random, 0, n);
    bool installed = false;
    size_t at = 0;
    for (struct sim_write *write = node->in_flight.first; write != NULL && at < kept; at++) {
        write_to_disk(node, write);
        installed = installed || write->kind == SIM_WRITE_INSTALL;
        write = write->next;
    }
    if (installed) {
        return; /* it brought its own state */
    }
    struct sim_state state = kept == n ? node->state : node->durable_candidate;
    if (kept > 0 && node->durable_candidate.applied > 0) {
        sim_disk_state(&node->disk, node->durable_candidate);
    }
    if (state.applied > 0 && sim_random_chance(&group->random, 50)) {
        sim_disk_state(&node->disk, state);
    }
}

void sim_node_crash(struct sim_group *group, struct sim_node *node) {
    if (!node->is_up) {
        return;
    }
    crash_disk(group, node);
    writes_fini(&node->queue);
    writes_fini(&node->in_flight);
    core_free(node->core);
    node->core = NULL;
    node->is_up = false;
    node->epoch++;
    node->n_pending = 0;
    node->snapshot_runs = false;
    node->checkpoint_runs = false;
    node->n_reads = 0;
    node->paused_until_ms = 0;
    group->counts.crashes++;
}

static unsigned random_commands(struct sim_group *group, uint8_t data[SUBMIT_MAX][COMMAND_MAX],
                                struct core_bytes commands[SUBMIT_MAX], unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        memset(data[i], (int)(group->next_command & 0xff), COMMAND_MAX);
        put_le64(data[i], group->next_command++);
        commands[i] = (struct core_bytes){
            data[i], sim_random_range(&group->random, COMMAND_MIN, COMMAND_MAX)};
    }
    return n;
}

void sim_node_submit(struct sim_group *group, struct sim_node *node, unsigned n) {
    uint8_t data[SUBMIT_MAX][COMMAND_MAX];
    struct core_bytes commands[SUBMIT_MAX];
    if (n > SUBMIT_MAX || node->n_pending + n > SIM_PENDING_MAX || is_full(group, node)) {
        return;
    }
    look_at_room(group, node);
    n = random_commands(group, data, commands, n);
    uint64_t term = core_term(node->core);
    uint64_t first = core_last_index(node->core) + 1;
    enum core_role role = core_role(node->core);
    uint64_t given = 0;
    enum errc rc = core_submit(node->core, group->now_ms, commands, n, &given);
    bool is_refused = rc == (core_is_transferring(node->core) ? ERR_BUSY : ERR_NOT_LEADER);
    bool may_be_taken = role == CORE_LEADER && !core_is_transferring(node->core);
    if (may_be_taken != (rc == OK) || (rc != OK && !is_refused) || (rc == OK && given != first)) {
        sim_fail("submit at node %u: %d", node->id, (int)rc);
    }
    if (rc != OK) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        struct core_entry entry = {term, CORE_COMMAND, commands[i].data, commands[i].len};
        node->pending[node->n_pending++] = (struct sim_pending){first + i, sim_entry_hash(&entry)};
    }
    execute_effects(group, node);
    flush_begin(group, node);
}

static void must_rise(const struct sim_node *node, enum errc rc, uint64_t id) {
    must(rc, "read");
    if (node->n_reads > 0 && id <= node->reads[node->n_reads - 1].id) {
        sim_fail("the ids of reads at node %u do not rise", node->id);
    }
}

void sim_node_read(struct sim_group *group, struct sim_node *node) {
    uint64_t must = sim_check_read_begin(&group->check);
    if (node->n_reads == SIM_READS_MAX) {
        node->n_reads--;
        memmove(node->reads, node->reads + 1, node->n_reads * sizeof node->reads[0]);
    }
    uint64_t id = 0;
    enum errc rc = core_read(node->core, group->now_ms, &id);
    must_rise(node, rc, id);
    node->reads[node->n_reads++] =
        (struct sim_read){.id = id, .must = must, .asked_ms = group->now_ms};
    group->counts.reads++;
    execute_effects(group, node);
    flush_begin(group, node);
}

void sim_node_peer_lost(struct sim_group *group, struct sim_node *node, unsigned peer) {
    must(core_peer_lost(node->core, group->now_ms, peer), "peer lost");
    execute_effects(group, node);
    flush_begin(group, node);
}

bool sim_node_transfer(struct sim_group *group, struct sim_node *node, unsigned target) {
    enum errc rc = core_transfer(node->core, group->now_ms, target);
    if (rc != OK) {
        bool is_good = rc == ERR_BUSY || rc == ERR_UNAVAILABLE ||
                       (rc == ERR_NOT_LEADER && core_role(node->core) != CORE_LEADER) ||
                       (rc == ERR_INVALID_PARAMETER && target != 0);
        if (!is_good) {
            sim_fail("transfer at node %u: %d", node->id, (int)rc);
        }
        return false;
    }
    group->counts.transfers++;
    execute_effects(group, node);
    flush_begin(group, node);
    return true;
}

void sim_node_change(struct sim_group *group, struct sim_node *node, enum core_change change,
                     unsigned id) {
    char address[32];
    (void)snprintf(address, sizeof address, "n%u.%" PRIu64, id, group->next_address++);
    enum errc rc = core_change(node->core, group->now_ms, change, id, address);
    if (rc == ERR_BUSY || rc == ERR_NOT_LEADER || rc == ERR_NO_QUORUM) {
        group->counts.refused++;
        return;
    }
    must(rc, "change");
    group->counts.adds += change == CORE_ADD_SPARE;
    group->counts.promotions += change == CORE_PROMOTE;
    group->counts.readdresses += change == CORE_READDRESS;
    group->counts.removals += change == CORE_REMOVE || change == CORE_DEMOTE;
    execute_effects(group, node);
    flush_begin(group, node);
}

/* ---- events ---- */

/* A part of a message, and one of another format: refused, and nothing happens. */
static void receive_garbage(struct sim_group *group, struct sim_node *node,
                            const struct sim_event *event) {
    uint64_t term = core_term(node->core);
    uint64_t last = core_last_index(node->core);
    size_t len = sim_random_range(&group->random, 0, event->len - 1);
    struct core_bytes part = {event->bytes, len};
    enum errc rc = core_receive(node->core, group->now_ms, event->from, part);
    event->bytes[0]++;
    struct core_bytes other = {event->bytes, event->len};
    enum errc rc_other = core_receive(node->core, group->now_ms, event->from, other);
    event->bytes[0]--;
    if (rc != ERR_MALFORMED || rc_other != ERR_MALFORMED || core_term(node->core) != term ||
        core_last_index(node->core) != last || core_next_effect(node->core) != NULL) {
        sim_fail("garbage at node %u: %d, %d", node->id, (int)rc, (int)rc_other);
    }
    group->counts.garbage++;
}

static void deliver_message(struct sim_group *group, struct sim_node *node,
                            const struct sim_event *event) {
    const struct sim_node *from = &group->nodes[event->from];
    if (event->epoch != node->epoch + from->epoch || from->is_cut_from[node->id]) {
        group->counts.lost++;
        return;
    }
    if (sim_random_chance(&group->random, GARBAGE_PERCENT)) {
        receive_garbage(group, node, event);
    }
    must(core_receive(node->core, group->now_ms, event->from,
                      (struct core_bytes){event->bytes, event->len}),
         "receive");
    execute_effects(group, node);
}

/* As a node whose disk is full does. Who is chosen had room when it was last heard. */
static void lead_elsewhere(struct sim_group *group, struct sim_node *node) {
    if (group->now_ms < node->led_elsewhere_ms + (uint64_t)(2 * SIM_ELECTION_MS) ||
        core_majority_lacks_room(node->core)) {
        return;
    }
    node->led_elsewhere_ms = group->now_ms;
    group->counts.led_elsewhere += sim_node_transfer(group, node, 0);
}

static void deliver_wake(struct sim_group *group, struct sim_node *node) {
    if (node->woken_ms != 0 && group->now_ms < node->woken_ms + SIM_HEARTBEAT_MS / 4) {
        sim_fail("node %u wakes %" PRIu64 " ms after the last time", node->id,
                 group->now_ms - node->woken_ms);
    }
    node->woken_ms = group->now_ms;
    must(core_wake(node->core, group->now_ms), "wake");
    execute_effects(group, node);
    if (is_full(group, node) && core_role(node->core) == CORE_LEADER) {
        lead_elsewhere(group, node);
    }
}

bool sim_group_deliver(struct sim_group *group, const struct sim_event *event) {
    struct sim_node *node = &group->nodes[event->node];
    bool is_mine = node->is_up && (event->kind == SIM_MESSAGE || event->epoch == node->epoch);
    if (!is_mine) {
        return false;
    }
    if (group->now_ms < node->paused_until_ms) {
        struct sim_event later = *event;
        later.time_ms = node->paused_until_ms;
        sim_queue_push(&group->queue, later);
        return true;
    }
    look_at_room(group, node);
    if (event->kind == SIM_MESSAGE) {
        deliver_message(group, node, event);
    } else if (event->kind == SIM_FLUSH) {
        flush_end(group, node);
    } else if (event->kind == SIM_CHECKPOINT) {
        checkpoint_end(group, node);
    } else if (event->kind == SIM_WAKE && node->wake_ms <= group->now_ms && node->wake_ms != 0) {
        node->wake_ms = 0;
        deliver_wake(group, node);
    }
    maybe_snapshot(group, node);
    flush_begin(group, node);
    return false;
}

/* ---- the group ---- */

static void write_first_entry(struct sim_node *node, const uint8_t *configuration, size_t len) {
    struct sim_blob row =
        sim_row(&(struct core_entry){.term = 1, .type = CORE_CHANGE, configuration, len});
    sim_disk_vote(&node->disk, 1, 0);
    sim_disk_entries(&node->disk, 1, &row, 1);
    free(row.data);
}

void sim_group_init(struct sim_group *group, uint64_t seed, unsigned voters) {
    *group = (struct sim_group){.seed = seed, .now_ms = 1000, .loss_percent = 3, .voters = voters};
    sim_random_init(&group->random, seed);
    sim_queue_init(&group->queue);
    sim_check_init(&group->check);
    /* Enough for the load and the latencies: the group must keep up once it is healed. */
    group->max_inflight = 32U << sim_random_range(&group->random, 0, 2);
    struct core_server servers[SIM_NODES];
    char addresses[SIM_NODES][16];
    for (unsigned i = 0; i < voters; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "n%u", i + 1);
        servers[i] = (struct core_server){i + 1, addresses[i]};
    }
    uint8_t *configuration = NULL;
    size_t len = 0;
    must(core_configuration_encode(servers, voters, &configuration, &len), "configuration");
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        node->id = id;
        sim_disk_init(&node->disk);
        sim_mirror_init(&node->mirror);
        writes_init(&node->queue);
        writes_init(&node->in_flight);
        if (id <= voters) {
            write_first_entry(node, configuration, len);
        }
        sim_node_start(group, node);
    }
    wipe_free(configuration);
}

void sim_group_fini(struct sim_group *group) {
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        writes_fini(&node->queue);
        writes_fini(&node->in_flight);
        core_free(node->core);
        sim_disk_fini(&node->disk);
        sim_mirror_fini(&node->mirror);
    }
    sim_queue_fini(&group->queue);
    sim_check_fini(&group->check);
}

struct sim_node *sim_group_leader(struct sim_group *group) {
    struct sim_node *leader = NULL;
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        if (node->is_up && core_role(node->core) == CORE_LEADER &&
            (leader == NULL || core_term(node->core) > core_term(leader->core))) {
            leader = node;
        }
    }
    return leader;
}

void sim_group_check_logs(struct sim_group *group) {
    for (unsigned a = 1; a <= SIM_NODES; a++) {
        for (unsigned b = a + 1; b <= SIM_NODES; b++) {
            sim_check_logs_match(&group->nodes[a].mirror, &group->nodes[b].mirror);
        }
    }
}

void sim_group_print(struct sim_group *group) {
    static const char *const names[] = {"-", "standby", "voter", "spare"};
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        if (!node->is_up) {
            (void)fprintf(stderr, "node %u down\n", id);
            continue;
        }
        (void)fprintf(
            stderr,
            "node %u role %d term %" PRIu64 " leader %" PRIu64 " log %" PRIu64 "..%" PRIu64
            " commit %" PRIu64 " applied %" PRIu64 " wake %" PRIu64 " members at %" PRIu64 ":",
            id, (int)core_role(node->core), core_term(node->core), core_leader_id(node->core),
            core_first_index(node->core), core_last_index(node->core),
            core_commit_index(node->core), node->state.applied, node->wake_ms, node->members_index);
        for (unsigned m = 1; m <= SIM_NODES; m++) {
            (void)fprintf(stderr, " %s", names[node->members[m]]);
        }
        (void)fprintf(stderr, "\n");
    }
}
