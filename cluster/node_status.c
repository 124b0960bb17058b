/* The picture of a node that other threads see, and the room on its disk. See cluster/node.h. */
#include "cluster/node_internal.h"

#include "base/log.h"
#include "base/metrics.h"

#include <string.h>
#include <sys/statvfs.h>

enum {
    DISK_LOOK_MS = 1000,
    DISK_RESUME_PERCENT = 125, /* of the reserve must be free before writes are taken again */
    HEARD_NEVER = 0,
    BEHIND_ENTRIES = 1024, /* a follower that is further behind does not offer itself to readers */
};

const char *node_role_name(enum core_role role) {
    static const char *const names[] = {
        [CORE_FOLLOWER] = "follower", [CORE_CANDIDATE] = "candidate", [CORE_LEADER] = "leader"};

    return names[role];
}

/* ---- disk ---- */

void node_disk_look(struct node *node) {
    struct statvfs fs;
    bool was_full = atomic_load(&node->disk_full);
    bool is_full;
    uint64_t needed = node->options.disk_reserve;

    if (needed == 0 || node->data[0] == '\0' ||
        (node->disk_looked_ms != 0 && node_now(node) - node->disk_looked_ms < DISK_LOOK_MS) ||
        statvfs(node->data, &fs) != 0) {
        return;
    }
    node->disk_looked_ms = node_now(node);
    node->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    is_full = node->disk_free < (was_full ? needed / 100 * DISK_RESUME_PERCENT : needed);
    if (is_full == was_full) {
        return;
    }
    atomic_store(&node->disk_full, is_full);
    core_set_room(node->core, !is_full);
    if (is_full) {
        LOG_ERROR("node.disk_full", F_U64("free_bytes", node->disk_free),
                  F_U64("reserve_bytes", needed),
                  F_STR("detail", "no writes are taken until there is room"));
    } else {
        LOG_INFO("node.disk_room", F_U64("free_bytes", node->disk_free));
    }
}

/* ---- how current the state is ---- */

/* When the last of the nearest majority of voters was heard of: since then nobody else can have
 * been elected without this node's knowing (but for messages on their way, hence an age and no
 * promise). */
static uint64_t majority_heard_ms(const struct node *node) {
    uint64_t heard[LIMIT_PEERS];
    unsigned n = 0;

    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        struct core_member member;
        unsigned at;
        core_member_at(node->core, i, &member);
        if (member.role != CORE_VOTER) {
            continue;
        }
        if (member.id == node->options.id) {
            member.heard_ms = node_now(node);
        }
        for (at = n++; at > 0 && heard[at - 1] < member.heard_ms; at--) {
            heard[at] = heard[at - 1];
        }
        heard[at] = member.heard_ms;
    }
    return n == 0 ? HEARD_NEVER : heard[n / 2];
}

static uint64_t leader_heard_ms(const struct node *node) {
    struct core_member member;

    if (!node_member_find(node, core_leader_id(node->core), &member)) {
        return HEARD_NEVER;
    }
    return member.heard_ms;
}

/* A state that lacks what is known to be committed is not made current by hearing of the leader. */
static void note_age(struct node *node) {
    uint64_t at_ms;

    if (core_applied_index(node->core) < core_told_index(node->core)) {
        return;
    }
    if (core_is_current_leader(node->core)) {
        at_ms = majority_heard_ms(node);
    } else if (core_role(node->core) == CORE_FOLLOWER) {
        at_ms = leader_heard_ms(node);
    } else {
        return;
    }
    if (at_ms > atomic_load(&node->current_ms)) {
        atomic_store(&node->current_ms, at_ms);
    }
}

uint64_t node_age_ms(const struct node *node) {
    uint64_t at_ms = atomic_load(&node->current_ms);
    uint64_t now_ms;

    if (atomic_load(&node->ready)) {
        return 0;
    }
    if (at_ms == 0) {
        return UINT64_MAX;
    }
    now_ms = world_mono_ms(node->options.world);
    return now_ms > at_ms ? now_ms - at_ms : 0;
}

bool node_is_current(const struct node *node) {
    uint64_t limit_ms = 2 * (uint64_t)node->election_ms;
    uint64_t heard_ms;

    if (!fsm_has_region(node->fsm)) {
        return false;
    }
    if (core_role(node->core) == CORE_LEADER) {
        return core_is_current_leader(node->core) &&
               (core_is_only_voter(node->core) ||
                node_now(node) - majority_heard_ms(node) < limit_ms);
    }
    heard_ms = leader_heard_ms(node);
    return core_leader_id(node->core) != 0 && heard_ms != HEARD_NEVER &&
           node_now(node) - heard_ms < limit_ms &&
           core_applied_index(node->core) + BEHIND_ENTRIES >= core_told_index(node->core);
}

