/* Making. A checkpoint begins as a copy by hard links of all that the engine holds;
 * then it is opened apart, once, and loses what is the maker's alone and may be large: its
 * write-ahead log (into tables) and the entries of its Raft log. Nothing of the live store changes
 * by that: tables are never written to, only unlinked, and what RocksDB does write to (manifest,
 * write-ahead log) is either a copy or new.
 *
 * The applied index is read from the copy itself, while nobody writes to it, so it is exact: the
 * state and its index are one write, and the copy holds both or neither. */
#include "storage/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "storage/checkpoint_folder.h"
#include "storage/engine_inner.h"
#include "storage/view.h"

/* ---- Digests of tables, which never change: those of the last checkpoint are remembered ---- */

struct memo {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    uint8_t digest[CHECKPOINT_DIGEST];
};

static struct {
    pthread_mutex_t lock;
    struct memo *items; /* owned; at most CHECKPOINT_FILES */
    size_t n;
} memos = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool memo_fits(const struct memo *memo, const struct stat *status) {
    return memo->device == status->st_dev && memo->inode == status->st_ino &&
           memo->size == status->st_size && memo->changed.tv_sec == status->st_mtim.tv_sec &&
           memo->changed.tv_nsec == status->st_mtim.tv_nsec;
}

static int memo_compare(const void *a, const void *b) {
    const struct memo *one = a;
    const struct memo *other = b;

    return (one->inode > other->inode) - (one->inode < other->inode);
}

static bool memo_find(const struct stat *status, uint8_t out[CHECKPOINT_DIGEST]) {
    const struct memo key = {.inode = status->st_ino};
    const struct memo *found = NULL;
    bool is_there;

    (void)pthread_mutex_lock(&memos.lock);
    if (memos.n > 0) {
        found = bsearch(&key, memos.items, memos.n, sizeof(key), memo_compare);
    }
    is_there = found != NULL && memo_fits(found, status);
    if (is_there) {
        memcpy(out, found->digest, CHECKPOINT_DIGEST);
    }
    (void)pthread_mutex_unlock(&memos.lock);
    return is_there;
}

/* Takes `items`. */
static void memo_replace(struct memo *items, size_t n) {
    struct memo *former;

    qsort(items, n, sizeof(*items), memo_compare);
    (void)pthread_mutex_lock(&memos.lock);
    former = memos.items;
    memos.items = items;
    memos.n = n;
    (void)pthread_mutex_unlock(&memos.lock);
    free(former);
}

/* ---- Making ---- */

/* RocksDB's own messages, its lock and leftovers stay here. */
static bool name_travels(const char *name) {
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "LOCK") != 0 &&
           strncmp(name, "LOG", 3) != 0;
}

static bool is_table(const char *name) {
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".sst") == 0;
}

static enum errc file_describe(const char *folder, struct checkpoint_file *file, struct memo *memo,
                               struct err *err) {
    char path[PATH_MAX];
    struct stat status;
    enum errc code = folder_path(path, folder, file->name, NULL, err);

    if (code != OK) {
        return code;
    }
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return err_set(err, ERR_IO, "%s of a checkpoint is no file", file->name);
    }
    file->size = (uint64_t)status.st_size;
    if (!is_table(file->name) || !memo_find(&status, file->digest)) {
        code = file_digest(path, file->digest, err);
    }
    *memo = (struct memo){.device = status.st_dev,
                          .inode = status.st_ino,
                          .size = status.st_size,
                          .changed = status.st_mtim};
    memcpy(memo->digest, file->digest, sizeof(memo->digest));
    return code;
}

static enum errc manifest_describe(const char *folder, struct checkpoint_manifest *manifest,
                                   struct err *err) {
    struct memo *items = calloc(manifest->n_files, sizeof(*items));
    enum errc code = items != NULL ? OK : err_default(err, ERR_NO_MEMORY);

    for (size_t i = 0; code == OK && i < manifest->n_files; i++) {
        code = file_describe(folder, &manifest->files[i], &items[i], err);
    }
    if (code != OK) {
        free(items);
        return code;
    }
    memo_replace(items, manifest->n_files);
    return OK;
}

static int file_compare(const void *a, const void *b) {
    return strcmp(((const struct checkpoint_file *)a)->name,
                  ((const struct checkpoint_file *)b)->name);
}

