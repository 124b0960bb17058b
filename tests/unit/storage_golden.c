/* What lies on disk, byte by byte, for ever: one file of hexadecimal text a kind in
 * tests/golden/v1.
 *
 * The samples below use every field. A release may add kinds and fields, and then files; no file
 * that is there may ever change. REDOUBT_GOLDEN_WRITE=1 writes the files that are missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "storage/checkpoint.h"
#include "storage/index.h"
#include "storage/keys.h"
#include "storage/log_codec.h"
#include "storage/record.pb-c.h"
#include "storage/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER  "tests/golden/v1"
#define ACCOUNT "123456789012"

enum { HEX_LINE = 32, GOLDEN_MAX = 16384 };

static char *text(const char *constant) {
    return (char *)(uintptr_t)constant;
}

static ProtobufCBinaryData bytes(const char *constant) {
    return (ProtobufCBinaryData){.len = strlen(constant), .data = (uint8_t *)text(constant)};
}

static void golden_path(const char *name, char out[128]) {
    (void)snprintf(out, 128, "%s/%s.hex", FOLDER, name);
}

static void golden_write(const char *name, const struct buf *content) {
    char path[128];
    char line[2 * HEX_LINE + 1];
    FILE *file;

    golden_path(name, path);
    file = fopen(path, "wx"); /* never over an old one */
    if (file == NULL) {
        assert_int_equal(errno, EEXIST);
        return;
    }
    for (size_t at = 0; at < content->len; at += HEX_LINE) {
        size_t n = content->len - at < HEX_LINE ? content->len - at : HEX_LINE;
        hex_encode(content->data + at, n, line);
        (void)fprintf(file, "%s\n", line);
    }
    assert_int_equal(fclose(file), 0);
}

/* The bytes of a file, in `out` (initialised). */
static void golden_read(const char *name, struct buf *out) {
    char path[128];
    char line[2 * HEX_LINE + 2];
    uint8_t piece[HEX_LINE];
    FILE *file;

    golden_path(name, path);
    file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s is missing: write it with REDOUBT_GOLDEN_WRITE=1", path);
        return;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strcspn(line, "\n");
        assert_true(hex_decode(line, len, piece, len / 2));
        buf_append(out, piece, len / 2);
    }
    (void)fclose(file);
    assert_false(out->failed);
}

/* Today's code makes the bytes of the file. Afterwards *content holds the file's. */
static void golden_check(const char *name, struct buf *content) {
    struct buf file;

    assert_false(content->failed);
    if (getenv("REDOUBT_GOLDEN_WRITE") != NULL) {
        golden_write(name, content);
    }
    buf_init(&file, GOLDEN_MAX);
    golden_read(name, &file);
    assert_int_equal(content->len, file.len);
    assert_memory_equal(content->data, file.data, file.len);
    buf_fini(content);
    *content = file;
}

/* The bytes of the file read back into the same message: nothing is lost on the way. */
static void record_check(const char *name, enum record_kind kind, const ProtobufCMessage *message) {
    struct buf content;
    struct buf again;
    ProtobufCMessage *read = NULL;

    buf_init(&content, GOLDEN_MAX);
    buf_init(&again, GOLDEN_MAX);
    record_pack(&content, kind, message);
    golden_check(name, &content);
    assert_int_equal(record_unpack(kind, content.data, content.len, &read), OK);
    assert_int_equal(read->n_unknown_fields, 0);
    record_pack(&again, kind, read);
    assert_int_equal(again.len, content.len);
    assert_memory_equal(again.data, content.data, content.len);
    protobuf_c_message_free_unpacked(read, NULL);
    buf_fini(&content);
    buf_fini(&again);
}

