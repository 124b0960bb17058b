/* The commands on one region's secrets: every refusal text, the token rules, pruning, deletion. */
#include "tests/unit/cluster_commands.h"

#include "model/replication_status.h"
#include "model/secret_id.h"

#define ARN_A "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AAAAAA"
#define REPLICA                                                                                    \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
#define SCHEDULED                                                                                  \
    "You can't perform this operation on the secret because it was marked for deletion."
#define NOT_FOUND "Secrets Manager can't find the specified secret."
#define IN_USE                                                                                     \
    "You can't use ClientRequestToken t1 because that value is already in use for a version of "   \
    "secret " ARN_A "."

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

static struct call put_a(const char *token, const char *text) {
    return (struct call){.name = "a", .token = token, .text = text};
}

static void create_a(struct machine *m) {
    struct call call = secret_a();
    expect_ok(do_create(m, &call));
}

/* The secret becomes a replica of WEST's: the state, not the way there. */
static void make_replica(struct machine *m, const char *name) {
    Redoubt__Secret *secret = machine_secret(m, name);
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;
    char region[] = WEST;

    origin.region = region;
    origin.has_generation = true;
    origin.generation = 7;
    origin.has_revision = true;
    origin.revision = 1;
    secret->replica_of = &origin;
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m->txns[i], ACCOUNT, secret);
    }
    secret->replica_of = NULL;
    redoubt__secret__free_unpacked(secret, NULL);
}

/* ---- Create ---- */

static void test_create_writes_the_secret(void **state) {
    struct machine *m = *state;
    struct call call = secret_a();
    Redoubt__Result *result = do_create(m, &call);
    Redoubt__Secret *secret;

    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    assert_string_equal(result->version_id, "t1");
    assert_int_equal(result->n_links, 0);
    command_result_free(result);
    secret = machine_secret(m, "a");
    assert_int_equal(secret->revision, 1);
    assert_int_equal(secret->created_ms, KIT_NOW);
    assert_int_equal(secret->changed_ms, KIT_NOW);
    assert_int_equal(secret->created_seq, m->index << 16 << 9);
    assert_null(secret->description);
    assert_null(secret->kms_key_id);
    assert_false(secret->has_tags_were_set);
    assert_int_equal(secret->n_versions, 1);
    assert_string_equal(secret->versions[0]->id, "t1");
    assert_int_equal(secret->versions[0]->n_stages, 1);
    assert_string_equal(secret->versions[0]->stages[0], "AWSCURRENT");
    assert_string_equal(secret->versions[0]->key_id, "key-1");
    redoubt__secret__free_unpacked(secret, NULL);
    expect_stored(m, "a", "t1", "v1");
}

