/* Rotation schedules: the examples and refusals of AWS_BEHAVIOUR 3.14.5, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "model/calendar.h"
#include "model/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t DAY = 86400000;

static int64_t at(const char *text) {
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);

    assert_non_null(end);
    assert_int_equal(*end, '\0');
    return (int64_t)timegm(&tm) * 1000;
}

static void assert_time(int64_t ms, const char *expected) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[64];

    assert_int_equal(ms % 1000, 0);
    assert_non_null(gmtime_r(&seconds, &tm));
    assert_true(strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) > 0);
    assert_string_equal(text, expected);
}

static struct schedule parsed(int64_t days, const char *expression, const char *duration) {
    struct schedule schedule;
    struct err err;
    const struct schedule_rules rules = {days, expression, duration};

    if (schedule_parse(&rules, &schedule, &err) != OK) {
        fail_msg("%s %s: %s", expression, duration, err.message);
    }
    return schedule;
}

/* --- The calendar --- */

static void calendar_agrees_with_the_library(void **state) {
    for (int64_t day = -200000; day<3000000; day += day> - 1000 && day < 200000 ? 1 : 97) {
        time_t seconds = (time_t)day * 86400;
        struct calendar_date date = calendar_date_of(day);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(date.year, tm.tm_year + 1900);
        assert_int_equal(date.month, tm.tm_mon + 1);
        assert_int_equal(date.day, tm.tm_mday);
        assert_int_equal(calendar_weekday_of(day), tm.tm_wday + 1);
        assert_int_equal(calendar_day_of(date.year, date.month, date.day), day);
    }
    assert_int_equal(calendar_month_length(2000, 2), 29);
    assert_int_equal(calendar_month_length(2100, 2), 28);
    assert_int_equal(calendar_month_length(2024, 2), 29);
    assert_int_equal(calendar_month_length(2023, 2), 28);
    assert_int_equal(calendar_month_length(2023, 11), 30);
}

/* --- The examples --- */

struct example {
    const char *expression;
    const char *duration;
    const char *from;
    const char *starts[6]; /* of the windows behind `from` */
    const char *deadline;  /* of the first one */
};

