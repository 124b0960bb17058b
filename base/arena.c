#include "base/arena.h"

#include "base/wipe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_BLOCK = 4096, ARENA_ALIGN = _Alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena_hook {
    struct arena_hook *next;
    void (*hook)(void *arg);
    void *arg;
};

void arena_init(struct arena *arena, size_t cap) {
    *arena = (struct arena){.cap = cap};
}

void arena_fini(struct arena *arena) {
    for (struct arena_hook *hook = arena->hooks; hook != NULL; hook = hook->next) {
        hook->hook(hook->arg);
    }
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        wipe_free(block);
    }
    arena_init(arena, arena->cap);
}

static struct arena_block *arena_grow(struct arena *arena, size_t size) {
    size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;
    struct arena_block *block = wipe_calloc(1, sizeof(*block) + room);

    if (block == NULL) {
        return NULL;
    }
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size) {
    struct arena_block *block = arena->blocks;
    void *ptr;

    if (arena->failed || size > arena->cap - arena->used) {
        arena->failed = true;
        return NULL;
    }
    size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (size > arena->cap - arena->used) {
        arena->failed = true;
        return NULL;
    }
    if (block == NULL || size > block->size - block->used) {
        block = arena_grow(arena, size);
    }
    if (block == NULL) {
        arena->failed = true;
        return NULL;
    }
    ptr = block->bytes + block->used;
    block->used += size;
    arena->used += size;
    return ptr;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len) {
    char *copy = arena_alloc(arena, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...) {
    va_list args;
    int len;
    char *text;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(len >= 0);
    text = arena_alloc(arena, (size_t)len + 1);
    if (text != NULL) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    return text;
}

bool arena_at_end(struct arena *arena, void (*hook)(void *arg), void *arg) {
    struct arena_hook *entry = arena_alloc(arena, sizeof(*entry));

    if (entry == NULL) {
        hook(arg);
        return false;
    }
    *entry = (struct arena_hook){.next = arena->hooks, .hook = hook, .arg = arg};
    arena->hooks = entry;
    return true;
}
