/* Envelope encryption: what was sealed opens where it was sealed for, and nowhere else. */
#include "base/bytes.h"
#include "base/check.h"
#include "crypto/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t ROOT[KEYRING_KEY] = "an example root key of 32 bytes";

struct fixture {
    struct keyring *keyring;
    struct buf wrapped_key, data_key, ciphertext;
    struct keyring_binding binding;
    struct secret value;
};

static const struct keyring_binding HOME = {
    .account = "123456789012",
    .arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf",
    .version_id = "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE",
    .key_id = "1234abcd-12ab-34cd-56ef-1234567890ab",
    .key_number = 1,
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->keyring = keyring_new(ROOT, "us-east-1", world_system());
    assert_non_null(f->keyring);
    buf_init(&f->wrapped_key, 1024);
    buf_init(&f->data_key, 1024);
    buf_init(&f->ciphertext, 1 << 20);
    f->binding = HOME;
    assert_int_equal(keyring_wrap_new_key(f->keyring, HOME.account, HOME.key_id, HOME.key_number,
                                          &f->wrapped_key),
                     OK);
    assert_int_equal(f->wrapped_key.len, KEYRING_KEY + KEYRING_OVERHEAD);
    f->binding.wrapped_key = f->wrapped_key.data;
    f->binding.wrapped_key_len = f->wrapped_key.len;
    assert_true(secret_init_copy(&f->value, "correct horse battery staple", 28));
    assert_int_equal(keyring_seal(f->keyring, &f->binding, &f->value, &f->data_key, &f->ciphertext),
                     OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    keyring_free(f->keyring);
    buf_fini(&f->wrapped_key);
    buf_fini(&f->data_key);
    buf_fini(&f->ciphertext);
    secret_fini(&f->value);
    free(f);
    return 0;
}

static enum errc open_with(struct fixture *f, struct keyring *keyring,
                           const struct keyring_binding *binding) {
    struct secret out = {NULL, 0};
    enum errc errc = keyring_open_value(keyring, binding, f->data_key.data, f->data_key.len,
                                        f->ciphertext.data, f->ciphertext.len, &out);

    if (errc == OK) {
        assert_int_equal(out.len, f->value.len);
        assert_memory_equal(out.data, f->value.data, out.len);
    } else {
        assert_null(out.data);
    }
    secret_fini(&out);
    return errc;
}

static void test_round_trip(void **state) {
    struct fixture *f = *state;

    assert_int_equal(open_with(f, f->keyring, &f->binding), OK);
    assert_int_equal(f->ciphertext.len, f->value.len + KEYRING_OVERHEAD);
    assert_null(memmem(f->ciphertext.data, f->ciphertext.len, f->value.data, 8));
}

static void test_another_process_opens(void **state) {
    struct fixture *f = *state;
    struct keyring *again = keyring_new(ROOT, "us-east-1", world_system());

    assert_int_equal(open_with(f, again, &f->binding), OK);
    keyring_free(again);
}

static void test_sizes(void **state) {
    static const size_t sizes[] = {0, 1, 15, 16, 17, 65536};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        secret_fini(&f->value);
        assert_true(secret_init(&f->value, sizes[i]));
        if (sizes[i] > 0) {
            memset(f->value.data, 'x', sizes[i]);
        }
        buf_reset(&f->data_key);
        buf_reset(&f->ciphertext);
        assert_int_equal(
            keyring_seal(f->keyring, &f->binding, &f->value, &f->data_key, &f->ciphertext), OK);
        assert_int_equal(open_with(f, f->keyring, &f->binding), OK);
    }
}

static void test_same_value_never_seals_the_same(void **state) {
    struct fixture *f = *state;
    struct buf data_key, ciphertext;

    buf_init(&data_key, 1024);
    buf_init(&ciphertext, 1024);
    assert_int_equal(keyring_seal(f->keyring, &f->binding, &f->value, &data_key, &ciphertext), OK);
    assert_int_equal(ciphertext.len, f->ciphertext.len);
    assert_memory_not_equal(data_key.data, f->data_key.data, KEYRING_NONCE);
    assert_memory_not_equal(ciphertext.data, f->ciphertext.data, KEYRING_NONCE);
    assert_memory_not_equal(ciphertext.data + KEYRING_NONCE, f->ciphertext.data + KEYRING_NONCE,
                            f->value.len);
    buf_fini(&data_key);
    buf_fini(&ciphertext);
}

