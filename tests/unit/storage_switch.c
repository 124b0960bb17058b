/* The switch to a fetched store, cut off at each of its steps: whatever is there, the next start
 * ends with one whole store, and with the last vote. */
#include "storage_checkpoint_rig.h"

enum { OLD = 50, NEW = 400 };

static char from[SCRATCH_PATH];
static char to[SCRATCH_PATH];
static struct checkpoint_manifest *manifest;
static struct rig_state expected;

/* A store with OLD entries in `to`, and one with NEW in incoming/ready, given term 5 and vote 9. */
static int setup(void **state) {
    struct engine *engine;
    struct log_snapshot snapshot;

    scratch_make(from);
    scratch_make(to);
    engine = rig_open(from);
    rig_fill(engine, 1, NEW);
    expected = rig_state(engine);
    assert_ok(checkpoint_make(engine, from, world_system(), 7, &manifest, ERR));
    engine_close(engine);
    engine = rig_open(to);
    rig_vote(engine, 5, 9);
    rig_fill(engine, 1, OLD);
    engine_close(engine);
    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    snapshot = rig_snapshot(manifest);
    assert_ok(incoming_finish(to, manifest->id, 5, 9, &snapshot, ERR));
    return 0;
}

static int teardown(void **state) {
    checkpoint_manifest_free(manifest);
    scratch_remove(from);
    scratch_remove(to);
    return 0;
}

static bool switch_store(void) {
    bool was_switched = false;

    assert_ok(store_switch(to, &was_switched, ERR));
    return was_switched;
}

/* Exactly one store, of this index, with this vote, and nothing beside it. */
static void assert_store(uint64_t applied, uint64_t term, uint64_t vote) {
    struct engine *engine;
    struct log_image *image = NULL;
    struct rig_state there;

    assert_false(rig_exists(to, "replaced", ""));
    assert_false(rig_exists(to, "incoming", "ready"));
    assert_false(rig_exists(to, "incoming", "aside"));
    engine = rig_open(to);
    there = rig_state(engine);
    assert_int_equal(there.applied, applied);
    if (applied == NEW) {
        assert_int_equal(there.hash, expected.hash);
    }
    assert_ok(log_store_load(engine, &image, ERR));
    assert_int_equal(image->term, term);
    assert_int_equal(image->voted_for, vote);
    assert_int_equal(image->n_entries, applied == NEW ? 0 : OLD);
    log_image_free(image);
    engine_close(engine);
}

static void move(const char *a, const char *b) {
    assert_int_equal(rename(rig_path(to, a, "").text, rig_path(to, b, "").text), 0);
}

static void test_whole(void **state) {
    assert_true(switch_store());
    assert_store(NEW, 5, 9);
    assert_false(switch_store());
    assert_store(NEW, 5, 9);
}

static void test_nothing_to_do(void **state) {
    scratch_remove(rig_path(to, "incoming", "").text);
    assert_false(switch_store());
    assert_store(OLD, 5, 9);
    scratch_remove(rig_path(to, "store", "").text); /* a node that never was */
    assert_false(switch_store());
    assert_false(rig_exists(to, "store", ""));
}

/* Cut off behind the first rename. */
static void test_between_the_renames(void **state) {
    move("store", "replaced");
    assert_true(switch_store());
    assert_store(NEW, 5, 9);
}

/* Cut off behind the second, and in the middle of the removal. */
static void test_before_the_removal(void **state) {
    move("store", "replaced");
    move("incoming/ready", "store");
    assert_false(switch_store());
    assert_store(NEW, 5, 9);
}

static void test_within_the_removal(void **state) {
    move("store", "replaced");
    move("incoming/ready", "store");
    assert_int_equal(unlink(rig_path(to, "replaced", "CURRENT").text), 0);
    assert_false(switch_store());
    assert_store(NEW, 5, 9);
}

