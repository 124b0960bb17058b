/* Rotation in the state machine: what is stored, when a rotation begins and is complete, what the
 * dates are, and what a replica has of it. AWS_BEHAVIOUR 3.14, 4.4, 4.6. */
#include "tests/unit/cluster_commands_rotate.h"

#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"

#define FUNCTION     "arn:aws:lambda:us-east-1:123456789012:function:rotate"
#define ROLE         "arn:aws:iam::123456789012:role/rotate"
#define NO_FUNCTION  "No Lambda rotation function ARN is associated with this secret."
#define NOT_COMPLETE "A previous rotation isn't complete. That rotation will be reattempted."
#define DAY_END(day) ((day)*KIT_DAY_MS + KIT_DAY_MS - 1000)
#define KIT_TODAY    (KIT_NOW / KIT_DAY_MS) /* 14 November 2023, 22:13 */

enum { HOUR_MS = 3600000 };

static int setup(void **state) {
    struct machine *m = malloc(sizeof(*m));
    struct call call = {.name = "a", .suffix = "AAAAAA", .token = "t1", .text = "v1"};

    machine_init(m, EAST);
    expect_ok(do_create(m, &call));
    *state = m;
    return 0;
}

static int teardown(void **state) {
    machine_fini(*state);
    free(*state);
    return 0;
}

static void put(struct machine *m, const char *token, const char *label) {
    struct call call = {.name = "a", .token = token, .text = token, .labels = {label}};

    expect_ok(do_put(m, &call));
}

/* "t1[AWSCURRENT] t2[AWSPENDING]", versions in the order of the record. */
static void expect_labels(const struct machine *m, const char *expected) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    char found[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s[", i > 0 ? " " : "",
                                version->id);
        for (size_t k = 0; k < version->n_stages; k++) {
            len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s", k > 0 ? "," : "",
                                    version->stages[k]);
        }
        len += (size_t)snprintf(found + len, sizeof(found) - len, "]");
    }
    assert_string_equal(found, expected);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void expect_dates(const struct machine *m, int64_t last_ms, int64_t next_ms) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    assert_non_null(secret->rotation);
    assert_int_equal(secret->rotation->has_last_rotated_ms, last_ms != 0);
    assert_int_equal(secret->rotation->last_rotated_ms, last_ms);
    assert_int_equal(secret->rotation->has_next_rotation_ms, next_ms != 0);
    if (next_ms != 0) {
        assert_int_equal(secret->rotation->next_rotation_ms, next_ms);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

static void expect_version(Redoubt__Result *result, const char *id) {
    assert_int_equal(result->code, OK);
    assert_string_equal(result->name, "a");
    if (id == NULL) {
        assert_null(result->version_id);
    } else {
        assert_non_null(result->version_id);
        assert_string_equal(result->version_id, id);
    }
    command_result_free(result);
}

/* --- Configuring and beginning --- */

/* 3.14.1 [rec]: configuration, and an empty version whose id is the token under AWSPENDING. */
static void test_configures_and_begins(void **state) {
    struct machine *m = *state;
    const struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 30, .duration = "3h"};
    Redoubt__Secret *secret;

    m->now_ms += 5;
    expect_version(do_rotate(m, &call), "t2");
    expect_labels(m, "t1[AWSCURRENT] t2[AWSPENDING]");
    secret = machine_secret(m, "a");
    assert_true(secret->rotation->enabled);
    assert_string_equal(secret->rotation->function_arn, FUNCTION);
    assert_int_equal(secret->rotation->automatically_after_days, 30);
    assert_string_equal(secret->rotation->duration, "3h");
    assert_null(secret->rotation->schedule_expression);
    assert_int_equal(secret->rotation->next_rotation_ms,
                     (KIT_TODAY + 30) * KIT_DAY_MS + 3 * HOUR_MS - 1000);
    assert_false(secret->rotation->has_last_rotated_ms);
    assert_false(secret->versions[1]->has_kind);
    assert_int_equal(secret->versions[1]->created_ms, m->now_ms);
    assert_int_equal(secret->changed_ms, m->now_ms);
    assert_int_equal(secret->revision, 2);
    redoubt__secret__free_unpacked(secret, NULL);
    assert_false(machine_has_value(m, "a", "t2"));
}

