/* Values under KMS keys: sealing, opening, what refuses, and how keys are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "storage/txn.h"
#include "storage/vault.h"
#include "storage_scratch.h"

#include <string.h>

#define ACCOUNT    "123456789012"
#define INVALID_ID "The operation failed because of an invalid KMS key: Invalid keyId"

static const uint8_t root[KEYRING_KEY] = {1, 2, 3};
static struct engine *engine;
static struct keyring *keyring;
static struct txn *txn;
static char key_id[UUID_TEXT];
static const struct vault_place place = {.region = "us-east-1",
                                         .account = ACCOUNT,
                                         .name = "app/db",
                                         .suffix = "AbCdEf",
                                         .version_id = "11111111-2222-3333-4444-555555555555"};

static char *text(const char *constant) {
    return (char *)(uintptr_t)constant;
}

static int setup(void **state) {
    Redoubt__Key *key = NULL;
    Redoubt__Region region = REDOUBT__REGION__INIT;
    struct err err;

    engine = scratch_open(NULL);
    keyring = keyring_new(root, "us-east-1", world_system());
    assert_non_null(keyring);
    txn = txn_new(engine);
    region.name = text("us-east-1");
    txn_put_region(txn, &region);
    assert_int_equal(vault_new_key(keyring, world_system(), ACCOUNT, &key, &err), OK);
    (void)snprintf(key_id, sizeof(key_id), "%s", key->id);
    txn_put_key(txn, ACCOUNT, key);
    redoubt__key__free_unpacked(key, NULL);
    return 0;
}

static int teardown(void **state) {
    txn_free(txn);
    keyring_free(keyring);
    engine_close(engine);
    return 0;
}

static Redoubt__Sealed *seal(const char *value, uint8_t digest[32]) {
    struct secret secret;
    Redoubt__Sealed *sealed = NULL;
    struct err err;

    assert_true(secret_init_copy(&secret, value, strlen(value)));
    assert_int_equal(vault_seal(keyring, txn_view(txn), &place, key_id,
                                REDOUBT__VALUE_KIND__VALUE_STRING, &secret, &sealed, digest, &err),
                     OK);
    secret_fini(&secret);
    return sealed;
}

static enum errc open_at(const struct vault_place *at, const Redoubt__Sealed *sealed,
                         const char *expected) {
    struct secret secret = {.data = NULL};
    struct err err;
    enum errc code = vault_open(keyring, txn_view(txn), at, sealed, &secret, &err);

    if (code == OK) {
        assert_int_equal(secret.len, strlen(expected));
        assert_memory_equal(secret.data, expected, strlen(expected));
    } else {
        assert_null(secret.data);
        assert_int_equal(err.code, code);
    }
    secret_fini(&secret);
    return code;
}

static void test_new_key(void **state) {
    Redoubt__Key *key = NULL;
    struct err err;

    assert_int_equal(vault_new_key(keyring, world_system(), ACCOUNT, &key, &err), OK);
    assert_int_equal(strlen(key->id), UUID_TEXT - 1);
    assert_int_equal(key->state, REDOUBT__KEY_STATE__KEY_ENABLED);
    assert_int_equal(key->n_versions, 1);
    assert_int_equal(key->versions[0]->number, 1);
    assert_int_equal(key->versions[0]->wrapped.len, KEYRING_KEY + KEYRING_OVERHEAD);
    assert_true(key->has_created_ms && key->created_ms > 0);
    redoubt__key__free_unpacked(key, NULL);
}

static void test_seal_and_open(void **state) {
    uint8_t digest[32];
    Redoubt__Sealed *sealed = seal("hunter2", digest);

    assert_string_equal(sealed->key_id, key_id);
    assert_int_equal(sealed->key_version, 1);
    assert_int_equal(sealed->ciphertext.len, 7 + KEYRING_OVERHEAD);
    assert_null(memmem(sealed->ciphertext.data, sealed->ciphertext.len, "hunter2", 7));
    assert_int_equal(open_at(&place, sealed, "hunter2"), OK);
    redoubt__sealed__free_unpacked(sealed, NULL);
    sealed = seal("", digest);
    assert_int_equal(open_at(&place, sealed, ""), OK);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* Through the store and back: what was put opens. */
