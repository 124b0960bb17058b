#include "storage/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

/* 0 "RDBW"   4 u32 crc32c of the count   8 u64 count       little endian; within one sector */
enum { WITNESS_SIZE = 16 };
static const uint8_t witness_magic[4] = {'R', 'D', 'B', 'W'};

enum errc witness_open(struct witness *witness, const char *folder, bool create,
                       uint64_t *ret_count, struct err *err) {
    char path[PATH_MAX];
    uint8_t bytes[WITNESS_SIZE];
    ssize_t got;
    int fd;
    int len = snprintf(path, sizeof(path), "%s/%s", folder, WITNESS_FILE);

    if (len < 0 || (size_t)len >= sizeof(path)) {
        return err_set(err, ERR_IO, "the path of the database is too long");
    }
    fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0 && errno == ENOENT && !create) {
        *ret_count = 0;
        return OK;
    }
    if (fd < 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    got = pread(fd, bytes, sizeof(bytes), 0);
    if (got < 0) {
        len = errno;
        (void)close(fd);
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(len));
    }
    witness->fd = fd;
    *ret_count = 0;
    if (got == (ssize_t)sizeof(bytes) && memcmp(bytes, witness_magic, 4) == 0 &&
        get_le32(bytes + 4) == crc32c(0, bytes + 8, 8)) {
        *ret_count = get_le64(bytes + 8);
    }
    return OK;
}

enum errc witness_set(struct witness *witness, uint64_t count, struct err *err) {
    uint8_t bytes[WITNESS_SIZE];
    ssize_t put;

    if (witness->fd < 0) {
        return OK;
    }
    memcpy(bytes, witness_magic, sizeof(witness_magic));
    put_le64(bytes + 8, count);
    put_le32(bytes + 4, crc32c(0, bytes + 8, 8));
    do {
        put = pwrite(witness->fd, bytes, sizeof(bytes), 0);
    } while (put < 0 && errno == EINTR);
    if (put != (ssize_t)sizeof(bytes)) {
        return err_set(err, ERR_IO, "cannot write %s: %s", WITNESS_FILE,
                       put < 0 ? strerror(errno) : "short write");
    }
    return OK;
}

void witness_close(struct witness *witness) {
    if (witness->fd >= 0) {
        (void)close(witness->fd);
        witness->fd = -1;
    }
}
