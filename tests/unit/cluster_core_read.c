/* Linearizable reads of the pure driver (LIBRAFT.md, contract 19), with what its peers would say
 * written by hand. */
#include "cluster_core_rig.h"

/* ---- the leader ---- */

static void test_lone_voter_answers_itself(void **state) {
    struct rig rig;
    boot(&rig, 1);
    assert_int_equal(ask_read(&rig), 1);
    assert_null(find(&rig, CORE_EFFECT_READ)); /* it has committed nothing itself */
    written(&rig);
    assert_int_equal(rig.answered, 1);
    assert_true(place_of(&rig, CORE_EFFECT_APPLY) < place_of(&rig, CORE_EFFECT_READ));
    assert_int_equal(ask_read(&rig), 2);
    assert_int_equal(rig.answered, 2);
    /* What is not committed was not acknowledged to anybody. */
    (void)submit(&rig, "x");
    assert_int_equal(ask_read(&rig), 3);
    assert_int_equal(rig.answered, 3);
    finish(&rig);
}

static void test_leader_asks_a_majority(void **state) {
    struct rig rig;
    boot(&rig, 3);
    win_election(&rig);
    (void)ask_read(&rig);
    assert_int_equal(told(&rig, 2, CORE_PING).number, 0); /* it does not know what is committed */
    written(&rig);
    assert_int_equal(told(&rig, 2, CORE_PING).number, 0);
    confirm(&rig, 2);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    assert_true(round > 0);
    assert_int_equal(told(&rig, 2, CORE_PING).term, core_term(rig.core));
    assert_int_equal(told(&rig, 3, CORE_PING).number, round);
    assert_int_equal(rig.answered, 0);
    /* What is asked now waits for the next round, all of it for one. */
    (void)ask_read(&rig);
    (void)ask_read(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    say(&rig, 3, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 1);
    uint64_t next = told(&rig, 2, CORE_PING).number;
    assert_true(next > round);
    say(&rig, 2, CORE_PONG, round, 0); /* late */
    assert_int_equal(rig.answered, 1);
    say(&rig, 2, CORE_PONG, next, 0);
    assert_int_equal(rig.answered, 3);
    assert_null(find(&rig, CORE_EFFECT_SEND)); /* nobody waits: no round */
    finish(&rig);
}

/* The index is the one of when the round began, and it must be applied here. */
static void test_leader_waits_for_its_own_disk(void **state) {
    struct rig rig;
    lead(&rig, 3);
    uint64_t index = submit(&rig, "a");
    confirm(&rig, 2);
    confirm(&rig, 3);
    assert_int_equal(core_commit_index(rig.core), index); /* on two of three, not here */
    assert_true(rig.applied < index);
    (void)ask_read(&rig);
    say(&rig, 2, CORE_PONG, told(&rig, 2, CORE_PING).number, 0);
    assert_int_equal(rig.answered, 0);
    written(&rig);
    assert_int_equal(rig.applied, index);
    assert_int_equal(rig.answered, 1);
    assert_true(place_of(&rig, CORE_EFFECT_APPLY) < place_of(&rig, CORE_EFFECT_READ));
    /* A command that is committed during the round is not waited for. */
    (void)ask_read(&rig);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    (void)submit(&rig, "b");
    confirm(&rig, 2);
    confirm(&rig, 3);
    say(&rig, 3, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 2);
    finish(&rig);
}

/* A slow disk has so many rounds behind it, no more; nothing is lost. */
static void test_rounds_behind_a_slow_disk_are_bounded(void **state) {
    struct rig rig;
    lead(&rig, 3);
    (void)submit(&rig, "a");
    confirm(&rig, 2);
    confirm(&rig, 3);
    unsigned rounds = 0;
    for (unsigned i = 0; i < 3 * CORE_READY_MAX; i++) {
        (void)ask_read(&rig);
        uint64_t round = told(&rig, 2, CORE_PING).number;
        rounds += round != 0;
        if (round != 0) {
            say(&rig, 2, CORE_PONG, round, 0);
        }
    }
    assert_int_equal(rounds, CORE_READY_MAX);
    /* The asks of others are not held up. */
    say(&rig, 2, CORE_READ_ASK, 7, 0);
    say(&rig, 3, CORE_PONG, told(&rig, 3, CORE_PING).number, 0);
    assert_int_equal(told(&rig, 2, CORE_READ_INDEX).number, 7);
    written(&rig);
    assert_int_equal(rig.answered, CORE_READY_MAX);
    say(&rig, 2, CORE_PONG, rig.core->reads.round, 0);
    assert_int_equal(rig.answered, 3 * CORE_READY_MAX);
    finish(&rig);
}

static void test_who_does_not_count(void **state) {
    struct rig rig;
    lead(&rig, 3);
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_ADD_SPARE, 4, "n4"), OK);
    take_effects(&rig);
    written(&rig);
    confirm(&rig, 2);
    (void)ask_read(&rig);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    assert_int_equal(told(&rig, 4, CORE_PING).number, 0);
    say(&rig, 4, CORE_PONG, round, 0); /* does not vote */
    say(&rig, 9, CORE_PONG, round, 0); /* no member */
    assert_int_equal(rig.answered, 0);
    uint64_t term = core_term(rig.core);
    assert_int_equal(say_in(&rig, 2, CORE_PONG, term - 1, round, 0), OK);
    assert_int_equal(say_in(&rig, 2, CORE_PONG, term + 1, round, 0), OK); /* not ours to count */
    assert_int_equal(rig.answered, 0);
    assert_int_equal(say_in(&rig, 2, CORE_PONG, term, round + 1, 0), ERR_MALFORMED);
    /* A member that does not vote may ask; nobody else. */
    say(&rig, 9, CORE_READ_ASK, 1, 0);
    say(&rig, 4, CORE_READ_ASK, 3, 0);
    say(&rig, 2, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 1);
    assert_int_equal(told(&rig, 4, CORE_READ_INDEX).number, 0);
    round = told(&rig, 2, CORE_PING).number;
    say(&rig, 3, CORE_PONG, round, 0);
    assert_int_equal(told(&rig, 4, CORE_READ_INDEX).number, 3);
    assert_int_equal(told(&rig, 4, CORE_READ_INDEX).index, core_commit_index(rig.core));
    assert_int_equal(told(&rig, 9, CORE_READ_INDEX).number, 0);
    finish(&rig);
}

