/* The Raft log on disk: appends, truncations, snapshots, and damage that must be found. */
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
#include <unistd.h>

static char folder[SCRATCH_PATH];
static char path[SCRATCH_PATH + 16];
static struct engine *engine;

static int setup(void **state) {
    scratch_make(folder);
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    engine = scratch_open(path);
    return 0;
}

static int teardown(void **state) {
    engine_close(engine);
    engine = NULL;
    scratch_remove(folder);
    return 0;
}

static void reopen(void) {
    engine_close(engine);
    engine = scratch_open(path);
}

/* `n` entries of a term whose data say where they belong. */
enum { MANY = 200 };
static struct log_entry entries[MANY];
static char texts[MANY][32];

static const struct log_entry *make(uint64_t first, size_t n, uint64_t term) {
    assert_true(n <= MANY);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "entry %llu of term %llu",
                       (unsigned long long)(first + i), (unsigned long long)term);
        entries[i] = (struct log_entry){.term = term,
                                        .type = (uint8_t)(i % 3 + 1),
                                        .data = (const uint8_t *)texts[i],
                                        .len = strlen(texts[i])};
    }
    return entries;
}

static void append(uint64_t first, size_t n, uint64_t term) {
    struct log_batch *batch = log_batch_new(engine);
    struct err err;

    log_batch_append(batch, first, make(first, n, term), n);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
}

static struct log_image *load(void) {
    struct log_image *image = NULL;
    struct err err = {.message = ""};
    enum errc code = log_store_load(engine, &image, &err);

    assert_string_equal(err.message, "");
    assert_int_equal(code, OK);
    return image;
}

static void assert_entries(const struct log_image *image, uint64_t first, size_t n, uint64_t term) {
    assert_true(first >= image->first_index);
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(first - image->first_index) + i;
        char text[32];
        assert_true(at < image->n_entries);
        (void)snprintf(text, sizeof(text), "entry %llu of term %llu",
                       (unsigned long long)(first + i), (unsigned long long)term);
        assert_int_equal(image->entries[at].term, term);
        assert_int_equal(image->entries[at].type, i % 3 + 1);
        assert_int_equal(image->entries[at].len, strlen(text));
        assert_memory_equal(image->entries[at].data, text, strlen(text));
    }
}

