/* Patterns of actions, resources and condition values: '*' stands for any text, also over '/' and
 * ':', '?' for one character. Pure, any thread. */
#ifndef MODEL_POLICY_PATTERN_H
#define MODEL_POLICY_PATTERN_H

#include <stdbool.h>

/* `fold`: without regard to the case of ASCII letters. A '?' takes a whole UTF-8 character. */
bool policy_pattern_matches(const char *pattern, const char *text, bool fold);
/* Whatever `other` matches, `pattern` matches too. May be false where that is so all the same: only
 * equal patterns, and a '*' behind a plain beginning, are recognised. */
bool policy_pattern_covers(const char *pattern, const char *other, bool fold);

#endif
