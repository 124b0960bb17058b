#include "region.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENTRY_COMMANDS = 3,          /* commands that share an entry, at most */
    SUBMIT_ENTRIES = 3,          /* entries of a submission */
    CRASH_PER_10_MILLION = 1500, /* between two effects */
    CRASH_VOTED_PER_MILLE = 15,  /* when a vote has just been given, and is on its way */
};
static const int64_t wall_start_ms = 1700000000000;

/* ---- clocks ---- */

uint64_t node_mono_ms(const struct region *region, const struct node *node) {
    uint64_t passed_us = region->now_us - node->mono_since_us;
    return node->mono_base_ms + passed_us * node->mono_rate / 1000 / MS;
}

int64_t node_wall_ms(const struct region *region, const struct node *node) {
    return wall_start_ms + (int64_t)(region->now_us / MS) + node->wall_offset_ms;
}

/* The first moment at which the node's clock says so. */
static uint64_t when(const struct region *region, const struct node *node, uint64_t mono_ms) {
    if (mono_ms <= node_mono_ms(region, node)) {
        return region->now_us;
    }
    return node->mono_since_us + (mono_ms - node->mono_base_ms) * 1000 * MS / node->mono_rate +
           MS / 10;
}

static void wake_at(struct region *region, struct node *node, uint64_t mono_ms) {
    node->wake_ms = mono_ms;
    queue_push(&region->queue, (struct event){.time_us = when(region, node, mono_ms),
                                              .kind = EVENT_WAKE,
                                              .node = node->id,
                                              .epoch = node->epoch,
                                              .id = ++node->wake_number});
}

void node_set_clock(struct region *region, struct node *node, uint64_t ahead_ms, unsigned rate) {
    node->mono_base_ms = node_mono_ms(region, node) + ahead_ms;
    node->mono_since_us = region->now_us;
    node->mono_rate = rate;
    if (node->is_up && node->wake_ms != 0) {
        wake_at(region, node, node->wake_ms);
    }
}

/* ---- what waits for answers ---- */

static void *more(void *array, size_t n, size_t *room, size_t size) {
    if (n < *room) {
        return array;
    }
    *room = *room == 0 ? 32 : *room * 2;
    array = reallocarray(array, *room, size);
    CHECK(array != NULL);
    return array;
}

static void forget_pending(struct region *region, struct node *node) {
    for (size_t i = 0; i < node->n_pending; i++) {
        if (node->pending[i].attempt != 0) {
            client_answer(region, node->pending[i].attempt, ERR_OUTCOME_UNKNOWN, 0);
        }
    }
    node->n_pending = 0;
    node->region_is_proposed = false;
}

struct applying {
    struct region *region;
    struct node *node;
};

static void on_result(void *arg, uint64_t index, unsigned place, Redoubt__Result *result) {
    const struct applying *applying = arg;
    struct node *node = applying->node;

    audit_answer(applying->region, node->id, index, place, result);
    command_result_free(result);
    if (node->n_pending == 0 || node->pending[0].index != index ||
        node->pending[0].place != place) {
        return; /* replayed, or another leader's */
    }
    audit_acknowledged(applying->region, node->id, index, place, node->pending[0].hash);
    if (node->pending[0].attempt != 0) {
        client_answer(applying->region, node->pending[0].attempt, OK, index);
    }
    node->n_pending--;
    memmove(node->pending, node->pending + 1, node->n_pending * sizeof(node->pending[0]));
}

static void on_dirty(void *arg, const char *region) {
    (void)arg;
    region_fail("an outbox towards %s has entries", region);
}

/* ---- effects ---- */

static void effect_role(struct region *region, struct node *node,
                        const struct core_effect *effect) {
    static const char *const words[] = {"follower", "candidate", "LEADER"};

    if (effect->role == CORE_LEADER) {
        audit_leader(region, node->id, effect->term);
        region->counts.elections += node->role != CORE_LEADER;
    } else if (node->role == CORE_LEADER) {
        forget_pending(region, node);
    }
    node->role = effect->role;
    trace_note(&region->trace, region->now_us, node->id, "%s t%" PRIu64 " of %" PRIu64,
               words[effect->role], effect->term, effect->leader_id);
}

bool node_is_full(const struct region *region, const struct node *node) {
    return region->now_us < node->full_until_us;
}

