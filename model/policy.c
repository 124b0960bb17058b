#include "model/policy.h"

#include "model/json_guard.h"
#include "model/policy_condition.h"
#include "model/policy_principal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ACTION_HEAD "secretsmanager:"

enum {
    ACTION_MAX = 128,
    ARN_COLONS = 5, /* of the six fields */
    NUMBER_TEXT = 32,
};

/* One walk over the document; the first fault ends it. */
struct reader {
    struct policy *policy;
    enum policy_fault fault;
};

static bool fail(struct reader *reader, enum policy_fault fault) {
    reader->fault = fault;
    return false;
}

static bool fail_syntax(struct reader *reader) {
    return fail(reader, POLICY_SYNTAX);
}

/* --- memory --- */

static void *room(struct reader *reader, size_t size) {
    void *ptr = arena_alloc(&reader->policy->arena, size);

    if (ptr == NULL) {
        (void)fail(reader, POLICY_NO_MEMORY);
    }
    return ptr;
}

static char *copy_of(struct reader *reader, const char *text) {
    char *copy = arena_strdup(&reader->policy->arena, text);

    if (copy == NULL) {
        (void)fail(reader, POLICY_NO_MEMORY);
    }
    return copy;
}

/* NULL where it is no string, or memory is out. */
static const char *text_of(struct reader *reader, const json_t *json) {
    if (!json_is_string(json)) {
        (void)fail_syntax(reader);
        return NULL;
    }
    return copy_of(reader, json_string_value(json));
}

/* --- one value or a list of them --- */

static size_t list_size(const json_t *json) {
    return json_is_array(json) ? json_array_size(json) : 1;
}

static const json_t *list_at(const json_t *json, size_t i) {
    return json_is_array(json) ? json_array_get(json, i) : json;
}

/* --- actions and resources --- */

static bool is_action(const char *text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789*?";
    const size_t head = sizeof(ACTION_HEAD) - 1;

    if (strcmp(text, "*") == 0) {
        return true;
    }
    return strncasecmp(text, ACTION_HEAD, head) == 0 && text[head] != '\0' &&
           text[head + strspn(text + head, alphabet)] == '\0' && strlen(text) <= ACTION_MAX + head;
}

/* Six fields, of which the first is plain. Which secrets it can mean is no matter of form: a policy
 * travels to replicas, whose ARNs differ from their primary's. */
static bool is_resource(const char *text) {
    size_t colons = 0;

    if (strcmp(text, "*") == 0) {
        return true;
    }
    for (const char *c = text; *c != '\0'; c++) {
        colons += *c == ':' ? 1 : 0;
    }
    return strncmp(text, "arn:", 4) == 0 && colons >= ARN_COLONS && strlen(text) <= LIMIT_SECRET_ID;
}

static bool read_texts(struct reader *reader, const json_t *json, bool (*is_good)(const char *text),
                       struct policy_texts *ret) {
    size_t n = list_size(json);
    const char **items = room(reader, n * sizeof(*items));

    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        items[i] = text_of(reader, list_at(json, i));
        if (items[i] == NULL) {
            return false;
        }
        if (!is_good(items[i])) {
            return fail_syntax(reader);
        }
    }
    *ret = (struct policy_texts){.items = items, .n = n};
    return true;
}

/* Exactly one of the two members; *ret_not says that it is the second. */
static json_t *either(const json_t *object, const char *name, const char *not_name, bool *ret_not) {
    json_t *plain = json_object_get(object, name);
    json_t *inverse = json_object_get(object, not_name);

    if ((plain == NULL) == (inverse == NULL)) {
        return NULL;
    }
    *ret_not = inverse != NULL;
    return plain != NULL ? plain : inverse;
}

static bool read_actions(struct reader *reader, const json_t *object,
                         struct policy_statement *ret) {
    const json_t *json = either(object, "Action", "NotAction", &ret->not_action);

    return json != NULL ? read_texts(reader, json, is_action, &ret->actions) : fail_syntax(reader);
}

