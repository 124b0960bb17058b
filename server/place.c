#include "server/place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum errc place_make_folder(const char *path, struct err *err) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set(err, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    }
    return OK;
}

bool place_is_loopback(const char *host) {
    struct in_addr v4;

    if (strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0) {
        return true;
    }
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}
