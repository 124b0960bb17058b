#include "api/forward.h"

#include "api/peer_door.h"
#include "api/request_state.h"
#include "base/log.h"

void forward_write(struct buf *out, const struct http_request *request) {
    size_t len;
    bool is_chunked = http_header(request, "Transfer-Encoding", &len) != NULL;

    buf_append(out, request->head.data, request->head.len);
    if (!is_chunked) {
        buf_append(out, request->body.data, request->body.len);
        return;
    }
    if (request->body.len > 0) {
        buf_printf(out, "%zx\r\n", request->body.len);
        buf_append(out, request->body.data, request->body.len);
        buf_append_str(out, "\r\n");
    }
    buf_append_str(out, "0\r\n\r\n");
}

/* The worker's turn, with the answer in the call. */
static void call_run(struct worker_task *task) {
    request_resume(CONTAINER_OF(task, struct request, task));
}

/* The client's thread: pass on, nothing else. */
static void call_done(struct peer_call *call) {
    struct request *request = call->arg;

    request->task.run = call_run;
    worker_post(request->worker, &request->task);
}

/* The other side gives up in time with an answer worth waiting for: the leader after
 * LIMIT_REQUEST_MS, a node of another region when it has looked for its leader and asked it. */
enum {
    LEADER_MS = LIMIT_REQUEST_MS + LIMIT_PEER_CONNECT_MS,
    REGION_MS = LIMIT_ELECTION_WAIT_MS + LEADER_MS + LIMIT_PEER_CONNECT_MS,
    LOOK_MS = 100,
    /* An election is over by then, or this node is the one that is cut off. */
    LEADERLESS_MS = 1000,
};

static bool is_to_leader(const struct request *request) {
    return request->region[0] == '\0';
}

/* A leader that was paused or cut off would let a request wait to the end of its call, while
 * another node leads. What has not left goes to that one. What has may have been done there, and no
 * second sending could tell: a client with a ClientRequestToken can, and is told so. */
static void look_again(void *arg);

static void look_later(struct request *request) {
    request->timer = worker_timer_start(request->worker, LOOK_MS, look_again, request);
}

static void look_again(void *arg) {
    struct request *request = arg;
    uint64_t leader = node_leader(request->service->node);
    uint64_t now_ms = world_mono_ms(request->service->world);

    CHECK(request->step == AT_AWAIT_PEER);
    request->timer = NULL;
    if (leader == request->leader) {
        request->leaderless_ms = 0;
    } else if (leader == 0 && request->leaderless_ms == 0) {
        request->leaderless_ms = now_ms;
    } else if (leader != 0 || now_ms - request->leaderless_ms >= LEADERLESS_MS) {
        peer_client_cancel(request->service->peers, request->call); /* and that brings it back */
        return;
    }
    look_later(request);
}

static enum step_result not_sent(struct request *request, enum errc code) {
    if (code == ERR_BUSY) {
        return request_fail(request, ERR_BUSY);
    }
    /* Where that node is has not come around yet; or this one is stopping, and then the node says
     * so. */
    return is_to_leader(request) ? request_next(request, AT_FIND_LEADER)
                                 : request_fail(request, ERR_REGION_UNREACHABLE);
}

enum step_result step_forward(struct request *request) {
    struct peer_call *call = peer_call_new();
    enum errc code;

    request->call = call;
    if (call == NULL) {
        return request_fail(request, ERR_NO_MEMORY);
    }
    buf_init(&call->body, LIMIT_PEER_BODY);
    forward_write(&call->body, request->http);
    if (call->body.failed) {
        return request_fail(request, ERR_NO_MEMORY);
    }
    call->region = is_to_leader(request) ? request->service->region : request->region;
    call->node = request->leader;
    call->path = "/v1/forward";
    call->content_type = "application/octet-stream";
    call->is_forward = true;
    call->timeout_ms = is_to_leader(request) ? LEADER_MS : REGION_MS;
    call->done_cb = call_done;
    call->arg = request;
    request->step = AT_AWAIT_PEER;
    request_suspend(request);
    code = peer_client_call(request->service->peers, call);
    if (code != OK) {
        request_unsuspend(request);
        return not_sent(request, code);
    }
    if (is_to_leader(request)) {
        request->leaderless_ms = 0;
        look_later(request);
    }
    return STEP_SUSPEND;
}

/* The leader has not answered with an answer. Did it do what it was asked to? */
static enum step_result leader_failed(struct request *request) {
    const struct peer_call *call = request->call;

    if (call->code == ERR_BUSY) {
        return request_fail(request, ERR_BUSY);
    }
    if (call->code == OK ? call->status == PEER_MISDIRECTED : call->is_unsent) {
        return request_next(request, AT_FIND_LEADER);
    }
    if (call->code == OK && call->status < 500) {
        return request_unavailable(request); /* its door does not let us in */
    }
    return request_fail(request, ERR_OUTCOME_UNKNOWN);
}

enum step_result step_await_peer(struct request *request) {
    const struct peer_call *call = request->call;

    worker_timer_cancel(request->timer);
    request->timer = NULL;
    if (call->code == OK && call->status == 200) {
        return request_next(request, AT_REPLY);
    }
    LOG_DEBUG("request.forward", F_STR("request", request->id), F_STR("region", request->region),
              F_U64("node", request->leader), F_I64("status", call->status),
              F_STR("error", call->error));
    return is_to_leader(request) ? leader_failed(request)
                                 : request_fail(request, ERR_REGION_UNREACHABLE);
}
