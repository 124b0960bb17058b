/* The registry as text: for Prometheus, and for people. */
#include "base/metrics_inner.h"

#include <inttypes.h>
#include <string.h>

static const char *const kind_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_COUNTER_US] = "counter", [METRIC_GAUGE] = "gauge",
    [METRIC_GAUGE_MS] = "gauge",  [METRIC_LEVEL] = "gauge",        [METRIC_SECONDS] = "histogram",
    [METRIC_SIZES] = "histogram",
};

/* In a sentence a backslash and a line's end are escaped, in a label the quote too. */
static void write_escaped(struct buf *out, const char *text, bool in_label) {
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_append_str(out, "\\n");
        } else {
            if (*text == '\\' || (in_label && *text == '"')) {
                buf_append_u8(out, '\\');
            }
            buf_append_u8(out, (uint8_t)*text);
        }
    }
}

/* "{a="x",b="y"}" for the dimensions that a metric has, and `le` for a bucket (NULL: none). */
static void write_labels(struct buf *out, const struct metric_row *row,
                         char texts[2][LIMIT_METRIC_LABEL + 1], const char *le) {
    const enum metric_dimension dimensions[2] = {row->dimension, row->second};
    char open = '{';

    for (size_t i = 0; i < 2; i++) {
        if (dimensions[i] != METRIC_BY_NONE) {
            buf_append_u8(out, (uint8_t)open);
            buf_append_str(out, metric_dimension_rows[dimensions[i]].label);
            buf_append_str(out, "=\"");
            write_escaped(out, texts[i], true);
            buf_append_u8(out, '"');
            open = ',';
        }
    }
    if (le != NULL) {
        buf_printf(out, "%cle=\"%s\"", open, le);
        open = ',';
    }
    if (open == ',') {
        buf_append_u8(out, '}');
    }
}

static void write_fraction(struct buf *out, uint64_t value, uint64_t unit, int digits) {
    buf_printf(out, "%" PRIu64 ".%0*" PRIu64, value / unit, digits, value % unit);
}

static void write_value(struct buf *out, enum metric_kind kind, int64_t value) {
    switch (kind) {
    case METRIC_COUNTER:
        buf_printf(out, "%" PRIu64, (uint64_t)value);
        break;
    case METRIC_COUNTER_US:
        write_fraction(out, (uint64_t)value, 1000000, 6);
        break;
    case METRIC_GAUGE_MS:
        buf_append_str(out, value < 0 ? "-" : "");
        write_fraction(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1000, 3);
        break;
    case METRIC_GAUGE:
    case METRIC_LEVEL:
    case METRIC_SECONDS:
    case METRIC_SIZES:
        buf_printf(out, "%" PRId64, value);
        break;
    }
    buf_append_u8(out, '\n');
}

static void write_histogram(struct buf *out, enum metric metric, unsigned place,
                            char texts[2][LIMIT_METRIC_LABEL + 1]) {
    const struct metric_row *row = &metric_rows[metric];
    struct metric_histogram histogram;
    uint64_t count = 0;
    size_t n;
    const struct metric_bound *bounds = metric_bounds(row->kind, &n);

    metric_read_histogram(metric, place, &histogram);
    for (size_t i = 0; i <= n; i++) {
        count += histogram.buckets[i];
    }
    if (count == 0 && row->dimension != METRIC_BY_NONE) {
        return;
    }
    count = 0;
    for (size_t i = 0; i <= n; i++) {
        count += histogram.buckets[i];
        buf_printf(out, "%s_bucket", row->name);
        write_labels(out, row, texts, i < n ? bounds[i].text : "+Inf");
        buf_printf(out, " %" PRIu64 "\n", count);
    }
    buf_printf(out, "%s_sum", row->name);
    write_labels(out, row, texts, NULL);
    buf_append_u8(out, ' ');
    if (row->kind == METRIC_SECONDS) {
        write_fraction(out, histogram.sum, 1000000, 6);
    } else {
        buf_printf(out, "%" PRIu64, histogram.sum);
    }
    buf_printf(out, "\n%s_count", row->name);
    write_labels(out, row, texts, NULL);
    buf_printf(out, " %" PRIu64 "\n", count);
}

