/* A primary's links: made, marked dirty, ended, and worded for an answer.
 *
 * What holds between commands: a link that has not failed and has not acknowledged its secret's
 * revision has an outbox entry towards its region. An entry is keyed by region and ARN, so there is
 * one at most; while it is the notice of a promotion, the link waits behind it (the other region
 * must forget its own link first) and becomes the entry when the notice is acknowledged. A
 * tombstone or a notice of another secret that had the name is an entry of its own, and goes first.
 * Raft thread. */
#ifndef CLUSTER_COMMANDS_LINKS_H
#define CLUSTER_COMMANDS_LINKS_H

#include "base/limits.h"
#include "cluster/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Places of a generation behind the command's number: one a link that one command makes. */
enum { LINK_PLACE_BITS = 6 };
_Static_assert(LIMIT_REPLICAS <= 1 << LINK_PLACE_BITS, "a command makes that many links at most");

/* The targets of a call are malformed, name the own region or a region twice, or are too many: then
 * the refusal is in `result`. */
bool targets_are_refused(const struct apply_context *context,
                         Redoubt__ReplicaTarget *const *targets, size_t n, Redoubt__Result *result);

/* More regions than LIMIT_REPLICAS. */
void refuse_too_many_regions(Redoubt__Result *result);

/* A new link to `target`, dirty. `place` is its place among the links of this command. */
void link_create(struct txn *txn, const struct apply_context *context, const char *account,
                 const Redoubt__Secret *secret, const Redoubt__ReplicaTarget *target, size_t place,
                 bool force);
/* The link's failure is forgotten, it is written, and due to be shipped. */
void link_put_dirty(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                    Redoubt__Link *link);
/* Make the outbox say that the link is due, unless a notice goes first. */
void link_enqueue(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                  const Redoubt__Link *link);
/* The outbox entry towards `region` goes if it has this kind and generation. */
void outbox_settle(struct txn *txn, const char *region, const char *account, const char *name,
                   const char *suffix, Redoubt__OutboxKind kind, uint64_t generation);
/* The tombstone or notice has been heard. The link of the secret that has the name now waited
 * behind it, if it is due: it goes (again) into the outbox, which wakes the shipper. */
void outbox_end(struct txn *txn, const char *region, const char *account, const char *name,
                const char *suffix);
/* Links of a secret, each named once; owned memory is freed. */
bool secret_has_links(struct txn *txn, const char *account, const char *name);

/* The one way a primary's replicated content changes: revision + 1, the record is written, every
 * link is dirty and judged anew. */
void secret_put_changed(struct txn *txn, const char *account, Redoubt__Secret *secret,
                        int64_t now_ms);

/* The statuses of all links, in order of region. */
void result_set_links(struct txn *txn, const char *account, const Redoubt__Secret *secret,
                      Redoubt__Result *result);

#endif