/* Of four voters three must say so: the configuration of now counts, not that of when it began. */
static void test_majority_of_the_current_configuration(void **state) {
    struct rig rig;
    lead(&rig, 3);
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_ADD_SPARE, 4, "n4"), OK);
    take_effects(&rig);
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_PROMOTE, 4, NULL), OK);
    take_effects(&rig);
    (void)ask_read(&rig);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    confirm(&rig, 4); /* it has caught up, and becomes a voter */
    assert_true(core_configuration_voters(&rig.core->raft.configuration) == 4);
    say(&rig, 2, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 0);
    say(&rig, 4, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 1);
    finish(&rig);
}

static void test_leader_serves_followers(void **state) {
    struct rig rig;
    lead(&rig, 3);
    say(&rig, 3, CORE_READ_ASK, 5, 0);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    assert_true(round > 0);
    say(&rig, 3, CORE_READ_ASK, 5, 0); /* again, while it is served: no second round */
    say(&rig, 2, CORE_READ_ASK, 8, 0);
    say(&rig, 2, CORE_READ_ASK, 9, 0); /* the newest is remembered */
    say(&rig, 2, CORE_PONG, round, 0);
    assert_int_equal(told(&rig, 3, CORE_READ_INDEX).number, 5);
    assert_int_equal(told(&rig, 3, CORE_READ_INDEX).index, 2);
    assert_int_equal(told(&rig, 2, CORE_READ_INDEX).number, 0); /* it came too late for this one */
    say(&rig, 2, CORE_PONG, told(&rig, 2, CORE_PING).number, 0);
    assert_int_equal(told(&rig, 2, CORE_READ_INDEX).number, 9);
    assert_int_equal(told(&rig, 3, CORE_READ_INDEX).number, 0);
    assert_null(find(&rig, CORE_EFFECT_READ));
    /* The answer was lost: asked again, it is answered again. */
    say(&rig, 3, CORE_READ_ASK, 5, 0);
    say(&rig, 2, CORE_PONG, told(&rig, 2, CORE_PING).number, 0);
    assert_int_equal(told(&rig, 3, CORE_READ_INDEX).number, 5);
    /* In another term it is not. */
    assert_int_equal(say_in(&rig, 3, CORE_READ_ASK, core_term(rig.core) - 1, 6, 0), OK);
    assert_int_equal(told(&rig, 2, CORE_PING).number, 0);
    finish(&rig);
}

static void test_pings_are_sent_again(void **state) {
    struct rig rig;
    lead(&rig, 3);
    (void)ask_read(&rig);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    uint64_t began_ms = rig.now_ms;
    while (rig.now_ms < began_ms + HEARTBEAT_MS) {
        confirm(&rig, 2);
        wake(&rig);
    }
    assert_int_equal(rig.now_ms, began_ms + HEARTBEAT_MS);
    assert_int_equal(told(&rig, 2, CORE_PING).number, round);
    assert_int_equal(told(&rig, 3, CORE_PING).number, round);
    say(&rig, 3, CORE_PONG, round, 0);
    assert_int_equal(rig.answered, 1);
    finish(&rig);
}