static void assert_load_fails(enum errc code, const char *words) {
    struct log_image *image = NULL;
    struct err err;

    assert_int_equal(log_store_load(engine, &image, &err), code);
    assert_null(image);
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

static void test_empty(void **state) {
    struct log_image *image = load();

    assert_int_equal(image->term, 0);
    assert_int_equal(image->voted_for, 0);
    assert_int_equal(image->snapshot.index, 0);
    assert_int_equal(image->first_index, 1);
    assert_int_equal(image->n_entries, 0);
    log_image_free(image);
    log_image_free(NULL);
}

static void test_append_and_reopen(void **state) {
    struct log_batch *batch = log_batch_new(engine);
    const struct log_entry nothing = {.term = 3, .type = 2, .data = NULL, .len = 0};
    struct log_image *image;
    struct err err;

    log_batch_vote(batch, 3, 42);
    log_batch_append(batch, 1, make(1, 5, 1), 5);
    log_batch_append(batch, 6, make(6, 2, 3), 2); /* the same batch, on top of itself */
    log_batch_append(batch, 8, &nothing, 1);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    assert_int_equal(log_batch_commit(batch, &err), OK); /* empty now */
    log_batch_free(batch);
    reopen();
    image = load();
    assert_int_equal(image->term, 3);
    assert_int_equal(image->voted_for, 42);
    assert_int_equal(image->first_index, 1);
    assert_int_equal(image->n_entries, 8);
    assert_entries(image, 1, 5, 1);
    assert_entries(image, 6, 2, 3);
    assert_int_equal(image->entries[7].len, 0);
    assert_int_equal(image->entries[7].type, 2);
    log_image_free(image);
}

static void test_uncommitted_is_nothing(void **state) {
    struct log_batch *batch = log_batch_new(engine);
    struct log_image *image;

    log_batch_vote(batch, 9, 9);
    log_batch_append(batch, 1, make(1, 5, 9), 5);
    log_batch_free(batch);
    image = load();
    assert_int_equal(image->term, 0);
    assert_int_equal(image->n_entries, 0);
    log_image_free(image);
    append(1, 1, 1); /* and the next batch does not believe in it */
    image = load();
    assert_int_equal(image->n_entries, 1);
    log_image_free(image);
}

static void test_truncate_and_replace(void **state) {
    struct log_image *image;

    append(1, 100, 1);
    append(50, 3, 2); /* shorter than what it replaces */
    image = load();
    assert_int_equal(image->n_entries, 52);
    assert_entries(image, 50, 3, 2);
    log_image_free(image);
    append(52, 100, 3); /* longer */
    append(53, 1, 4);   /* a range of stale entries */
    reopen();
    image = load();
    assert_int_equal(image->n_entries, 53);
    assert_entries(image, 50, 2, 2);
    assert_entries(image, 52, 1, 3);
    assert_entries(image, 53, 1, 4);
    log_image_free(image);
    append(1, 2, 5); /* everything */
    image = load();
    assert_int_equal(image->n_entries, 2);
    assert_entries(image, 1, 2, 5);
    log_image_free(image);
}

static void test_truncate_only(void **state) {
    struct log_image *image;

    append(1, 100, 1);
    append(11, 0, 0);
    image = load();
    assert_int_equal(image->n_entries, 10);
    log_image_free(image);
    append(1, 0, 0);
    image = load();
    assert_int_equal(image->n_entries, 0);
    assert_int_equal(image->first_index, 1);
    log_image_free(image);
    append(1, 3, 2);
    image = load();
    assert_int_equal(image->n_entries, 3);
    log_image_free(image);
}

/* Both sides of a replacement are one write: after a crash there is the old log or the new one.
 * Here: two appends in one batch see each other. */
static void test_replace_within_a_batch(void **state) {
    struct log_batch *batch = log_batch_new(engine);
    struct log_image *image;
    struct err err;

    append(1, 5, 1);
    log_batch_append(batch, 6, make(6, 100, 1), 100);
    log_batch_append(batch, 4, make(4, 2, 2), 2);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
    image = load();
    assert_int_equal(image->n_entries, 5);
    assert_entries(image, 4, 2, 2);
    log_image_free(image);
}

static void put_snapshot(uint64_t index, uint64_t term, uint64_t keep_from) {
    const struct log_snapshot snapshot = {
        .index = index,
        .term = term,
        .configuration_index = 7,
        .configuration = (const uint8_t *)"configuration",
        .configuration_len = 13,
        .manifest = (const uint8_t *)"a\0b",
        .manifest_len = 3,
    };
    struct log_batch *batch = log_batch_new(engine);
    struct err err;

    log_batch_snapshot(batch, &snapshot, keep_from);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
}

static void test_snapshot_and_prefix(void **state) {
    struct log_image *image;

    append(1, 150, 1);
    put_snapshot(100, 1, 91);
    reopen();
    image = load();
    assert_int_equal(image->snapshot.index, 100);
    assert_int_equal(image->snapshot.term, 1);
    assert_int_equal(image->snapshot.configuration_index, 7);
    assert_int_equal(image->snapshot.configuration_len, 13);
    assert_memory_equal(image->snapshot.configuration, "configuration", 13);
    assert_int_equal(image->snapshot.manifest_len, 3);
    assert_memory_equal(image->snapshot.manifest, "a\0b", 3);
    assert_int_equal(image->first_index, 91);
    assert_int_equal(image->n_entries, 60);
    log_image_free(image);
    put_snapshot(140, 1, 50); /* nothing before 91 is there any more */
    append(151, 1, 1);
    image = load();
    assert_int_equal(image->first_index, 91);
    assert_int_equal(image->n_entries, 61);
    log_image_free(image);
    put_snapshot(151, 1, 93); /* few: deleted one by one */
    image = load();
    assert_int_equal(image->first_index, 93);
    log_image_free(image);
}

static void test_installed_snapshot(void **state) {
    struct log_image *image;

    append(1, 20, 1);
    put_snapshot(1000, 5, 1001); /* the whole log gives way */
    reopen();
    image = load();
    assert_int_equal(image->first_index, 1001);
    assert_int_equal(image->n_entries, 0);
    log_image_free(image);
    append(1001, 2, 5);
    reopen();
    image = load();
    assert_int_equal(image->first_index, 1001);
    assert_int_equal(image->n_entries, 2);
    log_image_free(image);
}

static void raw_log_put(uint64_t index, const void *value, size_t len) {
    uint8_t key[8];
    char *message = NULL;

    put_be64(key, index);
    rocksdb_put_cf(engine->db, engine->write, engine->families[FAMILY_LOG], (const char *)key,
                   sizeof(key), value, len, &message);
    assert_null(message);
}

static uint8_t *raw_log_get(uint64_t index, size_t *ret_len) {
    uint8_t key[8];
    char *message = NULL;
    char *value;

    put_be64(key, index);
    value = rocksdb_get_cf(engine->db, engine->read, engine->families[FAMILY_LOG],
                           (const char *)key, sizeof(key), ret_len, &message);
    assert_null(message);
    assert_non_null(value);
    return (uint8_t *)value;
}

static void raw_log_delete(uint64_t index) {
    uint8_t key[8];
    char *message = NULL;

    put_be64(key, index);
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_LOG], (const char *)key,
                      sizeof(key), &message);
    assert_null(message);
}

