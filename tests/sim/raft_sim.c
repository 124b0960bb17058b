/* Simulates groups of nodes under crashes, cuts, losses, pauses, slow and full disks, snapshots and
 * changes of the membership, one group a seed, and checks what must always hold and that the group
 * recovers.
 *
 *   raft_sim                       the fixed list of seeds and one fresh one, which it prints
 *   raft_sim from=1 to=200 ms=8000 these seeds, so many virtual milliseconds each
 *
 * A failure names the seed; the same seed and `ms` fail again the same way. */
#include "sim_group.h"

#include "base/check.h"
#include "base/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAL_MS = 6000, /* 30 election timeouts, 15 for the last write to settle */
    LAST_SUBMIT_MS = 3000,
    TRANSFER_MS = 3500, /* after the healing: a transfer that must succeed, */
    CALM_MS = 4200,     /* and from here on nobody is elected */
    LAST_READ_MS = 5500,
    DEFAULT_MS = 8000,
    FRESH_MS = 20000,
};

/* What sim_fail prints. One simulation runs at a time. */
static struct sim_group *running;
static uint64_t running_ms;

void sim_fail(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "\nFAILED seed %" PRIu64 " at %" PRIu64 " ms: ", running->seed,
                  running->now_ms);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nrepeat: raft_sim from=%" PRIu64 " to=%" PRIu64 " ms=%" PRIu64 "\n",
                  running->seed, running->seed, running_ms);
    sim_group_print(running);
    exit(1);
}

static struct sim_node *random_node(struct sim_group *group) {
    return &group->nodes[sim_random_range(&group->random, 1, SIM_NODES)];
}

static unsigned count_voters(const struct sim_node *node) {
    unsigned voters = 0;
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        voters += node->members[id] == SIM_VOTER;
    }
    return voters;
}

/* False when there is nothing to change about this one: it leads, or votes and is needed. */
static bool change_member(struct sim_group *group, struct sim_node *leader, unsigned id) {
    enum core_change change = CORE_ADD_SPARE;
    switch (leader->members[id]) {
    case SIM_NO_MEMBER:
        break;
    case SIM_STANDBY:
    case SIM_SPARE:
        if (sim_random_chance(&group->random, 20)) {
            change = CORE_READDRESS;
            break;
        }
        change = sim_random_chance(&group->random, 15) ? CORE_REMOVE : CORE_PROMOTE;
        break;
    case SIM_VOTER:
        if (sim_random_chance(&group->random, 20)) {
            change = CORE_READDRESS; /* the leader too */
            break;
        }
        if (id == leader->id || count_voters(leader) <= group->voters) {
            return false;
        }
        change = sim_random_chance(&group->random, 50) ? CORE_REMOVE : CORE_DEMOTE;
        break;
    }
    sim_node_change(group, leader, change, id);
    return true;
}

/* One step of the membership, of whoever is found first: in comes who is out, who is in and does
 * not vote is promoted or goes, and of more voters than at the start one goes. */
static void change_membership(struct sim_group *group, struct sim_node *leader) {
    uint64_t start = sim_random_range(&group->random, 0, SIM_NODES - 1);
    for (unsigned i = 0; i < SIM_NODES; i++) {
        if (change_member(group, leader, (unsigned)((start + i) % SIM_NODES) + 1)) {
            return;
        }
    }
}

static void cut_network(struct sim_group *group, struct sim_node *node) {
    bool one_way = sim_random_chance(&group->random, 25);
    for (unsigned other = 1; other <= SIM_NODES; other++) {
        if (other == node->id || !sim_random_chance(&group->random, 75)) {
            continue;
        }
        node->is_cut_from[other] = true;
        if (!one_way) {
            group->nodes[other].is_cut_from[node->id] = true;
        }
    }
}

static void mend_network(struct sim_group *group) {
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        memset(group->nodes[id].is_cut_from, 0, sizeof group->nodes[id].is_cut_from);
    }
}

/* Streams from this node break, and who runs sees it: because it died, or for nothing. */
static void break_streams(struct sim_group *group, const struct sim_node *from) {
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        if (id != from->id && node->is_up && group->now_ms >= node->paused_until_ms &&
            sim_random_chance(&group->random, 60)) {
            sim_node_peer_lost(group, node, from->id);
        }
    }
}

static void crash(struct sim_group *group, struct sim_node *node) {
    if (!node->is_up) {
        return;
    }
    sim_node_crash(group, node);
    break_streams(group, node);
    sim_queue_push(
        &group->queue,
        (struct sim_event){.time_ms = group->now_ms + sim_random_range(&group->random, 20, 1500),
                           .kind = SIM_RESTART,
                           .node = node->id,
                           .epoch = node->epoch});
}

