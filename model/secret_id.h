/* Names, ARNs and the ways to say which secret is meant. Pure. Source: AWS_BEHAVIOUR 2.2 and 3.0.
 */
#ifndef MODEL_SECRET_ID_H
#define MODEL_SECRET_ID_H

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>

enum { ARN_MAX = 2048 };

/* What a SecretId says. */
struct secret_id {
    bool is_arn;
    char partition[32];
    char region[LIMIT_REGION_NAME + 1]; /* of the ARN; empty for a name */
    char account[LIMIT_ACCOUNT + 1];    /* of the ARN; empty for a name */
    char name[LIMIT_SECRET_ID + 1];
    char suffix[LIMIT_ARN_SUFFIX + 1]; /* empty: a name or a partial ARN */
};

/* ERR_VALIDATION with the service's sentence for an illegal character or an ARN that is none. */
MUSTCHECK enum errc secret_id_parse(const char *text, struct secret_id *ret, struct err *err);
/* The characters a user may give to a new secret; '!' is for managed ones and refused (C-15). */
bool secret_name_is_valid(const char *name);
/* arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX. Writes at most `size` bytes with the
 * NUL; CHECKs that it fits. */
void secret_arn(char *out, size_t size, const char *region, const char *account, const char *name,
                const char *suffix);
/* ^([a-z]+-)+\d+$ and at most 128 characters. */
bool region_name_is_valid(const char *region);
/* The pattern alone, at any length: the bound on the length has a sentence of its own. */
bool region_name_matches(const char *region);
/* Six characters of [A-Za-z0-9], uniform, from 16 random bytes or more; `random` must hold at least
 * 32 bytes. */
void secret_suffix(const unsigned char random[32], char out[LIMIT_ARN_SUFFIX + 1]);

#endif
