#include "cluster/node.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/wipe.h"
#include "cluster/core.h"
#include "cluster/envelope.h"
#include "cluster/fsm.h"
#include "cluster/log_writer.h"
#include "storage/log_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    NODE_ELECTION_MS = 1000,
    NODE_HEARTBEAT_DIVISOR = 10,
    NODE_INFLIGHT_ENTRIES = 1024,
    NODE_MEMBERS = 1, /* voters of a new group */
};

/* The proposals that share one log entry, until it is applied or its leader is lost. */
struct pending {
    struct pending *next;
    uint64_t index;
    unsigned count;
    struct proposal **proposals; /* by place */
};

struct node {
    const struct world *world;
    struct engine *engine;
    char region[LIMIT_REGION_NAME + 1];
    void (*dirty_cb)(void *arg, const char *region);
    void *dirty_arg;
    uint64_t snapshot_entries;
    uint64_t snapshot_bytes;
    unsigned snapshot_trailing;

    /* Shared. */
    struct mailbox *proposals;
    atomic_size_t queued_bytes;
    atomic_bool ready;
    atomic_bool leader;
    atomic_bool stopping;
    pthread_mutex_t status_lock;
    struct node_status status;

    /* The Raft thread's. */
    pthread_t thread;
    uv_loop_t loop;
    uv_poll_t proposals_poll;
    uv_poll_t written_poll;
    uv_timer_t wake_timer;
    struct core *core;
    struct fsm *fsm;
    struct log_writer *writer;
    struct pending *pending;
    struct pending **pending_last;
    enum core_role role;
    uint64_t snapshot_index;
    bool snapshot_runs;
    bool region_proposed;
};

static const char *const role_names[] = {
    [CORE_FOLLOWER] = "follower", [CORE_CANDIDATE] = "candidate", [CORE_LEADER] = "leader"};

/* ---- proposals ---- */

struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = calloc(1, sizeof(*proposal));

    if (proposal == NULL) {
        return NULL;
    }
    proposal->type = type;
    buf_init(&proposal->command, LIMIT_COMMAND);
    command_encode(&proposal->command, type, command);
    if (proposal->command.failed) {
        proposal_free(proposal);
        return NULL;
    }
    return proposal;
}

void proposal_free(struct proposal *proposal) {
    if (proposal == NULL) {
        return;
    }
    buf_fini(&proposal->command);
    command_result_free(proposal->result);
    free(proposal);
}

enum errc node_propose(struct node *node, struct proposal *proposal) {
    size_t len = proposal->command.len;
    enum errc code;

    if (atomic_fetch_add(&node->queued_bytes, len) + len > LIMIT_PROPOSAL_BYTES) {
        atomic_fetch_sub(&node->queued_bytes, len);
        return ERR_BUSY;
    }
    code = mailbox_push(node->proposals, &proposal->letter);
    if (code != OK) {
        atomic_fetch_sub(&node->queued_bytes, len);
    }
    return code;
}

static void finish(struct node *node, struct proposal *proposal, enum errc code) {
    atomic_fetch_sub(&node->queued_bytes, proposal->command.len);
    proposal->code = code;
    proposal->done_cb(proposal);
}

static void pending_free(struct pending *pending) {
    free(pending->proposals);
    free(pending);
}

static struct pending *pending_take_first(struct node *node) {
    struct pending *first = node->pending;

    node->pending = first->next;
    if (node->pending == NULL) {
        node->pending_last = &node->pending;
    }
    return first;
}

/* The leader is lost: what was appended may or may not be committed by the next one. */
static void fail_pending(struct node *node) {
    while (node->pending != NULL) {
        struct pending *pending = pending_take_first(node);
        for (unsigned i = 0; i < pending->count; i++) {
            if (pending->proposals[i] != NULL) {
                finish(node, pending->proposals[i], ERR_OUTCOME_UNKNOWN);
            }
        }
        pending_free(pending);
    }
}

/* ---- effects ---- */

static _Noreturn void node_die(const char *what, enum errc code) {
    LOG_ERROR("raft.fatal", F_STR("event", what), F_STR("error", errc_name(code)),
              F_STR("detail", errc_sentence(code)));
    abort();
}

static void on_result(void *arg, uint64_t index, unsigned place, Redoubt__Result *result) {
    struct node *node = arg;
    struct pending *pending = node->pending;
    struct proposal *proposal;

    if (pending == NULL || pending->index != index) {
        command_result_free(result); /* replayed, or another leader's */
        return;
    }
    CHECK(place < pending->count);
    proposal = pending->proposals[place];
    if (place + 1 == pending->count) {
        pending_free(pending_take_first(node));
    }
    proposal->result = result;
    proposal->index = index;
    finish(node, proposal, OK);
}

