#include "storage/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "storage/record_cache.h"
#include "storage/view_inner.h"

void storage_die(const char *doing, enum errc code, const char *detail) {
    LOG_ERROR("storage.fatal", F_STR("doing", doing), F_STR("error", errc_sentence(code)),
              F_STR("detail", detail));
    abort();
}

struct view *view_new(struct engine *engine) {
    struct view *view = calloc(1, sizeof(*view));

    if (view == NULL) {
        return NULL;
    }
    view->engine = engine;
    view->options = rocksdb_readoptions_create();
    view->snapshot = rocksdb_create_snapshot(engine->db);
    rocksdb_readoptions_set_snapshot(view->options, view->snapshot);
    atomic_fetch_add(&engine->views, 1);
    return view;
}

void view_free(struct view *view) {
    if (view == NULL) {
        return;
    }
    rocksdb_release_snapshot(view->engine->db, view->snapshot);
    rocksdb_readoptions_destroy(view->options);
    atomic_fetch_sub(&view->engine->views, 1);
    free(view);
}

enum errc view_outcome(const struct view *view, enum errc code, const char *doing) {
    if (code != OK && view->batch != NULL) {
        storage_die(doing, code, "");
    }
    return code;
}

enum errc view_failed(const struct view *view, char *message) {
    struct err err;
    enum errc code = rocks_result(message, "cannot read the state", &err);

    /* A table of the live store does not match its checksum: what else it holds is no better, and a
     * node that goes on would lead, and be copied. */
    if (code == ERR_CORRUPT && view->engine->use == ENGINE_LIVE) {
        storage_die("reading the state; rebuild this node from its peers (redoubt node rebuild)",
                    code, err.message);
    }
    if (code != OK && view->batch != NULL) {
        storage_die("reading the state", code, err.message);
    }
    return code;
}

enum errc view_hold(const struct view *view, enum family family_of, const struct key *key,
                    struct held *ret) {
    rocksdb_column_family_handle_t *family = view->engine->families[family_of];
    struct held held = {.data = NULL};
    const char *data;
    char *message = NULL;

    if (view->batch != NULL &&
        record_cache_find(view->known, family_of, key, &held.data, &held.len)) {
        *ret = held;
        return OK;
    }
    if (view->batch != NULL) {
        held.copy = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
            view->batch, view->engine->db, view->options, family, (const char *)key->data, key->len,
            &held.len, &message);
        data = held.copy;
    } else {
        held.pin = rocksdb_get_pinned_cf(view->engine->db, view->options, family,
                                         (const char *)key->data, key->len, &message);
        data = held.pin ? rocksdb_pinnableslice_value(held.pin, &held.len) : NULL;
    }
    if (message != NULL) {
        view_release(&held);
        return view_failed(view, message);
    }
    held.data = (const uint8_t *)data;
    if (view->batch != NULL) {
        record_cache_add(view->known, family_of, key, held.data, held.len);
    }
    *ret = held;
    return OK;
}

void view_release(struct held *held) {
    if (held->pin != NULL) {
        rocksdb_pinnableslice_destroy(held->pin);
    }
    rocksdb_free(held->copy);
    *held = (struct held){.data = NULL};
}

enum errc view_record(const struct view *view, const struct key *key, enum record_kind kind,
                      ProtobufCMessage **ret) {
    struct held held = {.data = NULL};
    ProtobufCMessage *message = NULL;
    enum errc code = view_hold(view, FAMILY_STATE, key, &held);

    if (code == OK && held.data != NULL) {
        code = record_unpack(kind, held.data, held.len, &message);
    }
    view_release(&held);
    if (code == OK) {
        *ret = message;
    }
    return code;
}

/* The two ways in: a record whose key could be built, or nothing, since nothing of such a name can
 * have been stored. */
static enum errc get_message(const struct view *view, bool has_key, const struct key *key,
                             enum record_kind kind, void **ret) {
    ProtobufCMessage *message = NULL;
    enum errc code = has_key ? view_record(view, key, kind, &message) : OK;

    if (code == OK) {
        *ret = message;
    }
    return view_outcome(view, code, "reading a record");
}

