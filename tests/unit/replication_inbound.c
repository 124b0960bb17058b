/* The receiving side: what is refused as a whole, what is refused item by item without harm to its
 * neighbours, and that a small message cannot take much memory. */
#include "tests/unit/replication_regions.h"

#define SUFFIX "AbCdEf"
#define V1     "11111111-1111-4111-8111-111111111111"
#define V2     "22222222-2222-4222-8222-222222222222"

static struct region west;

static int setup(void **state) {
    region_init(&west, WEST);
    return 0;
}

static int teardown(void **state) {
    region_fini(&west);
    return 0;
}

/* ---- A valid item, whole, for the tests to spoil ---- */

struct sample {
    Redoubt__WireItem item;
    Redoubt__Secret secret;
    Redoubt__Version versions[2];
    Redoubt__Version *version_ptrs[2];
    Redoubt__WireValue values[2];
    Redoubt__WireValue *value_ptrs[2];
    Redoubt__Tag tags[2];
    Redoubt__Tag *tag_ptrs[2];
    Redoubt__Rotation rotation;
    Redoubt__Tag metadata;
    Redoubt__Tag *metadata_ptr;
    char *stages[2][2];
    char text[1024]; /* for whatever a test needs */
    char *many[LIMIT_STAGES_MOST];
};

/* protobuf-c has no const members. */
static char *text(const char *constant) {
    return (char *)(uintptr_t)constant;
}

static void sample_init(struct sample *s, const char *name) {
    static const char *const ids[] = {V1, V2};
    static const char *const keys[] = {"team", "stage"};

    memset(s, 0, sizeof(*s));
    redoubt__wire_item__init(&s->item);
    redoubt__secret__init(&s->secret);
    s->stages[0][0] = text("AWSPREVIOUS");
    s->stages[1][0] = text("AWSCURRENT");
    s->stages[1][1] = text("mine");
    for (int i = 0; i < 2; i++) {
        redoubt__version__init(&s->versions[i]);
        redoubt__wire_value__init(&s->values[i]);
        redoubt__tag__init(&s->tags[i]);
        s->version_ptrs[i] = &s->versions[i];
        s->value_ptrs[i] = &s->values[i];
        s->tag_ptrs[i] = &s->tags[i];
        s->tags[i].key = text(keys[i]);
        s->tags[i].value = text("x");
        s->versions[i].id = text(ids[i]);
        s->versions[i].has_kind = true;
        s->versions[i].kind = REDOUBT__VALUE_KIND__VALUE_STRING;
        s->versions[i].has_revision = true;
        s->versions[i].revision = (uint64_t)i + 1;
        s->versions[i].has_created_ms = true;
        s->versions[i].created_ms = KIT_NOW;
        s->versions[i].stages = s->stages[i];
        s->versions[i].n_stages = (size_t)i + 1;
        s->values[i].version_id = text(ids[i]);
        s->values[i].has_kind = true;
        s->values[i].kind = REDOUBT__VALUE_KIND__VALUE_STRING;
        s->values[i].has_plaintext = true;
        s->values[i].plaintext.data = (uint8_t *)text("hush");
        s->values[i].plaintext.len = 4;
    }
    s->secret.name = text(name);
    s->secret.suffix = text(SUFFIX);
    s->secret.description = text("what it is for");
    s->secret.policy = text("{}");
    s->secret.tags = s->tag_ptrs;
    s->secret.n_tags = 2;
    redoubt__rotation__init(&s->rotation);
    redoubt__tag__init(&s->metadata);
    s->metadata.key = text("apiVersion");
    s->metadata.value = text("v65.0");
    s->metadata_ptr = &s->metadata;
    s->rotation.has_enabled = true;
    s->rotation.enabled = true;
    s->rotation.function_arn = text("rotate");
    s->rotation.schedule_expression = text("rate(10 days)");
    s->rotation.duration = text("3h");
    s->rotation.has_next_rotation_ms = true;
    s->rotation.next_rotation_ms = KIT_NOW;
    s->rotation.external_metadata = &s->metadata_ptr;
    s->rotation.n_external_metadata = 1;
    s->secret.rotation = &s->rotation;
    s->secret.has_created_ms = true;
    s->secret.created_ms = KIT_NOW;
    s->secret.has_changed_ms = true;
    s->secret.changed_ms = KIT_NOW;
    s->secret.has_revision = true;
    s->secret.revision = 2;
    s->secret.versions = s->version_ptrs;
    s->secret.n_versions = 2;
    s->item.has_kind = true;
    s->item.kind = REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT;
    s->item.account = text(ACCOUNT);
    s->item.name = text(name);
    s->item.suffix = text(SUFFIX);
    s->item.has_generation = true;
    s->item.generation = 64;
    s->item.has_revision = true;
    s->item.revision = 2;
    s->item.secret = &s->secret;
    s->item.values = s->value_ptrs;
    s->item.n_values = 2;
}

