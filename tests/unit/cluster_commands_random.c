/* Three regions under random commands, with batches and answers that get lost, doubled and
 * reordered: nothing is resurrected, nothing standalone is overwritten without force, a link that
 * says InSync is; and once everything is delivered, all regions agree.
 *
 * Seeds are fixed; REDOUBT_SEED=n begins elsewhere, REDOUBT_SEEDS=n runs so many. The last seed
 * printed is the one that fails. */
#include "tests/unit/cluster_commands_metadata.h"
#include "tests/unit/cluster_commands_rotate.h"

#include "model/replication_status.h"

enum { REGIONS = 3, NAMES = 2, POOL = 12, DEAD_MAX = 4096, STEPS = 350, SEEDS = 12, ROUNDS = 40 };

static const char *const region_names[REGIONS] = {EAST, WEST, SOUTH};
static const char *const secret_names[NAMES] = {"a", "b"};

/* Links of `from` up to `generation` are over in region `at`, for this ARN. */
struct dead {
    int at;
    char from[LIMIT_REGION_NAME + 1];
    char name[8];
    char suffix[LIMIT_ARN_SUFFIX + 1];
    uint64_t generation;
};

struct flight {
    int from;
    int to;
    struct shipment shipment;      /* under way from `from` to `to` */
    Redoubt__OutcomeBatch *answer; /* or, when set, the answer under way back */
};

struct world3 {
    struct machine m[REGIONS];
    struct flight pool[POOL];
    size_t n_pool;
    struct dead dead[DEAD_MAX];
    size_t n_dead;
    uint64_t rng;
    uint64_t counter;
    unsigned verdicts[16];
};

