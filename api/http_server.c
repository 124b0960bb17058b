#include "api/http_internal.h"

#include "base/local_socket.h"
#include "base/wipe.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 256,
    BACKLOG = 1024,
    HOST_MAX = 255,
};

static void global_init_once(void) {
    /* Requests and answers pass through libevent's buffers: what they free is wiped. */
    event_set_mem_functions(wipe_malloc, wipe_realloc, wipe_free);
}

static void global_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, global_init_once) == 0);
}

static size_t core_count(void) {
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    count = CPU_COUNT(&set);
    return count > 0 ? (size_t)count : 1;
}

static void listener_free(struct listener *listener) {
    for (size_t i = 0; i < listener->n_fds; i++) {
        (void)close(listener->fds[i]);
    }
    if (listener->local != NULL && listener->n_fds > 0) {
        (void)unlink(listener->local);
    }
    free(listener->local);
    free(listener);
}

static void server_free(struct http_server *server) {
    for (size_t i = 0; i < server->n_workers; i++) {
        worker_fini(&server->workers[i]);
    }
    free(server->workers);
    for (size_t i = 0; i < server->n_listeners; i++) {
        listener_free(server->listeners[i]);
    }
    CHECK(pthread_cond_destroy(&server->drained_cond) == 0);
    CHECK(pthread_mutex_destroy(&server->lock) == 0);
    free(server);
}

enum errc http_server_new(unsigned workers, struct http_server **ret, struct err *err) {
    struct http_server *server;
    size_t count = workers != 0 ? workers : core_count();
    enum errc code;

    global_init();
    count = count > WORKERS_MAX ? WORKERS_MAX : count;
    server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    CHECK(pthread_mutex_init(&server->lock, NULL) == 0);
    CHECK(pthread_cond_init(&server->drained_cond, NULL) == 0);
    server->workers = calloc(count, sizeof(*server->workers));
    if (server->workers == NULL) {
        server_free(server);
        return err_default(err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        code = worker_init(&server->workers[i], server, err);
        server->n_workers++;
        if (code != OK) {
            server_free(server);
            return code;
        }
    }
    *ret = server;
    return OK;
}

size_t http_server_workers(const struct http_server *server) {
    return server->n_workers;
}

/* --- listening --- */

/* "host:port", "[v6]:port", ":port". */
static enum errc address_split(const char *address, char host[HOST_MAX + 1], const char **ret_port,
                               struct err *err) {
    const char *colon = strrchr(address, ':');
    const char *begin = address;
    const char *end = colon;
    char *stop = NULL;
    unsigned long port;

    if (colon == NULL || colon[1] < '0' || colon[1] > '9') {
        return err_set(err, ERR_IO, "%s: an address is host:port", address);
    }
    errno = 0;
    port = strtoul(colon + 1, &stop, 10);
    if (errno != 0 || *stop != '\0' || port > 65535) {
        return err_set(err, ERR_IO, "%s: the port is a number up to 65535", address);
    }
    if (*begin == '[' && end > begin + 1 && end[-1] == ']') {
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return err_set(err, ERR_IO, "%s: an IPv6 address is written [address]:port", address);
    }
    if ((size_t)(end - begin) > HOST_MAX) {
        return err_set(err, ERR_IO, "%s: the host name is too long", address);
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *ret_port = colon + 1;
    return OK;
}

/* One socket for all workers, without SO_REUSEPORT. A socket for each worker would need that
 * option, and then a second process of the same user would share the port silently and take part of
 * the requests; besides, connections that wait in a stopping worker's queue would be lost. The
 * price, that idle workers wake together for a new connection, is small: connections live long and
 * workers are few. */
static enum errc socket_listen(const struct addrinfo *info, unsigned port, int *ret_fd,
                               unsigned *ret_port) {
    struct sockaddr_storage bound;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len = sizeof(bound);
    int on = 1;
    int error;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    info->ai_protocol);

