/* Structured logging: one logfmt line on stderr for each event, with typed fields.
 *
 * There is no formatter for a struct secret, so that logging one does not compile. Strings are
 * quoted, cut at LIMIT_LOG_FIELD and stripped of control characters. Library code (base to storage)
 * returns errors and does not log above debug; a failure is logged once, where it is handled. Any
 * thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_U64, LOG_FIELD_I64 };

struct log_field {
    const char *key;
    enum log_field_kind kind;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
    };
};

#define F_STR(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_STR, .str = (v)})
#define F_U64(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_U64, .u64 = (uint64_t)(v)})
#define F_I64(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_I64, .i64 = (int64_t)(v)})

/* Lines below `level` are dropped. The origin (e.g. "us-east-1/0") goes into every line; copied.
 * Call before threads start. */
void log_setup(enum log_level level, const char *origin);
/* "debug", "info", "warn", "error"; returns 0 and sets *ret_level, or -1. */
int log_level_parse(const char *text, enum log_level *ret_level);

/* `fields` ends with a LOG_FIELD_END. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_AT(level, event, ...)                                                                  \
    log_write((level), (event),                                                                    \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_FIELD_END}})
#define LOG_DEBUG(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_INFO(event, ...)  LOG_AT(LOG_LEVEL_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARN(event, ...)  LOG_AT(LOG_LEVEL_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_ERROR(event, ...) LOG_AT(LOG_LEVEL_ERROR, event __VA_OPT__(, ) __VA_ARGS__)

#endif
