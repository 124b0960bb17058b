#include "api/http_internal.h"

#include "base/local_socket.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wipe.h"
#include "base/world.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Connections that one wake-up takes, so that a burst does not hold up the others. */
    ACCEPT_BATCH = 8,
    ACCEPT_PAUSE_MS = 100,
};

/* The worker whose thread this is. */
static _Thread_local struct worker *worker_of_thread;

struct worker_timer {
    LIST_ENTRY(worker_timer) link;
    struct event event;
    void (*run)(void *arg);
    void *arg;
};

static struct timeval timeval_of(unsigned ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

void worker_check_thread(const struct worker *worker) {
    CHECK(worker == worker_of_thread);
}

void worker_wake_sweep(struct worker *worker) {
    event_active(&worker->sweep_event, EV_TIMEOUT, 0);
}

const char *worker_date_line(struct worker *worker) {
    int64_t now_s = world_wall_ms(world_system()) / 1000;

    if (now_s != worker->date_s) {
        worker->date_s = now_s;
        http_date_line(now_s, worker->date_line);
    }
    return worker->date_line;
}

void worker_count_bodies(struct worker *worker, size_t listener_index, size_t added,
                         size_t removed) {
    if (added != removed) {
        worker->body_bytes[listener_index] += added - removed;
        metric_add_at(METRIC_HTTP_BODIES, worker->server->listeners[listener_index]->options.door,
                      (int64_t)added - (int64_t)removed);
    }
}

/* --- accepting --- */

static void acceptor_pause(struct acceptor *acceptor, int error) {
    struct timeval after = timeval_of(ACCEPT_PAUSE_MS);

    LOG_WARN("http.accept_paused", F_STR("error", strerrordesc_np(error)),
             F_U64("ms", ACCEPT_PAUSE_MS));
    (void)event_del(&acceptor->ready);
    CHECK(evtimer_add(&acceptor->pause, &after) == 0);
}

static void acceptor_on_pause_over(evutil_socket_t fd, short what, void *arg) {
    struct acceptor *acceptor = arg;
    CHECK(event_add(&acceptor->ready, NULL) == 0);
}

static void acceptor_failed(struct acceptor *acceptor, int error) {
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        /* The socket stays readable; without a pause the loop would spin. */
        acceptor_pause(acceptor, error);
        return;
    case EINVAL: /* the server has shut the socket down */
    case EBADF:
        (void)event_del(&acceptor->ready);
        return;
    default: /* nobody there (another worker was faster), or a connection that died in the queue */
        return;
    }
}

/* A new connection on its way to another worker. */
struct arrival {
    struct worker_task task;
    struct worker *worker;
    size_t listener_index;
    int fd;
    struct sockaddr_storage remote;
};

static void arrival_run(struct worker_task *task) {
    struct arrival *arrival = CONTAINER_OF(task, struct arrival, task);
    connection_open(arrival->worker, arrival->listener_index, arrival->fd, &arrival->remote);
    free(arrival);
}

/* Connections live long, so that an uneven start would stay: which of the idle workers wins the
 * race for a new connection is chance. In a tie it stays here. */
static struct worker *least_loaded(struct worker *self) {
    struct http_server *server = self->server;
    struct worker *best = self;
    size_t best_load = atomic_load_explicit(&self->load, memory_order_relaxed);

    for (size_t i = 0; i < server->n_workers; i++) {
        size_t load = atomic_load_explicit(&server->workers[i].load, memory_order_relaxed);
        if (load < best_load) {
            best = &server->workers[i];
            best_load = load;
        }
    }
    return best;
}

static void acceptor_take(const struct acceptor *acceptor, int fd,
                          const struct sockaddr_storage *remote) {
    struct worker *worker = least_loaded(acceptor->worker);
    struct arrival *arrival = NULL;

    if (worker != acceptor->worker) {
        arrival = malloc(sizeof(*arrival));
        worker = arrival != NULL ? worker : acceptor->worker;
    }
    (void)atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
    if (arrival == NULL) {
        connection_open(worker, acceptor->listener_index, fd, remote);
        return;
    }
    *arrival = (struct arrival){.task.run = arrival_run,
                                .worker = worker,
                                .listener_index = acceptor->listener_index,
                                .fd = fd,
                                .remote = *remote};
    worker_post(worker, &arrival->task);
}

static bool acceptor_is_local(const struct acceptor *acceptor) {
    return acceptor->worker->server->listeners[acceptor->listener_index]->local != NULL;
}

