/* Whole regions in memory for the tests of what crosses them: real state machines, real keys, real
 * wire bytes; only the network is the test's hand.
 *
 * Included by the programs tests/unit/replication_*.c. */
#ifndef TESTS_UNIT_REPLICATION_REGIONS_H
#define TESTS_UNIT_REPLICATION_REGIONS_H

#define KIT_TWINS 1
#include "tests/unit/cluster_commands.h"

#include "base/world.h"
#include "cluster/node.h"
#include "crypto/keyring.h"
#include "model/replication_status.h"
#include "replication/inbound.h"
#include "replication/outgoing.h"
#include "replication/wire.h"
#include "storage/vault.h"

struct region {
    struct machine m;
    struct keyring *keyring;
};

static inline void region_init(struct region *r, const char *name) {
    uint8_t root[KEYRING_KEY];

    machine_init(&r->m, name);
    world_random(world_system(), root, sizeof(root));
    r->keyring = keyring_new(root, r->m.region, world_system());
    assert_non_null(r->keyring);
}

static inline void region_fini(struct region *r) {
    machine_fini(&r->m);
    keyring_free(r->keyring);
}

/* ---- What a client does, with values really sealed ---- */

static inline Redoubt__Result *region_propose(struct region *r, struct proposal *proposal) {
    Redoubt__Result *result =
        machine_apply_bytes(&r->m, proposal->command.data, proposal->command.len);

    proposal_free(proposal);
    return result;
}

/* A new KMS key of the region behind `alias`. */
static inline void region_make_key(struct region *r, const char *alias) {
    Redoubt__KeyCreate create = REDOUBT__KEY_CREATE__INIT;
    char account[] = ACCOUNT;
    char name[64];
    struct err err;

    (void)snprintf(name, sizeof(name), "%s", alias);
    assert_int_equal(vault_new_key(r->keyring, world_system(), ACCOUNT, &create.key, &err), OK);
    create.account = account;
    create.alias = name;
    expect_ok(machine_apply(&r->m, COMMAND_KEY_CREATE, &create.base));
    redoubt__key__free_unpacked(create.key, NULL);
}

static inline Redoubt__NewValue *region_seal(struct region *r, const struct call *call) {
    Redoubt__NewValue *value = malloc(sizeof(*value));
    const struct vault_place place = {r->m.region, ACCOUNT, call->name, call->suffix, call->token};
    struct secret plaintext;
    char *key_id = NULL;
    struct err err;

    assert_true(secret_init_copy(&plaintext, call->text, strlen(call->text)));
    if (vault_resolve_key(machine_view(&r->m), ACCOUNT, NULL, &key_id, &err) != OK) {
        region_make_key(r, VAULT_DEFAULT_ALIAS);
        assert_int_equal(vault_resolve_key(machine_view(&r->m), ACCOUNT, NULL, &key_id, &err), OK);
    }
    redoubt__new_value__init(value);
    value->digest.data = malloc(32);
    value->digest.len = 32;
    assert_int_equal(vault_seal(r->keyring, machine_view(&r->m), &place, key_id,
                                REDOUBT__VALUE_KIND__VALUE_STRING, &plaintext, &value->sealed,
                                value->digest.data, &err),
                     OK);
    value->version_id = strdup(call->token);
    value->has_kind = true;
    value->kind = REDOUBT__VALUE_KIND__VALUE_STRING;
    value->has_digest = true;
    secret_fini(&plaintext);
    free(key_id);
    return value;
}

/* name, suffix, token, text, targets, kms_key_id, force */
static inline Redoubt__Result *region_create(struct region *r, const struct call *call) {
    Redoubt__SecretCreate *create = malloc(sizeof(*create));

    redoubt__secret_create__init(create);
    create->ref = kit_ref(call);
    create->token = strdup(call->token);
    create->value = call->text == NULL ? NULL : region_seal(r, call);
    create->targets = kit_targets(call, &create->n_targets);
    create->has_force_overwrite = true;
    create->force_overwrite = call->force;
    create->has_now_ms = true;
    create->now_ms = r->m.now_ms;
    return kit_apply_owned(&r->m, COMMAND_SECRET_CREATE, &create->base);
}

