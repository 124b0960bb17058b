#include "api/health.h"

#include "api/json_text.h"

#include <string.h>

enum { HEALTH_MAX = 1024 };

bool health_is_asked(const struct http_request *request) {
    static const char path[] = "/health";

    return strcmp(request->method, "GET") == 0 && request->path_len == sizeof(path) - 1 &&
           memcmp(request->target, path, sizeof(path) - 1) == 0;
}

void health_write(struct buf *out, bool is_ready, const char *region, const char *role) {
    buf_append_str(out, is_ready ? "{\"status\":\"ok\"" : "{\"status\":\"starting\"");
    buf_append_str(out, ",\"region\":");
    json_text_string(out, region, strlen(region));
    buf_append_str(out, ",\"role\":");
    json_text_string(out, role, strlen(role));
    buf_append_str(out, "}");
}

void health_answer(struct exchange *exchange, const struct service *service) {
    struct http_response answer = {.content_type = "application/json"};
    struct node_status status;
    struct buf body;

    node_status(service->node, &status);
    answer.status = status.ready ? 200 : 503;
    buf_init(&body, HEALTH_MAX);
    health_write(&body, status.ready, service->region, status.role);
    answer.body = body.data;
    answer.body_len = body.len;
    exchange_reply(exchange, &answer);
    buf_fini(&body);
}