static void acceptor_on_ready(evutil_socket_t fd, short what, void *arg) {
    struct acceptor *acceptor = arg;

    for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage remote = {0};
        socklen_t len = sizeof(remote);
        int accepted =
            accept4(acceptor->fd, (struct sockaddr *)&remote, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            acceptor_failed(acceptor, errno);
            return;
        }
        if (acceptor_is_local(acceptor) && !local_socket_is_trusted(accepted)) {
            LOG_WARN("http.local_user_refused");
            (void)close(accepted);
            continue;
        }
        acceptor_take(acceptor, accepted, &remote);
    }
}

enum errc worker_prepare(struct worker *worker, struct err *err) {
    const struct http_server *server = worker->server;
    size_t count = 0;

    for (size_t i = 0; i < server->n_listeners; i++) {
        count += server->listeners[i]->n_fds;
    }
    worker->acceptors = calloc(count + 1, sizeof(*worker->acceptors));
    if (worker->acceptors == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < server->n_listeners; i++) {
        for (size_t j = 0; j < server->listeners[i]->n_fds; j++) {
            struct acceptor *acceptor = &worker->acceptors[worker->n_acceptors++];
            *acceptor = (struct acceptor){
                .worker = worker, .listener_index = i, .fd = server->listeners[i]->fds[j]};
            CHECK(event_assign(&acceptor->ready, worker->base, acceptor->fd, EV_READ | EV_PERSIST,
                               acceptor_on_ready, acceptor) == 0);
            CHECK(evtimer_assign(&acceptor->pause, worker->base, acceptor_on_pause_over,
                                 acceptor) == 0);
            if (event_add(&acceptor->ready, NULL) != 0) {
                return err_set(err, ERR_IO, "cannot watch a listening socket: %s",
                               strerrordesc_np(errno));
            }
        }
    }
    return OK;
}

static void worker_stop_accepting(struct worker *worker) {
    for (size_t i = 0; i < worker->n_acceptors; i++) {
        (void)event_del(&worker->acceptors[i].ready);
        (void)evtimer_del(&worker->acceptors[i].pause);
    }
}

/* --- the end of a turn --- */

/* Tells http_server_drain, once, when nothing is left to wait for. */
static void worker_check_drained(struct worker *worker) {
    struct http_server *server = worker->server;

    if (!worker->draining || worker->drain_signalled || !LIST_EMPTY(&worker->open) ||
        (!LIST_EMPTY(&worker->exchanges) && !worker->forced)) {
        return;
    }
    worker->drain_signalled = true;
    (void)evtimer_del(&worker->grace_event);
    CHECK(pthread_mutex_lock(&server->lock) == 0);
    server->n_drained++;
    CHECK(pthread_cond_signal(&server->drained_cond) == 0);
    CHECK(pthread_mutex_unlock(&server->lock) == 0);
}

static void worker_sweep(struct worker *worker) {
    struct connection *connection;

    while ((connection = LIST_FIRST(&worker->continued)) != NULL) {
        LIST_REMOVE(connection, continue_link);
        connection->continued = false;
        connection_run(connection);
    }
    while ((connection = LIST_FIRST(&worker->closed)) != NULL) {
        LIST_REMOVE(connection, link);
        connection_free(connection);
    }
    worker_check_drained(worker);
}

static void worker_on_sweep(evutil_socket_t fd, short what, void *arg) {
    worker_sweep(arg);
}

/* --- timers --- */

static void timer_remove(struct worker_timer *timer) {
    LIST_REMOVE(timer, link);
    (void)evtimer_del(&timer->event);
    free(timer);
}

static void timer_on_due(evutil_socket_t fd, short what, void *arg) {
    struct worker_timer *timer = arg;
    void (*run)(void *) = timer->run;
    void *run_arg = timer->arg;

    timer_remove(timer);
    run(run_arg);
}

struct worker_timer *worker_timer_start(struct worker *worker, unsigned ms, void (*run)(void *arg),
                                        void *arg) {
    struct worker_timer *timer = calloc(1, sizeof(*timer));
    struct timeval after = timeval_of(ms);

    worker_check_thread(worker);
    if (timer == NULL) {
        return NULL;
    }
    timer->run = run;
    timer->arg = arg;
    CHECK(evtimer_assign(&timer->event, worker->base, timer_on_due, timer) == 0);
    if (evtimer_add(&timer->event, &after) != 0) {
        free(timer);
        return NULL;
    }
    LIST_INSERT_HEAD(&worker->timers, timer, link);
    return timer;
}

void worker_timer_cancel(struct worker_timer *timer) {
    if (timer != NULL) {
        timer_remove(timer);
    }
}

/* --- posted tasks --- */

void worker_post(struct worker *worker, struct worker_task *task) {
    mailbox_push_reply(worker->mailbox, &task->letter);
}