/* name, suffix, token, text, labels */
static inline Redoubt__Result *region_put(struct region *r, const struct call *call) {
    Redoubt__SecretPut *put = malloc(sizeof(*put));

    redoubt__secret_put__init(put);
    put->ref = kit_ref(call);
    put->value = region_seal(r, call);
    put->stages = kit_texts(call->labels, &put->n_stages);
    put->has_now_ms = true;
    put->now_ms = r->m.now_ms;
    return kit_apply_owned(&r->m, COMMAND_SECRET_PUT, &put->base);
}

/* The value behind a version, opened with this region's keys: exactly `text`. */
static inline void expect_opens(struct region *r, const char *name, const char *suffix,
                                const char *version_id, const char *text) {
    const struct vault_place place = {r->m.region, ACCOUNT, name, suffix, version_id};
    Redoubt__Sealed *sealed = NULL;
    struct secret value;
    struct err err;

    assert_int_equal(view_value(machine_view(&r->m), ACCOUNT, name, version_id, &sealed), OK);
    assert_non_null(sealed);
    assert_int_equal(vault_open(r->keyring, machine_view(&r->m), &place, sealed, &value, &err), OK);
    assert_int_equal(value.len, strlen(text));
    assert_memory_equal(value.data, text, value.len);
    secret_fini(&value);
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* Status of a link; -1 where there is none. */
static inline int region_link_status(struct region *r, const char *name, const char *to) {
    Redoubt__Secret *secret = machine_secret(&r->m, name);
    Redoubt__Link *link = machine_link(&r->m, name, to);
    int status = secret == NULL || link == NULL
                     ? -1
                     : (int)link_status(link->failure, link->acked_revision, secret->revision);

    redoubt__secret__free_unpacked(secret, NULL);
    redoubt__link__free_unpacked(link, NULL);
    return status;
}

/* ---- Both ends of the wire ---- */

static inline struct outgoing region_build_with(struct region *r, const char *to,
                                                struct outgoing_request request,
                                                struct outgoing_cursor *cursor) {
    struct outgoing out;
    struct err err;

    request.region = r->m.region;
    request.to = to;
    request.to_is_known = true;
    request.view = machine_view(&r->m);
    request.keyring = r->keyring;
    assert_int_equal(outgoing_build(&request, cursor, &out, &err), OK);
    return out;
}

/* One batch of what is due. */
static inline struct outgoing region_build(struct region *r, const char *to) {
    struct outgoing_cursor cursor = {.is_set = false};

    return region_build_with(r, to, (struct outgoing_request){.skip = NULL}, &cursor);
}

/* As the peer door does: a key first where one is missing, then the batch. Appends the answer. */
static inline enum errc region_receive(struct region *r, const char *from, const uint8_t *data,
                                       size_t len, struct buf *answer) {
    const struct inbound_context context = {r->m.region, r->m.engines[0], r->keyring,
                                            world_system()};
    bool is_prelude = true;
    enum errc code = OK;

    while (is_prelude) {
        struct proposal *proposal = NULL;
        Redoubt__Result *result;
        struct err err;
        code = inbound_prepare(&context, from, data, len, &proposal, &is_prelude, &err);
        if (code != OK) {
            return code;
        }
        result = region_propose(r, proposal);
        assert_int_equal(result->code, OK);
        if (!is_prelude) {
            code = inbound_answer(&context, result, answer);
        }
        command_result_free(result);
    }
    return code;
}

static inline void region_record(struct region *r, const char *to,
                                 const struct outgoing_list *list) {
    Redoubt__OutcomeBatch *outcome = outgoing_outcome(list, to, r->m.now_ms);

    assert_non_null(outcome);
    expect_ok(machine_apply(&r->m, COMMAND_OUTCOME_BATCH, &outcome->base));
    redoubt__outcome_batch__free_unpacked(outcome, NULL);
}

/* One exchange without faults. Returns how many entries it was about. */
static inline size_t region_exchange(struct region *from, struct region *to) {
    struct outgoing out = region_build(from, to->m.region);
    size_t n = out.sent.n + out.decided.n;
    struct buf answer;
    struct err err;

    buf_init(&answer, LIMIT_PEER_BODY);
    if (out.decided.n > 0) {
        region_record(from, to->m.region, &out.decided);
    }
    if (out.sent.n > 0) {
        assert_int_equal(region_receive(to, from->m.region, out.body.data, out.body.len, &answer),
                         OK);
        assert_int_equal(
            outgoing_take_answer(&out.sent, to->m.region, answer.data, answer.len, &err), OK);
        region_record(from, to->m.region, &out.sent);
    }
    buf_fini(&answer);
    outgoing_fini(&out);
    return n;
}

#endif
