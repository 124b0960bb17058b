/* The switch to a store that was fetched, by renames: at every moment one of the folders is whole,
 * and what is there says how to go on.
 *
 *   store  ready  replaced
 *     x      x       -      vote carried over, then store -> replaced
 *     -      x       x      ready -> store
 *     x      -       x      replaced is removed; also with a ready: it is of an earlier switch
 *     -      -       x      no step of ours leads here; the old store is put back
 */
#include "base/crashpoint.h"
#include "storage/checkpoint_folder.h"
#include "storage/engine_inner.h"

struct places {
    char store[PATH_MAX], ready[PATH_MAX], replaced[PATH_MAX];
    bool has_store, has_ready, has_replaced;
};

static enum errc places_find(const char *data, struct places *ret, struct err *err) {
    enum errc code = folder_path(ret->store, data, FOLDER_STORE, NULL, err);

    if (code == OK) {
        code = folder_path(ret->ready, data, FOLDER_INCOMING, FOLDER_READY, err);
    }
    if (code == OK) {
        code = folder_path(ret->replaced, data, FOLDER_REPLACED, NULL, err);
    }
    if (code == OK) {
        code = folder_exists(ret->store, &ret->has_store, err);
    }
    if (code == OK) {
        code = folder_exists(ret->ready, &ret->has_ready, err);
    }
    if (code == OK) {
        code = folder_exists(ret->replaced, &ret->has_replaced, err);
    }
    return code;
}

static enum errc standing_of_store(const char *path, struct log_standing *ret,
                                   uint64_t *ret_applied, struct err *err) {
    struct engine *engine = NULL;
    enum errc code = engine_open_apart(path, ENGINE_READ, &engine, err);

    if (code != OK) {
        return code;
    }
    code = log_store_standing(engine, ret, err);
    if (code == OK) {
        code = engine_applied(engine, ret_applied, err);
    }
    engine_close(engine);
    return code;
}

/* The store's vote is the newer one: given after the one in `ready` was written. */
static bool is_newer(const struct log_standing *store, const struct log_standing *ready) {
    return store->term > ready->term || (store->term == ready->term && store->voted_for != 0 &&
                                         store->voted_for != ready->voted_for);
}

static enum errc write_vote(struct engine *engine, const struct log_standing *vote,
                            struct err *err) {
    struct log_batch *batch = log_batch_new(engine);
    enum errc code;

    if (batch == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    log_batch_vote(batch, vote->term, vote->voted_for);
    code = log_batch_commit(batch, err);
    log_batch_free(batch);
    return code;
}

/* The node went on taking part in elections while it fetched: what it promised last goes with it,
 * or it could vote twice in one term. And it never goes back: a snapshot that has been overtaken is
 * of no use, and neither is one that was damaged since; the old store goes on then, and is sent
 * another one. */
static enum errc carry_over(const struct places *places, bool *ret_is_of_use, struct err *err) {
    struct log_standing store, ready;
    struct engine *engine = NULL;
    uint64_t applied = 0;
    enum errc code = standing_of_store(places->store, &store, &applied, err);

    if (code != OK) {
        return code;
    }
    code = engine_open_apart(places->ready, ENGINE_PREPARE, &engine, err);
    if (code == OK) {
        code = log_store_standing(engine, &ready, err);
    }
    *ret_is_of_use = code == OK && applied < ready.snapshot_index;
    if (*ret_is_of_use && is_newer(&store, &ready)) {
        code = write_vote(engine, &store, err);
    }
    engine_close(engine);
    if (code == ERR_CORRUPT) {
        *ret_is_of_use = false;
        return OK;
    }
    return code;
}

/* Not in its place: half removed it would still be called ready. */
static enum errc discard_ready(const char *data, const struct places *places, struct err *err) {
    char aside[PATH_MAX];
    enum errc code = folder_path(aside, data, FOLDER_INCOMING, FOLDER_ASIDE, err);

    if (code == OK) {
        code = folder_remove(aside, err);
    }
    if (code == OK) {
        code = folder_rename(places->ready, aside, err);
    }
    return code == OK ? folder_remove(aside, err) : code;
}

static enum errc switch_over(const char *data, const struct places *places, bool *ret_switched,
                             struct err *err) {
    bool is_of_use = false;
    enum errc code = OK;

    if (places->has_store) {
        code = carry_over(places, &is_of_use, err);
        if (code != OK || !is_of_use) {
            return code != OK ? code : discard_ready(data, places, err);
        }
        code = folder_rename(places->store, places->replaced, err);
    }
    CRASHPOINT(SWITCH_STORE_AWAY);
    if (code == OK) {
        code = folder_rename(places->ready, places->store, err);
    }
    CRASHPOINT(SWITCH_READY_IN);
    *ret_switched = code == OK;
    code = code == OK ? folder_remove(places->replaced, err) : code;
    CRASHPOINT(SWITCH_DONE);
    return code;
}

enum errc store_switch(const char *data, bool *ret_switched, struct err *err) {
    struct places places;
    enum errc code = places_find(data, &places, err);

    *ret_switched = false;
    if (code == OK && places.has_replaced && places.has_store) {
        code = folder_remove(places.replaced, err);
        places.has_replaced = false;
    }
    if (code != OK) {
        return code;
    }
    if (places.has_ready) {
        return switch_over(data, &places, ret_switched, err);
    }
    return places.has_replaced ? folder_rename(places.replaced, places.store, err) : OK;
}

enum errc store_forget_fetched(const char *data, struct err *err) {
    struct places places;
    char incoming[PATH_MAX];
    bool was_switched = false;
    enum errc code = places_find(data, &places, err);

    if (code == OK && places.has_ready) {
        code = discard_ready(data, &places, err);
    }
    if (code == OK) {
        code = folder_path(incoming, data, FOLDER_INCOMING, NULL, err);
    }
    if (code == OK) {
        code = folder_clear(incoming, NULL, err);
    }
    return code == OK ? store_switch(data, &was_switched, err) : code;
}
