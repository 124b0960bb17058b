/* A node without room to write, and a leader of such nodes, with the peers' words written by hand.
 * The simulations fill disks at random. */
#include "cluster_core_rig.h"

/* Entries of a leader from `first` on, of these types: c(ommand), b(arrier), m(embers). */
static void make_typed(struct core_log *log, const struct rig *rig, uint64_t first, uint64_t term,
                       const char *types) {
    static const uint8_t zeros[8];
    core_log_init(log);
    core_log_reset(log, first);
    for (; *types != '\0'; types++) {
        struct core_entry entry = {term, CORE_COMMAND, (const uint8_t *)"leader", 6};
        if (*types == 'b') {
            entry = (struct core_entry){term, CORE_BARRIER, zeros, sizeof zeros};
        } else if (*types == 'm') {
            entry = rig->entries[0];
            entry.term = term;
        }
        assert_int_equal(core_log_append(log, &entry), OK);
    }
}

static void hear(struct rig *rig, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                 uint64_t commit, const char *types) {
    struct core_log log;
    unsigned n = (unsigned)strlen(types);
    struct raft_message message = append_message(term, prev_index, prev_term, commit, n);
    make_typed(&log, rig, prev_index + 1, term, types);
    assert_int_equal(receive(rig, 2, &message, &log, NULL), OK);
    core_log_fini(&log);
}

static void assert_answer(const struct rig *rig, uint64_t last, bool lacks_room) {
    struct core_message answer = sent(rig);
    assert_int_equal(answer.raft.type, RAFT_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer.raft.append_entries_result.rejected, 0);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, last);
    assert_int_equal(answer.raft.append_entries_result.capacity,
                     lacks_room ? CORE_CAPACITY_NONE : 0);
}

/* A follower with four entries, the first and three of term 2, of which three are committed. */
static void boot_follower(struct rig *rig) {
    boot(rig, 3);
    hear(rig, 2, 1, 1, 3, "ccc");
    written(rig);
    assert_int_equal(rig->applied, 3);
    assert_answer(rig, 4, false);
    core_set_room(rig->core, false);
}

static void test_commands_wait_for_room(void **state) {
    struct rig rig;
    boot_follower(&rig);
    /* None of it, and part of it; what is said to be committed is so as far as it is here. */
    hear(&rig, 2, 4, 2, 6, "cc");
    assert_null(find(&rig, CORE_EFFECT_WRITE));
    assert_answer(&rig, 4, true);
    assert_int_equal(core_commit_index(rig.core), 4);
    assert_int_equal(core_told_index(rig.core), 6); /* and it knows what it lacks */
    assert_int_equal(rig.applied, 4);
    hear(&rig, 2, 2, 2, 6, "cccb");
    assert_null(find(&rig, CORE_EFFECT_WRITE));
    assert_answer(&rig, 4, true);
    assert_int_equal(core_last_index(rig.core), 4);
    assert_int_equal(core_commit_index(rig.core), 4);
    assert_int_equal(raft_commit_index(&rig.core->raft), 4);
    /* Behind a gap: refused as ever. */
    hear(&rig, 2, 6, 2, 6, "c");
    struct core_message answer = sent(&rig);
    assert_int_equal(answer.raft.append_entries_result.rejected, 6);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, 4);
    assert_int_equal(answer.raft.append_entries_result.capacity, CORE_CAPACITY_NONE);
    /* The leader is heard, however long it lasts. */
    for (unsigned i = 0; i < 40; i++) {
        rig.now_ms += HEARTBEAT_MS;
        assert_int_equal(core_wake(rig.core, rig.now_ms), OK);
        take_effects(&rig);
        hear(&rig, 2, 4, 2, 6, i % 2 == 0 ? "" : "cc");
        assert_answer(&rig, 4, true);
    }
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_int_equal(core_term(rig.core), 2);

    core_set_room(rig.core, true);
    hear(&rig, 2, 4, 2, 6, "cc");
    assert_non_null(find(&rig, CORE_EFFECT_WRITE));
    assert_int_equal(rig.applied, 4); /* not before it is written */
    written(&rig);
    assert_answer(&rig, 6, false);
    assert_int_equal(rig.applied, 6);
    finish(&rig);
}

static void test_what_takes_no_room(void **state) {
    struct rig rig;
    boot_follower(&rig);
    /* What a leader begins with, and changes of the members; behind a command they wait with it. */
    hear(&rig, 3, 4, 2, 4, "bcb");
    written(&rig);
    assert_answer(&rig, 5, true);
    hear(&rig, 3, 5, 3, 6, "mc");
    written(&rig);
    assert_answer(&rig, 6, true);
    assert_int_equal(rig.applied, 6);
    assert_int_equal(core_last_index(rig.core), 6);
    /* In one message, the second in a step of its own. */
    hear(&rig, 3, 6, 3, 6, "bmc");
    written(&rig);
    assert_answer(&rig, 8, true);
    finish(&rig);
}

