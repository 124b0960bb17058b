/* Signature Version 4: every error sentence, the caps of each part, the clock. */
#include "crypto_sigv4_sample.h"

static void test_missing_authentication(void **state) {
    struct sample s;

    header_sample(&s);
    drop_header(&s, "Authorization");
    assert_refused(&s, ERR_MISSING_AUTHENTICATION, "Missing Authentication Token");
    add_header(&s, "Authorization", "  ");
    assert_refused(&s, ERR_MISSING_AUTHENTICATION, "Missing Authentication Token");
    query_sample(&s);
    set(s.query, sizeof(s.query), QUERY_HEAD);
    assert_refused(&s, ERR_MISSING_AUTHENTICATION, "Missing Authentication Token");
}

struct sentence {
    const char *authorization, *sentence;
};

#define NEEDS(what) "Authorization header requires '" what "' parameter. "

static void test_incomplete_header(void **state) {
    static const struct sentence cases[] = {
        {SIGV4_ALGORITHM, NEEDS("Credential") NEEDS("Signature")
                              NEEDS("SignedHeaders") "Authorization=" SIGV4_ALGORITHM},
        {SIGV4_ALGORITHM " " NAMES ", Signature=00",
         NEEDS("Credential") "Authorization=" SIGV4_ALGORITHM " " NAMES ", Signature=00"},
        {SIGV4_ALGORITHM " " CREDENTIAL ", " NAMES,
         NEEDS("Signature") "Authorization=" SIGV4_ALGORITHM " " CREDENTIAL ", " NAMES},
        {SIGV4_ALGORITHM " " CREDENTIAL ",Signature=00",
         NEEDS("SignedHeaders") "Authorization=" SIGV4_ALGORITHM " " CREDENTIAL ",Signature=00"},
        {"Basic dXNlcjpwYXNzd29yZA==", "Unsupported AWS 'algorithm': 'Basic'."},
        {"AWS4-ECDSA-P256-SHA256 " CREDENTIAL,
         "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."},
        {"hunter2", "Unsupported AWS 'algorithm': ''."},
        {SIGV4_ALGORITHM " " CREDENTIAL ", " CREDENTIAL ", " NAMES ", Signature=" SIGNATURE,
         "Authorization header has more than one parameter 'Credential'."},
        {AUTHORIZATION ", Extra=1", "Authorization header has an unknown parameter 'Extra'."},
        {SIGV4_ALGORITHM " Credential=AKIDEXAMPLE/20260115/us-east-1/secretsmanager, " NAMES
                         ", Signature=" SIGNATURE,
         "Credential must have exactly 5 slash-delimited elements, e.g. "
         "keyid/date/region/service/term, got "
         "'AKIDEXAMPLE/20260115/us-east-1/secretsmanager'"},
        {SIGV4_ALGORITHM " " CREDENTIAL "/more, " NAMES ", Signature=" SIGNATURE,
         "Credential must have exactly 5 slash-delimited elements, e.g. "
         "keyid/date/region/service/term, got 'AKIDEXAMPLE/" SCOPE "/more'"},
        {SIGV4_ALGORITHM " Credential=/" SCOPE ", " NAMES ", Signature=" SIGNATURE,
         "Credential has an element that is empty, too long, or has characters that it may not "
         "have, got '/" SCOPE "'"},
        {SIGV4_ALGORITHM " Credential=A\x01\xff/" SCOPE ", " NAMES ", Signature=" SIGNATURE,
         "Credential has an element that is empty, too long, or has characters that it may not "
         "have, got 'A?"
         "?/" SCOPE "'"},
        {SIGV4_ALGORITHM " Credential=A/2026011/us-east-1/secretsmanager/aws4_request1/, " NAMES
                         ", Signature=" SIGNATURE,
         "Credential must have exactly 5 slash-delimited elements, e.g. "
         "keyid/date/region/service/term, got "
         "'A/2026011/us-east-1/secretsmanager/aws4_request1/'"},
    };
    struct sample s;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        header_sample(&s);
        set_value(&s, "Authorization", cases[i].authorization);
        assert_refused(&s, ERR_INCOMPLETE_SIGNATURE, cases[i].sentence);
    }
    header_sample(&s);
    add_header(&s, "authorization", AUTHORIZATION);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE, "The Authorization header is repeated.");
}

