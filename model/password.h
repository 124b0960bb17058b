/* Random passwords (AWS_BEHAVIOUR 3.11). Pure but for the bytes that the caller's source gives. Any
 * thread.
 *
 * Every password that keeps the rules is equally likely: characters are drawn one by one, uniformly
 * from all allowed ones, and a password that lacks a required type is thrown away as a whole. To
 * place one character of each type and fill up the rest would favour them, and some places. */
#ifndef MODEL_PASSWORD_H
#define MODEL_PASSWORD_H

#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

/* The four types. A space is none: it may occur where it is included, it need not. */
struct password_rules {
    size_t length;       /* 1 to LIMIT_PASSWORD */
    const char *exclude; /* characters that may not occur, any text; NULL: none. Borrowed */
    bool exclude_uppercase;
    bool exclude_lowercase;
    bool exclude_numbers;
    bool exclude_punctuation;
    bool include_space;
    bool require_each_type; /* that is not excluded as a type */
};

/* Where unpredictable bytes come from. */
struct password_source {
    void (*random)(void *ctx, void *out, size_t len);
    void *ctx;
};

/* Writes `rules->length` characters, without a NUL, into memory that the caller wipes.
 * ERR_INVALID_PARAMETER with the service's sentence: no character is left, none of a required type
 * is, or the types outnumber the characters. ERR_INTERNAL_SERVICE: the source does not vary. */
MUSTCHECK enum errc password_make(const struct password_rules *rules,
                                  const struct password_source *source, char *out, struct err *err);

#endif
