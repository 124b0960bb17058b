/* The members of a group and their changes as the pure driver sees them. */
#include "cluster_core_rig.h"

static enum errc change(struct rig *rig, enum core_change kind, uint64_t id, const char *address) {
    enum errc rc = core_change(rig->core, rig->now_ms, kind, id, address);
    if (rc == OK) {
        take_effects(rig);
    }
    return rc;
}

static struct core_member member(const struct rig *rig, uint64_t id) {
    struct core_member ret = {0};
    for (unsigned i = 0; i < core_members_count(rig->core); i++) {
        core_member_at(rig->core, i, &ret);
        if (ret.id == id) {
            return ret;
        }
    }
    fail_msg("no such member");
    return ret;
}

/* Time passes, and only `id` is heard of; 0: nobody. */
static void pass(struct rig *rig, uint64_t ms, uint64_t id) {
    uint64_t until_ms = rig->now_ms + ms;
    while (rig->now_ms < until_ms) {
        if (id != 0) {
            confirm(rig, id);
        }
        wake(rig);
    }
}

static void test_what_a_leader_sees(void **state) {
    struct rig rig;
    lead(&rig, 3);
    uint64_t heard_ms = rig.now_ms;
    assert_int_equal(core_members_count(rig.core), 3);
    assert_true(core_is_voter(rig.core));
    struct core_member self = member(&rig, 1);
    assert_int_equal(self.role, CORE_VOTER);
    assert_int_equal(self.match, 2);
    assert_int_equal(self.heard_ms, rig.now_ms);
    assert_string_equal(self.address, "n1");
    assert_int_equal(member(&rig, 2).match, 2);
    assert_int_equal(member(&rig, 2).heard_ms, heard_ms);
    assert_string_equal(member(&rig, 2).address, "n2");
    assert_int_equal(member(&rig, 3).match, 0);
    assert_int_equal(member(&rig, 3).heard_ms, 0); /* never */
    /* Any message is one, also one that is of no use. */
    rig.now_ms += 10;
    assert_int_equal(say_in(&rig, 3, CORE_PONG, 1, 1, 0), OK);
    assert_int_equal(member(&rig, 3).heard_ms, heard_ms + 10);
    assert_int_equal(member(&rig, 2).heard_ms, heard_ms);
    assert_int_equal(say_in(&rig, 3, CORE_PING, core_term(rig.core), 1, 0), ERR_MALFORMED);

    assert_false(core_change_is_running(rig.core));
    assert_int_equal(change(&rig, CORE_ADD_SPARE, 4, "n4"), OK);
    assert_true(core_change_is_running(rig.core));
    assert_int_equal(core_members_count(rig.core), 4);
    assert_int_equal(member(&rig, 4).role, CORE_SPARE);
    written(&rig);
    confirm(&rig, 2);
    assert_false(core_change_is_running(rig.core));
    /* It is sent the log without being asked to vote. */
    confirm(&rig, 4);
    assert_int_equal(member(&rig, 4).match, 3);
    assert_int_equal(change(&rig, CORE_PROMOTE, 4, NULL), OK);
    assert_true(core_change_is_running(rig.core));
    finish(&rig);
}

static void test_what_a_follower_sees(void **state) {
    struct rig rig;
    boot(&rig, 3);
    follow(&rig, 2, 1, 1, 1, (const uint64_t[]){2}, 1);
    assert_int_equal(member(&rig, 1).match, 1); /* 2 is not on the disk */
    assert_int_equal(member(&rig, 2).match, 0);
    assert_int_equal(member(&rig, 2).heard_ms, rig.now_ms);
    assert_false(member(&rig, 2).is_installing);
    assert_true(core_is_voter(rig.core));
    finish(&rig);
}

/* A member's address changes, its role and its place do not; also that of the leader. */
static void test_readdress(void **state) {
    struct rig rig;
    lead(&rig, 3);
    assert_int_equal(change(&rig, CORE_READDRESS, 9, "x"), ERR_INVALID_PARAMETER);
    assert_int_equal(change(&rig, CORE_READDRESS, 2, "n3"), ERR_INVALID_PARAMETER);
    assert_int_equal(change(&rig, CORE_READDRESS, 2, ""), ERR_INVALID_PARAMETER);
    assert_int_equal(change(&rig, CORE_READDRESS, 2, NULL), ERR_INVALID_PARAMETER);
    assert_null(core_next_effect(rig.core));
    assert_int_equal(change(&rig, CORE_READDRESS, 2, "elsewhere"), OK);
    const struct core_effect *write = find(&rig, CORE_EFFECT_WRITE);
    assert_non_null(write);
    assert_int_equal(write->n_entries, 1);
    assert_int_equal(write->entries[0].type, CORE_CHANGE);
    assert_int_equal(change(&rig, CORE_READDRESS, 3, "z"), ERR_BUSY);
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(find(&rig, CORE_EFFECT_CONFIGURATION)->first, 3);
    assert_string_equal(member(&rig, 2).address, "elsewhere");
    assert_int_equal(member(&rig, 2).role, CORE_VOTER);
    assert_int_equal(member(&rig, 2).match, 3); /* what is known of it stays known */
    assert_int_equal(change(&rig, CORE_READDRESS, 1, "here"), OK);
    written(&rig);
    confirm(&rig, 2);
    assert_string_equal(member(&rig, 1).address, "here");
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    finish(&rig);
    /* The one of a bootstrap that did not know its own. */
    boot(&rig, 1);
    written(&rig);
    assert_int_equal(change(&rig, CORE_READDRESS, 1, "known by now"), OK);
    written(&rig);
    assert_string_equal(member(&rig, 1).address, "known by now");
    stop(&rig);
    start(&rig);
    assert_int_equal(core_role(rig.core), CORE_LEADER);
    assert_string_equal(member(&rig, 1).address, "known by now");
    finish(&rig);
}

