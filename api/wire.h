/* The forms that a request comes in: which operation it names, and where its parameters are
 * (AWS_BEHAVIOUR 1.2, 1.4, 1.6, 1.10, 1.11).
 *
 *   JSON     X-Amz-Target names the operation (a header, or a parameter of a presigned URL); a JSON
 *            body, or with no body at all the query, has the parameters
 *   Query    the parameter Action names it, in the query or in a form body; both have parameters
 *
 * Nothing here is believed before the signature was checked: it covers all of it. Pure. */
#ifndef API_WIRE_H
#define API_WIRE_H

#include "api/http_parse.h"
#include "api/shape.h"
#include "base/errc.h"
#include "base/quotas.h"

#include <stdbool.h>
#include <stddef.h>

enum { WIRE_NAME = 64 }; /* of an operation, with its NUL */

struct wire {
    char op_name[WIRE_NAME];
    bool is_action; /* named by Action: an unknown one is another error */
    bool has_json;  /* the body has the parameters; else query and form body */
    bool has_form;
};

/* The operation need not exist. ERR_UNKNOWN_OPERATION, ERR_UNKNOWN_PROTOCOL (no form that we know),
 * ERR_INVALID_ACTION (also a version other than the service's), ERR_MISSING_ACTION. */
MUSTCHECK enum errc wire_read(const struct http_request *http, struct wire *ret, struct err *err);

/* The parameters of the request, within these quotas: shape_decode from wherever they are. */
MUSTCHECK enum errc wire_decode(const struct wire *wire, const struct http_request *http,
                                const struct shape *shape, const struct quotas *quotas,
                                struct arena *arena, void *out, struct err *err);

#endif
