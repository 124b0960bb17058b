#include "cluster/core.h"

#include "base/limits.h"
#include "cluster/core_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Terms and indexes stay far from where sums of them would wrap. */
static const uint64_t number_max = UINT64_C(1) << 62;

struct core *core_new(const struct core_options *options) {
    CHECK(options->id != 0 && options->heartbeat_ms > 0 && options->max_inflight_entries > 0 &&
          options->heartbeat_ms < options->election_timeout_ms);
    struct core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return NULL;
    }
    /* No I/O and no state machine: libraft is used through raft_step alone. */
    if (raft_init(&core->raft, NULL, NULL, options->id, options->address) != 0) {
        free(core);
        return NULL;
    }
    core->election_timeout_ms = options->election_timeout_ms;
    core->heartbeat_ms = options->heartbeat_ms;
    core->max_inflight_entries = options->max_inflight_entries;
    core->raft.tracer = NULL; /* the default one formats a text in every step */
    raft_seed(&core->raft, options->seed);
    raft_set_election_timeout(&core->raft, options->election_timeout_ms);
    raft_set_heartbeat_timeout(&core->raft, options->heartbeat_ms);
    raft_set_install_snapshot_timeout(&core->raft, core_install_timeout_ms(core));
    raft_set_max_inflight_entries(&core->raft, options->max_inflight_entries);
    /* Without it a node that was cut off deposes a working leader when it comes back. */
    raft_set_pre_vote(&core->raft, true);
    core_reads_init(core, options->seed);
    core_log_init(&core->log);
    effects_init(&core->effects);
    return core;
}

void core_free(struct core *core) {
    if (core == NULL) {
        return;
    }
    raft_close(&core->raft, NULL); /* synchronous without I/O */
    core_log_fini(&core->log);
    effects_fini(&core->effects);
    core_snapshot_clear(&core->snapshot);
    core_snapshot_clear(&core->installing);
    core_snapshot_clear(&core->prepared);
    free(core->writes.slots);
    free(core->members.data);
    free(core);
}

static bool snapshot_is_sound(const struct core_persisted *p) {
    const struct core_snapshot *snapshot = &p->snapshot;
    return snapshot->index < number_max && snapshot->term > 0 && snapshot->term <= p->term &&
           snapshot->configuration_index > 0 && snapshot->configuration_index <= snapshot->index &&
           snapshot->manifest.len <= LIMIT_MANIFEST &&
           core_configuration_is_valid(snapshot->configuration);
}

static bool entries_are_sound(const struct core_persisted *p) {
    uint64_t term = 1;
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct core_entry *entry = &p->entries[i];
        uint64_t index = p->first_index + i;
        bool is_known = entry->type == CORE_COMMAND || entry->type == CORE_BARRIER ||
                        (entry->type == CORE_CHANGE &&
                         core_configuration_is_valid((struct core_bytes){entry->data, entry->len}));
        bool is_below = index <= p->snapshot.index; /* 0: there is none */
        bool fits_snapshot =
            is_below ? entry->term <= p->snapshot.term &&
                           (index < p->snapshot.index || entry->term == p->snapshot.term)
                     : entry->term >= p->snapshot.term;
        if (!is_known || entry->term < term || entry->term > p->term || !fits_snapshot) {
            return false;
        }
        term = entry->term;
    }
    return true;
}

/* Without a snapshot the log begins with the configuration of the bootstrap; with one it begins at
 * or before the snapshot's end and reaches it, or it is empty. */
static bool log_is_sound(const struct core_persisted *p) {
    if (p->n_entries == 0) {
        return p->first_index == 0 || p->first_index == p->snapshot.index + 1;
    }
    if (p->n_entries > UINT_MAX || p->first_index == 0 || p->first_index > p->snapshot.index + 1 ||
        p->first_index + p->n_entries - 1 < p->snapshot.index) {
        return false;
    }
    bool begins_well = p->snapshot.index > 0 || p->entries[0].type == CORE_CHANGE;
    return begins_well && entries_are_sound(p);
}