/* What would leave no majority of voters that live is refused. */
static void test_quorum_of_live_voters(void **state) {
    struct rig rig;
    lead(&rig, 3); /* 3 was never heard of */
    assert_int_equal(change(&rig, CORE_REMOVE, 2, NULL), ERR_NO_QUORUM);
    assert_int_equal(change(&rig, CORE_DEMOTE, 2, NULL), ERR_NO_QUORUM);
    assert_null(core_next_effect(rig.core));
    assert_int_equal(change(&rig, CORE_READDRESS, 2, "x"), OK); /* nobody's vote */
    written(&rig);
    confirm(&rig, 2);
    confirm(&rig, 3);
    pass(&rig, ELECTION_MS - HEARTBEAT_MS, 2); /* 3 was heard of just now */
    pass(&rig, 2 * HEARTBEAT_MS, 2);
    assert_int_equal(change(&rig, CORE_REMOVE, 2, NULL), ERR_NO_QUORUM);
    assert_int_equal(change(&rig, CORE_REMOVE, 3, NULL), OK); /* the dead one may go */
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(core_members_count(rig.core), 2);
    /* A spare is live because it catches up; one that does not never votes. */
    assert_int_equal(change(&rig, CORE_ADD_SPARE, 4, "n4"), OK);
    written(&rig);
    confirm(&rig, 2);
    assert_int_equal(change(&rig, CORE_PROMOTE, 4, NULL), OK);
    assert_true(core_change_is_running(rig.core));
    pass(&rig, 6 * ELECTION_MS, 2);
    assert_false(core_change_is_running(rig.core));
    assert_int_equal(member(&rig, 4).role, CORE_SPARE);
    assert_int_equal(change(&rig, CORE_PROMOTE, 4, NULL), OK);
    confirm(&rig, 4);
    assert_int_equal(member(&rig, 4).role, CORE_VOTER);
    finish(&rig);
}

/* A node that went on after it was stopped counts nobody as live before it has heard of them. */
static void test_nobody_is_live_after_a_stop(void **state) {
    struct rig rig;
    lead(&rig, 3);
    confirm(&rig, 3);
    rig.now_ms += 5 * ELECTION_MS;
    assert_int_equal(change(&rig, CORE_DEMOTE, 3, NULL), ERR_NO_QUORUM);
    assert_int_equal(core_transfer(rig.core, rig.now_ms, 0), ERR_UNAVAILABLE);
    confirm(&rig, 2);
    assert_int_equal(change(&rig, CORE_DEMOTE, 3, NULL), OK);
    assert_int_equal(member(&rig, 3).role, CORE_SPARE);
    finish(&rig);
}

/* A slot is there for every member, whoever came and went before. */
static void test_members_come_and_go(void **state) {
    struct rig rig;
    lead(&rig, 3);
    confirm(&rig, 3);
    for (uint64_t id = 10; id < 10 + 2 * LIMIT_PEERS; id++) {
        char address[16];
        (void)snprintf(address, sizeof address, "m%u", (unsigned)id);
        assert_int_equal(change(&rig, CORE_ADD_SPARE, id, address), OK);
        written(&rig);
        confirm(&rig, 2);
        assert_int_equal(member(&rig, id).heard_ms, 0);
        confirm(&rig, id);
        assert_int_equal(member(&rig, id).heard_ms, rig.now_ms);
        assert_int_equal(change(&rig, CORE_REMOVE, id, NULL), OK);
        written(&rig);
        confirm(&rig, 2);
    }
    while (core_members_count(rig.core) < LIMIT_PEERS) {
        char address[16];
        unsigned id = 1000 + core_members_count(rig.core);
        (void)snprintf(address, sizeof address, "m%u", id);
        assert_int_equal(change(&rig, CORE_ADD_SPARE, id, address), OK);
        written(&rig);
        confirm(&rig, 2);
        confirm(&rig, id);
        assert_int_equal(member(&rig, id).heard_ms, rig.now_ms);
    }
    assert_int_equal(change(&rig, CORE_ADD_SPARE, 7, "n7"), ERR_INVALID_PARAMETER);
    assert_int_equal(member(&rig, 2).heard_ms, rig.now_ms);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_leader_sees),
        cmocka_unit_test(test_what_a_follower_sees),
        cmocka_unit_test(test_readdress),
        cmocka_unit_test(test_quorum_of_live_voters),
        cmocka_unit_test(test_nobody_is_live_after_a_stop),
        cmocka_unit_test(test_members_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
