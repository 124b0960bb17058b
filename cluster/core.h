/* The pure driver of one node's consensus: an event goes in, a list of effects comes out, no I/O
 * happens inside.
 *
 * It owns libraft's `struct raft` (driven by raft_step alone), the cache of the log's tail, the
 * bookkeeping of writes in flight and the cursor of configurations. Production (cluster/node.c) and
 * the simulation (tests/sim) run this same code; what differs is who executes the effects. One
 * thread, never re-entered.
 *
 * Protocol: call one core_* event function, then execute every effect that core_next_effect()
 * returns, in order, before the next event. An effect's memory is borrowed and dies at the next
 * call of any core function but core_next_effect.
 *
 * Any error of an event function other than those it names is fatal (LIBRAFT.md, contract 9): the
 * process must stop. */
#ifndef CLUSTER_CORE_H
#define CLUSTER_CORE_H

#include "base/check.h"
#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum core_entry_type {
    CORE_COMMAND = 1,
    CORE_BARRIER = 2,
    CORE_CHANGE = 3
}; /* on disk: for ever */

struct core_entry {
    uint64_t term;
    enum core_entry_type type;
    const uint8_t *data;
    size_t len;
};

struct core_bytes {
    const uint8_t *data;
    size_t len;
};

/* A snapshot as the log knows it. `manifest` names the checkpoint's files; it is opaque here and
 * travels in InstallSnapshot. */
struct core_snapshot {
    uint64_t index; /* 0: none */
    uint64_t term;
    uint64_t configuration_index;
    struct core_bytes configuration; /* raft_configuration_encode's bytes */
    struct core_bytes manifest;
};

/* What the disk held at start. Borrowed during core_start. */
struct core_persisted {
    uint64_t term; /* 0 and no entries: a node that waits to be joined */
    uint64_t voted_for;
    struct core_snapshot snapshot;
    uint64_t first_index; /* of entries[0]; the index it would have when there is none */
    const struct core_entry *entries;
    size_t n_entries;
    uint64_t applied; /* the state machine's; 0 on an empty one */
};

enum core_role { CORE_FOLLOWER, CORE_CANDIDATE, CORE_LEADER };

enum core_effect_kind {
    CORE_EFFECT_VOTE, /* write term and vote with sync, before any later effect is executed */
    CORE_EFFECT_ROLE, /* role, term or leader changed; on a lost leadership every pending proposal's
                         outcome is unknown */
    CORE_EFFECT_WRITE,   /* queue: delete the stored log from `first`, then store `entries`; report
                            with core_written */
    CORE_EFFECT_INSTALL, /* fetch and switch to `snapshot`; replaces state and the whole log; then
                            core_installed */
    CORE_EFFECT_SEND,  /* hand `message` to the stream of `peer`; lossy is fine, reordering within a
                          stream is not */
    CORE_EFFECT_APPLY, /* apply `entries` (committed and stored here) from `first` on, then
                          core_applied may be asked for a snapshot */
    CORE_EFFECT_CONFIGURATION, /* the configuration `configuration` at index `first` is committed */
    CORE_EFFECT_WAKE,     /* call core_wake at `wake_ms` (monotonic), replaces the former wake */
    CORE_EFFECT_READ,     /* every read up to `read_id` that was asked for may be answered from the
                             state as it is now: all that was acknowledged before it was asked is
                             applied */
    CORE_EFFECT_SNAPSHOT, /* a follower needs a snapshot and the newest has no manifest: make a
                             checkpoint (core_snapshot_prepare and _taken), the message is sent
                             within a heartbeat then. Told once, until one is taken or the
                             leadership ends */
};

struct core_effect {
    enum core_effect_kind kind;
    /* VOTE, ROLE */
    uint64_t term;
    uint64_t voted_for;
    enum core_role role;
    uint64_t leader_id; /* 0: unknown */
    /* WRITE, APPLY, CONFIGURATION */
    uint64_t first;
    const struct core_entry *entries;
    size_t n_entries;
    struct core_bytes configuration;
    uint64_t write_id; /* WRITE: rising; name it in core_written */
    /* INSTALL */
    struct core_snapshot snapshot;
    /* SEND */
    uint64_t peer;
    struct core_bytes message;
    /* WAKE */
    uint64_t wake_ms;
    /* READ */
    uint64_t read_id;
};