static void on_dirty(void *arg, const char *region) {
    struct node *node = arg;

    if (node->dirty_cb != NULL && atomic_load(&node->leader)) {
        node->dirty_cb(node->dirty_arg, region);
    }
}

static void effect_role(struct node *node, const struct core_effect *effect) {
    bool was_leader = node->role == CORE_LEADER;

    node->role = effect->role;
    atomic_store(&node->leader, effect->role == CORE_LEADER);
    if (was_leader && effect->role != CORE_LEADER) {
        fail_pending(node);
    }
    if (!was_leader && effect->role == CORE_LEADER) {
        on_dirty(node, NULL);
    }
    LOG_INFO("raft.role", F_U64("term", effect->term), F_STR("role", role_names[effect->role]),
             F_U64("leader", effect->leader_id));
}

static void effect_write(struct node *node, const struct core_effect *effect) {
    struct log_batch *batch = log_writer_open(node->writer);

    for (size_t i = 0; i < effect->n_entries; i++) {
        const struct core_entry *entry = &effect->entries[i];
        struct log_entry row = {.term = entry->term,
                                .type = (uint8_t)entry->type,
                                .data = entry->data,
                                .len = entry->len};
        log_batch_append(batch, effect->first + i, &row, 1);
    }
    log_writer_submit(node->writer, effect->write_id, false);
}

static void effect_wake(struct node *node, const struct core_effect *effect);

static void execute_effects(struct node *node) {
    const struct fsm_callbacks callbacks = {.result = on_result, .dirty = on_dirty, .arg = node};
    const struct core_effect *effect;

    while ((effect = core_next_effect(node->core)) != NULL) {
        switch (effect->kind) {
        case CORE_EFFECT_VOTE:
            log_writer_vote(node->writer, effect->term, effect->voted_for);
            break;
        case CORE_EFFECT_ROLE:
            effect_role(node, effect);
            break;
        case CORE_EFFECT_WRITE:
            effect_write(node, effect);
            break;
        case CORE_EFFECT_APPLY:
            fsm_apply(node->fsm, effect->first, effect->entries, effect->n_entries, &callbacks);
            break;
        case CORE_EFFECT_WAKE:
            effect_wake(node, effect);
            break;
        case CORE_EFFECT_CONFIGURATION:
            break; /* the core knows; a snapshot asks it */
        case CORE_EFFECT_READ:
        case CORE_EFFECT_SNAPSHOT:
        case CORE_EFFECT_INSTALL:
        case CORE_EFFECT_SEND:
            /* A group of one has nobody to send to or to install from. */
            node_die("effect for a peer in a group of one", ERR_MALFORMED);
        }
    }
}

/* ---- snapshots: the state is durable through the shared write-ahead log, so that a snapshot is
 * its metadata and a shorter log ---- */

static bool snapshot_is_due(const struct node *node, unsigned trailing) {
    uint64_t entries = core_last_index(node->core) + 1 - core_first_index(node->core);

    /* Entries that must stay behind do not count, else every entry after the first snapshot would
     * be a reason for the next. */
    return !node->snapshot_runs &&
           core_applied_index(node->core) > node->snapshot_index + trailing &&
           (entries >= node->snapshot_entries + trailing ||
            core_log_bytes(node->core) >= node->snapshot_bytes);
}

static void maybe_snapshot(struct node *node) {
    /* Entries behind the snapshot are for followers that lag. */
    unsigned trailing = core_is_only_voter(node->core) ? 0 : node->snapshot_trailing;
    struct core_snapshot snapshot;
    struct log_snapshot row;
    uint64_t keep_from;

    if (!snapshot_is_due(node, trailing) ||
        core_snapshot_prepare(node->core, 0, trailing, &snapshot, &keep_from) != OK) {
        return;
    }
    row = (struct log_snapshot){
        .index = snapshot.index,
        .term = snapshot.term,
        .configuration_index = snapshot.configuration_index,
        .configuration = snapshot.configuration.data,
        .configuration_len = snapshot.configuration.len,
    };
    log_batch_snapshot(log_writer_open(node->writer), &row, keep_from);
    node->snapshot_runs = true;
    node->snapshot_index = snapshot.index;
    log_writer_submit(node->writer, 0, true);
}

/* ---- the region's first command ---- */

static void region_done(struct proposal *proposal) {
    struct node *node = proposal->arg;

    node->region_proposed = proposal->code == OK;
    proposal_free(proposal);
}

