#include "api/admin_door.h"

#include "api/errand.h"
#include "api/join_door.h"
#include "api/peer_door.h"
#include "api/response.h"
#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/digest.h"
#include "crypto/tls.h"

#include <inttypes.h>
#include <string.h>

enum {
    TOKEN_SECONDS = 60 * 60,
    TOKEN_BYTES = ADMIN_TOKEN_TEXT / 2,
    BODY_MAX = 256 * 1024,
    FINGERPRINT_TEXT = 64,
};

/* --- looking --- */

static void reply_picture(struct errand *errand) {
    const struct node_status *status = errand_look(errand);
    struct buf body;

    if (status == NULL) {
        return;
    }
    buf_init(&body, BODY_MAX);
    admin_picture_write(&body, errand->service->region, status, NULL);
    errand_reply(errand, &body);
    buf_fini(&body);
}

/* The leader knows more; without one, our own view has to do. */
static void look_at_members(struct errand *errand) {
    const struct node_status *status = errand_look(errand);

    if (status == NULL) {
        return;
    }
    if (!errand->is_forwarded && status->leader != 0 && status->leader != status->id) {
        errand_forward(errand, status->leader, reply_picture);
    } else {
        reply_picture(errand);
    }
}

/* --- changing --- */

static void reply_done(struct errand *errand) {
    struct buf body;

    buf_init(&body, BODY_MAX);
    buf_append_str(&body, "{\"done\":true}");
    errand_reply(errand, &body);
    buf_fini(&body);
}

static void run_promote(struct errand *errand) {
    errand_change(errand, NODE_PROMOTE, errand->ask.id, NULL, reply_done);
}

static void run_remove(struct errand *errand) {
    errand_change(errand, NODE_REMOVE, errand->ask.id, NULL, reply_done);
}

static void run_transfer(struct errand *errand) {
    errand_change(errand, NODE_TRANSFER, errand->ask.id, NULL, reply_done);
}

static void run_raise(struct errand *errand) {
    errand_change(errand, NODE_RAISE_LEVEL, 0, NULL, reply_done);
}

/* --- tokens --- */

static void reply_token(struct errand *errand) {
    char fingerprint[FINGERPRINT_TEXT + 1];
    struct err err;
    struct buf body;

    if (tls_fingerprint(errand->service->peer_ca, fingerprint, &err) != OK) {
        errand_fail(errand, ERR_IO, "%s", err.message);
        return;
    }
    buf_init(&body, BODY_MAX);
    buf_printf(&body, "{\"token\":\"%s\",\"ca_sha256\":\"%s\",\"expires_ms\":%" PRId64 "}",
               errand->ask.token, fingerprint, errand->expires_ms);
    errand_reply(errand, &body);
    buf_fini(&body);
}

static void run_token(struct errand *errand) {
    const struct service *service = errand->service;
    int64_t lifetime_s = errand->ask.lifetime_s != 0 ? errand->ask.lifetime_s : TOKEN_SECONDS;
    Redoubt__JoinTokenSet command = REDOUBT__JOIN_TOKEN_SET__INIT;
    uint8_t token[TOKEN_BYTES];
    uint8_t digest[DIGEST_SIZE];

    if (!errand_needs_level(errand, COMMAND_JOIN_TOKEN_SET)) {
        return;
    }
    world_random(service->world, token, sizeof(token));
    hex_encode(token, sizeof(token), errand->ask.token);
    wipe(token, sizeof(token));
    digest_sha256(errand->ask.token, ADMIN_TOKEN_TEXT, digest);
    command.has_digest = true;
    command.digest = (ProtobufCBinaryData){.len = sizeof(digest), .data = digest};
    command.has_now_ms = true;
    command.now_ms = world_wall_ms(service->world);
    command.has_expires_ms = true;
    command.expires_ms = command.now_ms + lifetime_s * 1000;
    errand->expires_ms = command.expires_ms;
    errand_propose(errand, COMMAND_JOIN_TOKEN_SET, &command.base, reply_token);
}

/* --- the table --- */

const struct errand_row errand_rows[] = {
    {"GET", "/v1/status", true, false, NULL, reply_picture},
    {"GET", "/v1/members", true, false, NULL, look_at_members},
    {"POST", "/v1/members/promote", true, true, run_promote, NULL},
    {"POST", "/v1/members/remove", true, true, run_remove, NULL},
    {"POST", "/v1/members/transfer", true, false, run_transfer, NULL},
    {"POST", "/v1/level/raise", true, false, run_raise, NULL},
    {"POST", "/v1/tokens", true, false, run_token, NULL},
    {"POST", JOIN_PATH, false, true, join_run, NULL},
    {"POST", REJOIN_PATH, false, true, rejoin_run, NULL},
};
const size_t errand_rows_len = ARRAY_LEN(errand_rows);

const struct errand_row *errand_row_find(const char *method, const char *path, size_t path_len) {
    for (size_t i = 0; i < errand_rows_len; i++) {
        const struct errand_row *row = &errand_rows[i];
        if (strcmp(row->method, method) == 0 && strlen(row->path) == path_len &&
            memcmp(row->path, path, path_len) == 0) {
            return row;
        }
    }
    return NULL;
}

static void refuse(struct exchange *exchange, enum errc code, const char *reason) {
    struct http_response response = {.status = admin_status_of(code),
                                     .content_type = "application/json"};
    struct buf body;

    buf_init(&body, BODY_MAX);
    admin_error_write(&body, code, reason);
    response.body = body.data;
    response.body_len = body.len;
    exchange_reply(exchange, &response);
    buf_fini(&body);
}

void errand_take(struct exchange *exchange, const struct service *service,
                 const struct errand_row *row, const struct buf *body, uint64_t id,
                 bool is_forwarded) {
    struct admin_ask ask;
    struct err err;
    enum errc code = ERR_MALFORMED;

    if (body->len > LIMIT_ADMIN_BODY) {
        refuse(exchange, code, "The body is too long.");
        return;
    }
    code = admin_ask_read(body->data, body->len, &ask, &err);
    if (code != OK) {
        refuse(exchange, code, err.message);
        return;
    }
    if (id != 0) {
        ask.id = id;
    }
    errand_begin(exchange, service, row, &ask, is_forwarded);
}

void admin_handle(struct exchange *exchange, void *service) {
    const struct http_request *request = exchange_request(exchange);
    const struct errand_row *row =
        errand_row_find(request->method, request->target, request->target_len);

    if (row == NULL || !row->is_local) {
        refuse(exchange, ERR_RESOURCE_NOT_FOUND, "There is no such path here.");
        return;
    }
    errand_take(exchange, service, row, &request->body, 0, false);
}

void admin_forwarded_handle(struct exchange *exchange, const struct service *service) {
    const struct http_request *outer = exchange_request(exchange);
    const struct errand_row *row;
    struct http_request inner;

    if (outer->body.len > 2 * LIMIT_ADMIN_BODY ||
        peer_door_parse(outer->body.data, outer->body.len, &inner) != OK) {
        refuse(exchange, ERR_MALFORMED, "The body is not one HTTP request.");
        return;
    }
    row = errand_row_find(inner.method, inner.target, inner.target_len);
    if (row == NULL) {
        refuse(exchange, ERR_RESOURCE_NOT_FOUND, "There is no such path here.");
    } else {
        errand_take(exchange, service, row, &inner.body, 0, true);
    }
    http_request_fini(&inner);
}