/* Stopped, deposed, and gone on: what was asked before may be answered by what was true then; what
 * is asked after is not, by nobody. */
static void test_deposed_leader_answers_nothing(void **state) {
    struct rig rig;
    lead(&rig, 3);
    (void)ask_read(&rig);
    uint64_t round = told(&rig, 2, CORE_PING).number;
    uint64_t term = core_term(rig.core);
    rig.now_ms += 10 * ELECTION_MS; /* 2 and 3 have elected another one meanwhile */
    (void)ask_read(&rig);
    assert_null(find(&rig, CORE_EFFECT_READ));
    say(&rig, 2, CORE_PONG, round, 0); /* it was in the stream when we stopped */
    assert_int_equal(rig.answered, 1);
    assert_true(told(&rig, 2, CORE_PING).number > round);
    round = told(&rig, 2, CORE_PING).number;
    /* The new leader is heard of: all that was under way is void, and asked of it. */
    follow(&rig, term + 2, 2, term, 2, NULL, 0);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 2);
    assert_int_equal(say_in(&rig, 3, CORE_PONG, term, round, 0), OK);
    assert_int_equal(say_in(&rig, 2, CORE_PONG, term, round, 0), OK);
    assert_int_equal(rig.answered, 1);
    say(&rig, 2, CORE_READ_INDEX, 2, 2);
    assert_int_equal(rig.answered, 2);
    finish(&rig);
}

/* ---- followers ---- */

static void test_follower_asks_and_applies(void **state) {
    struct rig rig;
    boot(&rig, 3);
    (void)ask_read(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND)); /* whom? */
    follow(&rig, 2, 1, 1, 1, (const uint64_t[]){2, 2}, 2);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 1);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).term, 2);
    (void)ask_read(&rig);
    (void)ask_read(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND)); /* one at a time */
    say(&rig, 2, CORE_READ_INDEX, 1, 3);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 3); /* the two in one */
    assert_int_equal(rig.answered, 0);
    written(&rig);
    assert_int_equal(rig.answered, 0); /* not committed as far as is known */
    follow(&rig, 2, 3, 2, 3, NULL, 0);
    assert_int_equal(rig.applied, 3);
    assert_int_equal(rig.answered, 1);
    assert_true(place_of(&rig, CORE_EFFECT_APPLY) < place_of(&rig, CORE_EFFECT_READ));
    say(&rig, 2, CORE_READ_INDEX, 3, 3);
    assert_int_equal(rig.answered, 3);
    finish(&rig);
}

static void test_follower_asks_again(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    (void)ask_read(&rig);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 1);
    (void)ask_read(&rig);
    assert_int_equal(rig.wake_ms, rig.now_ms + HEARTBEAT_MS);
    wake(&rig);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 1); /* the same: it may be under way */
    assert_int_equal(rig.wake_ms, rig.now_ms + HEARTBEAT_MS);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER); /* no election came of it */
    /* Another leader is asked for all of them, and the former one's word is nothing. */
    struct raft_message heartbeat = append_message(3, 1, 1, 1, 0);
    assert_int_equal(receive(&rig, 3, &heartbeat, NULL, NULL), OK);
    assert_int_equal(core_leader_id(rig.core), 3);
    assert_int_equal(told(&rig, 3, CORE_READ_ASK).number, 2);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 0);
    say(&rig, 2, CORE_READ_INDEX, 2, 1);
    assert_int_equal(say_in(&rig, 3, CORE_READ_INDEX, 2, 2, 1), OK);
    say(&rig, 3, CORE_READ_INDEX, 1, 1); /* what nobody asked for in this term */
    say(&rig, 3, CORE_READ_INDEX, 3, 1); /* nor in this life */
    assert_int_equal(rig.answered, 0);
    say(&rig, 3, CORE_READ_INDEX, 2, 1);
    assert_int_equal(rig.answered, 2);
    finish(&rig);
}

/* An index that was given in an old term and still waits to be applied is asked for anew. */
static void test_old_term_resolves_nothing(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, (const uint64_t[]){2}, 1);
    written(&rig);
    (void)ask_read(&rig);
    say(&rig, 2, CORE_READ_INDEX, 1, 2);
    assert_int_equal(rig.answered, 0);
    follow(&rig, 3, 2, 2, 2, NULL, 0);
    assert_int_equal(rig.applied, 2);
    assert_int_equal(rig.answered, 0);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 1);
    say(&rig, 2, CORE_READ_INDEX, 1, 2);
    assert_int_equal(rig.answered, 1);
    finish(&rig);
}

