/* Directed tests of the pure driver as a group of one, which is what a release with one node a
 * region runs, and of what its disk may hold. */
#include "cluster_core_rig.h"

/* ---- a group of one ---- */

static void test_lone_voter_leads_by_itself(void **state) {
    struct rig rig;
    boot(&rig, 1);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_true(core_is_only_voter(rig.core));
    assert_int_equal(core_leader_id(rig.core), 1);
    /* The vote is written before all else, in a term beyond the stored one. */
    assert_int_equal(place_of(&rig, CORE_EFFECT_VOTE), 0);
    assert_true(rig.term > 1);
    assert_int_equal(rig.voted_for, 1);
    assert_int_equal(rig.term, core_term(rig.core));
    assert_true(place_of(&rig, CORE_EFFECT_ROLE) < place_of(&rig, CORE_EFFECT_WRITE));
    const struct core_effect *write = find(&rig, CORE_EFFECT_WRITE);
    assert_int_equal(write->first, 2);
    assert_int_equal(write->n_entries, 1);
    assert_int_equal(write->entries[0].type, CORE_BARRIER);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    /* Nothing of its own term is committed before it is on disk. */
    assert_false(core_is_current_leader(rig.core));
    written(&rig);
    assert_int_equal(core_commit_index(rig.core), 2);
    assert_int_equal(rig.applied, 2);
    assert_true(core_is_current_leader(rig.core));
    finish(&rig);
}

static void test_commands_commit_when_written(void **state) {
    struct rig rig;
    boot(&rig, 1);
    written(&rig);
    struct core_bytes commands[] = {
        {(const uint8_t *)"a", 1}, {NULL, 0}, {(const uint8_t *)"c", 1}};
    uint64_t index = 0;
    assert_int_equal(core_submit(rig.core, rig.now_ms, commands, 3, &index), OK);
    take_effects(&rig);
    assert_int_equal(index, 3);
    assert_null(find(&rig, CORE_EFFECT_APPLY));
    assert_int_equal(submit(&rig, "d"), 6);
    assert_int_equal(rig.applied, 2);
    written(&rig); /* one report for both writes */
    const struct core_effect *apply = find(&rig, CORE_EFFECT_APPLY);
    assert_non_null(apply);
    assert_int_equal(apply->first, 3);
    assert_int_equal(apply->n_entries, 4);
    assert_memory_equal(apply->entries[0].data, "a", 1);
    assert_int_equal(apply->entries[1].len, 0);
    assert_memory_equal(apply->entries[2].data, "c", 1);
    assert_memory_equal(apply->entries[3].data, "d", 1);
    assert_int_equal(core_applied_index(rig.core), 6);
    finish(&rig);
}

static void test_restart_begins_a_new_term(void **state) {
    struct rig rig;
    boot(&rig, 1);
    written(&rig);
    (void)submit(&rig, "kept");
    written(&rig);
    uint64_t term = core_term(rig.core);
    uint64_t applied = rig.applied;
    stop(&rig);
    start(&rig);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_true(core_term(rig.core) > term);
    assert_null(find(&rig, CORE_EFFECT_APPLY)); /* the state has it all */
    written(&rig);
    assert_int_equal(rig.applied, applied + 1); /* the barrier of the new term */
    /* A state that lost its unsynced end is brought up from the log. */
    stop(&rig);
    rig.applied = 1;
    start(&rig);
    assert_int_equal(find(&rig, CORE_EFFECT_APPLY)->first, 2);
    assert_int_equal(rig.applied, applied + 1);
    written(&rig);
    assert_int_equal(rig.applied, applied + 2);
    finish(&rig);
}

/* A spare that was restarted answers in a newer term. The lone voter comes back in a term that it
 * has voted for itself in, before it leads. */