static void test_secret(void **state) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag = REDOUBT__TAG__INIT;
    Redoubt__Tag *tags[] = {&tag};
    Redoubt__Version version = REDOUBT__VERSION__INIT;
    Redoubt__Version empty = REDOUBT__VERSION__INIT;
    Redoubt__Version *versions[] = {&version, &empty};
    Redoubt__Origin replica_of = REDOUBT__ORIGIN__INIT;
    Redoubt__Origin promoted_from = REDOUBT__ORIGIN__INIT;
    char *stages[] = {text("AWSCURRENT"), text("mine")};

    tag.key = text("team");
    tag.value = text("core");
    version.id = text("11111111-2222-3333-4444-555555555555");
    version.n_stages = ARRAY_LEN(stages);
    version.stages = stages;
    version.has_created_ms = 1;
    version.created_ms = 1700000000123;
    version.has_revision = 1;
    version.revision = 3;
    version.has_kind = 1;
    version.kind = REDOUBT__VALUE_KIND__VALUE_BINARY;
    version.has_digest = 1;
    version.digest = bytes("0123456789abcdef0123456789abcdef");
    version.key_id = text("99999999-8888-4777-9666-555555555555");
    version.has_last_accessed_day = 1;
    version.last_accessed_day = 19675;
    empty.id = text("22222222-2222-3333-4444-555555555555");
    replica_of.region = text("us-east-1");
    replica_of.has_generation = 1;
    replica_of.generation = 5;
    replica_of.has_revision = 1;
    replica_of.revision = 6;
    promoted_from.region = text("eu-west-1");
    promoted_from.has_generation = 1;
    promoted_from.generation = 7;
    promoted_from.has_revision = 1;
    promoted_from.revision = 8;
    secret.name = text("app/db");
    secret.suffix = text("AbCdEf");
    secret.description = text("what it is for");
    secret.kms_key_id = text("alias/mine");
    secret.n_tags = ARRAY_LEN(tags);
    secret.tags = tags;
    secret.has_tags_were_set = 1;
    secret.tags_were_set = 1;
    secret.has_created_ms = 1;
    secret.created_ms = 1700000000000;
    secret.has_changed_ms = 1;
    secret.changed_ms = 1700000000123;
    secret.has_last_accessed_day = 1;
    secret.last_accessed_day = 19676;
    secret.has_deletion_ms = 1;
    secret.deletion_ms = 1702592000000;
    secret.n_versions = ARRAY_LEN(versions);
    secret.versions = versions;
    secret.has_revision = 1;
    secret.revision = 4;
    secret.replica_of = &replica_of;
    secret.promoted_from = &promoted_from;
    secret.has_created_seq = 1;
    secret.created_seq = 17U << 16;
    record_check("record_secret", RECORD_SECRET, &secret.base);
}

/* A secret with all that rotation can leave in it. */
static void test_secret_rotation(void **state) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Rotation rotation = REDOUBT__ROTATION__INIT;
    Redoubt__Tag item = REDOUBT__TAG__INIT;
    Redoubt__Tag *metadata[] = {&item};

    item.key = text("apiVersion");
    item.value = text("v65.0");
    rotation.has_enabled = 1;
    rotation.enabled = 1;
    rotation.function_arn = text("arn:aws:lambda:us-east-1:123456789012:function:rotate");
    rotation.has_automatically_after_days = 1;
    rotation.automatically_after_days = 17;
    rotation.schedule_expression = text("cron(0 8 1 * ? *)");
    rotation.duration = text("2h");
    rotation.has_last_rotated_ms = 1;
    rotation.last_rotated_ms = 1700000000123;
    rotation.has_next_rotation_ms = 1;
    rotation.next_rotation_ms = 1701424799000;
    rotation.external_role_arn = text("arn:aws:iam::123456789012:role/rotate");
    rotation.n_external_metadata = ARRAY_LEN(metadata);
    rotation.external_metadata = metadata;
    rotation.has_counts_from_ms = 1;
    rotation.counts_from_ms = 1699999999000;
    secret.name = text("app/db");
    secret.suffix = text("AbCdEf");
    secret.has_revision = 1;
    secret.revision = 4;
    secret.rotation = &rotation;
    secret.has_created_seq = 1;
    secret.created_seq = 17U << 16;
    record_check("record_secret_rotation", RECORD_SECRET, &secret.base);
}

