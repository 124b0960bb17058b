/* One command of each type as this release writes it, kept for ever: every release must read them,
 * write the same bytes again, and make of them what it made of them before.
 *
 * tests/golden/v1/commands/NAME.hex is the enveloped command; NAME.textproto beside it says what is
 * in there; NAME.2.hex has the fields that came later. A changed file is a broken log somewhere. */
#include "tests/unit/cluster_commands.h"

#include "base/bytes.h"
#include "cluster/envelope.h"

enum { GOLDEN_MAX = 4096 };

static uint8_t golden[GOLDEN_MAX];

/* The bytes of NAME.hex, in `golden`. */
static size_t load(const char *name) {
    char path[256];
    char text[2 * GOLDEN_MAX + 2];
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof(path), "tests/golden/v1/commands/%s.hex", name);
    file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s is missing", path);
        return 0;
    }
    len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    while (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    assert_int_equal(len % 2, 0);
    assert_true(hex_decode(text, len, golden, len / 2));
    return len / 2;
}

/* No field, at any depth, that this release does not know. */
static void expect_all_known(const ProtobufCMessage *message) {
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    assert_int_equal(message->n_unknown_fields, 0);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *at = (const char *)message + field->offset;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n =
                *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
            ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)(const void *)at;
            for (size_t k = 0; k < n; k++) {
                expect_all_known(items[k]);
            }
        } else if (*(ProtobufCMessage *const *)(const void *)at != NULL) {
            expect_all_known(*(ProtobufCMessage *const *)(const void *)at);
        }
    }
}

