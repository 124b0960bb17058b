#include "api/op_support.h"

#include "model/tags.h"
#include "storage/vault.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_IN_SYNC "Replication succeeded"

enum { VALUE_DIGEST = 32 };

enum errc op_no_memory(struct op_context *context) {
    return err_default(context->err, ERR_NO_MEMORY);
}

/* --- Which secret ------------------------------------------------------------------------- */

static enum errc id_of_any_region(struct op_context *context, const char *text,
                                  struct secret_id *ret) {
    enum errc rc = secret_id_parse(text, ret, context->err);

    if (rc != OK) {
        return rc;
    }
    if (strlen(ret->name) > LIMIT_NAME ||
        (ret->is_arn && (strcmp(ret->partition, "aws") != 0 ||
                         strcmp(ret->account, context->identity->account) != 0))) {
        return err_default(context->err, ERR_RESOURCE_NOT_FOUND);
    }
    return OK;
}

static enum errc id_of_here(struct op_context *context, const char *text, struct secret_id *ret) {
    enum errc rc = id_of_any_region(context, text, ret);

    if (rc == OK && ret->is_arn && strcmp(ret->region, context->region) != 0) {
        return err_default(context->err, ERR_RESOURCE_NOT_FOUND);
    }
    return rc;
}

enum errc op_check_readable(struct op_context *context, const char *name) {
    Redoubt__Secret *secret = NULL;
    enum errc rc = view_secret(context->view, context->identity->account, name, &secret);

    if (rc != OK) {
        return err_default(context->err, rc);
    }
    if (secret != NULL) {
        redoubt__secret__free_unpacked(secret, NULL);
    }
    return OK;
}

enum errc op_secret_id_any_region(struct op_context *context, const char *text,
                                  struct secret_id *ret) {
    enum errc rc = id_of_any_region(context, text, ret);

    return rc == OK ? op_check_readable(context, ret->name) : rc;
}

enum errc op_secret_id(struct op_context *context, const char *text, struct secret_id *ret) {
    enum errc rc = id_of_here(context, text, ret);

    return rc == OK ? op_check_readable(context, ret->name) : rc;
}

static void find_secret_free(void *secret) {
    redoubt__secret__free_unpacked(secret, NULL);
}

enum errc op_find_secret(struct op_context *context, const char *text,
                         const Redoubt__Secret **ret) {
    struct secret_id id;
    Redoubt__Secret *secret;
    enum errc rc = id_of_here(context, text, &id);

    if (rc != OK) {
        return rc;
    }
    rc = view_secret(context->view, context->identity->account, id.name, &secret);
    if (rc != OK) {
        return err_default(context->err, rc);
    }
    if (secret == NULL) {
        return err_default(context->err, ERR_RESOURCE_NOT_FOUND);
    }
    if (!arena_at_end(context->arena, find_secret_free, secret)) {
        return op_no_memory(context);
    }
    if (id.suffix[0] != '\0' && strcmp(id.suffix, secret->suffix) != 0) {
        return err_default(context->err, ERR_RESOURCE_NOT_FOUND);
    }
    *ret = secret;
    return OK;
}

enum errc op_check_writable(struct op_context *context, const Redoubt__Secret *secret) {
    if (secret->replica_of != NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER, OP_SENTENCE_REPLICA);
    }
    if (secret->has_deletion_ms) {
        return err_set(context->err, ERR_INVALID_REQUEST, OP_SENTENCE_MARKED);
    }
    return OK;
}

Redoubt__SecretRef *op_ref(struct op_context *context, const char *name, const char *suffix) {
    struct arena *arena = context->arena;
    Redoubt__SecretRef *ref = arena_alloc(arena, sizeof(*ref));

    if (ref == NULL) {
        return NULL;
    }
    redoubt__secret_ref__init(ref);
    ref->account = arena_strdup(arena, context->identity->account);
    ref->name = arena_strdup(arena, name);
    if (suffix != NULL && suffix[0] != '\0') {
        ref->suffix = arena_strdup(arena, suffix);
    }
    return arena->failed ? NULL : ref;
}

