/* The parts of the pipeline that are pure: whose request it is, what it may do, parameters in a
 * query, bodies and heads of answers, and the way of a request to another region. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/authenticate.h"
#include "api/authorize.h"
#include "api/error_body.h"
#include "api/forward.h"
#include "api/health.h"
#include "api/json_text.h"
#include "api/peer_door.h"
#include "api/query.h"
#include "api/response.h"
#include "base/limits.h"

/* 2026-01-15T12:30:45Z, as in AWS_BEHAVIOUR 1.9. */
#define NOW_MS INT64_C(1768480245000)

static void assert_buf(struct buf *buf, const char *wanted) {
    assert_false(buf->failed);
    buf_append_u8(buf, 0);
    assert_string_equal((const char *)buf->data, wanted);
    buf_fini(buf);
}

/* --- errors and answers --- */

static void test_error_bodies(void **state) {
    static const struct {
        enum errc code;
        const char *message;
        const char *body;
    } cases[] = {
        {ERR_RESOURCE_NOT_FOUND, "a \"b\"",
         "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"a \\\"b\\\"\"}"},
        {ERR_INTERNAL_SERVICE, "x", "{\"__type\":\"InternalServiceError\",\"Message\":\"x\"}"},
        {ERR_VALIDATION, "x\n", "{\"__type\":\"ValidationException\",\"message\":\"x\\n\"}"},
        {ERR_UNAVAILABLE, "x", "{\"__type\":\"ServiceUnavailableException\",\"message\":\"x\"}"},
        {ERR_SERIALIZATION, "", "{\"__type\":\"SerializationException\"}"},
        {ERR_UNKNOWN_OPERATION, "",
         "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"},
        {ERR_VALIDATION, "cut \xC3",
         "{\"__type\":\"ValidationException\",\"message\":\"cut \xEF\xBF\xBD\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 4096);
        error_body_write(&out, cases[i].code, cases[i].message);
        assert_buf(&out, cases[i].body);
    }
}

static void test_public_codes(void **state) {
    assert_int_equal(error_public(ERR_RESOURCE_EXISTS), ERR_RESOURCE_EXISTS);
    assert_int_equal(error_public(ERR_NOT_IMPLEMENTED), ERR_NOT_IMPLEMENTED);
    assert_int_equal(error_public(ERR_REGION_UNREACHABLE), ERR_REGION_UNREACHABLE);
    assert_int_equal(error_public(ERR_NOT_LEADER), ERR_UNAVAILABLE);
    assert_int_equal(error_public(ERR_IO), ERR_INTERNAL_SERVICE);
    assert_int_equal(error_public(ERR_CRYPTO), ERR_INTERNAL_SERVICE);
    assert_int_equal(error_public(ERR_LEVEL), ERR_INTERNAL_SERVICE);
    assert_int_equal(error_public((enum errc)9999), ERR_INTERNAL_SERVICE);
}

static void test_response_bytes(void **state) {
    const struct response response = {.status = 400,
                                      .request_id = "c0ffee00-0000-4000-8000-000000000000",
                                      .error_type = "InvalidRequestException",
                                      .has_applied = true,
                                      .applied = UINT64_MAX,
                                      .body = (const uint8_t *)"{}",
                                      .body_len = 2};
    struct buf out;

    buf_init(&out, 4096);
    response_write(&out, NOW_MS, &response);
    assert_buf(&out, "HTTP/1.1 400 Bad Request\r\n"
                     "Date: Thu, 15 Jan 2026 12:30:45 GMT\r\n"
                     "Content-Type: application/x-amz-json-1.1\r\n"
                     "Content-Length: 2\r\n"
                     "Connection: keep-alive\r\n"
                     "x-amzn-RequestId: c0ffee00-0000-4000-8000-000000000000\r\n"
                     "x-amzn-ErrorType: InvalidRequestException\r\n"
                     "x-redoubt-applied-index: 18446744073709551615\r\n"
                     "\r\n"
                     "{}");
}

static void test_health_body(void **state) {
    struct buf out;

    buf_init(&out, 1024);
    health_write(&out, true, "us-east-1", "leader");
    assert_buf(&out, "{\"status\":\"ok\",\"region\":\"us-east-1\",\"role\":\"leader\"}");
    buf_init(&out, 1024);
    health_write(&out, false, "us-east-1", "candidate");
    assert_buf(&out, "{\"status\":\"starting\",\"region\":\"us-east-1\",\"role\":\"candidate\"}");
}

/* --- authorisation --- */

static void test_authorize(void **state) {
    const struct identity root = {.access_key_id = "AKIDEXAMPLE",
                                  .account = "123456789012",
                                  .arn = "arn:aws:iam::123456789012:root"};
    struct authorization question = {
        .identity = &root, .action = "secretsmanager:GetSecretValue", .kind = RESOURCE_SECRET};
    struct err err = {.code = OK};

    assert_int_equal(authorize(&question, &err), OK);
    question.resource = "name";
    assert_int_equal(authorize(&question, &err), OK);
    question.resource = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf";
    assert_int_equal(authorize(&question, &err), OK);
    question.resource = "arn:aws:secretsmanager:us-east-1:210987654321:secret:name-AbCdEf";
    assert_int_equal(authorize(&question, &err), ERR_ACCESS_DENIED);
    assert_string_equal(
        err.message, "User: arn:aws:iam::123456789012:root is not authorized to perform: "
                     "secretsmanager:GetSecretValue on resource: "
                     "arn:aws:secretsmanager:us-east-1:210987654321:secret:name-AbCdEf because no "
                     "resource-based policy allows the secretsmanager:GetSecretValue action");
    question.kind = RESOURCE_NAME; /* a name to be is always in the own account */
    assert_int_equal(authorize(&question, &err), OK);
}

/* --- authentication: the vectors of AWS_BEHAVIOUR 1.9, as the door hands them over --- */

#define HEAD                                                                                       \
    "POST / HTTP/1.1\r\nHost: secretsmanager.us-east-1.amazonaws.com\r\n"                          \
    "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n"
#define SCOPE                                                                                      \
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/secretsmanager/aws4_request"
#define SIGNATURE "072f43d5f6c83b680791db6c861b78a796e06c296363d05c3df204efd9c3b32a"
#define BODY      "Content-Length: 28\r\n\r\n{\"SecretId\": \"MyTestSecret\"}"

static const char header_form[] = HEAD
    "X-Amz-Date: 20260115T123045Z\r\nAuthorization: " SCOPE
    ", SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" SIGNATURE "\r\n" BODY;
static const char session_form[] =
    HEAD "X-Amz-Date: 20260115T123045Z\r\nX-Amz-Security-Token: SESSIONTOKENEXAMPLE\r\n"
         "Authorization: " SCOPE ", SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
         ";x-amz-target, Signature="
         "5386b1e7b85491d465d50c3651977556534c39c3202f9b95f9380b0a9ac970c7\r\n" BODY;
static const char query_form[] =
    "POST /?SecretId=MyTestSecret&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE"
    "%2F20260115%2Fus-east-1%2Fsecretsmanager%2Faws4_request&X-Amz-Date=20260115T123045Z"
    "&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature="
    "1286631618adcbb35d57cea22d3350f76aa784388241325326603468c303a7c0 HTTP/1.1\r\n"
    "Host: secretsmanager.us-east-1.amazonaws.com\r\nContent-Type: application/x-amz-json-1.1\r\n"
    "X-Amz-Target: secretsmanager.GetSecretValue\r\nContent-Length: 0\r\n\r\n";

static struct credentials *credentials;

static int load_credentials(void **state) {
    static const char line[] =
        "AKIDEXAMPLE wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY 123456789012\n";
    char path[] = "/tmp/redoubt-credentials-XXXXXX";
    int fd = mkstemp(path);
    struct err err = {.code = OK};

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
    (void)close(fd);
    if (credentials_load(path, &credentials, &err) != OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    return unlink(path);
}

static int free_credentials(void **state) {
    credentials_free(credentials);
    return 0;
}

/* All of the authentication of `text` in region us-east-1, other regions being `peers`. */
static enum errc authenticate_text(const char *text, int64_t now_ms, bool *ret_forward,
                                   struct err *err) {
    static const char *const peers[] = {"eu-west-1", "us-west-2"};
    const struct region_rules rules = {
        .own = "us-east-1", .peers = peers, .n_peers = 2, .forward = true};
    const struct identity *identity = NULL;
    struct http_request request;
    struct sigv4_request view;
    struct sigv4_claim claim;
    enum errc code;

    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &request), OK);
    authenticate_view(&request, &view);
    code = sigv4_parse(&view, &claim, err);
    if (code == OK) {
        code = authenticate_region(&rules, &claim, ret_forward, err);
    }
    if (code == OK && !*ret_forward) {
        code = authenticate_caller(credentials, &view, &claim, now_ms, &identity, err);
    }
    if (code == OK && !*ret_forward) {
        assert_string_equal(identity->account, "123456789012");
    }
    http_request_fini(&request);
    return code;
}

