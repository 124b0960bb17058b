#include "storage/record_cache.h"

#include "base/bytes.h"
#include "storage/index_keys.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 16384,      /* a power of two */
    RECORD_MAX = 1 << 17, /* what is larger would push out too many others */
    SLACK = 8,            /* a record may grow by an eighth at its place */
};

struct cached {
    struct cached *next; /* in the bucket */
    struct cached *older;
    struct cached *newer;
    uint64_t hash;
    uint32_t len; /* of what is behind the key */
    uint32_t room;
    uint16_t key_len;
    uint8_t family;
    bool is_there;
    uint8_t bytes[]; /* the key, then what is behind it */
};

struct record_cache {
    struct cached *buckets[BUCKETS];
    struct cached *newest;
    struct cached *oldest;
    size_t bytes;
    size_t bytes_max;
    uint64_t seed;
};

struct record_cache *record_cache_new(size_t bytes_max) {
    struct record_cache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL) {
        cache->bytes_max = bytes_max;
        /* Names come from clients: that they cannot choose those of one bucket, the place in memory
         * is random enough. */
        cache->seed = (uint64_t)(uintptr_t)cache * 0x9e3779b97f4a7c15U;
    }
    return cache;
}

void record_cache_free(struct record_cache *cache) {
    if (cache == NULL) {
        return;
    }
    for (struct cached *at = cache->newest; at != NULL;) {
        struct cached *older = at->older;
        free(at);
        at = older;
    }
    free(cache);
}

/* Values and the rows that are only ever written are most of what is written; not to look for them
 * is what they cost. */
static bool is_kept(enum family family, const struct key *key) {
    if (family == FAMILY_STATE) {
        return key->data[0] != KEY_SPACE_VALUE;
    }
    return key->data[0] == INDEX_SPACE_SECRET || key->data[0] == INDEX_SPACE_NAME ||
           key->data[0] == INDEX_SPACE_COUNT;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)(a ^ 0x2d358dccaa6c78a5U) * (b | 1);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct record_cache *cache, enum family family,
                        const struct key *key) {
    uint64_t hash = cache->seed + (uint64_t)family;
    uint8_t tail[8] = {0};
    size_t at = 0;

    for (; at + 8 <= key->len; at += 8) {
        hash = mix(hash ^ get_le64(key->data + at), 0x8bb84b93962eacc9U ^ cache->seed);
    }
    memcpy(tail, key->data + at, key->len - at);
    return mix(hash ^ get_le64(tail), 0x4b33a62ed433d4a3U ^ key->len);
}

static struct cached **place_of(struct record_cache *cache, enum family family,
                                const struct key *key, uint64_t hash) {
    struct cached **at = &cache->buckets[hash % BUCKETS];

    while (*at != NULL &&
           ((*at)->hash != hash || (*at)->family != (uint8_t)family || (*at)->key_len != key->len ||
            memcmp((*at)->bytes, key->data, key->len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void unlink_age(struct record_cache *cache, struct cached *cached) {
    *(cached->newer != NULL ? &cached->newer->older : &cache->newest) = cached->older;
    *(cached->older != NULL ? &cached->older->newer : &cache->oldest) = cached->newer;
}

static void make_newest(struct record_cache *cache, struct cached *cached) {
    cached->newer = NULL;
    cached->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = cached;
    cache->newest = cached;
}

static size_t size_of(const struct cached *cached) {
    return sizeof(*cached) + cached->key_len + cached->room;
}

static void drop(struct record_cache *cache, struct cached **place) {
    struct cached *cached = *place;

    *place = cached->next;
    unlink_age(cache, cached);
    cache->bytes -= size_of(cached);
    free(cached);
}

static void drop_oldest(struct record_cache *cache) {
    struct cached **place = &cache->buckets[cache->oldest->hash % BUCKETS];

    while (*place != cache->oldest) {
        place = &(*place)->next;
    }
    drop(cache, place);
}

bool record_cache_find(struct record_cache *cache, enum family family, const struct key *key,
                       const uint8_t **ret_data, size_t *ret_len) {
    struct cached *cached;

    if (!is_kept(family, key)) {
        return false;
    }
    cached = *place_of(cache, family, key, hash_of(cache, family, key));
    if (cached == NULL) {
        return false;
    }
    if (cached != cache->newest) {
        unlink_age(cache, cached);
        make_newest(cache, cached);
    }
    *ret_data = cached->is_there ? cached->bytes + cached->key_len : NULL;
    *ret_len = cached->len;
    return true;
}

static void fill(struct cached *cached, const void *data, size_t len) {
    cached->is_there = data != NULL;
    cached->len = (uint32_t)len;
    if (len > 0) {
        memcpy(cached->bytes + cached->key_len, data, len);
    }
}

static void add(struct record_cache *cache, enum family family, const struct key *key,
                uint64_t hash, const void *data, size_t len) {
    size_t room = len + len / SLACK;
    struct cached *cached;

    if (len > RECORD_MAX) {
        return;
    }
    cached = malloc(sizeof(*cached) + key->len + room);
    if (cached == NULL) {
        return;
    }
    cached->hash = hash;
    cached->family = (uint8_t)family;
    cached->key_len = (uint16_t)key->len;
    cached->room = (uint32_t)room;
    memcpy(cached->bytes, key->data, key->len);
    fill(cached, data, len);
    cached->next = cache->buckets[hash % BUCKETS];
    cache->buckets[hash % BUCKETS] = cached;
    make_newest(cache, cached);
    cache->bytes += size_of(cached);
    while (cache->bytes > cache->bytes_max) {
        drop_oldest(cache);
    }
}

void record_cache_add(struct record_cache *cache, enum family family, const struct key *key,
                      const void *data, size_t len) {
    uint64_t hash;

    if (!is_kept(family, key)) {
        return;
    }
    hash = hash_of(cache, family, key);
    CHECK(*place_of(cache, family, key, hash) == NULL);
    add(cache, family, key, hash, data, data != NULL ? len : 0);
}

void record_cache_change(struct record_cache *cache, enum family family, const struct key *key,
                         const void *data, size_t len) {
    size_t length = data != NULL ? len : 0;
    struct cached **place;
    uint64_t hash;

    if (!is_kept(family, key)) {
        return;
    }
    hash = hash_of(cache, family, key);
    place = place_of(cache, family, key, hash);
    if (*place == NULL) {
        return;
    }
    if (length <= (*place)->room) {
        fill(*place, data, length);
        return;
    }
    drop(cache, place);
    add(cache, family, key, hash, data, length);
}
