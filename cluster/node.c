#include "cluster/node.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wipe.h"
#include "cluster/bootstrap.h"
#include "cluster/core_message.h"
#include "cluster/node_internal.h"
#include "storage/log_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    NODE_ELECTION_MS = 500,
    NODE_HEARTBEAT_DIVISOR = 10,
    NODE_INFLIGHT_ENTRIES = 512,
    NODE_TICK_MS = 50,
};

/* ---- effects ---- */

_Noreturn void node_die(const char *what, enum errc code) {
    LOG_ERROR("raft.fatal", F_STR("event", what), F_STR("error", errc_name(code)),
              F_STR("detail", errc_sentence(code)));
    abort();
}

static void on_result(void *arg, uint64_t index, unsigned place, Redoubt__Result *result) {
    node_proposals_result(arg, index, place, result);
}

static void on_dirty(void *arg, const char *region) {
    struct node *node = arg;

    if (node->options.dirty_cb != NULL && atomic_load(&node->leader)) {
        node->options.dirty_cb(node->options.dirty_arg, region);
    }
}

/* With a pre-vote there is a candidate before there is a new term. */
static void count_role(struct node *node, const struct core_effect *effect) {
    if (effect->term != node->seen_term && effect->role != CORE_FOLLOWER) {
        metric_add(METRIC_RAFT_ELECTIONS, 1);
    }
    if (effect->leader_id != 0 && effect->leader_id != node->seen_leader) {
        metric_add(METRIC_RAFT_LEADER_CHANGES, 1);
        node->seen_leader = effect->leader_id;
    }
    node->seen_term = effect->term;
}

