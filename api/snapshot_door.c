#include "api/snapshot_door.h"

#include "api/response.h"
#include "base/log.h"
#include "base/metrics.h"
#include "storage/checkpoint.h"

static int status_of(enum errc code) {
    if (code == ERR_RESOURCE_NOT_FOUND) {
        return 404;
    }
    return code == ERR_INVALID_PARAMETER ? 400 : 503;
}

void snapshot_handle(struct exchange *exchange, const struct service *service) {
    const struct buf *body = &exchange_request(exchange)->body;
    struct checkpoint_request request;
    struct buf piece;
    struct err err;
    enum errc code;

    if (service->data == NULL) {
        response_send_text(exchange, 404, "no such checkpoint or file");
        return;
    }
    if (checkpoint_request_decode(body->data, body->len, &request) != OK) {
        response_send_text(exchange, 400, "not a request for a piece of a checkpoint");
        return;
    }
    buf_init(&piece, LIMIT_SNAPSHOT_CHUNK);
    code = checkpoint_read(service->data, request.id, request.file, request.offset, request.len,
                           &piece, &err);
    if (code == OK) {
        const struct http_response response = {.status = 200,
                                               .content_type = "application/octet-stream",
                                               .body = piece.data,
                                               .body_len = piece.len};
        metric_add(METRIC_SNAPSHOT_SENT_BYTES, (int64_t)piece.len);
        exchange_reply(exchange, &response);
    } else {
        LOG_DEBUG("peer.snapshot", F_U64("node", exchange_peer_node(exchange)),
                  F_STR("error", err.message));
        response_send_text(exchange, status_of(code), err.message);
    }
    buf_fini(&piece);
}
