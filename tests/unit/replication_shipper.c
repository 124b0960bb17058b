/* The shipper with everything around it real: two regions with their nodes, the client with its
 * thread, TLS, and a door that can be told to fail. */
#include "replication/shipper.h"

#include "base/world.h"
#include "cluster/bootstrap.h"
#include "model/replication_status.h"
#include "replication/inbound.h"
#include "replication/wire.h"
#include "storage/vault.h"
#include "storage/view.h"
#include "tests/unit/peer_server.h"

#include <ftw.h>
#include <signal.h>

#define ACCOUNT "123456789012"
#define SUFFIX  "AbCdEf"
#define V1      "11111111-1111-4111-8111-111111111111"

enum { PATIENCE_MS = 20000 };

/* ---- A region's own group ---- */

struct group {
    const char *region;
    char path[128];
    struct engine *engine;
    struct keyring *keyring;
    struct node *node;
};

/* protobuf-c has no const members. */
static char *text(const char *constant) {
    return (char *)(uintptr_t)constant;
}

static void pause_ms(unsigned ms) {
    (void)usleep(ms * 1000);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
};

static void proposal_is_back(struct proposal *proposal) {
    struct waiting *waiting = proposal->arg;

    (void)pthread_mutex_lock(&waiting->lock);
    waiting->is_done = true;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

/* Propose and wait. Takes the proposal, which comes back with its result in *ret. */
static enum errc group_propose(struct group *group, struct proposal *proposal) {
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    enum errc code;

    proposal->done_cb = proposal_is_back;
    proposal->arg = &waiting;
    code = node_propose(group->node, proposal);
    if (code != OK) {
        return code;
    }
    (void)pthread_mutex_lock(&waiting.lock);
    while (!waiting.is_done) {
        (void)pthread_cond_wait(&waiting.changed, &waiting.lock);
    }
    (void)pthread_mutex_unlock(&waiting.lock);
    return proposal->code;
}

static void group_do(struct group *group, enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = proposal_new(type, command);

    assert_non_null(proposal);
    assert_int_equal(group_propose(group, proposal), OK);
    if (proposal->result->code != OK) {
        print_error("refused: %s\n", proposal->result->message);
    }
    assert_int_equal(proposal->result->code, OK);
    proposal_free(proposal);
}

static void group_open(struct group *group, const char *region) {
    const struct engine_options options = {.path = group->path};
    const struct core_server self = {.id = 1, .address = "self"};
    uint8_t root[KEYRING_KEY];
    struct err err;

    /* On a disk, because a log in memory cannot be synced. */
    (void)snprintf(group->path, sizeof(group->path), "%s/%s", folder, region);

    group->region = region;
    group->node = NULL;
    world_random(world_system(), root, sizeof(root));
    assert_int_equal(engine_open(&options, &group->engine, &err), OK);
    assert_int_equal(node_bootstrap(group->engine, &self, 1, &err), OK);
    group->keyring = keyring_new(root, region, world_system());
    assert_non_null(group->keyring);
}

static void group_start(struct group *group, void (*dirty)(void *arg, const char *region),
                        void *arg) {
    const struct node_options options = {.region = group->region,
                                         .id = 1,
                                         .engine = group->engine,
                                         .world = world_system(),
                                         .dirty_cb = dirty,
                                         .dirty_arg = arg};
    const struct core_server self = {.id = 1, .address = "self"};
    bool has_beginning = false;
    struct err err;

    assert_int_equal(node_has_beginning(group->engine, &has_beginning, &err), OK);
    if (!has_beginning) {
        assert_int_equal(node_bootstrap(group->engine, &self, 1, &err), OK);
    }
    if (node_start(&options, &group->node, &err) != OK) {
        fail_msg("%s", err.message);
    }
    for (int i = 0; node_read_barrier(group->node) != OK; i++) {
        assert_true(i < PATIENCE_MS);
        pause_ms(1);
    }
}

static void group_make_key(struct group *group) {
    Redoubt__KeyCreate create = REDOUBT__KEY_CREATE__INIT;
    struct err err;

    assert_int_equal(vault_new_key(group->keyring, world_system(), ACCOUNT, &create.key, &err), OK);
    create.account = text(ACCOUNT);
    create.alias = text(VAULT_DEFAULT_ALIAS);
    group_do(group, COMMAND_KEY_CREATE, &create.base);
    redoubt__key__free_unpacked(create.key, NULL);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at) {
    return remove(path);
}

static void group_close(struct group *group) {
    engine_close(group->engine);
    keyring_free(group->keyring);
    assert_int_equal(nftw(group->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- The door of us-west-2 ---- */

enum door_mode { DOOR_OPEN, DOOR_BUSY, DOOR_REFUSES, DOOR_GARBLES, DOOR_APPLIES_AND_DROPS };

struct door {
    struct group *group;
    atomic_int mode;
    atomic_uint n_batches;
    atomic_uint n_items; /* applied, in all batches */
    atomic_ullong last_ms;
};

static enum errc door_apply(struct door *door, const struct request *request, struct buf *answer) {
    const struct inbound_context context = {door->group->region, door->group->engine,
                                            door->group->keyring, world_system()};
    bool is_prelude = true;
    enum errc code = OK;

    while (code == OK && is_prelude) {
        struct proposal *proposal = NULL;
        struct err err;
        code = inbound_prepare(&context, request->region, request->body.data, request->body.len,
                               &proposal, &is_prelude, &err);
        if (code != OK) {
            return code;
        }
        code = group_propose(door->group, proposal);
        if (code == OK && !is_prelude) {
            (void)atomic_fetch_add(&door->n_items, (unsigned)proposal->result->n_verdicts);
            code = inbound_answer(&context, proposal->result, answer);
        }
        proposal_free(proposal);
    }
    return code;
}

static bool door_answer(struct server *server, SSL *ssl, const struct request *request) {
    struct door *door = server->arg;
    int mode = atomic_load(&door->mode);
    struct buf answer;
    bool is_sent;

    assert_string_equal(request->path, WIRE_PATH);
    assert_string_equal(request->region, "us-east-1");
    atomic_store(&door->last_ms, world_mono_ms(world_system()));
    (void)atomic_fetch_add(&door->n_batches, 1);
    if (mode == DOOR_BUSY || mode == DOOR_REFUSES) {
        return send_head(ssl, mode == DOOR_BUSY ? 503 : 403, "", 0);
    }
    if (mode == DOOR_GARBLES) {
        return send_head(ssl, 200, "", 5) && send_all(ssl, "\x1a\x7fxyz", 5);
    }
    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(door_apply(door, request, &answer), OK);
    is_sent = mode != DOOR_APPLIES_AND_DROPS && send_head(ssl, 200, "", answer.len) &&
              send_all(ssl, answer.data, answer.len);
    buf_fini(&answer);
    return is_sent;
}

/* ---- The house of us-east-1 ---- */

struct house {
    struct group east;
    struct group west;
    struct door door;
    struct server *server;
    struct peer_client *client;
    struct shipper *shipper;
};

static void door_open(struct house *h, unsigned port) {
    h->server =
        server_start(paths[WEST], paths[WEST_KEY], TLS1_3_VERSION, port, door_answer, &h->door);
}

static int setup(void **state) {
    struct house *h = calloc(1, sizeof(*h));
    struct peer peer = {.region = "us-west-2"};
    struct peer_client_options client = {
        .tls = {.ca_path = paths[CA], .cert_path = paths[EAST], .key_path = paths[EAST_KEY]},
        .peers = &peer,
        .n_peers = 1,
    };
    struct shipper_options options = {.region = "us-east-1", .world = world_system()};
    char address[32];
    struct err err;

    assert_non_null(h);
    group_open(&h->east, "us-east-1");
    group_open(&h->west, "us-west-2");
    group_start(&h->west, NULL, NULL);
    h->door.group = &h->west;
    door_open(h, 0);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", h->server->port);
    peer.address = address;
    assert_int_equal(peer_client_new(&client, &h->client, &err), OK);
    options.engine = h->east.engine;
    options.keyring = h->east.keyring;
    options.node = &h->east.node;
    options.client = h->client;
    h->shipper = shipper_new(&options);
    assert_non_null(h->shipper);
    group_start(&h->east, shipper_dirty, h->shipper);
    group_make_key(&h->east);
    assert_int_equal(peer_client_start(h->client, &err), OK);
    *state = h;
    return 0;
}

static int teardown(void **state) {
    struct house *h = *state;

    peer_client_stop(h->client);
    node_stop(h->east.node);
    shipper_free(h->shipper);
    if (h->server != NULL) {
        server_stop(h->server);
    }
    node_stop(h->west.node);
    node_free(h->east.node);
    node_free(h->west.node);
    group_close(&h->east);
    group_close(&h->west);
    free(h);
    return 0;
}

/* ---- Clients ---- */

static Redoubt__Sealed *seal(struct group *group, const char *name, const char *id,
                             uint8_t digest[32]) {
    struct view *view = view_new(group->engine);
    const struct vault_place place = {group->region, ACCOUNT, name, SUFFIX, id};
    const struct secret value = {.data = (uint8_t *)text("hush"), .len = 4};
    Redoubt__Sealed *sealed = NULL;
    char *key_id = NULL;
    struct err err;

    assert_int_equal(vault_resolve_key(view, ACCOUNT, NULL, &key_id, &err), OK);
    assert_int_equal(vault_seal(group->keyring, view, &place, key_id,
                                REDOUBT__VALUE_KIND__VALUE_STRING, &value, &sealed, digest, &err),
                     OK);
    free(key_id);
    view_free(view);
    return sealed;
}

static void create(struct house *h, const char *name, const char *to) {
    Redoubt__SecretCreate command = REDOUBT__SECRET_CREATE__INIT;
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    Redoubt__NewValue value = REDOUBT__NEW_VALUE__INIT;
    Redoubt__ReplicaTarget target = REDOUBT__REPLICA_TARGET__INIT;
    Redoubt__ReplicaTarget *targets[] = {&target};
    uint8_t digest[32];

    ref.account = text(ACCOUNT);
    ref.name = text(name);
    ref.suffix = text(SUFFIX);
    target.region = text(to);
    value.version_id = text(V1);
    value.has_kind = true;
    value.kind = REDOUBT__VALUE_KIND__VALUE_STRING;
    value.sealed = seal(&h->east, name, V1, digest);
    value.has_digest = true;
    value.digest.data = digest;
    value.digest.len = sizeof(digest);
    command.ref = &ref;
    command.token = text(V1);
    command.value = &value;
    command.targets = targets;
    command.n_targets = 1;
    command.has_now_ms = true;
    command.now_ms = world_wall_ms(world_system());
    group_do(&h->east, COMMAND_SECRET_CREATE, &command.base);
    redoubt__sealed__free_unpacked(value.sealed, NULL);
}

static int status_of(struct house *h, const char *name, const char *to) {
    struct view *view = view_new(h->east.engine);
    Redoubt__Secret *secret = NULL;
    Redoubt__Link *link = NULL;
    int status = -1;

    assert_non_null(view);
    assert_int_equal(view_secret(view, ACCOUNT, name, &secret), OK);
    assert_int_equal(view_link(view, ACCOUNT, name, to, &link), OK);
    if (secret != NULL && link != NULL) {
        status = (int)link_status(link->failure, link->acked_revision, secret->revision);
    }
    redoubt__secret__free_unpacked(secret, NULL);
    redoubt__link__free_unpacked(link, NULL);
    view_free(view);
    return status;
}

static void wait_for_status(struct house *h, const char *name, const char *to, int status) {
    for (int i = 0; status_of(h, name, to) != status; i++) {
        if (i == PATIENCE_MS) {
            fail_msg("%s: status %d instead of %d", name, status_of(h, name, to), status);
        }
        pause_ms(1);
    }
}

static void wait_for_batches(struct house *h, unsigned n) {
    for (int i = 0; atomic_load(&h->door.n_batches) < n; i++) {
        assert_true(i < PATIENCE_MS);
        pause_ms(1);
    }
}

static bool is_outbox_entry(void *arg, const struct outbox_key *key, const Redoubt__Outbox *entry) {
    (*(unsigned *)arg)++;
    return true;
}

static unsigned outbox_size(struct house *h, const char *to) {
    struct view *view = view_new(h->east.engine);
    unsigned n = 0;

    assert_int_equal(view_each_outbox(view, to, NULL, is_outbox_entry, &n), OK);
    view_free(view);
    return n;
}

/* ---- Tests ---- */

static void test_a_write_is_shipped_at_once(void **state) {
    struct house *h = *state;
    uint64_t least_ms = UINT64_MAX;

    create(h, "first", "us-west-2"); /* opens the connection */
    wait_for_status(h, "first", "us-west-2", LINK_IN_SYNC);
    for (int i = 0; i < 20; i++) {
        char name[32];
        uint64_t before_ms, took_ms;
        (void)snprintf(name, sizeof(name), "n/%d", i);
        create(h, name, "us-west-2");
        before_ms = world_mono_ms(world_system());
        wait_for_status(h, name, "us-west-2", LINK_IN_SYNC);
        took_ms = world_mono_ms(world_system()) - before_ms;
        least_ms = took_ms < least_ms ? took_ms : least_ms;
    }
    print_message("commit to InSync, best of 20: %llu ms\n", (unsigned long long)least_ms);
    assert_true(least_ms < 1000); /* by a wake-up, not by the sweep */
    assert_int_equal(outbox_size(h, "us-west-2"), 0);
}

static void test_busy_and_refusing_doors(void **state) {
    struct house *h = *state;

    atomic_store(&h->door.mode, DOOR_BUSY);
    create(h, "a", "us-west-2");
    wait_for_batches(h, 3);
    assert_int_equal(status_of(h, "a", "us-west-2"), LINK_IN_PROGRESS);
    atomic_store(&h->door.mode, DOOR_OPEN);
    wait_for_status(h, "a", "us-west-2", LINK_IN_SYNC);

    /* A refusal is not asked again at once. */
    for (int mode = DOOR_REFUSES; mode <= DOOR_GARBLES; mode++) {
        unsigned before = atomic_load(&h->door.n_batches);
        char name[32];
        atomic_store(&h->door.mode, mode);
        (void)snprintf(name, sizeof(name), "refused/%d", mode);
        create(h, name, "us-west-2");
        wait_for_batches(h, before + (mode == DOOR_REFUSES ? 1 : 0));
        pause_ms(300);
        assert_true(atomic_load(&h->door.n_batches) <= before + 1);
        assert_int_equal(status_of(h, name, "us-west-2"), LINK_IN_PROGRESS);
    }
}

static void test_a_lost_answer(void **state) {
    struct house *h = *state;

    atomic_store(&h->door.mode, DOOR_APPLIES_AND_DROPS);
    create(h, "a", "us-west-2");
    wait_for_batches(h, 2);
    assert_int_equal(status_of(h, "a", "us-west-2"), LINK_IN_PROGRESS);
    atomic_store(&h->door.mode, DOOR_OPEN);
    wait_for_status(h, "a", "us-west-2", LINK_IN_SYNC);
}

static void test_a_region_that_goes_away(void **state) {
    struct house *h = *state;
    unsigned port = h->server->port;

    create(h, "before", "us-west-2");
    wait_for_status(h, "before", "us-west-2", LINK_IN_SYNC);
    server_stop(h->server);
    h->server = NULL;
    create(h, "during", "us-west-2");
    pause_ms(500);
    assert_int_equal(status_of(h, "during", "us-west-2"), LINK_IN_PROGRESS);
    door_open(h, port);
    wait_for_status(h, "during", "us-west-2", LINK_IN_SYNC);
}

static void test_a_backlog_is_read_once(void **state) {
    enum { N = 1200 };
    struct house *h = *state;
    unsigned before;
    char name[32];

    atomic_store(&h->door.mode, DOOR_BUSY);
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "backlog/%04d", i);
        create(h, name, "us-west-2");
    }
    assert_int_equal(outbox_size(h, "us-west-2"), N);
    before = atomic_load(&h->door.n_batches);
    atomic_store(&h->door.mode, DOOR_OPEN);
    for (int i = 0; outbox_size(h, "us-west-2") > 0; i++) {
        assert_true(i < PATIENCE_MS);
        pause_ms(5);
    }
    wait_for_status(h, name, "us-west-2", LINK_IN_SYNC);
    /* Nothing was sent twice, and nothing one by one. */
    assert_int_equal(atomic_load(&h->door.n_items), N);
    assert_in_range(atomic_load(&h->door.n_batches) - before, N / LIMIT_BATCH_ITEMS + 1, 20);
}

static void test_an_unknown_region(void **state) {
    struct house *h = *state;

    create(h, "lost", "ap-south-1");
    wait_for_status(h, "lost", "ap-south-1", LINK_FAILED);
    assert_int_equal(outbox_size(h, "ap-south-1"), 0);
    assert_int_equal(atomic_load(&h->door.n_batches), 0);
}

/* Teardown stops everything in the middle of it. */
static void test_stop_with_batches_under_way(void **state) {
    struct house *h = *state;
    char name[32];

    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "busy/%03d", i);
        create(h, name, "us-west-2");
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_write_is_shipped_at_once),
        TEST(test_busy_and_refusing_doors),
        TEST(test_a_lost_answer),
        TEST(test_a_region_that_goes_away),
        TEST(test_a_backlog_is_read_once),
        TEST(test_an_unknown_region),
        TEST(test_stop_with_batches_under_way),
    };
#undef TEST

    (void)signal(SIGPIPE, SIG_IGN); /* of the door */
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