/* As it is before an event; commands that were taken before stay. */
static void look_at_room(struct region *region, struct node *node) {
    node->room = node_is_full(region, node) ? core_last_index(node->core) : UINT64_MAX;
    core_set_room(node->core, !node_is_full(region, node));
}

static void effect_write(struct region *region, struct node *node,
                         const struct core_effect *effect) {
    struct log_batch *batch = writer_open(node);

    for (size_t i = 0; i < effect->n_entries; i++) {
        const struct core_entry *entry = &effect->entries[i];
        const struct log_entry row = {.term = entry->term,
                                      .type = (uint8_t)entry->type,
                                      .data = entry->data,
                                      .len = entry->len};
        if (effect->first + i > node->room && entry->type == CORE_COMMAND) {
            region_fail("node %u takes a command at %" PRIu64 ", and has no room", node->id,
                        effect->first + i);
        }
        log_batch_append(batch, effect->first + i, &row, 1);
    }
    trace_note(&region->trace, region->now_us, node->id, "write %" PRIu64 "+%zu", effect->first,
               effect->n_entries);
    writer_submit(region, node, effect->write_id, false);
}

/* In stretches, so that states can be compared at the same indexes on all nodes. */
static void effect_apply(struct region *region, struct node *node,
                         const struct core_effect *effect) {
    struct applying applying = {region, node};
    const struct fsm_callbacks callbacks = {
        .result = on_result, .dirty = on_dirty, .arg = &applying};
    size_t begin = 0;

    trace_note(&region->trace, region->now_us, node->id, "apply %" PRIu64 "+%zu", effect->first,
               effect->n_entries);
    for (size_t i = 0; i < effect->n_entries; i++) {
        uint64_t index = effect->first + i;
        bool is_mark = index % AUDIT_STATE_EVERY == 0;
        audit_apply(region, node->id, index, &effect->entries[i]);
        if (is_mark || i + 1 == effect->n_entries) {
            fsm_apply(node->fsm, effect->first + begin, effect->entries + begin, i + 1 - begin,
                      &callbacks);
            begin = i + 1;
        }
        if (is_mark) {
            audit_state(region, node->id, index, node->engine);
        }
    }
}

/* libraft's layout of a configuration; see cluster/core_configuration.c. */
static void effect_configuration(struct region *region, struct node *node,
                                 const struct core_effect *effect) {
    static const enum member_role roles[] = {MEMBER_STANDBY, MEMBER_VOTER, MEMBER_SPARE};
    const uint8_t *at = effect->configuration.data;
    uint64_t n = get_le64(at + 1);
    char text[REGION_NODES + 1] = ".....";

    at += 9;
    memset(node->members, 0, sizeof(node->members));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = get_le64(at);
        at += 8 + strlen((const char *)at + 8) + 1;
        node->members[id] = roles[*at++];
        text[id - 1] = node->members[id] == MEMBER_VOTER ? 'V' : 's';
    }
    node->members_index = effect->first;
    trace_note(&region->trace, region->now_us, node->id, "members %s at %" PRIu64, text,
               effect->first);
}

/* Everything that was acknowledged to anybody before the read was asked for must be in it. */
static void effect_read(struct region *region, struct node *node,
                        const struct core_effect *effect) {
    size_t n = 0;

    while (n < node->n_readings && node->readings[n].id <= effect->read_id) {
        const struct attempt *attempt = attempt_at(region, node->readings[n].attempt);
        uint64_t index = audit_read(
            region, node->id, attempt->is_all ? DEED_NAMES : attempt->deed.name, node->engine);
        if (index < attempt->floor) {
            region_fail("node %u answers a read from %" PRIu64 ", clients had seen %" PRIu64,
                        node->id, index, attempt->floor);
        }
        client_answer(region, node->readings[n].attempt, OK, index);
        n++;
    }
    node->n_readings -= n;
    memmove(node->readings, node->readings + n, node->n_readings * sizeof(node->readings[0]));
}

