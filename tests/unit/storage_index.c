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

enum { SECRETS_MAX = 256, CLAUSES = 3, ANY = 3, TERMS = 3, QUERIES = 12, STEPS = 250, SEEDS = 4 };

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

static bool see(void *arg, const Redoubt__Secret *secret) {
    struct seen *seen = arg;
    size_t i = 0;

    while (i < seen->facts->n && strcmp(seen->facts->items[i].secret->name, secret->name) != 0) {
        i++;
    }
    assert_true(i < seen->facts->n);
    assert_true(seen->n < SECRETS_MAX);
    seen->items[seen->n++] = i;
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
                         const struct list_query *query, struct rng *rng) {
    struct list_position at = {.is_set = false};
    bool is_seen[SECRETS_MAX] = {false};
    struct seen page;
    size_t max;

    do {
        max = rng_below(rng, 7) + 1;
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
        assert_pages(view, &facts, &sample.query, &worker->rng);
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

/* ---- by hand ---- */

static struct engine *engine;
static struct txn *txn;
static uint64_t applied;

static int setup(void **state) {
    Redoubt__Region region = REDOUBT__REGION__INIT;

    engine = scratch_open(NULL);
    txn = txn_new(engine);
    region.name = (char *)(uintptr_t)HERE;
    txn_put_region(txn, &region);
    return 0;
}

static int teardown(void **state) {
    txn_free(txn);
    engine_close(engine);
    return 0;
}

static void put(uint64_t seq, const char *name, const char *description, const char *tag_key,
                const char *tag_value) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag = REDOUBT__TAG__INIT;
    Redoubt__Tag *tags[] = {&tag};

    secret.name = (char *)(uintptr_t)name;
    secret.description = (char *)(uintptr_t)description;
    tag.key = (char *)(uintptr_t)tag_key;
    tag.value = (char *)(uintptr_t)tag_value;
    secret.tags = tags;
    secret.n_tags = tag_key != NULL ? 1 : 0;
    secret.has_created_seq = 1;
    secret.created_seq = seq;
    txn_put_secret(txn, index_accounts[0], &secret);
}

struct names {
    char text[8192];
    size_t len;
};

static bool add_name(void *arg, const Redoubt__Secret *secret) {
    struct names *names = arg;

    names->len += (size_t)snprintf(names->text + names->len, sizeof(names->text) - names->len,
                                   "%s%s", names->len > 0 ? " " : "", secret->name);
    assert_true(names->len < sizeof(names->text));
    return true;
}

/* Exactly these, in every order: with so few there is no excuse for a superset. */
static void assert_term(enum list_field field, const char *prefix, const char *expected) {
    const struct list_term term = {.field = field, .prefix = prefix};
    const struct list_terms terms = {.terms = &term, .n = 1};
    const struct list_clause clause = {.any = &terms, .n = 1};
    const struct list_position start = {.is_set = false};
    struct view *view;

    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = &clause, .n_clauses = 1};
        struct names names = {.len = 0};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, add_name, &names), OK);
        assert_string_equal(names.text, expected);
    }
    view_free(view);
}

static void test_every_field(void **state) {
    put(1, "a/one", "first secret", "team", "core");
    put(2, "b/two", "Second", "Team", "coreless");
    put(3, "c/three", NULL, NULL, NULL);
    assert_term(LIST_NAME, "a", "a/one");
    assert_term(LIST_NAME, "a/one", "a/one");
    assert_term(LIST_NAME, "a/one/", "");
    assert_term(LIST_NAME, "A", "");
    assert_term(LIST_TAG_KEY, "t", "a/one");
    assert_term(LIST_TAG_KEY, "Team", "b/two");
    assert_term(LIST_TAG_VALUE, "core", "a/one b/two");
    assert_term(LIST_TAG_VALUE, "corel", "b/two");
    assert_term(LIST_WORD, "s", "a/one b/two");
    assert_term(LIST_WORD, "second", "b/two");
    assert_term(LIST_WORD, "team", "a/one b/two");
    assert_term(LIST_WORD, "thr", "c/three");
    assert_term(LIST_WORD, "hree", "");
    assert_term(LIST_PRIMARY_REGION, "eu", "");
}

