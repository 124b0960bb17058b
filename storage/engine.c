#include "storage/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "storage/engine_inner.h"
#include "storage/index.h"

/* The format record: 0 "RDBT"   4 u16 read version   6 u16 write version   8 u32 crc32c of 0-7.
 * A release opens what it can read and write; both numbers only rise. */
enum { FORMAT_SIZE = 12, FORMAT_READ = 1, FORMAT_WRITE = 1 };
static const uint8_t format_magic[4] = {'R', 'D', 'B', 'T'};
static const char format_key[] = "format";

static const uint64_t cache_bytes_default = 32U * 1024 * 1024;
static const uint64_t cache_bytes_apart = 1024 * 1024;
static const char *const family_names[FAMILY_COUNT] = {"default", "log", "meta", "state", "index"};

enum errc rocks_result(char *message, const char *doing, struct err *err) {
    enum errc code;

    if (message == NULL) {
        return OK;
    }
    code = strncmp(message, "Corruption", strlen("Corruption")) == 0 ? ERR_CORRUPT : ERR_IO;
    code = err_set(err, code, "%s: %s", doing, message);
    rocksdb_free(message);
    return code;
}

/* A new folder is on disk only when its parent is. */
static enum errc folder_sync_parent(const char *path, struct err *err) {
    char parent[PATH_MAX];
    enum errc code = OK;
    int fd;
    int len = snprintf(parent, sizeof(parent), "%s/..", path);

    if (len < 0 || (size_t)len >= sizeof(parent)) {
        return err_set(err, ERR_IO, "the path of the database is too long");
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", parent, strerror(errno));
    }
    if (fsync(fd) != 0) {
        code = err_set(err, ERR_IO, "cannot sync %s: %s", parent, strerror(errno));
    }
    (void)close(fd);
    return code;
}