/* Half of all faults hit the leader, where there is one. */
static struct sim_node *victim(struct sim_group *group, struct sim_node *leader) {
    return leader != NULL && sim_random_chance(&group->random, 50) ? leader : random_node(group);
}

/* Not stepped for longer than it takes the others to elect another, most of the time. The first
 * that happens to it then is a read: if it led, it still thinks so. */
static void pause(struct sim_group *group, struct sim_node *node) {
    node->paused_until_ms = group->now_ms + sim_random_range(&group->random, 50, 900);
    sim_queue_push(
        &group->queue,
        (struct sim_event){.time_ms = node->paused_until_ms, .kind = SIM_READ, .node = node->id});
}

static void transfer(struct sim_group *group, struct sim_node *leader) {
    if (leader != NULL && group->now_ms >= leader->paused_until_ms) {
        bool is_open = sim_random_chance(&group->random, 50);
        (void)sim_node_transfer(group, leader, is_open ? 0 : random_node(group)->id);
    }
}

static void fill_disk(struct sim_group *group, struct sim_node *node) {
    node->full_until_ms = group->now_ms + sim_random_range(&group->random, 100, 2500);
    group->counts.full++;
}

/* One, or now and then all. */
static void fill_disks(struct sim_group *group, struct sim_node *node) {
    bool is_all = sim_random_chance(&group->random, 20);
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        if (is_all || id == node->id) {
            fill_disk(group, &group->nodes[id]);
        }
    }
}

static void fault(struct sim_group *group) {
    struct sim_node *leader = sim_group_leader(group);
    struct sim_node *node = victim(group, leader);
    switch (sim_random_range(&group->random, 0, 17)) {
    case 0:
    case 1:
    case 2:
        crash(group, node);
        break;
    case 3:
    case 4:
        cut_network(group, node);
        break;
    case 5:
    case 6:
    case 7:
        mend_network(group);
        break;
    case 8:
    case 9:
    case 10:
        if (leader != NULL && group->now_ms >= leader->paused_until_ms) {
            change_membership(group, leader);
        }
        break;
    case 11:
        pause(group, node);
        break;
    case 12:
    case 13:
        transfer(group, leader);
        break;
    case 14:
        break_streams(group, node);
        break;
    case 15:
    case 16:
        fill_disks(group, node);
        break;
    default:
        node->slow_until_ms = group->now_ms + sim_random_range(&group->random, 200, 2000);
        break;
    }
}

/* A client usually finds the leader, and sometimes one that was deposed and does not know. */
static void submit(struct sim_group *group) {
    struct sim_node *node =
        sim_random_chance(&group->random, 10) ? random_node(group) : sim_group_leader(group);
    if (node != NULL && node->is_up && group->now_ms >= node->paused_until_ms) {
        sim_node_submit(group, node, (unsigned)sim_random_range(&group->random, 1, 6));
    }
}

static void read_at(struct sim_group *group, struct sim_node *node) {
    if (node->is_up && group->now_ms >= node->paused_until_ms) {
        sim_node_read(group, node);
    }
}

static void again(struct sim_group *group, enum sim_event_kind kind, uint64_t low, uint64_t high) {
    sim_queue_push(
        &group->queue,
        (struct sim_event){.time_ms = group->now_ms + sim_random_range(&group->random, low, high),
                           .kind = kind});
}

static void heal(struct sim_group *group) {
    mend_network(group);
    group->loss_percent = 0;
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        node->paused_until_ms = 0;
        node->slow_until_ms = 0;
        node->full_until_ms = 0;
        if (!node->is_up) {
            sim_node_start(group, node);
        }
    }
}

/* What the leader's view says of a member. */
static void check_view(struct sim_node *leader, unsigned id) {
    for (unsigned i = 0; i < core_members_count(leader->core); i++) {
        struct core_member member;
        core_member_at(leader->core, i, &member);
        if (member.id != id) {
            continue;
        }
        bool is_voter = leader->members[id] == SIM_VOTER;
        if (member.match != core_last_index(leader->core) || member.is_installing ||
            (member.role == CORE_VOTER) != is_voter) {
            sim_fail("the leader %u is wrong about member %u: match %" PRIu64 ", installing %d",
                     leader->id, id, member.match, (int)member.is_installing);
        }
        return;
    }
    sim_fail("the leader %u does not show member %u", leader->id, id);
}

/* A group that is whole hands over, whatever it is doing. */
static void transfer_when_healed(struct sim_group *group) {
    struct sim_node *leader = sim_group_leader(group);
    if (leader == NULL) {
        sim_fail("no leader to hand over");
    }
    if (count_voters(leader) > 1 && !core_change_is_running(leader->core) &&
        !sim_node_transfer(group, leader, 0)) {
        sim_fail("the leader %u of a whole group does not hand over", leader->id);
    }
    group->handed_over = core_is_transferring(leader->core) ? leader->id : 0;
}

