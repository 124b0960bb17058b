#include "api/request.h"

#include "api/error_body.h"
#include "api/health.h"
#include "api/peer_door.h"
#include "api/request_metrics.h"
#include "api/request_state.h"
#include "api/response.h"
#include "api/touches.h"
#include "base/log.h"
#include "base/wipe.h"

#include <string.h>

struct step_row {
    const char *name;
    enum step_result (*run)(struct request *request);
    enum step_waits waits;
    unsigned next; /* bits of steps */
};

#define TO(symbol) (1u << AT_##symbol)
static const struct step_row step_rows[] = {
#define X(symbol, function, waits, next) [AT_##symbol] = {#symbol, (function), (waits), (next)},
#include "api/request_steps.def"
#undef X
};

/* --- life --- */

static struct request *request_new(struct exchange *exchange, const struct service *service) {
    struct request *request = wipe_calloc(1, sizeof(*request));

    if (request == NULL) {
        return NULL;
    }
    request->magic = REQUEST_MAGIC;
    request->step = AT_ROUTE;
    request->holds = HOLD_EXCHANGE;
    request->service = service;
    request->exchange = exchange;
    request->worker = exchange_worker(exchange);
    request->http = exchange_request(exchange);
    request->start_us = metric_clock_us();
    request->now_ms = world_wall_ms(service->world);
    world_uuid(service->world, request->id);
    arena_init(&request->arena, LIMIT_REQUEST_ARENA);
    buf_init(&request->body, LIMIT_REPLY_BODY);
    metric_add(METRIC_REQUESTS_RUNNING, 1);
    return request;
}

static void request_free(struct request *request) {
    CHECK(request->holds == 0 && request->timer == NULL);
    proposal_free(request->proposal);
    peer_call_free(request->call);
    buf_fini(&request->body);
    arena_fini(&request->arena);
    if (request->from != FROM_CLIENT) {
        http_request_fini(&request->own_http);
    }
    request->magic = 0;
    wipe_free(request);
}

/* The one loop. The request may be gone afterwards. */
static void request_run(struct request *request) {
    enum step_result result;

    CHECK(request->magic == REQUEST_MAGIC);
    do {
        const struct step_row *row = &step_rows[request->step];
        CHECK(row->run != NULL);
        result = row->run(request);
        CHECK((row->next & 1u << request->step) != 0);
        CHECK(result != STEP_SUSPEND ||
              (step_rows[request->step].waits != WAITS_NOT && (request->holds & HOLD_IO) != 0));
    } while (result == STEP_MORE);
    if (request->holds == 0) {
        request_free(request);
    }
}

/* --- waiting --- */

/* The wait itself cannot be cancelled. The client is answered now; request_resume frees what is
 * left. */
static void deadline_run(void *arg) {
    struct request *request = arg;

    request->timer = NULL;
    /* Behind a prelude nothing of the request itself was proposed yet. */
    if (request->step == AT_AWAIT_COMMIT && !request->is_prelude) {
        (void)request_fail(request, ERR_OUTCOME_UNKNOWN);
    } else {
        (void)request_unavailable(request);
    }
    CHECK((request->holds & HOLD_IO) != 0 && request->step == AT_REPLY);
    request_run(request);
}

void request_suspend(struct request *request) {
    CHECK((request->holds & HOLD_IO) == 0);
    request->holds |= HOLD_IO;
    /* A call to a peer has its own deadline. A ticket has one too, but the node may be held up by a
     * slow disk. */
    if (step_rows[request->step].waits == WAITS_PEER) {
        worker_timer_cancel(request->timer);
        request->timer = NULL;
    } else if (request->timer == NULL) {
        request->timer =
            worker_timer_start(request->worker, LIMIT_REQUEST_MS, deadline_run, request);
    }
}

void request_unsuspend(struct request *request) {
    CHECK((request->holds & HOLD_IO) != 0);
    request->holds &= ~(unsigned)HOLD_IO;
}

void request_resume(struct request *request) {
    CHECK(request->magic == REQUEST_MAGIC);
    request_unsuspend(request);
    if (request->step == AT_DONE) {
        LOG_DEBUG("request.late", F_STR("request", request->id),
                  F_STR("op", request->wire.op_name));
        request_free(request);
        return;
    }
    request_run(request);
}

/* --- the answer --- */

/* A forwarded request's signature is checked elsewhere: whoever sends such ones while the other
 * region is away must not be able to fill the log. The shipper tells of the outage. */
static bool is_worth_a_warning(const struct request *request) {
    return request->code != OK && request->code != ERR_NOT_LEADER &&
           errc_http_status(request->code) >= 500 &&
           (request->identity != NULL || errc_http_status(request->code) != 503);
}

