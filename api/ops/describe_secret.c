/* DescribeSecret: everything about a secret but its values.
 *
 * Works on a secret that is scheduled for deletion, too. */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

#define OUT(X)                                                                                     \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, description, "Description", F_NONE, 0, SHAPE_NO_MAX, NULL)                              \
    X(STR, kms_key_id, "KmsKeyId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                  \
    X(TIME, changed, "LastChangedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                             \
    X(TIME, accessed, "LastAccessedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                           \
    X(TIME, deleted, "DeletedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &op_tag_shape)                                  \
    X(STAGES, stages, "VersionIdsToStages", F_NONE, 0, SHAPE_NO_MAX, NULL)                         \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STR, primary_region, "PrimaryRegion", F_NONE, 0, SHAPE_NO_MAX, NULL)                         \
    X(LIST, replication, "ReplicationStatus", F_NONE, 0, SHAPE_NO_MAX, &op_replication_status_shape)

DECLARE_SHAPE_STRUCT(describe_secret_in, IN)
DECLARE_SHAPE_STRUCT(describe_secret_out, OUT)
#define SHAPE_SELF struct describe_secret_in
DEFINE_SHAPE(describe_secret_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct describe_secret_out
DEFINE_SHAPE(describe_secret_out, OUT)
#undef SHAPE_SELF

/* A replica names its primary; a primary with replicas names itself and them. */
static enum errc describe_replication(struct op_context *context, const Redoubt__Secret *secret,
                                      struct describe_secret_out *out) {
    struct view_links links;
    enum errc rc;

    if (secret->replica_of != NULL) {
        out->primary_region = secret->replica_of->region;
        return OK;
    }
    rc = view_links(context->view, context->identity->account, secret->name, &links);
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    if (links.n > 0) {
        out->primary_region = context->region;
        out->replication = op_links_out(context, &links, secret->revision);
    }
    view_links_free(&links);
    return OK;
}

static enum errc describe(struct op_context *context, const void *in_any, void *out_any) {
    const struct describe_secret_in *in = in_any;
    struct describe_secret_out *out = out_any;
    const Redoubt__Secret *secret = NULL;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    rc = describe_replication(context, secret, out);
    if (rc != OK) {
        return rc;
    }
    out->arn = op_arn(context, secret->name, secret->suffix);
    out->name = secret->name;
    out->description = secret->description;
    out->kms_key_id = secret->kms_key_id;
    out->created = op_time(secret->has_created_ms, secret->created_ms);
    out->changed = op_time(secret->has_changed_ms, secret->changed_ms);
    out->accessed = op_day(secret->has_last_accessed_day, secret->last_accessed_day);
    out->deleted = op_time(secret->has_deletion_ms, secret->deletion_ms);
    out->tags = op_tags_out(context, secret);
    out->stages = op_stages_out(context, secret);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_describe_secret = {
    .name = "DescribeSecret",
    .iam_action = "secretsmanager:DescribeSecret",
    .summary = "Everything about a secret but its values",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &describe_secret_in_shape,
    .out = &describe_secret_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INTERNAL_SERVICE, ERR_INVALID_PARAMETER),
    .read = describe,
};
