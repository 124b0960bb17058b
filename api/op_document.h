/* The table of operations as JSON, which the comparison with the service's published models and the
 * tests are made from, and as the page docs/operations.md.
 *
 * Reads constant tables. Any thread. */
#ifndef API_OP_DOCUMENT_H
#define API_OP_DOCUMENT_H

#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes one JSON object and a newline to `out`:
 *   {"operations": [{"name", "action", "class": "read" or "write", "stateless", "resource",
 *                    "summary", "errors": [name], "input": [member], "output": [member]}]}
 *   member: {"name", "kind", "required", "sensitive", and where they apply "idempotency_token",
 *            "min", "max", "pattern", "enum", "element" (of strings), "members" (of a list's
 *            structures)}
 * False when memory is out or writing failed. */
MUSTCHECK bool op_document_print(FILE *out);
/* What `redoubt operations --markdown` prints: for people, the same. False as above. */
MUSTCHECK bool op_markdown_print(FILE *out);

#endif