static void execute(struct region *region, struct node *node, const struct core_effect *effect) {
    switch (effect->kind) {
    case CORE_EFFECT_VOTE:
        writer_vote(node, effect->term, effect->voted_for);
        node->has_voted = effect->voted_for != 0;
        break;
    case CORE_EFFECT_ROLE:
        effect_role(region, node, effect);
        break;
    case CORE_EFFECT_WRITE:
        effect_write(region, node, effect);
        break;
    case CORE_EFFECT_INSTALL:
        if (node->room != UINT64_MAX) {
            region_fail("node %u installs a snapshot, and has no room", node->id);
        }
        snapshot_install(region, node, &effect->snapshot);
        break;
    case CORE_EFFECT_SEND:
        if (core_term(node->core) > node->term) {
            region_fail("node %u speaks in term %" PRIu64 ", which is not on its disk", node->id,
                        core_term(node->core));
        }
        stream_send(region, node->id, (unsigned)effect->peer, effect->message);
        break;
    case CORE_EFFECT_APPLY:
        effect_apply(region, node, effect);
        break;
    case CORE_EFFECT_CONFIGURATION:
        effect_configuration(region, node, effect);
        break;
    case CORE_EFFECT_WAKE:
        wake_at(region, node, effect->wake_ms);
        break;
    case CORE_EFFECT_READ:
        effect_read(region, node, effect);
        break;
    case CORE_EFFECT_SNAPSHOT:
        snapshot_wanted(region, node);
        break;
    }
}

static void propose_region(struct region *region, struct node *node) {
    if (node->region_is_proposed || !core_is_current_leader(node->core) ||
        fsm_has_region(node->fsm)) {
        return;
    }
    node->region_is_proposed = true;
    node_propose(region, node, &(struct proposal){.deed = {.kind = DEED_REGION}});
}

void node_settle(struct region *region, struct node *node) {
    const struct core_effect *effect;
    uint64_t commit = core_commit_index(node->core);

    if (commit < node->commit) {
        region_fail("the commit index of node %u steps back to %" PRIu64, node->id, commit);
    }
    node->commit = commit;
    while (!node->is_dying && (effect = core_next_effect(node->core)) != NULL) {
        if (!region->is_calm && dice_roll(&region->dice, 1, 10000000) <= CRASH_PER_10_MILLION) {
            node->is_dying = true;
            region->counts.torn++;
            return;
        }
        execute(region, node, effect);
    }
    if (node->has_voted && !region->is_calm) {
        node->is_dying = node->is_dying || dice_chance(&region->dice, CRASH_VOTED_PER_MILLE);
    }
    node->has_voted = false;
    if (!node->is_dying) {
        snapshot_shorten(region, node);
        propose_region(region, node);
    }
}

/* ---- requests ---- */

void node_propose(struct region *region, struct node *node, const struct proposal *proposal) {
    node->proposals =
        more(node->proposals, node->n_proposals, &node->proposals_room, sizeof(node->proposals[0]));
    node->proposals[node->n_proposals++] = *proposal;
    if (!node->gather_is_due) {
        node->gather_is_due = true;
        queue_push(&region->queue,
                   (struct event){.time_us = region->now_us + dice_roll(&region->dice, 0, 2 * MS),
                                  .kind = EVENT_GATHER,
                                  .node = node->id,
                                  .epoch = node->epoch});
    }
}

/* The leader resolves what varies: its time, random suffixes, the sealing. */
static void resolve(struct region *region, struct node *node, struct deed *deed) {
    deed->now_ms = node_wall_ms(region, node);
    deed->nonce = dice_next(&region->dice);
    if (deed->kind == DEED_CREATE) {
        (void)snprintf(deed->suffix, sizeof(deed->suffix), "%06" PRIx64,
                       dice_roll(&region->dice, 0, 0xffffff));
    }
    if (deed->kind == DEED_DELETE) {
        deed->deletion_ms = deed->now_ms + deed->deletion_ms; /* the client says how long */
        (void)snprintf(deed->invented, sizeof(deed->invented), "%06" PRIx64,
                       dice_roll(&region->dice, 0, 0xffffff));
    }
}

/* Some of what waits becomes one entry: its bytes at `out`, what will answer at `pending`. */
static size_t gather(struct region *region, struct node *node, size_t at, struct buf *out,
                     struct pending *pending) {
    size_t n = dice_roll(&region->dice, 1, ENTRY_COMMANDS);
    unsigned place = 0;

    for (; place < n && at + place < node->n_proposals; place++) {
        struct proposal *proposal = &node->proposals[at + place];
        size_t begin = out->len;
        resolve(region, node, &proposal->deed);
        proposal->deed.quotas = region->quotas;
        deed_encode(&proposal->deed, out);
        audit_proposed(&region->audit, &proposal->deed, out->data + begin, out->len - begin,
                       proposal->floor);
        pending[place] =
            (struct pending){.place = place,
                             .attempt = proposal->attempt,
                             .hash = hash_bytes(HASH_START, out->data + begin, out->len - begin)};
    }
    return place;
}

