/* What the program counts about itself: the table of metrics.def, and its text for Prometheus.
 *
 * Adding and observing are a few relaxed atomic additions into cells of the thread's own share, so
 * that a request never waits for another core's cache line; a scrape sums the shares. A gauge is
 * set by whoever owns the value, or by a collector when somebody looks. There is one registry a
 * process. Labels are places in enumerations and in tables of bounded size (see the D lines): what
 * a client sends never becomes one, and no value of a secret, no name of one and no account does.
 * Any thread, unless said otherwise. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/limits.h"

#include <stdint.h>

enum metric {
#define X(kind, symbol, name, dimension, second, sentence) METRIC_##symbol,
#include "base/metrics.def"
    METRIC_COUNT
};

enum metric_dimension {
#define D(symbol, label, size) METRIC_BY_##symbol,
#include "base/metrics.def"
    METRIC_DIMENSIONS
};

/* Places in dimensions whose values are known here. */
enum metric_value {
#define V(dimension, symbol, place, text) METRIC_##dimension##_##symbol = (place),
#include "base/metrics.def"
};

/* COUNTER: more; COUNTER_US: of microseconds, shown as seconds. LEVEL: more or, with a negative
 * number, less. */
void metric_add(enum metric metric, int64_t n);
void metric_add_at(enum metric metric, unsigned place, int64_t n);
void metric_add_at2(enum metric metric, unsigned place, unsigned second, int64_t n);

/* GAUGE, GAUGE_MS (of milliseconds, shown as seconds), and counters that somebody else keeps: the
 * present value. A gauge that was never set is not shown. */
void metric_set(enum metric metric, int64_t value);
void metric_set_at(enum metric metric, unsigned place, int64_t value);
/* A gauge: not shown from now on, under any label. */
void metric_unset(enum metric metric);

/* SECONDS: a histogram of durations. SIZES: of numbers. */
void metric_observe_us(enum metric metric, uint64_t us);
void metric_observe_us_at(enum metric metric, unsigned place, uint64_t us);
void metric_observe(enum metric metric, uint64_t n);

/* A clock to measure by, in microseconds: the machine's, whatever world is injected. Nothing may be
 * decided by it. */
uint64_t metric_clock_us(void);

/* The place of an error among CODE (by the name that a client sees) and REASON (by itself). */
unsigned metric_code(enum errc code);
unsigned metric_reason(enum errc code);

/* The text of a place of a dimension that has no V lines; cut at LIMIT_METRIC_LABEL. Copies. NULL:
 * nothing is there any more, and gauges under it are not shown. A place outside of the dimension is
 * passed over here and in all functions above. */
void metrics_label(enum metric_dimension dimension, unsigned place, const char *text);
/* The text of a place; false when nothing is there. */
MUSTCHECK bool metrics_label_text(enum metric_dimension dimension, unsigned place,
                                  char out[LIMIT_METRIC_LABEL + 1]);
/* Where a text was put; UINT_MAX, which counts nothing, when it was not. */
unsigned metrics_place(enum metric_dimension dimension, const char *text);

/* fn(arg) runs at each scrape, on its thread, before the text is made: sets what is cheaper asked
 * for than kept. One scrape at a time; must not block. ERR_BUSY at LIMIT_METRIC_COLLECTORS. */
typedef void metrics_collect_fn(void *arg);
MUSTCHECK enum errc metrics_register_collector(metrics_collect_fn *fn, void *arg);
/* It does not run any more when this returns. Not from a collector. */
void metrics_unregister_collector(metrics_collect_fn *fn, void *arg);

/* Prometheus' text format 0.0.4, appended. Runs the collectors. */
void metrics_write(struct buf *out);
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The table as a page for people (docs/metrics.md), appended. */
void metrics_markdown(struct buf *out);

#endif
