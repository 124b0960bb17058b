#include "crypto/credentials.h"

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"
#include "crypto/sigv4_query.h"
#include "crypto/sigv4_time.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 256 * 1024,
    KEYS_MAX = 1024, /* a file of more is a mistake: identities proper are not kept in it */
    SECRET_MAX = 128,
    TOKEN_MIN = 16, /* shorter is a stray word behind the account, and not to be guessed */
    ARN_SIZE = sizeof("arn:aws:iam::123456789012:root"),
    /* Signing keys kept for each access key. One client uses one or two regions; the day changes
     * once. */
    SIGNING_KEYS = 4,
    NEW_ID_RANDOM = 16, /* characters behind "AKIA" */
    NEW_SECRET_RANDOM = 30
};

struct signing_key {
    char date[9];
    char region[SIGV4_SCOPE_MAX + 1];
    char service[SIGV4_SCOPE_MAX + 1];
    uint8_t key[32];
    uint64_t used; /* 0: empty */
};

struct entry {
    struct identity identity; /* points into what follows */
    char id[SIGV4_KEY_ID_MAX + 1];
    char account[LIMIT_ACCOUNT + 1];
    char arn[ARN_SIZE];
    struct secret secret; /* owned */
    struct secret token;  /* owned; empty: a long-term key */
    int64_t expires_ms;   /* INT64_MAX: never */
    size_t line;          /* of the file */
    pthread_mutex_t lock; /* guards what is below */
    uint64_t ticks;
    struct signing_key keys[SIGNING_KEYS];
};

struct credentials {
    struct entry **entries; /* sorted by id; each owned, and never moved */
    size_t n;
    const struct entry *first; /* of the file */
};

struct word {
    const char *at;
    size_t len;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* The next word of a line, which moves behind it; empty at the end and at a comment. */
static struct word next_word(const char **at, const char *end) {
    struct word word;

    while (*at < end && is_blank(**at)) {
        (*at)++;
    }
    word = (struct word){*at, 0};
    if (*at < end && **at == '#') {
        *at = end;
        return word;
    }
    while (*at < end && !is_blank(**at)) {
        (*at)++;
    }
    word.len = (size_t)(*at - word.at);
    return word;
}

static bool word_is_key_id(struct word word) {
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_')) {
            return false;
        }
    }
    return word.len >= 1 && word.len <= SIGV4_KEY_ID_MAX;
}

static bool word_is_graphic(struct word word, size_t min, size_t max) {
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] <= 0x20 || word.at[i] >= 0x7f) {
            return false;
        }
    }
    return word.len >= min && word.len <= max;
}

static bool word_is_account(struct word word) {
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] < '0' || word.at[i] > '9') {
            return false;
        }
    }
    return word.len == LIMIT_ACCOUNT;
}

/* One line, as it stands there. */
struct line {
    struct word id, secret, account, token, expires;
    int64_t expires_ms;
    size_t number;
};

static bool read_words(const char *at, const char *end, struct line *ret) {
    ret->id = next_word(&at, end);
    ret->secret = next_word(&at, end);
    ret->account = next_word(&at, end);
    ret->token = next_word(&at, end);
    ret->expires = next_word(&at, end);
    ret->expires_ms = INT64_MAX;
    return next_word(&at, end).len == 0 && word_is_key_id(ret->id) &&
           word_is_graphic(ret->secret, 1, SECRET_MAX) && word_is_account(ret->account) &&
           (ret->token.len == 0 || word_is_graphic(ret->token, TOKEN_MIN, SIGV4_TOKEN_MAX)) &&
           (ret->expires.len == 0 ||
            sigv4_time_parse_extended(ret->expires.at, ret->expires.len, &ret->expires_ms));
}

static void entry_free(struct entry *entry) {
    if (entry == NULL) {
        return;
    }
    secret_fini(&entry->secret);
    secret_fini(&entry->token);
    CHECK(pthread_mutex_destroy(&entry->lock) == 0);
    wipe_free(entry);
}

/* NULL without memory. */
static struct entry *entry_new(const struct line *line) {
    struct entry *entry = wipe_calloc(1, sizeof(*entry));

