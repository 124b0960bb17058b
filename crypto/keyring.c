#include "crypto/keyring.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* Opened KMS keys, found by the digest of everything that opening them would check: a hit is as
 * strict as an opening. Sets of a few ways instead of one list, so that a look-up stays short. */
enum {
    CACHE_SETS = 64, /* a power of two; 256 keys in 40 KiB */
    CACHE_WAYS = 4
};

struct cache_entry {
    uint8_t name[DIGEST_SIZE];
    uint8_t key[KEYRING_KEY];
    uint64_t used; /* 0: empty */
};

/* Lives in pages of its own that are kept out of core dumps and, where the system allows it, out of
 * swap. */
struct keyring {
    const struct world *world;
    char region[LIMIT_REGION_NAME + 1];
    uint8_t wrap_key[KEYRING_KEY]; /* all three derived from the root key */
    uint8_t digest_key[KEYRING_KEY];
    uint8_t token_key[KEYRING_KEY];
    pthread_mutex_t lock; /* guards what is below */
    uint64_t ticks;
    struct cache_entry cache[CACHE_SETS][CACHE_WAYS];
};

/* The additional data of a layer: its label, then each text, every one behind its length, then the
 * number. Two different sets of fields never give the same bytes. */
enum { AAD_TEXTS_MAX = 5 };
struct aad {
    const char *label;
    const char *texts[AAD_TEXTS_MAX];
    size_t n_texts;
    uint32_t number;
};

static EVP_CIPHER *aes_gcm; /* fetched once, never freed */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
    aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    CHECK(aes_gcm != NULL);
}

static void free_context(EVP_CIPHER_CTX **ctx) {
    EVP_CIPHER_CTX_free(*ctx);
}

/* OpenSSL's queue of errors is emptied, so that it never explains somebody else's failure. */
static enum errc crypto_failed(void) {
    ERR_clear_error();
    return ERR_CRYPTO;
}

static bool feed_text(EVP_CIPHER_CTX *ctx, const char *text) {
    size_t len = strlen(text);
    uint8_t prefix[4];
    int n;

    if (len > INT_MAX) {
        return false;
    }
    put_le32(prefix, (uint32_t)len);
    return EVP_CipherUpdate(ctx, NULL, &n, prefix, sizeof(prefix)) == 1 &&
           (len == 0 || EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)text, (int)len) == 1);
}

static bool feed_aad(EVP_CIPHER_CTX *ctx, const struct aad *aad) {
    uint8_t number[4];
    int n;

    if (!feed_text(ctx, aad->label)) {
        return false;
    }
    for (size_t i = 0; i < aad->n_texts; i++) {
        if (!feed_text(ctx, aad->texts[i])) {
            return false;
        }
    }
    put_le32(number, aad->number);
    return EVP_CipherUpdate(ctx, NULL, &n, number, sizeof(number)) == 1;
}

/* Append nonce, ciphertext and tag. A nonce is 96 random bits: a KMS key wraps one data key a
 * version, far below the 2^32 messages where chance collisions begin to matter, and a data key
 * seals one value. */
static enum errc gcm_seal(const struct world *world, const uint8_t key[KEYRING_KEY],
                          const struct aad *aad, const uint8_t *plain, size_t len,
                          struct buf *out) {
    AUTO(free_context) EVP_CIPHER_CTX *ctx = NULL;
    uint8_t *at;
    int n;

    if (len > INT_MAX - KEYRING_OVERHEAD) {
        return ERR_CRYPTO;
    }
    at = buf_reserve(out, len + KEYRING_OVERHEAD);
    if (at == NULL) {
        return ERR_NO_MEMORY;
    }
    world_random(world, at, KEYRING_NONCE);
    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL || EVP_EncryptInit_ex2(ctx, aes_gcm, key, at, NULL) != 1 ||
        !feed_aad(ctx, aad) ||
        (len > 0 && EVP_EncryptUpdate(ctx, at + KEYRING_NONCE, &n, plain, (int)len) != 1) ||
        EVP_EncryptFinal_ex(ctx, at + KEYRING_NONCE + len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KEYRING_TAG, at + KEYRING_NONCE + len) !=
            1) {
        return crypto_failed();
    }
    out->len += len + KEYRING_OVERHEAD;
    return OK;
}

