#include "api/op_shapes.h"

#include "model/secret_id.h"

#include <string.h>

const struct str_rule op_region_rule = {
    .matches = region_name_matches,
    .pattern = "^([a-z]+-)+\\d+$",
    .min = 1,
    .max = LIMIT_REGION_NAME,
};

const struct str_rule op_stage_rule = {.min = 1, .max = LIMIT_STAGE};
const struct str_rule op_tag_key_rule = {.min = 1, .max = LIMIT_TAG_KEY};

static bool duration_matches(const char *text) {
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && strcmp(text + digits, "h") == 0;
}

const struct str_rule op_duration_rule = {.matches = duration_matches, .pattern = "[0-9]+h"};

static bool expression_matches(const char *text) {
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz()#?*-/, ";

    return text[0] != '\0' && text[strspn(text, alphabet)] == '\0';
}

const struct str_rule op_expression_rule = {
    .matches = expression_matches,
    .pattern = "[0-9A-Za-z\\(\\)#\\?\\*\\-\\/, ]+",
};

#define SHAPE_SELF struct op_tag
static const struct field op_tag_fields[] = {OP_TAG(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_tag_shape = {"Tag", sizeof(struct op_tag), op_tag_fields,
                                   ARRAY_LEN(op_tag_fields)};

#define SHAPE_SELF struct op_secret_out
static const struct field op_secret_out_fields[] = {OP_SECRET_OUT(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_secret_out_shape = {"SecretOut", sizeof(struct op_secret_out),
                                          op_secret_out_fields, ARRAY_LEN(op_secret_out_fields)};

#define SHAPE_SELF struct op_replica_region
static const struct field op_replica_region_fields[] = {OP_REPLICA_REGION(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_replica_region_shape = {"ReplicaRegionType", sizeof(struct op_replica_region),
                                              op_replica_region_fields,
                                              ARRAY_LEN(op_replica_region_fields)};

#define SHAPE_SELF struct op_replication_status
static const struct field op_replication_status_fields[] = {OP_REPLICATION_STATUS(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_replication_status_shape = {
    "ReplicationStatusType", sizeof(struct op_replication_status), op_replication_status_fields,
    ARRAY_LEN(op_replication_status_fields)};

#define SHAPE_SELF struct op_replication_out
static const struct field op_replication_out_fields[] = {OP_REPLICATION_OUT(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_replication_out_shape = {"ReplicationOut", sizeof(struct op_replication_out),
                                               op_replication_out_fields,
                                               ARRAY_LEN(op_replication_out_fields)};

#define SHAPE_SELF struct op_rotation_rules
static const struct field op_rotation_rules_fields[] = {OP_ROTATION_RULES(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_rotation_rules_shape = {"RotationRulesType", sizeof(struct op_rotation_rules),
                                              op_rotation_rules_fields,
                                              ARRAY_LEN(op_rotation_rules_fields)};

#define SHAPE_SELF struct op_external_metadata
static const struct field op_external_metadata_fields[] = {OP_EXTERNAL_METADATA(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_external_metadata_shape = {
    "ExternalSecretRotationMetadataItem", sizeof(struct op_external_metadata),
    op_external_metadata_fields, ARRAY_LEN(op_external_metadata_fields)};

#define SHAPE_SELF struct op_summary
static const struct field op_summary_described_fields[] = {OP_SUMMARY_DESCRIBED(SHAPE_FIELD)};
static const struct field op_summary_listed_fields[] = {OP_SUMMARY_LISTED(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_summary_described_shape = {
    "DescribeSecretResponse", sizeof(struct op_summary), op_summary_described_fields,
    ARRAY_LEN(op_summary_described_fields)};
const struct shape op_summary_listed_shape = {"SecretListEntry", sizeof(struct op_summary),
                                              op_summary_listed_fields,
                                              ARRAY_LEN(op_summary_listed_fields)};
