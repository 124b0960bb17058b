/* A region in memory for the tests of operations: requests as JSON go through decoding, the
 * handler, the state machine and encoding, without HTTP, identity or consensus.
 *
 * One thread. Everything is deterministic: the clock stands where the test puts it, random is a
 * counter. */
#ifndef TESTS_UNIT_API_OPS_BENCH_H
#define TESTS_UNIT_API_OPS_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/op.h"
#include "base/limits.h"
#include "base/wipe.h"
#include "cluster/command.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"
#include "storage/engine.h"
#include "storage/txn.h"
#include "storage/vault.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_ACCOUNT "123456789012"
#define BENCH_REGION  "eu-central-1"
/* Tokens of 36 characters that differ in their last one. */
#define TOKEN(n)      "11111111-2222-4333-8444-55555555555" #n

/* Sentences. */
#define NOT_FOUND     "Secrets Manager can't find the specified secret."
#define MARKED        "You can't perform this operation on the secret because it was marked for deletion."
#define ON_REPLICA                                                                                 \
    "Operation not permitted on a replica secret. Call must be made in primary secret's region."
#define BAD_REGION "Invalid replica region."
#define BAD_KEY    "The operation failed because of an invalid KMS key: Invalid keyId"
#define NO_TOKEN   "You must provide a ClientRequestToken value. We recommend a UUID-type value."
#define BOTH                                                                                       \
    "You can't specify both a binary secret value and a string secret value in the same secret."
#define WINDOW "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."

#define CREATE(name, n, rest)                                                                      \
    "{\"Name\":\"" name "\",\"ClientRequestToken\":\"" TOKEN(n) "\"" rest "}"
#define PUT(name, n, rest)                                                                         \
    "{\"SecretId\":\"" name "\",\"ClientRequestToken\":\"" TOKEN(n) "\"" rest "}"
#define ID(name)        "{\"SecretId\":\"" name "\"}"
#define ID_(name, rest) "{\"SecretId\":\"" name "\"," rest "}"
#define VALUE(text)     ",\"SecretString\":\"" text "\""

static const int64_t BENCH_DAY_MS = 86400000;
static const int64_t BENCH_START_MS = 1700000000123; /* 14 November 2023, a day begun */

struct bench {
    struct engine *engine;
    struct keyring *keyring;
    struct world world;
    struct identity identity;
    int64_t now_ms;
    uint64_t random;
    uint64_t index;   /* of the log */
    unsigned touches; /* commands left behind replies */
    unsigned preludes;
    struct quotas quotas;
    const char *functions; /* endpoint; NULL: none */
    struct err err;        /* of the last call */
};

static const char *const bench_peers[] = {"eu-west-1", "us-east-1"};

static int64_t bench_wall_ms(void *ctx) {
    return ((struct bench *)ctx)->now_ms;
}

static uint64_t bench_mono_ms(void *ctx) {
    return (uint64_t)((struct bench *)ctx)->now_ms;
}

static void bench_random(void *ctx, void *out, size_t len) {
    struct bench *bench = ctx;

    for (size_t i = 0; i < len; i += DIGEST_SIZE) {
        uint8_t digest[DIGEST_SIZE];
        bench->random++;
        digest_sha256(&bench->random, sizeof(bench->random), digest);
        memcpy((uint8_t *)out + i, digest, len - i < DIGEST_SIZE ? len - i : DIGEST_SIZE);
    }
}

/* --- the state machine --- */

static Redoubt__Result *bench_apply(struct bench *bench, enum command_type type,
                                    const ProtobufCMessage *message) {
    struct txn *txn = txn_new(bench->engine);
    const struct apply_context context = {.region = BENCH_REGION, .seq = ++bench->index << 16};
    Redoubt__Result *result = NULL;
    struct buf command;
    size_t used = 0;

    buf_init(&command, LIMIT_COMMAND);
    command_encode(&command, type, message);
    assert_false(command.failed);
    assert_int_equal(command_apply(txn, &context, command.data, command.len, &used, &result), OK);
    assert_int_equal(used, command.len);
    txn_commit(txn, bench->index);
    txn_free(txn);
    buf_fini(&command);
    return result;
}

/* --- calls --- */

static const struct op *bench_op(const char *name) {
    for (size_t i = 0; i < op_table_len; i++) {
        if (strcmp(op_table[i]->name, name) == 0) {
            return op_table[i];
        }
    }
    fail_msg("no operation %s", name);
    return NULL;
}

static struct op_context bench_context(struct bench *bench, struct arena *arena,
                                       const struct view *view) {
    return (struct op_context){
        .arena = arena,
        .world = &bench->world,
        .identity = &bench->identity,
        .region = BENCH_REGION,
        .peers = bench_peers,
        .n_peers = ARRAY_LEN(bench_peers),
        .view = view,
        .keyring = bench->keyring,
        .quotas = &bench->quotas,
        .functions = bench->functions,
        .now_ms = bench->now_ms,
        .err = &bench->err,
    };
}

