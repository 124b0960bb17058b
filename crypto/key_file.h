/* Files that hold keys: written once and never over another, read only when nobody else can.
 *
 * Internal to crypto/. A file that was created is complete and on the disk, or not there. Any
 * thread. */
#ifndef CRYPTO_KEY_FILE_H
#define CRYPTO_KEY_FILE_H

#include "base/errc.h"
#include "base/wipe.h"

#include <stddef.h>

enum key_file_kind {
    KEY_FILE_PRIVATE, /* mode 0600; refused when group or others have any right */
    KEY_FILE_PUBLIC   /* mode 0644; any mode is read */
};

/* A new file with this content. ERR_RESOURCE_EXISTS when the path exists, ERR_IO otherwise. */
MUSTCHECK enum errc key_file_create(const char *path, enum key_file_kind kind, const void *data,
                                    size_t len, struct err *err);
/* The content of a regular file of at most `max` bytes. *ret is owned by the caller. ERR_IO,
 * ERR_CORRUPT when it is larger. */
MUSTCHECK enum errc key_file_read(const char *path, enum key_file_kind kind, size_t max,
                                  struct secret *ret, struct err *err);

#endif
