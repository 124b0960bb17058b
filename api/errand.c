#include "api/errand.h"

#include "api/response.h"
#include "base/check.h"
#include "base/log.h"
#include "base/wipe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOLD_EXCHANGE = 1,
    HOLD_IO = 2,
    ANSWER_MAX = 256 * 1024,
    SENTENCE = 512,
    TRIES = 10,
    AGAIN_MS = 200, /* a new leader is known everywhere after a heartbeat */
};

static void errand_release(struct errand *errand, unsigned hold) {
    CHECK((errand->holds & hold) != 0);
    errand->holds &= ~hold;
    if (errand->holds != 0) {
        return;
    }
    proposal_free(errand->proposal);
    peer_call_free(errand->call);
    buf_fini(&errand->certificate);
    admin_ask_fini(&errand->ask);
    free(errand->seen);
    wipe_free(errand);
}

static void errand_answer(struct errand *errand, int status, const uint8_t *body, size_t len) {
    const struct http_response response = {
        .status = status, .content_type = "application/json", .body = body, .body_len = len};

    CHECK((errand->holds & HOLD_EXCHANGE) != 0);
    worker_timer_cancel(errand->timer);
    worker_timer_cancel(errand->again);
    errand->timer = NULL;
    errand->again = NULL;
    exchange_reply(errand->exchange, &response);
    errand->exchange = NULL;
    errand_release(errand, HOLD_EXCHANGE);
}

void errand_reply(struct errand *errand, const struct buf *body) {
    if (body->failed) {
        errand_fail(errand, ERR_NO_MEMORY, "out of memory");
    } else {
        errand_answer(errand, 200, body->data, body->len);
    }
}

void errand_fail(struct errand *errand, enum errc code, const char *fmt, ...) {
    char sentence[SENTENCE];
    struct buf body;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    /* Between nodes "not the leader" is a word of its own: the asker knows that nothing happened.
     * To a person it is a moment to wait. */
    if (code == ERR_NOT_LEADER && !errand->is_forwarded) {
        code = ERR_UNAVAILABLE;
    }
    LOG_INFO("admin.refused", F_STR("path", errand->row->path),
             F_STR("error", admin_error_name(code)), F_STR("reason", sentence));
    buf_init(&body, ANSWER_MAX);
    admin_error_write(&body, code, sentence);
    errand_answer(errand, admin_status_of(code), body.data, body.failed ? 0 : body.len);
    buf_fini(&body);
}

static void errand_deadline(void *arg) {
    struct errand *errand = arg;

    errand->timer = NULL;
    errand_fail(errand, ERR_OUTCOME_UNKNOWN,
                "It takes longer than expected and may still happen. Look at the members.");
}

/* --- waiting --- */

static void errand_back(struct worker_task *task) {
    struct errand *errand = CONTAINER_OF(task, struct errand, task);

    if ((errand->holds & HOLD_EXCHANGE) == 0) {
        errand_release(errand, HOLD_IO); /* the deadline has answered */
        return;
    }
    errand->holds &= ~(unsigned)HOLD_IO;
    errand->back(errand);
}

/* Another thread: pass on, nothing else. */
static void errand_post(struct errand *errand) {
    errand->task.run = errand_back;
    worker_post(errand->worker, &errand->task);
}

static void on_proposal(struct proposal *proposal) {
    errand_post(proposal->arg);
}

static void on_change(struct node_change *change) {
    errand_post(change->arg);
}

static void on_ticket(struct ticket *ticket) {
    errand_post(ticket->arg);
}

static void on_call(struct peer_call *call) {
    errand_post(call->arg);
}

/* Before something below gets a pointer into the errand. */
static void errand_wait(struct errand *errand, errand_fn *back, errand_fn *then) {
    CHECK((errand->holds & HOLD_IO) == 0);
    errand->back = back;
    errand->then = then;
    errand->holds |= HOLD_IO;
}

/* It refused the pointer after all. */
static void errand_wait_not(struct errand *errand, enum errc code) {
    errand->holds &= ~(unsigned)HOLD_IO;
    errand_fail(errand, code, "%s", errc_sentence(code));
}

static void errand_find_leader(struct errand *errand);

static void errand_again(void *arg) {
    struct errand *errand = arg;

    errand->again = NULL;
    errand_find_leader(errand);
}