static enum errc receive(const char *from, const char *to, const char *peer,
                         Redoubt__WireItem **items, size_t n, struct buf *answer) {
    Redoubt__WireBatch batch = REDOUBT__WIRE_BATCH__INIT;
    uint8_t *bytes;
    size_t len;
    enum errc code;

    batch.from_region = text(from);
    batch.to_region = text(to);
    batch.items = items;
    batch.n_items = n;
    len = redoubt__wire_batch__get_packed_size(&batch);
    bytes = malloc(len + 1);
    assert_non_null(bytes);
    (void)redoubt__wire_batch__pack(&batch, bytes);
    code = region_receive(&west, peer, bytes, len, answer);
    free(bytes);
    return code;
}

/* The verdicts of a batch from EAST. */
static void receive_items(Redoubt__WireItem **items, size_t n, int *verdicts) {
    struct buf answer;
    Redoubt__WireVerdicts *decoded;

    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(receive(EAST, WEST, EAST, items, n, &answer), OK);
    decoded = redoubt__wire_verdicts__unpack(NULL, answer.len, answer.data);
    assert_non_null(decoded);
    assert_string_equal(decoded->region, WEST);
    assert_int_equal(decoded->level, WIRE_LEVEL);
    assert_int_equal(decoded->n_verdicts, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(decoded->verdicts[i]->has_verdict);
        verdicts[i] = (int)decoded->verdicts[i]->verdict;
    }
    redoubt__wire_verdicts__free_unpacked(decoded, NULL);
    buf_fini(&answer);
}

/* ---- The batch as a whole ---- */

static void test_heads(void **state) {
    struct sample sample;
    Redoubt__WireItem *items[LIMIT_BATCH_ITEMS + 1];
    uint64_t before = machine_hash(&west.m);
    struct buf answer;

    sample_init(&sample, "app/db");
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        items[i] = &sample.item;
    }
    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(receive(EAST, WEST, SOUTH, items, 1, &answer), ERR_ACCESS_DENIED);
    assert_int_equal(receive(NULL, WEST, EAST, items, 1, &answer), ERR_ACCESS_DENIED);
    assert_int_equal(receive(EAST, SOUTH, EAST, items, 1, &answer), ERR_MALFORMED);
    assert_int_equal(receive(EAST, NULL, EAST, items, 1, &answer), ERR_MALFORMED);
    assert_int_equal(receive(EAST, WEST, EAST, items, 0, &answer), ERR_MALFORMED);
    assert_int_equal(receive(EAST, WEST, EAST, items, LIMIT_BATCH_ITEMS + 1, &answer),
                     ERR_MALFORMED);
    assert_int_equal(region_receive(&west, EAST, (const uint8_t *)"GET / HTTP", 10, &answer),
                     ERR_MALFORMED);
    assert_int_equal(region_receive(&west, EAST, (const uint8_t *)"", 0, &answer),
                     ERR_ACCESS_DENIED);
    assert_int_equal(answer.len, 0);
    assert_true(before == machine_hash(&west.m));
    assert_int_equal(receive(EAST, WEST, EAST, items, LIMIT_BATCH_ITEMS, &answer), OK);
    buf_fini(&answer);
}

static void test_sealed_node(void **state) {
    const struct inbound_context context = {WEST, west.m.engines[0], NULL, world_system()};
    struct proposal *proposal = NULL;
    bool is_prelude;
    struct err err;

    assert_int_equal(
        inbound_prepare(&context, EAST, (const uint8_t *)"", 0, &proposal, &is_prelude, &err),
        ERR_SEALED);
}

