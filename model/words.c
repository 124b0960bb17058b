#include "model/words.h"

#include <string.h>

enum char_class {
    CHAR_END,
    CHAR_CUT,     /* stands between words */
    CHAR_CAPITAL, /* A-Z */
    CHAR_SMALL,   /* a-z */
    CHAR_OTHER,   /* digits, and every byte that is not ASCII: part of a word, never a cut */
    CHAR_MARK,    /* other ASCII: a word of its own */
};

static enum char_class class_of(char c) {
    unsigned char byte = (unsigned char)c;

    if (byte >= 'a' && byte <= 'z') {
        return CHAR_SMALL;
    }
    if (byte >= 'A' && byte <= 'Z') {
        return CHAR_CAPITAL;
    }
    if ((byte >= '0' && byte <= '9') || byte >= 0x80) {
        return CHAR_OTHER;
    }
    if (byte == '\0') {
        return CHAR_END;
    }
    return strchr(" \t\r\n/_+=.@-", c) != NULL ? CHAR_CUT : CHAR_MARK;
}

static char small(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does a word end before text[at], which is not the first character of its text? */
static bool is_cut_before(const char *text, size_t at) {
    enum char_class class = class_of(text[at]);

    if (class == CHAR_CAPITAL) {
        return class_of(text[at - 1]) == CHAR_SMALL || class_of(text[at + 1]) == CHAR_SMALL;
    }
    return class != CHAR_SMALL && class != CHAR_OTHER;
}

bool words_next(const char *text, size_t *at, struct word *ret) {
    size_t begin = *at;
    size_t end;

    while (class_of(text[begin]) == CHAR_CUT) {
        begin++;
    }
    if (class_of(text[begin]) == CHAR_END) {
        *at = begin;
        return false;
    }
    end = begin + 1;
    while (class_of(text[begin]) != CHAR_MARK && !is_cut_before(text, end)) {
        end++;
    }
    *at = end;
    ret->len = end - begin < WORD_MAX ? end - begin : WORD_MAX;
    for (size_t i = 0; i < ret->len; i++) {
        ret->text[i] = small(text[begin + i]);
    }
    ret->text[ret->len] = '\0';
    return true;
}

/* How many words of a search are looked for in one pass over the text. */
enum { PASS_WORDS = 32 };

/* Of the first *n wanted words, those that no word of the text begins with stay. */
static void drop_found(const char *text, struct word *wanted, size_t *n) {
    struct word word;

    for (size_t at = 0; *n > 0 && words_next(text, &at, &word);) {
        size_t left = 0;
        for (size_t i = 0; i < *n; i++) {
            if (wanted[i].len > word.len || memcmp(wanted[i].text, word.text, wanted[i].len) != 0) {
                if (left != i) {
                    wanted[left] = wanted[i];
                }
                left++;
            }
        }
        *n = left;
    }
}

bool words_match(const char *text, const char *wanted) {
    struct word words[PASS_WORDS];
    bool has_words = false;
    size_t at = 0;
    size_t n;

    do {
        n = 0;
        while (n < PASS_WORDS && words_next(wanted, &at, &words[n])) {
            n++;
        }
        has_words = has_words || n > 0;
        drop_found(text, words, &n);
        if (n > 0) {
            return false;
        }
    } while (wanted[at] != '\0');
    return has_words;
}