static uint64_t roll(struct world3 *w) {
    uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(struct world3 *w, int n) {
    return (int)(roll(w) % (uint64_t)n);
}

/* ---- What must hold ---- */

static void bury(struct world3 *w, int at, const char *from, const char *name, const char *suffix,
                 uint64_t generation) {
    struct dead *dead = NULL;

    for (size_t i = 0; i < w->n_dead && dead == NULL; i++) {
        struct dead *d = &w->dead[i];
        if (d->at == at && strcmp(d->from, from) == 0 && strcmp(d->name, name) == 0 &&
            strcmp(d->suffix, suffix) == 0) {
            dead = d;
        }
    }
    if (dead == NULL) {
        assert_true(w->n_dead < DEAD_MAX);
        dead = &w->dead[w->n_dead++];
        dead->at = at;
        dead->generation = 0;
        (void)snprintf(dead->from, sizeof(dead->from), "%s", from);
        (void)snprintf(dead->name, sizeof(dead->name), "%s", name);
        (void)snprintf(dead->suffix, sizeof(dead->suffix), "%s", suffix);
    }
    if (dead->generation < generation) {
        dead->generation = generation;
    }
}

static uint64_t dead_up_to(const struct world3 *w, int at, const char *from, const char *name,
                           const char *suffix) {
    for (size_t i = 0; i < w->n_dead; i++) {
        const struct dead *d = &w->dead[i];
        if (d->at == at && strcmp(d->from, from) == 0 && strcmp(d->name, name) == 0 &&
            strcmp(d->suffix, suffix) == 0) {
            return d->generation;
        }
    }
    return 0;
}

static int index_of(const char *region) {
    for (int i = 0; i < REGIONS; i++) {
        if (strcmp(region_names[i], region) == 0) {
            return i;
        }
    }
    fail();
    return 0;
}

static void expect_same_text(const struct machine *a, const struct machine *b, const char *name,
                             const char *id) {
    Redoubt__Sealed *left = NULL;
    Redoubt__Sealed *right = NULL;
    char one[256];
    char two[256];

    assert_int_equal(view_value(machine_view(a), ACCOUNT, name, id, &left), OK);
    assert_int_equal(view_value(machine_view(b), ACCOUNT, name, id, &right), OK);
    assert_non_null(left);
    assert_non_null(right);
    (void)snprintf(one, sizeof(one), "%.*s", (int)left->ciphertext.len, left->ciphertext.data);
    (void)snprintf(two, sizeof(two), "%.*s", (int)right->ciphertext.len, right->ciphertext.data);
    assert_string_equal(strchr(one, '|'), strchr(two, '|'));
    assert_int_equal(strncmp(two, b->region, strlen(b->region)), 0); /* sealed there */
    redoubt__sealed__free_unpacked(left, NULL);
    redoubt__sealed__free_unpacked(right, NULL);
}

static void expect_equal_metadata(const Redoubt__Secret *left, const Redoubt__Secret *right) {
    assert_int_equal(left->policy == NULL, right->policy == NULL);
    if (left->policy != NULL) {
        assert_string_equal(left->policy, right->policy);
    }
    assert_int_equal(left->tags_were_set, right->tags_were_set);
    assert_int_equal(left->n_tags, right->n_tags);
    for (size_t i = 0; i < left->n_tags; i++) {
        assert_string_equal(left->tags[i]->key, right->tags[i]->key);
        assert_string_equal(left->tags[i]->value, right->tags[i]->value);
    }
}

static void expect_equal_rotations(const Redoubt__Rotation *left, const Redoubt__Rotation *right) {
    uint8_t one[512];
    uint8_t two[512];

    assert_int_equal(left == NULL, right == NULL);
    if (left == NULL) {
        return;
    }
    assert_true(redoubt__rotation__get_packed_size(left) <= sizeof(one));
    assert_int_equal(redoubt__rotation__pack(left, one), redoubt__rotation__get_packed_size(right));
    (void)redoubt__rotation__pack(right, two);
    assert_memory_equal(one, two, redoubt__rotation__get_packed_size(left));
    /* What is on can be run, and what has a schedule is due. */
    assert_true(!left->enabled || left->function_arn != NULL);
    assert_true(!left->enabled || left->has_next_rotation_ms == left->has_automatically_after_days);
}

static void expect_equal_secrets(const struct machine *a, const Redoubt__Secret *left,
                                 const struct machine *b, const Redoubt__Secret *right) {
    assert_string_equal(left->suffix, right->suffix);
    assert_int_equal(left->revision, right->revision);
    assert_int_equal(left->created_ms, right->created_ms);
    assert_int_equal(left->description == NULL, right->description == NULL);
    if (left->description != NULL) {
        assert_string_equal(left->description, right->description);
    }
    expect_equal_metadata(left, right);
    assert_int_equal(left->changed_ms, right->changed_ms);
    expect_equal_rotations(left->rotation, right->rotation);
    assert_int_equal(left->n_versions, right->n_versions);
    for (size_t i = 0; i < left->n_versions; i++) {
        const Redoubt__Version *one = left->versions[i];
        const Redoubt__Version *two = right->versions[i];
        assert_string_equal(one->id, two->id);
        assert_int_equal(one->revision, two->revision);
        assert_int_equal(one->n_stages, two->n_stages);
        for (size_t k = 0; k < one->n_stages; k++) {
            assert_string_equal(one->stages[k], two->stages[k]);
        }
        assert_int_equal(one->has_kind, two->has_kind);
        if (one->has_kind) {
            expect_same_text(a, b, left->name, one->id);
        }
    }
}

/* What the record says of the keys of its values is what the values are under. */
static void expect_keys(const struct machine *m, const Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        Redoubt__Sealed *sealed = NULL;
        if (!version->has_kind) {
            continue;
        }
        assert_int_equal(view_value(machine_view(m), ACCOUNT, secret->name, version->id, &sealed),
                         OK);
        assert_non_null(sealed);
        assert_string_equal(version->key_id, sealed->key_id);
        assert_int_equal(version->n_other_key_ids, sealed->n_others);
        for (size_t k = 0; k < sealed->n_others; k++) {
            assert_string_equal(version->other_key_ids[k], sealed->others[k]->key_id);
        }
        redoubt__sealed__free_unpacked(sealed, NULL);
    }
}

