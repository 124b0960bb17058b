#include "cluster/core_message.h"

#include "base/buf.h"
#include "base/bytes.h"

#include <string.h>

enum {
    HEADER = 4,
    VOTE = 4 * 8,
    VOTE_RESULT = 8 + 2 + 2,
    APPEND = 4 * 8 + 4,
    APPEND_RESULT = 3 * 8 + 2 + 2,
    INSTALL = 4 * 8 + 4 + 4, /* and what the two lengths say */
    TIMEOUT = 3 * 8,
    READ = 2 * 8,      /* READ_INDEX: and the index */
    ENTRY = 8 + 1 + 4, /* and its data */
    FLAG_FIRST = 1,    /* disrupt, granted */
    FLAG_PRE_VOTE = 2,
    VOTE_VERSION_MIN = 2, /* below, libraft takes a pre-vote's result for a vote */
};

/* No term and no index ever comes near: sums of them cannot wrap. */
static const uint64_t number_max = UINT64_C(1) << 62;

/* An index and the term of its entry are both zero, or both are not and lie in range. */
static bool position_is_valid(uint64_t index, uint64_t term, uint64_t term_max) {
    return (index == 0) == (term == 0) && index < number_max && term <= term_max;
}

static enum errc decode_vote(struct core_bytes body, uint8_t flags, uint64_t peer,
                             struct raft_request_vote *ret) {
    if (body.len != VOTE || ret->version < VOTE_VERSION_MIN) {
        return ERR_MALFORMED;
    }
    ret->term = get_le64(body.data);
    ret->candidate_id = get_le64(body.data + 8);
    ret->last_log_index = get_le64(body.data + 16);
    ret->last_log_term = get_le64(body.data + 24);
    ret->disrupt_leader = (flags & FLAG_FIRST) != 0;
    ret->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    if (ret->candidate_id != peer ||
        !position_is_valid(ret->last_log_index, ret->last_log_term, ret->term)) {
        return ERR_MALFORMED;
    }
    return OK;
}

static enum errc decode_vote_result(struct core_bytes body, uint8_t flags,
                                    struct raft_request_vote_result *ret) {
    if (body.len != VOTE_RESULT || ret->version < VOTE_VERSION_MIN) {
        return ERR_MALFORMED;
    }
    ret->term = get_le64(body.data);
    ret->features = get_le16(body.data + 8);
    ret->capacity = get_le16(body.data + 10);
    ret->vote_granted = (flags & FLAG_FIRST) != 0;
    ret->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    return OK;
}

struct core_entry core_message_next_entry(struct core_bytes *entries) {
    struct core_entry entry = {
        .term = get_le64(entries->data),
        .type = (enum core_entry_type)entries->data[8],
        .data = entries->data + ENTRY,
        .len = get_le32(entries->data + 9),
    };
    entries->data += ENTRY + entry.len;
    entries->len -= ENTRY + entry.len;
    return entry;
}

static bool entry_is_valid(const struct core_entry *entry, uint64_t term_min, uint64_t term_max) {
    if (entry->term < term_min || entry->term > term_max) {
        return false;
    }
    switch (entry->type) {
    case CORE_COMMAND:
    case CORE_BARRIER:
        return true;
    case CORE_CHANGE:
        return core_configuration_is_valid((struct core_bytes){entry->data, entry->len});
    }
    return false;
}

/* All entries are whole, their terms never fall, and nothing is left over. */
static bool entries_are_valid(struct core_bytes entries, uint32_t n, uint64_t term_min,
                              uint64_t term_max) {
    for (uint32_t i = 0; i < n; i++) {
        if (entries.len < ENTRY || entries.len - ENTRY < get_le32(entries.data + 9)) {
            return false;
        }
        struct core_entry entry = core_message_next_entry(&entries);
        if (!entry_is_valid(&entry, term_min, term_max)) {
            return false;
        }
        term_min = entry.term;
    }
    return entries.len == 0;
}

static enum errc decode_append(struct core_bytes body, struct core_message *ret) {
    struct raft_append_entries *append = &ret->raft.append_entries;
    if (body.len < APPEND) {
        return ERR_MALFORMED;
    }
    append->term = get_le64(body.data);
    append->prev_log_index = get_le64(body.data + 8);
    append->prev_log_term = get_le64(body.data + 16);
    append->leader_commit = get_le64(body.data + 24);
    append->n_entries = get_le32(body.data + 32);
    ret->entries = (struct core_bytes){body.data + APPEND, body.len - APPEND};
    uint64_t term_min = append->prev_log_term == 0 ? 1 : append->prev_log_term;
    if (append->leader_commit >= number_max ||
        !position_is_valid(append->prev_log_index, append->prev_log_term, append->term) ||
        !entries_are_valid(ret->entries, append->n_entries, term_min, append->term)) {
        return ERR_MALFORMED;
    }
    return OK;
}

