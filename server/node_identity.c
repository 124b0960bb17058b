#include "server/node_identity.h"

#include "base/bytes.h"
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
static enum errc identity_make(const char *data, const char *path, uint64_t *ret, struct err *err) {
    char temporary[PATH_MAX];
    uint8_t raw[IDENTITY_BYTES];
    char text[IDENTITY_TEXT + 1];
    bool done = false;
    int fd = -1;

    world_random(world_system(), raw, sizeof(raw));
    raw[IDENTITY_BYTES - 1] |= 1; /* never 0 */
    hex_encode(raw, sizeof(raw), text);
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) < (int)sizeof(temporary)) {
        (void)unlink(temporary);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd >= 0) {
        done = write(fd, text, IDENTITY_TEXT) == IDENTITY_TEXT && fsync(fd) == 0;
        (void)close(fd);
    }
    if (!done || rename(temporary, path) != 0 || !sync_folder(data)) {
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    *ret = get_le64(raw);
    return OK;
}

enum errc node_identity_load(const char *data, uint64_t *ret, struct err *err) {
    char path[PATH_MAX];
    enum errc code;
    int fd;

    if (snprintf(path, sizeof(path), "%s/node-id", data) >= (int)sizeof(path)) {
        return err_set(err, ERR_IO, "the path of the data folder is too long");
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
