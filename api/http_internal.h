/* What the files of the HTTP door share: servers, workers, connections and exchanges from inside.
 *
 * Everything below a worker belongs to its thread. libevent objects are never touched from another
 * thread (no locks are compiled into them); other threads post tasks. */
#ifndef API_HTTP_INTERNAL_H
#define API_HTTP_INTERNAL_H

#include "api/http_server.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "api/http_response.h"

enum {
    LISTEN_ADDRESSES = 8, /* that one name may stand for */
    LISTENERS_MAX = 8,
    REMOTE_TEXT = INET6_ADDRSTRLEN + 8, /* [address]:port */
    DEADLINE_NONE = -1,
};

struct listener {
    struct listener_options options; /* with all timeouts and limits set */
    int fds[LISTEN_ADDRESSES];
    size_t n_fds;
    unsigned port;
    char *local; /* owned: the path of a unix socket; NULL: of the network */
};

struct http_server {
    struct worker *workers; /* owned */
    size_t n_workers;
    struct listener *listeners[LISTENERS_MAX]; /* owned */
    size_t n_listeners;
    bool started;
    bool drained;
    pthread_mutex_t lock; /* guards n_drained */
    pthread_cond_t drained_cond;
    size_t n_drained; /* workers without a connection */
};

/* One listening socket as seen by one worker. Whoever accepts a connection gives it to the worker
 * that has the fewest. */
struct acceptor {
    struct worker *worker;
    size_t listener_index;
    int fd;
    struct event ready;
    struct event pause; /* after the process ran out of descriptors */
};

LIST_HEAD(connection_list, connection);
LIST_HEAD(exchange_list, exchange);
LIST_HEAD(timer_list, worker_timer);

struct worker {
    struct http_server *server;
    pthread_t thread;
    struct event_base *base;
    struct mailbox *mailbox;
    struct event mailbox_event;
    struct event sweep_event; /* the end of the turn: deferred continuing and freeing */
    struct event grace_event;
    struct acceptor *acceptors; /* owned */
    size_t n_acceptors;
    size_t n_connections[LISTENERS_MAX];
    size_t n_anonymous[LISTENERS_MAX]; /* of the connections */
    size_t body_bytes[LISTENERS_MAX];  /* of requests that are being read or handled */
    _Atomic size_t load; /* connections, with those on their way here; read by all workers */
    struct connection_list open;      /* by `link` */
    struct connection_list closed;    /* by `link`; freed by the sweep */
    struct connection_list continued; /* by `continue_link`; resumed by the sweep */
    struct exchange_list exchanges;
    struct timer_list timers;
    struct buf head; /* where heads of responses are written */
    int64_t date_s;
    char date_line[HTTP_DATE_LINE];
    int64_t warned_s; /* when the log last told of refused connections */
    bool draining;
    bool forced; /* the grace is over */
    bool drain_signalled;
    bool stopped;
    struct worker_task drain_task;
    struct worker_task stop_task;
    unsigned grace_ms;
};

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_READING, /* a request, or waiting for one */
    CONNECTION_BUSY,    /* a handler has the exchange */
    CONNECTION_WRITING, /* the answer, as far as the socket did not take it at once */
    CONNECTION_LINGERING,
    CONNECTION_CLOSED,
};

/* What is being read; each has its deadline, counted from its beginning. */
enum reading_phase { PHASE_NONE, PHASE_IDLE, PHASE_HEAD, PHASE_BODY };

/* What comes after the answer. */
enum connection_next { NEXT_REQUEST, NEXT_CLOSE, NEXT_LINGER };

struct connection {
    LIST_ENTRY(connection) link;
    LIST_ENTRY(connection) continue_link;
    struct worker *worker;
    const struct listener *listener;
    size_t listener_index;
    struct bufferevent *stream; /* owned; owns the socket and the TLS session */
    int fd;                     /* the stream's */
    struct http_parser *parser; /* owned */
    struct exchange *exchange;  /* while BUSY */
    struct event timer;         /* armed lazily, see connection_set_deadline */
    int64_t deadline_ms;        /* DEADLINE_NONE, or on the monotonic clock */
    int64_t armed_ms;           /* when the timer fires; DEADLINE_NONE when it is not armed */
    size_t lingered;            /* bytes read and dropped */
    size_t body_bytes;          /* of the request that is being read, as the worker counts them */
    enum connection_state state;
    enum reading_phase phase;
    enum connection_next next;
    bool in_body;     /* the head of the request that is being read is complete */
    bool running;     /* connection_run is on the stack */
    bool continued;   /* on the worker's list */
    bool half_closed; /* the client will send no more */
    char remote[REMOTE_TEXT];
    char peer_region[LIMIT_REGION_NAME + 1];
    uint64_t peer_node;
    bool is_anonymous; /* counted as such */
};

/* --- http_worker.c --- */

MUSTCHECK enum errc worker_init(struct worker *worker, struct http_server *server, struct err *err);
/* After the thread is joined, or if it never ran. */
void worker_fini(struct worker *worker);
/* Takes up the listeners; before the thread runs. */
MUSTCHECK enum errc worker_prepare(struct worker *worker, struct err *err);
/* The thread. */
void *worker_main(void *worker);
/* Any thread, once each. */
void worker_post_drain(struct worker *worker, unsigned grace_ms);
void worker_post_stop(struct worker *worker);
/* Let the sweep run in this turn. */
void worker_wake_sweep(struct worker *worker);
/* Bodies that this worker holds have grown (or shrunk) by so much. */
void worker_count_bodies(struct worker *worker, size_t listener_index, size_t added,
                         size_t removed);
/* The Date header of now. Borrowed until the next call. */
const char *worker_date_line(struct worker *worker);
/* CHECKs that the caller runs on this worker's thread. */
void worker_check_thread(const struct worker *worker);

/* --- http_connection.c --- */

/* Takes the socket, which is counted in the worker's load already. */
void connection_open(struct worker *worker, size_t listener_index, int fd,
                     const struct sockaddr_storage *remote);
/* Now; the memory goes with the sweep. No-op on a closed one. */
void connection_close(struct connection *connection);
/* The sweep's part: go on reading what is there. */
void connection_run(struct connection *connection);
/* Close unless a request is being read, handled or answered. */
void connection_close_if_idle(struct connection *connection);
/* Of a closed one. */
void connection_free(struct connection *connection);
/* Answer and go on; `pieces` are head and body, copied as far as needed. */
void connection_answer(struct connection *connection, struct iovec pieces[2],
                       enum connection_next next);

/* --- http_exchange.c --- */

/* Takes the complete request out of the connection's parser. NULL without memory. */
struct exchange *exchange_new(struct connection *connection);
/* The connection is gone, the handler may still answer. */
void exchange_lose_connection(struct exchange *exchange);
/* For the end of the worker: whoever holds it. */
void exchange_free(struct exchange *exchange);

#endif
