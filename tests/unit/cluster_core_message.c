/* The messages between nodes: all six come back as they went, and nothing that no node sends is
 * taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "cluster/core_message.h"

enum { PEER = 2, BYTES_MAX = 1024 };

struct fixture {
    struct core_log log;
    struct core_snapshot snapshot;
    uint8_t *configuration;
    size_t configuration_len;
};

static struct fixture fix;

static int setup(void **state) {
    const struct core_server voters[] = {{1, "a:1"}, {2, "b:1"}, {3, "cc:1"}};
    assert_int_equal(core_configuration_encode(voters, ARRAY_LEN(voters), &fix.configuration,
                                               &fix.configuration_len),
                     OK);
    core_log_init(&fix.log);
    core_log_reset(&fix.log, 10);
    const struct core_entry entries[] = {
        {4, CORE_BARRIER, (const uint8_t *)"01234567", 8},
        {4, CORE_COMMAND, (const uint8_t *)"", 0},
        {5, CORE_CHANGE, fix.configuration, fix.configuration_len},
        {6, CORE_COMMAND, (const uint8_t *)"last", 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        assert_int_equal(core_log_append(&fix.log, &entries[i]), OK);
    }
    fix.snapshot =
        (struct core_snapshot){.index = 9,
                               .term = 3,
                               .configuration_index = 1,
                               .configuration = {fix.configuration, fix.configuration_len},
                               .manifest = {(const uint8_t *)"files", 5}};
    return 0;
}

static int teardown(void **state) {
    core_log_fini(&fix.log);
    wipe_free(fix.configuration);
    return 0;
}

/* Encode as a node in term `term`, decode as one that hears it from PEER. The bytes stay in
 * `bytes`. */
static size_t round_trip(const struct raft_message *message, uint64_t term,
                         uint8_t bytes[BYTES_MAX], struct core_message *ret) {
    const struct core_message_source source = {
        .current_term = term, .persisted = 13, .log = &fix.log, .snapshot = &fix.snapshot};
    uint8_t *encoded = NULL;
    size_t len = 0;
    assert_int_equal(core_message_encode(message, &source, &encoded, &len), OK);
    assert_true(len <= BYTES_MAX);
    memcpy(bytes, encoded, len);
    wipe_free(encoded);
    assert_int_equal(core_message_decode((struct core_bytes){bytes, len}, PEER, ret), OK);
    assert_int_equal(ret->raft.type, message->type);
    assert_int_equal(ret->raft.server_id, PEER);
    assert_non_null(ret->raft.server_address);
    return len;
}

static const struct raft_message vote = {.type = RAFT_REQUEST_VOTE,
                                         .request_vote = {.version = 2,
                                                          .term = 7,
                                                          .candidate_id = PEER,
                                                          .last_log_index = 13,
                                                          .last_log_term = 6,
                                                          .disrupt_leader = true,
                                                          .pre_vote = false}};
static const struct raft_message vote_result = {.type = RAFT_REQUEST_VOTE_RESULT,
                                                .request_vote_result = {.version = 3,
                                                                        .term = 7,
                                                                        .vote_granted = true,
                                                                        .pre_vote = true,
                                                                        .features = 1,
                                                                        .capacity = 4000}};
static const struct raft_message append = {.type = RAFT_APPEND_ENTRIES,
                                           .append_entries = {.version = 1,
                                                              .term = 7,
                                                              .prev_log_index = 9,
                                                              .prev_log_term = 3,
                                                              .leader_commit = 12,
                                                              .n_entries = 4}};
static const struct raft_message append_result = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                                  .append_entries_result = {.version = 1,
                                                                            .term = 7,
                                                                            .rejected = 13,
                                                                            .last_log_index = 12,
                                                                            .features = 1,
                                                                            .capacity = 77}};
static const struct raft_message install = {
    .type = RAFT_INSTALL_SNAPSHOT,
    .install_snapshot = {
        .version = 1, .term = 7, .last_index = 9, .last_term = 3, .conf_index = 1}};
