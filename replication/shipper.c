/* One table of regions, one loop over it: the tick. Callbacks only store what came and wake it.
 *
 * A row scans its region's outbox from the start to the end, then rests until the region is dirty
 * again. Each of its lanes carries one batch on the wire and one of verdicts that were decided
 * here; an entry is in flight from the moment it is picked until the command that records its
 * verdict was applied, and is not picked again meanwhile. If it turns up in a scan while it is in
 * flight, it has changed since: the row scans again when it comes back. Nothing here outlives the
 * leadership: what is lost is found in the outbox again. */
#include "replication/shipper.h"

#include "base/crashpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "replication/outgoing.h"
#include "replication/wire.h"
#include "storage/view.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 512,       /* of the entries in flight of one region: at most 2048 */
    BUILDS_PER_TICK = 8, /* of one region: then the others and the sockets have their turn */
    DIRTY_NAMES = 16,    /* regions that became dirty between two ticks; more: all are looked at */
    BUSY_MS = 5,         /* until a full queue is tried again */
    FOLLOWER_MS = 1000,  /* a leader is woken by shipper_dirty */
    PROPOSAL_WAIT_MS = 100,
};

enum batch_state {
    BATCH_FREE,
    BATCH_SENT,     /* the peer client has `call` */
    BATCH_ANSWERED, /* `call` is back */
    BATCH_JUDGED,   /* every item has a verdict; to be proposed */
    BATCH_PROPOSED, /* the node has `proposal` */
    BATCH_RECORDED, /* `proposal` is back */
};

struct row;

struct batch {
    enum batch_state state;
    struct row *row;
    struct outgoing_list list;
    struct peer_call *call;    /* owned except in BATCH_SENT */
    struct proposal *proposal; /* owned except in BATCH_PROPOSED */
    uint64_t sent_us;          /* by metric_clock_us */
};

struct lane {
    struct batch sent;    /* crosses the wire */
    struct batch decided; /* what was found unfit for it on the way */
};

enum outage { OUTAGE_NONE, OUTAGE_UNREACHABLE, OUTAGE_REFUSED, OUTAGE_LOCAL };

struct row {
    struct shipper *shipper;
    char region[LIMIT_REGION_NAME + 1];
    bool is_known; /* a peer has this name */
    struct lane lanes[LIMIT_BATCHES_IN_FLIGHT];
    struct outgoing_item *in_flight[BUCKETS];
    struct outgoing_cursor cursor;
    bool is_scanning;
    bool is_dirty; /* scan (again) from the start */
    enum outage outage;
    unsigned backoff_ms;
    uint64_t retry_at_ms; /* monotonic; no batch is sent before */
};

struct shipper {
    struct shipper_options options;
    char region[LIMIT_REGION_NAME + 1];
    /* Any thread, under the lock. */
    pthread_mutex_t lock;       /* held for a few instructions */
    struct peer_client *client; /* NULL after the last tick */
    char dirty[DIRTY_NAMES][LIMIT_REGION_NAME + 1];
    size_t n_dirty;
    bool all_dirty;
    /* The client's thread. */
    struct mailbox *recorded; /* proposals that are back */
    struct row *rows[LIMIT_SHIP_ROWS];
    size_t n_rows;
    uint64_t bucket_seed;
    uint64_t sweep_at_ms;
    unsigned wait_ms; /* of this tick */
    bool was_leader;
};

static void wake(struct shipper *shipper) {
    CHECK(pthread_mutex_lock(&shipper->lock) == 0);
    if (shipper->client != NULL) {
        peer_client_wake(shipper->client);
    }
    CHECK(pthread_mutex_unlock(&shipper->lock) == 0);
}

static void wait_at_most(struct shipper *shipper, uint64_t wait_ms) {
    if (wait_ms < shipper->wait_ms) {
        shipper->wait_ms = (unsigned)wait_ms;
    }
}

static struct node *shipper_node(const struct shipper *shipper) {
    return __atomic_load_n(shipper->options.node, __ATOMIC_ACQUIRE);
}

