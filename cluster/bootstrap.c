#include "cluster/bootstrap.h"

#include "base/limits.h"
#include "base/wipe.h"
#include "cluster/fsm.h"
#include "storage/log_store.h"
#include "storage/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum errc find_applied(struct engine *engine, uint64_t *ret, struct err *err) {
    struct view *view = view_new(engine);
    enum errc code = view == NULL ? ERR_NO_MEMORY : view_applied(view, ret);

    view_free(view);
    return code == OK ? OK : err_set(err, code, "cannot read the state: %s", errc_sentence(code));
}

/* No term, no log, no state: nothing was ever promised on it. */
static enum errc store_is_empty(struct engine *engine, bool *ret, struct err *err) {
    struct log_image *image = NULL;
    uint64_t applied = 0;
    enum errc code = log_store_load(engine, &image, err);

    if (code == OK) {
        code = find_applied(engine, &applied, err);
    }
    if (code == OK) {
        *ret =
            image->term == 0 && image->n_entries == 0 && image->snapshot.index == 0 && applied == 0;
    }
    log_image_free(image);
    return code;
}

static enum errc must_be_empty(struct engine *engine, struct err *err) {
    bool is_empty = false;
    enum errc code = store_is_empty(engine, &is_empty, err);

    if (code == OK && !is_empty) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "the data folder holds a member of a group already");
    }
    return code;
}

static int by_id(const void *left, const void *right) {
    const struct core_server *a = left;
    const struct core_server *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

static enum errc check_voters(const struct core_server *voters, size_t n, struct err *err) {
    if (n == 0 || n > LIMIT_PEERS) {
        return err_set(err, ERR_INVALID_PARAMETER, "a group has 1 to %d first members",
                       LIMIT_PEERS);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (voters[i].id == voters[j].id) {
                return err_set(err, ERR_INVALID_PARAMETER, "node %016" PRIx64 " is named twice",
                               voters[i].id);
            }
            if (strcmp(voters[i].address, voters[j].address) == 0) {
                return err_set(err, ERR_INVALID_PARAMETER, "two first members have the address %s",
                               voters[i].address);
            }
        }
    }
    return OK;
}

/* Every first node writes the same bytes, in whatever order its operator names the members: an
 * entry of one term and index must be one. */
static enum errc encode_sorted(const struct core_server *voters, size_t n, uint8_t **ret,
                               size_t *ret_len, struct err *err) {
    struct core_server sorted[LIMIT_PEERS];
    enum errc code;

    memcpy(sorted, voters, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), by_id);
    code = core_configuration_encode(sorted, n, ret, ret_len);
    if (code == ERR_INVALID_PARAMETER) {
        return err_set(err, code, "a first member has no id, or an address that is none");
    }
    return code == OK ? OK : err_default(err, code);
}

/* This very beginning was given before, and the node has not lived since: the command is repeated,
 * whose first run was cut short before it could say so. */
static enum errc has_begun_so(struct engine *engine, const struct log_entry *entry, bool *ret,
                              struct err *err) {
    enum log_origin origin = LOG_ORIGIN_NONE;
    struct log_image *image = NULL;
    uint64_t applied = 0;
    enum errc code = log_store_origin(engine, &origin, err);

    if (code == OK) {
        code = find_applied(engine, &applied, err);
    }
    if (code == OK) {
        code = log_store_load(engine, &image, err);
    }
    if (code != OK) {
        return code;
    }
    *ret = origin == LOG_ORIGIN_FIRST && applied == 0 && image->snapshot.index == 0 &&
           image->term == entry->term && image->voted_for == 0 && image->n_entries == 1 &&
           image->first_index == 1 && image->entries[0].term == entry->term &&
           image->entries[0].type == entry->type && image->entries[0].len == entry->len &&
           memcmp(image->entries[0].data, entry->data, entry->len) == 0;
    log_image_free(image);
    return OK;
}