static void test_missing_equal_sign(void **state) {
    struct sample s;
    struct err err;

    header_sample(&s);
    set_value(&s, "Authorization", SIGV4_ALGORITHM " Credential, " NAMES);
    assert_int_equal(authenticate(&s, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_string_equal(
        err.message,
        "'Credential': invalid key=value pair (missing equal-sign) in Authorization header "
        "(hashed with SHA-256 and encoded with Base64): "
        "'+ngaIeraK0iC8Z+qNPpNHys02Ou1th34gTl3WuzE5w4='.");
    set_value(&s, "Authorization", AUTHORIZATION ",");
    assert_int_equal(authenticate(&s, &err), ERR_INCOMPLETE_SIGNATURE);
}

static void test_date_of_the_request(void **state) {
    struct sample s;

    header_sample(&s);
    drop_header(&s, "X-Amz-Date");
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                   "header. Authorization=" AUTHORIZATION);
    header_sample(&s);
    set_value(&s, "X-Amz-Date", "2026-01-15T12:30:45Z");
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "Date must be in ISO-8601 'basic format'. Got '2026-01-15T12:30:45Z'. See "
                   "http://en.wikipedia.org/wiki/ISO_8601");
    header_sample(&s);
    add_header(&s, "x-amz-date", STAMP);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE, "The date of the request is repeated.");

    /* The Date header stands in, in both formats; it loses against X-Amz-Date. */
    header_sample(&s);
    drop_header(&s, "X-Amz-Date");
    add_header(&s, "Date", "Thu, 15 Jan 2026 12:30:45 GMT");
    sign(&s, "content-type;date;host;x-amz-target");
    assert_accepted(&s);
    set_value(&s, "Date", "Thu, 15 Jan 2026 12:30:46 GMT");
    assert_mismatch(&s);
    set_value(&s, "Date", STAMP);
    sign(&s, "content-type;date;host;x-amz-target");
    assert_accepted(&s);
    header_sample(&s);
    add_header(&s, "Date", "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_accepted(&s);
    set_value(&s, "X-Amz-Date", "Thu, 15 Jan 2026 12:30:45 GMT");
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "Date must be in ISO-8601 'basic format'. Got 'Thu, 15 Jan 2026 12:30:45 GMT'. "
                   "See http://en.wikipedia.org/wiki/ISO_8601");
}

/* Each part at its cap and one past it. */
static void test_long_parts(void **state) {
    char part[200], authorization[1024];
    struct sample s;
    struct err err;

    memset(part, 'a', sizeof(part));
    for (size_t at = 0; at < 5; at++) {
        for (size_t extra = 0; extra < 2; extra++) {
            const char *e[] = {"AKIDEXAMPLE", "20260115", "us-east-1", "secretsmanager",
                               "aws4_request"};
            part[(at == 1 ? 8 : 128) + extra] = '\0';
            e[at] = part;
            (void)snprintf(authorization, sizeof(authorization),
                           SIGV4_ALGORITHM " Credential=%s/%s/%s/%s/%s, " NAMES
                                           ", Signature=" SIGNATURE,
                           e[0], e[1], e[2], e[3], e[4]);
            header_sample(&s);
            set_value(&s, "Authorization", authorization);
            if (extra == 1) {
                assert_int_equal(authenticate(&s, &err), ERR_INCOMPLETE_SIGNATURE);
            } else {
                assert_true(authenticate(&s, &err) != ERR_INCOMPLETE_SIGNATURE);
            }
            part[(at == 1 ? 8 : 128) + extra] = 'a';
        }
    }
}

static void test_long_signed_headers_and_token(void **state) {
    char text[SIGV4_TOKEN_MAX + 2];
    struct sample s;
    struct sigv4_request request;
    struct sigv4_header headers[3];
    struct sigv4_claim claim;
    struct err err;

    header_sample(&s);
    memset(text, 'h', sizeof(text));
    (void)snprintf(value_of(&s, "Authorization"), VALUE_SIZE,
                   SIGV4_ALGORITHM " " CREDENTIAL ", SignedHeaders=%.*s, Signature=" SIGNATURE,
                   SIGV4_SIGNED_HEADERS_MAX + 1, text);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "Authorization header has a parameter that is too long.");
    header_sample(&s);
    request = view(&s);
    headers[0] = (struct sigv4_header){"Authorization", 13, AUTHORIZATION, strlen(AUTHORIZATION)};
    headers[1] = (struct sigv4_header){"X-Amz-Date", 10, STAMP, 16};
    headers[2] = (struct sigv4_header){"X-Amz-Security-Token", 20, text, SIGV4_TOKEN_MAX};
    request.headers = headers;
    request.n_headers = ARRAY_LEN(headers);
    assert_int_equal(sigv4_parse(&request, &claim, &err), OK);
    headers[2].value_len++;
    assert_int_equal(sigv4_parse(&request, &claim, &err), ERR_UNRECOGNIZED_CLIENT);
    assert_string_equal(err.message, "The security token included in the request is invalid.");
}

