#include "storage/postings.h"

#include "base/bytes.h"
#include "model/words.h"
#include "storage/index.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Lists that are walked at once: each holds an iterator with its blocks. */
    LEAVES_MAX = 64,
    /* Of one conjunction: two or three words narrow a search down, the others cost only. */
    TERMS_MAX = 8,
    /* A search by more of a name than the grams tell apart: so many names are read outright. */
    PROBE_MAX = 1000,
    /* So many steps before a seek: near is nearer by steps. */
    STEPS_BEFORE_SEEK = 6,
};

enum node_kind {
    NODE_ROWS,   /* the rows of one gram */
    NODE_SEQS,   /* numbers in memory */
    NODE_ALL_OF, /* conjunction */
    NODE_ANY_OF, /* disjunction */
};

/* Walks by ranks, which rise in the direction of the walk: the number, or its complement. */
struct node {
    enum node_kind kind;
    bool has_rank; /* stands at `rank`, the first one at or behind what was last asked for */
    bool is_over;
    uint64_t rank;

    struct node **children; /* owned */
    size_t n;

    uint64_t *seqs; /* owned, rising */

    struct key prefix; /* of the rows, and what their texts must go on with */
    char rest[GRAM_MAX + 1];
    size_t rest_len;
    struct scan scan;
    bool is_open;
};

struct postings {
    const struct view *view;
    const char *account;
    bool descending;
    bool failed; /* reading, or no memory: the walk is over */
    enum errc code;
    size_t leaves_left;
    uint64_t effort;
    uint64_t limit; /* effort beyond which the present call takes what it has */
    struct node *root;
};

/* ---- nodes ---- */

static struct node *node_new(struct postings *p, enum node_kind kind) {
    struct node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        p->failed = true;
        p->code = ERR_NO_MEMORY;
    } else {
        node->kind = kind;
    }
    return node;
}

static void note(struct postings *p, enum errc code) {
    if (code != OK && p->code == OK) {
        p->code = code;
        p->failed = true;
    }
}

static void node_free(struct postings *p, struct node *node) {
    if (node == NULL) {
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (node->children != NULL) {
            node_free(p, node->children[i]);
        }
    }
    if (node->is_open) {
        note(p, scan_end(&node->scan));
    }
    free(node->children);
    free(node->seqs);
    free(node);
}

/* Takes `child`. */
static void node_add(struct postings *p, struct node *node, struct node *child) {
    struct node **children = reallocarray(node->children, node->n + 1, sizeof(struct node *));

    if (children == NULL) {
        note(p, ERR_NO_MEMORY);
        node_free(p, child);
        return;
    }
    node->children = children;
    node->children[node->n++] = child;
}

/* ---- walking ---- */

static uint64_t rank_of(const struct postings *p, uint64_t seq) {
    return p->descending ? ~seq : seq;
}

static bool is_out_of_patience(const struct postings *p) {
    return p->effort > p->limit;
}

/* Where the scan stands: on to the next row whose text goes on as it must. */
static void rows_settle(struct postings *p, struct node *node) {
    const uint8_t *key;
    size_t key_len;

    node->has_rank = false;
    while (scan_get(&node->scan, &key, &key_len)) {
        uint64_t seq;
        size_t value_len;
        const uint8_t *value = scan_value(&node->scan, &value_len);
        if (key_len != node->prefix.len + sizeof(seq) || !index_key_seq(key, key_len, &seq)) {
            note(p, ERR_CORRUPT);
            break;
        }
        if (node->rest_len == 0 || is_out_of_patience(p) ||
            index_rest_matches(value, value_len, node->rest, node->rest_len)) {
            node->has_rank = true;
            node->rank = rank_of(p, seq);
            return;
        }
        scan_next(&node->scan);
        p->effort += EFFORT_STEP;
    }
    node->is_over = true;
}

static void rows_seek(struct postings *p, struct node *node, uint64_t rank) {
    struct key key = node->prefix;

    for (int i = 0; node->has_rank && i < STEPS_BEFORE_SEEK; i++) {
        scan_next(&node->scan);
        p->effort += EFFORT_STEP;
        rows_settle(p, node);
        if (node->is_over || node->rank >= rank) {
            return;
        }
    }
    put_be64(key.data + key.len, rank_of(p, rank));
    key.len += sizeof(rank);
    p->effort += EFFORT_SEEK;
    if (node->is_open) {
        scan_seek(&node->scan, &key);
    } else {
        scan_begin_in(&node->scan, p->view, FAMILY_INDEX, &node->prefix, &key, p->descending);
        node->is_open = true;
    }
    rows_settle(p, node);
}

