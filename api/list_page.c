#include "api/list_page.h"

#include "api/next_token.h"
#include "api/op_support.h"

struct walk {
    struct op_context *context;
    struct list_page *page;
    list_page_fn *show;
    void *arg;
    size_t shown;
    size_t scanned;
    size_t arena_end;          /* the page is large enough when the arena has given this much */
    struct list_position last; /* that was looked at */
    bool more;
    enum errc code;
};

/* Stops in front of the first that does not belong to this page, so that a NextToken always has
 * something to go on to. */
static bool walk_secret(void *arg, const Redoubt__Secret *secret) {
    struct walk *walk = arg;
    struct list_page *page = walk->page;
    bool is_shown = page->planned_deletion || !secret->has_deletion_ms;

    if (walk->scanned == LIMIT_LIST_SCAN) {
        walk->more = true;
        return false;
    }
    walk->scanned++;
    if (is_shown) {
        walk->code = list_filters_match(walk->context, &page->filters, secret, &is_shown);
    }
    if (walk->code == OK && is_shown) {
        if (walk->shown == page->max || walk->context->arena->used >= walk->arena_end) {
            walk->more = true;
            return false;
        }
        walk->shown++;
        walk->code = walk->show(walk->arg, secret);
    }
    list_position_of(page->order, secret, &walk->last);
    return walk->code == OK;
}

static const char *query_text(struct op_context *context, const struct list_page *page) {
    return arena_printf(context->arena, "order=%d,%s;deleted=%s;filters=%s", (int)page->order,
                        page->descending ? "desc" : "asc",
                        page->planned_deletion ? "shown" : "hidden", page->filters.text);
}

enum errc list_page_walk(struct op_context *context, struct list_page *page, const char *next_token,
                         list_page_fn *show, void *arg, const char **ret_next_token) {
    const struct list_query query = {
        .order = page->order,
        .descending = page->descending,
        .clauses = page->filters.clauses,
        .n_clauses = page->filters.n_clauses,
    };
    const struct next_token_scope scope = {
        .operation = page->operation,
        .account = context->identity->account,
        .region = context->region,
        .query = query_text(context, page),
    };
    struct list_position after = {.is_set = false};
    struct walk walk = {.context = context,
                        .page = page,
                        .show = show,
                        .arg = arg,
                        .arena_end = context->arena->used + LIMIT_LIST_BYTES};
    char token[NEXT_TOKEN_TEXT];
    enum errc rc = OK;

    *ret_next_token = NULL;
    if (scope.query == NULL) {
        return op_no_memory(context);
    }
    if (next_token != NULL) {
        rc = next_token_open(context->keyring, &scope, next_token, &after, context->err);
    }
    if (rc != OK || page->filters.finds_nothing) {
        return rc;
    }
    walk.last = after;
    rc = view_list(context->view, scope.account, &query, &after, walk_secret, &walk);
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    if (walk.code == OK && walk.more) {
        next_token_seal(context->keyring, &scope, &walk.last, token);
        *ret_next_token = arena_strdup(context->arena, token);
        return *ret_next_token == NULL ? op_no_memory(context) : OK;
    }
    return walk.code;
}
