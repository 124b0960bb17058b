/* Checkpoints: made while the store is written to, carried to another folder, finished, switched
 * to. What arrives is the state of the source, whatever happens on the way. */
#include "storage_checkpoint_rig.h"

#include <pthread.h>
#include <stdatomic.h>

static char from[SCRATCH_PATH];
static char to[SCRATCH_PATH];

static int setup(void **state) {
    scratch_make(from);
    scratch_make(to);
    return 0;
}

static int teardown(void **state) {
    scratch_remove(from);
    scratch_remove(to);
    return 0;
}

static struct checkpoint_manifest *make(struct engine *engine) {
    struct checkpoint_manifest *made = NULL;
    struct checkpoint_manifest *manifest;

    assert_ok(checkpoint_make(engine, from, world_system(), 7, &made, ERR));
    manifest = rig_travel(made);
    checkpoint_manifest_free(made);
    return manifest;
}

static void finish(const struct checkpoint_manifest *manifest, uint64_t term, uint64_t vote) {
    const struct log_snapshot snapshot = rig_snapshot(manifest);

    assert_ok(incoming_finish(to, manifest->id, term, vote, &snapshot, ERR));
}

static bool switch_store(void) {
    bool was_switched = false;

    assert_ok(store_switch(to, &was_switched, ERR));
    return was_switched;
}

/* The store at `to` is the source's state, with an empty log behind the snapshot. */
static void assert_installed(struct rig_state expected, uint64_t term, uint64_t vote) {
    struct engine *engine = rig_open(to);
    struct rig_state there = rig_state(engine);
    struct log_image *image = NULL;
    enum log_origin origin = LOG_ORIGIN_NONE;

    assert_int_equal(there.applied, expected.applied);
    assert_int_equal(there.hash, expected.hash);
    assert_ok(log_store_load(engine, &image, ERR));
    assert_int_equal(image->n_entries, 0);
    assert_int_equal(image->first_index, expected.applied + 1);
    assert_int_equal(image->term, term);
    assert_int_equal(image->voted_for, vote);
    assert_int_equal(image->snapshot.index, expected.applied);
    assert_int_equal(image->snapshot.term, 3);
    assert_int_equal(image->snapshot.configuration_index, 1);
    assert_string_equal((const char *)image->snapshot.configuration, "who is who");
    assert_int_equal(image->snapshot.manifest_len, 0);
    log_image_free(image);
    assert_ok(log_store_origin(engine, &origin, ERR));
    assert_int_equal(origin, LOG_ORIGIN_JOIN);
    /* It goes on, and what it syncs now is counted. */
    rig_fill(engine, expected.applied + 1, expected.applied + 100);
    engine_close(engine);
    engine = rig_open(to);
    assert_int_equal(rig_state(engine).applied, expected.applied + 100);
    engine_close(engine);
}

/* ---- the whole way, under writes ---- */

struct writer {
    struct engine *engine;
    uint64_t next;
    atomic_bool stopping;
};

static void *write_on(void *arg) {
    struct writer *writer = arg;
    struct txn *txn = txn_new(writer->engine);
    struct log_batch *batch = log_batch_new(writer->engine);

    while (!atomic_load(&writer->stopping) && writer->next < 12000) {
        rig_write(writer->engine, txn, batch, writer->next, writer->next % 16 == 0);
        writer->next++;
    }
    assert_ok(log_batch_commit(batch, ERR));
    log_batch_free(batch);
    txn_free(txn);
    return NULL;
}

/* What the state was at `index`: the rig's writes depend on nothing else. */
static struct rig_state state_at(uint64_t index) {
    struct engine *engine = scratch_open(NULL);
    struct txn *txn = txn_new(engine);
    struct rig_state there;

    for (uint64_t i = 1; i <= index; i++) {
        rig_write(engine, txn, NULL, i, false);
    }
    txn_free(txn);
    there = rig_state(engine);
    engine_close(engine);
    return there;
}

