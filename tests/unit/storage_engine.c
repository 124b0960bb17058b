/* Opening and closing the database, what it refuses to open, and checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "storage/engine_inner.h"
#include "storage/log_store.h"
#include "storage/txn.h"
#include "storage_scratch.h"

#include <dirent.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNT "123456789012"

static char folder[SCRATCH_PATH];
static char path[SCRATCH_PATH + 16];

static int setup(void **state) {
    scratch_make(folder);
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    return 0;
}

static int teardown(void **state) {
    scratch_remove(folder);
    return 0;
}

static enum errc try_open(const char *at, struct err *err) {
    const struct engine_options options = {.path = at};
    struct engine *engine = NULL;
    enum errc code = engine_open(&options, &engine, err);

    engine_close(engine);
    return code;
}

static void put_alias(struct engine *engine, const char *alias, const char *key_id,
                      uint64_t index) {
    struct txn *txn = txn_new(engine);

    txn_put_alias(txn, ACCOUNT, alias, key_id);
    txn_commit(txn, index);
    txn_free(txn);
}

static void assert_alias(struct engine *engine, const char *alias, const char *key_id) {
    struct view *view = view_new(engine);
    char *found = NULL;

    assert_int_equal(view_alias(view, ACCOUNT, alias, &found), OK);
    if (key_id == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, key_id);
    }
    free(found);
    view_free(view);
}

static void test_reopen(void **state) {
    struct stat status;
    struct engine *engine = scratch_open(path);

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    put_alias(engine, "alias/a", "one", 7);
    engine_close(engine);
    engine = scratch_open(path);
    assert_alias(engine, "alias/a", "one");
    assert_alias(engine, "alias/b", NULL);
    engine_close(engine);
    engine_close(NULL);
}

static void test_one_process_at_a_time(void **state) {
    struct engine *engine = scratch_open(path);
    struct err err;

    assert_int_equal(try_open(path, &err), ERR_IO);
    engine_close(engine);
    assert_int_equal(try_open(path, &err), OK);
}

static void test_no_parent(void **state) {
    char deep[SCRATCH_PATH + 32];
    struct err err;

    (void)snprintf(deep, sizeof(deep), "%s/no/where", folder);
    assert_int_equal(try_open(deep, &err), ERR_IO);
    assert_non_null(strstr(err.message, deep));
}

static void write_format(uint16_t read_version, uint16_t write_version, bool is_damaged) {
    struct engine *engine = scratch_open(path);
    uint8_t bytes[12] = {'R', 'D', 'B', 'T'};
    char *message = NULL;

    put_le16(bytes + 4, read_version);
    put_le16(bytes + 6, write_version);
    put_le32(bytes + 8, crc32c(0, bytes, 8) ^ (is_damaged ? 1 : 0));
    rocksdb_put_cf(engine->db, engine->write, engine->families[FAMILY_DEFAULT], "format", 6,
                   (const char *)bytes, sizeof(bytes), &message);
    assert_null(message);
    engine_close(engine);
}

static void test_newer_read_version(void **state) {
    struct err err;

    write_format(2, 2, false);
    assert_int_equal(try_open(path, &err), ERR_LEVEL);
    assert_non_null(strstr(err.message, "newer release"));
    assert_non_null(strstr(err.message, "format 2"));
}

static void test_newer_write_version(void **state) {
    struct err err;

    write_format(1, 2, false);
    assert_int_equal(try_open(path, &err), ERR_LEVEL);
    assert_non_null(strstr(err.message, "must not write"));
}

static void test_damaged_format(void **state) {
    struct err err;

    write_format(1, 1, true);
    assert_int_equal(try_open(path, &err), ERR_CORRUPT);
}

static void test_missing_format(void **state) {
    struct engine *engine = scratch_open(path);
    char *message = NULL;
    struct err err;

    put_alias(engine, "alias/a", "one", 1);
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_DEFAULT], "format", 6,
                      &message);
    assert_null(message);
    engine_close(engine);
    assert_int_equal(try_open(path, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "no format record"));
}

static void test_unknown_family(void **state) {
    struct engine *engine = scratch_open(path);
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_column_family_handle_t *family;
    char *message = NULL;
    struct err err;

    family = rocksdb_create_column_family(engine->db, options, "tomorrow", &message);
    assert_null(message);
    rocksdb_column_family_handle_destroy(family);
    rocksdb_options_destroy(options);
    engine_close(engine);
    assert_int_equal(try_open(path, &err), ERR_LEVEL);
    assert_non_null(strstr(err.message, "newer release"));
}

static void test_damaged_database(void **state) {
    char current[SCRATCH_PATH + 32];
    FILE *file;
    struct err err;

    engine_close(scratch_open(path));
    (void)snprintf(current, sizeof(current), "%s/CURRENT", path);
    file = fopen(current, "w");
    assert_non_null(file);
    (void)fputs("MANIFEST-nonsense", file);
    (void)fclose(file);
    assert_int_not_equal(try_open(path, &err), OK);
    assert_true(err.code == ERR_CORRUPT || err.code == ERR_IO);
}

static void test_checkpoint(void **state) {
    struct engine *engine = scratch_open(path);
    char copy[SCRATCH_PATH + 32];
    const struct log_entry entry = {.term = 1, .type = 1, .data = (const uint8_t *)"x", .len = 1};
    struct log_batch *batch = log_batch_new(engine);
    struct log_image *image = NULL;
    struct view *view;
    uint64_t hash = 1;
    uint64_t hash_copy = 2;
    uint64_t applied = 0;
    struct err err;

    log_batch_vote(batch, 1, 9);
    log_batch_append(batch, 1, &entry, 1);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
    put_alias(engine, "alias/a", "one", 1);
    (void)snprintf(copy, sizeof(copy), "%s/copy", folder);
    assert_int_equal(engine_checkpoint(engine, copy, &err), OK);
    /* It must not exist: nothing is overwritten. */
    assert_int_equal(engine_checkpoint(engine, copy, &err), ERR_IO);
    view = view_new(engine);
    assert_int_equal(view_state_hash(view, &hash), OK);
    view_free(view);
    put_alias(engine, "alias/a", "two", 2); /* not in the copy */
    engine_close(engine);

    engine = scratch_open(copy);
    view = view_new(engine);
    assert_int_equal(view_state_hash(view, &hash_copy), OK);
    assert_int_equal(view_applied(view, &applied), OK);
    view_free(view);
    assert_true(hash == hash_copy);
    assert_int_equal(applied, 1);
    assert_alias(engine, "alias/a", "one");
    assert_int_equal(log_store_load(engine, &image, &err), OK);
    assert_int_equal(image->n_entries, 1);
    assert_int_equal(image->voted_for, 9);
    log_image_free(image);
    engine_close(engine);
}

static void test_in_memory(void **state) {
    struct engine *one = scratch_open(NULL);
    struct engine *two = scratch_open(NULL);

    put_alias(one, "alias/a", "one", 1);
    assert_alias(one, "alias/a", "one");
    assert_alias(two, "alias/a", NULL); /* each has its own memory */
    engine_close(one);
    engine_close(two);
}

/* RocksDB's own log must not fill the disk. */
static void test_info_log_is_bounded(void **state) {
    unsigned logs = 0;
    DIR *dir;

    for (int i = 0; i < 8; i++) {
        engine_close(scratch_open(path));
    }
    dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strncmp(entry->d_name, "LOG", 3) == 0) {
            logs++;
        }
    }
    (void)closedir(dir);
    assert_in_range(logs, 1, 5);
}

static void test_close_with_a_view_is_a_bug(void **state) {
    struct engine *engine = scratch_open(NULL);
    struct view *view = view_new(engine);
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)fclose(stderr);
        (void)signal(SIGABRT, SIG_DFL);
        engine_close(engine);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    view_free(view);
    engine_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_process_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_read_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_write_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_family, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_database, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test_setup_teardown(test_info_log_is_bounded, setup, teardown),
        cmocka_unit_test(test_close_with_a_view_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
