/* What an administrator or a node that joins asks of the group: found its leader, done there, and
 * answered once, in JSON (api/admin_wire.h).
 *
 *   errand_begin -> who leads? -> here: the row's run -> waits (a command, a change) -> answer
 *                    ^        \-> another node: its peer door, POST /v1/admin -> its answer
 *                    \-- it does not lead (any more): every row can be run again
 *
 * For admin_door.c and join_door.c. Everything here runs on the exchange's worker; what comes back
 * on another thread is passed on with worker_post. Holds are bits: HOLD_EXCHANGE until the one
 * reply, HOLD_IO while something below has a pointer into the errand. */
#ifndef API_ERRAND_H
#define API_ERRAND_H

#include "api/admin_wire.h"
#include "api/request.h"

struct errand;
typedef void errand_fn(struct errand *errand);

struct errand_row {
    const char *method;
    const char *path;
    bool is_local;   /* may be asked for at the administrator's door; else by other nodes only */
    bool needs_id;   /* a member's */
    errand_fn *run;  /* at the leader; NULL: `look` */
    errand_fn *look; /* without asking who leads */
};
extern const struct errand_row errand_rows[];
extern const size_t errand_rows_len;

struct errand {
    unsigned holds;
    const struct errand_row *row;
    const struct service *service;
    struct exchange *exchange; /* not to be touched without HOLD_EXCHANGE */
    struct worker *worker;
    struct worker_timer *timer;
    struct worker_timer *again; /* until the next leader is asked */
    unsigned tries;
    struct worker_task task;
    errand_fn *back; /* looks at what was waited for, */
    errand_fn *then; /* and goes on with this */
    bool is_forwarded;
    struct admin_ask ask;

    struct ticket ticket;
    struct node_change change;
    struct proposal *proposal; /* owned */
    struct peer_call *call;    /* owned */

    int64_t expires_ms;       /* of a new token, which is in ask.token */
    struct buf certificate;   /* for a node that joins: PEM */
    struct node_status *seen; /* owned: the group as it was when it was looked at */
};

/* Takes what is in `ask` (moved into the errand), and answers, now or later. */
void errand_begin(struct exchange *exchange, const struct service *service,
                  const struct errand_row *row, struct admin_ask *ask, bool is_forwarded);

/* --- for the rows --- */

/* The one answer, and the end of the errand as far as the caller is concerned. */
void errand_reply(struct errand *errand, const struct buf *body);
void errand_fail(struct errand *errand, enum errc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A command; `then` runs when its result is OK. Everything else is answered. */
void errand_propose(struct errand *errand, enum command_type type, const ProtobufCMessage *command,
                    errand_fn *then);
/* A change of the group; likewise. `address` may be NULL. */
void errand_change(struct errand *errand, enum node_change_kind kind, uint64_t id,
                   const char *address, errand_fn *then);
/* The request is asked again of `node`; what it answers goes to the errand's client. `instead` (may
 * be NULL) runs when it answers nothing of use. */
void errand_forward(struct errand *errand, uint64_t node, errand_fn *instead);
/* The group as this node sees it now. Owned by the errand; NULL (and answered) without memory. */
const struct node_status *errand_look(struct errand *errand);
/* The region is at the level that this command needs; else answered. */
MUSTCHECK bool errand_needs_level(struct errand *errand, enum command_type type);

#endif
