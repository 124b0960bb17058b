/* A small file beside the database that knows how many synced log writes there were.
 *
 * RocksDB replays its write-ahead log up to the first record that does not hold. After a crash that
 * is the torn tail, which nobody was promised; but a damaged record in the synced part ends the
 * replay just as silently. The count in the file, written after each sync, tells the two apart: a
 * database that has fewer lost something that was acknowledged. The file itself is not synced: it
 * survives the death of the process; after a loss of power it may be behind, which only weakens the
 * check. The log writer's thread. */
#ifndef STORAGE_WITNESS_H
#define STORAGE_WITNESS_H

#include "base/errc.h"

#include <stdbool.h>
#include <stdint.h>

#define WITNESS_FILE "SYNCED"

struct witness {
    int fd; /* -1: none */
};

/* Opens the file in `folder`, or creates it when `create`. *ret_count is 0 where it says nothing:
 * not there, new, or torn. */
MUSTCHECK enum errc witness_open(struct witness *witness, const char *folder, bool create,
                                 uint64_t *ret_count, struct err *err);
MUSTCHECK enum errc witness_set(struct witness *witness, uint64_t count, struct err *err);
void witness_close(struct witness *witness);

#endif
