#include "model/secret_id.h"

#include <stdio.h>
#include <string.h>

static const char invalid_name[] = "Invalid name. Must be a valid name containing alphanumeric "
                                   "characters, or any of the following: -/_+=.@!";

/* Not isalnum(): the alphabet must not depend on a locale. */
static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_name_char(char c) {
    return is_alnum(c) || (c != '\0' && strchr("-/_+=.@", c) != NULL);
}

/* One or more characters of a SecretId's alphabet, which has '!' for managed secrets. */
static bool is_id_text(const char *text) {
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_name_char(*text) && *text != '!') {
            return false;
        }
    }
    return true;
}

static bool is_partition(const char *text) {
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_lower(*text) && !is_digit(*text) && *text != '-') {
            return false;
        }
    }
    return true;
}

static bool is_account(const char *text) {
    size_t len = 0;

    for (; is_digit(text[len]); len++) {
    }
    return len == LIMIT_ACCOUNT && text[len] == '\0';
}

/* The text up to the next ':' goes to `out`, and *text behind that; false when there is no ':' or
 * it does not fit. */
static bool take_field(const char **text, char *out, size_t size) {
    const char *end = strchr(*text, ':');
    size_t len;

    if (end == NULL) {
        return false;
    }
    len = (size_t)(end - *text);
    if (len >= size) {
        return false;
    }
    memcpy(out, *text, len);
    out[len] = '\0';
    *text = end + 1;
    return true;
}

static void copy_text(char *out, const char *text, size_t len) {
    memcpy(out, text, len);
    out[len] = '\0';
}

/* NAME-SUFFIX if it ends like one, a bare name otherwise. */
static void split_tail(const char *tail, struct secret_id *id) {
    size_t len = strlen(tail);
    size_t name_len = len > LIMIT_ARN_SUFFIX + 1 ? len - LIMIT_ARN_SUFFIX - 1 : 0;
    bool has_suffix = name_len > 0 && tail[name_len] == '-';

    for (size_t i = name_len + 1; has_suffix && i < len; i++) {
        has_suffix = is_alnum(tail[i]);
    }
    if (has_suffix) {
        copy_text(id->name, tail, name_len);
        copy_text(id->suffix, tail + name_len + 1, LIMIT_ARN_SUFFIX);
    } else {
        copy_text(id->name, tail, len);
    }
}

static bool parse_arn(const char *text, struct secret_id *id) {
    char word[16];

    id->is_arn = true;
    if (!take_field(&text, word, sizeof(word)) || strcmp(word, "arn") != 0 ||
        !take_field(&text, id->partition, sizeof(id->partition)) || !is_partition(id->partition) ||
        !take_field(&text, word, sizeof(word)) || strcmp(word, "secretsmanager") != 0 ||
        !take_field(&text, id->region, sizeof(id->region)) || !region_name_is_valid(id->region) ||
        !take_field(&text, id->account, sizeof(id->account)) || !is_account(id->account) ||
        !take_field(&text, word, sizeof(word)) || strcmp(word, "secret") != 0 ||
        !is_id_text(text)) {
        return false;
    }
    split_tail(text, id);
    return true;
}

enum errc secret_id_parse(const char *text, struct secret_id *ret, struct err *err) {
    struct secret_id id = {.is_arn = false};
    size_t len = strnlen(text, LIMIT_SECRET_ID + 1);
    bool is_good = false;

    if (len <= LIMIT_SECRET_ID) {
        if (strncmp(text, "arn:", 4) == 0) {
            is_good = parse_arn(text, &id);
        } else if (is_id_text(text)) {
            copy_text(id.name, text, len);
            is_good = true;
        }
    }
    if (!is_good) {
        return err_set(err, ERR_VALIDATION, "%s", invalid_name);
    }
    *ret = id;
    return OK;
}

bool secret_name_is_valid(const char *name) {
    size_t len = 0;

    for (; is_name_char(name[len]); len++) {
        if (len == LIMIT_NAME) {
            return false;
        }
    }
    return len > 0 && name[len] == '\0';
}

void secret_arn(char *out, size_t size, const char *region, const char *account, const char *name,
                const char *suffix) {
    int len = snprintf(out, size, "arn:aws:secretsmanager:%s:%s:secret:%s-%s", region, account,
                       name, suffix);
    CHECK(len >= 0 && (size_t)len < size);
}

bool region_name_matches(const char *region) {
    size_t i = 0;
    size_t words = 0;

    while (is_lower(region[i])) {
        for (; is_lower(region[i]); i++) {
        }
        if (region[i++] != '-') {
            return false;
        }
        words++;
    }
    if (words == 0 || !is_digit(region[i])) {
        return false;
    }
    for (; is_digit(region[i]); i++) {
    }
    return region[i] == '\0';
}

bool region_name_is_valid(const char *region) {
    return strnlen(region, LIMIT_REGION_NAME + 1) <= LIMIT_REGION_NAME &&
           region_name_matches(region);
}

void secret_suffix(const unsigned char random[32], char out[LIMIT_ARN_SUFFIX + 1]) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LETTERS = sizeof(alphabet) - 1, FAIR = 256 / LETTERS * LETTERS, RANDOM = 32 };
    size_t n = 0;

    /* Bytes above the last whole multiple would favour the first letters. 27 of 32 such bytes do
       not happen (2^-110); the second pass only keeps the function total. */
    for (size_t i = 0; i < RANDOM && n < LIMIT_ARN_SUFFIX; i++) {
        if (random[i] < FAIR) {
            out[n++] = alphabet[random[i] % LETTERS];
        }
    }
    for (size_t i = 0; n < LIMIT_ARN_SUFFIX; i++) {
        out[n++] = alphabet[random[i] % LETTERS];
    }
    out[n] = '\0';
}
