/* Signature Version 4: published vectors, mutations that must be refused, and equivalences that
 * must not. */
#include "crypto_sigv4_sample.h"

static void assert_canonical(struct sample *s, const char *expected_sha256) {
    struct sigv4_request request = view(s);
    struct sigv4_claim claim;
    struct buf canonical;
    uint8_t digest[32];
    char hex[65];

    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    buf_init(&canonical, SIGV4_CANONICAL_MAX);
    assert_true(sigv4_canonical_request(&request, &claim, &canonical));
    assert_false(canonical.failed);
    digest_sha256(canonical.data, canonical.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    assert_string_equal(hex, expected_sha256);
    buf_fini(&canonical);
}

static void test_vectors(void **state) {
    struct sample s;

    header_sample(&s);
    assert_canonical(&s, "a4c3a126966c1537d1bb645f22abe9f40a58e38ef5d82472c81cc48e41ea6641");
    assert_accepted(&s);
    token_sample(&s);
    assert_canonical(&s, "5d7d878796b67163c2bbbd5456790e016683d53954db525d0161e87d0a9a977d");
    assert_accepted(&s);
    query_sample(&s);
    assert_canonical(&s, "34f69090e67cb13dbb41f89a667694ddb7524254e95acf08af0ce6c1504a9b9f");
    assert_accepted(&s);
}

static void test_claim_of_the_vectors(void **state) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;

    token_sample(&s);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    assert_false(claim.query_form);
    assert_string_equal(claim.access_key_id, "AKIDEXAMPLE");
    assert_string_equal(claim.date, "20260115");
    assert_string_equal(claim.region, "us-east-1");
    assert_string_equal(claim.service, "secretsmanager");
    assert_string_equal(claim.terminator, "aws4_request");
    assert_string_equal(claim.timestamp, STAMP);
    assert_int_equal(claim.timestamp_ms, 1768480245000);
    assert_int_equal(claim.expires_s, -1);
    assert_int_equal(claim.security_token_len, 19);
    assert_memory_equal(claim.security_token, "SESSIONTOKENEXAMPLE", 19);
    query_sample(&s);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    assert_true(claim.query_form);
    assert_int_equal(claim.expires_s, 900);
    assert_string_equal(claim.signed_headers_text, "content-type;host;x-amz-target");
    assert_null(claim.signed_headers);
    assert_null(claim.security_token);
}

struct generated {
    const char *method, *path, *query, *host;
    const char *extra[2][2];
    const char *body;
    size_t body_len;
    const char *signed_headers, *signature;
};

/* Paths, queries, header values and payloads that this service's clients do not send, signed with
 * botocore. */