static void test_create_keeps_metadata(void **state) {
    struct machine *m = *state;
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    Redoubt__Tag tags[2] = {REDOUBT__TAG__INIT, REDOUBT__TAG__INIT};
    Redoubt__Tag *tag_ptrs[2] = {&tags[0], &tags[1]};
    char account[] = ACCOUNT;
    char texts[][16] = {"b", "BBBBBB", "about", "alias/mine", "z", "1", "y", "token"};
    Redoubt__Secret *secret;

    ref.account = account;
    ref.name = texts[0];
    ref.suffix = texts[1];
    create.ref = &ref;
    create.description = texts[2];
    create.kms_key_id = texts[3];
    create.token = texts[7];
    tags[0].key = texts[4];
    tags[0].value = texts[5];
    tags[1].key = texts[6];
    create.tags = tag_ptrs;
    create.n_tags = 2;
    create.has_now_ms = true;
    create.now_ms = KIT_NOW;
    expect_ok(machine_apply(m, COMMAND_SECRET_CREATE, &create.base));
    secret = machine_secret(m, "b");
    assert_string_equal(secret->description, "about");
    assert_string_equal(secret->kms_key_id, "alias/mine");
    assert_int_equal(secret->n_tags, 2);
    assert_string_equal(secret->tags[0]->key, "z");
    assert_string_equal(secret->tags[1]->key, "y");
    assert_true(secret->tags_were_set);
    assert_int_equal(secret->n_versions, 0);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_create_default_key_is_absent(void **state) {
    struct machine *m = *state;
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    char account[] = ACCOUNT;
    char texts[][32] = {"b", "BBBBBB", "", "alias/aws/secretsmanager", "token"};
    Redoubt__Secret *secret;

    ref.account = account;
    ref.name = texts[0];
    ref.suffix = texts[1];
    create.ref = &ref;
    create.description = texts[2];
    create.kms_key_id = texts[3];
    create.token = texts[4];
    create.has_now_ms = true;
    expect_ok(machine_apply(m, COMMAND_SECRET_CREATE, &create.base));
    secret = machine_secret(m, "b");
    assert_null(secret->description);
    assert_null(secret->kms_key_id);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* AWS_BEHAVIOUR 3.2, the rows about names and tokens. */
static void test_create_again(void **state) {
    struct machine *m = *state;
    struct call again = secret_a();
    uint64_t before;
    Redoubt__Result *result;

    create_a(m);
    before = machine_hash(m);
    again.suffix = "ZZZZZZ"; /* a retry brings a new one */
    result = do_create(m, &again);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->suffix, "AAAAAA");
    assert_string_equal(result->version_id, "t1");
    command_result_free(result);

    again.text = "other";
    expect_refusal(do_create(m, &again), ERR_RESOURCE_EXISTS, IN_USE);
    again.text = NULL;
    expect_refusal(do_create(m, &again), ERR_RESOURCE_EXISTS, IN_USE);
    again.bytes = "v1";
    expect_refusal(do_create(m, &again), ERR_RESOURCE_EXISTS, IN_USE);
    again = secret_a();
    again.token = "t2";
    expect_refusal(do_create(m, &again), ERR_RESOURCE_EXISTS,
                   "The operation failed because the secret a already exists.");
    assert_int_equal(machine_hash(m), before);
}

static void test_create_again_without_value(void **state) {
    struct call call = {.name = "a", .suffix = "AAAAAA", .token = "t1"};

    expect_ok(do_create(*state, &call));
    expect_refusal(do_create(*state, &call), ERR_RESOURCE_EXISTS,
                   "The operation failed because the secret a already exists.");
}

static void test_create_again_tells_the_links(void **state) {
    struct call call = secret_a();
    Redoubt__Result *result;

    call.targets[0] = WEST;
    expect_ok(do_create(*state, &call));
    result = do_create(*state, &call);
    assert_int_equal(result->code, OK);
    assert_int_equal(result->n_links, 1);
    assert_string_equal(result->links[0]->region, WEST);
    command_result_free(result);
}

static void test_create_on_a_scheduled_name(void **state) {
    struct call call = secret_a();
    struct call gone = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};

    create_a(*state);
    expect_ok(do_delete(*state, &gone));
    expect_refusal(do_create(*state, &call), ERR_INVALID_REQUEST,
                   "You can't create this secret because a secret with this name is already "
                   "scheduled for deletion.");
}

static void test_create_on_a_replica(void **state) {
    struct call call = secret_a();

    create_a(*state);
    make_replica(*state, "a");
    expect_refusal(do_create(*state, &call), ERR_RESOURCE_EXISTS,
                   "The operation failed because the secret a already exists.");
}

static void test_create_with_links(void **state) {
    struct machine *m = *state;
    struct call call = secret_a();
    Redoubt__Result *result;
    Redoubt__Link *west;
    Redoubt__Link *south;
    Redoubt__Outbox *entry;

    call.targets[0] = WEST;
    call.targets[1] = SOUTH;
    call.force = true;
    result = do_create(m, &call);
    assert_int_equal(result->code, OK);
    assert_int_equal(result->n_links, 2);
    assert_string_equal(result->links[0]->region, SOUTH);
    assert_string_equal(result->links[0]->kms_key_id, "alias/aws/secretsmanager");
    assert_int_equal(result->links[0]->status, LINK_IN_PROGRESS);
    assert_null(result->links[0]->message);
    command_result_free(result);
    west = machine_link(m, "a", WEST);
    south = machine_link(m, "a", SOUTH);
    assert_true(west->force);
    assert_int_equal(west->acked_revision, 0);
    assert_true(south->generation > west->generation);
    entry = machine_outbox(m, SOUTH, "a", "AAAAAA");
    assert_int_equal(entry->kind, REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT);
    assert_int_equal(entry->generation, south->generation);
    redoubt__outbox__free_unpacked(entry, NULL);
    redoubt__link__free_unpacked(west, NULL);
    redoubt__link__free_unpacked(south, NULL);
}

