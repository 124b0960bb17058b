/* The one client for calls to other regions and to nodes of the own one: HTTP over mutual TLS 1.3
 * on its own thread (libcurl multi).
 *
 * Any thread calls; the answer comes back through the call's callback on the client's thread,
 * exactly once, and only passes on. The server must show a certificate of the deployment's
 * authority for "<region>.redoubt"; ours is shown to it. Connections are kept. A request is sent
 * once at most. Everything is bounded: calls, bodies, times. The thread also runs one ticker, the
 * shipper's (see peer_client_set_ticker). */
#ifndef CLUSTER_PEER_CLIENT_H
#define CLUSTER_PEER_CLIENT_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/mailbox.h"
#include "crypto/tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct peer_client;

struct peer {
    const char *region;
    const char *address; /* "host:port", "[v6]:port"; several, separated by commas: nodes of the
                            region, tried in turn until one takes the connection */
};

struct peer_client_options {
    struct tls_files tls;
    const struct peer *peers; /* copied */
    size_t n_peers;
    const char *own_region; /* copied; for calls to nodes */
};

struct peer_call {
    struct letter letter;
    const char *region; /* borrowed until done; not looked at for a call to a node */
    uint64_t
        node; /* 0: any node of `region`; else that node of our own region (peer_client_set_node) */
    const char *path;         /* e.g. "/v1/replicate"; borrowed until done */
    const char *content_type; /* borrowed until done */
    struct buf body;          /* owned; wiped after sending */
    unsigned timeout_ms;      /* 0: LIMIT_PEER_CALL_MS */
    bool is_forward;          /* a client's request: refused earlier than the node's own calls */
    void (*done_cb)(struct peer_call *call); /* client's thread; the call is the callee's again */
    void *arg;
    atomic_bool is_cancelled; /* peer_client_cancel's */
    /* Filled before done_cb. */
    enum errc code; /* OK when any HTTP answer came; ERR_REGION_UNREACHABLE; ERR_BUSY */
    bool is_unsent; /* with a failure: certainly nothing of the request reached the other side */
    int status;     /* HTTP */
    struct buf response; /* owned, capped at LIMIT_PEER_BODY */
    char error[256];     /* for the log, when code is not OK */
};

/* Returns owned. `client` only starts its thread in peer_client_start, so that the ticker can be
 * set between. */
MUSTCHECK enum errc peer_client_new(const struct peer_client_options *options,
                                    struct peer_client **ret, struct err *err);
/* tick(arg) runs on the client's thread at the latest `*ret_wait_ms` after the last run, and soon
 * after peer_client_wake. With NULL in place of the wait it runs for the last time, when all calls
 * are completed: the client must not be used after it. Set before start. */
void peer_client_set_ticker(struct peer_client *client,
                            void (*tick)(void *arg, unsigned *ret_wait_ms), void *arg);
MUSTCHECK enum errc peer_client_start(struct peer_client *client, struct err *err);
/* Cancels what runs (ERR_REGION_UNREACHABLE), stops the thread. Until peer_client_stop other
 * threads may still call and are refused. Takes NULL too. */
void peer_client_close(struct peer_client *client);
/* Closes it, frees. Takes NULL too. */
void peer_client_stop(struct peer_client *client);

/* Takes the call when OK. ERR_BUSY at LIMIT_PEER_CALLS, with `is_forward` at
 * LIMIT_PEER_CALLS_FORWARDED; ERR_INVALID_PARAMETER for an unknown region or node; ERR_UNAVAILABLE
 * when it is closed. Any thread. */
MUSTCHECK enum errc peer_client_call(struct peer_client *client, struct peer_call *call);
/* Ends a call that was taken, soon: ERR_REGION_UNREACHABLE, is_unsent as far as it got, unless its
 * answer is here already. The connection is not used again. Any thread; until the caller has acted
 * on done_cb the call is there. */
void peer_client_cancel(struct peer_client *client, struct peer_call *call);
/* Any thread. */
void peer_client_wake(struct peer_client *client);
bool peer_client_knows(const struct peer_client *client, const char *region);

/* Where the peer door of a node of our own region is ("host:port"); it must show a certificate that
 * names this region and node. NULL forgets it: calls that run go on. Copied; at most LIMIT_PEERS,
 * further ones and what is no address are told in the log. Any thread. */
void peer_client_set_node(struct peer_client *client, uint64_t node, const char *address);
/* Certificate, key and authority are read again, for new connections; kept ones are not used again
 * (but those of the same certificate for the first two seconds, if they are as young). What cannot
 * be read or does not fit together changes nothing, and is told in the log: what was is kept, as at
 * the doors. Any thread. */
void peer_client_reload(struct peer_client *client);

struct peer_call *peer_call_new(void);
void peer_call_free(struct peer_call *call);

#endif
