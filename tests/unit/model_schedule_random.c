/* Rotation schedules (AWS_BEHAVIOUR 3.14.5): random expressions against a reference that looks at
 * every hour and asks the C library what day it is.
 *
 * The seed is fixed; REDOUBT_SEED=n begins elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "model/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t HOUR = 3600000;
static const int64_t DAY = 86400000;

static uint64_t rng;

static uint64_t roll(void) {
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int n) {
    return (int)(roll() % (uint64_t)n);
}

enum { ITEMS = 3 };

/* One field as its author means it. */
struct item {
    bool all;
    bool ranged;
    int from;
    int to;
    int step; /* 0: none */
};
struct field {
    int min;
    int max;
    struct item items[ITEMS];
    int n;
};

static bool item_has(const struct field *field, const struct item *item, int value) {
    int span = field->max - field->min + 1;
    int step = item->step == 0 ? 1 : item->step;
    int offset;

    if (item->all) {
        return (value - field->min) % step == 0;
    }
    if (item->ranged) {
        offset = (value - item->from + span) % span;
        return offset <= (item->to - item->from + span) % span && offset % step == 0;
    }
    if (item->step != 0) {
        return value >= item->from && (value - item->from) % step == 0;
    }
    return value == item->from;
}

static bool field_has(const struct field *field, int value) {
    for (int i = 0; i < field->n; i++) {
        if (item_has(field, &field->items[i], value)) {
            return true;
        }
    }
    return false;
}

static void write_value(char *out, size_t size, int value, int min, const char *names) {
    if (names != NULL && below(2) == 0) {
        char name[4];
        memcpy(name, names + (value - min) * 3, 3);
        name[3] = '\0';
        if (below(3) == 0) {
            name[1] = (char)(name[1] - 'A' + 'a'); /* names in any case */
        }
        (void)snprintf(out, size, "%s", name);
    } else {
        (void)snprintf(out, size, "%d", value);
    }
}

static void random_field(struct field *field, int min, int max, const char *names, char *out,
                         size_t size) {
    size_t len = 0;

    *field = (struct field){.min = min, .max = max, .n = 1 + (below(3) == 0) + (below(5) == 0)};
    for (int i = 0; i < field->n; i++) {
        struct item *item = &field->items[i];
        char from[16];
        char to[16];
        char step[16] = "";
        *item = (struct item){.all = below(5) == 0,
                              .ranged = below(3) == 0,
                              .from = min + below(max - min + 1),
                              .to = min + below(max - min + 1),
                              .step = below(3) == 0 ? 1 + below(max) : 0};
        write_value(from, sizeof(from), item->from, min, names);
        write_value(to, sizeof(to), item->to, min, names);
        if (item->step > 0) {
            (void)snprintf(step, sizeof(step), "/%d", item->step);
        }
        if (item->all) {
            /* "/2" is as good as "*" with it. */
            const char *star = item->step > 0 && below(2) == 0 ? "" : "*";
            len += (size_t)snprintf(out + len, size - len, "%s%s%s", i > 0 ? "," : "", star, step);
        } else if (item->ranged) {
            len += (size_t)snprintf(out + len, size - len, "%s%s-%s%s", i > 0 ? "," : "", from, to,
                                    step);
        } else {
            len += (size_t)snprintf(out + len, size - len, "%s%s%s", i > 0 ? "," : "", from, step);
        }
    }
}

struct reference {
    enum { BY_DAYS, BY_HOURS, BY_MONTH_DAY, BY_WEEKDAY, LAST_DAY, LAST_WEEKDAY, NTH } kind;
    int every;
    int hour;
    int hour_step; /* 0: none */
    int weekday;
    int nth;
    struct field days;
    struct field months;
    struct field weekdays;
    int duration; /* 0: none */
    int64_t origin;
};

static bool hour_begins(const struct reference *ref, int hour) {
    return ref->hour_step == 0 ? hour == ref->hour
                               : hour >= ref->hour && (hour - ref->hour) % ref->hour_step == 0;
}