/* The link says InSync: then it is, or the replica's region ended the link by itself. */
static void expect_truth(const struct world3 *w, int at, const Redoubt__Secret *secret,
                         const Redoubt__Link *link) {
    int to = index_of(link->region);
    Redoubt__Secret *replica;

    if (link_status(link->failure, link->acked_revision, secret->revision) != LINK_IN_SYNC ||
        dead_up_to(w, to, region_names[at], secret->name, secret->suffix) >= link->generation) {
        return;
    }
    replica = machine_secret(&w->m[to], secret->name);
    assert_non_null(replica);
    assert_non_null(replica->replica_of);
    assert_string_equal(replica->replica_of->region, region_names[at]);
    assert_int_equal(replica->replica_of->generation, link->generation);
    assert_int_equal(replica->replica_of->revision, secret->revision);
    expect_equal_secrets(&w->m[at], secret, &w->m[to], replica);
    redoubt__secret__free_unpacked(replica, NULL);
}

static void expect_due_or_done(const struct world3 *w, int at, const Redoubt__Secret *secret,
                               const Redoubt__Link *link) {
    Redoubt__Outbox *entry = machine_outbox(&w->m[at], link->region, secret->name, secret->suffix);

    if (link_status(link->failure, link->acked_revision, secret->revision) == LINK_IN_PROGRESS) {
        assert_non_null(entry);
        assert_true(entry->kind == REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED ||
                    (entry->kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT &&
                     entry->generation == link->generation));
    }
    redoubt__outbox__free_unpacked(entry, NULL);
}

static void check_invariants(const struct world3 *w) {
    for (int at = 0; at < REGIONS; at++) {
        for (int i = 0; i < NAMES; i++) {
            Redoubt__Secret *secret = machine_secret(&w->m[at], secret_names[i]);
            struct view_links links = {0};
            assert_int_equal(view_links(machine_view(&w->m[at]), ACCOUNT, secret_names[i], &links),
                             OK);
            assert_true(secret != NULL || links.n == 0);
            if (secret != NULL) {
                expect_keys(&w->m[at], secret);
            }
            if (secret != NULL && secret->replica_of != NULL) {
                assert_int_equal(links.n, 0);
                assert_true(
                    secret->replica_of->generation >
                    dead_up_to(w, at, secret->replica_of->region, secret->name, secret->suffix));
            }
            for (size_t k = 0; k < links.n; k++) {
                expect_truth(w, at, secret, links.items[k]);
                expect_due_or_done(w, at, secret, links.items[k]);
            }
            view_links_free(&links);
            redoubt__secret__free_unpacked(secret, NULL);
        }
    }
}

/* ---- Messages in flight ---- */

static void flight_end(struct world3 *w, size_t at) {
    shipment_free(&w->pool[at].shipment);
    redoubt__outcome_batch__free_unpacked(w->pool[at].answer, NULL);
    w->pool[at] = w->pool[--w->n_pool];
}

static struct flight *flight_begin(struct world3 *w) {
    if (w->n_pool == POOL) {
        flight_end(w, (size_t)below(w, POOL)); /* lost */
    }
    memset(&w->pool[w->n_pool], 0, sizeof(w->pool[0]));
    return &w->pool[w->n_pool++];
}

/* Items travel in whatever batches: each is left out with a chance of one in four. */
static void thin(struct world3 *w, struct shipment *shipment) {
    size_t kept = 0;

    for (size_t i = 0; i < shipment->batch->n_items; i++) {
        if (below(w, 4) == 0) {
            redoubt__inbound_item__free_unpacked(shipment->batch->items[i], NULL);
            redoubt__outcome_item__free_unpacked(shipment->outcome->items[i], NULL);
        } else {
            shipment->batch->items[kept] = shipment->batch->items[i];
            shipment->outcome->items[kept++] = shipment->outcome->items[i];
        }
    }
    shipment->batch->n_items = kept;
    shipment->outcome->n_items = kept;
}