static void maybe_propose_region(struct node *node) {
    Redoubt__RegionInit command = REDOUBT__REGION_INIT__INIT;
    struct proposal *proposal;

    if (node->region_proposed || !core_is_current_leader(node->core) || fsm_has_region(node->fsm)) {
        return;
    }
    command.name = node->region;
    proposal = proposal_new(COMMAND_REGION_INIT, &command.base);
    CHECK(proposal != NULL);
    proposal->done_cb = region_done;
    proposal->arg = node;
    node->region_proposed = true;
    if (node_propose(node, proposal) != OK) {
        node->region_proposed = false;
        proposal_free(proposal);
    }
}

/* ---- turns of the loop ---- */

static void publish_status(struct node *node) {
    bool ready = core_is_current_leader(node->core) && core_is_only_voter(node->core) &&
                 fsm_has_region(node->fsm);
    struct node_status status = {
        .role = role_names[core_role(node->core)],
        .term = core_term(node->core),
        .commit = core_commit_index(node->core),
        .applied = fsm_applied(node->fsm),
        .first = core_first_index(node->core),
        .last = core_last_index(node->core),
        .log_bytes = core_log_bytes(node->core),
        .snapshot = node->snapshot_index,
        .ready = ready,
    };

    atomic_store(&node->ready, ready);
    CHECK(pthread_mutex_lock(&node->status_lock) == 0);
    node->status = status;
    CHECK(pthread_mutex_unlock(&node->status_lock) == 0);
}

static uint64_t now(const struct node *node) {
    return world_mono_ms(node->world);
}

/* After every event. */
static void finish_turn(struct node *node, const char *event, enum errc code) {
    if (code != OK) {
        node_die(event, code);
    }
    execute_effects(node);
    maybe_snapshot(node);
    maybe_propose_region(node);
    publish_status(node);
}

static void on_wake(uv_timer_t *timer) {
    struct node *node = timer->data;

    finish_turn(node, "wake", core_wake(node->core, now(node)));
}

static void effect_wake(struct node *node, const struct core_effect *effect) {
    uint64_t at = now(node);

    CHECK(uv_timer_start(&node->wake_timer, on_wake,
                         effect->wake_ms > at ? effect->wake_ms - at : 0, 0) == 0);
}

static void on_written(uv_poll_t *poll, int status, int events) {
    struct node *node = poll->data;
    struct log_written written;

    while (log_writer_collect(node->writer, &written)) {
        if (written.write_id != 0) {
            finish_turn(node, "written", core_written(node->core, now(node), written.write_id));
        }
        if (written.snapshot) {
            struct core_bytes manifest = {.len = 0};
            node->snapshot_runs = false;
            LOG_INFO("raft.snapshot", F_U64("index", node->snapshot_index));
            finish_turn(node, "snapshot taken",
                        core_snapshot_taken(node->core, now(node), manifest));
        }
    }
}

/* One entry's worth of letters from the front of the chain, their commands end to end in `bytes`.
 */
static struct pending *gather(struct letter **chain, struct buf *bytes) {
    struct pending *pending = calloc(1, sizeof(*pending));
    unsigned count = 0;
    size_t len = 0;

    CHECK(pending != NULL);
    for (struct letter *at = *chain; at != NULL && count < LIMIT_ENTRY_COMMANDS; at = at->next) {
        struct proposal *proposal = CONTAINER_OF(at, struct proposal, letter);
        if (count > 0 && len + proposal->command.len > LIMIT_ENTRY_BYTES) {
            break;
        }
        len += proposal->command.len;
        count++;
    }
    pending->proposals = calloc(count, sizeof(struct proposal *));
    CHECK(pending->proposals != NULL);
    while (pending->count < count) {
        struct letter *letter = *chain;
        struct proposal *proposal = CONTAINER_OF(letter, struct proposal, letter);
        *chain = letter->next;
        pending->proposals[pending->count++] = proposal;
        buf_append(bytes, proposal->command.data, proposal->command.len);
    }
    CHECK(!bytes->failed);
    return pending;
}

static void submit(struct node *node, struct pending *pending, const struct buf *bytes) {
    struct core_bytes command = {bytes->data, bytes->len};
    uint64_t index;
    enum errc code = core_submit(node->core, now(node), &command, 1, &index);

    if (code == ERR_NOT_LEADER) {
        for (unsigned i = 0; i < pending->count; i++) {
            finish(node, pending->proposals[i], ERR_NOT_LEADER);
        }
        pending_free(pending);
        return;
    }
    if (code == OK) {
        pending->index = index;
        *node->pending_last = pending;
        node->pending_last = &pending->next;
    }
    finish_turn(node, "submit", code);
}