static bool persisted_is_sound(const struct core_persisted *p) {
    uint64_t first = p->n_entries > 0 ? p->first_index : p->snapshot.index + 1;
    uint64_t last = first + p->n_entries - 1;
    if (p->term == 0) {
        return p->voted_for == 0 && p->snapshot.index == 0 && p->n_entries == 0 && p->applied == 0;
    }
    return p->term < number_max && (p->snapshot.index == 0 || snapshot_is_sound(p)) &&
           log_is_sound(p) &&
           /* The state can be brought up to date from the log, and is not ahead of it. */
           p->applied + 1 >= first && p->applied <= last;
}

/* Caches, and the configuration that holds at the applied index. */
static enum errc load(struct core *core, const struct core_persisted *p) {
    enum errc rc = OK;
    core_log_reset(&core->log, p->n_entries > 0 ? p->first_index : p->snapshot.index + 1);
    if (p->snapshot.index > 0) {
        rc = core_snapshot_copy(&p->snapshot, &core->snapshot);
        if (rc == OK) {
            rc = core_members_set(&core->members, p->snapshot.configuration_index,
                                  p->snapshot.configuration);
        }
    }
    for (size_t i = 0; i < p->n_entries && rc == OK; i++) {
        const struct core_entry *entry = &p->entries[i];
        uint64_t index = p->first_index + i;
        rc = core_log_append(&core->log, entry);
        if (rc == OK && entry->type == CORE_CHANGE && index > core->members.index &&
            index <= p->applied) {
            rc = core_members_set(&core->members, index,
                                  (struct core_bytes){entry->data, entry->len});
        }
    }
    core->applied = p->applied;
    core->persisted = core_log_last(&core->log);
    core->commit = p->snapshot.index;
    core->fed = p->snapshot.index;
    core->uncommitted = core_log_bytes_after(&core->log, core->commit);
    return rc;
}

/* By the newest configuration in the log, committed or not: that is the one libraft will use. */
static enum errc find_lone_voter(const struct core *core, bool *ret) {
    struct core_bytes bytes = core->snapshot.configuration;
    for (uint64_t index = core_log_last(&core->log); index >= core->log.first; index--) {
        const struct core_entry *entry = core_log_get(&core->log, index);
        if (entry->type == CORE_CHANGE) {
            bytes = (struct core_bytes){entry->data, entry->len};
            break;
        }
    }
    if (bytes.len == 0) {
        *ret = false; /* it waits to be joined */
        return OK;
    }
    struct raft_configuration configuration;
    enum errc rc = core_configuration_decode(bytes, &configuration);
    if (rc == OK) {
        *ret = core_configuration_is_lone_voter(&configuration, core->raft.id);
        raft_configuration_close(&configuration);
    }
    return rc;
}

static enum errc step_start(struct core *core, const struct core_persisted *p, uint64_t term,
                            uint64_t voted_for) {
    struct raft_event event = {.type = RAFT_START,
                               .start = {.term = term,
                                         .voted_for = voted_for,
                                         .start_index = core->log.first,
                                         .n_entries = (unsigned)p->n_entries}};
    struct raft_snapshot_metadata metadata = {.index = p->snapshot.index,
                                              .term = p->snapshot.term,
                                              .configuration_index =
                                                  p->snapshot.configuration_index};
    struct raft_entry *entries = NULL;
    enum errc rc = OK;
    if (p->snapshot.index > 0) { /* libraft takes the configuration */
        rc = core_configuration_decode(p->snapshot.configuration, &metadata.configuration);
        event.start.metadata = &metadata;
    }
    if (rc == OK && p->n_entries > 0) {
        entries = calloc(p->n_entries, sizeof entries[0]);
        rc = entries == NULL ? ERR_NO_MEMORY : OK;
    }
    if (rc != OK) {
        return rc;
    }
    /* libraft reads terms, types and configurations, and keeps none of it: the cache's data will
     * do. */
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct core_entry *entry = core_log_get(&core->log, core->log.first + i);
        entries[i] =
            (struct raft_entry){.term = entry->term,
                                .type = (enum raft_entry_type)entry->type,
                                .buf = {.base = (void *)(uintptr_t)entry->data, .len = entry->len}};
    }
    event.start.entries = entries;
    rc = core_step_only(core, &event);
    free(entries);
    /* What was applied was committed. libraft knows only of the snapshot, and might never learn: a
     * leader that cannot commit before another voter has caught up, while that one needs a snapshot
     * of this state. */
    if (core->raft.commit_index < p->applied) {
        core->raft.commit_index = p->applied;
    }
    return rc == OK ? core_advance(core) : rc;
}

