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

/* In milliseconds; 0 stands for the limit of base/limits.h. They are absolute: bytes that trickle
 * in do not extend them. */
struct http_timeouts {
    unsigned head_ms;  /* from the first byte of a request to the end of its head; handshakes too */
    unsigned body_ms;  /* from there to the end of its body */
    unsigned idle_ms;  /* between requests */
    unsigned write_ms; /* for an answer that the client does not fetch */
};

struct listener_options {
    /* "host:port", "[v6]:port"; without a host all addresses. Every address that a name stands for
       is bound. Port 0: the system chooses, see http_server_port. "unix:PATH": a socket of this
       machine, for our own user and root alone; the file goes with the server. */
    const char *address;
    struct tls_context *tls; /* borrowed; NULL: plain */
    size_t body_max;
    bool need_peer_region; /* refuse connections whose certificate names no region */
    /* With it, and a context of tls_server_new_open: clients without any certificate are let in
       too, for one request each, with a body of at most so many bytes; they take no more than
       LIMIT_HTTP_ANONYMOUS of a worker's connections. 0: they are not. */
    size_t anonymous_body_max;
    exchange_handler_fn *handler;
    void *arg;
    struct http_timeouts timeouts;
    unsigned door;            /* METRIC_DOOR_...: what it is counted as */
    unsigned connections_max; /* per worker; 0: LIMIT_HTTP_CONNECTIONS */
    size_t bodies_max;        /* bytes of bodies, per worker; 0: LIMIT_HTTP_BODIES */
};

/* `workers` threads (0: number of cores). Returns owned. */
MUSTCHECK enum errc http_server_new(unsigned workers, struct http_server **ret, struct err *err);
/* How many threads there will be. */
size_t http_server_workers(const struct http_server *server);
/* Before start. Binds at once: ERR_IO says why not. */
MUSTCHECK enum errc http_server_listen(struct http_server *server,
                                       const struct listener_options *options, struct err *err);
/* The port that the n-th listener (from 0, in the order of http_server_listen) is bound to. */
unsigned http_server_port(const struct http_server *server, size_t listener);
MUSTCHECK enum errc http_server_start(struct http_server *server, struct err *err);
/* Stop accepting, let exchanges in flight be answered for up to `grace_ms`, then close all
 * connections. The threads stay and run what is posted: between this and http_server_stop the
 * caller ends whatever still posts to workers. Once. */
void http_server_drain(struct http_server *server, unsigned grace_ms);
/* Drains, unless that was done; then joins the threads and frees. Nobody may post any more.
 * Timers that are still set run then, early, and must not set others for ever. Exchanges without
 * an answer are freed; their handlers never run again. Takes NULL too. */
void http_server_stop(struct http_server *server, unsigned grace_ms);

/* --- worker's thread only, but for worker_post --- */

/* Borrowed until the reply; the texts below likewise. */
const struct http_request *exchange_request(const struct exchange *exchange);
struct worker *exchange_worker(const struct exchange *exchange);
/* The region of the peer's certificate; "" on listeners without one. */
const char *exchange_peer_region(const struct exchange *exchange);
/* The node that it names; 0: none. */
uint64_t exchange_peer_node(const struct exchange *exchange);
/* Text of the client's address, for the audit log. */
const char *exchange_remote(const struct exchange *exchange);
/* The client is still there. False too when it has closed its sending side only, which is how a
 * client that gave up looks; an answer is sent all the same. */
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

/* A one-shot timer on the worker's thread; run(arg) unless cancelled. It is gone when run is
 * called. NULL without memory. Cancel takes NULL too. */
struct worker_timer;
struct worker_timer *worker_timer_start(struct worker *worker, unsigned ms, void (*run)(void *arg),
                                        void *arg);
void worker_timer_cancel(struct worker_timer *timer);

#endif