/* In a query a token is percent-encoded, every byte of it perhaps. */
static void test_long_token_in_a_query(void **state) {
    char *query = malloc(4 * (size_t)SIGV4_TOKEN_MAX);
    size_t head = strlen(QUERY_HEAD "&X-Amz-Signature=" QUERY_SIGNATURE "&X-Amz-Security-Token=");
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    struct err err;

    assert_non_null(query);
    query_sample(&s);
    request = view(&s);
    memcpy(query, QUERY_HEAD "&X-Amz-Signature=" QUERY_SIGNATURE "&X-Amz-Security-Token=", head);
    for (size_t i = 0; i < SIGV4_TOKEN_MAX; i++) {
        memcpy(query + head + 3 * i, "%2F", 3);
    }
    request.query = query;
    request.query_len = head + 3 * (size_t)SIGV4_TOKEN_MAX;
    assert_int_equal(sigv4_parse(&request, &claim, &err), OK);
    assert_int_equal(claim.security_token_len, 3 * (size_t)SIGV4_TOKEN_MAX);
    query[request.query_len++] = 'x';
    assert_int_equal(sigv4_parse(&request, &claim, &err), ERR_UNRECOGNIZED_CLIENT);
    free(query);
}

static void replace_in_authorization(struct sample *s, const char *from, const char *to) {
    char *value = value_of(s, "Authorization"), *at = strstr(value, from), copy[VALUE_SIZE];

    assert_non_null(at);
    (void)snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(at - value), value, to, at + strlen(from));
    set(value, VALUE_SIZE, copy);
}

static void test_scope_sentences(void **state) {
    struct sample s;

    header_sample(&s);
    replace_in_authorization(&s, "/secretsmanager/", "/s3/");
    assert_refused(&s, ERR_INVALID_SIGNATURE,
                   "Credential should be scoped to correct service: 'secretsmanager'. ");
    header_sample(&s);
    replace_in_authorization(&s, "aws4_request", "aws5_request");
    assert_refused(&s, ERR_INVALID_SIGNATURE,
                   "Credential should be scoped with a valid terminator: 'aws4_request', not "
                   "'aws5_request'.");
    header_sample(&s);
    replace_in_authorization(&s, "/20260115/", "/20260114/");
    assert_refused(&s, ERR_INVALID_SIGNATURE,
                   "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                   "from HTTP: '20260114' != '20260115', from '20260115T123045Z'.");
    header_sample(&s);
    replace_in_authorization(&s, "us-east-1", "us-east-2");
    assert_mismatch(&s);
    query_sample(&s);
    memcpy(strstr(s.query, "aws4_request"), "aws5", 4);
    assert_refused(&s, ERR_INVALID_SIGNATURE,
                   "Credential should be scoped with a valid terminator: 'aws4_request', not "
                   "'aws5_request'.");
}

/* sigv4_verify does not rely on the scope having been checked. */
static void test_verify_alone_holds_the_terminator(void **state) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    uint8_t key[32];

    header_sample(&s);
    replace_in_authorization(&s, "aws4_request", "aws5_request");
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    signing_key("20260115", "us-east-1", "secretsmanager", key);
    assert_int_equal(sigv4_verify(&request, &claim, key, NULL), ERR_INVALID_SIGNATURE);
}

static void test_clock_window(void **state) {
    const int64_t minute = 60 * 1000;
    struct sample s;
    struct err err;

    header_sample(&s);
    assert_int_equal(authenticate_at(&s, now_ms() + 15 * minute, &err), OK);
    assert_int_equal(authenticate_at(&s, now_ms() + 15 * minute + 999, &err), OK);
    assert_int_equal(authenticate_at(&s, now_ms() + 15 * minute + 1000, &err),
                     ERR_INVALID_SIGNATURE);
    assert_string_equal(err.message, "Signature expired: 20260115T123045Z is now earlier than "
                                     "20260115T123046Z (20260115T124546Z - 15 min.)");
    assert_int_equal(authenticate_at(&s, now_ms() - 15 * minute, &err), OK);
    assert_int_equal(authenticate_at(&s, now_ms() - 15 * minute - 1, &err), ERR_INVALID_SIGNATURE);
    assert_string_equal(err.message, "Signature not yet current: 20260115T123045Z is still later "
                                     "than 20260115T123044Z (20260115T121544Z + 15 min.)");
    assert_int_equal(authenticate_at(&s, 0, &err), ERR_INVALID_SIGNATURE);
    assert_int_equal(authenticate_at(&s, INT64_MAX, &err), ERR_INVALID_SIGNATURE);
    assert_int_equal(authenticate_at(&s, INT64_MIN, &err), ERR_INVALID_SIGNATURE);
}

