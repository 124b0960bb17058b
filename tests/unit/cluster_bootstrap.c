/* What gives a store its beginning, and a broken group a new one: with the real core on a real
 * store, which must lead, or must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/wipe.h"
#include "cluster/bootstrap.h"
#include "storage/log_store.h"
#include "storage/txn.h"
#include "storage_scratch.h"

#include <stdlib.h>
#include <string.h>

enum { ELECTION_MS = 1000, HEARTBEAT_MS = 100, INFLIGHT = 8, COMMANDS = 20, LIFE_MS = 20000 };

static const struct core_server three[] = {{1, "a:1,a:2"}, {2, "b:1,b:2"}, {3, "c:1,c:2"}};
static const struct core_server shuffled[] = {{3, "c:1,c:2"}, {1, "a:1,a:2"}, {2, "b:1,b:2"}};

static char folders[2][SCRATCH_PATH];

/* An empty store in a folder of its own; a test has two at most. */
static struct engine *store_open(size_t which) {
    return scratch_open(folders[which]);
}

static int setup(void **state) {
    scratch_make(folders[0]);
    scratch_make(folders[1]);
    return 0;
}

static int teardown(void **state) {
    scratch_remove(folders[0]);
    scratch_remove(folders[1]);
    return 0;
}

/* A life of a node: what a node does with effects, on the store itself. */
struct life {
    struct engine *engine;
    struct core *core;
    struct log_batch *batch;
    uint64_t now_ms;
    uint64_t wake_ms;
    uint64_t write_id; /* 0: none open */
    uint64_t term;
    uint64_t voted_for;
    uint64_t configuration; /* index of the committed one */
    uint64_t applied;
    char applied_text[COMMANDS * 8][8];
    size_t n_applied;
};

static void life_store(struct life *life, const struct core_effect *effect) {
    for (size_t i = 0; i < effect->n_entries; i++) {
        const struct core_entry *entry = &effect->entries[i];
        struct log_entry row = {entry->term, (uint8_t)entry->type, entry->data, entry->len};
        log_batch_append(life->batch, effect->first + i, &row, 1);
    }
    life->write_id = effect->write_id;
}

static void life_apply(struct life *life, const struct core_effect *effect) {
    assert_int_equal(effect->first, life->applied + 1);
    life->applied += effect->n_entries;
    for (size_t i = 0; i < effect->n_entries; i++) {
        const struct core_entry *entry = &effect->entries[i];
        if (entry->type == CORE_COMMAND) {
            char *text = life->applied_text[life->n_applied++];
            assert_true(life->n_applied < ARRAY_LEN(life->applied_text) && entry->len < 8);
            memcpy(text, entry->data, entry->len);
            text[entry->len] = '\0';
        }
    }
}

static void life_commit(struct life *life) {
    struct err err;

    assert_int_equal(log_batch_commit(life->batch, &err), OK);
}

static void life_turn(struct life *life, enum errc code) {
    const struct core_effect *effect;

    assert_int_equal(code, OK);
    while ((effect = core_next_effect(life->core)) != NULL) {
        if (effect->kind == CORE_EFFECT_VOTE) {
            assert_true(effect->term >= life->term);
            life->term = effect->term;
            life->voted_for = effect->voted_for;
            log_batch_vote(life->batch, effect->term, effect->voted_for);
            life_commit(life);
        } else if (effect->kind == CORE_EFFECT_WRITE) {
            life_store(life, effect);
        } else if (effect->kind == CORE_EFFECT_APPLY) {
            life_apply(life, effect);
        } else if (effect->kind == CORE_EFFECT_CONFIGURATION) {
            life->configuration = effect->first;
        } else if (effect->kind == CORE_EFFECT_WAKE) {
            life->wake_ms = effect->wake_ms;
        }
    }
    if (life->write_id != 0) {
        uint64_t id = life->write_id;
        life->write_id = 0;
        life_commit(life);
        life_turn(life, core_written(life->core, life->now_ms, id));
    }
}