static void test_survives_the_store(void **state) {
    uint8_t digest[32];
    Redoubt__Sealed *sealed = seal("hunter2", digest);
    Redoubt__Sealed *stored = NULL;

    txn_put_value(txn, ACCOUNT, place.name, place.version_id, sealed);
    redoubt__sealed__free_unpacked(sealed, NULL);
    txn_commit(txn, 1);
    assert_int_equal(view_value(txn_view(txn), ACCOUNT, place.name, place.version_id, &stored), OK);
    assert_int_equal(open_at(&place, stored, "hunter2"), OK);
    redoubt__sealed__free_unpacked(stored, NULL);
}

static void test_digest_recognises(void **state) {
    uint8_t one[32];
    uint8_t two[32];
    uint8_t other[32];
    Redoubt__Sealed *a = seal("same", one);
    Redoubt__Sealed *b = seal("same", two);
    Redoubt__Sealed *c = seal("Same", other);

    assert_memory_equal(one, two, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
    /* Equal content, but never the same bytes on disk. */
    assert_memory_not_equal(a->ciphertext.data, b->ciphertext.data, a->ciphertext.len);
    redoubt__sealed__free_unpacked(a, NULL);
    redoubt__sealed__free_unpacked(b, NULL);
    redoubt__sealed__free_unpacked(c, NULL);
}

static void test_moved_does_not_open(void **state) {
    uint8_t digest[32];
    Redoubt__Sealed *sealed = seal("hunter2", digest);
    struct vault_place at = place;

    at.name = "app/dc";
    assert_int_equal(open_at(&at, sealed, NULL), ERR_DECRYPTION_FAILURE);
    at = place;
    at.suffix = "AbCdEg";
    assert_int_equal(open_at(&at, sealed, NULL), ERR_DECRYPTION_FAILURE);
    at = place;
    at.version_id = "11111111-2222-3333-4444-555555555556";
    assert_int_equal(open_at(&at, sealed, NULL), ERR_DECRYPTION_FAILURE);
    at = place;
    at.account = "123456789013"; /* has no such key either */
    assert_int_equal(open_at(&at, sealed, NULL), ERR_DECRYPTION_FAILURE);
    sealed->ciphertext.data[sealed->ciphertext.len - 1] ^= 1;
    assert_int_equal(open_at(&place, sealed, NULL), ERR_DECRYPTION_FAILURE);
    sealed->ciphertext.data[sealed->ciphertext.len - 1] ^= 1;
    sealed->key_version = 2;
    assert_int_equal(open_at(&place, sealed, NULL), ERR_DECRYPTION_FAILURE);
    sealed->key_version = 1;
    sealed->wrapped_key.len = 3;
    assert_int_equal(open_at(&place, sealed, NULL), ERR_DECRYPTION_FAILURE);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

static void set_key_state(Redoubt__KeyState state_now) {
    Redoubt__Key *key = NULL;

    assert_int_equal(view_key(txn_view(txn), ACCOUNT, key_id, &key), OK);
    key->state = state_now;
    txn_put_key(txn, ACCOUNT, key);
    redoubt__key__free_unpacked(key, NULL);
}

static enum errc try_seal(const char *with, struct err *err) {
    struct secret secret;
    Redoubt__Sealed *sealed = NULL;
    uint8_t digest[32];
    enum errc code;

    assert_true(secret_init_copy(&secret, "x", 1));
    code = vault_seal(keyring, txn_view(txn), &place, with, REDOUBT__VALUE_KIND__VALUE_BINARY,
                      &secret, &sealed, digest, err);
    secret_fini(&secret);
    if (code == OK) {
        redoubt__sealed__free_unpacked(sealed, NULL);
    } else {
        assert_null(sealed);
    }
    return code;
}

static void test_unusable_keys(void **state) {
    static const Redoubt__KeyState states[] = {REDOUBT__KEY_STATE__KEY_DISABLED,
                                               REDOUBT__KEY_STATE__KEY_PENDING_DELETION};
    uint8_t digest[32];
    Redoubt__Sealed *sealed = seal("hunter2", digest);
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        set_key_state(states[i]);
        assert_int_equal(try_seal(key_id, &err), ERR_ENCRYPTION_FAILURE);
        assert_string_equal(err.message, errc_sentence(ERR_ENCRYPTION_FAILURE));
        assert_int_equal(open_at(&place, sealed, NULL), ERR_DECRYPTION_FAILURE);
    }
    set_key_state(REDOUBT__KEY_STATE__KEY_ENABLED);
    assert_int_equal(open_at(&place, sealed, "hunter2"), OK);
    assert_int_equal(try_seal("no-such-key", &err), ERR_ENCRYPTION_FAILURE);
    assert_int_equal(try_seal(NULL, &err), ERR_ENCRYPTION_FAILURE);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* A new, enabled key of the account; its id in `id`. */
static void make_key(char id[UUID_TEXT]) {
    Redoubt__Key *key = NULL;
    struct err err;

    assert_int_equal(vault_new_key(keyring, world_system(), ACCOUNT, &key, &err), OK);
    (void)snprintf(id, UUID_TEXT, "%s", key->id);
    txn_put_key(txn, ACCOUNT, key);
    redoubt__key__free_unpacked(key, NULL);
}

static Redoubt__Sealed *seal_with(const char *with, const char *value) {
    struct secret secret;
    Redoubt__Sealed *sealed = NULL;
    uint8_t digest[32];
    struct err err;

    assert_true(secret_init_copy(&secret, value, strlen(value)));
    assert_int_equal(vault_seal(keyring, txn_view(txn), &place, with,
                                REDOUBT__VALUE_KIND__VALUE_STRING, &secret, &sealed, digest, &err),
                     OK);
    secret_fini(&secret);
    return sealed;
}

/* AWS_BEHAVIOUR 5: either key can decrypt. The former ciphertext is tried when the present one does
 * not open, and not before. */
static void test_former_keys_open(void **state) {
    uint8_t digest[32];
    char next[UUID_TEXT];
    Redoubt__Sealed *sealed;

    make_key(next);
    sealed = seal_with(next, "new");
    sealed->others = calloc(1, sizeof(*sealed->others));
    sealed->others[0] = seal("old", digest); /* another text, to see which one was opened */
    sealed->n_others = 1;
    assert_int_equal(open_at(&place, sealed, "new"), OK);
    set_key_state(REDOUBT__KEY_STATE__KEY_DISABLED);
    assert_int_equal(open_at(&place, sealed, "new"), OK);
    set_key_state(REDOUBT__KEY_STATE__KEY_ENABLED);
    (void)snprintf(sealed->key_id, strlen(sealed->key_id) + 1, "gone");
    assert_int_equal(open_at(&place, sealed, "old"), OK);
    set_key_state(REDOUBT__KEY_STATE__KEY_DISABLED);
    assert_int_equal(open_at(&place, sealed, NULL), ERR_DECRYPTION_FAILURE);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

static void test_check_key(void **state) {
    struct err err;

    assert_int_equal(vault_check_key(keyring, txn_view(txn), &place, key_id, &err), OK);
    set_key_state(REDOUBT__KEY_STATE__KEY_DISABLED);
    assert_int_equal(vault_check_key(keyring, txn_view(txn), &place, key_id, &err),
                     ERR_ENCRYPTION_FAILURE);
    set_key_state(REDOUBT__KEY_STATE__KEY_ENABLED);
    assert_int_equal(vault_check_key(keyring, txn_view(txn), &place, "none", &err),
                     ERR_ENCRYPTION_FAILURE);
}

/* The last version seals, the former ones still open. */
static void test_key_versions(void **state) {
    uint8_t digest[32];
    Redoubt__Sealed *old = seal("old", digest);
    Redoubt__Sealed *new;
    Redoubt__Key *key = NULL;
    Redoubt__KeyVersion second = REDOUBT__KEY_VERSION__INIT;
    Redoubt__KeyVersion *versions[2];
    Redoubt__KeyVersion **former;
    struct buf wrapped;

    buf_init(&wrapped, 1024);
    assert_int_equal(keyring_wrap_new_key(keyring, ACCOUNT, key_id, 2, &wrapped), OK);
    assert_int_equal(view_key(txn_view(txn), ACCOUNT, key_id, &key), OK);
    second.has_number = 1;
    second.number = 2;
    second.has_wrapped = 1;
    second.wrapped.data = wrapped.data;
    second.wrapped.len = wrapped.len;
    versions[0] = key->versions[0];
    versions[1] = &second;
    former = key->versions;
    key->versions = versions;
    key->n_versions = 2;
    txn_put_key(txn, ACCOUNT, key);
    key->versions = former;
    key->n_versions = 1;
    redoubt__key__free_unpacked(key, NULL);
    buf_fini(&wrapped);
    new = seal("new", digest);
    assert_int_equal(new->key_version, 2);
    assert_int_equal(open_at(&place, new, "new"), OK);
    assert_int_equal(open_at(&place, old, "old"), OK);
    redoubt__sealed__free_unpacked(old, NULL);
    redoubt__sealed__free_unpacked(new, NULL);
}

static void assert_resolves(const char *name) {
    char *found = NULL;
    struct err err = {.message = ""};
    enum errc code = vault_resolve_key(txn_view(txn), ACCOUNT, name, &found, &err);

    assert_string_equal(err.message, "");
    assert_int_equal(code, OK);
    assert_string_equal(found, key_id);
    free(found);
}

static void assert_does_not_resolve(const char *name, enum errc code) {
    char *found = NULL;
    struct err err;

    assert_int_equal(vault_resolve_key(txn_view(txn), ACCOUNT, name, &found, &err), code);
    assert_null(found);
    if (code == ERR_INVALID_PARAMETER) {
        assert_string_equal(err.message, INVALID_ID);
    }
}

static void test_resolve(void **state) {
    char arn[256];
    char long_name[LIMIT_KMS_KEY_ID + 1];
    static const char *const bad[] = {
        "no-such-key",
        "aws/secretsmanager", /* the bare name of an alias */
        "alias/none",
        "alias/",
        "key/x",
        "arn:aws:kms:us-east-1:" ACCOUNT ":key/",
        "arn:aws:kms:us-east-1:" ACCOUNT ":alias/none",
        "arn:aws:kms:us-east-1:" ACCOUNT ":alias",
        "arn:aws:kms:us-east-1:" ACCOUNT,
        "arn:aws:kms:eu-west-1:" ACCOUNT ":alias/mine",
        "arn:aws:kms::" ACCOUNT ":alias/mine",
        "arn:aws:kms:us-east-1:210987654321:alias/mine",
        "arn:aws:kms:us-east-1:1234567890123:alias/mine",
        "arn::kms:us-east-1:" ACCOUNT ":alias/mine",
        "arn:aws:s3:us-east-1:" ACCOUNT ":alias/mine",
        "arn:",
    };

    /* Before the default key exists, its absence is told apart from a wrong name. */
    assert_does_not_resolve(NULL, ERR_RESOURCE_NOT_FOUND);
    assert_does_not_resolve("", ERR_RESOURCE_NOT_FOUND);
    assert_does_not_resolve(VAULT_DEFAULT_ALIAS, ERR_RESOURCE_NOT_FOUND);
    assert_does_not_resolve("arn:aws:kms:us-east-1:" ACCOUNT ":" VAULT_DEFAULT_ALIAS,
                            ERR_RESOURCE_NOT_FOUND);
    txn_put_alias(txn, ACCOUNT, VAULT_DEFAULT_ALIAS, key_id);
    txn_put_alias(txn, ACCOUNT, "alias/mine", key_id);
    assert_resolves(NULL);
    assert_resolves("");
    assert_resolves(VAULT_DEFAULT_ALIAS);
    assert_resolves("alias/mine");
    assert_resolves(key_id);
    assert_resolves("arn:aws:kms:us-east-1:" ACCOUNT ":alias/mine");
    assert_resolves("arn:aws-cn:kms:us-east-1:" ACCOUNT ":" VAULT_DEFAULT_ALIAS);
    (void)snprintf(arn, sizeof(arn), "arn:aws:kms:us-east-1:" ACCOUNT ":key/%s", key_id);
    assert_resolves(arn);
    (void)snprintf(arn, sizeof(arn), "arn:aws:kms:us-east-1:" ACCOUNT ":key/%s:x", key_id);
    assert_does_not_resolve(arn, ERR_INVALID_PARAMETER);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_does_not_resolve(bad[i], ERR_INVALID_PARAMETER);
    }
    memset(long_name, 'a', sizeof(long_name));
    long_name[LIMIT_KMS_KEY_ID] = '\0';
    assert_does_not_resolve(long_name, ERR_INVALID_PARAMETER);
    memcpy(long_name, "alias/", 6);
    assert_does_not_resolve(long_name, ERR_INVALID_PARAMETER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_new_key),           TEST(test_seal_and_open),       TEST(test_survives_the_store),
        TEST(test_digest_recognises), TEST(test_moved_does_not_open), TEST(test_unusable_keys),
        TEST(test_former_keys_open),  TEST(test_check_key),           TEST(test_key_versions),
        TEST(test_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
