/* TAGS_SET: tags are added, or get another value where the key is there. AWS_BEHAVIOUR 3.9.
 *
 * A tag keeps the place of its first insertion. A call without tags changes nothing. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <inttypes.h>
#include <string.h>

static bool set_is_valid(const Redoubt__TagsSet *set) {
    return ref_is_valid(set->ref) && tags_are_valid(set->tags, set->n_tags) &&
           time_is_valid(set->has_now_ms, set->now_ms);
}

static Redoubt__Tag *tag_find(const Redoubt__Secret *secret, const char *key) {
    for (size_t i = 0; i < secret->n_tags; i++) {
        if (strcmp(secret->tags[i]->key, key) == 0) {
            return secret->tags[i];
        }
    }
    return NULL;
}

static void tag_put(Redoubt__Secret *secret, const Redoubt__Tag *tag) {
    Redoubt__Tag *present = tag_find(secret, tag->key);

    if (present != NULL) {
        text_set(&present->value, tag->value);
        return;
    }
    secret->tags = must_realloc(secret->tags, secret->n_tags + 1, sizeof(*secret->tags));
    secret->tags[secret->n_tags++] = message_copy(&tag->base);
}

void tags_set_apply(struct txn *txn, const struct apply_context *context,
                    const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__TagsSet *set = (const Redoubt__TagsSet *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    struct quotas quotas;
    size_t before;

    if (!set_is_valid(set)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, set->ref, result);
    if (secret == NULL) {
        return;
    }
    before = secret->n_tags;
    for (size_t i = 0; i < set->n_tags; i++) {
        tag_put(secret, set->tags[i]);
    }
    quotas_read(set->quotas, &quotas);
    /* A secret with more than that already, from days of a higher quota, can still be changed. */
    if (secret->n_tags > before && secret->n_tags > (size_t)quotas.tags) {
        refuse(result, ERR_INVALID_PARAMETER, "A secret can't have more than %" PRId64 " tags.",
               quotas.tags);
        return;
    }
    result_set_secret(result, secret);
    if (set->n_tags > 0) {
        secret->has_tags_were_set = true;
        secret->tags_were_set = true;
        secret_put_changed(txn, set->ref->account, secret, set->now_ms);
    }
}
