/* Presence and bounds of the fields of a command, checked once at the top of every apply, so that
 * no code behind it meets a NULL or an oversized field. Pure.
 *
 * Whether a text pleases the API was decided before proposing; here only what the state can hold
 * matters, so lengths are in bytes and characters count four. */
#ifndef CLUSTER_COMMANDS_VALID_H
#define CLUSTER_COMMANDS_VALID_H

#include "base/quotas.h"
#include "cluster/command.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Present and of min to max bytes. */
bool text_is_within(const char *text, size_t min, size_t max);
/* Absent, or at most max bytes. */
bool text_is_at_most(const char *text, size_t max);
/* Milliseconds since 1970 in the years up to 9999, so that sums cannot overflow. */
bool time_is_valid(protobuf_c_boolean has, int64_t ms);
bool day_is_valid(protobuf_c_boolean has, int64_t day);
/* A level that this release knows. The envelope has stopped those that do not. */
bool level_is_valid(protobuf_c_boolean has, uint32_t level);
/* SHA-256 of a join token. */
bool token_digest_is_valid(protobuf_c_boolean has, const ProtobufCBinaryData *digest);
/* Twelve digits. */
bool account_is_valid(const char *account);
/* Six letters and digits. */
bool suffix_is_valid(const char *suffix);
/* Present with account and name; the suffix may be absent. */
bool ref_is_valid(const Redoubt__SecretRef *ref);
/* Present, and everything a version needs is there. */
bool new_value_is_valid(const Redoubt__NewValue *value);
bool reseal_is_valid(const Redoubt__Reseal *reseal);
/* As many as the highest quota allows: what the proposer's own quota says is decided apart. */
bool tags_are_valid(Redoubt__Tag *const *tags, size_t n);
bool labels_are_valid(char *const *labels, size_t n);
/* As many as one call may name; they need not be there. */
bool tag_keys_are_valid(char *const *keys, size_t n);
/* Absent, or a text as long as the highest quota allows. */
bool policy_is_valid(const char *policy);
/* Keys and values of a managed external secret's rotation. */
bool external_metadata_is_valid(Redoubt__Tag *const *items, size_t n);
/* The quotas of a command, where it has none the defaults, and none above what the state has room
 * for. `message` may be NULL. */
void quotas_read(const Redoubt__Quotas *message, struct quotas *ret);
/* A secret as another region ships it: its metadata, its versions each once, a label on one
 * version at most, and nothing that only its own region may say of it. */
bool shipped_secret_is_valid(const Redoubt__Secret *secret);

#endif
