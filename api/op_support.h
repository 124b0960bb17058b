/* What the operations share: which secret is meant, ARNs, records as reply members, values sealed
 * for a command.
 *
 * Everything returned lives in the request's arena, or is released with it by a hook: a handler
 * frees nothing. Functions that return a pointer give NULL only when the arena is out of memory.
 * Worker threads. */
#ifndef API_OP_SUPPORT_H
#define API_OP_SUPPORT_H

#include "api/op.h"
#include "api/op_shapes.h"
#include "model/replication_status.h"
#include "model/secret_id.h"

/* Sentences that more than one operation gives. */
#define OP_SENTENCE_MARKED                                                                         \
    "You can't perform this operation on the secret because it was marked for deletion."
#define OP_SENTENCE_REPLICA                                                                        \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
#define OP_SENTENCE_BOTH_VALUES                                                                    \
    "You can't specify both a binary secret value and a string secret value in the same secret."

enum { OP_DAY_MS = 86400000 };

/* ERR_NO_MEMORY with its sentence. */
MUSTCHECK enum errc op_no_memory(struct op_context *context);

/* --- Which secret ------------------------------------------------------------------------- */

/* ERR_CORRUPT where there is a record of this name that cannot be read. The state machine stops
 * over such a record, and again whenever it replays the command: so a command is not made of it. */
MUSTCHECK enum errc op_check_readable(struct op_context *context, const char *name);
/* Read a SecretId. ERR_RESOURCE_NOT_FOUND for an ARN of another partition, account or region, and
 * for a name that is too long for any secret: what it names is not here. Whether there
 * is such a secret is left to the command, but its record can be read (op_check_readable). */
MUSTCHECK enum errc op_secret_id(struct op_context *context, const char *text,
                                 struct secret_id *ret);
/* The same, for an ARN of any region: a replica has its primary's name and suffix (C-28). */
MUSTCHECK enum errc op_secret_id_any_region(struct op_context *context, const char *text,
                                            struct secret_id *ret);
/* The secret that `text` names, also one that is scheduled for deletion. ERR_RESOURCE_NOT_FOUND. */
MUSTCHECK enum errc op_find_secret(struct op_context *context, const char *text,
                                   const Redoubt__Secret **ret);
/* The state of a secret that refuses a change, as the command's apply will: asked before what would
 * fail for another reason (a key). ERR_INVALID_PARAMETER: a replica; ERR_INVALID_REQUEST: scheduled
 * for deletion. */
MUSTCHECK enum errc op_check_writable(struct op_context *context, const Redoubt__Secret *secret);
/* `suffix` NULL or empty: whatever it is when the command is applied. */
Redoubt__SecretRef *op_ref(struct op_context *context, const char *name, const char *suffix);
/* The ARN in this region. */
const char *op_arn(struct op_context *context, const char *name, const char *suffix);

/* --- Values and keys ---------------------------------------------------------------------- */

struct op_value {
    const struct secret *bytes; /* NULL: none was given */
    Redoubt__ValueKind kind;
};
/* ERR_INVALID_PARAMETER when both are given. */
MUSTCHECK enum errc op_value_pick(struct op_context *context, const struct secret *string,
                                  const struct secret *binary, struct op_value *ret);
/* A token becomes a version's id, which is at most LIMIT_TOKEN bytes long: the model's bound, in
 * characters, lets longer ones through. ERR_VALIDATION. */
MUSTCHECK enum errc op_check_token(struct op_context *context, const char *token);
/* NULL and every spelling of the default key become NULL, which is how records say it. */
const char *op_kms_key_id(const char *kms_key_id);
/* The id of the key that `kms_key_id` (NULL: the default one) names. OK with *ret_key_id NULL: the
 * default key does not exist yet and *ret is the prelude that makes it; the caller returns OK. */
MUSTCHECK enum errc op_resolve_key(struct op_context *context, const char *kms_key_id,
                                   const char **ret_key_id, struct op_command *ret);
/* The key seals and opens values of the secret that `ref` names (with its suffix): what the service
 * makes sure of when a caller names a key. ERR_ENCRYPTION_FAILURE, ERR_DECRYPTION_FAILURE. */
MUSTCHECK enum errc op_check_key(struct op_context *context, const Redoubt__SecretRef *ref,
                                 const char *key_id);
/* The value, sealed under `key_id` as version `version_id` of the secret that `ref` names (with its
 * suffix). */
MUSTCHECK enum errc op_seal(struct op_context *context, const Redoubt__SecretRef *ref,
                            const char *version_id, const char *key_id, struct op_value value,
                            Redoubt__NewValue **ret);

/* --- Into commands ------------------------------------------------------------------------ */

/* ERR_INVALID_PARAMETER: a key that is reserved for systems. */
MUSTCHECK enum errc op_check_tag_key(struct op_context *context, const char *key);
/* Tags of a request. ERR_INVALID_PARAMETER: too many, no key, a key twice, a reserved key, other
 * characters than tags may have. */
MUSTCHECK enum errc op_tags_in(struct op_context *context, const struct shape_list *tags,
                               Redoubt__Tag ***ret, size_t *ret_n);
/* Replica regions of a request. ERR_INVALID_PARAMETER: the own region, an unknown one, one twice,
 * more than a secret can have. */
MUSTCHECK enum errc op_targets_in(struct op_context *context, const struct shape_list *regions,
                                  Redoubt__ReplicaTarget ***ret, size_t *ret_n);
/* The quotas of this node that the command's apply decides by. */
Redoubt__Quotas *op_quotas(struct op_context *context);
/* Copies of the strings, as protobuf wants them. */
char **op_strings_in(struct op_context *context, const struct str_list *list);

/* --- Into replies: copies, so that the record may go ---------------------------------------- */

struct opt_int op_time(bool present, int64_t ms);
struct opt_int op_day(bool present, int64_t day);
struct str_list op_strings_out(struct op_context *context, char *const *items, size_t n);
struct shape_list op_tags_out(struct op_context *context, const Redoubt__Secret *secret);
/* Everything of the record; not what its links tell (PrimaryRegion of a primary,
 * ReplicationStatus). ERR_NO_MEMORY. */
MUSTCHECK enum errc op_summary(struct op_context *context, const Redoubt__Secret *secret,
                               struct op_summary *ret);
/* The versions that carry labels; absent when none does. */
struct stage_map op_stages_out(struct op_context *context, const Redoubt__Secret *secret);
/* Both are lists of struct op_replication_status. */
struct shape_list op_links_out(struct op_context *context, const struct view_links *links,
                               uint64_t revision);
struct shape_list op_link_results_out(struct op_context *context, const Redoubt__Result *result);
/* op_reply_fn of operations whose reply is `struct op_secret_out`. */
enum errc op_secret_reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                          void *out);
/* op_reply_fn of the operations whose reply is `struct op_replication_out`. */
enum errc op_replication_reply(struct op_context *context, const void *in,
                               const Redoubt__Result *result, void *out);

#endif
