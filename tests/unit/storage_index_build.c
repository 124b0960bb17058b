/* The index is there after every opening: of a store that a former release wrote, of one whose
 * index was being built when the process died, of another format, and of one that was killed in the
 * midst of writing secrets.
 *
 * The test runs itself as the victim that is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage_index.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITES = 600, BIG = 4000, ROUNDS = 8, LIFE_MS_MAX = 300 };

static const char *program;
static char folder[SCRATCH_PATH];
static char path[SCRATCH_PATH + 16];
static unsigned builds;

static int setup(void **state) {
    scratch_make(folder);
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    builds = 0;
    return 0;
}

static int teardown(void **state) {
    scratch_remove(folder);
    return 0;
}

static void count_build(void *arg) {
    ++*(unsigned *)arg;
}

static struct engine *open_counting(void) {
    const struct engine_options options = {
        .path = path, .on_index_build = count_build, .on_index_build_arg = &builds};
    struct engine *engine = NULL;
    struct err err;

    if (engine_open(&options, &engine, &err) != OK) {
        fail_msg("%s", err.message);
    }
    return engine;
}

static void write_secrets(struct engine *engine, uint64_t seed, unsigned n) {
    struct worker worker;

    worker_begin(&worker, engine, seed);
    for (unsigned i = 0; i < n; i++) {
        worker_step(&worker);
        if (rng_below(&worker.rng, 4) == 0) {
            worker_commit(&worker);
        }
    }
    worker_commit(&worker);
    worker_end(&worker);
}

/* As a release wrote it that knew no index. */
static void remove_index(void) {
    static const char *const names[] = {"default", "log", "meta", "state", "index"};
    enum { N = ARRAY_LEN(names) };
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *all[N];
    rocksdb_column_family_handle_t *families[N];
    char *message = NULL;
    rocksdb_t *db;

    for (size_t i = 0; i < N; i++) {
        all[i] = options;
    }
    db = rocksdb_open_column_families(options, path, N, names, all, families, &message);
    assert_null(message);
    rocksdb_drop_column_family(db, families[N - 1], &message);
    assert_null(message);
    for (size_t i = 0; i < N; i++) {
        rocksdb_column_family_handle_destroy(families[i]);
    }
    rocksdb_close(db);
    rocksdb_options_destroy(options);
}

static void assert_secrets_are_listed(struct engine *engine, uint64_t expected) {
    struct view *view = view_new(engine);
    uint64_t n = 0;

    assert_int_equal(view_secret_count(view, index_accounts[0], &n), OK);
    assert_int_equal(n, expected);
    view_free(view);
}

static uint64_t count_secrets(struct engine *engine) {
    struct view *view = view_new(engine);
    uint64_t n = 0;

    assert_int_equal(view_secret_count(view, index_accounts[0], &n), OK);
    view_free(view);
    return n;
}

static void test_new_store(void **state) {
    struct engine *engine = open_counting();

    assert_secrets_are_listed(engine, 0);
    engine_close(engine);
    assert_int_equal(builds, 0); /* there is nothing to build it from */
}

static void test_store_of_a_former_release(void **state) {
    struct engine *engine = open_counting();
    struct buf kept;
    struct buf built;
    uint64_t n;

    write_secrets(engine, seed_of(21), WRITES);
    n = count_secrets(engine);
    assert_true(n > 10);
    index_dump(engine, &kept);
    engine_close(engine);
    remove_index();
    engine = open_counting();
    assert_int_equal(builds, 1);
    assert_secrets_are_listed(engine, n);
    index_dump(engine, &built);
    assert_same_dump(&kept, &built);
    write_secrets(engine, seed_of(22), WRITES); /* and goes on in step */
    assert_index_is_true(engine);
    engine_close(engine);
    engine = open_counting(); /* it is built once */
    assert_int_equal(builds, 1);
    engine_close(engine);
    buf_fini(&kept);
    buf_fini(&built);
}

static void raw_put(struct engine *engine, const void *key, size_t key_len, const void *value,
                    size_t len) {
    char *message = NULL;

    rocksdb_put_cf(engine->db, engine->write, engine->families[FAMILY_INDEX], key, key_len, value,
                   len, &message);
    assert_null(message);
}

/* Another format, older or newer: none of its rows is left. */
static void test_another_format(void **state) {
    static const uint32_t formats[] = {0, INDEX_FORMAT - 1, INDEX_FORMAT + 1, UINT32_MAX};
    struct engine *engine = open_counting();
    struct key key;
    uint64_t n;

    write_secrets(engine, seed_of(23), WRITES);
    n = count_secrets(engine);
    index_key_format(&key);
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        uint8_t bytes[4];
        put_le32(bytes, formats[i]);
        raw_put(engine, key.data, key.len, bytes, sizeof(bytes));
        raw_put(engine, "unknown row", 11, "x", 1);
        engine_close(engine);
        engine = open_counting();
        assert_int_equal(builds, i + 1);
        assert_secrets_are_listed(engine, n);
        assert_index_is_true(engine);
    }
    engine_close(engine);
}