/* Two bytes an item: what they become in memory is a hundred times that. */
static void test_flood_of_empty_items(void **state) {
    size_t len = 16 * 1024 * 1024;
    uint8_t *bytes = malloc(len);
    struct buf answer;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 2) {
        bytes[i] = 3 << 3 | 2; /* field 3, length-delimited */
        bytes[i + 1] = 0;
    }
    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(region_receive(&west, EAST, bytes, len, &answer), ERR_MALFORMED);
    buf_fini(&answer);
    free(bytes);
}

static void test_default_key_comes_first(void **state) {
    struct sample sample;
    Redoubt__WireItem *items[] = {&sample.item};
    const struct inbound_context context = {WEST, west.m.engines[0], west.keyring, world_system()};
    Redoubt__WireBatch batch = REDOUBT__WIRE_BATCH__INIT;
    uint8_t bytes[4096];
    size_t len;
    struct proposal *proposal = NULL;
    bool is_prelude = false;
    struct err err;

    sample_init(&sample, "app/db");
    batch.from_region = text(EAST);
    batch.to_region = text(WEST);
    batch.items = items;
    batch.n_items = 1;
    len = redoubt__wire_batch__pack(&batch, bytes);
    assert_int_equal(inbound_prepare(&context, EAST, bytes, len, &proposal, &is_prelude, &err), OK);
    assert_true(is_prelude);
    assert_int_equal(proposal->type, COMMAND_KEY_CREATE);
    command_result_free(region_propose(&west, proposal));
    assert_int_equal(inbound_prepare(&context, EAST, bytes, len, &proposal, &is_prelude, &err), OK);
    assert_false(is_prelude);
    assert_int_equal(proposal->type, COMMAND_INBOUND_BATCH);
    assert_null(memmem(proposal->command.data, proposal->command.len, "hush", 4));
    proposal_free(proposal);
}

/* ---- Items ---- */

