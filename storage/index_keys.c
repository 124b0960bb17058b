#include "storage/index_keys.h"

#include "base/bytes.h"

#include <string.h>

static void add_bytes(struct key *key, const void *bytes, size_t len) {
    CHECK(len <= KEY_MAX - key->len);
    memcpy(key->data + key->len, bytes, len);
    key->len += len;
}

static void add_byte(struct key *key, uint8_t byte) {
    add_bytes(key, &byte, 1);
}

static void add_seq(struct key *key, uint64_t seq) {
    uint8_t bytes[8];

    put_be64(bytes, seq);
    add_bytes(key, bytes, sizeof(bytes));
}

static void add_time(struct key *key, int64_t when) {
    add_seq(key, (uint64_t)when ^ 1ULL << 63);
}

static void begin(struct key *key, enum index_space space) {
    key->len = 0;
    add_byte(key, (uint8_t)space);
}

bool index_key_prefix(struct key *out, enum index_space space, const char *account) {
    if (strnlen(account, LIMIT_ACCOUNT + 1) != LIMIT_ACCOUNT) {
        return false;
    }
    begin(out, space);
    add_bytes(out, account, LIMIT_ACCOUNT);
    return true;
}

void index_key_format(struct key *out) {
    begin(out, INDEX_SPACE_FORMAT);
}

bool index_key_count(struct key *out, const char *account) {
    return index_key_prefix(out, INDEX_SPACE_COUNT, account);
}

bool index_key_secret(struct key *out, const char *account, uint64_t seq) {
    if (!index_key_prefix(out, INDEX_SPACE_SECRET, account)) {
        return false;
    }
    add_seq(out, seq);
    return true;
}

bool index_key_name_prefix(struct key *out, const char *account, const char *prefix) {
    size_t len = strnlen(prefix, LIMIT_NAME + 1);

    if (len > LIMIT_NAME || !index_key_prefix(out, INDEX_SPACE_NAME, account)) {
        return false;
    }
    add_bytes(out, prefix, len);
    return true;
}

bool index_key_name(struct key *out, const char *account, const char *name) {
    return name[0] != '\0' && index_key_name_prefix(out, account, name);
}

bool index_key_when(struct key *out, enum index_space space, const char *account, int64_t when,
                    uint64_t seq) {
    if (!index_key_prefix(out, space, account)) {
        return false;
    }
    add_time(out, when);
    add_seq(out, seq);
    return true;
}

void index_key_due_prefix(struct key *out) {
    begin(out, INDEX_SPACE_DUE);
}

bool index_key_due(struct key *out, const struct due *due) {
    size_t len = strnlen(due->name, LIMIT_NAME + 1);

    if (strnlen(due->account, LIMIT_ACCOUNT + 1) != LIMIT_ACCOUNT || len == 0 || len > LIMIT_NAME) {
        return false;
    }
    index_key_due_prefix(out);
    add_time(out, due->due_ms);
    add_byte(out, (uint8_t)due->kind);
    add_bytes(out, due->account, LIMIT_ACCOUNT);
    add_bytes(out, due->name, len);
    return true;
}

bool index_key_term_prefix(struct key *out, const char *account, enum index_field field,
                           const char *gram, size_t gram_len) {
    if (!index_key_prefix(out, INDEX_SPACE_TERM, account)) {
        return false;
    }
    CHECK(gram_len <= GRAM_MAX);
    add_byte(out, (uint8_t)field);
    add_bytes(out, gram, gram_len);
    add_byte(out, 0);
    return true;
}

bool index_key_term(struct key *out, const char *account, enum index_field field, const char *gram,
                    size_t gram_len, uint64_t seq) {
    if (!index_key_term_prefix(out, account, field, gram, gram_len)) {
        return false;
    }
    add_seq(out, seq);
    return true;
}

bool index_key_seq(const uint8_t *data, size_t len, uint64_t *ret) {
    if (len < 1 + LIMIT_ACCOUNT + sizeof(*ret)) {
        return false;
    }
    *ret = get_be64(data + len - sizeof(*ret));
    return true;
}

bool index_parse_due(const uint8_t *data, size_t len, struct due *ret, char *account, char *name) {
    enum { HEAD = 1 + 8 + 1 + LIMIT_ACCOUNT };
    size_t name_len;

    if (len <= HEAD || len > HEAD + LIMIT_NAME || data[0] != INDEX_SPACE_DUE ||
        (data[9] != DUE_PURGE && data[9] != DUE_PRUNE)) {
        return false;
    }
    name_len = len - HEAD;
    memcpy(account, data + 10, LIMIT_ACCOUNT);
    account[LIMIT_ACCOUNT] = '\0';
    memcpy(name, data + HEAD, name_len);
    name[name_len] = '\0';
    *ret = (struct due){
        .kind = (enum due_kind)data[9],
        .due_ms = (int64_t)(get_be64(data + 1) ^ 1ULL << 63),
        .account = account,
        .name = name,
    };
    return true;
}
