/* The shipper, turn by turn, against a node and a peer that the test plays: what is sent when, what
 * is tried again after which failure, and that nothing stays behind. The clock is the test's; the
 * state, the batches and the other region are real. */
#include "tests/unit/replication_regions.h"

#include "cluster/peer_client.h"
#include "replication/shipper.h"

enum { CALLS_MAX = 64 };

enum node_mode {
    NODE_APPLIES,
    NODE_FORGETS, /* takes the proposal, and its outcome stays unknown */
    NODE_REFUSES,
};

static struct {
    struct region east;
    struct region west;
    struct shipper *shipper;
    void (*tick)(void *arg, unsigned *ret_wait_ms);
    void *tick_arg;
    uint64_t now_ms;
    enum node_mode mode;
    bool is_leader;
    bool is_woken;
    struct peer_call *calls[CALLS_MAX]; /* under way */
    size_t n_calls;
    size_t n_called; /* ever */
} fake;

/* ---- What the shipper is linked against here ---- */

struct node {
    int unused;
};
static struct node the_node;
static struct node *the_node_ptr = &the_node;

struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = calloc(1, sizeof(*proposal));

    assert_non_null(proposal);
    proposal->type = type;
    buf_init(&proposal->command, LIMIT_COMMAND);
    command_encode(&proposal->command, type, command);
    assert_false(proposal->command.failed);
    return proposal;
}

void proposal_free(struct proposal *proposal) {
    if (proposal != NULL) {
        buf_fini(&proposal->command);
        command_result_free(proposal->result);
        free(proposal);
    }
}

enum errc node_propose(struct node *node, struct proposal *proposal) {
    if (fake.mode == NODE_REFUSES) {
        return ERR_UNAVAILABLE;
    }
    if (fake.mode == NODE_FORGETS) {
        proposal->code = ERR_OUTCOME_UNKNOWN;
    } else {
        proposal->result =
            machine_apply_bytes(&fake.east.m, proposal->command.data, proposal->command.len);
    }
    proposal->done_cb(proposal);
    return OK;
}

bool node_is_leader(const struct node *node) {
    return fake.is_leader;
}

struct peer_call *peer_call_new(void) {
    struct peer_call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    buf_init(&call->body, LIMIT_PEER_BODY);
    buf_init(&call->response, LIMIT_PEER_BODY);
    return call;
}

void peer_call_free(struct peer_call *call) {
    if (call != NULL) {
        buf_fini(&call->body);
        buf_fini(&call->response);
        free(call);
    }
}

void peer_client_set_ticker(struct peer_client *client,
                            void (*tick)(void *arg, unsigned *ret_wait_ms), void *arg) {
    fake.tick = tick;
    fake.tick_arg = arg;
}

bool peer_client_knows(const struct peer_client *client, const char *region) {
    return strcmp(region, WEST) == 0;
}

enum errc peer_client_call(struct peer_client *client, struct peer_call *call) {
    assert_true(fake.n_calls < CALLS_MAX);
    fake.calls[fake.n_calls++] = call;
    fake.n_called++;
    return OK;
}

void peer_client_wake(struct peer_client *client) {
    fake.is_woken = true;
}

static int64_t fake_wall_ms(void *ctx) {
    return KIT_NOW;
}

static uint64_t fake_mono_ms(void *ctx) {
    return fake.now_ms;
}

static void fake_random(void *ctx, void *out, size_t len) {
    memset(out, 7, len);
}

static const struct world fake_world = {
    .wall_ms = fake_wall_ms, .mono_ms = fake_mono_ms, .random = fake_random};

/* ---- The test's hand ---- */

static void shipper_begin(void) {
    static char client; /* never looked into */
    const struct shipper_options options = {.region = EAST,
                                            .engine = fake.east.m.engines[0],
                                            .keyring = fake.east.keyring,
                                            .node = &the_node_ptr,
                                            .client = (struct peer_client *)(void *)&client,
                                            .world = &fake_world};

    fake.shipper = shipper_new(&options);
    assert_non_null(fake.shipper);
}

static int setup(void **state) {
    memset(&fake, 0, sizeof(fake));
    fake.now_ms = 1000;
    fake.is_leader = true;
    region_init(&fake.east, EAST);
    region_init(&fake.west, WEST);
    shipper_begin();
    return 0;
}