/* `plain` has room for len - KEYRING_OVERHEAD bytes; its content is garbage after a failure, and
 * must be wiped. */
static enum errc gcm_open(const uint8_t key[KEYRING_KEY], const struct aad *aad,
                          const uint8_t *sealed, size_t len, uint8_t *plain) {
    AUTO(free_context) EVP_CIPHER_CTX *ctx = NULL;
    size_t plain_len;
    uint8_t tag[KEYRING_TAG];
    int n;

    CHECK(len >= KEYRING_OVERHEAD);
    plain_len = len - KEYRING_OVERHEAD;
    if (plain_len > INT_MAX) {
        return ERR_CRYPTO;
    }
    memcpy(tag, sealed + KEYRING_NONCE + plain_len, KEYRING_TAG);
    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL || EVP_DecryptInit_ex2(ctx, aes_gcm, key, sealed, NULL) != 1 ||
        !feed_aad(ctx, aad) ||
        (plain_len > 0 &&
         EVP_DecryptUpdate(ctx, plain, &n, sealed + KEYRING_NONCE, (int)plain_len) != 1) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KEYRING_TAG, tag) != 1 ||
        EVP_DecryptFinal_ex(ctx, plain + plain_len, &n) != 1) {
        return crypto_failed();
    }
    return OK;
}

/* Take back what was appended since `len`. */
static void undo_append(struct buf *buf, size_t len) {
    wipe(buf->data + len, buf->len - len);
    buf->len = len;
}

static struct aad kms_key_aad(const struct keyring *keyring, const char *account,
                              const char *key_id, uint32_t number) {
    return (struct aad){"redoubt kms key", {account, keyring->region, key_id}, 3, number};
}

/* The number is bound through the KMS key itself, and in the data key. The value leaves it out: a
 * data key can be wrapped again under a newer KMS key without touching the value. */
static struct aad value_aad(const struct keyring *keyring, const struct keyring_binding *b,
                            const char *label, uint32_t number) {
    return (struct aad){
        label, {b->account, keyring->region, b->arn, b->version_id, b->key_id}, 5, number};
}

enum errc keyring_root_create(const char *path, const struct world *world, struct err *err) {
    uint8_t root[KEYRING_KEY];
    char text[2 * KEYRING_KEY + 1];
    enum errc errc;

    world_random(world, root, sizeof(root));
    hex_encode(root, sizeof(root), text);
    text[2 * KEYRING_KEY] = '\n';
    errc = key_file_create(path, KEY_FILE_PRIVATE, text, sizeof(text), err);
    wipe(root, sizeof(root));
    wipe(text, sizeof(text));
    return errc;
}

enum errc keyring_open(const char *root_path, const char *region, const struct world *world,
                       struct keyring **ret, struct err *err) {
    struct secret text = {NULL, 0};
    uint8_t root[KEYRING_KEY];
    struct keyring *keyring;
    size_t len;
    enum errc errc = key_file_read(root_path, KEY_FILE_PRIVATE, sizeof(root) * 2 + 1, &text, err);

    if (errc != OK) {
        return errc;
    }
    len = text.len;
    if (len > 0 && text.data[len - 1] == '\n') {
        len--;
    }
    if (!hex_decode((const char *)text.data, len, root, sizeof(root))) {
        errc = err_set(err, ERR_CORRUPT, "%s is not a root key: 64 hexadecimal digits are expected",
                       root_path);
        goto out;
    }
    keyring = keyring_new(root, region, world);
    if (keyring == NULL) {
        errc = err_default(err, ERR_NO_MEMORY);
        goto out;
    }
    *ret = keyring;
out:
    wipe(root, sizeof(root));
    secret_fini(&text);
    return errc;
}