static const struct raft_message timeout = {
    .type = RAFT_TIMEOUT_NOW,
    .timeout_now = {.version = 1, .term = 7, .last_log_index = 13, .last_log_term = 6}};

static const struct raft_message *const all[] = {&vote,          &vote_result, &append,
                                                 &append_result, &install,     &timeout};

static void test_votes_come_back(void **state) {
    uint8_t bytes[BYTES_MAX];
    struct core_message got;
    (void)round_trip(&vote, 7, bytes, &got);
    assert_int_equal(bytes[0], CORE_MESSAGE_FORMAT);
    assert_int_equal(got.raft.request_vote.version, 2);
    assert_int_equal(got.raft.request_vote.term, 7);
    assert_int_equal(got.raft.request_vote.candidate_id, PEER);
    assert_int_equal(got.raft.request_vote.last_log_index, 13);
    assert_int_equal(got.raft.request_vote.last_log_term, 6);
    assert_true(got.raft.request_vote.disrupt_leader);
    assert_false(got.raft.request_vote.pre_vote);
    (void)round_trip(&vote_result, 7, bytes, &got);
    assert_int_equal(got.raft.request_vote_result.version, 3);
    assert_int_equal(got.raft.request_vote_result.term, 7);
    assert_true(got.raft.request_vote_result.vote_granted);
    assert_true(got.raft.request_vote_result.pre_vote);
    assert_int_equal(got.raft.request_vote_result.features, 1);
    assert_int_equal(got.raft.request_vote_result.capacity, 4000);
    (void)round_trip(&timeout, 7, bytes, &got);
    assert_int_equal(got.raft.timeout_now.term, 7);
    assert_int_equal(got.raft.timeout_now.last_log_index, 13);
    assert_int_equal(got.raft.timeout_now.last_log_term, 6);
}

static void test_entries_come_back(void **state) {
    uint8_t bytes[BYTES_MAX];
    struct core_message got;
    (void)round_trip(&append, 7, bytes, &got);
    assert_int_equal(got.raft.append_entries.term, 7);
    assert_int_equal(got.raft.append_entries.prev_log_index, 9);
    assert_int_equal(got.raft.append_entries.prev_log_term, 3);
    assert_int_equal(got.raft.append_entries.leader_commit, 12);
    assert_int_equal(got.raft.append_entries.n_entries, 4);
    struct core_bytes left = got.entries;
    for (uint64_t index = 10; index <= 13; index++) {
        struct core_entry entry = core_message_next_entry(&left);
        const struct core_entry *sent = core_log_get(&fix.log, index);
        assert_int_equal(entry.term, sent->term);
        assert_int_equal(entry.type, sent->type);
        assert_int_equal(entry.len, sent->len);
        if (entry.len > 0) {
            assert_memory_equal(entry.data, sent->data, sent->len);
        }
    }
    assert_int_equal(left.len, 0);
    (void)round_trip(&append_result, 7, bytes, &got);
    assert_int_equal(got.raft.append_entries_result.term, 7);
    assert_int_equal(got.raft.append_entries_result.rejected, 13);
    assert_int_equal(got.raft.append_entries_result.last_log_index, 12);
    assert_int_equal(got.raft.append_entries_result.features, 1);
    assert_int_equal(got.raft.append_entries_result.capacity, 77);
}

static void test_snapshot_comes_back(void **state) {
    uint8_t bytes[BYTES_MAX];
    struct core_message got;
    (void)round_trip(&install, 7, bytes, &got);
    assert_int_equal(got.raft.install_snapshot.term, 7);
    assert_int_equal(got.raft.install_snapshot.last_index, 9);
    assert_int_equal(got.raft.install_snapshot.last_term, 3);
    assert_int_equal(got.raft.install_snapshot.conf_index, 1);
    assert_int_equal(got.configuration.len, fix.configuration_len);
    assert_memory_equal(got.configuration.data, fix.configuration, fix.configuration_len);
    assert_int_equal(got.manifest.len, 5);
    assert_memory_equal(got.manifest.data, "files", 5);
}

