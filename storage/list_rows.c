/* Lists along the rows of their order.
 *
 * What the clauses leave is not in this order. So the rows are read in stretches; the numbers of a
 * stretch are sorted and looked up in the posting lists in one pass over these, which costs a tenth
 * of as many point reads. */
#include "storage/list_inner.h"

#include "base/bytes.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    STRETCH_FIRST = 256,
    STRETCH_MAX = 4096,
    /* As many of the first stretch, and a page is found within some thousands of rows. */
    DENSE = 6,
    /* For one lookup: who is further away is not there. */
    LOOKUP_PATIENCE = 64,
    /* Rows between two secrets that are called back, once the effort is spent. */
    SILENCE_MAX = 16,
};

/* ---- ranges ---- */

/* The prefix of a clause that wants nothing but names that begin with it; NULL: another clause. */
static const char *clause_name(const struct list_clause *clause) {
    if (clause->n != 1 || clause->any[0].n != 1 || clause->any[0].terms[0].field != LIST_NAME) {
        return NULL;
    }
    return clause->any[0].terms[0].prefix;
}

static const char *longest_name(const struct list_query *query) {
    const char *longest = "";

    for (size_t i = 0; query->order == LIST_BY_NAME && i < query->n_clauses; i++) {
        const char *prefix = clause_name(&query->clauses[i]);
        if (prefix != NULL && strlen(prefix) > strlen(longest)) {
            longest = prefix;
        }
    }
    return longest;
}

bool list_range(const struct list *list, struct range *ret, bool *ret_is_all) {
    const struct list_query *query = list->query;
    const char *longest = longest_name(query);

    *ret_is_all = true;
    for (size_t i = 0; i < query->n_clauses; i++) {
        const char *prefix = clause_name(&query->clauses[i]);
        if (prefix == NULL || strncmp(prefix, longest, strlen(prefix)) != 0) {
            *ret_is_all = false;
        }
    }
    ret->family = FAMILY_INDEX;
    switch (query->order) {
    case LIST_BY_CREATED:
        ret->family = FAMILY_STATE; /* rows that no change of a secret writes again */
        return key_order_prefix(&ret->prefix, list->account);
    case LIST_BY_CHANGED:
        return index_key_prefix(&ret->prefix, INDEX_SPACE_CHANGED, list->account);
    case LIST_BY_ACCESSED:
        return index_key_prefix(&ret->prefix, INDEX_SPACE_ACCESSED, list->account);
    case LIST_BY_NAME:
        break;
    }
    return index_key_name_prefix(&ret->prefix, list->account, longest);
}

/* The row of the position in the order's list. */
static bool position_key(const struct list *list, struct key *ret) {
    const struct list_position *after = list->after;

    switch (list->query->order) {
    case LIST_BY_CREATED:
        return key_order(ret, list->account, after->seq);
    case LIST_BY_CHANGED:
        return index_key_when(ret, INDEX_SPACE_CHANGED, list->account, after->when, after->seq);
    case LIST_BY_ACCESSED:
        return index_key_when(ret, INDEX_SPACE_ACCESSED, list->account, after->when, after->seq);
    case LIST_BY_NAME:
        break;
    }
    return index_key_name(ret, list->account, after->name);
}

/* ---- rows ---- */

struct walk {
    struct list *list;
    struct scan scan;
    struct key from; /* of the position, which is not to be seen again */
    bool has_from;
    bool is_open;
};

/* Where the walk begins: at the row of the position, or at the range's own begin. False: all of the
 * range lies before the position. */
static bool walk_place(struct walk *walk, const struct key *prefix) {
    const struct list *list = walk->list;
    size_t len;
    int side;

    if (!list->after->is_set) {
        return true;
    }
    if (!position_key(list, &walk->from)) {
        return false;
    }
    len = walk->from.len < prefix->len ? walk->from.len : prefix->len;
    side = memcmp(walk->from.data, prefix->data, len);
    if (side == 0 && walk->from.len >= prefix->len) {
        walk->has_from = true;
        return true;
    }
    return side > 0 ? list->query->descending : !list->query->descending;
}

