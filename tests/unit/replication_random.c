/* Three regions under random writes, removals, promotions and forces, joined by a network that
 * loses, doubles and reorders batches and answers: once it is quiet, every link tells the truth and
 * every replica opens, under its own key, to what its primary holds.
 *
 * Seeds are fixed; REDOUBT_SEED=n begins elsewhere, REDOUBT_SEEDS=n runs so many. The last seed
 * printed is the one that fails. */
#include "tests/unit/replication_regions.h"

enum { REGIONS = 3, NAMES = 3, POOL = 10, STEPS = 150, SEEDS = 6, ROUNDS = 60 };

static const char *const region_names[REGIONS] = {EAST, WEST, SOUTH};
static const char *const secret_names[NAMES] = {"a", "b", "c/d"};

/* A batch on its way, or its answer on the way back. */
struct flight {
    struct region *from;
    struct region *to;
    struct outgoing out;
    struct buf answer;
    bool is_answered;
};

#define OTHER_KEY "alias/other"

struct world3 {
    struct region regions[REGIONS];
    struct flight pool[POOL];
    size_t n_pool;
    uint64_t rng;
    unsigned counter;
    unsigned verdicts[16];
};

static unsigned below(struct world3 *w, unsigned n) {
    uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ (z >> 31)) % n);
}

/* ---- The network ---- */

static void flight_drop(struct world3 *w, size_t at) {
    outgoing_fini(&w->pool[at].out);
    buf_fini(&w->pool[at].answer);
    w->pool[at] = w->pool[--w->n_pool];
}

static void send_batch(struct world3 *w, struct region *from, struct region *to) {
    const struct outgoing_request request = {.items_max = 1 + below(w, 3)};
    struct outgoing_cursor cursor = {.is_set = false};
    struct flight *flight = &w->pool[w->n_pool];

    if (w->n_pool == POOL) {
        return;
    }
    /* From anywhere in the outbox, as a scan would be. */
    for (unsigned skip = below(w, 3); skip > 0; skip--) {
        struct outgoing passed = region_build_with(from, to->m.region, request, &cursor);
        bool is_exhausted = passed.is_exhausted;
        outgoing_fini(&passed);
        if (is_exhausted) {
            cursor.is_set = false;
        }
    }
    flight->out = region_build_with(from, to->m.region, request, &cursor);
    flight->from = from;
    flight->to = to;
    flight->is_answered = false;
    buf_init(&flight->answer, LIMIT_PEER_BODY);
    if (flight->out.decided.n > 0) {
        region_record(from, to->m.region, &flight->out.decided);
    }
    if (flight->out.sent.n == 0) {
        outgoing_fini(&flight->out);
        return;
    }
    w->n_pool++;
}

static void deliver_batch(struct flight *flight) {
    buf_reset(&flight->answer);
    assert_int_equal(region_receive(flight->to, flight->from->m.region, flight->out.body.data,
                                    flight->out.body.len, &flight->answer),
                     OK);
    flight->is_answered = true;
}

static void deliver_answer(struct world3 *w, struct flight *flight) {
    struct err err;

    assert_int_equal(outgoing_take_answer(&flight->out.sent, flight->to->m.region,
                                          flight->answer.data, flight->answer.len, &err),
                     OK);
    for (size_t i = 0; i < flight->out.sent.n; i++) {
        w->verdicts[flight->out.sent.items[i].verdict]++;
    }
    region_record(flight->from, flight->to->m.region, &flight->out.sent);
}

static void step_network(struct world3 *w) {
    size_t at;

    if (w->n_pool == 0) {
        return;
    }
    at = below(w, (unsigned)w->n_pool);
    switch (below(w, 6)) {
    case 0: /* lost */
        flight_drop(w, at);
        break;
    case 1: /* doubled: arrives and stays under way */
        deliver_batch(&w->pool[at]);
        break;
    case 2: /* an answer that arrives twice, or an old one */
        if (w->pool[at].is_answered) {
            deliver_answer(w, &w->pool[at]);
        }
        break;
    default:
        if (w->pool[at].is_answered) {
            deliver_answer(w, &w->pool[at]);
            flight_drop(w, at);
        } else {
            deliver_batch(&w->pool[at]);
        }
        break;
    }
}

