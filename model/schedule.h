/* Rotation schedules: what RotationRules say, and the windows that come of it (AWS_BEHAVIOUR
 * 3.14.5). All in UTC, in milliseconds since 1970. Pure, any thread.
 *
 * The state machine computes with this: what an expression means must not change between releases
 * that share a log. Another meaning, or a wider grammar, is a new command number. */
#ifndef MODEL_SCHEDULE_H
#define MODEL_SCHEDULE_H

#include "base/errc.h"

#include <stdbool.h>
#include <stdint.h>

enum schedule_kind {
    SCHEDULE_DAYS,  /* every so many days after the last rotation: AutomaticallyAfterDays, rate */
    SCHEDULE_HOURS, /* every so many hours, from the midnight behind its origin on: rate */
    SCHEDULE_CRON,  /* at fixed times, wherever the last rotation was */
};

/* Sets are bits: 1 << value. A day belongs either to `weekdays` (not 0) or to one of `days`,
 * `last_day`, `last_weekday`. */
struct schedule_cron {
    uint32_t hours;    /* at which windows begin, 0 to 23 */
    uint32_t months;   /* 1 to 12 */
    uint32_t weekdays; /* 1 to 7, 1 is Sunday; 0: the day of the month decides */
    int nth;           /* of these weekdays the nth of the month; 0: each */
    uint32_t days;     /* 1 to 31 */
    bool last_day;     /* of the month */
    int last_weekday;  /* the last such day of the month; 0: not so */
};

struct schedule {
    enum schedule_kind kind;
    int64_t every;        /* days or hours */
    int64_t window_hours; /* 0: to the end of the day; no window is longer than its day */
    struct schedule_cron cron;
};

/* RotationRules as they came. Borrowed. */
struct schedule_rules {
    int64_t days;           /* AutomaticallyAfterDays; 0: absent */
    const char *expression; /* NULL: absent */
    const char *duration;   /* NULL: absent */
};

/* ERR_INVALID_PARAMETER with a sentence: both or neither of days and expression, an expression that
 * is none, that comes more often than every four hours, that never comes; a duration out of bounds.
 */
MUSTCHECK enum errc schedule_parse(const struct schedule_rules *rules, struct schedule *ret,
                                   struct err *err);

struct schedule_window {
    int64_t start_ms;
    int64_t end_ms; /* behind the window */
};

/* `origin_ms` is what the schedule counts from: the moment when it was set; for SCHEDULE_DAYS then
 * that of the last rotation or manual change of the value. Its first window begins behind it. */

/* The first window that begins behind `at_ms`: where the next rotation is due after one at `at_ms`.
 */
struct schedule_window schedule_next(const struct schedule *schedule, int64_t origin_ms,
                                     int64_t at_ms);
/* The window that `at_ms` lies in, or the first behind it. */
struct schedule_window schedule_window_at(const struct schedule *schedule, int64_t origin_ms,
                                          int64_t at_ms);
/* NextRotationDate of a rotation that is due in this window: its last second. */
int64_t schedule_deadline(const struct schedule_window *window);
/* AutomaticallyAfterDays as it is shown: the days as set; for an expression the days from a
 * rotation at `at_ms` to the next one, at least 1. */
int64_t schedule_days(const struct schedule *schedule, int64_t origin_ms, int64_t at_ms);

#endif