/* `text` with its first `from` replaced by `to`; the caller frees. */
static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);

    assert_non_null(at);
    assert_non_null(out);
    (void)snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void test_vectors(void **state) {
    struct err err = {.code = OK};
    bool forward = true;

    assert_int_equal(authenticate_text(header_form, NOW_MS, &forward, &err), OK);
    assert_false(forward);
    assert_int_equal(authenticate_text(query_form, NOW_MS, &forward, &err), OK);
    /* All keys are long-term ones, so a token belongs to none, however well it is signed. */
    assert_int_equal(authenticate_text(session_form, NOW_MS, &forward, &err),
                     ERR_UNRECOGNIZED_CLIENT);
    assert_string_equal(err.message, "The security token included in the request is invalid.");
}

static void test_wrong_callers(void **state) {
    static const struct {
        const char *from;
        const char *to;
        enum errc code;
        const char *message;
    } cases[] = {
        {"Credential=AKIDEXAMPLE", "Credential=AKIDOTHER", ERR_UNRECOGNIZED_CLIENT,
         "The security token included in the request is invalid."},
        {"MyTestSecret", "MyTestSecreT", ERR_INVALID_SIGNATURE, NULL},
        {"072f", "072e", ERR_INVALID_SIGNATURE, NULL},
        {"secretsmanager.GetSecretValue", "secretsmanager.DeleteSecret", ERR_INVALID_SIGNATURE,
         NULL},
        {"/us-east-1/", "/xx/", ERR_INVALID_SIGNATURE,
         "Credential should be scoped to a valid Region, not 'xx'. "},
        {"/us-east-1/", "/us-east-11/", ERR_INVALID_SIGNATURE,
         "Credential should be scoped to a valid Region, not 'us-east-11'. "},
        {"/secretsmanager/aws4", "/s3/aws4", ERR_INVALID_SIGNATURE,
         "Credential should be scoped to correct service: 'secretsmanager'. "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = replaced(header_form, cases[i].from, cases[i].to);
        struct err err = {.code = OK};
        bool forward = false;
        assert_int_equal(authenticate_text(text, NOW_MS, &forward, &err), cases[i].code);
        assert_string_equal(err.message, cases[i].message != NULL
                                             ? cases[i].message
                                             : errc_sentence(ERR_INVALID_SIGNATURE));
        free(text);
    }
}

static void test_late_and_early(void **state) {
    struct err err = {.code = OK};
    bool forward = false;

    assert_int_equal(authenticate_text(header_form, NOW_MS + 15 * 60 * 1000, &forward, &err), OK);
    assert_int_equal(authenticate_text(header_form, NOW_MS + 15 * 60 * 1000 + 1000, &forward, &err),
                     ERR_INVALID_SIGNATURE);
    assert_int_equal(authenticate_text(header_form, NOW_MS - 16 * 60 * 1000, &forward, &err),
                     ERR_INVALID_SIGNATURE);
}

/* Another region's request is not believed here, only recognised. */
static void test_another_region(void **state) {
    char *text = replaced(header_form, "/us-east-1/", "/us-west-2/");
    struct err err = {.code = OK};
    bool forward = false;

    assert_int_equal(authenticate_text(text, NOW_MS, &forward, &err), OK);
    assert_true(forward);
    free(text);
}

/* --- parameters in a query --- */

#define PARAMETERS(X)                                                                              \
    X(STR, id, "SecretId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                          \
    X(SECRET, value, "SecretString", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(INT, days, "RecoveryWindowInDays", F_NONE, 0, SHAPE_NO_MAX, NULL)                            \
    X(BOOL, force, "Force", F_NONE, 0, 0, NULL)                                                    \
    X(STRS, keys, "TagKeys", F_NONE, 0, SHAPE_NO_MAX, NULL)                                        \
    X(LIST, tags, "Tags", F_NONE, 0, SHAPE_NO_MAX, NULL)
DECLARE_SHAPE_STRUCT(parameters, PARAMETERS)
#define SHAPE_SELF struct parameters
DEFINE_SHAPE(parameters, PARAMETERS)
#undef SHAPE_SELF

static void test_query_to_json(void **state) {
    static const struct {
        const char *query;
        const char *json;
    } cases[] = {
        {"", "{}"},
        {"&&=&X-Amz-Date=1&Secretid=x", "{}"},
        {"SecretId=a%2Fb+c%20d", "{\"SecretId\":\"a/b+c d\"}"},
        {"SecretId", "{\"SecretId\":\"\"}"},
        {"SecretId=a=b", "{\"SecretId\":\"a=b\"}"},
        {"SecretString=%22%5C%00%c3%A4", "{\"SecretString\":\"\\\"\\\\\\u0000\xC3\xA4\"}"},
        {"RecoveryWindowInDays=7&Force=true", "{\"RecoveryWindowInDays\":7,\"Force\":true}"},
        {"RecoveryWindowInDays=-7&Force=false", "{\"RecoveryWindowInDays\":-7,\"Force\":false}"},
        /* What is no number stays a text, for the decoder to refuse. */
        {"RecoveryWindowInDays=07&Force=True",
         "{\"RecoveryWindowInDays\":\"07\",\"Force\":\"True\"}"},
        {"RecoveryWindowInDays=9999999999999999999&Force=",
         "{\"RecoveryWindowInDays\":\"9999999999999999999\",\"Force\":\"\"}"},
        {"RecoveryWindowInDays=-", "{\"RecoveryWindowInDays\":\"-\"}"},
        {"TagKeys=a&SecretId=x&TagKeys=b", "{\"SecretId\":\"x\",\"TagKeys\":[\"a\",\"b\"]}"},
        {"Tags=%7B%27Key%27%7D", "{\"Tags\":\"{'Key'}\"}"},
    };
    static const char *const bad[] = {
        "SecretId=%",   "SecretId=%4",           "SecretId=%zz",
        "SecretId=%ff", "SecretId=a&SecretId=a", "TagKeys=a&TagKeys=%"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        struct err err;
        buf_init(&out, 4096);
        assert_int_equal(
            query_to_json(&parameters_shape, cases[i].query, strlen(cases[i].query), &out, &err),
            OK);
        assert_buf(&out, cases[i].json);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf out;
        struct err err = {.code = OK};
        buf_init(&out, 4096);
        assert_int_equal(query_to_json(&parameters_shape, bad[i], strlen(bad[i]), &out, &err),
                         ERR_SERIALIZATION);
        assert_int_equal(err.code, ERR_SERIALIZATION);
        buf_fini(&out);
    }
}

static void test_query_get(void **state) {
    static const char query[] = "Action=Get%53ecretValue&Action=x&Empty=&No%6e=1&Nul=%00&Bad=%";
    char out[16] = "unchanged";

    assert_false(query_get(query, sizeof(query) - 1, "Act", out, sizeof(out)));
    assert_false(query_get(query, sizeof(query) - 1, "Nul", out, sizeof(out)));
    assert_false(query_get(query, sizeof(query) - 1, "Bad", out, sizeof(out)));
    assert_false(query_get(query, sizeof(query) - 1, "Non", out, sizeof(out)));
    assert_false(query_get(query, sizeof(query) - 1, "Action", out, 14)); /* needs 15 */
    assert_string_equal(out, "unchanged");
    assert_true(query_get(query, sizeof(query) - 1, "Action", out, 15));
    assert_string_equal(out, "GetSecretValue");
    assert_true(query_get(query, sizeof(query) - 1, "Empty", out, sizeof(out)));
    assert_string_equal(out, "");
}

/* --- the way to another region --- */

static void forwards_as(const char *text, const char *wanted) {
    struct http_request request;
    struct http_request again;
    struct buf out;

    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &request), OK);
    buf_init(&out, LIMIT_PEER_BODY);
    forward_write(&out, &request);
    assert_int_equal(peer_door_parse(out.data, out.len, &again), OK);
    assert_int_equal(again.body.len, request.body.len);
    if (again.body.len > 0) {
        assert_memory_equal(again.body.data, request.body.data, request.body.len);
    }
    assert_buf(&out, wanted);
    http_request_fini(&request);
    http_request_fini(&again);
}

