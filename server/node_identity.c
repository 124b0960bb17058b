#include "server/node_identity.h"

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IDENTITY_BYTES = 8, IDENTITY_TEXT = 2 * IDENTITY_BYTES };

static enum errc identity_read(int fd, const char *path, uint64_t *ret, struct err *err) {
    uint8_t raw[IDENTITY_BYTES];
    char text[IDENTITY_TEXT];

    if (read(fd, text, sizeof(text)) != (ssize_t)sizeof(text) ||
        !hex_decode(text, sizeof(text), raw, sizeof(raw)) || get_le64(raw) == 0) {
        return err_set(err, ERR_CORRUPT, "%s does not hold a node id", path);
    }
    *ret = get_le64(raw);
    return OK;
}

static bool sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

/* Whole or not at all, and there before anybody is told of the id. */
static enum errc identity_write(const char *data, const char *path, uint64_t id, struct err *err) {
    char temporary[PATH_MAX];
    uint8_t raw[IDENTITY_BYTES];
    char text[IDENTITY_TEXT + 1];
    bool done = false;
    int fd = -1;

    put_le64(raw, id);
    hex_encode(raw, sizeof(raw), text);
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) < (int)sizeof(temporary)) {
        (void)unlink(temporary);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd >= 0) {
        done = write(fd, text, IDENTITY_TEXT) == IDENTITY_TEXT && fsync(fd) == 0;
        (void)close(fd);
    }
    CRASHPOINT(IDENTITY_WRITTEN);
    if (!done || rename(temporary, path) != 0) {
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    CRASHPOINT(IDENTITY_RENAMED);
    return sync_folder(data) ? OK
                             : err_set(err, ERR_IO, "cannot sync %s: %s", data, strerror(errno));
}

static enum errc identity_make(const char *data, const char *path, uint64_t *ret, struct err *err) {
    uint8_t raw[IDENTITY_BYTES];

    world_random(world_system(), raw, sizeof(raw));
    raw[IDENTITY_BYTES - 1] |= 1; /* never 0 */
    *ret = get_le64(raw);
    return identity_write(data, path, *ret, err);
}

static enum errc identity_path(const char *data, char out[PATH_MAX], struct err *err) {
    return snprintf(out, PATH_MAX, "%s/node-id", data) < PATH_MAX
               ? OK
               : err_set(err, ERR_IO, "the path of the data folder is too long");
}

enum errc node_identity_restore(const char *data, uint64_t id, struct err *err) {
    char path[PATH_MAX];
    enum errc code = identity_path(data, path, err);

    if (code != OK || access(path, F_OK) == 0) {
        return code;
    }
    return errno == ENOENT ? identity_write(data, path, id, err)
                           : err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
}

enum errc node_identity_load(const char *data, uint64_t *ret, struct err *err) {
    char path[PATH_MAX];
    enum errc code = identity_path(data, path, err);
    int fd;

    if (code != OK) {
        return code;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? identity_make(data, path, ret, err)
                               : err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    code = identity_read(fd, path, ret, err);
    (void)close(fd);
    return code;
}
