/* How far a policy reaches: reasoning over its statements as a whole, not a search for a star.
 * Pure, any thread. */
#ifndef MODEL_POLICY_REACH_H
#define MODEL_POLICY_REACH_H

#include "model/policy.h"

/* Allows somebody who is not of a bounded set: an Allow for everybody (or for everybody but some)
 * that no condition of its own narrows to fixed accounts, identities, organisations, networks or
 * addresses, and that no Deny of the policy takes back from everybody outside such a set. Never
 * false for a policy that is public; may be true for one whose Denies take back together what none
 * of them takes back alone. */
bool policy_is_public(const struct policy *policy);

/* Some Deny keeps `caller` from doing `action` to the secret `arn` whatever the request's context
 * says. `arn` NULL: to any secret. */
bool policy_denies_always(const struct policy *policy, const struct policy_principal *caller,
                          const char *action, const char *arn);

#endif
