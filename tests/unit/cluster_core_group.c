/* Directed tests of the pure driver as one of several, with what its peers would send written by
 * hand. The simulation (tests/sim) runs whole groups; here stands what it cannot see or finds too
 * rarely. */
#include "cluster_core_rig.h"

/* ---- followers ---- */

static void test_follower_refuses_commands_and_changes(void **state) {
    struct rig rig;
    boot(&rig, 3);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_false(core_is_only_voter(rig.core));
    struct core_bytes command = {(const uint8_t *)"no", 2};
    uint64_t index = 99;
    assert_int_equal(core_submit(rig.core, rig.now_ms, &command, 1, &index), ERR_NOT_LEADER);
    assert_int_equal(index, 99);
    assert_int_equal(core_change(rig.core, rig.now_ms, CORE_REMOVE, 2, NULL), ERR_NOT_LEADER);
    assert_null(core_next_effect(rig.core));
    assert_int_equal(core_last_index(rig.core), 1);
    finish(&rig);
}

/* It acknowledges what is on its disk, and nothing sooner. */
static void test_follower_answers_when_written(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 3, (const uint64_t[]){2, 2}, 2);
    assert_int_equal(core_leader_id(rig.core), 2);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    assert_null(find(&rig, CORE_EFFECT_APPLY)); /* committed, not stored */
    assert_int_equal(core_commit_index(rig.core), 3);
    written(&rig);
    assert_int_equal(sent(&rig).raft.append_entries_result.last_log_index, 3);
    assert_int_equal(rig.applied, 3);
    finish(&rig);
}

/* A write whose end is replaced by a queued one makes durable only what stays of it. */
static void test_replaced_writes_do_not_count(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, (const uint64_t[]){2, 2, 2, 2}, 4); /* 2 to 5 */
    uint64_t first_write = rig.write_id;
    follow(&rig, 4, 3, 2, 1, (const uint64_t[]){4}, 1); /* 4 is another */
    assert_int_equal(find(&rig, CORE_EFFECT_WRITE)->first, 4);
    assert_int_equal(core_last_index(rig.core), 4);
    assert_int_equal(core_uncommitted_bytes(rig.core), 3 * strlen("leader"));
    assert_int_equal(core_written(rig.core, rig.now_ms, first_write), OK);
    take_effects(&rig);
    assert_int_equal(sent(&rig).raft.append_entries_result.last_log_index, 3);
    written(&rig);
    assert_int_equal(sent(&rig).raft.append_entries_result.last_log_index, 4);
    finish(&rig);
}

/* Behind other entries a configuration would get the index of the first of them. */
static void test_configuration_gets_its_own_index(void **state) {
    struct rig rig;
    struct core_log log;
    boot(&rig, 3);
    make_log(&log, 2, (const uint64_t[]){2}, 1);
    struct core_entry change = rig.entries[0];
    change.term = 2;
    struct core_entry command = {2, CORE_COMMAND, (const uint8_t *)"x", 1};
    assert_int_equal(core_log_append(&log, &change), OK);
    assert_int_equal(core_log_append(&log, &command), OK);
    struct raft_message message = append_message(2, 1, 1, 1, 3);
    assert_int_equal(receive(&rig, 2, &message, &log, NULL), OK);
    assert_int_equal(core_last_index(rig.core), 4);
    assert_int_equal(rig.core->raft.configuration_uncommitted_index, 3);
    written(&rig);
    message = append_message(2, 4, 2, 4, 0);
    assert_int_equal(receive(&rig, 2, &message, &log, NULL), OK);
    assert_int_equal(rig.core->raft.configuration_uncommitted_index, 0);
    assert_int_equal(rig.core->raft.configuration_committed_index, 3);
    assert_int_equal(find(&rig, CORE_EFFECT_CONFIGURATION)->first, 3);
    core_log_fini(&log);
    finish(&rig);
}

static uint64_t hint_for(struct rig *rig, uint64_t term, uint64_t prev_index, uint64_t prev_term) {
    follow(rig, term, prev_index, prev_term, 0, NULL, 0);
    struct core_message answer = sent(rig);
    assert_int_equal(answer.raft.append_entries_result.rejected, prev_index);
    return answer.raft.append_entries_result.last_log_index;
}

