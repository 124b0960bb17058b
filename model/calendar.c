/* A year is taken to begin in March, so that the leap day is its last one: then the months' lengths
 * follow one line (153 days in five months), and 400 years are always 146097 days. */
#include "model/calendar.h"

#include "base/check.h"

#include <stdbool.h>

static const int64_t ERA_YEARS = 400;
static const int64_t ERA_DAYS = 146097;
static const int64_t MARCH_YEAR_ZERO = -719468; /* 1 March of the year 0, in days since 1970 */

static int64_t floor_div(int64_t value, int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

struct calendar_date calendar_date_of(int64_t day) {
    int64_t since = day - MARCH_YEAR_ZERO;
    int64_t era = floor_div(since, ERA_DAYS);
    int64_t in_era = since - era * ERA_DAYS;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* 0 is March */

    return (struct calendar_date){
        .year = era * ERA_YEARS + year + (month >= 10 ? 1 : 0),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(in_year - (153 * month + 2) / 5 + 1),
    };
}

int64_t calendar_day_of(int64_t year, int month, int day) {
    int64_t from_march = month > 2 ? month - 3 : month + 9;
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era = floor_div(march_year, ERA_YEARS);
    int64_t in_era = march_year - era * ERA_YEARS;
    int64_t in_year = (153 * from_march + 2) / 5 + day - 1;

    return MARCH_YEAR_ZERO + era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year;
}

int calendar_month_length(int64_t year, int month) {
    static const int lengths[CALENDAR_MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    CHECK(month >= 1 && month <= CALENDAR_MONTHS);
    return lengths[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

int calendar_weekday_of(int64_t day) {
    enum { WEEK = 7, EPOCH = 4 }; /* 1 January 1970 was a Thursday */

    return (int)(day + EPOCH - floor_div(day + EPOCH, WEEK) * WEEK) + 1;
}