static void test_nothing_happens_without_a_function(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t2", .days = 30};
    uint64_t before = machine_hash(m);

    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, NO_FUNCTION);
    call.later = true;
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, NO_FUNCTION);
    call.name = "b";
    expect_refusal(do_rotate(m, &call), ERR_RESOURCE_NOT_FOUND, NULL);
    assert_int_equal(machine_hash(m), before);
}

/* 3.14.1: RotateImmediately=false stores only. */
static void test_configures_only(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 10, .later = true};

    expect_version(do_rotate(m, &call), NULL);
    expect_labels(m, "t1[AWSCURRENT]");
    expect_dates(m, 0, DAY_END(KIT_TODAY + 10));
    /* What is not said stays, and counting goes on. */
    m->now_ms += KIT_DAY_MS;
    call = (struct rotation_call){.name = "a", .token = "t2", .later = true};
    expect_version(do_rotate(m, &call), NULL);
    expect_dates(m, 0, DAY_END(KIT_TODAY + 10));
    /* New rules count from now, and replace all of the old ones. */
    call.expression = "cron(0 8 1 * ? *)";
    call.duration = "2h";
    expect_version(do_rotate(m, &call), NULL);
    /* 1 December. */
    expect_dates(m, 0, (KIT_TODAY + 17) * KIT_DAY_MS + 10 * HOUR_MS - 1000);
    call = (struct rotation_call){.name = "a", .token = "t2", .days = 7, .later = true};
    expect_version(do_rotate(m, &call), NULL);
    expect_dates(m, 0, DAY_END(KIT_TODAY + 8));
}

/* 3.14.1 [rec]: a later call without parameters uses what is stored and begins a rotation. */
static void test_begins_with_what_is_stored(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 10, .later = true};

    expect_version(do_rotate(m, &call), NULL);
    call = (struct rotation_call){.name = "a", .token = "t2"};
    m->now_ms += KIT_DAY_MS;
    expect_version(do_rotate(m, &call), "t2");
    expect_labels(m, "t1[AWSCURRENT] t2[AWSPENDING]");
    expect_dates(m, 0, DAY_END(KIT_TODAY + 10));
}

/* No rules anywhere: rotation is on, and comes only when it is asked for. */
static void test_without_a_schedule(void **state) {
    struct machine *m = *state;
    const struct rotation_call call = {.name = "a", .token = "t2", .function = FUNCTION};

    expect_version(do_rotate(m, &call), "t2");
    expect_dates(m, 0, 0);
    put(m, "t2", "AWSCURRENT");
    expect_dates(m, m->now_ms, 0);
}

static void test_an_unfinished_rotation_is_in_the_way(void **state) {
    struct machine *m = *state;
    struct rotation_call first = {.name = "a", .token = "t2", .function = FUNCTION, .days = 10};
    struct rotation_call second = {.name = "a", .token = "t3"};
    uint64_t before;

    expect_version(do_rotate(m, &first), "t2");
    before = machine_hash(m);
    expect_refusal(do_rotate(m, &second), ERR_INVALID_REQUEST, NOT_COMPLETE);
    second.later = true;
    expect_refusal(do_rotate(m, &second), ERR_INVALID_REQUEST, NOT_COMPLETE);
    second.token = "t2";
    expect_refusal(do_rotate(m, &second), ERR_INVALID_REQUEST, NOT_COMPLETE);
    /* The same call again, whose answer was lost, is answered as the first time. */
    m->now_ms += 1000;
    expect_version(do_rotate(m, &first), "t2");
    assert_int_equal(machine_hash(m), before);
    /* Also when the value has come in the meantime. */
    put(m, "t2", "AWSPENDING");
    expect_version(do_rotate(m, &first), "t2");
    /* Cancelled, the label stays and keeps the next rotation away, even of the same token. */
    expect_version(do_cancel(m, "a"), "t2");
    expect_refusal(do_rotate(m, &first), ERR_INVALID_REQUEST, NOT_COMPLETE);
}

