/* The decoded batch lives in wiped memory within a budget and is changed in place into what may be
 * stored: what belongs to the sender's region alone is dropped. The command is built of borrowed
 * pieces of it and of freshly sealed values, encoded, and everything is gone before this returns.
 */
#include "replication/inbound.h"

#include "base/limits.h"
#include "base/wipe.h"
#include "cluster/commands/inbound.h"
#include "cluster/envelope.h"
#include "replication/inbound_check.h"
#include "replication/wire.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

/* Sealed values of one item. */
struct sealed_values {
    Redoubt__NewValue *values; /* `sealed` owned, `version_id` borrowed, digest in `digests` */
    Redoubt__NewValue **ptrs;
    uint8_t (*digests)[32];
    size_t n;
};

struct work {
    const struct inbound_context *context;
    struct wire_memory memory;
    Redoubt__WireBatch *wire; /* owned */
    struct view *view;        /* owned */
    Redoubt__InboundItem *items;
    Redoubt__InboundItem **item_ptrs;
    struct sealed_values *sealed; /* one an item */
    struct proposal *prelude;     /* owned: a key must be made first */
};

static void sealed_values_fini(struct sealed_values *sealed) {
    for (size_t i = 0; i < sealed->n; i++) {
        redoubt__sealed__free_unpacked(sealed->values[i].sealed, NULL);
    }
    free(sealed->values);
    free(sealed->ptrs);
    free(sealed->digests);
}

static void work_fini(struct work *work) {
    if (work->wire != NULL && work->sealed != NULL) {
        for (size_t i = 0; i < work->wire->n_items; i++) {
            sealed_values_fini(&work->sealed[i]);
        }
    }
    free(work->items);
    free(work->item_ptrs);
    free(work->sealed);
    view_free(work->view);
    if (work->wire != NULL) {
        redoubt__wire_batch__free_unpacked(work->wire, &work->memory.allocator);
    }
    proposal_free(work->prelude);
}

/* ---- The head ---- */

static enum errc check_head(const struct work *work, const char *peer_region, struct err *err) {
    const Redoubt__WireBatch *wire = work->wire;

    if (wire->from_region == NULL || strcmp(wire->from_region, peer_region) != 0) {
        return err_set(err, ERR_ACCESS_DENIED,
                       "the batch does not come from the region of the certificate, %s",
                       peer_region);
    }
    if (wire->to_region == NULL || strcmp(wire->to_region, work->context->region) != 0) {
        return err_set(err, ERR_MALFORMED, "the batch is not for this region");
    }
    if (wire->n_items == 0 || wire->n_items > LIMIT_BATCH_ITEMS) {
        return err_set(err, ERR_MALFORMED, "a batch has 1 to %d items", LIMIT_BATCH_ITEMS);
    }
    return OK;
}

/* ---- Dropping what is not ours to store ---- */

/* Fields of a later release. They would be kept in records for ever without a limit of their own.
 */
static void drop_unknown(struct work *work, ProtobufCMessage *message) {
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        work->memory.allocator.free(&work->memory, message->unknown_fields[i].data);
    }
    message->n_unknown_fields = 0;
}

static void drop_text(struct work *work, char **text) {
    if (*text != NULL) {
        work->memory.allocator.free(&work->memory, *text);
        *text = NULL;
    }
}

static void drop_origin(struct work *work, Redoubt__Origin **origin) {
    if (*origin != NULL) {
        redoubt__origin__free_unpacked(*origin, &work->memory.allocator);
        *origin = NULL;
    }
}

static void clean_rotation(struct work *work, Redoubt__Rotation *rotation) {
    if (rotation == NULL) {
        return;
    }
    drop_unknown(work, &rotation->base);
    for (size_t i = 0; i < rotation->n_external_metadata; i++) {
        drop_unknown(work, &rotation->external_metadata[i]->base);
    }
}

static void clean_secret(struct work *work, Redoubt__Secret *secret) {
    drop_unknown(work, &secret->base);
    drop_text(work, &secret->kms_key_id);
    drop_text(work, &secret->link_kms_key_id);
    drop_origin(work, &secret->replica_of);
    drop_origin(work, &secret->promoted_from);
    secret->has_last_accessed_day = false;
    secret->has_created_seq = false;
    secret->has_own_kms_key = false;
    for (size_t i = 0; i < secret->n_tags; i++) {
        drop_unknown(work, &secret->tags[i]->base);
    }
    clean_rotation(work, secret->rotation);
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Version *version = secret->versions[i];
        drop_unknown(work, &version->base);
        drop_text(work, &version->key_id);
        for (size_t k = 0; k < version->n_other_key_ids; k++) {
            drop_text(work, &version->other_key_ids[k]);
        }
        version->n_other_key_ids = 0;
        version->has_digest = false;
        version->has_last_accessed_day = false;
    }
}

/* ---- Sealing ---- */

static enum errc make_prelude(struct work *work, const char *account, struct err *err) {
    Redoubt__KeyCreate command = REDOUBT__KEY_CREATE__INIT;
    char alias[] = VAULT_DEFAULT_ALIAS;
    char account_copy[LIMIT_ACCOUNT + 1];
    enum errc code =
        vault_new_key(work->context->keyring, work->context->world, account, &command.key, err);

