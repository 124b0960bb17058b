/* What a tag may be called and say. Pure, any thread. Source: AWS_BEHAVIOUR 3.9. */
#ifndef MODEL_TAGS_H
#define MODEL_TAGS_H

#include <stdbool.h>

/* Begins with "aws:" in any case: a system's tag, that users neither make nor remove. */
bool tag_key_is_reserved(const char *key);

/* Letters, digits and blanks of any script, and _ . : / = + - @. `text` is UTF-8. Controls and the
 * blocks of symbols and punctuation are told apart from letters, not every single character. */
bool tag_text_is_valid(const char *text);

#endif