/* Who was asked does not lead any more; a leader that is to be removed hands over first, for one.
 * Between nodes the one who asked goes on from here. */
static void errand_not_leader(struct errand *errand) {
    if (!errand->is_forwarded && ++errand->tries < TRIES) {
        errand->again = worker_timer_start(errand->worker, AGAIN_MS, errand_again, errand);
    }
    if (errand->again == NULL) {
        errand_fail(errand, ERR_NOT_LEADER, "The leader has just changed. Try again.");
    }
}

/* --- a command --- */

static void proposal_back(struct errand *errand) {
    const struct proposal *proposal = errand->proposal;

    if (proposal->code == ERR_NOT_LEADER) {
        errand_not_leader(errand);
    } else if (proposal->code != OK) {
        errand_fail(errand, proposal->code, "%s", errc_sentence(proposal->code));
    } else if (proposal->result->code != OK) {
        enum errc code = (enum errc)proposal->result->code;
        errand_fail(errand, code, "%s",
                    proposal->result->message ? proposal->result->message : errc_sentence(code));
    } else {
        errand->then(errand);
    }
}

void errand_propose(struct errand *errand, enum command_type type, const ProtobufCMessage *command,
                    errand_fn *then) {
    enum errc code;

    proposal_free(errand->proposal);
    errand->proposal = proposal_new(type, command);
    if (errand->proposal == NULL) {
        errand_fail(errand, ERR_NO_MEMORY, "out of memory");
        return;
    }
    errand->proposal->done_cb = on_proposal;
    errand->proposal->arg = errand;
    errand_wait(errand, proposal_back, then);
    code = node_propose(errand->service->node, errand->proposal);
    if (code != OK) {
        errand_wait_not(errand, code);
    }
}

/* --- a change of the group --- */

static void change_back(struct errand *errand) {
    const struct node_change *change = &errand->change;

    if (change->code == ERR_NOT_LEADER) {
        errand_not_leader(errand);
    } else if (change->code != OK) {
        errand_fail(errand, change->code, "%s",
                    change->reason[0] != '\0' ? change->reason : errc_sentence(change->code));
    } else {
        errand->then(errand);
    }
}

void errand_change(struct errand *errand, enum node_change_kind kind, uint64_t id,
                   const char *address, errand_fn *then) {
    enum errc code;

    errand->change =
        (struct node_change){.kind = kind, .id = id, .done_cb = on_change, .arg = errand};
    if (address != NULL) {
        (void)snprintf(errand->change.address, sizeof(errand->change.address), "%s", address);
    }
    errand_wait(errand, change_back, then);
    code = node_change_ask(errand->service->node, &errand->change);
    if (code != OK) {
        errand_wait_not(errand, code);
    }
}

/* --- another node --- */

static void call_back(struct errand *errand) {
    const struct peer_call *call = errand->call;
    bool is_json = call->code == OK && call->response.len > 0 && call->response.data[0] == '{';

    if (errand->then != NULL && (!is_json || call->status != 200)) {
        errand->then(errand);
    } else if (is_json && call->status == admin_status_of(ERR_NOT_LEADER)) {
        errand_not_leader(errand);
    } else if (is_json) {
        errand_answer(errand, call->status, call->response.data, call->response.len);
    } else if (call->code == OK || call->is_unsent) {
        errand_fail(errand, ERR_UNAVAILABLE, "The leader cannot be reached from here. Try again.");
    } else {
        errand_fail(errand, ERR_OUTCOME_UNKNOWN,
                    "The leader was lost before it answered. Look at the members.");
    }
}

/* The same request, as the other node's door reads it. */
static void write_request(struct buf *out, const struct errand *errand) {
    struct buf body;

    buf_init(&body, ANSWER_MAX);
    admin_ask_write(&body, &errand->ask);
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: leader\r\nContent-Length: %zu\r\n\r\n",
               errand->row->method, errand->row->path, body.len);
    buf_append(out, body.data, body.len);
    out->failed = out->failed || body.failed;
    buf_fini(&body);
}

