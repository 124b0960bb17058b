#include "replication/outgoing.h"

#include "base/limits.h"
#include "base/wipe.h"
#include "replication/wire.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Upper bound of the field heads and the id around one value. */
    VALUE_OVERHEAD = LIMIT_TOKEN + 32,
    /* Upper bound of tag and length around one item. */
    ITEM_OVERHEAD = 16,
};

struct builder {
    const struct outgoing_request *request;
    size_t items_max, bytes_soft, bytes_max;
    /* Entries found by the scan, in order; `generation` and `key` are set. */
    struct outgoing_item *found;
    size_t n_found;
    bool is_full; /* the scan stopped because `found` is */
    struct outgoing_cursor cursor;
    struct outgoing out;
};

/* What is loaded for one upsert; dies with it. */
struct upsert {
    Redoubt__Secret *secret;
    Redoubt__Link *link;
    /* Of the versions to send; arrays of secret->n_versions. */
    Redoubt__Sealed **sealed;
    struct secret *plaintexts;
    const Redoubt__Version **versions;
    size_t n;
    /* The same as a message; members are borrowed from the above. */
    Redoubt__Version *wire_versions;
    Redoubt__Version **wire_version_ptrs;
    Redoubt__WireValue *wire_values;
    Redoubt__WireValue **wire_value_ptrs;
    Redoubt__Secret wire_secret;
};

static void upsert_fini(struct upsert *upsert) {
    for (size_t i = 0; i < upsert->n; i++) {
        secret_fini(&upsert->plaintexts[i]);
        redoubt__sealed__free_unpacked(upsert->sealed[i], NULL);
    }
    free(upsert->sealed);
    free(upsert->plaintexts);
    free(upsert->versions);
    free(upsert->wire_versions);
    free(upsert->wire_version_ptrs);
    free(upsert->wire_values);
    free(upsert->wire_value_ptrs);
    redoubt__secret__free_unpacked(upsert->secret, NULL);
    redoubt__link__free_unpacked(upsert->link, NULL);
}

/* ---- The scan ---- */

static bool scan_entry(void *arg, const struct outbox_key *key, const Redoubt__Outbox *entry) {
    struct builder *builder = arg;
    const struct outgoing_request *request = builder->request;

    if (request->skip == NULL || !request->skip(request->arg, key)) {
        struct outgoing_item *item = &builder->found[builder->n_found];
        if (builder->n_found == builder->items_max) {
            builder->is_full = true;
            return false;
        }
        item->key = *key;
        item->generation = entry->generation;
        builder->n_found++;
    } else if (builder->n_found == 0) {
        /* What is skipped in front is behind us for good; in between, the next item's key covers
           it. */
        builder->cursor.key = *key;
        builder->cursor.is_set = true;
    }
    return true;
}

/* ---- One entry ---- */

/* `item` must be one of `found`; it is copied. */
static void builder_push(struct outgoing_list *list, const struct outgoing_item *item) {
    list->items[list->n++] = *item;
}

static void builder_decide(struct builder *builder, struct outgoing_item *item,
                           Redoubt__Verdict verdict) {
    item->verdict = (uint32_t)verdict;
    builder_push(&builder->out.decided, item);
}

/* Encoded messages end to end are one message with the repeated fields of both: each item is packed
 * into the body as a batch of one and forgotten, so that only one item is ever held in clear twice.
 */
static enum errc builder_append(struct builder *builder, Redoubt__WireItem *item) {
    Redoubt__WireBatch batch = REDOUBT__WIRE_BATCH__INIT;
    size_t size;
    uint8_t *at;

    batch.items = &item;
    batch.n_items = 1;
    size = redoubt__wire_batch__get_packed_size(&batch);
    at = buf_reserve(&builder->out.body, size);
    if (at == NULL) {
        return ERR_NO_MEMORY;
    }
    CHECK(redoubt__wire_batch__pack(&batch, at) == size);
    builder->out.body.len += size;
    return OK;
}

/* The record's memory is borrowed as char *; protobuf-c has no const members. */
static void wire_item_init(Redoubt__WireItem *wire, struct outgoing_item *item) {
    redoubt__wire_item__init(wire);
    wire->has_kind = true;
    wire->kind = item->key.kind;
    wire->account = item->key.account;
    wire->name = item->key.name;
    wire->suffix = item->key.suffix;
    wire->has_generation = true;
    wire->generation = item->generation;
}

