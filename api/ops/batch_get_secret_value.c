/* BatchGetSecretValue: the current values of many secrets, named one by one or found by filters.
 *
 * Each secret is read as GetSecretValue reads it; one that cannot be read becomes an entry of
 * Errors with the code and the sentence of that operation, and the call succeeds. What is the
 * service's own fault (5xx) fails the call, which can be repeated. All first reads of a day leave
 * one command behind the reply. */
#include "api/authorize.h"
#include "api/list_page.h"
#include "api/op_support.h"
#include "api/secret_value.h"

static const struct str_rule secret_id_rule = {.min = 1, .max = LIMIT_SECRET_ID};

#define IN(X)                                                                                      \
    X(STRS, secret_ids, "SecretIdList", F_NONE, 1, LIMIT_BATCH_GET, &secret_id_rule)               \
    X(LIST, filters, "Filters", F_NONE, 0, LIMIT_FILTERS, &list_filter_shape)                      \
    X(INT, max_results, "MaxResults", F_NONE, 1, LIMIT_BATCH_GET, NULL)                            \
    X(STR, next_token, "NextToken", F_NONE, 1, LIMIT_NEXT_TOKEN, NULL)

#define FAILURE(X)                                                                                 \
    X(STR, secret_id, "SecretId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                   \
    X(STR, code, "ErrorCode", F_NONE, 0, SHAPE_NO_MAX, NULL)                                       \
    X(STR, message, "Message", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define OUT(X)                                                                                     \
    X(LIST, values, "SecretValues", F_NONE, 0, SHAPE_NO_MAX, &secret_value_shape)                  \
    X(STR, next_token, "NextToken", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(LIST, failures, "Errors", F_NONE, 0, SHAPE_NO_MAX, &batch_get_failure_shape)

DECLARE_SHAPE_STRUCT(batch_get_in, IN)
DECLARE_SHAPE_STRUCT(batch_get_failure, FAILURE)
DECLARE_SHAPE_STRUCT(batch_get_out, OUT)
#define SHAPE_SELF struct batch_get_in
DEFINE_SHAPE(batch_get_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct batch_get_failure
DEFINE_SHAPE(batch_get_failure, FAILURE)
#undef SHAPE_SELF
#define SHAPE_SELF struct batch_get_out
DEFINE_SHAPE(batch_get_out, OUT)
#undef SHAPE_SELF

/* What the call has read so far. */
struct batch {
    struct op_context *context;
    const char *ids[LIMIT_BATCH_GET]; /* of the secrets to read, in order */
    size_t n_ids;
    struct secret_value values[LIMIT_BATCH_GET];
    size_t n_values;
    struct batch_get_failure failures[LIMIT_BATCH_GET];
    size_t n_failures;
    Redoubt__SecretTouch *touches[LIMIT_BATCH_GET];
    size_t n_touches;
};

static enum errc check_members(struct op_context *context, const struct batch_get_in *in) {
    bool by_filters = in->filters.n > 0;

    if (in->secret_ids.present && by_filters) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "Either 'SecretIdList' or 'Filters' must be provided, but not both.");
    }
    if (in->max_results.present && !by_filters) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "'Filters' not specified. 'Filters' must also be specified when "
                       "'MaxResults' is provided.");
    }
    if (in->next_token != NULL && !by_filters) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "'Filters' not specified. 'Filters' must also be specified when "
                       "'NextToken' is provided.");
    }
    if (!in->secret_ids.present && !by_filters) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "Either 'SecretIdList' or 'Filters' must be provided, but not both.");
    }
    return OK;
}

/* Reading a value is GetSecretValue's business, for each secret anew. */
static enum errc check_identity(struct op_context *context, const char *secret_id) {
    const struct authorization question = {
        .identity = context->identity,
        .action = "secretsmanager:GetSecretValue",
        .kind = RESOURCE_SECRET,
        .resource = secret_id,
    };

    return authorize(&question, context->err);
}

static enum errc read_value(struct batch *batch, const char *secret_id) {
    struct op_context *context = batch->context;
    const Redoubt__Secret *secret = NULL;
    const Redoubt__Version *version = NULL;
    Redoubt__SecretTouch *touch = NULL;
    enum errc rc = check_identity(context, secret_id);

