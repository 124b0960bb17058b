#include "base/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The address, and the descriptor that it leads through (-1: none). */
struct place {
    struct sockaddr_un address;
    int folder;
};

static enum errc place_of(const char *path, struct place *ret, struct err *err) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    int len;

    memset(ret, 0, sizeof(*ret));
    ret->address.sun_family = AF_UNIX;
    ret->folder = -1;
    if (strlen(path) < sizeof(ret->address.sun_path)) {
        memcpy(ret->address.sun_path, path, strlen(path));
        return OK;
    }
    if (slash == NULL || snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path) >=
                             (int)sizeof(folder)) {
        return err_set(err, ERR_IO, "the path of a socket is too long");
    }
    ret->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ret->folder < 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", folder, strerror(errno));
    }
    len = snprintf(ret->address.sun_path, sizeof(ret->address.sun_path), "/proc/self/fd/%d/%s",
                   ret->folder, slash + 1);
    if (len >= (int)sizeof(ret->address.sun_path)) {
        (void)close(ret->folder);
        return err_set(err, ERR_IO, "the name of a socket is too long");
    }
    return OK;
}

static void place_close(const struct place *place) {
    if (place->folder >= 0) {
        (void)close(place->folder);
    }
}

static int connect_to(const struct place *place, int fd) {
    return connect(fd, (const struct sockaddr *)&place->address, sizeof(place->address));
}

/* What a process that ended without cleaning up has left. */
static enum errc remove_stale(const char *path, const struct place *place, struct err *err) {
    struct stat st;
    enum errc code = OK;
    int fd;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT
                   ? OK
                   : err_set(err, ERR_IO, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(err, ERR_IO, "%s is there and is no socket", path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, ERR_IO, "cannot make a socket: %s", strerror(errno));
    }
    if (connect_to(place, fd) == 0 || errno != ECONNREFUSED) {
        code = err_set(err, ERR_IO, "another process listens on %s", path);
    } else if (unlink(path) != 0) {
        code = err_set(err, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    (void)close(fd);
    return code;
}

static bool bind_and_listen(const struct place *place, int backlog, int fd) {
    /* Before bind: the socket's file is born with this mode, so that there is no moment at which
     * others could connect. */
    return fchmod(fd, 0600) == 0 &&
           bind(fd, (const struct sockaddr *)&place->address, sizeof(place->address)) == 0 &&
           listen(fd, backlog) == 0;
}

enum errc local_socket_listen(const char *path, int backlog, int *ret_fd, struct err *err) {
    struct place place;
    enum errc code = place_of(path, &place, err);
    int fd;

    if (code != OK) {
        return code;
    }
    code = remove_stale(path, &place, err);
    if (code == OK) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || !bind_and_listen(&place, backlog, fd)) {
            code = err_set(err, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
        } else {
            *ret_fd = fd;
        }
        if (code != OK && fd >= 0) {
            (void)close(fd);
        }
    }
    place_close(&place);
    return code;
}

enum errc local_socket_connect(const char *path, unsigned timeout_ms, int *ret_fd,
                               struct err *err) {
    const struct timeval patience = {.tv_sec = timeout_ms / 1000,
                                     .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    struct place place;
    enum errc code = place_of(path, &place, err);
    int fd;

    if (code != OK) {
        return code;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        code = err_set(err, ERR_IO, "cannot make a socket: %s", strerror(errno));
    } else if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
               setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
        code = err_set(err, ERR_IO, "cannot set up a socket: %s", strerror(errno));
    } else if (connect_to(&place, fd) != 0) {
        code = errno == ENOENT || errno == ECONNREFUSED ? ERR_UNAVAILABLE : ERR_IO;
        code = err_set(err, code, "cannot connect to %s: %s", path, strerror(errno));
    } else {
        *ret_fd = fd;
    }
    if (code != OK && fd >= 0) {
        (void)close(fd);
    }
    place_close(&place);
    return code;
}

bool local_socket_is_trusted(int fd) {
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof(peer) &&
           (peer.uid == geteuid() || peer.uid == 0);
}