/* ---- Entries in flight ---- */

static bool keys_are_equal(const struct outbox_key *a, const struct outbox_key *b) {
    return strcmp(a->name, b->name) == 0 && strcmp(a->account, b->account) == 0 &&
           strcmp(a->suffix, b->suffix) == 0;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
    }
    return hash ^ hash >> 32;
}

static struct outgoing_item **bucket_of(struct row *row, const struct outbox_key *key) {
    uint64_t hash = hash_text(row->shipper->bucket_seed, key->account);

    hash = hash_text(hash_text(hash, key->name), key->suffix);
    return &row->in_flight[hash % BUCKETS];
}

/* For outgoing_build. An entry that is met while in flight has changed since it was picked, or will
 * be gone: its return tells. */
static bool skip_in_flight(void *arg, const struct outbox_key *key) {
    struct row *row = arg;

    for (struct outgoing_item *item = *bucket_of(row, key); item != NULL; item = item->next) {
        if (keys_are_equal(&item->key, key)) {
            item->again = true;
            return true;
        }
    }
    return false;
}

static void in_flight_add(struct row *row, struct outgoing_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        struct outgoing_item **bucket = bucket_of(row, &list->items[i].key);
        list->items[i].next = *bucket;
        *bucket = &list->items[i];
    }
}

static void in_flight_remove(struct row *row, struct outgoing_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        struct outgoing_item **at = bucket_of(row, &list->items[i].key);
        while (*at != &list->items[i]) {
            CHECK(*at != NULL);
            at = &(*at)->next;
        }
        *at = list->items[i].next;
    }
}

/* ---- Batches ---- */

/* The one way a batch ends. `failed`: its verdicts were not recorded, the entries are still due. */
static void batch_release(struct batch *batch, bool failed) {
    struct row *row = batch->row;

    CHECK(batch->state != BATCH_SENT && batch->state != BATCH_PROPOSED);
    for (size_t i = 0; i < batch->list.n; i++) {
        if (failed || batch->list.items[i].again) {
            row->is_dirty = true;
        }
    }
    in_flight_remove(row, &batch->list);
    outgoing_list_fini(&batch->list);
    peer_call_free(batch->call);
    proposal_free(batch->proposal);
    batch->call = NULL;
    batch->proposal = NULL;
    batch->state = BATCH_FREE;
}

static void row_log_outage(const struct row *row, const char *reason) {
    switch (row->outage) {
    case OUTAGE_NONE:
        LOG_INFO("ship.restored", F_STR("to", row->region));
        break;
    case OUTAGE_UNREACHABLE:
        LOG_WARN("ship.unreachable", F_STR("to", row->region), F_STR("reason", reason));
        break;
    case OUTAGE_REFUSED:
        LOG_ERROR("ship.refused", F_STR("to", row->region), F_STR("reason", reason));
        break;
    case OUTAGE_LOCAL:
        LOG_ERROR("ship.unable", F_STR("to", row->region), F_STR("reason", reason));
        break;
    }
}

/* Each change is logged, not each try. */
static unsigned row_place(const struct row *row) {
    return metrics_place(METRIC_BY_REGION, row->region);
}

static void row_set_outage(struct row *row, enum outage outage, const char *reason) {
    if (row->outage != outage) {
        row->outage = outage;
        metric_set_at(METRIC_SHIP_OUTAGE, row_place(row), outage != OUTAGE_NONE);
        row_log_outage(row, reason);
    }
}

/* Half of the wait is random, so that the regions of a deployment do not come back in step. */
static void row_back_off(struct row *row, enum outage outage, const char *reason) {
    const struct world *world = row->shipper->options.world;
    uint64_t now_ms = world_mono_ms(world);
    uint32_t random;

    row_set_outage(row, outage, reason);
    if (now_ms < row->retry_at_ms) {
        return; /* several batches failed together: once is enough */
    }
    row->backoff_ms = row->backoff_ms == 0 ? LIMIT_SHIP_BACKOFF_MS_MIN : row->backoff_ms * 2;
    if (row->backoff_ms > LIMIT_SHIP_BACKOFF_MS_MAX) {
        row->backoff_ms = LIMIT_SHIP_BACKOFF_MS_MAX;
    }
    world_random(world, &random, sizeof(random));
    row->retry_at_ms = now_ms + (outage == OUTAGE_REFUSED ? LIMIT_SHIP_REFUSED_MS : 0) +
                       row->backoff_ms / 2 + random % (row->backoff_ms / 2);
}

