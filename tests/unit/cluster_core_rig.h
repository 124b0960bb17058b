/* One node of the pure driver with a disk of its own, for directed tests: it does what a node does
 * with effects, keeps those of the last event for the test to look at, and speaks for its peers. */
#ifndef TESTS_UNIT_CLUSTER_CORE_RIG_H
#define TESTS_UNIT_CLUSTER_CORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "cluster/core.h"
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

enum { EFFECTS_MAX = 256, ENTRIES_MAX = 512, ELECTION_MS = 1000, HEARTBEAT_MS = 100, INFLIGHT = 8 };

/* A node with its disk. Writes reach the disk when the test says so. */
struct rig {
    struct core *core;
    uint32_t seed; /* 0: ids of reads begin at 1 */
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
    uint64_t answered; /* reads up to here; of all events */
};

static inline uint8_t *copy(const uint8_t *data, size_t len) {
    uint8_t *copied = malloc(len + 1);
    assert_non_null(copied);
    if (len > 0) {
        memcpy(copied, data, len);
    }
    return copied;
}

static inline void cut(struct rig *rig, uint64_t from) {
    while (rig->n_entries > 0 && rig->first + rig->n_entries - 1 >= from) {
        free((void *)(uintptr_t)rig->entries[--rig->n_entries].data);
    }
}

static inline void store(struct rig *rig, uint64_t first, const struct core_entry *entries,
                         size_t n) {
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
static inline void take_effects(struct rig *rig) {
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
        } else if (effect->kind == CORE_EFFECT_READ) {
            assert_true(effect->read_id > rig->answered);
            rig->answered = effect->read_id;
        }
    }
}

static inline const struct core_effect *find(const struct rig *rig, enum core_effect_kind kind) {
    for (size_t i = 0; i < rig->n_effects; i++) {
        if (rig->effects[i].kind == kind) {
            return &rig->effects[i];
        }
    }
    return NULL;
}

static inline size_t place_of(const struct rig *rig, enum core_effect_kind kind) {
    const struct core_effect *effect = find(rig, kind);
    assert_non_null(effect);
    return (size_t)(effect - rig->effects);
}

