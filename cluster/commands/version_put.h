/* A value that arrives for a version: the token rules and the new version with its labels, for
 * SECRET_PUT and SECRET_UPDATE. AWS_BEHAVIOUR 3.4. Raft thread. */
#ifndef CLUSTER_COMMANDS_VERSION_PUT_H
#define CLUSTER_COMMANDS_VERSION_PUT_H

#include "base/quotas.h"
#include "cluster/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value's version id, which is the call's token, is that of a version with a value: that ends
 * the call. True with the answer to a repetition (name, version id, the labels it has now) or the
 * refusal in `result`; the whole call is ignored then, whatever else it says. */
bool version_put_is_answered(const struct apply_context *context, const char *account,
                             const Redoubt__Secret *secret, const Redoubt__NewValue *value,
                             Redoubt__Result *result);

/* What is put where. Borrows. */
struct version_put {
    const char *account;
    const Redoubt__NewValue *value; /* valid */
    char *const *stages;            /* none: AWSCURRENT */
    size_t n_stages;
    const Redoubt__Quotas *quotas; /* may be NULL */
    int64_t now_ms;
};

/* A new version, or the one without a value that has this id, gets the value and the labels; old
 * versions are pruned. The record changes in memory: the caller writes it (secret_put_changed).
 * False when a quota refuses: the refusal is in `result`, and the record must be forgotten. */
MUSTCHECK bool version_put(struct txn *txn, const struct version_put *put, Redoubt__Secret *secret,
                           Redoubt__Result *result);

#endif
