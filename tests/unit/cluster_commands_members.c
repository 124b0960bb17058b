/* The commands around membership: the region's level, and permissions to join. */
#include "tests/unit/cluster_commands.h"

#include "base/bytes.h"
#include "cluster/envelope.h"

enum { HOUR_MS = 60 * 60 * 1000 };

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

static unsigned level_of(struct machine *m) {
    unsigned level = 0;

    assert_int_equal(view_level(machine_view(m), &level), OK);
    return level;
}

static Redoubt__Result *set_level(struct machine *m, uint32_t level) {
    Redoubt__SetLevel command = REDOUBT__SET_LEVEL__INIT;

    command.has_level = true;
    command.level = level;
    return machine_apply(m, COMMAND_SET_LEVEL, &command.base);
}

static void test_a_level_only_rises(void **state) {
    struct machine *m = *state;

    assert_int_equal(level_of(m), 2); /* a region of the releases before levels were kept */
    expect_ok(set_level(m, 3));
    assert_int_equal(level_of(m), 3);
    expect_ok(set_level(m, 3));
    expect_refusal(set_level(m, 2), ERR_INVALID_REQUEST,
                   "The region is at level 3 already; it never falls.");
    expect_refusal(set_level(m, 0), ERR_MALFORMED, NULL);
    assert_int_equal(level_of(m), 3);
}

/* A node must not pass a raise that it does not understand, and must not pass it alone. */
static void test_an_unknown_level_stops_the_node(void **state) {
    struct machine *m = *state;
    Redoubt__SetLevel set = REDOUBT__SET_LEVEL__INIT;
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;
    struct apply_context context = {.region = m->region, .seq = 99};
    char name[] = EAST;
    Redoubt__Result *result = NULL;
    struct buf bytes;
    size_t used = 0;

    set.has_level = true;
    set.level = command_levels.newest + 1;
    init.name = name;
    init.has_level = true;
    init.level = command_levels.newest + 1;
    assert_int_equal(command_level(COMMAND_SET_LEVEL, &set.base), command_levels.newest + 1);
    assert_int_equal(command_level(COMMAND_REGION_INIT, &init.base), command_levels.newest + 1);
    buf_init(&bytes, 4096);
    command_encode(&bytes, COMMAND_SET_LEVEL, &set.base);
    assert_int_equal(command_apply(m->txns[0], &context, bytes.data, bytes.len, &used, &result),
                     ERR_LEVEL);
    buf_reset(&bytes);
    command_encode(&bytes, COMMAND_REGION_INIT, &init.base);
    assert_int_equal(command_apply(m->txns[0], &context, bytes.data, bytes.len, &used, &result),
                     ERR_LEVEL);
    buf_fini(&bytes);
    set.level = UINT32_MAX;
    assert_int_equal(command_level(COMMAND_SET_LEVEL, &set.base), UINT16_MAX);
}

/* All releases must refuse it, the one that knows the level too. */
static void test_a_raise_with_a_lower_envelope_is_refused(void **state) {
    struct machine *m = *state;
    uint8_t raise[] = {1 << 3, (uint8_t)command_levels.newest};
    struct buf bytes;

    buf_init(&bytes, 4096);
    envelope_append(&bytes, COMMAND_SET_LEVEL, command_levels.newest - 1, raise, sizeof(raise));
    expect_refusal(machine_apply_bytes(m, bytes.data, bytes.len), ERR_MALFORMED, NULL);
    buf_reset(&bytes);
    envelope_append(&bytes, COMMAND_SET_LEVEL, command_levels.newest, raise, sizeof(raise));
    expect_ok(machine_apply_bytes(m, bytes.data, bytes.len));
    buf_fini(&bytes);
}

static void test_a_new_region_begins_at_its_level(void **state) {
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;
    struct machine m;
    char name[] = EAST;

    machine_open(&m);
    assert_int_equal(level_of(&m), 2);
    init.name = name;
    assert_int_equal(command_level(COMMAND_REGION_INIT, &init.base), 1);
    init.has_level = true;
    init.level = 0;
    expect_refusal(machine_apply(&m, COMMAND_REGION_INIT, &init.base), ERR_MALFORMED, NULL);
    init.level = 3;
    assert_int_equal(command_level(COMMAND_REGION_INIT, &init.base), 3);
    expect_ok(machine_apply(&m, COMMAND_REGION_INIT, &init.base));
    assert_int_equal(level_of(&m), 3);
    /* A second one is no way to change it. */
    init.level = 1;
    expect_ok(machine_apply(&m, COMMAND_REGION_INIT, &init.base));
    assert_int_equal(level_of(&m), 3);
    machine_fini(&m);
}

/* A token stands for the digest that begins with its number. */
static ProtobufCBinaryData digest_of(uint8_t bytes[32], unsigned token) {
    memset(bytes, 0, 32);
    put_le32(bytes, token);
    return (ProtobufCBinaryData){.len = 32, .data = bytes};
}

