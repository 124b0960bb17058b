#include "deed.h"

#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const deed_names[DEED_NAMES] = {"a", "a/b", "bank", "c", "deep/er/name", "z-last"};
const char *const deed_words[DEED_KINDS] = {"region", "key",   "create",  "put",  "update",
                                            "stage",  "del",   "restore", "tag",  "untag",
                                            "policy", "touch", "purge",   "prune"};

/* The messages of one command; they borrow from the deed and from here. */
struct parts {
    Redoubt__SecretRef ref;
    Redoubt__NewValue value;
    Redoubt__Sealed sealed;
    Redoubt__Quotas quotas;
    Redoubt__Tag tags[DEED_TAGS];
    Redoubt__Tag *tag_list[DEED_TAGS];
    char *texts[DEED_LABELS + DEED_TAGS];
    char cipher[DEED_CIPHER];
    uint64_t digest;
    char number[DEED_CIPHER];
};

/* protobuf-c has no const; nothing here is written to. */
static char *text_of(const char *text) {
    return (char *)(uintptr_t)text;
}

static char *or_absent(const char *text) {
    return text[0] == '\0' ? NULL : text_of(text);
}

void deed_cipher(const char *text, bool is_binary, uint64_t nonce, char out[DEED_CIPHER]) {
    (void)snprintf(out, DEED_CIPHER, "%c:%s:%" PRIx64, is_binary ? 'b' : 's', text, nonce);
}

static Redoubt__NewValue *value_of(const struct deed *deed, struct parts *parts) {
    if (deed->text[0] == '\0') {
        return NULL;
    }
    deed_cipher(deed->text, deed->is_binary, deed->nonce, parts->cipher);
    parts->digest = hash_bytes(HASH_START + deed->is_binary, deed->text, strlen(deed->text));
    redoubt__sealed__init(&parts->sealed);
    parts->sealed.key_id = text_of("key-1");
    parts->sealed.has_key_version = true;
    parts->sealed.key_version = 1;
    parts->sealed.has_wrapped_key = true;
    parts->sealed.wrapped_key = (ProtobufCBinaryData){4, (uint8_t *)text_of("wrap")};
    parts->sealed.has_ciphertext = true;
    parts->sealed.ciphertext =
        (ProtobufCBinaryData){strlen(parts->cipher), (uint8_t *)parts->cipher};
    redoubt__new_value__init(&parts->value);
    parts->value.version_id = text_of(deed->token);
    parts->value.has_kind = true;
    parts->value.kind =
        deed->is_binary ? REDOUBT__VALUE_KIND__VALUE_BINARY : REDOUBT__VALUE_KIND__VALUE_STRING;
    parts->value.has_digest = true;
    parts->value.digest = (ProtobufCBinaryData){sizeof(parts->digest), (uint8_t *)&parts->digest};
    parts->value.sealed = &parts->sealed;
    return &parts->value;
}

static Redoubt__Tag **tags_of(const struct deed *deed, struct parts *parts) {
    for (unsigned i = 0; i < deed->n_tags; i++) {
        redoubt__tag__init(&parts->tags[i]);
        parts->tags[i].key = text_of(deed->tags[i][0]);
        parts->tags[i].value = text_of(deed->tags[i][1]);
        parts->tag_list[i] = &parts->tags[i];
    }
    return parts->tag_list;
}

static void fill(const struct deed *deed, struct parts *parts) {
    redoubt__secret_ref__init(&parts->ref);
    parts->ref.account = text_of(DEED_ACCOUNT);
    parts->ref.name = text_of(deed_names[deed->name]);
    parts->ref.suffix = or_absent(deed->suffix);
    redoubt__quotas__init(&parts->quotas);
    parts->quotas.has_secrets = true;
    parts->quotas.secrets = deed->quotas.secrets;
    parts->quotas.has_versions_kept = true;
    parts->quotas.versions_kept = deed->quotas.versions_kept;
    parts->quotas.has_labels = true;
    parts->quotas.labels = deed->quotas.labels;
    parts->quotas.has_tags = true;
    parts->quotas.tags = deed->quotas.tags;
}