static void effect_role(struct node *node, const struct core_effect *effect) {
    bool was_leader = node->role == CORE_LEADER;

    count_role(node, effect);
    node->role = effect->role;
    atomic_store(&node->leader, effect->role == CORE_LEADER);
    atomic_store(&node->leader_id, effect->leader_id);
    if (was_leader && effect->role != CORE_LEADER) {
        node_proposals_lost(node);
    }
    if (!was_leader && effect->role == CORE_LEADER) {
        on_dirty(node, NULL);
    }
    LOG_INFO("raft.role", F_U64("term", effect->term), F_STR("role", node_role_name(effect->role)),
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

static void effect_install(struct node *node, const struct core_effect *effect) {
    enum errc code = ERR_UNAVAILABLE;

    if (node->options.installer != NULL) {
        code = installer_fetch(node->options.installer, &effect->snapshot);
        metric_add(METRIC_SNAPSHOTS_RECEIVED, 1);
    }
    LOG_INFO("raft.install", F_U64("index", effect->snapshot.index),
             F_STR("code", errc_name(code)));
    if (code != OK) {
        /* The core has dropped its log for it and waits. It starts anew from its disk, and the
         * leader will offer the snapshot again. */
        node_die("install", code);
    }
}

static void tell_level(struct node *node) {
    if (node->transport != NULL && fsm_has_region(node->fsm)) {
        transport_set_level(node->transport, (uint16_t)fsm_level(node->fsm));
    }
}

static void execute_effect(struct node *node, const struct core_effect *effect) {
    const struct fsm_callbacks callbacks = {.result = on_result, .dirty = on_dirty, .arg = node};

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
        tell_level(node);
        break;
    case CORE_EFFECT_WAKE:
        effect_wake(node, effect);
        break;
    case CORE_EFFECT_CONFIGURATION:
        break; /* the core knows; a snapshot asks it */
    case CORE_EFFECT_READ:
        node_tickets_read(node, effect->read_id);
        break;
    case CORE_EFFECT_SNAPSHOT:
        node_checkpoint_want(node);
        break;
    case CORE_EFFECT_INSTALL:
        effect_install(node, effect);
        break;
    case CORE_EFFECT_SEND:
        /* Lost when there is no stream: Raft sends again. */
        if (node->transport != NULL) {
            (void)transport_send(node->transport, effect->peer, effect->message);
        }
        break;
    }
}

static void execute_effects(struct node *node) {
    const struct core_effect *effect;

    while ((effect = core_next_effect(node->core)) != NULL) {
        execute_effect(node, effect);
    }
}

/* ---- turns of the loop ---- */

uint64_t node_now(const struct node *node) {
    return world_mono_ms(node->options.world);
}

/* What follows an event may be events of its own (a submit, a change): the outermost turn looks
 * after all of it. */
void node_turn(struct node *node, const char *event, enum errc code) {
    if (code != OK) {
        node_die(event, code);
    }
    execute_effects(node);
    if (node->in_turn) {
        return;
    }
    node->in_turn = true;
    node_proposals_pump(node);
    node_tickets_look(node);
    node_members_look(node);
    node_snapshot_look(node);
    node_propose_region(node);
    node_status_publish(node, false);
    node->in_turn = false;
}

static void on_wake(uv_timer_t *timer) {
    struct node *node = timer->data;

    node_turn(node, "wake", core_wake(node->core, node_now(node)));
}

static void effect_wake(struct node *node, const struct core_effect *effect) {
    uint64_t at = node_now(node);

    CHECK(uv_timer_start(&node->wake_timer, on_wake,
                         effect->wake_ms > at ? effect->wake_ms - at : 0, 0) == 0);
}

static void on_written(uv_poll_t *poll, int status, int events) {
    struct node *node = poll->data;
    struct log_written written;

    while (log_writer_collect(node->writer, &written)) {
        if (written.write_id != 0) {
            node_turn(node, "written", core_written(node->core, node_now(node), written.write_id));
        }
        if (written.snapshot) {
            node_snapshot_written(node);
        }
    }
}

static void on_message(void *arg, uint64_t from, struct core_bytes message) {
    struct node *node = arg;
    enum errc code;

    code = core_receive(node->core, node_now(node), from, message);
    if (code == ERR_MALFORMED) {
        LOG_WARN("raft.message_refused", F_U64("from", from), F_U64("bytes", message.len));
        return;
    }
    node_turn(node, "receive", code);
}

static void on_hello(void *arg, const struct transport_hello *hello) {
    node_members_hello(arg, hello);
}

static void on_lost_timer(uv_timer_t *timer) {
    struct node *node = timer->data;

    node_turn(node, "peer lost", core_peer_lost(node->core, node_now(node), node->lost_peer));
}

/* Of several at once the leader counts: the core looks whether it was he. */
static void on_lost(void *arg, uint64_t peer) {
    struct node *node = arg;

    if (node->is_closing || (uv_is_active((const uv_handle_t *)&node->lost_timer) &&
                             node->lost_peer == core_leader_id(node->core))) {
        return;
    }
    node->lost_peer = peer;
    CHECK(uv_timer_start(&node->lost_timer, on_lost_timer, 0, 0) == 0);
}

static void close_loop(struct node *node);

static void on_proposals(uv_poll_t *poll, int status, int events) {
    struct node *node = poll->data;

    if (atomic_load(&node->stopping)) {
        close_loop(node);
        return;
    }
    node_proposals_take(node);
    node_turn(node, "proposals", OK);
}

static void on_tickets(uv_poll_t *poll, int status, int events) {
    node_tickets_take(poll->data);
}

static void on_changes(uv_poll_t *poll, int status, int events) {
    node_changes_take(poll->data);
}

static void reload(struct node *node) {
    struct err err;

    if (!atomic_exchange(&node->reload, false) || node->transport == NULL) {
        return;
    }
    if (transport_reload(node->transport, &err) == OK) {
        LOG_INFO("node.certificates_reloaded");
    } else {
        LOG_ERROR("node.certificates_kept", F_STR("error", err.message));
    }
}

static void on_tick(uv_timer_t *timer) {
    struct node *node = timer->data;

    node_disk_look(node);
    node_tickets_expire(node, false);
    node_changes_look(node);
    node_members_tick(node);
    node_checkpoint_tick(node);
    reload(node);
    node_turn(node, "tick", OK);
    node_status_publish(node, true);
}

static void on_transport_closed(void *arg) {
}

static void close_loop(struct node *node) {
    if (node->is_closing) {
        return;
    }
    node->is_closing = true;
    node_changes_close(node);
    node_proposals_close(node);
    node_tickets_expire(node, true);
    uv_close((uv_handle_t *)&node->proposals_poll, NULL);
    uv_close((uv_handle_t *)&node->linger.poll, NULL);
    uv_close((uv_handle_t *)&node->tickets_poll, NULL);
    uv_close((uv_handle_t *)&node->changes_poll, NULL);
    uv_close((uv_handle_t *)&node->written_poll, NULL);
    uv_close((uv_handle_t *)&node->wake_timer, NULL);
    uv_close((uv_handle_t *)&node->tick_timer, NULL);
    uv_close((uv_handle_t *)&node->lost_timer, NULL);
    if (node->transport != NULL) {
        transport_close(node->transport, on_transport_closed);
    }
}

static void *node_main(void *arg) {
    struct node *node = arg;

    CHECK(uv_run(&node->loop, UV_RUN_DEFAULT) == 0);
    return NULL;
}

/* ---- start and stop ---- */

static enum errc load(struct node *node, struct log_image **ret, struct err *err) {
    bool has_beginning = false;
    enum errc code = node_has_beginning(node->options.engine, &has_beginning, err);

    if (code != OK) {
        return code;
    }
    if (!has_beginning) {
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "this node's store is empty: begin a region with `redoubt node bootstrap`, join "
            "one with `redoubt node join`, or bring a lost node back with `redoubt node "
            "rebuild`");
    }
    return log_store_load(node->options.engine, ret, err);
}

