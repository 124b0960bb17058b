/* The leader's jobs over a real store and state machine, with a clock and a node that the test
 * plays: what is proposed when, what is not, and what comes of it. */
#define KIT_TWINS 1
#include "tests/unit/cluster_commands.h"

#include "server/jobs.h"

#include <poll.h>
#include <stdatomic.h>

enum { MANY = 200, HELD_MAX = LIMIT_JOBS_BATCH, INTERVAL_MS = 20, WAIT_MS = 20000 };

enum node_mode {
    NODE_APPLIES,
    NODE_FORGETS, /* takes the proposal, and its outcome stays unknown */
    NODE_REFUSES,
    NODE_HOLDS, /* until the test lets go */
};

static struct {
    struct machine m;
    struct jobs *jobs;
    struct quotas quotas;
    _Atomic int64_t wall_ms;
    _Atomic uint64_t mono_ms;
    enum node_mode mode;
    atomic_bool is_leader;
    atomic_uint looks;
    atomic_uint proposed;
    struct proposal *held[HELD_MAX];
    atomic_uint n_held;
} fake;

/* ---- What the jobs are linked against here ---- */

struct node {
    int unused;
};
static struct node the_node;

struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = calloc(1, sizeof(*proposal));

    assert_non_null(proposal);
    proposal->type = type;
    buf_init(&proposal->command, LIMIT_COMMAND);
    command_encode(&proposal->command, type, command);
    assert_false(proposal->command.failed);
    return proposal;
}

void proposal_free(struct proposal *proposal) {
    if (proposal != NULL) {
        buf_fini(&proposal->command);
        command_result_free(proposal->result);
        free(proposal);
    }
}

enum errc node_propose(struct node *node, struct proposal *proposal) {
    if (fake.mode == NODE_REFUSES) {
        return ERR_BUSY;
    }
    atomic_fetch_add(&fake.proposed, 1);
    if (fake.mode == NODE_HOLDS) {
        assert_true(fake.n_held < HELD_MAX);
        fake.held[fake.n_held] = proposal;
        atomic_fetch_add(&fake.n_held, 1);
        return OK;
    }
    if (fake.mode == NODE_FORGETS) {
        proposal->code = ERR_OUTCOME_UNKNOWN;
    } else {
        proposal->result =
            machine_apply_bytes(&fake.m, proposal->command.data, proposal->command.len);
    }
    proposal->done_cb(proposal);
    return OK;
}

bool node_is_leader(const struct node *node) {
    atomic_fetch_add(&fake.looks, 1);
    return atomic_load(&fake.is_leader);
}

static int64_t fake_wall_ms(void *ctx) {
    return fake.wall_ms;
}

static uint64_t fake_mono_ms(void *ctx) {
    return fake.mono_ms;
}

static void fake_random(void *ctx, void *out, size_t len) {
    memset(out, 7, len);
}

static const struct world fake_world = {
    .wall_ms = fake_wall_ms, .mono_ms = fake_mono_ms, .random = fake_random};

/* ---- The test's hand ---- */

static struct jobs *jobs_of(const struct world *world, unsigned interval_ms) {
    const struct jobs_options options = {.engine = fake.m.engines[0],
                                         .node = &the_node,
                                         .world = world,
                                         .quotas = &fake.quotas,
                                         .interval_ms = interval_ms};
    struct jobs *jobs = jobs_new(&options);

    assert_non_null(jobs);
    return jobs;
}

static int setup(void **state) {
    memset(&fake, 0, sizeof(fake));
    machine_init(&fake.m, EAST);
    fake.quotas = quotas_default;
    fake.wall_ms = KIT_NOW;
    fake.mono_ms = 5000;
    fake.is_leader = true;
    fake.jobs = jobs_of(&fake_world, INTERVAL_MS);
    return 0;
}

static int teardown(void **state) {
    jobs_stop(fake.jobs);
    jobs_free(fake.jobs);
    machine_fini(&fake.m);
    return 0;
}