static void row_restore(struct row *row) {
    row_set_outage(row, OUTAGE_NONE, "");
    row->backoff_ms = 0;
    row->retry_at_ms = 0;
}

/* Client's thread. */
static void call_done(struct peer_call *call) {
    struct batch *batch = call->arg;

    CHECK(batch->state == BATCH_SENT);
    batch->state = BATCH_ANSWERED;
    wake(batch->row->shipper);
}

/* Raft thread. */
static void proposal_done(struct proposal *proposal) {
    struct batch *batch = proposal->arg;
    struct shipper *shipper = batch->row->shipper;

    mailbox_push_reply(shipper->recorded, &proposal->letter);
    wake(shipper);
}

static void batch_take_answer(struct batch *batch) {
    struct row *row = batch->row;
    const struct peer_call *call = batch->call;
    size_t n_items = batch->list.n;
    struct err err;
    char reason[300];

    metric_observe_us(METRIC_SHIP_SECONDS, metric_clock_us() - batch->sent_us);
    if (call->code != OK) {
        row_back_off(row, OUTAGE_UNREACHABLE, call->error);
    } else if (call->status != 200) {
        bool is_refusal = call->status >= 400 && call->status < 500 && call->status != 429;
        (void)snprintf(reason, sizeof(reason), "HTTP status %d", call->status);
        row_back_off(row, is_refusal ? OUTAGE_REFUSED : OUTAGE_UNREACHABLE, reason);
    } else if (outgoing_take_answer(&batch->list, row->region, call->response.data,
                                    call->response.len, &err) != OK) {
        row_back_off(row, OUTAGE_REFUSED, err.message);
    } else {
        if (row->outage != OUTAGE_LOCAL) { /* that is not over because the peer answers */
            row_restore(row);
        }
        peer_call_free(batch->call);
        batch->call = NULL;
        CRASHPOINT(SHIP_ANSWERED);
        batch->state = BATCH_JUDGED;
        metric_add_at2(METRIC_SHIP_BATCHES, row_place(row), METRIC_OUTCOME_OK, 1);
        metric_add_at(METRIC_SHIP_ITEMS, row_place(row), (int64_t)n_items);
        return;
    }
    metric_add_at2(METRIC_SHIP_BATCHES, row_place(row), METRIC_OUTCOME_FAILED, 1);
    batch_release(batch, true);
}

static bool batch_make_proposal(struct batch *batch) {
    Redoubt__OutcomeBatch *outcome = outgoing_outcome(
        &batch->list, batch->row->region, world_wall_ms(batch->row->shipper->options.world));

    if (outcome == NULL) {
        return false;
    }
    batch->proposal = proposal_new(COMMAND_OUTCOME_BATCH, &outcome->base);
    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    if (batch->proposal == NULL) {
        return false;
    }
    batch->proposal->done_cb = proposal_done;
    batch->proposal->arg = batch;
    return true;
}

/* The region's own group did not take the verdicts: not at once again. */
static void batch_end_unrecorded(struct batch *batch, enum errc code) {
    struct row *row = batch->row;

    batch_release(batch, true);
    row_back_off(row, OUTAGE_LOCAL, errc_sentence(code));
}

