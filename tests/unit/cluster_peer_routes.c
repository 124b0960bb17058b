/* Where the peer client's calls go: one address of a region after another, as long as nothing can
 * have arrived; nodes of the own region by their certificates; and new connections after a reload.
 */
#include "cluster/peer_client.h"

#include "base/limits.h"
#include "base/world.h"
#include "tests/unit/peer_server.h"

#include <signal.h>
#include <sys/stat.h>

/* ---- Servers: the path says what to do ---- */

static bool answer(struct server *server, SSL *ssl, const struct request *request) {
    if (strcmp(request->path, "/slow") == 0) {
        while (!atomic_load(&server->stopping)) {
            (void)usleep(5000);
        }
    }
    if (strcmp(request->path, "/echo") != 0) {
        return false;
    }
    return send_head(ssl, 200, "", request->body.len) &&
           send_all(ssl, request->body.data, request->body.len);
}

static struct server *start(int cert) {
    return server_start(paths[cert], paths[cert + 1], TLS1_3_VERSION, 0, answer, NULL);
}

/* A port that nobody listens on (any more). */
static unsigned dead_port(void) {
    struct server *server = start(WEST);
    unsigned port = server->port;

    server_stop(server);
    return port;
}

/* ---- Calls ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void done(struct peer_call *call) {
    (void)pthread_mutex_lock(&lock);
    *(bool *)call->arg = true;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static struct peer_call *call_new(const char *path, uint64_t node, bool *is_done) {
    struct peer_call *call = peer_call_new();

    assert_non_null(call);
    *is_done = false;
    call->region = node == 0 ? "us-west-2" : NULL;
    call->node = node;
    call->path = path;
    call->content_type = "application/x-test";
    call->done_cb = done;
    call->arg = is_done;
    buf_append_str(&call->body, "hello");
    return call;
}

struct outcome {
    enum errc code;
    bool is_unsent;
    char error[256];
};

static struct outcome call_once(struct peer_client *client, const char *path, uint64_t node,
                                unsigned timeout_ms) {
    bool is_done;
    struct peer_call *call = call_new(path, node, &is_done);
    struct outcome outcome = {.code = OK};

    call->timeout_ms = timeout_ms;
    call->is_unsent = true; /* whoever reads it relies on the client */
    assert_int_equal(peer_client_call(client, call), OK);
    (void)pthread_mutex_lock(&lock);
    while (!is_done) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    outcome.code = call->code;
    outcome.is_unsent = call->is_unsent;
    memcpy(outcome.error, call->error, sizeof(outcome.error));
    if (call->code == OK) {
        assert_int_equal(call->status, 200);
        assert_int_equal(call->response.len, 5);
        assert_false(call->is_unsent);
    }
    peer_call_free(call);
    return outcome;
}

static void assert_answered(struct peer_client *client, uint64_t node) {
    struct outcome outcome = call_once(client, "/echo", node, 0);

    if (outcome.code != OK) {
        fail_msg("%s", outcome.error);
    }
}

static void assert_unsent(struct peer_client *client, uint64_t node, const char *reason) {
    struct outcome outcome = call_once(client, "/echo", node, 0);

    assert_int_equal(outcome.code, ERR_REGION_UNREACHABLE);
    assert_true(outcome.is_unsent);
    if (reason != NULL && strstr(outcome.error, reason) == NULL) {
        fail_msg("unexpected error: %s", outcome.error);
    }
}

static struct peer_client *client_new(const char *addresses, const char *own_region) {
    const struct peer peers[] = {{.region = "us-west-2", .address = addresses}};
    const struct peer_client_options options = {
        .tls = {.ca_path = paths[CA],
                .cert_path = paths[NODE_TWO],
                .key_path = paths[NODE_TWO_KEY]},
        .peers = peers,
        .n_peers = 1,
        .own_region = own_region,
    };
    struct peer_client *client = NULL;
    struct err err = {.message = ""};

    if (peer_client_new(&options, &client, &err) != OK) {
        fail_msg("%s", err.message);
    }
    return client;
}

static struct peer_client *client_start(const char *addresses) {
    struct peer_client *client = client_new(addresses, "us-east-1");
    struct err err;

    assert_int_equal(peer_client_start(client, &err), OK);
    return client;
}

/* ---- Several addresses ---- */

static void test_next_address(void **state) {
    struct server *stranger = start(EAST); /* names another region */
    struct server *good = start(WEST);
    struct server *spare = start(WEST);
    struct peer_client *client;
    char addresses[256];

    (void)snprintf(addresses, sizeof(addresses),
                   "127.0.0.1:%u,no-such-host.invalid:7,127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u",
                   dead_port(), stranger->port, good->port, spare->port);
    client = client_start(addresses);
    assert_answered(client, 0);
    assert_answered(client, 0);
    /* It stays with the one that took the connection. */
    assert_int_equal(atomic_load(&good->n_requests), 2);
    assert_int_equal(atomic_load(&good->n_connections), 1);
    assert_int_equal(atomic_load(&stranger->n_connections), 1);
    assert_int_equal(atomic_load(&stranger->n_requests), 0);
    /* Until that goes away. */
    server_stop(good);
    assert_answered(client, 0);
    assert_answered(client, 0);
    assert_int_equal(atomic_load(&spare->n_requests), 2);
    assert_int_equal(atomic_load(&stranger->n_connections), 1);
    peer_client_stop(client);
    server_stop(stranger);
    server_stop(spare);
}