static unsigned tick(void) {
    unsigned wait_ms = 0;

    fake.tick(fake.tick_arg, &wait_ms);
    return wait_ms;
}

enum reply { REPLY_TRULY, REPLY_UNREACHABLE, REPLY_REFUSED, REPLY_BUSY };

/* The first call that is under way comes back. */
static void reply(enum reply how) {
    struct peer_call *call = fake.calls[0];

    assert_true(fake.n_calls > 0);
    fake.n_calls--;
    memmove(&fake.calls[0], &fake.calls[1], fake.n_calls * sizeof(fake.calls[0]));
    call->code = how == REPLY_UNREACHABLE ? ERR_REGION_UNREACHABLE : OK;
    call->status = how == REPLY_REFUSED ? 400 : how == REPLY_BUSY ? 503 : 200;
    if (how == REPLY_TRULY) {
        assert_int_equal(
            region_receive(&fake.west, EAST, call->body.data, call->body.len, &call->response), OK);
    }
    call->done_cb(call);
}

/* Time goes on for `ms`; every call is answered like this. */
static void run(uint64_t ms, enum reply how) {
    uint64_t end_ms = fake.now_ms + ms;

    while (fake.now_ms < end_ms) {
        unsigned wait_ms;
        fake.is_woken = false;
        wait_ms = tick();
        if (fake.n_calls > 0) {
            reply(how);
        }
        fake.now_ms += fake.is_woken || wait_ms == 0 ? 1 : wait_ms;
    }
}

static void shipper_end(void) {
    while (fake.n_calls > 0) {
        reply(REPLY_UNREACHABLE);
    }
    fake.tick(fake.tick_arg, NULL);
    shipper_free(fake.shipper);
}

static int teardown(void **state) {
    shipper_end();
    region_fini(&fake.east);
    region_fini(&fake.west);
    return 0;
}

static void create(const char *name, const char *text) {
    expect_ok(region_create(
        &fake.east,
        &(struct call){
            .name = name, .suffix = "AAAAAA", .token = "t1", .text = text, .targets = {WEST}}));
    shipper_dirty(fake.shipper, WEST);
}

static void put(const char *name, const char *token) {
    expect_ok(region_put(
        &fake.east,
        &(struct call){.name = name, .suffix = "AAAAAA", .token = token, .text = token}));
    shipper_dirty(fake.shipper, WEST);
}

static void expect_status(const char *name, int status) {
    assert_int_equal(region_link_status(&fake.east, name, WEST), status);
}

/* ---- The tests ---- */