static void check_calm(struct sim_group *group, uint64_t end_ms) {
    struct sim_node *leader = sim_group_leader(group);
    if (group->last_election_ms > end_ms + CALM_MS) {
        sim_fail("an election at %" PRIu64 " ms, in a group that is whole",
                 group->last_election_ms);
    }
    if (group->handed_over != 0 && leader != NULL && leader->id == group->handed_over) {
        sim_fail("node %u still leads: nobody took over", leader->id);
    }
}

/* After the healing the group must have a leader that works, and every voter must have caught up:
 * only this shows a group that is safe because it stands still. */
static void check_recovered(struct sim_group *group) {
    sim_group_check_logs(group);
    struct sim_node *leader = sim_group_leader(group);
    if (leader == NULL) {
        sim_fail("no leader after healing");
    }
    if (!core_is_current_leader(leader->core) ||
        leader->state.applied != core_last_index(leader->core) ||
        leader->state.applied < group->check.acknowledged_max ||
        leader->state.applied != group->check.committed_max) {
        sim_fail("the leader %u has not caught up: known %" PRIu64 ", acknowledged %" PRIu64,
                 leader->id, group->check.committed_max, group->check.acknowledged_max);
    }
    for (unsigned id = 1; id <= SIM_NODES; id++) {
        struct sim_node *node = &group->nodes[id];
        if (leader->members[id] == SIM_NO_MEMBER) {
            continue;
        }
        if (node->state.applied != leader->state.applied ||
            node->state.hash != leader->state.hash ||
            node->members_index != leader->members_index ||
            node->members_hash != leader->members_hash ||
            core_leader_id(node->core) != leader->id) {
            sim_fail("member %u differs from its leader %u", id, leader->id);
        }
        if (node->n_reads > 0) {
            sim_fail("member %u has not answered %zu reads, the first asked at %" PRIu64 " ms", id,
                     node->n_reads, node->reads[0].asked_ms);
        }
        check_view(leader, id);
    }
}

static void deliver(struct sim_group *group, const struct sim_event *event, uint64_t end_ms) {
    switch (event->kind) {
    case SIM_MESSAGE:
    case SIM_FLUSH:
    case SIM_WAKE:
    case SIM_CHECKPOINT:
        if (!sim_group_deliver(group, event)) {
            free(event->bytes);
        }
        break;
    case SIM_RESTART:
        if (!group->nodes[event->node].is_up && group->nodes[event->node].epoch == event->epoch) {
            sim_node_start(group, &group->nodes[event->node]);
        }
        break;
    case SIM_SUBMIT:
        submit(group);
        if (group->now_ms < end_ms + LAST_SUBMIT_MS) {
            again(group, SIM_SUBMIT, 1, 25);
        }
        break;
    case SIM_READ:
        if (event->node != 0) {
            read_at(group, &group->nodes[event->node]);
            break;
        }
        read_at(group, random_node(group));
        if (group->now_ms < end_ms + LAST_READ_MS) {
            again(group, SIM_READ, 1, 20);
        }
        break;
    case SIM_TRANSFER:
        transfer_when_healed(group);
        break;
    case SIM_FAULT:
        sim_group_check_logs(group);
        if (group->now_ms < end_ms) {
            fault(group);
            again(group, SIM_FAULT, 50, 500);
        }
        break;
    }
}

static void add_counts(struct sim_counts *sum, const struct sim_counts *more) {
    sum->elections += more->elections;
    sum->crashes += more->crashes;
    sum->lost += more->lost;
    sum->snapshots += more->snapshots;
    sum->installs += more->installs;
    sum->installs_sent += more->installs_sent;
    sum->adds += more->adds;
    sum->promotions += more->promotions;
    sum->removals += more->removals;
    sum->refused += more->refused;
    sum->garbage += more->garbage;
    sum->outcome_unknown += more->outcome_unknown;
    sum->readdresses += more->readdresses;
    sum->reads += more->reads;
    sum->reads_answered += more->reads_answered;
    sum->transfers += more->transfers;
    sum->checkpoints += more->checkpoints;
    sum->full += more->full;
    sum->led_elsewhere += more->led_elsewhere;
}

static struct sim_counts total;
static uint64_t total_committed;
static uint64_t total_acknowledged;

/* Mostly groups of three; some that grow from one or two, and may shrink to it again. */
static unsigned first_voters(uint64_t seed) {
    static const unsigned voters[] = {3, 3, 1, 2};
    return voters[seed % ARRAY_LEN(voters)];
}