static void encode_key(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__KeyCreate create = REDOUBT__KEY_CREATE__INIT;
    Redoubt__Key key = REDOUBT__KEY__INIT;
    Redoubt__KeyVersion version = REDOUBT__KEY_VERSION__INIT;
    Redoubt__KeyVersion *versions[] = {&version};

    (void)snprintf(parts->number, sizeof(parts->number), "key-%" PRIx64, deed->nonce);
    version.has_number = true;
    version.number = 1;
    version.has_wrapped = true;
    version.wrapped = (ProtobufCBinaryData){4, (uint8_t *)text_of("wrap")};
    key.id = parts->number;
    key.has_state = true;
    key.state = REDOUBT__KEY_STATE__KEY_ENABLED;
    key.n_versions = 1;
    key.versions = versions;
    key.has_created_ms = true;
    key.created_ms = deed->now_ms;
    create.account = text_of(DEED_ACCOUNT);
    create.alias = text_of("alias/aws/secretsmanager");
    create.key = &key;
    command_encode(out, COMMAND_KEY_CREATE, &create.base);
}

static void encode_create(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretCreate create = REDOUBT__SECRET_CREATE__INIT;

    create.ref = &parts->ref;
    create.token = text_of(deed->token);
    create.description = or_absent(deed->description);
    create.tags = tags_of(deed, parts);
    create.n_tags = deed->n_tags;
    create.value = value_of(deed, parts);
    create.has_force_overwrite = true;
    create.has_now_ms = true;
    create.now_ms = deed->now_ms;
    create.quotas = &parts->quotas;
    command_encode(out, COMMAND_SECRET_CREATE, &create.base);
}

static void encode_put(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretPut put = REDOUBT__SECRET_PUT__INIT;

    put.ref = &parts->ref;
    put.value = value_of(deed, parts);
    for (unsigned i = 0; i < deed->n_labels; i++) {
        parts->texts[i] = text_of(deed->labels[i]);
    }
    put.stages = parts->texts;
    put.n_stages = deed->n_labels;
    put.has_now_ms = true;
    put.now_ms = deed->now_ms;
    put.quotas = &parts->quotas;
    command_encode(out, COMMAND_SECRET_PUT, &put.base);
}

static void encode_update(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretUpdate update = REDOUBT__SECRET_UPDATE__INIT;

    update.ref = &parts->ref;
    update.description = deed->has_description ? text_of(deed->description) : NULL;
    update.value = value_of(deed, parts);
    update.has_now_ms = true;
    update.now_ms = deed->now_ms;
    update.quotas = &parts->quotas;
    command_encode(out, COMMAND_SECRET_UPDATE, &update.base);
}

static void encode_stage(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__StageUpdate update = REDOUBT__STAGE_UPDATE__INIT;

    update.ref = &parts->ref;
    update.stage = text_of(deed->label);
    update.remove_from = or_absent(deed->remove_from);
    update.move_to = or_absent(deed->move_to);
    update.has_now_ms = true;
    update.now_ms = deed->now_ms;
    update.quotas = &parts->quotas;
    command_encode(out, COMMAND_STAGE_UPDATE, &update.base);
}

static void encode_delete(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretDelete delete = REDOUBT__SECRET_DELETE__INIT;

    delete.ref = &parts->ref;
    delete.has_force = true;
    delete.force = deed->force;
    delete.has_deletion_ms = true;
    delete.deletion_ms = deed->deletion_ms;
    delete.has_now_ms = true;
    delete.now_ms = deed->now_ms;
    delete.invented_suffix = text_of(deed->invented);
    command_encode(out, COMMAND_SECRET_DELETE, &delete.base);
}