static void test_under_writes(void **state) {
    enum { ROUNDS = 3 };
    struct engine *engine = rig_open(from);
    struct writer writer = {.engine = engine, .next = 4001};
    struct checkpoint_manifest *manifests[ROUNDS];
    pthread_t thread;

    rig_vote(engine, 3, 7);
    rig_fill(engine, 1, 4000);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        manifests[i] = make(engine);
        assert_true(manifests[i]->applied >= (i == 0 ? 4000 : manifests[i - 1]->applied));
        assert_int_equal(manifests[i]->node, 7);
    }
    atomic_store(&writer.stopping, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    engine_close(engine);
    /* All of them stand, each at its own index. */
    for (size_t i = 0; i < ROUNDS; i++) {
        struct rig_state expected = state_at(manifests[i]->applied);
        assert_true(rig_carry(from, to, manifests[i], UINT32_MAX, SIZE_MAX));
        finish(manifests[i], 5, 9);
        assert_true(rig_exists(to, "incoming", "ready"));
        assert_int_equal(expected.applied, manifests[i]->applied);
        assert_true(switch_store());
        assert_false(rig_exists(to, "incoming", "ready"));
        assert_false(rig_exists(to, "replaced", ""));
        assert_false(switch_store());
        assert_installed(expected, 5, 9);
        checkpoint_manifest_free(manifests[i]);
        scratch_remove(rig_path(to, "store", "").text);
    }
    /* The source's store is none the worse. */
    engine = rig_open(from);
    assert_int_equal(rig_state(engine).applied, writer.next - 1);
    engine_close(engine);
}

