#include "api/http_internal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t now_ms(void) {
    return (int64_t)world_mono_ms(world_system());
}

/* --- deadlines --- */

static void connection_arm(struct connection *connection, int64_t ms) {
    struct timeval after;

    /* At least one, so that a deadline that is due by a rounding does not spin. */
    ms = ms < 1 ? 1 : ms;
    after = (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    CHECK(evtimer_add(&connection->timer, &after) == 0);
    connection->armed_ms = now_ms() + ms;
}

/* The timer is only ever moved to an earlier time; a later deadline is seen when it fires. So a
 * connection that goes from request to request costs no timer operation. */
static void connection_set_deadline(struct connection *connection, int64_t ms) {
    connection->deadline_ms = now_ms() + ms;
    if (connection->armed_ms == DEADLINE_NONE || connection->deadline_ms < connection->armed_ms) {
        connection_arm(connection, ms);
    }
}

/* --- states: the one mover --- */

static void connection_move(struct connection *connection, enum connection_state state) {
    const struct http_timeouts *timeouts = &connection->listener->options.timeouts;

    CHECK(connection->state != CONNECTION_CLOSED);
    connection->state = state;
    connection->phase = PHASE_NONE;
    connection->deadline_ms = DEADLINE_NONE;
    switch (state) {
    case CONNECTION_HANDSHAKE:
        connection_set_deadline(connection, timeouts->head_ms);
        break;
    case CONNECTION_WRITING:
        connection_set_deadline(connection, timeouts->write_ms);
        break;
    case CONNECTION_LINGERING:
        connection_set_deadline(connection, LIMIT_HTTP_LINGER_MS);
        break;
    case CONNECTION_READING: /* connection_rest sets it */
    case CONNECTION_BUSY:    /* the handler's matter */
    case CONNECTION_CLOSED:
        break;
    }
}

/* In READING, with all input used: what is awaited now, and until when. */
static void connection_rest(struct connection *connection) {
    const struct http_timeouts *timeouts = &connection->listener->options.timeouts;
    enum reading_phase phase = PHASE_HEAD;

    if (connection->half_closed) {
        connection_close(connection);
        return;
    }
    if (connection->in_body) {
        phase = PHASE_BODY;
    } else if (http_parser_is_idle(connection->parser)) {
        phase = PHASE_IDLE;
    }
    if (phase == PHASE_IDLE && connection->worker->draining) {
        connection_close(connection);
        return;
    }
    if (phase == connection->phase) {
        return;
    }
    connection->phase = phase;
    connection_set_deadline(connection, phase == PHASE_BODY ? timeouts->body_ms
                                        : phase == PHASE_HEAD || connection->is_anonymous
                                            ? timeouts->head_ms
                                            : timeouts->idle_ms);
}

static void load_drop(struct worker *worker) {
    (void)atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
}

static void connection_continue(struct connection *connection) {
    if (!connection->continued) {
        connection->continued = true;
        LIST_INSERT_HEAD(&connection->worker->continued, connection, continue_link);
        worker_wake_sweep(connection->worker);
    }
}

void connection_close(struct connection *connection) {
    struct worker *worker = connection->worker;

    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    connection_move(connection, CONNECTION_CLOSED);
    if (connection->exchange != NULL) {
        exchange_lose_connection(connection->exchange);
        connection->exchange = NULL;
    }
    (void)evtimer_del(&connection->timer);
    bufferevent_setcb(connection->stream, NULL, NULL, NULL, NULL);
    (void)bufferevent_disable(connection->stream, EV_READ | EV_WRITE);
    if (connection->continued) {
        connection->continued = false;
        LIST_REMOVE(connection, continue_link);
    }
    LIST_REMOVE(connection, link);
    LIST_INSERT_HEAD(&worker->closed, connection, link);
    worker->n_connections[connection->listener_index]--;
    metric_add_at(METRIC_HTTP_CONNECTIONS, connection->listener->options.door, -1);
    worker->n_anonymous[connection->listener_index] -= connection->is_anonymous ? 1 : 0;
    load_drop(worker);
    worker_wake_sweep(worker);
}

void connection_free(struct connection *connection) {
    CHECK(connection->state == CONNECTION_CLOSED && !connection->running);
    worker_count_bodies(connection->worker, connection->listener_index, 0, connection->body_bytes);
    bufferevent_free(connection->stream);
    http_parser_free(connection->parser);
    free(connection);
}

void connection_close_if_idle(struct connection *connection) {
    bool idle = connection->state == CONNECTION_READING && !connection->continued &&
                !connection->in_body && http_parser_is_idle(connection->parser);

    if (idle || connection->state == CONNECTION_HANDSHAKE) {
        connection_close(connection);
    }
}

/* --- writing --- */

/* Straight to the socket as long as nothing waits before it; the rest, and all of TLS, through the
 * stream's buffer. False when the client is gone. */
static bool connection_send(struct connection *connection, struct iovec pieces[2]) {
    struct evbuffer *output = bufferevent_get_output(connection->stream);
    size_t sent = 0;

    if (connection->listener->options.tls == NULL && evbuffer_get_length(output) == 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
        ssize_t n = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        sent = n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        sent -= skip;
        if (skip < pieces[i].iov_len &&
            bufferevent_write(connection->stream, (const char *)pieces[i].iov_base + skip,
                              pieces[i].iov_len - skip) != 0) {
            return false;
        }
    }
    return true;
}

/* The client may still be sending. To close now would make its kernel drop our answer together with
 * the reset, so what it sends is read and dropped for a moment. */
static void connection_linger(struct connection *connection) {
    struct evbuffer *input = bufferevent_get_input(connection->stream);

    if (connection->half_closed) {
        connection_close(connection);
        return;
    }
    connection_move(connection, CONNECTION_LINGERING);
    if (connection->listener->options.tls == NULL) {
        (void)shutdown(connection->fd, SHUT_WR);
    }
    (void)evbuffer_drain(input, evbuffer_get_length(input));
}

/* The answer is on its way as far as we can see. */
static void connection_answered(struct connection *connection) {
    switch (connection->next) {
    case NEXT_REQUEST:
        connection_move(connection, CONNECTION_READING);
        if (connection->running) {
            return; /* its loop goes on */
        }
        if (evbuffer_get_length(bufferevent_get_input(connection->stream)) > 0) {
            connection_continue(connection); /* not from here: our caller is a handler's code */
        } else {
            connection_rest(connection);
        }
        return;
    case NEXT_CLOSE:
        connection_close(connection);
        return;
    case NEXT_LINGER:
        connection_linger(connection);
        return;
    }
}

void connection_answer(struct connection *connection, struct iovec pieces[2],
                       enum connection_next next) {
    connection->next = next;
    if (!connection_send(connection, pieces)) {
        connection_close(connection);
    } else if (evbuffer_get_length(bufferevent_get_output(connection->stream)) > 0) {
        connection_move(connection, CONNECTION_WRITING);
    } else {
        connection_answered(connection);
    }
}

/* The door's own answers: `reason` is a literal. */
static void connection_refuse(struct connection *connection, int status, const char *reason) {
    struct worker *worker = connection->worker;
    const struct http_response response = {.status = status,
                                           .content_type = "text/plain",
                                           .body = (const uint8_t *)reason,
                                           .body_len = strlen(reason)};
    struct buf *head = &worker->head;
    struct iovec pieces[2];

    metric_add_at(METRIC_HTTP_BAD, connection->listener->options.door, 1);
    LOG_DEBUG("http.refused", F_STR("remote", connection->remote), F_I64("status", status),
              F_STR("reason", reason));
    buf_reset(head);
    http_response_head(head, &response, worker_date_line(worker), true);
    if (head->failed) {
        connection_close(connection);
        return;
    }
    buf_append_str(head, reason);
    pieces[0] = (struct iovec){.iov_base = head->data, .iov_len = head->len};
    pieces[1] = (struct iovec){.iov_base = NULL, .iov_len = 0};
    connection_answer(connection, pieces, NEXT_LINGER);
}

/* --- reading --- */

/* A client that waits for it before it sends the body gets its go-ahead. */
static void connection_head_done(struct connection *connection) {
    static char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec pieces[2] = {{.iov_base = go_ahead, .iov_len = sizeof(go_ahead) - 1}};

    connection->in_body = true;
    if (http_parser_request(connection->parser)->expect_continue &&
        evbuffer_get_length(bufferevent_get_input(connection->stream)) == 0 &&
        !connection_send(connection, pieces)) {
        connection_close(connection);
    }
}

static void connection_dispatch(struct connection *connection) {
    const struct listener_options *options = &connection->listener->options;

    connection->in_body = false;
    connection->exchange = exchange_new(connection);
    if (connection->exchange == NULL) {
        connection_refuse(connection, 503, "out of memory");
        return;
    }
    connection_move(connection, CONNECTION_BUSY);
    options->handler(connection->exchange, options->arg);
}

/* What the body has grown to; false and the answer is given when that is too much for the worker.
 */
static bool connection_count_body(struct connection *connection) {
    struct worker *worker = connection->worker;
    size_t others = worker->body_bytes[connection->listener_index] - connection->body_bytes;
    size_t size = http_parser_body_size(connection->parser);

    if (size > 0 && size > connection->listener->options.bodies_max - others) {
        worker_count_bodies(worker, connection->listener_index, 0, connection->body_bytes);
        connection->body_bytes = 0;
        http_parser_drop(connection->parser);
        connection_refuse(connection, 503, "too many requests are being read");
        return false;
    }
    worker_count_bodies(worker, connection->listener_index, size, connection->body_bytes);
    connection->body_bytes = size;
    return true;
}

/* One piece of input; false when there is none. */
static bool connection_step(struct connection *connection) {
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    struct evbuffer_iovec piece;
    enum http_parse_status status;
    const char *reason;
    size_t used = 0;
    int code;

    if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1 || piece.iov_len == 0) {
        return false;
    }
    status = http_parser_feed(connection->parser, piece.iov_base, piece.iov_len, &used);
    CHECK(evbuffer_drain(input, used) == 0);
    if (status != HTTP_BAD && !connection_count_body(connection)) {
        return true;
    }
    switch (status) {
    case HTTP_MORE:
        break;
    case HTTP_HEAD_DONE:
        connection_head_done(connection);
        break;
    case HTTP_REQUEST_DONE:
        connection_dispatch(connection);
        break;
    case HTTP_BAD:
        code = http_parser_error(connection->parser, &reason);
        connection_refuse(connection, code, reason);
        break;
    }
    return true;
}

