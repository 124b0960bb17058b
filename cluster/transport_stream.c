/* One stream of transport.h: TCP, TLS, the two hellos, frames. */
#include "base/log.h"
#include "cluster/transport_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A silent side is asked after so long, then so often: with TCP_USER_TIMEOUT it is given up at
       LIMIT_TRANSPORT_STALL_MS, unless the answers come. */
    KEEPALIVE_IDLE_S = 3,
    KEEPALIVE_INTERVAL_S = 2,
    /* One turn encrypts and writes at most so often TLS_STREAM_WRITE_MAX for one stream, so that
       the other work of the thread goes on. */
    WRITES_PER_TURN = 8,
    /* Growing by four, what has arrived is copied seldom, and no more than four times that is held
       because a header has promised it. */
    GROWTH = 4
};

static bool stream_is_closed(const struct stream *stream) {
    return stream->phase == STREAM_CLOSED;
}

/* All phases before the last share one deadline. */
static void enter(struct stream *stream, enum stream_phase phase) {
    stream->phase = phase;
    if (phase == STREAM_OPEN) {
        stream->since_ms = transport_now(stream->transport);
    }
}

/* --- life --- */

static struct stream *stream_new(struct transport *transport) {
    struct stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL) {
        return NULL;
    }
    stream->transport = transport;
    stream->phase = STREAM_CONNECTING;
    stream->since_ms = transport_now(transport);
    buf_init(&stream->in, FRAME_MAX);
    buf_init(&stream->cipher, 2 * TLS_STREAM_WRITE_MAX);
    CHECK(uv_tcp_init(transport->options.loop, &stream->tcp) == 0);
    transport->n_handles++;
    stream->tcp.data = stream;
    stream->next = transport->streams;
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    transport->streams = stream;
    return stream;
}

static void on_closed(uv_handle_t *handle) {
    struct stream *stream = handle->data;
    struct transport *transport = stream->transport;

    tls_stream_free(stream->tls);
    queue_clear(&stream->plain, &transport->pool);
    buf_fini(&stream->in);
    buf_fini(&stream->cipher);
    free(stream);
    transport_handle_closed(transport);
}

/* The peer tells of dialled ones. Whoever sends us garbage must not fill the log. */
static void tell_refused(const struct stream *stream, const char *reason) {
    struct transport *transport = stream->transport;
    uint64_t now = transport_now(transport);
    char node[TRANSPORT_NODE_TEXT] = "";

    if (stream->node != 0) {
        transport_node_text(stream->node, node);
    }
    if (stream->phase == STREAM_OPEN) {
        LOG_INFO("transport.lost", F_STR("from", node), F_STR("reason", reason));
    } else if (transport->told_ms == 0 || now - transport->told_ms >= TRANSPORT_WARN_MS) {
        transport->told_ms = now;
        LOG_WARN("transport.refused", F_STR("from", node), F_STR("reason", reason));
    } else {
        LOG_DEBUG("transport.refused", F_STR("from", node), F_STR("reason", reason));
    }
}

void stream_close(struct stream *stream, const char *reason) {
    struct transport *transport = stream->transport;
    struct peer *peer = stream->peer;
    bool was_open = stream->phase == STREAM_OPEN;
    uint64_t lived_ms = transport_now(transport) - stream->since_ms;

    if (stream_is_closed(stream)) {
        return;
    }
    if (peer == NULL && !transport->is_closing) {
        tell_refused(stream, reason);
    }
    stream->phase = STREAM_CLOSED;
    stream->peer = NULL;
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        transport->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
    if (peer != NULL) {
        peer_stream_ended(peer, was_open, lived_ms, reason);
    } else if (was_open && !transport->is_closing && transport->options.lost_cb != NULL &&
               !transport_is_accepted(transport, stream->node)) {
        transport->options.lost_cb(transport->options.arg, stream->node);
    }
}

/* --- writing --- */

size_t stream_queued(const struct stream *stream) {
    size_t in_socket =
        stream->is_writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp) : 0;

    return stream->plain.len + in_socket;
}

/* The other side's hello is awaited, or ours is under way: nothing waits in front of it. */
static void send_hello(struct stream *stream) {
    const struct transport *transport = stream->transport;
    struct frame_hello hello = {.version_min = FRAME_VERSION,
                                .version_max = FRAME_VERSION,
                                .level_min = transport->options.level_min,
                                .level_max = transport->options.level_max,
                                .node = transport->options.self,
                                .target = stream->node};
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];

    (void)snprintf(hello.region, sizeof(hello.region), "%s", transport->region);
    (void)snprintf(hello.address, sizeof(hello.address), "%s", transport->address);
    /* Without memory it is not sent, and the other side gives up in time. */
    (void)!queue_append(&stream->plain, &stream->transport->pool, frame,
                        frame_hello_encode(&hello, frame), NULL, 0);
}

