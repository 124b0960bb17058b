/* What the files behind view_list share. Not for other folders. */
#ifndef STORAGE_LIST_INNER_H
#define STORAGE_LIST_INNER_H

#include "storage/index.h"
#include "storage/postings.h"

struct list {
    const struct view *view;
    const char *account;
    const struct list_query *query;
    const struct list_position *after;
    bool (*each)(void *arg, const Redoubt__Secret *secret);
    void *arg;
    bool wants_more;
    /* What may still be spent without calling back (LIMIT_LIST_EFFORT at first). At 0 the walk
       calls back at short distances, be they what they may: so the caller, who counts, ends it. */
    uint64_t effort_left;
};

void list_spend(struct list *list, uint64_t effort);
/* The secret goes to the callback. A row without its secret is damage: ERR_CORRUPT. */
MUSTCHECK enum errc list_give(struct list *list, uint64_t seq);
MUSTCHECK enum errc list_give_named(struct list *list, const char *name);
/* The row of a secret that must be there. */
MUSTCHECK enum errc list_secret_row(const struct list *list, uint64_t seq,
                                    struct index_secret *ret);

/* --- Along the rows of the order (list_rows.c) --- */

/* Where the rows of the order are; by name, those of the longest prefix that a clause demands.
 * *ret_is_all: no clause says more than the range does. False: nothing can be there. */
struct range {
    enum family family;
    struct key prefix;
};
MUSTCHECK bool list_range(const struct list *list, struct range *ret, bool *ret_is_all);

/* All of them, from the position on. */
MUSTCHECK enum errc list_walk(struct list *list, const struct range *range);

/* Those that are in `seqs` (rising), or else among `postings`. With `ret_is_sparse`, a first
 * stretch is looked at, and if there are few of them in it, *ret_is_sparse is true and nobody has
 * been called back. */
struct sieve {
    struct postings *postings;
    const uint64_t *seqs;
    size_t n;
};
MUSTCHECK enum errc list_walk_sieved(struct list *list, const struct range *range,
                                     const struct sieve *sieve, bool *ret_is_sparse);

#endif
