/* Directed tests of the pure driver: one node, with what a peer would send it written by hand. The
 * simulation (tests/sim) covers groups; here stands what it cannot see or finds too rarely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "cluster/core.h"
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

enum { EFFECTS_MAX = 64, ENTRIES_MAX = 512, ELECTION_MS = 1000, HEARTBEAT_MS = 100, INFLIGHT = 8 };

/* A node with its disk. Writes reach the disk when the test says so. */
struct rig {
    struct core *core;
    uint64_t now_ms;
    uint64_t term;
    uint64_t voted_for;
    struct core_entry entries[ENTRIES_MAX]; /* on disk, [i] has index first + i; data is owned */
    uint64_t first;
    size_t n_entries;
    struct core_snapshot snapshot; /* on disk; its bytes are owned */
    uint64_t applied;
    /* Of the last event. */
    struct core_effect effects[EFFECTS_MAX];
    size_t n_effects;
    uint64_t write_id; /* of the last write */
    uint64_t wake_ms;
};

static uint8_t *copy(const uint8_t *data, size_t len) {
    uint8_t *copied = malloc(len + 1);
    assert_non_null(copied);
    if (len > 0) {
        memcpy(copied, data, len);
    }
    return copied;
}

static void cut(struct rig *rig, uint64_t from) {
    while (rig->n_entries > 0 && rig->first + rig->n_entries - 1 >= from) {
        free((void *)(uintptr_t)rig->entries[--rig->n_entries].data);
    }
}

static void store(struct rig *rig, uint64_t first, const struct core_entry *entries, size_t n) {
    cut(rig, first);
    if (rig->n_entries == 0) {
        rig->first = first;
    }
    assert_int_equal(first, rig->first + rig->n_entries);
    for (size_t i = 0; i < n; i++) {
        assert_true(rig->n_entries < ENTRIES_MAX);
        struct core_entry *entry = &rig->entries[rig->n_entries++];
        *entry = entries[i];
        entry->data = copy(entries[i].data, entries[i].len);
    }
}

/* Take the effects of an event, keep them for the test to look at, and do what a node does. */
static void take_effects(struct rig *rig) {
    const struct core_effect *effect = NULL;
    rig->n_effects = 0;
    while ((effect = core_next_effect(rig->core)) != NULL) {
        assert_true(rig->n_effects < EFFECTS_MAX);
        rig->effects[rig->n_effects++] = *effect;
        if (effect->kind == CORE_EFFECT_VOTE) {
            rig->term = effect->term;
            rig->voted_for = effect->voted_for;
        } else if (effect->kind == CORE_EFFECT_WRITE) {
            store(rig, effect->first, effect->entries, effect->n_entries);
            rig->write_id = effect->write_id;
        } else if (effect->kind == CORE_EFFECT_APPLY) {
            assert_int_equal(effect->first, rig->applied + 1);
            rig->applied += effect->n_entries;
        } else if (effect->kind == CORE_EFFECT_WAKE) {
            rig->wake_ms = effect->wake_ms;
        }
    }
}

static const struct core_effect *find(const struct rig *rig, enum core_effect_kind kind) {
    for (size_t i = 0; i < rig->n_effects; i++) {
        if (rig->effects[i].kind == kind) {
            return &rig->effects[i];
        }
    }
    return NULL;
}

static size_t place_of(const struct rig *rig, enum core_effect_kind kind) {
    const struct core_effect *effect = find(rig, kind);
    assert_non_null(effect);
    return (size_t)(effect - rig->effects);
}

/* The message in the last SEND. */
static struct core_message sent(const struct rig *rig) {
    struct core_message message = {0};
    for (size_t i = rig->n_effects; i > 0; i--) {
        if (rig->effects[i - 1].kind == CORE_EFFECT_SEND) {
            assert_int_equal(core_message_decode(rig->effects[i - 1].message, 1, &message), OK);
            return message;
        }
    }
    fail_msg("nothing was sent");
    return message;
}

static enum errc try_start(struct rig *rig) {
    rig->core = core_new(&(struct core_options){.id = 1,
                                                .address = "n1",
                                                .election_timeout_ms = ELECTION_MS,
                                                .heartbeat_ms = HEARTBEAT_MS,
                                                .max_inflight_entries = INFLIGHT,
                                                .seed = 5});
    assert_non_null(rig->core);
    return core_start(rig->core, rig->now_ms,
                      &(struct core_persisted){.term = rig->term,
                                               .voted_for = rig->voted_for,
                                               .snapshot = rig->snapshot,
                                               .first_index = rig->first,
                                               .entries = rig->entries,
                                               .n_entries = rig->n_entries,
                                               .applied = rig->applied});
}

static void start(struct rig *rig) {
    assert_int_equal(try_start(rig), OK);
    take_effects(rig);
}

static void configure(struct rig *rig, unsigned voters) {
    const struct core_server servers[] = {{1, "n1"}, {2, "n2"}, {3, "n3"}};
    uint8_t *data = NULL;
    size_t len = 0;
    *rig = (struct rig){.now_ms = 5000, .term = 1, .first = 1};
    assert_int_equal(core_configuration_encode(servers, voters, &data, &len), OK);
    store(rig, 1, &(struct core_entry){1, CORE_CHANGE, data, len}, 1);
    wipe_free(data);
}

static void boot(struct rig *rig, unsigned voters) {
    configure(rig, voters);
    start(rig);
}

static void stop(struct rig *rig) {
    core_free(rig->core);
    rig->core = NULL;
}

static void finish(struct rig *rig) {
    stop(rig);
    cut(rig, 0);
    free((void *)(uintptr_t)rig->snapshot.configuration.data);
    free((void *)(uintptr_t)rig->snapshot.manifest.data);
}