/* A tail that the leader lacks is skipped at once, not by one entry a round trip. */
static void test_refusal_says_where_logs_may_agree(void **state) {
    struct rig rig;
    uint64_t terms[40];
    boot(&rig, 3);
    for (size_t i = 0; i < 40; i++) {
        terms[i] = i < 4 ? 2 : 5; /* 2 to 5 in term 2, 6 to 41 in term 5 */
    }
    follow(&rig, 5, 1, 1, 3, terms, 40);
    written(&rig);
    assert_int_equal(hint_for(&rig, 7, 60, 6), 41); /* behind our end */
    assert_int_equal(hint_for(&rig, 7, 41, 3), 5);  /* the leader knows no term 5 there */
    assert_int_equal(hint_for(&rig, 7, 41, 6), 41 - 1 - INFLIGHT); /* it may know some of it */
    assert_int_equal(hint_for(&rig, 7, 6, 6), 5);
    assert_int_equal(hint_for(&rig, 7, 5, 1), 3); /* never below what is committed */
    finish(&rig);
}

/* What lies below the log is in the snapshot. libraft would append it at the end. */
static void test_late_entries_below_the_log(void **state) {
    struct rig rig;
    uint64_t terms[20];
    uint64_t keep_from = 0;
    boot(&rig, 3);
    for (size_t i = 0; i < 20; i++) {
        terms[i] = 2;
    }
    follow(&rig, 2, 1, 1, 21, terms, 20);
    written(&rig);
    take_snapshot(&rig, INFLIGHT, &keep_from);
    assert_int_equal(core_first_index(rig.core), 14);
    struct core_log log;
    make_log(&log, 1, (const uint64_t[]){1, 2, 2, 2}, 4);
    struct raft_message message = append_message(2, 0, 0, 21, 4);
    assert_int_equal(receive(&rig, 2, &message, &log, NULL), OK);
    assert_null(find(&rig, CORE_EFFECT_WRITE));
    assert_int_equal(core_last_index(rig.core), 21);
    core_log_fini(&log);
    finish(&rig);
}

static void test_old_leader_learns_the_term_and_nothing_else(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 9, 1, 1, 1, NULL, 0);
    follow(&rig, 4, 1, 1, 1, (const uint64_t[]){4}, 1);
    struct core_message answer = sent(&rig);
    assert_int_equal(answer.raft.append_entries_result.term, 9);
    /* By now it may lead in term 9, and take this for an answer to what it sends there. */
    assert_int_equal(answer.raft.append_entries_result.rejected, 0);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, 0);
    assert_int_equal(core_last_index(rig.core), 1);
    finish(&rig);
}

static void assert_unmoved(struct rig *rig, uint64_t term, uint64_t last) {
    assert_int_equal(core_term(rig->core), term);
    assert_int_equal(core_last_index(rig->core), last);
    assert_null(core_next_effect(rig->core));
}

static void test_malformed_messages_change_nothing(void **state) {
    struct rig rig;
    boot(&rig, 1);
    uint64_t term = core_term(rig.core);
    uint64_t last = core_last_index(rig.core);
    static const uint8_t junk[64] = {1, 1, 1};
    for (size_t len = 0; len <= sizeof junk; len++) {
        assert_int_equal(core_receive(rig.core, rig.now_ms, 2, (struct core_bytes){junk, len}),
                         ERR_MALFORMED);
    }
    struct raft_message message = append_message(term + 5, 0, 0, 0, 0);
    /* From nobody, or from ourselves. */
    assert_int_equal(receive(&rig, 0, &message, NULL, NULL), ERR_MALFORMED);
    assert_int_equal(receive(&rig, 1, &message, NULL, NULL), ERR_MALFORMED);
    assert_unmoved(&rig, term, last);
    /* A second leader of our own term. */
    message = append_message(term, 0, 0, 0, 0);
    assert_int_equal(receive(&rig, 2, &message, NULL, NULL), ERR_MALFORMED);
    /* A refusal of what was never sent. */
    message = (struct raft_message){.type = RAFT_APPEND_ENTRIES_RESULT,
                                    .append_entries_result = {.term = term, .rejected = last + 1}};
    assert_int_equal(receive(&rig, 2, &message, NULL, NULL), ERR_MALFORMED);
    /* A vote in another's name. */
    message =
        (struct raft_message){.type = RAFT_REQUEST_VOTE,
                              .request_vote = {.version = 2, .term = term + 1, .candidate_id = 3}};
    assert_int_equal(receive(&rig, 2, &message, NULL, NULL), ERR_MALFORMED);
    assert_unmoved(&rig, term, last);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    written(&rig);
    finish(&rig);
}