/* False when the core takes no more now. */
static bool submit(struct region *region, struct node *node, size_t *at) {
    enum { MOST = SUBMIT_ENTRIES * ENTRY_COMMANDS };
    struct buf bytes[SUBMIT_ENTRIES];
    struct core_bytes commands[SUBMIT_ENTRIES];
    struct pending pending[MOST];
    size_t n_pending = 0;
    size_t n = 0;
    uint64_t first = 0;
    size_t begin = *at;

    while (n < SUBMIT_ENTRIES && *at < node->n_proposals) {
        buf_init(&bytes[n], LIMIT_COMMAND);
        size_t count = gather(region, node, *at, &bytes[n], pending + n_pending);
        for (size_t i = 0; i < count; i++) {
            pending[n_pending + i].index = n; /* which entry, for now */
        }
        commands[n] = (struct core_bytes){bytes[n].data, bytes[n].len};
        n_pending += count;
        *at += count;
        n++;
    }
    enum errc rc = core_submit(node->core, node_mono_ms(region, node), commands, n, &first);
    for (size_t i = 0; i < n; i++) {
        buf_fini(&bytes[i]);
    }
    if (rc == ERR_NOT_LEADER || rc == ERR_BUSY) {
        *at = begin;
        return false;
    }
    must(rc, "submit");
    for (size_t i = 0; i < n_pending; i++) {
        node->pending =
            more(node->pending, node->n_pending, &node->pending_room, sizeof(node->pending[0]));
        pending[i].index += first;
        node->pending[node->n_pending++] = pending[i];
    }
    node_settle(region, node);
    return true;
}

static void gather_all(struct region *region, struct node *node) {
    size_t at = 0;

    node->gather_is_due = false;
    while (at < node->n_proposals && !node->is_dying && !node_is_full(region, node) &&
           submit(region, node, &at)) {
    }
    /* Refused: nothing happened with these. */
    for (; at < node->n_proposals && !node->is_dying; at++) {
        if (node->proposals[at].attempt != 0) {
            client_answer(region, node->proposals[at].attempt, ERR_NOT_LEADER, 0);
        } else {
            node->region_is_proposed = false;
        }
    }
    node->n_proposals = 0;
}

void node_read(struct region *region, struct node *node, uint64_t attempt) {
    uint64_t id = 0;

    must(core_read(node->core, node_mono_ms(region, node), &id), "read");
    node->readings =
        more(node->readings, node->n_readings, &node->readings_room, sizeof(node->readings[0]));
    node->readings[node->n_readings++] = (struct reading){.id = id, .attempt = attempt};
    node_settle(region, node);
}

void node_change(struct region *region, struct node *node, enum core_change change, unsigned id) {
    static const char *const words[] = {"add", "promote", "demote", "remove", "readdress"};
    char address[32];

    (void)snprintf(address, sizeof(address), "n%u.%" PRIu64, id, ++region->next_name);
    enum errc rc = core_change(node->core, node_mono_ms(region, node), change, id, address);
    trace_note(&region->trace, region->now_us, node->id, "%s %u: %d", words[change], id, (int)rc);
    if (rc != OK && rc != ERR_BUSY && rc != ERR_NOT_LEADER && rc != ERR_NO_QUORUM) {
        region_fail("a change of the membership: %d", (int)rc);
    }
    region->counts.changes += rc == OK;
    region->counts.promotions += rc == OK && change == CORE_PROMOTE;
    if (rc == OK) {
        node_settle(region, node);
    }
}

void node_transfer(struct region *region, struct node *node, unsigned target) {
    enum errc rc = core_transfer(node->core, node_mono_ms(region, node), target);

    trace_note(&region->trace, region->now_us, node->id, "transfer %u: %d", target, (int)rc);
    if (rc != OK && rc != ERR_BUSY && rc != ERR_NOT_LEADER && rc != ERR_UNAVAILABLE) {
        region_fail("a transfer of leadership: %d", (int)rc);
    }
    region->counts.transfers += rc == OK;
    if (rc == OK) {
        node_settle(region, node);
    }
}

/* ---- lives ---- */

void node_init(struct region *region, unsigned id) {
    struct node *node = &region->nodes[id];

    node->id = id;
    node->disk = disk_new();
    node->mono_base_ms = dice_roll(&region->dice, 1, 1000000);
    node->mono_rate = (unsigned)dice_roll(&region->dice, 970, 1030);
    node->wall_offset_ms = (int64_t)dice_roll(&region->dice, 0, 4000) - 2000;
    (void)snprintf(node->address, sizeof(node->address), "n%u", id);
}

