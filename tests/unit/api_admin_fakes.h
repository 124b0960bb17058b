/* What the tests of the administrator's door put in the place of the folders below it: the HTTP
 * door, the node, the peer client, the store; and of the pipeline beside it. For one program only:
 * it defines functions. */
#ifndef TESTS_UNIT_API_ADMIN_FAKES_H
#define TESTS_UNIT_API_ADMIN_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/replicate_door.h"
#include "api/request_state.h"
#include "api/snapshot_door.h"
#include "api/touches.h"
#include "command_table_fake.h"
#include "crypto/digest.h"

#define SELF  UINT64_C(0x11)
#define OTHER UINT64_C(0x22)
#define NEW   UINT64_C(0x33)
#define DOORS "n3.example.org:7600,n3.example.org:7500"

struct exchange {
    struct http_request request;
    const char *peer_region;
    uint64_t peer_node;
    unsigned replies;
    int status;
    char body[64 * 1024];
};
struct worker_timer {
    void (*run)(void *arg);
    void *arg;
};

static struct {
    struct worker_task *posted;
    struct worker_timer timer; /* the deadline */
    bool timer_runs;
    struct worker_timer again;
    bool again_runs;
    struct ticket *ticket;
    struct node_change *change;
    struct proposal *proposal;
    struct peer_call *call;
    enum errc refuse; /* what everything below says at once */
    struct node_status status;
    enum command_type type;
    uint8_t digest[DIGEST_SIZE];
    int64_t lifetime_ms;
    uint64_t user;    /* of the command that uses a token */
    uint64_t used_by; /* as the state has it; 0: no such token */
    unsigned views;
} fake;

const struct http_request *exchange_request(const struct exchange *exchange) {
    return &exchange->request;
}
struct worker *exchange_worker(const struct exchange *exchange) {
    return NULL;
}
const char *exchange_peer_region(const struct exchange *exchange) {
    return exchange->peer_region;
}
uint64_t exchange_peer_node(const struct exchange *exchange) {
    return exchange->peer_node;
}
void exchange_reply(struct exchange *exchange, const struct http_response *response) {
    exchange->replies++;
    exchange->status = response->status;
    assert_true(response->body_len < sizeof(exchange->body));
    memcpy(exchange->body, response->body, response->body_len);
    exchange->body[response->body_len] = '\0';
    http_request_fini(&exchange->request);
}
void exchange_reply_raw(struct exchange *exchange, const uint8_t *data, size_t len) {
    fail();
}
void worker_post(struct worker *worker, struct worker_task *task) {
    assert_null(fake.posted);
    fake.posted = task;
}
struct worker_timer *worker_timer_start(struct worker *worker, unsigned ms, void (*run)(void *arg),
                                        void *arg) {
    bool is_deadline = ms == LIMIT_ADMIN_MS;
    struct worker_timer *timer = is_deadline ? &fake.timer : &fake.again;
    bool *runs = is_deadline ? &fake.timer_runs : &fake.again_runs;

    assert_false(*runs);
    *timer = (struct worker_timer){run, arg};
    *runs = true;
    return timer;
}
void worker_timer_cancel(struct worker_timer *timer) {
    bool *runs = timer == &fake.timer ? &fake.timer_runs : &fake.again_runs;

    if (timer != NULL) {
        assert_true(*runs);
        *runs = false;
    }
}

enum errc node_read_barrier(const struct node *node) {
    return OK;
}
void node_status(const struct node *node, struct node_status *ret) {
    *ret = fake.status;
}
enum errc node_ask(struct node *node, struct ticket *ticket) {
    assert_int_equal(ticket->kind, TICKET_LEADER);
    fake.ticket = fake.refuse == OK ? ticket : NULL;
    return fake.refuse;
}
enum errc node_change_ask(struct node *node, struct node_change *change) {
    fake.change = fake.refuse == OK ? change : NULL;
    return fake.refuse;
}
struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = calloc(1, sizeof(*proposal));

    assert_non_null(proposal);
    proposal->type = type;
    fake.type = type;
    if (type == COMMAND_JOIN_TOKEN_SET) {
        const Redoubt__JoinTokenSet *set = (const Redoubt__JoinTokenSet *)command;
        memcpy(fake.digest, set->digest.data, DIGEST_SIZE);
        fake.lifetime_ms = set->expires_ms - set->now_ms;
    } else if (type == COMMAND_JOIN_TOKEN_USE) {
        const Redoubt__JoinTokenUse *use = (const Redoubt__JoinTokenUse *)command;
        memcpy(fake.digest, use->digest.data, DIGEST_SIZE);
        fake.user = use->node;
        assert_string_equal(use->address, DOORS);
    }
    return proposal;
}
void proposal_free(struct proposal *proposal) {
    if (proposal != NULL) {
        free(proposal->result);
        free(proposal);
    }
}
enum errc node_propose(struct node *node, struct proposal *proposal) {
    fake.proposal = fake.refuse == OK ? proposal : NULL;
    return fake.refuse;
}
struct peer_call *peer_call_new(void) {
    return calloc(1, sizeof(struct peer_call));
}
void peer_call_free(struct peer_call *call) {
    if (call != NULL) {
        buf_fini(&call->body);
        buf_fini(&call->response);
        free(call);
    }
}
enum errc peer_client_call(struct peer_client *client, struct peer_call *call) {
    fake.call = fake.refuse == OK ? call : NULL;
    return fake.refuse;
}
struct view *view_new(struct engine *engine) {
    fake.views++;
    return (struct view *)&fake;
}
void view_free(struct view *view) {
    fake.views--;
}
enum errc view_applied(const struct view *view, uint64_t *ret) {
    return OK;
}
enum errc view_join_tokens(const struct view *view, Redoubt__JoinTokens **ret) {
    Redoubt__JoinTokens *tokens = malloc(sizeof(*tokens));
    Redoubt__JoinToken *token = malloc(sizeof(*token));

    assert_true(tokens != NULL && token != NULL);
    redoubt__join_tokens__init(tokens);
    redoubt__join_token__init(token);
    token->digest.len = DIGEST_SIZE;
    token->digest.data = malloc(DIGEST_SIZE);
    assert_non_null(token->digest.data);
    memcpy(token->digest.data, fake.digest, DIGEST_SIZE);
    token->has_used_by = fake.used_by != 0;
    token->used_by = fake.used_by;
    tokens->tokens = malloc(sizeof(Redoubt__JoinToken *));
    assert_non_null(tokens->tokens);
    tokens->tokens[0] = token;
    tokens->n_tokens = 1;
    *ret = tokens;
    return OK;
}

void request_start(struct exchange *exchange, const struct service *service, enum request_from from,
                   struct http_request *forwarded) {
    fail();
}
/* The other rows of the peer door. */
void replicate_handle(struct exchange *exchange, const struct service *at) {
    fail();
}
void replicate_for_handle(struct exchange *exchange, const struct service *at) {
    fail();
}
void touch_handle(struct exchange *exchange, const struct service *at) {
    fail();
}
void snapshot_handle(struct exchange *exchange, const struct service *at) {
    fail();
}

bool node_has_member(const struct node *node, uint64_t id) {
    return id != 0;
}

/* --- the world --- */

static int64_t wall_ms(void *ctx) {
    return INT64_C(1768480245000);
}
static uint64_t mono_ms(void *ctx) {
    return 1000;
}
static void no_random(void *ctx, void *out, size_t len) {
    memset(out, 0xab, len);
}
static const struct world world = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = no_random};

#endif