static void batch_propose(struct batch *batch, struct node *node) {
    struct shipper *shipper = batch->row->shipper;
    enum errc code;

    if (batch->proposal == NULL && !batch_make_proposal(batch)) {
        wait_at_most(shipper, BUSY_MS);
        return;
    }
    /* Before the call: its answer may be quicker than our return. */
    batch->state = BATCH_PROPOSED;
    code = node_propose(node, batch->proposal);
    if (code == ERR_BUSY) {
        batch->state = BATCH_JUDGED;
        wait_at_most(shipper, BUSY_MS);
    } else if (code != OK) {
        batch->state = BATCH_JUDGED;
        batch_end_unrecorded(batch, code);
    }
}

static void batch_end_recorded(struct batch *batch) {
    enum errc code = batch->proposal->code;

    if (code == OK && batch->proposal->result->code != OK) {
        code = ERR_INTERNAL_SERVICE;
    }
    if (code == OK) {
        CRASHPOINT(SHIP_RECORDED);
        row_restore(batch->row);
        batch_release(batch, false);
    } else {
        batch_end_unrecorded(batch, code);
    }
}

/* Move a batch as far as it goes now. Without leadership nothing is recorded: the new leader ships
 * again. */
static void batch_advance(struct batch *batch, struct node *node, bool is_leader) {
    if (!is_leader && batch->state != BATCH_SENT && batch->state != BATCH_PROPOSED &&
        batch->state != BATCH_FREE) {
        batch_release(batch, true);
    }
    if (batch->state == BATCH_ANSWERED) {
        batch_take_answer(batch);
    }
    if (batch->state == BATCH_JUDGED) {
        batch_propose(batch, node);
    }
    if (batch->state == BATCH_RECORDED) {
        batch_end_recorded(batch);
    }
}

static void take_recorded(struct shipper *shipper) {
    struct letter *letter = mailbox_drain(shipper->recorded);

    while (letter != NULL) {
        struct proposal *proposal = CONTAINER_OF(letter, struct proposal, letter);
        struct batch *batch = proposal->arg;
        letter = letter->next;
        CHECK(batch->state == BATCH_PROPOSED && batch->proposal == proposal);
        batch->state = BATCH_RECORDED;
    }
}

/* ---- Rows ---- */

static struct row *find_row(struct shipper *shipper, const char *region) {
    for (size_t i = 0; i < shipper->n_rows; i++) {
        if (strcmp(shipper->rows[i]->region, region) == 0) {
            return shipper->rows[i];
        }
    }
    return NULL;
}

/* There is a place for every peer always, whatever names clients make up; of those that nobody
 * knows, the rest wait for a sweep that finds places free. */
static bool has_place(const struct shipper *shipper, bool is_known) {
    size_t n_unknown = 0;

    for (size_t i = 0; i < shipper->n_rows; i++) {
        n_unknown += shipper->rows[i]->is_known ? 0 : 1;
    }
    return shipper->n_rows < LIMIT_SHIP_ROWS &&
           (is_known || n_unknown < LIMIT_SHIP_ROWS - LIMIT_PEERS);
}

static void mark_dirty(struct shipper *shipper, const char *region) {
    struct row *row = find_row(shipper, region);
    bool is_known = row == NULL && peer_client_knows(shipper->options.client, region);

    if (row == NULL && strlen(region) <= LIMIT_REGION_NAME && has_place(shipper, is_known)) {
        row = calloc(1, sizeof(*row));
        if (row == NULL) {
            return;
        }
        row->shipper = shipper;
        row->is_known = is_known;
        (void)snprintf(row->region, sizeof(row->region), "%s", region);
        for (size_t i = 0; i < LIMIT_BATCHES_IN_FLIGHT; i++) {
            row->lanes[i].sent.row = row;
            row->lanes[i].decided.row = row;
        }
        shipper->rows[shipper->n_rows++] = row;
    }
    if (row != NULL) {
        row->is_dirty = true;
    }
}

static bool row_is_idle(const struct row *row) {
    for (size_t i = 0; i < LIMIT_BATCHES_IN_FLIGHT; i++) {
        if (row->lanes[i].sent.state != BATCH_FREE || row->lanes[i].decided.state != BATCH_FREE) {
            return false;
        }
    }
    return true;
}