static enum errc check_expiry(const char *expires, int64_t age_s, struct err *err) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    enum errc errc;

    query_sample(&s);
    (void)snprintf(s.query, sizeof(s.query),
                   "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%%2F20260115%%2F"
                   "us-east-1%%2Fsecretsmanager%%2Faws4_request&X-Amz-Date=20260115T123045Z%s&"
                   "X-Amz-SignedHeaders=host&X-Amz-Signature=" QUERY_SIGNATURE,
                   expires);
    request = view(&s);
    errc = sigv4_parse(&request, &claim, err);
    return errc != OK ? errc
                      : sigv4_check_scope(&claim, "secretsmanager", now_ms() + age_s * 1000, err);
}

static void test_query_expiry(void **state) {
    struct err err;

    assert_int_equal(check_expiry("&X-Amz-Expires=3600", 3600, &err), OK);
    assert_int_equal(check_expiry("&X-Amz-Expires=3600", 3601, &err), ERR_INVALID_SIGNATURE);
    assert_string_equal(err.message, "Signature expired: 20260115T123045Z is now earlier than "
                                     "20260115T123046Z (20260115T133046Z - 60 min.)");
    assert_int_equal(check_expiry("&X-Amz-Expires=1", 2, &err), ERR_INVALID_SIGNATURE);
    assert_string_equal(err.message, "Signature expired: 20260115T123045Z is now earlier than "
                                     "20260115T123046Z (20260115T123047Z - 1 s.)");
    assert_int_equal(check_expiry("&X-Amz-Expires=604800", 604800, &err), OK);
    assert_int_equal(check_expiry("&X-Amz-Expires=604800", -901, &err), ERR_INVALID_SIGNATURE);
    assert_int_equal(check_expiry("", 900, &err), OK);
    assert_int_equal(check_expiry("", 901, &err), ERR_INVALID_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=604801", 0, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=99999999999999999999999", 0, &err),
                     ERR_INCOMPLETE_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=0", 0, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=", 0, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=-1", 0, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_int_equal(check_expiry("&X-Amz-Expires=1h", 0, &err), ERR_INCOMPLETE_SIGNATURE);
    assert_string_equal(err.message, "X-Amz-Expires should be a number");
    assert_int_equal(check_expiry("&X-Amz-Expires=9&X-Amz-Expires=9", 0, &err),
                     ERR_INCOMPLETE_SIGNATURE);
    assert_string_equal(err.message, "AWS query-string parameter 'X-Amz-Expires' is repeated.");
}

static void test_incomplete_query(void **state) {
    struct sample s;

    query_sample(&s);
    set(s.query, sizeof(s.query), "X-Amz-Date=20260115T123045Z&X-Amz-Signature=" QUERY_SIGNATURE);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string "
                   "parameters must include 'X-Amz-Credential'. AWS query-string parameters must "
                   "include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.");
    query_sample(&s);
    memcpy(strstr(s.query, "%2F"), "%2G", 3);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "AWS query-string parameter 'X-Amz-Credential' is too long or not "
                   "percent-encoded.");
    query_sample(&s);
    memcpy(strstr(s.query, "HMAC"), "hmac", 4);
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "Unsupported AWS 'algorithm': 'AWS4-hmac-SHA256'.");
    query_sample(&s);
    memcpy(strstr(s.query, "MyTest"), "My%est", 6);
    assert_mismatch(&s);
}