/* What may have arrived is not sent to another one. */
static void test_sent_is_sent(void **state) {
    struct server *one = start(WEST);
    struct server *other = start(WEST);
    struct peer_client *client;
    struct outcome outcome;
    char addresses[128];

    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u,127.0.0.1:%u", one->port,
                   other->port);
    client = client_start(addresses);
    outcome = call_once(client, "/drop", 0, 0);
    assert_int_equal(outcome.code, ERR_REGION_UNREACHABLE);
    assert_false(outcome.is_unsent);
    outcome = call_once(client, "/slow", 0, 200);
    assert_int_equal(outcome.code, ERR_REGION_UNREACHABLE);
    assert_false(outcome.is_unsent);
    assert_int_equal(atomic_load(&one->n_requests), 2);
    assert_int_equal(atomic_load(&other->n_connections), 0);
    peer_client_stop(client);
    server_stop(one);
    server_stop(other);
}

static void test_no_address_answers(void **state) {
    struct server *stranger = start(EAST);
    struct peer_client *client;
    char addresses[128];

    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u,127.0.0.1:%u", dead_port(),
                   stranger->port);
    client = client_start(addresses);
    assert_unsent(client, 0, "us-west-2.redoubt");
    peer_client_stop(client);
    assert_int_equal(atomic_load(&stranger->n_requests), 0);
    server_stop(stranger);
}

/* Somebody who takes connections and says nothing: the call's time is for all addresses together.
 */
static void test_silent_address(void **state) {
    struct server *good = start(WEST);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    struct peer_client *client;
    struct outcome outcome;
    char addresses[128];
    uint64_t before_ms;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    (void)snprintf(addresses, sizeof(addresses), "127.0.0.1:%u,127.0.0.1:%u", ntohs(name.sin_port),
                   good->port);
    client = client_start(addresses);
    before_ms = world_mono_ms(world_system());
    outcome = call_once(client, "/echo", 0, 300);
    assert_int_equal(outcome.code, ERR_REGION_UNREACHABLE);
    assert_true(outcome.is_unsent);
    assert_in_range(world_mono_ms(world_system()) - before_ms, 290, 1900);
    assert_answered(client, 0); /* with time enough */
    assert_in_range(world_mono_ms(world_system()) - before_ms, LIMIT_PEER_CONNECT_MS, 20000);
    peer_client_stop(client);
    (void)close(fd);
    server_stop(good);
}

static void test_lists(void **state) {
    static const char *const bad[] = {"a:1,", ",a:1", "a:1,,b:2", "a:1,b", "a:1;b:2", ","};
    struct peer peer = {.region = "us-west-2"};
    const struct peer_client_options options = {
        .tls = {.ca_path = paths[CA], .cert_path = paths[EAST], .key_path = paths[EAST_KEY]},
        .peers = &peer,
        .n_peers = 1,
    };
    struct peer_client *client = NULL;
    char many[LIMIT_PEERS * 4 + 8] = "";
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        peer.address = bad[i];
        if (peer_client_new(&options, &client, &err) != ERR_INVALID_PARAMETER) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    peer.address = many;
    for (int i = 0; i < LIMIT_PEERS; i++) {
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "%sa:1", i ? "," : "");
    }
    assert_int_equal(peer_client_new(&options, &client, &err), OK);
    peer_client_stop(client);
    (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), ",a:1");
    assert_int_equal(peer_client_new(&options, &client, &err), ERR_LIMIT_EXCEEDED);
}

/* ---- Nodes ---- */

static enum errc try_node(struct peer_client *client, uint64_t node) {
    bool is_done;
    struct peer_call *call = call_new("/echo", node, &is_done);
    enum errc code = peer_client_call(client, call);

    assert_int_not_equal(code, OK);
    peer_call_free(call);
    return code;
}

static void test_nodes(void **state) {
    struct server *one = start(NODE_ONE);
    struct server *region_only = start(EAST);
    struct peer_client *client = client_start("127.0.0.1:1");
    char address[64], elsewhere[64];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", one->port);
    (void)snprintf(elsewhere, sizeof(elsewhere), "127.0.0.1:%u", region_only->port);
    assert_int_equal(try_node(client, 0x11), ERR_INVALID_PARAMETER);
    peer_client_set_node(client, 0x11, address);
    assert_answered(client, 0x11);
    /* At the same door, but not who is there. */
    peer_client_set_node(client, 0x12, address);
    assert_unsent(client, 0x12, "0000000000000012.us-east-1.redoubt");
    /* A certificate of the region names no node. */
    peer_client_set_node(client, 0x11, elsewhere);
    assert_unsent(client, 0x11, "0000000000000011.us-east-1.redoubt");
    peer_client_set_node(client, 0x11, address);
    assert_answered(client, 0x11);
    peer_client_set_node(client, 0x11, "no address"); /* changes nothing */
    assert_answered(client, 0x11);
    peer_client_set_node(client, 0x11, NULL);
    assert_int_equal(try_node(client, 0x11), ERR_INVALID_PARAMETER);
    assert_unsent(client, 0x12, NULL);
    peer_client_set_node(client, 0x99, NULL); /* never known */
    assert_int_equal(atomic_load(&one->n_requests), 3);
    assert_int_equal(atomic_load(&region_only->n_requests), 0);
    peer_client_stop(client);
    server_stop(one);
    server_stop(region_only);
}

