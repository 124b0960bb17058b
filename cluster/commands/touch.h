/* That a version was read: what SECRET_TOUCH notes once and SECRETS_TOUCH many times. Raft thread.
 */
#ifndef CLUSTER_COMMANDS_TOUCH_H
#define CLUSTER_COMMANDS_TOUCH_H

#include "cluster/command.pb-c.h"
#include "storage/txn.h"

#include <stdbool.h>

bool touch_is_valid(const Redoubt__SecretTouch *touch);
/* The day of the last read, on the secret and on the version that was read. Local to the region, so
 * no revision; never moves back; a secret or a version that is gone meanwhile is no error. The
 * touch is valid. */
void touch_note(struct txn *txn, const Redoubt__SecretTouch *touch);

#endif
