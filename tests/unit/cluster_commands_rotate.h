/* The commands of rotation for the tests of the commands. */
#ifndef TESTS_UNIT_CLUSTER_COMMANDS_ROTATE_H
#define TESTS_UNIT_CLUSTER_COMMANDS_ROTATE_H

#include "tests/unit/cluster_commands.h"

/* Zero is absent. */
struct rotation_call {
    const char *name;
    const char *token;
    const char *function;
    int64_t days;
    const char *expression;
    const char *duration;
    const char *role;
    const char *metadata_key; /* value "v" */
    bool later;               /* not immediately */
    uint32_t labels;          /* quota; 0: none */
};

static inline Redoubt__Result *do_rotate(struct machine *m, const struct rotation_call *call) {
    Redoubt__RotationSet *set = malloc(sizeof(*set));
    struct call named = {.name = call->name};

    redoubt__rotation_set__init(set);
    set->ref = kit_ref(&named);
    set->token = call->token == NULL ? NULL : strdup(call->token);
    set->function_arn = call->function == NULL ? NULL : strdup(call->function);
    set->external_role_arn = call->role == NULL ? NULL : strdup(call->role);
    if (call->days != 0 || call->expression != NULL || call->duration != NULL) {
        set->rules = malloc(sizeof(*set->rules));
        redoubt__rotation__init(set->rules);
        set->rules->has_automatically_after_days = call->days != 0;
        set->rules->automatically_after_days = call->days;
        set->rules->schedule_expression =
            call->expression == NULL ? NULL : strdup(call->expression);
        set->rules->duration = call->duration == NULL ? NULL : strdup(call->duration);
    }
    if (call->metadata_key != NULL) {
        set->external_metadata = malloc(sizeof(*set->external_metadata));
        set->external_metadata[0] = malloc(sizeof(Redoubt__Tag));
        redoubt__tag__init(set->external_metadata[0]);
        set->external_metadata[0]->key = strdup(call->metadata_key);
        set->external_metadata[0]->value = strdup("v");
        set->n_external_metadata = 1;
    }
    set->has_immediately = true;
    set->immediately = !call->later;
    set->has_now_ms = true;
    set->now_ms = m->now_ms;
    if (call->labels != 0) {
        set->quotas = malloc(sizeof(*set->quotas));
        redoubt__quotas__init(set->quotas);
        set->quotas->has_labels = true;
        set->quotas->labels = call->labels;
    }
    return kit_apply_owned(m, COMMAND_ROTATION_SET, &set->base);
}

static inline Redoubt__Result *do_cancel(struct machine *m, const char *name) {
    Redoubt__RotationCancel *cancel = malloc(sizeof(*cancel));
    struct call named = {.name = name};

    redoubt__rotation_cancel__init(cancel);
    cancel->ref = kit_ref(&named);
    cancel->has_now_ms = true;
    cancel->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_ROTATION_CANCEL, &cancel->base);
}

#endif
