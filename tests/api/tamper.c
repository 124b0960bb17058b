/* Changes a region's store while its server is stopped, so that errors which no request can bring
 * about come over HTTP: a KMS key in another state, a record that was damaged, another KMS key.
 *
 *   tamper STORE key-state ACCOUNT STATE             all KMS keys of the account; STATE as KeyState
 *   tamper STORE damage-secret ACCOUNT NAME          the secret's record is no record any more
 *   tamper STORE damage-value ACCOUNT NAME VERSION   nor is that of one of its values
 *   tamper STORE damage-keys ACCOUNT                 nor are those of its KMS keys
 *   tamper STORE new-key ACCOUNT ALIAS ROOT REGION   a KMS key; prints its id
 *
 * For tests only: the change bypasses the log, so a region of several nodes would come apart. */
#include "base/limits.h"
#include "base/world.h"
#include "crypto/keyring.h"
#include "storage/engine_inner.h"
#include "storage/keys.h"
#include "storage/txn.h"
#include "storage/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct engine *engine;

static void die(const char *what) {
    (void)fprintf(stderr, "tamper: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct txn *begin(uint64_t *ret_applied) {
    struct view *view = view_new(engine);

    if (view == NULL || view_applied(view, ret_applied) != OK) {
        die("no applied index");
    }
    view_free(view);
    return txn_new(engine);
}

/* Nothing that a server wrote begins with a zero. */
static void damage(const struct key *key) {
    char *message = NULL;

    rocksdb_put_cf(engine->db, engine->write, engine->families[FAMILY_STATE],
                   (const char *)key->data, key->len, "\0damaged", 8, &message);
    if (message != NULL) {
        die(message);
    }
}

/* Every KMS key of the account: the record as it lies there. */
static void each_key(const char *account,
                     void (*each)(const struct key *, const uint8_t *, size_t, const char *account,
                                  long state),
                     long state) {
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(engine->db, engine->read, engine->families[FAMILY_STATE]);
    struct key prefix = {.len = 1 + strlen(account)};
    unsigned found = 0;

    prefix.data[0] = KEY_SPACE_KMS;
    memcpy(prefix.data + 1, account, strlen(account));
    for (rocksdb_iter_seek(it, (const char *)prefix.data, prefix.len); rocksdb_iter_valid(it);
         rocksdb_iter_next(it)) {
        struct key key;
        size_t len;
        const char *at = rocksdb_iter_key(it, &key.len);
        const char *value = rocksdb_iter_value(it, &len);
        if (key.len > KEY_MAX || key.len < prefix.len || memcmp(at, prefix.data, prefix.len) != 0) {
            break;
        }
        memcpy(key.data, at, key.len);
        each(&key, (const uint8_t *)value, len, account, state);
        found++;
    }
    rocksdb_iter_destroy(it);
    if (found == 0) {
        die("no such key");
    }
}

static void damage_key(const struct key *key, const uint8_t *value, size_t len, const char *account,
                       long state) {
    damage(key);
}

static void set_key_state(const struct key *key, const uint8_t *value, size_t len,
                          const char *account, long state) {
    char id[LIMIT_ALIAS + 1];
    uint64_t applied = 0;
    struct txn *txn = begin(&applied);
    struct view *view = view_new(engine);
    Redoubt__Key *record = NULL;
    size_t head = 1 + strlen(account);

    (void)snprintf(id, sizeof(id), "%.*s", (int)(key->len - head), (const char *)key->data + head);
    if (view == NULL || view_key(view, account, id, &record) != OK || record == NULL) {
        die("no key record");
    }
    record->has_state = true;
    record->state = (Redoubt__KeyState)state;
    txn_put_key(txn, account, record);
    txn_commit(txn, applied);
    redoubt__key__free_unpacked(record, NULL);
    view_free(view);
    txn_free(txn);
}

static void new_key(const char *account, const char *alias, const char *root, const char *region) {
    struct err err = {.code = OK};
    struct keyring *keyring = NULL;
    Redoubt__Key *record = NULL;
    uint64_t applied = 0;
    struct txn *txn = begin(&applied);

    if (keyring_open(root, region, world_system(), &keyring, &err) != OK ||
        vault_new_key(keyring, world_system(), account, &record, &err) != OK) {
        die(err.message);
    }
    txn_put_key(txn, account, record);
    txn_put_alias(txn, account, alias, record->id);
    txn_commit(txn, applied);
    (void)printf("%s\n", record->id);
    redoubt__key__free_unpacked(record, NULL);
    keyring_free(keyring);
    txn_free(txn);
}

static void run(int argc, char **argv) {
    const char *what = argv[2];
    const char *account = argv[3];
    struct key key;

    if (argc == 5 && strcmp(what, "key-state") == 0) {
        each_key(account, set_key_state, strtol(argv[4], NULL, 10));
    } else if (argc == 5 && strcmp(what, "damage-secret") == 0) {
        if (!key_secret(&key, account, argv[4])) {
            die("no such name");
        }
        damage(&key);
    } else if (argc == 6 && strcmp(what, "damage-value") == 0) {
        if (!key_value(&key, account, argv[4], argv[5])) {
            die("no such name");
        }
        damage(&key);
    } else if (argc == 4 && strcmp(what, "damage-keys") == 0) {
        each_key(account, damage_key, 0);
    } else if (argc == 7 && strcmp(what, "new-key") == 0) {
        new_key(account, argv[4], argv[5], argv[6]);
    } else {
        die("usage: see the head of tamper.c");
    }
}

int main(int argc, char **argv) {
    struct err err = {.code = OK};
    struct engine_options options = {.path = argc > 3 ? argv[1] : ""};
    char *message = NULL;

    if (argc < 4) {
        die("usage: see the head of tamper.c");
    }
    if (engine_open(&options, &engine, &err) != OK) {
        die(err.message);
    }
    run(argc, argv);
    rocksdb_flush_wal(engine->db, 1, &message);
    if (message != NULL) {
        die(message);
    }
    engine_close(engine);
    return EXIT_SUCCESS;
}