/* ---- leaders of more than one ---- */

static void test_election_of_three(void **state) {
    struct rig rig;
    boot(&rig, 3);
    win_election(&rig);
    /* The vote of the real election was on disk before it was asked for; the barrier goes to the
     * followers before the leader's own disk has it. */
    assert_int_equal(rig.voted_for, 1);
    assert_int_equal(rig.term, core_term(rig.core));
    assert_non_null(find(&rig, CORE_EFFECT_WRITE));
    assert_non_null(find(&rig, CORE_EFFECT_SEND));
    assert_int_equal(core_last_index(rig.core), 2);
    written(&rig);
    assert_int_equal(rig.applied, 1); /* the bootstrap's entry; its own is on one of three */
    assert_false(core_is_current_leader(rig.core));
    confirm(&rig, 2);
    assert_int_equal(rig.applied, 2);
    assert_true(core_is_current_leader(rig.core));
    /* A newer term takes the leadership. */
    follow(&rig, core_term(rig.core) + 3, 2, core_term(rig.core), 2, NULL, 0);
    const struct core_effect *role = find(&rig, CORE_EFFECT_ROLE);
    assert_non_null(role);
    assert_int_equal(role->role, CORE_FOLLOWER);
    assert_true(place_of(&rig, CORE_EFFECT_VOTE) < place_of(&rig, CORE_EFFECT_ROLE));
    finish(&rig);
}

static void test_membership(void **state) {
    struct rig rig;
    boot(&rig, 3);
    win_election(&rig);
    struct core *core = rig.core;
    /* Not before the leader has committed something. */
    assert_int_equal(core_change(core, rig.now_ms, CORE_REMOVE, 3, NULL), ERR_BUSY);
    written(&rig);
    confirm(&rig, 2);
    /* It never takes its own vote, and knows its members. */
    assert_int_equal(core_change(core, rig.now_ms, CORE_REMOVE, 1, NULL), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_DEMOTE, 1, NULL), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_REMOVE, 9, NULL), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_PROMOTE, 2, NULL), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_PROMOTE, 9, NULL), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_ADD_SPARE, 2, "x"), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_ADD_SPARE, 4, "n2"), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_ADD_SPARE, 4, ""), ERR_INVALID_PARAMETER);
    assert_int_equal(core_change(core, rig.now_ms, CORE_ADD_SPARE, 0, "x"), ERR_INVALID_PARAMETER);
    assert_null(core_next_effect(core));
    /* Join, one change at a time. */
    assert_int_equal(core_change(core, rig.now_ms, CORE_ADD_SPARE, 4, "n4"), OK);
    take_effects(&rig);
    assert_int_equal(find(&rig, CORE_EFFECT_WRITE)->entries[0].type, CORE_CHANGE);
    /* It leaves only when it is on our own disk. */
    assert_int_equal(sent(&rig).raft.type, RAFT_APPEND_ENTRIES);
    assert_int_equal(sent(&rig).raft.append_entries.n_entries, 0);
    assert_int_equal(core_change(core, rig.now_ms, CORE_REMOVE, 3, NULL), ERR_BUSY);
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(find(&rig, CORE_EFFECT_CONFIGURATION)->first, 3);
    /* Catch up, then vote. */
    assert_int_equal(core_change(core, rig.now_ms, CORE_PROMOTE, 4, NULL), OK);
    take_effects(&rig);
    assert_non_null(find(&rig, CORE_EFFECT_SEND));
    assert_null(find(&rig, CORE_EFFECT_WRITE));
    assert_int_equal(core_change(core, rig.now_ms, CORE_REMOVE, 3, NULL), ERR_BUSY);
    confirm(&rig, 4);
    assert_int_equal(find(&rig, CORE_EFFECT_WRITE)->entries[0].type, CORE_CHANGE);
    written(&rig);
    confirm(&rig, 2);
    assert_null(find(&rig, CORE_EFFECT_CONFIGURATION)); /* two of four */
    confirm(&rig, 4);
    assert_int_equal(find(&rig, CORE_EFFECT_CONFIGURATION)->first, 4);
    assert_int_equal(core_configuration_voters(&core->raft.configuration), 4);
    assert_int_equal(core_change(core, rig.now_ms, CORE_DEMOTE, 3, NULL), OK);
    take_effects(&rig);
    finish(&rig);
}

