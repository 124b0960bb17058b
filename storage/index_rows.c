#include "storage/index_rows.h"

#include "base/bytes.h"
#include "crypto/digest.h"
#include "model/words.h"

#include <stdlib.h>
#include <string.h>

enum {
    FLAG_PURGE = 1,
    FLAG_PRUNE = 2,
    FLAG_LINKS = 4,
    FLAG_PRIMARY_HERE = 8,

    SECRET_HEAD = 49,
};
static const int64_t VERSION_KEPT_MS = 24LL * 60 * 60 * 1000;

/* ---- the row of a secret ---- */

/* The schema's strings may be absent. */
static const char *text_or_empty(const char *text) {
    return text != NULL ? text : "";
}

static void add_text(struct buf *out, const char *text) {
    size_t len = strlen(text_or_empty(text));

    buf_append_le32(out, (uint32_t)len); /* so that two texts cannot trade bytes */
    buf_append(out, text, len);
}

static void terms_digest(const Redoubt__Secret *secret, uint8_t out[INDEX_DIGEST]) {
    uint8_t digest[DIGEST_SIZE];
    struct buf texts;

    buf_init(&texts, LIMIT_INDEX_BATCH);
    add_text(&texts, secret->name);
    add_text(&texts, secret->description);
    add_text(&texts, secret->replica_of != NULL ? secret->replica_of->region : NULL);
    for (size_t i = 0; i < secret->n_tags; i++) {
        add_text(&texts, secret->tags[i]->key);
        add_text(&texts, secret->tags[i]->value);
    }
    CHECK(!texts.failed);
    digest_sha256(texts.data, texts.len, digest);
    buf_fini(&texts);
    memcpy(out, digest, INDEX_DIGEST);
}

/* When the oldest version without a label may go; false: none may. */
static bool prune_time(const Redoubt__Secret *secret, int64_t *ret) {
    bool has = false;

    if (secret->replica_of != NULL || secret->n_versions <= LIMIT_VERSIONS_KEPT) {
        return false;
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        int64_t due = (version->has_created_ms ? version->created_ms : 0) + VERSION_KEPT_MS;
        if (version->n_stages == 0 && (!has || due < *ret)) {
            *ret = due;
            has = true;
        }
    }
    return has;
}

void index_secret_of(const Redoubt__Secret *secret, bool has_links, struct index_secret *ret) {
    size_t len = strlen(secret->name);

    CHECK(len <= LIMIT_NAME);
    *ret = (struct index_secret){
        .changed_ms = secret->has_changed_ms ? secret->changed_ms : 0,
        .accessed_day = secret->has_last_accessed_day ? secret->last_accessed_day : INT64_MIN,
        .has_purge = secret->has_deletion_ms && secret->replica_of == NULL,
    };
    if (ret->has_purge) {
        ret->purge_ms = secret->deletion_ms;
    }
    ret->has_prune = prune_time(secret, &ret->prune_ms);
    index_secret_set_links(ret, has_links, secret->replica_of != NULL);
    terms_digest(secret, ret->digest);
    memcpy(ret->name, secret->name, len + 1);
}

void index_secret_set_links(struct index_secret *row, bool has_links, bool is_replica) {
    row->has_links = has_links;
    row->is_primary_here = has_links && !is_replica;
}

void index_secret_encode(const struct index_secret *row, struct buf *out) {
    buf_append_u8(out,
                  (uint8_t)((row->has_purge ? FLAG_PURGE : 0) | (row->has_prune ? FLAG_PRUNE : 0) |
                            (row->has_links ? FLAG_LINKS : 0) |
                            (row->is_primary_here ? FLAG_PRIMARY_HERE : 0)));
    buf_append_le64(out, (uint64_t)row->changed_ms);
    buf_append_le64(out, (uint64_t)row->accessed_day);
    buf_append_le64(out, (uint64_t)row->purge_ms);
    buf_append_le64(out, (uint64_t)row->prune_ms);
    buf_append(out, row->digest, sizeof(row->digest));
    buf_append_str(out, row->name);
}