bool stream_send(struct stream *stream, struct core_bytes message) {
    uint8_t header[FRAME_HEADER];
    size_t queued = stream_queued(stream);

    if (queued > 0 && queued + FRAME_HEADER + message.len > LIMIT_TRANSPORT_QUEUE) {
        return false;
    }
    frame_header_encode(FRAME_MESSAGE, message.len, header);
    if (!queue_append(&stream->plain, &stream->transport->pool, header, sizeof(header),
                      message.data, message.len)) {
        return false;
    }
    stream->transport->has_queued = true;
    return true;
}

/* Moves the next of what is queued, as much as one write takes, into the empty `cipher`. */
static enum errc encrypt_next(struct stream *stream, struct err *err) {
    size_t room = tls_stream_is_open(stream->tls) ? TLS_STREAM_WRITE_MAX : 0;
    enum errc errc = OK;

    while (errc == OK && room > 0 && stream->plain.len > 0) {
        size_t len = 0;
        const uint8_t *front = queue_front(&stream->plain, &len);
        len = len < room ? len : room;
        errc = tls_stream_write(stream->tls, front, len, err);
        queue_drop(&stream->plain, &stream->transport->pool, len);
        room -= len;
    }
    stream->cipher.len = 0; /* the socket has it */
    if (errc == OK && tls_stream_send(stream->tls, &stream->cipher) != OK) {
        errc = err_default(err, ERR_NO_MEMORY);
    }
    return errc;
}

static void on_written(uv_write_t *write, int status) {
    struct stream *stream = write->data;

    stream->is_writing = false;
    if (stream_is_closed(stream)) {
        return;
    }
    if (status < 0) {
        stream_close(stream, uv_strerror(status));
        return;
    }
    stream_flush(stream);
}

/* What the socket does not take now, it gets when it can. */
static int write_rest(struct stream *stream, size_t done) {
    uv_buf_t rest =
        uv_buf_init((char *)stream->cipher.data + done, (unsigned)(stream->cipher.len - done));
    int status;

    stream->write.data = stream;
    status = uv_write(&stream->write, (uv_stream_t *)&stream->tcp, &rest, 1, on_written);
    if (status == 0) {
        stream->is_writing = true;
        stream->left_bytes = SIZE_MAX;
    }
    return status;
}

void stream_flush(struct stream *stream) {
    struct err err;

    if (stream->phase == STREAM_CONNECTING) {
        return;
    }
    for (unsigned i = 1; !stream_is_closed(stream) && !stream->is_writing; i++) {
        int status = 0;
        size_t done = 0;

        if (encrypt_next(stream, &err) != OK) {
            stream_close(stream, err.message);
            return;
        }
        if (stream->cipher.len == 0) {
            return;
        }
        if (i < WRITES_PER_TURN) {
            uv_buf_t whole = uv_buf_init((char *)stream->cipher.data, (unsigned)stream->cipher.len);
            status = uv_try_write((uv_stream_t *)&stream->tcp, &whole, 1);
            done = status > 0 ? (size_t)status : 0;
            status = status == UV_EAGAIN || status > 0 ? 0 : status;
        }
        if (status == 0 && done < stream->cipher.len) {
            status = write_rest(stream, done);
        }
        if (status < 0) {
            stream_close(stream, uv_strerror(status));
        }
    }
}

/* What TLS says last: what is wrong. It helps whoever looks at the other side. */
static void send_alert(struct stream *stream) {
    uv_buf_t alert;

    stream->cipher.len = stream->is_writing ? stream->cipher.len : 0;
    if (stream->is_writing || tls_stream_send(stream->tls, &stream->cipher) != OK ||
        stream->cipher.len == 0) {
        return;
    }
    alert = uv_buf_init((char *)stream->cipher.data, (unsigned)stream->cipher.len);
    (void)uv_try_write((uv_stream_t *)&stream->tcp, &alert, 1);
}

/* --- the beginning --- */