static const struct example examples[] = {
    {"cron(0 10 * * ? *)",
     NULL,
     "2026-02-27 10:00:00",
     {"2026-02-28 10:00:00", "2026-03-01 10:00:00"},
     "2026-02-28 23:59:59"},
    {"cron(0 18 ? * SAT *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-11-28 18:00:00", "2026-12-05 18:00:00"},
     "2026-11-28 23:59:59"},
    {"cron(0 8 1 * ? *)",
     "2h",
     "2026-11-24 00:00:00",
     {"2026-12-01 08:00:00", "2027-01-01 08:00:00"},
     "2026-12-01 09:59:59"},
    {"cron(0 17 L * ? *)",
     NULL,
     "2024-01-31 16:59:59",
     {"2024-01-31 17:00:00", "2024-02-29 17:00:00", "2024-03-31 17:00:00", "2024-04-30 17:00:00"},
     "2024-01-31 23:59:59"},
    {"cron(0 8 ? * MON-FRI *)",
     NULL,
     "2026-11-26 08:00:00",
     {"2026-11-27 08:00:00", "2026-11-30 08:00:00", "2026-12-01 08:00:00"},
     "2026-11-27 23:59:59"},
    /* The service's own example of DescribeSecret says 17:59:59 for this window. */
    {"cron(0 16 1,15 * ? *)",
     "2h",
     "2022-10-07 00:00:00",
     {"2022-10-15 16:00:00", "2022-11-01 16:00:00", "2022-11-15 16:00:00"},
     "2022-10-15 17:59:59"},
    {"cron(0 0 ? * SUN#1 *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-12-06 00:00:00", "2027-01-03 00:00:00", "2027-02-07 00:00:00"},
     "2026-12-06 23:59:59"},
    {"cron(0 1 ? 1/3 SUN#1 *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2027-01-03 01:00:00", "2027-04-04 01:00:00", "2027-07-04 01:00:00"},
     "2027-01-03 23:59:59"},
    {"cron(0 10 ? FEB,MAY,AUG,NOV TUE#2 *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2027-02-09 10:00:00", "2027-05-11 10:00:00"},
     "2027-02-09 23:59:59"},
    {"cron(0 9 ? * TUE#3 *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-12-15 09:00:00"},
     "2026-12-15 23:59:59"},
    {"cron(0 9 ? * 2#1 *)", /* the first Monday */
     NULL,
     "2026-11-24 00:00:00",
     {"2026-12-07 09:00:00"},
     "2026-12-07 23:59:59"},
    {"cron(0 9 SUNL * ? *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-11-29 09:00:00", "2026-12-27 09:00:00", "2027-01-31 09:00:00"},
     "2026-11-29 23:59:59"},
    {"cron(0 9 ? * L *)", /* the last day of the week */
     NULL,
     "2026-11-24 00:00:00",
     {"2026-11-28 09:00:00", "2026-12-05 09:00:00"},
     "2026-11-28 23:59:59"},
    {"cron(0 0 1 1/11 ? *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-12-01 00:00:00"},
     "2026-12-01 23:59:59"},
    {"cron(0 0 1/10 * ? *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-12-01 00:00:00", "2026-12-11 00:00:00", "2026-12-21 00:00:00", "2026-12-31 00:00:00",
      "2027-01-01 00:00:00"},
     "2026-12-01 23:59:59"},
    {"cron(0 2/10 * * ? *)",
     NULL,
     "2026-11-24 02:00:00",
     {"2026-11-24 12:00:00", "2026-11-24 22:00:00", "2026-11-25 02:00:00"},
     "2026-11-24 12:59:59"},
    {"cron(0 /8 * * ? *)",
     NULL,
     "2026-11-24 02:00:00",
     {"2026-11-24 08:00:00", "2026-11-24 16:00:00", "2026-11-25 00:00:00"},
     "2026-11-24 08:59:59"},
    {"cron(0 8/8 * * ? *)",
     "8h",
     "2026-11-24 02:00:00",
     {"2026-11-24 08:00:00", "2026-11-24 16:00:00", "2026-11-25 08:00:00"},
     "2026-11-24 15:59:59"},
    {"cron(0 4/12 * * ? *)",
     NULL,
     "2026-11-24 02:00:00",
     {"2026-11-24 04:00:00", "2026-11-24 16:00:00", "2026-11-25 04:00:00"},
     "2026-11-24 04:59:59"},
    /* Ranges go on at the beginning. */
    {"cron(0 0 ? * FRI-MON *)",
     NULL,
     "2026-11-24 00:00:00",
     {"2026-11-27 00:00:00", "2026-11-28 00:00:00", "2026-11-29 00:00:00", "2026-11-30 00:00:00",
      "2026-12-04 00:00:00"},
     "2026-11-27 23:59:59"},
    /* Leap days: 2100 has none. */
    {"cron(0 0 29 FEB ? *)",
     NULL,
     "2096-02-29 00:00:00",
     {"2104-02-29 00:00:00"},
     "2104-02-29 23:59:59"},
    {"rate(1 day)",
     NULL,
     "2026-11-24 15:00:00",
     {"2026-11-25 00:00:00", "2026-11-26 00:00:00"},
     "2026-11-25 23:59:59"},
    {"rate(10 days)",
     "3h",
     "2026-11-24 15:00:00",
     {"2026-12-04 00:00:00", "2026-12-14 00:00:00"},
     "2026-12-04 02:59:59"},
    {"rate(999 days)", NULL, "2026-11-24 15:00:00", {"2029-08-19 00:00:00"}, "2029-08-19 23:59:59"},
    {"rate(4 hours)",
     NULL,
     "2026-11-24 15:00:00",
     {"2026-11-25 00:00:00", "2026-11-25 04:00:00", "2026-11-25 08:00:00"},
     "2026-11-25 00:59:59"},
    {"rate(12 hours)",
     "12h",
     "2026-11-24 15:00:00",
     {"2026-11-25 00:00:00", "2026-11-25 12:00:00", "2026-11-26 00:00:00"},
     "2026-11-25 11:59:59"},
    /* Hours go on over midnight. */
    {"rate(10 hours)",
     NULL,
     "2026-11-24 15:00:00",
     {"2026-11-25 00:00:00", "2026-11-25 10:00:00", "2026-11-25 20:00:00", "2026-11-26 06:00:00"},
     "2026-11-25 00:59:59"},
    {"rate(36 hours)",
     NULL,
     "2026-11-24 15:00:00",
     {"2026-11-25 00:00:00", "2026-11-26 12:00:00", "2026-11-28 00:00:00"},
     "2026-11-25 00:59:59"},
};

