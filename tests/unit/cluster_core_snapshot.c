/* Snapshots at an index, on demand, and what an installing node says, with the peers' words written
 * by hand. */
#include "cluster_core_rig.h"

/* A log of `n` commands, applied; on three nodes as the leader, else alone. */
static void fill(struct rig *rig, unsigned n, bool alone) {
    for (unsigned i = 0; i < n; i++) {
        (void)submit(rig, "command");
    }
    written(rig);
    if (!alone) {
        confirm(rig, 2);
    }
    assert_int_equal(rig->applied, core_last_index(rig->core));
}

/* What a node does, as far as the core can see. */
static uint64_t snapshot_at(struct rig *rig, uint64_t index, unsigned trailing,
                            const char *manifest) {
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;
    assert_int_equal(core_snapshot_prepare(rig->core, index, trailing, &snapshot, &keep_from), OK);
    assert_int_equal(snapshot.index, index);
    assert_int_equal(
        core_snapshot_taken(rig->core, rig->now_ms,
                            (struct core_bytes){(const uint8_t *)manifest, strlen(manifest)}),
        OK);
    take_effects(rig);
    return keep_from;
}

static enum errc try_prepare(struct rig *rig, uint64_t index, struct core_snapshot *ret) {
    uint64_t keep_from = 0;
    return core_snapshot_prepare(rig->core, index, 0, ret, &keep_from);
}

static enum errc readdress(struct rig *rig, const char *address) {
    enum errc rc = core_change(rig->core, rig->now_ms, CORE_READDRESS, 1, address);
    if (rc == OK) {
        take_effects(rig);
        written(rig);
    }
    return rc;
}

/* ---- at an index ---- */

static void test_behind_the_applied_index(void **state) {
    struct rig rig;
    struct core_snapshot snapshot;
    boot(&rig, 1);
    fill(&rig, 8, true);                             /* 3 to 10 */
    assert_int_equal(readdress(&rig, "first"), OK);  /* 11 */
    fill(&rig, 9, true);                             /* 12 to 20 */
    assert_int_equal(readdress(&rig, "second"), OK); /* 21 */
    fill(&rig, 9, true);                             /* 22 to 30 */
    assert_int_equal(try_prepare(&rig, 31, &snapshot), ERR_INVALID_PARAMETER);
    /* The configuration is the one of then. */
    const uint64_t changes[][2] = {{10, 1}, {11, 11}, {20, 11}, {21, 21}, {30, 21}};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        assert_int_equal(try_prepare(&rig, changes[i][0], &snapshot), OK);
        assert_int_equal(snapshot.index, changes[i][0]);
        assert_int_equal(snapshot.term, rig.entries[changes[i][0] - 1].term);
        assert_int_equal(snapshot.configuration_index, changes[i][1]);
        const struct core_entry *entry = &rig.entries[changes[i][1] - 1];
        assert_int_equal(snapshot.configuration.len, entry->len);
        assert_memory_equal(snapshot.configuration.data, entry->data, entry->len);
    }
    assert_int_equal(try_prepare(&rig, 1, &snapshot), OK);
    assert_int_equal(snapshot.term, 1);
    /* What is behind the index stays, and as much before it as was asked for. */
    assert_int_equal(snapshot_at(&rig, 15, 4, "files"), 12);
    assert_int_equal(core_first_index(rig.core), 12);
    assert_int_equal(core_last_index(rig.core), 30);
    assert_int_equal(core_applied_index(rig.core), 30);
    /* Nothing new; and what is new again. 11 is not in the log any more: the snapshot knows. */
    assert_int_equal(try_prepare(&rig, 14, &snapshot), ERR_BUSY);
    assert_int_equal(try_prepare(&rig, 15, &snapshot), ERR_BUSY);
    assert_int_equal(try_prepare(&rig, 20, &snapshot), OK);
    assert_int_equal(snapshot.configuration_index, 11);
    assert_memory_equal(snapshot.configuration.data, rig.entries[10].data,
                        snapshot.configuration.len);
    fill(&rig, 3, true);
    assert_int_equal(rig.applied, 33);
    finish(&rig);
}

