/* SECRETS_TOUCH: the first reads of a day by one call that read many secrets, at most as many as
 * such a call may name. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/touch.h"

static bool is_valid(const Redoubt__SecretsTouch *touches) {
    if (touches->n_items == 0 || touches->n_items > LIMIT_BATCH_GET) {
        return false;
    }
    for (size_t i = 0; i < touches->n_items; i++) {
        if (!touch_is_valid(touches->items[i])) {
            return false;
        }
    }
    return true;
}

void secrets_touch_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretsTouch *touches = (const Redoubt__SecretsTouch *)command;

    if (!is_valid(touches)) {
        refuse_malformed(result);
        return;
    }
    for (size_t i = 0; i < touches->n_items; i++) {
        touch_note(txn, touches->items[i]);
    }
}
