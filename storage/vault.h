/* Sealing and opening the values of records: the meeting of keys (crypto/keyring) and key records
 * (view).
 *
 * Any thread. Plaintext goes in and out as struct secret only. */
#ifndef STORAGE_VAULT_H
#define STORAGE_VAULT_H

#include "base/errc.h"
#include "base/wipe.h"
#include "crypto/keyring.h"
#include "storage/view.h"

#define VAULT_DEFAULT_ALIAS "alias/aws/secretsmanager"

/* The key id that `kms_key_id` (NULL, "", id, ARN or alias) names in this region.
 * ERR_RESOURCE_NOT_FOUND: the default alias has no key yet; ERR_INVALID_PARAMETER with AWS's
 * sentence: nothing of that name. *ret owned (free). */
MUSTCHECK enum errc vault_resolve_key(const struct view *view, const char *account,
                                      const char *kms_key_id, char **ret, struct err *err);

/* A new key record with wrapped material, for KeyCreate. Returns owned. */
MUSTCHECK enum errc vault_new_key(struct keyring *keyring, const struct world *world,
                                  const char *account, Redoubt__Key **ret, struct err *err);

/* What a value is bound to. */
struct vault_place {
    const char *region; /* this region's name */
    const char *account;
    const char *name;
    const char *suffix;
    const char *version_id;
};

/* Seal under `key_id`. *ret owned (redoubt__sealed__free_unpacked); the digest recognises equal
 * content. ERR_ENCRYPTION_FAILURE: the key is not usable. */
MUSTCHECK enum errc vault_seal(struct keyring *keyring, const struct view *view,
                               const struct vault_place *place, const char *key_id,
                               Redoubt__ValueKind kind, const struct secret *value,
                               Redoubt__Sealed **ret, uint8_t ret_digest[32], struct err *err);
/* Open: by the key that it is sealed under, or by one of its former ones (`others`), in order. *ret
 * owned (secret_fini). ERR_DECRYPTION_FAILURE: none of the keys is usable, or the ciphertext is not
 * this place's. */
MUSTCHECK enum errc vault_open(struct keyring *keyring, const struct view *view,
                               const struct vault_place *place, const Redoubt__Sealed *sealed,
                               struct secret *ret, struct err *err);
/* Does this key seal and open values of this secret? As the service looks at a key that a caller
 * names: by doing both. `place` has a version id that no version has. ERR_ENCRYPTION_FAILURE,
 * ERR_DECRYPTION_FAILURE. */
MUSTCHECK enum errc vault_check_key(struct keyring *keyring, const struct view *view,
                                    const struct vault_place *place, const char *key_id,
                                    struct err *err);

#endif
