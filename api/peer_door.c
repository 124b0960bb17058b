#include "api/peer_door.h"

#include "api/admin_door.h"
#include "api/replicate_door.h"
#include "api/request_state.h"
#include "api/response.h"
#include "api/snapshot_door.h"
#include "api/touches.h"

#include <string.h>

int peer_door_status(enum errc code) {
    if (code == ERR_MALFORMED || code == ERR_LEVEL) {
        return 400;
    }
    return code == ERR_ACCESS_DENIED ? 403 : 503;
}

bool peer_door_is_own(const struct exchange *exchange, const struct service *service) {
    return strcmp(exchange_peer_region(exchange), service->region) == 0;
}

const char *peer_door_region(const struct service *service, const char *name, size_t len) {
    for (size_t i = 0; i < service->n_peers; i++) {
        if (strlen(service->peer_names[i]) == len &&
            memcmp(service->peer_names[i], name, len) == 0) {
            return service->peer_names[i];
        }
    }
    return NULL;
}

/* --- POST /v1/forward --- */

enum errc peer_door_parse(const uint8_t *data, size_t len, struct http_request *ret) {
    struct http_parser *parser = http_parser_new(LIMIT_HTTP_BODY);
    enum http_parse_status status = HTTP_MORE;
    size_t at = 0;

    if (parser == NULL) {
        return ERR_NO_MEMORY;
    }
    do {
        size_t used = 0;
        status = http_parser_feed(parser, data + at, len - at, &used);
        at += used;
        /* A head alone is complete without a further byte when there is no body. */
    } while (status == HTTP_HEAD_DONE || (status == HTTP_MORE && at < len));
    if (status == HTTP_REQUEST_DONE) {
        http_parser_take(parser, ret);
    }
    http_parser_free(parser);
    if (status != HTTP_REQUEST_DONE) {
        return ERR_MALFORMED;
    }
    if (at != len) {
        http_request_fini(ret);
        return ERR_MALFORMED;
    }
    return OK;
}

static void forward_handle(struct exchange *exchange, const struct service *service) {
    const struct http_request *outer = exchange_request(exchange);
    struct http_request inner;
    enum errc code = peer_door_parse(outer->body.data, outer->body.len, &inner);

    if (code != OK) {
        response_send_text(exchange, peer_door_status(code), "not one HTTP request");
        return;
    }
    request_start(exchange, service, peer_door_is_own(exchange, service) ? FROM_NODE : FROM_REGION,
                  &inner);
}

/* --- the door --- */

/* Who may use a path. */
enum {
    REGIONS = 1, /* nodes of the regions that this one's configuration lists */
    NODES = 2,   /* nodes of this region */
    ANYBODY = 4, /* without a certificate too */
};

struct door_row {
    const char *method;
    const char *path;
    unsigned who;
    void (*handle)(struct exchange *exchange, const struct service *service);
};

static const struct door_row door_rows[] = {
    {"POST", "/v1/forward", REGIONS | NODES, forward_handle},
    {"POST", "/v1/replicate", REGIONS, replicate_handle},
    {"POST", "/v1/replicate/for", NODES, replicate_for_handle},
    {"POST", "/v1/touch", NODES, touch_handle},
    {"POST", "/v1/snapshot", NODES, snapshot_handle},
    {"POST", "/v1/admin", NODES, admin_forwarded_handle},
    {"POST", "/v1/rejoin", NODES, rejoin_handle},
    {"POST", "/v1/join", ANYBODY, join_handle},
    {"GET", "/v1/ca", ANYBODY, join_ca_handle},
};

static const struct door_row *door_find(const struct http_request *request) {
    for (size_t i = 0; i < ARRAY_LEN(door_rows); i++) {
        const struct door_row *row = &door_rows[i];
        if (strcmp(row->method, request->method) == 0 && strlen(row->path) == request->path_len &&
            memcmp(row->path, request->target, request->path_len) == 0) {
            return row;
        }
    }
    return NULL;
}

/* The authority says which region and node it is; our own file, which regions we let in, and the
 * group's configuration, which nodes. So a region whose line is taken away is shut out, and a node
 * that was removed, whatever certificate it still holds. */
static unsigned door_knows(const struct exchange *exchange, const struct service *service) {
    const char *region = exchange_peer_region(exchange);

    if (peer_door_is_own(exchange, service)) {
        return node_has_member(service->node, exchange_peer_node(exchange)) ? NODES | ANYBODY
                                                                            : ANYBODY;
    }
    return peer_door_region(service, region, strlen(region)) != NULL ? REGIONS | ANYBODY : ANYBODY;
}

void peer_handle(struct exchange *exchange, void *service) {
    const struct http_request *request = exchange_request(exchange);
    unsigned who = door_knows(exchange, service);
    const struct door_row *row = door_find(request);

    if (row != NULL && (row->who & who) != 0) {
        row->handle(exchange, service);
    } else if (who == ANYBODY) {
        response_send_text(exchange, 403, "the certificate of a peer is needed");
    } else if (row == NULL) {
        response_send_text(exchange, 404, "no such path");
    } else {
        response_send_text(exchange, 403, "not for this certificate");
    }
}
