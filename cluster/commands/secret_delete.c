/* SECRET_DELETE: schedules a deletion, or deletes at once. AWS_BEHAVIOUR 3.8.
 *
 * Neither is a replicated change: a secret with replicas cannot be deleted. */
#include "base/buf.h"
#include "cluster/commands/apply.h"
#include "cluster/commands/graves.h"
#include "cluster/commands/refuse.h"
#include "cluster/commands/secret_ops.h"
#include "cluster/commands/state.h"
#include "cluster/commands/valid.h"
#include "model/secret_id.h"

#include <string.h>

static bool delete_is_valid(const Redoubt__SecretDelete *delete) {
    return ref_is_valid(delete->ref) &&
           time_is_valid(delete->has_deletion_ms, delete->deletion_ms) &&
           time_is_valid(delete->has_now_ms, delete->now_ms) &&
           (delete->invented_suffix == NULL || suffix_is_valid(delete->invented_suffix));
}

static void set_deletion(Redoubt__Result *result, const Redoubt__SecretDelete *delete) {
    result->has_deletion_ms = true;
    result->deletion_ms = delete->deletion_ms;
}

/* A forced deletion of nothing succeeds with an ARN that nothing has. */
static void answer_missing(const Redoubt__SecretDelete *delete, bool force,
                           Redoubt__Result *result) {
    const char *suffix =
        delete->ref->suffix != NULL ? delete->ref->suffix : delete->invented_suffix;

    if (!force) {
        refuse_default(result, ERR_RESOURCE_NOT_FOUND);
    } else if (suffix == NULL) {
        refuse_malformed(result);
    } else {
        text_set(&result->name, delete->ref->name);
        text_set(&result->suffix, suffix);
        set_deletion(result, delete);
    }
}

/* True when the secret has replicas, with the refusal that lists their regions. */
static bool replicas_refuse(struct txn *txn, const struct apply_context *context,
                            const char *account, const Redoubt__Secret *secret,
                            Redoubt__Result *result) {
    enum { REGIONS_MAX = LIMIT_REPLICAS * (LIMIT_REGION_NAME + 2) + 1 };
    struct view_links links = state_links(txn, account, secret->name);
    bool has_links = links.n > 0;
    char arn[ARN_MAX];
    struct buf regions;

    if (has_links) {
        buf_init(&regions, REGIONS_MAX);
        for (size_t i = 0; i < links.n; i++) {
            buf_append_str(&regions, i > 0 ? ", " : "");
            buf_append_str(&regions, links.items[i]->region);
        }
        buf_append_u8(&regions, '\0');
        CHECK(!regions.failed);
        secret_arn(arn, sizeof(arn), context->region, account, secret->name, secret->suffix);
        refuse(result, ERR_INVALID_PARAMETER,
               "You can't delete secret %s that still has replica regions [%s].", arn,
               (const char *)regions.data);
        buf_fini(&regions);
    }
    view_links_free(&links);
    return has_links;
}

void secret_delete_apply(struct txn *txn, const struct apply_context *context,
                         const ProtobufCMessage *command, Redoubt__Result *result) {
    const Redoubt__SecretDelete *delete = (const Redoubt__SecretDelete *)command;
    bool force = delete->has_force && delete->force;
    AUTO(secret_release) Redoubt__Secret *secret = NULL;
    const char *account;

    if (!delete_is_valid(delete)) {
        refuse_malformed(result);
        return;
    }
    account = delete->ref->account;
    secret = secret_find(txn, delete->ref);
    if (secret == NULL) {
        answer_missing(delete, force, result);
        return;
    }
    if (secret->replica_of != NULL) {
        refuse_replica(result);
        return;
    }
    if (replicas_refuse(txn, context, account, secret, result)) {
        return;
    }
    if (secret->has_deletion_ms && !force) {
        refuse_scheduled(result);
        return;
    }
    if (force) {
        secret_bury(txn, account, secret, delete->now_ms);
    } else {
        secret->has_deletion_ms = true;
        secret->deletion_ms = delete->deletion_ms;
        txn_put_secret(txn, account, secret);
    }
    result_set_secret(result, secret);
    set_deletion(result, delete);
}