static void test_generated_vectors(void **state) {
    static const struct generated cases[] = {
        {"GET",
         "/a/./b/../c//d/",
         "",
         "h.example",
         {{NULL, NULL}},
         "",
         0,
         "host;x-amz-date",
         "a4632c7ff014fcd91c5c8cd3f06ef955dd4f82642831820d2ba2f5bd916754d7"},
        {"GET",
         "/a%20b/%7Ec~/..",
         "",
         "h.example",
         {{NULL, NULL}},
         "",
         0,
         "host;x-amz-date",
         "e3daa05daf825fdf08d51f0ac84756fb64fa11df4b49b8404ca9248e24b5eb8a"},
        {"PUT",
         "/x",
         "b=2&a=1&b=10&a-=%20x&a=&A=%2F",
         "localhost:8443",
         {{"X-Amz-Meta", "  two   words  "}, {"Zeta", "a\tb"}},
         "body",
         4,
         "host;x-amz-date;x-amz-meta;zeta",
         "d55fe30b7b046215046347de077dfe95d70733a3600528471491276e0457d031"},
        {"POST",
         "/",
         "Param=value%26more",
         "h.example",
         {{"X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"}},
         "\x00\xff",
         2,
         "host;x-amz-content-sha256;x-amz-date",
         "24d793b7a5c04e82b0edc12bd5eb5c90bc47436471e0472efc8532983bdaec8a"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct generated *c = &cases[i];
        struct sample s;
        char authorization[512];

        empty_sample(&s, c->method, c->path, c->query);
        add_header(&s, "Host", c->host);
        add_header(&s, "X-Amz-Date", STAMP);
        for (size_t j = 0; j < 2 && c->extra[j][0] != NULL; j++) {
            add_header(&s, c->extra[j][0], c->extra[j][1]);
        }
        set_body(&s, c->body, c->body_len);
        (void)snprintf(authorization, sizeof(authorization),
                       SIGV4_ALGORITHM " " CREDENTIAL ", SignedHeaders=%s, Signature=%s",
                       c->signed_headers, c->signature);
        add_header(&s, "Authorization", authorization);
        assert_accepted(&s);
    }
}

static void test_sign_gives_the_vector(void **state) {
    struct sample s;
    struct sigv4_claim claim = {.access_key_id = "AKIDEXAMPLE"};
    struct sigv4_request request;
    char small[64];

    header_sample(&s);
    sign(&s, "content-type;host;x-amz-date;x-amz-target");
    assert_string_equal(value_of(&s, "Authorization"), AUTHORIZATION);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    assert_false(sigv4_sign(&request, &claim, (const uint8_t *)KEY, small, sizeof(small)));
}

/* With both forms in one request the header decides, and the query is signed whole. */
static void test_header_form_wins(void **state) {
    struct sample s;

    query_sample(&s);
    add_header(&s, "Authorization", AUTHORIZATION);
    add_header(&s, "X-Amz-Date", STAMP);
    assert_mismatch(&s);
    sign(&s, "host;x-amz-date;x-amz-target");
    assert_accepted(&s);
    s.query[strlen(s.query) - 1] ^= 1; /* X-Amz-Signature is a parameter like any other here */
    assert_mismatch(&s);
}

/* Signed over exactly what the request says, and refused all the same. */
static void test_host_and_target_must_be_signed(void **state) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    char out[512];

    header_sample(&s);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    claim.signed_headers = "host;x-amz-date";
    claim.signed_headers_len = strlen(claim.signed_headers);
    assert_false(sigv4_sign(&request, &claim, (const uint8_t *)KEY, out, sizeof(out)));
    claim.signed_headers = "x-amz-date;x-amz-target";
    claim.signed_headers_len = strlen(claim.signed_headers);
    assert_false(sigv4_sign(&request, &claim, (const uint8_t *)KEY, out, sizeof(out)));
    drop_header(&s, "X-Amz-Target");
    sign(&s, "host;x-amz-date"); /* no target: nothing to sign */
    assert_accepted(&s);
    add_header(&s, "x-AMZ-target", "secretsmanager.DeleteSecret");
    assert_mismatch(&s);
}

static void test_payload_hash(void **state) {
    static const char right[] = "ec8dac172baad8df345bec480e4240167faad4c23bd4915a7b2f70976978cd29";
    static const char of_empty[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct sample s;

    header_sample(&s);
    add_header(&s, "X-Amz-Content-SHA256", right); /* unsigned, and true */
    assert_accepted(&s);
    sign(&s, "host;x-amz-content-sha256;x-amz-date;x-amz-target");
    assert_accepted(&s);
    s.body[0] ^= 1;
    assert_mismatch(&s);
    set_value(&s, "X-Amz-Content-SHA256", of_empty);
    assert_mismatch(&s);

    header_sample(&s);
    add_header(&s, "X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"); /* only the client may say so */
    assert_mismatch(&s);
    sign(&s, "host;x-amz-content-sha256;x-amz-date;x-amz-target");
    assert_accepted(&s);
    s.body[0] ^= 1;
    assert_accepted(&s);
    add_header(&s, "X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD");
    assert_mismatch(&s);

    query_sample(&s);
    set_body(&s, "x", 1); /* a presigned request's body is as signed as any other */
    assert_mismatch(&s);
}

/* Presigners of the JavaScript SDK move the headers that they find into the query. */
static void test_payload_hash_in_the_query(void **state) {
    static const char before[] =
        "x-amz-target=secretsmanager.GetSecretValue&X-Amz-Algorithm=AWS4-"
        "HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260115%2Fus-east-1%2F"
        "secretsmanager%2Faws4_request&X-Amz-Date=20260115T123045Z&X-Amz-"
        "Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=e6d2d9d6bfa2"
        "d3443a10d4c06f150a40a439985f767e33c70a2326b5e2223684";
    struct sample s;
    char query[1024];

    (void)snprintf(query, sizeof(query), "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&%s", before);
    empty_sample(&s, "POST", "/", query);
    add_header(&s, "Host", HOST);
    assert_accepted(&s);
    set_body(&s, "anything", 8);
    assert_accepted(&s);
    add_header(&s, "X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"); /* twice */
    assert_mismatch(&s);
    empty_sample(&s, "POST", "/", before); /* it is signed: it cannot be taken out */
    add_header(&s, "Host", HOST);
    assert_mismatch(&s);
    add_header(&s, "X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD");
    assert_mismatch(&s);
    (void)snprintf(query, sizeof(query), "X-Amz-Content-Sha256=&%s", before);
    empty_sample(&s, "POST", "/", query);
    add_header(&s, "Host", HOST);
    assert_mismatch(&s);
    /* In header form the parameter is one like any other. */
    header_sample(&s);
    drop_header(&s, "Authorization");
    set(s.query, sizeof(s.query), "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD");
    sign(&s, "host;x-amz-date;x-amz-target");
    assert_accepted(&s);
    s.body[0] ^= 1;
    assert_mismatch(&s);
}

/* A line end inside a value could make one canonical request stand for two requests. */
static void test_line_ends_in_values(void **state) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    char out[512];

    header_sample(&s);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    for (const char *bad = "\n\r"; *bad != '\0'; bad++) {
        (void)snprintf(value_of(&s, "Content-Type"), VALUE_SIZE, "a%chost:b", *bad);
        request = view(&s);
        assert_false(sigv4_sign(&request, &claim, (const uint8_t *)KEY, out, sizeof(out)));
    }
}

