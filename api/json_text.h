/* JSON as text: reading a body that nobody has vouched for, and writing strings.
 *
 * A body is refused before it is parsed when it is too deep or holds too many values, and when it
 * repeats a member. Everything that the JSON library allocates is wiped when it is freed. No text
 * of a body ever gets into an error. Any thread. */
#ifndef API_JSON_TEXT_H
#define API_JSON_TEXT_H

#include "base/buf.h"
#include "base/errc.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* *ret is an object, owned (json_decref). No bytes at all are {}. ERR_SERIALIZATION. */
MUSTCHECK enum errc json_text_parse(const uint8_t *text, size_t len, json_t **ret, struct err *err);

/* Append `len` bytes as a JSON string with its quotes. UTF-8 stays as it is; what is no UTF-8 (a
 * sentence that was cut) becomes U+FFFD, so that the output always parses. */
void json_text_string(struct buf *out, const void *data, size_t len);

/* The number of characters (code points); -1: not UTF-8. */
int64_t json_text_characters(const void *data, size_t len);
/* The largest length not above `max` that does not cut a character in two. */
size_t json_text_cut(const char *text, size_t max);

#endif
