/* The table of operations as a page for people: docs/operations.md is this, and a test holds it to
 * that. */
#include "api/op.h"
#include "api/op_document.h"
#include "base/limits.h"

#include <inttypes.h>
#include <string.h>

enum { PAGE_MAX = 1024 * 1024, PATH_TEXT_MAX = 256 };

static void write_range(struct buf *out, int64_t min, int64_t max, const char *unit) {
    bool has_min = min != INT64_MIN && min > 0;

    if (has_min && max != SHAPE_NO_MAX) {
        buf_printf(out, "%" PRId64 " to %" PRId64 "%s", min, max, unit);
    } else if (max != SHAPE_NO_MAX) {
        buf_printf(out, "at most %" PRId64 "%s", max, unit);
    } else if (has_min) {
        buf_printf(out, "%" PRId64 " or more%s", min, unit);
    }
}

/* A '|' would end the cell of a table, also inside a code span. */
static void write_code(struct buf *out, const char *text) {
    buf_append_u8(out, '`');
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            buf_append_u8(out, '\\');
        }
        buf_append_u8(out, (uint8_t)*text);
    }
    buf_append_u8(out, '`');
}

static void write_rule(struct buf *out, const struct str_rule *rule, size_t from) {
    if (rule == NULL) {
        return;
    }
    if (rule->pattern != NULL) {
        buf_append_str(out, out->len > from ? ", " : "");
        write_code(out, rule->pattern);
    }
    for (size_t i = 0; rule->values != NULL && rule->values[i] != NULL; i++) {
        buf_append_str(out, out->len > from ? ", " : "");
        write_code(out, rule->values[i]);
    }
}

static void write_bounds(struct buf *out, const struct field *field) {
    const struct str_rule *rule = field->extra;
    size_t from = out->len;

    switch (field->kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
        write_range(out, field->min, field->max, " characters");
        write_rule(out, rule, from);
        break;
    case FIELD_SECRET: /* of bytes as well, and there are never fewer */
        write_range(out, field->min, field->max, " bytes");
        write_rule(out, rule, from);
        break;
    case FIELD_BLOB:
        write_range(out, field->min, field->max, " bytes");
        break;
    case FIELD_INT:
        write_range(out, field->min, field->max, "");
        break;
    case FIELD_STRS:
        write_range(out, field->min, field->max, " elements");
        if (rule != NULL) {
            buf_append_str(out, out->len > from ? "; each " : "each ");
            from = out->len;
            write_range(out, rule->min, rule->max, " characters");
            write_rule(out, rule, from);
        }
        break;
    case FIELD_LIST:
        write_range(out, field->min, field->max, " elements");
        break;
    case FIELD_BOOL:
    case FIELD_TIME:
    case FIELD_STRUCT:
    case FIELD_STAGES:
        break;
    }
}

static const char *type_name(enum field_kind kind) {
    switch (kind) {
    case FIELD_STR:
    case FIELD_SECRET:
        return "string";
    case FIELD_TOKEN:
        return "idempotency token";
    case FIELD_BLOB:
        return "base64";
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_TIME:
        return "seconds since 1970";
    case FIELD_STRS:
        return "list of strings";
    case FIELD_LIST:
        return "list of structures";
    case FIELD_STRUCT:
        return "structure";
    case FIELD_STAGES:
        return "map of version id to labels";
    }
    return "";
}

static void write_members(struct buf *out, const struct shape *shape, const char *prefix,
                          bool is_request) {
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        bool sensitive = field->kind == FIELD_SECRET || field->kind == FIELD_BLOB;
        char below[PATH_TEXT_MAX];

        buf_printf(out, "| `%s%s` | %s%s |", prefix, field->wire, type_name(field->kind),
                   sensitive ? ", sensitive" : "");
        if (is_request) {
            buf_append_str(out, (field->flags & F_REQ) != 0 ? " yes |" : " |");
            buf_append_u8(out, ' ');
            write_bounds(out, field);
            buf_append_str(out, " |");
        }
        buf_append_str(out, "\n");
        if (field->kind == FIELD_LIST || field->kind == FIELD_STRUCT) {
            int len = snprintf(below, sizeof(below), "%s%s%s.", prefix, field->wire,
                               field->kind == FIELD_LIST ? "[]" : "");
            CHECK(len > 0 && (size_t)len < sizeof(below));
            write_members(out, field->extra, below, is_request);
        }
    }
}

static bool has_token(const struct op *op) {
    for (size_t i = 0; i < op->in->n_fields; i++) {
        if (op->in->fields[i].kind == FIELD_TOKEN) {
            return true;
        }
    }
    return false;
}

static const char *consistency(const struct op *op) {
    if (op->class == OP_WRITE) {
        return "a write through the log";
    }
    return op->stateless
               ? "no state is read"
               : "a linearizable read; with `x-redoubt-consistency: stale` the node's own "
                 "state, whose index and age are in the answer's headers";
}

static const char *idempotency(const struct op *op) {
    if (op->class == OP_READ) {
        return "a read";
    }
    return has_token(op) ? "by `ClientRequestToken`: the same again changes nothing"
                         : "no token: a repeated call is judged by the state that it finds";
}

static const char *resource(const struct op *op) {
    switch (op->resource) {
    case RESOURCE_ANY:
        return "no resource";
    case RESOURCE_SECRET:
        return "the secret";
    case RESOURCE_NAME:
        return "the secret to be";
    }
    return "";
}

static void write_operation(struct buf *out, const struct op *op) {
    buf_printf(out, "\n## %s\n\n%s.\n\n", op->name, op->summary);
    buf_printf(out, "* Action: `%s`, on %s\n", op->iam_action, resource(op));
    buf_printf(out, "* Consistency: %s\n", consistency(op));
    buf_printf(out, "* Idempotency: %s\n", idempotency(op));
    buf_append_str(out, "* Errors: ");
    for (size_t i = 0; op->errors[i] != OK; i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", errc_name(op->errors[i]));
    }
    buf_append_str(out, "\n\n");
    if (op->in->n_fields > 0) {
        buf_append_str(out, "| request | type | required | bounds |\n|---|---|---|---|\n");
        write_members(out, op->in, "", true);
    }
    if (op->out != NULL) {
        buf_append_str(out, "\n| reply | type |\n|---|---|\n");
        write_members(out, op->out, "", false);
    } else {
        buf_append_str(out, "\nThe reply has no members.\n");
    }
}

bool op_markdown_print(FILE *out) {
    struct buf page;
    bool done;

    buf_init(&page, PAGE_MAX);
    buf_append_str(
        &page,
        "# Operations\n\n"
        "The API, operation by operation: made from the table that the server decodes, validates "
        "and answers by,\nwith `redoubt operations --markdown`. A test fails when this page is not "
        "what that prints.\n\n"
        "Every operation may also answer with the errors of the front end: ValidationException, "
        "AccessDeniedException,\nSerializationException, those of authentication, and "
        "ServiceUnavailable (503) when it is worth trying again.\n");
    for (size_t i = 0; i < op_table_len; i++) {
        write_operation(&page, op_table[i]);
    }
    done = !page.failed && fwrite(page.data, 1, page.len, out) == page.len && fflush(out) == 0;
    buf_fini(&page);
    return done;
}
