/* A region's state machine in memory for the tests of the commands, twice over: every command is
 * applied to two stores, and their results and states must be equal.
 *
 * Included by the programs tests/unit/cluster_commands_*.c. What varies in production (digests,
 * ciphertext) is made from the text of a value and the region's name here. */
#ifndef TESTS_UNIT_CLUSTER_COMMANDS_H
#define TESTS_UNIT_CLUSTER_COMMANDS_H

#include "base/buf.h"
#include "base/limits.h"
#include "cluster/command.h"
#include "storage/engine.h"
#include "storage/txn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACCOUNT "123456789012"
#define EAST    "us-east-1"
#define WEST    "eu-west-1"
#define SOUTH   "ap-south-1"

/* How many stores apply each command; a program that opens many regions may do with one. */
#ifndef KIT_TWINS
#define KIT_TWINS 2
#endif
static const int64_t KIT_NOW = 1700000000000;
static const int64_t KIT_DAY_MS = 24LL * 60 * 60 * 1000;

struct machine {
    struct engine *engines[KIT_TWINS];
    struct txn *txns[KIT_TWINS];
    char region[LIMIT_REGION_NAME + 1];
    uint64_t index;
    int64_t now_ms;
};

static inline void kit_expect_equal_results(const Redoubt__Result *a, const Redoubt__Result *b) {
    size_t size = redoubt__result__get_packed_size(a);
    uint8_t *left = malloc(size + 1);
    uint8_t *right = malloc(size + 1);

    assert_int_equal(size, redoubt__result__get_packed_size(b));
    assert_int_equal(redoubt__result__pack(a, left), size);
    assert_int_equal(redoubt__result__pack(b, right), size);
    assert_memory_equal(left, right, size);
    free(left);
    free(right);
}

/* Apply enveloped bytes. The result is owned by the caller. */
static inline Redoubt__Result *machine_apply_bytes(struct machine *m, const uint8_t *data,
                                                   size_t len) {
    Redoubt__Result *results[KIT_TWINS];

    m->index++;
    for (int i = 0; i < KIT_TWINS; i++) {
        struct apply_context context = {.region = m->region, .seq = m->index << 16};
        size_t used = 0;
        assert_int_equal(command_apply(m->txns[i], &context, data, len, &used, &results[i]), OK);
        assert_int_equal(used, len);
        txn_commit(m->txns[i], m->index);
    }
    for (int i = 1; i < KIT_TWINS; i++) {
        kit_expect_equal_results(results[0], results[i]);
        command_result_free(results[i]);
    }
    return results[0];
}

static inline Redoubt__Result *machine_apply(struct machine *m, enum command_type type,
                                             const ProtobufCMessage *message) {
    struct buf bytes;
    Redoubt__Result *result;

    buf_init(&bytes, LIMIT_COMMAND);
    command_encode(&bytes, type, message);
    assert_false(bytes.failed);
    result = machine_apply_bytes(m, bytes.data, bytes.len);
    buf_fini(&bytes);
    return result;
}

static inline uint64_t machine_hash(const struct machine *m) {
    uint64_t hash = 0;

    for (int i = 0; i < KIT_TWINS; i++) {
        uint64_t twin = 0;
        assert_int_equal(view_state_hash(txn_view(m->txns[i]), &twin), OK);
        assert_true(i == 0 || twin == hash);
        hash = twin;
    }
    return hash;
}

/* Without the region's first command. */
static inline void machine_open(struct machine *m) {
    struct engine_options options = {.path = "/commands", .in_memory = true};
    struct err err;

    memset(m, 0, sizeof(*m));
    m->now_ms = KIT_NOW;
    for (int i = 0; i < KIT_TWINS; i++) {
        assert_int_equal(engine_open(&options, &m->engines[i], &err), OK);
        m->txns[i] = txn_new(m->engines[i]);
    }
}

static inline void machine_init(struct machine *m, const char *region) {
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;
    char name[LIMIT_REGION_NAME + 1];
    Redoubt__Result *result;

    machine_open(m);
    (void)snprintf(name, sizeof(name), "%s", region);
    init.name = name;
    result = machine_apply(m, COMMAND_REGION_INIT, &init.base);
    assert_int_equal(result->code, OK);
    command_result_free(result);
    (void)snprintf(m->region, sizeof(m->region), "%s", region);
}