/* Hands the stored log to the core. The first turn of the loop comes from the core's first wake. */
static enum errc start_core(struct node *node, const struct log_image *image, struct err *err) {
    struct core_entry *entries = calloc(image->n_entries + 1, sizeof(*entries));
    struct core_persisted persisted = {
        .term = image->term,
        .voted_for = image->voted_for,
        /* Without the manifest: the checkpoint of a former life is removed at start, and a follower
         * that was sent to it would find nothing. One that needs it gets a new one. */
        .snapshot = {.index = image->snapshot.index,
                     .term = image->snapshot.term,
                     .configuration_index = image->snapshot.configuration_index,
                     .configuration = {image->snapshot.configuration,
                                       image->snapshot.configuration_len}},
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
    code = core_start(node->core, node_now(node), &persisted);
    free(entries);
    if (code != OK) {
        return err_set(err, code, "the stored log does not hang together: %s", errc_sentence(code));
    }
    node_turn(node, "start", OK);
    return OK;
}

static void watch(struct node *node, uv_poll_t *poll, int fd, uv_poll_cb run) {
    CHECK(uv_poll_init(&node->loop, poll, fd) == 0);
    poll->data = node;
    CHECK(uv_poll_start(poll, UV_READABLE, run) == 0);
}

static void init_loop(struct node *node) {
    watch(node, &node->proposals_poll, mailbox_fd(node->proposals), on_proposals);
    node_proposals_open(node);
    watch(node, &node->tickets_poll, mailbox_fd(node->tickets_box), on_tickets);
    watch(node, &node->changes_poll, mailbox_fd(node->changes_box), on_changes);
    watch(node, &node->written_poll, log_writer_fd(node->writer), on_written);
    CHECK(uv_timer_init(&node->loop, &node->wake_timer) == 0);
    CHECK(uv_timer_init(&node->loop, &node->tick_timer) == 0);
    CHECK(uv_timer_init(&node->loop, &node->lost_timer) == 0);
    node->lost_timer.data = node;
    node->wake_timer.data = node;
    node->tick_timer.data = node;
    CHECK(uv_timer_start(&node->tick_timer, on_tick, NODE_TICK_MS, NODE_TICK_MS) == 0);
}

static enum errc open_transport(struct node *node, struct err *err) {
    const struct transport_options options = {.loop = &node->loop,
                                              .world = node->options.world,
                                              .region = node->region,
                                              .self = node->options.id,
                                              .listen = node->options.listen,
                                              .address = node->address,
                                              .tls = node->options.tls,
                                              .silence_ms = 2 * node->election_ms,
                                              .message_cb = on_message,
                                              .hello_cb = on_hello,
                                              .lost_cb = on_lost,
                                              .level_min = command_levels.oldest,
                                              .level_max = command_levels.newest,
                                              .arg = node};
    enum errc code =
        node->options.listen != NULL ? transport_new(&options, &node->transport, err) : OK;

