#include "server/dev.h"

#include "base/crashpoint.h"
#include "base/wipe.h"
#include "base/world.h"
#include "crypto/credentials.h"
#include "server/dev_internal.h"
#include "server/place.h"
#include "server/probe.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

uint64_t dev_now_ms(void) {
    return world_mono_ms(world_system());
}

void dev_path(char out[DEV_PATH], const char *folder, const char *name) {
    CHECK(snprintf(out, DEV_PATH, "%s/%s", folder, name) < DEV_PATH);
}

bool dev_path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* ---- files ---- */

/* A new file, ours alone; one that somebody left under the name is not written to. */
static FILE *create_file(const char *path) {
    FILE *out;
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return NULL;
    }
    out = fdopen(fd, "w");
    if (out == NULL) {
        (void)close(fd);
    }
    return out;
}

enum errc dev_write_file(const char *path, dev_print_fn *print, const struct dev *dev,
                         const struct dev_region *region, const struct dev_node *node,
                         struct err *err) {
    char temporary[DEV_PATH + 8];
    char buffer[BUFSIZ];
    FILE *out;
    bool failed;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    out = create_file(temporary);
    if (out == NULL) {
        return err_set(err, ERR_IO, "cannot write %s: %s", temporary, strerror(errno));
    }
    /* Ours, so that it can be wiped: the file may hold the access key. */
    (void)setvbuf(out, buffer, _IOFBF, sizeof(buffer));
    print(out, dev, region, node);
    failed = ferror(out) != 0;
    failed = fflush(out) != 0 || fsync(fileno(out)) != 0 || failed;
    failed = fclose(out) != 0 || failed;
    wipe(buffer, sizeof(buffer));
    CRASHPOINT(DEV_FILE_WRITTEN);
    if (failed || rename(temporary, path) != 0) {
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return OK;
}

/* ---- what the user pastes ---- */

static void print_exports(FILE *out, const struct dev *dev, const struct dev_region *region,
                          const struct dev_node *node) {
    char path[DEV_PATH];
    struct credentials *credentials = NULL;
    const struct secret *secret;
    const struct secret *token;
    const char *id;
    struct err err;

    dev_path(path, dev->folder, "credentials");
    if (credentials_load(path, &credentials, &err) != OK) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return;
    }
    credentials_first(credentials, &id, &secret, &token);
    (void)fprintf(out, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%.*s\n", id,
                  (int)secret->len, (const char *)secret->data);
    if (token != NULL) {
        (void)fprintf(out, "export AWS_SESSION_TOKEN=%.*s\n", (int)token->len,
                      (const char *)token->data);
    }
    (void)fprintf(out, "export AWS_DEFAULT_REGION=%s\n", dev->regions[0].name);
    (void)fprintf(out, "export AWS_ENDPOINT_URL=http://%s:%u\n", dev->host,
                  dev->regions[0].nodes[0].port);
    (void)fprintf(out, "export AWS_ENDPOINT_URL_SECRETS_MANAGER=http://%s:%u\n", dev->host,
                  dev->regions[0].nodes[0].port);
    for (size_t i = 0; i < dev->n_regions; i++) {
        char name[LIMIT_REGION_NAME + 1];
        size_t at = 0;
        for (; dev->regions[i].name[at] != '\0'; at++) {
            char c = dev->regions[i].name[at];
            name[at] = c == '-' ? '_' : (char)toupper((unsigned char)c);
        }
        name[at] = '\0';
        (void)fprintf(out, "export REDOUBT_ENDPOINT_%s=http://%s:%u\n", name, dev->host,
                      dev->regions[i].nodes[0].port);
    }
    credentials_free(credentials);
}

/* All that shall: a node that was failed on purpose is not waited for. */
static bool all_nodes_serve(const struct dev *dev) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            const struct dev_node *node = &dev->regions[i].nodes[j];
            if (node->fault == DEV_NO_FAULT &&
                (node->pid == 0 || !probe_health(dev->host, node->port))) {
                return false;
            }
        }
    }
    return true;
}

static void announce(struct dev *dev) {
    char path[DEV_PATH];
    struct err err;

    dev_path(path, dev->folder, "env");
    if (dev_write_file(path, print_exports, dev, NULL, NULL, &err) != OK) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return;
    }
    (void)printf("\nAll regions serve:\n");
    for (size_t i = 0; i < dev->n_regions; i++) {
        (void)printf("  %-16s", dev->regions[i].name);
        for (size_t j = 0; j < dev->n_nodes; j++) {
            (void)printf(" http://%s:%u", dev->options->bind, dev->regions[i].nodes[j].port);
        }
        (void)printf("\n");
    }
    (void)printf("\nPaste this into another shell (it is also in %s):\n\n", path);
    print_exports(stdout, dev, NULL, NULL);
    (void)printf("\nCtrl-C stops everything; the data stay in %s.\n", dev->folder);
    dev->announced = true;
}

