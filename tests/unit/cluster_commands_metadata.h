/* Tags and policies for the tests of the commands: saying them. */
#ifndef TESTS_UNIT_CLUSTER_COMMANDS_METADATA_H
#define TESTS_UNIT_CLUSTER_COMMANDS_METADATA_H

#include "tests/unit/cluster_commands.h"

/* `pairs`: "key=value", NULL at the end; quota 0: none is said. */
static inline Redoubt__Result *do_tags(struct machine *m, const struct call *call,
                                       const char *const pairs[], uint32_t quota) {
    Redoubt__TagsSet *set = malloc(sizeof(*set));

    redoubt__tags_set__init(set);
    set->ref = kit_ref(call);
    set->tags = calloc(LIMIT_TAGS_MOST + 2, sizeof(*set->tags));
    for (size_t i = 0; pairs[i] != NULL; i++) {
        Redoubt__Tag *tag = malloc(sizeof(*tag));
        const char *equal = strchr(pairs[i], '=');
        redoubt__tag__init(tag);
        tag->key = strndup(pairs[i], (size_t)(equal - pairs[i]));
        tag->value = strdup(equal + 1);
        set->tags[set->n_tags++] = tag;
    }
    set->has_now_ms = true;
    set->now_ms = m->now_ms;
    if (quota > 0) {
        set->quotas = malloc(sizeof(*set->quotas));
        redoubt__quotas__init(set->quotas);
        set->quotas->has_tags = true;
        set->quotas->tags = quota;
    }
    return kit_apply_owned(m, COMMAND_TAGS_SET, &set->base);
}

static inline Redoubt__Result *do_untag(struct machine *m, const struct call *call,
                                        const char *const keys[KIT_LIST]) {
    Redoubt__TagsRemove *remove = malloc(sizeof(*remove));

    redoubt__tags_remove__init(remove);
    remove->ref = kit_ref(call);
    remove->keys = kit_texts(keys, &remove->n_keys);
    remove->has_now_ms = true;
    remove->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_TAGS_REMOVE, &remove->base);
}

static inline Redoubt__Result *do_policy(struct machine *m, const struct call *call,
                                         const char *policy) {
    Redoubt__PolicySet *set = malloc(sizeof(*set));

    redoubt__policy_set__init(set);
    set->ref = kit_ref(call);
    set->policy = policy == NULL ? NULL : strdup(policy);
    set->has_now_ms = true;
    set->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_POLICY_SET, &set->base);
}

#define TAGS(...) ((const char *const[KIT_LIST]){__VA_ARGS__, NULL})

#endif