/* A candidate with the newest log must learn the term of those who refuse it. */
static void test_refused_pre_vote_carries_the_newer_term(void **state) {
    struct raft_message message = vote_result;
    uint8_t bytes[BYTES_MAX];
    struct core_message got;
    message.request_vote_result.vote_granted = false;
    (void)round_trip(&message, 12, bytes, &got);
    assert_int_equal(got.raft.request_vote_result.term, 12);
    (void)round_trip(&message, 5, bytes, &got);
    assert_int_equal(got.raft.request_vote_result.term, 7);
    message.request_vote_result.vote_granted = true;
    (void)round_trip(&message, 12, bytes, &got);
    assert_int_equal(got.raft.request_vote_result.term, 7);
    message.request_vote_result.vote_granted = false;
    message.request_vote_result.pre_vote = false;
    (void)round_trip(&message, 12, bytes, &got);
    assert_int_equal(got.raft.request_vote_result.term, 7);
}

/* libraft counts entries, the message counts bytes too; one entry always goes. */
static void test_large_entries_are_sent_in_parts(void **state) {
    struct core_log log;
    uint8_t *data = calloc(1, LIMIT_APPEND_BYTES);
    assert_non_null(data);
    core_log_init(&log);
    const size_t sizes[] = {LIMIT_APPEND_BYTES / 2, LIMIT_APPEND_BYTES / 4, LIMIT_APPEND_BYTES, 1};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(
            core_log_append(&log, &(struct core_entry){1, CORE_COMMAND, data, sizes[i]}), OK);
    }
    const unsigned expected[] = {2, 1, 1, 1}; /* starting at entry i */
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        struct raft_message message = {.type = RAFT_APPEND_ENTRIES,
                                       .append_entries = {.term = 1,
                                                          .prev_log_index = i,
                                                          .prev_log_term = i > 0 ? 1 : 0,
                                                          .n_entries = 4 - i}};
        const struct core_message_source source = {
            .current_term = 1, .persisted = 4, .log = &log, .snapshot = &fix.snapshot};
        uint8_t *bytes = NULL;
        size_t len = 0;
        struct core_message got;
        assert_int_equal(core_message_encode(&message, &source, &bytes, &len), OK);
        assert_int_equal(core_message_decode((struct core_bytes){bytes, len}, PEER, &got), OK);
        assert_int_equal(got.raft.append_entries.n_entries, expected[i]);
        wipe_free(bytes);
    }
    core_log_fini(&log);
    free(data);
}

/* While it is not known what fits at a follower, little is risked. */
static void test_probes_are_small(void **state) {
    struct core_message_source source = {
        .current_term = 7, .persisted = 13, .append_bytes = 1, .log = &fix.log, .snapshot = NULL};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *bytes = NULL;
        size_t len = 0;
        struct core_message got;
        assert_int_equal(core_message_encode(&append, &source, &bytes, &len), OK);
        assert_int_equal(core_message_decode((struct core_bytes){bytes, len}, PEER, &got), OK);
        assert_int_equal(got.raft.append_entries.n_entries, i == 0 ? 1 : 4);
        wipe_free(bytes);
        source.append_bytes = LIMIT_APPEND_PROBE;
    }
}

/* A configuration that we might still lose stays here, and what is behind it. */
static void test_configurations_leave_when_written(void **state) {
    for (uint64_t persisted = 9; persisted <= 12; persisted++) {
        const struct core_message_source source = {
            .current_term = 7, .persisted = persisted, .log = &fix.log, .snapshot = &fix.snapshot};
        uint8_t *bytes = NULL;
        size_t len = 0;
        struct core_message got;
        assert_int_equal(core_message_encode(&append, &source, &bytes, &len), OK);
        assert_int_equal(core_message_decode((struct core_bytes){bytes, len}, PEER, &got), OK);
        assert_int_equal(got.raft.append_entries.n_entries, persisted < 12 ? 2 : 4);
        wipe_free(bytes);
    }
}