static void test_forward_bytes(void **state) {
    static const char chunked[] =
        "POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        "3;a=b\r\nabc\r\n11\r\ndefghijklmnopqrst\r\n0\r\nTrailer: t\r\n\r\n";
    static const char empty_chunks[] =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    forwards_as(header_form, header_form);
    forwards_as(query_form, query_form);
    forwards_as("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    forwards_as(chunked, "POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                         "14\r\nabcdefghijklmnopqrst\r\n0\r\n\r\n");
    forwards_as(empty_chunks, empty_chunks);
}

static void test_not_one_request(void **state) {
    static const char *const texts[] = {
        "",
        "POST / HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcd",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\nHost: x\n\n",
        "hello",
    };
    struct http_request request;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(peer_door_parse((const uint8_t *)texts[i], strlen(texts[i]), &request),
                         ERR_MALFORMED);
    }
}

static void test_peer_statuses(void **state) {
    assert_int_equal(peer_door_status(ERR_MALFORMED), 400);
    assert_int_equal(peer_door_status(ERR_ACCESS_DENIED), 403);
    assert_int_equal(peer_door_status(ERR_SEALED), 503);
    assert_int_equal(peer_door_status(ERR_NOT_LEADER), 503);
    assert_int_equal(peer_door_status(ERR_OUTCOME_UNKNOWN), 503);
}