/* Both clocks go on; the state machine's commands follow. */
static void time_passes(int64_t ms) {
    fake.wall_ms += ms;
    fake.mono_ms += (uint64_t)ms;
    fake.m.now_ms = fake.wall_ms;
}

static struct jobs_report look(void) {
    struct jobs_report report;

    jobs_look(fake.jobs, &report);
    return report;
}

static void expect_look(unsigned purged, unsigned pruned) {
    struct jobs_report report = look();

    assert_int_equal(report.purged, purged);
    assert_int_equal(report.pruned, pruned);
    assert_int_equal(report.failed, 0);
}

static void create(const char *name, const char *suffix) {
    struct call call = {.name = name, .suffix = suffix, .token = "t1", .text = "v1"};
    expect_ok(do_create(&fake.m, &call));
}

static void put_many(const char *name, int n) {
    for (int i = 0; i < n; i++) {
        char token[16];
        struct call call = {.name = name, .token = token, .text = token};
        (void)snprintf(token, sizeof(token), "n%d", i);
        expect_ok(do_put(&fake.m, &call));
    }
}

static void schedule(const char *name, int days) {
    struct call call = {.name = name, .deletion_ms = fake.m.now_ms + days * KIT_DAY_MS};
    expect_ok(do_delete(&fake.m, &call));
}

static size_t count_versions(const char *name) {
    Redoubt__Secret *secret = machine_secret(&fake.m, name);
    size_t n = secret == NULL ? 0 : secret->n_versions;

    redoubt__secret__free_unpacked(secret, NULL);
    return n;
}

static bool exists(const char *name) {
    Redoubt__Secret *secret = machine_secret(&fake.m, name);
    bool is_there = secret != NULL;

    redoubt__secret__free_unpacked(secret, NULL);
    return is_there;
}

static bool count_due(void *arg, const struct due *due) {
    ++*(unsigned *)arg;
    return true;
}

static unsigned due_ever(void) {
    unsigned n = 0;

    assert_int_equal(view_each_due(machine_view(&fake.m), INT64_MAX, NULL, count_due, &n), OK);
    return n;
}

static uint64_t count_secrets(void) {
    uint64_t n = 0;

    assert_int_equal(view_secret_count(machine_view(&fake.m), ACCOUNT, &n), OK);
    return n;
}

/* ---- The end of the window ---- */