static Redoubt__Result *token_set(struct machine *m, unsigned token, int64_t lifetime_ms) {
    Redoubt__JoinTokenSet command = REDOUBT__JOIN_TOKEN_SET__INIT;
    uint8_t digest[32];

    command.has_digest = true;
    command.digest = digest_of(digest, token);
    command.has_expires_ms = true;
    command.expires_ms = m->now_ms + lifetime_ms;
    command.has_now_ms = true;
    command.now_ms = m->now_ms;
    return machine_apply(m, COMMAND_JOIN_TOKEN_SET, &command.base);
}

static Redoubt__Result *token_use(struct machine *m, unsigned token, uint64_t node) {
    Redoubt__JoinTokenUse command = REDOUBT__JOIN_TOKEN_USE__INIT;
    char address[] = "a:1,a:2";
    uint8_t digest[32];

    command.has_digest = true;
    command.digest = digest_of(digest, token);
    command.has_now_ms = true;
    command.now_ms = m->now_ms;
    command.has_node = true;
    command.node = node;
    command.address = address;
    return machine_apply(m, COMMAND_JOIN_TOKEN_USE, &command.base);
}

static size_t tokens_count(struct machine *m) {
    Redoubt__JoinTokens *tokens = NULL;
    size_t n;

    assert_int_equal(view_join_tokens(machine_view(m), &tokens), OK);
    n = tokens == NULL ? 0 : tokens->n_tokens;
    redoubt__join_tokens__free_unpacked(tokens, NULL);
    return n;
}

static void test_a_token_is_for_one_node(void **state) {
    struct machine *m = *state;

    expect_ok(token_set(m, 1, HOUR_MS));
    expect_ok(token_use(m, 1, 7));
    expect_ok(token_use(m, 1, 7)); /* the first answer was lost */
    expect_refusal(token_use(m, 1, 8), ERR_ACCESS_DENIED,
                   "The join token was used by another node.");
    expect_refusal(token_use(m, 2, 7), ERR_ACCESS_DENIED, NULL);
    expect_ok(token_use(m, 1, 7));
}

static void test_a_token_expires(void **state) {
    struct machine *m = *state;

    expect_ok(token_set(m, 1, HOUR_MS));
    expect_ok(token_set(m, 2, HOUR_MS));
    m->now_ms += HOUR_MS - 1;
    expect_ok(token_use(m, 1, 7));
    m->now_ms++;
    expect_refusal(token_use(m, 2, 7), ERR_ACCESS_DENIED, "The join token has expired.");
    expect_refusal(token_use(m, 1, 7), ERR_ACCESS_DENIED, "The join token has expired.");
}

static void test_tokens_are_bounded_and_pruned(void **state) {
    struct machine *m = *state;

    for (unsigned i = 0; i < LIMIT_JOIN_TOKENS; i++) {
        expect_ok(token_set(m, i, i < 10 ? HOUR_MS : 2 * HOUR_MS));
    }
    expect_refusal(token_set(m, 1000, HOUR_MS), ERR_LIMIT_EXCEEDED, NULL);
    expect_refusal(token_set(m, 3, HOUR_MS), ERR_RESOURCE_EXISTS, NULL);
    assert_int_equal(tokens_count(m), LIMIT_JOIN_TOKENS);
    m->now_ms += HOUR_MS;
    expect_ok(token_set(m, 1000, HOUR_MS));
    assert_int_equal(tokens_count(m), LIMIT_JOIN_TOKENS - 10 + 1);
    expect_refusal(token_use(m, 3, 7), ERR_ACCESS_DENIED, NULL);
    expect_ok(token_use(m, 10, 7));
    expect_ok(token_use(m, 1000, 7));
}

static void test_what_no_proposer_says(void **state) {
    struct machine *m = *state;
    Redoubt__JoinTokenUse use = REDOUBT__JOIN_TOKEN_USE__INIT;
    uint64_t before = machine_hash(m);
    char address[LIMIT_ADDRESS + 2];
    uint8_t digest[32];

    memset(address, 'a', sizeof(address) - 1);
    address[sizeof(address) - 1] = '\0';
    expect_refusal(token_set(m, 1, 0), ERR_MALFORMED, NULL);
    expect_refusal(token_set(m, 1, -1), ERR_MALFORMED, NULL);
    expect_refusal(token_use(m, 1, 0), ERR_MALFORMED, NULL);
    use.has_digest = true;
    use.digest = digest_of(digest, 1);
    use.has_now_ms = true;
    use.has_node = true;
    use.node = 7;
    use.address = address;
    expect_refusal(machine_apply(m, COMMAND_JOIN_TOKEN_USE, &use.base), ERR_MALFORMED, NULL);
    use.digest.len = 31;
    address[1] = '\0';
    expect_refusal(machine_apply(m, COMMAND_JOIN_TOKEN_USE, &use.base), ERR_MALFORMED, NULL);
    assert_int_equal(machine_hash(m), before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_a_level_only_rises),
        T(test_an_unknown_level_stops_the_node),
        T(test_a_raise_with_a_lower_envelope_is_refused),
        T(test_a_new_region_begins_at_its_level),
        T(test_a_token_is_for_one_node),
        T(test_a_token_expires),
        T(test_tokens_are_bounded_and_pruned),
        T(test_what_no_proposer_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
