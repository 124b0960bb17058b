/* What is left of deleted replicas and of deleted or overwritten promoted secrets, so that a late
 * message cannot bring them back.
 *
 * One record an ARN, with one grave a primary's region in it: the generations of two regions cannot
 * be compared. Raft thread. */
#ifndef CLUSTER_COMMANDS_GRAVES_H
#define CLUSTER_COMMANDS_GRAVES_H

#include "storage/txn.h"

#include <stdbool.h>
#include <stdint.h>

enum grave_verdict { GRAVE_NONE, GRAVE_DEAD, GRAVE_PROMOTED };

/* Is the link `generation` of `region` dead here, and was it ended by a promotion? */
enum grave_verdict grave_judge(struct txn *txn, const char *account, const char *name,
                               const char *suffix, const char *region, uint64_t generation);
/* Links of `region` up to `generation` are dead from now on. Never lowers what is there. */
void grave_raise(struct txn *txn, const char *account, const char *name, const char *suffix,
                 const char *region, uint64_t generation, bool promoted, int64_t now_ms);
/* A standalone secret goes away with its values, and its name is free; one that was promoted leaves
 * its grave. Its links must be gone before. */
void secret_bury(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                 int64_t now_ms);

#endif
