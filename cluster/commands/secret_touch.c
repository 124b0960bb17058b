/* SECRET_TOUCH: the first read of a day. */
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/touch.h"

void secret_touch_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretTouch *touch = (const Redoubt__SecretTouch *)command;

    if (!touch_is_valid(touch)) {
        refuse_malformed(result);
        return;
    }
    touch_note(txn, touch);
}
