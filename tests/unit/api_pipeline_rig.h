/* Drives the pipeline over the fakes of api_pipeline_fakes.h: signed requests in, what the fakes
 * were given back out, answers looked at. For one program only: it defines data. */
#ifndef TESTS_UNIT_API_PIPELINE_RIG_H
#define TESTS_UNIT_API_PIPELINE_RIG_H

#include "api/peer_door.h"
#include "tests/unit/api_pipeline_fakes.h"

/* 2026-01-15T12:30:45Z. */
static inline int64_t wall_ms(void *ctx) {
    return INT64_C(1768480245000);
}
static uint64_t now_ms = 1;
static inline uint64_t mono_ms(void *ctx) {
    return now_ms;
}
static inline void no_random(void *ctx, void *out, size_t len) {
    memset(out, 0, len);
}
static const struct world world = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = no_random};
static const char *const peers[] = {"eu-west-1"};
static struct service service;
static struct exchange exchange;

#define STALE_HEADERS(age)                                                                         \
    "x-redoubt-consistency: stale\r\nx-redoubt-applied-index: 42\r\nx-redoubt-age-ms: " age "\r\n"
#define REQUEST_ID "x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n"

static inline int setup(void **state) {
    memset(&fake, 0, sizeof(fake));
    memset(&exchange, 0, sizeof(exchange));
    exchange.peer_region = "";
    now_ms = 1;
    service = (struct service){
        .region = "us-east-1", .world = &world, .peer_names = peers, .n_peers = 1, .forward = true};
    return 0;
}

static inline bool is_timed(bool is_deadline) {
    for (size_t i = 0; i < ARRAY_LEN(fake.timers); i++) {
        if (fake.timers[i].runs && (fake.timers[i].ms == LIMIT_REQUEST_MS) == is_deadline) {
            return true;
        }
    }
    return false;
}

/* After every test: answered once, nothing under way, nothing held. */
static inline int teardown(void **state) {
    assert_int_equal(exchange.replies, 1);
    assert_int_equal(fake.n_posted, 0);
    assert_int_equal(fake.n_proposals, 0);
    assert_int_equal(fake.views, 0);
    assert_int_equal(fake.n_tickets, 0);
    assert_null(fake.pending_call);
    assert_false(is_timed(true) || is_timed(false));
    return 0;
}

/* A signed request as text; the caller frees. */
static inline char *signed_text(const char *op, const char *region, const char *extra,
                                const char *body) {
    static const char names[] = "content-type;host;x-amz-date;x-amz-target";
    struct sigv4_claim claim = {.date = "20260115",
                                .service = "secretsmanager",
                                .terminator = "aws4_request",
                                .timestamp = "20260115T123045Z",
                                .signed_headers = names,
                                .signed_headers_len = sizeof(names) - 1};
    struct sigv4_request view;
    struct http_request request;
    char authorization[1024];
    uint8_t key[32];
    size_t size = 4096 + strlen(body);
    char *text = malloc(size);
    int head;

    assert_non_null(text);
    head = snprintf(text, size,
                    "POST / HTTP/1.1\r\nHost: localhost:7400\r\nX-Amz-Date: 20260115T123045Z\r\n"
                    "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.%s"
                    "\r\n%sContent-Length: %zu\r\n",
                    op, extra, strlen(body));
    (void)snprintf(text + head, size - (size_t)head, "\r\n%s", body);
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &request), OK);
    view = (struct sigv4_request){.method = "POST",
                                  .path = "/",
                                  .path_len = 1,
                                  .query = "",
                                  .headers = request.headers,
                                  .n_headers = request.n_headers,
                                  .body = (const uint8_t *)body,
                                  .body_len = strlen(body)};
    (void)snprintf(claim.access_key_id, sizeof(claim.access_key_id), "AKIDEXAMPLE");
    (void)snprintf(claim.region, sizeof(claim.region), "%s", region);
    credentials_signing_key(NULL, &root, &claim, key);
    assert_true(sigv4_sign(&view, &claim, key, authorization, sizeof(authorization)));
    http_request_fini(&request);
    (void)snprintf(text + head, size - (size_t)head, "Authorization: %s\r\n\r\n%s", authorization,
                   body);
    return text;
}

static inline void handle_text(const char *text) {
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &exchange.request), OK);
    api_handle(&exchange, &service);
}

static inline void handle(const char *op, const char *region, const char *extra, const char *body) {
    char *text = signed_text(op, region, extra, body);

    handle_text(text);
    free(text);
}

static inline void ask(const char *op) {
    handle(op, "us-east-1", "", "{\"SecretId\":\"db\"}");
}