/* A batch arrives. What was standalone stays what it was, unless the batch may force it. */
static Redoubt__OutcomeBatch *deliver_watched(struct world3 *w, int from, int to,
                                              const struct shipment *shipment) {
    Redoubt__Secret *before[NAMES];
    bool had_links[NAMES];
    Redoubt__OutcomeBatch *outcome;

    for (int i = 0; i < NAMES; i++) {
        struct view_links links = {0};
        before[i] = machine_secret(&w->m[to], secret_names[i]);
        assert_int_equal(view_links(machine_view(&w->m[to]), ACCOUNT, secret_names[i], &links), OK);
        had_links[i] = links.n > 0;
        view_links_free(&links);
    }
    outcome = deliver(&w->m[to], shipment);
    for (size_t k = 0; k < outcome->n_items; k++) {
        const Redoubt__OutcomeItem *item = outcome->items[k];
        w->verdicts[item->verdict->verdict]++;
        if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE &&
            item->verdict->verdict != REDOUBT__VERDICT__VERDICT_STALE) {
            bury(w, to, region_names[from], item->name, item->suffix, item->generation);
        }
    }
    for (int i = 0; i < NAMES; i++) {
        Redoubt__Secret *after = machine_secret(&w->m[to], secret_names[i]);
        const Redoubt__Origin *origin = before[i] == NULL ? NULL : before[i]->promoted_from;
        bool forced = false;
        if (before[i] != NULL && before[i]->replica_of == NULL &&
            (after == NULL || after->replica_of != NULL ||
             strcmp(after->suffix, before[i]->suffix) != 0)) {
            for (size_t k = 0; k < shipment->batch->n_items; k++) {
                const Redoubt__InboundItem *item = shipment->batch->items[k];
                forced = forced ||
                         (strcmp(item->name, secret_names[i]) == 0 && item->force &&
                          !(origin != NULL && strcmp(origin->region, region_names[from]) == 0 &&
                            strcmp(before[i]->suffix, item->suffix) == 0 &&
                            origin->generation >= item->generation));
            }
            assert_true(forced);
            assert_true(!had_links[i] || after != NULL);
        }
        redoubt__secret__free_unpacked(before[i], NULL);
        redoubt__secret__free_unpacked(after, NULL);
    }
    return outcome;
}

static void step_ship(struct world3 *w) {
    int from = below(w, REGIONS);
    int to = (from + 1 + below(w, REGIONS - 1)) % REGIONS;
    struct shipment shipment = ship(&w->m[from], region_names[to]);

    thin(w, &shipment);
    if (shipment.batch->n_items == 0) {
        shipment_free(&shipment);
        return;
    }
    *flight_begin(w) = (struct flight){.from = from, .to = to, .shipment = shipment};
}

/* Something under way arrives; half the time it stays under way besides, to arrive again. */
static void step_arrive(struct world3 *w) {
    size_t at;
    struct flight *flight;

    if (w->n_pool == 0) {
        return;
    }
    at = (size_t)below(w, (int)w->n_pool);
    flight = &w->pool[at];
    if (flight->answer != NULL) {
        settle(&w->m[flight->from], flight->answer);
    } else {
        int from = flight->from;
        int to = flight->to;
        Redoubt__OutcomeBatch *answer = deliver_watched(w, from, to, &flight->shipment);
        struct flight *back;
        if (w->n_pool == POOL) {
            flight_end(w, at); /* no room: this one makes it */
            at = POOL;
        }
        back = flight_begin(w);
        back->from = from;
        back->to = to;
        back->answer = answer;
        back->shipment.batch = kit_copy(&(Redoubt__InboundBatch)REDOUBT__INBOUND_BATCH__INIT.base);
        back->shipment.outcome =
            kit_copy(&(Redoubt__OutcomeBatch)REDOUBT__OUTCOME_BATCH__INIT.base);
    }
    if (at < w->n_pool && below(w, 2) == 0) {
        flight_end(w, at);
    }
}

/* ---- What users do; refusals are fine ---- */