/* ---- signals ---- */

static enum errc watch_signals(struct dev *dev, struct err *err) {
    sigset_t signals;

    CHECK(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
          sigaddset(&signals, SIGINT) == 0);
    dev->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return dev->signals >= 0 ? OK
                             : err_set(err, ERR_IO, "cannot wait for signals: %s", strerror(errno));
}

bool dev_wait(const struct dev *dev) {
    struct pollfd fds[] = {{.fd = dev->signals, .events = POLLIN},
                           {.fd = dev->door, .events = POLLIN}};

    (void)poll(fds, ARRAY_LEN(fds), DEV_TICK_MS);
    return (fds[0].revents & POLLIN) == 0;
}

/* ---- one dev a folder, one dev a port ---- */

/* The lock is held until the process ends; the servers that it starts do not inherit it. */
static enum errc claim_folder(const struct dev *dev, struct err *err) {
    char path[DEV_PATH];
    int fd;

    dev_path(path, dev->folder, "lock");
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return err_set(err, ERR_IO, "another redoubt dev runs on %s: stop it, or give --data",
                       dev->folder);
    }
    return OK;
}

/* 0 where all ports are free. */
static unsigned find_taken_port(const struct dev *dev) {
    const struct {
        const char *host;
        unsigned offset;
    } doors[] = {{dev->options->bind, 0},
                 {dev->options->bind, DEV_PEER_OFFSET},
                 {dev->options->bind, DEV_RAFT_OFFSET},
                 {dev->host, DEV_METRICS_OFFSET}};

    for (size_t i = 0; i < dev->n_regions; i++) {
        for (size_t j = 0; j < dev->n_nodes; j++) {
            for (size_t k = 0; k < ARRAY_LEN(doors); k++) {
                unsigned port = dev->regions[i].nodes[j].port + doors[k].offset;
                if (!probe_port_is_free(doors[k].host, port)) {
                    return port;
                }
            }
        }
    }
    return 0;
}

/* Without this, whoever listens there would answer our health checks, and we would announce its
 * server with our keys. The servers of a dev that was killed have a moment to end. */
static enum errc check_ports(const struct dev *dev, struct err *err) {
    uint64_t deadline = dev_now_ms() + DEV_STOP_MS;
    unsigned taken = find_taken_port(dev);

    while (taken != 0 && dev_now_ms() < deadline && dev_wait(dev)) {
        taken = find_taken_port(dev);
    }
    if (taken != 0) {
        return err_set(err, ERR_IO, "cannot listen on %s:%u: is it in use? Give another --port",
                       dev->options->bind, taken);
    }
    return OK;
}

static enum errc prepare(struct dev *dev, const struct dev_options *options, struct err *err) {
    enum errc code = watch_signals(dev, err);

    if (code == OK) {
        code = dev_layout_open(dev, options, err);
    }
    if (code == OK) {
        code = claim_folder(dev, err);
    }
    if (code == OK && !options->only_prepare) {
        code = check_ports(dev, err);
    }
    if (code == OK) {
        code = dev_layout_prepare(dev, err);
    }
    if (code == OK && !options->only_prepare) {
        code = dev_door_open(dev, err);
    }
    return code;
}

int dev_run(const struct dev_options *options) {
    static struct dev dev; /* large, and there is one */
    char env_path[DEV_PATH];
    struct err err;

    dev.door = -1;
    if (prepare(&dev, options, &err) != OK) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return EXIT_FAILURE;
    }
    if (options->only_prepare) {
        return EXIT_SUCCESS;
    }
    dev_path(env_path, dev.folder, "env");
    (void)unlink(env_path); /* its appearance says that all regions serve */
    (void)printf("Starting %zu regions in %s\n", dev.n_regions, dev.folder);
    do {
        dev_supervise(&dev);
        dev_door_serve(&dev);
        if (!dev.announced && all_nodes_serve(&dev)) {
            announce(&dev);
        }
    } while (dev_wait(&dev));
    (void)printf("\nStopping.\n");
    dev_door_close(&dev);
    dev_stop_all(&dev);
    return EXIT_SUCCESS;
}
