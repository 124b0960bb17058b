/* The part of view.h that walks over keys in order. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "storage/view.h"
#include "storage/view_inner.h"

void scan_begin(struct scan *scan, const struct view *view, const struct key *prefix,
                const struct key *from) {
    scan_begin_in(scan, view, FAMILY_STATE, prefix, from, false);
}

void scan_begin_in(struct scan *scan, const struct view *view, enum family family_of,
                   const struct key *prefix, const struct key *from, bool descending) {
    rocksdb_column_family_handle_t *family = view->engine->families[family_of];

    scan->view = view;
    scan->descending = descending;
    scan->prefix = *prefix;
    scan->options = rocksdb_readoptions_create();
    if (view->snapshot != NULL) {
        rocksdb_readoptions_set_snapshot(scan->options, view->snapshot);
    }
    if (prefix->len > 0) {
        /* Saves reading dead keys behind the last one (before the first one). The batch's side of a
           merged iterator knows no bound: scan_get looks at the prefix itself. */
        key_prefix_end(&scan->end, prefix);
        rocksdb_readoptions_set_iterate_upper_bound(scan->options, (const char *)scan->end.data,
                                                    scan->end.len);
        rocksdb_readoptions_set_iterate_lower_bound(scan->options, (const char *)scan->prefix.data,
                                                    scan->prefix.len);
    }
    scan->it = rocksdb_create_iterator_cf(view->engine->db, scan->options, family);
    if (view->batch != NULL) {
        scan->it =
            rocksdb_writebatch_wi_create_iterator_with_base_cf(view->batch, scan->it, family);
    }
    if (from != NULL) {
        scan_seek(scan, from);
    } else if (!descending) {
        scan_seek(scan, prefix);
    } else {
        const uint8_t *key;
        size_t len;
        CHECK(prefix->len > 0);
        scan_seek(scan, &scan->end);
        /* The end may be a key itself, of another list. */
        if (rocksdb_iter_valid(scan->it) && !scan_get(scan, &key, &len)) {
            scan_next(scan);
        }
    }
}

bool scan_get(struct scan *scan, const uint8_t **ret_key, size_t *ret_key_len) {
    const char *key;
    size_t len;

    if (!rocksdb_iter_valid(scan->it)) {
        return false;
    }
    key = rocksdb_iter_key(scan->it, &len);
    if (len < scan->prefix.len || memcmp(key, scan->prefix.data, scan->prefix.len) != 0) {
        return false;
    }
    *ret_key = (const uint8_t *)key;
    *ret_key_len = len;
    return true;
}

const uint8_t *scan_value(struct scan *scan, size_t *ret_len) {
    return (const uint8_t *)rocksdb_iter_value(scan->it, ret_len);
}

void scan_next(struct scan *scan) {
    if (scan->descending) {
        rocksdb_iter_prev(scan->it);
    } else {
        rocksdb_iter_next(scan->it);
    }
}

void scan_seek(struct scan *scan, const struct key *to) {
    if (scan->descending) {
        rocksdb_iter_seek_for_prev(scan->it, (const char *)to->data, to->len);
    } else {
        rocksdb_iter_seek(scan->it, (const char *)to->data, to->len);
    }
}

enum errc scan_end(struct scan *scan) {
    char *message = NULL;

    rocksdb_iter_get_error(scan->it, &message);
    rocksdb_iter_destroy(scan->it);
    rocksdb_readoptions_destroy(scan->options);
    return message ? view_failed(scan->view, message) : OK;
}

enum errc scan_any(const struct view *view, const struct key *prefix, bool *ret) {
    struct scan scan;
    const uint8_t *key;
    size_t len;

    scan_begin(&scan, view, prefix, NULL);
    *ret = scan_get(&scan, &key, &len);
    return scan_end(&scan);
}

static enum errc links_add(struct view_links *links, size_t *room, ProtobufCMessage *message) {
    if (links->n == *room) {
        size_t more = *room ? *room * 2 : 8;
        Redoubt__Link **items = reallocarray(links->items, more, sizeof(*items));
        if (items == NULL) {
            protobuf_c_message_free_unpacked(message, NULL);
            return ERR_NO_MEMORY;
        }
        links->items = items;
        *room = more;
    }
    links->items[links->n++] = (Redoubt__Link *)(void *)message;
    return OK;
}

enum errc view_links(const struct view *view, const char *account, const char *name,
                     struct view_links *ret) {
    struct view_links links = {.n = 0};
    size_t room = 0;
    struct key prefix;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;
    enum errc end_code;

    if (!key_link_prefix(&prefix, account, name)) {
        *ret = links;
        return OK;
    }
    scan_begin(&scan, view, &prefix, NULL);
    for (; code == OK && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        ProtobufCMessage *message = NULL;
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        code = record_unpack(RECORD_LINK, value, len, &message);
        if (code == OK) {
            code = links_add(&links, &room, message);
        }
    }
    end_code = scan_end(&scan);
    code = code == OK ? end_code : code;
    if (code == OK) {
        *ret = links;
    } else {
        view_links_free(&links);
    }
    return view_outcome(view, code, "reading the links of a secret");
}

void view_links_free(struct view_links *links) {
    for (size_t i = 0; i < links->n; i++) {
        redoubt__link__free_unpacked(links->items[i], NULL);
    }
    free(links->items);
    *links = (struct view_links){.n = 0};
}

