/* What goes wrong, and how it is made right again. */
#include "region.h"

#include <stdlib.h>
#include <string.h>

enum { FAULT_EVERY_MIN_MS = 20, FAULT_EVERY_MAX_MS = 450 };
static const int64_t day_ms = 24LL * 60 * 60 * 1000;

void fault_schedule(struct region *region) {
    queue_push(
        &region->queue,
        (struct event){.time_us = region->now_us + dice_roll(&region->dice, FAULT_EVERY_MIN_MS * MS,
                                                             FAULT_EVERY_MAX_MS * MS),
                       .kind = EVENT_FAULT});
}

/* Half of all faults hit the leader, where there is one. */
static struct node *victim(struct region *region) {
    struct node *leader = region_leader(region);
    struct node *any = &region->nodes[dice_roll(&region->dice, 1, REGION_NODES)];
    return leader != NULL && dice_chance(&region->dice, 500) ? leader : any;
}

static void note(struct region *region, const char *what, unsigned node) {
    trace_note(&region->trace, region->now_us, 0, "** %s n%u", what, node);
}

static void crash(struct region *region, struct node *node, bool power) {
    if (!node->is_up) {
        return;
    }
    /* Now and then it stays away so long that it needs a snapshot. */
    uint64_t most_ms = dice_chance(&region->dice, 150) ? 4000 : 1200;
    node_crash(region, node, power);
    queue_push(&region->queue, (struct event){.time_us = region->now_us +
                                                         dice_roll(&region->dice, MS, most_ms * MS),
                                              .kind = EVENT_RESTART,
                                              .node = node->id,
                                              .epoch = node->epoch});
}

static void crash_all(struct region *region) {
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        crash(region, &region->nodes[id], true);
    }
}

/* The node is cut off from all others, from some of them, or in one direction. */
static void cut(struct region *region, struct node *node) {
    bool hears = dice_chance(&region->dice, 250);
    bool is_heard = !hears && dice_chance(&region->dice, 300);
    unsigned per_mille = dice_chance(&region->dice, 500) ? 1000 : 600;

    note(region, hears ? "deafens nobody, mute" : is_heard ? "deaf" : "cut", node->id);
    for (unsigned other = 1; other <= REGION_NODES; other++) {
        if (other == node->id || !dice_chance(&region->dice, per_mille)) {
            continue;
        }
        region->streams[node->id][other].is_cut |= !is_heard;
        region->streams[other][node->id].is_cut |= !hears;
    }
}

static void mend(struct region *region) {
    note(region, "network mended", 0);
    for (unsigned a = 0; a <= REGION_NODES; a++) {
        for (unsigned b = 0; b <= REGION_NODES; b++) {
            if (region->streams[a][b].is_cut && dice_chance(&region->dice, 500)) {
                stream_break(region, a, b);
            }
            region->streams[a][b].is_cut = false;
        }
    }
}

/* Messages of one direction come late, all in order. */
static void slow_down(struct region *region, struct node *node) {
    unsigned other = (unsigned)dice_roll(&region->dice, 1, REGION_NODES);
    struct stream *stream = &region->streams[node->id][other];

    note(region, "slow stream from", node->id);
    stream->slow_us = dice_roll(&region->dice, 10 * MS, 800 * MS);
    stream->slow_until_us = region->now_us + dice_roll(&region->dice, 50 * MS, 1000 * MS);
}

static void change_clocks(struct region *region, struct node *node) {
    if (dice_chance(&region->dice, 600)) {
        node->wall_offset_ms += (int64_t)dice_roll(&region->dice, 0, 40) * day_ms / 8 - 2 * day_ms;
        note(region, "wall clock of", node->id);
    } else {
        note(region, "monotonic clock of", node->id);
        node_set_clock(region, node, dice_roll(&region->dice, 0, 500),
                       (unsigned)dice_roll(&region->dice, 950, 1050));
    }
}

static unsigned count_voters(const struct node *node) {
    unsigned voters = 0;
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        voters += node->members[id] == MEMBER_VOTER;
    }
    return voters;
}

/* One step: in comes who is out, who is in and does not vote is promoted or goes, and of more
 * voters than at the start one goes. False when there is nothing to change about this one. */
static bool change_member(struct region *region, struct node *leader, unsigned id) {
    enum core_change change = CORE_ADD_SPARE;

    switch (leader->members[id]) {
    case MEMBER_NONE:
        break;
    case MEMBER_STANDBY:
    case MEMBER_SPARE:
        change = dice_chance(&region->dice, 150) ? CORE_REMOVE : CORE_PROMOTE;
        break;
    case MEMBER_VOTER:
        if (dice_chance(&region->dice, 200)) {
            change = CORE_READDRESS;
            break;
        }
        if (id == leader->id || count_voters(leader) <= region->voters) {
            return false;
        }
        change = dice_chance(&region->dice, 500) ? CORE_REMOVE : CORE_DEMOTE;
        break;
    }
    node_change(region, leader, change, id);
    return true;
}

