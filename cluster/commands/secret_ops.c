#include "cluster/commands/secret_ops.h"

#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "model/secret_id.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

static const int64_t VERSION_KEPT_MS = 24LL * 60 * 60 * 1000;

Redoubt__Secret *secret_find(struct txn *txn, const Redoubt__SecretRef *ref) {
    Redoubt__Secret *secret = state_secret(txn, ref->account, ref->name);

    if (secret != NULL && ref->suffix != NULL && strcmp(ref->suffix, secret->suffix) != 0) {
        redoubt__secret__free_unpacked(secret, NULL);
        return NULL;
    }
    return secret;
}

Redoubt__Secret *secret_find_writable(struct txn *txn, const Redoubt__SecretRef *ref,
                                      Redoubt__Result *result) {
    Redoubt__Secret *secret = secret_find(txn, ref);

    if (secret == NULL) {
        refuse_default(result, ERR_RESOURCE_NOT_FOUND);
        return NULL;
    }
    if (secret->replica_of != NULL) {
        refuse_replica(result);
    } else if (secret->has_deletion_ms) {
        refuse_scheduled(result);
    } else {
        return secret;
    }
    redoubt__secret__free_unpacked(secret, NULL);
    return NULL;
}

void refuse_replica(Redoubt__Result *result) {
    refuse(result, ERR_INVALID_PARAMETER,
           "Operation not permitted on a replica secret. Call must be made in primary secret's "
           "region.");
}

void refuse_scheduled(Redoubt__Result *result) {
    refuse(result, ERR_INVALID_REQUEST,
           "You can't perform this operation on the secret because it was marked for deletion.");
}

void refuse_token_in_use(Redoubt__Result *result, const char *region, const char *account,
                         const Redoubt__Secret *secret, const char *token) {
    char arn[ARN_MAX];

    secret_arn(arn, sizeof(arn), region, account, secret->name, secret->suffix);
    refuse(result, ERR_RESOURCE_EXISTS,
           "You can't use ClientRequestToken %s because that value is already in use for a version "
           "of secret %s.",
           token, arn);
}

const char *kms_key_or_default(const char *kms_key_id) {
    if (kms_key_id == NULL || kms_key_id[0] == '\0' ||
        strcmp(kms_key_id, VAULT_DEFAULT_ALIAS) == 0) {
        return NULL;
    }
    return kms_key_id;
}

Redoubt__Version *version_find(const Redoubt__Secret *secret, const char *id) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (strcmp(secret->versions[i]->id, id) == 0) {
            return secret->versions[i];
        }
    }
    return NULL;
}

Redoubt__Version *version_add(Redoubt__Secret *secret, const char *id, int64_t now_ms) {
    Redoubt__Version *version = must_calloc(1, sizeof(*version));

    redoubt__version__init(version);
    version->id = text_dup(id);
    version->has_created_ms = true;
    version->created_ms = now_ms;
    secret->versions =
        must_realloc(secret->versions, secret->n_versions + 1, sizeof(*secret->versions));
    secret->versions[secret->n_versions++] = version;
    return version;
}

bool version_holds(const Redoubt__Version *version, const Redoubt__NewValue *value) {
    return version->kind == value->kind && version_has_digest(version, &value->digest);
}

bool version_has_digest(const Redoubt__Version *version, const ProtobufCBinaryData *digest) {
    return version->has_kind && version->digest.len == digest->len && digest->len > 0 &&
           memcmp(version->digest.data, digest->data, digest->len) == 0;
}

/* All of them go. */
static void texts_free(char ***texts, size_t *n) {
    for (size_t i = 0; i < *n; i++) {
        free((*texts)[i]);
    }
    free(*texts);
    *texts = NULL;
    *n = 0;
}

void version_set_keys(Redoubt__Version *version, const Redoubt__Sealed *sealed) {
    text_set(&version->key_id, sealed == NULL ? NULL : sealed->key_id);
    texts_free(&version->other_key_ids, &version->n_other_key_ids);
    if (sealed == NULL || sealed->n_others == 0) {
        return;
    }
    version->other_key_ids = must_calloc(sealed->n_others, sizeof(*version->other_key_ids));
    for (size_t i = 0; i < sealed->n_others; i++) {
        version->other_key_ids[version->n_other_key_ids++] = text_dup(sealed->others[i]->key_id);
    }
}

