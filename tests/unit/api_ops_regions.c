/* Operations that move secrets between regions, and deletion, over a state machine in memory.
 * Sources: AWS_BEHAVIOUR 3.8 and 4. */
#include "tests/unit/api_ops_bench.h"

#include "model/secret_id.h"

#include <stdlib.h>

/* --- DeleteSecret -------------------------------------------------------------------------- */

static void delete_schedules(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    reply = bench_ok(bench, "DeleteSecret",
                     ID_("s", "\"ForceDeleteWithoutRecovery\":false,\"RecoveryWindowInDays\":30"));
    assert_members(reply, "ARN Name DeletionDate");
    assert_true(number_of(reply, "DeletionDate") == 1700000000.123 + 30 * 86400);
    json_decref(reply);
    bench_refused(bench, "DeleteSecret", ID("s"), ERR_INVALID_REQUEST, MARKED);
    reply = bench_ok(bench, "DeleteSecret", ID_("s", "\"ForceDeleteWithoutRecovery\":true"));
    assert_true(number_of(reply, "DeletionDate") == 1700000000.123);
    json_decref(reply);
    bench_refused(bench, "DescribeSecret", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "DeleteSecret", ID("s"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
}

static void delete_by_force_invents(void **state) {
    struct bench *bench = *state;
    json_t *reply =
        bench_ok(bench, "DeleteSecret", ID_("none", "\"ForceDeleteWithoutRecovery\":true"));
    const char *arn = text_of(reply, "ARN");

    assert_string_equal(text_of(reply, "Name"), "none");
    assert_memory_equal(arn,
                        "arn:aws:secretsmanager:" BENCH_REGION ":" BENCH_ACCOUNT ":secret:none-",
                        strlen(arn) - LIMIT_ARN_SUFFIX);
    json_decref(reply);
}

static void delete_judges_its_parameters_first(void **state) {
    struct bench *bench = *state;
    static const char *const bad[] = {"0", "2", "6", "31", "100", "-7", "-9223372036854775808"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bench_refused(bench, "DeleteSecret",
                      with_arn(ID_("none", "\"RecoveryWindowInDays\":%s,"
                                           "\"ForceDeleteWithoutRecovery\":true"),
                               bad[i]),
                      ERR_INVALID_PARAMETER, WINDOW);
    }
    bench_refused(
        bench, "DeleteSecret",
        ID_("none", "\"RecoveryWindowInDays\":7,\"ForceDeleteWithoutRecovery\":true"),
        ERR_INVALID_PARAMETER,
        "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
}

/* --- regions ------------------------------------------------------------------------------- */

static void describe_tells_the_replication(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret",
             CREATE("s", 1,
                    VALUE("v") ",\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"},"
                               "{\"Region\":\"eu-west-1\"}]"));
    bench_set_link(bench, "s", "us-east-1", 1, NULL);
    bench_set_link(bench, "s", "eu-west-1", 0, "Replication failed: no.");
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply, "ARN Name LastChangedDate VersionIdsToStages CreatedDate PrimaryRegion "
                          "ReplicationStatus");
    assert_member(reply, "PrimaryRegion", "\"" BENCH_REGION "\"");
    assert_member(reply, "ReplicationStatus",
                  "[{\"Region\":\"eu-west-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\",\"Status\":"
                  "\"Failed\",\"StatusMessage\":\"Replication failed: no.\",\"LastAccessedDate\":"
                  "1641600000.000},"
                  "{\"Region\":\"us-east-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\",\"Status\":"
                  "\"InSync\",\"StatusMessage\":\"Replication succeeded\",\"LastAccessedDate\":"
                  "1641600000.000}]");
    json_decref(reply);

    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("w")));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "ReplicationStatus",
                  "[{\"Region\":\"eu-west-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\",\"Status\":"
                  "\"InProgress\",\"LastAccessedDate\":1641600000.000},"
                  "{\"Region\":\"us-east-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\",\"Status\":"
                  "\"InProgress\",\"LastAccessedDate\":1641600000.000}]");
    json_decref(reply);
}

static void replicate_and_remove(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    const char *arn = text_of(created, "ARN");
    json_t *reply = bench_ok(bench, "ReplicateSecretToRegions",
                             ID_("s", "\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]"));

    assert_members(reply, "ARN ReplicationStatus");
    assert_string_equal(text_of(reply, "ARN"), arn);
    json_decref(reply);
    reply = bench_ok(bench, "ReplicateSecretToRegions",
                     ID_("s", "\"AddReplicaRegions\":[{\"Region\":\"eu-west-1\"}]"));
    assert_int_equal(json_array_size(json_object_get(reply, "ReplicationStatus")), 2);
    json_decref(reply);
    bench_refused(bench, "DeleteSecret", ID("s"), ERR_INVALID_PARAMETER,
                  with_arn("You can't delete secret %s that still has replica regions [eu-west-1, "
                           "us-east-1].",
                           arn));
    reply = bench_ok(bench, "RemoveRegionsFromReplication",
                     ID_("s", "\"RemoveReplicaRegions\":[\"us-east-1\",\"us-east-1\",\"x-1\"]"));
    assert_members(reply, "ARN ReplicationStatus");
    assert_member(reply, "ReplicationStatus",
                  "[{\"Region\":\"eu-west-1\",\"KmsKeyId\":\"alias/aws/secretsmanager\","
                  "\"Status\":\"InProgress\"}]");
    json_decref(reply);
    reply = bench_ok(bench, "RemoveRegionsFromReplication",
                     ID_("s", "\"RemoveReplicaRegions\":[\"eu-west-1\"]"));
    assert_member(reply, "ReplicationStatus", "[]");
    json_decref(reply);
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_members(reply, "ARN Name LastChangedDate VersionIdsToStages CreatedDate");
    json_decref(reply);
    json_decref(created);
}

