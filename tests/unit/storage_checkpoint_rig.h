/* Stores with content, and checkpoints carried from one data folder to another by hand. */
#ifndef TESTS_UNIT_STORAGE_CHECKPOINT_RIG_H
#define TESTS_UNIT_STORAGE_CHECKPOINT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/world.h"
#include "storage/checkpoint.h"
#include "storage/log_store.h"
#include "storage/txn.h"
#include "storage_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNT "123456789012"

/* Fails with what it says. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        struct err assert_err = {.message = ""};                                                   \
        enum errc assert_code = (call);                                                            \
        if (assert_code != OK) {                                                                   \
            fail_msg("%s: %s (%d)", #call, assert_err.message, (int)assert_code);                  \
        }                                                                                          \
    } while (0)
#define ERR (&assert_err)

enum { RIG_VALUE = 1024 };

/* One secret with a value of bytes that do not shrink, a log entry of that size, both of `index`.
 */
static inline void rig_write(struct engine *engine, struct txn *txn, struct log_batch *batch,
                             uint64_t index, bool sync) {
    Redoubt__Secret secret = REDOUBT__SECRET__INIT;
    Redoubt__Sealed sealed = REDOUBT__SEALED__INIT;
    static uint8_t value[RIG_VALUE];
    static char suffix[] = "AbCdEf";
    char name[64];
    uint64_t noise = index * 0x9e3779b97f4a7c15u + 1;
    const struct log_entry entry = {.term = 3, .type = 1, .data = value, .len = sizeof(value)};

    for (size_t i = 0; i < sizeof(value); i++) {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        value[i] = (uint8_t)noise;
    }
    (void)snprintf(name, sizeof(name), "prod/service-%" PRIu64 "/database", index);
    secret.name = name;
    secret.suffix = suffix;
    secret.has_created_seq = 1;
    secret.created_seq = index;
    sealed.has_ciphertext = 1;
    sealed.ciphertext.data = value;
    sealed.ciphertext.len = sizeof(value);
    if (batch != NULL) {
        log_batch_append(batch, index, &entry, 1);
    }
    if (sync) {
        assert_ok(log_batch_commit(batch, ERR));
    }
    txn_put_secret(txn, ACCOUNT, &secret);
    txn_put_value(txn, ACCOUNT, name, "11111111-2222-3333-4444-555555555555", &sealed);
    txn_commit(txn, index);
}

/* Entries and state from `first` to `last`, a sync for every 1024. */
static inline void rig_fill(struct engine *engine, uint64_t first, uint64_t last) {
    struct txn *txn = txn_new(engine);
    struct log_batch *batch = log_batch_new(engine);

    for (uint64_t i = first; i <= last; i++) {
        rig_write(engine, txn, batch, i, i % 1024 == 0 || i == last);
    }
    log_batch_free(batch);
    txn_free(txn);
}

static inline void rig_vote(struct engine *engine, uint64_t term, uint64_t voted_for) {
    struct log_batch *batch = log_batch_new(engine);

    log_batch_vote(batch, term, voted_for);
    assert_ok(log_batch_commit(batch, ERR));
    log_batch_free(batch);
}

struct rig_path {
    char text[SCRATCH_PATH + 512];
};

static inline struct rig_path rig_path(const char *data, const char *a, const char *b) {
    struct rig_path path;

    (void)snprintf(path.text, sizeof(path.text), "%s/%s%s%s", data, a, b[0] != '\0' ? "/" : "", b);
    return path;
}

static inline bool rig_exists(const char *data, const char *a, const char *b) {
    struct stat status;

    return lstat(rig_path(data, a, b).text, &status) == 0;
}

static inline struct engine *rig_open(const char *data) {
    return scratch_open(rig_path(data, "store", "").text);
}

/* What a state is: its hash and applied index. */
struct rig_state {
    uint64_t hash;
    uint64_t applied;
};

static inline struct rig_state rig_state(struct engine *engine) {
    struct view *view = view_new(engine);
    struct rig_state state;

    assert_int_equal(view_state_hash(view, &state.hash), OK);
    assert_int_equal(view_applied(view, &state.applied), OK);
    view_free(view);
    return state;
}

/* The manifest as it would arrive: through its bytes. */
static inline struct checkpoint_manifest *rig_travel(const struct checkpoint_manifest *manifest) {
    struct checkpoint_manifest *copy = NULL;
    struct buf bytes;

    buf_init(&bytes, LIMIT_MANIFEST);
    assert_int_equal(checkpoint_manifest_encode(manifest, &bytes), OK);
    assert_int_equal(checkpoint_manifest_decode(bytes.data, bytes.len, &copy), OK);
    buf_fini(&bytes);
    return copy;
}

static inline struct log_snapshot rig_snapshot(const struct checkpoint_manifest *manifest) {
    static const uint8_t configuration[] = "who is who";
    static const uint8_t bytes[] = "a manifest";

    return (struct log_snapshot){.index = manifest->applied,
                                 .term = 3,
                                 .configuration_index = 1,
                                 .configuration = configuration,
                                 .configuration_len = sizeof(configuration),
                                 .manifest = bytes,
                                 .manifest_len = sizeof(bytes)};
}

/* Pieces from one folder to the other, at most `pieces` of them, each of at most `most` bytes. True
 * when all is there. */
static inline bool rig_carry(const char *from, const char *to,
                             const struct checkpoint_manifest *manifest, unsigned pieces,
                             size_t most) {
    struct incoming *incoming = NULL;
    const char *file;
    uint64_t offset;
    size_t len;
    struct buf piece;
    bool is_whole;

    buf_init(&piece, LIMIT_SNAPSHOT_CHUNK);
    assert_ok(incoming_open(to, manifest, &incoming, ERR));
    while (pieces > 0 && incoming_next(incoming, &file, &offset, &len)) {
        uint64_t before = incoming_bytes(incoming);
        buf_reset(&piece);
        len = len < most ? len : most;
        assert_ok(checkpoint_read(from, manifest->id, file, offset, len, &piece, ERR));
        assert_int_equal(piece.len, len);
        assert_ok(incoming_write(incoming, piece.data, piece.len, ERR));
        assert_true(incoming_bytes(incoming) >= before + len);
        pieces--;
    }
    is_whole = !incoming_next(incoming, &file, &offset, &len);
    assert_int_equal(is_whole, incoming_bytes(incoming) == incoming_bytes_total(incoming));
    incoming_close(incoming);
    buf_fini(&piece);
    return is_whole;
}

#endif