static void test_create_with_bad_links(void **state) {
    struct machine *m = *state;
    struct call call = secret_a();

    call.targets[0] = EAST;
    expect_refusal(do_create(m, &call), ERR_INVALID_PARAMETER, "Invalid replica region.");
    call.targets[0] = WEST;
    call.targets[1] = WEST;
    expect_refusal(do_create(m, &call), ERR_INVALID_PARAMETER,
                   "You can't specify the replica region eu-west-1 more than once.");
    call.targets[1] = "x";
    expect_refusal(do_create(m, &call), ERR_MALFORMED, NULL);
    assert_null(machine_secret(m, "a"));
}

static void test_create_with_too_many_links(void **state) {
    static char names[LIMIT_REPLICAS + 1][16];
    struct call call = secret_a();

    for (int i = 0; i <= LIMIT_REPLICAS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "xx-%d", i);
        call.targets[i] = names[i];
    }
    expect_refusal(do_create(*state, &call), ERR_LIMIT_EXCEEDED,
                   "A secret can be replicated to at most 32 regions.");
    call.targets[LIMIT_REPLICAS] = NULL;
    expect_ok(do_create(*state, &call));
}

static void test_malformed_creates(void **state) {
    struct machine *m = *state;
    struct call call = secret_a();
    char long_name[LIMIT_NAME + 2];

    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    call.name = long_name;
    expect_refusal(do_create(m, &call), ERR_MALFORMED, NULL);
    call = secret_a();
    call.suffix = NULL;
    expect_refusal(do_create(m, &call), ERR_MALFORMED, NULL);
    call.suffix = "AAA-AA";
    expect_refusal(do_create(m, &call), ERR_MALFORMED, NULL);
    call = secret_a();
    call.name = "";
    expect_refusal(do_create(m, &call), ERR_MALFORMED, NULL);
    long_name[LIMIT_NAME] = '\0';
    call.name = long_name;
    expect_ok(do_create(m, &call));
}

/* ---- Put ---- */

static void test_put_makes_a_version(void **state) {
    struct machine *m = *state;
    struct call call = put_a("t2", "v2");
    Redoubt__Result *result;
    Redoubt__Secret *secret;

    create_a(m);
    m->now_ms += 5;
    result = do_put(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->suffix, "AAAAAA");
    assert_string_equal(result->version_id, "t2");
    assert_int_equal(result->n_stages, 1);
    assert_string_equal(result->stages[0], "AWSCURRENT");
    command_result_free(result);
    secret = machine_secret(m, "a");
    assert_int_equal(secret->revision, 2);
    assert_int_equal(secret->changed_ms, KIT_NOW + 5);
    assert_int_equal(secret->created_ms, KIT_NOW);
    assert_int_equal(secret->versions[1]->revision, 2);
    assert_int_equal(secret->versions[1]->created_ms, KIT_NOW + 5);
    redoubt__secret__free_unpacked(secret, NULL);
    expect_stored(m, "a", "t1", "v1");
    expect_stored(m, "a", "t2", "v2");
}

/* AWS_BEHAVIOUR 3.4, the token rules. */
static void test_put_again(void **state) {
    struct machine *m = *state;
    struct call call = put_a("t1", "v1");
    Redoubt__Result *result;
    uint64_t before;

    create_a(m);
    before = machine_hash(m);
    call.labels[0] = "other"; /* labels stay as they are */
    result = do_put(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->version_id, "t1");
    assert_int_equal(result->n_stages, 1);
    assert_string_equal(result->stages[0], "AWSCURRENT");
    command_result_free(result);
    call.text = "v2";
    expect_refusal(do_put(m, &call), ERR_RESOURCE_EXISTS, IN_USE);
    call.text = NULL;
    call.bytes = "v1";
    expect_refusal(do_put(m, &call), ERR_RESOURCE_EXISTS, IN_USE);
    assert_int_equal(machine_hash(m), before);
}

