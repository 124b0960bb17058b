/* What a joiner keeps of the certificates that a stranger gives it: the one that its operator
 * named.
 */
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

#include "base/buf.h"
#include "crypto/tls.h"

static char folder[64];
static char paths[3][2][96]; /* authorities: certificate and key */
static char kept[96];
static struct buf bundle;

static void add_file(struct buf *out, const char *path) {
    char text[8192];
    FILE *file = fopen(path, "re");
    size_t n;

    assert_non_null(file);
    n = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    buf_append(out, text, n);
}

static int setup(void **state) {
    struct err err;

    tls_global_init();
    (void)snprintf(folder, sizeof(folder), "/tmp/redoubt-authority-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(kept, sizeof(kept), "%s/kept.pem", folder);
    buf_init(&bundle, 65536);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(paths[i][0], sizeof(paths[i][0]), "%s/%d.pem", folder, i);
        (void)snprintf(paths[i][1], sizeof(paths[i][1]), "%s/%d.key", folder, i);
        assert_int_equal(tls_ca_create(paths[i][0], paths[i][1], &err), OK);
        if (i < 2) {
            add_file(&bundle, paths[i][0]);
        }
    }
    return 0;
}

static int teardown(void **state) {
    buf_fini(&bundle);
    for (int i = 0; i < 3; i++) {
        (void)unlink(paths[i][0]);
        (void)unlink(paths[i][1]);
    }
    (void)rmdir(folder);
    return 0;
}

static void test_only_the_named_one_is_kept(void **state) {
    char fingerprint[65];
    struct buf content, original;
    struct err err;
    struct stat st;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(tls_fingerprint(paths[i][0], fingerprint, &err), OK);
        assert_int_equal(tls_authority_keep(bundle.data, bundle.len, fingerprint, kept, &err), OK);
        buf_init(&content, 65536);
        buf_init(&original, 65536);
        add_file(&content, kept);
        add_file(&original, paths[i][0]);
        assert_int_equal(content.len, original.len);
        assert_memory_equal(content.data, original.data, content.len);
        buf_fini(&content);
        buf_fini(&original);
        /* Not over a file that is there. */
        assert_int_equal(tls_authority_keep(bundle.data, bundle.len, fingerprint, kept, &err),
                         ERR_RESOURCE_EXISTS);
        assert_int_equal(unlink(kept), 0);
    }
    assert_int_equal(tls_fingerprint(paths[2][0], fingerprint, &err), OK);
    assert_int_equal(tls_authority_keep(bundle.data, bundle.len, fingerprint, kept, &err),
                     ERR_ACCESS_DENIED);
    assert_int_equal(stat(kept, &st), -1);
}

static void test_nonsense(void **state) {
    static const char *const fingerprints[] = {"", "12", "not hexadecimal"};
    static const char garbage[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    char fingerprint[65];
    struct err err;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tls_authority_keep(bundle.data, bundle.len, fingerprints[i], kept, &err),
                         ERR_INVALID_PARAMETER);
    }
    assert_int_equal(tls_fingerprint(paths[0][0], fingerprint, &err), OK);
    assert_int_equal(
        tls_authority_keep((const uint8_t *)garbage, sizeof(garbage) - 1, fingerprint, kept, &err),
        ERR_ACCESS_DENIED);
    assert_int_equal(tls_authority_keep((const uint8_t *)"", 0, fingerprint, kept, &err),
                     ERR_ACCESS_DENIED);
    for (size_t len = 0; len < bundle.len / 2; len += 37) {
        assert_int_equal(tls_authority_keep(bundle.data, len, fingerprint, kept, &err),
                         ERR_ACCESS_DENIED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_named_one_is_kept),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