static enum errc manifest_add(struct checkpoint_manifest *manifest, size_t *room, const char *name,
                              struct err *err) {
    size_t len = strlen(name);

    if (!checkpoint_file_is_valid(name, len)) {
        return err_set(err, ERR_IO, "a checkpoint holds a file of a strange name");
    }
    if (manifest->n_files == CHECKPOINT_FILES) {
        return err_set(err, ERR_LIMIT_EXCEEDED, "a checkpoint has more than %d files",
                       CHECKPOINT_FILES);
    }
    if (manifest->n_files == *room) {
        size_t more = *room ? *room * 2 : 64;
        struct checkpoint_file *files = reallocarray(manifest->files, more, sizeof(*files));
        if (files == NULL) {
            return err_default(err, ERR_NO_MEMORY);
        }
        manifest->files = files;
        *room = more;
    }
    manifest->files[manifest->n_files] = (struct checkpoint_file){.size = 0};
    memcpy(manifest->files[manifest->n_files].name, name, len + 1);
    manifest->n_files++;
    return OK;
}

static enum errc manifest_list(const char *folder, struct checkpoint_manifest *manifest,
                               struct err *err) {
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    size_t room = 0;
    enum errc code = OK;

    if (entries == NULL) {
        return err_set(err, ERR_IO, "cannot read %s: %s", folder, strerror(errno));
    }
    while (code == OK && (errno = 0, entry = readdir(entries)) != NULL) {
        if (name_travels(entry->d_name)) {
            code = manifest_add(manifest, &room, entry->d_name, err);
        }
    }
    if (code == OK && errno != 0) {
        code = err_set(err, ERR_IO, "cannot read %s: %s", folder, strerror(errno));
    }
    (void)closedir(entries);
    if (manifest->n_files > 0) {
        qsort(manifest->files, manifest->n_files, sizeof(*manifest->files), file_compare);
    }
    return code;
}

enum errc engine_applied(struct engine *engine, uint64_t *ret, struct err *err) {
    struct view *view = view_new(engine);
    enum errc code = view != NULL ? view_applied(view, ret) : ERR_NO_MEMORY;

    view_free(view);
    return code == OK ? OK : err_default(err, code);
}

/* See the head of this file. */
static enum errc strip(const char *folder, uint64_t *ret_applied, struct err *err) {
    struct engine *engine = NULL;
    enum errc code = engine_open_apart(folder, ENGINE_PREPARE, &engine, err);

    if (code != OK) {
        return code;
    }
    code = engine_applied(engine, ret_applied, err);
    if (code == OK) {
        code = engine_empty_family(engine, FAMILY_LOG, err);
    }
    engine_close(engine);
    return code;
}

static enum errc make(struct engine *engine, const char *folder,
                      struct checkpoint_manifest *manifest, struct err *err) {
    enum errc code = engine_checkpoint(engine, folder, err);

    if (code == OK) {
        CRASHPOINT(CHECKPOINT_COPIED);
        code = strip(folder, &manifest->applied, err);
    }
    if (code == OK) {
        CRASHPOINT(CHECKPOINT_STRIPPED);
        code = manifest_list(folder, manifest, err);
    }
    if (code == OK) {
        code = manifest_describe(folder, manifest, err);
    }
    return code;
}

enum errc checkpoint_make(struct engine *engine, const char *data, const struct world *world,
                          uint64_t node, struct checkpoint_manifest **ret, struct err *err) {
    struct checkpoint_manifest *manifest = calloc(1, sizeof(*manifest));
    uint8_t id[(CHECKPOINT_ID - 1) / 2];
    char folder[PATH_MAX];
    struct err ignored;
    enum errc code;

    if (manifest == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    world_random(world, id, sizeof(id));
    hex_encode(id, sizeof(id), manifest->id);
    manifest->node = node;
    code = folder_path(folder, data, FOLDER_CHECKPOINTS, NULL, err);
    if (code == OK) {
        code = folder_ensure(folder, err);
    }
    if (code == OK) {
        code = folder_path(folder, data, FOLDER_CHECKPOINTS, manifest->id, err);
    }
    if (code == OK) {
        code = make(engine, folder, manifest, err);
        if (code != OK) {
            (void)!folder_remove(folder, &ignored); /* else the next start does */
        }
    }
    if (code != OK) {
        checkpoint_manifest_free(manifest);
        return code;
    }
    CRASHPOINT(CHECKPOINT_MADE);
    *ret = manifest;
    return OK;
}

enum errc checkpoint_remove(const char *data, const char *id, const char *except, struct err *err) {
    char path[PATH_MAX];
    enum errc code;

    CRASHPOINT(CHECKPOINT_REMOVING);
    if (id == NULL) {
        code = folder_path(path, data, FOLDER_CHECKPOINTS, NULL, err);
        return code == OK ? folder_clear(path, except, err) : code;
    }
    if (!checkpoint_id_is_valid(id)) {
        return err_set(err, ERR_INVALID_PARAMETER, "this is no id of a checkpoint");
    }
    code = folder_path(path, data, FOLDER_CHECKPOINTS, id, err);
    return code == OK ? folder_remove(path, err) : code;
}
