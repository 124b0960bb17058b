/* The processes of `redoubt dev`: started, started again when they end by themselves, left alone
 * when they were failed on purpose, and stopped at the end. */
#include "server/dev_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DEV_RESTART_MS_MAX = 30000,
    DEV_STEADY_MS = 10000, /* a process that lived so long starts again with the first delay */
};

/* Between fork and exec: nothing that may wait for another thread's lock. */
static _Noreturn void become_server(const char *config, pid_t parent) {
    static const char failed[] = "redoubt: cannot start a server\n";
    sigset_t none;

    /* Where dev is killed, its nodes go with it, also one that is paused: that takes no SIGTERM. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execl("/proc/self/exe", "redoubt", "server", "--config", config, (char *)NULL);
    (void)!write(STDERR_FILENO, failed, sizeof(failed) - 1);
    _exit(EXIT_FAILURE);
}

void dev_start_node(struct dev_node *node) {
    pid_t parent = getpid();
    char config[DEV_PATH];
    pid_t pid;

    dev_path(config, node->folder, "redoubt.conf");
    pid = fork();
    if (pid == 0) {
        become_server(config, parent);
    }
    node->fault = DEV_NO_FAULT;
    node->started_ms = dev_now_ms();
    if (pid < 0) {
        (void)fprintf(stderr, "redoubt: cannot fork: %s\n", strerror(errno));
        node->restart_ms = node->started_ms + node->delay_ms;
        return;
    }
    node->pid = pid;
}

static struct dev_node *find_process(struct dev *dev, pid_t pid) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            if (dev->regions[i].nodes[j].pid == pid) {
                return &dev->regions[i].nodes[j];
            }
        }
    }
    return NULL;
}

static void note_exit(struct dev_node *node, int status) {
    node->pid = 0;
    if (node->fault == DEV_KILLED) {
        return;
    }
    node->fault = DEV_NO_FAULT;
    if (dev_now_ms() - node->started_ms >= DEV_STEADY_MS) {
        node->delay_ms = DEV_RESTART_MS;
    }
    node->restart_ms = dev_now_ms() + node->delay_ms;
    (void)fprintf(stderr, "redoubt: %s ended (%s %d); it starts again in %u ms\n", node->name,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), node->delay_ms);
    node->delay_ms =
        node->delay_ms * 2 > DEV_RESTART_MS_MAX ? DEV_RESTART_MS_MAX : node->delay_ms * 2;
}

void dev_supervise(struct dev *dev) {
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct dev_node *node = find_process(dev, pid);
        if (node != NULL) {
            note_exit(node, status);
        }
    }
    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            struct dev_node *node = &dev->regions[i].nodes[j];
            if (node->pid == 0 && node->fault == DEV_NO_FAULT && dev_now_ms() >= node->restart_ms) {
                dev_start_node(node);
            }
        }
    }
}

static void sleep_a_tick(void) {
    const struct timespec tick = {.tv_nsec = DEV_TICK_MS * 1000000L};

    (void)nanosleep(&tick, NULL);
}

void dev_kill_node(struct dev_node *node) {
    int status;

    node->fault = DEV_KILLED;
    if (node->pid != 0) {
        (void)kill(node->pid, SIGKILL);
        while (waitpid(node->pid, &status, 0) < 0 && errno == EINTR) {
        }
        node->pid = 0;
    }
}

/* One that is paused is woken to see the signal. */
static size_t signal_all(const struct dev *dev, int signal_number) {
    size_t running = 0;

    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            pid_t pid = dev->regions[i].nodes[j].pid;
            if (pid == 0) {
                continue;
            }
            running++;
            if (signal_number != 0) {
                (void)kill(pid, signal_number);
                (void)kill(pid, SIGCONT);
            }
        }
    }
    return running;
}

void dev_stop_all(struct dev *dev) {
    uint64_t deadline = dev_now_ms() + DEV_STOP_MS;

    (void)signal_all(dev, SIGTERM);
    while (signal_all(dev, dev_now_ms() > deadline ? SIGKILL : 0) > 0) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            struct dev_node *node = find_process(dev, pid);
            if (node != NULL) {
                node->pid = 0;
            }
        }
        sleep_a_tick();
    }
}
