#include "storage/log_store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/limits.h"
#include "storage/engine_inner.h"
#include "storage/log_codec.h"

static const char vote_key[] = "vote";
static const char snapshot_key[] = "snapshot";
static const char commits_key[] = "commits";
static const char origin_key[] = "origin";

/* Up to so many stale entries are deleted one by one: a range tombstone costs every later read of
 * the family, and truncations are short as a rule. */
enum { STALE_SINGLY_MAX = 64 };

struct log_batch {
    struct engine *engine;
    rocksdb_writebatch_t *batch;
    bool failed; /* something did not fit: the commit says so */
};

struct log_batch *log_batch_new(struct engine *engine) {
    struct log_batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL) {
        return NULL;
    }
    batch->engine = engine;
    batch->batch = rocksdb_writebatch_create();
    return batch;
}

static void log_batch_put_meta(struct log_batch *batch, const char *key, const uint8_t *value,
                               size_t len) {
    rocksdb_writebatch_put_cf(batch->batch, batch->engine->families[FAMILY_META], key, strlen(key),
                              (const char *)value, len);
}

void log_batch_vote(struct log_batch *batch, uint64_t term, uint64_t voted_for) {
    uint8_t value[LOG_VOTE_SIZE];

    log_vote_encode(term, voted_for, value);
    log_batch_put_meta(batch, vote_key, value, sizeof(value));
}

void log_batch_origin(struct log_batch *batch, enum log_origin origin) {
    uint8_t value[LOG_ORIGIN_SIZE];

    log_origin_encode((uint64_t)origin, value);
    log_batch_put_meta(batch, origin_key, value, sizeof(value));
}

/* Entries from `first` to `last`, both included. */
static void log_batch_delete(struct log_batch *batch, uint64_t first, uint64_t last) {
    rocksdb_column_family_handle_t *family = batch->engine->families[FAMILY_LOG];
    uint8_t from[LOG_KEY];
    uint8_t to[LOG_KEY];

    if (last - first >= STALE_SINGLY_MAX) {
        put_be64(from, first);
        put_be64(to, last + 1);
        rocksdb_writebatch_delete_range_cf(batch->batch, family, (const char *)from, sizeof(from),
                                           (const char *)to, sizeof(to));
        return;
    }
    for (uint64_t index = first; index <= last; index++) {
        put_be64(from, index);
        rocksdb_writebatch_delete_cf(batch->batch, family, (const char *)from, sizeof(from));
    }
}

static void log_batch_put_entry(struct log_batch *batch, uint64_t index,
                                const struct log_entry *entry) {
    uint8_t key[LOG_KEY];
    uint8_t head[LOG_ENTRY_HEAD];
    const char *keys[] = {(const char *)key};
    const size_t key_sizes[] = {sizeof(key)};
    const char *values[] = {(const char *)head, (const char *)entry->data};
    const size_t value_sizes[] = {sizeof(head), entry->len};

    put_be64(key, index);
    log_entry_head(index, entry, head);
    rocksdb_writebatch_putv_cf(batch->batch, batch->engine->families[FAMILY_LOG], 1, keys,
                               key_sizes, entry->len > 0 ? 2 : 1, values, value_sizes);
}

void log_batch_append(struct log_batch *batch, uint64_t first, const struct log_entry *entries,
                      size_t n) {
    struct log_span *log = &batch->engine->log;
    uint64_t end = first + n; /* behind the last new entry */

    CHECK(first > 0);
    /* A gap would be found at the next start only, as corruption: it is a bug of ours now. */
    CHECK(log->is_empty || first <= log->last + 1);
    if (!log->is_empty && log->last >= end) {
        log_batch_delete(batch, end > log->first ? end : log->first, log->last);
    }
    if (!log->is_empty && log->last >= first) {
        CRASHPOINT(LOG_TAIL_CUT);
    }
    for (size_t i = 0; i < n; i++) {
        log_batch_put_entry(batch, first + i, &entries[i]);
    }
    if (log->is_empty || first < log->first) {
        log->first = first;
    }
    log->last = end - 1;
    log->is_empty = end <= log->first;
}