const char *op_arn(struct op_context *context, const char *name, const char *suffix) {
    char arn[ARN_MAX + 1];

    secret_arn(arn, sizeof(arn), context->region, context->identity->account, name, suffix);
    return arena_strdup(context->arena, arn);
}

/* --- Values and keys ---------------------------------------------------------------------- */

enum errc op_value_pick(struct op_context *context, const struct secret *string,
                        const struct secret *binary, struct op_value *ret) {
    if (string != NULL && binary != NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER, OP_SENTENCE_BOTH_VALUES);
    }
    *ret = (struct op_value){
        .bytes = string != NULL ? string : binary,
        .kind =
            string != NULL ? REDOUBT__VALUE_KIND__VALUE_STRING : REDOUBT__VALUE_KIND__VALUE_BINARY,
    };
    return OK;
}

enum errc op_check_token(struct op_context *context, const char *token) {
    if (strlen(token) <= LIMIT_TOKEN) {
        return OK;
    }
    return err_set(context->err, ERR_VALIDATION,
                   "1 validation error detected: Value '%s' at 'clientRequestToken' failed to "
                   "satisfy constraint: Member must have length less than or equal to %d",
                   token, LIMIT_TOKEN);
}

const char *op_kms_key_id(const char *kms_key_id) {
    static const char arn_tail[] = ":" VAULT_DEFAULT_ALIAS;
    size_t len = kms_key_id != NULL ? strlen(kms_key_id) : 0;
    size_t tail = sizeof(arn_tail) - 1;

    if (len == 0 || strcmp(kms_key_id, VAULT_DEFAULT_ALIAS) == 0) {
        return NULL;
    }
    if (strncmp(kms_key_id, "arn:", 4) == 0 && len > tail &&
        strcmp(kms_key_id + len - tail, arn_tail) == 0) {
        return NULL;
    }
    return kms_key_id;
}

static void key_free(void *key) {
    redoubt__key__free_unpacked(key, NULL);
}

/* The prelude that makes the account's default key. */
static enum errc resolve_key_prelude(struct op_context *context, struct op_command *ret) {
    const char *account = context->identity->account;
    Redoubt__KeyCreate *create = arena_alloc(context->arena, sizeof(*create));
    Redoubt__Key *key;
    enum errc rc;

    if (create == NULL) {
        return op_no_memory(context);
    }
    rc = vault_new_key(context->keyring, context->world, account, &key, context->err);
    if (rc != OK) {
        return rc;
    }
    if (!arena_at_end(context->arena, key_free, key)) {
        return op_no_memory(context);
    }
    redoubt__key_create__init(create);
    create->account = arena_strdup(context->arena, account);
    create->alias = arena_strdup(context->arena, VAULT_DEFAULT_ALIAS);
    create->key = key;
    if (context->arena->failed) {
        return op_no_memory(context);
    }
    *ret =
        (struct op_command){.type = COMMAND_KEY_CREATE, .message = &create->base, .prelude = true};
    return OK;
}

enum errc op_resolve_key(struct op_context *context, const char *kms_key_id,
                         const char **ret_key_id, struct op_command *ret) {
    const char *asked = op_kms_key_id(kms_key_id);
    char *found = NULL;
    enum errc rc =
        vault_resolve_key(context->view, context->identity->account, asked, &found, context->err);

    if (rc == ERR_RESOURCE_NOT_FOUND && asked == NULL) {
        rc = resolve_key_prelude(context, ret);
        if (rc == OK) {
            *ret_key_id = NULL;
        }
        return rc;
    }
    if (rc != OK) {
        return rc;
    }
    if (!arena_at_end(context->arena, free, found)) {
        return op_no_memory(context);
    }
    *ret_key_id = found;
    return OK;
}

