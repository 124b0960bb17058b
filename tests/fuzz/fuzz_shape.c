/* A request body against a shape with every kind of member that requests have: whatever comes in is
 * refused with a sentence or decoded; what was decoded encodes to JSON that decodes to the same. */
#include "api/json_text.h"
#include "api/shape.h"
#include "base/limits.h"

#include <string.h>

static bool is_region(const char *text) {
    return strchr(text, '-') != NULL;
}

static const char *const orders[] = {"asc", "desc", NULL};
static const struct str_rule order_rule = {.values = orders};
static const struct str_rule region_rule = {.matches = is_region, .pattern = "-"};
static const struct str_rule stage_rule = {.min = 1, .max = 16};

#define TAG(X)                                                                                     \
    X(STR, key, "Key", F_REQ, 1, 16, NULL)                                                         \
    X(STR, value, "Value", F_NONE, 0, 16, NULL)                                                    \
    X(STRS, values, "Values", F_NONE, 0, 3, &stage_rule)
DECLARE_SHAPE_STRUCT(tag, TAG)
#define SHAPE_SELF struct tag
DEFINE_SHAPE(tag, TAG)
#undef SHAPE_SELF

#define RICH(X)                                                                                    \
    X(STR, id, "SecretId", F_SECRET_ID, 1, 64, NULL)                                               \
    X(STR, name, "Name", F_NAME, 1, 16, NULL)                                                      \
    X(STR, order, "SortOrder", F_NONE, 0, SHAPE_NO_MAX, &order_rule)                               \
    X(STR, region, "Region", F_NONE, 1, 16, &region_rule)                                          \
    X(TOKEN, token, "ClientRequestToken", F_TOKEN_IR, 4, 64, NULL)                                 \
    X(SECRET, string, "SecretString", F_NONE, 1, 64, NULL)                                         \
    X(BLOB, binary, "SecretBinary", F_NONE, 1, 64, NULL)                                           \
    X(BOOL, force, "Force", F_NONE, 0, 0, NULL)                                                    \
    X(INT, length, "PasswordLength", F_NONE, 1, 4096, NULL)                                        \
    X(STRS, stages, "VersionStages", F_NONE, 1, 4, &stage_rule)                                    \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, &tag_shape)
DECLARE_SHAPE_STRUCT(rich, RICH)
#define SHAPE_SELF struct rich
DEFINE_SHAPE(rich, RICH)
#undef SHAPE_SELF

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decode what was encoded; the second encoding must be the first. */
static void round_trip(const struct buf *first) {
    struct rich rich = {.id = NULL};
    struct arena arena;
    struct buf second;
    struct err err;

    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&second, LIMIT_REPLY_BODY);
    CHECK(shape_decode(&rich_shape, first->data, first->len, &quotas_default, &arena, &rich,
                       &err) == OK);
    shape_encode(&rich_shape, &rich, &second);
    CHECK(!second.failed && second.len == first->len);
    CHECK(memcmp(second.data, first->data, first->len) == 0);
    buf_fini(&second);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rich rich = {.id = NULL};
    struct err err = {.code = OK};
    struct arena arena;
    struct buf out;
    enum errc code;

    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&out, LIMIT_REPLY_BODY);
    code = shape_decode(&rich_shape, data, size, &quotas_default, &arena, &rich, &err);
    if (code == OK) {
        shape_encode(&rich_shape, &rich, &out);
        CHECK(!out.failed);
        round_trip(&out);
    } else {
        CHECK(err.code == code && err.message[0] != '\0');
        json_text_string(&out, err.message, strlen(err.message));
        CHECK(json_text_characters(out.data, out.len) > 0);
    }
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
