/* First reads of a day at a node that does not lead: what they leave to be written (the last
 * accessed date) goes to the leader, a few secrets a call, and nobody waits for it.
 *
 * At most one call is under way and one more is gathered; what comes while both are full is
 * dropped, and the next read of that secret tries again. A table of what was sent lately keeps a
 * thousand reads of one secret from sending it a thousand times before the write is back here. */
#ifndef API_TOUCHES_H
#define API_TOUCHES_H

#include "api/request.h"

/* All borrowed for its life. Returns owned; NULL without memory. */
struct touches *touches_new(const char *region, struct node *node, struct peer_client *peers,
                            const struct world *world);
/* When no call is under way any more: after peer_client_close. Takes NULL too. */
void touches_free(struct touches *touches);
/* A SECRET_TOUCH or SECRETS_TOUCH. Borrows the message. Takes NULL too (drops). Any thread. */
void touches_leave(struct touches *touches, enum command_type type,
                   const ProtobufCMessage *message);

/* POST /v1/touch of a node of this region; the body is a SecretsTouch. Answers the exchange. */
void touch_handle(struct exchange *exchange, const struct service *service);

#endif
