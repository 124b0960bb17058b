/* Transports on one loop, and a hand-made other side for what no transport would do: a TLS session
 * on a socket whose frames the test writes itself.
 *
 * Included by the programs that need it. */
#ifndef TESTS_UNIT_CLUSTER_TRANSPORT_RIG_H
#define TESTS_UNIT_CLUSTER_TRANSPORT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/wipe.h"
#include "cluster/transport.h"
#include "cluster/transport_frame.h"
#include "tests/unit/storage_scratch.h"

#define REGION "us-east-1"

enum { RIG_NODES = 5, RIG_PATH = SCRATCH_PATH + 32, RIG_WAIT_MS = 30 * 1000, RIG_TICK_MS = 2 };

/* ---- Certificates: nodes 1 to RIG_NODES of a region, and those that do not belong ---- */

enum identity {
    NODE_1,
    NODE_2,
    NODE_3,
    NODE_4,
    NODE_5,
    NO_NODE,   /* of the region, of no node */
    ELSEWHERE, /* node 2 of another region */
    STRANGER,  /* node 2 of another deployment's region of this name */
    IDENTITIES
};

static char rig_folder[SCRATCH_PATH];
static char rig_ca[2][RIG_PATH], rig_ca_key[2][RIG_PATH]; /* 1: the other deployment's */
static char rig_cert[IDENTITIES][RIG_PATH], rig_key[IDENTITIES][RIG_PATH];

static inline void rig_make_identity(enum identity identity) {
    const size_t ca = identity == STRANGER;
    uint64_t node = identity < NO_NODE ? (uint64_t)identity + 1 : 2;
    struct err err;

    (void)snprintf(rig_cert[identity], RIG_PATH, "%s/%d.crt", rig_folder, identity);
    (void)snprintf(rig_key[identity], RIG_PATH, "%s/%d.key", rig_folder, identity);
    assert_int_equal(tls_cert_create(rig_ca[ca], rig_ca_key[ca],
                                     identity == ELSEWHERE ? "us-west-2" : REGION,
                                     identity == NO_NODE ? 0 : node, rig_cert[identity],
                                     rig_key[identity], &err),
                     OK);
}

