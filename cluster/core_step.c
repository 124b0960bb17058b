/* From libraft's answer to effects: the order here is what makes a promise true before it leaves
 * the process. See core_internal.h. */
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

#include <stdlib.h>
#include <string.h>

/* libraft's own flags are `1 << n` without parentheses. */
enum {
    UPDATE_VOTE = (RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR),
    UPDATE_ENTRIES = (RAFT_UPDATE_ENTRIES),
    UPDATE_SNAPSHOT = (RAFT_UPDATE_SNAPSHOT),
    UPDATE_MESSAGES = (RAFT_UPDATE_MESSAGES),
};

enum { WRITES_FIRST_ROOM = 16 };

static enum errc errc_from_raft(int rv) {
    switch (rv) {
    case 0:
        return OK;
    case RAFT_NOTLEADER:
        return ERR_NOT_LEADER;
    case RAFT_CANTCHANGE:
    case RAFT_NOSPACE:
        return ERR_BUSY;
    case RAFT_BADID:
    case RAFT_NOTFOUND:
        return ERR_INVALID_PARAMETER;
    case RAFT_NOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_CORRUPT;
    }
}

enum errc core_writes_push(struct core_writes *writes, uint64_t last, uint64_t *ret_id) {
    if (writes->head > 0 && writes->count == writes->room) {
        memmove(writes->slots, writes->slots + writes->head,
                (writes->count - writes->head) * sizeof writes->slots[0]);
        writes->count -= writes->head;
        writes->head = 0;
    }
    if (writes->count == writes->room) {
        size_t room = writes->room == 0 ? (size_t)WRITES_FIRST_ROOM : writes->room * 2;
        struct core_write *slots = reallocarray(writes->slots, room, sizeof slots[0]);
        if (slots == NULL) {
            return ERR_NO_MEMORY;
        }
        writes->slots = slots;
        writes->room = room;
    }
    writes->slots[writes->count++] = (struct core_write){.id = ++writes->last_id, .last = last};
    *ret_id = writes->last_id;
    return OK;
}

void core_writes_cut(struct core_writes *writes, uint64_t first) {
    /* `last` rises along the queue, so what must be lowered is at its end. */
    for (size_t i = writes->count; i > writes->head && writes->slots[i - 1].last >= first; i--) {
        writes->slots[i - 1].last = first - 1;
    }
}

uint64_t core_writes_done(struct core_writes *writes, uint64_t id) {
    CHECK(id <= writes->last_id);
    uint64_t last = 0;
    while (writes->head < writes->count && writes->slots[writes->head].id <= id) {
        last = writes->slots[writes->head++].last;
    }
    if (writes->head == writes->count) {
        writes->head = 0;
        writes->count = 0;
    }
    return last;
}

uint64_t core_term_at(const struct core *core, uint64_t index) {
    const struct core_entry *entry = core_log_get(&core->log, index);
    if (entry != NULL) {
        return entry->term;
    }
    return index > 0 && index == core->snapshot.index ? core->snapshot.term : 0;
}