static void examples_of_the_table(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const struct example *example = &examples[i];
        struct schedule schedule = parsed(0, example->expression, example->duration);
        int64_t origin = at(example->from);
        int64_t when = origin;
        for (size_t k = 0; k < ARRAY_LEN(example->starts) && example->starts[k] != NULL; k++) {
            struct schedule_window window = schedule_next(&schedule, origin, when);
            assert_time(window.start_ms, example->starts[k]);
            if (k == 0) {
                assert_time(schedule_deadline(&window), example->deadline);
            }
            when = window.start_ms;
        }
    }
}

/* Seen at the service: 30 days, rotated at 06:42:22Z on 22 January, next one before the end of 21
 * February; changed by hand on 3 February, next one before the end of 5 March. */
static void days_run_to_the_end_of_the_due_day(void **state) {
    struct schedule schedule = parsed(30, NULL, NULL);
    int64_t rotated = at("2026-01-22 06:42:22") + 340;
    struct schedule_window window = schedule_next(&schedule, rotated, rotated);

    assert_time(window.start_ms, "2026-02-21 00:00:00");
    assert_time(schedule_deadline(&window), "2026-02-21 23:59:59");
    rotated = at("2026-02-03 17:42:24");
    window = schedule_next(&schedule, rotated, rotated);
    assert_time(schedule_deadline(&window), "2026-03-05 23:59:59");
    schedule = parsed(1, NULL, "24h");
    window = schedule_next(&schedule, rotated, rotated);
    assert_time(window.start_ms, "2026-02-04 00:00:00");
    assert_time(schedule_deadline(&window), "2026-02-04 23:59:59");
    schedule = parsed(1000, NULL, "1h");
    window = schedule_next(&schedule, rotated, rotated);
    assert_time(schedule_deadline(&window), "2028-10-30 00:59:59");
}

static void a_window_is_found_from_inside(void **state) {
    struct schedule schedule = parsed(0, "cron(0 8/8 * * ? *)", "2h");
    struct schedule_window window;

    window = schedule_window_at(&schedule, 0, at("2026-11-24 09:59:59") + 999);
    assert_time(window.start_ms, "2026-11-24 08:00:00");
    window = schedule_window_at(&schedule, 0, at("2026-11-24 10:00:00"));
    assert_time(window.start_ms, "2026-11-24 16:00:00");
    window = schedule_window_at(&schedule, 0, at("2026-11-24 08:00:00"));
    assert_time(window.start_ms, "2026-11-24 08:00:00");
    window = schedule_window_at(&schedule, 0, at("2026-11-24 23:00:00"));
    assert_time(window.start_ms, "2026-11-25 08:00:00");
    /* A missed day window comes again after as many days. */
    schedule = parsed(3, NULL, NULL);
    window = schedule_window_at(&schedule, at("2026-11-24 12:00:00"), at("2026-11-25 12:00:00"));
    assert_time(window.start_ms, "2026-11-27 00:00:00");
    window = schedule_window_at(&schedule, at("2026-11-24 12:00:00"), at("2026-11-27 23:59:59"));
    assert_time(window.start_ms, "2026-11-27 00:00:00");
    window = schedule_window_at(&schedule, at("2026-11-24 12:00:00"), at("2026-11-28 00:00:00"));
    assert_time(window.start_ms, "2026-11-30 00:00:00");
    /* A window ends with its day at the latest. */
    schedule = parsed(0, "rate(10 hours)", "5h");
    window = schedule_window_at(&schedule, at("2026-11-24 12:00:00"), at("2026-11-25 23:59:59"));
    assert_time(window.start_ms, "2026-11-25 20:00:00");
    assert_time(schedule_deadline(&window), "2026-11-25 23:59:59");
}

