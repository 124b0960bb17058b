#include "base/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *file, int line, const char *expr) {
    void *frames[32];
    int depth;

    (void)fprintf(stderr, "CHECK failed at %s:%d: %s\n", file, line, expr);
    depth = backtrace(frames, (int)ARRAY_LEN(frames));
    backtrace_symbols_fd(frames, depth, STDERR_FILENO);
    abort();
}