void log_batch_snapshot(struct log_batch *batch, const struct log_snapshot *snapshot,
                        uint64_t keep_from) {
    struct log_span *log = &batch->engine->log;
    struct buf value;

    buf_init(&value, 2U * LIMIT_SNAPSHOT_META + 64);
    log_snapshot_encode(&value, snapshot);
    batch->failed = batch->failed || value.failed;
    if (!value.failed) {
        log_batch_put_meta(batch, snapshot_key, value.data, value.len);
    }
    buf_fini(&value);
    if (log->is_empty || keep_from <= log->first) {
        return;
    }
    if (keep_from <= log->last) {
        log_batch_delete(batch, log->first, keep_from - 1);
        log->first = keep_from;
    } else {
        log_batch_delete(batch, log->first, log->last);
        log->is_empty = true;
    }
    CRASHPOINT(LOG_SHORTENED);
}

enum errc log_batch_commit(struct log_batch *batch, struct err *err) {
    struct engine *engine = batch->engine;
    uint8_t commits[LOG_COMMITS_SIZE];
    char *message = NULL;
    enum errc code;

    if (batch->failed) {
        return err_set(err, ERR_NO_MEMORY, "the snapshot's metadata do not fit into memory");
    }
    if (rocksdb_writebatch_count(batch->batch) == 0) {
        return OK;
    }
    log_commits_encode(engine->commits + 1, commits);
    log_batch_put_meta(batch, commits_key, commits, sizeof(commits));
    CRASHPOINT(LOG_BEFORE_WRITE);
    /* Write, then sync the log beside the queue of writers: with the sync inside the write, the
       Raft thread's commits of the state would wait for the disk, for nothing. */
    rocksdb_write(engine->db, engine->write, batch->batch, &message);
    code = rocks_result(message, "cannot write the log", err);
    if (code == OK) {
        CRASHPOINT(LOG_WRITTEN);
        message = NULL;
        rocksdb_flush_wal(engine->db, 1, &message);
        code = rocks_result(message, "cannot sync the log", err);
    }
    if (code == OK) {
        CRASHPOINT(LOG_SYNCED);
        code = witness_set(&engine->witness, engine->commits + 1, err);
    }
    if (code != OK) {
        return code;
    }
    CRASHPOINT(LOG_WITNESSED);
    engine->commits++;
    rocksdb_writebatch_clear(batch->batch);
    return OK;
}

/* One value of the meta family; *ret NULL when it is not there. Owned: rocksdb_free. */
static enum errc meta_get(struct engine *engine, const char *key, uint8_t **ret, size_t *ret_len,
                          struct err *err) {
    char *message = NULL;

    *ret = (uint8_t *)rocksdb_get_cf(engine->db, engine->read, engine->families[FAMILY_META], key,
                                     strlen(key), ret_len, &message);
    return rocks_result(message, "cannot read the log's metadata", err);
}

static enum errc meta_bad(enum errc code, const char *key, struct err *err) {
    if (code == ERR_LEVEL) {
        return err_set(err, code, "the log's %s was written by a newer release", key);
    }
    return err_set(err, code, "the log's %s does not match its checksum or format", key);
}

static rocksdb_iterator_t *log_iterator(struct engine *engine) {
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *it;

    rocksdb_readoptions_set_fill_cache(options, 0); /* read once, not again */
    it = rocksdb_create_iterator_cf(engine->db, options, engine->families[FAMILY_LOG]);
    rocksdb_readoptions_destroy(options);
    return it;
}

static bool iterator_index(const rocksdb_iterator_t *it, uint64_t *ret) {
    size_t len;
    const char *key = rocksdb_iter_key(it, &len);

    if (len != LOG_KEY) {
        return false;
    }
    *ret = get_be64((const uint8_t *)key);
    return true;
}

static enum errc log_find_span(struct engine *engine, struct err *err) {
    rocksdb_iterator_t *it = log_iterator(engine);
    struct log_span span = {.is_empty = true};
    char *message = NULL;
    bool is_key = true;
    enum errc code;

    rocksdb_iter_seek_to_first(it);
    if (rocksdb_iter_valid(it)) {
        span.is_empty = false;
        is_key = iterator_index(it, &span.first);
        rocksdb_iter_seek_to_last(it);
        is_key = is_key && rocksdb_iter_valid(it) && iterator_index(it, &span.last);
    }
    rocksdb_iter_get_error(it, &message);
    rocksdb_iter_destroy(it);
    code = rocks_result(message, "cannot read the log", err);
    if (code == OK && !is_key) {
        code = err_set(err, ERR_CORRUPT, "a key of the log is not an index");
    }
    if (code == OK) {
        engine->log = span;
    }
    return code;
}

