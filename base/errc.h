/* The one error vocabulary: codes from err.def, and a fixed-size carrier for the sentence that goes
 * with one.
 *
 * Functions return `enum errc` (OK = 0). Where the sentence matters they also take `struct err *`,
 * fill it on failure, and leave it alone on success. Vendor codes are translated where they enter.
 * Any thread. */
#ifndef BASE_ERRC_H
#define BASE_ERRC_H

#include "base/check.h"

#include <stdbool.h>

enum errc {
    OK = 0,
#define X(symbol, number, name, status, sentence) symbol = (number),
#include "base/err.def"
#undef X
};

enum { ERRC_FRONT_END_FIRST = 101, ERR_MESSAGE_MAX = 2048 };

struct err {
    enum errc code;
    char message[ERR_MESSAGE_MAX]; /* never holds a secret value */
};

/* Name that clients match on, e.g. "ResourceNotFoundException". Static. "OK" for OK,
 * "InternalFailure" for an unknown code. */
const char *errc_name(enum errc code);
/* HTTP status; 500 for an unknown code. */
int errc_http_status(enum errc code);
/* Default sentence, static, possibly empty. */
const char *errc_sentence(enum errc code);
/* The key of the message in the body is `Message`, not `message`. */
bool errc_is_modelled(enum errc code);
/* The number belongs to the list: for codes that arrive from outside. */
bool errc_is_known(int number);

/* Fill `err` (may be NULL) and return `code`, so that a failure is one line. A text that does not
 * fit is cut.
 */
enum errc err_set(struct err *err, enum errc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with the default sentence of the code. */
enum errc err_default(struct err *err, enum errc code);

#endif
