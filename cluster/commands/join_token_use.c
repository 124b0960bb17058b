/* JOIN_TOKEN_USE: a node shows its permission, which is then used up. The same node may show it
 * again as long as it holds: the answer to the first time may have been lost. */
#include "base/limits.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/join_tokens.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

static bool use_is_valid(const Redoubt__JoinTokenUse *use) {
    return token_digest_is_valid(use->has_digest, &use->digest) &&
           time_is_valid(use->has_now_ms, use->now_ms) && use->has_node && use->node != 0 &&
           text_is_within(use->address, 1, LIMIT_ADDRESS);
}

void join_token_use_apply(struct txn *txn, const struct apply_context *context,
                          const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__JoinTokenUse *use = (const Redoubt__JoinTokenUse *)command;
    AUTO(join_tokens_release) Redoubt__JoinTokens *tokens = NULL;
    Redoubt__JoinToken *token;

    if (!use_is_valid(use)) {
        refuse_malformed(result);
        return;
    }
    tokens = state_join_tokens(txn);
    token = join_token_find(tokens, &use->digest);
    if (token == NULL) {
        refuse(result, ERR_ACCESS_DENIED,
               "The join token is not known here: it has expired, or belongs to another region.");
    } else if (token->expires_ms <= use->now_ms) {
        refuse(result, ERR_ACCESS_DENIED, "The join token has expired.");
    } else if (token->has_used_by && token->used_by != use->node) {
        refuse(result, ERR_ACCESS_DENIED, "The join token was used by another node.");
    } else if (!token->has_used_by) {
        token->has_used_by = true;
        token->used_by = use->node;
        text_set(&token->used_address, use->address);
        txn_put_join_tokens(txn, tokens);
    }
}