static void test_value(void **state) {
    Redoubt__Sealed sealed = REDOUBT__SEALED__INIT;

    sealed.key_id = text("99999999-8888-4777-9666-555555555555");
    sealed.has_key_version = 1;
    sealed.key_version = 2;
    sealed.has_wrapped_key = 1;
    sealed.wrapped_key = bytes("a wrapped data key");
    sealed.has_ciphertext = 1;
    sealed.ciphertext = bytes("a sealed value");
    record_check("record_value", RECORD_VALUE, &sealed.base);
}

static void test_link(void **state) {
    Redoubt__Link link = REDOUBT__LINK__INIT;

    link.region = text("eu-west-1");
    link.has_generation = 1;
    link.generation = 17U << 16 | 3;
    link.kms_key_id = text("alias/theirs");
    link.has_force = 1;
    link.force = 1;
    link.has_acked_revision = 1;
    link.acked_revision = 4;
    link.has_failure = 1;
    link.failure = 3;
    link.failure_message = text("Replication failed");
    link.has_replica_last_accessed_day = 1;
    link.replica_last_accessed_day = 19677;
    record_check("record_link", RECORD_LINK, &link.base);
}

static void test_outbox(void **state) {
    static const char *const names[KEY_OUTBOX_KINDS] = {
        "record_outbox_remove", "record_outbox_promoted", "record_outbox_upsert"};
    Redoubt__Outbox entry = REDOUBT__OUTBOX__INIT;

    for (size_t i = 0; i < KEY_OUTBOX_KINDS; i++) {
        entry.has_kind = 1;
        entry.kind = key_outbox_order[i];
        entry.has_generation = 1;
        entry.generation = 5;
        record_check(names[i], RECORD_OUTBOX, &entry.base);
    }
}

static void test_grave(void **state) {
    Redoubt__Grave grave = REDOUBT__GRAVE__INIT;

    grave.region = text("us-east-1");
    grave.has_generation = 1;
    grave.generation = 5;
    grave.has_promoted = 1;
    grave.promoted = 1;
    grave.has_buried_ms = 1;
    grave.buried_ms = 1700000000456;
    record_check("record_grave", RECORD_GRAVE, &grave.base);
}

static void test_key(void **state) {
    Redoubt__Key key = REDOUBT__KEY__INIT;
    Redoubt__KeyVersion version = REDOUBT__KEY_VERSION__INIT;
    Redoubt__KeyVersion *versions[] = {&version};

    version.has_number = 1;
    version.number = 1;
    version.has_wrapped = 1;
    version.wrapped = bytes("key material under the root key");
    key.id = text("99999999-8888-4777-9666-555555555555");
    key.has_state = 1;
    key.state = REDOUBT__KEY_STATE__KEY_PENDING_DELETION;
    key.n_versions = ARRAY_LEN(versions);
    key.versions = versions;
    key.has_created_ms = 1;
    key.created_ms = 1700000000789;
    key.description = text("what it is for");
    record_check("record_key", RECORD_KEY, &key.base);
}

static void test_region(void **state) {
    Redoubt__Region region = REDOUBT__REGION__INIT;

    region.name = text("ap-south-1");
    record_check("record_region", RECORD_REGION, &region.base);
}

static void test_region_level(void **state) {
    Redoubt__Region region = REDOUBT__REGION__INIT;

    region.name = text("ap-south-1");
    region.has_level = 1;
    region.level = 3;
    record_check("record_region_level", RECORD_REGION, &region.base);
}

