/* Handing leadership over (LIBRAFT.md, contract 14), with what the peers would say written by hand.
 */
#include "cluster_core_rig.h"

static enum errc transfer(struct rig *rig, uint64_t target) {
    enum errc rc = core_transfer(rig->core, rig->now_ms, target);
    if (rc == OK) {
        take_effects(rig);
    }
    return rc;
}

/* Who was told to run in the last event, 0 for nobody. */
static uint64_t told_to_run(const struct rig *rig) {
    for (size_t i = 0; i < rig->n_effects; i++) {
        struct core_message message;
        if (rig->effects[i].kind == CORE_EFFECT_SEND) {
            assert_int_equal(core_message_decode(rig->effects[i].message, 1, &message), OK);
            if (!message.is_read && message.raft.type == RAFT_TIMEOUT_NOW) {
                return rig->effects[i].peer;
            }
        }
    }
    return 0;
}

static enum errc try_submit(struct rig *rig) {
    struct core_bytes command = {(const uint8_t *)"x", 1};
    uint64_t index = 0;
    enum errc rc = core_submit(rig->core, rig->now_ms, &command, 1, &index);
    if (rc == OK) {
        take_effects(rig);
    }
    return rc;
}

static void test_refusals(void **state) {
    struct rig rig;
    boot(&rig, 3);
    assert_int_equal(transfer(&rig, 2), ERR_NOT_LEADER);
    win_election(&rig);
    assert_int_equal(transfer(&rig, 2), ERR_BUSY); /* it has committed nothing */
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(transfer(&rig, 1), ERR_INVALID_PARAMETER);
    assert_int_equal(transfer(&rig, 9), ERR_INVALID_PARAMETER);
    assert_int_equal(transfer(&rig, 3), ERR_UNAVAILABLE); /* never heard of */
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_ADD_SPARE, 4, "n4"), OK);
    take_effects(&rig);
    assert_int_equal(transfer(&rig, 2), ERR_BUSY);
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(transfer(&rig, 4), ERR_INVALID_PARAMETER); /* does not vote */
    assert_false(core_is_transferring(rig.core));
    assert_int_equal(transfer(&rig, 2), OK);
    assert_int_equal(transfer(&rig, 2), ERR_BUSY);
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_REMOVE, 4, NULL), ERR_BUSY);
    finish(&rig);
    /* A lone voter has nobody. */
    boot(&rig, 1);
    written(&rig);
    assert_int_equal(transfer(&rig, 0), ERR_UNAVAILABLE);
    finish(&rig);
}

/* Nothing new is taken, all that was is answered here, and only then the target runs. */
static void test_drains_first(void **state) {
    struct rig rig;
    lead(&rig, 3);
    (void)submit(&rig, "a");
    uint64_t first_write = rig.write_id;
    assert_int_equal(try_submit(&rig), OK);
    assert_int_equal(transfer(&rig, 2), OK);
    assert_true(core_is_transferring(rig.core));
    assert_int_equal(told_to_run(&rig), 0);
    assert_int_equal(try_submit(&rig), ERR_BUSY);
    assert_int_equal(core_written(rig.core, rig.now_ms, first_write), OK);
    take_effects(&rig);
    confirm(&rig, 3); /* committed, on two of three */
    assert_int_equal(told_to_run(&rig), 0);
    confirm(&rig, 2);
    assert_int_equal(told_to_run(&rig), 0); /* our own disk does not have it: not applied */
    written(&rig);
    assert_int_equal(rig.applied, core_last_index(rig.core));
    assert_true(place_of(&rig, CORE_EFFECT_APPLY) < place_of(&rig, CORE_EFFECT_SEND));
    assert_int_equal(told_to_run(&rig), 2);
    assert_int_equal(try_submit(&rig), ERR_BUSY);
    /* It wins. */
    uint64_t term = core_term(rig.core);
    uint64_t last = core_last_index(rig.core);
    struct raft_message request = {.type = RAFT_REQUEST_VOTE,
                                   .request_vote = {.version = 2,
                                                    .term = term + 1,
                                                    .candidate_id = 2,
                                                    .last_log_index = last,
                                                    .last_log_term = term,
                                                    .disrupt_leader = true}};
    assert_int_equal(receive(&rig, 2, &request, NULL, NULL), OK);
    assert_int_equal(find(&rig, CORE_EFFECT_ROLE)->role, CORE_FOLLOWER);
    assert_true(sent(&rig).raft.request_vote_result.vote_granted);
    assert_false(core_is_transferring(rig.core));
    assert_int_equal(try_submit(&rig), ERR_NOT_LEADER);
    finish(&rig);
}

/* Keeps the leadership, by an answer of 3 in every heartbeat, until the transfer ends. */
static void wait_for_the_end(struct rig *rig) {
    uint64_t began_ms = rig->now_ms;
    while (core_is_transferring(rig->core)) {
        assert_true(rig->now_ms < began_ms + ELECTION_MS);
        confirm(rig, 3);
        wake(rig);
        assert_int_equal(core_role(rig->core), CORE_LEADER);
    }
    assert_int_equal(rig->now_ms, began_ms + ELECTION_MS);
}

static void test_is_given_up(void **state) {
    struct rig rig;
    lead(&rig, 3);
    assert_int_equal(transfer(&rig, 2), OK); /* it has all, and does not run */
    assert_int_equal(told_to_run(&rig), 2);
    wait_for_the_end(&rig);
    assert_int_equal(try_submit(&rig), OK);
    written(&rig);
    confirm(&rig, 3);
    confirm(&rig, 2);
    (void)submit(&rig, "b");
    assert_int_equal(transfer(&rig, 2), OK); /* it never gets all */
    written(&rig);
    wait_for_the_end(&rig);
    assert_int_equal(told_to_run(&rig), 0);
    assert_int_equal(try_submit(&rig), OK);
    finish(&rig);
}

static void test_best_target(void **state) {
    struct rig rig;
    lead(&rig, 3);
    confirm(&rig, 3);
    (void)submit(&rig, "a");
    written(&rig);
    confirm(&rig, 3);
    assert_int_equal(transfer(&rig, 0), OK); /* 3 has more */
    assert_int_equal(told_to_run(&rig), 3);
    finish(&rig);
    /* The one that has more is silent. */
    lead(&rig, 3);
    (void)submit(&rig, "a");
    written(&rig);
    confirm(&rig, 2);
    uint64_t heard_ms = rig.now_ms;
    while (rig.now_ms < heard_ms + ELECTION_MS) {
        struct raft_message behind = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                      .append_entries_result = {.version = 1,
                                                                .term = core_term(rig.core),
                                                                .last_log_index = 1}};
        assert_int_equal(receive(&rig, 3, &behind, NULL, NULL), OK);
        wake(&rig);
    }
    assert_int_equal(transfer(&rig, 0), OK);
    assert_int_equal(told_to_run(&rig), 0);
    confirm(&rig, 3);
    assert_int_equal(told_to_run(&rig), 3);
    finish(&rig);
}

/* Reads go on: the round is as good as ever. */
static void test_reads_go_on(void **state) {
    struct rig rig;
    lead(&rig, 3);
    assert_int_equal(transfer(&rig, 2), OK);
    (void)ask_read(&rig);
    say(&rig, 3, CORE_PONG, told(&rig, 3, CORE_PING).number, 0);
    assert_int_equal(rig.answered, 1);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_drains_first),
        cmocka_unit_test(test_is_given_up), cmocka_unit_test(test_best_target),
        cmocka_unit_test(test_reads_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