static void walk_begin(struct walk *walk, struct list *list, const struct range *range) {
    walk->list = list;
    walk->has_from = false;
    walk->is_open = walk_place(walk, &range->prefix);
    if (walk->is_open) {
        scan_begin_in(&walk->scan, list->view, range->family, &range->prefix,
                      walk->has_from ? &walk->from : NULL, list->query->descending);
    }
}

static bool walk_get(struct walk *walk, const uint8_t **ret_key, size_t *ret_len) {
    if (!walk->is_open || !scan_get(&walk->scan, ret_key, ret_len)) {
        return false;
    }
    if (walk->has_from && *ret_len == walk->from.len &&
        memcmp(*ret_key, walk->from.data, *ret_len) == 0) {
        scan_next(&walk->scan);
        return scan_get(&walk->scan, ret_key, ret_len);
    }
    return true;
}

static enum errc walk_end(struct walk *walk, enum errc code) {
    enum errc end_code = walk->is_open ? scan_end(&walk->scan) : OK;

    return code == OK ? end_code : code;
}

/* The name in the row that a walk by name, or by creation, stands on. */
static enum errc row_name(struct walk *walk, const uint8_t *key, size_t key_len,
                          char out[LIMIT_NAME + 1]) {
    const uint8_t *name = key + 1 + LIMIT_ACCOUNT;
    size_t len = key_len - 1 - LIMIT_ACCOUNT;
    enum errc code = OK;

    if (walk->list->query->order == LIST_BY_CREATED) {
        size_t value_len;
        const uint8_t *value = scan_value(&walk->scan, &value_len);
        code = record_unpack_bytes(RECORD_ORDER, value, value_len, &name, &len);
    }
    if (code != OK || len > LIMIT_NAME) {
        return code != OK ? code : ERR_CORRUPT;
    }
    memcpy(out, name, len);
    out[len] = '\0';
    return OK;
}

/* The number in the row that a walk in another order than that of creation stands on. */
static enum errc row_seq(struct walk *walk, const uint8_t *key, size_t key_len, uint64_t *ret) {
    size_t len;
    const uint8_t *value;

    if (walk->list->query->order != LIST_BY_NAME) {
        return index_key_seq(key, key_len, ret) ? OK : ERR_CORRUPT;
    }
    value = scan_value(&walk->scan, &len);
    if (len != sizeof(*ret)) {
        return ERR_CORRUPT;
    }
    *ret = get_le64(value);
    return OK;
}

enum errc list_walk(struct list *list, const struct range *range) {
    bool has_names = list->query->order == LIST_BY_NAME || list->query->order == LIST_BY_CREATED;
    struct walk walk;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;

    walk_begin(&walk, list, range);
    while (code == OK && list->wants_more && walk_get(&walk, &key, &key_len)) {
        if (has_names) {
            char name[LIMIT_NAME + 1];
            code = row_name(&walk, key, key_len, name);
            code = code == OK ? list_give_named(list, name) : code;
        } else {
            uint64_t seq;
            code = row_seq(&walk, key, key_len, &seq);
            code = code == OK ? list_give(list, seq) : code;
        }
        scan_next(&walk.scan);
    }
    return walk_end(&walk, code);
}

/* ---- stretches ---- */

struct row {
    uint64_t seq;
    bool passes;
};
struct lookup {
    uint64_t seq;
    size_t at; /* of its row */
};
struct stretch {
    struct row rows[STRETCH_MAX];
    struct lookup lookups[STRETCH_MAX];
    size_t n;
    size_t n_passing;
};

static enum errc stretch_read(struct stretch *stretch, struct walk *walk, size_t most) {
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;