static struct vault_place place_of(const struct op_context *context, const Redoubt__SecretRef *ref,
                                   const char *version_id) {
    return (struct vault_place){
        .region = context->region,
        .account = ref->account,
        .name = ref->name,
        .suffix = ref->suffix,
        .version_id = version_id,
    };
}

enum errc op_check_key(struct op_context *context, const Redoubt__SecretRef *ref,
                       const char *key_id) {
    /* The id that the service uses, too. */
    const struct vault_place place = place_of(context, ref, "RequestToValidateKeyAccess");

    return vault_check_key(context->keyring, context->view, &place, key_id, context->err);
}

static void seal_free(void *sealed) {
    redoubt__sealed__free_unpacked(sealed, NULL);
}

enum errc op_seal(struct op_context *context, const Redoubt__SecretRef *ref, const char *version_id,
                  const char *key_id, struct op_value value, Redoubt__NewValue **ret) {
    struct arena *arena = context->arena;
    const struct vault_place place = place_of(context, ref, version_id);
    Redoubt__NewValue *new_value = arena_alloc(arena, sizeof(*new_value));
    uint8_t *digest = arena_alloc(arena, VALUE_DIGEST);
    char *id = arena_strdup(arena, version_id);
    Redoubt__Sealed *sealed;
    enum errc rc;

    if (new_value == NULL || digest == NULL || id == NULL) {
        return op_no_memory(context);
    }
    rc = vault_seal(context->keyring, context->view, &place, key_id, value.kind, value.bytes,
                    &sealed, digest, context->err);
    if (rc != OK) {
        return rc;
    }
    if (!arena_at_end(arena, seal_free, sealed)) {
        return op_no_memory(context);
    }
    redoubt__new_value__init(new_value);
    new_value->version_id = id;
    new_value->has_kind = true;
    new_value->kind = value.kind;
    new_value->sealed = sealed;
    new_value->has_digest = true;
    new_value->digest = (ProtobufCBinaryData){.len = VALUE_DIGEST, .data = digest};
    *ret = new_value;
    return OK;
}

/* --- Into commands ------------------------------------------------------------------------ */

enum errc op_check_tag_key(struct op_context *context, const char *key) {
    if (tag_key_is_reserved(key)) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "You can't modify system tags. Tag key: '%s'.", key);
    }
    return OK;
}

static enum errc tags_in_check_text(struct op_context *context, const char *what,
                                    const char *text) {
    if (text == NULL || tag_text_is_valid(text)) {
        return OK;
    }
    return err_set(context->err, ERR_INVALID_PARAMETER,
                   "Invalid tag %s. Must be a valid tag %s containing letters, digits, white "
                   "space, or any of the following: _.:/=+-@",
                   what, what);
}

static enum errc tags_in_check(struct op_context *context, const struct op_tag *tags, size_t i) {
    const char *key = tags[i].key;
    enum errc rc;

    if (key == NULL) {
        return err_set(context->err, ERR_INVALID_PARAMETER, "A tag must have a key.");
    }
    rc = op_check_tag_key(context, key);
    if (rc == OK) {
        rc = tags_in_check_text(context, "key", key);
    }
    if (rc == OK) {
        rc = tags_in_check_text(context, "value", tags[i].value);
    }
    for (size_t j = 0; rc == OK && j < i; j++) {
        if (strcmp(tags[j].key, key) == 0) {
            rc = err_set(context->err, ERR_INVALID_PARAMETER,
                         "You can't use the same tag key more than once. Tag key: '%s'.", key);
        }
    }
    return rc;
}

