#include "api/query.h"

#include "api/json_text.h"
#include "api/literal.h"
#include "base/bytes.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* --- the text --- */

struct pair {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* The pair at *at, which moves behind it; false at the end. */
static bool next_pair(const struct query_text *query, size_t *at, struct pair *ret) {
    const char *from;
    const char *end;
    const char *equal;

    if (*at >= query->len) {
        return false;
    }
    from = query->text + *at;
    end = memchr(from, '&', query->len - *at);
    end = end != NULL ? end : query->text + query->len;
    equal = memchr(from, '=', (size_t)(end - from));
    ret->name = from;
    ret->name_len = (size_t)((equal != NULL ? equal : end) - from);
    ret->value = equal != NULL ? equal + 1 : end;
    ret->value_len = (size_t)(end - ret->value);
    *at = (size_t)(end - query->text) + 1;
    return true;
}

/* Decodes into `out`, which has room for `len` bytes; false for a bad escape. */
static bool percent_decode(const char *text, size_t len, bool is_form, uint8_t *out,
                           size_t *ret_len) {
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte == '%') {
            if (len - i < 3 || !hex_decode(text + i + 1, 2, &byte, 1)) {
                return false;
            }
            i += 2;
        } else if (byte == '+' && is_form) {
            byte = ' ';
        }
        out[n++] = byte;
    }
    *ret_len = n;
    return true;
}

/* --- one parameter --- */

static bool name_is(const struct query_text *query, const struct pair *pair, const char *name) {
    uint8_t text[64];
    size_t len;

    /* Every byte of a name is at most an escape of three. */
    return pair->name_len <= sizeof(text) &&
           percent_decode(pair->name, pair->name_len, query->is_form, text, &len) &&
           len == strlen(name) && memcmp(text, name, len) == 0;
}

static bool value_copy(const struct query_text *query, const struct pair *pair, char *out,
                       size_t size) {
    uint8_t *text;
    size_t len = 0;
    bool good;

    if (pair->value_len > 3 * size) {
        return false;
    }
    text = wipe_malloc(pair->value_len + 1);
    if (text == NULL) {
        return false;
    }
    good = percent_decode(pair->value, pair->value_len, query->is_form, text, &len) && len < size &&
           memchr(text, 0, len) == NULL;
    if (good) {
        memcpy(out, text, len);
        out[len] = '\0';
    }
    wipe_free(text);
    return good;
}

enum query_found query_get(const struct query_text *query, const char *name, char *out,
                           size_t size) {
    enum query_found found = QUERY_ABSENT;
    struct pair pair;
    size_t at = 0;

    while (next_pair(query, &at, &pair)) {
        if (!name_is(query, &pair, name)) {
            continue;
        }
        if (found != QUERY_ABSENT || !value_copy(query, &pair, out, size)) {
            return QUERY_BAD;
        }
        found = QUERY_FOUND;
    }
    return found;
}

/* --- all of them, decoded and sorted by name --- */

struct param {
    const char *name;
    size_t name_len;
    const uint8_t *value;
    size_t value_len;
    size_t order; /* as they came */
};

/* Neighbours in the sorted array. */
struct span {
    const struct param *at;
    size_t n;
};

struct reader {
    struct arena *arena;
    struct buf *out;
    struct err *err;
};

static int compare_params(const void *left, const void *right) {
    const struct param *a = left, *b = right;
    size_t common = a->name_len < b->name_len ? a->name_len : b->name_len;
    int order = memcmp(a->name, b->name, common);

    if (order == 0 && a->name_len != b->name_len) {
        order = a->name_len < b->name_len ? -1 : 1;
    }
    return order != 0 ? order : a->order < b->order ? -1 : 1;
}

