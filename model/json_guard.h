/* JSON that nobody has vouched for: what is looked at before the JSON library sees it, and where
 * the library keeps it. Any thread. */
#ifndef MODEL_JSON_GUARD_H
#define MODEL_JSON_GUARD_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

/* Everything that the JSON library allocates from now on is wiped when it is freed. Once a process,
 * however often it is called: before the first document is parsed. */
void json_guard_setup(void);

/* Not deeper than LIMIT_JSON_DEPTH, and not more than LIMIT_JSON_VALUES values: one pass over the
 * bytes, before anything is allocated for them. Whether they are JSON at all is the parser's
 * matter. */
MUSTCHECK bool json_is_modest(const void *text, size_t len);

#endif