/* The message in the last SEND. */
static inline struct core_message sent(const struct rig *rig) {
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

static inline enum errc try_start(struct rig *rig) {
    rig->core = core_new(&(struct core_options){.id = 1,
                                                .address = "n1",
                                                .election_timeout_ms = ELECTION_MS,
                                                .heartbeat_ms = HEARTBEAT_MS,
                                                .max_inflight_entries = INFLIGHT,
                                                .seed = rig->seed});
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

static inline void start(struct rig *rig) {
    assert_int_equal(try_start(rig), OK);
    take_effects(rig);
}

static inline void configure(struct rig *rig, unsigned voters) {
    const struct core_server servers[] = {{1, "n1"}, {2, "n2"}, {3, "n3"}};
    uint8_t *data = NULL;
    size_t len = 0;
    *rig = (struct rig){.now_ms = 5000, .term = 1, .first = 1};
    assert_int_equal(core_configuration_encode(servers, voters, &data, &len), OK);
    store(rig, 1, &(struct core_entry){1, CORE_CHANGE, data, len}, 1);
    wipe_free(data);
}

static inline void boot(struct rig *rig, unsigned voters) {
    configure(rig, voters);
    start(rig);
}

static inline void stop(struct rig *rig) {
    core_free(rig->core);
    rig->core = NULL;
}

static inline void finish(struct rig *rig) {
    stop(rig);
    cut(rig, 0);
    free((void *)(uintptr_t)rig->snapshot.configuration.data);
    free((void *)(uintptr_t)rig->snapshot.manifest.data);
}

static inline void written(struct rig *rig) {
    assert_int_equal(core_written(rig->core, rig->now_ms, rig->write_id), OK);
    take_effects(rig);
}

static inline uint64_t submit(struct rig *rig, const char *text) {
    struct core_bytes command = {(const uint8_t *)text, strlen(text)};
    uint64_t index = 0;
    assert_int_equal(core_submit(rig->core, rig->now_ms, &command, 1, &index), OK);
    take_effects(rig);
    return index;
}

/* A message of `peer`, with the entries of `log` where it has some. */
static inline enum errc receive(struct rig *rig, uint64_t peer, const struct raft_message *message,
                                const struct core_log *log, const struct core_snapshot *snapshot) {
    const struct core_message_source source = {
        .persisted = UINT64_MAX, .log = log, .snapshot = snapshot};
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

static inline struct raft_message append_message(uint64_t term, uint64_t prev_index,
                                                 uint64_t prev_term, uint64_t commit, unsigned n) {
    return (struct raft_message){.type = RAFT_APPEND_ENTRIES,
                                 .append_entries = {.version = 1,
                                                    .term = term,
                                                    .prev_log_index = prev_index,
                                                    .prev_log_term = prev_term,
                                                    .leader_commit = commit,
                                                    .n_entries = n}};
}

/* Entries of a leader from `first` on, with these terms. */
static inline void make_log(struct core_log *log, uint64_t first, const uint64_t *terms, size_t n) {
    core_log_init(log);
    core_log_reset(log, first);
    for (size_t i = 0; i < n; i++) {
        struct core_entry entry = {terms[i], CORE_COMMAND, (const uint8_t *)"leader", 6};
        assert_int_equal(core_log_append(log, &entry), OK);
    }
}

static inline void follow(struct rig *rig, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                          uint64_t commit, const uint64_t *terms, unsigned n) {
    struct core_log log;
    make_log(&log, prev_index + 1, terms, n);
    struct raft_message message = append_message(term, prev_index, prev_term, commit, n);
    assert_int_equal(receive(rig, 2, &message, &log, NULL), OK);
    core_log_fini(&log);
}

/* What a node does: metadata durable and the log cut, then the core is told. */
static inline void take_snapshot(struct rig *rig, unsigned trailing, uint64_t *ret_keep_from) {
    struct core_snapshot snapshot;
    assert_int_equal(core_snapshot_prepare(rig->core, 0, trailing, &snapshot, ret_keep_from), OK);
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

/* `from` answers the last question; returns whether it was for a pre-vote. */
static inline bool answer_vote(struct rig *rig, uint64_t from, bool is_granted) {
    struct core_message question = sent(rig);
    assert_int_equal(question.raft.type, RAFT_REQUEST_VOTE);
    struct raft_message answer = {
        .type = RAFT_REQUEST_VOTE_RESULT,
        .request_vote_result = {.version = 3,
                                .term = question.raft.request_vote.term,
                                .vote_granted = is_granted,
                                .pre_vote = question.raft.request_vote.pre_vote}};
    assert_int_equal(receive(rig, from, &answer, NULL, NULL), OK);
    return question.raft.request_vote.pre_vote;
}

/* Make node 1 of three the leader: it asks, 2 grants. */
static inline void win_election(struct rig *rig) {
    for (int i = 0; i < 20 && core_role(rig->core) != CORE_LEADER; i++) {
        rig->now_ms = rig->wake_ms > rig->now_ms ? rig->wake_ms : rig->now_ms;
        assert_int_equal(core_wake(rig->core, rig->now_ms), OK);
        take_effects(rig);
        while (find(rig, CORE_EFFECT_SEND) != NULL && core_role(rig->core) == CORE_CANDIDATE) {
            (void)answer_vote(rig, 2, true);
        }
    }
    assert_int_equal(core_role(rig->core), CORE_LEADER);
}

static inline void confirm(struct rig *rig, uint64_t peer) {
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 1,
                                  .term = core_term(rig->core),
                                  .last_log_index = core_last_index(rig->core)}};
    assert_int_equal(receive(rig, peer, &message, NULL, NULL), OK);
}

/* ---- reads ---- */

static inline uint64_t ask_read(struct rig *rig) {
    uint64_t id = 0;
    assert_int_equal(core_read(rig->core, rig->now_ms, &id), OK);
    take_effects(rig);
    return id;
}

/* A message of `peer` about reads. */
static inline enum errc say_in(struct rig *rig, uint64_t peer, enum core_read_type type,
                               uint64_t term, uint64_t number, uint64_t index) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(core_message_encode_read(
                         &(struct core_read_message){
                             .type = type, .term = term, .number = number, .index = index},
                         &bytes, &len),
                     OK);
    enum errc rc = core_receive(rig->core, rig->now_ms, peer, (struct core_bytes){bytes, len});
    wipe_free(bytes);
    if (rc == OK) {
        take_effects(rig);
    }
    return rc;
}

static inline void say(struct rig *rig, uint64_t peer, enum core_read_type type, uint64_t number,
                       uint64_t index) {
    assert_int_equal(say_in(rig, peer, type, core_term(rig->core), number, index), OK);
}

/* The message about reads that went to `peer` in the last event; `number` 0: none did. */
static inline struct core_read_message told(const struct rig *rig, uint64_t peer,
                                            enum core_read_type type) {
    struct core_read_message ret = {0};
    for (size_t i = 0; i < rig->n_effects; i++) {
        struct core_message message;
        if (rig->effects[i].kind != CORE_EFFECT_SEND || rig->effects[i].peer != peer) {
            continue;
        }
        assert_int_equal(core_message_decode(rig->effects[i].message, 1, &message), OK);
        if (message.is_read && message.read.type == type) {
            assert_int_equal(ret.number, 0); /* once */
            ret = message.read;
        }
    }
    return ret;
}

static inline void wake(struct rig *rig) {
    rig->now_ms = rig->wake_ms > rig->now_ms ? rig->wake_ms : rig->now_ms;
    assert_int_equal(core_wake(rig->core, rig->now_ms), OK);
    take_effects(rig);
}

/* Node 1 of so many voters leads, and its barrier is committed with the help of 2. */
static inline void lead(struct rig *rig, unsigned voters) {
    boot(rig, voters);
    win_election(rig);
    written(rig);
    confirm(rig, 2);
}

#endif
