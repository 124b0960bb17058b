#include "replication/inbound_check.h"

#include "base/check.h"
#include "base/limits.h"
#include "model/secret_id.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The last millisecond of the year 9999: what has no four-digit year cannot be shown. */
static const int64_t time_ms_max = 253402300799999;

/* Bytes of the code point at `at`, 0 where there is none: cut short, too long a form, a surrogate,
 * above the last. */
static size_t utf8_step(const uint8_t *at, size_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = at[0] < 0x80             ? 1
                 : (at[0] & 0xe0) == 0xc0 ? 2
                 : (at[0] & 0xf0) == 0xe0 ? 3
                 : (at[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    uint32_t point;

    if (len <= 1) {
        return len;
    }
    if (len > left) {
        return 0;
    }
    point = at[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (at[i] & 0x3fU);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return 0;
    }
    return len;
}

/* Code points of well-formed UTF-8; SIZE_MAX for anything else. */
static size_t utf8_length(const void *data, size_t len) {
    const uint8_t *at = data;
    size_t n = 0;

    while (len > 0) {
        size_t step = utf8_step(at, len);
        if (step == 0) {
            return SIZE_MAX;
        }
        at += step;
        len -= step;
        n++;
    }
    return n;
}

static bool text_fits(const char *text, size_t min, size_t max) {
    size_t n = text == NULL ? SIZE_MAX : utf8_length(text, strlen(text));

    return n >= min && n <= max;
}

static bool text_is_absent_or_fits(const char *text, size_t max) {
    return text == NULL || text_fits(text, 0, max);
}

static bool time_is_absent_or_fits(protobuf_c_boolean has, int64_t time_ms) {
    return !has || (time_ms >= 0 && time_ms <= time_ms_max);
}

/* It is only shown here; the state machine knows the bounds of the numbers. */
static bool rotation_is_valid(const Redoubt__Rotation *rotation) {
    if (rotation == NULL) {
        return true;
    }
    if (!text_is_absent_or_fits(rotation->function_arn, LIMIT_FUNCTION_ARN) ||
        !text_is_absent_or_fits(rotation->external_role_arn, LIMIT_ROLE_ARN) ||
        !text_is_absent_or_fits(rotation->schedule_expression, LIMIT_SCHEDULE) ||
        !text_is_absent_or_fits(rotation->duration, LIMIT_SCHEDULE) ||
        rotation->n_external_metadata > LIMIT_EXTERNAL_ITEMS) {
        return false;
    }
    for (size_t i = 0; i < rotation->n_external_metadata; i++) {
        if (!text_fits(rotation->external_metadata[i]->key, 1, LIMIT_EXTERNAL_KEY) ||
            !text_fits(rotation->external_metadata[i]->value, 0, LIMIT_EXTERNAL_VALUE)) {
            return false;
        }
    }
    return true;
}

static bool all_in(const char *text, size_t len, const char *allowed) {
    return text != NULL && strlen(text) == len && strspn(text, allowed) == len;
}

bool inbound_item_is_named(const Redoubt__WireItem *item) {
    return all_in(item->account, LIMIT_ACCOUNT, "0123456789") &&
           all_in(item->suffix, LIMIT_ARN_SUFFIX,
                  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") &&
           item->name != NULL && item->name[0] != '\0' && strlen(item->name) <= LIMIT_NAME &&
           secret_name_is_valid(item->name);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool texts_differ(const char **texts, size_t n) {
    qsort(texts, n, sizeof(*texts), compare_texts);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(texts[i - 1], texts[i]) == 0) {
            return false;
        }
    }
    return true;
}

static bool tags_are_valid(const Redoubt__Secret *secret) {
    const char *keys[LIMIT_TAGS_MOST];

    if (secret->n_tags > LIMIT_TAGS_MOST) {
        return false;
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        if (!text_fits(secret->tags[i]->key, 1, LIMIT_TAG_KEY) ||
            !text_is_absent_or_fits(secret->tags[i]->value, LIMIT_TAG_VALUE)) {
            return false;
        }
        keys[i] = secret->tags[i]->key;
    }
    return texts_differ(keys, secret->n_tags);
}

static bool version_is_valid(const Redoubt__Version *version, uint64_t revision) {
    /* Without the revision that brought it, a value could never be told from one that was shipped.
     */
    return text_fits(version->id, 1, LIMIT_TOKEN) && version->revision <= revision &&
           (!version->has_kind || version->revision > 0) &&
           time_is_absent_or_fits(version->has_created_ms, version->created_ms) &&
           (!version->has_kind || version->kind == REDOUBT__VALUE_KIND__VALUE_STRING ||
            version->kind == REDOUBT__VALUE_KIND__VALUE_BINARY);
}

/* Ids differ, and a label sits on one version at most. */
static bool versions_are_valid(const Redoubt__Secret *secret, uint64_t revision) {
    const char *ids[LIMIT_VERSIONS];
    const char *labels[LIMIT_STAGES_MOST];
    size_t n_labels = 0;

    if (secret->n_versions > LIMIT_VERSIONS) {
        return false;
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        if (!version_is_valid(version, revision)) {
            return false;
        }
        ids[i] = version->id;
        for (size_t k = 0; k < version->n_stages; k++) {
            if (n_labels == LIMIT_STAGES_MOST || !text_fits(version->stages[k], 1, LIMIT_STAGE)) {
                return false;
            }
            labels[n_labels++] = version->stages[k];
        }
    }
    return texts_differ(ids, secret->n_versions) && texts_differ(labels, n_labels);
}

static const Redoubt__Version *find_version(const Redoubt__Secret *secret, const char *id) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (strcmp(secret->versions[i]->id, id) == 0) {
            return secret->versions[i];
        }
    }
    return NULL;
}

