/* Structures that several operations share: tags, and replica regions as they come in and go out.
 *
 * Constant tables and pure predicates; any thread. */
#ifndef API_OP_SHAPES_H
#define API_OP_SHAPES_H

#include "api/shape.h"
#include "base/limits.h"

#define OP_TAG(X)                                                                                  \
    X(STR, key, "Key", F_NONE, 1, LIMIT_TAG_KEY, NULL)                                             \
    X(STR, value, "Value", F_NONE, 0, LIMIT_TAG_VALUE, NULL)

#define OP_REPLICA_REGION(X)                                                                       \
    X(STR, region, "Region", F_NONE, 1, LIMIT_REGION_NAME, &op_region_rule)                        \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, LIMIT_KMS_KEY_ID, NULL)

#define OP_REPLICATION_STATUS(X)                                                                   \
    X(STR, region, "Region", F_NONE, 0, SHAPE_NO_MAX, NULL)                                        \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                  \
    X(STR, status, "Status", F_NONE, 0, SHAPE_NO_MAX, NULL)                                        \
    X(STR, message, "StatusMessage", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(TIME, last_accessed, "LastAccessedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)

/* The reply of operations that say which secret it was: op_secret_reply(). */
#define OP_SECRET_OUT(X)                                                                           \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)

/* The reply of the operations that change where a secret is replicated to: op_replication_reply().
 */
#define OP_REPLICATION_OUT(X)                                                                      \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(LIST, replication, "ReplicationStatus", F_NONE, 0, SHAPE_NO_MAX, &op_replication_status_shape)

#define OP_ROTATION_RULES(X)                                                                       \
    X(INT, days, "AutomaticallyAfterDays", F_NONE, 1, LIMIT_ROTATION_DAYS, NULL)                   \
    X(STR, duration, "Duration", F_NONE, 2, 3, &op_duration_rule)                                  \
    X(STR, expression, "ScheduleExpression", F_NONE, 1, LIMIT_SCHEDULE, &op_expression_rule)

/* Metadata of managed external secrets. */
#define OP_EXTERNAL_METADATA(X)                                                                    \
    X(STR, key, "Key", F_NONE, 1, LIMIT_EXTERNAL_KEY, NULL)                                        \
    X(STR, value, "Value", F_NONE, 1, LIMIT_EXTERNAL_VALUE, NULL)

/* A secret as DescribeSecret and ListSecrets show it; they differ in the name of one member.
 * op_summary() fills it. */
#define OP_SUMMARY(X, stages_wire)                                                                 \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, type, "Type", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, description, "Description", F_NONE, 0, SHAPE_NO_MAX, NULL)                              \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                  \
    X(BOOL, rotation_enabled, "RotationEnabled", F_NONE, 0, SHAPE_NO_MAX, NULL)                    \
    X(STR, function_arn, "RotationLambdaARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                       \
    X(STRUCT, rules, "RotationRules", F_NONE, 0, SHAPE_NO_MAX, &op_rotation_rules_shape)           \
    X(LIST, external_metadata, "ExternalSecretRotationMetadata", F_NONE, 0, SHAPE_NO_MAX,          \
      &op_external_metadata_shape)                                                                 \
    X(STR, external_role_arn, "ExternalSecretRotationRoleArn", F_NONE, 0, SHAPE_NO_MAX, NULL)      \
    X(TIME, rotated, "LastRotatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                             \
    X(TIME, changed, "LastChangedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                             \
    X(TIME, accessed, "LastAccessedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                           \
    X(TIME, deleted, "DeletedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(TIME, next_rotation, "NextRotationDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                      \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &op_tag_shape)                                  \
    X(STAGES, stages, stages_wire, F_NONE, 0, SHAPE_NO_MAX, NULL)                                  \
    X(STR, owning_service, "OwningService", F_NONE, 0, SHAPE_NO_MAX, NULL)                         \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STR, primary_region, "PrimaryRegion", F_NONE, 0, SHAPE_NO_MAX, NULL)
#define OP_SUMMARY_DESCRIBED(X)                                                                    \
    OP_SUMMARY(X, "VersionIdsToStages")                                                            \
    X(LIST, replication, "ReplicationStatus", F_NONE, 0, SHAPE_NO_MAX, &op_replication_status_shape)
#define OP_SUMMARY_LISTED(X) OP_SUMMARY(X, "SecretVersionsToStages")

DECLARE_SHAPE_STRUCT(op_tag, OP_TAG)
DECLARE_SHAPE_STRUCT(op_rotation_rules, OP_ROTATION_RULES)
DECLARE_SHAPE_STRUCT(op_external_metadata, OP_EXTERNAL_METADATA)
DECLARE_SHAPE_STRUCT(op_summary, OP_SUMMARY_DESCRIBED)
DECLARE_SHAPE_STRUCT(op_secret_out, OP_SECRET_OUT)
DECLARE_SHAPE_STRUCT(op_replica_region, OP_REPLICA_REGION)
DECLARE_SHAPE_STRUCT(op_replication_status, OP_REPLICATION_STATUS)
DECLARE_SHAPE_STRUCT(op_replication_out, OP_REPLICATION_OUT)

extern const struct shape op_tag_shape;
extern const struct shape op_rotation_rules_shape;
extern const struct shape op_external_metadata_shape;
/* Both over struct op_summary. */
extern const struct shape op_summary_described_shape;
extern const struct shape op_summary_listed_shape;
extern const struct shape op_secret_out_shape;
extern const struct shape op_replica_region_shape;
extern const struct shape op_replication_status_shape;
extern const struct shape op_replication_out_shape;

/* A region's name, as a member and as an element of a list. */
extern const struct str_rule op_region_rule;
extern const struct str_rule op_duration_rule;
extern const struct str_rule op_expression_rule;
/* Elements of a list of staging labels. */
extern const struct str_rule op_stage_rule;
/* Elements of a list of tag keys. */
extern const struct str_rule op_tag_key_rule;

/* The members that name a secret in a request; all operations on an existing secret begin so. */
#define OP_SECRET_ID(X) X(STR, secret_id, "SecretId", F_REQ | F_SECRET_ID, 1, LIMIT_SECRET_ID, NULL)

/* The text of a resource policy. */
#define OP_POLICY(X)    X(STR, policy, "ResourcePolicy", F_REQ | F_POLICY_QUOTA, 1, LIMIT_POLICY, NULL)

/* The two forms of a value. At most one of them may be given: op_value_pick(). */
#define OP_VALUE(X)                                                                                \
    X(BLOB, binary, "SecretBinary", F_VALUE_QUOTA, 1, LIMIT_VALUE, NULL)                           \
    X(SECRET, string, "SecretString", F_VALUE_QUOTA, 1, LIMIT_VALUE, NULL)

#endif
