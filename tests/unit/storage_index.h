/* What the tests of the index share: its rows as bytes, an index built anew beside it, and random
 * work on secrets and links that leaves nothing out. */
#ifndef TESTS_UNIT_STORAGE_INDEX_H
#define TESTS_UNIT_STORAGE_INDEX_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "storage/engine_inner.h"
#include "storage/index.h"
#include "storage/txn.h"
#include "storage_scratch.h"

#include <inttypes.h>
#include <string.h>

#define HERE "eu-north-1"

static const char *const index_accounts[] = {"123456789012", "123456789013"};

/* ---- random ---- */

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng) {
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline size_t rng_below(struct rng *rng, size_t n) {
    return (size_t)(rng_next(rng) % n);
}

#define PICK(rng, array) ((array)[rng_below((rng), ARRAY_LEN(array))])

/* Seeds are fixed; REDOUBT_SEED=n takes another. Printed, so that a failure can be repeated. */
static inline uint64_t seed_of(uint64_t usual) {
    const char *wanted = getenv("REDOUBT_SEED");
    uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 10) : usual;

    (void)printf("seed %" PRIu64 "\n", seed);
    return seed;
}

/* ---- rows ---- */

/* All rows, each with its lengths before it. */
static inline void index_dump(struct engine *engine, struct buf *out) {
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(engine->db, engine->read, engine->families[FAMILY_INDEX]);

    buf_init(out, 1024 * 1024 * 1024);
    for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_len;
        size_t value_len;
        const char *key = rocksdb_iter_key(it, &key_len);
        const char *value = rocksdb_iter_value(it, &value_len);
        buf_append_le32(out, (uint32_t)key_len);
        buf_append(out, key, key_len);
        buf_append_le32(out, (uint32_t)value_len);
        buf_append(out, value, value_len);
    }
    rocksdb_iter_destroy(it);
    assert_false(out->failed);
}

static inline void print_row(const char *whose, const struct buf *dump, size_t at) {
    size_t len = get_le32(dump->data + at);

    (void)fprintf(stderr, "%s: ", whose);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = dump->data[at + 4 + i];
        (void)fprintf(stderr, byte >= ' ' && byte < 0x7f ? "%c" : "\\%02x", byte);
    }
    (void)fprintf(stderr, " (%u bytes)\n", get_le32(dump->data + at + 4 + len));
}

static inline void assert_same_dump(const struct buf *kept, const struct buf *built) {
    size_t at = 0;

    while (at < kept->len && at < built->len) {
        size_t key_len = get_le32(kept->data + at);
        size_t len = 8 + key_len + get_le32(kept->data + at + 4 + key_len);
        if (at + len > built->len || memcmp(kept->data + at, built->data + at, len) != 0) {
            print_row("kept in step", kept, at);
            print_row("built anew", built, at);
            fail();
        }
        at += len;
    }
    assert_int_equal(kept->len, built->len);
}

/* The index that was kept in step is the one that the state gives. Afterwards the engine has the
 * one that was built. */
static inline void assert_index_is_true(struct engine *engine) {
    struct buf kept;
    struct buf built;
    struct err err;

    index_dump(engine, &kept);
    assert_int_equal(engine_empty_family(engine, FAMILY_INDEX, &err), OK);
    assert_int_equal(index_open(engine, NULL, NULL, &err), OK);
    index_dump(engine, &built);
    assert_same_dump(&kept, &built);
    buf_fini(&kept);
    buf_fini(&built);
}

/* ---- work ---- */

struct worker {
    struct engine *engine;
    struct txn *txn;
    struct rng rng;
    uint64_t seq;   /* the last one given */
    uint64_t index; /* the last one committed */
    int64_t now_ms;
};

static inline void worker_begin(struct worker *worker, struct engine *engine, uint64_t seed) {
    static uint64_t begun; /* several may work on one store, one after the other */
    Redoubt__Region region = REDOUBT__REGION__INIT;

    *worker = (struct worker){.engine = engine,
                              .txn = txn_new(engine),
                              .rng = {.state = seed},
                              .seq = (seed + ++begun) << 32,
                              .now_ms = 1700000000000};
    region.name = (char *)(uintptr_t)HERE;
    txn_put_region(worker->txn, &region);
    txn_commit(worker->txn, ++worker->index);
}