/* ---- The clients ---- */

static void step_write(struct world3 *w, struct region *r, const char *name) {
    Redoubt__Secret *secret = machine_secret(&r->m, name);
    char suffix[LIMIT_ARN_SUFFIX + 1];
    char token[UUID_TEXT];
    char value[32];
    struct call call = {.name = name, .suffix = suffix, .token = token, .text = value};

    w->counter++;
    (void)snprintf(suffix, sizeof(suffix), "s%05u", w->counter);
    (void)snprintf(token, sizeof(token), "%08u-0000-4000-8000-000000000000", w->counter);
    (void)snprintf(value, sizeof(value), "value %u", w->counter);
    if (secret == NULL) {
        call.targets[0] = region_names[below(w, REGIONS)];
        call.force = below(w, 4) == 0;
        command_result_free(region_create(r, &call));
    } else if (secret->replica_of == NULL) {
        (void)snprintf(suffix, sizeof(suffix), "%s", secret->suffix);
        command_result_free(region_put(r, &call));
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

static void step_client(struct world3 *w) {
    struct region *r = &w->regions[below(w, REGIONS)];
    const char *name = secret_names[below(w, NAMES)];
    struct call call = {.name = name,
                        .targets = {region_names[below(w, REGIONS)]},
                        .kms_key_id = below(w, 3) == 0 ? OTHER_KEY : NULL,
                        .force = below(w, 3) == 0};

    switch (below(w, 12)) {
    case 0:
        command_result_free(do_remove(&r->m, &call));
        break;
    case 1:
        call.targets[0] = NULL;
        command_result_free(do_promote(&r->m, &call));
        break;
    case 2:
        call.targets[0] = NULL;
        call.force = true;
        call.invented = "iiiiii";
        command_result_free(do_delete(&r->m, &call));
        break;
    case 3:
    case 4:
    case 5:
        command_result_free(do_add(&r->m, &call));
        break;
    default:
        step_write(w, r, name);
        break;
    }
    r->m.now_ms += below(w, 1000);
}

/* ---- The end ---- */

static void settle_all(struct world3 *w) {
    size_t moved = 1;

    for (int round = 0; round < ROUNDS && moved > 0; round++) {
        moved = 0;
        for (int i = 0; i < REGIONS; i++) {
            for (int k = 0; k < REGIONS; k++) {
                moved += i == k ? 0 : region_exchange(&w->regions[i], &w->regions[k]);
            }
        }
    }
    assert_int_equal(moved, 0); /* the outboxes are empty */
}

/* Every value of the replica lies under the key that the link asks for. */
static void expect_key_of_link(struct region *primary, struct region *replica,
                               const Redoubt__Secret *secret) {
    Redoubt__Link *link = machine_link(&primary->m, secret->name, replica->m.region);
    char *key_id = NULL;
    struct err err;

    assert_int_equal(
        vault_resolve_key(machine_view(&replica->m), ACCOUNT, link->kms_key_id, &key_id, &err), OK);
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Sealed *sealed = NULL;
        assert_int_equal(view_value(machine_view(&replica->m), ACCOUNT, secret->name,
                                    secret->versions[i]->id, &sealed),
                         OK);
        assert_non_null(sealed);
        assert_string_equal(sealed->key_id, key_id);
        redoubt__sealed__free_unpacked(sealed, NULL);
    }
    free(key_id);
    redoubt__link__free_unpacked(link, NULL);
}

/* Every value that the primary has opens there, and opens to the same at the replica. */
static void expect_equal_values(struct region *primary, struct region *replica,
                                const Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const char *id = secret->versions[i]->id;
        const struct vault_place place = {primary->m.region, ACCOUNT, secret->name, secret->suffix,
                                          id};
        Redoubt__Sealed *sealed = NULL;
        struct secret value;
        char plain[64];
        struct err err;

        assert_int_equal(view_value(machine_view(&primary->m), ACCOUNT, secret->name, id, &sealed),
                         OK);
        assert_non_null(sealed);
        assert_int_equal(
            vault_open(primary->keyring, machine_view(&primary->m), &place, sealed, &value, &err),
            OK);
        (void)snprintf(plain, sizeof(plain), "%.*s", (int)value.len, (const char *)value.data);
        expect_opens(replica, secret->name, secret->suffix, id, plain);
        secret_fini(&value);
        redoubt__sealed__free_unpacked(sealed, NULL);
    }
}