/* ---- a leader that is gone ---- */

static struct raft_message vote_request(uint64_t term, uint64_t index, uint64_t index_term) {
    return (struct raft_message){.type = RAFT_REQUEST_VOTE,
                                 .request_vote = {.version = 2,
                                                  .term = term,
                                                  .candidate_id = 2,
                                                  .last_log_index = index,
                                                  .last_log_term = index_term}};
}

/* The other follower finds out a moment later, and refuses until then: that costs a moment, not an
 * election timeout. */
static void test_lost_leader_is_replaced_soon(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    uint64_t lost_ms = rig.now_ms;
    assert_int_equal(core_peer_lost(rig.core, rig.now_ms, 2), OK);
    take_effects(&rig);
    assert_int_equal(find(&rig, CORE_EFFECT_ROLE)->leader_id, 0); /* who asks is told at once */
    for (int i = 0; i < 3; i++) {
        uint64_t asked_ms = rig.now_ms;
        wake(&rig);
        assert_true(rig.now_ms - asked_ms < 2 * HEARTBEAT_MS);
        assert_true(answer_vote(&rig, 3, false));
        assert_int_equal(core_term(rig.core), 2); /* asking moves nothing */
    }
    wake(&rig);
    assert_true(answer_vote(&rig, 3, true));
    assert_int_equal(core_term(rig.core), 3);
    assert_false(answer_vote(&rig, 3, false)); /* split; a vote may have to wait for a disk */
    uint64_t voted_ms = rig.now_ms;
    wake(&rig);
    assert_in_range(rig.now_ms - voted_ms, 3 * HEARTBEAT_MS, 4 * HEARTBEAT_MS);
    assert_false(answer_vote(&rig, 3, true));
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_true(rig.now_ms - lost_ms < 2 * ELECTION_MS);
    finish(&rig);
}

/* Nobody answers: the hurry ends, and a leader that is there after all ends it too. */
static void test_hurry_ends(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    assert_int_equal(core_peer_lost(rig.core, rig.now_ms, 2), OK);
    take_effects(&rig);
    wake(&rig);
    uint64_t stood_ms = rig.now_ms;
    while (rig.now_ms < stood_ms + ELECTION_MS) {
        wake(&rig);
    }
    assert_true(rig.wake_ms >= rig.now_ms + ELECTION_MS);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_int_equal(core_leader_id(rig.core), 2);
    assert_true(rig.wake_ms >= rig.now_ms + ELECTION_MS);
    /* What breaks between others says nothing of the leader. */
    assert_int_equal(core_peer_lost(rig.core, rig.now_ms, 3), OK);
    take_effects(&rig);
    assert_int_equal(core_leader_id(rig.core), 2);
    finish(&rig);
}

/* A leader is kept for one election timeout, not until this node's own, longer one has passed. */
static void test_silent_leader_is_kept_so_long(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, NULL, 0);
    struct raft_message request = vote_request(3, 1, 1);
    request.request_vote.candidate_id = 3;
    rig.now_ms += ELECTION_MS - 1;
    assert_int_equal(receive(&rig, 3, &request, NULL, NULL), OK);
    assert_false(sent(&rig).raft.request_vote_result.vote_granted);
    assert_int_equal(core_term(rig.core), 2);
    rig.now_ms += 1;
    assert_true(rig.wake_ms > rig.now_ms);
    assert_int_equal(receive(&rig, 3, &request, NULL, NULL), OK);
    assert_true(sent(&rig).raft.request_vote_result.vote_granted);
    finish(&rig);
}

