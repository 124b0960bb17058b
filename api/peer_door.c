#include "api/peer_door.h"

#include "api/request_state.h"
#include "api/response.h"
#include "base/log.h"
#include "base/wipe.h"
#include "replication/inbound.h"

#include <stdio.h>
#include <string.h>

int peer_door_status(enum errc code) {
    if (code == ERR_MALFORMED || code == ERR_LEVEL) {
        return 400;
    }
    return code == ERR_ACCESS_DENIED ? 403 : 503;
}

/* --- POST /v1/forward --- */

enum errc peer_door_parse(const uint8_t *data, size_t len, struct http_request *ret) {
    struct http_parser *parser = http_parser_new(LIMIT_HTTP_BODY);
    enum http_parse_status status = HTTP_MORE;
    size_t at = 0;

    if (parser == NULL) {
        return ERR_NO_MEMORY;
    }
    do {
        size_t used = 0;
        status = http_parser_feed(parser, data + at, len - at, &used);
        at += used;
        /* A head alone is complete without a further byte when there is no body. */
    } while (status == HTTP_HEAD_DONE || (status == HTTP_MORE && at < len));
    if (status == HTTP_REQUEST_DONE) {
        http_parser_take(parser, ret);
    }
    http_parser_free(parser);
    if (status != HTTP_REQUEST_DONE) {
        return ERR_MALFORMED;
    }
    if (at != len) {
        http_request_fini(ret);
        return ERR_MALFORMED;
    }
    return OK;
}

static void forward_handle(struct exchange *exchange, const struct service *service) {
    const struct http_request *outer = exchange_request(exchange);
    struct http_request inner;
    enum errc code = peer_door_parse(outer->body.data, outer->body.len, &inner);

    if (code != OK) {
        response_send_text(exchange, peer_door_status(code), "not one HTTP request");
        return;
    }
    request_start(exchange, service, &inner);
}

/* --- POST /v1/replicate --- */

/* A batch between its arrival and its answer; HOLD_ bits as in a request. */
struct delivery {
    unsigned holds;
    const struct service *service;
    struct exchange *exchange; /* not to be touched without HOLD_EXCHANGE */
    struct worker *worker;
    struct worker_timer *timer;
    struct worker_task task;
    struct proposal *proposal;
    bool is_prelude;
    unsigned preludes;
};

static void delivery_release(struct delivery *delivery, unsigned hold) {
    CHECK((delivery->holds & hold) != 0);
    delivery->holds &= ~hold;
    if (delivery->holds == 0) {
        proposal_free(delivery->proposal);
        wipe_free(delivery);
    }
}

/* The one reply. `answer` NULL: the error. The delivery may be gone afterwards. */
static void delivery_reply(struct delivery *delivery, enum errc code, const struct buf *answer) {
    CHECK((delivery->holds & HOLD_EXCHANGE) != 0);
    worker_timer_cancel(delivery->timer);
    delivery->timer = NULL;
    if (code != OK) {
        LOG_DEBUG("peer.replicate", F_STR("from", exchange_peer_region(delivery->exchange)),
                  F_STR("code", errc_name(code)), F_I64("errc", code));
        response_send_text(delivery->exchange, peer_door_status(code), errc_sentence(code));
    } else {
        const struct http_response response = {.status = 200,
                                               .content_type = "application/octet-stream",
                                               .body = answer->data,
                                               .body_len = answer->len};
        exchange_reply(delivery->exchange, &response);
    }
    delivery->exchange = NULL;
    delivery_release(delivery, HOLD_EXCHANGE);
}

static void delivery_context(const struct delivery *delivery, struct inbound_context *ret) {
    const struct service *service = delivery->service;

    *ret = (struct inbound_context){.region = service->region,
                                    .engine = service->engine,
                                    .keyring = service->keyring,
                                    .world = service->world};
}

static void delivery_deadline(void *arg) {
    struct delivery *delivery = arg;

    delivery->timer = NULL;
    delivery_reply(delivery, ERR_OUTCOME_UNKNOWN, NULL);
}

static void delivery_run(struct worker_task *task);

/* The Raft thread: pass on, nothing else. */
static void delivery_done(struct proposal *proposal) {
    struct delivery *delivery = proposal->arg;

    delivery->task.run = delivery_run;
    worker_post(delivery->worker, &delivery->task);
}

static enum errc delivery_propose(struct delivery *delivery) {
    const struct buf *body = &exchange_request(delivery->exchange)->body;
    struct inbound_context context;
    struct err err = {.code = OK};
    enum errc code = node_read_barrier(delivery->service->node);