/* A link is in sync or has failed; in sync means equal. */
static void expect_true_link(struct world3 *w, struct region *primary, struct region *replica,
                             const char *name) {
    Redoubt__Secret *secret = machine_secret(&primary->m, name);
    Redoubt__Secret *copy = machine_secret(&replica->m, name);
    int status = region_link_status(primary, name, replica->m.region);

    assert_int_not_equal(status, LINK_IN_PROGRESS);
    if (status == LINK_IN_SYNC) {
        assert_non_null(copy);
        assert_non_null(copy->replica_of);
        assert_string_equal(copy->replica_of->region, primary->m.region);
        assert_string_equal(copy->suffix, secret->suffix);
        assert_int_equal(copy->revision, secret->revision);
        assert_int_equal(copy->n_versions, secret->n_versions);
        expect_equal_values(primary, replica, secret);
        expect_key_of_link(primary, replica, secret);
        w->verdicts[0]++;
    } else if (status == -1 && copy != NULL && copy->replica_of != NULL && secret != NULL) {
        /* A replica that its primary does not know of is nobody's. */
        assert_string_not_equal(copy->replica_of->region, primary->m.region);
    }
    redoubt__secret__free_unpacked(secret, NULL);
    redoubt__secret__free_unpacked(copy, NULL);
}

static void run_seed(uint64_t seed, unsigned verdicts[16]) {
    struct world3 *w = calloc(1, sizeof(*w));

    print_message("seed %llu\n", (unsigned long long)seed);
    assert_non_null(w);
    w->rng = seed;
    for (int i = 0; i < REGIONS; i++) {
        region_init(&w->regions[i], region_names[i]);
        region_make_key(&w->regions[i], OTHER_KEY);
    }
    for (int step = 0; step < STEPS; step++) {
        unsigned from = below(w, REGIONS);
        step_client(w);
        send_batch(w, &w->regions[from], &w->regions[(from + 1 + below(w, REGIONS - 1)) % REGIONS]);
        step_network(w);
        step_network(w);
    }
    while (w->n_pool > 0) {
        flight_drop(w, 0);
    }
    settle_all(w);
    for (int i = 0; i < REGIONS; i++) {
        for (int k = 0; k < REGIONS; k++) {
            for (int n = 0; i != k && n < NAMES; n++) {
                expect_true_link(w, &w->regions[i], &w->regions[k], secret_names[n]);
            }
        }
    }
    for (int i = 0; i < REGIONS; i++) {
        region_fini(&w->regions[i]);
    }
    for (int i = 0; i < 16; i++) {
        verdicts[i] += w->verdicts[i];
    }
    free(w);
}

static uint64_t number_of(const char *name, uint64_t otherwise) {
    const char *value = getenv(name);

    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

static void test_convergence(void **state) {
    uint64_t first = number_of("REDOUBT_SEED", 1);
    uint64_t n = number_of("REDOUBT_SEEDS", SEEDS);
    unsigned verdicts[16] = {0};

    for (uint64_t seed = first; seed < first + n; seed++) {
        run_seed(seed, verdicts);
    }
    print_message("in sync at the end: %u; verdicts:", verdicts[0]);
    for (int i = 1; i < 16; i++) {
        print_message(" %u", verdicts[i]);
    }
    print_message("\n");
    if (n >= SEEDS) { /* the walk must have been somewhere */
        assert_true(verdicts[0] > 0);
        assert_true(verdicts[REDOUBT__VERDICT__VERDICT_APPLIED] > 0);
        assert_true(verdicts[REDOUBT__VERDICT__VERDICT_STALE] > 0);
        assert_true(verdicts[REDOUBT__VERDICT__VERDICT_NAME_TAKEN] > 0);
        assert_true(verdicts[REDOUBT__VERDICT__VERDICT_PROMOTED] > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convergence)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