    if (rc == OK) {
        rc = op_find_secret(context, secret_id, &secret);
    }
    if (rc == OK) {
        rc = secret_value_find(context, secret, NULL, NULL, &version);
    }
    if (rc == OK) {
        rc = secret_value_read(context, secret, version, &batch->values[batch->n_values]);
    }
    if (rc == OK) {
        rc = secret_value_touch(context, secret, version, &touch);
    }
    if (rc == OK) {
        batch->n_values++;
        if (touch != NULL) {
            batch->touches[batch->n_touches++] = touch;
        }
    }
    return rc;
}

static enum errc read_values(struct batch *batch) {
    struct op_context *context = batch->context;

    for (size_t i = 0; i < batch->n_ids; i++) {
        enum errc rc = read_value(batch, batch->ids[i]);

        if (rc != OK && errc_http_status(rc) >= 500) {
            return rc;
        }
        if (rc != OK) {
            batch->failures[batch->n_failures++] = (struct batch_get_failure){
                .secret_id = batch->ids[i],
                .code = errc_name(rc),
                .message = arena_strdup(context->arena, context->err->message),
            };
        }
    }
    *context->err = (struct err){.code = OK};
    return context->arena->failed ? op_no_memory(context) : OK;
}

static enum errc leave_touches(struct batch *batch) {
    struct op_context *context = batch->context;
    Redoubt__SecretsTouch *message;

    if (batch->n_touches == 0) {
        return OK;
    }
    message = arena_alloc(context->arena, sizeof(*message));
    if (message == NULL) {
        return op_no_memory(context);
    }
    redoubt__secrets_touch__init(message);
    message->n_items = batch->n_touches;
    message->items = batch->touches;
    context->after_type = COMMAND_SECRETS_TOUCH;
    context->after = &message->base;
    return OK;
}

/* The ARN: exactly the secret that was found. */
static enum errc found(void *arg, const Redoubt__Secret *secret) {
    struct batch *batch = arg;
    const char *arn = op_arn(batch->context, secret->name, secret->suffix);

    batch->ids[batch->n_ids++] = arn;
    return arn != NULL ? OK : op_no_memory(batch->context);
}

static enum errc find(struct batch *batch, const struct batch_get_in *in,
                      const char **ret_next_token) {
    struct op_context *context = batch->context;
    struct list_page page = {
        .operation = "BatchGetSecretValue",
        .order = LIST_BY_CREATED,
        .max = in->max_results.present ? (size_t)in->max_results.value : LIMIT_BATCH_GET,
    };
    enum errc rc = list_filters_in(context, &in->filters, &page.filters);

    if (rc != OK) {
        return rc;
    }
    return list_page_walk(context, &page, in->next_token, found, batch, ret_next_token);
}

static enum errc batch_get(struct op_context *context, const void *in_any, void *out_any) {
    const struct batch_get_in *in = in_any;
    struct batch_get_out *out = out_any;
    struct batch *batch = arena_alloc(context->arena, sizeof(*batch));
    enum errc rc = check_members(context, in);

    if (rc != OK) {
        return rc;
    }
    if (batch == NULL) {
        return op_no_memory(context);
    }
    batch->context = context;
    for (size_t i = 0; i < in->secret_ids.n; i++) {
        batch->ids[batch->n_ids++] = in->secret_ids.items[i];
    }
    if (!in->secret_ids.present) {
        rc = find(batch, in, &out->next_token);
    }
    if (rc == OK) {
        rc = read_values(batch);
    }
    if (rc != OK) {
        return rc;
    }
    out->values =
        (struct shape_list){.present = true, .items = batch->values, .n = batch->n_values};
    out->failures =
        (struct shape_list){.present = true, .items = batch->failures, .n = batch->n_failures};
    return leave_touches(batch);
}

const struct op op_batch_get_secret_value = {
    .name = "BatchGetSecretValue",
    .iam_action = "secretsmanager:BatchGetSecretValue",
    .summary = "The current values of many secrets",
    .class = OP_READ,
    .resource = RESOURCE_ANY,
    .in = &batch_get_in_shape,
    .out = &batch_get_out_shape,
    .errors = ERRS(ERR_RESOURCE_NOT_FOUND, ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST,
                   ERR_DECRYPTION_FAILURE, ERR_INTERNAL_SERVICE, ERR_INVALID_NEXT_TOKEN),
    .read = batch_get,
};
