/* NextToken: where a listing goes on, sealed so that only what this region handed out comes back.
 *
 * A token is bound to account, region, operation and the query it continues; whatever does not fit
 * is refused alike. It holds no state at the server and works on every node of the region. Any
 * thread. */
#ifndef API_NEXT_TOKEN_H
#define API_NEXT_TOKEN_H

#include "base/check.h"
#include "base/errc.h"
#include "crypto/keyring.h"
#include "storage/view.h"

#include <stdint.h>

/* The longest token, with its NUL: a position with the longest name. */
enum { NEXT_TOKEN_TEXT = (51 + (LIMIT_NAME + 2) / 3 * 3) / 3 * 4 + 1 };

/* What a token belongs to. Borrowed. */
struct next_token_scope {
    const char *operation;
    const char *account;
    const char *region;
    const char *query; /* everything that selects and orders what is listed, as one text */
};

/* A token that goes on behind `position`, of whatever list the scope is about (its name is at most
 * LIMIT_NAME bytes long). */
void next_token_seal(const struct keyring *keyring, const struct next_token_scope *scope,
                     const struct list_position *position, char out[NEXT_TOKEN_TEXT]);
/* The position that it was sealed with (is_set). ERR_INVALID_NEXT_TOKEN for anything that
 * next_token_seal did not make for this scope. */
MUSTCHECK enum errc next_token_open(const struct keyring *keyring,
                                    const struct next_token_scope *scope, const char *text,
                                    struct list_position *ret, struct err *err);

#endif