static void log_outcome(const struct request *request, uint64_t ms) {
    const char *name = errc_name(request->code);

    if (!is_worth_a_warning(request)) {
        LOG_DEBUG("request.done", F_STR("request", request->id), F_STR("op", request->wire.op_name),
                  F_STR("code", name), F_U64("ms", ms));
    } else if (errc_http_status(request->code) == 503) {
        LOG_WARN("request.unavailable", F_STR("request", request->id),
                 F_STR("op", request->wire.op_name), F_I64("errc", request->code),
                 F_STR("error", request->err.message), F_U64("ms", ms));
    } else {
        LOG_ERROR("request.failed", F_STR("request", request->id),
                  F_STR("op", request->wire.op_name), F_I64("errc", request->code),
                  F_STR("error", request->err.message), F_U64("ms", ms));
    }
}

/* An operation may only give the modelled exceptions that it declares: clients generate code from
 * that list. */
static void check_declared(const struct request *request, enum errc code) {
#ifndef NDEBUG
    if (request->op != NULL && errc_is_modelled(code) && code != ERR_INTERNAL_SERVICE) {
        const enum errc *declared = request->op->errors;
        while (*declared != OK && *declared != code) {
            declared++;
        }
        CHECK(*declared == code);
    }
#endif
}

static void send_error(struct request *request) {
    enum errc code = error_public(request->code);
    struct response response = {
        .status = errc_http_status(code), .request_id = request->id, .error_type = errc_name(code)};

    check_declared(request, code);
    buf_reset(&request->body);
    /* Only what is meant for clients keeps its own words. */
    error_body_write(&request->body, code,
                     code == request->code && code != ERR_INTERNAL_SERVICE ? request->err.message
                                                                           : errc_sentence(code));
    response.body = request->body.data;
    response.body_len = request->body.len;
    response_send(request->exchange, request->from != FROM_CLIENT, request->service->world,
                  &response);
}

static void send_success(struct request *request) {
    const struct response response = {.status = 200,
                                      .request_id = request->id,
                                      .is_stale = request->is_stale,
                                      .applied = request->applied,
                                      .age_ms = request->age_ms,
                                      .body = request->body.data,
                                      .body_len = request->body.len};

    response_send(request->exchange, request->from != FROM_CLIENT, request->service->world,
                  &response);
}

/* What another node has answered, as it came. */
static void send_answer(struct request *request) {
    const struct buf *response = &request->call->response;

    if (request->from == FROM_CLIENT) {
        exchange_reply_raw(request->exchange, response->data, response->len);
    } else {
        response_send_raw(request->exchange, response->data, response->len);
    }
}

static void answer(struct request *request) {
    if (request->code == ERR_NOT_LEADER && request->from == FROM_NODE) {
        response_send_text(request->exchange, PEER_MISDIRECTED, "not the leader");
    } else if (request->code != OK) {
        send_error(request);
    } else if (request->call != NULL) {
        send_answer(request);
    } else {
        send_success(request);
    }
}

static void proposal_drop(struct proposal *proposal) {
    proposal_free(proposal);
}

/* What a read leaves to be written. Nobody waits for it; when it gets lost, the next read tries
 * again. */
static void propose_after(struct request *request) {
    struct proposal *proposal;

    if (request->code != OK || request->context.after == NULL) {
        return;
    }
    if (!node_is_leader(request->service->node)) {
        touches_leave(request->service->touches, request->context.after_type,
                      request->context.after);
        return;
    }
    proposal = proposal_new(request->context.after_type, request->context.after);
    if (proposal == NULL) {
        return;
    }
    proposal->done_cb = proposal_drop;
    if (node_propose(request->service->node, proposal) != OK) {
        proposal_free(proposal);
    }
}

enum step_result step_reply(struct request *request) {
    uint64_t us = metric_clock_us() - request->start_us;

    CHECK((request->holds & HOLD_EXCHANGE) != 0);
    request->holds &= ~(unsigned)HOLD_EXCHANGE;
    worker_timer_cancel(request->timer);
    request->timer = NULL;
    log_outcome(request, us / 1000);
    request_count(request, us);
    answer(request);
    request->exchange = NULL;
    request->http = NULL;
    propose_after(request);
    request->step = AT_DONE;
    return STEP_DONE;
}

/* --- the door --- */

void request_start(struct exchange *exchange, const struct service *service, enum request_from from,
                   struct http_request *forwarded) {
    struct request *request = request_new(exchange, service);

    if (request == NULL) {
        if (forwarded != NULL) {
            http_request_fini(forwarded);
        }
        response_send_text(exchange, 503, "out of memory");
        return;
    }
    if (from != FROM_CLIENT) {
        request->own_http = *forwarded;
        request->http = &request->own_http;
        request->from = from;
    }
    request_run(request);
}

void api_handle(struct exchange *exchange, void *service) {
    if (!health_handle(exchange, service, false)) {
        request_start(exchange, service, FROM_CLIENT, NULL);
    }
}
