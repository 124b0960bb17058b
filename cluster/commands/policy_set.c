/* POLICY_SET: the resource policy is replaced as a whole, or goes. AWS_BEHAVIOUR 3.12.
 *
 * Whether the text is a policy was decided before proposing; the state keeps it as it was given.
 * Taking away what is not there is no error and changes nothing. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

static bool set_is_valid(const Redoubt__PolicySet *set) {
    return ref_is_valid(set->ref) && policy_is_valid(set->policy) &&
           time_is_valid(set->has_now_ms, set->now_ms);
}

void policy_set_apply(struct txn *txn, const struct apply_context *context,
                      const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__PolicySet *set = (const Redoubt__PolicySet *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;

    if (!set_is_valid(set)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, set->ref, result);
    if (secret == NULL) {
        return;
    }
    result_set_secret(result, secret);
    if (set->policy != NULL || secret->policy != NULL) {
        text_set(&secret->policy, set->policy);
        secret_put_changed(txn, set->ref->account, secret, set->now_ms);
    }
}