/* NULL, or what is wrong with it. */
static const char *judge_hello(const struct stream *stream, const struct frame_hello *hello) {
    const struct transport *transport = stream->transport;

    if (hello->version_min > FRAME_VERSION || hello->version_max < FRAME_VERSION) {
        return "its version of this protocol is another one";
    }
    if (strcmp(hello->region, transport->region) != 0) {
        return "it says that it is of another region";
    }
    if (hello->node != stream->node) {
        return "it says that it is another node than its certificate names";
    }
    if (hello->target != transport->options.self) {
        return "it looks for another node";
    }
    return NULL;
}

enum { REASON = 128 };

/* NULL, or what is wrong with its levels, in `out`. */
static const char *judge_levels(const struct transport *transport, const struct frame_hello *hello,
                                char out[REASON]) {
    const struct transport_options *ours = &transport->options;

    if (hello->level_max < ours->level_min) {
        (void)snprintf(out, REASON,
                       "its release is too old: it knows levels up to %u, %u is needed here",
                       hello->level_max, ours->level_min);
        return out;
    }
    if (ours->level_max < hello->level_min) {
        (void)snprintf(
            out, REASON,
            "this release is too old for it: it needs level %u, this node knows up to %u",
            hello->level_min, ours->level_max);
        return out;
    }
    return NULL;
}

void stream_look_at_level(struct stream *stream) {
    const struct frame_hello hello = {.level_max = stream->level_max};
    char text[REASON];

    if (stream->phase == STREAM_OPEN && judge_levels(stream->transport, &hello, text) != NULL) {
        stream_close(stream, text);
    }
}

static void tell_hello(struct stream *stream, const struct frame_hello *hello, bool is_refused) {
    const struct transport_options *options = &stream->transport->options;
    const struct transport_hello told = {.node = stream->node,
                                         .level_min = hello->level_min,
                                         .level_max = hello->level_max,
                                         .is_refused = is_refused,
                                         .address = hello->address};

    options->hello_cb(options->arg, &told);
}

/* The dialler gets to see our levels, so that its log can say why, too. */
static void refuse_levels(struct stream *stream, const struct frame_hello *hello,
                          const char *fault) {
    if (stream->peer == NULL) {
        send_hello(stream);
        stream_flush(stream);
    }
    tell_hello(stream, hello, true);
    stream_close(stream, fault);
}

/* The newest stream of a node is the one that counts. */
static void replace_older(const struct stream *stream) {
    struct stream *next;

    for (struct stream *other = stream->transport->streams; other != NULL; other = next) {
        next = other->next;
        if (other != stream && other->peer == NULL && other->phase == STREAM_OPEN &&
            other->node == stream->node) {
            stream_close(other, "a newer stream of this node replaced it");
        }
    }
}

static void on_hello(struct stream *stream, struct core_bytes payload) {
    struct transport *transport = stream->transport;
    struct frame_hello hello;
    const char *fault = frame_hello_decode(payload, &hello) != OK ? "its hello is malformed"
                                                                  : judge_hello(stream, &hello);
    char node[TRANSPORT_NODE_TEXT], text[REASON];

    if (fault != NULL) {
        stream_close(stream, fault);
        return;
    }
    fault = judge_levels(transport, &hello, text);
    if (fault != NULL) {
        refuse_levels(stream, &hello, fault);
        return;
    }
    stream->level_max = hello.level_max;
    enter(stream, STREAM_OPEN);
    transport_node_text(stream->node, node);
    if (stream->peer != NULL) {
        LOG_INFO("transport.connected", F_STR("to", node), F_STR("address", stream->peer->door));
        peer_stream_opened(stream->peer);
    } else {
        struct peer *peer = peer_find(transport, stream->node);
        LOG_INFO("transport.accepted", F_STR("from", node), F_STR("address", hello.address));
        replace_older(stream);
        send_hello(stream);
        transport->has_queued = true;
        if (peer != NULL) {
            peer_is_back(peer);
        }
    }
    tell_hello(stream, &hello, false);
}

/* TLS is open: who is it? */
static void on_identified(struct stream *stream) {
    const struct transport *transport = stream->transport;
    struct tls_name name;

    if (!tls_stream_peer(stream->tls, &name)) {
        stream_close(stream, "its certificate names no region");
    } else if (strcmp(name.region, transport->region) != 0) {
        stream_close(stream, "its certificate is another region's");
    } else if (name.node == 0) {
        stream_close(stream, "its certificate names no node");
    } else if (name.node == transport->options.self) {
        stream_close(stream, "its certificate is this node's own");
    } else if (stream->peer != NULL && name.node != stream->node) {
        stream_close(stream, "its certificate is another node's");
    } else {
        stream->node = name.node;
        enter(stream, STREAM_HELLO);
        if (stream->peer != NULL) {
            send_hello(stream);
        }
    }
}

