/* What the parts of storage/checkpoint share: places in a data folder, and files as a whole. Not
 * for other folders. */
#ifndef STORAGE_CHECKPOINT_FOLDER_H
#define STORAGE_CHECKPOINT_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errc.h"
#include "storage/checkpoint.h"

/* The folders of checkpoint.h. */
#define FOLDER_STORE       "store"
#define FOLDER_CHECKPOINTS "checkpoints"
#define FOLDER_INCOMING    "incoming"
#define FOLDER_REPLACED    "replaced"
#define FOLDER_READY       "ready" /* in incoming/, as the next */
#define FOLDER_ASIDE       "aside" /* a former ready, on its way out */

/* Exactly 16 small hex digits. */
MUSTCHECK bool checkpoint_id_is_valid(const char *id);
/* A plain name: letters, digits, and inner '.', '-' and '_'; not a partial file's, and below
 * CHECKPOINT_FILE. */
MUSTCHECK bool checkpoint_file_is_valid(const char *name, size_t len);

/* `out` = folder/a, or folder/a/b when b is not NULL. ERR_IO: too long. */
MUSTCHECK enum errc folder_path(char out[PATH_MAX], const char *folder, const char *a,
                                const char *b, struct err *err);
MUSTCHECK enum errc folder_exists(const char *path, bool *ret, struct err *err);
/* 0700; there already is fine. The parent is synced. */
MUSTCHECK enum errc folder_ensure(const char *path, struct err *err);
MUSTCHECK enum errc folder_sync(const char *path, struct err *err);
/* With all that is in it; a path that is not there is fine. Follows no links. */
MUSTCHECK enum errc folder_remove(const char *path, struct err *err);
/* Everything in it but the entry `except` (NULL: nothing is spared). Not there is fine. */
MUSTCHECK enum errc folder_clear(const char *path, const char *except, struct err *err);
/* Within one file system; both parents are synced. */
MUSTCHECK enum errc folder_rename(const char *from, const char *to, struct err *err);

/* SHA-256 of a file. */
MUSTCHECK enum errc file_digest(const char *path, uint8_t out[CHECKPOINT_DIGEST], struct err *err);

#endif
