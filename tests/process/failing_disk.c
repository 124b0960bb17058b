/* A disk that fails on demand, for a process that is started with this library in LD_PRELOAD: while
 * the file that REDOUBT_FAILING_DISK names exists, writes to regular files ("write" in it) or their
 * syncs ("sync") fail with EIO. What goes to standard error is spared, so that the process can say
 * what it thinks of it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool fails(int fd, char what) {
    const char *path = getenv("REDOUBT_FAILING_DISK");
    ssize_t (*real_read)(int, void *, size_t);
    struct stat status;
    char first = '\0';
    int trigger;

    if (path == NULL || fd == STDERR_FILENO || fstat(fd, &status) != 0 ||
        !S_ISREG(status.st_mode)) {
        return false;
    }
    trigger = open(path, O_RDONLY | O_CLOEXEC);
    if (trigger < 0) {
        return false;
    }
    *(void **)&real_read = dlsym(RTLD_NEXT, "read");
    if (real_read(trigger, &first, 1) != 1) {
        first = '\0';
    }
    (void)close(trigger);
    if (first != what) {
        return false;
    }
    errno = EIO;
    return true;
}

/* NAME(parameters) with the arguments of the call behind it. */
#define INSTEAD(kind, what, name, parameters, arguments)                                           \
    kind name parameters;                                                                          \
    kind name parameters {                                                                         \
        kind(*real) parameters;                                                                    \
        int before = errno;                                                                        \
        if (fails(fd, what)) {                                                                     \
            return -1;                                                                             \
        }                                                                                          \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                 \
        errno = before;                                                                            \
        return real arguments;                                                                     \
    }

INSTEAD(ssize_t, 'w', write, (int fd, const void *data, size_t len), (fd, data, len))
INSTEAD(ssize_t, 'w', pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
INSTEAD(ssize_t, 'w', pwrite64, (int fd, const void *data, size_t len, off64_t at),
        (fd, data, len, at))
INSTEAD(ssize_t, 'w', writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
INSTEAD(int, 's', fsync, (int fd), (fd))
INSTEAD(int, 's', fdatasync, (int fd), (fd))
