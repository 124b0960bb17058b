/* One page of a list of secrets: the walk, what ends it, and the NextToken that goes on behind it.
 *
 * A page ends when it is full (`max`), has grown large (LIMIT_LIST_BYTES of the arena), or has
 * passed over many secrets that are not to be shown (LIMIT_LIST_SCAN): it may be empty and have a
 * NextToken. Worker threads. */
#ifndef API_LIST_PAGE_H
#define API_LIST_PAGE_H

#include "api/list_filters.h"
#include "api/op.h"

/* What is listed. Everything in it but `max` binds the NextToken. */
struct list_page {
    const char *operation;
    struct list_filters filters;
    enum list_order order;
    bool descending;
    bool planned_deletion; /* those too that are scheduled for deletion */
    size_t max;
};

/* A secret of the page, in order; borrowed. An error ends the walk. */
typedef enum errc list_page_fn(void *arg, const Redoubt__Secret *secret);

/* From behind `next_token` (NULL: from the start). *ret_next_token: of the next page, in the arena;
 * NULL: there is none. ERR_INVALID_NEXT_TOKEN; what `show` returns. */
MUSTCHECK enum errc list_page_walk(struct op_context *context, struct list_page *page,
                                   const char *next_token, list_page_fn *show, void *arg,
                                   const char **ret_next_token);

#endif