/* Also compares the twins' states. */
static inline void machine_fini(struct machine *m) {
    (void)machine_hash(m);
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_free(m->txns[i]);
        engine_close(m->engines[i]);
    }
}

static inline const struct view *machine_view(const struct machine *m) {
    return txn_view(m->txns[0]);
}

static inline Redoubt__Secret *machine_secret(const struct machine *m, const char *name) {
    Redoubt__Secret *secret = NULL;

    assert_int_equal(view_secret(machine_view(m), ACCOUNT, name, &secret), OK);
    return secret;
}

static inline Redoubt__Link *machine_link(const struct machine *m, const char *name,
                                          const char *region) {
    Redoubt__Link *link = NULL;

    assert_int_equal(view_link(machine_view(m), ACCOUNT, name, region, &link), OK);
    return link;
}

static inline Redoubt__Outbox *machine_outbox(const struct machine *m, const char *region,
                                              const char *name, const char *suffix) {
    Redoubt__Outbox *entry = NULL;

    assert_int_equal(view_outbox(machine_view(m), region, ACCOUNT, name, suffix, &entry), OK);
    return entry;
}

static inline bool machine_has_value(const struct machine *m, const char *name, const char *id) {
    Redoubt__Sealed *sealed = NULL;
    bool has;

    assert_int_equal(view_value(machine_view(m), ACCOUNT, name, id, &sealed), OK);
    has = sealed != NULL;
    redoubt__sealed__free_unpacked(sealed, NULL);
    return has;
}

