/* SECRET_PUT and STAGE_UPDATE against the recorded table of label transitions (AWS_BEHAVIOUR 3.5):
 * each row's start is laid down as a record, the command is applied, and the record must be the
 * row's end. */
#include "tests/unit/cluster_commands.h"

struct row {
    const char *start; /* "v1[A,B] v2[C]": versions oldest first, labels of each */
    const char *put;   /* "v3{A,B}": a version and the call's labels */
    const char *end;
};

#define C "AWSCURRENT"
#define P "AWSPREVIOUS"
#define N "AWSPENDING"

/* [rec], and two of 3.4. */
static const struct row rows[] = {
    {"v1[" C "]", "v2{}", "v1[" P "] v2[" C "]"},
    {"v1[" P "] v2[" C "]", "v3{}", "v1[] v2[" P "] v3[" C "]"},
    {"v1[" C "]", "v2{" N "}", "v1[" C "] v2[" N "]"},
    {"v1[" P "] v2[" C "," N "]", "v3{}", "v1[] v2[" P "] v3[" C "]"},
    {"v1[" P "] v2[" C "," N "]", "v3{" N "}", "v1[" P "] v2[" C "] v3[" N "]"},
    {"v1[" C "]", "v2{" N ",AWSSOMETHING,PUT1}", "v1[" C "] v2[" N ",AWSSOMETHING,PUT1]"},
    {"v1[" P "] v2[" C "," N ",AWSSOMETHING,PUT1]", "v3{" N ",PUT2}",
     "v1[" P "] v2[" C ",AWSSOMETHING,PUT1] v3[" N ",PUT2]"},
    {"v1[" C "]", "v2{" C ",PUT0}", "v1[" P "] v2[" C ",PUT0]"},
    {"v1[" C "] v2[one,two,three]", "v3{one,two,three,four}",
     "v1[" C "] v2[] v3[one,two,three,four]"},
    {"v1[" C "] v2[one,two,three]", "v3{one,two,four}", "v1[" C "] v2[three] v3[one,two,four]"},
    /* 3.4: what a default put does around a rotation, and to custom labels. */
    {"v1[" C "] v2[" N "]", "v3{}", "v1[" P "] v2[] v3[" C "]"},
    {"v1[" C ",mine]", "v2{}", "v1[mine," P "] v2[" C "]"},
};

/* "v1[A,B]" at *text; moves behind it. Ids and labels of at most 31 bytes. */
static size_t read_version(const char **text, char open, char id[32], char labels[8][32]) {
    const char *p = *text + strspn(*text, " ");
    size_t len = strcspn(p, "[{");
    size_t n = 0;

    assert_int_equal(p[len], open);
    (void)snprintf(id, 32, "%.*s", (int)len, p);
    p += len + 1;
    while (*p != ']' && *p != '}') {
        len = strcspn(p, ",]}");
        (void)snprintf(labels[n++], 32, "%.*s", (int)len, p);
        p += len + (p[len] == ',' ? 1 : 0);
    }
    *text = p + 1;
    return n;
}

static void lay_down(struct machine *m, const char *start) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    char id[32];
    char labels[8][32];

    while (*start != '\0') {
        Redoubt__Version *version = malloc(sizeof(*version));
        size_t n = read_version(&start, '[', id, labels);
        redoubt__version__init(version);
        version->id = strdup(id);
        version->has_created_ms = true;
        version->created_ms = KIT_NOW;
        version->has_kind = true;
        version->kind = REDOUBT__VALUE_KIND__VALUE_STRING;
        version->stages = calloc(n + 1, sizeof(char *));
        for (size_t i = 0; i < n; i++) {
            version->stages[version->n_stages++] = strdup(labels[i]);
        }
        secret->versions = realloc(secret->versions, (secret->n_versions + 1) * sizeof(void *));
        secret->versions[secret->n_versions++] = version;
    }
    for (int i = 0; i < KIT_TWINS; i++) {
        txn_put_secret(m->txns[i], ACCOUNT, secret);
    }
    redoubt__secret__free_unpacked(secret, NULL);
}

static void expect_end(const struct machine *m, const char *end) {
    Redoubt__Secret *secret = machine_secret(m, "a");
    char id[32];
    char labels[8][32];

    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        size_t n = read_version(&end, '[', id, labels);
        assert_string_equal(version->id, id);
        assert_int_equal(version->n_stages, n);
        for (size_t k = 0; k < n; k++) {
            bool found = false;
            for (size_t j = 0; j < n; j++) {
                found = found || strcmp(version->stages[j], labels[k]) == 0;
            }
            assert_true(found);
        }
    }
    assert_string_equal(end, "");
    redoubt__secret__free_unpacked(secret, NULL);
}

static void test_recorded_rows(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct machine m;
        struct call create = {.name = "a", .suffix = "AAAAAA", .token = "t0"};
        struct call put = {.name = "a", .text = "value"};
        const char *text = rows[i].put;
        char id[32];
        char labels[8][32];
        size_t n = read_version(&text, '{', id, labels);
        Redoubt__Result *result;

        print_message("%s  + %s\n", rows[i].start, rows[i].put);
        machine_init(&m, EAST);
        expect_ok(do_create(&m, &create));
        lay_down(&m, rows[i].start);
        put.token = id;
        for (size_t k = 0; k < n; k++) {
            put.labels[k] = labels[k];
        }
        result = do_put(&m, &put);
        assert_int_equal(result->code, OK);
        assert_int_equal(result->n_stages, n == 0 ? 1 : n);
        for (size_t k = 0; k < n; k++) {
            assert_string_equal(result->stages[k], labels[k]);
        }
        command_result_free(result);
        expect_end(&m, rows[i].end);
        machine_fini(&m);
    }
}

/* AWSCURRENT moves, the rows marked U [rec]. */
static void test_recorded_moves(void **state) {
    static const struct {
        const char *start;
        const char *from;
        const char *to;
        const char *end;
    } moves[] = {
        {"v1[" C "] v2[" N "]", "v1", "v2", "v1[" P "] v2[" C "," N "]"},
        {"v1[" P "] v2[" C "] v3[" N "]", "v2", "v3", "v1[] v2[" P "] v3[" C "," N "]"},
        {"v1[" C "] v2[" N ",AWSSOMETHING,PUT1]", "v1", "v2",
         "v1[" P "] v2[" C "," N ",AWSSOMETHING,PUT1]"},
        {"v1[" P "] v2[" C ",AWSSOMETHING,PUT1] v3[" N ",PUT2]", "v2", "v3",
         "v1[] v2[" P ",AWSSOMETHING,PUT1] v3[" C "," N ",PUT2]"},
        {"v2[" P ",PUT0] v3[" C ",PUT1] v4[" N ",PUT2]", "v3", "v4",
         "v2[PUT0] v3[" P ",PUT1] v4[" C "," N ",PUT2]"},
    };

    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        struct machine m;
        struct call create = {.name = "a", .suffix = "AAAAAA", .token = "t0"};
        struct call move = {.name = "a", .stage = C, .from = moves[i].from, .to = moves[i].to};
        Redoubt__Result *result;

        print_message("%s  %s > %s\n", moves[i].start, moves[i].from, moves[i].to);
        machine_init(&m, EAST);
        expect_ok(do_create(&m, &create));
        lay_down(&m, moves[i].start);
        result = do_stage(&m, &move);
        assert_int_equal(result->code, OK);
        assert_string_equal(result->suffix, "AAAAAA");
        command_result_free(result);
        expect_end(&m, moves[i].end);
        machine_fini(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_rows),
        cmocka_unit_test(test_recorded_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
