#include "disk.h"

#include "storage/engine_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISKS = 16, FIRST_ROOM = 256 };

static const char *const family_names[FAMILY_COUNT] = {"default", "log", "meta", "state", "index"};
static const char store_path[] = "/memory"; /* what engine_open calls a store without a path */

struct record {
    uint8_t *data; /* owned: a write batch as RocksDB represents it */
    size_t len;
};

struct disk {
    struct disk_image base; /* what the store held when it was opened, or will hold */
    struct record *journal; /* what was written since */
    size_t n;
    size_t room;
    uint64_t flushed;
    uint64_t durable;
    struct engine *engine; /* NULL: closed */
};

static struct disk *disks[DISKS];
static rocksdb_env_t *next_env; /* what engine_open shall open */

/* ---- in between the store and RocksDB ---- */

void __real_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **message);
void __wrap_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **message);
void __real_rocksdb_write_writebatch_wi(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                                        rocksdb_writebatch_wi_t *batch, char **message);
void __wrap_rocksdb_write_writebatch_wi(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                                        rocksdb_writebatch_wi_t *batch, char **message);
void __real_rocksdb_flush_wal(rocksdb_t *db, unsigned char sync, char **message);
void __wrap_rocksdb_flush_wal(rocksdb_t *db, unsigned char sync, char **message);
rocksdb_env_t *__real_rocksdb_create_mem_env(void);
rocksdb_env_t *__wrap_rocksdb_create_mem_env(void);

static struct disk *disk_of(const rocksdb_t *db) {
    for (size_t i = 0; i < DISKS; i++) {
        if (disks[i] != NULL && disks[i]->engine != NULL && disks[i]->engine->db == db) {
            return disks[i];
        }
    }
    return NULL; /* one that is being made or opened */
}

static void note(const rocksdb_t *db, const char *data, size_t len) {
    struct disk *disk = disk_of(db);

    if (disk == NULL) {
        return;
    }
    if (disk->n == disk->room) {
        disk->room = disk->room == 0 ? (size_t)FIRST_ROOM : disk->room * 2;
        disk->journal = reallocarray(disk->journal, disk->room, sizeof(disk->journal[0]));
        CHECK(disk->journal != NULL);
    }
    struct record *record = &disk->journal[disk->n++];
    *record = (struct record){.data = malloc(len), .len = len};
    CHECK(record->data != NULL);
    memcpy(record->data, data, len);
}

void __wrap_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **message) {
    size_t len;
    const char *data = rocksdb_writebatch_data(batch, &len);

    note(db, data, len);
    __real_rocksdb_write(db, options, batch, message);
}

void __wrap_rocksdb_write_writebatch_wi(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                                        rocksdb_writebatch_wi_t *batch, char **message) {
    size_t len;
    const char *data = rocksdb_writebatch_wi_data(batch, &len);

    note(db, data, len);
    __real_rocksdb_write_writebatch_wi(db, options, batch, message);
}

void __wrap_rocksdb_flush_wal(rocksdb_t *db, unsigned char sync, char **message) {
    struct disk *disk = disk_of(db);

    if (disk != NULL && sync) {
        disk->flushed = disk->n;
    }
    /* RocksDB's memory environment refuses to sync beside writers; what a sync means, the journal
     * knows. */
    __real_rocksdb_flush_wal(db, 0, message);
}

rocksdb_env_t *__wrap_rocksdb_create_mem_env(void) {
    rocksdb_env_t *env = next_env;

    next_env = NULL;
    CHECK(env != NULL);
    return env;
}

/* ---- a database below the store ---- */

struct raw {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[FAMILY_COUNT];
};

static void must_rocks(char *message) {
    if (message != NULL) {
        (void)fprintf(stderr, "RocksDB: %s\n", message);
        abort();
    }
}

static void raw_open(struct raw *raw, rocksdb_env_t *env) {
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(1024 * 1024);
    rocksdb_options_t *options[FAMILY_COUNT];
    char *message = NULL;

    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        options[i] = engine_family_options((enum family)i, cache);
        rocksdb_options_set_env(options[i], env);
        rocksdb_options_set_max_file_opening_threads(options[i], 1);
    }
    raw->db = rocksdb_open_column_families(options[FAMILY_DEFAULT], store_path, FAMILY_COUNT,
                                           family_names, (const rocksdb_options_t *const *)options,
                                           raw->families, &message);
    must_rocks(message);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        rocksdb_options_destroy(options[i]);
    }
    rocksdb_cache_destroy(cache);
}

static void raw_write(struct raw *raw, const uint8_t *data, size_t len) {
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create_from((const char *)data, len);
    char *message = NULL;

    __real_rocksdb_write(raw->db, options, batch, &message);
    must_rocks(message);
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
}

static void raw_close(struct raw *raw) {
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        rocksdb_column_family_handle_destroy(raw->families[i]);
    }
    rocksdb_close(raw->db);
}

