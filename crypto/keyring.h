/* Envelope encryption: the root key of a region, KMS keys under it, data keys under those, values
 * under data keys.
 *
 * Every layer is AES-256-GCM, laid out as nonce (12), ciphertext, tag (16). Additional data bind a
 * KMS key to account, region, key id and number; a value and its data key to account, region, ARN,
 * version id and key id: a ciphertext that was moved does not open. The keyring keeps the root key
 * and a bounded cache of opened KMS keys in wiped memory. Any thread. */
#ifndef CRYPTO_KEYRING_H
#define CRYPTO_KEYRING_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/wipe.h"
#include "base/world.h"

#include <stdint.h>

enum {
    KEYRING_KEY = 32,
    KEYRING_NONCE = 12,
    KEYRING_TAG = 16,
    KEYRING_OVERHEAD = KEYRING_NONCE + KEYRING_TAG
};

struct keyring;

/* A new root key file: 64 hex digits and a newline, mode 0600; never overwrites. */
MUSTCHECK enum errc keyring_root_create(const char *path, const struct world *world,
                                        struct err *err);

/* Read the root key. Refuses a file that others can read. Returns owned. `region` is copied into
 * every additional data. */
MUSTCHECK enum errc keyring_open(const char *root_path, const char *region,
                                 const struct world *world, struct keyring **ret, struct err *err);
/* A keyring with this root key, for tests and the simulation. */
struct keyring *keyring_new(const uint8_t root[KEYRING_KEY], const char *region,
                            const struct world *world);
void keyring_free(struct keyring *keyring);

/* Fresh KMS key material, wrapped under the root key, appended to `out`. */
MUSTCHECK enum errc keyring_wrap_new_key(struct keyring *keyring, const char *account,
                                         const char *key_id, uint32_t number, struct buf *out);

/* What a ciphertext is bound to. */
struct keyring_binding {
    const char *account;
    const char *arn;
    const char *version_id;
    const char *key_id;
    uint32_t key_number;
    const uint8_t *wrapped_key; /* the KMS key's material under the root key */
    size_t wrapped_key_len;
};

/* A fresh data key, wrapped, and the value under it. Appends to both. */
MUSTCHECK enum errc keyring_seal(struct keyring *keyring, const struct keyring_binding *binding,
                                 const struct secret *value, struct buf *ret_wrapped_data_key,
                                 struct buf *ret_ciphertext);
/* ERR_CRYPTO when anything does not match. *ret is owned by the caller (secret_fini). */
MUSTCHECK enum errc keyring_open_value(struct keyring *keyring,
                                       const struct keyring_binding *binding,
                                       const uint8_t *wrapped_data_key, size_t wrapped_len,
                                       const uint8_t *ciphertext, size_t ciphertext_len,
                                       struct secret *ret);

/* Recognises equal content without keeping it: HMAC of kind, account, ARN and value under a key
 * derived from the root key. */
void keyring_value_digest(const struct keyring *keyring, const char *account, const char *arn,
                          int kind, const struct secret *value, uint8_t out[32]);
/* A key for authenticating tokens that we hand out (NextToken), derived from the root key. */
void keyring_token_key(const struct keyring *keyring, uint8_t out[32]);

#endif
