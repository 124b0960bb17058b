/* What the service's API has and this release has not: its list of operations, less those in
 * api/ops/. */
#include "api/op.h"

#include <string.h>

static const char *const service_operations[] = {
    "BatchGetSecretValue",
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DescribeSecret",
    "GetRandomPassword",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListSecretVersionIds",
    "ListSecrets",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "ValidateResourcePolicy",
};

bool op_is_unimplemented(const char *name, size_t len) {
    for (size_t i = 0; i < ARRAY_LEN(service_operations); i++) {
        if (strlen(service_operations[i]) == len && memcmp(service_operations[i], name, len) == 0) {
            return op_find(name, len) == NULL;
        }
    }
    return false;
}