static void encode_tags(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__TagsSet set = REDOUBT__TAGS_SET__INIT;
    Redoubt__TagsRemove remove = REDOUBT__TAGS_REMOVE__INIT;

    if (deed->kind == DEED_TAG) {
        set.ref = &parts->ref;
        set.tags = tags_of(deed, parts);
        set.n_tags = deed->n_tags;
        set.has_now_ms = true;
        set.now_ms = deed->now_ms;
        set.quotas = &parts->quotas;
        command_encode(out, COMMAND_TAGS_SET, &set.base);
        return;
    }
    for (unsigned i = 0; i < deed->n_tags; i++) {
        parts->texts[i] = text_of(deed->tags[i][0]);
    }
    remove.ref = &parts->ref;
    remove.keys = parts->texts;
    remove.n_keys = deed->n_tags;
    remove.has_now_ms = true;
    remove.now_ms = deed->now_ms;
    command_encode(out, COMMAND_TAGS_REMOVE, &remove.base);
}

static void encode_policy(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__PolicySet set = REDOUBT__POLICY_SET__INIT;

    set.ref = &parts->ref;
    set.policy = or_absent(deed->policy);
    set.has_now_ms = true;
    set.now_ms = deed->now_ms;
    command_encode(out, COMMAND_POLICY_SET, &set.base);
}

static void encode_restore(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretRestore restore = REDOUBT__SECRET_RESTORE__INIT;

    restore.ref = &parts->ref;
    restore.has_now_ms = true;
    restore.now_ms = deed->now_ms;
    command_encode(out, COMMAND_SECRET_RESTORE, &restore.base);
}

static void encode_touch(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretTouch touch = REDOUBT__SECRET_TOUCH__INIT;

    touch.ref = &parts->ref;
    touch.version_id = or_absent(deed->token);
    touch.has_day = true;
    touch.day = deed->day;
    command_encode(out, COMMAND_SECRET_TOUCH, &touch.base);
}

/* What the leader's jobs propose. */
static void encode_job(const struct deed *deed, struct parts *parts, struct buf *out) {
    Redoubt__SecretPurge purge = REDOUBT__SECRET_PURGE__INIT;
    Redoubt__VersionsPrune prune = REDOUBT__VERSIONS_PRUNE__INIT;

    if (deed->kind == DEED_PURGE) {
        purge.ref = &parts->ref;
        purge.has_deletion_ms = true;
        purge.deletion_ms = deed->deletion_ms;
        purge.has_now_ms = true;
        purge.now_ms = deed->now_ms;
        command_encode(out, COMMAND_SECRET_PURGE, &purge.base);
        return;
    }
    prune.ref = &parts->ref;
    prune.has_now_ms = true;
    prune.now_ms = deed->now_ms;
    prune.quotas = &parts->quotas;
    command_encode(out, COMMAND_VERSIONS_PRUNE, &prune.base);
}

static void encode_region(struct buf *out) {
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;

    init.name = text_of(DEED_REGION_NAME);
    command_encode(out, COMMAND_REGION_INIT, &init.base);
}

void deed_encode(const struct deed *deed, struct buf *out) {
    struct parts parts;

    memset(&parts, 0, sizeof(parts));
    fill(deed, &parts);
    switch (deed->kind) {
    case DEED_REGION:
        encode_region(out);
        break;
    case DEED_KEY:
        encode_key(deed, &parts, out);
        break;
    case DEED_CREATE:
        encode_create(deed, &parts, out);
        break;
    case DEED_PUT:
        encode_put(deed, &parts, out);
        break;
    case DEED_UPDATE:
        encode_update(deed, &parts, out);
        break;
    case DEED_STAGE:
        encode_stage(deed, &parts, out);
        break;
    case DEED_DELETE:
        encode_delete(deed, &parts, out);
        break;
    case DEED_RESTORE:
        encode_restore(deed, &parts, out);
        break;
    case DEED_TAG:
    case DEED_UNTAG:
        encode_tags(deed, &parts, out);
        break;
    case DEED_POLICY:
        encode_policy(deed, &parts, out);
        break;
    case DEED_TOUCH:
        encode_touch(deed, &parts, out);
        break;
    case DEED_PURGE:
    case DEED_PRUNE:
    case DEED_KINDS:
        encode_job(deed, &parts, out);
        break;
    }
    CHECK(!out->failed);
}