static bool read_resources(struct reader *reader, const json_t *object,
                           struct policy_statement *ret) {
    const json_t *json = either(object, "Resource", "NotResource", &ret->not_resource);

    if (json == NULL) {
        return fail_syntax(reader);
    }
    if (!read_texts(reader, json, is_resource, &ret->resources)) {
        return false;
    }
    for (size_t i = 0; reader->policy->has_variables && i < ret->resources.n; i++) {
        if (!policy_variables_are_sound(ret->resources.items[i])) {
            return fail_syntax(reader);
        }
    }
    return true;
}

/* --- principals --- */

static bool read_aws(struct reader *reader, const char *text, struct policy_principal *ret) {
    return policy_principal_read(text, ret) || fail(reader, POLICY_PRINCIPAL);
}

static bool read_service(struct reader *reader, const char *text, struct policy_principal *ret) {
    return policy_principal_read_service(text, ret) || fail(reader, POLICY_SERVICE);
}

/* Federated and canonical users are for the policies of other services. */
static bool read_foreign(struct reader *reader, const char *text, struct policy_principal *ret) {
    return fail(reader, POLICY_PRINCIPAL);
}

typedef bool read_principal_fn(struct reader *reader, const char *text,
                               struct policy_principal *ret);

static read_principal_fn *principal_reader(const char *kind) {
    static const struct {
        const char *kind;
        read_principal_fn *read;
    } kinds[] = {{"AWS", read_aws},
                 {"Service", read_service},
                 {"Federated", read_foreign},
                 {"CanonicalUser", read_foreign}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            return kinds[i].read;
        }
    }
    return NULL;
}

static bool read_everybody(struct reader *reader, const json_t *json,
                           struct policy_statement *ret) {
    const char *text = text_of(reader, json);

    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "*") != 0) {
        return fail_syntax(reader);
    }
    ret->principals = room(reader, sizeof(*ret->principals));
    ret->n_principals = 1;
    return ret->principals != NULL && read_aws(reader, text, ret->principals);
}

static bool read_principal_map(struct reader *reader, json_t *map, struct policy_statement *ret) {
    const char *kind;
    json_t *json;
    size_t n = 0;

    json_object_foreach(map, kind, json) {
        n += list_size(json);
    }
    ret->principals = room(reader, n * sizeof(*ret->principals));
    if (ret->principals == NULL) {
        return false;
    }
    json_object_foreach(map, kind, json) {
        read_principal_fn *read = principal_reader(kind);
        if (read == NULL) {
            return fail_syntax(reader);
        }
        for (size_t i = 0; i < list_size(json); i++) {
            const char *text = text_of(reader, list_at(json, i));
            if (text == NULL || !read(reader, text, &ret->principals[ret->n_principals++])) {
                return false;
            }
        }
    }
    return true;
}

static bool read_principals(struct reader *reader, const json_t *object,
                            struct policy_statement *ret) {
    json_t *json = either(object, "Principal", "NotPrincipal", &ret->not_principal);

    if (json == NULL) {
        return fail_syntax(reader);
    }
    return json_is_object(json) ? read_principal_map(reader, json, ret)
                                : read_everybody(reader, json, ret);
}

/* --- conditions --- */

/* A string; or a number or a boolean, which are taken for what they are written as. */
static const char *value_text(struct reader *reader, const json_t *json) {
    char number[NUMBER_TEXT];

    if (json_is_boolean(json)) {
        return json_is_true(json) ? "true" : "false";
    }
    if (json_is_integer(json)) {
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    } else if (json_is_real(json)) {
        (void)snprintf(number, sizeof(number), "%.15g", json_real_value(json));
    } else {
        return text_of(reader, json);
    }
    return copy_of(reader, number);
}

static bool read_values(struct reader *reader, const json_t *json, struct policy_condition *ret) {
    size_t n = list_size(json);
    struct policy_value *values = room(reader, n * sizeof(*values));

    if (values == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        values[i].text = value_text(reader, list_at(json, i));
        if (values[i].text == NULL) {
            return false;
        }
        if (!policy_condition_read_value(ret->op, reader->policy->has_variables, &values[i])) {
            return fail_syntax(reader);
        }
    }
    ret->values = values;
    ret->n_values = n;
    return true;
}

