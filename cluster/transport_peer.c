/* The members that transport.h dials: look-up, attempts, waiting. */
#include "base/log.h"
#include "cluster/member.h"
#include "cluster/transport_internal.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_over(const struct peer *peer) {
    return peer->is_removed || peer->transport->is_closing;
}

struct peer *peer_find(const struct transport *transport, uint64_t node) {
    for (size_t i = 0; i < transport->n_peers; i++) {
        if (transport->peers[i]->node == node) {
            return transport->peers[i];
        }
    }
    return NULL;
}

/* --- attempts --- */

static void on_timer(uv_timer_t *timer);

static void wait_for(struct peer *peer, uint64_t ms) {
    CHECK(uv_timer_start(&peer->timer, on_timer, ms, 0) == 0);
}

/* Of several nodes that lost the same one, none comes at the same time as the others. */
static unsigned next_wait(struct peer *peer) {
    uint32_t random;
    unsigned spread, most = transport_attempt_ms(peer->transport);

    peer->backoff_ms = peer->backoff_ms == 0 ? LIMIT_TRANSPORT_RETRY_MS_MIN : 2 * peer->backoff_ms;
    if (peer->backoff_ms > most) {
        peer->backoff_ms = most;
    }
    spread = peer->backoff_ms - LIMIT_TRANSPORT_RETRY_MS_MIN;
    world_random(peer->transport->options.world, &random, sizeof(random));
    return LIMIT_TRANSPORT_RETRY_MS_MIN + random % (spread + 1);
}

/* A line the first time, and when the reason is another one; not one for each attempt. Who has not
 * been there yet gets some time to come. */
static void tell(struct peer *peer, const char *reason) {
    uint64_t now = transport_now(peer->transport);
    bool is_due = peer->has_worked || now - peer->added_ms >= TRANSPORT_GRACE_MS;
    bool is_news = is_due && (peer->told_ms == 0 ||
                              (strncmp(peer->error, reason, sizeof(peer->error) - 1) != 0 &&
                               now - peer->told_ms >= TRANSPORT_WARN_MS));
    char node[TRANSPORT_NODE_TEXT];

    transport_node_text(peer->node, node);
    (void)snprintf(peer->error, sizeof(peer->error), "%s", reason);
    if (is_news) {
        peer->told_ms = now > 0 ? now : 1;
    }
    LOG_AT(is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "transport.unreachable", F_STR("to", node),
           F_STR("address", peer->door), F_STR("reason", reason));
}

static void attempt_failed(struct peer *peer, const char *reason) {
    tell(peer, reason);
    if (peer->next_address < peer->n_addresses) {
        wait_for(peer, 0);
        return;
    }
    peer->n_addresses = 0;
    peer->next_address = 0;
    wait_for(peer, next_wait(peer));
}

static void take_addresses(struct peer *peer, const struct addrinfo *infos) {
    peer->n_addresses = 0;
    peer->next_address = 0;
    for (; infos != NULL && peer->n_addresses < TRANSPORT_ADDRESSES; infos = infos->ai_next) {
        if (infos->ai_family == AF_INET || infos->ai_family == AF_INET6) {
            memcpy(&peer->addresses[peer->n_addresses++], infos->ai_addr, infos->ai_addrlen);
        }
    }
    if (peer->n_addresses == 0) {
        attempt_failed(peer, "the name has no address");
    } else {
        stream_dial(peer, &peer->addresses[peer->next_address++]);
    }
}

static void peer_free_when_over(struct peer *peer) {
    if (peer->is_removed && peer->is_timer_closed && !peer->is_looking_up) {
        free(peer);
    }
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *infos) {
    struct peer *peer = lookup->data;
    struct transport *transport = peer->transport;

    peer->is_looking_up = false;
    if (is_over(peer)) {
        peer_free_when_over(peer);
    } else if (status < 0) {
        attempt_failed(peer, uv_strerror(status));
    } else {
        take_addresses(peer, infos);
    }
    uv_freeaddrinfo(infos);
    transport_handle_closed(transport);
}

/* Numbers need nobody to ask, and no thread that may hang. */
static void look_up(struct peer *peer) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    char host[LIMIT_ADDRESS + 1], port[6];
    int status;

    CHECK(member_door_split(peer->door, host, port));
    status = getaddrinfo(host, port, &hints, &infos);
    if (status == 0) {
        take_addresses(peer, infos);
        freeaddrinfo(infos);
        return;
    }
    hints.ai_flags = AI_NUMERICSERV;
    peer->lookup.data = peer;
    status = uv_getaddrinfo(peer->transport->options.loop, &peer->lookup, on_looked_up, host, port,
                            &hints);
    if (status < 0) {
        attempt_failed(peer, uv_strerror(status));
        return;
    }
    peer->is_looking_up = true;
    peer->transport->n_handles++;
}

