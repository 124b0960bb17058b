/* ReplicateSecretToRegions: add regions to a primary secret, or try again where one has failed. */
#include "api/op_support.h"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(LIST, regions, "AddReplicaRegions", F_REQ, 1, SHAPE_NO_MAX, &op_replica_region_shape)        \
    X(BOOL, force, "ForceOverwriteReplicaSecret", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(replicate_secret_to_regions_in, IN)
#define SHAPE_SELF struct replicate_secret_to_regions_in
DEFINE_SHAPE(replicate_secret_to_regions_in, IN)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct replicate_secret_to_regions_in *in = in_any;
    Redoubt__LinksAdd *message;
    struct secret_id id;
    enum errc rc = op_secret_id(context, in->secret_id, &id);

    if (rc != OK) {
        return rc;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__links_add__init(message);
    rc = op_targets_in(context, &in->regions, &message->targets, &message->n_targets);
    if (rc != OK) {
        return rc;
    }
    message->ref = op_ref(context, id.name, id.suffix);
    message->has_force_overwrite = true;
    message->force_overwrite = in->force.value;
    message->has_now_ms = true;
    message->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_LINKS_ADD, .message = &message->base};
    return OK;
}

const struct op op_replicate_secret_to_regions = {
    .name = "ReplicateSecretToRegions",
    .iam_action = "secretsmanager:ReplicateSecretToRegions",
    .summary = "Replicate a secret to regions",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &replicate_secret_to_regions_in_shape,
    .out = &op_replication_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_REQUEST, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = op_replication_reply,
};
