/* A schedule expression, and behind a line feed a duration: reading them never breaks, and what is
 * taken has windows that begin on the hour, behind the time asked for, one after the other, within
 * a day each, and four hours apart. */
#include "base/check.h"
#include "base/limits.h"
#include "model/schedule.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t HOUR_MS = 3600000;
static const int64_t DAY_MS = 86400000;

static void look_at(const struct schedule *schedule, int64_t origin_ms) {
    int64_t at = origin_ms;

    for (int i = 0; i < 8; i++) {
        struct schedule_window window = schedule_next(schedule, origin_ms, at);
        struct schedule_window inside = schedule_window_at(schedule, origin_ms, window.start_ms);
        CHECK(window.start_ms > at && window.start_ms % HOUR_MS == 0);
        CHECK(window.end_ms > window.start_ms && window.end_ms % HOUR_MS == 0);
        CHECK(window.start_ms / DAY_MS == schedule_deadline(&window) / DAY_MS);
        CHECK(i == 0 || window.start_ms - at >= 4 * HOUR_MS);
        CHECK(inside.start_ms == window.start_ms && inside.end_ms == window.end_ms);
        inside = schedule_window_at(schedule, origin_ms, window.end_ms - 1);
        CHECK(inside.start_ms == window.start_ms);
        at = window.start_ms;
    }
    at = schedule_days(schedule, origin_ms, origin_ms);
    CHECK(at >= 1 && at <= LIMIT_ROTATION_DAYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[LIMIT_SCHEDULE + 1];
    struct schedule_rules rules = {.expression = text};
    struct schedule schedule;
    struct err err;
    char *line;

    if (size > LIMIT_SCHEDULE) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    line = strchr(text, '\n');
    if (line != NULL) {
        *line = '\0';
        rules.duration = line + 1;
    }
    if (schedule_parse(&rules, &schedule, &err) != OK) {
        CHECK(err.code == ERR_INVALID_PARAMETER && err.message[0] != '\0');
        return 0;
    }
    look_at(&schedule, 0);
    look_at(&schedule, 1700000000123);
    look_at(&schedule, 4107542399999); /* the end of February 2100 */
    return 0;
}
