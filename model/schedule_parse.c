/* Reading RotationRules: rate(...), cron(...) and the window's duration. */
#include "model/calendar.h"
#include "model/schedule.h"

#include "base/limits.h"

#include <string.h>
#include <strings.h>

enum {
    CADENCE_HOURS_MIN = 4,
    RATE_DAYS_MAX = 999,
    DAY_HOURS = 24,
    WEEK = 7,
    WEEKS_OF_MONTH = 5,
    NUMBER_DIGITS_MAX = 6,
    NAME_LEN = 3,
};

/* A piece of the expression. */
struct text {
    const char *at;
    size_t len;
};

/* One field of a cron expression that takes sets. */
struct set_field {
    const char *names; /* three letters each, from `min` on; NULL: numbers only */
    int min;
    int max;
};

static const struct set_field month_days = {.names = NULL, .min = 1, .max = 31};
static const struct set_field months = {
    .names = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", .min = 1, .max = CALENDAR_MONTHS};
static const struct set_field weekdays = {.names = "SUNMONTUEWEDTHUFRISAT", .min = 1, .max = WEEK};

enum cron_place { AT_MINUTES, AT_HOURS, AT_MONTH_DAY, AT_MONTH, AT_WEEKDAY, AT_YEAR, CRON_PLACES };

static bool text_is(struct text text, const char *word) {
    return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

/* `text` up to the first `separator`, with what is behind it in *rest; all of it, with an empty
 * *rest and false, where there is none. */
static bool text_cut(struct text text, char separator, struct text *ret, struct text *rest) {
    const char *found = text.len > 0 ? memchr(text.at, separator, text.len) : NULL;

    if (found == NULL) {
        *ret = text;
        *rest = (struct text){.at = text.at + text.len, .len = 0};
        return false;
    }
    *ret = (struct text){.at = text.at, .len = (size_t)(found - text.at)};
    *rest = (struct text){.at = found + 1, .len = text.len - ret->len - 1};
    return true;
}

/* Digits only. */
static bool text_number(struct text text, int64_t *ret) {
    int64_t number = 0;

    if (text.len == 0 || text.len > NUMBER_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        number = number * 10 + (text.at[i] - '0');
    }
    *ret = number;
    return true;
}

static bool text_number_within(struct text text, int min, int max, int *ret) {
    int64_t number;

    if (!text_number(text, &number) || number < min || number > max) {
        return false;
    }
    *ret = (int)number;
    return true;
}

/* The words between spaces, at most `max` of them; their number, or one more than `max`. */
static size_t text_words(struct text text, struct text *words, size_t max) {
    size_t n = 0;

    while (text.len > 0) {
        struct text word;
        struct text rest;
        (void)text_cut(text, ' ', &word, &rest);
        text = rest;
        if (word.len == 0) {
            continue;
        }
        if (n == max) {
            return max + 1;
        }
        words[n++] = word;
    }
    return n;
}

/* --- Sets: lists of values, ranges and steps --- */

static bool value_parse(const struct set_field *field, struct text text, int *ret) {
    if (field->names != NULL && text.len == NAME_LEN) {
        for (int i = field->min; i <= field->max; i++) {
            const char *name = field->names + (i - field->min) * NAME_LEN;
            if (strncasecmp(text.at, name, NAME_LEN) == 0) {
                *ret = i;
                return true;
            }
        }
    }
    return text_number_within(text, field->min, field->max, ret);
}

/* A range whose end comes before its start goes on at the beginning: FRI-MON, NOV-FEB. */
static uint32_t range_bits(const struct set_field *field, int from, int to, int step) {
    int span = field->max - field->min + 1;
    int last = to < from ? to + span : to;
    uint32_t bits = 0;

    for (int value = from; value <= last; value += step) {
        bits |= UINT32_C(1) << (value > field->max ? value - span : value);
    }
    return bits;
}

/* "*", "5", "MON", "1-15", any of them with "/2", or "/2" alone. */
static bool item_parse(const struct set_field *field, struct text item, uint32_t *bits) {
    struct text base;
    struct text end;
    struct text step_text;
    int from = field->min;
    int to = field->max;
    int step = 1;
    bool has_step = text_cut(item, '/', &base, &step_text);

    if (has_step && !text_number_within(step_text, 1, field->max, &step)) {
        return false;
    }
    if (base.len == 0 ? !has_step : !text_is(base, "*")) {
        bool is_range = text_cut(base, '-', &base, &end);
        if (!value_parse(field, base, &from)) {
            return false;
        }
        if (is_range && !value_parse(field, end, &to)) {
            return false;
        }
        if (!is_range && !has_step) {
            to = from;
        }
    }
    *bits |= range_bits(field, from, to, step);
    return true;
}

static bool set_parse(const struct set_field *field, struct text text, uint32_t *ret) {
    struct text item;
    bool more;

    *ret = 0;
    do {
        more = text_cut(text, ',', &item, &text);
        if (!item_parse(field, item, ret)) {
            return false;
        }
    } while (more);
    return true;
}

/* --- The fields of cron --- */

/* "10", "2/10", "/8": no lists, no ranges. */
static bool hours_parse(struct text text, uint32_t *ret) {
    struct text base;
    struct text step_text;
    bool has_step = text_cut(text, '/', &base, &step_text);
    int from = 0;
    int step = DAY_HOURS;

    if (!(has_step && base.len == 0) && !text_number_within(base, 0, DAY_HOURS - 1, &from)) {
        return false;
    }
    if (has_step && !text_number_within(step_text, 1, DAY_HOURS - 1, &step)) {
        return false;
    }
    *ret = 0;
    for (int hour = from; hour < DAY_HOURS; hour += step) {
        *ret |= UINT32_C(1) << hour;
    }
    return true;
}

/* "L", "SUNL", or a set. */
static bool month_day_parse(struct text text, struct schedule_cron *cron) {
    if (text_is(text, "L")) {
        cron->last_day = true;
        return true;
    }
    if (text.len == NAME_LEN + 1 && text.at[NAME_LEN] == 'L') {
        return value_parse(&weekdays, (struct text){.at = text.at, .len = NAME_LEN},
                           &cron->last_weekday);
    }
    return set_parse(&month_days, text, &cron->days);
}

/* "L", "TUE#3", or a set. */
static bool weekday_parse(struct text text, struct schedule_cron *cron) {
    struct text day;
    struct text nth;
    int value;

    if (text_is(text, "L")) {
        cron->weekdays = UINT32_C(1) << WEEK;
        return true;
    }
    if (!text_cut(text, '#', &day, &nth)) {
        return set_parse(&weekdays, text, &cron->weekdays);
    }
    if (!value_parse(&weekdays, day, &value) ||
        !text_number_within(nth, 1, WEEKS_OF_MONTH, &cron->nth)) {
        return false;
    }
    cron->weekdays = UINT32_C(1) << value;
    return true;
}

/* A month that has the day at all, a leap day in any leap year. Weekdays come in every month, a
 * fifth one in some. */
static bool cron_ever_comes(const struct schedule_cron *cron) {
    enum { LEAP_YEAR = 2000 };
    uint32_t lowest = cron->days & (~cron->days + 1);

    if (cron->days == 0) {
        return true;
    }
    for (int month = 1; month <= CALENDAR_MONTHS; month++) {
        if ((cron->months >> month & 1) != 0 &&
            lowest <= UINT32_C(1) << calendar_month_length(LEAP_YEAR, month)) {
            return true;
        }
    }
    return false;
}

/* Hours from one window to the next, also over midnight; DAY_HOURS where there is one a day. */
static int hours_gap(uint32_t hours) {
    int first = -1;
    int last = -1;
    int gap = DAY_HOURS;

    for (int hour = 0; hour < DAY_HOURS; hour++) {
        if ((hours >> hour & 1) == 0) {
            continue;
        }
        if (first < 0) {
            first = hour;
        } else if (hour - last < gap) {
            gap = hour - last;
        }
        last = hour;
    }
    return first + DAY_HOURS - last < gap ? first + DAY_HOURS - last : gap;
}

static int hours_last(uint32_t hours) {
    int last = DAY_HOURS - 1;

    while ((hours >> last & 1) == 0) {
        last--;
    }
    return last;
}

/* NULL, or why not. */
static const char *cron_parse(struct text inside, struct schedule_cron *cron) {
    struct text words[CRON_PLACES];
    int minutes;
    bool by_month_day;

    if (text_words(inside, words, CRON_PLACES) != CRON_PLACES) {
        return "A cron expression has six fields: Minutes, Hours, Day-of-month, Month, "
               "Day-of-week, and Year.";
    }
    if (!text_number_within(words[AT_MINUTES], 0, 0, &minutes)) {
        return "The Minutes field must be 0 because rotation windows open on the hour.";
    }
    if (!text_is(words[AT_YEAR], "*")) {
        return "The Year field must be *.";
    }
    if (!hours_parse(words[AT_HOURS], &cron->hours)) {
        return "The Hours field must be a number from 0 to 23 or an increment such as 2/10.";
    }
    by_month_day = text_is(words[AT_WEEKDAY], "?");
    if (by_month_day == text_is(words[AT_MONTH_DAY], "?")) {
        return "If you specify a value in one of the Day-of-month and Day-of-week fields, you must "
               "use a ? (question mark) in the other.";
    }
    if (by_month_day && !month_day_parse(words[AT_MONTH_DAY], cron)) {
        return "The Day-of-month field is not valid.";
    }
    if (!set_parse(&months, words[AT_MONTH], &cron->months)) {
        return "The Month field is not valid.";
    }
    if (!by_month_day && !weekday_parse(words[AT_WEEKDAY], cron)) {
        return "The Day-of-week field is not valid.";
    }
    if (hours_gap(cron->hours) < CADENCE_HOURS_MIN) {
        return "You can rotate a secret as often as every four hours.";
    }
    return cron_ever_comes(cron) ? NULL : "The schedule never occurs.";
}

/* --- rate --- */

static bool unit_is(struct text text, const char *one, const char *many) {
    return text_is(text, one) || text_is(text, many);
}

/* NULL, or why not. */
static const char *rate_parse(struct text inside, struct schedule *ret) {
    struct text words[2];
    int64_t days_max = RATE_DAYS_MAX;

    if (text_words(inside, words, ARRAY_LEN(words)) != ARRAY_LEN(words) ||
        !text_number(words[0], &ret->every) || ret->every < 1) {
        return "A rate expression has a positive integer and a unit.";
    }
    if (unit_is(words[1], "hour", "hours")) {
        ret->kind = SCHEDULE_HOURS;
        days_max *= DAY_HOURS;
    } else if (unit_is(words[1], "day", "days")) {
        ret->kind = SCHEDULE_DAYS;
    } else {
        return "The unit of a rate expression must be hour, hours, day, or days.";
    }
    if (ret->kind == SCHEDULE_HOURS && ret->every < CADENCE_HOURS_MIN) {
        return "You can rotate a secret as often as every four hours.";
    }
    return ret->every <= days_max ? NULL : "The maximum rotation period is 999 days.";
}

/* --- All together --- */

/* What stands in "name(...)". */
static bool call_parse(const char *expression, const char *name, struct text *ret) {
    size_t len = strlen(expression);
    size_t head = strlen(name);

    if (len < head + 2 || strncmp(expression, name, head) != 0 || expression[head] != '(' ||
        expression[len - 1] != ')') {
        return false;
    }
    *ret = (struct text){.at = expression + head + 1, .len = len - head - 2};
    return true;
}

static const char *expression_parse(const char *expression, struct schedule *ret) {
    struct text inside;

    if (call_parse(expression, "rate", &inside)) {
        return rate_parse(inside, ret);
    }
    if (call_parse(expression, "cron", &inside)) {
        ret->kind = SCHEDULE_CRON;
        return cron_parse(inside, &ret->cron);
    }
    return "The expression must be rate(Value Unit) or cron(Minutes Hours Day-of-month Month "
           "Day-of-week Year).";
}

static bool is_hourly(const struct schedule *schedule) {
    return schedule->kind == SCHEDULE_HOURS ||
           (schedule->kind == SCHEDULE_CRON && hours_gap(schedule->cron.hours) < DAY_HOURS);
}

/* The parsed schedule takes the window's length. NULL, or why not. */
static const char *duration_apply(const char *duration, struct schedule *schedule) {
    size_t len = duration != NULL ? strlen(duration) : 0;
    int64_t gap = DAY_HOURS;
    int64_t start = 0;

    if (duration == NULL) {
        schedule->window_hours = is_hourly(schedule) ? 1 : 0;
        return NULL;
    }
    if (len < 2 || duration[len - 1] != 'h' ||
        !text_number((struct text){.at = duration, .len = len - 1}, &schedule->window_hours) ||
        schedule->window_hours < 1 || schedule->window_hours > DAY_HOURS) {
        return "The length of the rotation window must be from 1h to 24h.";
    }
    if (schedule->kind == SCHEDULE_HOURS) {
        gap = schedule->every;
    } else if (schedule->kind == SCHEDULE_CRON) {
        gap = hours_gap(schedule->cron.hours);
        start = hours_last(schedule->cron.hours);
    }
    if (schedule->window_hours > gap) {
        return "The rotation window must not extend into the next rotation window.";
    }
    return start + schedule->window_hours <= DAY_HOURS
               ? NULL
               : "The rotation window must not extend into the next UTC day.";
}

enum errc schedule_parse(const struct schedule_rules *rules, struct schedule *ret,
                         struct err *err) {
    const char *why;

    *ret = (struct schedule){.kind = SCHEDULE_DAYS, .every = rules->days};
    if (rules->days != 0 && rules->expression != NULL) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "You cannot specify both rotation frequency and schedule expression "
                       "together.");
    }
    if (rules->days == 0 && rules->expression == NULL) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "You must specify either a rotation frequency or a schedule expression.");
    }
    if (rules->expression == NULL && (rules->days < 1 || rules->days > LIMIT_ROTATION_DAYS)) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The rotation frequency must be between 1 and %d days.",
                       LIMIT_ROTATION_DAYS);
    }
    why = rules->expression != NULL ? expression_parse(rules->expression, ret) : NULL;
    if (why != NULL) {
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid schedule expression: %.*s. %s",
                       LIMIT_SCHEDULE, rules->expression, why);
    }
    why = duration_apply(rules->duration, ret);
    if (why != NULL) {
        return err_set(err, ERR_INVALID_PARAMETER, "Invalid rotation window duration: %.*s. %s",
                       LIMIT_SCHEDULE, rules->duration, why);
    }
    return OK;
}