static void no_kind(struct sample *s) {
    s->item.has_kind = false;
}
static void later_kind(struct sample *s) {
    s->item.kind = (Redoubt__OutboxKind)77;
}
static void no_account(struct sample *s) {
    s->item.account = NULL;
}
static void short_account(struct sample *s) {
    s->item.account = text("12345678901");
}
static void letters_in_account(struct sample *s) {
    s->item.account = text("12345678901x");
}
static void no_name(struct sample *s) {
    s->item.name = NULL;
}
static void empty_name(struct sample *s) {
    s->item.name = text("");
}
static void bad_name(struct sample *s) {
    s->item.name = s->secret.name = text("app db");
}
static void long_name(struct sample *s) {
    static char name[LIMIT_NAME + 2];
    memset(name, 'n', LIMIT_NAME + 1);
    s->item.name = s->secret.name = name;
}
static void other_name_inside(struct sample *s) {
    s->secret.name = text("app/other");
}
static void other_suffix_inside(struct sample *s) {
    s->secret.suffix = text("ZzZzZz");
}
static void bad_suffix(struct sample *s) {
    s->item.suffix = s->secret.suffix = text("Ab-dEf");
}
static void no_generation(struct sample *s) {
    s->item.has_generation = false;
}
static void generation_zero(struct sample *s) {
    s->item.generation = 0;
}
static void no_revision(struct sample *s) {
    s->item.has_revision = false;
}
static void other_revision_inside(struct sample *s) {
    s->secret.revision = 3;
}
static void no_secret(struct sample *s) {
    s->item.secret = NULL;
}
static void version_of_the_future(struct sample *s) {
    s->versions[1].revision = 3;
}
static void version_without_id(struct sample *s) {
    s->versions[0].id = NULL;
}
static void version_twice(struct sample *s) {
    s->versions[0].id = text(V2);
}
static void long_version_id(struct sample *s) {
    memset(s->text, 'v', LIMIT_TOKEN + 1);
    s->versions[0].id = s->values[0].version_id = s->text;
}
static void label_twice(struct sample *s) {
    s->stages[0][0] = text("mine");
}
static void empty_label(struct sample *s) {
    s->stages[0][0] = text("");
}
static void too_many_labels(struct sample *s) {
    for (size_t i = 0; i < LIMIT_STAGES_MOST; i++) {
        (void)snprintf(s->text + 8 * i, 8, "l%zu", i);
        s->many[i] = s->text + 8 * i;
    }
    s->versions[0].stages = s->many;
    s->versions[0].n_stages = LIMIT_STAGES_MOST;
}
static void unknown_kind_of_version(struct sample *s) {
    s->versions[0].kind = s->values[0].kind = (Redoubt__ValueKind)9;
}
static void value_of_no_version(struct sample *s) {
    s->values[0].version_id = text("33333333-3333-4333-8333-333333333333");
}
static void value_without_id(struct sample *s) {
    s->values[0].version_id = NULL;
}
static void value_twice(struct sample *s) {
    s->values[0].version_id = text(V2);
}
static void value_of_another_kind(struct sample *s) {
    s->values[0].kind = REDOUBT__VALUE_KIND__VALUE_BINARY;
}
static void value_without_content(struct sample *s) {
    s->values[0].has_plaintext = false;
}
static void value_too_long(struct sample *s) {
    static uint8_t zeros[LIMIT_VALUE_MOST + 1];
    memset(zeros, 'z', sizeof(zeros));
    s->values[0].plaintext.data = zeros;
    s->values[0].plaintext.len = sizeof(zeros);
}
static void value_not_utf8(struct sample *s) {
    s->values[0].plaintext.data = (uint8_t *)text("\xed\xa0\x80");
    s->values[0].plaintext.len = 3;
}
static void description_not_utf8(struct sample *s) {
    s->secret.description = text("\xc0\xaf");
}
static void policy_empty(struct sample *s) {
    s->secret.policy = text("");
}
static void policy_not_utf8(struct sample *s) {
    s->secret.policy = text("{\xff}");
}
static void policy_too_long(struct sample *s) {
    static char policy[LIMIT_POLICY_MOST + 2];
    memset(policy, ' ', LIMIT_POLICY_MOST + 1);
    s->secret.policy = policy;
}
static void description_too_long(struct sample *s) {
    static char description[LIMIT_DESCRIPTION + 2];
    memset(description, 'd', LIMIT_DESCRIPTION + 1);
    s->secret.description = description;
}
static void type_too_long(struct sample *s) {
    static char type[LIMIT_TYPE + 2];
    memset(type, 't', LIMIT_TYPE + 1);
    s->secret.type = type;
}
static void tag_twice(struct sample *s) {
    s->tags[0].key = text("stage");
}
static void tag_without_key(struct sample *s) {
    s->tags[0].key = NULL;
}
static void time_out_of_range(struct sample *s) {
    s->secret.changed_ms = INT64_MAX;
}
static void function_too_long(struct sample *s) {
    static char function[LIMIT_FUNCTION_ARN + 2];
    memset(function, 'f', LIMIT_FUNCTION_ARN + 1);
    s->rotation.function_arn = function;
}
static void role_not_utf8(struct sample *s) {
    s->rotation.external_role_arn = text("arn:\xff");
}
static void expression_not_utf8(struct sample *s) {
    s->rotation.schedule_expression = text("rate(\xc0\xaf)");
}
static void duration_too_long(struct sample *s) {
    static char duration[LIMIT_SCHEDULE + 2];
    memset(duration, '1', LIMIT_SCHEDULE + 1);
    s->rotation.duration = duration;
}
static void rotation_out_of_range(struct sample *s) {
    s->rotation.next_rotation_ms = -1;
}
static void metadata_without_key(struct sample *s) {
    s->metadata.key = NULL;
}
static void metadata_value_too_long(struct sample *s) {
    static char value[LIMIT_EXTERNAL_VALUE + 2];
    memset(value, 'v', LIMIT_EXTERNAL_VALUE + 1);
    s->metadata.value = value;
}
static void too_much_metadata(struct sample *s) {
    static Redoubt__Tag *many[LIMIT_EXTERNAL_ITEMS + 1];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = &s->metadata;
    }
    s->rotation.external_metadata = many;
    s->rotation.n_external_metadata = ARRAY_LEN(many);
}
static void long_key_id(struct sample *s) {
    static char key_id[LIMIT_KMS_KEY_ID + 2];
    memset(key_id, 'k', LIMIT_KMS_KEY_ID + 1);
    s->item.kms_key_id = key_id;
}
static void tombstone_with_a_secret(struct sample *s) {
    s->item.kind = REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE;
}