/* 3.7: AutomaticallyAfterDays beside an expression is computed. */
static void computed_days(void **state) {
    const struct {
        const char *expression;
        const char *rotated;
        int64_t days;
    } rows[] = {
        /* As in the service's example. */
        {"cron(0 16 1,15 * ? *)", "2022-10-01 16:20:00", 14},
        {"cron(0 16 1,15 * ? *)", "2022-10-15 16:20:00", 17},
        {"cron(0 8 1 * ? *)", "2026-02-01 08:00:00", 28},
        {"cron(0 10 * * ? *)", "2026-02-01 10:10:00", 1},
        {"cron(0 10 * * ? *)", "2026-02-01 09:10:00", 1}, /* less than a day is one */
        {"cron(0 2/10 * * ? *)", "2026-02-01 09:10:00", 1},
        {"cron(0 0 29 2 ? *)", "2024-02-29 10:10:00", 1000}, /* the API knows no more */
        {"rate(10 days)", "2026-02-01 10:10:00", 10},
        {"rate(999 days)", "2026-02-01 10:10:00", 999},
        {"rate(4 hours)", "2026-02-01 10:10:00", 1},
        {"rate(24 hours)", "2026-02-01 10:10:00", 1},
        {"rate(36 hours)", "2026-02-01 10:10:00", 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct schedule schedule = parsed(0, rows[i].expression, NULL);
        int64_t rotated = at(rows[i].rotated);
        assert_int_equal(schedule_days(&schedule, rotated, rotated), rows[i].days);
    }
    assert_int_equal(schedule_days(&(struct schedule){.kind = SCHEDULE_DAYS, .every = 45}, 0, 0),
                     45);
}

/* What comes rarest still comes: every fifth weekday of February, from every month on. */
static void the_rarest_comes(void **state) {
    for (int weekday = 1; weekday <= 7; weekday++) {
        char text[64];
        struct schedule schedule;
        int64_t when = 0;
        (void)snprintf(text, sizeof(text), "cron(0 0 ? 2 %d#5 *)", weekday);
        schedule = parsed(0, text, NULL);
        for (int i = 0; i < 60; i++) {
            struct schedule_window window = schedule_next(&schedule, 0, when);
            struct calendar_date date = calendar_date_of(window.start_ms / DAY);
            assert_int_equal(date.month, 2);
            assert_int_equal(date.day, 29);
            assert_int_equal(calendar_weekday_of(window.start_ms / DAY), weekday);
            assert_true(window.start_ms > when);
            when = window.start_ms;
        }
    }
}

/* --- The refusals --- */

static void refused(int64_t days, const char *expression, const char *duration,
                    const char *sentence) {
    struct schedule schedule;
    struct err err;
    const struct schedule_rules rules = {days, expression, duration};

    if (schedule_parse(&rules, &schedule, &err) != ERR_INVALID_PARAMETER) {
        fail_msg("%s %s is taken", expression, duration);
    }
    assert_string_equal(err.message, sentence);
}

static void refused_expression(const char *expression, const char *why) {
    char sentence[1024];

    (void)snprintf(sentence, sizeof(sentence), "Invalid schedule expression: %s. %s", expression,
                   why);
    refused(0, expression, NULL, sentence);
}

#define FORM                                                                                       \
    "The expression must be rate(Value Unit) or cron(Minutes Hours Day-of-month Month "            \
    "Day-of-week Year)."
#define OFTEN   "You can rotate a secret as often as every four hours."
#define RATE    "A rate expression has a positive integer and a unit."
#define UNIT    "The unit of a rate expression must be hour, hours, day, or days."
#define LONGEST "The maximum rotation period is 999 days."
#define SIX                                                                                        \
    "A cron expression has six fields: Minutes, Hours, Day-of-month, Month, Day-of-week, and "     \
    "Year."
#define MINUTES "The Minutes field must be 0 because rotation windows open on the hour."
#define HOURS   "The Hours field must be a number from 0 to 23 or an increment such as 2/10."
#define EITHER                                                                                     \
    "If you specify a value in one of the Day-of-month and Day-of-week fields, you must use a ? "  \
    "(question mark) in the other."
#define MONTH_DAY "The Day-of-month field is not valid."
#define MONTH     "The Month field is not valid."
#define WEEKDAY   "The Day-of-week field is not valid."
#define YEAR      "The Year field must be *."
#define NEVER     "The schedule never occurs."

static const struct {
    const char *expression;
    const char *why;
} bad_expressions[] = {
    {"daily", FORM},
    {"rate", FORM},
    {"rate(", FORM},
    {"rate(1 day", FORM},
    {"rate 1 day)", FORM},
    {"Rate(1 day)", FORM},
    {"at(2026-11-24)", FORM},
    {" rate(1 day)", FORM},
    {"rate()", RATE},
    {"rate(day)", RATE},
    {"rate(1)", RATE},
    {"rate(0 days)", RATE},
    {"rate(-1 days)", RATE},
    {"rate(1 2 days)", RATE},
    {"rate(1000000000000000000000 days)", RATE},
    {"rate(10 minutes)", UNIT},
    {"rate(10 weeks)", UNIT},
    {"rate(1 Day)", UNIT},
    {"rate(1 hour)", OFTEN},
    {"rate(3 hours)", OFTEN},
    {"rate(1000 days)", LONGEST},
    {"rate(23977 hours)", LONGEST},
    {"cron()", SIX},
    {"cron(0 10 * * ?)", SIX},
    {"cron(0 10 * * ? * *)", SIX},
    {"cron(0 10 ** ? *)", SIX},
    {"cron(5 10 * * ? *)", MINUTES},
    {"cron(* 10 * * ? *)", MINUTES},
    {"cron(/30 10 * * ? *)", MINUTES},
    {"cron(0 24 * * ? *)", HOURS},
    {"cron(0 * * * ? *)", HOURS},
    {"cron(0 8,16 * * ? *)", HOURS},
    {"cron(0 8-16 * * ? *)", HOURS},
    {"cron(0 */8 * * ? *)", HOURS},
    {"cron(0 / * * ? *)", HOURS},
    {"cron(0 8/ * * ? *)", HOURS},
    {"cron(0 8/0 * * ? *)", HOURS},
    {"cron(0 8/24 * * ? *)", HOURS},
    {"cron(0 ? * * ? *)", HOURS},
    {"cron(0 L * * ? *)", HOURS},
    {"cron(0 /1 * * ? *)", OFTEN},
    {"cron(0 /3 * * ? *)", OFTEN},
    {"cron(0 20/3 * * ? *)", OFTEN},
    /* Step schedules begin anew each day: 21 and 0 o'clock are three hours apart. */
    {"cron(0 /7 * * ? *)", OFTEN},
    {"cron(0 /23 * * ? *)", OFTEN},
    {"cron(0 10 * * * *)", EITHER},
    {"cron(0 10 ? * ? *)", EITHER},
    {"cron(0 10 1 * MON *)", EITHER},
    {"cron(0 10 0 * ? *)", MONTH_DAY},
    {"cron(0 10 32 * ? *)", MONTH_DAY},
    {"cron(0 10 1, * ? *)", MONTH_DAY},
    {"cron(0 10 ,1 * ? *)", MONTH_DAY},
    {"cron(0 10 1--3 * ? *)", MONTH_DAY},
    {"cron(0 10 1- * ? *)", MONTH_DAY},
    {"cron(0 10 -3 * ? *)", MONTH_DAY},
    {"cron(0 10 1-2-3 * ? *)", MONTH_DAY},
    {"cron(0 10 1/0 * ? *)", MONTH_DAY},
    {"cron(0 10 1/32 * ? *)", MONTH_DAY},
    {"cron(0 10 1/2/3 * ? *)", MONTH_DAY},
    {"cron(0 10 1,L * ? *)", MONTH_DAY},
    {"cron(0 10 LL * ? *)", MONTH_DAY},
    {"cron(0 10 15W * ? *)", MONTH_DAY},
    {"cron(0 10 1L * ? *)", MONTH_DAY},
    {"cron(0 10 XXXL * ? *)", MONTH_DAY},
    {"cron(0 10 MON * ? *)", MONTH_DAY},
    {"cron(0 10 1#1 * ? *)", MONTH_DAY},
    {"cron(0 10 1,? * ? *)", MONTH_DAY},
    {"cron(0 10 1 0 ? *)", MONTH},
    {"cron(0 10 1 13 ? *)", MONTH},
    {"cron(0 10 1 JANUARY ? *)", MONTH},
    {"cron(0 10 1 L ? *)", MONTH},
    {"cron(0 10 1 ? ? *)", MONTH},
    {"cron(0 10 1 1/13 ? *)", MONTH},
    {"cron(0 10 ? * 0 *)", WEEKDAY},
    {"cron(0 10 ? * 8 *)", WEEKDAY},
    {"cron(0 10 ? * MO *)", WEEKDAY},
    {"cron(0 10 ? * MON#0 *)", WEEKDAY},
    {"cron(0 10 ? * MON#6 *)", WEEKDAY},
    {"cron(0 10 ? * #1 *)", WEEKDAY},
    {"cron(0 10 ? * MON#1,TUE#1 *)", WEEKDAY},
    {"cron(0 10 ? * SUNL *)", WEEKDAY},
    {"cron(0 10 * * ? 2026)", YEAR},
    {"cron(0 10 * * ? ?)", YEAR},
    {"cron(0 10 * * ? 2026-2030)", YEAR},
    {"cron(0 10 30 2 ? *)", NEVER},
    {"cron(0 10 31 4,JUN,9,NOV ? *)", NEVER},
    {"cron(0 10 30,31 FEB ? *)", NEVER},
};

static void expressions_are_refused(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(bad_expressions); i++) {
        refused_expression(bad_expressions[i].expression, bad_expressions[i].why);
    }
    refused(0, NULL, NULL,
            "You must specify either a rotation frequency or a schedule expression.");
    refused(0, NULL, "3h",
            "You must specify either a rotation frequency or a schedule expression.");
    refused(30, "rate(1 day)", NULL,
            "You cannot specify both rotation frequency and schedule expression together.");
    /* The front end lets none of these through; a command might. */
    refused(1001, NULL, NULL, "The rotation frequency must be between 1 and 1000 days.");
    refused(-1, NULL, NULL, "The rotation frequency must be between 1 and 1000 days.");
}

