/* The configuration file: defaults, bounds, and what is told of a setting that does not fit. */
#include "server/config.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* All that must be given. */
#define NEEDED                                                                                     \
    "[node]\nregion = us-east-1\ndata = data\n[api]\ncredentials = c\n[keys]\nroot_key = r\n"      \
    "[peer]\nca = ca\ncert = cert\nkey = key\n"
enum { NEEDED_LINES = 11 };

static char path[] = "/tmp/redoubt-config-XXXXXX";

static int setup(void **state) {
    int fd = mkstemp(path);

    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
    return unlink(path);
}

static enum errc load(const char *text, struct config **ret, struct err *err) {
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return config_load(path, ret, err);
}

static struct config *must_load(const char *text) {
    struct config *config = NULL;
    struct err err = {.code = OK};

    if (load(text, &config, &err) != OK) {
        fail_msg("%s", err.message);
    }
    return config;
}

/* `text` behind what must be given; its first line is wrong in this way. */
static void expect_refused(const char *text, const char *why) {
    struct config *config = NULL;
    struct err err = {.code = OK};
    char whole[1024];
    char message[512];

    (void)snprintf(whole, sizeof(whole), "%s%s", NEEDED, text);
    (void)snprintf(message, sizeof(message), "%s:%d: %s", path, NEEDED_LINES + 2, why);
    assert_int_equal(load(whole, &config, &err), ERR_INVALID_PARAMETER);
    assert_string_equal(err.message, message);
}

static void test_defaults(void **state) {
    struct config *config = must_load(NEEDED);

    assert_int_equal(config->workers, 0);
    assert_int_equal(config->jobs_interval, 10);
    assert_false(config->throttle);
    assert_memory_equal(&config->rates, &throttle_rates_default, sizeof(config->rates));
    assert_memory_equal(&config->quotas, &quotas_default, sizeof(config->quotas));
    config_free(config);
}

/* AWS_BEHAVIOUR 6: the service's values are the least, and what there is room for the most. */
static void test_quotas_and_rates(void **state) {
    struct config *config =
        must_load(NEEDED "[quotas]\nsecrets = 600000\nvalue_bytes = 131072\npolicy_characters = "
                         "65536\nversions_kept = 300\nlabels = 100\ntags = 50\n[throttle]\nenabled "
                         "= true\ncreate = 1\nget_value = 1000000\n[jobs]\ninterval = 3600\n");

    assert_true(config->throttle);
    assert_int_equal(config->rates.create, 1);
    assert_int_equal(config->rates.get_value, 1000000);
    assert_int_equal(config->rates.describe, 40000);
    assert_int_equal(config->quotas.secrets, 600000);
    assert_int_equal(config->quotas.value_bytes, quotas_most.value_bytes);
    assert_int_equal(config->quotas.policy_characters, quotas_most.policy_characters);
    assert_int_equal(config->quotas.versions_kept, quotas_most.versions_kept);
    assert_int_equal(config->quotas.labels, quotas_most.labels);
    assert_int_equal(config->quotas.tags, quotas_default.tags);
    assert_int_equal(config->jobs_interval, 3600);
    config_free(config);
}

static void test_refusals_name_the_line(void **state) {
    expect_refused("[quotas]\ntags = 49\n", "[quotas] tags: must be a number from 50 to 200");
    expect_refused("[quotas]\ntags = 201\n", "[quotas] tags: must be a number from 50 to 200");
    expect_refused("[quotas]\nvalue_bytes = 65535\n",
                   "[quotas] value_bytes: must be a number from 65536 to 131072");
    expect_refused("[quotas]\nlabels = 20 or so\n",
                   "[quotas] labels: must be a number from 20 to 100");
    expect_refused("[quotas]\nlabels =\n", "[quotas] labels: must be a number from 20 to 100");
    expect_refused("[quotas]\nsecrets = 99999999999999999999\n",
                   "[quotas] secrets: must be a number from 500000 to 100000000");
    expect_refused("[quotas]\nsecrets = -1\n",
                   "[quotas] secrets: must be a number from 500000 to 100000000");
    expect_refused("[quotas]\nnames = 512\n", "[quotas] names: no such setting");
    expect_refused("[throttle]\ncreate = 0\n",
                   "[throttle] create: must be a number from 1 to 1000000");
    expect_refused("[jobs]\ninterval = 0\n", "[jobs] interval: must be a number from 1 to 3600");
    expect_refused("[api]\nworkers = 1025\n", "[api] workers: must be a number from 0 to 1024");
    expect_refused("[api]\nforward = maybe\n", "[api] forward: must be true or false");
    expect_refused("[api]\nconsistency = eventual\n",
                   "[api] consistency: must be linearizable or stale");
    expect_refused("[node]\nregion = us-west-2\n", "[node] region: is given twice");
    expect_refused("[node]\nnonsense\n", "not a setting");
}

