/* The status of a link says InSync only when the latest revision was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/replication_status.h"

static void test_status(void **state) {
    assert_int_equal(link_status(0, 0, 1), LINK_IN_PROGRESS);
    assert_int_equal(link_status(0, 6, 7), LINK_IN_PROGRESS);
    assert_int_equal(link_status(0, 7, 7), LINK_IN_SYNC);
    /* An acknowledgement from a future that is not ours is no agreement. */
    assert_int_equal(link_status(0, 8, 7), LINK_IN_PROGRESS);
}

static void test_failure_wins(void **state) {
    assert_int_equal(link_status(3, 0, 1), LINK_FAILED);
    assert_int_equal(link_status(3, 7, 7), LINK_FAILED);
    assert_int_equal(link_status(UINT32_MAX, 7, 7), LINK_FAILED);
}

static void test_names(void **state) {
    assert_string_equal(link_status_name(LINK_IN_PROGRESS), "InProgress");
    assert_string_equal(link_status_name(LINK_IN_SYNC), "InSync");
    assert_string_equal(link_status_name(LINK_FAILED), "Failed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_failure_wins),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