/* True if there were any. */
static bool worker_run_tasks(struct worker *worker) {
    struct letter *letter = mailbox_drain(worker->mailbox);
    bool any = letter != NULL;

    while (letter != NULL) {
        struct worker_task *task = CONTAINER_OF(letter, struct worker_task, letter);
        letter = letter->next; /* before the task is given away */
        task->run(task);
    }
    return any;
}

static void worker_on_mailbox(evutil_socket_t fd, short what, void *arg) {
    (void)worker_run_tasks(arg);
}

/* --- draining and stopping --- */

static void worker_on_grace_over(evutil_socket_t fd, short what, void *arg) {
    struct worker *worker = arg;
    struct connection *connection;

    worker->forced = true;
    while ((connection = LIST_FIRST(&worker->open)) != NULL) {
        connection_close(connection);
    }
    worker_wake_sweep(worker);
}

static void worker_run_drain(struct worker_task *task) {
    struct worker *worker = CONTAINER_OF(task, struct worker, drain_task);
    struct timeval grace = timeval_of(worker->grace_ms);
    struct connection *connection = LIST_FIRST(&worker->open);

    worker->draining = true;
    worker_stop_accepting(worker);
    while (connection != NULL) {
        struct connection *next = LIST_NEXT(connection, link);
        connection_close_if_idle(connection);
        connection = next;
    }
    CHECK(evtimer_add(&worker->grace_event, &grace) == 0);
    worker_wake_sweep(worker);
}

void worker_post_drain(struct worker *worker, unsigned grace_ms) {
    worker->grace_ms = grace_ms;
    worker->drain_task.run = worker_run_drain;
    worker_post(worker, &worker->drain_task);
}

static void worker_run_stop(struct worker_task *task) {
    struct worker *worker = CONTAINER_OF(task, struct worker, stop_task);
    CHECK(event_base_loopbreak(worker->base) == 0);
}

void worker_post_stop(struct worker *worker) {
    worker->stop_task.run = worker_run_stop;
    worker_post(worker, &worker->stop_task);
}

/* Ahead of its time. True if there was one. */
static bool worker_run_timer(struct worker *worker) {
    struct worker_timer *timer = LIST_FIRST(&worker->timers);

    if (timer != NULL) {
        timer_on_due(-1, EV_TIMEOUT, timer);
    }
    return timer != NULL;
}

void *worker_main(void *arg) {
    struct worker *worker = arg;

    worker_of_thread = worker;
    CHECK(event_base_dispatch(worker->base) >= 0);
    /* What was posted before the stop is run, not dropped, and so is what waits for its time: a
     * task may own memory. */
    do {
        worker_sweep(worker);
    } while (worker_run_tasks(worker) || worker_run_timer(worker));
    worker_of_thread = NULL;
    return NULL;
}

/* --- life --- */

enum errc worker_init(struct worker *worker, struct http_server *server, struct err *err) {
    worker->server = server;
    worker->date_s = -1;
    LIST_INIT(&worker->open);
    LIST_INIT(&worker->closed);
    LIST_INIT(&worker->continued);
    LIST_INIT(&worker->exchanges);
    LIST_INIT(&worker->timers);
    /* Room for the longest head that a client may send back to us, and our own lines. */
    buf_init(&worker->head, (size_t)2 * LIMIT_HTTP_HEAD);
    worker->mailbox = mailbox_new(1); /* replies only, which have no bound */
    worker->base = event_base_new();
    if (worker->mailbox == NULL || worker->base == NULL) {
        return err_set(err, ERR_IO, "cannot make an event loop");
    }
    CHECK(event_assign(&worker->mailbox_event, worker->base, mailbox_fd(worker->mailbox),
                       EV_READ | EV_PERSIST, worker_on_mailbox, worker) == 0);
    CHECK(evtimer_assign(&worker->sweep_event, worker->base, worker_on_sweep, worker) == 0);
    CHECK(evtimer_assign(&worker->grace_event, worker->base, worker_on_grace_over, worker) == 0);
    if (event_add(&worker->mailbox_event, NULL) != 0) {
        return err_set(err, ERR_IO, "cannot watch a mailbox: %s", strerrordesc_np(errno));
    }
    return OK;
}

void worker_fini(struct worker *worker) {
    struct worker_timer *timer;
    struct exchange *exchange;

    CHECK(LIST_EMPTY(&worker->open) && LIST_EMPTY(&worker->closed));
    while ((exchange = LIST_FIRST(&worker->exchanges)) != NULL) {
        exchange_free(exchange);
    }
    while ((timer = LIST_FIRST(&worker->timers)) != NULL) {
        worker_timer_cancel(timer);
    }
    worker_stop_accepting(worker);
    free(worker->acceptors);
    if (worker->base != NULL) {
        event_base_free(worker->base);
    }
    mailbox_free(worker->mailbox);
    buf_fini(&worker->head);
}
