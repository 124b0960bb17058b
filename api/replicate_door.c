#include "api/replicate_door.h"

#include "api/peer_door.h"
#include "api/request_state.h"
#include "api/response.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "base/wipe.h"
#include "replication/inbound.h"

#include <stdio.h>
#include <string.h>

#define FOR_PATH "/v1/replicate/for?region="

/* What a batch waits for. */
enum stage { STAGE_LEADER, STAGE_READ, STAGE_COMMIT, STAGE_PEER };

/* A batch between its arrival and its answer; HOLD_ bits as in a request. */
struct delivery {
    unsigned holds;
    enum stage stage; /* while HOLD_IO */
    const struct service *service;
    struct exchange *exchange; /* not to be touched without HOLD_EXCHANGE */
    struct worker *worker;
    struct worker_timer *timer;
    struct worker_task task;
    char region[LIMIT_REGION_NAME + 1]; /* whose batch it is */
    bool is_handed_on;                  /* by a node of this region */
    struct ticket ticket;
    struct proposal *proposal;
    bool is_prelude;
    unsigned preludes;
    struct peer_call *call;
    char path[sizeof(FOR_PATH) + LIMIT_REGION_NAME]; /* of the call */
};

static void delivery_release(struct delivery *delivery, unsigned hold) {
    CHECK((delivery->holds & hold) != 0);
    delivery->holds &= ~hold;
    if (delivery->holds == 0) {
        proposal_free(delivery->proposal);
        peer_call_free(delivery->call);
        wipe_free(delivery);
    }
}

/* --- the one reply; the delivery may be gone afterwards --- */

static struct exchange *delivery_end(struct delivery *delivery) {
    struct exchange *exchange = delivery->exchange;

    CHECK((delivery->holds & HOLD_EXCHANGE) != 0);
    worker_timer_cancel(delivery->timer);
    delivery->timer = NULL;
    delivery->exchange = NULL;
    return exchange;
}

/* A node of this region looks for the leader again; another region's shipper would take any 4xx for
 * a refusal. */
static int failure_status(const struct delivery *delivery, enum errc code) {
    return code == ERR_NOT_LEADER && delivery->is_handed_on ? PEER_MISDIRECTED
                                                            : peer_door_status(code);
}

static void delivery_fail(struct delivery *delivery, enum errc code) {
    LOG_DEBUG("peer.replicate", F_STR("from", delivery->region), F_STR("code", errc_name(code)),
              F_I64("errc", code));
    response_send_text(delivery_end(delivery), failure_status(delivery, code), errc_sentence(code));
    delivery_release(delivery, HOLD_EXCHANGE);
}

static void delivery_reply(struct delivery *delivery, int status, const char *content_type,
                           const struct buf *body) {
    const struct http_response response = {
        .status = status, .content_type = content_type, .body = body->data, .body_len = body->len};

    exchange_reply(delivery_end(delivery), &response);
    delivery_release(delivery, HOLD_EXCHANGE);
}

static void delivery_deadline(void *arg) {
    struct delivery *delivery = arg;

    delivery->timer = NULL;
    delivery_fail(delivery, ERR_OUTCOME_UNKNOWN);
}

/* --- waiting --- */

static void delivery_run(struct worker_task *task);

/* Other threads: pass on, nothing else. */
static void delivery_post(struct delivery *delivery) {
    delivery->task.run = delivery_run;
    worker_post(delivery->worker, &delivery->task);
}

static void ticket_done(struct ticket *ticket) {
    delivery_post(ticket->arg);
}

static void proposal_done(struct proposal *proposal) {
    delivery_post(proposal->arg);
}

static void call_done(struct peer_call *call) {
    delivery_post(call->arg);
}

/* Before the other thread gets its pointer. */
static void delivery_hold(struct delivery *delivery, enum stage stage) {
    CHECK((delivery->holds & HOLD_IO) == 0);
    delivery->holds |= HOLD_IO;
    delivery->stage = stage;
}

/* It has not got it. */
static void delivery_refused(struct delivery *delivery, enum errc code) {
    delivery->holds &= ~(unsigned)HOLD_IO;
    delivery_fail(delivery, code);
}