struct keyring *keyring_new(const uint8_t root[KEYRING_KEY], const char *region,
                            const struct world *world) {
    struct keyring *keyring;
    size_t region_len = strlen(region);

    CHECK(region_len < sizeof(keyring->region));
    CHECK(pthread_once(&fetched, fetch) == 0);
    keyring =
        mmap(NULL, sizeof(*keyring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (keyring == MAP_FAILED) {
        return NULL;
    }
    /* Both are a second line of defence and may be refused by the system's limits. */
    (void)madvise(keyring, sizeof(*keyring), MADV_DONTDUMP);
    (void)mlock(keyring, sizeof(*keyring));
    keyring->world = world;
    memcpy(keyring->region, region, region_len + 1);
    digest_hkdf(root, KEYRING_KEY, "redoubt wrap kms keys", keyring->wrap_key);
    digest_hkdf(root, KEYRING_KEY, "redoubt value digest", keyring->digest_key);
    digest_hkdf(root, KEYRING_KEY, "redoubt tokens", keyring->token_key);
    CHECK(pthread_mutex_init(&keyring->lock, NULL) == 0);
    return keyring;
}

void keyring_free(struct keyring *keyring) {
    if (keyring == NULL) {
        return;
    }
    CHECK(pthread_mutex_destroy(&keyring->lock) == 0);
    wipe(keyring, sizeof(*keyring));
    CHECK(munmap(keyring, sizeof(*keyring)) == 0);
}

enum errc keyring_wrap_new_key(struct keyring *keyring, const char *account, const char *key_id,
                               uint32_t number, struct buf *out) {
    const struct aad aad = kms_key_aad(keyring, account, key_id, number);
    uint8_t key[KEYRING_KEY];
    enum errc errc;

    world_random(keyring->world, key, sizeof(key));
    errc = gcm_seal(keyring->world, keyring->wrap_key, &aad, key, sizeof(key), out);
    wipe(key, sizeof(key));
    return errc;
}

static void cache_name(const struct keyring_binding *b, uint8_t out[DIGEST_SIZE]) {
    uint8_t lengths[16];
    const struct digest_piece pieces[] = {{lengths, sizeof(lengths)},
                                          {b->account, strlen(b->account)},
                                          {b->key_id, strlen(b->key_id)},
                                          {b->wrapped_key, b->wrapped_key_len}};

    put_le32(lengths, (uint32_t)pieces[1].len);
    put_le32(lengths + 4, (uint32_t)pieces[2].len);
    put_le32(lengths + 8, (uint32_t)pieces[3].len);
    put_le32(lengths + 12, b->key_number);
    digest_hmac_pieces("kms key cache", 13, pieces, ARRAY_LEN(pieces), out);
}

static struct cache_entry *cache_set(struct keyring *keyring, const uint8_t name[DIGEST_SIZE]) {
    return keyring->cache[name[0] % CACHE_SETS];
}

static bool cache_get(struct keyring *keyring, const uint8_t name[DIGEST_SIZE],
                      uint8_t key[KEYRING_KEY]) {
    struct cache_entry *set = cache_set(keyring, name);
    bool found = false;

    CHECK(pthread_mutex_lock(&keyring->lock) == 0);
    for (size_t i = 0; i < CACHE_WAYS && !found; i++) {
        if (set[i].used != 0 && memcmp(set[i].name, name, DIGEST_SIZE) == 0) {
            set[i].used = ++keyring->ticks;
            memcpy(key, set[i].key, KEYRING_KEY);
            found = true;
        }
    }
    CHECK(pthread_mutex_unlock(&keyring->lock) == 0);
    return found;
}

/* Takes the place of the entry that was not used for longest. Two threads that open the same key at
 * once may both put it: the second overwrites the first or wastes a way. */
static void cache_put(struct keyring *keyring, const uint8_t name[DIGEST_SIZE],
                      const uint8_t key[KEYRING_KEY]) {
    struct cache_entry *set = cache_set(keyring, name);
    struct cache_entry *victim = &set[0];

    CHECK(pthread_mutex_lock(&keyring->lock) == 0);
    for (size_t i = 1; i < CACHE_WAYS; i++) {
        if (set[i].used < victim->used) {
            victim = &set[i];
        }
    }
    memcpy(victim->name, name, DIGEST_SIZE);
    memcpy(victim->key, key, KEYRING_KEY);
    victim->used = ++keyring->ticks;
    CHECK(pthread_mutex_unlock(&keyring->lock) == 0);
}

/* The KMS key of a binding. */
static enum errc open_kms_key(struct keyring *keyring, const struct keyring_binding *b,
                              uint8_t key[KEYRING_KEY]) {
    const struct aad aad = kms_key_aad(keyring, b->account, b->key_id, b->key_number);
    uint8_t name[DIGEST_SIZE];
    enum errc errc;

    if (b->wrapped_key_len != KEYRING_KEY + KEYRING_OVERHEAD) {
        return ERR_CRYPTO;
    }
    cache_name(b, name);
    if (cache_get(keyring, name, key)) {
        return OK;
    }
    errc = gcm_open(keyring->wrap_key, &aad, b->wrapped_key, b->wrapped_key_len, key);
    if (errc == OK) {
        cache_put(keyring, name, key);
    }
    return errc;
}

enum errc keyring_seal(struct keyring *keyring, const struct keyring_binding *binding,
                       const struct secret *value, struct buf *ret_wrapped_data_key,
                       struct buf *ret_ciphertext) {
    const struct aad data_key_aad =
        value_aad(keyring, binding, "redoubt data key", binding->key_number);
    const struct aad aad = value_aad(keyring, binding, "redoubt value", 0);
    uint8_t kms_key[KEYRING_KEY], data_key[KEYRING_KEY];
    size_t wrapped_before = ret_wrapped_data_key->len;
    enum errc errc;

    world_random(keyring->world, data_key, sizeof(data_key));
    errc = open_kms_key(keyring, binding, kms_key);
    if (errc != OK) {
        goto out;
    }
    errc = gcm_seal(keyring->world, kms_key, &data_key_aad, data_key, sizeof(data_key),
                    ret_wrapped_data_key);
    if (errc != OK) {
        goto out;
    }
    errc = gcm_seal(keyring->world, data_key, &aad, value->data, value->len, ret_ciphertext);
    if (errc != OK) {
        undo_append(ret_wrapped_data_key, wrapped_before);
    }
out:
    wipe(kms_key, sizeof(kms_key));
    wipe(data_key, sizeof(data_key));
    return errc;
}

enum errc keyring_open_value(struct keyring *keyring, const struct keyring_binding *binding,
                             const uint8_t *wrapped_data_key, size_t wrapped_len,
                             const uint8_t *ciphertext, size_t ciphertext_len, struct secret *ret) {
    const struct aad data_key_aad =
        value_aad(keyring, binding, "redoubt data key", binding->key_number);
    const struct aad aad = value_aad(keyring, binding, "redoubt value", 0);
    uint8_t kms_key[KEYRING_KEY], data_key[KEYRING_KEY];
    struct secret value = {NULL, 0};
    enum errc errc;

    if (wrapped_len != KEYRING_KEY + KEYRING_OVERHEAD || ciphertext_len < KEYRING_OVERHEAD) {
        return ERR_CRYPTO;
    }
    errc = open_kms_key(keyring, binding, kms_key);
    if (errc != OK) {
        goto out;
    }
    errc = gcm_open(kms_key, &data_key_aad, wrapped_data_key, wrapped_len, data_key);
    if (errc != OK) {
        goto out;
    }
    if (!secret_init(&value, ciphertext_len - KEYRING_OVERHEAD)) {
        errc = ERR_NO_MEMORY;
        goto out;
    }
    errc = gcm_open(data_key, &aad, ciphertext, ciphertext_len, value.data);
    if (errc == OK) {
        *ret = value;
        value = (struct secret){NULL, 0};
    }
out:
    secret_fini(&value);
    wipe(kms_key, sizeof(kms_key));
    wipe(data_key, sizeof(data_key));
    return errc;
}

void keyring_value_digest(const struct keyring *keyring, const char *account, const char *arn,
                          int kind, const struct secret *value, uint8_t out[32]) {
    uint8_t head[12];
    const struct digest_piece pieces[] = {{head, sizeof(head)},
                                          {account, strlen(account)},
                                          {arn, strlen(arn)},
                                          {value->data, value->len}};

    put_le32(head, (uint32_t)kind);
    put_le32(head + 4, (uint32_t)pieces[1].len);
    put_le32(head + 8, (uint32_t)pieces[2].len);
    digest_hmac_pieces(keyring->digest_key, KEYRING_KEY, pieces, ARRAY_LEN(pieces), out);
}

void keyring_token_key(const struct keyring *keyring, uint8_t out[32]) {
    memcpy(out, keyring->token_key, KEYRING_KEY);
}
