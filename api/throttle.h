/* Request rates: a token bucket for each account and group of operations, as throttle.def lists
 * them.
 *
 * A bucket holds what its rate gives in one second, so a client that was quiet may send that much
 * at once. Kept for each node, in memory; for LIMIT_THROTTLE_ACCOUNTS accounts, and of more the one
 * that has used up least is forgotten. Any thread. */
#ifndef API_THROTTLE_H
#define API_THROTTLE_H

#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests a second, each from 1 to LIMIT_THROTTLE_RATE. */
struct throttle_rates {
#define X(group, rate, ...) int64_t group;
#include "api/throttle.def"
#undef X
};
extern const struct throttle_rates throttle_rates_default;

/* The group of an operation, by its name; THROTTLE_NONE: it is in none. */
enum throttle_group {
#define X(group, rate, ...) THROTTLE_##group,
#include "api/throttle.def"
#undef X
    THROTTLE_GROUPS,
    THROTTLE_NONE = THROTTLE_GROUPS,
};
enum throttle_group throttle_group_of(const char *op_name);

struct throttle;

/* Returns owned; NULL without memory. */
struct throttle *throttle_new(const struct throttle_rates *rates);
void throttle_free(struct throttle *throttle);
/* Charge one request of the account (twelve digits) at this moment of the monotonic clock. False:
 * the rate is exceeded, and nothing was charged. */
MUSTCHECK bool throttle_admits(struct throttle *throttle, const char *account,
                               enum throttle_group group, uint64_t now_ms);

#endif