enum errc op_tags_in(struct op_context *context, const struct shape_list *tags, Redoubt__Tag ***ret,
                     size_t *ret_n) {
    const struct op_tag *items = tags->items;
    struct arena *arena = context->arena;
    Redoubt__Tag **out;

    if ((int64_t)tags->n > context->quotas->tags) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "A secret can't have more than %" PRId64 " tags.", context->quotas->tags);
    }
    out = arena_alloc(arena, tags->n * sizeof(*out));
    for (size_t i = 0; out != NULL && i < tags->n; i++) {
        enum errc rc = tags_in_check(context, items, i);

        if (rc != OK) {
            return rc;
        }
        out[i] = arena_alloc(arena, sizeof(*out[i]));
        if (out[i] != NULL) {
            redoubt__tag__init(out[i]);
            out[i]->key = arena_strdup(arena, items[i].key);
            out[i]->value = arena_strdup(arena, items[i].value != NULL ? items[i].value : "");
        }
    }
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = out;
    *ret_n = tags->n;
    return OK;
}

static bool targets_in_is_peer(const struct op_context *context, const char *region) {
    for (size_t i = 0; i < context->n_peers; i++) {
        if (strcmp(context->peers[i], region) == 0) {
            return true;
        }
    }
    return false;
}

static enum errc targets_in_check(struct op_context *context,
                                  const struct op_replica_region *regions, size_t i) {
    const char *region = regions[i].region;

    if (region == NULL || strcmp(region, context->region) == 0 ||
        !targets_in_is_peer(context, region)) {
        return err_set(context->err, ERR_INVALID_PARAMETER, "Invalid replica region.");
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(regions[j].region, region) == 0) {
            return err_set(context->err, ERR_INVALID_PARAMETER,
                           "You can't specify the replica region %s more than once.", region);
        }
    }
    /* The key itself is looked at where the replica is written. */
    if (regions[i].kms_key_id != NULL && strlen(regions[i].kms_key_id) > LIMIT_KMS_KEY_ID) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "The operation failed because of an invalid KMS key: Invalid keyId");
    }
    return OK;
}

enum errc op_targets_in(struct op_context *context, const struct shape_list *regions,
                        Redoubt__ReplicaTarget ***ret, size_t *ret_n) {
    const struct op_replica_region *items = regions->items;
    struct arena *arena = context->arena;
    Redoubt__ReplicaTarget **out = NULL;

    if (regions->n > LIMIT_REPLICAS) {
        return err_set(context->err, ERR_INVALID_PARAMETER,
                       "A secret can be replicated to at most %d regions.", LIMIT_REPLICAS);
    }
    for (size_t i = 0; i < regions->n; i++) {
        enum errc rc = targets_in_check(context, items, i);

        if (rc != OK) {
            return rc;
        }
    }
    out = arena_alloc(arena, regions->n * sizeof(*out));
    for (size_t i = 0; out != NULL && i < regions->n; i++) {
        const char *key = op_kms_key_id(items[i].kms_key_id);

        out[i] = arena_alloc(arena, sizeof(*out[i]));
        if (out[i] != NULL) {
            redoubt__replica_target__init(out[i]);
            out[i]->region = arena_strdup(arena, items[i].region);
            out[i]->kms_key_id = key != NULL ? arena_strdup(arena, key) : NULL;
        }
    }
    if (arena->failed) {
        return op_no_memory(context);
    }
    *ret = out;
    *ret_n = regions->n;
    return OK;
}

Redoubt__Quotas *op_quotas(struct op_context *context) {
    Redoubt__Quotas *out = arena_alloc(context->arena, sizeof(*out));

    if (out != NULL) {
        command_quotas(context->quotas, out);
    }
    return out;
}

char **op_strings_in(struct op_context *context, const struct str_list *list) {
    char **out = arena_alloc(context->arena, list->n * sizeof(char *));

    for (size_t i = 0; out != NULL && i < list->n; i++) {
        out[i] = arena_strdup(context->arena, list->items[i]);
    }
    return context->arena->failed ? NULL : out;
}

/* --- Into replies --------------------------------------------------------------------------- */

struct opt_int op_time(bool present, int64_t ms) {
    return (struct opt_int){.present = present, .value = present ? ms : 0};
}

