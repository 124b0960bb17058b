/* Memory that is wiped when it is given back, and `struct secret`, the only home of a plaintext
 * value.
 *
 * wipe_malloc and friends have malloc's contract and can be handed to a vendor library as its
 * allocator, so that what it frees (JSON strings, HTTP buffers, TLS records) leaves nothing behind.
 * Any thread. */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

void *wipe_malloc(size_t size);
void *wipe_calloc(size_t count, size_t size);
/* A block that moves is wiped at its old place. */
void *wipe_realloc(void *ptr, size_t size);
char *wipe_strdup(const char *text);
void wipe_free(void *ptr);
/* Overwrite; never optimised away. */
void wipe(void *ptr, size_t len);

/* A plaintext value. No printer exists for it on purpose. */
struct secret {
    uint8_t *data; /* owned, from wipe_malloc; NULL when empty */
    size_t len;
};

/* An uninitialised secret of `len` bytes; false when memory is out. Takes nothing, returns owned
 * memory in *secret. */
MUSTCHECK _Bool secret_init(struct secret *secret, size_t len);
/* A copy of the bytes; false when memory is out. Borrows `data`. */
MUSTCHECK _Bool secret_init_copy(struct secret *secret, const void *data, size_t len);
/* Wipes and frees; the secret is empty afterwards. Takes an empty one too. */
void secret_fini(struct secret *secret);

#endif
