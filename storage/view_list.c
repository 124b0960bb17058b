/* Lists of view.h. Ways to a page, by what it costs:
 *
 * 1. By creation: posting lists are in that order; they are walked from the position on.
 * 2. Few secrets left by the clauses: their keys in the order are read, sorted, and called back.
 * 3. Otherwise the rows of the order are walked, and those that the clauses leave are called back:
 *    told by a set in memory where they are sparse, by looking them up where they are dense.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "storage/list_inner.h"

enum {
    /* Once the effort is spent: between two secrets that are called back. */
    PATIENCE_MIN = 64,
    /* Secrets that are collected before anything else is tried. */
    FEW = 1000,
    /* Of search for candidates, a candidate: two or three lists that are walked at once. */
    EFFORT_A_CANDIDATE = 3,
    /* Sorting n of an account's N secrets reads n rows; walking meets a page of them after 100 N/n
       rows, at a twentieth of the cost each: equal where n * n is this many times N. */
    SORT_WEIGHT = 5,
};

void list_position_of(enum list_order order, const Redoubt__Secret *secret,
                      struct list_position *ret) {
    *ret = (struct list_position){.is_set = true};
    switch (order) {
    case LIST_BY_CREATED:
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_CHANGED:
        ret->when = secret->has_changed_ms ? secret->changed_ms : 0;
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_ACCESSED:
        ret->when = secret->has_last_accessed_day ? secret->last_accessed_day : INT64_MIN;
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_NAME:
        (void)snprintf(ret->name, sizeof(ret->name), "%s", secret->name);
        break;
    }
}

/* ---- one secret ---- */

void list_spend(struct list *list, uint64_t effort) {
    list->effort_left = list->effort_left > effort ? list->effort_left - effort : 0;
}

enum errc list_give_named(struct list *list, const char *name) {
    Redoubt__Secret *secret = NULL;
    enum errc code = view_secret(list->view, list->account, name, &secret);

    if (code != OK) {
        return code;
    }
    if (secret == NULL) {
        return ERR_CORRUPT;
    }
    list->wants_more = list->each(list->arg, secret);
    redoubt__secret__free_unpacked(secret, NULL);
    return OK;
}

enum errc list_secret_row(const struct list *list, uint64_t seq, struct index_secret *ret) {
    bool found = false;
    enum errc code = index_find(list->view, list->account, seq, ret, &found);

    return code == OK && !found ? ERR_CORRUPT : code;
}

enum errc list_give(struct list *list, uint64_t seq) {
    struct index_secret row;
    enum errc code = list_secret_row(list, seq, &row);

    return code == OK ? list_give_named(list, row.name) : code;
}

/* ---- 1: by creation ---- */

/* The first number behind the position; false: nothing can be. */
static bool first_seq(const struct list *list, uint64_t *ret) {
    uint64_t last = list->query->descending ? 0 : UINT64_MAX;

    if (!list->after->is_set) {
        *ret = UINT64_MAX - last;
        return true;
    }
    if (list->after->seq == last) {
        return false;
    }
    *ret = list->query->descending ? list->after->seq - 1 : list->after->seq + 1;
    return true;
}

static bool next_candidate(struct list *list, struct postings *postings, uint64_t *seq) {
    uint64_t before = postings_effort(postings);
    uint64_t patience = list->effort_left > PATIENCE_MIN ? list->effort_left : PATIENCE_MIN;
    bool found = postings_seek(postings, seq, patience);

    list_spend(list, postings_effort(postings) - before);
    return found;
}

static enum errc walk_postings(struct list *list, struct postings *postings) {
    uint64_t last = list->query->descending ? 0 : UINT64_MAX;
    enum errc code = OK;
    uint64_t seq;

    if (!first_seq(list, &seq)) {
        return OK;
    }
    while (code == OK && next_candidate(list, postings, &seq)) {
        code = list_give(list, seq);
        if (!list->wants_more || seq == last) {
            break;
        }
        seq = list->query->descending ? seq - 1 : seq + 1;
    }
    return code;
}

/* ---- 2: sorted ---- */

/* What a secret is sorted by, and where it is found. */
struct place {
    int64_t when;
    uint64_t seq;
    const char *name;
};

static int place_compare(enum list_order order, const struct place *a, const struct place *b) {
    if (order == LIST_BY_NAME) {
        return strcmp(a->name, b->name);
    }
    if (a->when != b->when) {
        return a->when < b->when ? -1 : 1;
    }
    return a->seq == b->seq ? 0 : a->seq < b->seq ? -1 : 1;
}

static int compare_by_when(const void *a, const void *b) {
    return place_compare(LIST_BY_CHANGED, a, b);
}

static int compare_by_name(const void *a, const void *b) {
    return place_compare(LIST_BY_NAME, a, b);
}

static bool is_behind_position(const struct list *list, const struct place *place) {
    const struct list_position *after = list->after;
    const struct place last = {.when = after->when, .seq = after->seq, .name = after->name};
    int side;

    if (!after->is_set) {
        return true;
    }
    side = place_compare(list->query->order, place, &last);
    return list->query->descending ? side < 0 : side > 0;
}

