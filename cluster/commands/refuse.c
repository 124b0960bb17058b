#include "cluster/commands/refuse.h"

#include "cluster/commands/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void refuse(Redoubt__Result *result, enum errc code, const char *fmt, ...) {
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    CHECK(vasprintf(&text, fmt, args) >= 0);
    va_end(args);
    free(result->message);
    result->message = text;
    result->has_code = true;
    result->code = (uint32_t)code;
}

void refuse_default(Redoubt__Result *result, enum errc code) {
    refuse(result, code, "%s", errc_sentence(code));
}

void refuse_malformed(Redoubt__Result *result) {
    refuse_default(result, ERR_MALFORMED);
}

void result_set_secret(Redoubt__Result *result, const Redoubt__Secret *secret) {
    text_set(&result->name, secret->name);
    text_set(&result->suffix, secret->suffix);
}

void result_set_stages(Redoubt__Result *result, const char *const *labels, size_t n) {
    CHECK(result->stages == NULL);
    if (n == 0) {
        return;
    }
    result->stages = must_calloc(n, sizeof(*result->stages));
    for (size_t i = 0; i < n; i++) {
        result->stages[i] = text_dup(labels[i]);
    }
    result->n_stages = n;
}
