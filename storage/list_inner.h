/* What the files behind view_list share. Not for other folders. */
#ifndef STORAGE_LIST_INNER_H
#define STORAGE_LIST_INNER_H

#include "storage/index.h"
#include "storage/postings.h"

struct list {
    const struct view *view;
    const char *account;
    const struct list_query *query;
    struct list_position after;
    bool (*each)(void *arg, const Redoubt__Secret *secret);
    void *arg;
    bool wants_more;
    /* What may still be spent without calling back. At 0 a walk either ends, or it calls back at
       short distances, be they what they may: so the caller, who counts, ends it. */
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

/* Whom a walk calls back: those in `seqs` (rising), or else those among `postings`. */
struct sieve {
    struct postings *postings;
    const uint64_t *seqs;
    size_t n;
};
enum walk_manner {
    WALK_TO_THE_END,
    WALK_WHILE_CHEAP, /* ends when the effort is spent; list->after says where */
    WALK_IF_DENSE,    /* the same; and nobody is called back if few pass in the first stretch */
};
/* *ret_is_done: the list is at its end, or the callback has had enough. */
MUSTCHECK enum errc list_walk_sieved(struct list *list, const struct range *range,
                                     const struct sieve *sieve, enum walk_manner manner,
                                     bool *ret_is_done);

#endif