static const struct {
    const char *what;
    void (*spoil)(struct sample *sample);
} spoils[] = {
#define ROW(f)                                                                                     \
    { #f, f }
    ROW(no_kind),
    ROW(later_kind),
    ROW(no_account),
    ROW(short_account),
    ROW(letters_in_account),
    ROW(no_name),
    ROW(empty_name),
    ROW(bad_name),
    ROW(long_name),
    ROW(other_name_inside),
    ROW(other_suffix_inside),
    ROW(bad_suffix),
    ROW(no_generation),
    ROW(generation_zero),
    ROW(no_revision),
    ROW(other_revision_inside),
    ROW(no_secret),
    ROW(version_of_the_future),
    ROW(version_without_id),
    ROW(version_twice),
    ROW(long_version_id),
    ROW(label_twice),
    ROW(empty_label),
    ROW(too_many_labels),
    ROW(unknown_kind_of_version),
    ROW(value_of_no_version),
    ROW(value_without_id),
    ROW(value_twice),
    ROW(value_of_another_kind),
    ROW(value_without_content),
    ROW(value_too_long),
    ROW(value_not_utf8),
    ROW(description_not_utf8),
    ROW(description_too_long),
    ROW(policy_empty),
    ROW(policy_not_utf8),
    ROW(policy_too_long),
    ROW(type_too_long),
    ROW(tag_twice),
    ROW(tag_without_key),
    ROW(time_out_of_range),
    ROW(function_too_long),
    ROW(role_not_utf8),
    ROW(expression_not_utf8),
    ROW(duration_too_long),
    ROW(rotation_out_of_range),
    ROW(metadata_without_key),
    ROW(metadata_value_too_long),
    ROW(too_much_metadata),
    ROW(long_key_id),
    ROW(tombstone_with_a_secret),
#undef ROW
};

static void test_bad_items_are_refused_alone(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct sample bad;
        struct sample good;
        Redoubt__WireItem *items[] = {&bad.item, &good.item};
        int verdicts[2];
        char name[32];
        Redoubt__Secret *secret;

        (void)snprintf(name, sizeof(name), "good/%zu", i);
        sample_init(&bad, "bad/one");
        sample_init(&good, name);
        spoils[i].spoil(&bad);
        receive_items(items, 2, verdicts);
        if (verdicts[0] != REDOUBT__VERDICT__VERDICT_REFUSED) {
            fail_msg("%s: verdict %d", spoils[i].what, verdicts[0]);
        }
        assert_int_equal(verdicts[1], REDOUBT__VERDICT__VERDICT_APPLIED);
        secret = machine_secret(&west.m, "bad/one");
        assert_null(secret);
    }
}

/* What only the receiver may say about itself is not taken from the wire. */
static void test_what_is_ours_is_not_theirs_to_say(void **state) {
    struct sample sample;
    Redoubt__WireItem *items[] = {&sample.item};
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;
    Redoubt__Secret *secret;
    char *former[] = {text("their-former-key"), text("their-first-key")};
    int verdict;

    sample_init(&sample, "app/db");
    origin.region = text(SOUTH);
    origin.has_generation = true;
    origin.generation = 1;
    sample.secret.replica_of = &origin;
    sample.secret.promoted_from = &origin;
    sample.secret.kms_key_id = text("alias/theirs");
    sample.secret.has_created_seq = true;
    sample.secret.created_seq = 1;
    sample.secret.has_last_accessed_day = true;
    sample.secret.last_accessed_day = 12345;
    sample.secret.has_own_kms_key = true;
    sample.secret.own_kms_key = true;
    sample.secret.link_kms_key_id = text("alias/other");
    sample.versions[0].key_id = text("their-key");
    sample.versions[0].other_key_ids = former;
    sample.versions[0].n_other_key_ids = ARRAY_LEN(former);
    sample.versions[0].has_digest = true;
    sample.versions[0].digest.data = (uint8_t *)text("digest");
    sample.versions[0].digest.len = 6;
    sample.versions[0].has_last_accessed_day = true;
    sample.versions[0].last_accessed_day = 12345;
    receive_items(items, 1, &verdict);
    assert_int_equal(verdict, REDOUBT__VERDICT__VERDICT_APPLIED);

    secret = machine_secret(&west.m, "app/db");
    assert_string_equal(secret->replica_of->region, EAST);
    assert_null(secret->promoted_from);
    assert_null(secret->kms_key_id);
    assert_true(secret->created_seq > 1);
    assert_false(secret->has_last_accessed_day);
    assert_false(secret->own_kms_key);
    assert_null(secret->link_kms_key_id);
    assert_string_not_equal(secret->versions[0]->key_id, "their-key");
    assert_int_equal(secret->versions[0]->n_other_key_ids, 0);
    assert_int_equal(secret->versions[0]->digest.len, 32);
    assert_false(secret->versions[0]->has_last_accessed_day);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_opens(&west, "app/db", SUFFIX, V1, "hush");
}

