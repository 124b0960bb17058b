/* The commands of the state machine: one table, from which the codec, apply, the documentation and
 * the fuzzer live.
 *
 * Adding a transition is a file in cluster/commands/ and a line in command.def. Numbers are on
 * disk: for ever. */
#ifndef CLUSTER_COMMAND_H
#define CLUSTER_COMMAND_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/quotas.h"
#include "cluster/command.pb-c.h"
#include "storage/txn.h"

#include <stdint.h>

enum command_type {
#define X(number, symbol, type, level, sentence) COMMAND_##symbol = (number),
#include "cluster/command.def"
#undef X
};

/* What apply may know besides the state and the command. No clock, no random, no configuration. */
struct apply_context {
    const char *region; /* the state's own, "" until RegionInit */
    uint64_t seq; /* log index and place in the entry, as one rising number: index << 16 | place */
};

/* Changes the state through `txn` and fills `result` (initialised, code 0). Deterministic; never
 * fails: a refusal is a result. Strings put into `result` come from malloc, it is freed with
 * protobuf's own free. A storage failure aborts inside txn. */
typedef void command_apply_fn(struct txn *txn, const struct apply_context *context,
                              const ProtobufCMessage *command, Redoubt__Result *result);

struct command_kind {
    uint16_t type;
    uint16_t level;
    const char *name;
    const char *sentence;
    const ProtobufCMessageDescriptor *descriptor;
    command_apply_fn *apply;
};

extern const struct command_kind command_kinds[];
extern const size_t command_kinds_len;

/* NULL for a number this release does not know. */
const struct command_kind *command_kind_find(uint16_t type);

/* The quotas that travel with a command. */
void command_quotas(const struct quotas *quotas, Redoubt__Quotas *ret);

/* The level that a node must have to apply this command: that of its kind, or the one that it is to
 * raise the region to. */
uint16_t command_level(enum command_type type, const ProtobufCMessage *message);

/* Append the enveloped command to `out` (look at out->failed). Borrows the message. */
void command_encode(struct buf *out, enum command_type type, const ProtobufCMessage *message);

/* Apply one enveloped command. Returns the result, owned by the caller (command_result_free).
 * ERR_LEVEL or ERR_CORRUPT: this node must stop before it forks; nothing was applied. */
MUSTCHECK enum errc command_apply(struct txn *txn, const struct apply_context *context,
                                  const uint8_t *data, size_t len, size_t *ret_used,
                                  Redoubt__Result **ret);
void command_result_free(Redoubt__Result *result);

/* The levels of a region that this release can be a node of: it has every command up to the newest,
 * and misses none that a region below the oldest may need. A store or a group of another level is
 * refused. */
struct command_levels {
    uint16_t oldest, newest;
};
extern const struct command_levels command_levels;

#endif