static inline void worker_commit(struct worker *worker) {
    txn_commit(worker->txn, ++worker->index);
}

static inline void worker_end(struct worker *worker) {
    txn_free(worker->txn);
}

static inline void set_text(char **text, const char *value) {
    free(*text);
    *text = value != NULL ? strdup(value) : NULL;
}

/* Texts that share beginnings of every length around the grams', and the names of the API. */
static inline void random_name(struct rng *rng, char out[LIMIT_NAME + 1]) {
    static const char *const stems[] = {
        "prod/", "prod/AppBeta/", "prod/payments/service-", "test", "T", "uat/COMPANYthings/"};
    static const size_t lengths[] = {1,  2,  3,  15, 16, 17, 18,  20,  21,
                                     63, 64, 65, 66, 79, 80, 100, 511, 512};

    if (rng_below(rng, 3) == 0) {
        size_t len = PICK(rng, lengths);
        for (size_t i = 0; i < len; i++) {
            out[i] = (char)('a' + i / 7 % 26);
        }
        out[len - 1 - rng_below(rng, len < 4 ? len : 4)] = (char)('x' + rng_below(rng, 3));
        out[len] = '\0';
        return;
    }
    (void)snprintf(out, LIMIT_NAME + 1, "%s%zu%s", PICK(rng, stems), rng_below(rng, 6),
                   rng_below(rng, 2) == 0 ? "/db" : "");
}

static inline const char *random_tag_text(struct rng *rng) {
    static const char *const texts[] = {
        "env",
        "Env",
        "Environment",
        "production",
        "prod",
        "p",
        "cost-center",
        "cost-center-1",
        "team",
        "",
        "a value of more than sixteen bytes",
        "a value of more than sixty-four bytes, so that grams of the third kind are made of it, 1",
        "a value of more than sixty-four bytes, so that grams of the third kind are made of it, 2",
        "\xc3\xa4ndern",
        "\xff\xff",
        "arn:aws:x",
    };
    return PICK(rng, texts);
}

static inline void random_description(struct rng *rng, char out[512]) {
    static const char *const words[] = {
        "secret",     "Secret",
        "SecretFTag", "the",
        "database",   "credsDatabase#892",
        "of",         "PROD",
        "x",          "aWordofmorethansixtyfourletterswhichislongerthananywordisallowedtobe"};
    size_t n = rng_below(rng, 5);
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, 512 - len, "%s%s", i > 0 ? " " : "", PICK(rng, words));
    }
}

static inline void random_tags(struct rng *rng, Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_tags; i++) {
        redoubt__tag__free_unpacked(secret->tags[i], NULL);
    }
    free(secret->tags);
    secret->n_tags = rng_below(rng, 4);
    secret->tags = calloc(secret->n_tags + 1, sizeof(*secret->tags));
    for (size_t i = 0; i < secret->n_tags; i++) {
        secret->tags[i] = calloc(1, sizeof(*secret->tags[i]));
        redoubt__tag__init(secret->tags[i]);
        set_text(&secret->tags[i]->key, random_tag_text(rng));
        set_text(&secret->tags[i]->value, rng_below(rng, 8) == 0 ? NULL : random_tag_text(rng));
    }
}

static inline void random_versions(struct worker *worker, Redoubt__Secret *secret) {
    size_t n = rng_below(&worker->rng, 10) == 0 ? 99 + rng_below(&worker->rng, 4)
                                                : rng_below(&worker->rng, 3);

    for (size_t i = 0; i < secret->n_versions; i++) {
        redoubt__version__free_unpacked(secret->versions[i], NULL);
    }
    free(secret->versions);
    secret->n_versions = n;
    secret->versions = calloc(n + 1, sizeof(*secret->versions));
    for (size_t i = 0; i < n; i++) {
        Redoubt__Version *version = calloc(1, sizeof(*version));
        redoubt__version__init(version);
        version->has_created_ms = 1;
        version->created_ms = worker->now_ms + (int64_t)rng_below(&worker->rng, 1000);
        if (rng_below(&worker->rng, 50) != 0 || n > 100) {
            version->n_stages = rng_below(&worker->rng, 4) == 0 ? 0 : 1;
        }
        if (version->n_stages > 0) {
            version->stages = calloc(1, sizeof(*version->stages));
            set_text(&version->stages[0], "AWSCURRENT");
        }
        secret->versions[i] = version;
    }
}

