/* Bytes from a peer, into the decoder and into a node's consensus in whatever state it is.
 *
 * The first byte chooses the node: one of three voters, the leader of three, one that waits to be
 * joined. Then come steps: u8 kind; for a message u8 peer, u16 length (little endian), bytes.
 * Whatever comes, a message is taken, refused as malformed without a trace, or shows that the node
 * cannot go on (ERR_CORRUPT: a peer that contradicts what is committed); and no memory is read or
 * kept that should not be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/wipe.h"
#include "cluster/core.h"
#include "cluster/core_internal.h"
#include "cluster/core_message.h"

enum { VOTER, LEADER, JOINER, KINDS };
enum { MESSAGE, WRITTEN, WAKE, SUBMIT, SNAPSHOT, INSTALLED, READ, TRANSFER, STEPS };
enum { HEADER = 4 /* of a step with a message */ };

struct node {
    struct core *core;
    uint64_t now_ms;
    uint64_t wake_ms;
    uint64_t write_id;
    uint64_t read_id;
    uint64_t answered;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(struct node *node) {
    const struct core_effect *effect = NULL;
    while ((effect = core_next_effect(node->core)) != NULL) {
        if (effect->kind == CORE_EFFECT_WRITE) {
            node->write_id = effect->write_id;
        } else if (effect->kind == CORE_EFFECT_WAKE) {
            node->wake_ms = effect->wake_ms;
        } else if (effect->kind == CORE_EFFECT_READ) {
            CHECK(effect->read_id > node->answered && effect->read_id <= node->read_id);
            node->answered = effect->read_id;
        } else if (effect->kind == CORE_EFFECT_SEND) {
            /* What a node sends, a node understands. */
            struct core_message message;
            CHECK(core_message_decode(effect->message, node->core->raft.id, &message) == OK);
        }
    }
}

static enum errc receive(struct node *node, uint64_t peer, const uint8_t *data, size_t len) {
    /* On the heap, so that a read behind the end is seen. */
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    CHECK(bytes != NULL);
    memcpy(bytes, data, len);
    uint64_t term = core_term(node->core);
    uint64_t last = core_last_index(node->core);
    enum errc rc = core_receive(node->core, node->now_ms, peer, (struct core_bytes){bytes, len});
    CHECK(rc == OK || rc == ERR_MALFORMED || rc == ERR_CORRUPT);
    if (rc == ERR_MALFORMED) {
        CHECK(core_term(node->core) == term && core_last_index(node->core) == last);
        CHECK(core_next_effect(node->core) == NULL);
    }
    free(bytes);
    return rc;
}

static enum errc wake(struct node *node) {
    node->now_ms = node->wake_ms > node->now_ms ? node->wake_ms : node->now_ms;
    return core_wake(node->core, node->now_ms);
}

static enum errc submit(struct node *node) {
    struct core_bytes command = {(const uint8_t *)"command", 7};
    uint64_t index = 0;
    return core_submit(node->core, node->now_ms, &command, 1, &index);
}

static enum errc snapshot(struct node *node) {
    struct core_snapshot prepared;
    uint64_t keep_from = 0;
    if (core_snapshot_prepare(node->core, 0, 2, &prepared, &keep_from) != OK) {
        return OK;
    }
    return core_snapshot_taken(node->core, node->now_ms,
                               (struct core_bytes){(const uint8_t *)"files", 5});
}

static enum errc step(struct node *node, unsigned kind) {
    switch (kind) {
    case WRITTEN:
        return core_written(node->core, node->now_ms, node->write_id);
    case WAKE:
        return wake(node);
    case SUBMIT:
        return submit(node);
    case SNAPSHOT:
        return snapshot(node);
    case READ:
        return core_read(node->core, node->now_ms, &node->read_id);
    case TRANSFER:
        return core_transfer(node->core, node->now_ms, 0);
    case INSTALLED:
        return core_is_installing(node->core) ? core_installed(node->core, node->now_ms) : OK;
    default:
        return OK;
    }
}

/* Three voters, of which this is the first. */
static void start(struct node *node, unsigned kind) {
    const struct core_server voters[] = {{1, "a"}, {2, "b"}, {3, "c"}};
    uint8_t *configuration = NULL;
    size_t len = 0;
    CHECK(core_configuration_encode(voters, ARRAY_LEN(voters), &configuration, &len) == OK);
    struct core_entry entry = {1, CORE_CHANGE, configuration, len};
    bool joins = kind == JOINER;
    *node = (struct node){.now_ms = 1000};
    node->core = core_new(&(struct core_options){.id = 1,
                                                 .address = "a",
                                                 .election_timeout_ms = 1000,
                                                 .heartbeat_ms = 100,
                                                 .max_inflight_entries = 4,
                                                 .seed = 1});
    CHECK(node->core != NULL);
    CHECK(core_start(node->core, node->now_ms,
                     &(struct core_persisted){.term = joins ? 0 : 1,
                                              .first_index = 1,
                                              .entries = &entry,
                                              .n_entries = joins ? 0 : 1}) == OK);
    wipe_free(configuration);
    drain(node);
}

/* Two asks, the vote before the vote and the vote, both granted by node 2. */
static void lead(struct node *node) {
    for (int i = 0; i < 8 && core_role(node->core) != CORE_LEADER; i++) {
        CHECK(wake(node) == OK);
        drain(node);
        for (int round = 0; round < 2 && core_role(node->core) == CORE_CANDIDATE; round++) {
            bool pre_vote = node->core->raft.candidate_state.in_pre_vote;
            struct raft_message grant = {
                .type = RAFT_REQUEST_VOTE_RESULT,
                .request_vote_result = {.version = 3,
                                        .term = core_term(node->core) + (pre_vote ? 1 : 0),
                                        .vote_granted = true,
                                        .pre_vote = pre_vote}};
            uint8_t *bytes = NULL;
            size_t len = 0;
            const struct core_message_source source = {.log = &node->core->log};
            CHECK(core_message_encode(&grant, &source, &bytes, &len) == OK);
            CHECK(receive(node, 2, bytes, len) == OK);
            wipe_free(bytes);
            drain(node);
        }
    }
    CHECK(core_role(node->core) == CORE_LEADER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    unsigned kind = data[0] % KINDS;
    struct node node;
    start(&node, kind);
    if (kind == LEADER) {
        lead(&node);
    }
    enum errc rc = OK;
    for (size_t at = 1; at < size && rc != ERR_CORRUPT;) {
        unsigned action = data[at] % STEPS;
        if (action != MESSAGE) {
            rc = step(&node, action);
            at++;
        } else {
            if (size - at < HEADER) {
                break;
            }
            size_t len = get_le16(data + at + 2);
            size_t left = size - at - HEADER;
            len = len < left ? len : left;
            rc = receive(&node, data[at + 1] % 5, data + at + HEADER, len);
            at += HEADER + len;
        }
        CHECK(rc == OK || rc == ERR_MALFORMED || rc == ERR_CORRUPT || rc == ERR_NOT_LEADER ||
              ((action == TRANSFER || action == SUBMIT) && rc == ERR_BUSY) ||
              (action == TRANSFER && rc == ERR_UNAVAILABLE));
        if (rc == OK) {
            drain(&node);
        }
    }
    core_free(node.core);
    return 0;
}
