/* Order of creation: the numbers of the secrets that one command makes. */
#ifndef CLUSTER_COMMANDS_SEQ_H
#define CLUSTER_COMMANDS_SEQ_H

#include "base/limits.h"
#include "cluster/command.h"

#include <stddef.h>
#include <stdint.h>

/* A batch makes several secrets: their places follow the command's number, so that created_seq is
 * unique and rises with the log. */
enum { CREATED_PLACE_BITS = 9 };
_Static_assert(LIMIT_BATCH_ITEMS <= 1 << CREATED_PLACE_BITS, "a batch makes that many secrets");

static inline uint64_t created_seq_of(const struct apply_context *context, size_t place) {
    return context->seq << CREATED_PLACE_BITS | place;
}

#endif