static void expect_read_and_written_again(const struct command_kind *kind, const char *file) {
    size_t len = load(file);
    struct envelope envelope;
    size_t used = 0;
    ProtobufCMessage *message;
    struct buf again;

    assert_int_equal(envelope_next(golden, len, &envelope, &used), OK);
    assert_int_equal(used, len);
    assert_int_equal(envelope.type, kind->type);
    assert_true(envelope.level_required <= command_levels.newest);
    message =
        protobuf_c_message_unpack(kind->descriptor, NULL, envelope.payload_len, envelope.payload);
    assert_non_null(message);
    expect_all_known(message);
    buf_init(&again, GOLDEN_MAX);
    command_encode(&again, (enum command_type)kind->type, message);
    assert_false(again.failed);
    assert_int_equal(again.len, len);
    assert_memory_equal(again.data, golden, len);
    buf_fini(&again);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void test_every_command_is_read_and_written_again(void **state) {
    for (size_t i = 0; i < command_kinds_len; i++) {
        expect_read_and_written_again(&command_kinds[i], command_kinds[i].name);
    }
    expect_read_and_written_again(command_kind_find(COMMAND_SECRET_CREATE), "SECRET_CREATE.2");
    expect_read_and_written_again(command_kind_find(COMMAND_SECRET_PUT), "SECRET_PUT.2");
    expect_read_and_written_again(command_kind_find(COMMAND_REGION_INIT), "REGION_INIT.2");
}

static Redoubt__Result *apply_golden(struct machine *m, const char *name) {
    size_t len = load(name);
    return machine_apply_bytes(m, golden, len);
}

static void expect_verdict(const Redoubt__Result *result, size_t at, Redoubt__Verdict verdict) {
    assert_true(at < result->n_verdicts);
    assert_int_equal(result->verdicts[at]->verdict, verdict);
}

/* One after the other they do something: an order in which each finds what it needs. */
static void test_every_command_means_what_it_meant(void **state) {
    struct machine m;
    Redoubt__Result *result;
    Redoubt__Secret *secret;
    Redoubt__Link *link;

    machine_open(&m);
    expect_ok(apply_golden(&m, "REGION_INIT"));
    (void)snprintf(m.region, sizeof(m.region), "%s", EAST);
    expect_ok(apply_golden(&m, "KEY_CREATE"));
    expect_ok(apply_golden(&m, "SECRET_CREATE"));
    expect_ok(apply_golden(&m, "SECRET_PUT"));
    expect_ok(apply_golden(&m, "LINKS_ADD"));
    result = apply_golden(&m, "LINKS_REMOVE");
    assert_int_equal(result->n_links, 1);
    command_result_free(result);
    result = apply_golden(&m, "INBOUND_BATCH");
    expect_verdict(result, 0, REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_verdict(result, 1, REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_verdict(result, 2, REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_verdict(result, 3, REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE);
    command_result_free(result);
    expect_ok(apply_golden(&m, "SECRET_PROMOTE"));
    expect_ok(apply_golden(&m, "SECRET_TOUCH"));
    expect_ok(apply_golden(&m, "SECRETS_TOUCH"));
    result = apply_golden(&m, "SECRET_DELETE");
    assert_string_equal(result->suffix, "ZyXwVu");
    command_result_free(result);
    expect_ok(apply_golden(&m, "OUTCOME_BATCH"));
    /* Neither finds what it was meant for: their meaning is in cluster_commands_jobs.c. */
    expect_ok(apply_golden(&m, "SECRET_PURGE"));
    expect_ok(apply_golden(&m, "VERSIONS_PRUNE"));

    secret = machine_secret(&m, "prod/db");
    assert_int_equal(secret->n_versions, 2);
    assert_int_equal(secret->versions[1]->n_stages, 2);
    assert_int_equal(secret->last_accessed_day, 19677);
    assert_int_equal(secret->revision, 3);
    redoubt__secret__free_unpacked(secret, NULL);
    link = machine_link(&m, "prod/db", SOUTH);
    assert_int_equal(link->acked_revision, 3);
    assert_int_equal(link->replica_last_accessed_day, 19676);
    redoubt__link__free_unpacked(link, NULL);
    secret = machine_secret(&m, "from/west");
    assert_string_equal(secret->promoted_from->region, WEST);
    assert_string_equal(secret->kms_key_id, "alias/mine");
    assert_int_equal(secret->revision, 3);
    redoubt__secret__free_unpacked(secret, NULL);
    machine_fini(&m);
}

static void test_tags_and_policy_mean_what_they_meant(void **state) {
    struct machine m;
    Redoubt__Secret *secret;

    machine_open(&m);
    expect_ok(apply_golden(&m, "REGION_INIT"));
    (void)snprintf(m.region, sizeof(m.region), "%s", EAST);
    expect_ok(apply_golden(&m, "SECRET_CREATE"));
    expect_ok(apply_golden(&m, "TAGS_SET"));
    expect_ok(apply_golden(&m, "TAGS_REMOVE"));
    expect_ok(apply_golden(&m, "POLICY_SET"));
    secret = machine_secret(&m, "prod/db");
    assert_int_equal(secret->revision, 4);
    assert_int_equal(secret->changed_ms, 1700000004000);
    assert_int_equal(secret->n_tags, 2);
    assert_string_equal(secret->tags[0]->key, "team");
    assert_string_equal(secret->tags[0]->value, "blue");
    assert_string_equal(secret->tags[1]->key, "empty");
    assert_non_null(strstr(secret->policy, "\"Principal\":{\"AWS\":\"123456789012\"}"));
    redoubt__secret__free_unpacked(secret, NULL);
    machine_fini(&m);
}

/* The commands of level 2 that change a secret. */
static void test_changes_mean_what_they_meant(void **state) {
    struct machine m;
    Redoubt__Secret *secret;
    Redoubt__Sealed *sealed = NULL;

    machine_init(&m, EAST);
    expect_ok(apply_golden(&m, "SECRET_CREATE"));
    expect_ok(apply_golden(&m, "SECRET_PUT"));
    expect_ok(apply_golden(&m, "SECRET_UPDATE"));
    expect_ok(apply_golden(&m, "STAGE_UPDATE"));
    secret = machine_secret(&m, "prod/db");
    assert_int_equal(secret->revision, 4);
    assert_int_equal(secret->changed_ms, 1700000001600);
    assert_string_equal(secret->description, "the database, moved");
    assert_string_equal(secret->kms_key_id, "alias/next");
    assert_string_equal(secret->type, "partner");
    assert_int_equal(secret->n_versions, 3);
    assert_int_equal(secret->versions[0]->n_stages, 0);
    assert_int_equal(secret->versions[1]->n_stages, 1);
    assert_string_equal(secret->versions[1]->stages[0], "AWSPREVIOUS");
    assert_int_equal(secret->versions[1]->n_other_key_ids, 1);
    assert_int_equal(secret->versions[2]->n_stages, 2);
    assert_string_equal(secret->versions[2]->stages[1], "blue");
    assert_int_equal(
        view_value(machine_view(&m), ACCOUNT, "prod/db", secret->versions[1]->id, &sealed), OK);
    assert_int_equal(sealed->ciphertext.len, strlen("ciphertext two again"));
    assert_int_equal(sealed->n_others, 1);
    assert_int_equal(sealed->others[0]->ciphertext.len, strlen("ciphertext two"));
    redoubt__sealed__free_unpacked(sealed, NULL);
    secret->has_deletion_ms = true;
    secret->deletion_ms = m.now_ms;
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m.txns[i], ACCOUNT, secret);
    }
    redoubt__secret__free_unpacked(secret, NULL);
    expect_ok(apply_golden(&m, "SECRET_RESTORE"));
    secret = machine_secret(&m, "prod/db");
    assert_false(secret->has_deletion_ms);
    redoubt__secret__free_unpacked(secret, NULL);

    expect_ok(apply_golden(&m, "SECRET_CREATE.2"));
    expect_ok(apply_golden(&m, "SECRET_PUT.2"));
    secret = machine_secret(&m, "partner");
    assert_string_equal(secret->type, "partner");
    assert_int_equal(secret->n_versions, 1);
    redoubt__secret__free_unpacked(secret, NULL);
    machine_fini(&m);
}

/* On the secret that SECRET_CREATE makes. */
static void test_rotation_means_what_it_meant(void **state) {
    struct machine m;
    Redoubt__Secret *secret;

    machine_open(&m);
    expect_ok(apply_golden(&m, "REGION_INIT"));
    (void)snprintf(m.region, sizeof(m.region), "%s", EAST);
    expect_ok(apply_golden(&m, "KEY_CREATE"));
    expect_ok(apply_golden(&m, "SECRET_CREATE"));
    expect_ok(apply_golden(&m, "ROTATION_SET"));
    secret = machine_secret(&m, "prod/db");
    assert_int_equal(secret->n_versions, 2);
    assert_string_equal(secret->versions[1]->id, "11111111-aaaa-bbbb-cccc-000000000003");
    assert_false(secret->versions[1]->has_kind);
    assert_int_equal(secret->versions[1]->n_stages, 1);
    assert_string_equal(secret->versions[1]->stages[0], "AWSPENDING");
    assert_true(secret->rotation->enabled);
    assert_string_equal(secret->rotation->schedule_expression, "cron(0 16 1,15 * ? *)");
    assert_int_equal(secret->rotation->automatically_after_days, 1);
    assert_int_equal(secret->rotation->next_rotation_ms, 1700071199000); /* 15 November, 17:59:59 */
    assert_int_equal(secret->rotation->n_external_metadata, 1);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_ok(apply_golden(&m, "ROTATION_CANCEL"));
    secret = machine_secret(&m, "prod/db");
    assert_false(secret->rotation->enabled);
    assert_int_equal(secret->changed_ms, 1700000010000);
    redoubt__secret__free_unpacked(secret, NULL);
    machine_fini(&m);
}

/* The commands of level 3: on a region that began before it, and on one that begins with it. */
static void test_levels_and_join_tokens_mean_what_they_meant(void **state) {
    struct machine m;
    Redoubt__JoinTokens *tokens = NULL;
    unsigned level = 0;

    machine_init(&m, EAST);
    expect_ok(apply_golden(&m, "SET_LEVEL"));
    assert_int_equal(view_level(machine_view(&m), &level), OK);
    assert_int_equal(level, 3);
    expect_ok(apply_golden(&m, "JOIN_TOKEN_SET"));
    expect_ok(apply_golden(&m, "JOIN_TOKEN_USE"));
    assert_int_equal(view_join_tokens(machine_view(&m), &tokens), OK);
    assert_int_equal(tokens->n_tokens, 1);
    assert_int_equal(tokens->tokens[0]->expires_ms, 1700003600000);
    assert_true(tokens->tokens[0]->used_by == 0x0123456789abcdefU);
    assert_string_equal(tokens->tokens[0]->used_address, "n2.example.org:7600,n2.example.org:7500");
    redoubt__join_tokens__free_unpacked(tokens, NULL);
    machine_fini(&m);
    machine_open(&m);
    expect_ok(apply_golden(&m, "REGION_INIT.2"));
    assert_int_equal(view_level(machine_view(&m), &level), OK);
    assert_int_equal(level, 3);
    machine_fini(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_is_read_and_written_again),
        cmocka_unit_test(test_every_command_means_what_it_meant),
        cmocka_unit_test(test_tags_and_policy_mean_what_they_meant),
        cmocka_unit_test(test_changes_mean_what_they_meant),
        cmocka_unit_test(test_rotation_means_what_it_meant),
        cmocka_unit_test(test_levels_and_join_tokens_mean_what_they_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
