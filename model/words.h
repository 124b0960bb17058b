/* Words: how texts are cut for searching, and how a search word finds them (AWS_BEHAVIOUR 3.10).
 *
 * A text is cut at blanks, at / _ + = . @ -, and before a capital that begins a word in camel case
 * (before the last capital of a run that a small letter follows, and after a small letter). Any
 * other mark (# : , and so on) is a word of its own. ASCII only: other bytes are part of the word
 * they stand in. Words compare without case: they are given out in small letters.
 *
 * The index on disk is made of these words: a change of the rules is a new INDEX_FORMAT
 * (storage/index.h). Pure, any thread. */
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The longest word that is told apart; what is longer is cut off there, in texts and in searches
 * alike. */
enum { WORD_MAX = 64 };

struct word {
    char text[WORD_MAX + 1]; /* small letters */
    size_t len;
};

/* The next word of `text` at or behind *at, which moves behind it. False: there are no more. */
bool words_next(const char *text, size_t *at, struct word *ret);

/* Every word of `wanted` is the beginning of some word of `text`. False for a `wanted` without
 * words. */
bool words_match(const char *text, const char *wanted);

#endif