static void durations_are_refused(void **state) {
#define HEAD(text)  "Invalid rotation window duration: " text ". "
#define LENGTH      "The length of the rotation window must be from 1h to 24h."
#define NEXT_DAY    "The rotation window must not extend into the next UTC day."
#define NEXT_WINDOW "The rotation window must not extend into the next rotation window."
    refused(30, NULL, "0h", HEAD("0h") LENGTH);
    refused(30, NULL, "25h", HEAD("25h") LENGTH);
    refused(30, NULL, "h", HEAD("h") LENGTH);
    refused(30, NULL, "3", HEAD("3") LENGTH);
    refused(30, NULL, "3d", HEAD("3d") LENGTH);
    refused(30, NULL, "hh", HEAD("hh") LENGTH);
    refused(0, "cron(0 20 * * ? *)", "5h", HEAD("5h") NEXT_DAY);
    (void)parsed(0, "cron(0 20 * * ? *)", "4h");
    refused(0, "cron(0 4/12 * * ? *)", "9h", HEAD("9h") NEXT_DAY);
    (void)parsed(0, "cron(0 4/12 * * ? *)", "8h");
    refused(0, "cron(0 2/10 * * ? *)", "5h", HEAD("5h") NEXT_WINDOW);
    refused(0, "cron(0 2/10 * * ? *)", "3h", HEAD("3h") NEXT_DAY);
    (void)parsed(0, "cron(0 2/10 * * ? *)", "2h");
    refused(0, "rate(4 hours)", "5h", HEAD("5h") NEXT_WINDOW);
    (void)parsed(0, "rate(4 hours)", "4h");
    refused(0, "rate(36 hours)", "25h", HEAD("25h") LENGTH);
    (void)parsed(0, "rate(36 hours)", "24h");
    (void)parsed(0, "rate(1 day)", "24h");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_agrees_with_the_library),
        cmocka_unit_test(examples_of_the_table),
        cmocka_unit_test(days_run_to_the_end_of_the_due_day),
        cmocka_unit_test(a_window_is_found_from_inside),
        cmocka_unit_test(computed_days),
        cmocka_unit_test(the_rarest_comes),
        cmocka_unit_test(expressions_are_refused),
        cmocka_unit_test(durations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