/* Every bit of an entry counts, its place too. */
static void test_damaged_entry(void **state) {
    size_t len;
    uint8_t *value;

    append(1, 20, 1);
    value = raw_log_get(17, &len);
    for (size_t i = 0; i < len; i++) {
        value[i] ^= 0x10;
        raw_log_put(17, value, len);
        assert_load_fails(ERR_CORRUPT, "log entry 17 ");
        value[i] ^= 0x10;
    }
    raw_log_put(17, value, len - 1);
    assert_load_fails(ERR_CORRUPT, "log entry 17 ");
    raw_log_put(17, value, 5);
    assert_load_fails(ERR_CORRUPT, "log entry 17 ");
    raw_log_put(17, value, len);
    log_image_free(load());
    raw_log_put(18, value, len); /* sound, but not entry 18 */
    assert_load_fails(ERR_CORRUPT, "log entry 18 ");
    rocksdb_free(value);
}

static void test_missing_entry(void **state) {
    append(1, 20, 1);
    raw_log_delete(9);
    assert_load_fails(ERR_CORRUPT, "log entry 9 is missing");
}

static void test_missing_beginning(void **state) {
    append(1, 20, 1);
    raw_log_delete(1);
    assert_load_fails(ERR_CORRUPT, "log entry 1 is missing");
    append(2, 19, 1);
    put_snapshot(1, 1, 0);
    log_image_free(load()); /* the snapshot covers it */
}

static void test_missing_end(void **state) {
    append(1, 20, 1);
    put_snapshot(18, 1, 5);
    for (uint64_t index = 17; index <= 20; index++) {
        raw_log_delete(index);
    }
    assert_load_fails(ERR_CORRUPT, "the log ends at 16, before the snapshot at 18");
}

static void test_terms_never_fall(void **state) {
    append(1, 5, 4);
    append(6, 1, 3);
    assert_load_fails(ERR_CORRUPT, "log entry 6 ");
}

static void test_damaged_metadata(void **state) {
    static const char *const keys[] = {"vote", "snapshot"};
    struct log_batch *batch = log_batch_new(engine);
    struct err err;

    log_batch_vote(batch, 3, 1);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
    append(1, 20, 1);
    put_snapshot(18, 1, 0);
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        rocksdb_column_family_handle_t *meta = engine->families[FAMILY_META];
        char *message = NULL;
        size_t len;
        char *value = rocksdb_get_cf(engine->db, engine->read, meta, keys[k], strlen(keys[k]), &len,
                                     &message);
        assert_non_null(value);
        for (size_t i = 0; i <= len; i++) {
            if (i < len) {
                value[i] = (char)(value[i] ^ 1);
            }
            rocksdb_put_cf(engine->db, engine->write, meta, keys[k], strlen(keys[k]), value,
                           i < len ? len : len - 1, &message);
            assert_load_fails(ERR_CORRUPT, keys[k]);
            if (i < len) {
                value[i] = (char)(value[i] ^ 1);
            }
        }
        rocksdb_put_cf(engine->db, engine->write, meta, keys[k], strlen(keys[k]), value, len,
                       &message);
        log_image_free(load());
        rocksdb_free(value);
    }
}

/* The newest write-ahead log of the closed database. */
static void find_wal(char *out, size_t size) {
    char best[256] = "";
    DIR *dir = opendir(path);

    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".log") == 0 &&
            strcmp(entry->d_name, best) > 0) {
            (void)snprintf(best, sizeof(best), "%s", entry->d_name);
        }
    }
    (void)closedir(dir);
    assert_string_not_equal(best, "");
    (void)snprintf(out, size, "%s/%s", path, best);
}

static long file_size(const char *name) {
    struct stat status;

    assert_int_equal(stat(name, &status), 0);
    return (long)status.st_size;
}

/* A changed byte in the synced part of the write-ahead log: RocksDB stops reading there and says
 * nothing; we do not start. */
