/* Receiving a checkpoint: files one after another, each written under a name of its own until it is
 * whole, synced and its digest is right; and the last step, which makes them this node's store. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crashpoint.h"
#include "crypto/digest.h"
#include "storage/checkpoint_folder.h"
#include "storage/engine_inner.h"

#define PARTIAL ".part"

struct incoming {
    char folder[PATH_MAX];
    size_t n_files;
    struct checkpoint_file *files; /* owned copy */
    bool *whole;                   /* owned */
    size_t at;                     /* the file that is fetched; n_files: all are whole */
    uint64_t offset;               /* in it */
    int fd;                        /* its partial file; -1: none */
    uint64_t bytes, total;
};

static enum errc partial_path(const struct incoming *incoming, const char *name, char out[PATH_MAX],
                              struct err *err) {
    char partial[CHECKPOINT_FILE + sizeof(PARTIAL)];

    (void)snprintf(partial, sizeof(partial), "%s" PARTIAL, name);
    return folder_path(out, incoming->folder, partial, NULL, err);
}

/* Opens (makes) the partial file of files[at]; what it holds is kept when it is not too long. */
static enum errc begin_file(struct incoming *incoming, struct err *err) {
    const struct checkpoint_file *file = &incoming->files[incoming->at];
    char path[PATH_MAX];
    struct stat status;
    enum errc code = partial_path(incoming, file->name, path, err);

    if (code != OK) {
        return code;
    }
    incoming->fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (incoming->fd < 0 || fstat(incoming->fd, &status) != 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    incoming->offset = (uint64_t)status.st_size;
    if (incoming->offset > file->size) {
        incoming->offset = 0;
        if (ftruncate(incoming->fd, 0) != 0) {
            return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
        }
    }
    return OK;
}

/* Synced, looked through, and under its own name; or gone. */
static enum errc end_file(struct incoming *incoming, struct err *err) {
    const struct checkpoint_file *file = &incoming->files[incoming->at];
    uint8_t digest[CHECKPOINT_DIGEST];
    char partial[PATH_MAX];
    char path[PATH_MAX];
    enum errc code = partial_path(incoming, file->name, partial, err);

    if (code == OK) {
        code = folder_path(path, incoming->folder, file->name, NULL, err);
    }
    if (code == OK && fsync(incoming->fd) != 0) {
        code = err_set(err, ERR_IO, "cannot sync %s: %s", partial, strerror(errno));
    }
    (void)close(incoming->fd);
    incoming->fd = -1;
    if (code == OK) {
        code = file_digest(partial, digest, err);
    }
    if (code != OK) {
        return code;
    }
    if (!digest_equal(digest, file->digest, sizeof(digest))) {
        (void)unlink(partial);
        incoming->offset = 0;
        return err_set(err, ERR_CORRUPT, "%s does not have the digest of the manifest", file->name);
    }
    CRASHPOINT(INCOMING_FILE_SYNCED);
    if (rename(partial, path) != 0) {
        return err_set(err, ERR_IO, "cannot rename %s: %s", partial, strerror(errno));
    }
    CRASHPOINT(INCOMING_FILE_WHOLE);
    incoming->whole[incoming->at] = true;
    incoming->bytes += file->size;
    incoming->offset = 0;
    return OK;
}

/* To the next file that is not whole. One that an earlier attempt left complete but for its name,
 * or that is empty, ends at once. */
static enum errc advance(struct incoming *incoming, struct err *err) {
    while (incoming->at < incoming->n_files) {
        enum errc code = OK;
        if (incoming->whole[incoming->at]) {
            incoming->at++;
            continue;
        }
        if (incoming->fd < 0) {
            code = begin_file(incoming, err);
        }
        if (code != OK || incoming->offset < incoming->files[incoming->at].size) {
            return code;
        }
        code = end_file(incoming, err);
        if (code == ERR_CORRUPT && incoming->files[incoming->at].size > 0) {
            continue; /* thrown away: from its beginning */
        }
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static ptrdiff_t find_file(const struct incoming *incoming, const char *name, size_t len) {
    char key[CHECKPOINT_FILE];
    size_t low = 0;
    size_t high = incoming->n_files;

    if (len >= sizeof(key)) {
        return -1;
    }
    memcpy(key, name, len);
    key[len] = '\0';
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, incoming->files[middle].name);
        if (order == 0) {
            return (ptrdiff_t)middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return -1;
}

/* A whole file of an earlier attempt: is it what the manifest says? */
static enum errc look_at_whole(struct incoming *incoming, size_t place, const char *path,
                               struct err *err) {
    const struct checkpoint_file *file = &incoming->files[place];
    uint8_t digest[CHECKPOINT_DIGEST];
    struct stat status;
    enum errc code;

    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != file->size) {
        return folder_remove(path, err);
    }
    code = file_digest(path, digest, err);
    if (code != OK) {
        return code;
    }
    if (!digest_equal(digest, file->digest, sizeof(digest))) {
        return folder_remove(path, err);
    }
    incoming->whole[place] = true;
    incoming->bytes += file->size;
    return OK;
}

static enum errc look_at(struct incoming *incoming, const char *name, struct err *err) {
    const size_t tail = sizeof(PARTIAL) - 1;
    size_t len = strlen(name);
    char path[PATH_MAX];
    enum errc code = folder_path(path, incoming->folder, name, NULL, err);
    ptrdiff_t place;