static inline int rig_make(void **state) {
    struct err err;

    tls_global_init();
    log_setup(getenv("REDOUBT_TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "test");
    scratch_make(rig_folder);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(rig_ca[i], RIG_PATH, "%s/ca%zu.crt", rig_folder, i);
        (void)snprintf(rig_ca_key[i], RIG_PATH, "%s/ca%zu.key", rig_folder, i);
        assert_int_equal(tls_ca_create(rig_ca[i], rig_ca_key[i], &err), OK);
    }
    for (int i = 0; i < IDENTITIES; i++) {
        rig_make_identity((enum identity)i);
    }
    return 0;
}

static inline int rig_remove(void **state) {
    scratch_remove(rig_folder);
    return 0;
}

static inline struct tls_files rig_files(enum identity identity) {
    return (struct tls_files){rig_ca[identity == STRANGER], rig_cert[identity], rig_key[identity]};
}

/* ---- The loop ---- */

static uv_loop_t rig_loop;
static uv_timer_t rig_timer; /* so that the loop turns when only sockets outside it are busy */

static inline void rig_on_timer(uv_timer_t *timer) {
}

static inline void rig_open(void) {
    assert_int_equal(uv_loop_init(&rig_loop), 0);
    assert_int_equal(uv_timer_init(&rig_loop, &rig_timer), 0);
    assert_int_equal(uv_timer_start(&rig_timer, rig_on_timer, 0, RIG_TICK_MS), 0);
}

static inline void rig_close(void) {
    uv_close((uv_handle_t *)&rig_timer, NULL);
    assert_int_equal(uv_run(&rig_loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig_loop), 0);
}

static inline void rig_turn(void) {
    (void)uv_run(&rig_loop, UV_RUN_ONCE);
}

static inline void rig_wait(uint64_t ms) {
    uint64_t end = world_mono_ms(world_system()) + ms;

    while (world_mono_ms(world_system()) < end) {
        rig_turn();
    }
}

/* Turns the loop until the condition holds; fails when it takes too long. */
#define RIG_UNTIL(condition)                                                                       \
    do {                                                                                           \
        uint64_t until_end = world_mono_ms(world_system()) + RIG_WAIT_MS;                          \
        while (!(condition)) {                                                                     \
            if (world_mono_ms(world_system()) > until_end) {                                       \
                fail_msg("waited too long for %s", #condition);                                    \
            }                                                                                      \
            rig_turn();                                                                            \
        }                                                                                          \
    } while (0)

/* A port that nobody listens at now. */
static inline unsigned rig_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* ---- Nodes ---- */

struct rig_node {
    struct transport *transport;
    uint64_t id;
    const char *host;
    unsigned port;
    char door[64];
    char address[LIMIT_ADDRESS + 1];
    size_t n_messages, n_hellos, n_bytes;
    size_t from[RIG_NODES + 1]; /* messages by sender */
    uint64_t last_from;
    struct transport_hello hello; /* the last, its address in hello_address */
    char hello_address[LIMIT_ADDRESS + 1];
    char last[64]; /* the front of the last message */
    bool is_closed;
    void (*on_message)(struct rig_node *node, uint64_t from, struct core_bytes message);
    void (*on_hello)(struct rig_node *node);
};

static inline void rig_on_message(void *arg, uint64_t from, struct core_bytes message) {
    struct rig_node *node = arg;
    size_t len = message.len < sizeof(node->last) - 1 ? message.len : sizeof(node->last) - 1;

    assert_true(from >= 1 && from <= RIG_NODES && from != node->id);
    node->n_messages++;
    node->n_bytes += message.len;
    node->from[from]++;
    node->last_from = from;
    memcpy(node->last, message.data, len);
    node->last[len] = '\0';
    if (node->on_message != NULL) {
        node->on_message(node, from, message);
    }
}

static inline void rig_on_hello(void *arg, const struct transport_hello *hello) {
    struct rig_node *node = arg;

    node->n_hellos++;
    node->hello = *hello;
    (void)snprintf(node->hello_address, sizeof(node->hello_address), "%s", hello->address);
    if (node->on_hello != NULL) {
        node->on_hello(node);
    }
}

static inline void rig_on_closed(void *arg) {
    struct rig_node *node = arg;

    node->is_closed = true;
}

static inline struct transport_options rig_options(struct rig_node *node, enum identity identity) {
    return (struct transport_options){.loop = &rig_loop,
                                      .world = world_system(),
                                      .region = REGION,
                                      .self = node->id,
                                      .listen = node->door,
                                      .address = node->address,
                                      .tls = rig_files(identity),
                                      .message_cb = rig_on_message,
                                      .hello_cb = rig_on_hello,
                                      .arg = node};
}

/* Node `id`, at `host` (in brackets for IPv6) and a port of its choice, or the one it had. */
static inline void rig_start_at(struct rig_node *node, uint64_t id, const char *host) {
    struct transport_options options;
    struct err err;
    unsigned port = node->port != 0 ? node->port : rig_port();

    *node = (struct rig_node){.id = id, .port = port, .host = host};
    (void)snprintf(node->door, sizeof(node->door), "%s:%u", host, port);
    (void)snprintf(node->address, sizeof(node->address), "%s:%u,%s:1", host, port, host);
    options = rig_options(node, (enum identity)(id - 1));
    if (transport_new(&options, &node->transport, &err) != OK) {
        fail_msg("%s", err.message);
    }
}

static inline void rig_start(struct rig_node *node, uint64_t id) {
    rig_start_at(node, id, "127.0.0.1");
}

static inline void rig_stop(struct rig_node *node) {
    transport_close(node->transport, rig_on_closed);
    RIG_UNTIL(node->is_closed);
    transport_free(node->transport);
    node->transport = NULL;
}

/* All of them are members, for each of them. */
static inline void rig_introduce(struct rig_node *nodes, size_t n) {
    struct core_server members[RIG_NODES];

    for (size_t i = 0; i < n; i++) {
        members[i] = (struct core_server){nodes[i].id, nodes[i].address};
    }
    for (size_t i = 0; i < n; i++) {
        transport_set_members(nodes[i].transport, members, n);
    }
}

/* What the node knows of another one; zeros when it is no member. */
static inline struct transport_peer rig_peer(const struct rig_node *node, uint64_t id) {
    struct transport_peer peers[RIG_NODES];
    size_t n = transport_peers(node->transport, peers, RIG_NODES);

    for (size_t i = 0; i < n; i++) {
        if (peers[i].node == id) {
            return peers[i];
        }
    }
    return (struct transport_peer){.node = 0};
}

static inline bool rig_is_connected(const struct rig_node *node, uint64_t id) {
    return rig_peer(node, id).is_connected;
}

static inline bool rig_say(struct rig_node *node, uint64_t to, const char *text) {
    return transport_send(node->transport, to,
                          (struct core_bytes){(const uint8_t *)text, strlen(text)});
}

/* ---- The other side by hand ---- */

struct raw {
    int fd;
    struct tls_stream *tls; /* NULL: plain TCP */
    struct buf got;         /* plaintext */
    bool has_ended;         /* the other side closed, or the stream is broken */
};

static inline void raw_send_all(struct raw *raw, const uint8_t *data, size_t len) {
    while (len > 0 && !raw->has_ended) {
        ssize_t done = send(raw->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            data += done;
            len -= (size_t)done;
        } else if (errno == EAGAIN) {
            rig_turn();
        } else {
            raw->has_ended = true;
        }
    }
}

static inline void raw_flush(struct raw *raw) {
    struct buf out;

    buf_init(&out, 1024 * 1024);
    assert_int_equal(tls_stream_send(raw->tls, &out), OK);
    raw_send_all(raw, out.data, out.len);
    buf_fini(&out);
}

static inline void raw_read_plain(struct raw *raw) {
    uint8_t plain[4096];
    struct err err;
    size_t got = 0;

    do {
        enum errc errc = tls_stream_read(raw->tls, plain, sizeof(plain), &got, &err);
        raw->has_ended |= errc != OK;
        got = errc == OK ? got : 0;
        buf_append(&raw->got, plain, got);
    } while (got > 0);
    assert_false(raw->got.failed);
}

/* Takes what is there, without waiting. */
static inline void raw_pump(struct raw *raw) {
    uint8_t bytes[4096];
    struct err err;

    while (!raw->has_ended) {
        ssize_t len = recv(raw->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len < 0 && errno == EAGAIN) {
            break;
        }
        raw->has_ended = len <= 0;
        if (len <= 0 || raw->tls == NULL) {
            continue;
        }
        if (tls_stream_receive(raw->tls, bytes, (size_t)len, &err) != OK) {
            raw->has_ended = true;
        } else {
            raw_read_plain(raw);
        }
        raw_flush(raw);
    }
}

static inline bool raw_is_open(struct raw *raw) {
    raw_pump(raw);
    return raw->tls != NULL && tls_stream_is_open(raw->tls);
}

static inline bool raw_has_ended(struct raw *raw) {
    raw_pump(raw);
    return raw->has_ended;
}

static inline struct raw raw_connect_tcp(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct raw raw = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    buf_init(&raw.got, 1024 * 1024);
    assert_int_equal(connect(raw.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return raw;
}

/* A TLS session is begun; it opens, or not, while the test waits. */
static inline struct raw raw_connect(const struct rig_node *to, enum identity identity) {
    const struct tls_files files = rig_files(identity);
    struct raw raw = raw_connect_tcp(to->port);
    struct tls_context *context = NULL;
    struct err err;

    assert_int_equal(tls_node_context_new(&files, &context, &err), OK);
    raw.tls = tls_stream_connect(context, REGION, to->id);
    assert_non_null(raw.tls);
    tls_context_free(context);
    raw_flush(&raw);
    return raw;
}

static inline int raw_listen(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* Waits for a connection. */
static inline struct raw raw_accept(int listener, enum identity identity) {
    const struct tls_files files = rig_files(identity);
    struct raw raw = {.fd = -1};
    struct tls_context *context = NULL;
    struct err err;

    buf_init(&raw.got, 1024 * 1024);
    RIG_UNTIL((raw.fd = accept(listener, NULL, NULL)) >= 0);
    assert_int_equal(tls_node_context_new(&files, &context, &err), OK);
    raw.tls = tls_stream_accept(context);
    assert_non_null(raw.tls);
    tls_context_free(context);
    return raw;
}

static inline void raw_close(struct raw *raw) {
    tls_stream_free(raw->tls);
    buf_fini(&raw->got);
    (void)close(raw->fd);
}

static inline void raw_write(struct raw *raw, const void *data, size_t len) {
    struct err err;

    assert_int_equal(tls_stream_write(raw->tls, data, len, &err), OK);
    raw_flush(raw);
}

static inline struct frame_hello raw_hello(uint64_t node, uint64_t target) {
    struct frame_hello hello = {.version_min = FRAME_VERSION,
                                .version_max = FRAME_VERSION,
                                .level_min = 1,
                                .level_max = 7,
                                .node = node,
                                .target = target,
                                .region = REGION,
                                .address = "raw:1,raw:2"};
    return hello;
}

static inline void raw_say_hello(struct raw *raw, const struct frame_hello *hello) {
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];

    raw_write(raw, frame, frame_hello_encode(hello, frame));
}

static inline void raw_say(struct raw *raw, const char *text) {
    uint8_t frame[FRAME_HEADER + 256];
    size_t len = strlen(text);

    assert_true(len <= 256);
    frame_header_encode(FRAME_MESSAGE, len, frame);
    memcpy(frame + FRAME_HEADER, text, len);
    raw_write(raw, frame, FRAME_HEADER + len);
}

/* The other side's hello has arrived whole. */
static inline bool raw_has_hello(struct raw *raw, struct frame_hello *ret) {
    size_t size = 0;

    raw_pump(raw);
    if (frame_look(raw->got.data, raw->got.len, FRAME_HELLO, &size) != OK || raw->got.len < size ||
        size <= FRAME_HEADER) {
        return false;
    }
    assert_int_equal(
        frame_hello_decode((struct core_bytes){raw->got.data + FRAME_HEADER, size - FRAME_HEADER},
                           ret),
        OK);
    return true;
}

#endif
