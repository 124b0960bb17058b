/* The streams between the nodes of a region: mutual TLS 1.3 over TCP on the Raft thread's loop.
 *
 * One stream a peer and direction: this node dials every other member and sends on that stream
 * only; what others send arrives on the streams that they dialled. A stream is ordered; when it
 * breaks, what was on its way is lost (Raft sends again) and nothing of it is delivered later. A
 * new stream of the same sender replaces the old one.
 *
 * Both sides show a certificate of the deployment's authority that names region and node
 * (crypto/tls.h); another region's, or one without a node, ends the connection. The sender of every
 * message is the node in the certificate. A stream begins with a hello of either side, in which
 * each tells its levels and addresses. When one side does not know the level that the other one
 * needs, both end it: nothing of a group reaches a node that would misread it.
 *
 * Everything is bounded: queues (LIMIT_TRANSPORT_QUEUE; what does not fit is dropped, as the
 * network may), messages (CORE_MESSAGE_MAX), accepted streams, handshakes. TCP_NODELAY. The
 * certificate is read again with transport_reload. Raft thread only, but for transport_new's caller
 * before the loop runs. */
#ifndef CLUSTER_TRANSPORT_H
#define CLUSTER_TRANSPORT_H

#include "base/errc.h"
#include "base/world.h"
#include "cluster/core.h"
#include "crypto/tls.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct transport;

/* What a node tells of itself when a stream begins. */
struct transport_hello {
    uint64_t node;       /* the certificate's */
    uint16_t level_min;  /* the level that others must know to be in one group with it */
    uint16_t level_max;  /* the newest that it knows */
    bool is_refused;     /* the two of us know no common level */
    const char *address; /* where it is now (member.h); borrowed during the callback */
};

struct transport_options {
    uv_loop_t *loop;
    const struct world *world;
    const char *region;
    uint64_t self;
    const char *listen;  /* "host:port"; NULL: only dial */
    const char *address; /* told in our hello */
    uint16_t level_min;  /* so are these, see transport_set_level; 0: this release's (command.h) */
    uint16_t level_max;
    struct tls_files tls;
    /* What was sent and is not acknowledged for so long (by the other machine, however busy its
     * process is) is lost on a dead connection: it is closed and dialled anew, over and over, since
     * TCP would try ever more seldom and be late when the way is open again. Attempts get half of
     * it. 0, or more: LIMIT_TRANSPORT_STALL_MS; at least LIMIT_TRANSPORT_SILENCE_MS_MIN. */
    unsigned silence_ms;
    /* A message, whole. Borrowed during the call. From here and from hello_cb the transport may be
     * called for everything but transport_free. */
    void (*message_cb)(void *arg, uint64_t from, struct core_bytes message);
    /* Once per stream, in either direction, before any message of it; also when the stream is then
     * refused for its levels, of which there is `is_refused`. */
    void (*hello_cb)(void *arg, const struct transport_hello *hello);
    /* The stream that a node had dialled ended and no newer one stands: its process may be gone.
     * Only takes note: it may come out of transport_send. May be NULL. */
    void (*lost_cb)(void *arg, uint64_t node);
    void *arg;
};

/* Binds every address that `listen` stands for. The options' texts are copied. ERR_IO: the address
 * is taken; ERR_INVALID_PARAMETER: the certificate names no node, another one than `self` or
 * another region. Returns owned. */
MUSTCHECK enum errc transport_new(const struct transport_options *options, struct transport **ret,
                                  struct err *err);
/* Closes every handle; the loop must run on until closed_cb (called with the options' arg), which
 * waits for the system when it looks up a host's name just then. Nothing else is called back after
 * this call. */
void transport_close(struct transport *transport, void (*closed_cb)(void *arg));
/* After closed_cb, or in it. Takes NULL too. */
void transport_free(struct transport *transport);

/* Whom to dial: replaces the former list; streams to those that stay at their address go on. `self`
 * in it is passed over. Addresses as in member.h; one that cannot be parsed is not dialled. */
void transport_set_members(struct transport *transport, const struct core_server *members,
                           size_t n);

/* The region is at this level now: told in hellos as level_min unless that is higher, and streams
 * of nodes that do not know it end. */
void transport_set_level(struct transport *transport, uint16_t level);

/* Borrows; goes out at the end of the loop's turn, together with what else is sent in it. False
 * when it was dropped: no such member, not connected, or the queue is full. */
bool transport_send(struct transport *transport, uint64_t to, struct core_bytes message);

/* Read certificate, key and authority again for streams that begin from now on. On failure the old
 * ones stay in use. */
MUSTCHECK enum errc transport_reload(struct transport *transport, struct err *err);

struct transport_peer {
    uint64_t node;
    bool is_connected; /* our stream to it, past both hellos */
    bool is_accepted;  /* its stream to us */
    size_t queued_bytes;
    uint64_t dropped; /* messages, since start */
    char error[128];  /* of the last failed attempt; "" when none */
};
/* At most `most` of them; returns how many. */
size_t transport_peers(const struct transport *transport, struct transport_peer *out, size_t most);

#endif