    if (code != OK) {
        return code;
    }
    if (len > tail && strcmp(name + len - tail, PARTIAL) == 0) {
        /* Whether it is too long is seen when its turn comes. */
        return find_file(incoming, name, len - tail) >= 0 ? OK : folder_remove(path, err);
    }
    place = find_file(incoming, name, len);
    return place >= 0 ? look_at_whole(incoming, (size_t)place, path, err)
                      : folder_remove(path, err);
}

static enum errc look_through(struct incoming *incoming, struct err *err) {
    DIR *folder = opendir(incoming->folder);
    const struct dirent *entry;
    enum errc code = OK;

    if (folder == NULL) {
        return err_set(err, ERR_IO, "cannot read %s: %s", incoming->folder, strerror(errno));
    }
    while (code == OK && (errno = 0, entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            code = look_at(incoming, entry->d_name, err);
        }
    }
    if (code == OK && errno != 0) {
        code = err_set(err, ERR_IO, "cannot read %s: %s", incoming->folder, strerror(errno));
    }
    (void)closedir(folder);
    return code;
}

/* A disk that cannot hold it should not be filled first. */
static enum errc check_room(const struct incoming *incoming, struct err *err) {
    uint64_t needed = incoming->total - incoming_bytes(incoming);
    struct statvfs space;

    if (statvfs(incoming->folder, &space) != 0) {
        return err_set(err, ERR_IO, "cannot look at the disk of %s: %s", incoming->folder,
                       strerror(errno));
    }
    if (needed / space.f_frsize >= space.f_bavail) {
        return err_set(err, ERR_DISK_FULL,
                       "the snapshot needs %" PRIu64 " more bytes, the disk has %" PRIu64, needed,
                       (uint64_t)space.f_bavail * space.f_frsize);
    }
    return OK;
}

static enum errc prepare_folders(const char *data, const char *id, char out[PATH_MAX],
                                 struct err *err) {
    char parent[PATH_MAX];
    enum errc code = folder_path(parent, data, FOLDER_INCOMING, NULL, err);

    if (code == OK) {
        code = folder_ensure(parent, err);
    }
    if (code == OK) {
        code = folder_path(out, data, FOLDER_INCOMING, id, err);
    }
    code = code == OK ? folder_ensure(out, err) : code;
    CRASHPOINT(INCOMING_FOLDER);
    return code;
}

/* All of incoming/ but this attempt and a store that waits for the switch. */
static enum errc remove_others(const char *data, const char *id, struct err *err) {
    char parent[PATH_MAX];
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *folder;
    enum errc code = folder_path(parent, data, FOLDER_INCOMING, NULL, err);

    if (code != OK) {
        return code;
    }
    folder = opendir(parent);
    if (folder == NULL) {
        return err_set(err, ERR_IO, "cannot read %s: %s", parent, strerror(errno));
    }
    while (code == OK && (entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, id) == 0 ||
            strcmp(name, FOLDER_READY) == 0) {
            continue;
        }
        code = folder_path(path, parent, name, NULL, err);
        if (code == OK) {
            code = folder_remove(path, err);
        }
    }
    (void)closedir(folder);
    return code;
}

static enum errc incoming_start(struct incoming *incoming, const char *data,
                                const struct checkpoint_manifest *manifest, struct err *err) {
    enum errc code = prepare_folders(data, manifest->id, incoming->folder, err);

    if (code == OK) {
        code = remove_others(data, manifest->id, err);
    }
    if (code == OK) {
        code = look_through(incoming, err);
    }
    if (code == OK) {
        code = check_room(incoming, err);
    }
    return code == OK ? advance(incoming, err) : code;
}

enum errc incoming_open(const char *data, const struct checkpoint_manifest *manifest,
                        struct incoming **ret, struct err *err) {
    struct incoming *incoming = calloc(1, sizeof(*incoming));
    enum errc code;

