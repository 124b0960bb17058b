/* Reading a secret's value: which version is meant, its plaintext, and the note that it was read.
 * GetSecretValue reads one, BatchGetSecretValue many.
 *
 * What is returned lives in the request's arena; the plaintext is wiped with it. Worker threads. */
#ifndef API_SECRET_VALUE_H
#define API_SECRET_VALUE_H

#include "api/op.h"
#include "api/shape.h"

#define SECRET_VALUE(X)                                                                            \
    X(STR, arn, "ARN", F_NONE, 0, SHAPE_NO_MAX, NULL)                                              \
    X(STR, name, "Name", F_NONE, 0, SHAPE_NO_MAX, NULL)                                            \
    X(STR, version_id, "VersionId", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(BLOB, binary, "SecretBinary", F_NONE, 0, SHAPE_NO_MAX, NULL)                                 \
    X(SECRET, string, "SecretString", F_NONE, 0, SHAPE_NO_MAX, NULL)                               \
    X(STRS, stages, "VersionStages", F_NONE, 0, SHAPE_NO_MAX, NULL)                                \
    X(TIME, created, "CreatedDate", F_NONE, 0, SHAPE_NO_MAX, NULL)

DECLARE_SHAPE_STRUCT(secret_value, SECRET_VALUE)

/* The reply of GetSecretValue and an entry of BatchGetSecretValue's. */
extern const struct shape secret_value_shape;

/* The version that is meant, with its value; both NULL: the one labelled AWSCURRENT.
 * ERR_INVALID_REQUEST: scheduled for deletion, or the label is not on that version;
 * ERR_RESOURCE_NOT_FOUND: no such version, or one without a value. *ret is the secret's. */
MUSTCHECK enum errc secret_value_find(struct op_context *context, const Redoubt__Secret *secret,
                                      const char *version_id, const char *stage,
                                      const Redoubt__Version **ret);
/* Opens it and fills the reply. ERR_DECRYPTION_FAILURE: its key is not usable. */
MUSTCHECK enum errc secret_value_read(struct op_context *context, const Redoubt__Secret *secret,
                                      const Redoubt__Version *version, struct secret_value *ret);
/* The note that it was read today. OK with *ret NULL: that is known already. */
MUSTCHECK enum errc secret_value_touch(struct op_context *context, const Redoubt__Secret *secret,
                                       const Redoubt__Version *version, Redoubt__SecretTouch **ret);

#endif