/* Of the numbers that rise: the first at or above `seq`. */
static size_t seqs_find(const struct node *node, uint64_t seq) {
    size_t low = 0;
    size_t high = node->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (node->seqs[middle] < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void seqs_seek(struct postings *p, struct node *node, uint64_t rank) {
    uint64_t seq = rank_of(p, rank);
    size_t at = seqs_find(node, seq);

    if (p->descending && (at == node->n || node->seqs[at] != seq)) {
        at = at > 0 ? at - 1 : node->n; /* the last one below */
    }
    node->has_rank = at < node->n;
    node->is_over = !node->has_rank;
    if (node->has_rank) {
        node->rank = rank_of(p, node->seqs[at]);
    }
    p->effort += EFFORT_STEP;
}

static void node_seek(struct postings *p, struct node *node, uint64_t rank);

/* Each in turn goes to where the others want it, until all stand at one rank. */
static void all_of_seek(struct postings *p, struct node *node, uint64_t rank) {
    size_t agreed = 0;

    for (size_t i = 0; agreed < node->n; i = (i + 1) % node->n) {
        struct node *child = node->children[i];
        node_seek(p, child, rank);
        if (child->is_over) {
            node->is_over = true;
            return;
        }
        agreed = child->rank == rank ? agreed + 1 : 1;
        rank = child->rank;
        if (is_out_of_patience(p)) {
            break; /* it is a secret, of one of the lists at least */
        }
    }
    node->has_rank = true;
    node->rank = rank;
}

static void any_of_seek(struct postings *p, struct node *node, uint64_t rank) {
    node->has_rank = false;
    for (size_t i = 0; i < node->n; i++) {
        struct node *child = node->children[i];
        node_seek(p, child, rank);
        if (!child->is_over && (!node->has_rank || child->rank < node->rank)) {
            node->has_rank = true;
            node->rank = child->rank;
        }
    }
    node->is_over = !node->has_rank;
}

static void node_seek(struct postings *p, struct node *node, uint64_t rank) {
    if (node->is_over || (node->has_rank && node->rank >= rank)) {
        return;
    }
    switch (node->kind) {
    case NODE_ROWS:
        rows_seek(p, node, rank);
        break;
    case NODE_SEQS:
        seqs_seek(p, node, rank);
        break;
    case NODE_ALL_OF:
        all_of_seek(p, node, rank);
        break;
    case NODE_ANY_OF:
        any_of_seek(p, node, rank);
        break;
    }
}

static void node_rewind(struct node *node) {
    node->has_rank = false;
    node->is_over = false;
    for (size_t i = 0; node->children != NULL && i < node->n; i++) {
        node_rewind(node->children[i]);
    }
}

void postings_rewind(struct postings *postings) {
    node_rewind(postings->root);
}

uint64_t postings_effort(const struct postings *postings) {
    return postings->effort;
}

bool postings_seek(struct postings *postings, uint64_t *seq, uint64_t patience) {
    postings->limit = postings->effort + patience;
    node_seek(postings, postings->root, rank_of(postings, *seq));
    if (postings->failed || postings->root->is_over) {
        return false;
    }
    *seq = rank_of(postings, postings->root->rank);
    return true;
}

/* ---- making ---- */

/* The numbers of the secrets whose names begin with `prefix`, if they are at most `max`: *ret
 * owned, in no order. More of them: *ret NULL. */
static enum errc names_probe(const struct view *view, const char *account, const char *prefix,
                             size_t max, uint64_t **ret, size_t *ret_n) {
    uint64_t *seqs = NULL;
    size_t n = 0;
    struct key begin;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;
    enum errc end_code;

    *ret = NULL;
    *ret_n = 0;
    seqs = calloc(max, sizeof(*seqs));
    if (seqs == NULL) {
        return ERR_NO_MEMORY;
    }
    if (index_key_name_prefix(&begin, account, prefix)) {
        scan_begin_in(&scan, view, FAMILY_INDEX, &begin, NULL, false);
        for (; code == OK && n <= max && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
            size_t len;
            const uint8_t *value = scan_value(&scan, &len);
            if (len != sizeof(*seqs)) {
                code = ERR_CORRUPT;
            } else if (n++ < max) {
                seqs[n - 1] = get_le64(value);
            }
        }
        end_code = scan_end(&scan);
        code = code == OK ? end_code : code;
    }
    if (code != OK || n > max) {
        free(seqs);
        return code;
    }
    *ret = seqs;
    *ret_n = n;
    return OK;
}

static int seq_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

static enum index_field field_of(enum list_field field) {
    switch (field) {
    case LIST_NAME:
        return INDEX_FIELD_NAME;
    case LIST_TAG_KEY:
        return INDEX_FIELD_TAG_KEY;
    case LIST_TAG_VALUE:
        return INDEX_FIELD_TAG_VALUE;
    case LIST_WORD:
        return INDEX_FIELD_WORD;
    case LIST_PRIMARY_REGION:
        break;
    }
    return INDEX_FIELD_PRIMARY_REGION;
}

static struct node *rows_new(struct postings *p, enum index_field field, const char *text) {
    struct node *node = node_new(p, NODE_ROWS);
    size_t len = strnlen(text, field == INDEX_FIELD_WORD ? WORD_MAX : GRAM_MAX);
    size_t gram = gram_floor(field, len);

    if (node == NULL) {
        return NULL;
    }
    p->leaves_left--;
    CHECK(index_key_term_prefix(&node->prefix, p->account, field, text, gram));
    node->rest_len = len - gram;
    memcpy(node->rest, text + gram, node->rest_len);
    return node;
}

/* Names that few have are read at once: exact, however long the prefix. */
static struct node *name_new(struct postings *p, const char *prefix) {
    size_t len = strlen(prefix);
    uint64_t *seqs = NULL;
    size_t n = 0;
    struct node *node;

    if (gram_floor(INDEX_FIELD_NAME, len) != len) {
        note(p, names_probe(p->view, p->account, prefix, PROBE_MAX, &seqs, &n));
    }
    if (seqs == NULL) {
        return rows_new(p, INDEX_FIELD_NAME, prefix);
    }
    node = node_new(p, NODE_SEQS);
    if (node == NULL) {
        free(seqs);
        return NULL;
    }
    qsort(seqs, n, sizeof(*seqs), seq_compare);
    node->seqs = seqs;
    node->n = n;
    p->leaves_left--;
    return node;
}

/* Replicas of that region; and this region's own primaries, if it is this one. */
static struct node *region_new(struct postings *p, const char *prefix) {
    Redoubt__Region *here = NULL;
    bool is_here;
    struct node *any;

    note(p, view_region(p->view, &here));
    is_here =
        here != NULL && here->name != NULL && strncmp(here->name, prefix, strlen(prefix)) == 0;
    if (here != NULL) {
        redoubt__region__free_unpacked(here, NULL);
    }
    if (!is_here) {
        return rows_new(p, INDEX_FIELD_PRIMARY_REGION, prefix);
    }
    any = node_new(p, NODE_ANY_OF);
    if (any != NULL) {
        struct node *one = rows_new(p, INDEX_FIELD_PRIMARY_REGION, prefix);
        struct node *other = rows_new(p, INDEX_FIELD_PRIMARY_HERE, "");
        if (one != NULL) {
            node_add(p, any, one);
        }
        if (other != NULL) {
            node_add(p, any, other);
        }
    }
    return any;
}

static size_t term_leaves(const struct list_term *term) {
    return term->field == LIST_PRIMARY_REGION ? 2 : 1;
}

static struct node *term_new(struct postings *p, const struct list_term *term) {
    if (term->field == LIST_NAME) {
        return name_new(p, term->prefix);
    }
    if (term->field == LIST_PRIMARY_REGION) {
        return region_new(p, term->prefix);
    }
    return rows_new(p, field_of(term->field), term->prefix);
}

/* NULL: these terms narrow nothing down. */
static struct node *terms_new(struct postings *p, const struct list_terms *terms, size_t leaves) {
    struct node *all = node_new(p, NODE_ALL_OF);
    size_t most = leaves < TERMS_MAX ? leaves : TERMS_MAX;

    for (size_t i = 0; all != NULL && i < terms->n; i++) {
        const struct list_term *term = &terms->terms[i];
        struct node *node;
        if (term->prefix[0] == '\0' || term_leaves(term) > most) {
            continue;
        }
        most -= term_leaves(term);
        node = term_new(p, term);
        if (node != NULL) {
            node_add(p, all, node);
        }
    }
    if (all != NULL && all->n == 0) {
        node_free(p, all);
        all = NULL;
    }
    return all;
}

/* NULL: everything satisfies it, or it would be too much to look at. */
static struct node *clause_new(struct postings *p, const struct list_clause *clause) {
    struct node *any;
    size_t leaves_left = p->leaves_left;
    size_t share = clause->n > 0 ? p->leaves_left / clause->n : 1;

    if (share == 0) {
        return NULL;
    }
    any = node_new(p, NODE_ANY_OF);
    for (size_t i = 0; any != NULL && i < clause->n; i++) {
        struct node *all = terms_new(p, &clause->any[i], share);
        if (all == NULL) {
            node_free(p, any);
            p->leaves_left = leaves_left;
            return NULL;
        }
        node_add(p, any, all);
    }
    return any;
}

enum errc postings_open(const struct view *view, const char *account,
                        const struct list_clause *clauses, size_t n, bool descending,
                        struct postings **ret) {
    struct postings *p = calloc(1, sizeof(*p));

    *ret = NULL;
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    *p = (struct postings){.view = view,
                           .account = account,
                           .descending = descending,
                           .leaves_left = LEAVES_MAX,
                           .limit = UINT64_MAX};
    p->root = node_new(p, NODE_ALL_OF);
    /* The narrowest first: they are the cheapest, and the budget may end. */
    for (size_t width = 0; p->root != NULL && width <= LEAVES_MAX; width++) {
        for (size_t i = 0; i < n; i++) {
            struct node *node = clauses[i].n == width ? clause_new(p, &clauses[i]) : NULL;
            if (node != NULL) {
                node_add(p, p->root, node);
            }
        }
    }
    if (!p->failed && p->root->n > 0) {
        *ret = p;
        return OK;
    }
    return postings_close(p);
}

enum errc postings_close(struct postings *postings) {
    enum errc code;

    if (postings == NULL) {
        return OK;
    }
    node_free(postings, postings->root);
    code = postings->code;
    free(postings);
    return code;
}
