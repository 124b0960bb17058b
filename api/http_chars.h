/* The characters of HTTP's grammar, for the request parser and for the check of foreign responses.
 * Independent of the locale. Pure. */
#ifndef API_HTTP_CHARS_H
#define API_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static inline uint8_t to_lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline bool is_alnum(uint8_t c) {
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
}

/* A character of a token (RFC 9110, 5.6.2): methods and header names. */
static inline bool is_token_char(uint8_t c) {
    return is_alnum(c) || c == '-' || (c != 0 && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

static inline bool is_token(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!is_token_char((uint8_t)text[i])) {
            return false;
        }
    }
    return len > 0;
}

/* Visible characters, blanks, and the upper half: everything but controls. */
static inline bool is_value_char(uint8_t c) {
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static inline bool is_value(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!is_value_char((uint8_t)text[i])) {
            return false;
        }
    }
    return true;
}

static inline bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Equal but for the case of ASCII letters. */
static inline bool text_is(const char *text, size_t len, const char *other, size_t other_len) {
    if (len != other_len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (to_lower((uint8_t)text[i]) != to_lower((uint8_t)other[i])) {
            return false;
        }
    }
    return true;
}

/* Without the blanks at both ends. */
static inline void text_trim(const char **text, size_t *len) {
    while (*len > 0 && is_blank(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*text)[*len - 1])) {
        (*len)--;
    }
}

#endif
