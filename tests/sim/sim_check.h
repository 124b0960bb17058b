/* What must always hold in a group, whatever happened to it: told what the nodes do, it remembers
 * and compares.
 *
 * Election safety, log matching, committed entries that never change, acknowledged ones that are
 * never lost, one state at one applied index, and reads that are linearizable. A violation is
 * reported through sim_fail. One thread. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "base/check.h"
#include "cluster/core.h"

#include <stddef.h>
#include <stdint.h>

/* A term and the hash of the whole entry. */
struct sim_mark {
    uint64_t term;
    uint64_t hash;
};

/* The log of one node as it was told to write it. */
struct sim_mirror {
    struct sim_mark *marks; /* owned */
    uint64_t first;
    size_t count;
    size_t room;
};

struct sim_check {
    struct sim_mark *committed; /* by index */
    uint64_t *state_hash;       /* by index */
    uint64_t committed_max;
    size_t room;
    unsigned *leader_of; /* by term */
    size_t terms_room;
    uint64_t acknowledged_max;
    uint64_t acknowledged;
    uint64_t read_max; /* a read was answered from a state with this much applied */
};

/* Prints the sentence, how to repeat it and what the nodes look like, and exits. Defined by the
 * simulation. */
__attribute__((noreturn)) void sim_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);

uint64_t sim_entry_hash(const struct core_entry *entry);
/* The state after it applied an entry with this hash. */
uint64_t sim_state_next(uint64_t state_hash, uint64_t entry_hash);

void sim_check_init(struct sim_check *check);
void sim_check_fini(struct sim_check *check);
void sim_check_leader(struct sim_check *check, unsigned node, uint64_t term);
/* `node` applied this entry, and its state has the hash. */
void sim_check_applied(struct sim_check *check, unsigned node, uint64_t index, struct sim_mark mark,
                       uint64_t state_hash);
/* A client was told that its entry is in the log. */
void sim_check_acknowledged(struct sim_check *check, uint64_t index, uint64_t hash);
/* What a read that is asked for now must see: all that was acknowledged, and all that another read
 * has seen. */
uint64_t sim_check_read_begin(const struct sim_check *check);
/* It is answered from a state with so much applied. */
void sim_check_read_end(struct sim_check *check, unsigned node, uint64_t must, uint64_t applied);
/* Equal term at an index means equal logs up to there. */
void sim_check_logs_match(const struct sim_mirror *a, const struct sim_mirror *b);

void sim_mirror_init(struct sim_mirror *mirror);
void sim_mirror_fini(struct sim_mirror *mirror);
void sim_mirror_reset(struct sim_mirror *mirror, uint64_t first);
void sim_mirror_write(struct sim_mirror *mirror, uint64_t first, const struct core_entry *entries,
                      size_t n);

#endif
