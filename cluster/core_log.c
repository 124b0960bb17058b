#include "cluster/core_log.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

void core_log_init(struct core_log *log) {
    *log = (struct core_log){.first = 1};
}

static void entry_forget(struct core_log *log, struct core_entry *entry) {
    log->bytes -= entry->len;
    /* The data is const for all who look at the log; the log itself made it and may free it. */
    free((void *)(uintptr_t)entry->data);
    entry->data = NULL;
}

void core_log_fini(struct core_log *log) {
    core_log_reset(log, 1);
    free(log->slots);
    log->slots = NULL;
    log->room = 0;
}

void core_log_reset(struct core_log *log, uint64_t first) {
    core_log_truncate(log, log->first);
    log->first = first;
    log->head = 0;
}

/* Make slots[head + count] usable. Moving to the front only once the hole there is as large as what
 * moves keeps the cost of dropping old entries constant. */
static enum errc make_room(struct core_log *log) {
    if (log->head + log->count < log->room) {
        return OK;
    }
    if (log->head > 0 && log->head >= log->count) {
        memmove(log->slots, log->slots + log->head, log->count * sizeof log->slots[0]);
        log->head = 0;
        return OK;
    }
    size_t room = log->room == 0 ? (size_t)FIRST_ROOM : log->room * 2;
    struct core_entry *slots = reallocarray(log->slots, room, sizeof slots[0]);
    if (slots == NULL) {
        return ERR_NO_MEMORY;
    }
    log->slots = slots;
    log->room = room;
    return OK;
}

enum errc core_log_append(struct core_log *log, const struct core_entry *entry) {
    uint8_t *data = NULL;
    if (entry->len > 0) {
        data = malloc(entry->len);
        if (data == NULL) {
            return ERR_NO_MEMORY;
        }
        memcpy(data, entry->data, entry->len);
    }
    if (make_room(log) != OK) {
        free(data);
        return ERR_NO_MEMORY;
    }
    struct core_entry *slot = &log->slots[log->head + log->count];
    *slot = *entry;
    slot->data = data;
    log->count++;
    log->bytes += entry->len;
    return OK;
}

void core_log_truncate(struct core_log *log, uint64_t from) {
    while (log->count > 0 && core_log_last(log) >= from) {
        entry_forget(log, &log->slots[log->head + log->count - 1]);
        log->count--;
    }
}

void core_log_drop_before(struct core_log *log, uint64_t keep_from) {
    while (log->count > 0 && log->first < keep_from) {
        entry_forget(log, &log->slots[log->head]);
        log->head++;
        log->count--;
        log->first++;
    }
    if (log->count == 0) {
        log->head = 0;
    }
}

uint64_t core_log_bytes_after(const struct core_log *log, uint64_t index) {
    uint64_t bytes = 0;
    for (uint64_t at = core_log_last(log); at > index && at >= log->first; at--) {
        bytes += core_log_get(log, at)->len;
    }
    return bytes;
}

uint64_t core_log_last(const struct core_log *log) {
    return log->first + log->count - 1;
}

const struct core_entry *core_log_get(const struct core_log *log, uint64_t index) {
    if (index < log->first || index - log->first >= log->count) {
        return NULL;
    }
    return &log->slots[log->head + (index - log->first)];
}
