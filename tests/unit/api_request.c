/* The parts of the pipeline that are pure: what a request asks for, whose it is, what it may do,
 * bodies and heads of answers, and the way of a request to another region. */
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
#include "api/response.h"
#include "api/wire.h"
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
        {ERR_UNAVAILABLE, "x", "{\"__type\":\"ServiceUnavailable\",\"message\":\"x\"}"},
        {ERR_SERIALIZATION, "", "{\"__type\":\"SerializationException\"}"},
        {ERR_UNKNOWN_OPERATION, "",
         "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"},
        {ERR_UNKNOWN_PROTOCOL, "",
         "{\"Output\":{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"},"
         "\"Version\":\"1.0\"}"},
        {ERR_INVALID_ACTION, "x", "{\"__type\":\"InvalidAction\",\"message\":\"x\"}"},
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
                                      .is_stale = true,
                                      .applied = UINT64_MAX,
                                      .age_ms = UINT64_MAX - 1,
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
                     "x-redoubt-consistency: stale\r\n"
                     "x-redoubt-applied-index: 18446744073709551615\r\n"
                     "x-redoubt-age-ms: 18446744073709551614\r\n"
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
    static const char text[] = /* of the session: until a minute after NOW_MS */
        "AKIDEXAMPLE wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY 123456789012\n"
        "ASIASESSION wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY 123456789012 "
        "SESSION/TOKEN+EXAMPLE== 2026-01-15T12:31:45Z\n";
    char path[] = "/tmp/redoubt-credentials-XXXXXX";
    int fd = mkstemp(path);
    struct err err = {.code = OK};

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
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
    /* A long-term key: a token does not belong to it, however well it is signed. */
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

/* --- sessions: AWS_BEHAVIOUR 1.6, 1.8 --- */

/* A request of the session's key, signed by our own signer. `signed_token`: the token stands among
 * the signed headers; `token` NULL: there is none. The caller frees. */
static char *session_text(const char *token, bool signed_token, const char *secret) {
    const char *names = signed_token ? "content-type;host;x-amz-date;x-amz-security-token"
                                     : "content-type;host;x-amz-date";
    struct sigv4_claim claim = {.access_key_id = "ASIASESSION",
                                .date = "20260115",
                                .region = "us-east-1",
                                .service = "secretsmanager",
                                .timestamp = "20260115T123045Z",
                                .signed_headers = names,
                                .signed_headers_len = strlen(names)};
    struct sigv4_request view;
    struct http_request request;
    struct secret plain;
    uint8_t key[32];
    char authorization[1024];
    char head[1024];
    char *text = malloc(4096);

    assert_non_null(text);
    (void)snprintf(head, sizeof(head),
                   "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\n"
                   "X-Amz-Date: 20260115T123045Z\r\n%s%s%s",
                   token != NULL ? "X-Amz-Security-Token: " : "", token != NULL ? token : "",
                   token != NULL ? "\r\n" : "");
    (void)snprintf(text, 4096, "%s\r\n", head);
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &request), OK);
    authenticate_view(&request, &view);
    assert_true(secret_init_copy(&plain, secret, strlen(secret)));
    sigv4_signing_key(&plain, claim.date, claim.region, claim.service, key);
    secret_fini(&plain);
    assert_true(sigv4_sign(&view, &claim, key, authorization, sizeof(authorization)));
    http_request_fini(&request);
    (void)snprintf(text, 4096, "%sAuthorization: %s\r\n\r\n", head, authorization);
    return text;
}