/* The secret that a row of the order index names: one without the other is damage. */
static enum errc order_row_secret(const struct view *view, const char *account,
                                  const uint8_t *value, size_t len, Redoubt__Secret **ret) {
    const uint8_t *payload;
    size_t payload_len;
    char name[LIMIT_NAME + 1];
    Redoubt__Secret *secret = NULL;
    enum errc code = record_unpack_bytes(RECORD_ORDER, value, len, &payload, &payload_len);

    if (code != OK) {
        return code;
    }
    if (payload_len > LIMIT_NAME) {
        return ERR_CORRUPT;
    }
    memcpy(name, payload, payload_len);
    name[payload_len] = '\0';
    code = view_secret(view, account, name, &secret);
    if (code == OK && secret == NULL) {
        return ERR_CORRUPT;
    }
    if (code == OK) {
        *ret = secret;
    }
    return code;
}

enum errc view_each_secret(const struct view *view, const char *account, uint64_t after_seq,
                           bool (*each)(void *arg, const Redoubt__Secret *secret), void *arg) {
    struct key prefix;
    struct key from;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    bool wants_more = true;
    enum errc code = OK;
    enum errc end_code;

    if (after_seq == UINT64_MAX || !key_order_prefix(&prefix, account) ||
        !key_order(&from, account, after_seq + 1)) {
        return OK;
    }
    scan_begin(&scan, view, &prefix, after_seq == 0 ? NULL : &from);
    for (; code == OK && wants_more && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        Redoubt__Secret *secret = NULL;
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        code = order_row_secret(view, account, value, len, &secret);
        if (code == OK) {
            wants_more = each(arg, secret);
            redoubt__secret__free_unpacked(secret, NULL);
        }
    }
    end_code = scan_end(&scan);
    return view_outcome(view, code == OK ? end_code : code, "reading the secrets of an account");
}

enum errc view_each_outbox(const struct view *view, const char *region,
                           const struct outbox_key *after,
                           bool (*each)(void *arg, const struct outbox_key *key,
                                        const Redoubt__Outbox *entry),
                           void *arg) {
    char parsed_region[LIMIT_REGION_NAME + 1];
    struct key prefix;
    struct key from;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    bool wants_more = true;
    enum errc code = OK;
    enum errc end_code;

    if (!key_outbox_prefix(&prefix, region)) {
        return OK;
    }
    if (after != NULL) {
        CHECK(key_outbox(&from, region, after->kind, after->account, after->name, after->suffix));
        from.data[from.len++] = 0; /* the first key behind this one */
    }
    scan_begin(&scan, view, &prefix, after ? &from : NULL);
    for (; code == OK && wants_more && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        struct outbox_key place;
        ProtobufCMessage *message = NULL;
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        code = key_parse_outbox(key, key_len, parsed_region, &place) ? OK : ERR_CORRUPT;
        if (code == OK) {
            code = record_unpack(RECORD_OUTBOX, value, len, &message);
        }
        if (code == OK) {
            wants_more = each(arg, &place, (const Redoubt__Outbox *)(const void *)message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
    }
    end_code = scan_end(&scan);
    return view_outcome(view, code == OK ? end_code : code, "reading the outbox");
}

enum errc view_outbox_has_notice(const struct view *view, const char *region, const char *account,
                                 const char *name, bool *ret) {
    bool found = false;
    enum errc code = OK;

    for (size_t i = 0; code == OK && !found && i < KEY_OUTBOX_KINDS; i++) {
        struct key prefix;
        if (key_outbox_order[i] == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT ||
            !key_outbox_name_prefix(&prefix, region, key_outbox_order[i], account, name)) {
            continue;
        }
        code = scan_any(view, &prefix, &found);
    }
    if (code == OK) {
        *ret = found;
    }
    return view_outcome(view, code, "reading the outbox");
}

enum errc view_each_outbox_region(const struct view *view,
                                  bool (*each)(void *arg, const char *region), void *arg) {
    struct key prefix;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    bool wants_more = true;
    enum errc code = OK;
    enum errc end_code;

    key_outbox_space(&prefix);
    scan_begin(&scan, view, &prefix, NULL);
    while (code == OK && wants_more && scan_get(&scan, &key, &key_len)) {
        char region[LIMIT_REGION_NAME + 1];
        struct outbox_key place;
        struct key behind;
        if (!key_parse_outbox(key, key_len, region, &place) ||
            !key_outbox_behind_region(&behind, region)) {
            code = ERR_CORRUPT;
            continue;
        }
        wants_more = each(arg, region);
        scan_seek(&scan, &behind); /* over all of the region's entries at once */
    }
    end_code = scan_end(&scan);
    return view_outcome(view, code == OK ? end_code : code, "reading the regions of the outbox");
}

/* FNV-1a, 64 bits: to compare two nodes that do not try to deceive each other. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t len) {
    uint8_t length[4];

    put_le32(length, (uint32_t)len); /* so that key and value cannot trade bytes */
    for (size_t i = 0; i < sizeof(length); i++) {
        hash = (hash ^ length[i]) * 0x100000001b3U;
    }
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * 0x100000001b3U;
    }
    return hash;
}

enum errc view_state_hash(const struct view *view, uint64_t *ret) {
    const struct key everything = {.len = 0};
    struct key applied;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    uint64_t hash = 0xcbf29ce484222325U;
    enum errc code;

    key_applied(&applied);
    scan_begin(&scan, view, &everything, NULL);
    for (; scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        if (key_len == applied.len && memcmp(key, applied.data, key_len) == 0) {
            continue;
        }
        hash = hash_bytes(hash, key, key_len);
        hash = hash_bytes(hash, value, len);
    }
    code = scan_end(&scan);
    if (code == OK) {
        *ret = hash;
    }
    return view_outcome(view, code, "hashing the state");
}