static enum errc decode_append_result(struct core_bytes body,
                                      struct raft_append_entries_result *ret) {
    if (body.len != APPEND_RESULT) {
        return ERR_MALFORMED;
    }
    ret->term = get_le64(body.data);
    ret->rejected = get_le64(body.data + 8);
    ret->last_log_index = get_le64(body.data + 16);
    ret->features = get_le16(body.data + 24);
    ret->capacity = get_le16(body.data + 26);
    return ret->rejected < number_max && ret->last_log_index < number_max ? OK : ERR_MALFORMED;
}

/* u32 length and so many bytes, off the front of `*bytes`. */
static bool take_block(struct core_bytes *bytes, struct core_bytes *ret) {
    if (bytes->len < 4 || bytes->len - 4 < get_le32(bytes->data)) {
        return false;
    }
    *ret = (struct core_bytes){bytes->data + 4, get_le32(bytes->data)};
    bytes->data += 4 + ret->len;
    bytes->len -= 4 + ret->len;
    return true;
}

static enum errc decode_install(struct core_bytes body, struct core_message *ret) {
    struct raft_install_snapshot *install = &ret->raft.install_snapshot;
    if (body.len < INSTALL) {
        return ERR_MALFORMED;
    }
    install->term = get_le64(body.data);
    install->last_index = get_le64(body.data + 8);
    install->last_term = get_le64(body.data + 16);
    install->conf_index = get_le64(body.data + 24);
    struct core_bytes rest = {body.data + 32, body.len - 32};
    if (!take_block(&rest, &ret->configuration) || !take_block(&rest, &ret->manifest) ||
        rest.len != 0) {
        return ERR_MALFORMED;
    }
    if (install->last_index == 0 || install->conf_index == 0 ||
        install->conf_index > install->last_index ||
        !position_is_valid(install->last_index, install->last_term, install->term) ||
        ret->manifest.len > LIMIT_MANIFEST || !core_configuration_is_valid(ret->configuration)) {
        return ERR_MALFORMED;
    }
    return OK;
}

static enum errc decode_timeout(struct core_bytes body, struct raft_timeout_now *ret) {
    if (body.len != TIMEOUT) {
        return ERR_MALFORMED;
    }
    ret->term = get_le64(body.data);
    ret->last_log_index = get_le64(body.data + 8);
    ret->last_log_term = get_le64(body.data + 16);
    return position_is_valid(ret->last_log_index, ret->last_log_term, ret->term) ? OK
                                                                                 : ERR_MALFORMED;
}

static enum errc decode_body(struct core_bytes body, uint8_t version, uint8_t flags, uint64_t peer,
                             struct core_message *ret) {
    struct raft_message *raft = &ret->raft;
    switch (raft->type) {
    case RAFT_REQUEST_VOTE:
        raft->request_vote.version = version;
        return decode_vote(body, flags, peer, &raft->request_vote);
    case RAFT_REQUEST_VOTE_RESULT:
        raft->request_vote_result.version = version;
        return decode_vote_result(body, flags, &raft->request_vote_result);
    case RAFT_APPEND_ENTRIES:
        raft->append_entries.version = version;
        return decode_append(body, ret);
    case RAFT_APPEND_ENTRIES_RESULT:
        raft->append_entries_result.version = version;
        return decode_append_result(body, &raft->append_entries_result);
    case RAFT_INSTALL_SNAPSHOT:
        raft->install_snapshot.version = version;
        return decode_install(body, ret);
    case RAFT_TIMEOUT_NOW:
        raft->timeout_now.version = version;
        return decode_timeout(body, &raft->timeout_now);
    }
    return ERR_MALFORMED;
}

static bool is_read_type(uint8_t type) {
    return type >= CORE_PING && type <= CORE_READ_INDEX;
}

