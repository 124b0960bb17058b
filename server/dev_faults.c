/* The door of `redoubt dev` for faults on purpose; server/fault.h tells what goes over it. */
#include "server/dev_internal.h"

#include "base/buf.h"
#include "server/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    FAULT_PATIENCE_MS = 3000, /* dev waits so long for one that knocked and says nothing */
    FAULT_ANSWER_MAX = 32 * 1024,
    STOP_PATIENCE_MS = 3000, /* a node that waits for a disk stops behind that */
};

struct question {
    char verb[16];
    char target[FAULT_LINE];
    struct buf answer;
};

static void say(struct question *question, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct question *question, const char *fmt, ...) {
    char line[2 * FAULT_LINE];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    buf_append_str(&question->answer, line);
}

/* ---- what can be done to a node ---- */

/* NULL when it was done, else what is in the way. */
static const char *kill_node(struct dev_node *node) {
    if (node->fault == DEV_KILLED) {
        return "is killed already";
    }
    dev_kill_node(node);
    return NULL;
}

static const char *start_node(struct dev_node *node) {
    if (node->pid != 0) {
        return node->fault == DEV_PAUSED ? "is paused: resume it" : "runs already";
    }
    node->delay_ms = DEV_RESTART_MS;
    dev_start_node(node);
    return node->pid != 0 ? NULL : "cannot be started";
}

/* Every thread of it stands: SIGSTOP alone stops the one that takes it, and the others as their
 * turn comes. */
static bool wait_stopped(pid_t pid) {
    const struct timespec nap = {.tv_nsec = 1000 * 1000};
    uint64_t deadline = dev_now_ms() + STOP_PATIENCE_MS;
    siginfo_t info = {.si_pid = 0};

    while (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == 0 &&
           dev_now_ms() < deadline) {
        (void)nanosleep(&nap, NULL);
    }
    return info.si_pid == pid;
}

static const char *pause_node(struct dev_node *node) {
    if (node->pid == 0) {
        return node->fault == DEV_KILLED ? "is killed: start it first" : "does not run";
    }
    if (node->fault == DEV_PAUSED) {
        return "is paused already";
    }
    if (kill(node->pid, SIGSTOP) != 0) {
        return "cannot be paused";
    }
    if (!wait_stopped(node->pid)) {
        (void)kill(node->pid, SIGCONT);
        return "does not stop: it ends, or waits for a disk";
    }
    node->fault = DEV_PAUSED;
    return NULL;
}

static const char *resume_node(struct dev_node *node) {
    if (node->fault != DEV_PAUSED) {
        return "is not paused";
    }
    (void)kill(node->pid, SIGCONT);
    node->fault = DEV_NO_FAULT;
    return NULL;
}

static const struct fault {
    const char *verb;
    const char *done;
    const char *(*act)(struct dev_node *node);
} faults[] = {
    {"kill", "killed", kill_node},
    {"start", "started", start_node},
    {"pause", "paused", pause_node},
    {"resume", "resumed", resume_node},
};

/* ---- whom ---- */

static struct dev_region *find_region(struct dev *dev, const char *name, size_t len) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        if (strlen(dev->regions[i].name) == len && memcmp(dev->regions[i].name, name, len) == 0) {
            return &dev->regions[i];
        }
    }
    return NULL;
}

/* The nodes that a target means: *ret_first and how many from there; 0 with the answer said. */
static size_t find_target(struct dev *dev, struct question *question, struct dev_node **ret_first) {
    const char *target = question->target;
    size_t len = strcspn(target, "/");
    struct dev_region *region = find_region(dev, target, len);
    char *end;
    unsigned long number;

    if (region == NULL) {
        say(question, "no there is no region '%.*s' here\n", (int)len, target);
        return 0;
    }
    *ret_first = region->nodes;
    if (target[len] == '\0') {
        return dev->n_nodes;
    }
    number = strtoul(target + len + 1, &end, 10);
    if (target[len + 1] < '0' || target[len + 1] > '9' || *end != '\0' || number >= dev->n_nodes) {
        say(question, "no there is no node '%s' in %s: it has %zu, counted from 0\n",
            target + len + 1, region->name, dev->n_nodes);
        return 0;
    }
    *ret_first += number;
    return 1;
}

