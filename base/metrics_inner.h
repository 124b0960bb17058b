/* What the registry's two files share: the table, and how cells are summed. Not for other folders.
 */
#ifndef BASE_METRICS_INNER_H
#define BASE_METRICS_INNER_H

#include "base/limits.h"
#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>

enum metric_kind {
    METRIC_COUNTER,
    METRIC_COUNTER_US,
    METRIC_GAUGE,
    METRIC_GAUGE_MS,
    METRIC_LEVEL,
    METRIC_SECONDS,
    METRIC_SIZES,
};

struct metric_row {
    enum metric_kind kind;
    enum metric_dimension dimension;
    enum metric_dimension second;
    const char *name;
    const char *sentence;
};

extern const struct metric_row metric_rows[METRIC_COUNT];

struct dimension_row {
    const char *label;
    unsigned size;
};

extern const struct dimension_row metric_dimension_rows[METRIC_DIMENSIONS];

/* Upper bounds of a histogram's buckets; one more bucket has none. */
struct metric_bound {
    uint64_t most;    /* microseconds, or a number */
    const char *text; /* seconds, or the number */
};
const struct metric_bound *metric_bounds(enum metric_kind kind, size_t *ret_n);

/* Enough for the buckets of any histogram, the one without a bound included. */
enum { METRIC_BUCKETS_MAX = 32 };

struct metric_histogram {
    uint64_t buckets[METRIC_BUCKETS_MAX]; /* not cumulated */
    uint64_t sum;                         /* microseconds, or numbers */
};

/* The sum over all shares; of a gauge false when it is not set. */
MUSTCHECK bool metric_read(enum metric metric, unsigned place, unsigned second, int64_t *ret);
void metric_read_histogram(enum metric metric, unsigned place, struct metric_histogram *ret);

/* Held over one scrape. */
void metrics_collect_begin(void);
void metrics_collect_end(void);

#endif