struct opt_int op_day(bool present, int64_t day) {
    return (struct opt_int){.present = present, .value = present ? day * OP_DAY_MS : 0};
}

struct str_list op_strings_out(struct op_context *context, char *const *items, size_t n) {
    const char **out = arena_alloc(context->arena, n * sizeof(const char *));

    if (out == NULL || n == 0) {
        return (struct str_list){0};
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = arena_strdup(context->arena, items[i]);
    }
    return (struct str_list){.present = true, .items = out, .n = n};
}

struct shape_list op_tags_out(struct op_context *context, const Redoubt__Secret *secret) {
    struct op_tag *out;

    if (secret->n_tags == 0) {
        return (struct shape_list){.present = secret->tags_were_set};
    }
    out = arena_alloc(context->arena, secret->n_tags * sizeof(*out));
    if (out == NULL) {
        return (struct shape_list){0};
    }
    for (size_t i = 0; i < secret->n_tags; i++) {
        out[i].key = arena_strdup(context->arena, secret->tags[i]->key);
        if (secret->tags[i]->value != NULL) {
            out[i].value = arena_strdup(context->arena, secret->tags[i]->value);
        }
    }
    return (struct shape_list){.present = true, .items = out, .n = secret->n_tags};
}

struct stage_map op_stages_out(struct op_context *context, const Redoubt__Secret *secret) {
    struct stage_map_row *rows =
        arena_alloc(context->arena, secret->n_versions * sizeof(struct stage_map_row));
    size_t n = 0;

    if (rows == NULL) {
        return (struct stage_map){0};
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];

        if (version->n_stages > 0) {
            rows[n].version_id = arena_strdup(context->arena, version->id);
            rows[n].labels = op_strings_out(context, version->stages, version->n_stages);
            n++;
        }
    }
    return (struct stage_map){.present = n > 0, .rows = rows, .n = n};
}

static const char *text_out(struct op_context *context, const char *text) {
    return text != NULL ? arena_strdup(context->arena, text) : NULL;
}

static void rules_out(struct op_context *context, const Redoubt__Rotation *rotation,
                      struct op_summary *out) {
    struct op_rotation_rules *rules;

    if (!rotation->has_automatically_after_days && rotation->schedule_expression == NULL &&
        rotation->duration == NULL) {
        return;
    }
    rules = arena_alloc(context->arena, sizeof(*rules));
    if (rules != NULL) {
        rules->days = (struct opt_int){.present = rotation->has_automatically_after_days,
                                       .value = rotation->automatically_after_days};
        rules->duration = text_out(context, rotation->duration);
        rules->expression = text_out(context, rotation->schedule_expression);
        out->rules = rules;
    }
}

static void rotation_out(struct op_context *context, const Redoubt__Rotation *rotation,
                         struct op_summary *out) {
    struct op_external_metadata *metadata;
    size_t n = rotation->n_external_metadata;

    out->rotation_enabled = (struct opt_bool){.present = true, .value = rotation->enabled};
    out->function_arn = text_out(context, rotation->function_arn);
    rules_out(context, rotation, out);
    out->external_role_arn = text_out(context, rotation->external_role_arn);
    out->rotated = op_time(rotation->has_last_rotated_ms, rotation->last_rotated_ms);
    out->next_rotation =
        op_time(rotation->enabled && rotation->has_next_rotation_ms, rotation->next_rotation_ms);
    metadata = n > 0 ? arena_alloc(context->arena, n * sizeof(*metadata)) : NULL;
    for (size_t i = 0; metadata != NULL && i < n; i++) {
        metadata[i].key = text_out(context, rotation->external_metadata[i]->key);
        metadata[i].value = text_out(context, rotation->external_metadata[i]->value);
    }
    out->external_metadata =
        (struct shape_list){.present = metadata != NULL, .items = metadata, .n = n};
}