/* What is scheduled comes to its end, half a second later. */
static void step_purge(struct machine *m, const char *name) {
    Redoubt__Secret *secret = machine_secret(m, name);

    if (secret != NULL && secret->has_deletion_ms) {
        struct call call = {
            .name = name, .suffix = secret->suffix, .deletion_ms = secret->deletion_ms};
        Redoubt__Result *result;
        m->now_ms = secret->deletion_ms;
        result = do_purge(m, &call);
        assert_int_equal(result->code, OK);
        assert_string_equal(result->name, name);
        command_result_free(result);
        assert_null(machine_secret(m, name));
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

/* A version of the secret in `id`, and where its label "x" is in `at`; false without versions. */
static bool pick_version(struct world3 *w, const struct machine *m, const char *name, char id[24],
                         char at[24]) {
    Redoubt__Secret *secret = machine_secret(m, name);
    bool has = secret != NULL && secret->n_versions > 0;

    at[0] = '\0';
    if (has) {
        size_t n = secret->n_versions;
        (void)snprintf(id, 24, "%s", secret->versions[below(w, (int)n)]->id);
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < secret->versions[i]->n_stages; k++) {
                if (strcmp(secret->versions[i]->stages[k], "x") == 0) {
                    (void)snprintf(at, 24, "%s", secret->versions[i]->id);
                }
            }
        }
    }
    redoubt__secret__free_unpacked(secret, NULL);
    return has;
}

/* Tags of three keys come and go, and a policy. */
static Redoubt__Result *change_metadata(struct world3 *w, struct machine *m,
                                        const struct call *call, const char *token) {
    static const char *const keys[] = {"a", "b", "c"};
    const char *key = keys[below(w, (int)ARRAY_LEN(keys))];
    char pair[32];

    (void)snprintf(pair, sizeof(pair), "%s=%s", key, token);
    switch (below(w, 4)) {
    case 0:
        return do_untag(m, call, TAGS(key));
    case 1:
        return do_policy(m, call, below(w, 3) == 0 ? NULL : token);
    default:
        return do_tags(m, call, TAGS(pair), 0);
    }
}

/* Description, a value, a key with one version sealed anew, tags, a policy, or a label: on whatever
 * is there. */
static Redoubt__Result *update_something(struct world3 *w, struct machine *m, const char *name,
                                         const char *token) {
    struct call call = {.name = name};
    char key_id[16];
    char id[24];
    char at[24];
    bool has_versions = pick_version(w, m, name, id, at);

    switch (below(w, 6)) {
    case 0:
        call.description = token;
        return do_update(m, &call);
    case 1:
        call.token = call.text = token;
        return do_update(m, &call);
    case 2:
        (void)snprintf(key_id, sizeof(key_id), "key-%d", below(w, 8));
        call.key = below(w, 2) == 0 ? "" : "alias/own";
        call.reseal = has_versions ? id : NULL;
        call.reseal_text = id; /* every value here is its version's id */
        call.reseal_key = key_id;
        return do_update(m, &call);
    case 3:
    case 4:
        return change_metadata(w, m, &call, token);
    default:
        call.stage = "x";
        call.from = at[0] != '\0' ? at : NULL;
        call.to = has_versions ? id : NULL;
        return do_stage(m, &call);
    }
}

/* A rotation begins, is filled, is over. */
static Redoubt__Result *rotate_something(struct world3 *w, struct machine *m, const char *name,
                                         const char *token) {
    static const char *const expressions[] = {"rate(10 hours)", "cron(0 2/10 * * ? *)"};
    Redoubt__Secret *secret = machine_secret(m, name);
    struct rotation_call rotate = {.name = name, .token = token, .later = below(w, 4) == 0};
    char pending[LIMIT_TOKEN + 1] = "";
    struct call fill = {.name = name, .token = pending, .text = token};

    for (size_t i = 0; secret != NULL && i < secret->n_versions; i++) {
        for (size_t k = 0; k < secret->versions[i]->n_stages; k++) {
            if (strcmp(secret->versions[i]->stages[k], "AWSPENDING") == 0) {
                (void)snprintf(pending, sizeof(pending), "%s", secret->versions[i]->id);
            }
        }
    }
    redoubt__secret__free_unpacked(secret, NULL);
    if (pending[0] != '\0' && below(w, 3) > 0) {
        fill.labels[0] = below(w, 2) == 0 ? "AWSPENDING" : "AWSCURRENT";
        return do_put(m, &fill);
    }
    if (below(w, 5) == 0) {
        return do_cancel(m, name);
    }
    rotate.function = below(w, 2) == 0 ? "f" : NULL;
    if (below(w, 3) == 0) {
        rotate.days = 1 + below(w, 1000);
    } else if (below(w, 2) == 0) {
        rotate.expression = expressions[below(w, 2)];
    }
    return do_rotate(m, &rotate);
}

