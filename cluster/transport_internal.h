/* What the files of transport.h share: the transport, its streams, and the members it dials.
 *
 * Handles of libuv are counted; the transport is closed when the last one and the last look-up of a
 * name are. A stream that has ended (STREAM_CLOSED) only waits for its handle: nothing of it is
 * delivered, and its memory stays until a later callback of the loop, so that whoever called out of
 * a stream looks at its phase when he is back. */
#ifndef CLUSTER_TRANSPORT_INTERNAL_H
#define CLUSTER_TRANSPORT_INTERNAL_H

#include "base/buf.h"
#include "cluster/transport.h"
#include "cluster/transport_frame.h"
#include "cluster/transport_queue.h"

#include <sys/socket.h>

enum {
    TRANSPORT_READ = 256 * 1024,  /* what one read of a socket brings at most */
    TRANSPORT_ADDRESSES = 8,      /* that one name stands for; further ones are not tried */
    TRANSPORT_KEEP = 1024 * 1024, /* a larger buffer is given back when it is not used */
    TRANSPORT_TICK_MS = 100,      /* deadlines are looked at so often */
    TRANSPORT_RECORD = 16 * 1024, /* plaintext that a TLS record holds at most */
    TRANSPORT_NODE_TEXT = 16 + 1, /* a node's id as text */
    TRANSPORT_GRACE_MS = 5000,    /* nodes that start together do not complain of each other */
    TRANSPORT_STEADY_MS = 1000,   /* a stream that lasted so long worked: redialled at once */
    TRANSPORT_WARN_MS = 1000      /* between two lines on refused streams above debug */
};

enum stream_phase {
    STREAM_CONNECTING, /* TCP */
    STREAM_HANDSHAKE,  /* TLS */
    STREAM_HELLO,      /* waits for the other side's */
    STREAM_OPEN,
    STREAM_CLOSED
};

struct stream {
    struct transport *transport;
    struct stream *next, *prev; /* in the transport's list, until it is closed */
    struct peer *peer;          /* dialled ones: whom, until it is closed; NULL: accepted */
    uint64_t node;              /* the other side; 0: not known yet */
    enum stream_phase phase;
    uint16_t level_max; /* that the other side knows, once its hello came */
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct tls_stream *tls; /* owned */
    uint64_t since_ms;      /* it began, or was opened */
    /* Writing: plaintext waits in the queue; cipher is with the socket while is_writing. */
    struct queue plain;
    struct buf cipher;
    bool is_writing;
    size_t left_bytes; /* of cipher, and since when so many: to see that a write goes on */
    uint64_t left_ms;
    uint64_t
        unheard_ms; /* since when what was sent waits for any acknowledgement; 0: nothing does */
    /* Reading: what is not a whole frame yet. */
    struct buf in;
    bool was_large; /* more than TRANSPORT_KEEP of it was used since the last tick */
};

/* A member that is dialled. Its address never changes: another one is another peer. */
struct peer {
    struct transport *transport;
    uint64_t node;
    char door[LIMIT_ADDRESS + 1]; /* "host:port" */
    struct stream *stream;        /* NULL: none now */
    uv_timer_t timer;             /* the next attempt */
    uv_getaddrinfo_t lookup;
    bool is_looking_up;
    bool is_removed; /* no member any more: freed when timer and look-up have ended */
    bool is_timer_closed;
    bool is_wanted; /* in the list that is being set */
    struct sockaddr_storage addresses[TRANSPORT_ADDRESSES];
    size_t n_addresses, next_address;
    unsigned backoff_ms; /* 0: nothing has failed */
    uint64_t dropped;
    char error[128];
    bool has_worked; /* since it is a member */
    uint64_t added_ms;
    uint64_t told_ms; /* when the last line above debug was written; 0: none since it worked */
};

struct transport {
    struct transport_options options; /* texts are ours */
    char region[LIMIT_REGION_NAME + 1];
    char address[LIMIT_ADDRESS + 1];
    char *ca_path, *cert_path, *key_path; /* owned */
    struct tls_context *tls;              /* owned */
    uv_tcp_t listeners[TRANSPORT_ADDRESSES];
    bool is_waiting[TRANSPORT_ADDRESSES]; /* a connection there found no memory */
    size_t n_listeners;
    uv_prepare_t prepare; /* the end of a turn: what was queued goes out */
    uv_timer_t tick;
    struct stream *streams; /* all that are not closed */
    struct queue_pool pool; /* of the streams' queues */
    struct peer *peers[LIMIT_PEERS];
    size_t n_peers;
    size_t n_handles; /* and look-ups that libuv knows of */
    bool has_queued;  /* something waits for the end of the turn */
    bool is_closing;
    uint64_t told_ms; /* of refused streams */
    void (*closed_cb)(void *arg);
    uint8_t read_buffer[TRANSPORT_READ];
};

/* --- transport_stream.c --- */

/* Dials; tells peer_stream_ended when it does not work out, possibly at once. */
void stream_dial(struct peer *peer, const struct sockaddr_storage *address);
/* Takes the connection that waits at the listener; false without memory: it still waits, and the
 * listener with it. */
MUSTCHECK bool stream_accept(struct transport *transport, uv_stream_t *listener);
/* Queues; false when it does not fit. */
MUSTCHECK bool stream_send(struct stream *stream, struct core_bytes message);
/* Hands what is queued to the socket as far as it takes it. May close the stream. */
void stream_flush(struct stream *stream);
/* Ends it if the other side does not know the level that we need. */
void stream_look_at_level(struct stream *stream);
/* Ends it; the reason goes to the log and, for a dialled one, to its peer. */
void stream_close(struct stream *stream, const char *reason);
/* Deadlines, and memory that is not needed any more. May close the stream. */
void stream_tick(struct stream *stream);
/* Bytes of messages that the socket has not taken yet. */
size_t stream_queued(const struct stream *stream);

/* --- transport_peer.c --- */

/* NULL: none. */
struct peer *peer_find(const struct transport *transport, uint64_t node);
/* The other side's hello came. */
void peer_stream_opened(struct peer *peer);
/* Its stream is no more; dials again at its time. */
void peer_stream_ended(struct peer *peer, bool was_open, uint64_t lived_ms, const char *reason);
/* It has dialled us, so it can be reached again: no waiting. */
void peer_is_back(struct peer *peer);
/* Ends the stream and the attempts; frees it when libuv knows it no more. */
void peer_remove(struct peer *peer);

/* --- transport.c --- */

/* A handle or a look-up has ended; closes the transport with the last one. */
void transport_handle_closed(struct transport *transport);
/* How long one attempt to reach a peer, or the pause behind it, may last. */
unsigned transport_attempt_ms(const struct transport *transport);
uint64_t transport_now(const struct transport *transport);
void transport_node_text(uint64_t node, char out[TRANSPORT_NODE_TEXT]);

/* An open stream that `node` has dialled. */
bool transport_is_accepted(const struct transport *transport, uint64_t node);

#endif