/* The stored "ciphertext" is the region's seal of this text. */
static inline void expect_stored(const struct machine *m, const char *name, const char *id,
                                 const char *text) {
    Redoubt__Sealed *sealed = NULL;
    char expected[512];

    assert_int_equal(view_value(machine_view(m), ACCOUNT, name, id, &sealed), OK);
    assert_non_null(sealed);
    (void)snprintf(expected, sizeof(expected), "%s|%s", m->region, text);
    assert_int_equal(sealed->ciphertext.len, strlen(expected));
    assert_memory_equal(sealed->ciphertext.data, expected, sealed->ciphertext.len);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* ---- Messages ---- */

/* A value of this region; owned (kit_value_free). */
static inline Redoubt__NewValue *kit_value(const char *region, const char *id, const char *text,
                                           Redoubt__ValueKind kind) {
    Redoubt__NewValue *value = malloc(sizeof(*value));
    Redoubt__Sealed *sealed = malloc(sizeof(*sealed));
    uint64_t digest = 14695981039346656037u;
    char cipher[512];

    (void)snprintf(cipher, sizeof(cipher), "%s|%s", region, text);
    for (const char *p = cipher; *p != '\0'; p++) {
        digest = (digest ^ (uint8_t)*p) * 1099511628211u;
    }
    redoubt__new_value__init(value);
    redoubt__sealed__init(sealed);
    value->version_id = strdup(id);
    value->has_kind = true;
    value->kind = kind;
    value->has_digest = true;
    value->digest.len = sizeof(digest);
    value->digest.data = malloc(sizeof(digest));
    memcpy(value->digest.data, &digest, sizeof(digest));
    sealed->key_id = strdup("key-1");
    sealed->has_key_version = true;
    sealed->key_version = 1;
    sealed->has_wrapped_key = true;
    sealed->wrapped_key.len = 4;
    sealed->wrapped_key.data = (uint8_t *)strdup("wrap");
    sealed->has_ciphertext = true;
    sealed->ciphertext.len = strlen(cipher);
    sealed->ciphertext.data = (uint8_t *)strdup(cipher);
    value->sealed = sealed;
    return value;
}

static inline void *kit_copy(const ProtobufCMessage *message) {
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(size + 1);
    void *copy;

    (void)protobuf_c_message_pack(message, packed);
    copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
    assert_non_null(copy);
    free(packed);
    return copy;
}

enum { KIT_LIST = 34 };

/* What the commands of the tests say; zero is absent. */
struct call {
    const char *name;
    const char *suffix;
    const char *token;
    const char *text;  /* of the value; NULL: none */
    const char *bytes; /* the same as a binary value */
    const char *labels[KIT_LIST];
    const char *targets[KIT_LIST];
    const char *kms_key_id; /* of every target */
    bool force;
    int64_t deletion_ms;
    const char *invented;
    /* Of an update; `reseal_key` seals `reseal_text` anew as version `reseal`. */
    const char *description;
    const char *type;
    const char *key;
    const char *reseal;
    const char *reseal_text;
    const char *reseal_key;
    /* Of a label that moves. */
    const char *stage;
    const char *from;
    const char *to;
    const Redoubt__Quotas *quotas; /* NULL: none; of put, update and stage */
};

static inline size_t kit_count(const char *const list[KIT_LIST]) {
    size_t n = 0;

    while (n < KIT_LIST && list[n] != NULL) {
        n++;
    }
    return n;
}

static inline Redoubt__SecretRef *kit_ref(const struct call *call) {
    Redoubt__SecretRef *ref = malloc(sizeof(*ref));

    redoubt__secret_ref__init(ref);
    ref->account = strdup(ACCOUNT);
    ref->name = call->name == NULL ? NULL : strdup(call->name);
    ref->suffix = call->suffix == NULL ? NULL : strdup(call->suffix);
    return ref;
}

static inline Redoubt__NewValue *kit_call_value(const struct machine *m, const struct call *call) {
    if (call->text == NULL && call->bytes == NULL) {
        return NULL;
    }
    return kit_value(m->region, call->token, call->text != NULL ? call->text : call->bytes,
                     call->text != NULL ? REDOUBT__VALUE_KIND__VALUE_STRING
                                        : REDOUBT__VALUE_KIND__VALUE_BINARY);
}

static inline Redoubt__ReplicaTarget **kit_targets(const struct call *call, size_t *ret_n) {
    size_t n = kit_count(call->targets);
    Redoubt__ReplicaTarget **targets = n == 0 ? NULL : calloc(n, sizeof(Redoubt__ReplicaTarget *));

    for (size_t i = 0; i < n; i++) {
        targets[i] = malloc(sizeof(Redoubt__ReplicaTarget));
        redoubt__replica_target__init(targets[i]);
        targets[i]->region = strdup(call->targets[i]);
        targets[i]->kms_key_id = call->kms_key_id == NULL ? NULL : strdup(call->kms_key_id);
    }
    *ret_n = n;
    return targets;
}

static inline char **kit_texts(const char *const list[KIT_LIST], size_t *ret_n) {
    size_t n = kit_count(list);
    char **texts = n == 0 ? NULL : calloc(n, sizeof(char *));

    for (size_t i = 0; i < n; i++) {
        texts[i] = strdup(list[i]);
    }
    *ret_n = n;
    return texts;
}

static inline Redoubt__Result *kit_apply_owned(struct machine *m, enum command_type type,
                                               ProtobufCMessage *message) {
    Redoubt__Result *result = machine_apply(m, type, message);

    protobuf_c_message_free_unpacked(message, NULL);
    return result;
}

static inline Redoubt__Result *do_create(struct machine *m, const struct call *call) {
    Redoubt__SecretCreate *create = malloc(sizeof(*create));

    redoubt__secret_create__init(create);
    create->ref = kit_ref(call);
    create->token = call->token == NULL ? NULL : strdup(call->token);
    create->value = kit_call_value(m, call);
    create->targets = kit_targets(call, &create->n_targets);
    create->has_force_overwrite = true;
    create->force_overwrite = call->force;
    create->has_now_ms = true;
    create->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_CREATE, &create->base);
}

static inline Redoubt__Result *do_put(struct machine *m, const struct call *call) {
    Redoubt__SecretPut *put = malloc(sizeof(*put));

    redoubt__secret_put__init(put);
    put->ref = kit_ref(call);
    put->value = kit_call_value(m, call);
    put->stages = kit_texts(call->labels, &put->n_stages);
    put->quotas = call->quotas == NULL ? NULL : kit_copy(&call->quotas->base);
    put->has_now_ms = true;
    put->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_PUT, &put->base);
}

static inline char *kit_text(const char *text) {
    return text == NULL ? NULL : strdup(text);
}

/* What the region's preparer would make of the version under another key. */
static inline Redoubt__Reseal *kit_reseal(const struct machine *m, const struct call *call) {
    Redoubt__NewValue *value =
        kit_value(m->region, call->reseal, call->reseal_text, REDOUBT__VALUE_KIND__VALUE_STRING);
    Redoubt__Reseal *reseal = malloc(sizeof(*reseal));

    redoubt__reseal__init(reseal);
    reseal->version_id = value->version_id;
    reseal->sealed = value->sealed;
    reseal->has_digest = true;
    reseal->digest = value->digest;
    free(reseal->sealed->key_id);
    reseal->sealed->key_id = strdup(call->reseal_key);
    free(value);
    return reseal;
}