static void copy_family(struct engine *engine, enum family family, rocksdb_writebatch_t *batch) {
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(engine->db, engine->read, engine->families[family]);
    char *message = NULL;

    for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_len;
        size_t len;
        const char *key = rocksdb_iter_key(it, &key_len);
        const char *value = rocksdb_iter_value(it, &len);
        rocksdb_writebatch_put_cf(batch, engine->families[family], key, key_len, value, len);
    }
    rocksdb_iter_get_error(it, &message);
    must_rocks(message);
    rocksdb_iter_destroy(it);
}

/* Without the log and what belongs to it, when it is to be another node's. */
static struct disk_image image_of(struct engine *engine, bool with_log) {
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    struct disk_image image;
    const char *data;

    for (int i = 0; i < FAMILY_COUNT; i++) {
        if (with_log || (i != FAMILY_LOG && i != FAMILY_META)) {
            copy_family(engine, (enum family)i, batch);
        }
    }
    data = rocksdb_writebatch_data(batch, &image.len);
    image.data = malloc(image.len);
    CHECK(image.data != NULL);
    memcpy(image.data, data, image.len);
    rocksdb_writebatch_destroy(batch);
    return image;
}

/* ---- the disk ---- */

void disk_image_fini(struct disk_image *image) {
    free(image->data);
    *image = (struct disk_image){0};
}

static void journal_clear(struct disk *disk) {
    for (size_t i = 0; i < disk->n; i++) {
        free(disk->journal[i].data);
    }
    disk->n = 0;
    disk->flushed = 0;
    disk->durable = 0;
}

struct disk *disk_new(void) {
    struct disk *disk = calloc(1, sizeof(*disk));
    size_t place = 0;

    CHECK(disk != NULL);
    while (disks[place] != NULL) {
        place++;
        CHECK(place < DISKS);
    }
    disks[place] = disk;
    return disk;
}

void disk_free(struct disk *disk) {
    for (size_t i = 0; i < DISKS; i++) {
        disks[i] = disks[i] == disk ? NULL : disks[i];
    }
    engine_close(disk->engine);
    journal_clear(disk);
    free(disk->journal);
    disk_image_fini(&disk->base);
    free(disk);
}

/* A database of the base and of what survived. */
static rocksdb_env_t *disk_build(const struct disk *disk) {
    rocksdb_env_t *env = __real_rocksdb_create_mem_env();
    struct raw raw;

    if (disk->base.data == NULL) {
        return env;
    }
    raw_open(&raw, env);
    raw_write(&raw, disk->base.data, disk->base.len);
    for (size_t i = 0; i < disk->n; i++) {
        raw_write(&raw, disk->journal[i].data, disk->journal[i].len);
    }
    raw_close(&raw);
    return env;
}

struct engine *disk_start(struct disk *disk) {
    struct engine_options options = {.in_memory = true, .cache_bytes = 1024 * 1024};
    struct err err;

    CHECK(disk->engine == NULL);
    next_env = disk_build(disk);
    if (engine_open(&options, &disk->engine, &err) != OK) {
        (void)fprintf(stderr, "a store that survived a crash does not open: %s\n", err.message);
        abort();
    }
    journal_clear(disk);
    disk_image_fini(&disk->base);
    disk->base = image_of(disk->engine, true);
    return disk->engine;
}

uint64_t disk_written(const struct disk *disk) {
    return disk->n;
}

uint64_t disk_flushed(const struct disk *disk) {
    return disk->flushed;
}

void disk_synced(struct disk *disk, uint64_t up_to) {
    CHECK(up_to <= disk->flushed);
    if (disk->durable < up_to) {
        disk->durable = up_to;
    }
}

uint64_t disk_durable(const struct disk *disk) {
    return disk->durable;
}

static void disk_close(struct disk *disk) {
    engine_close(disk->engine);
    disk->engine = NULL;
}

void disk_crash(struct disk *disk, uint64_t survives) {
    CHECK(survives >= disk->durable && survives <= disk->n);
    disk_close(disk);
    while (disk->n > survives) {
        free(disk->journal[--disk->n].data);
    }
}

struct disk_image disk_checkpoint(struct disk *disk) {
    return image_of(disk->engine, false);
}

void disk_install(struct disk *disk, const struct disk_image *image, uint64_t term,
                  uint64_t voted_for, const struct log_snapshot *snapshot) {
    struct log_batch *batch;
    struct err err;

    disk_close(disk);
    journal_clear(disk);
    disk_image_fini(&disk->base);
    disk->base = (struct disk_image){.data = malloc(image->len), .len = image->len};
    CHECK(disk->base.data != NULL);
    memcpy(disk->base.data, image->data, image->len);
    batch = log_batch_new(disk_start(disk));
    CHECK(batch != NULL);
    log_batch_vote(batch, term, voted_for);
    log_batch_snapshot(batch, snapshot, snapshot->index + 1);
    CHECK(log_batch_commit(batch, &err) == OK);
    log_batch_free(batch);
    disk_crash(disk, disk->n);
}