/* A label set by hand is as much in the way, whatever the call's token. */
static void test_a_pending_version_is_in_the_way(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t3", .function = FUNCTION, .days = 10};

    put(m, "t2", "AWSPENDING");
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, NOT_COMPLETE);
    call.token = "t2";
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, NOT_COMPLETE);
    /* 3.14.1, how it is cleared: a new current version takes the label away. */
    put(m, "t4", NULL);
    expect_labels(m, "t1[AWSPREVIOUS] t2[] t4[AWSCURRENT]");
    call.token = "t3";
    expect_version(do_rotate(m, &call), "t3");
    expect_labels(m, "t1[AWSPREVIOUS] t2[] t4[AWSCURRENT] t3[AWSPENDING]");
}

/* C-6: AWSPENDING together with AWSCURRENT is a rotation that is complete; the label moves on. */
static void test_pending_beside_current_is_fine(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t2", .function = FUNCTION, .days = 10};

    expect_version(do_rotate(m, &call), "t2");
    put(m, "t2", "AWSCURRENT");
    expect_labels(m, "t1[AWSPREVIOUS] t2[AWSPENDING,AWSCURRENT]");
    call = (struct rotation_call){.name = "a", .token = "t3"};
    expect_version(do_rotate(m, &call), "t3");
    expect_labels(m, "t1[AWSPREVIOUS] t2[AWSCURRENT] t3[AWSPENDING]");
}

static void test_tokens_of_other_versions(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t1", .function = FUNCTION, .days = 10};

    /* The current version's: stored, and nothing is left to rotate. */
    expect_version(do_rotate(m, &call), "t1");
    expect_labels(m, "t1[AWSCURRENT]");
    expect_dates(m, 0, DAY_END(KIT_TODAY + 10));
    put(m, "t2", NULL);
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST,
                   "You can't use ClientRequestToken t1 because that value is already in use for a "
                   "version of secret arn:aws:secretsmanager:us-east-1:123456789012:secret:a-"
                   "AAAAAA.");
    /* A call that makes no version has no use for it. */
    call.later = true;
    expect_version(do_rotate(m, &call), NULL);
}

/* A secret without any value: rotation brings the first one. */
static void test_a_secret_without_a_value(void **state) {
    struct machine *m = *state;
    struct call create = {.name = "e", .suffix = "EEEEEE", .token = "e1"};
    struct call fill = {.name = "e", .token = "e2", .text = "first", .labels = {"AWSPENDING"}};
    const struct rotation_call call = {
        .name = "e", .token = "e2", .function = FUNCTION, .days = 10};
    Redoubt__Secret *secret;

    expect_ok(do_create(m, &create));
    expect_ok(do_rotate(m, &call));
    expect_ok(do_put(m, &fill));
    secret = machine_secret(m, "e");
    assert_int_equal(secret->n_versions, 1);
    assert_int_equal(secret->versions[0]->n_stages, 2);
    assert_true(secret->versions[0]->has_kind);
    assert_int_equal(secret->rotation->last_rotated_ms, m->now_ms);
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_states_that_refuse(void **state) {
    struct machine *m = *state;
    const struct rotation_call call = {.name = "a", .token = "t2", .function = FUNCTION};
    struct call schedule = {.name = "a", .deletion_ms = m->now_ms + 7 * KIT_DAY_MS};
    static const char marked[] =
        "You can't perform this operation on the secret because it was marked for deletion.";

    expect_ok(do_delete(m, &schedule));
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, marked);
    expect_refusal(do_cancel(m, "a"), ERR_INVALID_REQUEST, marked);
    expect_refusal(do_cancel(m, "b"), ERR_RESOURCE_NOT_FOUND, NULL);
}

