/* Simulates a region: real nodes but for the network, the disk below RocksDB and the clocks, under
 * everything that can go wrong, and an auditor that predicts every answer.
 *
 *   sim_region                       the fixed list of seeds, and fresh ones, which it prints first
 *   sim_region --seed N [--steps M]  one seed, of M virtual milliseconds
 *   sim_region --from A --to B       many
 *
 * A failure names the seed and prints what happened last; the same seed fails again the same way. A
 * seed that failed joins `kept` below in the commit that mends it. */
#include "base/world.h"
#include "region.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_MS = 8000, FRESH = 8, SETTLE_MS = 3000, PROVE_MS = 12000, END_MS = 1500 };

struct region *running;
static uint64_t running_ms;

/* ---- failing ---- */

static void print_nodes(const struct region *region) {
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        const struct node *node = &region->nodes[id];
        if (!node->is_up || node->core == NULL) {
            (void)fprintf(stderr, "node %u down\n", id);
            continue;
        }
        (void)fprintf(stderr,
                      "node %u role %d term %" PRIu64 " leader %" PRIu64 " log %" PRIu64
                      "..%" PRIu64 " commit %" PRIu64 " applied %" PRIu64 " snapshot %" PRIu64
                      " installing %" PRIu64 " reads %zu pending %zu members at %" PRIu64 ":",
                      id, (int)core_role(node->core), core_term(node->core),
                      core_leader_id(node->core), core_first_index(node->core),
                      core_last_index(node->core), core_commit_index(node->core),
                      core_applied_index(node->core), node->snapshot_index, node->install.index,
                      node->n_readings, node->n_pending, node->members_index);
        for (unsigned other = 1; other <= REGION_NODES; other++) {
            (void)fprintf(stderr, " %d", (int)node->members[other]);
        }
        (void)fprintf(stderr, "\n");
    }
}

static void print_failure(void) {
    trace_print(&running->trace, stderr);
    print_nodes(running);
    (void)fprintf(stderr, "FAILED seed %" PRIu64 " at %" PRIu64 " ms", running->seed,
                  running->now_us / MS);
}

static void print_repeat(void) {
    (void)fprintf(stderr, "\nrepeat: sim_region --seed %" PRIu64 " --steps %" PRIu64 "\n",
                  running->seed, running_ms);
}

void region_fail(const char *fmt, ...) {
    va_list args;

    print_failure();
    (void)fprintf(stderr, ": ");
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    print_repeat();
    exit(1);
}

void must(enum errc code, const char *what) {
    if (code != OK) {
        region_fail("%s: %s", what, errc_name(code));
    }
}

/* A CHECK, an assertion of libraft, or the store: they abort. */
static void on_abort(int number) {
    (void)signal(number, SIG_DFL);
    if (running != NULL) {
        print_failure();
        print_repeat();
    }
    (void)raise(number);
}

/* ---- a run ---- */

static void run_until(struct region *region, uint64_t end_us) {
    while (region_step(region, end_us)) {
    }
    region->now_us = end_us;
}

/* The group works: a write and a read on every node that votes. Only this shows a group that is
 * safe because it stands still. */
static void prove_life(struct region *region) {
    struct node *leader = region_leader(region);
    uint64_t end_us = region->now_us + PROVE_MS * MS;
    bool is_done = false;

    if (leader == NULL) {
        region_fail("no leader %d ms after healing", SETTLE_MS);
    }
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        if (leader->members[id] != MEMBER_VOTER) {
            continue;
        }
        for (unsigned is_read = 0; is_read < 2; is_read++) {
            struct client *client = &region->clients[is_read];
            client_prove(region, client, id, is_read != 0);
        }
        do {
            is_done = region->clients[0].is_done && region->clients[1].is_done;
        } while (!is_done && region_step(region, end_us));
        if (!is_done) {
            region_fail("healed, and node %u does not answer within %d ms", id, PROVE_MS);
        }
    }
}

/* And all who vote come to the same. */
static void check_equal(struct region *region) {
    const struct node *leader = region_leader(region);

    if (leader == NULL) {
        region_fail("no leader at the end");
    }
    if (fsm_applied(leader->fsm) != region->audit.last ||
        core_last_index(leader->core) != region->audit.last || region->floor > region->audit.last) {
        region_fail("the leader has not come to %" PRIu64, region->audit.last);
    }
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        const struct node *node = &region->nodes[id];
        if (leader->members[id] != MEMBER_VOTER) {
            continue;
        }
        if (fsm_applied(node->fsm) != region->audit.last ||
            node->members_index != leader->members_index ||
            core_leader_id(node->core) != leader->id) {
            region_fail("voter %u differs from leader %u", id, leader->id);
        }
        audit_state(region, id, region->audit.last, node->engine);
        (void)audit_read(region, id, DEED_NAMES, node->engine);
    }
}

static struct counts total;
static uint64_t total_committed;

static void add_counts(const struct counts *more) {
    uint64_t *sum = (uint64_t *)&total;
    const uint64_t *from = (const uint64_t *)more;
    for (size_t i = 0; i < sizeof(total) / sizeof(uint64_t); i++) {
        sum[i] += from[i];
    }
}