/* --- reading --- */

/* Whole frames at the front of `in`, one after the other. */
static void take_frames(struct stream *stream) {
    struct buf *in = &stream->in;
    size_t at = 0;

    while (!stream_is_closed(stream)) {
        bool is_open = stream->phase == STREAM_OPEN;
        size_t size = 0;
        if (frame_look(in->data + at, in->len - at, is_open ? FRAME_MESSAGE : FRAME_HELLO, &size) !=
            OK) {
            stream_close(stream,
                         is_open ? "a frame is malformed" : "it does not begin with a hello");
            return;
        }
        if (in->len - at < size) {
            break;
        }
        const struct core_bytes payload = {in->data + at + FRAME_HEADER, size - FRAME_HEADER};
        at += size;
        if (!is_open) {
            on_hello(stream, payload);
        } else if (stream->peer != NULL) {
            stream_close(stream, "the side that was dialled sent a message");
        } else {
            stream->transport->options.message_cb(stream->transport->options.arg, stream->node,
                                                  payload);
        }
    }
    if (at > 0) {
        memmove(in->data, in->data + at, in->len - at);
        in->len -= at;
    }
}

/* Room for a record at least; for the rest of a large frame in few steps. */
static bool make_room(struct stream *stream) {
    struct buf *in = &stream->in;
    size_t size = FRAME_HEADER, more;

    if (in->room - in->len >= TRANSPORT_RECORD) {
        return true;
    }
    /* What is in front was looked at and is good. */
    CHECK(frame_look(in->data, in->len, stream->phase == STREAM_OPEN ? FRAME_MESSAGE : FRAME_HELLO,
                     &size) == OK);
    more = size > in->len ? size - in->len : 0;
    more = more < (GROWTH - 1) * in->len ? more : (GROWTH - 1) * in->len;
    /* A record that ends a frame may hold the next one's begin; the cap leaves no room for that at
       the largest frame, but then SSL_read just takes less. */
    more = more < 2 * (size_t)TRANSPORT_RECORD ? 2 * (size_t)TRANSPORT_RECORD : more;
    more = more < in->cap - in->len ? more : in->cap - in->len;
    return more > 0 && buf_reserve(in, more) != NULL;
}

static void receive(struct stream *stream, const uint8_t *data, size_t len) {
    struct buf *in = &stream->in;
    struct err err;
    enum errc errc = tls_stream_receive(stream->tls, data, len, &err);

    if (errc == OK && stream->phase == STREAM_HANDSHAKE && tls_stream_is_open(stream->tls)) {
        on_identified(stream);
    }
    while (errc == OK && !stream_is_closed(stream)) {
        size_t got = 0;
        if (!make_room(stream)) {
            errc = err_default(&err, ERR_NO_MEMORY);
            break;
        }
        errc = tls_stream_read(stream->tls, in->data + in->len, in->room - in->len, &got, &err);
        if (errc != OK || got == 0) {
            break;
        }
        in->len += got;
        stream->was_large |= in->len > TRANSPORT_KEEP;
        take_frames(stream);
    }
    if (stream_is_closed(stream)) {
        return;
    }
    if (errc == OK) {
        stream_flush(stream); /* our part of the handshake */
    } else {
        send_alert(stream);
        stream_close(stream, err.message);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    const struct stream *stream = handle->data;

    *buf = uv_buf_init((char *)stream->transport->read_buffer, TRANSPORT_READ);
}

static void on_read(uv_stream_t *handle, ssize_t len, const uv_buf_t *buf) {
    struct stream *stream = handle->data;

    if (len > 0) {
        receive(stream, (const uint8_t *)buf->base, (size_t)len);
    } else if (len < 0) {
        stream_close(stream,
                     len == UV_EOF ? "the other side closed the stream" : uv_strerror((int)len));
    }
}

/* --- connecting --- */

/* Silence, and a write that does not go on, end the connection: nobody else would notice that the
 * other machine is gone. Without these it works, too. */
static void set_options(struct stream *stream) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, LIMIT_TRANSPORT_STALL_MS},
    };
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) != 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
    }
}

static void begin(struct stream *stream) {
    int status = uv_read_start((uv_stream_t *)&stream->tcp, on_alloc, on_read);

    set_options(stream);
    if (stream->tls == NULL) {
        stream_close(stream, "out of memory");
    } else if (status < 0) {
        stream_close(stream, uv_strerror(status));
    } else {
        enter(stream, STREAM_HANDSHAKE);
        stream_flush(stream);
    }
}