/* `bytes` are a header and at least a term. */
static enum errc decode_read(struct core_bytes bytes, uint64_t term, struct core_message *ret) {
    struct core_read_message read = {.type = (enum core_read_type)bytes.data[1], .term = term};
    size_t len = HEADER + READ + (read.type == CORE_READ_INDEX ? 8 : 0);
    if (bytes.len != len || bytes.data[2] != 0) {
        return ERR_MALFORMED;
    }
    read.number = get_le64(bytes.data + HEADER + 8);
    if (read.type == CORE_READ_INDEX) {
        read.index = get_le64(bytes.data + HEADER + READ);
    }
    bool has_index = read.type == CORE_READ_INDEX;
    if (has_index != (read.index != 0) || read.number == 0 || read.number >= number_max ||
        read.index >= number_max) {
        return ERR_MALFORMED;
    }
    *ret = (struct core_message){.is_read = true, .read = read};
    return OK;
}

enum errc core_message_decode(struct core_bytes bytes, uint64_t peer, struct core_message *ret) {
    if (bytes.len < HEADER + 8 || bytes.len > CORE_MESSAGE_MAX ||
        bytes.data[0] != CORE_MESSAGE_FORMAT) {
        return ERR_MALFORMED;
    }
    uint8_t flags = bytes.data[3];
    bool is_vote = bytes.data[1] == RAFT_REQUEST_VOTE || bytes.data[1] == RAFT_REQUEST_VOTE_RESULT;
    if ((flags & ~(is_vote ? FLAG_FIRST | FLAG_PRE_VOTE : 0)) != 0) {
        return ERR_MALFORMED;
    }
    struct core_bytes body = {bytes.data + HEADER, bytes.len - HEADER};
    uint64_t term = get_le64(body.data); /* every body begins with it */
    if (term == 0 || term >= number_max) {
        return ERR_MALFORMED;
    }
    if (is_read_type(bytes.data[1])) {
        return decode_read(bytes, term, ret);
    }
    struct core_message message = {
        .raft = {.type = (enum raft_message_type)bytes.data[1],
                 .server_id = peer,
                 /* libraft copies and compares the leader's address; messages are routed by id, so
                  * any string does, but it must be one. */
                 .server_address = ""}};
    enum errc rc = decode_body(body, bytes.data[2], flags, peer, &message);
    if (rc == OK) {
        *ret = message;
    }
    return rc;
}

static void append_header(struct buf *out, unsigned type, unsigned version, unsigned flags) {
    buf_append_u8(out, CORE_MESSAGE_FORMAT);
    buf_append_u8(out, (uint8_t)type);
    buf_append_u8(out, (uint8_t)version);
    buf_append_u8(out, (uint8_t)flags);
}

static void encode_vote(struct buf *out, const struct raft_request_vote *vote) {
    unsigned flags =
        (vote->disrupt_leader ? FLAG_FIRST : 0U) | (vote->pre_vote ? FLAG_PRE_VOTE : 0U);
    append_header(out, RAFT_REQUEST_VOTE, vote->version, flags);
    buf_append_le64(out, vote->term);
    buf_append_le64(out, vote->candidate_id);
    buf_append_le64(out, vote->last_log_index);
    buf_append_le64(out, vote->last_log_term);
}

static void encode_vote_result(struct buf *out, const struct raft_request_vote_result *result,
                               uint64_t current_term) {
    uint64_t term = result->term;
    if (result->pre_vote && !result->vote_granted && current_term > term) {
        /* libraft answers a refused pre-vote with the asker's own term. A candidate with the newest
         * log and an old term would then never learn the newer term of peers whose logs are older,
         * and neither side could ever win. */
        term = current_term;
    }
    unsigned flags =
        (result->vote_granted ? FLAG_FIRST : 0U) | (result->pre_vote ? FLAG_PRE_VOTE : 0U);
    append_header(out, RAFT_REQUEST_VOTE_RESULT, result->version, flags);
    buf_append_le64(out, term);
    buf_append_le16(out, result->features);
    buf_append_le16(out, result->capacity);
}

/* How many of the entries that libraft wants to send go into this message. It counts entries, not
 * bytes. And a configuration leaves only when it is on our own disk: if we crashed and lost it, a
 * voter that holds it might be the one that it takes the vote from; of two voters, the one would
 * then need the vote of the other, whose log is newer and who does not run. A follower that misses
 * the rest refuses what comes behind it, and is sent it again. */
static unsigned count_fitting(const struct raft_append_entries *append,
                              const struct core_message_source *source, size_t *ret_bytes) {
    size_t limit = source->append_bytes > 0 ? source->append_bytes : (size_t)LIMIT_APPEND_BYTES;
    size_t bytes = 0;
    unsigned n = 0;
    for (; n < append->n_entries; n++) {
        uint64_t index = append->prev_log_index + 1 + n;
        const struct core_entry *entry = core_log_get(source->log, index);
        CHECK(entry != NULL);
        if ((n > 0 && bytes + ENTRY + entry->len > limit) ||
            (entry->type == CORE_CHANGE && index > source->persisted)) {
            break;
        }
        bytes += ENTRY + entry->len;
    }
    *ret_bytes = bytes;
    return n;
}

