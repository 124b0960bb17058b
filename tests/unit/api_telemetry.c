/* What a node tells of itself: the body of /status, the reasons of /readyz, the gauges of the
 * process, and how a request is counted. */
#include "api/telemetry.h"

#include "api/health.h"
#include "api/request_metrics.h"
#include "base/metrics_inner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>

static const struct service service = {.region = "us-east-1"};

static json_t *status_of(const struct telemetry *telemetry, const struct node_status *status,
                         const struct telemetry_disk *disk) {
    struct buf out;
    json_t *json;
    json_error_t error;

    buf_init(&out, 1024 * 1024);
    telemetry_status_write(&out, telemetry, status, disk);
    assert_false(out.failed);
    json = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        fail_msg("%s: %.*s", error.text, (int)out.len, (const char *)out.data);
    }
    buf_fini(&out);
    return json;
}

static void assert_text(json_t *json, const char *key, const char *wanted) {
    assert_string_equal(json_string_value(json_object_get(json, key)), wanted);
}

static void test_status(void **state) {
    struct telemetry telemetry = {.service = &service};
    struct telemetry_disk disk = {.free_bytes = 5, .size_bytes = 7};
    struct node_status status = {.role = "leader",
                                 .id = 0xa1,
                                 .leader = 0xa1,
                                 .term = 3,
                                 .commit = 10,
                                 .applied = 9,
                                 .ready = true,
                                 .is_voter = true,
                                 .level = 2,
                                 .age_ms = UINT64_MAX,
                                 .n_members = 2};
    json_t *json, *members, *raft;

    status.members[0] = (struct node_member){.id = 0xa1, .address = "a:1,a:2", .is_self = true};
    status.members[1] = (struct node_member){
        .id = UINT64_MAX, .address = "\"\\", .match = INT64_MAX, .heard_ago_ms = UINT64_MAX};
    atomic_store(&telemetry.expiry[METRIC_CERTIFICATE_PEER], 1234567890);
    json = status_of(&telemetry, &status, &disk);
    assert_text(json, "region", "us-east-1");
    assert_text(json, "node", "00000000000000a1");
    assert_text(json, "role", "leader");
    assert_text(json, "version", REDOUBT_VERSION);
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_true(json_is_null(json_object_get(json, "reason")));
    raft = json_object_get(json, "raft");
    assert_int_equal(json_integer_value(json_object_get(raft, "commit")), 10);
    assert_true(json_is_null(json_object_get(raft, "age_ms")));
    members = json_object_get(raft, "members");
    assert_int_equal(json_array_size(members), 2);
    assert_text(json_array_get(members, 1), "id", "ffffffffffffffff");
    assert_text(json_array_get(members, 1), "address", "\"\\");
    assert_true(json_is_null(json_object_get(json_array_get(members, 1), "heard_ago_ms")));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json, "disk"), "size_bytes")), 7);
    assert_int_equal(json_object_size(json_object_get(json, "certificates")), 1);
    json_decref(json);

    /* A follower does not know what others hold; nobody leads. */
    status.role = "follower";
    status.leader = 0;
    status.ready = false;
    json = status_of(&telemetry, &status, &disk);
    assert_true(json_is_null(json_object_get(json_object_get(json, "raft"), "leader")));
    members = json_object_get(json_object_get(json, "raft"), "members");
    assert_true(json_is_null(json_object_get(json_array_get(members, 1), "match")));
    assert_non_null(strstr(json_string_value(json_object_get(json, "reason")), "no leader"));
    json_decref(json);
}

/* The most members that there can be, with the longest addresses, fit. */
static void test_status_at_its_largest(void **state) {
    struct telemetry telemetry = {.service = &service};
    struct telemetry_disk disk = {.free_bytes = UINT64_MAX};
    static struct node_status status = {.role = "leader", .n_members = LIMIT_PEERS};
    json_t *json;
    struct buf out;

    for (size_t i = 0; i < LIMIT_PEERS; i++) {
        memset(status.members[i].address, 1, LIMIT_ADDRESS); /* six bytes each in JSON */
        status.members[i].heard_ago_ms = INT64_MAX;
    }
    buf_init(&out, 256 * 1024);
    telemetry_status_write(&out, &telemetry, &status, &disk);
    assert_false(out.failed);
    buf_fini(&out);
    json = status_of(&telemetry, &status, &disk);
    assert_true(json_is_null(json_object_get(json_object_get(json, "disk"), "free_bytes")));
    json_decref(json);
}