/* Every field of the binding holds; the right place opens before and after, so that the cache of
 * opened keys is warm in between. */
static void test_a_moved_value_does_not_open(void **state) {
    struct fixture *f = *state;
    struct keyring_binding moved[8];
    struct buf other_key;

    buf_init(&other_key, 1024);
    assert_int_equal(keyring_wrap_new_key(f->keyring, HOME.account, HOME.key_id, 1, &other_key),
                     OK);
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        moved[i] = f->binding;
    }
    moved[0].account = "123456789013";
    moved[1].arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:b-AbCdEf";
    moved[2].version_id = "EXAMPLE2-90ab-cdef-fedc-ba987EXAMPLE";
    moved[3].key_id = "1234abcd-12ab-34cd-56ef-1234567890ac";
    moved[4].key_number = 2;
    moved[5].wrapped_key = other_key.data; /* another key under the same name */
    /* The same bytes end to end, cut between the fields at another place. */
    moved[6].arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEfE";
    moved[6].version_id = "XAMPLE1-90ab-cdef-fedc-ba987EXAMPLE";
    moved[7].wrapped_key_len--;
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        assert_int_equal(open_with(f, f->keyring, &f->binding), OK);
        assert_int_equal(open_with(f, f->keyring, &moved[i]), ERR_CRYPTO);
    }
    assert_int_equal(open_with(f, f->keyring, &f->binding), OK);
    buf_fini(&other_key);
}

/* The data key alone, or the value alone, put beside the other half of another version. */
static void test_halves_do_not_mix(void **state) {
    struct fixture *f = *state;
    struct buf data_key, ciphertext;
    struct secret out = {NULL, 0};

    buf_init(&data_key, 1024);
    buf_init(&ciphertext, 1024);
    assert_int_equal(keyring_seal(f->keyring, &f->binding, &f->value, &data_key, &ciphertext), OK);
    assert_int_equal(keyring_open_value(f->keyring, &f->binding, data_key.data, data_key.len,
                                        f->ciphertext.data, f->ciphertext.len, &out),
                     ERR_CRYPTO);
    assert_int_equal(keyring_open_value(f->keyring, &f->binding, f->data_key.data, f->data_key.len,
                                        ciphertext.data, ciphertext.len, &out),
                     ERR_CRYPTO);
    buf_fini(&data_key);
    buf_fini(&ciphertext);
}

static void test_another_region_or_root_does_not_open(void **state) {
    struct fixture *f = *state;
    uint8_t other_root[KEYRING_KEY];
    struct keyring *region = keyring_new(ROOT, "eu-west-1", world_system());
    struct keyring *root;

    memcpy(other_root, ROOT, sizeof(other_root));
    other_root[31] ^= 1;
    root = keyring_new(other_root, "us-east-1", world_system());
    assert_int_equal(open_with(f, region, &f->binding), ERR_CRYPTO);
    assert_int_equal(open_with(f, root, &f->binding), ERR_CRYPTO);
    keyring_free(region);
    keyring_free(root);
}

static void flip_each_bit(struct fixture *f, struct buf *buf, bool cold) {
    for (size_t bit = 0; bit < buf->len * 8; bit++) {
        struct keyring *keyring =
            cold ? keyring_new(ROOT, "us-east-1", world_system()) : f->keyring;
        buf->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(open_with(f, keyring, &f->binding), ERR_CRYPTO);
        buf->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (cold) {
            keyring_free(keyring);
        }
    }
    assert_int_equal(open_with(f, f->keyring, &f->binding), OK);
}

static void test_flipped_bits_do_not_open(void **state) {
    struct fixture *f = *state;

    flip_each_bit(f, &f->ciphertext, false);
    flip_each_bit(f, &f->data_key, false);
    flip_each_bit(f, &f->wrapped_key, false);
    flip_each_bit(f, &f->wrapped_key, true);
}