/* Most errors never happen: their series begin with their first event. */
static bool is_sparse(const struct metric_row *row) {
    return row->second != METRIC_BY_NONE || row->dimension == METRIC_BY_CODE ||
           row->dimension == METRIC_BY_REASON;
}

static void write_series(struct buf *out, enum metric metric, unsigned place, unsigned second,
                         char texts[2][LIMIT_METRIC_LABEL + 1]) {
    const struct metric_row *row = &metric_rows[metric];
    int64_t value;

    if (row->kind == METRIC_SECONDS || row->kind == METRIC_SIZES) {
        write_histogram(out, metric, place, texts);
        return;
    }
    if (!metric_read(metric, place, second, &value) || (value == 0 && is_sparse(row))) {
        return;
    }
    buf_append_str(out, row->name);
    write_labels(out, row, texts, NULL);
    buf_append_u8(out, ' ');
    write_value(out, row->kind, value);
}

static bool label_at(enum metric_dimension dimension, unsigned place,
                     char out[LIMIT_METRIC_LABEL + 1]) {
    return dimension == METRIC_BY_NONE || metrics_label_text(dimension, place, out);
}

static void write_metric(struct buf *out, enum metric metric) {
    const struct metric_row *row = &metric_rows[metric];
    char texts[2][LIMIT_METRIC_LABEL + 1];

    buf_printf(out, "# HELP %s ", row->name);
    write_escaped(out, row->sentence, false);
    buf_printf(out, "\n# TYPE %s %s\n", row->name, kind_names[row->kind]);
    for (unsigned i = 0; i < metric_dimension_rows[row->dimension].size; i++) {
        if (!label_at(row->dimension, i, texts[0])) {
            continue;
        }
        for (unsigned j = 0; j < metric_dimension_rows[row->second].size; j++) {
            if (label_at(row->second, j, texts[1])) {
                write_series(out, metric, i, j, texts);
            }
        }
    }
}

void metrics_write(struct buf *out) {
    metrics_collect_begin();
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        write_metric(out, (enum metric)i);
    }
    metrics_collect_end();
}

/* --- the page --- */

struct page_row {
    const char *heading; /* NULL: a metric */
    enum metric metric;
};

static const struct page_row page_rows[] = {
#define H(heading)                                         {(heading), METRIC_COUNT},
#define X(kind, symbol, name, dimension, second, sentence) {NULL, METRIC_##symbol},
#include "base/metrics.def"
};

static void write_page_row(struct buf *out, const struct metric_row *row) {
    const enum metric_dimension dimensions[2] = {row->dimension, row->second};
    const char *between = "";

    buf_printf(out, "| `%s` | %s | ", row->name, kind_names[row->kind]);
    for (size_t i = 0; i < 2; i++) {
        if (dimensions[i] != METRIC_BY_NONE) {
            buf_printf(out, "%s`%s`", between, metric_dimension_rows[dimensions[i]].label);
            between = ", ";
        }
    }
    buf_printf(out, " | %s |\n", row->sentence);
}

void metrics_markdown(struct buf *out) {
    buf_append_str(
        out,
        "# Metrics\n\n"
        "What `GET /metrics` shows at the address of `[metrics] listen`: made from the table that "
        "the server counts by, with\n`redoubt metrics --markdown`. A test fails when this page is "
        "not what that prints. The format is Prometheus' text, 0.0.4.\n\n"
        "Counters begin at 0 with the process. Series by error, and histograms by operation, begin "
        "with their first event;\na gauge that a node cannot know (what followers hold, at a "
        "follower) is absent. Labels come from fixed lists: no name\nof a secret, no account and "
        "nothing else that a client sends is ever one.\n");
    for (size_t i = 0; i < ARRAY_LEN(page_rows); i++) {
        if (page_rows[i].heading != NULL) {
            buf_printf(out, "\n## %s\n\n| metric | type | labels | |\n|---|---|---|---|\n",
                       page_rows[i].heading);
        } else {
            write_page_row(out, &metric_rows[page_rows[i].metric]);
        }
    }
}
