/* The file of access keys: what is read, what is refused, and the cache of signing keys. */
#include "base/check.h"
#include "crypto/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128];

static int setup(void **state) {
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-credentials-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/credentials", folder);
    return 0;
}

static int teardown(void **state) {
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void write_file(const void *text, size_t len, mode_t mode) {
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static struct credentials *load(const char *text) {
    struct credentials *credentials = NULL;
    struct err err;

    write_file(text, strlen(text), 0600);
    if (credentials_load(path, &credentials, &err) != OK) {
        fail_msg("%s", err.message);
    }
    return credentials;
}

static const char THREE[] = "# the keys of the house\n"
                            "\n"
                            "ZKEY secretsecretZ 123456789012\n"
                            "  \t AKIDEXAMPLE\twJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY  "
                            "111122223333 # a comment\n"
                            "a_1 sec#ret# 000000000000 "; /* no newline at the end */

static void test_three_keys(void **state) {
    struct credentials *credentials = load(THREE);
    const struct identity *identity;
    const struct secret *secret, *token;
    const char *id;

    identity = credentials_find(credentials, "AKIDEXAMPLE");
    assert_non_null(identity);
    assert_string_equal(identity->access_key_id, "AKIDEXAMPLE");
    assert_string_equal(identity->account, "111122223333");
    assert_string_equal(identity->arn, "arn:aws:iam::111122223333:root");
    assert_non_null(credentials_find(credentials, "ZKEY"));
    assert_null(credentials_find(credentials, ""));
    assert_null(credentials_find(credentials, "akidexample"));
    assert_null(credentials_find(credentials, "AKIDEXAMPLE "));
    assert_null(credentials_find(credentials, "ZZZZ"));
    credentials_first(credentials, &id, &secret, &token);
    assert_string_equal(id, "ZKEY"); /* of the file, not of the alphabet */
    assert_int_equal(secret->len, 13);
    assert_memory_equal(secret->data, "secretsecretZ", 13);
    assert_null(token);
    credentials_free(credentials);
}

/* '#' begins a comment only where a word would begin, and never in place of a secret. */
static void test_comment_in_place_of_a_secret(void **state) {
    struct credentials *credentials = NULL;
    struct err err;

    write_file("a_1 #sec 000000000000\n", 22, 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
}

struct bad_line {
    const char *text;
    size_t line;
};

#define LONG_64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_128 LONG_64 LONG_64

static void test_bad_lines(void **state) {
    static const struct bad_line cases[] = {
        {"KEY\n", 1},
        {"KEY TOPSECRET\n", 1},
        {"\n#\nKEY TOPSECRET 12345678901\n", 3},
        {"KEY TOPSECRET 1234567890123\n", 1},
        {"KEY TOPSECRET 12345678901x\n", 1},
        {"KEY TOPSECRET 123456789012 more\n", 1},
        {"KEY TOPSECRET 123456789012 TOP-15-CHARACT-\n", 1}, /* a token has at least 16 */
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN\x7f\n", 1},
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN 2026-01-15\n", 1},
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN 2026-02-30T00:00:00Z\n", 1},
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN 2026-01-15T12:30:45+00:00\n", 1},
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN 20260115T123045Z\n", 1},
        {"KEY TOPSECRET 123456789012 TOPTOKENTOPTOKEN 2026-01-15T12:30:45Z more\n", 1},
        {"KEY TOPSECRET 123456789012\r\n", 1},
        {"KEY-1 TOPSECRET 123456789012\n", 1},
        {"KEY TOP\x01SECRET 123456789012\n", 1},
        {"KEY TOPSECRET\xc3\xa9 123456789012\n", 1},
        {LONG_128 " TOPSECRET 123456789012\n" LONG_128 "a TOPSECRET 123456789012\n", 2},
        {"A " LONG_128 " 123456789012\nB " LONG_128 "TOPSECRET 123456789012\n", 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct credentials *credentials = NULL;
        struct err err;
        char expected[256];

        write_file(cases[i].text, strlen(cases[i].text), 0600);
        assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
        (void)snprintf(expected, sizeof(expected), "%s, line %zu: expected", path, cases[i].line);
        assert_non_null(strstr(err.message, expected));
        assert_null(strstr(err.message, "TOP"));
        assert_null(credentials);
    }
    {
        struct credentials *credentials = NULL;
        static const char nul[] = "KEY TOP\0SECRET 123456789012\n";
        write_file(nul, sizeof(nul) - 1, 0600);
        assert_int_equal(credentials_load(path, &credentials, NULL), ERR_CORRUPT);
    }
}

static void test_bad_files(void **state) {
    static const char twice[] = "B x 123456789012\nA x 123456789012\n\nB TOPSECRET 123456789013\n";
    static char large[256 * 1024 + 1];
    static const mode_t modes[] = {0640, 0604, 0660, 0610};
    struct credentials *credentials = NULL;
    struct err err;

    (void)unlink(path);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_IO);
    assert_int_equal(credentials_load(folder, &credentials, &err), ERR_IO);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        write_file(THREE, strlen(THREE), modes[i]);
        assert_int_equal(credentials_load(path, &credentials, &err), ERR_IO);
        assert_non_null(strstr(err.message, "0600"));
    }
    write_file("", 0, 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
    write_file("# nothing\n", 10, 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
    memset(large, '\n', sizeof(large));
    write_file(large, sizeof(large), 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
    write_file(twice, strlen(twice), 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "lines 1 and 4"));
    assert_null(strstr(err.message, "TOP"));
    assert_null(credentials);
}

static void test_too_many_keys(void **state) {
    char *text = malloc(64 * 1100);
    struct credentials *credentials = NULL;
    struct err err;
    size_t len = 0;

    assert_non_null(text);
    for (int i = 0; i < 1024; i++) {
        len += (size_t)snprintf(text + len, 64, "K%d secret%d 123456789012\n", i, i);
    }
    credentials = load(text);
    for (int i = 0; i < 1024; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "K%d", i);
        assert_string_equal(credentials_find(credentials, id)->access_key_id, id);
    }
    credentials_free(credentials);
    credentials = NULL;
    len += (size_t)snprintf(text + len, 64, "one_more secret 123456789012\n");
    write_file(text, len, 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "line 1025"));
    free(text);
}

static void test_create(void **state) {
    struct credentials *credentials = NULL;
    const struct secret *secret, *token;
    const char *id;
    char first_id[32];
    struct stat st;
    struct err err;

    (void)unlink(path);
    assert_int_equal(credentials_create(path, "12345678901", world_system(), &err),
                     ERR_INVALID_PARAMETER);
    assert_int_equal(credentials_create(path, "123456789012", world_system(), &err), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(credentials_load(path, &credentials, &err), OK);
    credentials_first(credentials, &id, &secret, &token);
    assert_int_equal(strlen(id), 20);
    assert_memory_equal(id, "AKIA", 4);
    assert_int_equal(secret->len, 40);
    assert_string_equal(credentials_find(credentials, id)->account, "123456789012");
    (void)snprintf(first_id, sizeof(first_id), "%s", id);
    credentials_free(credentials);

    assert_int_equal(credentials_create(path, "123456789012", world_system(), &err),
                     ERR_RESOURCE_EXISTS);
    assert_int_equal(credentials_load(path, &credentials, &err), OK);
    assert_non_null(credentials_find(credentials, first_id));
    credentials_free(credentials);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(credentials_create(path, "123456789012", world_system(), &err), OK);
    assert_int_equal(credentials_load(path, &credentials, &err), OK);
    assert_null(credentials_find(credentials, first_id));
    credentials_free(credentials);
}

static enum errc check(struct credentials *credentials, const char *id, bool query_form,
                       const char *token, int64_t now_ms) {
    struct sigv4_claim claim;
    struct err err;

    memset(&claim, 0, sizeof(claim));
    claim.query_form = query_form;
    claim.security_token = token;
    claim.security_token_len = token != NULL ? strlen(token) : 0;
    return credentials_check_session(credentials, credentials_find(credentials, id), &claim, now_ms,
                                     &err);
}

/* AWS_BEHAVIOUR 1.6: the token belongs to its key, and ends. */
static void test_sessions(void **state) {
    static const int64_t end = INT64_C(1768480245000); /* 2026-01-15T12:30:45Z */
    struct credentials *credentials =
        load("LONG secret 123456789012\n"
             "SHORT secret 123456789012 token/token+token= 2026-01-15T12:30:45Z # ends\n"
             "OPEN secret 123456789012 tokentokentokentoken2\n");
    const struct secret *secret, *token;
    const char *id;

    assert_int_equal(check(credentials, "LONG", false, NULL, end), OK);
    assert_int_equal(check(credentials, "LONG", false, "token/token+token=", end),
                     ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "LONG", false, "", end), ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "SHORT", false, "token/token+token=", end - 1), OK);
    assert_int_equal(check(credentials, "SHORT", false, "token/token+token=", end),
                     ERR_EXPIRED_TOKEN);
    assert_int_equal(check(credentials, "SHORT", false, NULL, 0), ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "SHORT", false, "", 0), ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "SHORT", false, "token/token+token!", 0),
                     ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "SHORT", false, "tokentokentokentoken2", 0),
                     ERR_UNRECOGNIZED_CLIENT); /* another key's */
    /* In a query it is percent-encoded. */
    assert_int_equal(check(credentials, "SHORT", true, "token%2Ftoken%2btoken%3D", 0), OK);
    assert_int_equal(check(credentials, "SHORT", false, "token%2Ftoken%2btoken%3D", 0),
                     ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "SHORT", true, "token%2Ftoken%2btoken%3", 0),
                     ERR_UNRECOGNIZED_CLIENT);
    assert_int_equal(check(credentials, "OPEN", true, "tokentokentokentoken2", INT64_MAX - 1), OK);
    credentials_free(credentials);
    credentials = load("OPEN secret 123456789012 tokentokentokentoken2\n");
    credentials_first(credentials, &id, &secret, &token);
    assert_int_equal(token->len, 21);
    assert_memory_equal(token->data, "tokentokentokentoken2", 21);
    credentials_free(credentials);
}