static void step_command(struct world3 *w) {
    struct machine *m = &w->m[below(w, REGIONS)];
    char token[24];
    char suffix[LIMIT_ARN_SUFFIX + 1];
    struct call call = {.name = secret_names[below(w, NAMES)]};
    Redoubt__Secret *secret;
    Redoubt__Result *result = NULL;
    int kind = below(w, 29);

    m->now_ms += 1 + below(w, 1000);
    (void)snprintf(token, sizeof(token), "t%llu", (unsigned long long)++w->counter);
    (void)snprintf(suffix, sizeof(suffix), "%06llu", (unsigned long long)w->counter % 1000000);
    call.targets[0] = region_names[below(w, REGIONS)];
    call.force = below(w, 2) == 0;
    if (kind < 3) {
        call.suffix = suffix;
        call.token = token;
        call.text = token;
        if (below(w, 4) == 0) {
            call.targets[0] = NULL;
        }
        /* Mostly in one region: two creators of one name only get in each other's way. */
        result = do_create(below(w, 4) == 0 ? m : &w->m[0], &call);
    } else if (kind < 9) {
        call.token = token;
        call.text = token;
        result = do_put(m, &call);
    } else if (kind < 13) {
        call.kms_key_id = below(w, 6) == 0 ? "alias/k" : NULL;
        result = do_add(m, &call);
    } else if (kind < 15) {
        result = do_remove(m, &call);
    } else if (kind < 16) {
        call.force = below(w, 2) == 0;
        call.invented = "ZZZZZZ";
        call.deletion_ms = m->now_ms + 500;
        result = do_delete(m, &call);
        step_purge(m, call.name);
    } else if (kind < 17) {
        result = do_touch(m, &call, 19000 + below(w, 100));
    } else if (kind < 22) {
        result = update_something(w, m, call.name, token);
    } else if (kind < 26) {
        result = rotate_something(w, m, call.name, token);
    } else {
        secret = machine_secret(m, call.name);
        result = do_promote(m, &call);
        if (result->code == OK) {
            bury(w, index_of(m->region), secret->replica_of->region, call.name, secret->suffix,
                 secret->replica_of->generation);
        }
        redoubt__secret__free_unpacked(secret, NULL);
    }
    assert_int_not_equal(result->code, ERR_MALFORMED);
    command_result_free(result);
}

/* ---- The end ---- */

/* Exchange until nothing is due anywhere. */
static void heal(struct world3 *w) {
    for (int round = 0; round < ROUNDS; round++) {
        bool due = false;
        for (int from = 0; from < REGIONS; from++) {
            for (int to = 0; to < REGIONS; to++) {
                struct shipment shipment;
                Redoubt__OutcomeBatch *answer;
                if (from == to) {
                    continue;
                }
                shipment = ship(&w->m[from], region_names[to]);
                if (shipment.batch->n_items > 0) {
                    due = true;
                    answer = deliver_watched(w, from, to, &shipment);
                    settle(&w->m[from], answer);
                    redoubt__outcome_batch__free_unpacked(answer, NULL);
                    check_invariants(w);
                }
                shipment_free(&shipment);
            }
        }
        if (!due) {
            return;
        }
    }
    fail_msg("the outboxes do not drain");
}

