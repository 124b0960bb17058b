/* One request as the pipeline keeps it: the struct, its steps and its holds. For the pipeline's own
 * files only (request.c runs it, request_steps.c has the steps, forward.c the way to another
 * region).
 *
 * Holds are bits. HOLD_EXCHANGE: the exchange has not been answered; cleared by the one reply.
 * HOLD_IO: the node or the peer client has a pointer into the request. It is freed when both are
 * clear. Worker's thread only; what comes back on another thread is passed on with worker_post. */
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

enum step_waits { WAITS_NOT, WAITS_COMMIT, WAITS_PEER };

enum step_result {
    STEP_MORE,    /* run the step that the request is at now */
    STEP_SUSPEND, /* something will call request_resume */
    STEP_DONE,
};

enum hold { HOLD_EXCHANGE = 1, HOLD_IO = 2 };

enum { REQUEST_MAGIC = 0x52455131 };

struct request {
    uint32_t magic;
    enum step step;
    unsigned holds;
    const struct service *service; /* borrowed */
    struct exchange *exchange;     /* not to be touched without HOLD_EXCHANGE */
    struct worker *worker;
    struct worker_timer *timer; /* the deadline, from the first wait to the reply */
    struct worker_task task;    /* the way back from another thread */

    const struct http_request *http; /* NULL after the reply */
    struct http_request own_http;    /* a forwarded request, owned; `http` points here then */
    bool is_forwarded;               /* came through the peer door: answered raw, not forwarded */

    char id[UUID_TEXT];
    struct wire wire;                /* what was asked for; the name is empty until it is known */
    uint64_t start_us;               /* by metric_clock_us */
    const struct op *op;             /* NULL until known, and for what is not implemented */
    const struct identity *identity; /* borrowed */
    struct arena arena;
    void *in; /* in the arena */
    struct op_context context;
    int64_t now_ms; /* the same for all that the request does */

    bool is_prelude; /* the proposal under way only makes what is missing */
    unsigned preludes;
    struct proposal *proposal; /* owned; the node's while HOLD_IO */

    char region[SIGV4_SCOPE_MAX + 1]; /* to forward to */
    struct peer_call *call;           /* owned; the client's while HOLD_IO */

    enum errc code; /* what is answered; OK: `body`, or the response of `call` */
    struct err err;
    struct buf body;
    bool has_applied;
    uint64_t applied;
};

/* --- request.c --- */

/* Takes `forwarded` (moved into the request) when it is not NULL. Runs to the first wait. */
void request_start(struct exchange *exchange, const struct service *service,
                   struct http_request *forwarded);
/* What was waited for has come back, on the worker's thread. May free the request. */
void request_resume(struct request *request);
/* Before the thing that will resume gets its pointer: hold, and start the deadline. */
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
enum step_result step_barrier(struct request *request);
enum step_result step_run(struct request *request);
enum step_result step_prepare(struct request *request);
enum step_result step_await_commit(struct request *request);
enum step_result step_word(struct request *request);

/* --- forward.c --- */

enum step_result step_forward(struct request *request);
enum step_result step_await_peer(struct request *request);

/* --- request.c: the one place that answers --- */

enum step_result step_reply(struct request *request);

#endif
