#include "server/dev.h"

#include "base/limits.h"
#include "base/wipe.h"
#include "base/world.h"
#include "crypto/credentials.h"
#include "crypto/keyring.h"
#include "crypto/tls.h"
#include "model/secret_id.h"
#include "server/place.h"
#include "server/probe.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DEV_PATH = 4096,
    DEV_TICK_MS = 50,
    DEV_STOP_MS = 10000,
    DEV_RESTART_MS_MAX = 30000,
    DEV_STEADY_MS = 10000, /* a process that lived so long starts again with the first delay */
    DEV_PORT_STEP = 10,
};

struct dev_region {
    char name[LIMIT_REGION_NAME + 1];
    char folder[DEV_PATH];
    unsigned port;
    pid_t pid; /* 0: not running */
    uint64_t started_ms;
    uint64_t restart_ms; /* when to start it again; only while not running */
    unsigned delay_ms;
};

struct dev {
    const struct dev_options *options;
    char folder[DEV_PATH];                          /* absolute */
    struct dev_region regions[DEV_REGIONS_MAX + 1]; /* one more for a name that is too many */
    size_t n_regions;
    bool announced;
};

static uint64_t now_ms(void) {
    return world_mono_ms(world_system());
}

static bool path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* ---- files ---- */

static void path_in(char out[DEV_PATH], const char *folder, const char *name) {
    CHECK(snprintf(out, DEV_PATH, "%s/%s", folder, name) < DEV_PATH);
}

static enum errc read_regions(struct dev *dev, struct err *err) {
    const char *at = dev->options->regions;
    char folder[DEV_PATH];

    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        struct dev_region *region = &dev->regions[dev->n_regions];
        if (dev->n_regions == DEV_REGIONS_MAX) {
            return err_set(err, ERR_INVALID_PARAMETER, "--regions: at most %d", DEV_REGIONS_MAX);
        }
        if (len >= sizeof(region->name)) {
            return err_set(err, ERR_INVALID_PARAMETER, "--regions: a name is too long");
        }
        memcpy(region->name, at, len);
        if (!region_name_is_valid(region->name)) {
            return err_set(err, ERR_INVALID_PARAMETER,
                           "--regions: '%s' is no region name such as us-east-1", region->name);
        }
        for (size_t i = 0; i < dev->n_regions; i++) {
            if (strcmp(dev->regions[i].name, region->name) == 0) {
                return err_set(err, ERR_INVALID_PARAMETER, "--regions: '%s' is given twice",
                               region->name);
            }
        }
        path_in(folder, dev->folder, region->name);
        memcpy(region->folder, folder, sizeof(folder));
        region->port = dev->options->port + DEV_PORT_STEP * (unsigned)dev->n_regions;
        region->delay_ms = DEV_RESTART_MS;
        dev->n_regions++;
        at += at[len] == ',' ? len + 1 : len;
    }
    return dev->n_regions > 0 ? OK : err_set(err, ERR_INVALID_PARAMETER, "--regions is empty");
}

static enum errc make_shared_files(const struct dev *dev, struct err *err) {
    char cert[DEV_PATH], key[DEV_PATH], credentials[DEV_PATH];
    enum errc code = place_make_folder(dev->folder, err);

    path_in(cert, dev->folder, "ca.crt");
    path_in(key, dev->folder, "ca.key");
    path_in(credentials, dev->folder, "credentials");
    if (code == OK && !path_exists(cert)) {
        code = tls_ca_create(cert, key, err);
    }
    if (code == OK && !path_exists(credentials)) {
        code = credentials_create(credentials, dev->options->account, world_system(), err);
    }
    return code;
}

static enum errc make_region_keys(const struct dev *dev, const struct dev_region *region,
                                  struct err *err) {
    char ca_cert[DEV_PATH], ca_key[DEV_PATH], cert[DEV_PATH], key[DEV_PATH], root[DEV_PATH];
    enum errc code = place_make_folder(region->folder, err);

    path_in(ca_cert, dev->folder, "ca.crt");
    path_in(ca_key, dev->folder, "ca.key");
    path_in(cert, region->folder, "node.crt");
    path_in(key, region->folder, "node.key");
    path_in(root, region->folder, "root.key");
    if (code == OK && !path_exists(root)) {
        code = keyring_root_create(root, world_system(), err);
    }
    if (code == OK && !path_exists(cert)) {
        code = tls_cert_create(ca_cert, ca_key, region->name, 0, cert, key, err);
    }
    return code;
}

