/* Unix sockets at a path of any length, for what only this machine's administrator may talk to.
 *
 * A socket's address holds some hundred bytes; a longer path goes through the folder's descriptor.
 * Any thread. */
#ifndef BASE_LOCAL_SOCKET_H
#define BASE_LOCAL_SOCKET_H

#include "base/errc.h"

#include <stdbool.h>

/* Listens at `path`, mode 0600, not blocking. A socket that is there and that nobody listens on any
 * more is replaced; one with a listener, and anything that is no socket, is ERR_IO. *ret_fd is
 * owned. */
MUSTCHECK enum errc local_socket_listen(const char *path, int backlog, int *ret_fd,
                                        struct err *err);
/* A blocking connection whose reads and writes fail after `timeout_ms` without progress. ERR_IO;
 * ERR_UNAVAILABLE: nobody listens. *ret_fd is owned. */
MUSTCHECK enum errc local_socket_connect(const char *path, unsigned timeout_ms, int *ret_fd,
                                         struct err *err);
/* Whoever connected this accepted socket runs as our own user, or as root. */
MUSTCHECK bool local_socket_is_trusted(int fd);

#endif
