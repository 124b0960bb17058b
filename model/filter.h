/* The filter language of ListSecrets and BatchGetSecretValue (AWS_BEHAVIOUR 3.10), decided on one
 * secret at a time; how candidates are found is storage's matter. Pure, any thread. */
#ifndef MODEL_FILTER_H
#define MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* In the order in which the service prints them. */
enum filter_key {
    FILTER_ALL,
    FILTER_NAME,
    FILTER_TAG_KEY,
    FILTER_DESCRIPTION,
    FILTER_TAG_VALUE,
    FILTER_PRIMARY_REGION,
    FILTER_OWNING_SERVICE,
};

/* Values in disjunction; one that begins with '!' is inverted: "!x" finds what "x" does not. Only
 * where there is no description, no value of a description filter finds anything. Borrowed. */
struct filter {
    enum filter_key key;
    const char *const *values;
    size_t n_values;
};

/* What of a secret filters look at. Borrowed; NULL where there is none. */
struct filter_subject {
    const char *name;
    const char *description;
    const char *primary_region;
    const char *owning_service;
    const char *const *tag_keys;
    const char *const *tag_values;
    size_t n_tags;
};

/* Filters in conjunction; none: true. ALL and DESCRIPTION compare words (model/words.h), all words
 * of a value within one text, ALL over name, description, tag keys and tag values; the others
 * compare beginnings of the text as it stands, OWNING_SERVICE without regard to case. */
bool filters_match(const struct filter *filters, size_t n, const struct filter_subject *subject);

#endif