bool index_secret_decode(const uint8_t *data, size_t len, struct index_secret *ret) {
    if (len <= SECRET_HEAD || len > SECRET_HEAD + LIMIT_NAME) {
        return false;
    }
    ret->has_purge = (data[0] & FLAG_PURGE) != 0;
    ret->has_prune = (data[0] & FLAG_PRUNE) != 0;
    ret->has_links = (data[0] & FLAG_LINKS) != 0;
    ret->is_primary_here = (data[0] & FLAG_PRIMARY_HERE) != 0;
    ret->changed_ms = (int64_t)get_le64(data + 1);
    ret->accessed_day = (int64_t)get_le64(data + 9);
    ret->purge_ms = (int64_t)get_le64(data + 17);
    ret->prune_ms = (int64_t)get_le64(data + 25);
    memcpy(ret->digest, data + 33, sizeof(ret->digest));
    memcpy(ret->name, data + SECRET_HEAD, len - SECRET_HEAD);
    ret->name[len - SECRET_HEAD] = '\0';
    return true;
}

/* ---- terms ---- */

struct term {
    enum index_field field;
    const char *text;
    size_t len;
};

struct terms {
    struct term *items;
    size_t n;
    size_t room;
    char *words; /* texts of the words */
    size_t words_len;
    bool failed;
};

static void add_term(struct terms *terms, enum index_field field, const char *text, size_t len) {
    if (len == 0 || terms->failed) {
        return;
    }
    if (terms->n == terms->room) {
        size_t room = terms->room ? terms->room * 2 : 64;
        struct term *items = reallocarray(terms->items, room, sizeof(*items));
        if (items == NULL) {
            terms->failed = true;
            return;
        }
        terms->items = items;
        terms->room = room;
    }
    terms->items[terms->n++] =
        (struct term){.field = field, .text = text, .len = len < GRAM_MAX ? len : GRAM_MAX};
}

/* A word is never longer than what it was cut from, so `words` has room for all of them. */
static void add_words(struct terms *terms, const char *text) {
    struct word word;

    for (size_t at = 0; words_next(text, &at, &word);) {
        memcpy(terms->words + terms->words_len, word.text, word.len);
        add_term(terms, INDEX_FIELD_WORD, terms->words + terms->words_len, word.len);
        terms->words_len += word.len;
    }
}

static int term_compare(const void *a, const void *b) {
    const struct term *left = a;
    const struct term *right = b;
    int order;

    if (left->field != right->field) {
        return left->field < right->field ? -1 : 1;
    }
    order = memcmp(left->text, right->text, left->len < right->len ? left->len : right->len);
    if (order != 0 || left->len == right->len) {
        return order;
    }
    return left->len < right->len ? -1 : 1;
}

/* All terms of a secret, in order. Texts are borrowed from the secret and `words`. */
static void terms_of(const Redoubt__Secret *secret, struct terms *ret) {
    const char *description = text_or_empty(secret->description);
    size_t total = strlen(secret->name) + strlen(description);

    *ret = (struct terms){.n = 0};
    for (size_t i = 0; i < secret->n_tags; i++) {
        total += strlen(text_or_empty(secret->tags[i]->key));
        total += strlen(text_or_empty(secret->tags[i]->value));
    }
    ret->words = malloc(total + 1);
    if (ret->words == NULL) {
        ret->failed = true;
        return;
    }
    add_term(ret, INDEX_FIELD_NAME, secret->name, strlen(secret->name));
    add_words(ret, secret->name);
    add_words(ret, description);
    for (size_t i = 0; i < secret->n_tags; i++) {
        const char *key = text_or_empty(secret->tags[i]->key);
        const char *value = text_or_empty(secret->tags[i]->value);
        add_term(ret, INDEX_FIELD_TAG_KEY, key, strlen(key));
        add_term(ret, INDEX_FIELD_TAG_VALUE, value, strlen(value));
        add_words(ret, key);
        add_words(ret, value);
    }
    if (secret->replica_of != NULL) {
        const char *region = text_or_empty(secret->replica_of->region);
        add_term(ret, INDEX_FIELD_PRIMARY_REGION, region, strlen(region));
    }
    if (ret->n > 0) {
        qsort(ret->items, ret->n, sizeof(ret->items[0]), term_compare);
    }
}

