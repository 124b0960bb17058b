#include "cluster/transport.h"

#include "base/log.h"
#include "cluster/command.h"
#include "cluster/member.h"
#include "cluster/transport_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128 };

uint64_t transport_now(const struct transport *transport) {
    return uv_now(transport->options.loop);
}

unsigned transport_attempt_ms(const struct transport *transport) {
    unsigned half = transport->options.silence_ms / 2;

    return half < LIMIT_TRANSPORT_RETRY_MS_MAX ? half : LIMIT_TRANSPORT_RETRY_MS_MAX;
}

void transport_node_text(uint64_t node, char out[TRANSPORT_NODE_TEXT]) {
    (void)snprintf(out, TRANSPORT_NODE_TEXT, "%016" PRIx64, node);
}

/* --- identity --- */

static enum errc load_identity(const struct transport *transport, struct tls_context **ret,
                               struct err *err) {
    const char *path = transport->cert_path;
    struct tls_context *tls = NULL;
    struct tls_name name;
    char self[TRANSPORT_NODE_TEXT];
    enum errc errc = tls_node_context_new(&transport->options.tls, &tls, err);

    if (errc != OK) {
        return errc;
    }
    transport_node_text(transport->options.self, self);
    if (!tls_context_name(tls, &name)) {
        errc = err_set(err, ERR_INVALID_PARAMETER, "%s: the certificate names no region", path);
    } else if (strcmp(name.region, transport->region) != 0) {
        errc = err_set(err, ERR_INVALID_PARAMETER,
                       "%s: the certificate is of region %s, and this node of %s", path,
                       name.region, transport->region);
    } else if (name.node != transport->options.self) {
        errc = err_set(err, ERR_INVALID_PARAMETER, "%s: the certificate names %s node than %s",
                       path, name.node == 0 ? "no" : "another", self);
    }
    if (errc == OK) {
        *ret = tls;
    } else {
        tls_context_free(tls);
    }
    return errc;
}

enum errc transport_reload(struct transport *transport, struct err *err) {
    struct tls_context *tls = NULL;
    enum errc errc = load_identity(transport, &tls, err);

    if (errc == OK) {
        tls_context_free(transport->tls); /* its streams keep what they need */
        transport->tls = tls;
    }
    return errc;
}

/* --- listening --- */

static void on_connection(uv_stream_t *listener, int status) {
    struct transport *transport = listener->data;
    size_t i = (size_t)((uv_tcp_t *)listener - transport->listeners);

    if (status == 0 && !stream_accept(transport, listener)) {
        transport->is_waiting[i] = true;
    }
}

/* ERR_IO with errno. */
static enum errc socket_listen(const struct addrinfo *info, int *ret) {
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    info->ai_protocol);
    int on = 1, error;

    if (fd < 0) {
        return ERR_IO;
    }
    /* SO_REUSEADDR spares a restart the waiting for old connections; two listening sockets it does
     * not allow. Of a name with addresses of both kinds, each gets its own socket. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (info->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        error = errno;
        (void)close(fd);
        errno = error;
        return ERR_IO;
    }
    *ret = fd;
    return OK;
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

/* Sockets for every address that the name stands for and this machine has; at least one. */
static enum errc listen_all(const char *address, int fds[TRANSPORT_ADDRESSES], size_t *ret_n,
                            struct err *err) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    char host[LIMIT_ADDRESS + 1], port[6];
    int last_error = EADDRNOTAVAIL, rc;
    size_t n = 0;
    bool is_bound = true;

    if (!member_door_split(address, host, port)) {
        return err_set(err, ERR_IO, "%s: an address is host:port", address);
    }
    rc = getaddrinfo(host, port, &hints, &infos);
    if (rc != 0) {
        return err_set(err, ERR_IO, "%s: %s", address, gai_strerror(rc));
    }
    for (const struct addrinfo *info = infos; info != NULL && is_bound; info = info->ai_next) {
        if (n == TRANSPORT_ADDRESSES || is_repeated(infos, info)) {
            continue;
        }
        if (socket_listen(info, &fds[n]) == OK) {
            n++;
        } else {
            last_error = errno;
            is_bound = last_error == EAFNOSUPPORT || last_error == EADDRNOTAVAIL; /* elsewhere */
        }
    }
    freeaddrinfo(infos);
    if (is_bound && n > 0) {
        *ret_n = n;
        return OK;
    }
    while (n > 0) {
        (void)close(fds[--n]);
    }
    return err_set(err, ERR_IO, "cannot listen on %s: %s", address,
                   last_error == EADDRINUSE ? "another process listens there already"
                                            : strerrordesc_np(last_error));
}