static void swap_headers(struct sample *s, size_t a, size_t b) {
    char name[64], value[VALUE_SIZE];

    memcpy(name, s->names[a], sizeof(name));
    memcpy(value, s->values[a], sizeof(value));
    memcpy(s->names[a], s->names[b], sizeof(name));
    memcpy(s->values[a], s->values[b], sizeof(value));
    memcpy(s->names[b], name, sizeof(name));
    memcpy(s->values[b], value, sizeof(value));
}

static void test_equal_headers_verify(void **state) {
    struct sample s;

    header_sample(&s);
    for (size_t i = 0; i < s.n_headers / 2; i++) {
        swap_headers(&s, i, s.n_headers - 1 - i);
    }
    assert_accepted(&s);
    for (size_t i = 0; i < s.n_headers; i++) {
        for (char *c = s.names[i]; *c != '\0'; c++) {
            *c = (char)(i % 2 ? *c & ~0x20 : *c | 0x20);
            *c = *c == ('-' & ~0x20) ? '-' : *c;
        }
    }
    assert_accepted(&s);
    add_header(&s, "Accept-Encoding", "identity");
    add_header(&s, "amz-sdk-request", "attempt=1");
    set_value(&s, "User-Agent", "another");
    assert_accepted(&s);
    set_value(&s, "Host", " \tsecretsmanager.us-east-1.amazonaws.com  ");
    set_value(&s, "X-Amz-Date", " 20260115T123045Z ");
    assert_accepted(&s);

    header_sample(&s);
    add_header(&s, "X-Amz-Meta", "one two three");
    sign(&s, "host;x-amz-date;x-amz-meta;x-amz-target");
    set_value(&s, "X-Amz-Meta", " one \t two   three\t");
    assert_accepted(&s);
    set_value(&s, "X-Amz-Meta", "onetwo three");
    assert_mismatch(&s);

    /* Two headers are one with a comma, in their order. */
    set_value(&s, "X-Amz-Meta", "1");
    add_header(&s, "x-amz-meta", " 2 ");
    sign(&s, "host;x-amz-date;x-amz-meta;x-amz-target");
    assert_accepted(&s);
    drop_header(&s, "x-amz-meta");
    set_value(&s, "x-amz-meta", "1,2");
    assert_accepted(&s);
    set_value(&s, "x-amz-meta", "2,1");
    assert_mismatch(&s);
}

static void test_equal_authorization_verifies(void **state) {
    static const char *const forms[] = {
        SIGV4_ALGORITHM " " CREDENTIAL "," NAMES ",Signature=" SIGNATURE,
        SIGV4_ALGORITHM " Signature=" SIGNATURE " , \t" NAMES ",  " CREDENTIAL,
        "  " SIGV4_ALGORITHM "   " NAMES "," CREDENTIAL ",Signature=" SIGNATURE "  ",
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct sample s;

        header_sample(&s);
        set_value(&s, "Authorization", forms[i]);
        assert_accepted(&s);
    }
}

