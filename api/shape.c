/* Decoding: one walk over the shape builds the C struct and collects what violates the model; then
 * the checks that the service makes later, in its order. */
#include "api/shape.h"

#include "api/json_text.h"
#include "api/violations.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "model/secret_id.h"

#include <stdio.h>
#include <string.h>

enum { PATH_TEXT_MAX = 256 };

struct decoder {
    const struct quotas *quotas;
    struct arena *arena;
    struct err *err;
    struct violations violations;
};

static enum errc decode_struct(struct decoder *decoder, const struct shape *shape,
                               const json_t *object, const char *prefix, void *out);

/* --- what the front end says about a value of the wrong type --- */

static enum errc wrong_type(struct decoder *decoder, const json_t *value, const char *wanted) {
    const char *found = "STRING_VALUE";

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return err_set(decoder->err, ERR_SERIALIZATION,
                       "Start of structure or map found where not expected.");
    case JSON_ARRAY:
        return err_set(decoder->err, ERR_SERIALIZATION, "Start of list found where not expected.");
    case JSON_INTEGER:
        found = "NUMBER_VALUE";
        break;
    case JSON_REAL:
        found = "DECIMAL_VALUE";
        break;
    case JSON_TRUE:
        found = "TRUE_VALUE";
        break;
    case JSON_FALSE:
        found = "FALSE_VALUE";
        break;
    case JSON_STRING:
    case JSON_NULL:
        break;
    }
    return err_set(decoder->err, ERR_SERIALIZATION, "%s cannot be converted to %s", found, wanted);
}

static enum errc not_a_list(struct decoder *decoder, const json_t *value) {
    if (json_is_object(value)) {
        return wrong_type(decoder, value, "List");
    }
    return err_set(decoder->err, ERR_SERIALIZATION, "Expected list or null");
}

static enum errc not_a_structure(struct decoder *decoder, const json_t *value) {
    if (json_is_array(value)) {
        return wrong_type(decoder, value, "Structure");
    }
    return err_set(decoder->err, ERR_SERIALIZATION, "Expected structure or null");
}

static enum errc no_memory(struct decoder *decoder) {
    return err_default(decoder->err, ERR_NO_MEMORY);
}

/* --- values --- */

/* The upper bound in force: of some members the operator's. */
static int64_t field_max(const struct decoder *decoder, const struct field *field) {
    if ((field->flags & F_VALUE_QUOTA) != 0) {
        return decoder->quotas->value_bytes;
    }
    if ((field->flags & F_POLICY_QUOTA) != 0) {
        return decoder->quotas->policy_characters;
    }
    return field->max;
}

/* A text that is no secret: it becomes a C string, so it may hold no NUL. */
static enum errc copy_text(struct decoder *decoder, const json_t *value, const char **ret) {
    size_t len = json_string_length(value);
    const char *text;

    if (!json_is_string(value)) {
        return wrong_type(decoder, value, "String");
    }
    if (strlen(json_string_value(value)) != len) {
        return err_set(decoder->err, ERR_SERIALIZATION, "A string holds a NUL character");
    }
    text = arena_strndup(decoder->arena, json_string_value(value), len);
    if (text == NULL) {
        return no_memory(decoder);
    }
    *ret = text;
    return OK;
}

static enum errc decode_text(struct decoder *decoder, const struct field *field, const json_t *json,
                             const char *path, void *at) {
    const char *text;
    struct violation_value value = {.kind = VALUE_TEXT};
    enum errc code = copy_text(decoder, json, &text);

    if (code != OK) {
        return code;
    }
    value.text = text;
    violations_check_bounds(&decoder->violations, path, &value, "length",
                            json_text_characters(text, strlen(text)), field->min,
                            field_max(decoder, field));
    if (field->kind == FIELD_STR) {
        violations_check_rule(&decoder->violations, path, &value, text, field->extra);
    }
    *(const char **)at = text;
    return OK;
}

static void secret_hook(void *arg) {
    secret_fini(arg);
}

/* A secret that is wiped with the arena; NULL without memory. */
static struct secret *secret_in_arena(struct arena *arena, size_t len) {
    struct secret *secret = arena_alloc(arena, sizeof(*secret));

