/* Staging labels: which version carries which, and how writes move them. Pure. Source:
 * AWS_BEHAVIOUR 3.4 and 3.5 (the recorded table).
 *
 * The table is the set of (label, version) pairs of one secret in order of attachment; a label sits
 * on one version at most. */
#ifndef MODEL_STAGES_H
#define MODEL_STAGES_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define STAGE_CURRENT  "AWSCURRENT"
#define STAGE_PREVIOUS "AWSPREVIOUS"
#define STAGE_PENDING  "AWSPENDING"

struct stage {
    const char *label;   /* borrowed */
    const char *version; /* borrowed */
};

struct stages {
    struct stage items[2 * LIMIT_STAGES_MOST + 2];
    size_t n;
};

/* The version that carries `label`, NULL if none. */
const char *stages_find(const struct stages *stages, const char *label);
/* Attach or move one label, without side effects. For loading a record. */
void stages_attach(struct stages *stages, const char *label, const char *version);
void stages_detach(struct stages *stages, const char *label);

/* A new version was written with these labels (none: AWSCURRENT). Moves AWSCURRENT with its shadow
 * AWSPREVIOUS, takes AWSPENDING off an outgoing current version and off any other version when
 * AWSCURRENT is (implicitly) among the labels. `is_first`: the secret had no version with a value,
 * so it gets AWSCURRENT whatever was asked for. ERR_LIMIT_EXCEEDED when there would be more labels
 * than `most` (at most LIMIT_STAGES_MOST) and more than before; the table is then undefined. */
MUSTCHECK enum errc stages_put(struct stages *stages, const char *version,
                               const char *const *labels, size_t n_labels, bool is_first,
                               size_t most, struct err *err);
/* UpdateSecretVersionStage: `label` leaves version `remove_from` and goes to `move_to`, each of
 * which is a version of the secret or NULL. AWSCURRENT takes its shadow AWSPREVIOUS along, and
 * nothing else: AWSPENDING stays where it is. A label that is where it should be already stays, and
 * nothing changes. ERR_INVALID_PARAMETER with the service's sentence for what 3.5 refuses, with the
 * table as it was; ERR_LIMIT_EXCEEDED as above. */
MUSTCHECK enum errc stages_update(struct stages *stages, const char *label, const char *remove_from,
                                  const char *move_to, size_t most, struct err *err);
/* The refusal of more labels than `most`. */
enum errc stages_refuse(size_t most, struct err *err);

#endif
