/* The pipeline as a whole, from a request's bytes to the answer's, over fakes of all that lies
 * below it: the HTTP door, the node, the peer client, the store, the inbound side. The fakes take
 * the place of those folders' functions when this program is linked; signatures, parsing, shapes
 * and steps are the real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/peer_door.h"
#include "base/limits.h"
#include "tests/unit/api_pipeline_fakes.h"

/* --- driving it --- */

/* 2026-01-15T12:30:45Z. */
static int64_t wall_ms(void *ctx) {
    return INT64_C(1768480245000);
}
static uint64_t mono_ms(void *ctx) {
    return 1;
}
static void no_random(void *ctx, void *out, size_t len) {
    memset(out, 0, len);
}
static const struct world world = {.wall_ms = wall_ms, .mono_ms = mono_ms, .random = no_random};
static const char *const peers[] = {"eu-west-1"};
static struct service service;
static struct exchange exchange;

#define REQUEST_ID "x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n"

static int setup(void **state) {
    memset(&fake, 0, sizeof(fake));
    memset(&exchange, 0, sizeof(exchange));
    exchange.peer_region = "";
    service = (struct service){
        .region = "us-east-1", .world = &world, .peer_names = peers, .n_peers = 1, .forward = true};
    return 0;
}

/* After every test: answered once, nothing under way, nothing held. */
static int teardown(void **state) {
    assert_int_equal(exchange.replies, 1);
    assert_int_equal(fake.n_posted, 0);
    assert_int_equal(fake.n_proposals, 0);
    assert_int_equal(fake.views, 0);
    assert_false(fake.timer_runs);
    return 0;
}

/* A signed request as text; the caller frees. */
static char *signed_text(const char *op, const char *region, const char *extra, const char *body) {
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

static void handle_text(const char *text) {
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &exchange.request), OK);
    api_handle(&exchange, &service);
}

static void handle(const char *op, const char *region, const char *extra, const char *body) {
    char *text = signed_text(op, region, extra, body);

    handle_text(text);
    free(text);
}

static void ask(const char *op) {
    handle(op, "us-east-1", "", "{\"SecretId\":\"db\"}");
}

static void run_posted(void) {
    struct worker_task *task;

    assert_int_equal(fake.n_posted, 1);
    task = fake.posted[0];
    fake.n_posted = 0;
    task->run(task);
}

/* The oldest proposal comes back; result < 0: none, `code` says why. */
static void finish(enum errc code, int result, const char *message) {
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

static void commit(enum errc code, int result, const char *message) {
    assert_int_equal(exchange.replies, 0);
    finish(code, result, message);
    run_posted();
}

static void deadline(void) {
    assert_true(fake.timer_runs);
    fake.timer_runs = false;
    fake.timer.run(fake.timer.arg);
}

static void answered(int status, const char *error, const char *body) {
    char headers[512];

    (void)snprintf(headers, sizeof(headers), REQUEST_ID "%s%s%s",
                   error != NULL ? "x-amzn-ErrorType: " : "", error != NULL ? error : "",
                   error != NULL ? "\r\n" : "");
    assert_int_equal(exchange.replies, 1);
    assert_int_equal(exchange.status, status);
    assert_string_equal(exchange.headers, headers);
    assert_string_equal(exchange.body, body);
}

#define UNKNOWN "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"
#define NO_FORM                                                                                    \
    "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"},"             \
    "\"Version\":\"1.0\"}"
#define NO_ACTION                                                                                  \
    "{\"__type\":\"InvalidAction\",\"message\":\"The action or operation requested is invalid. "   \
    "Verify that the action is typed correctly.\"}"
#define UNAVAILABLE "{\"__type\":\"ServiceUnavailable\",\"message\":\""
#define INTERNAL                                                                                   \
    "{\"__type\":\"InternalServiceError\",\"Message\":\"An error occurred on the server side.\"}"
#define NOT_KNOWN                                                                                  \
    UNAVAILABLE "The outcome of the request is not known. Try again with the same "                \
                "ClientRequestToken.\"}"

/* --- routing, authentication, validation --- */

/* 1.4: the dispatcher's answer to an unknown target, and to what it cannot make out at all; 1.6: to
 * an unknown action. All before anybody is asked who he is. */
