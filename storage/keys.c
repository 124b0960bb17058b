#include "storage/keys.h"

#include "base/bytes.h"

#include <string.h>

/* Remove and promoted entries stand for work that must not wait behind a long queue of updates. The
 * rank is on disk; the schema's enum numbers are not. */
const Redoubt__OutboxKind key_outbox_order[KEY_OUTBOX_KINDS] = {
    REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE,
    REDOUBT__OUTBOX_KIND__OUTBOX_PROMOTED,
    REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT,
};

static bool rank_of(Redoubt__OutboxKind kind, uint8_t *ret) {
    for (uint8_t i = 0; i < KEY_OUTBOX_KINDS; i++) {
        if (key_outbox_order[i] == kind) {
            *ret = (uint8_t)(i + 1);
            return true;
        }
    }
    return false;
}

static void key_begin(struct key *key, enum key_space space) {
    key->len = 1;
    key->data[0] = (uint8_t)space;
}

static void add_byte(struct key *key, uint8_t byte) {
    CHECK(key->len < KEY_MAX);
    key->data[key->len++] = byte;
}

/* 1 to `max` bytes of text. */
static bool add_text(struct key *key, const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);

    if (len == 0 || len > max) {
        return false;
    }
    CHECK(len <= KEY_MAX - key->len);
    memcpy(key->data + key->len, text, len);
    key->len += len;
    return true;
}

/* Fixed width: so a name behind it needs no separator. */
static bool add_account(struct key *key, const char *account) {
    return strnlen(account, LIMIT_ACCOUNT + 1) == LIMIT_ACCOUNT &&
           add_text(key, account, LIMIT_ACCOUNT);
}

static bool begin_owner(struct key *out, enum key_space space, const char *account,
                        const char *name) {
    key_begin(out, space);
    return add_account(out, account) && add_text(out, name, LIMIT_NAME);
}

static bool begin_owned(struct key *out, enum key_space space, const char *account,
                        const char *name) {
    if (!begin_owner(out, space, account, name)) {
        return false;
    }
    add_byte(out, 0);
    return true;
}

bool key_secret(struct key *out, const char *account, const char *name) {
    return begin_owner(out, KEY_SPACE_SECRET, account, name);
}

bool key_order_prefix(struct key *out, const char *account) {
    key_begin(out, KEY_SPACE_ORDER);
    return add_account(out, account);
}

bool key_order(struct key *out, const char *account, uint64_t created_seq) {
    if (!key_order_prefix(out, account)) {
        return false;
    }
    put_be64(out->data + out->len, created_seq);
    out->len += sizeof(created_seq);
    return true;
}

bool key_value_prefix(struct key *out, const char *account, const char *name) {
    return begin_owned(out, KEY_SPACE_VALUE, account, name);
}

bool key_value(struct key *out, const char *account, const char *name, const char *version_id) {
    return key_value_prefix(out, account, name) && add_text(out, version_id, LIMIT_TOKEN);
}

bool key_link_prefix(struct key *out, const char *account, const char *name) {
    return begin_owned(out, KEY_SPACE_LINK, account, name);
}

bool key_link(struct key *out, const char *account, const char *name, const char *region) {
    return key_link_prefix(out, account, name) && add_text(out, region, LIMIT_REGION_NAME);
}

bool key_grave(struct key *out, const char *account, const char *name, const char *suffix) {
    return begin_owned(out, KEY_SPACE_GRAVE, account, name) &&
           add_text(out, suffix, LIMIT_ARN_SUFFIX);
}

bool key_kms(struct key *out, const char *account, const char *key_id) {
    key_begin(out, KEY_SPACE_KMS);
    return add_account(out, account) && add_text(out, key_id, LIMIT_ALIAS);
}

bool key_alias(struct key *out, const char *account, const char *alias) {
    key_begin(out, KEY_SPACE_ALIAS);
    return add_account(out, account) && add_text(out, alias, LIMIT_ALIAS);
}

void key_region(struct key *out) {
    key_begin(out, KEY_SPACE_REGION);
}

void key_join_tokens(struct key *out) {
    key_begin(out, KEY_SPACE_TOKENS);
}