/* Grams of every kind, and every length between two of them. */
static void test_every_length(void **state) {
    char name[LIMIT_NAME + 1];
    char other[LIMIT_NAME + 1];
    char value[257];

    for (size_t i = 0; i < LIMIT_NAME; i++) {
        name[i] = (char)('a' + i % 26);
    }
    name[LIMIT_NAME] = '\0';
    memcpy(value, name, 256);
    value[256] = '\0';
    put(1, name, NULL, value + 128, value);
    assert_int_equal(gram_floor(LIMIT_NAME), LIMIT_NAME);
    for (size_t len = 1; len <= LIMIT_NAME; len++) {
        memcpy(other, name, len);
        other[len] = '\0';
        assert_term(LIST_NAME, other, name);
        assert_true(gram_floor(len) + gram_rest(gram_floor(len)) >= len);
        if (len <= 256) {
            assert_term(LIST_TAG_VALUE, other, name);
        }
        other[len - 1] = '!';
        assert_term(LIST_NAME, other, "");
        assert_term(LIST_TAG_VALUE, other, "");
    }
}

/* Texts that share a gram, in one secret: each of them is found, and nothing between them. */
static void test_shared_grams(void **state) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Tag tag[4];
    Redoubt__Tag *tags[4];
    static const char *const values[4] = {"a value of 16 by", "a value of 16 bytes",
                                          "a value of 16 bypassed", "a value of 16 byt"};

    for (size_t i = 0; i < 4; i++) {
        redoubt__tag__init(&tag[i]);
        tag[i].key = (char *)(uintptr_t) "k";
        tag[i].value = (char *)(uintptr_t)values[i];
        tags[i] = &tag[i];
    }
    secret.name = (char *)(uintptr_t) "s";
    secret.tags = tags;
    secret.n_tags = 4;
    secret.has_created_seq = 1;
    secret.created_seq = 1;
    txn_put_secret(txn, index_accounts[0], &secret);
    assert_term(LIST_TAG_VALUE, "a value of 16 by", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byt", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byte", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 bypas", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 bypassed", "s");
    assert_term(LIST_TAG_VALUE, "a value of 16 byx", "");
    assert_term(LIST_TAG_VALUE, "a value of 16 bytf", "");
    assert_index_is_true(engine);
}

/* primary-region: replicas by where they come from; primaries with replicas are here (3.10). */
static void test_primary_region_follows_links(void **state) {
    Redoubt__Link link = REDOUBT__LINK__INIT;
    Redoubt__Secret replica = REDOUBT__SECRET__INIT;
    Redoubt__Origin origin = REDOUBT__ORIGIN__INIT;

    put(1, "a", NULL, NULL, NULL);
    put(2, "b", NULL, NULL, NULL);
    link.region = (char *)(uintptr_t) "us-east-1";
    txn_put_link(txn, index_accounts[0], "a", &link);
    assert_term(LIST_PRIMARY_REGION, HERE, "a");
    link.region = (char *)(uintptr_t) "us-east-2";
    txn_put_link(txn, index_accounts[0], "a", &link);
    txn_delete_link(txn, index_accounts[0], "a", "us-east-1");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "a");
    assert_term(LIST_PRIMARY_REGION, "us", "");
    txn_delete_link(txn, index_accounts[0], "a", "us-east-2");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    /* A link may be there before its secret, and outlive it. */
    txn_put_link(txn, index_accounts[0], "c", &link);
    put(3, "c", NULL, NULL, NULL);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "c");
    replica.name = (char *)(uintptr_t) "c";
    replica.has_created_seq = 1;
    replica.created_seq = 3;
    txn_delete_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    origin.region = (char *)(uintptr_t) "us-west-2";
    replica.replica_of = &origin;
    replica.created_seq = 4;
    txn_put_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "us-west", "c");
    assert_term(LIST_PRIMARY_REGION, "eu-n", "");
    replica.replica_of = NULL; /* promoted, with a link of its own */
    txn_put_secret(txn, index_accounts[0], &replica);
    assert_term(LIST_PRIMARY_REGION, "eu-n", "c");
    assert_term(LIST_PRIMARY_REGION, "us-west", "");
    assert_index_is_true(engine);
}