static void test_no_part_of_a_message_is_one(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        uint8_t bytes[BYTES_MAX];
        struct core_message got;
        size_t len = round_trip(all[i], 7, bytes, &got);
        for (size_t part = 0; part < len; part++) {
            /* On the heap, so that a read behind the end is seen. */
            uint8_t *copy = malloc(part + (part == 0));
            assert_non_null(copy);
            memcpy(copy, bytes, part);
            assert_int_equal(core_message_decode((struct core_bytes){copy, part}, PEER, &got),
                             ERR_MALFORMED);
            free(copy);
        }
        bytes[len] = 0;
        assert_int_equal(core_message_decode((struct core_bytes){bytes, len + 1}, PEER, &got),
                         ERR_MALFORMED);
    }
}

/* One byte or number set wrong. Offsets are those of the drawing in core_message.h. */
static void test_wrong_fields_are_refused(void **state) {
    enum { U8, U32, U64 };
    const uint64_t far = UINT64_C(1) << 62;
    const struct {
        const struct raft_message *message;
        size_t at;
        int size;
        uint64_t value;
    } wrong[] = {
        {&vote, 0, U8, 0},        /* format */
        {&vote, 0, U8, 2},        /* format */
        {&vote, 1, U8, 0},        /* type */
        {&vote, 1, U8, 7},        /* type */
        {&vote, 1, U8, 11},       /* type */
        {&vote, 2, U8, 1},        /* a version in which a pre-vote counts as a vote */
        {&vote, 3, U8, 4},        /* unknown flag */
        {&vote, 4, U64, 0},       /* term */
        {&vote, 4, U64, far},     /* term */
        {&vote, 12, U64, 3},      /* candidate is not the sender */
        {&vote, 20, U64, 0},      /* last index 0, its term not */
        {&vote, 20, U64, far},    /* last index */
        {&vote, 28, U64, 0},      /* last term */
        {&vote, 28, U64, 8},      /* last term beyond the term */
        {&vote_result, 2, U8, 1}, /* version */
        {&vote_result, 3, U8, 8}, /* unknown flag */
        {&append, 3, U8, 1},      /* flags where there are none */
        {&append, 12, U64, 0},    /* previous index 0, its term not */
        {&append, 12, U64, far},  /* previous index */
        {&append, 20, U64, 8},    /* previous term beyond the term */
        {&append, 20, U64, 5},    /* previous term beyond the first entry's */
        {&append, 28, U64, far},  /* commit */
        {&append, 36, U32, 3},    /* count too small */
        {&append, 36, U32, 5},    /* count too large */
        {&append, 36, U32, UINT32_MAX},
        {&append, 40, U64, 0}, /* an entry's term */
        {&append, 40, U64, 5}, /* ... above the next one's */
        {&append, 48, U8, 0},  /* an entry's type */
        {&append, 48, U8, 4},
        {&append, 48, U8, 3},  /* a configuration that is none */
        {&append, 49, U32, 9}, /* an entry's length */
        {&append, 49, U32, UINT32_MAX},
        {&append_result, 12, U64, far},
        {&append_result, 20, U64, far},
        {&install, 12, U64, 0}, /* last index */
        {&install, 12, U64, far},
        {&install, 20, U64, 0}, /* last term */
        {&install, 20, U64, 8},
        {&install, 28, U64, 0},  /* configuration index */
        {&install, 28, U64, 10}, /* ... behind the snapshot */
        {&install, 36, U32, 0},  /* no configuration */
        {&install, 36, U32, UINT32_MAX},
        {&install, 40, U8, 9}, /* the configuration's format */
        {&timeout, 20, U64, 8},
        {&timeout, 12, U64, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        uint8_t bytes[BYTES_MAX];
        struct core_message got;
        size_t len = round_trip(wrong[i].message, 7, bytes, &got);
        if (wrong[i].size == U8) {
            bytes[wrong[i].at] = (uint8_t)wrong[i].value;
        } else if (wrong[i].size == U32) {
            put_le32(bytes + wrong[i].at, (uint32_t)wrong[i].value);
        } else {
            put_le64(bytes + wrong[i].at, wrong[i].value);
        }
        enum errc rc = core_message_decode((struct core_bytes){bytes, len}, PEER, &got);
        if (rc != ERR_MALFORMED) {
            fail_msg("case %zu was taken", i);
        }
    }
}

/* ---- ours ---- */

static const struct core_read_message reads[] = {
    {.type = CORE_PING, .term = 7, .number = 5},
    {.type = CORE_PONG, .term = 7, .number = 6},
    {.type = CORE_READ_ASK, .term = 7, .number = (UINT64_C(1) << 62) - 1},
    {.type = CORE_READ_INDEX, .term = 7, .number = 8, .index = 13},
};

static enum errc decode_copy(const uint8_t *bytes, size_t len, struct core_message *ret) {
    /* On the heap, so that a read behind the end is seen. */
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum errc rc = core_message_decode((struct core_bytes){copy, len}, PEER, ret);
    free(copy);
    return rc;
}

static void test_reads_come_back(void **state) {
    const uint64_t far = UINT64_C(1) << 62;
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        uint8_t *out = NULL;
        size_t len = 0;
        uint8_t bytes[64];
        struct core_message got;
        assert_int_equal(core_message_encode_read(&reads[i], &out, &len), OK);
        assert_int_equal(len, reads[i].type == CORE_READ_INDEX ? 28 : 20);
        memcpy(bytes, out, len);
        wipe_free(out);
        assert_int_equal(decode_copy(bytes, len, &got), OK);
        assert_true(got.is_read);
        assert_int_equal(got.read.type, reads[i].type);
        assert_int_equal(got.read.term, 7);
        assert_int_equal(got.read.number, reads[i].number);
        assert_int_equal(got.read.index, reads[i].index);
        for (size_t part = 0; part < len; part++) {
            assert_int_equal(decode_copy(bytes, part, &got), ERR_MALFORMED);
        }
        bytes[len] = 0;
        assert_int_equal(decode_copy(bytes, len + 1, &got), ERR_MALFORMED);
        const size_t headers[] = {0, 2, 3}; /* format, version, flags */
        for (size_t at = 0; at < ARRAY_LEN(headers); at++) {
            bytes[headers[at]] ^= 1;
            assert_int_equal(decode_copy(bytes, len, &got), ERR_MALFORMED);
            bytes[headers[at]] ^= 1;
        }
        for (size_t at = 4; at < len; at += 8) { /* term, number, index */
            uint64_t held = get_le64(bytes + at);
            put_le64(bytes + at, 0);
            assert_int_equal(decode_copy(bytes, len, &got), ERR_MALFORMED);
            put_le64(bytes + at, far);
            assert_int_equal(decode_copy(bytes, len, &got), ERR_MALFORMED);
            put_le64(bytes + at, held);
        }
        assert_int_equal(decode_copy(bytes, len, &got), OK);
    }
}

