/* Where a server stands: its folders, and whether a host is this machine alone. */
#ifndef SERVER_PLACE_H
#define SERVER_PLACE_H

#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

/* With mode 0700; one that is there already is left as it is. ERR_IO. */
MUSTCHECK enum errc place_make_folder(const char *path, struct err *err);
/* The file's new content, whole and on disk when this returns OK, mode 0600; else it is as it was.
 * ERR_IO. */
MUSTCHECK enum errc place_write_file(const char *path, const void *data, size_t len,
                                     struct err *err);
/* The names in a folder are on disk. ERR_IO. */
MUSTCHECK enum errc place_sync_folder_of(const char *path, struct err *err);
/* "localhost", "[::1]", or an address in 127/8: what listens there is not reached from elsewhere.
 * Without a port. */
bool place_is_loopback(const char *host);

#endif