static inline Redoubt__Result *do_update(struct machine *m, const struct call *call) {
    Redoubt__SecretUpdate *update = malloc(sizeof(*update));

    redoubt__secret_update__init(update);
    update->ref = kit_ref(call);
    update->value = kit_call_value(m, call);
    update->description = kit_text(call->description);
    update->type = kit_text(call->type);
    update->kms_key_id = kit_text(call->key);
    if (call->reseal != NULL) {
        update->reseals = calloc(1, sizeof(*update->reseals));
        update->reseals[update->n_reseals++] = kit_reseal(m, call);
    }
    update->quotas = call->quotas == NULL ? NULL : kit_copy(&call->quotas->base);
    update->has_now_ms = true;
    update->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_UPDATE, &update->base);
}

static inline Redoubt__Result *do_stage(struct machine *m, const struct call *call) {
    Redoubt__StageUpdate *update = malloc(sizeof(*update));

    redoubt__stage_update__init(update);
    update->ref = kit_ref(call);
    update->stage = kit_text(call->stage);
    update->remove_from = kit_text(call->from);
    update->move_to = kit_text(call->to);
    update->quotas = call->quotas == NULL ? NULL : kit_copy(&call->quotas->base);
    update->has_now_ms = true;
    update->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_STAGE_UPDATE, &update->base);
}

static inline Redoubt__Result *do_restore(struct machine *m, const struct call *call) {
    Redoubt__SecretRestore *restore = malloc(sizeof(*restore));

    redoubt__secret_restore__init(restore);
    restore->ref = kit_ref(call);
    restore->has_now_ms = true;
    restore->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_RESTORE, &restore->base);
}

static inline Redoubt__Result *do_delete(struct machine *m, const struct call *call) {
    Redoubt__SecretDelete *delete = malloc(sizeof(*delete));

    redoubt__secret_delete__init(delete);
    delete->ref = kit_ref(call);
    delete->has_force = true;
    delete->force = call->force;
    delete->has_deletion_ms = true;
    delete->deletion_ms = call->deletion_ms != 0 ? call->deletion_ms : m->now_ms;
    delete->has_now_ms = true;
    delete->now_ms = m->now_ms;
    delete->invented_suffix = call->invented == NULL ? NULL : strdup(call->invented);
    return kit_apply_owned(m, COMMAND_SECRET_DELETE, &delete->base);
}

static inline Redoubt__Result *do_add(struct machine *m, const struct call *call) {
    Redoubt__LinksAdd *add = malloc(sizeof(*add));

    redoubt__links_add__init(add);
    add->ref = kit_ref(call);
    add->targets = kit_targets(call, &add->n_targets);
    add->has_force_overwrite = true;
    add->force_overwrite = call->force;
    add->has_now_ms = true;
    add->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_LINKS_ADD, &add->base);
}

static inline Redoubt__Result *do_remove(struct machine *m, const struct call *call) {
    Redoubt__LinksRemove *remove = malloc(sizeof(*remove));

    redoubt__links_remove__init(remove);
    remove->ref = kit_ref(call);
    remove->regions = kit_texts(call->targets, &remove->n_regions);
    remove->has_now_ms = true;
    remove->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_LINKS_REMOVE, &remove->base);
}

static inline Redoubt__Result *do_promote(struct machine *m, const struct call *call) {
    Redoubt__SecretPromote *promote = malloc(sizeof(*promote));

    redoubt__secret_promote__init(promote);
    promote->ref = kit_ref(call);
    promote->has_now_ms = true;
    promote->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_PROMOTE, &promote->base);
}

static inline Redoubt__Result *do_touch(struct machine *m, const struct call *call, int64_t day) {
    Redoubt__SecretTouch *touch = malloc(sizeof(*touch));

    redoubt__secret_touch__init(touch);
    touch->ref = kit_ref(call);
    touch->version_id = call->token == NULL ? NULL : strdup(call->token);
    touch->has_day = true;
    touch->day = day;
    return kit_apply_owned(m, COMMAND_SECRET_TOUCH, &touch->base);
}

