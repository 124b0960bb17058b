/* The installer against real servers with TLS that hold a checkpoint, die, lie, and lose it. */
#include "cluster/installer.h"

#include "tests/unit/peer_server.h"

#include "storage_checkpoint_rig.h"

#include <signal.h>

static char from[SCRATCH_PATH];
static char to[SCRATCH_PATH];
static struct checkpoint_manifest *manifest;
static struct rig_state expected;
static struct peer_client *client;
static struct installer *installer;

/* ---- The node that holds the checkpoint ---- */

static struct {
    atomic_int n_served;
    atomic_int die_after;  /* answers; -1: never */
    atomic_int lie_until;  /* answers */
    atomic_int status;     /* 0: what is right */
    atomic_bool cut_short; /* one byte of what was asked for */
} holder;

static bool answer(struct server *server, SSL *ssl, const struct request *request) {
    struct checkpoint_request asked = {.len = 0};
    struct buf piece;
    struct err err;
    enum errc code;
    bool good;
    int number = atomic_fetch_add(&holder.n_served, 1);
    int die_after = atomic_load(&holder.die_after);

    assert_string_equal(request->path, "/v1/snapshot");
    assert_string_equal(request->region, "us-east-1");
    assert_int_equal(checkpoint_request_decode(request->body.data, request->body.len, &asked), OK);
    if (die_after >= 0 && number >= die_after) {
        (void)send_head(ssl, 200, "", asked.len); /* and no body */
        return false;
    }
    if (atomic_load(&holder.status) != 0) {
        return send_head(ssl, atomic_load(&holder.status), "", 4) && send_all(ssl, "why?", 4);
    }
    buf_init(&piece, LIMIT_SNAPSHOT_CHUNK);
    if (atomic_load(&holder.cut_short)) {
        asked.len = (asked.len + 1) / 2;
    }
    code = checkpoint_read(from, asked.id, asked.file, asked.offset, asked.len, &piece, &err);
    if (code == OK && number < atomic_load(&holder.lie_until)) {
        piece.data[piece.len / 2] ^= 1;
    }
    good = code == OK ? send_head(ssl, 200, "", piece.len) && send_all(ssl, piece.data, piece.len)
                      : send_head(ssl, 404, "", 0);
    buf_fini(&piece);
    return good;
}

static struct server *start_node(int cert) {
    return server_start(paths[cert], paths[cert + 1], TLS1_3_VERSION, 0, answer, NULL);
}

static void point_to(uint64_t node, const struct server *server) {
    char address[64];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", server->port);
    peer_client_set_node(client, node, address);
}

/* ---- The node that installs ---- */

static atomic_int n_ready;

static void ready(void *arg) {
    (void)atomic_fetch_add(&n_ready, 1);
}

static void install_open(void) {
    const struct installer_options options = {
        .data = to, .peers = client, .world = world_system(), .ready_cb = ready};

    assert_ok(installer_new(&options, &installer, ERR));
}

static void wait_ready(int n) {
    for (int i = 0; atomic_load(&n_ready) < n; i++) {
        if (i == 60000) {
            struct installer_status status;
            installer_status(installer, &status);
            fail_msg("not ready: %" PRIu64 " of %" PRIu64 ": %s", status.bytes, status.bytes_total,
                     status.error);
        }
        (void)usleep(1000);
    }
    assert_int_equal(atomic_load(&n_ready), n);
}

static void wait_error(const char *text) {
    struct installer_status status;

    for (int i = 0;; i++) {
        installer_status(installer, &status);
        if (strstr(status.error, text) != NULL) {
            return;
        }
        if (i == 30000) {
            fail_msg("'%s' was not said, but '%s'", text, status.error);
        }
        (void)usleep(1000);
    }
}

static void wait_bytes(uint64_t least) {
    struct installer_status status = {.bytes = 0};

    for (int i = 0; status.bytes < least; i++) {
        assert_true(i < 30000);
        (void)usleep(1000);
        installer_status(installer, &status);
    }
}

static struct core_snapshot snapshot_of(const struct checkpoint_manifest *of, struct buf *bytes) {
    static const uint8_t configuration[] = "who is who";

    buf_reset(bytes);
    assert_int_equal(checkpoint_manifest_encode(of, bytes), OK);
    return (struct core_snapshot){.index = of->applied,
                                  .term = 3,
                                  .configuration_index = 1,
                                  .configuration = {configuration, sizeof(configuration)},
                                  .manifest = {bytes->data, bytes->len}};
}

static void fetch(const struct checkpoint_manifest *of) {
    struct buf bytes;
    struct core_snapshot snapshot;

    buf_init(&bytes, LIMIT_MANIFEST);
    snapshot = snapshot_of(of, &bytes);
    assert_int_equal(installer_fetch(installer, &snapshot), OK);
    buf_fini(&bytes); /* it has its own */
}

