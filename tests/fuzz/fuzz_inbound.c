/* Any bytes as a batch from another region: read, sealed and applied without harm, every item gets
 * a verdict, and what the sender reads back as the answer is one. */
#include "base/check.h"
#include "base/limits.h"
#include "cluster/node.h"
#include "replication/inbound.h"
#include "replication/outgoing.h"
#include "storage/txn.h"
#include "storage/vault.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWN     "eu-west-1"
#define PEER    "us-east-1"
#define ACCOUNT "123456789012"

static struct engine *engine;
static struct keyring *keyring;

static void apply(struct txn *txn, const struct buf *command, Redoubt__Result **ret) {
    const struct apply_context context = {.region = OWN, .seq = 7 << 16};
    size_t used = 0;

    CHECK(command_apply(txn, &context, command->data, command->len, &used, ret) == OK);
    CHECK(used == command->len);
}

/* The state that every input meets: the region's name and its default key. Kept for the life of the
 * process. */
static void open_region(void) {
    static const uint8_t root[KEYRING_KEY] = "a root key for fuzzing";
    const struct engine_options options = {.path = "/fuzz", .in_memory = true};
    Redoubt__Region region = REDOUBT__REGION__INIT;
    Redoubt__Key *key = NULL;
    struct txn *txn;
    char name[] = OWN;
    struct err err;

    CHECK(engine_open(&options, &engine, &err) == OK);
    keyring = keyring_new(root, OWN, world_system());
    CHECK(keyring != NULL);
    CHECK(vault_new_key(keyring, world_system(), ACCOUNT, &key, &err) == OK);
    txn = txn_new(engine);
    region.name = name;
    txn_put_region(txn, &region);
    txn_put_key(txn, ACCOUNT, key);
    txn_put_alias(txn, ACCOUNT, VAULT_DEFAULT_ALIAS, key->id);
    txn_commit(txn, 1);
    txn_free(txn);
    redoubt__key__free_unpacked(key, NULL);
}

static void check_answer(const struct inbound_context *context, const Redoubt__Result *result) {
    struct outgoing_list list = {.n = result->n_verdicts};
    struct buf answer;
    struct err err;

    list.items = calloc(list.n + 1, sizeof(*list.items));
    CHECK(list.items != NULL);
    buf_init(&answer, LIMIT_PEER_BODY);
    CHECK(inbound_answer(context, result, &answer) == OK);
    CHECK(outgoing_take_answer(&list, OWN, answer.data, answer.len, &err) == OK);
    buf_fini(&answer);
    outgoing_list_fini(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct inbound_context context = {.region = OWN, .world = world_system()};
    struct proposal *proposal = NULL;
    Redoubt__Result *result = NULL;
    struct txn *txn;
    bool is_prelude = false;
    struct err err;

    if (engine == NULL) {
        open_region();
    }
    context.engine = engine;
    context.keyring = keyring;
    if (inbound_prepare(&context, PEER, data, size, &proposal, &is_prelude, &err) != OK) {
        return 0;
    }
    txn = txn_new(engine); /* never committed: each input meets the same state */
    apply(txn, &proposal->command, &result);
    if (!is_prelude) {
        check_answer(&context, result);
    }
    command_result_free(result);
    txn_free(txn);
    proposal_free(proposal);
    return 0;
}
