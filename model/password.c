#include "model/password.h"

#include "base/wipe.h"

#include <stdint.h>
#include <string.h>

enum {
    TYPES = 4,
    SPACE = TYPES, /* in the place of a type */
    ALLOWED_MAX = 95,
    POOL = 64,
    BYTE_VALUES = 256,
    /* The unluckiest rules (four characters, three types of one character and one of 32) let one
       try in 2000 through. */
    TRIES_MAX = 1 << 20,
};

static const char *const type_characters[TYPES] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
};

struct alphabet {
    char characters[ALLOWED_MAX];
    uint8_t types[ALLOWED_MAX];
    unsigned n;
    unsigned required; /* bits of types */
    size_t n_required;
};

/* Bytes of the source, a handful at a time, and wiped. */
struct pool {
    const struct password_source *source;
    uint8_t bytes[POOL];
    size_t left;
};

/* How many of the characters were taken. */
static size_t alphabet_add(struct alphabet *alphabet, const char *characters, unsigned type,
                           const char *exclude) {
    size_t taken = 0;

    for (const char *c = characters; *c != '\0'; c++) {
        if (exclude != NULL && strchr(exclude, *c) != NULL) {
            continue;
        }
        alphabet->characters[alphabet->n] = *c;
        alphabet->types[alphabet->n++] = (uint8_t)type;
        taken++;
    }
    return taken;
}

static enum errc alphabet_make(const struct password_rules *rules, struct alphabet *alphabet,
                               struct err *err) {
    const bool excluded[TYPES] = {rules->exclude_uppercase, rules->exclude_lowercase,
                                  rules->exclude_numbers, rules->exclude_punctuation};
    bool is_emptied = false;

    *alphabet = (struct alphabet){.n = 0};
    for (unsigned type = 0; type < TYPES; type++) {
        if (excluded[type]) {
            continue;
        }
        if (alphabet_add(alphabet, type_characters[type], type, rules->exclude) == 0) {
            is_emptied = true;
        }
        if (rules->require_each_type) {
            alphabet->required |= 1U << type;
            alphabet->n_required++;
        }
    }
    if (rules->include_space) {
        (void)alphabet_add(alphabet, " ", SPACE, rules->exclude);
    }
    if (alphabet->n == 0) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "All characters have been excluded from selection");
    }
    if (is_emptied && rules->require_each_type) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "All characters of the desired type have been excluded");
    }
    if (rules->length < alphabet->n_required) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Password length is too short based on the required types.");
    }
    return OK;
}

/* Below `n`, each value equally likely: bytes above the last whole multiple of `n` are skipped.
 * False: the source gave nothing else, which no random one does. */
static bool pool_draw(struct pool *pool, unsigned n, unsigned *ret) {
    const unsigned usable = BYTE_VALUES - BYTE_VALUES % n;

    for (int i = 0; i < TRIES_MAX; i++) {
        uint8_t byte;
        if (pool->left == 0) {
            pool->source->random(pool->source->ctx, pool->bytes, POOL);
            pool->left = POOL;
        }
        byte = pool->bytes[--pool->left];
        if (byte < usable) {
            *ret = byte % n;
            return true;
        }
    }
    return false;
}

/* One try. The types that occur. */
static bool draw_all(const struct alphabet *alphabet, struct pool *pool, char *out, size_t length,
                     unsigned *ret_types) {
    *ret_types = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned at;
        if (!pool_draw(pool, alphabet->n, &at)) {
            return false;
        }
        out[i] = alphabet->characters[at];
        *ret_types |= 1U << alphabet->types[at];
    }
    return true;
}

enum errc password_make(const struct password_rules *rules, const struct password_source *source,
                        char *out, struct err *err) {
    struct alphabet alphabet;
    struct pool pool = {.source = source};
    enum errc rc = alphabet_make(rules, &alphabet, err);
    unsigned types = 0;
    bool done = false;

    if (rc != OK) {
        return rc;
    }
    for (int i = 0; i < TRIES_MAX && !done; i++) {
        if (!draw_all(&alphabet, &pool, out, rules->length, &types)) {
            break;
        }
        done = (types & alphabet.required) == alphabet.required;
    }
    wipe(&pool, sizeof(pool));
    return done ? OK : err_set(err, ERR_INTERNAL_SERVICE, "The source of random does not vary.");
}
