/* What is said at the administrator's door and between a node that joins and its group, as JSON:
 * both ends in one place. Pure but for memory; any thread.
 *
 * Ids are texts of 16 hexadecimal digits. A reader skips members that it does not know; one that is
 * missing or of another type is ERR_MALFORMED only where nothing can be done without it. */
#ifndef API_ADMIN_WIRE_H
#define API_ADMIN_WIRE_H

#include "base/buf.h"
#include "base/errc.h"
#include "base/limits.h"
#include "cluster/node.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADMIN_ID_TEXT = 16, ADMIN_TOKEN_TEXT = 64 };

/* --- a node's picture of itself and its group --- */

struct admin_picture {
    char region[LIMIT_REGION_NAME + 1];
    struct node_status status; /* role is static */
};
/* Appends (look at out->failed); an object. `more` is what follows inside of it: NULL, or members,
 * each with a comma before it. */
void admin_picture_write(struct buf *out, const char *region, const struct node_status *status,
                         const char *more);
MUSTCHECK enum errc admin_picture_read(const uint8_t *data, size_t len, struct admin_picture *ret);

/* --- what is asked --- */

/* Members that are not there are 0, "" and NULL. */
struct admin_ask {
    uint64_t id;
    int64_t lifetime_s;
    char address[LIMIT_ADDRESS + 1];
    char token[ADMIN_TOKEN_TEXT + 1];
    char *request; /* owned: PEM */
};
/* ERR_MALFORMED, with what is wrong in *err: no object, or a member with a value that it cannot
 * have. */
MUSTCHECK enum errc admin_ask_read(const uint8_t *data, size_t len, struct admin_ask *ret,
                                   struct err *err);
/* Appends an object with the members that are there. */
void admin_ask_write(struct buf *out, const struct admin_ask *ask);
/* Wipes. */
void admin_ask_fini(struct admin_ask *ask);

/* --- what is answered --- */

/* The HTTP status of an error, and its name: a word of this door's own. */
int admin_status_of(enum errc code);
const char *admin_error_name(enum errc code);
/* {"error": name, "reason": sentence} */
void admin_error_write(struct buf *out, enum errc code, const char *reason);
/* The text in a member of an object, appended. ERR_MALFORMED: there is none. */
MUSTCHECK enum errc admin_text_read(const uint8_t *data, size_t len, const char *member,
                                    struct buf *ret);

/* An id as text, and back; 0 is none. */
void admin_id_write(uint64_t id, char out[ADMIN_ID_TEXT + 1]);
MUSTCHECK bool admin_id_read(const char *text, uint64_t *ret);

#endif