/* How the trouble of some seeds ends. */
static void stage(struct region *region) {
    enum { TURNS = 3, ELECT_MS = 900 };

    fault_pause(region);
    run_until(region, region->now_us + ELECT_MS * MS);
    fault_isolate_leader(region);
    for (unsigned i = 0; i < TURNS; i++) {
        run_until(region, region->now_us + dice_roll(&region->dice, 150 * MS, 450 * MS));
        fault_restart_followers(region);
    }
}

/* Returns the hash of all that happened. */
static uint64_t run_seed(uint64_t seed, uint64_t ms) {
    struct region *region = malloc(sizeof(*region));
    uint64_t hash;

    CHECK(region != NULL);
    running = region;
    running_ms = ms;
    region_init(region, seed);
    run_until(region, region->now_us + ms * MS);
    if (dice_chance(&region->dice, 400)) {
        stage(region);
    }
    fault_heal(region);
    run_until(region, region->now_us + SETTLE_MS * MS);
    prove_life(region);
    run_until(region, region->now_us + END_MS * MS);
    check_equal(region);
    add_counts(&region->counts);
    total_committed += region->audit.last;
    hash = region->trace.hash;
    region_fini(region);
    running = NULL;
    free(region);
    return hash;
}

static void print_totals(uint64_t seeds, uint64_t hash) {
    printf("%" PRIu64 " seeds, trace %016" PRIx64 ": committed %" PRIu64 ", writes %" PRIu64
           ", reads %" PRIu64 " and stale %" PRIu64 ", no answer %" PRIu64 ", retries %" PRIu64
           ", refused %" PRIu64 "\n",
           seeds, hash, total_committed, total.writes, total.reads, total.stale_reads,
           total.unknown, total.retries, total.refused);
    printf("faults %" PRIu64 ", crashes %" PRIu64 " (%" PRIu64
           " between effects), elections %" PRIu64 ", transfers %" PRIu64 ", messages %" PRIu64
           ", lost %" PRIu64 ", shortened %" PRIu64 ", checkpoints %" PRIu64 ", installs %" PRIu64
           ", changes %" PRIu64 " with promotions %" PRIu64 ", full disks %" PRIu64 "\n",
           total.faults, total.crashes, total.torn, total.elections, total.transfers,
           total.messages, total.lost, total.shortened, total.checkpoints, total.installs,
           total.changes, total.promotions, total.full);
    (void)fflush(stdout);
}

static const struct {
    uint64_t from, to, ms;
} kept[] = {
    {1, 30, DEFAULT_MS},
    {1082, 1082, DEFAULT_MS}, /* a node that is to die between the effects of its start */
};

/* The first seed twice: it must repeat exactly, or no failure could be found again. */
static void run_list(void) {
    uint64_t seeds = 0;
    uint64_t hash = 0;
    uint32_t fresh = 0;

    if (run_seed(1, DEFAULT_MS) != run_seed(1, DEFAULT_MS)) {
        (void)fprintf(stderr, "FAILED: seed 1 does not repeat\n");
        exit(1);
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        for (uint64_t seed = kept[i].from; seed <= kept[i].to; seed++) {
            hash ^= run_seed(seed, kept[i].ms);
            seeds++;
        }
    }
    world_random(world_system(), &fresh, sizeof(fresh));
    printf("fresh seeds: sim_region --from %" PRIu32 " --to %" PRIu64 "\n", fresh,
           (uint64_t)fresh + FRESH - 1);
    (void)fflush(stdout);
    for (uint64_t seed = fresh; seed < (uint64_t)fresh + FRESH; seed++) {
        (void)run_seed(seed, DEFAULT_MS);
        seeds++;
    }
    print_totals(seeds, hash);
}

static bool parse_number(const char *text, uint64_t *ret) {
    char *end = NULL;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

int main(int argc, char **argv) {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t ms = DEFAULT_MS;
    bool is_good = true;
    uint64_t hash = 0;

    (void)signal(SIGABRT, on_abort);
    /* Databases come and go by the hundred: their memory is kept for the next. */
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
    for (int i = 1; i < argc && is_good; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--seed") == 0) {
            is_good = parse_number(value, &from);
            to = from;
        } else if (strcmp(argv[i], "--from") == 0) {
            is_good = parse_number(value, &from);
        } else if (strcmp(argv[i], "--to") == 0) {
            is_good = parse_number(value, &to);
        } else {
            is_good = strcmp(argv[i], "--steps") == 0 && parse_number(value, &ms);
        }
    }
    if (!is_good) {
        (void)fprintf(stderr, "usage: sim_region [--seed N | --from N --to N] [--steps MS]\n");
        return 2;
    }
    if (from == 0 && to == 0) {
        run_list();
        return 0;
    }
    for (uint64_t seed = from; seed <= to; seed++) {
        hash ^= run_seed(seed, ms);
    }
    print_totals(to - from + 1, hash);
    return 0;
}