/* The maker's log does not travel. */
static void test_without_the_log(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct log_image *image = NULL;
    uint64_t bytes = 0;

    rig_fill(engine, 1, 3000);
    manifest = make(engine);
    for (size_t i = 0; i < manifest->n_files; i++) {
        assert_null(strstr(manifest->files[i].name, "LOG"));
        assert_string_not_equal(manifest->files[i].name, "LOCK");
        assert_string_not_equal(manifest->files[i].name, "SYNCED");
        bytes += manifest->files[i].size;
    }
    /* Values once and the index, not twice. */
    assert_in_range(bytes, 3000 * RIG_VALUE, 3000 * (RIG_VALUE + 900));
    assert_ok(log_store_load(engine, &image, ERR));
    assert_int_equal(image->n_entries, 3000);
    log_image_free(image);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

static void test_remove(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *one, *two, *three;
    struct err err;

    rig_fill(engine, 1, 10);
    one = make(engine);
    two = make(engine);
    three = make(engine);
    assert_ok(checkpoint_remove(from, one->id, NULL, ERR));
    assert_false(rig_exists(from, "checkpoints", one->id));
    assert_ok(checkpoint_remove(from, one->id, NULL, ERR)); /* is gone already */
    assert_ok(checkpoint_remove(from, NULL, two->id, ERR));
    assert_true(rig_exists(from, "checkpoints", two->id));
    assert_false(rig_exists(from, "checkpoints", three->id));
    assert_ok(checkpoint_remove(from, NULL, NULL, ERR));
    assert_false(rig_exists(from, "checkpoints", two->id));
    assert_ok(checkpoint_remove(to, NULL, NULL, ERR)); /* none was ever made */
    assert_int_equal(checkpoint_remove(from, "../store", NULL, &err), ERR_INVALID_PARAMETER);
    assert_true(rig_exists(from, "store", "CURRENT"));
    checkpoint_manifest_free(one);
    checkpoint_manifest_free(two);
    checkpoint_manifest_free(three);
    engine_close(engine);
}

/* Nothing is left of one that could not be made. */
static void test_make_fails(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest = NULL;
    struct err err = {.message = ""};

    rig_fill(engine, 1, 10);
    assert_int_equal(close(open(rig_path(from, "checkpoints", "").text, O_CREAT | O_WRONLY, 0600)),
                     0);
    assert_int_equal(checkpoint_make(engine, from, world_system(), 7, &manifest, &err), ERR_IO);
    assert_null(manifest);
    assert_true(err.message[0] != '\0');
    engine_close(engine);
}

/* ---- serving ---- */

static void test_read(void **state) {
    static const char *const bad_ids[] = {"",
                                          ".",
                                          "..",
                                          "../../store",
                                          "0123456789abcde",
                                          "0123456789abcdef0",
                                          "0123456789ABCDEF",
                                          "0123456789abcde/"};
    static const char *const bad_files[] = {"",         ".",        "..",      "../store/CURRENT",
                                            "/etc",     "a/b",      ".hidden", "CURRENT.part",
                                            "CURRENT ", "CURR\nENT"};
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct buf out;
    struct err err;
    char long_name[CHECKPOINT_FILE + 1];
    char folder[64];

    rig_fill(engine, 1, 10);
    manifest = make(engine);
    memset(long_name, 'a', CHECKPOINT_FILE);
    long_name[CHECKPOINT_FILE] = '\0';
    buf_init(&out, LIMIT_SNAPSHOT_CHUNK);
    for (size_t i = 0; i < ARRAY_LEN(bad_ids); i++) {
        assert_int_equal(checkpoint_read(from, bad_ids[i], "CURRENT", 0, 10, &out, &err),
                         ERR_INVALID_PARAMETER);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        assert_int_equal(checkpoint_read(from, manifest->id, bad_files[i], 0, 10, &out, &err),
                         ERR_INVALID_PARAMETER);
    }
    assert_int_equal(checkpoint_read(from, manifest->id, long_name, 0, 10, &out, &err),
                     ERR_INVALID_PARAMETER);
    assert_int_equal(
        checkpoint_read(from, manifest->id, "CURRENT", 0, LIMIT_SNAPSHOT_CHUNK + 1, &out, &err),
        ERR_INVALID_PARAMETER);
    assert_int_equal(checkpoint_read(from, manifest->id, "CURRENT", UINT64_MAX, 1, &out, &err),
                     ERR_INVALID_PARAMETER);
    assert_int_equal(checkpoint_read(from, manifest->id, "CURRENTS", 0, 10, &out, &err),
                     ERR_RESOURCE_NOT_FOUND);
    assert_int_equal(checkpoint_read(from, "0123456789abcdef", "CURRENT", 0, 10, &out, &err),
                     ERR_RESOURCE_NOT_FOUND);
    (void)snprintf(folder, sizeof(folder), "checkpoints/%s", manifest->id);
    assert_int_equal(symlink("../../store/CURRENT", rig_path(from, folder, "link").text), 0);
    assert_int_equal(checkpoint_read(from, manifest->id, "link", 0, 10, &out, &err), ERR_IO);
    assert_int_equal(out.len, 0);
    assert_ok(checkpoint_read(from, manifest->id, "CURRENT", 0, 9, &out, ERR));
    assert_memory_equal(out.data, "MANIFEST-", 9);
    assert_in_range(checkpoint_read_ms(), world_mono_ms(world_system()) - 60000,
                    world_mono_ms(world_system()));
    assert_ok(checkpoint_read(from, manifest->id, "CURRENT", 1000, 9, &out, ERR)); /* behind it */
    assert_int_equal(out.len, 9);
    buf_fini(&out);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

/* ---- receiving ---- */

/* However the fetching is cut into pieces and attempts, every byte is fetched once. */
static void test_resumes(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct rig_state expected;
    struct incoming *incoming = NULL;
    uint64_t before = 0;
    unsigned attempts = 0;

    rig_fill(engine, 1, 2000);
    expected = rig_state(engine);
    manifest = make(engine);
    while (!rig_carry(from, to, manifest, 3, 300000)) {
        assert_ok(incoming_open(to, manifest, &incoming, ERR));
        assert_true(incoming_bytes(incoming) > before); /* nothing was lost by the interruption */
        before = incoming_bytes(incoming);
        incoming_close(incoming);
        attempts++;
        assert_true(attempts < 1000);
    }
    assert_true(attempts >= 3);
    finish(manifest, 4, 0);
    assert_true(switch_store());
    assert_installed(expected, 4, 0);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

static void flip_byte(const char *path, off_t at) {
    int fd = open(path, O_RDWR);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

/* What lies in incoming/ID and does not fit: other files, damaged ones, long partial ones, a folder
 * of another attempt. */
static void test_what_was_there(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct rig_state expected;
    char name[128];
    char incoming_folder[64];
    const char *table = NULL;

    rig_fill(engine, 1, 1000);
    expected = rig_state(engine);
    manifest = make(engine);
    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    (void)snprintf(incoming_folder, sizeof(incoming_folder), "incoming/%s", manifest->id);
    for (size_t i = 0; i < manifest->n_files; i++) {
        if (strstr(manifest->files[i].name, ".sst") != NULL && manifest->files[i].size > 100) {
            table = manifest->files[i].name;
        }
    }
    assert_non_null(table);
    flip_byte(rig_path(to, incoming_folder, table).text, 50);
    assert_int_equal(truncate(rig_path(to, incoming_folder, "CURRENT").text, 3), 0);
    (void)snprintf(name, sizeof(name), "%s.part", table);
    assert_int_equal(close(open(rig_path(to, incoming_folder, name).text, O_CREAT | O_RDWR, 0600)),
                     0);
    assert_int_equal(truncate(rig_path(to, incoming_folder, name).text, 1 << 30), 0);
    assert_int_equal(close(open(rig_path(to, incoming_folder, "999999.sst").text, O_CREAT, 0600)),
                     0);
    assert_int_equal(close(open(rig_path(to, incoming_folder, "x.part").text, O_CREAT, 0600)), 0);
    assert_int_equal(mkdir(rig_path(to, "incoming", "0000000000000000").text, 0700), 0);
    assert_int_equal(mkdir(rig_path(to, "incoming", "0000000000000000/sub").text, 0700), 0);

    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    assert_false(rig_exists(to, incoming_folder, "999999.sst"));
    assert_false(rig_exists(to, incoming_folder, "x.part"));
    assert_false(rig_exists(to, incoming_folder, name));
    assert_false(rig_exists(to, "incoming", "0000000000000000"));
    finish(manifest, 4, 0);
    assert_true(switch_store());
    assert_installed(expected, 4, 0);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

/* Every file, one byte of it damaged on the way: found when it is complete, and fetched again. */
static void test_corruption(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct incoming *incoming = NULL;
    const char *file;
    uint64_t offset;
    size_t len;
    struct buf piece;
    unsigned found = 0;
    bool damage = true;

    rig_fill(engine, 1, 500);
    manifest = make(engine);
    buf_init(&piece, LIMIT_SNAPSHOT_CHUNK);
    assert_ok(incoming_open(to, manifest, &incoming, ERR));
    while (incoming_next(incoming, &file, &offset, &len)) {
        struct err err = {.message = ""};
        enum errc code;
        buf_reset(&piece);
        assert_ok(checkpoint_read(from, manifest->id, file, offset, len, &piece, ERR));
        if (damage) {
            piece.data[piece.len * found / 20 % piece.len] ^= 0x80;
        }
        code = incoming_write(incoming, piece.data, piece.len, &err);
        assert_int_equal(code, damage ? ERR_CORRUPT : OK);
        if (damage) {
            const char *again;
            assert_non_null(strstr(err.message, "digest"));
            assert_true(incoming_next(incoming, &again, &offset, &len));
            assert_string_equal(again, file);
            assert_int_equal(offset, 0);
            found++;
        }
        damage = !damage;
    }
    assert_true(found >= 4);
    assert_int_equal(incoming_write(incoming, piece.data, 1, NULL), ERR_MALFORMED);
    incoming_close(incoming);
    buf_fini(&piece);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

static void test_wrong_pieces(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct incoming *incoming = NULL;
    const char *file;
    uint64_t offset;
    size_t len;
    static uint8_t bytes[LIMIT_SNAPSHOT_CHUNK + 1];

    rig_fill(engine, 1, 10);
    manifest = make(engine);
    assert_ok(incoming_open(to, manifest, &incoming, ERR));
    assert_true(incoming_next(incoming, &file, &offset, &len));
    assert_int_equal(incoming_write(incoming, bytes, 0, NULL), ERR_MALFORMED);
    assert_int_equal(incoming_write(incoming, bytes, len + 1, NULL), ERR_MALFORMED);
    incoming_close(incoming);
    /* More than any disk has. */
    manifest->files[0].size = (uint64_t)1 << 60;
    assert_int_equal(incoming_open(to, manifest, &incoming, NULL), ERR_DISK_FULL);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

/* ---- finishing ---- */

static void test_finish_refuses(void **state) {
    struct engine *engine = rig_open(from);
    struct checkpoint_manifest *manifest;
    struct log_snapshot snapshot;
    struct err err = {.message = ""};

    rig_fill(engine, 1, 100);
    manifest = make(engine);
    snapshot = rig_snapshot(manifest);
    assert_int_equal(incoming_finish(to, "../store", 5, 0, &snapshot, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(incoming_finish(to, manifest->id, 2, 0, &snapshot, &err),
                     ERR_INVALID_PARAMETER); /* a term before the snapshot's */
    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    snapshot.index++;
    assert_int_equal(incoming_finish(to, manifest->id, 5, 0, &snapshot, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "index 101"));
    assert_false(rig_exists(to, "incoming", "ready"));
    /* What the attempt changed is found and mended. */
    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    finish(manifest, 5, 0);
    /* A later one takes its place. */
    assert_true(rig_carry(from, to, manifest, UINT32_MAX, SIZE_MAX));
    assert_true(rig_exists(to, "incoming", "ready"));
    finish(manifest, 6, 2);
    assert_false(rig_exists(to, "incoming", "aside"));
    assert_true(switch_store());
    assert_installed(rig_state(engine), 6, 2);
    checkpoint_manifest_free(manifest);
    engine_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_under_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corruption, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_refuses, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