/* A full table, and a call whose node is forgotten before it begins. */
static void test_node_table(void **state) {
    struct peer_client *client = client_new("127.0.0.1:1", "us-east-1");
    bool is_done;
    struct peer_call *call = call_new("/echo", 5, &is_done);
    struct err err;

    for (uint64_t i = 1; i <= LIMIT_PEERS + 1; i++) {
        peer_client_set_node(client, i, "127.0.0.1:1");
    }
    assert_int_equal(try_node(client, LIMIT_PEERS + 1), ERR_INVALID_PARAMETER);
    assert_int_equal(peer_client_call(client, call), OK);
    peer_client_set_node(client, 5, NULL);
    peer_client_set_node(client, LIMIT_PEERS + 1, "127.0.0.1:1"); /* there is room again */
    assert_int_equal(peer_client_start(client, &err), OK);
    (void)pthread_mutex_lock(&lock);
    while (!is_done) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    assert_int_equal(call->code, ERR_REGION_UNREACHABLE);
    assert_true(call->is_unsent);
    peer_call_free(call);
    assert_unsent(client, LIMIT_PEERS + 1, NULL);
    peer_client_stop(client);

    client = client_new("127.0.0.1:1", NULL); /* without a region of its own it knows no nodes */
    peer_client_set_node(client, 5, "127.0.0.1:1");
    assert_int_equal(try_node(client, 5), ERR_INVALID_PARAMETER);
    /* What never began was never sent. */
    call = call_new("/echo", 0, &is_done);
    assert_int_equal(peer_client_call(client, call), OK);
    peer_client_stop(client);
    assert_true(is_done);
    assert_true(call->is_unsent);
    peer_call_free(call);
}

/* ---- Reload ---- */

static void copy_file(const char *source, const char *target) {
    char bytes[8192];
    FILE *in = fopen(source, "r");
    FILE *out;
    size_t len;

    assert_non_null(in);
    (void)unlink(target);
    out = fopen(target, "w");
    assert_non_null(out);
    assert_int_equal(fchmod(fileno(out), 0600), 0); /* what a key must have */
    len = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static void test_reload(void **state) {
    struct server *server = start(WEST);
    char address[64], cert[160], key[160];
    const struct peer peers[] = {{.region = "us-west-2", .address = address}};
    const struct peer_client_options options = {
        .tls = {.ca_path = paths[CA], .cert_path = cert, .key_path = key},
        .peers = peers,
        .n_peers = 1,
    };
    struct peer_client *client = NULL;
    struct err err;
    unsigned port;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", server->port);
    (void)snprintf(cert, sizeof(cert), "%s/mine.pem", folder);
    (void)snprintf(key, sizeof(key), "%s/mine.key", folder);
    copy_file(paths[EAST], cert);
    copy_file(paths[EAST_KEY], key);
    assert_int_equal(peer_client_new(&options, &client, &err), OK);
    assert_int_equal(peer_client_start(client, &err), OK);
    assert_answered(client, 0);
    (void)usleep(2100 * 1000); /* past the two seconds in which a connection counts as new */
    assert_answered(client, 0);
    assert_int_equal(atomic_load(&server->n_connections), 1);
    /* Half of a new pair, or none: everything stays as it is, for new connections too. */
    copy_file(paths[OTHER], cert);
    peer_client_reload(client);
    assert_answered(client, 0);
    (void)unlink(key);
    peer_client_reload(client);
    port = server->port;
    server_stop(server);
    server = server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION, port, answer, NULL);
    assert_answered(client, 0);
    copy_file(paths[OTHER], cert); /* an authority that the server does not know */
    copy_file(paths[OTHER_KEY], key);
    assert_answered(client, 0); /* over what stands */
    peer_client_reload(client);
    assert_int_equal(call_once(client, "/echo", 0, 0).code, ERR_REGION_UNREACHABLE);
    assert_int_equal(atomic_load(&server->n_requests), 2);
    copy_file(paths[NODE_ONE], cert);
    copy_file(paths[NODE_ONE_KEY], key);
    peer_client_reload(client);
    assert_answered(client, 0);
    assert_answered(client, 0);
    assert_int_equal(atomic_load(&server->n_connections), 3);
    peer_client_stop(client);
    server_stop(server);
    (void)unlink(cert);
    (void)unlink(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_address),
        cmocka_unit_test(test_sent_is_sent),
        cmocka_unit_test(test_no_address_answers),
        cmocka_unit_test(test_silent_address),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_node_table),
        cmocka_unit_test(test_reload),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* of the test's own servers */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
