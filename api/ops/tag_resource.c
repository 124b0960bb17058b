/* TagResource: tags are added to a secret, or get another value where the key is there.
 *
 * How many there may be together is decided when the command is applied. */
#include "api/op_support.h"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(LIST, tags, "Tags", F_REQ, 0, SHAPE_NO_MAX, &op_tag_shape)

DECLARE_SHAPE_STRUCT(tag_resource_in, IN)
#define SHAPE_SELF struct tag_resource_in
DEFINE_SHAPE(tag_resource_in, IN)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct tag_resource_in *in = in_any;
    Redoubt__TagsSet *set = arena_alloc(context->arena, sizeof(*set));
    const Redoubt__Secret *secret = NULL;
    enum errc rc;

    if (set == NULL) {
        return op_no_memory(context);
    }
    redoubt__tags_set__init(set);
    rc = op_tags_in(context, &in->tags, &set->tags, &set->n_tags);
    if (rc == OK) {
        rc = op_find_secret(context, in->secret_id, &secret);
    }
    if (rc != OK) {
        return rc;
    }
    set->ref = op_ref(context, secret->name, secret->suffix);
    set->has_now_ms = true;
    set->now_ms = context->now_ms;
    set->quotas = op_quotas(context);
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_TAGS_SET, .message = &set->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out) {
    return OK;
}

const struct op op_tag_resource = {
    .name = "TagResource",
    .iam_action = "secretsmanager:TagResource",
    .summary = "Add tags to a secret, or change their values",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &tag_resource_in_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_REQUEST, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