    if (secret == NULL || !secret_init(secret, len) || !arena_at_end(arena, secret_hook, secret)) {
        return NULL;
    }
    return secret;
}

/* SecretString is bounded in bytes as well as in characters (C-19). There are never more characters
 * than bytes, so the bytes decide above, the characters below. */
static enum errc decode_secret(struct decoder *decoder, const struct field *field,
                               const json_t *json, const char *path, void *at) {
    const struct violation_value value = {.kind = VALUE_HIDDEN};
    size_t len = json_string_length(json);
    struct secret *secret;
    int64_t length = (int64_t)len;

    if (!json_is_string(json)) {
        return wrong_type(decoder, json, "String");
    }
    if (length <= field_max(decoder, field)) {
        length = json_text_characters(json_string_value(json), len);
    }
    violations_check_bounds(&decoder->violations, path, &value, "length", length, field->min,
                            field_max(decoder, field));
    /* The text ends at its first NUL for a pattern; what is behind fits none. */
    violations_check_rule(&decoder->violations, path, &value,
                          strlen(json_string_value(json)) == len ? json_string_value(json) : "\n",
                          field->extra);
    secret = secret_in_arena(decoder->arena, len);
    if (secret == NULL) {
        return no_memory(decoder);
    }
    memcpy(secret->data, json_string_value(json), len);
    *(struct secret **)at = secret;
    return OK;
}

static enum errc decode_blob(struct decoder *decoder, const struct field *field, const json_t *json,
                             const char *path, void *at) {
    const struct violation_value value = {.kind = VALUE_HIDDEN};
    size_t len = json_string_length(json);
    struct secret *secret;

    if (!json_is_string(json)) {
        return wrong_type(decoder, json, "Blob");
    }
    secret = secret_in_arena(decoder->arena, len / 4 * 3);
    if (secret == NULL) {
        return no_memory(decoder);
    }
    if (!base64_decode(json_string_value(json), len, secret->data, &secret->len)) {
        return wrong_type(decoder, json, "Blob");
    }
    violations_check_bounds(&decoder->violations, path, &value, "length", (int64_t)secret->len,
                            field->min, field_max(decoder, field));
    *(struct secret **)at = secret;
    return OK;
}

static enum errc decode_bool(struct decoder *decoder, const json_t *json, void *at) {
    if (!json_is_boolean(json)) {
        return wrong_type(decoder, json, "Boolean");
    }
    *(struct opt_bool *)at = (struct opt_bool){.present = true, .value = json_is_true(json)};
    return OK;
}

/* 7.0 is an integer to every client that has but one type of number. */
static bool real_is_integer(double real, int64_t *ret) {
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) {
        return false;
    }
    *ret = (int64_t)real;
    return (double)*ret == real;
}

static enum errc decode_int(struct decoder *decoder, const struct field *field, const json_t *json,
                            const char *path, void *at) {
    struct violation_value value = {.kind = VALUE_INT};
    int64_t number = json_integer_value(json);

    if (!json_is_integer(json) &&
        !(json_is_real(json) && real_is_integer(json_real_value(json), &number))) {
        return wrong_type(decoder, json, "Integer");
    }
    value.number = number;
    violations_check_bounds(&decoder->violations, path, &value, "value", number, field->min,
                            field->max);
    *(struct opt_int *)at = (struct opt_int){.present = true, .value = number};
    return OK;
}

/* The bound of a list: the API's, or ours where it has none. */
static int64_t list_max(const struct field *field) {
    return field->max < LIMIT_LIST_ELEMENTS ? field->max : LIMIT_LIST_ELEMENTS;
}

static void element_path(char out[PATH_TEXT_MAX], const char *path, size_t index) {
    int len = snprintf(out, PATH_TEXT_MAX, "%s.%zu.member", path, index + 1);

    CHECK(len > 0 && len < PATH_TEXT_MAX); /* names of our own tables, a few levels deep */
}