static void adopt_listeners(struct transport *transport, const int *fds, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uv_tcp_t *listener = &transport->listeners[i];
        CHECK(uv_tcp_init(transport->options.loop, listener) == 0);
        listener->data = transport;
        CHECK(uv_tcp_open(listener, fds[i]) == 0);
        CHECK(uv_listen((uv_stream_t *)listener, BACKLOG, on_connection) == 0);
        transport->n_handles++;
    }
    transport->n_listeners = n;
}

/* --- the turns of the loop --- */

/* In front of the wait: whatever was sent since the last one shares records and system calls. */
static void on_prepare(uv_prepare_t *prepare) {
    struct transport *transport = prepare->data;
    struct stream *next;

    if (!transport->has_queued) {
        return;
    }
    transport->has_queued = false;
    for (struct stream *stream = transport->streams; stream != NULL; stream = next) {
        next = stream->next;
        stream_flush(stream);
    }
}

static void on_tick(uv_timer_t *timer) {
    struct transport *transport = timer->data;
    struct stream *next;

    for (struct stream *stream = transport->streams; stream != NULL; stream = next) {
        next = stream->next;
        stream_tick(stream);
    }
    queue_pool_trim(&transport->pool);
    for (size_t i = 0; i < transport->n_listeners; i++) {
        if (transport->is_waiting[i]) {
            transport->is_waiting[i] =
                !stream_accept(transport, (uv_stream_t *)&transport->listeners[i]);
        }
    }
}

static void start_turns(struct transport *transport) {
    uv_loop_t *loop = transport->options.loop;

    CHECK(uv_prepare_init(loop, &transport->prepare) == 0);
    CHECK(uv_timer_init(loop, &transport->tick) == 0);
    transport->prepare.data = transport;
    transport->tick.data = transport;
    transport->n_handles += 2;
    CHECK(uv_prepare_start(&transport->prepare, on_prepare) == 0);
    CHECK(uv_timer_start(&transport->tick, on_tick, TRANSPORT_TICK_MS, TRANSPORT_TICK_MS) == 0);
}

/* --- life --- */

