#include "crypto/sigv4_time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { YEAR_MIN = 1970, YEAR_MAX = 9999, SECONDS_PER_DAY = 86400 };
static const int64_t SECONDS_MAX = 253402300799; /* 9999-12-31T23:59:59Z */

struct moment {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};

/* `digits` decimal digits at `text`; -1 for anything else. */
static int number_at(const char *text, size_t digits) {
    int value = 0;

    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static bool year_is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int leap_years_through(int year) {
    return year / 4 - year / 100 + year / 400;
}

static bool in_range(int value, int min, int max) {
    return value >= min && value <= max;
}

static bool moment_to_ms(const struct moment *m, int64_t *ret_ms) {
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days, seconds;
    int last_day;

    if (!in_range(m->year, YEAR_MIN, YEAR_MAX) || !in_range(m->month, 1, 12) ||
        !in_range(m->hour, 0, 23) || !in_range(m->minute, 0, 59) || !in_range(m->second, 0, 59)) {
        return false;
    }
    last_day = month_days[m->month - 1] + (m->month == 2 && year_is_leap(m->year) ? 1 : 0);
    if (!in_range(m->day, 1, last_day)) {
        return false;
    }
    days = 365 * (int64_t)(m->year - YEAR_MIN) + leap_years_through(m->year - 1) -
           leap_years_through(YEAR_MIN - 1);
    for (int month = 1; month < m->month; month++) {
        days += month_days[month - 1];
    }
    if (m->month > 2 && year_is_leap(m->year)) {
        days++;
    }
    days += m->day - 1;
    seconds = days * SECONDS_PER_DAY + m->hour * 3600 + m->minute * 60 + m->second;
    *ret_ms = seconds * 1000;
    return true;
}

bool sigv4_time_parse_basic(const char *text, size_t len, int64_t *ret_ms) {
    struct moment m;

    if (len != SIGV4_TIMESTAMP - 1 || text[8] != 'T' || text[15] != 'Z') {
        return false;
    }
    m = (struct moment){.year = number_at(text, 4),
                        .month = number_at(text + 4, 2),
                        .day = number_at(text + 6, 2),
                        .hour = number_at(text + 9, 2),
                        .minute = number_at(text + 11, 2),
                        .second = number_at(text + 13, 2)};
    return moment_to_ms(&m, ret_ms);
}

static int month_of(const char *text) {
    static const char names[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    for (int i = 0; i < 12; i++) {
        if (memcmp(text, names[i], 3) == 0) {
            return i + 1;
        }
    }
    return -1;
}

/* '.' stands for what is read on its own. */
static bool text_has_shape(const char *text, size_t len, const char *shape) {
    if (len != strlen(shape)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (shape[i] != '.' && shape[i] != text[i]) {
            return false;
        }
    }
    return true;
}

bool sigv4_time_parse_extended(const char *text, size_t len, int64_t *ret_ms) {
    struct moment m;

    if (!text_has_shape(text, len, "....-..-..T..:..:..Z")) {
        return false;
    }
    m = (struct moment){.year = number_at(text, 4),
                        .month = number_at(text + 5, 2),
                        .day = number_at(text + 8, 2),
                        .hour = number_at(text + 11, 2),
                        .minute = number_at(text + 14, 2),
                        .second = number_at(text + 17, 2)};
    return moment_to_ms(&m, ret_ms);
}

bool sigv4_time_parse_http(const char *text, size_t len, int64_t *ret_ms) {
    struct moment m;

    if (!text_has_shape(text, len, "..., .. ... .... ..:..:.. GMT")) {
        return false;
    }
    m = (struct moment){.year = number_at(text + 12, 4),
                        .month = month_of(text + 8),
                        .day = number_at(text + 5, 2),
                        .hour = number_at(text + 17, 2),
                        .minute = number_at(text + 20, 2),
                        .second = number_at(text + 23, 2)};
    return moment_to_ms(&m, ret_ms);
}

void sigv4_time_format(int64_t ms, char out[SIGV4_TIMESTAMP]) {
    int64_t seconds = ms / 1000;
    time_t at = seconds < 0 ? 0 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
    struct tm tm;

    CHECK(gmtime_r(&at, &tm) != NULL);
    CHECK(strftime(out, SIGV4_TIMESTAMP, "%Y%m%dT%H%M%SZ", &tm) == SIGV4_TIMESTAMP - 1);
}
