/* The steps of a request, but for its reply: each looks at the request, does one thing, and names
 * the next. */
#include "api/authenticate.h"
#include "api/authorize.h"
#include "api/request_state.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum step_result request_next(struct request *request, enum step step) {
    request->step = step;
    return STEP_MORE;
}

enum step_result request_fail(struct request *request, enum errc code) {
    CHECK(code != OK);
    if (request->err.code != code) {
        (void)err_default(&request->err, code);
    }
    request->code = code;
    return request_next(request, AT_REPLY);
}

static bool text_is(const char *text, size_t len, const char *word) {
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* --- ROUTE --- */

enum step_result step_route(struct request *request) {
    struct wire *wire = &request->wire;
    enum errc code = wire_read(request->http, wire, &request->err);

    if (code == OK) {
        request->op = op_find(wire->op_name, strlen(wire->op_name));
        if (request->op == NULL) {
            code = wire->is_action ? ERR_INVALID_ACTION : ERR_UNKNOWN_OPERATION;
        }
    }
    if (code != OK) {
        wire->op_name[0] = '\0'; /* whatever it is, it is none of ours to log */
        return request_fail(request, code);
    }
    return request_next(request, AT_AUTHENTICATE);
}

/* --- AUTHENTICATE --- */

enum step_result step_authenticate(struct request *request) {
    const struct service *service = request->service;
    const struct region_rules rules = {.own = service->region,
                                       .peers = service->peer_names,
                                       .n_peers = service->n_peers,
                                       .forward = service->forward && request->from == FROM_CLIENT};
    struct sigv4_request view;
    struct sigv4_claim claim;
    bool forward = false;
    enum errc code;

    authenticate_view(request->http, &view);
    code = sigv4_parse(&view, &claim, &request->err);
    if (code != OK) {
        return request_fail(request, code);
    }
    code = authenticate_region(&rules, &claim, &forward, &request->err);
    if (code != OK) {
        return request_fail(request, code);
    }
    if (forward) {
        (void)snprintf(request->region, sizeof(request->region), "%s", claim.region);
        return request_next(request, AT_FORWARD);
    }
    code = authenticate_caller(service->credentials, &view, &claim, request->now_ms,
                               &request->identity, &request->err);
    if (code != OK) {
        return request_fail(request, code);
    }
    return request_next(request, AT_THROTTLE);
}

/* --- THROTTLE --- */

/* Behind authentication, because the caller's account is charged and nobody else may spend its
 * requests; before validation, because a request that is refused is a request too. */
enum step_result step_throttle(struct request *request) {
    const struct service *service = request->service;
    enum throttle_group group;

    if (service->throttle == NULL) {
        return request_next(request, AT_DECODE);
    }
    group = throttle_group_of(request->wire.op_name);
    if (group != THROTTLE_NONE && !throttle_admits(service->throttle, request->identity->account,
                                                   group, world_mono_ms(service->world))) {
        return request_fail(request, ERR_THROTTLING);
    }
    return request_next(request, AT_DECODE);
}

/* --- DECODE --- */

static enum errc decode_consistency(struct request *request) {
    size_t len;
    const char *text = http_header(request->http, "x-redoubt-consistency", &len);

    if (text != NULL && !text_is(text, len, "linearizable") && !text_is(text, len, "stale")) {
        return err_set(&request->err, ERR_VALIDATION,
                       "1 validation error detected: Value at 'x-redoubt-consistency' failed to "
                       "satisfy constraint: Member must satisfy enum value set: [linearizable, "
                       "stale]");
    }
    request->context.stale =
        text != NULL ? text_is(text, len, "stale") : request->service->stale_reads;
    return OK;
}

static const struct quotas *quotas_in_force(const struct request *request) {
    return request->service->quotas != NULL ? request->service->quotas : &quotas_default;
}

enum step_result step_decode(struct request *request) {
    enum errc code = decode_consistency(request);

    if (code != OK) {
        return request_fail(request, code);
    }
    request->in = arena_alloc(&request->arena, request->op->in->size);
    if (request->in == NULL) {
        return request_fail(request, ERR_NO_MEMORY);
    }
    code = wire_decode(&request->wire, request->http, request->op->in, quotas_in_force(request),
                       &request->arena, request->in, &request->err);
    if (code != OK) {
        return request_fail(request, code);
    }
    return request_next(request, AT_AUTHORIZE);
}

/* --- AUTHORIZE --- */

enum step_result step_authorize(struct request *request) {
    const struct op *op = request->op;
    struct authorization question = {
        .identity = request->identity,
        .action = op->iam_action,
        .kind = op->resource,
        .resource = op->resource == RESOURCE_ANY
                        ? NULL
                        : shape_text(op->in, request->in, F_SECRET_ID | F_NAME)};
    enum errc code = authorize(&question, &request->err);

    if (code == OK && op->iam_also != NULL) {
        question.action = op->iam_also;
        code = authorize(&question, &request->err);
    }
    if (code != OK) {
        return request_fail(request, code);
    }
    return request_next(request, AT_BARRIER);
}

/* --- BARRIER, AWAIT_READ --- */

enum step_result request_unavailable(struct request *request) {
    if (request->op != NULL && request->op->class == OP_READ) {
        (void)err_set(&request->err, ERR_UNAVAILABLE,
                      "Whether this node's state is current cannot be told now. Try again, or "
                      "accept an older state with the header x-redoubt-consistency: stale.");
    } else {
        (void)err_default(&request->err, ERR_UNAVAILABLE);
    }
    return request_fail(request, ERR_UNAVAILABLE);
}

enum step_result request_unanswered(struct request *request) {
    enum errc code = request->ticket.code;
    bool is_plain = code == ERR_BUSY || (code == ERR_NO_QUORUM && request->op->class == OP_WRITE);

    return is_plain ? request_fail(request, code) : request_unavailable(request);
}

/* The worker's turn, with the answer in the ticket. */
static void ticket_run(struct worker_task *task) {
    request_resume(CONTAINER_OF(task, struct request, task));
}

/* The Raft thread: pass on, nothing else. */
static void ticket_done(struct ticket *ticket) {
    struct request *request = ticket->arg;

    request->task.run = ticket_run;
    worker_post(request->worker, &request->task);
}

enum step_result request_ask(struct request *request, enum ticket_kind kind, uint64_t deadline_ms,
                             enum step step) {
    enum errc code;

    request->ticket = (struct ticket){
        .kind = kind, .deadline_ms = deadline_ms, .done_cb = ticket_done, .arg = request};
    /* Before the call: the answer may be on its way back before it returns. */
    request->step = step;
    request_suspend(request);
    code = node_ask(request->service->node, &request->ticket);
    if (code == OK) {
        return STEP_SUSPEND;
    }
    request_unsuspend(request);
    request->ticket.code = code;
    return STEP_MORE;
}

static enum step_result ask_to_read(struct request *request) {
    return request_ask(request, TICKET_READ,
                       world_mono_ms(request->service->world) + LIMIT_ELECTION_WAIT_MS,
                       AT_AWAIT_READ);
}

/* Writes prepare from whatever is here: what they propose is judged by the state machine, and a
 * refusal is confirmed by a read before it goes out. */
enum step_result step_barrier(struct request *request) {
    if (request->op->class == OP_WRITE) {
        return request_next(request, AT_PREPARE);
    }
    if (request->context.stale || request->op->stateless ||
        node_read_barrier(request->service->node) == OK) {
        return request_next(request, AT_RUN);
    }
    if (request->from != FROM_NODE && node_lacks_room(request->service->node) &&
        !node_is_leader(request->service->node)) {
        return request_next(request,
                            AT_FIND_LEADER); /* what is here may be old until there is room */
    }
    return ask_to_read(request);
}

enum step_result step_await_read(struct request *request) {
    if (request->ticket.code != OK) {
        return request_unanswered(request);
    }
    request->is_confirmed = true;
    return request_next(request, request->op->class == OP_READ ? AT_RUN : AT_PREPARE);
}

/* --- RUN, PREPARE, WORD: the handler's functions --- */

/* Afresh for each call of a handler; what a failed one left must not count. */
static void context_fill(struct request *request, const struct view *view) {
    const struct service *service = request->service;

    request->err.code = OK;
    request->context = (struct op_context){
        .arena = &request->arena,
        .world = service->world,
        .identity = request->identity,
        .region = service->region,
        .peers = service->peer_names,
        .n_peers = service->n_peers,
        .view = view,
        .keyring = service->keyring,
        .quotas = quotas_in_force(request),
        .functions = service->functions,
        .now_ms = request->now_ms,
        .err = &request->err,
        .stale = request->context.stale,
    };
}

static enum errc encode_reply(struct request *request, const void *out) {
    if (request->op->out == NULL) {
        buf_append_str(&request->body, "{}");
    } else {
        shape_encode(request->op->out, out, &request->body);
    }
    return request->body.failed ? ERR_NO_MEMORY : OK;
}

/* A zeroed struct of the reply, in the arena. */
static void *new_out(struct request *request) {
    return arena_alloc(&request->arena, request->op->out != NULL ? request->op->out->size : 1);
}

static enum errc run_in_view(struct request *request, const struct view *view) {
    void *out = new_out(request);
    enum errc code;

    if (out == NULL) {
        return ERR_NO_MEMORY;
    }
    context_fill(request, view);
    if (request->is_stale) {
        code = view_applied(view, &request->applied);
        if (code != OK) {
            return code;
        }
    }
    code = request->op->read(&request->context, request->in, out);
    return code == OK ? encode_reply(request, out) : code;
}

enum step_result step_run(struct request *request) {
    struct view *view;
    enum errc code;

    request->is_stale = request->context.stale && !request->op->stateless;
    if (request->is_stale) {
        /* Before the view is made: it is no older than this says. */
        request->age_ms = node_age_ms(request->service->node);
    }
    view = view_new(request->service->engine);
    if (view == NULL) {
        return request_fail(request, ERR_NO_MEMORY);
    }
    code = run_in_view(request, view);
    view_free(view);
    request->context.view = NULL;
    if (code != OK) {
        return request_fail(request, code);
    }
    return request_next(request, AT_REPLY);
}

/* The worker's turn, with the result in the proposal. */
static void commit_run(struct worker_task *task) {
    request_resume(CONTAINER_OF(task, struct request, task));
}

/* The Raft thread: pass on, nothing else. */
static void commit_done(struct proposal *proposal) {
    struct request *request = proposal->arg;

    request->task.run = commit_run;
    worker_post(request->worker, &request->task);
}

static enum errc prepare_proposal(struct request *request) {
    struct op_command command = {.message = NULL};
    struct view *view = view_new(request->service->engine);
    enum errc code;

    if (view == NULL) {
        return ERR_NO_MEMORY;
    }
    context_fill(request, view);
    code = request->op->prepare(&request->context, request->in, &command);
    view_free(view);
    request->context.view = NULL;
    if (code != OK) {
        return code;
    }
    request->is_prelude = command.prelude;
    if (command.prelude && request->preludes == LIMIT_PRELUDES) {
        return err_set(&request->err, ERR_INTERNAL_SERVICE, "preludes without end");
    }
    request->proposal = proposal_new(command.type, command.message);
    if (request->proposal == NULL) {
        return ERR_NO_MEMORY;
    }
    request->proposal->done_cb = commit_done;
    request->proposal->arg = request;
    return OK;
}

/* A refusal from an old state (of a leader that was deposed and does not know it yet) could tell of
 * what is no longer so. */
static enum step_result not_prepared(struct request *request, enum errc code, bool was_current) {
    return was_current || errc_http_status(code) >= 500 ? request_fail(request, code)
                                                        : ask_to_read(request);
}

enum step_result step_prepare(struct request *request) {
    struct node *node = request->service->node;
    bool is_current = request->is_confirmed || node_read_barrier(node) == OK;
    enum errc code;

    if (!node_is_leader(node)) {
        return request_next(request, AT_FIND_LEADER);
    }
    code = prepare_proposal(request);
    if (code != OK) {
        return not_prepared(request, code, is_current);
    }
    /* Before the call: the answer may be on its way back before it returns. */
    request->step = AT_AWAIT_COMMIT;
    request_suspend(request);
    code = node_propose(node, request->proposal);
    if (code == OK) {
        return STEP_SUSPEND;
    }
    request_unsuspend(request);
    request->proposal->code = code;
    return STEP_MORE;
}

/* The state machine's refusal, in its own words. */
static enum errc refusal(struct request *request, const Redoubt__Result *result) {
    enum errc code =
        errc_is_known((int)result->code) ? (enum errc)result->code : ERR_INTERNAL_SERVICE;

    if (result->message != NULL && result->message[0] != '\0') {
        return err_set(&request->err, code, "%s", result->message);
    }
    return err_default(&request->err, code);
}

/* Nothing of the request itself happened, and another node may be the one to ask. */
static bool is_elsewhere(const struct request *request, enum errc code) {
    if (code == ERR_OUTCOME_UNKNOWN) {
        return request->is_prelude; /* what is missing is made by it, or again */
    }
    return code == ERR_NOT_LEADER || code == ERR_UNAVAILABLE; /* this node is stopping */
}

static enum step_result not_committed(struct request *request, enum errc code) {
    if (is_elsewhere(request, code)) {
        return request_next(request, AT_FIND_LEADER);
    }
    request->err.code = OK;
    return request_fail(request, code);
}

static enum step_result prelude_applied(struct request *request, enum errc code) {
    if (code != OK) {
        /* Not the caller's doing, and none of its operation's errors. */
        (void)err_set(&request->err, ERR_INTERNAL_SERVICE, "a prelude was refused: %s",
                      errc_name(code));
        return request_fail(request, ERR_INTERNAL_SERVICE);
    }
    request->preludes++;
    proposal_free(request->proposal);
    request->proposal = NULL;
    return request_next(request, AT_PREPARE);
}

enum step_result step_await_commit(struct request *request) {
    const struct proposal *proposal = request->proposal;

    if (proposal->code != OK) {
        return not_committed(request, proposal->code);
    }
    if (request->is_prelude) {
        return prelude_applied(request, (enum errc)proposal->result->code);
    }
    if (proposal->result->code != OK) {
        return request_fail(request, refusal(request, proposal->result));
    }
    return request_next(request, AT_WORD);
}

enum step_result step_word(struct request *request) {
    void *out = new_out(request);
    enum errc code;

    if (out == NULL) {
        return request_fail(request, ERR_NO_MEMORY);
    }
    context_fill(request, NULL);
    code = request->op->reply(&request->context, request->in, request->proposal->result, out);
    if (code == OK) {
        code = encode_reply(request, out);
    }
    if (code != OK) {
        return request_fail(request, code);
    }
    return request_next(request, AT_REPLY);
}