static void test_damaged_wal_is_found(void **state) {
    const struct engine_options options = {.path = path};
    char wal[SCRATCH_PATH + 300];
    FILE *file;
    int byte;
    struct err err;

    for (uint64_t i = 0; i < 50; i++) {
        append(1 + i, 1, 1);
    }
    engine_close(engine);
    engine = NULL;
    find_wal(wal, sizeof(wal));
    file = fopen(wal, "r+");
    assert_non_null(file);
    (void)fseek(file, file_size(wal) / 2, SEEK_SET);
    byte = fgetc(file);
    (void)fseek(file, -1, SEEK_CUR);
    (void)fputc(byte ^ 0x40, file);
    (void)fclose(file);
    assert_int_equal(engine_open(&options, &engine, &err), ERR_CORRUPT);
    assert_null(engine);
    assert_non_null(strstr(err.message, "lost synced writes"));
    assert_int_equal(engine_open(&options, &engine, &err), ERR_CORRUPT); /* and stays so */
}

static void commit_region(const char *name, uint64_t index) {
    char copy[64];
    Redoubt__Region region = REDOUBT__REGION__INIT;
    struct txn *txn = txn_new(engine);

    (void)snprintf(copy, sizeof(copy), "%s", name);
    region.name = copy;
    txn_put_region(txn, &region);
    txn_commit(txn, index);
    txn_free(txn);
}

/* The torn tail of what was never synced is no damage, and what was synced is all there. */
static void test_torn_tail(void **state) {
    char wal[SCRATCH_PATH + 300];
    struct log_image *image;
    struct view *view;
    uint64_t applied = 0;

    append(1, 2, 1);
    commit_region("first", 1);
    append(3, 1, 1); /* makes the state at 1 durable as well */
    commit_region("second", 2);
    engine_close(engine);
    engine = NULL;
    find_wal(wal, sizeof(wal));
    assert_int_equal(truncate(wal, file_size(wal) - 5), 0);
    engine = scratch_open(path);
    image = load();
    assert_int_equal(image->n_entries, 3);
    log_image_free(image);
    view = view_new(engine);
    assert_int_equal(view_applied(view, &applied), OK);
    assert_int_equal(applied, 1);
    view_free(view);
}

/* A witness that is gone or torn says nothing; one that is behind is no harm. */
static void test_witness_file(void **state) {
    char name[SCRATCH_PATH + 32];
    FILE *file;

    append(1, 3, 1);
    (void)snprintf(name, sizeof(name), "%s/%s", path, WITNESS_FILE);
    assert_int_equal(file_size(name), 16);
    engine_close(engine);
    engine = NULL;
    assert_int_equal(truncate(name, 7), 0);
    engine = scratch_open(path);
    append(4, 1, 1);
    assert_int_equal(file_size(name), 16);
    engine_close(engine);
    engine = NULL;
    assert_int_equal(unlink(name), 0);
    engine = scratch_open(path);
    append(5, 1, 1);
    engine_close(engine);
    engine = NULL;
    file = fopen(name, "r+");
    assert_non_null(file);
    (void)fputs("not a witness...", file);
    (void)fclose(file);
    engine = scratch_open(path);
    log_image_free(load());
}

/* The log writer commits one batch while the next is built. */
static void test_batches_overlap(void **state) {
    struct log_batch *one = log_batch_new(engine);
    struct log_batch *two = log_batch_new(engine);
    struct log_batch *dropped = log_batch_new(engine);
    struct log_image *image;
    struct err err;

    log_batch_append(one, 1, make(1, 3, 1), 3);
    log_batch_append(two, 4, make(4, 3, 1), 3);
    log_batch_append(two, 6, make(6, 1, 2), 1); /* replaces what the same batch stored */
    assert_int_equal(log_batch_commit(one, &err), OK);
    log_batch_append(two, 7, make(7, 2, 2), 2);
    assert_int_equal(log_batch_commit(two, &err), OK);
    log_batch_append(dropped, 9, make(9, 5, 2), 5);
    log_batch_free(dropped);
    append(9, 1, 3); /* no gap, nothing left of what was dropped */
    log_batch_free(one);
    log_batch_free(two);
    image = load();
    assert_int_equal(image->first_index, 1);
    assert_int_equal(image->n_entries, 9);
    assert_int_equal(image->entries[4].term, 1);
    assert_int_equal(image->entries[5].term, 2);
    assert_int_equal(image->entries[8].term, 3);
    log_image_free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batches_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_and_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uncommitted_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncate_and_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncate_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace_within_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot_and_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_installed_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_beginning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_terms_never_fall, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_wal_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_witness_file, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