void log_batch_free(struct log_batch *batch) {
    struct err err;

    if (batch == NULL) {
        return;
    }
    /* What is dropped did not happen: the log is again what the database says. Should it not say,
     * the process is on its way out with an error already. */
    if (rocksdb_writebatch_count(batch->batch) > 0) {
        (void)!log_find_span(batch->engine, &err);
    }
    rocksdb_writebatch_destroy(batch->batch);
    free(batch);
}

enum errc log_store_open(struct engine *engine, struct err *err) {
    uint64_t witnessed = engine->commits;
    uint8_t *value = NULL;
    size_t len = 0;
    uint64_t commits = 0;
    enum errc code = meta_get(engine, commits_key, &value, &len, err);

    if (code == OK && value != NULL) {
        code = log_commits_decode(value, len, &commits);
        if (code != OK) {
            code = meta_bad(code, commits_key, err);
        }
    }
    rocksdb_free(value);
    if (code == OK && commits < witnessed) {
        code = err_set(err, ERR_CORRUPT,
                       "the database has lost synced writes: it holds %" PRIu64 " of %" PRIu64
                       " log commits. Do not start this node on it; restore a backup, or let it "
                       "join its group again empty.",
                       commits, witnessed);
    }
    if (code != OK) {
        return code;
    }
    engine->commits = commits;
    return log_find_span(engine, err);
}