void node_fini(struct node *node) {
    if (node->is_up) {
        node_close(node);
    }
    disk_free(node->disk);
    for (unsigned i = 0; i < NODE_CHECKPOINTS; i++) {
        disk_image_fini(&node->checkpoints[i].image);
    }
    free(node->proposals);
    free(node->pending);
    free(node->readings);
}

void node_bootstrap(struct node *node, const uint8_t *configuration, size_t len) {
    const struct log_entry entry = {
        .term = 1, .type = CORE_CHANGE, .data = configuration, .len = len};
    struct log_batch *batch = log_batch_new(disk_start(node->disk));
    struct err err;

    CHECK(batch != NULL);
    log_batch_vote(batch, 1, 0);
    log_batch_append(batch, 1, &entry, 1);
    if (log_batch_commit(batch, &err) != OK) {
        region_fail("a first log: %s", err.message);
    }
    log_batch_free(batch);
    disk_crash(node->disk, disk_written(node->disk));
}

void node_open(struct region *region, struct node *node) {
    struct err err;

    (void)region;
    node->engine = disk_start(node->disk);
    if (fsm_open(node->engine, DEED_REGION_NAME, &node->fsm, &err) != OK) {
        region_fail("the state machine of node %u: %s", node->id, err.message);
    }
}

void node_close(struct node *node) {
    writer_reset(&node->writer);
    core_free(node->core);
    fsm_close(node->fsm);
    node->core = NULL;
    node->fsm = NULL;
    node->engine = NULL;
    node->is_up = false;
    node->is_dying = false;
    node->n_readings = 0;
    node->n_pending = 0;
    node->n_proposals = 0;
    snapshot_forget(node);
}

static void begin_life(struct node *node) {
    node->epoch++;
    node->is_up = true;
    node->is_dying = false;
    node->role = CORE_FOLLOWER;
    node->commit = 0;
    node->wake_ms = 0;
    node->region_is_proposed = false;
    node->gather_is_due = false;
    node->snapshot_runs = false;
    node->checkpoint_is_due = false;
    node->paused_until_us = 0;
    node->room = UINT64_MAX; /* there was, for what it begins with */
}

static void start_core(struct region *region, struct node *node, const struct log_image *image) {
    struct core_entry *entries = calloc(image->n_entries + 1, sizeof(*entries));

    CHECK(entries != NULL);
    for (size_t i = 0; i < image->n_entries; i++) {
        const struct log_entry *row = &image->entries[i];
        entries[i] = (struct core_entry){.term = row->term,
                                         .type = (enum core_entry_type)row->type,
                                         .data = row->data,
                                         .len = row->len};
    }
    const struct core_persisted persisted = {
        .term = image->term,
        .voted_for = image->voted_for,
        .snapshot = {.index = image->snapshot.index,
                     .term = image->snapshot.term,
                     .configuration_index = image->snapshot.configuration_index,
                     .configuration = {image->snapshot.configuration,
                                       image->snapshot.configuration_len},
                     .manifest = {image->snapshot.manifest, image->snapshot.manifest_len}},
        .first_index = image->first_index,
        .entries = entries,
        .n_entries = image->n_entries,
        .applied = fsm_applied(node->fsm),
    };
    node->term = image->term;
    node->voted_for = image->voted_for;
    node->snapshot_index = image->snapshot.index;
    node->next_shorten = persisted.applied + dice_roll(&region->dice, 20, 120);
    trace_note(&region->trace, region->now_us, node->id,
               "start t%" PRIu64 " %" PRIu64 "+%zu a%" PRIu64, image->term, image->first_index,
               image->n_entries, persisted.applied);
    must(core_start(node->core, node_mono_ms(region, node), &persisted), "start");
    free(entries);
}

void node_start(struct region *region, struct node *node) {
    struct log_image *image = NULL;
    struct err err;

    begin_life(node);
    node_open(region, node);
    (void)audit_read(region, node->id, DEED_NAMES, node->engine);
    if (log_store_load(node->engine, &image, &err) != OK) {
        region_fail("the log of node %u: %s", node->id, err.message);
    }
    node->core = core_new(&(struct core_options){
        .id = node->id,
        .address = node->address,
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .max_inflight_entries = region->max_inflight,
        .seed = (uint32_t)dice_next(&region->dice),
    });
    CHECK(node->core != NULL);
    start_core(region, node, image);
    log_image_free(image);
    node_settle(region, node);
}