static enum errc bench_read(struct bench *bench, const struct op *op, struct arena *arena,
                            const void *in, void *out) {
    struct view *view = view_new(bench->engine);
    struct op_context context = bench_context(bench, arena, view);
    enum errc code = op->read(&context, in, out);

    if (code == OK && context.after != NULL) {
        command_result_free(bench_apply(bench, context.after_type, context.after));
        bench->touches++;
    }
    view_free(view);
    return code;
}

static enum errc bench_prepare(struct bench *bench, const struct op *op, struct arena *arena,
                               const void *in, struct op_command *ret) {
    struct view *view = view_new(bench->engine);
    struct op_context context = bench_context(bench, arena, view);
    enum errc code = op->prepare(&context, in, ret);

    view_free(view);
    return code;
}

/* What the state machine said, as the pipeline words it. */
static enum errc bench_word(struct bench *bench, const struct op *op, struct arena *arena,
                            const void *in, const Redoubt__Result *result, void *out) {
    struct op_context context = bench_context(bench, arena, NULL);

    if (result->code != OK) {
        return err_set(&bench->err, (enum errc)result->code, "%s", result->message);
    }
    return op->reply(&context, in, result, out);
}

static enum errc bench_write(struct bench *bench, const struct op *op, struct arena *arena,
                             const void *in, void *out) {
    for (;;) {
        struct op_command command = {0};
        Redoubt__Result *result;
        enum errc code = bench_prepare(bench, op, arena, in, &command);

        if (code != OK) {
            return code;
        }
        result = bench_apply(bench, command.type, command.message);
        if (!command.prelude) {
            code = bench_word(bench, op, arena, in, result, out);
            command_result_free(result);
            return code;
        }
        assert_int_equal(result->code, OK);
        command_result_free(result);
        bench->preludes++;
    }
}

static json_t *bench_encode(const struct op *op, const void *out) {
    struct buf text;
    json_t *json;

    if (op->out == NULL) {
        return json_object();
    }
    buf_init(&text, LIMIT_REPLY_BODY);
    shape_encode(op->out, out, &text);
    assert_false(text.failed);
    json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    buf_fini(&text);
    return json;
}

static void bench_check_declared(const struct op *op, enum errc code) {
    bool declared = !errc_is_modelled(code);

    for (size_t i = 0; op->errors[i] != OK; i++) {
        declared = declared || op->errors[i] == code;
    }
    if (!declared) {
        fail_msg("%s gave %s, which it does not declare", op->name, errc_name(code));
    }
}

/* OK with the reply in *ret (owned), or the error, whose sentence is in bench->err. */
static inline enum errc bench_call(struct bench *bench, const char *name, const char *body,
                                   json_t **ret) {
    const struct op *op = bench_op(name);
    struct arena arena;
    void *in;
    void *out;
    enum errc code;

    arena_init(&arena, LIMIT_REQUEST_ARENA);
    in = arena_alloc(&arena, op->in->size);
    out = arena_alloc(&arena, op->out != NULL ? op->out->size : 1);
    assert_non_null(in);
    assert_non_null(out);
    bench->err = (struct err){.code = OK};
    code = shape_decode(op->in, (const uint8_t *)body, strlen(body), &bench->quotas, &arena, in,
                        &bench->err);
    if (code == OK) {
        code = op->class == OP_READ ? bench_read(bench, op, &arena, in, out)
                                    : bench_write(bench, op, &arena, in, out);
    }
    if (code == OK) {
        *ret = bench_encode(op, out);
    } else {
        assert_int_equal(bench->err.code, code);
        bench_check_declared(op, code);
    }
    arena_fini(&arena);
    return code;
}

/* `form` has one %s, for the ARN. One buffer. */
static inline const char *with_arn(const char *form, const char *arn) {
    static char text[4096];
    char *at = strstr(form, "%s");

    assert_non_null(at);
    assert_true(snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - form), form, arn, at + 2) > 0);
    return text;
}

/* The reply, owned. */
static inline json_t *bench_ok(struct bench *bench, const char *name, const char *body) {
    json_t *reply = NULL;
    enum errc code = bench_call(bench, name, body, &reply);

    if (code != OK) {
        fail_msg("%s %s: %s: %s", name, body, errc_name(code), bench->err.message);
    }
    return reply;
}

static inline void bench_do(struct bench *bench, const char *name, const char *body) {
    json_decref(bench_ok(bench, name, body));
}

static inline void bench_refused(struct bench *bench, const char *name, const char *body,
                                 enum errc expected, const char *sentence) {
    json_t *reply = NULL;
    enum errc code = bench_call(bench, name, body, &reply);

    json_decref(reply);
    if (code != expected) {
        fail_msg("%s %s: %s (%s) instead of %s", name, body, errc_name(code), bench->err.message,
                 errc_name(expected));
    }
    assert_string_equal(bench->err.message, sentence);
}

/* --- replies --- */

static inline const char *text_of(const json_t *reply, const char *member) {
    const json_t *value = json_object_get(reply, member);

    if (!json_is_string(value)) {
        fail_msg("%s is no string", member);
    }
    return json_string_value(value);
}