struct core_options {
    uint64_t id;         /* never 0 */
    const char *address; /* copied */
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    unsigned max_inflight_entries;
    uint32_t seed; /* random, another one in each life of a node */
};

struct core;

/* Returns owned, NULL without memory. */
struct core *core_new(const struct core_options *options);
void core_free(struct core *core);

/* Bytes of a configuration with these voters, for the first entry of a new group (term 1, index 1,
 * CORE_CHANGE). Returns owned memory (wipe_free) in *ret. */
struct core_server {
    uint64_t id;
    const char *address;
};
MUSTCHECK enum errc core_configuration_encode(const struct core_server *voters, size_t n,
                                              uint8_t **ret, size_t *ret_len);

/* First event. Feeds what the disk held; a lone voter's term is raised by one before anything else
 * (contract 3). ERR_CORRUPT when it does not hang together. */
MUSTCHECK enum errc core_start(struct core *core, uint64_t now_ms,
                               const struct core_persisted *persisted);

/* A message of the peer whose certificate says `peer`. Borrows. ERR_MALFORMED for bytes that are no
 * message: dropped, nothing happened, not fatal. */
MUSTCHECK enum errc core_receive(struct core *core, uint64_t now_ms, uint64_t peer,
                                 struct core_bytes message);

/* Whether there is room to write. Without, a leader is still heard and answered, and followed as
 * far as the log need not grow by commands for it: what a new leader begins with is taken, or
 * nobody could lead a group without room, not even for reads. (When it has commands that the others
 * lack, of a term before its own, it still cannot, until one of them has room.) Each answer says
 * so: such a member is made no snapshot, and is not chosen by core_transfer. What a leader does
 * without room is for its caller to say: core_submit takes commands nevertheless. */
void core_set_room(struct core *core, bool has_room);
/* Leader: so many voters lack room that nothing would be committed. */
bool core_majority_lacks_room(const struct core *core);

/* The stream from `peer` broke, as it does when its process dies, or brought nothing for an
 * election timeout: a follower does not wait longer to find out whether its leader is gone. Whom it
 * refused a vote meanwhile, and whoever refuses its own, is asked again soon. Safe when the leader
 * is there: the others refuse. */
MUSTCHECK enum errc core_peer_lost(struct core *core, uint64_t now_ms, uint64_t peer);

/* Time passed. */
MUSTCHECK enum errc core_wake(struct core *core, uint64_t now_ms);

/* Append commands as leader; borrowed, copied inside. *ret_first is the index of the first.
 * ERR_NOT_LEADER refuses, nothing happened. ERR_BUSY: not now, nothing happened; a transfer runs,
 * or core_uncommitted_bytes has reached LIMIT_UNCOMMITTED. Ask again after a later event. */
MUSTCHECK enum errc core_submit(struct core *core, uint64_t now_ms,
                                const struct core_bytes *commands, size_t n, uint64_t *ret_first);

/* A linearizable read of the local state, on any member (LIBRAFT.md, contract 19). *ret_id rises;
 * CORE_EFFECT_READ answers it and all before it. A leader confirms itself by one round of a
 * majority that still has its term, one round for all that wait; others ask the leader for an index
 * and wait until they have applied it. A read that nobody confirms stays unanswered (the core goes
 * on asking, also the next leader): whoever asked gives up by his own deadline and forgets the id.
 */
MUSTCHECK enum errc core_read(struct core *core, uint64_t now_ms, uint64_t *ret_id);

/* Hand leadership to `target` (0: the voter with room that is furthest and was heard of last). From
 * now on core_submit refuses with ERR_BUSY until the target has everything and took over (ROLE), or
 * until it was given up after an election timeout. ERR_NOT_LEADER, ERR_BUSY (a transfer or a change
 * runs), ERR_INVALID_PARAMETER (no voter, or this node), ERR_UNAVAILABLE (no live voter to take
 * over). */
MUSTCHECK enum errc core_transfer(struct core *core, uint64_t now_ms, uint64_t target);
bool core_is_transferring(const struct core *core);