/* How long a beginning two terms share. */
static size_t terms_shared(const struct term *a, const struct term *b) {
    size_t len = 0;

    if (a->field != b->field) {
        return 0;
    }
    while (len < a->len && len < b->len && a->text[len] == b->text[len]) {
        len++;
    }
    return len;
}

/* ---- rows of the terms ---- */

void index_rows_init(struct index_rows *rows) {
    *rows = (struct index_rows){.n = 0};
    buf_init(&rows->bytes, LIMIT_INDEX_BATCH);
}

void index_rows_fini(struct index_rows *rows) {
    buf_fini(&rows->bytes);
    free(rows->items);
    *rows = (struct index_rows){.n = 0};
}

static struct index_row *rows_next(struct index_rows *rows) {
    if (rows->n == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 256;
        struct index_row *items = reallocarray(rows->items, room, sizeof(*items));
        if (items == NULL) {
            rows->failed = true;
            return NULL;
        }
        rows->items = items;
        rows->room = room;
    }
    return &rows->items[rows->n++];
}

/* What the terms that share the gram go on with: they stand together from the first on. */
static void add_rests(struct buf *out, const struct terms *terms, size_t first, size_t gram_len) {
    size_t room = gram_rest(terms->items[first].field, gram_len);
    const char *last = NULL;
    size_t last_len = 0;

    for (size_t i = first; room > 0 && i < terms->n; i++) {
        const struct term *term = &terms->items[i];
        const char *rest = term->text + gram_len;
        size_t len;
        if (i > first && terms_shared(&terms->items[first], term) < gram_len) {
            break;
        }
        len = term->len - gram_len < room ? term->len - gram_len : room;
        if (len == 0 || (len == last_len && memcmp(rest, last, len) == 0)) {
            continue;
        }
        buf_append_u8(out, (uint8_t)len);
        buf_append(out, rest, len);
        last = rest;
        last_len = len;
    }
}

/* The rows of one term that the terms before it do not have already. */
static void add_grams(struct index_rows *rows, const char *account, uint64_t seq,
                      const struct terms *terms, size_t i) {
    const struct term *term = &terms->items[i];
    size_t shared = i > 0 ? terms_shared(term, &terms->items[i - 1]) : 0;

    for (size_t len = 1; len <= term->len; len = gram_next(term->field, len)) {
        struct index_row *row;
        struct key key;
        if (len <= shared) {
            continue;
        }
        row = rows_next(rows);
        if (row == NULL) {
            return;
        }
        CHECK(index_key_term(&key, account, term->field, term->text, len, seq));
        row->at = rows->bytes.len;
        row->key_len = key.len;
        buf_append(&rows->bytes, key.data, key.len);
        add_rests(&rows->bytes, terms, i, len);
        row->value_len = rows->bytes.len - row->at - key.len;
    }
}

void index_rows_make(struct index_rows *rows, const char *account, const Redoubt__Secret *secret) {
    struct terms terms;

    rows->n = 0;
    rows->failed = false;
    buf_reset(&rows->bytes);
    terms_of(secret, &terms);
    for (size_t i = 0; i < terms.n; i++) {
        add_grams(rows, account, secret->created_seq, &terms, i);
    }
    rows->failed = rows->failed || terms.failed || rows->bytes.failed;
    free(terms.items);
    free(terms.words);
}

bool index_rest_matches(const uint8_t *value, size_t len, const char *rest, size_t rest_len) {
    size_t at = 0;

    while (at < len && value[at] < len - at) {
        if (value[at] >= rest_len && memcmp(value + at + 1, rest, rest_len) == 0) {
            return true;
        }
        at += 1 + (size_t)value[at];
    }
    return rest_len == 0;
}
