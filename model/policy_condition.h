/* Reading one condition of a policy: operators by their names, values by the type of the operator.
 * Pure, any thread. */
#ifndef MODEL_POLICY_CONDITION_H
#define MODEL_POLICY_CONDITION_H

#include "model/policy.h"

/* Sets op, quantifier and if_exists from a name like "ForAnyValue:StringLikeIfExists". Names
 * compare without regard to case. False for one that there is not. */
MUSTCHECK bool policy_condition_read_operator(const char *name, struct policy_condition *ret);
/* Sets what stands beside ret->text, by the operator's type; false where the text is no value of
 * it. `has_variables`: ${...} must be well formed where the operator takes variables. */
MUSTCHECK bool policy_condition_read_value(enum policy_operator op, bool has_variables,
                                           struct policy_value *ret);
/* Every ${...} of the text is closed and has a name. */
bool policy_variables_are_sound(const char *text);

#endif