static void change_members(struct region *region, struct node *leader) {
    uint64_t start = dice_roll(&region->dice, 0, REGION_NODES - 1);
    for (unsigned i = 0; i < REGION_NODES; i++) {
        if (change_member(region, leader, (unsigned)((start + i) % REGION_NODES) + 1)) {
            break;
        }
    }
}

static void transfer(struct region *region, struct node *leader) {
    unsigned target =
        dice_chance(&region->dice, 500) ? 0 : (unsigned)dice_roll(&region->dice, 1, REGION_NODES);

    if (target == 0 || (target != leader->id && leader->members[target] == MEMBER_VOTER)) {
        node_transfer(region, leader, target);
    }
}

/* Not while it stands still; and what the change does to it may be that it dies. */
static void ask_leader(struct region *region, void (*ask)(struct region *, struct node *)) {
    struct node *leader = region_leader(region);

    if (leader == NULL || region->now_us < leader->paused_until_us) {
        return;
    }
    ask(region, leader);
    if (leader->is_dying) {
        crash(region, leader, true);
    }
}

/* Of one, or now and then of all. */
static void fill_disks(struct region *region, struct node *node) {
    bool is_all = dice_chance(&region->dice, 200);

    note(region, is_all ? "all disks full, also" : "full disk", node->id);
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        if (is_all || id == node->id) {
            region->nodes[id].full_until_us =
                region->now_us + dice_roll(&region->dice, 100 * MS, 2500 * MS);
            region->counts.full++;
        }
    }
}

void fault_happen(struct region *region) {
    struct node *node = victim(region);

    region->counts.faults++;
    switch (dice_roll(&region->dice, 0, 26)) {
    case 0:
    case 1:
    case 2:
        note(region, "power of", node->id);
        crash(region, node, true);
        break;
    case 3:
        note(region, "killed", node->id);
        crash(region, node, false);
        break;
    case 4:
        if (dice_chance(&region->dice, 250)) {
            note(region, "power of all", 0);
            crash_all(region);
        }
        break;
    case 5:
    case 6:
    case 7:
        cut(region, node);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        mend(region);
        break;
    case 12:
    case 13:
        note(region, "paused", node->id);
        node->paused_until_us = region->now_us + dice_roll(&region->dice, 20 * MS, 900 * MS);
        break;
    case 14:
        note(region, "slow disk", node->id);
        node->slow_until_us = region->now_us + dice_roll(&region->dice, 100 * MS, 1500 * MS);
        break;
    case 15:
        change_clocks(region, node);
        break;
    case 16:
        slow_down(region, node);
        break;
    case 17:
        note(region, "connection broken", node->id);
        stream_break(region, node->id, (unsigned)dice_roll(&region->dice, 1, REGION_NODES));
        break;
    case 18:
    case 19:
    case 20:
    case 21:
        ask_leader(region, change_members);
        break;
    case 22:
    case 23:
        ask_leader(region, transfer);
        break;
    case 24:
    case 25:
        fill_disks(region, node);
        break;
    default:
        break;
    }
}

void fault_isolate_leader(struct region *region) {
    struct node *leader = region_leader(region);

    for (unsigned id = 1; id <= REGION_NODES && leader != NULL; id++) {
        region->streams[leader->id][id].is_cut = true;
        region->streams[id][leader->id].is_cut = true;
    }
    note(region, "the leader is alone:", leader == NULL ? 0 : leader->id);
}

void fault_restart_followers(struct region *region) {
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        struct node *node = &region->nodes[id];
        bool was_cut_off = region->streams[id][id % REGION_NODES + 1].is_cut &&
                           region->streams[id][(id + 1) % REGION_NODES + 1].is_cut;
        if (!was_cut_off && node->is_up) {
            node_crash(region, node, true);
            node_start(region, node);
        }
    }
}

void fault_pause(struct region *region) {
    region->is_staged = true;
    mend(region);
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        struct node *node = &region->nodes[id];
        node->paused_until_us = 0;
        node->slow_until_us = 0;
        node->full_until_us = 0;
        if (!node->is_up) {
            node_start(region, node);
        }
    }
}

void fault_heal(struct region *region) {
    region->is_calm = true;
    region->loss_per_mille = 0;
    fault_pause(region);
    note(region, "healed", 0);
}