    if (code != OK) {
        return code;
    }
    memcpy(account_copy, account, sizeof(account_copy)); /* checked: twelve digits */
    command.account = account_copy;
    command.alias = alias;
    work->prelude = proposal_new(COMMAND_KEY_CREATE, &command.base);
    redoubt__key__free_unpacked(command.key, NULL);
    return work->prelude == NULL ? err_default(err, ERR_NO_MEMORY) : OK;
}

static bool sealed_values_alloc(struct sealed_values *sealed, size_t n) {
    sealed->values = calloc(n, sizeof(*sealed->values));
    sealed->ptrs = calloc(n, sizeof(*sealed->ptrs));
    sealed->digests = calloc(n, sizeof(*sealed->digests));
    return sealed->values && sealed->ptrs && sealed->digests;
}

static enum errc seal_value(struct work *work, const Redoubt__WireItem *wire,
                            const Redoubt__WireValue *value, const char *key_id,
                            struct sealed_values *sealed, struct err *err) {
    const struct vault_place place = {.region = work->context->region,
                                      .account = wire->account,
                                      .name = wire->name,
                                      .suffix = wire->suffix,
                                      .version_id = value->version_id};
    const struct secret plaintext = {.data = value->plaintext.data, .len = value->plaintext.len};
    size_t at = sealed->n;
    Redoubt__NewValue *out = &sealed->values[at];
    enum errc code;

    redoubt__new_value__init(out);
    code = vault_seal(work->context->keyring, work->view, &place, key_id, value->kind, &plaintext,
                      &out->sealed, sealed->digests[at], err);
    if (code != OK) {
        return code;
    }
    out->version_id = value->version_id;
    out->has_kind = true;
    out->kind = value->kind;
    out->has_digest = true;
    out->digest.data = sealed->digests[at];
    out->digest.len = sizeof(sealed->digests[at]);
    sealed->ptrs[at] = out;
    sealed->n++;
    return OK;
}

/* The key that the values of an item go under: the link's, unless this region has chosen another
 * one for its replica. *ret_id owned (free); errors of vault_resolve_key. */
static enum errc resolve_key(const struct work *work, const Redoubt__WireItem *wire, char **ret_id,
                             struct err *err) {
    const char *kms_key_id = wire->kms_key_id;
    Redoubt__Secret *local = NULL;
    enum errc code = view_secret(work->view, wire->account, wire->name, &local);

    if (code != OK) {
        return err_default(err, code);
    }
    if (local != NULL && local->replica_of != NULL && strcmp(local->suffix, wire->suffix) == 0 &&
        strcmp(local->replica_of->region, work->wire->from_region) == 0 &&
        replica_keeps_own_key(local, wire->kms_key_id)) {
        kms_key_id = local->kms_key_id;
    }
    code = vault_resolve_key(work->view, wire->account, kms_key_id, ret_id, err);
    redoubt__secret__free_unpacked(local, NULL);
    return code;
}

/* ERR_RESOURCE_NOT_FOUND: the default key must be made first; ERR_INVALID_PARAMETER or
 * ERR_ENCRYPTION_FAILURE: the key cannot be used. */
static enum errc seal_values(struct work *work, const Redoubt__WireItem *wire,
                             struct sealed_values *sealed, struct err *err) {
    char *key_id = NULL;
    enum errc code = OK;

    if (wire->n_values == 0) {
        return OK;
    }
    if (!sealed_values_alloc(sealed, wire->n_values)) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = resolve_key(work, wire, &key_id, err);
    for (size_t i = 0; code == OK && i < wire->n_values; i++) {
        code = seal_value(work, wire, wire->values[i], key_id, sealed, err);
    }
    free(key_id);
    return code;
}

/* ---- Items ---- */

static void item_decide(Redoubt__InboundItem *item, Redoubt__Verdict verdict) {
    item->has_verdict = true;
    item->verdict = verdict;
    item->secret = NULL;
    item->values = NULL;
    item->n_values = 0;
}

/* Borrows from `wire`. */
static void item_identify(Redoubt__InboundItem *item, const Redoubt__WireItem *wire) {
    item->has_kind = wire->has_kind;
    item->kind = wire->kind;
    item->has_generation = wire->has_generation;
    item->generation = wire->generation;
    item->has_revision = wire->has_revision;
    item->revision = wire->revision;
    item->has_force = wire->has_force;
    item->force = wire->force;
    if (inbound_item_is_named(wire)) {
        item->account = wire->account;
        item->name = wire->name;
        item->suffix = wire->suffix;
    }
}

static enum errc take_upsert(struct work *work, size_t at, struct err *err) {
    Redoubt__WireItem *wire = work->wire->items[at];
    Redoubt__InboundItem *item = &work->items[at];
    struct sealed_values *sealed = &work->sealed[at];
    enum errc code = seal_values(work, wire, sealed, err);

