/* TAGS_REMOVE: the tags of these keys go. AWS_BEHAVIOUR 3.9.
 *
 * A key that no tag has is no error; where none is there, nothing changes. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool remove_is_valid(const Redoubt__TagsRemove *remove) {
    return ref_is_valid(remove->ref) && tag_keys_are_valid(remove->keys, remove->n_keys) &&
           time_is_valid(remove->has_now_ms, remove->now_ms);
}

static bool is_named(const Redoubt__TagsRemove *remove, const Redoubt__Tag *tag) {
    for (size_t i = 0; i < remove->n_keys; i++) {
        if (strcmp(remove->keys[i], tag->key) == 0) {
            return true;
        }
    }
    return false;
}

void tags_remove_apply(struct txn *txn, const struct apply_context *context,
                       const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__TagsRemove *remove = (const Redoubt__TagsRemove *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    size_t kept = 0;
    size_t before;

    if (!remove_is_valid(remove)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, remove->ref, result);
    if (secret == NULL) {
        return;
    }
    before = secret->n_tags;
    for (size_t i = 0; i < before; i++) {
        Redoubt__Tag *tag = secret->tags[i];
        if (is_named(remove, tag)) {
            redoubt__tag__free_unpacked(tag, NULL);
        } else {
            secret->tags[kept++] = tag;
        }
    }
    secret->n_tags = kept;
    result_set_secret(result, secret);
    if (kept < before) {
        secret_put_changed(txn, remove->ref->account, secret, remove->now_ms);
    }
}