static void retry_failed(struct world3 *w) {
    for (int at = 0; at < REGIONS; at++) {
        for (int i = 0; i < NAMES; i++) {
            struct view_links links = {0};
            assert_int_equal(view_links(machine_view(&w->m[at]), ACCOUNT, secret_names[i], &links),
                             OK);
            for (size_t k = 0; k < links.n; k++) {
                if (links.items[k]->has_failure) {
                    struct call call = {.name = secret_names[i],
                                        .targets = {links.items[k]->region},
                                        .kms_key_id = links.items[k]->kms_key_id};
                    expect_ok(do_add(&w->m[at], &call));
                }
            }
            view_links_free(&links);
        }
    }
}

/* Every link is in sync, or failed for a reason that one can see; every replica has its link. */
static void check_agreement(struct world3 *w) {
    for (int at = 0; at < REGIONS; at++) {
        for (int i = 0; i < NAMES; i++) {
            Redoubt__Secret *secret = machine_secret(&w->m[at], secret_names[i]);
            struct view_links links = {0};
            assert_int_equal(view_links(machine_view(&w->m[at]), ACCOUNT, secret_names[i], &links),
                             OK);
            for (size_t k = 0; k < links.n; k++) {
                const Redoubt__Link *link = links.items[k];
                Redoubt__Secret *there =
                    machine_secret(&w->m[index_of(link->region)], secret_names[i]);
                assert_non_null(there);
                if (!link->has_failure) {
                    assert_int_equal(link->acked_revision, secret->revision);
                    assert_non_null(there->replica_of);
                    assert_string_equal(there->replica_of->region, region_names[at]);
                    assert_int_equal(there->replica_of->generation, link->generation);
                } else if (link->failure == REDOUBT__VERDICT__VERDICT_NAME_TAKEN) {
                    assert_null(there->replica_of);
                } else {
                    assert_int_equal(link->failure, REDOUBT__VERDICT__VERDICT_OTHER_PRIMARY);
                    assert_string_not_equal(there->replica_of->region, region_names[at]);
                }
                redoubt__secret__free_unpacked(there, NULL);
            }
            view_links_free(&links);
            if (secret != NULL && secret->replica_of != NULL) {
                int primary = index_of(secret->replica_of->region);
                Redoubt__Link *link =
                    machine_link(&w->m[primary], secret_names[i], region_names[at]);
                assert_non_null(link);
                assert_int_equal(link->generation, secret->replica_of->generation);
                redoubt__link__free_unpacked(link, NULL);
            }
            redoubt__secret__free_unpacked(secret, NULL);
        }
    }
}

static void run(uint64_t seed) {
    struct world3 *w = calloc(1, sizeof(*w));

    print_message("seed %llu: ", (unsigned long long)seed);
    w->rng = seed;
    for (int i = 0; i < REGIONS; i++) {
        machine_init(&w->m[i], region_names[i]);
        w->m[i].index = (uint64_t)(1 + below(w, 1000));
    }
    for (int step = 0; step < STEPS; step++) {
        int kind = below(w, 10);
        if (kind < 4) {
            step_command(w);
        } else if (kind < 7) {
            step_ship(w);
        } else {
            step_arrive(w);
        }
        check_invariants(w);
    }
    heal(w);
    while (w->n_pool > 0) { /* what was still under way comes late */
        step_arrive(w);
        check_invariants(w);
    }
    heal(w);
    retry_failed(w);
    heal(w);
    check_agreement(w);
    for (int i = 0; i < REGIONS; i++) {
        machine_fini(&w->m[i]);
    }
    print_message("applied %u, stale %u, taken %u, other primary %u, other arn %u, promoted %u\n",
                  w->verdicts[1], w->verdicts[2], w->verdicts[3], w->verdicts[4], w->verdicts[5],
                  w->verdicts[6]);
    free(w);
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void test_random(void **state) {
    uint64_t first = number_from("REDOUBT_SEED", 1);
    uint64_t count = number_from("REDOUBT_SEEDS", SEEDS);

    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