enum errc view_secret(const struct view *view, const char *account, const char *name,
                      Redoubt__Secret **ret) {
    struct key key;
    void *message = NULL;
    enum errc code =
        get_message(view, key_secret(&key, account, name), &key, RECORD_SECRET, &message);

    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_value(const struct view *view, const char *account, const char *name,
                     const char *version_id, Redoubt__Sealed **ret) {
    struct key key;
    void *message = NULL;
    enum errc code =
        get_message(view, key_value(&key, account, name, version_id), &key, RECORD_VALUE, &message);

    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_link(const struct view *view, const char *account, const char *name,
                    const char *region, Redoubt__Link **ret) {
    struct key key;
    void *message = NULL;
    enum errc code =
        get_message(view, key_link(&key, account, name, region), &key, RECORD_LINK, &message);

    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_outbox(const struct view *view, const char *region, const char *account,
                      const char *name, const char *suffix, Redoubt__Outbox **ret) {
    struct key key;
    void *message = NULL;
    enum errc code = OK;

    /* The kind is in the key, and there is one entry at most. */
    for (size_t i = 0; code == OK && message == NULL && i < KEY_OUTBOX_KINDS; i++) {
        code =
            get_message(view, key_outbox(&key, region, key_outbox_order[i], account, name, suffix),
                        &key, RECORD_OUTBOX, &message);
    }
    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_grave(const struct view *view, const char *account, const char *name,
                     const char *suffix, Redoubt__Grave **ret) {
    struct key key;
    void *message = NULL;
    enum errc code =
        get_message(view, key_grave(&key, account, name, suffix), &key, RECORD_GRAVE, &message);

    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_key(const struct view *view, const char *account, const char *key_id,
                   Redoubt__Key **ret) {
    struct key key;
    void *message = NULL;
    enum errc code = get_message(view, key_kms(&key, account, key_id), &key, RECORD_KEY, &message);

    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_region(const struct view *view, Redoubt__Region **ret) {
    struct key key;
    void *message = NULL;
    enum errc code;

    key_region(&key);
    code = get_message(view, true, &key, RECORD_REGION, &message);
    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_level(const struct view *view, unsigned *ret) {
    Redoubt__Region *region = NULL;
    enum errc code = view_region(view, &region);

    *ret = region != NULL && region->has_level ? region->level : VIEW_LEVEL_FIRST;
    redoubt__region__free_unpacked(region, NULL);
    return code;
}

enum errc view_join_tokens(const struct view *view, Redoubt__JoinTokens **ret) {
    struct key key;
    void *message = NULL;
    enum errc code;

    key_join_tokens(&key);
    code = get_message(view, true, &key, RECORD_JOIN_TOKENS, &message);
    if (code == OK) {
        *ret = message;
    }
    return code;
}

enum errc view_alias(const struct view *view, const char *account, const char *alias, char **ret) {
    struct key key;
    struct held held = {.data = NULL};
    const uint8_t *payload = NULL;
    size_t len = 0;
    char *key_id = NULL;
    enum errc code = OK;

    if (key_alias(&key, account, alias)) {
        code = view_hold(view, FAMILY_STATE, &key, &held);
    }
    if (code == OK && held.data != NULL) {
        code = record_unpack_bytes(RECORD_ALIAS, held.data, held.len, &payload, &len);
    }
    if (code == OK && payload != NULL) {
        key_id = strndup((const char *)payload, len);
        code = key_id ? OK : ERR_NO_MEMORY;
    }
    view_release(&held);
    if (code == OK) {
        *ret = key_id;
    }
    return view_outcome(view, code, "reading an alias");
}

enum errc view_applied(const struct view *view, uint64_t *ret) {
    struct key key;
    struct held held = {.data = NULL};
    const uint8_t *payload = NULL;
    size_t len = 0;
    enum errc code;

    key_applied(&key);
    code = view_hold(view, FAMILY_STATE, &key, &held);
    if (code == OK && held.data != NULL) {
        code = record_unpack_bytes(RECORD_APPLIED, held.data, held.len, &payload, &len);
        if (code == OK && len != sizeof(*ret)) {
            code = ERR_CORRUPT;
        }
    }
    if (code == OK) {
        *ret = payload ? get_le64(payload) : 0;
    }
    view_release(&held);
    return view_outcome(view, code, "reading the applied index");
}