static enum errc folder_make(const char *path, struct err *err) {
    if (mkdir(path, 0700) == 0) {
        CRASHPOINT(ENGINE_FOLDER);
        return folder_sync_parent(path, err);
    }
    if (errno != EEXIST) {
        return err_set(err, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
    }
    return OK;
}

static bool family_is_known(const char *name) {
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (strcmp(family_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* RocksDB refuses to open without naming every family, so a family that a later release added shows
 * as a failure to open, before the format record could speak. */
static bool folder_has_unknown_family(const rocksdb_options_t *options, const char *path) {
    char *message = NULL;
    size_t n = 0;
    char **names = rocksdb_list_column_families(options, path, &n, &message);
    bool has_unknown = false;

    rocksdb_free(message); /* a list that cannot be read is an empty one */
    for (size_t i = 0; i < n; i++) {
        has_unknown = has_unknown || !family_is_known(names[i]);
    }
    rocksdb_list_column_families_destroy(names, n);
    return has_unknown;
}

static rocksdb_options_t *options_of(const struct engine *engine, enum family family) {
    rocksdb_options_t *options = engine_family_options(family, engine->cache);

    if (engine->env != NULL) {
        rocksdb_options_set_env(options, engine->env);
    }
    if (engine->use != ENGINE_LIVE) {
        rocksdb_options_set_create_if_missing(options, 0);
        rocksdb_options_set_disable_auto_compactions(options, 1);
    }
    return options;
}

static rocksdb_t *open_families(struct engine *engine, rocksdb_options_t *const *options,
                                const char *path, char **ret_message) {
    const rocksdb_options_t *const *const all = (const rocksdb_options_t *const *)options;

    if (engine->use == ENGINE_READ) {
        return rocksdb_open_for_read_only_column_families(options[FAMILY_DEFAULT], path,
                                                          FAMILY_COUNT, family_names, all,
                                                          engine->families, 0, ret_message);
    }
    return rocksdb_open_column_families(options[FAMILY_DEFAULT], path, FAMILY_COUNT, family_names,
                                        all, engine->families, ret_message);
}

static enum errc engine_open_database(struct engine *engine, const char *path, uint64_t cache_bytes,
                                      struct err *err) {
    rocksdb_options_t *options[FAMILY_COUNT];
    char *message = NULL;
    enum errc code;

    engine->cache = rocksdb_cache_create_lru(cache_bytes ? cache_bytes : cache_bytes_default);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        options[i] = options_of(engine, (enum family)i);
    }
    engine->db = open_families(engine, options, path, &message);
    if (message != NULL && folder_has_unknown_family(options[FAMILY_DEFAULT], path)) {
        rocksdb_free(message);
        code = err_set(err, ERR_LEVEL,
                       "The database in %s holds data of a newer release of Redoubt. Start that "
                       "release, or restore a backup that this one wrote.",
                       path);
    } else {
        code = rocks_result(message, "cannot open the database", err);
    }
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        rocksdb_options_destroy(options[i]);
    }
    return code;
}

enum errc engine_family_is_empty(struct engine *engine, enum family family, bool *ret,
                                 struct err *err) {
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(engine->db, engine->read, engine->families[family]);
    char *message = NULL;

    rocksdb_iter_seek_to_first(it);
    *ret = !rocksdb_iter_valid(it);
    rocksdb_iter_get_error(it, &message);
    rocksdb_iter_destroy(it);
    return rocks_result(message, "cannot read the database", err);
}

enum errc engine_empty_family(struct engine *engine, enum family family, struct err *err) {
    rocksdb_options_t *options;
    char *message = NULL;
    enum errc code;

    rocksdb_drop_column_family(engine->db, engine->families[family], &message);
    code = rocks_result(message, "cannot empty a part of the database", err);
    if (code != OK) {
        return code;
    }
    /* Dying here is no harm: opening makes families that are missing. */
    rocksdb_column_family_handle_destroy(engine->families[family]);
    options = options_of(engine, family);
    engine->families[family] =
        rocksdb_create_column_family(engine->db, options, family_names[family], &message);
    rocksdb_options_destroy(options);
    code = rocks_result(message, "cannot empty a part of the database", err);
    if (code != OK) {
        engine->families[family] = NULL; /* the handle that came back stands for nothing */
    }
    return code;
}

/* A database without a format record is new, or it is damaged. */
static enum errc format_write(struct engine *engine, struct err *err) {
    rocksdb_writeoptions_t *options;
    uint8_t bytes[FORMAT_SIZE];
    char *message = NULL;

    if (engine->use != ENGINE_LIVE) {
        return err_set(err, ERR_CORRUPT, "the database has no format record");
    }
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        bool is_empty = false;
        enum errc code = engine_family_is_empty(engine, (enum family)i, &is_empty, err);
        if (code != OK) {
            return code;
        }
        if (!is_empty) {
            return err_set(err, ERR_CORRUPT, "the database has data but no format record");
        }
    }
    CRASHPOINT(ENGINE_CREATED);
    memcpy(bytes, format_magic, sizeof(format_magic));
    put_le16(bytes + 4, FORMAT_READ);
    put_le16(bytes + 6, FORMAT_WRITE);
    put_le32(bytes + 8, crc32c(0, bytes, 8));
    options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(options, 1);
    rocksdb_put_cf(engine->db, options, engine->families[FAMILY_DEFAULT], format_key,
                   strlen(format_key), (const char *)bytes, sizeof(bytes), &message);
    rocksdb_writeoptions_destroy(options);
    return rocks_result(message, "cannot write the format record", err);
}

static enum errc format_check(const uint8_t *bytes, size_t len, struct err *err) {
    uint16_t read_version;
    uint16_t write_version;

