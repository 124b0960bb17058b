#include "storage/checkpoint_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/digest.h"

enum { READ_PIECE = 256 * 1024, WALK_FILES = 8 };

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool checkpoint_id_is_valid(const char *id) {
    return strlen(id) == CHECKPOINT_ID - 1 && strspn(id, "0123456789abcdef") == CHECKPOINT_ID - 1;
}

bool checkpoint_file_is_valid(const char *name, size_t len) {
    static const char partial[] = ".part";
    const size_t tail = sizeof(partial) - 1;

    if (len == 0 || len >= CHECKPOINT_FILE || !is_plain(name[0]) || !is_plain(name[len - 1])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_plain(name[i]) && name[i] != '.' && name[i] != '-' && name[i] != '_') {
            return false;
        }
    }
    return len < tail || memcmp(name + len - tail, partial, tail) != 0;
}

enum errc folder_path(char out[PATH_MAX], const char *folder, const char *a, const char *b,
                      struct err *err) {
    int len =
        snprintf(out, PATH_MAX, "%s/%s%s%s", folder, a, b != NULL ? "/" : "", b != NULL ? b : "");

    if (len < 0 || len >= PATH_MAX) {
        return err_set(err, ERR_IO, "a path in the data folder is too long");
    }
    return OK;
}

enum errc folder_exists(const char *path, bool *ret, struct err *err) {
    struct stat status;

    *ret = lstat(path, &status) == 0;
    if (!*ret && errno != ENOENT) {
        return err_set(err, ERR_IO, "cannot look at %s: %s", path, strerror(errno));
    }
    if (*ret && !S_ISDIR(status.st_mode)) {
        return err_set(err, ERR_IO, "%s is no folder", path);
    }
    return OK;
}

enum errc folder_sync(const char *path, struct err *err) {
    enum errc code = OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) {
        code = err_set(err, ERR_IO, "cannot sync %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

/* What `path` lies in. */
static enum errc folder_sync_parent(const char *path, struct err *err) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = snprintf(parent, sizeof(parent), "%.*s",
                       slash == NULL ? 1 : (int)(slash - path) + (slash == path),
                       slash == NULL ? "." : path);

    CHECK(len > 0 && (size_t)len < sizeof(parent));
    return folder_sync(parent, err);
}

enum errc folder_ensure(const char *path, struct err *err) {
    if (mkdir(path, 0700) == 0) {
        return folder_sync_parent(path, err);
    }
    if (errno != EEXIST) {
        return err_set(err, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
    }
    return OK;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status, (void)type, (void)walk;
    return remove(path);
}

enum errc folder_remove(const char *path, struct err *err) {
    struct stat status;

    if (lstat(path, &status) != 0 && errno == ENOENT) {
        return OK;
    }
    if (nftw(path, remove_one, WALK_FILES, FTW_DEPTH | FTW_PHYS) != 0) {
        return err_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    return OK;
}

enum errc folder_clear(const char *path, const char *except, struct err *err) {
    DIR *folder = opendir(path);
    const struct dirent *entry;
    enum errc code = OK;

    if (folder == NULL) {
        return errno == ENOENT ? OK
                               : err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    while (code == OK && (errno = 0, entry = readdir(folder)) != NULL) {
        char inner[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (except != NULL && strcmp(entry->d_name, except) == 0)) {
            continue;
        }
        code = folder_path(inner, path, entry->d_name, NULL, err);
        if (code == OK) {
            code = folder_remove(inner, err);
        }
    }
    if (code == OK && errno != 0) {
        code = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    (void)closedir(folder);
    return code;
}

enum errc folder_rename(const char *from, const char *to, struct err *err) {
    enum errc code;

    if (rename(from, to) != 0) {
        return err_set(err, ERR_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    }
    code = folder_sync_parent(to, err);
    return code == OK ? folder_sync_parent(from, err) : code;
}

static enum errc digest_descriptor(int fd, const char *path, uint8_t out[CHECKPOINT_DIGEST],
                                   struct err *err) {
    struct digest_stream *stream = digest_stream_new();
    uint8_t *piece = malloc(READ_PIECE);
    enum errc code = piece != NULL ? OK : err_default(err, ERR_NO_MEMORY);

    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (code == OK) {
        ssize_t got = read(fd, piece, READ_PIECE);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        } else if (got > 0) {
            digest_stream_add(stream, piece, (size_t)got);
        }
    }
    digest_stream_end(stream, out);
    digest_stream_free(stream);
    free(piece);
    return code;
}

enum errc file_digest(const char *path, uint8_t out[CHECKPOINT_DIGEST], struct err *err) {
    enum errc code;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    code = digest_descriptor(fd, path, out, err);
    (void)close(fd);
    return code;
}
