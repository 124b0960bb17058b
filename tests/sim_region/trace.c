#include "trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

uint64_t hash_bytes(uint64_t hash, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

void trace_init(struct trace *trace) {
    memset(trace, 0, sizeof(*trace));
    trace->hash = HASH_START;
}

void trace_note(struct trace *trace, uint64_t time_us, unsigned column, const char *fmt, ...) {
    struct trace_row *row = &trace->rows[trace->count++ % TRACE_ROWS];
    va_list args;

    row->time_us = time_us;
    row->column = column;
    va_start(args, fmt);
    (void)vsnprintf(row->text, sizeof(row->text), fmt, args);
    va_end(args);
    trace->hash = hash_bytes(trace->hash, &row->time_us, sizeof(row->time_us));
    trace->hash = hash_bytes(trace->hash, &row->column, sizeof(row->column));
    trace->hash = hash_bytes(trace->hash, row->text, strlen(row->text));
}

void trace_print(const struct trace *trace, FILE *to) {
    enum { WIDTH = 27 };
    uint64_t n = trace->count < TRACE_ROWS ? trace->count : TRACE_ROWS;

    (void)fprintf(to, "%10s %-*s%-*s%-*s%-*s%-*s%s\n", "ms", WIDTH, "clients, faults", WIDTH,
                  "node 1", WIDTH, "node 2", WIDTH, "node 3", WIDTH, "node 4", "node 5");
    for (uint64_t i = trace->count - n; i < trace->count; i++) {
        const struct trace_row *row = &trace->rows[i % TRACE_ROWS];
        (void)fprintf(to, "%6" PRIu64 ".%03" PRIu64 " %*s%s\n", row->time_us / 1000,
                      row->time_us % 1000, (int)row->column * WIDTH, "", row->text);
    }
}