/* The label needs a place. LimitExceeded is none of the operation's errors. */
static void test_the_label_needs_a_place(void **state) {
    struct machine *m = *state;
    struct call call = {.name = "a", .token = "t2", .text = "v2", .labels = {"one", "two"}};
    struct rotation_call rotate = {.name = "a", .token = "t3", .function = FUNCTION, .labels = 3};
    uint64_t before;

    expect_ok(do_put(m, &call));
    before = machine_hash(m);
    expect_refusal(do_rotate(m, &rotate), ERR_INVALID_REQUEST,
                   "You can't rotate this secret because it has the quota of 3 staging labels "
                   "attached to its versions. Remove one of them.");
    assert_int_equal(machine_hash(m), before);
    rotate.labels = 4;
    expect_version(do_rotate(m, &rotate), "t3");
    expect_labels(m, "t1[AWSCURRENT] t2[one,two] t3[AWSPENDING]");
    /* It only moves. */
    put(m, "t3", "AWSCURRENT");
    rotate.token = "t4";
    rotate.labels = 3;
    expect_version(do_rotate(m, &rotate), "t4");
}

/* --- Dates --- */

/* 3.14.5: a rotation sets LastRotatedDate; a value that comes by hand only moves the next date. */
static void test_what_counts_as_a_rotation(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t2", .function = FUNCTION, .days = 10};

    expect_version(do_rotate(m, &call), "t2");
    put(m, "t2", "AWSPENDING"); /* createSecret: nothing is current yet */
    expect_dates(m, 0, DAY_END(KIT_TODAY + 10));
    m->now_ms += KIT_DAY_MS;
    put(m, "t3", NULL); /* by hand: the rotation is abandoned */
    expect_labels(m, "t1[AWSPREVIOUS] t2[] t3[AWSCURRENT]");
    expect_dates(m, 0, DAY_END(KIT_TODAY + 11));
    m->now_ms += KIT_DAY_MS;
    call = (struct rotation_call){.name = "a", .token = "t4"};
    expect_version(do_rotate(m, &call), "t4");
    expect_dates(m, 0, DAY_END(KIT_TODAY + 11));
    put(m, "t4", "AWSCURRENT"); /* filled and made current at once, still pending */
    expect_dates(m, m->now_ms, DAY_END(KIT_TODAY + 12));
    m->now_ms += KIT_DAY_MS;
    put(m, "t5", NULL);
    expect_dates(m, m->now_ms - KIT_DAY_MS, DAY_END(KIT_TODAY + 13));
    /* Cancelled, nothing counts. */
    expect_version(do_cancel(m, "a"), NULL);
    m->now_ms += KIT_DAY_MS;
    put(m, "t6", NULL);
    expect_dates(m, m->now_ms - 2 * KIT_DAY_MS, DAY_END(KIT_TODAY + 13));
    /* Turned on again, it counts from then. */
    call.token = "t7";
    expect_version(do_rotate(m, &call), "t7");
    expect_dates(m, m->now_ms - 2 * KIT_DAY_MS, DAY_END(KIT_TODAY + 14));
}

