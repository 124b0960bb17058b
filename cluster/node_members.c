/* The membership: who is dialled, who becomes a voter, and the changes that operators ask for, one
 * at a time. See cluster/node.h. */
#include "cluster/node_internal.h"

#include "base/bytes.h"
#include "base/log.h"
#include "cluster/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    STABLE_MS = 3000,       /* a learner keeps up for so long before it votes */
    KEEPS_UP_ENTRIES = 256, /* behind the leader's last entry */
    STRANGERS_MS = 2000,
};

bool node_member_find(const struct node *node, uint64_t id, struct core_member *ret) {
    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        core_member_at(node->core, i, ret);
        if (ret->id == id) {
            return true;
        }
    }
    return false;
}

struct node_peer *node_peer_find(struct node *node, uint64_t id) {
    for (size_t i = 0; i < node->n_peers; i++) {
        if (node->peers[i].id == id) {
            return &node->peers[i];
        }
    }
    return NULL;
}

/* ---- streams and addresses ---- */

static uint64_t digest_members(const struct node *node) {
    uint64_t digest = UINT64_C(14695981039346656037);

    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        struct core_member member;
        core_member_at(node->core, i, &member);
        for (unsigned shift = 0; shift < 64; shift += 8) {
            digest = (digest ^ (member.id >> shift & 0xff)) * UINT64_C(1099511628211);
        }
        for (const char *at = member.address; *at != '\0'; at++) {
            digest = (digest ^ (uint8_t)*at) * UINT64_C(1099511628211);
        }
    }
    return digest;
}

static void forget_peers(struct node *node) {
    size_t kept = 0;

    for (size_t i = 0; i < node->n_peers; i++) {
        struct core_member member;
        if (node_member_find(node, node->peers[i].id, &member)) {
            node->peers[i].is_stranger = false;
            node->peers[kept++] = node->peers[i];
        } else if (node->peers[i].is_stranger) {
            node->peers[kept++] = node->peers[i];
        } else if (node->options.peers != NULL) {
            peer_client_set_node(node->options.peers, node->peers[i].id, NULL);
        }
    }
    node->n_peers = kept;
}

static void tell_peer_client(struct node *node, uint64_t id, const char *told) {
    struct member_address address;

    if (node->options.peers == NULL || id == node->options.id) {
        return;
    }
    if (member_address_parse(told, &address) == OK) {
        peer_client_set_node(node->options.peers, id, address.peer);
    }
}

static struct node_peer *add_peer(struct node *node, uint64_t id, bool is_stranger) {
    struct node_peer *peer;

    if (node->n_peers == ARRAY_LEN(node->peers)) {
        return NULL;
    }
    peer = &node->peers[node->n_peers++];
    *peer = (struct node_peer){.id = id, .is_stranger = is_stranger};
    return peer;
}

/* The members where the configuration says they are, strangers where they told. The peer client is
 * told of these too: to a node without a configuration its leader is a stranger, and what it needs
 * of it, when the log does not go back to the beginning, is a snapshot's files. */
static void dial(struct node *node) {
    struct core_server servers[LIMIT_PEERS + ARRAY_LEN(node->peers)];
    size_t n = core_members_count(node->core);

    for (unsigned i = 0; i < n; i++) {
        struct core_member member;
        core_member_at(node->core, i, &member);
        servers[i] = (struct core_server){.id = member.id, .address = member.address};
    }
    for (size_t i = 0; i < node->n_peers; i++) {
        const struct node_peer *peer = &node->peers[i];
        if (peer->is_stranger) {
            servers[n++] = (struct core_server){.id = peer->id, .address = peer->address};
            tell_peer_client(node, peer->id, peer->address);
        }
    }
    transport_set_members(node->transport, servers, n);
}

void node_members_look(struct node *node) {
    uint64_t digest;

    if (node->transport == NULL) {
        return;
    }
    digest = digest_members(node);
    if (digest == node->members_digest) {
        return;
    }
    node->members_digest = digest;
    forget_peers(node);
    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        struct core_member member;
        core_member_at(node->core, i, &member);
        if (node_peer_find(node, member.id) == NULL) {
            (void)add_peer(node, member.id, false);
        }
        tell_peer_client(node, member.id, member.address);
    }
    dial(node);
}

void node_members_hello(struct node *node, const struct transport_hello *hello) {
    struct node_peer *peer = node_peer_find(node, hello->node);
    bool has_moved;

    if (peer == NULL) {
        peer = add_peer(node, hello->node, true);
    }
    if (peer == NULL) {
        return; /* more nodes than a region can have: it stays unanswered */
    }
    has_moved = strcmp(peer->address, hello->address) != 0;
    peer->level_min = hello->level_min;
    peer->level_max = hello->level_max;
    (void)snprintf(peer->address, sizeof(peer->address), "%s", hello->address);
    if (peer->is_stranger && has_moved) {
        node->has_to_dial = true; /* not from inside the transport */
    }
}

