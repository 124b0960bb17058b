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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "storage/checkpoint.h"
#include "tests/unit/api_pipeline_rig.h"

#define UNKNOWN "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"
#define NO_FORM                                                                                    \
    "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"},"             \
    "\"Version\":\"1.0\"}"
#define NO_ACTION                                                                                  \
    "{\"__type\":\"InvalidAction\",\"message\":\"The action or operation requested is invalid. "   \
    "Verify that the action is typed correctly.\"}"
#define INTERNAL                                                                                   \
    "{\"__type\":\"InternalServiceError\",\"Message\":\"An error occurred on the server side.\"}"
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
    (void)setup(state);
    handle_text("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "ok\n");
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    handle_text("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(exchange.status, 503);
    assert_string_equal(exchange.body, "not ready\n"); /* why is not for everybody */
    (void)setup(state);
    fake.barrier = ERR_UNAVAILABLE;
    handle_text("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(exchange.status, 200);
}

/* The API's door does not tell about the installation. */
static void test_no_metrics_here(void **state) {
    static const char *const paths[] = {"/metrics", "/status"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char text[128];
        (void)setup(state);
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
        handle_text(text);
        assert_int_equal(exchange.status, 400); /* a request like any other, of no protocol */
    }
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
    assert_string_equal(exchange.headers, REQUEST_ID STALE_HEADERS("0"));
    assert_string_equal(exchange.body, "{\"Name\":\"db (stale)\"}");
    (void)setup(state);
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: fresh\r\n",
           "{\"SecretId\":\"db\"}");
    assert_int_equal(exchange.status, 400);
    (void)setup(state);
    fake.age_ms = UINT64_MAX;
    service.stale_reads = true;
    ask("GetSecretValue");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.headers, REQUEST_ID STALE_HEADERS("unknown"));
    (void)setup(state);
    service.stale_reads = true;
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: linearizable\r\n",
           "{\"SecretId\":\"db\"}");
    answered(200, NULL, "{\"Name\":\"db\"}");
    (void)setup(state);
    service.stale_reads = true; /* a write is never stale */
    ask("PutSecretValue");
    commit(OK, OK, NULL);
    answered(200, NULL, "{\"Name\":\"written\"}");
}

/* What looks at no state works without a leader, and has no age. */
static void test_stateless_read(void **state) {
    fake.barrier = ERR_UNAVAILABLE;
    ask("GetRandomPassword");
    answered(200, NULL, "{\"Name\":\"db\"}");
    (void)setup(state);
    service.stale_reads = true;
    ask("GetRandomPassword");
    answered(200, NULL, "{\"Name\":\"db (stale)\"}");
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

static void test_forward(void **state) {
    char *text = signed_text("GetSecretValue", "eu-west-1", "", "{\"SecretId\":\"db\"}");

    handle_text(text);
    assert_int_equal(exchange.replies, 0);
    assert_int_equal(fake.pending_call->body.len, strlen(text));
    assert_memory_equal(fake.pending_call->body.data, text, strlen(text));
    free(text);
    assert_string_equal(fake.pending_call->region, "eu-west-1");
    assert_string_equal(fake.pending_call->path, "/v1/forward");
    call_back(OK, false, 200, "HTTP/1.1 400 Bad Request\r\n\r\n");
    run_posted();
    assert_int_equal(exchange.status, -1);
    assert_string_equal(exchange.body, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void test_unreachable_region(void **state) {
    static const char body[] =
        UNAVAILABLE "The region of this request cannot be reached from here. Try again.\"}";

    handle("GetSecretValue", "eu-west-1", "", "{}");
    call_back(ERR_REGION_UNREACHABLE, false, 0, "");
    run_posted();
    answered(503, "ServiceUnavailable", body);
    (void)setup(state);
    handle("GetSecretValue", "eu-west-1", "", "{}");
    call_back(OK, false, 503, "starting");
    run_posted();
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

/* A body of bytes, by a node of `from`. */
static void snapshot_post(const char *data, const char *from, uint64_t node, const void *body,
                          size_t len) {
    char head[128];
    struct buf text;

    buf_init(&text, 4096);
    (void)snprintf(head, sizeof(head),
                   "POST /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);
    buf_append_str(&text, head);
    buf_append(&text, body, len);
    (void)setup(NULL);
    service.data = data;
    exchange.peer_region = from;
    exchange.peer_node = node;
    assert_int_equal(peer_door_parse(text.data, text.len, &exchange.request), OK);
    buf_fini(&text);
    peer_handle(&exchange, &service);
}

static void test_snapshot(void **state) {
    struct checkpoint_request request = {
        .id = "00112233445566ff", .file = "CURRENT", .offset = 2, .len = 5};
    char data[] = "/tmp/redoubt-test-XXXXXX";
    char path[128];
    struct buf body;
    FILE *file;

    assert_non_null(mkdtemp(data));
    (void)snprintf(path, sizeof(path), "%s/checkpoints", data);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/checkpoints/%s", data, request.id);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/checkpoints/%s/CURRENT", data, request.id);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("0123456789", file) >= 0);
    assert_int_equal(fclose(file), 0);
    buf_init(&body, 1024);
    checkpoint_request_encode(&request, &body);

    snapshot_post(NULL, "us-east-1", 7, body.data, body.len); /* of a node without checkpoints */
    assert_int_equal(exchange.status, 404);
    snapshot_post(data, "us-east-1", 7, body.data, body.len);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "23456");
    snapshot_post(data, "us-east-1", 0, body.data, body.len); /* of this region, but no node */
    assert_int_equal(exchange.status, 403);
    snapshot_post(data, "us-east-1", REMOVED_NODE, body.data, body.len);
    assert_int_equal(exchange.status, 403);
    snapshot_post(data, "eu-west-1", 7, body.data, body.len); /* a node of another region */
    assert_int_equal(exchange.status, 403);
    snapshot_post(data, "us-east-1", 7, body.data, body.len - 1);
    assert_int_equal(exchange.status, 400);
    body.data[9] = 200; /* behind the end */
    snapshot_post(data, "us-east-1", 7, body.data, body.len);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "");
    body.data[16] = 0xff; /* no file is so long */
    snapshot_post(data, "us-east-1", 7, body.data, body.len);
    assert_int_equal(exchange.status, 400);
    body.data[16] = 0;
    body.data[1] = 0x99; /* another checkpoint */
    snapshot_post(data, "us-east-1", 7, body.data, body.len);
    assert_int_equal(exchange.status, 404);
    buf_fini(&body);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/checkpoints/%s", data, request.id);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/checkpoints", data);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(data), 0);
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
        assert_false(is_timed(true));
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_operations),
        TEST(test_health),
        TEST(test_no_metrics_here),
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
        TEST(test_snapshot),
        TEST(test_replicate),
        TEST(test_replicate_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
