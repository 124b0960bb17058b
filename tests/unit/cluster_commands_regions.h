/* Three regions, and what the tests between them say again and again; included by the programs
 * tests/unit/cluster_commands_*.c that ship. */
#ifndef TESTS_UNIT_CLUSTER_COMMANDS_REGIONS_H
#define TESTS_UNIT_CLUSTER_COMMANDS_REGIONS_H

#define KIT_TWINS                                                                                  \
    1 /* three regions a test; cluster_commands_random.c compares twins of the same                \
       */
#include "tests/unit/cluster_commands.h"

#include "model/replication_status.h"

#define V(name) REDOUBT__VERDICT__VERDICT_##name
#define REPLICA                                                                                    \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."

struct regions {
    struct machine east;
    struct machine west;
    struct machine south;
};

static inline int setup(void **state) {
    struct regions *r = malloc(sizeof(*r));

    machine_init(&r->east, EAST);
    machine_init(&r->west, WEST);
    machine_init(&r->south, SOUTH);
    r->west.index = 1000; /* so that numbers of two regions do not agree by chance */
    *state = r;
    return 0;
}

static inline int teardown(void **state) {
    struct regions *r = *state;

    machine_fini(&r->east);
    machine_fini(&r->west);
    machine_fini(&r->south);
    free(r);
    return 0;
}

static const struct call to_west = {.name = "a", .targets = {WEST}};
static const struct call to_east = {.name = "a", .targets = {EAST}};
static const struct call force_west = {.name = "a", .targets = {WEST}, .force = true};
static const struct call force_east = {.name = "a", .targets = {EAST}, .force = true};
static const struct call drop = {.name = "a", .force = true};
static const struct call only_name = {.name = "a"};

static inline void create(struct machine *m, const char *suffix, const char *text) {
    struct call call = {.name = "a", .suffix = suffix, .token = "t1", .text = text};
    expect_ok(do_create(m, &call));
}

static inline void put(struct machine *m, const char *token, const char *text) {
    struct call call = {.name = "a", .token = token, .text = text};
    expect_ok(do_put(m, &call));
}

/* EAST has a primary "a" whose replica in WEST is in sync. */
static inline void replicate(struct regions *r) {
    create(&r->east, "AAAAAA", "v1");
    expect_ok(do_add(&r->east, &to_west));
    assert_int_equal(exchange(&r->east, &r->west), V(APPLIED));
}

static inline void expect_link(struct machine *m, const char *region, enum link_status status,
                               const char *message) {
    struct call call = {.name = "a", .targets = {"xx-1"}};
    Redoubt__Result *result = do_remove(m, &call); /* of no replica: tells the statuses */
    bool found = false;

    assert_int_equal(result->code, OK);
    for (size_t i = 0; i < result->n_links; i++) {
        if (strcmp(result->links[i]->region, region) == 0) {
            found = true;
            assert_int_equal(result->links[i]->status, status);
            if (message == NULL) {
                assert_null(result->links[i]->message);
            } else {
                assert_string_equal(result->links[i]->message, message);
            }
        }
    }
    assert_true(found);
    command_result_free(result);
}

static inline void expect_no_link(const struct machine *m, const char *region) {
    assert_null(machine_link(m, "a", region));
}

/* 0: there must be none. */
static inline void expect_outbox(const struct machine *m, const char *region, const char *suffix,
                                 int kind) {
    Redoubt__Outbox *entry = machine_outbox(m, region, "a", suffix);

    if (kind == 0) {
        assert_null(entry);
    } else {
        assert_non_null(entry);
        assert_int_equal(entry->kind, kind);
    }
    redoubt__outbox__free_unpacked(entry, NULL);
}

enum role { GONE, STANDALONE, REPLICA_OF_EAST, REPLICA_OF_WEST };

static inline void expect_role(const struct machine *m, const char *suffix, enum role role) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    if (role == GONE) {
        assert_null(secret);
        return;
    }
    assert_non_null(secret);
    assert_string_equal(secret->suffix, suffix);
    if (role == STANDALONE) {
        assert_null(secret->replica_of);
    } else {
        assert_non_null(secret->replica_of);
        assert_string_equal(secret->replica_of->region, role == REPLICA_OF_EAST ? EAST : WEST);
        assert_null(secret->promoted_from);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

/* Deliver one stored batch again and tell the first verdict. */
static inline int redeliver(struct machine *to, const struct shipment *shipment) {
    Redoubt__OutcomeBatch *outcome = deliver(to, shipment);
    int verdict = (int)outcome->items[0]->verdict->verdict;

    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    return verdict;
}

#endif