static void on_connected(uv_connect_t *connect, int status) {
    struct stream *stream = connect->data;
    const struct transport *transport = stream->transport;

    if (stream_is_closed(stream)) {
        return;
    }
    if (status < 0) {
        stream_close(stream, uv_strerror(status));
        return;
    }
    stream->tls = tls_stream_connect(transport->tls, transport->region, stream->node);
    begin(stream);
}

void stream_dial(struct peer *peer, const struct sockaddr_storage *address) {
    struct stream *stream = stream_new(peer->transport);
    int status;

    if (stream == NULL) {
        peer_stream_ended(peer, false, 0, "out of memory");
        return;
    }
    stream->peer = peer;
    stream->node = peer->node;
    stream->connect.data = stream;
    peer->stream = stream;
    status = uv_tcp_connect(&stream->connect, &stream->tcp, (const struct sockaddr *)address,
                            on_connected);
    if (status < 0) {
        stream_close(stream, uv_strerror(status));
    }
}

/* The oldest of those that have not shown who they are makes room: a crowd of strangers must not
 * keep the members out. Those that have are not more than there are nodes with certificates. */
static bool make_place(struct transport *transport) {
    struct stream *oldest = NULL;
    size_t n = 0;

    for (struct stream *stream = transport->streams; stream != NULL; stream = stream->next) {
        if (stream->peer == NULL) {
            n++;
            /* New ones are in front. */
            oldest = stream->phase < STREAM_OPEN ? stream : oldest;
        }
    }
    if (n >= LIMIT_TRANSPORT_ACCEPTED && oldest != NULL) {
        stream_close(oldest, "too many streams at once");
    }
    return n < LIMIT_TRANSPORT_ACCEPTED || oldest != NULL;
}

bool stream_accept(struct transport *transport, uv_stream_t *listener) {
    bool has_place = make_place(transport);
    struct stream *stream = stream_new(transport);
    int status;

    if (stream == NULL) {
        return false;
    }
    status = uv_accept(listener, (uv_stream_t *)&stream->tcp);
    if (status < 0) {
        stream_close(stream, uv_strerror(status));
    } else if (!has_place) {
        stream_close(stream, "too many streams at once");
    } else {
        stream->tls = tls_stream_accept(transport->tls);
        begin(stream);
    }
    return true;
}

/* --- time --- */

static void give_back(struct buf *buf) {
    if (buf->room > TRANSPORT_KEEP && buf->len == 0) {
        buf_fini(buf);
    }
}

/* The other machine's kernel acknowledges what its process is too busy to read, and a full window
 * when it is asked: so long as there is a way. */
static bool is_unheard(struct stream *stream, uint64_t now) {
    struct tcp_info info = {.tcpi_unacked = 0};
    socklen_t len = sizeof(info);
    uv_os_fd_t fd;
    bool was_heard;

    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || info.tcpi_unacked == 0) {
        stream->unheard_ms = 0;
        return false;
    }
    was_heard = stream->unheard_ms == 0 || info.tcpi_last_ack_recv < now - stream->unheard_ms;
    if (was_heard) {
        stream->unheard_ms = now;
    }
    return now - stream->unheard_ms >= stream->transport->options.silence_ms;
}

/* The other side of one that is begun has work to do before it answers. */
static unsigned begin_deadline_ms(const struct stream *stream) {
    return stream->phase == STREAM_CONNECTING ? transport_attempt_ms(stream->transport)
                                              : (unsigned)LIMIT_TRANSPORT_HANDSHAKE_MS;
}

void stream_tick(struct stream *stream) {
    uint64_t now = transport_now(stream->transport);
    size_t left;

    if (stream->phase < STREAM_OPEN && now - stream->since_ms >= begin_deadline_ms(stream)) {
        stream_close(stream,
                     stream->phase == STREAM_CONNECTING ? "no answer" : "no handshake in time");
        return;
    }
    if (stream->phase != STREAM_CONNECTING && is_unheard(stream, now)) {
        stream_close(stream, "the other machine is silent");
        return;
    }
    if (stream->phase < STREAM_OPEN) {
        return;
    }
    if (stream->is_writing) {
        left = uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp);
        if (left != stream->left_bytes) {
            stream->left_bytes = left;
            stream->left_ms = now;
        } else if (now - stream->left_ms >= LIMIT_TRANSPORT_STALL_MS) {
            stream_close(stream, "it takes nothing any more");
            return;
        }
    }
    if (!stream->was_large) {
        give_back(&stream->in);
    }
    stream->was_large = false;
}