static void life_begin(struct life *life, struct engine *engine, uint64_t id, uint64_t applied) {
    struct log_image *image = NULL;
    struct core_entry entries[COMMANDS * 8];
    struct core_persisted persisted;
    struct err err;

    *life = (struct life){.engine = engine, .now_ms = 5000, .applied = applied};
    life->batch = log_batch_new(engine);
    assert_int_equal(log_store_load(engine, &image, &err), OK);
    assert_true(image->n_entries < ARRAY_LEN(entries));
    for (size_t i = 0; i < image->n_entries; i++) {
        const struct log_entry *row = &image->entries[i];
        entries[i] =
            (struct core_entry){row->term, (enum core_entry_type)row->type, row->data, row->len};
    }
    persisted = (struct core_persisted){
        .term = image->term,
        .voted_for = image->voted_for,
        .snapshot = {.index = image->snapshot.index,
                     .term = image->snapshot.term,
                     .configuration_index = image->snapshot.configuration_index,
                     .configuration = {image->snapshot.configuration,
                                       image->snapshot.configuration_len}},
        .first_index = image->first_index,
        .entries = entries,
        .n_entries = image->n_entries,
        .applied = applied,
    };
    life->term = image->term;
    life->core = core_new(&(struct core_options){.id = id,
                                                 .address = "a:1,a:2",
                                                 .election_timeout_ms = ELECTION_MS,
                                                 .heartbeat_ms = HEARTBEAT_MS,
                                                 .max_inflight_entries = INFLIGHT,
                                                 .seed = 5});
    assert_non_null(life->core);
    life_turn(life, core_start(life->core, life->now_ms, &persisted));
    log_image_free(image);
}

/* Nobody answers it. */
static void life_wait(struct life *life) {
    uint64_t end = life->now_ms + LIFE_MS;

    while (life->now_ms < end && !core_is_current_leader(life->core)) {
        life->now_ms = life->wake_ms > life->now_ms ? life->wake_ms : life->now_ms + 1;
        life_turn(life, core_wake(life->core, life->now_ms));
    }
}

static void life_submit(struct life *life, const char *text) {
    const struct core_bytes command = {(const uint8_t *)text, strlen(text)};
    uint64_t index = 0;

    life_turn(life, core_submit(life->core, life->now_ms, &command, 1, &index));
}

static void life_end(struct life *life) {
    core_free(life->core);
    log_batch_free(life->batch);
}

static bool has_beginning(struct engine *engine) {
    bool has = false;
    struct err err;

    assert_int_equal(node_has_beginning(engine, &has, &err), OK);
    return has;
}

/* The stored log, all of it. */
static struct log_image *image_of(struct engine *engine) {
    struct log_image *image = NULL;
    struct err err;

    assert_int_equal(log_store_load(engine, &image, &err), OK);
    return image;
}

static void test_first_members_write_the_same_entry(void **state) {
    struct engine *one = store_open(0);
    struct engine *other = store_open(1);
    struct log_image *images[2];
    struct err err;

    assert_false(has_beginning(one));
    assert_int_equal(node_bootstrap(one, three, ARRAY_LEN(three), &err), OK);
    assert_int_equal(node_bootstrap(other, shuffled, ARRAY_LEN(shuffled), &err), OK);
    assert_true(has_beginning(one));
    images[0] = image_of(one);
    images[1] = image_of(other);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(images[i]->term, 1);
        assert_int_equal(images[i]->voted_for, 0);
        assert_int_equal(images[i]->first_index, 1);
        assert_int_equal(images[i]->n_entries, 1);
        assert_int_equal(images[i]->entries[0].type, CORE_CHANGE);
    }
    assert_int_equal(images[0]->entries[0].len, images[1]->entries[0].len);
    assert_memory_equal(images[0]->entries[0].data, images[1]->entries[0].data,
                        images[0]->entries[0].len);
    log_image_free(images[0]);
    log_image_free(images[1]);
    engine_close(one);
    engine_close(other);
}