static void test_sessions(void **state) {
    static const char invalid[] = "The security token included in the request is invalid.";
    static const char expired[] = "The security token included in the request is expired";
    static const struct {
        const char *token;
        bool is_signed;
        const char *secret;
        int64_t after_ms;
        enum errc code;
        const char *message;
    } cases[] = {
        {"SESSION/TOKEN+EXAMPLE==", true, NULL, 0, OK, NULL},
        {"SESSION/TOKEN+EXAMPLE==", false, NULL, 0, OK, NULL},
        {"SESSION/TOKEN+EXAMPLE==", true, NULL, 59999, OK, NULL},
        {NULL, false, NULL, 0, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"SESSION/TOKEN+EXAMPLE=", true, NULL, 0, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"SESSION/TOKEN+EXAMPLE=!", true, NULL, 0, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"SESSION%2FTOKEN%2BEXAMPLE==", true, NULL, 0, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"", true, NULL, 0, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"SESSION/TOKEN+EXAMPLE==", true, NULL, 60000, ERR_EXPIRED_TOKEN, expired},
        /* Who has not the token learns nothing of its end. */
        {"WRONG", true, NULL, 60000, ERR_UNRECOGNIZED_CLIENT, invalid},
        {"SESSION/TOKEN+EXAMPLE==", true, "wrong", 0, ERR_INVALID_SIGNATURE, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = session_text(
            cases[i].token, cases[i].is_signed,
            cases[i].secret != NULL ? cases[i].secret : "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        struct err err = {.code = OK};
        bool forward = false;
        assert_int_equal(authenticate_text(text, NOW_MS + cases[i].after_ms, &forward, &err),
                         cases[i].code);
        if (cases[i].message != NULL) {
            assert_string_equal(err.message, cases[i].message);
        }
        free(text);
    }
}

/* --- what a request asks for, in which form: AWS_BEHAVIOUR 1.2, 1.4, 1.10, 1.11 --- */

#define WIRE_IN(X)                                                                                 \
    X(STR, id, "SecretId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                          \
    X(STRS, keys, "TagKeys", F_NONE, 0, SHAPE_NO_MAX, NULL)
DECLARE_SHAPE_STRUCT(wire_in, WIRE_IN)
#define SHAPE_SELF struct wire_in
DEFINE_SHAPE(wire_in, WIRE_IN)
#undef SHAPE_SELF

#define JSON_LINE   "Content-Type: application/x-amz-json-1.1\r\n"
#define FORM_LINE   "Content-Type: application/x-www-form-urlencoded\r\n"
#define TARGET_LINE "X-Amz-Target: secretsmanager.TagResource\r\n"

/* A request: first line's method and target, further headers, body. */
struct wire_case {
    const char *line;
    const char *headers;
    const char *body;
    const char *id; /* of the decoded parameters */
    bool is_action;
};

static void wire_request(const char *line, const char *headers, const char *body,
                         struct http_request *ret) {
    char text[2048];

    (void)snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
                   line, headers, strlen(body), body);
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), ret), OK);
}

