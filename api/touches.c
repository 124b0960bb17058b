#include "api/touches.h"

#include "api/peer_door.h"
#include "api/response.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECENT = 4096,           /* secrets, each in the one place that its hash names */
    AGAIN_MS = 10 * 1000,    /* after that a touch that is still missing here was lost */
    ITEMS = LIMIT_BATCH_GET, /* of one command */
    ITEM_MAX = 2048,         /* account, name, suffix, version and a day are half of it */
    BODY_MAX = ITEMS * ITEM_MAX,
};

struct recent {
    uint64_t hash;
    uint64_t until_ms;
};

struct gathered {
    uint64_t hashes[ITEMS];
    size_t n;
};

struct touches {
    const char *region;
    struct node *node;
    struct peer_client *peers;
    const struct world *world;
    uint64_t seed;
    pthread_mutex_t lock; /* of the rest */
    struct recent recent[RECENT];
    struct buf bytes; /* of what waits: a SecretsTouch, grown item by item */
    struct gathered waiting;
    struct gathered sent; /* by the call under way */
    bool is_under_way;
};

struct touches *touches_new(const char *region, struct node *node, struct peer_client *peers,
                            const struct world *world) {
    struct touches *touches = calloc(1, sizeof(*touches));

    if (touches == NULL) {
        return NULL;
    }
    touches->region = region;
    touches->node = node;
    touches->peers = peers;
    touches->world = world;
    world_random(world, &touches->seed, sizeof(touches->seed));
    buf_init(&touches->bytes, BODY_MAX);
    CHECK(pthread_mutex_init(&touches->lock, NULL) == 0);
    return touches;
}

void touches_free(struct touches *touches) {
    if (touches == NULL) {
        return;
    }
    CHECK(!touches->is_under_way);
    buf_fini(&touches->bytes);
    CHECK(pthread_mutex_destroy(&touches->lock) == 0);
    free(touches);
}

/* --- what was sent lately; lock held --- */