/* Rotation makes a version that has labels and no value yet; no command of this release does. */
static void add_empty_version(struct machine *m, const char *id, const char *label) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    Redoubt__Version *version = malloc(sizeof(*version));

    redoubt__version__init(version);
    version->id = strdup(id);
    version->has_created_ms = true;
    version->created_ms = m->now_ms;
    version->n_stages = 1;
    version->stages = calloc(1, sizeof(char *));
    version->stages[0] = strdup(label);
    secret->versions = realloc(secret->versions, (secret->n_versions + 1) * sizeof(void *));
    secret->versions[secret->n_versions++] = version;
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m->txns[i], ACCOUNT, secret);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_put_fills_a_version_without_value(void **state) {
    struct machine *m = *state;
    struct call call = put_a("t2", "v2");
    Redoubt__Secret *secret;

    create_a(m);
    add_empty_version(m, "t2", "AWSPENDING");
    call.labels[0] = "AWSPENDING";
    expect_ok(do_put(m, &call));
    expect_stored(m, "a", "t2", "v2");
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, 2);
    assert_true(secret->versions[1]->has_kind);
    assert_int_equal(secret->versions[1]->revision, 2);
    assert_string_equal(secret->versions[1]->stages[0], "AWSPENDING");
    assert_string_equal(secret->versions[0]->stages[0], "AWSCURRENT");
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_put_first_value_is_current(void **state) {
    struct machine *m = *state;
    struct call create = {.name = "a", .suffix = "AAAAAA", .token = "t0"};
    struct call call = put_a("t1", "v1");
    Redoubt__Result *result;

    expect_ok(do_create(m, &create));
    call.labels[0] = "mine";
    result = do_put(m, &call);
    assert_int_equal(result->n_stages, 2);
    assert_string_equal(result->stages[0], "mine");
    assert_string_equal(result->stages[1], "AWSCURRENT");
    command_result_free(result);
}

static void test_put_refusals(void **state) {
    struct machine *m = *state;
    struct call call = put_a("t2", "v2");
    struct call gone = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};

    expect_refusal(do_put(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    create_a(m);
    call.suffix = "BBBBBB";
    expect_refusal(do_put(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    call.suffix = "AAAAAA";
    expect_ok(do_delete(m, &gone));
    expect_refusal(do_put(m, &call), ERR_INVALID_REQUEST, SCHEDULED);
    call.text = NULL;
    expect_refusal(do_put(m, &call), ERR_MALFORMED, NULL);
}

static void test_put_on_a_replica(void **state) {
    struct call call = put_a("t2", "v2");

    create_a(*state);
    make_replica(*state, "a");
    expect_refusal(do_put(*state, &call), ERR_INVALID_PARAMETER, REPLICA);
}

static void test_put_twenty_labels(void **state) {
    static char names[LIMIT_STAGES_PER_SECRET][24];
    struct machine *m = *state;
    struct call call = put_a("t2", "v2");
    uint64_t before;

    create_a(m);
    for (int i = 0; i < LIMIT_STAGES_PER_SECRET; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "label-%d", i);
        call.labels[i] = names[i];
    }
    before = machine_hash(m);
    expect_refusal(do_put(m, &call), ERR_LIMIT_EXCEEDED, NULL);
    assert_int_equal(machine_hash(m), before);
    call.labels[LIMIT_STAGES_PER_SECRET - 1] = NULL;
    expect_ok(do_put(m, &call));
}

static void put_many(struct machine *m, int from, int to) {
    for (int i = from; i < to; i++) {
        char token[16];
        struct call call;
        (void)snprintf(token, sizeof(token), "n%d", i);
        call = put_a(token, token);
        expect_ok(do_put(m, &call));
    }
}

static void test_old_versions_are_pruned(void **state) {
    struct machine *m = *state;
    struct call next = put_a("new", "new");
    Redoubt__Secret *secret;

    create_a(m);
    put_many(m, 1, LIMIT_VERSIONS_KEPT + 20); /* t1, n1 .. n119 */
    m->now_ms += KIT_DAY_MS - 1;
    expect_ok(do_put(m, &next));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, LIMIT_VERSIONS_KEPT + 21);
    redoubt__secret__free_unpacked(secret, NULL);

    m->now_ms += 1;
    next.token = "newer";
    expect_ok(do_put(m, &next));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, LIMIT_VERSIONS_KEPT);
    assert_string_equal(secret->versions[0]->id, "n22");
    assert_string_equal(secret->versions[LIMIT_VERSIONS_KEPT - 1]->id, "newer");
    redoubt__secret__free_unpacked(secret, NULL);
    assert_false(machine_has_value(m, "a", "t1"));
    assert_false(machine_has_value(m, "a", "n21"));
    assert_true(machine_has_value(m, "a", "n22"));
}

