#include "cluster/commands/join_tokens.h"

#include <string.h>

Redoubt__JoinToken *join_token_find(Redoubt__JoinTokens *tokens,
                                    const ProtobufCBinaryData *digest) {
    for (size_t i = 0; i < tokens->n_tokens; i++) {
        Redoubt__JoinToken *token = tokens->tokens[i];
        if (token->digest.len == digest->len &&
            memcmp(token->digest.data, digest->data, digest->len) == 0) {
            return token;
        }
    }
    return NULL;
}