static void assert_clauses(const struct list_clause *clauses, size_t n, const char *expected) {
    const struct list_position start = {.is_set = false};
    struct view *view;

    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = clauses, .n_clauses = n};
        struct names names = {.len = 0};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, add_name, &names), OK);
        assert_string_equal(names.text, expected);
    }
    view_free(view);
}

/* What says nothing is left out; a clause that nothing can satisfy leaves nothing. */
static void test_empty_clauses(void **state) {
    const struct list_term nothing = {.field = LIST_NAME, .prefix = ""};
    const struct list_term a = {.field = LIST_NAME, .prefix = "a"};
    const struct list_terms any[] = {{.terms = &nothing, .n = 1}, {.terms = &a, .n = 1}};
    const struct list_terms no_terms = {.n = 0};
    const struct list_clause all[] = {{.any = any, .n = 2}, {.any = &no_terms, .n = 1}};
    const struct list_clause both[] = {{.any = any, .n = 2}, {.any = &any[1], .n = 1}};
    const struct list_clause none = {.n = 0};

    put(1, "a", NULL, NULL, NULL);
    put(2, "b", NULL, NULL, NULL);
    assert_clauses(all, 2, "a b");
    assert_clauses(both, 2, "a");
    assert_clauses(&none, 1, "");
}

/* More terms than are looked at: some are left out, and no secret is. */
static void test_more_terms_than_iterators(void **state) {
    static struct list_term terms[10][10];
    static struct list_terms any[10][10];
    struct list_clause clauses[10];

    for (size_t i = 0; i < 10; i++) {
        for (size_t k = 0; k < 10; k++) {
            terms[i][k] = (struct list_term){.field = k % 2 == 0 ? LIST_WORD : LIST_PRIMARY_REGION,
                                             .prefix = k % 2 == 0 ? "alpha" : "nowhere"};
            any[i][k] = (struct list_terms){.terms = terms[i], .n = i % 2 == 0 ? 1 : k + 1};
        }
        clauses[i] = (struct list_clause){.any = any[i], .n = 10};
        any[i][9] = (struct list_terms){.terms = terms[i], .n = 1};
    }
    put(1, "alpha", NULL, NULL, NULL);
    put(2, "Beta", NULL, NULL, NULL);
    assert_clauses(clauses, 1, "alpha");
    assert_clauses(clauses, 10, "alpha");
}

struct counter {
    size_t n;
    size_t max;
    uint64_t last_seq;
};

static bool count_some(void *arg, const Redoubt__Secret *secret) {
    struct counter *counter = arg;

    counter->last_seq = secret->created_seq;
    return ++counter->n < counter->max;
}