static void close_handles(struct node *node) {
    uv_close((uv_handle_t *)&node->proposals_poll, NULL);
    uv_close((uv_handle_t *)&node->written_poll, NULL);
    uv_close((uv_handle_t *)&node->wake_timer, NULL);
}

static void on_proposals(uv_poll_t *poll, int status, int events) {
    struct node *node = poll->data;
    struct letter *chain = mailbox_drain(node->proposals);

    if (atomic_load(&node->stopping)) {
        while (chain != NULL) {
            struct proposal *proposal = CONTAINER_OF(chain, struct proposal, letter);
            chain = chain->next;
            finish(node, proposal, ERR_UNAVAILABLE);
        }
        fail_pending(node);
        close_handles(node);
        return;
    }
    while (chain != NULL) {
        struct buf bytes;
        struct pending *pending;

        buf_init(&bytes, LIMIT_COMMAND + LIMIT_ENTRY_BYTES);
        pending = gather(&chain, &bytes);
        submit(node, pending, &bytes);
        buf_fini(&bytes);
    }
}

static void *node_main(void *arg) {
    struct node *node = arg;

    CHECK(uv_run(&node->loop, UV_RUN_DEFAULT) == 0);
    return NULL;
}

/* ---- start and stop ---- */

/* The first entry of a new group, on an empty store: term 1, a configuration with this node alone.
 */
static enum errc bootstrap(struct node *node, const struct node_options *options, struct err *err) {
    const struct core_server self = {.id = options->id, .address = "self"};
    struct log_batch *batch = log_batch_new(node->engine);
    uint8_t *configuration = NULL;
    struct log_entry entry = {.term = 1, .type = CORE_CHANGE};
    enum errc code;

    if (batch == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = core_configuration_encode(&self, NODE_MEMBERS, &configuration, &entry.len);
    if (code != OK) {
        (void)err_default(err, code);
        goto out;
    }
    entry.data = configuration;
    log_batch_vote(batch, 1, 0);
    log_batch_append(batch, 1, &entry, 1);
    code = log_batch_commit(batch, err);
out:
    wipe_free(configuration);
    log_batch_free(batch);
    return code;
}

static enum errc load(struct node *node, const struct node_options *options, struct log_image **ret,
                      struct err *err) {
    enum errc code = log_store_load(node->engine, ret, err);

    if (code != OK || (*ret)->term != 0) {
        return code;
    }
    log_image_free(*ret);
    *ret = NULL;
    code = bootstrap(node, options, err);
    return code == OK ? log_store_load(node->engine, ret, err) : code;
}

/* Hands the stored log to the core. The first turn of the loop comes from the core's first wake. */
static enum errc start_core(struct node *node, const struct log_image *image, struct err *err) {
    struct core_entry *entries = calloc(image->n_entries + 1, sizeof(*entries));
    struct core_persisted persisted = {
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
    enum errc code;