static void test_manifest_for_the_newest(void **state) {
    struct rig rig;
    struct core_snapshot snapshot;
    boot(&rig, 1);
    fill(&rig, 28, true);
    assert_int_equal(snapshot_at(&rig, 30, 10, ""), 21);
    /* The same again, because it lacks its manifest; the log stays as libraft knows it. */
    assert_int_equal(try_prepare(&rig, 29, &snapshot), ERR_BUSY);
    assert_int_equal(snapshot_at(&rig, 30, 0, ""), 21);
    assert_int_equal(try_prepare(&rig, 0, &snapshot), OK);
    assert_int_equal(snapshot.index, 30);
    assert_int_equal(snapshot_at(&rig, 30, 0, "files"), 21);
    assert_int_equal(core_first_index(rig.core), 21);
    assert_int_equal(try_prepare(&rig, 30, &snapshot), ERR_BUSY);
    assert_int_equal(try_prepare(&rig, 0, &snapshot), ERR_BUSY);
    fill(&rig, 1, true);
    assert_int_equal(snapshot_at(&rig, 31, 0, ""), 32);
    /* The log holds nothing. */
    assert_int_equal(try_prepare(&rig, 31, &snapshot), OK);
    assert_int_equal(snapshot.term, core_term(rig.core));
    assert_int_equal(snapshot_at(&rig, 31, 0, "files"), 32);
    fill(&rig, 1, true);
    finish(&rig);
}

/* ---- on demand ---- */

/* The last InstallSnapshot of the last event, index 0 when there was none. */
static uint64_t install_sent(const struct rig *rig, uint64_t peer) {
    for (size_t i = 0; i < rig->n_effects; i++) {
        struct core_message message;
        if (rig->effects[i].kind == CORE_EFFECT_SEND && rig->effects[i].peer == peer) {
            assert_int_equal(core_message_decode(rig->effects[i].message, 1, &message), OK);
            if (!message.is_read && message.raft.type == RAFT_INSTALL_SNAPSHOT) {
                assert_true(message.manifest.len > 0);
                return message.raft.install_snapshot.last_index;
            }
        }
    }
    return 0;
}

static bool is_installing(struct rig *rig, uint64_t id) {
    for (unsigned i = 0; i < core_members_count(rig->core); i++) {
        struct core_member member;
        core_member_at(rig->core, i, &member);
        if (member.id == id) {
            return member.is_installing;
        }
    }
    return false;
}

/* `peer` holds nothing and refuses what was sent to it in the last event. */
static void refuse(struct rig *rig, uint64_t peer) {
    uint64_t rejected = 0;
    for (size_t i = 0; i < rig->n_effects; i++) {
        struct core_message message;
        if (rig->effects[i].kind == CORE_EFFECT_SEND && rig->effects[i].peer == peer) {
            assert_int_equal(core_message_decode(rig->effects[i].message, 1, &message), OK);
            if (!message.is_read && message.raft.type == RAFT_APPEND_ENTRIES) {
                rejected = message.raft.append_entries.prev_log_index;
            }
        }
    }
    if (rejected == 0) {
        return;
    }
    struct raft_message refusal = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                   .append_entries_result = {.version = 1,
                                                             .term = core_term(rig->core),
                                                             .rejected = rejected}};
    assert_int_equal(receive(rig, peer, &refusal, NULL, NULL), OK);
}

/* A heartbeat that 2 confirms and 3 refuses. *ret_asked: how often a snapshot was asked for. */
static uint64_t beat(struct rig *rig, unsigned *ret_asked) {
    wake(rig);
    uint64_t sent_index = install_sent(rig, 3);
    *ret_asked += find(rig, CORE_EFFECT_SNAPSHOT) != NULL;
    refuse(rig, 3);
    *ret_asked += find(rig, CORE_EFFECT_SNAPSHOT) != NULL;
    sent_index = install_sent(rig, 3) != 0 ? install_sent(rig, 3) : sent_index;
    confirm(rig, 2);
    return sent_index;
}

