#include "storage/log_codec.h"

#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"

/* Every value begins with: 0 u8 version   1 u8 type or kind   2 u16 zero   4 u32 crc32c. */
enum { LOG_VERSION = 1, META_HEAD = 8, SNAPSHOT_FIXED = 32 };
enum meta_kind { META_VOTE = 1, META_SNAPSHOT = 2, META_COMMITS = 3, META_ORIGIN = 4 };

static uint32_t entry_crc(uint64_t index, const uint8_t head[LOG_ENTRY_HEAD], const uint8_t *data,
                          size_t len) {
    uint8_t key[LOG_KEY];
    uint32_t crc;

    put_be64(key, index);
    crc = crc32c(0, key, sizeof(key));
    crc = crc32c(crc, head, 4);
    crc = crc32c(crc, head + 8, 8);
    return crc32c(crc, data, len);
}

void log_entry_head(uint64_t index, const struct log_entry *entry, uint8_t out[LOG_ENTRY_HEAD]) {
    out[0] = LOG_VERSION;
    out[1] = entry->type;
    put_le16(out + 2, 0);
    put_le64(out + 8, entry->term);
    put_le32(out + 4, entry_crc(index, out, entry->data, entry->len));
}

enum errc log_entry_decode(uint64_t index, const uint8_t *data, size_t len, struct log_entry *ret) {
    if (len < LOG_ENTRY_HEAD ||
        get_le32(data + 4) != entry_crc(index, data, data + LOG_ENTRY_HEAD, len - LOG_ENTRY_HEAD)) {
        return ERR_CORRUPT;
    }
    /* After the checksum, which every version keeps at its place: damage is not a later release. */
    if (data[0] != LOG_VERSION) {
        return ERR_LEVEL;
    }
    ret->type = data[1];
    ret->term = get_le64(data + 8);
    ret->data = data + LOG_ENTRY_HEAD;
    ret->len = len - LOG_ENTRY_HEAD;
    return OK;
}

static uint32_t meta_crc(const uint8_t *data, size_t len) {
    return crc32c(crc32c(0, data, 4), data + META_HEAD, len - META_HEAD);
}

/* Head and checksum, around a payload that is already there. */
static void meta_close(enum meta_kind kind, uint8_t *data, size_t len) {
    data[0] = LOG_VERSION;
    data[1] = (uint8_t)kind;
    put_le16(data + 2, 0);
    put_le32(data + 4, meta_crc(data, len));
}

static enum errc meta_check(enum meta_kind kind, const uint8_t *data, size_t len) {
    if (len < META_HEAD || get_le32(data + 4) != meta_crc(data, len)) {
        return ERR_CORRUPT;
    }
    if (data[0] != LOG_VERSION) {
        return ERR_LEVEL;
    }
    return data[1] == (uint8_t)kind ? OK : ERR_CORRUPT;
}

void log_vote_encode(uint64_t term, uint64_t voted_for, uint8_t out[LOG_VOTE_SIZE]) {
    put_le64(out + META_HEAD, term);
    put_le64(out + META_HEAD + 8, voted_for);
    meta_close(META_VOTE, out, LOG_VOTE_SIZE);
}

enum errc log_vote_decode(const uint8_t *data, size_t len, uint64_t *ret_term,
                          uint64_t *ret_voted_for) {
    enum errc code = meta_check(META_VOTE, data, len);

    if (code != OK || len != LOG_VOTE_SIZE) {
        return code != OK ? code : ERR_CORRUPT;
    }
    *ret_term = get_le64(data + META_HEAD);
    *ret_voted_for = get_le64(data + META_HEAD + 8);
    return OK;
}

void log_snapshot_encode(struct buf *out, const struct log_snapshot *snapshot) {
    static const uint8_t head[META_HEAD];
    size_t start = out->len;

    if (snapshot->configuration_len > LIMIT_SNAPSHOT_META ||
        snapshot->manifest_len > LIMIT_SNAPSHOT_META) {
        out->failed = true;
        return;
    }
    buf_append(out, head, sizeof(head));
    buf_append_le64(out, snapshot->index);
    buf_append_le64(out, snapshot->term);
    buf_append_le64(out, snapshot->configuration_index);
    buf_append_le32(out, (uint32_t)snapshot->configuration_len);
    buf_append_le32(out, (uint32_t)snapshot->manifest_len);
    buf_append(out, snapshot->configuration, snapshot->configuration_len);
    buf_append(out, snapshot->manifest, snapshot->manifest_len);
    if (!out->failed) {
        meta_close(META_SNAPSHOT, out->data + start, out->len - start);
    }
}

enum errc log_snapshot_decode(const uint8_t *data, size_t len, struct log_snapshot *ret) {
    enum errc code = meta_check(META_SNAPSHOT, data, len);
    const uint8_t *fixed = data + META_HEAD;
    size_t configuration_len;
    size_t manifest_len;

    if (code != OK) {
        return code;
    }
    if (len < META_HEAD + SNAPSHOT_FIXED) {
        return ERR_CORRUPT;
    }
    configuration_len = get_le32(fixed + 24);
    manifest_len = get_le32(fixed + 28);
    if (len - META_HEAD - SNAPSHOT_FIXED != configuration_len + manifest_len) {
        return ERR_CORRUPT;
    }
    ret->index = get_le64(fixed);
    ret->term = get_le64(fixed + 8);
    ret->configuration_index = get_le64(fixed + 16);
    ret->configuration = fixed + SNAPSHOT_FIXED;
    ret->configuration_len = configuration_len;
    ret->manifest = fixed + SNAPSHOT_FIXED + configuration_len;
    ret->manifest_len = manifest_len;
    return OK;
}

void log_commits_encode(uint64_t commits, uint8_t out[LOG_COMMITS_SIZE]) {
    put_le64(out + META_HEAD, commits);
    meta_close(META_COMMITS, out, LOG_COMMITS_SIZE);
}

enum errc log_commits_decode(const uint8_t *data, size_t len, uint64_t *ret) {
    enum errc code = meta_check(META_COMMITS, data, len);

    if (code != OK || len != LOG_COMMITS_SIZE) {
        return code != OK ? code : ERR_CORRUPT;
    }
    *ret = get_le64(data + META_HEAD);
    return OK;
}

void log_origin_encode(uint64_t origin, uint8_t out[LOG_ORIGIN_SIZE]) {
    put_le64(out + META_HEAD, origin);
    meta_close(META_ORIGIN, out, LOG_ORIGIN_SIZE);
}

enum errc log_origin_decode(const uint8_t *data, size_t len, uint64_t *ret) {
    enum errc code = meta_check(META_ORIGIN, data, len);

    if (code != OK || len != LOG_ORIGIN_SIZE) {
        return code != OK ? code : ERR_CORRUPT;
    }
    *ret = get_le64(data + META_HEAD);
    return OK;
}
