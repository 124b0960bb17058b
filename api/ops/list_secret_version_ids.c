/* ListSecretVersionIds: the versions of a secret, the oldest first; works on a replica and on a
 * secret that is scheduled for deletion, too.
 *
 * Pages go on behind a moment and an id, not behind a place: what is added or pruned in between
 * moves nothing. */
#include "api/next_token.h"
#include "api/op_support.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

/* As the service names the account's default key here. */
#define DEFAULT_KEY "DefaultEncryptionKey"

#define IN(X)                                                                                      \
    OP_SECRET_ID(X)                                                                                \
    X(INT, max_results, "MaxResults", F_NONE, 1, LIMIT_LIST_PAGE, NULL)                            \
    X(STR, next_token, "NextToken", F_NONE, 1, LIMIT_NEXT_TOKEN, NULL)                             \
    X(BOOL, deprecated, "IncludeDeprecated", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define VERSION(X)                                                                                 \
    X(STR, id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                         \
    X(STRS, stages, "VersionStages", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(TIME, accessed, "LastAccessedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                           \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STRS, key_ids, "KmsKeyIds", F_NONE, 0, SHAPE_NO_MAX, NULL)

#define OUT(X)                                                                                     \
    X(LIST, versions, "Versions", F_NONE, 0, SHAPE_NO_MAX, &list_versions_entry_shape)             \
    X(STR, next_token, "NextToken", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(list_versions_in, IN)
DECLARE_SHAPE_STRUCT(list_versions_entry, VERSION)
DECLARE_SHAPE_STRUCT(list_versions_out, OUT)
#define SHAPE_SELF struct list_versions_in
DEFINE_SHAPE(list_versions_in, IN)
#undef SHAPE_SELF
#define SHAPE_SELF struct list_versions_entry
DEFINE_SHAPE(list_versions_entry, VERSION)
#undef SHAPE_SELF
#define SHAPE_SELF struct list_versions_out
DEFINE_SHAPE(list_versions_out, OUT)
#undef SHAPE_SELF

static int by_age(const void *a_any, const void *b_any) {
    const Redoubt__Version *a = *(const Redoubt__Version *const *)a_any;
    const Redoubt__Version *b = *(const Redoubt__Version *const *)b_any;

    if (a->created_ms != b->created_ms) {
        return a->created_ms < b->created_ms ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

static bool is_behind(const Redoubt__Version *version, const struct list_position *after) {
    return !after->is_set || version->created_ms > after->when ||
           (version->created_ms == after->when && strcmp(version->id, after->name) > 0);
}

/* The versions to show behind `after`, in order. NULL without memory. */
static const Redoubt__Version **pick(struct op_context *context, const Redoubt__Secret *secret,
                                     bool deprecated, const struct list_position *after,
                                     size_t *ret_n) {
    const Redoubt__Version **picked =
        arena_alloc(context->arena, secret->n_versions * sizeof(Redoubt__Version *));

    *ret_n = 0;
    for (size_t i = 0; picked != NULL && i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];

        if ((deprecated || version->n_stages > 0) && is_behind(version, after)) {
            picked[(*ret_n)++] = version;
        }
    }
    if (*ret_n > 1) {
        qsort(picked, *ret_n, sizeof(Redoubt__Version *), by_age);
    }
    return picked;
}

/* The keys that can open it, the one it is sealed under first; none of a version that has no value
 * yet. `default_key` may be NULL. */
static struct str_list key_ids_out(struct op_context *context, const Redoubt__Version *version,
                                   const char *default_key) {
    size_t n = version->n_other_key_ids + 1;
    const char **out;

    if (version->key_id == NULL) {
        return (struct str_list){0};
    }
    out = arena_alloc(context->arena, n * sizeof(const char *));
    if (out == NULL) {
        return (struct str_list){0};
    }
    for (size_t i = 0; i < n; i++) {
        const char *id = i == 0 ? version->key_id : version->other_key_ids[i - 1];
        bool is_default = default_key != NULL && strcmp(id, default_key) == 0;

        out[i] = is_default ? DEFAULT_KEY : arena_strdup(context->arena, id);
    }
    return (struct str_list){.present = true, .items = out, .n = n};
}

static enum errc entries_out(struct op_context *context, const Redoubt__Version *const *versions,
                             size_t n, struct shape_list *ret) {
    struct list_versions_entry *entries = arena_alloc(context->arena, n * sizeof(*entries));
    char *default_key = NULL;
    enum errc rc =
        view_alias(context->view, context->identity->account, VAULT_DEFAULT_ALIAS, &default_key);

    if (rc != OK) {
        return err_default(context->err, rc);
    }
    for (size_t i = 0; entries != NULL && i < n; i++) {
        const Redoubt__Version *version = versions[i];

        entries[i] = (struct list_versions_entry){
            .id = arena_strdup(context->arena, version->id),
            .stages = op_strings_out(context, version->stages, version->n_stages),
            .accessed = op_day(version->has_last_accessed_day, version->last_accessed_day),
            .created = op_time(version->has_created_ms, version->created_ms),
            .key_ids = key_ids_out(context, version, default_key),
        };
    }
    free(default_key);
    *ret = (struct shape_list){.present = true, .items = entries, .n = n};
    return context->arena->failed ? op_no_memory(context) : OK;
}

static enum errc list(struct op_context *context, const void *in_any, void *out_any) {
    const struct list_versions_in *in = in_any;
    struct list_versions_out *out = out_any;
    size_t max = in->max_results.present ? (size_t)in->max_results.value : LIMIT_LIST_PAGE;
    struct list_position at = {.is_set = false};
    struct next_token_scope scope = {
        .operation = "ListSecretVersionIds",
        .account = context->identity->account,
        .region = context->region,
    };
    const Redoubt__Secret *secret = NULL;
    const Redoubt__Version **versions;
    size_t n;
    enum errc rc = op_find_secret(context, in->secret_id, &secret);

    if (rc != OK) {
        return rc;
    }
    out->arn = op_arn(context, secret->name, secret->suffix);
    out->name = arena_strdup(context->arena, secret->name);
    /* By its ARN: another secret that has the name later is another list. */
    scope.query = arena_printf(context->arena, "%s;deprecated=%s", out->arn != NULL ? out->arn : "",
                               in->deprecated.value ? "shown" : "hidden");
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    if (in->next_token != NULL) {
        rc = next_token_open(context->keyring, &scope, in->next_token, &at, context->err);
    }
    if (rc != OK) {
        return rc;
    }
    versions = pick(context, secret, in->deprecated.value, &at, &n);
    if (versions == NULL) {
        return op_no_memory(context);
    }
    if (n > max) {
        char token[NEXT_TOKEN_TEXT];

        n = max;
        at = (struct list_position){.is_set = true, .when = versions[n - 1]->created_ms};
        memcpy(at.name, versions[n - 1]->id, strlen(versions[n - 1]->id) + 1);
        next_token_seal(context->keyring, &scope, &at, token);
        out->next_token = arena_strdup(context->arena, token);
    }
    return entries_out(context, versions, n, &out->versions);
}

const struct op op_list_secret_version_ids = {
    .name = "ListSecretVersionIds",
    .iam_action = "secretsmanager:ListSecretVersionIds",
    .summary = "The versions of a secret",
    .class = OP_READ,
    .resource = RESOURCE_SECRET,
    .in = &list_versions_in_shape,
    .out = &list_versions_out_shape,
    .errors = ERRS(ERR_INVALID_NEXT_TOKEN, ERR_RESOURCE_NOT_FOUND, ERR_INTERNAL_SERVICE,
                   ERR_INVALID_PARAMETER),
    .read = list,
};