/* inih's own limit would cut a line short, in silence. */
static void test_long_lines(void **state) {
    enum { NODES = 5, HOST = 250 };
    static char text[64 * 1024], addresses[NODES * (HOST + 8)];
    struct config *config = NULL;
    struct err err = {.code = OK};
    char message[256];
    size_t len = 0;

    for (int i = 0; i < NODES; i++) { /* names as long as they may be */
        len += (size_t)snprintf(addresses + len, sizeof(addresses) - len, "%s%.*s%0*d:7500",
                                i == 0 ? "" : ",", HOST - 4, "nodenodenodenodenodenodenodenode",
                                HOST - 32, i);
    }
    (void)snprintf(text, sizeof(text), NEEDED "[peers]\nus-west-2 = %s\n", addresses);
    config = must_load(text);
    assert_int_equal(config->n_peers, 1);
    assert_string_equal(config->peers[0].address, addresses);
    config_free(config);

    (void)snprintf(text, sizeof(text), NEEDED "[peers]\n; %030000d\nus-west-2 = a:1\n", 0);
    assert_int_equal(load(text, &config, &err), ERR_INVALID_PARAMETER);
    (void)snprintf(message, sizeof(message), "%s:%d: the line is longer than 20477 characters",
                   path, NEEDED_LINES + 2);
    assert_string_equal(err.message, message);
    /* The same at the end of the file, without an end of its own. */
    (void)snprintf(text, sizeof(text), NEEDED "[peers]\nus-west-2 = %030000d", 0);
    assert_int_equal(load(text, &config, &err), ERR_INVALID_PARAMETER);
    assert_string_equal(err.message, message);
}

static void test_what_is_missing_is_named(void **state) {
    struct config *config = NULL;
    struct err err = {.code = OK};
    char message[512];

    (void)snprintf(message, sizeof(message), "%s: [node] data: must be given", path);
    assert_int_equal(load("[node]\nregion = us-east-1\n", &config, &err), ERR_INVALID_PARAMETER);
    assert_string_equal(err.message, message);
    assert_int_equal(config_load("/nonexistent/redoubt.conf", &config, &err), ERR_IO);
    assert_string_equal(err.message, "/nonexistent/redoubt.conf: cannot read this file");
}

/* Every default of the example is one that can be given. */
static void test_example_is_a_configuration(void **state) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    char *whole = calloc(1, 65536);
    size_t at = 0;
    struct config *config;

    assert_non_null(out);
    assert_non_null(whole);
    config_print_example(out);
    assert_int_equal(fclose(out), 0);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        int n = (int)(strchr(line, '\n') - line);
        const char *equals = memchr(line, '=', (size_t)n);
        bool is_comment = line[0] == ';';
        bool is_setting = equals != NULL && memchr(line, ':', (size_t)(equals - line)) == NULL;
        if (is_comment && is_setting && equals[1] == ' ') {
            at += (size_t)snprintf(whole + at, 65536 - at, "%.*s\n", n - 2, line + 2);
        } else if (!is_comment && is_setting) {
            bool is_region = strncmp(line, "region", 6) == 0;
            at += (size_t)snprintf(whole + at, 65536 - at, "%.*s %s\n", n, line,
                                   is_region ? "eu-west-1" : "x");
        } else if (line[0] == '[') {
            at += (size_t)snprintf(whole + at, 65536 - at, "%.*s\n", n, line);
        }
    }
    config = must_load(whole);
    assert_memory_equal(&config->quotas, &quotas_default, sizeof(config->quotas));
    assert_int_equal(config->n_peers, 1);
    config_free(config);
    free(whole);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_quotas_and_rates),
        cmocka_unit_test(test_refusals_name_the_line),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_what_is_missing_is_named),
        cmocka_unit_test(test_example_is_a_configuration),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