static int64_t rate_of(int64_t rate, unsigned percent) {
    int64_t part = rate * percent / 100;

    return part < 1 ? 1 : part > LIMIT_THROTTLE_RATE ? LIMIT_THROTTLE_RATE : part;
}

static void print_throttle(FILE *out, unsigned percent) {
    (void)fprintf(out, "[throttle]\nenabled = true\n");
#define X(group, rate, ...)                                                                        \
    (void)fprintf(out, "%s = %" PRId64 "\n", #group, rate_of((rate), percent));
#include "api/throttle.def"
#undef X
    (void)fprintf(out, "\n");
}

/* Metrics stay on this machine, whatever the rest is bound to. */
static const char *metrics_host(const struct dev *dev) {
    return place_is_loopback(dev->options->bind) ? dev->options->bind : "127.0.0.1";
}

/* Paths are relative to the file, so that the data folder can be moved. */
static void print_config(FILE *out, const struct dev *dev, const struct dev_region *region) {
    (void)fprintf(out,
                  "; Written by `redoubt dev` at every start.\n"
                  "[node]\nregion = %s\ndata = data\nlog_level = warn\n\n",
                  region->name);
    (void)fprintf(out, "[api]\nlisten = %s:%u\nworkers = 2\ncredentials = ../credentials\n%s\n",
                  dev->options->bind, region->port,
                  place_is_loopback(dev->options->bind) ? "" : "allow_plain = true\n");
    (void)fprintf(out, "[keys]\nroot_key = root.key\n\n");
    (void)fprintf(out,
                  "[peer]\nlisten = %s:%u\nca = ../ca.crt\ncert = node.crt\nkey = node.key\n\n",
                  dev->options->bind, region->port + DEV_PEER_OFFSET);
    (void)fprintf(out, "[metrics]\nlisten = %s:%u\n\n", metrics_host(dev),
                  region->port + DEV_METRICS_OFFSET);
    if (dev->options->lambda_endpoint != NULL) {
        (void)fprintf(out, "[rotation]\nlambda_endpoint = %s\n\n", dev->options->lambda_endpoint);
    }
    if (dev->options->throttle_percent > 0) {
        print_throttle(out, dev->options->throttle_percent);
    }
    (void)fprintf(out, "[peers]\n");
    for (size_t i = 0; i < dev->n_regions; i++) {
        (void)fprintf(out, "%s = %s:%u\n", dev->regions[i].name,
                      place_is_loopback(dev->options->bind) ? dev->options->bind : "127.0.0.1",
                      dev->regions[i].port + DEV_PEER_OFFSET);
    }
}

/* Keys are put below it: who else may write there could put other ones in their place. */
static enum errc check_folder(const char *path, struct err *err) {
    struct stat st;

    if (stat(path, &st) != 0) {
        return err_set(err, ERR_IO, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_IO, "%s is not a folder", path);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_uid != geteuid() && st.st_uid != 0)) {
        return err_set(err, ERR_IO, "%s can be written by others: it must be yours, with mode 0700",
                       path);
    }
    return OK;
}

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