static void test_entries_are_replaced(void **state) {
    struct rig rig;
    boot_follower(&rig);
    /* Another leader has others in place of the fourth: they are taken so far as our log went. */
    hear(&rig, 3, 3, 2, 3, "cccb");
    const struct core_effect *write = find(&rig, CORE_EFFECT_WRITE);
    assert_non_null(write);
    assert_int_equal(write->first, 4);
    assert_int_equal(write->n_entries, 1);
    written(&rig);
    assert_answer(&rig, 4, true);
    assert_int_equal(core_term_at(rig.core, 4), 3);
    /* And when they are shorter, so is our log then. */
    hear(&rig, 3, 4, 3, 4, "bbb");
    written(&rig);
    hear(&rig, 4, 4, 3, 4, "c");
    written(&rig);
    assert_answer(&rig, 5, true);
    assert_int_equal(core_last_index(rig.core), 5);
    hear(&rig, 4, 5, 4, 6, "c");
    assert_answer(&rig, 5, true);
    core_set_room(rig.core, true);
    hear(&rig, 4, 5, 4, 6, "c");
    written(&rig);
    assert_int_equal(rig.applied, 6);
    finish(&rig);
}

static void test_snapshot_waits(void **state) {
    struct rig rig;
    boot_follower(&rig);
    hear(&rig, 3, 4, 2, 4, "");
    struct core_snapshot snapshot = {.index = 50,
                                     .term = 2,
                                     .configuration_index = 1,
                                     .configuration = {rig.entries[0].data, rig.entries[0].len},
                                     .manifest = {(const uint8_t *)"files", 5}};
    struct raft_message message = {
        .type = RAFT_INSTALL_SNAPSHOT,
        .install_snapshot = {
            .version = 1, .term = 3, .last_index = 50, .last_term = 2, .conf_index = 1}};
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    assert_null(find(&rig, CORE_EFFECT_INSTALL));
    assert_int_equal(core_last_index(rig.core), 4);
    /* An old leader is told the term, room or not. */
    message.install_snapshot.term = 2;
    assert_int_equal(receive(&rig, 3, &message, NULL, &snapshot), OK);
    assert_int_equal(sent(&rig).raft.append_entries_result.term, 3);
    message.install_snapshot.term = 3;
    core_set_room(rig.core, true);
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    assert_non_null(find(&rig, CORE_EFFECT_INSTALL));
    finish(&rig);
}

/* ---- the leader ---- */

static void answer(struct rig *rig, uint64_t peer, uint64_t last, uint64_t rejected,
                   bool lacks_room) {
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 1,
                                  .term = core_term(rig->core),
                                  .last_log_index = last,
                                  .rejected = rejected,
                                  .capacity = lacks_room ? CORE_CAPACITY_NONE : 0}};
    assert_int_equal(receive(rig, peer, &message, NULL, NULL), OK);
}

static struct core_member member(const struct rig *rig, uint64_t id) {
    struct core_member ret = {0};
    for (unsigned i = 0; i < core_members_count(rig->core) && ret.id != id; i++) {
        core_member_at(rig->core, i, &ret);
    }
    assert_int_equal(ret.id, id);
    return ret;
}

static unsigned count_sends(const struct rig *rig) {
    unsigned n = 0;
    for (size_t i = 0; i < rig->n_effects; i++) {
        n += rig->effects[i].kind == CORE_EFFECT_SEND;
    }
    return n;
}

static void test_majority_without_room(void **state) {
    struct rig rig;
    lead(&rig, 3);
    uint64_t before = core_last_index(rig.core);
    answer(&rig, 2, before, 0, false);
    answer(&rig, 3, before, 0, true);
    assert_false(core_majority_lacks_room(rig.core)); /* 1 and 2 have */
    assert_true(member(&rig, 3).lacks_room);
    assert_false(member(&rig, 2).lacks_room);
    answer(&rig, 2, before, 0, true);
    assert_true(core_majority_lacks_room(rig.core));
    /* What it takes all the same is committed by nobody, and it goes on leading. No answer makes it
     * send the same again at once. */
    uint64_t last = submit(&rig, "a");
    written(&rig);
    unsigned sends = 0;
    uint64_t began_ms = rig.now_ms;
    while (rig.now_ms < began_ms + (uint64_t)(10 * ELECTION_MS)) {
        wake(&rig);
        sends += count_sends(&rig);
        for (uint64_t peer = 2; peer <= 3; peer++) {
            answer(&rig, peer, before, last, true); /* too far ahead, */
            sends += count_sends(&rig);
            answer(&rig, peer, before, 0, true); /* and what was left of it */
            sends += count_sends(&rig);
        }
        assert_int_equal(core_commit_index(rig.core), before);
    }
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_true(sends <= 5 * 10 * ELECTION_MS / HEARTBEAT_MS);
    assert_int_equal(rig.applied, before);
    assert_int_equal(core_transfer(rig.core, rig.now_ms, 0), ERR_UNAVAILABLE);
    /* One of them has room again. */
    answer(&rig, 3, before, 0, false);
    assert_false(core_majority_lacks_room(rig.core));
    answer(&rig, 3, last, 0, false);
    assert_int_equal(rig.applied, last);
    finish(&rig);
}

