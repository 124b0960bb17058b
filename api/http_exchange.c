#include "api/http_internal.h"

#include <stdlib.h>
#include <string.h>

/* Who still has a pointer to an exchange; it is freed when nobody has. */
enum {
    HOLD_CONNECTION = 1,
    HOLD_HANDLER = 2,
};

struct exchange {
    LIST_ENTRY(exchange) link; /* the worker's list */
    struct worker *worker;
    struct connection *connection; /* while HOLD_CONNECTION */
    unsigned holds;
    size_t listener_index;
    size_t body_bytes; /* as the worker counts them */
    struct http_request request;
    char remote[REMOTE_TEXT];
    char peer_region[LIMIT_REGION_NAME + 1];
    uint64_t peer_node;
    bool is_anonymous;
};

struct exchange *exchange_new(struct connection *connection) {
    /* Not calloc: most of it is the header table, whose unused part nobody reads. */
    struct exchange *exchange = malloc(sizeof(*exchange));

    if (exchange == NULL) {
        return NULL;
    }
    exchange->worker = connection->worker;
    exchange->connection = connection;
    exchange->holds = HOLD_CONNECTION | HOLD_HANDLER;
    exchange->listener_index = connection->listener_index;
    http_parser_take(connection->parser, &exchange->request);
    exchange->body_bytes = connection->body_bytes; /* goes with the request */
    connection->body_bytes = 0;
    memcpy(exchange->remote, connection->remote, sizeof(exchange->remote));
    memcpy(exchange->peer_region, connection->peer_region, sizeof(exchange->peer_region));
    exchange->peer_node = connection->peer_node;
    exchange->is_anonymous = connection->is_anonymous;
    LIST_INSERT_HEAD(&exchange->worker->exchanges, exchange, link);
    return exchange;
}

void exchange_free(struct exchange *exchange) {
    LIST_REMOVE(exchange, link);
    http_request_fini(&exchange->request);
    worker_count_bodies(exchange->worker, exchange->listener_index, 0, exchange->body_bytes);
    if (exchange->worker->draining) {
        worker_wake_sweep(exchange->worker);
    }
    free(exchange);
}

static void exchange_release(struct exchange *exchange, unsigned holds) {
    CHECK((exchange->holds & holds) == holds);
    exchange->holds &= ~holds;
    if (exchange->holds == 0) {
        exchange_free(exchange);
    }
}

void exchange_lose_connection(struct exchange *exchange) {
    exchange->connection = NULL;
    exchange_release(exchange, HOLD_CONNECTION);
}

const struct http_request *exchange_request(const struct exchange *exchange) {
    return &exchange->request;
}

struct worker *exchange_worker(const struct exchange *exchange) {
    return exchange->worker;
}

const char *exchange_peer_region(const struct exchange *exchange) {
    return exchange->peer_region;
}

uint64_t exchange_peer_node(const struct exchange *exchange) {
    return exchange->peer_node;
}

const char *exchange_remote(const struct exchange *exchange) {
    return exchange->remote;
}

bool exchange_is_connected(const struct exchange *exchange) {
    return exchange->connection != NULL && !exchange->connection->half_closed;
}

/* A client that asked for the close has sent all it will; one that did not may be sending its next
 * request. */
static enum connection_next next_after(const struct exchange *exchange, bool close) {
    if (!exchange->request.keep_alive) {
        return NEXT_CLOSE;
    }
    return close || exchange->worker->draining || exchange->is_anonymous ? NEXT_LINGER
                                                                         : NEXT_REQUEST;
}

/* Sends the worker's head and a body, and gives up both holds. */
static void exchange_finish(struct exchange *exchange, const uint8_t *body, size_t body_len,
                            enum connection_next next) {
    struct connection *connection = exchange->connection;
    struct buf *head = &exchange->worker->head;

    CHECK((exchange->holds & HOLD_HANDLER) != 0);
    if (connection != NULL) {
        struct iovec pieces[2] = {{.iov_base = head->data, .iov_len = head->len},
                                  {.iov_len = body_len}};
        /* sendmsg's structure has no const, but only reads. */
        memcpy(&pieces[1].iov_base, &body, sizeof(body));
        connection->exchange = NULL;
        if (head->failed) {
            connection_close(connection);
        } else {
            connection_answer(connection, pieces, next);
        }
        exchange->connection = NULL;
    }
    exchange_release(exchange, exchange->holds);
}

void exchange_reply(struct exchange *exchange, const struct http_response *response) {
    struct worker *worker = exchange->worker;
    enum connection_next next = next_after(exchange, response->close);
    bool body = http_response_has_body(response->status, exchange->request.method);

    worker_check_thread(worker);
    if (exchange->connection != NULL) {
        buf_reset(&worker->head);
        http_response_head(&worker->head, response, worker_date_line(worker), next != NEXT_REQUEST);
    }
    exchange_finish(exchange, response->body, body ? response->body_len : 0, next);
}

void exchange_reply_raw(struct exchange *exchange, const uint8_t *data, size_t len) {
    static const char unusable[] = "the other node's answer is malformed";
    const struct http_response bad_gateway = {.status = 502,
                                              .content_type = "text/plain",
                                              .body = (const uint8_t *)unusable,
                                              .body_len = sizeof(unusable) - 1};
    struct buf *head = &exchange->worker->head;
    struct http_raw_response raw = {0};
    enum connection_next next;

    worker_check_thread(exchange->worker);
    buf_reset(head);
    if (!http_raw_begin(head, data, len, exchange->request.method, &raw)) {
        exchange_reply(exchange, &bad_gateway);
        return;
    }
    next = next_after(exchange, !raw.sound);
    http_raw_end(head, next != NEXT_REQUEST);
    exchange_finish(exchange, raw.body, raw.body_len, next);
}