static void test_equal_queries_verify(void **state) {
    struct sample s;

    query_sample(&s);
    set(s.query, sizeof(s.query),
        "X-Amz-Signature=" QUERY_SIGNATURE
        "&X-Amz-SignedHeaders=content-type;host%3bx-amz-target&X-Amz-Expires=900&"
        "X-Amz-Date=20260115T123045Z&X-Amz-Credential=AKIDEXAMPLE/20260115/us%2Deast-1/"
        "secretsmanager/aws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256&SecretId=My%54estSecret");
    assert_accepted(&s);
    set(s.path, sizeof(s.path), "//.//");
    assert_accepted(&s);
    set(s.path, sizeof(s.path), "");
    assert_accepted(&s);
    set(s.path, sizeof(s.path), "x");
    assert_mismatch(&s);
}

static void assert_query_canonical(const char *query, const char *expected) {
    struct buf out;

    buf_init(&out, 32768);
    assert_true(query_canonical(query, strlen(query), "Left", &out));
    assert_false(out.failed);
    assert_int_equal(out.len, strlen(expected));
    if (out.len > 0) {
        assert_memory_equal(out.data, expected, out.len);
    }
    buf_fini(&out);
}

static void test_canonical_queries(void **state) {
    char many[2 * 257];
    struct buf out;

    assert_query_canonical("", "");
    assert_query_canonical("a", "a=");
    assert_query_canonical("b&a", "a=&b=");
    assert_query_canonical("&", "=&=");
    assert_query_canonical("a=b=c", "a=b%3Dc");
    assert_query_canonical("a=%2f%2F/", "a=%2F%2F%2F");
    assert_query_canonical("a=+%20", "a=%2B%20");
    assert_query_canonical("%41=%7e~", "A=~~");
    assert_query_canonical("a=10&a=2&a=1", "a=1&a=10&a=2");
    /* By key first: '=' sorts after '-' and '%'. */
    assert_query_canonical("a-b=1&a=2&a%20=3", "a=2&a%20=3&a-b=1");
    assert_query_canonical("Left=1&a=1&L%65ft=2&left=3", "a=1&left=3");
    buf_init(&out, 32768);
    assert_false(query_canonical("a=%", 3, NULL, &out));
    assert_false(query_canonical("a=%4", 4, NULL, &out));
    assert_false(query_canonical("%4g=", 4, NULL, &out));
    for (size_t i = 0; i < sizeof(many); i += 2) {
        memcpy(many + i, "a&", 2);
    }
    assert_true(query_canonical(many, 2 * 255, NULL, &out)); /* 255 and an empty one */
    assert_false(query_canonical(many, 2 * 256, NULL, &out));
    buf_fini(&out);
}

/* Mutations. */

static void own_sample(struct sample *s) {
    empty_sample(s, "PUT", "/some/long.path/x", "b=2&a=1%202&B=3");
    add_header(s, "host", "localhost:7400");
    add_header(s, "x-amz-date", STAMP);
    add_header(s, "content-type", "application/x-amz-json-1.1");
    add_header(s, "x-amz-target", "secretsmanager.PutSecretValue");
    set_body(s, BODY, strlen(BODY));
    sign(s, "content-type;host;x-amz-date;x-amz-target");
}

/* Differences that mean nothing, by definition of the canonical form. */
static bool is_equivalent(const struct sample *s, const char *field, size_t at, uint8_t was,
                          uint8_t is) {
    if ((was == ' ' && is == '\t')) {
        return true;
    }
    return field == s->query && (was ^ is) == 0x20 && at > 0 &&
           (field[at - 1] == '%' || (at > 1 && field[at - 2] == '%'));
}

/* A random byte of something signed: method, path, query, a signed header, or the body. */
static uint8_t *pick_byte(struct sample *s, char **ret_field, size_t *ret_at) {
    for (;;) {
        size_t field = (size_t)draw() % (4 + s->n_headers), len;
        char *text;

        if (field == 3) {
            if (s->body_len == 0) {
                continue;
            }
            *ret_field = (char *)s->body;
            *ret_at = (size_t)draw() % s->body_len;
            return &s->body[*ret_at];
        }
        if (field > 3 && strcasecmp(s->names[field - 4], "User-Agent") == 0) {
            continue; /* not signed */
        }
        text = field == 0   ? s->method
               : field == 1 ? s->path
               : field == 2 ? s->query
                            : s->values[field - 4];
        len = strlen(text);
        if (len > 0) {
            *ret_field = text;
            *ret_at = (size_t)draw() % len;
            return (uint8_t *)text + *ret_at;
        }
    }
}