static void test_labelled_versions_are_not_pruned(void **state) {
    struct machine *m = *state;
    struct call kept = put_a("kept", "kept");
    struct call next = put_a("new", "new");
    Redoubt__Secret *secret;

    create_a(m);
    kept.labels[0] = "keep";
    expect_ok(do_put(m, &kept));
    put_many(m, 1, LIMIT_VERSIONS_KEPT + 1);
    m->now_ms += 2 * KIT_DAY_MS;
    expect_ok(do_put(m, &next));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->n_versions, LIMIT_VERSIONS_KEPT);
    assert_string_equal(secret->versions[0]->id, "kept");
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_versions_have_a_cap(void **state) {
    struct machine *m = *state;
    struct call next = put_a("new", "new");
    uint64_t before;

    create_a(m);
    put_many(m, 1, LIMIT_VERSIONS);
    before = machine_hash(m);
    expect_refusal(do_put(m, &next), ERR_LIMIT_EXCEEDED, NULL);
    assert_int_equal(machine_hash(m), before);
    m->now_ms += KIT_DAY_MS;
    expect_ok(do_put(m, &next));
}

/* ---- Delete ---- */

static void test_delete_schedules(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .deletion_ms = KIT_NOW + 7 * KIT_DAY_MS};
    Redoubt__Result *result;
    Redoubt__Secret *secret;

    create_a(m);
    result = do_delete(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "AAAAAA");
    assert_int_equal(result->deletion_ms, call.deletion_ms);
    command_result_free(result);
    secret = machine_secret(m, "a");
    assert_int_equal(secret->deletion_ms, call.deletion_ms);
    assert_int_equal(secret->revision, 1);
    redoubt__secret__free_unpacked(secret, NULL);
    assert_true(machine_has_value(m, "a", "t1"));
    expect_refusal(do_delete(m, &call), ERR_INVALID_REQUEST, SCHEDULED);
    call.force = true;
    expect_ok(do_delete(m, &call));
    assert_null(machine_secret(m, "a"));
}

static void test_forced_delete_leaves_nothing(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .force = true};
    uint64_t before = machine_hash(m);
    struct call again = secret_a();

    create_a(m);
    expect_ok(do_delete(m, &call));
    assert_null(machine_secret(m, "a"));
    assert_false(machine_has_value(m, "a", "t1"));
    assert_int_equal(machine_hash(m), before);
    again.suffix = "BBBBBB";
    expect_ok(do_create(m, &again));
}

static void test_delete_of_nothing(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .invented = "ZZZZZZ"};
    Redoubt__Result *result;

    expect_refusal(do_delete(m, &call), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    call.force = true;
    result = do_delete(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    assert_string_equal(result->suffix, "ZZZZZZ");
    assert_int_equal(result->deletion_ms, KIT_NOW);
    command_result_free(result);

    create_a(m);
    call.suffix = "BBBBBB"; /* another secret of the name: not this one */
    result = do_delete(m, &call);
    assert_int_equal(result->code, OK);
    assert_string_equal(result->suffix, "BBBBBB");
    command_result_free(result);
    assert_true(machine_has_value(m, "a", "t1"));
}

static void test_delete_with_replicas(void **state) {
    struct machine *m = *state;
    struct call create = secret_a();
    struct call call = {.name = "a", .force = true};

    create.targets[0] = WEST;
    create.targets[1] = SOUTH;
    expect_ok(do_create(m, &create));
    expect_refusal(do_delete(m, &call), ERR_INVALID_PARAMETER,
                   "You can't delete secret " ARN_A
                   " that still has replica regions [ap-south-1, eu-west-1].");
    call.force = false;
    expect_refusal(do_delete(m, &call), ERR_INVALID_PARAMETER, NULL);
}

static void test_delete_of_a_replica(void **state) {
    struct call call = {.name = "a", .force = true};

    create_a(*state);
    make_replica(*state, "a");
    expect_refusal(do_delete(*state, &call), ERR_INVALID_PARAMETER, REPLICA);
}

/* ---- Touch ---- */

static void test_touch_is_monotone_and_local(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .token = "t1"};
    struct call missing = {.name = "b", .token = "t1"};
    Redoubt__Secret *secret;

    create_a(m);
    expect_ok(do_touch(m, &call, 100));
    expect_ok(do_touch(m, &call, 99));
    call.token = "t9";
    expect_ok(do_touch(m, &call, 101));
    expect_ok(do_touch(m, &missing, 101));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->last_accessed_day, 101);
    assert_int_equal(secret->versions[0]->last_accessed_day, 100);
    assert_int_equal(secret->revision, 1);
    assert_int_equal(secret->changed_ms, KIT_NOW);
    redoubt__secret__free_unpacked(secret, NULL);
    call.suffix = "BBBBBB";
    expect_ok(do_touch(m, &call, 200));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->last_accessed_day, 101);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* SECRETS_TOUCH with these items, each a version of `call`'s name; takes them. */
