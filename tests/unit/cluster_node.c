/* A node on a real store: becomes ready, commits in groups, cuts its log, restarts from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/world.h"
#include "cluster/bootstrap.h"
#include "cluster/node.h"
#include "storage/view.h"

#define ACCOUNT "123456789012"

enum { PROPOSERS = 4, EACH = 1500, SNAPSHOT_ENTRIES = 8, WAIT_MS = 20000 };

static char folder[64];
static struct engine *engine;
static struct node *node;
static atomic_uint dirty_calls;

static void on_dirty(void *arg, const char *region) {
    (void)atomic_fetch_add(&dirty_calls, 1);
}

/* The first time only. */
static void begin(void) {
    const struct core_server self = {.id = 7, .address = "self"};
    bool has_beginning = false;
    struct err err;

    assert_int_equal(node_has_beginning(engine, &has_beginning, &err), OK);
    if (!has_beginning) {
        assert_int_equal(node_bootstrap(engine, &self, 1, &err), OK);
    }
}

static enum errc start_as(const char *region, struct err *err) {
    const struct engine_options engine_options = {.path = folder};
    struct node_options options = {
        .region = region,
        .id = 7,
        .world = world_system(),
        .election_timeout_ms = 100,
        .snapshot_entries = SNAPSHOT_ENTRIES,
        .dirty_cb = on_dirty,
    };

    assert_int_equal(engine_open(&engine_options, &engine, err), OK);
    begin();
    options.engine = engine;
    return node_start(&options, &node, err);
}

static void wait_ready(void) {
    for (int i = 0; node_read_barrier(node) != OK; i++) {
        assert_true(i < WAIT_MS);
        (void)poll(NULL, 0, 1);
    }
}

static void start(void) {
    struct err err;

    assert_int_equal(start_as("us-east-1", &err), OK);
    wait_ready();
}

static void stop(void) {
    node_stop(node);
    node_free(node);
    engine_close(engine);
}

static int setup(void **state) {
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-node-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state) {
    char command[128];
    pid_t child;

    (void)snprintf(command, sizeof(command), "%s", folder);
    child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(1);
    }
    return child < 0;
}

/* ---- proposing ---- */

static struct proposal *touch_proposal(const char *name) {
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;
    char account[] = ACCOUNT, suffix[] = "AbCdEf", token[] = "11111111-2222-3333-4444-555555555555";
    char own_name[64];
    struct proposal *proposal;

    (void)snprintf(own_name, sizeof(own_name), "%s", name);
    ref.account = account;
    ref.name = own_name;
    ref.suffix = suffix;
    create.ref = &ref;
    create.token = token;
    create.has_now_ms = 1;
    create.now_ms = 1700000000000;
    proposal = proposal_new(COMMAND_SECRET_CREATE, &create.base);
    assert_non_null(proposal);
    return proposal;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned pending;
    unsigned ok;
    unsigned refused; /* by the state machine */
    unsigned failed;
    uint64_t last_index;
    bool in_order;
};

static void done(struct proposal *proposal) {
    struct waiter *waiter = proposal->arg;

    CHECK(pthread_mutex_lock(&waiter->lock) == 0);
    waiter->ok += proposal->code == OK && proposal->result->code == OK;
    waiter->refused += proposal->code == OK && proposal->result->code != OK;
    waiter->failed += proposal->code != OK;
    waiter->in_order = waiter->in_order && proposal->index >= waiter->last_index;
    waiter->last_index = proposal->index;
    waiter->pending--;
    CHECK(pthread_cond_broadcast(&waiter->changed) == 0);
    CHECK(pthread_mutex_unlock(&waiter->lock) == 0);
    proposal_free(proposal);
}

static void waiter_init(struct waiter *waiter) {
    *waiter = (struct waiter){.in_order = true};
    CHECK(pthread_mutex_init(&waiter->lock, NULL) == 0);
    CHECK(pthread_cond_init(&waiter->changed, NULL) == 0);
}

static void waiter_wait(struct waiter *waiter) {
    CHECK(pthread_mutex_lock(&waiter->lock) == 0);
    while (waiter->pending > 0) {
        CHECK(pthread_cond_wait(&waiter->changed, &waiter->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&waiter->lock) == 0);
}

static void propose(struct waiter *waiter, const char *name) {
    struct proposal *proposal = touch_proposal(name);

    proposal->done_cb = done;
    proposal->arg = waiter;
    CHECK(pthread_mutex_lock(&waiter->lock) == 0);
    waiter->pending++;
    CHECK(pthread_mutex_unlock(&waiter->lock) == 0);
    while (node_propose(node, proposal) == ERR_BUSY) {
        (void)poll(NULL, 0, 1);
    }
}

struct proposer {
    unsigned number;
    struct waiter waiter;
};

static void *propose_many(void *arg) {
    struct proposer *self = arg;

    for (unsigned i = 0; i < EACH; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "p%u/%05u", self->number, i);
        propose(&self->waiter, name);
    }
    waiter_wait(&self->waiter);
    return NULL;
}

static bool count_secret(void *arg, const Redoubt__Secret *secret) {
    unsigned *count = arg;
    (*count)++;
    return true;
}

static unsigned secrets_stored(void) {
    struct view *view = view_new(engine);
    unsigned count = 0;

    assert_non_null(view);
    assert_int_equal(view_each_secret(view, ACCOUNT, 0, count_secret, &count), OK);
    view_free(view);
    return count;
}

/* ---- tests ---- */

static void test_a_new_node_gets_ready_and_leads(void **state) {
    struct node_status status;

    start();
    assert_true(node_is_leader(node));
    node_status(node, &status);
    assert_string_equal(status.role, "leader");
    assert_true(status.applied >= 2 && status.term >= 1 && status.ready);
    assert_true(atomic_load(&dirty_calls) > 0); /* a new leader looks at its outbox */
    stop();
}

