/* The region's permissions to join, for the commands that make and use them. Raft thread. */
#ifndef CLUSTER_COMMANDS_JOIN_TOKENS_H
#define CLUSTER_COMMANDS_JOIN_TOKENS_H

#include "storage/record.pb-c.h"

/* NULL when there is none of this digest. Borrowed from `tokens`. */
Redoubt__JoinToken *join_token_find(Redoubt__JoinTokens *tokens, const ProtobufCBinaryData *digest);

#endif
