/* What the operations on resource policies share: reading a request's document, and what it would
 * do to its caller. Worker threads; see op_support.h. */
#ifndef API_OP_POLICY_H
#define API_OP_POLICY_H

#include "api/op.h"
#include "model/policy.h"

/* POLICY_SOUND with *ret, which goes with the request's arena; or the fault. */
MUSTCHECK enum policy_fault op_policy_read(struct op_context *context, const char *text,
                                           const struct policy **ret);
/* ERR_MALFORMED_POLICY_DOCUMENT, or ERR_NO_MEMORY, with the sentence of a fault. */
MUSTCHECK enum errc op_policy_fail(struct op_context *context, enum policy_fault fault);
/* With this policy on the secret `arn` (NULL: on any) the caller could never change it again. */
bool op_policy_locks_out(const struct op_context *context, const struct policy *policy,
                         const char *arn);

#endif