    if (entries == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < image->n_entries; i++) {
        const struct log_entry *row = &image->entries[i];
        entries[i] = (struct core_entry){.term = row->term,
                                         .type = (enum core_entry_type)row->type,
                                         .data = row->data,
                                         .len = row->len};
    }
    node->snapshot_index = image->snapshot.index;
    code = core_start(node->core, now(node), &persisted);
    free(entries);
    if (code != OK) {
        return err_set(err, code, "the stored log does not hang together: %s", errc_sentence(code));
    }
    finish_turn(node, "start", OK);
    return OK;
}

static void init_loop(struct node *node) {
    CHECK(uv_loop_init(&node->loop) == 0);
    CHECK(uv_poll_init(&node->loop, &node->proposals_poll, mailbox_fd(node->proposals)) == 0);
    CHECK(uv_poll_init(&node->loop, &node->written_poll, log_writer_fd(node->writer)) == 0);
    CHECK(uv_timer_init(&node->loop, &node->wake_timer) == 0);
    node->proposals_poll.data = node;
    node->written_poll.data = node;
    node->wake_timer.data = node;
    CHECK(uv_poll_start(&node->proposals_poll, UV_READABLE, on_proposals) == 0);
    CHECK(uv_poll_start(&node->written_poll, UV_READABLE, on_written) == 0);
}

static struct node *node_new(const struct node_options *options) {
    struct node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    node->world = options->world;
    node->engine = options->engine;
    node->dirty_cb = options->dirty_cb;
    node->dirty_arg = options->dirty_arg;
    node->snapshot_entries =
        options->snapshot_entries ? options->snapshot_entries : LIMIT_LOG_ENTRIES;
    node->snapshot_bytes = options->snapshot_bytes ? options->snapshot_bytes : LIMIT_LOG_BYTES;
    node->snapshot_trailing =
        (unsigned)(options->snapshot_trailing ? options->snapshot_trailing : LIMIT_LOG_TRAILING);
    node->pending_last = &node->pending;
    node->status.role = "follower";
    (void)snprintf(node->region, sizeof(node->region), "%s", options->region);
    CHECK(pthread_mutex_init(&node->status_lock, NULL) == 0);
    return node;
}

void node_free(struct node *node) {
    if (node == NULL) {
        return;
    }
    log_writer_stop(node->writer);
    core_free(node->core);
    fsm_close(node->fsm);
    mailbox_free(node->proposals);
    CHECK(pthread_mutex_destroy(&node->status_lock) == 0);
    free(node);
}

enum errc node_start(const struct node_options *options, struct node **ret, struct err *err) {
    struct core_options core_options = {
        .id = options->id,
        .address = "self",
        .election_timeout_ms =
            options->election_timeout_ms ? options->election_timeout_ms : NODE_ELECTION_MS,
        .max_inflight_entries = NODE_INFLIGHT_ENTRIES,
    };
    struct log_image *image = NULL;
    struct node *node = node_new(options);
    enum errc code = ERR_NO_MEMORY;

    if (node == NULL) {
        return err_default(err, code);
    }
    core_options.heartbeat_ms = core_options.election_timeout_ms / NODE_HEARTBEAT_DIVISOR;
    world_random(options->world, &core_options.seed, sizeof(core_options.seed));
    node->proposals = mailbox_new(LIMIT_PROPOSALS);
    node->core = core_new(&core_options);
    if (node->proposals == NULL || node->core == NULL) {
        (void)err_default(err, code);
        goto fail;
    }
    code = fsm_open(node->engine, node->region, &node->fsm, err);
    if (code != OK) {
        goto fail;
    }
    code = load(node, options, &image, err);
    if (code != OK) {
        goto fail;
    }
    code = log_writer_start(node->engine, &node->writer, err);
    if (code != OK) {
        goto fail;
    }
    init_loop(node);
    code = start_core(node, image, err);
    log_image_free(image);
    image = NULL;
    if (code != OK) {
        close_handles(node);
        (void)uv_run(&node->loop, UV_RUN_DEFAULT);
        CHECK(uv_loop_close(&node->loop) == 0);
        goto fail;
    }
    CHECK(pthread_create(&node->thread, NULL, node_main, node) == 0);
    (void)pthread_setname_np(node->thread, "raft");
    *ret = node;
    return OK;
fail:
    log_image_free(image);
    node_free(node);
    return code;
}

void node_stop(struct node *node) {
    if (node == NULL) {
        return;
    }
    /* Closed first: what is pushed behind the last drain would never be answered. */
    mailbox_close(node->proposals);
    atomic_store(&node->stopping, true);
    mailbox_wake(node->proposals);
    CHECK(pthread_join(node->thread, NULL) == 0);
    atomic_store(&node->ready, false);
    CHECK(uv_loop_close(&node->loop) == 0);
    log_writer_stop(node->writer);
    node->writer = NULL;
}

/* ---- views from other threads ---- */

enum errc node_read_barrier(const struct node *node) {
    return atomic_load(&node->ready) ? OK : ERR_UNAVAILABLE;
}

bool node_is_leader(const struct node *node) {
    return atomic_load(&node->leader);
}

void node_status(const struct node *node, struct node_status *ret) {
    /* The lock is the only thing that reading changes. */
    struct node *mutable_node = (struct node *)(uintptr_t)node;

    CHECK(pthread_mutex_lock(&mutable_node->status_lock) == 0);
    *ret = node->status;
    CHECK(pthread_mutex_unlock(&mutable_node->status_lock) == 0);
}

uint64_t node_age_ms(const struct node *node) {
    return atomic_load(&node->ready) ? 0 : UINT64_MAX;
}

/* A group of one knows its answer at once. */
enum errc node_ask(struct node *node, struct ticket *ticket) {
    if (atomic_load(&node->stopping)) {
        return ERR_UNAVAILABLE;
    }
    ticket->code = node_read_barrier(node);
    ticket->is_self = ticket->code == OK;
    ticket->done_cb(ticket);
    return OK;
}