static bool upsert_alloc(struct upsert *upsert, size_t n_versions) {
    size_t n = n_versions == 0 ? 1 : n_versions;

    upsert->sealed = calloc(n, sizeof(*upsert->sealed));
    upsert->plaintexts = calloc(n, sizeof(*upsert->plaintexts));
    upsert->versions = calloc(n, sizeof(*upsert->versions));
    upsert->wire_versions = calloc(n, sizeof(*upsert->wire_versions));
    upsert->wire_version_ptrs = calloc(n, sizeof(*upsert->wire_version_ptrs));
    upsert->wire_values = calloc(n, sizeof(*upsert->wire_values));
    upsert->wire_value_ptrs = calloc(n, sizeof(*upsert->wire_value_ptrs));
    return upsert->sealed && upsert->plaintexts && upsert->versions && upsert->wire_versions &&
           upsert->wire_version_ptrs && upsert->wire_values && upsert->wire_value_ptrs;
}

/* Secret and link as of the view. *ret_is_due is false when there is nothing to send: the entry has
 * no link (any more); or a tombstone or a notice of another secret of this name has not been
 * answered yet. Batches overtake each other, and the peer would find the name taken by what is
 * about to go. The outcome of what goes first puts the entry into the outbox again. */
static enum errc upsert_load(const struct builder *builder, const struct outgoing_item *item,
                             struct upsert *upsert, bool *ret_is_due) {
    const struct view *view = builder->request->view;
    enum errc code = view_secret(view, item->key.account, item->key.name, &upsert->secret);
    const Redoubt__Secret *secret = upsert->secret;
    bool is_behind = false;

    if (code == OK) {
        code =
            view_link(view, item->key.account, item->key.name, builder->request->to, &upsert->link);
    }
    if (code == OK && builder->request->to_is_known) {
        code = view_outbox_has_notice(view, builder->request->to, item->key.account, item->key.name,
                                      &is_behind);
    }
    if (code == OK) {
        *ret_is_due = !is_behind && secret != NULL && upsert->link != NULL &&
                      upsert->link->generation == item->generation && secret->suffix != NULL &&
                      strcmp(secret->suffix, item->key.suffix) == 0;
    }
    return code;
}

/* The sealed values that the replica lacks. ERR_DECRYPTION_FAILURE: one is not there. That is
 * damage, but this secret's: it must not keep all the others from their replicas. */
static enum errc upsert_load_values(const struct builder *builder, const struct outgoing_item *item,
                                    struct upsert *upsert) {
    const Redoubt__Secret *secret = upsert->secret;

    if (!upsert_alloc(upsert, secret->n_versions)) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        Redoubt__Sealed *sealed = NULL;
        enum errc code;
        if (!version->has_kind || version->revision <= upsert->link->acked_revision) {
            continue;
        }
        code = view_value(builder->request->view, item->key.account, item->key.name, version->id,
                          &sealed);
        if (code != OK) {
            return code;
        }
        if (sealed == NULL) {
            return ERR_DECRYPTION_FAILURE;
        }
        upsert->sealed[upsert->n] = sealed;
        upsert->versions[upsert->n++] = version;
    }
    return OK;
}

/* The metadata that travel: what belongs to this region alone stays here. */
static void upsert_fill_secret(struct upsert *upsert) {
    const Redoubt__Secret *secret = upsert->secret;

    upsert->wire_secret = *secret;
    upsert->wire_secret.kms_key_id = NULL;
    upsert->wire_secret.has_last_accessed_day = false;
    upsert->wire_secret.replica_of = NULL;
    upsert->wire_secret.promoted_from = NULL;
    upsert->wire_secret.has_created_seq = false;
    upsert->wire_secret.has_own_kms_key = false;
    upsert->wire_secret.link_kms_key_id = NULL;
    upsert->wire_secret.versions = upsert->wire_version_ptrs;
    for (size_t i = 0; i < secret->n_versions; i++) {
        Redoubt__Version *version = &upsert->wire_versions[i];
        *version = *secret->versions[i];
        version->has_digest = false;
        version->key_id = NULL;
        version->other_key_ids = NULL;
        version->n_other_key_ids = 0;
        version->has_last_accessed_day = false;
        upsert->wire_version_ptrs[i] = version;
    }
}