/* finishSecret, as UpdateSecretVersionStage leaves the record: AWSCURRENT beside AWSPENDING. */
static void test_the_function_finishes(void **state) {
    struct machine *m = *state;
    const struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .expression = "cron(0 16 1,15 * ? *)"};
    Redoubt__Secret *secret;
    struct stages stages;

    expect_version(do_rotate(m, &call), "t2");
    put(m, "t2", "AWSPENDING");
    secret = machine_secret(m, "a");
    /* 15 November, tomorrow. */
    assert_int_equal(secret->rotation->automatically_after_days, 1);
    assert_int_equal(secret->rotation->next_rotation_ms, DAY_END(KIT_TODAY + 1));
    labels_load(secret, &stages);
    stages_attach(&stages, STAGE_PREVIOUS, "t1");
    stages_attach(&stages, STAGE_CURRENT, "t2");
    labels_store(secret, &stages);
    rotation_note_current(secret, "t2", KIT_NOW + 20 * HOUR_MS); /* on the 15th, in the window */
    assert_int_equal(secret->rotation->last_rotated_ms, KIT_NOW + 20 * HOUR_MS);
    assert_int_equal(secret->rotation->next_rotation_ms, DAY_END(KIT_TODAY + 17));
    assert_int_equal(secret->rotation->automatically_after_days, 16);
    /* Back to the former value by hand. */
    labels_load(secret, &stages);
    stages_attach(&stages, STAGE_CURRENT, "t1");
    labels_store(secret, &stages);
    rotation_note_current(secret, "t1", KIT_NOW + 21 * HOUR_MS);
    assert_int_equal(secret->rotation->last_rotated_ms, KIT_NOW + 20 * HOUR_MS);
    /* Of a version that is not the current one, or is not there, nothing is noted. */
    secret->rotation->next_rotation_ms = 5;
    rotation_note_current(secret, "t2", KIT_NOW + 22 * HOUR_MS);
    rotation_note_current(secret, "t9", KIT_NOW + 22 * HOUR_MS);
    assert_int_equal(secret->rotation->next_rotation_ms, 5);
    redoubt__rotation__free_unpacked(secret->rotation, NULL);
    secret->rotation = NULL;
    rotation_note_current(secret, "t1", KIT_NOW);
    assert_null(secret->rotation);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* Hourly rates keep their beat from the first midnight on, whenever rotations are complete. */
static void test_hours_keep_their_beat(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .expression = "rate(10 hours)"};
    int64_t midnight = (KIT_TODAY + 1) * KIT_DAY_MS;

    expect_version(do_rotate(m, &call), "t2");
    expect_dates(m, 0, midnight + HOUR_MS - 1000);
    m->now_ms = midnight + 20 * HOUR_MS + 120000;
    put(m, "t2", "AWSCURRENT");
    expect_dates(m, m->now_ms, midnight + 31 * HOUR_MS - 1000);
    m->now_ms = midnight + 29 * HOUR_MS;
    put(m, "t3", NULL);
    expect_dates(m, midnight + 20 * HOUR_MS + 120000, midnight + 31 * HOUR_MS - 1000);
}

/* The last date that can be shown is in the year 9999. */
static void test_the_end_of_time(void **state) {
    struct machine *m = *state;
    const struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 1000};

    m->now_ms = 253402300799999;
    expect_version(do_rotate(m, &call), "t2");
    expect_dates(m, 0, 0);
}

/* --- Cancelling --- */

static void test_cancel(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t2", .function = FUNCTION, .days = 10};
    Redoubt__Secret *secret;
    uint64_t before;

    expect_refusal(do_cancel(m, "a"), ERR_INVALID_REQUEST,
                   "You tried to enable rotation on a secret that doesn't already have a Lambda "
                   "function ARN configured and you didn't include such an ARN as a parameter in "
                   "this call.");
    expect_version(do_rotate(m, &call), "t2");
    m->now_ms += 1000;
    expect_version(do_cancel(m, "a"), "t2");
    expect_labels(m, "t1[AWSCURRENT] t2[AWSPENDING]");
    secret = machine_secret(m, "a");
    assert_true(secret->rotation->has_enabled);
    assert_false(secret->rotation->enabled);
    assert_string_equal(secret->rotation->function_arn, FUNCTION);
    assert_int_equal(secret->rotation->automatically_after_days, 10);
    assert_int_equal(secret->changed_ms, m->now_ms);
    assert_int_equal(secret->revision, 3);
    redoubt__secret__free_unpacked(secret, NULL);
    before = machine_hash(m);
    m->now_ms += 1000;
    expect_version(do_cancel(m, "a"), "t2");
    assert_int_equal(machine_hash(m), before);
}

/* --- Managed external secrets --- */