void errand_forward(struct errand *errand, uint64_t node, errand_fn *instead) {
    struct peer_call *call = peer_call_new();
    enum errc code;

    peer_call_free(errand->call);
    errand->call = call;
    if (call == NULL) {
        errand_fail(errand, ERR_NO_MEMORY, "out of memory");
        return;
    }
    buf_init(&call->body, ANSWER_MAX);
    write_request(&call->body, errand);
    if (call->body.failed) {
        errand_fail(errand, ERR_NO_MEMORY, "out of memory");
        return;
    }
    call->region = errand->service->region;
    call->node = node;
    call->path = "/v1/admin";
    call->content_type = "application/octet-stream";
    call->timeout_ms = instead != NULL ? LIMIT_PEER_CONNECT_MS : LIMIT_ADMIN_MS;
    call->done_cb = on_call;
    call->arg = errand;
    errand_wait(errand, call_back, instead);
    code = peer_client_call(errand->service->peers, call);
    if (code != OK && instead != NULL) {
        errand->holds &= ~(unsigned)HOLD_IO;
        instead(errand);
    } else if (code != OK) {
        errand_wait_not(errand, code == ERR_BUSY ? ERR_BUSY : ERR_UNAVAILABLE);
    }
}

/* --- who leads --- */

static void ticket_back(struct errand *errand) {
    const struct ticket *ticket = &errand->ticket;

    if (ticket->code != OK) {
        errand_fail(errand, ticket->code == ERR_NO_QUORUM ? ERR_NO_QUORUM : ERR_UNAVAILABLE, "%s",
                    ticket->code == ERR_NO_QUORUM ? errc_sentence(ERR_NO_QUORUM)
                                                  : "The region has no leader now.");
    } else if (ticket->is_self) {
        errand->row->run(errand);
    } else if (errand->is_forwarded) {
        errand_fail(errand, ERR_NOT_LEADER, "%s", errc_sentence(ERR_NOT_LEADER));
    } else {
        errand_forward(errand, ticket->leader, NULL);
    }
}

static void errand_find_leader(struct errand *errand) {
    enum errc code;

    errand->ticket =
        (struct ticket){.kind = TICKET_LEADER,
                        .deadline_ms = world_mono_ms(errand->service->world) +
                                       (errand->is_forwarded ? 0 : LIMIT_ELECTION_WAIT_MS),
                        .done_cb = on_ticket,
                        .arg = errand};
    errand_wait(errand, ticket_back, NULL);
    code = node_ask(errand->service->node, &errand->ticket);
    if (code != OK) {
        errand_wait_not(errand, code);
    }
}

void errand_begin(struct exchange *exchange, const struct service *service,
                  const struct errand_row *row, struct admin_ask *ask, bool is_forwarded) {
    struct errand *errand = wipe_calloc(1, sizeof(*errand));

    if (errand == NULL) {
        admin_ask_fini(ask);
        response_send_text(exchange, 503, "out of memory");
        return;
    }
    errand->holds = HOLD_EXCHANGE;
    errand->row = row;
    errand->service = service;
    errand->exchange = exchange;
    errand->worker = exchange_worker(exchange);
    errand->is_forwarded = is_forwarded;
    errand->ask = *ask;
    wipe(ask, sizeof(*ask));
    buf_init(&errand->certificate, ANSWER_MAX);
    errand->timer = worker_timer_start(errand->worker, LIMIT_ADMIN_MS, errand_deadline, errand);
    if (row->needs_id && errand->ask.id == 0) {
        errand_fail(errand, ERR_MALFORMED, "id: of which node?");
    } else if (row->run == NULL) {
        row->look(errand);
    } else {
        errand_find_leader(errand);
    }
}

/* --- for the rows --- */

const struct node_status *errand_look(struct errand *errand) {
    if (errand->seen == NULL) {
        errand->seen = calloc(1, sizeof(*errand->seen));
    }
    if (errand->seen == NULL) {
        errand_fail(errand, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    node_status(errand->service->node, errand->seen);
    return errand->seen;
}

bool errand_needs_level(struct errand *errand, enum command_type type) {
    const struct command_kind *kind = command_kind_find((uint16_t)type);
    const struct node_status *status = errand_look(errand);

    CHECK(kind != NULL);
    if (status == NULL) {
        return false;
    }
    if (status->level < kind->level) {
        errand_fail(errand, ERR_LEVEL,
                    "The region is at level %u, this needs %u. When all of its nodes run this "
                    "release: redoubt node raise-level",
                    status->level, kind->level);
        return false;
    }
    return true;
}
