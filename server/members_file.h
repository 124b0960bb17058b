/* The last known members of a node's group, in `<data>/members`: where a node whose store is lost
 * finds its region again. A line each: "ID ADDRESS", the id as 16 hexadecimal digits. It is a hint
 * and never the truth about the membership, which is in the log. */
#ifndef SERVER_MEMBERS_FILE_H
#define SERVER_MEMBERS_FILE_H

#include "base/errc.h"
#include "cluster/node.h"

#include <stddef.h>
#include <stdint.h>

struct members_file {
    size_t n;
    struct {
        uint64_t id;
        char address[LIMIT_ADDRESS + 1];
    } members[LIMIT_PEERS];
};

/* Whole or not at all; nothing is written when the file says the same already, so that it can be
 * called often. One without members is not written. */
MUSTCHECK enum errc members_file_write(const char *data, const struct node_status *status,
                                       struct err *err);
/* None when there is no file; lines that are none are passed over. */
MUSTCHECK enum errc members_file_read(const char *data, struct members_file *ret, struct err *err);

#endif
