#include "model/function_arn.h"

#include "base/limits.h"
#include "model/secret_id.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

enum { FUNCTION_NAME_MAX = 64, QUALIFIER_MAX = 128, ROLE_PATH_MAX = 512 + 64, WORD_MAX = 130 };

/* The next field of `*text`, up to a colon, which is passed over. False: there is no colon, or the
 * field is longer than any that is valid. */
static bool next_word(const char **text, char out[WORD_MAX]) {
    size_t len = strcspn(*text, ":");

    if ((*text)[len] != ':' || len >= WORD_MAX) {
        return false;
    }
    memcpy(out, *text, len);
    out[len] = '\0';
    *text += len + 1;
    return true;
}

static bool text_is_of(const char *text, size_t len, size_t max, const char *alphabet) {
    return len >= 1 && len <= max && strspn(text, alphabet) >= len;
}

/* "aws", "aws-cn", ... */
static bool partition_is_valid(const char *text) {
    return strncmp(text, "aws", 3) == 0 && text[strspn(text, LETTERS "-")] == '\0';
}

static bool account_is_valid(const char *text) {
    return strlen(text) == LIMIT_ACCOUNT && strspn(text, DIGITS) == LIMIT_ACCOUNT;
}

/* "name" or "name:version" or "name:alias". */
static bool tail_is_valid(const char *text) {
    size_t len = strcspn(text, ":");
    const char *qualifier = text + len + 1;

    if (!text_is_of(text, len, FUNCTION_NAME_MAX, LETTERS DIGITS "-_")) {
        return false;
    }
    return text[len] == '\0' || strcmp(qualifier, "$LATEST") == 0 ||
           text_is_of(qualifier, strlen(qualifier), QUALIFIER_MAX, LETTERS DIGITS "-_");
}

bool function_arn_is_valid(const char *text) {
    char word[WORD_MAX];

    if (strncmp(text, "arn:", 4) == 0) {
        text += 4;
        if (!next_word(&text, word) || !partition_is_valid(word) || !next_word(&text, word) ||
            strcmp(word, "lambda") != 0 || !next_word(&text, word) || !region_name_is_valid(word)) {
            return false;
        }
    } else if (strspn(text, DIGITS) != LIMIT_ACCOUNT || text[LIMIT_ACCOUNT] != ':') {
        return tail_is_valid(text);
    }
    return next_word(&text, word) && account_is_valid(word) && next_word(&text, word) &&
           strcmp(word, "function") == 0 && tail_is_valid(text);
}

bool role_arn_is_valid(const char *text) {
    static const char head[] = "role/";
    char word[WORD_MAX];

    if (!next_word(&text, word) || strcmp(word, "arn") != 0 || !next_word(&text, word) ||
        !partition_is_valid(word) || !next_word(&text, word) || strcmp(word, "iam") != 0 ||
        !next_word(&text, word) || word[0] != '\0' || !next_word(&text, word) ||
        !account_is_valid(word) || strncmp(text, head, strlen(head)) != 0) {
        return false;
    }
    text += strlen(head);
    return text_is_of(text, strlen(text), ROLE_PATH_MAX, LETTERS DIGITS "+=,.@_-/") &&
           text[strlen(text) - 1] != '/';
}
