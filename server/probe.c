#include "server/probe.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PROBE_ANSWER = 2048 };

/* A socket for `host`:`port` on which `act` (connect or bind) succeeded; -1 otherwise. */
static int open_socket(const char *host, unsigned port,
                       int (*act)(int, const struct sockaddr *, socklen_t)) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_usec = PROBE_MS * 1000};
    const int on = 1;
    struct addrinfo *found = NULL;
    char service[16], bare[256];
    size_t len = strlen(host);
    int fd;

    if (host[0] == '[' && host[len - 1] == ']') { /* as an address with a port has it */
        (void)snprintf(bare, sizeof(bare), "%.*s", (int)(len - 2), host + 1);
        host = bare;
    }

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

/* The answer to GET /health, as much as fits, with a NUL; false when none came. */
static bool ask_health(const char *host, unsigned port, char *out, size_t size) {
    char text[512];
    int fd = open_socket(host, port, connect);
    size_t len = 0;
    ssize_t got = 0;
    int text_len;

    if (fd < 0) {
        return false;
    }
    text_len =
        snprintf(text, sizeof(text),
                 "GET /health HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n", host, port);
    if (send(fd, text, (size_t)text_len, MSG_NOSIGNAL) == text_len) {
        while (len + 1 < size && (got = recv(fd, out + len, size - 1 - len, 0)) > 0) {
            len += (size_t)got;
        }
    }
    out[len] = '\0';
    (void)close(fd);
    return len > 0;
}

bool probe_health(const char *host, unsigned port) {
    static const char healthy[] = "HTTP/1.1 200 ";
    char answer[PROBE_ANSWER];

    return ask_health(host, port, answer, sizeof(answer)) &&
           strncmp(answer, healthy, sizeof(healthy) - 1) == 0;
}

bool probe_role(const char *host, unsigned port, char *out, size_t size) {
    static const char member[] = "\"role\":\"";
    char answer[PROBE_ANSWER];
    const char *role = NULL;

    if (ask_health(host, port, answer, sizeof(answer))) {
        role = strstr(answer, member);
    }
    if (role == NULL) {
        return false;
    }
    role += sizeof(member) - 1;
    (void)snprintf(out, size, "%.*s", (int)strcspn(role, "\""), role);
    return true;
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
