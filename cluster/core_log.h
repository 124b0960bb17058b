/* The tail of the Raft log in memory: every entry from the oldest one kept to the newest one known.
 *
 * Guarantees that a range of entries is one contiguous array, so that an effect can point at it,
 * and that appending, truncating and dropping cost amortised constant time an entry. Raft thread.
 */
#ifndef CLUSTER_CORE_LOG_H
#define CLUSTER_CORE_LOG_H

#include "base/check.h"
#include "base/errc.h"
#include "cluster/core.h"

#include <stddef.h>
#include <stdint.h>

/* Public only so that it can be embedded. */
struct core_log {
    struct core_entry *slots; /* entries are slots[head .. head + count) */
    size_t room;
    size_t head;
    size_t count;
    uint64_t first; /* index of the oldest entry, or the index that the next one will get */
    uint64_t bytes; /* of data */
};

void core_log_init(struct core_log *log);
void core_log_fini(struct core_log *log);
/* Forget everything; the next entry gets the index `first`. */
void core_log_reset(struct core_log *log, uint64_t first);
/* Copies the entry and its data. ERR_NO_MEMORY changes nothing. */
MUSTCHECK enum errc core_log_append(struct core_log *log, const struct core_entry *entry);
/* Forget the entries from index `from` on. */
void core_log_truncate(struct core_log *log, uint64_t from);
/* Forget the entries before index `keep_from`. */
void core_log_drop_before(struct core_log *log, uint64_t keep_from);

/* Of the entries behind `index`. Walks them. */
uint64_t core_log_bytes_after(const struct core_log *log, uint64_t index);
/* first - 1 when empty. */
uint64_t core_log_last(const struct core_log *log);
/* NULL when the log does not hold it. The pointer is good until the next append; its `data` until
 * the entry is forgotten. */
const struct core_entry *core_log_get(const struct core_log *log, uint64_t index);

#endif
