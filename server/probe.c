#include "server/probe.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A socket for `host`:`port` on which `act` (connect or bind) succeeded; -1 otherwise. */
static int open_socket(const char *host, unsigned port,
                       int (*act)(int, const struct sockaddr *, socklen_t)) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_usec = PROBE_MS * 1000};
    const int on = 1;
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
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (act(fd, found->ai_addr, found->ai_addrlen) != 0) {
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
    int fd = open_socket(host, port, connect);
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

bool probe_port_is_free(const char *host, unsigned port) {
    /* With SO_REUSEADDR, as servers bind: only one that listens is in the way, no connection of
     * before. */
    int fd = open_socket(host, port, bind);

    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}