static enum errc decode_strings(struct decoder *decoder, const struct field *field,
                                const json_t *json, const char *path, void *at) {
    struct str_list *list = at;
    const struct violation_value value = {.kind = VALUE_LIST, .list = list};
    const struct violation_value null = {.kind = VALUE_NULL};
    size_t n = json_array_size(json);
    size_t shown = n < LIMIT_LIST_ELEMENTS ? n : LIMIT_LIST_ELEMENTS;

    if (!json_is_array(json)) {
        return not_a_list(decoder, json);
    }
    list->items = arena_alloc(decoder->arena, shown * sizeof(*list->items));
    if (list->items == NULL) {
        return no_memory(decoder);
    }
    list->present = true;
    for (size_t i = 0; i < shown; i++) {
        const json_t *item = json_array_get(json, i);
        char item_path[PATH_TEXT_MAX];
        enum errc code;
        if (json_is_null(item)) {
            element_path(item_path, path, i);
            violations_add(&decoder->violations, item_path, &null, "Member must not be null");
            continue;
        }
        code = copy_text(decoder, item, &list->items[list->n]);
        if (code != OK) {
            return code;
        }
        list->n++;
    }
    violations_check_bounds(&decoder->violations, path, &value, "length", (int64_t)n, field->min,
                            list_max(field));
    violations_check_elements(&decoder->violations, path, list, field->extra);
    return OK;
}