static void test_follower_confirms_its_leader_only(void **state) {
    struct rig rig;
    boot(&rig, 3);
    uint64_t term = core_term(rig.core);
    assert_int_equal(say_in(&rig, 2, CORE_PING, term, 1, 0), OK); /* does it lead? */
    assert_null(find(&rig, CORE_EFFECT_SEND));
    follow(&rig, 5, 1, 1, 1, NULL, 0);
    say(&rig, 2, CORE_PING, 4, 0);
    assert_int_equal(told(&rig, 2, CORE_PONG).number, 4);
    assert_int_equal(told(&rig, 2, CORE_PONG).term, 5);
    say(&rig, 3, CORE_PING, 4, 0);
    assert_int_equal(told(&rig, 3, CORE_PONG).number, 0);
    /* An old leader is told nothing; a new one has not happened yet. */
    assert_int_equal(say_in(&rig, 2, CORE_PING, 4, 5, 0), OK);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    assert_int_equal(say_in(&rig, 2, CORE_PING, 6, 5, 0), OK);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    assert_int_equal(core_term(rig.core), 5);
    /* One that asks for votes itself follows nobody. */
    while (core_role(rig.core) == CORE_FOLLOWER) {
        wake(&rig);
    }
    say(&rig, 2, CORE_PING, 6, 0);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    finish(&rig);
}

/* While the state is replaced nothing is read; the leader may count on this voter all the same. */
static void test_no_answer_while_installing(void **state) {
    struct rig rig;
    boot(&rig, 3);
    struct core_snapshot snapshot = {
        .index = 50,
        .term = 2,
        .configuration_index = 1,
        .configuration = {copy(rig.entries[0].data, rig.entries[0].len), rig.entries[0].len},
        .manifest = {copy((const uint8_t *)"files", 5), 5}};
    struct raft_message message = {
        .type = RAFT_INSTALL_SNAPSHOT,
        .install_snapshot = {
            .version = 1, .term = 3, .last_index = 50, .last_term = 2, .conf_index = 1}};
    follow(&rig, 3, 1, 1, 1, NULL, 0);
    (void)ask_read(&rig);
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    (void)ask_read(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    say(&rig, 2, CORE_READ_INDEX, 1, 1); /* it was on its way; the state had it */
    assert_int_equal(rig.answered, 0);
    say(&rig, 2, CORE_PING, 9, 0);
    assert_int_equal(told(&rig, 2, CORE_PONG).number, 9);
    rig.first = 51;
    cut(&rig, 0);
    rig.applied = 50;
    rig.snapshot = snapshot;
    assert_int_equal(core_installed(rig.core, rig.now_ms), OK);
    take_effects(&rig);
    assert_int_equal(rig.answered, 1);
    assert_int_equal(told(&rig, 2, CORE_READ_ASK).number, 2);
    finish(&rig);
}

/* A node that came back may hear the answer to what it asked before, in the same term. */
static void test_ids_of_another_life(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    (void)ask_read(&rig);
    uint64_t former = told(&rig, 2, CORE_READ_ASK).number;
    stop(&rig);
    rig.seed = 77;
    start(&rig);
    assert_int_equal(core_term(rig.core), 2); /* no new one: that would depose its leader */
    assert_null(find(&rig, CORE_EFFECT_VOTE));
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    (void)ask_read(&rig);
    assert_true(told(&rig, 2, CORE_READ_ASK).number != former);
    say(&rig, 2, CORE_READ_INDEX, former, 1);
    assert_int_equal(rig.answered, 0);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lone_voter_answers_itself),
        cmocka_unit_test(test_leader_asks_a_majority),
        cmocka_unit_test(test_leader_waits_for_its_own_disk),
        cmocka_unit_test(test_rounds_behind_a_slow_disk_are_bounded),
        cmocka_unit_test(test_who_does_not_count),
        cmocka_unit_test(test_majority_of_the_current_configuration),
        cmocka_unit_test(test_leader_serves_followers),
        cmocka_unit_test(test_pings_are_sent_again),
        cmocka_unit_test(test_deposed_leader_answers_nothing),
        cmocka_unit_test(test_follower_asks_and_applies),
        cmocka_unit_test(test_follower_asks_again),
        cmocka_unit_test(test_old_term_resolves_nothing),
        cmocka_unit_test(test_follower_confirms_its_leader_only),
        cmocka_unit_test(test_no_answer_while_installing),
        cmocka_unit_test(test_ids_of_another_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
