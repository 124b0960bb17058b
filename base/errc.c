#include "base/errc.h"

#include <stdarg.h>
#include <stdio.h>

struct errc_row {
    enum errc code;
    int status;
    const char *name;
    const char *sentence;
};

static const struct errc_row rows[] = {
#define X(symbol, number, name, status, sentence) {symbol, status, name, sentence},
#include "base/err.def"
#undef X
};

static const struct errc_row *row_of(int number) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if ((int)rows[i].code == number) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *errc_name(enum errc code) {
    const struct errc_row *row = row_of((int)code);

    if (code == OK) {
        return "OK";
    }
    return row ? row->name : "InternalFailure";
}

int errc_http_status(enum errc code) {
    const struct errc_row *row = row_of((int)code);
    return row ? row->status : 500;
}

const char *errc_sentence(enum errc code) {
    const struct errc_row *row = row_of((int)code);
    return row ? row->sentence : "";
}

bool errc_is_modelled(enum errc code) {
    return code != OK && (int)code < ERRC_FRONT_END_FIRST;
}

bool errc_is_known(int number) {
    return number == OK || row_of(number) != NULL;
}

enum errc err_set(struct err *err, enum errc code, const char *fmt, ...) {
    va_list args;

    if (err == NULL) {
        return code;
    }
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    return code;
}

enum errc err_default(struct err *err, enum errc code) {
    return err_set(err, code, "%s", errc_sentence(code));
}