/* As the server does it: with the house closed. */
static void assert_fetched(const struct checkpoint_manifest *of) {
    const char *id = NULL;
    const struct core_snapshot *snapshot = installer_fetched(installer, &id);
    struct installer_status status;
    struct log_snapshot row;
    struct engine *engine;
    bool was_switched = false;

    assert_non_null(snapshot);
    assert_string_equal(id, of->id);
    assert_int_equal(snapshot->index, of->applied);
    assert_string_equal((const char *)snapshot->configuration.data, "who is who");
    installer_status(installer, &status);
    assert_false(status.is_running);
    assert_string_equal(status.error, "");
    assert_int_equal(status.bytes, status.bytes_total);
    assert_int_equal(status.index, of->applied);
    row = (struct log_snapshot){.index = snapshot->index,
                                .term = snapshot->term,
                                .configuration_index = snapshot->configuration_index,
                                .configuration = snapshot->configuration.data,
                                .configuration_len = snapshot->configuration.len};
    assert_ok(incoming_finish(to, id, 5, 0, &row, ERR));
    assert_ok(store_switch(to, &was_switched, ERR));
    assert_true(was_switched);
    engine = rig_open(to);
    assert_int_equal(rig_state(engine).applied, expected.applied);
    assert_int_equal(rig_state(engine).hash, expected.hash);
    engine_close(engine);
}

static struct peer_client *client_start(void) {
    const struct peer_client_options options = {.tls = {.ca_path = paths[CA],
                                                        .cert_path = paths[NODE_TWO],
                                                        .key_path = paths[NODE_TWO_KEY]},
                                                .own_region = "us-east-1"};
    struct peer_client *made = NULL;

    assert_ok(peer_client_new(&options, &made, ERR));
    assert_ok(peer_client_start(made, ERR));
    return made;
}

/* A checkpoint of some MiB in several files, held by node 0x11. */
static int group_setup(void **state) {
    struct engine *engine;

    (void)make_certificates(state);
    scratch_make(from);
    engine = rig_open(from);
    rig_fill(engine, 1, 4000);
    assert_ok(checkpoint_make(engine, from, world_system(), 0x11, &manifest, ERR));
    engine_close(engine);
    return 0;
}

static int group_teardown(void **state) {
    checkpoint_manifest_free(manifest);
    scratch_remove(from);
    return remove_certificates(state);
}

static void expect_source(void) {
    struct engine *engine = rig_open(from);

    expected = rig_state(engine);
    engine_close(engine);
}

static int setup(void **state) {
    scratch_make(to);
    if (expected.applied == 0) {
        expect_source();
    }
    atomic_store(&holder.n_served, 0);
    atomic_store(&holder.die_after, -1);
    atomic_store(&holder.lie_until, 0);
    atomic_store(&holder.status, 0);
    atomic_store(&holder.cut_short, false);
    atomic_store(&n_ready, 0);
    client = client_start();
    install_open();
    return 0;
}

static int teardown(void **state) {
    installer_free(installer);
    peer_client_stop(client);
    scratch_remove(to);
    return 0;
}

/* ---- Tests ---- */

static void test_fetches(void **state) {
    struct server *server = start_node(NODE_ONE);

    point_to(0x11, server);
    fetch(manifest);
    wait_ready(1);
    assert_int_equal(atomic_load(&server->n_connections), 1);
    assert_fetched(manifest);
    server_stop(server);
}

static void test_short_answers(void **state) {
    struct server *server = start_node(NODE_ONE);

    atomic_store(&holder.cut_short, true);
    point_to(0x11, server);
    fetch(manifest);
    wait_ready(1);
    assert_fetched(manifest);
    server_stop(server);
}

/* It dies in the middle and comes back elsewhere. What was fetched is not fetched again. */
static void test_server_dies(void **state) {
    struct server *server = start_node(NODE_ONE);
    struct installer_status status;
    uint64_t before;

    atomic_store(&holder.die_after, 3);
    point_to(0x11, server);
    fetch(manifest);
    for (int i = 0; atomic_load(&holder.n_served) < 5; i++) {
        assert_true(i < 30000);
        (void)usleep(1000);
    }
    installer_status(installer, &status);
    assert_true(status.is_running);
    before = status.bytes;
    assert_true(before > 0 && before < status.bytes_total);
    server_stop(server);
    wait_error("onnect"); /* "Failed to connect", "Connection refused" */
    atomic_store(&holder.die_after, -1);
    atomic_store(&holder.n_served, 0);
    server = start_node(NODE_ONE);
    point_to(0x11, server);
    wait_ready(1);
    /* Pieces of the rest only. */
    assert_in_range(atomic_load(&holder.n_served), 1,
                    manifest->n_files + (status.bytes_total - before) / LIMIT_SNAPSHOT_CHUNK + 1);
    assert_fetched(manifest);
    server_stop(server);
}

/* The process that fetches dies; the next one goes on with what is there. */
static void test_installer_dies(void **state) {
    struct server *server = start_node(NODE_ONE);
    struct installer_status status;

    atomic_store(&holder.die_after, 3);
    point_to(0x11, server);
    fetch(manifest);
    wait_bytes(LIMIT_SNAPSHOT_CHUNK);
    installer_free(installer);
    atomic_store(&holder.die_after, 0);
    install_open();
    fetch(manifest);
    wait_bytes(LIMIT_SNAPSHOT_CHUNK); /* without an answer */
    installer_status(installer, &status);
    assert_true(status.bytes < status.bytes_total);
    atomic_store(&holder.die_after, -1);
    wait_ready(1);
    assert_fetched(manifest);
    server_stop(server);
}

