#include "api/authorize.h"

#include "model/secret_id.h"

#include <string.h>

static bool is_of_another_account(const struct authorization *authorization) {
    struct secret_id id;

    if (authorization->kind != RESOURCE_SECRET || authorization->resource == NULL ||
        secret_id_parse(authorization->resource, &id, NULL) != OK) {
        return false; /* a name is always of the caller's own account */
    }
    return id.is_arn && strcmp(id.account, authorization->identity->account) != 0;
}

enum errc authorize(const struct authorization *authorization, struct err *err) {
    const char *action = authorization->action;

    if (!is_of_another_account(authorization)) {
        return OK;
    }
    return err_set(err, ERR_ACCESS_DENIED,
                   "User: %s is not authorized to perform: %s on resource: %s because no "
                   "resource-based policy allows the %s action",
                   authorization->identity->arn, action, authorization->resource, action);
}