/* A region is done when one of its nodes is: the others are so already. */
static void do_fault(struct dev *dev, struct question *question, const struct fault *fault) {
    struct dev_node *first = NULL;
    const char *reason = NULL;
    size_t n = find_target(dev, question, &first), done = 0;

    for (size_t i = 0; i < n; i++) {
        const char *why = fault->act(&first[i]);
        if (why != NULL) {
            reason = why;
            continue;
        }
        say(question, "%s %s", done == 0 ? "ok" : ",", first[i].name);
        (void)printf("%s %s on request\n", first[i].name, fault->done);
        done++;
    }
    if (done > 0) {
        say(question, " %s\n", fault->done);
    } else if (n > 0) {
        say(question, "no %s%s %s\n", n > 1 ? "each node of " : "",
            n > 1 ? question->target : first->name, reason);
    }
}

static void list_nodes(const struct dev *dev, struct question *question) {
    say(question, "ok %zu\n", dev->n_regions * dev->n_nodes);
    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            const struct dev_node *node = &dev->regions[i].nodes[j];
            char pid[16] = "-";
            if (node->pid != 0) {
                (void)snprintf(pid, sizeof(pid), "%ld", (long)node->pid);
            }
            say(question, "%s %s %s %s:%u\n", node->name,
                node->fault == DEV_KILLED   ? "killed"
                : node->fault == DEV_PAUSED ? "paused"
                : node->pid != 0            ? "running"
                                            : "ended",
                pid, dev->host, node->port);
        }
    }
}

static void answer(struct dev *dev, struct question *question) {
    if (strcmp(question->verb, "list") == 0 && question->target[0] == '\0') {
        list_nodes(dev, question);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (strcmp(question->verb, faults[i].verb) == 0) {
            do_fault(dev, question, &faults[i]);
            return;
        }
    }
    say(question, "no this redoubt dev does not know '%s'\n", question->verb);
}

/* ---- the door ---- */

enum errc dev_door_open(struct dev *dev, struct err *err) {
    dev->door = fault_listen(dev->folder, err);
    return dev->door >= 0 ? OK : err->code;
}

static bool is_ours(int fd) {
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* One line, split at its blank; false for anything else. */
static bool read_question(int fd, struct question *question) {
    uint64_t deadline = dev_now_ms() + FAULT_PATIENCE_MS;
    char line[FAULT_LINE] = "";
    size_t len = 0, verb;

    while (len == 0 || line[len - 1] != '\n') {
        ssize_t got = recv(fd, line + len, sizeof(line) - 1 - len, 0);
        if (got <= 0 || dev_now_ms() > deadline) {
            return false;
        }
        len += (size_t)got;
    }
    line[strcspn(line, "\n")] = '\0';
    verb = strcspn(line, " ");
    (void)snprintf(question->verb, sizeof(question->verb), "%.*s", (int)verb, line);
    (void)snprintf(question->target, sizeof(question->target), "%s",
                   line[verb] == ' ' ? line + verb + 1 : "");
    return true;
}

static void serve_one(struct dev *dev, int fd) {
    const struct timeval patience = {.tv_sec = FAULT_PATIENCE_MS / 1000};
    struct question question;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (!is_ours(fd) || !read_question(fd, &question)) {
        return;
    }
    buf_init(&question.answer, FAULT_ANSWER_MAX);
    answer(dev, &question);
    (void)!send(fd, question.answer.data, question.answer.len, MSG_NOSIGNAL);
    buf_fini(&question.answer);
}

/* One a turn, so that the processes are looked after however many knock. */
void dev_door_serve(struct dev *dev) {
    int fd = accept4(dev->door, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        serve_one(dev, fd);
        (void)close(fd);
    }
}

void dev_door_close(struct dev *dev) {
    char path[DEV_PATH];

    dev_path(path, dev->folder, FAULT_SOCKET);
    (void)unlink(path);
    (void)close(dev->door);
    dev->door = -1;
}