static inline void random_origin(struct rng *rng, Redoubt__Secret *secret) {
    static const char *const regions[] = {"eu-north-2", "eu-west-1", "us-east-1", HERE};

    redoubt__origin__free_unpacked(secret->replica_of, NULL);
    secret->replica_of = NULL;
    if (rng_below(rng, 3) == 0) {
        secret->replica_of = calloc(1, sizeof(*secret->replica_of));
        redoubt__origin__init(secret->replica_of);
        set_text(&secret->replica_of->region, PICK(rng, regions));
    }
}

static inline void random_description_of(struct rng *rng, Redoubt__Secret *secret) {
    char description[512];

    random_description(rng, description);
    set_text(&secret->description, description[0] != '\0' ? description : NULL);
}

static inline Redoubt__Secret *worker_new_secret(struct worker *worker, const char *name) {
    Redoubt__Secret *secret = calloc(1, sizeof(*secret));

    redoubt__secret__init(secret);
    set_text(&secret->name, name);
    set_text(&secret->suffix, "AbCdEf");
    random_description_of(&worker->rng, secret);
    random_tags(&worker->rng, secret);
    random_versions(worker, secret);
    random_origin(&worker->rng, secret);
    secret->has_created_seq = 1;
    secret->created_seq = worker->seq += 1 + rng_below(&worker->rng, 1000);
    secret->has_changed_ms = 1;
    secret->changed_ms = worker->now_ms;
    return secret;
}

static inline void worker_change(struct worker *worker, Redoubt__Secret *secret) {
    struct rng *rng = &worker->rng;

    switch (rng_below(rng, 9)) {
    case 0:
        random_description_of(rng, secret);
        break;
    case 1:
        random_tags(rng, secret);
        break;
    case 2:
        random_versions(worker, secret);
        break;
    case 3:
        random_origin(rng, secret); /* promotion, and (as by force) the other way */
        break;
    case 4:
        secret->has_deletion_ms = !secret->has_deletion_ms;
        secret->deletion_ms = worker->now_ms + (int64_t)rng_below(rng, 5000) - 2000;
        break;
    case 5:
        secret->has_last_accessed_day = rng_below(rng, 6) != 0;
        secret->last_accessed_day = 19700 + (int64_t)rng_below(rng, 4);
        break;
    case 6:
        secret->created_seq = worker->seq += 1 + rng_below(rng, 1000); /* made anew */
        break;
    default:
        secret->has_changed_ms = rng_below(rng, 20) != 0; /* a new value */
        secret->changed_ms = worker->now_ms + (int64_t)rng_below(rng, 3);
        break;
    }
}

static inline void worker_link(struct worker *worker, const char *account, const char *name) {
    static const char *const regions[] = {"eu-west-1", "eu-west-2", "us-east-1"};
    const char *region = PICK(&worker->rng, regions);
    Redoubt__Link link = REDOUBT__LINK__INIT;

    if (rng_below(&worker->rng, 2) == 0) {
        txn_delete_link(worker->txn, account, name, region);
        return;
    }
    link.region = (char *)(uintptr_t)region;
    link.has_acked_revision = 1;
    link.acked_revision = rng_next(&worker->rng);
    txn_put_link(worker->txn, account, name, &link);
}

/* One change, not committed. */
static inline void worker_step(struct worker *worker) {
    const char *account = index_accounts[rng_below(&worker->rng, 8) == 0 ? 1 : 0];
    char name[LIMIT_NAME + 1];
    Redoubt__Secret *secret = NULL;
    size_t what = rng_below(&worker->rng, 10);

    random_name(&worker->rng, name);
    worker->now_ms += (int64_t)rng_below(&worker->rng, 3) * 700;
    if (what < 2) {
        worker_link(worker, account, name);
        return;
    }
    assert_int_equal(view_secret(txn_view(worker->txn), account, name, &secret), OK);
    if (secret == NULL) {
        secret = worker_new_secret(worker, name);
        txn_put_secret(worker->txn, account, secret);
    } else if (what == 2) {
        txn_delete_secret(worker->txn, account, secret);
    } else {
        worker_change(worker, secret);
        txn_put_secret(worker->txn, account, secret);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

#endif
