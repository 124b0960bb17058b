/* ROTATION_CANCEL: rotation is off; its configuration, and a version that it left under AWSPENDING,
 * stay. AWS_BEHAVIOUR 3.14.1. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

void rotation_cancel_apply(struct txn *txn, const struct apply_context *context,
                           const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__RotationCancel *cancel = (const Redoubt__RotationCancel *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const Redoubt__Version *unfinished;

    if (!ref_is_valid(cancel->ref) || !time_is_valid(cancel->has_now_ms, cancel->now_ms)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, cancel->ref, result);
    if (secret == NULL) {
        return;
    }
    if (secret->rotation == NULL) {
        refuse(result, ERR_INVALID_REQUEST,
               "You tried to enable rotation on a secret that doesn't already have a Lambda "
               "function ARN configured and you didn't include such an ARN as a parameter in this "
               "call.");
        return;
    }
    if (secret->rotation->enabled) {
        secret->rotation->enabled = false;
        secret_put_changed(txn, cancel->ref->account, secret, cancel->now_ms);
    }
    result_set_secret(result, secret);
    unfinished = rotation_unfinished(secret);
    if (unfinished != NULL) {
        text_set(&result->version_id, unfinished->id);
    }
}