/* The peer door asks for each request of a node, and operators as soon as it serves. */
static void test_members_are_known_from_the_start(void **state) {
    static struct node_status status;
    struct err err;

    assert_int_equal(start_as("us-east-1", &err), OK);
    assert_true(node_has_member(node, 7));
    assert_false(node_has_member(node, 8));
    node_status(node, &status);
    assert_int_equal(status.n_members, 1);
    assert_int_equal(status.members[0].id, 7);
    assert_true(status.members[0].is_voter);
    stop();
}

static void test_another_regions_data_are_refused(void **state) {
    struct err err;

    start();
    stop();
    assert_int_equal(start_as("eu-west-1", &err), ERR_INVALID_PARAMETER);
    assert_non_null(strstr(err.message, "us-east-1"));
    engine_close(engine);
    start();
    stop();
}

/* The region's level in the closed store is this now; the state's hash before and after a start
 * that must fail is one. */
static void set_level(uint32_t level) {
    const struct engine_options options = {.path = folder};
    Redoubt__Region region = REDOUBT__REGION__INIT;
    uint64_t applied = 0;
    struct view *view;
    struct txn *txn;
    struct err err;

    assert_int_equal(engine_open(&options, &engine, &err), OK);
    view = view_new(engine);
    assert_int_equal(view_applied(view, &applied), OK);
    view_free(view);
    region.name = (char[]){"us-east-1"};
    region.has_level = true;
    region.level = level;
    txn = txn_new(engine);
    txn_put_region(txn, &region);
    txn_commit(txn, applied);
    txn_free(txn);
    engine_close(engine);
}

static uint64_t state_hash(void) {
    struct view *view = view_new(engine);
    uint64_t hash = 0;

    assert_int_equal(view_state_hash(view, &hash), OK);
    view_free(view);
    return hash;
}

static void test_data_of_a_level_that_is_not_known_are_refused(void **state) {
    const uint32_t levels[] = {command_levels.oldest - 1U, command_levels.newest + 1U, UINT16_MAX};
    struct err err;

    start();
    stop();
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        uint64_t hash;
        set_level(levels[i]);
        assert_int_equal(start_as("us-east-1", &err), ERR_LEVEL);
        assert_non_null(strstr(err.message, "nothing was changed"));
        hash = state_hash();
        assert_int_equal(node_force_single(engine, 7, "self", &err), ERR_LEVEL);
        assert_int_equal(state_hash(), hash);
        engine_close(engine);
    }
    set_level(command_levels.newest);
    start();
    stop();
}

static void test_many_proposers_a_short_log_and_a_restart(void **state) {
    static struct proposer proposers[PROPOSERS];
    pthread_t threads[PROPOSERS];
    struct node_status before, after;

    start();
    for (unsigned i = 0; i < PROPOSERS; i++) {
        proposers[i].number = i;
        waiter_init(&proposers[i].waiter);
        assert_int_equal(pthread_create(&threads[i], NULL, propose_many, &proposers[i]), 0);
    }
    for (unsigned i = 0; i < PROPOSERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(proposers[i].waiter.ok, EACH);
        assert_int_equal(proposers[i].waiter.refused + proposers[i].waiter.failed, 0);
        assert_true(proposers[i].waiter.in_order);
    }
    assert_int_equal(secrets_stored(), PROPOSERS * EACH);
    /* Many commands an entry; and the log does not keep what a snapshot covers, soon after the last
     * answer: the last snapshot may still be on its way. */
    node_status(node, &before);
    for (int i = 0; before.last + 1 - before.first > before.last / 2 + SNAPSHOT_ENTRIES; i++) {
        assert_true(i < WAIT_MS);
        (void)poll(NULL, 0, 1);
        node_status(node, &before);
    }
    assert_true(before.last < PROPOSERS * EACH);
    assert_true(before.snapshot > 0 && before.first > 1);
    stop();
    for (int round = 0; round < 3; round++) {
        start();
        assert_int_equal(secrets_stored(), PROPOSERS * EACH);
        node_status(node, &after);
        assert_true(after.applied >= before.applied && after.term > before.term);
        before = after;
        stop();
    }
}

static void test_a_refusal_is_a_result(void **state) {
    struct waiter waiter;

    waiter_init(&waiter);
    start();
    propose(&waiter, "twice");
    propose(&waiter, "twice");
    waiter_wait(&waiter);
    assert_int_equal(waiter.ok, 1);
    assert_int_equal(waiter.refused, 1);
    stop();
}

/* Whatever waits at the end is answered, one way or the other, and what was answered OK is there.
 */
static void test_stop_answers_everything(void **state) {
    struct proposal *late;
    struct waiter waiter;
    unsigned ok;

    waiter_init(&waiter);
    start();
    for (int i = 0; i < 500; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "s/%d", i);
        propose(&waiter, name);
    }
    node_stop(node);
    assert_int_equal(waiter.pending, 0);
    assert_int_equal(waiter.ok + waiter.failed, 500);
    ok = waiter.ok;
    /* A request whose first command was answered at the very end comes back with its second. */
    late = touch_proposal("late");
    assert_int_equal(node_read_barrier(node), ERR_UNAVAILABLE);
    assert_int_equal(node_propose(node, late), ERR_UNAVAILABLE);
    proposal_free(late);
    node_free(node);
    engine_close(engine);
    start();
    assert_true(secrets_stored() >= ok);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_node_gets_ready_and_leads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_are_known_from_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_of_a_level_that_is_not_known_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_another_regions_data_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_proposers_a_short_log_and_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_a_result, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_answers_everything, setup, teardown),
    };
    log_setup(LOG_LEVEL_WARN, "test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