static void make_external(struct machine *m) {
    Redoubt__Secret *secret = machine_secret(m, "a");

    secret->type = strdup("SalesforceClientSecret");
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m->txns[i], ACCOUNT, secret);
        txn_commit(m->txns[i], m->index);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_external_secrets(void **state) {
    struct machine *m = *state;
    struct rotation_call call = {.name = "a", .token = "t2", .days = 10, .metadata_key = "k"};
    Redoubt__Secret *secret;

    make_external(m);
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST,
                   "No rotation role ARN is associated with this secret.");
    call.role = ROLE;
    expect_version(do_rotate(m, &call), "t2");
    put(m, "t3", NULL);
    call = (struct rotation_call){.name = "a", .token = "t4"};
    expect_version(do_rotate(m, &call), "t4");
    call =
        (struct rotation_call){.name = "a", .token = "t4", .metadata_key = "other", .later = true};
    expect_refusal(do_rotate(m, &call), ERR_INVALID_REQUEST, NOT_COMPLETE);
    put(m, "t5", NULL);
    expect_version(do_rotate(m, &call), NULL);
    secret = machine_secret(m, "a");
    assert_string_equal(secret->rotation->external_role_arn, ROLE);
    assert_null(secret->rotation->function_arn);
    assert_int_equal(secret->rotation->n_external_metadata, 1);
    assert_string_equal(secret->rotation->external_metadata[0]->key, "other");
    redoubt__secret__free_unpacked(secret, NULL);
}

/* --- Replicas --- */

static void test_a_replica_shows_it_and_promotion_ends_it(void **state) {
    struct machine *m = *state;
    struct machine west;
    const struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 10, .duration = "4h"};
    struct rotation_call again = {.name = "a", .token = "t3"};
    struct call link = {.name = "a", .targets = {WEST}};
    Redoubt__Secret *secret;

    machine_init(&west, WEST);
    expect_ok(do_add(m, &link));
    expect_version(do_rotate(m, &call), "t2");
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_labels(&west, "t1[AWSCURRENT] t2[AWSPENDING]");
    expect_dates(&west, 0, (KIT_TODAY + 10) * KIT_DAY_MS + 4 * HOUR_MS - 1000);
    expect_refusal(do_rotate(&west, &again), ERR_INVALID_PARAMETER,
                   "Operation not permitted on a replica secret. Call must be made in primary "
                   "secret's region.");
    expect_refusal(do_cancel(&west, "a"), ERR_INVALID_PARAMETER,
                   "Operation not permitted on a replica secret. Call must be made in primary "
                   "secret's region.");
    put(m, "t2", "AWSCURRENT");
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    expect_labels(&west, "t1[AWSPREVIOUS] t2[AWSPENDING,AWSCURRENT]");
    expect_dates(&west, KIT_NOW, (KIT_TODAY + 10) * KIT_DAY_MS + 4 * HOUR_MS - 1000);

    /* 4.6: rotation must be set up anew, with a function of this region. */
    expect_ok(do_promote(&west, &link));
    secret = machine_secret(&west, "a");
    assert_true(secret->rotation->has_enabled);
    assert_false(secret->rotation->enabled);
    assert_null(secret->rotation->function_arn);
    assert_int_equal(secret->rotation->automatically_after_days, 10);
    assert_string_equal(secret->rotation->duration, "4h");
    redoubt__secret__free_unpacked(secret, NULL);
    expect_refusal(do_rotate(&west, &again), ERR_INVALID_REQUEST, NO_FUNCTION);
    again.function = "here";
    west.now_ms += KIT_DAY_MS;
    expect_version(do_rotate(&west, &again), "t3");
    expect_dates(&west, KIT_NOW, (KIT_TODAY + 11) * KIT_DAY_MS + 4 * HOUR_MS - 1000);
    machine_fini(&west);
}

