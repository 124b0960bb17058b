/* The sentences of the front end's constraint check (AWS_BEHAVIOUR 2.1, layer A): collected while a
 * request is decoded, told together at the end.
 *
 * Of a value at most LIMIT_ECHO bytes are repeated, of a sensitive one none. All violations are
 * counted; those that no longer fit into an error's message are left out of the text. Pure. */
#ifndef API_VIOLATIONS_H
#define API_VIOLATIONS_H

#include "api/shape.h"
#include "base/errc.h"

#include <stddef.h>
#include <stdint.h>

struct violations {
    unsigned count;
    size_t len; /* of text */
    char text[ERR_MESSAGE_MAX];
};

/* How the value is told; borrowed. */
struct violation_value {
    enum { VALUE_NULL, VALUE_HIDDEN, VALUE_TEXT, VALUE_INT, VALUE_LIST } kind;
    const char *text;
    int64_t number;
    const struct str_list *list;
};

/* `path` is 'secretId', 'tags.1.member.key', ...; `constraint` begins with "Member must". */
void violations_add(struct violations *violations, const char *path,
                    const struct violation_value *value, const char *constraint);

/* Bounds of a length (`what` "length") or of a number ("value"); SHAPE_NO_MAX: no upper one. */
void violations_check_bounds(struct violations *violations, const char *path,
                             const struct violation_value *value, const char *what, int64_t number,
                             int64_t min, int64_t max);
/* Pattern and enumeration of a text, which is told as `value`; `rule` may be NULL. */
void violations_check_rule(struct violations *violations, const char *path,
                           const struct violation_value *value, const char *text,
                           const struct str_rule *rule);
/* Every element of a list of strings against its rule; one violation for the whole list. */
void violations_check_elements(struct violations *violations, const char *path,
                               const struct str_list *list, const struct str_rule *rule);

/* OK when there are none, else ERR_VALIDATION with all of them. */
MUSTCHECK enum errc violations_tell(const struct violations *violations, struct err *err);

#endif
