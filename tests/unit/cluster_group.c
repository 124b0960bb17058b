/* Three nodes of a region in one process: real stores, real TLS between them on loopback, the real
 * Raft thread of each. Leaders fail and come back, reads on every node are current, members come,
 * go and move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/world.h"
#include "cluster/bootstrap.h"
#include "cluster/node.h"
#include "crypto/tls.h"
#include "storage/view.h"

#define ACCOUNT "123456789012"
#define REGION  "us-east-1"

enum { NODES = 4, FOUNDERS = 3, WAIT_MS = 30000, ELECTION_MS = 150 };

struct member {
    struct engine *engine;
    struct node *node;
    uint64_t id;
    unsigned port;
    char data[96];
    char cert[96], key[96];
    char listen[64], address[LIMIT_ADDRESS + 1];
};

static char folder[64];
static char ca[96], ca_key[96];
static struct member members[NODES];

/* ---- the group ---- */

static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void move(struct member *member) {
    member->port = free_port();
    (void)snprintf(member->listen, sizeof(member->listen), "127.0.0.1:%u", member->port);
    (void)snprintf(member->address, sizeof(member->address), "127.0.0.1:%u,127.0.0.1:%u",
                   member->port, member->port + 1 > 65535 ? 1 : member->port + 1);
}

static void start(struct member *member) {
    const struct engine_options engine = {.path = member->data};
    struct node_options options = {
        .region = REGION,
        .id = member->id,
        .world = world_system(),
        .election_timeout_ms = ELECTION_MS,
        .listen = member->listen,
        .address = member->address,
        .tls = {.ca_path = ca, .cert_path = member->cert, .key_path = member->key},
    };
    struct err err;

    assert_int_equal(engine_open(&engine, &member->engine, &err), OK);
    options.engine = member->engine;
    assert_int_equal(node_start(&options, &member->node, &err), OK);
}

static void stop(struct member *member) {
    node_stop(member->node);
    node_free(member->node);
    engine_close(member->engine);
    member->node = NULL;
}

static void begin(struct member *member) {
    const struct engine_options options = {.path = member->data};
    struct core_server voters[FOUNDERS];
    struct engine *engine;
    struct err err;

    for (size_t i = 0; i < FOUNDERS; i++) {
        voters[i] = (struct core_server){.id = members[i].id, .address = members[i].address};
    }
    assert_int_equal(engine_open(&options, &engine, &err), OK);
    if (member < members + FOUNDERS) {
        assert_int_equal(node_bootstrap(engine, voters, FOUNDERS, &err), OK);
    } else {
        assert_int_equal(node_await_join(engine, &err), OK);
    }
    engine_close(engine);
}

static int setup(void **state) {
    struct err err;

    tls_global_init();
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-group-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
    (void)snprintf(ca_key, sizeof(ca_key), "%s/ca.key", folder);
    assert_int_equal(tls_ca_create(ca, ca_key, &err), OK);
    for (unsigned i = 0; i < NODES; i++) {
        struct member *member = &members[i];
        *member = (struct member){.id = 0x1000 + i};
        (void)snprintf(member->data, sizeof(member->data), "%s/%u", folder, i);
        (void)snprintf(member->cert, sizeof(member->cert), "%s/%u.crt", folder, i);
        (void)snprintf(member->key, sizeof(member->key), "%s/%u.key", folder, i);
        assert_int_equal(
            tls_cert_create(ca, ca_key, REGION, member->id, member->cert, member->key, &err), OK);
        move(member);
    }
    for (size_t i = 0; i < NODES; i++) {
        begin(&members[i]);
    }
    for (size_t i = 0; i < FOUNDERS; i++) {
        start(&members[i]);
    }
    return 0;
}

static int teardown(void **state) {
    pid_t child;
    int status;

    for (size_t i = 0; i < NODES; i++) {
        if (members[i].node != NULL) {
            stop(&members[i]);
        }
    }
    child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(1);
    }
    return waitpid(child, &status, 0) == child ? status : 1;
}

