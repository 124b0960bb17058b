/* Filling a Result: refusals, and what more than one command answers with.
 *
 * Everything put into a result is malloc'ed and freed with it. Aborts without memory: apply must
 * not fail on one node only. Raft thread. */
#ifndef CLUSTER_COMMANDS_REFUSE_H
#define CLUSTER_COMMANDS_REFUSE_H

#include "base/check.h"
#include "base/errc.h"
#include "cluster/command.pb-c.h"

/* The command changes nothing and answers `code` with this sentence. */
void refuse(Redoubt__Result *result, enum errc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with the code's default sentence. */
void refuse_default(Redoubt__Result *result, enum errc code);
/* A field is missing or out of bounds. The proposer checks its commands, so this is a bug there or
 * a forged log; the state does not change. */
void refuse_malformed(Redoubt__Result *result);

/* Name and suffix of the secret that was meant. Borrows. */
void result_set_secret(Redoubt__Result *result, const Redoubt__Secret *secret);
/* Copies of `n` labels. */
void result_set_stages(Redoubt__Result *result, const char *const *labels, size_t n);

#endif