static struct lane *row_free_lane(struct row *row) {
    /* While the region is away one batch tries the way, the others would only be lost with it. */
    size_t n = row->outage == OUTAGE_NONE ? LIMIT_BATCHES_IN_FLIGHT : 1;

    for (size_t i = 0; i < n; i++) {
        struct lane *lane = &row->lanes[i];
        if (lane->sent.state == BATCH_FREE && lane->decided.state == BATCH_FREE) {
            return lane;
        }
    }
    return NULL;
}

/* Takes the body. On failure the batch is released. */
static void lane_send(struct lane *lane, struct buf *body) {
    struct batch *batch = &lane->sent;
    struct row *row = batch->row;
    struct peer_call *call = peer_call_new();
    enum errc code;

    if (call == NULL) {
        buf_fini(body);
        batch_release(batch, true);
        row_back_off(row, OUTAGE_LOCAL, errc_sentence(ERR_NO_MEMORY));
        return;
    }
    call->region = row->region;
    call->path = WIRE_PATH;
    call->content_type = WIRE_CONTENT_TYPE;
    call->body = *body;
    call->done_cb = call_done;
    call->arg = batch;
    batch->call = call;
    batch->state = BATCH_SENT;
    batch->sent_us = metric_clock_us();
    code = peer_client_call(row->shipper->client, call);
    if (code != OK) {
        batch->state = BATCH_ANSWERED;
        batch_release(batch, true);
        /* A client that is stopping is no outage. */
        row_back_off(row, code == ERR_UNAVAILABLE ? row->outage : OUTAGE_LOCAL,
                     errc_sentence(code));
    }
}

/* One step of the scan into a free lane. */
static bool row_build(struct row *row, const struct view *view, struct lane *lane) {
    struct shipper *shipper = row->shipper;
    const struct outgoing_request request = {
        .region = shipper->region,
        .to = row->region,
        .to_is_known = row->is_known,
        .view = view,
        .keyring = shipper->options.keyring,
        .skip = skip_in_flight,
        .arg = row,
    };
    struct outgoing out;
    struct err err;

    if (outgoing_build(&request, &row->cursor, &out, &err) != OK) {
        row->is_dirty = true;
        row_back_off(row, OUTAGE_LOCAL, err.message);
        return false;
    }
    if (row->outage == OUTAGE_LOCAL && out.sent.n + out.decided.n == 0) {
        row_restore(row); /* there is nothing left that could fail again */
    }
    row->is_scanning = !out.is_exhausted;
    lane->sent.list = out.sent;
    lane->decided.list = out.decided;
    in_flight_add(row, &lane->sent.list);
    in_flight_add(row, &lane->decided.list);
    if (lane->decided.list.n > 0) {
        lane->decided.state = BATCH_JUDGED;
    } else {
        outgoing_list_fini(&lane->decided.list);
    }
    if (lane->sent.list.n > 0) {
        lane_send(lane, &out.body);
    } else {
        outgoing_list_fini(&lane->sent.list);
    }
    return true;
}

/* Fill the free lanes from a fresh picture of the state. */
static void row_ship(struct row *row) {
    struct shipper *shipper = row->shipper;
    uint64_t now_ms = world_mono_ms(shipper->options.world);
    struct view *view = NULL;
    unsigned builds = 0;

    if (now_ms < row->retry_at_ms) {
        wait_at_most(shipper, row->retry_at_ms - now_ms);
        return;
    }
    while (builds < BUILDS_PER_TICK && now_ms >= row->retry_at_ms) {
        struct lane *lane = row_free_lane(row);
        if (lane == NULL || (!row->is_scanning && !row->is_dirty)) {
            break;
        }
        if (view == NULL && (view = view_new(shipper->options.engine)) == NULL) {
            wait_at_most(shipper, BUSY_MS);
            return;
        }
        if (!row->is_scanning) {
            row->is_scanning = true;
            row->is_dirty = false;
            row->cursor.is_set = false;
        }
        if (!row_build(row, view, lane)) {
            break;
        }
        builds++;
    }
    view_free(view);
    if ((row->is_scanning || row->is_dirty) && row_free_lane(row) != NULL) {
        wait_at_most(shipper, now_ms < row->retry_at_ms ? row->retry_at_ms - now_ms : 0);
    }
}

