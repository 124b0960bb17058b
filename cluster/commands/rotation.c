#include "cluster/commands/rotation.h"

#include "base/limits.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/schedule.h"

#include <stdlib.h>

/* False where there is no schedule, or one of a later release that came with a replica. */
static bool schedule_of(const Redoubt__Rotation *rotation, struct schedule *ret) {
    const struct schedule_rules rules = {
        /* Beside an expression the days are computed. */
        .days = rotation->schedule_expression == NULL && rotation->has_automatically_after_days
                    ? rotation->automatically_after_days
                    : 0,
        .expression = rotation->schedule_expression,
        .duration = rotation->duration,
    };
    struct err err;

    return schedule_parse(&rules, ret, &err) == OK;
}

bool rotation_rules_are_valid(const Redoubt__Rotation *rules) {
    struct schedule schedule;

    return rules != NULL &&
           (rules->schedule_expression == NULL || !rules->has_automatically_after_days) &&
           text_is_at_most(rules->schedule_expression, LIMIT_SCHEDULE) &&
           text_is_at_most(rules->duration, LIMIT_SCHEDULE) && schedule_of(rules, &schedule);
}

const Redoubt__Version *rotation_unfinished(const Redoubt__Secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        if (version_carries(version, STAGE_PENDING)) {
            return version_carries(version, STAGE_CURRENT) ? NULL : version;
        }
    }
    return NULL;
}

/* What is computed from the schedule: after a rotation at `at_ms`, or what counts as one. */
static void compute_dates(Redoubt__Rotation *rotation, const struct schedule *schedule,
                          int64_t at_ms) {
    const int64_t origin = rotation->counts_from_ms;
    struct schedule_window window = schedule_next(schedule, origin, at_ms);
    int64_t deadline = schedule_deadline(&window);

    rotation->has_next_rotation_ms = time_is_valid(true, deadline);
    rotation->next_rotation_ms = deadline;
    rotation->has_automatically_after_days = true;
    rotation->automatically_after_days = schedule_days(schedule, origin, at_ms);
}

void rotation_start_counting(Redoubt__Rotation *rotation, int64_t now_ms) {
    struct schedule schedule;

    rotation->has_enabled = true;
    rotation->enabled = true;
    rotation->has_counts_from_ms = true;
    rotation->counts_from_ms = now_ms;
    if (schedule_of(rotation, &schedule)) {
        compute_dates(rotation, &schedule, now_ms);
    } else {
        rotation->has_next_rotation_ms = false;
    }
}

void rotation_note_current(Redoubt__Secret *secret, const char *version_id, int64_t now_ms) {
    Redoubt__Rotation *rotation = secret->rotation;
    const Redoubt__Version *version = version_find(secret, version_id);
    struct schedule schedule;

    if (rotation == NULL || !rotation->enabled || version == NULL ||
        !version_carries(version, STAGE_CURRENT)) {
        return;
    }
    if (version_carries(version, STAGE_PENDING)) {
        rotation->has_last_rotated_ms = true;
        rotation->last_rotated_ms = now_ms;
    }
    if (schedule_of(rotation, &schedule)) {
        if (schedule.kind == SCHEDULE_DAYS) {
            rotation->has_counts_from_ms = true;
            rotation->counts_from_ms = now_ms;
        }
        compute_dates(rotation, &schedule, now_ms);
    }
}

void rotation_clear_metadata(Redoubt__Rotation *rotation) {
    for (size_t i = 0; i < rotation->n_external_metadata; i++) {
        redoubt__tag__free_unpacked(rotation->external_metadata[i], NULL);
    }
    free(rotation->external_metadata);
    rotation->external_metadata = NULL;
    rotation->n_external_metadata = 0;
}

void rotation_leave_primary(Redoubt__Secret *secret) {
    Redoubt__Rotation *rotation = secret->rotation;

    if (rotation == NULL) {
        return;
    }
    rotation->has_enabled = true;
    rotation->enabled = false;
    text_set(&rotation->function_arn, NULL);
    text_set(&rotation->external_role_arn, NULL);
    rotation_clear_metadata(rotation);
}