static void test_lone_voter_that_was_deposed(void **state) {
    struct rig rig;
    boot(&rig, 1);
    written(&rig);
    uint64_t term = core_term(rig.core) + 4;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                   .append_entries_result = {.version = 1, .term = term}};
    assert_int_equal(receive(&rig, 2, &message, NULL, NULL), OK);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_int_equal(rig.term, term);
    rig.now_ms = rig.wake_ms;
    assert_int_equal(core_wake(rig.core, rig.now_ms), OK);
    take_effects(&rig);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_int_equal(core_term(rig.core), term + 1);
    assert_int_equal(place_of(&rig, CORE_EFFECT_VOTE), 0);
    assert_int_equal(rig.term, term + 1);
    assert_int_equal(rig.voted_for, 1);
    written(&rig);
    assert_true(core_is_current_leader(rig.core));
    finish(&rig);
}

/* What nobody confirms does not grow without end; but whatever is large passes alone. */
static void test_unconfirmed_bytes_are_bounded(void **state) {
    enum { PART = LIMIT_UNCOMMITTED / 2 };
    struct rig rig;
    boot(&rig, 1);
    assert_int_equal(core_uncommitted_bytes(rig.core), 8); /* the barrier */
    written(&rig);
    assert_int_equal(core_uncommitted_bytes(rig.core), 0);
    uint8_t *data = calloc(1, 3 * PART);
    assert_non_null(data);
    struct core_bytes part = {data, PART};
    struct core_bytes large = {data, 3 * PART};
    uint64_t index = 0;
    assert_int_equal(core_submit(rig.core, rig.now_ms, &part, 1, &index), OK);
    take_effects(&rig);
    assert_int_equal(core_submit(rig.core, rig.now_ms, &part, 1, &index), OK);
    take_effects(&rig);
    assert_int_equal(core_uncommitted_bytes(rig.core), 2 * PART);
    assert_int_equal(core_submit(rig.core, rig.now_ms, &part, 1, &index), ERR_BUSY);
    assert_null(core_next_effect(rig.core));
    assert_int_equal(core_last_index(rig.core), 4);
    written(&rig);
    assert_int_equal(core_uncommitted_bytes(rig.core), 0);
    assert_int_equal(core_submit(rig.core, rig.now_ms, &large, 1, &index), OK);
    take_effects(&rig);
    assert_int_equal(core_submit(rig.core, rig.now_ms, &part, 1, &index), ERR_BUSY);
    written(&rig);
    (void)submit(&rig, "small");
    written(&rig);
    /* What to keep: entries by count and by bytes. */
    assert_int_equal(core_log_newest(rig.core, 100, 0), 0);
    assert_int_equal(core_log_newest(rig.core, 100, 5), 1);
    assert_int_equal(core_log_newest(rig.core, 1, UINT64_MAX), 1);
    assert_int_equal(core_log_newest(rig.core, 100, 5 * PART + 4), 3);
    assert_int_equal(core_log_newest(rig.core, 100, UINT64_MAX), core_last_index(rig.core));
    free(data);
    finish(&rig);
}

/* ---- snapshots ---- */

static void test_own_snapshot(void **state) {
    struct rig rig;
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;
    boot(&rig, 1);
    written(&rig);
    for (int i = 0; i < 30; i++) {
        (void)submit(&rig, "some command");
    }
    written(&rig);
    assert_int_equal(rig.applied, 32);
    take_snapshot(&rig, 10, &keep_from);
    assert_int_equal(keep_from, 23);
    assert_int_equal(core_first_index(rig.core), 23);
    assert_int_equal(core_last_index(rig.core), 32);
    assert_int_equal(core_log_bytes(rig.core), 10 * strlen("some command"));
    assert_int_equal(rig.snapshot.index, 32);
    assert_int_equal(rig.snapshot.configuration_index, 1);
    assert_int_equal(core_snapshot_prepare(rig.core, 0, 10, &snapshot, &keep_from), ERR_BUSY);
    /* A lone member may keep nothing at all. */
    (void)submit(&rig, "another");
    written(&rig);
    take_snapshot(&rig, 0, &keep_from);
    assert_int_equal(keep_from, 34);
    assert_int_equal(core_first_index(rig.core), 34);
    assert_int_equal(core_last_index(rig.core), 33);
    assert_int_equal(core_log_bytes(rig.core), 0);
    /* It goes on, and starts again from what is on disk. */
    stop(&rig);
    start(&rig);
    assert_int_equal(find(&rig, CORE_EFFECT_CONFIGURATION)->first, 1);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    written(&rig);
    assert_int_equal(submit(&rig, "after"), 35);
    written(&rig);
    assert_int_equal(rig.applied, 35);
    assert_true(core_is_current_leader(rig.core));
    finish(&rig);
}

