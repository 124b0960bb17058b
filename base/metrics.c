#include "base/metrics.h"

#include "base/limits.h"
#include "base/metrics_inner.h"

#include <ctype.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Shares of the cells, each thread's its own as long as there are not more threads: the workers
 * are as many as cores. */
enum { METRIC_SHARES = 16, METRIC_CACHE_LINE = 64 };

/* OK is at place 0, the error of row i of err.def at i + 1. */
enum {
    METRIC_ERRORS = 1
#define X(symbol, number, name, status, sentence) +1
#include "base/err.def"
#undef X
};

struct error_row {
    enum errc code;
    const char *symbol;
    const char *name;
};

static const struct error_row errors[METRIC_ERRORS] = {
    {OK, "ERR_OK", "OK"},
#define X(symbol, number, name, status, sentence) {symbol, #symbol, name},
#include "base/err.def"
#undef X
};

/* Durations: what is quick here takes 20 us (a read) or 100 us (a sync), what is slow ends after
 * 10 s (LIMIT_REQUEST_MS). Steps of 2 to 2.5 tell a quantile to within as much, and are the same
 * in all histograms, so that they can be set side by side. */
static const struct metric_bound seconds_bounds[] = {
    {50, "5e-05"},    {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},
    {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},   {10000000, "10"},
};
/* Numbers up to LIMIT_ENTRY_COMMANDS. */
static const struct metric_bound sizes_bounds[] = {
    {1, "1"},   {2, "2"},   {4, "4"},     {8, "8"},     {16, "16"},
    {32, "32"}, {64, "64"}, {128, "128"}, {256, "256"}, {512, "512"},
};

/* How many cells one series has: a histogram its buckets, one without a bound, and the sum. */
enum {
    CELLS_COUNTER = 1,
    CELLS_COUNTER_US = 1,
    CELLS_GAUGE = 1,
    CELLS_GAUGE_MS = 1,
    CELLS_LEVEL = 1,
    CELLS_SECONDS = ARRAY_LEN(seconds_bounds) + 2,
    CELLS_SIZES = ARRAY_LEN(sizes_bounds) + 2,
};
enum {
#define D(symbol, label, size) PLACES_##symbol = (size),
#include "base/metrics.def"
};
enum {
    PLACES_MOST = 64,
};
#define D(symbol, label, size)                                                                     \
    _Static_assert((int)(size) <= (int)PLACES_MOST, "more places than there are labels for");
#include "base/metrics.def"

typedef _Atomic uint64_t cell;

