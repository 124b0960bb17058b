#include "server/fault.h"

#include "base/check.h"
#include "server/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FAULT_BACKLOG = 8,
    FAULT_PATIENCE_S = 30, /* dev may be busy with the end of other processes */
    FAULT_ANSWER = 32 * 1024,
};

/* By the folder's descriptor: the path of a socket has room for a hundred characters only. */
static int socket_in(const char *folder, int (*act)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", at,
                       FAULT_SOCKET);
        if (act(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
            int why = errno;
            (void)close(fd);
            fd = -1;
            errno = why;
        }
    }
    if (at >= 0) {
        int why = errno;
        (void)close(at);
        errno = why;
    }
    return fd;
}

int fault_listen(const char *folder, struct err *err) {
    char path[4096];
    mode_t mask;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, FAULT_SOCKET);
    (void)unlink(path);
    mask = umask(0177);
    fd = socket_in(folder, bind);
    (void)umask(mask);
    if (fd >= 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || listen(fd, FAULT_BACKLOG) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0) {
        (void)err_set(err, ERR_IO, "cannot listen on %s: %s", path, strerror(errno));
    }
    return fd;
}

int fault_connect(const char *folder, struct err *err) {
    const struct timeval patience = {.tv_sec = FAULT_PATIENCE_S};
    int fd = socket_in(folder, connect);

    if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)) {
        (void)err_set(err, ERR_IO, "no redoubt dev runs on %s", folder);
    } else if (fd < 0) {
        (void)err_set(err, ERR_IO, "cannot ask the redoubt dev on %s: %s", folder, strerror(errno));
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    }
    return fd;
}

/* The whole answer; false when it did not come. */
static bool ask(int fd, const char *line, char *answer, size_t size) {
    size_t len = 0;
    ssize_t got = 0;

    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        return false;
    }
    while (len + 1 < size && (got = recv(fd, answer + len, size - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    answer[len] = '\0';
    return got == 0 && len > 3 && answer[len - 1] == '\n';
}

/* A node that is paused cannot say what it is, and one that is new not yet. */
static void print_row(const char *line) {
    char name[FAULT_LINE] = "", state[32] = "", pid[32] = "", host[FAULT_LINE] = "", role[32] = "-";
    const struct {
        char *out;
        size_t size;
    } fields[] = {
        {name, sizeof(name)}, {state, sizeof(state)}, {pid, sizeof(pid)}, {host, sizeof(host)}};
    const char *at = line, *colon;

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        size_t len = strcspn(at, " ");
        (void)snprintf(fields[i].out, fields[i].size, "%.*s", (int)len, at);
        at += at[len] == ' ' ? len + 1 : len;
    }
    colon = strrchr(host, ':');
    if (colon != NULL && strcmp(state, "running") == 0) {
        unsigned port = (unsigned)strtoul(colon + 1, NULL, 10);
        host[colon - host] = '\0';
        if (!probe_role(host, port, role, sizeof(role))) {
            (void)snprintf(role, sizeof(role), "-");
        }
        host[strlen(host)] = ':';
    }
    (void)printf("%-20s %-10s %-8s %-10s http://%s\n", name, state, pid, role, host);
}

static void print_rows(char *rows) {
    (void)printf("%-20s %-10s %-8s %-10s %s\n", "NODE", "STATE", "PID", "ROLE", "API");
    while (*rows != '\0') {
        size_t len = strcspn(rows, "\n");
        rows[len] = '\0';
        print_row(rows);
        rows += len + 1;
    }
}

int fault_run(const char *verb, const char *target, const char *folder) {
    static char answer[FAULT_ANSWER];
    char line[FAULT_LINE];
    struct err err;
    int fd;
    bool came;
    size_t first;

    if (snprintf(line, sizeof(line), "%s%s%s\n", verb, target != NULL ? " " : "",
                 target != NULL ? target : "") >= (int)sizeof(line) ||
        (target != NULL && strpbrk(target, " \n") != NULL)) {
        (void)fprintf(stderr, "redoubt: '%s' is no REGION or REGION/NODE\n", target);
        return EXIT_FAILURE;
    }
    fd = fault_connect(folder, &err);
    if (fd < 0) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return EXIT_FAILURE;
    }
    came = ask(fd, line, answer, sizeof(answer));
    (void)close(fd);
    if (!came) {
        (void)fprintf(stderr, "redoubt: the redoubt dev on %s does not answer\n", folder);
        return EXIT_FAILURE;
    }
    first = strcspn(answer, "\n");
    answer[first] = '\0';
    if (strncmp(answer, "ok ", 3) != 0) {
        (void)fprintf(stderr, "redoubt: %s\n", answer + 3);
        return EXIT_FAILURE;
    }
    if (target == NULL) {
        print_rows(answer + first + 1);
    } else {
        (void)printf("%s\n", answer + 3);
    }
    return EXIT_SUCCESS;
}