static void test_truncated_does_not_open(void **state) {
    struct fixture *f = *state;
    struct secret out = {NULL, 0};

    for (size_t len = 0; len < f->ciphertext.len; len++) {
        assert_int_equal(keyring_open_value(f->keyring, &f->binding, f->data_key.data,
                                            f->data_key.len, f->ciphertext.data, len, &out),
                         ERR_CRYPTO);
    }
    for (size_t len = 0; len < f->data_key.len; len++) {
        assert_int_equal(keyring_open_value(f->keyring, &f->binding, f->data_key.data, len,
                                            f->ciphertext.data, f->ciphertext.len, &out),
                         ERR_CRYPTO);
    }
    assert_null(out.data);
}

static void test_a_full_buffer_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct buf data_key, ciphertext;

    buf_init(&data_key, 1024);
    buf_init(&ciphertext, f->value.len + KEYRING_OVERHEAD - 1);
    buf_append_str(&data_key, "before");
    assert_int_equal(keyring_seal(f->keyring, &f->binding, &f->value, &data_key, &ciphertext),
                     ERR_NO_MEMORY);
    assert_int_equal(data_key.len, 6);
    assert_int_equal(ciphertext.len, 0);
    buf_fini(&data_key);
    buf_fini(&ciphertext);
}

/* Many more keys than the cache holds: all go on opening. */
static void test_more_keys_than_the_cache_holds(void **state) {
    enum { KEYS = 2000 };
    static uint8_t wrapped[KEYS][KEYRING_KEY + KEYRING_OVERHEAD];
    static uint8_t data_keys[KEYS][KEYRING_KEY + KEYRING_OVERHEAD];
    static uint8_t ciphertexts[KEYS][4 + KEYRING_OVERHEAD];
    struct fixture *f = *state;
    struct keyring_binding binding = HOME;
    struct buf a, b;
    struct secret value, out;

    buf_init(&a, 1024);
    buf_init(&b, 1024);
    assert_true(secret_init_copy(&value, "1234", 4));
    for (uint32_t i = 0; i < KEYS; i++) {
        buf_reset(&a);
        assert_int_equal(keyring_wrap_new_key(f->keyring, HOME.account, HOME.key_id, i, &a), OK);
        memcpy(wrapped[i], a.data, a.len);
        buf_reset(&a);
        buf_reset(&b);
        binding.key_number = i;
        binding.wrapped_key = wrapped[i];
        binding.wrapped_key_len = sizeof(wrapped[i]);
        assert_int_equal(keyring_seal(f->keyring, &binding, &value, &a, &b), OK);
        memcpy(data_keys[i], a.data, a.len);
        memcpy(ciphertexts[i], b.data, b.len);
    }
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        uint32_t at = i % KEYS;
        binding.key_number = at;
        binding.wrapped_key = wrapped[at];
        assert_int_equal(keyring_open_value(f->keyring, &binding, data_keys[at],
                                            sizeof(data_keys[at]), ciphertexts[at],
                                            sizeof(ciphertexts[at]), &out),
                         OK);
        assert_memory_equal(out.data, "1234", 4);
        secret_fini(&out);
    }
    secret_fini(&value);
    buf_fini(&a);
    buf_fini(&b);
}

static void *open_often(void *arg) {
    struct fixture *f = arg;

    for (int i = 0; i < 500; i++) {
        struct secret out = {NULL, 0};
        CHECK(keyring_open_value(f->keyring, &f->binding, f->data_key.data, f->data_key.len,
                                 f->ciphertext.data, f->ciphertext.len, &out) == OK);
        secret_fini(&out);
    }
    return NULL;
}

