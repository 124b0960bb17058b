#include "server/probe.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(const char *host, unsigned port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_usec = PROBE_MS * 1000};
    struct addrinfo *found = NULL;
    char service[16];
    int fd;

    (void)snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

bool probe_health(const char *host, unsigned port) {
    static const char healthy[] = "HTTP/1.1 200 ";
    char text[512];
    int fd = connect_to(host, port);
    int len;
    bool ok;

    if (fd < 0) {
        return false;
    }
    len = snprintf(text, sizeof(text),
                   "GET /health HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n", host, port);
    ok = send(fd, text, (size_t)len, MSG_NOSIGNAL) == len &&
         recv(fd, text, sizeof(healthy) - 1, MSG_WAITALL) == (ssize_t)(sizeof(healthy) - 1) &&
         memcmp(text, healthy, sizeof(healthy) - 1) == 0;
    (void)close(fd);
    return ok;
}