/* 1 leads, 2 follows, 3 has nothing that the log could go on from. */
static void lead_with_a_stranger(struct rig *rig) {
    lead(rig, 3);
    fill(rig, 40, false);
    (void)snapshot_at(rig, 40, 0, "");
    assert_true(core_first_index(rig->core) > 2);
}

static void test_asked_for_once_and_sent_soon(void **state) {
    for (unsigned newer = 0; newer < 2; newer++) {
        struct rig rig;
        unsigned asked = 0;
        lead_with_a_stranger(&rig);
        assert_false(is_installing(&rig, 3));
        for (unsigned i = 0; i < 15; i++) {
            assert_int_equal(beat(&rig, &asked), 0); /* there is nothing to send */
        }
        assert_int_equal(asked, 1);
        assert_int_equal(core_role(rig.core), CORE_LEADER);
        assert_true(is_installing(&rig, 3));
        /* At its own index, or at a later one. */
        (void)snapshot_at(&rig, newer ? 42 : 40, 0, "files");
        uint64_t taken_ms = rig.now_ms;
        uint64_t sent_index = 0;
        while (sent_index == 0) {
            sent_index = beat(&rig, &asked);
            assert_true(rig.now_ms <= taken_ms + HEARTBEAT_MS);
        }
        assert_int_equal(sent_index, newer ? 42 : 40);
        assert_int_equal(asked, 1);
        assert_true(is_installing(&rig, 3));
        assert_false(is_installing(&rig, 2));
        /* It has it. */
        confirm(&rig, 3);
        assert_false(is_installing(&rig, 3));
        finish(&rig);
    }
}

/* While it installs, it is alive, and is not sent the same all the time. */
static void test_installing_follower_is_left_in_peace(void **state) {
    struct rig rig;
    unsigned asked = 0;
    lead_with_a_stranger(&rig);
    while (asked == 0) {
        assert_int_equal(beat(&rig, &asked), 0);
    }
    (void)snapshot_at(&rig, 42, 0, "files");
    while (beat(&rig, &asked) == 0) {
    }
    unsigned sent_again = 0;
    struct raft_message alive = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 1, .term = core_term(rig.core)}};
    uint64_t until_ms = rig.now_ms + 10 * ELECTION_MS;
    while (rig.now_ms < until_ms) { /* 2 is gone: with 3 there is a majority */
        wake(&rig);
        sent_again += install_sent(&rig, 3) != 0;
        assert_int_equal(receive(&rig, 3, &alive, NULL, NULL), OK);
        assert_int_equal(core_role(rig.core), CORE_LEADER);
        assert_true(is_installing(&rig, 3));
    }
    assert_true(sent_again <= 5); /* every second election timeout */
    assert_int_equal(asked, 1);
    finish(&rig);
}

/* Another leadership asks again: whoever makes it may have stopped when the former ended. */
static void test_asked_for_again_by_the_next_leadership(void **state) {
    struct rig rig;
    unsigned asked = 0;
    lead_with_a_stranger(&rig);
    while (asked == 0) {
        (void)beat(&rig, &asked);
    }
    uint64_t term = core_term(rig.core);
    uint64_t last = core_last_index(rig.core);
    follow(&rig, term + 1, last, term, last, NULL, 0);
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    assert_false(is_installing(&rig, 3));
    win_election(&rig);
    written(&rig);
    confirm(&rig, 2);
    while (asked == 1) {
        (void)beat(&rig, &asked);
    }
    assert_int_equal(asked, 2);
    finish(&rig);
}

/* Of two voters one comes back and leads, and the other needs a snapshot before anything can be
 * committed: what was applied before is known to be committed, and makes one. */
