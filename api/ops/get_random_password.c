/* GetRandomPassword: characters that nobody can predict. Needs no secret and leaves none behind.
 *
 * The password lives in the request's arena only and is wiped with it. */
#include "api/op_support.h"
#include "model/password.h"

#define IN(X)                                                                                      \
    X(INT, length, "PasswordLength", F_NONE, 1, LIMIT_PASSWORD, NULL)                              \
    X(STR, exclude, "ExcludeCharacters", F_NONE, 0, LIMIT_PASSWORD, NULL)                          \
    X(BOOL, exclude_numbers, "ExcludeNumbers", F_NONE, 0, SHAPE_NO_MAX, NULL)                      \
    X(BOOL, exclude_punctuation, "ExcludePunctuation", F_NONE, 0, SHAPE_NO_MAX, NULL)              \
    X(BOOL, exclude_uppercase, "ExcludeUppercase", F_NONE, 0, SHAPE_NO_MAX, NULL)                  \
    X(BOOL, exclude_lowercase, "ExcludeLowercase", F_NONE, 0, SHAPE_NO_MAX, NULL)                  \
    X(BOOL, include_space, "IncludeSpace", F_NONE, 0, SHAPE_NO_MAX, NULL)                          \
    X(BOOL, require_each, "RequireEachIncludedType", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define OUT(X) X(SECRET, password, "RandomPassword", F_NONE, 0, SHAPE_NO_MAX, NULL)

enum { LENGTH_USUAL = 32 };

DECLARE_SHAPE_STRUCT(get_random_password_in, IN)
DECLARE_SHAPE_STRUCT(get_random_password_out, OUT)
#define SHAPE_SELF struct get_random_password_in
DEFINE_SHAPE(get_random_password_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct get_random_password_out
DEFINE_SHAPE(get_random_password_out, OUT)
#undef SHAPE_SELF

static void password_at_end(void *secret) {
    secret_fini(secret);
}

static enum errc make(struct op_context *context, const void *in_any, void *out_any) {
    const struct get_random_password_in *in = in_any;
    struct get_random_password_out *out = out_any;
    const struct password_source source = {.random = context->world->random,
                                           .ctx = context->world->ctx};
    const struct password_rules rules = {
        .length = in->length.present ? (size_t)in->length.value : LENGTH_USUAL,
        .exclude = in->exclude,
        .exclude_uppercase = in->exclude_uppercase.value,
        .exclude_lowercase = in->exclude_lowercase.value,
        .exclude_numbers = in->exclude_numbers.value,
        .exclude_punctuation = in->exclude_punctuation.value,
        .include_space = in->include_space.value,
        .require_each_type = !in->require_each.present || in->require_each.value,
    };
    struct secret *password = arena_alloc(context->arena, sizeof(*password));

    if (password == NULL || !secret_init(password, rules.length) ||
        !arena_at_end(context->arena, password_at_end, password)) {
        return op_no_memory(context);
    }
    out->password = password;
    return password_make(&rules, &source, (char *)password->data, context->err);
}

const struct op op_get_random_password = {
    .name = "GetRandomPassword",
    .iam_action = "secretsmanager:GetRandomPassword",
    .summary = "A random password",
    .class = OP_READ,
    .stateless = true,
    .resource = RESOURCE_ANY,
    .in = &get_random_password_in_shape,
    .out = &get_random_password_out_shape,
    .errors = ERRS(ERR_INVALID_PARAMETER, ERR_INVALID_REQUEST, ERR_INTERNAL_SERVICE),
    .read = make,
};
