/* The HTTP door: worker threads with an event base each, listeners, connections, timers, and the
 * life of one exchange.
 *
 * A complete request becomes a `struct exchange` and goes to the listener's handler on the worker's
 * thread. The handler answers once, then or later, on the same thread, with exchange_reply; other
 * threads come back through worker_post. A client that went away in between changes nothing for the
 * handler: the reply is dropped. Pipelined requests of one connection are handled one after
 * another. */
#ifndef API_HTTP_SERVER_H
#define API_HTTP_SERVER_H

#include "api/http_parse.h"
#include "base/errc.h"
#include "base/mailbox.h"
#include "crypto/tls.h"

struct http_server;
struct worker;
struct exchange;

typedef void exchange_handler_fn(struct exchange *exchange, void *arg);

struct listener_options {
    const char *address;     /* "host:port", "[v6]:port" */
    struct tls_context *tls; /* borrowed; NULL: plain */
    size_t body_max;
    bool need_peer_region; /* refuse connections whose certificate names no region */
    exchange_handler_fn *handler;
    void *arg;
};

/* `workers` threads (0: number of cores). Returns owned. */
MUSTCHECK enum errc http_server_new(unsigned workers, struct http_server **ret, struct err *err);
/* Before start. Binds at once: ERR_IO says why not. */
MUSTCHECK enum errc http_server_listen(struct http_server *server,
                                       const struct listener_options *options, struct err *err);
MUSTCHECK enum errc http_server_start(struct http_server *server, struct err *err);
/* Stop accepting, let exchanges in flight be answered for up to `grace_ms`, then close everything
 * and join the threads. Frees. */
void http_server_stop(struct http_server *server, unsigned grace_ms);

/* --- worker's thread only, but for worker_post --- */

/* Borrowed until the reply. */
const struct http_request *exchange_request(const struct exchange *exchange);
struct worker *exchange_worker(const struct exchange *exchange);
/* The region of the peer's certificate; "" on listeners without one. */
const char *exchange_peer_region(const struct exchange *exchange);
/* Text of the client's address, for the audit log. */
const char *exchange_remote(const struct exchange *exchange);
/* The client is still there. */
bool exchange_is_connected(const struct exchange *exchange);

struct http_response {
    int status;
    const char *content_type; /* NULL: no such header */
    const char *headers;      /* further header lines, each ended by CRLF; NULL: none */
    const uint8_t *body;
    size_t body_len;
    bool close; /* close the connection afterwards */
};

/* Answers and ends the exchange, which must not be touched again. Borrows the response. Adds Date,
 * Content-Length, Connection. */
void exchange_reply(struct exchange *exchange, const struct http_response *response);
/* The same with bytes that are a complete HTTP response already (a forwarded request's). Keeps the
 * connection if its framing is sound. */
void exchange_reply_raw(struct exchange *exchange, const uint8_t *data, size_t len);

/* Runs on the worker's thread. Embed and recover with CONTAINER_OF. */
struct worker_task {
    struct letter letter;
    void (*run)(struct worker_task *task);
};
/* Any thread. Takes the task. Unbounded on purpose: only for answers to what the worker itself
 * asked for. */
void worker_post(struct worker *worker, struct worker_task *task);

/* A one-shot timer on the worker's thread; run(arg) unless cancelled. Cancel takes NULL too. */
struct worker_timer;
struct worker_timer *worker_timer_start(struct worker *worker, unsigned ms, void (*run)(void *arg),
                                        void *arg);
void worker_timer_cancel(struct worker_timer *timer);

#endif
