#include "api/health.h"

#include "api/json_text.h"
#include "api/response.h"

#include <string.h>

enum { HEALTH_MAX = 1024 };

bool health_path_is(const struct http_request *request, const char *path) {
    return strcmp(request->method, "GET") == 0 && request->path_len == strlen(path) &&
           memcmp(request->target, path, request->path_len) == 0;
}

const char *health_reason(const struct node_status *status) {
    if (status->ready) {
        return NULL;
    }
    if (status->is_installing) {
        return "this node is fetching a snapshot from another one";
    }
    if (strcmp(status->role, "leader") == 0) {
        return "this node leads, but hears of no majority, or has not applied its first entry";
    }
    if (status->leader != 0 && status->is_disk_full) {
        return "this node's disk is full: it does not take what the others write";
    }
    if (status->leader == 0) {
        return "no leader is known: it is being elected, or no majority of the nodes is reached";
    }
    if (status->applied < status->commit) {
        return "this node has yet to apply what the others have committed";
    }
    return "the leader was not heard of for too long";
}

void health_write(struct buf *out, bool is_ready, const char *region, const char *role) {
    buf_append_str(out, is_ready ? "{\"status\":\"ok\"" : "{\"status\":\"starting\"");
    buf_append_str(out, ",\"region\":");
    json_text_string(out, region, strlen(region));
    buf_append_str(out, ",\"role\":");
    json_text_string(out, role, strlen(role));
    buf_append_str(out, "}");
}

static void answer_health(struct exchange *exchange, const struct service *service,
                          const struct node_status *status) {
    struct http_response answer = {.status = status->ready ? 200 : 503,
                                   .content_type = "application/json"};
    struct buf body;

    buf_init(&body, HEALTH_MAX);
    health_write(&body, status->ready, service->region, status->role);
    answer.body = body.data;
    answer.body_len = body.len;
    exchange_reply(exchange, &answer);
    buf_fini(&body);
}

/* Apart, because a status is large and every request of the API passes by. */
static void answer_probe(struct exchange *exchange, const struct service *service,
                         bool is_detailed) {
    struct node_status status;
    const char *reason;

    node_status(service->node, &status);
    if (health_path_is(exchange_request(exchange), "/health")) {
        answer_health(exchange, service, &status);
        return;
    }
    reason = health_reason(&status);
    if (reason == NULL) {
        response_send_text(exchange, 200, "ok\n");
    } else {
        response_send_text(exchange, 503, is_detailed ? reason : "not ready\n");
    }
}

bool health_handle(struct exchange *exchange, const struct service *service, bool is_detailed) {
    const struct http_request *request = exchange_request(exchange);

    if (health_path_is(request, "/livez")) {
        response_send_text(exchange, 200, "ok\n");
        return true;
    }
    if (!health_path_is(request, "/readyz") && !health_path_is(request, "/health")) {
        return false;
    }
    answer_probe(exchange, service, is_detailed);
    return true;
}
