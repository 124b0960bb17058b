/* Lists of view.h. Three ways to a page, by what it costs:
 *
 * 1. By creation: posting lists are in that order; they are walked from the position on.
 * 2. Few secrets left by the clauses: their keys in the order are read, sorted, and called back.
 * 3. Otherwise the rows of the order are walked, and those that the clauses leave are called back.
 *
 * A walk that meets none for a while calls back one that need not satisfy the clauses: so the
 * caller, who counts, ends it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "storage/index.h"
#include "storage/postings.h"
#include "storage/view.h"
#include "storage/view_inner.h"

enum {
    /* Effort between two secrets that are called back: some three times that of reading one. */
    PATIENCE = 64,
    COLLECT_EFFORT = 3 * LIMIT_LIST_CANDIDATES,
    /* Sorting n of an account's N secrets reads n rows; walking meets a page of them after 100 N/n
       rows, at a twentieth of the cost each: equal where n * n is this many times N. */
    SORT_WEIGHT = 5,
};

struct list {
    const struct view *view;
    const char *account;
    const struct list_query *query;
    const struct list_position *after;
    bool (*each)(void *arg, const Redoubt__Secret *secret);
    void *arg;
    bool wants_more;
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

/* A row without its secret is damage. */
static enum errc give_named(struct list *list, const char *name) {
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

static enum errc read_row(const struct list *list, uint64_t seq, struct index_secret *ret) {
    bool found = false;
    enum errc code = index_find(list->view, list->account, seq, ret, &found);

    return code == OK && !found ? ERR_CORRUPT : code;
}

static enum errc give(struct list *list, uint64_t seq) {
    struct index_secret row;
    enum errc code = read_row(list, seq, &row);

    return code == OK ? give_named(list, row.name) : code;
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

static enum errc walk_postings(struct list *list, struct postings *postings) {
    uint64_t last = list->query->descending ? 0 : UINT64_MAX;
    enum errc code = OK;
    uint64_t seq;

    if (!first_seq(list, &seq)) {
        return OK;
    }
    while (code == OK && postings_seek(postings, &seq, PATIENCE)) {
        code = give(list, seq);
        if (!list->wants_more || seq == last) {
            break;
        }
        seq = list->query->descending ? seq - 1 : seq + 1;
    }
    return code;
}

/* ---- places in an order ---- */

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

/* ---- 2: sorted ---- */

static int compare_by_when(const void *a, const void *b) {
    return place_compare(LIST_BY_CHANGED, a, b);
}

static int compare_by_name(const void *a, const void *b) {
    return place_compare(LIST_BY_NAME, a, b);
}

/* Names are owned; free them, also after a failure. */
static enum errc read_places(const struct list *list, const uint64_t *seqs, size_t n,
                             struct place *places) {
    enum errc code = OK;

    for (size_t i = 0; code == OK && i < n; i++) {
        struct index_secret row;
        code = read_row(list, seqs[i], &row);
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
            code = give_named(list, place->name);
        }
    }
    for (size_t i = 0; places != NULL && i < n; i++) {
        free((char *)(uintptr_t)places[i].name);
    }
    free(places);
    return code;
}

/* ---- 3: along the rows of the order ---- */

/* Whom a walk calls back: those in `seqs` (rising), or those that `postings` has, or all. */
struct sieve {
    struct postings *postings;
    const uint64_t *seqs;
    size_t n;
    uint64_t effort; /* since the last one */
};

static int seq_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

static bool sieve_passes(struct sieve *sieve, uint64_t seq) {
    bool passes = true;

    if (sieve->seqs != NULL) {
        passes = bsearch(&seq, sieve->seqs, sieve->n, sizeof(seq), seq_compare) != NULL;
    } else if (sieve->postings != NULL) {
        uint64_t before = postings_effort(sieve->postings);
        passes = postings_has(sieve->postings, seq);
        sieve->effort += postings_effort(sieve->postings) - before;
    }
    sieve->effort += EFFORT_STEP;
    if (passes || sieve->effort > PATIENCE) {
        sieve->effort = 0;
        return true;
    }
    return false;
}

/* A row of the order's own list. */
static enum errc give_row(struct list *list, struct sieve *sieve, const uint8_t *key,
                          size_t key_len, const uint8_t *value, size_t value_len) {
    char name[LIMIT_NAME + 1];
    struct index_secret row;
    uint64_t seq;

    switch (list->query->order) {
    case LIST_BY_NAME:
        if (key_len - 1 - LIMIT_ACCOUNT > LIMIT_NAME || value_len != sizeof(seq)) {
            return ERR_CORRUPT;
        }
        if (!sieve_passes(sieve, get_le64(value))) {
            return OK;
        }
        memcpy(name, key + 1 + LIMIT_ACCOUNT, key_len - 1 - LIMIT_ACCOUNT);
        name[key_len - 1 - LIMIT_ACCOUNT] = '\0';
        return give_named(list, name);
    case LIST_BY_CREATED:
        if (!index_secret_decode(value, value_len, &row)) {
            return ERR_CORRUPT;
        }
        return give_named(list, row.name);
    case LIST_BY_CHANGED:
    case LIST_BY_ACCESSED:
        break;
    }
    if (!index_key_seq(key, key_len, &seq)) {
        return ERR_CORRUPT;
    }
    return sieve_passes(sieve, seq) ? give(list, seq) : OK;
}

/* The row of the position in the order's list. */
static bool position_key(const struct list *list, struct key *ret) {
    const struct list_position *after = list->after;

    switch (list->query->order) {
    case LIST_BY_CREATED:
        return index_key_secret(ret, list->account, after->seq);
    case LIST_BY_CHANGED:
        return index_key_when(ret, INDEX_SPACE_CHANGED, list->account, after->when, after->seq);
    case LIST_BY_ACCESSED:
        return index_key_when(ret, INDEX_SPACE_ACCESSED, list->account, after->when, after->seq);
    case LIST_BY_NAME:
        break;
    }
    return index_key_name(ret, list->account, after->name);
}

/* Where the walk of a range begins: at the row of the position, or at the range's own begin. False:
 * the range lies behind. */
static bool walk_begin(const struct list *list, const struct key *range, struct key *ret_from,
                       bool *ret_has_from) {
    size_t len;
    int side;

    *ret_has_from = false;
    if (!list->after->is_set) {
        return true;
    }
    if (!position_key(list, ret_from)) {
        return false;
    }
    len = ret_from->len < range->len ? ret_from->len : range->len;
    side = memcmp(ret_from->data, range->data, len);
    if (side == 0 && ret_from->len >= range->len) {
        *ret_has_from = true;
        return true;
    }
    return side > 0 ? list->query->descending : !list->query->descending;
}

static enum errc walk_rows(struct list *list, struct sieve *sieve, const struct key *range) {
    struct key from;
    bool has_from;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;
    enum errc end_code;