/* An index whose building did not come to its end has no format row. */
static void test_unfinished_index(void **state) {
    struct engine *engine = open_counting();
    struct key key;
    char *message = NULL;
    uint64_t n;

    write_secrets(engine, seed_of(24), WRITES);
    n = count_secrets(engine);
    index_key_format(&key);
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_INDEX],
                      (const char *)key.data, key.len, &message);
    assert_null(message);
    assert_true(index_key_count(&key, index_accounts[0]));
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_INDEX],
                      (const char *)key.data, key.len, &message);
    assert_null(message);
    raw_put(engine, "unknown row", 11, "x", 1);
    engine_close(engine);
    engine = open_counting();
    assert_int_equal(builds, 1);
    assert_secrets_are_listed(engine, n);
    assert_index_is_true(engine);
    engine_close(engine);
}

/* A checkpoint has the index of its moment. */
static void test_checkpoint(void **state) {
    struct engine *engine = open_counting();
    struct buf before;
    struct buf after;
    struct err err;

    write_secrets(engine, seed_of(25), WRITES);
    index_dump(engine, &before);
    (void)snprintf(path, sizeof(path), "%s/copy", folder);
    assert_int_equal(engine_checkpoint(engine, path, &err), OK);
    write_secrets(engine, seed_of(26), WRITES);
    engine_close(engine);
    engine = open_counting();
    assert_int_equal(builds, 0);
    index_dump(engine, &after);
    assert_same_dump(&before, &after);
    assert_index_is_true(engine);
    engine_close(engine);
    buf_fini(&before);
    buf_fini(&after);
}

/* ---- killed ---- */

/* A store whose index has to be built is opened; a store that has one is written to. */
static int victim(const char *what, uint64_t seed) {
    struct engine *engine = scratch_open(path);

    if (strcmp(what, "write") == 0) {
        write_secrets(engine, seed, UINT32_MAX);
    }
    engine_close(engine);
    return 0;
}

/* True when it was killed before it was done. */
static bool kill_after(const char *what, int life_ms, uint64_t seed) {
    char seed_text[32];
    int status = 0;
    pid_t child;

    (void)snprintf(seed_text, sizeof(seed_text), "%" PRIu64, seed);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execl(program, program, what, path, seed_text, (char *)NULL);
        _exit(127);
    }
    (void)poll(NULL, 0, life_ms);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void test_killed_while_writing(void **state) {
    struct rng rng = {.state = seed_of(27)};

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct engine *engine;
        assert_true(kill_after("write", 20 + (int)rng_below(&rng, 4 * LIFE_MS_MAX), i));
        engine = open_counting();
        assert_index_is_true(engine);
        engine_close(engine);
    }
    assert_int_equal(builds, 0);
}

static void big_secret(struct txn *txn, uint64_t i) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    char name[64];

    (void)snprintf(name, sizeof(name), "prod/payments/service-%06" PRIu64 "/db", i);
    secret.name = name;
    secret.description = (char *)(uintptr_t) "Credentials of the database, rotated by hand";
    secret.has_created_seq = 1;
    secret.created_seq = i;
    txn_put_secret(txn, index_accounts[0], &secret);
}

static void test_killed_while_building(void **state) {
    struct rng rng = {.state = seed_of(28)};
    struct engine *engine = open_counting();
    struct txn *txn = txn_new(engine);
    struct buf kept;
    struct buf built;
    unsigned killed = 0;

    for (uint64_t i = 1; i <= BIG; i++) {
        big_secret(txn, i);
        if (i % 500 == 0) {
            txn_commit(txn, i);
        }
    }
    txn_free(txn);
    index_dump(engine, &kept);
    engine_close(engine);
    remove_index();
    for (int i = 0; i < ROUNDS; i++) {
        killed += kill_after("build", (int)rng_below(&rng, LIFE_MS_MAX), 0) ? 1 : 0;
    }
    (void)printf("killed %u of %d\n", killed, ROUNDS);
    engine = open_counting();
    index_dump(engine, &built);
    assert_same_dump(&kept, &built);
    engine_close(engine);
    buf_fini(&kept);
    buf_fini(&built);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(test_new_store),
        TEST(test_store_of_a_former_release),
        TEST(test_another_format),
        TEST(test_unfinished_index),
        TEST(test_checkpoint),
        TEST(test_killed_while_writing),
        TEST(test_killed_while_building),
    };

    program = argv[0];
    if (argc == 4) {
        (void)snprintf(path, sizeof(path), "%s", argv[2]);
        return victim(argv[1], strtoull(argv[3], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
