/* Parameters as text: those of a query string and those of a form body (AWS_BEHAVIOUR 1.10, 1.11).
 *
 * Names are compared decoded: to the signature "%41ction" and "Action" are the same, so they are to
 * us. Pure. */
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/shape.h"
#include "base/buf.h"
#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

/* Borrowed. */
struct query_text {
    const char *text;
    size_t len;
    bool is_form; /* '+' is a space; in a query it is a plus sign, as in the signature */
};

enum query_found {
    QUERY_ABSENT,
    QUERY_FOUND,
    QUERY_BAD, /* given twice, badly encoded, longer than `size` - 1, or with a NUL */
};

/* The decoded value of the parameter of that name, as a C string. */
MUSTCHECK enum query_found query_get(const struct query_text *query, const char *name, char *out,
                                     size_t size);

/* The parameters that are members of the shape, from all texts together, as a JSON object for
 * shape_decode; appended (look at out->failed). Others are ignored.
 *
 *   Name=v                         a single value; true/false also as True/False
 *   Rules.Days=1                   a member of a structure
 *   Keys.member.1=a                a list of strings; so is Keys=a&Keys=b
 *   Tags.member.1.Key=k            a list of structures
 *   Tags={'Key': 'k'}              the same as botocore presigns it: literal.h; may be repeated
 *   Tags=                          an empty list or structure
 *
 * Indices are 1 to LIMIT_LIST_ELEMENTS and say the order only: what is left out takes no room.
 * ERR_SERIALIZATION: bad encoding, a single value given twice, a form that is not the member's, or
 * too many parameters. ERR_NO_MEMORY. Memory from `arena`. */
MUSTCHECK enum errc query_to_json(const struct shape *shape, const struct query_text *texts,
                                  size_t n, struct arena *arena, struct buf *out, struct err *err);

#endif
