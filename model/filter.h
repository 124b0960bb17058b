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

/* Values in disjunction; one that begins with '!' is inverted. Borrowed. */
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

/* Filters in conjunction. */
bool filters_match(const struct filter *filters, size_t n, const struct filter_subject *subject);

#endif