/* ---- waiting for answers ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
};

static void waiter_done(struct waiter *waiter) {
    CHECK(pthread_mutex_lock(&waiter->lock) == 0);
    waiter->is_done = true;
    CHECK(pthread_cond_signal(&waiter->changed) == 0);
    CHECK(pthread_mutex_unlock(&waiter->lock) == 0);
}

static void waiter_wait(struct waiter *waiter) {
    CHECK(pthread_mutex_lock(&waiter->lock) == 0);
    while (!waiter->is_done) {
        CHECK(pthread_cond_wait(&waiter->changed, &waiter->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&waiter->lock) == 0);
}

#define WAITER                                                                                     \
    (struct waiter) {                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                 \
    }

static void ticket_done(struct ticket *ticket) {
    waiter_done(ticket->arg);
}

static enum errc ask(struct member *member, enum ticket_kind kind, unsigned wait_ms,
                     struct ticket *ticket) {
    struct waiter waiter = WAITER;

    *ticket = (struct ticket){.kind = kind,
                              .deadline_ms = world_mono_ms(world_system()) + wait_ms,
                              .done_cb = ticket_done,
                              .arg = &waiter};
    assert_int_equal(node_ask(member->node, ticket), OK);
    waiter_wait(&waiter);
    return ticket->code;
}

static struct member *leader(void) {
    for (int i = 0; i < WAIT_MS; i++) {
        for (size_t k = 0; k < NODES; k++) {
            struct ticket ticket;
            if (members[k].node != NULL && ask(&members[k], TICKET_LEADER, 1000, &ticket) == OK &&
                ticket.is_self) {
                return &members[k];
            }
        }
        (void)poll(NULL, 0, 1);
    }
    fail_msg("no leader");
    return NULL;
}

static struct member *follower(void) {
    const struct member *first = leader();

    for (size_t k = 0; k < NODES; k++) {
        if (members[k].node != NULL && &members[k] != first) {
            return &members[k];
        }
    }
    fail_msg("no follower");
    return NULL;
}

static void proposal_done(struct proposal *proposal) {
    waiter_done(proposal->arg);
}

static enum errc create_at(struct member *member, const char *name) {
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;
    char account[] = ACCOUNT, suffix[] = "AbCdEf", token[] = "11111111-2222-3333-4444-555555555555";
    struct waiter waiter = WAITER;
    struct proposal *proposal;
    enum errc code;

    ref.account = account;
    ref.name = (char *)(uintptr_t)name;
    ref.suffix = suffix;
    create.ref = &ref;
    create.token = token;
    create.has_now_ms = 1;
    create.now_ms = 1700000000000;
    proposal = proposal_new(COMMAND_SECRET_CREATE, &create.base);
    assert_non_null(proposal);
    proposal->done_cb = proposal_done;
    proposal->arg = &waiter;
    assert_int_equal(node_propose(member->node, proposal), OK);
    waiter_wait(&waiter);
    code = proposal->code;
    if (code == OK) {
        assert_int_equal(proposal->result->code, OK);
    }
    proposal_free(proposal);
    return code;
}

/* At whoever leads, until it is acknowledged. */
static void create(const char *name) {
    for (int i = 0; i < 1000; i++) {
        if (create_at(leader(), name) == OK) {
            return;
        }
    }
    fail_msg("%s was never acknowledged", name);
}

static bool exists_at(struct member *member, const char *name) {
    struct view *view = view_new(member->engine);
    Redoubt__Secret *secret = NULL;
    bool found;

    assert_non_null(view);
    assert_int_equal(view_secret(view, ACCOUNT, name, &secret), OK);
    found = secret != NULL;
    redoubt__secret__free_unpacked(secret, NULL);
    view_free(view);
    return found;
}

static void assert_readable_at(struct member *member, const char *name) {
    struct ticket ticket;

    assert_int_equal(ask(member, TICKET_READ, WAIT_MS, &ticket), OK);
    assert_true(exists_at(member, name));
}

static void change_done(struct node_change *change) {
    waiter_done(change->arg);
}

static enum errc change_at(struct member *member, enum node_change_kind kind, uint64_t id,
                           const char *address, struct node_change *change) {
    struct waiter waiter = WAITER;

    *change = (struct node_change){.kind = kind, .id = id, .done_cb = change_done, .arg = &waiter};
    (void)snprintf(change->address, sizeof(change->address), "%s", address ? address : "");
    assert_int_equal(node_change_ask(member->node, change), OK);
    waiter_wait(&waiter);
    return change->code;
}

static bool is_voter(struct member *at, uint64_t id) {
    static struct node_status status;

    node_status(at->node, &status);
    for (size_t i = 0; i < status.n_members; i++) {
        if (status.members[i].id == id) {
            return status.members[i].is_voter;
        }
    }
    return false;
}