/* ---- members that do not vote ---- */

/* It may have been made a voter by an entry that it has not seen, and without it nobody can lead.
 * But not while it hears from a leader, not twice, and not for an older log. */
static void test_spare_lends_its_vote(void **state) {
    struct rig rig;
    struct core_log log;
    struct raft_buffer buffer;
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    assert_int_equal(raft_configuration_add(&configuration, 1, "n1", RAFT_SPARE), 0);
    assert_int_equal(raft_configuration_add(&configuration, 2, "n2", RAFT_VOTER), 0);
    assert_int_equal(core_configuration_to_buffer(&configuration, &buffer), OK);
    raft_configuration_close(&configuration);
    boot(&rig, 3);
    make_log(&log, 2, NULL, 0);
    struct core_entry change = {2, CORE_CHANGE, buffer.base, buffer.len};
    assert_int_equal(core_log_append(&log, &change), OK);
    struct raft_message message = append_message(2, 1, 1, 2, 1);
    assert_int_equal(receive(&rig, 2, &message, &log, NULL), OK);
    written(&rig);
    assert_int_equal(rig.core->raft.configuration_committed_index, 2);

    struct raft_message request = vote_request(5, 2, 2);
    assert_int_equal(receive(&rig, 2, &request, NULL, NULL), OK);
    assert_false(sent(&rig).raft.request_vote_result.vote_granted); /* 2 still leads, it thinks */
    for (int i = 0; i < 3; i++) {
        rig.now_ms = rig.wake_ms;
        assert_int_equal(core_wake(rig.core, rig.now_ms), OK);
        take_effects(&rig);
    }
    assert_int_equal(core_leader_id(rig.core), 0);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    struct raft_message older = vote_request(5, 1, 1);
    assert_int_equal(receive(&rig, 2, &older, NULL, NULL), OK);
    assert_false(sent(&rig).raft.request_vote_result.vote_granted);
    assert_int_equal(receive(&rig, 2, &request, NULL, NULL), OK);
    assert_true(sent(&rig).raft.request_vote_result.vote_granted);
    assert_true(place_of(&rig, CORE_EFFECT_VOTE) < place_of(&rig, CORE_EFFECT_SEND));
    assert_int_equal(rig.voted_for, 2);
    assert_int_equal(rig.term, 5);
    request.request_vote.candidate_id = 3;
    assert_int_equal(receive(&rig, 3, &request, NULL, NULL), OK);
    assert_false(sent(&rig).raft.request_vote_result.vote_granted);
    assert_int_equal(rig.core->raft.configuration.servers[0].role, RAFT_SPARE);
    core_log_fini(&log);
    raft_free(buffer.base);
    finish(&rig);
}

/* ---- snapshots ---- */

/* With followers, so much stays as may be in flight to one. */
static void test_snapshot_keeps_what_followers_need(void **state) {
    struct rig rig;
    uint64_t keep_from = 0;
    const uint64_t terms[] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 13, terms, 12);
    written(&rig);
    assert_int_equal(rig.applied, 13);
    take_snapshot(&rig, 0, &keep_from);
    assert_int_equal(keep_from, 13 - INFLIGHT + 1);
    finish(&rig);
}

