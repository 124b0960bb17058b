/* May this identity do that? One question, one function; policies will be asked behind it.
 *
 * In this release every identity is the root of its account, may do everything there and nothing in
 * another. Pure. */
#ifndef API_AUTHORIZE_H
#define API_AUTHORIZE_H

#include "api/op.h"
#include "base/errc.h"

/* Borrowed. */
struct authorization {
    const struct identity *identity;
    const char *action; /* "secretsmanager:GetSecretValue" */
    enum op_resource kind;
    const char *resource; /* as the caller typed it; NULL: none */
};

/* ERR_ACCESS_DENIED with the service's sentence (AWS_BEHAVIOUR 1.7). */
MUSTCHECK enum errc authorize(const struct authorization *authorization, struct err *err);

#endif
