/* Serving: pieces of a checkpoint's files. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "storage/checkpoint_folder.h"

static atomic_uint_fast64_t last_read_ms;

uint64_t checkpoint_read_ms(void) {
    return atomic_load(&last_read_ms);
}

static enum errc read_piece(int fd, uint64_t offset, size_t len, struct buf *out, struct err *err) {
    uint8_t *to = buf_reserve(out, len);
    size_t done = 0;

    if (to == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    while (done < len) {
        ssize_t got = pread(fd, to + done, len - done, (off_t)(offset + done));
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return err_set(err, ERR_IO, "cannot read a checkpoint: %s", strerror(errno));
        }
        done += got > 0 ? (size_t)got : 0;
    }
    out->len += done;
    return OK;
}

enum errc checkpoint_read(const char *data, const char *id, const char *file, uint64_t offset,
                          size_t len, struct buf *out, struct err *err) {
    char folder[PATH_MAX];
    char path[PATH_MAX];
    enum errc code;
    int fd;

    if (!checkpoint_id_is_valid(id) ||
        !checkpoint_file_is_valid(file, strnlen(file, CHECKPOINT_FILE)) ||
        offset > INT64_MAX - LIMIT_SNAPSHOT_CHUNK || len > LIMIT_SNAPSHOT_CHUNK) {
        return err_set(err, ERR_INVALID_PARAMETER, "this is no piece of a checkpoint");
    }
    code = folder_path(folder, data, FOLDER_CHECKPOINTS, id, err);
    if (code == OK) {
        code = folder_path(path, folder, file, NULL, err);
    }
    if (code != OK) {
        return code;
    }
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? err_set(err, ERR_RESOURCE_NOT_FOUND, "no such checkpoint or file")
                   : err_set(err, ERR_IO, "cannot open a checkpoint's file: %s", strerror(errno));
    }
    atomic_store(&last_read_ms, world_mono_ms(world_system()));
    code = read_piece(fd, offset, len, out, err);
    (void)close(fd);
    return code;
}