static void test_join_tokens(void **state) {
    Redoubt__JoinTokens tokens = REDOUBT__JOIN_TOKENS__INIT;
    Redoubt__JoinToken used = REDOUBT__JOIN_TOKEN__INIT;
    Redoubt__JoinToken fresh = REDOUBT__JOIN_TOKEN__INIT;
    Redoubt__JoinToken *list[] = {&used, &fresh};

    used.has_digest = 1;
    used.digest = bytes("0123456789abcdef0123456789abcdef");
    used.has_expires_ms = 1;
    used.expires_ms = 1700003600000;
    used.has_used_by = 1;
    used.used_by = 0x0123456789abcdefU;
    used.used_address = text("n2.example.org:7600,n2.example.org:7500");
    fresh.has_digest = 1;
    fresh.digest = bytes("fedcba9876543210fedcba9876543210");
    fresh.has_expires_ms = 1;
    fresh.expires_ms = 1700007200000;
    tokens.n_tokens = ARRAY_LEN(list);
    tokens.tokens = list;
    record_check("record_join_tokens", RECORD_JOIN_TOKENS, &tokens.base);
}

static void bytes_check(const char *name, enum record_kind kind, const void *payload, size_t len) {
    struct buf content;
    const uint8_t *read = NULL;
    size_t read_len = 0;

    buf_init(&content, GOLDEN_MAX);
    record_pack_bytes(&content, kind, payload, len);
    golden_check(name, &content);
    assert_int_equal(record_unpack_bytes(kind, content.data, content.len, &read, &read_len), OK);
    assert_int_equal(read_len, len);
    assert_memory_equal(read, payload, len);
    buf_fini(&content);
}

static void test_plain_records(void **state) {
    uint8_t index[8];

    put_le64(index, 0x0102030405060708U);
    bytes_check("record_order", RECORD_ORDER, "app/db", 6);
    bytes_check("record_alias", RECORD_ALIAS, "99999999-8888-4777-9666-555555555555", 36);
    bytes_check("record_applied", RECORD_APPLIED, index, sizeof(index));
}

/* All keys in one file, each with its length before it. */
static void keys_add(struct buf *content, const struct key *key) {
    buf_append_le16(content, (uint16_t)key->len);
    buf_append(content, key->data, key->len);
}

static void test_keys(void **state) {
    struct buf content;
    struct key key;

    buf_init(&content, GOLDEN_MAX);
    assert_true(key_secret(&key, ACCOUNT, "app/db"));
    keys_add(&content, &key);
    assert_true(key_order(&key, ACCOUNT, 0x0102030405060708U));
    keys_add(&content, &key);
    assert_true(key_value(&key, ACCOUNT, "app/db", "11111111-2222-3333-4444-555555555555"));
    keys_add(&content, &key);
    assert_true(key_link(&key, ACCOUNT, "app/db", "eu-west-1"));
    keys_add(&content, &key);
    assert_true(key_grave(&key, ACCOUNT, "app/db", "AbCdEf"));
    keys_add(&content, &key);
    assert_true(key_kms(&key, ACCOUNT, "99999999-8888-4777-9666-555555555555"));
    keys_add(&content, &key);
    assert_true(key_alias(&key, ACCOUNT, "alias/aws/secretsmanager"));
    keys_add(&content, &key);
    for (size_t i = 0; i < KEY_OUTBOX_KINDS; i++) {
        assert_true(
            key_outbox(&key, "eu-west-1", key_outbox_order[i], ACCOUNT, "app/db", "AbCdEf"));
        keys_add(&content, &key);
    }
    key_region(&key);
    keys_add(&content, &key);
    key_applied(&key);
    keys_add(&content, &key);
    golden_check("keys", &content);
    buf_reset(&content);
    key_join_tokens(&key);
    keys_add(&content, &key);
    golden_check("keys_2", &content);
    buf_fini(&content);
}

