#include "base/log.h"

#include "base/check.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_floor = LOG_LEVEL_INFO;
static char log_origin[64];

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level level, const char *origin) {
    log_floor = level;
    (void)snprintf(log_origin, sizeof(log_origin), "%s", origin);
}

int log_level_parse(const char *text, enum log_level *ret_level) {
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

struct line {
    char text[LIMIT_LOG_LINE];
    size_t len;
};

static void line_add(struct line *line, const char *text, size_t len) {
    size_t room = sizeof(line->text) - 1 - line->len; /* one byte stays for the newline */

    if (len > room) {
        len = room;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void line_add_quoted(struct line *line, const char *text) {
    size_t len = 0;

    line_add(line, "\"", 1);
    for (; *text != '\0' && len < LIMIT_LOG_FIELD; text++, len++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            line_add(line, "\\", 1);
        }
        line_add(line, c < 0x20 || c == 0x7f ? "?" : text, 1);
    }
    line_add(line, *text == '\0' ? "\"" : "...\"", *text == '\0' ? 1 : 4);
}

static void line_add_field(struct line *line, const struct log_field *field) {
    char number[32];
    int len = 0;

    line_add(line, " ", 1);
    line_add(line, field->key, strlen(field->key));
    line_add(line, "=", 1);
    switch (field->kind) {
    case LOG_FIELD_STR:
        line_add_quoted(line, field->str ? field->str : "");
        break;
    case LOG_FIELD_U64:
        len = snprintf(number, sizeof(number), "%" PRIu64, field->u64);
        break;
    case LOG_FIELD_I64:
        len = snprintf(number, sizeof(number), "%" PRId64, field->i64);
        break;
    case LOG_FIELD_END:
        break;
    }
    line_add(line, number, (size_t)len);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    struct line line = {.len = 0};
    struct timespec now;
    struct tm utc;
    char head[128];
    int len;

    if (level < log_floor) {
        return;
    }
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &utc) != NULL);
    len = snprintf(
        head, sizeof(head),
        "time=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s origin=%s event=", utc.tm_year + 1900,
        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000,
        level_names[level], log_origin[0] ? log_origin : "-");
    line_add(&line, head, (size_t)len < sizeof(head) ? (size_t)len : sizeof(head) - 1);
    line_add(&line, event, strlen(event));
    for (; fields->kind != LOG_FIELD_END; fields++) {
        line_add_field(&line, fields);
    }
    line.text[line.len++] = '\n';
    /* One write a line, so that lines of several threads do not mix; a full pipe is nobody's error
     * to handle.
     */
    if (write(STDERR_FILENO, line.text, line.len) < 0) {
        return;
    }
}