static bool day_counts(const struct reference *ref, const struct tm *tm) {
    int64_t day =
        timegm(&(struct tm){.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday}) /
        86400;
    struct tm week_later;
    time_t seconds = (time_t)(day + 7) * 86400;
    struct tm tomorrow;
    time_t next = (time_t)(day + 1) * 86400;

    assert_non_null(gmtime_r(&seconds, &week_later));
    assert_non_null(gmtime_r(&next, &tomorrow));
    switch (ref->kind) {
    case BY_MONTH_DAY:
        return field_has(&ref->days, tm->tm_mday);
    case BY_WEEKDAY:
        return field_has(&ref->weekdays, tm->tm_wday + 1);
    case LAST_DAY:
        return tomorrow.tm_mon != tm->tm_mon;
    case LAST_WEEKDAY:
        return tm->tm_wday + 1 == ref->weekday && week_later.tm_mon != tm->tm_mon;
    case NTH:
        return tm->tm_wday + 1 == ref->weekday && tm->tm_mday > 7 * (ref->nth - 1) &&
               tm->tm_mday <= 7 * ref->nth;
    case BY_DAYS:
    case BY_HOURS:
        break;
    }
    return false;
}

/* A window begins at this full hour. */
static bool begins(const struct reference *ref, int64_t ms) {
    time_t seconds = (time_t)(ms / 1000);
    int64_t first = (ref->origin / DAY + 1) * DAY;
    struct tm tm;

    if (ref->kind == BY_DAYS) {
        return ms % DAY == 0 && ms > ref->origin &&
               (ms / DAY - ref->origin / DAY) % ref->every == 0;
    }
    if (ref->kind == BY_HOURS) {
        return ms >= first && (ms - first) / HOUR % ref->every == 0;
    }
    assert_non_null(gmtime_r(&seconds, &tm));
    return hour_begins(ref, tm.tm_hour) && field_has(&ref->months, tm.tm_mon + 1) &&
           day_counts(ref, &tm);
}

static int hours_a_day(const struct reference *ref) {
    int n = 0;

    for (int hour = 0; hour < 24; hour++) {
        n += hour_begins(ref, hour) ? 1 : 0;
    }
    return n;
}

static int64_t window_end(const struct reference *ref, int64_t start) {
    bool hourly = ref->kind == BY_HOURS || (ref->kind != BY_DAYS && hours_a_day(ref) > 1);
    int64_t hours = ref->duration != 0 ? ref->duration : hourly ? 1 : 24;
    int64_t midnight = (start / DAY + 1) * DAY;

    return start + hours * HOUR < midnight ? start + hours * HOUR : midnight;
}

/* -1: none within 42 years. */
static int64_t slow_next(const struct reference *ref, int64_t after) {
    for (int64_t ms = (after / HOUR + 1) * HOUR; ms < after + 42 * 366 * DAY; ms += HOUR) {
        if (begins(ref, ms)) {
            return ms;
        }
    }
    return -1;
}

/* The start of the window that `when` lies in, or else that of the next one. */
static int64_t slow_window_at(const struct reference *ref, int64_t when) {
    for (int64_t ms = when / HOUR * HOUR; ms > when - DAY && ms >= 0; ms -= HOUR) {
        if (begins(ref, ms) && when < window_end(ref, ms)) {
            return ms;
        }
    }
    return slow_next(ref, when);
}

static bool duration_is_fine(const struct reference *ref) {
    if (ref->duration == 0) {
        return true;
    }
    if (ref->kind == BY_DAYS || ref->kind == BY_HOURS) {
        return ref->duration <= 24 && (ref->kind == BY_DAYS || ref->duration <= ref->every);
    }
    for (int hour = 0; hour < 24; hour++) {
        for (int i = 0; hour_begins(ref, hour) && i < ref->duration; i++) {
            if (hour + i > 23 || (i > 0 && hour_begins(ref, hour + i))) {
                return false;
            }
        }
    }
    return ref->duration <= 24;
}

static bool cadence_is_fine(const struct reference *ref) {
    if (ref->kind == BY_DAYS) {
        return true;
    }
    if (ref->kind == BY_HOURS) {
        return ref->every >= 4;
    }
    for (int hour = 0; hour < 24; hour++) {
        for (int i = 1; i < 4; i++) {
            if (hour_begins(ref, hour) && hour_begins(ref, (hour + i) % 24)) {
                return false;
            }
        }
    }
    return true;
}

