/* What the pipeline's test puts in the place of the folders below the pipeline: the HTTP door, the
 * node, the peer client, the store, the credentials, the inbound side; and a table of three
 * operations. For one program only: it defines functions. */
#ifndef TESTS_UNIT_API_PIPELINE_FAKES_H
#define TESTS_UNIT_API_PIPELINE_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/request.h"
#include "base/limits.h"
#include "command_table_fake.h"
#include "replication/inbound.h"

/* --- the fakes --- */

struct exchange {
    struct http_request request;
    const char *peer_region;
    uint64_t peer_node;
    unsigned replies;
    int status;
    char headers[512];
    char body[4096]; /* of the last reply, or its raw bytes */
};

struct worker_timer {
    bool runs;
    unsigned ms;
    void (*run)(void *arg);
    void *arg;
};

/* All that the fakes know and were told. */
static struct {
    struct worker_task *posted[8];
    size_t n_posted;
    struct worker_timer timers[4];
    enum errc barrier;
    bool is_follower;
    bool lacks_room;
    uint64_t leader;
    uint64_t age_ms;
    enum errc ask;
    struct ticket *tickets[4]; /* taken, not yet answered */
    size_t n_tickets;
    unsigned asked;
    enum errc propose;
    struct proposal *proposals[8]; /* taken, not yet done */
    size_t n_proposals;
    unsigned proposed;
    size_t proposed_touches;
    enum errc call;
    struct peer_call *pending_call;
    unsigned called;
    unsigned views;
    enum errc inbound;
    unsigned inbound_preludes;
    /* what the operations do */
    enum errc read_code;
    enum errc prepare_code;
    unsigned preludes;
    unsigned prepared;
    bool leaves_after;
    char seen_id[64];
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

static void keep(char *out, size_t size, const void *data, size_t len) {
    assert_true(len < size);
    if (len > 0) {
        memcpy(out, data, len);
    }
    out[len] = '\0';
}

void exchange_reply(struct exchange *exchange, const struct http_response *response) {
    exchange->replies++;
    exchange->status = response->status;
    keep(exchange->headers, sizeof(exchange->headers), response->headers,
         response->headers != NULL ? strlen(response->headers) : 0);
    keep(exchange->body, sizeof(exchange->body), response->body, response->body_len);
    http_request_fini(&exchange->request); /* as the door does: gone with the reply */
}
void exchange_reply_raw(struct exchange *exchange, const uint8_t *data, size_t len) {
    exchange->replies++;
    exchange->status = -1;
    keep(exchange->body, sizeof(exchange->body), data, len);
    http_request_fini(&exchange->request);
}

void worker_post(struct worker *worker, struct worker_task *task) {
    assert_true(fake.n_posted < ARRAY_LEN(fake.posted));
    fake.posted[fake.n_posted++] = task;
}
struct worker_timer *worker_timer_start(struct worker *worker, unsigned ms, void (*run)(void *arg),
                                        void *arg) {
    struct worker_timer *timer = fake.timers;

    while (timer->runs) {
        timer++;
        assert_true(timer < fake.timers + ARRAY_LEN(fake.timers));
    }
    *timer = (struct worker_timer){.runs = true, .ms = ms, .run = run, .arg = arg};
    return timer;
}
void worker_timer_cancel(struct worker_timer *timer) {
    if (timer != NULL) {
        assert_true(timer->runs);
        timer->runs = false;
    }
}

enum errc node_read_barrier(const struct node *node) {
    return fake.barrier;
}
void node_status(const struct node *node, struct node_status *ret) {
    *ret = (struct node_status){.role = fake.is_follower ? "follower" : "leader",
                                .id = 1,
                                .leader = fake.leader,
                                .ready = fake.barrier == OK};
}
enum { REMOVED_NODE = 99 };
bool node_has_member(const struct node *node, uint64_t id) {
    return id != 0 && id != REMOVED_NODE;
}
bool node_is_leader(const struct node *node) {
    return !fake.is_follower;
}
bool node_lacks_room(const struct node *node) {
    return fake.lacks_room;
}
uint64_t node_leader(const struct node *node) {
    return fake.leader;
}
uint64_t node_age_ms(const struct node *node) {
    assert_int_equal(fake.views, 0); /* it is no older than this says */
    return fake.age_ms;
}
enum errc node_ask(struct node *node, struct ticket *ticket) {
    fake.asked++;
    if (fake.ask == OK) {
        assert_true(fake.n_tickets < ARRAY_LEN(fake.tickets));
        fake.tickets[fake.n_tickets++] = ticket;
    }
    return fake.ask;
}
struct proposal *proposal_new(enum command_type type, const ProtobufCMessage *command) {
    struct proposal *proposal = calloc(1, sizeof(*proposal));

