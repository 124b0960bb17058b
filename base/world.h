/* The world outside, as an interface: the clock and the random source that everything takes from
 * here and nowhere else.
 *
 * Production has world_system(); the simulation and the tests inject their own. The state machine
 * (cluster/commands, model) must not see a world: the leader resolves what varies and the command
 * carries it.
 */
#ifndef BASE_WORLD_H
#define BASE_WORLD_H

#include <stddef.h>
#include <stdint.h>

struct world {
    int64_t (*wall_ms)(void *ctx);                    /* milliseconds since 1970, UTC; may jump */
    uint64_t (*mono_ms)(void *ctx);                   /* milliseconds, never steps back */
    void (*random)(void *ctx, void *out, size_t len); /* unpredictable in production; never fails */
    void *ctx;
};

/* The operating system's clock and random source. Static, any thread. */
const struct world *world_system(void);

static inline int64_t world_wall_ms(const struct world *w) {
    return w->wall_ms(w->ctx);
}
static inline uint64_t world_mono_ms(const struct world *w) {
    return w->mono_ms(w->ctx);
}
static inline void world_random(const struct world *w, void *out, size_t len) {
    w->random(w->ctx, out, len);
}

/* A version 4 UUID in 8-4-4-4-12 form. */
enum { UUID_TEXT = 37 };
void world_uuid(const struct world *w, char out[UUID_TEXT]);

#endif