static void test_key_parsing(void **state) {
    char region[LIMIT_REGION_NAME + 1];
    struct outbox_key place;
    struct key key;
    uint64_t seq = 0;

    assert_true(key_outbox(&key, "eu-west-1", key_outbox_order[1], ACCOUNT, "app/db", "AbCdEf"));
    assert_true(key_parse_outbox(key.data, key.len, region, &place));
    assert_string_equal(region, "eu-west-1");
    assert_string_equal(place.account, ACCOUNT);
    assert_string_equal(place.name, "app/db");
    assert_string_equal(place.suffix, "AbCdEf");
    assert_int_equal(place.kind, key_outbox_order[1]);
    for (size_t len = 0; len < key.len - 5; len++) {
        assert_false(key_parse_outbox(key.data, len, region, &place));
    }
    assert_true(key_order(&key, ACCOUNT, 77));
    assert_true(key_parse_order(key.data, key.len, &seq));
    assert_int_equal(seq, 77);
    assert_false(key_parse_order(key.data, key.len - 1, &seq));
    assert_false(key_outbox(&key, "eu-west-1", (Redoubt__OutboxKind)4, ACCOUNT, "a", "b"));
    assert_false(key_outbox(&key, "eu-west-1", key_outbox_order[0], ACCOUNT, "a", ""));
}

/* The rows of the index for one secret. The index is no promise: if it has to change, raise
 * INDEX_FORMAT, so that every node builds its own anew, and write the file of the new number. */
static void test_index(void **state) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag = REDOUBT__TAG__INIT;
    Redoubt__Tag *tags[] = {&tag};
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;
    const struct due due = {
        .kind = DUE_PRUNE, .due_ms = 1700000000000, .account = ACCOUNT, .name = "app/db"};
    struct index_secret row;
    struct index_rows rows;
    struct buf content;
    struct key key;
    char name[32];

    secret.name = text("app/AppBeta-long-name");
    secret.description = text("whatIt isFOR: #1");
    tag.key = text("team");
    tag.value =
        text("a value of more than sixty-four bytes, so that it has grams of the third kind");
    secret.tags = tags;
    secret.n_tags = 1;
    origin.region = text("eu-west-1");
    secret.replica_of = &origin;
    secret.has_changed_ms = 1;
    secret.changed_ms = 1700000000123;
    secret.created_seq = 0x0102030405060708U;
    buf_init(&content, GOLDEN_MAX);
    index_rows_init(&rows);
    index_rows_make(&rows, ACCOUNT, &secret);
    for (size_t i = 0; i < rows.n; i++) {
        buf_append_le16(&content, (uint16_t)rows.items[i].key_len);
        buf_append_le16(&content, (uint16_t)rows.items[i].value_len);
        buf_append(&content, rows.bytes.data + rows.items[i].at,
                   rows.items[i].key_len + rows.items[i].value_len);
    }
    index_rows_fini(&rows);
    index_secret_of(&secret, true, &row);
    index_secret_encode(&row, &content);
    assert_true(index_key_secret(&key, ACCOUNT, 7));
    keys_add(&content, &key);
    assert_true(index_key_name(&key, ACCOUNT, "app/db"));
    keys_add(&content, &key);
    assert_true(index_key_count(&key, ACCOUNT));
    keys_add(&content, &key);
    assert_true(index_key_when(&key, INDEX_SPACE_CHANGED, ACCOUNT, 1700000000123, 7));
    keys_add(&content, &key);
    assert_true(index_key_when(&key, INDEX_SPACE_ACCESSED, ACCOUNT, INT64_MIN, 7));
    keys_add(&content, &key);
    assert_true(index_key_due(&key, &due));
    keys_add(&content, &key);
    index_key_format(&key);
    keys_add(&content, &key);
    (void)snprintf(name, sizeof(name), "index_%d", INDEX_FORMAT);
    golden_check(name, &content);
    buf_fini(&content);
}

