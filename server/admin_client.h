/* A request to the administrator's door of the server that runs on a data folder: plain HTTP/1.1
 * over its socket, waited for, everything bounded. For the tools of an operator. */
#ifndef SERVER_ADMIN_CLIENT_H
#define SERVER_ADMIN_CLIENT_H

#include "base/buf.h"
#include "base/errc.h"

#include <stdbool.h>

enum { ADMIN_ANSWER_MAX = 1024 * 1024 };

/* The socket of the server on this data folder: "DATA/admin.sock". False when it is too long. */
MUSTCHECK bool admin_client_path(const char *data, char *out, size_t size);
/* `body` may be NULL. `answer` is initialised here, and the caller's to buf_fini in any case: JSON.
 * OK: answered with a 2xx. ERR_UNAVAILABLE: no server runs there. Else the reason that the server
 * gave is in *err, and *ret_status is its HTTP status (0: there was no answer). */
MUSTCHECK enum errc admin_client_call(const char *socket_path, const char *method, const char *path,
                                      const struct buf *body, struct buf *answer, int *ret_status,
                                      struct err *err);
/* What the server said in {"reason"}; the whole answer when it is no such thing. */
void admin_client_reason(const struct buf *answer, char *out, size_t size);

#endif