enum errc op_summary(struct op_context *context, const Redoubt__Secret *secret,
                     struct op_summary *ret) {
    ret->arn = op_arn(context, secret->name, secret->suffix);
    ret->name = text_out(context, secret->name);
    ret->type = text_out(context, secret->type);
    ret->description = text_out(context, secret->description);
    ret->kms_key_id = text_out(context, secret->kms_key_id);
    ret->changed = op_time(secret->has_changed_ms, secret->changed_ms);
    ret->accessed = op_day(secret->has_last_accessed_day, secret->last_accessed_day);
    ret->deleted = op_time(secret->has_deletion_ms, secret->deletion_ms);
    ret->created = op_time(secret->has_created_ms, secret->created_ms);
    ret->tags = op_tags_out(context, secret);
    ret->stages = op_stages_out(context, secret);
    if (secret->rotation != NULL) {
        rotation_out(context, secret->rotation, ret);
    }
    if (secret->replica_of != NULL) {
        ret->primary_region = text_out(context, secret->replica_of->region);
    }
    return context->arena->failed ? op_no_memory(context) : OK;
}

static const char *link_message(struct op_context *context, enum link_status status,
                                const char *failure) {
    switch (status) {
    case LINK_IN_SYNC:
        return SENTENCE_IN_SYNC;
    case LINK_FAILED:
        return failure != NULL ? arena_strdup(context->arena, failure) : NULL;
    case LINK_IN_PROGRESS:
        break;
    }
    return NULL;
}

static struct op_replication_status link_out(struct op_context *context, const char *region,
                                             const char *kms_key_id, enum link_status status,
                                             const char *failure) {
    return (struct op_replication_status){
        .region = arena_strdup(context->arena, region),
        .kms_key_id =
            arena_strdup(context->arena, kms_key_id != NULL ? kms_key_id : VAULT_DEFAULT_ALIAS),
        .status = link_status_name(status),
        .message = link_message(context, status, failure),
    };
}

struct shape_list op_links_out(struct op_context *context, const struct view_links *links,
                               uint64_t revision) {
    struct op_replication_status *out = arena_alloc(context->arena, links->n * sizeof(*out));

    if (out == NULL) {
        return (struct shape_list){0};
    }
    for (size_t i = 0; i < links->n; i++) {
        const Redoubt__Link *link = links->items[i];

        out[i] = link_out(context, link->region, link->kms_key_id,
                          link_status(link->failure, link->acked_revision, revision),
                          link->failure_message);
        out[i].last_accessed =
            op_day(link->has_replica_last_accessed_day, link->replica_last_accessed_day);
    }
    return (struct shape_list){.present = true, .items = out, .n = links->n};
}

struct shape_list op_link_results_out(struct op_context *context, const Redoubt__Result *result) {
    struct op_replication_status *out = arena_alloc(context->arena, result->n_links * sizeof(*out));

    if (out == NULL) {
        return (struct shape_list){0};
    }
    for (size_t i = 0; i < result->n_links; i++) {
        const Redoubt__LinkStatus *link = result->links[i];

        out[i] = link_out(context, link->region, link->kms_key_id, (enum link_status)link->status,
                          link->message);
        out[i].last_accessed = op_day(link->has_last_accessed_day, link->last_accessed_day);
    }
    return (struct shape_list){.present = true, .items = out, .n = result->n_links};
}

enum errc op_replication_reply(struct op_context *context, const void *in,
                               const Redoubt__Result *result, void *out_any) {
    struct op_replication_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->replication = op_link_results_out(context, result);
    return context->arena->failed ? op_no_memory(context) : OK;
}

enum errc op_secret_reply(struct op_context *context, const void *in, const Redoubt__Result *result,
                          void *out_any) {
    struct op_secret_out *out = out_any;

    out->arn = op_arn(context, result->name, result->suffix);
    out->name = arena_strdup(context->arena, result->name);
    return context->arena->failed ? op_no_memory(context) : OK;
}