/* An upper bound of the packed item, known before anything is opened. */
static size_t upsert_bound(const struct upsert *upsert, const Redoubt__WireItem *wire) {
    size_t size = redoubt__wire_item__get_packed_size(wire) + ITEM_OVERHEAD;

    for (size_t i = 0; i < upsert->n; i++) {
        size += upsert->sealed[i]->ciphertext.len + VALUE_OVERHEAD;
    }
    return size;
}

static enum errc upsert_open(const struct builder *builder, const struct outgoing_item *item,
                             struct upsert *upsert, struct err *err) {
    for (size_t i = 0; i < upsert->n; i++) {
        const struct vault_place place = {.region = builder->request->region,
                                          .account = item->key.account,
                                          .name = item->key.name,
                                          .suffix = item->key.suffix,
                                          .version_id = upsert->versions[i]->id};
        Redoubt__WireValue *value = &upsert->wire_values[i];
        enum errc code = vault_open(builder->request->keyring, builder->request->view, &place,
                                    upsert->sealed[i], &upsert->plaintexts[i], err);
        if (code != OK) {
            return code;
        }
        redoubt__wire_value__init(value);
        value->version_id = upsert->versions[i]->id;
        value->has_kind = true;
        value->kind = upsert->versions[i]->kind;
        value->has_plaintext = true;
        value->plaintext.data = upsert->plaintexts[i].data;
        value->plaintext.len = upsert->plaintexts[i].len;
        upsert->wire_value_ptrs[i] = value;
    }
    return OK;
}

/* *ret_is_full: the item does not fit any more and belongs to the next batch. */
static enum errc add_loaded_upsert(struct builder *builder, struct outgoing_item *item,
                                   struct upsert *upsert, bool *ret_is_full, struct err *err) {
    Redoubt__WireItem wire;
    enum errc code = upsert_load_values(builder, item, upsert);
    size_t bound;

    if (code == ERR_DECRYPTION_FAILURE) {
        builder_decide(builder, item, REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE);
        return OK;
    }
    if (code != OK) {
        return code;
    }
    wire_item_init(&wire, item);
    wire.has_revision = true;
    wire.revision = item->revision;
    wire.has_force = upsert->link->has_force;
    wire.force = upsert->link->force;
    wire.kms_key_id = upsert->link->kms_key_id;
    upsert_fill_secret(upsert);
    wire.secret = &upsert->wire_secret;

    bound = upsert_bound(upsert, &wire);
    if (bound > builder->bytes_max - builder->out.body.len) {
        if (builder->out.sent.n > 0) {
            *ret_is_full = true;
            return OK;
        }
        builder_decide(builder, item, REDOUBT__VERDICT__VERDICT_TOO_LARGE);
        return OK;
    }
    if (builder->out.sent.n > 0 && builder->out.body.len + bound > builder->bytes_soft) {
        *ret_is_full = true;
        return OK;
    }
    code = upsert_open(builder, item, upsert, err);
    if (code == ERR_DECRYPTION_FAILURE) {
        builder_decide(builder, item, REDOUBT__VERDICT__VERDICT_KEY_UNUSABLE);
        return OK;
    }
    if (code != OK) {
        return code;
    }
    wire.values = upsert->wire_value_ptrs;
    wire.n_values = upsert->n;
    code = builder_append(builder, &wire);
    if (code == OK) {
        builder_push(&builder->out.sent, item);
    }
    return code;
}

static enum errc add_upsert(struct builder *builder, struct outgoing_item *item, bool *ret_is_full,
                            struct err *err) {
    struct upsert upsert = {0};
    bool is_due = false;
    enum errc code = upsert_load(builder, item, &upsert, &is_due);

    if (code == OK && is_due) {
        item->revision = upsert.secret->revision;
        if (builder->request->to_is_known) {
            code = add_loaded_upsert(builder, item, &upsert, ret_is_full, err);
        } else {
            builder_decide(builder, item, REDOUBT__VERDICT__VERDICT_UNKNOWN_REGION);
        }
    }
    upsert_fini(&upsert);
    return code;
}

/* A tombstone or a notice says all in its generation. For a region nobody knows it waits. */
static enum errc add_notice(struct builder *builder, struct outgoing_item *item) {
    Redoubt__WireItem wire;
    enum errc code;