void version_set_value(Redoubt__Version *version, const Redoubt__NewValue *value,
                       uint64_t revision) {
    version->has_kind = true;
    version->kind = value->kind;
    version->has_digest = true;
    bytes_set(&version->digest, &value->digest);
    version_set_keys(version, value->sealed);
    version->has_revision = true;
    version->revision = revision;
}

bool secret_has_value(const Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (secret->versions[i]->has_kind) {
            return true;
        }
    }
    return false;
}

bool version_carries(const Redoubt__Version *version, const char *label) {
    for (size_t i = 0; i < version->n_stages; i++) {
        if (strcmp(version->stages[i], label) == 0) {
            return true;
        }
    }
    return false;
}

static bool version_is_prunable(const Redoubt__Version *version, int64_t now_ms) {
    return version->n_stages == 0 && now_ms - version->created_ms >= VERSION_KEPT_MS;
}

/* How many versions would go. */
static size_t count_prunable(const Redoubt__Secret *secret, int64_t now_ms, size_t kept) {
    size_t excess = secret->n_versions > kept ? secret->n_versions - kept : 0;
    size_t n = 0;

    for (size_t i = 0; i < secret->n_versions && n < excess; i++) {
        n += version_is_prunable(secret->versions[i], now_ms) ? 1 : 0;
    }
    return n;
}

bool versions_are_prunable(const Redoubt__Secret *secret, int64_t now_ms, size_t kept) {
    return count_prunable(secret, now_ms, kept) > 0;
}

size_t versions_prunable(const Redoubt__Secret *secret, int64_t now_ms, size_t kept) {
    size_t excess = secret->n_versions > kept ? secret->n_versions - kept : 0;
    size_t prunable = 0;

    for (size_t i = 0; i < secret->n_versions && prunable < excess; i++) {
        prunable += version_is_prunable(secret->versions[i], now_ms) ? 1 : 0;
    }
    return prunable;
}

bool versions_prune(struct txn *txn, const char *account, Redoubt__Secret *secret, int64_t now_ms,
                    size_t kept) {
    size_t prunable = versions_prunable(secret, now_ms, kept);
    size_t n = 0;

    if (secret->n_versions - prunable > LIMIT_VERSIONS) {
        return false;
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Version *version = secret->versions[i];
        if (prunable > 0 && version_is_prunable(version, now_ms)) {
            txn_delete_value(txn, account, secret->name, version->id);
            redoubt__version__free_unpacked(version, NULL);
            prunable--;
        } else {
            secret->versions[n++] = version;
        }
    }
    secret->n_versions = n;
    return true;
}

void labels_load(const Redoubt__Secret *secret, struct stages *ret) {
    ret->n = 0;
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        for (size_t k = 0; k < version->n_stages; k++) {
            stages_attach(ret, version->stages[k], version->id);
        }
    }
}

/* The labels of `version` in the table's order, copied. */
static char **labels_of(const struct stages *stages, const char *version, size_t *ret_n) {
    char **labels = NULL;
    size_t n = 0;

    for (size_t i = 0; i < stages->n; i++) {
        if (strcmp(stages->items[i].version, version) == 0) {
            labels = must_realloc(labels, n + 1, sizeof(*labels));
            labels[n++] = text_dup(stages->items[i].label);
        }
    }
    *ret_n = n;
    return labels;
}

void labels_store(Redoubt__Secret *secret, const struct stages *stages) {
    char ***labels = must_calloc(secret->n_versions + 1, sizeof(*labels));
    size_t *counts = must_calloc(secret->n_versions + 1, sizeof(*counts));

    /* All copies before the first free: the table borrows from what is freed. */
    for (size_t i = 0; i < secret->n_versions; i++) {
        labels[i] = labels_of(stages, secret->versions[i]->id, &counts[i]);
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Version *version = secret->versions[i];
        for (size_t k = 0; k < version->n_stages; k++) {
            free(version->stages[k]);
        }
        free(version->stages);
        version->stages = labels[i];
        version->n_stages = counts[i];
    }
    free(labels);
    free(counts);
}