/* "aws:SourceIp" in small letters: a provider, a colon, a name. NULL where it is none. */
static const char *read_key(struct reader *reader, const char *key) {
    const char *colon = strchr(key, ':');
    char *copy;

    if (colon == NULL || colon == key || colon[1] == '\0') {
        (void)fail_syntax(reader);
        return NULL;
    }
    copy = copy_of(reader, key);
    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return copy;
}

/* All keys under one operator, each a condition of its own, at *ret_at, which moves behind them. */
static bool read_operator(struct reader *reader, const char *name, json_t *keys,
                          struct policy_condition **ret_at) {
    const char *key;
    json_t *json;

    json_object_foreach(keys, key, json) {
        struct policy_condition *condition = (*ret_at)++;
        if (!policy_condition_read_operator(name, condition)) {
            return fail_syntax(reader);
        }
        condition->key = read_key(reader, key);
        if (condition->key == NULL || !read_values(reader, json, condition)) {
            return false;
        }
    }
    return true;
}

static bool read_conditions(struct reader *reader, json_t *object, struct policy_statement *ret) {
    json_t *operators = json_object_get(object, "Condition");
    struct policy_condition ignored;
    struct policy_condition *at;
    const char *name;
    json_t *keys;

    if (operators == NULL) {
        return true;
    }
    if (!json_is_object(operators)) {
        return fail_syntax(reader);
    }
    json_object_foreach(operators, name, keys) {
        if (!json_is_object(keys) || !policy_condition_read_operator(name, &ignored)) {
            return fail_syntax(reader);
        }
        ret->n_conditions += json_object_size(keys);
    }
    at = room(reader, ret->n_conditions * sizeof(*at));
    ret->conditions = at;
    if (at == NULL) {
        return false;
    }
    json_object_foreach(operators, name, keys) {
        if (!read_operator(reader, name, keys, &at)) {
            return false;
        }
    }
    return true;
}

/* --- statements --- */