/* 3.8: 30 days are the default; the name is free again, and nothing is left. */
static void test_the_window_ends(void **state) {
    Redoubt__Secret *secret;
    uint64_t empty = machine_hash(&fake.m);

    create("a", "AAAAAA");
    put_many("a", 3);
    schedule("a", 30);
    assert_int_equal(due_ever(), 1);
    time_passes(30 * KIT_DAY_MS - 1);
    expect_look(0, 0);
    assert_int_equal(fake.proposed, 0);
    time_passes(1);
    expect_look(1, 0);
    assert_int_equal(fake.proposed, 1);
    assert_false(exists("a"));
    assert_false(machine_has_value(&fake.m, "a", "t1"));
    assert_false(machine_has_value(&fake.m, "a", "n2"));
    assert_int_equal(due_ever(), 0);
    assert_int_equal(count_secrets(), 0);
    assert_true(machine_hash(&fake.m) == empty); /* no row of any index is left */
    expect_look(0, 0);

    create("a", "BBBBBB");
    secret = machine_secret(&fake.m, "a");
    assert_string_equal(secret->suffix, "BBBBBB");
    assert_int_equal(secret->n_versions, 1);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* 3.8: RestoreSecret before the end; versions are intact. */
static void test_a_restored_secret_stays(void **state) {
    Redoubt__SecretRestore restore = REDOUBT__SECRET_RESTORE__INIT;
    struct call call = {.name = "a"};

    create("a", "AAAAAA");
    put_many("a", 3);
    schedule("a", 30);
    time_passes(29 * KIT_DAY_MS);
    restore.ref = kit_ref(&call);
    restore.has_now_ms = true;
    restore.now_ms = fake.m.now_ms;
    expect_ok(machine_apply(&fake.m, COMMAND_SECRET_RESTORE, &restore.base));
    redoubt__secret_ref__free_unpacked(restore.ref, NULL);
    time_passes(10 * KIT_DAY_MS);
    expect_look(0, 0);
    assert_int_equal(count_versions("a"), 4);
    assert_int_equal(due_ever(), 0);
    /* Scheduled anew: its own end counts. */
    schedule("a", 7);
    time_passes(6 * KIT_DAY_MS);
    expect_look(0, 0);
    time_passes(KIT_DAY_MS);
    expect_look(1, 0);
}

/* More than a batch: one look sees to all, the rest of the account is left alone. */
static void test_many_at_once(void **state) {
    for (int i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%d", i);
        create(name, "AAAAAA");
        if (i % 2 == 0) {
            schedule(name, 7 + i % 3);
        }
    }
    time_passes(7 * KIT_DAY_MS);
    expect_look(MANY / 2 / 3 + 1, 0);
    time_passes(2 * KIT_DAY_MS);
    expect_look(MANY / 2 - MANY / 2 / 3 - 1, 0);
    assert_int_equal(count_secrets(), MANY / 2);
}

/* ---- Old versions ---- */

/* 3.5: more than 100 versions, none younger than 24 hours goes. */
static void test_old_versions_go(void **state) {
    create("a", "AAAAAA");
    put_many("a", 119); /* 120 versions */
    time_passes(KIT_DAY_MS / 2);
    expect_look(0, 0);
    assert_int_equal(count_versions("a"), 120);
    time_passes(KIT_DAY_MS / 2);
    expect_look(0, 1);
    assert_int_equal(count_versions("a"), 100);
    expect_look(0, 0);
    assert_int_equal(fake.proposed, 1);
}

/* What is due and cannot be done yet costs no commands, and does not hold up what is behind it. */
static void test_what_is_stuck_is_passed_over(void **state) {
    fake.quotas.versions_kept = 300;
    for (int i = 0; i < LIMIT_JOBS_BATCH + 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%d", i);
        create(name, "AAAAAA");
        put_many(name, 101);
    }
    create("last", "AAAAAA");
    schedule("last", 7);
    time_passes(7 * KIT_DAY_MS);
    assert_int_equal(due_ever(), LIMIT_JOBS_BATCH + 6);
    expect_look(1, 0);
    assert_int_equal(fake.proposed, 1);
    assert_false(exists("last"));
    fake.quotas.versions_kept = 100;
    expect_look(0, LIMIT_JOBS_BATCH + 5);
    expect_look(0, 0);
}

/* It can be restored as it was. */
static void test_scheduled_secrets_keep_their_versions(void **state) {
    create("a", "AAAAAA");
    put_many("a", 119);
    schedule("a", 30);
    time_passes(2 * KIT_DAY_MS);
    expect_look(0, 0);
    assert_int_equal(fake.proposed, 0);
    assert_int_equal(count_versions("a"), 120);
}

/* ---- Clocks, leaders, nodes ---- */

static void test_only_the_leader_looks(void **state) {
    create("a", "AAAAAA");
    schedule("a", 7);
    time_passes(7 * KIT_DAY_MS);
    fake.is_leader = false;
    expect_look(0, 0);
    assert_int_equal(fake.proposed, 0);
    fake.is_leader = true;
    expect_look(1, 0);
}

/* Back: nothing is due. Far ahead at once: not before it is still so at the next look. */
static void test_a_clock_that_jumps(void **state) {
    create("a", "AAAAAA");
    put_many("a", 119);
    create("b", "BBBBBB");
    schedule("b", 30);
    expect_look(0, 0);
    fake.wall_ms = 0;
    expect_look(0, 0);
    fake.wall_ms = -KIT_NOW;
    expect_look(0, 0);
    fake.wall_ms = KIT_NOW; /* as far as this again is a jump too */
    expect_look(0, 0);
    fake.wall_ms = KIT_NOW + 31 * KIT_DAY_MS;
    expect_look(0, 0);
    fake.wall_ms = KIT_NOW;
    expect_look(0, 0);
    assert_int_equal(fake.proposed, 0);
    fake.wall_ms = KIT_NOW + 31 * KIT_DAY_MS;
    expect_look(0, 0);
    fake.mono_ms += 10000;
    fake.wall_ms += 10000;
    expect_look(1, 1);
    /* Beyond the calendar of the commands: they refuse, nothing is lost. */
    create("c", "CCCCCC");
    schedule("c", 7);
    fake.wall_ms = INT64_MAX / 2;
    expect_look(0, 0);
    expect_look(0, 0);
    assert_true(exists("c"));
}

static void test_what_was_not_decided_is_tried_again(void **state) {
    for (int i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "s%d", i);
        create(name, "AAAAAA");
        schedule(name, 7);
    }
    time_passes(7 * KIT_DAY_MS);
    fake.mode = NODE_REFUSES;
    assert_int_equal(look().failed, 1); /* and the others were not tried */
    fake.mode = NODE_FORGETS;
    assert_int_equal(look().failed, 3);
    fake.mode = NODE_APPLIES;
    expect_look(3, 0);
}