    assert_non_null(proposal);
    proposal->type = type;
    fake.proposed_touches =
        type == COMMAND_SECRETS_TOUCH ? ((const Redoubt__SecretsTouch *)command)->n_items : 0;
    return proposal;
}
void proposal_free(struct proposal *proposal) {
    if (proposal != NULL) {
        free(proposal->result);
        free(proposal);
    }
}
enum errc node_propose(struct node *node, struct proposal *proposal) {
    fake.proposed++;
    if (fake.propose == OK) {
        fake.proposals[fake.n_proposals++] = proposal;
    }
    return fake.propose;
}

enum errc node_change_ask(struct node *node, struct node_change *change) {
    return ERR_UNAVAILABLE;
}

struct peer_call *peer_call_new(void) {
    struct peer_call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    buf_init(&call->body, LIMIT_PEER_BODY);
    buf_init(&call->response, LIMIT_PEER_BODY);
    return call;
}
void peer_call_free(struct peer_call *call) {
    if (call != NULL) {
        buf_fini(&call->body);
        buf_fini(&call->response);
        free(call);
    }
}
enum errc peer_client_call(struct peer_client *client, struct peer_call *call) {
    assert_null(fake.pending_call);
    fake.called++;
    fake.pending_call = fake.call == OK ? call : NULL;
    return fake.call;
}

void peer_client_cancel(struct peer_client *client, struct peer_call *call) {
    atomic_store(&call->is_cancelled, true);
}

struct view *view_new(struct engine *engine) {
    fake.views++;
    return (struct view *)&fake;
}
void view_free(struct view *view) {
    fake.views--;
}
enum errc view_join_tokens(const struct view *view, Redoubt__JoinTokens **ret) {
    return OK;
}
enum errc view_applied(const struct view *view, uint64_t *ret) {
    *ret = 42;
    return OK;
}

static const struct identity root = {.access_key_id = "AKIDEXAMPLE",
                                     .account = "123456789012",
                                     .arn = "arn:aws:iam::123456789012:root"};
static const char secret_key[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const struct identity *credentials_find(const struct credentials *credentials,
                                        const char *access_key_id) {
    return strcmp(access_key_id, root.access_key_id) == 0 ? &root : NULL;
}
enum errc credentials_check_session(const struct credentials *credentials,
                                    const struct identity *identity,
                                    const struct sigv4_claim *claim, int64_t now_ms,
                                    struct err *err) {
    return claim->security_token == NULL ? OK : err_default(err, ERR_UNRECOGNIZED_CLIENT);
}
void credentials_signing_key(struct credentials *credentials, const struct identity *identity,
                             const struct sigv4_claim *claim, uint8_t out[32]) {
    struct secret key;

    assert_true(secret_init_copy(&key, secret_key, sizeof(secret_key) - 1));
    sigv4_signing_key(&key, claim->date, claim->region, claim->service, out);
    secret_fini(&key);
}

enum errc inbound_prepare(const struct inbound_context *context, const char *peer_region,
                          const uint8_t *data, size_t len, struct proposal **ret, bool *ret_prelude,
                          struct err *err) {
    if (fake.inbound != OK) {
        return err_default(err, fake.inbound);
    }
    assert_int_equal(len, 5);
    assert_memory_equal(data, "batch", 5);
    assert_string_equal(peer_region, "eu-west-1");
    *ret = proposal_new(COMMAND_INBOUND_BATCH, NULL);
    *ret_prelude = fake.inbound_preludes > 0;
    fake.inbound_preludes -= *ret_prelude ? 1 : 0;
    return OK;
}
enum errc inbound_answer(const struct inbound_context *context, const Redoubt__Result *result,
                         struct buf *out) {
    buf_append_str(out, "verdicts");
    return OK;
}

/* --- three operations --- */

#define READ_IN(X)                                                                                 \
    X(STR, id, "SecretId", F_REQ | F_SECRET_ID, 1, 2048, NULL)                                     \
    X(INT, n, "N", F_NONE, 0, SHAPE_NO_MAX, NULL)
#define READ_OUT(X) X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)
DECLARE_SHAPE_STRUCT(read_in, READ_IN)
#define SHAPE_SELF struct read_in
DEFINE_SHAPE(read_in, READ_IN)
#undef SHAPE_SELF
DECLARE_SHAPE_STRUCT(read_out, READ_OUT)
#define SHAPE_SELF struct read_out
DEFINE_SHAPE(read_out, READ_OUT)
#undef SHAPE_SELF

static const ProtobufCMessage some_message;
static Redoubt__SecretRef touched = REDOUBT__SECRET_REF__INIT;
static Redoubt__SecretTouch some_touch = REDOUBT__SECRET_TOUCH__INIT;

static enum errc read_run(struct op_context *context, const void *in, void *out) {
    const struct read_in *ask = in;
    struct read_out *reply = out;

    assert_non_null(context->view);
    assert_string_equal(context->identity->account, "123456789012");
    assert_string_equal(context->region, "us-east-1");
    (void)snprintf(fake.seen_id, sizeof(fake.seen_id), "%s", ask->id);
    if (fake.read_code != OK) {
        return err_set(context->err, fake.read_code, "read says no");
    }
    reply->name = arena_printf(context->arena, "%s%s", ask->id, context->stale ? " (stale)" : "");
    if (fake.leaves_after) {
        context->after_type = COMMAND_SECRET_TOUCH;
        touched.name = fake.seen_id;
        some_touch.ref = &touched;
        context->after = &some_touch.base;
    }
    return OK;
}

static enum errc write_prepare(struct op_context *context, const void *in, struct op_command *ret) {
    assert_non_null(context->view);
    fake.prepared++;
    if (fake.prepare_code != OK) {
        return fake.prepare_code; /* without a sentence */
    }
    *ret = (struct op_command){.type = COMMAND_SECRET_PUT, .message = &some_message};
    if (fake.preludes > 0) {
        fake.preludes--;
        ret->prelude = true;
    }
    return OK;
}

static enum errc write_reply(struct op_context *context, const void *in,
                             const Redoubt__Result *result, void *out) {
    assert_null(context->view);
    ((struct read_out *)out)->name = "written";
    return OK;
}

static const struct op read_op = {.name = "GetSecretValue",
                                  .iam_action = "secretsmanager:GetSecretValue",
                                  .class = OP_READ,
                                  .resource = RESOURCE_SECRET,
                                  .in = &read_in_shape,
                                  .out = &read_out_shape,
                                  .errors = ERRS(ERR_RESOURCE_NOT_FOUND),
                                  .read = read_run};
static const struct op write_op = {.name = "PutSecretValue",
                                   .iam_action = "secretsmanager:PutSecretValue",
                                   .class = OP_WRITE,
                                   .resource = RESOURCE_SECRET,
                                   .in = &read_in_shape,
                                   .out = &read_out_shape,
                                   .errors = ERRS(ERR_RESOURCE_EXISTS),
                                   .prepare = write_prepare,
                                   .reply = write_reply};
static const struct op stateless_op = {.name = "GetRandomPassword",
                                       .iam_action = "secretsmanager:GetRandomPassword",
                                       .class = OP_READ,
                                       .stateless = true,
                                       .resource = RESOURCE_ANY,
                                       .in = &read_in_shape,
                                       .out = &read_out_shape,
                                       .errors = ERRS(ERR_INVALID_PARAMETER),
                                       .read = read_run};
const struct op *const op_table[] = {&read_op, &write_op, &stateless_op};
const size_t op_table_len = ARRAY_LEN(op_table);

#endif