    for (stretch->n = 0; code == OK && stretch->n < most && walk_get(walk, &key, &key_len);) {
        struct row *row = &stretch->rows[stretch->n++];
        row->passes = false;
        code = row_seq(walk, key, key_len, &row->seq);
        scan_next(&walk->scan);
    }
    list_spend(walk->list, stretch->n * EFFORT_STEP);
    return code;
}

static int lookup_compare(const void *a, const void *b) {
    const struct lookup *left = a;
    const struct lookup *right = b;

    return left->seq < right->seq ? -1 : left->seq > right->seq ? 1 : 0;
}

static void stretch_look_up(struct stretch *stretch, struct list *list, struct postings *postings) {
    uint64_t before = postings_effort(postings);
    uint64_t seq = 0;
    bool is_there = true;

    for (size_t i = 0; i < stretch->n; i++) {
        stretch->lookups[i] = (struct lookup){.seq = stretch->rows[i].seq, .at = i};
    }
    qsort(stretch->lookups, stretch->n, sizeof(stretch->lookups[0]), lookup_compare);
    postings_rewind(postings);
    for (size_t i = 0; i < stretch->n && is_there; i++) {
        const struct lookup *lookup = &stretch->lookups[i];
        if (seq < lookup->seq) { /* `seq` is the first of them from the last lookup on */
            seq = lookup->seq;
            is_there = postings_seek(postings, &seq, LOOKUP_PATIENCE);
        }
        stretch->rows[lookup->at].passes = is_there && seq == lookup->seq;
    }
    list_spend(list, postings_effort(postings) - before);
}

static int seq_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

static void stretch_sieve(struct stretch *stretch, struct list *list, const struct sieve *sieve) {
    stretch->n_passing = 0;
    if (sieve->seqs == NULL) {
        stretch_look_up(stretch, list, sieve->postings);
    }
    for (size_t i = 0; i < stretch->n; i++) {
        struct row *row = &stretch->rows[i];
        if (sieve->seqs != NULL) {
            row->passes =
                bsearch(&row->seq, sieve->seqs, sieve->n, sizeof(row->seq), seq_compare) != NULL;
        }
        stretch->n_passing += row->passes ? 1 : 0;
    }
}

/* `silence`: rows since the last one that was called back. */
static enum errc stretch_give(const struct stretch *stretch, struct list *list, size_t *silence) {
    enum errc code = OK;

    for (size_t i = 0; code == OK && list->wants_more && i < stretch->n; i++) {
        bool is_due = list->effort_left == 0 && *silence >= SILENCE_MAX;
        ++*silence;
        if (stretch->rows[i].passes || is_due) {
            code = list_give(list, stretch->rows[i].seq);
            *silence = 0;
        }
    }
    return code;
}

enum errc list_walk_sieved(struct list *list, const struct range *range, const struct sieve *sieve,
                           bool *ret_is_sparse) {
    struct stretch *stretch = malloc(sizeof(*stretch));
    size_t most = STRETCH_FIRST;
    size_t silence = 0;
    bool has_more = true;
    struct walk walk;
    enum errc code = OK;

    if (stretch == NULL) {
        return ERR_NO_MEMORY;
    }
    walk_begin(&walk, list, range);
    while (code == OK && list->wants_more && has_more) {
        code = stretch_read(stretch, &walk, most);
        has_more = stretch->n == most;
        if (code == OK) {
            stretch_sieve(stretch, list, sieve);
        }
        if (code == OK && ret_is_sparse != NULL) {
            *ret_is_sparse = has_more && stretch->n_passing < DENSE;
            if (*ret_is_sparse) {
                break;
            }
            ret_is_sparse = NULL;
        }
        if (code == OK) {
            code = stretch_give(stretch, list, &silence);
        }
        most = most * 2 < STRETCH_MAX ? most * 2 : STRETCH_MAX;
    }
    free(stretch);
    return walk_end(&walk, code);
}