/* Writes a file whole or not at all. */
static enum errc write_file(const char *path, const struct dev *dev,
                            const struct dev_region *region,
                            void (*print)(FILE *, const struct dev *, const struct dev_region *),
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
    print(out, dev, region);
    failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    wipe(buffer, sizeof(buffer));
    if (failed || rename(temporary, path) != 0) {
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return OK;
}

static enum errc prepare(struct dev *dev, struct err *err) {
    enum errc code = make_shared_files(dev, err);

    for (size_t i = 0; code == OK && i < dev->n_regions; i++) {
        char path[DEV_PATH];
        path_in(path, dev->regions[i].folder, "redoubt.conf");
        code = make_region_keys(dev, &dev->regions[i], err);
        if (code == OK) {
            code = write_file(path, dev, &dev->regions[i], print_config, err);
        }
    }
    return code;
}

/* ---- what the user pastes ---- */

static void print_exports(FILE *out, const struct dev *dev, const struct dev_region *unused) {
    const char *host = place_is_loopback(dev->options->bind) ? dev->options->bind : "127.0.0.1";
    char path[DEV_PATH];
    struct credentials *credentials = NULL;
    const struct secret *secret;
    const struct secret *token;
    const char *id;
    struct err err;

    path_in(path, dev->folder, "credentials");
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
    (void)fprintf(out, "export AWS_ENDPOINT_URL=http://%s:%u\n", host, dev->regions[0].port);
    (void)fprintf(out, "export AWS_ENDPOINT_URL_SECRETS_MANAGER=http://%s:%u\n", host,
                  dev->regions[0].port);
    for (size_t i = 0; i < dev->n_regions; i++) {
        char name[LIMIT_REGION_NAME + 1];
        size_t at = 0;
        for (; dev->regions[i].name[at] != '\0'; at++) {
            char c = dev->regions[i].name[at];
            name[at] = c == '-' ? '_' : (char)toupper((unsigned char)c);
        }
        name[at] = '\0';
        (void)fprintf(out, "export REDOUBT_ENDPOINT_%s=http://%s:%u\n", name, host,
                      dev->regions[i].port);
    }
    credentials_free(credentials);
}

static bool all_regions_serve(const struct dev *dev) {
    const char *host = place_is_loopback(dev->options->bind) ? dev->options->bind : "127.0.0.1";

    for (size_t i = 0; i < dev->n_regions; i++) {
        if (dev->regions[i].pid == 0 || !probe_health(host, dev->regions[i].port)) {
            return false;
        }
    }
    return true;
}

static void announce(struct dev *dev) {
    char path[DEV_PATH];
    struct err err;

    path_in(path, dev->folder, "env");
    if (write_file(path, dev, NULL, print_exports, &err) != OK) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return;
    }
    (void)printf("\nAll regions serve:\n");
    for (size_t i = 0; i < dev->n_regions; i++) {
        (void)printf("  %-16s http://%s:%u\n", dev->regions[i].name, dev->options->bind,
                     dev->regions[i].port);
    }
    (void)printf("\nPaste this into another shell (it is also in %s):\n\n", path);
    print_exports(stdout, dev, NULL);
    (void)printf("\nCtrl-C stops everything; the data stay in %s.\n", dev->folder);
    dev->announced = true;
}

/* ---- processes ---- */

static _Noreturn void become_server(const struct dev_region *region, pid_t parent) {
    char config[DEV_PATH];
    sigset_t none;

    path_in(config, region->folder, "redoubt.conf");
    /* Where dev is killed, its regions go with it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execl("/proc/self/exe", "redoubt", "server", "--config", config, (char *)NULL);
    (void)fprintf(stderr, "redoubt: cannot start a server: %s\n", strerror(errno));
    _exit(EXIT_FAILURE);
}

static void start_region(struct dev_region *region) {
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        become_server(region, parent);
    }
    region->started_ms = now_ms();
    if (pid < 0) {
        (void)fprintf(stderr, "redoubt: cannot fork: %s\n", strerror(errno));
        region->restart_ms = region->started_ms + region->delay_ms;
        return;
    }
    region->pid = pid;
}

static void note_exit(struct dev *dev, pid_t pid, int status) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        struct dev_region *region = &dev->regions[i];
        if (region->pid != pid) {
            continue;
        }
        region->pid = 0;
        if (now_ms() - region->started_ms >= DEV_STEADY_MS) {
            region->delay_ms = DEV_RESTART_MS;
        }
        region->restart_ms = now_ms() + region->delay_ms;
        (void)fprintf(stderr, "redoubt: %s ended (%s %d); it starts again in %u ms\n", region->name,
                      WIFSIGNALED(status) ? "signal" : "status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                      region->delay_ms);
        region->delay_ms =
            region->delay_ms * 2 > DEV_RESTART_MS_MAX ? DEV_RESTART_MS_MAX : region->delay_ms * 2;
    }
}

static void reap(struct dev *dev) {
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        note_exit(dev, pid, status);
    }
}

static void start_what_is_due(struct dev *dev) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        if (dev->regions[i].pid == 0 && now_ms() >= dev->regions[i].restart_ms) {
            start_region(&dev->regions[i]);
        }
    }
}

/* False when it is time to stop. */
static bool wait_a_tick(void) {
    const struct timespec tick = {.tv_nsec = DEV_TICK_MS * 1000000L};
    sigset_t signals;
    int got;

    CHECK(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
          sigaddset(&signals, SIGINT) == 0);
    got = sigtimedwait(&signals, NULL, &tick);
    return got != SIGTERM && got != SIGINT;
}

static size_t count_running(const struct dev *dev) {
    size_t running = 0;

    for (size_t i = 0; i < dev->n_regions; i++) {
        running += dev->regions[i].pid != 0;
    }
    return running;
}

static void signal_all(const struct dev *dev, int signal_number) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        if (dev->regions[i].pid != 0) {
            (void)kill(dev->regions[i].pid, signal_number);
        }
    }
}

