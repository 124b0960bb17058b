/* base/metrics: what threads add comes out summed, and the text is what Prometheus reads: a strict
 * reader of it, line by line. */
#include "base/metrics.h"

#include "base/metrics_inner.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

/* --- a reader of the text format --- */

enum { SAMPLES_MAX = 8192, SERIES_MAX = 512, FAMILIES_MAX = 256 };

struct sample {
    char series[SERIES_MAX]; /* name and labels as written */
    double value;
};

struct text {
    struct sample samples[SAMPLES_MAX];
    size_t n;
    char families[FAMILIES_MAX][SERIES_MAX];
    size_t n_families;
    char type[16]; /* of the family that is being read */
    bool has_help;
};

static bool is_name_start(char c) {
    return isalpha((unsigned char)c) || c == '_' || c == ':';
}

static const char *skip_name(const char *at) {
    assert_true(is_name_start(*at));
    while (is_name_start(*at) || isdigit((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* From '{' to behind '}'. */
static const char *skip_labels(const char *at) {
    char seen[8][64];
    size_t n = 0;

    assert_int_equal(*at, '{');
    do {
        const char *name = ++at;
        size_t len;
        at = skip_name(at);
        len = (size_t)(at - name);
        assert_in_range(len, 1, 63);
        assert_true(n < 8);
        (void)snprintf(seen[n], sizeof(seen[n]), "%.*s", (int)len, name);
        assert_null(strchr(seen[n], ':'));
        assert_true(strncmp(seen[n], "__", 2) != 0); /* reserved */
        for (size_t i = 0; i < n; i++) {
            assert_string_not_equal(seen[i], seen[n]);
        }
        n++;
        assert_int_equal(*at++, '=');
        assert_int_equal(*at++, '"');
        while (*at != '"') {
            assert_true(*at != '\0' && *at != '\n');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
            at++;
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static void read_help_or_type(struct text *text, const char *line) {
    bool is_help = strncmp(line, "# HELP ", 7) == 0;
    const char *name = line + 7;
    const char *end;

    assert_true(is_help || strncmp(line, "# TYPE ", 7) == 0);
    end = skip_name(name);
    assert_int_equal(*end, ' ');
    if (is_help) {
        assert_true(text->n_families < FAMILIES_MAX);
        for (size_t i = 0; i < text->n_families; i++) { /* a family is in one piece */
            assert_true(strlen(text->families[i]) != (size_t)(end - name) ||
                        strncmp(text->families[i], name, (size_t)(end - name)) != 0);
        }
        (void)snprintf(text->families[text->n_families++], SERIES_MAX, "%.*s", (int)(end - name),
                       name);
        text->has_help = true;
        for (const char *c = end; *c != '\0'; c++) {
            if (*c == '\\') {
                c++;
                assert_true(*c == '\\' || *c == 'n');
            }
        }
        return;
    }
    assert_true(text->has_help); /* and of the same family */
    assert_int_equal(strncmp(text->families[text->n_families - 1], name, (size_t)(end - name)), 0);
    text->has_help = false;
    (void)snprintf(text->type, sizeof(text->type), "%s", end + 1);
    assert_true(strcmp(text->type, "counter") == 0 || strcmp(text->type, "gauge") == 0 ||
                strcmp(text->type, "histogram") == 0);
}

static void read_sample(struct text *text, const char *line) {
    struct sample *sample = &text->samples[text->n++];
    const char *family = text->families[text->n_families - 1];
    const char *end = skip_name(line);
    const char *suffix = line + strlen(family);
    size_t name_len = (size_t)(end - line);
    char *rest;

    assert_true(text->n < SAMPLES_MAX);
    assert_int_equal(strncmp(line, family, strlen(family)), 0);
    if (strcmp(text->type, "histogram") == 0) {
        assert_true(strncmp(suffix, "_bucket", (size_t)(end - suffix)) == 0 ||
                    strncmp(suffix, "_sum", (size_t)(end - suffix)) == 0 ||
                    strncmp(suffix, "_count", (size_t)(end - suffix)) == 0);
    } else {
        assert_int_equal(name_len, strlen(family));
    }
    if (*end == '{') {
        end = skip_labels(end);
    }
    assert_int_equal(*end, ' ');
    assert_true((size_t)(end - line) < SERIES_MAX);
    (void)snprintf(sample->series, sizeof(sample->series), "%.*s", (int)(end - line), line);
    sample->value = strtod(end + 1, &rest);
    assert_true(rest != end + 1 && *rest == '\0');
    assert_true(strcmp(text->type, "gauge") == 0 || sample->value >= 0);
    for (size_t i = 0; i + 1 < text->n; i++) {
        assert_string_not_equal(text->samples[i].series, sample->series);
    }
}

/* Returns owned. */
static struct text *scrape(void) {
    struct text *text = calloc(1, sizeof(*text));
    struct buf out;
    char *line, *end;

    assert_non_null(text);
    buf_init(&out, LIMIT_METRICS_TEXT);
    metrics_write(&out);
    assert_false(out.failed);
    assert_int_equal(out.data[out.len - 1], '\n');
    buf_append_u8(&out, '\0');
    for (line = (char *)out.data; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        if (line[0] == '#') {
            read_help_or_type(text, line);
        } else {
            read_sample(text, line);
        }
    }
    buf_fini(&out);
    return text;
}

/* -1: not there. */
static double value_of(const struct text *text, const char *series) {
    for (size_t i = 0; i < text->n; i++) {
        if (strcmp(text->samples[i].series, series) == 0) {
            return text->samples[i].value;
        }
    }
    return -1;
}

static double scraped(const char *series) {
    struct text *text = scrape();
    double value = value_of(text, series);

    free(text);
    return value;
}

#define assert_series(series, wanted)                                                              \
    do {                                                                                           \
        double got = scraped(series);                                                              \
        if (got < (wanted)-1e-9 || got > (wanted) + 1e-9) {                                        \
            fail_msg("%s is %f", (series), got);                                                   \
        }                                                                                          \
    } while (0)

/* --- the table --- */

static bool ends_with(const char *text, const char *end) {
    return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* prometheus.io/docs/practices/naming: a prefix, base units, _total for counters and nothing else,
 * no suffix that a histogram adds itself. */
static void test_names(void **state) {
    static const char *const not_base[] = {
        "_ms",    "_us",  "_milliseconds", "_kib",       "_mib",          "_minutes", "_percent",
        "_count", "_sum", "_bucket",       "_kilobytes", "_microseconds", "_days",    "_hours"};

    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        bool is_counter = row->kind == METRIC_COUNTER || row->kind == METRIC_COUNTER_US;

        assert_true(strncmp(row->name, "redoubt_", 8) == 0 ||
                    strncmp(row->name, "process_", 8) == 0);
        assert_int_equal(*skip_name(row->name), '\0');
        for (const char *c = row->name; *c != '\0'; c++) {
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
        }
        assert_int_equal(ends_with(row->name, "_total"), is_counter);
        for (size_t j = 0; j < ARRAY_LEN(not_base); j++) {
            assert_false(ends_with(row->name, not_base[j]));
        }
        if (row->kind == METRIC_SECONDS || row->kind == METRIC_GAUGE_MS) {
            assert_true(ends_with(row->name, "_seconds"));
        }
        if (row->kind == METRIC_COUNTER_US) {
            assert_true(ends_with(row->name, "_seconds_total"));
        }
        /* A sentence, that fits into a cell of a table. */
        assert_true(ends_with(row->sentence, "."));
        assert_null(strpbrk(row->sentence, "|\n"));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(metric_rows[j].name, row->name);
        }
    }
}

/* --- counting --- */

enum { THREADS = 20, ROUNDS = 20000 }; /* more threads than shares */

static void *count_much(void *arg) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        metric_add(METRIC_PROPOSALS_REFUSED, 1);
        metric_add_at2(METRIC_SHIP_BATCHES, 5, METRIC_OUTCOME_FAILED, 3);
        metric_add(METRIC_PEER_CALLS, 1);
        metric_observe_us(METRIC_LOG_SYNC_SECONDS, i % 2 == 0 ? 100 : 101);
        metric_observe(METRIC_LOG_ENTRY_COMMANDS, 600);
        metric_add(METRIC_PEER_CALLS, -1);
    }
    metric_add(METRIC_PEER_CALLS, 2);
    return NULL;
}

/* Nothing is lost, and a scrape in the middle is sound: counters never step back. */
static void test_threads(void **state) {
    pthread_t threads[THREADS];
    double last = 0;

    metrics_label(METRIC_BY_REGION, 5, "us-west-2");
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct text *text = scrape();
        double now = value_of(text, "redoubt_log_sync_duration_seconds_count");
        assert_true(now >= last);
        assert_true(now == value_of(text, "redoubt_log_sync_duration_seconds_bucket{le=\"+Inf\"}"));
        last = now;
        free(text);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_series("redoubt_proposals_refused_total", (double)THREADS * ROUNDS);
    assert_series("redoubt_replication_batches_total{region=\"us-west-2\",outcome=\"failed\"}",
                  3.0 * THREADS * ROUNDS);
    assert_series("redoubt_peer_calls", 2.0 * THREADS);
    /* A bound belongs to its bucket. */
    assert_series("redoubt_log_sync_duration_seconds_bucket{le=\"5e-05\"}", 0);
    assert_series("redoubt_log_sync_duration_seconds_bucket{le=\"0.0001\"}",
                  (double)THREADS * ROUNDS / 2);
    assert_series("redoubt_log_sync_duration_seconds_bucket{le=\"0.00025\"}",
                  (double)THREADS * ROUNDS);
    assert_series("redoubt_log_sync_duration_seconds_sum", (double)THREADS * ROUNDS / 2 * 0.000201);
    assert_series("redoubt_log_entry_commands_bucket{le=\"512\"}", 0);
    assert_series("redoubt_log_entry_commands_count", (double)THREADS * ROUNDS);
    assert_series("redoubt_log_entry_commands_sum", 600.0 * THREADS * ROUNDS);
    metrics_label(METRIC_BY_REGION, 5, NULL);
}

static void test_gauges(void **state) {
    assert_series("redoubt_raft_term", -1); /* never set: not shown */
    metric_set(METRIC_RAFT_TERM, 0);
    assert_series("redoubt_raft_term", 0);
    metric_set(METRIC_RAFT_TERM, 7);
    assert_series("redoubt_raft_term", 7);
    metric_unset(METRIC_RAFT_TERM);
    assert_series("redoubt_raft_term", -1);
    metric_set(METRIC_RAFT_AGE, 1234);
    assert_series("redoubt_raft_state_age_seconds", 1.234);
    metric_set(METRIC_RAFT_AGE, -50); /* a clock that was set back */
    assert_series("redoubt_raft_state_age_seconds", -0.05);
    metric_set(METRIC_PROCESS_CPU, 2000001);
    assert_series("process_cpu_seconds_total", 2.000001);
    metric_set_at(METRIC_RAFT_ROLE, METRIC_ROLE_LEADER, 1);
    assert_series("redoubt_raft_role{role=\"leader\"}", 1);
    assert_series("redoubt_raft_role{role=\"follower\"}", -1);
}

/* --- labels --- */

static void test_labels(void **state) {
    char text[LIMIT_METRIC_LABEL + 1];
    char longest[2 * LIMIT_METRIC_LABEL];

    metric_set_at(METRIC_MEMBER_MATCH, 3, 9);
    assert_series("redoubt_raft_member_match_index{member=\"a\"}", -1); /* nobody is there */
    metrics_label(METRIC_BY_MEMBER, 3, "a");
    assert_series("redoubt_raft_member_match_index{member=\"a\"}", 9);
    assert_int_equal(metrics_place(METRIC_BY_MEMBER, "a"), 3);
    assert_int_equal(metrics_place(METRIC_BY_MEMBER, "b"), UINT32_MAX);
    metrics_label(METRIC_BY_MEMBER, 3, "quote\" back\\ line\n");
    assert_series("redoubt_raft_member_match_index{member=\"quote\\\" back\\\\ line\\n\"}", 9);
    metrics_label(METRIC_BY_MEMBER, 3, NULL);
    assert_false(metrics_label_text(METRIC_BY_MEMBER, 3, text));
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    metrics_label(METRIC_BY_MEMBER, 3, longest);
    assert_true(metrics_label_text(METRIC_BY_MEMBER, 3, text));
    assert_int_equal(strlen(text), LIMIT_METRIC_LABEL);
    metrics_label(METRIC_BY_MEMBER, 3, NULL);
}

/* What is outside of a dimension counts nothing, and touches nobody else's cells. */
static void test_places_outside(void **state) {
    struct text *before = scrape();
    struct text *after;

    metric_add_at(METRIC_FSM_COMMANDS, 48, 1000);
    metric_add_at(METRIC_SHIP_ITEMS, UINT32_MAX, 1000);
    metric_add_at2(METRIC_REQUESTS, 0, UINT32_MAX, 1000);
    metric_add_at2(METRIC_REQUESTS, UINT32_MAX, 0, 1000);
    metric_observe_us_at(METRIC_REQUEST_SECONDS, 48, 1000);
    metric_set_at(METRIC_MEMBER_MATCH, 64, 1000);
    metrics_label(METRIC_BY_MEMBER, 64, "far out");
    after = scrape();
    assert_int_equal(before->n, after->n);
    for (size_t i = 0; i < before->n; i++) {
        assert_string_equal(before->samples[i].series, after->samples[i].series);
        assert_true(before->samples[i].value == after->samples[i].value);
    }
    free(before);
    free(after);
}

/* Every place of every metric has cells of its own. */
static void test_no_overlap(void **state) {
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &metric_rows[i];
        unsigned places = metric_dimension_rows[row->dimension].size;
        unsigned seconds = metric_dimension_rows[row->second].size;
        struct metric_histogram histogram;
        int64_t value;

        if (row->kind == METRIC_SECONDS) {
            metric_read_histogram((enum metric)i, places - 1, &histogram);
            uint64_t before = histogram.buckets[17];
            metric_observe_us_at((enum metric)i, places - 1, UINT32_MAX);
            metric_read_histogram((enum metric)i, places - 1, &histogram);
            assert_int_equal(histogram.buckets[17], before + 1);
        } else if (row->kind == METRIC_COUNTER || row->kind == METRIC_LEVEL) {
            int64_t before;
            assert_true(metric_read((enum metric)i, places - 1, seconds - 1, &before));
            metric_add_at2((enum metric)i, places - 1, seconds - 1, 1);
            assert_true(metric_read((enum metric)i, places - 1, seconds - 1, &value));
            assert_int_equal(value, before + 1);
        } else if (row->kind == METRIC_GAUGE || row->kind == METRIC_GAUGE_MS) {
            metric_unset((enum metric)i);
            metric_set_at((enum metric)i, places - 1, (int64_t)i);
        }
    }
    for (unsigned i = 0; i < METRIC_COUNT; i++) { /* nobody wrote over it */
        int64_t value;
        if (metric_rows[i].kind == METRIC_GAUGE || metric_rows[i].kind == METRIC_GAUGE_MS) {
            unsigned places = metric_dimension_rows[metric_rows[i].dimension].size;
            assert_true(metric_read((enum metric)i, places - 1, 0, &value));
            assert_int_equal(value, i);
            metric_unset((enum metric)i);
        }
    }
}

static void test_errors(void **state) {
    char text[LIMIT_METRIC_LABEL + 1];

    assert_int_equal(metric_code(OK), 0);
    assert_true(metrics_label_text(METRIC_BY_CODE, metric_code(OK), text));
    assert_string_equal(text, "OK");
    assert_true(metrics_label_text(METRIC_BY_CODE, metric_code(ERR_RESOURCE_NOT_FOUND), text));
    assert_string_equal(text, "ResourceNotFoundException");
    /* One for the client, two for us. */
    assert_int_equal(metric_code(ERR_BUSY), metric_code(ERR_OUTCOME_UNKNOWN));
    assert_int_not_equal(metric_reason(ERR_BUSY), metric_reason(ERR_OUTCOME_UNKNOWN));
    assert_true(metrics_label_text(METRIC_BY_REASON, metric_reason(ERR_OUTCOME_UNKNOWN), text));
    assert_string_equal(text, "outcome_unknown");
    assert_int_equal(metric_code((enum errc)999), metric_code(ERR_INTERNAL_SERVICE));
    metrics_label(METRIC_BY_OPERATION, 1, "GetSecretValue");
    metric_add_at2(METRIC_REQUESTS, 1, metric_code(ERR_BUSY), 2);
    metric_add_at2(METRIC_REQUESTS, 1, metric_code(ERR_OUTCOME_UNKNOWN), 1);
    assert_series(
        "redoubt_requests_total{operation=\"GetSecretValue\",code=\"ServiceUnavailable\"}", 3);
    assert_series("redoubt_requests_total{operation=\"GetSecretValue\",code=\"OK\"}", -1);
}

/* --- collectors --- */

static void collect(void *arg) {
    atomic_int *runs = arg;

    metric_set(METRIC_RAFT_MEMBERS, atomic_fetch_add(runs, 1) + 1);
}

static void test_collectors(void **state) {
    atomic_int runs = 0, others[LIMIT_METRIC_COLLECTORS] = {0};

    assert_int_equal(metrics_register_collector(collect, &runs), OK);
    assert_series("redoubt_raft_members", 1);
    assert_series("redoubt_raft_members", 2);
    for (unsigned i = 1; i < LIMIT_METRIC_COLLECTORS; i++) {
        assert_int_equal(metrics_register_collector(collect, &others[i]), OK);
    }
    assert_int_equal(metrics_register_collector(collect, &others[0]), ERR_BUSY);
    for (unsigned i = 1; i < LIMIT_METRIC_COLLECTORS; i++) {
        metrics_unregister_collector(collect, &others[i]);
    }
    metrics_unregister_collector(collect, &runs);
    metrics_unregister_collector(collect, &runs); /* again: nothing */
    assert_series("redoubt_raft_members", 2);
    assert_int_equal(atomic_load(&runs), 2);
}

/* A buffer that is too small says so and does not show half of a text as all of it. */
static void test_no_room(void **state) {
    struct buf out;

    buf_init(&out, 1000);
    metrics_write(&out);
    assert_true(out.failed);
    buf_fini(&out);
}

static void test_page(void **state) {
    struct buf page;

    buf_init(&page, LIMIT_METRICS_TEXT);
    metrics_markdown(&page);
    buf_append_u8(&page, '\0');
    assert_false(page.failed);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        assert_non_null(strstr((char *)page.data, metric_rows[i].name));
        assert_non_null(strstr((char *)page.data, metric_rows[i].sentence));
    }
    buf_fini(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_labels),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_places_outside),
        cmocka_unit_test(test_collectors), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_page),       cmocka_unit_test(test_no_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
