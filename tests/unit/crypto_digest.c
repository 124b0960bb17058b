/* Digests against published vectors, and the strictness of base64. */
#include "base/bytes.h"
#include "base/wipe.h"
#include "base/world.h"
#include "crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_hex(const uint8_t digest[DIGEST_SIZE], const char *expected) {
    char text[2 * DIGEST_SIZE + 1];

    hex_encode(digest, DIGEST_SIZE, text);
    assert_string_equal(text, expected);
}

/* FIPS 180-4 examples. */
static void test_sha256_vectors(void **state) {
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    uint8_t out[DIGEST_SIZE];
    char *million = malloc(1000000);

    assert_non_null(million);
    memset(million, 'a', 1000000);
    digest_sha256(NULL, 0, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256("abc", 3, out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(two_blocks, strlen(two_blocks), out);
    assert_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest_sha256(million, 1000000, out);
    assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

struct hmac_case {
    uint8_t key_byte; /* repeated; 0: `key` */
    const char *key;
    size_t key_len;
    uint8_t data_byte;
    const char *data;
    size_t data_len;
    const char *expected;
};

/* RFC 4231, cases 1, 2, 3, 6 and 7. */
static void test_hmac_vectors(void **state) {
    static const char long_data[] =
        "This is a test using a larger than block-size key and a larger than block-size data. The "
        "key needs to be hashed before being used by the HMAC algorithm.";
    static const struct hmac_case cases[] = {
        {0x0b, NULL, 20, 0, "Hi There", 8,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, "Jefe", 4, 0, "what do ya want for nothing?", 28,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, NULL, 20, 0xdd, NULL, 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {0xaa, NULL, 131, 0, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {0xaa, NULL, 131, 0, long_data, 152,
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    uint8_t key[256], data[256], out[DIGEST_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct hmac_case *c = &cases[i];
        memset(key, c->key_byte, sizeof(key));
        memset(data, c->data_byte, sizeof(data));
        if (c->key != NULL) {
            memcpy(key, c->key, c->key_len);
        }
        if (c->data != NULL) {
            assert_int_equal(strlen(c->data), c->data_len);
            memcpy(data, c->data, c->data_len);
        }
        digest_hmac(key, c->key_len, data, c->data_len, out);
        assert_hex(out, c->expected);
    }
}

static void test_hmac_without_key_or_data(void **state) {
    static const uint8_t zeros[64] = {0};
    uint8_t out[DIGEST_SIZE], again[DIGEST_SIZE];

    digest_hmac(NULL, 0, NULL, 0, out);
    assert_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    /* HMAC pads a short key with zeros. */
    digest_hmac(zeros, sizeof(zeros), NULL, 0, again);
    assert_memory_equal(out, again, sizeof(out));
}

static void test_hmac_pieces_are_end_to_end(void **state) {
    const struct digest_piece pieces[] = {{"what do", 7}, {NULL, 0}, {" ya want for nothing?", 21}};
    uint8_t out[DIGEST_SIZE];

    digest_hmac_pieces("Jefe", 4, pieces, ARRAY_LEN(pieces), out);
    assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 5869, case 3 (no salt, no info), its first 32 bytes; and that `info` separates. */
static void test_hkdf_vector(void **state) {
    uint8_t key[22], out[DIGEST_SIZE], other[DIGEST_SIZE];

    memset(key, 0x0b, sizeof(key));
    digest_hkdf(key, sizeof(key), "", out);
    assert_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    digest_hkdf(key, sizeof(key), "a", other);
    assert_memory_not_equal(out, other, sizeof(out));
}

static void test_equal(void **state) {
    assert_true(digest_equal("abc", "abc", 3));
    assert_false(digest_equal("abc", "abd", 3));
    assert_false(digest_equal("xbc", "abc", 3));
    assert_true(digest_equal("x", "y", 0));
}

/* RFC 4648, section 10. */
static void test_base64_vectors(void **state) {
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *plain = cases[i][0], *text = cases[i][1];
        uint8_t back[16];
        size_t back_len = 99;
        struct buf buf;

        buf_init(&buf, strlen(text)); /* exactly enough */
        base64_encode(&buf, plain, strlen(plain));
        assert_false(buf.failed);
        assert_int_equal(buf.len, strlen(text));
        if (buf.len > 0) {
            assert_memory_equal(buf.data, text, buf.len);
        }
        assert_true(base64_decode(text, strlen(text), back, &back_len));
        assert_int_equal(back_len, strlen(plain));
        assert_memory_equal(back, plain, back_len);
        buf_fini(&buf);
    }
}

static void test_base64_refuses(void **state) {
    static const char *const bad[] = {
        "Z",     "Zg",   "Zg=",      "Zg===",    "=",      "==",    "====",     "Z===",
        "Zh==",  "Zm9=", "Zm8==",    "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm9 ",     "Zm\n9",
        "Zm9v=", "Zm-_", "Zm9vYg=x", "=m9v",     "Z=9v",   "Zm=v",  "Zm9v====", "Zm8\xff",
    };
    uint8_t out[16];
    size_t out_len = 77;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (base64_decode(bad[i], strlen(bad[i]), out, &out_len)) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(out_len, 77);
    }
    assert_false(base64_decode("Zm\0v", 4, out, &out_len));
}

static void test_base64_encode_at_the_cap(void **state) {
    struct buf buf;

    buf_init(&buf, 7);
    base64_encode(&buf, "fooba", 5);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

/* Numbers that a seed replays (xorshift). */
static uint64_t draws;

static uint64_t draw(void) {
    draws ^= draws << 13;
    draws ^= draws >> 7;
    draws ^= draws << 17;
    return draws;
}

static void seed_draws(void) {
    world_random(world_system(), &draws, sizeof(draws));
    draws |= 1;
    print_message("seed %" PRIu64 "\n", draws);
}

static void test_base64_round_trip(void **state) {
    uint8_t plain[300], back[303];

    seed_draws();
    for (size_t len = 0; len < sizeof(plain); len++) {
        size_t back_len;
        struct buf buf;

        for (size_t i = 0; i < len; i++) {
            plain[i] = (uint8_t)draw();
        }
        buf_init(&buf, 1024);
        base64_encode(&buf, plain, len);
        assert_true(base64_decode((const char *)buf.data, buf.len, back, &back_len));
        assert_int_equal(back_len, len);
        assert_memory_equal(back, plain, len);
        buf_fini(&buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hmac_without_key_or_data),
        cmocka_unit_test(test_hmac_pieces_are_end_to_end),
        cmocka_unit_test(test_hkdf_vector),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_refuses),
        cmocka_unit_test(test_base64_encode_at_the_cap),
        cmocka_unit_test(test_base64_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