static void row_tick(struct row *row, struct node *node, bool is_leader) {
    for (size_t i = 0; i < LIMIT_BATCHES_IN_FLIGHT; i++) {
        batch_advance(&row->lanes[i].sent, node, is_leader);
        batch_advance(&row->lanes[i].decided, node, is_leader);
    }
    if (!is_leader) {
        row->is_scanning = false;
        row->is_dirty = false;
        if (row->outage != OUTAGE_NONE) { /* another's to find out, so the row can go */
            row->outage = OUTAGE_NONE;
            metric_set_at(METRIC_SHIP_OUTAGE, row_place(row), 0);
        }
        row->backoff_ms = 0;
        row->retry_at_ms = 0;
        return;
    }
    row_ship(row);
    /* Verdicts decided just now. */
    for (size_t i = 0; i < LIMIT_BATCHES_IN_FLIGHT; i++) {
        batch_advance(&row->lanes[i].decided, node, is_leader);
    }
}

/* Names that nobody knows must not fill the table. */
static void drop_idle_rows(struct shipper *shipper) {
    for (size_t i = 0; i < shipper->n_rows;) {
        struct row *row = shipper->rows[i];
        if (row_is_idle(row) && !row->is_scanning && !row->is_dirty && row->outage == OUTAGE_NONE) {
            free(row);
            shipper->rows[i] = shipper->rows[--shipper->n_rows];
        } else {
            i++;
        }
    }
}

/* ---- The tick ---- */

static bool mark_region(void *arg, const char *region) {
    mark_dirty(arg, region);
    return true;
}

/* Every region that has entries. Also now and then, so that nothing depends on a wake-up. */
static void sweep(struct shipper *shipper, uint64_t now_ms) {
    struct view *view = view_new(shipper->options.engine);

    shipper->sweep_at_ms = now_ms + LIMIT_SHIP_SWEEP_MS;
    if (view == NULL || view_each_outbox_region(view, mark_region, shipper) != OK) {
        LOG_ERROR("ship.sweep", F_STR("reason", "the outbox cannot be read"));
    }
    view_free(view);
}

static void take_dirty(struct shipper *shipper, uint64_t now_ms, bool is_leader) {
    char names[DIRTY_NAMES][LIMIT_REGION_NAME + 1];
    size_t n;
    bool all;

    CHECK(pthread_mutex_lock(&shipper->lock) == 0);
    n = shipper->n_dirty;
    memcpy(names, shipper->dirty, n * sizeof(names[0]));
    all = shipper->all_dirty;
    shipper->n_dirty = 0;
    shipper->all_dirty = false;
    CHECK(pthread_mutex_unlock(&shipper->lock) == 0);

    if (!is_leader) {
        return;
    }
    if (all || !shipper->was_leader || now_ms >= shipper->sweep_at_ms) {
        sweep(shipper, now_ms);
    }
    for (size_t i = 0; i < n; i++) {
        mark_dirty(shipper, names[i]);
    }
}

/* The client is going: its calls are all back, proposals come back until shipper_free. */
static void last_tick(struct shipper *shipper) {
    CHECK(pthread_mutex_lock(&shipper->lock) == 0);
    shipper->client = NULL;
    CHECK(pthread_mutex_unlock(&shipper->lock) == 0);
}