static void test_reasons(void **state) {
    struct node_status status = {.role = "follower", .ready = true};

    assert_null(health_reason(&status));
    status.ready = false;
    assert_non_null(strstr(health_reason(&status), "no leader"));
    status.leader = 1;
    assert_non_null(strstr(health_reason(&status), "not heard of"));
    status.commit = 2;
    status.applied = 1;
    assert_non_null(strstr(health_reason(&status), "yet to apply"));
    status.is_disk_full = true;
    assert_non_null(strstr(health_reason(&status), "disk is full"));
    status.is_installing = true;
    assert_non_null(strstr(health_reason(&status), "snapshot"));
    status = (struct node_status){.role = "leader", .leader = 1};
    assert_non_null(strstr(health_reason(&status), "majority"));
}

static int64_t gauge(enum metric metric) {
    int64_t value;

    assert_true(metric_read(metric, 0, 0, &value));
    return value;
}

static void test_process(void **state) {
    int64_t fds, cpu;
    int fd;

    telemetry_process();
    telemetry_process_start();
    fds = gauge(METRIC_PROCESS_FDS);
    cpu = gauge(METRIC_PROCESS_CPU);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    telemetry_process();
    assert_int_equal(gauge(METRIC_PROCESS_FDS), fds + 1);
    assert_true(gauge(METRIC_PROCESS_CPU) >= cpu);
    assert_int_equal(close(fd), 0);
    assert_int_equal(gauge(METRIC_PROCESS_THREADS), 1);
    assert_in_range(gauge(METRIC_PROCESS_RESIDENT), 1 << 20, gauge(METRIC_PROCESS_VIRTUAL));
    /* This test has just started. */
    assert_in_range(world_wall_ms(world_system()) - gauge(METRIC_PROCESS_START), 0, 120000);
}

static void test_disk(void **state) {
    struct telemetry_disk disk;

    telemetry_disk("/", &disk);
    assert_in_range(disk.size_bytes, 1, UINT64_MAX - 1);
    assert_true(disk.free_bytes <= disk.size_bytes);
    telemetry_disk("/nowhere/at/all", &disk);
    assert_true(disk.free_bytes == UINT64_MAX);
}

static int64_t requests(unsigned operation, enum errc code) {
    int64_t value;

    assert_true(metric_read(METRIC_REQUESTS, operation, metric_code(code), &value));
    return value;
}

static int64_t unserved(enum errc code) {
    int64_t value;

    assert_true(metric_read(METRIC_REQUESTS_UNSERVED, metric_reason(code), 0, &value));
    return value;
}

static void test_requests(void **state) {
    struct request request = {.op = op_table[2], .code = OK};
    struct metric_histogram took;
    unsigned none;
    int64_t forwarded;
    struct peer_call call = {.code = OK};

    request_metrics_init();
    none = metrics_place(METRIC_BY_OPERATION, "none");
    assert_int_equal(metrics_place(METRIC_BY_OPERATION, op_table[2]->name), 2);
    request_count(&request, 70);
    assert_int_equal(requests(2, OK), 1);
    metric_read_histogram(METRIC_REQUEST_SECONDS, 2, &took);
    assert_int_equal(took.buckets[1], 1);
    assert_int_equal(took.sum, 70);
    request.code = ERR_RESOURCE_NOT_FOUND;
    request_count(&request, 1);
    assert_int_equal(requests(2, ERR_RESOURCE_NOT_FOUND), 1);
    assert_int_equal(unserved(ERR_RESOURCE_NOT_FOUND), 0);
    /* What the client sees, and why. */
    request.code = ERR_CORRUPT;
    request_count(&request, 1);
    assert_int_equal(requests(2, ERR_INTERNAL_SERVICE), 1);
    assert_int_equal(unserved(ERR_CORRUPT), 1);
    request.op = NULL;
    request.code = ERR_UNKNOWN_OPERATION;
    request_count(&request, 1);
    assert_int_equal(requests(none, ERR_UNKNOWN_OPERATION), 1);
    /* Another node's answer is its to count. */
    request = (struct request){.op = op_table[2], .code = OK, .call = &call};
    request_count(&request, 1);
    assert_int_equal(requests(2, OK), 1);
    assert_true(metric_read(METRIC_REQUESTS_FORWARDED, METRIC_OUTCOME_OK, 0, &forwarded));
    assert_int_equal(forwarded, 1);
    request.code = ERR_REGION_UNREACHABLE;
    request_count(&request, 1);
    assert_true(metric_read(METRIC_REQUESTS_FORWARDED, METRIC_OUTCOME_FAILED, 0, &forwarded));
    assert_int_equal(forwarded, 1);
    assert_int_equal(unserved(ERR_REGION_UNREACHABLE), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),  cmocka_unit_test(test_status_at_its_largest),
        cmocka_unit_test(test_reasons), cmocka_unit_test(test_process),
        cmocka_unit_test(test_disk),    cmocka_unit_test(test_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
