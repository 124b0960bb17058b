#include "api/list_filters.h"

#include "api/op_support.h"
#include "model/words.h"

#include <string.h>

/* Words of one value that narrow the search down; the others are looked at by the decision. */
enum { TERMS_MAX = 8 };

/* --- The shape ------------------------------------------------------------------------------ */

/* In the order of enum filter_key. */
static const char *const key_names[] = {
    "all", "name", "tag-key", "description", "tag-value", "primary-region", "owning-service", NULL};

/* ^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$ */
static bool value_is_valid(const char *text) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789 :_@/+=.-!";

    return text[strspn(text, alphabet)] == '\0';
}

const struct str_rule list_filter_key_rule = {.values = key_names};
const struct str_rule list_filter_value_rule = {
    .matches = value_is_valid,
    .pattern = "^\\!?[a-zA-Z0-9 :_@\\/\\+\\=\\.\\-\\!]*$",
    .max = LIMIT_FILTER_VALUE,
};

#define SHAPE_SELF struct list_filter
static const struct field list_filter_fields[] = {LIST_FILTER(SHAPE_FIELD)};
#undef SHAPE_SELF
const struct shape list_filter_shape = {"Filter", sizeof(struct list_filter), list_filter_fields,
                                        ARRAY_LEN(list_filter_fields)};

/* --- Into model/filter.h -------------------------------------------------------------------- */

static enum errc check(struct op_context *context, const struct list_filter *filter) {
    if (filter->key == NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER, "Invalid filter key");
    }
    if (!filter->values.present) {
        return err_set(context->err, ERR_INVALID_PARAMETER, "Invalid filter values for key: %s",
                       filter->key);
    }
    return OK;
}

static enum filter_key key_of(const char *name) {
    size_t i = 0;

    while (key_names[i] != NULL && strcmp(key_names[i], name) != 0) {
        i++;
    }
    CHECK(key_names[i] != NULL); /* the shape let no other through */
    return (enum filter_key)i;
}

static void copy(const struct list_filter *in, size_t n, bool on_primary_region,
                 struct list_filters *ret) {
    for (size_t i = 0; i < n; i++) {
        enum filter_key key = key_of(in[i].key);

        if ((key == FILTER_PRIMARY_REGION) == on_primary_region) {
            ret->items[ret->n++] = (struct filter){
                .key = key, .values = in[i].values.items, .n_values = in[i].values.n};
        }
    }
}

/* As the caller wrote them, key(value,value)key(value): none of these marks can stand in a value.
 */
static const char *text_of(struct op_context *context, const struct list_filter *in, size_t n) {
    const char *text;
    struct buf buf;

    if (n == 0) {
        return "";
    }
    buf_init(&buf, (size_t)2 * LIMIT_FILTERS * LIMIT_FILTERS * LIMIT_FILTER_VALUE);
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&buf, in[i].key);
        for (size_t k = 0; k < in[i].values.n; k++) {
            buf_append_str(&buf, k == 0 ? "(" : ",");
            buf_append_str(&buf, in[i].values.items[k]);
        }
        buf_append_str(&buf, ")");
    }
    text = buf.failed ? NULL : arena_strndup(context->arena, (const char *)buf.data, buf.len);
    buf_fini(&buf);
    return text;
}

/* --- Into the clauses of storage/view.h: a superset of what matches ------------------------- */

enum narrows { NARROWS, FINDS_ALL, FINDS_NONE };

static enum narrows prefix_term(struct op_context *context, enum list_field field,
                                const char *value, struct list_terms *ret) {
    struct list_term *term = arena_alloc(context->arena, sizeof(*term));

    if (value[0] == '\0' || term == NULL) {
        return FINDS_ALL;
    }
    *term = (struct list_term){.field = field, .prefix = value};
    *ret = (struct list_terms){.terms = term, .n = 1};
    return NARROWS;
}

static enum narrows word_terms(struct op_context *context, const char *value,
                               struct list_terms *ret) {
    struct list_term *terms = arena_alloc(context->arena, TERMS_MAX * sizeof(*terms));
    struct word word;
    size_t n = 0;

    if (terms == NULL) {
        return FINDS_ALL;
    }
    for (size_t at = 0; n < TERMS_MAX && words_next(value, &at, &word); n++) {
        terms[n] = (struct list_term){.field = LIST_WORD,
                                      .prefix = arena_strdup(context->arena, word.text)};
    }
    *ret = (struct list_terms){.terms = terms, .n = n};
    return n > 0 ? NARROWS : FINDS_NONE;
}

