/* ListSecrets: the secrets of the caller's account in this region, by their creation unless another
 * order is asked for. */
#include "api/list_page.h"
#include "api/op_support.h"

#include <string.h>

static const char *const order_names[] = {"created-date", "last-accessed-date", "last-changed-date",
                                          "name", NULL};
static const enum list_order orders[] = {LIST_BY_CREATED, LIST_BY_ACCESSED, LIST_BY_CHANGED,
                                         LIST_BY_NAME};
_Static_assert(ARRAY_LEN(order_names) == ARRAY_LEN(orders) + 1, "each name has its order");

static const struct str_rule sort_by_rule = {.values = order_names};
static const struct str_rule sort_order_rule = {
    .values = (const char *const[]){"asc", "desc", NULL},
};

#define IN(X)                                                                                      \
    X(BOOL, planned_deletion, "IncludePlannedDeletion", F_NONE, 0, SHAPE_NO_MAX, NULL)             \
    X(INT, max_results, "MaxResults", F_NONE, 1, LIMIT_LIST_PAGE, NULL)                            \
    X(STR, next_token, "NextToken", F_NONE, 1, LIMIT_NEXT_TOKEN, NULL)                             \
    X(LIST, filters, "Filters", F_NONE, 0, LIMIT_FILTERS, &list_filter_shape)                      \
    X(STR, sort_order, "SortOrder", F_NONE, 0, SHAPE_NO_MAX, &sort_order_rule)                     \
    X(STR, sort_by, "SortBy", F_NONE, 0, SHAPE_NO_MAX, &sort_by_rule)

#define OUT(X)                                                                                     \
    X(LIST, secrets, "SecretList", F_NONE, 0, SHAPE_NO_MAX, &op_summary_listed_shape)              \
    X(STR, next_token, "NextToken", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(list_secrets_in, IN)
DECLARE_SHAPE_STRUCT(list_secrets_out, OUT)
#define SHAPE_SELF struct list_secrets_in
DEFINE_SHAPE(list_secrets_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct list_secrets_out
DEFINE_SHAPE(list_secrets_out, OUT)
#undef SHAPE_SELF

/* The page's entries, as many as it may have. */
struct entries {
    struct op_context *context;
    struct op_summary *items;
    size_t n;
};

static enum errc show(void *arg, const Redoubt__Secret *secret) {
    struct entries *entries = arg;
    struct op_summary *entry = &entries->items[entries->n++];
    const char *region = NULL;
    enum errc rc = op_summary(entries->context, secret, entry);

    /* A primary with replicas names itself. */
    if (rc == OK && entry->primary_region == NULL) {
        rc = list_primary_region(entries->context, secret, &region);
        entry->primary_region = region;
    }
    return rc;
}

static enum list_order order_of(const char *sort_by) {
    size_t i = 0;

    while (sort_by != NULL && order_names[i] != NULL && strcmp(order_names[i], sort_by) != 0) {
        i++;
    }
    CHECK(i < ARRAY_LEN(orders)); /* the shape let no other name through */
    return orders[i];
}

static enum errc list(struct op_context *context, const void *in_any, void *out_any) {
    const struct list_secrets_in *in = in_any;
    struct list_secrets_out *out = out_any;
    struct entries entries = {.context = context};
    struct list_page page = {
        .operation = "ListSecrets",
        .order = order_of(in->sort_by),
        .descending = in->sort_order != NULL && strcmp(in->sort_order, "desc") == 0,
        .planned_deletion = in->planned_deletion.value,
        .max = in->max_results.present ? (size_t)in->max_results.value : LIMIT_LIST_PAGE,
    };
    enum errc rc = list_filters_in(context, &in->filters, &page.filters);

    if (rc != OK) {
        return rc;
    }
    entries.items = arena_alloc(context->arena, page.max * sizeof(entries.items[0]));
    if (entries.items == NULL) {
        return op_no_memory(context);
    }
    rc = list_page_walk(context, &page, in->next_token, show, &entries, &out->next_token);
    out->secrets = (struct shape_list){.present = true, .items = entries.items, .n = entries.n};
    return rc;
}

const struct op op_list_secrets = {
    .name = "ListSecrets",
    .iam_action = "secretsmanager:ListSecrets",
    .summary = "The secrets of the account in this region",
    .class = OP_READ,
    .resource = RESOURCE_ANY,
    .in = &list_secrets_in_shape,
    .out = &list_secrets_out_shape,
    .errors = ERRS(ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST, ERR_INVALID_NEXT_TOKEN,
                   ERR_INTERNAL_SERVICE),
    .read = list,
};
