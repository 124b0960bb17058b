/* RemoveRegionsFromReplication: end a secret's replication to regions and delete the replicas
 * there. Regions without a replica are passed over. */
#include "api/op_support.h"

#include <string.h>

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(STRS, regions, "RemoveReplicaRegions", F_REQ, 1, SHAPE_NO_MAX, &op_region_rule)

DECLARE_SHAPE_STRUCT(remove_regions_from_replication_in, IN)
#define SHAPE_SELF struct remove_regions_from_replication_in
DEFINE_SHAPE(remove_regions_from_replication_in, IN)
#undef SHAPE_SELF

/* Each region once: no secret has more than LIMIT_REPLICAS, so a longer list names none. */
static enum errc prepare_regions(struct op_context *context, const struct str_list *regions,
                                 Redoubt__LinksRemove *message) {
    char **once = op_strings_in(context, regions);
    size_t n = 0;

    if (once == NULL) {
        return op_no_memory(context);
    }
    for (size_t i = 0; i < regions->n; i++) {
        bool seen = false;

        for (size_t k = 0; k < n && !seen; k++) {
            seen = strcmp(once[k], once[i]) == 0;
        }
        if (!seen) {
            once[n++] = once[i];
        }
    }
    if (n > LIMIT_REPLICAS) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "A secret can be replicated to at most %d regions.", LIMIT_REPLICAS);
    }
    message->regions = once;
    message->n_regions = n;
    return OK;
}

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct remove_regions_from_replication_in *in = in_any;
    Redoubt__LinksRemove *message;
    struct secret_id id;
    enum errc rc = op_secret_id(context, in->secret_id, &id);

    if (rc != OK) {
        return rc;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__links_remove__init(message);
    rc = prepare_regions(context, &in->regions, message);
    if (rc != OK) {
        return rc;
    }
    message->ref = op_ref(context, id.name, id.suffix);
    message->has_now_ms = true;
    message->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_LINKS_REMOVE, .message = &message->base};
    return OK;
}

const struct op op_remove_regions_from_replication = {
    .name = "RemoveRegionsFromReplication",
    .iam_action = "secretsmanager:RemoveRegionsFromReplication",
    .summary = "End the replication of a secret to regions and delete its replicas there",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &remove_regions_from_replication_in_shape,
    .out = &op_replication_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_REQUEST, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = op_replication_reply,
};