/* The elements of a list that is too long are not looked at. */
static enum errc decode_list(struct decoder *decoder, const struct field *field, const json_t *json,
                             const char *path, void *at) {
    struct shape_list *list = at;
    const struct shape *shape = field->extra;
    /* Structures are not told, but that there are none. */
    const struct str_list none = {.n = 0};
    const struct violation_value empty = {.kind = VALUE_LIST, .list = &none};
    const struct violation_value hidden = {.kind = VALUE_HIDDEN};
    const struct violation_value null = {.kind = VALUE_NULL};
    size_t n = json_array_size(json);

    if (!json_is_array(json)) {
        return not_a_list(decoder, json);
    }
    violations_check_bounds(&decoder->violations, path, n == 0 ? &empty : &hidden, "length",
                            (int64_t)n, field->min, list_max(field));
    list->present = true;
    if ((int64_t)n > list_max(field)) {
        return OK;
    }
    list->items = arena_alloc(decoder->arena, n * shape->size);
    if (list->items == NULL) {
        return no_memory(decoder);
    }
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(json, i);
        char item_path[PATH_TEXT_MAX];
        enum errc code;
        element_path(item_path, path, i);
        if (json_is_null(item)) {
            violations_add(&decoder->violations, item_path, &null, "Member must not be null");
            continue;
        }
        code =
            decode_struct(decoder, shape, item, item_path, (char *)list->items + i * shape->size);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static enum errc decode_structure(struct decoder *decoder, const struct field *field,
                                  const json_t *json, const char *path, void *at) {
    const struct shape *shape = field->extra;
    void *out = arena_alloc(decoder->arena, shape->size);

    if (out == NULL) {
        return no_memory(decoder);
    }
    *(void **)at = out;
    return decode_struct(decoder, shape, json, path, out);
}

/* --- members --- */

/* 'secretId' at the top, 'tags.1.member.key' below. */
static void member_path(char out[PATH_TEXT_MAX], const char *prefix, const char *wire) {
    char first = wire[0];
    int len;

    if (first >= 'A' && first <= 'Z') {
        first = (char)(first - 'A' + 'a');
    }
    len = snprintf(out, PATH_TEXT_MAX, "%s%s%c%s", prefix, prefix[0] == '\0' ? "" : ".", first,
                   wire + 1);
    CHECK(len > 0 && len < PATH_TEXT_MAX);
}

static enum errc decode_field(struct decoder *decoder, const struct field *field,
                              const json_t *json, const char *path, void *at) {
    switch (field->kind) {
    case FIELD_STR:
    case FIELD_TOKEN:
        return decode_text(decoder, field, json, path, at);
    case FIELD_SECRET:
        return decode_secret(decoder, field, json, path, at);
    case FIELD_BLOB:
        return decode_blob(decoder, field, json, path, at);
    case FIELD_BOOL:
        return decode_bool(decoder, json, at);
    case FIELD_INT:
        return decode_int(decoder, field, json, path, at);
    case FIELD_STRS:
        return decode_strings(decoder, field, json, path, at);
    case FIELD_LIST:
        return decode_list(decoder, field, json, path, at);
    case FIELD_STRUCT:
        return decode_structure(decoder, field, json, path, at);
    case FIELD_TIME:
    case FIELD_STAGES:
        break;
    }
    /* Only replies have these. */
    CHECK(field->kind != FIELD_TIME && field->kind != FIELD_STAGES);
    return ERR_INTERNAL_SERVICE;
}

static enum errc decode_struct(struct decoder *decoder, const struct shape *shape,
                               const json_t *object, const char *prefix, void *out) {
    const struct violation_value null = {.kind = VALUE_NULL};

    if (!json_is_object(object)) {
        return not_a_structure(decoder, object);
    }
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        const json_t *json = json_object_get(object, field->wire);
        char path[PATH_TEXT_MAX];
        enum errc code;
        member_path(path, prefix, field->wire);
        if (json == NULL || json_is_null(json)) {
            if ((field->flags & F_REQ) != 0) {
                violations_add(&decoder->violations, path, &null, "Member must not be null");
            }
            continue;
        }
        code = decode_field(decoder, field, json, path, (char *)out + field->offset);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

/* --- what the service checks behind the front end, at the top level --- */

static enum errc check_characters_of(const struct field *field, const char *text, struct err *err) {
    struct secret_id id;

    if ((field->flags & F_SECRET_ID) != 0) {
        return secret_id_parse(text, &id, err);
    }
    if ((field->flags & F_NAME) != 0 && !secret_name_is_valid(text)) {
        return err_set(err, ERR_VALIDATION,
                       "Invalid name. Must be a valid name containing alphanumeric characters, or "
                       "any of the following: -/_+=.@!");
    }
    return OK;
}

static enum errc check_characters(const struct shape *shape, const void *out, struct err *err) {
    enum errc code = OK;

    for (size_t i = 0; i < shape->n_fields && code == OK; i++) {
        const struct field *field = &shape->fields[i];
        const void *at = (const char *)out + field->offset;
        if (field->kind == FIELD_STR && *(const char *const *)at != NULL) {
            code = check_characters_of(field, *(const char *const *)at, err);
        } else if (field->kind == FIELD_STRS) {
            const struct str_list *list = at;
            for (size_t k = 0; k < list->n && code == OK; k++) {
                code = check_characters_of(field, list->items[k], err);
            }
        }
    }
    return code;
}

static enum errc check_token(const struct shape *shape, const void *out, struct err *err) {
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        const void *at = (const char *)out + field->offset;
        if (field->kind != FIELD_TOKEN || *(const char *const *)at != NULL ||
            (field->flags & (F_TOKEN_IR | F_TOKEN_IP)) == 0) {
            continue;
        }
        return err_set(
            err, (field->flags & F_TOKEN_IR) != 0 ? ERR_INVALID_REQUEST : ERR_INVALID_PARAMETER,
            "You must provide a ClientRequestToken value. We recommend a UUID-type "
            "value.");
    }
    return OK;
}

enum errc shape_decode(const struct shape *shape, const uint8_t *body, size_t len,
                       const struct quotas *quotas, struct arena *arena, void *out,
                       struct err *err) {
    struct decoder decoder = {.quotas = quotas, .arena = arena, .err = err};
    json_t *json = NULL;
    enum errc code = json_text_parse(body, len, &json, err);

    if (code != OK) {
        return code;
    }
    code = decode_struct(&decoder, shape, json, "", out);
    json_decref(json);
    if (code == OK) {
        code = violations_tell(&decoder.violations, err);
    }
    if (code == OK) {
        code = check_characters(shape, out, err);
    }
    if (code == OK) {
        code = check_token(shape, out, err);
    }
    return code;
}

const char *shape_text(const struct shape *shape, const void *in, unsigned flags) {
    for (size_t i = 0; i < shape->n_fields; i++) {
        const struct field *field = &shape->fields[i];
        if (field->kind == FIELD_STR && (field->flags & flags) != 0) {
            return *(const char *const *)(const void *)((const char *)in + field->offset);
        }
    }
    return NULL;
}
