#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

#include "model/secret_id.h"

static enum errc invalid_key(struct err *err) {
    return err_set(err, ERR_INVALID_PARAMETER,
                   "The operation failed because of an invalid KMS key: Invalid keyId");
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Is the field that `*text` begins with, up to ':', exactly `wanted` (NULL: anything but nothing)?
 * Moves behind it. */
static bool take_field(const char **text, const char *wanted) {
    const char *end = strchr(*text, ':');
    size_t len = end ? (size_t)(end - *text) : 0;
    bool is_wanted =
        len > 0 && (wanted == NULL || (strlen(wanted) == len && memcmp(*text, wanted, len) == 0));

    if (is_wanted) {
        *text = end + 1;
    }
    return is_wanted;
}

/* The resource of arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE when region and account are ours:
 * *ret_resource is borrowed from `arn`, NULL when it is not ours or no such ARN. */
static enum errc arn_resource(const struct view *view, const char *account, const char *arn,
                              const char **ret_resource) {
    Redoubt__Region *region = NULL;
    const char *at = arn;
    enum errc code = view_region(view, &region);

    if (code != OK) {
        return code;
    }
    *ret_resource = NULL;
    /* Before RegionInit the state knows no name of its own: then any region will do. */
    if (take_field(&at, "arn") && take_field(&at, NULL) && take_field(&at, "kms") &&
        take_field(&at, region ? region->name : NULL) && take_field(&at, account)) {
        *ret_resource = at;
    }
    if (region != NULL) {
        redoubt__region__free_unpacked(region, NULL);
    }
    return OK;
}

static enum errc resolve_alias(const struct view *view, const char *account, const char *alias,
                               char **ret, struct err *err) {
    char *key_id = NULL;
    enum errc code = view_alias(view, account, alias, &key_id);

    if (code != OK) {
        return err_default(err, code);
    }
    if (key_id == NULL) {
        return strcmp(alias, VAULT_DEFAULT_ALIAS) == 0
                   ? err_set(err, ERR_RESOURCE_NOT_FOUND, "%s has no key yet", alias)
                   : invalid_key(err);
    }
    *ret = key_id;
    return OK;
}

static enum errc resolve_id(const struct view *view, const char *account, const char *key_id,
                            char **ret, struct err *err) {
    Redoubt__Key *key = NULL;
    char *copy = NULL;
    enum errc code = view_key(view, account, key_id, &key);

    if (code != OK) {
        return err_default(err, code);
    }
    if (key == NULL) {
        return invalid_key(err);
    }
    redoubt__key__free_unpacked(key, NULL);
    copy = strdup(key_id);
    if (copy == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    *ret = copy;
    return OK;
}

enum errc vault_resolve_key(const struct view *view, const char *account, const char *kms_key_id,
                            char **ret, struct err *err) {
    const char *wanted = kms_key_id && *kms_key_id ? kms_key_id : VAULT_DEFAULT_ALIAS;
    enum errc code;

    if (starts_with(wanted, "arn:")) {
        const char *resource = NULL;
        code = arn_resource(view, account, wanted, &resource);
        if (code != OK) {
            return err_default(err, code);
        }
        if (resource != NULL && starts_with(resource, "key/")) {
            return resolve_id(view, account, resource + strlen("key/"), ret, err);
        }
        if (resource == NULL || !starts_with(resource, "alias/")) {
            return invalid_key(err);
        }
        wanted = resource;
    }
    return starts_with(wanted, "alias/") ? resolve_alias(view, account, wanted, ret, err)
                                         : resolve_id(view, account, wanted, ret, err);
}

/* Records own malloc's memory, as protobuf's free wants it. */
static bool bytes_copy(const struct buf *from, protobuf_c_boolean *has, ProtobufCBinaryData *to) {
    to->data = malloc(from->len ? from->len : 1);
    if (from->failed || to->data == NULL) {
        return false;
    }
    if (from->len > 0) {
        memcpy(to->data, from->data, from->len);
    }
    to->len = from->len;
    *has = 1;
    return true;
}

/* Adds the one version of a new key. False without memory. */
static bool key_add_version(Redoubt__Key *key, const struct buf *wrapped) {
    key->versions = calloc(1, sizeof(*key->versions));
    if (key->versions == NULL) {
        return false;
    }
    key->versions[0] = malloc(sizeof(*key->versions[0]));
    if (key->versions[0] == NULL) {
        return false;
    }
    key->n_versions = 1;
    redoubt__key_version__init(key->versions[0]);
    key->versions[0]->has_number = 1;
    key->versions[0]->number = 1;
    return bytes_copy(wrapped, &key->versions[0]->has_wrapped, &key->versions[0]->wrapped);
}

enum errc vault_new_key(struct keyring *keyring, const struct world *world, const char *account,
                        Redoubt__Key **ret, struct err *err) {
    Redoubt__Key *key = malloc(sizeof(*key));
    char id[UUID_TEXT];
    struct buf wrapped;
    enum errc code;

    if (key == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    redoubt__key__init(key);
    buf_init(&wrapped, KEYRING_KEY + KEYRING_OVERHEAD);
    world_uuid(world, id);
    code = keyring_wrap_new_key(keyring, account, id, 1, &wrapped);
    if (code == OK) {
        key->id = strdup(id);
        key->has_state = 1;
        key->state = REDOUBT__KEY_STATE__KEY_ENABLED;
        key->has_created_ms = 1;
        key->created_ms = world_wall_ms(world);
        code = key->id != NULL && key_add_version(key, &wrapped) ? OK : ERR_NO_MEMORY;
    }
    buf_fini(&wrapped);
    if (code != OK) {
        redoubt__key__free_unpacked(key, NULL);
        return err_default(err, code);
    }
    *ret = key;
    return OK;
}

/* An enabled key; ERR_CRYPTO when there is none, for the caller to name after its act. */
static enum errc usable_key(const struct view *view, const char *account, const char *key_id,
                            Redoubt__Key **ret) {
    Redoubt__Key *key = NULL;
    enum errc code = key_id ? view_key(view, account, key_id, &key) : OK;

    if (code != OK) {
        return code;
    }
    if (key == NULL || !key->has_state || key->state != REDOUBT__KEY_STATE__KEY_ENABLED) {
        if (key != NULL) {
            redoubt__key__free_unpacked(key, NULL);
        }
        return ERR_CRYPTO;
    }
    *ret = key;
    return OK;
}

static const Redoubt__KeyVersion *key_version(const Redoubt__Key *key, uint32_t number) {
    for (size_t i = 0; i < key->n_versions; i++) {
        if (key->versions[i]->has_number && key->versions[i]->number == number) {
            return key->versions[i];
        }
    }
    return NULL;
}

static struct keyring_binding binding_of(const struct vault_place *place, const char *arn,
                                         const Redoubt__Key *key,
                                         const Redoubt__KeyVersion *version) {
    return (struct keyring_binding){
        .account = place->account,
        .arn = arn,
        .version_id = place->version_id,
        .key_id = key->id,
        .key_number = version->number,
        .wrapped_key = version->wrapped.data,
        .wrapped_key_len = version->wrapped.len,
    };
}

/* What was sealed, as a record. NULL without memory. */
static Redoubt__Sealed *sealed_new(const Redoubt__Key *key, const Redoubt__KeyVersion *version,
                                   const struct buf *wrapped, const struct buf *ciphertext) {
    Redoubt__Sealed *sealed = malloc(sizeof(*sealed));

    if (sealed == NULL) {
        return NULL;
    }
    redoubt__sealed__init(sealed);
    sealed->key_id = strdup(key->id);
    sealed->has_key_version = 1;
    sealed->key_version = version->number;
    if (sealed->key_id == NULL ||
        !bytes_copy(wrapped, &sealed->has_wrapped_key, &sealed->wrapped_key) ||
        !bytes_copy(ciphertext, &sealed->has_ciphertext, &sealed->ciphertext)) {
        redoubt__sealed__free_unpacked(sealed, NULL);
        return NULL;
    }
    return sealed;
}

/* The house's errors stay what they are; what a key or a ciphertext does is the caller's `act`. */
static enum errc vault_failed(enum errc code, enum errc act, struct err *err) {
    return err_default(err, code == ERR_CRYPTO ? act : code);
}

enum errc vault_seal(struct keyring *keyring, const struct view *view,
                     const struct vault_place *place, const char *key_id, Redoubt__ValueKind kind,
                     const struct secret *value, Redoubt__Sealed **ret, uint8_t ret_digest[32],
                     struct err *err) {
    char arn[ARN_MAX];
    Redoubt__Key *key = NULL;
    Redoubt__Sealed *sealed = NULL;
    const Redoubt__KeyVersion *version;
    struct keyring_binding binding;
    struct buf wrapped;
    struct buf ciphertext;
    enum errc code = usable_key(view, place->account, key_id, &key);

    if (code != OK) {
        return vault_failed(code, ERR_ENCRYPTION_FAILURE, err);
    }
    buf_init(&wrapped, KEYRING_KEY + KEYRING_OVERHEAD);
    buf_init(&ciphertext, value->len + KEYRING_OVERHEAD);
    code = ERR_CRYPTO;
    if (key->n_versions > 0) {
        version = key->versions[key->n_versions - 1];
        secret_arn(arn, sizeof(arn), place->region, place->account, place->name, place->suffix);
        binding = binding_of(place, arn, key, version);
        code = keyring_seal(keyring, &binding, value, &wrapped, &ciphertext);
        if (code == OK) {
            sealed = sealed_new(key, version, &wrapped, &ciphertext);
            code = sealed ? OK : ERR_NO_MEMORY;
        }
    }
    buf_fini(&wrapped);
    buf_fini(&ciphertext);
    redoubt__key__free_unpacked(key, NULL);
    if (code != OK) {
        return vault_failed(code, ERR_ENCRYPTION_FAILURE, err);
    }
    /* Without the suffix: a CreateSecret that is tried again draws another, and is the same. */
    arn[strlen(arn) - LIMIT_ARN_SUFFIX - 1] = '\0';
    keyring_value_digest(keyring, place->account, arn, (int)kind, value, ret_digest);
    *ret = sealed;
    return OK;
}

/* One ciphertext alone, whatever others it has. ERR_CRYPTO: it does not open. */
static enum errc open_one(struct keyring *keyring, const struct view *view,
                          const struct vault_place *place, const Redoubt__Sealed *sealed,
                          struct secret *ret) {
    char arn[ARN_MAX];
    Redoubt__Key *key = NULL;
    const Redoubt__KeyVersion *version;
    struct keyring_binding binding;
    enum errc code = usable_key(view, place->account, sealed->key_id, &key);

    if (code != OK) {
        return code;
    }
    version = key_version(key, sealed->key_version);
    code = ERR_CRYPTO;
    if (version != NULL) {
        secret_arn(arn, sizeof(arn), place->region, place->account, place->name, place->suffix);
        binding = binding_of(place, arn, key, version);
        code =
            keyring_open_value(keyring, &binding, sealed->wrapped_key.data, sealed->wrapped_key.len,
                               sealed->ciphertext.data, sealed->ciphertext.len, ret);
    }
    redoubt__key__free_unpacked(key, NULL);
    return code;
}

enum errc vault_open(struct keyring *keyring, const struct view *view,
                     const struct vault_place *place, const Redoubt__Sealed *sealed,
                     struct secret *ret, struct err *err) {
    enum errc code = open_one(keyring, view, place, sealed, ret);

    for (size_t i = 0; code == ERR_CRYPTO && i < sealed->n_others; i++) {
        code = open_one(keyring, view, place, sealed->others[i], ret);
    }
    return code == OK ? OK : vault_failed(code, ERR_DECRYPTION_FAILURE, err);
}

enum errc vault_check_key(struct keyring *keyring, const struct view *view,
                          const struct vault_place *place, const char *key_id, struct err *err) {
    static uint8_t text[] = "RequestToValidateKeyAccess";
    const struct secret value = {.data = text, .len = sizeof(text) - 1};
    struct secret opened = {.data = NULL};
    Redoubt__Sealed *sealed = NULL;
    uint8_t digest[32];
    enum errc code = vault_seal(keyring, view, place, key_id, REDOUBT__VALUE_KIND__VALUE_STRING,
                                &value, &sealed, digest, err);

    if (code != OK) {
        return code;
    }
    code = vault_open(keyring, view, place, sealed, &opened, err);
    secret_fini(&opened);
    redoubt__sealed__free_unpacked(sealed, NULL);
    return code;
}