/* Another region's secret is not this peer's to change, whatever it claims. */
static void test_only_the_primary_speaks(void **state) {
    struct sample sample;
    Redoubt__WireItem *items[] = {&sample.item};
    struct buf answer;
    Redoubt__WireVerdicts *decoded;
    int verdict;

    sample_init(&sample, "app/db");
    receive_items(items, 1, &verdict);
    assert_int_equal(verdict, REDOUBT__VERDICT__VERDICT_APPLIED);
    sample.item.revision = sample.secret.revision = 9;
    sample.item.generation = 1 << 20;
    sample.item.has_force = true;
    sample.item.force = true;
    buf_init(&answer, LIMIT_PEER_BODY);
    assert_int_equal(receive(SOUTH, WEST, SOUTH, items, 1, &answer), OK);
    decoded = redoubt__wire_verdicts__unpack(NULL, answer.len, answer.data);
    assert_int_equal(decoded->verdicts[0]->verdict, REDOUBT__VERDICT__VERDICT_OTHER_PRIMARY);
    redoubt__wire_verdicts__free_unpacked(decoded, NULL);
    buf_reset(&answer);

    /* Nor to remove. */
    sample.item.kind = REDOUBT__OUTBOX_KIND__OUTBOX_REMOVE;
    sample.item.secret = NULL;
    sample.item.n_values = 0;
    assert_int_equal(receive(SOUTH, WEST, SOUTH, items, 1, &answer), OK);
    assert_true(machine_has_value(&west.m, "app/db", V1));
    buf_fini(&answer);
}

static void test_fields_of_a_later_release(void **state) {
    static const uint8_t later[] = {0xba, 0x3e, 3, 'n', 'e', 'w'}; /* field 999, three bytes */
    struct sample sample;
    Redoubt__WireItem *items[] = {&sample.item};
    ProtobufCMessageUnknownField unknown = {.tag = 999,
                                            .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                            .len = sizeof(later) - 2,
                                            .data = (uint8_t *)(uintptr_t)(later + 2)};
    Redoubt__Secret *secret;
    int verdict;

    sample_init(&sample, "app/db");
    sample.secret.base.n_unknown_fields = 1;
    sample.secret.base.unknown_fields = &unknown;
    sample.versions[1].base.n_unknown_fields = 1;
    sample.versions[1].base.unknown_fields = &unknown;
    sample.rotation.base.n_unknown_fields = 1;
    sample.rotation.base.unknown_fields = &unknown;
    sample.metadata.base.n_unknown_fields = 1;
    sample.metadata.base.unknown_fields = &unknown;
    receive_items(items, 1, &verdict);
    assert_int_equal(verdict, REDOUBT__VERDICT__VERDICT_APPLIED);
    secret = machine_secret(&west.m, "app/db");
    assert_int_equal(secret->base.n_unknown_fields, 0);
    assert_int_equal(secret->versions[1]->base.n_unknown_fields, 0);
    assert_string_equal(secret->rotation->function_arn, "rotate");
    assert_int_equal(secret->rotation->base.n_unknown_fields, 0);
    assert_string_equal(secret->rotation->external_metadata[0]->value, "v65.0");
    assert_int_equal(secret->rotation->external_metadata[0]->base.n_unknown_fields, 0);
    redoubt__secret__free_unpacked(secret, NULL);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_heads),
        TEST(test_sealed_node),
        TEST(test_flood_of_empty_items),
        TEST(test_default_key_comes_first),
        TEST(test_bad_items_are_refused_alone),
        TEST(test_what_is_ours_is_not_theirs_to_say),
        TEST(test_only_the_primary_speaks),
        TEST(test_fields_of_a_later_release),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
