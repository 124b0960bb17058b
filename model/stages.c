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

/* AWSCURRENT goes to `version`; what had it becomes AWSPREVIOUS, and a rotation that was under way
 * is over: AWSPENDING leaves every other version. */
static void stages_make_current(struct stages *stages, const char *version) {
    const char *outgoing = stages_find(stages, STAGE_CURRENT);
    const char *pending = stages_find(stages, STAGE_PENDING);

    if (pending != NULL && strcmp(pending, version) != 0) {
        stages_detach(stages, STAGE_PENDING);
    }
    if (outgoing != NULL && strcmp(outgoing, version) != 0) {
        stages_attach(stages, STAGE_PREVIOUS, outgoing);
    }
    stages_attach(stages, STAGE_CURRENT, version);
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
