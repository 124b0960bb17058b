#include "model/filter.h"

#include "model/words.h"

#include <string.h>
#include <strings.h>

static bool begins(const char *text, const char *prefix) {
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool begins_in_any_case(const char *text, const char *prefix) {
    return text != NULL && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static bool any_begins(const char *const *texts, size_t n, const char *prefix) {
    for (size_t i = 0; i < n; i++) {
        if (begins(texts[i], prefix)) {
            return true;
        }
    }
    return false;
}

static bool has_words(const char *text, const char *wanted) {
    return text != NULL && words_match(text, wanted);
}

static bool any_has_words(const char *const *texts, size_t n, const char *wanted) {
    for (size_t i = 0; i < n; i++) {
        if (has_words(texts[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* `value` without its negation. */
static bool value_matches(enum filter_key key, const char *value,
                          const struct filter_subject *subject) {
    switch (key) {
    case FILTER_ALL:
        return has_words(subject->name, value) || has_words(subject->description, value) ||
               any_has_words(subject->tag_keys, subject->n_tags, value) ||
               any_has_words(subject->tag_values, subject->n_tags, value);
    case FILTER_NAME:
        return begins(subject->name, value);
    case FILTER_TAG_KEY:
        return any_begins(subject->tag_keys, subject->n_tags, value);
    case FILTER_DESCRIPTION:
        return has_words(subject->description, value);
    case FILTER_TAG_VALUE:
        return any_begins(subject->tag_values, subject->n_tags, value);
    case FILTER_PRIMARY_REGION:
        return begins(subject->primary_region, value);
    case FILTER_OWNING_SERVICE:
        return begins_in_any_case(subject->owning_service, value);
    }
    return false;
}

static bool filter_matches(const struct filter *filter, const struct filter_subject *subject) {
    if (filter->key == FILTER_DESCRIPTION && subject->description == NULL) {
        return false; /* not even negated */
    }
    for (size_t i = 0; i < filter->n_values; i++) {
        const char *value = filter->values[i];
        bool is_negated = value[0] == '!';

        if (value_matches(filter->key, value + is_negated, subject) != is_negated) {
            return true;
        }
    }
    return false;
}

bool filters_match(const struct filter *filters, size_t n, const struct filter_subject *subject) {
    for (size_t i = 0; i < n; i++) {
        if (!filter_matches(&filters[i], subject)) {
            return false;
        }
    }
    return true;
}
