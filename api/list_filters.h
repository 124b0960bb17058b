/* The member Filters of ListSecrets and BatchGetSecretValue: its shape, its errors, and what comes
 * of it: a query that finds the candidates, a decision on each of them, and a text that binds a
 * NextToken to it.
 *
 * Everything lives in the request's arena. Worker threads. */
#ifndef API_LIST_FILTERS_H
#define API_LIST_FILTERS_H

#include "api/op.h"
#include "api/shape.h"
#include "base/limits.h"
#include "model/filter.h"

#define LIST_FILTER(X)                                                                             \
    X(STR, key, "Key", F_NONE, 0, SHAPE_NO_MAX, &list_filter_key_rule)                             \
    X(STRS, values, "Values", F_NONE, 1, LIMIT_FILTERS, &list_filter_value_rule)

DECLARE_SHAPE_STRUCT(list_filter, LIST_FILTER)

extern const struct str_rule list_filter_key_rule;
extern const struct str_rule list_filter_value_rule;
extern const struct shape list_filter_shape;

struct list_filters {
    struct filter *items; /* those on the primary region last: they cost a read each */
    size_t n;
    size_t n_plain; /* that are not on the primary region */
    const char *text;
    struct list_clause *clauses;
    size_t n_clauses;
    bool finds_nothing; /* whatever the secrets are */
    /* Room for the tags of a secret; grows. */
    const char **tag_keys;
    const char **tag_values;
    size_t tag_room;
};

/* `filters`: a list of struct list_filter. ERR_INVALID_PARAMETER: one without key or values. */
MUSTCHECK enum errc list_filters_in(struct op_context *context, const struct shape_list *filters,
                                    struct list_filters *ret);
/* Does this secret satisfy them all? */
MUSTCHECK enum errc list_filters_match(struct op_context *context, struct list_filters *filters,
                                       const Redoubt__Secret *secret, bool *ret);

/* What PrimaryRegion shows of a secret: of a replica its primary's region, of a secret that has
 * replicas this one; NULL of any other. Borrowed from the secret or the context. */
MUSTCHECK enum errc list_primary_region(struct op_context *context, const Redoubt__Secret *secret,
                                        const char **ret);

#endif