/* Change the membership by one: ERR_NOT_LEADER, ERR_BUSY (another change or a transfer runs, or the
 * leader has not committed anything yet), ERR_INVALID_PARAMETER refuse; ERR_NO_QUORUM: the voters
 * that were heard of within an election timeout would be no majority afterwards. CORE_READDRESS
 * gives a member, this node too, another address; its role stays. A spare is sent the log as a
 * voter is, and does not vote. A promotion that does not catch up ends, and changes nothing: it may
 * be asked for again. */
enum core_change { CORE_ADD_SPARE, CORE_PROMOTE, CORE_DEMOTE, CORE_REMOVE, CORE_READDRESS };
MUSTCHECK enum errc core_change(struct core *core, uint64_t now_ms, enum core_change change,
                                uint64_t id, const char *address);

/* The write `write_id`, and all before it, is on disk with sync. */
MUSTCHECK enum errc core_written(struct core *core, uint64_t now_ms, uint64_t write_id);
/* The snapshot of the last CORE_EFFECT_INSTALL is in place, state, log and metadata. */
MUSTCHECK enum errc core_installed(struct core *core, uint64_t now_ms);

/* The state as of `index` (0: the applied one; never above it, never below the log) is durable as a
 * snapshot: its metadata are written by the caller from *ret (borrowed until the next event;
 * manifest as given), the log before index - trailing may be deleted after this call:
 * *ret_keep_from is the first index to keep. ERR_BUSY: not now (installing, nothing new,
 * configuration not known yet; the newest snapshot's own index is new as long as that has no
 * manifest), ERR_INVALID_PARAMETER: above the applied index. Two steps: prepare gives what to
 * write, taken tells that it is durable. With a manifest the snapshot can be sent to followers. */
MUSTCHECK enum errc core_snapshot_prepare(struct core *core, uint64_t index, unsigned trailing,
                                          struct core_snapshot *ret, uint64_t *ret_keep_from);
MUSTCHECK enum errc core_snapshot_taken(struct core *core, uint64_t now_ms,
                                        struct core_bytes manifest);

/* The next effect to execute, or NULL. */
const struct core_effect *core_next_effect(struct core *core);

/* Views, for status, reads and tests. */
enum core_role core_role(const struct core *core);
uint64_t core_term(const struct core *core);
uint64_t core_leader_id(const struct core *core);
uint64_t core_commit_index(const struct core *core); /* highest ever known here */
/* The highest that a leader ever named as committed, here or not: a follower that takes less than
 * it is sent learns only so what it lacks. Never below core_commit_index. */
uint64_t core_told_index(const struct core *core);
uint64_t core_applied_index(const struct core *core);
uint64_t core_first_index(const struct core *core);
uint64_t core_last_index(const struct core *core);
uint64_t core_log_bytes(const struct core *core);         /* of the cached entries */
uint64_t core_uncommitted_bytes(const struct core *core); /* of entries behind the commit index */
/* How many of the newest entries (at most `most`) stay within `bytes`: what to keep as trailing. */
unsigned core_log_newest(const struct core *core, unsigned most, uint64_t bytes);

/* The members of the newest configuration, committed or not. */
enum core_member_role { CORE_SPARE, CORE_VOTER };
struct core_member {
    uint64_t id;
    const char *address; /* borrowed until the next event */
    enum core_member_role role;
    uint64_t match;     /* leader only: stored there as far as known; of this node its own */
    uint64_t heard_ms;  /* when its last message arrived here, monotonic; 0: never. Own: now */
    bool lacks_room;    /* leader only, and of this node: see core_set_room */
    bool is_installing; /* leader only: it lives, needs a snapshot and is sent one (or will be, when
                           CORE_EFFECT_SNAPSHOT was told): keep the log behind it meanwhile */
};
unsigned core_members_count(const struct core *core);
void core_member_at(const struct core *core, unsigned place, struct core_member *ret);
bool core_is_voter(const struct core *core);
bool core_change_is_running(const struct core *core);

/* Leader, and an entry of the own term is committed and applied: the state was current when the
 * leadership was last confirmed. */
bool core_is_current_leader(const struct core *core);
bool core_is_only_voter(const struct core *core);

#endif
