/* Parameters in a query string: the Query form of a request (AWS_BEHAVIOUR 1.10, 1.11).
 *
 * Pure. A '+' is a plus sign, as in the signature's canonical form. */
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/shape.h"
#include "base/buf.h"
#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

/* The decoded value of the first parameter of that name, as a C string of at most size - 1 bytes.
 * False: there is none, it does not fit, or it is badly encoded. */
MUSTCHECK bool query_get(const char *query, size_t len, const char *name, char *out, size_t size);

/* The parameters that are members of the shape, as a JSON object for shape_decode; appended (look
 * at out->failed). Repeated names make a list of strings. Lists of structures have no sound form in
 * a query and come out as a text, which the decoder refuses. ERR_SERIALIZATION: bad encoding, or a
 * single value given twice. */
MUSTCHECK enum errc query_to_json(const struct shape *shape, const char *query, size_t len,
                                  struct buf *out, struct err *err);

#endif