static void test_threads(void **state) {
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_often, *state), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void test_value_digest_separates(void **state) {
    struct fixture *f = *state;
    uint8_t home[32], other[32], token[32];
    struct keyring *again = keyring_new(ROOT, "us-east-1", world_system());

    keyring_value_digest(f->keyring, HOME.account, HOME.arn, 1, &f->value, home);
    keyring_value_digest(again, HOME.account, HOME.arn, 1, &f->value, other);
    assert_memory_equal(home, other, 32);
    keyring_value_digest(again, HOME.account, HOME.arn, 2, &f->value, other);
    assert_memory_not_equal(home, other, 32);
    keyring_value_digest(again, "123456789013", HOME.arn, 1, &f->value, other);
    assert_memory_not_equal(home, other, 32);
    keyring_value_digest(again, HOME.account, "arn", 1, &f->value, other);
    assert_memory_not_equal(home, other, 32);
    f->value.data[0] ^= 1;
    keyring_value_digest(again, HOME.account, HOME.arn, 1, &f->value, other);
    assert_memory_not_equal(home, other, 32);
    keyring_token_key(f->keyring, token);
    keyring_token_key(again, other);
    assert_memory_equal(token, other, 32);
    assert_memory_not_equal(token, ROOT, 32);
    keyring_free(again);
}

static void write_file(const char *path, const char *text, mode_t mode) {
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void test_root_file_is_made_once(void **state) {
    char folder[] = "/tmp/redoubt-keyring-XXXXXX", path[64];
    struct keyring *keyring = NULL, *same = NULL;
    uint8_t one[32], two[32];
    struct stat st;
    struct err err;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/root", folder);
    assert_int_equal(keyring_open(path, "r-1", world_system(), &keyring, &err), ERR_IO);
    assert_int_equal(keyring_root_create(path, world_system(), &err), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(keyring_open(path, "r-1", world_system(), &keyring, &err), OK);
    /* A second creation changes nothing. */
    assert_int_equal(keyring_root_create(path, world_system(), &err), ERR_RESOURCE_EXISTS);
    assert_int_equal(keyring_open(path, "r-1", world_system(), &same, &err), OK);
    keyring_token_key(keyring, one);
    keyring_token_key(same, two);
    assert_memory_equal(one, two, 32);
    keyring_free(keyring);
    keyring_free(same);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(keyring_root_create(path, world_system(), &err), ERR_IO);
}

static void test_root_file_mode_and_format(void **state) {
    static const char *const bad[] = {"",
                                      "\n",
                                      "00",
                                      HEX64 "\n\n",
                                      HEX64 "00",
                                      " " HEX64,
                                      "zz112233445566778899aabbccddeeff"
                                      "00112233445566778899aabbccddeeff\n"};
    static const mode_t open_modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0666};
    char folder[] = "/tmp/redoubt-keyring-XXXXXX", path[64];
    struct keyring *keyring = NULL;
    struct err err;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/root", folder);
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        write_file(path, HEX64 "\n", open_modes[i]);
        assert_int_equal(keyring_open(path, "r-1", world_system(), &keyring, &err), ERR_IO);
        assert_non_null(strstr(err.message, "0600"));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_file(path, bad[i], 0600);
        assert_int_equal(keyring_open(path, "r-1", world_system(), &keyring, &err), ERR_CORRUPT);
        assert_null(strstr(err.message, "112233"));
    }
    assert_null(keyring);
    assert_int_equal(keyring_open(folder, "r-1", world_system(), &keyring, &err), ERR_IO);
    write_file(path, HEX64, 0400); /* without a newline, and read-only */
    assert_int_equal(keyring_open(path, "r-1", world_system(), &keyring, &err), OK);
    keyring_free(keyring);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

#define WITH_VALUE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_VALUE(test_round_trip),
        WITH_VALUE(test_another_process_opens),
        WITH_VALUE(test_sizes),
        WITH_VALUE(test_same_value_never_seals_the_same),
        WITH_VALUE(test_a_moved_value_does_not_open),
        WITH_VALUE(test_halves_do_not_mix),
        WITH_VALUE(test_another_region_or_root_does_not_open),
        WITH_VALUE(test_flipped_bits_do_not_open),
        WITH_VALUE(test_truncated_does_not_open),
        WITH_VALUE(test_a_full_buffer_leaves_nothing),
        WITH_VALUE(test_more_keys_than_the_cache_holds),
        WITH_VALUE(test_threads),
        WITH_VALUE(test_value_digest_separates),
        cmocka_unit_test(test_root_file_is_made_once),
        cmocka_unit_test(test_root_file_mode_and_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
