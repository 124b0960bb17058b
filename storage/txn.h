/* The one write path of the state machine: all changes of one log entry, and its index, as one
 * atomic write without sync.
 *
 * Reads through txn_view see the changes made so far. A storage failure here aborts the process
 * with a message, also in a getter through txn_view, which therefore always returns OK: apply must
 * not fail (invariant 2), and the log replays. Used by the Raft thread only. Getters are in view.h;
 * a put replaces the whole record. Accounts, names, suffixes, regions and ids are within
 * base/limits.h and not empty: the commands have checked them, here they are CHECKed. Nothing is
 * put or deleted inside the callback of a view_each_* over txn_view. */
#ifndef STORAGE_TXN_H
#define STORAGE_TXN_H

#include "storage/view.h"

struct txn;

/* Returns owned; aborts without memory. */
struct txn *txn_new(struct engine *engine);
void txn_free(struct txn *txn); /* drops what was not committed */
/* Borrowed; valid until txn_free. */
const struct view *txn_view(struct txn *txn);
/* Everything at once together with the applied index; the transaction is empty afterwards and can
 * be used again. */
void txn_commit(struct txn *txn, uint64_t applied_index);

/* Keeps the order-of-creation index in step. secret->created_seq must be set and no other secret of
 * the account may have it (CHECKed): it is what ListSecrets pages by. */
void txn_put_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret);
/* The secret, its values and its index row; not its links. */
void txn_delete_secret(struct txn *txn, const char *account, const Redoubt__Secret *secret);
void txn_put_value(struct txn *txn, const char *account, const char *name, const char *version_id,
                   const Redoubt__Sealed *sealed);
void txn_delete_value(struct txn *txn, const char *account, const char *name,
                      const char *version_id);
/* Whether the secret, one that was put, has links: cheaper than to look for them. */
MUSTCHECK bool txn_has_links(struct txn *txn, const char *account, const Redoubt__Secret *secret);
void txn_put_link(struct txn *txn, const char *account, const char *name,
                  const Redoubt__Link *link);
void txn_delete_link(struct txn *txn, const char *account, const char *name, const char *region);
void txn_put_outbox(struct txn *txn, const char *region, const char *account, const char *name,
                    const char *suffix, const Redoubt__Outbox *entry);
void txn_delete_outbox(struct txn *txn, const char *region, const char *account, const char *name,
                       const char *suffix);
void txn_put_grave(struct txn *txn, const char *account, const char *name, const char *suffix,
                   const Redoubt__Grave *grave);
void txn_put_key(struct txn *txn, const char *account, const Redoubt__Key *key);
void txn_put_alias(struct txn *txn, const char *account, const char *alias, const char *key_id);
void txn_put_region(struct txn *txn, const Redoubt__Region *region);
void txn_put_join_tokens(struct txn *txn, const Redoubt__JoinTokens *tokens);

/* Regions whose outbox this transaction has put entries into since the last txn_commit, for the
 * wake-up of the shipper: calls back once a region. To be asked before txn_commit, to be acted on
 * after it. */
void txn_each_dirty_region(const struct txn *txn, void (*each)(void *arg, const char *region),
                           void *arg);

#endif