static inline Redoubt__Result *do_purge(struct machine *m, const struct call *call) {
    Redoubt__SecretPurge *purge = malloc(sizeof(*purge));

    redoubt__secret_purge__init(purge);
    purge->ref = kit_ref(call);
    purge->has_deletion_ms = true;
    purge->deletion_ms = call->deletion_ms;
    purge->has_now_ms = true;
    purge->now_ms = m->now_ms;
    return kit_apply_owned(m, COMMAND_SECRET_PURGE, &purge->base);
}

/* `kept` 0: the default quota. */
static inline Redoubt__Result *do_prune(struct machine *m, const struct call *call, unsigned kept) {
    Redoubt__VersionsPrune *prune = malloc(sizeof(*prune));

    redoubt__versions_prune__init(prune);
    prune->ref = kit_ref(call);
    prune->has_now_ms = true;
    prune->now_ms = m->now_ms;
    if (kept > 0) {
        prune->quotas = malloc(sizeof(*prune->quotas));
        redoubt__quotas__init(prune->quotas);
        prune->quotas->has_versions_kept = true;
        prune->quotas->versions_kept = kept;
    }
    return kit_apply_owned(m, COMMAND_VERSIONS_PRUNE, &prune->base);
}

/* ---- Expectations; each frees the result ---- */

static inline void expect_ok(Redoubt__Result *result) {
    if (result->code != OK) {
        print_error("refused: %s\n", result->message);
    }
    assert_int_equal(result->code, OK);
    command_result_free(result);
}

static inline void expect_refusal(Redoubt__Result *result, enum errc code, const char *message) {
    assert_int_equal(result->code, code);
    assert_non_null(result->message);
    if (message != NULL) {
        assert_string_equal(result->message, message);
    }
    command_result_free(result);
}

/* ---- Shipping by hand, as the shipper and the inbound door do ---- */

/* What one region sends another, and what it must remember to understand the answer. */
struct shipment {
    Redoubt__InboundBatch *batch;
    Redoubt__OutcomeBatch *outcome; /* without verdicts */
};

struct kit_scan {
    struct outbox_key keys[LIMIT_BATCH_ITEMS];
    uint64_t generations[LIMIT_BATCH_ITEMS];
    size_t n;
};

static inline bool kit_scan_entry(void *arg, const struct outbox_key *key,
                                  const Redoubt__Outbox *entry) {
    struct kit_scan *scan = arg;

    scan->keys[scan->n] = *key;
    scan->generations[scan->n++] = entry->generation;
    return scan->n < LIMIT_BATCH_ITEMS;
}

/* The primary's record as it travels, and its values sealed for `to`. False: nothing to send. */
static inline bool kit_fill_upsert(const struct machine *m, const char *to,
                                   Redoubt__InboundItem *item) {
    Redoubt__Secret *secret = machine_secret(m, item->name);
    Redoubt__Link *link = machine_link(m, item->name, to);
    bool due = secret != NULL && link != NULL && link->generation == item->generation &&
               strcmp(secret->suffix, item->suffix) == 0;

    if (due) {
        item->has_revision = true;
        item->revision = secret->revision;
        item->has_force = true;
        item->force = link->force;
        redoubt__origin__free_unpacked(secret->promoted_from, NULL);
        secret->promoted_from = NULL;
        free(secret->kms_key_id);
        secret->kms_key_id = link->kms_key_id == NULL ? NULL : strdup(link->kms_key_id);
        secret->has_created_seq = false;
        item->values = calloc(secret->n_versions + 1, sizeof(*item->values));
        for (size_t i = 0; i < secret->n_versions; i++) {
            Redoubt__Version *version = secret->versions[i];
            if (version->has_kind && version->revision > link->acked_revision) {
                Redoubt__Sealed *sealed = NULL;
                char text[512];
                assert_int_equal(
                    view_value(machine_view(m), ACCOUNT, item->name, version->id, &sealed), OK);
                assert_non_null(sealed);
                (void)snprintf(text, sizeof(text), "%.*s", (int)sealed->ciphertext.len,
                               (const char *)sealed->ciphertext.data);
                item->values[item->n_values++] =
                    kit_value(to, version->id, strchr(text, '|') + 1, version->kind);
                redoubt__sealed__free_unpacked(sealed, NULL);
            }
        }
        item->secret = secret;
        secret = NULL;
    }
    redoubt__secret__free_unpacked(secret, NULL);
    redoubt__link__free_unpacked(link, NULL);
    return due;
}