/* A value that is not negated. */
static enum narrows terms_of(struct op_context *context, enum filter_key key, const char *value,
                             struct list_terms *ret) {
    switch (key) {
    case FILTER_ALL:
    case FILTER_DESCRIPTION:
        return word_terms(context, value, ret);
    case FILTER_NAME:
        return prefix_term(context, LIST_NAME, value, ret);
    case FILTER_TAG_KEY:
        return prefix_term(context, LIST_TAG_KEY, value, ret);
    case FILTER_TAG_VALUE:
        return prefix_term(context, LIST_TAG_VALUE, value, ret);
    case FILTER_PRIMARY_REGION:
        return prefix_term(context, LIST_PRIMARY_REGION, value, ret);
    case FILTER_OWNING_SERVICE:
        return FINDS_NONE; /* no secret here is managed by a service */
    }
    return FINDS_ALL;
}

/* The values are alternatives: the filter narrows down when each of them does. */
static enum narrows clause_of(struct op_context *context, const struct filter *filter,
                              struct list_clause *ret) {
    struct list_terms *any = arena_alloc(context->arena, filter->n_values * sizeof(*any));
    size_t n = 0;

    if (any == NULL) {
        return FINDS_ALL;
    }
    for (size_t i = 0; i < filter->n_values; i++) {
        const char *value = filter->values[i];

        switch (value[0] == '!' ? FINDS_ALL : terms_of(context, filter->key, value, &any[n])) {
        case NARROWS:
            n++;
            break;
        case FINDS_ALL:
            return FINDS_ALL;
        case FINDS_NONE:
            break;
        }
    }
    *ret = (struct list_clause){.any = any, .n = n};
    return n > 0 ? NARROWS : FINDS_NONE;
}

enum errc list_filters_in(struct op_context *context, const struct shape_list *filters,
                          struct list_filters *ret) {
    const struct list_filter *in = filters->items;
    size_t n = filters->n;

    for (size_t i = 0; i < n; i++) {
        enum errc rc = check(context, &in[i]);

        if (rc != OK) {
            return rc;
        }
    }
    *ret = (struct list_filters){
        .items = arena_alloc(context->arena, n * sizeof(struct filter)),
        .clauses = arena_alloc(context->arena, n * sizeof(struct list_clause)),
        .text = text_of(context, in, n),
    };
    if (context->arena->failed || ret->text == NULL) {
        return op_no_memory(context);
    }
    copy(in, n, false, ret);
    ret->n_plain = ret->n;
    copy(in, n, true, ret);
    for (size_t i = 0; i < n; i++) {
        enum narrows how = clause_of(context, &ret->items[i], &ret->clauses[ret->n_clauses]);

        ret->n_clauses += how == NARROWS ? 1 : 0;
        ret->finds_nothing = ret->finds_nothing || how == FINDS_NONE;
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

/* --- Deciding ------------------------------------------------------------------------------- */

enum errc list_primary_region(struct op_context *context, const Redoubt__Secret *secret,
                              const char **ret) {
    struct view_links links;
    enum errc rc;

    if (secret->replica_of != NULL) {
        *ret = secret->replica_of->region;
        return OK;
    }
    rc = view_links(context->view, context->identity->account, secret->name, &links);
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    *ret = links.n > 0 ? context->region : NULL;
    view_links_free(&links);
    return OK;
}

static bool make_room(struct op_context *context, struct list_filters *filters, size_t n) {
    if (n <= filters->tag_room) {
        return true;
    }
    filters->tag_room = n > (size_t)2 * LIMIT_TAGS ? n : (size_t)2 * LIMIT_TAGS;
    filters->tag_keys = arena_alloc(context->arena, filters->tag_room * sizeof(const char *));
    filters->tag_values = arena_alloc(context->arena, filters->tag_room * sizeof(const char *));
    return !context->arena->failed;
}

enum errc list_filters_match(struct op_context *context, struct list_filters *filters,
                             const Redoubt__Secret *secret, bool *ret) {
    struct filter_subject subject = {.name = secret->name, .description = secret->description};
    const char *region = NULL;
    enum errc rc;

    if (filters->n == 0) {
        *ret = true;
        return OK;
    }
    if (!make_room(context, filters, secret->n_tags)) {
        return op_no_memory(context);
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        filters->tag_keys[i] = secret->tags[i]->key;
        filters->tag_values[i] = secret->tags[i]->value != NULL ? secret->tags[i]->value : "";
    }
    subject.tag_keys = filters->tag_keys;
    subject.tag_values = filters->tag_values;
    subject.n_tags = secret->n_tags;
    *ret = filters_match(filters->items, filters->n_plain, &subject);
    if (!*ret || filters->n_plain == filters->n) {
        return OK;
    }
    rc = list_primary_region(context, secret, &region);
    subject.primary_region = region;
    *ret = rc == OK && filters_match(filters->items + filters->n_plain,
                                     filters->n - filters->n_plain, &subject);
    return rc;
}
