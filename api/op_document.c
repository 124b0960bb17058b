#include "api/op_document.h"

#include "api/op.h"

#include <jansson.h>

/* The deepest nesting is a list of structures with a list of strings. */
enum { DOCUMENT_DEPTH = 4 };

static const char *kind_name(enum field_kind kind) {
    switch (kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
    case FIELD_SECRET:
        return "string";
    case FIELD_BLOB:
        return "blob";
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_TIME:
        return "timestamp";
    case FIELD_STRS:
        return "strings";
    case FIELD_LIST:
        return "structures";
    case FIELD_STRUCT:
        return "structure";
    case FIELD_STAGES:
        return "stages";
    }
    return NULL;
}

static const char *resource_name(enum op_resource resource) {
    switch (resource) {
    case RESOURCE_ANY:
        return "any";
    case RESOURCE_SECRET:
        return "secret";
    case RESOURCE_NAME:
        return "name";
    }
    return NULL;
}

/* Takes `value`. False without memory, also when `value` is NULL for that reason. */
static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0;
}

static bool put_bounds(json_t *object, int64_t min, int64_t max) {
    return (min == 0 || min == INT64_MIN || put(object, "min", json_integer(min))) &&
           (max == SHAPE_NO_MAX || put(object, "max", json_integer(max)));
}

static bool put_rule(json_t *object, const struct str_rule *rule) {
    json_t *values;

    if (rule == NULL) {
        return true;
    }
    if (rule->pattern != NULL && !put(object, "pattern", json_string(rule->pattern))) {
        return false;
    }
    if (rule->values == NULL) {
        return true;
    }
    values = json_array();
    for (size_t i = 0; rule->values[i] != NULL; i++) {
        if (json_array_append_new(values, json_string(rule->values[i])) != 0) {
            json_decref(values);
            return false;
        }
    }
    return put(object, "enum", values);
}

static bool put_element(json_t *member, const struct str_rule *rule) {
    json_t *element = json_object();

    if (rule != NULL && (!put_bounds(element, rule->min, rule->max) || !put_rule(element, rule))) {
        json_decref(element);
        return false;
    }
    return put(member, "element", element);
}

static json_t *members_new(const struct shape *shape, unsigned depth);

static bool put_extra(json_t *member, const struct field *field, unsigned depth) {
    switch (field->kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
    case FIELD_SECRET:
        return put_rule(member, field->extra);
    case FIELD_STRS:
        return put_element(member, field->extra);
    case FIELD_LIST:
    case FIELD_STRUCT:
        return put(member, "members", members_new(field->extra, depth + 1));
    case FIELD_BLOB:
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_TIME:
    case FIELD_STAGES:
        break;
    }
    return true;
}

static json_t *member_new(const struct field *field, unsigned depth) {
    json_t *member = json_object();
    bool sensitive = field->kind == FIELD_SECRET || field->kind == FIELD_BLOB;

    if (put(member, "name", json_string(field->wire)) &&
        put(member, "kind", json_string(kind_name(field->kind))) &&
        put(member, "required", json_boolean(field->flags & F_REQ)) &&
        put(member, "sensitive", json_boolean(sensitive)) &&
        (field->kind != FIELD_TOKEN || put(member, "idempotency_token", json_true())) &&
        put_bounds(member, field->min, field->max) && put_extra(member, field, depth)) {
        return member;
    }
    json_decref(member);
    return NULL;
}

static json_t *members_new(const struct shape *shape, unsigned depth) {
    json_t *members = json_array();

    CHECK(depth < DOCUMENT_DEPTH);
    for (size_t i = 0; i < shape->n_fields; i++) {
        if (json_array_append_new(members, member_new(&shape->fields[i], depth)) != 0) {
            json_decref(members);
            return NULL;
        }
    }
    return members;
}

static json_t *errors_new(const enum errc *errors) {
    json_t *names = json_array();

    for (size_t i = 0; errors[i] != OK; i++) {
        if (json_array_append_new(names, json_string(errc_name(errors[i]))) != 0) {
            json_decref(names);
            return NULL;
        }
    }
    return names;
}

static json_t *operation_new(const struct op *op) {
    json_t *object = json_object();

    if (put(object, "name", json_string(op->name)) &&
        put(object, "action", json_string(op->iam_action)) &&
        (op->iam_also == NULL || put(object, "action_besides", json_string(op->iam_also))) &&
        put(object, "class", json_string(op->class == OP_READ ? "read" : "write")) &&
        put(object, "stateless", json_boolean(op->stateless)) &&
        put(object, "resource", json_string(resource_name(op->resource))) &&
        put(object, "summary", json_string(op->summary)) &&
        put(object, "errors", errors_new(op->errors)) &&
        put(object, "input", members_new(op->in, 0)) &&
        put(object, "output", op->out != NULL ? members_new(op->out, 0) : json_array())) {
        return object;
    }
    json_decref(object);
    return NULL;
}

bool op_document_print(FILE *out) {
    json_t *operations = json_array();
    json_t *root = json_object();
    bool done = false;

    for (size_t i = 0; i < op_table_len; i++) {
        if (json_array_append_new(operations, operation_new(op_table[i])) != 0) {
            json_decref(operations);
            goto out;
        }
    }
    done = put(root, "operations", operations) && json_dumpf(root, out, JSON_INDENT(2)) == 0 &&
           fputc('\n', out) != EOF && fflush(out) == 0;
out:
    json_decref(root);
    return done;
}
