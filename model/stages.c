#include "model/stages.h"

#include <string.h>

static size_t stages_index(const struct stages *stages, const char *label) {
    size_t i = 0;

    while (i < stages->n && strcmp(stages->items[i].label, label) != 0) {
        i++;
    }
    return i;
}

const char *stages_find(const struct stages *stages, const char *label) {
    size_t i = stages_index(stages, label);
    return i < stages->n ? stages->items[i].version : NULL;
}

void stages_detach(struct stages *stages, const char *label) {
    size_t i = stages_index(stages, label);

    if (i == stages->n) {
        return;
    }
    stages->n--;
    memmove(&stages->items[i], &stages->items[i + 1], (stages->n - i) * sizeof(stages->items[0]));
}

void stages_attach(struct stages *stages, const char *label, const char *version) {
    const char *at = stages_find(stages, label);

    if (at != NULL && strcmp(at, version) == 0) {
        return; /* keeps its place in the order of attachment */
    }
    stages_detach(stages, label);
    CHECK(stages->n < ARRAY_LEN(stages->items));
    stages->items[stages->n++] = (struct stage){.label = label, .version = version};
}

static bool labels_have(const char *const *labels, size_t n_labels, const char *label) {
    for (size_t i = 0; i < n_labels; i++) {
        if (strcmp(labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}

/* AWSCURRENT goes to `version`; what had it becomes AWSPREVIOUS. */
static void stages_move_current(struct stages *stages, const char *version) {
    const char *outgoing = stages_find(stages, STAGE_CURRENT);

    if (outgoing != NULL && strcmp(outgoing, version) != 0) {
        stages_attach(stages, STAGE_PREVIOUS, outgoing);
    }
    stages_attach(stages, STAGE_CURRENT, version);
}

/* The same for a version that is written; a rotation that was under way is over: AWSPENDING leaves
 * every other version. */
static void stages_make_current(struct stages *stages, const char *version) {
    const char *pending = stages_find(stages, STAGE_PENDING);

    if (pending != NULL && strcmp(pending, version) != 0) {
        stages_detach(stages, STAGE_PENDING);
    }
    stages_move_current(stages, version);
}

enum errc stages_refuse(size_t most, struct err *err) {
    return err_set(err, ERR_LIMIT_EXCEEDED,
                   "The request failed because it would exceed the quota of %zu staging labels "
                   "attached to the versions of a secret.",
                   most);
}

enum errc stages_put(struct stages *stages, const char *version, const char *const *labels,
                     size_t n_labels, bool is_first, size_t most, struct err *err) {
    /* A quota that was lowered refuses more labels, not the change of those that are there. */
    size_t allowed = stages->n > most ? stages->n : most;

    if (n_labels == 0 || is_first || labels_have(labels, n_labels, STAGE_CURRENT)) {
        stages_make_current(stages, version);
    }
    /* Looked at after each label: the table has room for a few more than the limit, not for any
       number. */
    for (size_t i = 0; i < n_labels && stages->n <= allowed; i++) {
        stages_attach(stages, labels[i], version);
    }
    return stages->n > allowed ? stages_refuse(most, err) : OK;
}

/* `remove_from` is given, and is not where the label is (`at`, or nowhere). */
static enum errc update_not_there(const char *label, const char *at, const char *remove_from,
                                  const char *move_to, struct err *err) {
    if (at != NULL && move_to != NULL) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "When you move staging label %s, if you specify RemoveFromVersionId, it "
                       "must be set to the version that currently has the staging label %s.",
                       label, label);
    }
    return err_set(err, ERR_INVALID_PARAMETER, "Version stage %s not found in version %s", label,
                   remove_from);
}

static enum errc update_check(const char *label, const char *at, const char *remove_from,
                              const char *move_to, struct err *err) {
    bool stays = at != NULL && move_to != NULL && strcmp(at, move_to) == 0;

    if (remove_from == NULL && move_to == NULL && at == NULL) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "You must provide either RemoveFromVersionId or MoveToVersionId.");
    }
    if (remove_from == NULL && at != NULL && !stays) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The parameter RemoveFromVersionId can't be empty. Staging label %s is "
                       "currently attached to version %s, so you must explicitly reference that "
                       "version in RemoveFromVersionId.",
                       label, at);
    }
    if (remove_from != NULL && (at == NULL || strcmp(at, remove_from) != 0)) {
        return update_not_there(label, at, remove_from, move_to, err);
    }
    if (move_to == NULL && strcmp(label, STAGE_CURRENT) == 0) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "You can only move staging label AWSCURRENT to a different secret version. "
                       "It can’t be completely removed.");
    }
    return OK;
}

enum errc stages_update(struct stages *stages, const char *label, const char *remove_from,
                        const char *move_to, size_t most, struct err *err) {
    size_t allowed = stages->n > most ? stages->n : most;
    enum errc code = update_check(label, stages_find(stages, label), remove_from, move_to, err);

    if (code != OK) {
        return code;
    }
    if (move_to == NULL) {
        stages_detach(stages, label);
    } else if (strcmp(label, STAGE_CURRENT) == 0) {
        stages_move_current(stages, move_to);
    } else {
        stages_attach(stages, label, move_to);
    }
    return stages->n > allowed ? stages_refuse(most, err) : OK;
}
