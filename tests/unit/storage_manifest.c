/* Manifests and requests for pieces from another node: what was written is read, anything else is
 * refused, and nothing that is read names a place outside its folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "storage/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct checkpoint_file files[] = {{.name = "000007.sst", .size = 1234567890123},
                                         {.name = "000010.log", .size = 0},
                                         {.name = "CURRENT", .size = 16},
                                         {.name = "MANIFEST-000009", .size = 700}};

static struct checkpoint_manifest sample(void) {
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        memset(files[i].digest, (int)(0x11 * (i + 1)), sizeof(files[i].digest));
    }
    return (struct checkpoint_manifest){.id = "00112233445566ff",
                                        .node = 0xa1a2a3a4a5a6a7a8,
                                        .applied = 987654321,
                                        .n_files = ARRAY_LEN(files),
                                        .files = files};
}

static enum errc decode(const void *data, size_t len) {
    struct checkpoint_manifest *manifest = NULL;
    /* Exactly as long as it says: a sanitizer sees what looks behind it. */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum errc code;

    assert_non_null(copy);
    memcpy(copy, data, len);
    code = checkpoint_manifest_decode(copy, len, &manifest);
    free(copy);
    assert_int_equal(code == OK, manifest != NULL);
    checkpoint_manifest_free(manifest);
    return code;
}

static void test_there_and_back(void **state) {
    const struct checkpoint_manifest manifest = sample();
    struct checkpoint_manifest *back = NULL;
    struct buf bytes;

    buf_init(&bytes, LIMIT_MANIFEST);
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), OK);
    assert_int_equal(checkpoint_manifest_decode(bytes.data, bytes.len, &back), OK);
    assert_string_equal(back->id, manifest.id);
    assert_int_equal(back->node, manifest.node);
    assert_int_equal(back->applied, manifest.applied);
    assert_int_equal(back->n_files, manifest.n_files);
    for (size_t i = 0; i < back->n_files; i++) {
        assert_string_equal(back->files[i].name, files[i].name);
        assert_int_equal(back->files[i].size, files[i].size);
        assert_memory_equal(back->files[i].digest, files[i].digest, CHECKPOINT_DIGEST);
    }
    checkpoint_manifest_free(back);
    /* Every bit, and every length. */
    for (size_t i = 0; i < bytes.len * 8; i++) {
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(decode(bytes.data, bytes.len), ERR_MALFORMED);
        bytes.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(decode(bytes.data, len), ERR_MALFORMED);
    }
    assert_int_equal(decode(bytes.data, bytes.len), OK);
    buf_fini(&bytes);
}

/* --- by hand, with a right checksum: only what is wrong inside is left to find --- */

struct hostile {
    uint8_t bytes[4096];
    size_t len;
};

static void hostile_add(struct hostile *hostile, const void *data, size_t len) {
    memcpy(hostile->bytes + hostile->len, data, len);
    hostile->len += len;
}

static void hostile_begin(struct hostile *hostile, uint32_t n_files) {
    memset(hostile, 0, sizeof(*hostile));
    memcpy(hostile->bytes, "RDBC\1", 5);
    memset(hostile->bytes + 12, 0x42, 24);
    put_le32(hostile->bytes + 36, n_files);
    hostile->len = 40;
}

static void hostile_file(struct hostile *hostile, const char *name, size_t len, uint64_t size) {
    uint8_t rest[8 + CHECKPOINT_DIGEST] = {0};
    uint8_t length = (uint8_t)len;

    put_le64(rest, size);
    hostile_add(hostile, &length, 1);
    hostile_add(hostile, name, len);
    hostile_add(hostile, rest, sizeof(rest));
}

static enum errc hostile_decode(struct hostile *hostile) {
    put_le32(hostile->bytes + 8,
             crc32c(crc32c(0, hostile->bytes, 8), hostile->bytes + 12, hostile->len - 12));
    return decode(hostile->bytes, hostile->len);
}

static enum errc one_file(const char *name, size_t len, uint64_t size) {
    struct hostile hostile;

    hostile_begin(&hostile, 1);
    hostile_file(&hostile, name, len, size);
    return hostile_decode(&hostile);
}

static const char *const bad_names[] = {
    "",     ".",    "..",       "../x",  "a/b",    "/etc/passwd",  "a/",
    "/",    ".a",   "a.",       "-a",    "a-",     "CURRENT.part", "a b",
    "a\nb", "a\\b", "\xc3\xa4", "a\x7f", "%2e%2e", "~root",        "*",
    "a:b",  "_x",   "x_",       "..\\x", "a\"b",   "$HOME",        "x.part",
};

static void test_names(void **state) {
    char name[256];

    assert_int_equal(one_file("CURRENT", 7, 16), OK);
    assert_int_equal(one_file("a", 1, 16), OK);
    assert_int_equal(one_file("part", 4, 16), OK);
    assert_int_equal(one_file("a..b", 4, 16), OK); /* strange, but a plain name */
    for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
        if (one_file(bad_names[i], strlen(bad_names[i]), 16) != ERR_MALFORMED) {
            fail_msg("accepted: '%s'", bad_names[i]);
        }
    }
    assert_int_equal(one_file("a\0b", 3, 16), ERR_MALFORMED);
    assert_int_equal(one_file("a\0", 2, 16), ERR_MALFORMED);
    memset(name, 'a', sizeof(name));
    assert_int_equal(one_file(name, CHECKPOINT_FILE - 1, 16), OK);
    assert_int_equal(one_file(name, CHECKPOINT_FILE, 16), ERR_MALFORMED);
    assert_int_equal(one_file(name, 255, 16), ERR_MALFORMED);
}