static void test_signed_headers_must_be_canonical(void **state) {
    static const char *const bad[] = {
        "host;content-type;x-amz-date;x-amz-target",      /* not sorted */
        "content-type;host;host;x-amz-date;x-amz-target", /* not unique */
        "content-type;Host;x-amz-date;x-amz-target",
        "content-type;host;x-amz-date;x-amz-target;",
        ";content-type;host;x-amz-date;x-amz-target",
        "content-type;;host;x-amz-date;x-amz-target",
        "content-type;host;x-amz-absent;x-amz-date;x-amz-target", /* not sent */
        "content-type; host;x-amz-date;x-amz-target",
        "content-type;x-amz-date;x-amz-target", /* without host */
        "content-type;host;x-amz-date",         /* without the target */
        "",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sample s;

        header_sample(&s);
        replace_in_authorization(&s, "content-type;host;x-amz-date;x-amz-target", bad[i]);
        assert_mismatch(&s);
    }
}

static void test_signature_format(void **state) {
    static const char *const bad[] = {
        "", "00", SIGNATURE "00",
        "072F43d5f6c83b680791db6c861b78a796e06c296363d05c3df204efd9c3b32a",
        "z72f43d5f6c83b680791db6c861b78a796e06c296363d05c3df204efd9c3b32a"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sample s;

        header_sample(&s);
        replace_in_authorization(&s, SIGNATURE, bad[i]);
        assert_mismatch(&s);
    }
}

static void assert_time(const char *text, int64_t expected_s) {
    int64_t ms = -5;
    bool good = sigv4_time_parse_basic(text, strlen(text), &ms);

    assert_int_equal(good, expected_s >= 0);
    assert_int_equal(ms, good ? expected_s * 1000 : -5);
    if (good) {
        char back[SIGV4_TIMESTAMP];
        sigv4_time_format(ms, back);
        assert_string_equal(back, text);
    }
}

static void test_times(void **state) {
    static const char *const bad_http[] = {
        "Thu, 15 Jan 2026 12:30:45 UTC", "Thu, 15 jan 2026 12:30:45 GMT",
        "Thu, 1 Jan 2026 12:30:45 GMT", "", "Thu, 31 Feb 2026 12:30:45 GMT"};
    int64_t ms = 0;

    assert_time("19700101T000000Z", 0);
    assert_time("20260115T123045Z", 1768480245);
    assert_time("20000229T235959Z", 951868799);
    assert_time("20240301T000000Z", 1709251200);
    assert_time("21000228T000000Z", 4107456000);
    assert_time("99991231T235959Z", 253402300799);
    assert_time("21000229T000000Z", -1);
    assert_time("20260229T000000Z", -1);
    assert_time("20261301T000000Z", -1);
    assert_time("20260001T000000Z", -1);
    assert_time("20260100T000000Z", -1);
    assert_time("20260131T240000Z", -1);
    assert_time("20260131T006000Z", -1);
    assert_time("20260131T000060Z", -1);
    assert_time("19691231T235959Z", -1);
    assert_time("20260115t123045Z", -1);
    assert_time("20260115T123045z", -1);
    assert_time("20260115T12304 Z", -1);
    assert_time("20260115T123045", -1);
    assert_time("20260115T123045ZZ", -1);
    assert_true(sigv4_time_parse_http("Thu, 15 Jan 2026 12:30:45 GMT", 29, &ms));
    assert_int_equal(ms, 1768480245000);
    for (size_t i = 0; i < ARRAY_LEN(bad_http); i++) {
        assert_false(sigv4_time_parse_http(bad_http[i], strlen(bad_http[i]), &ms));
    }
}

static void test_times_agree_with_the_library(void **state) {

    seed_draws();
    for (int i = 0; i < 20000; i++) {
        time_t at = (time_t)(draw() % 253402300800U);
        struct tm tm;
        char text[SIGV4_TIMESTAMP];

        assert_non_null(gmtime_r(&at, &tm));
        assert_int_equal(strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm), 16);
        assert_time(text, at);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_authentication),
        cmocka_unit_test(test_incomplete_header),
        cmocka_unit_test(test_missing_equal_sign),
        cmocka_unit_test(test_date_of_the_request),
        cmocka_unit_test(test_long_parts),
        cmocka_unit_test(test_long_signed_headers_and_token),
        cmocka_unit_test(test_long_token_in_a_query),
        cmocka_unit_test(test_scope_sentences),
        cmocka_unit_test(test_verify_alone_holds_the_terminator),
        cmocka_unit_test(test_clock_window),
        cmocka_unit_test(test_query_expiry),
        cmocka_unit_test(test_incomplete_query),
        cmocka_unit_test(test_signed_headers_must_be_canonical),
        cmocka_unit_test(test_signature_format),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_agree_with_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