    if (code == OK) {
        tell_level(node);
    }
    return code;
}

static struct node *node_new(const struct node_options *options) {
    struct node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    node->options = *options;
    node->election_ms =
        options->election_timeout_ms ? options->election_timeout_ms : NODE_ELECTION_MS;
    node->snapshot_entries =
        options->snapshot_entries ? options->snapshot_entries : LIMIT_LOG_ENTRIES;
    node->snapshot_bytes = options->snapshot_bytes ? options->snapshot_bytes : LIMIT_LOG_BYTES;
    node->snapshot_trailing =
        (unsigned)(options->snapshot_trailing ? options->snapshot_trailing : LIMIT_LOG_TRAILING);
    node->pending_last = &node->pending;
    node->linger.fd = -1;
    letter_list_init(&node->waiting);
    letter_list_init(&node->reads);
    letter_list_init(&node->leaders);
    letter_list_init(&node->change.waiting);
    buf_init(&node->checkpoint.bytes, LIMIT_MANIFEST);
    node->checkpoint.is_removal = true; /* what an earlier process left */
    node->status.role = "follower";
    (void)snprintf(node->region, sizeof(node->region), "%s", options->region);
    (void)snprintf(node->data, sizeof(node->data), "%s", options->data ? options->data : "");
    (void)snprintf(node->address, sizeof(node->address), "%s",
                   options->address ? options->address : "");
    CHECK(pthread_mutex_init(&node->status_lock, NULL) == 0);
    CHECK(uv_loop_init(&node->loop) == 0);
    return node;
}

void node_free(struct node *node) {
    if (node == NULL) {
        return;
    }
    log_writer_stop(node->writer);
    transport_free(node->transport);
    core_free(node->core);
    fsm_close(node->fsm);
    if (node->linger.fd >= 0) {
        (void)close(node->linger.fd);
    }
    mailbox_free(node->proposals);
    mailbox_free(node->tickets_box);
    mailbox_free(node->changes_box);
    buf_fini(&node->checkpoint.bytes);
    CHECK(pthread_mutex_destroy(&node->status_lock) == 0);
    free(node);
}

static enum errc make_core(struct node *node) {
    struct core_options options = {
        .id = node->options.id,
        .address = node->address[0] != '\0' ? node->address : "self",
        .election_timeout_ms = node->election_ms,
        .heartbeat_ms = node->election_ms / NODE_HEARTBEAT_DIVISOR,
        .max_inflight_entries = NODE_INFLIGHT_ENTRIES,
    };

    world_random(node->options.world, &options.seed, sizeof(options.seed));
    node->proposals = mailbox_new(LIMIT_PROPOSALS);
    node->tickets_box = mailbox_new(LIMIT_TICKETS);
    node->changes_box = mailbox_new(LIMIT_CHANGES);
    node->core = core_new(&options);
    return node->proposals && node->tickets_box && node->changes_box && node->core ? OK
                                                                                   : ERR_NO_MEMORY;
}

/* Nothing runs yet but handles of the loop. */
static void abandon(struct node *node) {
    if (node->tick_timer.data != NULL) {
        close_loop(node);
    } else if (node->transport != NULL) {
        transport_close(node->transport, on_transport_closed);
    }
    (void)uv_run(&node->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&node->loop) == 0);
    node_free(node);
}

enum errc node_start(const struct node_options *options, struct node **ret, struct err *err) {
    struct log_image *image = NULL;
    struct node *node = node_new(options);
    enum errc code = ERR_NO_MEMORY;

    if (node == NULL) {
        return err_default(err, code);
    }
    code = make_core(node);
    if (code != OK) {
        (void)err_default(err, code);
        goto fail;
    }
    code = fsm_open(options->engine, node->region, &node->fsm, err);
    if (code == OK) {
        code = load(node, &image, err);
    }
    if (code == OK) {
        code = open_transport(node, err);
    }
    if (code == OK) {
        code = log_writer_start(options->engine, &node->writer, err);
    }
    if (code != OK) {
        goto fail;
    }
    init_loop(node);
    node_disk_look(node); /* before the first message */
    code = start_core(node, image, err);
    if (code != OK) {
        goto fail;
    }
    log_image_free(image);
    node_status_publish(node, true); /* who is a member is asked before the first tick */
    CHECK(pthread_create(&node->thread, NULL, node_main, node) == 0);
    (void)pthread_setname_np(node->thread, "raft");
    *ret = node;
    return OK;
fail:
    log_image_free(image);
    abandon(node);
    return code;
}

void node_stop(struct node *node) {
    if (node == NULL) {
        return;
    }
    /* Closed first: what is pushed behind the last drain would never be answered. */
    mailbox_close(node->proposals);
    mailbox_close(node->tickets_box);
    mailbox_close(node->changes_box);
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

bool node_lacks_room(const struct node *node) {
    return atomic_load(&node->disk_full);
}

bool node_is_leader(const struct node *node) {
    return atomic_load(&node->leader);
}

uint64_t node_leader(const struct node *node) {
    return atomic_load(&node->leader_id);
}

void node_reload(struct node *node) {
    atomic_store(&node->reload, true); /* within a tick */
}