static void assert_bytes(const uint8_t *bytes, size_t len, const char *expected) {
    char text[2 * BYTES_MAX + 1];

    hex_encode(bytes, len, text);
    assert_string_equal(text, expected);
}

/* Nodes of different releases speak to each other, and configurations lie in logs: these bytes must
 * not change. */
static void test_messages_in_bytes(void **state) {
#define CONFIGURATION                                                                              \
    "0103000000000000000100000000000000613a3100010200000000000000623a310001030000000000000063633a" \
    "31000100000000000000"
    static const char *const golden[] = {
        ("01030201"         /* format, type, version, flags */
         "0700000000000000" /* term */
         "02000000000000000d000000000000000600000000000000"),
        ("01040303"
         "0700000000000000"
         "0100a00f"),
        ("01010100"
         "0700000000000000"
         "090000000000000003000000000000000c00000000000000"
         "04000000" /* entries */
         "04000000000000000208000000"
         "3031323334353637"
         "04000000000000000100000000"
         "05000000000000000338000000" CONFIGURATION "06000000000000000104000000"
         "6c617374"),
        ("01020100"
         "0700000000000000"
         "0d000000000000000c00000000000000"
         "01004d00"),
        ("01050100"
         "0700000000000000"
         "090000000000000003000000000000000100000000000000"
         "38000000" CONFIGURATION "05000000"
         "66696c6573"),
        ("01060100"
         "0700000000000000"
         "0d000000000000000600000000000000"),
    };
    static const char *const golden_reads[] = {
        ("01070000"
         "0700000000000000"
         "0500000000000000"),
        ("01080000"
         "0700000000000000"
         "0600000000000000"),
        ("01090000"
         "0700000000000000"
         "ffffffffffffff3f"),
        ("010a0000"
         "0700000000000000"
         "0800000000000000"
         "0d00000000000000"),
    };
    uint8_t bytes[BYTES_MAX];
    struct core_message got;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t len = round_trip(all[i], 7, bytes, &got);
        assert_bytes(bytes, len, golden[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        uint8_t *encoded = NULL;
        size_t len = 0;
        assert_int_equal(core_message_encode_read(&reads[i], &encoded, &len), OK);
        assert_bytes(encoded, len, golden_reads[i]);
        wipe_free(encoded);
    }
    assert_bytes(fix.configuration, fix.configuration_len, CONFIGURATION);
#undef CONFIGURATION
}

static void test_configurations(void **state) {
    uint8_t bytes[BYTES_MAX];
    size_t len = fix.configuration_len;
    memcpy(bytes, fix.configuration, len);
    assert_true(core_configuration_is_valid((struct core_bytes){bytes, len}));
    for (size_t part = 0; part < len; part++) {
        assert_false(core_configuration_is_valid((struct core_bytes){bytes, part}));
    }
    memset(bytes + len, 0, 8);
    assert_false(core_configuration_is_valid((struct core_bytes){bytes, len + 8}));
    /* u8 format, u64 count, then 13 bytes a server: u64 id, "a:1", NUL, u8 role */
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {
        {0, 0},  {0, 2},    {1, 0}, {1, 2}, {1, 4}, {2, 1}, {8, 0x80}, /* format, count */
        {9, 0},  {9, 2},                                               /* id 0, id twice */
        {17, 0}, {17, 'b'},                                            /* no address, one twice */
        {21, 3}, {21, 255},                                            /* role */
        {49, 1}, {55, 1},                                              /* padding */
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        memcpy(bytes, fix.configuration, len);
        bytes[wrong[i].at] = wrong[i].value;
        if (core_configuration_is_valid((struct core_bytes){bytes, len})) {
            fail_msg("case %zu was taken", i);
        }
    }
    memcpy(bytes, fix.configuration, len);
    bytes[21] = bytes[34] = bytes[48] = RAFT_SPARE; /* nobody votes */
    assert_false(core_configuration_is_valid((struct core_bytes){bytes, len}));
    struct core_server none[] = {{1, ""}};
    struct core_server twice[] = {{1, "a"}, {1, "b"}};
    struct core_server zero[] = {{0, "a"}};
    uint8_t *out = NULL;
    size_t out_len = 0;
    assert_int_equal(core_configuration_encode(none, 1, &out, &out_len), ERR_INVALID_PARAMETER);
    assert_int_equal(core_configuration_encode(twice, 2, &out, &out_len), ERR_INVALID_PARAMETER);
    assert_int_equal(core_configuration_encode(zero, 1, &out, &out_len), ERR_INVALID_PARAMETER);
    assert_int_equal(core_configuration_encode(twice, 0, &out, &out_len), ERR_INVALID_PARAMETER);
    assert_null(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_votes_come_back),
        cmocka_unit_test(test_entries_come_back),
        cmocka_unit_test(test_snapshot_comes_back),
        cmocka_unit_test(test_refused_pre_vote_carries_the_newer_term),
        cmocka_unit_test(test_large_entries_are_sent_in_parts),
        cmocka_unit_test(test_configurations_leave_when_written),
        cmocka_unit_test(test_no_part_of_a_message_is_one),
        cmocka_unit_test(test_wrong_fields_are_refused),
        cmocka_unit_test(test_probes_are_small),
        cmocka_unit_test(test_reads_come_back),
        cmocka_unit_test(test_messages_in_bytes),
        cmocka_unit_test(test_configurations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
