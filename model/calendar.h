/* The Gregorian calendar in days since 1970 (UTC), by arithmetic alone: the state machine computes
 * dates and sees no clock. Pure, any thread; years up to some millions either way. */
#ifndef MODEL_CALENDAR_H
#define MODEL_CALENDAR_H

#include <stdint.h>

enum { CALENDAR_MONTHS = 12 };

struct calendar_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

struct calendar_date calendar_date_of(int64_t day);
int64_t calendar_day_of(int64_t year, int month, int day);
/* 28 to 31. */
int calendar_month_length(int64_t year, int month);
/* 1 to 7, 1 is Sunday, as the service counts. */
int calendar_weekday_of(int64_t day);

#endif