static void test_lists(void **state) {
    struct hostile hostile;

    hostile_begin(&hostile, 0);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    hostile_begin(&hostile, 2); /* twice the same, or not in order */
    hostile_file(&hostile, "a", 1, 1);
    hostile_file(&hostile, "a", 1, 1);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    hostile_begin(&hostile, 2);
    hostile_file(&hostile, "b", 1, 1);
    hostile_file(&hostile, "a", 1, 1);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    hostile_begin(&hostile, 2);
    hostile_file(&hostile, "a", 1, 1);
    hostile_file(&hostile, "b", 1, 1);
    assert_int_equal(hostile_decode(&hostile), OK);
    hostile_add(&hostile, "x", 1); /* more than it says */
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    hostile_begin(&hostile, 3); /* fewer */
    hostile_file(&hostile, "a", 1, 1);
    hostile_file(&hostile, "b", 1, 1);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    hostile_begin(&hostile, UINT32_MAX);
    hostile_file(&hostile, "a", 1, 1);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    /* Sizes that do not add up. */
    assert_int_equal(one_file("a", 1, UINT64_MAX), ERR_MALFORMED);
    hostile_begin(&hostile, 2);
    hostile_file(&hostile, "a", 1, INT64_MAX);
    hostile_file(&hostile, "b", 1, INT64_MAX);
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
    /* A later version. */
    hostile_begin(&hostile, 1);
    hostile_file(&hostile, "a", 1, 1);
    hostile.bytes[4] = 2;
    assert_int_equal(hostile_decode(&hostile), ERR_MALFORMED);
}

static void test_encode_refuses(void **state) {
    struct checkpoint_manifest manifest = sample();
    struct buf bytes;

    buf_init(&bytes, LIMIT_MANIFEST);
    (void)snprintf(manifest.id, sizeof(manifest.id), "%s", "not an id");
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), ERR_INVALID_PARAMETER);
    manifest = sample();
    manifest.n_files = 0;
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), ERR_INVALID_PARAMETER);
    manifest = sample();
    manifest.files = calloc(CHECKPOINT_FILES + 1, sizeof(*manifest.files));
    assert_non_null(manifest.files);
    for (size_t i = 0; i <= CHECKPOINT_FILES; i++) {
        (void)snprintf(manifest.files[i].name, CHECKPOINT_FILE, "%06zu.sst", i);
    }
    manifest.n_files = CHECKPOINT_FILES;
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), OK); /* as many as may be */
    assert_int_equal(decode(bytes.data, bytes.len), OK);
    buf_reset(&bytes);
    manifest.n_files++;
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), ERR_INVALID_PARAMETER);
    manifest.n_files--;
    for (size_t i = 0; i < CHECKPOINT_FILES; i++) {
        (void)snprintf(manifest.files[i].name, CHECKPOINT_FILE, "%060zu", i);
    }
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), ERR_INVALID_PARAMETER);
    assert_int_equal(bytes.len, 0);
    free(manifest.files);
    buf_fini(&bytes);
    buf_init(&bytes, 50);
    manifest = sample();
    assert_int_equal(checkpoint_manifest_encode(&manifest, &bytes), ERR_NO_MEMORY);
    buf_fini(&bytes);
}

static enum errc decode_request(const void *data, size_t len, struct checkpoint_request *ret) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    enum errc code;

    assert_non_null(copy);
    memcpy(copy, data, len);
    code = checkpoint_request_decode(copy, len, ret);
    free(copy);
    return code;
}

static void test_requests(void **state) {
    const struct checkpoint_request request = {.id = "00112233445566ff",
                                               .file = "000007.sst",
                                               .offset = 0x0102030405060708,
                                               .len = LIMIT_SNAPSHOT_CHUNK};
    struct checkpoint_request back = {.len = 0};
    struct buf bytes;
    uint8_t hostile[22 + 255] = {1};

    buf_init(&bytes, 1024);
    checkpoint_request_encode(&request, &bytes);
    assert_false(bytes.failed);
    assert_int_equal(decode_request(bytes.data, bytes.len, &back), OK);
    assert_string_equal(back.id, request.id);
    assert_string_equal(back.file, request.file);
    assert_int_equal(back.offset, request.offset);
    assert_int_equal(back.len, request.len);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(decode_request(bytes.data, len, &back), ERR_MALFORMED);
    }
    buf_append_u8(&bytes, 'x');
    assert_int_equal(decode_request(bytes.data, bytes.len, &back), ERR_MALFORMED);
    bytes.len--;
    put_le32(bytes.data + 17, LIMIT_SNAPSHOT_CHUNK + 1);
    assert_int_equal(decode_request(bytes.data, bytes.len, &back), ERR_MALFORMED);
    put_le32(bytes.data + 17, 0);
    assert_int_equal(decode_request(bytes.data, bytes.len, &back), ERR_MALFORMED);
    put_le32(bytes.data + 17, 1);
    bytes.data[0] = 2;
    assert_int_equal(decode_request(bytes.data, bytes.len, &back), ERR_MALFORMED);
    buf_fini(&bytes);
    for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
        size_t len = strlen(bad_names[i]);
        put_le32(hostile + 17, 1);
        hostile[21] = (uint8_t)len;
        memcpy(hostile + 22, bad_names[i], len);
        assert_int_equal(decode_request(hostile, 22 + len, &back), ERR_MALFORMED);
    }
    hostile[21] = 255;
    memset(hostile + 22, 'a', 255);
    assert_int_equal(decode_request(hostile, sizeof(hostile), &back), ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_names),
        cmocka_unit_test(test_lists),          cmocka_unit_test(test_encode_refuses),
        cmocka_unit_test(test_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