static char *copy(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

static bool copy_options(struct transport *transport, const struct transport_options *options) {
    transport->options = *options;
    (void)snprintf(transport->region, sizeof(transport->region), "%s", options->region);
    (void)snprintf(transport->address, sizeof(transport->address), "%s",
                   options->address != NULL ? options->address : "");
    transport->ca_path = copy(options->tls.ca_path);
    transport->cert_path = copy(options->tls.cert_path);
    transport->key_path = copy(options->tls.key_path);
    transport->options.region = transport->region;
    transport->options.address = transport->address;
    transport->options.listen = NULL;
    transport->options.tls =
        (struct tls_files){transport->ca_path, transport->cert_path, transport->key_path};
    if (options->silence_ms == 0 || options->silence_ms > LIMIT_TRANSPORT_STALL_MS) {
        transport->options.silence_ms = LIMIT_TRANSPORT_STALL_MS;
    } else if (options->silence_ms < LIMIT_TRANSPORT_SILENCE_MS_MIN) {
        transport->options.silence_ms = LIMIT_TRANSPORT_SILENCE_MS_MIN;
    }
    if (options->level_max == 0) {
        transport->options.level_min = command_levels.oldest;
        transport->options.level_max = command_levels.newest;
    }
    return transport->ca_path != NULL && transport->cert_path != NULL &&
           transport->key_path != NULL;
}

enum errc transport_new(const struct transport_options *options, struct transport **ret,
                        struct err *err) {
    struct transport *transport = calloc(1, sizeof(*transport));
    int fds[TRANSPORT_ADDRESSES];
    size_t n_fds = 0;
    enum errc errc;

    CHECK(options->self != 0 && options->tls.ca_path != NULL);
    if (transport == NULL || !copy_options(transport, options)) {
        transport_free(transport);
        return err_default(err, ERR_NO_MEMORY);
    }
    errc = load_identity(transport, &transport->tls, err);
    if (errc == OK && options->listen != NULL) {
        errc = listen_all(options->listen, fds, &n_fds, err);
    }
    if (errc != OK) {
        transport_free(transport);
        return errc;
    }
    /* Handles, which only the loop can take back, come when nothing can fail any more. */
    adopt_listeners(transport, fds, n_fds);
    start_turns(transport);
    *ret = transport;
    return OK;
}

void transport_handle_closed(struct transport *transport) {
    CHECK(transport->n_handles > 0);
    transport->n_handles--;
    if (transport->n_handles == 0 && transport->closed_cb != NULL) {
        transport->closed_cb(transport->options.arg);
    }
}

static void on_own_closed(uv_handle_t *handle) {
    transport_handle_closed(handle->data);
}

void transport_close(struct transport *transport, void (*closed_cb)(void *arg)) {
    CHECK(!transport->is_closing && closed_cb != NULL);
    transport->is_closing = true;
    transport->closed_cb = closed_cb;
    for (size_t i = 0; i < transport->n_peers; i++) {
        peer_remove(transport->peers[i]);
    }
    transport->n_peers = 0;
    while (transport->streams != NULL) {
        stream_close(transport->streams, "this node stops");
    }
    for (size_t i = 0; i < transport->n_listeners; i++) {
        uv_close((uv_handle_t *)&transport->listeners[i], on_own_closed);
    }
    uv_close((uv_handle_t *)&transport->prepare, on_own_closed);
    uv_close((uv_handle_t *)&transport->tick, on_own_closed);
}

void transport_free(struct transport *transport) {
    if (transport == NULL) {
        return;
    }
    CHECK(transport->n_handles == 0);
    tls_context_free(transport->tls);
    queue_pool_fini(&transport->pool);
    free(transport->ca_path);
    free(transport->cert_path);
    free(transport->key_path);
    free(transport);
}

/* --- sending and looking --- */

void transport_set_level(struct transport *transport, uint16_t level) {
    struct stream *next;

    if (level <= transport->options.level_min) {
        return;
    }
    transport->options.level_min = level;
    for (struct stream *stream = transport->streams; stream != NULL; stream = next) {
        next = stream->next;
        stream_look_at_level(stream);
    }
}

bool transport_send(struct transport *transport, uint64_t to, struct core_bytes message) {
    struct peer *peer = peer_find(transport, to);

    CHECK(message.len > 0 && message.len <= CORE_MESSAGE_MAX);
    if (peer == NULL) {
        return false;
    }
    if (peer->stream == NULL || peer->stream->phase != STREAM_OPEN ||
        !stream_send(peer->stream, message)) {
        peer->dropped++;
        return false;
    }
    return true;
}

bool transport_is_accepted(const struct transport *transport, uint64_t node) {
    for (const struct stream *stream = transport->streams; stream != NULL; stream = stream->next) {
        if (stream->peer == NULL && stream->phase == STREAM_OPEN && stream->node == node) {
            return true;
        }
    }
    return false;
}

size_t transport_peers(const struct transport *transport, struct transport_peer *out, size_t most) {
    size_t n = transport->n_peers < most ? transport->n_peers : most;

    for (size_t i = 0; i < n; i++) {
        const struct peer *peer = transport->peers[i];
        bool is_connected = peer->stream != NULL && peer->stream->phase == STREAM_OPEN;
        out[i] = (struct transport_peer){
            .node = peer->node,
            .is_connected = is_connected,
            .is_accepted = transport_is_accepted(transport, peer->node),
            .queued_bytes = is_connected ? stream_queued(peer->stream) : 0,
            .dropped = peer->dropped,
        };
        (void)snprintf(out[i].error, sizeof(out[i].error), "%s", peer->error);
    }
    return n;
}