enum errc core_start(struct core *core, uint64_t now_ms, const struct core_persisted *persisted) {
    CHECK(!core->is_started);
    if (!persisted_is_sound(persisted)) {
        return ERR_CORRUPT;
    }
    core_begin(core, now_ms);
    enum errc rc = load(core, persisted);
    bool is_lone_voter = false;
    if (rc == OK) {
        rc = find_lone_voter(core, &is_lone_voter);
    }
    /* A lone voter that comes back begins a term of its own. libraft would have it elect itself in
     * the term of before the crash, while another node may hold entries of that term which were
     * lost here: two contents under one index and term. And it does so without voting: its vote is
     * its own here, or it could still give it to somebody else in that term. All others come back
     * as they were: with a newer term they would depose a leader that works. */
    uint64_t term = persisted->term + (is_lone_voter ? 1 : 0);
    uint64_t voted_for = is_lone_voter ? core->raft.id : persisted->voted_for;
    if (rc == OK && is_lone_voter) {
        rc = core_push(core, &(struct core_effect){
                                 .kind = CORE_EFFECT_VOTE, .term = term, .voted_for = voted_for});
    }
    if (rc == OK && persisted->snapshot.index > 0) {
        rc = core_push(core, &(struct core_effect){.kind = CORE_EFFECT_CONFIGURATION,
                                                   .first = core->snapshot.configuration_index,
                                                   .configuration = core->snapshot.configuration});
    }
    if (rc == OK) {
        rc = step_start(core, persisted, term, voted_for);
    }
    core->is_started = rc == OK;
    return rc == OK ? core_end(core) : rc;
}

/* A lone voter that lost its leadership (a spare with a newer term answered it) is about to elect
 * itself, and libraft lets it do so without a new term or a vote: in this term it may have voted
 * for somebody else. */
static enum errc begin_own_term(struct core *core) {
    bool elects_itself = core->role == CORE_FOLLOWER && core_is_only_voter(core) &&
                         core->persisted == core_log_last(&core->log) &&
                         !core_is_installing(core) && raft_timeout(&core->raft) <= core->now_ms;
    if (!elects_itself) {
        return OK;
    }
    /* What libraft does itself in every other election. */
    core->raft.current_term++;
    core->raft.voted_for = core->raft.id;
    return core_push(core, &(struct core_effect){.kind = CORE_EFFECT_VOTE,
                                                 .term = core->raft.current_term,
                                                 .voted_for = core->raft.voted_for});
}

/* As libraft leaves it when a follower becomes something else. */
void core_forget_leader(struct core *core) {
    raft_free(core->raft.follower_state.current_leader.address);
    core->raft.follower_state.current_leader.address = NULL;
    core->raft.follower_state.current_leader.id = 0;
}

/* A follower forgets a leader that is silent for an election timeout when it becomes a candidate.
 * One that does not vote never does, and would refuse its vote (core_receive.c) to every candidate
 * for the sake of a leader that is long gone. */
static void forget_silent_leader(struct core *core) {
    if (core->role != CORE_FOLLOWER || core_is_voter(core) ||
        raft_timeout(&core->raft) > core->now_ms) {
        return;
    }
    core_forget_leader(core);
}

/* By an election timer that is about to expire, at another moment on each node: they still ask for
 * pre-votes, and whoever hears of the leader refuses his. */