static void written(struct rig *rig) {
    assert_int_equal(core_written(rig->core, rig->now_ms, rig->write_id), OK);
    take_effects(rig);
}

static uint64_t submit(struct rig *rig, const char *text) {
    struct core_bytes command = {(const uint8_t *)text, strlen(text)};
    uint64_t index = 0;
    assert_int_equal(core_submit(rig->core, rig->now_ms, &command, 1, &index), OK);
    take_effects(rig);
    return index;
}

/* A message of `peer`, with the entries of `log` where it has some. */
static enum errc receive(struct rig *rig, uint64_t peer, const struct raft_message *message,
                         const struct core_log *log, const struct core_snapshot *snapshot) {
    const struct core_message_source source = {0, log, snapshot};
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(core_message_encode(message, &source, &bytes, &len), OK);
    enum errc rc = core_receive(rig->core, rig->now_ms, peer, (struct core_bytes){bytes, len});
    wipe_free(bytes);
    if (rc == OK) {
        take_effects(rig);
    }
    return rc;
}

static struct raft_message append_message(uint64_t term, uint64_t prev_index, uint64_t prev_term,
                                          uint64_t commit, unsigned n) {
    return (struct raft_message){.type = RAFT_APPEND_ENTRIES,
                                 .append_entries = {.version = 1,
                                                    .term = term,
                                                    .prev_log_index = prev_index,
                                                    .prev_log_term = prev_term,
                                                    .leader_commit = commit,
                                                    .n_entries = n}};
}

/* Entries of a leader from `first` on, with these terms. */
static void make_log(struct core_log *log, uint64_t first, const uint64_t *terms, size_t n) {
    core_log_init(log);
    core_log_reset(log, first);
    for (size_t i = 0; i < n; i++) {
        struct core_entry entry = {terms[i], CORE_COMMAND, (const uint8_t *)"leader", 6};
        assert_int_equal(core_log_append(log, &entry), OK);
    }
}

static void follow(struct rig *rig, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                   uint64_t commit, const uint64_t *terms, unsigned n) {
    struct core_log log;
    make_log(&log, prev_index + 1, terms, n);
    struct raft_message message = append_message(term, prev_index, prev_term, commit, n);
    assert_int_equal(receive(rig, 2, &message, &log, NULL), OK);
    core_log_fini(&log);
}

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

/* ---- snapshots ---- */

/* What a node does: metadata durable and the log cut, then the core is told. */
static void take_snapshot(struct rig *rig, unsigned trailing, uint64_t *ret_keep_from) {
    struct core_snapshot snapshot;
    assert_int_equal(core_snapshot_prepare(rig->core, trailing, &snapshot, ret_keep_from), OK);
    free((void *)(uintptr_t)rig->snapshot.configuration.data);
    free((void *)(uintptr_t)rig->snapshot.manifest.data);
    rig->snapshot = snapshot;
    rig->snapshot.configuration.data =
        copy(snapshot.configuration.data, snapshot.configuration.len);
    rig->snapshot.manifest = (struct core_bytes){copy((const uint8_t *)"files", 5), 5};
    size_t gone = (size_t)(*ret_keep_from - rig->first);
    for (size_t i = 0; i < gone; i++) {
        free((void *)(uintptr_t)rig->entries[i].data);
    }
    rig->n_entries -= gone;
    memmove(rig->entries, rig->entries + gone, rig->n_entries * sizeof rig->entries[0]);
    rig->first = *ret_keep_from;
    assert_int_equal(core_snapshot_taken(rig->core, rig->now_ms, rig->snapshot.manifest), OK);
    take_effects(rig);
}

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
    assert_int_equal(core_snapshot_prepare(rig.core, 10, &snapshot, &keep_from), ERR_BUSY);
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

/* Make node 1 of three the leader: it asks, 2 grants. */
static void win_election(struct rig *rig) {
    for (int i = 0; i < 20 && core_role(rig->core) != CORE_LEADER; i++) {
        rig->now_ms = rig->wake_ms > rig->now_ms ? rig->wake_ms : rig->now_ms;
        assert_int_equal(core_wake(rig->core, rig->now_ms), OK);
        take_effects(rig);
        while (find(rig, CORE_EFFECT_SEND) != NULL && core_role(rig->core) == CORE_CANDIDATE) {
            struct core_message question = sent(rig);
            assert_int_equal(question.raft.type, RAFT_REQUEST_VOTE);
            struct raft_message grant = {
                .type = RAFT_REQUEST_VOTE_RESULT,
                .request_vote_result = {.version = 3,
                                        .term = question.raft.request_vote.term,
                                        .vote_granted = true,
                                        .pre_vote = question.raft.request_vote.pre_vote}};
            assert_int_equal(receive(rig, 2, &grant, NULL, NULL), OK);
        }
    }
    assert_int_equal(core_role(rig->core), CORE_LEADER);
}

static void confirm(struct rig *rig, uint64_t peer) {
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 1,
                                  .term = core_term(rig->core),
                                  .last_log_index = core_last_index(rig->core)}};
    assert_int_equal(receive(rig, peer, &message, NULL, NULL), OK);
}

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
    assert_int_equal(core_snapshot_prepare(rig.core, 0, &snapshot, &keep_from), ERR_BUSY);
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
        cmocka_unit_test(test_own_snapshot),
        cmocka_unit_test(test_snapshot_keeps_what_followers_need),
        cmocka_unit_test(test_received_snapshot),
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
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_unsound_disks_are_refused),
        cmocka_unit_test(test_node_that_waits_to_be_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
