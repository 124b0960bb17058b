#include "model/schedule.h"

#include "base/check.h"
#include "base/limits.h"
#include "model/calendar.h"

static const int64_t HOUR_MS = 60LL * 60 * 1000;
static const int64_t DAY_MS = 24 * 60LL * 60 * 1000;

enum {
    DAY_HOURS = 24,
    WEEK = 7,
    /* The rarest schedule there is, a fifth such weekday in February, comes after 40 years where a
       leap year is left out. */
    CRON_MONTHS_MAX = 41 * CALENDAR_MONTHS,
};

static int64_t day_of(int64_t ms) {
    return ms / DAY_MS - (ms % DAY_MS < 0 ? 1 : 0);
}

static struct schedule_window window_from(const struct schedule *schedule, int64_t start_ms) {
    int64_t day_end = (day_of(start_ms) + 1) * DAY_MS;
    int64_t end = start_ms + schedule->window_hours * HOUR_MS;

    return (struct schedule_window){
        .start_ms = start_ms,
        .end_ms = schedule->window_hours == 0 || end > day_end ? day_end : end,
    };
}

/* The first of `first`, `first` + `step`, ... behind `at`. */
static int64_t step_behind(int64_t first, int64_t step, int64_t at) {
    return first > at ? first : first + ((at - first) / step + 1) * step;
}

static bool cron_has_day(const struct schedule_cron *cron, int day, int length, int weekday) {
    if (cron->weekdays != 0) {
        return (cron->weekdays >> weekday & 1) != 0 &&
               (cron->nth == 0 || (day - 1) / WEEK + 1 == cron->nth);
    }
    if (cron->last_day) {
        return day == length;
    }
    if (cron->last_weekday != 0) {
        return weekday == cron->last_weekday && day + WEEK > length;
    }
    return (cron->days >> day & 1) != 0;
}

/* In one month, from its day `from` on. False: none there. */
static bool cron_find_in_month(const struct schedule_cron *cron, int64_t year, int month, int from,
                               int64_t at_ms, int64_t *ret) {
    int length = calendar_month_length(year, month);
    int64_t first = calendar_day_of(year, month, 1);

    for (int day = from; day <= length; day++) {
        int64_t number = first + day - 1;
        if (!cron_has_day(cron, day, length, calendar_weekday_of(number))) {
            continue;
        }
        for (int hour = 0; hour < DAY_HOURS; hour++) {
            *ret = number * DAY_MS + hour * HOUR_MS;
            if ((cron->hours >> hour & 1) != 0 && *ret > at_ms) {
                return true;
            }
        }
    }
    return false;
}

static int64_t cron_behind(const struct schedule_cron *cron, int64_t at_ms) {
    struct calendar_date date = calendar_date_of(day_of(at_ms));
    int64_t start = 0;
    bool found = false;

    for (int i = 0; i <= CRON_MONTHS_MAX && !found; i++) {
        found = (cron->months >> date.month & 1) != 0 &&
                cron_find_in_month(cron, date.year, date.month, date.day, at_ms, &start);
        date.year += date.month == CALENDAR_MONTHS ? 1 : 0;
        date.month = date.month % CALENDAR_MONTHS + 1;
        date.day = 1;
    }
    CHECK(found); /* schedule_parse refuses what never comes */
    return start;
}

struct schedule_window schedule_next(const struct schedule *schedule, int64_t origin_ms,
                                     int64_t at_ms) {
    int64_t origin_day = day_of(origin_ms);
    int64_t start = 0;

    switch (schedule->kind) {
    case SCHEDULE_DAYS:
        start =
            step_behind((origin_day + schedule->every) * DAY_MS, schedule->every * DAY_MS, at_ms);
        break;
    case SCHEDULE_HOURS:
        start = step_behind((origin_day + 1) * DAY_MS, schedule->every * HOUR_MS, at_ms);
        break;
    case SCHEDULE_CRON:
        start = cron_behind(&schedule->cron, at_ms);
        break;
    }
    return window_from(schedule, start);
}

struct schedule_window schedule_window_at(const struct schedule *schedule, int64_t origin_ms,
                                          int64_t at_ms) {
    /* No window goes over midnight, so what `at_ms` lies in began on this day. */
    struct schedule_window window = schedule_next(schedule, origin_ms, day_of(at_ms) * DAY_MS - 1);

    while (window.end_ms <= at_ms) {
        window = schedule_next(schedule, origin_ms, window.start_ms);
    }
    return window;
}

int64_t schedule_deadline(const struct schedule_window *window) {
    return window->end_ms - 1000;
}

int64_t schedule_days(const struct schedule *schedule, int64_t origin_ms, int64_t at_ms) {
    struct schedule_window window;
    int64_t days;

    switch (schedule->kind) {
    case SCHEDULE_DAYS:
        return schedule->every;
    case SCHEDULE_HOURS:
        return (schedule->every + DAY_HOURS - 1) / DAY_HOURS;
    case SCHEDULE_CRON:
        break;
    }
    window = schedule_next(schedule, origin_ms, at_ms);
    days = day_of(window.start_ms) - day_of(at_ms);
    if (days < 1) {
        return 1;
    }
    return days < LIMIT_ROTATION_DAYS ? days : LIMIT_ROTATION_DAYS;
}
