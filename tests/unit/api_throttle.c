/* Request rates: buckets fill and empty as AWS_BEHAVIOUR 6 (2026) says, accounts and groups do not
 * touch each other, and many threads together get no more than one would. */
#include "api/throttle.h"

#include "api/op.h"
#include "base/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ACCOUNT "123456789012"
#define OTHER   "210987654321"

enum { THREADS = 8, TRIES = 4000 };

static const uint64_t START_MS = 1000000;

/* How many of `tries` requests at one moment are admitted. */
static unsigned admitted(struct throttle *throttle, const char *account, enum throttle_group group,
                         uint64_t now_ms, unsigned tries) {
    unsigned n = 0;

    for (unsigned i = 0; i < tries; i++) {
        n += throttle_admits(throttle, account, group, now_ms) ? 1 : 0;
    }
    return n;
}

static struct throttle *throttle_usual(void) {
    struct throttle *throttle = throttle_new(&throttle_rates_default);

    assert_non_null(throttle);
    return throttle;
}

static void test_rates_are_the_service_s(void **state) {
    static const struct {
        const char *operation;
        unsigned rate;
    } rows[] = {
        {"DescribeSecret", 40000},
        {"GetSecretValue", 10000},
        {"BatchGetSecretValue", 100},
        {"ListSecrets", 100},
        {"ListSecretVersionIds", 50},
        {"CreateSecret", 50},
        {"DeleteSecret", 50},
        {"RestoreSecret", 50},
        {"GetRandomPassword", 50},
        {"ValidateResourcePolicy", 50},
        {"StopReplicationToReplica", 50},
        {"CancelRotateSecret", 50},
        {"UntagResource", 50},
    };
    struct throttle *throttle = throttle_usual();

    assert_int_equal(ARRAY_LEN(rows), THROTTLE_GROUPS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum throttle_group group = throttle_group_of(rows[i].operation);
        assert_int_equal(group, i);
        assert_int_equal(admitted(throttle, ACCOUNT, group, START_MS, 2 * rows[i].rate),
                         rows[i].rate);
    }
    throttle_free(throttle);
}

/* Combined rates: these operations share one bucket. */
static void test_groups(void **state) {
    static const char *const writes[] = {"PutSecretValue",
                                         "UpdateSecret",
                                         "UpdateSecretVersionStage",
                                         "ReplicateSecretToRegions",
                                         "RemoveRegionsFromReplication",
                                         "StopReplicationToReplica"};

    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        assert_int_equal(throttle_group_of(writes[i]), THROTTLE_write);
    }
    assert_int_equal(throttle_group_of("GetResourcePolicy"), THROTTLE_policy);
    assert_int_equal(throttle_group_of("TagResource"), throttle_group_of("UntagResource"));
    assert_int_equal(throttle_group_of("ListSecret"), THROTTLE_NONE);
    assert_int_equal(throttle_group_of("ListSecretsX"), THROTTLE_NONE);
    assert_int_equal(throttle_group_of(""), THROTTLE_NONE);
    for (size_t i = 0; i < op_table_len; i++) {
        if (throttle_group_of(op_table[i]->name) == THROTTLE_NONE) {
            fail_msg("%s has no rate", op_table[i]->name);
        }
    }
}

static void test_bucket_fills_with_time(void **state) {
    struct throttle_rates rates = throttle_rates_default;
    struct throttle *throttle;

    rates.create = 10;
    throttle = throttle_new(&rates);
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS, 100), 10);
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 99, 100), 0);
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 100, 100), 1);
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 600, 100), 5);
    /* However long it was quiet, a second's worth. */
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 86400000, 100), 10);
    /* A steady client at its rate is never refused. */
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(
            admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 86400000 + 100 * i, 1), 1);
    }
    throttle_free(throttle);
}

/* 6: charged to the caller's account. */
static void test_accounts_do_not_touch_each_other(void **state) {
    struct throttle *throttle = throttle_usual();

    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS, 60), 50);
    assert_int_equal(admitted(throttle, OTHER, THROTTLE_create, START_MS, 60), 50);
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_delete, START_MS, 60), 50);
    throttle_free(throttle);
}

/* With more accounts than there are places, who has used up most is remembered longest. */
static void test_memory_is_bounded(void **state) {
    struct throttle *throttle = throttle_usual();
    char account[LIMIT_ACCOUNT + 1];

    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS, 60), 50);
    for (unsigned i = 0; i < 10 * LIMIT_THROTTLE_ACCOUNTS; i++) {
        (void)snprintf(account, sizeof(account), "%012u", i);
        assert_int_equal(admitted(throttle, account, THROTTLE_create, START_MS + 1, 1), 1);
    }
    assert_int_equal(admitted(throttle, ACCOUNT, THROTTLE_create, START_MS + 1, 60), 0);
    throttle_free(throttle);
}

struct crowd {
    struct throttle *throttle;
    atomic_uint admitted;
};

static void *crowd_run(void *arg) {
    struct crowd *crowd = arg;

    atomic_fetch_add(&crowd->admitted,
                     admitted(crowd->throttle, ACCOUNT, THROTTLE_get_value, START_MS, TRIES));
    return NULL;
}

static void test_threads_share_a_bucket(void **state) {
    struct crowd crowd = {.throttle = throttle_usual()};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&crowd.admitted), 10000);
    throttle_free(crowd.throttle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_the_service_s),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_bucket_fills_with_time),
        cmocka_unit_test(test_accounts_do_not_touch_each_other),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_threads_share_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