    CHECK(manifest->n_files > 0 && checkpoint_id_is_valid(manifest->id));
    if (incoming == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    incoming->fd = -1;
    incoming->n_files = manifest->n_files;
    incoming->files = calloc(manifest->n_files, sizeof(*incoming->files));
    incoming->whole = calloc(manifest->n_files, sizeof(*incoming->whole));
    if (incoming->files == NULL || incoming->whole == NULL) {
        incoming_close(incoming);
        return err_default(err, ERR_NO_MEMORY);
    }
    memcpy(incoming->files, manifest->files, manifest->n_files * sizeof(*incoming->files));
    for (size_t i = 0; i < manifest->n_files; i++) {
        incoming->total += manifest->files[i].size;
    }
    code = incoming_start(incoming, data, manifest, err);
    if (code != OK) {
        incoming_close(incoming);
        return code;
    }
    *ret = incoming;
    return OK;
}

bool incoming_next(const struct incoming *incoming, const char **ret_file, uint64_t *ret_offset,
                   size_t *ret_len) {
    const struct checkpoint_file *file = &incoming->files[incoming->at];
    uint64_t left;

    if (incoming->at == incoming->n_files) {
        return false;
    }
    left = file->size - incoming->offset;
    *ret_file = file->name;
    *ret_offset = incoming->offset;
    *ret_len = left < LIMIT_SNAPSHOT_CHUNK ? (size_t)left : LIMIT_SNAPSHOT_CHUNK;
    return true;
}

enum errc incoming_write(struct incoming *incoming, const uint8_t *data, size_t len,
                         struct err *err) {
    const char *name;
    uint64_t offset;
    size_t most;
    enum errc code = OK;

    if (!incoming_next(incoming, &name, &offset, &most) || len == 0 || len > most) {
        return err_set(err, ERR_MALFORMED, "not the bytes that were asked for");
    }
    if (incoming->fd < 0) { /* thrown away before */
        code = begin_file(incoming, err);
        if (code != OK) {
            return code;
        }
    }
    for (size_t done = 0; done < len;) {
        ssize_t put =
            pwrite(incoming->fd, data + done, len - done, (off_t)(incoming->offset + done));
        if (put < 0 && errno != EINTR) {
            return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO,
                           "cannot write %s: %s", name, strerror(errno));
        }
        done += put > 0 ? (size_t)put : 0;
    }
    CRASHPOINT(INCOMING_PIECE);
    incoming->offset += len;
    if (incoming->offset == incoming->files[incoming->at].size) {
        code = end_file(incoming, err);
    }
    return code == OK ? advance(incoming, err) : code;
}

uint64_t incoming_bytes(const struct incoming *incoming) {
    return incoming->bytes + incoming->offset;
}

uint64_t incoming_bytes_total(const struct incoming *incoming) {
    return incoming->total;
}

void incoming_close(struct incoming *incoming) {
    if (incoming == NULL) {
        return;
    }
    if (incoming->fd >= 0) {
        (void)close(incoming->fd);
    }
    free(incoming->files);
    free(incoming->whole);
    free(incoming);
}

/* ---- The last step ---- */

static enum errc adopt(const char *folder, uint64_t term, uint64_t voted_for,
                       const struct log_snapshot *snapshot, struct err *err) {
    const struct engine_options options = {.path = folder};
    struct log_snapshot row = *snapshot;
    struct engine *engine = NULL;
    uint64_t applied = 0;
    enum errc code = engine_open(&options, &engine, err);

    if (code != OK) {
        return code;
    }
    code = engine_applied(engine, &applied, err);
    if (code == OK && applied != snapshot->index) {
        code = err_set(err, ERR_CORRUPT,
                       "the snapshot of index %" PRIu64 " holds the state of index %" PRIu64,
                       snapshot->index, applied);
    }
    row.manifest_len = 0;
    if (code == OK) {
        code = log_store_adopt(engine, term, voted_for, &row, err);
    }
    engine_close(engine);
    return code == OK ? folder_sync(folder, err) : code;
}

enum errc incoming_finish(const char *data, const char *id, uint64_t term, uint64_t voted_for,
                          const struct log_snapshot *snapshot, struct err *err) {
    char folder[PATH_MAX], ready[PATH_MAX], aside[PATH_MAX];
    bool has_ready = false;
    enum errc code;

    if (!checkpoint_id_is_valid(id) || snapshot->index == 0 || term < snapshot->term) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "this is no snapshot for a node in term %" PRIu64, term);
    }
    code = folder_path(folder, data, FOLDER_INCOMING, id, err);
    if (code == OK) {
        code = folder_path(ready, data, FOLDER_INCOMING, FOLDER_READY, err);
    }
    if (code == OK) {
        code = folder_path(aside, data, FOLDER_INCOMING, FOLDER_ASIDE, err);
    }
    if (code == OK) {
        code = adopt(folder, term, voted_for, snapshot, err);
    }
    CRASHPOINT(INCOMING_ADOPTED);
    if (code == OK) {
        code = folder_exists(ready, &has_ready, err);
    }
    /* At no moment is something incomplete called ready. */
    if (code == OK && has_ready) {
        code = folder_remove(aside, err);
        code = code == OK ? folder_rename(ready, aside, err) : code;
    }
    if (code == OK) {
        code = folder_rename(folder, ready, err);
    }
    CRASHPOINT(INCOMING_READY);
    return code == OK ? folder_remove(aside, err) : code;
}
