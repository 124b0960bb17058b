#include "cluster/fsm.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/envelope.h"
#include "storage/txn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FSM_RESULTS_FIRST = 64, FSM_BYTES_PER_WRITE = 4 * 1024 * 1024 };

struct fsm_result {
    uint64_t index;
    unsigned place;
    Redoubt__Result *result;
};

struct fsm {
    struct txn *txn;
    uint64_t applied;
    char region[LIMIT_REGION_NAME + 1]; /* of the state; empty before the first command */
    char own_region[LIMIT_REGION_NAME + 1];
    unsigned level; /* of the state; 0: to be looked up */
    struct fsm_result
        *results; /* of the write that is being built; delivered once it is committed */
    size_t n_results;
    size_t room;
    char dirty[LIMIT_PEERS][LIMIT_REGION_NAME + 1];
    size_t n_dirty;
    bool dirty_overflow;
};

/* A state of a newer release may hold what this one would misread, and the log what it cannot
 * apply; one that is too old needs commands which this release has no more. */
enum errc fsm_check_level(const struct view *view, struct err *err) {
    Redoubt__Region *record = NULL;
    unsigned level = 0;
    enum errc code = view_region(view, &record);

    if (code == OK) {
        code = view_level(view, &level);
    }
    if (code != OK) {
        return err_set(err, code, "cannot read the state: %s", errc_sentence(code));
    }
    if (record == NULL) {
        return OK;
    }
    redoubt__region__free_unpacked(record, NULL);
    if (level > command_levels.newest) {
        return err_set(err, ERR_LEVEL,
                       "the data folder is of a region at level %u, this release of Redoubt knows "
                       "levels up to %u: nothing was changed, start the newer release",
                       level, command_levels.newest);
    }
    if (level < command_levels.oldest) {
        return err_set(err, ERR_LEVEL,
                       "the data folder is of a region at level %u, this release of Redoubt takes "
                       "levels from %u on: nothing was changed, start the release before it and "
                       "raise the level there",
                       level, command_levels.oldest);
    }
    return OK;
}

static enum errc fsm_load(struct fsm *fsm, struct err *err) {
    const struct view *view = txn_view(fsm->txn);
    Redoubt__Region *record = NULL;
    enum errc code;

    code = view_applied(view, &fsm->applied);
    if (code == OK) {
        code = view_region(view, &record);
    }
    if (code != OK) {
        return err_set(err, code, "cannot read the state: %s", errc_sentence(code));
    }
    if (record != NULL) {
        (void)snprintf(fsm->region, sizeof(fsm->region), "%s", record->name ? record->name : "");
        redoubt__region__free_unpacked(record, NULL);
        if (strcmp(fsm->region, fsm->own_region) != 0) {
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "the data folder belongs to region '%s', this node is configured for '%s'",
                fsm->region, fsm->own_region);
        }
    }
    code = view_level(view, &fsm->level);
    if (code != OK) {
        return err_set(err, code, "cannot read the state: %s", errc_sentence(code));
    }
    return fsm_check_level(view, err);
}

enum errc fsm_open(struct engine *engine, const char *region, struct fsm **ret, struct err *err) {
    struct fsm *fsm = calloc(1, sizeof(*fsm));
    enum errc code;

