#include "api/join_door.h"

#include "api/admin_door.h"
#include "api/json_text.h"
#include "api/response.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "cluster/member.h"
#include "crypto/digest.h"
#include "crypto/tls.h"
#include "storage/view.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { REJOIN_SECONDS = 10 * 60, BODY_MAX = 256 * 1024, CERTIFICATE_MAX = 64 * 1024 };

/* --- GET /v1/ca --- */

void join_ca_handle(struct exchange *exchange, const struct service *service) {
    struct http_response response = {.status = 200, .content_type = "application/x-pem-file"};
    struct buf pem;
    int fd = open(service->peer_ca, O_RDONLY | O_CLOEXEC);
    uint8_t *room;
    ssize_t n = -1;

    buf_init(&pem, CERTIFICATE_MAX);
    room = buf_reserve(&pem, CERTIFICATE_MAX);
    if (fd >= 0 && room != NULL) {
        n = read(fd, room, CERTIFICATE_MAX);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n <= 0) {
        response_send_text(exchange, 503, "the authority's certificate cannot be read");
    } else {
        response.body = room;
        response.body_len = (size_t)n;
        exchange_reply(exchange, &response);
    }
    buf_fini(&pem);
}

/* --- the group that it belongs to now --- */

static const struct node_member *member_of(const struct node_status *status, uint64_t id) {
    for (size_t i = 0; i < status->n_members; i++) {
        if (status->members[i].id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

static void reply_group(struct errand *errand) {
    const struct node_status *status = errand_look(errand);
    char id[ADMIN_ID_TEXT + 1];
    struct buf more, body;

    if (status == NULL) {
        return;
    }
    CRASHPOINT(JOIN_ADDED);
    buf_init(&more, BODY_MAX);
    buf_init(&body, BODY_MAX);
    if (errand->certificate.len > 0) {
        buf_append_str(&more, ",\"certificate\":");
        json_text_string(&more, errand->certificate.data, errand->certificate.len);
    }
    buf_append_u8(&more, '\0');
    admin_picture_write(&body, errand->service->region, status, (const char *)more.data);
    body.failed = body.failed || more.failed;
    admin_id_write(errand->ask.id, id);
    LOG_INFO("admin.joined", F_STR("node", id), F_STR("address", errand->ask.address));
    errand_reply(errand, &body);
    buf_fini(&more);
    buf_fini(&body);
}

/* --- POST /v1/join --- */

static void join_add(struct errand *errand) {
    const struct node_status *status = errand_look(errand);

    if (status == NULL) {
        return;
    }
    if (member_of(status, errand->ask.id) != NULL) {
        reply_group(errand);
    } else {
        errand_change(errand, NODE_ADD, errand->ask.id, errand->ask.address, reply_group);
    }
}

/* The token was good: the node gets its certificate, and then its place. */
static void join_sign(struct errand *errand) {
    const struct service *service = errand->service;
    const char *request = errand->ask.request;
    struct err err;
    enum errc code;

    CRASHPOINT(JOIN_TOKEN_USED);
    if (request == NULL) {
        join_add(errand);
        return;
    }
    code = tls_request_sign(service->peer_ca, service->peer_ca_key, (const uint8_t *)request,
                            strlen(request), service->region, errand->ask.id, &errand->certificate,
                            &err);
    if (code != OK) {
        errand_fail(errand, code, "The certificate cannot be made: %s", err.message);
    } else {
        join_add(errand);
    }
}

/* The token was used, by this very node; and holds, if that is asked. */
static bool was_used(const struct errand *errand, const uint8_t digest[DIGEST_SIZE],
                     bool and_holds) {
    int64_t now_ms = and_holds ? world_wall_ms(errand->service->world) : INT64_MIN;
    struct view *view = view_new(errand->service->engine);
    Redoubt__JoinTokens *tokens = NULL;
    bool found = false;

    if (view == NULL || view_join_tokens(view, &tokens) != OK) {
        tokens = NULL;
    }
    for (size_t i = 0; tokens != NULL && i < tokens->n_tokens; i++) {
        const Redoubt__JoinToken *token = tokens->tokens[i];
        found = found || (token->digest.len == DIGEST_SIZE && token->has_used_by &&
                          token->used_by == errand->ask.id && token->expires_ms > now_ms &&
                          memcmp(token->digest.data, digest, DIGEST_SIZE) == 0);
    }
    redoubt__join_tokens__free_unpacked(tokens, NULL);
    view_free(view);
    return found;
}

/* A token is good for a node of its own, never for the name of another one: its certificate would
 * let the joiner vote in that one's place. A member may only ask again for what its own token gave
 * it. */
static bool is_no_other(const struct errand *errand, const struct node_status *status,
                        const uint8_t digest[DIGEST_SIZE]) {
    const struct node_member *member = member_of(status, errand->ask.id);

    return member == NULL ||
           (!member->is_voter && strcmp(member->address, errand->ask.address) == 0 &&
            was_used(errand, digest, false));
}

static bool join_is_sound(struct errand *errand, const uint8_t digest[DIGEST_SIZE]) {
    struct member_address address;

    if (member_address_parse(errand->ask.address, &address) != OK) {
        errand_fail(errand, ERR_MALFORMED, "address: HOST:PORT,HOST:PORT");
    } else if (errand->ask.request != NULL && errand->service->peer_ca_key == NULL) {
        errand_fail(errand, ERR_INVALID_REQUEST,
                    "The leader signs no certificates ([peer] ca_key is not set there). Make the "
                    "node's certificate where the authority's key is: redoubt region cert --node "
                    "%016" PRIx64 " --region %s ...; put it where the node's configuration says, "
                    "and join again.",
                    errand->ask.id, errand->service->region);
    } else if (!errand_needs_level(errand, COMMAND_JOIN_TOKEN_USE)) {
        return false;
    } else if (!is_no_other(errand, errand->seen, digest)) {
        errand_fail(errand, ERR_RESOURCE_EXISTS,
                    "Node %016" PRIx64
                    " is a member already. If it has lost its data: redoubt node "
                    "rebuild, on that node.",
                    errand->ask.id);
    } else {
        return true;
    }
    return false;
}

static void token_digest(const struct errand *errand, uint8_t out[DIGEST_SIZE]) {
    digest_sha256(errand->ask.token, strlen(errand->ask.token), out);
}

static void use_token(struct errand *errand, errand_fn *then) {
    Redoubt__JoinTokenUse command = REDOUBT__JOIN_TOKEN_USE__INIT;
    uint8_t digest[DIGEST_SIZE];

    token_digest(errand, digest);
    command.has_digest = true;
    command.digest = (ProtobufCBinaryData){.len = sizeof(digest), .data = digest};
    command.has_now_ms = true;
    command.now_ms = world_wall_ms(errand->service->world);
    command.has_node = true;
    command.node = errand->ask.id;
    command.address = errand->ask.address;
    errand_propose(errand, COMMAND_JOIN_TOKEN_USE, &command.base, then);
}

void join_run(struct errand *errand) {
    uint8_t digest[DIGEST_SIZE];

    buf_reset(&errand->certificate);
    token_digest(errand, digest);
    if (join_is_sound(errand, digest)) {
        use_token(errand, join_sign);
    }
}

void join_handle(struct exchange *exchange, const struct service *service) {
    errand_take(exchange, service, errand_row_find("POST", JOIN_PATH, strlen(JOIN_PATH)),
                &exchange_request(exchange)->body, 0, false);
}

/* --- POST /v1/rejoin --- */

static void rejoin_add(struct errand *errand) {
    CRASHPOINT(REJOIN_REMOVED);
    errand_change(errand, NODE_ADD, errand->ask.id, errand->ask.address, reply_group);
}

static void rejoin_remove(struct errand *errand) {
    errand_change(errand, NODE_REMOVE, errand->ask.id, NULL, rejoin_add);
}

static void rejoin_bind(struct errand *errand) {
    use_token(errand, rejoin_remove);
}

/* Between leaving and coming back it is no member, and nobody would know it any more if this leader
 * died there. So the token that it brings is made good first, for this node alone and for a short
 * time: with it, it may join. */
static void rejoin_permit(struct errand *errand) {
    Redoubt__JoinTokenSet command = REDOUBT__JOIN_TOKEN_SET__INIT;
    uint8_t digest[DIGEST_SIZE];

    token_digest(errand, digest);
    if (errand->ask.token[0] == '\0' ||
        errand->seen->level < command_kind_find(COMMAND_JOIN_TOKEN_SET)->level ||
        was_used(errand, digest, true)) {
        rejoin_remove(errand);
        return;
    }
    command.has_digest = true;
    command.digest = (ProtobufCBinaryData){.len = sizeof(digest), .data = digest};
    command.has_now_ms = true;
    command.now_ms = world_wall_ms(errand->service->world);
    command.has_expires_ms = true;
    command.expires_ms = command.now_ms + REJOIN_SECONDS * 1000;
    errand_propose(errand, COMMAND_JOIN_TOKEN_SET, &command.base, rejoin_bind);
}

/* What it promised as a voter went with its data: it must not count as one before it has caught up,
 * so it leaves and comes back. Who is no member has no place to come back to: a removed node keeps
 * its certificate. */
void rejoin_run(struct errand *errand) {
    const struct node_status *status = errand_look(errand);
    struct member_address address;

    if (status == NULL) {
        return;
    }
    if (member_address_parse(errand->ask.address, &address) != OK) {
        errand_fail(errand, ERR_MALFORMED, "address: HOST:PORT,HOST:PORT");
    } else if (member_of(status, errand->ask.id) == NULL) {
        errand_fail(errand, ERR_ACCESS_DENIED,
                    "Node %016" PRIx64 " is no member of the region. Let it join, with a token.",
                    errand->ask.id);
    } else {
        rejoin_permit(errand);
    }
}

void rejoin_handle(struct exchange *exchange, const struct service *service) {
    errand_take(exchange, service, errand_row_find("POST", REJOIN_PATH, strlen(REJOIN_PATH)),
                &exchange_request(exchange)->body, exchange_peer_node(exchange), false);
}