    if (fd < 0) {
        return ERR_IO;
    }
    memset(&bound, 0, sizeof(bound));
    memcpy(&bound, info->ai_addr, info->ai_addrlen);
    if (info->ai_family == AF_INET6) {
        /* IPv4 has its own socket. */
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
            goto fail;
        }
        memcpy(&v6, &bound, sizeof(v6));
        v6.sin6_port = htons((uint16_t)port);
        memcpy(&bound, &v6, sizeof(v6));
    } else {
        memcpy(&v4, &bound, sizeof(v4));
        v4.sin_port = htons((uint16_t)port);
        memcpy(&bound, &v4, sizeof(v4));
    }
    /* Only spares a restart the waiting for old connections to time out; two listening sockets it
     * does not allow. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&bound, info->ai_addrlen) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        goto fail;
    }
    if (info->ai_family == AF_INET6) {
        memcpy(&v6, &bound, sizeof(v6));
        *ret_port = ntohs(v6.sin6_port);
    } else {
        memcpy(&v4, &bound, sizeof(v4));
        *ret_port = ntohs(v4.sin_port);
    }
    *ret_fd = fd;
    return OK;
fail:
    error = errno;
    (void)close(fd);
    errno = error;
    return ERR_IO;
}

/* A hosts file may name an address twice; the second time is no conflict. */
static bool is_repeated(const struct addrinfo *infos, const struct addrinfo *info) {
    for (; infos != info; infos = infos->ai_next) {
        if (infos->ai_addrlen == info->ai_addrlen &&
            memcmp(infos->ai_addr, info->ai_addr, info->ai_addrlen) == 0) {
            return true;
        }
    }
    return false;
}

/* The machine has no such address; another one of the name will do. */
static bool is_elsewhere(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* Binds every address that the name stands for and this machine has; at least one. */
static enum errc listener_bind(struct listener *listener, const char *address, struct err *err) {
    char host[HOST_MAX + 1];
    const char *port_text = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    int last_error = EADDRNOTAVAIL;
    int rc;
    enum errc code = address_split(address, host, &port_text, err);

    if (code != OK) {
        return code;
    }
    rc = getaddrinfo(host[0] != '\0' ? host : NULL, port_text, &hints, &infos);
    if (rc != 0) {
        return err_set(err, ERR_IO, "%s: %s", address, gai_strerror(rc));
    }
    listener->port = (unsigned)strtoul(port_text, NULL, 10);
    for (const struct addrinfo *info = infos; info != NULL && code == OK; info = info->ai_next) {
        if (listener->n_fds == LISTEN_ADDRESSES || is_repeated(infos, info) ||
            (info->ai_family != AF_INET && info->ai_family != AF_INET6)) {
            continue;
        }
        code =
            socket_listen(info, listener->port, &listener->fds[listener->n_fds], &listener->port);
        if (code == OK) {
            listener->n_fds++;
        } else {
            last_error = errno;
            code = is_elsewhere(last_error) ? OK : code;
        }
    }
    freeaddrinfo(infos);
    if (code == OK && listener->n_fds > 0) {
        return OK;
    }
    return err_set(err, ERR_IO, "cannot listen on %s: %s", address,
                   last_error == EADDRINUSE ? "another process listens there already"
                                            : strerrordesc_np(last_error));
}

static const char local_prefix[] = "unix:";

static bool address_is_local(const char *address) {
    return strncmp(address, local_prefix, sizeof(local_prefix) - 1) == 0;
}

static enum errc listener_bind_local(struct listener *listener, const char *address,
                                     struct err *err) {
    enum errc code;

    listener->local = strdup(address + sizeof(local_prefix) - 1);
    if (listener->local == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = local_socket_listen(listener->local, BACKLOG, &listener->fds[0], err);
    listener->n_fds = code == OK ? 1 : 0;
    return code;
}

static unsigned or_default(unsigned value, unsigned limit) {
    return value != 0 ? value : limit;
}

enum errc http_server_listen(struct http_server *server, const struct listener_options *options,
                             struct err *err) {
    struct listener *listener;
    struct http_timeouts *timeouts;
    enum errc code;

    CHECK(!server->started && options->handler != NULL);
    CHECK(!options->need_peer_region || options->tls != NULL);
    if (server->n_listeners == LISTENERS_MAX) {
        return err_set(err, ERR_IO, "too many listeners");
    }
    listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    listener->options = *options;
    listener->options.address = NULL; /* the caller's text is borrowed for this call only */
    listener->options.connections_max =
        or_default(options->connections_max, LIMIT_HTTP_CONNECTIONS);
    listener->options.bodies_max =
        options->bodies_max != 0 ? options->bodies_max : LIMIT_HTTP_BODIES;
    timeouts = &listener->options.timeouts;
    timeouts->head_ms = or_default(timeouts->head_ms, LIMIT_HTTP_HEAD_MS);
    timeouts->body_ms = or_default(timeouts->body_ms, LIMIT_HTTP_BODY_MS);
    timeouts->idle_ms = or_default(timeouts->idle_ms, LIMIT_HTTP_IDLE_MS);
    timeouts->write_ms = or_default(timeouts->write_ms, LIMIT_HTTP_WRITE_MS);
    code = address_is_local(options->address) ? listener_bind_local(listener, options->address, err)
                                              : listener_bind(listener, options->address, err);
    if (code != OK) {
        listener_free(listener);
        return code;
    }
    server->listeners[server->n_listeners++] = listener;
    return OK;
}

unsigned http_server_port(const struct http_server *server, size_t listener) {
    CHECK(listener < server->n_listeners);
    return server->listeners[listener]->port;
}

/* --- running --- */

/* Ends the threads of the first `count` workers. */
static void join_workers(struct http_server *server, size_t count) {
    for (size_t i = 0; i < count; i++) {
        worker_post_stop(&server->workers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(server->workers[i].thread, NULL) == 0);
    }
}

enum errc http_server_start(struct http_server *server, struct err *err) {
    sigset_t all;
    sigset_t before;
    enum errc code = OK;
    size_t running = 0;

    CHECK(!server->started);
    for (size_t i = 0; i < server->n_workers && code == OK; i++) {
        code = worker_prepare(&server->workers[i], err);
    }
    /* Signals are the main thread's. */
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    while (running < server->n_workers && code == OK) {
        struct worker *worker = &server->workers[running];
        int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (rc != 0) {
            code = err_set(err, ERR_IO, "cannot start a thread: %s", strerrordesc_np(rc));
            break;
        }
        running++;
        (void)pthread_setname_np(worker->thread, "http");
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (code != OK) {
        join_workers(server, running);
        return code;
    }
    server->started = true;
    return OK;
}

void http_server_drain(struct http_server *server, unsigned grace_ms) {
    CHECK(!server->drained);
    server->drained = true;
    if (!server->started) {
        return;
    }
    for (size_t i = 0; i < server->n_workers; i++) {
        worker_post_drain(&server->workers[i], grace_ms);
    }
    /* New clients are refused from now on, not left waiting in the queue until the sockets close.
     */
    for (size_t i = 0; i < server->n_listeners; i++) {
        for (size_t j = 0; j < server->listeners[i]->n_fds; j++) {
            (void)shutdown(server->listeners[i]->fds[j], SHUT_RD);
        }
    }
    CHECK(pthread_mutex_lock(&server->lock) == 0);
    while (server->n_drained < server->n_workers) {
        CHECK(pthread_cond_wait(&server->drained_cond, &server->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&server->lock) == 0);
}

void http_server_stop(struct http_server *server, unsigned grace_ms) {
    if (server == NULL) {
        return;
    }
    if (!server->drained) {
        http_server_drain(server, grace_ms);
    }
    if (server->started) {
        join_workers(server, server->n_workers);
    }
    server_free(server);
}
