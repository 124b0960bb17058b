/* Quotas that an operator may raise, with the service's values as defaults. Plain data, any thread.
 */
#ifndef BASE_QUOTAS_H
#define BASE_QUOTAS_H

#include <stdint.h>

struct quotas {
#define X(member, usual, most, sentence) int64_t member;
#include "base/quotas.def"
#undef X
};

extern const struct quotas quotas_default;
/* What they can be raised to: what every buffer and every record has room for. */
extern const struct quotas quotas_most;

#endif