static inline double number_of(const json_t *reply, const char *member) {
    const json_t *value = json_object_get(reply, member);

    if (!json_is_number(value)) {
        fail_msg("%s is no number", member);
    }
    return json_number_value(value);
}

/* `expected` is JSON; NULL: the member must not be there. Takes nothing. */
static inline void assert_member(const json_t *reply, const char *member, const char *expected) {
    const json_t *value = json_object_get(reply, member);
    json_t *wanted;

    if (expected == NULL) {
        if (value != NULL) {
            fail_msg("%s is there", member);
        }
        return;
    }
    wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal(value, wanted)) {
        char *found = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        fail_msg("%s is %s instead of %s", member, found == NULL ? "absent" : found, expected);
    }
    json_decref(wanted);
}

/* Exactly these members, in this order, separated by blanks. */
static inline void assert_members(json_t *reply, const char *expected) {
    char found[1024] = "";
    size_t len = 0;
    const char *key;
    json_t *value;

    json_object_foreach(reply, key, value) {
        int more = snprintf(found + len, sizeof(found) - len, "%s%s", len == 0 ? "" : " ", key);
        assert_true(more > 0 && (size_t)more < sizeof(found) - len);
        len += (size_t)more;
    }
    assert_string_equal(found, expected);
}

/* --- records, for what no operation can bring about yet --- */

static inline Redoubt__Secret *bench_secret(struct bench *bench, const char *name) {
    struct view *view = view_new(bench->engine);
    Redoubt__Secret *secret = NULL;

    assert_int_equal(view_secret(view, BENCH_ACCOUNT, name, &secret), OK);
    assert_non_null(secret);
    view_free(view);
    return secret;
}

/* Takes the record. */
static inline void bench_put_secret(struct bench *bench, Redoubt__Secret *secret) {
    struct txn *txn = txn_new(bench->engine);

    txn_put_secret(txn, BENCH_ACCOUNT, secret);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    redoubt__secret__free_unpacked(secret, NULL);
}

/* Makes the secret a replica of us-east-1's. */
static inline void bench_make_replica(struct bench *bench, const char *name) {
    Redoubt__Secret *secret = bench_secret(bench, name);
    Redoubt__Origin *origin = calloc(1, sizeof(*origin));

    assert_non_null(origin);
    redoubt__origin__init(origin);
    origin->region = strdup("us-east-1");
    origin->has_generation = true;
    origin->generation = 77;
    origin->has_revision = true;
    origin->revision = secret->revision;
    secret->replica_of = origin;
    bench_put_secret(bench, secret);
}

/* What another region's acknowledgement, or failure, leaves on a link. */
static inline void bench_set_link(struct bench *bench, const char *name, const char *region,
                                  uint64_t acked_revision, const char *failure) {
    struct view *view = view_new(bench->engine);
    struct txn *txn = txn_new(bench->engine);
    Redoubt__Link *link = NULL;

    assert_int_equal(view_link(view, BENCH_ACCOUNT, name, region, &link), OK);
    assert_non_null(link);
    link->has_acked_revision = true;
    link->acked_revision = acked_revision;
    if (failure != NULL) {
        link->has_failure = true;
        link->failure = REDOUBT__VERDICT__VERDICT_NAME_TAKEN;
        link->failure_message = strdup(failure);
    }
    link->has_replica_last_accessed_day = true;
    link->replica_last_accessed_day = 19000;
    txn_put_link(txn, BENCH_ACCOUNT, name, link);
    txn_commit(txn, ++bench->index);
    txn_free(txn);
    view_free(view);
    redoubt__link__free_unpacked(link, NULL);
}

/* --- the bench itself --- */

static int bench_setup(void **state) {
    static const uint8_t root[KEYRING_KEY] = {1, 2, 3};
    struct bench *bench = calloc(1, sizeof(*bench));
    const struct engine_options options = {.path = "/redoubt-ops", .in_memory = true};
    Redoubt__RegionInit init = REDOUBT__REGION_INIT__INIT;
    char region[] = BENCH_REGION;

    assert_non_null(bench);
    bench->now_ms = BENCH_START_MS;
    bench->quotas = quotas_default;
    bench->identity = (struct identity){
        .access_key_id = "AKIDEXAMPLE",
        .account = BENCH_ACCOUNT,
        .arn = "arn:aws:iam::" BENCH_ACCOUNT ":root",
    };
    bench->world = (struct world){
        .wall_ms = bench_wall_ms,
        .mono_ms = bench_mono_ms,
        .random = bench_random,
        .ctx = bench,
    };
    assert_int_equal(engine_open(&options, &bench->engine, &bench->err), OK);
    bench->keyring = keyring_new(root, BENCH_REGION, &bench->world);
    assert_non_null(bench->keyring);
    init.name = region;
    command_result_free(bench_apply(bench, COMMAND_REGION_INIT, &init.base));
    *state = bench;
    return 0;
}

static int bench_teardown(void **state) {
    struct bench *bench = *state;

    keyring_free(bench->keyring);
    engine_close(bench->engine);
    free(bench);
    return 0;
}

#endif
