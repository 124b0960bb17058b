/* Bump allocation for everything that dies together, e.g. all of one request.
 *
 * Born with a cap on its total size; an allocation past the cap returns NULL and marks the arena
 * failed, so that a builder may look once at the end. Memory is wiped when the arena ends. Cleanup
 * hooks run then, newest first. Not thread-safe. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena_hook;

struct arena {
    struct arena_block *blocks;
    struct arena_hook *hooks;
    size_t used; /* bytes handed out */
    size_t cap;
    bool failed;
};

void arena_init(struct arena *arena, size_t cap);
/* Runs the hooks, wipes and frees everything; the arena can be used again. */
void arena_fini(struct arena *arena);
/* Zeroed memory, aligned for any type; NULL (and failed) past the cap or out of memory. */
MUSTCHECK void *arena_alloc(struct arena *arena, size_t size);
/* A copy of `len` bytes with a NUL behind them. NULL as above. Borrows `text`. */
MUSTCHECK char *arena_strndup(struct arena *arena, const char *text, size_t len);
MUSTCHECK char *arena_strdup(struct arena *arena, const char *text);
MUSTCHECK char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Call hook(arg) when the arena ends. Where memory is out, the hook runs at once and false is
 * returned. */
MUSTCHECK bool arena_at_end(struct arena *arena, void (*hook)(void *arg), void *arg);

#endif