/* Names are owned; free them, also after a failure. */
static enum errc read_places(const struct list *list, const uint64_t *seqs, size_t n,
                             struct place *places) {
    enum errc code = OK;

    for (size_t i = 0; code == OK && i < n; i++) {
        struct index_secret row;
        code = list_secret_row(list, seqs[i], &row);
        if (code == OK) {
            places[i].when =
                list->query->order == LIST_BY_ACCESSED ? row.accessed_day : row.changed_ms;
            places[i].seq = seqs[i];
            places[i].name = strdup(row.name);
            code = places[i].name != NULL ? OK : ERR_NO_MEMORY;
        }
    }
    return code;
}

static enum errc walk_sorted(struct list *list, const uint64_t *seqs, size_t n) {
    struct place *places = calloc(n > 0 ? n : 1, sizeof(*places));
    enum errc code = places != NULL ? read_places(list, seqs, n, places) : ERR_NO_MEMORY;

    if (code == OK) {
        qsort(places, n, sizeof(*places),
              list->query->order == LIST_BY_NAME ? compare_by_name : compare_by_when);
    }
    for (size_t i = 0; code == OK && list->wants_more && i < n; i++) {
        const struct place *place = &places[list->query->descending ? n - 1 - i : i];
        if (is_behind_position(list, place)) {
            code = list_give_named(list, place->name);
        }
    }
    for (size_t i = 0; places != NULL && i < n; i++) {
        free((char *)(uintptr_t)places[i].name);
    }
    free(places);
    return code;
}

/* ---- which way ---- */

/* What the clauses leave, in order of creation; *ret NULL (owned, free) if it is more than `most`,
 * or too much to search for. */
static enum errc collect(struct list *list, struct postings *postings, size_t most, uint64_t **ret,
                         size_t *ret_n) {
    uint64_t *seqs = calloc(most, sizeof(*seqs));
    uint64_t before = postings_effort(postings);
    uint64_t limit = before + EFFORT_A_CANDIDATE * most;
    uint64_t seq = 0;
    bool is_complete = true;
    size_t n = 0;

    *ret = NULL;
    if (seqs == NULL) {
        return ERR_NO_MEMORY;
    }
    postings_rewind(postings);
    while (is_complete && postings_seek(postings, &seq, EFFORT_A_CANDIDATE * most)) {
        is_complete = n < most && postings_effort(postings) <= limit;
        if (is_complete) {
            seqs[n++] = seq;
        }
        if (seq++ == UINT64_MAX) {
            break;
        }
    }
    list_spend(list, postings_effort(postings) - before);
    if (is_complete) {
        *ret = seqs;
        *ret_n = n;
    } else {
        free(seqs);
    }
    return OK;
}

static enum errc walk_collected(struct list *list, const struct range *range, const uint64_t *seqs,
                                size_t n) {
    const struct sieve sieve = {.seqs = seqs, .n = n};
    uint64_t total = 0;
    enum errc code = view_secret_count(list->view, list->account, &total);

    if (code == OK && n * n < SORT_WEIGHT * total) {
        code = walk_sorted(list, seqs, n);
    } else if (code == OK) {
        code = list_walk_sieved(list, range, &sieve, NULL);
    }
    return code;
}

static enum errc walk_by_other_order(struct list *list, struct postings *postings,
                                     const struct range *range) {
    const struct sieve sieve = {.postings = postings};
    bool is_sparse = false;
    uint64_t *seqs = NULL;
    size_t n = 0;
    enum errc code = collect(list, postings, FEW, &seqs, &n);

    if (code == OK && seqs == NULL) {
        code = list_walk_sieved(list, range, &sieve, &is_sparse);
        if (code != OK || !is_sparse) {
            return code;
        }
        code = collect(list, postings, LIMIT_LIST_CANDIDATES, &seqs, &n);
    }
    if (code == OK && seqs != NULL) {
        code = walk_collected(list, range, seqs, n);
    } else if (code == OK) {
        code = list_walk_sieved(list, range, &sieve, NULL);
    }
    free(seqs);
    return code;
}

static enum errc walk(struct list *list) {
    const struct list_query *query = list->query;
    struct postings *postings = NULL;
    struct range range;
    bool is_all;
    enum errc code = OK;
    enum errc end_code;

    if (!list_range(list, &range, &is_all)) {
        return OK;
    }
    /* A transaction's own terms are not in the index yet: all, and the caller decides. */
    if (!is_all && list->view->batch == NULL) {
        code = postings_open(list->view, list->account, query->clauses, query->n_clauses,
                             query->order == LIST_BY_CREATED && query->descending, &postings);
    }
    if (code == OK && postings == NULL) {
        return list_walk(list, &range);
    }
    if (code == OK && query->order == LIST_BY_CREATED) {
        code = walk_postings(list, postings);
    } else if (code == OK) {
        code = walk_by_other_order(list, postings, &range);
    }
    end_code = postings_close(postings);
    return code == OK ? end_code : code;
}

enum errc view_list(const struct view *view, const char *account, const struct list_query *query,
                    const struct list_position *after,
                    bool (*each)(void *arg, const Redoubt__Secret *secret), void *arg) {
    struct list list = {
        .view = view,
        .account = account,
        .query = query,
        .after = after,
        .each = each,
        .arg = arg,
        .wants_more = true,
        .effort_left = LIMIT_LIST_EFFORT,
    };

    return view_outcome(view, walk(&list), "listing secrets");
}
