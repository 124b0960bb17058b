/* STAGE_UPDATE: a staging label goes to another version, or goes. AWS_BEHAVIOUR 3.5. */
#include "cluster/commands/apply.h"
#include "cluster/commands/links.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/rotation.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"

#include <string.h>

static bool version_id_is_valid(const char *id) {
    return id == NULL || text_is_within(id, 1, LIMIT_TOKEN);
}

static bool update_is_valid(const Redoubt__StageUpdate *update) {
    return ref_is_valid(update->ref) && update->stage != NULL &&
           labels_are_valid(&update->stage, 1) && version_id_is_valid(update->remove_from) &&
           version_id_is_valid(update->move_to) &&
           time_is_valid(update->has_now_ms, update->now_ms);
}

/* An id that is given and is no version of the secret. True with the refusal in `result`. */
static bool version_is_refused(const Redoubt__Secret *secret, const char *id,
                               Redoubt__Result *result) {
    if (id == NULL || version_find(secret, id) != NULL) {
        return false;
    }
    refuse(result, ERR_INVALID_PARAMETER, "Not a valid version: %s", id);
    return true;
}

/* Nobody could read the secret if a version without a value, which a rotation began, became the
 * current one. */
static bool current_is_refused(const Redoubt__Secret *secret, const Redoubt__StageUpdate *update,
                               Redoubt__Result *result) {
    if (update->move_to == NULL || strcmp(update->stage, STAGE_CURRENT) != 0 ||
        version_find(secret, update->move_to)->has_kind) {
        return false;
    }
    refuse(result, ERR_RESOURCE_NOT_FOUND,
           "Secrets Manager can't find the specified secret value for VersionId: %s",
           update->move_to);
    return true;
}

void stage_update_apply(struct txn *txn, const struct apply_context *context,
                        const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__StageUpdate *update = (const Redoubt__StageUpdate *)command;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    struct stages stages;
    struct quotas quotas;
    struct err err;
    const char *at;

    if (!update_is_valid(update)) {
        refuse_malformed(result);
        return;
    }
    secret = secret_find_writable(txn, update->ref, result);
    if (secret == NULL || version_is_refused(secret, update->remove_from, result) ||
        version_is_refused(secret, update->move_to, result)) {
        return;
    }
    quotas_read(update->quotas, &quotas);
    labels_load(secret, &stages);
    at = stages_find(&stages, update->stage);
    if (stages_update(&stages, update->stage, update->remove_from, update->move_to,
                      (size_t)quotas.labels, &err) != OK) {
        refuse(result, err.code, "%s", err.message);
        return;
    }
    if (current_is_refused(secret, update, result)) {
        return;
    }
    result_set_secret(result, secret);
    if (at == NULL || update->move_to == NULL || strcmp(at, update->move_to) != 0) {
        labels_store(secret, &stages);
        if (update->move_to != NULL && strcmp(update->stage, STAGE_CURRENT) == 0) {
            rotation_note_current(secret, update->move_to, update->now_ms);
        }
        secret_put_changed(txn, update->ref->account, secret, update->now_ms);
    }
}