/* Handlers run below this and may answer at once: then the loop takes the next pipelined request,
 * without recursion. The input is bounded by the stream's watermark, so the loop is, too. */
void connection_run(struct connection *connection) {
    if (connection->running) {
        return;
    }
    connection->running = true;
    while (connection->state == CONNECTION_READING && connection_step(connection)) {
    }
    connection->running = false;
    if (connection->state == CONNECTION_READING) {
        connection_rest(connection);
    }
}

static void connection_on_read(struct bufferevent *stream, void *arg) {
    struct connection *connection = arg;
    struct evbuffer *input = bufferevent_get_input(stream);

    if (connection->state == CONNECTION_LINGERING) {
        connection->lingered += evbuffer_get_length(input);
        (void)evbuffer_drain(input, evbuffer_get_length(input));
        if (connection->lingered > LIMIT_HTTP_LINGER_BYTES) {
            connection_close(connection);
        }
        return;
    }
    connection_run(connection);
}

/* The output is empty. */
static void connection_on_write(struct bufferevent *stream, void *arg) {
    struct connection *connection = arg;

    if (connection->state == CONNECTION_WRITING) {
        connection_answered(connection);
    }
}

/* A client that showed nothing: few of them, for little. False when it has to go. */
static bool connection_admit_anonymous(struct connection *connection,
                                       const struct ssl_st *session) {
    const struct listener_options *options = &connection->listener->options;
    size_t *count = &connection->worker->n_anonymous[connection->listener_index];

    if (options->anonymous_body_max == 0 || !tls_peer_is_anonymous(session)) {
        LOG_WARN("http.peer_without_region", F_STR("remote", connection->remote));
        return false;
    }
    if (*count >= LIMIT_HTTP_ANONYMOUS) {
        LOG_DEBUG("http.too_many_anonymous", F_STR("remote", connection->remote));
        return false;
    }
    ++*count;
    connection->is_anonymous = true;
    http_parser_set_body_max(connection->parser, options->anonymous_body_max);
    return true;
}