static void run_seed(uint64_t seed, uint64_t ms) {
    struct sim_group *group = calloc(1, sizeof *group);
    CHECK(group != NULL);
    running = group;
    running_ms = ms;
    sim_group_init(group, seed, first_voters(seed));
    uint64_t end_ms = group->now_ms + ms;
    again(group, SIM_FAULT, 500, 500);
    again(group, SIM_SUBMIT, 10, 10);
    again(group, SIM_READ, 10, 10);
    again(group, SIM_TRANSFER, ms + TRANSFER_MS, ms + TRANSFER_MS);
    bool healed = false;
    struct sim_event event;
    while (sim_queue_pop(&group->queue, &event)) {
        if (event.time_ms > end_ms + HEAL_MS) {
            free(event.bytes);
            break;
        }
        group->now_ms = event.time_ms;
        if (group->now_ms >= end_ms && !healed) {
            healed = true;
            heal(group);
        }
        deliver(group, &event, end_ms);
    }
    check_recovered(group);
    check_calm(group, end_ms);
    add_counts(&total, &group->counts);
    total_committed += group->check.committed_max;
    total_acknowledged += group->check.acknowledged;
    sim_group_fini(group);
    free(group);
}

static void print_totals(void) {
    printf("committed %" PRIu64 ", acknowledged %" PRIu64 ", outcome unknown %" PRIu64
           ", elections %" PRIu64 ", crashes %" PRIu64 ", messages lost %" PRIu64
           ", snapshots %" PRIu64 ", installs %" PRIu64 " of %" PRIu64 " sent, added %" PRIu64
           ", promoted %" PRIu64 ", removed %" PRIu64 ", readdressed %" PRIu64 ", refused %" PRIu64
           ", garbage %" PRIu64 ", reads %" PRIu64 " of %" PRIu64 " answered, transfers %" PRIu64
           ", checkpoints %" PRIu64 ", full disks %" PRIu64 ", led elsewhere %" PRIu64 "\n",
           total_committed, total_acknowledged, total.outcome_unknown, total.elections,
           total.crashes, total.lost, total.snapshots, total.installs, total.installs_sent,
           total.adds, total.promotions, total.removals, total.readdresses, total.refused,
           total.garbage, total.reads_answered, total.reads, total.transfers, total.checkpoints,
           total.full, total.led_elsewhere);
}

/* A seed that failed joins the list in the commit that mends it. (What it found gets a unit test
 * too: a new kind of event gives every seed another life.) */
static const struct {
    uint64_t from, to, ms;
} fixed_list[] = {
    {1, 200, DEFAULT_MS},
    /* With libraft's assertions: a refusal that came in the next term of the same leader. */
    {2203, 2203, DEFAULT_MS},
    {11, 11, 20000},
    {2322, 2322, DEFAULT_MS}, /* two voters: one lost the configuration that the other holds */
    {5010, 5010, 30000},      /* one voter crashed before the second knew that it votes */
    /* A leader that came back commits nothing before the other voter has a snapshot of it. */
    {24003, 24003, DEFAULT_MS},
};

static void run_list(void) {
    for (size_t i = 0; i < ARRAY_LEN(fixed_list); i++) {
        for (uint64_t seed = fixed_list[i].from; seed <= fixed_list[i].to; seed++) {
            run_seed(seed, fixed_list[i].ms);
        }
    }
    uint32_t fresh = 0;
    world_random(world_system(), &fresh, sizeof fresh);
    printf("fresh seed: raft_sim from=%" PRIu32 " to=%" PRIu32 " ms=%d\n", fresh, fresh, FRESH_MS);
    (void)fflush(stdout);
    run_seed(fresh, FRESH_MS);
}

static bool parse_option(const char *text, const char *name, uint64_t *ret) {
    size_t len = strlen(name);
    if (strncmp(text, name, len) != 0) {
        return false;
    }
    char *end = NULL;
    uint64_t value = strtoull(text + len, &end, 10);
    if (end == text + len || *end != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

int main(int argc, char **argv) {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t ms = DEFAULT_MS;
    for (int i = 1; i < argc; i++) {
        if (!parse_option(argv[i], "from=", &from) && !parse_option(argv[i], "to=", &to) &&
            !parse_option(argv[i], "ms=", &ms)) {
            (void)fprintf(stderr, "usage: raft_sim [from=N to=N] [ms=N]\n");
            return 2;
        }
    }
    if (from == 0 && to == 0) {
        run_list();
    } else {
        for (uint64_t seed = from; seed <= to; seed++) {
            run_seed(seed, ms);
        }
    }
    print_totals();
    return 0;
}