    if (!walk_begin(list, range, &from, &has_from)) {
        return OK;
    }
    scan_begin_in(&scan, list->view, FAMILY_INDEX, range, has_from ? &from : NULL,
                  list->query->descending);
    for (; code == OK && list->wants_more && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        if (!has_from || key_len != from.len || memcmp(key, from.data, key_len) != 0) {
            code = give_row(list, sieve, key, key_len, value, len);
        }
    }
    end_code = scan_end(&scan);
    return code == OK ? end_code : code;
}

/* The prefix of a clause that wants nothing but names that begin with it; NULL: another clause. */
static const char *clause_name(const struct list_clause *clause) {
    if (clause->n != 1 || clause->any[0].n != 1 || clause->any[0].terms[0].field != LIST_NAME) {
        return NULL;
    }
    return clause->any[0].terms[0].prefix;
}

/* All rows of the order; by name, those of the longest prefix that a clause demands. *ret_is_all:
 * no clause says more than the range does. False: nothing can be in it. */
static bool range_of(const struct list *list, struct key *ret, bool *ret_is_all) {
    static const enum index_space spaces[] = {
        [LIST_BY_CREATED] = INDEX_SPACE_SECRET,
        [LIST_BY_CHANGED] = INDEX_SPACE_CHANGED,
        [LIST_BY_ACCESSED] = INDEX_SPACE_ACCESSED,
        [LIST_BY_NAME] = INDEX_SPACE_NAME,
    };
    const struct list_query *query = list->query;
    const char *longest = "";

    *ret_is_all = true;
    for (size_t i = 0; query->order == LIST_BY_NAME && i < query->n_clauses; i++) {
        const char *prefix = clause_name(&query->clauses[i]);
        if (prefix != NULL && strlen(prefix) > strlen(longest)) {
            longest = prefix;
        }
    }
    for (size_t i = 0; i < query->n_clauses; i++) {
        const char *prefix = clause_name(&query->clauses[i]);
        if (prefix == NULL || strncmp(prefix, longest, strlen(prefix)) != 0) {
            *ret_is_all = false;
        }
    }
    if (longest[0] != '\0') {
        return index_key_name_prefix(ret, list->account, longest);
    }
    return index_key_prefix(ret, spaces[query->order], list->account);
}

/* ---- which way ---- */

/* What the clauses leave, in order of creation; *ret NULL (owned, free) if it is too much. */
static enum errc collect(struct postings *postings, uint64_t **ret, size_t *ret_n) {
    uint64_t *seqs = calloc(LIMIT_LIST_CANDIDATES, sizeof(*seqs));
    uint64_t seq = 0;
    size_t n = 0;

    *ret = NULL;
    if (seqs == NULL) {
        return ERR_NO_MEMORY;
    }
    while (postings_seek(postings, &seq, COLLECT_EFFORT)) {
        if (n == LIMIT_LIST_CANDIDATES || postings_effort(postings) > COLLECT_EFFORT) {
            free(seqs);
            return OK;
        }
        seqs[n++] = seq;
        if (seq++ == UINT64_MAX) {
            break;
        }
    }
    *ret = seqs;
    *ret_n = n;
    return OK;
}

static enum errc walk_by_other_order(struct list *list, struct postings *postings,
                                     const struct key *range) {
    struct sieve sieve = {.postings = postings};
    uint64_t *seqs = NULL;
    uint64_t total = 0;
    size_t n = 0;
    enum errc code = collect(postings, &seqs, &n);

    if (code == OK && seqs != NULL) {
        code = view_secret_count(list->view, list->account, &total);
    }
    if (code == OK && seqs != NULL && n * n < SORT_WEIGHT * total) {
        code = walk_sorted(list, seqs, n);
    } else if (code == OK) {
        sieve.seqs = seqs;
        sieve.n = n;
        code = walk_rows(list, &sieve, range);
    }
    free(seqs);
    return code;
}

static enum errc walk(struct list *list) {
    const struct list_query *query = list->query;
    struct sieve all = {.postings = NULL};
    struct postings *postings = NULL;
    struct key range;
    bool is_all;
    enum errc code = OK;
    enum errc end_code;

    if (!range_of(list, &range, &is_all)) {
        return OK;
    }
    /* A transaction's own terms are not in the index yet: all, and the caller decides. */
    if (!is_all && list->view->batch == NULL) {
        code = postings_open(list->view, list->account, query->clauses, query->n_clauses,
                             query->order == LIST_BY_CREATED && query->descending, &postings);
    }
    if (code == OK && postings == NULL) {
        return walk_rows(list, &all, &range);
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
    };

    return view_outcome(view, walk(&list), "listing secrets");
}