static inline Redoubt__OutcomeItem *kit_outcome_item(const Redoubt__InboundItem *item) {
    Redoubt__OutcomeItem *outcome = malloc(sizeof(*outcome));

    redoubt__outcome_item__init(outcome);
    outcome->has_kind = true;
    outcome->kind = item->kind;
    outcome->account = strdup(item->account);
    outcome->name = strdup(item->name);
    outcome->suffix = strdup(item->suffix);
    outcome->has_generation = true;
    outcome->generation = item->generation;
    outcome->has_sent_revision = true;
    outcome->sent_revision = item->revision;
    return outcome;
}

/* Everything due from `m` to `to`; an empty batch when nothing is. Owned (shipment_free). */
static inline struct shipment ship(const struct machine *m, const char *to) {
    struct kit_scan *scan = calloc(1, sizeof(*scan));
    struct shipment shipment = {malloc(sizeof(Redoubt__InboundBatch)),
                                malloc(sizeof(Redoubt__OutcomeBatch))};

    redoubt__inbound_batch__init(shipment.batch);
    redoubt__outcome_batch__init(shipment.outcome);
    assert_int_equal(view_each_outbox(machine_view(m), to, NULL, kit_scan_entry, scan), OK);
    shipment.batch->from_region = strdup(m->region);
    shipment.batch->has_now_ms = true;
    shipment.batch->now_ms = m->now_ms;
    shipment.batch->items = calloc(scan->n + 1, sizeof(*shipment.batch->items));
    shipment.outcome->region = strdup(to);
    shipment.outcome->has_now_ms = true;
    shipment.outcome->now_ms = m->now_ms;
    shipment.outcome->items = calloc(scan->n + 1, sizeof(*shipment.outcome->items));
    for (size_t i = 0; i < scan->n; i++) {
        Redoubt__InboundItem *item = malloc(sizeof(*item));
        redoubt__inbound_item__init(item);
        item->has_kind = true;
        item->kind = scan->keys[i].kind;
        item->account = strdup(scan->keys[i].account);
        item->name = strdup(scan->keys[i].name);
        item->suffix = strdup(scan->keys[i].suffix);
        item->has_generation = true;
        item->generation = scan->generations[i];
        if (item->kind == REDOUBT__OUTBOX_KIND__OUTBOX_UPSERT && !kit_fill_upsert(m, to, item)) {
            redoubt__inbound_item__free_unpacked(item, NULL);
            continue;
        }
        shipment.outcome->items[shipment.outcome->n_items++] = kit_outcome_item(item);
        shipment.batch->items[shipment.batch->n_items++] = item;
    }
    free(scan);
    return shipment;
}

static inline void shipment_free(struct shipment *shipment) {
    redoubt__inbound_batch__free_unpacked(shipment->batch, NULL);
    redoubt__outcome_batch__free_unpacked(shipment->outcome, NULL);
}

/* The batch arrives (again). Returns the answer as a command for the sender; owned. */
static inline Redoubt__OutcomeBatch *deliver(struct machine *to, const struct shipment *shipment) {
    Redoubt__Result *result = machine_apply(to, COMMAND_INBOUND_BATCH, &shipment->batch->base);
    Redoubt__OutcomeBatch *outcome = kit_copy(&shipment->outcome->base);

    assert_int_equal(result->code, OK);
    assert_int_equal(result->n_verdicts, outcome->n_items);
    for (size_t i = 0; i < outcome->n_items; i++) {
        outcome->items[i]->verdict = kit_copy(&result->verdicts[i]->base);
    }
    command_result_free(result);
    return outcome;
}

/* The answer arrives (again). Borrows. */
static inline void settle(struct machine *from, const Redoubt__OutcomeBatch *outcome) {
    expect_ok(machine_apply(from, COMMAND_OUTCOME_BATCH, &outcome->base));
}

/* One whole exchange; the verdict of the first item, 0 when nothing was due. */
static inline int exchange(struct machine *from, struct machine *to) {
    struct shipment shipment = ship(from, to->region);
    Redoubt__OutcomeBatch *outcome = deliver(to, &shipment);
    int verdict = outcome->n_items == 0 ? 0 : (int)outcome->items[0]->verdict->verdict;

    settle(from, outcome);
    redoubt__outcome_batch__free_unpacked(outcome, NULL);
    shipment_free(&shipment);
    return verdict;
}

#endif