static void random_reference(struct reference *ref, char *out, size_t size) {
    static const char month_names[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    static const char day_names[] = "SUNMONTUEWEDTHUFRISAT";
    char hours[32];
    char days[64] = "?";
    char months[96];
    char weekdays[64] = "?";

    *ref = (struct reference){.kind = (unsigned)below(7),
                              .hour = below(24),
                              .hour_step = below(3) == 0 ? 1 + below(23) : 0,
                              .weekday = 1 + below(7),
                              .nth = 1 + below(5),
                              .duration = below(2) == 0 ? 1 + below(26) : 0};
    ref->origin = 1000000000000 + (int64_t)(roll() % (uint64_t)(3000000000000));
    if (ref->kind == BY_DAYS || ref->kind == BY_HOURS) {
        ref->every = 1 + below(below(2) == 0 ? 12 : 60);
        (void)snprintf(out, size, "rate(%d %s)", ref->every,
                       ref->kind == BY_DAYS ? (ref->every == 1 ? "day" : "days") : "hours");
        return;
    }
    if (ref->hour_step == 0) {
        (void)snprintf(hours, sizeof(hours), "%d", ref->hour);
    } else if (below(4) == 0) {
        ref->hour = 0;
        (void)snprintf(hours, sizeof(hours), "/%d", ref->hour_step);
    } else {
        (void)snprintf(hours, sizeof(hours), "%d/%d", ref->hour, ref->hour_step);
    }
    random_field(&ref->months, 1, 12, month_names, months, sizeof(months));
    random_field(&ref->days, 1, 31, NULL, days, sizeof(days));
    random_field(&ref->weekdays, 1, 7, day_names, weekdays, sizeof(weekdays));
    if (ref->kind == LAST_DAY) {
        (void)snprintf(days, sizeof(days), "L");
    } else if (ref->kind == LAST_WEEKDAY) {
        (void)snprintf(days, sizeof(days), "%.3sL", day_names + (ref->weekday - 1) * 3);
    } else if (ref->kind == NTH) {
        (void)snprintf(weekdays, sizeof(weekdays), "%.3s#%d", day_names + (ref->weekday - 1) * 3,
                       ref->nth);
    }
    if (ref->kind == BY_WEEKDAY || ref->kind == NTH) {
        (void)snprintf(days, sizeof(days), "?");
    } else {
        (void)snprintf(weekdays, sizeof(weekdays), "?");
    }
    (void)snprintf(out, size, "cron(0 %s %s %s %s *)", hours, days, months, weekdays);
}

static void compare(const struct reference *ref, const char *text,
                    const struct schedule *schedule) {
    int64_t when = ref->origin;

    for (int i = 0; i < 4; i++) {
        struct schedule_window next = schedule_next(schedule, ref->origin, when);
        struct schedule_window around;
        int64_t inside;
        if (next.start_ms != slow_next(ref, when) ||
            next.end_ms != window_end(ref, next.start_ms)) {
            fail_msg("%s after %lld: %lld to %lld", text, (long long)when, (long long)next.start_ms,
                     (long long)next.end_ms);
        }
        inside = next.start_ms + below(30 * 60) * 60000LL;
        around = schedule_window_at(schedule, ref->origin, inside);
        if (around.start_ms != slow_window_at(ref, inside)) {
            fail_msg("%s around %lld: %lld", text, (long long)inside, (long long)around.start_ms);
        }
        when = below(2) == 0 ? next.start_ms : inside;
    }
}

static void random_expressions(void **state) {
    const char *given = getenv("REDOUBT_SEED");
    unsigned taken = 0;
    unsigned turned_away = 0;

    rng = given != NULL ? strtoull(given, NULL, 10) : 20261124;
    print_message("seed %llu\n", (unsigned long long)rng);
    for (int i = 0; i < 6000; i++) {
        struct reference ref;
        struct schedule schedule;
        struct err err;
        char text[2 * LIMIT_SCHEDULE];
        char duration[16];
        struct schedule_rules rules = {.expression = text};
        bool is_good;
        enum errc code;

        random_reference(&ref, text, sizeof(text));
        (void)snprintf(duration, sizeof(duration), "%dh", ref.duration);
        rules.duration = ref.duration == 0 ? NULL : duration;
        is_good = cadence_is_fine(&ref) && duration_is_fine(&ref);
        if (is_good && ref.kind == BY_MONTH_DAY) {
            is_good = slow_next(&ref, ref.origin) >= 0;
        }
        code = schedule_parse(&rules, &schedule, &err);
        if ((code == OK) != is_good) {
            fail_msg("%s %s: %s", text, rules.duration, code == OK ? "taken" : err.message);
        }
        if (is_good) {
            compare(&ref, text, &schedule);
            taken++;
        } else {
            turned_away++;
        }
    }
    assert_true(taken > 1500);
    assert_true(turned_away > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
