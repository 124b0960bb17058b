#include "cluster/command.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/refuse.h"
#include "cluster/envelope.h"

#include <stdlib.h>

/* Only tests are built with another number: of releases that do not exist yet, to upgrade to them.
 * Each is a level newer and has one command of that level; the second takes no region of ours. */
#ifndef REDOUBT_RELEASES_AHEAD
#define REDOUBT_RELEASES_AHEAD 0
#endif

enum { OLDEST = 1, NEWEST = 3, AHEAD = REDOUBT_RELEASES_AHEAD };

const struct command_levels command_levels = {
    .oldest = AHEAD > 1 ? NEWEST + AHEAD - 1 : OLDEST,
    .newest = NEWEST + AHEAD,
};

#define LEVEL_OF(number, required)                                                                 \
    (AHEAD > 0 && (number) == COMMAND_JOIN_TOKEN_SET ? NEWEST + 1 : (required))

const struct command_kind command_kinds[] = {
#define X(number, symbol, message, required, text)                                                 \
    {.type = (number),                                                                             \
     .level = LEVEL_OF(number, required),                                                          \
     .name = #symbol,                                                                              \
     .sentence = (text),                                                                           \
     .descriptor = &redoubt__##message##__descriptor,                                              \
     .apply = message##_apply},
#include "cluster/command.def"
#undef X
};
const size_t command_kinds_len = ARRAY_LEN(command_kinds);

const struct command_kind *command_kind_find(uint16_t type) {
    for (size_t i = 0; i < command_kinds_len; i++) {
        if (command_kinds[i].type == type) {
            return &command_kinds[i];
        }
    }
    return NULL;
}

void command_quotas(const struct quotas *quotas, Redoubt__Quotas *ret) {
    redoubt__quotas__init(ret);
    ret->has_secrets = true;
    ret->secrets = (uint64_t)quotas->secrets;
    ret->has_versions_kept = true;
    ret->versions_kept = (uint32_t)quotas->versions_kept;
    ret->has_labels = true;
    ret->labels = (uint32_t)quotas->labels;
    ret->has_tags = true;
    ret->tags = (uint32_t)quotas->tags;
}

/* What a newer release would refuse to be without must stop an older one: it would go on with a
 * state that lacks it. */
static uint16_t level_at_least(uint16_t least, protobuf_c_boolean has, uint32_t level) {
    if (!has || level <= least) {
        return least;
    }
    return level > UINT16_MAX ? UINT16_MAX : (uint16_t)level;
}

uint16_t command_level(enum command_type type, const ProtobufCMessage *message) {
    const struct command_kind *kind = command_kind_find((uint16_t)type);

    CHECK(kind != NULL && message->descriptor == kind->descriptor);
    if (type == COMMAND_REGION_INIT) {
        const Redoubt__RegionInit *init = (const Redoubt__RegionInit *)message;
        return level_at_least(kind->level, init->has_level, init->level);
    }
    if (type == COMMAND_SET_LEVEL) {
        const Redoubt__SetLevel *set = (const Redoubt__SetLevel *)message;
        return level_at_least(kind->level, set->has_level, set->level);
    }
    return kind->level;
}

void command_encode(struct buf *out, enum command_type type, const ProtobufCMessage *message) {
    const struct command_kind *kind = command_kind_find((uint16_t)type);
    size_t size = protobuf_c_message_get_packed_size(message);
    struct buf payload;
    uint8_t *room;

    CHECK(kind != NULL && message->descriptor == kind->descriptor);
    buf_init(&payload, LIMIT_COMMAND);
    room = buf_reserve(&payload, size);
    if (room == NULL && size > 0) {
        out->failed = true;
    } else {
        payload.len = size > 0 ? protobuf_c_message_pack(message, room) : 0;
        CHECK(payload.len == size);
        envelope_append(out, kind->type, command_level(type, message), payload.data, payload.len);
    }
    buf_fini(&payload);
}

/* A raise whose envelope lets nodes apply it that do not know the level: every node refuses it, or
 * they would part here. No release makes one. */
static bool raises_past_envelope(const struct envelope *envelope, const ProtobufCMessage *message) {
    bool raises = envelope->type == COMMAND_REGION_INIT || envelope->type == COMMAND_SET_LEVEL;

    return raises &&
           command_level((enum command_type)envelope->type, message) > envelope->level_required;
}

/* Out of memory must not look like a malformed message: the other nodes would go on with another
 * state. */
static void *apply_alloc(void *data, size_t size) {
    void *ptr = malloc(size);

    CHECK(ptr != NULL);
    return ptr;
}

static void apply_free(void *data, void *ptr) {
    free(ptr);
}

static ProtobufCAllocator apply_allocator = {.alloc = apply_alloc, .free = apply_free};

enum errc command_apply(struct txn *txn, const struct apply_context *context, const uint8_t *data,
                        size_t len, size_t *ret_used, Redoubt__Result **ret) {
    const struct command_kind *kind;
    struct envelope envelope;
    ProtobufCMessage *message;
    Redoubt__Result *result;
    size_t used;
    enum errc code = envelope_next(data, len, &envelope, &used);

    if (code != OK) {
        return code;
    }
    kind = command_kind_find(envelope.type);
    if (kind == NULL || envelope.level_required > command_levels.newest) {
        return ERR_LEVEL;
    }
    result = malloc(sizeof(*result));
    CHECK(result != NULL);
    redoubt__result__init(result);
    /* The checksum held, so every node sees these same bytes: a payload that does not follow its
     * schema is refused by all alike. */
    message = protobuf_c_message_unpack(kind->descriptor, &apply_allocator, envelope.payload_len,
                                        envelope.payload);
    if (message == NULL || raises_past_envelope(&envelope, message)) {
        refuse_malformed(result);
    } else if (context->region[0] == '\0' && kind->type != COMMAND_REGION_INIT) {
        refuse(result, ERR_UNAVAILABLE, "The region has no name yet. Try again.");
    } else {
        kind->apply(txn, context, message, result);
    }
    metric_add_at(METRIC_FSM_COMMANDS, kind->type, 1);
    protobuf_c_message_free_unpacked(message, &apply_allocator);
    *ret_used = used;
    *ret = result;
    return OK;
}

void command_result_free(Redoubt__Result *result) {
    redoubt__result__free_unpacked(result, NULL);
}