void key_applied(struct key *out) {
    key_begin(out, KEY_SPACE_APPLIED);
}

void key_outbox_space(struct key *out) {
    key_begin(out, KEY_SPACE_OUTBOX);
}

bool key_outbox_prefix(struct key *out, const char *region) {
    key_outbox_space(out);
    if (!add_text(out, region, LIMIT_REGION_NAME)) {
        return false;
    }
    add_byte(out, 0);
    return true;
}

bool key_outbox_name_prefix(struct key *out, const char *region, Redoubt__OutboxKind kind,
                            const char *account, const char *name) {
    uint8_t rank;

    if (!key_outbox_prefix(out, region) || !rank_of(kind, &rank)) {
        return false;
    }
    add_byte(out, rank);
    if (!add_account(out, account) || !add_text(out, name, LIMIT_NAME)) {
        return false;
    }
    add_byte(out, 0);
    return true;
}

bool key_outbox(struct key *out, const char *region, Redoubt__OutboxKind kind, const char *account,
                const char *name, const char *suffix) {
    return key_outbox_name_prefix(out, region, kind, account, name) &&
           add_text(out, suffix, LIMIT_ARN_SUFFIX);
}

bool key_outbox_behind_region(struct key *out, const char *region) {
    if (!key_outbox_prefix(out, region)) {
        return false;
    }
    out->data[out->len - 1] = 1; /* behind "region 0 ...", before any longer region name */
    return true;
}

void key_prefix_end(struct key *out, const struct key *prefix) {
    *out = *prefix;
    /* Every key begins with a letter: something is left. */
    while (out->len > 0 && out->data[out->len - 1] == UINT8_MAX) {
        out->len--;
    }
    CHECK(out->len > 0);
    out->data[out->len - 1]++;
}

struct reader {
    const uint8_t *data;
    size_t len;
};

/* Text up to a 0, which is taken too, or up to the end; 1 to `max` bytes. */
static bool take_text(struct reader *in, char *out, size_t max, bool ends_in_zero) {
    const uint8_t *zero = in->len > 0 ? memchr(in->data, 0, in->len) : NULL;
    size_t len = zero ? (size_t)(zero - in->data) : in->len;

    if ((zero != NULL) != ends_in_zero || len == 0 || len > max) {
        return false;
    }
    memcpy(out, in->data, len);
    out[len] = '\0';
    in->data += len + (ends_in_zero ? 1 : 0);
    in->len -= len + (ends_in_zero ? 1 : 0);
    return true;
}

bool key_parse_outbox(const uint8_t *data, size_t len, char *region, struct outbox_key *ret) {
    struct reader in = {.data = data, .len = len};
    uint8_t rank;

    if (in.len == 0 || in.data[0] != KEY_SPACE_OUTBOX) {
        return false;
    }
    in.data++;
    in.len--;
    if (!take_text(&in, region, LIMIT_REGION_NAME, true) || in.len < 1 + LIMIT_ACCOUNT) {
        return false;
    }
    rank = in.data[0];
    if (rank < 1 || rank > KEY_OUTBOX_KINDS || memchr(in.data + 1, 0, LIMIT_ACCOUNT) != NULL) {
        return false;
    }
    ret->kind = key_outbox_order[rank - 1];
    memcpy(ret->account, in.data + 1, LIMIT_ACCOUNT);
    ret->account[LIMIT_ACCOUNT] = '\0';
    in.data += 1 + LIMIT_ACCOUNT;
    in.len -= 1 + LIMIT_ACCOUNT;
    return take_text(&in, ret->name, LIMIT_NAME, true) &&
           take_text(&in, ret->suffix, LIMIT_ARN_SUFFIX, false);
}

bool key_parse_order(const uint8_t *data, size_t len, uint64_t *ret_seq) {
    if (len != 1 + LIMIT_ACCOUNT + sizeof(*ret_seq) || data[0] != KEY_SPACE_ORDER) {
        return false;
    }
    *ret_seq = get_be64(data + 1 + LIMIT_ACCOUNT);
    return true;
}