/* Each value belongs to a version of the secret that has one of this kind. */
static bool value_is_valid(const Redoubt__Secret *secret, const Redoubt__WireValue *value) {
    const Redoubt__Version *version =
        value->version_id == NULL ? NULL : find_version(secret, value->version_id);

    if (version == NULL || !version->has_kind || !value->has_kind || version->kind != value->kind ||
        !value->has_plaintext || value->plaintext.len > LIMIT_VALUE_MOST) {
        return false;
    }
    return value->kind != REDOUBT__VALUE_KIND__VALUE_STRING ||
           utf8_length(value->plaintext.data, value->plaintext.len) != SIZE_MAX;
}

static bool values_are_valid(const Redoubt__WireItem *item) {
    const char *ids[LIMIT_VERSIONS];

    if (item->n_values > item->secret->n_versions) {
        return false;
    }
    for (size_t i = 0; i < item->n_values; i++) {
        if (!value_is_valid(item->secret, item->values[i])) {
            return false;
        }
        ids[i] = item->values[i]->version_id;
    }
    return texts_differ(ids, item->n_values);
}

static bool upsert_is_valid(const Redoubt__WireItem *item) {
    const Redoubt__Secret *secret = item->secret;

    return secret != NULL && item->has_revision && item->revision > 0 &&
           secret->revision == item->revision &&
           text_is_absent_or_fits(item->kms_key_id, LIMIT_KMS_KEY_ID) && secret->name != NULL &&
           strcmp(secret->name, item->name) == 0 && secret->suffix != NULL &&
           strcmp(secret->suffix, item->suffix) == 0 &&
           text_is_absent_or_fits(secret->description, LIMIT_DESCRIPTION) &&
           text_is_absent_or_fits(secret->type, LIMIT_TYPE) &&
           (secret->policy == NULL || text_fits(secret->policy, 1, LIMIT_POLICY_MOST)) &&
           time_is_absent_or_fits(secret->has_created_ms, secret->created_ms) &&
           time_is_absent_or_fits(secret->has_changed_ms, secret->changed_ms) &&
           time_is_absent_or_fits(secret->has_deletion_ms, secret->deletion_ms) &&
           rotation_is_valid(secret->rotation) && tags_are_valid(secret) &&
           versions_are_valid(secret, item->revision) && values_are_valid(item);
}

bool inbound_item_is_valid(const Redoubt__WireItem *item) {
    if (!inbound_item_is_named(item) || !item->has_kind || !item->has_generation ||
        item->generation == 0) {
        return false;
    }
    switch (item->kind) {
    case REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT:
        return upsert_is_valid(item);
    case REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE:
    case REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED:
        return item->secret == NULL && item->n_values == 0;
    case _REDOUBT__OUTBOX_KIND_IS_INT_SIZE:
        break;
    }
    return false; /* a kind of a later release */
}
