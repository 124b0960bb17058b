/* Parameters of a query or a form body against a shape: whatever comes in is refused with a
 * sentence or becomes JSON without a repeated member of ours, which the decoder takes or refuses.
 * The first byte says which of the two it is. */
#include "api/query.h"
#include "base/limits.h"

#include <string.h>

#define TAG(X)                                                                                     \
    X(STR, key, "Key", F_NONE, 1, 16, NULL)                                                        \
    X(STRS, values, "Values", F_NONE, 0, 3, NULL)
DECLARE_SHAPE_STRUCT(tag, TAG)
#define SHAPE_SELF struct tag
DEFINE_SHAPE(tag, TAG)
#undef SHAPE_SELF

#define RULES(X) X(INT, days, "Days", F_NONE, 1, 1000, NULL)
DECLARE_SHAPE_STRUCT(rules, RULES)
#define SHAPE_SELF struct rules
DEFINE_SHAPE(rules, RULES)
#undef SHAPE_SELF

#define RICH(X)                                                                                    \
    X(STR, id, "SecretId", F_SECRET_ID, 1, 64, NULL)                                               \
    X(SECRET, string, "SecretString", F_NONE, 1, 64, NULL)                                         \
    X(BLOB, binary, "SecretBinary", F_NONE, 1, 64, NULL)                                           \
    X(BOOL, force, "Force", F_NONE, 0, 0, NULL)                                                    \
    X(INT, length, "Length", F_NONE, 1, 4096, NULL)                                                \
    X(STRS, keys, "TagKeys", F_NONE, 1, 4, NULL)                                                   \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &tag_shape)                                     \
    X(STRUCT, rules, "Rules", F_NONE, 0, SHAPE_NO_MAX, &rules_shape)
DECLARE_SHAPE_STRUCT(rich, RICH)
#define SHAPE_SELF struct rich
DEFINE_SHAPE(rich, RICH)
#undef SHAPE_SELF

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct query_text text = {.text = (const char *)data};
    struct rich rich = {.id = NULL};
    struct err err = {.code = OK};
    struct arena arena;
    struct buf json;
    enum errc code;

    if (size == 0 || size > LIMIT_HTTP_BODY) {
        return 0;
    }
    text.text++;
    text.len = size - 1;
    text.is_form = (data[0] & 1) != 0;
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&json, LIMIT_REPLY_BODY);
    code = query_to_json(&rich_shape, &text, 1, &arena, &json, &err);
    CHECK(!json.failed);
    if (code == OK) {
        CHECK(json.len >= 2 && json.data[0] == '{' && json.data[json.len - 1] == '}');
        code = shape_decode(&rich_shape, json.data, json.len, &quotas_default, &arena, &rich, &err);
    }
    CHECK(code == OK || (err.code == code && err.message[0] != '\0'));
    CHECK(code == OK || code == ERR_SERIALIZATION || code == ERR_VALIDATION);
    buf_fini(&json);
    arena_fini(&arena);
    return 0;
}