static bool decode_pair(const struct query_text *query, const struct pair *pair, uint8_t **at,
                        struct param *ret) {
    uint8_t *name = *at;

    ret->name = (const char *)name;
    if (!percent_decode(pair->name, pair->name_len, query->is_form, name, &ret->name_len)) {
        return false;
    }
    ret->value = name + ret->name_len;
    if (!percent_decode(pair->value, pair->value_len, query->is_form, name + ret->name_len,
                        &ret->value_len)) {
        return false;
    }
    *at += ret->name_len + ret->value_len;
    return true;
}

/* At most so many pairs stand in the texts. */
static size_t pairs_max(const struct query_text *texts, size_t n) {
    size_t count = 0;

    for (size_t i = 0; i < n && count < LIMIT_FORM_PARAMS; i++) {
        count += texts[i].len > 0 ? 1 : 0;
        for (size_t at = 0; at < texts[i].len; at++) {
            count += texts[i].text[at] == '&' ? 1 : 0;
        }
    }
    return count < LIMIT_FORM_PARAMS ? count : LIMIT_FORM_PARAMS;
}

static enum errc read_params(struct reader *reader, const struct query_text *texts, size_t n,
                             struct span *ret) {
    struct param *params = arena_alloc(reader->arena, pairs_max(texts, n) * sizeof(*params));
    size_t room = 1, used = 0;
    uint8_t *at;

    for (size_t i = 0; i < n; i++) {
        room += texts[i].len;
    }
    at = arena_alloc(reader->arena, room); /* decoded is never longer */
    if (params == NULL || at == NULL) {
        return err_default(reader->err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < n; i++) {
        struct pair pair;
        for (size_t from = 0; next_pair(&texts[i], &from, &pair); used++) {
            if (used == LIMIT_FORM_PARAMS) {
                return err_set(reader->err, ERR_SERIALIZATION,
                               "The request has more than %d parameters", LIMIT_FORM_PARAMS);
            }
            if (!decode_pair(&texts[i], &pair, &at, &params[used])) {
                return err_set(reader->err, ERR_SERIALIZATION,
                               "A parameter of the request is not well encoded");
            }
            params[used].order = used;
        }
    }
    qsort(params, used, sizeof(*params), compare_params);
    *ret = (struct span){params, used};
    return OK;
}

/* Of parameters whose names agree in the first `skip` bytes: those that go on with `text`, and then
 * end (`more` 0) or have that byte. They are neighbours. */
static struct span span_of(struct span in, size_t skip, const char *text, char more) {
    size_t len = strlen(text);
    struct span out = {in.at, 0};

    for (size_t i = 0; i < in.n; i++) {
        const struct param *param = &in.at[i];
        size_t rest = param->name_len - skip;
        bool fits = rest >= len && memcmp(param->name + skip, text, len) == 0 &&
                    (more == '\0' ? rest == len : rest > len && param->name[skip + len] == more);
        if (fits && out.n == 0) {
            out.at = param;
        }
        out.n += fits ? 1 : 0;
    }
    return out;
}

/* --- single values --- */

static bool text_is_integer(const uint8_t *text, size_t len) {
    size_t i = len > 0 && text[0] == '-' ? 1 : 0;

    if (len - i == 0 || len - i > 18 || (text[i] == '0' && len - i > 1)) {
        return false;
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool text_is(const struct param *param, const char *word) {
    return param->value_len == strlen(word) && memcmp(param->value, word, strlen(word)) == 0;
}

/* A number or a boolean goes bare where the member is one; all else is a string, and the decoder
 * says what is wrong with it. */
static enum errc write_value(struct reader *reader, const struct field *field,
                             const struct param *param) {
    if (json_text_characters(param->value, param->value_len) < 0) {
        return err_set(reader->err, ERR_SERIALIZATION, "The parameter %s is not well encoded",
                       field->wire);
    }
    if (field->kind == FIELD_INT && text_is_integer(param->value, param->value_len)) {
        buf_append(reader->out, param->value, param->value_len);
    } else if (field->kind == FIELD_BOOL && (text_is(param, "true") || text_is(param, "True"))) {
        buf_append_str(reader->out, "true");
    } else if (field->kind == FIELD_BOOL && (text_is(param, "false") || text_is(param, "False"))) {
        buf_append_str(reader->out, "false");
    } else {
        json_text_string(reader->out, param->value, param->value_len);
    }
    return OK;
}

static enum errc given_twice(struct reader *reader, const struct field *field) {
    return err_set(reader->err, ERR_SERIALIZATION, "The parameter %s is given more than once",
                   field->wire);
}

static enum errc write_scalar(struct reader *reader, const struct field *field, struct span exact,
                              struct span below) {
    if (below.n > 0) {
        return err_set(reader->err, ERR_SERIALIZATION,
                       "Start of structure or map found where not expected.");
    }
    return exact.n > 1 ? given_twice(reader, field) : write_value(reader, field, exact.at);
}

/* --- lists and structures --- */

static enum errc write_object(struct reader *reader, const struct shape *shape, struct span params,
                              size_t skip);

/* A structure in one parameter; nothing at all is an empty one. */
static enum errc write_literal(struct reader *reader, const struct field *field,
                               const struct param *param) {
    if (param->value_len == 0) {
        buf_append_str(reader->out, "{}");
        return OK;
    }
    if (json_text_characters(param->value, param->value_len) < 0 ||
        !literal_to_json(param->value, param->value_len, reader->out)) {
        return err_set(reader->err, ERR_SERIALIZATION,
                       "The parameter %s is not a structure that can be read", field->wire);
    }
    return OK;
}

/* Values that repeat the name of the list itself: texts, or literals of structures. */
static enum errc write_repeated(struct reader *reader, const struct field *field,
                                struct span exact) {
    enum errc code = OK;

    if (exact.n == 1 && exact.at->value_len == 0) {
        return OK;
    }
    for (size_t i = 0; i < exact.n && code == OK; i++) {
        buf_append_str(reader->out, i == 0 ? "" : ",");
        code = field->kind == FIELD_STRS ? write_value(reader, field, &exact.at[i])
                                         : write_literal(reader, field, &exact.at[i]);
    }
    return code;
}

/* The parameters of one element of a list. */
struct element {
    size_t index;
    size_t skip; /* of their names: up to and with the index */
    struct span params;
};

static int compare_elements(const void *left, const void *right) {
    const struct element *a = left, *b = right;

    return a->index < b->index ? -1 : a->index > b->index;
}

/* "member.<index>" behind the first `skip` bytes of the name. */
static bool read_index(const struct param *param, size_t skip, struct element *ret) {
    static const char word[] = "member.";
    size_t at = skip + sizeof(word) - 1;

    ret->index = 0;
    if (param->name_len <= at || memcmp(param->name + skip, word, sizeof(word) - 1) != 0 ||
        param->name[at] == '0') {
        return false;
    }
    for (; at < param->name_len && param->name[at] != '.'; at++) {
        char c = param->name[at];
        if (c < '0' || c > '9') {
            return false;
        }
        ret->index = ret->index * 10 + (size_t)(c - '0');
        if (ret->index > LIMIT_LIST_ELEMENTS) {
            return false;
        }
    }
    ret->skip = at;
    return ret->index > 0;
}

/* Sorted names have the parameters of one element side by side: '.' comes before the digits. */
static enum errc read_elements(struct reader *reader, const struct field *field, struct span below,
                               size_t skip, struct element **ret, size_t *ret_n) {
    struct element *elements = arena_alloc(reader->arena, below.n * sizeof(*elements));
    size_t n = 0;

    if (elements == NULL) {
        return err_default(reader->err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < below.n; i++) {
        struct element element = {.params = {&below.at[i], 1}};
        if (!read_index(&below.at[i], skip, &element)) {
            return err_set(reader->err, ERR_SERIALIZATION,
                           "The elements of %s are named %s.member.1 to %s.member.%d", field->wire,
                           field->wire, field->wire, LIMIT_LIST_ELEMENTS);
        }
        if (n > 0 && elements[n - 1].index == element.index) {
            elements[n - 1].params.n++;
        } else {
            elements[n++] = element;
        }
    }
    qsort(elements, n, sizeof(*elements), compare_elements);
    *ret = elements;
    *ret_n = n;
    return OK;
}

static enum errc write_element(struct reader *reader, const struct field *field,
                               const struct element *element) {
    const struct param *first = element->params.at;

    if (field->kind == FIELD_LIST) {
        if (first->name_len == element->skip) { /* a single value, where members should be */
            return element->params.n > 1 ? given_twice(reader, field)
                                         : write_literal(reader, field, first);
        }
        return write_object(reader, field->extra, element->params, element->skip + 1);
    }
    if (element->params.n > 1) {
        return given_twice(reader, field);
    }
    if (first->name_len != element->skip) {
        return err_set(reader->err, ERR_SERIALIZATION,
                       "Start of structure or map found where not expected.");
    }
    return write_value(reader, field, first);
}

static enum errc write_list(struct reader *reader, const struct field *field, struct span exact,
                            struct span below, size_t skip) {
    struct element *elements = NULL;
    size_t n = 0;
    enum errc code = OK;

    if (exact.n > 0 && below.n > 0) {
        return given_twice(reader, field);
    }
    if (below.n > 0) {
        code = read_elements(reader, field, below, skip, &elements, &n);
    }
    buf_append_u8(reader->out, '[');
    if (exact.n > 0) {
        code = write_repeated(reader, field, exact);
    }
    for (size_t i = 0; i < n && code == OK; i++) {
        buf_append_str(reader->out, i == 0 ? "" : ",");
        code = write_element(reader, field, &elements[i]);
    }
    buf_append_u8(reader->out, ']');
    return code;
}

static enum errc write_structure(struct reader *reader, const struct field *field,
                                 struct span exact, struct span below, size_t skip) {
    if (exact.n + (below.n > 0 ? 1 : 0) > 1) {
        return given_twice(reader, field);
    }
    if (exact.n == 0) {
        return write_object(reader, field->extra, below, skip);
    }
    return write_literal(reader, field, exact.at);
}

static enum errc write_member(struct reader *reader, const struct field *field, struct span exact,
                              struct span below, size_t skip) {
    if (field->kind == FIELD_STRS || field->kind == FIELD_LIST) {
        return write_list(reader, field, exact, below, skip);
    }
    if (field->kind == FIELD_STRUCT) {
        return write_structure(reader, field, exact, below, skip);
    }
    return write_scalar(reader, field, exact, below);
}

static enum errc write_object(struct reader *reader, const struct shape *shape, struct span params,
                              size_t skip) {
    bool first = true;
    enum errc code = OK;

    buf_append_u8(reader->out, '{');
    for (size_t i = 0; i < shape->n_fields && code == OK; i++) {
        const struct field *field = &shape->fields[i];
        struct span exact = span_of(params, skip, field->wire, '\0');
        struct span below = span_of(params, skip, field->wire, '.');
        if (exact.n + below.n == 0) {
            continue;
        }
        buf_append_str(reader->out, first ? "" : ",");
        json_text_string(reader->out, field->wire, strlen(field->wire));
        buf_append_u8(reader->out, ':');
        code = write_member(reader, field, exact, below, skip + strlen(field->wire) + 1);
        first = false;
    }
    buf_append_u8(reader->out, '}');
    return code;
}

enum errc query_to_json(const struct shape *shape, const struct query_text *texts, size_t n,
                        struct arena *arena, struct buf *out, struct err *err) {
    struct reader reader = {.arena = arena, .out = out, .err = err};
    struct span params = {NULL, 0};
    enum errc code = read_params(&reader, texts, n, &params);

    return code == OK ? write_object(&reader, shape, params, 0) : code;
}