/* The members of the object are among these. */
static bool knows_all(json_t *object, const char *const *names, size_t n) {
    const char *key;
    json_t *json;

    json_object_foreach(object, key, json) {
        bool known = false;
        for (size_t i = 0; i < n; i++) {
            known = known || strcmp(key, names[i]) == 0;
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

static bool read_effect(struct reader *reader, const json_t *json, enum policy_effect *ret) {
    const char *text = json_string_value(json);

    if (text != NULL && strcmp(text, "Allow") == 0) {
        *ret = POLICY_ALLOW;
    } else if (text != NULL && strcmp(text, "Deny") == 0) {
        *ret = POLICY_DENY;
    } else {
        return fail_syntax(reader);
    }
    return true;
}

/* Letters, digits, and what services let through besides. */
static bool read_sid(struct reader *reader, const json_t *json, const char **ret) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789 _-";

    if (json == NULL) {
        return true;
    }
    *ret = text_of(reader, json);
    if (*ret == NULL) {
        return false;
    }
    return (*ret)[strspn(*ret, alphabet)] == '\0' || fail_syntax(reader);
}

/* No other statement has its Sid; an empty one is none. */
static bool sid_is_unique(const struct policy *policy, size_t at) {
    const char *sid = policy->statements[at].sid;

    for (size_t i = 0; sid != NULL && sid[0] != '\0' && i < at; i++) {
        const char *other = policy->statements[i].sid;
        if (other != NULL && strcmp(sid, other) == 0) {
            return false;
        }
    }
    return true;
}

static bool read_statement(struct reader *reader, json_t *json, struct policy_statement *ret) {
    static const char *const names[] = {"Sid",          "Effect",    "Action",
                                        "NotAction",    "Resource",  "NotResource",
                                        "NotPrincipal", "Condition", "Principal"};

    if (!json_is_object(json) || !knows_all(json, names, ARRAY_LEN(names))) {
        return fail_syntax(reader);
    }
    return read_sid(reader, json_object_get(json, "Sid"), &ret->sid) &&
           read_effect(reader, json_object_get(json, "Effect"), &ret->effect) &&
           read_actions(reader, json, ret) && read_resources(reader, json, ret) &&
           read_principals(reader, json, ret) && read_conditions(reader, json, ret);
}

static bool read_statements(struct reader *reader, json_t *json) {
    struct policy *policy = reader->policy;
    size_t n;

    if (!json_is_object(json) && json_array_size(json) == 0) {
        return fail_syntax(reader);
    }
    n = list_size(json);
    policy->statements = room(reader, n * sizeof(*policy->statements));
    if (policy->statements == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *statement = json_is_array(json) ? json_array_get(json, i) : json;
        if (!read_statement(reader, statement, &policy->statements[i])) {
            return false;
        }
        if (!sid_is_unique(policy, i)) {
            return fail_syntax(reader);
        }
    }
    policy->n_statements = n;
    return true;
}

/* --- the document --- */

static bool read_version(struct reader *reader, const json_t *json) {
    const char *text = json_string_value(json);

    if (json == NULL) {
        return true;
    }
    if (text == NULL || (strcmp(text, "2012-10-17") != 0 && strcmp(text, "2008-10-17") != 0)) {
        return fail_syntax(reader);
    }
    reader->policy->has_variables = strcmp(text, "2012-10-17") == 0;
    return true;
}

static bool read_document(struct reader *reader, json_t *json) {
    static const char *const names[] = {"Version", "Id", "Statement"};
    const json_t *id = json_object_get(json, "Id");

    if (!json_is_object(json) || !knows_all(json, names, ARRAY_LEN(names))) {
        return fail_syntax(reader);
    }
    if (id != NULL) {
        reader->policy->id = text_of(reader, id);
        if (reader->policy->id == NULL) {
            return false;
        }
    }
    return read_version(reader, json_object_get(json, "Version")) &&
           read_statements(reader, json_object_get(json, "Statement"));
}

/* A member twice, or a number without end, is JSON all the same. */
static enum policy_fault load_fault(const json_error_t *error) {
    enum json_error_code code = json_error_code(error);

    if (code == json_error_out_of_memory) {
        return POLICY_NO_MEMORY;
    }
    return code == json_error_duplicate_key || code == json_error_numeric_overflow
               ? POLICY_SYNTAX
               : POLICY_NOT_JSON;
}

static enum policy_fault load(const char *text, size_t len, json_t **ret) {
    json_error_t error;

    json_guard_setup();
    if (!json_is_modest(text, len)) {
        return POLICY_SYNTAX;
    }
    *ret = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    return *ret != NULL ? POLICY_SOUND : load_fault(&error);
}

enum policy_fault policy_parse(const char *text, size_t len, struct policy **ret) {
    struct reader reader = {.fault = POLICY_SOUND};
    json_t *json = NULL;
    enum policy_fault fault = load(text, len, &json);

    if (fault != POLICY_SOUND) {
        return fault;
    }
    reader.policy = calloc(1, sizeof(*reader.policy));
    if (reader.policy == NULL) {
        json_decref(json);
        return POLICY_NO_MEMORY;
    }
    arena_init(&reader.policy->arena, LIMIT_POLICY_COMPILED);
    if (read_document(&reader, json)) {
        *ret = reader.policy;
    } else {
        CHECK(reader.fault != POLICY_SOUND);
        policy_free(reader.policy);
    }
    json_decref(json);
    return reader.fault;
}

void policy_free(struct policy *policy) {
    if (policy != NULL) {
        arena_fini(&policy->arena);
        free(policy);
    }
}

const char *policy_fault_sentence(enum policy_fault fault) {
    switch (fault) {
    case POLICY_PRINCIPAL:
        return "This resource policy contains an unsupported principal.";
    case POLICY_SERVICE:
        return "This resource policy contains an invalid service principal.";
    case POLICY_NO_MEMORY:
        return "Out of memory.";
    case POLICY_SOUND:
    case POLICY_NOT_JSON:
    case POLICY_SYNTAX:
        break;
    }
    return "This resource policy contains a syntax error.";
}