enum errc core_peer_lost(struct core *core, uint64_t now_ms, uint64_t peer) {
    CHECK(core->is_started);
    core_begin(core, now_ms);
    enum errc rc = OK;
    if (core->role == CORE_FOLLOWER && core->raft.follower_state.current_leader.id == peer &&
        core_is_voter(core) && !core_is_installing(core)) {
        unsigned timeout_ms = core->raft.follower_state.randomized_election_timeout;
        uint64_t expires_ms = core->now_ms + timeout_ms % core->heartbeat_ms;
        core_forget_leader(core);
        if (expires_ms > timeout_ms && raft_timeout(&core->raft) > expires_ms) {
            core->raft.election_timer_start = expires_ms - timeout_ms;
        }
        rc = core_tell_role(core);
    }
    return rc == OK ? core_end(core) : rc;
}

enum errc core_wake(struct core *core, uint64_t now_ms) {
    CHECK(core->is_started);
    core_begin(core, now_ms);
    bool is_early = core->now_ms < core->wake_ms;
    core->wake_ms = 0; /* the timer fired: whoever runs it needs a new one */
    if (is_early) {
        return core_end(core); /* libraft would count the silence since the last time as too long */
    }
    core->last_wake_ms = core->now_ms;
    if (raft_timeout(&core->raft) > core->now_ms) {
        return core_end(core); /* it was for what the core itself waits for */
    }
    struct raft_event event = {.type = RAFT_TIMEOUT};
    bool was_follower = core->role == CORE_FOLLOWER;
    forget_silent_leader(core);
    enum errc rc = begin_own_term(core);
    if (rc == OK) {
        rc = core_step(core, &event);
    }
    if (was_follower && core->role == CORE_CANDIDATE) {
        core->hurry_until_ms = core->now_ms + core->election_timeout_ms;
    }
    raft_set_install_snapshot_timeout(&core->raft, core_install_timeout_ms(core));
    return rc == OK ? core_end(core) : rc;
}

enum errc core_submit(struct core *core, uint64_t now_ms, const struct core_bytes *commands,
                      size_t n, uint64_t *ret_first) {
    CHECK(core->is_started && n > 0 && n <= UINT_MAX);
    if (core->role != CORE_LEADER) {
        return ERR_NOT_LEADER;
    }
    if (core_is_transferring(core) || core->uncommitted >= LIMIT_UNCOMMITTED) {
        return ERR_BUSY;
    }
    struct raft_entry *entries = calloc(n, sizeof entries[0]);
    if (entries == NULL) {
        return ERR_NO_MEMORY;
    }
    core_begin(core, now_ms);
    for (size_t i = 0; i < n; i++) {
        /* What is submitted stays the caller's, also on error: libraft frees none of it. The log
         * copies. */
        entries[i] = (struct raft_entry){
            .term = raft_current_term(&core->raft),
            .type = RAFT_COMMAND,
            .buf = {.base = (void *)(uintptr_t)commands[i].data, .len = commands[i].len},
            .batch = entries};
    }
    uint64_t first = core_log_last(&core->log) + 1;
    struct raft_event event = {.type = RAFT_SUBMIT,
                               .submit = {.entries = entries, .n = (unsigned)n}};
    enum errc rc = core_step(core, &event);
    free(entries);
    if (rc == OK) {
        rc = core_end(core);
    }
    if (rc == OK) {
        *ret_first = first;
    }
    return rc;
}

enum errc core_written(struct core *core, uint64_t now_ms, uint64_t write_id) {
    CHECK(core->is_started);
    core_begin(core, now_ms);
    uint64_t last = core_writes_done(&core->writes, write_id);
    /* libraft takes only what is new, none of what a queued write replaces (its index was lowered
     * when that was queued), and nothing while a snapshot is installed (all were voided then). */
    if (last <= core->persisted || core_is_installing(core)) {
        return core_end(core);
    }
    core->persisted = last;
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES, .persisted_entries.index = last};
    enum errc rc = core_step(core, &event);
    return rc == OK ? core_end(core) : rc;
}

const struct core_effect *core_next_effect(struct core *core) {
    return effects_take(&core->effects, &core->log);
}