static void test_index_parsing(void **state) {
    const struct due due = {.kind = DUE_PURGE, .due_ms = -5, .account = ACCOUNT, .name = "app/db"};
    char account[LIMIT_ACCOUNT + 1];
    char name[LIMIT_NAME + 1];
    struct due read;
    struct key key;
    struct key other;
    int64_t when = 1;
    uint64_t seq = 0;

    assert_true(index_key_due(&key, &due));
    assert_true(index_parse_due(key.data, key.len, &read, account, name));
    assert_int_equal(read.kind, DUE_PURGE);
    assert_int_equal(read.due_ms, -5);
    assert_string_equal(read.account, ACCOUNT);
    assert_string_equal(read.name, "app/db");
    for (size_t len = 0; len < key.len - 6; len++) {
        assert_false(index_parse_due(key.data, len, &read, account, name));
    }
    key.data[9] = 3;
    assert_false(index_parse_due(key.data, key.len, &read, account, name));
    /* The latest is first, also before 1970. */
    assert_true(index_key_when(&key, INDEX_SPACE_ACCESSED, ACCOUNT, INT64_MIN, 7));
    assert_true(index_key_when(&other, INDEX_SPACE_ACCESSED, ACCOUNT, -1, 1));
    assert_true(memcmp(key.data, other.data, key.len) > 0);
    assert_true(index_key_when(&key, INDEX_SPACE_ACCESSED, ACCOUNT, 0, 1));
    assert_true(memcmp(other.data, key.data, key.len) > 0);
    assert_true(index_key_when(&other, INDEX_SPACE_ACCESSED, ACCOUNT, 0, 2));
    assert_true(memcmp(other.data, key.data, key.len) < 0);
    assert_true(index_parse_when(other.data, other.len, &when, &seq));
    assert_int_equal(when, 0);
    assert_int_equal(seq, 2);
    assert_false(index_parse_when(other.data, other.len - 1, &when, &seq));
}

static void test_log_entry(void **state) {
    const struct log_entry entry = {
        .term = 5, .type = 1, .data = (const uint8_t *)"a command", .len = 9};
    struct log_entry read;
    uint8_t head[LOG_ENTRY_HEAD];
    struct buf content;

    buf_init(&content, GOLDEN_MAX);
    log_entry_head(0x0102030405060708U, &entry, head);
    buf_append(&content, head, sizeof(head));
    buf_append(&content, entry.data, entry.len);
    golden_check("log_entry", &content);
    assert_int_equal(log_entry_decode(0x0102030405060708U, content.data, content.len, &read), OK);
    assert_int_equal(read.term, 5);
    assert_int_equal(read.type, 1);
    assert_int_equal(read.len, 9);
    assert_memory_equal(read.data, "a command", 9);
    assert_int_equal(log_entry_decode(1, content.data, content.len, &read), ERR_CORRUPT);
    buf_fini(&content);
}