static void test_wire_forms(void **state) {
    static const struct wire_case cases[] = {
        {"POST /", JSON_LINE TARGET_LINE, "{\"SecretId\":\"a\"}", "a", false},
        {"POST /", "content-type: Application/X-Amz-Json-1.1 ; charset=UTF-8\r\n" TARGET_LINE,
         "{\"SecretId\":\"a\"}", "a", false},
        {"POST /?SecretId=b", JSON_LINE TARGET_LINE, "{\"SecretId\":\"a\"}", "a", false},
        {"POST /", JSON_LINE TARGET_LINE, "", NULL, false}, /* no body is {} */
        {"POST /", TARGET_LINE, "", NULL, false},
        {"POST /?SecretId=a", JSON_LINE TARGET_LINE, "", "a", false},
        {"GET /?SecretId=a&Action=Other", TARGET_LINE, "", "a", false},
        {"POST /?X-Amz-Target=secretsmanager.TagResource&SecretId=a", "", "", "a", false},
        {"POST /?x-amz-target=secretsmanager.TagResource", JSON_LINE, "{\"SecretId\":\"a\"}", "a",
         false},
        {"GET /?Action=TagResource&Version=2017-10-17&SecretId=a%2Bb", "", "", "a+b", true},
        {"GET /?Action=TagResource&SecretId=a+b", FORM_LINE, "", "a+b", true},
        {"POST /?Action=TagResource", JSON_LINE, "{\"SecretId\":\"a\"}", "a", true},
        {"POST /", FORM_LINE, "Action=TagResource&Version=2017-10-17&SecretId=a+b", "a b", true},
        {"POST /", "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
         "SecretId=%61&Action=TagResource", "a", true},
        {"POST /?Action=TagResource", FORM_LINE, "SecretId=a&Version=2017-10-17", "a", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request http;
        struct wire_in in = {.id = NULL};
        struct arena arena;
        struct wire wire;
        struct err err;
        arena_init(&arena, LIMIT_REQUEST_ARENA);
        wire_request(cases[i].line, cases[i].headers, cases[i].body, &http);
        assert_int_equal(wire_read(&http, &wire, &err), OK);
        assert_string_equal(wire.op_name, "TagResource");
        assert_int_equal(wire.is_action, cases[i].is_action);
        assert_int_equal(
            wire_decode(&wire, &http, &wire_in_shape, &quotas_default, &arena, &in, &err), OK);
        if (cases[i].id == NULL) {
            assert_null(in.id);
        } else {
            assert_non_null(in.id);
            assert_string_equal(in.id, cases[i].id);
        }
        arena_fini(&arena);
        http_request_fini(&http);
    }
}

static void test_wire_refusals(void **state) {
    static const struct {
        const char *line;
        const char *headers;
        const char *body;
        enum errc code;
        const char *message;
    } cases[] = {
        /* Nothing names an operation, or the form is none. */
        {"POST /", JSON_LINE, "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"GET /", "", "", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /", TARGET_LINE, "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /", "Content-Type: application/json\r\n" TARGET_LINE, "{}", ERR_UNKNOWN_PROTOCOL,
         ""},
        {"POST /", "Content-Type: application/json\r\n" TARGET_LINE, "", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /", FORM_LINE TARGET_LINE, "SecretId=a", ERR_UNKNOWN_PROTOCOL, ""},
        {"PUT /", JSON_LINE TARGET_LINE, "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /x", JSON_LINE TARGET_LINE, "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST //", JSON_LINE TARGET_LINE, "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /", JSON_LINE "X-Amz-Target: SecretsManager.TagResource\r\n", "{}",
         ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /", JSON_LINE "X-Amz-Target: secretsmanager\r\n", "{}", ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /?x-amz-target=secretsmanager.A&x-amz-target=secretsmanager.B", JSON_LINE, "{}",
         ERR_UNKNOWN_PROTOCOL, ""},
        {"POST /",
         JSON_LINE "X-Amz-Target: secretsmanager."
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
         "{}", ERR_UNKNOWN_OPERATION, ""},
        /* Query. */
        {"POST /", FORM_LINE, "Version=2017-10-17", ERR_MISSING_ACTION,
         "The request is missing an action or a required parameter."},
        {"POST /", FORM_LINE, "", ERR_MISSING_ACTION,
         "The request is missing an action or a required parameter."},
        {"GET /?Version=2017-10-17", "", "", ERR_MISSING_ACTION,
         "The request is missing an action or a required parameter."},
        {"GET /?Action=TagResource&Action=TagResource", "", "", ERR_INVALID_ACTION,
         "The action or operation requested is invalid. Verify that the action is typed "
         "correctly."},
        {"POST /?Action=TagResource", FORM_LINE, "Action=TagResource", ERR_INVALID_ACTION,
         "The action or operation requested is invalid. Verify that the action is typed "
         "correctly."},
        {"GET /?Action=%zz", "", "", ERR_INVALID_ACTION,
         "The action or operation requested is invalid. Verify that the action is typed "
         "correctly."},
        {"GET /?Action=TagResource&Version=2014-11-01", "", "", ERR_INVALID_ACTION,
         "Could not find operation TagResource for version 2014-11-01"},
        {"POST /", FORM_LINE, "Action=TagResource&Version=", ERR_INVALID_ACTION,
         "Could not find operation TagResource for version "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request http;
        struct wire wire;
        struct err err = {.code = OK};
        wire_request(cases[i].line, cases[i].headers, cases[i].body, &http);
        assert_int_equal(wire_read(&http, &wire, &err), cases[i].code);
        assert_string_equal(err.message, cases[i].message);
        http_request_fini(&http);
    }
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
        cmocka_unit_test(test_error_bodies),   cmocka_unit_test(test_public_codes),
        cmocka_unit_test(test_response_bytes), cmocka_unit_test(test_health_body),
        cmocka_unit_test(test_authorize),      cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_wrong_callers),  cmocka_unit_test(test_late_and_early),
        cmocka_unit_test(test_another_region), cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_wire_forms),     cmocka_unit_test(test_wire_refusals),
        cmocka_unit_test(test_forward_bytes),  cmocka_unit_test(test_not_one_request),
        cmocka_unit_test(test_peer_statuses),  cmocka_unit_test(test_text_cut),
    };

    return cmocka_run_group_tests(tests, load_credentials, free_credentials);
}
