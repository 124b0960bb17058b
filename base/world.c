#include "base/world.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/wipe.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t clock_ms(clockid_t id) {
    struct timespec now;

    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static uint64_t system_mono_ms(void *ctx) {
    (void)ctx;
    return (uint64_t)clock_ms(CLOCK_MONOTONIC);
}

/* The kernel is asked for many bytes at once: a request needs a few each time, for ids and nonces.
 * What was handed out is wiped from the pool. */
enum { RANDOM_POOL = 512 };
static _Thread_local uint8_t random_pool[RANDOM_POOL];
static _Thread_local size_t random_left;

static void kernel_random(uint8_t *at, size_t len) {
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

static void system_random(void *ctx, void *out, size_t len) {
    uint8_t *from;

    (void)ctx;
    if (len > RANDOM_POOL / 4) {
        kernel_random(out, len);
        return;
    }
    if (len > random_left) {
        kernel_random(random_pool, RANDOM_POOL);
        random_left = RANDOM_POOL;
    }
    from = random_pool + random_left - len;
    memcpy(out, from, len);
    wipe(from, len);
    random_left -= len;
}

/* A child must not hand out what its parent does. */
static void forget_pool(void) {
    random_left = 0;
}

static void watch_forks(void) {
    CHECK(pthread_atfork(NULL, NULL, forget_pool) == 0);
}

const struct world *world_system(void) {
    static const struct world system_world = {
        .wall_ms = system_wall_ms, .mono_ms = system_mono_ms, .random = system_random};
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, watch_forks);
    return &system_world;
}

void world_uuid(const struct world *w, char out[UUID_TEXT]) {
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
    uint8_t raw[16];
    size_t from = 0;

    world_random(w, raw, sizeof(raw));
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    for (size_t group = 0; group < ARRAY_LEN(group_bytes); group++) {
        hex_encode(raw + from, group_bytes[group], out);
        out += (size_t)2 * group_bytes[group];
        from += group_bytes[group];
        *out++ = '-';
    }
    out[-1] = '\0';
}
