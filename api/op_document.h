/* The table of operations as JSON: what `redoubt operations --json` prints, and what documentation
 * and the comparison with the service's published model are made from.
 *
 * Reads constant tables. Any thread. */
#ifndef API_OP_DOCUMENT_H
#define API_OP_DOCUMENT_H

#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes one JSON object and a newline to `out`:
 *   {"operations": [{"name", "action", "class": "read" or "write", "resource", "summary",
 *                    "errors": [name], "input": [member], "output": [member]}]}
 *   member: {"name", "kind", "required", "sensitive", and where they apply "idempotency_token",
 *            "min", "max", "pattern", "enum", "element" (of strings), "members" (of a list's
 *            structures)}
 * False when memory is out or writing failed. */
MUSTCHECK bool op_document_print(FILE *out);

#endif