static void connection_handshake_done(struct connection *connection) {
    const struct listener_options *options = &connection->listener->options;
    const struct ssl_st *session = bufferevent_openssl_get_ssl(connection->stream);

    connection->peer_node = tls_peer_node(session);
    if (!tls_peer_region(session, connection->peer_region, sizeof(connection->peer_region))) {
        connection->peer_region[0] = '\0';
        if (options->need_peer_region && !connection_admit_anonymous(connection, session)) {
            connection_close(connection);
            return;
        }
    }
    connection_move(connection, CONNECTION_READING);
    connection_rest(connection);
}

static void connection_on_event(struct bufferevent *stream, short what, void *arg) {
    struct connection *connection = arg;
    bool owed = connection->state == CONNECTION_BUSY || connection->state == CONNECTION_WRITING ||
                connection->continued;

    if ((what & BEV_EVENT_CONNECTED) != 0) {
        connection_handshake_done(connection);
    } else if ((what & BEV_EVENT_EOF) != 0 && owed && connection->listener->options.tls == NULL) {
        /* Perhaps it has only finished sending: what it asked before is still answered. (A TLS
         * stream ends in both directions.) */
        connection->half_closed = true;
    } else {
        connection_close(connection);
    }
}

static void connection_on_timer(evutil_socket_t fd, short what, void *arg) {
    struct connection *connection = arg;
    int64_t left;

    connection->armed_ms = DEADLINE_NONE;
    if (connection->deadline_ms == DEADLINE_NONE) {
        return;
    }
    left = connection->deadline_ms - now_ms();
    if (left > 0) {
        connection_arm(connection, left);
    } else if (connection->phase == PHASE_HEAD || connection->phase == PHASE_BODY) {
        connection_refuse(connection, 408, "the request came too slowly");
    } else {
        connection_close(connection);
    }
}

