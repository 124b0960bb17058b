/* The id of a node in its group: 64 random bits, made once and kept with the data, in
 * `<data>/node-id`.
 *
 * The file holds its bytes as 16 hex digits, lowest byte first; everywhere else an id is written as
 * the 16 hex digits of the number. */
#ifndef SERVER_NODE_IDENTITY_H
#define SERVER_NODE_IDENTITY_H

#include "base/errc.h"

#include <stdint.h>

/* Of the data folder `data`, which must exist; made, on disk for good, where there is none. Never
 * 0. ERR_CORRUPT: the file holds something else; ERR_IO. */
MUSTCHECK enum errc node_identity_load(const char *data, uint64_t *ret, struct err *err);

/* Gives the folder this id where it has none; one that it has stays. For a node whose folder was
 * lost. ERR_IO. */
MUSTCHECK enum errc node_identity_restore(const char *data, uint64_t id, struct err *err);

#endif