/* ---- The thread ---- */

static void wait_until(bool (*check)(void)) {
    for (int i = 0; !check(); i++) {
        assert_true(i < WAIT_MS);
        (void)poll(NULL, 0, 1);
    }
}

static bool three_looks(void) {
    return atomic_load(&fake.looks) >= 3;
}

static bool one_is_held(void) {
    return atomic_load(&fake.n_held) == 1;
}

static int64_t real_mono_fake_wall_ms(void *ctx) {
    return fake.wall_ms;
}

static uint64_t real_mono_ms(void *ctx) {
    return world_mono_ms(world_system());
}

static const struct world half_real = {
    .wall_ms = real_mono_fake_wall_ms, .mono_ms = real_mono_ms, .random = fake_random};

/* It looks at its interval, not more often, whatever is stuck; and stops at once. */
static void test_the_thread_rests(void **state) {
    struct jobs *jobs = jobs_of(&half_real, INTERVAL_MS);
    uint64_t began_ms = real_mono_ms(NULL);
    uint64_t took_ms;

    fake.quotas.versions_kept = 300;
    create("a", "AAAAAA");
    put_many("a", 119);
    fake.wall_ms += 2 * KIT_DAY_MS;
    jobs_start(jobs);
    wait_until(three_looks);
    jobs_stop(jobs);
    jobs_free(jobs);
    took_ms = real_mono_ms(NULL) - began_ms;
    assert_in_range(took_ms, 2 * INTERVAL_MS, WAIT_MS);
    assert_in_range(fake.looks, 3, took_ms / INTERVAL_MS + 2);
    assert_int_equal(fake.proposed, 0);
}

static void test_a_wake_is_heard(void **state) {
    struct jobs *jobs = jobs_of(&half_real, 3600 * 1000);

    create("a", "AAAAAA");
    schedule("a", 7);
    fake.wall_ms += 7 * KIT_DAY_MS;
    fake.is_leader = false;
    fake.mode = NODE_HOLDS;
    jobs_start(jobs);
    atomic_store(&fake.is_leader, true);
    for (int i = 0; !one_is_held(); i++) {
        assert_true(i < WAIT_MS);
        jobs_wake(jobs);
        (void)poll(NULL, 0, 1);
    }
    /* It waits for the node; what node_stop says ends that. */
    jobs_stop(jobs);
    fake.held[0]->code = ERR_UNAVAILABLE;
    fake.held[0]->done_cb(fake.held[0]);
    jobs_free(jobs);
    assert_true(exists("a"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_window_ends),
        TEST(test_a_restored_secret_stays),
        TEST(test_many_at_once),
        TEST(test_old_versions_go),
        TEST(test_what_is_stuck_is_passed_over),
        TEST(test_scheduled_secrets_keep_their_versions),
        TEST(test_only_the_leader_looks),
        TEST(test_a_clock_that_jumps),
        TEST(test_what_was_not_decided_is_tried_again),
        TEST(test_the_thread_rests),
        TEST(test_a_wake_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