    if (code != OK) {
        return code;
    }
    delivery_context(delivery, &context);
    code = inbound_prepare(&context, exchange_peer_region(delivery->exchange), body->data,
                           body->len, &delivery->proposal, &delivery->is_prelude, &err);
    if (code != OK) {
        return code;
    }
    /* Each account in a batch may lack its key. */
    if (delivery->is_prelude && ++delivery->preludes > LIMIT_BATCH_ITEMS) {
        return ERR_INTERNAL_SERVICE;
    }
    delivery->proposal->done_cb = delivery_done;
    delivery->proposal->arg = delivery;
    delivery->holds |= HOLD_IO;
    code = node_propose(delivery->service->node, delivery->proposal);
    if (code != OK) {
        delivery->holds &= ~(unsigned)HOLD_IO;
    }
    return code;
}

/* Prepare and propose; on failure answer. */
static void delivery_step(struct delivery *delivery) {
    enum errc code = delivery_propose(delivery);

    if (code != OK) {
        delivery_reply(delivery, code, NULL);
    }
}

static void delivery_answer(struct delivery *delivery) {
    struct inbound_context context;
    struct buf answer;
    enum errc code;

    delivery_context(delivery, &context);
    buf_init(&answer, LIMIT_PEER_BODY);
    code = inbound_answer(&context, delivery->proposal->result, &answer);
    if (code == OK && answer.failed) {
        code = ERR_NO_MEMORY;
    }
    delivery_reply(delivery, code, &answer);
    buf_fini(&answer);
}

/* The worker's turn, with the result in the proposal. */
static void delivery_run(struct worker_task *task) {
    struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
    enum errc code = delivery->proposal->code;

    if ((delivery->holds & HOLD_EXCHANGE) == 0) {
        delivery_release(delivery, HOLD_IO); /* the deadline has answered */
        return;
    }
    delivery->holds &= ~(unsigned)HOLD_IO;
    if (code == OK && delivery->proposal->result->code != OK) {
        code = ERR_INTERNAL_SERVICE; /* verdicts are per item; a batch itself is not refused */
    }
    if (code != OK) {
        delivery_reply(delivery, code, NULL);
    } else if (delivery->is_prelude) {
        proposal_free(delivery->proposal);
        delivery->proposal = NULL;
        delivery_step(delivery);
    } else {
        delivery_answer(delivery);
    }
}

static void replicate_handle(struct exchange *exchange, const struct service *service) {
    struct delivery *delivery = wipe_calloc(1, sizeof(*delivery));

    if (delivery == NULL) {
        response_send_text(exchange, 503, "out of memory");
        return;
    }
    delivery->holds = HOLD_EXCHANGE;
    delivery->service = service;
    delivery->exchange = exchange;
    delivery->worker = exchange_worker(exchange);
    delivery->timer =
        worker_timer_start(delivery->worker, LIMIT_REQUEST_MS, delivery_deadline, delivery);
    delivery_step(delivery);
}

/* --- the door --- */

/* Who may use a path. */
enum {
    REGIONS = 1, /* nodes of the regions that this one's configuration lists */
    NODES = 2    /* nodes of this region */
};

struct door_row {
    const char *path;
    unsigned who;
    void (*handle)(struct exchange *exchange, const struct service *service);
};

/* All are POST. */
static const struct door_row door_rows[] = {
    {"/v1/forward", REGIONS | NODES, forward_handle},
    {"/v1/replicate", REGIONS, replicate_handle},
};

static const struct door_row *door_find(const struct http_request *request) {
    for (size_t i = 0; i < ARRAY_LEN(door_rows); i++) {
        const struct door_row *row = &door_rows[i];
        if (strlen(row->path) == request->path_len &&
            memcmp(row->path, request->target, request->path_len) == 0) {
            return row;
        }
    }
    return NULL;
}

/* The authority says which region and node it is; our own file, which regions we let in. So a
 * region whose line is taken away is shut out, whatever certificate it still holds. */
static unsigned door_knows(const struct exchange *exchange, const struct service *service) {
    const char *region = exchange_peer_region(exchange);

    if (strcmp(region, service->region) == 0) {
        return exchange_peer_node(exchange) != 0 ? NODES : 0;
    }
    for (size_t i = 0; i < service->n_peers; i++) {
        if (strcmp(service->peer_names[i], region) == 0) {
            return REGIONS;
        }
    }
    return 0;
}

void peer_handle(struct exchange *exchange, void *service) {
    const struct http_request *request = exchange_request(exchange);
    unsigned who = door_knows(exchange, service);
    const struct door_row *row = door_find(request);

    if (who == 0) {
        response_send_text(exchange, 403, "the certificate of a peer is needed");
    } else if (row == NULL || strcmp(request->method, "POST") != 0) {
        response_send_text(exchange, 404, "no such path");
    } else if ((row->who & who) == 0) {
        response_send_text(exchange, 403, "not for this certificate");
    } else {
        row->handle(exchange, service);
    }
}