static int stop_all(struct dev *dev) {
    uint64_t deadline = now_ms() + DEV_STOP_MS;

    (void)printf("\nStopping.\n");
    signal_all(dev, SIGTERM);
    while (count_running(dev) > 0) {
        const struct timespec tick = {.tv_nsec = DEV_TICK_MS * 1000000L};
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            for (size_t i = 0; i < dev->n_regions; i++) {
                dev->regions[i].pid = dev->regions[i].pid == pid ? 0 : dev->regions[i].pid;
            }
        }
        if (now_ms() > deadline) {
            signal_all(dev, SIGKILL);
        }
        (void)nanosleep(&tick, NULL);
    }
    return EXIT_SUCCESS;
}

static enum errc resolve_folder(struct dev *dev, struct err *err) {
    enum errc code = place_make_folder(dev->options->data, err);

    if (code == OK) {
        code = check_folder(dev->options->data, err);
    }
    if (code == OK && realpath(dev->options->data, dev->folder) == NULL) {
        code = err_set(err, ERR_IO, "cannot resolve %s: %s", dev->options->data, strerror(errno));
    }
    return code;
}

/* ---- one dev a folder, one dev a port ---- */

/* The lock is held until the process ends; the servers that it starts do not inherit it. */
static enum errc claim_folder(const struct dev *dev, struct err *err) {
    char path[DEV_PATH];
    int fd;

    path_in(path, dev->folder, "lock");
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
    for (size_t i = 0; i < dev->n_regions; i++) {
        unsigned port = dev->regions[i].port;
        if (!probe_port_is_free(dev->options->bind, port)) {
            return port;
        }
        if (!probe_port_is_free(dev->options->bind, port + DEV_PEER_OFFSET)) {
            return port + DEV_PEER_OFFSET;
        }
        if (!probe_port_is_free(metrics_host(dev), port + DEV_METRICS_OFFSET)) {
            return port + DEV_METRICS_OFFSET;
        }
    }
    return 0;
}

/* Without this, whoever listens there would answer our health checks, and we would announce its
 * server with our keys. The servers of a dev that was killed have a moment to end. */
static enum errc check_ports(const struct dev *dev, struct err *err) {
    uint64_t deadline = now_ms() + DEV_STOP_MS;
    unsigned taken = find_taken_port(dev);

    while (taken != 0 && now_ms() < deadline && wait_a_tick()) {
        taken = find_taken_port(dev);
    }
    if (taken != 0) {
        return err_set(err, ERR_IO, "cannot listen on %s:%u: is it in use? Give another --port",
                       dev->options->bind, taken);
    }
    return OK;
}

int dev_run(const struct dev_options *options) {
    static struct dev dev; /* large, and there is one */
    char env_path[DEV_PATH];
    struct err err;

    dev.options = options;
    if (resolve_folder(&dev, &err) != OK || claim_folder(&dev, &err) != OK ||
        read_regions(&dev, &err) != OK ||
        (!options->only_prepare && check_ports(&dev, &err) != OK) || prepare(&dev, &err) != OK) {
        (void)fprintf(stderr, "redoubt: %s\n", err.message);
        return EXIT_FAILURE;
    }
    if (options->only_prepare) {
        return EXIT_SUCCESS;
    }
    path_in(env_path, dev.folder, "env");
    (void)unlink(env_path); /* its appearance says that all regions serve */
    (void)printf("Starting %zu regions in %s\n", dev.n_regions, dev.folder);
    do {
        reap(&dev);
        start_what_is_due(&dev);
        if (!dev.announced && all_regions_serve(&dev)) {
            announce(&dev);
        }
    } while (wait_a_tick());
    return stop_all(&dev);
}
