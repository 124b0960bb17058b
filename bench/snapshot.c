/* What it costs to give a node the whole state: a checkpoint made, fetched over loopback TLS
 * through the real peer door, finished, switched to and opened; times and peak memory. Beside it,
 * as the reference, the same files copied and synced by a plain loop.
 *
 *   snapshot [SECRETS]     (default 100000, of 1 KiB each)
 *
 * The node that fetches is a process of its own, so that its memory is its own. Folders lie in
 * TMPDIR and are removed. */
#include "api/http_server.h"
#include "api/request.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/world.h"
#include "cluster/installer.h"
#include "storage/checkpoint.h"
#include "storage/txn.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ACCOUNT "123456789012"
#define REGION  "us-east-1"

enum { VALUE = 1024, BATCH = 64, HOLDER = 0x11, JOINER = 0x12, PATH = 512 };

static const char *program;
static char root[PATH / 2];

struct path {
    char text[PATH];
};

static struct path in(const char *name) {
    struct path path;

    (void)snprintf(path.text, sizeof(path.text), "%s/%s", root, name);
    return path;
}

static void must(enum errc code, const struct err *err) {
    if (code != OK) {
        (void)fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

static uint64_t now_ms(void) {
    return world_mono_ms(world_system());
}

/* Peak resident memory, MiB. */
static unsigned peak_mib(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long kib = 0;

    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtoul(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    return (unsigned)(kib / 1024);
}

static void reset_peak(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY);

    CHECK(fd >= 0 && write(fd, "5", 1) == 1);
    (void)close(fd);
}

/* Of this process, both kinds, milliseconds: where neighbours make the clock say little. */
static uint64_t cpu_ms(void) {
    struct timespec used;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

static struct { uint64_t ms, cpu_ms; } begun;

static void begin(void) {
    begun.ms = now_ms();
    begun.cpu_ms = cpu_ms();
}

/* Since begin. */
static void row(const char *what, uint64_t bytes, unsigned mib) {
    uint64_t ms = now_ms() - begun.ms;

    (void)printf("%-34s %8" PRIu64 " ms %8" PRIu64 " ms", what, ms, cpu_ms() - begun.cpu_ms);
    if (bytes > 0) {
        (void)printf(" %7.0f MiB/s", (double)bytes / 1048576 * 1000 / (double)(ms ? ms : 1));
    } else {
        (void)printf(" %13s", "");
    }
    (void)printf(" %6u MiB\n", mib);
    (void)fflush(stdout);
}

/* ---- The store ---- */

static void fill(struct engine *engine, uint64_t secrets) {
    struct txn *txn = txn_new(engine);
    static uint8_t value[VALUE];

    for (uint64_t i = 1; i <= secrets; i++) {
        Redoubt__Secret secret = REDOUBT__SECRET__INIT;
        Redoubt__Sealed sealed = REDOUBT__SEALED__INIT;
        char suffix[] = "AbCdEf";
        char description[] = "Credentials of the service's database";
        char name[64];

        (void)snprintf(name, sizeof(name), "prod/service-%" PRIu64 "/database", i);
        world_random(world_system(), value, sizeof(value));
        secret.name = name;
        secret.suffix = suffix;
        secret.description = description;
        secret.has_created_seq = 1;
        secret.created_seq = i;
        sealed.has_ciphertext = 1;
        sealed.ciphertext.data = value;
        sealed.ciphertext.len = sizeof(value);
        txn_put_secret(txn, ACCOUNT, &secret);
        txn_put_value(txn, ACCOUNT, name, "11111111-2222-3333-4444-555555555555", &sealed);
        if (i % BATCH == 0 || i == secrets) {
            txn_commit(txn, i);
        }
    }
    txn_free(txn);
}

static uint64_t state_hash(struct engine *engine) {
    struct view *view = view_new(engine);
    uint64_t hash = 0;

    CHECK(view_state_hash(view, &hash) == OK);
    view_free(view);
    return hash;
}

static uint64_t bytes_of(const struct checkpoint_manifest *manifest) {
    uint64_t bytes = 0;

    for (size_t i = 0; i < manifest->n_files; i++) {
        bytes += manifest->files[i].size;
    }
    return bytes;
}

/* The reference: the same files, copied and synced. */
static void copy(const struct checkpoint_manifest *manifest) {
    struct path from, to;
    char *piece = malloc(LIMIT_SNAPSHOT_CHUNK);

    CHECK(piece != NULL && mkdir(in("copy").text, 0700) == 0);
    begin();
    for (size_t i = 0; i < manifest->n_files; i++) {
        char name[128];
        ssize_t got;
        int in_fd, out_fd;
        (void)snprintf(name, sizeof(name), "from/checkpoints/%s/%s", manifest->id,
                       manifest->files[i].name);
        from = in(name);
        (void)snprintf(name, sizeof(name), "copy/%s", manifest->files[i].name);
        to = in(name);
        in_fd = open(from.text, O_RDONLY | O_CLOEXEC);
        out_fd = open(to.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(in_fd >= 0 && out_fd >= 0);
        while ((got = read(in_fd, piece, LIMIT_SNAPSHOT_CHUNK)) > 0) {
            CHECK(write(out_fd, piece, (size_t)got) == got);
        }
        CHECK(got == 0 && fsync(out_fd) == 0);
        (void)close(in_fd);
        (void)close(out_fd);
    }
    free(piece);
    row("reference: files copied, synced", bytes_of(manifest), peak_mib());
}

/* ---- The node that fetches: `snapshot --fetch ROOT PORT` ---- */

static sem_t fetched;

static void ready(void *arg) {
    (void)sem_post(&fetched);
}

static struct core_snapshot snapshot_from_file(void) {
    FILE *file = fopen(in("manifest").text, "r");
    uint8_t *bytes = malloc(LIMIT_MANIFEST);
    struct checkpoint_manifest *manifest = NULL;
    struct core_snapshot snapshot = {.term = 1, .configuration_index = 1};

    CHECK(file != NULL && bytes != NULL);
    snapshot.manifest = (struct core_bytes){bytes, fread(bytes, 1, LIMIT_MANIFEST, file)};
    (void)fclose(file);
    CHECK(checkpoint_manifest_decode(bytes, snapshot.manifest.len, &manifest) == OK);
    snapshot.index = manifest->applied;
    checkpoint_manifest_free(manifest);
    return snapshot;
}

static void fetch_files(const char *port, const struct core_snapshot *snapshot, char *ret_id) {
    struct path ca = in("ca.pem"), cert = in("joiner.pem"), key = in("joiner.key"), to = in("to");
    const struct peer_client_options options = {
        .tls = {.ca_path = ca.text, .cert_path = cert.text, .key_path = key.text},
        .own_region = REGION};
    struct installer_options install = {
        .data = to.text, .world = world_system(), .ready_cb = ready};
    struct peer_client *peers = NULL;
    struct installer *installer = NULL;
    struct installer_status status;
    char address[64];
    const char *id = NULL;
    struct err err;

    CHECK(sem_init(&fetched, 0, 0) == 0 && mkdir(to.text, 0700) == 0);
    must(peer_client_new(&options, &peers, &err), &err);
    must(peer_client_start(peers, &err), &err);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", port);
    peer_client_set_node(peers, HOLDER, address);
    install.peers = peers;
    must(installer_new(&install, &installer, &err), &err);
    begin();
    CHECK(installer_fetch(installer, snapshot) == OK);
    while (sem_wait(&fetched) != 0) {
    }
    installer_status(installer, &status);
    if (installer_fetched(installer, &id) == NULL) {
        (void)fprintf(stderr, "%s\n", status.error);
        exit(1);
    }
    row("fetched over TLS, digests checked", status.bytes, peak_mib());
    (void)snprintf(ret_id, CHECKPOINT_ID, "%s", id);
    installer_free(installer);
    peer_client_stop(peers);
}

static int fetch(const char *port) {
    struct core_snapshot snapshot = snapshot_from_file();
    struct path to = in("to"), store = in("to/store");
    struct engine_options options = {.path = store.text};
    const struct log_snapshot meta = {
        .index = snapshot.index, .term = snapshot.term, .configuration_index = 1};
    struct engine *engine = NULL;
    char id[CHECKPOINT_ID];
    bool was_switched = false;
    struct err err;

    fetch_files(port, &snapshot, id);
    /* The store that it had: one that waits to be joined. */
    must(engine_open(&options, &engine, &err), &err);
    engine_close(engine);
    reset_peak();
    begin();
    must(incoming_finish(to.text, id, 1, 0, &meta, &err), &err);
    row("finished", 0, peak_mib());
    begin();
    must(store_switch(to.text, &was_switched, &err), &err);
    CHECK(was_switched);
    row("switched", 0, peak_mib());
    begin();
    must(engine_open(&options, &engine, &err), &err);
    row("opened", 0, peak_mib());
    (void)printf("state hash there: %016" PRIx64 "\n", state_hash(engine));
    engine_close(engine);
    free((void *)(uintptr_t)snapshot.manifest.data);
    return 0;
}

/* ---- The node that holds ---- */

static void certificates(void) {
    struct err err;

    must(tls_ca_create(in("ca.pem").text, in("ca.key").text, &err), &err);
    must(tls_cert_create(in("ca.pem").text, in("ca.key").text, REGION, HOLDER,
                         in("holder.pem").text, in("holder.key").text, &err),
         &err);
    must(tls_cert_create(in("ca.pem").text, in("ca.key").text, REGION, JOINER,
                         in("joiner.pem").text, in("joiner.key").text, &err),
         &err);
}

static struct http_server *serve(struct service *service, struct tls_context **ret_tls) {
    struct path ca = in("ca.pem"), cert = in("holder.pem"), key = in("holder.key");
    const struct tls_files files = {ca.text, cert.text, key.text};
    struct http_server *server = NULL;
    struct listener_options options = {.address = "127.0.0.1:0",
                                       .body_max = LIMIT_PEER_BODY,
                                       .need_peer_region = true,
                                       .handler = peer_handle,
                                       .arg = service};
    struct err err;

    must(tls_server_new(&files, ret_tls, &err), &err);
    options.tls = *ret_tls;
    must(http_server_new(1, &server, &err), &err);
    must(http_server_listen(server, &options, &err), &err);
    must(http_server_start(server, &err), &err);
    return server;
}

static void make(struct engine *engine, const char *what, struct checkpoint_manifest **ret) {
    struct path from = in("from");
    struct err err;

    reset_peak();
    begin();
    must(checkpoint_make(engine, from.text, world_system(), HOLDER, ret, &err), &err);
    row(what, bytes_of(*ret), peak_mib());
}

static void write_manifest(const struct checkpoint_manifest *manifest) {
    FILE *file = fopen(in("manifest").text, "w");
    struct buf bytes;

    buf_init(&bytes, LIMIT_MANIFEST);
    CHECK(file != NULL && checkpoint_manifest_encode(manifest, &bytes) == OK);
    CHECK(fwrite(bytes.data, 1, bytes.len, file) == bytes.len && fclose(file) == 0);
    (void)printf("%zu files, %.1f MiB, manifest of %zu bytes\n", manifest->n_files,
                 (double)bytes_of(manifest) / 1048576, bytes.len);
    buf_fini(&bytes);
}

static void run_joiner(unsigned port) {
    char text[16];
    int status = 1;
    pid_t child;

    (void)snprintf(text, sizeof(text), "%u", port);
    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        execl(program, program, "--fetch", root, text, NULL);
        _exit(127);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    return remove(path);
}

static int measure(uint64_t secrets) {
    struct path from = in("from"), store = in("from/store");
    const struct engine_options options = {.path = store.text};
    struct service service = {.region = REGION, .data = from.text, .world = world_system()};
    struct checkpoint_manifest *first = NULL, *second = NULL;
    struct engine *engine = NULL;
    struct tls_context *tls = NULL;
    struct http_server *server;
    struct err err;

    CHECK(mkdir(from.text, 0700) == 0);
    certificates();
    must(engine_open(&options, &engine, &err), &err);
    fill(engine, secrets);
    (void)printf("%" PRIu64 " secrets of %d bytes\n%-34s %11s %11s %13s %10s\n", secrets, VALUE, "",
                 "time", "processor", "", "peak");
    make(engine, "made", &first);
    make(engine, "made again, tables known", &second);
    write_manifest(second);
    copy(second);
    server = serve(&service, &tls);
    reset_peak();
    run_joiner(http_server_port(server, 0));
    (void)printf("state hash here:  %016" PRIx64 "\n", state_hash(engine));
    http_server_stop(server, 0);
    tls_context_free(tls);
    checkpoint_manifest_free(first);
    checkpoint_manifest_free(second);
    engine_close(engine);
    return 0;
}

int main(int argc, char **argv) {
    const char *tmp = getenv("TMPDIR");
    int status;

    program = argv[0];
    tls_global_init();
    if (argc == 4 && strcmp(argv[1], "--fetch") == 0) {
        (void)snprintf(root, sizeof(root), "%s", argv[2]);
        return fetch(argv[3]);
    }
    (void)snprintf(root, sizeof(root), "%s/redoubt-snapshot-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(root) != NULL);
    status = measure(argc > 1 ? strtoul(argv[1], NULL, 10) : 100000);
    CHECK(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return status;
}
