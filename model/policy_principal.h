/* The principals of a policy: reading one, and whether one stands for another. Pure, any thread.
 *
 * Identities are not looked up: whatever has the form of one exists for all that is known here. */
#ifndef MODEL_POLICY_PRINCIPAL_H
#define MODEL_POLICY_PRINCIPAL_H

#include "model/policy.h"

/* A principal of the "AWS" kind: "*", an account, or the ARN of an identity. Borrows `text`, which
 * *ret points to. False for anything else; wildcards stand for nothing inside a principal. */
MUSTCHECK bool policy_principal_read(const char *text, struct policy_principal *ret);
/* A service's name, e.g. "rds.amazonaws.com". Likewise. */
MUSTCHECK bool policy_principal_read_service(const char *text, struct policy_principal *ret);

/* What a statement says of `principal` it says of `caller`, who is one identity: everybody, its
 * account, its role, itself. */
bool policy_principal_covers(const struct policy_principal *principal,
                             const struct policy_principal *caller);

#endif