static void on_timer(uv_timer_t *timer) {
    struct peer *peer = timer->data;

    CHECK(!is_over(peer) && peer->stream == NULL && !peer->is_looking_up);
    if (peer->next_address < peer->n_addresses) {
        stream_dial(peer, &peer->addresses[peer->next_address++]);
    } else {
        look_up(peer);
    }
}

/* --- what its stream tells --- */

void peer_stream_opened(struct peer *peer) {
    peer->has_worked = true;
    peer->error[0] = '\0';
    peer->told_ms = 0;
    peer->n_addresses = 0; /* when it is lost, the name is looked up again */
    peer->next_address = 0;
}

void peer_stream_ended(struct peer *peer, bool was_open, uint64_t lived_ms, const char *reason) {
    peer->stream = NULL;
    if (is_over(peer)) {
        return;
    }
    if (was_open && lived_ms >= TRANSPORT_STEADY_MS) {
        tell(peer, reason);
        peer->backoff_ms = 0;
        wait_for(peer, 0);
    } else {
        attempt_failed(peer, reason);
    }
}

void peer_is_back(struct peer *peer) {
    if (!is_over(peer) && peer->stream == NULL && !peer->is_looking_up) {
        peer->backoff_ms = 0;
        wait_for(peer, 0);
    }
}

/* --- who is a member --- */

static void on_timer_closed(uv_handle_t *handle) {
    struct peer *peer = handle->data;
    struct transport *transport = peer->transport;

    peer->is_timer_closed = true;
    peer_free_when_over(peer);
    transport_handle_closed(transport);
}

void peer_remove(struct peer *peer) {
    peer->is_removed = true;
    if (peer->stream != NULL) {
        stream_close(peer->stream, "no member any more");
    }
    if (peer->is_looking_up) {
        (void)uv_cancel((uv_req_t *)&peer->lookup); /* when it runs already, it ends in its time */
    }
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

static void peer_add(struct transport *transport, uint64_t node, const char *door,
                     uint64_t dropped) {
    struct peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL) {
        LOG_ERROR("transport.no_memory", F_STR("address", door));
        return;
    }
    peer->transport = transport;
    peer->node = node;
    peer->dropped = dropped;
    peer->is_wanted = true;
    peer->added_ms = transport_now(transport);
    (void)snprintf(peer->door, sizeof(peer->door), "%s", door);
    CHECK(uv_timer_init(transport->options.loop, &peer->timer) == 0);
    transport->n_handles++;
    peer->timer.data = peer;
    transport->peers[transport->n_peers++] = peer;
    wait_for(peer, 0);
}

static void remove_unwanted(struct transport *transport) {
    size_t n = 0;

    for (size_t i = 0; i < transport->n_peers; i++) {
        struct peer *peer = transport->peers[i];
        if (peer->is_wanted) {
            transport->peers[n++] = peer;
        } else {
            peer_remove(peer);
        }
    }
    transport->n_peers = n;
}

/* The members to dial, as far as their addresses make sense. */
struct target {
    uint64_t node;
    char door[LIMIT_ADDRESS + 1];
    uint64_t dropped; /* by its former peer */
};

static size_t read_targets(const struct transport *transport, const struct core_server *members,
                           size_t n, struct target targets[LIMIT_PEERS]) {
    size_t n_targets = 0;

    for (size_t i = 0; i < n && n_targets < LIMIT_PEERS; i++) {
        struct target *target = &targets[n_targets];
        struct member_address address;
        if (members[i].id == 0 || members[i].id == transport->options.self ||
            member_address_parse(members[i].address, &address) != OK) {
            continue;
        }
        *target = (struct target){.node = members[i].id};
        (void)snprintf(target->door, sizeof(target->door), "%s", address.raft);
        n_targets++;
    }
    return n_targets;
}

void transport_set_members(struct transport *transport, const struct core_server *members,
                           size_t n) {
    struct target targets[LIMIT_PEERS];
    size_t n_targets = read_targets(transport, members, n, targets);

    if (transport->is_closing) {
        return;
    }
    for (size_t i = 0; i < transport->n_peers; i++) {
        transport->peers[i]->is_wanted = false;
    }
    for (size_t i = 0; i < n_targets; i++) {
        struct peer *peer = peer_find(transport, targets[i].node);
        if (peer != NULL) {
            peer->is_wanted = strcmp(peer->door, targets[i].door) == 0;
            targets[i].dropped = peer->dropped;
        }
    }
    remove_unwanted(transport);
    for (size_t i = 0; i < n_targets; i++) {
        if (peer_find(transport, targets[i].node) == NULL) {
            peer_add(transport, targets[i].node, targets[i].door, targets[i].dropped);
        }
    }
}
