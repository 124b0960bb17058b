/* What the commands on one secret share: finding it, the refusals of its state, its versions and
 * their labels. Works on records in memory; nothing is written here but by version_prune. Raft
 * thread. */
#ifndef CLUSTER_COMMANDS_SECRET_OPS_H
#define CLUSTER_COMMANDS_SECRET_OPS_H

#include "cluster/command.pb-c.h"
#include "model/stages.h"
#include "storage/txn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The secret that a (valid) ref means: its name, and its suffix where the ref has one. Owned by
 * the caller; NULL when there is none. */
Redoubt__Secret *secret_find(struct txn *txn, const Redoubt__SecretRef *ref);
/* The same for a change: NULL with the refusal in `result` when it is missing, a replica, or
 * scheduled for deletion. */
Redoubt__Secret *secret_find_writable(struct txn *txn, const Redoubt__SecretRef *ref,
                                      Redoubt__Result *result);
void refuse_replica(Redoubt__Result *result);
void refuse_scheduled(Redoubt__Result *result);
/* `arn` is built from the region of this state. */
void refuse_token_in_use(Redoubt__Result *result, const char *region, const char *account,
                         const Redoubt__Secret *secret, const char *token);

/* NULL for the default key in any spelling of the API, else `kms_key_id`. */
const char *kms_key_or_default(const char *kms_key_id);

/* Borrowed from the secret; NULL when there is none. */
Redoubt__Version *version_find(const Redoubt__Secret *secret, const char *id);
/* A new, empty version behind the others. Borrowed from the secret. */
Redoubt__Version *version_add(Redoubt__Secret *secret, const char *id, int64_t now_ms);
/* The version has a value, and it is this one. */
bool version_holds(const Redoubt__Version *version, const Redoubt__NewValue *value);
/* The version has a value, and this is its digest. */
bool version_has_digest(const Redoubt__Version *version, const ProtobufCBinaryData *digest);
/* The version says that these keys open its value; NULL: none do. */
void version_set_keys(Redoubt__Version *version, const Redoubt__Sealed *sealed);
/* The version's value is this one from now on. */
void version_set_value(Redoubt__Version *version, const Redoubt__NewValue *value,
                       uint64_t revision);
bool secret_has_value(const Redoubt__Secret *secret);
/* How many versions versions_prune would drop at this time. */
size_t versions_prunable(const Redoubt__Secret *secret, int64_t now_ms, size_t kept);
bool version_carries(const Redoubt__Version *version, const char *label);
/* Drop versions without labels that are older than a day, oldest first, while there are more than
 * `kept`; their values go from the state. False (nothing done) when more than LIMIT_VERSIONS would
 * remain. */
MUSTCHECK bool versions_prune(struct txn *txn, const char *account, Redoubt__Secret *secret,
                              int64_t now_ms, size_t kept);
/* versions_prune would drop something at this time. Pure. */
bool versions_are_prunable(const Redoubt__Secret *secret, int64_t now_ms, size_t kept);

/* The labels of all versions as one table, borrowing from the secret, and back again: after
 * labels_store the table's texts are gone. */
void labels_load(const Redoubt__Secret *secret, struct stages *ret);
void labels_store(Redoubt__Secret *secret, const struct stages *stages);

#endif