/* ---- tests ---- */

static void test_reads_are_current_on_every_node(void **state) {
    char name[32];

    for (int i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof(name), "secret-%d", i);
        create(name);
        assert_readable_at(&members[i % FOUNDERS], name);
    }
}

static void test_a_follower_refuses_proposals(void **state) {
    assert_int_equal(create_at(follower(), "at-a-follower"), ERR_NOT_LEADER);
}

static void test_a_leader_that_goes_is_replaced(void **state) {
    struct member *first;

    create("before");
    first = leader();
    stop(first);
    create("meanwhile");
    assert_true(leader() != first);
    start(first);
    assert_readable_at(first, "before");
    assert_readable_at(first, "meanwhile");
}

static void test_without_a_majority_nothing_is_answered(void **state) {
    struct member *first, *second;
    struct ticket ticket;

    create("before");
    first = leader();
    second = follower();
    stop(second);
    stop(follower());
    assert_int_not_equal(ask(first, TICKET_READ, 1000, &ticket), OK);
    start(second);
    create("after");
    assert_readable_at(second, "before");
    assert_readable_at(second, "after");
}

static void test_leadership_is_handed_over(void **state) {
    struct node_change change;
    struct member *first, *second;

    create("before");
    first = leader();
    second = follower();
    assert_int_equal(change_at(first, NODE_TRANSFER, second->id, NULL, &change), OK);
    assert_true(leader() == second);
    create("after");
    assert_readable_at(first, "after");
    assert_int_equal(change_at(first, NODE_TRANSFER, first->id, NULL, &change), ERR_NOT_LEADER);
    assert_int_equal(change.leader, second->id);
    assert_int_equal(change_at(second, NODE_TRANSFER, 99, NULL, &change), ERR_INVALID_PARAMETER);
    assert_string_not_equal(change.reason, "");
}

static void test_a_node_joins_votes_and_goes(void **state) {
    struct member *fourth = &members[FOUNDERS];
    struct node_change change;

    create("before");
    start(fourth);
    assert_int_equal(change_at(leader(), NODE_ADD, fourth->id, fourth->address, &change), OK);
    assert_readable_at(fourth, "before");
    for (int i = 0; !is_voter(leader(), fourth->id); i++) {
        assert_true(i < WAIT_MS);
        (void)poll(NULL, 0, 1);
    }
    create("with-four");
    assert_readable_at(fourth, "with-four");
    /* Whoever leads: a leader that is to go hands over first. */
    while (change_at(leader(), NODE_REMOVE, members[0].id, NULL, &change) == ERR_NOT_LEADER) {
    }
    assert_int_equal(change.code, OK);
    stop(&members[0]);
    create("without-the-first");
    assert_readable_at(fourth, "without-the-first");
}

static void test_a_change_that_would_stop_the_group_is_refused(void **state) {
    struct node_change change;
    struct member *gone, *other;

    create("before");
    gone = follower();
    stop(gone);
    other = follower();
    (void)poll(NULL, 0, 4 * ELECTION_MS);
    assert_int_equal(change_at(leader(), NODE_REMOVE, other->id, NULL, &change), ERR_NO_QUORUM);
    assert_non_null(strstr(change.reason, "voters"));
    assert_int_equal(change_at(leader(), NODE_REMOVE, gone->id, NULL, &change), OK);
    create("after");
}

static void test_a_node_moves(void **state) {
    struct member *moved = follower();

    create("before");
    stop(moved);
    move(moved);
    start(moved);
    create("after");
    for (int i = 0;; i++) {
        static struct node_status status;
        bool has_moved = false;
        node_status(leader()->node, &status);
        for (size_t k = 0; k < status.n_members; k++) {
            has_moved = has_moved || strcmp(status.members[k].address, moved->address) == 0;
        }
        if (has_moved) {
            break;
        }
        assert_true(i < WAIT_MS);
        (void)poll(NULL, 0, 1);
    }
    assert_readable_at(moved, "after");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_are_current_on_every_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_follower_refuses_proposals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_leader_that_goes_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_majority_nothing_is_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_leadership_is_handed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_node_joins_votes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_change_that_would_stop_the_group_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_node_moves, setup, teardown),
    };

    log_setup(getenv("REDOUBT_TEST_LOG") ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "test");
    cmocka_set_test_filter(getenv("REDOUBT_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
