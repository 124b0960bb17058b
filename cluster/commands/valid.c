#include "cluster/commands/valid.h"

#include "base/limits.h"
#include "cluster/command.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"

#include <string.h>

enum { UTF8_MAX = 4, DIGEST_MAX = 64, WRAPPED_KEY_MAX = 1024 };

static const int64_t TIME_MAX_MS = 253402300799999; /* the end of the year 9999 */
static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;

bool text_is_within(const char *text, size_t min, size_t max) {
    size_t len;

    if (text == NULL) {
        return false;
    }
    len = strnlen(text, max + 1);
    return len >= min && len <= max;
}

bool text_is_at_most(const char *text, size_t max) {
    return text == NULL || text_is_within(text, 0, max);
}

bool time_is_valid(protobuf_c_boolean has, int64_t ms) {
    return has && ms >= 0 && ms <= TIME_MAX_MS;
}

bool day_is_valid(protobuf_c_boolean has, int64_t day) {
    return has && day >= 0 && day <= TIME_MAX_MS / DAY_MS;
}

bool level_is_valid(protobuf_c_boolean has, uint32_t level) {
    return has && level > 0 && level <= command_levels.newest;
}

bool token_digest_is_valid(protobuf_c_boolean has, const ProtobufCBinaryData *digest) {
    return has && digest->len == DIGEST_SIZE;
}

bool account_is_valid(const char *account) {
    return text_is_within(account, LIMIT_ACCOUNT, LIMIT_ACCOUNT) &&
           strspn(account, "0123456789") == LIMIT_ACCOUNT;
}

bool suffix_is_valid(const char *suffix) {
    return text_is_within(suffix, LIMIT_ARN_SUFFIX, LIMIT_ARN_SUFFIX) &&
           strspn(suffix, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
               LIMIT_ARN_SUFFIX;
}

bool ref_is_valid(const Redoubt__SecretRef *ref) {
    return ref != NULL && account_is_valid(ref->account) &&
           text_is_within(ref->name, 1, LIMIT_NAME) &&
           (ref->suffix == NULL || suffix_is_valid(ref->suffix));
}

static bool kind_is_valid(protobuf_c_boolean has, Redoubt__ValueKind kind) {
    return has &&
           (kind == REDOUBT__VALUE_KIND__VALUE_STRING || kind == REDOUBT__VALUE_KIND__VALUE_BINARY);
}

static bool bytes_are_within(protobuf_c_boolean has, const ProtobufCBinaryData *bytes, size_t max) {
    return has && bytes->len > 0 && bytes->len <= max;
}

/* Under one key: what it was sealed under before is the state's to know. */
static bool sealed_is_valid(const Redoubt__Sealed *sealed) {
    return sealed != NULL && sealed->n_others == 0 &&
           text_is_within(sealed->key_id, 1, LIMIT_KMS_KEY_ID) && sealed->has_key_version &&
           bytes_are_within(sealed->has_wrapped_key, &sealed->wrapped_key, WRAPPED_KEY_MAX) &&
           bytes_are_within(sealed->has_ciphertext, &sealed->ciphertext,
                            LIMIT_VALUE_MOST + KEYRING_OVERHEAD);
}

bool new_value_is_valid(const Redoubt__NewValue *value) {
    return value != NULL && text_is_within(value->version_id, 1, LIMIT_TOKEN) &&
           kind_is_valid(value->has_kind, value->kind) &&
           bytes_are_within(value->has_digest, &value->digest, DIGEST_MAX) &&
           sealed_is_valid(value->sealed);
}

bool reseal_is_valid(const Redoubt__Reseal *reseal) {
    return text_is_within(reseal->version_id, 1, LIMIT_TOKEN) &&
           bytes_are_within(reseal->has_digest, &reseal->digest, DIGEST_MAX) &&
           sealed_is_valid(reseal->sealed);
}

bool tags_are_valid(Redoubt__Tag *const *tags, size_t n) {
    if (n > LIMIT_TAGS_MOST) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_is_within(tags[i]->key, 1, UTF8_MAX * LIMIT_TAG_KEY) ||
            !text_is_at_most(tags[i]->value, UTF8_MAX * LIMIT_TAG_VALUE)) {
            return false;
        }
    }
    return true;
}

bool tag_keys_are_valid(char *const *keys, size_t n) {
    if (n > LIMIT_LIST_ELEMENTS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_is_within(keys[i], 1, UTF8_MAX * LIMIT_TAG_KEY)) {
            return false;
        }
    }
    return true;
}

bool policy_is_valid(const char *policy) {
    return policy == NULL || text_is_within(policy, 1, UTF8_MAX * LIMIT_POLICY_MOST);
}

bool labels_are_valid(char *const *labels, size_t n) {
    if (n > LIMIT_STAGES_MOST) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_is_within(labels[i], 1, UTF8_MAX * LIMIT_STAGE)) {
            return false;
        }
    }
    return true;
}

