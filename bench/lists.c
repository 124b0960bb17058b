/* What a page of ListSecrets costs in the store, by filter and order, with few and with many
 * secrets in one account, side by side; and what writing costs. Directly over the write
 * transaction: no HTTP, no log.
 *
 *   lists [FEW MANY]       (default 5000 500000)
 *
 * A page is 100 secrets that match, verified as the operation verifies them, from the first one and
 * from the middle of the list; where the walk ends early (LIMIT_LIST_SCAN) the next call is part of
 * the page. Each row is the median over several values of the filter. Databases lie in a temporary
 * folder (TMPDIR) and are removed. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "model/words.h"
#include "storage/engine_inner.h"
#include "storage/txn.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCOUNT "123456789012"

enum {
    PAGE = 100,
    PER_GROUP = 200, /* secrets of a selective value, whatever the size */
    VARIANTS = 9,    /* values of a filter that a row is the median of */
    BATCH = 64,      /* commands that share a log entry while the store is busy */
    PUTS = 5000,
    SIZES = 2,
    ROWS_MAX = 256,
};
static const int64_t START_MS = 1700000000000;

static const char *const areas[10] = {"prod", "staging", "dev", "test", "qa",
                                      "perf", "demo",    "dr",  "lab",  "shared"};
static const char *const teams[10] = {"payments", "identity", "search",  "catalog", "checkout",
                                      "shipping", "reports",  "billing", "support", "platform"};
static const char *const leaves[5] = {"db", "api", "cache", "queue", "signing-key"};

/* Time of this thread on a processor, so that neighbours do not count; RocksDB's own threads do not
 * either. Nothing here waits for the disk: reads come out of the page cache, writes are not synced.
 */
