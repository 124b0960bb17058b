#include "api/op_shapes.h"

#include "model/secret_id.h"

const struct str_rule op_region_rule = {
    .matches = region_name_is_valid,
    .pattern = "^([a-z]+-)+\\d+$",
    .min = 1,
    .max = LIMIT_REGION_NAME,
};

const struct str_rule op_stage_rule = {.min = 1, .max = LIMIT_STAGE};

#define SHAPE_SELF struct op_tag
static const struct field op_tag_fields[] = {OP_TAG(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape op_tag_shape = {"Tag", sizeof(struct op_tag), op_tag_fields,
                                   ARRAY_LEN(op_tag_fields)};

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