    if (code == ERR_RESOURCE_NOT_FOUND) {
        return make_prelude(work, wire->account, err);
    }
    if (code == ERR_INVALID_PARAMETER || code == ERR_ENCRYPTION_FAILURE) {
        item_decide(item, REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE);
        return OK;
    }
    if (code != OK) {
        return code;
    }
    clean_secret(work, wire->secret);
    wire->secret->kms_key_id = wire->kms_key_id; /* handed over */
    wire->kms_key_id = NULL;
    item->secret = wire->secret;
    item->values = sealed->ptrs;
    item->n_values = sealed->n;
    return OK;
}

/* Ends early, with work->prelude set, when a key must be made first. */
static enum errc take_items(struct work *work, struct err *err) {
    size_t n = work->wire->n_items;

    work->items = calloc(n, sizeof(*work->items));
    work->item_ptrs = calloc(n, sizeof(*work->item_ptrs));
    work->sealed = calloc(n, sizeof(*work->sealed));
    if (!work->items || !work->item_ptrs || !work->sealed) {
        return err_default(err, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < n && work->prelude == NULL; i++) {
        const Redoubt__WireItem *wire = work->wire->items[i];
        enum errc code = OK;
        redoubt__inbound_item__init(&work->items[i]);
        work->item_ptrs[i] = &work->items[i];
        item_identify(&work->items[i], wire);
        if (!inbound_item_is_valid(wire)) {
            item_decide(&work->items[i], REDOUBT__VERDICT__VERDICT_REFUSED);
        } else if (wire->kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT) {
            code = take_upsert(work, i, err);
        }
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static enum errc make_proposal(struct work *work, struct proposal **ret, struct err *err) {
    Redoubt__InboundBatch command = REDOUBT__INBOUND_BATCH__INIT;
    struct proposal *proposal;

    command.from_region = work->wire->from_region;
    command.items = work->item_ptrs;
    command.n_items = work->wire->n_items;
    command.has_now_ms = true;
    command.now_ms = world_wall_ms(work->context->world);
    /* Sealing adds about 200 bytes a value. A sender that keeps LIMIT_BATCH_BYTES cannot come near.
     */
    if (redoubt__inbound_batch__get_packed_size(&command) > LIMIT_COMMAND - ENVELOPE_SIZE) {
        return err_set(err, ERR_MALFORMED, "the batch is too large for one command");
    }
    proposal = proposal_new(COMMAND_INBOUND_BATCH, &command.base);
    if (proposal == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    *ret = proposal;
    return OK;
}

static enum errc prepare(struct work *work, const char *peer_region, const uint8_t *data,
                         size_t len, struct proposal **ret, struct err *err) {
    enum errc code = wire_read_batch(&work->memory, data, len, &work->wire);

    if (code != OK) {
        return err_set(err, code, "the batch cannot be decoded");
    }
    code = check_head(work, peer_region, err);
    if (code != OK) {
        return code;
    }
    work->view = view_new(work->context->engine);
    if (work->view == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = take_items(work, err);
    if (code == OK && work->prelude == NULL) {
        code = make_proposal(work, ret, err);
    }
    return code;
}

enum errc inbound_prepare(const struct inbound_context *context, const char *peer_region,
                          const uint8_t *data, size_t len, struct proposal **ret, bool *ret_prelude,
                          struct err *err) {
    struct work work = {.context = context};
    struct err cause = {0};
    enum errc code;

    if (context->keyring == NULL) {
        return err_default(err, ERR_SEALED);
    }
    if (len > LIMIT_PEER_BODY) {
        return err_set(err, ERR_MALFORMED, "the batch is over the limit");
    }
    wire_memory_init(&work.memory, LIMIT_PEER_DECODE);
    code = prepare(&work, peer_region, data, len, ret, &cause);
    if (code == OK) {
        *ret_prelude = work.prelude != NULL;
        if (work.prelude != NULL) {
            *ret = work.prelude;
            work.prelude = NULL;
        }
    } else if (cause.code == code) {
        (void)err_set(err, code, "%s", cause.message);
    } else {
        (void)err_default(err, code);
    }
    work_fini(&work);
    return code;
}

enum errc inbound_answer(const struct inbound_context *context, const Redoubt__Result *result,
                         struct buf *out) {
    Redoubt__WireVerdicts answer = REDOUBT__WIRE_VERDICTS__INIT;
    char region[LIMIT_REGION_NAME + 1];
    size_t size;
    uint8_t *at;

    if (result->code != OK) {
        return errc_is_known((int)result->code) ? (enum errc)result->code : ERR_CORRUPT;
    }
    CHECK(strlen(context->region) < sizeof(region));
    memcpy(region, context->region, strlen(context->region) + 1);
    answer.region = region;
    answer.verdicts = result->verdicts;
    answer.n_verdicts = result->n_verdicts;
    answer.has_level = true;
    answer.level = WIRE_LEVEL;
    size = redoubt__wire_verdicts__get_packed_size(&answer);
    at = buf_reserve(out, size);
    if (at == NULL) {
        return ERR_NO_MEMORY;
    }
    out->len += redoubt__wire_verdicts__pack(&answer, at);
    return OK;
}
