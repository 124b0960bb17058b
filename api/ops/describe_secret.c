/* DescribeSecret: everything about a secret but its values.
 *
 * Works on a secret that is scheduled for deletion, too. */
#include "api/op_support.h"

#define IN(X) OP_SECRET_ID(X)

DECLARE_SHAPE_STRUCT(describe_secret_in, IN)
#define SHAPE_SELF struct describe_secret_in
DEFINE_SHAPE(describe_secret_in, IN)
#undef SHAPE_SELF

/* A replica names its primary (op_summary); a primary with replicas names itself and them. */
static enum errc describe_replication(struct op_context *context, const Redoubt__Secret *secret,
                                      struct op_summary *out) {
    struct view_links links;
    enum errc rc;

    if (secret->replica_of != NULL) {
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
    struct op_summary *out = out_any;
    const Redoubt__Secret *secret = NULL;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    rc = describe_replication(context, secret, out);
    if (rc != OK) {
        return rc;
    }
    return op_summary(context, secret, out);
}

const struct op op_describe_secret = {
    .name = "DescribeSecret",
    .iam_action = "secretsmanager:DescribeSecret",
    .summary = "Everything about a secret but its values",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &describe_secret_in_shape,
    .out = &op_summary_described_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INTERNAL_SERVICE, ERR_INVALID_PARAMETER),
    .read = describe,
};
