/* A disk that is slow at will, for tests: preloaded between a program and libc. Each sync takes as
 * much longer as the file that SLOW_DISK names says, and so does each write to a regular file: two
 * decimal numbers of milliseconds, "SYNC WRITE", which may change at any time. Without the file, or
 * with nothing in it, nothing is slow. Plain system calls, so that it does not matter what else is
 * preloaded or in which order. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Sleeps, and leaves errno alone. */
static void dawdle(int place) {
    const char *path = getenv("SLOW_DISK");
    char text[64];
    char *end = text;
    long ms = 0;
    int before = errno;
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        long len = syscall(SYS_read, fd, text, sizeof(text) - 1);
        (void)syscall(SYS_close, fd);
        text[len > 0 ? len : 0] = '\0';
        for (int i = 0; i <= place; i++) {
            ms = strtol(end, &end, 10);
        }
    }
    if (ms > 0) {
        struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) != 0 &&
               errno == EINTR) {
        }
    }
    errno = before;
}

static void dawdle_writing(int fd) {
    struct stat stat;

    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
        dawdle(1);
    }
}

int fsync(int fd) {
    dawdle(0);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    dawdle(0);
    return (int)syscall(SYS_fdatasync, fd);
}

int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags) {
    dawdle(0);
    return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    dawdle_writing(fd);
    return syscall(SYS_write, fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    dawdle_writing(fd);
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    dawdle_writing(fd);
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}
