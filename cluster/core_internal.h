/* What the core's own files share: the state of one node's consensus and the one way to step it.
 *
 * core.c starts it and takes the simple events, core_receive.c messages, core_step.c turns what
 * libraft answers into effects; core_read.c, core_transfer.c, core_snapshot.c and core_membership.c
 * do what their names say. Raft thread. */
#ifndef CLUSTER_CORE_INTERNAL_H
#define CLUSTER_CORE_INTERNAL_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"
#include "cluster/core.h"
#include "cluster/core_configuration.h"
#include "cluster/core_effects.h"
#include "cluster/core_log.h"
#include "cluster/core_message.h"

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

/* A write that was handed to the writer and not reported as done. */
struct core_write {
    uint64_t id;
    uint64_t last; /* index that it makes durable; lowered when a later write replaces its end */
};

/* In order of their ids: writes[head .. count). */
struct core_writes {
    struct core_write *slots;
    size_t room;
    size_t head;
    size_t count;
    uint64_t last_id;
};

/* The last committed configuration at some index. */
struct core_members {
    uint64_t index; /* 0: none known */
    uint8_t *data;  /* owned */
    size_t len;
};

/* What is remembered of another member. */
struct core_peer {
    uint64_t id;       /* 0: the slot is free */
    bool lacks_room;   /* leader: it said so last, in this term */
    uint64_t heard_ms; /* when its last message came; 0: never */
    uint64_t
        snapshot; /* leader: index of the snapshot that it was last sent in this term; 0: none */
    /* Reads; leader. */
    uint64_t pong;   /* the last round that it confirmed */
    uint64_t ask;    /* its newest ask, for the next round; 0: none */
    uint64_t served; /* its ask that the round answers which runs; 0: none */
};

/* Reads up to `id` are answered when `index` is applied. */
struct core_ready {
    uint64_t id;
    uint64_t index;
};

/* Indexes that wait to be applied: a slow disk has a few rounds behind it, and is asked for no more
 * meanwhile. */
enum { CORE_READY_MAX = 8 };

struct core_reads {
    uint64_t last_id;  /* the newest read */
    uint64_t covered;  /* reads up to here have an index */
    uint64_t answered; /* reads up to here were answered */
    struct core_ready ready[CORE_READY_MAX];
    size_t n_ready;
    /* All of the below holds for this role, term and leader. */
    enum core_role role;
    uint64_t term;
    uint64_t leader_id;
    /* Leader: the round that runs, or the last one. */
    bool round_runs;
    uint64_t round;        /* its number, rises */
    uint64_t round_index;  /* the commit index when it began */
    uint64_t round_covers; /* own reads up to here; 0: none */
    /* Others: reads up to here were asked for, the answer is not here. 0: none */
    uint64_t asked;
    uint64_t sent_ms; /* the pings or the ask, last */
};

struct core_transfer {
    uint64_t target; /* 0: none runs */
    uint64_t term;
    uint64_t end_ms; /* it is given up then */
    bool is_told;    /* libraft was; before that, the log is drained */
};

struct core {
    struct raft raft;
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    unsigned max_inflight_entries;
    bool is_started;
    bool lacks_room; /* core_set_room */
    uint64_t now_ms;

    struct core_log log;
    struct core_writes writes;
    struct effects effects;

    uint64_t commit;      /* the highest that libraft ever told */
    uint64_t told;        /* the highest that a leader ever told */
    uint64_t persisted;   /* everything up to here is on disk, with the entries of our cache */
    uint64_t applied;     /* handed out to be applied */
    uint64_t fed;         /* configurations up to here were fed back to libraft as committed */
    uint64_t uncommitted; /* bytes of the log's entries behind `commit` */
    struct core_members members; /* as of `applied` */

    /* Snapshots own their configuration and manifest. */
    struct core_snapshot snapshot;   /* the newest durable one */
    struct core_snapshot installing; /* index 0: none */
    struct core_snapshot prepared;   /* index 0: none */
    unsigned prepared_trailing;
    bool snapshot_is_wanted; /* as told by CORE_EFFECT_SNAPSHOT */

    struct core_peer peers[LIMIT_PEERS];
    struct core_reads reads;
    struct core_transfer transfer;

    enum core_role role;     /* as told by the last ROLE effect */
    uint64_t term;           /* likewise */
    uint64_t leader_id;      /* likewise */
    uint64_t wake_ms;        /* as told by the last WAKE effect; 0: none stands */
    uint64_t last_wake_ms;   /* when core_wake last did something */
    uint64_t hurry_until_ms; /* a candidate until then asks again soon; 0: none does */
    uint64_t promotee;       /* catching up; becomes a voter when it has. 0: none */
};

