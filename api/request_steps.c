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
                                       .forward = service->forward && !request->is_forwarded};
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
    request->context.stale = text != NULL && text_is(text, len, "stale");
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

/* --- BARRIER --- */

/* Writes wait for it too: what they prepare from should not be older than what was acknowledged. */
enum step_result step_barrier(struct request *request) {
    bool is_read = request->op->class == OP_READ;

    if (!(is_read && (request->context.stale || request->op->stateless))) {
        enum errc code = node_read_barrier(request->service->node);
        if (code != OK) {
            return request_fail(request, code);
        }
    }
    return request_next(request, is_read ? AT_RUN : AT_PREPARE);
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
    if (request->context.stale) {
        code = view_applied(view, &request->applied);
        if (code != OK) {
            return code;
        }
        request->has_applied = true;
    }
    code = request->op->read(&request->context, request->in, out);
    return code == OK ? encode_reply(request, out) : code;
}

enum step_result step_run(struct request *request) {
    struct view *view = view_new(request->service->engine);
    enum errc code;

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
    if (command.prelude && ++request->preludes > LIMIT_PRELUDES) {
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

enum step_result step_prepare(struct request *request) {
    enum errc code = prepare_proposal(request);

    if (code != OK) {
        return request_fail(request, code);
    }
    /* Before the call: the answer may be on its way back before it returns. */
    request->step = AT_AWAIT_COMMIT;
    request_suspend(request);
    code = node_propose(request->service->node, request->proposal);
    if (code != OK) {
        request_unsuspend(request);
        return request_fail(request, code);
    }
    return STEP_SUSPEND;
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

enum step_result step_await_commit(struct request *request) {
    const struct proposal *proposal = request->proposal;

    if (proposal->code != OK) {
        request->err.code = OK;
        return request_fail(request, proposal->code);
    }
    if (request->is_prelude) {
        if (proposal->result->code != OK) {
            /* Not the caller's doing, and none of its operation's errors. */
            (void)err_set(&request->err, ERR_INTERNAL_SERVICE, "a prelude was refused: %s",
                          errc_name((enum errc)proposal->result->code));
            return request_fail(request, ERR_INTERNAL_SERVICE);
        }
        proposal_free(request->proposal);
        request->proposal = NULL;
        return request_next(request, AT_PREPARE);
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
