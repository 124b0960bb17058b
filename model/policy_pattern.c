#include "model/policy_pattern.h"

#include <stddef.h>
#include <string.h>

static char small(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same(char a, char b, bool fold) {
    return fold ? small(a) == small(b) : a == b;
}

/* Bytes of the character that `text` begins with; the text is UTF-8, or any byte counts as one. */
static size_t character(const char *text) {
    size_t n = 1;

    if (((unsigned char)text[0] & 0xC0) == 0xC0) {
        while (((unsigned char)text[n] & 0xC0) == 0x80) {
            n++;
        }
    }
    return n;
}

bool policy_pattern_matches(const char *pattern, const char *text, bool fold) {
    const char *star = NULL; /* behind the last '*' */
    const char *resume = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == '?') {
            pattern++;
            text += character(text);
        } else if (*pattern != '\0' && is_same(*pattern, *text, fold)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            /* The last '*' takes one more; what an earlier one takes need not change. */
            pattern = star;
            resume += character(resume);
            text = resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool policy_pattern_covers(const char *pattern, const char *other, bool fold) {
    size_t i = 0;

    for (; pattern[i] != '\0' && pattern[i] != '*' && is_same(pattern[i], other[i], fold); i++) {
        if (pattern[i] == '?') {
            break;
        }
    }
    if (pattern[i] == '*' && pattern[i + 1] == '\0') {
        return true; /* so far no wildcard in either */
    }
    for (; pattern[i] != '\0' && is_same(pattern[i], other[i], fold); i++) {
    }
    return pattern[i] == '\0' && other[i] == '\0';
}