/* Two dense lists that never meet: the walk says where it is, instead of walking in silence. */
static void test_a_fruitless_walk_reports(void **state) {
    enum { N = 33000 }; /* more than is looked at in search of candidates */
    const struct list_term odd = {.field = LIST_TAG_VALUE, .prefix = "odd"};
    const struct list_term even = {.field = LIST_NAME, .prefix = "e"};
    const struct list_terms terms[] = {{.terms = &odd, .n = 1}, {.terms = &even, .n = 1}};
    const struct list_clause clauses[] = {{.any = &terms[0], .n = 1}, {.any = &terms[1], .n = 1}};
    const struct list_position start = {.is_set = false};
    struct view *view;

    for (uint64_t i = 1; i <= N; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%c%" PRIu64, i % 2 == 0 ? 'e' : 'o', i);
        put(i, name, NULL, "t", i % 2 == 0 ? "even" : "odd");
        if (i % 500 == 0) {
            txn_commit(txn, ++applied);
        }
    }
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        for (int descending = 0; descending < 2; descending++) {
            const struct list_query query = {.order = (enum list_order)order,
                                             .descending = descending != 0,
                                             .clauses = clauses,
                                             .n_clauses = 2};
            struct counter counter = {.max = SIZE_MAX};
            assert_int_equal(
                view_list(view, index_accounts[0], &query, &start, count_some, &counter), OK);
            assert_in_range(counter.n, N / 200, N / 2);
        }
    }
    view_free(view);
}

/* More candidates than are held in memory, in every order: none is left out. */
static void test_many_candidates(void **state) {
    enum { N = LIMIT_LIST_CANDIDATES + 500 };
    const struct list_term term = {.field = LIST_TAG_KEY, .prefix = "t"};
    const struct list_terms terms = {.terms = &term, .n = 1};
    const struct list_clause clause = {.any = &terms, .n = 1};
    const struct list_position start = {.is_set = false};
    struct view *view;

    for (uint64_t i = 1; i <= N; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "s%" PRIu64, i);
        put(i, name, NULL, "t", NULL);
        if (i % 500 == 0) {
            txn_commit(txn, ++applied);
        }
    }
    put(N + 1, "another", NULL, NULL, NULL);
    txn_commit(txn, ++applied);
    view = view_new(engine);
    for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
        const struct list_query query = {
            .order = (enum list_order)order, .clauses = &clause, .n_clauses = 1};
        struct counter counter = {.max = SIZE_MAX};
        assert_int_equal(view_list(view, index_accounts[0], &query, &start, count_some, &counter),
                         OK);
        assert_int_equal(counter.n, N);
    }
    view_free(view);
}

/* Names that cannot be are in no list; asking is no error. */
static void test_accounts_that_cannot_be(void **state) {
    const struct list_query query = {.order = LIST_BY_NAME};
    const struct list_position start = {.is_set = false};
    struct counter counter = {.max = SIZE_MAX};
    struct view *view = view_new(engine);
    uint64_t count = 7;

    assert_int_equal(view_list(view, "nobody", &query, &start, count_some, &counter), OK);
    assert_int_equal(view_list(view, "1234567890123", &query, &start, count_some, &counter), OK);
    assert_int_equal(counter.n, 0);
    assert_int_equal(view_secret_count(view, "nobody", &count), OK);
    assert_int_equal(count, 0);
    view_free(view);
}

/* A row without its secret is damage, and is said. */
static void test_damage(void **state) {
    const struct list_query query = {.order = LIST_BY_CHANGED};
    const struct list_position start = {.is_set = false};
    struct counter counter = {.max = SIZE_MAX};
    struct view *view;
    struct key key;
    char *message = NULL;

    put(1, "a", NULL, NULL, NULL);
    txn_commit(txn, ++applied);
    assert_true(key_secret(&key, index_accounts[0], "a"));
    rocksdb_delete_cf(engine->db, engine->write, engine->families[FAMILY_STATE],
                      (const char *)key.data, key.len, &message);
    assert_null(message);
    view = view_new(engine);
    assert_int_equal(view_list(view, index_accounts[0], &query, &start, count_some, &counter),
                     ERR_CORRUPT);
    view_free(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work),
        TEST(test_every_field),
        TEST(test_every_length),
        TEST(test_shared_grams),
        TEST(test_primary_region_follows_links),
        TEST(test_empty_clauses),
        TEST(test_more_terms_than_iterators),
        TEST(test_a_fruitless_walk_reports),
        TEST(test_many_candidates),
        TEST(test_accounts_that_cannot_be),
        TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