static void test_log_meta(void **state) {
    const struct log_snapshot snapshot = {
        .index = 100,
        .term = 5,
        .configuration_index = 7,
        .configuration = (const uint8_t *)"configuration",
        .configuration_len = 13,
        .manifest = (const uint8_t *)"manifest",
        .manifest_len = 8,
    };
    struct log_snapshot read;
    struct buf content;
    uint8_t vote[LOG_VOTE_SIZE];
    uint8_t commits[LOG_COMMITS_SIZE];
    uint8_t origin[LOG_ORIGIN_SIZE];
    uint64_t one = 0;
    uint64_t two = 0;

    buf_init(&content, GOLDEN_MAX);
    log_vote_encode(5, 9, vote);
    buf_append(&content, vote, sizeof(vote));
    golden_check("log_vote", &content);
    assert_int_equal(log_vote_decode(content.data, content.len, &one, &two), OK);
    assert_int_equal(one, 5);
    assert_int_equal(two, 9);
    buf_reset(&content);
    log_commits_encode(12345, commits);
    buf_append(&content, commits, sizeof(commits));
    golden_check("log_commits", &content);
    assert_int_equal(log_commits_decode(content.data, content.len, &one), OK);
    assert_int_equal(one, 12345);
    assert_int_equal(log_vote_decode(content.data, content.len, &one, &two), ERR_CORRUPT);
    buf_reset(&content);
    log_origin_encode(LOG_ORIGIN_JOIN, origin);
    buf_append(&content, origin, sizeof(origin));
    golden_check("log_origin", &content);
    assert_int_equal(log_origin_decode(content.data, content.len, &one), OK);
    assert_int_equal(one, LOG_ORIGIN_JOIN);
    assert_int_equal(log_commits_decode(content.data, content.len, &one), ERR_CORRUPT);
    buf_reset(&content);
    log_snapshot_encode(&content, &snapshot);
    golden_check("log_snapshot", &content);
    assert_int_equal(log_snapshot_decode(content.data, content.len, &read), OK);
    assert_int_equal(read.index, 100);
    assert_int_equal(read.configuration_index, 7);
    assert_int_equal(read.manifest_len, 8);
    assert_memory_equal(read.manifest, "manifest", 8);
    for (size_t len = 0; len < content.len; len++) {
        assert_int_equal(log_snapshot_decode(content.data, len, &read), ERR_CORRUPT);
    }
    buf_fini(&content);
}

static void test_checkpoint(void **state) {
    struct checkpoint_file files[] = {{.name = "000007.sst", .size = 1234567890123},
                                      {.name = "CURRENT", .size = 16},
                                      {.name = "MANIFEST-000009", .size = 0}};
    const struct checkpoint_manifest manifest = {.id = "00112233445566ff",
                                                 .node = 0xa1a2a3a4a5a6a7a8,
                                                 .applied = 987654321,
                                                 .n_files = ARRAY_LEN(files),
                                                 .files = files};
    const struct checkpoint_request request = {
        .id = "00112233445566ff", .file = "000007.sst", .offset = 1 << 20, .len = 4096};
    struct checkpoint_manifest *read = NULL;
    struct checkpoint_request asked = {.len = 0};
    struct buf content;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        memset(files[i].digest, (int)(0x11 * (i + 1)), sizeof(files[i].digest));
    }
    buf_init(&content, GOLDEN_MAX);
    assert_int_equal(checkpoint_manifest_encode(&manifest, &content), OK);
    golden_check("checkpoint_manifest", &content);
    assert_int_equal(checkpoint_manifest_decode(content.data, content.len, &read), OK);
    assert_string_equal(read->id, manifest.id);
    assert_int_equal(read->node, manifest.node);
    assert_int_equal(read->applied, manifest.applied);
    assert_int_equal(read->n_files, 3);
    assert_memory_equal(read->files, files, sizeof(files));
    checkpoint_manifest_free(read);
    buf_reset(&content);
    checkpoint_request_encode(&request, &content);
    golden_check("checkpoint_request", &content);
    assert_int_equal(checkpoint_request_decode(content.data, content.len, &asked), OK);
    assert_string_equal(asked.file, request.file);
    assert_int_equal(asked.offset, request.offset);
    buf_fini(&content);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret),        cmocka_unit_test(test_secret_rotation),
        cmocka_unit_test(test_value),         cmocka_unit_test(test_link),
        cmocka_unit_test(test_outbox),        cmocka_unit_test(test_grave),
        cmocka_unit_test(test_key),           cmocka_unit_test(test_region),
        cmocka_unit_test(test_plain_records), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_key_parsing),   cmocka_unit_test(test_index),
        cmocka_unit_test(test_index_parsing), cmocka_unit_test(test_log_entry),
        cmocka_unit_test(test_log_meta),      cmocka_unit_test(test_region_level),
        cmocka_unit_test(test_join_tokens),   cmocka_unit_test(test_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
