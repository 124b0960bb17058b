/* What a transaction read last and has changed since: the state as it will be, in memory.
 *
 * The writer of the state is alone, so that what it has seen of a key stays true until it changes
 * it itself. Secrets that are written often are then not looked up in the store each time. What is
 * written but never read does not come in, nor do values. Bounded in bytes; the longest unused goes
 * first. Not for other folders; one thread. */
#ifndef STORAGE_RECORD_CACHE_H
#define STORAGE_RECORD_CACHE_H

#include "storage/engine_inner.h"
#include "storage/keys.h"

struct record_cache;

/* Returns owned (record_cache_free); NULL without memory. */
struct record_cache *record_cache_new(size_t bytes_max);
void record_cache_free(struct record_cache *cache);

/* True: it is known what is behind the key; *ret_data NULL: nothing. Borrowed until the next call
 * that changes the cache. */
MUSTCHECK bool record_cache_find(struct record_cache *cache, enum family family,
                                 const struct key *key, const uint8_t **ret_data, size_t *ret_len);
/* What was read (data NULL: nothing is there). Borrows. Without memory it is not kept. */
void record_cache_add(struct record_cache *cache, enum family family, const struct key *key,
                      const void *data, size_t len);
/* What is written (data NULL: deleted), of importance only where it is known. Borrows. */
void record_cache_change(struct record_cache *cache, enum family family, const struct key *key,
                         const void *data, size_t len);

#endif