/* --- opening --- */

static void remote_text(const struct sockaddr_storage *remote, char out[REMOTE_TEXT]) {
    char address[INET6_ADDRSTRLEN] = "?";

    if (remote->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, remote, sizeof(v6));
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, address, sizeof(address));
        (void)snprintf(out, REMOTE_TEXT, "[%s]:%u", address, ntohs(v6.sin6_port));
    } else if (remote->ss_family == AF_UNIX) {
        (void)snprintf(out, REMOTE_TEXT, "local");
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, remote, sizeof(v4));
        (void)inet_ntop(AF_INET, &v4.sin_addr, address, sizeof(address));
        (void)snprintf(out, REMOTE_TEXT, "%s:%u", address, ntohs(v4.sin_port));
    }
}

/* NULL without memory; the socket is then still the caller's. */
static struct bufferevent *stream_new(struct worker *worker, const struct listener_options *options,
                                      int fd) {
    struct bufferevent *stream;
    struct ssl_st *session;

    if (options->tls == NULL) {
        return bufferevent_socket_new(worker->base, fd, BEV_OPT_CLOSE_ON_FREE);
    }
    session = tls_accept(options->tls);
    if (session == NULL) {
        return NULL;
    }
    stream = bufferevent_openssl_socket_new(worker->base, fd, session, BUFFEREVENT_SSL_ACCEPTING,
                                            BEV_OPT_CLOSE_ON_FREE);
    if (stream != NULL) {
        /* Lengths frame every message here, so a missing close_notify hides nothing. */
        bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
    }
    return stream;
}

static void refuse_overload(struct worker *worker, const struct listener *listener, int fd) {
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                 "Connection: close\r\n\r\n";
    int64_t now_s = now_ms() / 1000;

    metric_add_at(METRIC_HTTP_REFUSED, listener->options.door, 1);
    if (listener->options.tls == NULL) {
        (void)!send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)shutdown(fd, SHUT_WR);
    }
    (void)close(fd);
    if (now_s != worker->warned_s) {
        worker->warned_s = now_s;
        LOG_WARN("http.too_many_connections", F_U64("limit", listener->options.connections_max));
    }
}

void connection_open(struct worker *worker, size_t listener_index, int fd,
                     const struct sockaddr_storage *remote) {
    const struct listener *listener = worker->server->listeners[listener_index];
    struct connection *connection = NULL;
    int on = 1;

    if (worker->n_connections[listener_index] >= listener->options.connections_max) {
        refuse_overload(worker, listener, fd);
        load_drop(worker);
        return;
    }
    if (worker->draining) { /* it came from another worker too late */
        goto fail;
    }
    connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        goto fail;
    }
    connection->parser = http_parser_new(listener->options.body_max);
    if (connection->parser == NULL) {
        goto fail;
    }
    connection->stream = stream_new(worker, &listener->options, fd);
    if (connection->stream == NULL) {
        goto fail;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->worker = worker;
    connection->listener = listener;
    connection->listener_index = listener_index;
    connection->fd = fd;
    connection->armed_ms = DEADLINE_NONE;
    remote_text(remote, connection->remote);
    CHECK(evtimer_assign(&connection->timer, worker->base, connection_on_timer, connection) == 0);
    LIST_INSERT_HEAD(&worker->open, connection, link);
    worker->n_connections[listener_index]++;
    metric_add_at(METRIC_HTTP_CONNECTIONS, listener->options.door, 1);
    metric_add_at(METRIC_HTTP_ACCEPTED, listener->options.door, 1);
    bufferevent_setcb(connection->stream, connection_on_read, connection_on_write,
                      connection_on_event, connection);
    /* Reading goes on while an exchange is under way, so that a client that leaves is noticed; what
     * it pipelines meanwhile is bounded by the watermark. */
    bufferevent_setwatermark(connection->stream, EV_READ, 0, LIMIT_HTTP_HEAD);
    connection_move(connection,
                    listener->options.tls != NULL ? CONNECTION_HANDSHAKE : CONNECTION_READING);
    if (bufferevent_enable(connection->stream, EV_READ | EV_WRITE) != 0) {
        connection_close(connection);
    } else if (connection->state == CONNECTION_READING) {
        connection_rest(connection);
    }
    return;
fail:
    if (connection != NULL) {
        http_parser_free(connection->parser);
        free(connection);
    }
    load_drop(worker);
    (void)close(fd);
}