enum errc log_store_adopt(struct engine *engine, uint64_t term, uint64_t voted_for,
                          const struct log_snapshot *snapshot, struct err *err) {
    struct log_batch *batch;
    enum errc code = engine_empty_family(engine, FAMILY_LOG, err);

    if (code != OK) {
        return code;
    }
    CRASHPOINT(INCOMING_LOG_EMPTIED);
    engine->log = (struct log_span){.is_empty = true};
    batch = log_batch_new(engine);
    if (batch == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    log_batch_origin(batch, LOG_ORIGIN_JOIN); /* whatever the other node's was */
    log_batch_vote(batch, term, voted_for);
    log_batch_snapshot(batch, snapshot, snapshot->index + 1);
    code = log_batch_commit(batch, err);
    log_batch_free(batch);
    return code;
}

/* Owned by log_image_free. */
struct image {
    struct log_image image; /* first: what the caller holds */
    size_t room;
    uint8_t *snapshot; /* bytes that image.snapshot borrows from */
};

enum errc log_store_vote(struct engine *engine, uint64_t *ret_term, uint64_t *ret_voted_for,
                         struct err *err) {
    uint8_t *value = NULL;
    size_t len = 0;
    enum errc code = meta_get(engine, vote_key, &value, &len, err);

    *ret_term = 0;
    *ret_voted_for = 0;
    if (code == OK && value != NULL) {
        code = log_vote_decode(value, len, ret_term, ret_voted_for);
        if (code != OK) {
            code = meta_bad(code, vote_key, err);
        }
    }
    rocksdb_free(value);
    return code;
}

enum errc log_store_origin(struct engine *engine, enum log_origin *ret, struct err *err) {
    uint8_t *value = NULL;
    uint64_t origin = LOG_ORIGIN_NONE;
    size_t len = 0;
    enum errc code = meta_get(engine, origin_key, &value, &len, err);

    if (code == OK && value != NULL) {
        code = log_origin_decode(value, len, &origin);
        if (code != OK) {
            code = meta_bad(code, origin_key, err);
        }
    }
    rocksdb_free(value);
    *ret = (enum log_origin)origin;
    return code;
}

static enum errc image_load_meta(struct engine *engine, struct image *image, struct err *err) {
    size_t len = 0;
    enum errc code = log_store_vote(engine, &image->image.term, &image->image.voted_for, err);

    if (code != OK) {
        return code;
    }
    code = meta_get(engine, snapshot_key, &image->snapshot, &len, err);
    if (code == OK && image->snapshot != NULL) {
        code = log_snapshot_decode(image->snapshot, len, &image->image.snapshot);
        if (code != OK) {
            code = meta_bad(code, snapshot_key, err);
        }
    }
    return code;
}

enum errc log_store_standing(struct engine *engine, struct log_standing *ret, struct err *err) {
    struct image image = {.room = 0};
    enum errc code = image_load_meta(engine, &image, err);

    *ret = (struct log_standing){.term = image.image.term,
                                 .voted_for = image.image.voted_for,
                                 .snapshot_index = image.image.snapshot.index};
    rocksdb_free(image.snapshot);
    return code;
}

static enum errc image_add(struct image *image, uint64_t index, const uint8_t *data, size_t len,
                           struct err *err) {
    struct log_image *out = &image->image;
    uint64_t expected = out->first_index + out->n_entries;
    struct log_entry entry;
    struct log_entry *entries;
    uint8_t *copy;
    enum errc code = log_entry_decode(index, data, len, &entry);

    if (code != OK) {
        return err_set(err, code,
                       code == ERR_LEVEL ? "log entry %" PRIu64 " was written by a newer release"
                                         : "log entry %" PRIu64 " does not match its checksum",
                       index);
    }
    if (out->n_entries > 0 && index != expected) {
        return err_set(err, ERR_CORRUPT, "log entry %" PRIu64 " is missing", expected);
    }
    if (out->n_entries > 0 && entry.term < out->entries[out->n_entries - 1].term) {
        return err_set(err, ERR_CORRUPT, "log entry %" PRIu64 " has a term before that of %" PRIu64,
                       index, index - 1);
    }
    if (out->n_entries == image->room) {
        size_t room = image->room ? image->room * 2 : 64;
        entries = reallocarray(out->entries, room, sizeof(*entries));
        if (entries == NULL) {
            return err_default(err, ERR_NO_MEMORY);
        }
        out->entries = entries;
        image->room = room;
    }
    copy = malloc(entry.len ? entry.len : 1);
    if (copy == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    memcpy(copy, entry.data, entry.len);
    entry.data = copy;
    if (out->n_entries == 0) {
        out->first_index = index;
    }
    out->entries[out->n_entries++] = entry;
    return OK;
}

static enum errc image_load_entries(struct engine *engine, struct image *image, struct err *err) {
    rocksdb_iterator_t *it = log_iterator(engine);
    char *message = NULL;
    enum errc code = OK;

    for (rocksdb_iter_seek_to_first(it); code == OK && rocksdb_iter_valid(it);
         rocksdb_iter_next(it)) {
        uint64_t index;
        size_t len;
        const char *value = rocksdb_iter_value(it, &len);
        if (iterator_index(it, &index)) {
            code = image_add(image, index, (const uint8_t *)value, len, err);
        } else {
            code = err_set(err, ERR_CORRUPT, "a key of the log is not an index");
        }
    }
    rocksdb_iter_get_error(it, &message);
    rocksdb_iter_destroy(it);
    return code == OK ? rocks_result(message, "cannot read the log", err) : code;
}

/* Snapshot and entries together must cover everything from index 1 on. */
static enum errc image_check(struct log_image *image, struct err *err) {
    uint64_t base = image->snapshot.index;
    uint64_t last = image->first_index + image->n_entries - 1;

    if (image->n_entries == 0) {
        image->first_index = base + 1;
        return OK;
    }
    if (image->first_index > base + 1) {
        return err_set(err, ERR_CORRUPT,
                       "log entry %" PRIu64 " is missing: the log begins at %" PRIu64
                       " and the snapshot ends at %" PRIu64,
                       base + 1, image->first_index, base);
    }
    if (last < base) {
        return err_set(err, ERR_CORRUPT,
                       "the log ends at %" PRIu64 ", before the snapshot at %" PRIu64, last, base);
    }
    return OK;
}

enum errc log_store_load(struct engine *engine, struct log_image **ret, struct err *err) {
    struct image *image = calloc(1, sizeof(*image));
    enum errc code;

    if (image == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = image_load_meta(engine, image, err);
    if (code == OK) {
        code = image_load_entries(engine, image, err);
    }
    if (code == OK) {
        code = image_check(&image->image, err);
    }
    if (code != OK) {
        log_image_free(&image->image);
        return code;
    }
    *ret = &image->image;
    return OK;
}

void log_image_free(struct log_image *image) {
    struct image *owner;

    if (image == NULL) {
        return;
    }
    owner = CONTAINER_OF(image, struct image, image);
    for (size_t i = 0; i < image->n_entries; i++) {
        /* Ours, handed out as const. */
        free((void *)(uintptr_t)image->entries[i].data);
    }
    free(image->entries);
    rocksdb_free(owner->snapshot);
    free(owner);
}
