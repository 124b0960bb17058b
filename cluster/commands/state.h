/* Reading the state inside apply, and owning pieces of records.
 *
 * Nothing here fails: a record that cannot be read, or memory that is not there, stops the process
 * with a message, because a node that went on would fork from its group; the log replays. Raft
 * thread. */
#ifndef CLUSTER_COMMANDS_STATE_H
#define CLUSTER_COMMANDS_STATE_H

#include "storage/txn.h"

#include <stddef.h>
#include <stdint.h>

/* Owned by the caller; NULL when there is none. */
Redoubt__Secret *state_secret(struct txn *txn, const char *account, const char *name);
Redoubt__Sealed *state_value(struct txn *txn, const char *account, const char *name,
                             const char *version_id);
Redoubt__Link *state_link(struct txn *txn, const char *account, const char *name,
                          const char *region);
Redoubt__Outbox *state_outbox(struct txn *txn, const char *region, const char *account,
                              const Redoubt__Secret *secret);
Redoubt__Outbox *state_outbox_of(struct txn *txn, const char *region, const char *account,
                                 const char *name, const char *suffix);
Redoubt__Grave *state_grave(struct txn *txn, const char *account, const char *name,
                            const char *suffix);
Redoubt__Key *state_key(struct txn *txn, const char *account, const char *key_id);
char *state_alias(struct txn *txn, const char *account, const char *alias);
Redoubt__Region *state_region(struct txn *txn);
/* Never NULL: a list without tokens where there is none. */
Redoubt__JoinTokens *state_join_tokens(struct txn *txn);
/* Secrets of the account, replicas and scheduled ones included. */
uint64_t state_secret_count(struct txn *txn, const char *account);
/* Owned by the caller: view_links_free. */
struct view_links state_links(struct txn *txn, const char *account, const char *name);

/* For AUTO(): each frees what it points to; NULL is fine. */
void secret_release(Redoubt__Secret **secret);
void sealed_release(Redoubt__Sealed **sealed);
void link_release(Redoubt__Link **link);
void outbox_release(Redoubt__Outbox **entry);
void grave_release(Redoubt__Grave **grave);
void key_release(Redoubt__Key **key);
void region_release(Redoubt__Region **region);
void join_tokens_release(Redoubt__JoinTokens **tokens);
void text_release(char **text);

/* malloc's family, aborting without memory. */
void *must_calloc(size_t count, size_t size);
void *must_realloc(void *ptr, size_t count, size_t size);
char *text_dup(const char *text);
/* Replace an owned string field by a copy; NULL empties it. */
void text_set(char **field, const char *text);
/* Replace an owned bytes field by a copy. */
void bytes_set(ProtobufCBinaryData *field, const ProtobufCBinaryData *bytes);
/* A deep copy, unknown fields included. Owned by the caller, who frees it as if unpacked. */
void *message_copy(const ProtobufCMessage *message);

#endif
