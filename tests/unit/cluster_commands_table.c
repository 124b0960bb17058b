/* The table of commands and the door of apply: numbers, levels, damage, malformed payloads; the
 * region's name and keys. */
#include "tests/unit/cluster_commands.h"

#include "cluster/envelope.h"

static int setup(void **state) {
    struct machine *m = malloc(sizeof(*m));

    machine_init(m, EAST);
    *state = m;
    return 0;
}

static int teardown(void **state) {
    machine_fini(*state);
    free(*state);
    return 0;
}

static struct call secret_a(void) {
    return (struct call){.name = "a", .suffix = "AAAAAA", .token = "t1", .text = "v1"};
}

static void create_a(struct machine *m) {
    struct call call = secret_a();
    expect_ok(do_create(m, &call));
}

/* ---- The table and the envelope ---- */

static void test_table_knows_its_numbers(void **state) {
    assert_true(command_kinds_len >= 11);
    assert_string_equal(command_kind_find(COMMAND_SECRET_PUT)->name, "SECRET_PUT");
    assert_null(command_kind_find(0));
    assert_null(command_kind_find(999));
    for (size_t i = 0; i < command_kinds_len; i++) {
        assert_true(command_kinds[i].level <= command_levels.newest);
        assert_true(i == 0 || command_kinds[i].type > command_kinds[i - 1].type);
    }
}

static enum errc apply_raw(struct machine *m, uint16_t type, uint16_t level, const void *payload,
                           size_t len, Redoubt__Result **ret) {
    struct apply_context context = {.region = m->region, .seq = 99};
    struct buf bytes;
    size_t used = 0;
    enum errc code;

    buf_init(&bytes, 4096);
    envelope_append(&bytes, type, level, payload, len);
    code = command_apply(m->txns[0], &context, bytes.data, bytes.len, &used, ret);
    if (code == OK) {
        assert_int_equal(used, bytes.len);
    } else {
        assert_int_equal(used, 0);
    }
    buf_fini(&bytes);
    return code;
}

static void test_apply_stops_before_a_fork(void **state) {
    Redoubt__Result *result = NULL;

    assert_int_equal(apply_raw(*state, 999, 1, "", 0, &result), ERR_LEVEL);
    assert_int_equal(
        apply_raw(*state, COMMAND_SECRET_PUT, command_levels.newest + 1, "", 0, &result),
        ERR_LEVEL);
    assert_null(result);
}

static void test_apply_rejects_damage(void **state) {
    struct machine *m = *state;
    struct apply_context context = {.region = m->region, .seq = 99};
    Redoubt__Result *result = NULL;
    struct buf bytes;
    size_t used = 0;

    buf_init(&bytes, 4096);
    envelope_append(&bytes, COMMAND_SECRET_TOUCH, 1, (const uint8_t *)"abc", 3);
    bytes.data[bytes.len - 1] ^= 1;
    assert_int_equal(command_apply(m->txns[0], &context, bytes.data, bytes.len, &used, &result),
                     ERR_CORRUPT);
    buf_fini(&bytes);
}

static void test_payload_that_is_no_message_is_refused(void **state) {
    Redoubt__Result *result = NULL;

    assert_int_equal(apply_raw(*state, COMMAND_SECRET_PUT, 1, "\x0a\xff\x01", 3, &result), OK);
    expect_refusal(result, ERR_MALFORMED, NULL);
}

static void test_empty_messages_are_refused_and_change_nothing(void **state) {
    struct machine *m = *state;
    uint64_t before;

    create_a(m);
    before = machine_hash(m);
    for (size_t i = 0; i < command_kinds_len; i++) {
        Redoubt__Result *result = NULL;
        assert_int_equal(apply_raw(m, command_kinds[i].type, 1, "", 0, &result), OK);
        expect_refusal(result, ERR_MALFORMED, NULL);
    }
    assert_int_equal(machine_hash(m), before);
}

static void test_nothing_before_the_region_has_a_name(void **state) {
    struct machine m;
    struct call call = secret_a();

    machine_open(&m);
    expect_refusal(do_create(&m, &call), ERR_UNAVAILABLE, NULL);
    assert_null(machine_secret(&m, "a"));
    machine_fini(&m);
}

static void test_region_is_named_once(void **state) {
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;
    char same[] = EAST;
    char other[] = WEST;
    char bad[] = "Nowhere";

    init.name = same;
    expect_ok(machine_apply(*state, COMMAND_REGION_INIT, &init.base));
    init.name = other;
    expect_refusal(machine_apply(*state, COMMAND_REGION_INIT, &init.base), ERR_INVALID_REQUEST,
                   "This region is already named us-east-1.");
    init.name = bad;
    expect_refusal(machine_apply(*state, COMMAND_REGION_INIT, &init.base), ERR_MALFORMED, NULL);
}

/* ---- Keys ---- */

static Redoubt__Result *create_key(struct machine *m, const char *alias, const char *id) {
    Redoubt__KeyCreate *create = malloc(sizeof(*create));
    Redoubt__Key *key = malloc(sizeof(*key));
    Redoubt__KeyVersion *version = malloc(sizeof(*version));

    redoubt__key_create__init(create);
    redoubt__key__init(key);
    redoubt__key_version__init(version);
    version->has_number = true;
    version->number = 1;
    version->has_wrapped = true;
    version->wrapped.len = 4;
    version->wrapped.data = (uint8_t *)strdup("wrap");
    key->id = strdup(id);
    key->has_state = true;
    key->state = REDOUBT__KEY_STATE__KEY_ENABLED;
    key->n_versions = 1;
    key->versions = calloc(1, sizeof(Redoubt__KeyVersion *));
    key->versions[0] = version;
    key->has_created_ms = true;
    key->created_ms = m->now_ms;
    create->account = strdup(ACCOUNT);
    create->alias = strdup(alias);
    create->key = key;
    return kit_apply_owned(m, COMMAND_KEY_CREATE, &create->base);
}

static void test_key_stays_what_its_alias_names_first(void **state) {
    struct machine *m = *state;
    Redoubt__Key *key = NULL;
    char *id = NULL;

    expect_ok(create_key(m, "alias/aws/secretsmanager", "one"));
    expect_ok(create_key(m, "alias/aws/secretsmanager", "two"));
    assert_int_equal(view_alias(machine_view(m), ACCOUNT, "alias/aws/secretsmanager", &id), OK);
    assert_string_equal(id, "one");
    free(id);
    assert_int_equal(view_key(machine_view(m), ACCOUNT, "two", &key), OK);
    assert_null(key);
    expect_refusal(create_key(m, "alias/other", "one"), ERR_RESOURCE_EXISTS, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_table_knows_its_numbers),
        T(test_apply_stops_before_a_fork),
        T(test_apply_rejects_damage),
        T(test_payload_that_is_no_message_is_refused),
        T(test_empty_messages_are_refused_and_change_nothing),
        T(test_nothing_before_the_region_has_a_name),
        T(test_region_is_named_once),
        T(test_key_stays_what_its_alias_names_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
