/* StopReplicationToReplica: make the replica of this region a standalone secret.
 *
 * Works while the primary's region is away. The secret may be named by the primary's ARN, too: name
 * and suffix are the same (C-28 of AWS_BEHAVIOUR). */
#include "api/op_support.h"

#define IN(X)  OP_SECRET_ID(X)

#define OUT(X) X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(stop_replication_to_replica_in, IN)
DECLARE_SHAPE_STRUCT(stop_replication_to_replica_out, OUT)
#define SHAPE_SELF struct stop_replication_to_replica_in
DEFINE_SHAPE(stop_replication_to_replica_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct stop_replication_to_replica_out
DEFINE_SHAPE(stop_replication_to_replica_out, OUT)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct stop_replication_to_replica_in *in = in_any;
    Redoubt__SecretPromote *message;
    struct secret_id id;
    enum errc rc = op_secret_id_any_region(context, in->secret_id, &id);

    if (rc != OK) {
        return rc;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__secret_promote__init(message);
    message->ref = op_ref(context, id.name, id.suffix);
    message->has_now_ms = true;
    message->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_PROMOTE, .message = &message->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out_any) {
    struct stop_replication_to_replica_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    return context->arena->failed ? op_no_memory(context) : OK;
}

const struct op op_stop_replication_to_replica = {
    .name = "StopReplicationToReplica",
    .iam_action = "secretsmanager:StopReplicationToReplica",
    .summary = "Make the replica in this region a standalone secret",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &stop_replication_to_replica_in_shape,
    .out = &stop_replication_to_replica_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_REQUEST, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