/* FNV-1a from a secret start, so that nobody chooses names that share a place. */
static uint64_t hash_of(const struct touches *touches, const uint8_t *data, size_t len) {
    uint64_t hash = touches->seed ^ UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct recent *recent_place(struct touches *touches, uint64_t hash) {
    return &touches->recent[(hash >> 32) % RECENT];
}

static bool recent_has(struct touches *touches, uint64_t hash, uint64_t now_ms) {
    const struct recent *recent = recent_place(touches, hash);

    return recent->hash == hash && now_ms < recent->until_ms;
}

static void recent_forget(struct touches *touches, const struct gathered *gathered) {
    for (size_t i = 0; i < gathered->n; i++) {
        struct recent *recent = recent_place(touches, gathered->hashes[i]);
        if (recent->hash == gathered->hashes[i]) {
            recent->until_ms = 0;
        }
    }
}

/* --- sending; lock held --- */

static void call_done(struct peer_call *call);

static enum errc send_call(struct touches *touches) {
    struct node_status status;
    struct peer_call *call;
    enum errc code;

    node_status(touches->node, &status);
    if (status.leader == 0 || status.leader == status.id) {
        return ERR_UNAVAILABLE;
    }
    call = peer_call_new();
    if (call == NULL) {
        return ERR_NO_MEMORY;
    }
    buf_append(&call->body, touches->bytes.data, touches->bytes.len);
    call->region = touches->region;
    call->node = status.leader;
    call->path = "/v1/touch";
    call->content_type = "application/octet-stream";
    call->done_cb = call_done;
    call->arg = touches;
    code = call->body.failed ? ERR_NO_MEMORY : peer_client_call(touches->peers, call);
    if (code != OK) {
        peer_call_free(call);
    }
    return code;
}

/* What waits goes, or is dropped. */
static void send_waiting(struct touches *touches) {
    if (touches->is_under_way || touches->waiting.n == 0) {
        return;
    }
    if (send_call(touches) == OK) {
        touches->sent = touches->waiting;
        touches->is_under_way = true;
    } else {
        recent_forget(touches, &touches->waiting);
    }
    touches->waiting.n = 0;
    buf_reset(&touches->bytes);
}

/* The client's thread. */
static void call_done(struct peer_call *call) {
    struct touches *touches = call->arg;

    CHECK(pthread_mutex_lock(&touches->lock) == 0);
    touches->is_under_way = false;
    if (call->code != OK || call->status != 200) {
        LOG_DEBUG("touches.lost", F_I64("status", call->status), F_STR("error", call->error));
        recent_forget(touches, &touches->sent);
    }
    send_waiting(touches);
    CHECK(pthread_mutex_unlock(&touches->lock) == 0);
    peer_call_free(call);
}

/* --- gathering --- */

/* Messages of one type end to end are one message with the items of all. */
static void leave_one(struct touches *touches, Redoubt__SecretTouch *touch, uint64_t now_ms) {
    Redoubt__SecretsTouch message = REDOUBT__SECRETS_TOUCH__INIT;
    uint8_t bytes[ITEM_MAX];
    uint64_t hash;
    size_t len;

    message.n_items = 1;
    message.items = &touch;
    if (touches->waiting.n == ITEMS ||
        redoubt__secrets_touch__get_packed_size(&message) > ITEM_MAX) {
        return;
    }
    len = redoubt__secrets_touch__pack(&message, bytes);
    hash = hash_of(touches, bytes, len);
    if (recent_has(touches, hash, now_ms)) {
        return;
    }
    buf_append(&touches->bytes, bytes, len);
    if (touches->bytes.failed) {
        recent_forget(touches, &touches->waiting);
        touches->waiting.n = 0;
        buf_reset(&touches->bytes);
        return;
    }
    *recent_place(touches, hash) = (struct recent){hash, now_ms + AGAIN_MS};
    touches->waiting.hashes[touches->waiting.n++] = hash;
}

void touches_leave(struct touches *touches, enum command_type type,
                   const ProtobufCMessage *message) {
    Redoubt__SecretsTouch one = REDOUBT__SECRETS_TOUCH__INIT;
    /* Protobuf's functions have no const, but only read. */
    Redoubt__SecretTouch *touch = (Redoubt__SecretTouch *)(uintptr_t)message;
    const Redoubt__SecretsTouch *all = &one;
    uint64_t now_ms;

    if (touches == NULL) {
        return;
    }
    if (type == COMMAND_SECRETS_TOUCH) {
        all = (const Redoubt__SecretsTouch *)message;
    } else {
        CHECK(type == COMMAND_SECRET_TOUCH);
        one.n_items = 1;
        one.items = &touch;
    }
    now_ms = world_mono_ms(touches->world);
    CHECK(pthread_mutex_lock(&touches->lock) == 0);
    for (size_t i = 0; i < all->n_items; i++) {
        leave_one(touches, all->items[i], now_ms);
    }
    send_waiting(touches);
    CHECK(pthread_mutex_unlock(&touches->lock) == 0);
}

/* --- POST /v1/touch --- */

static void proposal_drop(struct proposal *proposal) {
    proposal_free(proposal);
}

static enum errc propose(struct node *node, const struct buf *body) {
    Redoubt__SecretsTouch *message = NULL;
    struct proposal *proposal = NULL;
    enum errc code;

    if (!node_is_leader(node)) {
        return ERR_NOT_LEADER;
    }
    if (body->len <= BODY_MAX) {
        message = redoubt__secrets_touch__unpack(NULL, body->len, body->data);
    }
    if (message == NULL || message->n_items == 0 || message->n_items > ITEMS) {
        redoubt__secrets_touch__free_unpacked(message, NULL);
        return ERR_MALFORMED;
    }
    proposal = proposal_new(COMMAND_SECRETS_TOUCH, &message->base);
    redoubt__secrets_touch__free_unpacked(message, NULL);
    if (proposal == NULL) {
        return ERR_NO_MEMORY;
    }
    proposal->done_cb = proposal_drop;
    code = node_propose(node, proposal);
    if (code != OK) {
        proposal_free(proposal);
    }
    return code;
}

void touch_handle(struct exchange *exchange, const struct service *service) {
    enum errc code = propose(service->node, &exchange_request(exchange)->body);

    if (code == OK) {
        response_send_text(exchange, 200, "taken");
    } else {
        response_send_text(exchange,
                           code == ERR_NOT_LEADER ? PEER_MISDIRECTED : peer_door_status(code),
                           errc_sentence(code));
    }
}
