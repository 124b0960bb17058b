/* ListSecrets: the secrets of the caller's account in this region, in order of creation.
 *
 * A page ends at MaxResults, or earlier where it has grown large or has passed over many secrets
 * that are not to be shown; NextToken then goes on. Filters, other orders and the way back are
 * refused with a sentence, not ignored. */
#include "api/next_token.h"
#include "api/op_support.h"

#include <string.h>

enum { FILTERS_MAX = 10, FILTER_VALUES_MAX = 10, FILTER_VALUE_MAX = 512 };

/* ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$ */
static bool filter_value_is_valid(const char *text) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789 :_@/+=.-!";

    return text[strspn(text, alphabet)] == '\0';
}

static const struct str_rule filter_key_rule = {
    .values = (const char *const[]){"all", "name", "tag-key", "description", "tag-value",
                                    "primary-region", "owning-service", NULL},
};
static const struct str_rule filter_value_rule = {
    .matches = filter_value_is_valid,
    .pattern = "^\\!?[a-zA-Z0-9 :_@\\/\\+\\=\\.\\-\\!]*$",
    .max = FILTER_VALUE_MAX,
};
static const struct str_rule sort_order_rule = {
    .values = (const char *const[]){"asc", "desc", NULL},
};
static const struct str_rule sort_by_rule = {
    .values = (const char *const[]){"created-date", "last-accessed-date", "last-changed-date",
                                    "name", NULL},
};

#define FILTER(X)                                                                                  \
    X(STR, key, "Key", F_NONE, 0, SHAPE_NO_MAX, &filter_key_rule)                                  \
    X(STRS, values, "Values", F_NONE, 1, FILTER_VALUES_MAX, &filter_value_rule)

#define IN(X)                                                                                      \
    X(BOOL, planned_deletion, "IncludePlannedDeletion", F_NONE, 0, SHAPE_NO_MAX, NULL)             \
    X(INT, max_results, "MaxResults", F_NONE, 1, LIMIT_LIST_PAGE, NULL)                            \
    X(STR, next_token, "NextToken", F_NONE, 1, LIMIT_NEXT_TOKEN, NULL)                             \
    X(LIST, filters, "Filters", F_NONE, 0, FILTERS_MAX, &list_secrets_filter_shape)                \
    X(STR, sort_order, "SortOrder", F_NONE, 0, SHAPE_NO_MAX, &sort_order_rule)                     \
    X(STR, sort_by, "SortBy", F_NONE, 0, SHAPE_NO_MAX, &sort_by_rule)