static void test_a_bad_list_writes_nothing(void **state) {
    static const struct core_server no_id[] = {{0, "a:1,a:2"}};
    static const struct core_server twice[] = {{1, "a:1,a:2"}, {1, "b:1,b:2"}};
    static const struct core_server same_address[] = {{1, "a:1,a:2"}, {2, "a:1,a:2"}};
    static const struct core_server no_address[] = {{1, ""}};
    struct engine *engine = store_open(0);
    struct err err;

    assert_int_equal(node_bootstrap(engine, three, 0, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(node_bootstrap(engine, no_id, 1, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(node_bootstrap(engine, twice, 2, &err), ERR_INVALID_PARAMETER);
    assert_non_null(strstr(err.message, "0000000000000001"));
    assert_int_equal(node_bootstrap(engine, same_address, 2, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(node_bootstrap(engine, no_address, 1, &err), ERR_INVALID_PARAMETER);
    assert_false(has_beginning(engine));
    engine_close(engine);
}

static void test_a_store_gets_one_beginning(void **state) {
    struct engine *first = store_open(0);
    struct engine *joiner = store_open(1);
    struct err err;

    assert_int_equal(node_bootstrap(first, three, 1, &err), OK);
    /* The same may be said again: the first time may have been cut short before its answer. */
    assert_int_equal(node_bootstrap(first, three, 1, &err), OK);
    assert_int_equal(node_bootstrap(first, three, 2, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(node_await_join(first, &err), ERR_INVALID_PARAMETER);
    /* Joining may be asked for again: the first answer may have been lost. */
    assert_int_equal(node_await_join(joiner, &err), OK);
    assert_true(has_beginning(joiner));
    assert_int_equal(node_await_join(joiner, &err), OK);
    assert_int_equal(node_bootstrap(joiner, three, 1, &err), ERR_INVALID_PARAMETER);
    assert_int_equal(node_force_single(joiner, 1, "a:1,a:2", &err), ERR_INVALID_PARAMETER);
    engine_close(first);
    engine_close(joiner);
}

/* A store of a release that wrote no origin: its life counts. And a state without a log is none to
 * begin on. */
static void test_a_former_life_is_a_beginning(void **state) {
    struct engine *engine = store_open(0);
    struct engine *torn = store_open(1);
    struct log_batch *batch = log_batch_new(engine);
    struct txn *txn = txn_new(torn);
    struct err err;

    log_batch_vote(batch, 4, 9);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
    assert_true(has_beginning(engine));
    assert_int_equal(node_bootstrap(engine, three, 1, &err), ERR_INVALID_PARAMETER);
    txn_commit(txn, 17);
    txn_free(txn);
    assert_int_equal(node_await_join(torn, &err), ERR_INVALID_PARAMETER);
    assert_false(has_beginning(torn));
    engine_close(engine);
    engine_close(torn);
}

static void test_a_group_of_one_leads(void **state) {
    struct engine *engine = store_open(0);
    struct life life;
    struct err err;

    assert_int_equal(node_bootstrap(engine, three, 1, &err), OK);
    life_begin(&life, engine, 1, 0);
    life_wait(&life);
    assert_true(core_is_current_leader(life.core));
    life_end(&life);
    engine_close(engine);
}

static void test_one_of_three_does_not_lead(void **state) {
    struct engine *engine = store_open(0);
    struct life life;
    struct err err;

    assert_int_equal(node_bootstrap(engine, three, ARRAY_LEN(three), &err), OK);
    life_begin(&life, engine, 1, 0);
    life_wait(&life);
    assert_false(core_is_current_leader(life.core));
    assert_int_equal(life.applied, 1); /* the first configuration is committed by definition */
    life_end(&life);
    engine_close(engine);
}

static void test_one_that_waits_to_be_joined_asks_nobody(void **state) {
    struct engine *engine = store_open(0);
    struct life life;
    struct err err;

    assert_int_equal(node_await_join(engine, &err), OK);
    life_begin(&life, engine, 1, 0);
    life_wait(&life);
    assert_false(core_is_current_leader(life.core));
    assert_int_equal(life.term, 0); /* it voted for nobody, itself included */
    life_end(&life);
    engine_close(engine);
}

/* The log of a node that followed in a group of three: commands of two terms, some of which it does
 * not know to be committed. */
static void make_follower(struct engine *engine) {
    struct log_batch *batch = log_batch_new(engine);
    struct err err;

    assert_int_equal(node_bootstrap(engine, three, ARRAY_LEN(three), &err), OK);
    log_batch_vote(batch, 6, 2);
    for (uint64_t i = 0; i < COMMANDS; i++) {
        char text[8];
        struct log_entry entry = {i < COMMANDS / 2 ? 3 : 5, CORE_COMMAND, (uint8_t *)text,
                                  (size_t)snprintf(text, sizeof(text), "c%d", (int)i)};
        log_batch_append(batch, 2 + i, &entry, 1);
    }
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
}

static void check_all_applied(const struct life *life, size_t from) {
    assert_int_equal(life->n_applied, COMMANDS - from);
    for (size_t i = from; i < COMMANDS; i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "c%d", (int)i);
        assert_string_equal(life->applied_text[i - from], text);
    }
}

static void test_forced_it_leads_alone_and_keeps_every_entry(void **state) {
    struct engine *engine = store_open(0);
    const struct log_entry *forced;
    struct log_image *image;
    struct life life;
    struct err err;

    make_follower(engine);
    life_begin(&life, engine, 1, 4);
    life_wait(&life);
    assert_false(core_is_current_leader(life.core));
    life_end(&life);
    assert_int_equal(node_force_single(engine, 1, "z:1,z:2", &err), OK);
    life_begin(&life, engine, 1, 4);
    /* Neither the term of the new entry nor one before it: nobody else's vote or entry is in it. */
    assert_true(life.term > 7);
    life_wait(&life);
    assert_true(core_is_current_leader(life.core));
    assert_true(core_is_only_voter(life.core));
    image = image_of(engine);
    forced = &image->entries[COMMANDS + 1];
    assert_int_equal(forced->type, CORE_CHANGE);
    assert_non_null(memmem(forced->data, forced->len, "z:1,z:2", 8)); /* a new address, and no */
    assert_null(memmem(forced->data, forced->len, "b:1,b:2", 7));     /* other member */
    log_image_free(image);
    check_all_applied(&life, 3);
    assert_int_equal(life.configuration, COMMANDS + 2);
    life_submit(&life, "new");
    assert_string_equal(life.applied_text[life.n_applied - 1], "new");
    life_end(&life);
    engine_close(engine);
}

/* Twice is once more; and its next lives lead too. */
static void test_forced_again_and_restarted(void **state) {
    struct engine *engine = store_open(0);
    struct life life;
    struct err err;
    uint64_t applied;

    make_follower(engine);
    assert_int_equal(node_force_single(engine, 1, "a:1,a:2", &err), OK);
    assert_int_equal(node_force_single(engine, 1, "a:1,a:2", &err), OK);
    life_begin(&life, engine, 1, 0);
    life_wait(&life);
    assert_true(core_is_current_leader(life.core));
    check_all_applied(&life, 0);
    life_submit(&life, "new");
    applied = life.applied;
    life_end(&life);
    life_begin(&life, engine, 1, applied);
    life_wait(&life);
    assert_true(core_is_current_leader(life.core));
    assert_int_equal(life.n_applied, 0);
    life_end(&life);
    engine_close(engine);
}

/* With a snapshot at its end and no log behind it, the configuration is the snapshot's until the
 * forced one. */
static void test_forced_behind_a_snapshot(void **state) {
    struct engine *engine = store_open(0);
    struct log_batch *batch = log_batch_new(engine);
    struct log_snapshot snapshot = {.index = COMMANDS + 1, .term = 5, .configuration_index = 1};
    uint8_t *configuration = NULL;
    struct life life;
    struct err err;

    make_follower(engine);
    assert_int_equal(core_configuration_encode(three, ARRAY_LEN(three), &configuration,
                                               &snapshot.configuration_len),
                     OK);
    snapshot.configuration = configuration;
    log_batch_snapshot(batch, &snapshot, COMMANDS + 2);
    assert_int_equal(log_batch_commit(batch, &err), OK);
    log_batch_free(batch);
    wipe_free(configuration);
    assert_int_equal(node_force_single(engine, 1, "a:1,a:2", &err), OK);
    life_begin(&life, engine, 1, COMMANDS + 1);
    life_wait(&life);
    assert_true(core_is_current_leader(life.core));
    assert_true(core_is_only_voter(life.core));
    assert_int_equal(life.configuration, COMMANDS + 2);
    life_submit(&life, "new");
    assert_string_equal(life.applied_text[0], "new");
    life_end(&life);
    engine_close(engine);
}

static void test_an_empty_store_has_nothing_to_force(void **state) {
    struct engine *engine = store_open(0);
    struct err err;

    assert_int_equal(node_force_single(engine, 1, "a:1,a:2", &err), ERR_INVALID_PARAMETER);
    assert_false(has_beginning(engine));
    make_follower(engine);
    assert_int_equal(node_force_single(engine, 0, "a:1,a:2", &err), ERR_INVALID_PARAMETER);
    engine_close(engine);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_first_members_write_the_same_entry),
        T(test_a_bad_list_writes_nothing),
        T(test_a_store_gets_one_beginning),
        T(test_a_former_life_is_a_beginning),
        T(test_a_group_of_one_leads),
        T(test_one_of_three_does_not_lead),
        T(test_one_that_waits_to_be_joined_asks_nobody),
        T(test_forced_it_leads_alone_and_keeps_every_entry),
        T(test_forced_again_and_restarted),
        T(test_forced_behind_a_snapshot),
        T(test_an_empty_store_has_nothing_to_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