    if (entry == NULL) {
        return NULL;
    }
    CHECK(pthread_mutex_init(&entry->lock, NULL) == 0);
    memcpy(entry->id, line->id.at, line->id.len);
    memcpy(entry->account, line->account.at, line->account.len);
    (void)snprintf(entry->arn, sizeof(entry->arn), "arn:aws:iam::%s:root", entry->account);
    entry->line = line->number;
    entry->expires_ms = line->expires_ms;
    entry->identity = (struct identity){entry->id, entry->account, entry->arn};
    if (!secret_init_copy(&entry->secret, line->secret.at, line->secret.len) ||
        (line->token.len > 0 &&
         !secret_init_copy(&entry->token, line->token.at, line->token.len))) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

/* Sentences name a line by its number only. */
static enum errc read_line(struct credentials *credentials, const char *path, const char *at,
                           const char *end, size_t number, struct err *err) {
    struct line line = {.number = number};
    const char *from = at;
    struct entry *entry;

    if (next_word(&from, end).len == 0) {
        return OK;
    }
    if (!read_words(at, end, &line)) {
        return err_set(err, ERR_CORRUPT,
                       "%s, line %zu: expected an access key id, its secret and a 12-digit "
                       "account; for a temporary key then its session token (at least %d "
                       "characters), and perhaps when it ends, as 2026-01-15T12:30:45Z",
                       path, number, TOKEN_MIN);
    }
    if (credentials->n == KEYS_MAX) {
        return err_set(err, ERR_CORRUPT, "%s, line %zu: more than %d access keys", path, number,
                       KEYS_MAX);
    }
    entry = entry_new(&line);
    if (entry == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    credentials->entries[credentials->n++] = entry;
    return OK;
}

static int compare_entries(const void *left, const void *right) {
    const struct entry *const *a = left, *const *b = right;

    return strcmp((*a)->id, (*b)->id);
}

static enum errc index_entries(struct credentials *credentials, const char *path, struct err *err) {
    if (credentials->n == 0) {
        return err_set(err, ERR_CORRUPT, "%s holds no access key", path);
    }
    credentials->first = credentials->entries[0];
    qsort(credentials->entries, credentials->n, sizeof(credentials->entries[0]), compare_entries);
    for (size_t i = 1; i < credentials->n; i++) {
        const struct entry *a = credentials->entries[i - 1], *b = credentials->entries[i];
        if (strcmp(a->id, b->id) == 0) {
            return err_set(err, ERR_CORRUPT, "%s, lines %zu and %zu: the same access key id", path,
                           a->line < b->line ? a->line : b->line,
                           a->line < b->line ? b->line : a->line);
        }
    }
    return OK;
}

static enum errc read_lines(struct credentials *credentials, const char *path,
                            const struct secret *text, struct err *err) {
    const char *at = (const char *)text->data, *end = at + text->len;
    enum errc errc = OK;

    for (size_t line = 1; at < end && errc == OK; line++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) {
            line_end = end;
        }
        errc = read_line(credentials, path, at, line_end, line, err);
        at = line_end + (line_end < end ? 1 : 0);
    }
    return errc == OK ? index_entries(credentials, path, err) : errc;
}

enum errc credentials_load(const char *path, struct credentials **ret, struct err *err) {
    struct credentials *credentials = NULL;
    struct secret text = {NULL, 0};
    enum errc errc = key_file_read(path, KEY_FILE_PRIVATE, FILE_MAX, &text, err);

    if (errc != OK) {
        return errc;
    }
    credentials = calloc(1, sizeof(*credentials));
    if (credentials != NULL) {
        credentials->entries = calloc(KEYS_MAX, sizeof(struct entry *));
    }
    if (credentials == NULL || credentials->entries == NULL) {
        errc = err_default(err, ERR_NO_MEMORY);
        goto out;
    }
    errc = read_lines(credentials, path, &text, err);
    if (errc == OK) {
        *ret = credentials;
        credentials = NULL;
    }
out:
    secret_fini(&text);
    credentials_free(credentials);
    return errc;
}

void credentials_free(struct credentials *credentials) {
    if (credentials == NULL) {
        return;
    }
    for (size_t i = 0; i < credentials->n; i++) {
        entry_free(credentials->entries[i]);
    }
    free(credentials->entries);
    free(credentials);
}

enum errc credentials_create(const char *path, const char *account, const struct world *world,
                             struct err *err) {
    /* 32 characters: five random bits each, without bias. */
    static const char id_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t id[NEW_ID_RANDOM], secret[NEW_SECRET_RANDOM];
    struct buf text;
    enum errc errc;

