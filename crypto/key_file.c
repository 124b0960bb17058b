#include "crypto/key_file.h"

#include "base/crashpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum errc fail(struct err *err, const char *what, const char *path) {
    return err_set(err, ERR_IO, "cannot %s %s: %s", what, path, strerrordesc_np(errno));
}

static int write_all(int fd, const uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t wrote = write(fd, data, len);
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        data += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

/* Make the name of a new file as durable as its content. */
static int sync_parent(const char *path) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    int fd, failed;

    if (len >= sizeof(parent)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (slash == NULL) {
        parent[len++] = '.';
    } else if (len == 0) {
        parent[len++] = '/';
    } else {
        memcpy(parent, path, len);
    }
    parent[len] = '\0';
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    failed = fsync(fd);
    (void)close(fd);
    return failed;
}

/* Whole or not at all: the content gets the name only when it is on disk, by a link, which never
 * replaces what is there. */
static enum errc give_name(const char *temporary, const char *path, struct err *err) {
    enum errc errc = OK;

    CRASHPOINT(KEY_FILE_WRITTEN);
    if (link(temporary, path) != 0) {
        errc = errno == EEXIST ? err_set(err, ERR_RESOURCE_EXISTS,
                                         "%s exists already and is left as it is", path)
                               : fail(err, "create", path);
    } else if (sync_parent(path) != 0) {
        errc = fail(err, "write", path);
        (void)unlink(path);
    }
    return errc;
}

enum errc key_file_create(const char *path, enum key_file_kind kind, const void *data, size_t len,
                          struct err *err) {
    mode_t mode = kind == KEY_FILE_PRIVATE ? 0600 : 0644;
    char temporary[PATH_MAX];
    bool is_written;
    enum errc errc;
    int fd;

    if (access(path, F_OK) == 0) {
        return err_set(err, ERR_RESOURCE_EXISTS, "%s exists already and is left as it is", path);
    }
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return fail(err, "create", path);
    }
    (void)unlink(temporary); /* of an attempt that was cut short */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return fail(err, "create", path);
    }
    is_written = write_all(fd, data, len) == 0 && fsync(fd) == 0;
    errc = is_written ? OK : fail(err, "write", path);
    if (close(fd) != 0 && errc == OK) {
        errc = fail(err, "write", path);
    }
    if (errc == OK) {
        errc = give_name(temporary, path, err);
    }
    (void)unlink(temporary);
    return errc;
}

static enum errc check_file(int fd, const char *path, enum key_file_kind kind, size_t max,
                            size_t *ret_size, struct err *err) {
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return fail(err, "look at", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_IO, "%s is not a regular file", path);
    }
    if (kind == KEY_FILE_PRIVATE && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_set(err, ERR_IO,
                       "%s holds a key and is open to group or others: its mode must be 0600",
                       path);
    }
    if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
        return err_set(err, ERR_CORRUPT, "%s is larger than %zu bytes", path, max);
    }
    *ret_size = (size_t)st.st_size;
    return OK;
}

enum errc key_file_read(const char *path, enum key_file_kind kind, size_t max, struct secret *ret,
                        struct err *err) {
    struct secret content = {NULL, 0};
    size_t size = 0, got = 0;
    enum errc errc;
    int fd;

    /* Not blocking: a FIFO must not hold the start up. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return fail(err, "open", path);
    }
    errc = check_file(fd, path, kind, max, &size, err);
    if (errc != OK) {
        goto out;
    }
    if (!secret_init(&content, size)) {
        errc = err_default(err, ERR_NO_MEMORY);
        goto out;
    }
    while (got < size) {
        ssize_t n = read(fd, content.data + got, size - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errc = n < 0 ? fail(err, "read", path)
                         : err_set(err, ERR_IO, "%s became shorter while it was read", path);
            goto out;
        }
        got += (size_t)n;
    }
    *ret = content;
    content = (struct secret){NULL, 0};
out:
    secret_fini(&content);
    (void)close(fd);
    return errc;
}
