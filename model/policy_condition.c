#include "model/policy_condition.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct policy_operator_kind policy_operator_kinds[] = {
#define X(symbol, text, values, is_negated, is_wild)                                               \
    {.name = (text), .type = VALUE_TYPE_##values, .negated = (is_negated), .wild = (is_wild)},
#include "model/policy_operators.def"
#undef X
};

enum { OPERATORS = ARRAY_LEN(policy_operator_kinds) };

/* --- operators --- */

/* The text behind `head`, in any case; `text` where it does not begin so. */
static const char *without_head(const char *text, const char *head) {
    size_t len = strlen(head);

    return strncasecmp(text, head, len) == 0 ? text + len : text;
}

bool policy_condition_read_operator(const char *name, struct policy_condition *ret) {
    static const char if_exists[] = "IfExists";
    const size_t tail = sizeof(if_exists) - 1;
    const char *base = without_head(name, "ForAllValues:");
    size_t len;

    ret->quantifier = base == name ? QUANTIFIER_NONE : QUANTIFIER_ALL_VALUES;
    if (base == name) {
        base = without_head(name, "ForAnyValue:");
        ret->quantifier = base == name ? QUANTIFIER_NONE : QUANTIFIER_ANY_VALUE;
    }
    len = strlen(base);
    ret->if_exists = len > tail && strcasecmp(base + len - tail, if_exists) == 0;
    len -= ret->if_exists ? tail : 0;
    for (size_t i = 0; i < OPERATORS; i++) {
        if (strlen(policy_operator_kinds[i].name) == len &&
            strncasecmp(policy_operator_kinds[i].name, base, len) == 0) {
            ret->op = (enum policy_operator)i;
            return !(ret->if_exists && ret->op == OPERATOR_KEY_IS_NULL);
        }
    }
    return false;
}

/* --- values --- */

bool policy_variables_are_sound(const char *text) {
    for (const char *at = strstr(text, "${"); at != NULL; at = strstr(at, "${")) {
        const char *end = strchr(at, '}');

        if (end == NULL || end == at + 2) {
            return false;
        }
        at = end;
    }
    return true;
}

static bool read_number(const char *text, double *ret) {
    char *end;

    /* strtod takes more than decimal numbers. */
    if (text[0] == '\0' || text[strspn(text, "+-0123456789.eE")] != '\0') {
        return false;
    }
    *ret = strtod(text, &end);
    return *end == '\0' && isfinite(*ret);
}

static bool read_truth(const char *text, bool *ret) {
    *ret = strcasecmp(text, "true") == 0;
    return *ret || strcasecmp(text, "false") == 0;
}

static bool is_base64(const char *text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789+/";
    size_t len = strspn(text, alphabet);
    size_t padding = strspn(text + len, "=");

    return text[len + padding] == '\0' && padding <= 2 && (len + padding) % 4 == 0 && len > 0;
}

/* --- addresses --- */

static void block_mask(struct policy_block *block) {
    for (size_t i = 0; i < sizeof(block->bytes); i++) {
        size_t bits = block->prefix > 8 * i ? block->prefix - 8 * i : 0;

        if (bits < 8) {
            block->bytes[i] &= (uint8_t)(0xFF00U >> bits);
        }
    }
}

static bool read_prefix(const char *text, unsigned most, uint8_t *ret) {
    unsigned prefix = 0;

    for (size_t i = 0; text[i] != '\0' || i == 0; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 3) {
            return false;
        }
        prefix = 10 * prefix + (unsigned)(text[i] - '0');
    }
    *ret = (uint8_t)prefix;
    return prefix <= most;
}

static bool read_block(const char *text, struct policy_block *ret) {
    struct policy_block block = {.is_v6 = strchr(text, ':') != NULL};
    const unsigned most = block.is_v6 ? 128 : 32;
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");

    if (len >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    block.prefix = (uint8_t)most;
    if (inet_pton(block.is_v6 ? AF_INET6 : AF_INET, address, block.bytes) != 1 ||
        (text[len] == '/' && !read_prefix(text + len + 1, most, &block.prefix))) {
        return false;
    }
    block_mask(&block);
    *ret = block;
    return true;
}

/* --- dates: ISO 8601, or seconds since 1970 --- */

enum { DATE_PARTS = 6, YEAR = 0, MONTH, DAY, HOUR, MINUTE, SECOND };

static const int64_t SECOND_MS = 1000;

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3; /* from March */
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - 400 * era;

    return 146097 * era + 365 * of_era + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1 -
           719468;
}