struct share {
#define X(kind, symbol, name, dimension, second, sentence)                                         \
    cell symbol[PLACES_##dimension * PLACES_##second * CELLS_##kind];
#include "base/metrics.def"
} __attribute__((aligned(METRIC_CACHE_LINE)));

/* Where a metric's cells begin in a share. */
static const size_t offsets[METRIC_COUNT] = {
#define X(kind, symbol, name, dimension, second, sentence)                                         \
    offsetof(struct share, symbol) / sizeof(cell),
#include "base/metrics.def"
};

const struct metric_row metric_rows[METRIC_COUNT] = {
#define X(kind, symbol, name, dimension, second, sentence)                                         \
    {METRIC_##kind, METRIC_BY_##dimension, METRIC_BY_##second, (name), (sentence)},
#include "base/metrics.def"
};

const struct dimension_row metric_dimension_rows[METRIC_DIMENSIONS] = {
#define D(symbol, label, size) [METRIC_BY_##symbol] = {(label), (size)},
#include "base/metrics.def"
};

static struct share shares[METRIC_SHARES];
static atomic_uint threads;

static pthread_mutex_t labels_lock = PTHREAD_MUTEX_INITIALIZER;
static char labels[METRIC_DIMENSIONS][PLACES_MOST][LIMIT_METRIC_LABEL + 1];

struct collector {
    metrics_collect_fn *fn;
    void *arg;
};
static pthread_mutex_t collectors_lock = PTHREAD_MUTEX_INITIALIZER; /* held while they run */
static struct collector collectors[LIMIT_METRIC_COLLECTORS];
static size_t n_collectors;

/* --- cells --- */

static cell *share_cells(unsigned share) {
    return (cell *)&shares[share];
}

static unsigned own_share(void) {
    static _Thread_local unsigned number; /* from 1; 0: not given yet */

    if (number == 0) {
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % METRIC_SHARES + 1;
    }
    return number - 1;
}

static unsigned cells_of(enum metric_kind kind) {
    switch (kind) {
    case METRIC_SECONDS:
        return CELLS_SECONDS;
    case METRIC_SIZES:
        return CELLS_SIZES;
    case METRIC_COUNTER:
    case METRIC_COUNTER_US:
    case METRIC_GAUGE:
    case METRIC_GAUGE_MS:
    case METRIC_LEVEL:
        break;
    }
    return 1;
}

/* The first cell of a series; SIZE_MAX for a place that is not there. */
static size_t cell_index(enum metric metric, unsigned place, unsigned second) {
    const struct metric_row *row = &metric_rows[metric];
    unsigned places = metric_dimension_rows[row->dimension].size;
    unsigned seconds = metric_dimension_rows[row->second].size;

    if (place >= places || second >= seconds) {
        return SIZE_MAX;
    }
    return offsets[metric] + (size_t)(place * seconds + second) * cells_of(row->kind);
}

static bool is_gauge(enum metric_kind kind) {
    return kind == METRIC_GAUGE || kind == METRIC_GAUGE_MS;
}

static bool is_histogram(enum metric_kind kind) {
    return kind == METRIC_SECONDS || kind == METRIC_SIZES;
}

void metric_add_at2(enum metric metric, unsigned place, unsigned second, int64_t n) {
    size_t index = cell_index(metric, place, second);

    CHECK(!is_gauge(metric_rows[metric].kind) && !is_histogram(metric_rows[metric].kind));
    if (index != SIZE_MAX) {
        (void)atomic_fetch_add_explicit(&share_cells(own_share())[index], (uint64_t)n,
                                        memory_order_relaxed);
    }
}

void metric_add_at(enum metric metric, unsigned place, int64_t n) {
    metric_add_at2(metric, place, 0, n);
}

void metric_add(enum metric metric, int64_t n) {
    metric_add_at2(metric, 0, 0, n);
}

/* A gauge's cell is zero before it is set: the value lies there with its sign turned, and
 * INT64_MIN is no value. */
static uint64_t gauge_encode(int64_t value) {
    return (uint64_t)value ^ (uint64_t)INT64_MIN;
}

static void set_at2(enum metric metric, unsigned place, unsigned second, int64_t value) {
    enum metric_kind kind = metric_rows[metric].kind;
    size_t index = cell_index(metric, place, second);

    CHECK(kind != METRIC_LEVEL && !is_histogram(kind));
    if (index != SIZE_MAX) {
        atomic_store_explicit(&share_cells(0)[index],
                              is_gauge(kind) ? gauge_encode(value) : (uint64_t)value,
                              memory_order_relaxed);
    }
}

void metric_set_at(enum metric metric, unsigned place, int64_t value) {
    set_at2(metric, place, 0, value);
}

void metric_set(enum metric metric, int64_t value) {
    set_at2(metric, 0, 0, value);
}

void metric_unset(enum metric metric) {
    const struct metric_row *row = &metric_rows[metric];
    size_t n = (size_t)metric_dimension_rows[row->dimension].size *
               metric_dimension_rows[row->second].size;

    CHECK(is_gauge(row->kind));
    for (size_t i = 0; i < n; i++) {
        atomic_store_explicit(&share_cells(0)[offsets[metric] + i], 0, memory_order_relaxed);
    }
}

const struct metric_bound *metric_bounds(enum metric_kind kind, size_t *ret_n) {
    *ret_n = kind == METRIC_SECONDS ? ARRAY_LEN(seconds_bounds) : ARRAY_LEN(sizes_bounds);
    return kind == METRIC_SECONDS ? seconds_bounds : sizes_bounds;
}

static void observe(enum metric metric, unsigned place, uint64_t value) {
    size_t n, bucket = 0;
    const struct metric_bound *bounds = metric_bounds(metric_rows[metric].kind, &n);
    size_t index = cell_index(metric, place, 0);
    cell *cells = share_cells(own_share());

    if (index == SIZE_MAX) {
        return;
    }
    while (bucket < n && value > bounds[bucket].most) {
        bucket++;
    }
    (void)atomic_fetch_add_explicit(&cells[index + bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&cells[index + n + 1], value, memory_order_relaxed);
}

void metric_observe_us_at(enum metric metric, unsigned place, uint64_t us) {
    CHECK(metric_rows[metric].kind == METRIC_SECONDS);
    observe(metric, place, us);
}

void metric_observe_us(enum metric metric, uint64_t us) {
    metric_observe_us_at(metric, 0, us);
}

void metric_observe(enum metric metric, uint64_t n) {
    CHECK(metric_rows[metric].kind == METRIC_SIZES);
    observe(metric, 0, n);
}

uint64_t metric_clock_us(void) {
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- reading --- */

static uint64_t sum_of(size_t index) {
    uint64_t sum = 0;

    for (unsigned i = 0; i < METRIC_SHARES; i++) {
        sum += atomic_load_explicit(&share_cells(i)[index], memory_order_relaxed);
    }
    return sum;
}

bool metric_read(enum metric metric, unsigned place, unsigned second, int64_t *ret) {
    size_t index = cell_index(metric, place, second);

    CHECK(index != SIZE_MAX && !is_histogram(metric_rows[metric].kind));
    if (!is_gauge(metric_rows[metric].kind)) {
        *ret = (int64_t)sum_of(index);
        return true;
    }
    *ret = (int64_t)(atomic_load_explicit(&share_cells(0)[index], memory_order_relaxed) ^
                     (uint64_t)INT64_MIN);
    return *ret != INT64_MIN;
}

void metric_read_histogram(enum metric metric, unsigned place, struct metric_histogram *ret) {
    size_t index = cell_index(metric, place, 0);
    size_t n;

    (void)metric_bounds(metric_rows[metric].kind, &n);
    CHECK(index != SIZE_MAX && n + 1 <= METRIC_BUCKETS_MAX);
    for (size_t i = 0; i <= n; i++) {
        ret->buckets[i] = sum_of(index + i);
    }
    ret->sum = sum_of(index + n + 1);
}

/* --- labels --- */

unsigned metric_reason(enum errc code) {
    for (unsigned i = 0; i < METRIC_ERRORS; i++) {
        if (errors[i].code == code) {
            return i;
        }
    }
    return metric_reason(ERR_INTERNAL_SERVICE);
}

/* Several errors share a name: they are one for the client. */
unsigned metric_code(enum errc code) {
    unsigned place = metric_reason(code);

    for (unsigned i = 0; i < place; i++) {
        if (strcmp(errors[i].name, errors[place].name) == 0) {
            return i;
        }
    }
    return place;
}

void metrics_label(enum metric_dimension dimension, unsigned place, const char *text) {
    if (place >= metric_dimension_rows[dimension].size) {
        return;
    }
    CHECK(pthread_mutex_lock(&labels_lock) == 0);
    (void)snprintf(labels[dimension][place], sizeof(labels[dimension][place]), "%s",
                   text ? text : "");
    CHECK(pthread_mutex_unlock(&labels_lock) == 0);
}

unsigned metrics_place(enum metric_dimension dimension, const char *text) {
    unsigned place = 0;

    CHECK(pthread_mutex_lock(&labels_lock) == 0);
    while (place < metric_dimension_rows[dimension].size &&
           strcmp(labels[dimension][place], text) != 0) {
        place++;
    }
    CHECK(pthread_mutex_unlock(&labels_lock) == 0);
    return place < metric_dimension_rows[dimension].size ? place : UINT_MAX;
}

struct value_row {
    enum metric_dimension dimension;
    unsigned place;
    const char *text;
};

static const struct value_row values[] = {
#define V(dimension, symbol, place, text) {METRIC_BY_##dimension, (place), (text)},
#include "base/metrics.def"
};

static void error_label(unsigned place, bool is_name, char out[LIMIT_METRIC_LABEL + 1]) {
    const struct error_row *row = &errors[place];

    (void)snprintf(out, LIMIT_METRIC_LABEL + 1, "%s",
                   is_name ? row->name : row->symbol + strlen("ERR_"));
    for (char *c = out; !is_name && *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
}

bool metrics_label_text(enum metric_dimension dimension, unsigned place,
                        char out[LIMIT_METRIC_LABEL + 1]) {
    if (dimension == METRIC_BY_CODE || dimension == METRIC_BY_REASON) {
        error_label(place, dimension == METRIC_BY_CODE, out);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (values[i].dimension == dimension && values[i].place == place) {
            (void)snprintf(out, LIMIT_METRIC_LABEL + 1, "%s", values[i].text);
            return true;
        }
    }
    CHECK(pthread_mutex_lock(&labels_lock) == 0);
    memcpy(out, labels[dimension][place], LIMIT_METRIC_LABEL + 1);
    CHECK(pthread_mutex_unlock(&labels_lock) == 0);
    return out[0] != '\0';
}

/* --- collectors --- */

enum errc metrics_register_collector(metrics_collect_fn *fn, void *arg) {
    enum errc code = ERR_BUSY;

    CHECK(pthread_mutex_lock(&collectors_lock) == 0);
    if (n_collectors < LIMIT_METRIC_COLLECTORS) {
        collectors[n_collectors++] = (struct collector){fn, arg};
        code = OK;
    }
    CHECK(pthread_mutex_unlock(&collectors_lock) == 0);
    return code;
}

void metrics_unregister_collector(metrics_collect_fn *fn, void *arg) {
    CHECK(pthread_mutex_lock(&collectors_lock) == 0);
    for (size_t i = 0; i < n_collectors; i++) {
        if (collectors[i].fn == fn && collectors[i].arg == arg) {
            collectors[i] = collectors[--n_collectors];
            break;
        }
    }
    CHECK(pthread_mutex_unlock(&collectors_lock) == 0);
}

void metrics_collect_begin(void) {
    CHECK(pthread_mutex_lock(&collectors_lock) == 0);
    for (size_t i = 0; i < n_collectors; i++) {
        collectors[i].fn(collectors[i].arg);
    }
}

void metrics_collect_end(void) {
    CHECK(pthread_mutex_unlock(&collectors_lock) == 0);
}
