/* What the files behind txn.h share. Not for other folders. */
#ifndef STORAGE_TXN_INNER_H
#define STORAGE_TXN_INNER_H

#include "storage/index_rows.h"
#include "storage/txn.h"
#include "storage/view_inner.h"

struct txn {
    struct engine *engine;
    rocksdb_writebatch_wi_t *batch;
    struct view view;
    struct record_cache *known;
    struct buf terms;         /* puts and deletions of terms (index_write.c), to follow the batch */
    struct buf record;        /* the one being packed */
    struct index_rows before; /* of the secret that is being written */
    struct index_rows after;
    char **dirty; /* regions, owned */
    size_t n_dirty;
    size_t dirty_room;
};

#endif