static inline void run_posted(void) {
    struct worker_task *task;

    assert_int_equal(fake.n_posted, 1);
    task = fake.posted[0];
    fake.n_posted = 0;
    task->run(task);
}

/* The oldest proposal comes back; result < 0: none, `code` says why. */
static inline void finish(enum errc code, int result, const char *message) {
    struct proposal *proposal = fake.proposals[0];

    assert_true(fake.n_proposals > 0);
    fake.n_proposals--;
    memmove(fake.proposals, fake.proposals + 1, fake.n_proposals * sizeof(fake.proposals[0]));
    proposal->code = code;
    if (result >= 0) {
        proposal->result = malloc(sizeof(*proposal->result));
        assert_non_null(proposal->result);
        redoubt__result__init(proposal->result);
        proposal->result->code = (uint32_t)result;
        proposal->result->message = (char *)(uintptr_t)message;
    }
    proposal->done_cb(proposal);
}

static inline void commit(enum errc code, int result, const char *message) {
    assert_int_equal(exchange.replies, 0);
    finish(code, result, message);
    run_posted();
}

static inline void strike(bool is_deadline) {
    struct worker_timer *timer = fake.timers;

    assert_true(is_timed(is_deadline));
    while (!timer->runs || (timer->ms == LIMIT_REQUEST_MS) != is_deadline) {
        timer++;
    }
    timer->runs = false;
    timer->run(timer->arg);
}

static inline void deadline(void) {
    strike(true);
}

/* The look whether the leader that was asked still leads. */
static inline void look(void) {
    assert_true(is_timed(false));
    strike(false);
}

/* The pause between two looks for a leader. */
static inline void pause_over(void) {
    strike(false);
}

static inline void answered(int status, const char *error, const char *body) {
    char headers[512];

    (void)snprintf(headers, sizeof(headers), REQUEST_ID "%s%s%s",
                   error != NULL ? "x-amzn-ErrorType: " : "", error != NULL ? error : "",
                   error != NULL ? "\r\n" : "");
    assert_int_equal(exchange.replies, 1);
    assert_int_equal(exchange.status, status);
    assert_string_equal(exchange.headers, headers);
    assert_string_equal(exchange.body, body);
}

/* The call under way comes back. */
static inline void call_back(enum errc code, bool is_unsent, int status, const char *response) {
    struct peer_call *call = fake.pending_call;

    assert_non_null(call);
    fake.pending_call = NULL;
    call->code = code;
    call->is_unsent = is_unsent;
    call->status = status;
    buf_append_str(&call->response, response);
    call->done_cb(call);
}

/* The oldest ticket comes back. */
static inline void told(enum errc code, uint64_t leader) {
    struct ticket *ticket = fake.tickets[0];

    assert_true(fake.n_tickets > 0);
    fake.n_tickets--;
    memmove(fake.tickets, fake.tickets + 1, fake.n_tickets * sizeof(fake.tickets[0]));
    ticket->code = code;
    ticket->leader = leader;
    ticket->is_self = leader == 1;
    ticket->done_cb(ticket);
}

/* A POST of `body` to the peer door by a node of `from`. */
static inline void peer_post(const char *from, const char *path, const char *body) {
    size_t size = strlen(body) + 256;
    char *text = malloc(size);

    assert_non_null(text);
    (void)snprintf(text, size, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path,
                   strlen(body), body);
    exchange.peer_region = from;
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &exchange.request), OK);
    free(text);
    peer_handle(&exchange, &service);
}

#define UNAVAILABLE "{\"__type\":\"ServiceUnavailable\",\"message\":\""
#define NOT_KNOWN                                                                                  \
    UNAVAILABLE "The outcome of the request is not known. Try again with the same "                \
                "ClientRequestToken.\"}"

/* --- a region of several nodes --- */

enum { SELF = 1, OTHER = 2, THIRD = 3 };

static inline int follower(void **state) {
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    fake.is_follower = true;
    return 0;
}

/* The leader of several: it must ask before it reads. */
static inline int leader(void **state) {
    (void)follower(state);
    fake.is_follower = false;
    return 0;
}

static inline void told_now(enum errc code, uint64_t id) {
    told(code, id);
    run_posted();
}

static inline void back_now(enum errc code, bool is_unsent, int status, const char *response) {
    call_back(code, is_unsent, status, response);
    run_posted();
}

#define TEST(function)      cmocka_unit_test_setup_teardown(function, setup, teardown)
#define FOLLOWING(function) cmocka_unit_test_setup_teardown(function, follower, teardown)
#define LEADING(function)   cmocka_unit_test_setup_teardown(function, leader, teardown)

#endif
