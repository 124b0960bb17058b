/* The index behind lists, counts and due work: after random work on secrets and links, every list
 * agrees with a slow look at all secrets, and the rows are, byte by byte, those of an index that is
 * built from the state.
 *
 * Seeds are fixed; REDOUBT_SEED=n takes another one, and the one that fails is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/words.h"
#include "storage_index.h"

#include <stdio.h>

enum {
    SECRETS_MAX = 4096,
    MANY = 4000,
    CLAUSES = 3,
    ANY = 3,
    TERMS = 3,
    QUERIES = 12,
    QUERIES_OF_MANY = 60,
    STEPS = 200,
    SEEDS = 3,
};

static const int64_t DAY_MS = 24LL * 60 * 60 * 1000;

/* ---- a slow look at all secrets ---- */

struct fact {
    Redoubt__Secret *secret;
    bool has_links;
    char account[LIMIT_ACCOUNT + 1];
};

struct facts {
    struct fact items[SECRETS_MAX];
    size_t n;
};

static void facts_read(const struct view *view, const char *account, struct facts *ret) {
    struct key prefix;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;

    ret->n = 0;
    assert_true(key_secret(&prefix, account, "x"));
    prefix.len--;
    scan_begin(&scan, view, &prefix, NULL);
    for (; scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        struct fact *fact = &ret->items[ret->n++];
        ProtobufCMessage *message = NULL;
        struct view_links links;
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        assert_true(ret->n <= SECRETS_MAX);
        assert_int_equal(record_unpack(RECORD_SECRET, value, len, &message), OK);
        fact->secret = (Redoubt__Secret *)(void *)message;
        (void)snprintf(fact->account, sizeof(fact->account), "%s", account);
        assert_int_equal(view_links(view, account, fact->secret->name, &links), OK);
        fact->has_links = links.n > 0;
        view_links_free(&links);
    }
    assert_int_equal(scan_end(&scan), OK);
}

static void facts_free(struct facts *facts) {
    for (size_t i = 0; i < facts->n; i++) {
        redoubt__secret__free_unpacked(facts->items[i].secret, NULL);
    }
    facts->n = 0;
}

