/* From proposals to log entries and back: group commit, results, and what a lost leadership leaves.
 */
#include "cluster/node_internal.h"

#include "base/metrics.h"
#include "cluster/envelope.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

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
        metric_add(METRIC_PROPOSALS_REFUSED, 1);
        return ERR_BUSY;
    }
    metric_add(METRIC_PROPOSALS, 1);
    code = mailbox_push(node->proposals, &proposal->letter);
    if (code != OK) {
        metric_add(METRIC_PROPOSALS, -1);
        metric_add(METRIC_PROPOSALS_REFUSED, code == ERR_BUSY ? 1 : 0);
        atomic_fetch_sub(&node->queued_bytes, len);
    }
    return code;
}

static void finish(struct node *node, struct proposal *proposal, enum errc code) {
    atomic_fetch_sub(&node->queued_bytes, proposal->command.len);
    metric_add(METRIC_PROPOSALS, -1);
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

void node_proposals_lost(struct node *node) {
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

static void refuse_waiting(struct node *node, enum errc code) {
    struct letter *letter;

    node->n_waiting = 0;
    node->waiting_bytes = 0;
    while ((letter = letter_list_pop(&node->waiting)) != NULL) {
        finish(node, CONTAINER_OF(letter, struct proposal, letter), code);
    }
}

/* ---- group commit ---- */

static void on_linger(uv_poll_t *poll, int status, int events) {
    struct node *node = poll->data;
    uint64_t count;

    if (read(node->linger.fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        node->linger.is_on = false;
        node_turn(node, "linger", OK);
    }
}

void node_proposals_open(struct node *node) {
    node->linger.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    CHECK(node->linger.fd >= 0);
    CHECK(uv_poll_init(&node->loop, &node->linger.poll, node->linger.fd) == 0);
    node->linger.poll.data = node;
    CHECK(uv_poll_start(&node->linger.poll, UV_READABLE, on_linger) == 0);
}

/* An entry of `count` commands is done. To wait for half the time that it took, at most, makes
 * nobody's write much slower, even where nobody comes. */
static void linger(struct node *node, unsigned count) {
    uint64_t us = (metric_clock_us() - node->linger.submitted_us) / 2;
    struct itimerspec when = {.it_value = {0}};

    node->linger.awaited = count + node->n_waiting;
    node->linger.is_on = node->linger.awaited > 1 && us > 0;
    if (node->linger.is_on) {
        us = us < LIMIT_LINGER_US ? us : LIMIT_LINGER_US;
        when.it_value.tv_nsec = (long)us * 1000;
        CHECK(timerfd_settime(node->linger.fd, 0, &when, NULL) == 0);
    }
}

static bool waiting_fill_an_entry(const struct node *node) {
    return node->n_waiting >= LIMIT_ENTRY_COMMANDS || node->waiting_bytes >= LIMIT_ENTRY_BYTES;
}

static bool lingers(const struct node *node) {
    return node->linger.is_on && node->n_waiting < node->linger.awaited &&
           !waiting_fill_an_entry(node);
}

void node_proposals_close(struct node *node) {
    node_proposals_take(node);
    refuse_waiting(node, ERR_UNAVAILABLE);
    node_proposals_lost(node);
}

void node_proposals_result(struct node *node, uint64_t index, unsigned place,
                           Redoubt__Result *result) {
    struct pending *pending = node->pending;
    struct proposal *proposal;

    if (pending == NULL || pending->index != index) {
        command_result_free(result); /* replayed, or another leader's */
        return;
    }
    CHECK(place < pending->count);
    proposal = pending->proposals[place];
    proposal->result = result;
    proposal->index = index;
    finish(node, proposal, OK);
    if (place + 1 == pending->count) {
        unsigned count = pending->count;
        pending_free(pending_take_first(node));
        if (node->pending == NULL) {
            linger(node, count);
        }
    }
}

/* A member may run a release that does not know it yet: it would have to stop. What raises the
 * level requires the new one. */
static bool is_above_level(const struct node *node, const struct proposal *proposal) {
    return fsm_has_region(node->fsm) && proposal->type != COMMAND_SET_LEVEL &&
           envelope_level(proposal->command.data) > fsm_level(node->fsm);
}

void node_proposals_take(struct node *node) {
    struct letter *chain = mailbox_drain(node->proposals);

    while (chain != NULL) {
        struct proposal *proposal = CONTAINER_OF(chain, struct proposal, letter);
        chain = chain->next;
        if (is_above_level(node, proposal)) {
            finish(node, proposal, ERR_UNAVAILABLE);
        } else {
            letter_list_push(&node->waiting, &proposal->letter);
            node->n_waiting++;
            node->waiting_bytes += proposal->command.len;
        }
    }
}

/* One entry's worth of letters from the front of those that wait, their commands end to end in
 * `bytes`. */
static struct pending *gather(struct node *node, struct buf *bytes) {
    struct pending *pending = calloc(1, sizeof(*pending));
    unsigned count = 0;
    size_t len = 0;

    CHECK(pending != NULL);
    for (struct letter *at = node->waiting.first; at != NULL && count < LIMIT_ENTRY_COMMANDS;
         at = at->next) {
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
        struct proposal *proposal =
            CONTAINER_OF(letter_list_pop(&node->waiting), struct proposal, letter);
        pending->proposals[pending->count++] = proposal;
        node->n_waiting--;
        node->waiting_bytes -= proposal->command.len;
        buf_append(bytes, proposal->command.data, proposal->command.len);
    }
    CHECK(!bytes->failed);
    return pending;
}

static void refuse(struct node *node, struct pending *pending, enum errc code) {
    for (unsigned i = 0; i < pending->count; i++) {
        finish(node, pending->proposals[i], code);
    }
    pending_free(pending);
}

/* The core's refusals mean that nothing happened. */
static enum errc submit(struct node *node, struct pending *pending, const struct buf *bytes) {
    struct core_bytes command = {bytes->data, bytes->len};
    enum errc code = core_submit(node->core, node_now(node), &command, 1, &pending->index);

    if (code == ERR_NOT_LEADER || code == ERR_BUSY) {
        refuse(node, pending, code);
        return OK;
    }
    if (code == OK) {
        node->linger.is_on = false;
        node->linger.submitted_us = metric_clock_us();
        pending->next = NULL;
        *node->pending_last = pending;
        node->pending_last = &pending->next;
    }
    return code;
}

static unsigned pending_count(const struct node *node) {
    unsigned count = 0;

    for (const struct pending *at = node->pending; at != NULL && count <= LIMIT_ENTRIES_AHEAD;
         at = at->next) {
        count++;
    }
    return count;
}

/* Held, not refused: while leadership is handed over (the client waits some milliseconds and is
 * then sent to the next leader), and while an entry is on its way, so that what comes meanwhile
 * shares the next one, unless it fills one already. */
static bool must_wait(const struct node *node) {
    if (core_is_transferring(node->core) ||
        core_uncommitted_bytes(node->core) >= LIMIT_UNCOMMITTED || lingers(node)) {
        return true;
    }
    return node->pending != NULL &&
           (!waiting_fill_an_entry(node) || pending_count(node) >= LIMIT_ENTRIES_AHEAD);
}

void node_proposals_pump(struct node *node) {
    if (node->waiting.first == NULL) {
        return;
    }
    if (core_role(node->core) != CORE_LEADER) {
        refuse_waiting(node, ERR_NOT_LEADER);
        return;
    }
    if (core_majority_lacks_room(node->core)) {
        refuse_waiting(node, ERR_DISK_FULL);
        return;
    }
    if (atomic_load(&node->disk_full) && !core_is_transferring(node->core)) {
        refuse_waiting(node, ERR_NOT_LEADER); /* soon: see lead_elsewhere */
        return;
    }
    while (node->waiting.first != NULL && !must_wait(node)) {
        struct buf bytes;
        struct pending *pending;
        enum errc code;

        buf_init(&bytes, LIMIT_COMMAND + LIMIT_ENTRY_BYTES);
        pending = gather(node, &bytes);
        code = submit(node, pending, &bytes);
        buf_fini(&bytes);
        node_turn(node, "submit", code);
    }
}

/* ---- the region's first command ---- */

static void region_done(struct proposal *proposal) {
    struct node *node = proposal->arg;

    node->region_proposed = proposal->code == OK;
    proposal_free(proposal);
}

void node_propose_region(struct node *node) {
    Redoubt__RegionInit command = REDOUBT__REGION_INIT__INIT;
    struct proposal *proposal;

    if (node->region_proposed || !core_is_current_leader(node->core) || fsm_has_region(node->fsm)) {
        return;
    }
    command.name = node->region;
    command.has_level = 1;
    command.level = node_levels(node).lowest; /* nobody may have to stop at the first command */
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