    if (!builder->request->to_is_known) {
        return OK;
    }
    wire_item_init(&wire, item);
    code = builder_append(builder, &wire);
    if (code == OK) {
        builder_push(&builder->out.sent, item);
    }
    return code;
}

/* ---- The batch ---- */

static enum errc builder_begin_body(struct builder *builder) {
    const struct outgoing_request *request = builder->request;
    Redoubt__WireBatch head = REDOUBT__WIRE_BATCH__INIT;
    char from[LIMIT_REGION_NAME + 1];
    char to[LIMIT_REGION_NAME + 1];
    size_t size;
    uint8_t *at;

    CHECK(strlen(request->region) < sizeof(from) && strlen(request->to) < sizeof(to));
    memcpy(from, request->region, strlen(request->region) + 1);
    memcpy(to, request->to, strlen(request->to) + 1);
    head.from_region = from;
    head.to_region = to;
    head.has_level = true;
    head.level = WIRE_LEVEL;
    size = redoubt__wire_batch__get_packed_size(&head);
    at = buf_reserve(&builder->out.body, size);
    if (at == NULL) {
        return ERR_NO_MEMORY;
    }
    builder->out.body.len += redoubt__wire_batch__pack(&head, at);
    return OK;
}

static enum errc build_items(struct builder *builder, struct err *err) {
    bool is_full = false;

    for (size_t i = 0; i < builder->n_found; i++) {
        struct outgoing_item *item = &builder->found[i];
        enum errc code = item->key.kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT
                             ? add_upsert(builder, item, &is_full, err)
                             : add_notice(builder, item);
        if (code != OK) {
            return code;
        }
        if (is_full) {
            builder->is_full = true;
            break;
        }
        builder->cursor.key = item->key;
        builder->cursor.is_set = true;
    }
    return OK;
}

static bool builder_init(struct builder *builder, const struct outgoing_request *request) {
    builder->request = request;
    builder->items_max = request->items_max == 0 ? LIMIT_BATCH_ITEMS : request->items_max;
    builder->bytes_soft = request->bytes_soft == 0 ? LIMIT_BATCH_BYTES : request->bytes_soft;
    builder->bytes_max = request->bytes_max == 0 ? LIMIT_PEER_BODY : request->bytes_max;
    buf_init(&builder->out.body, builder->bytes_max);
    builder->found = calloc(builder->items_max, sizeof(*builder->found));
    builder->out.sent.items = calloc(builder->items_max, sizeof(*builder->found));
    builder->out.decided.items = calloc(builder->items_max, sizeof(*builder->found));
    return builder->found && builder->out.sent.items && builder->out.decided.items;
}

static enum errc build(struct builder *builder, struct err *err) {
    const struct outgoing_request *request = builder->request;
    enum errc code = builder_begin_body(builder);

    if (code == OK) {
        code = view_each_outbox(request->view, request->to,
                                builder->cursor.is_set ? &builder->cursor.key : NULL, scan_entry,
                                builder);
    }
    if (code == OK) {
        code = build_items(builder, err);
    }
    return code;
}

enum errc outgoing_build(const struct outgoing_request *request, struct outgoing_cursor *cursor,
                         struct outgoing *ret, struct err *err) {
    struct builder builder = {.cursor = *cursor};
    struct err cause = {0};
    enum errc code = ERR_NO_MEMORY;

    if (builder_init(&builder, request)) {
        code = build(&builder, &cause);
    }
    free(builder.found);
    if (code != OK) {
        outgoing_fini(&builder.out);
        return cause.code == code ? err_set(err, code, "%s", cause.message)
                                  : err_default(err, code);
    }
    if (builder.out.sent.n == 0) {
        buf_fini(&builder.out.body);
    }
    builder.out.is_exhausted = !builder.is_full;
    *cursor = builder.cursor;
    *ret = builder.out;
    return OK;
}

void outgoing_list_fini(struct outgoing_list *list) {
    free(list->items);
    list->items = NULL;
    list->n = 0;
}

void outgoing_fini(struct outgoing *outgoing) {
    buf_fini(&outgoing->body);
    outgoing_list_fini(&outgoing->sent);
    outgoing_list_fini(&outgoing->decided);
}