static Redoubt__Result *do_touches(struct machine *m, Redoubt__SecretTouch **items, size_t n) {
    Redoubt__SecretsTouch *touches = malloc(sizeof(*touches));

    redoubt__secrets_touch__init(touches);
    touches->items = malloc(n * sizeof(*touches->items));
    memcpy(touches->items, items, n * sizeof(*items));
    touches->n_items = n;
    return kit_apply_owned(m, COMMAND_SECRETS_TOUCH, &touches->base);
}

static Redoubt__SecretTouch *touch_of(const char *name, const char *version_id, int64_t day) {
    const struct call call = {.name = name};
    Redoubt__SecretTouch *touch = malloc(sizeof(*touch));

    redoubt__secret_touch__init(touch);
    touch->ref = kit_ref(&call);
    touch->version_id = strdup(version_id);
    touch->has_day = true;
    touch->day = day;
    return touch;
}

static void test_touches_are_touches_in_a_row(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "b", .suffix = "BBBBBB", .token = "t2", .text = "v2"};
    Redoubt__Secret *secret;
    Redoubt__SecretTouch *items[] = {touch_of("a", "t1", 100), touch_of("missing", "t1", 100),
                                     touch_of("b", "gone", 100), touch_of("a", "t1", 99)};

    create_a(m);
    expect_ok(do_create(m, &call));
    expect_ok(do_touches(m, items, ARRAY_LEN(items)));
    secret = machine_secret(m, "a");
    assert_int_equal(secret->last_accessed_day, 100);
    assert_int_equal(secret->versions[0]->last_accessed_day, 100);
    assert_int_equal(secret->revision, 1);
    assert_int_equal(secret->changed_ms, KIT_NOW);
    redoubt__secret__free_unpacked(secret, NULL);
    secret = machine_secret(m, "b");
    assert_int_equal(secret->last_accessed_day, 100);
    assert_false(secret->versions[0]->has_last_accessed_day);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* One malformed item, or more of them than one call can name: nothing is noted at all. */
static void test_malformed_touches(void **state) {
    struct machine *m = *state;
    Redoubt__SecretTouch *two[] = {touch_of("a", "t1", 100), touch_of("a", "t1", -1)};
    Redoubt__SecretTouch *many[LIMIT_BATCH_GET + 1];
    uint64_t before;

    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = touch_of("a", "t1", 100);
    }
    create_a(m);
    before = machine_hash(m);
    expect_refusal(do_touches(m, two, 2), ERR_MALFORMED, NULL);
    expect_refusal(do_touches(m, many, ARRAY_LEN(many)), ERR_MALFORMED, NULL);
    assert_int_equal(machine_hash(m), before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_create_writes_the_secret),
        T(test_create_keeps_metadata),
        T(test_create_default_key_is_absent),
        T(test_create_again),
        T(test_create_again_without_value),
        T(test_create_again_tells_the_links),
        T(test_create_on_a_scheduled_name),
        T(test_create_on_a_replica),
        T(test_create_with_links),
        T(test_create_with_bad_links),
        T(test_create_with_too_many_links),
        T(test_malformed_creates),
        T(test_put_makes_a_version),
        T(test_put_again),
        T(test_put_fills_a_version_without_value),
        T(test_put_first_value_is_current),
        T(test_put_refusals),
        T(test_put_on_a_replica),
        T(test_put_twenty_labels),
        T(test_old_versions_are_pruned),
        T(test_labelled_versions_are_not_pruned),
        T(test_versions_have_a_cap),
        T(test_delete_schedules),
        T(test_forced_delete_leaves_nothing),
        T(test_delete_of_nothing),
        T(test_delete_with_replicas),
        T(test_delete_of_a_replica),
        T(test_touch_is_monotone_and_local),
        T(test_touches_are_touches_in_a_row),
        T(test_malformed_touches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