static void test_ships_once_and_rests(void **state) {
    create("a", "x");
    create("b", "y");
    (void)tick();
    assert_int_equal(fake.n_calls, 1); /* both in one batch */
    (void)tick();
    assert_int_equal(fake.n_calls, 1); /* what is under way is not sent twice */
    reply(REPLY_TRULY);
    run(20000, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
    expect_status("b", LINK_IN_SYNC);
    assert_int_equal(fake.n_called, 1);
}

static void test_a_write_under_way_is_shipped_after(void **state) {
    create("a", "x");
    (void)tick();
    put("a", "t2");
    (void)tick();
    assert_int_equal(fake.n_calls, 1);
    reply(REPLY_TRULY);
    run(100, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
    assert_int_equal(fake.n_called, 2);
}

static void test_an_outage_backs_off_and_ends(void **state) {
    size_t n;

    create("a", "x");
    run(20000, REPLY_UNREACHABLE);
    expect_status("a", LINK_IN_PROGRESS);
    assert_in_range(fake.n_called, 8, 30);
    n = fake.n_called;
    run(LIMIT_SHIP_BACKOFF_MS_MAX + 100, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
    assert_int_equal(fake.n_called, n + 1);
    put("a", "t2"); /* nothing of the outage is left */
    (void)tick();
    assert_int_equal(fake.n_calls, 1);
}

static void test_a_refusal_is_not_insisted_on(void **state) {
    create("a", "x");
    run(60000, REPLY_REFUSED);
    assert_in_range(fake.n_called, 3, 7);
    run(15000, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
}

static void test_an_overloaded_peer_is_spared(void **state) {
    create("a", "x");
    run(20000, REPLY_BUSY);
    assert_in_range(fake.n_called, 8, 30);
}

/* The peer answers each time, but this group cannot record it: the same must not be shipped again
 * and again as fast as the peer can answer. */
static void expect_local_back_off(enum node_mode mode) {
    size_t n;

    create("a", "x");
    fake.mode = mode;
    run(20000, REPLY_TRULY);
    assert_in_range(fake.n_called, 8, 30);
    expect_status("a", LINK_IN_PROGRESS);
    fake.mode = NODE_APPLIES;
    run(LIMIT_SHIP_BACKOFF_MS_MAX + 100, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
    n = fake.n_called;
    put("a", "t2");
    (void)tick();
    assert_int_equal(fake.n_called, n + 1);
}

static void test_a_group_that_cannot_commit(void **state) {
    expect_local_back_off(NODE_FORGETS);
}

static void test_a_group_that_refuses(void **state) {
    expect_local_back_off(NODE_REFUSES);
}

static void test_leadership_goes_and_comes(void **state) {
    create("a", "x");
    (void)tick();
    fake.is_leader = false;
    (void)tick();
    reply(REPLY_TRULY); /* the answer is nobody's any more */
    run(5000, REPLY_TRULY);
    expect_status("a", LINK_IN_PROGRESS);
    assert_int_equal(fake.n_called, 1);
    fake.is_leader = true;
    run(100, REPLY_TRULY); /* without a word from the state machine */
    expect_status("a", LINK_IN_SYNC);
    assert_int_equal(fake.n_called, 2);
}

/* A backlog goes in several batches side by side; every entry once. */
static void test_a_backlog(void **state) {
    enum { SECRETS = 90, TEXT = 60000 };
    char *text = malloc(TEXT + 1);
    char name[16];

    memset(text, 'x', TEXT);
    text[TEXT] = '\0';
    for (int i = 0; i < SECRETS; i++) {
        (void)snprintf(name, sizeof(name), "s%02d", i);
        create(name, text);
    }
    free(text);
    (void)tick();
    assert_int_equal(fake.n_calls, LIMIT_BATCHES_IN_FLIGHT);
    for (size_t i = 0; i < fake.n_calls; i++) {
        assert_in_range(fake.calls[i]->body.len, LIMIT_BATCH_BYTES / 2, LIMIT_BATCH_BYTES);
    }
    reply(REPLY_UNREACHABLE); /* the first is lost, the others are not */
    run(10000, REPLY_TRULY);
    for (int i = 0; i < SECRETS; i++) {
        (void)snprintf(name, sizeof(name), "s%02d", i);
        expect_status(name, LINK_IN_SYNC);
    }
    assert_in_range(fake.n_called, 6, 8);
}

/* Clients may name regions that nobody knows, and what is due there waits for ever. It must not
 * keep a new leader from the peers that there are. */
static void test_made_up_regions_do_not_crowd_out_a_peer(void **state) {
    enum { SECRETS = 6 };
    char regions[SECRETS * LIMIT_REPLICAS][16];
    struct call call = {.suffix = "AAAAAA", .token = "t1"};

    for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
        (void)snprintf(regions[i], sizeof(regions[i]), "aa-%zu", i); /* sorts before WEST */
    }
    for (size_t i = 0; i < SECRETS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "m%zu", i);
        call.name = name;
        for (size_t k = 0; k < LIMIT_REPLICAS; k++) {
            call.targets[k] = regions[i * LIMIT_REPLICAS + k];
        }
        expect_ok(region_create(&fake.east, &call));
        expect_ok(do_remove(&fake.east.m, &call));
    }
    create("a", "x");
    shipper_end(); /* a leader that knows the outbox alone */
    shipper_begin();
    run(100, REPLY_TRULY);
    expect_status("a", LINK_IN_SYNC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_ships_once_and_rests),
        TEST(test_a_write_under_way_is_shipped_after),
        TEST(test_an_outage_backs_off_and_ends),
        TEST(test_a_refusal_is_not_insisted_on),
        TEST(test_an_overloaded_peer_is_spared),
        TEST(test_a_group_that_cannot_commit),
        TEST(test_a_group_that_refuses),
        TEST(test_leadership_goes_and_comes),
        TEST(test_a_backlog),
        TEST(test_made_up_regions_do_not_crowd_out_a_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