static double now_us(void) {
    struct timespec now;

    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- One store ---- */

struct store {
    uint64_t n;
    uint64_t groups;
    char folder[256];
    struct engine *engine;
    struct txn *txn;
    uint64_t index;
    uint64_t writes;
};

/* The i-th secret, with memory of its own. */
struct sample {
    char name[128];
    char description[128];
    char keys[3][32];
    char values[3][32];
    Redoubt__Tag tag[3];
    Redoubt__Tag *tags[3];
    char version_ids[2][64];
    Redoubt__Version version[2];
    Redoubt__Version *versions[2];
    char *stages[2];
    Redoubt__Secret secret;
};

static void sample_name(const struct store *store, uint64_t i, char *out, size_t room) {
    const char *area = areas[mix(i) % 10];
    const char *team = teams[mix(i) / 10 % 10];
    const char *leaf = leaves[mix(i) / 100 % 5];

    if (mix(i) % 10 == 9) { /* hierarchies of many small folders */
        (void)snprintf(out, room, "%s/cluster-%04" PRIu64 "/service-%06" PRIu64 "/%s", area,
                       mix(i) / 1000 % (store->groups / 10), i, leaf);
    } else {
        (void)snprintf(out, room, "%s/%s/service-%06" PRIu64 "/%s", area, team, i, leaf);
    }
}

static void sample_make(const struct store *store, uint64_t i, int generation, struct sample *out) {
    static const char *const labels[2] = {"AWSPREVIOUS", "AWSCURRENT"};
    uint64_t r = mix(i ^ 0x5eed);

    redoubt__secret__init(&out->secret);
    sample_name(store, i, out->name, sizeof(out->name));
    (void)snprintf(out->description, sizeof(out->description),
                   "Credentials of %s for the %s service, rotated by hand", leaves[r % 5],
                   teams[r / 5 % 10]);
    (void)snprintf(out->keys[0], 32, "group-%02" PRIu64, r / 50 % 100);
    (void)snprintf(out->values[0], 32, "owner-%04" PRIu64, r / 5000 % store->groups);
    (void)snprintf(out->keys[1], 32, "zone-%" PRIu64, mix(r) % 10);
    (void)snprintf(out->values[1], 32, "cost-%02" PRIu64, mix(r) / 10 % 100);
    (void)snprintf(out->keys[2], 32, "app-%04" PRIu64, mix(r) / 1000 % store->groups);
    (void)snprintf(out->values[2], 32, "rack-%" PRIu64, mix(mix(r)) % 10);
    for (size_t k = 0; k < 3; k++) {
        redoubt__tag__init(&out->tag[k]);
        out->tag[k].key = out->keys[k];
        out->tag[k].value = out->values[k];
        out->tags[k] = &out->tag[k];
    }
    for (size_t k = 0; k < 2; k++) {
        redoubt__version__init(&out->version[k]);
        (void)snprintf(out->version_ids[k], sizeof(out->version_ids[k]),
                       "%08" PRIx64 "-0000-4000-8000-%012x", i, generation + (int)k);
        out->version[k].id = out->version_ids[k];
        out->stages[k] = (char *)(uintptr_t)labels[k];
        out->version[k].stages = &out->stages[k];
        out->version[k].n_stages = 1;
        out->version[k].has_created_ms = true;
        out->version[k].created_ms = START_MS;
        out->versions[k] = &out->version[k];
    }
    out->secret.name = out->name;
    out->secret.suffix = (char *)(uintptr_t) "AbCdEf";
    out->secret.description = out->description;
    out->secret.tags = out->tags;
    out->secret.n_tags = 3;
    out->secret.versions = out->versions;
    out->secret.n_versions = 2;
    out->secret.has_created_ms = true;
    out->secret.created_ms = START_MS + (int64_t)i;
    out->secret.has_changed_ms = true;
    out->secret.changed_ms = START_MS + (int64_t)store->writes * 1000;
    out->secret.has_last_accessed_day = r % 3 != 0;
    out->secret.last_accessed_day = 19700 + (int64_t)(mix(r + 2) % 90);
    out->secret.has_created_seq = true;
    out->secret.created_seq = (i + 1) << 9;
    out->secret.has_revision = true;
    out->secret.revision = 1 + (uint64_t)generation;
}

/* As SECRET_CREATE and SECRET_PUT write: the record that is there is read first, a value and the
 * record are written. */
static void store_put(struct store *store, uint64_t i, int generation) {
    static uint8_t bytes[260];
    struct sample sample;
    Redoubt__Sealed sealed = REDOUBT__SEALED__INIT;
    Redoubt__Secret *former = NULL;

    store->writes++;
    sample_make(store, i, generation, &sample);
    CHECK(view_secret(txn_view(store->txn), ACCOUNT, sample.name, &former) == OK);
    CHECK((former != NULL) == (generation > 0));
    if (former != NULL) {
        redoubt__secret__free_unpacked(former, NULL);
    }
    put_le64(bytes, mix(i));
    sealed.has_ciphertext = true;
    sealed.ciphertext = (ProtobufCBinaryData){.len = sizeof(bytes), .data = bytes};
    txn_put_value(store->txn, ACCOUNT, sample.name, sample.version_ids[1], &sealed);
    txn_put_secret(store->txn, ACCOUNT, &sample.secret);
}

static void store_open(struct store *store, uint64_t n) {
    const char *parent = getenv("TMPDIR");
    char path[300];
    struct engine_options options = {.path = path};
    struct err err;

    store->n = n;
    store->groups = n / PER_GROUP;
    (void)snprintf(store->folder, sizeof(store->folder), "%s/redoubt-lists.XXXXXX",
                   parent != NULL ? parent : P_tmpdir);
    CHECK(mkdtemp(store->folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/db", store->folder);
    if (engine_open(&options, &store->engine, &err) != OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    store->txn = txn_new(store->engine);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static uint64_t folder_bytes;

static int add_bytes(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)path;
    (void)type;
    (void)walk;
    folder_bytes += (uint64_t)status->st_size;
    return 0;
}

static void store_close(struct store *store) {
    txn_free(store->txn);
    engine_close(store->engine);
    CHECK(nftw(store->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* Microseconds a secret. */
static double write_many(struct store *store, uint64_t n, uint64_t batch, int generation,
                         bool is_random) {
    double begin = now_us();

    for (uint64_t i = 0; i < n; i++) {
        store_put(store, is_random ? mix(i + 77 * (uint64_t)generation) % store->n : i, generation);
        if ((i + 1) % batch == 0 || i + 1 == n) {
            txn_commit(store->txn, ++store->index);
        }
    }
    return (now_us() - begin) / (double)n;
}

/* ---- One page ---- */

struct page {
    const struct list_query *query;
    const struct list_term *terms; /* all of them */
    size_t n_terms;
    size_t scanned;
    size_t n;
    size_t max;
    bool ended_early;
    struct list_position last;
};

static bool begins(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_word(const Redoubt__Secret *secret, const char *word) {
    if (words_match(secret->name, word) || words_match(secret->description, word)) {
        return true;
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        if (words_match(secret->tags[i]->key, word) || words_match(secret->tags[i]->value, word)) {
            return true;
        }
    }
    return false;
}

static bool has_term(const Redoubt__Secret *secret, const struct list_term *term) {
    if (term->field == LIST_NAME) {
        return begins(secret->name, term->prefix);
    }
    if (term->field == LIST_WORD) {
        return has_word(secret, term->prefix);
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        const Redoubt__Tag *tag = secret->tags[i];
        if (begins(term->field == LIST_TAG_KEY ? tag->key : tag->value, term->prefix)) {
            return true;
        }
    }
    return false;
}

static bool page_add(void *arg, const Redoubt__Secret *secret) {
    struct page *page = arg;

    if (page->scanned == LIMIT_LIST_SCAN) {
        page->ended_early = true;
        return false;
    }
    page->scanned++;
    list_position_of(page->query->order, secret, &page->last);
    for (size_t i = 0; i < page->n_terms; i++) {
        if (!has_term(secret, &page->terms[i])) {
            return true;
        }
    }
    return ++page->n < page->max;
}

/* Up to `max` matches behind `at`, which moves there. */
static size_t read_page(struct store *store, const struct list_query *query,
                        const struct list_term *terms, size_t n_terms, size_t max,
                        struct list_position *at) {
    struct page page = {.query = query, .terms = terms, .n_terms = n_terms, .max = max};

    page.last = *at;
    do {
        struct view *view = view_new(store->engine);
        page.scanned = 0;
        page.ended_early = false;
        *at = page.last;
        CHECK(view_list(view, ACCOUNT, query, at, page_add, &page) == OK);
        view_free(view);
    } while (page.ended_early);
    *at = page.last;
    return page.n;
}

/* ---- Rows of the table ---- */

enum scope { NONE, GROUP, ONE_IN_100, ONE_IN_10 };

struct shape {
    const char *what;
    enum list_field field;
    enum scope scope;
    bool is_word;
};

static const struct shape shapes[] = {
    {"no filter", LIST_NAME, NONE, false},
    {"name, 200 secrets", LIST_NAME, GROUP, false},
    {"name, 1 in 100", LIST_NAME, ONE_IN_100, false},
    {"name, 1 in 10", LIST_NAME, ONE_IN_10, false},
    {"tag key, 200 secrets", LIST_TAG_KEY, GROUP, false},
    {"tag key, 1 in 100", LIST_TAG_KEY, ONE_IN_100, false},
    {"tag key, 1 in 10", LIST_TAG_KEY, ONE_IN_10, false},
    {"tag value, 200 secrets", LIST_TAG_VALUE, GROUP, false},
    {"tag value, 1 in 100", LIST_TAG_VALUE, ONE_IN_100, false},
    {"tag value, 1 in 10", LIST_TAG_VALUE, ONE_IN_10, false},
    {"two words, 200 secrets", LIST_WORD, GROUP, true},
    {"two words, 1 in 100", LIST_WORD, ONE_IN_100, true},
};

/* The terms of the v-th variant; texts in `out`. */
static size_t shape_terms(const struct store *store, const struct shape *shape, uint64_t v,
                          char out[2][64], struct list_term terms[2]) {
    uint64_t group = (v * 7 + 1) % store->groups;

    terms[0] = (struct list_term){.field = shape->field, .prefix = out[0]};
    terms[1] = (struct list_term){.field = shape->field, .prefix = out[1]};
    if (shape->scope == NONE) {
        return 0;
    }
    switch (shape->field) {
    case LIST_NAME:
        if (shape->scope == GROUP) {
            (void)snprintf(out[0], 64, "shared/cluster-%04" PRIu64, group % (store->groups / 10));
        } else if (shape->scope == ONE_IN_100) {
            (void)snprintf(out[0], 64, "%s/%s", areas[v % 9], teams[(v + 3) % 10]);
        } else {
            (void)snprintf(out[0], 64, "%s/", areas[v % 9]);
        }
        return 1;
    case LIST_TAG_KEY:
        (void)snprintf(out[0], 64,
                       shape->scope == GROUP        ? "app-%04" PRIu64
                       : shape->scope == ONE_IN_100 ? "group-%02" PRIu64
                                                    : "zone-%" PRIu64,
                       shape->scope == GROUP ? group : v);
        return 1;
    case LIST_TAG_VALUE:
        (void)snprintf(out[0], 64,
                       shape->scope == GROUP        ? "owner-%04" PRIu64
                       : shape->scope == ONE_IN_100 ? "cost-%02" PRIu64
                                                    : "rack-%" PRIu64,
                       shape->scope == GROUP ? group : v);
        return 1;
    case LIST_WORD:
        (void)snprintf(out[0], 64, "%s",
                       shape->scope == GROUP ? "owner"
                       : shape->is_word      ? areas[v % 9]
                                             : "");
        if (shape->scope == GROUP) {
            (void)snprintf(out[1], 64, "%04" PRIu64, group);
        } else {
            (void)snprintf(out[1], 64, "%s", teams[(v + 3) % 10]);
        }
        return 2;
    case LIST_PRIMARY_REGION:
        break;
    }
    return 0;
}

/* A place near the middle of the list. */
static void middle_of(const struct store *store, const struct shape *shape, enum list_order order,
                      const char *prefix, struct list_position *ret) {
    *ret = (struct list_position){.is_set = true};
    switch (order) {
    case LIST_BY_CREATED:
        ret->seq = (store->n / 2) << 9;
        break;
    case LIST_BY_CHANGED:
        ret->when = START_MS + (int64_t)store->writes / 2 * 1000;
        ret->seq = 1;
        break;
    case LIST_BY_ACCESSED:
        ret->when = 19700 + 22; /* a third was never accessed */
        ret->seq = (store->n / 2) << 9;
        break;
    case LIST_BY_NAME:
        if (shape->field != LIST_NAME || shape->scope == NONE) {
            (void)snprintf(ret->name, sizeof(ret->name), "prod/platform");
        } else if (shape->scope == ONE_IN_10) {
            (void)snprintf(ret->name, sizeof(ret->name), "%sn", prefix);
        } else {
            (void)snprintf(ret->name, sizeof(ret->name), "%s/service-%06" PRIu64, prefix,
                           store->n / 2);
        }
        break;
    }
}

static int double_compare(const void *a, const void *b) {
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right ? 1 : 0;
}

struct cell {
    double first_us; /* the first page, as it comes */
    double again_us; /* once more, out of the cache */
    double middle_us;
    size_t n;
    size_t n_middle;
};

static void measure(struct store *store, const struct shape *shape, enum list_order order,
                    bool descending, struct cell *ret) {
    double first[VARIANTS];
    double again[VARIANTS];
    double middle[VARIANTS];

    for (uint64_t v = 0; v < VARIANTS; v++) {
        char texts[2][64];
        struct list_term terms[2];
        size_t n_terms = shape_terms(store, shape, v, texts, terms);
        const struct list_terms conjunction = {.terms = terms, .n = n_terms};
        const struct list_clause clause = {.any = &conjunction, .n = 1};
        const struct list_query query = {.order = order,
                                         .descending = descending,
                                         .clauses = &clause,
                                         .n_clauses = n_terms > 0 ? 1 : 0};
        struct list_position at = {.is_set = false};
        struct list_position at_again = {.is_set = false};
        struct list_position half;
        double begin = now_us();
        ret->n = read_page(store, &query, terms, n_terms, PAGE, &at);
        first[v] = now_us() - begin;
        begin = now_us();
        ret->n = read_page(store, &query, terms, n_terms, PAGE, &at_again);
        again[v] = now_us() - begin;
        middle_of(store, shape, order, texts[0], &half);
        begin = now_us();
        ret->n_middle = read_page(store, &query, terms, n_terms, PAGE, &half);
        middle[v] = now_us() - begin;
    }
    qsort(first, VARIANTS, sizeof(first[0]), double_compare);
    qsort(again, VARIANTS, sizeof(again[0]), double_compare);
    qsort(middle, VARIANTS, sizeof(middle[0]), double_compare);
    ret->first_us = first[VARIANTS / 2];
    ret->again_us = again[VARIANTS / 2];
    ret->middle_us = middle[VARIANTS / 2];
}

static const char *const order_names[] = {"created", "changed", "accessed", "name"};

/* By the match: with few secrets a page may not be full. */
static double ratio(double few_us, size_t few, double many_us, size_t many) {
    return many_us / (double)(many > 0 ? many : 1) / (few_us / (double)(few > 0 ? few : 1));
}

static void print_row(const struct shape *shape, enum list_order order, bool descending,
                      const struct cell cells[SIZES]) {
    const struct cell *few = &cells[0];
    const struct cell *many = &cells[1];

    (void)printf(
        "%-22s %-8s %-4s |%7.0f %7.0f %5.1f |%7.0f %7.0f %5.1f |%7.0f %7.0f %5.1f | %3zu "
        "%3zu, %3zu %3zu\n",
        shape->what, order_names[order], descending ? "desc" : "asc", few->first_us, many->first_us,
        ratio(few->first_us, few->n, many->first_us, many->n), few->again_us, many->again_us,
        ratio(few->again_us, few->n, many->again_us, many->n), few->middle_us, many->middle_us,
        ratio(few->middle_us, few->n_middle, many->middle_us, many->n_middle), few->n, many->n,
        few->n_middle, many->n_middle);
}

/* RocksDB tidies up behind a filling; that is no part of a page. */
static void settle(struct store *store) {
    static const char *const properties[] = {"rocksdb.num-running-compactions",
                                             "rocksdb.num-running-flushes",
                                             "rocksdb.compaction-pending"};
    const struct timespec moment = {.tv_nsec = 200L * 1000 * 1000};
    uint64_t busy = 1;

    while (busy > 0) {
        busy = 0;
        (void)nanosleep(&moment, NULL);
        for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
            for (size_t f = 0; f < FAMILY_COUNT; f++) {
                uint64_t value = 0;
                (void)rocksdb_property_int_cf(store->engine->db, store->engine->families[f],
                                              properties[i], &value);
                busy += value;
            }
        }
    }
}

static void fill(struct store *store, uint64_t n) {
    double create_us;

    store_open(store, n);
    create_us = write_many(store, n, BATCH, 0, false);
    (void)printf("%8" PRIu64 " secrets: create %6.1f us (%d a commit)", n, create_us, BATCH);
    (void)fflush(stdout);
    settle(store);
    (void)printf(", put %5.1f us (%d a commit)", write_many(store, PUTS, BATCH, 1, true), BATCH);
    (void)printf(", put %5.1f us (1 a commit)", write_many(store, PUTS, 1, 2, true));
    settle(store);
    folder_bytes = 0;
    CHECK(nftw(store->folder, add_bytes, 16, FTW_PHYS) == 0);
    (void)printf(", %" PRIu64 " MiB\n", folder_bytes >> 20);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    static struct store stores[SIZES];
    uint64_t sizes[SIZES] = {5000, 500000};

    for (int i = 0; i < SIZES && i + 1 < argc; i++) {
        sizes[i] = strtoull(argv[i + 1], NULL, 10);
        if (sizes[i] < 10UL * PER_GROUP) {
            (void)fprintf(stderr, "lists: at least %d secrets\n", 10 * PER_GROUP);
            return 1;
        }
    }
    for (size_t s = 0; s < SIZES; s++) {
        fill(&stores[s], sizes[s]);
    }
    (void)printf("us a page with %" PRIu64 " and with %" PRIu64
                 " secrets, x: many to few, by the match\n"
                 "%-36s | the first page, cold | the same again       | from the middle, cold | "
                 "matches: first, middle\n",
                 sizes[0], sizes[1], "filter, order");
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        for (int order = LIST_BY_CREATED; order <= LIST_BY_NAME; order++) {
            for (int descending = 0; descending < 2; descending++) {
                struct cell cells[SIZES];
                for (size_t s = 0; s < SIZES; s++) {
                    measure(&stores[s], &shapes[i], (enum list_order)order, descending != 0,
                            &cells[s]);
                }
                print_row(&shapes[i], (enum list_order)order, descending != 0, cells);
                (void)fflush(stdout);
            }
        }
    }
    for (size_t s = 0; s < SIZES; s++) {
        store_close(&stores[s]);
    }
    return 0;
}
