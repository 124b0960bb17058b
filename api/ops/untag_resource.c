/* UntagResource: tags of a secret go, by their keys. One that is not there is no error. */
#include "api/op_support.h"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(STRS, keys, "TagKeys", F_REQ, 0, SHAPE_NO_MAX, &op_tag_key_rule)

DECLARE_SHAPE_STRUCT(untag_resource_in, IN)
#define SHAPE_SELF struct untag_resource_in
DEFINE_SHAPE(untag_resource_in, IN)
#undef SHAPE_SELF

static enum errc prepare(struct op_context *context, const void *in_any, struct op_command *ret) {
    const struct untag_resource_in *in = in_any;
    Redoubt__TagsRemove *remove = arena_alloc(context->arena, sizeof(*remove));
    const Redoubt__Secret *secret = NULL;
    enum errc rc = OK;

    if (remove == NULL) {
        return op_no_memory(context);
    }
    for (size_t i = 0; rc == OK && i < in->keys.n; i++) {
        rc = op_check_tag_key(context, in->keys.items[i]);
    }
    if (rc == OK) {
        rc = op_find_secret(context, in->secret_id, &secret);
    }
    if (rc != OK) {
        return rc;
    }
    redoubt__tags_remove__init(remove);
    remove->ref = op_ref(context, secret->name, secret->suffix);
    remove->keys = op_strings_in(context, &in->keys);
    remove->n_keys = in->keys.n;
    remove->has_now_ms = true;
    remove->now_ms = context->now_ms;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret = (struct op_command){.type = COMMAND_TAGS_REMOVE, .message = &remove->base};
    return OK;
}

static enum errc reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                       void *out) {
    return OK;
}

const struct op op_untag_resource = {
    .name = "UntagResource",
    .iam_action = "secretsmanager:UntagResource",
    .summary = "Remove tags from a secret",
    .class = OP_WRITE,
    .resource = RESOURCE_SECRET,
    .in = &untag_resource_in_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_REQUEST, ERR_INVALID_PARAMETER,
                   ERR_INTERNAL_SERVICE),
    .prepare = prepare,
    .reply = reply,
};