enum errc core_members_set(struct core_members *members, uint64_t index, struct core_bytes bytes) {
    uint8_t *data = malloc(bytes.len);
    if (data == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(data, bytes.data, bytes.len);
    free(members->data);
    *members = (struct core_members){.index = index, .data = data, .len = bytes.len};
    return OK;
}

enum errc core_push(struct core *core, const struct core_effect *effect) {
    return effects_push(&core->effects, effect, NULL);
}

static enum errc push_vote(struct core *core) {
    return core_push(core, &(struct core_effect){.kind = CORE_EFFECT_VOTE,
                                                 .term = raft_current_term(&core->raft),
                                                 .voted_for = raft_voted_for(&core->raft)});
}

static enum core_role role_of(struct raft *raft) {
    switch (raft_state(raft)) {
    case RAFT_LEADER:
        return CORE_LEADER;
    case RAFT_CANDIDATE:
        return CORE_CANDIDATE;
    case RAFT_FOLLOWER:
    case RAFT_UNAVAILABLE:
        break;
    }
    return CORE_FOLLOWER;
}

/* Told before anything else of this step is seen, so that a pending proposal is failed as `outcome
 * unknown` and never by mistake answered by an entry that took its index. */
enum errc core_tell_role(struct core *core) {
    raft_id leader_id = 0;
    const char *address = NULL;
    raft_leader(&core->raft, &leader_id, &address);
    enum core_role role = role_of(&core->raft);
    uint64_t term = raft_current_term(&core->raft);
    if (role == core->role && term == core->term && leader_id == core->leader_id) {
        return OK;
    }
    if (role != core->role || term != core->term) {
        core_forget_peers(core);
    }
    core->role = role;
    core->term = term;
    core->leader_id = leader_id;
    return core_push(
        core, &(struct core_effect){
                  .kind = CORE_EFFECT_ROLE, .role = role, .term = term, .leader_id = leader_id});
}

/* Make room for entries from `first` on. An applied entry, or one whose configuration we have told
 * libraft to be committed, is never replaced in a sound group: ERR_CORRUPT is fatal. */
static enum errc cut_log(struct core *core, uint64_t first) {
    uint64_t last = core_log_last(&core->log);
    if (first > last + 1 || first < core->log.first || first <= core->applied ||
        first <= core->fed) {
        return ERR_CORRUPT;
    }
    if (first <= last) {
        uint64_t committed = core->commit < first ? first - 1 : core->commit;
        core->uncommitted -= core_log_bytes_after(&core->log, committed);
        core_log_truncate(&core->log, first);
        core_writes_cut(&core->writes, first);
        if (core->persisted >= first) {
            core->persisted = first - 1;
        }
    }
    return OK;
}

static enum errc append_to_log(struct core *core, const struct raft_update *update) {
    enum errc rc = cut_log(core, update->entries.index);
    for (unsigned i = 0; i < update->entries.n && rc == OK; i++) {
        const struct raft_entry *entry = &update->entries.batch[i];
        rc = core_log_append(&core->log,
                             &(struct core_entry){.term = entry->term,
                                                  .type = (enum core_entry_type)entry->type,
                                                  .data = entry->buf.base,
                                                  .len = entry->buf.len});
        core->uncommitted += core_log_last(&core->log) > core->commit ? entry->buf.len : 0;
    }
    return rc;
}

static enum errc push_write(struct core *core, const struct raft_event *event,
                            const struct raft_update *update) {
    enum errc rc = append_to_log(core, update);
    /* What was submitted stays ours. All other entries, the no-op of an election among them, come
     * in one batch of libraft's memory that it has handed over. */
    if (event->type != RAFT_SUBMIT) {
        raft_free(update->entries.batch[0].batch);
    }
    struct core_effect effect = {
        .kind = CORE_EFFECT_WRITE, .first = update->entries.index, .n_entries = update->entries.n};
    if (rc == OK) {
        rc = core_writes_push(&core->writes, core_log_last(&core->log), &effect.write_id);
    }
    return rc == OK ? core_push(core, &effect) : rc;
}

/* The highest index at which our log may agree with that of a leader whose entry at `index` has
 * another term than ours. libraft says index - 1, so that a long tail which nobody else has is
 * searched one round trip an entry, and a busy group may never get to its end.
 *
 * Terms never fall along a log: of ours, what has a newer term than the leader's entry is skipped
 * without a doubt. When ours is older the leader should skip and does not know; then a part of our
 * run of one term is skipped, at most so much that a leader which can send entries at all can send
 * these. */
static uint64_t find_agreement(const struct core *core, uint64_t index, uint64_t leader_term) {
    uint64_t ours = core_term_at(core, index);
    uint64_t floor = core->commit;
    if (ours < leader_term && index > floor + 1 + core->max_inflight_entries) {
        floor = index - 1 - core->max_inflight_entries;
    }
    uint64_t at = index - 1;
    while (at > floor && (core_term_at(core, at) > leader_term || core_term_at(core, at) == ours)) {
        at--;
    }
    return at;
}

static void complete_append_result(const struct core *core,
                                   const struct raft_append_entries *append,
                                   struct raft_append_entries_result *result) {
    if (result->rejected != 0 && result->rejected == append->prev_log_index &&
        result->rejected > core->commit && core_term_at(core, result->rejected) != 0) {
        result->last_log_index = find_agreement(core, result->rejected, append->prev_log_term);
    }
}

/* libraft leaves fields unset (whatever lay on its stack) when it refuses a message of an old term.
 * They must not leave the process. And the sender reads nothing but the term only as long as that
 * is news to it: when it leads in our term by now, it takes the answer for one of this term. So it
 * says what is true of any log, and changes nothing. */
static void complete_message(const struct core *core, const struct raft_event *event,
                             struct raft_message *message) {
    if (message->type != RAFT_APPEND_ENTRIES_RESULT || event->type != RAFT_RECEIVE) {
        return;
    }
    const struct raft_message *asked = event->receive.message; /* one of these two */
    struct raft_append_entries_result *result = &message->append_entries_result;
    uint64_t current_term = raft_current_term(&core->raft);
    bool is_old =
        (asked->type == RAFT_INSTALL_SNAPSHOT ? asked->install_snapshot.term
                                              : asked->append_entries.term) < current_term;
    if (is_old) {
        result->rejected = 0;
        result->last_log_index = 0;
    } else if (asked->type == RAFT_APPEND_ENTRIES && core_is_installing(core)) {
        /* We live, and hold nothing yet. A refusal would have it sent again with every heartbeat,
         * and a leader whose newest snapshot is another would think it lost. */
        result->rejected = 0;
        result->last_log_index = 0;
    } else if (asked->type == RAFT_APPEND_ENTRIES) {
        complete_append_result(core, &asked->append_entries, result);
    }
}

/* Where a follower's log ends is not known before it has taken something: what is sent until then
 * is for finding out, and goes again with every heartbeat. As it does to one without room. */
static size_t append_limit(const struct core *core, const struct raft_message *message) {
    raft_index match = 0;
    bool is_unknown = message->type == RAFT_APPEND_ENTRIES &&
                      raft_match_index(&core->raft, message->server_id, &match) == 0 && match == 0;
    return is_unknown || core_peer_lacks_room(core, message->server_id) ? LIMIT_APPEND_PROBE
                                                                        : LIMIT_APPEND_BYTES;
}

static enum errc push_message(struct core *core, const struct raft_message *message) {
    const struct core_message_source source = {.current_term = raft_current_term(&core->raft),
                                               .persisted = core->persisted,
                                               .append_bytes = append_limit(core, message),
                                               .log = &core->log,
                                               .snapshot = &core->snapshot};
    uint8_t *bytes = NULL;
    struct core_effect effect = {.kind = CORE_EFFECT_SEND, .peer = message->server_id};
    enum errc rc = core_message_encode(message, &source, &bytes, &effect.message.len);
    if (rc != OK) {
        return rc;
    }
    effect.message.data = bytes;
    return effects_push(&core->effects, &effect, bytes);
}

/* Encoded at once: the structs die with the next step. A leader sends before its own write is done;
 * it counts itself only when told. */
static enum errc push_messages(struct core *core, const struct raft_event *event,
                               const struct raft_update *update) {
    enum errc rc = OK;
    for (unsigned i = 0; i < update->messages.n && rc == OK; i++) {
        struct raft_message *message = &update->messages.batch[i];
        bool is_held_back = false;
        if (message->type == RAFT_INSTALL_SNAPSHOT) {
            rc = core_snapshot_send(core, message->server_id, &is_held_back);
        }
        if (rc == OK && !is_held_back) {
            complete_message(core, event, message);
            rc = push_message(core, message);
        }
    }
    return rc;
}

enum errc core_step_only(struct core *core, struct raft_event *event) {
    struct raft_update update; /* not cleared by libraft: a member counts only with its flag */
    event->time = core->now_ms;
    /* Only for the leader's eyes (core_room.c): no threshold is set, so libraft refuses nothing. */
    event->capacity = core->lacks_room ? CORE_CAPACITY_NONE : 0;
    enum errc rc = errc_from_raft(raft_step(&core->raft, event, &update));
    if (rc != OK) {
        return rc;
    }
    if ((update.flags & UPDATE_VOTE) != 0) {
        rc = push_vote(core); /* first: nothing may leave the process before it is on disk */
    }
    if (rc == OK) {
        rc = core_tell_role(core);
    }
    if (rc == OK && (update.flags & UPDATE_ENTRIES) != 0) {
        rc = push_write(core, event, &update);
    }
    if (rc == OK && (update.flags & UPDATE_SNAPSHOT) != 0) {
        rc = core_snapshot_install(core, &update.snapshot.metadata, &update.snapshot.chunk);
    }
    if (rc == OK && (update.flags & UPDATE_MESSAGES) != 0) {
        rc = push_messages(core, event, &update);
    }
    return rc;
}

static enum errc feed_configuration(struct core *core, uint64_t index,
                                    const struct core_entry *entry) {
    struct core_bytes bytes = {entry->data, entry->len};
    struct raft_event event = {.type = RAFT_CONFIGURATION, .configuration.index = index};
    enum errc rc = core_configuration_decode(bytes, &event.configuration.conf);
    if (rc != OK) {
        return rc == ERR_MALFORMED ? ERR_CORRUPT : rc; /* it was checked on its way in */
    }
    rc = core_step_only(core, &event);
    if (rc != OK) {
        return rc;
    }
    return core_push(core, &(struct core_effect){.kind = CORE_EFFECT_CONFIGURATION,
                                                 .first = index,
                                                 .configuration = bytes});
}

/* libraft does not watch its own log for committed configurations; until it is told of one, no
 * further change is possible. After a restart the cursor begins at the snapshot again, because
 * libraft has forgotten. */
static enum errc feed_configurations(struct core *core) {
    while (core->fed < core->commit && core->fed < core_log_last(&core->log)) {
        const struct core_entry *entry = core_log_get(&core->log, ++core->fed);
        CHECK(entry != NULL);
        if (entry->type != CORE_CHANGE) {
            continue;
        }
        enum errc rc = feed_configuration(core, core->fed, entry);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

/* Only what is committed and stored here: after a crash the log must never be behind the state. */
static enum errc apply(struct core *core) {
    uint64_t limit = core->commit < core->persisted ? core->commit : core->persisted;
    if (limit <= core->applied) {
        return OK;
    }
    struct core_effect effect = {
        .kind = CORE_EFFECT_APPLY, .first = core->applied + 1, .n_entries = limit - core->applied};
    while (core->applied < limit) {
        const struct core_entry *entry = core_log_get(&core->log, ++core->applied);
        CHECK(entry != NULL);
        if (entry->type == CORE_CHANGE) {
            enum errc rc = core_members_set(&core->members, core->applied,
                                            (struct core_bytes){entry->data, entry->len});
            if (rc != OK) {
                return rc;
            }
        }
    }
    return core_push(core, &effect);
}

/* libraft leaves out the no-op of a new term when it knows of nothing uncommitted, and for a lone
 * voter. But only a committed entry of its own term tells a leader that its state is current, and
 * makes a change of the membership safe. */
static enum errc ensure_barrier(struct core *core) {
    static uint8_t zeros[8];
    if (core->role != CORE_LEADER || core_term_at(core, core_log_last(&core->log)) == core->term ||
        raft_transferee(&core->raft) != 0) {
        return OK;
    }
    struct raft_entry entry = {.term = core->term,
                               .type = RAFT_BARRIER,
                               .buf = {.base = zeros, .len = sizeof zeros},
                               .batch = zeros};
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    return core_step_only(core, &event);
}

enum errc core_advance(struct core *core) {
    /* libraft's commit index may step back (a new leader that knows less); what was committed stays
     * committed. */
    uint64_t commit = raft_commit_index(&core->raft);
    for (; core->commit < commit; core->commit++) {
        const struct core_entry *entry = core_log_get(&core->log, core->commit + 1);
        core->uncommitted -= entry != NULL ? entry->len : 0;
    }
    if (core_is_installing(core)) {
        return OK; /* the log in memory is gone, the one on disk about to be */
    }
    enum errc rc = feed_configurations(core);
    if (rc == OK) {
        rc = apply(core);
    }
    if (rc == OK) {
        rc = ensure_barrier(core);
    }
    return rc == OK ? core_promotion_advance(core) : rc;
}

enum errc core_step(struct core *core, struct raft_event *event) {
    enum errc rc = core_step_only(core, event);
    return rc == OK ? core_advance(core) : rc;
}

void core_begin(struct core *core, uint64_t now_ms) {
    effects_begin(&core->effects);
    if (now_ms > core->now_ms) {
        core->now_ms = now_ms; /* a clock that steps back would stretch every timeout */
    }
}

/* Two books of the same log are kept, libraft's and ours. */
static bool books_agree(struct core *core) {
    return raft_last_index(&core->raft) == core_log_last(&core->log) &&
           (core_is_installing(core) || core->persisted == core->raft.last_stored);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* libraft's next timeout may lie in the past and stay there (a spare that never answered): at most
 * one wake in a quarter of a heartbeat, or the loop spins. */
static uint64_t next_wake_ms(const struct core *core) {
    uint64_t interval_ms = core->heartbeat_ms / 4 > 0 ? core->heartbeat_ms / 4 : 1;
    uint64_t wake_ms = earlier(core_reads_due_ms(core), core_transfer_due_ms(core));
    wake_ms = earlier(wake_ms, raft_timeout(&core->raft));
    return wake_ms < core->last_wake_ms + interval_ms ? core->last_wake_ms + interval_ms : wake_ms;
}

/* A candidate stands when its own stream of the leader has broken, and may be a moment ahead of the
 * voter whose vote it needs: that one still has a leader, refuses, and may itself be refused when
 * its log is shorter. libraft asks again after a whole election timeout. So for the length of one,
 * it asks again soon; the real votes, which are written to a disk, get more time. Each node at
 * another moment, or votes would be split again. */
static void hurry(struct core *core) {
    unsigned state = (unsigned)raft_state(&core->raft);
    if (state == RAFT_LEADER ||
        (state == RAFT_FOLLOWER && core->raft.follower_state.current_leader.id != 0)) {
        core->hurry_until_ms = 0;
    }
    if (state != RAFT_CANDIDATE || core->now_ms >= core->hurry_until_ms) {
        return;
    }
    uint64_t timeout_ms = core->raft.candidate_state.randomized_election_timeout;
    uint64_t wait_ms = (core->raft.candidate_state.in_pre_vote ? 1U : 3U) * core->heartbeat_ms;
    uint64_t begun_ms = core->raft.election_timer_start;
    wait_ms += timeout_ms % core->heartbeat_ms;
    /* Moved once: the timer then lies before the moment that it was set. */
    if (begun_ms == core->now_ms && wait_ms < timeout_ms && begun_ms + wait_ms > timeout_ms) {
        core->raft.election_timer_start = begun_ms + wait_ms - timeout_ms;
    }
}

enum errc core_end(struct core *core) {
    hurry(core);
    enum errc rc = core_transfer_advance(core);
    if (rc == OK) {
        rc = core_reads_advance(core);
    }
    if (rc != OK) {
        return rc;
    }
    CHECK(books_agree(core));
    uint64_t wake_ms = next_wake_ms(core);
    if (wake_ms == core->wake_ms) {
        return OK;
    }
    core->wake_ms = wake_ms;
    return core_push(core, &(struct core_effect){.kind = CORE_EFFECT_WAKE, .wake_ms = wake_ms});
}