/* One configuration entry, a vote and the origin, durable at once. */
static enum errc write_beginning(struct engine *engine, uint64_t index,
                                 const struct log_entry *entry, uint64_t voted_for,
                                 enum log_origin origin, struct err *err) {
    struct log_batch *batch = log_batch_new(engine);
    enum errc code;

    if (batch == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    log_batch_origin(batch, origin);
    if (entry != NULL) {
        log_batch_vote(batch, entry->term, voted_for);
        log_batch_append(batch, index, entry, 1);
    }
    code = log_batch_commit(batch, err);
    log_batch_free(batch);
    return code;
}

enum errc node_bootstrap(struct engine *engine, const struct core_server *voters, size_t n,
                         struct err *err) {
    struct log_entry entry = {.term = 1, .type = CORE_CHANGE};
    enum log_origin origin = LOG_ORIGIN_NONE;
    uint8_t *configuration = NULL;
    bool is_repeated = false;
    enum errc code = check_voters(voters, n, err);

    if (code == OK) {
        code = encode_sorted(voters, n, &configuration, &entry.len, err);
        entry.data = configuration;
    }
    if (code == OK) {
        code = has_begun_so(engine, &entry, &is_repeated, err);
    }
    if (code == OK && !is_repeated) {
        code = must_be_empty(engine, err);
    }
    if (code == OK && !is_repeated) {
        code = log_store_origin(engine, &origin, err);
    }
    if (code == OK && !is_repeated && origin != LOG_ORIGIN_NONE) {
        code = err_set(err, ERR_INVALID_PARAMETER,
                       "the data folder waits to be filled by the group that it joined");
    }
    if (code == OK && !is_repeated) {
        code = write_beginning(engine, 1, &entry, 0, LOG_ORIGIN_FIRST, err);
    }
    wipe_free(configuration);
    return code;
}

enum errc node_await_join(struct engine *engine, struct err *err) {
    enum errc code = must_be_empty(engine, err);

    return code == OK ? write_beginning(engine, 0, NULL, 0, LOG_ORIGIN_JOIN, err) : code;
}

enum errc node_has_beginning(struct engine *engine, bool *ret, struct err *err) {
    enum log_origin origin = LOG_ORIGIN_NONE;
    uint64_t term = 0;
    uint64_t voted_for = 0;
    enum errc code = log_store_origin(engine, &origin, err);

    if (code == OK) {
        code = log_store_vote(engine, &term, &voted_for, err);
    }
    *ret = code == OK && (origin != LOG_ORIGIN_NONE || term != 0);
    return code;
}

/* What writes to a store that a newer release has left must be that release. */
static enum errc check_level(struct engine *engine, struct err *err) {
    struct view *view = view_new(engine);
    enum errc code = view != NULL ? fsm_check_level(view, err) : err_default(err, ERR_NO_MEMORY);

    view_free(view);
    return code;
}

enum errc node_force_single(struct engine *engine, uint64_t id, const char *address,
                            struct err *err) {
    const struct core_server self = {.id = id, .address = address};
    struct log_entry entry = {.type = CORE_CHANGE};
    struct log_image *image = NULL;
    uint8_t *configuration = NULL;
    enum errc code = check_level(engine, err);

    if (code == OK) {
        code = log_store_load(engine, &image, err);
    }
    if (code != OK) {
        return code;
    }
    /* A node that was never sent anything has nothing to lead. */
    if (image->n_entries == 0 && image->snapshot.index == 0) {
        code = err_set(err, ERR_INVALID_PARAMETER, "the data folder holds no log");
    } else {
        code = encode_sorted(&self, 1, &configuration, &entry.len, err);
    }
    if (code == OK) {
        /* Its own term, so that no other node's entry has this place and this term; the vote in it
         * is its own. The core begins one more term at start, before it elects itself. */
        entry.term = image->term + 1;
        entry.data = configuration;
        code = write_beginning(engine, image->first_index + image->n_entries, &entry, id,
                               LOG_ORIGIN_ALONE, err);
    }
    wipe_free(configuration);
    log_image_free(image);
    return code;
}