/* ---- The answer ---- */

static bool verdict_is_known(const Redoubt__ItemVerdict *verdict) {
    return verdict->has_verdict &&
           protobuf_c_enum_descriptor_get_value(&redoubt__verdict__descriptor,
                                                (int)verdict->verdict) != NULL;
}

enum errc outgoing_take_answer(struct outgoing_list *list, const char *to, const uint8_t *data,
                               size_t len, struct err *err) {
    struct wire_memory memory;
    Redoubt__WireVerdicts *answer = NULL;
    enum errc code;

    wire_memory_init(&memory, LIMIT_PEER_DECODE);
    code = wire_read_verdicts(&memory, data, len, &answer);
    if (code != OK) {
        return err_set(err, code, "the answer cannot be decoded");
    }
    if (answer->region == NULL || strcmp(answer->region, to) != 0 ||
        answer->n_verdicts != list->n) {
        code = err_set(err, ERR_MALFORMED, "the answer is not to this batch");
        goto out;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!verdict_is_known(answer->verdicts[i])) {
            code = err_set(err, ERR_MALFORMED, "the answer holds a verdict of another release");
            goto out;
        }
    }
    for (size_t i = 0; i < list->n; i++) {
        const Redoubt__ItemVerdict *verdict = answer->verdicts[i];
        struct outgoing_item *item = &list->items[i];
        item->verdict = (uint32_t)verdict->verdict;
        item->have_generation = verdict->have_generation;
        item->have_revision = verdict->have_revision;
        item->has_last_accessed_day = verdict->has_last_accessed_day;
        item->last_accessed_day = verdict->last_accessed_day;
    }
out:
    redoubt__wire_verdicts__free_unpacked(answer, &memory.allocator);
    return code;
}

static Redoubt__ItemVerdict *outcome_verdict(const struct outgoing_item *item) {
    Redoubt__ItemVerdict *verdict = malloc(sizeof(*verdict));

    if (verdict == NULL) {
        return NULL;
    }
    redoubt__item_verdict__init(verdict);
    verdict->has_verdict = true;
    verdict->verdict = (Redoubt__Verdict)item->verdict;
    verdict->has_have_generation = true;
    verdict->have_generation = item->have_generation;
    verdict->has_have_revision = true;
    verdict->have_revision = item->have_revision;
    verdict->has_last_accessed_day = item->has_last_accessed_day;
    verdict->last_accessed_day = item->last_accessed_day;
    return verdict;
}

static Redoubt__OutcomeItem *outcome_item(const struct outgoing_item *item) {
    Redoubt__OutcomeItem *outcome = malloc(sizeof(*outcome));

    if (outcome == NULL) {
        return NULL;
    }
    redoubt__outcome_item__init(outcome);
    outcome->has_kind = true;
    outcome->kind = item->key.kind;
    outcome->account = strdup(item->key.account);
    outcome->name = strdup(item->key.name);
    outcome->suffix = strdup(item->key.suffix);
    outcome->has_generation = true;
    outcome->generation = item->generation;
    outcome->has_sent_revision = true;
    outcome->sent_revision = item->revision;
    outcome->verdict = outcome_verdict(item);
    if (!outcome->account || !outcome->name || !outcome->suffix || !outcome->verdict) {
        redoubt__outcome_item__free_unpacked(outcome, NULL);
        return NULL;
    }
    return outcome;
}

Redoubt__OutcomeBatch *outgoing_outcome(const struct outgoing_list *list, const char *to,
                                        int64_t now_ms) {
    Redoubt__OutcomeBatch *batch = malloc(sizeof(*batch));

    if (batch == NULL) {
        return NULL;
    }
    redoubt__outcome_batch__init(batch);
    batch->region = strdup(to);
    batch->has_now_ms = true;
    batch->now_ms = now_ms;
    batch->items = calloc(list->n == 0 ? 1 : list->n, sizeof(*batch->items));
    if (batch->region == NULL || batch->items == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < list->n; i++) {
        CHECK(list->items[i].verdict != 0);
        batch->items[i] = outcome_item(&list->items[i]);
        if (batch->items[i] == NULL) {
            goto fail;
        }
        batch->n_items++;
    }
    return batch;
fail:
    redoubt__outcome_batch__free_unpacked(batch, NULL);
    return NULL;
}