static void test_received_snapshot(void **state) {
    struct rig rig;
    const uint64_t terms[] = {2, 2};
    boot(&rig, 3);
    struct core_snapshot snapshot = {
        .index = 50,
        .term = 2,
        .configuration_index = 1,
        .configuration = {copy(rig.entries[0].data, rig.entries[0].len), rig.entries[0].len},
        .manifest = {copy((const uint8_t *)"checkpoint", 10), 10}};
    struct raft_message message = {
        .type = RAFT_INSTALL_SNAPSHOT,
        .install_snapshot = {
            .version = 1, .term = 3, .last_index = 50, .last_term = 2, .conf_index = 1}};
    follow(&rig, 2, 1, 1, 1, terms, 2);
    uint64_t old_write = rig.write_id;
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    const struct core_effect *install = find(&rig, CORE_EFFECT_INSTALL);
    assert_non_null(install);
    assert_true(place_of(&rig, CORE_EFFECT_VOTE) < place_of(&rig, CORE_EFFECT_INSTALL));
    assert_int_equal(install->snapshot.index, 50);
    assert_memory_equal(install->snapshot.manifest.data, "checkpoint", 10);
    /* Sent again while it is installed: dropped. So is the end of a write of before. */
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    assert_null(find(&rig, CORE_EFFECT_INSTALL));
    assert_int_equal(core_written(rig.core, rig.now_ms, old_write), OK);
    take_effects(&rig);
    assert_null(find(&rig, CORE_EFFECT_SEND));
    assert_null(find(&rig, CORE_EFFECT_APPLY));

    cut(&rig, 0);
    rig.first = 51;
    rig.applied = 50;
    rig.snapshot = snapshot;
    assert_int_equal(core_installed(rig.core, rig.now_ms), OK);
    take_effects(&rig);
    assert_int_equal(core_applied_index(rig.core), 50);
    assert_int_equal(core_first_index(rig.core), 51);
    struct core_message answer = sent(&rig);
    assert_int_equal(answer.raft.type, RAFT_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer.raft.append_entries_result.rejected, 0);
    assert_int_equal(answer.raft.append_entries_result.last_log_index, 50);
    /* The log goes on behind it, and a restart finds all of it. */
    follow(&rig, 3, 50, 2, 52, (const uint64_t[]){3, 3}, 2);
    written(&rig);
    assert_int_equal(rig.applied, 52);
    stop(&rig);
    start(&rig);
    assert_int_equal(core_last_index(rig.core), 52);
    finish(&rig);
}

/* ---- time ---- */

static void test_wakes(void **state) {
    struct rig rig;
    boot(&rig, 3);
    win_election(&rig);
    written(&rig);
    uint64_t wake_ms = rig.wake_ms;
    assert_true(wake_ms > rig.now_ms);
    /* Early: nothing but the same time again. */
    assert_int_equal(core_wake(rig.core, wake_ms - 1), OK);
    take_effects(&rig);
    assert_int_equal(rig.n_effects, 1);
    assert_int_equal(rig.effects[0].kind, CORE_EFFECT_WAKE);
    assert_int_equal(rig.effects[0].wake_ms, wake_ms);
    /* Never twice within a quarter of a heartbeat, although nobody answers. */
    for (int i = 0; i < 50 && core_role(rig.core) == CORE_LEADER; i++) {
        rig.now_ms = rig.wake_ms;
        assert_int_equal(core_wake(rig.core, rig.now_ms), OK);
        take_effects(&rig);
        assert_true(rig.wake_ms >= rig.now_ms + HEARTBEAT_MS / 4);
    }
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER); /* no majority was heard from */
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follower_refuses_commands_and_changes),
        cmocka_unit_test(test_follower_answers_when_written),
        cmocka_unit_test(test_replaced_writes_do_not_count),
        cmocka_unit_test(test_configuration_gets_its_own_index),
        cmocka_unit_test(test_refusal_says_where_logs_may_agree),
        cmocka_unit_test(test_late_entries_below_the_log),
        cmocka_unit_test(test_old_leader_learns_the_term_and_nothing_else),
        cmocka_unit_test(test_malformed_messages_change_nothing),
        cmocka_unit_test(test_election_of_three),
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_lost_leader_is_replaced_soon),
        cmocka_unit_test(test_hurry_ends),
        cmocka_unit_test(test_silent_leader_is_kept_so_long),
        cmocka_unit_test(test_spare_lends_its_vote),
        cmocka_unit_test(test_snapshot_keeps_what_followers_need),
        cmocka_unit_test(test_received_snapshot),
        cmocka_unit_test(test_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