    if (fsm == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    (void)snprintf(fsm->own_region, sizeof(fsm->own_region), "%s", region);
    fsm->txn = txn_new(engine);
    code = fsm_load(fsm, err);
    if (code != OK) {
        fsm_close(fsm);
        return code;
    }
    *ret = fsm;
    return OK;
}

void fsm_close(struct fsm *fsm) {
    if (fsm == NULL) {
        return;
    }
    txn_free(fsm->txn);
    free(fsm->results);
    free(fsm);
}

uint64_t fsm_applied(const struct fsm *fsm) {
    return fsm->applied;
}

unsigned fsm_level(const struct fsm *fsm) {
    return fsm->level;
}

bool fsm_has_region(const struct fsm *fsm) {
    return fsm->region[0] != '\0';
}

static void keep_result(struct fsm *fsm, uint64_t index, unsigned place, Redoubt__Result *result) {
    if (fsm->n_results == fsm->room) {
        size_t room = fsm->room ? fsm->room * 2 : FSM_RESULTS_FIRST;
        struct fsm_result *results = realloc(fsm->results, room * sizeof(*results));
        CHECK(results != NULL);
        fsm->results = results;
        fsm->room = room;
    }
    fsm->results[fsm->n_results++] = (struct fsm_result){index, place, result};
}

static void keep_dirty(void *arg, const char *region) {
    struct fsm *fsm = arg;

    if (fsm->n_dirty == LIMIT_PEERS) {
        fsm->dirty_overflow = true; /* then everything is called dirty */
        return;
    }
    (void)snprintf(fsm->dirty[fsm->n_dirty++], sizeof(fsm->dirty[0]), "%s", region);
}

/* A command that this release cannot apply: going on would make this node's state differ from its
 * peers'. */
static void stop_before_fork(enum errc code, uint64_t index, unsigned place) {
    LOG_ERROR(
        "fsm.cannot_apply", F_U64("index", index), F_U64("place", place),
        F_STR("reason", code == ERR_LEVEL
                            ? "the log holds a command of a newer release; install that release"
                            : "a committed command does not match its checksum or format"));
    abort();
}

static void apply_commands(struct fsm *fsm, uint64_t index, const struct core_entry *entry) {
    size_t at = 0;
    unsigned place = 0;

    while (at < entry->len) {
        struct apply_context context = {.region = fsm->region, .seq = index << 16 | place};
        Redoubt__Result *result = NULL;
        size_t used = 0;
        enum errc code =
            command_apply(fsm->txn, &context, entry->data + at, entry->len - at, &used, &result);

        if (code != OK) {
            stop_before_fork(code, index, place);
        }
        keep_result(fsm, index, place, result);
        if (envelope_type(entry->data + at) == COMMAND_SET_LEVEL) {
            fsm->level = 0;
        }
        at += used;
        place++;
    }
    metric_observe(METRIC_LOG_ENTRY_COMMANDS, place);
}

/* The region's name is a constant of the state once its first command was applied; its level
 * changes with few commands. */
static void learn_region(struct fsm *fsm) {
    Redoubt__Region *record = NULL;

    if (!fsm_has_region(fsm)) {
        CHECK(view_region(txn_view(fsm->txn), &record) == OK);
        if (record != NULL) {
            (void)snprintf(fsm->region, sizeof(fsm->region), "%s",
                           record->name ? record->name : "");
            redoubt__region__free_unpacked(record, NULL);
        }
        fsm->level = 0;
    }
    if (fsm->level == 0) {
        CHECK(view_level(txn_view(fsm->txn), &fsm->level) == OK);
    }
}

static void commit(struct fsm *fsm, uint64_t index, const struct fsm_callbacks *callbacks) {
    txn_each_dirty_region(fsm->txn, keep_dirty, fsm);
    txn_commit(fsm->txn, index);
    fsm->applied = index;
    for (size_t i = 0; i < fsm->n_results; i++) {
        struct fsm_result *kept = &fsm->results[i];
        callbacks->result(callbacks->arg, kept->index, kept->place, kept->result);
    }
    fsm->n_results = 0;
    if (fsm->dirty_overflow) {
        callbacks->dirty(callbacks->arg, NULL);
    }
    for (size_t i = 0; i < fsm->n_dirty; i++) {
        callbacks->dirty(callbacks->arg, fsm->dirty[i]);
    }
    fsm->n_dirty = 0;
    fsm->dirty_overflow = false;
}

void fsm_apply(struct fsm *fsm, uint64_t first, const struct core_entry *entries, size_t n,
               const struct fsm_callbacks *callbacks) {
    uint64_t began_us = metric_clock_us();
    size_t bytes = 0;

    CHECK(first == fsm->applied + 1);
    for (size_t i = 0; i < n; i++) {
        if (entries[i].type == CORE_COMMAND) {
            apply_commands(fsm, first + i, &entries[i]);
            learn_region(fsm);
            bytes += entries[i].len;
        }
        if (bytes >= FSM_BYTES_PER_WRITE || i + 1 == n) {
            commit(fsm, first + i, callbacks);
            bytes = 0;
        }
    }
    metric_observe_us(METRIC_FSM_APPLY_SECONDS, metric_clock_us() - began_us);
}
