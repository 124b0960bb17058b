/* A structure written as a literal in one parameter of a query: what botocore makes of a nested
 * value when it presigns a URL (AWS_BEHAVIOUR 1.10), `{'Key': 'k', 'Value': 'v'}` as Python prints
 * it; JSON's own spelling is read as well.
 *
 * Strict: one dictionary, keys are strings, values are strings, integers, True, False, None, lists
 * and dictionaries, nothing behind it. Pure. */
#ifndef API_LITERAL_H
#define API_LITERAL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the dictionary as JSON (look at out->failed). False for anything else; what was appended
 * then is of no use. `text` is UTF-8. */
MUSTCHECK bool literal_to_json(const uint8_t *text, size_t len, struct buf *out);

#endif