/* ---- what the disk may hold ---- */

static void assert_corrupt(struct rig *rig) {
    assert_int_equal(try_start(rig), ERR_CORRUPT);
    stop(rig);
}

static void test_unsound_disks_are_refused(void **state) {
    struct rig rig;
    const struct core_entry commands[] = {{2, CORE_COMMAND, (const uint8_t *)"a", 1},
                                          {3, CORE_COMMAND, (const uint8_t *)"b", 1}};
    configure(&rig, 1);
    store(&rig, 2, commands, 2);
    rig.term = 3;
    start(&rig); /* it is sound so far */
    stop(&rig);
    rig.term = 3;
    cut(&rig, 4);

    rig.term = 2; /* an entry of a later term */
    assert_corrupt(&rig);
    rig.term = 0; /* entries and no term */
    assert_corrupt(&rig);
    rig.term = UINT64_MAX;
    assert_corrupt(&rig);
    rig.term = 3;
    rig.entries[1].term = 0;
    assert_corrupt(&rig);
    rig.entries[1].term = 4; /* terms fall */
    rig.term = 4;
    assert_corrupt(&rig);
    rig.entries[1].term = 2;
    rig.entries[1].type = (enum core_entry_type)4;
    assert_corrupt(&rig);
    rig.entries[1].type = CORE_CHANGE; /* "a" is no configuration */
    assert_corrupt(&rig);
    rig.entries[1].type = CORE_COMMAND;
    rig.entries[0].type = CORE_COMMAND; /* no bootstrap */
    assert_corrupt(&rig);
    rig.entries[0].type = CORE_CHANGE;
    rig.first = 2; /* a hole at the front */
    assert_corrupt(&rig);
    rig.first = 1;
    rig.applied = 4; /* the state is ahead of the log */
    assert_corrupt(&rig);
    rig.applied = 0;

    struct core_snapshot snapshot = {
        .index = 2,
        .term = 2,
        .configuration_index = 1,
        .configuration = {copy(rig.entries[0].data, rig.entries[0].len), rig.entries[0].len}};
    rig.snapshot = snapshot;
    rig.snapshot.term = 3; /* the log says 2 */
    assert_corrupt(&rig);
    rig.snapshot.term = 0;
    assert_corrupt(&rig);
    rig.snapshot = snapshot;
    rig.snapshot.index = 9; /* the log does not reach it */
    assert_corrupt(&rig);
    rig.snapshot = snapshot;
    rig.snapshot.configuration_index = 3;
    assert_corrupt(&rig);
    rig.snapshot = snapshot;
    rig.snapshot.configuration.len--;
    assert_corrupt(&rig);
    rig.snapshot = snapshot;
    start(&rig);
    finish(&rig);
}

static void test_node_that_waits_to_be_joined(void **state) {
    struct rig rig = {.now_ms = 1000, .first = 1};
    start(&rig);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_null(find(&rig, CORE_EFFECT_VOTE));
    rig.now_ms = rig.wake_ms;
    assert_int_equal(core_wake(rig.core, rig.now_ms), OK);
    take_effects(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND)); /* it asks nobody for a vote */
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;
    assert_int_equal(core_snapshot_prepare(rig.core, 0, 0, &snapshot, &keep_from), ERR_BUSY);
    rig.voted_for = 3;
    stop(&rig);
    assert_corrupt(&rig); /* a vote in no term */
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lone_voter_leads_by_itself),
        cmocka_unit_test(test_commands_commit_when_written),
        cmocka_unit_test(test_restart_begins_a_new_term),
        cmocka_unit_test(test_lone_voter_that_was_deposed),
        cmocka_unit_test(test_unconfirmed_bytes_are_bounded),
        cmocka_unit_test(test_own_snapshot),
        cmocka_unit_test(test_unsound_disks_are_refused),
        cmocka_unit_test(test_node_that_waits_to_be_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
