#include "server/place.h"

#include "base/crashpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum errc place_make_folder(const char *path, struct err *err) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set(err, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    }
    return OK;
}

enum errc place_sync_folder_of(const char *path, struct err *err) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    enum errc code = OK;
    int fd;

    (void)snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) : 1,
                   slash != NULL ? path : ".");
    fd = open(folder[0] != '\0' ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        code = err_set(err, ERR_IO, "cannot sync %s: %s", folder, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

enum errc place_write_file(const char *path, const void *data, size_t len, struct err *err) {
    char temporary[PATH_MAX];
    bool done = false;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
        return err_set(err, ERR_IO, "the path %s is too long", path);
    }
    (void)unlink(temporary); /* of an attempt that was cut short */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        done = write(fd, data, len) == (ssize_t)len && fsync(fd) == 0;
        done = close(fd) == 0 && done;
    }
    CRASHPOINT(FILE_WRITTEN);
    if (!done || rename(temporary, path) != 0) {
        enum errc code = err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
        (void)unlink(temporary);
        return code;
    }
    return place_sync_folder_of(path, err);
}

bool place_is_loopback(const char *host) {
    struct in_addr v4;

    if (strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0) {
        return true;
    }
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}