static void encode_append(struct buf *out, const struct raft_append_entries *append,
                          const struct core_message_source *source) {
    size_t bytes = 0;
    unsigned n = count_fitting(append, source, &bytes);
    if (buf_reserve(out, HEADER + APPEND + bytes) == NULL) {
        return; /* and the buffer says so */
    }
    append_header(out, RAFT_APPEND_ENTRIES, append->version, 0);
    buf_append_le64(out, append->term);
    buf_append_le64(out, append->prev_log_index);
    buf_append_le64(out, append->prev_log_term);
    buf_append_le64(out, append->leader_commit);
    buf_append_le32(out, n);
    for (unsigned i = 0; i < n; i++) {
        const struct core_entry *entry = core_log_get(source->log, append->prev_log_index + 1 + i);
        buf_append_le64(out, entry->term);
        buf_append_u8(out, (uint8_t)entry->type);
        buf_append_le32(out, (uint32_t)entry->len);
        buf_append(out, entry->data, entry->len);
    }
}

static void encode_append_result(struct buf *out, const struct raft_append_entries_result *result) {
    append_header(out, RAFT_APPEND_ENTRIES_RESULT, result->version, 0);
    buf_append_le64(out, result->term);
    buf_append_le64(out, result->rejected);
    buf_append_le64(out, result->last_log_index);
    buf_append_le16(out, result->features);
    buf_append_le16(out, result->capacity);
}

static void encode_install(struct buf *out, const struct raft_install_snapshot *install,
                           const struct core_snapshot *snapshot) {
    /* libraft leaves configuration and data unset: they are those of our current snapshot, which is
     * also the one that it means. */
    CHECK(install->last_index == snapshot->index && install->last_term == snapshot->term &&
          install->conf_index == snapshot->configuration_index);
    append_header(out, RAFT_INSTALL_SNAPSHOT, install->version, 0);
    buf_append_le64(out, install->term);
    buf_append_le64(out, snapshot->index);
    buf_append_le64(out, snapshot->term);
    buf_append_le64(out, snapshot->configuration_index);
    buf_append_le32(out, (uint32_t)snapshot->configuration.len);
    buf_append(out, snapshot->configuration.data, snapshot->configuration.len);
    buf_append_le32(out, (uint32_t)snapshot->manifest.len);
    buf_append(out, snapshot->manifest.data, snapshot->manifest.len);
}

static void encode_timeout(struct buf *out, const struct raft_timeout_now *timeout) {
    append_header(out, RAFT_TIMEOUT_NOW, timeout->version, 0);
    buf_append_le64(out, timeout->term);
    buf_append_le64(out, timeout->last_log_index);
    buf_append_le64(out, timeout->last_log_term);
}

enum errc core_message_encode(const struct raft_message *message,
                              const struct core_message_source *source, uint8_t **ret,
                              size_t *ret_len) {
    struct buf out;
    buf_init(&out, CORE_MESSAGE_MAX);
    switch (message->type) {
    case RAFT_REQUEST_VOTE:
        encode_vote(&out, &message->request_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        encode_vote_result(&out, &message->request_vote_result, source->current_term);
        break;
    case RAFT_APPEND_ENTRIES:
        encode_append(&out, &message->append_entries, source);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        encode_append_result(&out, &message->append_entries_result);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        encode_install(&out, &message->install_snapshot, source->snapshot);
        break;
    case RAFT_TIMEOUT_NOW:
        encode_timeout(&out, &message->timeout_now);
        break;
    }
    if (out.failed || out.len == 0) {
        buf_fini(&out);
        return ERR_NO_MEMORY;
    }
    buf_take(&out, ret, ret_len);
    return OK;
}

enum errc core_message_encode_read(const struct core_read_message *message, uint8_t **ret,
                                   size_t *ret_len) {
    struct buf out;
    buf_init(&out, CORE_MESSAGE_MAX);
    append_header(&out, message->type, 0, 0);
    buf_append_le64(&out, message->term);
    buf_append_le64(&out, message->number);
    if (message->type == CORE_READ_INDEX) {
        buf_append_le64(&out, message->index);
    }
    if (out.failed) {
        buf_fini(&out);
        return ERR_NO_MEMORY;
    }
    buf_take(&out, ret, ret_len);
    return OK;
}
