/* What happened, one line an event: a hash over all of it, which shows that a seed repeats, and the
 * last of it in columns, one a node, for whoever has to understand a failure. One thread. */
#ifndef TESTS_SIM_REGION_TRACE_H
#define TESTS_SIM_REGION_TRACE_H

#include "base/check.h"

#include <stdint.h>
#include <stdio.h>

enum { TRACE_ROWS = 160, TRACE_TEXT = 64, TRACE_COLUMNS = 6 };

struct trace_row {
    uint64_t time_us;
    unsigned column;
    char text[TRACE_TEXT];
};

struct trace {
    uint64_t hash;
    uint64_t count;
    struct trace_row rows[TRACE_ROWS]; /* the row of number n is at n % TRACE_ROWS */
};

void trace_init(struct trace *trace);
/* Column 0 is the clients and the world, the others are the nodes. */
void trace_note(struct trace *trace, uint64_t time_us, unsigned column, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void trace_print(const struct trace *trace, FILE *to);

uint64_t hash_bytes(uint64_t hash, const void *data, size_t len);
#define HASH_START UINT64_C(1469598103934665603)

#endif