#define OUT(X)                                                                                     \
    X(LIST, secrets, "SecretList", F_NONE, 0, SHAPE_NO_MAX, &op_summary_listed_shape)              \
    X(STR, next_token, "NextToken", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(list_secrets_filter, FILTER)
DECLARE_SHAPE_STRUCT(list_secrets_in, IN)
DECLARE_SHAPE_STRUCT(list_secrets_out, OUT)
#define SHAPE_SELF struct list_secrets_filter
DEFINE_SHAPE(list_secrets_filter, FILTER)
#undef SHAPE_SELF
#define SHAPE_SELF struct list_secrets_in
DEFINE_SHAPE(list_secrets_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct list_secrets_out
DEFINE_SHAPE(list_secrets_out, OUT)
#undef SHAPE_SELF

/* The walk of one page. */
struct page {
    struct op_context *context;
    bool planned_deletion;
    struct op_summary *entries;
    size_t n;
    size_t max;
    size_t scanned;
    size_t arena_end; /* the page is large enough when the arena has given this much */
    uint64_t last_seq;
    bool more;
};

static enum errc check_filters(struct op_context *context, const struct shape_list *filters) {
    const struct list_secrets_filter *items = filters->items;

    for (size_t i = 0; i < filters->n; i++) {
        if (items[i].key == NULL) {
            return err_set(context->err, ERR_INVALID_PARAMETER, "Invalid filter key");
        }
        if (!items[i].values.present) {
            return err_set(context->err, ERR_INVALID_PARAMETER, "Invalid filter values for key: %s",
                           items[i].key);
        }
    }
    return OK;
}

static enum errc check_members(struct op_context *context, const struct list_secrets_in *in) {
    enum errc rc = check_filters(context, &in->filters);

    if (rc != OK) {
        return rc;
    }
    if (in->filters.n > 0) {
        return err_set(context->err, ERR_NOT_IMPLEMENTED,
                       "ListSecrets does not implement Filters yet.");
    }
    if (in->sort_order != NULL && strcmp(in->sort_order, "asc") != 0) {
        return err_set(context->err, ERR_NOT_IMPLEMENTED,
                       "ListSecrets does not implement SortOrder %s yet.", in->sort_order);
    }
    if (in->sort_by != NULL && strcmp(in->sort_by, "created-date") != 0) {
        return err_set(context->err, ERR_NOT_IMPLEMENTED,
                       "ListSecrets does not implement SortBy %s yet.", in->sort_by);
    }
    return OK;
}

/* One secret of the walk. Stops in front of the first that does not belong to this page, so that a
 * NextToken always has something to go on to. */
static bool page_secret(void *arg, const Redoubt__Secret *secret) {
    struct page *page = arg;

    if (page->scanned == LIMIT_LIST_SCAN) {
        page->more = true;
        return false;
    }
    page->scanned++;
    if (page->planned_deletion || !secret->has_deletion_ms) {
        if (page->n == page->max || page->context->arena->used >= page->arena_end) {
            page->more = true;
            return false;
        }
        if (op_summary(page->context, secret, &page->entries[page->n++]) != OK) {
            return false;
        }
    }
    page->last_seq = secret->created_seq;
    return !page->context->arena->failed;
}

/* A primary with replicas names itself. Behind the walk: one cursor at a time. */
static enum errc add_primary_regions(struct page *page) {
    struct op_context *context = page->context;

    for (size_t i = 0; i < page->n; i++) {
        struct op_summary *entry = &page->entries[i];
        struct view_links links;
        enum errc rc;

        if (entry->primary_region != NULL) {
            continue;
        }
        rc = view_links(context->view, context->identity->account, entry->name, &links);
        if (rc != OK) {
            return err_default(context->err, rc);
        }
        if (links.n > 0) {
            entry->primary_region = context->region;
        }
        view_links_free(&links);
    }
    return OK;
}

static enum errc walk(struct page *page, uint64_t after_seq) {
    struct op_context *context = page->context;
    enum errc rc;

    page->entries = arena_alloc(context->arena, page->max * sizeof(page->entries[0]));
    if (page->entries == NULL) {
        return op_no_memory(context);
    }
    page->last_seq = after_seq;
    page->arena_end = context->arena->used + LIMIT_LIST_BYTES;
    rc = view_each_secret(context->view, context->identity->account, after_seq, page_secret, page);
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    return context->arena->failed ? op_no_memory(context) : add_primary_regions(page);
}

static enum errc list(struct op_context *context, const void *in_any, void *out_any) {
    const struct list_secrets_in *in = in_any;
    struct list_secrets_out *out = out_any;
    struct page page = {
        .context = context,
        .planned_deletion = in->planned_deletion.value,
        .max = in->max_results.present ? (size_t)in->max_results.value : LIMIT_LIST_PAGE,
    };
    const struct next_token_scope scope = {
        .operation = "ListSecrets",
        .account = context->identity->account,
        .region = context->region,
        .query = page.planned_deletion ? "order=created,asc;deleted=shown"
                                       : "order=created,asc;deleted=hidden",
    };
    uint64_t after_seq = 0;
    enum errc rc = check_members(context, in);

    if (rc == OK && in->next_token != NULL) {
        rc = next_token_open(context->keyring, &scope, in->next_token, &after_seq, context->err);
    }
    if (rc == OK) {
        rc = walk(&page, after_seq);
    }
    if (rc != OK) {
        return rc;
    }
    out->secrets = (struct shape_list){.present = true, .items = page.entries, .n = page.n};
    if (page.more) {
        char token[NEXT_TOKEN_TEXT];

        next_token_seal(context->keyring, &scope, page.last_seq, token);
        out->next_token = arena_strdup(context->arena, token);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
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