static void tick(void *arg, unsigned *ret_wait_ms) {
    struct shipper *shipper = arg;
    struct node *node;
    bool is_leader;
    uint64_t now_ms;

    if (ret_wait_ms == NULL) {
        last_tick(shipper);
        return;
    }
    node = shipper_node(shipper);
    /* Without keys nothing can be opened. To lead is enough, no read has to be confirmed: an item
     * of an old state is STALE where a newer one has been, what it is answered is recorded by a
     * command that names link and revision, and of two leaders only one can commit. */
    is_leader = node != NULL && shipper->options.keyring != NULL && node_is_leader(node);
    now_ms = world_mono_ms(shipper->options.world);
    shipper->wait_ms = is_leader ? LIMIT_SHIP_SWEEP_MS : FOLLOWER_MS;
    take_recorded(shipper);
    take_dirty(shipper, now_ms, is_leader);
    shipper->was_leader = is_leader;
    for (size_t i = 0; i < shipper->n_rows; i++) {
        row_tick(shipper->rows[i], node, is_leader);
    }
    drop_idle_rows(shipper);
    *ret_wait_ms = shipper->wait_ms;
}

/* ---- Construction, and other threads ---- */

struct shipper *shipper_new(const struct shipper_options *options) {
    struct shipper *shipper = calloc(1, sizeof(*shipper));

    if (shipper == NULL) {
        return NULL;
    }
    shipper->recorded = mailbox_new(1); /* replies only: no bound of its own */
    if (shipper->recorded == NULL) {
        free(shipper);
        return NULL;
    }
    CHECK(pthread_mutex_init(&shipper->lock, NULL) == 0);
    CHECK(strlen(options->region) <= LIMIT_REGION_NAME);
    (void)snprintf(shipper->region, sizeof(shipper->region), "%s", options->region);
    shipper->options = *options;
    shipper->options.region = shipper->region;
    shipper->client = options->client;
    world_random(options->world, &shipper->bucket_seed, sizeof(shipper->bucket_seed));
    peer_client_set_ticker(options->client, tick, shipper);
    return shipper;
}

static bool any_proposed(const struct shipper *shipper) {
    for (size_t i = 0; i < shipper->n_rows; i++) {
        for (size_t k = 0; k < LIMIT_BATCHES_IN_FLIGHT; k++) {
            const struct lane *lane = &shipper->rows[i]->lanes[k];
            if (lane->sent.state == BATCH_PROPOSED || lane->decided.state == BATCH_PROPOSED) {
                return true;
            }
        }
    }
    return false;
}

void shipper_free(struct shipper *shipper) {
    struct pollfd recorded;

    if (shipper == NULL) {
        return;
    }
    CHECK(shipper->client == NULL);
    recorded = (struct pollfd){.fd = mailbox_fd(shipper->recorded), .events = POLLIN};
    for (take_recorded(shipper); any_proposed(shipper); take_recorded(shipper)) {
        (void)poll(&recorded, 1, PROPOSAL_WAIT_MS);
    }
    for (size_t i = 0; i < shipper->n_rows; i++) {
        for (size_t k = 0; k < LIMIT_BATCHES_IN_FLIGHT; k++) {
            batch_release(&shipper->rows[i]->lanes[k].sent, true);
            batch_release(&shipper->rows[i]->lanes[k].decided, true);
        }
        free(shipper->rows[i]);
    }
    mailbox_free(shipper->recorded);
    CHECK(pthread_mutex_destroy(&shipper->lock) == 0);
    free(shipper);
}

/* Lock held. */
static void dirty_add(struct shipper *shipper, const char *region) {
    for (size_t i = 0; i < shipper->n_dirty; i++) {
        if (strcmp(shipper->dirty[i], region) == 0) {
            return;
        }
    }
    if (shipper->n_dirty == DIRTY_NAMES || strlen(region) > LIMIT_REGION_NAME) {
        shipper->all_dirty = true;
        return;
    }
    (void)snprintf(shipper->dirty[shipper->n_dirty], sizeof(shipper->dirty[0]), "%s", region);
    shipper->n_dirty++;
}

void shipper_dirty(void *arg, const char *region) {
    struct shipper *shipper = arg;

    CHECK(pthread_mutex_lock(&shipper->lock) == 0);
    if (region == NULL) {
        shipper->all_dirty = true;
    } else {
        dirty_add(shipper, region);
    }
    if (shipper->client != NULL) {
        peer_client_wake(shipper->client);
    }
    CHECK(pthread_mutex_unlock(&shipper->lock) == 0);
}