static void test_unknown_operations(void **state) {
    static const struct {
        const char *text;
        const char *error;
        const char *body;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "UnknownOperationException", NO_FORM},
        {"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "UnknownOperationException", NO_FORM},
        {"PUT / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\r\n",
         "UnknownOperationException", NO_FORM},
        {"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.getsecretvalue\r\n\r\n",
         "UnknownOperationException", UNKNOWN},
        {"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.\r\n\r\n",
         "UnknownOperationException", UNKNOWN},
        {"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValueX\r\n\r\n",
         "UnknownOperationException", UNKNOWN},
        {"POST /?Action=Nothing HTTP/1.1\r\nHost: x\r\n\r\n", "InvalidAction", NO_ACTION},
        {"POST /?Action=Nothing&X-Amz-Signature=00 HTTP/1.1\r\nHost: x\r\n\r\n", "InvalidAction",
         NO_ACTION},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)setup(state);
        handle_text(cases[i].text);
        answered(400, cases[i].error, cases[i].body);
    }
}

static void test_health(void **state) {
    handle_text("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body,
                        "{\"status\":\"ok\",\"region\":\"us-east-1\",\"role\":\"leader\"}");
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    handle_text("GET /health?x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(exchange.status, 503);
}

static void test_no_authentication(void **state) {
    handle_text("GET /?Action=GetSecretValue&SecretId=db HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(exchange.body, "{\"__type\":\"MissingAuthenticationTokenException\","
                                       "\"message\":\"Missing Authentication Token\"}");
    (void)setup(state);
    handle_text(
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\r\n");
    answered(400, "MissingAuthenticationTokenException",
             "{\"__type\":\"MissingAuthenticationTokenException\",\"message\":\"Missing "
             "Authentication Token\"}");
}

/* 6: a modelled rate; behind authentication, before validation; charged by account and group. */
static void test_throttling(void **state) {
    static const char throttled[] =
        "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
    struct throttle_rates rates = throttle_rates_default;
    struct throttle *throttle;

    rates.get_value = 2;
    rates.write = 1;
    throttle = throttle_new(&rates);
    service.throttle = throttle;
    handle("GetSecretValue", "us-east-1", "", "{}"); /* a refused request is a request */
    assert_string_equal(strstr(exchange.body, "ValidationException\"") != NULL ? "yes" : "no",
                        "yes");
    (void)setup(state);
    service.throttle = throttle;
    ask("GetSecretValue");
    assert_int_equal(exchange.status, 200);
    (void)setup(state);
    service.throttle = throttle;
    handle("GetSecretValue", "us-east-1", "", "{}");
    answered(400, "ThrottlingException", throttled);
    /* Who he is comes first. */
    (void)setup(state);
    service.throttle = throttle;
    handle_text(
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\r\n");
    assert_non_null(strstr(exchange.body, "MissingAuthenticationTokenException"));
    /* Another group has a bucket of its own. */
    (void)setup(state);
    service.throttle = throttle;
    handle("PutSecretValue", "us-east-1", "", "{}");
    assert_non_null(strstr(exchange.body, "ValidationException"));
    (void)setup(state);
    service.throttle = throttle;
    handle("PutSecretValue", "us-east-1", "", "{}");
    answered(400, "ThrottlingException", throttled);
    throttle_free(throttle);
}

static void test_validation_and_accounts(void **state) {
    handle("GetSecretValue", "us-east-1", "", "");
    answered(400, "ValidationException",
             "{\"__type\":\"ValidationException\",\"message\":\"1 validation error detected: Value "
             "null at 'secretId' failed to satisfy constraint: Member must not be null\"}");
    (void)setup(state);
    handle("GetSecretValue", "us-east-1", "", "{\"SecretId\":5}");
    answered(
        400, "SerializationException",
        "{\"__type\":\"SerializationException\",\"message\":\"NUMBER_VALUE cannot be converted "
        "to String\"}");
    (void)setup(state);
    handle("GetSecretValue", "us-east-1", "",
           "{\"SecretId\":\"arn:aws:secretsmanager:us-east-1:210987654321:secret:n-AbCdEf\"}");
    assert_int_equal(exchange.status, 400);
    assert_non_null(strstr(exchange.body, "{\"__type\":\"AccessDeniedException\",\"message\":\"User"
                                          ": arn:aws:iam::123456789012:root is not authorized"));
    assert_string_equal(fake.seen_id, "");
}

static void test_presigned_query(void **state) {
    handle_text(
        "POST /?SecretId=MyTestSecret&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE"
        "%2F20260115%2Fus-east-1%2Fsecretsmanager%2Faws4_request&X-Amz-Date=20260115T123045Z"
        "&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature="
        "1286631618adcbb35d57cea22d3350f76aa784388241325326603468c303a7c0 HTTP/1.1\r\n"
        "Host: secretsmanager.us-east-1.amazonaws.com\r\n"
        "Content-Type: application/x-amz-json-1.1\r\n"
        "X-Amz-Target: secretsmanager.GetSecretValue\r\n\r\n");
    answered(200, NULL, "{\"Name\":\"MyTestSecret\"}");
}

/* --- reads --- */

static void test_read(void **state) {
    ask("GetSecretValue");
    answered(200, NULL, "{\"Name\":\"db\"}");
    assert_int_equal(fake.proposed, 0);
}

static void test_read_errors(void **state) {
    fake.read_code = ERR_RESOURCE_NOT_FOUND;
    ask("GetSecretValue");
    answered(400, "ResourceNotFoundException",
             "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"read says no\"}");
    (void)setup(state);
    fake.read_code = ERR_CORRUPT; /* ours: no detail goes out */
    ask("GetSecretValue");
    answered(500, "InternalServiceError", INTERNAL);
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    ask("GetSecretValue");
    answered(503, "ServiceUnavailable",
             UNAVAILABLE "The service is temporarily unavailable. Try again.\"}");
}

static void test_undeclared_error_aborts(void **state) {
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        (void)fclose(stderr);
        fake.read_code = ERR_LIMIT_EXCEEDED;
        ask("GetSecretValue");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
#ifdef NDEBUG
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
#endif
    ask("GetSecretValue");
}

static void test_stale_read(void **state) {
    fake.barrier = ERR_UNAVAILABLE;
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: stale\r\n",
           "{\"SecretId\":\"db\"}");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.headers, REQUEST_ID "x-redoubt-applied-index: 42\r\n");
    assert_string_equal(exchange.body, "{\"Name\":\"db (stale)\"}");
    (void)setup(state);
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: fresh\r\n",
           "{\"SecretId\":\"db\"}");
    assert_int_equal(exchange.status, 400);
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE; /* a write is never stale */
    handle("PutSecretValue", "us-east-1", "x-redoubt-consistency: stale\r\n",
           "{\"SecretId\":\"db\"}");
    assert_int_equal(exchange.status, 503);
}

/* What looks at no state works without a leader. */
static void test_stateless_read(void **state) {
    fake.barrier = ERR_UNAVAILABLE;
    ask("GetRandomPassword");
    answered(200, NULL, "{\"Name\":\"db\"}");
}

static void test_read_leaves_a_write(void **state) {
    fake.leaves_after = true;
    ask("GetSecretValue");
    answered(200, NULL, "{\"Name\":\"db\"}"); /* before the write is through */
    assert_int_equal(fake.n_proposals, 1);
    assert_int_equal(fake.proposals[0]->type, COMMAND_SECRET_TOUCH);
    finish(ERR_OUTCOME_UNKNOWN, -1, NULL);
    (void)setup(state);
    fake.leaves_after = true;
    fake.propose = ERR_BUSY;
    ask("GetSecretValue");
    answered(200, NULL, "{\"Name\":\"db\"}");
}

/* --- writes --- */

static void test_write(void **state) {
    ask("PutSecretValue");
    assert_int_equal(exchange.replies, 0);
    commit(OK, OK, NULL);
    answered(200, NULL, "{\"Name\":\"written\"}");
}

static void test_write_refused(void **state) {
    ask("PutSecretValue");
    commit(OK, ERR_RESOURCE_EXISTS, "it is there");
    answered(400, "ResourceExistsException",
             "{\"__type\":\"ResourceExistsException\",\"Message\":\"it is there\"}");
    (void)setup(state);
    ask("PutSecretValue");
    commit(OK, ERR_RESOURCE_EXISTS, NULL);
    answered(400, "ResourceExistsException",
             "{\"__type\":\"ResourceExistsException\",\"Message\":\"A resource with the ID you "
             "requested already exists.\"}");
    (void)setup(state);
    ask("PutSecretValue");
    commit(OK, 7777, "a newer release's code");
    answered(500, "InternalServiceError", INTERNAL);
    (void)setup(state);
    fake.prepare_code = ERR_RESOURCE_EXISTS;
    ask("PutSecretValue");
    assert_int_equal(exchange.status, 400);
    assert_int_equal(fake.proposed, 0);
}

static void test_write_not_done(void **state) {
    ask("PutSecretValue");
    commit(ERR_NOT_LEADER, -1, NULL);
    answered(503, "ServiceUnavailable",
             UNAVAILABLE "The service is temporarily unavailable. Try again.\"}");
    (void)setup(state);
    ask("PutSecretValue");
    commit(ERR_OUTCOME_UNKNOWN, -1, NULL);
    answered(503, "ServiceUnavailable", NOT_KNOWN);
    (void)setup(state);
    fake.propose = ERR_BUSY;
    ask("PutSecretValue");
    answered(503, "ServiceUnavailable", UNAVAILABLE "The service is overloaded. Try again.\"}");
}

static void test_preludes(void **state) {
    fake.preludes = LIMIT_PRELUDES;
    ask("PutSecretValue");
    for (int i = 0; i < LIMIT_PRELUDES; i++) {
        commit(OK, OK, NULL);
    }
    assert_int_equal(fake.prepared, LIMIT_PRELUDES + 1);
    commit(OK, OK, NULL);
    answered(200, NULL, "{\"Name\":\"written\"}");
    (void)setup(state);
    fake.preludes = LIMIT_PRELUDES + 1;
    ask("PutSecretValue");
    for (int i = 0; i < LIMIT_PRELUDES; i++) {
        commit(OK, OK, NULL);
    }
    answered(500, "InternalServiceError", INTERNAL);
    (void)setup(state);
    fake.preludes = 1;
    ask("PutSecretValue");
    commit(OK, ERR_LIMIT_EXCEEDED, NULL);
    answered(500, "InternalServiceError", INTERNAL);
}

/* The deadline answers; what comes back later answers nothing and goes on with nothing. */
static void test_deadline(void **state) {
    ask("PutSecretValue");
    deadline();
    answered(503, "ServiceUnavailable", NOT_KNOWN);
    finish(OK, OK, NULL);
    run_posted();
    (void)setup(state);
    fake.preludes = 1;
    ask("PutSecretValue");
    deadline();
    answered(503, "ServiceUnavailable",
             UNAVAILABLE "The service is temporarily unavailable. Try again.\"}");
    finish(OK, OK, NULL);
    run_posted();
    assert_int_equal(fake.prepared, 1);
    (void)setup(state);
    ask("PutSecretValue"); /* on its way back when the deadline strikes */
    finish(OK, OK, NULL);
    deadline();
    run_posted();
    assert_int_equal(exchange.replies, 1);
}

/* --- other regions --- */

static void peer_answers(enum errc code, int status, const char *response) {
    struct peer_call *call = fake.pending_call;

    assert_non_null(call);
    assert_string_equal(call->region, "eu-west-1");
    assert_string_equal(call->path, "/v1/forward");
    call->code = code;
    call->status = status;
    buf_init(&call->response, 4096);
    buf_append_str(&call->response, response);
    call->done_cb(call);
    run_posted();
}

static void test_forward(void **state) {
    char *text = signed_text("GetSecretValue", "eu-west-1", "", "{\"SecretId\":\"db\"}");

    handle_text(text);
    assert_int_equal(exchange.replies, 0);
    assert_int_equal(fake.pending_call->body.len, strlen(text));
    assert_memory_equal(fake.pending_call->body.data, text, strlen(text));
    free(text);
    peer_answers(OK, 200, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(exchange.status, -1);
    assert_string_equal(exchange.body, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void test_unreachable_region(void **state) {
    static const char body[] =
        UNAVAILABLE "The region of this request cannot be reached from here. Try again.\"}";

    handle("GetSecretValue", "eu-west-1", "", "{}");
    peer_answers(ERR_REGION_UNREACHABLE, 0, "");
    answered(503, "ServiceUnavailable", body);
    (void)setup(state);
    handle("GetSecretValue", "eu-west-1", "", "{}");
    peer_answers(OK, 503, "starting");
    answered(503, "ServiceUnavailable", body);
    (void)setup(state);
    fake.call = ERR_INVALID_PARAMETER;
    handle("GetSecretValue", "eu-west-1", "", "{}");
    answered(503, "ServiceUnavailable", body);
}

static void test_foreign_region(void **state) {
    static const char body[] = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Credential "
                               "should be scoped to a valid Region, not 'eu-west-1'. \"}";

    service.forward = false;
    handle("GetSecretValue", "eu-west-1", "", "{}");
    answered(400, "InvalidSignatureException", body);
    (void)setup(state);
    handle("GetSecretValue", "mars-1", "", "{}");
    assert_int_equal(exchange.status, 400);
}

/* --- the peer door --- */

/* A POST of `body` to the peer door by a node of `from`. */
static void peer_post(const char *from, const char *path, const char *body) {
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

static void forwarded(const char *op, const char *region) {
    char *inner = signed_text(op, region, "", "{\"SecretId\":\"db\"}");

    peer_post("eu-west-1", "/v1/forward", inner);
    free(inner);
}

#define RAW_HEAD(status, length)                                                                   \
    "HTTP/1.1 " status "\r\nDate: Thu, 15 Jan 2026 12:30:45 GMT\r\n"                               \
    "Content-Type: application/x-amz-json-1.1\r\nContent-Length: " length                          \
    "\r\nConnection: keep-alive\r\n" REQUEST_ID

static void test_forwarded_request(void **state) {
    forwarded("GetSecretValue", "us-east-1");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, RAW_HEAD("200 OK", "13") "\r\n{\"Name\":\"db\"}");
    (void)setup(state);
    forwarded("PutSecretValue", "us-east-1");
    commit(OK, OK, NULL);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, RAW_HEAD("200 OK", "18") "\r\n{\"Name\":\"written\"}");
    (void)setup(state);
    forwarded("PutSecretValue", "eu-west-1"); /* never on and on */
    assert_int_equal(exchange.status, 200);
    assert_null(fake.pending_call);
    assert_non_null(strstr(exchange.body, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(exchange.body, "not 'eu-west-1'. "));
}

static void test_peer_door_refuses(void **state) {
    peer_post("", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 403);
    (void)setup(state);
    peer_post("", "/v1/forward", "x");
    assert_int_equal(exchange.status, 403);
    (void)setup(state);
    /* Certificates of the authority, but of nobody in our list: a stranger, and this region. */
    peer_post("ap-south-1", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 403);
    (void)setup(state);
    peer_post("us-east-1", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 403);
    (void)setup(state);
    peer_post("ap-south-1", "/v1/forward", "x");
    assert_int_equal(exchange.status, 403);
    (void)setup(state);
    peer_post("eu-west-1", "/v1/forward", "hello");
    assert_int_equal(exchange.status, 400);
    (void)setup(state);
    peer_post("eu-west-1", "/", "");
    assert_int_equal(exchange.status, 404);
    (void)setup(state);
    peer_post("eu-west-1", "/v1/forwards", "");
    assert_int_equal(exchange.status, 404);
    (void)setup(state);
    exchange.peer_node = 7; /* a node of this region ships nothing to it */
    peer_post("us-east-1", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 403);
}

static void test_replicate(void **state) {
    fake.inbound_preludes = 3;
    peer_post("eu-west-1", "/v1/replicate", "batch");
    for (int i = 0; i < 4; i++) {
        commit(OK, OK, NULL);
    }
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "verdicts");
    assert_int_equal(fake.proposed, 4);
}

static void test_replicate_errors(void **state) {
    static const struct {
        enum errc code;
        int status;
    } cases[] = {{ERR_MALFORMED, 400}, {ERR_ACCESS_DENIED, 403}, {ERR_SEALED, 503}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)setup(state);
        fake.inbound = cases[i].code;
        peer_post("eu-west-1", "/v1/replicate", "batch");
        assert_int_equal(exchange.status, cases[i].status);
        assert_false(fake.timer_runs);
    }
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    peer_post("eu-west-1", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 503);
    (void)setup(state);
    fake.propose = ERR_BUSY;
    peer_post("eu-west-1", "/v1/replicate", "batch");
    assert_int_equal(exchange.status, 503);
    (void)setup(state);
    peer_post("eu-west-1", "/v1/replicate", "batch");
    commit(ERR_NOT_LEADER, -1, NULL);
    assert_int_equal(exchange.status, 503);
    (void)setup(state);
    peer_post("eu-west-1", "/v1/replicate", "batch");
    deadline();
    assert_int_equal(exchange.status, 503);
    finish(OK, OK, NULL);
    run_posted();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_operations),
        TEST(test_health),
        TEST(test_no_authentication),
        TEST(test_throttling),
        TEST(test_validation_and_accounts),
        TEST(test_presigned_query),
        TEST(test_read),
        TEST(test_read_errors),
        TEST(test_undeclared_error_aborts),
        TEST(test_stale_read),
        TEST(test_stateless_read),
        TEST(test_read_leaves_a_write),
        TEST(test_write),
        TEST(test_write_refused),
        TEST(test_write_not_done),
        TEST(test_preludes),
        TEST(test_deadline),
        TEST(test_forward),
        TEST(test_unreachable_region),
        TEST(test_foreign_region),
        TEST(test_forwarded_request),
        TEST(test_peer_door_refuses),
        TEST(test_replicate),
        TEST(test_replicate_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
