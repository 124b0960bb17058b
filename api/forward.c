#include "api/forward.h"

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
    call->region = request->region;
    call->path = "/v1/forward";
    call->content_type = "application/octet-stream";
    call->is_forward = true;
    /* The other side gives up after LIMIT_REQUEST_MS with an answer worth waiting for. */
    call->timeout_ms = LIMIT_REQUEST_MS + LIMIT_PEER_CONNECT_MS;
    call->done_cb = call_done;
    call->arg = request;
    request->step = AT_AWAIT_PEER;
    request_suspend(request);
    code = peer_client_call(request->service->peers, call);
    if (code != OK) {
        request_unsuspend(request);
        return request_fail(request, code == ERR_BUSY ? ERR_BUSY : ERR_REGION_UNREACHABLE);
    }
    return STEP_SUSPEND;
}

enum step_result step_await_peer(struct request *request) {
    const struct peer_call *call = request->call;

    if (call->code == OK && call->status == 200) {
        return request_next(request, AT_REPLY);
    }
    LOG_DEBUG("request.forward", F_STR("request", request->id), F_STR("region", request->region),
              F_I64("status", call->status), F_STR("error", call->error));
    return request_fail(request, ERR_REGION_UNREACHABLE);
}