/* `n` digits at *text, which moves behind them. */
static bool read_digits(const char **text, size_t n, int64_t *ret) {
    int64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        char c = (*text)[i];

        if (c < '0' || c > '9') {
            return false;
        }
        value = 10 * value + (c - '0');
    }
    *text += n;
    *ret = value;
    return true;
}

/* Z, +hh:mm or -hh:mm, and nothing behind it. */
static bool read_zone(const char *text, int64_t *ret_minutes) {
    int64_t hours;
    int64_t minutes;
    bool is_west = *text == '-';

    *ret_minutes = 0;
    if (strcmp(text, "Z") == 0) {
        return true;
    }
    if (*text != '+' && *text != '-') {
        return false;
    }
    text++;
    if (!read_digits(&text, 2, &hours) || *text++ != ':' || !read_digits(&text, 2, &minutes) ||
        *text != '\0' || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_minutes = (is_west ? -1 : 1) * (60 * hours + minutes);
    return true;
}

/* ".sss", as many digits as there are; beyond thousandths they do not count. */
static bool read_fraction(const char **text, int64_t *ret_ms) {
    int64_t unit = 100;

    *ret_ms = 0;
    if (**text != '.') {
        return true;
    }
    (*text)++;
    if (**text < '0' || **text > '9') {
        return false;
    }
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        *ret_ms += unit * (**text - '0');
        unit /= 10;
    }
    return true;
}

static bool date_exists(const int64_t parts[DATE_PARTS]) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = parts[YEAR];
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int64_t last;

    if (parts[MONTH] < 1 || parts[MONTH] > 12) {
        return false;
    }
    last = days[parts[MONTH] - 1] + (parts[MONTH] == 2 && is_leap ? 1 : 0);
    return parts[DAY] >= 1 && parts[DAY] <= last && parts[HOUR] <= 23 && parts[MINUTE] <= 59 &&
           parts[SECOND] <= 59;
}

/* YYYY[-MM[-DD[Thh:mm[:ss[.sss]]ZONE]]] */
static bool read_calendar(const char *text, int64_t *ret_ms) {
    static const char before[DATE_PARTS] = {'\0', '-', '-', 'T', ':', ':'};
    int64_t parts[DATE_PARTS] = {0, 1, 1, 0, 0, 0};
    int64_t fraction_ms = 0;
    int64_t zone = 0;
    size_t n;

    for (n = 0; n < DATE_PARTS && (n == YEAR || *text == before[n]); n++) {
        text += n == YEAR ? 0 : 1;
        if (!read_digits(&text, n == YEAR ? 4 : 2, &parts[n])) {
            return false;
        }
    }
    if (n <= HOUR) { /* no time of day, so no zone */
        if (*text != '\0') {
            return false;
        }
    } else if (n == MINUTE || (n == DATE_PARTS && !read_fraction(&text, &fraction_ms)) ||
               !read_zone(text, &zone)) {
        return false;
    }
    *ret_ms = SECOND_MS *
                  (60 * (60 * (24 * days_of(parts[YEAR], parts[MONTH], parts[DAY]) + parts[HOUR]) +
                         parts[MINUTE] - zone) +
                   parts[SECOND]) +
              fraction_ms;
    return date_exists(parts);
}

static bool read_date(const char *text, int64_t *ret_ms) {
    enum { YEAR_DIGITS = 4, EPOCH_DIGITS = 12 };
    size_t digits = strspn(text, "0123456789");
    int64_t seconds;

    if (text[digits] == '\0' && digits > YEAR_DIGITS && digits <= EPOCH_DIGITS) {
        if (!read_digits(&text, digits, &seconds)) {
            return false;
        }
        *ret_ms = SECOND_MS * seconds;
        return true;
    }
    return read_calendar(text, ret_ms);
}

bool policy_condition_read_value(enum policy_operator op, bool has_variables,
                                 struct policy_value *ret) {
    switch (policy_operator_kinds[op].type) {
    case VALUE_TYPE_TEXT:
    case VALUE_TYPE_ARN:
        return !has_variables || policy_variables_are_sound(ret->text);
    case VALUE_TYPE_NUMBER:
        return read_number(ret->text, &ret->number);
    case VALUE_TYPE_DATE:
        return read_date(ret->text, &ret->time_ms);
    case VALUE_TYPE_TRUTH:
        return read_truth(ret->text, &ret->truth);
    case VALUE_TYPE_BINARY:
        return is_base64(ret->text);
    case VALUE_TYPE_ADDRESS:
        return read_block(ret->text, &ret->block);
    }
    return false;
}
