/* The two date formats that a signed request may carry, and that of the credentials file. Pure.
 *
 * Internal to crypto/. Years 1970 to 9999, real calendar days only; no leap seconds. */
#ifndef CRYPTO_SIGV4_TIME_H
#define CRYPTO_SIGV4_TIME_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGV4_TIMESTAMP = 17 }; /* YYYYMMDDTHHMMSSZ and a NUL */

/* Exactly YYYYMMDDTHHMMSSZ. Milliseconds since 1970. */
MUSTCHECK bool sigv4_time_parse_basic(const char *text, size_t len, int64_t *ret_ms);
/* The Date header of HTTP: "Thu, 15 Jan 2026 12:30:45 GMT". The name of the day is not checked
 * against the date. */
MUSTCHECK bool sigv4_time_parse_http(const char *text, size_t len, int64_t *ret_ms);
/* Exactly YYYY-MM-DDTHH:MM:SSZ, as the service prints when a session ends. */
MUSTCHECK bool sigv4_time_parse_extended(const char *text, size_t len, int64_t *ret_ms);
/* A time outside the years above is shown as the nearest inside. */
void sigv4_time_format(int64_t ms, char out[SIGV4_TIMESTAMP]);

#endif
