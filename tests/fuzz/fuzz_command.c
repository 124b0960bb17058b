/* Commands with hostile payloads on two stores: nothing crashes, both answer the same, both end in
 * the same state.
 *
 * The input is a sequence of: a byte of command type, two of payload length (little endian), the
 * payload. The envelope, whose checksum would stop every mutation at the door, is put around it
 * here; a first pass gives the input to the door as it is. The transactions are never committed, so
 * every input starts from an empty state. */
#include "base/bytes.h"
#include "base/limits.h"
#include "cluster/command.h"
#include "cluster/envelope.h"
#include "storage/engine.h"
#include "storage/txn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TWINS = 2, HEAD = 3, COMMANDS_MAX = 64 };

static struct engine *engines[TWINS];

static void open_once(void) {
    static const struct engine_options options = {.path = "/fuzz", .in_memory = true};
    struct err err;

    for (int i = 0; i < TWINS && engines[i] == NULL; i++) {
        CHECK(engine_open(&options, &engines[i], &err) == OK);
    }
}

static void expect_equal(const Redoubt__Result *a, const Redoubt__Result *b) {
    size_t size = redoubt__result__get_packed_size(a);
    uint8_t *left = malloc(size + 1);
    uint8_t *right = malloc(size + 1);

    CHECK(left != NULL && right != NULL && redoubt__result__get_packed_size(b) == size);
    CHECK(redoubt__result__pack(a, left) == size && redoubt__result__pack(b, right) == size);
    CHECK(memcmp(left, right, size) == 0);
    free(left);
    free(right);
}

/* Apply the enveloped bytes to all twins; false when the door refused them. */
static bool apply(struct txn *txns[TWINS], uint64_t place, const uint8_t *data, size_t len) {
    const struct apply_context context = {.region = "us-east-1", .seq = place << 16};
    Redoubt__Result *results[TWINS] = {NULL};
    enum errc codes[TWINS];
    size_t used[TWINS] = {0};

    for (int i = 0; i < TWINS; i++) {
        codes[i] = command_apply(txns[i], &context, data, len, &used[i], &results[i]);
    }
    CHECK(codes[0] == codes[1] && used[0] == used[1] && used[0] <= len);
    CHECK(codes[0] == OK || codes[0] == ERR_CORRUPT || codes[0] == ERR_LEVEL);
    if (codes[0] == OK) {
        expect_equal(results[0], results[1]);
        CHECK(results[0]->code == OK || results[0]->message != NULL);
        CHECK(results[0]->code == OK || errc_is_known((int)results[0]->code));
    }
    for (int i = 0; i < TWINS; i++) {
        command_result_free(results[i]);
    }
    return codes[0] == OK;
}

static void apply_sequence(struct txn *txns[TWINS], const uint8_t *data, size_t size) {
    uint64_t place = 0;

    while (size >= HEAD && place < COMMANDS_MAX) {
        size_t len = get_le16(data + 1);
        struct buf bytes;
        if (len > size - HEAD) {
            len = size - HEAD;
        }
        buf_init(&bytes, LIMIT_COMMAND);
        envelope_append(&bytes, data[0], command_levels.newest, data + HEAD, len);
        CHECK(!bytes.failed);
        (void)apply(txns, ++place, bytes.data, bytes.len);
        buf_fini(&bytes);
        data += HEAD + len;
        size -= HEAD + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct txn *txns[TWINS];
    uint64_t hashes[TWINS] = {0};

    open_once();
    for (int i = 0; i < TWINS; i++) {
        txns[i] = txn_new(engines[i]);
    }
    (void)apply(txns, 1, data, size);
    apply_sequence(txns, data, size);
    for (int i = 0; i < TWINS; i++) {
        CHECK(view_state_hash(txn_view(txns[i]), &hashes[i]) == OK);
        txn_free(txns[i]);
    }
    CHECK(hashes[0] == hashes[1]);
    return 0;
}
