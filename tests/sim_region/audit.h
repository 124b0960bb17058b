/* The auditor: told what the nodes do and what clients are told, it says what must be, and fails
 * the run through region_fail where it is not.
 *
 * It holds the log as it was first applied by anybody, the model's answer to every command in it,
 * and the hash of the state at some of the indexes. From these: committed entries never change;
 * every node answers every command as the model does, byte for byte; equal states at equal applied
 * index; what anybody reads, on any node, is what the model says for the index it was read at;
 * nothing acknowledged is ever missing from a later read or before a later write (linearizability:
 * the log is the order, so what must be shown is that it respects real time). One thread. */
#ifndef TESTS_SIM_REGION_AUDIT_H
#define TESTS_SIM_REGION_AUDIT_H

#include "cluster/core.h"
#include "model.h"
#include "storage/engine.h"

#include <stdint.h>

struct region;

enum { AUDIT_STATE_EVERY = 16 }; /* hashes are compared at multiples of it */

struct audit_answer {
    uint64_t command; /* hash of its bytes */
    char *text;       /* owned: the model's answer */
};

struct audit_entry {
    uint64_t term; /* 0: nobody has applied it yet */
    uint64_t hash;
    uint64_t state; /* hash after it; 0: not known */
    unsigned n_answers;
    struct audit_answer *answers; /* owned: of its commands, by place */
};

/* A command that was proposed. */
struct audit_command {
    uint64_t hash;  /* of its bytes */
    uint64_t floor; /* the highest index that any client had seen when its client sent it */
    struct deed deed;
};

struct audit {
    struct model model;
    struct audit_entry *entries; /* by index */
    size_t room;
    uint64_t last;                  /* applied by anybody */
    unsigned *leader_of;            /* by term */
    size_t terms;                   /* room of it */
    struct audit_command *commands; /* open addressing by hash */
    size_t commands_room;
    size_t n_commands;
};

void audit_fini(struct audit *audit);

/* A leader proposes these bytes for a client that had seen the log up to `floor`. */
void audit_proposed(struct audit *audit, const struct deed *deed, const uint8_t *data, size_t len,
                    uint64_t floor);
void audit_leader(struct region *region, unsigned node, uint64_t term);
/* `node` is about to apply this. */
void audit_apply(struct region *region, unsigned node, uint64_t index,
                 const struct core_entry *entry);
/* And this is what its state machine answered. */
void audit_answer(struct region *region, unsigned node, uint64_t index, unsigned place,
                  const Redoubt__Result *result);
/* And it is done with everything up to `index`. */
void audit_state(struct region *region, unsigned node, uint64_t index, struct engine *engine);
/* A client is told that its command, of these bytes, is what was answered at this index. */
void audit_acknowledged(struct region *region, unsigned node, uint64_t index, unsigned place,
                        uint64_t hash);
/* Reads one secret (name < DEED_NAMES) or all of them; returns the state's applied index. */
uint64_t audit_read(struct region *region, unsigned node, unsigned name, struct engine *engine);

#endif