static void delivery_ask(struct delivery *delivery, enum ticket_kind kind, enum stage stage) {
    const struct service *service = delivery->service;
    enum errc code;

    delivery->ticket =
        (struct ticket){.kind = kind,
                        .deadline_ms = world_mono_ms(service->world) + LIMIT_ELECTION_WAIT_MS,
                        .done_cb = ticket_done,
                        .arg = delivery};
    delivery_hold(delivery, stage);
    code = node_ask(service->node, &delivery->ticket);
    if (code != OK) {
        delivery_refused(delivery, code);
    }
}

/* --- at the leader --- */

static void delivery_context(const struct delivery *delivery, struct inbound_context *ret) {
    const struct service *service = delivery->service;

    *ret = (struct inbound_context){.region = service->region,
                                    .engine = service->engine,
                                    .keyring = service->keyring,
                                    .world = service->world};
}

static enum errc delivery_prepare(struct delivery *delivery) {
    const struct buf *body = &exchange_request(delivery->exchange)->body;
    struct inbound_context context;
    struct err err = {.code = OK};
    enum errc code;

    delivery_context(delivery, &context);
    code = inbound_prepare(&context, delivery->region, body->data, body->len, &delivery->proposal,
                           &delivery->is_prelude, &err);
    /* Each account in a batch may lack its key. */
    if (code == OK && delivery->is_prelude && ++delivery->preludes > LIMIT_BATCH_ITEMS) {
        return ERR_INTERNAL_SERVICE;
    }
    return code;
}

static void delivery_propose(struct delivery *delivery) {
    enum errc code = delivery_prepare(delivery);

    if (code != OK) {
        delivery_fail(delivery, code);
        return;
    }
    delivery->proposal->done_cb = proposal_done;
    delivery->proposal->arg = delivery;
    delivery_hold(delivery, STAGE_COMMIT);
    code = node_propose(delivery->service->node, delivery->proposal);
    if (code != OK) {
        delivery_refused(delivery, code);
    }
}

static void delivery_answer(struct delivery *delivery) {
    struct inbound_context context;
    struct buf answer;
    enum errc code;

    CRASHPOINT(INBOUND_APPLIED);
    delivery_context(delivery, &context);
    buf_init(&answer, LIMIT_PEER_BODY);
    code = inbound_answer(&context, delivery->proposal->result, &answer);
    if (code == OK && answer.failed) {
        code = ERR_NO_MEMORY;
    }
    if (code == OK) {
        delivery_reply(delivery, 200, "application/octet-stream", &answer);
    } else {
        delivery_fail(delivery, code);
    }
    buf_fini(&answer);
}

static void delivery_committed(struct delivery *delivery) {
    const struct proposal *proposal = delivery->proposal;

    if (proposal->code != OK) {
        delivery_fail(delivery, proposal->code);
    } else if (proposal->result->code != OK) {
        /* Verdicts are per item; a batch itself is not refused. */
        delivery_fail(delivery, ERR_INTERNAL_SERVICE);
    } else if (delivery->is_prelude) {
        proposal_free(delivery->proposal);
        delivery->proposal = NULL;
        delivery_propose(delivery);
    } else {
        delivery_answer(delivery);
    }
}

/* --- on the way to the leader --- */

static void delivery_hand_on(struct delivery *delivery, uint64_t leader) {
    const struct buf *body = &exchange_request(delivery->exchange)->body;
    struct peer_call *call = peer_call_new();
    enum errc code;

    delivery->call = call;
    if (call == NULL) {
        delivery_fail(delivery, ERR_NO_MEMORY);
        return;
    }
    buf_append(&call->body, body->data, body->len);
    if (call->body.failed) {
        delivery_fail(delivery, ERR_NO_MEMORY);
        return;
    }
    (void)snprintf(delivery->path, sizeof(delivery->path), "%s%s", FOR_PATH, delivery->region);
    call->region = delivery->service->region;
    call->node = leader;
    call->path = delivery->path;
    call->content_type = "application/octet-stream";
    call->timeout_ms = LIMIT_REQUEST_MS;
    call->done_cb = call_done;
    call->arg = delivery;
    delivery_hold(delivery, STAGE_PEER);
    code = peer_client_call(delivery->service->peers, call);
    if (code != OK) {
        delivery_refused(delivery, code == ERR_BUSY ? ERR_BUSY : ERR_UNAVAILABLE);
    }
}

