/* One request as the pipeline keeps it: the struct, its steps and its holds. For the pipeline's own
 * files only (request.c runs it, request_steps.c has the steps, request_leader.c the search for the
 * leader, forward.c the way to another node).
 *
 * Holds are bits. HOLD_EXCHANGE: the exchange has not been answered; cleared by the one reply.
 * HOLD_IO: the node, the peer client or a pause has a pointer into the request. It is freed when
 * both are clear. Worker's thread only; what comes back on another thread is passed on with
 * worker_post. */
#ifndef API_REQUEST_STATE_H
#define API_REQUEST_STATE_H

#include "api/request.h"
#include "api/wire.h"
#include "base/limits.h"
#include "crypto/sigv4.h"

enum step {
#define X(symbol, function, waits, next) AT_##symbol,
#include "api/request_steps.def"
#undef X
};

enum step_waits { WAITS_NOT, WAITS_COMMIT, WAITS_TICKET, WAITS_TIMER, WAITS_PEER };

enum step_result {
    STEP_MORE,    /* run the step that the request is at now */
    STEP_SUSPEND, /* something will call request_resume */
    STEP_DONE,
};

enum hold { HOLD_EXCHANGE = 1, HOLD_IO = 2 };

/* Who sent it. A request makes two hops at most: from a region to another one, and there from any
 * node to the leader; what came through a peer's door tells by its certificate which is left. */
enum request_from { FROM_CLIENT, FROM_REGION, FROM_NODE };

enum { REQUEST_MAGIC = 0x52455131 };

struct request {
    uint32_t magic;
    enum step step;
    unsigned holds;
    const struct service *service; /* borrowed */
    struct exchange *exchange;     /* not to be touched without HOLD_EXCHANGE */
    struct worker *worker;
    struct worker_timer *timer; /* while it waits: the deadline, or in FORWARD the next look */
    struct worker_task task;    /* the way back from another thread */
    struct ticket ticket;       /* the node's while HOLD_IO in a step that WAITS_TICKET */

    const struct http_request *http; /* NULL after the reply */
    struct http_request own_http;    /* unless FROM_CLIENT: owned; `http` points here then */
    enum request_from from; /* unless FROM_CLIENT it is answered with a response in a body */

    char id[UUID_TEXT];
    struct wire wire;                /* what was asked for; the name is empty until it is known */
    uint64_t start_us;               /* by metric_clock_us */
    const struct op *op;             /* NULL until known, and for what is not implemented */
    const struct identity *identity; /* borrowed */
    struct arena arena;
    void *in; /* in the arena */
    struct op_context context;
    int64_t now_ms; /* the same for all that the request does */

    bool is_confirmed;        /* the state here was current after the request came */
    uint64_t search_until_ms; /* for a leader; 0: not begun */

    bool is_prelude;           /* the proposal under way only makes what is missing */
    unsigned preludes;         /* applied */
    struct proposal *proposal; /* owned; the node's while HOLD_IO */

    char region[SIGV4_SCOPE_MAX + 1]; /* to forward to; empty: the own one */
    uint64_t leader;                  /* to forward to, in the own region */
    uint64_t leaderless_ms;           /* since when none is known, while it waits; 0: one is */
    struct peer_call *call;           /* owned; the client's while HOLD_IO */

    enum errc code; /* what is answered; OK: `body`, or the response of `call` */
    struct err err;
    struct buf body;
    bool is_stale; /* it is, and says so */
    uint64_t applied;
    uint64_t age_ms;
};

/* --- request.c --- */

/* Takes `forwarded` (moved into the request), which is NULL for FROM_CLIENT. Runs to the first
 * wait. */
void request_start(struct exchange *exchange, const struct service *service, enum request_from from,
                   struct http_request *forwarded);
/* What was waited for has come back, on the worker's thread. May free the request. */
void request_resume(struct request *request);
/* Before the thing that will resume gets its pointer, at the step that waits: hold, and see to the
 * deadline. */
void request_suspend(struct request *request);
/* The thing refused the pointer after all. */
void request_unsuspend(struct request *request);

/* --- request_steps.c --- */

/* The answer will be this error; goes to REPLY. The message is request->err's when that is about
 * `code`, else the default sentence. */
enum step_result request_fail(struct request *request, enum errc code);
enum step_result request_next(struct request *request, enum step step);

enum step_result step_route(struct request *request);
enum step_result step_authenticate(struct request *request);
enum step_result step_throttle(struct request *request);
enum step_result step_decode(struct request *request);
enum step_result step_authorize(struct request *request);
/* Asks the node; request->ticket has the answer when `step`, which waits for it, runs. */
enum step_result request_ask(struct request *request, enum ticket_kind kind, uint64_t deadline_ms,
                             enum step step);
/* The ticket came back without an answer; goes to REPLY. */
enum step_result request_unanswered(struct request *request);
/* Nothing happened, and cannot happen here now; goes to REPLY. */
enum step_result request_unavailable(struct request *request);

enum step_result step_barrier(struct request *request);
enum step_result step_await_read(struct request *request);
enum step_result step_run(struct request *request);
enum step_result step_prepare(struct request *request);
enum step_result step_await_commit(struct request *request);
enum step_result step_word(struct request *request);

/* --- request_leader.c --- */

enum step_result step_find_leader(struct request *request);
enum step_result step_pause(struct request *request);
enum step_result step_ask_leader(struct request *request);
enum step_result step_await_leader(struct request *request);

/* --- forward.c --- */

enum step_result step_forward(struct request *request);
enum step_result step_await_peer(struct request *request);

/* --- request.c: the one place that answers --- */

enum step_result step_reply(struct request *request);

#endif