/* A former switch's leftovers when the next one comes. */
static void test_old_leftovers(void **state) {
    assert_int_equal(mkdir(rig_path(to, "replaced", "").text, 0700), 0);
    assert_int_equal(mkdir(rig_path(to, "incoming", "aside").text, 0700), 0);
    assert_int_equal(close(open(rig_path(to, "replaced", "x").text, O_CREAT, 0600)), 0);
    assert_true(switch_store());
    assert_int_equal(rmdir(rig_path(to, "incoming", "aside").text), 0);
    assert_store(NEW, 5, 9);
}

/* Not ours, but nothing is lost. */
static void test_ready_vanished(void **state) {
    move("store", "replaced");
    scratch_remove(rig_path(to, "incoming", "ready").text);
    assert_false(switch_store());
    assert_store(OLD, 5, 9);
}

/* The node voted after the fetched store was given its vote. */
static void test_later_votes(void **state) {
    static const struct {
        uint64_t term, vote, expected_term, expected_vote;
    } cases[] = {
        {6, 0, 6, 0}, {6, 4, 6, 4}, {5, 4, 5, 4}, {4, 1, 5, 9}, /* older */
        {5, 0, 5, 9}, /* the same term: a vote is not taken back */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine *engine = rig_open(to);
        rig_vote(engine, cases[i].term, cases[i].vote);
        engine_close(engine);
        assert_true(switch_store());
        assert_store(NEW, cases[i].expected_term, cases[i].expected_vote);
        (void)teardown(NULL);
        (void)setup(NULL);
    }
}

/* The store went on beyond the snapshot: it never goes back. */
static void test_overtaken(void **state) {
    struct engine *engine = rig_open(to);

    rig_fill(engine, OLD + 1, NEW);
    engine_close(engine);
    assert_false(switch_store());
    assert_false(rig_exists(to, "incoming", "ready"));
    engine = rig_open(to);
    assert_int_equal(rig_state(engine).applied, NEW);
    engine_close(engine);
}

/* A fetched store that is damaged since is thrown away, and the old one goes on. */
static void test_damaged_ready(void **state) {
    char path[SCRATCH_PATH + 512];
    FILE *current = fopen(rig_path(to, "incoming/ready", "CURRENT").text, "r");
    char name[64] = "";
    int fd;

    assert_non_null(current);
    assert_non_null(fgets(name, sizeof(name), current));
    (void)fclose(current);
    name[strcspn(name, "\n")] = '\0';
    (void)snprintf(path, sizeof(path), "%s", rig_path(to, "incoming/ready", name).text);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 20), 6);
    assert_int_equal(close(fd), 0);
    assert_false(switch_store());
    assert_store(OLD, 5, 9);
}

/* A store that lost what it had synced may have lost a vote: nothing is switched over it. */
static void test_store_that_lost_writes(void **state) {
    bool was_switched = true;
    struct err err = {.message = ""};
    struct engine *engine = rig_open(to);
    struct witness_file {
        uint8_t bytes[16];
    } ahead;
    int fd;

    for (uint64_t i = 0; i < 20; i++) {
        rig_vote(engine, 5, 9);
    }
    engine_close(engine);
    fd = open(rig_path(to, "store", "SYNCED").text, O_RDWR);
    assert_int_equal(read(fd, ahead.bytes, sizeof(ahead.bytes)), sizeof(ahead.bytes));
    assert_int_equal(close(fd), 0);
    scratch_remove(rig_path(to, "store", "").text);
    engine = rig_open(to); /* a younger store under the older count */
    rig_vote(engine, 5, 9);
    engine_close(engine);
    fd = open(rig_path(to, "store", "SYNCED").text, O_RDWR);
    assert_int_equal(write(fd, ahead.bytes, sizeof(ahead.bytes)), sizeof(ahead.bytes));
    assert_int_equal(close(fd), 0);
    assert_int_equal(store_switch(to, &was_switched, &err), ERR_CORRUPT);
    assert_false(was_switched);
    assert_non_null(strstr(err.message, "lost synced writes"));
    assert_true(rig_exists(to, "incoming", "ready"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_between_the_renames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before_the_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_within_the_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_leftovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ready_vanished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_votes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overtaken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_that_lost_writes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
