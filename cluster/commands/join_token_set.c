/* JOIN_TOKEN_SET: one more permission to join. Those that have expired make room. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/join_tokens.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <stdlib.h>
#include <string.h>

static bool set_is_valid(const Redoubt__JoinTokenSet *set) {
    return token_digest_is_valid(set->has_digest, &set->digest) &&
           time_is_valid(set->has_expires_ms, set->expires_ms) &&
           time_is_valid(set->has_now_ms, set->now_ms) && set->expires_ms > set->now_ms;
}

static void prune(Redoubt__JoinTokens *tokens, int64_t now_ms) {
    size_t kept = 0;

    for (size_t i = 0; i < tokens->n_tokens; i++) {
        Redoubt__JoinToken *token = tokens->tokens[i];
        if (token->expires_ms <= now_ms) {
            redoubt__join_token__free_unpacked(token, NULL);
        } else {
            tokens->tokens[kept++] = token;
        }
    }
    tokens->n_tokens = kept;
}

static Redoubt__JoinToken *token_new(const Redoubt__JoinTokenSet *set) {
    Redoubt__JoinToken *token = must_calloc(1, sizeof(*token));

    redoubt__join_token__init(token);
    token->has_digest = true;
    bytes_set(&token->digest, &set->digest);
    token->has_expires_ms = true;
    token->expires_ms = set->expires_ms;
    return token;
}

void join_token_set_apply(struct txn *txn, const struct apply_context *context,
                          const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__JoinTokenSet *set = (const Redoubt__JoinTokenSet *)command;
    AUTO(join_tokens_release) Redoubt__JoinTokens *tokens = NULL;

    if (!set_is_valid(set)) {
        refuse_malformed(result);
        return;
    }
    tokens = state_join_tokens(txn);
    prune(tokens, set->now_ms);
    if (join_token_find(tokens, &set->digest) != NULL) {
        refuse(result, ERR_RESOURCE_EXISTS, "This join token was made before.");
        return;
    }
    if (tokens->n_tokens >= LIMIT_JOIN_TOKENS) {
        refuse(result, ERR_LIMIT_EXCEEDED,
               "The region has %d join tokens that have not expired; wait until one has.",
               LIMIT_JOIN_TOKENS);
        return;
    }
    tokens->tokens =
        must_realloc(tokens->tokens, tokens->n_tokens + 1, sizeof(Redoubt__JoinToken *));
    tokens->tokens[tokens->n_tokens++] = token_new(set);
    txn_put_join_tokens(txn, tokens);
}
