#include "cluster/core_effects.h"

#include "base/wipe.h"

#include <stdlib.h>

enum { FIRST_ROOM = 16 };

void effects_init(struct effects *effects) {
    *effects = (struct effects){0};
}

static void free_owned(struct effects *effects) {
    for (size_t i = 0; i < effects->count; i++) {
        wipe_free(effects->slots[i].owned);
    }
    effects->count = 0;
    effects->next = 0;
}

void effects_fini(struct effects *effects) {
    free_owned(effects);
    free(effects->slots);
    effects_init(effects);
}

void effects_begin(struct effects *effects) {
    CHECK(effects_are_taken(effects));
    free_owned(effects);
}

/* A vote directly behind a vote replaces it: the later one holds all that the earlier one said, and
 * one sync is enough. (A lone voter that starts has two.) */
static bool replaces_last(const struct effects *effects, const struct core_effect *effect) {
    return effect->kind == CORE_EFFECT_VOTE && effects->count > effects->next &&
           effects->slots[effects->count - 1].effect.kind == CORE_EFFECT_VOTE;
}

enum errc effects_push(struct effects *effects, const struct core_effect *effect, uint8_t *owned) {
    if (replaces_last(effects, effect)) {
        effects->slots[effects->count - 1].effect = *effect;
        return OK;
    }
    if (effects->count == effects->room) {
        size_t room = effects->room == 0 ? (size_t)FIRST_ROOM : effects->room * 2;
        struct effect_slot *slots = reallocarray(effects->slots, room, sizeof slots[0]);
        if (slots == NULL) {
            wipe_free(owned);
            return ERR_NO_MEMORY;
        }
        effects->slots = slots;
        effects->room = room;
    }
    effects->slots[effects->count++] = (struct effect_slot){.effect = *effect, .owned = owned};
    return OK;
}

const struct core_effect *effects_take(struct effects *effects, const struct core_log *log) {
    if (effects_are_taken(effects)) {
        return NULL;
    }
    struct core_effect *effect = &effects->slots[effects->next++].effect;
    if (effect->kind == CORE_EFFECT_WRITE || effect->kind == CORE_EFFECT_APPLY) {
        effect->entries = core_log_get(log, effect->first);
        CHECK(effect->entries != NULL &&
              core_log_get(log, effect->first + effect->n_entries - 1) != NULL);
    }
    return effect;
}

bool effects_are_taken(const struct effects *effects) {
    return effects->next == effects->count;
}