/* Strangers that hung up are strangers no more. */
static void forget_strangers(struct node *node) {
    struct transport_peer streams[LIMIT_PEERS + ARRAY_LEN(node->peers)];
    size_t n = transport_peers(node->transport, streams, ARRAY_LEN(streams));
    size_t kept = 0;

    for (size_t i = 0; i < node->n_peers; i++) {
        bool is_here = !node->peers[i].is_stranger;
        for (size_t k = 0; k < n && !is_here; k++) {
            is_here = streams[k].node == node->peers[i].id && streams[k].is_accepted;
        }
        if (is_here) {
            node->peers[kept++] = node->peers[i];
        } else {
            node->has_to_dial = true;
            if (node->options.peers != NULL) {
                peer_client_set_node(node->options.peers, node->peers[i].id, NULL);
            }
        }
    }
    node->n_peers = kept;
}

/* Whoever is new is dialled first: only then the transport tells of its streams. */
static void look_at_strangers(struct node *node) {
    if (!node->has_to_dial && node_now(node) - node->strangers_looked_ms >= STRANGERS_MS) {
        node->strangers_looked_ms = node_now(node);
        forget_strangers(node);
    }
    if (node->has_to_dial) {
        node->has_to_dial = false;
        node->strangers_looked_ms = node_now(node);
        dial(node);
    }
}

/* ---- the leader's care ---- */

/* The address that a member has told, in place of the one in the configuration, with the
 * configuration's word on whether it is to stay a learner. False when nothing has changed. */
static bool address_is_stale(const struct core_member *member, const char *told,
                             char ret[LIMIT_ADDRESS + 1]) {
    struct member_address was, is;

    if (told[0] == '\0' || member_address_parse(told, &is) != OK) {
        return false;
    }
    if (member_address_parse(member->address, &was) == OK) {
        if (strcmp(was.raft, is.raft) == 0 && strcmp(was.peer, is.peer) == 0) {
            return false;
        }
        is.is_learner = was.is_learner;
    }
    return member_address_format(&is, ret) == OK;
}

static void log_change(const char *event, uint64_t id, enum errc code) {
    char text[17];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, id);
    LOG_INFO(event, F_STR("node", text), F_STR("code", errc_name(code)));
}

/* Returns whether a change was begun. */
static bool readdress(struct node *node, const struct core_member *member) {
    const struct node_peer *peer = node_peer_find(node, member->id);
    const char *told = member->id == node->options.id ? node->address : peer ? peer->address : "";
    char address[LIMIT_ADDRESS + 1];
    enum errc code;

    if (!address_is_stale(member, told, address)) {
        return false;
    }
    code = core_change(node->core, node_now(node), CORE_READDRESS, member->id, address);
    log_change("raft.readdress", member->id, code);
    node_turn(node, "readdress", OK);
    return code == OK;
}

static bool keeps_up(const struct node *node, const struct core_member *member) {
    return !member->is_installing && member->heard_ms != 0 &&
           node_now(node) - member->heard_ms < node->election_ms &&
           member->match + KEEPS_UP_ENTRIES >= core_last_index(node->core);
}

static bool is_learner(const struct core_member *member) {
    struct member_address address;

    return member_address_parse(member->address, &address) == OK && address.is_learner;
}

static bool promote_when_stable(struct node *node, const struct core_member *member) {
    struct node_peer *peer = node_peer_find(node, member->id);
    enum errc code;

    if (peer == NULL || member->role == CORE_VOTER || is_learner(member) ||
        !keeps_up(node, member)) {
        if (peer != NULL) {
            peer->caught_up_ms = 0;
        }
        return false;
    }
    if (peer->caught_up_ms == 0) {
        peer->caught_up_ms = node_now(node);
    }
    if (node_now(node) - peer->caught_up_ms < STABLE_MS) {
        return false;
    }
    peer->caught_up_ms = 0;
    code = core_change(node->core, node_now(node), CORE_PROMOTE, member->id, NULL);
    log_change("raft.promote", member->id, code);
    node_turn(node, "promote", OK);
    return code == OK;
}

/* A leader whose disk is full takes no writes: somebody else shall. */
static void lead_elsewhere(struct node *node) {
    if (!atomic_load(&node->disk_full) || core_members_count(node->core) < 2 ||
        core_is_transferring(node->core) ||
        node_now(node) - node->transfer_tried_ms < 2 * (uint64_t)node->election_ms) {
        return;
    }
    node->transfer_tried_ms = node_now(node);
    if (node_transfer(node, 0) != OK) {
        return; /* nobody to take over: it stays, and refuses */
    }
    node_turn(node, "transfer", OK);
}

void node_members_tick(struct node *node) {
    if (node->transport == NULL) {
        return;
    }
    look_at_strangers(node);
    if (core_role(node->core) != CORE_LEADER) {
        return;
    }
    lead_elsewhere(node);
    if (node->change.request != NULL || !core_is_current_leader(node->core) ||
        core_is_transferring(node->core) || core_change_is_running(node->core)) {
        return;
    }
    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        struct core_member member;
        core_member_at(node->core, i, &member);
        if (readdress(node, &member) || promote_when_stable(node, &member)) {
            return; /* one at a time */
        }
    }
}