/* Begin and end every event function: the former clears the effects of the last event, the latter
 * tells when to wake. */
void core_begin(struct core *core, uint64_t now_ms);
MUSTCHECK enum errc core_end(struct core *core);

/* Step libraft with one event, queue the effects of its answer in the order that keeps promises,
 * then advance. Refusals of libraft come back as ERR_NOT_LEADER, ERR_BUSY, ERR_INVALID_PARAMETER;
 * anything else is fatal. */
MUSTCHECK enum errc core_step(struct core *core, struct raft_event *event);
/* The first half of it. */
MUSTCHECK enum errc core_step_only(struct core *core, struct raft_event *event);
/* The second half: feed configurations back, apply, open a term, promote. */
MUSTCHECK enum errc core_advance(struct core *core);
MUSTCHECK enum errc core_push(struct core *core, const struct core_effect *effect);
/* Queues a ROLE effect when role, term or leader have changed; part of every step. */
MUSTCHECK enum errc core_tell_role(struct core *core);
/* As libraft leaves it when a follower becomes something else. Followers only. */
void core_forget_leader(struct core *core);

MUSTCHECK enum errc core_writes_push(struct core_writes *writes, uint64_t last, uint64_t *ret_id);
/* A write from index `first` on is queued: earlier ones no longer make that part durable. */
void core_writes_cut(struct core_writes *writes, uint64_t first);
/* Forget those up to `id`; returns the index that they made durable, 0 for none. */
uint64_t core_writes_done(struct core_writes *writes, uint64_t id);

/* 0 when neither the log nor the snapshot knows. */
uint64_t core_term_at(const struct core *core, uint64_t index);
MUSTCHECK enum errc core_members_set(struct core_members *members, uint64_t index,
                                     struct core_bytes bytes);

/* core_snapshot.c */
bool core_is_installing(const struct core *core);
MUSTCHECK enum errc core_snapshot_copy(const struct core_snapshot *from, struct core_snapshot *ret);
void core_snapshot_clear(struct core_snapshot *snapshot);
/* libraft wants to send the newest snapshot to `id`. *ret_is_held_back: it has no manifest, so
 * there is nothing to send; one was asked for. Or the member lacks room. */
MUSTCHECK enum errc core_snapshot_send(struct core *core, uint64_t id, bool *ret_is_held_back);
/* The leadership or the term changed: who was sent what, and said what of its room, is over. */
void core_forget_peers(struct core *core);
/* After so long, an InstallSnapshot is sent again. */
unsigned core_install_timeout_ms(const struct core *core);
/* libraft wants the snapshot that it was sent to be installed. Takes metadata's configuration and
 * the chunk. */
MUSTCHECK enum errc core_snapshot_install(struct core *core,
                                          struct raft_snapshot_metadata *metadata,
                                          struct raft_buffer *chunk);

/* core_membership.c */
MUSTCHECK enum errc core_promotion_advance(struct core *core);
/* A change runs, or the leader has not committed anything of its own term yet. */
bool core_is_changing(const struct core *core);
/* The slot of a member; NULL when it is none, or this node. */
struct core_peer *core_peer(struct core *core, uint64_t id);
/* Likewise, and NULL too when nothing is remembered of it. */
const struct core_peer *core_peer_find(const struct core *core, uint64_t id);
/* This node, or a member that was heard of within an election timeout. */
bool core_is_live(const struct core *core, uint64_t id);

/* core_room.c */
/* Of the entries of a message those that take no room to speak of: in the place of others, or
 * without a command. */
unsigned core_count_without_room(const struct core *core, const struct raft_append_entries *append,
                                 struct core_bytes entries);
void core_note_room(struct core *core, uint64_t id,
                    const struct raft_append_entries_result *result);
/* False where this node does not lead. */
bool core_peer_lacks_room(const struct core *core, uint64_t id);

/* core_read.c */
void core_reads_init(struct core *core, uint32_t seed);
/* Begins, repeats and ends what reads wait for; after every step. */
MUSTCHECK enum errc core_reads_advance(struct core *core);
/* When it wants to be called at the latest; UINT64_MAX: never. */
uint64_t core_reads_due_ms(const struct core *core);
bool core_read_is_plausible(const struct core *core, const struct core_read_message *message);
MUSTCHECK enum errc core_read_receive(struct core *core, uint64_t peer,
                                      const struct core_read_message *message);

/* core_transfer.c; likewise. */
MUSTCHECK enum errc core_transfer_advance(struct core *core);
uint64_t core_transfer_due_ms(const struct core *core);

#endif