bool external_metadata_is_valid(Redoubt__Tag *const *items, size_t n) {
    if (n > LIMIT_EXTERNAL_ITEMS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_is_within(items[i]->key, 1, UTF8_MAX * LIMIT_EXTERNAL_KEY) ||
            !text_is_within(items[i]->value, 0, UTF8_MAX * LIMIT_EXTERNAL_VALUE)) {
            return false;
        }
    }
    return true;
}

static int64_t quota_of(bool has, uint64_t asked, int64_t usual, int64_t most) {
    if (!has) {
        return usual;
    }
    return asked < (uint64_t)most ? (int64_t)asked : most;
}

void quotas_read(const Redoubt__Quotas *message, struct quotas *ret) {
    const struct quotas *usual = &quotas_default;
    const struct quotas *most = &quotas_most;

    *ret = *usual;
    if (message == NULL) {
        return;
    }
    ret->secrets = quota_of(message->has_secrets, message->secrets, usual->secrets, most->secrets);
    ret->versions_kept = quota_of(message->has_versions_kept, message->versions_kept,
                                  usual->versions_kept, most->versions_kept);
    ret->labels = quota_of(message->has_labels, message->labels, usual->labels, most->labels);
    ret->tags = quota_of(message->has_tags, message->tags, usual->tags, most->tags);
}

static bool shipped_version_is_valid(const Redoubt__Version *version) {
    return text_is_within(version->id, 1, LIMIT_TOKEN) &&
           labels_are_valid(version->stages, version->n_stages) &&
           time_is_valid(version->has_created_ms, version->created_ms) &&
           (!version->has_kind || (kind_is_valid(version->has_kind, version->kind) &&
                                   version->has_revision && version->revision > 0)) &&
           text_is_at_most(version->key_id, LIMIT_KMS_KEY_ID) && version->digest.len <= DIGEST_MAX;
}

static bool time_is_absent_or_valid(protobuf_c_boolean has, int64_t ms) {
    return !has || time_is_valid(has, ms);
}

/* Only to be shown: what it says of schedule and function is not followed here. */
static bool shipped_rotation_is_valid(const Redoubt__Rotation *rotation) {
    return rotation == NULL ||
           (text_is_at_most(rotation->function_arn, LIMIT_FUNCTION_ARN) &&
            text_is_at_most(rotation->external_role_arn, LIMIT_ROLE_ARN) &&
            external_metadata_is_valid(rotation->external_metadata,
                                       rotation->n_external_metadata) &&
            text_is_at_most(rotation->schedule_expression, LIMIT_SCHEDULE) &&
            text_is_at_most(rotation->duration, LIMIT_SCHEDULE) &&
            (!rotation->has_automatically_after_days ||
             (rotation->automatically_after_days >= 1 &&
              rotation->automatically_after_days <= LIMIT_ROTATION_DAYS)) &&
            time_is_absent_or_valid(rotation->has_last_rotated_ms, rotation->last_rotated_ms) &&
            time_is_absent_or_valid(rotation->has_next_rotation_ms, rotation->next_rotation_ms) &&
            time_is_absent_or_valid(rotation->has_counts_from_ms, rotation->counts_from_ms));
}

/* Every id once. */
static bool shipped_versions_are_distinct(const Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(secret->versions[i]->id, secret->versions[k]->id) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* As many labels as a secret may have, each once. */
static bool shipped_labels_are_distinct(const Redoubt__Secret *secret) {
    const char *seen[LIMIT_STAGES_MOST];
    size_t n = 0;

    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        for (size_t k = 0; k < version->n_stages; k++) {
            for (size_t j = 0; j < n; j++) {
                if (strcmp(seen[j], version->stages[k]) == 0) {
                    return false;
                }
            }
            if (n == LIMIT_STAGES_MOST) {
                return false;
            }
            seen[n++] = version->stages[k];
        }
    }
    return true;
}

bool shipped_secret_is_valid(const Redoubt__Secret *secret) {
    if (secret == NULL || secret->n_versions > LIMIT_VERSIONS || secret->has_deletion_ms ||
        secret->replica_of != NULL ||
        !text_is_at_most(secret->description, UTF8_MAX * LIMIT_DESCRIPTION) ||
        !text_is_at_most(secret->type, UTF8_MAX * LIMIT_TYPE) ||
        !text_is_at_most(secret->kms_key_id, LIMIT_KMS_KEY_ID) ||
        !tags_are_valid(secret->tags, secret->n_tags) || !policy_is_valid(secret->policy) ||
        !time_is_valid(secret->has_created_ms, secret->created_ms) ||
        !time_is_valid(secret->has_changed_ms, secret->changed_ms) ||
        !shipped_rotation_is_valid(secret->rotation)) {
        return false;
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (!shipped_version_is_valid(secret->versions[i])) {
            return false;
        }
    }
    return shipped_versions_are_distinct(secret) && shipped_labels_are_distinct(secret);
}