    if (!word_is_account((struct word){account, strlen(account)})) {
        return err_set(err, ERR_INVALID_PARAMETER, "An account is 12 digits.");
    }
    buf_init(&text, 1024);
    world_random(world, id, sizeof(id));
    world_random(world, secret, sizeof(secret));
    buf_append_str(&text,
                   "# access_key_id secret_access_key account [session_token [expires]]\nAKIA");
    for (size_t i = 0; i < sizeof(id); i++) {
        buf_append_u8(&text, (uint8_t)id_characters[id[i] % 32]);
    }
    buf_append_u8(&text, ' ');
    base64_encode(&text, secret, sizeof(secret));
    buf_printf(&text, " %s\n", account);
    errc = text.failed ? err_default(err, ERR_NO_MEMORY)
                       : key_file_create(path, KEY_FILE_PRIVATE, text.data, text.len, err);
    wipe(secret, sizeof(secret));
    buf_fini(&text);
    return errc;
}

void credentials_first(const struct credentials *credentials, const char **ret_id,
                       const struct secret **ret_secret, const struct secret **ret_token) {
    *ret_id = credentials->first->id;
    *ret_secret = &credentials->first->secret;
    *ret_token = credentials->first->token.len > 0 ? &credentials->first->token : NULL;
}

static struct entry *find_entry(const struct credentials *credentials, const char *access_key_id) {
    size_t low = 0, high = credentials->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(access_key_id, credentials->entries[middle]->id);
        if (order == 0) {
            return credentials->entries[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct identity *credentials_find(const struct credentials *credentials,
                                        const char *access_key_id) {
    const struct entry *entry = find_entry(credentials, access_key_id);

    return entry ? &entry->identity : NULL;
}

/* The request's token, decoded, equals the key's. */
static bool token_is_right(const struct sigv4_claim *claim, const struct secret *token) {
    char decoded[SIGV4_TOKEN_MAX + 1];
    size_t len = 0;
    bool right;

    if (!claim->query_form) {
        return claim->security_token_len == token->len &&
               digest_equal(claim->security_token, token->data, token->len);
    }
    right = query_decode(claim->security_token, claim->security_token_len, decoded, sizeof(decoded),
                         &len) &&
            len == token->len && digest_equal(decoded, token->data, token->len);
    wipe(decoded, sizeof(decoded));
    return right;
}

enum errc credentials_check_session(const struct credentials *credentials,
                                    const struct identity *identity,
                                    const struct sigv4_claim *claim, int64_t now_ms,
                                    struct err *err) {
    const struct entry *entry = find_entry(credentials, identity->access_key_id);
    bool is_given = claim->security_token != NULL;

    CHECK(entry != NULL && identity == &entry->identity);
    if (is_given != (entry->token.len > 0) || (is_given && !token_is_right(claim, &entry->token))) {
        return err_default(err, ERR_UNRECOGNIZED_CLIENT);
    }
    return now_ms < entry->expires_ms ? OK : err_default(err, ERR_EXPIRED_TOKEN);
}

static bool signing_key_is_for(const struct signing_key *key, const struct sigv4_claim *claim) {
    return key->used != 0 && strcmp(key->date, claim->date) == 0 &&
           strcmp(key->region, claim->region) == 0 && strcmp(key->service, claim->service) == 0;
}

static bool cache_get(struct entry *entry, const struct sigv4_claim *claim, uint8_t out[32]) {
    bool found = false;

    CHECK(pthread_mutex_lock(&entry->lock) == 0);
    for (size_t i = 0; i < SIGNING_KEYS && !found; i++) {
        if (signing_key_is_for(&entry->keys[i], claim)) {
            entry->keys[i].used = ++entry->ticks;
            memcpy(out, entry->keys[i].key, sizeof(entry->keys[i].key));
            found = true;
        }
    }
    CHECK(pthread_mutex_unlock(&entry->lock) == 0);
    return found;
}

/* In the place of the one that was not used for longest. */
static void cache_put(struct entry *entry, const struct sigv4_claim *claim, const uint8_t key[32]) {
    struct signing_key *victim = &entry->keys[0];

    CHECK(pthread_mutex_lock(&entry->lock) == 0);
    for (size_t i = 1; i < SIGNING_KEYS; i++) {
        if (entry->keys[i].used < victim->used) {
            victim = &entry->keys[i];
        }
    }
    memcpy(victim->date, claim->date, sizeof(victim->date));
    memcpy(victim->region, claim->region, sizeof(victim->region));
    memcpy(victim->service, claim->service, sizeof(victim->service));
    memcpy(victim->key, key, sizeof(victim->key));
    victim->used = ++entry->ticks;
    CHECK(pthread_mutex_unlock(&entry->lock) == 0);
}

void credentials_signing_key(struct credentials *credentials, const struct identity *identity,
                             const struct sigv4_claim *claim, uint8_t out[32]) {
    struct entry *entry = find_entry(credentials, identity->access_key_id);

    CHECK(entry != NULL && identity == &entry->identity);
    if (cache_get(entry, claim, out)) {
        return;
    }
    /* Outside the lock: four HMACs, and the worst case is that two threads derive the same key. */
    sigv4_signing_key(&entry->secret, claim->date, claim->region, claim->service, out);
    cache_put(entry, claim, out);
}