static void test_mutations_are_refused(void **state) {
    static void (*const samples[])(struct sample *) = {header_sample, token_sample, query_sample,
                                                       own_sample};
    struct sample bases[ARRAY_LEN(samples)];
    struct err err;

    seed_draws();
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        samples[i](&bases[i]);
        assert_accepted(&bases[i]);
    }
    for (int i = 0; i < 10000;) {
        struct sample *s = &bases[(size_t)draw() % ARRAY_LEN(bases)];
        char *field;
        size_t at;
        uint8_t *byte = pick_byte(s, &field, &at), was = *byte;
        /* Half of them near misses. */
        uint8_t is = (uint8_t)draw();
        if (draw() % 2) {
            is = (uint8_t)(was ^ 1 << draw() % 8);
        }
        if (is == was || is == 0 || is_equivalent(s, field, at, was, is)) {
            continue;
        }
        *byte = is;
        if (authenticate(s, &err) == OK) {
            fail_msg("%02x to %02x at %zu of %s was accepted", was, is, at, field);
        }
        *byte = was;
        i++;
    }
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        assert_accepted(&bases[i]); /* each change was undone, so each was refused for itself */
    }
}

/* Every single bit of the signature and of the signing key. */
static void test_every_bit_of_signature_and_key(void **state) {
    struct sample s;
    struct sigv4_request request;
    struct sigv4_claim claim;
    uint8_t key[32];

    header_sample(&s);
    request = view(&s);
    assert_int_equal(sigv4_parse(&request, &claim, NULL), OK);
    signing_key("20260115", "us-east-1", "secretsmanager", key);
    for (size_t bit = 0; bit < 256; bit++) {
        claim.signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(sigv4_verify(&request, &claim, key, NULL), ERR_INVALID_SIGNATURE);
        claim.signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        key[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(sigv4_verify(&request, &claim, key, NULL), ERR_INVALID_SIGNATURE);
        key[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(sigv4_verify(&request, &claim, key, NULL), OK);
}

static void test_added_or_dropped_is_refused(void **state) {
    struct sample s;

    header_sample(&s);
    set(s.query, sizeof(s.query), "a=1");
    assert_mismatch(&s);
    header_sample(&s);
    add_header(&s, "Host", "other.example"); /* a second value of a signed header */
    assert_mismatch(&s);
    header_sample(&s);
    add_header(&s, "X-Amz-Target", "secretsmanager.DeleteSecret");
    assert_mismatch(&s);
    header_sample(&s);
    drop_header(&s, "Content-Type");
    assert_mismatch(&s);
    header_sample(&s);
    s.body_len--;
    assert_mismatch(&s);
    s.body_len = 0;
    assert_mismatch(&s);
    query_sample(&s);
    set(s.query + strlen(s.query), 16, "&a=1");
    assert_mismatch(&s);
    query_sample(&s);
    set(s.query + strlen(s.query), 32, "&X-Amz-Signature=00");
    assert_refused(&s, ERR_INCOMPLETE_SIGNATURE,
                   "AWS query-string parameter 'X-Amz-Signature' is repeated.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_claim_of_the_vectors),
        cmocka_unit_test(test_generated_vectors),
        cmocka_unit_test(test_sign_gives_the_vector),
        cmocka_unit_test(test_header_form_wins),
        cmocka_unit_test(test_host_and_target_must_be_signed),
        cmocka_unit_test(test_payload_hash),
        cmocka_unit_test(test_payload_hash_in_the_query),
        cmocka_unit_test(test_line_ends_in_values),
        cmocka_unit_test(test_equal_headers_verify),
        cmocka_unit_test(test_equal_authorization_verifies),
        cmocka_unit_test(test_equal_queries_verify),
        cmocka_unit_test(test_canonical_queries),
        cmocka_unit_test(test_mutations_are_refused),
        cmocka_unit_test(test_every_bit_of_signature_and_key),
        cmocka_unit_test(test_added_or_dropped_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