static void test_text_cut(void **state) {
    assert_int_equal(json_text_cut("abc", 3), 3);
    assert_int_equal(json_text_cut("abc", 2), 2);
    assert_int_equal(json_text_cut("a\xC3\xA4", 2), 1);
    assert_int_equal(json_text_cut("\xF0\x9F\x98\x80", 3), 0);
    assert_int_equal(json_text_characters("a\xC3\xA4\xF0\x9F\x98\x80", 7), 3);
    assert_int_equal(json_text_characters("\xC3", 1), -1);
    assert_int_equal(json_text_characters("\xF4\x90\x80\x80", 4), -1);
    assert_int_equal(json_text_characters("", 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_bodies),    cmocka_unit_test(test_public_codes),
        cmocka_unit_test(test_response_bytes),  cmocka_unit_test(test_health_body),
        cmocka_unit_test(test_authorize),       cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_wrong_callers),   cmocka_unit_test(test_late_and_early),
        cmocka_unit_test(test_another_region),  cmocka_unit_test(test_query_to_json),
        cmocka_unit_test(test_query_get),       cmocka_unit_test(test_forward_bytes),
        cmocka_unit_test(test_not_one_request), cmocka_unit_test(test_peer_statuses),
        cmocka_unit_test(test_text_cut),
    };

    return cmocka_run_group_tests(tests, load_credentials, free_credentials);
}