static bool begins(const char *text, const char *prefix) {
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool text_has_word(const char *text, const char *prefix) {
    struct word word;

    for (size_t at = 0; text != NULL && words_next(text, &at, &word);) {
        if (begins(word.text, prefix)) {
            return true;
        }
    }
    return false;
}

static bool has_term(const struct fact *fact, const struct list_term *term) {
    const Redoubt__Secret *secret = fact->secret;
    bool has = false;

    switch (term->field) {
    case LIST_NAME:
        return begins(secret->name, term->prefix);
    case LIST_PRIMARY_REGION:
        return secret->replica_of != NULL ? begins(secret->replica_of->region, term->prefix)
                                          : fact->has_links && begins(HERE, term->prefix);
    case LIST_WORD:
        has = text_has_word(secret->name, term->prefix) ||
              text_has_word(secret->description, term->prefix);
        break;
    case LIST_TAG_KEY:
    case LIST_TAG_VALUE:
        break;
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        const Redoubt__Tag *tag = secret->tags[i];
        has =
            has || (term->field == LIST_TAG_KEY     ? begins(tag->key, term->prefix)
                    : term->field == LIST_TAG_VALUE ? begins(tag->value, term->prefix)
                                                    : text_has_word(tag->key, term->prefix) ||
                                                          text_has_word(tag->value, term->prefix));
    }
    return has;
}

static bool satisfies(const struct fact *fact, const struct list_query *query) {
    for (size_t i = 0; i < query->n_clauses; i++) {
        bool any = false;
        for (size_t k = 0; k < query->clauses[i].n; k++) {
            const struct list_terms *terms = &query->clauses[i].any[k];
            bool all = true;
            for (size_t t = 0; t < terms->n; t++) {
                all = all && has_term(fact, &terms->terms[t]);
            }
            any = any || all;
        }
        if (!any) {
            return false;
        }
    }
    return true;
}

static int compare(enum list_order order, const Redoubt__Secret *a, const Redoubt__Secret *b) {
    int64_t left = 0;
    int64_t right = 0;

    switch (order) {
    case LIST_BY_NAME:
        return strcmp(a->name, b->name);
    case LIST_BY_CHANGED:
        left = a->changed_ms;
        right = b->changed_ms;
        break;
    case LIST_BY_ACCESSED:
        left = a->has_last_accessed_day ? a->last_accessed_day : -1;
        right = b->has_last_accessed_day ? b->last_accessed_day : -1;
        break;
    case LIST_BY_CREATED:
        break;
    }
    if (left != right) {
        return left < right ? -1 : 1;
    }
    return a->created_seq < b->created_seq ? -1 : a->created_seq > b->created_seq ? 1 : 0;
}

/* ---- random queries ---- */

struct sample {
    struct list_query query;
    struct list_clause clauses[CLAUSES];
    struct list_terms any[CLAUSES][ANY];
    struct list_term terms[CLAUSES][ANY][TERMS];
    char texts[CLAUSES][ANY][TERMS][LIMIT_NAME + 1];
};

/* Something that a secret has, whole or in part; sometimes something that none has. */
static void random_prefix(struct rng *rng, const struct facts *facts, enum list_field field,
                          char out[LIMIT_NAME + 1]) {
    const struct fact *fact = facts->n > 0 ? &facts->items[rng_below(rng, facts->n)] : NULL;
    char text[LIMIT_NAME + 1] = "eu-west-1";
    size_t len;

    if (fact == NULL || rng_below(rng, 10) == 0) {
        (void)snprintf(text, sizeof(text), "%s", random_tag_text(rng));
    } else if (field == LIST_NAME || (field == LIST_WORD && rng_below(rng, 2) == 0)) {
        (void)snprintf(text, sizeof(text), "%s", fact->secret->name);
    } else if (field != LIST_PRIMARY_REGION && fact->secret->n_tags > 0) {
        const Redoubt__Tag *tag = fact->secret->tags[0];
        (void)snprintf(text, sizeof(text), "%s",
                       field == LIST_TAG_KEY || tag->value == NULL ? tag->key : tag->value);
    } else if (field == LIST_PRIMARY_REGION && rng_below(rng, 2) == 0) {
        (void)snprintf(text, sizeof(text), HERE);
    } else if (field == LIST_WORD && fact->secret->description != NULL) {
        (void)snprintf(text, sizeof(text), "%s", fact->secret->description);
    }
    if (field == LIST_WORD) {
        struct word word = {.text = "none"};
        size_t at = 0;
        for (size_t skip = rng_below(rng, 3) + 1; skip > 0; skip--) {
            (void)words_next(text, &at, &word);
        }
        (void)snprintf(text, sizeof(text), "%s", word.text);
    }
    len = strlen(text);
    len = rng_below(rng, 2) == 0 || len == 0 ? len : rng_below(rng, len) + 1;
    (void)snprintf(out, LIMIT_NAME + 1, "%.*s", (int)len, len > 0 ? text : "x");
}

static void random_query(struct rng *rng, const struct facts *facts, struct sample *ret) {
    *ret = (struct sample){.query = {.order = (enum list_order)rng_below(rng, 4),
                                     .descending = rng_below(rng, 2) == 0,
                                     .clauses = ret->clauses,
                                     .n_clauses = rng_below(rng, CLAUSES + 1)}};
    for (size_t i = 0; i < ret->query.n_clauses; i++) {
        ret->clauses[i] = (struct list_clause){.any = ret->any[i], .n = rng_below(rng, ANY) + 1};
        for (size_t k = 0; k < ret->clauses[i].n; k++) {
            ret->any[i][k] =
                (struct list_terms){.terms = ret->terms[i][k], .n = rng_below(rng, TERMS) + 1};
            for (size_t t = 0; t < ret->any[i][k].n; t++) {
                struct list_term *term = &ret->terms[i][k][t];
                term->field = (enum list_field)rng_below(rng, 5);
                random_prefix(rng, facts, term->field, ret->texts[i][k][t]);
                term->prefix = ret->texts[i][k][t];
            }
        }
    }
}

/* ---- lists ---- */

struct seen {
    const struct facts *facts;
    size_t items[SECRETS_MAX]; /* places in facts */
    size_t n;
    size_t max;
};

static int compare_name_of_fact(const void *name, const void *fact) {
    return strcmp(name, ((const struct fact *)fact)->secret->name);
}

static bool see(void *arg, const Redoubt__Secret *secret) {
    struct seen *seen = arg;
    const struct fact *fact = bsearch(secret->name, seen->facts->items, seen->facts->n,
                                      sizeof(seen->facts->items[0]), compare_name_of_fact);

    assert_non_null(fact);
    assert_true(seen->n < SECRETS_MAX);
    seen->items[seen->n++] = (size_t)(fact - seen->facts->items);
    return seen->n < seen->max;
}

static const Redoubt__Secret *seen_secret(const struct seen *seen, size_t i) {
    return seen->facts->items[seen->items[i]].secret;
}

static struct seen list(const struct view *view, const struct facts *facts,
                        const struct list_query *query, const struct list_position *after,
                        size_t max) {
    struct seen seen = {.facts = facts, .max = max};

    assert_int_equal(view_list(view, index_accounts[0], query, after, see, &seen), OK);
    for (size_t i = 1; i < seen.n; i++) {
        int side = compare(query->order, seen_secret(&seen, i - 1), seen_secret(&seen, i));
        assert_true(query->descending ? side > 0 : side < 0);
    }
    return seen;
}

/* In order, each once, none left out; how many of them do not satisfy the query. */
static size_t assert_list(const struct view *view, const struct facts *facts,
                          const struct list_query *query) {
    const struct list_position start = {.is_set = false};
    struct seen seen = list(view, facts, query, &start, SIZE_MAX);
    bool is_seen[SECRETS_MAX] = {false};
    size_t extra = 0;

    for (size_t i = 0; i < seen.n; i++) {
        is_seen[seen.items[i]] = true;
        extra += satisfies(&facts->items[seen.items[i]], query) ? 0 : 1;
    }
    for (size_t i = 0; i < facts->n; i++) {
        assert_true(is_seen[i] || !satisfies(&facts->items[i], query));
    }
    return extra;
}

/* Page by page, each begun at the position of the last secret shown, each secret comes once. */
static void assert_pages(const struct view *view, const struct facts *facts,
                         const struct list_query *query, struct rng *rng, size_t most) {
    struct list_position at = {.is_set = false};
    bool is_seen[SECRETS_MAX] = {false};
    struct seen page;
    size_t max;

    do {
        max = rng_below(rng, most) + 1;
        page = list(view, facts, query, &at, max);
        for (size_t i = 0; i < page.n; i++) {
            assert_false(is_seen[page.items[i]]);
            is_seen[page.items[i]] = true;
        }
        if (page.n > 0) {
            list_position_of(query->order, seen_secret(&page, page.n - 1), &at);
        }
    } while (page.n == max);
    for (size_t i = 0; i < facts->n; i++) {
        assert_true(is_seen[i] || !satisfies(&facts->items[i], query));
    }
}

/* A position may be of a secret that is gone or has moved: what is behind it comes. */
static void assert_from_anywhere(const struct view *view, const struct facts *facts,
                                 const struct list_query *query, struct rng *rng) {
    Redoubt__Secret mark = REDOUBT__SECRET__INIT;
    struct list_position at;
    char name[LIMIT_NAME + 1];
    struct seen seen;
    size_t wanted = 0;
    size_t found = 0;

    random_name(rng, name);
    mark.name = name;
    mark.created_seq = facts->n > 0 ? facts->items[0].secret->created_seq : 1;
    mark.created_seq += rng_below(rng, 100000);
    mark.created_seq -= rng_below(rng, 100000);
    mark.has_changed_ms = 1;
    mark.changed_ms = 1700000000000 + (int64_t)rng_below(rng, 400000);
    mark.has_last_accessed_day = rng_below(rng, 2) == 0;
    mark.last_accessed_day = 19700 + (int64_t)rng_below(rng, 4);
    list_position_of(query->order, &mark, &at);
    seen = list(view, facts, query, &at, SIZE_MAX);
    for (size_t i = 0; i < seen.n; i++) {
        int side = compare(query->order, seen_secret(&seen, i), &mark);
        assert_true(query->descending ? side < 0 : side > 0);
        found += satisfies(&facts->items[seen.items[i]], query) ? 1 : 0;
    }
    for (size_t i = 0; i < facts->n; i++) {
        int side = compare(query->order, facts->items[i].secret, &mark);
        if (satisfies(&facts->items[i], query) && (query->descending ? side < 0 : side > 0)) {
            wanted++;
        }
    }
    assert_int_equal(found, wanted);
}

/* ---- what is due ---- */

struct due_row {
    struct due due;
    char account[LIMIT_ACCOUNT + 1];
    char name[LIMIT_NAME + 1];
};
struct due_list {
    struct due_row items[2 * SECRETS_MAX];
    size_t n;
    size_t max;
};

static void due_add(struct due_list *list, enum due_kind kind, int64_t due_ms, const char *account,
                    const char *name) {
    struct due_row *row = &list->items[list->n++];

    assert_true(list->n <= ARRAY_LEN(list->items));
    (void)snprintf(row->account, sizeof(row->account), "%s", account);
    (void)snprintf(row->name, sizeof(row->name), "%s", name);
    row->due =
        (struct due){.kind = kind, .due_ms = due_ms, .account = row->account, .name = row->name};
}

static bool see_due(void *arg, const struct due *due) {
    struct due_list *list = arg;

    due_add(list, due->kind, due->due_ms, due->account, due->name);
    return list->n < list->max;
}

static int due_compare(const void *a, const void *b) {
    const struct due_row *left = a;
    const struct due_row *right = b;
    int side;

    if (left->due.due_ms != right->due.due_ms) {
        return left->due.due_ms < right->due.due_ms ? -1 : 1;
    }
    if (left->due.kind != right->due.kind) {
        return left->due.kind < right->due.kind ? -1 : 1;
    }
    side = strcmp(left->account, right->account);
    return side != 0 ? side : strcmp(left->name, right->name);
}

static void due_expect(const struct facts *facts, int64_t now_ms, struct due_list *list) {
    for (size_t i = 0; i < facts->n; i++) {
        const Redoubt__Secret *secret = facts->items[i].secret;
        int64_t oldest = INT64_MAX;
        for (size_t k = 0; k < secret->n_versions; k++) {
            if (secret->versions[k]->n_stages == 0 && secret->versions[k]->created_ms < oldest) {
                oldest = secret->versions[k]->created_ms;
            }
        }
        if (secret->replica_of == NULL && secret->has_deletion_ms &&
            secret->deletion_ms <= now_ms) {
            due_add(list, DUE_PURGE, secret->deletion_ms, facts->items[i].account, secret->name);
        }
        if (secret->replica_of == NULL && secret->n_versions > LIMIT_VERSIONS_KEPT &&
            oldest < INT64_MAX && oldest + DAY_MS <= now_ms) {
            due_add(list, DUE_PRUNE, oldest + DAY_MS, facts->items[i].account, secret->name);
        }
    }
}

/* Read `max` at a time, each time from behind the last one. */
static void due_read(const struct view *view, int64_t now_ms, size_t max, struct due_list *ret) {
    size_t before;

    ret->n = 0;
    do {
        before = ret->n;
        ret->max = before + max;
        assert_int_equal(view_each_due(view, now_ms,
                                       before > 0 ? &ret->items[before - 1].due : NULL, see_due,
                                       ret),
                         OK);
    } while (ret->n == before + max);
}

static void assert_due(const struct view *view, int64_t now_ms, struct rng *rng) {
    static struct due_list expected;
    static struct due_list got;
    static struct facts facts;

    expected.n = 0;
    for (size_t i = 0; i < ARRAY_LEN(index_accounts); i++) {
        facts_read(view, index_accounts[i], &facts);
        due_expect(&facts, now_ms, &expected);
        facts_free(&facts);
    }
    qsort(expected.items, expected.n, sizeof(expected.items[0]), due_compare);
    due_read(view, now_ms, rng_below(rng, 5) + 1, &got);
    assert_int_equal(got.n, expected.n);
    for (size_t i = 0; i < got.n; i++) {
        assert_int_equal(due_compare(&got.items[i], &expected.items[i]), 0);
    }
}

/* ---- random work ---- */

struct tally {
    size_t queries;
    size_t matches;
    size_t extra;
    size_t due;
};

static void assert_view(const struct view *view, struct worker *worker, struct tally *tally) {
    static struct facts facts;
    static struct sample sample;
    uint64_t count = UINT64_MAX;

    facts_read(view, index_accounts[0], &facts);
    assert_int_equal(view_secret_count(view, index_accounts[0], &count), OK);
    assert_int_equal(count, facts.n);
    for (size_t i = 0; i < QUERIES; i++) {
        size_t extra;
        random_query(&worker->rng, &facts, &sample);
        extra = assert_list(view, &facts, &sample.query);
        assert_pages(view, &facts, &sample.query, &worker->rng, 7);
        assert_from_anywhere(view, &facts, &sample.query, &worker->rng);
        if (view != txn_view(worker->txn)) {
            tally->queries++;
            tally->extra += extra;
        }
        for (size_t k = 0; k < facts.n; k++) {
            tally->matches += satisfies(&facts.items[k], &sample.query) ? 1 : 0;
        }
    }
    facts_free(&facts);
    assert_due(view, worker->now_ms + (int64_t)rng_below(&worker->rng, 4000) - 1000, &worker->rng);
    assert_due(view, worker->now_ms + DAY_MS + 500, &worker->rng);
}

static void run_seed(uint64_t seed) {
    struct engine *engine = scratch_open(NULL);
    struct worker worker;
    struct tally tally = {.queries = 0};

    worker_begin(&worker, engine, seed);
    for (int step = 0; step < STEPS; step++) {
        struct view *view;
        for (size_t n = rng_below(&worker.rng, 6) + 1; n > 0; n--) {
            worker_step(&worker);
        }
        if (rng_below(&worker.rng, 8) == 0) {
            assert_view(txn_view(worker.txn), &worker, &tally);
        }
        if (rng_below(&worker.rng, 20) == 0) { /* dropped, terms and all */
            txn_free(worker.txn);
            worker.txn = txn_new(engine);
        }
        worker_commit(&worker);
        if (step % 8 == 0) {
            view = view_new(engine);
            assert_view(view, &worker, &tally);
            view_free(view);
        }
        if (step % 25 == 24) {
            assert_index_is_true(engine);
        }
    }
    worker_end(&worker);
    engine_close(engine);
    /* The queries find something, and little else: patience ends seldom among so few. */
    assert_true(tally.matches > tally.queries);
    assert_true(tally.extra * 50 < tally.matches);
}

static void test_random_work(void **state) {
    uint64_t first = seed_of(1);

    for (uint64_t seed = first; seed < first + SEEDS; seed++) {
        (void)printf("  seed %" PRIu64 "\n", seed);
        run_seed(seed);
    }
}

/* So many that lists are walked along the rows of their order, told by a set or by lookups. */
static void test_many_secrets(void **state) {
    static struct facts facts;
    static struct sample sample;
    struct engine *engine = scratch_open(NULL);
    struct worker worker;
    struct view *view;
    size_t matches = 0;
    size_t extra = 0;

    worker_begin(&worker, engine, seed_of(100));
    for (unsigned i = 0; i < MANY; i++) {
        char base[LIMIT_NAME + 1];
        char name[LIMIT_NAME + 1];
        Redoubt__Secret *secret;
        random_name(&worker.rng, base);
        (void)snprintf(name, sizeof(name), "%.500s%u", base, i);
        secret = worker_new_secret(&worker, name);
        secret->changed_ms += (int64_t)rng_below(&worker.rng, MANY);
        txn_put_secret(worker.txn, index_accounts[0], secret);
        redoubt__secret__free_unpacked(secret, NULL);
        if (i % 200 == 0) {
            worker_commit(&worker);
        }
    }
    worker_commit(&worker);
    view = view_new(engine);
    facts_read(view, index_accounts[0], &facts);
    assert_int_equal(facts.n, MANY);
    for (size_t i = 0; i < QUERIES_OF_MANY; i++) {
        random_query(&worker.rng, &facts, &sample);
        if (i % 3 == 0) {
            sample.query.n_clauses = 1;
        }
        extra += assert_list(view, &facts, &sample.query);
        assert_pages(view, &facts, &sample.query, &worker.rng, 1000);
        assert_from_anywhere(view, &facts, &sample.query, &worker.rng);
        for (size_t k = 0; k < facts.n; k++) {
            matches += satisfies(&facts.items[k], &sample.query) ? 1 : 0;
        }
    }
    facts_free(&facts);
    view_free(view);
    assert_index_is_true(engine);
    worker_end(&worker);
    engine_close(engine);
    (void)printf("%zu matches, %zu others shown\n", matches, extra);
    assert_true(matches > MANY);
    assert_true(extra * 20 < matches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work),
        cmocka_unit_test(test_many_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
