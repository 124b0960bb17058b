/* A node's id: made once, kept, and never made anew over a file that holds something else. */
#include "server/node_identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/redoubt-identity-XXXXXX";
static char path[sizeof(folder) + 16];

static int setup(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/node-id", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_text(const char *text) {
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_made_once(void **state) {
    uint64_t first = 0, second = 0;
    struct stat st;
    struct err err;

    (void)state;
    assert_int_equal(node_identity_load(folder, &first, &err), OK);
    assert_true(first != 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 16);
    assert_int_equal(node_identity_load(folder, &second, &err), OK);
    assert_true(first == second);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(node_identity_load(folder, &second, &err), OK);
    assert_true(first != second);
}

/* Files of former releases hold the bytes, lowest first. */
static void test_a_file_is_read_as_ever(void **state) {
    uint64_t id = 0;
    struct err err;

    (void)state;
    write_text("0102030405060708");
    assert_int_equal(node_identity_load(folder, &id, &err), OK);
    assert_true(id == 0x0807060504030201);
}

static void test_what_is_no_id_is_refused_and_kept(void **state) {
    static const char *const texts[] = {"", "0102", "010203040506070g", "0000000000000000"};
    uint64_t id = 7;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[32] = "";
        FILE *file;
        write_text(texts[i]);
        assert_int_equal(node_identity_load(folder, &id, &err), ERR_CORRUPT);
        assert_true(id == 7 && strstr(err.message, "does not hold a node id") != NULL);
        file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fread(text, 1, sizeof(text) - 1, file), strlen(texts[i]));
        (void)fclose(file);
        assert_string_equal(text, texts[i]);
    }
}

static void test_no_folder_is_told(void **state) {
    uint64_t id = 0;
    struct err err;

    (void)state;
    assert_int_equal(node_identity_load("/nonexistent/data", &id, &err), ERR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/data/node-id"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_a_file_is_read_as_ever),
        cmocka_unit_test(test_what_is_no_id_is_refused_and_kept),
        cmocka_unit_test(test_no_folder_is_told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
