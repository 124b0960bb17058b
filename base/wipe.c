#include "base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *wipe_malloc(size_t size) {
    return malloc(size == 0 ? 1 : size);
}

void *wipe_calloc(size_t count, size_t size) {
    return calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void wipe(void *ptr, size_t len) {
    if (len > 0) {
        explicit_bzero(ptr, len);
    }
}

void wipe_free(void *ptr) {
    if (ptr == NULL) {
        return;
    }
    explicit_bzero(ptr, malloc_usable_size(ptr));
    free(ptr);
}

void *wipe_realloc(void *ptr, size_t size) {
    size_t old_size;
    void *moved;

    if (ptr == NULL) {
        return wipe_malloc(size);
    }
    if (size == 0) {
        wipe_free(ptr);
        return NULL;
    }
    /* Never realloc(): it may move the block and leave the old bytes in the heap. */
    old_size = malloc_usable_size(ptr);
    if (size <= old_size && size >= old_size / 2) {
        return ptr;
    }
    moved = malloc(size);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, ptr, old_size < size ? old_size : size);
    wipe_free(ptr);
    return moved;
}

char *wipe_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = wipe_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

_Bool secret_init(struct secret *secret, size_t len) {
    secret->data = wipe_malloc(len);
    secret->len = secret->data ? len : 0;
    return secret->data != NULL;
}

_Bool secret_init_copy(struct secret *secret, const void *data, size_t len) {
    if (!secret_init(secret, len)) {
        return 0;
    }
    if (len > 0) {
        memcpy(secret->data, data, len);
    }
    return 1;
}

void secret_fini(struct secret *secret) {
    wipe_free(secret->data);
    secret->data = NULL;
    secret->len = 0;
}