static void test_wrong_bytes(void **state) {
    struct server *server = start_node(NODE_ONE);

    atomic_store(&holder.lie_until, 1);
    point_to(0x11, server);
    fetch(manifest);
    wait_ready(1);
    assert_true(atomic_load(&holder.n_served) > (int)manifest->n_files);
    assert_fetched(manifest);
    server_stop(server);
}

static void assert_given_up(const char *error) {
    struct installer_status status;
    const char *id = NULL;

    assert_null(installer_fetched(installer, &id));
    installer_status(installer, &status);
    assert_false(status.is_running);
    if (strstr(status.error, error) == NULL) {
        fail_msg("unexpected: %s", status.error);
    }
}

/* A source that is damaged is given up, and so is one that lost the checkpoint. The next that is
 * offered is taken. */
static void test_gives_up(void **state) {
    struct server *server = start_node(NODE_ONE);

    atomic_store(&holder.lie_until, INT32_MAX);
    point_to(0x11, server);
    fetch(manifest);
    wait_ready(1);
    assert_given_up("digest");
    atomic_store(&holder.lie_until, 0);
    atomic_store(&holder.status, 404);
    fetch(manifest);
    wait_ready(2);
    assert_given_up("404: why?");
    atomic_store(&holder.status, 0);
    fetch(manifest);
    wait_ready(3);
    assert_fetched(manifest);
    server_stop(server);
}

/* Told of another snapshot, also one of another node, while the first is stuck. */
static void test_replaced(void **state) {
    struct server *server = start_node(NODE_ONE);
    struct server *other = start_node(NODE_TWO);
    struct checkpoint_manifest *second = NULL;
    struct engine *engine = rig_open(from);
    char folder_of_first[64];

    rig_fill(engine, 4001, 4100);
    assert_ok(checkpoint_make(engine, from, world_system(), 0x12, &second, ERR));
    engine_close(engine);
    atomic_store(&holder.status, 503);
    point_to(0x11, server);
    fetch(manifest);
    wait_error("503");
    point_to(0x12, other);
    atomic_store(&holder.status, 0);
    fetch(second);
    wait_ready(1);
    (void)snprintf(folder_of_first, sizeof(folder_of_first), "incoming/%s", manifest->id);
    assert_false(rig_exists(to, folder_of_first, ""));
    assert_true(atomic_load(&other->n_requests) > 0);
    expect_source();
    assert_int_equal(expected.applied, 4100);
    assert_fetched(second);
    checkpoint_manifest_free(second);
    server_stop(server);
    server_stop(other);
}

/* A node that shows another's certificate is asked nothing, and one that is not known is waited
 * for. */
static void test_who_holds_it(void **state) {
    struct server *wrong = start_node(NODE_TWO);
    struct server *right = start_node(NODE_ONE);

    fetch(manifest);
    wait_error("not known");
    point_to(0x11, wrong);
    wait_error("0000000000000011.us-east-1.redoubt");
    assert_int_equal(atomic_load(&wrong->n_requests), 0);
    point_to(0x11, right);
    wait_ready(1);
    assert_fetched(manifest);
    server_stop(wrong);
    server_stop(right);
}

/* Stopping does not wait for an answer. */
static void test_stops_at_once(void **state) {
    struct server *server = start_node(NODE_ONE);
    uint64_t before_ms;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* takes connections, says nothing */
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    char address[64];

    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(name.sin_port));
    peer_client_set_node(client, 0x11, address);
    fetch(manifest);
    (void)usleep(300 * 1000);
    before_ms = world_mono_ms(world_system());
    installer_free(installer);
    assert_in_range(world_mono_ms(world_system()) - before_ms, 0, 1000);
    (void)close(fd);
    install_open();
    server_stop(server);
}

static void test_refuses(void **state) {
    struct buf bytes;
    struct core_snapshot snapshot;

    buf_init(&bytes, LIMIT_MANIFEST);
    snapshot = snapshot_of(manifest, &bytes);
    snapshot.index++; /* a manifest of another state */
    assert_int_equal(installer_fetch(installer, &snapshot), ERR_MALFORMED);
    snapshot = snapshot_of(manifest, &bytes);
    snapshot.manifest.len--;
    assert_int_equal(installer_fetch(installer, &snapshot), ERR_MALFORMED);
    snapshot.manifest = (struct core_bytes){NULL, 0};
    assert_int_equal(installer_fetch(installer, &snapshot), ERR_MALFORMED);
    buf_fini(&bytes);
    assert_int_equal(atomic_load(&n_ready), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fetches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_installer_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_holds_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stops_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced, setup, teardown), /* changes the source */
    };

    (void)signal(SIGPIPE, SIG_IGN); /* of the test's own servers */
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