/* What another region says of a rotation is bounded like all else that it says. */
static void test_shipped_rotations_are_bounded(void **state) {
    struct machine *m = *state;
    struct machine west;
    const struct rotation_call call = {
        .name = "a", .token = "t2", .function = FUNCTION, .days = 10};
    struct call link = {.name = "a", .targets = {WEST}};
    static char lengthy[LIMIT_FUNCTION_ARN + 2];

    memset(lengthy, 'f', sizeof(lengthy) - 1);
    machine_init(&west, WEST);
    expect_ok(do_add(m, &link));
    expect_version(do_rotate(m, &call), "t2");
    for (int bad = 0; bad < 9; bad++) {
        struct shipment shipment = ship(m, WEST);
        Redoubt__Rotation *rotation = shipment.batch->items[0]->secret->rotation;
        Redoubt__OutcomeBatch *outcome;
        char **texts[] = {&rotation->function_arn, &rotation->external_role_arn,
                          &rotation->schedule_expression, &rotation->duration};
        int64_t *times[] = {&rotation->last_rotated_ms, &rotation->next_rotation_ms,
                            &rotation->counts_from_ms};
        rotation->has_last_rotated_ms = bad == 4;
        if (bad < 4) {
            free(*texts[bad]);
            *texts[bad] = strdup(lengthy);
        } else if (bad < 7) {
            *times[bad - 4] = bad == 5 ? -1 : INT64_MAX;
        } else if (bad == 7) {
            rotation->automatically_after_days = LIMIT_ROTATION_DAYS + 1;
        } else {
            rotation->external_metadata = malloc(sizeof(*rotation->external_metadata));
            rotation->external_metadata[0] = malloc(sizeof(Redoubt__Tag));
            redoubt__tag__init(rotation->external_metadata[0]);
            rotation->n_external_metadata = 1;
        }
        outcome = deliver(&west, &shipment);
        assert_int_equal(outcome->items[0]->verdict->verdict, REDOUBT__VERDICT__VERDICT_REFUSED);
        redoubt__outcome_batch__free_unpacked(outcome, NULL);
        shipment_free(&shipment);
    }
    assert_int_equal(exchange(m, &west), REDOUBT__VERDICT__VERDICT_APPLIED);
    machine_fini(&west);
}

/* --- Malformed --- */

static void test_malformed_commands(void **state) {
    struct machine *m = *state;
    static char lengthy[4 * LIMIT_EXTERNAL_KEY + 2];
    const struct rotation_call calls[] = {
        {.name = "a", .function = FUNCTION},
        {.token = "t2", .function = FUNCTION},
        {.name = "a", .token = "t2", .function = ""},
        {.name = "a", .token = "t2", .function = FUNCTION, .days = 1001},
        {.name = "a", .token = "t2", .function = FUNCTION, .days = -1},
        {.name = "a", .token = "t2", .function = FUNCTION, .duration = "3h"},
        {.name = "a", .token = "t2", .function = FUNCTION, .expression = "rate(3 hours)"},
        {.name = "a", .token = "t2", .function = FUNCTION, .days = 3, .duration = "25h"},
        {.name = "a", .token = "t2", .function = FUNCTION, .days = 3, .expression = "rate(3 days)"},
        {.name = "a", .token = "t2", .function = FUNCTION, .role = ""},
        {.name = "a", .token = "t2", .function = FUNCTION, .metadata_key = ""},
        {.name = "a", .token = "t2", .function = FUNCTION, .metadata_key = lengthy},
    };
    uint64_t before = machine_hash(m);

    memset(lengthy, 'k', sizeof(lengthy) - 1);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        expect_refusal(do_rotate(m, &calls[i]), ERR_MALFORMED, NULL);
    }
    assert_int_equal(machine_hash(m), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_configures_and_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_happens_without_a_function, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configures_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begins_with_what_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_schedule, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unfinished_rotation_is_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pending_version_is_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pending_beside_current_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens_of_other_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_secret_without_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_states_that_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_label_needs_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_counts_as_a_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_function_finishes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hours_keep_their_beat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_external_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replica_shows_it_and_promotion_ends_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_shipped_rotations_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_commands, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