static void test_restarted_leader_has_one_to_give(void **state) {
    struct rig rig;
    struct core_snapshot snapshot;
    uint64_t keep_from = 0;
    boot(&rig, 2);
    win_election(&rig);
    written(&rig);
    confirm(&rig, 2);
    fill(&rig, 40, false);
    take_snapshot(&rig, 0, &keep_from);
    rig.snapshot.manifest.len = 0; /* as a shorter log has it */
    fill(&rig, 5, false);
    uint64_t applied = rig.applied;
    stop(&rig);
    start(&rig);
    assert_int_equal(core_commit_index(rig.core), applied);
    win_election(&rig);
    written(&rig);
    unsigned asked = 0;
    for (unsigned i = 0; i < 5 && asked == 0; i++) {
        wake(&rig);
        refuse(&rig, 2);
        asked += find(&rig, CORE_EFFECT_SNAPSHOT) != NULL;
    }
    assert_int_equal(asked, 1);
    assert_int_equal(core_applied_index(rig.core), applied);
    assert_int_equal(try_prepare(&rig, 0, &snapshot), OK);
    assert_int_equal(snapshot.index, applied);
    finish(&rig);
}

/* ---- the node that installs ---- */

/* It answers every heartbeat, also one that brings entries, of whatever leader: it lives, and holds
 * nothing. libraft alone would be silent, and with it a majority might be. */
static void test_installing_node_answers(void **state) {
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
    assert_int_equal(receive(&rig, 2, &message, NULL, &snapshot), OK);
    assert_non_null(find(&rig, CORE_EFFECT_INSTALL));
    /* At its index, behind it, before it; without and with entries; of the next leader too. */
    const uint64_t at[] = {50, 70, 20};
    for (uint64_t term = 3; term <= 4; term++) {
        for (size_t i = 0; i < ARRAY_LEN(at); i++) {
            for (unsigned n = 0; n <= 2; n++) {
                uint64_t prev_term = at[i] < 50 ? 1 : at[i] > 50 ? 3 : 2;
                follow(&rig, term, at[i], prev_term, 50, (const uint64_t[]){3, 3}, n);
                struct core_message answer = sent(&rig);
                assert_int_equal(answer.raft.type, RAFT_APPEND_ENTRIES_RESULT);
                assert_int_equal(answer.raft.append_entries_result.term, term);
                assert_int_equal(answer.raft.append_entries_result.rejected, 0);
                assert_int_equal(answer.raft.append_entries_result.last_log_index, 0);
                assert_null(find(&rig, CORE_EFFECT_WRITE));
                assert_null(find(&rig, CORE_EFFECT_APPLY));
                rig.now_ms += ELECTION_MS / 2;
            }
        }
    }
    assert_int_equal(core_role(rig.core), CORE_FOLLOWER);
    /* An old leader is told so. */
    follow(&rig, 3, 50, 2, 50, NULL, 0);
    assert_int_equal(sent(&rig).raft.append_entries_result.term, 4);
    cut(&rig, 0);
    rig.first = 51;
    rig.applied = 50;
    rig.snapshot = snapshot;
    assert_int_equal(core_installed(rig.core, rig.now_ms), OK);
    take_effects(&rig);
    assert_int_equal(sent(&rig).raft.append_entries_result.last_log_index, 50);
    follow(&rig, 4, 50, 2, 52, (const uint64_t[]){3, 3}, 2);
    written(&rig);
    assert_int_equal(rig.applied, 52);
    finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind_the_applied_index),
        cmocka_unit_test(test_manifest_for_the_newest),
        cmocka_unit_test(test_asked_for_once_and_sent_soon),
        cmocka_unit_test(test_installing_follower_is_left_in_peace),
        cmocka_unit_test(test_asked_for_again_by_the_next_leadership),
        cmocka_unit_test(test_restarted_leader_has_one_to_give),
        cmocka_unit_test(test_installing_node_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