void node_crash(struct region *region, struct node *node, bool power) {
    uint64_t durable = disk_durable(node->disk);
    uint64_t written = disk_written(node->disk);
    uint64_t survives = power ? dice_roll(&region->dice, durable, written) : written;

    trace_note(&region->trace, region->now_us, node->id, "CRASH keeps %" PRIu64 "/%" PRIu64,
               survives - durable, written - durable);
    region->counts.crashes++;
    node_close(node);
    disk_crash(node->disk, survives);
    for (unsigned other = 1; other <= REGION_NODES; other++) {
        stream_break(region, node->id, other);
        stream_break(region, other, node->id);
    }
}

/* ---- events ---- */

/* As a node whose disk is full does. */
static void lead_elsewhere(struct region *region, struct node *node) {
    if (node->is_dying || !node_is_full(region, node) || core_role(node->core) != CORE_LEADER ||
        region->now_us < node->led_elsewhere_us + (uint64_t)(2 * ELECTION_MS * MS) ||
        core_majority_lacks_room(node->core)) {
        return;
    }
    node->led_elsewhere_us = region->now_us;
    node_transfer(region, node, 0);
}

static void wake(struct region *region, struct node *node, const struct event *event) {
    if (event->id != node->wake_number) {
        return; /* another wake has taken its place */
    }
    if (node_mono_ms(region, node) < node->wake_ms) {
        wake_at(region, node, node->wake_ms);
        return;
    }
    node->wake_ms = 0;
    must(core_wake(node->core, node_mono_ms(region, node)), "wake");
    node_settle(region, node);
    lead_elsewhere(region, node);
}

static void receive(struct region *region, struct node *node, const struct event *event) {
    enum errc rc = core_receive(node->core, node_mono_ms(region, node), event->from,
                                (struct core_bytes){event->bytes, event->len});

    must(rc, "receive");
    node_settle(region, node);
}

static void happen(struct region *region, struct node *node, const struct event *event) {
    look_at_room(region, node);
    switch (event->kind) {
    case EVENT_MESSAGE:
        receive(region, node, event);
        break;
    case EVENT_WAKE:
        wake(region, node, event);
        break;
    case EVENT_LOG_WRITE:
        writer_write(region, node);
        break;
    case EVENT_LOG_SYNCED:
        writer_synced(region, node);
        break;
    case EVENT_GATHER:
        gather_all(region, node);
        break;
    case EVENT_CHECKPOINT:
        snapshot_checkpoint(region, node, event->id);
        break;
    case EVENT_FETCH:
        snapshot_fetch(region, node);
        break;
    case EVENT_REQUEST:
        client_arrive(region, node, event->id, (unsigned)event->len);
        break;
    case EVENT_RESTART:
    case EVENT_REPLY:
    case EVENT_CLIENT:
    case EVENT_FAULT:
        break;
    }
}

/* What was to kill it may have come outside of an event of its own, at its start. */
static void die_when_due(struct region *region, struct node *node) {
    if (node->is_up && node->is_dying) {
        /* Often it is back at once, in the midst of what it was about. */
        uint64_t most_ms = dice_chance(&region->dice, 500) ? 30 : 900;
        node_crash(region, node, true);
        queue_push(
            &region->queue,
            (struct event){.time_us = region->now_us + dice_roll(&region->dice, MS, most_ms * MS),
                           .kind = EVENT_RESTART,
                           .node = node->id,
                           .epoch = node->epoch});
    }
}

void node_deliver(struct region *region, struct node *node, struct event *event) {
    bool is_of_life = event->kind != EVENT_MESSAGE && event->kind != EVENT_REQUEST;

    die_when_due(region, node);
    if (event->kind == EVENT_RESTART) {
        if (!node->is_up && event->epoch == node->epoch) {
            node_start(region, node);
        }
    } else if (!node->is_up) {
        if (event->kind == EVENT_REQUEST) {
            client_answer(region, event->id, ERR_UNAVAILABLE, 0);
        }
    } else if (region->now_us < node->paused_until_us) {
        struct event later = *event;
        later.time_us = node->paused_until_us;
        queue_push(&region->queue, later);
        event->bytes = NULL;
        return;
    } else if (!is_of_life || event->epoch == node->epoch) {
        happen(region, node, event);
    }
    die_when_due(region, node);
}