/* A voter that is not heard of does not help those that have room. */
static void test_majority_of_the_living(void **state) {
    struct rig rig;
    lead(&rig, 3);
    uint64_t last = core_last_index(rig.core);
    core_set_room(rig.core, false);
    answer(&rig, 2, last, 0, false);
    answer(&rig, 3, last, 0, false);
    assert_true(member(&rig, 1).lacks_room);
    assert_false(core_majority_lacks_room(rig.core));
    rig.now_ms += ELECTION_MS - 1;
    answer(&rig, 2, last, 0, false);
    assert_false(core_majority_lacks_room(rig.core));
    rig.now_ms += 1;
    answer(&rig, 2, last, 0, false);
    assert_true(core_majority_lacks_room(rig.core));
    core_set_room(rig.core, true);
    assert_false(core_majority_lacks_room(rig.core)); /* a quorum is a matter of its own */
    finish(&rig);
}

/* It hands over to who has room, though another is further. What was said in another term, or to
 * another leader, says nothing now. */
static void test_leads_elsewhere(void **state) {
    struct rig rig;
    lead(&rig, 3);
    uint64_t last = submit(&rig, "a");
    written(&rig);
    core_set_room(rig.core, false);
    answer(&rig, 2, last, 0, true);
    answer(&rig, 3, last - 1, 0, false);
    assert_int_equal(core_transfer(rig.core, rig.now_ms, 0), OK);
    take_effects(&rig);
    assert_int_equal(rig.core->transfer.target, 3);
    uint64_t term = core_term(rig.core) + 1;
    hear(&rig, term, last, term - 1, last, "b");
    written(&rig);
    assert_answer(&rig, last + 1, true);
    assert_false(core_majority_lacks_room(rig.core));
    assert_false(member(&rig, 2).lacks_room);
    core_set_room(rig.core, true);
    win_election(&rig);
    assert_false(member(&rig, 2).lacks_room);
    finish(&rig);
}

/* Who could not keep it is made none, and none is sent; the log does not wait for it either. */
static void test_no_snapshot_without_room(void **state) {
    struct rig rig;
    lead(&rig, 3);
    for (unsigned i = 0; i < 40; i++) {
        (void)submit(&rig, "command");
    }
    written(&rig);
    confirm(&rig, 2);
    uint64_t keep_from = 0;
    struct core_snapshot snapshot;
    assert_int_equal(core_snapshot_prepare(rig.core, 0, 0, &snapshot, &keep_from), OK);
    assert_int_equal(core_snapshot_taken(rig.core, rig.now_ms, (struct core_bytes){0}), OK);
    take_effects(&rig);
    bool is_asked = false;
    for (unsigned i = 0; i < 60; i++) {
        wake(&rig);
        confirm(&rig, 2);
        for (size_t at = rig.n_effects; at > 0; at--) {
            is_asked = is_asked || rig.effects[at - 1].kind == CORE_EFFECT_SNAPSHOT;
        }
        answer(&rig, 3, 1, core_last_index(rig.core), i < 40);
        is_asked = is_asked || find(&rig, CORE_EFFECT_SNAPSHOT) != NULL;
        for (uint64_t prev = core_last_index(rig.core); prev > 1 && !is_asked && i > 0; prev--) {
            answer(&rig, 3, 1, prev, i < 40);
            is_asked = is_asked || find(&rig, CORE_EFFECT_SNAPSHOT) != NULL;
        }
        if (i < 40) {
            assert_false(is_asked);
            assert_false(member(&rig, 3).is_installing);
        }
    }
    assert_true(is_asked);
    assert_true(member(&rig, 3).is_installing);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_wait_for_room),
        cmocka_unit_test(test_what_takes_no_room),
        cmocka_unit_test(test_entries_are_replaced),
        cmocka_unit_test(test_snapshot_waits),
        cmocka_unit_test(test_majority_without_room),
        cmocka_unit_test(test_majority_of_the_living),
        cmocka_unit_test(test_leads_elsewhere),
        cmocka_unit_test(test_no_snapshot_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