/* The shipper comes back soon with what failed: nothing is tried again here. */
static void delivery_handed_on(struct delivery *delivery) {
    const struct peer_call *call = delivery->call;

    if (call->code != OK || call->status == PEER_MISDIRECTED) {
        LOG_DEBUG("peer.hand_on", F_STR("from", delivery->region), F_I64("status", call->status),
                  F_STR("error", call->error));
        delivery_fail(delivery, ERR_UNAVAILABLE);
        return;
    }
    delivery_reply(delivery, call->status,
                   call->status == 200 ? "application/octet-stream" : "text/plain",
                   &call->response);
}

/* --- the stages --- */

/* What a batch is prepared from becomes its verdicts, which are answers: it must not be older than
 * what was acknowledged. */
static void delivery_lead(struct delivery *delivery) {
    if (node_read_barrier(delivery->service->node) == OK) {
        delivery_propose(delivery);
    } else {
        delivery_ask(delivery, TICKET_READ, STAGE_READ);
    }
}

static void delivery_answered(struct delivery *delivery) {
    const struct ticket *ticket = &delivery->ticket;

    if (ticket->code != OK) {
        delivery_fail(delivery, ticket->code);
    } else if (delivery->stage == STAGE_READ) {
        delivery_propose(delivery);
    } else if (ticket->is_self) {
        delivery_lead(delivery);
    } else {
        delivery_hand_on(delivery, ticket->leader);
    }
}

/* The worker's turn. */
static void delivery_run(struct worker_task *task) {
    struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);

    if ((delivery->holds & HOLD_EXCHANGE) == 0) {
        delivery_release(delivery, HOLD_IO); /* the deadline has answered */
        return;
    }
    delivery->holds &= ~(unsigned)HOLD_IO;
    switch (delivery->stage) {
    case STAGE_LEADER:
    case STAGE_READ:
        delivery_answered(delivery);
        return;
    case STAGE_COMMIT:
        delivery_committed(delivery);
        return;
    case STAGE_PEER:
        delivery_handed_on(delivery);
        return;
    }
}

static void delivery_start(struct exchange *exchange, const struct service *service,
                           const char *region, bool is_handed_on) {
    struct delivery *delivery = wipe_calloc(1, sizeof(*delivery));

    if (delivery == NULL) {
        response_send_text(exchange, 503, "out of memory");
        return;
    }
    delivery->holds = HOLD_EXCHANGE;
    delivery->service = service;
    delivery->exchange = exchange;
    delivery->worker = exchange_worker(exchange);
    delivery->is_handed_on = is_handed_on;
    (void)snprintf(delivery->region, sizeof(delivery->region), "%s", region);
    delivery->timer =
        worker_timer_start(delivery->worker, LIMIT_REQUEST_MS, delivery_deadline, delivery);
    if (node_is_leader(service->node)) {
        delivery_lead(delivery);
    } else if (is_handed_on) {
        delivery_fail(delivery, ERR_NOT_LEADER);
    } else {
        delivery_ask(delivery, TICKET_LEADER, STAGE_LEADER);
    }
}

void replicate_handle(struct exchange *exchange, const struct service *service) {
    delivery_start(exchange, service, exchange_peer_region(exchange), false);
}

void replicate_for_handle(struct exchange *exchange, const struct service *service) {
    const struct http_request *request = exchange_request(exchange);
    const size_t before = sizeof(FOR_PATH) - 1;
    const char *region = NULL;

    if (request->target_len > before && memcmp(request->target, FOR_PATH, before) == 0) {
        region = peer_door_region(service, request->target + before, request->target_len - before);
    }
    if (region == NULL) {
        response_send_text(exchange, 403, "for a region that is no peer here");
    } else {
        delivery_start(exchange, service, region, true);
    }
}