/* ---- the picture ---- */

static void fill_member(struct node *node, const struct transport_peer *streams, size_t n_streams,
                        unsigned place, struct node_member *ret) {
    struct core_member member;
    const struct node_peer *peer;
    uint64_t now_ms = node_now(node);
    bool was_installing;

    core_member_at(node->core, place, &member);
    was_installing = ret->id == member.id && ret->is_installing;
    if (member.is_installing && !was_installing && core_role(node->core) == CORE_LEADER) {
        metric_add(METRIC_SNAPSHOTS_SENT, 1);
    }
    peer = node_peer_find(node, member.id);
    *ret = (struct node_member){
        .id = member.id,
        .is_voter = member.role == CORE_VOTER,
        .is_self = member.id == node->options.id,
        .is_leader = member.id == core_leader_id(node->core),
        .is_installing = member.is_installing,
        .is_disk_full = member.lacks_room,
        .match = core_role(node->core) == CORE_LEADER ? member.match : 0,
        .heard_ago_ms = member.heard_ms == HEARD_NEVER ? UINT64_MAX : now_ms - member.heard_ms,
        .level_max = peer != NULL ? peer->level_max : 0,
    };
    (void)snprintf(ret->address, sizeof(ret->address), "%s", member.address);
    if (ret->is_self) {
        ret->heard_ago_ms = 0;
        ret->level_max = command_levels.newest;
    }
    ret->is_live = ret->heard_ago_ms < node->election_ms;
    for (size_t i = 0; i < n_streams; i++) {
        if (streams[i].node == member.id) {
            ret->is_connected = streams[i].is_connected;
            ret->queued_bytes = streams[i].queued_bytes;
            ret->dropped = streams[i].dropped;
        }
    }
}

static void publish_members(struct node *node) {
    struct transport_peer streams[LIMIT_PEERS];
    size_t n_streams =
        node->transport != NULL ? transport_peers(node->transport, streams, LIMIT_PEERS) : 0;
    unsigned n = core_members_count(node->core);

    node->status.n_members = n;
    for (unsigned i = 0; i < n; i++) {
        fill_member(node, streams, n_streams, i, &node->status.members[i]);
    }
}

static bool is_installing(const struct node *node) {
    struct installer_status status = {.is_running = false};

    if (node->options.installer != NULL) {
        installer_status(node->options.installer, &status);
    }
    return status.is_running;
}

void node_status_publish(struct node *node, bool with_members) {
    struct node_status *status = &node->status;
    bool alone = core_is_current_leader(node->core) && core_is_only_voter(node->core) &&
                 fsm_has_region(node->fsm);

    note_age(node);
    atomic_store(&node->ready, alone);
    CHECK(pthread_mutex_lock(&node->status_lock) == 0);
    status->role = node_role_name(core_role(node->core));
    status->id = node->options.id;
    status->leader = core_leader_id(node->core);
    status->term = core_term(node->core);
    status->commit = core_commit_index(node->core);
    status->applied = fsm_applied(node->fsm);
    status->first = core_first_index(node->core);
    status->last = core_last_index(node->core);
    status->log_bytes = core_log_bytes(node->core);
    status->snapshot = node->snapshot_index;
    status->level = (uint16_t)fsm_level(node->fsm);
    status->ready = node_is_current(node);
    status->is_voter = core_is_voter(node->core);
    status->is_disk_full = atomic_load(&node->disk_full);
    status->disk_free = node->options.disk_reserve == 0 ? UINT64_MAX : node->disk_free;
    if (with_members) {
        status->is_installing = is_installing(node);
        publish_members(node);
    }
    CHECK(pthread_mutex_unlock(&node->status_lock) == 0);
}

void node_status(const struct node *node, struct node_status *ret) {
    /* The lock is the only thing that reading changes. */
    struct node *mutable_node = (struct node *)(uintptr_t)node;
    size_t head = offsetof(struct node_status, members);

    CHECK(pthread_mutex_lock(&mutable_node->status_lock) == 0);
    memcpy(ret, &node->status, head + node->status.n_members * sizeof(node->status.members[0]));
    CHECK(pthread_mutex_unlock(&mutable_node->status_lock) == 0);
    ret->age_ms = node_age_ms(node);
    ret->queued_bytes = atomic_load(&node->queued_bytes);
}

bool node_has_member(const struct node *node, uint64_t id) {
    /* The lock is the only thing that reading changes. */
    struct node *mutable_node = (struct node *)(uintptr_t)node;
    bool found = false;

    CHECK(pthread_mutex_lock(&mutable_node->status_lock) == 0);
    for (size_t i = 0; i < node->status.n_members && !found; i++) {
        found = node->status.members[i].id == id;
    }
    CHECK(pthread_mutex_unlock(&mutable_node->status_lock) == 0);
    return found;
}
