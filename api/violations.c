#include "api/violations.h"

#include "api/json_text.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    HEADER_MAX = 64,       /* "123 validation errors detected: " */
    CONSTRAINT_MAX = 1024, /* the longest pattern or enumeration of the API is some 100 */
    FRAME_MAX = 32,        /* quotes, brackets, commas and dots around what is repeated */
};

/* `text`, cut at a character where it has more than `room` bytes; behind it "..." says so. */
static void echo_append(struct buf *out, const char *text, size_t room) {
    size_t len = json_text_cut(text, room);

    buf_append(out, text, len);
    if (text[len] != '\0') {
        buf_append_str(out, "...");
    }
}

static void echo_list(struct buf *out, const struct str_list *list) {
    buf_append_str(out, "[");
    for (size_t i = 0; i < list->n; i++) {
        if (out->len >= LIMIT_ECHO) {
            buf_append_str(out, ", ...");
            break;
        }
        buf_append_str(out, i == 0 ? "" : ", ");
        echo_append(out, list->items[i],
                    LIMIT_ECHO - (out->len < LIMIT_ECHO ? out->len : LIMIT_ECHO));
    }
    buf_append_str(out, "]");
}

void violations_add(struct violations *violations, const char *path,
                    const struct violation_value *value, const char *constraint) {
    struct buf echo;
    int len;
    char *at = violations->text + violations->len;
    size_t room = sizeof(violations->text) - HEADER_MAX - violations->len;

    buf_init(&echo, LIMIT_ECHO + FRAME_MAX);
    switch (value->kind) {
    case VALUE_NULL:
        buf_append_str(&echo, " null");
        break;
    case VALUE_HIDDEN:
        break;
    case VALUE_INT:
        buf_printf(&echo, " '%" PRId64 "'", value->number);
        break;
    case VALUE_TEXT:
        buf_append_str(&echo, " '");
        echo_append(&echo, value->text, LIMIT_ECHO);
        buf_append_str(&echo, "'");
        break;
    case VALUE_LIST:
        buf_append_str(&echo, " '");
        echo_list(&echo, value->list);
        buf_append_str(&echo, "'");
        break;
    }
    violations->count++;
    len = snprintf(at, room, "%sValue%.*s at '%s' failed to satisfy constraint: %s",
                   violations->len == 0 ? "" : "; ", (int)echo.len, (const char *)echo.data, path,
                   constraint);
    CHECK(len > 0);
    if ((size_t)len < room) {
        violations->len += (size_t)len;
    } else {
        *at = '\0'; /* counted, but not told */
    }
    buf_fini(&echo);
}

void violations_check_bounds(struct violations *violations, const char *path,
                             const struct violation_value *value, const char *what, int64_t number,
                             int64_t min, int64_t max) {
    char constraint[96];

    if (max != SHAPE_NO_MAX && number > max) {
        (void)snprintf(constraint, sizeof(constraint),
                       "Member must have %s less than or equal to %" PRId64, what, max);
        violations_add(violations, path, value, constraint);
    } else if (number < min) {
        (void)snprintf(constraint, sizeof(constraint),
                       "Member must have %s greater than or equal to %" PRId64, what, min);
        violations_add(violations, path, value, constraint);
    }
}

static bool text_is_among(const char *text, const char *const *values) {
    for (; *values != NULL; values++) {
        if (strcmp(text, *values) == 0) {
            return true;
        }
    }
    return false;
}

static void enum_write(struct buf *out, const char *const *values) {
    buf_append_str(out, "Member must satisfy enum value set: [");
    for (size_t i = 0; values[i] != NULL; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        buf_append_str(out, values[i]);
    }
    buf_append_str(out, "]");
}

/* Append-only text that ends as a C string. */
static const char *constraint_text(struct buf *buf) {
    buf_append_u8(buf, 0);
    CHECK(!buf->failed);
    return (const char *)buf->data;
}

void violations_check_rule(struct violations *violations, const char *path,
                           const struct violation_value *value, const char *text,
                           const struct str_rule *rule) {
    struct buf constraint;

    if (rule == NULL) {
        return;
    }
    buf_init(&constraint, CONSTRAINT_MAX);
    if (rule->matches != NULL && !rule->matches(text)) {
        buf_append_str(&constraint, "Member must satisfy regular expression pattern: ");
        buf_append_str(&constraint, rule->pattern);
        violations_add(violations, path, value, constraint_text(&constraint));
        buf_reset(&constraint);
    }
    if (rule->values != NULL && !text_is_among(text, rule->values)) {
        enum_write(&constraint, rule->values);
        violations_add(violations, path, value, constraint_text(&constraint));
    }
    buf_fini(&constraint);
}

static bool element_is_right(const char *text, const struct str_rule *rule) {
    int64_t length = json_text_characters(text, strlen(text));

    return length >= rule->min && length <= rule->max &&
           (rule->matches == NULL || rule->matches(text)) &&
           (rule->values == NULL || text_is_among(text, rule->values));
}

/* All that an element must satisfy, whichever of it was not. */
static void element_constraint_write(struct buf *out, const struct str_rule *rule) {
    buf_append_str(out, "Member must satisfy constraint: [");
    if (rule->max != SHAPE_NO_MAX) {
        buf_printf(out, "Member must have length less than or equal to %" PRId64 ", ", rule->max);
    }
    buf_printf(out, "Member must have length greater than or equal to %" PRId64, rule->min);
    if (rule->matches != NULL) {
        buf_append_str(out, ", Member must satisfy regular expression pattern: ");
        buf_append_str(out, rule->pattern);
    }
    if (rule->values != NULL) {
        buf_append_str(out, ", ");
        enum_write(out, rule->values);
    }
    buf_append_str(out, "]");
}

void violations_check_elements(struct violations *violations, const char *path,
                               const struct str_list *list, const struct str_rule *rule) {
    const struct violation_value value = {.kind = VALUE_LIST, .list = list};

    if (rule == NULL) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct buf constraint;
        if (element_is_right(list->items[i], rule)) {
            continue;
        }
        buf_init(&constraint, CONSTRAINT_MAX);
        element_constraint_write(&constraint, rule);
        violations_add(violations, path, &value, constraint_text(&constraint));
        buf_fini(&constraint);
        return;
    }
}

enum errc violations_tell(const struct violations *violations, struct err *err) {
    if (violations->count == 0) {
        return OK;
    }
    return err_set(err, ERR_VALIDATION, "%u validation error%s detected: %s", violations->count,
                   violations->count == 1 ? "" : "s", violations->text);
}