    if (len != FORMAT_SIZE || memcmp(bytes, format_magic, sizeof(format_magic)) != 0 ||
        get_le32(bytes + 8) != crc32c(0, bytes, 8)) {
        return err_set(err, ERR_CORRUPT, "the format record of the database is damaged");
    }
    read_version = get_le16(bytes + 4);
    write_version = get_le16(bytes + 6);
    if (read_version > FORMAT_READ) {
        return err_set(err, ERR_LEVEL,
                       "The database was written by a newer release of Redoubt: its format %u "
                       "cannot be read by this one, which knows %d. Start the newer release.",
                       read_version, FORMAT_READ);
    }
    if (write_version > FORMAT_WRITE) {
        return err_set(err, ERR_LEVEL,
                       "The database was written by a newer release of Redoubt: this one could "
                       "read it but must not write its format %u (it knows %d). Start the newer "
                       "release.",
                       write_version, FORMAT_WRITE);
    }
    return OK;
}

static enum errc engine_check_format(struct engine *engine, struct err *err) {
    char *message = NULL;
    size_t len = 0;
    char *bytes = rocksdb_get_cf(engine->db, engine->read, engine->families[FAMILY_DEFAULT],
                                 format_key, strlen(format_key), &len, &message);
    enum errc code = rocks_result(message, "cannot read the format record", err);

    if (code == OK) {
        code = bytes ? format_check((const uint8_t *)bytes, len, err) : format_write(engine, err);
    }
    rocksdb_free(bytes);
    return code;
}

static struct engine *engine_new(enum engine_use use) {
    struct engine *engine = calloc(1, sizeof(*engine));

    if (engine != NULL) {
        engine->use = use;
        engine->witness.fd = -1;
        engine->read = rocksdb_readoptions_create();
        engine->write = rocksdb_writeoptions_create();
    }
    return engine;
}

enum errc engine_open_apart(const char *path, enum engine_use use, struct engine **ret,
                            struct err *err) {
    struct engine *engine = engine_new(use);
    enum errc code;

    CHECK(use != ENGINE_LIVE);
    if (engine == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = engine_open_database(engine, path, cache_bytes_apart, err);
    if (code == OK) {
        code = engine_check_format(engine, err);
    }
    if (code == OK) {
        code = witness_open(&engine->witness, path, false, &engine->commits, err);
    }
    if (code == OK) {
        code = log_store_open(engine, err);
    }
    if (code != OK) {
        engine_close(engine);
        return code;
    }
    *ret = engine;
    return OK;
}

enum errc engine_open(const struct engine_options *options, struct engine **ret, struct err *err) {
    const char *path = options->path ? options->path : "/memory";
    struct engine *engine = engine_new(ENGINE_LIVE);
    enum errc code = OK;

    if (engine == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    if (options->in_memory) {
        engine->env = rocksdb_create_mem_env();
    } else {
        CHECK(options->path != NULL);
        code = folder_make(path, err);
    }
    if (code == OK) {
        code = engine_open_database(engine, path, options->cache_bytes, err);
    }
    if (code == OK) {
        code = engine_check_format(engine, err);
    }
    if (code == OK && !options->in_memory) {
        code = witness_open(&engine->witness, path, true, &engine->commits, err);
    }
    if (code == OK) {
        code = log_store_open(engine, err);
    }
    if (code == OK) {
        code = index_open(engine, options->on_index_build, options->on_index_build_arg, err);
    }
    if (code != OK) {
        engine_close(engine);
        return code;
    }
    *ret = engine;
    return OK;
}

void engine_close(struct engine *engine) {
    if (engine == NULL) {
        return;
    }
    CHECK(atomic_load(&engine->views) == 0);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (engine->families[i] != NULL) {
            rocksdb_column_family_handle_destroy(engine->families[i]);
        }
    }
    if (engine->db != NULL) {
        rocksdb_close(engine->db);
    }
    witness_close(&engine->witness);
    if (engine->cache != NULL) {
        rocksdb_cache_destroy(engine->cache);
    }
    rocksdb_readoptions_destroy(engine->read);
    rocksdb_writeoptions_destroy(engine->write);
    if (engine->env != NULL) {
        rocksdb_env_destroy(engine->env);
    }
    free(engine);
}

enum errc engine_checkpoint(struct engine *engine, const char *path, struct err *err) {
    char *message = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(engine->db, &message);

    if (message == NULL) {
        /* 0: memory is flushed first, so that the copy is tables to link and little to copy. */
        rocksdb_checkpoint_create(checkpoint, path, 0, &message);
    }
    if (checkpoint != NULL) {
        rocksdb_checkpoint_object_destroy(checkpoint);
    }
    return rocks_result(message, "cannot make a checkpoint", err);
}
