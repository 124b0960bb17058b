/* Building the index from the state: once when a store is new to it, and whenever it is not sure to
 * be whole. */
#include "storage/index.h"

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/limits.h"
#include "storage/records.h"

#include <string.h>

enum { FORMAT_SIZE = 4, BATCH_ROWS = 20000 };

struct build {
    struct engine *engine;
    struct view *view;
    rocksdb_writeoptions_t *write;
    rocksdb_writebatch_t *batch;
    struct index_sink sink;
    struct index_rows terms;
    struct buf scratch;
    char account[LIMIT_ACCOUNT + 1]; /* whose secrets are being counted; "" at first */
    uint64_t count;
};

static enum errc format_read(struct engine *engine, bool *ret_is_ours, struct err *err) {
    struct key key;
    size_t len = 0;
    char *message = NULL;
    char *bytes;
    enum errc code;

    index_key_format(&key);
    bytes = rocksdb_get_cf(engine->db, engine->read, engine->families[FAMILY_INDEX],
                           (const char *)key.data, key.len, &len, &message);
    code = rocks_result(message, "cannot read the index", err);
    *ret_is_ours =
        bytes != NULL && len == FORMAT_SIZE && get_le32((const uint8_t *)bytes) == INDEX_FORMAT;
    rocksdb_free(bytes);
    return code;
}

/* Its presence says that the index is whole. */
static enum errc format_write(struct engine *engine, struct err *err) {
    uint8_t bytes[FORMAT_SIZE];
    struct key key;
    char *message = NULL;

    index_key_format(&key);
    put_le32(bytes, INDEX_FORMAT);
    rocksdb_put_cf(engine->db, engine->write, engine->families[FAMILY_INDEX],
                   (const char *)key.data, key.len, (const char *)bytes, sizeof(bytes), &message);
    return rocks_result(message, "cannot write the index", err);
}

static enum errc build_write(struct build *build, struct err *err) {
    char *message = NULL;

    rocksdb_write(build->engine->db, build->write, build->batch, &message);
    rocksdb_writebatch_clear(build->batch);
    return rocks_result(message, "cannot write the index", err);
}

static void build_count(struct build *build) {
    uint8_t bytes[8];
    struct key key;

    if (build->count > 0) {
        CHECK(index_key_count(&key, build->account));
        put_le64(bytes, build->count);
        index_put(&build->sink, &key, bytes, sizeof(bytes));
    }
    build->count = 0;
}

/* The secrets come in order of account and name, and so do the links. */
static enum errc build_secret(struct build *build, const uint8_t *key, size_t key_len,
                              const Redoubt__Secret *secret, struct scan *links) {
    struct index_secret row;
    struct key prefix;
    const uint8_t *link;
    size_t link_len;
    bool has_links;

    if (key_len < 1 + LIMIT_ACCOUNT + 1 || secret->name == NULL || strlen(secret->name) == 0 ||
        strlen(secret->name) > LIMIT_NAME) {
        return ERR_CORRUPT;
    }
    if (memcmp(build->account, key + 1, LIMIT_ACCOUNT) != 0) {
        build_count(build);
        memcpy(build->account, key + 1, LIMIT_ACCOUNT);
    }
    build->count++;
    if (!key_link_prefix(&prefix, build->account, secret->name)) {
        return ERR_CORRUPT;
    }
    scan_seek(links, &prefix);
    has_links = scan_get(links, &link, &link_len) && link_len > prefix.len &&
                memcmp(link, prefix.data, prefix.len) == 0;
    index_secret_of(secret, has_links, &row);
    index_rows_make(&build->terms, build->account, secret);
    if (build->terms.failed) {
        return ERR_NO_MEMORY;
    }
    index_add(&build->sink, build->account, secret->created_seq, &row, &build->terms,
              &build->scratch);
    return OK;
}

static enum errc build_secrets(struct build *build, struct err *err) {
    const struct key secrets = {.len = 1, .data = {KEY_SPACE_SECRET}};
    const struct key all_links = {.len = 1, .data = {KEY_SPACE_LINK}};
    struct scan scan;
    struct scan links;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;
    enum errc end_code;

    scan_begin(&scan, build->view, &secrets, NULL);
    scan_begin(&links, build->view, &all_links, NULL);
    for (; code == OK && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        ProtobufCMessage *message = NULL;
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        code = record_unpack(RECORD_SECRET, value, len, &message);
        if (code == OK) {
            code = build_secret(build, key, key_len, (const Redoubt__Secret *)(const void *)message,
                                &links);
            protobuf_c_message_free_unpacked(message, NULL);
        }
        code = code == OK ? OK : err_default(err, code);
        if (code == OK && rocksdb_writebatch_count(build->batch) >= BATCH_ROWS) {
            code = build_write(build, err);
        }
    }
    end_code = scan_end(&links);
    code = code == OK && end_code != OK ? err_default(err, end_code) : code;
    end_code = scan_end(&scan);
    code = code == OK && end_code != OK ? err_default(err, end_code) : code;
    build_count(build);
    return code == OK ? build_write(build, err) : code;
}

/* Not through the write-ahead log, which would have to take several gigabytes: what is not complete
 * is built again. The rows are in tables before the format row says that they are there. */
static enum errc build_all(struct engine *engine, struct err *err) {
    struct build build = {.engine = engine,
                          .view = view_new(engine),
                          .write = rocksdb_writeoptions_create(),
                          .batch = rocksdb_writebatch_create()};
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    char *message = NULL;
    enum errc code = build.view != NULL ? OK : err_default(err, ERR_NO_MEMORY);

    rocksdb_writeoptions_disable_WAL(build.write, 1);
    build.sink =
        (struct index_sink){.plain = build.batch, .family = engine->families[FAMILY_INDEX]};
    index_rows_init(&build.terms);
    buf_init(&build.scratch, LIMIT_RECORD);
    if (code == OK) {
        code = build_secrets(&build, err);
    }
    if (code == OK) {
        rocksdb_flushoptions_set_wait(flush, 1);
        rocksdb_flush_cf(engine->db, flush, engine->families[FAMILY_INDEX], &message);
        code = rocks_result(message, "cannot write the index", err);
    }
    buf_fini(&build.scratch);
    index_rows_fini(&build.terms);
    rocksdb_flushoptions_destroy(flush);
    rocksdb_writebatch_destroy(build.batch);
    rocksdb_writeoptions_destroy(build.write);
    view_free(build.view);
    return code;
}

enum errc index_open(struct engine *engine, void (*on_build)(void *arg), void *arg,
                     struct err *err) {
    bool is_ours = false;
    bool is_empty = false;
    enum errc code = format_read(engine, &is_ours, err);

    if (code != OK || is_ours) {
        return code;
    }
    code = engine_family_is_empty(engine, FAMILY_INDEX, &is_empty, err);
    if (code == OK && !is_empty) {
        code = engine_empty_family(engine, FAMILY_INDEX, err);
    }
    if (code == OK) {
        code = engine_family_is_empty(engine, FAMILY_STATE, &is_empty, err);
    }
    if (code == OK && !is_empty) {
        if (on_build != NULL) {
            on_build(arg);
        }
        code = build_all(engine, err);
    }
    if (code != OK) {
        return code;
    }
    CRASHPOINT(INDEX_BUILT);
    return format_write(engine, err);
}