static struct sigv4_claim claim_of(unsigned day, const char *region) {
    struct sigv4_claim claim;

    memset(&claim, 0, sizeof(claim));
    (void)snprintf(claim.date, sizeof(claim.date), "202601%02u", day % 100);
    (void)snprintf(claim.region, sizeof(claim.region), "%s", region);
    (void)snprintf(claim.service, sizeof(claim.service), "secretsmanager");
    return claim;
}

static void assert_right_key(struct credentials *credentials, const char *id, const char *secret,
                             const struct sigv4_claim *claim) {
    struct secret plain;
    uint8_t expected[32], got[32];

    assert_true(secret_init_copy(&plain, secret, strlen(secret)));
    sigv4_signing_key(&plain, claim->date, claim->region, claim->service, expected);
    credentials_signing_key(credentials, credentials_find(credentials, id), claim, got);
    assert_memory_equal(got, expected, sizeof(got));
    secret_fini(&plain);
}

/* More scopes than the cache holds, each asked for again and again. */
static void test_signing_keys(void **state) {
    static const char *const regions[] = {"us-east-1", "eu-west-1", "us-east-2"};
    struct credentials *credentials = load(THREE);

    for (int round = 0; round < 4; round++) {
        for (unsigned day = 1; day <= 3; day++) {
            for (size_t r = 0; r < ARRAY_LEN(regions); r++) {
                struct sigv4_claim claim = claim_of(day, regions[r]);
                assert_right_key(credentials, "AKIDEXAMPLE",
                                 "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &claim);
                assert_right_key(credentials, "ZKEY", "secretsecretZ", &claim);
                claim.service[0] = 'S';
                assert_right_key(credentials, "ZKEY", "secretsecretZ", &claim);
            }
        }
    }
    credentials_free(credentials);
}

static void *derive_often(void *arg) {
    struct credentials *credentials = arg;
    const struct identity *identity = credentials_find(credentials, "ZKEY");

    for (unsigned i = 0; i < 300; i++) {
        struct sigv4_claim claim = claim_of(i % 6 + 1, "us-east-1");
        uint8_t key[32], again[32];
        credentials_signing_key(credentials, identity, &claim, key);
        credentials_signing_key(credentials, identity, &claim, again);
        CHECK(memcmp(key, again, sizeof(key)) == 0);
    }
    return NULL;
}

static void test_threads(void **state) {
    struct credentials *credentials = load(THREE);
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, derive_often, credentials), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    credentials_free(credentials);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_keys),    cmocka_unit_test(test_comment_in_place_of_a_secret),
        cmocka_unit_test(test_bad_lines),     cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_too_many_keys), cmocka_unit_test(test_create),
        cmocka_unit_test(test_sessions),      cmocka_unit_test(test_signing_keys),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