static void removing_more_regions_than_there_can_be(void **state) {
    struct bench *bench = *state;
    char body[1024] = "{\"SecretId\":\"s\",\"RemoveReplicaRegions\":[\"a-0\"";
    size_t len = strlen(body);

    bench_do(bench, "CreateSecret", CREATE("s", 1, ""));
    for (int i = 1; i <= LIMIT_REPLICAS; i++) {
        len += (size_t)snprintf(body + len, sizeof(body) - len, ",\"a-%d\"", i);
    }
    (void)snprintf(body + len, sizeof(body) - len, "]}");
    bench_refused(bench, "RemoveRegionsFromReplication", body, ERR_INVALID_PARAMETER,
                  "A secret can be replicated to at most 32 regions.");
}

static void a_replica_is_read_only(void **state) {
    struct bench *bench = *state;
    json_t *reply;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    bench_make_replica(bench, "s");
    bench_refused(bench, "ReplicateSecretToRegions",
                  ID_("s", "\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]"),
                  ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_refused(bench, "RemoveRegionsFromReplication",
                  ID_("s", "\"RemoveReplicaRegions\":[\"us-east-1\"]"), ERR_INVALID_PARAMETER,
                  ON_REPLICA);
    bench_refused(bench, "DeleteSecret", ID("s"), ERR_INVALID_PARAMETER, ON_REPLICA);
    bench_do(bench, "GetSecretValue", ID("s"));
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "PrimaryRegion", "\"us-east-1\"");
    assert_member(reply, "ReplicationStatus", NULL);
    assert_true(number_of(reply, "LastAccessedDate") > 0);
    json_decref(reply);
}

static void stop_promotes_by_the_primarys_arn_too(void **state) {
    struct bench *bench = *state;
    json_t *created = bench_ok(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    const char *arn = text_of(created, "ARN");
    json_t *reply = NULL;
    char primary[256];

    secret_arn(primary, sizeof(primary), "us-east-1", BENCH_ACCOUNT, "s", arn + strlen(arn) - 6);
    assert_int_equal(bench_call(bench, "StopReplicationToReplica", ID("s"), &reply),
                     ERR_INVALID_PARAMETER);
    bench_make_replica(bench, "s");
    reply = bench_ok(bench, "StopReplicationToReplica", with_arn(ID("%s"), primary));
    assert_members(reply, "ARN");
    assert_string_equal(text_of(reply, "ARN"), arn);
    json_decref(reply);
    reply = bench_ok(bench, "DescribeSecret", ID("s"));
    assert_member(reply, "PrimaryRegion", NULL);
    json_decref(reply);
    bench_do(bench, "PutSecretValue", PUT("s", 2, VALUE("w")));
    json_decref(created);
    bench_refused(bench, "StopReplicationToReplica", ID("none"), ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
}

static void regions_of_a_scheduled_secret(void **state) {
    struct bench *bench = *state;

    bench_do(bench, "CreateSecret", CREATE("s", 1, VALUE("v")));
    bench_do(bench, "DeleteSecret", ID("s"));
    bench_refused(bench, "ReplicateSecretToRegions",
                  ID_("s", "\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]"),
                  ERR_INVALID_REQUEST, MARKED);
    bench_refused(bench, "RemoveRegionsFromReplication",
                  ID_("s", "\"RemoveReplicaRegions\":[\"us-east-1\"]"), ERR_INVALID_REQUEST,
                  MARKED);
    bench_refused(bench, "ReplicateSecretToRegions",
                  ID_("none", "\"AddReplicaRegions\":[{\"Region\":\"us-east-1\"}]"),
                  ERR_RESOURCE_NOT_FOUND, NOT_FOUND);
    bench_refused(bench, "RemoveRegionsFromReplication",
                  ID_("none", "\"RemoveReplicaRegions\":[\"us-east-1\"]"), ERR_RESOURCE_NOT_FOUND,
                  NOT_FOUND);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(delete_schedules),
        BENCH_TEST(delete_by_force_invents),
        BENCH_TEST(delete_judges_its_parameters_first),
        BENCH_TEST(describe_tells_the_replication),
        BENCH_TEST(replicate_and_remove),
        BENCH_TEST(removing_more_regions_than_there_can_be),
        BENCH_TEST(a_replica_is_read_only),
        BENCH_TEST(stop_promotes_by_the_primarys_arn_too),
        BENCH_TEST(regions_of_a_scheduled_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
